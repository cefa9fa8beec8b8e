"""A deployment by Git tag, as a release is done: what was asked for, what is said to run and what runs are one, at each step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fakes.file_server import serve_files
from tests.fakes.repositories import commit_files, git, make_repository
from tests.servers.scenario import Scenario

TEMPLATE = """
job "PREFIX[[ name ]]" {
  type = "service"
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "20s"
    progress_deadline = "30s"
  }
  group "main" {
    task "main" {
      driver = "raw_exec"
      artifact {
        source      = "ADDRESS/app-[[ version ]].txt"
        destination = "local/app.txt"
        mode        = "file"
      }
      config {
        command = "/bin/sh"
        args    = ["-c", "exec sleep 3600"]
      }
      logs {
        disabled = true
      }
      resources {
        cpu    = 10
        memory = 32
      }
    }
  }
}
"""


@pytest.fixture
def artifacts(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    for version in ("v1.1", "v1.2"):
        (folder / f"app-{version}.txt").write_text(f"the app, {version}")
    with serve_files(folder) as address:
        yield address


@pytest.fixture
def repository(scenario: Scenario, artifacts: str) -> tuple[Path, dict[str, str]]:
    """A repository with the tags v1.1 and v1.2, and the commit of each; the version of each job is its tag."""
    repository = make_repository(scenario.folder / "deploy.git", "--bare")
    text = TEMPLATE.replace("PREFIX", scenario.prefix).replace("ADDRESS", artifacts)
    entries = {
        "db": {"version": "git:tag", "vars": {"name": "db"}},
        "api": {"pre": "db", "version": "git:tag", "vars": {"name": "api"}},
    }
    commits = {}
    for tag in ("v1.1", "v1.2"):
        depfile = json.dumps({"stack": scenario.prefix.rstrip("-"), "dependencies": entries})
        files = {"dependency.json": depfile, "jobs/db.nomad": text, "jobs/api.nomad": text, "NEWS": tag}
        commits[tag] = commit_files(repository, {path: content.encode() for path, content in files.items()})
        git(repository, "tag", tag)
    return repository, commits


def _fetched(scenario: Scenario, name: str) -> str:
    """What the running task really fetched."""
    (allocation,) = [one for one in scenario.allocations(name) if one["ClientStatus"] == "running" and one["DesiredStatus"] == "run"]
    text: str = scenario.api.get(f"/v1/client/fs/cat/{allocation['ID']}?path=main/local/app.txt")
    return text


def _seen_by_the_ui(scenario: Scenario, name: str) -> tuple[str, str]:
    """The artifact of the stored job, and the source that Nomad's UI shows for its version."""
    stored = scenario.stored(name)
    assert stored is not None
    (artifact,) = stored["TaskGroups"][0]["Tasks"][0]["Artifacts"]
    submission = scenario.api.get(f"/v1/job/{scenario.id(name)}/submission", version=str(stored["Version"]))
    return artifact["GetterSource"], submission["Source"]


@pytest.mark.parametrize("steps", [("v1.1", "v1.2", "v1.1")], ids=["there-and-back"])
def test_everything_agrees_on_what_runs(
    scenario: Scenario, repository: tuple[Path, Mapping[str, str]], artifacts: str, steps: tuple[str, ...]
) -> None:
    folder, commits = repository
    store = ("--store", "git", "--git-url", str(folder))
    env = {"XDG_CACHE_HOME": str(scenario.folder / "cache")}
    for tag in steps:
        done = scenario.dtree("run", "--job", "api", *store, "--ref", tag, "--check-artifacts", "--output", "json", env=env)
        assert done.code == 0, done.stdout + done.stderr
        status = scenario.dtree("status", *store, "--ref", tag, "--output", "json", env=env)
        rows = {row["job"]: row for row in json.loads(status.stdout)["jobs"]}
        for name in ("db", "api"):
            assert _fetched(scenario, name) == f"the app, {tag}"
            source, shown = _seen_by_the_ui(scenario, name)
            assert source == f"{artifacts}/app-{tag}.txt"
            assert f"app-{tag}.txt" in shown
            which = scenario.dtree("which", name, *store, "--ref", tag, env=env)
            assert which.code == 0, which.stderr
            assert f"{name} " in which.stdout
            assert f" {tag} " in which.stdout
            assert commits[tag][:7] in which.stdout
            assert (rows[name]["health"], rows[name]["provenance"]["version"], rows[name]["provenance"]["ref"]) == ("Healthy", tag, tag)
            assert rows[name]["provenance"]["commit"] == commits[tag]
        unchanged = scenario.dtree("plan", "--job", "api", *store, "--ref", tag, "--detailed-exitcode", env=env)
        assert unchanged.code == 0, unchanged.stdout + unchanged.stderr


def test_a_version_whose_artifact_is_missing_changes_nothing(
    scenario: Scenario, repository: tuple[Path, Mapping[str, str]], artifacts: str
) -> None:
    folder, commits = repository
    store = ("--store", "git", "--git-url", str(folder))
    env = {"XDG_CACHE_HOME": str(scenario.folder / "cache")}
    assert scenario.dtree("run", "--job", "api", *store, "--ref", "v1.1", env=env).code == 0
    before = scenario.modified()
    wrong = ("--ref", "v1.2", "--version", "api=v1.3", "--check-artifacts")
    done = scenario.dtree("run", "--job", "api", *store, *wrong, env=env)
    assert done.code == 1, done.stdout + done.stderr
    assert f"{artifacts}/app-v1.3.txt" in done.stderr
    assert "404" in done.stderr
    assert scenario.modified() == before
    which = scenario.dtree("which", "api", *store, "--ref", "v1.2", env=env)
    assert " v1.1 " in which.stdout
    assert commits["v1.1"][:7] in which.stdout

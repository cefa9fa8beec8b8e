"""The seed's four jobs from a tag, local and remote, on a real Nomad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.repositories import commit_files, git, make_repository
from tests.servers.git_server import GitServer, serving
from tests.servers.scenario import Scenario

JOBS = ("postgres", "postgres_setup", "api", "nginx")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as server:
        yield server


def _release(scenario: Scenario, repository: Path, tag: str, release: str) -> str:
    """Commit the four jobs, which say in their meta which release they are of; take the files away; return the commit."""
    meta = f'meta {{\n release = "{release}"\n}}'
    scenario.mock("postgres", job=meta)
    scenario.mock("postgres_setup", 'run_for = "100ms"', type="batch", job=meta, pre="postgres", wait_cond="completed")
    scenario.mock("api", job=meta, pre="postgres_setup")
    scenario.mock("nginx", job=meta, pre="api")
    paths = [scenario.folder / "dependency.json", *sorted((scenario.folder / "jobs").iterdir())]
    commit = commit_files(repository, {str(path.relative_to(scenario.folder)): path.read_bytes() for path in paths})
    git(repository, "tag", tag)
    for path in paths:
        path.unlink()
    return commit


@pytest.mark.parametrize("where", ["remote", "local"])
def test_the_four_jobs_run_from_a_tag_in_order(scenario: Scenario, server: GitServer, where: str) -> None:
    repository = make_repository(server.root / "shop.git", "--bare")
    git(repository, "config", "uploadpack.allowFilter", "true")
    commit = _release(scenario, repository, "v1.2", "old")
    _release(scenario, repository, "v2.0", "new")
    url = server.url("shop.git") if where == "remote" else str(repository)
    words = ("--store", "git", "--git-url", url, "--job", "nginx")
    env = {"XDG_CACHE_HOME": str(scenario.folder / "cache")}

    done = scenario.dtree("run", *words, "--ref", "v1.2", "--output", "json", env=env)

    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == list(JOBS)
    assert f"v1.2 ({commit[:12]}, 2026-03-01)" in done.stdout
    releases = {name: stored["Meta"]["release"] for name in JOBS if (stored := scenario.stored(name))}
    assert releases == dict.fromkeys(JOBS, "old")

    again = scenario.dtree("plan", *words, "--detailed-exitcode", env={**env, "NOMAD_DTREE_REF": "v1.*"})
    assert again.code == 0, again.stdout + again.stderr


def test_a_branch_without_its_server_is_an_error_before_anything_is_changed(scenario: Scenario, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        repository = make_repository(server.root / "shop.git", "--bare")
        _release(scenario, repository, "v1.2", "old")
        url = server.url("shop.git")
    done = scenario.dtree(
        "run", "--all", "--store", "git", "--git-url", url, "--ref", "main", env={"XDG_CACHE_HOME": str(tmp_path / "cache")}
    )
    assert done.code == 1
    assert "error[store-unreachable]" in done.stderr
    assert list(scenario.names()) == []

"""The same four jobs from every kind of store, on a real Nomad; and stores above each other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.installed import Site
from tests.docs.pages import ROOT
from tests.fakes.file_server import EXAMPLE, list_files, serve_files
from tests.fakes.repositories import commit_files, git, make_repository
from tests.servers.consul_agent import ConsulAgent
from tests.servers.eventually import eventually
from tests.servers.scenario import Scenario

JOBS = ("postgres", "postgres_setup", "api", "nginx")


@pytest.fixture
def seed(scenario: Scenario) -> Scenario:
    """The seed's four jobs in a folder of files."""
    scenario.mock("postgres")
    scenario.mock("postgres_setup", 'run_for = "50ms"', type="batch")
    scenario.mock("api", pre="postgres")
    scenario.mock("nginx", pre="api")
    entries: Mapping[str, Any] = {"postgres": {"post": "postgres_setup"}, "api": {"pre": "postgres"}, "nginx": {"pre": "api"}}
    scenario.depfile(entries)
    return scenario


@pytest.fixture
def web(scenario: Scenario) -> Iterator[str]:
    """Address of a web server of the folder."""
    with serve_files(scenario.folder) as address:
        yield address


def submitted(scenario: Scenario) -> dict[str, bytes]:
    """The source that Nomad keeps of each job."""
    return {name: scenario.api.get(f"/v1/job/{scenario.id(name)}/submission", version="0")["Source"].encode() for name in JOBS}


def in_git(scenario: Scenario, folder: Path, tag: str) -> Path:
    """Commit the folder's files to a repository."""
    repository = make_repository(folder, "--bare")
    paths = [scenario.folder / "dependency.json", *sorted((scenario.folder / "jobs").iterdir())]
    commit_files(repository, {str(path.relative_to(scenario.folder)): path.read_bytes() for path in paths})
    git(repository, "tag", tag)
    return repository


def test_from_every_store_nomad_gets_the_same_bytes(
    seed: Scenario, consul: ConsulAgent, web: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    place = seed.prefix.removesuffix("-")
    list_files(seed.folder)
    Site(elsewhere / "site").install(EXAMPLE)
    env = {"PYTHONPATH": os.pathsep.join([str(elsewhere / "site"), str(ROOT)]), "XDG_CACHE_HOME": str(elsewhere / "cache")}
    at: dict[str, list[str]] = {
        "filesystem": ["--fs-root", str(seed.folder)],
        "git": ["--git-url", str(in_git(seed, elsewhere / "shop.git", "v1.2")), "--ref", "v1.2"],
        "consul": ["--consul-addr", consul.address, "--consul-root", place],
        "nomad-variables": ["--vars-prefix", place],
        "http": ["--http-url", web],
    }
    for store in ("consul", "nomad-variables"):
        pushed = seed.dtree("push", "--to", store, *at[store], "--yes", env=env)
        assert pushed.code == 0, pushed.stderr
    expected = {name: (seed.folder / "jobs" / f"{name}.nomad").read_bytes() for name in JOBS}
    for store, words in at.items():
        done = seed.dtree("run", "--job", "nginx", "--store", store, *words, "--output", "json", env=env)
        assert done.code == 0, store + done.stdout + done.stderr
        assert [event["job"] for event in done.of("step-ready")] == list(JOBS), store
        assert submitted(seed) == expected, store
        stopped = seed.dtree("stop", "--job", "nginx", "--deep", "--purge", "--store", store, *words, env=env)
        assert stopped.code == 0, store + stopped.stderr
    for row in seed.api.get("/v1/vars", prefix=f"{place}/"):
        seed.api.delete(f"/v1/var/{row['Path']}")


def test_an_override_in_consul_lies_above_a_base_in_git(
    seed: Scenario, consul: ConsulAgent, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repository = in_git(seed, tmp_path_factory.mktemp("base") / "shop.git", "v1.2")
    place = seed.prefix.removesuffix("-")
    above = (seed.folder / "jobs" / "api.nomad").read_text().replace('run_for = "1h"', 'run_for = "2h"')
    consul.api.put(f"{place}/jobs/api.nomad.hcl", above.encode())
    shutil.rmtree(seed.folder / "jobs")
    words = ["--store", "git", "--git-url", str(repository), "--ref", "v1.2"]
    words += ["--store", "consul", "--consul-addr", consul.address, "--consul-root", place]

    plan = seed.dtree("plan", "nginx", *words, "--output", "json")
    assert plan.code == 0, plan.stderr
    files = {step["job"]: step["file"] for step in json.loads(plan.stdout)["steps"]}
    assert files["api"] == f"consul:kv:{place}/jobs/api.nomad.hcl"
    assert files["nginx"].startswith("git:")
    done = seed.dtree("run", "nginx", *words)
    assert done.code == 0, done.stderr
    assert submitted(seed)["api"] == above.encode()


def test_a_watched_plan_is_shown_again_when_a_key_in_consul_changes(seed: Scenario, consul: ConsulAgent) -> None:
    place = seed.prefix.removesuffix("-")
    at = ["--consul-addr", consul.address, "--consul-root", place]
    assert seed.dtree("push", "--to", "consul", *at, "--yes").code == 0
    api = (seed.folder / "jobs" / "api.nomad").read_text()
    with seed.running("plan", "nginx", "--watch", "--store", "consul", *at) as running:
        assert running.process.stdout is not None
        first = json.loads(running.process.stdout.readline())
        consul.api.put(f"{place}/jobs/api.nomad", api.replace(f'"{seed.prefix}api"', f'"{seed.prefix}renamed"').encode())
        second = json.loads(running.process.stdout.readline())
    ids = [{step["job"]: step["id"] for step in plan["steps"]}["api"] for plan in (first, second)]
    assert ids == [seed.id("api"), seed.id("renamed")]


def test_what_was_pulled_is_what_was_pushed(seed: Scenario, consul: ConsulAgent, tmp_path_factory: pytest.TempPathFactory) -> None:
    at = ["--consul-addr", consul.address, "--consul-root", seed.prefix.removesuffix("-")]
    copy = tmp_path_factory.mktemp("copy") / "new"
    assert seed.dtree("push", "--to", "consul", *at, "--yes").code == 0
    pulled = seed.dtree("pull", "--from", "consul", *at, "--fs-root", str(copy), "--yes")
    assert pulled.code == 0, pulled.stderr
    files = [path.relative_to(seed.folder) for path in (seed.folder / "dependency.json", *(seed.folder / "jobs").iterdir())]
    assert {path: (copy / path).read_bytes() for path in files} == {path: (seed.folder / path).read_bytes() for path in files}
    assert seed.dtree("stores", "diff", "filesystem", "consul", *at).code == 0
    (copy / "jobs" / "api.nomad").unlink()
    gone = eventually(lambda: seed.dtree("stores", "diff", "consul", "filesystem", *at, "--fs-root", str(copy)))
    assert gone.code == 2
    assert "api.nomad" in gone.stdout

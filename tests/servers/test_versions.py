"""Versions on real servers: read from a remote repository and from Consul, locked with images of a registry, and run on Nomad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.git_repo import GitStore

from dtree.store import Commit, Snapshot, StoreContext
from tests.fakes.artifact_server import Registry, registry
from tests.fakes.repositories import be_nobody, commit_files, git
from tests.servers.consul_agent import ConsulAgent
from tests.servers.git_server import GitServer, served_repository, serving
from tests.servers.scenario import Scenario

FILES = {"dependency.json": b'{"dependencies": {"api": {}}}', "jobs/api.nomad": b'job "api" {}'}
DATE = "2026-03-01T12:00:00Z"


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    be_nobody(monkeypatch)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as server:
        yield server


@pytest.fixture
def shop(server: GitServer) -> Path:
    """A bare repository on the server: tag v1 three commits ago, nothing at the last one."""
    folder = served_repository(server, FILES)
    git(folder, "tag", "v1")
    for number in range(3):
        commit_files(folder, {**FILES, "number": str(number).encode()})
    return folder


def no_nomad() -> Any:
    pytest.fail("the Git store has no need of Nomad")


def opened(server: GitServer, tmp_path: Path, ref: str = "HEAD") -> Snapshot:
    known = {option.key: option.default for option in GitStore.options} | {"git_url": server.url("shop.git"), "ref": ref}
    return GitStore(known, StoreContext(cwd=tmp_path, cache=tmp_path / "cache", nomad=no_nomad)).snapshot()


def test_a_remote_repository_tells_of_its_commit_without_its_history_until_that_is_asked_for(
    server: GitServer, shop: Path, tmp_path: Path
) -> None:
    head = git(shop, "rev-parse", "main")
    snapshot = opened(server, tmp_path)
    assert snapshot.commit == Commit(head, DATE, "HEAD")
    assert snapshot.tag() == ""
    (cache,) = (folder for folder in (tmp_path / "cache").iterdir() if folder.is_dir())
    assert (cache / "shallow").exists()
    assert snapshot.describe() == f"v1-3-g{head[:7]}"
    assert not (cache / "shallow").exists()
    git(shop, "tag", "v2")
    assert (snapshot.tag(), snapshot.describe()) == ("v2", "v2")


def test_a_tag_that_was_asked_for_is_its_own_version_and_needs_no_server_once_it_is_known(
    server: GitServer, shop: Path, tmp_path: Path
) -> None:
    git(shop, "tag", "v1.5", "v1")
    opened(server, tmp_path, "v1")
    asked = len(server.requests)
    snapshot = opened(server, tmp_path, "v1")
    assert snapshot.commit == Commit(git(shop, "rev-parse", "v1"), DATE, "v1")
    assert snapshot.tag() == "v1"
    assert len(server.requests) == asked


def test_a_job_gets_the_version_that_consul_holds_and_list_shows_what_runs(scenario: Scenario, consul: ConsulAgent, key: str) -> None:
    scenario.mock("api", job='meta {\n release = "[[ version ]]"\n}', version=f"consul:{key}")
    scenario.mock("web", job='meta {\n api = "[[ versions.api ]]"\n}', pre="api")
    env = {"CONSUL_HTTP_ADDR": consul.address}
    done = scenario.dtree("run", "web", env=env)
    assert done.code == 0, done.stdout + done.stderr
    stored = [scenario.stored(name) for name in ("api", "web")]
    assert [job["Meta"] for job in stored if job] == [{"release": "1.4.2"}, {"api": "1.4.2"}]
    consul.api.put(key, b"1.5.0")
    listed = scenario.dtree("versions", "list", env=env)
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [["api", "1.5.0", "1.4.2"], ["web", "-", "-"]]
    assert f"consul:{key}" in listed.stdout


@pytest.fixture
def key(scenario: Scenario, consul: ConsulAgent) -> Iterator[str]:
    """A key of Consul that holds a version; gone afterwards."""
    consul.api.put(f"{scenario.prefix}versions/api", b"1.4.2\n")
    yield f"{scenario.prefix}versions/api"
    consul.api.drop(scenario.prefix)


@pytest.fixture
def images() -> Iterator[Registry]:
    with registry() as server:
        yield server


def test_a_locked_run_registers_images_by_their_digest_though_the_tag_has_moved(scenario: Scenario, images: Registry) -> None:
    digest = images.push("shop/api", "1.4.2")
    scenario.mock("api", f'image = "{images.host}/shop/api:[[ version ]]"', driver="docker", version="file:VERSION", wait_cond="registered")
    (scenario.folder / "VERSION").write_text("1.4.2\n")
    locked = scenario.dtree("versions", "lock")
    assert locked.code == 0, locked.stdout + locked.stderr
    images.images["shop/api", "1.4.2"] = b"something else"
    (scenario.folder / "VERSION").write_text("2.0\n")
    done = scenario.dtree("run", "api", "--locked")
    assert done.code == 0, done.stdout + done.stderr
    stored = scenario.stored("api")
    assert stored is not None
    assert stored["TaskGroups"][0]["Tasks"][0]["Config"]["image"] == f"{images.host}/shop/api@{digest}"
    assert "unchanged" in scenario.dtree("plan", "api", "--locked").stdout

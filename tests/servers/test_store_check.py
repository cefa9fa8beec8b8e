"""`nomad-dtree stores check` on stores that live on real servers, filled by `push`; and that it leaves them as they were."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from dtree.demo.agent import Agent
from dtree.errors import EXIT_ERROR, EXIT_OK
from tests.cli.installed import Site
from tests.servers.consul_agent import ConsulAgent

SHOP = Path(__file__).parents[2] / "examples" / "shop"


@pytest.fixture
def places(agent: Agent, consul: ConsulAgent, tmp_path: Path) -> dict[str, str]:
    """Environment that leads to a place of this test's own on every server."""
    mine = f"check-{uuid4().hex[:8]}"
    return {
        "NOMAD_ADDR": agent.address,
        "CONSUL_HTTP_ADDR": consul.address,
        "NOMAD_DTREE_CONSUL_ROOT": mine,
        "NOMAD_DTREE_VARS_PREFIX": mine,
        "NOMAD_DTREE_FS_DEPFILE_PATH": str(SHOP / "dependency.json"),
        "HOME": str(tmp_path),
    }


@pytest.mark.parametrize("store", ["consul", "nomad-variables"])
def test_a_store_on_its_server_passes_and_is_left_as_it_was(store: str, places: dict[str, str], tmp_path: Path) -> None:
    program = Site(tmp_path / "site")

    def run(*words: str) -> tuple[int, str]:
        ended = program.run("-m", "dtree", *words, cwd=tmp_path, environ=places)
        assert ended.stderr == "" or words[0] == "push"
        return ended.returncode, ended.stdout

    assert run("push", "--from", "filesystem", "--to", store, "--yes")[0] == EXIT_OK
    code, out = run("stores", "check", store, "--output", "json")
    assert (code, [check for check in json.loads(out)["checks"] if check["result"] != "ok"]) == (EXIT_OK, [])
    assert run("stores", "diff", "filesystem", store)[0] == EXIT_OK


@pytest.mark.parametrize("store", ["consul", "nomad-variables"])
def test_a_store_that_holds_nothing_lacks_its_dependency_file_and_nothing_else(store: str, places: dict[str, str], tmp_path: Path) -> None:
    ended = Site(tmp_path / "site").run("-m", "dtree", "stores", "check", store, "--output", "json", cwd=tmp_path, environ=places)
    failed = [check["check"] for check in json.loads(ended.stdout)["checks"] if check["result"] != "ok"]
    assert (ended.returncode, failed) == (EXIT_ERROR, ["dependency-file", "contents"])

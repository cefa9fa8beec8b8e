"""The pages whose commands need a Nomad, and some a Consul, on real ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtree.demo.agent import Agent
from tests.docs.pages import all_pages, fences, name_of, run_page
from tests.servers.conftest import purge_jobs
from tests.servers.consul_agent import ConsulAgent

PAGES = [page for page in all_pages() if any(fence.needs_nomad for fence in fences(page))]


@pytest.fixture
def clean_agent(agent: Agent, request: pytest.FixtureRequest) -> Iterator[Agent]:
    """The session's agent, without the jobs of the page's files before and after."""
    page: Path = request.node.callspec.params["page"]
    names = {name for fence in fences(page) for name in re.findall(r'^job "([^"]+)"', fence.body, re.MULTILINE)}
    for name in sorted(names):
        purge_jobs(agent.api, name)
    yield agent
    for name in sorted(names):
        purge_jobs(agent.api, name)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_do_what_the_page_says(
    page: Path, clean_agent: Agent, nomad_program: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    environ = {"NOMAD_ADDR": clean_agent.address}
    if any(fence.needs_consul for fence in fences(page)):
        consul: ConsulAgent = request.getfixturevalue("consul")
        environ["CONSUL_HTTP_ADDR"] = consul.address
    assert run_page(page, folder, nomad=nomad_program, environ=environ) == []

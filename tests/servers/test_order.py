"""Order on a real Nomad, judged from its own records alone, over graphs that nobody thought of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dtree.demo.agent import Agent
from tests.servers.conftest import purge_jobs
from tests.servers.scenario import Scenario

Edges = dict[str, set[str]]


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[Edges, set[str]]:
    """Up to 40 jobs, each needing some of those before it; some are batch jobs."""
    size = draw(st.integers(2, 40))
    names = [f"j{number:02}" for number in draw(st.permutations(range(size)))]
    edges = {
        name: set(draw(st.lists(st.sampled_from(names[:position]), max_size=3))) if position else set()
        for position, name in enumerate(names)
    }
    return edges, set(draw(st.lists(st.sampled_from(names), max_size=size // 2)))


@pytest.fixture
def fresh(agent: Agent) -> Iterator[list[Scenario]]:
    """Scenarios that an example makes for itself; their jobs are purged after it."""
    made: list[Scenario] = []
    yield made
    for scenario in made:
        purge_jobs(agent.api, scenario.prefix)


# Each example takes seconds of a real cluster, so there are few, and none is shrunk.
@settings(max_examples=6, phases=[Phase.explicit, Phase.reuse, Phase.generate], suppress_health_check=list(HealthCheck))
@given(graph=_graphs())
def test_no_job_is_registered_before_what_it_needs_is_healthy_or_complete(
    graph: tuple[Edges, set[str]], agent: Agent, tmp_path: Path, fresh: list[Scenario]
) -> None:
    edges, batch = graph
    prefix = f"t{uuid4().hex[:8]}-"
    folder = tmp_path / prefix
    folder.mkdir()
    scenario = Scenario(agent, prefix, folder)
    fresh.append(scenario)
    for name, needs in edges.items():
        config = 'run_for = "30ms"' if name in batch else 'run_for = "1h"'
        scenario.mock(name, config, type="batch" if name in batch else "service", pre=sorted(needs))
    done = scenario.dtree("run", "--all", "--output", "json")
    assert done.code == 0, done.stderr
    registered = scenario.registered()
    ready = {name: _ready_index(scenario, name) for name in edges}
    early = [(name, need) for name, needs in edges.items() for need in needs if registered[name] <= ready[need]]
    assert early == []
    assert sorted(registered) == sorted(edges)

    done = scenario.dtree("stop", "--all")
    assert done.code == 0, done.stderr
    asked = {name: _stop_index(scenario, name) for name in edges if name not in batch}
    ended = {name: max(row["ModifyIndex"] for row in scenario.allocations(name)) for name in asked}
    early = [(need, name) for name in asked for need in edges[name] if need in asked and asked[need] <= ended[name]]
    assert early == []
    purge_jobs(agent.api, prefix)
    fresh.remove(scenario)


def _ready_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the job's only allocation was found healthy, or had completed."""
    (row,) = scenario.allocations(name)
    if row["JobType"] == "batch":
        assert row["ClientStatus"] == "complete"
        return int(row["ModifyIndex"])
    assert row["DeploymentStatus"]["Healthy"] is True
    return int(row["DeploymentStatus"]["ModifyIndex"])


def _stop_index(scenario: Scenario, name: str) -> int:
    evaluations = scenario.api.get(f"/v1/job/{scenario.id(name)}/evaluations")
    (index,) = [row["CreateIndex"] for row in evaluations if row["TriggeredBy"] == "job-deregister"]
    return int(index)

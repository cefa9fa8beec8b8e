"""Choosing a part on a real Nomad, and the least time that a plan takes."""

from __future__ import annotations

import json

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK
from tests.servers.scenario import Scenario

_ONE_SECOND = """
  update {
    max_parallel      = 1
    min_healthy_time  = "1s"
    healthy_deadline  = "10s"
    progress_deadline = "20s"
  }
"""


def test_only_wants_ready_what_it_leaves_out_and_registers_nothing_where_it_is_not(scenario: Scenario) -> None:
    scenario.mock("db", tags=["data"])
    scenario.mock("api", pre=["db"])
    done = scenario.dtree("run", "api", "--only")
    assert done.code == EXIT_ERROR
    assert "error[dependency-not-ready]: 'db' is left out of this run, 'api' needs it, and it is not in Nomad" in done.stderr
    assert scenario.registered() == {}
    assert scenario.dtree("run", "--selector", "tag=data").code == EXIT_OK
    assert scenario.dtree("run", "api", "--only").code == EXIT_OK
    assert set(scenario.registered()) == {"db", "api"}


def test_a_failed_job_that_is_left_out_is_told_with_why_it_failed(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "100ms"\n        exit_code = 3', type="batch")
    scenario.mock("api", pre=["db"])
    assert scenario.dtree("run", "db").code != EXIT_OK
    done = scenario.dtree("run", "api", "--skip", "db")
    assert done.code == EXIT_ERROR
    assert "exit code 3" in done.stderr
    assert set(scenario.registered()) == {"db"}


def test_dependents_are_stopped_before_what_they_need(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre=["db"])
    scenario.mock("web", pre=["api"])
    assert scenario.dtree("run", "--all").code == EXIT_OK
    done = scenario.dtree("stop", "db", "--with-dependents", "--output", "json")
    assert done.code == EXIT_OK
    assert [event["job"] for event in done.of("step-started")] == ["web", "api", "db"]


def _planned_s(scenario: Scenario) -> float:
    done = scenario.dtree("plan", "--all", "--output", "json")
    assert done.code == EXIT_OK, done.stderr
    least_s: float = json.loads(done.stdout)["critical_path"]["least_s"]
    return least_s


def _took_s(scenario: Scenario) -> float:
    done = scenario.dtree("run", "--all", "--output", "json")
    assert done.code == EXIT_OK, done.stderr
    elapsed_s: float = done.of("run-finished")[0]["elapsed_s"]
    return elapsed_s


@pytest.mark.parametrize(
    ("before", "after", "least_s"),
    [
        ({}, {}, 2.0),  # both are new: one round each
        ({"count": 3}, {"count": 3, "config": 'run_for = "2h"'}, 6.0),  # three rounds each
        ({}, {"job": "priority = 60"}, 2.0),  # in place, which makes a deployment too
    ],
)
def test_no_run_is_faster_than_its_plan_says(
    scenario: Scenario, before: dict[str, str | int], after: dict[str, str | int], least_s: float
) -> None:
    if after:
        _write(scenario, before)
        _took_s(scenario)
    _write(scenario, after)
    assert _planned_s(scenario) == least_s
    assert _took_s(scenario) >= least_s


def _write(scenario: Scenario, more: dict[str, str | int]) -> None:
    config = str(more.get("config", 'run_for = "1h"'))
    for name, pre in (("db", []), ("api", ["db"])):
        scenario.mock(name, config, update=_ONE_SECOND, count=int(more.get("count", 1)), job=str(more.get("job", "")), pre=pre)

"""Taking a tree down on a real Nomad: dependents before what they need, each awaited, nobody else's job touched."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.eventually import eventually
from tests.servers.scenario import Scenario

_SLOW_TO_STOP = "trap 'sleep 1; exit 0' INT; while :; do sleep 0.1; done"
_LONG_CLEAN_UP = """
task "clean-up" {
  driver = "mock_driver"
  kill_timeout = "1s"
  lifecycle {
    hook = "poststop"
  }
  config {
    run_for = "25s"
  }
  resources {
    cpu    = 20
    memory = 16
  }
}
"""


def _shop(scenario: Scenario) -> None:
    scenario.shell("postgres", _SLOW_TO_STOP, post={"job": "postgres_setup"})
    scenario.mock("postgres_setup", 'run_for = "50ms"', type="batch")
    scenario.shell("api", _SLOW_TO_STOP, pre={"job": "postgres"})
    scenario.shell("nginx", _SLOW_TO_STOP, pre={"job": "api"})


def _stop_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the job was stopped, from Nomad's own evaluation of it."""
    evaluations = scenario.api.get(f"/v1/job/{scenario.id(name)}/evaluations")
    (index,) = [row["CreateIndex"] for row in evaluations if row["TriggeredBy"] == "job-deregister"]
    return int(index)


def _end_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the job's last allocation had ended."""
    return max(int(row["ModifyIndex"]) for row in scenario.allocations(name))


def _status(scenario: Scenario) -> dict[str, str]:
    found = {name: scenario.stored(name) for name in scenario.names()}
    return {name: job["Status"] for name, job in found.items() if job is not None}


def test_deep_stop_takes_the_tree_down_in_reverse_and_waits_for_each(scenario: Scenario) -> None:
    _shop(scenario)
    assert scenario.dtree("run", "nginx").code == 0
    done = scenario.dtree("stop", "--job", "nginx", "--deep", "--output", "json")
    assert done.code == 0, done.stderr
    assert _status(scenario) == dict.fromkeys(["api", "nginx", "postgres", "postgres_setup"], "dead")
    assert {row["ClientStatus"] for name in scenario.names() for row in scenario.allocations(name)} == {"complete"}
    # No job was asked to stop before the last allocation of those that need it had ended.
    assert _end_index(scenario, "nginx") < _stop_index(scenario, "api")
    assert _end_index(scenario, "api") < _stop_index(scenario, "postgres")


def test_stop_without_deep_takes_only_the_job_and_its_post_jobs(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db", post="warmer")
    scenario.mock("warmer")
    assert scenario.dtree("run", "api").code == 0
    assert scenario.dtree("stop", "api").code == 0
    assert _status(scenario) == {"api": "dead", "db": "running", "warmer": "dead"}
    assert _end_index(scenario, "warmer") < _stop_index(scenario, "api")


def test_what_something_outside_still_needs_is_kept(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    scenario.mock("report", pre="db")
    assert scenario.dtree("run", "api", "report").code == 0
    done = scenario.dtree("stop", "api", "--deep", "--output", "json")
    assert done.code == 0, done.stderr
    (kept,) = done.of("step-kept")
    assert (kept["job"], "report" in kept["reason"]) == ("db", True)
    assert _status(scenario) == {"api": "dead", "db": "running", "report": "running"}


def test_a_goal_that_is_kept_back_is_exit_1_and_nothing_is_stopped(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    assert scenario.dtree("run", "api").code == 0
    done = scenario.dtree("stop", "db")
    assert done.code == 1
    assert "api" in done.stderr
    assert _status(scenario) == {"api": "running", "db": "running"}
    forced = scenario.dtree("stop", "db", "--force")
    assert forced.code == 0, forced.stderr
    assert _status(scenario) == {"api": "running", "db": "dead"}


def test_a_dependent_that_has_ended_keeps_nothing(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("import", 'run_for = "20ms"', type="batch", pre="db")
    assert scenario.dtree("run", "import").code == 0
    assert scenario.dtree("stop", "db").code == 0
    assert _status(scenario)["db"] == "dead"


def test_purge_removes_the_jobs_after_their_allocations_have_ended(scenario: Scenario) -> None:
    _shop(scenario)
    assert scenario.dtree("run", "nginx").code == 0
    done = scenario.dtree("stop", "nginx", "--deep", "--purge", "--output", "json")
    assert done.code == 0, done.stderr
    assert list(scenario.names()) == []
    # A purge takes a job's allocations along at Nomad's next collection, so the order is judged by what the run saw.
    events = done.events
    ended = [event["job"] for event in events if event["event"] == "step-ready"]
    assert ended == ["nginx", "api", "postgres_setup", "postgres"]
    assert {"complete"} >= {row["ClientStatus"] for row in _allocations(scenario)}


def _allocations(scenario: Scenario) -> list[dict[str, Any]]:
    return [row for row in scenario.api.get("/v1/allocations") if row["JobID"].startswith(scenario.prefix)]


def test_purge_of_jobs_that_are_stopped_already(scenario: Scenario) -> None:
    _shop(scenario)
    assert scenario.dtree("run", "nginx").code == 0
    assert scenario.dtree("stop", "nginx", "--deep").code == 0
    done = scenario.dtree("stop", "nginx", "--deep", "--purge")
    assert done.code == 0, done.stderr
    assert list(scenario.names()) == []


def test_running_children_of_a_parent_are_stopped_and_awaited(scenario: Scenario) -> None:
    scenario.shell("import", _SLOW_TO_STOP, type="batch", job="parameterized {}")
    assert scenario.dtree("run", "import").code == 0
    child = scenario.api.put(f"/v1/job/{scenario.id('import')}/dispatch", {})["DispatchedJobID"]
    path = f"/v1/job/{child.replace('/', '%2F')}/allocations"
    eventually(lambda: [row for row in scenario.api.get(path) if row["ClientStatus"] == "running"])
    done = scenario.dtree("stop", "import")
    assert done.code == 0, done.stderr
    assert [row["ClientStatus"] for row in scenario.api.get(path)] == ["complete"]


def test_stop_without_a_job_is_a_usage_error(scenario: Scenario) -> None:
    scenario.mock("db")
    assert scenario.dtree("run", "db").code == 0
    done = scenario.dtree("stop")
    assert done.code == 64
    assert "--all" in done.stderr
    assert _status(scenario) == {"db": "running"}
    assert scenario.dtree("stop", "--all").code == 0
    assert _status(scenario) == {"db": "dead"}


def test_a_job_file_that_is_no_good_does_not_keep_the_rest_from_being_stopped(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    scenario.mock("web", pre="api")
    scenario.mock("cache", pre="db")
    assert scenario.dtree("run", "--all").code == 0
    (scenario.folder / "jobs" / "api.nomad").write_text("no job any more\n")
    (scenario.folder / "jobs" / "cache.nomad").unlink()
    shown = scenario.dtree("status", "--output", "json")
    health = {row["job"]: row["health"] for row in json.loads(shown.stdout)["jobs"]}
    assert health == {"web": "Healthy", "api": "Unknown", "db": "Healthy", "cache": "Unknown"}

    first = scenario.dtree("stop", "--all", "--output", "json")
    assert first.code == 3, first.stderr
    assert _status(scenario) == {"web": "dead", "api": "running", "db": "running", "cache": "running"}
    assert {event["job"] for event in first.of("step-failed")} == {"api", "cache"}
    assert [event["reason"] for event in first.of("step-kept")] == ["may still be needed by api, cache, whose job file is no good"]

    forced = scenario.dtree("stop", "--all", "--force", "--output", "json")
    assert forced.code == 3, forced.stderr
    assert _status(scenario) == {"web": "dead", "api": "running", "db": "dead", "cache": "running"}


def test_stopping_what_is_not_there_says_so(scenario: Scenario) -> None:
    scenario.mock("db")
    done = scenario.dtree("stop", "db")
    assert done.code == 0
    assert "not in Nomad" in done.stderr


def test_nothing_is_called_stopped_in_a_namespace_that_does_not_exist(scenario: Scenario) -> None:
    scenario.mock("db")
    assert scenario.dtree("run", "db").code == 0
    done = scenario.dtree("stop", "db", "--namespace", "prdo")
    assert done.code == 1
    assert "there is no namespace 'prdo' in this Nomad, where job 'db' would be" in done.stderr
    assert _status(scenario) == {"db": "running"}
    assert "there is no namespace 'prdo'" in scenario.dtree("status", "db", "--namespace", "prdo").stdout


def test_the_timeout_of_an_entry_leaves_its_tasks_the_time_to_end(scenario: Scenario) -> None:
    scenario.shell("api", _SLOW_TO_STOP.replace("sleep 1", "sleep 3"), task='kill_timeout = "20s"')
    assert scenario.dtree("run", "api").code == 0
    scenario.entries["api"]["timeout"] = 1
    scenario.depfile(scenario.entries)
    done = scenario.dtree("stop", "api")
    assert done.code == 0, done.stderr
    assert _status(scenario) == {"api": "dead"}


def test_a_job_that_does_not_end_in_time_keeps_what_it_needs_running(scenario: Scenario) -> None:
    scenario.mock("db")
    # Nomad cuts no task short that runs after the main one, so this goes on beyond kill_timeout and the seconds to spare.
    scenario.shell("api", _SLOW_TO_STOP, task='kill_timeout = "1s"', group=_LONG_CLEAN_UP, pre="db")
    assert scenario.dtree("run", "api").code == 0
    scenario.entries["api"]["timeout"] = 1
    scenario.depfile(scenario.entries)
    done = scenario.dtree("stop", "api", "--deep", "--output", "json")
    assert done.code == 6, done.stderr
    assert [(event["job"], event["kind"]) for event in done.of("step-failed")] == [("api", "timed-out")]
    assert [(event["job"], event["because"]) for event in done.of("step-lost")] == [("db", "api")]
    assert _status(scenario)["db"] == "running"

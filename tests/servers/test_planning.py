"""What `plan` says of a real Nomad, that it changes nothing there, and that an unchanged job is no drift."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.eventually import eventually
from tests.servers.scenario import HEALTHY_LATER, Scenario

SCALED = """
scaling {
  min     = 1
  max     = 5
  enabled = true
}
"""


def planned(scenario: Scenario, *words: str) -> dict[str, Any]:
    """What `plan --output json` writes; it registers nothing and changes no job."""
    before = scenario.modified()
    done = scenario.dtree("plan", *words, "--output", "json")
    assert done.code == 0, done.stderr
    assert scenario.modified() == before
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def stored(scenario: Scenario, name: str) -> dict[str, Any]:
    found = scenario.stored(name)
    assert found is not None
    return found


def steps(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(step["job"], step["change"], step["cause"]) for step in document["steps"]]


def lines(scenario: Scenario, *words: str) -> list[str]:
    """What `plan` writes for people, with single blanks and without the test's prefix."""
    done = scenario.dtree("plan", *words)
    assert done.code == 0, done.stderr
    return [" ".join(line.replace(scenario.prefix, "").split()) for line in done.stdout.splitlines()]


def exit_code(scenario: Scenario, *words: str) -> int:
    return scenario.dtree("plan", *words, "--detailed-exitcode").code


def bring_up(scenario: Scenario, *words: str) -> None:
    done = scenario.dtree("run", *words)
    assert done.code == 0, done.stderr


def test_new_jobs_are_created_each_after_what_it_needs(scenario: Scenario) -> None:
    scenario.mock("postgres", post="setup")
    scenario.mock("setup", type="batch")
    scenario.mock("api", pre="postgres")
    document = planned(scenario, "api")
    assert [(step["job"], step["change"], step["needs"]) for step in document["steps"]] == [
        ("postgres", "create", []),
        ("setup", "create", ["postgres"]),
        ("api", "create", ["postgres", "setup"]),
    ]
    assert document["counts"] == {"create": 3}
    assert [step["id"] for step in document["steps"]] == [scenario.id(name) for name in ("postgres", "setup", "api")]
    assert scenario.names() == []
    assert exit_code(scenario, "api") == 2
    head, gap, *shown = lines(scenario, "api")
    assert head.startswith("plan api: 3 steps, stack ")
    assert (head.endswith(f", {scenario.agent.address}"), gap) == (True, "")
    assert shown == [
        "1 + postgres (postgres) create not in Nomad yet",
        "2 + setup (setup) create after postgres not in Nomad yet",
        "3 + api (api) create after postgres, setup not in Nomad yet",
        "",
        "critical path: postgres -> setup -> api",
        "Plan: 3 to create.",
    ]
    assert scenario.names() == []


def test_unchanged_jobs_of_every_kind_are_nothing_to_change(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("pull", 'run_for = "20ms"', type="sysbatch", group="")
    scenario.mock("proxy", type="system")
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    scenario.mock("nightly", type="batch", job='periodic {\n crons = ["0 3 1 1 *"]\n }')
    scenario.mock("off", count=0)
    bring_up(scenario, "--all")
    document = planned(scenario, "--all")
    assert steps(document) == [
        ("db", "noop", "runs, unchanged"),
        ("nightly", "noop", "registered, unchanged"),
        ("off", "noop", "unchanged"),
        ("proxy", "noop", "runs, unchanged"),
        ("pull", "noop", "completed, unchanged"),
        ("seed", "noop", "completed, unchanged"),
    ]
    assert lines(scenario, "--all")[-1] == "Nothing to change: 6 unchanged."
    assert exit_code(scenario, "--all") == 0


def test_what_has_no_place_is_not_said_to_run(scenario: Scenario) -> None:
    nowhere = 'constraint {\n attribute = "${attr.kernel.name}"\n value = "plan9"\n }'
    scenario.mock("db", job=nowhere)
    scenario.mock("proxy", type="system", job=nowhere)
    assert scenario.dtree("run", "--all", "--placement-timeout", "1s").code == 3
    assert steps(planned(scenario, "--all")) == [
        ("db", "evaluate", "unchanged, but 1 allocation is missing"),
        ("proxy", "noop", "unchanged"),
    ]


def test_a_change_in_place_is_an_update_that_names_what_changed(scenario: Scenario) -> None:
    scenario.mock("db")
    bring_up(scenario, "db")
    scenario.mock("db", job="priority = 60")
    assert steps(planned(scenario, "db")) == [("db", "update", "changed: Priority")]
    assert exit_code(scenario, "db") == 2


def test_another_count_is_an_update_in_place(scenario: Scenario) -> None:
    scenario.mock("db")
    bring_up(scenario, "db")
    scenario.mock("db", count=3)
    assert steps(planned(scenario, "db")) == [("db", "update", "changed: group main.Count")]


def test_a_change_that_replaces_allocations_is_a_replacement(scenario: Scenario) -> None:
    scenario.mock("db")
    bring_up(scenario, "db")
    scenario.mock("db", 'run_for = "2h"')
    assert steps(planned(scenario, "db")) == [("db", "replace", "changed: group main.task main.Config.run_for")]
    assert lines(scenario, "db")[-1] == "Plan: 1 to replace."
    assert exit_code(scenario, "db") == 2


def test_a_stopped_job_is_created_again(scenario: Scenario) -> None:
    scenario.mock("db")
    bring_up(scenario, "db")
    scenario.api.delete(f"/v1/job/{scenario.id('db')}")
    eventually(lambda: scenario.allocations("db")[0]["ClientStatus"] == "complete")
    assert steps(planned(scenario, "db")) == [("db", "create", "was stopped")]
    assert exit_code(scenario, "db") == 2


def test_a_failed_job_is_run_again_and_the_plan_says_how(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "20ms"\nexit_code = 1', update=HEALTHY_LATER)
    scenario.mock("seed", 'run_for = "20ms"\nexit_code = 1', type="batch")
    assert scenario.dtree("run", "--all").code == 3
    assert steps(planned(scenario, "--all")) == [
        ("db", "rerun", "unchanged, but version 0 failed: purged first: no earlier version was stable and nothing of it runs"),
        ("seed", "rerun", "unchanged, but version 0 failed: stopped first, so that Nomad runs it again"),
    ]
    assert lines(scenario, "--all")[-1] == "Plan: 2 to run again."
    assert exit_code(scenario, "--all") == 2


def test_what_cannot_be_done_is_said_beforehand(scenario: Scenario) -> None:
    scenario.shell("db", '[ "$NOMAD_ALLOC_INDEX" = 0 ] || exit 1; exec sleep 3600', count=2, update=HEALTHY_LATER)
    assert scenario.dtree("run", "db").code == 3
    (step,) = planned(scenario, "db")["steps"]
    assert "no earlier version was stable, and 1 allocation of it still runs" in step["refused"]["why"]
    assert "nomad-dtree stop db --purge" in step["refused"]["hint"]
    assert lines(scenario, "db")[-1] == "Plan: 1 that cannot be done."


def test_counts_that_an_autoscaler_owns_are_no_drift(scenario: Scenario) -> None:
    scenario.mock("api", group=SCALED)
    bring_up(scenario, "api")
    eventually(lambda: (scenario.stored("api") or {})["Stable"])
    scenario.api.put(f"/v1/job/{scenario.id('api')}/scale", {"Target": {"Group": "main"}, "Count": 3})
    assert steps(planned(scenario, "api")) == [("api", "noop", "runs, unchanged")]
    bring_up(scenario, "api")
    assert stored(scenario, "api")["TaskGroups"][0]["Count"] == 3


def test_another_change_leaves_the_autoscalers_count_as_it_is(scenario: Scenario) -> None:
    scenario.mock("api", group=SCALED)
    bring_up(scenario, "api")
    eventually(lambda: (scenario.stored("api") or {})["Stable"])
    scenario.api.put(f"/v1/job/{scenario.id('api')}/scale", {"Target": {"Group": "main"}, "Count": 3})
    scenario.mock("api", group=SCALED, job="priority = 60")
    assert steps(planned(scenario, "api")) == [("api", "update", "changed: Priority")]
    bring_up(scenario, "api")
    api = stored(scenario, "api")
    assert (api["Priority"], api["TaskGroups"][0]["Count"]) == (60, 3)


def test_a_count_that_nobody_but_the_file_owns_is_drift(scenario: Scenario) -> None:
    scenario.mock("api")
    bring_up(scenario, "api")
    eventually(lambda: (scenario.stored("api") or {})["Stable"])
    scenario.api.put(f"/v1/job/{scenario.id('api')}/scale", {"Target": {"Group": "main"}, "Count": 2})
    assert steps(planned(scenario, "api")) == [("api", "update", "changed: group main.Count")]


def test_two_plans_of_the_same_state_are_equal_byte_for_byte(scenario: Scenario) -> None:
    for name in ("d", "b", "a", "c"):
        scenario.mock(name)
    scenario.mock("top", pre=["d", "b", "a", "c"])
    first, second = (scenario.dtree("plan", "top", "--output", "json").stdout for _ in range(2))
    assert first == second
    assert [step["job"] for step in json.loads(first)["steps"]] == ["a", "b", "c", "d", "top"]


def test_a_job_file_that_nomad_cannot_parse_is_told_with_its_line_and_nothing_is_registered(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.job("api", 'job "PREFIXapi" {\n  group "main" {\n    cuont = 1\n  }\n}\n', pre="db")
    for verb in ("plan", "run"):
        done = scenario.dtree(verb, "api", "--output", "json")
        assert done.code == 1, done.stdout
        (error,) = [json.loads(line) for line in done.stdout.splitlines()]
        assert (error["code"], error["file"], error["line"]) == ("bad-job-file", "jobs/api.nomad", 3)
        assert "cuont" in error["problem"]
    assert scenario.names() == []

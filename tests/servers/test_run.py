"""Bringing up a tree on a real Nomad, judged by Nomad's own records."""

from __future__ import annotations

from tests.servers.scenario import HEALTHY_LATER, Scenario


def test_the_seeds_four_jobs_come_up_in_order(scenario: Scenario) -> None:
    scenario.mock("postgres", post={"job": "postgres_setup"})
    scenario.mock("postgres_setup", 'run_for = "200ms"', type="batch")
    scenario.mock("api", pre={"job": "postgres"})
    scenario.mock("nginx", pre={"job": "api"})
    done = scenario.dtree("run", "--job", "nginx", "--output", "json")
    assert done.code == 0, done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["postgres", "postgres_setup", "api", "nginx"]
    indexes = scenario.registered()
    assert sorted(indexes, key=indexes.__getitem__) == ["postgres", "postgres_setup", "api", "nginx"]
    setup = scenario.allocations("postgres_setup")[0]
    assert setup["ClientStatus"] == "complete"
    assert setup["ModifyIndex"] < indexes["api"]


def test_a_second_run_changes_nothing(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("seed", 'run_for = "50ms"', type="batch", pre="db")
    scenario.mock("api", pre="seed")
    assert scenario.dtree("run", "api").code == 0
    before = scenario.modified()
    done = scenario.dtree("run", "api", "--output", "json")
    assert done.code == 0, done.stderr
    assert [event["changed"] for event in done.of("step-registered")] == [False, False, False]
    assert scenario.modified() == before


def test_a_failed_job_keeps_its_dependents_from_being_registered(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "100ms"\nexit_code = 3', update=HEALTHY_LATER)
    scenario.mock("api", pre="db")
    scenario.mock("other")
    done = scenario.dtree("run", "api", "other", "--output", "json")
    assert done.code == 3, done.stdout + done.stderr
    (failed,) = done.of("step-failed")
    assert failed["job"] == "db"
    assert "3" in failed["reason"]
    assert [(event["job"], event["because"]) for event in done.of("step-lost")] == [("api", "db")]
    assert scenario.names() == ["db", "other"]

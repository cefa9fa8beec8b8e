"""Canaries on a real Nomad: who promotes them, what waits for that, and what becomes of a promotion that never comes or goes wrong."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dtree.demo.agent import Agent
from tests.servers.conftest import purge_jobs
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

UPDATE = """
  update {{
    canary            = {canary}
    max_parallel      = 2
    min_healthy_time  = "{healthy_s}s"
    healthy_deadline  = "90s"
    progress_deadline = "100s"
    {more}
  }}
"""


def web(
    scenario: Scenario, config: str = 'run_for = "2h"', *, canary: int = 1, healthy_s: int = 0, more: str = "", count: int = 2, **entry: Any
) -> None:
    """Write the second version of a job with canaries, which `user` needs."""
    scenario.mock("web", config, count=count, update=UPDATE.format(canary=canary, healthy_s=healthy_s, more=more), **entry)
    scenario.mock("user", pre=["web"])


def begin(scenario: Scenario, **more: Any) -> None:
    """Have the first version up, then write the second one."""
    web(scenario, 'run_for = "1h"', **more)
    first = scenario.dtree("run", "web", "--quiet")
    assert first.code == 0, first.stderr
    web(scenario, **more)


def run(scenario: Scenario, *words: str, code: int = 0, verb: str = "run") -> Done:
    done = scenario.dtree(verb, *words, "--output", "json")
    assert done.code == code, done.stdout + done.stderr
    return done


def deployment(scenario: Scenario, version: int = 1) -> dict[str, Any]:
    found: list[dict[str, Any]] = scenario.api.get(f"/v1/job/{scenario.id('web')}/deployments")
    return next(one for one in found if one["JobVersion"] == version)


def running(scenario: Scenario, name: str = "web") -> list[int]:
    """Versions of the allocations that run and are meant to."""
    found = scenario.allocations(name)
    return sorted(one["JobVersion"] for one in found if one["ClientStatus"] == "running" and one["DesiredStatus"] == "run")


def waiting(done: Done) -> list[str]:
    return [event["reason"] for event in done.of("step-waiting") if event["job"] == "web"]


def failed(done: Done) -> dict[str, Any]:
    (event,) = done.of("step-failed")
    return event


# -- auto --------------------------------------------------------------------------------------------------------------


def test_auto_promotes_healthy_canaries_and_only_then_come_the_dependents(scenario: Scenario) -> None:
    begin(scenario, promote="auto")
    planned = scenario.dtree("plan", "user").stdout
    assert "canaries first, promoted once healthy" in planned
    done = run(scenario, "user")
    told = [(event["event"], event["job"]) for event in done.events if event["event"] in ("step-promoted", "step-ready", "step-started")]
    assert told == [
        ("step-started", "web"),
        ("step-promoted", "web"),
        ("step-ready", "web"),
        ("step-started", "user"),
        ("step-ready", "user"),
    ]
    assert running(scenario) == [1, 1]
    assert deployment(scenario)["TaskGroups"]["main"]["Promoted"] is True


def test_after_promotes_once_the_canaries_have_been_healthy_for_so_long(scenario: Scenario) -> None:
    begin(scenario, promote={"after": "2s"})
    done = run(scenario, "web")
    (promoted,) = done.of("step-promoted")
    (since,) = [event for event in done.of("step-waiting") if "awaiting promotion" in event["reason"]]
    assert since["reason"] == "awaiting promotion: 1 healthy canary of version 1; promoted once healthy for 2 s"
    passed = datetime.fromisoformat(promoted["time"]) - datetime.fromisoformat(since["time"])
    assert passed.total_seconds() >= 2.0


def test_a_canary_that_falls_over_meanwhile_is_a_failure_and_is_not_promoted(scenario: Scenario) -> None:
    begin(scenario, promote={"after": "1h"})
    web(scenario, 'run_for = "2s"\nexit_code = 7', promote={"after": "1h"})
    done = run(scenario, "user", code=3)
    assert any("awaiting promotion" in reason for reason in waiting(done))
    assert "exit code 7" in failed(done)["reason"].lower()
    assert (done.of("step-promoted"), running(scenario), "user" in scenario.registered()) == ([], [0, 0], False)


def test_a_job_without_canaries_and_a_first_version_have_nothing_to_promote(scenario: Scenario) -> None:
    web(scenario, promote="auto")
    assert run(scenario, "user").of("step-promoted") == []
    refused = run(scenario, "web", verb="promote", code=1)
    (error,) = refused.events
    assert error["code"] == "nothing-to-promote"
    assert error["problem"].startswith("'web' does not await promotion: the deployment of version 0 ")


def test_auto_promote_of_the_job_file_needs_nobody(scenario: Scenario) -> None:
    begin(scenario, more="auto_promote = true")
    done = run(scenario, "user")
    assert (done.of("step-promoted"), running(scenario)) == ([], [1, 1])


@pytest.mark.parametrize("promote", ["manual", {"after": "5m"}])
def test_auto_promote_of_the_job_file_beside_another_word_is_a_fault_before_anything_changes(scenario: Scenario, promote: Any) -> None:
    web(scenario, more="auto_promote = true", promote=promote)
    done = run(scenario, "user", code=1)
    (error,) = done.events
    assert (error["code"], error["key"]) == ("promotes-itself", "dependencies.web.promote")
    assert scenario.registered() == {}


# -- manual ------------------------------------------------------------------------------------------------------------


def test_a_canary_that_nobody_promotes_is_exit_7_until_the_command_does(scenario: Scenario) -> None:
    begin(scenario)
    done = run(scenario, "user", "--promotion-timeout", "1s", code=7)
    assert waiting(done)[-1] == "awaiting promotion: 1 healthy canary of version 1; `nomad-dtree promote web`"
    event = failed(done)
    assert (event["kind"], event["reason"]) == ("awaiting-promotion", "1 healthy canary of version 1, for 1 s")
    assert event["hint"] == "promote with `nomad-dtree promote web`, then run again for what needs it"

    again = run(scenario, "user", "--promotion-timeout", "0", code=7)
    assert [one["changed"] for one in again.of("step-registered")] == [False]
    assert (again.of("step-ready"), running(scenario), "user" in scenario.registered()) == ([], [0, 0, 1], False)
    assert "unchanged, but awaiting promotion: 1 healthy canary of version 1" in scenario.dtree("plan", "user").stdout
    (row,) = json.loads(scenario.dtree("status", "web", "--output", "json").stdout)["jobs"]
    assert (row["health"], row["reason"]) == ("Suspended", "awaiting promotion: 1 healthy canary of version 1")

    promoted = run(scenario, "web", verb="promote")
    assert [event["event"] for event in promoted.events if event["event"] in ("step-promoted", "step-ready")] == [
        "step-promoted",
        "step-ready",
    ]
    assert running(scenario) == [1, 1]
    assert run(scenario, "user").of("run-finished")[0]["exit_code"] == 0


def test_somebody_else_promotes_while_a_run_waits(scenario: Scenario) -> None:
    begin(scenario)
    with scenario.running("run", "user") as under_way:
        under_way.until("step-waiting", "web", "awaiting promotion")
        mine = deployment(scenario)["ID"]
        scenario.api.put(f"/v1/deployment/promote/{mine}", {"DeploymentID": mine, "All": True})
        done = under_way.finish()
    assert (done.code, done.of("step-promoted"), running(scenario)) == (0, [], [1, 1])


def test_somebody_else_fails_the_deployment_while_a_run_waits(scenario: Scenario) -> None:
    begin(scenario)
    with scenario.running("run", "user") as under_way:
        under_way.until("step-waiting", "web", "awaiting promotion")
        scenario.api.put(f"/v1/deployment/fail/{deployment(scenario)['ID']}", {})
        done = under_way.finish()
    assert (done.code, failed(done)["kind"], "user" in scenario.registered()) == (3, "failed", False)
    assert "Deployment marked as failed" in failed(done)["reason"]


def test_a_newer_version_of_somebody_else_supersedes_the_canary(scenario: Scenario) -> None:
    begin(scenario)
    with scenario.running("run", "user") as under_way:
        under_way.until("step-waiting", "web", "awaiting promotion")
        job = scenario.stored("web")
        assert job is not None
        job["TaskGroups"][0]["Tasks"][0]["Config"] = {"run_for": "3h"}
        scenario.api.put("/v1/jobs", {"Job": job})
        done = under_way.finish()
    assert (done.code, failed(done)["kind"], "user" in scenario.registered()) == (3, "superseded", False)


def test_an_interrupt_while_a_canary_awaits_promotion_leaves_it_as_it_is(scenario: Scenario) -> None:
    begin(scenario)
    with scenario.running("run", "user") as under_way:
        under_way.until("step-waiting", "web", "awaiting promotion")
        under_way.process.terminate()
        done = under_way.finish()
    assert (done.code, running(scenario), deployment(scenario)["Status"]) == (130, [0, 0, 1], "running")


def test_a_canary_that_fails_is_told_with_the_reason_of_its_version_though_nomad_reverts(scenario: Scenario) -> None:
    begin(scenario, more="auto_revert = true", promote="auto")
    eventually(lambda: deployment(scenario, 0)["Status"] == "successful")  # only a stable version is reverted to
    web(scenario, 'run_for = "0.5s"\nexit_code = 9', more="auto_revert = true", healthy_s=2, promote="auto")
    done = run(scenario, "user", code=3)
    assert failed(done)["kind"] == "failed"
    told = "deployment of version 1: Failed due to unhealthy allocations - rolling back to job version 0; task main: exit code 9"
    assert failed(done)["reason"] == told
    assert [(one["job"], one["exit_code"]) for one in failed(done)["exits"]] == [(scenario.id("web"), 9)]
    assert (done.of("step-promoted"), "user" in scenario.registered()) == ([], False)


# -- shapes of jobs ----------------------------------------------------------------------------------------------------


def test_of_several_groups_only_some_have_canaries(scenario: Scenario) -> None:
    def groups(run_for: str) -> str:
        one = """
  group "%s" {
    update {
      canary = %d
      min_healthy_time  = "0s"
      healthy_deadline  = "10s"
      progress_deadline = "20s"
    }
    task "main" {
      driver = "mock_driver"
      config {
        run_for = "%s"
      }
      logs {
        disabled = true
      }
      resources {
        cpu    = 10
        memory = 10
      }
    }
  }
"""
        return f'job "PREFIXweb" {{ {one % ("careful", 1, run_for)} {one % ("plain", 0, run_for)} }}'

    scenario.job("web", groups("1h"), promote="auto")
    run(scenario, "web")
    scenario.job("web", groups("2h"))
    assert failed(run(scenario, "web", "--promotion-timeout", "0", code=7))["kind"] == "awaiting-promotion"
    assert running(scenario) == [0, 1, 1]
    run(scenario, "web", verb="promote")
    assert eventually(lambda: running(scenario) == [1, 1])


def test_blue_and_green_run_side_by_side_until_the_promotion(scenario: Scenario) -> None:
    begin(scenario, canary=2)
    run(scenario, "web", "--promotion-timeout", "0", code=7)
    assert running(scenario) == [0, 0, 1, 1]
    run(scenario, "--all", verb="promote")
    assert eventually(lambda: running(scenario) == [1, 1])


def test_a_system_job_has_canaries_too(scenario: Scenario) -> None:
    update = UPDATE.format(canary=100, healthy_s=0, more="")  # of a hundred nodes
    for run_for, code in (("1h", 0), ("2h", 7)):
        scenario.mock("web", f'run_for = "{run_for}"', type="system", update=update)
        run(scenario, "web", "--promotion-timeout", "0", code=code)
    run(scenario, "web", verb="promote")
    assert deployment(scenario)["TaskGroups"]["main"]["Promoted"] is True


def test_a_count_of_0_has_no_canaries_and_hangs_nothing(scenario: Scenario) -> None:
    begin(scenario, count=0, promote="auto")
    assert run(scenario, "web").of("step-promoted") == []


def test_a_job_that_is_ready_once_registered_is_promoted_all_the_same(scenario: Scenario) -> None:
    begin(scenario, wait_cond="registered", promote="auto")
    done = run(scenario, "user")
    told = [(event["event"], event["job"]) for event in done.events if event["event"] in ("step-promoted", "step-started", "step-ready")]
    assert told.index(("step-started", "user")) < told.index(("step-promoted", "web"))
    assert ("step-ready", "web") in told


def test_a_rollback_takes_canaries_back_that_nobody_promoted_and_promotes_those_of_what_it_returns_to(scenario: Scenario) -> None:
    update = UPDATE.format(canary=1, healthy_s=0, more="")
    for run_for in ("1h", "2h"):
        web(scenario, f'run_for = "{run_for}"', promote="manual")
        scenario.mock("db", f'run_for = "{run_for}"', update=update, promote="auto")
        if run_for == "1h":
            run(scenario, "web", "db")
    scenario.mock("bad", 'run_for = "3s"\nexit_code = 1', type="batch", on_failure="rollback")
    done = run(scenario, "web", "db", "bad", code=4)
    assert [event["job"] for event in done.of("step-promoted")] == ["db"]
    assert sorted(event["job"] for event in done.of("step-returned")) == ["bad", "db", "web"]
    assert eventually(lambda: (running(scenario), running(scenario, "db")) == ([2, 2], [2]))


@pytest.mark.parametrize(("promote", "code"), [("manual", 4), ("auto", 5)])
def test_a_rollback_promotes_no_canaries_that_nobody_had_promoted(scenario: Scenario, promote: str, code: int) -> None:
    begin(scenario, promote="manual")
    run(scenario, "web", "--promotion-timeout", "0", code=7)
    web(scenario, 'run_for = "3h"', promote=promote)
    scenario.mock("bad", 'run_for = "2s"\nexit_code = 1', type="batch", on_failure="rollback")
    assert "web (once its new version has taken over: version 1 had not)" in scenario.dtree("plan", "--all").stdout
    done = run(scenario, "web", "bad", code=code)
    if promote == "manual":
        assert (done.of("step-promoted"), sorted(event["job"] for event in done.of("step-returned"))) == ([], ["bad", "web"])
        assert eventually(lambda: running(scenario) == [0, 0, 3])
        assert deployment(scenario, 3)["TaskGroups"]["main"]["Promoted"] is False
        run(scenario, "web", verb="promote")
        assert eventually(lambda: running(scenario) == [3, 3])
        return
    (missed,) = done.of("step-not-returned")
    assert (missed["job"], eventually(lambda: running(scenario) == [2, 2])) == ("web", True)
    assert "nobody had promoted the canaries of version 1, and what ran beside them, version 0, does so no more" in missed["reason"]


def test_who_could_do_without_a_job_waits_for_its_promotion_all_the_same(scenario: Scenario) -> None:
    begin(scenario, on_failure="continue")
    done = run(scenario, "user", "--promotion-timeout", "0", code=7)
    assert [event["job"] for event in done.of("step-lost")] == ["user"]
    run(scenario, "web", verb="promote")
    run(scenario, "user")


def test_a_run_that_is_ready_once_registered_says_that_canaries_wait(scenario: Scenario) -> None:
    begin(scenario, wait_cond="registered")
    (warning,) = run(scenario, "web").of("run-warned")
    assert (warning["problem"], warning["hint"]) == (
        "'web' is registered; its canaries wait until somebody promotes them",
        "once they are healthy: `nomad-dtree promote web`",
    )


# -- the command -------------------------------------------------------------------------------------------------------


def test_canaries_that_are_not_healthy_are_not_promoted(scenario: Scenario) -> None:
    begin(scenario)
    web(scenario, healthy_s=60)
    with scenario.running("run", "web") as under_way:
        under_way.until("step-registered", "web")
        eventually(lambda: deployment(scenario)["Status"] == "running")
        refused = run(scenario, "--all", verb="promote", code=1)
        under_way.process.terminate()
        under_way.finish()
    (error,) = refused.events
    assert (error["code"], error["problem"]) == ("canaries-not-healthy", "'web' cannot be promoted yet: 0 of 1 canary of version 1 healthy")
    assert deployment(scenario)["TaskGroups"]["main"]["Promoted"] is False


def test_of_all_jobs_those_that_are_not_healthy_yet_are_named_and_the_others_promoted(scenario: Scenario) -> None:
    begin(scenario)
    scenario.mock("db", 'run_for = "1h"', update=UPDATE.format(canary=1, healthy_s=0, more=""))
    run(scenario, "db")
    web(scenario, 'run_for = "2h"', healthy_s=60)
    scenario.mock("db", 'run_for = "2h"', update=UPDATE.format(canary=1, healthy_s=0, more=""))
    with scenario.running("run", "web", "db") as under_way:
        under_way.until("step-waiting", "db", "awaiting promotion")
        eventually(lambda: deployment(scenario)["Status"] == "running")
        done = run(scenario, "--all", verb="promote")
        under_way.process.terminate()
        under_way.finish()
    assert [event["job"] for event in done.of("step-ready")] == ["db"]
    (warning,) = done.of("run-warned")
    assert warning["problem"] == "'web' cannot be promoted yet: 0 of 1 canary of version 1 healthy"


def test_of_all_jobs_those_that_await_it_are_promoted_each_after_what_it_needs(scenario: Scenario) -> None:
    update = UPDATE.format(canary=1, healthy_s=0, more="")
    for run_for, code in (("1h", 0), ("2h", 7)):
        scenario.mock("db", f'run_for = "{run_for}"', update=update)
        scenario.mock("api", f'run_for = "{run_for}"', update=update, pre=[{"job": "db", "condition": "registered"}])
        scenario.mock("user", pre=["api"])
        run(scenario, "api", "--promotion-timeout", "0", code=code)
    done = run(scenario, "--all", verb="promote")
    told = [(event["event"], event["job"]) for event in done.events if event["event"] in ("step-promoted", "step-ready")]
    assert told == [("step-promoted", "db"), ("step-ready", "db"), ("step-promoted", "api"), ("step-ready", "api")]
    assert "user" not in scenario.registered()
    assert run(scenario, "--all", verb="promote", code=1).events[0]["code"] == "nothing-to-promote"


def test_a_token_that_may_not_promote_is_told_which_capability_it_lacks(acl_agent: Agent, tmp_path: Path) -> None:
    prefix, name = f"t{uuid4().hex[:8]}-", f"policy-{uuid4().hex[:8]}"
    guarded = Scenario(acl_agent, prefix, tmp_path)
    rules = 'namespace "default" {\n capabilities = ["read-job", "list-jobs", "parse-job"]\n}'
    acl_agent.api.put(f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
    token = acl_agent.api.put("/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})["SecretID"]
    manager = {"NOMAD_TOKEN": acl_agent.token}
    try:
        for run_for, code in (("1h", 0), ("2h", 7)):
            web(guarded, f'run_for = "{run_for}"')
            assert guarded.dtree("run", "web", "--promotion-timeout", "0", env=manager).code == code
        done = guarded.dtree("promote", "web", "--output", "json", env={"NOMAD_TOKEN": token})
        assert (done.code, failed(done)["kind"]) == (1, "error")
        assert "the capability submit-job in namespace 'default'" in failed(done)["hint"]
        assert deployment(guarded)["TaskGroups"]["main"]["Promoted"] is False
    finally:
        purge_jobs(acl_agent.api, prefix)

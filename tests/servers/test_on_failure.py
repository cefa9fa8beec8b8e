"""What a failure means, on a real Nomad: another attempt, going on without the job, and returning what the run changed."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.servers.eventually import eventually
from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

FAILS = 'run_for = "100ms"\nexit_code = 3'
NEVER = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n }'
RELEASE = 'meta {{\n release = "{}"\n}}'


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def service(scenario: Scenario, name: str, release: int, config: str = 'run_for = "1h"', **more: Any) -> None:
    """Write a service whose specification differs from release to release; one that is to fail is not called healthy before it does."""
    update = more.pop("update", HEALTHY_LATER if config == FAILS else None)
    scenario.mock(name, config, job=RELEASE.format(release), update=update, **more)


def release_of(scenario: Scenario, name: str) -> str:
    """The release that Nomad has of a job, which is not stopped; "" for none."""
    stored = scenario.stored(name)
    return "" if stored is None or stored["Stop"] else str(stored["Meta"]["release"])


def healthy(scenario: Scenario, name: str) -> int:
    """Healthy running allocations of the stored version of a job."""
    stored = scenario.stored(name)
    assert stored is not None
    rows = [row for row in scenario.allocations(name) if row["JobVersion"] == stored["Version"] and row["ClientStatus"] == "running"]
    return sum((row["DeploymentStatus"] or {}).get("Healthy") is True for row in rows)


def healthy_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the newest allocation of a job became healthy."""
    newest = scenario.allocations(name)[-1]
    assert newest["DeploymentStatus"]["Healthy"] is True
    return int(newest["DeploymentStatus"]["ModifyIndex"])


def returned(done: Done) -> list[str]:
    return [event["job"] for event in done.of("step-returned")]


# -- rollback ----------------------------------------------------------------------------------------------------------


def test_what_a_run_changed_is_returned_in_reverse_order_and_is_healthy_again(scenario: Scenario) -> None:
    service(scenario, "db", 1)
    service(scenario, "api", 1, pre="db")
    assert run(scenario, "api").code == 0
    service(scenario, "db", 2)
    service(scenario, "cache", 2)
    service(scenario, "api", 2, FAILS, pre=["db", "cache"], on_failure="rollback")
    service(scenario, "web", 2, pre="api")
    done = run(scenario, "web")
    assert done.code == 4, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-lost")] == ["web"]
    assert returned(done)[0] == "api"
    assert sorted(returned(done)) == ["api", "cache", "db"]
    assert [release_of(scenario, name) for name in ("db", "api", "cache", "web")] == ["1", "1", "", ""]
    assert (healthy(scenario, "db"), healthy(scenario, "api")) == (1, 1)
    # Nothing that `api` needs was touched before it was healthy again.
    back = scenario.modified()
    assert back["api"] < healthy_index(scenario, "api") < min(back["db"], back["cache"])
    assert scenario.dtree("which", "api").stdout.count("changed since") == 0
    source = scenario.api.get(f"/v1/job/{scenario.id('api')}/submission", version=scenario.stored("api")["Version"])  # type: ignore[index]
    assert 'release = "1"' in source["Source"]


def test_the_note_after_a_rollback_is_that_of_what_runs_again(scenario: Scenario) -> None:
    service(scenario, "api", 1, version="1.0")
    assert run(scenario, "api").code == 0
    service(scenario, "api", 2, FAILS, version="2.0", on_failure="rollback")
    assert run(scenario, "api").code == 4
    (row,) = json.loads(scenario.dtree("status", "api", "--output", "json").stdout)["jobs"]
    assert (row["provenance"]["version"], row["changed_since"], row["health"]) == ("1.0", False, "Healthy")


def test_what_was_stopped_before_is_stopped_again_and_noted_as_before_and_what_is_new_is_noted_no_more(scenario: Scenario) -> None:
    service(scenario, "db", 1, version="1.0")
    scenario.mock("same", version="1.0")
    assert run(scenario, "db", "same").code == 0
    assert scenario.dtree("stop", "db").code == 0
    told = [scenario.dtree("which", name).stdout for name in ("db", "same")]
    service(scenario, "db", 2, version="2.0")
    scenario.mock("same", version="2.0")
    service(scenario, "api", 2, FAILS, pre=["db", "same"], on_failure="rollback", version="2.0")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    assert [scenario.stored(name)["Stop"] for name in ("db", "api")] == [True, True]  # type: ignore[index]
    assert [scenario.dtree("which", name).stdout for name in ("db", "same")] == told
    rows = {row["job"]: row for row in json.loads(scenario.dtree("status", "api", "--output", "json").stdout)["jobs"]}
    assert rows["api"]["provenance"] is None


def test_a_version_from_before_a_purge_is_not_named_for_its_number_means_another_one(scenario: Scenario) -> None:
    none = "update {\n max_parallel = 0\n }"
    service(scenario, "api", 1, update=none, wait_cond="started")
    assert run(scenario, "api").code == 0
    service(scenario, "api", 2, FAILS, update=none, retries=1, wait_cond=2, on_failure="rollback")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    (step,) = done.of("rollback-planned")[0]["steps"]
    assert (step["by_hand"], step["cause"]) == ("", "to what was version 0 before it was purged")
    assert (release_of(scenario, "api"), done.of("step-returned")[0]["version"]) == ("1", 1)


def test_a_rollback_comes_after_the_last_attempt_and_finds_what_ran_though_nomad_keeps_six_versions(scenario: Scenario) -> None:
    service(scenario, "api", 1)
    assert run(scenario, "api").code == 0
    service(scenario, "api", 2, FAILS, retries=3, on_failure="rollback")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    assert [event["attempt"] for event in done.of("step-retrying")] == [1, 2, 3]
    (failed,) = done.of("step-failed")
    assert failed["attempts"] == [event["reason"] for event in done.of("step-retrying")]
    assert (release_of(scenario, "api"), healthy(scenario, "api")) == ("1", 1)


def test_a_wait_that_takes_too_long_is_a_failure_too(scenario: Scenario) -> None:
    service(scenario, "api", 1)
    assert run(scenario, "api").code == 0
    service(scenario, "api", 2, update=NEVER, timeout="2s", on_failure="rollback")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    assert (done.of("step-failed")[0]["kind"], release_of(scenario, "api")) == ("timed-out", "1")


def test_a_job_that_nomad_returned_by_itself_is_only_awaited(scenario: Scenario) -> None:
    auto = HEALTHY_LATER.replace("update {", "update {\n auto_revert = true")
    service(scenario, "api", 1, update=auto)
    assert run(scenario, "api").code == 0
    eventually(lambda: scenario.stored("api")["Stable"])  # type: ignore[index]
    service(scenario, "api", 2, FAILS, update=auto, on_failure="rollback")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    (planned,) = done.of("rollback-planned")
    assert [(step["change"], step["by_hand"]) for step in planned["steps"]] == [("noop", "")]
    assert (release_of(scenario, "api"), scenario.stored("api")["Version"]) == ("1", 2)  # type: ignore[index]
    eventually(lambda: healthy(scenario, "api") == 1)


def test_what_cannot_or_must_not_be_undone_stays_and_is_told_before_and_after(scenario: Scenario) -> None:
    scenario.mock("migrate", 'run_for = "50ms"', type="batch")
    service(scenario, "ledger", 2, irreversible=True)
    service(scenario, "api", 2, FAILS, pre=["migrate", "ledger"], on_failure="rollback")
    plan = scenario.dtree("plan", "api")
    told = "warning: a rollback, which a failure of api brings, would not undo ledger (irreversible), migrate (once it has completed)"
    assert told in plan.stdout
    done = scenario.dtree("run", "api")
    assert done.code == 4, done.stdout + done.stderr
    assert f"stays         ledger ({scenario.id('ledger')}): it is irreversible" in done.stderr
    assert f"stays         migrate ({scenario.id('migrate')}): it has completed, which cannot be undone" in done.stderr
    assert [scenario.stored(name)["Stop"] for name in ("migrate", "ledger", "api")] == [False, False, True]  # type: ignore[index]


def test_an_irreversible_job_that_was_updated_stays_as_it_was_updated(scenario: Scenario) -> None:
    service(scenario, "ledger", 1)
    assert run(scenario, "ledger").code == 0
    service(scenario, "ledger", 2, irreversible=True)
    service(scenario, "api", 2, FAILS, pre="ledger", on_failure="rollback")
    told = "a rollback, which a failure of api brings, would not undo ledger (irreversible)"
    assert told in json.loads(scenario.dtree("plan", "api", "--output", "json").stdout)["warnings"]
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    (stays,) = done.of("step-stays")
    assert (stays["job"], stays["reason"], returned(done)) == ("ledger", "it is irreversible", ["api"])
    stored = scenario.stored("ledger")
    assert (release_of(scenario, "ledger"), stored and stored["Version"]) == ("2", 1)
    assert (healthy(scenario, "ledger"), release_of(scenario, "api")) == (1, "")


def test_what_somebody_else_changed_meanwhile_is_left_alone_and_the_rollback_incomplete(scenario: Scenario) -> None:
    service(scenario, "db", 1)
    assert run(scenario, "db").code == 0
    service(scenario, "db", 2)
    service(scenario, "api", 2, update=NEVER, timeout="3s", pre="db", on_failure="rollback")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "api")
        theirs = {**(scenario.stored("db") or {}), "Meta": {"release": "3"}}
        scenario.api.put("/v1/jobs", {"Job": theirs})
        done = running.finish()
    assert done.code == 5, done.stdout + done.stderr
    (missed,) = done.of("step-not-returned")
    assert (missed["job"], release_of(scenario, "db"), release_of(scenario, "api")) == ("db", "3", "")
    (planned,) = done.of("rollback-planned")
    assert {step["job"]: step["by_hand"] for step in planned["steps"]}["db"] == ""
    assert missed["hint"] == "`nomad-dtree status db` shows what it is now"
    assert done.of("rollback-finished")[0]["complete"] is False


def test_a_rollback_goes_on_through_the_first_signal_and_ends_with_5_at_the_second(scenario: Scenario) -> None:
    service(scenario, "slow", 2, update=NEVER, timeout="1m")
    service(scenario, "api", 2, FAILS, on_failure="rollback")
    with scenario.running("run", "api", "slow") as running:
        running.until("rollback-started")
        running.process.send_signal(signal.SIGINT)
        assert running.until("rollback-continued")["signal"] == "SIGINT"
        running.process.send_signal(signal.SIGINT)
        assert running.finish().code == 5


# -- going on without it -----------------------------------------------------------------------------------------------


def test_dependents_go_on_without_a_job_whose_failure_is_put_up_with(scenario: Scenario) -> None:
    service(scenario, "metrics", 1, FAILS, on_failure="continue")
    service(scenario, "api", 1, pre="metrics")
    done = scenario.dtree("run", "--all")
    assert done.code == 0, done.stdout + done.stderr
    assert f"metrics ({scenario.id('metrics')}) failed (tolerated)" in done.stderr
    assert "warning: went on without it: api" in done.stderr
    assert release_of(scenario, "api") == "1"


def test_a_failed_post_job_is_a_failure_of_its_owner(scenario: Scenario) -> None:
    scenario.mock("seed", FAILS, type="batch")
    service(scenario, "db", 1, post="seed", on_failure="rollback")
    service(scenario, "api", 1, pre="db")
    done = run(scenario, "api")
    assert done.code == 4, done.stdout + done.stderr
    assert done.of("rollback-started")[0]["because"] == "seed"
    assert (release_of(scenario, "db"), sorted(scenario.registered())) == ("", ["db", "seed"])

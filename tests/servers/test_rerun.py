"""Running again what Nomad by itself leaves as it is, and how a run goes through its steps, on a real Nomad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.servers.eventually import eventually
from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

WITHOUT_DEPLOYMENT = {"service": "update {\n max_parallel = 0\n }", "batch": None}
SLOW = 'update {\n min_healthy_time = "1s"\n healthy_deadline = "10s"\n progress_deadline = "20s"\n }'
NO_RESTART = """
restart {
  attempts = 0
  mode     = "fail"
}
"""
LATE_RESCHEDULE = """
reschedule {
  attempts       = 2
  interval       = "24h"
  delay          = "1h"
  delay_function = "constant"
  unlimited      = false
}
"""
NO_RESCHEDULE = """
reschedule {
  attempts  = 0
  unlimited = false
}
"""


def run(scenario: Scenario, *words: str, code: int = 0) -> Done:
    done = scenario.dtree("run", *words, "--output", "json")
    assert done.code == code, done.stdout + done.stderr
    return done


def stored(scenario: Scenario, job: str) -> dict[str, Any]:
    found = scenario.stored(job)
    assert found is not None
    return found


def change(done: Done, job: str) -> str:
    (step,) = [step for step in done.of("run-started")[0]["steps"] if step["job"] == job]
    return str(step["change"])


def statuses(scenario: Scenario, job: str) -> list[tuple[int, str]]:
    """Version and state of each of the job's allocations, oldest first."""
    return [(alloc["JobVersion"], alloc["ClientStatus"]) for alloc in scenario.allocations(job)]


def unless(file: Path, then: str = "exit 0") -> str:
    """A script that fails until the file is there."""
    return f"[ -e {file} ] || exit 3; {then}"


def fails_times(file: Path, times: int, then: str = "exit 0") -> str:
    """A script that fails so many times, counted in the file."""
    return f"echo again >> {file}; [ $(wc -l < {file}) -gt {times} ] || exit 3; {then}"


# -- failed or completed, unchanged ------------------------------------------------------------------------------------


def test_a_completed_unchanged_batch_job_is_done(scenario: Scenario) -> None:
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    run(scenario, "seed")
    before = stored(scenario, "seed")
    assert change(run(scenario, "seed"), "seed") == "noop"
    assert (stored(scenario, "seed"), len(scenario.allocations("seed"))) == (before, 1)


@pytest.mark.parametrize("kind", ["batch", "sysbatch"])
def test_a_failed_unchanged_job_that_completes_is_run_again(scenario: Scenario, tmp_path: Path, kind: str) -> None:
    scenario.shell("seed", unless(tmp_path / "fixed"), type=kind, group=NO_RESTART if kind == "sysbatch" else NO_RESTART + NO_RESCHEDULE)
    scenario.mock("api", pre="seed")
    run(scenario, "api", code=3)
    (tmp_path / "fixed").touch()
    done = run(scenario, "api")
    assert change(done, "seed") == "rerun"
    assert statuses(scenario, "seed") == ([(0, "failed"), (2, "complete")] if kind == "batch" else [(0, "complete")])
    assert scenario.allocations("seed")[-1]["ModifyIndex"] < scenario.registered()["api"]


def test_a_failed_service_is_returned_to_its_stable_version_and_registered_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", "exec sleep 3600")
    scenario.mock("api", pre="db")
    run(scenario, "db")
    eventually(lambda: stored(scenario, "db")["Stable"])
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), update=HEALTHY_LATER)
    run(scenario, "api", code=3)
    (tmp_path / "fixed").touch()
    done = run(scenario, "api")
    assert change(done, "db") == "rerun"
    versions = scenario.api.get(f"/v1/job/{scenario.id('db')}/versions")["Versions"]
    assert [one["Version"] for one in reversed(versions)] == [0, 1, 2, 3]
    assert versions[0]["TaskGroups"] == versions[2]["TaskGroups"]
    running = [alloc for alloc in scenario.allocations("db") if alloc["ClientStatus"] == "running"]
    assert [alloc["JobVersion"] for alloc in running] == [3]
    assert running[0]["DeploymentStatus"]["ModifyIndex"] < scenario.registered()["api"]


def test_a_failed_service_that_never_was_stable_is_purged_and_registered(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), update=HEALTHY_LATER)
    run(scenario, "db", code=3)
    before = stored(scenario, "db")
    (tmp_path / "fixed").touch()
    done = run(scenario, "db")
    assert change(done, "db") == "rerun"
    assert (stored(scenario, "db")["Version"], stored(scenario, "db")["CreateIndex"] > before["CreateIndex"]) == (0, True)
    assert statuses(scenario, "db")[-1] == (0, "running")


def test_a_failed_service_of_which_something_runs_is_refused_and_left_alone(scenario: Scenario) -> None:
    scenario.shell("db", '[ "$NOMAD_ALLOC_INDEX" = 0 ] || exit 1; exec sleep 3600', count=2, update=HEALTHY_LATER)
    scenario.mock("api", pre="db")
    run(scenario, "db", code=3)
    eventually(lambda: scenario.api.get(f"/v1/job/{scenario.id('db')}/deployments")[0]["Status"] != "running")
    before = scenario.modified(), statuses(scenario, "db")
    done = run(scenario, "api", code=3)
    (failed,) = done.of("step-failed")
    assert "no earlier version was stable, and 1 allocation of it still runs" in failed["reason"]
    assert "nomad-dtree stop db --purge" in failed["hint"]
    assert (scenario.modified(), statuses(scenario, "db")) == before
    assert scenario.names() == ["db"]


@pytest.mark.parametrize("kind", ["batch", "service"])
def test_what_waits_to_be_rescheduled_is_rescheduled_at_once(scenario: Scenario, tmp_path: Path, kind: str) -> None:
    group = NO_RESTART + LATE_RESCHEDULE
    then = "exec sleep 3600" if kind == "service" else "exit 0"
    scenario.shell("db", unless(tmp_path / "fixed", then), type=kind, group=group, update=WITHOUT_DEPLOYMENT[kind], timeout="3s")
    done = run(scenario, "db", code=6)
    assert "will be rescheduled" in done.of("step-failed")[0]["reason"]
    (tmp_path / "fixed").touch()
    done = run(scenario, "db")
    (step,) = done.of("run-started")[0]["steps"]
    assert step["change"] == "evaluate"
    assert step["cause"] == "unchanged, but a failed allocation waits to be rescheduled: that is done at once"
    assert statuses(scenario, "db") == [(0, "failed"), (0, "running" if kind == "service" else "complete")]


def test_a_failed_service_that_was_rolled_out_half_way_is_rolled_out_anew(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", "exec sleep 3600", count=2)
    run(scenario, "db")
    eventually(lambda: stored(scenario, "db")["Stable"])
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), count=2, update=SLOW)
    run(scenario, "db", code=3)
    (tmp_path / "fixed").touch()
    run(scenario, "db")
    running = [alloc["JobVersion"] for alloc in scenario.allocations("db") if alloc["ClientStatus"] == "running"]
    assert running == [3, 3]


def test_a_failed_service_that_is_changed_in_place_runs_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), update=HEALTHY_LATER)
    run(scenario, "db", code=3)
    (tmp_path / "fixed").touch()
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), job="priority = 60", update=HEALTHY_LATER)
    run(scenario, "db")
    assert (stored(scenario, "db")["Priority"], statuses(scenario, "db")[-1][1]) == (60, "running")


def test_a_failed_service_that_is_replaced_runs_again(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "20ms"\nexit_code = 1', update=HEALTHY_LATER)
    run(scenario, "db", code=3)
    scenario.mock("db")
    done = run(scenario, "db")
    assert change(done, "db") == "replace"
    assert statuses(scenario, "db")[-1] == (1, "running")


def test_a_failed_service_that_was_stopped_runs_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", unless(tmp_path / "fixed", "exec sleep 3600"), update=HEALTHY_LATER)
    run(scenario, "db", code=3)
    scenario.api.delete(f"/v1/job/{scenario.id('db')}")
    (tmp_path / "fixed").touch()
    run(scenario, "db")
    assert statuses(scenario, "db")[-1][1] == "running"


@pytest.mark.parametrize("how", ["stopped", "changed in place"])
def test_a_completed_sysbatch_job_runs_again_although_nomad_would_leave_it_be(scenario: Scenario, tmp_path: Path, how: str) -> None:
    scenario.shell("pull", f"echo again >> {tmp_path / 'runs'}", type="sysbatch", group="")
    run(scenario, "pull")
    if how == "stopped":
        scenario.api.delete(f"/v1/job/{scenario.id('pull')}")
        assert change(run(scenario, "pull"), "pull") == "noop"
    else:
        scenario.shell("pull", f"echo again >> {tmp_path / 'runs'}", type="sysbatch", group="", job="priority = 60")
    run(scenario, "pull", *(["--force"] if how == "stopped" else []))
    assert (tmp_path / "runs").read_text() == "again\nagain\n"


def test_a_failed_system_job_runs_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("proxy", unless(tmp_path / "fixed", "exec sleep 3600"), type="system")
    run(scenario, "proxy", code=3)
    (tmp_path / "fixed").touch()
    run(scenario, "proxy")
    assert statuses(scenario, "proxy")[-1][1] == "running"


def test_a_stopped_batch_job_that_completed_runs_again_only_with_force(scenario: Scenario) -> None:
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    run(scenario, "seed")
    scenario.api.delete(f"/v1/job/{scenario.id('seed')}")
    assert change(run(scenario, "seed"), "seed") == "noop"
    assert change(run(scenario, "seed", "--force"), "seed") == "create"
    assert [state for _, state in statuses(scenario, "seed")] == ["complete", "complete"]


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["batch", "service"])
def test_retries_run_it_again_until_it_succeeds(scenario: Scenario, tmp_path: Path, kind: str) -> None:
    then = "exec sleep 3600" if kind == "service" else "exit 0"
    scenario.shell(
        "db", fails_times(tmp_path / "tries", 2, then), type=kind, retries=2, update=HEALTHY_LATER if kind == "service" else None
    )
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert [event["attempt"] for event in done.of("step-started") if event["job"] == "db"] == [1, 2, 3]
    assert [(event["attempt"], event["attempts"]) for event in done.of("step-retrying")] == [(1, 3), (2, 3)]
    assert all("exit code 3" in event["reason"] for event in done.of("step-retrying"))
    assert [event["job"] for event in done.of("step-ready")] == ["db", "api"]
    assert (tmp_path / "tries").read_text().count("again") == 3


def test_exhausted_retries_are_a_failure(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("seed", fails_times(tmp_path / "tries", 100), type="batch", retries=1)
    scenario.mock("api", pre="seed")
    done = scenario.dtree("run", "api")
    assert done.code == 3, done.stderr
    assert "attempt 1 of 2 failed" in done.stderr
    assert (tmp_path / "tries").read_text().count("again") == 2
    assert scenario.names() == ["seed"]


def test_a_retry_after_an_auto_revert_registers_the_version_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", "exec sleep 3600")
    run(scenario, "db")
    eventually(lambda: stored(scenario, "db")["Stable"])
    reverting = 'update {\n min_healthy_time = "1s"\n healthy_deadline = "10s"\n progress_deadline = "20s"\n auto_revert = true\n }'
    scenario.shell("db", fails_times(tmp_path / "tries", 1, "exec sleep 3600"), update=reverting, retries=1)
    done = run(scenario, "db")
    assert "rolling back to job version 0" in done.of("step-retrying")[0]["reason"]
    running = [alloc["JobVersion"] for alloc in scenario.allocations("db") if alloc["ClientStatus"] == "running"]
    assert running == [stored(scenario, "db")["Version"]]


def test_a_retry_of_what_timed_out_goes_by_way_of_the_stable_version(scenario: Scenario) -> None:
    scenario.mock("db")
    run(scenario, "db")
    eventually(lambda: stored(scenario, "db")["Stable"])
    slow = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n }'
    scenario.mock("db", 'run_for = "2h"', update=slow, timeout="2s", retries=1)
    done = run(scenario, "db", code=6)
    assert [event["attempt"] for event in done.of("step-retrying")] == [1]
    versions = scenario.api.get(f"/v1/job/{scenario.id('db')}/versions")["Versions"]
    assert [one["Version"] for one in reversed(versions)] == [0, 1, 2, 3]


def test_a_retry_of_a_batch_job_starts_when_the_attempt_before_has_ended(scenario: Scenario) -> None:
    scenario.shell("seed", "trap 'sleep 1; exit 1' INT; while :; do sleep 0.1; done", type="batch", timeout="2s", retries=1)
    run(scenario, "seed", code=6)
    first, second = (alloc["TaskStates"]["main"] for alloc in scenario.allocations("seed"))
    assert first["FinishedAt"] < second["StartedAt"]


# -- force -------------------------------------------------------------------------------------------------------------


def test_force_runs_a_completed_batch_job_again(scenario: Scenario) -> None:
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    run(scenario, "seed")
    done = run(scenario, "seed", "--force")
    assert change(done, "seed") == "rerun"
    assert statuses(scenario, "seed") == [(0, "complete"), (2, "complete")]


def test_force_runs_a_completed_sysbatch_job_again(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("pull", f"echo again >> {tmp_path / 'runs'}", type="sysbatch", group="")
    run(scenario, "pull")
    run(scenario, "pull", "--force")
    assert (tmp_path / "runs").read_text() == "again\nagain\n"


def test_force_only_has_a_healthy_service_evaluated_and_says_so(scenario: Scenario) -> None:
    scenario.mock("db")
    run(scenario, "db")
    before = stored(scenario, "db")["JobModifyIndex"], [alloc["ID"] for alloc in scenario.allocations("db")]
    done = run(scenario, "db", "--force")
    (step,) = done.of("run-started")[0]["steps"]
    assert (step["change"], step["cause"]) == ("evaluate", "unchanged and not failed, so --force only has Nomad evaluate it")
    after = stored(scenario, "db")["JobModifyIndex"], [alloc["ID"] for alloc in scenario.allocations("db")]
    assert after == before
    triggers = [one["TriggeredBy"] for one in scenario.api.get(f"/v1/job/{scenario.id('db')}/evaluations")]
    assert triggers.count("job-register") == 2


def test_force_leaves_an_unchanged_parent_as_it_is(scenario: Scenario) -> None:
    scenario.mock("nightly", type="batch", job='periodic {\n crons = ["0 3 1 1 *"]\n }')
    run(scenario, "nightly")
    before = scenario.modified()
    done = run(scenario, "nightly", "--force")
    assert change(done, "nightly") == "noop"
    assert scenario.modified() == before


# -- through the steps -------------------------------------------------------------------------------------------------


def test_branches_that_need_nothing_of_each_other_go_side_by_side(scenario: Scenario, tmp_path: Path) -> None:
    meet = f"touch {tmp_path}/$NOMAD_TASK_NAME$NOMAD_JOB_NAME; while [ $(ls {tmp_path} | grep -c ^main) -lt 2 ]; do sleep 0.05; done"
    scenario.shell("left", meet, type="batch")
    scenario.shell("right", meet, type="batch")
    scenario.mock("top", pre=["left", "right"])
    done = run(scenario, "top")
    assert sorted(event["job"] for event in done.of("step-ready")[:2]) == ["left", "right"]


def test_parallelism_1_goes_strictly_one_after_another(scenario: Scenario) -> None:
    for name in ("a", "b", "c"):
        scenario.mock(name, 'run_for = "100ms"', type="batch")
    done = run(scenario, "--all", "--parallelism", "1")
    order = [(event["event"], event["job"]) for event in done.events if event["event"] in ("step-started", "step-ready")]
    assert order == [(kind, job) for job in ("a", "b", "c") for kind in ("step-started", "step-ready")]


def test_a_failure_leaves_other_branches_going(scenario: Scenario) -> None:
    scenario.mock("bad", 'run_for = "20ms"\nexit_code = 1', type="batch")
    scenario.mock("good", 'run_for = "2s"', type="batch")
    scenario.mock("next", pre="good")
    done = run(scenario, "bad", "next", code=3)
    assert [event["job"] for event in done.of("step-ready")] == ["good", "next"]
    assert scenario.names() == ["bad", "good", "next"]


def test_fail_fast_starts_nothing_more(scenario: Scenario) -> None:
    scenario.mock("bad", 'run_for = "20ms"\nexit_code = 1', type="batch")
    scenario.mock("good", 'run_for = "2s"', type="batch")
    scenario.mock("next", pre="good")
    done = run(scenario, "bad", "next", "--fail-fast", code=3)
    assert [event["job"] for event in done.of("step-ready")] == ["good"]
    assert [event["job"] for event in done.of("step-lost")] == ["next"]
    assert scenario.names() == ["bad", "good"]


def somebody_registers(scenario: Scenario, like: str, job: str) -> None:
    spec = {**stored(scenario, like), "ID": scenario.id(job), "Name": scenario.id(job), "Meta": {"by": "somebody"}}
    scenario.api.put("/v1/jobs", {"Job": spec})


def test_a_job_that_somebody_creates_after_the_plan_is_not_overwritten(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("slow", f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.05; done", type="batch")
    scenario.mock("api", pre="slow")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "slow")
        somebody_registers(scenario, "slow", "api")
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("api", "changed-meanwhile")
    assert failed["reason"] == "the job was changed in between by somebody else"
    assert "Enforcing job modify index 0: job already exists" in failed["details"]
    assert stored(scenario, "api")["Meta"] == {"by": "somebody"}


def test_a_version_that_somebody_registers_after_the_plan_is_not_stopped_by_a_rerun(scenario: Scenario, tmp_path: Path) -> None:
    scenario.mock("seed", 'run_for = "20ms"\nexit_code = 1', type="batch")
    run(scenario, "seed", code=3)
    scenario.shell("slow", f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.05; done", type="batch")
    scenario.mock("seed", 'run_for = "20ms"\nexit_code = 1', type="batch", pre="slow")
    with scenario.running("run", "seed") as running:
        running.until("step-registered", "slow")
        somebody_registers(scenario, "slow", "seed")
        before = stored(scenario, "seed")["JobModifyIndex"]
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("seed", "changed-meanwhile")
    assert (stored(scenario, "seed")["JobModifyIndex"], stored(scenario, "seed")["Stop"]) == (before, False)


def test_a_change_after_the_plan_is_exit_1_where_the_run_changed_nothing(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("slow", f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.05; done", type="batch")
    with scenario.running("run", "slow") as running:
        running.until("step-registered", "slow")
        scenario.mock("api", pre="slow")
        with scenario.running("run", "api") as second:
            second.until("step-registered", "slow")
            somebody_registers(scenario, "slow", "api")
            (tmp_path / "go").touch()
            done = second.finish()
        assert running.finish().code == 0
    assert done.code == 1, done.stdout
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("api", "changed-meanwhile")

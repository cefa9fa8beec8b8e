"""Jobs that run around others, on a real Nomad: post jobs after a start, `pre_stop` and `post_stop` around a stop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers.eventually import eventually
from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

ENDS = 'run_for = "50ms"'
FAILS = 'run_for = "50ms"\nexit_code = 4'
LATE = 'update {\n min_healthy_time = "2s"\n healthy_deadline = "30s"\n progress_deadline = "1m"\n }'
PARAMETERIZED = """
  parameterized {
    meta_required = ["table"]
  }
"""


def done_of(scenario: Scenario, *argv: str, code: int = 0) -> Done:
    done = scenario.dtree(*argv, "--output", "json")
    assert done.code == code, done.stdout + done.stderr
    return done


def jobs_of(done: Done, kind: str) -> list[str]:
    return [event["job"] for event in done.of(kind)]


def running(scenario: Scenario, *names: str) -> list[bool]:
    """Whether each job runs and was not asked to stop."""
    stored = [scenario.stored(name) for name in names]
    return [job is not None and job["Status"] == "running" and not job["Stop"] for job in stored]


def stop_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the job was last stopped, from Nomad's own evaluation of it."""
    evaluations = scenario.api.get(f"/v1/job/{scenario.id(name)}/evaluations")
    return max(int(row["CreateIndex"]) for row in evaluations if row["TriggeredBy"] == "job-deregister")


def end_index(scenario: Scenario, name: str) -> int:
    """Raft index at which the job's last allocation had ended."""
    assert {row["ClientStatus"] for row in scenario.allocations(name)} <= {"complete", "failed"}
    return max(int(row["ModifyIndex"]) for row in scenario.allocations(name))


def shop(scenario: Scenario, backup: str = ENDS, wipe: str = ENDS, **entry: Any) -> None:
    """A service with hooks, and one that it needs; both run."""
    scenario.mock("backup", backup, type="batch", pre="db", **entry)
    scenario.mock("wipe", wipe, type="batch")
    scenario.mock("disk")
    scenario.mock("db", pre="disk", pre_stop="backup", post_stop="wipe")
    done_of(scenario, "run", "--all")


# -- post jobs ---------------------------------------------------------------------------------------------------------


def test_post_jobs_run_side_by_side_unless_they_name_each_other_and_only_an_edge_at_started_does_not_wait_for_them(
    scenario: Scenario,
) -> None:
    scenario.mock("db", update=LATE, post=["setup", {"job": "seed", "condition": "started"}, "check"])
    scenario.mock("setup", 'run_for = "2s"', type="batch", pre="db")
    scenario.mock("seed", 'run_for = "50ms"', type="batch")
    scenario.mock("check", ENDS, type="batch", pre="seed")
    scenario.mock("web", pre={"job": "db", "condition": "started"})
    scenario.mock("api", pre="db")
    done_of(scenario, "run", "api", "web")
    began = scenario.registered()
    (healthy,) = [row["DeploymentStatus"]["ModifyIndex"] for row in scenario.allocations("db")]
    assert began["db"] < began["seed"] < healthy < min(began["setup"], began["check"])
    assert began["web"] < healthy
    assert end_index(scenario, "seed") < began["check"] < end_index(scenario, "setup") < began["api"]


def test_a_post_job_as_goal_brings_its_owner_and_wait_cond_beats_its_own(scenario: Scenario) -> None:
    scenario.mock("db", post={"job": "setup", "wait_cond": "started"})
    scenario.mock("setup", 'run_for = "1h"', type="batch", wait_cond="completed", timeout="5s")
    done = done_of(scenario, "run", "setup")
    assert jobs_of(done, "step-ready") == ["db", "setup"]


def test_a_post_job_that_fails_is_a_failure_of_its_owner(scenario: Scenario) -> None:
    scenario.mock("db", post="setup")
    scenario.mock("setup", FAILS, type="batch")
    scenario.mock("api", pre="db")
    done = done_of(scenario, "run", "api", code=3)
    assert (jobs_of(done, "step-failed"), jobs_of(done, "step-lost")) == (["setup"], ["api"])
    assert "exit code 4" in done.of("step-failed")[0]["reason"]
    assert (scenario.names(), running(scenario, "db")) == (["db", "setup"], [True])
    assert done_of(scenario, "run", "db", code=3).of("run-finished")[0]["exit_code"] == 3


def test_one_post_job_with_different_settings_is_told_before_the_first_registration(scenario: Scenario) -> None:
    scenario.mock("db", post={"job": "setup", "wait_cond": "started"})
    scenario.mock("queue", post="setup")
    scenario.mock("setup", ENDS, type="batch")
    done = scenario.dtree("run", "--all")
    assert (done.code, scenario.names()) == (1, [])
    assert "error[same-post-twice]: 'setup' is a post job of 'db' (line 4) and of 'queue'" in done.stderr


def test_post_jobs_and_hooks_that_one_can_do_without_fail_and_nothing_else_does(scenario: Scenario) -> None:
    scenario.mock("setup", FAILS, type="batch")
    scenario.mock("backup", FAILS, type="batch")
    scenario.mock("db", post={"job": "setup", "required": False}, pre_stop={"job": "backup", "required": False})
    scenario.mock("api", pre="db")
    done = scenario.dtree("run", "api")
    assert done.code == 0, done.stderr
    assert f"setup ({scenario.id('setup')}) failed (tolerated)" in done.stderr
    assert running(scenario, "db", "api") == [True, True]
    done = scenario.dtree("stop", "--all")
    assert done.code == 0, done.stderr
    assert f"backup ({scenario.id('backup')}) failed (tolerated)" in done.stderr
    assert running(scenario, "db", "api") == [False, False]


# -- around a stop -----------------------------------------------------------------------------------------------------


def test_hooks_run_between_the_stops_and_are_no_part_of_a_run(scenario: Scenario) -> None:
    scenario.mock("api", pre="db")
    shop(scenario)
    assert scenario.names() == ["api", "db", "disk"]
    status = scenario.dtree("status")
    assert "runs before db is stopped" in status.stdout
    preview = scenario.dtree("stop", "--all", "--dry-run")
    assert "before db is stopped: not in Nomad yet" in preview.stdout
    planned = json.loads(scenario.dtree("stop", "--all", "--dry-run", "--output", "json").stdout)
    assert {step["job"]: step["reason"] for step in planned["steps"]}["wipe"] == "post_stop job of db"
    assert scenario.names() == ["api", "db", "disk"]
    done_of(scenario, "stop", "--all")
    began = scenario.registered()
    marks = [
        end_index(scenario, "api"),
        began["backup"],
        end_index(scenario, "backup"),
        stop_index(scenario, "db"),
        end_index(scenario, "db"),
        began["wipe"],
        end_index(scenario, "wipe"),
        stop_index(scenario, "disk"),
    ]
    assert marks == sorted(marks)
    # Nothing runs any more, so nothing is to be backed up.
    assert scenario.dtree("stop", "--all").stderr.endswith("3 not running in 0.0 s\n")
    # They completed, and are unchanged; all the same they run with the next stop.
    done_of(scenario, "run", "db")
    done_of(scenario, "stop", "db", "--purge")
    assert [len(scenario.allocations(name)) for name in ("backup", "wipe")] == [2, 2]
    assert scenario.names() == ["api", "backup", "disk", "wipe"]


def test_where_a_pre_stop_job_fails_its_owner_goes_on_running_and_so_does_what_that_needs(scenario: Scenario) -> None:
    shop(scenario, backup=FAILS)
    done = scenario.dtree("stop", "--all")
    assert done.code == 3, done.stderr
    assert running(scenario, "db", "disk", "wipe") == [True, True, False]
    assert f"backup ({scenario.id('backup')}) failed after " in done.stderr
    assert "exit code 4" in done.stderr
    assert "    not stopped because of it: db, disk\n    not started because of it: wipe\n" in done.stderr
    scenario.entries["backup"]["on_failure"] = "continue"
    scenario.depfile(scenario.entries)
    done = scenario.dtree("stop", "db", "--deep")
    assert done.code == 0, done.stderr
    assert "failed (tolerated)" in done.stderr
    assert running(scenario, "db", "disk") == [False, False]


def test_a_pre_stop_job_that_does_not_come_to_an_end_times_out_and_its_owner_goes_on_running(scenario: Scenario) -> None:
    shop(scenario, backup='run_for = "1h"', timeout="3s")
    done = done_of(scenario, "stop", "db", code=6)
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["reason"].partition(":")[0]) == ("backup", "not ready within 3 s")
    assert running(scenario, "db", "disk") == [True, True]


def test_a_post_stop_job_that_fails_leaves_what_its_owner_needs_running(scenario: Scenario) -> None:
    shop(scenario, wipe=FAILS)
    done = done_of(scenario, "stop", "--all", code=3)
    assert (jobs_of(done, "step-failed"), jobs_of(done, "step-lost")) == (["wipe"], ["disk"])
    assert running(scenario, "db", "disk") == [False, True]


def test_a_post_stop_job_that_failed_is_run_again_by_the_next_stop_and_one_that_still_runs_is_awaited(scenario: Scenario) -> None:
    shop(scenario, wipe=FAILS)
    assert scenario.dtree("stop", "--all").code == 3
    scenario.mock("wipe", 'run_for = "1h"', type="batch", timeout="1s")
    done = done_of(scenario, "stop", "--all", code=6)
    assert (jobs_of(done, "step-failed"), running(scenario, "db", "disk")) == (["wipe"], [False, True])
    allocations = len(scenario.allocations("wipe"))
    done = done_of(scenario, "stop", "--all", code=6)
    assert (jobs_of(done, "step-failed"), len(scenario.allocations("wipe"))) == (["wipe"], allocations)
    scenario.mock("wipe", ENDS, type="batch")
    done_of(scenario, "stop", "--all")
    assert running(scenario, "db", "disk", "wipe") == [False, False, False]


def test_what_a_hook_needs_is_not_started_for_it_and_stays_up_until_it_is_done(scenario: Scenario) -> None:
    scenario.mock("minio")
    scenario.mock("backup", 'run_for = "1s"', type="batch", pre=["db", "minio"])
    scenario.mock("db", pre_stop="backup")
    done_of(scenario, "run", "db")
    done = scenario.dtree("stop", "--all")
    assert (done.code, running(scenario, "db")) == (1, [True])
    assert "error[dependency-not-ready]: 'minio' is not started by a stop, 'backup' needs it, and it is not in Nomad" in done.stderr
    assert "or stop without the hook: `--skip backup`" in done.stderr
    assert scenario.names() == ["db"]
    done_of(scenario, "run", "minio")
    done_of(scenario, "stop", "--all")
    assert scenario.registered()["backup"] < end_index(scenario, "backup") < stop_index(scenario, "minio")


def test_a_hook_of_two_jobs_runs_once_with_retries_and_children_of_its_own(scenario: Scenario) -> None:
    marker = scenario.folder / "tried"
    script = f'test -e {marker} || {{ touch {marker}; exit 5; }}; echo "$NOMAD_META_table"'
    dispatch = {"meta": {"table": "all"}}
    group = 'restart {\n attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false\n }'
    scenario.shell("backup", script, type="batch", job=PARAMETERIZED, group=group, dispatch=dispatch, retries=1)
    scenario.mock("db", pre_stop="backup")
    scenario.mock("files", pre_stop={"backup": {"condition": "completed"}})
    done_of(scenario, "run", "--all")
    done = done_of(scenario, "stop", "--all")
    assert jobs_of(done, "step-started") == ["backup", "backup", "files", "db"]
    assert "exit code 5" in done.of("step-retrying")[0]["reason"]
    assert running(scenario, "db", "files") == [False, False]


def test_a_service_as_a_hook_is_up_before_the_stop_and_stays(scenario: Scenario) -> None:
    scenario.mock("sorry", update=HEALTHY_LATER)
    scenario.mock("web", pre_stop={"job": "sorry", "condition": "started"})
    done_of(scenario, "run", "--all")
    done_of(scenario, "stop", "--all")
    eventually(lambda: running(scenario, "sorry", "web") == [True, False])
    assert scenario.registered()["sorry"] < stop_index(scenario, "web")


@pytest.mark.parametrize("kind", ["pre_stop", "post_stop"])
def test_a_hook_that_needs_what_is_stopped_before_is_told_before_anything_is_stopped(scenario: Scenario, kind: str) -> None:
    scenario.mock("db")
    done_of(scenario, "run", "db")
    scenario.mock("api", pre="db")
    scenario.mock("backup", ENDS, type="batch", pre="api")
    hook: dict[str, Any] = {kind: "backup"}
    scenario.mock("db", **hook)
    done = scenario.dtree("stop", "db")
    assert (done.code, running(scenario, "db")) == (1, [True])
    assert "error[hook-cycle]: 'backup' is to run " in done.stderr

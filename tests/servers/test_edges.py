"""What edges ask for, on a real Nomad: their conditions, jobs that one can do without, and jobs of others'."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.servers.eventually import eventually
from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

FAILS_AT_ONCE = 'run_for = "100ms"\nexit_code = 1'
LATE = 'update {\n min_healthy_time = "3s"\n healthy_deadline = "30s"\n progress_deadline = "1m"\n }'
CHECKED = """
network {
  port "http" {}
}
service {
  name     = "PREFIXapi"
  provider = "nomad"
  port     = "http"
  check {
    type     = "http"
    path     = "/"
    interval = "1s"
    timeout  = "1s"
  }
}
"""
NEVER = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n }'


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def jobs_of(done: Done, kind: str) -> list[str]:
    return sorted(event["job"] for event in done.of(kind))


def failed(done: Done) -> dict[str, Any]:
    (event,) = done.of("step-failed")
    return event


def healthy_index(scenario: Scenario, job: str) -> int:
    """Raft index at which the job's only allocation became healthy."""
    (row,) = scenario.allocations(job)
    assert row["DeploymentStatus"]["Healthy"] is True
    return int(row["DeploymentStatus"]["ModifyIndex"])


def somebody_runs(scenario: Scenario, job: str) -> None:
    """Register a job of this test as others would, with its file; then forget the file."""
    file = scenario.folder / "jobs" / f"{job}.nomad"
    spec = scenario.api.call("POST", "/v1/jobs/parse", {"JobHCL": file.read_text()})
    scenario.api.put("/v1/jobs", {"Job": spec})


# -- conditions --------------------------------------------------------------------------------------------------------


def test_a_dependent_starts_at_started_while_another_waits_for_healthy_of_the_same_job(scenario: Scenario) -> None:
    scenario.mock("db", update=LATE)
    scenario.mock("web", pre={"job": "db", "condition": "started"})
    scenario.mock("api", depends_on={"db": {"condition": "service_healthy"}})
    done = run(scenario, "web", "api")
    assert done.code == 0, done.stdout + done.stderr
    registered = scenario.registered()
    assert registered["db"] < registered["web"] < healthy_index(scenario, "db") < registered["api"]
    assert [(event["job"], event["condition"]) for event in done.of("step-reached")] == [("db", "started")]


def test_what_fails_after_a_milestone_fails_the_run_and_loses_those_not_begun(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "2s"\nexit_code = 3', update=LATE)
    scenario.mock("web", pre={"job": "db", "condition": "started"})
    scenario.mock("api", pre="db")
    done = run(scenario, "web", "api")
    assert done.code == 3, done.stdout + done.stderr
    assert (failed(done)["job"], jobs_of(done, "step-lost")) == ("db", ["api"])
    assert sorted(scenario.registered()) == ["db", "web"]


def test_a_post_job_starts_at_what_its_edge_says_of_the_owner(scenario: Scenario) -> None:
    scenario.mock("db", update=LATE, post={"job": "setup", "condition": "started"})
    scenario.mock("setup", 'run_for = "50ms"', type="batch")
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    registered = scenario.registered()
    assert registered["setup"] < healthy_index(scenario, "db") < registered["api"]


def test_a_condition_of_an_edge_that_never_comes_true_times_out_and_frees_nobody(scenario: Scenario) -> None:
    scenario.mock("db", update=NEVER, wait_cond="started")
    scenario.mock("web", pre="db")
    scenario.mock("api", pre={"job": "db", "condition": "healthy"})
    scenario.entries["db"]["timeout"] = "4s"
    scenario.depfile(scenario.entries)
    done = run(scenario, "web", "api")
    assert done.code == 6, done.stdout + done.stderr
    assert failed(done)["reason"].startswith("not healthy within 4 s: ")
    assert sorted(scenario.registered()) == ["db", "web"]


def test_a_condition_of_an_edge_that_its_job_never_meets_is_told_before_the_first_registration(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre={"job": "db", "condition": "completed"})
    done = scenario.dtree("run", "api")
    assert (done.code, list(scenario.names())) == (1, [])
    assert "error[impossible-condition]: 'db'" in done.stderr
    assert "dependencies.api.pre.condition" in done.stderr


# -- what can be done without ------------------------------------------------------------------------------------------


def test_the_failure_of_an_optional_job_is_tolerated_and_named(scenario: Scenario) -> None:
    scenario.mock("elastic", FAILS_AT_ONCE, update=HEALTHY_LATER)
    scenario.mock("search", pre={"elastic": {"required": False}})
    done = scenario.dtree("run", "search")
    assert done.code == 0, done.stdout + done.stderr
    assert f"elastic ({scenario.id('elastic')}) failed (tolerated)" in done.stderr
    assert sorted(scenario.registered()) == ["elastic", "search"]


def test_the_same_failure_is_one_where_another_requires_the_job(scenario: Scenario) -> None:
    scenario.mock("elastic", FAILS_AT_ONCE, update=HEALTHY_LATER)
    scenario.mock("search", pre={"elastic": {"required": False}})
    scenario.mock("logs", pre="elastic")
    done = run(scenario, "search", "logs")
    assert done.code == 3, done.stdout + done.stderr
    assert (jobs_of(done, "step-ready"), jobs_of(done, "step-lost")) == (["search"], ["logs"])


def test_an_optional_job_without_a_file_is_left_out(scenario: Scenario) -> None:
    scenario.mock("search", pre=[{"job": "elastic", "required": False}])
    plan = scenario.dtree("plan", "search")
    assert "search: goes without 'elastic', which is optional and has no job file" in plan.stdout
    done = scenario.dtree("run", "search")
    assert (done.code, list(scenario.names())) == (0, ["search"])


# -- what belongs to others --------------------------------------------------------------------------------------------


def test_an_external_job_is_waited_for_and_never_touched(scenario: Scenario) -> None:
    scenario.mock("vault")
    vault = scenario.id("vault")
    del scenario.entries["vault"]
    scenario.mock("search", pre={"job": vault, "external": True})
    with scenario.running("run", "search") as running:
        running.until("step-waiting", vault, says="Nomad has no such job")
        assert list(scenario.names()) == []
        somebody_runs(scenario, "vault")
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert healthy_index(scenario, "vault") < scenario.registered()["search"]
    before = scenario.modified()["vault"]
    stopped = scenario.dtree("stop", "--all")
    assert stopped.code == 0, stopped.stdout + stopped.stderr
    assert scenario.modified()["vault"] == before
    eventually(lambda: [row["ClientStatus"] for row in scenario.allocations("vault")] == ["running"])
    assert [row["Path"] for row in scenario.api.get("/v1/vars", prefix="dtree/") if "vault" in row["Path"]] == []


def test_an_external_job_that_is_never_there_times_out(scenario: Scenario) -> None:
    scenario.mock("search", pre={"job": scenario.id("vault"), "external": True})
    scenario.depfile({**scenario.entries, scenario.id("vault"): {"timeout": "3s"}})
    done = run(scenario, "search")
    assert done.code == 6, done.stdout + done.stderr
    assert failed(done)["reason"] == "external, not ready within 3 s: Nomad has no such job"
    assert list(scenario.names()) == []


def test_a_dependent_waits_for_an_external_job_whose_owner_is_updating_it(scenario: Scenario, tmp_path: Path) -> None:
    vault = scenario.id("vault")
    scenario.mock("vault")
    somebody_runs(scenario, "vault")
    scenario.mock("vault", 'run_for = "2h"', update=LATE)
    del scenario.entries["vault"]
    scenario.shell("slow", f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.05; done", type="batch")
    scenario.mock("search", pre=[{"job": vault, "external": True}, "slow"])
    with scenario.running("run", "search") as running:
        running.until("step-ready", vault)
        somebody_runs(scenario, "vault")
        eventually(lambda: [row["JobVersion"] for row in scenario.allocations("vault")] == [0, 1])
        (tmp_path / "go").touch()
        running.until("step-postponed", "search", says=f"{vault} waits again: 0 of 1 allocation healthy")
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert len([event for event in done.of("step-ready") if event["job"] == vault]) == 2
    updated = scenario.allocations("vault")[-1]["DeploymentStatus"]
    assert (updated["Healthy"], updated["ModifyIndex"] < scenario.registered()["search"]) == (True, True)


# -- dependents that run already ---------------------------------------------------------------------------------------


def change(scenario: Scenario, job: str) -> None:
    """Give a job another task."""
    file = scenario.folder / "jobs" / f"{job}.nomad"
    file.write_text(file.read_text().replace("run_for = ", "exit_code = 0\n        run_for = "))


def restarts(scenario: Scenario, job: str) -> list[int]:
    """How often the task of each allocation was restarted, of those that are to run."""
    return [row["TaskStates"]["main"]["Restarts"] for row in scenario.allocations(job) if row["DesiredStatus"] == "run"]


def restarted_s(scenario: Scenario, job: str) -> list[float]:
    """When each allocation's task was last started, in Unix seconds, sorted."""
    stamps = [row["TaskStates"]["main"]["StartedAt"] for row in scenario.allocations(job) if row["DesiredStatus"] == "run"]
    return sorted(datetime.fromisoformat(stamp).timestamp() for stamp in stamps)


def test_a_running_dependent_outside_of_the_goals_is_restarted_in_place_one_by_one(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", count=2, update=HEALTHY_LATER, depends_on={"db": {"restart": True}})
    scenario.mock("other", pre="db")
    assert run(scenario, "--all").code == 0
    before = {row["ID"] for row in scenario.allocations("api")}
    version = scenario.modified()["api"]
    change(scenario, "db")
    plan = scenario.dtree("plan", "db")
    assert f"api ({scenario.id('api')})  restart" in plan.stdout
    assert "restarted, because db is changed" in plan.stdout
    done = run(scenario, "db")
    assert done.code == 0, done.stdout + done.stderr
    assert jobs_of(done, "step-ready") == ["api", "db"]
    assert ({row["ID"] for row in scenario.allocations("api")}, scenario.modified()["api"]) == (before, version)
    assert (restarts(scenario, "api"), restarts(scenario, "other")) == ([1, 1], [0])
    first_s, second_s = restarted_s(scenario, "api")
    assert second_s - first_s >= 1.0  # min_healthy_time
    assert run(scenario, "--all").code == 0
    assert restarts(scenario, "api") == [1, 1]


def test_a_running_dependent_is_redeployed_with_new_allocations(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", count=2, update=HEALTHY_LATER, pre={"job": "db", "on_update": "redeploy"})
    assert run(scenario, "api").code == 0
    before = {row["ID"] for row in scenario.allocations("api")}
    change(scenario, "db")
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    rows = [row for row in scenario.allocations("api") if row["DesiredStatus"] == "run"]
    assert (len(rows), {row["ID"] for row in rows} & before) == (2, set())
    assert [row["ClientStatus"] for row in rows] == ["running", "running"]
    # One at a time, as its `update` says: the second is replaced once the first has run for its min_healthy_time.
    first_s, second_s = restarted_s(scenario, "api")
    assert second_s - first_s >= 0.9


def test_of_the_post_jobs_those_of_others_are_waited_for_and_those_that_run_restarted(scenario: Scenario) -> None:
    vault = scenario.id("vault")
    scenario.mock("vault", update=LATE)
    del scenario.entries["vault"]
    scenario.mock("agent")
    scenario.mock("db", post=[{"job": vault, "external": True}, {"job": "agent", "on_update": "restart"}])
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-waiting", vault, says="Nomad has no such job")
        running.until("step-ready", "agent")
        assert list(scenario.names()) == ["agent", "db"]
        somebody_runs(scenario, "vault")
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert healthy_index(scenario, "vault") < scenario.registered()["api"]
    before = scenario.modified()
    change(scenario, "db")
    done = run(scenario, "db")
    assert done.code == 0, done.stdout + done.stderr
    assert {name: restarts(scenario, name) for name in ("agent", "api", "vault")} == {"agent": [1], "api": [0], "vault": [0]}
    changed = [name for name, index in scenario.modified().items() if index != before[name]]
    assert changed == ["db"]


def test_a_system_job_is_redeployed_and_a_sysbatch_job_cannot_be(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("agent", type="system", pre={"job": "db", "on_update": "redeploy"})
    assert run(scenario, "--all").code == 0
    (before,) = scenario.allocations("agent")
    change(scenario, "db")
    done = run(scenario, "db")
    assert done.code == 0, done.stdout + done.stderr
    (after,) = [row for row in scenario.allocations("agent") if row["DesiredStatus"] == "run"]
    assert (after["ClientStatus"], after["ID"] != before["ID"]) == ("running", True)
    scenario.mock("sweep", type="sysbatch", group="", pre={"job": "db", "on_update": "redeploy"})
    done = scenario.dtree("run", "--all")
    assert (done.code, "sweep" in scenario.registered()) == (1, False)
    assert "error[impossible-redeploy]: 'sweep' is a sysbatch job" in done.stderr


def test_a_job_that_does_not_come_back_is_run_again_as_often_as_its_retries_say(scenario: Scenario) -> None:
    tried = scenario.folder / "tried"
    script = f'test -e "$NOMAD_TASK_DIR/once" -a ! -e {tried} && {{ touch {tried}; exit 7; }}; touch "$NOMAD_TASK_DIR/once"; sleep 3600'
    scenario.mock("db")
    scenario.shell("api", script, update=HEALTHY_LATER, retries=1, pre={"job": "db", "on_update": "restart"})
    assert run(scenario, "--all").code == 0
    change(scenario, "db")
    done = run(scenario, "--all")
    assert done.code == 0, done.stdout + done.stderr
    assert "exit code 7" in done.of("step-retrying")[0]["reason"]


def test_a_line_that_only_an_optional_edge_waits_for_and_that_does_not_come_fails_nobody(scenario: Scenario) -> None:
    scenario.shell("db", "echo up; exec sleep 3600", logged=True)
    scenario.mock("api", pre={"job": "db", "condition": {"log": "never", "timeout": "2s"}, "required": False})
    done = run(scenario, "--all")
    assert (done.code, jobs_of(done, "step-ready")) == (0, ["api", "db"]), done.stdout + done.stderr
    (warned,) = done.of("run-warned")
    assert warned["problem"].endswith("; api goes on without it")


def test_a_dependent_that_does_not_come_back_fails_the_run_and_its_other_allocations_are_left_alone(scenario: Scenario) -> None:
    scenario.mock("db")
    script = 'test -e "$NOMAD_TASK_DIR/once" && exit 7; touch "$NOMAD_TASK_DIR/once"; while true; do sleep 0.2; done'
    scenario.shell("api", script, count=2, update=HEALTHY_LATER, pre={"job": "db", "on_update": "restart"})
    scenario.mock("web", pre="api")
    assert run(scenario, "api").code == 0
    change(scenario, "db")
    done = run(scenario, "web")
    assert done.code == 3, done.stdout + done.stderr
    assert (failed(done)["job"], jobs_of(done, "step-lost")) == ("api", ["web"])
    assert "exit code 7" in failed(done)["reason"]
    assert sorted(row["ClientStatus"] for row in scenario.allocations("api")) == ["failed", "running"]
    assert "web" not in scenario.registered()


def test_where_the_dependency_fails_its_dependents_are_not_restarted(scenario: Scenario) -> None:
    scenario.mock("db", update=HEALTHY_LATER)
    scenario.mock("api", pre={"job": "db", "on_update": "restart"})
    assert run(scenario, "api").code == 0
    scenario.mock("db", FAILS_AT_ONCE, update=HEALTHY_LATER)
    done = run(scenario, "db")
    assert (done.code, jobs_of(done, "step-lost")) == (3, ["api"])
    assert restarts(scenario, "api") == [0]


def test_a_restart_that_a_run_did_not_get_to_is_made_up_for_by_the_next(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre={"job": "db", "on_update": "restart"})
    assert run(scenario, "api").code == 0
    scenario.mock("db", 'run_for = "1h"', update=HEALTHY_LATER.replace("1s", "2s"), timeout="1s")
    late = run(scenario, "api")
    assert (late.code, jobs_of(late, "step-lost"), restarts(scenario, "api")) == (6, ["api"], [0])
    scenario.depfile({**scenario.entries, "db": {"timeout": "30s"}})
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    (started,) = done.of("run-started")
    assert [(step["job"], step["change"]) for step in started["steps"]] == [("db", "noop"), ("api", "restart")]
    assert started["steps"][1]["cause"] == "restarted, because db was changed since it last started"
    assert run(scenario, "api").code == 0
    assert restarts(scenario, "api") == [1]


def test_a_restart_that_a_promotion_by_hand_came_before_is_made_up_for_by_the_next_run(scenario: Scenario) -> None:
    scenario.mock("db", update=HEALTHY_LATER.replace("{", "{\n    canary = 1", 1))
    scenario.mock("api", pre={"job": "db", "on_update": "restart"})
    assert run(scenario, "api").code == 0
    change(scenario, "db")
    assert run(scenario, "db", "--promotion-timeout", "0").code == 7
    promoted = scenario.dtree("promote", "db")
    assert (promoted.code, restarts(scenario, "api")) == (0, [0]), promoted.stderr
    done = run(scenario, "db")
    assert done.code == 0, done.stdout + done.stderr
    assert restarts(scenario, "api") == [1]


def test_a_restarted_service_is_ready_once_its_check_passes_again(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.shell(
        "api",
        f"sleep 1.5; exec {sys.executable} -m http.server $NOMAD_PORT_http --bind 127.0.0.1 --directory $NOMAD_TASK_DIR",
        memory_mb=64,
        update=HEALTHY_LATER.replace("20s", "60s").replace("10s", "30s"),
        group=CHECKED,
        pre={"job": "db", "on_update": "restart"},
    )
    assert run(scenario, "api").code == 0
    change(scenario, "db")
    done = run(scenario, "db")
    assert done.code == 0, done.stdout + done.stderr
    (ready,) = [event for event in done.of("step-ready") if event["job"] == "api"]
    (started_s,) = restarted_s(scenario, "api")
    assert datetime.fromisoformat(ready["time"]).timestamp() - started_s >= 1.5

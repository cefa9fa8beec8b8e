"""When a job counts as ready: every kind of job and every condition on a real Nomad, judged by Nomad's own records."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

WITHOUT_DEPLOYMENT = "update {\n max_parallel = 0\n }"
NEVER_HEALTHY = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n }'
NOWHERE = 'constraint {\n attribute = "${attr.kernel.name}"\n value = "plan9"\n }'


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def succeed(scenario: Scenario, *words: str) -> Done:
    done = run(scenario, *words)
    assert done.code == 0, done.stdout + done.stderr
    return done


def ready(done: Done, job: str) -> dict[str, Any]:
    (event,) = [event for event in done.of("step-ready") if event["job"] == job]
    return event


def failed(done: Done) -> dict[str, Any]:
    (event,) = done.of("step-failed")
    return event


def moment_s(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def registered_s(scenario: Scenario, job: str) -> float:
    """Unix time at which Nomad took the job as it now is."""
    stored = scenario.stored(job)
    assert stored is not None
    return float(stored["SubmitTime"]) / 1e9


def started_s(scenario: Scenario, job: str, task: str = "main") -> float:
    """Unix time at which the task of the job's newest allocation started."""
    return moment_s(scenario.allocations(job)[-1]["TaskStates"][task]["StartedAt"])


def ended_s(scenario: Scenario, job: str, task: str = "main") -> float:
    return moment_s(scenario.allocations(job)[-1]["TaskStates"][task]["FinishedAt"])


def healthy_index(scenario: Scenario, job: str) -> int:
    """Raft index at which the last of the newest version's allocations became healthy."""
    newest = max(alloc["JobVersion"] for alloc in scenario.allocations(job))
    statuses = [alloc["DeploymentStatus"] for alloc in scenario.allocations(job) if alloc["JobVersion"] == newest]
    assert all(status["Healthy"] for status in statuses)
    return max(int(status["ModifyIndex"]) for status in statuses)


def modified_index(scenario: Scenario, job: str) -> int:
    stored = scenario.stored(job)
    assert stored is not None
    return int(stored["JobModifyIndex"])


def wait_until_stable(scenario: Scenario, job: str) -> None:
    eventually(lambda: (scenario.stored(job) or {}).get("Stable"))


# -- kinds of job ------------------------------------------------------------------------------------------------------


def test_a_service_is_ready_when_its_allocations_are_healthy(scenario: Scenario) -> None:
    scenario.mock("db", count=2)
    scenario.mock("api", pre="db")
    done = succeed(scenario, "api")
    assert ready(done, "db")["reason"] == "2 of 2 allocations healthy"
    assert healthy_index(scenario, "db") < scenario.registered()["api"]


def test_a_service_without_deployment_is_ready_when_it_runs(scenario: Scenario) -> None:
    scenario.mock("db", update=WITHOUT_DEPLOYMENT)
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    assert scenario.api.get(f"/v1/job/{scenario.id('db')}/deployments") == []
    assert started_s(scenario, "db") < registered_s(scenario, "api")


def test_a_service_without_deployment_is_ready_when_its_checks_pass(scenario: Scenario) -> None:
    scenario.shell(
        "web",
        f"exec {sys.executable} -m http.server $NOMAD_PORT_http --bind 127.0.0.1 --directory $NOMAD_TASK_DIR",
        memory_mb=64,
        update=WITHOUT_DEPLOYMENT,
        group="""
network {
  port "http" {}
}
service {
  name     = "PREFIXweb"
  provider = "nomad"
  port     = "http"
  check {
    type     = "http"
    path     = "/up"
    interval = "1s"
    timeout  = "1s"
  }
}
""",
    )
    scenario.mock("api", pre="web")
    with scenario.running("run", "api") as running:
        running.until("step-waiting", "web", says="check")
        assert scenario.names() == ["web"]
        (alloc,) = scenario.allocations("web")
        (scenario.agent.folder / "allocs" / alloc["ID"] / "main/local/up").touch()
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    (check,) = scenario.api.get(f"/v1/client/allocation/{alloc['ID']}/checks").values()
    assert check["Status"] == "success"
    (address,) = ready(done, "web")["addresses"]
    assert (address["label"], address["host"]) == ("http", "127.0.0.1")


def test_a_system_job_is_ready_when_it_is_healthy_on_its_node(scenario: Scenario) -> None:
    scenario.mock("proxy", type="system")
    scenario.mock("api", pre="proxy")
    succeed(scenario, "api")
    assert healthy_index(scenario, "proxy") < scenario.registered()["api"]


def test_a_system_job_without_deployment_is_ready_when_it_runs(scenario: Scenario) -> None:
    scenario.mock("proxy", type="system", update=WITHOUT_DEPLOYMENT)
    scenario.mock("api", pre="proxy")
    succeed(scenario, "api")
    assert started_s(scenario, "proxy") < registered_s(scenario, "api")


def test_a_batch_job_is_ready_when_all_its_allocations_have_completed(scenario: Scenario) -> None:
    scenario.mock("seed", 'run_for = "400ms"', type="batch", count=3)
    scenario.mock("api", pre="seed")
    done = succeed(scenario, "api")
    assert ready(done, "seed")["reason"] == "3 of 3 allocations completed"
    assert [alloc["ClientStatus"] for alloc in scenario.allocations("seed")] == ["complete"] * 3
    assert max(alloc["ModifyIndex"] for alloc in scenario.allocations("seed")) < scenario.registered()["api"]


def test_a_batch_job_that_completes_in_20_ms_is_ready_and_no_failure(scenario: Scenario) -> None:
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    scenario.mock("api", pre="seed")
    succeed(scenario, "api")
    assert ended_s(scenario, "seed") < registered_s(scenario, "api")


def test_a_sysbatch_job_is_ready_when_it_has_completed_on_its_node(scenario: Scenario) -> None:
    scenario.mock("pull", 'run_for = "300ms"', type="sysbatch", group="")
    scenario.mock("api", pre="pull")
    succeed(scenario, "api")
    (alloc,) = scenario.allocations("pull")
    assert alloc["ClientStatus"] == "complete"
    assert ended_s(scenario, "pull") < registered_s(scenario, "api")


def test_a_periodic_job_is_ready_when_it_is_registered(scenario: Scenario) -> None:
    scenario.mock("nightly", type="batch", job='periodic {\n crons = ["0 3 1 1 *"]\n }')
    scenario.mock("api", pre="nightly")
    done = succeed(scenario, "api")
    assert ready(done, "nightly")["reason"] == "registered: periodic job"
    assert scenario.allocations("nightly") == []


def test_a_parameterized_job_is_ready_when_it_is_registered(scenario: Scenario) -> None:
    scenario.mock("import", type="batch", job="parameterized {}")
    scenario.mock("api", pre="import")
    done = succeed(scenario, "api")
    assert ready(done, "import")["reason"] == "registered: parameterized job"


def test_a_job_of_count_0_hangs_nobody(scenario: Scenario) -> None:
    scenario.mock("off", count=0)
    scenario.mock("off_batch", type="batch", count=0, pre="off")
    scenario.mock("api", pre="off_batch")
    done = succeed(scenario, "api")
    assert ready(done, "off")["reason"] == "nothing to run: count is 0"
    assert ready(done, "off_batch")["reason"] == "nothing to run: count is 0"


def test_every_group_counts(scenario: Scenario) -> None:
    second = """
  group "second" {
    count = 2
    task "main" {
      driver = "mock_driver"
      config {
        run_for         = "1h"
        start_block_for = "1500ms"
      }
      logs {
        disabled = true
      }
    }
  }
"""
    scenario.mock("db", job=second)
    scenario.mock("api", pre="db")
    done = succeed(scenario, "api")
    assert ready(done, "db")["reason"] == "3 of 3 allocations healthy"
    assert healthy_index(scenario, "db") < scenario.registered()["api"]
    waits = [event["reason"] for event in done.of("step-waiting") if event["job"] == "db"]
    assert any("group second: 0 of 2 allocations healthy" in reason for reason in waits), waits


def lifecycle(name: str, hook: str, run_for: str, *, sidecar: bool = False) -> str:
    return f"""
    task "{name}" {{
      driver = "mock_driver"
      lifecycle {{
        hook    = "{hook}"
        sidecar = {str(sidecar).lower()}
      }}
      config {{
        run_for = "{run_for}"
      }}
      logs {{
        disabled = true
      }}
    }}
"""


def test_lifecycle_tasks_of_a_service_that_ended_or_have_yet_to_run_are_no_failure(scenario: Scenario) -> None:
    group = "".join(
        [
            lifecycle("before", "prestart", "700ms"),
            lifecycle("beside", "prestart", "1h", sidecar=True),
            lifecycle("after", "poststart", "50ms"),
            lifecycle("last", "poststop", "50ms"),
        ]
    )
    scenario.mock("db", group=group, update=WITHOUT_DEPLOYMENT)
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    assert started_s(scenario, "db", "main") < registered_s(scenario, "api")


def test_a_batch_job_has_completed_when_its_poststop_task_has(scenario: Scenario) -> None:
    group = lifecycle("before", "prestart", "20ms") + lifecycle("last", "poststop", "700ms")
    scenario.mock("seed", 'run_for = "50ms"', type="batch", group=group)
    scenario.mock("api", pre="seed")
    succeed(scenario, "api")
    assert ended_s(scenario, "seed", "last") < registered_s(scenario, "api")


# -- conditions --------------------------------------------------------------------------------------------------------


def test_registered_waits_for_nothing_but_nomads_word(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond="registered", job=NOWHERE)
    scenario.mock("api", pre="db", wait_cond="registered")
    done = succeed(scenario, "api")
    assert ready(done, "db")["reason"] == "registered"
    assert scenario.allocations("db") == []


def test_started_waits_for_running_and_not_for_healthy(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond="started", update=NEVER_HEALTHY)
    scenario.mock("api", pre="db")
    done = succeed(scenario, "api")
    assert ready(done, "db")["reason"] == "1 of 1 allocation running"
    assert started_s(scenario, "db") < registered_s(scenario, "api")
    assert (scenario.allocations("db")[0]["DeploymentStatus"] or {}).get("Healthy") is None


def test_healthy_and_completed_can_be_asked_for_by_name(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond="healthy")
    scenario.mock("seed", 'run_for = "20ms"', type="batch", wait_cond="completed", pre="db")
    done = succeed(scenario, "seed")
    assert [event["condition"] for event in done.of("run-started")[0]["steps"]] == ["healthy", "completed"]
    assert healthy_index(scenario, "db") < scenario.registered()["seed"]


def test_a_condition_that_a_job_can_never_reach_is_told_before_anything_is_registered(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond="completed")
    done = run(scenario, "db")
    assert done.code == 1, done.stdout
    assert "impossible-condition" in done.stdout + done.stderr
    assert scenario.registered() == {}


def test_seconds_are_waited_for_from_acceptance_on(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond=2)
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    assert registered_s(scenario, "api") - registered_s(scenario, "db") >= 2


def test_seconds_are_not_waited_for_where_the_job_is_unchanged(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("seed", 'run_for = "20ms"', type="batch")
    succeed(scenario, "db", "seed")
    scenario.mock("db", wait_cond=100)
    scenario.mock("seed", 'run_for = "20ms"', type="batch", wait_cond=100)
    done = succeed(scenario, "db", "seed")
    assert [event["changed"] for event in done.of("step-registered")] == [False, False]
    assert done.of("run-finished")[0]["elapsed_s"] < 20


def test_a_failure_while_seconds_are_waited_for_is_a_failure(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "300ms"\nexit_code = 4', wait_cond=100)
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert done.code == 3, done.stdout
    assert "exit code 4" in failed(done)["reason"]
    assert scenario.names() == ["db"]
    assert done.of("run-finished")[0]["elapsed_s"] < 50


def test_wait_ready_reads_seconds_as_until_ready(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond=100)
    scenario.mock("seed", 'run_for = "300ms"', type="batch", wait_cond=100, pre="db")
    scenario.mock("api", pre="seed")
    done = succeed(scenario, "api", "--wait", "ready")
    assert done.of("run-finished")[0]["elapsed_s"] < 50
    assert healthy_index(scenario, "db") < scenario.registered()["seed"]
    assert ended_s(scenario, "seed") < registered_s(scenario, "api")


def test_wait_cond_in_post_beats_the_post_jobs_own(scenario: Scenario) -> None:
    scenario.mock("db", post={"job": "watcher", "wait_cond": "started"})
    scenario.mock("watcher", type="batch", wait_cond="completed")
    scenario.mock("api", pre="db")
    done = succeed(scenario, "api")
    assert [event["job"] for event in done.of("step-ready")] == ["db", "watcher", "api"]
    assert scenario.allocations("watcher")[0]["ClientStatus"] == "running"


# -- second chances ----------------------------------------------------------------------------------------------------


def fails_once(file: Path) -> str:
    return f"echo once more >> {file}; [ $(wc -l < {file}) -ge 2 ]"


def test_a_batch_job_that_succeeds_after_a_reschedule_is_ready(scenario: Scenario, tmp_path: Path) -> None:
    group = """
restart {
  attempts = 0
  mode     = "fail"
}
reschedule {
  attempts       = 2
  interval       = "1h"
  delay          = "5s"
  delay_function = "constant"
}
"""
    scenario.shell("seed", fails_once(tmp_path / "tries"), type="batch", group=group)
    scenario.mock("api", pre="seed")
    done = succeed(scenario, "api")
    assert [alloc["ClientStatus"] for alloc in scenario.allocations("seed")] == ["failed", "complete"]
    assert ended_s(scenario, "seed") < registered_s(scenario, "api")
    assert any("will be rescheduled" in event["reason"] for event in done.of("step-waiting"))


def test_a_batch_job_that_succeeds_after_a_restart_in_place_is_ready(scenario: Scenario, tmp_path: Path) -> None:
    group = 'restart {\n attempts = 2\n delay = "0s"\n interval = "1m"\n mode = "fail"\n }'
    scenario.shell("seed", fails_once(tmp_path / "tries"), type="batch", group=group)
    succeed(scenario, "seed")
    (alloc,) = scenario.allocations("seed")
    assert (alloc["ClientStatus"], alloc["TaskStates"]["main"]["Restarts"]) == ("complete", 1)


# -- updates -----------------------------------------------------------------------------------------------------------


def test_an_update_in_place_keeps_the_allocation_and_is_waited_for(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    before = scenario.allocations("db")[0]["ID"]
    scenario.mock("db", job="priority = 60")
    scenario.mock("api", job="priority = 60", pre="db")
    done = succeed(scenario, "api")
    assert [step["change"] for step in done.of("run-started")[0]["steps"]] == ["update", "update"]
    (alloc,) = scenario.allocations("db")
    assert (alloc["ID"], alloc["JobVersion"]) == (before, 1)
    assert healthy_index(scenario, "db") < modified_index(scenario, "api")


def test_a_rolling_update_is_waited_for_to_the_last_new_allocation(scenario: Scenario) -> None:
    scenario.mock("db", count=3)
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    scenario.mock("db", 'run_for = "2h"', count=3)
    scenario.mock("api", 'run_for = "2h"', pre="db")
    done = succeed(scenario, "api")
    assert [step["change"] for step in done.of("run-started")[0]["steps"]] == ["replace", "replace"]
    assert len([alloc for alloc in scenario.allocations("db") if alloc["JobVersion"] == 1]) == 3
    assert healthy_index(scenario, "db") < modified_index(scenario, "api")


def test_a_healthy_old_version_never_satisfies_an_edge(scenario: Scenario) -> None:
    scenario.mock("db", count=2)
    scenario.mock("api", pre="db")
    succeed(scenario, "api")
    before = modified_index(scenario, "api")
    scenario.mock("db", 'start_error = "no such image"', count=2)
    scenario.mock("api", 'run_for = "2h"', pre="db")
    done = run(scenario, "api")
    assert done.code == 3, done.stdout
    assert "no such image" in failed(done)["reason"]
    assert [alloc["ClientStatus"] for alloc in scenario.allocations("db") if alloc["JobVersion"] == 0].count("running") >= 1
    assert modified_index(scenario, "api") == before


def test_an_auto_revert_is_a_failure_with_the_reason_of_the_version_that_failed(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    succeed(scenario, "db")
    wait_until_stable(scenario, "db")
    scenario.mock("db", 'run_for = "100ms"\nexit_code = 7', update="update {\n auto_revert = true\n }")
    done = run(scenario, "api")
    assert done.code == 3, done.stdout
    event = failed(done)
    assert event["kind"] == "failed"
    assert "version 1" in event["reason"]
    assert "rolling back to job version 0" in event["reason"]
    assert "exit code 7" in event["reason"]
    eventually(lambda: (scenario.stored("db") or {})["Version"] == 2)
    assert scenario.names() == ["db"]


def test_a_task_that_keeps_restarting_is_a_failure_that_tells_so(scenario: Scenario) -> None:
    loop = 'restart {\n attempts = 100\n interval = "1h"\n delay = "1s"\n mode = "delay"\n }'
    update = 'update {\n min_healthy_time = "2s"\n healthy_deadline = "4s"\n progress_deadline = "5s"\n }'
    scenario.mock("db", 'run_for = "100ms"\nexit_code = 9', group=loop, update=update)
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert done.code == 3, done.stdout
    assert "exit code 9" in failed(done)["reason"]
    waits = [event["reason"] for event in done.of("step-waiting")]
    assert any("task main restarted" in reason for reason in waits), waits
    assert scenario.names() == ["db"]


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_namesake_in_another_namespace_satisfies_nobody(scenario: Scenario) -> None:
    scenario.api.put("/v1/namespace/team", {"Name": "team"})
    scenario.mock("db")
    succeed(scenario, "db")
    text = (scenario.folder / "jobs/db.nomad").read_text()
    scenario.job("ours", text.replace('run_for = "1h"', 'run_for = "20ms"\n exit_code = 6'), namespace="team")
    scenario.mock("api", pre="ours")
    done = run(scenario, "api")
    assert done.code == 3, done.stdout
    (planned, _) = done.of("run-started")[0]["steps"]
    assert (planned["id"], planned["namespace"], planned["change"]) == (scenario.id("db"), "team", "create")
    assert "exit code 6" in failed(done)["reason"]
    assert scenario.names() == ["db"]


def test_an_id_full_of_characters_that_mean_something_elsewhere_is_waited_for(scenario: Scenario) -> None:
    scenario.mock("db")
    text = (scenario.folder / "jobs/db.nomad").read_text()
    scenario.job("db", text.replace(scenario.id("db"), scenario.id("db.v1+(x)$")))
    scenario.mock("api", pre="db")
    done = succeed(scenario, "api")
    assert ready(done, "db")["reason"] == "1 of 1 allocation healthy"
    assert scenario.names() == ["api", "db.v1+(x)$"]


# -- somebody else -----------------------------------------------------------------------------------------------------


def test_a_job_that_somebody_else_registers_meanwhile_is_superseded(scenario: Scenario) -> None:
    scenario.mock("db", update=NEVER_HEALTHY)
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "db")
        stored = scenario.stored("db")
        assert stored is not None
        scenario.api.put("/v1/jobs", {"Job": {**stored, "Meta": {"by": "somebody"}}})
        done = running.finish()
    assert done.code == 3, done.stdout
    event = failed(done)
    assert event["kind"] == "superseded"
    assert event["reason"] == "somebody registered version 1 of the job over version 0"
    assert scenario.names() == ["db"]


def test_a_job_that_somebody_scales_meanwhile_is_not_superseded(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "1h"\nstart_block_for = "2s"', update=WITHOUT_DEPLOYMENT)
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "db")
        scenario.api.put(f"/v1/job/{scenario.id('db')}/scale", {"Target": {"Group": "main"}, "Count": 2})
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert ready(done, "db")["reason"] == "2 of 2 allocations healthy"
    started = [moment_s(alloc["TaskStates"]["main"]["StartedAt"]) for alloc in scenario.allocations("db")]
    assert len(started) == 2
    assert max(started) < registered_s(scenario, "api")


def test_another_count_registered_in_the_middle_of_a_deployment_is_not_superseding(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "1h"\nstart_block_for = "2s"')
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "db")
        eventually(lambda: scenario.allocations("db"))
        stored = scenario.stored("db")
        assert stored is not None
        scenario.api.put("/v1/jobs", {"Job": {**stored, "TaskGroups": [{**stored["TaskGroups"][0], "Count": 2}]}})
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert ready(done, "db")["reason"] == "2 of 2 allocations healthy"
    assert healthy_index(scenario, "db") < scenario.registered()["api"]


def test_a_job_that_somebody_stops_meanwhile_is_a_failure(scenario: Scenario) -> None:
    scenario.mock("db", update=NEVER_HEALTHY)
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-registered", "db")
        eventually(lambda: scenario.allocations("db"))
        scenario.api.delete(f"/v1/job/{scenario.id('db')}")
        done = running.finish()
    assert done.code == 3, done.stdout
    assert (failed(done)["kind"], failed(done)["reason"]) == ("superseded", "somebody stopped the job")
    assert scenario.names() == ["db"]


def test_a_job_that_somebody_purges_meanwhile_is_a_failure(scenario: Scenario) -> None:
    scenario.mock("db", update=NEVER_HEALTHY)
    scenario.mock("api", pre="db")
    with scenario.running("run", "api") as running:
        running.until("step-waiting", "db", says="0 of 1 allocation healthy")
        scenario.api.delete(f"/v1/job/{scenario.id('db')}", purge="true")
        done = running.finish()
    assert done.code == 3, done.stdout
    assert failed(done)["kind"] == "superseded"
    assert "purged" in failed(done)["reason"]
    assert scenario.names() == []


# -- no place ----------------------------------------------------------------------------------------------------------


def test_exhausted_memory_is_waited_for_with_the_reason_shown(scenario: Scenario) -> None:
    scenario.mock("hog", memory_mb=300_000)
    succeed(scenario, "hog")
    scenario.mock("db", memory_mb=300_000)
    scenario.mock("api", pre="db")
    with scenario.running("run", "api", "--placement-timeout", "1s") as running:
        running.until("step-waiting", "db", says="no room: memory on 1 of 1 node")
        assert scenario.names() == ["db", "hog"]
        scenario.api.delete(f"/v1/job/{scenario.id('hog')}")
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert healthy_index(scenario, "db") < scenario.registered()["api"]


def test_no_eligible_node_is_a_failure_with_the_constraint_named(scenario: Scenario) -> None:
    scenario.mock("db", job=NOWHERE)
    scenario.mock("api", pre="db")
    done = run(scenario, "api", "--placement-timeout", "1s")
    assert done.code == 3, done.stdout
    assert failed(done)["reason"] == "no node is eligible: 1 node, 1 filtered by ${attr.kernel.name} = plan9"
    assert scenario.names() == ["db"]


def test_no_node_in_the_datacenter_is_a_failure_that_names_it(scenario: Scenario) -> None:
    scenario.mock("db", job='datacenters = ["atlantis"]')
    done = run(scenario, "db", "--placement-timeout", "1s")
    assert done.code == 3, done.stdout
    assert failed(done)["reason"].startswith("no node is eligible: there is none in ")


def test_a_system_job_without_a_feasible_node_is_a_failure(scenario: Scenario) -> None:
    scenario.mock("proxy", type="system", job=NOWHERE)
    scenario.mock("api", pre="proxy")
    done = run(scenario, "api", "--placement-timeout", "1s")
    assert done.code == 3, done.stdout
    assert failed(done)["reason"] == "no node is eligible: 1 node, 1 filtered by ${attr.kernel.name} = plan9"
    assert scenario.names() == ["proxy"]


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_timeout_is_exit_6_and_names_what_was_awaited(scenario: Scenario) -> None:
    scenario.mock("db", update=NEVER_HEALTHY, timeout="2s")
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert done.code == 6, done.stdout
    event = failed(done)
    assert event["kind"] == "timed-out"
    assert event["reason"].startswith("not ready within 2 s: 0 of 1 allocation healthy")
    assert scenario.names() == ["db"]


# -- what was ready and fell over --------------------------------------------------------------------------------------


def until_there(file: Path, code: int) -> str:
    return f"while [ ! -e {file} ]; do sleep 0.05; done; exit {code}"


def test_a_need_that_falls_over_before_its_dependent_registers_is_a_failure(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", until_there(tmp_path / "fall", 5))
    scenario.shell("slow", until_there(tmp_path / "go", 0), type="batch")
    scenario.mock("api", pre=["db", "slow"])
    with scenario.running("run", "api") as running:
        running.until("step-ready", "db")
        (tmp_path / "fall").touch()
        eventually(lambda: scenario.allocations("db")[0]["ClientStatus"] == "failed")
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    assert failed(done)["job"] == "db"
    assert failed(done)["reason"].startswith("was ready and fell over: ")
    assert "exit code 5" in failed(done)["reason"]
    assert [(lost["job"], lost["because"]) for lost in done.of("step-lost")] == [("api", "db")]
    assert scenario.names() == ["db", "slow"]


def test_a_job_that_somebody_else_registers_after_it_was_ready_is_superseded(scenario: Scenario, tmp_path: Path) -> None:
    scenario.mock("db")
    scenario.shell("slow", until_there(tmp_path / "go", 0), type="batch")
    scenario.mock("api", pre=["db", "slow"])
    with scenario.running("run", "api") as running:
        running.until("step-ready", "db")
        stored = scenario.stored("db")
        assert stored is not None
        scenario.api.put("/v1/jobs", {"Job": {**stored, "Meta": {"by": "somebody"}}})
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    event = failed(done)
    assert (event["job"], event["kind"]) == ("db", "superseded")
    assert event["reason"] == "was ready; then somebody registered version 1 of the job over version 0"
    assert event["hint"] == "look at what it would undo with `nomad-dtree plan`, then run again"
    assert scenario.names() == ["db", "slow"]
    plan = json.loads(scenario.dtree("plan", "api", "--output", "json").stdout)
    assert next(step["cause"] for step in plan["steps"] if step["job"] == "db").endswith("; somebody else registered version 1 since")


def test_a_job_that_somebody_stops_before_the_end_is_superseded(scenario: Scenario, tmp_path: Path) -> None:
    scenario.mock("db")
    scenario.shell("slow", until_there(tmp_path / "go", 0), type="batch")
    with scenario.running("run", "db", "slow") as running:
        running.until("step-ready", "db")
        scenario.api.delete(f"/v1/job/{scenario.id('db')}")
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    assert (failed(done)["kind"], failed(done)["reason"]) == ("superseded", "was ready; then somebody stopped the job")


def test_a_batch_job_that_needs_only_to_have_started_may_fall_over_too(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("tunnel", until_there(tmp_path / "fall", 5), type="batch", wait_cond="started")
    scenario.shell("slow", until_there(tmp_path / "go", 0), type="batch")
    scenario.mock("api", pre=["tunnel", "slow"])
    with scenario.running("run", "api") as running:
        running.until("step-ready", "tunnel")
        (tmp_path / "fall").touch()
        eventually(lambda: scenario.allocations("tunnel")[0]["ClientStatus"] == "failed")
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    assert failed(done)["job"] == "tunnel"
    assert scenario.names() == ["slow", "tunnel"]


def test_a_service_that_falls_over_before_the_end_is_a_failure(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", until_there(tmp_path / "fall", 5))
    scenario.shell("slow", until_there(tmp_path / "go", 0), type="batch")
    with scenario.running("run", "db", "slow") as running:
        running.until("step-ready", "db")
        (tmp_path / "fall").touch()
        eventually(lambda: scenario.allocations("db")[0]["ClientStatus"] == "failed")
        (tmp_path / "go").touch()
        done = running.finish()
    assert done.code == 3, done.stdout
    assert failed(done)["job"] == "db"
    assert "exit code 5" in failed(done)["reason"]

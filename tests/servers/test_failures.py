"""What users read when a job breaks: on a real Nomad, as text and as JSON, with the other branch going on.

Each test breaks `db`. `api` needs it and must never be registered; `other` needs nothing and must come up all the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

_NO_TERMINAL_TRICKS = ("\x1b", "\x9b", "\x07")


def test_a_constraint_that_no_node_meets_is_named_with_how_many_nodes_it_filters(scenario: Scenario) -> None:
    scenario.mock("db", job='constraint {\n attribute = "${attr.kernel.name}"\n value = "windows"\n}')
    done, failed = break_db(scenario, "--placement-timeout", "1s")
    assert failed["reason"] == "no node is eligible: 1 node, 1 filtered by ${attr.kernel.name} = windows"
    assert failed["reason"] in done.stderr


def test_a_missing_driver_is_named(scenario: Scenario) -> None:
    scenario.mock("db", driver="docker")
    done, failed = break_db(scenario, "--placement-timeout", "1s")
    assert failed["reason"] == "no node is eligible: 1 node, 1 filtered by missing drivers"
    assert failed["reason"] in done.stderr


def test_a_datacenter_without_nodes_is_named(scenario: Scenario) -> None:
    scenario.mock("db", job='datacenters = ["nowhere"]')
    _, failed = break_db(scenario, "--placement-timeout", "1s")
    assert failed["reason"] == "no node is eligible: there is none in the job's datacenters and node pool"


def test_exhausted_memory_is_waited_for_with_the_reason_shown(scenario: Scenario) -> None:
    scenario.mock("db", memory_mb=900_000, timeout="3s")
    done, failed = break_db(scenario, "--placement-timeout", "1s", code=6, kind="timed-out")
    assert failed["reason"] == "not ready within 3 s: no room: memory on 1 of 1 node"
    assert "  waiting: no room: memory on 1 of 1 node" in done.stderr


def test_a_driver_that_cannot_start_the_task_is_quoted(scenario: Scenario) -> None:
    scenario.mock("db", 'start_error = "the engine would not start"')
    done, failed = break_db(scenario)
    assert failed["reason"].endswith("task main: failed to start: the engine would not start")
    assert "failed to start: the engine would not start" in done.stderr


def test_a_refused_download_tells_what_and_why(scenario: Scenario) -> None:
    scenario.mock("db", task='artifact {\n source = "http://127.0.0.1:1/app.tgz"\n}')
    _, failed = break_db(scenario)
    assert 'failed to download artifact "http://127.0.0.1:1/app.tgz"' in failed["reason"]
    assert "connection refused" in failed["reason"]


def test_a_download_that_is_not_there_tells_the_status(scenario: Scenario) -> None:
    source = f"{scenario.agent.address}/v1/nothing/app.tgz"
    scenario.mock("db", task=f'artifact {{\n source = "{source}"\n}}')
    _, failed = break_db(scenario)
    assert f'failed to download artifact "{source}' in failed["reason"]
    assert "404" in failed["reason"]


def test_a_template_that_cannot_be_parsed_is_quoted(scenario: Scenario) -> None:
    scenario.mock("db", task='template {\n data = "{{ nothing }}"\n destination = "local/x"\n}')
    _, failed = break_db(scenario)
    assert "Template failed" in failed["reason"]
    assert 'function "nothing" not defined' in failed["reason"]


def test_a_template_that_waits_names_what_it_misses(scenario: Scenario) -> None:
    missing = "{{ with nomadVar `nope/nope` }}{{ .x }}{{ end }}"
    scenario.mock("db", task=f'template {{\n data = "{missing}"\n destination = "local/x"\n}}', timeout="6s")
    _, failed = break_db(scenario, code=6, kind="timed-out")
    assert "missing: nomad.var.block(nope/nope@default.global)" in failed["reason"]


def test_an_exit_code_is_told(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "50ms"\nexit_code = 7', update=HEALTHY_LATER)
    done, failed = break_db(scenario)
    assert failed["reason"].endswith("task main: exit code 7")
    assert "task main: exit code 7" in done.stderr


def test_a_signal_is_named(scenario: Scenario) -> None:
    scenario.shell("db", "kill -SEGV $$", type="batch")
    _, failed = break_db(scenario)
    assert failed["reason"].endswith("task main: killed by SIGSEGV, exit code 139")


def test_a_task_that_outgrows_its_memory_is_told_so(scenario: Scenario) -> None:
    scenario.shell("db", "exec python3 -c 'hoard = bytearray(300_000_000); import time; time.sleep(20)'", memory_mb=20, type="batch")
    _, failed = break_db(scenario)
    assert "out of memory" in failed["reason"]


def test_a_failing_check_is_told_with_its_output(scenario: Scenario) -> None:
    service = """
    network {
      port "http" {}
    }
    service {
      name     = "PREFIXdb"
      provider = "nomad"
      port     = "http"
      check {
        name     = "alive"
        type     = "http"
        path     = "/"
        interval = "1s"
        timeout  = "1s"
      }
    }
    """
    update = 'update {\n min_healthy_time = "0s"\n healthy_deadline = "4s"\n progress_deadline = "5s"\n}'
    scenario.mock("db", group=service, update=update)
    done, failed = break_db(scenario)
    assert "waiting: 0 of 1 allocation healthy; check 'alive' says failure" in done.stderr
    (told,) = (line for line in failed["details"] if line.startswith("check 'alive'"))
    assert told.endswith("connect: connection refused")


def test_the_last_twenty_lines_of_the_log_are_shown_without_terminal_tricks(scenario: Scenario) -> None:
    line = r"printf '\033[31mline %d\033[0m\033]0;title\007\n' $i"
    scenario.shell("db", f"i=1; while [ $i -le 30 ]; do {line}; i=$((i+1)); done; exit 5", type="batch", logged=True)
    done, failed = break_db(scenario)
    first, second = (row["ID"][:8] for row in scenario.allocations("db"))
    assert log_lines(failed) == [f"{second}/main stdout | line {number}" for number in range(11, 31)]
    assert f"    {first}/main stdout | line 30\n" in done.stderr
    assert "line 10\n" not in done.stderr
    assert not any(trick in text for trick in _NO_TERMINAL_TRICKS for text in (done.stderr, str(failed)))


def test_standard_error_goes_before_standard_output(scenario: Scenario) -> None:
    scenario.shell("db", "echo all is well; echo no such table >&2; exit 1", type="batch", logged=True)
    _, failed = break_db(scenario)
    assert [line.partition(" ")[2] for line in log_lines(failed)] == ["stderr | no such table", "stdout | all is well"]


def test_a_job_that_only_takes_too_long_shows_what_it_has_written_last(scenario: Scenario) -> None:
    scenario.shell("db", "echo waiting for the lock >&2; sleep 60", type="batch", timeout="3s", logged=True)
    done, failed = break_db(scenario, code=6, kind="timed-out")
    assert failed["reason"].startswith("not ready within 3 s: ")
    assert [line.partition(" ")[2] for line in log_lines(failed)] == ["stderr | waiting for the lock"]
    assert "main stderr | waiting for the lock" in done.stderr


def test_a_task_that_restarts_says_so_while_it_is_waited_for(scenario: Scenario) -> None:
    update = 'update {\n min_healthy_time = "5s"\n healthy_deadline = "1m"\n progress_deadline = "2m"\n}'
    restart = 'restart {\n attempts = 50\n interval = "10m"\n delay = "300ms"\n mode = "fail"\n}'
    scenario.mock("db", 'run_for = "50ms"\nexit_code = 1', group=restart, update=update, timeout="5s")
    done, failed = break_db(scenario, code=6, kind="timed-out")
    assert re.search(r"waiting: 0 of 1 allocation healthy; task main restarted \d+ times?, last exit code 1", done.stderr)
    assert "last exit code 1" in failed["reason"]


def test_a_job_that_falls_over_after_it_was_ready_is_a_failure(scenario: Scenario, tmp_path: Path) -> None:
    scenario.shell("db", f"until [ -e {tmp_path}/fall ]; do sleep 0.1; done; exit 9")
    scenario.mock("api", pre="db", update='update {\n min_healthy_time = "3s"\n}')
    with scenario.running("run", "api") as running:
        running.until("step-registered", "api")
        (tmp_path / "fall").touch()
        done = running.finish()
    assert done.code == 3, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "api"]
    (failed,) = done.of("step-failed")
    assert failed["job"] == "db"
    assert "was ready and fell over" in failed["reason"]
    assert "exit code 9" in failed["reason"]


def test_a_second_run_tries_the_failed_job_again_and_goes_on(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "50ms"\nexit_code = 7', update=HEALTHY_LATER)
    break_db(scenario)
    scenario.mock("db")  # mended
    done = scenario.dtree("run", "api", "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "api"]


def test_fail_fast_starts_nothing_more_in_any_branch(scenario: Scenario) -> None:
    scenario.mock("db", 'start_error = "no"')
    scenario.mock("slow", update='update {\n min_healthy_time = "4s"\n}')
    scenario.mock("late", pre="slow")
    done = scenario.dtree("run", "db", "late", "--fail-fast", "--output", "json")
    assert done.code == 3, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-lost")] == ["late"]
    assert scenario.names() == ["db", "slow"]


def break_db(scenario: Scenario, *argv: str, code: int = 3, kind: str = "failed") -> tuple[Done, dict[str, Any]]:
    """Run the tree in which `db` breaks, once for people and once more for programs.

    The second run finds the failed job as it is: what it tells must not depend on having registered it first.

    Returns:
        (the run with text output, the failure of `db` in the JSON of a fresh set of the same jobs).
    """
    scenario.mock("api", pre="db")
    scenario.mock("other")
    done = scenario.dtree("run", "api", "other", *argv)
    assert done.code == code, done.stderr
    assert done.stdout == ""
    assert "\n    not started because of it: api\n" in done.stderr
    assert scenario.names() == ["db", "other"]
    again = scenario.dtree("run", "api", "other", *argv, "--output", "json")
    assert again.code == code, again.stdout + again.stderr
    (failed,) = again.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("db", kind)
    assert [(event["job"], event["because"]) for event in again.of("step-lost")] == [("api", "db")]
    assert [event["job"] for event in again.of("step-ready")] == ["other"]
    assert scenario.names() == ["db", "other"]
    return done, failed


def log_lines(failed: dict[str, Any]) -> list[str]:
    """Return the lines of a failure that come from a task's log."""
    return [line for line in failed["details"] if " | " in line]

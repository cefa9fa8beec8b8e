"""Ctrl-C, SIGTERM and SIGHUP: nothing more is registered, it is told where everything stands, and the exit code is 130, at once."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from threading import Timer

import pytest

from tests.servers.eventually import eventually
from tests.servers.proxy import Proxy, only
from tests.servers.scenario import Scenario

# From the signal to the end of the process: it takes a fraction of a second on a machine at rest, and what is in flight takes longer.
_SOON_S = 15.0
_LONG_S = 60.0

_SLOW = 'update {\n min_healthy_time = "30s"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n}'


@pytest.fixture
def proxy(scenario: Scenario) -> Iterator[Proxy]:
    """Stands between program and agent; passes everything on until it is told otherwise."""
    with Proxy(scenario.agent.address, fate=lambda _: "pass") as proxy:
        yield proxy


def tree(scenario: Scenario) -> None:
    """`cache` is quickly ready, `db` takes long, `api` and `web` need it."""
    scenario.mock("cache")
    scenario.mock("db", update=_SLOW)
    scenario.mock("api", pre=["db", "cache"])
    scenario.mock("web", pre="api")


def ended_soon(process: subprocess.Popen[str], *signals: signal.Signals) -> int:
    """Send the signals and wait for the end; fail where it does not come soon."""
    for number in signals:
        process.send_signal(number)
    return process.wait(timeout=_SOON_S)


def told_until(process: subprocess.Popen[str], *patterns: str) -> str:
    """Read what it tells until all patterns were seen; fail where it ends, or is silent for long, without them."""
    assert process.stderr is not None
    told = ""
    watchdog = Timer(_LONG_S, process.kill)
    watchdog.start()
    try:
        while not all(re.search(pattern, told) for pattern in patterns):
            line = process.stderr.readline()
            assert line, f"it ended without {patterns}:\n{told}"
            told += line
    finally:
        watchdog.cancel()
    return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_the_first_signal_ends_the_run_and_tells_where_each_job_stands(scenario: Scenario, number: signal.Signals) -> None:
    tree(scenario)
    with scenario.start("run", "web") as process:
        told = told_until(process, r"cache .*ready in", r"db .*waiting: 0 of 1 allocation healthy")
        assert ended_soon(process, number) == 130
        assert process.stderr is not None
        told += process.stderr.read()
    assert f"interrupted by {number.name}: nothing more is begun" in told
    standing = told[told.index(f"Interrupted by {number.name}; nothing was undone:") :]
    assert re.search(r"\n  was ready +cache\n", standing), told
    assert re.search(r"\n  not yet ready +db \(version 0 registered: 0 of 1 allocation healthy\)\n", standing), told
    assert re.search(r"\n  not started +api, web\n", standing), told
    assert "Traceback" not in told
    assert scenario.names() == ["cache", "db"]
    assert_untouched(scenario, "cache", "db")


def test_programs_are_told_too(scenario: Scenario) -> None:
    tree(scenario)
    with scenario.running("run", "web") as running:
        running.until("step-waiting", "db")
        running.process.send_signal(signal.SIGINT)
        done = running.finish()
    assert done.code == 130
    assert [event["signal"] for event in done.of("run-interrupted")] == ["SIGINT"]
    assert done.events[-1]["event"] == "run-finished"
    assert done.events[-1]["exit_code"] == 130
    assert done.of("step-failed") == []


def test_the_same_command_again_goes_on_where_it_was_interrupted(scenario: Scenario) -> None:
    tree(scenario)
    with scenario.running("run", "web") as running:
        running.until("step-waiting", "db")
        running.process.send_signal(signal.SIGINT)
        assert running.finish().code == 130
    scenario.mock("db", 'run_for = "2h"')  # mended: another task, and the quick update again
    done = scenario.dtree("run", "web", "--output", "json")
    assert done.code == 0, done.stderr
    assert {event["job"]: event["changed"] for event in done.of("step-registered")}["cache"] is False
    assert scenario.names() == ["api", "cache", "db", "web"]


def test_a_second_signal_leaves_at_once(scenario: Scenario, proxy: Proxy) -> None:
    tree(scenario)
    proxy.fate = only("hang", "POST", "/v1/jobs")
    with scenario.running("run", "web", "--server-addr", proxy.address) as running:
        eventually(lambda: proxy.seen("POST", "/v1/jobs") > 0)
        running.process.send_signal(signal.SIGINT)
        running.until("run-interrupted")
        running.process.send_signal(signal.SIGINT)
        done = running.finish()
    assert done.code == 130
    # After the first alone it would wait a second for the answer to what it has already asked, then tell that it finished.
    assert done.of("run-finished") == []


def test_a_request_without_an_answer_keeps_nobody_waiting_and_is_told_as_open(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    proxy.fate = only("hang", "POST", "/v1/jobs")
    with scenario.start("run", "api", "--server-addr", proxy.address) as process:
        eventually(lambda: proxy.seen("POST", "/v1/jobs") > 0)
        assert ended_soon(process, signal.SIGTERM) == 130
        assert process.stderr is not None
        told = process.stderr.read()
    assert "db (its request was under way: Nomad may or may not have accepted it)" in told
    assert re.search(r"\n  not started +api\n", told)


@pytest.mark.parametrize("verb", ["run", "plan", "status", "stop"])
def test_an_interrupt_while_nomad_is_read_ends_at_once_and_changes_nothing(scenario: Scenario, proxy: Proxy, verb: str) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db")
    proxy.fate = lambda request: "hang" if request.method == "GET" else "pass"
    with scenario.start(verb, "api", "--server-addr", proxy.address) as process:
        eventually(lambda: any(request.method == "GET" for request in proxy.requests))
        assert ended_soon(process, signal.SIGINT) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "interrupted\n"
    assert scenario.names() == []


def test_an_interrupt_while_job_files_are_parsed_ends_at_once(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db")
    proxy.fate = only("hang", "POST", "/v1/jobs/parse")
    with scenario.start("run", "db", "--server-addr", proxy.address) as process:
        eventually(lambda: proxy.seen("POST", "/v1/jobs/parse") > 0)
        assert ended_soon(process, signal.SIGTERM) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "interrupted\n"


def test_an_interrupt_during_the_last_look_ends_at_once(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db")
    with scenario.running("run", "db", "--server-addr", proxy.address) as running:
        running.until("step-waiting", "db")
        # From now on only standing queries are answered, so the look at the end of the run is not.
        proxy.fate = lambda request: "pass" if request.is_blocking or "filter=" in request.target else "hang"
        asked = len(proxy.requests)
        running.until("step-ready", "db")
        eventually(lambda: any(not request.is_blocking for request in proxy.requests[asked:]))
        assert ended_soon(running.process, signal.SIGINT) == 130
        done = running.finish()
    assert [event["signal"] for event in done.of("run-interrupted")] == ["SIGINT"]
    assert done.events[-1]["exit_code"] == 130


def test_an_interrupted_stop_says_what_still_runs(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.shell("api", "trap '' INT TERM; while true; do sleep 0.2; done", task='kill_timeout = "5s"', pre="db")
    assert scenario.dtree("run", "api").code == 0
    with scenario.start("stop", "api", "--deep") as process:
        eventually(lambda: (scenario.stored("api") or {}).get("Stop"))
        assert ended_soon(process, signal.SIGINT) == 130
        assert process.stderr is not None
        told = process.stderr.read()
    assert re.search(r"\n  not yet stopped +api \(stop accepted", told), told
    assert re.search(r"\n  not stopped +db\n", told), told
    db = scenario.stored("db")
    assert db is not None
    assert db["Stop"] is False


def test_a_signal_that_was_ignored_from_the_start_stays_ignored(scenario: Scenario) -> None:
    scenario.mock("db", update='update {\n min_healthy_time = "2s"\n}')
    # What nohup does: the signal is ignored when the program starts.
    ignore = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    program = [sys.executable, "-c", ignore, sys.executable, "-m", "dtree", "run", "db"]
    with subprocess.Popen(program, cwd=scenario.folder, env=scenario.environ(), stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: scenario.names() == ["db"])
        process.send_signal(signal.SIGHUP)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert "ready" in told


def test_at_a_terminal_the_cursor_comes_back_and_the_summary_stays(scenario: Scenario) -> None:
    tree(scenario)
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dtree", "run", "web"],
        cwd=scenario.folder,
        env=scenario.environ({"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
    )
    os.close(secondary)
    screen = read_until(primary, lambda text: "1 of 1 allocation healthy" in text)
    process.send_signal(signal.SIGINT)
    screen += read_until(primary, lambda _: False)
    assert process.wait(timeout=_SOON_S) == 130
    os.close(primary)
    assert screen.rindex("\x1b[?25l") < screen.rindex("\x1b[?25h")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen[screen.rindex("\x1b[?25h") :])
    assert "Interrupted by SIGINT; nothing was undone:" in plain
    assert re.search(r"not yet ready +db \(version 0 registered: 0 of 1 allocation healthy\)", plain), plain
    assert "Traceback" not in screen


def read_until(terminal: int, seen: Callable[[str], bool], *, timeout_s: float = 30.0) -> str:
    """Read what a program writes to its terminal, until `seen` of it or its end."""
    text = ""
    deadline_s = time.monotonic() + timeout_s
    while not seen(text):
        assert time.monotonic() < deadline_s, text
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # Linux says so when the last program has left the terminal
                return text
            text += piece.decode(errors="replace")
    return text


def assert_untouched(scenario: Scenario, *names: str) -> None:
    """What was in flight goes on in Nomad: not stopped, its task running."""
    for name in names:
        stored = scenario.stored(name)
        assert stored is not None
        assert stored["Stop"] is False
        assert [row["DesiredStatus"] for row in scenario.allocations(name)] == ["run"]

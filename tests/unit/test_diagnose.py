from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.diagnose import (
    Question,
    check_questions,
    clean,
    culprit,
    cut,
    exit_words,
    explain,
    failure,
    placement,
    questions,
    restarts,
    task_end,
    waits_for,
    why_unplaced,
)
from dtree.model import AllocationState, CheckResult, Placement, TaskEvent, TaskState
from tests.fakes.snapshots import (
    NO_MEMORY,
    WINDOWS,
    alloc,
    awaited,
    deployment,
    evaluation,
    event,
    failed_alloc,
    failed_task,
    group,
    job,
    snapshot,
    task,
)

ID = "81fd0c7e-5a1b-4c3d-9e2f-000000000000"
SHORT = "81fd0c7e"

# -- placement ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (WINDOWS, "no node is eligible: 3 nodes, 2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers"),
        (NO_MEMORY, "no room: memory on 2 of 3 nodes (1 filtered by node class edge)"),
        (Placement(), "no node is eligible: there is none in the job's datacenters and node pool"),
        (Placement(nodes_available={"dc9": 0, "dc7": 0}), "no node is eligible: there is none in datacenter dc7, dc9"),
        (Placement(nodes_evaluated=1), "no node is eligible: 1 node"),
        (Placement(nodes_evaluated=2, nodes_filtered=2), "no node is eligible: 2 nodes, 2 filtered"),
        (Placement(nodes_evaluated=1, nodes_exhausted=1), "no room on 1 of 1 node"),
        (
            Placement(nodes_evaluated=4, nodes_exhausted=4, dimension_exhausted={"cpu": 1, "memory": 3}, class_exhausted={"big": 2}),
            "no room: memory, class big, cpu on 4 of 4 nodes",
        ),
        (Placement(nodes_evaluated=4, quota_exhausted=("memory", "cpu")), "no room in the quota: cpu, memory"),
        (
            Placement(nodes_evaluated=5, constraint_filtered={"computed class ineligible": 4, "missing drivers": 1}),
            "no node is eligible: 5 nodes, 1 filtered by missing drivers, 4 by the same, being of the same class",
        ),
    ],
)
def test_a_placement_failure_tells_how_many_nodes_and_why(reason: Placement, expected: str) -> None:
    assert why_unplaced(reason) == expected


def test_placement_goes_through_the_groups_by_name_and_through_ten_at_most() -> None:
    assert placement({"web": WINDOWS, "api": Placement()}) == (
        "group api: no node is eligible: there is none in the job's datacenters and node pool",
        "group web: no node is eligible: 3 nodes, 2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers",
    )
    assert len(placement({f"g{number}": WINDOWS for number in range(50)})) == 10


def test_a_placement_names_at_most_six_constraints() -> None:
    many = Placement(nodes_evaluated=9, constraint_filtered={f"constraint {number}": 1 for number in range(9)})
    assert why_unplaced(many).count("constraint") == 6


# -- how tasks end -----------------------------------------------------------------------------------------------------

RESTARTED = [event(one) for one in ("Started", "Restart Signaled", "Terminated", "Restarting", "Started")]


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (task(exit_code=3), "exit code 3"),
        (task(), "exit code 0"),
        (task(exit_code=143, signal=15), "killed by SIGTERM, exit code 143"),
        (task(exit_code=170, signal=42), "killed by signal 42, exit code 170"),
        (task(exit_code=137, signal=9), "killed by SIGKILL, exit code 137 (nobody stopped it: perhaps out of memory)"),
        (task(exit_code=137, signal=9, events=[event("Killing")]), "killed by SIGKILL, exit code 137"),
        (task(exit_code=137, signal=9, events=RESTARTED), "killed by SIGKILL, exit code 137"),
        (
            task(exit_code=137, signal=9, events=[*RESTARTED, event("Terminated")]),
            "killed by SIGKILL, exit code 137 (nobody stopped it: perhaps out of memory)",
        ),
        (task(exit_code=137, signal=9, oom_killed=True), "killed: out of memory (its memory limit)"),
    ],
)
def test_an_exit_is_told_by_code_signal_or_memory(ended: TaskState, expected: str) -> None:
    assert exit_words(ended) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event("Driver Failure", "no such image")], "failed to start: no such image"),
        ([event("Setup Failure", "no user 'nobody2'")], "failed to start: no user 'nobody2'"),
        ([event("Failed Artifact Download", 'failed to download artifact "http://x"')], 'failed to download artifact "http://x"'),
        ([event("Task hook failed", "logmon: no disk")], "logmon: no disk"),
        ([event("Killing", "Template failed: no key", fails_task="true")], "Template failed: no key"),
        ([event("Killing", "Sent interrupt")], ""),
        ([event("Started", "Task started by client"), event("Terminated", "Exit Code: 0")], "exit code 0"),
        ([event("Driver Failure", "first"), event("Driver Failure", "second")], "failed to start: second"),
        ([event("Alloc Unhealthy", "Task not running by healthy_deadline of 4s")], "task not running by healthy_deadline of 4s"),
        ([event("Alloc Unhealthy", "X not Y")], "X not Y"),
        ([], ""),
    ],
)
def test_a_task_tells_its_end_by_the_newest_event_that_explains_it(events: list[TaskEvent], expected: str) -> None:
    assert task_end(task(events=events)) == expected


def test_a_task_whose_end_fell_off_the_events_still_tells_its_exit_code() -> None:
    assert task_end(task(exit_code=7, events=[event("Started")])) == "exit code 7"


def test_used_up_restarts_are_told() -> None:
    events = [event("Terminated"), event("Not Restarting", 'Exceeded allowed attempts 2 in interval 1m0s and mode is "fail"')]
    words = 'exit code 3, after 2 restarts (exceeded allowed attempts 2 in interval 1m0s and mode is "fail")'
    assert task_end(failed_task(exit_code=3, restarts=2, events=events)) == words
    assert task_end(task(restarts=2, events=events[1:])) == ""


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (failed_alloc("a", task("a"), failed_task("b", exit_code=3)), "task b: exit code 3"),
        (alloc("a", task("a"), task("b", restarts=2, exit_code=1)), "task b: exit code 1, after 2 restarts"),
        (alloc("a", task("a", exit_code=143, events=[event("Killed")]), task("b", exit_code=1)), "task b: exit code 1"),
        (failed_alloc("a", task("a"), client_description="Failed to setup alloc"), "Failed to setup alloc"),
        (alloc("a", client="lost"), "is lost"),
    ],
)
def test_an_allocation_is_explained_by_the_task_that_brought_it_down(broken: AllocationState, expected: str) -> None:
    assert failure(broken) == expected


def test_an_allocation_without_tasks_has_no_culprit() -> None:
    assert culprit(alloc()) is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([task("a"), task("b", restarts=3, exit_code=1)], "task b restarted 3 times, last exit code 1"),
        ([task("b", restarts=1, events=[event("Driver Failure", "no image")])], "task b restarted 1 time, failed to start: no image"),
        ([task("b", restarts=1)], "task b restarted 1 time"),
        ([task("b")], ""),
        ([], ""),
    ],
)
def test_restarts_are_told_with_the_last_end(states: list[TaskState], expected: str) -> None:
    assert restarts(alloc("a", *states)) == expected


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (alloc("a", task(state="pending", events=[event("Template", "Missing: nomad.var(x)")])), "task t: missing: nomad.var(x)"),
        (alloc("a", task(state="pending", events=[event("Driver", "Downloading image")])), "task t: downloading image"),
        (alloc("a", task(state="pending", events=[event("Received")])), "task t has not started yet"),
        (alloc("a", task(state="pending", events=[event("Received")]), client="pending"), ""),
        (alloc("a", task(state="pending")), ""),
        (alloc("a", task()), ""),
    ],
)
def test_a_task_that_has_not_started_tells_what_it_waits_for(waiting: AllocationState, expected: str) -> None:
    assert waits_for(waiting) == expected


def test_a_template_that_waits_explains_a_pending_task() -> None:
    assert task_end(task(state="pending", events=[event("Template", "Missing: x")])) == "its template waits: missing: x"
    assert task_end(task(state="running", events=[event("Template", "Missing: x")])) == ""


# -- questions ---------------------------------------------------------------------------------------------------------


def test_the_newest_failed_allocation_is_asked_for_its_failed_task_stderr_first() -> None:
    old = failed_alloc("a1", create_index=20)
    new = failed_alloc("a2", task("side"), failed_task("main"), create_index=30)
    restarting = alloc("a3", task(restarts=1, exit_code=1), create_index=40)
    stored = snapshot(job(group(count=3)), old, new, restarting)
    assert questions(stored, awaited()) == (Question("a2", "main", "stderr"), Question("a2", "main", "stdout"))


def test_a_running_allocation_that_is_unhealthy_is_asked_for_its_log() -> None:
    stored = snapshot(job(), alloc("a1", task(), healthy=False))
    assert questions(stored, awaited())[0] == Question("a1", "t", "stderr")


def test_where_nothing_is_known_to_ail_the_newest_that_is_not_healthy_yet_is_asked() -> None:
    stored = snapshot(job(group(count=2)), alloc("a1", task(), create_index=10), alloc("a2", task(), create_index=20))
    assert questions(stored, awaited())[0] == Question("a2", "t", "stderr")
    broken = failed_alloc("a0", failed_task("main"), create_index=5)
    assert questions(snapshot(job(group(count=2)), broken, *stored.allocations), awaited())[0] == Question("a0", "main", "stderr")


def test_replaced_allocations_of_the_version_are_asked_and_other_versions_are_not() -> None:
    reverted = failed_alloc("a1", desired="stop", next_allocation="a2")
    stored = snapshot(job(version=4, shape="green"), failed_alloc("a0", version=2, create_index=90), reverted)
    assert questions(stored, awaited())[0] == Question("a1", "t", "stderr")


@pytest.mark.parametrize(
    "stored",
    [
        snapshot(job(), alloc("a1", task(), healthy=True)),
        snapshot(job(), failed_alloc("a1", task(state="dead", failed=True, events=[event("Driver Failure", "x")]))),
        snapshot(job(), alloc("a1", healthy=False)),
        snapshot(None),
    ],
)
def test_no_log_is_asked_for_where_nothing_ails_or_nothing_ever_ran(stored: object) -> None:
    assert questions(stored, awaited()) == ()  # type: ignore[arg-type]


def test_checks_are_asked_of_running_allocations_that_no_deployment_called_healthy() -> None:
    stored = job(group("g", count=4, checked=True), group("plain"), group("never", deploys=False, checked=True))
    allocations = (
        alloc("a1"),
        alloc("a2", healthy=True),
        alloc("a3", client="pending"),
        alloc("a4", healthy=False),
        alloc("a5", group_name="plain"),
        alloc("a6", group_name="removed"),
        alloc("a7", group_name="never", healthy=True),
    )
    assert check_questions(snapshot(stored, *allocations), awaited()) == ("a1", "a4", "a7")


# -- the whole report --------------------------------------------------------------------------------------------------


def test_a_report_tells_placement_deployment_allocations_checks_and_logs_in_this_order() -> None:
    stored = snapshot(
        job(group(), group("web")),
        failed_alloc(ID, healthy=False),
        deployments=[deployment("8936aaaa-1", status="failed", description="Failed due to unhealthy allocations")],
        evaluations=[evaluation(failed={"web": WINDOWS})],
    )
    logs = {
        Question(ID, "t", "stderr"): ["", "\x1b[31mpanic:\x1b[0m no table"],
        Question(ID, "t", "stdout"): ["listening"],
    }
    checks = {ID: (CheckResult("http", "failure", "Get /: refused\n\nsecond\nthird\nfourth"), CheckResult("tcp", "success", ""))}
    assert explain(stored, awaited(eval_id="e1"), logs=logs, checks=checks) == (
        "group web: no node is eligible: 3 nodes, 2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers",
        "deployment 8936aaaa of version 3: Failed due to unhealthy allocations",
        f"allocation {SHORT} on node1: task t: exit code 1",
        f"check 'http' of allocation {SHORT}: failure: Get /: refused",
        "  second",
        "  third",
        f"{SHORT}/t stderr | panic: no table",
        f"{SHORT}/t stdout | listening",
    )


def test_nodes_that_a_system_job_is_not_let_on_explain_nothing_while_it_runs_on_others() -> None:
    stored = job(group(), group("web"), group("full"), type_="system")
    evaluations = [evaluation(failed={"g": WINDOWS, "web": WINDOWS, "full": NO_MEMORY})]
    allocations = (alloc("a1", healthy=True), alloc("a2", group_name="full", healthy=True))
    assert explain(snapshot(stored, *allocations, evaluations=evaluations), awaited(), logs={}, checks={}) == (
        "group full: no room: memory on 2 of 3 nodes (1 filtered by node class edge)",
        "group web: no node is eligible: 3 nodes, 2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers",
    )


def test_stdout_is_shown_where_stderr_is_empty() -> None:
    stored = snapshot(job(), failed_alloc(ID, node=""))
    logs = {Question(ID, "t", "stderr"): [" ", "\x07"], Question(ID, "t", "stdout"): [f"line {number}" for number in range(30)]}
    lines = explain(stored, awaited(), logs=logs, checks={})
    assert lines[0] == f"allocation {SHORT} on an unknown node: task t: exit code 1"
    assert lines[1:] == tuple(f"{SHORT}/t stdout | line {number}" for number in range(10, 30))


def test_few_lines_of_stderr_come_first_and_the_last_of_stdout_fill_up_to_twenty() -> None:
    stored = snapshot(job(), failed_alloc(ID))
    logs = {Question(ID, "t", "stderr"): ["panic", "exit"], Question(ID, "t", "stdout"): [f"line {number}" for number in range(30)]}
    lines = explain(stored, awaited(), logs=logs, checks={})[1:]
    errors = (f"{SHORT}/t stderr | panic", f"{SHORT}/t stderr | exit")
    assert lines == errors + tuple(f"{SHORT}/t stdout | line {number}" for number in range(12, 30))


def test_many_lines_of_stderr_leave_no_room_for_stdout() -> None:
    stored = snapshot(job(), failed_alloc(ID))
    logs = {Question(ID, "t", "stderr"): [f"line {number}" for number in range(30)], Question(ID, "t", "stdout"): ["listening"]}
    assert explain(stored, awaited(), logs=logs, checks={})[1:] == tuple(f"{SHORT}/t stderr | line {number}" for number in range(10, 30))


def test_a_report_without_anything_to_tell_is_empty() -> None:
    stored = snapshot(job(), alloc("a1", task(), healthy=True), deployments=[deployment()])
    assert explain(stored, awaited(), logs={}, checks={}) == ()


def test_a_failing_check_without_output_tells_its_status() -> None:
    assert explain(snapshot(None), awaited(), logs={}, checks={ID: (CheckResult("http", "pending", ""),)}) == (
        f"check 'http' of allocation {SHORT}: pending",
    )


def test_a_report_does_not_grow_without_bound() -> None:
    many = [failed_alloc(f"{number:08}", failed_task(events=[event("Driver Failure", "x" * 9000)])) for number in range(100)]
    many.append(failed_alloc("99999999", failed_task(events=[event("Terminated")]), create_index=99))
    stored = snapshot(job(), *many, evaluations=[evaluation(failed={f"g{number}": WINDOWS for number in range(99)})])
    logs = {Question("99999999", "t", "stderr"): ["y" * 5000] * 500}
    checks = {f"{number:08}": (CheckResult("c", "failure", "z\n" * 1000),) * 10 for number in range(100)}
    lines = explain(stored, awaited(), logs=logs, checks=checks)
    assert len(lines) == 10 + 3 + 5 * 3 + 20
    assert max(len(line) for line in lines) == 300


# -- text that others wrote --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("  indented\tby tab  ", "  indented by tab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bascii\x1bM", "ascii"),
        ("\x9b31mred", "red"),
        ("a\rb\nc", "a b c"),
        ("bell\x07 null\x00 del\x7f", "bell null del"),
        ("hidden\u202etxt\u200b", "hiddentxt"),
        ("one\u2028two", "onetwo"),
        ("Ünïcode ✓", "Ünïcode ✓"),
    ],
)
def test_escape_sequences_and_invisible_characters_are_taken_out(raw: str, expected: str) -> None:
    assert clean(raw) == expected


@given(st.text())
def test_whatever_others_wrote_comes_out_as_one_harmless_line(raw: str) -> None:
    line = clean(raw)
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line


def test_a_long_line_is_cut_with_a_mark() -> None:
    assert cut("x" * 300) == "x" * 300
    assert cut("x" * 301) == "x" * 299 + "…"

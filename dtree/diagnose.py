"""Why a job broke or waits, in the user's words: from a snapshot, logs and check results to lines ready to print. Pure.

Text that others wrote (logs, check output, driver errors) is cleaned of escape sequences and cut: it goes to terminals and CI logs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dtree.evidence import (
    SETTLE_S,
    Awaited,
    all_allocations,
    current_allocations,
    deployments_of,
    evaluations_of,
    group_of,
    short_id,
    unplaced,
)
from dtree.model import AllocationState, CheckResult, JobSnapshot, Placement, TaskEvent, TaskExit, TaskState

LINE_CHARS: Final = 300
"""Longest line of a report."""

LOG_LINES: Final = 20
"""Last lines of a log that are shown."""

_ALLOCATIONS: Final = 3
_TASKS: Final = 5
_CHECKS: Final = 5
_CHECK_LINES: Final = 3
_CONSTRAINTS: Final = 6
_GROUPS: Final = 10

# CSI, OSC (ended by BEL or ST) and the short escape sequences.
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]")

# Numbers as on Linux, where Nomad's clients run; the machine that reads them may number signals differently.
_SIGNALS: Final = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
_SIGKILL: Final = 9

_START_FAILURES: Final = ("Driver Failure", "Setup Failure", "Failed Validation", "Failed Restoring Task")
_PREPARING: Final = ("Downloading Artifacts", "Driver", "Task hook message", "Template")
_OTHER_FAILURES: Final = ("Failed Artifact Download", "Task hook failed", "Disk Resources Exceeded")


@dataclass(frozen=True, slots=True)
class Question:
    """A log worth reading."""

    allocation: str
    task: str
    stream: Literal["stderr", "stdout"]


def questions(snapshot: JobSnapshot, awaited: Awaited) -> tuple[Question, ...]:
    """Name the logs worth reading, stderr before stdout: of the newest broken allocation's broken task, else of the newest that takes long.

    None if it never started.
    """
    for alloc in (*_suspects(snapshot, awaited), *_slow(snapshot, awaited)):
        task = culprit(alloc)
        if task is not None and (task.exit_code is not None or task.state == "running"):
            return (Question(alloc.id, task.name, "stderr"), Question(alloc.id, task.name, "stdout"))
    return ()


def check_questions(snapshot: JobSnapshot, awaited: Awaited) -> tuple[str, ...]:
    """Name the running allocations whose checks decide or explain: those of a group with checks that no deployment called healthy.

    Source: seen with Nomad 1.11.3: without a deployment a client may say healthy too, and an update in place does not take that back.
    """
    asked = []
    for alloc in current_allocations(snapshot, awaited):
        group = group_of(snapshot, alloc)
        is_known = group is not None and group.deploys and alloc.healthy and not awaited.renewed
        if group is not None and group.checked and alloc.client == "running" and not is_known:
            asked.append(alloc.id)
    return tuple(asked)


def explain(
    snapshot: JobSnapshot,
    awaited: Awaited,
    *,
    logs: Mapping[Question, Sequence[str]],
    checks: Mapping[str, Sequence[CheckResult]],
) -> tuple[str, ...]:
    """Write down what supports a verdict: placement, deployment, allocations, checks, last log lines.

    Args:
        logs: the answers to `questions`; a stream that is missing counts as empty.
        checks: the answers to `check_questions`, by allocation ID.

    Returns:
        Lines of at most `LINE_CHARS` characters, bounded in number, in a fixed order.
    """
    lines = list(placement(_without_place(snapshot, awaited)))
    lines += [
        f"deployment {short_id(item.id)} of version {item.version}: {clean(item.description)}"
        for item in deployments_of(snapshot, awaited)[-1:]
        if item.status in ("failed", "cancelled")
    ]
    lines += [line for alloc in _suspects(snapshot, awaited)[:_ALLOCATIONS] for line in _allocation_lines(alloc)]
    lines += _check_lines(checks)
    lines += _log_lines(questions(snapshot, awaited), logs)
    return tuple(cut(line) for line in lines)


def exits(snapshot: JobSnapshot, awaited: Awaited) -> tuple[TaskExit, ...]:
    """Tell how the tasks of those allocations ended that `explain` speaks of, in its order, by name within each."""
    return tuple(
        TaskExit(snapshot.ref.id, alloc.id, task.name, task.exit_code, task.signal)
        for alloc in _suspects(snapshot, awaited)[:_ALLOCATIONS]
        for _, task in sorted(alloc.tasks.items())
        if task.exit_code is not None
    )


def placement(failed: Mapping[str, Placement]) -> tuple[str, ...]:
    """Say for each group, in order of their names, why it could not be placed; the first ten groups."""
    return tuple(cut(f"group {name}: {why_unplaced(failed[name])}") for name in sorted(failed)[:_GROUPS])


def why_unplaced(reason: Placement) -> str:
    """Say why a group could not be placed: "no room ..." where room may come, else "no node is eligible: ..."."""
    filtered = _filtered(reason)
    total = _nodes(reason.nodes_evaluated)
    if reason.quota_exhausted:
        return f"no room in the quota: {clean(', '.join(sorted(reason.quota_exhausted)))}"
    if reason.nodes_exhausted:
        exhausted = _by_count({**reason.dimension_exhausted, **_prefixed("class ", reason.class_exhausted)})
        what = ", ".join(name for name, _ in exhausted[:_CONSTRAINTS])
        return f"no room{': ' if what else ''}{what} on {reason.nodes_exhausted} of {total}" + (f" ({filtered})" if filtered else "")
    if reason.nodes_evaluated:
        return f"no node is eligible: {total}" + (f", {filtered}" if filtered else "")
    centers = ", ".join(sorted(reason.nodes_available))
    return "no node is eligible: there is none in " + (f"datacenter {clean(centers)}" if centers else "the job's datacenters and node pool")


def failure(alloc: AllocationState) -> str:
    """Say in one clause why an allocation failed, or what keeps it from being healthy."""
    task = culprit(alloc)
    words = task_end(task) if task is not None else ""
    if task is None or not words:
        return clean(alloc.client_description) or f"is {alloc.client}"
    return f"task {task.name}: {words}"


def culprit(alloc: AllocationState) -> TaskState | None:
    """Return the task that most likely brought the allocation down: the one that failed, else ended badly, else restarted, else any."""
    tasks = [alloc.tasks[name] for name in sorted(alloc.tasks)]
    return max(tasks, key=lambda task: (task.failed, bool(task.exit_code) and not _was_killed(task), task.restarts), default=None)


def task_end(task: TaskState) -> str:
    """Say how a task ended or what it waits for, and that its restarts are used up; "" where there is nothing to tell."""
    words = _last_end(task)
    if task.restarts and words:
        words += f", after {_many(task.restarts, 'restart')}"
    exceeded = next((event for event in task.events if event.type == "Not Restarting" and event.message.startswith("Exceeded")), None)
    return f"{words} ({_lowered(exceeded.message)})" if exceeded is not None and words else words


def restarts(alloc: AllocationState) -> str:
    """Say which task restarts and why; "" where none does."""
    task = max((alloc.tasks[name] for name in sorted(alloc.tasks)), key=lambda task: task.restarts, default=None)
    if task is None or not task.restarts:
        return ""
    words = _last_end(task)
    last = f"last {words}" if words.startswith("exit code") else words
    return f"task {task.name} restarted {_many(task.restarts, 'time')}" + (f", {last}" if last else "")


def waits_for(alloc: AllocationState) -> str:
    """Say what the first task that has not started waits for (a download, a template, other tasks); "" where that is unknown."""
    task = next((alloc.tasks[name] for name in sorted(alloc.tasks) if alloc.tasks[name].state == "pending"), None)
    if task is None or not task.events:
        return ""
    # Not simply the last one: "Alloc Unhealthy" comes on top and says nothing new.
    last = next((event for event in reversed(task.events) if event.type in _PREPARING), None)
    if last is not None:
        return f"task {task.name}: {_lowered(last.message)}"
    return f"task {task.name} has not started yet" if alloc.client == "running" else ""


def exit_words(task: TaskState) -> str:
    """Say how a task's process ended: out of memory, signal or exit code."""
    if task.oom_killed:
        return "killed: out of memory (its memory limit)"
    signal = task.signal or 0
    code = task.exit_code or 0
    if signal == _SIGKILL and not _was_killed(task):
        # Source: seen with 1.11.3 and raw_exec: a task that the kernel kills for its memory says oom_killed=false, signal 9.
        return f"killed by SIGKILL, exit code {code} (nobody stopped it: perhaps out of memory)"
    if signal:
        return f"killed by {_SIGNALS.get(signal, f'signal {signal}')}, exit code {code}"
    return f"exit code {code}"


def clean(text: str) -> str:
    """Take escape sequences, control and invisible formatting characters out of a line that somebody else wrote."""
    plain = _ESCAPE.sub("", text).replace("\t", " ").replace("\r", " ").replace("\n", " ")
    if plain.isascii() and plain.isprintable():
        return plain.rstrip()
    return "".join(char for char in plain if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")).rstrip()


def cut(line: str) -> str:
    """Shorten a line to `LINE_CHARS` characters."""
    return line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…"


def _without_place(snapshot: JobSnapshot, awaited: Awaited) -> dict[str, Placement]:
    """Groups that could not be placed; of a system job only those that are nowhere or met a full node, for it takes the nodes it may."""
    failed = unplaced(evaluations_of(snapshot, awaited, waited_s=SETTLE_S + 1))
    if snapshot.job is None or snapshot.job.type not in ("system", "sysbatch"):
        return failed
    placed = {alloc.group for alloc in current_allocations(snapshot, awaited)}
    return {name: item for name, item in failed.items() if name not in placed or item.nodes_exhausted}


def _suspects(snapshot: JobSnapshot, awaited: Awaited) -> list[AllocationState]:
    """Allocations that something is wrong with, the newest failed one first, then the newest of those that live."""
    suspects = [alloc for alloc in all_allocations(snapshot, awaited) if alloc.client == "failed" or _ails(alloc)]
    return sorted(suspects, key=lambda alloc: (alloc.client == "failed", alloc.create_index, alloc.id), reverse=True)


def _slow(snapshot: JobSnapshot, awaited: Awaited) -> list[AllocationState]:
    """Allocations that nothing is known to be wrong with, but that run and are not healthy yet, the newest first."""
    running = [alloc for alloc in current_allocations(snapshot, awaited) if alloc.client == "running" and alloc.healthy is None]
    return sorted(running, key=lambda alloc: (alloc.create_index, alloc.id), reverse=True)


def _allocation_lines(alloc: AllocationState) -> list[str]:
    """Say why an allocation failed; where it has several tasks, also how the others ended."""
    blamed = culprit(alloc)
    others = [task for _, task in sorted(alloc.tasks.items()) if task is not blamed and task.exit_code is not None]
    ended = [f"  task {task.name}: {exit_words(task)}" for task in others if alloc.client == "failed"]
    return [f"allocation {short_id(alloc.id)} on {alloc.node or 'an unknown node'}: {failure(alloc)}", *ended[:_TASKS]]


def _ails(alloc: AllocationState) -> bool:
    return alloc.healthy is False or any(task.failed or task.restarts for task in alloc.tasks.values())


def _last_end(task: TaskState) -> str:
    """Say why a task is down, by the newest event that tells.

    Source: event types as in Nomad's structs; seen with 1.11.3: driver, artifact and template failures come without an exit.
    """
    words = next((text for event in reversed(task.events) if (text := _event_words(event, task))), "")
    if not words and task.exit_code is not None:
        words = exit_words(task)
    return words or next((_lowered(event.message) for event in task.events if event.type == "Alloc Unhealthy"), "")


def _event_words(event: TaskEvent, task: TaskState) -> str:
    message = clean(event.message)
    if event.type in _START_FAILURES:
        return f"failed to start: {message}"
    if event.type in _OTHER_FAILURES:
        return message
    if event.type == "Terminated":
        return exit_words(task)
    if event.type == "Killing" and event.details.get("fails_task") == "true":
        return message
    if event.type == "Template" and task.state == "pending":
        return f"its template waits: {_lowered(message)}"
    return ""


def _was_killed(task: TaskState) -> bool:
    """Whether Nomad itself ended the task: a job stop, a sibling that failed, a check or somebody that asked for a restart."""
    return any(event.type in ("Killing", "Killed") for event in task.events) or _was_restarted(task)


def _was_restarted(task: TaskState) -> bool:
    """Whether the end that came last was asked for, to start the task anew.

    Source: seen with Nomad 1.11.3: Started, Restart Signaled, Terminated (exit code 130), Restarting, Started.
    """
    types = [event.type for event in task.events]
    last = len(types) - 1 - types[::-1].index("Terminated") if "Terminated" in types else 0
    asked = (one == "Restart Signaled" for one in reversed(types[:last]) if one in ("Started", "Restart Signaled"))
    return next(asked, False)


def _filtered(reason: Placement) -> str:
    """Write "2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers"."""
    by = _by_count({**reason.constraint_filtered, **_prefixed("node class ", reason.class_filtered)})
    # Nomad names the constraint for the first node of a class only.
    words = [f"{count} by {'the same, being of the same class' if name == 'computed class ineligible' else name}" for name, count in by]
    if not words:
        return f"{reason.nodes_filtered} filtered" if reason.nodes_filtered else ""
    first, *others = words[:_CONSTRAINTS]
    return ", ".join([first.replace(" by ", " filtered by ", 1), *others])


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Order names by how many, most first; Nomad's own summary of a class last."""
    pairs = ((clean(name), count) for name, count in counts.items())
    return sorted(pairs, key=lambda pair: (pair[0] == "computed class ineligible", -pair[1], pair[0]))


def _prefixed(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {prefix + name: count for name, count in counts.items()}


def _check_lines(checks: Mapping[str, Sequence[CheckResult]]) -> list[str]:
    bad = [(alloc, check) for alloc in sorted(checks) for check in checks[alloc] if check.status != "success"]
    lines: list[str] = []
    for alloc, check in bad[:_CHECKS]:
        shown = [text for line in check.output.splitlines() if (text := clean(line))][:_CHECK_LINES]
        where = f"check '{clean(check.name)}' of allocation {short_id(alloc)}"
        lines.append(f"{where}: {clean(check.status)}" + (f": {shown[0]}" if shown else ""))
        lines += [f"  {text}" for text in shown[1:]]
    return lines


def _log_lines(asked: Iterable[Question], logs: Mapping[Question, Sequence[str]]) -> list[str]:
    """Take the last lines of stderr; where these are few, those of stdout fill up."""
    lines: list[str] = []
    for question in asked:
        said = [text for line in logs.get(question, ()) if (text := clean(line))]
        mark = f"{short_id(question.allocation)}/{question.task} {question.stream}"
        lines += [f"{mark} | {text}" for text in said[max(len(said) - LOG_LINES + len(lines), 0) :]]
    return lines


def _nodes(count: int) -> str:
    return _many(count, "node")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _lowered(text: str) -> str:
    """Begin in lower case, for the middle of a sentence; an acronym stays."""
    plain = clean(text)
    return plain[:1].lower() + plain[1:] if plain[1:2].islower() else plain

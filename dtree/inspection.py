"""What the executor's workers look at: what was ready, what broke, what health checks say. Each function only reads; it keeps no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree import diagnose
from dtree.conditions import Answer, what_lasts
from dtree.decide import is_alive, run_again
from dtree.declaration import Probe
from dtree.errors import ClusterError, DtreeError
from dtree.evidence import UNSEEN, Awaited, as_found, as_seen, count_standing
from dtree.health import Broken, Waiting, is_confirmed, is_finished, judge
from dtree.model import JobRef, JobSnapshot, TaskExit
from dtree.observe import look_again
from dtree.outcomes import Checked, Doubted, Explained, Fallen, JudgedAgain, Outcome, Standing
from dtree.plan import Await, Noop, Refuse, Step
from dtree.ports import Cluster

__all__ = ["details_of_stored", "explain", "fallen", "judge_again", "read_checks"]

_LOG_LINES: Final = 20
_PREFIXES: Final = ("group ", "deployment ")
"""Beginnings of the details whose rest a reason may repeat word for word."""


def fallen(stands: Sequence[Standing], cluster: Cluster) -> list[Fallen]:
    """Judge steps that were ready once more.

    A batch job that completed cannot fall over (Nomad may even have forgotten it), one that was ready once it ran can. A service that waits
    again, but with as many good allocations as then, grew; it did not fall.

    Returns:
        Those that fell, each once, sorted by name.

    Effects: reads Nomad.
    """
    lasting = [one for one in stands if one.lasts]
    snapshots = cluster.snapshots(sorted({one.step.ref for one in lasting})) if lasting else {}
    found: dict[str, Fallen] = {}
    for one in sorted(lasting, key=lambda one: one.step.name):
        earlier = found.get(one.step.name)
        if earlier is None or earlier.waits:
            fell = _judge_standing(one, snapshots[one.step.ref], cluster)
            found |= {one.step.name: fell} if fell is not None else {}
    return list(found.values())


def judge_again(stands: Sequence[Standing], cluster: Cluster) -> JudgedAgain:
    """Judge all steps that were ready once more, at the end of a run. Effects: reads Nomad.

    What others are just about to change is none of the run any more.
    """
    try:
        return JudgedAgain(tuple(one for one in fallen(stands, cluster) if not one.waits or one.is_gone))
    except ClusterError as error:
        return JudgedAgain(error=error)


def read_checks(name: str, ref: JobRef, allocations: Sequence[str], cluster: Cluster) -> Outcome:
    """Ask what the health checks of allocations say; nothing where they cannot be asked. Effects: reads Nomad."""
    try:
        return Checked(name, {allocation: cluster.checks(ref, allocation) for allocation in allocations})
    except ClusterError:
        return Checked(name, {})


def explain(
    step: Step,
    awaited: Awaited | None,
    broken: Broken,
    snapshot: JobSnapshot | None,
    cluster: Cluster,
    *,
    again: bool,
    answers: Mapping[Probe, Answer] | None = None,
    children: Sequence[JobRef] = (),
) -> Outcome:
    """Look once more whether a step broke, find out why, and if asked how to try again. Effects: reads Nomad.

    Args:
        awaited, snapshot: of the job, or of that of its children which broke.
        children: all of these.
        answers: what others than Nomad's lists have answered; they are not asked again.

    The lists behind a first verdict are read at slightly different moments: a failed allocation may be seen before its successor.
    """
    details: tuple[str, ...] = ()
    exits: tuple[TaskExit, ...] = ()
    upheld: Broken | None = None
    try:
        if awaited is not None and broken.kind not in ("timed-out", "awaiting-promotion"):
            first, snapshot = snapshot, cluster.snapshot(broken.child or step.ref)
            long_s = float("inf")
            second = judge(snapshot, awaited, waited_s=long_s, unplaceable_s=long_s, placement_timeout_s=0.0, answers=answers)
            if not is_confirmed(broken, second):
                return Doubted(step.name, first, snapshot)
            # Who stopped or replaced a job shows in some of Nomad's lists earlier than in others.
            if isinstance(second, Broken) and second.kind == "superseded":
                whose = broken.child
                upheld = second if whose is None else replace(second, reason=f"{whose.id}: {second.reason}", child=whose)
        if awaited is not None and snapshot is not None:
            details = _beyond((upheld or broken).reason, _details(snapshot, awaited, cluster))
            exits = diagnose.exits(snapshot, awaited)
        if not again or step.children:
            return Explained(step.name, details, _dispatch_again(step, children, cluster) if again else None, upheld, exits)
        if step.renewal != "none" and step.change == step.renewal and broken.kind == "timed-out":
            return Explained(step.name, details, replace(step, cause="its renewal took too long"), exits=exits)
        if step.renewal != "none" and step.provenance is None:
            return Explained(step.name, (*details, "it is not tried again: it is no part of this run but for that"), None, exits=exits)
        action, cause = run_again(step.job, look_again(step.job, cluster))
    except DtreeError as error:
        return Explained(step.name, (*details, f"Nomad could not be asked for more: {error.problem}"), None, exits=exits)
    if isinstance(action, Refuse):
        return Explained(step.name, (*details, f"it is not tried again: {action.why}"), None, exits=exits)
    # What is run again gets new allocations, or new tasks.
    return Explained(step.name, details, replace(step, action=action, change="rerun", cause=cause, renewal="none"))


def details_of_stored(step: Step, cluster: Cluster) -> tuple[str, ...]:
    """Say what is wrong with a step's job as Nomad has it; () where it has none. Effects: reads Nomad."""
    snapshot = cluster.snapshot(step.ref) if step.ref.id else None
    if snapshot is None or snapshot.job is None:
        return ()
    return _details(snapshot, as_found(snapshot.job, step.condition), cluster)


def _judge_standing(one: Standing, snapshot: JobSnapshot, cluster: Cluster) -> Fallen | None:
    if one.is_batch and snapshot.job is None:
        return None
    condition = what_lasts(one.awaited.condition)
    is_theirs = isinstance(one.step.action, Await)
    # Of a job of others' a newer version is theirs to make.
    awaited = as_seen(snapshot, condition) if is_theirs else replace(one.awaited, condition=condition)
    verdict = judge(snapshot, awaited, waited_s=one.step.timeout_s, unplaceable_s=0.0, placement_timeout_s=float("inf"))
    name, reason = one.step.name, verdict.reason
    if isinstance(verdict, Broken):
        return Fallen(name, verdict.kind, reason, _beyond(reason, _details(snapshot, one.awaited, cluster)), verdict.hint)
    if not isinstance(verdict, Waiting) or count_standing(snapshot, one.awaited) >= one.good:
        return None
    if is_theirs:
        return Fallen(name, "failed", reason, waits=True, is_gone=awaited.version == UNSEEN)
    return Fallen(name, "failed", reason, _beyond(reason, _details(snapshot, one.awaited, cluster)))


def _dispatch_again(step: Step, refs: Sequence[JobRef], cluster: Cluster) -> Step | None:
    """Return the step that dispatches again what has failed, and waits for the other children as before; None where the job is gone."""
    state = cluster.job(step.ref)
    if state is None:
        return None
    snapshots = cluster.snapshots(refs)
    children = []
    for child, ref in zip(step.children, refs, strict=True):
        is_completed = child.is_completed or is_finished(snapshots[ref])
        children.append(replace(child, id=ref.id if is_completed or is_alive(snapshots[ref]) else "", is_completed=is_completed))
    return replace(step, action=Noop(state.version, state.shape), change="dispatch", cause="a child failed", children=tuple(children))


def _beyond(reason: str, details: Sequence[str]) -> tuple[str, ...]:
    """Leave out of the details what the reason says already; a line about an allocation stays, for it says which and where."""
    return tuple(line for line in details if reason not in line and not (line.startswith(_PREFIXES) and line.partition(": ")[2] in reason))


def _details(snapshot: JobSnapshot, awaited: Awaited, cluster: Cluster) -> tuple[str, ...]:
    """Read the logs and checks that explain a failure; what cannot be read is left out."""
    logs = {}
    checks = {}
    try:
        for question in diagnose.questions(snapshot, awaited):
            logs[question] = cluster.logs(snapshot.ref, question.allocation, question.task, stream=question.stream, lines=_LOG_LINES)
        for allocation in diagnose.check_questions(snapshot, awaited):
            checks[allocation] = cluster.checks(snapshot.ref, allocation)
    except ClusterError as error:
        return (*diagnose.explain(snapshot, awaited, logs=logs, checks=checks), f"its logs cannot be read: {error.problem}; {error.hint}")
    return diagnose.explain(snapshot, awaited, logs=logs, checks=checks)

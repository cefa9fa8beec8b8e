"""Whether a job has reached what is waited for: a snapshot in, a verdict with its reason out. Pure.

`judge` asks its questions in a fixed order and the first that knows an answer gives the verdict; each is one function below.

A snapshot's lists are read at slightly different moments: a failed allocation may be seen before the evaluation that replaces it. So
whoever acts on `Broken` reads the job once more, evaluations before allocations, and asks `is_confirmed`. Nomad writes that evaluation
together with the failure, and the replacement before the evaluation is complete, so in such a read nothing can be hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree import diagnose, evidence, probes, progress
from dtree.canaries import unpromoted
from dtree.conditions import Answer
from dtree.declaration import Condition, Probe
from dtree.errors import LOOK_FIRST
from dtree.evidence import SETTLE_S, Awaited
from dtree.model import CheckResult, JobSnapshot, Placement
from dtree.tally import Case
from dtree.verdicts import Broken, Ready, Verdict, Waiting, all_of, any_of, within

__all__ = [
    "Awaited",
    "Broken",
    "Ready",
    "Verdict",
    "Waiting",
    "has_failed",
    "impossible",
    "is_confirmed",
    "is_finished",
    "judge",
    "stopped",
]


CHECK_AGAIN_S: Final = 1.0
"""How soon to ask again while only a health check can change the verdict: no list tells of it."""


_SOMEBODY_STOPPED: Final = Broken("superseded", "somebody stopped the job", hint="ask who did; to start it, run again")
_LOOK_FIRST: Final = "look at what it would undo with `nomad-dtree plan`, then run again"
_REGISTERED_AGAIN: Final = Broken("superseded", "somebody registered the job again while it was being stopped", hint="stop it again")


def judge(
    snapshot: JobSnapshot,
    awaited: Awaited,
    *,
    waited_s: float,
    unplaceable_s: float,
    placement_timeout_s: float,
    checks: Mapping[str, Sequence[CheckResult]] | None = None,
    answers: Mapping[Probe, Answer] | None = None,
) -> Verdict:
    """Judge a job against what is waited for.

    Args:
        waited_s: since Nomad accepted the job, or since it was first looked at if unchanged.
        unplaceable_s: for how long the verdicts so far have been `unplaceable` without a break.
        placement_timeout_s: how long that is put up with.
        checks: results by allocation ID, for those that `diagnose.check_questions` names; None: not asked.
        answers: what came of the last `Waiting.asks`, by probe; None: not asked.

    Returns:
        The verdict; its reason is deterministic and at most one line.
    """
    if awaited.completed:
        return Ready("completed")
    if awaited.version == evidence.UNSEEN:
        return Waiting("it is stopped" if snapshot.job is not None else "Nomad has no such job")
    condition = awaited.condition
    if condition.parts:

        def judge_part(part: Condition) -> Verdict:
            verdict = judge(
                snapshot,
                replace(awaited, condition=part),
                waited_s=waited_s,
                unplaceable_s=unplaceable_s,
                placement_timeout_s=placement_timeout_s,
                checks=checks,
                answers=answers,
            )
            return within(verdict, part.timeout_s, str(part), waited_s=waited_s)

        return (all_of if condition.name == "all" else any_of)([judge_part(part) for part in condition.parts])
    if snapshot.job is None:
        return Broken("superseded", "somebody purged the job, or Nomad collected it", hint="ask who did; to register it, run again")
    evaluations = evidence.evaluations_of(snapshot, awaited, waited_s=waited_s)
    case = Case(snapshot, snapshot.job, awaited, evaluations, waited_s, unplaceable_s, placement_timeout_s, checks or {}, answers or {})
    verdict = next((found for question in _QUESTIONS if (found := question(case)) is not None), None) or _progress(case)
    if condition.probe is None or not isinstance(verdict, Waiting) or verdict.canaries is not None:
        return verdict
    return _asking(case, verdict, condition.probe)


def is_confirmed(first: Broken, again: Verdict) -> bool:
    """Whether a second look, at a snapshot read afresh with evaluations before allocations, upholds a `Broken`.

    It does if it is of the same kind and rests on no allocation that the first look had not seen broken; otherwise the second verdict is
    the first of a new pair.
    """
    return isinstance(again, Broken) and again.kind == first.kind and set(again.allocations) <= set(first.allocations)


def has_failed(snapshot: JobSnapshot) -> bool:
    """Whether the stored version has failed and Nomad will not run it again by itself.

    A job that nobody has a node for has not failed: Nomad places it when there is one. Nor has one that was stopped or replaced.
    """
    job = snapshot.job
    if job is None or job.stopped:
        return False
    verdict = _as_stored(snapshot, evidence.as_found(job, Condition("ready")))
    return isinstance(verdict, Broken) and verdict.kind == "failed"


def is_finished(snapshot: JobSnapshot) -> bool:
    """Whether a batch or sysbatch job of the stored version has completed successfully."""
    job = snapshot.job
    if job is None or not job.is_batch or job.is_parent:
        return False
    return isinstance(_as_stored(snapshot, evidence.as_found(job, Condition("completed"))), Ready)


def impossible(goal: str, type_: str, *, parent: str) -> tuple[str, str] | None:
    """Say why a job of this type can never meet a condition, whatever it does.

    Args:
        goal: the name of the condition, which has no parts.
        parent: "periodic" or "parameterized", "" for any other job.

    Returns:
        (the reason, a hint); None where it may be met.
    """
    if parent and goal in ("healthy", "completed", "service", "http", "tcp", "log"):
        return f"a {parent} job runs only through its children, so '{goal}' cannot be waited for", "wait for 'registered'"
    if not parent and goal == "completed" and type_ not in ("batch", "sysbatch"):
        return f"a {type_} job is meant to run on, so 'completed' cannot be waited for", "wait for 'healthy', or make it a batch job"
    return None


def stopped(snapshot: JobSnapshot, *, was_stopped: bool = False) -> Verdict:
    """Judge a job that was asked to stop: ready when all its allocations have ended and no evaluation of it is pending.

    Args:
        was_stopped: it was seen stopped or gone before; a job that is so no longer was registered again.

    Nomad calls a job dead at once, while its tasks still have their kill_timeout. A delayed reschedule stays pending after the stop and
    places nothing any more, so it is not waited for.

    Source: seen with Nomad 1.11.3: job stopped, `alloc-reschedule` pending until its time, job status pending.
    """
    if snapshot.job is not None and not snapshot.job.stopped:
        if was_stopped:
            return _REGISTERED_AGAIN
        return Waiting("Nomad has not stopped it yet")
    states = [alloc.client for alloc in evidence.living(snapshot)]
    if states:
        counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        return Waiting(f"{_many(len(states), 'allocation')} still to end: {counts}")
    if evidence.is_evaluating(snapshot.evaluations):
        return Waiting("Nomad is still evaluating the stop")
    return Ready("all allocations have ended" if snapshot.allocations else "nothing of it runs")


# -- the questions, in the order in which they are asked ---------------------------------------------------------------


def _was_stopped(case: Case) -> Verdict | None:
    if not case.job.stopped:
        return None
    return _SOMEBODY_STOPPED


def _parent(case: Case) -> Verdict | None:
    """Judge a periodic or parameterized job, which itself never runs: registered is all it can be."""
    if not case.job.is_parent:
        return None
    kind = "periodic" if case.job.periodic else "parameterized"
    why = impossible(case.goal, case.job.type, parent=kind)
    if why is not None:
        return Broken("failed", why[0], hint=why[1])
    return _seconds_left(case) or Ready(f"registered: {kind} job")


def _accepted(case: Case) -> Verdict | None:
    return Ready("registered") if case.goal == "registered" else None


def _never(case: Case) -> Verdict | None:
    why = impossible(case.goal, case.job.type, parent="")
    return Broken("failed", why[0], hint=why[1]) if why is not None else None


def _deployment_broke(case: Case) -> Verdict | None:
    """A failed deployment ends the wait even if an auto-revert made a healthy, newer version.

    Of a version that was found unchanged the deployment is history. Its allocations are asked; only where Nomad's last word on a running
    one was "unhealthy" will nothing change it.
    """
    changed = case.awaited.changed
    deployments = evidence.deployments_of(case.snapshot, case.awaited) if changed else (case.deployment,)
    failed = next((item for item in deployments if item is not None and item.status == "failed"), None)
    if failed is None:
        return None
    history = evidence.all_allocations(case.snapshot, case.awaited) if changed else case.allocations
    broken = [alloc for alloc in history if alloc.healthy is False and (changed or alloc.client == "running")]
    if not changed and not (broken and case.lacking):
        return None
    # The progress deadline may pass before Nomad has called an allocation unhealthy.
    told = diagnose.failure(broken[-1]) if broken else next(filter(None, map(diagnose.restarts, reversed(history))), "")
    cause = f"; {told}" if told else ""
    reason = f"deployment of version {failed.version}: {failed.description}{cause}"
    return Broken("failed", diagnose.cut(reason), tuple(alloc.id for alloc in broken))


def _was_replaced(case: Case) -> Verdict | None:
    if evidence.is_adopted(case.job, case.awaited):
        return _was_cancelled(case)
    if case.job.version < case.awaited.version and case.waited_s <= SETTLE_S:
        return Waiting("Nomad is still registering it", again_in_s=_rest(SETTLE_S, case.waited_s))
    reason = f"somebody registered version {case.job.version} of the job over version {case.awaited.version}"
    return Broken("superseded", reason, hint=LOOK_FIRST)


def _was_cancelled(case: Case) -> Verdict | None:
    deployment = case.deployment
    if deployment is None or deployment.status != "cancelled" or deployment.version != case.job.version:
        return None
    # Source: Nomad 1.11.3 writes "Cancelled because job is stopped"; the job may have been read a moment before that.
    if "job is stopped" in deployment.description:
        return _SOMEBODY_STOPPED
    return Broken("superseded", f"deployment of version {deployment.version}: {deployment.description}", hint=LOOK_FIRST)


def _was_not_evaluated(case: Case) -> Verdict | None:
    """The registration's evaluation failed and no other follows: Nomad itself tries again through a follow-up evaluation."""
    own = case.evaluations[-1] if case.evaluations else None
    if own is None or own.status != "failed" or own.id != case.awaited.eval_id:
        return None
    return Broken("failed", diagnose.cut(f"Nomad could not evaluate the job: {diagnose.clean(own.description) or 'no reason given'}"))


def _failed_for_good(case: Case) -> Verdict | None:
    """A failed allocation that nothing will replace: no reschedule is due, no evaluation pending, no deployment deciding about it.

    Of a canary that was healthy once a deployment has decided.

    Source: seen with Nomad 1.11.3: such a canary fails, and its deployment stays `running` past every deadline.
    """
    dead = [alloc for tally in case.lacking for alloc in tally.allocations if alloc.client == "failed" and not alloc.followup_eval]
    if case.is_deploying:
        dead = [alloc for alloc in dead if alloc.canary and alloc.healthy]
    if not dead or case.is_evaluating:
        return None
    dead.sort(key=lambda alloc: (alloc.create_index, alloc.id))
    reason = f"{_many(len(dead), 'allocation')} failed and will not be run again; {diagnose.failure(dead[-1])}"
    return Broken("failed", diagnose.cut(reason), tuple(alloc.id for alloc in dead))


def _reached(case: Case) -> Verdict | None:
    probe = case.awaited.condition.probe
    if probe is not None:
        # What a canary answers or writes does not count before it is promoted.
        return None if unpromoted(case.deployment, case.allocations) is not None else _answered(case, probe)
    if not case.is_met:
        return None
    left = _seconds_left(case) or _health_left(case)
    if left is not None:
        return left
    want = sum(tally.want for tally in case.tallies)
    if not want:
        return Ready("nothing to run: count is 0")
    is_over = bool(case.allocations) and all(alloc.client == "complete" for alloc in case.allocations)
    return Ready(f"{want} of {_many(want, 'allocation')} {progress.WORDS['completed' if is_over else case.goal]}")


def _answered(case: Case, probe: Probe) -> Verdict | None:
    """Judge by what others than Nomad's lists have answered."""
    reason = probes.met(case, probe)
    if reason is not None:
        return Ready(reason)
    why = probes.hopeless(case, probe)
    return Broken("failed", diagnose.cut(why[0]), hint=why[1]) if why is not None else None


def _awaits_promotion(case: Case) -> Verdict | None:
    """Healthy canaries that Nomad does not promote by itself: every group of the deployment that has canaries must be that far."""
    canaries = unpromoted(case.deployment, case.allocations)
    return Waiting(str(canaries), canaries=canaries) if canaries is not None and canaries.await_promotion else None


def _has_no_place(case: Case) -> Verdict | None:
    """Groups that could not be placed: without an eligible node for a while it is a failure, room is waited for."""
    failed = _places_missing(case)
    if not failed:
        return None
    hopeless = {name: item for name, item in failed.items() if not _may_find_room(item)}
    shown = hopeless or failed
    words = [diagnose.why_unplaced(shown[name]) for name in sorted(shown)]
    prefix = [f"group {name}: " if len(case.job.groups) > 1 else "" for name in sorted(shown)]
    reason = diagnose.cut("; ".join(front + text for front, text in zip(prefix, words, strict=True)))
    if not hopeless:
        return Waiting(reason)
    if case.unplaceable_s >= case.placement_timeout_s:
        return Broken("failed", reason)
    return Waiting(reason, unplaceable=True, again_in_s=_rest(case.placement_timeout_s, case.unplaceable_s))


def _places_missing(case: Case) -> dict[str, Placement]:
    """Group -> why it has no place, for the groups where that keeps the condition from being met."""
    if not case.per_node:
        lacking = {tally.group.name for tally in case.lacking}
        return {name: item for name, item in case.unplaced.items() if name in lacking}
    if case.allocations or case.is_evaluating or not any(group.count for group in case.job.groups):
        return {name: item for name, item in case.unplaced.items() if _may_find_room(item)}
    return dict(case.unplaced) or {group.name: Placement() for group in case.job.groups if group.count}


def _may_find_room(item: Placement) -> bool:
    """Whether others may make room without anybody touching this job: a full node, a quota, a volume that somebody holds."""
    held = any("exhausted its available" in name for name in item.constraint_filtered)
    return bool(item.nodes_exhausted or item.quota_exhausted or held)


def _was_ignored(case: Case) -> Verdict | None:
    """Nomad looked and placed nothing, without saying why, as it does with a failed allocation whose rescheduling is off."""
    empty = [tally.group.name for tally in case.lacking if not tally.allocations]
    looked = not case.awaited.eval_id or any(item.id == case.awaited.eval_id and item.status == "complete" for item in case.evaluations)
    if not empty or not looked or case.is_evaluating or case.is_deploying or case.per_node:
        return None
    if case.waited_s <= SETTLE_S:
        return Waiting(progress.describe(case), again_in_s=_rest(SETTLE_S, case.waited_s))
    return Broken("failed", f"Nomad evaluated version {case.job.version} and placed nothing of group {', '.join(empty)}")


_QUESTIONS: Final = (
    _was_stopped,
    _parent,
    _accepted,
    _never,
    _deployment_broke,
    _was_replaced,
    _was_not_evaluated,
    _failed_for_good,
    _reached,
    _awaits_promotion,
    _has_no_place,
    _was_ignored,
)

# -- shared by the questions -------------------------------------------------------------------------------------------


def _progress(case: Case) -> Waiting:
    unseen = bool(case.awaited.eval_id) and not case.evaluations
    again_in_s = _rest(SETTLE_S, case.waited_s) if unseen else None
    if case.goal == "healthy" and diagnose.check_questions(case.snapshot, case.awaited):
        again_in_s = CHECK_AGAIN_S
    return Waiting(progress.describe(case), again_in_s=again_in_s)


def _asking(case: Case, verdict: Waiting, probe: Probe) -> Waiting:
    """Say also what others have yet to answer, and ask for it."""
    question = probes.question(case, probe)
    if question is None:
        return verdict
    missing = probes.missing(case, probe)
    reason = missing if case.is_met else f"{verdict.reason}; {missing}"
    return replace(verdict, reason=diagnose.cut(reason), asks=(question,))


def _health_left(case: Case) -> Waiting | None:
    """Wait until what was renewed has been up for as long as Nomad itself would want to call it healthy."""
    want_s = max((group.min_healthy_s for group in case.job.groups), default=0.0) if case.awaited.renewed else 0.0
    if case.waited_s >= want_s:
        return None
    return Waiting(f"runs again; {want_s:g} s of that are waited for", again_in_s=_rest(want_s, case.waited_s))


def _seconds_left(case: Case) -> Waiting | None:
    """Wait out the seed's number of seconds; not for a job that was found unchanged."""
    seconds = case.awaited.condition.seconds
    if seconds is None or not case.awaited.changed or case.waited_s >= seconds:
        return None
    return Waiting(f"runs; {seconds:g} s after its start are waited for", again_in_s=_rest(seconds, case.waited_s))


def _as_stored(snapshot: JobSnapshot, awaited: Awaited) -> Verdict:
    return judge(snapshot, awaited, waited_s=2 * SETTLE_S, unplaceable_s=0.0, placement_timeout_s=1.0)


def _rest(limit_s: float, passed_s: float) -> float:
    """Seconds until a limit, a little more than none, so that the next look is past it."""
    return max(limit_s - passed_s, 0.0) + 0.001


def _many(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"

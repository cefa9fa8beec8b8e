"""What is to be done next about a step in flight: its snapshots judged, and what comes of that. Pure.

`next_moves` says what to do; the executor does it, and hands back what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dtree import diagnose, promotion
from dtree.canaries import Canaries
from dtree.conditions import Answer, Question
from dtree.evidence import UNSEEN, Awaited, as_seen
from dtree.flight import Flight, Moment
from dtree.health import CHECK_AGAIN_S, Broken, Ready, Verdict, Waiting, judge, stopped
from dtree.model import JobRef, JobSnapshot
from dtree.plan import Await, Milestone
from dtree.renewal import Portions, portions
from dtree.verdicts import of_children

__all__ = ["Ask", "Break", "Finish", "Move", "Promote", "Reach", "ReadChecks", "Renew", "Tell", "next_moves", "telling"]

_SOONEST_S: Final = 0.01
_SHORTEST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Finish:
    """All is reached: do what comes last."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reach:
    """Free those who wait for no more than this, while the step goes on.

    Attributes:
        is_met: False: it does not come, or not in time, and they can all do without.
    """

    milestone: Milestone
    reason: str
    is_met: bool = True


@dataclass(frozen=True, slots=True)
class Renew:
    """Restart or replace the next portion of what runs; all before it are up again."""

    awaited: Awaited
    left: Portions


@dataclass(frozen=True, slots=True)
class Promote:
    """Promote its canaries: they are due."""

    canaries: Canaries


@dataclass(frozen=True, slots=True)
class Tell:
    """Say why it waits; it is not what was said last."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadChecks:
    """Ask for the health checks of allocations, which decide or explain; Nomad's lists do not tell of them."""

    allocations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask what Nomad's lists do not tell; `before` is the last answer."""

    question: Question
    before: Answer


@dataclass(frozen=True, slots=True)
class Break:
    """It will not come, or comes too late: find out why."""

    broken: Broken
    milestone: Milestone


Move = Finish | Reach | Renew | Promote | Tell | ReadChecks | Ask | Break


def next_moves(flight: Flight, moment: Moment) -> tuple[Move, ...]:
    """Judge a step, and say what is to be done about it, in this order.

    The flight is noted what is decided, and when to look again. Nothing is to be done while something else is under way, or as long as not
    all jobs of the step have been seen; but that may not take for ever.
    """
    if not flight.is_judged:
        return ()
    if len(flight.snapshots) < len(flight.refs):
        return (_unseen(flight, moment),) if moment.now_s >= flight.next_look_s else ()
    if flight.awaited is not None and flight.awaited.version == UNSEEN:
        flight.awaited = as_seen(flight.snapshots[flight.step.ref], flight.awaited.condition)
    flight.see_children()
    verdicts = [(milestone, _verdict_in_time(flight, milestone, moment)) for milestone in flight.ahead]
    spared: list[Move] = []
    if any(isinstance(verdict, Broken) for _, verdict in verdicts):
        verdicts, spared = _spare(flight, verdicts, moment)
    for milestone, verdict in verdicts:
        if isinstance(verdict, Broken):
            return (Break(verdict, milestone),)
    waiting = [(milestone, verdict) for milestone, verdict in verdicts if isinstance(verdict, Waiting)]
    if not waiting:
        return (*spared, _renew_next(flight) or Finish(verdicts[-1][1].reason))
    reached = [Reach(milestone, verdict.reason) for milestone, verdict in verdicts if isinstance(verdict, Ready) and _frees(flight)]
    flight.ahead = tuple(one for one in flight.ahead if one not in [reach.milestone for reach in reached])
    return (*spared, *reached, *_wait(flight, waiting, moment))


def telling(flight: Flight, reason: str, moment: Moment) -> tuple[Tell, ...]:
    """Say why a step waits, if it is not what was said last."""
    flight.reason = reason
    told = _as_of(flight, reason, moment, calmly=True)
    if told == flight.told:
        return ()
    flight.told = told
    return (Tell(told),)


def _frees(flight: Flight) -> bool:
    """Whether what is reached is not about to be renewed."""
    return flight.step.renewal == "none" or flight.left == ()


def _renew_next(flight: Flight) -> Renew | None:
    if flight.step.renewal == "none" or flight.awaited is None:
        return None
    left = portions(flight.snapshots[flight.step.ref], flight.awaited) if flight.left is None else flight.left
    flight.is_renewing = bool(left)
    return Renew(flight.awaited, left) if left else None


# -- verdicts ----------------------------------------------------------------------------------------------------------


_Judged = list[tuple[Milestone, Verdict]]


def _spare(flight: Flight, verdicts: _Judged, moment: Moment) -> tuple[_Judged, list[Move]]:
    """Give up what does not come and nobody requires, as long as the step itself stands.

    Returns:
        (the verdicts on all else, never none; what is given up).
    """
    own = flight.step.awaited[-1]
    kept = [(milestone, verdict) for milestone, verdict in verdicts if not (milestone.is_optional and isinstance(verdict, Broken))]
    if not kept:  # its own condition was reached before
        kept = [(own, _verdict(flight, own, moment))]
    if any(isinstance(verdict, Broken) for _, verdict in kept):
        return kept, []
    spared = [(milestone, verdict) for milestone, verdict in verdicts if milestone not in [one for one, _ in kept]]
    flight.ahead = tuple(milestone for milestone, _ in kept)
    return kept, [Reach(milestone, verdict.reason, is_met=False) for milestone, verdict in spared]


def _verdict_in_time(flight: Flight, milestone: Milestone, moment: Moment) -> Verdict:
    """Judge a milestone; one that nobody requires breaks once it is late."""
    verdict = _verdict(flight, milestone, moment)
    if not milestone.is_optional or not isinstance(verdict, Waiting) or flight.waited_s(moment.now_s) < milestone.timeout_s:
        return verdict
    return _too_late(flight, milestone, verdict, moment).broken


def _verdict(flight: Flight, milestone: Milestone, moment: Moment) -> Verdict:
    if flight.awaited is None:
        return _stopped_all(flight)
    if not flight.children:
        return _verdict_on(flight, flight.step.ref, flight.awaited, milestone, moment)
    each = {ref: _verdict_on(flight, ref, awaited, milestone, moment) for ref, awaited in flight.children.items()}
    return of_children(each, str(milestone.condition))


def _verdict_on(flight: Flight, ref: JobRef, awaited: Awaited, milestone: Milestone, moment: Moment) -> Verdict:
    condition = milestone.condition
    is_simple = not condition.parts and condition.probe is None and condition.seconds is None
    return judge(
        flight.snapshots.get(ref, JobSnapshot(ref, None)),
        replace(awaited, condition=condition, completed=awaited.completed and (is_simple or not awaited.changed)),
        waited_s=flight.waited_s(moment.now_s),
        unplaceable_s=moment.now_s - flight.unplaceable_s if flight.unplaceable_s is not None else 0.0,
        placement_timeout_s=moment.limits.placement_timeout_s,
        checks=flight.checks,
        answers=flight.answers,
    )


def _stopped_all(flight: Flight) -> Verdict:
    """Judge a stop: the job and its children, each with all allocations ended. Notes which of them were seen stopped."""
    verdicts = [stopped(snapshot, was_stopped=ref in flight.stopped) for ref, snapshot in flight.snapshots.items()]
    flight.stopped.update(ref for ref, snapshot in flight.snapshots.items() if snapshot.job is None or snapshot.job.stopped)
    open_ = [verdict for verdict in verdicts if not isinstance(verdict, Ready)]
    return min(open_, key=lambda verdict: isinstance(verdict, Waiting), default=Ready("all allocations have ended"))


# -- waiting -----------------------------------------------------------------------------------------------------------


def _wait(flight: Flight, waiting: Sequence[tuple[Milestone, Waiting]], moment: Moment) -> Iterator[Move]:
    """Say why, and until when: the last of them is the step's own condition, or the one that it waits for longest."""
    milestone, last = waiting[-1]
    if last.canaries is not None:
        yield from _await_promotion(flight, last.canaries, milestone, moment)
        return
    now_s = moment.now_s
    flight.forget_canaries(now_s)
    since_s = now_s if flight.unplaceable_s is None else flight.unplaceable_s
    flight.unplaceable_s = since_s if any(verdict.unplaceable for _, verdict in waiting) else None
    again_s = [now_s + max(verdict.again_in_s, _SOONEST_S) for _, verdict in waiting if verdict.again_in_s is not None]
    flight.next_look_s = min([flight.deadline_s, *again_s])
    yield from telling(flight, last.reason, moment)
    yield from _ask_checks(flight, now_s)
    yield from _ask_others(flight, dict.fromkeys(question for _, verdict in waiting for question in verdict.asks), now_s)
    late = next(((milestone, verdict) for milestone, verdict in waiting if flight.waited_s(now_s) >= milestone.timeout_s), None)
    if late is not None:
        yield _too_late(flight, *late, moment)


def _await_promotion(flight: Flight, canaries: Canaries, milestone: Milestone, moment: Moment) -> Iterator[Move]:
    """Promote healthy canaries once they are due, or wait so long for a person who does."""
    now_s = moment.now_s
    if flight.step.ends_at_canaries:
        yield Finish(str(canaries))
        return
    if canaries.deployment == flight.promoted:  # reported before that was seen
        flight.next_look_s = now_s + CHECK_AGAIN_S
        return
    if flight.promotable_s is None:
        flight.promotable_s = now_s
        # Its deployment is under way, also where this run found it so: what becomes of that is no history.
        flight.awaited = flight.awaited and replace(flight.awaited, changed=True)
    after_s = None if moment.returns else flight.step.promotion.after_s
    patience_s = 0.0 if moment.returns else moment.limits.promotion_timeout_s if after_s is None else after_s
    flight.next_look_s = flight.promotable_s + patience_s
    if now_s < flight.next_look_s:
        yield from telling(flight, promotion.telling(flight.step, canaries), moment)
    elif after_s is None:
        why, hint = promotion.too_late(flight.step, canaries, waited_s=patience_s)
        yield Break(Broken("awaiting-promotion", _as_of(flight, why, moment), hint=hint), milestone)
    else:
        flight.is_promoting = True
        yield Promote(canaries)


def _ask_checks(flight: Flight, now_s: float) -> Iterator[ReadChecks]:
    if flight.awaited is None or flight.children or now_s < flight.checks_due_s:
        return
    asked = diagnose.check_questions(flight.snapshots[flight.step.ref], flight.awaited)
    if asked:
        flight.checks_due_s = now_s + CHECK_AGAIN_S
        yield ReadChecks(tuple(asked))


def _ask_others(flight: Flight, asks: Iterable[Question], now_s: float) -> Iterator[Ask]:
    """Ask each question again once it is answered and due: soon at first, then more rarely."""
    pause_s = _pause_s(now_s - flight.since_s)
    for question in asks:
        probe = question.probe
        due_s = flight.asked_s.get(probe, float("-inf")) + pause_s
        if probe in flight.asking:
            continue
        if now_s < due_s:
            flight.next_look_s = min(flight.next_look_s, due_s)
            continue
        flight.asking.add(probe)
        flight.asked_s[probe] = now_s
        yield Ask(question, flight.answers.get(probe, Answer()))


def _pause_s(waited_s: float) -> float:
    """How long to wait from one asking to the next: a tenth of the time waited so far, so that an answer is late by that much at most."""
    return min(max(waited_s / 10, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)


# -- too late ----------------------------------------------------------------------------------------------------------


def _too_late(flight: Flight, milestone: Milestone, verdict: Waiting, moment: Moment) -> Break:
    goal = milestone.condition if flight.awaited is not None else "ended"
    why = f"not {goal} within {milestone.timeout_s:g} s: {_as_of(flight, verdict.reason, moment)}"
    if not isinstance(flight.step.action, Await):
        return Break(Broken("timed-out", why), milestone)
    hint = "whoever runs it has to bring it up: nothing of it is changed from here"
    return Break(Broken("timed-out", f"external, {why}", hint=hint), milestone)


def _unseen(flight: Flight, moment: Moment) -> Break:
    first = min(flight.ahead, key=lambda milestone: milestone.timeout_s)
    told = _as_of(flight, flight.reason, moment) or "no answer"
    return Break(Broken("timed-out", f"Nomad could not be asked for {first.timeout_s:g} s: {told}"), first)


def _as_of(flight: Flight, reason: str, moment: Moment, *, calmly: bool = False) -> str:
    """Say that a reason is not today's: there is no contact with Nomad, or with the job's region.

    Args:
        calmly: without what servers say to each other of a region that is away, which is another thing every second.
    """
    region = flight.step.ref.region
    if region not in moment.trouble:
        return reason
    whom = f"region '{region}'" if region else "Nomad"
    why = "" if calmly and region else f": {moment.trouble[region].problem}"
    return f"no contact with {whom}{why}" + (f"; last seen: {reason}" if reason else "")

"""What a judgement may come to, and what several of them come to together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dtree.canaries import Canaries
from dtree.conditions import Question
from dtree.diagnose import cut
from dtree.model import FailureKind, JobRef

__all__ = ["Broken", "Ready", "Verdict", "Waiting", "all_of", "any_of", "of_children", "within"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The condition is met."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet.

    Attributes:
        unplaceable: no node is eligible; the caller measures for how long and hands that back as `unplaceable_s`.
        again_in_s: time alone, or a check, can change the verdict then; None: only a change of the job, or an answer, can.
        asks: what is to be asked of others than Nomad's lists; the answers are handed back with the next judgement.
        canaries: healthy ones that somebody has to promote; the caller says who, and no time runs out meanwhile.
    """

    reason: str
    unplaceable: bool = False
    again_in_s: float | None = None
    asks: tuple[Question, ...] = ()
    canaries: Canaries | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """It will not come by itself.

    Attributes:
        kind: failed, timed-out (a part of a condition, by its own timeout) or superseded; awaiting-promotion once nobody came.
        allocations: IDs of those that the verdict rests on, oldest first.
        hint: one action, or "".
        child: whose verdict it is, where it is not that of the job itself.
    """

    kind: FailureKind
    reason: str
    allocations: tuple[str, ...] = ()
    hint: str = ""
    child: JobRef | None = None


Verdict = Ready | Waiting | Broken


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Join the verdicts of the parts of `all`: the first that broke decides, then what is still waited for."""
    broken = [verdict for verdict in verdicts if isinstance(verdict, Broken)]
    if broken:
        return _worst(broken)
    waiting = [verdict for verdict in verdicts if isinstance(verdict, Waiting)]
    return _joined(waiting, "; ") if waiting else Ready(_listed(verdicts, "; "))


def any_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Join the verdicts of the parts of `any`: the first that is met decides; it breaks once none of them can come."""
    met = next((verdict for verdict in verdicts if isinstance(verdict, Ready)), None)
    if met is not None:
        return met
    waiting = [verdict for verdict in verdicts if isinstance(verdict, Waiting)]
    if waiting:
        return _joined(waiting, " or ")
    broken = [verdict for verdict in verdicts if isinstance(verdict, Broken)]
    return replace(_worst(broken), reason=_listed(broken, "; "))


def of_children(verdicts: Mapping[JobRef, Verdict], goal: str) -> Verdict:
    """Join the verdicts of the children of a job: how many have come so far, and what the first of the others waits for.

    Args:
        goal: the condition that each is to reach, in words.
    """
    verdict = all_of([_of_child(child, one) for child, one in verdicts.items()])
    if isinstance(verdict, Broken) or len(verdicts) == 1:
        return verdict
    word = {"ready": "completed", "started": "running"}.get(goal, goal if goal in ("completed", "registered") else "ready")
    come = sum(isinstance(one, Ready) for one in verdicts.values())
    if isinstance(verdict, Ready):
        return Ready(f"{come} children {word}")
    child, first = next((child, one) for child, one in verdicts.items() if isinstance(one, Waiting))
    return replace(verdict, reason=cut(f"{come} of {len(verdicts)} children {word}; {child.id}: {first.reason}"))


def within(verdict: Verdict, timeout_s: float | None, what: str, *, waited_s: float) -> Verdict:
    """Break off a wait that has a limit of its own."""
    if timeout_s is None or not isinstance(verdict, Waiting) or verdict.canaries is not None:
        return verdict
    left_s = timeout_s - waited_s
    if left_s <= 0:
        return Broken("timed-out", cut(f"not {what} within {timeout_s:g} s: {verdict.reason}"))
    return _again_in(verdict, left_s + 0.001)


def _of_child(child: JobRef, verdict: Verdict) -> Verdict:
    reason = cut(f"{child.id}: {verdict.reason}")
    return replace(verdict, reason=reason, child=child) if isinstance(verdict, Broken) else replace(verdict, reason=reason)


def _worst(broken: Sequence[Broken]) -> Broken:
    """Return the first; one that only took too long says less than one that failed."""
    return min(broken, key=lambda verdict: verdict.kind == "timed-out")


def _joined(waiting: Sequence[Waiting], word: str) -> Waiting:
    again = [one.again_in_s for one in waiting if one.again_in_s is not None]
    asks = dict.fromkeys(question for one in waiting for question in one.asks)
    canaries = next((one.canaries for one in waiting if one.canaries is not None), None)
    unplaceable = any(one.unplaceable for one in waiting)
    return Waiting(_listed(waiting, word), unplaceable, min(again, default=None), tuple(asks), canaries)


def _listed(verdicts: Sequence[Verdict], word: str) -> str:
    return cut(word.join(dict.fromkeys(verdict.reason for verdict in verdicts)))


def _again_in(verdict: Waiting, again_in_s: float) -> Waiting:
    earlier_s = again_in_s if verdict.again_in_s is None else min(verdict.again_in_s, again_in_s)
    return replace(verdict, again_in_s=earlier_s)

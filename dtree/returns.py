"""What becomes of a rollback: the events of the run that carries it out in words of their own, and where each job stands in it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from dtree.by_hand import ByHand
from dtree.events import (
    Event,
    PlannedReturn,
    RollbackContinued,
    RollbackFinished,
    RollbackPlanned,
    RunFinished,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepNotReturned,
    StepReady,
    StepRegistered,
    StepReturned,
    StepReturning,
    StepStarted,
    StepStays,
    StepWaiting,
)
from dtree.plan import Nothing, Plan, Refuse, Step

__all__ = ["Return", "ReturnEvent", "ReturnState", "Returns", "return_after"]

ReturnEvent = StepReturning | StepReturned | StepNotReturned | StepStays
"""What is told of one job of a rollback."""

ReturnState = Literal["pending", "returning", "returned", "not returned", "stays"]


@dataclass(frozen=True, slots=True)
class Return:
    """Where one job stands in a rollback.

    Attributes:
        place: where it comes in the order of returning, from 0.
        reason: what is waited for, how it was returned, or why it was not.
        version: what runs of it now; None where nothing does.
    """

    planned: PlannedReturn
    place: int = 0
    state: ReturnState = "pending"
    reason: str = ""
    details: tuple[str, ...] = ()
    hint: str = ""
    version: int | None = None


def return_after(back: Return, event: ReturnEvent) -> Return:
    """Return where a job stands in a rollback after an event of its own."""
    match event:
        case StepReturning():
            return replace(back, state="returning", reason=event.reason)
        case StepReturned():
            return replace(back, state="returned", reason=event.reason, version=event.version)
        case StepNotReturned():
            return replace(back, state="not returned", reason=event.reason, details=event.details, hint=event.hint)
        case _:
            return replace(back, state="stays", reason=event.reason)


class Returns:
    """Tells of the run that carries out a rollback as of a rollback: nobody is to take a job for ready that was returned.

    Args:
        plan: of the rollback.
        by_hand: what somebody can do about each job of it.
        emit: handed its events.
    """

    def __init__(self, plan: Plan, by_hand: Mapping[str, ByHand], emit: Callable[[Event], None]) -> None:
        self._plan = plan
        self._by_hand = by_hand
        self._causes = {step.name: step.cause for step in plan.steps if not isinstance(step.action, Nothing | Refuse)}
        self._versions: dict[str, int | None] = {}
        self._missed: set[str] = set()
        self._emit = emit

    def __call__(self, event: Event) -> None:
        """Pass an event of that run on."""
        told = self._told(event)
        if told is not None:
            self._emit(told)

    def _told(self, event: Event) -> Event | None:
        match event:
            case RunStarted(time_s=time_s):
                return RollbackPlanned(time_s, tuple(_planned(step, self._by_hand[step.name].command) for step in self._plan.steps))
            case RunFinished(time_s=time_s, elapsed_s=elapsed_s):
                return RollbackFinished(time_s, not self._missed, elapsed_s)
            case RunWarned() | RollbackContinued():
                return event
            case _:
                return self._told_of_step(event)

    def _told_of_step(self, event: Event) -> Event | None:
        match event:
            case StepStarted(time_s=time_s, job=job) if job in self._causes:
                return StepReturning(time_s, job, self._causes[job])
            case StepWaiting(time_s=time_s, job=job, reason=reason):
                return StepReturning(time_s, job, reason)
            case StepRegistered(job=job, version=version):
                self._versions[job] = version
            case StepReady(time_s=time_s, job=job, reason=reason):
                return StepReturned(time_s, job, self._versions.get(job), reason)
            case StepKept(time_s=time_s, job=job, reason=reason):
                return StepStays(time_s, job, reason)
            case StepFailed(time_s=time_s, job=job):
                self._missed.add(job)
                return StepNotReturned(time_s, job, event.reason, event.details, event.hint or self._by_hand[job].hint)
            case StepLost(time_s=time_s, job=job):
                self._missed.add(job)
                return StepNotReturned(time_s, job, "not begun, because Nomad cannot be watched any more", (), self._by_hand[job].hint)
            case _:
                pass
        return None


def _planned(step: Step, command: str) -> PlannedReturn:
    return PlannedReturn(step.name, step.ref.id, step.ref.namespace, step.ref.region, step.change, step.cause, command)

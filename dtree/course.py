"""The course of a run: what each step has come to, what that frees, loses or brings about, and how it is told. Pure.

It asks nobody and waits for nothing: the executor does, and says here what happened. Every event of a run leaves through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dtree import promotion
from dtree.errors import ClusterError
from dtree.events import (
    Event,
    PlannedStep,
    RollbackContinued,
    RollbackStarted,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepPostponed,
    StepPromoted,
    StepReached,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.evidence import UNSEEN
from dtree.flight import Flight
from dtree.ledger import Ledger
from dtree.model import Address, FailureKind, TaskExit
from dtree.outcomes import Acted, Fallen, JudgedAgain, Postponed, Promoted, Refused, Standing
from dtree.plan import Milestone, Nothing, Plan, Step
from dtree.record import Recorder, RunRecord, exit_code
from dtree.schedule import Schedule

__all__ = ["Course"]

_UNNOTED: Final = "what runs where is not noted in Nomad's Variables"
_UNNOTED_SIGHTING: Final = "what logs said is not noted in Nomad's Variables, so that it is waited for again once it is rotated away"
_UNNOTED_SUCCESS: Final = "what has completed is not noted in Nomad's Variables, so that it is run again once Nomad has forgotten it"
_UNNOTED_CHILDREN: Final = "what was dispatched is not noted in Nomad's Variables, so that the next run dispatches it again"
_UNFORGOTTEN: Final = "what is noted of purged jobs in Nomad's Variables stays, so that the next run takes for completed what had completed"


class Course:
    """What a run has come to.

    Args:
        unix_s: tells the time of an event.
        emit: handed every event.
        fail_fast: begin nothing more once a step failed.

    Attributes:
        ledger: what the run changed.
        returns: a failure brings a rollback: nothing more is begun, and all that was changed is about to be returned.
    """

    def __init__(self, plan: Plan, unix_s: Callable[[], float], emit: Callable[[Event], None], *, fail_fast: bool) -> None:
        self.ledger = Ledger()
        self.returns = False
        self._plan = plan
        self._unix_s = unix_s
        self._emit_to = emit
        self._fail_fast = fail_fast
        self._steps: Mapping[str, Step] = {step.name: step for step in plan.steps}
        self._schedule = Schedule(plan)
        self._recorder = Recorder()
        self._standings: dict[str, tuple[Standing, ...]] = {}
        self._touched = False
        self._ended: str | None = None  # the step whose failure ended it, "" for another reason; None while more may be begun
        self._warned: set[tuple[str, str]] = set()

    def open(self, address: str) -> None:
        """Begin; `address` is Nomad's."""
        self.emit(_opening(self._plan, address, self._unix_s()))
        for warning in self._plan.warnings if self._plan.verb != "run" else ():
            self.emit(RunWarned(self._unix_s(), warning, ""))

    def close(self, elapsed_s: float) -> RunRecord:
        """End, and return the record of it all."""
        for name in self._standings if not self.returns else ():
            if told := promotion.left_waiting(self._steps[name]):
                self.emit(RunWarned(self._unix_s(), *told))
        code = exit_code(self._recorder.record(), touched=self._touched)
        self.emit(RunFinished(self._unix_s(), code, elapsed_s))
        return self._recorder.record()

    def next_step(self) -> Step | None:
        """Take the first step that may start and has something to do; None where there is none."""
        while self._schedule.has_free:
            step = self._steps[self._schedule.start()]
            if not isinstance(step.action, Nothing):
                return step
            self._do_nothing(step)
        return None

    # -- what a step comes to -----------------------------------------------------------------------------------------

    def started(self, flight: Flight) -> None:
        """It is begun."""
        self.emit(StepStarted(self._unix_s(), flight.step.name, flight.attempt))

    def needed_by(self, step: Step) -> tuple[Standing, ...]:
        """Return what still has to stand when it is begun; what is on its way to another condition is judged all the time."""
        return tuple(one for need in step.needs if need not in step.optional for one in self._standings.get(need, ()))

    def accepted(self, acted: Acted) -> None:
        """Nomad accepted it; from now on it is waited for."""
        self.emit(_accepted(acted, self._unix_s()))

    def waits(self, name: str, reason: str) -> None:
        """It waits, for another reason than before."""
        self.emit(StepWaiting(self._unix_s(), name, reason))

    def promoted(self, name: str, promoted: Promoted) -> None:
        """Its canaries were promoted by this run."""
        self.emit(StepPromoted(self._unix_s(), name, promoted.canaries.version))

    def reached(self, name: str, milestone: Milestone, reason: str) -> None:
        """It has reached a condition that others wait for, and goes on."""
        self.emit(StepReached(self._unix_s(), name, str(milestone.condition), reason))
        self._schedule.reached(name, milestone.condition)

    def went_without(self, name: str, milestone: Milestone, reason: str) -> None:
        """It does not reach a condition that others can do without: these go on."""
        users = [step.name for step in self._plan.steps if milestone.condition in step.edges.get(name, ())]
        told = f"{name}: {reason}; {', '.join(users)} {'goes' if len(users) == 1 else 'go'} on without it"
        self.emit(RunWarned(self._unix_s(), told, ""))
        self._schedule.reached(name, milestone.condition)

    def ready(self, flight: Flight, reason: str, addresses: tuple[Address, ...]) -> None:
        """It has reached all that it had to."""
        name = flight.step.name
        if standings := flight.standings:
            self._standings[name] = standings
        self.emit(StepReady(self._unix_s(), name, reason, addresses))
        self._schedule.done(name)

    def may_retry(self, step: Step) -> bool:
        """Not on top of something that fell over meanwhile, and not where all is about to be returned."""
        required = [need for need in step.needs if need not in step.optional]
        return not self.returns and all(self._recorder.steps[need].state != "failed" for need in required)

    def retried(self, flight: Flight, reason: str) -> None:
        """It broke, and is tried again."""
        self.emit(StepRetrying(self._unix_s(), flight.step.name, flight.attempt, flight.step.retries + 1, reason))

    def failed(
        self, name: str, kind: FailureKind, reason: str, details: tuple[str, ...] = (), hint: str = "", exits: tuple[TaskExit, ...] = ()
    ) -> None:
        """It broke for good. That is recorded before anything else may start."""
        attempts = self._recorder.steps[name].attempts
        self.emit(StepFailed(self._unix_s(), name, kind, reason, details, hint, exits, attempts))
        self._consider_rollback(name, kind)
        self._lose(name, under=name, is_spared=kind != "awaiting-promotion")

    def fell(self, one: Fallen) -> None:
        """A step that was ready is so no longer."""
        if self._standings.pop(one.job, None) is not None:
            lead = "was ready; then" if one.kind == "superseded" else "was ready and fell over:"
            self.failed(one.job, one.kind, f"{lead} {one.reason}", one.details, one.hint)

    def postponed(self, late: Postponed) -> tuple[Step, ...]:
        """Jobs that it needs wait again, so it is begun once more when they are ready.

        Returns:
            Their steps, which are to be waited for; () where one of them has failed since, or nothing more is begun, and it is lost.
        """
        broken = next((need for need in late.needs if self._recorder.steps[need].state == "failed"), self._ended)
        if broken is not None:
            self.lost(late.job, under=broken)
            return ()
        self._schedule.again(late.job, late.needs)
        self.emit(StepPostponed(self._unix_s(), late.job, "; ".join(f"{need} waits again: {why}" for need, why in late.needs.items())))
        for need in late.needs:
            self._standings.pop(need, None)
        return tuple(self._steps[need] for need in late.needs)

    def lost(self, name: str, *, under: str) -> None:
        """It was begun, and not done because of another that broke."""
        self.emit(StepLost(self._unix_s(), name, under))
        self._lose(name, under=under)

    def doubted(self, step: Step) -> None:
        """Nobody knows whether a request for it changed something."""
        self._touched = True
        self.ledger.note(step, None)

    # -- what the run as a whole comes to -----------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Tell of something, and remember it."""
        self._recorder(event)
        self._emit_to(event)

    def interrupted(self, signal: str) -> None:
        """A signal breaks it off."""
        self.emit(RunInterrupted(self._unix_s(), signal))

    def continued(self, signal: str) -> None:
        """A rollback goes on in spite of a signal."""
        self.emit(RollbackContinued(self._unix_s(), signal))

    def broken_off(self) -> None:
        """Nothing more can be waited for, so nothing more is begun."""
        self._ended = ""
        for name in self._schedule.break_off():
            self.emit(StepLost(self._unix_s(), name, ""))

    def unnoted(self, acted: Acted) -> None:
        """Say once, and not for every job, what could not be noted."""
        if acted.unnoted is not None:
            self._warn(_UNNOTED_CHILDREN if acted.children else _UNNOTED, acted.unnoted)
        if acted.unforgotten is not None:
            self._warn(_UNFORGOTTEN, acted.unforgotten)
        if acted.forgotten is not None:
            self._warn(_UNNOTED_CHILDREN if acted.children else _UNNOTED_SUCCESS, acted.forgotten)
        if acted.unseen is not None:
            self._warn(_UNNOTED_SIGHTING, acted.unseen)

    def unnoted_again(self, error: ClusterError | None) -> None:
        """Say why it could not be noted what runs; None where it could."""
        if error is not None:
            self._warn(_UNNOTED, error)

    def answered_late(self, item: Acted | Refused) -> None:
        """What came of a request is told, after the run was broken off."""
        self.emit(_last_word(item, self._unix_s()))

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Steps that became ready and did not fall over, for each condition that they had to reach."""
        return tuple(one for stands in self._standings.values() for one in stands)

    def judged_again(self, look: JudgedAgain) -> None:
        """All that was ready was judged once more: what fell over since is a failure, and so is what cannot be asked any more."""
        for one in look.fallen:
            self.fell(one)
        if look.error is None:
            return
        reason = f"was ready, but could not be judged again at the end: {look.error.problem}"
        for name in sorted({one.step.name for one in self.standings if one.lasts}):
            self.emit(StepFailed(self._unix_s(), name, "error", reason, look.error.notes, look.error.hint))

    # -- small things -------------------------------------------------------------------------------------------------

    def _do_nothing(self, step: Step) -> None:
        self.emit(StepStarted(self._unix_s(), step.name, 1))
        if step.change == "keep":
            self.emit(StepKept(self._unix_s(), step.name, step.cause))
        else:
            self.emit(StepReady(self._unix_s(), step.name, step.cause, ()))
        self._schedule.done(step.name)

    def _consider_rollback(self, name: str, kind: FailureKind) -> None:
        """Begin nothing more; what is in flight is awaited, so that no migration is cut off half-way and it is known what there is."""
        if self._plan.verb != "run" or self.returns or kind == "awaiting-promotion" or self._steps[name].on_failure != "rollback":
            return
        self.returns = True
        self.emit(RollbackStarted(self._unix_s(), name))

    def _lose(self, name: str, *, under: str, is_spared: bool = True) -> None:
        """Give up what needs it.

        Args:
            is_spared: False: also what could do without it. Canaries that wait for a person are neither a failure nor an absence.
        """
        ends = (self._fail_fast or self.returns) and not (is_spared and self._steps[name].is_tolerated)
        if ends and self._ended is None:
            self._ended = under
        lost = self._schedule.break_off() if ends else self._schedule.broke(name, is_spared=is_spared)
        for other in lost:
            self.emit(StepLost(self._unix_s(), other, under))

    def _warn(self, lead: str, error: ClusterError) -> None:
        problem = f"{lead}: {error.problem}"
        if (problem, error.hint) not in self._warned:
            self._warned.add((problem, error.hint))
            self.emit(RunWarned(self._unix_s(), problem, error.hint))


def _accepted(acted: Acted, time_s: float) -> StepRegistered:
    if acted.awaited is None:
        return StepRegistered(time_s, acted.job, version=None, changed=True, warnings=acted.warnings)
    children = tuple(ref.id for ref in acted.children)
    version = acted.awaited.version if acted.awaited.version != UNSEEN else None
    return StepRegistered(time_s, acted.job, version, acted.changed, acted.warnings, children)


def _last_word(item: Acted | Refused, time_s: float) -> Event:
    if isinstance(item, Acted):
        return _accepted(item, time_s) if item.ready is None else StepReady(time_s, item.job, item.ready, item.addresses)
    if item.untouched or item.fallen:
        return StepLost(time_s, item.job, item.fallen)
    return StepFailed(time_s, item.job, item.kind, item.reason, item.details, item.hint)


def _opening(plan: Plan, address: str, time_s: float) -> RunStarted:
    steps = tuple(
        PlannedStep(
            job=step.name,
            id=step.ref.id,
            namespace=step.ref.namespace,
            change=step.change,
            cause=step.cause,
            needs=step.needs,
            condition=str(step.condition),
            file=step.job.file,
            tolerated=step.is_tolerated,
            region=step.ref.region,
            optional=step.optional,
            post_of=step.post_of,
        )
        for step in plan.steps
    )
    return RunStarted(time_s, plan.verb, plan.stack, plan.store, plan.revision, plan.goals, steps, address)

"""What a run has come to: a fold over its events. Views print it; nothing else remembers a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from dtree.errors import (
    EXIT_AWAITING_PROMOTION,
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_JOB_FAILED,
    EXIT_OK,
    EXIT_ROLLBACK_INCOMPLETE,
    EXIT_ROLLED_BACK,
    EXIT_TIMED_OUT,
    Fault,
)
from dtree.events import (
    Event,
    PlannedStep,
    RollbackContinued,
    RollbackFinished,
    RollbackPlanned,
    RollbackStarted,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepNotReturned,
    StepPostponed,
    StepPromoted,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepReturned,
    StepReturning,
    StepStarted,
    StepStays,
    StepWaiting,
)
from dtree.model import Address, TaskExit
from dtree.provenance import Provenance
from dtree.returns import Return, return_after

State = Literal["pending", "acting", "waiting", "ready", "failed", "lost", "kept"]

_UNREADY: Final[Mapping[type[Event], State]] = {StepWaiting: "waiting", StepPostponed: "pending"}

Health = Literal["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """Where one step stands.

    Attributes:
        state: pending (its needs are not ready), acting (talking to Nomad), waiting (registered, not ready), ready, failed, lost, kept.
        kind: kind of failure, "" while there is none.
        reason: why it waits, how it became ready, or why it failed.
        because: the job under which a lost step is reported.
        registered: this run changed something in Nomad for it.
        exits: how the tasks of a failed step ended.
        attempts: why each attempt before the last failed, in order.
        back: where it stands in the rollback; None where there is none, or none for it.
        dispatches: children of it are waited for, and what of these failed is what a further attempt does again.
    """

    planned: PlannedStep
    state: State = "pending"
    attempt: int = 0
    started_s: float | None = None
    ended_s: float | None = None
    version: int | None = None
    registered: bool = False
    kind: str = ""
    reason: str = ""
    details: tuple[str, ...] = ()
    hint: str = ""
    because: str = ""
    addresses: tuple[Address, ...] = ()
    warnings: str = ""
    attempts: tuple[str, ...] = ()
    exits: tuple[TaskExit, ...] = ()
    back: Return | None = None
    dispatches: bool = False

    @property
    def is_tolerated(self) -> bool:
        """Whether the run can do without it: canaries that await promotion are waited for, whatever could do without the job."""
        return self.planned.tolerated and self.kind != "awaiting-promotion"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as a whole.

    Attributes:
        exit_code: None until it finished.
        rolled_back_for: the job whose failure brought a rollback; "" for none.
        continued: the signal that the rollback did not stop for; "" for none.
    """

    verb: str
    stack: str
    store: str
    revision: str
    goals: tuple[str, ...]
    address: str
    started_s: float
    steps: Mapping[str, StepRecord]
    interrupted: str = ""
    exit_code: int | None = None
    elapsed_s: float = 0.0
    warnings: tuple[RunWarned, ...] = ()
    rolled_back_for: str = ""
    continued: str = ""

    @property
    def returns(self) -> Mapping[str, Return]:
        """Where each job stands in the rollback that the run changed, in the order of returning."""
        found = {name: step.back for name, step in self.steps.items() if step.back is not None}
        return dict(sorted(found.items(), key=lambda item: item[1].place))


@dataclass(frozen=True, slots=True)
class StatusRow:
    """Where one job stands in Nomad right now, whoever brought it there; what `status` shows.

    Attributes:
        job: our name; `id`, `namespace`, `region` and `type` are those of its job file.
        needs: names of the jobs it waits for, as in the graph: they make the tree.
        state: Nomad's word (pending, running, dead), "" where Nomad has no such job.
        version: Nomad's counter; None where Nomad has no such job.
        running, desired: allocations of this version, over all groups.
        addresses: of the running allocations, sorted by label.
        reason: why it is not healthy; "" where it is, or that it completed and Nomad has forgotten it since.
        provenance: where it came from, as we noted when we registered it; None where nothing is noted that may be read.
        changed_since: what Nomad has is no longer what we registered: somebody else changed it, or reverted it.
        other_stack: the stack that noted it, where that is another than ours; else "".
        note_fault: why what is noted of it cannot be read; None where it can.
        file_fault: why its job file cannot be rendered; where the job is known all the same, by what is noted of it.
        hook: when it runs, as a hook of others; "" for a job that is none.
    """

    job: str
    id: str
    namespace: str
    type: str
    needs: tuple[str, ...]
    state: str
    health: Health
    version: int | None
    running: int
    desired: int
    addresses: tuple[Address, ...] = ()
    reason: str = ""
    provenance: Provenance | None = None
    changed_since: bool = False
    other_stack: str = ""
    note_fault: Fault | None = None
    file_fault: Fault | None = None
    region: str = ""
    hook: str = ""


def begin(event: RunStarted) -> RunRecord:
    """Open the record of a run with its first event."""
    return RunRecord(
        verb=event.verb,
        stack=event.stack,
        store=event.store,
        revision=event.revision,
        goals=event.goals,
        address=event.address,
        started_s=event.time_s,
        steps={step.job: StepRecord(planned=step) for step in event.steps},
    )


class Recorder:
    """Folds events as they come, at the cost of the one step that each is about."""

    def __init__(self) -> None:
        self._record: RunRecord | None = None
        self.steps: dict[str, StepRecord] = {}

    def __call__(self, event: Event) -> None:
        """Fold one more event in."""
        match event:
            case RunStarted():
                self._record = begin(event)
                self.steps = dict(self._record.steps)
            case RunInterrupted(signal=signal):
                self._record = replace(self.record(), interrupted=signal)
            case RunWarned():
                self._record = replace(self.record(), warnings=(*self.record().warnings, event))
            case RollbackStarted(because=because):
                self._record = replace(self.record(), rolled_back_for=because)
            case RollbackPlanned(steps=steps):
                self.steps |= {one.job: replace(self.steps[one.job], back=Return(one, place)) for place, one in enumerate(steps)}
            case RollbackContinued(signal=signal):
                self._record = replace(self.record(), continued=signal)
            case StepReturning() | StepReturned() | StepNotReturned() | StepStays():
                step = self.steps[event.job]
                self.steps[event.job] = replace(step, back=step.back and return_after(step.back, event))
            case RollbackFinished():
                pass  # each of its steps was told
            case RunFinished(exit_code=code, elapsed_s=elapsed_s):
                self._record = replace(self.record(), exit_code=code, elapsed_s=elapsed_s)
            case _:
                self.steps[event.job] = step_after(self.steps[event.job], event)

    def record(self) -> RunRecord:
        """Return the record so far."""
        if self._record is None:
            msg = "a run begins with RunStarted"
            raise ValueError(msg)
        return replace(self._record, steps=dict(self.steps))


def fold(events: Iterable[Event]) -> RunRecord:
    """Fold all events of a run, the first of which is RunStarted."""
    recorder = Recorder()
    for event in events:
        recorder(event)
    return recorder.record()


def exit_code(record: RunRecord, *, touched: bool) -> int:
    """Return what the program ends with after a run.

    A failure that the run can do without is none, but canaries that await promotion are always told. Where several apply, the first of: a
    rollback that is incomplete, one that is not, interrupted, a job failed, timed out, awaiting promotion. An error before anything was
    changed is an error, after a change it is a run that broke off.

    Args:
        touched: a request whose outcome is not known may have changed something that no step tells of.
    """
    returns = record.returns.values()
    if returns:
        return EXIT_ROLLED_BACK if all(one.state in ("returned", "stays") for one in returns) else EXIT_ROLLBACK_INCOMPLETE
    if record.interrupted:
        return EXIT_INTERRUPTED
    kinds = {step.kind for step in record.steps.values() if step.state == "failed" and not step.is_tolerated}
    changed = touched or any(step.registered for step in record.steps.values())
    if kinds & {"failed", "superseded"} or (kinds & {"error", "changed-meanwhile"} and changed):
        return EXIT_JOB_FAILED
    if "timed-out" in kinds:
        return EXIT_TIMED_OUT
    if "awaiting-promotion" in kinds:
        return EXIT_AWAITING_PROMOTION
    kept_goal = any(step.state == "kept" and name in record.goals for name, step in record.steps.items())
    return EXIT_ERROR if kinds or kept_goal else EXIT_OK


def step_after(  # noqa: PLR0911 - one return per kind of event
    step: StepRecord, event: Event
) -> StepRecord:
    """Return one step's record after an event of its own."""
    match event:
        case StepStarted():
            return replace(
                step,
                state="acting",
                attempt=event.attempt,
                started_s=event.time_s if step.started_s is None else step.started_s,
            )
        case StepRegistered():
            return replace(
                step,
                state="waiting",
                version=event.version,
                registered=step.registered or event.changed,
                warnings=event.warnings or step.warnings,
                dispatches=bool(event.children),
            )
        case StepWaiting() | StepPostponed():
            return replace(step, state=_UNREADY[type(event)], reason=event.reason)
        case StepPromoted():
            return replace(step, registered=True)
        case StepReady():
            return replace(step, state="ready", reason=event.reason, addresses=event.addresses, ended_s=event.time_s)
        case StepRetrying():
            return replace(step, state="acting", reason=event.reason, attempts=(*step.attempts, event.reason))
        case StepFailed():
            return replace(
                step,
                state="failed",
                kind=event.kind,
                reason=event.reason,
                details=event.details,
                hint=event.hint,
                exits=event.exits,
                attempts=event.attempts or step.attempts,
                ended_s=event.time_s,
            )
        case StepLost():
            return replace(step, state="lost", because=event.because, ended_s=event.time_s)
        case StepKept():
            return replace(step, state="kept", reason=event.reason, ended_s=event.time_s)
        case _:
            return step

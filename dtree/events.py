"""What happens in a run, as values: the course of a run emits them, `record.fold` and the views read them.

The union is `Event`. Each has `time_s` (Unix seconds). `EVENT_SCHEMA` is the version of their JSON form, documented in
docs/reference/events.md: a field may be added within a version, none changes its meaning or goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dtree.model import Address, FailureKind, TaskExit

EVENT_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step as announced at the start of a run, in plan order."""

    job: str
    id: str
    namespace: str
    change: str
    cause: str
    needs: tuple[str, ...]
    condition: str
    file: str = ""
    tolerated: bool = False
    region: str = ""
    optional: tuple[str, ...] = ()
    post_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The plan is made and is now carried out."""

    time_s: float
    verb: str
    stack: str
    store: str
    revision: str
    goals: tuple[str, ...]
    steps: tuple[PlannedStep, ...]
    address: str = ""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """All that the step needs is ready; it now acts on Nomad. `attempt` counts from 1."""

    time_s: float
    job: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StepRegistered:
    """Nomad accepted the step, and its condition is waited for from now on.

    Attributes:
        version: the job version that is waited for; None for a stop.
        changed: False where the job is unchanged and nothing was registered or dispatched.
        children: IDs of the children that are waited for, for a job that they are dispatched of.
    """

    time_s: float
    job: str
    version: int | None
    changed: bool
    warnings: str
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepWaiting:
    """Not ready yet, and why; emitted when the reason changes."""

    time_s: float
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepPostponed:
    """The step had begun, and jobs that it needs and others run wait again: it begins once more when they are ready."""

    time_s: float
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepReached:
    """The step reached a condition that some of those who need it wait for; it goes on to the others. Not told of the last one.

    Attributes:
        condition: in words, as in a plan.
    """

    time_s: float
    job: str
    condition: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepPromoted:
    """This run promoted the step's canaries; its condition is waited for further. Nobody else's promotion is told of."""

    time_s: float
    job: str
    version: int


@dataclass(frozen=True, slots=True)
class StepReady:
    """The step reached its condition; for a stop, all its allocations have ended."""

    time_s: float
    job: str
    reason: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class StepRetrying:
    """An attempt failed and another one follows. `attempt` is the number of the one that failed."""

    time_s: float
    job: str
    attempt: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step broke for good.

    Attributes:
        reason: one sentence in the user's words.
        details: what supports it: placement, task events, checks, last log lines; ready to print, one line each.
        hint: one action, or "".
        exits: how the tasks of its broken allocations ended.
        attempts: why each attempt before the last failed, in order.
    """

    time_s: float
    job: str
    kind: FailureKind
    reason: str
    details: tuple[str, ...]
    hint: str
    exits: tuple[TaskExit, ...] = ()
    attempts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepLost:
    """The step is not carried out, because `because` (a job) broke or was kept, or the run was broken off (`because` is "")."""

    time_s: float
    job: str
    because: str


@dataclass(frozen=True, slots=True)
class StepKept:
    """Not stopped, because others that still run depend on it."""

    time_s: float
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunInterrupted:
    """A signal came: nothing more is registered, nothing in flight is awaited."""

    time_s: float
    signal: str


@dataclass(frozen=True, slots=True)
class RunWarned:
    """Something beside the jobs themselves could not be done; the run goes on, and is no failure for it. Told once for each `problem`."""

    time_s: float
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class RollbackStarted:
    """A job failed whose failure has the run rolled back: nothing more is begun, what is in flight is awaited, then all is returned."""

    time_s: float
    because: str


@dataclass(frozen=True, slots=True)
class PlannedReturn:
    """What a rollback does about one job that the run changed.

    Attributes:
        change: as of a planned step.
        cause: to what it is returned, or why it is not.
        by_hand: the command that does it by hand; "" where there is nothing to do.
    """

    job: str
    id: str
    namespace: str
    region: str
    change: str
    cause: str
    by_hand: str


@dataclass(frozen=True, slots=True)
class RollbackPlanned:
    """What the run changed is returned from now on, in this order as far as one waits for the other."""

    time_s: float
    steps: tuple[PlannedReturn, ...]


@dataclass(frozen=True, slots=True)
class StepReturning:
    """The rollback begins with a job, or still waits for it; emitted when the reason changes."""

    time_s: float
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepReturned:
    """The job is as it was before the run, and is healthy or stopped; `version` is what runs of it now, None where nothing does."""

    time_s: float
    job: str
    version: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class StepNotReturned:
    """The job was to be returned, and is not; or it was and fell over."""

    time_s: float
    job: str
    reason: str
    details: tuple[str, ...]
    hint: str


@dataclass(frozen=True, slots=True)
class StepStays:
    """The job is left as the run made it: it is irreversible, or what it did cannot be undone."""

    time_s: float
    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class RollbackContinued:
    """A signal came during the rollback, which goes on all the same."""

    time_s: float
    signal: str


@dataclass(frozen=True, slots=True)
class RollbackFinished:
    """All that could be returned is; `complete` is False where something is not that should be."""

    time_s: float
    complete: bool
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event. `exit_code` is what the program ends with."""

    time_s: float
    exit_code: int
    elapsed_s: float


Event = (
    RunStarted
    | StepStarted
    | StepRegistered
    | StepWaiting
    | StepPostponed
    | StepReached
    | StepPromoted
    | StepReady
    | StepRetrying
    | StepFailed
    | StepLost
    | StepKept
    | RunInterrupted
    | RunWarned
    | RollbackStarted
    | RollbackPlanned
    | StepReturning
    | StepReturned
    | StepNotReturned
    | StepStays
    | RollbackContinued
    | RollbackFinished
    | RunFinished
)

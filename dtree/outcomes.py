"""What came of acting on Nomad, or of asking it: what the executor's workers leave for its loop. Values only. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dtree.canaries import Canaries
from dtree.conditions import leaves, what_lasts
from dtree.errors import ClusterError
from dtree.evidence import Awaited
from dtree.footing import Known
from dtree.health import Broken
from dtree.model import Address, CheckResult, FailureKind, JobRef, JobSnapshot, TaskExit
from dtree.plan import Step
from dtree.renewal import Portions


@dataclass(frozen=True, slots=True)
class Standing:
    """A step that became ready, and how many allocations of it stood then."""

    step: Step
    awaited: Awaited
    good: int

    @property
    def lasts(self) -> bool:
        """Whether it may fall over: it is meant to run on, or was ready as soon as it ran."""
        if self.step.job.is_parent:
            return False
        return not self.is_batch or any(one.name == "started" for one in leaves(what_lasts(self.awaited.condition)))

    @property
    def is_batch(self) -> bool:
        """Whether it is meant to end."""
        return self.step.job.type in ("batch", "sysbatch")


@dataclass(frozen=True, slots=True)
class Acted:
    """Nomad accepted it.

    Attributes:
        awaited: what the run now waits for; None for a stop.
        refs: jobs to watch: the job itself, for a stop its children too.
        ready: set when nothing is left to wait for.
        unnoted: why what runs could not be noted; None where it could.
        unforgotten: why what is noted of a purged job could not be forgotten; None where it could.
        forgotten: why it could not be noted that the job has completed; None where it could, or where it has not.
        unseen: why it could not be noted what its logs said; None where it could, or where nothing was to be.
        children: children of the job that are waited for, in place of it, in the order of the dependency file.
        dispatched: how many of these were begun just now.
        left: of what is renewed, the portions that are still to come; None where nothing is.
        known: what its job was started with, to be noted once all of it is renewed; {} where it is not renewed.
    """

    job: str
    awaited: Awaited | None
    refs: tuple[JobRef, ...]
    warnings: str = ""
    ready: str | None = None
    addresses: tuple[Address, ...] = ()
    unnoted: ClusterError | None = None
    unforgotten: ClusterError | None = None
    forgotten: ClusterError | None = None
    unseen: ClusterError | None = None
    children: Mapping[JobRef, Awaited] = field(default_factory=dict)
    dispatched: int = 0
    left: Portions | None = None
    known: Known = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether something was changed in Nomad beside what is noted there."""
        return self.awaited is None or self.awaited.changed or self.dispatched > 0 or self.left is not None


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not done.

    Attributes:
        fallen: the job that it needs and that is no longer ready.
        untouched: the run was broken off before anything was asked of Nomad.
        touched: Nomad may have done a part of it: the answer was lost, or a later request of the same step was refused.
    """

    job: str
    kind: FailureKind
    reason: str
    details: tuple[str, ...] = ()
    hint: str = ""
    fallen: str = ""
    untouched: bool = False
    touched: bool = False


@dataclass(frozen=True, slots=True)
class Fallen:
    """A step that was ready and is so no longer.

    Attributes:
        waits: it is others' to bring up again, and not broken.
        is_gone: others have stopped or removed it, so that it is not even on its way.
    """

    job: str
    kind: FailureKind
    reason: str
    details: tuple[str, ...] = ()
    hint: str = ""
    waits: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """It was not begun: jobs that it needs wait again, by name with what for."""

    job: str
    needs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Renewed:
    """A portion of a job's allocations is being restarted or replaced; `left` are those still to come; `unnoted` as in `Acted`."""

    job: str
    awaited: Awaited
    left: Portions
    unnoted: ClusterError | None = None


@dataclass(frozen=True, slots=True)
class Promoted:
    """Canaries were to be promoted, and are so, or are no more what they were; `snapshot` was read after that.

    Attributes:
        is_ours: it was this request that promoted them, as far as anybody can tell.
    """

    job: str
    canaries: Canaries
    snapshot: JobSnapshot
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What the health checks of some allocations say."""

    job: str
    checks: Mapping[str, Sequence[CheckResult]]


@dataclass(frozen=True, slots=True)
class Doubted:
    """A second look, `snapshot`, does not uphold the failure that `first` showed."""

    job: str
    first: JobSnapshot | None
    snapshot: JobSnapshot


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a step broke, and the step of the next attempt, None for none; `upheld` where a second look says it better."""

    job: str
    details: tuple[str, ...]
    again: Step | None
    upheld: Broken | None = None
    exits: tuple[TaskExit, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedAgain:
    """What the last look at the services of a run found: those that fell over, or why nobody can tell."""

    fallen: tuple[Fallen, ...] = ()
    error: ClusterError | None = None


Outcome = Acted | Renewed | Promoted | Refused | Postponed | Checked | Doubted | Explained

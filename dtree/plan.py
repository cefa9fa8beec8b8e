"""A plan as a value: steps with their actions, what was asked for, and what was seen. `decide` makes it, the executor walks it. Pure.

The same state gives the same plan, byte for byte. `needs` of a step are names of other steps; a step may start when all of them are ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from dtree.declaration import Condition
from dtree.model import DryRun, JobRef, JobSnapshot, RenderedJob
from dtree.provenance import Items, Provenance

Change = Literal["noop", "create", "update", "replace", "rerun", "evaluate", "stop", "purge", "keep", "absent"]
"""noop: runs unchanged · create: new, or stopped until now · update: in place · replace: new allocations · rerun: unchanged but failed,
run again · evaluate: unchanged, looked at again by Nomad · stop, purge · keep: not stopped, others need it · absent: nothing to stop"""

UNCHANGED: Final[tuple[Change, ...]] = ("noop", "keep", "absent")
"""Those that ask nothing of Nomad."""


@dataclass(frozen=True, slots=True)
class Register:
    """Register the job, if its JobModifyIndex is what the plan saw."""

    enforce_index: int


@dataclass(frozen=True, slots=True)
class Noop:
    """Change nothing; wait for the version that is there.

    Attributes:
        shape: its `JobState.shape`: a newer version of the same shape is an autoscaler's, and as good. It follows from the version,
            so it is not compared.
    """

    version: int
    shape: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Have Nomad evaluate the unchanged job again; `version` and `shape` as in Noop."""

    version: int
    shape: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Rerun:
    """Run an unchanged job that has failed (or completed) again, which registering alone does not do.

    Attributes:
        way: `stop` it first (batch), return to `stable_version` first (service), or `purge` it first (nothing of it runs).
        version: the version that is there now.
    """

    way: Literal["stop", "revert", "purge"]
    version: int
    stable_version: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the job with its running children, wait until their allocations have ended, and purge it if asked.

    Attributes:
        asked: it was asked to stop before, and only the waiting and the purge are left.
    """

    purge: bool
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do nothing but fail: there is no way to do what was asked, and `why` says so."""

    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do: a job to stop that is not there, or one that is kept."""


Action = Register | Noop | Evaluate | Rerun | Stop | Refuse | Nothing


@dataclass(frozen=True, slots=True)
class Step:
    """One job's part of a plan.

    Attributes:
        job: what to register; for a stop, what to stop.
        action: what is done to Nomad.
        change: the same in one word.
        cause: why, in words.
        needs: names of the jobs whose steps come first, sorted.
        condition: when the step counts as ready.
        timeout_s: longest wait for that.
        retries: further attempts after a failed one.
        provenance: where the job came from, to be noted of it once Nomad has accepted it; of an unchanged job with what it is registered
            as. None for a stop.
        is_noted: the note of the unchanged job says so already.
    """

    job: RenderedJob
    action: Action
    change: Change
    cause: str
    needs: tuple[str, ...]
    condition: Condition
    timeout_s: float
    retries: int = 0
    provenance: Provenance | None = None
    is_noted: bool = False

    @property
    def name(self) -> str:
        """Name of the job, which is the step's name too."""
        return self.job.name

    @property
    def ref(self) -> JobRef:
        """Nomad's identity of the job."""
        return self.job.ref


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for.

    Attributes:
        goals: job names, sorted; for `--all` every job of the file.
        wait_ready: read every number of seconds as "until ready".
        force: run: evaluate or rerun what is unchanged; stop: stop what others still need.
        deep: stop the whole tree below the goals.
    """

    verb: Literal["run", "stop"]
    goals: tuple[str, ...]
    wait_ready: bool = False
    force: bool = False
    deep: bool = False
    purge: bool = False


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """What Nomad has of one job, as read once before planning.

    Attributes:
        snapshot: its stored state; `snapshot.job` is None where there is none.
        dry_run: Nomad's own plan of registering the rendered job; None where it was not asked (stop).
        stable_version: newest older version that was stable, None for none (asked only for an unchanged job).
        children: of a periodic or parameterized job, those that still run (asked only for a stop).
        note: what is noted of it; {} for nothing, or where the token may not read it (asked where it matters).
    """

    snapshot: JobSnapshot
    dry_run: DryRun | None = None
    stable_version: int | None = None
    children: tuple[JobRef, ...] = ()
    note: Items = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps.

    Attributes:
        store, revision: where the texts came from.
        steps: in an order in which they could be carried out one by one; each after its needs.
        warnings: Nomad's own about the job files, one line each.
    """

    verb: Literal["run", "stop"]
    stack: str
    store: str
    revision: str
    goals: tuple[str, ...]
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether a step would do something, or cannot be done."""
        return any(step.change not in UNCHANGED or isinstance(step.action, Refuse) for step in self.steps)

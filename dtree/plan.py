"""A plan as a value: steps with their actions, what was asked for, and what was seen. `decide` makes it, the executor walks it. Pure.

The same state gives the same plan, byte for byte. `needs` of a step are names of other steps; a step may start when all of them are
ready, or have come as far as `edges` asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from dtree.declaration import Condition, Dispatch, OnFailure, OnUpdate, Promotion
from dtree.errors import ClusterError
from dtree.footing import Footing
from dtree.model import DryRun, JobRef, JobSnapshot, JobState, RenderedJob, Spec
from dtree.provenance import Items, Provenance

Change = Literal[
    "noop",
    "create",
    "update",
    "replace",
    "rerun",
    "dispatch",
    "evaluate",
    "stop",
    "purge",
    "keep",
    "absent",
    "external",
    "restart",
    "redeploy",
    "promote",
    "return",
]
"""noop: runs unchanged · create: new, or stopped until now · update: in place · replace: new allocations · rerun: unchanged but failed,
run again · dispatch: unchanged, with new children · evaluate: unchanged, looked at again by Nomad · stop, purge · keep: not stopped,
others need it · absent: nothing to stop · external: somebody else's, only waited for
· restart, redeploy: unchanged, but what it needs is changed: its tasks are restarted in place, or its allocations replaced
· promote: unchanged, and its canaries are promoted · return: registered again as it was before the run that is rolled back"""

ChildState = Literal["runs", "completed", "failed"]
"""How a child of a parameterized or periodic job does; `failed`: it has ended otherwise, or was stopped."""

Verb = Literal["run", "stop", "promote"]
"""What a plan is made for."""

UNCHANGED: Final[tuple[Change, ...]] = ("noop", "keep", "absent", "external")
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
class Await:
    """Touch nothing: wait for a job that others run, at the version that is there when it is first seen."""


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


Action = Register | Noop | Await | Evaluate | Rerun | Stop | Refuse | Nothing


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a parameterized or periodic job that a step waits for.

    Attributes:
        id: Nomad's, where it was dispatched before and is only waited for; "" where it is still to be dispatched.
        is_completed: it has completed before, and Nomad may have forgotten it since.
    """

    dispatch: Dispatch
    id: str = ""
    is_completed: bool = False


@dataclass(frozen=True, slots=True)
class Milestone:
    """A condition that a step reaches on its way, and the longest wait for it.

    Attributes:
        is_optional: only jobs ask for it that can do without: where it does not come they go on, and the step is none the worse.
    """

    condition: Condition
    timeout_s: float
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """What Nomad had of a job when the plan was made: what a rollback returns it to.

    Attributes:
        state: None where it had no such job.
        runs: something of it ran, or was to.
        note: what was noted of it.
        spec: the stored job itself; None where there was none, and where nobody read it: only before a run that may be rolled back.
        source: what it was registered with, text and variables; both "" where Nomad kept none.
        beside: versions that ran beside it, where it was there only as canaries that a person has yet to promote; None for all others.
    """

    state: JobState | None = None
    runs: bool = False
    note: Items = field(default_factory=dict)
    spec: Spec | None = field(default=None, repr=False)
    source: tuple[str, str] = field(default=("", ""), repr=False)
    beside: frozenset[int] | None = None


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
        digest: what is to be noted once the job has completed; "" where nothing is, or where it is noted already.
        is_once: it may only be run if its success can be noted.
        children: what is to be dispatched and waited for once the job is registered, in the order of the dependency file.
        reason: why the job is part of the plan at all, as in `choice.Choice`.
        rollout_s: the least time from registering the job until all its groups are healthy, as in `critical_path`.
        edges: need -> all conditions that it must have reached, for the needs where that is not simply the need's own.
        milestones: what those who need the step wait for beside its own condition; the step is ready when it has reached them too.
        optional: needs that it can do without, sorted.
        post_of: steps whose post job it is, sorted.
        is_tolerated: nothing that was asked for requires it, so its failure is none of the run.
        renewal: what becomes of its running allocations, a few at a time, because something it needs is changed.
        footing: what it stands on, which is noted once it is started anew or renewed; None where no change of a need renews it.
        promotion: what becomes of its healthy canaries, where Nomad does not promote them by itself.
        deployment: Nomad's ID of the only one that may be promoted; "" for whichever the awaited version has.
        ends_at_canaries: it is ready once its canaries are healthy, and nobody promotes them.
        left_to_a_person: it has canaries, or will, that a person has to promote.
        on_failure: what its failure means; for a failure that is tolerated `rollback` is `stop`.
        irreversible: a rollback leaves it as the run made it.
        before: what a rollback returns it to.
        sighted: signs of what an earlier run saw in the logs of the unchanged job, as in `sightings`.
        forgets: what is noted of the job is to be what `before` has of it, whatever is registered or stopped.
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
    digest: str = ""
    is_once: bool = False
    children: tuple[Child, ...] = ()
    reason: str = ""
    rollout_s: float = 0.0
    edges: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    milestones: tuple[Milestone, ...] = ()
    optional: tuple[str, ...] = ()
    post_of: tuple[str, ...] = ()
    is_tolerated: bool = False
    renewal: OnUpdate = "none"
    footing: Footing | None = None
    promotion: Promotion = field(default_factory=Promotion)
    deployment: str = ""
    ends_at_canaries: bool = False
    left_to_a_person: bool = False
    on_failure: OnFailure = "stop"
    irreversible: bool = False
    before: Before = field(default_factory=Before, repr=False)
    sighted: frozenset[str] = frozenset()
    forgets: bool = False

    @property
    def name(self) -> str:
        """Name of the job, which is the step's name too."""
        return self.job.name

    @property
    def awaited(self) -> tuple[Milestone, ...]:
        """All that it has to reach, its own condition last."""
        return (*self.milestones, Milestone(self.condition, self.timeout_s))

    @property
    def ref(self) -> JobRef:
        """Nomad's identity of the job."""
        return self.job.ref


@dataclass(frozen=True, slots=True)
class Intent:
    """What was asked for.

    Attributes:
        goals: job names, sorted; for `--all` every job of the file. Never one of `skip`.
        wait_ready: read every number of seconds as "until ready".
        force: run: evaluate or rerun what is unchanged; stop: stop what others still need.
        deep: stop the whole tree below the goals.
        tags: those by which goals were chosen.
        only: run nothing that the goals need.
        with_dependents: all that needs the goals, directly or not, is a goal as well.
        skip: jobs that are left out.
        everything: promote: leave those of the goals alone that have nothing to promote.
    """

    verb: Verb
    goals: tuple[str, ...]
    wait_ready: bool = False
    force: bool = False
    deep: bool = False
    purge: bool = False
    tags: tuple[str, ...] = ()
    only: bool = False
    with_dependents: bool = False
    skip: tuple[str, ...] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """What Nomad has of one job, as read once before planning.

    Attributes:
        snapshot: its stored state; `snapshot.job` is None where there is none.
        dry_run: Nomad's own plan of registering the rendered job; None where it was not asked (stop).
        stable_version: newest older version that was stable, None for none (asked only for an unchanged job).
        children: of a periodic or parameterized job, those that still run (asked only for a stop).
        note: what is noted of it; {} for nothing, or where the token may not read it (asked where it matters).
        unread: why its note could not be read; None where it could.
        dispatched: how the children do that are noted as its last ones: by ID, without those of which nobody knows.
    """

    snapshot: JobSnapshot
    dry_run: DryRun | None = None
    stable_version: int | None = None
    children: tuple[JobRef, ...] = ()
    note: Items = field(default_factory=dict)
    unread: ClusterError | None = None
    dispatched: Mapping[str, ChildState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A job of the file that a plan is not about, and why not."""

    job: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps.

    Attributes:
        store, revision: where the texts came from.
        steps: in an order in which they could be carried out one by one; each after its needs.
        warnings: Nomad's own about the job files, one line each.
        out: the jobs of the file that are not part of it, sorted, each with the reason.
    """

    verb: Verb
    stack: str
    store: str
    revision: str
    goals: tuple[str, ...]
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = ()
    out: tuple[LeftOut, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether a step would do something, or cannot be done."""
        return any(step.change not in UNCHANGED or isinstance(step.action, Refuse) for step in self.steps)

"""The values that travel between the stages: frozen, without behaviour beyond reading themselves.

Two groups: what a job file says (`RenderedJob`), and what the cluster has (`JobSnapshot` and its parts, decoded from Nomad's JSON by
`cluster.decode`); what the user declared is `dtree.declaration`. Times are seconds, sizes bytes; Nomad's nanoseconds do not come this far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from dtree.declaration import Dispatch
from dtree.names import DEFAULT_NAMESPACE

Spec = Mapping[str, Any]
"""A job as Nomad's parse endpoint gives it: JSON, untouched."""

BOOKKEEPING: Final = frozenset(
    {
        "CreateIndex",
        "DispatchIdempotencyToken",
        "JobModifyIndex",
        "ModifyIndex",
        "NomadTokenID",
        "Stable",
        "Status",
        "StatusDescription",
        "Stop",
        "SubmitTime",
        "Version",
        "VersionTag",
    }
)
"""Fields of a job that Nomad fills in by itself."""

FailureKind = Literal["failed", "timed-out", "awaiting-promotion", "superseded", "changed-meanwhile", "error"]
"""How a step broke: the job failed, a wait timed out, a canary waits for a person, somebody else's version took over, the job was changed
between plan and register, or Nomad could not be asked."""


@dataclass(frozen=True, slots=True, order=True)
class JobRef:
    """Nomad's own identity of a job.

    Attributes:
        region: "" for the one where calls go that name none: so each region has one name, and a job one identity.
    """

    namespace: str
    id: str
    region: str = ""

    def __str__(self) -> str:
        namespace = "" if self.namespace == DEFAULT_NAMESPACE else f"namespace {self.namespace}"
        place = ", ".join(filter(None, (namespace, self.region and f"region {self.region}")))
        return f"{self.id} ({place})" if place else self.id


@dataclass(frozen=True, slots=True)
class RenderedJob:
    """A job file as it goes to Nomad.

    Attributes:
        name: our name, the key in the dependency file.
        ref: Nomad's identity, from the parsed file.
        file: where the text came from, as the store calls it.
        text: the rendered text, with secrets hidden; becomes the Submission.
        format: `hcl2` or `json`.
        spec: what Nomad's parse endpoint made of it; sent back unchanged.
        template_digest: SHA-256 of the text in the store, before it was rendered, as hex.
        variables: values of its HCL2 variables, as the text of a variables file.
        version: the artifact version that is declared for it; "" for none.
        reads: what its template read beside its variables, as it is written there: `consul_key("app/url")`.
        dispatches: children that a run of it has, with their payloads.
    """

    name: str
    ref: JobRef
    file: str
    text: str = field(repr=False)
    format: Literal["hcl2", "json"]
    spec: Spec = field(repr=False)
    template_digest: str = ""
    variables: str = field(default="", repr=False)
    version: str = ""
    reads: tuple[str, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()

    @property
    def type(self) -> str:
        """service, system, batch or sysbatch."""
        return str(self.spec.get("Type") or "service")

    @property
    def is_parent(self) -> bool:
        """Periodic and parameterized jobs run only through children."""
        return bool(self.spec.get("Periodic")) or bool(self.spec.get("ParameterizedJob"))

    @property
    def completes(self) -> bool:
        """Whether a run of it ends: it is a batch or sysbatch job, or children of it are dispatched."""
        return bool(self.dispatches) if self.is_parent else self.type in ("batch", "sysbatch")


# -- what the cluster has ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupState:
    """A task group of a stored job.

    Attributes:
        count: wanted allocations (0 is allowed).
        deploys: whether a change of it makes a deployment (an update block with max_parallel above 0).
        progress_deadline_s: as stored, None without an update block.
        stop_timeout_s: longest kill_timeout plus shutdown_delay of its tasks.
        lifecycle: task name -> "main", "prestart", "prestart-sidecar", "poststart", "poststart-sidecar", "poststop".
        checked: it has health checks of Nomad's own provider, which `Cluster.checks` can read.
        max_parallel: how many of its allocations may be changed at a time.
        min_healthy_s: how long an allocation must have been healthy to count so.
    """

    name: str
    count: int
    deploys: bool
    progress_deadline_s: float | None = None
    stop_timeout_s: float = 5.0
    lifecycle: Mapping[str, str] = field(default_factory=dict)
    checked: bool = False
    max_parallel: int = 1
    min_healthy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as Nomad stores it.

    Attributes:
        version: Nomad's counter of specs.
        modify_index: JobModifyIndex, what EnforceIndex compares.
        status: pending, running or dead.
        stopped: somebody asked for it to stop.
        stable: this version was once healthy as a whole.
        shape: digest of the spec without counts and bookkeeping: equal shapes differ only in counts.
        create_index: raft index at which it came to be; a purge begins a new life, and what is older belongs to the old one.
    """

    version: int
    modify_index: int
    status: str
    stopped: bool
    type: str
    periodic: bool
    parameterized: bool
    stable: bool
    shape: str
    groups: tuple[GroupState, ...]
    create_index: int = 0

    @property
    def is_parent(self) -> bool:
        """Periodic and parameterized jobs run only through children."""
        return self.periodic or self.parameterized

    @property
    def is_batch(self) -> bool:
        """Batch and sysbatch jobs end; the others are meant to go on."""
        return self.type in ("batch", "sysbatch")


@dataclass(frozen=True, slots=True)
class Placement:
    """Why a group could not be placed: Nomad's FailedTGAllocs for it."""

    nodes_evaluated: int = 0
    nodes_filtered: int = 0
    nodes_exhausted: int = 0
    nodes_in_pool: int = 0
    nodes_available: Mapping[str, int] = field(default_factory=dict)
    constraint_filtered: Mapping[str, int] = field(default_factory=dict)
    class_filtered: Mapping[str, int] = field(default_factory=dict)
    dimension_exhausted: Mapping[str, int] = field(default_factory=dict)
    class_exhausted: Mapping[str, int] = field(default_factory=dict)
    quota_exhausted: tuple[str, ...] = ()
    unplaced: int = 1


@dataclass(frozen=True, slots=True)
class EvaluationState:
    """One evaluation of a job."""

    id: str
    status: str
    triggered_by: str
    description: str
    job_modify_index: int
    create_index: int
    failed_groups: Mapping[str, Placement]
    blocked_eval: str = ""
    deployment_id: str = ""
    wait_until_s: float | None = None


@dataclass(frozen=True, slots=True)
class DeploymentGroup:
    """One group's numbers in a deployment."""

    desired_total: int
    desired_canaries: int
    placed: int
    placed_canaries: int
    healthy: int
    unhealthy: int
    promoted: bool
    auto_promote: bool
    auto_revert: bool


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A deployment of one version of a job."""

    id: str
    version: int
    status: str
    description: str
    create_index: int
    groups: Mapping[str, DeploymentGroup]


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One line of a task's history; `message` is what Nomad shows to people, details the raw values."""

    type: str
    message: str
    time_s: float
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task within an allocation.

    Attributes:
        state: pending, running or dead.
        exit_code: of its last end; None while it never ended.
    """

    name: str
    state: str
    failed: bool
    restarts: int
    exit_code: int | None
    signal: int | None
    oom_killed: bool
    events: tuple[TaskEvent, ...]


@dataclass(frozen=True, slots=True)
class TaskExit:
    """How a task of an allocation last ended.

    Attributes:
        job: Nomad's ID, of the child where one was dispatched.
        signal: that killed it; None for none.
    """

    job: str
    allocation: str
    task: str
    exit_code: int
    signal: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port label of an allocation answers."""

    label: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AllocationState:
    """One allocation, from the list endpoint.

    Attributes:
        version: job version it belongs to (raised by an in-place update).
        desired: run, stop or evict.
        client: pending, running, complete, failed, lost or unknown.
        healthy: the deployment's verdict; None while open or without a deployment.
        next_allocation: id of its replacement, "" for none.
        followup_eval: id of the evaluation that will reschedule it, "" for none.
        modified_s: Unix time of its last change on the client.
    """

    id: str
    name: str
    group: str
    node: str
    version: int
    desired: str
    client: str
    healthy: bool | None
    canary: bool
    next_allocation: str
    followup_eval: str
    create_index: int
    modified_s: float
    client_description: str
    tasks: Mapping[str, TaskState]

    @property
    def is_over(self) -> bool:
        """Nothing of it runs any more."""
        return self.client in ("complete", "failed", "lost")


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """All that `health.judge` looks at, for one job at one moment.

    Attributes:
        job: None where Nomad has no such job.
        allocations, deployments, evaluations: oldest first (by create index, then id).
    """

    ref: JobRef
    job: JobState | None
    allocations: tuple[AllocationState, ...] = ()
    deployments: tuple[DeploymentState, ...] = ()
    evaluations: tuple[EvaluationState, ...] = ()


@dataclass(frozen=True, slots=True)
class DryRun:
    """What Nomad's own plan says of registering a job now.

    Attributes:
        diff: None, Added, Edited (Nomad's words).
        updates: group -> what would happen -> how many: place, stop, migrate, canary, in_place, destructive, ignore.
        job_modify_index: 0 where the job is new: the right EnforceIndex.
        changed: dotted fields that differ, at most a handful, for the cause.
        failed_groups: group -> why it could not be placed now.
    """

    diff: str
    updates: Mapping[str, Mapping[str, int]]
    job_modify_index: int
    changed: tuple[str, ...] = ()
    warnings: str = ""
    failed_groups: Mapping[str, Placement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One health check of an allocation, as its client last saw it; `time_s` is when, in whole Unix seconds, 0 for not known."""

    name: str
    status: str
    output: str
    task: str = ""
    service: str = ""
    time_s: float = 0.0

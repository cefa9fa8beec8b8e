"""The values that travel between the stages: frozen, without behaviour beyond reading themselves.

Three groups: what the user declared (`Declaration`), what a job file says (`RenderedJob`), and what the cluster has
(`JobSnapshot` and its parts, decoded from Nomad's JSON by `cluster.decode`). Times are seconds, sizes bytes; Nomad's nanoseconds do not
come this far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from dtree.errors import Place

DEFAULT_NAMESPACE: Final = "default"
"""Where Nomad puts what names no namespace."""

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

RunPolicy = Literal["on_change", "always", "once"]
"""When a job that completes is run again: when it changed since its last success, in each run, or never after a success."""

FailureKind = Literal["failed", "timed-out", "awaiting-promotion", "superseded", "changed-meanwhile", "error"]
"""How a step broke: the job failed, a wait timed out, a canary waits for a person, somebody else's version took over, the job was changed
between plan and register, or Nomad could not be asked."""

ConditionName = Literal["ready", "registered", "started", "healthy", "completed", "service", "http", "tcp", "log", "all", "any"]


_SHOWN_PATTERN: Final = 60


@dataclass(frozen=True, slots=True)
class ServiceProbe:
    """So many passing instances of a service, each of an allocation of the awaited version.

    Attributes:
        provider: whose catalogue; None in a dependency file that does not say: the one that the job file names for the service.
    """

    service: str
    passing: int = 1
    provider: Literal["nomad", "consul"] | None = None

    def __str__(self) -> str:
        return f"{self.passing} instance{'' if self.passing == 1 else 's'} of service {self.service} passing"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """An answer with a status: of every allocation at a port label; or of one URL.

    Attributes:
        port: the label; "" with a URL.
        path: with its query; "" with a URL.
        url: http or https; "" with a label.
    """

    port: str = ""
    path: str = ""
    status: int = 200
    url: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"http {self.status} from {self.url.partition('?')[0] if self.url else f'port {self.port} {self.path}'}"


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """A connection that is accepted: by every allocation at a port label; or by one HOST:PORT, then `target`."""

    port: str = ""
    target: str = ""

    def __str__(self) -> str:
        return f"tcp connection to {self.target or f'port {self.port}'}"


@dataclass(frozen=True, slots=True)
class LogProbe:
    """A line of an allocation of the awaited version that a regular expression matches.

    Attributes:
        task: "" in a dependency file that does not say: the only one, or the only main one.
    """

    pattern: str
    task: str = ""
    stream: Literal["stdout", "stderr"] = "stdout"

    @property
    def shown(self) -> str:
        """The expression between slashes; of a long one the beginning."""
        return f"/{self.pattern if len(self.pattern) <= _SHOWN_PATTERN else self.pattern[: _SHOWN_PATTERN - 1] + '…'}/"

    def __str__(self) -> str:
        of_task = f" of task {self.task}" if self.task else ""
        return f"a line{of_task} matching {self.shown}"


Probe = ServiceProbe | HttpProbe | TcpProbe | LogProbe
"""What has to be asked of others than Nomad's lists of a job."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a job counts as ready, or as far as an edge needs it.

    Attributes:
        name: one of the named conditions (with `seconds` it is `started`); the kind of the probe; or `all` or `any` of the parts.
        seconds: the seed's number: so many seconds after Nomad accepted the job; None for a named condition.
        timeout_s: longest wait that the condition itself names; None: the job's own, or that of the condition around it.
        probe: what is asked; None for all others.
        parts: of `all` and `any`, at least one.
    """

    name: ConditionName = "ready"
    seconds: float | None = None
    timeout_s: float | None = None
    probe: Probe | None = None
    parts: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        if self.parts:
            return f"{self.name} of ({', '.join(map(str, self.parts))})"
        if self.probe is not None:
            return str(self.probe)
        return self.name if self.seconds is None else f"{self.seconds:g} s after start"


OnUpdate = Literal["none", "restart", "redeploy"]
"""What becomes of a dependent that runs when its dependency was changed: nothing, a restart in place, or new allocations."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One line of `pre` or `post`.

    Attributes:
        job: name of the other job.
        path: keys and indexes that lead to it in the dependency file, for `Declaration.place`.
        wait_cond: only in `post`, the seed's place for the post job's own condition.
        condition: what must have been reached, in `post` by the owner; None: that job's own condition.
        required: False: its failure or absence does not stop the dependent.
        external: not deployed here, only waited for.
        on_update: what becomes of the running dependent when the dependency was changed.
    """

    job: str
    path: tuple[str | int, ...]
    wait_cond: Condition | None = None
    condition: Condition | None = None
    required: bool = True
    external: bool = False
    on_update: OnUpdate = "none"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One child of a parameterized job, or with `force` one run of a periodic job out of its turn.

    Attributes:
        meta: values for the meta keys that the job file names.
        payload: None for none, or while it is still to be read from `file`.
        file: path in the store of the file that holds the payload; "" for none.
        path: keys and indexes that lead to it in the dependency file, for `Declaration.place`.
    """

    meta: Mapping[str, str] = field(default_factory=dict)
    payload: bytes | None = field(default=None, repr=False)
    file: str = ""
    force: bool = False
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A job's entry in the dependency file, defaults applied; None where the file is silent.

    Attributes:
        template: its job file is rendered; False: it goes to Nomad as it is.
        version: its own, a literal or a source such as `git:short`; that of the defaults stays in `Declaration.defaults`.
        variables: its own `vars`, likewise.
        run: for a job that completes; None is `on_change`.
        dispatches: children that a run of it has, () for none.
    """

    name: str
    pre: tuple[Edge, ...] = ()
    post: tuple[Edge, ...] = ()
    wait_cond: Condition | None = None
    timeout_s: float | None = None
    retries: int = 0
    file: str | None = None
    namespace: str | None = None
    template: bool = True
    version: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    run: RunPolicy | None = None
    dispatches: tuple[Dispatch, ...] = ()


class Locator(Protocol):
    """Finds where a key stands in the dependency file."""

    def place(self, path: tuple[str | int, ...]) -> Place:
        """Return file, line, column and dotted key of `path`."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The dependency file, parsed and without a fault.

    Attributes:
        file: its name, as the store calls it.
        stack: owner name of this set of jobs.
        entries: by job name, in file order.
        locator: where each key stands.
        defaults: the entry of a job that an edge names and that has none of its own; its name is "".
    """

    file: str
    stack: str
    entries: Mapping[str, Entry]
    locator: Locator = field(repr=False, compare=False)
    defaults: Entry = Entry("")


@dataclass(frozen=True, slots=True, order=True)
class JobRef:
    """Nomad's own identity of a job. `region` is "" for the region of the agent that is asked."""

    namespace: str
    id: str
    region: str = ""

    def __str__(self) -> str:
        return self.id if self.namespace == DEFAULT_NAMESPACE else f"{self.id} (namespace {self.namespace})"


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

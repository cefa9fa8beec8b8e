"""What the user declared in the dependency file, as values: frozen, without behaviour beyond reading themselves. Times are seconds.

Apart from `dtree.model`, so that what ends at the files does not import what the cluster has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

from dtree.errors import Place

__all__ = [
    "Condition",
    "ConditionName",
    "Declaration",
    "Dispatch",
    "Edge",
    "Entry",
    "HttpProbe",
    "Locator",
    "LogProbe",
    "OnFailure",
    "OnUpdate",
    "Probe",
    "Promotion",
    "RunPolicy",
    "ServiceProbe",
    "TcpProbe",
]

ConditionName = Literal["ready", "registered", "started", "healthy", "completed", "service", "http", "tcp", "log", "all", "any"]

RunPolicy = Literal["on_change", "always", "once"]
"""When a job that completes is run again: when it changed since its last success, in each run, or never after a success."""

OnUpdate = Literal["none", "restart", "redeploy"]
"""What becomes of a dependent that runs when its dependency was changed: nothing, a restart in place, or new allocations."""

OnFailure = Literal["stop", "continue", "rollback"]
"""What a failure means: nothing that needs the job starts; all of it starts all the same; or what the run changed is returned."""

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


@dataclass(frozen=True, slots=True)
class Edge:
    """One line of `pre`, `post`, `pre_stop` or `post_stop`.

    Attributes:
        job: name of the other job.
        path: keys and indexes that lead to it in the dependency file, for `Declaration.place`.
        wait_cond: only in `post`, the seed's place for the post job's own condition.
        condition: what must have been reached, in `post` by the owner; None: that job's own condition.
        required: False: its failure or absence does not stop the dependent; of a hook, not the stop.
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
        is_alone: neither meta nor a payload is written, not even an empty one.
    """

    meta: Mapping[str, str] = field(default_factory=dict)
    payload: bytes | None = field(default=None, repr=False)
    file: str = ""
    force: bool = False
    is_alone: bool = field(default=True, compare=False)
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Promotion:
    """What becomes of a job's healthy canaries.

    Attributes:
        after_s: promote them once they have been healthy for so long; None: a person does.
    """

    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A job's entry in the dependency file, defaults applied; None where the file is silent.

    Attributes:
        template: its job file is rendered; False: it goes to Nomad as it is.
        version: its own, a literal or a source such as `git:short`; that of the defaults stays in `Declaration.defaults`.
        variables: its own `vars`, likewise.
        run: its own, for a job that completes; that of the defaults is in `DependencyGraph.entries`, and not of hooks.
        dispatches: children that a run of it has, () for none.
        promotion: what becomes of its healthy canaries; None: what the job file says, else a person promotes them.
        on_failure: None: for a post job that of its owner, else `stop`.
        irreversible: a rollback never undoes it.
    """

    name: str
    pre: tuple[Edge, ...] = ()
    post: tuple[Edge, ...] = ()
    pre_stop: tuple[Edge, ...] = ()
    post_stop: tuple[Edge, ...] = ()
    wait_cond: Condition | None = None
    timeout_s: float | None = None
    retries: int = 0
    file: str | None = None
    namespace: str | None = None
    region: str | None = None
    template: bool = True
    version: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    inherits_tags: bool = field(default=False, compare=False)
    run: RunPolicy | None = None
    dispatches: tuple[Dispatch, ...] = ()
    promotion: Promotion | None = None
    on_failure: OnFailure | None = None
    irreversible: bool = False

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All of its edges, of whatever kind."""
        return (*self.pre, *self.post, *self.pre_stop, *self.post_stop)

    def without(self, jobs: Collection[str]) -> Entry:
        """Return the entry without its edges to some jobs."""
        pre, post, pre_stop, post_stop = (
            tuple(edge for edge in edges if edge.job not in jobs) for edges in (self.pre, self.post, self.pre_stop, self.post_stop)
        )
        return replace(self, pre=pre, post=post, pre_stop=pre_stop, post_stop=post_stop)


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

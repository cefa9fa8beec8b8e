"""What the user declared in the dependency file, as values: frozen, without behaviour beyond reading themselves. Times are seconds.

Apart from `dtree.model`, so that what ends at the files does not import what the cluster has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from dtree.errors import Place

__all__ = ["Condition", "ConditionName", "Declaration", "Edge", "Entry", "Locator"]

ConditionName = Literal["ready", "registered", "started", "healthy", "completed"]


@dataclass(frozen=True, slots=True)
class Condition:
    """When a job counts as ready.

    Attributes:
        name: one of the named conditions; with `seconds` it is `started`.
        seconds: the seed's number: so many seconds after Nomad accepted the job; None for a named condition.
        timeout_s: longest wait that the condition itself names; None: the job's own.
    """

    name: ConditionName = "ready"
    seconds: float | None = None
    timeout_s: float | None = None

    def __str__(self) -> str:
        return self.name if self.seconds is None else f"{self.seconds:g} s after start"


@dataclass(frozen=True, slots=True)
class Edge:
    """One line of `pre` or `post`.

    Attributes:
        job: name of the other job.
        path: keys and indexes that lead to it in the dependency file, for `Declaration.place`.
        wait_cond: only in `post`, the seed's place for the post job's own condition.
    """

    job: str
    path: tuple[str | int, ...]
    wait_cond: Condition | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A job's entry in the dependency file, defaults applied; None where the file is silent.

    Attributes:
        template: its job file is rendered; False: it goes to Nomad as it is.
        version: its own, a literal or a source such as `git:short`; that of the defaults stays in `Declaration.defaults`.
        variables: its own `vars`, likewise.
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

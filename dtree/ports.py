"""What observe and the executor need from the outside: a cluster and a clock. Protocols only.

`cluster.NomadCluster` and `clock.SystemClock` are the real ones; `tests/fakes` has a cluster with behaviour and a clock that jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from dtree.errors import ClusterError
from dtree.model import Address, CheckResult, DryRun, JobRef, JobSnapshot, JobState, RenderedJob, Spec
from dtree.provenance import Items, Provenance

OnChange = Callable[[JobSnapshot], None]
OnTrouble = Callable[[str, ClusterError | None], None]


@dataclass(frozen=True, slots=True)
class Registered:
    """Nomad accepted a job.

    Attributes:
        version: the job version that now is current: the one the run waits for.
        shape: its `JobState.shape`, to tell an autoscaler's new version from somebody else's.
        modify_index: its JobModifyIndex.
        eval_id: "" for periodic and parameterized jobs.
        warnings: Nomad's own, "" for none.
    """

    version: int
    shape: str
    modify_index: int
    eval_id: str
    warnings: str = ""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A child of a parameterized or periodic job was begun; `eval_id` is "" where Nomad does not say it again."""

    ref: JobRef
    eval_id: str


class Watch(Protocol):
    """Standing queries for a changing set of jobs."""

    def follow(self, ref: JobRef) -> None:
        """Report `ref` from now on whenever something about it changes; a first report comes at once."""

    def drop(self, ref: JobRef) -> None:
        """Report it no longer."""


class Cluster(Protocol):
    """A Nomad cluster. Every method raises `errors.ClusterError`; transient failures are retried within."""

    @property
    def address(self) -> str:
        """Where it is reached, as it may be shown: without passwords."""

    def parse(self, text: str, *, file: str, namespace: str, variables: str) -> Spec:
        """Parse HCL2 or JSON, with values of its variables; reads Nomad. `namespace` is only where the token's rights are looked up."""

    def validate(self, job: RenderedJob) -> str:
        """Ask Nomad to validate; returns its warnings, raises Invalid with its errors."""

    def dry_run(self, job: RenderedJob) -> DryRun:
        """Ask Nomad what registering the job would do."""

    def job(self, ref: JobRef) -> JobState | None:
        """Read the stored job; None where there is none."""

    def stored(self, ref: JobRef) -> Spec | None:
        """Read the stored job as it could be registered again; None where there is none."""

    def snapshot(self, ref: JobRef) -> JobSnapshot:
        """Read the job, its allocations, deployments and evaluations afresh."""

    def snapshots(self, refs: Sequence[JobRef]) -> Mapping[JobRef, JobSnapshot]:
        """Read many jobs afresh, in few requests."""

    def stable_version(self, ref: JobRef, *, below: int) -> int | None:
        """Newest version under `below` that was stable and was not a stop; None for none."""

    def register(self, job: RenderedJob, *, enforce_index: int, provenance: Provenance | None = None) -> Registered:
        """Register, if the job's JobModifyIndex still is `enforce_index` (0: it must not exist); else Conflict.

        `provenance` goes along with its source, and is no part of the job.
        """

    def evaluate(self, ref: JobRef) -> str:
        """Have the job evaluated again, with failed allocations rescheduled; returns the evaluation's id."""

    def revert(self, ref: JobRef, *, version: int, enforce_version: int) -> Registered:
        """Return to an older version."""

    def promote(self, ref: JobRef, deployment_id: str) -> None:
        """Promote the canaries of all groups of a deployment of the job."""

    def restart(self, ref: JobRef, alloc_id: str) -> None:
        """Restart all tasks of an allocation of the job in place; returns before they run again."""

    def replace(self, ref: JobRef, alloc_id: str) -> None:
        """Stop an allocation of the job, so that Nomad places another one."""

    def stop(self, ref: JobRef) -> str:
        """Stop the job without purging; returns the evaluation's id."""

    def purge(self, ref: JobRef) -> None:
        """Remove the job from Nomad. Only when none of its evaluations is pending and all its allocations are over."""

    def settle(self, ref: JobRef, *, ended: bool) -> JobSnapshot:
        """Wait until no evaluation of the job is pending and, if `ended`, all its allocations are over; Unavailable if that takes long."""

    def has_namespace(self, name: str, *, region: str) -> bool:
        """Whether there is such a namespace in a region, named as in a JobRef; True where the token may not know."""

    def find_region(self, name: str) -> str:
        """Return the name of a region in a JobRef: "" for the one where calls go that name none, whatever it is called.

        Raises Invalid where there is no way to it; `name` "" asks whether there is one to the region of the connection.
        """

    def children(self, ref: JobRef) -> tuple[JobRef, ...]:
        """Children of a periodic or parameterized job that still run, sorted."""

    def dispatch(self, ref: JobRef, *, meta: Mapping[str, str], payload: bytes, token: str) -> Dispatched:
        """Dispatch a child of a parameterized job; the same token again is the same child."""

    def force(self, ref: JobRef) -> Dispatched:
        """Run a periodic job now, out of its turn."""

    def notes(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        """What is noted of jobs of a stack, of those of which something is; all of one namespace. Denied where the token may not."""

    def notes_of_others(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        """What other stacks have noted of jobs, all of one namespace; of several the latest registration, of what the token may see."""

    def submission(self, ref: JobRef, *, version: int) -> tuple[str, str]:
        """Source and variables that a version of a job was registered with; both "" where Nomad keeps none."""

    def change_note(self, stack: str, ref: JobRef, change: Callable[[Items], Items]) -> None:
        """Change a job's note; it is {} before there is one, and one that becomes {} is removed.

        What others wrote meanwhile is not lost: `change` is then asked again.
        """

    def forget(self, stack: str, ref: JobRef) -> None:
        """Remove a job's note, if there is one."""

    def logs(self, ref: JobRef, alloc_id: str, task: str, *, stream: Literal["stdout", "stderr"], lines: int) -> Sequence[str]:
        """Last lines of a task's log; empty where there is none (any more)."""

    def checks(self, ref: JobRef, alloc_id: str) -> tuple[CheckResult, ...]:
        """Nomad-provider checks of an allocation of the job, sorted by name."""

    def registered(
        self, ref: JobRef, service: str, provider: Literal["nomad", "consul"], allocations: Sequence[str]
    ) -> Mapping[str, tuple[CheckResult, ...]]:
        """Of some allocations of a job those that registered a service, each with all its checks; `success` is what passes."""

    def log_from(self, ref: JobRef, alloc_id: str, task: str, *, stream: Literal["stdout", "stderr"], offset: int) -> bytes:
        """Read a piece of a task's log from so many bytes on; b"" where there is no more, or none (any more)."""

    def http_status(self, url: str) -> int:
        """Status of the answer to a GET, wherever it leads; NotAnswered where there is none soon."""

    def connect(self, host: str, port: int) -> None:
        """Have a TCP connection accepted; NotAnswered where it soon is not."""

    def addresses(self, ref: JobRef, alloc_id: str) -> tuple[Address, ...]:
        """Addresses of an allocation's ports, sorted by label."""

    def watch(self, on_change: OnChange, on_trouble: OnTrouble) -> AbstractContextManager[Watch]:
        """Begin standing queries.

        Args:
            on_change: handed a job's new snapshot, from another thread.
            on_trouble: handed a region, as in a JobRef, and the error when contact with it is lost, None when it is back; Denied does not
                pass by itself.
        """


class Inbox(Protocol):
    """Where workers and watchers leave what happened, for the one loop that reads it."""

    def put(self, item: Any) -> None:  # noqa: ANN401 - whatever the loop understands
        """Leave an item; safe from any thread and from a signal handler."""

    def get(self, timeout_s: float | None) -> Any | None:  # noqa: ANN401 - as above
        """Take the next item; None after `timeout_s` without one."""


class Clock(Protocol):
    """Time and threads, so that a test can do without both."""

    def now_s(self) -> float:
        """Seconds since some start, never backwards."""

    def unix_s(self) -> float:
        """Seconds since 1970."""

    def inbox(self) -> Inbox:
        """Return a new, empty inbox."""

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` beside the caller; it reports through an inbox. It never keeps the program from ending."""

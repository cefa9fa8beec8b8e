"""A step in flight: begun, and neither ready nor broken. What is known of it, and since when. Pure; `moves` says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dtree.conditions import Answer
from dtree.declaration import LogProbe, Probe
from dtree.errors import ClusterError
from dtree.evidence import UNSEEN, Awaited, count_standing
from dtree.footing import Known
from dtree.health import Broken, is_finished
from dtree.model import CheckResult, JobRef, JobSnapshot, TaskExit
from dtree.outcomes import Acted, Renewed, Standing
from dtree.plan import Milestone, Step, Stop
from dtree.renewal import Portions
from dtree.sightings import sign


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run behaves.

    Attributes:
        parallelism: steps in flight at a time, from the first request until they are ready.
        placement_timeout_s: how long a job may have no eligible node before that is a failure.
        promotion_timeout_s: how long healthy canaries may wait for a person who promotes them.
        fail_fast: start nothing more once a step failed.
    """

    parallelism: int = 10
    placement_timeout_s: float = 15.0
    promotion_timeout_s: float = 300.0
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """How the run stands when a step of it is judged.

    Attributes:
        trouble: region -> why there is no contact with it.
        returns: all that the run changed is about to be returned.
    """

    now_s: float
    limits: Limits
    trouble: Mapping[str, ClusterError]
    returns: bool = False


@dataclass(slots=True)
class Flight:
    """A step that has started and is neither ready nor broken.

    Attributes:
        ahead: what it has not reached yet, its own condition last.
        left: portions of what runs of it that are still to be renewed; None where that has not begun.
        known: what its job was started with, to be noted once all of it is renewed.
        is_renewing: the next of them is on its way; it is not judged meanwhile.
        children: jobs that are waited for in place of its own: those that were dispatched of it.
        promotable_s: since when its canaries are healthy and wait to be promoted, while nothing else is waited for; None where they do not.
        is_promoting: they are being promoted; it is not judged meanwhile.
        promoted: ID of the deployment that was.
    """

    step: Step
    attempt: int = 1
    awaited: Awaited | None = None
    ahead: tuple[Milestone, ...] = ()
    left: Portions | None = None
    known: Known = field(default_factory=dict)
    is_renewing: bool = False
    children: Mapping[JobRef, Awaited] = field(default_factory=dict)
    refs: tuple[JobRef, ...] = ()
    snapshots: dict[JobRef, JobSnapshot] = field(default_factory=dict)
    stopped: set[JobRef] = field(default_factory=set)
    since_s: float = 0.0
    unplaceable_s: float | None = None
    next_look_s: float = 0.0
    reason: str = ""
    told: str = ""
    checks: Mapping[str, Sequence[CheckResult]] = field(default_factory=dict)
    checks_due_s: float = 0.0
    answers: dict[Probe, Answer] = field(default_factory=dict)
    asking: set[Probe] = field(default_factory=set)
    asked_s: dict[Probe, float] = field(default_factory=dict)
    promotable_s: float | None = None
    is_promoting: bool = False
    promoted: str = ""
    broken: Broken | None = None
    exits: tuple[TaskExit, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether it is waited for, and nothing else is done about it."""
        return bool(self.refs) and self.broken is None and not self.is_renewing and not self.is_promoting

    @property
    def deadline_s(self) -> float:
        """When the first of what it has ahead is too late."""
        return self.since_s + min(milestone.timeout_s for milestone in self.ahead)

    @property
    def standings(self) -> tuple[Standing, ...]:
        """How it stands once it is ready, for each condition that it had to reach; () where nothing of it is to stand."""
        if self.awaited is None:
            return ()
        snapshot = self.snapshots.get(self.step.ref)
        good = count_standing(snapshot, self.awaited) if snapshot is not None else 0
        return tuple(Standing(self.step, replace(self.awaited, condition=one.condition), good) for one in self.step.awaited)

    @property
    def signs(self) -> frozenset[str]:
        """Signs of what was seen in its logs."""
        return frozenset(sign(probe) for probe, answer in self.answers.items() if isinstance(probe, LogProbe) and answer.good)

    def waited_s(self, now_s: float) -> float:
        """Return how long it has been waited for, without the time in which canaries wait to be promoted."""
        return (now_s if self.promotable_s is None else self.promotable_s) - self.since_s

    def await_what(self, acted: Acted, now_s: float) -> None:
        """Begin to wait for what Nomad accepted."""
        self.awaited = acted.awaited
        self.ahead = self.step.awaited
        self.left, self.known = acted.left, acted.known
        self.refs = acted.refs
        self.children = acted.children
        self.since_s = now_s
        self.snapshots.clear()
        if isinstance(self.step.action, Stop) and self.step.action.asked:
            self.stopped.add(self.step.ref)
        self.next_look_s = self.deadline_s

    def see_children(self) -> None:
        """Wait for each child at the version that Nomad has of it, and no more for one that was seen completed.

        A child begins with its parent's version, and a stop makes it one more. Nomad forgets what has ended after a while.
        """
        self.children = {ref: self._seen(awaited, self.snapshots.get(ref)) for ref, awaited in self.children.items()}

    def go_on_renewed(self, done: Renewed, now_s: float) -> None:
        """Wait for what was restarted or replaced."""
        self.awaited, self.left, self.is_renewing = done.awaited, done.left, False
        self.checks, self.checks_due_s = {}, 0.0
        self.since_s = now_s

    def go_on_promoted(self, snapshot: JobSnapshot, now_s: float) -> None:
        """Wait for what comes after the canaries, which are promoted, or are no more what they were."""
        self.is_promoting = False
        self.snapshots[self.step.ref] = snapshot
        self.forget_canaries(now_s)
        self.next_look_s = self.deadline_s

    def forget_canaries(self, now_s: float) -> None:
        """Go on counting the time from where it stood: canaries are promoted, or not healthy any more."""
        if self.promotable_s is not None:
            self.since_s += now_s - self.promotable_s
            self.promotable_s = None

    def blame(self, broken: Broken, milestone: Milestone) -> tuple[JobRef, Awaited | None]:
        """Return the job that a break is about, which may be one of the children, and what was awaited of it."""
        slowest = (ref for ref in self.children if ref in self.snapshots and not is_finished(self.snapshots[ref]))
        blamed = broken.child or next(slowest, self.step.ref)
        awaited = self.children.get(blamed, self.awaited)
        return blamed, awaited and replace(awaited, condition=milestone.condition)

    @staticmethod
    def _seen(awaited: Awaited, snapshot: JobSnapshot | None) -> Awaited:
        if awaited.completed or snapshot is None:
            return awaited
        if awaited.version == UNSEEN:
            state = snapshot.job
            awaited = replace(awaited, version=0) if state is None else replace(awaited, version=state.version, shape=state.shape)
        return replace(awaited, completed=True) if is_finished(snapshot) else awaited

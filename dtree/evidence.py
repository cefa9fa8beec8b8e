"""What of a job's snapshot speaks for the version that is waited for: its allocations, deployment and evaluations. Pure.

A snapshot holds more than that: replaced allocations, deployments of older versions, evaluations from before a purge. Whoever counts those
calls a healthy old version ready. Every rule about what counts stands here, once, for `health` and `diagnose`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dtree.declaration import Condition
from dtree.model import AllocationState, DeploymentState, EvaluationState, GroupState, JobSnapshot, JobState, Placement

SETTLE_S: Final = 5.0
"""How long to distrust an absence: the lists of a snapshot are read at slightly different moments."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a step waits for.

    Attributes:
        version: job version that this run registered or found unchanged.
        changed: this run registered it; False: it was there, unchanged.
        eval_id: evaluation of that registration; "" when unchanged, and for periodic and parameterized jobs.
        shape: `JobState.shape` of that version: a newer version of equal shape differs only in counts and is adopted.
        completed: this run has seen it completed, which stays true when Nomad collects the job.
        sighted: signs of what an earlier run saw in its logs, as in `sightings`.
        renewed: allocation that was restarted -> restarts of its tasks before, and it counts again once they are more; one that is
            replaced -> None, and it counts no more.
    """

    version: int
    condition: Condition
    changed: bool
    eval_id: str = ""
    shape: str = ""
    completed: bool = False
    sighted: frozenset[str] = frozenset()
    renewed: Mapping[str, int | None] = field(default_factory=dict, hash=False)


UNSEEN: Final = -1
"""Version of a job of others' that is waited for and was not there yet."""


def as_seen(snapshot: JobSnapshot, condition: Condition) -> Awaited:
    """Await a job of others' at the version that is there, if it is."""
    if snapshot.job is None or snapshot.job.stopped:
        return Awaited(UNSEEN, condition, changed=False)
    return as_found(snapshot.job, condition)


def as_found(job: JobState, condition: Condition) -> Awaited:
    """Await a stored job as it is, unchanged."""
    return Awaited(job.version, condition, changed=False, shape=job.shape)


def is_adopted(job: JobState, awaited: Awaited) -> bool:
    """Whether the current version stands for the awaited one: the same, or a newer one that differs only in counts (an autoscaler's)."""
    return job.version == awaited.version or (job.version > awaited.version and job.shape == awaited.shape)


def adopted_versions(snapshot: JobSnapshot, awaited: Awaited) -> frozenset[int]:
    """Versions whose allocations count: the awaited one, and the current one if it is adopted."""
    if snapshot.job is not None and is_adopted(snapshot.job, awaited):
        return frozenset({awaited.version, snapshot.job.version})
    return frozenset({awaited.version})


def all_allocations(snapshot: JobSnapshot, awaited: Awaited) -> tuple[AllocationState, ...]:
    """Allocations that ever belonged to the awaited version, oldest first, replaced and stopped ones too."""
    born = _birth(snapshot)
    versions = adopted_versions(snapshot, awaited)
    return tuple(alloc for alloc in snapshot.allocations if alloc.version in versions and alloc.create_index >= born)


def current_allocations(snapshot: JobSnapshot, awaited: Awaited) -> tuple[AllocationState, ...]:
    """Allocations that stand for the awaited version now, oldest first.

    Of a chain of reschedules only the last counts, and none that Nomad wants stopped. Of a batch job's allocations of one name only the
    newest: a change of count runs its completed allocations again.

    Source: seen with Nomad 1.11.3: a system job's replaced allocation keeps DesiredStatus run, so the link decides, not the status.
    """
    current = [alloc for alloc in all_allocations(snapshot, awaited) if alloc.desired == "run" and not alloc.next_allocation]
    if snapshot.job is not None and snapshot.job.type == "batch":
        return tuple({alloc.name: alloc for alloc in current}.values())
    return tuple(current)


def count_standing(snapshot: JobSnapshot, awaited: Awaited) -> int:
    """Count the allocations that stand: running, and not found unhealthy."""
    return sum(one.client == "running" and one.healthy is not False for one in current_allocations(snapshot, awaited))


def restarts_of(alloc: AllocationState) -> int:
    """Count how often the tasks of an allocation were restarted."""
    return sum(task.restarts for task in alloc.tasks.values())


def living(snapshot: JobSnapshot) -> tuple[AllocationState, ...]:
    """Allocations of any version that have not ended, also those that were asked to."""
    return tuple(alloc for alloc in snapshot.allocations if not alloc.is_over)


def older_allocations(snapshot: JobSnapshot, awaited: Awaited) -> tuple[AllocationState, ...]:
    """Allocations of other versions that still run and are not asked to stop."""
    born = _birth(snapshot)
    versions = adopted_versions(snapshot, awaited)
    return tuple(
        alloc
        for alloc in snapshot.allocations
        if alloc.version not in versions and alloc.create_index >= born and alloc.desired == "run" and not alloc.is_over
    )


def deployments_of(snapshot: JobSnapshot, awaited: Awaited) -> tuple[DeploymentState, ...]:
    """Return the deployments of the awaited version, oldest first; more than one where a change of counts was adopted."""
    born = _birth(snapshot)
    versions = adopted_versions(snapshot, awaited)
    return tuple(item for item in snapshot.deployments if item.version in versions and item.create_index >= born)


def evaluations_of(snapshot: JobSnapshot, awaited: Awaited, *, waited_s: float) -> tuple[EvaluationState, ...]:
    """Evaluations since the registration, oldest first.

    Empty while the registration's own one is not in the list yet. After `SETTLE_S` it must have been collected, and all count.
    """
    born = _birth(snapshot)
    if awaited.eval_id:
        own = next((item.create_index for item in snapshot.evaluations if item.id == awaited.eval_id), None)
        if own is None and waited_s <= SETTLE_S:
            return ()
        born = max(born, own or 0)
    return tuple(item for item in snapshot.evaluations if item.create_index >= born)


def is_evaluating(evaluations: tuple[EvaluationState, ...]) -> bool:
    """Whether Nomad has yet to decide something.

    A pending evaluation that waits for its time (a delayed reschedule) speaks only for its own allocation and does not count. One that is
    blocked without a group that failed ran out of attempts and is tried again.
    """
    return any(
        (item.status == "pending" and (item.wait_until_s is None or item.triggered_by == "failed-follow-up"))
        or (item.status == "blocked" and not item.failed_groups)
        for item in evaluations
    )


def unplaced(evaluations: tuple[EvaluationState, ...]) -> dict[str, Placement]:
    """Group -> why it could not be placed: what a blocked evaluation still waits for, else what the newest finished one left.

    Each evaluation tries again to place all that is missing, so the newest tells the whole; a blocked one is tried again under its own ID.
    """
    blocked = [item for item in evaluations if item.status == "blocked" and item.failed_groups]
    done = blocked or [item for item in evaluations if item.status == "complete"]
    return dict(sorted(done[-1].failed_groups.items())) if done else {}


def group_of(snapshot: JobSnapshot, alloc: AllocationState) -> GroupState | None:
    """Return the task group of an allocation; None where the current job has no such group any more."""
    groups = snapshot.job.groups if snapshot.job is not None else ()
    return next((group for group in groups if group.name == alloc.group), None)


def short_id(identity: str) -> str:
    """Return the first eight characters of an ID, as Nomad's own commands print it."""
    return identity[:8]


def _birth(snapshot: JobSnapshot) -> int:
    """Raft index below which everything belongs to an earlier life of the job: a purge starts versions at 0 again."""
    return snapshot.job.create_index if snapshot.job is not None else 0

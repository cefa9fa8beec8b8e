"""Canaries that nobody has promoted yet: what a deployment and its allocations say of them. Pure.

That a deployment waits for a promotion is no status of it: it is `running`, and a group of it wants canaries and is not promoted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dtree.declaration import Condition
from dtree.evidence import as_found, current_allocations, deployments_of, older_allocations
from dtree.model import AllocationState, DeploymentState, JobSnapshot


@dataclass(frozen=True, slots=True)
class Canaries:
    """The canaries of a deployment under way that is not promoted.

    Attributes:
        deployment: Nomad's ID of it, which stands for one version of the job.
        version: that version.
        healthy, wanted: of all groups that have canaries.
        are_ready: in every such group as many are healthy as it wants.
        promote_themselves: Nomad promotes them once they are.
    """

    deployment: str
    version: int
    healthy: int
    wanted: int
    are_ready: bool
    promote_themselves: bool

    @property
    def await_promotion(self) -> bool:
        """Whether nothing is missing but that somebody promotes them."""
        return self.are_ready and not self.promote_themselves

    @property
    def told(self) -> str:
        """How many there are that are healthy, and of which version."""
        return f"{self.healthy} healthy {'canary' if self.healthy == 1 else 'canaries'} of version {self.version}"

    def __str__(self) -> str:
        if self.await_promotion:
            return f"awaiting promotion: {self.told}"
        return f"{self.healthy} of {self.wanted} {'canary' if self.wanted == 1 else 'canaries'} of version {self.version} healthy"


def unpromoted(deployment: DeploymentState | None, allocations: Iterable[AllocationState]) -> Canaries | None:
    """Return the canaries of a deployment; None where it has none, they are promoted, or it is over.

    Args:
        allocations: those that stand for its version. Nomad's `healthy` is remembered while a task restarts, so one has to run as well.

    Source: Nomad promotes by itself only if all groups with canaries say auto_promote.
    """
    if deployment is None or deployment.status != "running":
        return None
    groups = {name: numbers for name, numbers in deployment.groups.items() if numbers.desired_canaries > 0 and not numbers.promoted}
    if not groups:
        return None
    healthy = [one.group for one in allocations if one.canary and one.healthy is True and one.client == "running"]
    return Canaries(
        deployment=deployment.id,
        version=deployment.version,
        healthy=sum(group in groups for group in healthy),
        wanted=sum(numbers.desired_canaries for numbers in groups.values()),
        are_ready=all(healthy.count(name) >= numbers.desired_canaries for name, numbers in groups.items()),
        promote_themselves=all(numbers.auto_promote for numbers in groups.values()),
    )


def stored_canaries(snapshot: JobSnapshot) -> Canaries | None:
    """Return the unpromoted canaries of a job as it is stored; None where it has none."""
    if snapshot.job is None or snapshot.job.stopped:
        return None
    awaited = as_found(snapshot.job, Condition())
    newest = next(reversed(deployments_of(snapshot, awaited)), None)
    return unpromoted(newest, current_allocations(snapshot, awaited))


def versions_beside(snapshot: JobSnapshot) -> frozenset[int] | None:
    """Return the versions that run beside canaries of the stored version that are a person's to promote; None where it has none.

    Whatever became of their deployment: canaries that failed were not promoted either. Once Nomad has forgotten it, older allocations
    beside a version that never was stable tell the same.
    """
    job = snapshot.job
    if job is None or job.stopped or job.is_batch:
        return None
    awaited = as_found(job, Condition())
    beside = frozenset(one.version for one in older_allocations(snapshot, awaited))
    newest = next(reversed(deployments_of(snapshot, awaited)), None)
    if newest is None:
        return beside if beside and not job.stable and any(group.deploys for group in job.groups) else None
    groups = [numbers for numbers in newest.groups.values() if numbers.desired_canaries > 0 and not numbers.promoted]
    return beside if groups and not all(numbers.auto_promote for numbers in groups) else None


def runs_on(beside: Collection[int], snapshot: JobSnapshot) -> bool:
    """Whether what ran beside canaries still does, and nothing else that is no canary."""
    standing = {one.version for one in snapshot.allocations if one.desired == "run" and not one.is_over and not one.canary}
    return bool(standing) and standing <= set(beside)

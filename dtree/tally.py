"""How a job's groups stand against a condition: how many allocations are wanted and how many of them meet it. Pure.

Allocations of the awaited version are the truth. A deployment's numbers are a second opinion: its status `successful` comes too late to
wait for and, for a system job without a node, comes without an allocation. Nomad's `healthy` is remembered while a task restarts or has
failed, so an allocation counts only while it also runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from dtree import evidence
from dtree.conditions import Answer
from dtree.declaration import Condition, Probe
from dtree.evidence import Awaited
from dtree.model import AllocationState, CheckResult, DeploymentState, EvaluationState, GroupState, JobSnapshot, JobState, Placement

Goal = Literal["registered", "started", "healthy", "completed"]

_ENDED_DEPLOYMENT: Final = ("successful", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Tally:
    """A group's allocations against the condition: `good` of `want` meet it."""

    group: GroupState
    allocations: tuple[AllocationState, ...]
    want: int
    good: int

    @property
    def lacks(self) -> bool:
        """Whether fewer meet the condition than are wanted."""
        return self.good < self.want


@dataclass(frozen=True, slots=True)
class Case:
    """One judgement's facts, and what all its questions share.

    Attributes:
        evaluations: those since the registration, oldest first.
        checks: results by allocation ID, for those that were asked.
        answers: what came of asking others, by what was asked.
        deployment: newest of the awaited version, None for none (yet).
        allocations: those that stand for the awaited version, oldest first.
        unplaced: group -> why it could not be placed.
        tallies: one for each group, by name.
    """

    snapshot: JobSnapshot
    job: JobState
    awaited: Awaited
    evaluations: tuple[EvaluationState, ...]
    waited_s: float
    unplaceable_s: float
    placement_timeout_s: float
    checks: Mapping[str, Sequence[CheckResult]]
    answers: Mapping[Probe, Answer]
    deployment: DeploymentState | None = field(init=False)
    allocations: tuple[AllocationState, ...] = field(init=False)
    goal: Goal = field(init=False)
    unplaced: Mapping[str, Placement] = field(init=False)
    tallies: tuple[Tally, ...] = field(init=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "deployment", next(reversed(evidence.deployments_of(self.snapshot, self.awaited)), None))
        put(self, "allocations", evidence.current_allocations(self.snapshot, self.awaited))
        put(self, "goal", _goal(self.awaited.condition, self.job))
        put(self, "unplaced", evidence.unplaced(self.evaluations))
        put(self, "tallies", tuple(_tally(self, group) for group in sorted(self.job.groups, key=lambda group: group.name)))

    @property
    def per_node(self) -> bool:
        """Whether nodes, not counts, say how many allocations there are."""
        return self.job.type in ("system", "sysbatch")

    @property
    def is_deploying(self) -> bool:
        """Whether a deployment still decides about the allocations."""
        return self.deployment is not None and self.deployment.status not in _ENDED_DEPLOYMENT

    @property
    def is_evaluating(self) -> bool:
        """Nomad may still place or replace something: the registration's evaluation is not seen yet, or one is pending."""
        return (bool(self.awaited.eval_id) and not self.evaluations) or evidence.is_evaluating(self.evaluations)

    @property
    def lacking(self) -> tuple[Tally, ...]:
        """The groups that do not meet the condition yet."""
        return tuple(tally for tally in self.tallies if tally.lacks)

    @property
    def is_met(self) -> bool:
        """Whether the allocations are as far as the condition wants them; of a probe: whether the job has started."""
        return not self.lacking and (not self.per_node or _is_spread(self))


def _goal(condition: Condition, job: JobState) -> Goal:
    match condition.name:
        case "registered" | "started" | "healthy" | "completed" as name:
            return name
        case "ready" if condition.seconds is None:
            if job.is_parent:
                return "registered"
            return "completed" if job.is_batch else "healthy"
        case _:
            return "started"


def _is_spread(case: Case) -> bool:
    """Whether a system or sysbatch job is where it should be: its count says nothing, so only what Nomad has decided does.

    Filtering some nodes is what constraints are for. Placing nothing at all is not, and a full node is waited for.

    Source: seen with Nomad 1.11.3: without an eligible node the deployment is `successful` with 0 wanted, without a node in the
    datacenter there is neither deployment nor failed group.
    """
    if case.is_evaluating or evidence.older_allocations(case.snapshot, case.awaited):
        return False
    if any(item.nodes_exhausted or item.quota_exhausted for item in case.unplaced.values()):
        return False
    return bool(case.allocations) or not any(group.count for group in case.job.groups)


def _tally(case: Case, group: GroupState) -> Tally:
    own = tuple(alloc for alloc in case.allocations if alloc.group == group.name)
    want = group.count
    if case.per_node and want:
        # How many nodes there are is Nomad's to know: what it placed, or means to place while a deployment is under way.
        numbers = case.deployment.groups.get(group.name) if case.deployment is not None and case.is_deploying else None
        want = max(len(own), numbers.desired_total if numbers is not None else 0)
    return Tally(group, own, want, sum(is_good(case, group, alloc) for alloc in own))


def is_good(case: Case, group: GroupState, alloc: AllocationState) -> bool:
    """Whether an allocation meets the condition. A canary is none of the wanted ones until it is promoted."""
    if not _is_renewed(case, alloc):
        return False
    if case.goal == "completed":
        return alloc.client == "complete"
    if case.job.is_batch and alloc.client == "complete":
        return True
    if alloc.canary or not _runs(group, alloc):
        return False
    return case.goal == "started" or _is_healthy(case, group, alloc)


def _runs(group: GroupState, alloc: AllocationState) -> bool:
    """Whether the main tasks run. Nomad says so of an allocation whose prestart task alone does."""
    main = [task for task in alloc.tasks.values() if group.lifecycle.get(task.name, "main") in ("main", "prestart-sidecar")]
    return alloc.client == "running" and all(task.state == "running" or (task.state == "dead" and not task.failed) for task in main)


def _is_healthy(case: Case, group: GroupState, alloc: AllocationState) -> bool:
    """Whether a running allocation is healthy: Nomad's word while a deployment has it to give, its checks otherwise.

    Nomad gives none to what it places after the deployment ended (a reschedule, a replaced node), so None then means: not asked.
    Where an update in place meets the old deployment's verdict on its way, Nomad itself counts that for the new one, and so do we.

    Source: seen with Nomad 1.11.3, registering again 2.1 to 2.7 s after a first start with min_healthy_time 2 s.
    """
    is_renewed = alloc.id in case.awaited.renewed  # Nomad's word is from before
    if group.deploys and not is_renewed and alloc.healthy is not None and (alloc.healthy or _is_open(case) or _deployment_failed(case)):
        return alloc.healthy
    if group.deploys and _is_open(case):
        return False
    if not group.checked:
        return True
    results = case.checks.get(alloc.id, ())
    since_s = _started_s(alloc) if is_renewed else 0.0
    return bool(results) and all(check.status == "success" and check.time_s >= since_s for check in results)


def _is_renewed(case: Case, alloc: AllocationState) -> bool:
    """Whether an allocation that was restarted has been since, and one that is to be replaced makes way."""
    if alloc.id not in case.awaited.renewed:
        return True
    before = case.awaited.renewed[alloc.id]
    return before is not None and evidence.restarts_of(alloc) > before


def _started_s(alloc: AllocationState) -> float:
    """When the last task started. Times of checks are cut to whole seconds, so one of the same second may be from before."""
    return max((event.time_s for task in alloc.tasks.values() for event in task.events if event.type == "Started"), default=0.0)


def _is_open(case: Case) -> bool:
    """Whether a deployment of this version is still to give its verdict. Before it is seen there is none, which is not "needs none"."""
    if case.job.is_batch or case.job.stable:
        return False
    if case.deployment is not None:
        return case.deployment.status not in ("successful", "failed")
    # A complete evaluation names the deployment it made. System jobs have none before Nomad 1.11.
    own = next((item for item in case.evaluations if item.id == case.awaited.eval_id), None)
    return case.awaited.changed and not (own is not None and own.status == "complete" and not own.deployment_id)


def _deployment_failed(case: Case) -> bool:
    return case.deployment is not None and case.deployment.status == "failed"

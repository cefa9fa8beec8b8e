"""Builders of small snapshots: every argument has the value of a healthy service job of one group `g`, count 1, with a deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dtree.declaration import Condition, ConditionName
from dtree.evidence import Awaited
from dtree.model import (
    AllocationState,
    DeploymentGroup,
    DeploymentState,
    EvaluationState,
    GroupState,
    JobRef,
    JobSnapshot,
    JobState,
    Placement,
    TaskEvent,
    TaskState,
)

WINDOWS = Placement(nodes_evaluated=3, nodes_filtered=3, constraint_filtered={"${attr.kernel.name} = windows": 2, "missing drivers": 1})
NO_MEMORY = Placement(nodes_evaluated=3, nodes_exhausted=2, nodes_filtered=1, dimension_exhausted={"memory": 2}, class_filtered={"edge": 1})


def group(
    name: str = "g",
    *,
    count: int = 1,
    deploys: bool = True,
    checked: bool = False,
    lifecycle: Mapping[str, str] | None = None,
) -> GroupState:
    return GroupState(name, count, deploys, lifecycle=lifecycle or {}, checked=checked)


def job(
    *groups: GroupState,
    type_: str = "service",
    version: int = 3,
    shape: str = "blue",
    status: str = "running",
    stopped: bool = False,
    stable: bool = False,
    periodic: bool = False,
    parameterized: bool = False,
    create_index: int = 1,
) -> JobState:
    return JobState(
        version=version,
        modify_index=10,
        status=status,
        stopped=stopped,
        type=type_,
        periodic=periodic,
        parameterized=parameterized,
        stable=stable,
        shape=shape,
        groups=groups or (group(),),
        create_index=create_index,
    )


def event(type_: str, message: str = "", **details: str) -> TaskEvent:
    return TaskEvent(type_, message, 0.0, details)


def task(
    name: str = "t",
    *,
    state: str = "running",
    failed: bool = False,
    restarts: int = 0,
    exit_code: int | None = None,
    signal: int | None = None,
    oom_killed: bool = False,
    events: Iterable[TaskEvent] = (),
) -> TaskState:
    return TaskState(name, state, failed, restarts, exit_code, signal, oom_killed, tuple(events))


def failed_task(name: str = "t", *, exit_code: int = 1, restarts: int = 0, events: Iterable[TaskEvent] = ()) -> TaskState:
    return task(name, state="dead", failed=True, exit_code=exit_code, restarts=restarts, events=events)


def alloc(
    identity: str = "a1",
    *tasks: TaskState,
    name: str = "",
    group_name: str = "g",
    node: str = "node1",
    version: int = 3,
    desired: str = "run",
    client: str = "running",
    healthy: bool | None = None,
    canary: bool = False,
    next_allocation: str = "",
    followup_eval: str = "",
    create_index: int = 20,
    client_description: str = "",
) -> AllocationState:
    return AllocationState(
        id=identity,
        name=name or f"job.{group_name}[{identity}]",
        group=group_name,
        node=node,
        version=version,
        desired=desired,
        client=client,
        healthy=healthy,
        canary=canary,
        next_allocation=next_allocation,
        followup_eval=followup_eval,
        create_index=create_index,
        modified_s=0.0,
        client_description=client_description,
        tasks={item.name: item for item in tasks},
    )


def failed_alloc(identity: str = "a1", *tasks: TaskState, **settings: object) -> AllocationState:
    return alloc(identity, *(tasks or (failed_task(),)), client="failed", **settings)  # type: ignore[arg-type]  # passed through


def evaluation(
    identity: str = "e1",
    *,
    status: str = "complete",
    triggered_by: str = "job-register",
    description: str = "",
    create_index: int = 11,
    failed: Mapping[str, Placement] | None = None,
    deployment_id: str = "d1",
    wait_until_s: float | None = None,
) -> EvaluationState:
    return EvaluationState(
        identity,
        status,
        triggered_by,
        description,
        10,
        create_index,
        failed or {},
        deployment_id=deployment_id,
        wait_until_s=wait_until_s,
    )


def deployment_group(
    *, total: int = 1, canaries: int = 0, healthy: int = 0, promoted: bool = False, auto_promote: bool = False
) -> DeploymentGroup:
    return DeploymentGroup(total, canaries, total, canaries, healthy, 0, promoted, auto_promote, auto_revert=False)


def deployment(
    identity: str = "d1",
    *,
    version: int = 3,
    status: str = "running",
    description: str = "Deployment is running",
    create_index: int = 12,
    groups: Mapping[str, DeploymentGroup] | None = None,
) -> DeploymentState:
    return DeploymentState(identity, version, status, description, create_index, groups or {"g": deployment_group()})


def snapshot(
    stored: JobState | None,
    *allocations: AllocationState,
    deployments: Iterable[DeploymentState] = (),
    evaluations: Iterable[EvaluationState] = (),
    namespace: str = "default",
) -> JobSnapshot:
    return JobSnapshot(JobRef(namespace, "job"), stored, allocations, tuple(deployments), tuple(evaluations))


def awaited(
    name: ConditionName = "ready",
    *,
    version: int = 3,
    seconds: float | None = None,
    changed: bool = True,
    eval_id: str = "",
    shape: str = "blue",
    completed: bool = False,
) -> Awaited:
    return Awaited(version, Condition(name, seconds), changed=changed, eval_id=eval_id, shape=shape, completed=completed)

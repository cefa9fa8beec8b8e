"""Nomad's JSON -> dtree.model. The only place that knows Nomad's field names and nanoseconds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from dtree.access.refusals import reasons
from dtree.model import (
    BOOKKEEPING,
    Address,
    AllocationState,
    CheckResult,
    DeploymentGroup,
    DeploymentState,
    DryRun,
    EvaluationState,
    GroupState,
    JobState,
    Placement,
    TaskEvent,
    TaskState,
)

Json = Mapping[str, Any]

TABLES: Final = ("allocations", "deployments", "evaluations")
"""The list endpoints, and the fields of JobSnapshot, that tell how a job does."""

_UPDATES: Final = {
    "Place": "place",
    "Stop": "stop",
    "Migrate": "migrate",
    "Canary": "canary",
    "InPlaceUpdate": "in_place",
    "DestructiveUpdate": "destructive",
    "Ignore": "ignore",
    "RescheduleNow": "reschedule_now",
    "RescheduleLater": "reschedule_later",
}
_MAIN: Final = "main"

_CONSUL_ID: Final = re.compile("_nomad-task-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-")


def job(raw: Json) -> JobState:
    """Decode `GET /v1/job/:id`."""
    return JobState(
        version=raw["Version"],
        modify_index=raw["JobModifyIndex"],
        status=raw["Status"],
        stopped=bool(raw["Stop"]),
        type=raw["Type"],
        periodic=raw.get("Periodic") is not None,
        parameterized=raw.get("ParameterizedJob") is not None and not raw.get("Dispatched"),
        stable=bool(raw.get("Stable")),
        shape=shape(raw),
        groups=tuple(_group(group) for group in raw.get("TaskGroups") or ()),
        create_index=raw["CreateIndex"],
    )


def shape(raw: Json) -> str:
    """Digest of a stored job without its counts and bookkeeping, so that an autoscaler's new version has the shape of the old one."""
    kept: dict[str, Any] = {key: value for key, value in raw.items() if key not in BOOKKEEPING}
    kept["TaskGroups"] = [{key: value for key, value in group.items() if key != "Count"} for group in raw.get("TaskGroups") or ()]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def rows(table: str, raws: Iterable[Json]) -> tuple[Any, ...]:
    """Decode a list of one of TABLES, oldest first, so that equal states are equal values."""
    decoder = {"allocations": allocation, "deployments": deployment, "evaluations": evaluation}[table]
    decoded: list[Any] = [decoder(raw) for raw in raws]
    return tuple(sorted(decoded, key=lambda item: (item.create_index, item.id)))


def allocation(raw: Json) -> AllocationState:
    """Decode one element of `GET /v1/allocations`."""
    status = raw.get("DeploymentStatus") or {}
    return AllocationState(
        id=raw["ID"],
        name=raw["Name"],
        group=raw["TaskGroup"],
        node=raw.get("NodeName") or raw["NodeID"][:8],
        version=raw["JobVersion"],
        desired=raw["DesiredStatus"],
        client=raw["ClientStatus"],
        healthy=status.get("Healthy"),
        canary=bool(status.get("Canary")),
        next_allocation=raw.get("NextAllocation") or "",
        followup_eval=raw.get("FollowupEvalID") or "",
        create_index=raw["CreateIndex"],
        modified_s=_seconds(raw["ModifyTime"]),
        client_description=raw.get("ClientDescription") or "",
        tasks={name: _task(name, state) for name, state in sorted((raw.get("TaskStates") or {}).items())},
    )


def deployment(raw: Json) -> DeploymentState:
    """Decode one element of `GET /v1/deployments`."""
    return DeploymentState(
        id=raw["ID"],
        version=raw["JobVersion"],
        status=raw["Status"],
        description=raw.get("StatusDescription") or "",
        create_index=raw["CreateIndex"],
        groups={name: _deployment_group(group) for name, group in sorted((raw.get("TaskGroups") or {}).items())},
    )


def evaluation(raw: Json) -> EvaluationState:
    """Decode one element of `GET /v1/evaluations`."""
    queued = raw.get("QueuedAllocations") or {}
    return EvaluationState(
        id=raw["ID"],
        status=raw["Status"],
        triggered_by=raw["TriggeredBy"],
        description=raw.get("StatusDescription") or "",
        job_modify_index=raw.get("JobModifyIndex") or 0,
        create_index=raw["CreateIndex"],
        failed_groups=_placements(raw.get("FailedTGAllocs"), queued),
        blocked_eval=raw.get("BlockedEval") or "",
        deployment_id=raw.get("DeploymentID") or "",
        wait_until_s=_unix_s(raw.get("WaitUntil")),
    )


def warnings(raw: Json) -> str:
    """Decode what Nomad warns of in an answer that it accepts a job with; "" for nothing."""
    return "; ".join(reasons(raw.get("Warnings") or ""))


def dry_run(raw: Json) -> DryRun:
    """Decode the answer of `POST /v1/job/:id/plan` with `Diff: true`."""
    diff = raw.get("Diff") or {}
    desired = (raw.get("Annotations") or {}).get("DesiredTGUpdates") or {}
    return DryRun(
        diff=diff["Type"] if diff.get("Type") and _says_more(diff) else "None",
        updates={
            group: {ours: numbers[theirs] for theirs, ours in _UPDATES.items() if numbers.get(theirs)}
            for group, numbers in sorted(desired.items())
        },
        job_modify_index=raw.get("JobModifyIndex") or 0,
        changed=tuple(dict.fromkeys(_changed(diff))),
        warnings=warnings(raw),
        failed_groups=_placements(raw.get("FailedTGAllocs"), {}),
    )


def _says_more(diff: Json) -> bool:
    """Tell a change from none that Nomad calls one.

    A group's scaling policy counts as edited until it is registered a second time, because Nomad compares indexes that it then leaves out
    of what it lists. Any other edit without a word on what it is stays one: better a needless update than a lost one.
    """
    if diff["Type"] != "Edited":
        return bool(diff["Type"] != "None")
    if any(field["Type"] != "None" for field in diff.get("Fields") or ()):
        return True
    parts = [part for table in ("Objects", "TaskGroups", "Tasks") for part in diff.get(table) or () if part["Type"] != "None"]
    return any(map(_says_more, parts)) if parts else diff.get("Name") != "Scaling"


def checks(raw: Json | None) -> tuple[CheckResult, ...]:
    """Decode `GET /v1/client/allocation/:id/checks`."""
    results = [
        CheckResult(
            name=check.get("Check") or "",
            status=check.get("Status") or "",
            output=check.get("Output") or "",
            task=check.get("Task") or "",
            service=check.get("Service") or "",
            time_s=float(check.get("Timestamp") or 0),
        )
        for check in (raw or {}).values()
    ]
    return tuple(sorted(results, key=lambda check: (check.name, check.task)))


def consul_instances(raws: Iterable[Json]) -> dict[str, tuple[CheckResult, ...]]:
    """Decode `GET /v1/health/service/:service` of Consul: by ID of the allocation that registered an instance; others are left out.

    Source: seen with Nomad 1.11.3: a service's ID is `_nomad-task-<allocation>-<group or task>-<service>-<port>`.
    """
    found: dict[str, tuple[CheckResult, ...]] = {}
    for raw in raws:
        service = raw["Service"]
        match = _CONSUL_ID.match(service["ID"])
        if match is not None:
            results = [(check["Name"], check["Status"].replace("passing", "success"), check.get("Output") or "") for check in raw["Checks"]]
            checks = tuple(CheckResult(*result, service=service["Service"]) for result in sorted(results))
            found[match[1]] = (*found.get(match[1], ()), *checks)
    return found


def addresses(raw: Json) -> tuple[Address, ...]:
    """Decode the ports of `GET /v1/allocation/:id`: group networks first, then the older task networks."""
    resources = raw.get("AllocatedResources") or {}
    shared = resources.get("Shared") or {}
    found = {Address(port["Label"], port.get("HostIP") or "", port["Value"]) for port in shared.get("Ports") or () if port.get("Value")}
    for task in (resources.get("Tasks") or {}).values():
        for network in task.get("Networks") or ():
            ports = (network.get("ReservedPorts") or []) + (network.get("DynamicPorts") or [])
            found.update(Address(port["Label"], network.get("IP") or "", port["Value"]) for port in ports if port.get("Value"))
    return tuple(sorted(found, key=lambda address: (address.label, address.host, address.port)))


def _seconds(nanoseconds: int) -> float:
    return nanoseconds / 1e9


def _unix_s(stamp: str | None) -> float | None:
    """Go's zero time, year 1, means none."""
    return None if not stamp or stamp.startswith("0001-") else datetime.fromisoformat(stamp).timestamp()


def _group(raw: Json) -> GroupState:
    update = raw.get("Update") or {}
    tasks = raw.get("Tasks") or ()
    stops = [_seconds(task.get("KillTimeout") or 0) + _seconds(task.get("ShutdownDelay") or 0) for task in tasks]
    return GroupState(
        name=raw["Name"],
        count=raw["Count"],
        deploys=(update.get("MaxParallel") or 0) > 0,
        progress_deadline_s=_seconds(update["ProgressDeadline"]) if update.get("ProgressDeadline") else None,
        stop_timeout_s=max(stops, default=0.0) + _seconds(raw.get("ShutdownDelay") or 0),
        lifecycle={task["Name"]: _lifecycle(task.get("Lifecycle")) for task in tasks},
        max_parallel=max(update.get("MaxParallel") or 1, 1),
        min_healthy_s=_seconds(update.get("MinHealthyTime") or 0),
        checked=any(_is_checked(service) for part in (raw, *tasks) for service in part.get("Services") or ()),
    )


def _is_checked(service: Json) -> bool:
    """Nomad answers for the checks of its own services only; Consul's are Consul's to ask."""
    return service.get("Provider") == "nomad" and bool(service.get("Checks"))


def _lifecycle(raw: Json | None) -> str:
    if not raw or not raw.get("Hook"):
        return _MAIN
    return str(raw["Hook"]) + ("-sidecar" if raw.get("Sidecar") else "")


def _task(name: str, raw: Json) -> TaskState:
    events = tuple(_task_event(event) for event in raw.get("Events") or ())
    ends = [event for event in raw.get("Events") or () if event["Type"] == "Terminated"]
    last = ends[-1] if ends else None
    return TaskState(
        name=name,
        state=raw.get("State") or "pending",
        failed=bool(raw.get("Failed")),
        restarts=raw.get("Restarts") or 0,
        exit_code=last["ExitCode"] if last else None,
        signal=(last["Signal"] or None) if last else None,
        oom_killed=bool(last) and str((last.get("Details") or {}).get("oom_killed")) == "true" if last else False,
        events=events,
    )


def _task_event(raw: Json) -> TaskEvent:
    return TaskEvent(
        type=raw["Type"],
        message=raw.get("DisplayMessage") or raw.get("Message") or "",
        time_s=_seconds(raw["Time"]),
        details={key: str(value) for key, value in sorted((raw.get("Details") or {}).items())},
    )


def _deployment_group(raw: Json) -> DeploymentGroup:
    return DeploymentGroup(
        desired_total=raw["DesiredTotal"],
        desired_canaries=raw["DesiredCanaries"],
        placed=raw["PlacedAllocs"],
        placed_canaries=len(raw.get("PlacedCanaries") or ()),
        healthy=raw["HealthyAllocs"],
        unhealthy=raw["UnhealthyAllocs"],
        promoted=raw["Promoted"],
        auto_promote=raw["AutoPromote"],
        auto_revert=raw["AutoRevert"],
    )


def _placements(raw: Json | None, queued: Mapping[str, int]) -> dict[str, Placement]:
    return {group: _placement(metric, queued.get(group, 0)) for group, metric in sorted((raw or {}).items())}


def _placement(raw: Json, queued: int) -> Placement:
    return Placement(
        nodes_evaluated=raw.get("NodesEvaluated") or 0,
        nodes_filtered=raw.get("NodesFiltered") or 0,
        nodes_exhausted=raw.get("NodesExhausted") or 0,
        nodes_in_pool=raw.get("NodesInPool") or 0,
        nodes_available=raw.get("NodesAvailable") or {},
        constraint_filtered=raw.get("ConstraintFiltered") or {},
        class_filtered=raw.get("ClassFiltered") or {},
        dimension_exhausted=raw.get("DimensionExhausted") or {},
        class_exhausted=raw.get("ClassExhausted") or {},
        quota_exhausted=tuple(raw.get("QuotaExhausted") or ()),
        unplaced=queued or (raw.get("CoalescedFailures") or 0) + 1,
    )


def _changed(diff: Json, prefix: str = "") -> Iterable[str]:
    """Walk a job diff and name what differs, as `group web.task nginx.config.image`."""
    for value in diff.get("Fields") or ():
        if value.get("Type") != "None":
            yield prefix + value["Name"]
    for value in diff.get("Objects") or ():
        if value.get("Type") != "None":
            yield from _changed(value, f"{prefix}{value['Name']}.")
    for value in diff.get("TaskGroups") or ():
        if value.get("Type") != "None":
            yield from _part(value, f"{prefix}group {value['Name']}")
    for value in diff.get("Tasks") or ():
        if value.get("Type") != "None":
            yield from _part(value, f"{prefix}task {value['Name']}")


def _part(diff: Json, name: str) -> Iterable[str]:
    if diff.get("Type") in ("Added", "Deleted"):
        yield f"{name} {diff['Type'].lower()}"
    else:
        yield from _changed(diff, f"{name}.")

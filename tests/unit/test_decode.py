"""Nomad's JSON, as its API gives it, becomes our model."""

from __future__ import annotations

from typing import Any

import pytest

from dtree.cluster import decode
from dtree.model import Address, CheckResult, Placement

SECOND = 1_000_000_000

JOB: dict[str, Any] = {
    "ID": "web",
    "Version": 3,
    "JobModifyIndex": 44,
    "ModifyIndex": 45,
    "CreateIndex": 12,
    "Status": "running",
    "Stop": False,
    "Stable": True,
    "Type": "service",
    "Periodic": None,
    "ParameterizedJob": None,
    "SubmitTime": 1,
    "TaskGroups": [
        {
            "Name": "main",
            "Count": 2,
            "Update": {"MaxParallel": 1, "ProgressDeadline": 600 * SECOND},
            "ShutdownDelay": 2 * SECOND,
            "Services": [{"Provider": "nomad", "Checks": [{"Name": "alive"}]}],
            "Tasks": [
                {"Name": "init", "KillTimeout": 5 * SECOND, "Lifecycle": {"Hook": "prestart", "Sidecar": False}},
                {"Name": "proxy", "KillTimeout": 5 * SECOND, "Lifecycle": {"Hook": "prestart", "Sidecar": True}},
                {"Name": "web", "KillTimeout": 30 * SECOND, "ShutdownDelay": 3 * SECOND},
            ],
        }
    ],
}

TERMINATED = {
    "Type": "Terminated",
    "Time": 2 * SECOND,
    "DisplayMessage": 'Exit Code: 137, Exit Message: "OOM Killed"',
    "ExitCode": 137,
    "Signal": 9,
    "Details": {"exit_code": "137", "oom_killed": "true", "signal": "9"},
}

ALLOCATION: dict[str, Any] = {
    "ID": "a1",
    "Name": "web.main[0]",
    "Namespace": "default",
    "JobID": "web",
    "TaskGroup": "main",
    "NodeID": "0123456789",
    "NodeName": "node-1",
    "JobVersion": 3,
    "DesiredStatus": "run",
    "ClientStatus": "failed",
    "ClientDescription": "Failed tasks",
    "DeploymentID": "d1",
    "DeploymentStatus": {"Healthy": False, "Canary": True},
    "NextAllocation": "",
    "FollowupEvalID": "e2",
    "CreateIndex": 20,
    "ModifyTime": 1_700_000_000 * SECOND,
    "TaskStates": {
        "web": {
            "State": "dead",
            "Failed": True,
            "Restarts": 1,
            "Events": [{"Type": "Started", "Time": SECOND, "DisplayMessage": "Task started by client", "Details": {}}, TERMINATED],
        }
    },
}


def test_a_job_is_decoded_with_seconds_instead_of_nanoseconds() -> None:
    job = decode.job(JOB)
    assert (job.version, job.modify_index, job.create_index, job.stable, job.is_parent) == (3, 44, 12, True, False)
    (group,) = job.groups
    assert (group.name, group.count, group.deploys, group.progress_deadline_s, group.checked) == ("main", 2, True, 600.0, True)
    assert group.stop_timeout_s == 30.0 + 3.0 + 2.0
    assert group.lifecycle == {"init": "prestart", "proxy": "prestart-sidecar", "web": "main"}


def test_a_job_without_the_optional_blocks_is_decoded() -> None:
    bare = {**JOB, "TaskGroups": None}
    assert decode.job(bare).groups == ()
    group = {"Name": "main", "Count": 0, "Update": None, "Services": None, "Tasks": None}
    (decoded,) = decode.job({**JOB, "TaskGroups": [group]}).groups
    assert (decoded.deploys, decoded.progress_deadline_s, decoded.stop_timeout_s, decoded.checked) == (False, None, 0.0, False)


def test_checks_of_consul_are_not_nomads_to_answer_for() -> None:
    group = {**JOB["TaskGroups"][0], "Services": [{"Provider": "consul", "Checks": [{"Name": "alive"}]}]}
    assert decode.job({**JOB, "TaskGroups": [group]}).groups[0].checked is False


@pytest.mark.parametrize(
    ("more", "periodic", "parameterized"),
    [
        ({"Periodic": {"Spec": "@daily"}}, True, False),
        ({"ParameterizedJob": {"Payload": ""}}, False, True),
        ({"ParameterizedJob": {"Payload": ""}, "Dispatched": True}, False, False),
    ],
)
def test_parents_are_told_from_their_children(more: dict[str, Any], *, periodic: bool, parameterized: bool) -> None:
    job = decode.job({**JOB, **more})
    assert (job.periodic, job.parameterized) == (periodic, parameterized)


def test_the_shape_stays_when_only_counts_and_bookkeeping_change() -> None:
    scaled = {**JOB, "Version": 4, "JobModifyIndex": 99, "TaskGroups": [{**JOB["TaskGroups"][0], "Count": 7}]}
    assert decode.shape(scaled) == decode.shape(JOB)
    assert decode.shape({**JOB, "Priority": 70}) != decode.shape(JOB)


def test_an_allocation_is_decoded_with_how_its_task_ended() -> None:
    allocation = decode.allocation(ALLOCATION)
    assert (allocation.id, allocation.node, allocation.version, allocation.client) == ("a1", "node-1", 3, "failed")
    assert (allocation.healthy, allocation.canary, allocation.followup_eval, allocation.modified_s) == (False, True, "e2", 1_700_000_000.0)
    task = allocation.tasks["web"]
    assert (task.failed, task.restarts, task.exit_code, task.signal, task.oom_killed) == (True, 1, 137, 9, True)
    assert [event.type for event in task.events] == ["Started", "Terminated"]
    assert task.events[1].time_s == 2.0


@pytest.mark.parametrize("details", [{"oom_killed": "false"}, {}, None])
def test_a_task_that_was_killed_otherwise_was_not_out_of_memory(details: dict[str, str] | None) -> None:
    task = {**ALLOCATION["TaskStates"]["web"], "Events": [{**TERMINATED, "Details": details}]}
    assert decode.allocation({**ALLOCATION, "TaskStates": {"web": task}}).tasks["web"].oom_killed is False


def test_the_last_end_counts_where_a_task_was_restarted() -> None:
    ends = [TERMINATED, {**TERMINATED, "ExitCode": 3, "Signal": 0, "Details": {"oom_killed": "false"}}]
    task = decode.allocation({**ALLOCATION, "TaskStates": {"web": {**ALLOCATION["TaskStates"]["web"], "Events": ends}}}).tasks["web"]
    assert (task.exit_code, task.signal, task.oom_killed) == (3, None, False)


def test_an_allocation_that_no_client_has_seen_yet_is_decoded() -> None:
    fresh = {**ALLOCATION, "NodeName": "", "DeploymentStatus": None, "TaskStates": None, "DeploymentID": None, "FollowupEvalID": None}
    allocation = decode.allocation(fresh)
    assert (allocation.node, allocation.healthy, allocation.canary, allocation.tasks) == ("01234567", None, False, {})
    assert allocation.followup_eval == ""


def test_lists_come_oldest_first_so_that_equal_states_are_equal() -> None:
    raws = [{**ALLOCATION, "ID": name, "CreateIndex": index} for name, index in (("c", 30), ("b", 20), ("a", 20))]
    assert [item.id for item in decode.rows("allocations", raws)] == ["a", "b", "c"]
    assert decode.rows("allocations", raws) == decode.rows("allocations", raws[::-1])


def test_a_failed_placement_is_decoded() -> None:
    metric = {
        "NodesEvaluated": 3,
        "NodesFiltered": 2,
        "NodesExhausted": 1,
        "NodesInPool": 3,
        "NodesAvailable": {"dc1": 3},
        "ConstraintFiltered": {"${attr.kernel.name} = windows": 2},
        "DimensionExhausted": {"memory": 1},
        "ClassFiltered": None,
        "ClassExhausted": None,
        "QuotaExhausted": None,
        "CoalescedFailures": 1,
    }
    raw = {
        "ID": "e1",
        "Status": "complete",
        "TriggeredBy": "job-register",
        "CreateIndex": 5,
        "QueuedAllocations": {"main": 0},
        "FailedTGAllocs": {"main": metric},
        "BlockedEval": "e2",
        "WaitUntil": "0001-01-01T00:00:00Z",
    }
    evaluation = decode.evaluation(raw)
    expected = Placement(
        nodes_evaluated=3,
        nodes_filtered=2,
        nodes_exhausted=1,
        nodes_in_pool=3,
        nodes_available={"dc1": 3},
        constraint_filtered={"${attr.kernel.name} = windows": 2},
        dimension_exhausted={"memory": 1},
        unplaced=2,
    )
    assert evaluation.failed_groups == {"main": expected}
    assert (evaluation.blocked_eval, evaluation.wait_until_s) == ("e2", None)
    assert decode.evaluation({**raw, "QueuedAllocations": {"main": 4}}).failed_groups["main"].unplaced == 4


def test_an_evaluation_that_waits_tells_until_when() -> None:
    raw = {"ID": "e", "Status": "pending", "TriggeredBy": "alloc-failure", "CreateIndex": 1, "WaitUntil": "2026-11-21T08:00:00.5Z"}
    assert decode.evaluation(raw).wait_until_s == 1795248000.5


def test_a_deployment_is_decoded() -> None:
    group = {
        "DesiredTotal": 2,
        "DesiredCanaries": 1,
        "PlacedAllocs": 2,
        "PlacedCanaries": ["a1"],
        "HealthyAllocs": 1,
        "UnhealthyAllocs": 0,
        "Promoted": False,
        "AutoPromote": False,
        "AutoRevert": True,
    }
    raw = {"ID": "d1", "JobVersion": 3, "Status": "running", "StatusDescription": None, "CreateIndex": 9, "TaskGroups": {"main": group}}
    decoded = decode.deployment(raw)
    assert (decoded.id, decoded.version, decoded.description) == ("d1", 3, "")
    assert (decoded.groups["main"].placed_canaries, decoded.groups["main"].healthy, decoded.groups["main"].auto_revert) == (1, 1, True)
    assert decode.deployment({**raw, "TaskGroups": {"main": {**group, "PlacedCanaries": None}}}).groups["main"].placed_canaries == 0


def test_a_dry_run_names_what_differs_and_what_becomes_of_it() -> None:
    field = {"Type": "Edited", "Name": "image", "Old": "a", "New": "b"}
    task = {"Type": "Edited", "Name": "web", "Objects": [{"Type": "Edited", "Name": "Config", "Fields": [field]}]}
    raw = {
        "Diff": {
            "Type": "Edited",
            "Fields": [{"Type": "None", "Name": "Region"}, {"Type": "Edited", "Name": "Priority"}],
            "TaskGroups": [{"Type": "Edited", "Name": "main", "Tasks": [task]}, {"Type": "Added", "Name": "extra"}],
        },
        "Annotations": {"DesiredTGUpdates": {"main": {"DestructiveUpdate": 2, "Ignore": 0}}},
        "JobModifyIndex": 44,
        "FailedTGAllocs": None,
        "Warnings": "",
    }
    decoded = decode.dry_run(raw)
    assert (decoded.diff, decoded.job_modify_index, decoded.failed_groups) == ("Edited", 44, {})
    assert decoded.updates == {"main": {"destructive": 2}}
    assert decoded.changed == ("Priority", "group main.task web.Config.image", "group extra added")


def test_an_empty_dry_run_is_no_difference() -> None:
    decoded = decode.dry_run({"Diff": None, "Annotations": None})
    assert (decoded.diff, decoded.updates, decoded.changed) == ("None", {}, ())


def test_checks_are_sorted_by_name() -> None:
    raw = {
        "id2": {"Check": "ready", "Status": "success", "Output": "ok", "Task": ""},
        "id1": {"Check": "alive", "Status": "failure", "Output": "refused", "Task": "web"},
    }
    assert decode.checks(raw) == (CheckResult("alive", "failure", "refused", "web"), CheckResult("ready", "success", "ok", ""))
    assert decode.checks(None) == ()


def test_addresses_come_from_group_and_task_networks_once_each() -> None:
    port = {"Label": "http", "Value": 20000, "HostIP": "10.0.0.1"}
    network = {"IP": "10.0.0.1", "DynamicPorts": [{"Label": "http", "Value": 20000}], "ReservedPorts": [{"Label": "ssh", "Value": 22}]}
    raw = {"AllocatedResources": {"Shared": {"Ports": [port, {"Label": "off", "Value": 0}]}, "Tasks": {"web": {"Networks": [network]}}}}
    assert decode.addresses(raw) == (Address("http", "10.0.0.1", 20000), Address("ssh", "10.0.0.1", 22))
    assert decode.addresses({}) == ()

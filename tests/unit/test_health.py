from __future__ import annotations

import dataclasses
from typing import cast

import pytest

from dtree.canaries import Canaries
from dtree.conditions import Answer
from dtree.declaration import Condition, ConditionName, LogProbe, Probe, ServiceProbe
from dtree.evidence import Awaited, is_evaluating
from dtree.health import Broken, Ready, Verdict, Waiting, has_failed, is_confirmed, is_finished, judge, stopped
from dtree.model import CheckResult, JobSnapshot, JobState, Placement
from tests.fakes.snapshots import (
    NO_MEMORY,
    WINDOWS,
    alloc,
    awaited,
    deployment,
    deployment_group,
    evaluation,
    event,
    failed_alloc,
    failed_task,
    group,
    job,
    snapshot,
    task,
)

SUCCESSFUL = deployment(status="successful", description="Deployment completed successfully")
FAILED = deployment(status="failed", description="Failed due to progress deadline")
DONE = evaluation()
SERVICE = job()
PLAIN = job(group(deploys=False))
BATCH = job(type_="batch")
SYSTEM = job(type_="system")
SYSBATCH = job(type_="sysbatch")
PENDING = evaluation(status="pending")


def about(seconds: float) -> float:
    return cast("float", pytest.approx(seconds))


def look(
    stored: JobSnapshot,
    what: Awaited | None = None,
    *,
    waited_s: float = 1.0,
    unplaceable_s: float = 0.0,
    checks: dict[str, tuple[CheckResult, ...]] | None = None,
) -> Verdict:
    return judge(stored, what or awaited(), waited_s=waited_s, unplaceable_s=unplaceable_s, placement_timeout_s=15.0, checks=checks)


# -- conditions by kind of job -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (snapshot(SERVICE, alloc(healthy=True)), Ready("1 of 1 allocation healthy")),
        (snapshot(SERVICE, alloc(healthy=None), deployments=[deployment()]), Waiting("0 of 1 allocation healthy")),
        (snapshot(SERVICE, alloc(healthy=False), deployments=[deployment()]), Waiting("0 of 1 allocation healthy")),
        (snapshot(PLAIN, alloc()), Ready("1 of 1 allocation healthy")),
        (snapshot(PLAIN, alloc(client="pending")), Waiting("0 of 1 allocation healthy")),
        (snapshot(SYSTEM, alloc(healthy=True), evaluations=[DONE]), Ready("1 of 1 allocation healthy")),
        (snapshot(BATCH, alloc(client="complete")), Ready("1 of 1 allocation completed")),
        (snapshot(BATCH, alloc()), Waiting("0 of 1 allocation completed")),
        (snapshot(SYSBATCH, alloc(client="complete"), evaluations=[DONE]), Ready("1 of 1 allocation completed")),
        (snapshot(job(type_="batch", periodic=True)), Ready("registered: periodic job")),
        (snapshot(job(type_="batch", parameterized=True)), Ready("registered: parameterized job")),
    ],
)
def test_ready_means_healthy_or_completed_or_registered_by_the_kind_of_job(stored: JobSnapshot, expected: Verdict) -> None:
    assert look(stored) == expected


@pytest.mark.parametrize("stored", [SERVICE, SYSTEM, BATCH, SYSBATCH, job(periodic=True)])
def test_registered_is_met_by_every_job_that_nomad_has(stored: JobState) -> None:
    assert isinstance(look(snapshot(stored), awaited("registered")), Ready)


def test_registered_is_met_even_if_the_deployment_fails_afterwards() -> None:
    assert look(snapshot(SERVICE, deployments=[FAILED]), awaited("registered")) == Ready("registered")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (snapshot(SERVICE, alloc(), deployments=[deployment()]), Ready("1 of 1 allocation running")),
        (snapshot(SERVICE, alloc(client="pending")), Waiting("0 of 1 allocation running")),
        (snapshot(BATCH, alloc()), Ready("1 of 1 allocation running")),
        (snapshot(BATCH, alloc(client="complete")), Ready("1 of 1 allocation completed")),
        (snapshot(job(parameterized=True)), Ready("registered: parameterized job")),
    ],
)
def test_started_is_met_by_running_or_by_having_completed(stored: JobSnapshot, expected: Verdict) -> None:
    assert look(stored, awaited("started")) == expected


@pytest.mark.parametrize("type_", ["service", "system"])
def test_completed_is_refused_at_once_for_a_job_that_runs_on(type_: str) -> None:
    verdict = look(snapshot(job(type_=type_), alloc(healthy=True)), awaited("completed"))
    assert verdict == Broken(
        "failed",
        f"a {type_} job is meant to run on, so 'completed' cannot be waited for",
        hint="wait for 'healthy', or make it a batch job",
    )


@pytest.mark.parametrize("name", ["healthy", "completed"])
def test_a_parent_is_refused_a_condition_that_only_its_children_can_meet(name: ConditionName) -> None:
    verdict = look(snapshot(job(type_="batch", periodic=True)), awaited(name))
    reason = f"a periodic job runs only through its children, so '{name}' cannot be waited for"
    assert verdict == Broken("failed", reason, hint="wait for 'registered'")


def test_a_batch_job_counts_as_healthy_while_it_runs_and_after_it_completed() -> None:
    assert look(snapshot(BATCH, alloc()), awaited("healthy")) == Ready("1 of 1 allocation healthy")
    assert look(snapshot(BATCH, alloc(client="complete")), awaited("healthy")) == Ready("1 of 1 allocation completed")


# -- seconds -----------------------------------------------------------------------------------------------------------


def test_seconds_are_waited_from_the_registration_on() -> None:
    running = snapshot(SERVICE, alloc())
    early = look(running, awaited(seconds=10), waited_s=4.0)
    assert early == Waiting("runs; 10 s after its start are waited for", again_in_s=about(6.001))
    assert look(running, awaited(seconds=10), waited_s=10.0) == Ready("1 of 1 allocation running")


def test_seconds_alone_do_not_make_a_job_ready_that_does_not_run() -> None:
    assert look(snapshot(SERVICE, alloc(client="pending")), awaited(seconds=1), waited_s=60) == Waiting("0 of 1 allocation running")


@pytest.mark.parametrize("stored", [snapshot(SERVICE, alloc()), snapshot(BATCH, alloc(client="complete"))])
def test_seconds_are_not_waited_for_a_job_that_was_found_unchanged(stored: JobSnapshot) -> None:
    assert isinstance(look(stored, awaited(seconds=60, changed=False), waited_s=0.0), Ready)


def test_a_job_that_fails_within_its_seconds_is_a_failure() -> None:
    verdict = look(snapshot(PLAIN, failed_alloc(), evaluations=[DONE]), awaited(seconds=10))
    assert verdict == Broken("failed", "1 allocation failed and will not be run again; task t: exit code 1", ("a1",))


def test_a_parent_waits_out_its_seconds_too() -> None:
    verdict = look(snapshot(job(periodic=True)), awaited(seconds=3), waited_s=1.0)
    assert verdict == Waiting("runs; 3 s after its start are waited for", again_in_s=about(2.001))


# -- which allocations count -------------------------------------------------------------------------------------------


def test_a_healthy_old_version_never_satisfies() -> None:
    stored = snapshot(SERVICE, alloc(version=2, healthy=True), deployments=[deployment(version=2, status="successful")])
    assert look(stored, awaited(eval_id="e1")) == Waiting("Nomad is still evaluating", again_in_s=about(4.001))


def test_an_allocation_updated_in_place_counts_only_once_it_is_judged_again() -> None:
    stored = snapshot(SERVICE, alloc(version=3, healthy=None), deployments=[deployment(version=2, status="successful"), deployment()])
    assert look(stored) == Waiting("0 of 1 allocation healthy")


def test_no_deployment_yet_is_not_the_same_as_needing_none() -> None:
    assert look(snapshot(SERVICE, alloc())) == Waiting("0 of 1 allocation healthy")


def test_a_system_job_of_a_nomad_that_makes_it_no_deployment_is_asked_whether_it_runs() -> None:
    none = evaluation(deployment_id="")
    assert look(snapshot(SYSTEM, alloc(), evaluations=[none]), awaited(eval_id="e1")) == Ready("1 of 1 allocation healthy")
    assert look(snapshot(SYSTEM, alloc(), evaluations=[DONE]), awaited(eval_id="e1")) == Waiting("0 of 1 allocation healthy")


def test_health_is_not_enough_while_the_task_restarts() -> None:
    restarting = task(state="pending", restarts=3, exit_code=1, events=[event("Terminated")])
    verdict = look(snapshot(SERVICE, alloc("a1", restarting, client="pending", healthy=True), deployments=[SUCCESSFUL]))
    assert verdict == Waiting("0 of 1 allocation healthy; task t restarted 3 times, last exit code 1")


def test_successful_is_not_awaited_when_all_allocations_are_healthy() -> None:
    stored = snapshot(job(group(count=2)), alloc("a1", healthy=True), alloc("a2", healthy=True), deployments=[deployment()])
    assert look(stored) == Ready("2 of 2 allocations healthy")


@pytest.mark.parametrize("deployments", [[SUCCESSFUL], []])
def test_an_allocation_placed_after_the_deployment_ended_is_asked_whether_it_runs(deployments: list[object]) -> None:
    stored = job(stable=not deployments)
    replaced = alloc("a1", desired="stop", client="failed", healthy=True, next_allocation="a2")
    verdict = look(dataclasses.replace(snapshot(stored, replaced, alloc("a2")), deployments=tuple(deployments)))  # type: ignore[arg-type]
    assert verdict == Ready("1 of 1 allocation healthy")


def test_an_unchanged_job_whose_deployment_was_collected_is_judged_by_its_allocations() -> None:
    assert look(snapshot(SERVICE, alloc()), awaited(changed=False)) == Ready("1 of 1 allocation healthy")


def test_a_remembered_unhealthy_does_not_outlive_a_successful_deployment() -> None:
    assert look(snapshot(job(stable=True), alloc(healthy=False))) == Ready("1 of 1 allocation healthy")


def test_what_is_older_than_the_job_itself_belongs_to_a_purged_one() -> None:
    stored = job(type_="batch", create_index=50)
    old = snapshot(stored, alloc(client="complete", create_index=20), evaluations=[DONE])
    assert isinstance(look(old), Waiting)


@pytest.mark.parametrize(("state", "good"), [("pending", 0), ("running", 1)])
def test_a_main_task_that_waits_for_prestart_has_not_started_though_nomad_says_running(state: str, good: int) -> None:
    stored = job(group(deploys=False, lifecycle={"pre": "prestart", "t": "main", "end": "poststop"}))
    states = (task("pre"), task("t", state=state, events=[event("Received")]), task("end", state="pending"))
    verdict = look(snapshot(stored, alloc("a1", *states)), awaited("started"))
    assert isinstance(verdict, (Waiting, Ready)[good])


@pytest.mark.parametrize("name", ["started", "healthy"])
def test_finished_prestart_and_pending_poststop_tasks_are_fine(name: ConditionName) -> None:
    stored = job(group(lifecycle={"pre": "prestart", "side": "prestart-sidecar", "t": "main", "end": "poststop"}))
    states = (task("pre", state="dead", exit_code=0), task("side"), task("t"), task("end", state="pending"))
    assert isinstance(look(snapshot(stored, alloc("a1", *states, healthy=True)), awaited(name)), Ready)


def test_a_dead_main_task_that_failed_does_not_count_as_running() -> None:
    stored = snapshot(BATCH, alloc("a1", task("t"), failed_task("u")))
    assert isinstance(look(stored, awaited("started")), Waiting)
    assert isinstance(look(snapshot(BATCH, alloc("a1", task("t"), task("u", state="dead"))), awaited("started")), Ready)


# -- counts ------------------------------------------------------------------------------------------------------------


def test_count_zero_is_ready_with_or_without_a_deployment() -> None:
    for stored in (job(group(count=0)), job(group(count=0), type_="batch"), job(group(count=0), type_="system")):
        assert look(snapshot(stored, evaluations=[DONE])) == Ready("nothing to run: count is 0")


def test_a_group_with_count_zero_beside_another_is_no_obstacle() -> None:
    stored = snapshot(job(group("a"), group("b", count=0)), alloc(group_name="a", healthy=True))
    assert look(stored) == Ready("1 of 1 allocation healthy")


def test_groups_are_counted_each_for_itself_and_named_in_order() -> None:
    stored = job(group("web", count=2), group("api", count=1), group("done"))
    running = (alloc("a1", group_name="web", healthy=True), alloc("a2", group_name="done", healthy=True))
    verdict = look(snapshot(stored, *running, deployments=[deployment()]))
    assert verdict == Waiting("group api: 0 of 1 allocation healthy; group web: 1 of 2 allocations healthy")


def test_a_newer_version_that_differs_only_in_counts_is_adopted_with_its_count() -> None:
    stored = job(group(count=3), version=4)
    both = (alloc("a1", healthy=True), alloc("a2", version=4, healthy=True))
    cancelled = deployment(status="cancelled", description="Cancelled due to newer version of job")
    running = deployment("d2", version=4)
    assert look(snapshot(stored, *both, deployments=[cancelled, running])) == Waiting("2 of 3 allocations healthy")
    third = alloc("a3", version=4, healthy=True)
    assert look(snapshot(stored, *both, third, deployments=[cancelled, running])) == Ready("3 of 3 allocations healthy")


def test_a_scaled_batch_job_runs_its_completed_allocations_again_and_only_the_newest_counts() -> None:
    stored = job(group(count=2), type_="batch", version=4)
    old = alloc("a1", name="job.g[0]", client="complete")
    again = alloc("a2", name="job.g[0]", version=4, create_index=30)
    other = alloc("a3", name="job.g[1]", version=4, client="complete", create_index=30)
    assert look(snapshot(stored, old, again, other)) == Waiting("1 of 2 allocations completed")


# -- somebody else -----------------------------------------------------------------------------------------------------


def test_a_newer_version_of_another_shape_supersedes() -> None:
    verdict = look(snapshot(job(version=4, shape="green"), alloc(healthy=True)))
    reason = "somebody registered version 4 of the job over version 3"
    assert verdict == Broken("superseded", reason, hint="look at what it would undo with `nomad-dtree plan`, then run again")


def test_an_older_version_is_a_stale_read_at_first_and_somebody_elses_job_later() -> None:
    stored = snapshot(job(version=0))
    assert look(stored) == Waiting("Nomad is still registering it", again_in_s=about(4.001))
    assert isinstance(look(stored, waited_s=6.0), Broken)


def test_a_deployment_that_was_cancelled_by_a_stop_says_that_somebody_stopped_the_job() -> None:
    cancelled = deployment(status="cancelled", description="Cancelled because job is stopped")
    verdict = look(snapshot(SERVICE, alloc(), deployments=[cancelled]))
    assert verdict == Broken("superseded", "somebody stopped the job", hint="ask who did; to start it, run again")


def test_a_cancelled_deployment_of_the_current_version_is_superseded_not_failed() -> None:
    cancelled = deployment(status="cancelled", description="Cancelled due to newer version of job")
    verdict = look(snapshot(SERVICE, alloc(), deployments=[cancelled]))
    assert verdict == Broken(
        "superseded",
        "deployment of version 3: Cancelled due to newer version of job",
        hint="look at what it would undo with `nomad-dtree plan`, then run again",
    )


def test_a_job_that_somebody_stopped_is_broken_whatever_its_allocations_say() -> None:
    verdict = look(snapshot(job(stopped=True, version=4), alloc(healthy=True)))
    assert verdict == Broken("superseded", "somebody stopped the job", hint="ask who did; to start it, run again")


def test_a_job_that_is_gone_is_broken_unless_it_was_seen_completed() -> None:
    assert look(snapshot(None)) == Broken(
        "superseded", "somebody purged the job, or Nomad collected it", hint="ask who did; to register it, run again"
    )
    assert look(snapshot(None), awaited(completed=True)) == Ready("completed")


# -- deployments -------------------------------------------------------------------------------------------------------


def test_an_auto_revert_is_a_failure_though_the_newer_version_is_healthy() -> None:
    failed = deployment(status="failed", description="Failed due to unhealthy allocations - rolling back to job version 2")
    reverted = deployment("d2", version=4, status="successful")
    bad = failed_alloc(
        "a1", failed_task(events=[event("Driver Failure", "no such image")]), healthy=False, desired="stop", next_allocation="a2"
    )
    good = alloc("a2", version=4, healthy=True)
    verdict = look(snapshot(job(version=4, shape="green", stable=True), bad, good, deployments=[failed, reverted]))
    reason = "Failed due to unhealthy allocations - rolling back to job version 2; task t: failed to start: no such image"
    assert verdict == Broken("failed", f"deployment of version 3: {reason}", ("a1",))


def test_an_auto_revert_of_a_mere_change_of_counts_is_a_failure_too() -> None:
    stored = snapshot(job(version=4, stable=True), alloc(version=4, healthy=True), deployments=[FAILED, deployment("d2", version=4)])
    assert look(stored) == Broken("failed", "deployment of version 3: Failed due to progress deadline")


def test_a_deployment_that_ran_out_of_time_tells_of_the_task_that_kept_restarting() -> None:
    stored = snapshot(job(), alloc("a1", task("web", restarts=3, exit_code=9)), deployments=[FAILED])
    verdict = look(stored)
    told = "task web restarted 3 times, last exit code 9"
    assert verdict == Broken("failed", f"deployment of version 3: Failed due to progress deadline; {told}")


def test_a_failed_deployment_of_an_unchanged_job_is_history_once_all_its_allocations_are_healthy() -> None:
    recovered = snapshot(SERVICE, alloc(healthy=True), deployments=[FAILED])
    assert look(recovered, awaited(changed=False)) == Ready("1 of 1 allocation healthy")
    assert isinstance(look(recovered, awaited(changed=True)), Broken)


def test_a_running_allocation_that_a_failed_deployment_called_unhealthy_will_not_change_by_waiting() -> None:
    unhealthy = task(events=[event("Alloc Unhealthy", "Task not running by deadline")])
    stored = snapshot(SERVICE, alloc("a1", unhealthy, healthy=False), deployments=[FAILED])
    reason = "deployment of version 3: Failed due to progress deadline; task t: task not running by deadline"
    assert look(stored, awaited(changed=False)) == Broken("failed", reason, ("a1",))
    assert has_failed(stored)


def test_an_allocation_rescheduled_after_a_failed_deployment_is_waited_for_if_the_job_was_found_so() -> None:
    stored = snapshot(SERVICE, failed_alloc(healthy=False, followup_eval="e9"), deployments=[FAILED])
    reason = "0 of 1 allocation healthy; an allocation failed and will be rescheduled; task t: exit code 1"
    assert look(stored, awaited(changed=False)) == Waiting(reason)
    assert not has_failed(stored)


def test_a_paused_deployment_is_said_to_be_paused() -> None:
    stored = snapshot(SERVICE, alloc(), deployments=[deployment(status="paused")])
    assert look(stored) == Waiting("0 of 1 allocation healthy; its deployment is paused")


# -- canaries ----------------------------------------------------------------------------------------------------------

OLD = alloc("a0", version=2, healthy=True)
CANARY = alloc("a1", healthy=True, canary=True)


def canaries(**settings: object) -> dict[str, object]:
    return {"g": deployment_group(canaries=1, **settings)}  # type: ignore[arg-type]


def test_a_healthy_canary_waits_for_somebody() -> None:
    stored = snapshot(SERVICE, OLD, CANARY, deployments=[deployment(groups=canaries())])  # type: ignore[arg-type]
    one = Canaries("d1", 3, healthy=1, wanted=1, are_ready=True, promote_themselves=False)
    assert look(stored) == Waiting("awaiting promotion: 1 healthy canary of version 3", canaries=one)
    assert not has_failed(stored)


def test_healthy_canaries_are_counted() -> None:
    groups = {"g": deployment_group(canaries=2)}
    both = (CANARY, alloc("a2", healthy=True, canary=True))
    verdict = look(snapshot(job(group(count=2)), *both, deployments=[deployment(groups=groups)]))
    assert verdict.reason == "awaiting promotion: 2 healthy canaries of version 3"


@pytest.mark.parametrize("probe", [LogProbe("listening", "main"), ServiceProbe("web", 1, "nomad")])
def test_what_a_canary_answers_meets_no_condition_before_it_is_promoted(probe: LogProbe | ServiceProbe) -> None:
    stored = snapshot(job(group(count=2)), OLD, CANARY, deployments=[deployment(groups=canaries())])  # type: ignore[arg-type]
    condition = Condition("log" if isinstance(probe, LogProbe) else "service", probe=probe)
    answers: dict[Probe, Answer] = {probe: Answer(frozenset({"a1"}))}
    verdict = judge(
        stored,
        dataclasses.replace(awaited(), condition=condition),
        waited_s=1.0,
        unplaceable_s=0.0,
        placement_timeout_s=15.0,
        answers=answers,
    )
    assert isinstance(verdict, Waiting)
    assert (verdict.canaries is not None, verdict.asks) == (True, ())


def test_a_canary_that_was_healthy_and_fails_for_good_is_a_failure_though_its_deployment_runs_on() -> None:
    dead = dataclasses.replace(failed_alloc("a1"), healthy=True, canary=True)
    verdict = look(snapshot(SERVICE, OLD, dead, deployments=[deployment(groups=canaries())], evaluations=[DONE]))  # type: ignore[arg-type]
    assert isinstance(verdict, Broken)
    assert verdict.kind == "failed"


@pytest.mark.parametrize(
    ("canary", "settings"),
    [
        (CANARY, {"auto_promote": True}),
        (dataclasses.replace(CANARY, healthy=None), {}),
        (dataclasses.replace(CANARY, client="pending"), {}),
    ],
)
def test_a_canary_that_is_not_healthy_or_promotes_itself_is_waited_for(canary: object, settings: dict[str, object]) -> None:
    stored = snapshot(SERVICE, OLD, canary, deployments=[deployment(groups=canaries(**settings))])  # type: ignore[arg-type]
    assert look(stored) == Waiting("0 of 1 allocation healthy")


def test_a_promoted_canary_is_an_allocation_like_others() -> None:
    promoted = dataclasses.replace(CANARY, canary=False)
    stored = snapshot(job(group(count=2)), promoted, deployments=[deployment(groups=canaries(promoted=True))])  # type: ignore[arg-type]
    assert look(stored) == Waiting("1 of 2 allocations healthy")


def test_auto_promote_of_some_groups_only_still_needs_a_person() -> None:
    groups = {"a": deployment_group(canaries=1, auto_promote=True), "b": deployment_group(canaries=1)}
    both = (alloc("a1", group_name="a", healthy=True, canary=True), alloc("a2", group_name="b", healthy=True, canary=True))
    verdict = look(snapshot(job(group("a"), group("b")), *both, deployments=[deployment(groups=groups)]))
    assert isinstance(verdict, Waiting)
    assert verdict.canaries is not None


# -- failing allocations -----------------------------------------------------------------------------------------------


def test_a_failed_allocation_with_a_reschedule_due_is_waited_for_with_the_reason() -> None:
    later = evaluation("e9", status="pending", triggered_by="alloc-reschedule", wait_until_s=99.0, create_index=30)
    stored = snapshot(PLAIN, failed_alloc(followup_eval="e9"), evaluations=[DONE, later])
    reason = "0 of 1 allocation healthy; an allocation failed and will be rescheduled; task t: exit code 1"
    assert look(stored) == Waiting(reason)


def test_a_failed_allocation_waits_for_the_verdict_of_a_running_deployment() -> None:
    stored = snapshot(SERVICE, failed_alloc(healthy=False), deployments=[deployment()], evaluations=[DONE])
    assert look(stored) == Waiting("0 of 1 allocation healthy; an allocation failed; task t: exit code 1")


def test_a_failed_allocation_waits_for_a_pending_evaluation_but_not_for_anothers_delayed_one() -> None:
    retry = evaluation("e2", status="pending", triggered_by="alloc-failure", create_index=30)
    delayed = evaluation("e2", status="pending", triggered_by="alloc-reschedule", wait_until_s=99.0, create_index=30)
    assert isinstance(look(snapshot(PLAIN, failed_alloc(), evaluations=[DONE, retry])), Waiting)
    assert isinstance(look(snapshot(PLAIN, failed_alloc(), evaluations=[DONE, delayed])), Broken)


def test_a_failed_batch_job_is_broken_at_once_and_names_all_that_failed() -> None:
    stored = snapshot(job(group(count=3), type_="batch"), failed_alloc("a2", failed_task(exit_code=2), create_index=21), failed_alloc("a1"))
    reason = "2 allocations failed and will not be run again; task t: exit code 2"
    assert look(stored) == Broken("failed", reason, ("a1", "a2"))


def test_of_a_chain_of_reschedules_only_the_last_counts() -> None:
    first = failed_alloc("a1", desired="stop", next_allocation="a2", followup_eval="e9")
    assert look(snapshot(BATCH, first, alloc("a2", client="complete", create_index=21))) == Ready("1 of 1 allocation completed")
    assert look(snapshot(BATCH, first, failed_alloc("a2", create_index=21))) == Broken(
        "failed", "1 allocation failed and will not be run again; task t: exit code 1", ("a2",)
    )


def test_a_system_allocation_replaced_without_being_stopped_does_not_count() -> None:
    first = failed_alloc("a1", next_allocation="a2", healthy=False)
    stored = snapshot(SYSTEM, first, alloc("a2"), deployments=[SUCCESSFUL], evaluations=[DONE])
    assert look(stored) == Ready("1 of 1 allocation healthy")


def test_an_allocation_on_a_disconnected_or_lost_node_does_not_count() -> None:
    stored = job(group(count=3, deploys=False))
    verdict = look(snapshot(stored, alloc("a1"), alloc("a2", client="unknown"), alloc("a3", client="lost")))
    assert verdict == Waiting("1 of 3 allocations healthy; its node is disconnected; its node is lost")


def test_a_batch_job_that_somebody_cut_short_is_not_completed() -> None:
    killed = alloc("a1", client="complete", desired="stop", next_allocation="a2")
    assert look(snapshot(BATCH, killed, alloc("a2", create_index=21))) == Waiting("0 of 1 allocation completed")


def test_a_restarting_task_is_waited_for_with_its_last_end() -> None:
    oom = task(state="running", restarts=1, exit_code=137, oom_killed=True, events=[event("Terminated")])
    stored = snapshot(SERVICE, alloc("a1", oom), deployments=[deployment()])
    reason = "0 of 1 allocation healthy; task t restarted 1 time, killed: out of memory (its memory limit)"
    assert look(stored) == Waiting(reason)


# -- evaluations -------------------------------------------------------------------------------------------------------


def test_a_pending_evaluation_without_allocations_is_nomad_still_evaluating() -> None:
    assert look(snapshot(SERVICE, evaluations=[PENDING]), awaited(eval_id="e1")) == Waiting("Nomad is still evaluating")


def test_an_evaluation_that_failed_without_a_follow_up_breaks_the_job() -> None:
    failed = evaluation(status="failed", description="maximum attempts reached (5)")
    assert look(snapshot(SERVICE, evaluations=[failed]), awaited(eval_id="e1")) == Broken(
        "failed", "Nomad could not evaluate the job: maximum attempts reached (5)"
    )
    silent = evaluation(status="failed")
    assert look(snapshot(SERVICE, evaluations=[silent]), awaited(eval_id="e1")) == Broken(
        "failed", "Nomad could not evaluate the job: no reason given"
    )


def test_an_evaluation_that_failed_is_waited_for_through_its_follow_up() -> None:
    follow_up = evaluation("e2", status="pending", triggered_by="failed-follow-up", wait_until_s=60.0, create_index=13)
    stored = snapshot(SERVICE, evaluations=[evaluation(status="failed"), follow_up])
    assert look(stored, awaited(eval_id="e1")) == Waiting("Nomad is still evaluating")


def test_an_evaluation_blocked_for_its_attempts_is_still_evaluating() -> None:
    assert is_evaluating((evaluation(status="blocked", triggered_by="max-plan-attempts"),))


def test_nothing_placed_though_nomad_evaluated_is_broken_but_not_at_once() -> None:
    stored = snapshot(SERVICE, alloc(version=2, client="failed"), evaluations=[DONE])
    assert look(stored, awaited(eval_id="e1")) == Waiting("0 of 1 allocation healthy", again_in_s=about(4.001))
    verdict = look(stored, awaited(eval_id="e1"), waited_s=6.0)
    assert verdict == Broken("failed", "Nomad evaluated version 3 and placed nothing of group g")


def test_nothing_placed_by_an_evaluation_that_was_never_seen_is_not_called_broken() -> None:
    assert look(snapshot(SERVICE), awaited(eval_id="e1"), waited_s=600.0) == Waiting("Nomad is still evaluating", again_in_s=0.001)
    other = evaluation("e7", create_index=30)
    verdict = look(snapshot(SERVICE, evaluations=[other]), awaited(eval_id="e1"), waited_s=600.0)
    assert verdict == Waiting("0 of 1 allocation healthy")


def test_nothing_placed_by_a_running_deployment_yet_is_waited_for() -> None:
    stored = snapshot(SERVICE, deployments=[deployment()], evaluations=[DONE])
    assert look(stored, awaited(eval_id="e1"), waited_s=60.0) == Waiting("0 of 1 allocation healthy")


# -- placement ---------------------------------------------------------------------------------------------------------

NOWHERE = "no node is eligible: 3 nodes, 2 filtered by ${attr.kernel.name} = windows, 1 by missing drivers"


def blocked(**failed: Placement) -> JobSnapshot:
    waiting = evaluation("e2", status="blocked", triggered_by="queued-allocs", create_index=12, failed=failed)
    groups = [group(name) for name in failed]
    return snapshot(job(*groups, status="pending"), deployments=[deployment()], evaluations=[evaluation(failed=failed), waiting])


def test_no_eligible_node_is_put_up_with_for_a_while_and_then_a_failure() -> None:
    stored = blocked(g=WINDOWS)
    assert look(stored, awaited(eval_id="e1"), unplaceable_s=5.0) == Waiting(NOWHERE, unplaceable=True, again_in_s=about(10.001))
    assert look(stored, awaited(eval_id="e1"), unplaceable_s=15.0) == Broken("failed", NOWHERE)
    assert not has_failed(stored)


def test_exhausted_resources_are_waited_for_without_end() -> None:
    verdict = look(blocked(g=NO_MEMORY), awaited(eval_id="e1"), waited_s=900.0, unplaceable_s=900.0)
    assert verdict == Waiting("no room: memory on 2 of 3 nodes (1 filtered by node class edge)")


def test_a_volume_that_somebody_else_holds_is_waited_for() -> None:
    held = Placement(nodes_evaluated=1, constraint_filtered={"CSI volume db has exhausted its available writer claims": 1})
    assert look(blocked(g=held)) == Waiting(
        "no node is eligible: 1 node, 1 filtered by CSI volume db has exhausted its available writer claims"
    )


def test_a_group_without_a_node_is_named_before_one_that_waits_for_room() -> None:
    verdict = look(blocked(web=WINDOWS, api=NO_MEMORY))
    assert verdict == Waiting(f"group web: {NOWHERE}", unplaceable=True, again_in_s=about(15.001))


def test_a_blocked_evaluation_of_the_version_before_says_nothing_about_this_one() -> None:
    before = evaluation("e0", status="blocked", create_index=5, failed={"g": WINDOWS})
    stored = snapshot(SERVICE, evaluations=[before, evaluation(status="pending")])
    assert look(stored, awaited(eval_id="e1")) == Waiting("Nomad is still evaluating")


def test_a_placement_that_failed_first_and_came_later_is_forgotten() -> None:
    later = evaluation("e2", create_index=13)
    stored = snapshot(SERVICE, alloc(), deployments=[deployment()], evaluations=[evaluation(failed={"g": NO_MEMORY}), later])
    assert look(stored, awaited(eval_id="e1")) == Waiting("0 of 1 allocation healthy")


def test_a_placement_that_failed_in_a_group_that_is_well_does_not_matter() -> None:
    stored = snapshot(SERVICE, alloc(healthy=True), evaluations=[evaluation(failed={"g": WINDOWS})])
    assert look(stored) == Ready("1 of 1 allocation healthy")


# -- system and sysbatch -----------------------------------------------------------------------------------------------


def test_a_system_job_that_no_node_takes_is_unplaceable_though_its_deployment_succeeded() -> None:
    nobody = deployment(status="successful", groups={"g": deployment_group(total=0)})
    stored = snapshot(job(type_="system", stable=True), deployments=[nobody], evaluations=[evaluation(failed={"g": WINDOWS})])
    assert look(stored, awaited(eval_id="e1")) == Waiting(NOWHERE, unplaceable=True, again_in_s=about(15.001))


@pytest.mark.parametrize("stored", [SYSTEM, SYSBATCH])
def test_a_system_job_without_a_node_in_its_datacenter_is_unplaceable_without_any_word_from_nomad(stored: JobState) -> None:
    verdict = look(snapshot(stored, evaluations=[DONE]), awaited(eval_id="e1"), unplaceable_s=15.0)
    assert verdict == Broken("failed", "no node is eligible: there is none in the job's datacenters and node pool")


def test_filtering_some_nodes_is_normal_for_a_system_job() -> None:
    stored = snapshot(SYSTEM, alloc(healthy=True), evaluations=[evaluation(failed={"g": WINDOWS})])
    assert look(stored) == Ready("1 of 1 allocation healthy")


def test_a_system_job_waits_for_room_on_a_full_node() -> None:
    full = Placement(nodes_evaluated=1, nodes_exhausted=1, dimension_exhausted={"cpu": 1})
    stored = snapshot(SYSTEM, alloc(healthy=True), evaluations=[evaluation(failed={"g": full})])
    assert look(stored) == Waiting("no room: cpu on 1 of 1 node")


def test_a_system_job_is_not_ready_before_nomad_has_evaluated_it() -> None:
    stored = snapshot(SYSTEM, alloc(healthy=True), evaluations=[PENDING])
    assert look(stored, awaited(eval_id="e1")) == Waiting("Nomad is still evaluating")


def test_a_system_job_waits_until_the_older_version_is_gone_from_every_node() -> None:
    stored = snapshot(SYSTEM, alloc("a0", version=2, healthy=True), alloc(healthy=True), evaluations=[DONE])
    assert look(stored) == Waiting("allocations of an older version still run")


def test_a_system_deployment_that_means_to_place_more_is_waited_for_but_its_own_health_count_is_not() -> None:
    two = deployment(groups={"g": deployment_group(total=2, healthy=1)})
    one = snapshot(SYSTEM, alloc("a1", healthy=True), deployments=[two], evaluations=[DONE])
    assert look(one) == Waiting("1 of 2 allocations healthy")
    both = snapshot(SYSTEM, alloc("a1", healthy=True), alloc("a2", healthy=True), deployments=[two], evaluations=[DONE])
    assert look(both) == Ready("2 of 2 allocations healthy")


def test_a_deployment_that_knows_nothing_of_a_system_group_is_no_second_opinion() -> None:
    other = deployment(groups={"h": deployment_group(total=9)})
    stored = snapshot(SYSTEM, alloc(healthy=True), deployments=[other], evaluations=[DONE])
    assert look(stored) == Ready("1 of 1 allocation healthy")


def test_a_sysbatch_job_that_failed_on_one_node_has_failed() -> None:
    stored = snapshot(SYSBATCH, alloc("a1", client="complete"), failed_alloc("a2", failed_task(exit_code=4)), evaluations=[DONE])
    reason = "1 allocation failed and will not be run again; task t: exit code 4"
    assert look(stored) == Broken("failed", reason, ("a2",))
    assert has_failed(stored)


# -- checks ------------------------------------------------------------------------------------------------------------

CHECKED = job(group(deploys=False, checked=True))
PASSES = CheckResult("http", "success", "")
FAILS = CheckResult("http", "failure", "connection refused")


def test_checks_decide_where_no_deployment_does() -> None:
    stored = snapshot(CHECKED, alloc())
    unknown = Waiting("0 of 1 allocation healthy; its checks have not answered yet", again_in_s=1.0)
    assert look(stored) == unknown
    assert look(stored, checks={"a1": ()}) == unknown
    assert look(stored, checks={"a1": (PASSES, FAILS)}) == Waiting("0 of 1 allocation healthy; check 'http' says failure", again_in_s=1.0)
    assert look(stored, checks={"a1": (PASSES,)}) == Ready("1 of 1 allocation healthy")


def test_without_a_deployment_a_remembered_healthy_does_not_spare_the_checks() -> None:
    stored = snapshot(CHECKED, alloc(healthy=True))
    assert isinstance(look(stored, checks={"a1": (FAILS,)}), Waiting)
    assert isinstance(look(stored, checks={"a1": (PASSES,)}), Ready)


def test_checks_explain_a_deployment_that_takes_its_time() -> None:
    stored = snapshot(job(group(checked=True)), alloc(), deployments=[deployment()])
    assert look(stored) == Waiting("0 of 1 allocation healthy", again_in_s=1.0)
    assert look(stored, checks={"a1": (FAILS,)}) == Waiting("0 of 1 allocation healthy; check 'http' says failure", again_in_s=1.0)


def test_checks_are_not_asked_for_when_only_the_start_is_awaited() -> None:
    verdict = look(snapshot(job(group(count=2, deploys=False, checked=True)), alloc()), awaited("started"))
    assert verdict == Waiting("1 of 2 allocations running")


# -- notes on the way --------------------------------------------------------------------------------------------------


def test_a_wait_names_at_most_three_different_obstacles_newest_first() -> None:
    troubled = [
        alloc(f"a{number}", task(f"t{number}", restarts=1, events=[event("Driver Failure", "x")]), create_index=20 + number)
        for number in range(5)
    ]
    verdict = look(snapshot(job(group(count=5)), *troubled, deployments=[deployment()]))
    notes = "; ".join(f"task t{number} restarted 1 time, failed to start: x" for number in (4, 3, 2))
    assert verdict == Waiting(f"0 of 5 allocations healthy; {notes}")


def test_a_reason_is_one_line_of_bounded_length() -> None:
    endless = failed_alloc("a1", failed_task(events=[event("Driver Failure", "x\n" * 4000)]))
    verdict = look(snapshot(PLAIN, endless, evaluations=[DONE]))
    assert len(verdict.reason) == 300
    assert "\n" not in verdict.reason


# -- what the planner asks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (snapshot(BATCH, failed_alloc(), evaluations=[DONE]), True),
        (snapshot(PLAIN, failed_alloc(), evaluations=[DONE]), True),
        (snapshot(SERVICE, evaluations=[DONE]), True),
        (snapshot(SERVICE, alloc(healthy=True)), False),
        (snapshot(PLAIN, failed_alloc(followup_eval="e9")), False),
        (snapshot(BATCH, alloc()), False),
        (snapshot(job(stopped=True), failed_alloc()), False),
        (snapshot(job(periodic=True)), False),
        (snapshot(None), False),
    ],
)
def test_a_job_has_failed_when_nomad_will_not_run_it_again_by_itself(stored: JobSnapshot, *, expected: bool) -> None:
    assert has_failed(stored) is expected


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (snapshot(BATCH, alloc(client="complete")), True),
        (snapshot(SYSBATCH, alloc(client="complete"), evaluations=[DONE]), True),
        (snapshot(BATCH, alloc()), False),
        (snapshot(BATCH, failed_alloc()), False),
        (snapshot(BATCH, alloc(client="complete", version=2)), False),
        (snapshot(job(type_="batch", stopped=True), alloc(client="complete")), False),
        (snapshot(job(type_="batch", periodic=True)), False),
        (snapshot(SERVICE, alloc(healthy=True)), False),
        (snapshot(None), False),
    ],
)
def test_a_job_is_finished_when_its_stored_version_completed(stored: JobSnapshot, *, expected: bool) -> None:
    assert is_finished(stored) is expected


# -- stopping ----------------------------------------------------------------------------------------------------------

STOPPED = job(stopped=True, status="dead", version=4)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (snapshot(SERVICE, alloc()), Waiting("Nomad has not stopped it yet")),
        (
            snapshot(STOPPED, alloc("a1", desired="stop"), alloc("a2", client="unknown"), alloc("a3", version=1)),
            Waiting("3 allocations still to end: 2 running, 1 unknown"),
        ),
        (snapshot(STOPPED, alloc(client="pending")), Waiting("1 allocation still to end: 1 pending")),
        (snapshot(STOPPED, alloc(client="complete"), evaluations=[PENDING]), Waiting("Nomad is still evaluating the stop")),
        (snapshot(STOPPED, alloc(client="lost"), failed_alloc("a2"), evaluations=[DONE]), Ready("all allocations have ended")),
        (snapshot(STOPPED), Ready("nothing of it runs")),
        (snapshot(None), Ready("nothing of it runs")),
        (snapshot(None, alloc()), Waiting("1 allocation still to end: 1 running")),
    ],
)
def test_a_stop_is_awaited_until_every_allocation_has_ended(stored: JobSnapshot, expected: Verdict) -> None:
    assert stopped(stored) == expected


def test_a_stop_does_not_wait_for_a_delayed_reschedule_that_places_nothing_any_more() -> None:
    delayed = evaluation(status="pending", triggered_by="alloc-reschedule", wait_until_s=3600.0)
    assert stopped(snapshot(STOPPED, failed_alloc(followup_eval="e1"), evaluations=[delayed])) == Ready("all allocations have ended")


# -- the second look ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (Broken("failed", "x", ("a1",)), True),
        (Broken("failed", "x"), True),
        (Broken("superseded", "x"), False),
        (Broken("failed", "x", ("a1", "a2")), False),
        (Waiting("x"), False),
        (Ready("x"), False),
    ],
)
def test_a_second_look_confirms_only_what_the_first_had_seen(again: Verdict, *, expected: bool) -> None:
    assert is_confirmed(Broken("failed", "y", ("a1",)), again) is expected


def test_a_stop_of_a_job_that_was_seen_stopped_and_is_no_longer_is_superseded() -> None:
    stored = snapshot(SERVICE, alloc())
    assert stopped(stored) == Waiting("Nomad has not stopped it yet")
    reason = "somebody registered the job again while it was being stopped"
    assert stopped(stored, was_stopped=True) == Broken("superseded", reason, hint="stop it again")

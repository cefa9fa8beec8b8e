"""dtree.renewal: who is restarted or redeployed because something they need is changed, and how that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtree.declaration import Condition
from dtree.errors import DeclarationError, Denied, Unavailable
from dtree.events import StepReached, StepReady, StepRegistered, StepRetrying, StepWaiting
from dtree.model import CheckResult
from dtree.plan import Milestone, Plan, Step
from dtree.renewal import portions
from tests.fakes import snapshots
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import fails, never, well
from tests.fakes.stored import Renewal
from tests.fakes.world import World

RESTART: dict[str, Any] = {"api": {"pre": {"job": "db", "on_update": "restart"}}}
REDEPLOY: dict[str, Any] = {"api": {"pre": {"job": "db", "on_update": "redeploy"}}}


def step_of(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.name == name)


def running(dependencies: dict[str, Any], *, count: int = 1, changed: str = "db", **settings: Any) -> World:
    """A world where everything runs, and the file of `changed` has changed since."""
    world = World(dependencies, **settings)
    world.specs["api"] |= {"TaskGroups": job_spec("api", count=count)["TaskGroups"]}
    for name in world.specs:
        world.cluster.has(world.job(name))
    if changed:
        world.specs[changed] = {**world.specs[changed], "Meta": {"release": "2"}}
    return world


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", ["api", "db"])
@pytest.mark.parametrize(("dependencies", "change", "word"), [(RESTART, "restart", "restarted"), (REDEPLOY, "redeploy", "redeployed")])
def test_a_dependent_that_runs_is_renewed_also_outside_of_the_goals(goal: str, dependencies: Any, change: str, word: str) -> None:
    plan = running(dependencies).plan(goal)
    api = step_of(plan, "api")
    assert [(step.name, step.change) for step in plan.steps] == [("db", "replace"), ("api", change)]
    assert (api.cause, api.needs, api.renewal) == (f"{word}, because db is changed", ("db",), change)
    assert [one.job for one in plan.out] == []
    assert plan.pending


@pytest.mark.parametrize("goal", ["api", "db"])
def test_nobody_is_renewed_where_nothing_is_changed(goal: str) -> None:
    assert {step.change for step in running(RESTART, changed="").plan(goal).steps} == {"noop"}


def test_without_on_update_nobody_is_renewed() -> None:
    assert [step.name for step in running({"api": {"pre": "db"}}).plan("db").steps] == ["db"]


def test_a_dependent_of_which_nothing_runs_is_not_renewed() -> None:
    world = running(RESTART)
    world.cluster.stop(world.ref("api"))
    world.clock.pause(1.0)
    assert [step.name for step in world.plan("db").steps] == ["db"]
    assert [step.change for step in world.plan("api").steps] == ["replace", "create"]


def test_a_dependent_whose_allocations_have_ended_is_not_renewed() -> None:
    world = World(RESTART, kinds={"api": "batch"})
    for name in ("db", "api"):
        world.cluster.has(world.job(name))
    world.specs["db"]["Meta"] = {"release": "2"}
    assert [step.name for step in world.plan("db").steps] == ["db"]


def test_a_dependent_that_is_not_in_nomad_is_not_renewed() -> None:
    world = World(RESTART)
    world.cluster.has(world.job("db", Meta={"release": "1"}))
    assert [step.name for step in world.plan("db").steps] == ["db"]


def test_a_dependent_that_gets_new_allocations_anyway_is_not_renewed() -> None:
    world = running(RESTART)
    world.specs["api"]["Meta"] = {"release": "2"}
    assert step_of(world.plan("api"), "api").renewal == "none"


def test_a_restart_is_no_change_that_restarts_others() -> None:
    dependencies = {**RESTART, "web": {"pre": {"job": "api", "on_update": "redeploy"}}}
    assert [step.name for step in running(dependencies).plan("db").steps] == ["db", "api"]
    assert step_of(running(dependencies).plan("web"), "web").change == "noop"


def test_of_two_changed_needs_the_stronger_word_counts() -> None:
    world = running({"api": {"pre": [{"job": "a", "on_update": "restart"}, {"job": "b", "on_update": "redeploy"}]}}, changed="a")
    world.specs["b"]["Meta"] = {"release": "2"}
    api = step_of(world.plan("api"), "api")
    assert (api.change, api.cause) == ("redeploy", "redeployed, because a, b are changed")


def test_a_post_job_that_runs_on_is_renewed_with_its_owner() -> None:
    world = running({"api": {}, "db": {"post": {"job": "api", "on_update": "restart"}}})
    assert step_of(world.plan("db"), "api").change == "restart"


def test_a_dependent_that_is_skipped_is_not_renewed() -> None:
    assert [step.name for step in running(RESTART).plan("db", skip=("api",)).steps] == ["db"]


def test_what_it_asked_of_a_dependent_that_is_not_renewed_holds_nobody_up() -> None:
    dependencies = {**RESTART, "web": {"pre": [{"job": "api", "on_update": "restart"}, {"job": "db", "on_update": "restart"}]}}
    world = running(dependencies)
    world.cluster.stop(world.ref("api"))
    world.clock.pause(1.0)
    plan = world.plan("db")
    assert [(step.name, step.needs) for step in plan.steps] == [("db", ()), ("web", ("db",))]
    assert world.carry_out(plan).exit_code == 0


def test_a_broken_file_of_a_dependent_outside_is_told_because_its_id_stands_there() -> None:
    world = running(RESTART)
    del world.specs["api"]["ID"]
    with pytest.raises(DeclarationError, match="has no job ID"):
        world.plan("db")


def test_a_renewed_job_is_waited_for_until_it_is_healthy_whatever_its_own_condition() -> None:
    plan = running({"api": {**RESTART["api"], "wait_cond": "started", "timeout": 60, "retries": 3}}).plan("db")
    assert step_of(plan, "api").awaited == (Milestone(Condition("healthy"), 60.0), Milestone(Condition("started"), 60.0))
    assert step_of(plan, "api").retries == 3


def test_a_batch_job_under_way_is_renewed_and_waited_for_to_its_end() -> None:
    world = World(RESTART, {"api": well(200.0)}, kinds={"api": "batch"})
    for name in ("db", "api"):
        world.cluster.has(world.job(name))
    world.specs["db"]["Meta"] = {"release": "2"}
    assert step_of(world.plan("db"), "api").awaited[0].condition == Condition("started")
    assert world.run("db").exit_code == 0


def test_as_many_are_renewed_together_as_each_group_lets_be_changed() -> None:
    one, two = snapshots.group("a"), snapshots.group("b")
    allocations = [snapshots.alloc(f"{name}{number}", group_name=name) for name in "ba" for number in range(3)]
    snapshot = snapshots.snapshot(snapshots.job(two, one), *allocations, snapshots.alloc("over", group_name="a", client="failed"))
    assert portions(snapshot, snapshots.awaited()) == (("a0",), ("a1",), ("a2",), ("b0",), ("b1",), ("b2",))
    assert portions(snapshots.snapshot(None), snapshots.awaited()) == ()


# -- how ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dependencies", "request_"), [(RESTART, "restart"), (REDEPLOY, "replace")])
def test_one_allocation_after_another_is_renewed_each_once_the_one_before_is_up(dependencies: Any, request_: str) -> None:
    world = running(dependencies, count=3)
    world.cluster.renewals["api"] = Renewal(2.0)
    record = world.run("db")
    assert (record.exit_code, record.steps["api"].registered) == (0, True)
    assert world.cluster.changes == [("register", "db"), *[(request_, "api")] * 3]
    asked_s = [call.time_s for call in world.cluster.calls if call.what == request_]
    assert [at_s - asked_s[0] for at_s in asked_s] == [0.0, 2.0, 4.0]
    assert len(world.of(StepReady)) == 2
    assert world.cluster.peek(world.ref("api")).job == world.cluster.jobs[world.ref("api")].snapshot().job


def test_a_system_job_is_redeployed_by_an_evaluation_for_each_portion() -> None:
    world = running(REDEPLOY, count=1, kinds={"api": "system"})
    world.cluster.renewals["api"] = Renewal(2.0)
    record = world.run("db")
    assert (record.exit_code, world.cluster.changes[-2:]) == (0, [("replace", "api"), ("evaluate", "api")])
    assert [one.client for one in world.cluster.peek(world.ref("api")).allocations] == ["complete", "running"]


def test_a_sysbatch_job_is_never_redeployed_whoever_says_so() -> None:
    for dependencies in (REDEPLOY, {"api": {}, "db": {"post": {"job": "api", "on_update": "redeploy"}}}):
        world = World(dependencies, kinds={"api": "sysbatch"})
        with pytest.raises(DeclarationError, match="cannot be redeployed") as caught:
            world.plan("api", "db")
        (fault,) = caught.value.faults
        assert (fault.code, fault.hint) == ("impossible-redeploy", "use `on_update: restart`, or none")
        assert fault.place is not None
        assert fault.place.key.endswith("on_update")


def test_a_job_is_given_the_time_that_nomad_would_want_to_call_it_healthy() -> None:
    world = running(RESTART, count=2)
    update = {"MaxParallel": 2, "MinHealthyTime": 4 * 10**9}
    world.specs["api"]["Update"] = update
    world.cluster.has(world.job("api"))
    world.cluster.renewals["api"] = Renewal(1.0)
    record = world.run("db")
    assert world.cluster.changes[-2:] == [("restart", "api")] * 2
    assert record.exit_code == 0
    assert record.elapsed_s == pytest.approx(4.0, abs=0.1)


def test_an_allocation_that_does_not_come_back_is_a_failure_and_the_others_are_left_alone() -> None:
    world = running({**RESTART, "web": {"pre": "api"}}, count=3)
    world.cluster.renewals["api"] = Renewal(2.0, fails=True)
    record = world.run("web")
    assert (record.exit_code, record.steps["api"].kind, record.steps["web"].state) == (3, "failed", "lost")
    assert world.cluster.called("restart") == ["api"]


def test_an_allocation_that_takes_too_long_times_out() -> None:
    world = running({"api": {**RESTART["api"], "timeout": 5}})
    world.cluster.renewals["api"] = Renewal(60.0)
    record = world.run("db")
    assert (record.exit_code, record.steps["api"].kind) == (6, "timed-out")


def test_a_renewal_that_takes_too_long_is_tried_again_by_the_same_means() -> None:
    world = running({"api": {**RESTART["api"], "timeout": 5, "retries": 1}})
    world.cluster.renewals["api"] = Renewal(60.0)
    world.when(lambda event: isinstance(event, StepRetrying), lambda: world.cluster.renewals.update(api=Renewal(1.0)))
    record = world.run("db")
    assert (record.exit_code, len(record.steps["api"].attempts)) == (0, 1)
    assert world.cluster.changes == [("register", "db"), ("restart", "api"), ("restart", "api")]


def test_a_job_that_fails_as_it_is_renewed_is_run_again_and_that_renews_it() -> None:
    world = running({"api": {**RESTART["api"], "retries": 1}})
    world.cluster.renewals["api"] = Renewal(1.0, fails=True)
    record = world.run("api")
    assert (record.exit_code, len(record.steps["api"].attempts)) == (0, 1)
    assert world.cluster.called("restart") == ["api"]
    assert world.cluster.changes[-1] == ("register", "api")


def test_a_job_outside_of_the_run_is_not_registered_to_try_its_renewal_again() -> None:
    world = running({"api": {**RESTART["api"], "retries": 1}})
    world.cluster.renewals["api"] = Renewal(1.0, fails=True)
    record = world.run("db")
    assert (record.exit_code, record.steps["api"].attempts) == (3, ())
    assert record.steps["api"].details[-1].startswith("it is not tried again: ")
    assert world.cluster.called("register") == ["db"]


def test_a_restart_of_ours_is_told_as_such_and_not_as_a_crash() -> None:
    world = running(RESTART)
    world.cluster.renewals["api"] = Renewal(5.0)
    stored = world.cluster.jobs[world.ref("api")]
    (before,) = stored.current()
    ended = replace(before, tasks={"work": snapshots.task(restarts=1, exit_code=137, signal=9)})
    is_asked = lambda event: isinstance(event, StepRegistered) and event.job == "api"  # noqa: E731 - as short as it is
    world.when(is_asked, lambda: world.clock.after(1.0, lambda: stored.put_allocation(replace(ended, client="pending"))))
    world.run("db")
    reasons = [event.reason for event in world.of(StepWaiting) if event.job == "api"]
    assert "0 of 1 allocation healthy; restarted by this run, and not healthy again yet" in reasons
    assert not any("SIGKILL" in reason for reason in reasons)


def test_where_the_dependency_fails_nothing_is_renewed() -> None:
    world = running(RESTART)
    world.cluster.script("db", fails())
    record = world.run("db")
    assert (record.exit_code, record.steps["api"].state) == (3, "lost")
    assert world.cluster.called("restart") == []


def test_an_unhealthy_dependent_is_restarted_without_waiting_for_its_health_first() -> None:
    world = World(RESTART)
    world.cluster.has(world.job("db"))
    world.cluster.has(world.job("api"), never)
    world.specs["db"]["Meta"] = {"release": "2"}
    assert step_of(world.plan("db"), "api").change == "restart"
    world.carry_out(world.plan("db"))
    assert world.cluster.called("restart") == ["api"]


def test_a_dependent_that_is_changed_in_place_is_restarted_once_that_is_done() -> None:
    world = running(RESTART, count=2)
    world.specs["api"]["Priority"] = 70
    plan = world.plan("api")
    assert (step_of(plan, "api").change, step_of(plan, "api").cause) == ("update", "changed: Priority; restarted, because db is changed")
    record = world.carry_out(plan)
    assert record.exit_code == 0
    assert world.cluster.changes == [("register", "db"), ("register", "api"), ("restart", "api"), ("restart", "api")]


def test_who_needs_a_renewed_job_starts_when_all_of_it_is_renewed() -> None:
    dependencies = {**RESTART, "web": {"pre": {"job": "api", "condition": "started"}}}
    world = running(dependencies, count=2)
    world.cluster.stop(world.ref("web"))
    world.clock.pause(1.0)
    world.cluster.renewals["api"] = Renewal(2.0)
    assert world.run("web").exit_code == 0
    assert world.cluster.changes[-2:] == [("restart", "api"), ("register", "web")]
    assert world.of(StepReached) == []


def test_an_old_result_of_a_check_says_nothing_of_a_restarted_allocation() -> None:
    world = running({"api": {**RESTART["api"], "timeout": 9}})
    group = {**world.specs["api"]["TaskGroups"][0], "Services": [{"Provider": "nomad", "Checks": [{"Type": "http"}]}]}
    world.specs["api"]["TaskGroups"] = [group]
    world.cluster.has(world.job("api"))
    world.cluster.check_results["api"] = (CheckResult("up", "success", "", time_s=world.clock.unix_s()),)
    world.cluster.renewals["api"] = Renewal(2.0)
    world.clock.after(6.0, lambda: world.cluster.check_results.update(api=(CheckResult("up", "success", "", time_s=world.clock.unix_s()),)))
    record = world.run("db")
    assert (record.exit_code, 6.0 <= record.elapsed_s <= 7.0) == (0, True)


def test_a_token_that_may_not_restart_is_told() -> None:
    world = running(RESTART)
    world.cluster.refuse("restart", "api", Denied("the token may not do that", hint="give it alloc-lifecycle"))
    record = world.run("db")
    assert (record.exit_code, record.steps["api"].reason, record.steps["api"].hint) == (
        3,
        "the token may not do that",
        "give it alloc-lifecycle",
    )


@pytest.mark.parametrize("first", [True, False])
def test_a_request_that_is_lost_fails_the_step(*, first: bool) -> None:
    world = running(RESTART, count=2)
    plan = world.plan("db")
    if first:
        world.cluster.refuse("restart", "api", Unavailable("no leader"))
    else:
        world.cluster.renewals["api"] = Renewal(2.0)
        world.clock.after(1.0, lambda: world.cluster.refuse("restart", "api", Unavailable("no leader")))
    record = world.carry_out(plan)
    assert (record.exit_code, record.steps["api"].kind) == (3, "error")


def test_a_dependent_that_somebody_stopped_meanwhile_is_left_alone() -> None:
    world = running(RESTART)
    plan = world.plan("db")
    world.cluster.stop(world.ref("api"))
    record = world.carry_out(plan)
    assert (record.steps["api"].kind, world.cluster.called("restart")) == ("superseded", [])


def test_a_dependent_of_which_nothing_runs_any_more_is_only_waited_for() -> None:
    world = running({"api": {**RESTART["api"], "timeout": 5}})
    plan = world.plan("db")
    stored = world.cluster.jobs[world.ref("api")]
    stored.life.fail(rescheduled_by="later")
    record = world.carry_out(plan)
    assert (record.steps["api"].kind, world.cluster.called("restart")) == ("timed-out", [])

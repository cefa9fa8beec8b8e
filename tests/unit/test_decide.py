"""dtree.plan: what the golden plans in tests/plans do not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.decide import is_alive, run_again
from dtree.declaration import Condition
from dtree.errors import GoalError
from dtree.model import DryRun, JobRef, JobSnapshot, JobState
from dtree.plan import (
    Evaluate,
    Noop,
    Nothing,
    ObservedJob,
    Plan,
    Refuse,
    Register,
    Rerun,
    Step,
    Stop,
)
from dtree.provenance import Registration, taken_over
from dtree.views.plan_text import plan_text
from tests.fakes import snapshots
from tests.fakes.jobs import job_spec, rendered
from tests.fakes.scripts import canary, fails, well
from tests.fakes.stored import Life
from tests.fakes.world import World


def step_of(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.name == name)


def seen(state: JobState | None, **more: Any) -> ObservedJob:
    return ObservedJob(JobSnapshot(JobRef("default", "api"), state), **more)


# -- conditions and timeouts -------------------------------------------------------------------------------------------


def test_the_owners_condition_beats_the_post_jobs_own() -> None:
    world = World({"db": {"post": {"job": "setup", "wait_cond": 3}}, "setup": {"wait_cond": "completed"}}, kinds={"setup": "batch"})
    assert step_of(world.plan("db"), "setup").condition == Condition("started", 3.0)


def test_a_jobs_own_condition_is_taken_and_ready_is_the_default() -> None:
    plan = World({"api": {"pre": "db", "wait_cond": "started"}}).plan("api")
    assert (step_of(plan, "api").condition, step_of(plan, "db").condition) == (Condition("started"), Condition("ready"))


def test_wait_ready_reads_every_number_as_until_ready_and_nothing_else() -> None:
    world = World({"api": {"pre": "db", "wait_cond": "started"}, "db": {"wait_cond": 5}})
    plan = world.plan("api", wait_ready=True)
    assert (step_of(plan, "db").condition, step_of(plan, "api").condition) == (Condition("ready"), Condition("started"))


@pytest.mark.parametrize(
    ("entry", "spec", "timeout_s"),
    [
        ({}, {}, 300.0),
        ({"timeout": "90s"}, {}, 90.0),
        ({"wait_cond": 7}, {}, 307.0),
        ({"timeout": "90s", "wait_cond": 7}, {}, 90.0),
        ({"wait_cond": {"seconds": 5, "timeout": "20s"}, "timeout": "90s"}, {}, 20.0),
        ({}, {"Update": {"ProgressDeadline": 900 * 10**9}}, 900.0),
        ({}, {"Update": {"ProgressDeadline": 60 * 10**9}}, 300.0),
        ({"timeout": "90s"}, {"Update": {"ProgressDeadline": 900 * 10**9}}, 90.0),
    ],
)
def test_the_longest_wait_is_the_most_particular_one(entry: dict[str, Any], spec: dict[str, Any], timeout_s: float) -> None:
    world = World({"api": entry}, specs={"api": job_spec("api", **spec)})
    assert step_of(world.plan("api"), "api").timeout_s == timeout_s


def test_a_groups_progress_deadline_is_waited_for_too() -> None:
    spec = job_spec("api")
    spec["TaskGroups"][0]["Update"] = {"MaxParallel": 1, "ProgressDeadline": 1200 * 10**9}
    assert step_of(World({"api": {}}, specs={"api": spec}).plan("api"), "api").timeout_s == 1200.0


def test_a_stop_waits_for_as_long_as_the_tasks_may_take_to_end() -> None:
    spec = job_spec("api")
    spec["TaskGroups"][0]["Tasks"][0]["KillTimeout"] = 900 * 10**9
    world = World({"api": {}, "db": {"timeout": "10s"}}, specs={"api": spec})
    for name in ("api", "db"):
        world.cluster.has(world.job(name))
    plan = world.plan("api", "db", verb="stop")
    assert (step_of(plan, "api").timeout_s, step_of(plan, "db").timeout_s) == (1200.0, 10.0)


def test_retries_are_those_of_the_entry() -> None:
    plan = World({"api": {"pre": "db", "retries": 2}}).plan("api")
    assert (step_of(plan, "api").retries, step_of(plan, "db").retries) == (2, 0)


# -- what is done ------------------------------------------------------------------------------------------------------


def test_a_new_job_must_not_exist_when_it_is_registered() -> None:
    assert step_of(World({"api": {}}).plan("api"), "api").action == Register(0)


def test_a_changed_job_must_be_as_the_plan_saw_it_when_it_is_registered() -> None:
    world = World({"api": {}})
    stored = world.cluster.has(world.job("api", Meta={"release": "1"}))
    step = step_of(world.plan("api"), "api")
    assert (step.action, step.change, step.cause) == (Register(stored.state.modify_index), "replace", "changed: Meta")


def test_at_most_three_changed_fields_are_named() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api", A=1, B=1, C=1, D=1, E=1))
    assert step_of(world.plan("api"), "api").cause == "changed: A, B, C and 2 more"


def test_a_change_that_nomad_does_not_name_is_a_change() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"))
    world.cluster.plans["api"] = DryRun("Edited", {"main": {"ignore": 1}}, 7)
    assert step_of(world.plan("api"), "api").cause == "changed"


@pytest.mark.parametrize(
    ("updates", "change"),
    [
        ({"web": {"place": 1}, "main": {"stop": 1}}, "replace"),
        ({"web": {"place": 1}, "main": {"ignore": 1}}, "replace"),
        ({"main": {"stop": 1}}, "replace"),
        ({"old": {"in_place": 1, "place": 2}}, "update"),
        ({"old": {"ignore": 1, "stop": 2}}, "update"),
    ],
)
def test_a_group_that_comes_or_goes_is_a_replacement_and_another_count_is_not(updates: dict[str, dict[str, int]], change: str) -> None:
    world = World({"api": {}}, specs={"api": job_spec("api", groups=("old", "web"))})
    world.cluster.has(world.job("api", TaskGroups=job_spec("api", groups=("old", "main"))["TaskGroups"]))
    world.cluster.plans["api"] = DryRun("Edited", updates, 7, ("TaskGroups",))
    assert step_of(world.plan("api"), "api").change == change


def test_a_stopped_job_whose_allocations_still_end_says_so() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"))
    world.cluster.stop_s["api"] = 60.0
    world.cluster.stop(world.ref("api"))
    world.clock.pause(1.0)
    step = step_of(world.plan("api"), "api")
    assert (step.change, step.cause) == ("create", "was stopped; 1 allocation of it is still ending")


@pytest.mark.parametrize(("timeout", "expected"), [("2s", 15.0), ("1m", 60.0), (None, 305.0)])
def test_a_stop_is_never_cut_below_the_time_that_the_job_gives_its_tasks(timeout: str | None, expected: float) -> None:
    spec = job_spec("api")
    spec["TaskGroups"][0]["Tasks"][0]["KillTimeout"] = 5_000_000_000
    world = World({"api": {"timeout": timeout} if timeout else {}}, specs={"api": spec})
    world.cluster.has(world.job("api"))
    assert step_of(world.plan("api", verb="stop"), "api").timeout_s == expected


def test_a_canary_is_a_replacement() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"))
    world.cluster.plans["api"] = DryRun("Edited", {"main": {"canary": 1}}, 7, ("Meta",))
    assert step_of(world.plan("api"), "api").change == "replace"


def test_a_running_periodic_job_is_registered_and_unchanged() -> None:
    spec = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"nightly": {}}, specs={"nightly": spec})
    world.cluster.has(world.job("nightly"))
    step = step_of(world.plan("nightly"), "nightly")
    assert (step.action, step.cause) == (Noop(0), "registered, unchanged")


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_dead_allocation_that_nomad_would_leave_be_is_purged_first(*, stop_first: bool) -> None:
    """Nomad ignores a failed allocation whose rescheduling is off, whatever else changes in place."""
    world = World({"api": {}})
    world.cluster.has(world.job("api"), fails())
    if stop_first:
        world.cluster.stop(world.ref("api"))
    version = world.cluster.jobs[world.ref("api")].state.version
    world.cluster.plans["api"] = DryRun("Edited", {"main": {"ignore": 1}}, 7, ("Priority",))
    step = step_of(world.plan("api"), "api")
    cause = "was stopped" if stop_first else "changed: Priority"
    assert (step.action, step.change) == (Rerun("purge", version), "rerun")
    assert step.cause == f"{cause}; purged first, because Nomad would not run again what has ended"


@pytest.mark.parametrize("script", [well(), fails()])
def test_what_has_ended_of_a_sysbatch_job_is_purged_first_where_nomad_would_change_it_in_place(script: Any) -> None:
    """Nomad runs it again on a node only if its tasks changed."""
    world = World({"pull": {}}, kinds={"pull": "sysbatch"})
    world.cluster.has(world.job("pull"), script)
    world.cluster.plans["pull"] = DryRun("Edited", {"main": {"in_place": 1}}, 7, ("Priority",))
    step = step_of(world.plan("pull"), "pull")
    assert (step.action, step.cause) == (
        Rerun("purge", 0),
        "changed: Priority; purged first, because Nomad would not run again what has ended",
    )


def test_a_changed_sysbatch_job_that_nomad_will_run_is_simply_registered() -> None:
    world = World({"pull": {}}, kinds={"pull": "sysbatch"})
    stored = world.cluster.has(world.job("pull"), well())
    world.cluster.plans["pull"] = DryRun("Edited", {"main": {"destructive": 1}}, 7, ("Tasks",))
    assert step_of(world.plan("pull"), "pull").action == Register(stored.state.modify_index)


def test_a_changed_batch_job_that_failed_is_simply_registered() -> None:
    world = World({"setup": {}}, kinds={"setup": "batch"})
    stored = world.cluster.has(world.job("setup", Meta={"release": "1"}), fails())
    assert step_of(world.plan("setup"), "setup").action == Register(stored.state.modify_index)


def test_a_changed_service_of_which_something_runs_is_simply_registered() -> None:
    def half(life: Life) -> None:
        life.do_well()
        life.after(5.0, life.lose_one)

    world = World({"api": {}}, specs={"api": job_spec("api", count=2)})
    stored = world.cluster.has(world.job("api", Meta={"release": "1"}), half)
    assert step_of(world.plan("api"), "api").action == Register(stored.state.modify_index)


# -- run_again ---------------------------------------------------------------------------------------------------------


def test_a_job_that_is_gone_is_registered_anew() -> None:
    assert run_again(rendered("api"), seen(None)) == (Register(0), "gone from Nomad")


def test_a_job_that_nomad_itself_returned_to_an_older_version_is_registered_again() -> None:
    action, _ = run_again(rendered("api"), seen(snapshots.job(version=2), dry_run=DryRun("Edited", {}, 7), stable_version=1))
    assert action == Register(snapshots.job(version=2).modify_index)


def test_a_sysbatch_job_is_purged_first() -> None:
    """Stopped and registered again, Nomad would leave alone what has ended of it."""
    action, _ = run_again(rendered("api"), seen(snapshots.job(type_="sysbatch", version=4)))
    assert action == Rerun("purge", 4)


def test_a_batch_job_is_stopped_first_even_where_a_version_was_stable() -> None:
    action, _ = run_again(rendered("api"), seen(snapshots.job(type_="batch", version=4), stable_version=2))
    assert action == Rerun("stop", 4)


def test_a_service_returns_to_its_last_stable_version() -> None:
    action, why = run_again(rendered("api"), seen(snapshots.job(version=4), stable_version=2))
    assert (action, why) == (Rerun("revert", 4, 2), "returned to stable version 2 first")


def test_a_service_that_was_never_stable_is_purged_if_nothing_runs() -> None:
    action, _ = run_again(rendered("api"), seen(snapshots.job(version=4)))
    assert action == Rerun("purge", 4)


def test_a_service_that_was_never_stable_and_partly_runs_is_refused() -> None:
    def all_run(life: Life) -> None:
        life.place()
        life.run()

    world = World({"api": {}}, specs={"api": job_spec("api", count=2)})
    stored = world.cluster.has(world.job("api"), all_run)
    action, _ = run_again(world.job("api"), ObservedJob(stored.snapshot()))
    assert isinstance(action, Refuse)
    assert "2 allocations of it still run" in action.why
    assert "nomad-dtree stop api --purge" in action.hint


# -- stop --------------------------------------------------------------------------------------------------------------


def test_a_job_that_still_ends_is_awaited_and_not_asked_again() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"))
    world.cluster.stop_s["api"] = 60.0
    world.cluster.stop(world.ref("api"))
    step = step_of(world.plan("api", verb="stop"), "api")
    assert (step.action, step.cause) == (Stop(purge=False, asked=True), "its allocations are still ending")


def test_a_job_that_waits_for_a_place_is_stopped() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"), lambda life: life.place())
    step = step_of(world.plan("api", verb="stop"), "api")
    assert (step.action, step.cause) == (Stop(purge=False), "pending")


def test_a_user_that_does_not_run_keeps_nothing() -> None:
    world = World({"web": {"pre": "api"}})
    world.cluster.has(world.job("api"))
    assert step_of(world.plan("api", verb="stop"), "api").change == "stop"


def test_post_jobs_of_post_jobs_are_stopped_with_their_owner() -> None:
    world = World({"db": {"post": "setup"}, "setup": {"post": "seed"}, "seed": {"post": "setup2"}, "setup2": {}})
    assert [step.name for step in world.plan("db", verb="stop").steps] == ["setup2", "seed", "setup", "db"]


def test_a_stop_of_an_unknown_job_is_told() -> None:
    with pytest.raises(GoalError):
        World({"db": {}}).plan("dv", verb="stop")


@pytest.mark.parametrize(
    ("snapshot", "alive"),
    [
        (JobSnapshot(JobRef("default", "a"), None), False),
        (JobSnapshot(JobRef("default", "a"), snapshots.job(status="pending")), True),
        (JobSnapshot(JobRef("default", "a"), snapshots.job(status="running")), True),
        (JobSnapshot(JobRef("default", "a"), snapshots.job(status="dead")), False),
    ],
)
def test_a_job_is_alive_as_long_as_anything_of_it_runs_or_will(snapshot: JobSnapshot, *, alive: bool) -> None:
    assert is_alive(snapshot) is alive


# -- the plan as a whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "change", "pending"),
    [
        (Register(0), "create", True),
        (Register(0), "update", True),
        (Register(0), "replace", True),
        (Rerun("stop", 0), "rerun", True),
        (Stop(purge=False), "stop", True),
        (Stop(purge=True), "purge", True),
        (Refuse("no way", ""), "rerun", True),
        (Refuse("no way", ""), "keep", True),
        (Evaluate(0), "evaluate", True),
        (Noop(0), "noop", False),
        (Nothing(), "keep", False),
        (Nothing(), "absent", False),
    ],
)
def test_a_plan_is_pending_if_it_would_change_anything(action: Any, change: Any, *, pending: bool) -> None:
    plan = World({"api": {}}).plan("api")
    changed = replace(plan, steps=(replace(plan.steps[0], action=action, change=change),))
    assert changed.pending is pending


@pytest.mark.parametrize(("place", "action"), [(2, Noop(0)), (3, Evaluate(0))])
def test_a_system_jobs_place_counts_the_nodes_where_it_runs_too(place: int, action: Any) -> None:
    world = World({"proxy": {}}, kinds={"proxy": "system"})
    world.cluster.has(world.job("proxy"))
    world.cluster.plans["proxy"] = DryRun("None", {"main": {"place": place, "ignore": 2}}, 7)
    assert step_of(world.plan("proxy"), "proxy").action == action


@pytest.mark.parametrize(("count", "what"), [(1, "a failed allocation waits"), (2, "2 failed allocations wait")])
def test_what_waits_to_be_rescheduled_is_evaluated(count: int, what: str) -> None:
    def is_late(life: Life) -> None:
        life.place()
        life.run()
        life.fail(rescheduled_by="in-an-hour")

    world = World({"api": {}}, specs={"api": job_spec("api", count=count)})
    world.cluster.has(world.job("api"), is_late)
    step = step_of(world.plan("api"), "api")
    assert (step.action, step.cause) == (Evaluate(0), f"unchanged, but {what} to be rescheduled: that is done at once")


def test_a_canary_that_waits_for_promotion_is_told_of() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"), canary)
    step = step_of(world.plan("api"), "api")
    assert (step.action, step.cause) == (Noop(0), "unchanged, but awaiting promotion: 1 healthy canary of version 0")


def test_a_job_of_count_0_is_not_said_to_run() -> None:
    world = World({"api": {}}, specs={"api": job_spec("api", count=0)})
    world.cluster.has(world.job("api"))
    assert step_of(world.plan("api"), "api").cause == "unchanged"


def test_a_lost_allocation_is_evaluated() -> None:
    world = World({"api": {}}, specs={"api": job_spec("api", count=2)})
    world.cluster.has(world.job("api")).life.lose_one("lost")
    assert step_of(world.plan("api"), "api").action == Evaluate(0)


@pytest.mark.parametrize(
    ("count", "cause"),
    [
        (1, "unchanged, but a failed allocation waits to be rescheduled: that is done at once"),
        (2, "unchanged, but 2 failed allocations wait to be rescheduled: that is done at once"),
    ],
)
def test_a_reschedule_that_waits_for_its_time_is_done_at_once(count: int, cause: str) -> None:
    def delayed(life: Life) -> None:
        life.place()
        life.run()
        life.after(1.0, lambda: life.fail(rescheduled_by="later"))

    world = World({"setup": {}}, specs={"setup": job_spec("setup", "batch", count=count)})
    world.cluster.has(world.job("setup"), delayed)
    step = step_of(world.plan("setup"), "setup")
    assert (step.action, step.cause) == (Evaluate(0), cause)


def test_an_unchanged_job_whose_canary_waits_for_promotion_is_left_to_the_person() -> None:
    world = World({"api": {}})
    world.cluster.has(world.job("api"), canary)
    step = step_of(world.plan("api"), "api")
    assert (step.action, step.cause) == (Noop(0), "unchanged, but awaiting promotion: 1 healthy canary of version 0")


def test_warnings_of_nomad_stand_in_the_plan_by_job() -> None:
    world = World({"api": {"pre": "db"}})
    world.cluster.warnings.update(api="group main has no update block", db="old field")
    assert world.plan("api").warnings == ("api: group main has no update block", "db: old field")


def test_planning_changes_nothing() -> None:
    world = World({"api": {"pre": "db"}})
    world.cluster.has(world.job("db"), fails())
    world.plan("api")
    world.plan("api", verb="stop", deep=True)
    assert world.cluster.changes == []


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Twice the same dependencies, in another order."""
    names = [f"j{number}" for number in range(draw(st.integers(1, 7)))]
    first: Mapping[str, list[str]] = {
        name: draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)
    }
    second = {name: {"pre": draw(st.permutations(first[name]))} for name in draw(st.permutations(names))}
    return {name: {"pre": needs} for name, needs in first.items()}, second


@given(shuffled())
def test_the_same_state_gives_the_same_plan_byte_for_byte_whatever_the_order_of_the_file(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    first, second = (World(dependencies) for dependencies in pair)
    for verb in ("run", "stop"):
        for world in (first, second):
            world.cluster.has(world.job("j0"))
        plans = [world.plan(*pair[0], verb=verb) for world in (first, second)]
        assert plan_text(plans[0]) == plan_text(plans[1])
        assert [(step.name, step.needs, step.cause) for step in plans[0].steps] == [
            (step.name, step.needs, step.cause) for step in plans[1].steps
        ]


@given(shuffled())
def test_every_step_comes_after_its_needs_and_a_stop_is_a_start_turned_round(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    world = World(pair[0])
    start = world.plan(*pair[0])
    stop = world.plan(*pair[0], verb="stop")
    for plan in (start, stop):
        place = {step.name: number for number, step in enumerate(plan.steps)}
        assert all(place[need] < place[step.name] for step in plan.steps for need in step.needs)
    assert [step.name for step in stop.steps] == [step.name for step in reversed(start.steps)]


# -- what is noted -----------------------------------------------------------------------------------------------------


def test_a_changed_job_is_noted_once_it_is_registered_and_an_unchanged_one_as_what_it_is() -> None:
    world = World({"api": {"pre": "db"}})
    world.cluster.has(world.job("db"))
    plan = world.plan("api")
    state = world.cluster.peek(world.ref("db")).job
    assert state is not None
    assert [(step.provenance.registered if step.provenance else None, step.is_noted) for step in plan.steps] == [
        (Registration(state.version, state.modify_index, state.shape), False),
        (None, False),
    ]
    assert {step.provenance.store for step in plan.steps if step.provenance} == {"memory"}


def test_what_is_noted_already_is_not_noted_again_and_changes_no_step() -> None:
    world = World({"db": {}})
    world.run("db")
    assert step_of(world.plan("db"), "db").is_noted
    world.specs["other"] = job_spec("other")
    again = world.plan("db")
    # Another file of the store is another revision: that is to be noted, and no change of the job.
    assert (step_of(again, "db").change, step_of(again, "db").is_noted, again.pending) == ("noop", False, False)


def test_an_autoscaled_job_stays_noted_as_what_was_registered() -> None:
    spec = job_spec("web")
    spec["TaskGroups"][0]["Scaling"] = {"Enabled": True, "Min": 1, "Max": 9}
    world = World({"web": {}}, specs={"web": spec})
    world.run("web")
    world.cluster.somebody_scales(world.ref("web"), "main", 3)
    step = step_of(world.plan("web"), "web")
    assert (step.change, step.is_noted) == ("noop", True)
    assert step.provenance is not None
    assert step.provenance.registered is not None
    assert step.provenance.registered.version == 0


def test_a_purge_of_what_nomad_has_forgotten_is_for_what_is_noted_of_it() -> None:
    world = World({"db": {}}, kinds={"db": "batch"})
    world.run("db")
    world.cluster.collect(world.ref("db"))
    assert step_of(world.plan("db", verb="stop"), "db").change == "absent"
    step = step_of(world.plan("db", verb="stop", purge=True), "db")
    assert (step.action, step.change, step.cause) == (Stop(purge=True, asked=True), "purge", "not in Nomad, but noted")
    assert world.stop("db", purge=True).exit_code == 0
    assert step_of(world.plan("db", verb="stop", purge=True), "db").change == "absent"


def test_what_was_changed_back_by_hand_is_noted_as_what_it_now_is() -> None:
    world = World({"db": {}}, head={"stack": "shop"})
    world.run("db")
    note = world.cluster.variables["default", "dtree/shop/db"]
    world.cluster.variables["default", "dtree/shop/db"] = {**note, "shape": "another", "modify_index": "1"}
    step = step_of(world.plan("db"), "db")
    state = world.cluster.peek(world.ref("db")).job
    assert state is not None
    assert (step.change, step.is_noted) == ("noop", False)
    assert step.provenance is not None
    assert step.provenance.registered == Registration(state.version, state.modify_index, state.shape)


# -- what others did since ---------------------------------------------------------------------------------------------


def test_a_plan_that_undoes_what_somebody_else_registered_says_so() -> None:
    world = World({"db": {}})
    world.run("db")
    world.cluster.somebody_registers(world.job("db", Priority=70))
    assert step_of(world.plan("db"), "db").cause.endswith("; somebody else registered version 1 since")
    world.run("db")
    assert "somebody else" not in step_of(world.plan("db"), "db").cause


def test_a_change_of_what_was_registered_last_says_nothing_of_others() -> None:
    world = World({"db": {}})
    world.run("db")
    world.specs["db"] = world.specs["db"] | {"Priority": 70}
    assert "since" not in step_of(world.plan("db"), "db").cause


def test_a_version_that_nomad_itself_returned_to_is_nobody_elses() -> None:
    world = World({"db": {}})
    world.run("db")
    ref = world.ref("db")
    world.specs["db"] = world.specs["db"] | {"Priority": 70}
    world.run("db")
    snapshot = world.cluster.peek(ref)
    assert snapshot.job is not None
    failed = [
        replace(one, status="failed", description="Failed due to progress deadline - rolling back to job version 0")
        for one in snapshot.deployments
    ]
    reverted = replace(snapshot, job=replace(snapshot.job, version=2, modify_index=900, shape="as it was"), deployments=tuple(failed))
    note = world.cluster.variables["default", "dtree/memory/db"]
    assert taken_over(note, reverted) == "Nomad itself went back from version 1, which failed"
    assert taken_over(note, replace(reverted, deployments=())) == "somebody else registered version 2 since"
    assert taken_over({}, reverted) == ""
    assert taken_over(note, replace(reverted, job=None)) == ""

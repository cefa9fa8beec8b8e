"""dtree.executor: runs and stops of whole trees, in made-up time, on a cluster in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtree.errors import Conflict, Denied, Invalid, Unavailable, Unreachable
from dtree.events import (
    Event,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.model import CheckResult
from dtree.record import RunRecord
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import canary, exhausted_until, fails, falls_over, filtered, filtered_until, never, well
from tests.fakes.stored import Life
from tests.fakes.world import World

SEED = {
    "nginx": {"pre": {"job": "api"}},
    "api": {"pre": {"job": "postgres"}},
    "postgres": {"post": {"job": "postgres_setup"}},
}


def states(record: RunRecord) -> dict[str, str]:
    return {name: step.state for name, step in record.steps.items()}


def is_(kind: type[Event], job: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and getattr(event, "job", "") == job


# -- order -------------------------------------------------------------------------------------------------------------


def test_the_seed_comes_up_in_its_order_each_as_soon_as_what_it_needs_is_ready() -> None:
    scripts = {"postgres": well(2.0), "postgres_setup": well(0.5), "api": well(1.0), "nginx": well(0.25)}
    world = World(SEED, scripts, kinds={"postgres_setup": "batch"})
    record = world.run("nginx")
    assert record.exit_code == 0
    assert world.cluster.changes == [("register", name) for name in ("postgres", "postgres_setup", "api", "nginx")]
    assert [world.at_s(StepRegistered, name) for name in ("postgres", "postgres_setup", "api", "nginx")] == [0.0, 2.0, 2.5, 3.5]
    assert record.elapsed_s == 3.75


def test_a_run_tells_its_plan_first_and_its_end_last() -> None:
    world = World({"api": {"pre": "db"}})
    world.run("api")
    opening, end = world.events[0], world.events[-1]
    assert isinstance(opening, RunStarted)
    assert [(step.job, step.change, step.needs) for step in opening.steps] == [("db", "create", ()), ("api", "create", ("db",))]
    assert end == RunFinished(end.time_s, 0, 0.0)
    assert world.told() == ["start db", "registered db", "ready db", "start api", "registered api", "ready api"]


def test_a_step_starts_the_moment_its_own_edges_are_met_and_not_with_a_wave() -> None:
    dependencies = {"top": {"pre": ["above_fast", "slow"]}, "above_fast": {"pre": "fast"}, "fast": {}, "slow": {}}
    world = World(dependencies, {"fast": well(1.0), "slow": well(60.0)})
    assert world.run("top").exit_code == 0
    assert world.at_s(StepStarted, "above_fast") == 1.0
    assert world.at_s(StepStarted, "top") == 60.0


def test_the_same_run_tells_the_same_events() -> None:
    def told() -> list[Event]:
        world = World({"web": {"pre": ["api", "auth"]}, "api": {"pre": "db"}, "auth": {"pre": "db"}}, {"db": well(1.0), "auth": fails()})
        world.run("web")
        return world.events

    assert told() == told()


def test_parallelism_is_never_exceeded_and_is_made_use_of() -> None:
    names = [f"j{number:02}" for number in range(20)]
    world = World({name: {} for name in names}, {name: well(1.0) for name in names})
    plan = world.plan(*names)
    in_flight, most = 0, 0
    assert world.carry_out(plan, parallelism=3).exit_code == 0
    for event in world.events:
        in_flight += isinstance(event, StepStarted) - isinstance(event, StepReady)
        most = max(most, in_flight)
    assert most == 3
    assert world.events[-1].time_s - world.events[0].time_s == 7.0


@settings(max_examples=60)
@given(st.data())
def test_no_dependent_is_registered_before_what_it_needs_is_ready(data: st.DataObject) -> None:
    names = [f"j{number}" for number in range(data.draw(st.integers(1, 7)))]
    needs = {name: data.draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)}
    ends = {name: data.draw(st.sampled_from([well(0.0), well(1.0), well(2.5), fails(1.5), never])) for name in names}
    kinds = {name: data.draw(st.sampled_from(["service", "batch"])) for name in names}
    world = World({name: {"pre": needs[name], "timeout": 30} for name in names}, ends, kinds=kinds)
    record = world.carry_out(world.plan(*names), parallelism=data.draw(st.integers(1, 4)))
    ready: set[str] = set()
    for event in world.events:
        if isinstance(event, StepReady):
            ready.add(event.job)
        if isinstance(event, StepStarted):
            assert set(needs[event.job]) <= ready
    assert set(states(record).values()) <= {"ready", "failed", "lost"}
    registered = set(world.cluster.called("register"))
    assert registered == {name for name, state in states(record).items() if state != "lost"}
    assert (record.exit_code == 0) == (set(states(record).values()) == {"ready"})


def test_a_chain_of_a_thousand_jobs_and_a_thousand_side_by_side_are_quick() -> None:
    chain: dict[str, Any] = {f"c{number:04}": {"pre": f"c{number - 1:04}"} for number in range(1, 1000)}
    wide: dict[str, Any] = {f"w{number:04}": {} for number in range(1000)}
    world = World({**chain, **wide})
    plan = world.plan("c0999", *wide)
    began_s = time.process_time()
    assert world.carry_out(plan, parallelism=64).exit_code == 0
    assert time.process_time() - began_s < 10
    assert len(world.cluster.called("register")) == 2000


# -- failure -----------------------------------------------------------------------------------------------------------


def test_a_failure_is_recorded_before_anything_else_starts_and_loses_everything_above_it() -> None:
    world = World({"web": {"pre": "api"}, "api": {"pre": "db"}, "db": {}}, {"db": fails(1.0, code=3)})
    record = world.run("web")
    assert states(record) == {"db": "failed", "api": "lost", "web": "lost"}
    assert [record.steps[name].because for name in ("api", "web")] == ["db", "db"]
    assert world.told()[-3:] == ["failed db", "lost api", "lost web"]
    assert world.cluster.called("register") == ["db"]
    assert record.exit_code == 3
    assert "xit code 3" in record.steps["db"].reason + " ".join(record.steps["db"].details).replace("Exit", "exit")


def test_other_branches_go_on() -> None:
    dependencies = {"web": {"pre": ["api", "files"]}, "api": {"pre": "db"}, "files": {"pre": "disk"}, "db": {}, "disk": {}}
    world = World(dependencies, {"db": fails(1.0), "disk": well(5.0), "files": well(1.0)})
    record = world.run("web")
    assert states(record) == {"db": "failed", "api": "lost", "web": "lost", "disk": "ready", "files": "ready"}
    assert record.exit_code == 3


def test_a_lost_step_is_reported_under_the_one_that_broke_and_not_under_a_lost_one() -> None:
    world = World({"web": {"pre": ["api", "auth"]}, "api": {"pre": "db"}, "auth": {}}, {"db": fails(1.0), "auth": fails(9.0)})
    record = world.run("web")
    assert (record.steps["web"].because, record.steps["api"].because) == ("db", "db")
    assert states(record)["auth"] == "failed"


def test_fail_fast_starts_nothing_more_once_a_step_failed() -> None:
    dependencies = {"web": {"pre": ["api", "files"]}, "api": {"pre": "db"}, "files": {"pre": "disk"}, "db": {}, "disk": {}}
    world = World(dependencies, {"db": fails(1.0), "disk": well(5.0)})
    record = world.carry_out(world.plan("web"), fail_fast=True)
    assert states(record) == {"db": "failed", "disk": "ready", "api": "lost", "files": "lost", "web": "lost"}
    assert world.cluster.called("register") == ["db", "disk"]
    assert record.exit_code == 3


def test_the_last_lines_of_the_log_explain_a_failure() -> None:
    world = World({"db": {}}, {"db": fails(1.0)})
    world.cluster.log_lines["db"] = tuple(f"line {number}" for number in range(1, 31))
    details = "\n".join(world.run("db").steps["db"].details)
    assert "line 30" in details
    assert "line 11" in details
    assert "line 10" not in details


def test_a_log_that_cannot_be_read_leaves_the_failure_as_it_is() -> None:
    world = World({"db": {}}, {"db": fails(1.0)})
    world.cluster.refuse("logs", "db", Denied("the token may not read logs"))
    step = world.run("db").steps["db"]
    assert (step.state, step.kind) == ("failed", "failed")
    assert any("the token may not read logs" in line for line in step.details)


def test_a_bug_in_a_worker_ends_the_run_instead_of_hanging_it() -> None:
    world = World({"db": {}})

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a bug")

    plan = world.plan("db")
    world.cluster.register = broken  # type: ignore[method-assign]
    with pytest.raises(KeyError, match="a bug"):
        world.carry_out(plan)


# -- exit codes --------------------------------------------------------------------------------------------------------


def test_an_error_before_any_change_is_exit_1() -> None:
    world = World({"api": {"pre": "db"}})
    world.cluster.refuse("register", "db", Denied("the token may not submit jobs", hint="give it submit-job"))
    record = world.run("api")
    assert record.exit_code == 1
    assert (record.steps["db"].kind, record.steps["db"].reason, record.steps["db"].hint) == (
        "error",
        "the token may not submit jobs",
        "give it submit-job",
    )
    assert states(record) == {"db": "failed", "api": "lost"}


def test_an_error_after_a_change_is_exit_3() -> None:
    world = World({"api": {"pre": "db"}})
    world.cluster.refuse("register", "api", Unavailable("no leader"))
    assert world.run("api").exit_code == 3


def test_a_job_that_was_changed_between_plan_and_register_is_not_overwritten() -> None:
    world = World({"db": {}})
    plan = world.plan("db")
    world.cluster.somebody_registers(world.job("db", Priority=70))
    record = world.carry_out(plan)
    assert (record.steps["db"].kind, record.exit_code) == ("changed-meanwhile", 1)
    assert world.cluster.bodies == []


def test_an_unchanged_job_that_was_changed_meanwhile_is_told() -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    plan = world.plan("db")
    world.cluster.somebody_registers(world.job("db", Priority=70))
    record = world.carry_out(plan)
    assert (record.steps["db"].kind, record.steps["db"].reason) == ("changed-meanwhile", "job 'db' was changed since the plan was made")


def test_an_unchanged_job_that_an_autoscaler_scaled_meanwhile_is_still_unchanged() -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    plan = world.plan("db")
    world.cluster.somebody_scales(world.ref("db"), "main", 2)
    record = world.carry_out(plan)
    assert (record.steps["db"].state, record.steps["db"].version, record.exit_code) == ("ready", 1, 0)


def test_a_registration_without_an_answer_may_have_changed_something() -> None:
    world = World({"db": {}})
    world.cluster.refuse("register", "db", Unavailable("no leader"))
    record = world.run("db")
    assert (record.steps["db"].kind, record.exit_code) == ("error", 3)


def test_an_unchanged_job_that_was_removed_meanwhile_is_told() -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    plan = world.plan("db")
    world.cluster.collect(world.ref("db"))
    record = world.carry_out(plan)
    assert (record.steps["db"].kind, record.steps["db"].reason) == ("changed-meanwhile", "job 'db' was removed since the plan was made")


def test_a_wait_that_takes_too_long_is_exit_6() -> None:
    world = World({"api": {"pre": "db"}, "db": {"timeout": "90s"}}, {"db": never})
    record = world.run("api")
    assert (record.exit_code, record.elapsed_s) == (6, 90.0)
    assert record.steps["db"].kind == "timed-out"
    assert record.steps["db"].reason.startswith("not ready within 90 s: 0 of 1 allocation healthy")
    assert states(record)["api"] == "lost"


def test_a_canary_that_waits_for_somebody_is_exit_7_and_nothing_above_it_is_registered() -> None:
    world = World({"api": {"pre": "db"}}, {"db": canary})
    record = world.run("api")
    assert (record.exit_code, record.steps["db"].kind) == (7, "awaiting-promotion")
    assert record.steps["db"].hint == "promote with `nomad-dtree promote db`, then run again for what needs it"
    assert world.cluster.called("register") == ["db"]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["good"], 0),
        (["good", "canary"], 7),
        (["slow", "canary"], 6),
        (["bad", "slow", "canary"], 3),
    ],
)
def test_where_several_exit_codes_apply_the_gravest_is_given(names: list[str], code: int) -> None:
    world = World({name: {"timeout": 20} for name in names}, {"bad": fails(), "slow": never, "canary": canary})
    assert world.run(*names).exit_code == code


def test_an_interrupt_beats_every_other_exit_code() -> None:
    world = World({"bad": {}, "slow": {}}, {"bad": fails(1.0), "slow": never})
    world.clock.after(5.0, world.interrupt)
    record = world.run("bad", "slow")
    assert (states(record)["bad"], record.exit_code) == ("failed", 130)


# -- retries -----------------------------------------------------------------------------------------------------------


def test_a_failed_batch_job_is_tried_again_by_stopping_and_registering_it() -> None:
    world = World({"db": {"retries": 2}}, {"db": [fails(1.0, 4), fails(1.0, 5), well()]}, kinds={"db": "batch"})
    record = world.run("db")
    assert world.cluster.changes == [("register", "db"), ("stop", "db"), ("register", "db"), ("stop", "db"), ("register", "db")]
    step = record.steps["db"]
    assert (record.exit_code, step.state, step.attempt, len(step.attempts)) == (0, "ready", 3, 2)
    assert "code 4" in step.attempts[0]
    assert "code 5" in step.attempts[1]
    assert [(event.attempt, event.attempts) for event in world.of(StepRetrying)] == [(1, 3), (2, 3)]


def test_a_failed_service_without_a_stable_version_is_tried_again_by_purging_it() -> None:
    world = World({"db": {"retries": 1}}, {"db": [fails(1.0), well()]})
    assert world.run("db").exit_code == 0
    assert world.cluster.changes == [("register", "db"), ("stop", "db"), ("purge", "db"), ("register", "db")]


def test_a_failed_service_with_a_stable_version_is_tried_again_by_returning_to_it() -> None:
    world = World({"db": {"retries": 1}}, {"db": [fails(1.0), well()]})
    world.cluster.has(world.job("db", Meta={"release": "1"}), well())
    assert world.run("db").exit_code == 0
    assert world.cluster.changes == [("register", "db"), ("revert", "db"), ("register", "db")]


def test_when_all_attempts_failed_the_last_reason_counts_and_the_others_are_kept() -> None:
    world = World({"db": {"retries": 1}}, {"db": [fails(1.0, 4), fails(1.0, 5)]}, kinds={"db": "batch"})
    step = world.run("db").steps["db"]
    assert (step.state, step.attempt) == ("failed", 2)
    assert "code 5" in step.reason
    assert ["code 4" in reason for reason in step.attempts] == [True]


def test_a_service_of_which_something_runs_is_not_tried_again_and_the_reason_is_told() -> None:
    def half(life: Life) -> None:
        life.place()
        life.run()
        life.after(1.0, life.lose_one)
        life.after(1.0, life.break_deployment)

    world = World({"db": {"retries": 1, "timeout": 5}}, {"db": half}, specs={"db": job_spec("db", count=2)})
    step = world.run("db").steps["db"]
    assert (step.state, step.attempt) == ("failed", 1)
    assert any("it is not tried again" in line for line in step.details)


def test_a_retry_that_cannot_be_prepared_is_told() -> None:
    world = World({"db": {"retries": 1}}, {"db": fails(1.0)}, kinds={"db": "batch"})
    plan = world.plan("db")
    world.cluster.refuse("dry_run", "db", Unreachable("connection refused"))
    step = world.carry_out(plan).steps["db"]
    assert (step.state, step.attempt) == ("failed", 1)
    assert any("connection refused" in line for line in step.details)


def test_a_timed_out_step_is_tried_again() -> None:
    world = World({"db": {"retries": 1, "timeout": 10}}, {"db": [never, well()]}, kinds={"db": "batch"})
    record = world.run("db")
    assert record.exit_code == 0
    assert 10.0 <= record.elapsed_s < 10.5


def test_a_retry_that_is_done_before_anybody_looks_is_seen() -> None:
    def at_once(life: Life) -> None:
        life.place()
        life.complete()

    world = World({"db": {"retries": 1}}, {"db": [fails(1.0), at_once]}, kinds={"db": "batch"})
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (0, 1.0)


def test_a_canary_that_waits_is_not_tried_again() -> None:
    world = World({"db": {"retries": 3}}, {"db": canary})
    world.run("db")
    assert world.cluster.called("register") == ["db"]


def test_needs_are_judged_again_before_a_retry_too() -> None:
    world = World({"api": {"pre": "db", "retries": 1}}, {"db": falls_over(0.0, 5.0), "api": fails(10.0)}, kinds={"api": "batch"})
    record = world.run("api")
    assert states(record) == {"db": "failed", "api": "lost"}
    assert world.cluster.called("register") == ["db", "api"]


# -- falling over ------------------------------------------------------------------------------------------------------


def test_a_need_that_fell_over_is_a_failure_and_its_dependent_is_never_registered() -> None:
    dependencies = {"web": {"pre": "api"}, "api": {"pre": ["db", "slow"]}, "db": {}, "slow": {}}
    world = World(dependencies, {"db": falls_over(1.0, 5.0), "slow": well(20.0)})
    record = world.run("web")
    assert states(record) == {"db": "failed", "slow": "ready", "api": "lost", "web": "lost"}
    assert record.steps["db"].reason.startswith("was ready and fell over: ")
    assert [record.steps[name].because for name in ("api", "web")] == ["db", "db"]
    assert sorted(world.cluster.called("register")) == ["db", "slow"]
    assert record.exit_code == 3


def test_two_dependents_of_one_that_fell_over_tell_it_once() -> None:
    dependencies = {"web": {"pre": ["a", "b"]}, "a": {"pre": ["db", "slow"]}, "b": {"pre": ["db", "slow"]}, "db": {}, "slow": {}}
    world = World(dependencies, {"db": falls_over(1.0, 5.0), "slow": well(20.0)})
    record = world.run("web")
    assert [event.job for event in world.of(StepFailed)] == ["db"]
    assert states(record) == {"db": "failed", "slow": "ready", "a": "lost", "b": "lost", "web": "lost"}
    assert sorted(event.job for event in world.of(StepLost)) == ["a", "b", "web"]


def test_a_service_that_fell_over_after_its_dependents_came_up_is_found_at_the_end() -> None:
    world = World({"web": {"pre": "api"}, "api": {"pre": "db"}}, {"db": falls_over(0.0, 5.0), "web": well(20.0)})
    record = world.run("web")
    assert states(record) == {"db": "failed", "api": "ready", "web": "ready"}
    assert (record.exit_code, world.events[-2].time_s - world.events[0].time_s) == (3, 20.0)


def test_a_batch_need_that_completed_and_was_collected_is_no_failure() -> None:
    world = World({"api": {"pre": ["setup", "slow"]}}, {"setup": well(0.02), "slow": well(60.0)}, kinds={"setup": "batch"})
    world.clock.after(30.0, lambda: world.cluster.collect(world.ref("setup")))
    assert world.run("api").exit_code == 0


def test_a_batch_job_that_completes_and_is_collected_before_it_is_seen_complete_is_told_apart_from_a_failure() -> None:
    world = World({"setup": {}}, {"setup": well(0.02)}, kinds={"setup": "batch"})
    assert states(world.run("setup")) == {"setup": "ready"}


def test_a_scale_up_by_an_autoscaler_during_the_run_is_neither_superseded_nor_fallen_over() -> None:
    world = World({"web": {"pre": ["api"]}, "api": {}}, {"web": well(20.0)})
    world.clock.after(5.0, lambda: world.cluster.somebody_scales(world.ref("api"), "main", 3, after_s=100.0))
    record = world.run("web")
    assert (record.exit_code, states(record)) == (0, {"api": "ready", "web": "ready"})


def test_a_scale_up_while_the_job_is_waited_for_is_not_superseded() -> None:
    world = World({"api": {}}, {"api": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.somebody_scales(world.ref("api"), "main", 3, after_s=20.0))
    record = world.run("api")
    assert (record.exit_code, record.elapsed_s) == (0, 25.0)


def test_somebody_elses_version_is_told_as_superseding() -> None:
    world = World({"web": {"pre": "api"}}, {"api": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.somebody_registers(world.job("api", Priority=70), well()))
    record = world.run("web")
    assert (record.steps["api"].kind, record.exit_code, states(record)["web"]) == ("superseded", 3, "lost")


@pytest.mark.parametrize("slow", ["slow", "web"])  # before its dependent starts, and at the end of the run
def test_a_job_that_somebody_takes_over_after_it_was_ready_is_superseded(slow: str) -> None:
    world = World({"web": {"pre": ["api", "slow"]}, "slow": {}, "api": {}}, {slow: well(20.0)})
    world.clock.after(10.0, lambda: world.cluster.somebody_registers(world.job("api", Priority=70), well()))
    record = world.run("web")
    step = record.steps["api"]
    assert (record.exit_code, step.kind) == (3, "superseded")
    assert step.reason == "was ready; then somebody registered version 1 of the job over version 0"
    assert step.hint == "look at what it would undo with `nomad-dtree plan`, then run again"
    assert states(record)["web"] == ("lost" if slow == "slow" else "ready")


def test_a_job_that_somebody_stops_after_it_was_ready_is_superseded() -> None:
    world = World({"web": {"pre": ["api", "slow"]}, "slow": {}, "api": {}}, {"slow": well(20.0)})
    world.when(is_(StepReady, "api"), lambda: world.cluster.stop(world.ref("api")))
    step = world.run("web").steps["api"]
    assert (step.kind, step.reason, step.hint) == (
        "superseded",
        "was ready; then somebody stopped the job",
        "ask who did; to start it, run again",
    )


def test_an_interrupt_while_everything_is_judged_again_at_the_end_ends_the_run() -> None:
    world = World({"api": {}}, {"api": well(5.0)})
    world.when(is_(StepReady, "api"), lambda: world.cluster.latency_s.update({"snapshot api": 60.0}))
    world.clock.after(10.0, world.interrupt)
    record = world.run("api")
    assert (record.exit_code, record.elapsed_s, states(record)) == (130, 10.0, {"api": "ready"})


def test_services_that_cannot_be_judged_again_at_the_end_are_no_success() -> None:
    world = World({"api": {"pre": "db"}}, {"api": well(5.0)})
    world.when(is_(StepReady, "api"), lambda: world.cluster.refuse("snapshot", "api", Unreachable("connection refused")))
    record = world.run("api")
    assert record.exit_code == 3
    assert any("connection refused" in step.reason for step in record.steps.values())


# -- placement ---------------------------------------------------------------------------------------------------------


def test_no_eligible_node_is_a_failure_after_the_placement_timeout() -> None:
    world = World({"api": {"pre": "db"}}, {"db": filtered})
    record = world.run("api")
    assert (record.exit_code, record.steps["db"].kind) == (3, "failed")
    assert 15.0 <= record.elapsed_s < 15.1
    assert "kernel" in record.steps["db"].reason


def test_the_placement_timeout_starts_when_it_is_first_unplaceable_and_begins_anew_after_a_break() -> None:
    def flapping(life: Life) -> None:
        life.place()
        life.run()
        life.after(100.0, lambda: filtered_again(life))
        life.after(110.0, life.place)
        life.after(110.0, life.run)
        life.after(120.0, lambda: filtered_again(life))

    def filtered_again(life: Life) -> None:
        life.lose_one("lost")
        filtered(life)

    world = World({"db": {}}, {"db": flapping})
    record = world.run("db")
    assert (record.exit_code, record.steps["db"].kind) == (3, "failed")
    assert 135.0 <= record.elapsed_s < 135.1


def test_a_node_that_comes_in_time_is_made_use_of() -> None:
    world = World({"db": {}}, {"db": filtered_until(10.0)})
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (0, 10.0)


def test_exhausted_resources_are_waited_for_with_the_reason_shown() -> None:
    world = World({"db": {}}, {"db": exhausted_until(200.0)})
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (0, 200.0)
    assert any("memory" in event.reason for event in world.of(StepWaiting))


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_the_reason_of_a_wait_is_told_once_as_long_as_it_stays() -> None:
    world = World({"db": {}}, {"db": well(60.0)})
    world.run("db")
    reasons = [event.reason for event in world.of(StepWaiting)]
    assert len(reasons) == len(set(reasons))
    assert reasons


def test_the_seeds_seconds_are_waited_for_after_nomad_accepted_the_job() -> None:
    world = World({"api": {"pre": "db", "wait_cond": 7}, "db": {"wait_cond": 5}}, {"db": never, "api": never})
    record = world.run("api")
    assert record.exit_code == 0
    assert 12.0 <= record.elapsed_s < 12.1


def test_unchanged_running_jobs_are_not_registered_and_not_waited_for() -> None:
    world = World({"api": {"pre": "db", "wait_cond": 7}, "db": {"wait_cond": 5}})
    world.run("api")
    world.events.clear()
    record = world.run("api")
    assert world.cluster.changes == []
    assert (record.exit_code, record.elapsed_s) == (0, 0.0)
    assert [event.changed for event in world.of(StepRegistered)] == [False, False]


def test_a_lost_allocation_is_placed_anew_by_an_evaluation() -> None:
    world = World({"db": {}})
    stored = world.cluster.has(world.job("db"))
    stored.life.lose_one("lost")
    record = world.run("db")
    assert (world.cluster.changes, record.exit_code) == ([("evaluate", "db")], 0)


def test_checks_decide_where_there_is_no_deployment() -> None:
    spec = job_spec("db", Update={"MaxParallel": 0})
    spec["TaskGroups"][0]["Services"] = [{"Name": "db", "Provider": "nomad", "Checks": [{"Type": "tcp"}]}]
    world = World({"db": {}}, specs={"db": spec})
    world.cluster.check_results["db"] = (CheckResult("tcp", "failure", "connection refused"),)
    world.clock.after(8.0, lambda: world.cluster.check_results.update(db=(CheckResult("tcp", "success", ""),)))
    record = world.run("db")
    assert record.exit_code == 0
    assert 8.0 <= record.elapsed_s < 10.0


def test_the_output_of_a_failing_check_explains_a_wait_that_took_too_long() -> None:
    spec = job_spec("db", Update={"MaxParallel": 0})
    spec["TaskGroups"][0]["Services"] = [{"Name": "db", "Provider": "nomad", "Checks": [{"Type": "tcp"}]}]
    world = World({"db": {"timeout": 30}}, specs={"db": spec})
    world.cluster.check_results["db"] = (CheckResult("tcp", "failure", "dial tcp: connection refused"),)
    record = world.run("db")
    assert record.exit_code == 6
    assert "tcp" in record.steps["db"].reason
    assert any("dial tcp: connection refused" in line for line in record.steps["db"].details)


def test_a_late_answer_about_a_step_that_is_over_is_ignored() -> None:
    spec = job_spec("db", Update={"MaxParallel": 0})
    spec["TaskGroups"][0]["Services"] = [{"Name": "db", "Provider": "nomad", "Checks": [{"Type": "tcp"}]}]
    world = World({"db": {}, "slow": {}}, {"slow": well(30.0), "db": fails(1.0)}, specs={"db": spec})
    world.cluster.latency_s["checks db"] = 5.0
    record = world.run("db", "slow")
    assert (states(record), world.at_s(StepFailed, "db")) == ({"db": "failed", "slow": "ready"}, 1.0)


def test_addresses_of_the_ports_are_told() -> None:
    spec = job_spec("db")
    spec["TaskGroups"][0]["Networks"] = [{"DynamicPorts": [{"Label": "http"}]}]
    world = World({"db": {}}, specs={"db": spec})
    world.run("db")
    assert [address.label for address in world.of(StepReady)[0].addresses] == ["http"]


def test_addresses_that_cannot_be_read_break_the_step() -> None:
    spec = job_spec("db")
    spec["TaskGroups"][0]["Networks"] = [{"DynamicPorts": [{"Label": "http"}]}]
    world = World({"db": {}}, specs={"db": spec})
    world.cluster.refuse("addresses", "db", Unreachable("connection refused"))
    record = world.run("db")
    assert (record.steps["db"].kind, record.exit_code) == ("error", 3)


def test_a_failure_that_a_second_look_does_not_uphold_is_none() -> None:
    def script(life: Life) -> None:
        fails_and_is_replaced(life)
        life.after(3.0, life.complete)

    world = World({"db": {}}, {"db": script}, kinds={"db": "batch"})
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (0, 3.0)
    assert world.of(StepFailed) == []


def test_what_the_watch_reported_meanwhile_beats_a_second_look_that_is_older() -> None:
    def script(life: Life) -> None:
        fails_and_is_replaced(life)
        life.after(1.25, life.complete)

    world = World({"db": {}}, {"db": script}, kinds={"db": "batch"})
    plan = world.plan("db")
    world.cluster.latency_s["snapshot db"] = 0.5
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (0, 1.5)


def fails_and_is_replaced(life: Life) -> None:
    """Fail after a second, and be replaced at once; only the failure is reported."""

    def fail() -> None:
        life.lose_one()
        life.after(0.0, life.replace_failed)

    life.place()
    life.run()
    life.after(1.0, fail)


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_lost_contact_is_told_and_passes() -> None:
    world = World({"db": {}}, {"db": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Unreachable("connection refused")))
    world.clock.after(6.0, lambda: world.cluster.lose_contact(Unreachable("the connection broke")))  # the next list tells of it
    world.clock.after(30.0, world.cluster.find_contact)
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (0, 30.0)
    assert [event.reason for event in world.of(StepWaiting)] == [
        "0 of 1 allocation healthy",
        "no contact with Nomad: connection refused; last seen: 0 of 1 allocation healthy",
        "0 of 1 allocation healthy",
    ]


def test_contact_lost_with_one_region_is_told_of_its_jobs_alone() -> None:
    world = World({"db": {"region": "eu"}, "near": {}}, {"db": well(10.0), "near": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Unavailable("rpc error: EOF"), region="eu"))
    world.clock.after(6.0, lambda: world.cluster.lose_contact(Unavailable("no path to region 'eu'"), region="eu"))
    world.clock.after(30.0, world.cluster.find_contact)
    record = world.run("db", "near")
    assert (record.exit_code, record.elapsed_s) == (0, 30.0)
    assert [(event.job, event.reason) for event in world.of(StepWaiting)] == [
        ("db", "0 of 1 allocation healthy"),
        ("near", "0 of 1 allocation healthy"),
        ("db", "no contact with region 'eu'; last seen: 0 of 1 allocation healthy"),
        ("db", "0 of 1 allocation healthy"),
    ]
    assert world.at_s(StepReady, "near") == 10.0


def test_contact_lost_for_longer_than_the_timeout_is_exit_6() -> None:
    world = World({"db": {"timeout": 60}}, {"db": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Unreachable("connection refused")))
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (6, 60.0)


def test_a_job_that_was_never_reported_times_out_with_the_reason() -> None:
    world = World({"db": {"timeout": 60}})
    world.cluster.contact = False
    record = world.run("db")
    assert (record.exit_code, record.elapsed_s) == (6, 60.0)
    assert record.steps["db"].reason == "Nomad could not be asked for 60 s: no answer"


def test_a_denied_watch_ends_the_run_and_registers_nothing_more() -> None:
    dependencies = {"web": {"pre": "api"}, "api": {"pre": "db"}, "other": {"pre": "base"}}
    world = World(dependencies, {"db": well(10.0), "base": well(20.0)})
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Denied("the token may not list allocations", hint="give it read-job")))
    record = world.run("web", "other")
    assert record.exit_code == 3
    assert record.elapsed_s == 5.0
    assert sorted(world.cluster.called("register")) == ["base", "db"]
    assert states(record) == {"base": "failed", "db": "failed", "api": "lost", "other": "lost", "web": "lost"}
    assert (record.steps["db"].kind, record.steps["db"].hint) == ("error", "give it read-job")


def test_a_step_that_was_just_being_registered_when_the_watch_was_denied_is_not_waited_for() -> None:
    world = World({"db": {}, "late": {}}, {"db": well(10.0), "late": well(10.0)})
    plan = world.plan("db", "late")
    world.cluster.latency_s["register late"] = 8.0
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Denied("the token may not list allocations")))
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (3, 8.0)
    assert states(record) == {"db": "failed", "late": "failed"}


def test_independent_steps_are_not_started_once_the_watch_was_denied() -> None:
    world = World({"db": {}, "other": {}}, {"db": well(10.0)})
    world.clock.after(5.0, lambda: world.cluster.lose_contact(Denied("the token may not list allocations")))
    record = world.carry_out(world.plan("db", "other"), parallelism=1)
    assert (states(record), record.steps["other"].because) == ({"db": "failed", "other": "lost"}, "")


def test_a_step_that_failed_when_the_watch_was_denied_is_not_tried_again() -> None:
    world = World({"db": {"retries": 1}}, {"db": fails(5.0)}, kinds={"db": "batch"})
    world.cluster.latency_s["logs db"] = 2.0
    world.clock.after(6.0, lambda: world.cluster.lose_contact(Denied("the token may not list allocations")))
    record = world.run("db")
    assert (states(record), record.steps["db"].kind, world.cluster.called("register")) == ({"db": "failed"}, "failed", ["db"])


# -- interrupts --------------------------------------------------------------------------------------------------------


def test_an_interrupt_registers_nothing_more_and_waits_for_no_job() -> None:
    world = World({"web": {"pre": "api"}, "api": {"pre": "db"}}, {"db": well(1.0), "api": well(3600.0)})
    world.clock.after(10.0, lambda: world.interrupt("SIGTERM"))
    record = world.run("web")
    assert (record.exit_code, record.elapsed_s, record.interrupted) == (130, 10.0, "SIGTERM")
    assert world.cluster.called("register") == ["db", "api"]
    assert states(record) == {"db": "ready", "api": "waiting", "web": "pending"}
    assert [event.signal for event in world.of(RunInterrupted)] == ["SIGTERM"]


def test_after_an_interrupt_an_answer_that_comes_at_once_is_told() -> None:
    world = World({"db": {}})
    plan = world.plan("db")
    world.cluster.latency_s["register db"] = 0.5
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (130, 0.5)
    assert (record.steps["db"].state, record.steps["db"].registered) == ("waiting", True)


def test_after_an_interrupt_an_answer_is_awaited_for_a_second_and_no_longer() -> None:
    world = World({"db": {}})
    plan = world.plan("db")
    world.cluster.latency_s["register db"] = 600.0
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (130, 1.25)
    assert record.steps["db"].state == "acting"


def test_after_an_interrupt_news_of_other_jobs_are_not_taken_for_answers() -> None:
    world = World({"db": {}, "other": {}}, {"other": well(0.4)})
    plan = world.plan("db", "other")
    world.cluster.latency_s["register db"] = 0.5
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s, states(record)) == (130, 0.5, {"db": "waiting", "other": "waiting"})


def test_after_an_interrupt_a_refusal_is_taken_too() -> None:
    world = World({"db": {}})
    plan = world.plan("db")
    world.cluster.latency_s["register db"] = 0.5
    world.cluster.refuse("register", "db", Conflict("changed by somebody else"))
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (130, 0.5)
    assert (record.steps["db"].state, record.steps["db"].kind) == ("failed", "changed-meanwhile")


def test_after_an_interrupt_a_step_that_was_about_to_be_ready_is_told_so() -> None:
    world = shop()
    plan = world.plan("nginx", verb="stop", purge=True)
    world.cluster.latency_s["purge nginx"] = 0.5
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, states(record)["nginx"]) == (130, "ready")


def test_a_stop_that_was_sent_when_the_interrupt_came_is_told() -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    plan = world.plan("db", verb="stop")
    world.cluster.latency_s["stop db"] = 0.5
    world.clock.after(0.25, world.interrupt)
    record = world.carry_out(plan)
    assert (record.exit_code, record.elapsed_s) == (130, 0.5)
    assert record.steps["db"].registered


def test_a_worker_that_comes_late_after_an_interrupt_touches_nothing() -> None:
    world = World({"api": {"pre": ["db", "slow"]}}, {"slow": well(5.0)})
    plan = world.plan("api")
    world.when(is_(StepReady, "slow"), lambda: world.cluster.latency_s.update({"snapshot db": 0.5}))
    world.clock.after(5.25, world.interrupt)
    record = world.carry_out(plan)
    assert record.exit_code == 130
    assert world.cluster.called("register") == ["db", "slow"]
    assert (states(record)["api"], record.steps["api"].because) == ("lost", "")


# -- stop --------------------------------------------------------------------------------------------------------------


def shop(**stop_s: float) -> World:
    """The seed's four jobs, up for a minute; each takes a while to stop."""
    world = World(SEED, kinds={"postgres_setup": "batch"})
    for name in ("postgres", "api", "nginx", "postgres_setup"):
        world.cluster.has(world.job(name))
    world.cluster.stop_s.update(stop_s)
    return world


def test_a_tree_is_stopped_in_reverse_waiting_until_allocations_have_ended() -> None:
    world = shop(nginx=3.0, api=2.0, postgres=1.0)
    record = world.stop("nginx", deep=True)
    assert (record.exit_code, record.elapsed_s) == (0, 6.0)
    assert world.cluster.changes == [("stop", "nginx"), ("stop", "api"), ("stop", "postgres")]
    assert [world.at_s(StepStarted, name) for name in ("nginx", "api", "postgres")] == [0.0, 3.0, 5.0]


def test_a_purge_comes_only_after_the_allocations_have_ended_and_before_the_next_stop() -> None:
    world = shop(nginx=3.0, api=2.0, postgres=1.0)
    record = world.stop("nginx", deep=True, purge=True)
    assert record.exit_code == 0
    assert world.cluster.changes == [(what, name) for name in ("nginx", "api", "postgres_setup", "postgres") for what in ("stop", "purge")]
    assert world.cluster.jobs == {}


def test_a_stop_that_takes_too_long_is_exit_6_and_what_is_below_is_not_stopped() -> None:
    world = shop(nginx=100_000.0)
    record = world.stop("nginx", deep=True)
    assert record.exit_code == 6
    assert world.cluster.changes == [("stop", "nginx")]
    assert states(record)["postgres"] == "lost"


def test_a_stop_that_takes_too_long_says_that_it_has_not_ended() -> None:
    world = shop(nginx=100_000.0)
    reason = world.stop("nginx").steps["nginx"].reason
    assert reason.startswith("not ended within 300 s: 1 allocation still to end")


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_job_that_is_registered_again_while_it_is_being_stopped_is_superseded_at_once(*, asked_before: bool) -> None:
    world = shop(nginx=60.0)
    if asked_before:
        world.cluster.stop(world.ref("nginx"))
        world.clock.pause(1.0)
    world.clock.after(5.0, lambda: world.cluster.somebody_registers(world.job("nginx", Meta={"release": "2"})))
    record = world.stop("nginx", deep=True)
    step = record.steps["nginx"]
    assert (record.exit_code, record.elapsed_s, step.kind) == (3, 5.0, "superseded")
    assert step.reason == "somebody registered the job again while it was being stopped"
    assert states(record)["postgres"] == "lost"


def test_children_of_a_parent_are_stopped_and_awaited_and_purged_before_it() -> None:
    nightly = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"nightly": {}}, specs={"nightly": nightly})
    world.cluster.has(world.job("nightly"))
    child = world.cluster.launch_child(world.ref("nightly"), "periodic-1", well(3600.0))
    world.cluster.stop_s[child.id] = 4.0
    record = world.stop("nightly", purge=True)
    assert (record.exit_code, record.elapsed_s) == (0, 4.0)
    assert world.cluster.changes == [("stop", "nightly"), ("stop", child.id), ("purge", child.id), ("purge", "nightly")]


def test_children_that_outlived_their_parent_are_stopped_and_awaited() -> None:
    nightly = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"nightly": {}}, specs={"nightly": nightly})
    world.cluster.has(world.job("nightly"))
    child = world.cluster.launch_child(world.ref("nightly"), "periodic-1", well(3600.0))
    world.cluster.stop(world.ref("nightly"))
    world.cluster.stop_s[child.id] = 4.0
    record = world.stop("nightly")
    assert (record.exit_code, record.elapsed_s) == (0, 4.0)
    assert world.cluster.changes == [("stop", child.id)]


def test_a_goal_that_is_kept_back_is_exit_1_and_says_who_needs_it() -> None:
    world = shop()
    record = world.stop("postgres")
    assert record.exit_code == 1
    assert states(record)["postgres"] == "kept"
    assert [event.reason for event in world.of(StepKept)] == ["still needed by api"]
    assert world.cluster.changes == []


def test_a_need_that_is_kept_for_somebody_else_is_no_failure() -> None:
    world = World({"web": {"pre": "db"}, "admin": {"pre": "db"}})
    for name in ("db", "web", "admin"):
        world.cluster.has(world.job(name))
    record = world.stop("web", deep=True)
    assert (record.exit_code, states(record)) == (0, {"web": "ready", "db": "kept"})


def test_stopping_what_is_not_there_is_no_failure() -> None:
    world = World(SEED, kinds={"postgres_setup": "batch"})
    record = world.stop("nginx", deep=True)
    assert (record.exit_code, world.cluster.changes) == (0, [])
    assert set(states(record).values()) == {"ready"}


def test_a_stop_that_nomad_refuses_loses_what_is_below() -> None:
    world = shop()
    world.cluster.refuse("stop", "nginx", Denied("the token may not stop jobs"))
    record = world.stop("nginx", deep=True)
    assert (record.exit_code, states(record)["api"], states(record)["postgres"]) == (1, "lost", "lost")


def test_a_purge_that_nomad_refuses_is_a_failure_after_a_change() -> None:
    world = shop()
    world.cluster.refuse("purge", "nginx", Denied("the token may not purge"))
    record = world.stop("nginx", purge=True)
    assert (record.exit_code, record.steps["nginx"].kind) == (3, "error")


# -- what cannot be done ----------------------------------------------------------------------------------------------


def test_a_step_that_the_plan_refuses_fails_with_its_hint_and_changes_nothing() -> None:
    def half(life: Life) -> None:
        life.do_well()
        life.after(5.0, life.lose_one)

    world = World({"web": {"pre": "db"}}, specs={"db": job_spec("db", count=2)})
    world.cluster.has(world.job("db"), half)
    record = world.run("web")
    assert world.cluster.changes == []
    assert (states(record), record.exit_code) == ({"db": "failed", "web": "lost"}, 3)
    assert "--purge" in record.steps["db"].hint


def test_a_job_that_nomad_refuses_at_registration_is_told() -> None:
    world = World({"db": {}})
    world.cluster.refuse("register", "db", Invalid("group has no task", notes=["1 error occurred"]))
    step = world.run("db").steps["db"]
    assert (step.kind, step.reason, step.details) == ("error", "group has no task", ("1 error occurred",))


# -- what is noted -----------------------------------------------------------------------------------------------------


def test_what_runs_is_noted_after_it_was_registered_and_before_it_is_waited_for() -> None:
    world = World({"api": {"pre": "db"}}, {"db": well(5.0)}, head={"stack": "shop"})
    assert world.run("api").exit_code == 0
    assert world.cluster.called("register", "write_note") == ["db", "db", "api", "api"]
    note = world.cluster.variables["default", "dtree/shop/api"]
    assert (note["stack"], note["store"], note["registered_version"]) == ("shop", "memory", "0")
    assert 'stack = "shop"' in world.cluster.submitted[world.ref("api")]
    assert world.of(RunWarned) == []


def test_another_state_of_the_store_is_noted_of_unchanged_jobs_and_registers_nothing() -> None:
    world = World({"db": {}}, head={"stack": "shop"})
    world.run("db")
    before = world.cluster.variables["default", "dtree/shop/db"]
    world.specs["other"] = job_spec("other")
    world.run("db")
    after = world.cluster.variables["default", "dtree/shop/db"]
    assert {key for key in before if before[key] != after[key]} == {"revision"}
    world.run("db")
    assert world.cluster.called("register", "change_note") == []


def test_a_batch_job_that_is_run_again_is_noted_as_what_it_now_is() -> None:
    world = World({"db": {"retries": 1}}, {"db": [fails(), well()]}, kinds={"db": "batch"}, head={"stack": "shop"})
    assert world.run("db").exit_code == 0
    state = world.cluster.peek(world.ref("db")).job
    assert state is not None
    assert world.cluster.variables["default", "dtree/shop/db"]["modify_index"] == str(state.modify_index)


def test_a_token_that_may_note_nothing_is_told_once_and_fails_nothing() -> None:
    world = World({"api": {"pre": "db"}, "db": {}})
    for name in ("api", "db"):
        world.cluster.refuse("change_note", name, Denied("Nomad denies it", notes=[f"while reading {name}"], hint="add a rule"))
    record = world.run("api")
    assert record.exit_code == 0
    (warning,) = world.of(RunWarned)
    assert (warning.problem, warning.hint) == ("what runs where is not noted in Nomad's Variables: Nomad denies it", "add a rule")
    assert record.warnings == (warning,)


def test_a_purge_that_may_not_forget_is_a_purge_all_the_same() -> None:
    world = World({"db": {}}, head={"stack": "shop"})
    world.run("db")
    world.cluster.refuse("forget", "db", Denied("Nomad denies it", hint="add a rule"))
    assert world.stop("db", purge=True).exit_code == 0
    assert len(world.of(RunWarned)) == 1
    assert world.ref("db") not in world.cluster.jobs
    assert world.stop("db", purge=True).exit_code == 0
    assert world.cluster.variables == {}

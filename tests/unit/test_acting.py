"""dtree.acting: what the workers do, one by one; the executor's tests show them in a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtree import acting
from dtree.acting import Acted, Checked, Doubted, Explained, Halt, Refused, Standing
from dtree.errors import Conflict, Denied, Unavailable, Unreachable
from dtree.evidence import Awaited
from dtree.health import Broken
from dtree.model import CheckResult, JobRef
from dtree.plan import Nothing, Register, Rerun, Step
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import exhausted_until, fails, never, well
from tests.fakes.world import World


def step_of(world: World, name: str = "db", verb: str = "run", **intent: Any) -> Step:
    plan = world.plan(name, verb=verb, **intent)
    return next(step for step in plan.steps if step.name == name)


def registered(world: World, name: str = "db") -> tuple[Step, Awaited]:
    """A step that was just carried out."""
    step = step_of(world, name)
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Acted)
    assert outcome.awaited is not None
    return step, outcome.awaited


def test_a_halt_is_true_once_it_is_set() -> None:
    halt = Halt()
    assert not halt
    halt.set()
    assert halt


def test_registering_gives_what_to_wait_for() -> None:
    world = World({"db": {}})
    world.cluster.warnings["db"] = "old field"
    step = step_of(world)
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Acted)
    assert outcome.awaited is not None
    assert (outcome.awaited.version, outcome.awaited.changed, outcome.awaited.eval_id != "") == (0, True, True)
    assert (outcome.refs, outcome.warnings, outcome.ready) == ((world.ref("db"),), "old field", None)


def test_after_a_halt_nothing_is_touched() -> None:
    world = World({"db": {}})
    halt = Halt()
    halt.set()
    outcome = acting.act(step_of(world), [], world.cluster, halt)
    assert isinstance(outcome, Refused)
    assert outcome.untouched
    assert world.cluster.changes == []


def test_a_conflict_is_told_apart_from_other_errors() -> None:
    world = World({"db": {}})
    world.cluster.refuse("register", "db", Conflict("changed"), Unavailable("no leader", notes=["tried 5 times"], hint="wait"))
    step = step_of(world)
    assert acting.act(step, [], world.cluster, Halt()) == Refused("db", "changed-meanwhile", "changed")
    assert acting.act(step, [], world.cluster, Halt()) == Refused("db", "error", "no leader", ("tried 5 times",), "wait", touched=True)


def test_a_rerun_of_a_job_that_is_gone_meanwhile_registers_it_as_new() -> None:
    world = World({"db": {}}, kinds={"db": "batch"})
    world.cluster.has(world.job("db"), fails())
    step = step_of(world)
    assert step.action == Rerun("stop", 0)
    world.cluster.collect(world.ref("db"))
    assert isinstance(acting.act(step, [], world.cluster, Halt()), Acted)


@pytest.mark.parametrize(("way", "then"), [("purge", "purge"), ("stop", "register")])
def test_a_rerun_waits_until_what_it_stopped_has_ended(way: Any, then: str) -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    world.cluster.stop_s["db"] = 20.0
    step = replace(step_of(world), action=Rerun(way, 0))
    assert isinstance(acting.act(step, [], world.cluster, Halt()), Acted)
    next_s = world.cluster.called_s(then, "db")
    assert 20.0 <= next_s - world.cluster.called_s("stop", "db") < 20.5


@pytest.mark.parametrize("way", ["purge", "stop"])
def test_a_rerun_does_not_stop_a_version_that_somebody_else_registered_meanwhile(way: Any) -> None:
    world = World({"db": {}}, kinds={"db": "batch"})
    world.cluster.has(world.job("db"), fails())
    step = replace(step_of(world), action=Rerun(way, 0))
    world.cluster.somebody_registers(world.job("db", Meta={"by": "somebody"}))
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.reason) == ("changed-meanwhile", "job 'db' was changed since the plan was made")
    assert world.cluster.changes == []


def test_a_rerun_of_what_does_not_come_to_rest_is_refused() -> None:
    world = World({"db": {}})
    world.cluster.has(world.job("db"))
    world.cluster.stop_s["db"] = 10_000.0
    outcome = acting.act(replace(step_of(world), action=Rerun("purge", 0)), [], world.cluster, Halt())
    assert isinstance(outcome, Refused)
    assert "did not come to rest" in outcome.reason


def test_a_step_with_nothing_to_do_is_ready() -> None:
    world = World({"db": {}})
    step = replace(step_of(world), action=Nothing())
    assert acting.act(step, [], world.cluster, Halt()) == Acted("db", None, (), ready=step.cause)


def test_a_need_that_fell_is_named() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    world.cluster.jobs[step.ref].life.fail()
    outcome = acting.act(step_of(world), [Standing(step, awaited, 1)], world.cluster, Halt())
    assert isinstance(outcome, Refused)
    assert outcome.fallen == "db"


def test_a_job_that_nobody_may_read_any_more_is_refused_and_not_fallen() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    world.cluster.refuse("snapshot", "db", Denied("no"))
    assert acting.act(step, [Standing(step, awaited, 1)], world.cluster, Halt()) == Refused("db", "error", "no")


def test_a_batch_job_that_was_ready_once_it_ran_can_fall_over_until_nomad_forgets_it() -> None:
    world = World({"db": {"wait_cond": "started"}}, kinds={"db": "batch"})
    world.cluster.script("db", fails(20.0))
    stands = [Standing(*registered(world), 1)]
    world.clock.pause(5.0)
    assert acting.fallen(stands, world.cluster) == []
    world.clock.pause(60.0)
    assert [name for name, _, _ in acting.fallen(stands, world.cluster)] == ["db"]
    world.cluster.collect(world.ref("db"))
    assert acting.fallen(stands, world.cluster) == []


def test_completed_batch_jobs_and_parents_cannot_fall_over() -> None:
    parent = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"db": {}, "nightly": {}}, kinds={"db": "batch"}, specs={"nightly": parent})
    stands = [Standing(*registered(world, name), 1) for name in ("db", "nightly")]
    world.cluster.calls.clear()
    assert acting.fallen(stands, world.cluster) == []
    assert world.cluster.calls == []


def test_a_service_with_fewer_allocations_than_before_fell_and_one_that_grew_did_not() -> None:
    world = World({"db": {}}, specs={"db": job_spec("db", count=2)})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    stands = [Standing(step, awaited, 2)]
    assert acting.fallen(stands, world.cluster) == []
    world.cluster.somebody_scales(step.ref, "main", 5, after_s=3600.0)
    assert acting.fallen(stands, world.cluster) == []
    world.cluster.jobs[step.ref].life.lose_one("lost")
    assert [name for name, _, _ in acting.fallen(stands, world.cluster)] == ["db"]


def test_checks_that_cannot_be_read_are_none() -> None:
    world = World({"db": {}})
    registered(world)
    world.cluster.check_results["db"] = (CheckResult("tcp", "success", ""),)
    allocation = world.cluster.peek(world.ref("db")).allocations[0].id
    assert acting.read_checks("db", JobRef("default", "db"), [allocation], world.cluster) == Checked(
        "db", {allocation: world.cluster.check_results["db"]}
    )
    world.cluster.refuse("checks", "db", Unreachable("no"))
    assert acting.read_checks("db", JobRef("default", "db"), [allocation], world.cluster) == Checked("db", {})


def test_a_failure_that_is_none_any_more_is_doubted() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    first = world.cluster.peek(step.ref)
    world.clock.pause(5.0)
    outcome = acting.explain(step, awaited, Broken("failed", "exit code 1", ("a1",)), first, world.cluster, again=False)
    assert isinstance(outcome, Doubted)
    assert outcome.first is first
    assert outcome.snapshot == world.cluster.peek(step.ref)


def test_a_failure_that_nobody_can_look_into_stays_one() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    world.cluster.refuse("snapshot", "db", Unreachable("connection refused"))
    outcome = acting.explain(step, awaited, Broken("failed", "exit code 1"), None, world.cluster, again=False)
    assert isinstance(outcome, Explained)
    assert any("connection refused" in line for line in outcome.details)


def test_a_stop_that_broke_is_not_explained_by_logs() -> None:
    world = World({"db": {}})
    step = step_of(world)
    outcome = acting.explain(step, None, Broken("timed-out", "too long"), None, world.cluster, again=False)
    assert outcome == Explained("db", (), None)


def test_the_next_attempt_does_what_the_plan_would() -> None:
    world = World({"db": {}}, {"db": [fails(), well()]}, kinds={"db": "batch"})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    snapshot = world.cluster.peek(step.ref)
    allocation = snapshot.allocations[0].id
    outcome = acting.explain(step, awaited, Broken("failed", "exit code 1", (allocation,)), snapshot, world.cluster, again=True)
    assert isinstance(outcome, Explained)
    assert outcome.again is not None
    assert (outcome.again.action, outcome.again.change) == (Rerun("stop", 0), "rerun")


def test_a_stop_purges_children_before_their_parent() -> None:
    spec = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"nightly": {}}, specs={"nightly": spec})
    world.cluster.has(world.job("nightly"))
    children = [world.cluster.launch_child(world.ref("nightly"), f"periodic-{number}", well(3600.0)) for number in (1, 2)]
    step = step_of(world, "nightly", verb="stop", purge=True)
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Acted)
    assert outcome.refs == (world.ref("nightly"), *children)
    world.clock.pause(1.0)
    done = acting.finish(step, None, outcome.refs, None, "all allocations have ended", world.cluster, stack="shop")
    assert done == Acted("nightly", None, (), ready="all allocations have ended, purged")
    assert world.cluster.called("purge") == [*(child.id for child in children), "nightly"]


def test_at_most_ten_allocations_are_asked_for_their_addresses() -> None:
    spec = job_spec("db", count=12)
    spec["TaskGroups"][0]["Tasks"][0]["Resources"] = {"Networks": [{"DynamicPorts": [{"Label": "http"}]}]}
    world = World({"db": {}}, specs={"db": spec})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    outcome = acting.finish(step, awaited, (step.ref,), world.cluster.peek(step.ref), "healthy", world.cluster, stack="shop")
    assert isinstance(outcome, Acted)
    assert len(outcome.addresses) == 10


def test_a_plan_made_for_a_new_job_does_not_overwrite_one_that_came_meanwhile() -> None:
    world = World({"db": {}})
    step = step_of(world)
    assert step.action == Register(0)
    world.cluster.somebody_registers(world.job("db", Priority=70))
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Refused)
    assert outcome.kind == "changed-meanwhile"


def test_a_reason_of_the_second_look_that_names_who_took_over_is_taken() -> None:
    world = World({"db": {}}, {"db": never})
    step, awaited = registered(world)
    first = world.cluster.peek(step.ref)
    world.cluster.stop(step.ref)
    early = Broken("superseded", "deployment of version 0: Cancelled due to newer version of job", hint="run again")
    outcome = acting.explain(step, awaited, early, first, world.cluster, again=False)
    assert isinstance(outcome, Explained)
    assert outcome.upheld == Broken("superseded", "somebody stopped the job", hint="run again to start it")


def test_details_do_not_say_again_what_the_reason_says() -> None:
    world = World({"db": {}}, {"db": exhausted_until(1e9)})
    step, awaited = registered(world)
    late = Broken("timed-out", "not ready within 3 s: no room: memory on 1 of 1 node")
    outcome = acting.explain(step, awaited, late, world.cluster.peek(step.ref), world.cluster, again=False)
    assert outcome == Explained("db", (), None)
    other = replace(late, reason="too long")
    outcome = acting.explain(step, awaited, other, world.cluster.peek(step.ref), world.cluster, again=False)
    assert outcome == Explained("db", ("group main: no room: memory on 1 of 1 node",), None)

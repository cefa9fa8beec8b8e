"""dtree.acting: what the workers do, one by one; the executor's tests show them in a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtree import acting
from dtree.acting import Halt
from dtree.errors import Conflict, Denied, Unavailable
from dtree.outcomes import Acted, Refused, Standing
from dtree.plan import Nothing, Register, Rerun
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import fails, well
from tests.fakes.world import World, registered, step_of


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

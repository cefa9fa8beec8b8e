"""dtree.inspection: what the workers look at, one by one; the executor's tests show them in a run."""

from __future__ import annotations

from dataclasses import replace

from dtree import inspection
from dtree.errors import Unreachable
from dtree.health import Broken
from dtree.model import CheckResult, JobRef
from dtree.outcomes import Checked, Doubted, Explained, Standing
from dtree.plan import Rerun
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import exhausted_until, fails, never, well
from tests.fakes.world import World, registered, step_of


def test_a_batch_job_that_was_ready_once_it_ran_can_fall_over_until_nomad_forgets_it() -> None:
    world = World({"db": {"wait_cond": "started"}}, kinds={"db": "batch"})
    world.cluster.script("db", fails(20.0))
    stands = [Standing(*registered(world), 1)]
    world.clock.pause(5.0)
    assert inspection.fallen(stands, world.cluster) == []
    world.clock.pause(60.0)
    assert [one.job for one in inspection.fallen(stands, world.cluster)] == ["db"]
    world.cluster.collect(world.ref("db"))
    assert inspection.fallen(stands, world.cluster) == []


def test_completed_batch_jobs_and_parents_cannot_fall_over() -> None:
    parent = job_spec("nightly", "batch", Periodic={"Spec": "@daily"})
    world = World({"db": {}, "nightly": {}}, kinds={"db": "batch"}, specs={"nightly": parent})
    stands = [Standing(*registered(world, name), 1) for name in ("db", "nightly")]
    world.cluster.calls.clear()
    assert inspection.fallen(stands, world.cluster) == []
    assert world.cluster.calls == []


def test_a_service_with_fewer_allocations_than_before_fell_and_one_that_grew_did_not() -> None:
    world = World({"db": {}}, specs={"db": job_spec("db", count=2)})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    stands = [Standing(step, awaited, 2)]
    assert inspection.fallen(stands, world.cluster) == []
    world.cluster.somebody_scales(step.ref, "main", 5, after_s=3600.0)
    assert inspection.fallen(stands, world.cluster) == []
    world.cluster.jobs[step.ref].life.lose_one("lost")
    assert [one.job for one in inspection.fallen(stands, world.cluster)] == ["db"]


def test_checks_that_cannot_be_read_are_none() -> None:
    world = World({"db": {}})
    registered(world)
    world.cluster.check_results["db"] = (CheckResult("tcp", "success", ""),)
    allocation = world.cluster.peek(world.ref("db")).allocations[0].id
    assert inspection.read_checks("db", JobRef("default", "db"), [allocation], world.cluster) == Checked(
        "db", {allocation: world.cluster.check_results["db"]}
    )
    world.cluster.refuse("checks", "db", Unreachable("no"))
    assert inspection.read_checks("db", JobRef("default", "db"), [allocation], world.cluster) == Checked("db", {})


def test_a_failure_that_is_none_any_more_is_doubted() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    first = world.cluster.peek(step.ref)
    world.clock.pause(5.0)
    outcome = inspection.explain(step, awaited, Broken("failed", "exit code 1", ("a1",)), first, world.cluster, again=False)
    assert isinstance(outcome, Doubted)
    assert outcome.first is first
    assert outcome.snapshot == world.cluster.peek(step.ref)


def test_a_failure_that_nobody_can_look_into_stays_one() -> None:
    world = World({"db": {}})
    step, awaited = registered(world)
    world.cluster.refuse("snapshot", "db", Unreachable("connection refused"))
    outcome = inspection.explain(step, awaited, Broken("failed", "exit code 1"), None, world.cluster, again=False)
    assert isinstance(outcome, Explained)
    assert any("connection refused" in line for line in outcome.details)


def test_a_stop_that_broke_is_not_explained_by_logs() -> None:
    world = World({"db": {}})
    step = step_of(world)
    outcome = inspection.explain(step, None, Broken("timed-out", "too long"), None, world.cluster, again=False)
    assert outcome == Explained("db", (), None)


def test_the_next_attempt_does_what_the_plan_would() -> None:
    world = World({"db": {}}, {"db": [fails(), well()]}, kinds={"db": "batch"})
    step, awaited = registered(world)
    world.clock.pause(5.0)
    snapshot = world.cluster.peek(step.ref)
    allocation = snapshot.allocations[0].id
    outcome = inspection.explain(step, awaited, Broken("failed", "exit code 1", (allocation,)), snapshot, world.cluster, again=True)
    assert isinstance(outcome, Explained)
    assert outcome.again is not None
    assert (outcome.again.action, outcome.again.change) == (Rerun("stop", 0), "rerun")


def test_a_reason_of_the_second_look_that_names_who_took_over_is_taken() -> None:
    world = World({"db": {}}, {"db": never})
    step, awaited = registered(world)
    first = world.cluster.peek(step.ref)
    world.cluster.stop(step.ref)
    early = Broken("superseded", "deployment of version 0: Cancelled due to newer version of job", hint="run again")
    outcome = inspection.explain(step, awaited, early, first, world.cluster, again=False)
    assert isinstance(outcome, Explained)
    assert outcome.upheld == Broken("superseded", "somebody stopped the job", hint="ask who did; to start it, run again")


def test_details_do_not_say_again_what_the_reason_says() -> None:
    world = World({"db": {}}, {"db": exhausted_until(1e9)})
    step, awaited = registered(world)
    late = Broken("timed-out", "not ready within 3 s: no room: memory on 1 of 1 node")
    outcome = inspection.explain(step, awaited, late, world.cluster.peek(step.ref), world.cluster, again=False)
    assert outcome == Explained("db", (), None)
    other = replace(late, reason="too long")
    outcome = inspection.explain(step, awaited, other, world.cluster.peek(step.ref), world.cluster, again=False)
    assert outcome == Explained("db", ("group main: no room: memory on 1 of 1 node",), None)

"""dtree.status: how the jobs of a store do, whoever brought them there."""

from __future__ import annotations

from typing import Any

from dtree.model import CheckResult, JobRef
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import canary, fails, never, well
from tests.fakes.world import World


def world() -> World:
    return World({"web": {"pre": "api"}, "api": {"pre": "db"}, "db": {"post": "setup"}}, kinds={"setup": "batch"})


def test_the_status_of_a_tree_stands_each_job_before_what_it_needs() -> None:
    assert list(world().status("web")) == ["web", "api", "setup", "db"]


def test_a_job_that_nomad_does_not_know_is_missing() -> None:
    row = world().status("db")["db"]
    assert (row.health, row.state, row.version, row.running, row.desired) == ("Missing", "", None, 0, 0)


def test_a_healthy_service_has_its_addresses() -> None:
    good = world()
    good.cluster.has(good.job("db"))
    row = good.status("db")["db"]
    assert (row.health, row.reason, row.state, row.version, row.running, row.desired) == ("Healthy", "", "running", 0, 1, 1)
    assert [address.label for address in row.addresses] == ["http"]


def test_a_failed_service_is_degraded_and_says_why() -> None:
    bad = world()
    bad.cluster.has(bad.job("db"), fails())
    row = bad.status("db")["db"]
    assert (row.health, row.running, row.desired) == ("Degraded", 0, 1)
    assert row.reason


def test_a_service_that_comes_up_is_progressing() -> None:
    slow = world()
    slow.cluster.has(slow.job("db"), never)
    row = slow.status("db")["db"]
    assert row.health == "Progressing"
    assert row.reason.startswith("0 of 1 allocation healthy")


def test_a_stopped_job_is_suspended_and_wants_nothing() -> None:
    stopped = world()
    stopped.cluster.has(stopped.job("db"))
    stopped.cluster.stop(stopped.ref("db"))
    stopped.clock.pause(1.0)
    row = stopped.status("db")["db"]
    assert (row.health, row.reason, row.desired, row.state) == ("Suspended", "stopped", 0, "dead")


def test_a_stopped_job_tells_how_much_of_it_still_has_to_end() -> None:
    stopped = world()
    stopped.cluster.has(stopped.job("db"))
    stopped.cluster.stop_s["db"] = 60.0
    stopped.cluster.stop(stopped.ref("db"))
    stopped.clock.pause(1.0)
    row = stopped.status("db")["db"]
    assert (row.health, row.reason, row.running, row.desired) == ("Suspended", "stopped; 1 allocation still to end", 1, 0)


def test_a_canary_that_waits_for_somebody_is_suspended() -> None:
    waiting = world()
    waiting.cluster.has(waiting.job("db"), canary)
    row = waiting.status("db")["db"]
    assert (row.health, row.reason) == ("Suspended", "awaiting promotion: 1 healthy canary of version 0")


def test_a_completed_batch_job_is_healthy() -> None:
    done = world()
    done.cluster.has(done.job("setup"))
    assert done.status("setup")["setup"].health == "Healthy"


def test_a_periodic_job_is_healthy_and_wants_nothing() -> None:
    nightly = World({"nightly": {}}, specs={"nightly": job_spec("nightly", "batch", Periodic={"Spec": "@daily"})})
    nightly.cluster.has(nightly.job("nightly"))
    row = nightly.status("nightly")["nightly"]
    assert (row.health, row.desired) == ("Healthy", 0)


def test_checks_decide_the_health_where_there_is_no_deployment() -> None:
    spec = job_spec("db", Update={"MaxParallel": 0})
    spec["TaskGroups"][0]["Services"] = [{"Name": "db", "Provider": "nomad", "Checks": [{"Type": "tcp"}]}]
    checked = World({"db": {}}, specs={"db": spec})
    checked.cluster.has(checked.job("db"))
    checked.cluster.check_results["db"] = (CheckResult("tcp", "failure", "connection refused"),)
    assert checked.status("db")["db"].health == "Progressing"
    checked.cluster.check_results["db"] = (CheckResult("tcp", "success", ""),)
    assert checked.status("db")["db"].health == "Healthy"


# -- what is noted ----------------------------------------------------------------------------------------------------


def forgotten(policy: str, **entry: Any) -> World:
    """A migration that a run has brought about, and that Nomad has forgotten."""
    world = World({"migrate": {"run": policy, **entry}}, kinds={"migrate": "batch"})
    world.cluster.script("migrate", well(0.0 if not entry else 60.0))
    world.run("migrate")
    world.cluster.collect(world.ref("migrate"))
    return world


def health(world: World, name: str = "migrate") -> tuple[str, str]:
    row = world.status(name)[name]
    return row.health, row.reason


def test_a_job_that_completed_and_that_nomad_has_forgotten_is_healthy_until_it_is_to_run_again() -> None:
    at = "1970-01-12T13:46:40.000Z"
    for policy in ("on_change", "once"):
        done = forgotten(policy)
        assert health(done) == ("Healthy", f"completed at {at}; Nomad has forgotten it since")
        done.specs["migrate"]["Priority"] = 70
        word = "Healthy" if policy == "once" else "Missing"
        assert health(done)[0] == word
    assert health(forgotten("always")) == ("Missing", f"completed at {at}; Nomad has forgotten it since, and each run runs it")


def test_a_job_of_which_nobody_knows_what_became_of_it_is_missing_and_says_so() -> None:
    told = health(forgotten("once", wait_cond="started"))
    assert told == ("Missing", "was begun at 1970-01-12T13:46:40.000Z, and Nomad has forgotten what became of it")
    assert health(forgotten("on_change", wait_cond="started")) == ("Missing", "")


def dispatching(*scripts: Any) -> tuple[World, list[JobRef]]:
    spec = job_spec("load", "batch", ParameterizedJob={"Payload": ""})
    world = World({"load": {"dispatch": [{}, {}], "wait_cond": "started"}}, {"load/": scripts}, specs={"load": spec})
    world.run("load")
    world.clock.pause(10.0)
    return world, sorted(ref for ref in world.cluster.jobs if ref.id.startswith("load/"))


def test_a_job_whose_children_were_dispatched_does_as_well_as_they_do() -> None:
    world, _ = dispatching(well(1.0))
    assert health(world, "load") == ("Healthy", "")
    world, children = dispatching(well(1.0), never)
    assert health(world, "load") == ("Progressing", f"1 of 2 children completed; {children[1].id}: 0 of 1 allocation completed")
    world, children = dispatching(well(1.0), fails(5.0))
    assert health(world, "load")[0] == "Degraded"
    assert health(world, "load")[1].startswith(f"{children[1].id}: 1 allocation failed")


def test_how_children_ended_that_nomad_has_forgotten_is_told_as_it_is_noted() -> None:
    spec = job_spec("load", "batch", ParameterizedJob={"Payload": ""})
    world = World({"load": {"dispatch": [{}, {}]}}, {"load/": [well(1.0), fails(5.0)]}, specs={"load": spec})
    assert world.run("load").exit_code == 3
    children = sorted(ref for ref in world.cluster.jobs if ref.id.startswith("load/"))
    for ref in children:
        world.cluster.collect(ref)
    assert health(world, "load") == ("Degraded", f"{children[1].id}: it failed, and Nomad has forgotten it since")
    world.stop("load")
    assert health(world, "load")[0] == "Suspended"


def test_children_of_which_nothing_is_known_say_nothing_about_the_job() -> None:
    world, children = dispatching(never)
    for ref in children:
        world.cluster.collect(ref)
    assert health(world, "load") == ("Healthy", "")

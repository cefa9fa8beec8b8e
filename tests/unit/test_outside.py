"""dtree.outside: what a run leaves out has to be ready, or nothing is registered."""

from __future__ import annotations

from typing import Any

import pytest

from dtree import pipeline
from dtree.errors import DeclarationError, Fault
from dtree.model import CheckResult
from dtree.plan import Intent
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_file, job_spec
from tests.fakes.scripts import canary, fails, never
from tests.fakes.store import MemorySnapshot
from tests.fakes.world import World

SHOP = {"web": {"pre": ["api", "auth"]}, "api": {"pre": "db"}, "auth": {"pre": "db"}, "db": {"post": "setup"}}


def world(**scripts: Any) -> World:
    return World(SHOP, scripts, kinds={"setup": "batch"})


def refused(of: World, *goals: str, **intent: Any) -> tuple[Fault, ...]:
    of.cluster.calls.clear()
    with pytest.raises(DeclarationError) as caught:
        of.run(*goals, **intent)
    assert of.cluster.changes == []
    return caught.value.faults


def test_what_is_left_out_and_ready_is_left_alone() -> None:
    shop = world()
    for name in ("db", "setup"):
        shop.cluster.has(shop.job(name))
    assert shop.run("api", only=True).exit_code == 0
    assert shop.cluster.changes == [("register", "api")]


def test_what_is_not_there_ends_the_run_before_anything_is_registered() -> None:
    shop = world()
    shop.cluster.has(shop.job("setup"))
    (fault,) = refused(shop, "api", only=True)
    assert fault.problem == "'db' is left out of this run, 'api' needs it, and it is not in Nomad"
    assert (fault.code, fault.hint) == ("dependency-not-ready", "bring it up first: `nomad-dtree run db`")
    assert fault.place is not None
    assert fault.place.key == "dependencies.api.pre"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (never, "is not ready: 0 of 1 allocation healthy"),
        (fails(), "is not ready: 1 allocation failed and will not be run again; task work: exit code 1"),
        (canary, "is not ready: awaiting promotion: 1 healthy canary of version 1"),
    ],
)
def test_what_is_not_ready_is_told_with_the_reason(script: Any, why: str) -> None:
    shop = world()
    shop.cluster.has(shop.job("setup"))
    if script is canary:
        shop.cluster.has(shop.job("db", Meta={"release": "0"}))
    shop.cluster.has(shop.job("db"), script)
    (fault,) = refused(shop, "api", only=True)
    assert fault.problem.endswith(f"and it {why}")


def test_a_stopped_job_is_not_ready() -> None:
    shop = world()
    for name in ("db", "setup"):
        shop.cluster.has(shop.job(name))
    shop.cluster.stop(shop.ref("db"))
    (fault,) = refused(shop, "api", only=True)
    assert "somebody stopped the job" in fault.problem


def test_the_version_that_is_there_counts_and_not_the_job_file() -> None:
    shop = world()
    shop.cluster.has(shop.job("db", Meta={"release": "older"}))
    shop.cluster.has(shop.job("setup"))
    assert shop.run("api", only=True).exit_code == 0
    assert shop.cluster.changes == [("register", "api")]


def test_all_that_is_not_ready_is_told_at_once_with_all_that_needs_it() -> None:
    faults = refused(world(), "api", "auth", only=True)
    assert [fault.problem for fault in faults] == [
        "'db' is left out of this run, 'api', 'auth' need it, and it is not in Nomad",
        "'setup' is left out of this run, 'api', 'auth' need it, and it is not in Nomad",
    ]


def test_of_many_that_need_it_three_are_named() -> None:
    users = [f"user{number}" for number in range(5)]
    (fault,) = refused(World({**{user: {"pre": "db"} for user in users}, "db": {}}), *users, only=True)
    assert "'user0', 'user1', 'user2' and 2 more need it" in fault.problem


def test_what_is_skipped_has_to_be_ready_too() -> None:
    shop = world()
    assert [fault.problem.split(",")[0] for fault in refused(shop, "web", skip=("api",))] == ["'api' is left out of this run"]
    shop.cluster.has(shop.job("api"))
    assert shop.run("web", skip=("api",)).exit_code == 0
    assert "api" not in shop.cluster.called("register")


def test_the_condition_that_the_file_gives_decides() -> None:
    dependencies = {"web": {"pre": "api"}, "api": {"wait_cond": "started"}, "seed": {"post": {"job": "fill", "wait_cond": 5}}}
    shop = World({**dependencies, "app": {"pre": "seed"}}, kinds={"fill": "batch"})
    for name in ("api", "seed", "fill"):
        shop.cluster.has(shop.job(name), never if name == "api" else None)
    assert shop.run("app", "web", only=True).exit_code == 0


def test_checks_decide_where_there_is_no_deployment() -> None:
    spec = job_spec("db", Update={"MaxParallel": 0})
    spec["TaskGroups"][0]["Services"] = [{"Name": "db", "Provider": "nomad", "Checks": [{"Name": "answers", "Type": "tcp"}]}]
    shop = World({"api": {"pre": "db"}}, specs={"db": spec})
    shop.cluster.has(shop.job("db"))
    shop.cluster.check_results["db"] = (CheckResult("answers", "failure", "connection refused"),)
    (fault,) = refused(shop, "api", only=True)
    assert "check 'answers' says failure" in fault.problem
    shop.cluster.check_results["db"] = (CheckResult("answers", "success", ""),)
    assert shop.run("api", only=True).exit_code == 0


def test_a_job_file_that_is_no_good_is_told_as_the_reason() -> None:
    snapshot = MemorySnapshot({"dependencies": {"api": {"pre": "db"}}}, {"api.json": job_file("api"), "db.nomad": "no job at all"})
    sources = pipeline.read(snapshot, store="memory")
    with pytest.raises(DeclarationError) as caught:
        pipeline.prepare(sources, FakeCluster(FakeClock()), Intent("run", ("api",), only=True), namespace="")
    (fault,) = caught.value.faults
    assert "it cannot be looked at: Nomad cannot parse the job file of 'db'" in fault.problem
    assert "nomad-dtree run" not in fault.hint


def test_a_namespace_that_does_not_exist_is_told_as_the_reason() -> None:
    shop = World({"api": {"pre": "db"}, "db": {"namespace": "nowhere"}})
    (fault,) = refused(shop, "api", only=True)
    assert "there is no namespace 'nowhere'" in fault.problem
    assert fault.hint == "`nomad namespace list` shows those there are, `nomad namespace apply nowhere` makes it"


def test_a_region_that_there_is_no_way_to_is_told_as_the_reason() -> None:
    shop = World({"api": {"pre": "db"}, "db": {"region": "atlantis"}})
    (fault,) = refused(shop, "api", only=True)
    assert "it cannot be looked at: job 'db' would be in region 'atlantis'" in fault.problem
    assert fault.hint == "the regions there are: eu, global"


def test_what_awaits_promotion_is_promoted_and_not_run() -> None:
    shop = World({"api": {"pre": ["db", {"job": "vault", "external": True}]}})
    for name in ("db", "vault"):
        shop.cluster.has(shop.job(name), canary)
    assert [fault.hint for fault in refused(shop, "api", only=True)] == [
        "promote it first: `nomad-dtree promote db`",
        "whoever runs it has to promote it first",
    ]


# -- what the edges ask ------------------------------------------------------------------------------------------------


def test_an_edge_with_a_condition_of_its_own_asks_for_no_more() -> None:
    edges = {"web": {"pre": {"job": "db", "condition": "started"}}, "api": {"pre": "db"}, "db": {}}
    shop = World(edges)
    shop.cluster.has(shop.job("db"), never)
    assert shop.run("web", only=True).exit_code == 0
    (fault,) = refused(shop, "api", "web", only=True)
    assert "'api' needs it, and it is not ready" in fault.problem


def test_what_a_job_can_do_without_is_not_looked_at() -> None:
    shop = World({"web": {"pre": {"job": "db", "required": False}}, "db": {}})
    assert shop.run("web", only=True).exit_code == 0


def test_a_condition_that_asks_others_is_asked() -> None:
    shop = World({"web": {"pre": "db"}, "db": {"wait_cond": {"http": "http://db.example/ready"}}})
    shop.cluster.has(shop.job("db"))
    shop.cluster.around.listen("http://db.example/ready", 503)
    (fault,) = refused(shop, "web", only=True)
    assert "http GET http://db.example/ready: 503" in fault.problem
    shop.cluster.around.listen("http://db.example/ready", 200)
    assert shop.run("web", only=True).exit_code == 0


def test_a_job_that_nomad_has_forgotten_since_it_completed_is_ready() -> None:
    shop = World({"web": {"pre": "fill"}}, kinds={"fill": "batch"})
    assert shop.run("fill").exit_code == 0
    shop.cluster.collect(shop.ref("fill"))
    assert shop.run("web", only=True).exit_code == 0
    assert shop.cluster.changes == [("register", "web")]


def test_a_job_whose_children_have_completed_is_ready_and_before_that_it_is_not() -> None:
    spec = job_spec("load", "batch", ParameterizedJob={"MetaOptional": ["x"]})
    shop = World({"web": {"pre": "load"}, "load": {"dispatch": {"meta": {"x": "1"}}}}, specs={"load": spec})
    shop.cluster.has(shop.job("load"))
    (fault,) = refused(shop, "web", only=True)
    assert fault.problem.endswith("it is not ready: nothing that was dispatched of it has completed")
    assert shop.run("load").exit_code == 0
    assert shop.run("web", only=True).exit_code == 0


def test_an_external_job_is_for_others_to_bring_up() -> None:
    shop = World({"web": {"pre": {"job": "vault", "external": True}}})
    (fault,) = refused(shop, "web", only=True)
    assert (fault.problem.rpartition(", ")[2], fault.hint) == ("and it is not in Nomad", "whoever runs it has to bring it up first")

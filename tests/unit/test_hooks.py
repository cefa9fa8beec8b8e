"""dtree.hooks and dtree.weaving: jobs that run around the stop of others; what plans come of it is in tests/plans/hook*."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dtree import depfile
from dtree.errors import DeclarationError, Fault
from dtree.events import StepFailed, StepReady, StepRegistered, StepStarted
from dtree.graph import DependencyGraph, build
from dtree.hooks import moment
from dtree.pipeline import read
from dtree.plan import Plan
from dtree.record import RunRecord
from dtree.sources import goals
from tests.fakes.scripts import fails, filtered, well
from tests.fakes.world import World

BATCH = {"backup": "batch", "wipe": "batch"}


def graph_of(dependencies: Any, files: tuple[str, ...] = (), **head: Any) -> DependencyGraph:
    data = json.dumps({**head, "dependencies": dependencies}).encode()
    return build(depfile.parse("dependency.json", data, title="shop"), files)


def faults_of(dependencies: Any, files: tuple[str, ...] = ()) -> list[Fault]:
    with pytest.raises(DeclarationError) as caught:
        graph_of(dependencies, files)
    return list(caught.value.faults)


def shop(
    scripts: Any = None, *, backup: Any = None, edge: Any = "backup", post: Any = "wipe", runs: tuple[str, ...] = ("api", "db", "disk")
) -> World:
    """A chain of services of which the middle one has hooks; it runs."""
    dependencies = {
        "api": {"pre": "db"},
        "db": {"pre": "disk", "pre_stop": edge, "post_stop": post},
        "disk": {},
        "backup": backup or {},
    }
    world = World(dependencies, scripts, kinds=BATCH)
    for name in runs:
        world.cluster.has(world.job(name))
    return world


def states(record: RunRecord) -> dict[str, str]:
    return {name: step.state for name, step in record.steps.items()}


def waits(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {step.name: step.needs for step in plan.steps}


# -- which jobs are hooks ----------------------------------------------------------------------------------------------


def test_hooks_are_known_with_their_owners_and_run_always_unless_told_otherwise() -> None:
    graph = graph_of({"db": {"pre_stop": ["a", "b"]}, "web": {"pre_stop": {"a": {}}, "post_stop": "c"}, "b": {"run": "once"}}, ("a", "c"))
    assert {name: str(hook) for name, hook in graph.hooks.items()} == {
        "a": "before db and web are stopped",
        "b": "before db is stopped",
        "c": "after web is stopped",
    }
    assert [graph.entries[name].run for name in ("a", "b", "c", "db")] == ["always", "once", "always", None]
    assert moment("post_stop", ["x", "z", "y"]) == "after x, y and z are stopped"


def test_what_the_defaults_say_of_running_is_not_meant_of_hooks() -> None:
    dependencies = {"db": {"pre_stop": ["a", "b", "c"]}, "b": {"timeout": "1m"}, "c": {"run": "once"}}
    graph = graph_of(dependencies, ("a", "d"), defaults={"run": "once"})
    assert [graph.entries[name].run for name in ("a", "b", "c", "db")] == ["always", "always", "once", "once"]


def test_a_hook_that_something_needs_is_no_mere_hook() -> None:
    dependencies = {
        "db": {"pre_stop": ["alone", "post", "needed", "first", "second"], "post": "post"},
        "api": {"pre": ["needed", "belongs"]},
        "alone": {"post": ["below", "belongs"]},
        "second": {"pre": "first"},
    }
    graph = graph_of(dependencies, ("post", "needed", "first", "below", "belongs"))
    assert sorted(graph.aside) == ["alone", "below", "first", "second"]
    assert [graph.moment(name) for name in ("alone", "below", "post", "belongs", "api")] == [
        "before db is stopped",
        "with alone",
        "before db is stopped",
        "",
        "",
    ]


def test_all_jobs_are_all_but_the_hooks() -> None:
    sources = read(shop().snapshot(), store="memory")
    assert goals(sources, (), everything=True, with_hooks=False) == ("api", "db", "disk")
    assert goals(sources, (), everything=True) == ("api", "backup", "db", "disk", "wipe")
    assert goals(sources, ("backup",), everything=False, with_hooks=False) == ("backup",)


@pytest.mark.parametrize("kind", ["pre_stop", "post_stop"])
def test_a_hook_without_a_file_is_a_fault_unless_it_is_optional(kind: str) -> None:
    (fault,) = faults_of({"db": {kind: "backup"}})
    assert (fault.code, fault.place and fault.place.key) == ("job-named-nowhere", f"dependencies.db.{kind}")
    graph = graph_of({"db": {kind: {"job": "backup", "required": False}}})
    assert (graph.hooks, graph.absent) == ({}, ("backup",))
    world = World({"db": {kind: {"job": "backup", "required": False}}})
    del world.specs["backup"]
    world.cluster.has(world.job("db"))
    plan = world.plan("db", verb="stop")
    assert (waits(plan), plan.warnings) == ({"db": ()}, ("db: goes without 'backup', which is optional and has no job file",))


@pytest.mark.parametrize(
    ("dependencies", "code", "key"),
    [
        ({"db": {"pre_stop": "a"}, "web": {"post_stop": "a"}}, "same-hook-twice", "dependencies.web.post_stop"),
        ({"db": {"pre_stop": "a", "post_stop": ["a"]}}, "same-hook-twice", "dependencies.db.post_stop[0]"),
        ({"db": {"pre_stop": "db"}}, "self-edge", "dependencies.db.pre_stop"),
        ({"db": {"post_stop": ["a", "a"]}}, "duplicate-edge", "dependencies.db.post_stop[1]"),
        ({"db": {"pre_stop": "a"}, "web": {"pre": {"job": "a", "external": True}}}, "external-job", "dependencies.db.pre_stop"),
        ({"db": {"pre_stop": {"job": "a", "external": True}}}, "unknown-key", "dependencies.db.pre_stop.external"),
        ({"db": {"pre_stop": {"a": {"on_update": "restart"}}}}, "unknown-key", "dependencies.db.pre_stop.a.on_update"),
    ],
)
def test_what_a_hook_cannot_be_is_a_fault_of_the_file(dependencies: Any, code: str, key: str) -> None:
    assert [(fault.code, fault.place and fault.place.key) for fault in faults_of(dependencies, ("a",))] == [(code, key)]


@pytest.mark.parametrize(
    ("dependencies", "drawn"),
    [
        (
            {"api": {"pre": "db"}, "db": {"pre_stop": "a"}, "a": {"pre": "api"}},
            "run a -> stop api -> run a",
        ),
        (
            {"db": {"post_stop": "a"}, "a": {"pre": "db"}},
            "run a -> stop db -> run a",
        ),
        (
            {"api": {"pre": "db", "pre_stop": "a"}, "db": {"pre_stop": "a"}},
            "run a -> stop api -> run a",
        ),
        (
            {"api": {"pre": "db", "post_stop": "a"}, "db": {"post_stop": "a"}},
            "run a -> stop db -> run a",
        ),
    ],
)
def test_a_hook_that_no_stop_could_run_at_its_time_is_a_fault(dependencies: Any, drawn: str) -> None:
    (fault,) = faults_of(dependencies, ("a",))
    assert fault.code == "hook-cycle"
    assert fault.problem.startswith("'a' is to run ")
    assert fault.problem.endswith(f"no stop can do that, as one waits for the other: {drawn}")
    assert fault.place is not None
    assert (fault.place.key or "").endswith("_stop")


def test_hooks_that_need_their_owner_and_each_other_are_no_cycle() -> None:
    dependencies = {
        "web": {"pre": "api", "post_stop": "c"},
        "api": {"pre": "db", "post_stop": "c2"},
        "db": {"pre_stop": ["a", "b"], "post": "a"},
        "a": {"pre": "db"},
        "b": {"pre": ["a", "db"], "post": "d"},
        "c2": {"pre": "db"},
    }
    assert sorted(graph_of(dependencies, ("c", "d")).hooks) == ["a", "b", "c", "c2"]


# -- a stop with hooks -------------------------------------------------------------------------------------------------


def test_a_stop_runs_its_hooks_between_dependents_and_what_is_needed() -> None:
    world = shop({"backup": well(3.0), "wipe": well(2.0)})
    record = world.stop("api", "db", "disk")
    assert (record.exit_code, set(states(record).values())) == (0, {"ready"})
    assert world.cluster.changes == [("stop", "api"), ("register", "backup"), ("stop", "db"), ("register", "wipe"), ("stop", "disk")]
    assert [world.at_s(StepStarted, name) for name in ("backup", "db", "wipe", "disk")] == [0.0, 3.0, 3.0, 5.0]


def test_a_hook_runs_again_with_each_stop() -> None:
    world = shop()
    assert world.stop("db", with_dependents=True).exit_code == 0
    assert world.run("db").exit_code == 0
    plan = world.plan("db", verb="stop")
    assert {step.name: step.change for step in plan.steps} == {"backup": "rerun", "db": "stop", "wipe": "rerun"}


def test_where_a_pre_stop_job_fails_the_owner_and_what_it_needs_are_left_alone() -> None:
    world = shop({"backup": fails(1.0)})
    record = world.stop("api", "db", "disk")
    assert record.exit_code == 3
    assert states(record) == {"api": "ready", "backup": "failed", "db": "lost", "wipe": "lost", "disk": "lost"}
    assert {record.steps[name].because for name in ("db", "wipe", "disk")} == {"backup"}
    assert world.cluster.called("stop") == ["api"]


def test_where_a_post_stop_job_fails_what_the_owner_needs_is_left_alone() -> None:
    world = shop({"wipe": fails(1.0)})
    record = world.stop("api", "db", "disk")
    assert (record.exit_code, states(record)["disk"], record.steps["disk"].because) == (3, "lost", "wipe")
    assert world.cluster.called("stop") == ["api", "db"]


def test_a_hook_that_takes_too_long_times_out() -> None:
    world = shop({"backup": well(60.0)}, backup={"timeout": "5s"})
    record = world.stop("db", with_dependents=True)
    assert (record.exit_code, world.of(StepFailed)[0].kind, states(record)["db"]) == (6, "timed-out", "lost")


def test_a_hook_is_tried_again() -> None:
    world = shop({"backup": [fails(1.0), well(1.0)]}, backup={"retries": 1})
    assert world.stop("db", with_dependents=True).exit_code == 0
    assert [event.job for event in world.of(StepStarted)].count("backup") == 2


@pytest.mark.parametrize(
    ("edge", "entry"),
    [({"job": "backup", "required": False}, {}), ("backup", {"on_failure": "continue"})],
    ids=["required: false", "on_failure: continue"],
)
def test_a_hook_that_the_stop_can_do_without_fails_for_itself(edge: Any, entry: Any) -> None:
    world = shop({"backup": fails(1.0)}, edge=edge, backup={**entry, "pre": "minio"})
    world.cluster.has(world.job("minio"))
    record = world.stop("api", "db", "disk", "minio")
    assert (record.exit_code, states(record)["backup"]) == (0, "failed")
    assert record.steps["backup"].planned.tolerated
    assert sorted(world.cluster.called("stop")) == ["api", "db", "disk", "minio"]


def test_an_optional_post_stop_job_for_which_nothing_waits_fails_for_itself() -> None:
    world = shop({"wipe": fails(1.0)}, post={"wipe": {"required": False}})
    record = world.stop("db", with_dependents=True)
    assert (record.exit_code, states(record)["wipe"]) == (0, "failed")


def test_nothing_is_returned_because_of_a_hook_and_no_stop_is_put_up_with() -> None:
    world = shop(backup={"on_failure": "rollback"})
    plan = world.plan("db", verb="stop", with_dependents=True)
    assert {step.name: (step.on_failure, step.is_tolerated) for step in plan.steps} == dict.fromkeys(
        ("api", "backup", "db", "wipe"), ("stop", False)
    )


def test_a_condition_of_a_hook_lets_the_stop_go_on_earlier() -> None:
    world = shop({"backup": well(9.0)}, edge={"job": "backup", "condition": "registered"}, backup={"post": "verify"})
    world.specs["verify"] = {**world.specs["wipe"], "ID": "verify"}
    record = world.stop("db", with_dependents=True)
    assert record.exit_code == 0
    assert (world.at_s(StepRegistered, "db"), world.at_s(StepReady, "backup"), world.at_s(StepRegistered, "verify")) == (0.0, 9.0, 9.0)


def test_what_no_hook_of_its_type_ever_reaches_is_told_before_anything_is_stopped() -> None:
    world = shop(edge={"job": "backup", "condition": "healthy"}, backup={})
    world.specs["backup"] = {**world.specs["backup"], "Periodic": {"Enabled": True, "Spec": "0 3 * * *"}}
    with pytest.raises(DeclarationError) as caught:
        world.plan("db", verb="stop", with_dependents=True)
    assert [(one.code, one.place and one.place.key) for one in caught.value.faults] == [
        ("impossible-condition", "dependencies.db.pre_stop.condition")
    ]


def test_the_post_jobs_of_a_hook_are_awaited_with_it() -> None:
    world = shop({"verify": well(4.0)}, backup={"post": "verify"})
    world.specs["verify"] = {**world.specs["wipe"], "ID": "verify"}
    plan = world.plan("db", verb="stop", with_dependents=True)
    assert waits(plan) == {"api": (), "backup": ("api",), "verify": ("backup",), "db": ("api", "backup", "verify"), "wipe": ("db",)}
    assert {step.name: step.reason for step in plan.steps}["verify"] == "post job of backup"


def test_post_jobs_of_a_hook_can_be_left_out() -> None:
    world = shop(backup={"post": "verify"})
    world.specs["verify"] = {**world.specs["wipe"], "ID": "verify"}
    plan = world.plan("db", verb="stop", with_dependents=True, skip=("verify", "wipe"))
    assert waits(plan) == {"api": (), "backup": ("api",), "db": ("api", "backup")}


def test_hooks_that_name_each_other_run_in_that_order() -> None:
    world = shop(edge=["backup", "drain"], backup={"pre": "drain"})
    world.specs["drain"] = {**world.specs["wipe"], "ID": "drain"}
    plan = world.plan("db", verb="stop", with_dependents=True)
    assert waits(plan)["backup"] == ("api", "drain")


def test_a_hook_of_two_jobs_runs_once_before_the_first_and_after_the_last() -> None:
    dependencies = {"a": {"pre_stop": "x", "post_stop": "y"}, "b": {"pre_stop": "x", "post_stop": "y"}, "web": {"pre": "b"}, "c": {}}
    dependencies["a"]["pre"] = "c"
    world = World(dependencies, kinds={"x": "batch", "y": "batch"})
    for name in dependencies:
        world.cluster.has(world.job(name))
    assert waits(world.plan("a", "b", "c", "web", verb="stop")) == {
        "web": (),
        "x": ("web",),
        "a": ("x",),
        "b": ("web", "x"),
        "y": ("a", "b"),
        "c": ("a", "y"),
    }
    assert waits(world.plan("a", verb="stop")) == {"x": (), "a": ("x",), "y": ("a",)}


def test_a_hook_of_two_jobs_that_one_can_do_without_is_required() -> None:
    dependencies = {"a": {"pre_stop": "x"}, "b": {"pre_stop": {"job": "x", "required": False}}}
    world = World(dependencies, {"x": fails(1.0)}, kinds={"x": "batch"})
    for name in dependencies:
        world.cluster.has(world.job(name))
    record = world.stop("a", "b")
    assert (record.exit_code, states(record)) == (3, {"x": "failed", "a": "lost", "b": "ready"})


# -- what is no reason for a hook --------------------------------------------------------------------------------------


def test_what_does_not_run_has_no_hooks() -> None:
    world = shop(runs=("disk",))
    assert waits(world.plan("api", "db", "disk", verb="stop")) == {"api": (), "db": ("api",), "disk": ("db",)}


def test_what_is_kept_has_no_hooks() -> None:
    assert waits(shop().plan("db", verb="stop")) == {"db": ()}


def test_of_what_is_ending_already_only_the_post_stop_jobs_run() -> None:
    world = shop(runs=("db",))
    world.cluster.stop_s["db"] = 60.0
    world.cluster.stop(world.ref("db"))
    assert waits(world.plan("db", verb="stop")) == {"db": (), "wipe": ("db",)}


def test_what_was_never_placed_does_not_run() -> None:
    world = World({"db": {"pre_stop": "backup"}}, {"db": filtered}, kinds=BATCH)
    world.cluster.has(world.job("db"))
    assert waits(world.plan("db", verb="stop")) == {"db": ()}


def test_a_parent_runs_as_long_as_it_could_launch_a_child() -> None:
    world = World({"nightly": {"pre_stop": "backup"}}, kinds=BATCH)
    world.specs["nightly"] = {**world.specs["backup"], "ID": "nightly", "Periodic": {"Enabled": True, "Spec": "0 3 * * *"}}
    world.cluster.has(world.job("nightly"))
    assert waits(world.plan("nightly", verb="stop")) == {"backup": (), "nightly": ("backup",)}
    world.cluster.launch_child(world.ref("nightly"), "periodic-1", well(3600.0))
    world.cluster.stop(world.ref("nightly"))
    assert waits(world.plan("nightly", verb="stop")) == {"nightly": ()}


def test_a_purge_of_what_runs_has_hooks_and_the_hooks_stay() -> None:
    world = shop()
    assert world.stop("api", "db", "disk", purge=True).exit_code == 0
    assert sorted(ref.id for ref in world.cluster.jobs) == ["backup", "wipe"]


# -- hooks of an earlier stop ------------------------------------------------------------------------------------------


def test_a_post_stop_job_that_failed_is_run_again_by_the_next_stop_before_what_its_owner_needs_is_stopped() -> None:
    world = shop({"wipe": [fails(1.0), well(1.0)]})
    assert states(world.stop("api", "db", "disk")) | {"backup": ""} == {
        "api": "ready",
        "backup": "",
        "db": "ready",
        "wipe": "failed",
        "disk": "lost",
    }
    plan = world.plan("api", "db", "disk", verb="stop")
    assert waits(plan) == {"api": (), "db": ("api",), "wipe": ("db",), "disk": ("db", "wipe")}
    record = world.carry_out(plan)
    assert (record.exit_code, world.cluster.changes[-1]) == (0, ("stop", "disk"))
    assert waits(world.plan("api", "db", "disk", verb="stop")) == {"api": (), "db": ("api",), "disk": ("db",)}


def test_one_that_fails_again_leaves_what_its_owner_needs_alone_again_unless_it_is_skipped() -> None:
    world = shop({"wipe": fails(1.0)})
    for _ in range(2):
        record = world.stop("api", "db", "disk", purge=True)
        assert (record.exit_code, record.steps["wipe"].state, record.steps["disk"].state) == (3, "failed", "lost")
    assert world.stop("db", "disk", skip=("wipe",)).exit_code == 0
    assert waits(world.plan("wipe", verb="stop")) == {"wipe": ()}


def test_one_that_still_runs_is_awaited_by_the_next_stop() -> None:
    world = shop({"wipe": well(90.0)})
    world.when(lambda event: isinstance(event, StepRegistered) and event.job == "wipe" and event.changed, world.interrupt)
    world.stop("api", "db", "disk")
    world.cluster.calls.clear()
    record = world.stop("api", "db", "disk")
    assert (record.exit_code, world.cluster.changes) == (0, [("stop", "disk")])
    assert 80.0 < record.elapsed_s < 95.0


def test_of_one_that_has_not_run_since_its_owner_was_stopped_the_plan_warns() -> None:
    world = shop(runs=("db", "disk"))
    world.cluster.stop(world.ref("db"))
    world.clock.pause(1.0)
    told = "wipe: runs after db is stopped, and has not run since then; `nomad-dtree run wipe` makes up for it"
    plan = world.plan("db", "disk", verb="stop")
    assert (waits(plan), plan.warnings) == ({"db": (), "disk": ("db",)}, (told,))
    assert world.run("wipe").exit_code == 0
    assert world.plan("db", "disk", verb="stop").warnings == ()


@pytest.mark.parametrize("more", [{"run": "once"}, {"kind": "service"}, {"parent": True}])
def test_where_what_is_stored_cannot_tell_whether_a_hook_has_run_nothing_is_said(more: dict[str, Any]) -> None:
    world = World(
        {"db": {"post_stop": "wipe"}, "wipe": {"run": more["run"]} if "run" in more else {}}, kinds={"wipe": more.get("kind", "batch")}
    )
    if "parent" in more:
        world.specs["wipe"]["ParameterizedJob"] = {"Payload": "optional"}
    world.cluster.has(world.job("wipe"))
    world.cluster.has(world.job("db"))
    world.cluster.stop(world.ref("db"))
    world.clock.pause(1.0)
    plan = world.plan("db", verb="stop")
    assert (waits(plan), plan.warnings) == ({"db": ()}, ())


def test_a_job_that_ended_by_itself_was_not_stopped_and_has_no_hooks() -> None:
    world = World({"load": {"post_stop": "wipe"}}, {"wipe": fails(1.0)}, kinds={"load": "batch", "wipe": "batch"})
    world.cluster.has(world.job("wipe"))
    world.cluster.has(world.job("load"))
    plan = world.plan("load", verb="stop")
    assert (waits(plan), plan.warnings) == ({"load": ()}, ())


def test_a_hook_of_an_earlier_stop_whose_file_is_no_good_is_told() -> None:
    world = shop(runs=("db", "disk"))
    world.cluster.stop(world.ref("db"))
    world.clock.pause(1.0)
    del world.specs["wipe"]["ID"]
    (warning,) = world.plan("db", "disk", verb="stop").warnings
    assert warning.startswith("wipe: whether it is done is not known: ")
    assert world.plan("db", "disk", verb="stop", skip=("wipe",)).warnings == ()


# -- what a hook needs -------------------------------------------------------------------------------------------------


def test_what_a_hook_needs_has_to_be_ready_before_anything_is_stopped() -> None:
    world = shop(backup={"pre": ["db", {"job": "minio", "required": False}, "mail"]})
    with pytest.raises(DeclarationError) as caught:
        world.plan("api", "db", verb="stop")
    (fault,) = caught.value.faults
    assert fault.code == "dependency-not-ready"
    assert fault.problem == "'mail' is not started by a stop, 'backup' needs it, and it is not in Nomad"
    assert fault.hint == "bring it up first: `nomad-dtree run mail`; or stop without the hook: `--skip backup`"
    assert "backup" not in waits(world.plan("api", "db", verb="stop", skip=("backup",)))


def test_what_a_hook_needs_stays_up_until_it_is_done_also_through_what_is_not_stopped() -> None:
    world = shop({"backup": well(5.0)}, backup={"pre": "minio"})
    world.specs |= {name: {**world.specs["disk"], "ID": name} for name in ("minio", "nfs")}
    world = World(
        {"db": {"pre_stop": "backup"}, "backup": {"pre": "minio"}, "minio": {"pre": "nfs"}, "nfs": {}},
        {"backup": well(5.0)},
        kinds=BATCH,
    )
    for name in ("db", "minio", "nfs"):
        world.cluster.has(world.job(name))
    assert waits(world.plan("db", "minio", "nfs", verb="stop")) == {
        "backup": (),
        "db": ("backup",),
        "minio": ("backup",),
        "nfs": ("minio",),
    }
    assert waits(world.plan("db", "nfs", verb="stop", force=True))["nfs"] == ("backup",)


def test_a_hook_that_needs_its_owner_may_let_it_be_stopped_while_it_goes_on() -> None:
    world = shop({"backup": well(9.0)}, edge={"job": "backup", "condition": "started"}, backup={"pre": "db"})
    assert world.stop("db", with_dependents=True).exit_code == 0
    assert (world.at_s(StepRegistered, "db"), world.at_s(StepReady, "backup")) == (0.0, 9.0)


def test_a_hook_that_is_to_be_stopped_too_is_only_run_where_nothing_of_it_runs() -> None:
    world = shop(backup={"pre": "disk"})
    assert waits(world.plan("api", "backup", "db", "disk", verb="stop"))["disk"] == ("backup", "db", "wipe")
    world.cluster.has(world.job("backup"), well(3600.0))
    with pytest.raises(DeclarationError) as caught:
        world.plan("api", "backup", "db", verb="stop")
    (fault,) = caught.value.faults
    assert (fault.code, fault.place and fault.place.key) == ("hook-is-stopped", "dependencies.db.pre_stop")
    assert fault.problem == "'backup' is to be stopped, as it runs, and to run before db is stopped"
    assert fault.hint == "stop it first: `nomad-dtree stop backup`; or leave it out: `--skip backup`"


def test_a_hook_with_the_id_of_another_job_is_not_put_in_its_place() -> None:
    world = shop()
    world.specs["backup"] = {**world.specs["backup"], "ID": "db"}
    with pytest.raises(DeclarationError) as caught:
        world.plan("db", verb="stop", with_dependents=True)
    assert [(one.code, one.problem) for one in caught.value.faults] == [("same-job-id", "'db' and 'backup' are one job to Nomad: 'db'")]


def test_a_hook_may_be_run_once_for_good() -> None:
    world = shop(backup={"run": "once"})
    assert world.stop("db", with_dependents=True).exit_code == 0
    assert world.run("db").exit_code == 0
    plan = world.plan("db", verb="stop")
    assert [(step.name, step.change) for step in plan.steps] == [("backup", "noop"), ("db", "stop"), ("wipe", "rerun")]


# -- any file ----------------------------------------------------------------------------------------------------------

SERVICES = ("s0", "s1", "s2", "s3", "s4")
HOOKS = ("h0", "h1", "h2")


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Services that need those before them, and hooks that need anything; not each of these files is well."""
    entries: dict[str, Any] = {}
    for number, name in enumerate(SERVICES):
        needs = draw(st.lists(st.sampled_from(SERVICES[:number] or ("s0",)), unique=True, max_size=2)) if number else []
        sides = {side: draw(st.lists(st.sampled_from(HOOKS), unique=True, max_size=2)) for side in ("pre_stop", "post_stop", "post")}
        entries[name] = {"pre": needs, **{side: hooks for side, hooks in sides.items() if hooks}}
    for number, name in enumerate(HOOKS):
        entries[name] = {"pre": draw(st.lists(st.sampled_from((*SERVICES, *HOOKS[:number])), unique=True, max_size=2))}
    return entries


def is_well(dependencies: dict[str, Any]) -> bool:
    try:
        graph_of(dependencies)
    except DeclarationError:
        return False
    return True


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    files(), st.sets(st.sampled_from(SERVICES), min_size=1), st.sets(st.sampled_from((*SERVICES, *HOOKS))), st.sampled_from(["", "force"])
)
def test_where_a_file_is_well_every_stop_of_a_part_of_it_has_an_order(
    dependencies: dict[str, Any], stopped: set[str], skip: set[str], forced: str
) -> None:
    goals = stopped - skip
    assume(goals and is_well(dependencies))
    world = World(dependencies, kinds=dict.fromkeys(HOOKS, "batch"))
    for name in (*SERVICES, *HOOKS):
        world.cluster.has(world.job(name))
    plan = world.plan(*goals, verb="stop", deep=True, skip=tuple(sorted(skip)), force=bool(forced))
    seen: set[str] = set()
    for step in plan.steps:
        assert seen.issuperset(step.needs)
        seen.add(step.name)
    assert len(seen) == len(plan.steps)

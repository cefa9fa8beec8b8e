"""dtree.pipeline: the stages as one program."""

from __future__ import annotations

from typing import Any

import pytest

from dtree import pipeline
from dtree.errors import EXIT_JOB_FAILED, DeclarationError, Denied, Invalid
from dtree.inputs import Inputs
from dtree.pipeline import Sources
from dtree.plan import Intent
from dtree.rendering import check
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_file, job_spec
from tests.fakes.store import MemorySnapshot
from tests.fakes.world import World

SHOP = {"web": {"pre": "api"}, "api": {"pre": "db"}, "db": {"post": "setup"}}


def sources_of(snapshot: MemorySnapshot) -> Sources:
    return pipeline.read(snapshot, store="memory")


def world(**scripts: Any) -> World:
    return World(SHOP, scripts, kinds={"setup": "batch"})


# -- job files ---------------------------------------------------------------------------------------------------------


def test_only_the_job_files_that_the_goal_needs_are_read() -> None:
    snapshot = world().snapshot()
    sources = sources_of(snapshot)
    pipeline.prepare(sources, FakeCluster(FakeClock()), Intent("run", ("api",)), namespace="")
    assert sorted(snapshot.reads) == ["dependency.json", "jobs/api.json", "jobs/db.json", "jobs/setup.json"]


def test_a_job_file_may_stand_where_its_entry_says() -> None:
    snapshot = MemorySnapshot({"dependencies": {"api": {"file": "elsewhere/a.json"}}}, files={"elsewhere/a.json": job_file("api")})
    plan = pipeline.prepare(sources_of(snapshot), FakeCluster(FakeClock()), Intent("run", ("api",)), namespace="")
    assert plan.steps[0].job.file == "elsewhere/a.json"


# -- preparing ---------------------------------------------------------------------------------------------------------


def test_a_plan_carries_where_it_came_from() -> None:
    plan = world().plan("web")
    assert (plan.verb, plan.stack, plan.store, plan.revision, plan.goals) == ("run", "memory", "memory", "memory", ("web",))


def test_all_faults_of_all_job_files_are_told_before_anything_is_changed() -> None:
    files = {"api.json": job_file(""), "db.json": b"\xff", "setup.nomad": "no job at all", "web.json": job_file("web")}
    cluster = FakeCluster(FakeClock())
    with pytest.raises(DeclarationError) as caught:
        pipeline.prepare(sources_of(MemorySnapshot({"dependencies": SHOP}, files)), cluster, Intent("run", ("web",)), namespace="")
    assert [fault.place.file for fault in caught.value.faults if fault.place] == ["jobs/api.json", "jobs/db.json", "jobs/setup.nomad"]
    assert cluster.changes == []


def test_missing_and_ambiguous_job_files_are_told_at_once() -> None:
    snapshot = MemorySnapshot({"dependencies": {"api": {}, "db": {}}}, {"db.json": job_file("db"), "db.nomad": job_file("db")})
    with pytest.raises(DeclarationError) as caught:
        pipeline.prepare(sources_of(snapshot), FakeCluster(FakeClock()), Intent("run", ("api", "db")), namespace="")
    assert [fault.code for fault in caught.value.faults] == ["job-file-missing", "job-file-ambiguous"]


@pytest.mark.parametrize(
    ("dependencies", "more", "problem", "key"),
    [
        (
            {"db": {"wait_cond": "completed"}},
            {},
            "'db': a service job is meant to run on, so 'completed' cannot be waited for",
            "dependencies.db.wait_cond",
        ),
        (
            {"api": {"post": {"job": "db", "wait_cond": "completed"}}},
            {},
            "'db': a service job is meant to run on, so 'completed' cannot be waited for",
            "dependencies.api.post.wait_cond",
        ),
        (
            {"db": {"wait_cond": "healthy"}},
            {"Periodic": {"Spec": "@daily"}},
            "'db': a periodic job runs only through its children, so 'healthy' cannot be waited for",
            "dependencies.db.wait_cond",
        ),
        (
            {"db": {"wait_cond": "completed"}},
            {"ParameterizedJob": {"Payload": "optional"}},
            "'db': a parameterized job runs only through its children, so 'completed' cannot be waited for",
            "dependencies.db.wait_cond",
        ),
    ],
)
def test_a_condition_that_can_never_be_met_is_a_fault_of_the_plan(
    dependencies: dict[str, Any], more: dict[str, Any], problem: str, key: str
) -> None:
    kind = "batch" if more else "service"
    impossible = World(dependencies, specs={"db": job_spec("db", kind, **more)})
    with pytest.raises(DeclarationError) as caught:
        impossible.plan(*dependencies)
    found = [(fault.code, fault.problem, fault.place and fault.place.key) for fault in caught.value.faults]
    assert found == [("impossible-condition", problem, key)]
    assert impossible.cluster.changes == []


# -- a namespace that does not exist ---------------------------------------------------------------------------------------


def nowhere() -> World:
    lost = World({"api": {}, "db": {"namespace": "prdo"}})
    lost.cluster.no_namespaces.add("prdo")
    return lost


def test_nothing_is_called_stopped_in_a_namespace_that_does_not_exist() -> None:
    with pytest.raises(DeclarationError) as caught:
        nowhere().plan("api", "db", verb="stop")
    problem = "there is no namespace 'prdo' in this Nomad, where job 'db' would be"
    assert [(fault.code, fault.problem) for fault in caught.value.faults] == [("no-namespace", problem)]


def test_status_says_of_which_jobs_the_namespace_does_not_exist() -> None:
    rows = nowhere().status("api", "db")
    assert {name: (row.health, row.reason) for name, row in rows.items()} == {
        "api": ("Missing", ""),
        "db": ("Missing", "there is no namespace 'prdo' in this Nomad, where job 'db' would be"),
    }


def test_only_namespaces_in_which_something_is_missing_are_asked_for() -> None:
    there = World({"api": {}, "db": {"namespace": "team"}})
    there.run("api", "db")
    there.status("api", "db")
    assert there.cluster.called("has_namespace") == []


# -- files that are no good do not stand in the way of a stop --------------------------------------------------------------


def broken_world(*broken: str) -> tuple[World, Sources]:
    """A shop that runs, and whose job files then went bad: unparseable, and of `db` missing."""
    shop = world()
    shop.run("web")
    files = {f"{name}.json": job_file(name, "batch" if name == "setup" else "service") for name in ("web", "api", "db", "setup")}
    texts = {file: "no job" if file.removesuffix(".json") in broken else text for file, text in files.items()}
    if "db" in broken:
        del texts["db.json"]
    return shop, sources_of(MemorySnapshot({"dependencies": SHOP}, texts))


def stop_plan(shop: World, sources: Sources, *goals: str, **options: Any) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    plan = pipeline.prepare(sources, shop.cluster, Intent("stop", goals, **options), namespace="")
    return {step.name: (step.change, step.cause, step.needs) for step in plan.steps}


def test_a_file_that_is_no_good_keeps_only_its_own_job_and_what_that_may_need() -> None:
    shop, sources = broken_world("api")
    assert stop_plan(shop, sources, "web", deep=True) == {
        "web": ("stop", "runs", ()),
        "api": ("keep", "its job file is no good", ()),
        "setup": ("absent", "has ended", ()),
        "db": ("keep", "may still be needed by api, whose job file is no good", ("setup",)),
    }


def test_with_force_all_that_is_known_is_stopped() -> None:
    shop, sources = broken_world("api")
    assert stop_plan(shop, sources, "web", deep=True, force=True) == {
        "web": ("stop", "runs", ()),
        "api": ("keep", "its job file is no good", ()),
        "setup": ("absent", "has ended", ()),
        "db": ("stop", "runs", ("setup",)),
    }


def test_a_missing_file_of_somebody_outside_keeps_what_it_may_need() -> None:
    shop, sources = broken_world("web")
    assert stop_plan(shop, sources, "api")["api"] == ("keep", "may still be needed by web, whose job file is no good", ())


def test_a_job_whose_id_is_not_known_is_not_stopped_and_the_run_says_so() -> None:
    shop, sources = broken_world("db")
    plan = pipeline.prepare(sources, shop.cluster, Intent("stop", ("web",), deep=True), namespace="")
    record = shop.carry_out(plan)
    assert record.exit_code == EXIT_JOB_FAILED
    assert {name: step.state for name, step in record.steps.items()} == {"web": "ready", "api": "ready", "setup": "ready", "db": "failed"}
    assert record.steps["db"].reason.startswith("its ID is not known: job 'db' has no job file in the store (looked for db, db.nomad")


def test_a_job_whose_region_is_away_is_not_stopped_nor_called_unknown() -> None:
    shop = World({"api": {"pre": "db"}, "web": {"region": "eu", "pre": "api"}, "db": {}})
    shop.run("web")
    shop.cluster.no_regions = {"eu"}
    sources = sources_of(shop.snapshot())
    assert stop_plan(shop, sources, "api", "db", "web") == {
        "web": ("keep", "its region cannot be reached", ()),
        "api": ("keep", "may still be needed by web, whose region cannot be reached", ()),
        "db": ("keep", "still needed by api", ("api",)),
    }
    record = shop.carry_out(pipeline.prepare(sources, shop.cluster, Intent("stop", ("web",)), namespace=""))
    step = record.steps["web"]
    assert (record.exit_code, step.hint) == (EXIT_JOB_FAILED, "the regions there are: eu, global")
    assert step.reason == (
        "it cannot be reached: job 'web' would be in region 'eu': No path to region 'eu' (dependency.json:1:59, dependencies.web.region)"
    )


def test_a_file_that_is_no_good_does_not_hide_how_the_others_do() -> None:
    shop, sources = broken_world("api")
    rows = {row.job: row for row in pipeline.status(sources, shop.cluster, ("web",), namespace="")}
    assert {name: row.health for name, row in rows.items()} == {"web": "Healthy", "api": "Unknown", "db": "Healthy", "setup": "Healthy"}
    assert rows["api"].reason.startswith("Nomad cannot parse the job file of 'api': ")
    assert rows["api"].reason.endswith("(jobs/api.json:1:1)")


def test_what_nomad_denies_ends_the_planning() -> None:
    denied = world()
    denied.cluster.refuse("dry_run", "db", Denied("the token may not plan"))
    with pytest.raises(Denied):
        denied.plan("web")


# -- validate ----------------------------------------------------------------------------------------------------------


def test_validating_gives_nomads_warnings_by_job() -> None:
    good = world()
    good.cluster.warnings["db"] = "old field"
    snapshot = good.snapshot()
    checked = check(snapshot, store="memory", inputs=Inputs())
    read = list(snapshot.reads)
    assert pipeline.validate(checked, good.cluster, namespace="")[1] == ("db: old field",)
    assert snapshot.reads == read  # what was checked is what Nomad is asked about
    assert sorted(good.cluster.called("validate")) == ["api", "db", "setup", "web"]


def test_validating_tells_every_job_that_nomad_refuses() -> None:
    bad = world()
    bad.cluster.refuse("validate", "api", Invalid("no group"))
    bad.cluster.refuse("validate", "db", Invalid("no task"))
    with pytest.raises(DeclarationError) as caught:
        pipeline.validate(check(bad.snapshot(), store="memory", inputs=Inputs()), bad.cluster, namespace="")
    assert [fault.problem for fault in caught.value.faults] == ["Nomad refuses job 'api': no group", "Nomad refuses job 'db': no task"]


def test_validating_tells_what_the_file_asks_of_jobs_that_can_never_come_wherever_it_says_so() -> None:
    bad = World(
        {
            "api": {"pre": [{"job": "db", "condition": {"tcp": {"port": "sql"}}}], "run": "once"},
            "db": {"wait_cond": {"service": "db"}, "post": [{"job": "fill", "condition": "completed", "wait_cond": "healthy"}]},
            "fill": {"wait_cond": {"log": "up", "task": "other"}},
            "cron": {"wait_cond": "completed", "pre_stop": {"job": "save", "condition": {"log": "x", "task": "y"}}},
            "plain": {"wait_cond": {"any": ["ready", {"log": "up"}]}},
        },
        specs={"cron": job_spec("cron", "batch", Periodic={"Spec": "@daily"}), "fill": job_spec("fill", "batch")},
    )
    with pytest.raises(DeclarationError) as caught:
        pipeline.validate(check(bad.snapshot(), store="memory", inputs=Inputs()), bad.cluster, namespace="")
    assert [(fault.code, fault.problem.partition(":")[0], fault.place and fault.place.key) for fault in caught.value.faults] == [
        ("impossible-condition", "'db'", "dependencies.api.pre[0].condition"),
        ("impossible-condition", "'db'", "dependencies.db.wait_cond"),
        ("impossible-condition", "'db'", "dependencies.db.post[0].condition"),
        ("impossible-condition", "'cron'", "dependencies.cron.wait_cond"),
        ("impossible-condition", "'save'", "dependencies.cron.pre_stop.condition"),
        ("impossible-run", "'api' is a service job, which runs on", "dependencies.api.run"),
    ]


def test_a_condition_of_the_defaults_is_told_of_every_job_that_it_does_not_fit() -> None:
    bad = World({"api": {}, "db": {"wait_cond": "ready"}, "web": {}}, head={"defaults": {"wait_cond": "completed"}})
    with pytest.raises(DeclarationError) as caught:
        pipeline.validate(check(bad.snapshot(), store="memory", inputs=Inputs()), bad.cluster, namespace="")
    found = [(fault.problem.partition(":")[0], fault.place and fault.place.key) for fault in caught.value.faults]
    assert found == [("'api'", "defaults.wait_cond"), ("'web'", "defaults.wait_cond")]


@pytest.mark.parametrize(
    ("goals", "told"),
    [
        (("vault",), ("vault: external, so it is left alone; whoever runs it stops it",)),
        (("api", "vault"), ("vault: external, so it is left alone; whoever runs it stops it",)),
        (("api", "db", "vault"), ()),
        (("db",), ()),
    ],
)
def test_a_stop_of_what_is_external_says_that_it_is_left_alone(goals: tuple[str, ...], told: tuple[str, ...]) -> None:
    theirs = World({"api": {"pre": {"job": "vault", "external": True}}, "db": {}})
    assert theirs.plan(*goals, verb="stop").warnings == told
    record = theirs.run(*goals, verb="stop")
    assert (record.exit_code, tuple(warning.problem for warning in record.warnings)) == (0, told)

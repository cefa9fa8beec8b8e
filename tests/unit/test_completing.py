"""Jobs that complete, from the dependency file to the record of a run: when they are run again, and what is remembered of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dtree.completion import job_digest
from dtree.errors import Conflict, DeclarationError, Denied, Unavailable
from dtree.events import StepStarted
from dtree.plan import Step
from dtree.provenance import MARK, note_path
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import fails, never, well
from tests.fakes.world import World

STACK = "memory"
HOUR_S = 3600.0


def world_of(policy: str | None = None, kind: str = "batch", **entry: Any) -> World:
    return World({"migrate": entry if policy is None else {"run": policy, **entry}}, kinds={"migrate": kind})


def note(world: World, name: str = "migrate") -> Mapping[str, str]:
    return world.cluster.variables.get(("default", note_path(STACK, name)), {})


def step_of(world: World, name: str = "migrate", **intent: Any) -> Step:
    return next(step for step in world.plan(name, **intent).steps if step.name == name)


def told(step: Step) -> tuple[str, str]:
    return step.change, step.cause


def run_changed(world: World) -> None:
    world.specs["migrate"] = job_spec("migrate", "batch", Meta={"release": "2"})


# -- what is remembered ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["batch", "sysbatch"])
def test_a_success_is_noted_with_the_digest_of_the_job_and_its_time(kind: str) -> None:
    world = world_of(kind=kind)
    assert world.run("migrate").exit_code == 0
    assert note(world)["succeeded"] == job_digest(world.job("migrate"))
    assert note(world)["succeeded_at"].endswith("Z")


def test_a_failure_is_noted_as_no_success() -> None:
    world = world_of()
    world.cluster.script("migrate", fails())
    assert world.run("migrate").exit_code == 3
    assert "succeeded" not in note(world)


def test_a_service_has_no_success_to_note() -> None:
    world = World({"api": {}})
    world.run("api")
    assert "succeeded" not in note(world, "api")


def test_a_job_that_has_only_started_is_no_success_until_a_run_sees_it_completed() -> None:
    world = world_of(wait_cond="started")
    world.cluster.script("migrate", well(60.0))
    assert world.run("migrate").exit_code == 0
    assert "succeeded" not in note(world)
    world.clock.pause(120.0)
    world.run("migrate")
    assert note(world)["succeeded"] == job_digest(world.job("migrate"))
    assert world.cluster.changes == []


def test_a_success_that_is_noted_is_not_written_again() -> None:
    world = world_of()
    world.run("migrate")
    world.run("migrate")
    assert world.cluster.called("write_note") == []


# -- run: on_change ----------------------------------------------------------------------------------------------------


def test_what_nomad_has_collected_is_done_as_long_as_it_does_not_change() -> None:
    world = world_of()
    world.run("migrate")
    world.cluster.collect(world.ref("migrate"))
    assert told(step_of(world)) == ("noop", "completed before, unchanged; Nomad has forgotten it since")
    assert world.run("migrate").exit_code == 0
    assert world.cluster.changes == []
    run_changed(world)
    assert world.run("migrate").exit_code == 0
    assert world.cluster.changes == [("register", "migrate")]


def test_what_was_stopped_is_done_and_only_a_purge_forgets_it() -> None:
    world = world_of()
    world.run("migrate")
    world.cluster.stop(world.ref("migrate"))
    assert told(step_of(world)) == ("noop", "completed before, unchanged")
    assert world.stop("migrate", purge=True).exit_code == 0
    assert told(step_of(world)) == ("create", "not in Nomad yet")


def test_the_last_success_counts_and_not_an_earlier_one() -> None:
    world = world_of()
    first = world.specs["migrate"]
    world.run("migrate")
    run_changed(world)
    world.run("migrate")
    world.specs["migrate"] = first
    assert step_of(world).change == "replace"


def test_an_unchanged_job_that_failed_after_a_success_is_run_again() -> None:
    world = world_of()
    world.run("migrate")
    world.cluster.script("migrate", fails())
    assert world.run("migrate", force=True).exit_code == 3
    assert step_of(world).change == "rerun"


def test_force_runs_again_what_nomad_has_forgotten() -> None:
    world = world_of()
    world.run("migrate")
    world.cluster.collect(world.ref("migrate"))
    assert step_of(world, force=True).change == "create"


def test_a_run_that_somebody_else_began_is_waited_for() -> None:
    world = world_of()
    world.run("migrate")
    world.cluster.stop(world.ref("migrate"))
    world.cluster.has(world.job("migrate"), well(HOUR_S))
    assert told(step_of(world)) == ("noop", "runs, unchanged")


# -- run: once ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_what_is_run_once_is_never_run_after_a_success_even_changed(*, force: bool) -> None:
    world = world_of("once")
    world.run("migrate")
    run_changed(world)
    assert told(step_of(world, force=force)) == ("noop", "completed before, and is run only once")
    assert world.run("migrate", force=force).exit_code == 0
    assert world.cluster.changes == []


def test_what_is_run_once_and_completed_unnoticed_is_noted_and_not_run_again() -> None:
    world = world_of("once")
    world.cluster.has(world.job("migrate"))
    assert world.run("migrate", force=True).exit_code == 0
    assert world.cluster.changes == []
    assert note(world)["succeeded"] == job_digest(world.job("migrate"))
    assert told(step_of(world)) == ("noop", "completed, unchanged")


def test_what_is_run_once_and_failed_is_run_again() -> None:
    world = world_of("once")
    world.cluster.script("migrate", fails(), well())
    assert world.run("migrate").exit_code == 3
    assert world.run("migrate").exit_code == 0
    assert "succeeded" in note(world)


BEGUN = "'migrate' is to be run once; it was begun at 2026-01-01T00:00:00.000Z, and Nomad has forgotten what became of it"


def refusal(world: World, **intent: Any) -> tuple[str, str, str]:
    with pytest.raises(DeclarationError) as caught:
        world.plan("migrate", **intent)
    (fault,) = caught.value.faults
    return fault.code, re.sub(r"begun at \S+,", "begun at 2026-01-01T00:00:00.000Z,", fault.problem), fault.hint


def interrupted(world: World, after_s: float = 5.0) -> None:
    world.clock.after(after_s, world.interrupt)
    assert world.run("migrate").exit_code == 130


def test_what_was_begun_once_and_completed_unseen_is_refused_once_nomad_has_forgotten_it() -> None:
    started, broken_off, late = world_of("once", wait_cond="started"), world_of("once"), world_of("once", timeout=10)
    for world in (started, broken_off, late):
        world.cluster.script("migrate", well(60.0))
    assert started.run("migrate").exit_code == 0
    interrupted(broken_off)
    assert late.run("migrate").exit_code == 6
    for world in (started, broken_off, late):
        world.cluster.collect(world.ref("migrate"))
        code, problem, hint = refusal(world, force=True)
        assert (code, problem) == ("forgotten-run", BEGUN)
        assert refusal(world) == (code, problem, hint)
        assert "`nomad-dtree stop migrate --purge` forgets it, and the next run runs it" in hint
        assert "`nomad var put -force dtree/memory/migrate nomad-dtree=1 succeeded=by-hand` says so" in hint
        assert world.stop("migrate", purge=True).exit_code == 0
        assert world.run("migrate").exit_code in (0, 6)


def test_what_somebody_says_has_succeeded_is_not_run_again() -> None:
    world = world_of("once")
    world.cluster.variables["default", note_path(STACK, "migrate")] = {MARK: "1", "succeeded": "by-hand"}
    assert told(step_of(world)) == ("noop", "completed before, and is run only once")


def test_the_hint_names_namespace_and_region_where_the_note_is() -> None:
    world = World({"migrate": {"run": "once"}}, specs={"migrate": job_spec("migrate", "batch", Namespace="shop", Region="eu")})
    world.cluster.script("migrate", well(60.0))
    interrupted(world)
    world.cluster.collect(world.ref("migrate"))
    assert "`nomad var put -namespace shop -region eu -force dtree/memory/migrate " in refusal(world)[2]


def test_what_was_begun_once_and_still_is_in_nomad_is_waited_for_and_noted() -> None:
    world = world_of("once")
    world.cluster.script("migrate", well(60.0))
    interrupted(world)
    world.clock.pause(120.0)
    assert world.run("migrate").exit_code == 0
    assert (world.cluster.changes, "succeeded" in note(world)) == ([], True)
    world.cluster.collect(world.ref("migrate"))
    assert told(step_of(world)) == ("noop", "completed before, and is run only once")


def test_what_completed_once_unseen_is_noted_and_not_run_again_although_its_file_changed() -> None:
    world = world_of("once", wait_cond="started")
    world.cluster.script("migrate", well(60.0))
    world.run("migrate")
    world.clock.pause(120.0)
    before = note(world)["text_digest"]
    run_changed(world)
    assert told(step_of(world)) == ("noop", "completed, and is run only once")
    assert world.run("migrate").exit_code == 0
    assert (world.cluster.changes, "succeeded" in note(world), note(world)["text_digest"]) == ([], True, before)


def test_what_was_seen_to_fail_is_run_again_although_nomad_has_forgotten_it() -> None:
    world = world_of("once")
    world.cluster.script("migrate", fails(), well())
    assert world.run("migrate").exit_code == 3
    world.cluster.collect(world.ref("migrate"))
    assert world.run("migrate").exit_code == 0


def test_what_completed_after_a_timeout_was_told_is_noted_as_far_as_it_is_seen() -> None:
    world = world_of("once", timeout=10)
    world.cluster.script("migrate", well(10.5))
    world.cluster.latency_s["snapshot migrate"] = 1.0
    assert world.run("migrate").exit_code == 6
    world.clock.pause(60.0)
    assert world.run("migrate").exit_code == 0


def test_what_a_run_never_came_to_was_not_begun() -> None:
    world = World({"migrate": {"run": "once", "pre": "db"}}, kinds={"migrate": "batch"})
    world.cluster.script("db", fails())
    assert world.run("migrate").exit_code == 3
    assert step_of(world).change == "create"


def test_what_nomad_would_not_register_was_not_begun_and_what_it_may_have_was() -> None:
    world = world_of("once")
    world.cluster.refuse("register", "migrate", Conflict("somebody else was quicker"))
    assert world.run("migrate").exit_code == 1
    assert step_of(world).change == "create"
    world.cluster.refuse("register", "migrate", Unavailable("no leader"))
    world.run("migrate")
    assert refusal(world)[:2] == ("forgotten-run", BEGUN)


def test_what_is_run_once_is_not_registered_where_its_beginning_cannot_be_noted() -> None:
    world = world_of("once")
    plan = world.plan("migrate")
    world.when(
        lambda event: isinstance(event, StepStarted), lambda: world.cluster.refuse("change_note", "migrate", Denied("Nomad denies it"))
    )
    assert world.carry_out(plan).exit_code == 1
    assert world.cluster.changes == []


def test_the_plan_says_that_nomad_has_forgotten_what_it_runs_again() -> None:
    world = world_of(wait_cond="started")
    world.cluster.script("migrate", well(60.0))
    world.run("migrate")
    world.cluster.collect(world.ref("migrate"))
    assert told(step_of(world)) == ("create", "Nomad has forgotten it, and whether it completed")
    world.run("migrate")
    world.clock.pause(120.0)
    world.run("migrate")
    world.cluster.collect(world.ref("migrate"))
    assert step_of(world, force=True).cause == "completed before; Nomad has forgotten it since"
    run_changed(world)
    assert step_of(world).cause == "changed since it completed; Nomad has forgotten it since"


# -- run: always -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["batch", "sysbatch"])
def test_what_is_always_run_is_run_in_each_run(kind: str) -> None:
    world = world_of("always", kind=kind)
    world.run("migrate")
    step = step_of(world)
    assert told(step) == ("rerun", "completed and unchanged; run again because of `run: always`")
    assert world.run("migrate").exit_code == 0
    assert ("register", "migrate") in world.cluster.changes
    world.cluster.collect(world.ref("migrate"))
    assert step_of(world).change == "create"


def test_what_is_always_run_and_runs_just_now_is_waited_for() -> None:
    world = world_of("always")
    world.cluster.has(world.job("migrate"), well(HOUR_S))
    assert step_of(world).change == "noop"


# -- where nothing can be remembered -----------------------------------------------------------------------------------


def deny(world: World, what: str, of: str) -> None:
    world.cluster.refuse(what, of, *[Denied("Nomad denies it: Permission denied", hint="write the rule") for _ in range(9)])


def test_what_is_run_once_is_refused_before_anything_is_registered_where_it_cannot_be_noted() -> None:
    world = World({"migrate": {"run": "once", "pre": "db"}}, kinds={"migrate": "batch"})
    plan = world.plan("migrate")
    deny(world, "change_note", "migrate")
    with pytest.raises(Denied) as caught:
        world.carry_out(plan)
    assert caught.value.problem == "job 'migrate' is to be run once, and that it was cannot be noted: Nomad denies it: Permission denied"
    assert caught.value.hint == "write the rule"
    assert (world.cluster.changes, world.events) == ([], [])


def test_what_is_run_once_is_refused_where_nobody_may_read_whether_it_was() -> None:
    world = world_of("once")
    deny(world, "notes", STACK)
    with pytest.raises(Denied) as caught:
        world.plan("migrate")
    assert "whether it was cannot be read" in caught.value.problem


def test_without_notes_nomads_own_view_decides_and_the_plan_and_the_run_warn() -> None:
    world = world_of()
    deny(world, "notes", STACK)
    deny(world, "change_note", "migrate")
    plan = world.plan("migrate")
    lead = "what has completed is known only as long as Nomad keeps it, because it is not noted"
    assert plan.warnings == (f"migrate: {lead}: Nomad denies it: Permission denied (write the rule)",)
    record = world.carry_out(plan)
    assert record.exit_code == 0
    assert [warning.problem.partition(":")[0] for warning in record.warnings] == [
        "what runs where is not noted in Nomad's Variables",
        "what has completed is not noted in Nomad's Variables, so that it is run again once Nomad has forgotten it",
    ]
    assert told(step_of(world)) == ("noop", "completed, unchanged")
    world.cluster.collect(world.ref("migrate"))
    assert step_of(world).change == "create"


def test_a_stop_does_not_warn_of_what_it_need_not_know() -> None:
    world = world_of()
    deny(world, "notes", STACK)
    assert world.plan("migrate", verb="stop", purge=True).warnings == ()


def test_notes_that_cannot_be_reached_break_the_plan_off() -> None:
    world = world_of()
    world.cluster.refuse("notes", STACK, Unavailable("no leader"))
    with pytest.raises(Unavailable):
        world.plan("migrate")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (job_spec("migrate"), "'migrate' is a service job, which runs on: `run` is for jobs that complete"),
        (
            job_spec("migrate", "batch", ParameterizedJob={}, Periodic={"Spec": "@daily"}),
            "'migrate' runs only through its children, and none is dispatched: `run` is for jobs that complete",
        ),
    ],
)
def test_run_in_the_entry_of_a_job_that_never_completes_is_a_fault(spec: dict[str, Any], problem: str) -> None:
    world = World({"migrate": {"run": "always"}}, specs={"migrate": spec})
    with pytest.raises(DeclarationError) as caught:
        world.plan("migrate")
    (fault,) = caught.value.faults
    assert (fault.code, fault.problem, fault.place and fault.place.key) == ("impossible-run", problem, "dependencies.migrate.run")


def test_run_in_the_defaults_is_for_the_jobs_that_complete() -> None:
    world = World({"migrate": {"pre": "db"}, "db": {}}, kinds={"migrate": "batch"}, head={"defaults": {"run": "always"}})
    world.run("migrate")
    assert {step.name: step.change for step in world.plan("migrate").steps} == {"db": "noop", "migrate": "rerun"}


# -- failures ----------------------------------------------------------------------------------------------------------


def test_the_exit_code_of_a_task_that_failed_is_told() -> None:
    world = world_of()
    world.cluster.script("migrate", fails(code=42))
    record = world.run("migrate")
    (one,) = record.steps["migrate"].exits
    assert (one.job, one.task, one.exit_code, one.signal) == ("migrate", "work", 42, None)


def test_a_run_that_takes_too_long_is_no_success() -> None:
    world = world_of(timeout="10s")
    world.cluster.script("migrate", never)
    assert world.run("migrate").exit_code == 6
    assert "succeeded" not in note(world)


# -- the digest --------------------------------------------------------------------------------------------------------


def digest(**more: Any) -> str:
    return job_digest(replace(world_of().job("migrate"), spec={**job_spec("migrate", "batch"), **more}))


def test_what_nomad_fills_in_by_itself_is_no_change() -> None:
    assert digest(Version=7, ModifyIndex=12, Status="dead", Stop=True) == digest()
    assert digest(Priority=None, UI=None) == digest()
    assert digest(Meta={"release": "2"}) != digest()


def test_the_count_of_an_autoscaler_is_no_change_and_any_other_is() -> None:
    def counted(count: int, **group: Any) -> str:
        (main,) = job_spec("migrate", "batch")["TaskGroups"]
        return digest(TaskGroups=[{**main, "Count": count, **group}])

    assert counted(1, Scaling={"Max": 5}) == counted(3, Scaling={"Max": 5})
    assert counted(1, Scaling={"Enabled": False}) != counted(3, Scaling={"Enabled": False})
    assert counted(1) != counted(3)


def test_a_note_of_somebody_elses_making_stays_theirs() -> None:
    world = world_of()
    world.cluster.variables["default", note_path(STACK, "migrate")] = {MARK: "1", "theirs": "kept"}
    world.run("migrate")
    assert note(world)["theirs"] == "kept"

"""dtree.footing and dtree.founding: what a job was last started with, and what becomes of a restart that a run did not get to."""

from __future__ import annotations

from typing import Any

import pytest

from dtree.errors import Denied
from dtree.events import RunWarned, StepReady
from dtree.footing import Footing, has_moved, read_footing, with_footing, without_footing
from dtree.model import JobRef, JobState
from dtree.plan import Plan, Step
from dtree.provenance import Registration, note_path
from tests.fakes import snapshots
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import fails, never, well
from tests.fakes.stored import Renewal
from tests.fakes.world import World

RESTART: dict[str, Any] = {"api": {"pre": {"job": "db", "on_update": "restart"}}}
SINCE = "restarted, because db was changed since it last started"
OLD = Registration(1, 7, "old")
FOOTING = Footing("shop", {"db": JobRef("default", "db")})


def running(dependencies: dict[str, Any] = RESTART, *goals: str, **settings: Any) -> World:
    """A world that was brought up by a run, and where the file of `db` has changed since."""
    world = World(dependencies, **settings)
    assert world.run(*(goals or ("api",))).exit_code == 0
    change(world)
    return world


def change(world: World, name: str = "db", release: str = "2") -> None:
    world.specs[name] = {**world.specs[name], "Meta": {"release": release}}


def change_back(world: World) -> None:
    world.specs["db"] = {key: value for key, value in world.specs["db"].items() if key != "Meta"}


def step_of(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.name == name)


def changes(world: World, *goals: str, **intent: Any) -> dict[str, str]:
    return {step.name: step.change for step in world.plan(*(goals or ("api",)), **intent).steps}


def note(world: World, name: str = "api") -> dict[str, str]:
    return dict(world.cluster.variables.get(("default", note_path("memory", name)), {}))


def stored(world: World, name: str = "db") -> JobState:
    state = world.cluster.peek(world.ref(name)).job
    assert state is not None
    return state


def is_current(world: World) -> bool:
    """Whether the note of `api` has `db` as it is stored."""
    return read_footing(note(world))["db"].shape == stored(world).shape


def restarted_once_and_for_all(world: World, *goals: str) -> None:
    """Run again what a run has left due, and see that this is all."""
    assert step_of(world.plan(*(goals or ("api",))), "api").cause == SINCE
    assert world.run(*(goals or ("api",))).exit_code == 0
    assert world.cluster.changes == [("restart", "api")]
    assert is_current(world)
    assert changes(world) == {"db": "noop", "api": "noop"}


# -- what is noted -----------------------------------------------------------------------------------------------------


def test_what_is_noted_is_read_again_and_items_of_others_stay() -> None:
    items = with_footing({"theirs": "1"}, {"db": OLD}, FOOTING)
    assert items == {"theirs": "1", "nomad-dtree": "1", "stands_on": '{"db":[1,7,"old"]}'}
    assert read_footing(items) == {"db": OLD}
    assert with_footing(items, {"db": OLD}, FOOTING) is items


def test_a_need_that_is_none_any_more_is_forgotten_and_one_that_cannot_be_read_stays() -> None:
    items = with_footing({}, {"db": OLD, "cache": OLD}, Footing("shop", {**FOOTING.needs, "cache": JobRef("default", "cache")}))
    assert read_footing(items) == {"cache": OLD, "db": OLD}
    assert read_footing(with_footing(items, {}, FOOTING)) == {"db": OLD}


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"db": 1}', '{"db": [1]}', '{"db": ["x", 1, "y"]}', '{"db": [null, 1, "y"]}'])
def test_a_note_that_is_none_of_ours_says_nothing(text: str) -> None:
    assert read_footing({"stands_on": text}) == {}


def test_an_autoscaler_and_who_registers_the_same_again_change_nothing() -> None:
    same, other = snapshots.job(version=5, shape="old"), snapshots.job(version=5, shape="new")
    assert not has_moved({"db": OLD}, "db", same)
    assert has_moved({"db": OLD}, "db", other)
    assert not has_moved({}, "db", other)
    assert not has_moved({"db": OLD}, "db", None)
    assert not has_moved({"db": OLD}, "db", snapshots.job(version=5, shape="new", stopped=True))


def test_a_newer_nomad_that_writes_the_same_job_otherwise_changes_nothing() -> None:
    assert not has_moved({"db": Registration(1, snapshots.job().modify_index, "as an older one wrote it")}, "db", snapshots.job())


def test_what_the_earlier_note_did_not_say_goes() -> None:
    items = with_footing({}, {"db": OLD}, FOOTING)
    assert without_footing(items, {}) == {"nomad-dtree": "1"}
    assert without_footing(items, items) is items


# -- a run that does not get as far ------------------------------------------------------------------------------------


@pytest.mark.parametrize("goal", ["api", "db"])
def test_a_restart_that_a_run_did_not_get_to_because_of_a_timeout_is_made_up_for(goal: str) -> None:
    world = running()
    world.cluster.script("db", well(400.0))
    assert world.run(goal).exit_code == 6
    assert not is_current(world)
    world.clock.pause(200.0)
    restarted_once_and_for_all(world, goal)


def test_a_restart_that_an_interrupt_came_before_is_made_up_for() -> None:
    world = running()
    world.cluster.script("db", well(10.0))
    world.clock.after(5.0, world.interrupt)
    assert world.run("api").exit_code == 130
    world.clock.pause(10.0)
    restarted_once_and_for_all(world)


def test_a_restart_that_waited_for_a_promotion_by_hand_is_made_up_for() -> None:
    update: dict[str, Any] = {"Update": {"MaxParallel": 1, "Canary": 1}}
    script = [well(), lambda life: life.want_promotion(0.0)]
    world = running(scripts={"db": script}, specs={"db": job_spec("db", count=2, **update)})
    assert world.run("api").exit_code == 7
    assert world.run("api").exit_code == 7
    assert world.cluster.called("restart") == []
    assert world.carry_out(world.plan("db", verb="promote")).exit_code == 0
    assert world.cluster.called("restart") == []
    restarted_once_and_for_all(world)


def test_a_restart_that_was_skipped_is_made_up_for() -> None:
    world = running()
    assert world.run("db", skip=("api",)).exit_code == 0
    assert world.cluster.changes == [("register", "db")]
    restarted_once_and_for_all(world)


def test_a_dependency_that_somebody_else_changed_counts_too() -> None:
    world = running()
    world.cluster.somebody_registers(world.job("db"))
    restarted_once_and_for_all(world)


def test_a_run_that_leaves_out_what_a_job_needs_does_not_restart_it() -> None:
    world = running()
    assert world.run("db", skip=("api",)).exit_code == 0
    assert changes(world, only=True) == {"api": "noop"}


def test_a_job_that_a_run_without_its_needs_starts_anew_is_started_with_them_as_they_are() -> None:
    world = running()
    assert world.run("db", skip=("api",)).exit_code == 0
    change(world, "api")
    assert world.run("api", only=True).exit_code == 0
    assert is_current(world)
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_a_job_that_is_replaced_is_started_with_what_it_needs_though_it_does_not_come_up() -> None:
    world = running()
    change(world, "api")
    world.cluster.script("api", never)
    assert world.run("api").exit_code == 6
    assert is_current(world)
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_a_job_that_is_changed_in_place_is_not_started_anew_by_that() -> None:
    world = running()
    assert world.run("db", skip=("api",)).exit_code == 0
    world.specs["api"]["Priority"] = 70
    api = step_of(world.plan("api"), "api")
    assert (api.change, api.renewal, api.cause) == ("update", "restart", f"changed: Priority; {SINCE}")
    assert world.run("api").exit_code == 0
    assert world.cluster.changes == [("register", "api"), ("restart", "api")]
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_of_a_renewal_that_breaks_off_halfway_the_whole_is_done_again() -> None:
    world = World({"api": {**RESTART["api"], "timeout": 5}}, specs={"api": job_spec("api", count=2)})
    assert world.run("api").exit_code == 0
    change(world)
    world.cluster.renewals["api"] = Renewal(60.0)
    assert world.run("api").exit_code == 6
    assert world.cluster.called("restart") == ["api"]
    assert not is_current(world)
    world.clock.pause(60.0)
    world.cluster.renewals["api"] = Renewal(1.0)
    assert world.run("api").exit_code == 0
    assert world.cluster.changes == [("restart", "api")] * 2
    assert is_current(world)


def test_a_job_all_of_which_is_restarted_is_not_restarted_again_because_it_is_slow() -> None:
    world = World({"api": {**RESTART["api"], "timeout": 5}})
    assert world.run("api").exit_code == 0
    change(world)
    world.cluster.renewals["api"] = Renewal(60.0)
    assert world.run("api").exit_code == 6
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_two_needs_are_told_apart_by_when_they_changed() -> None:
    edges = [{"job": name, "on_update": "restart"} for name in ("a", "b", "c", "d")]
    world = World({"api": {"pre": edges}})
    assert world.run("api").exit_code == 0
    for name in ("a", "b", "c"):
        change(world, name)
    assert world.run("b", "c", skip=("api",)).exit_code == 0
    assert step_of(world.plan("api"), "api").cause == "restarted, because a is changed and b, c were changed since it last started"


def test_a_batch_job_that_nomad_has_forgotten_is_as_it_was() -> None:
    world = World(RESTART, kinds={"db": "batch"})
    assert world.run("api").exit_code == 0
    before = note(world)
    world.cluster.collect(world.ref("db"))
    assert changes(world) == {"db": "noop", "api": "noop"}
    change(world, "api")
    assert world.run("api").exit_code == 0
    assert note(world)["stands_on"] == before["stands_on"]


# -- what is noted when nothing was ------------------------------------------------------------------------------------


def brought_up_by_others() -> World:
    world = World(RESTART)
    for name in ("db", "api"):
        world.cluster.has(world.job(name))
    return world


def test_where_nothing_is_noted_nothing_is_restarted_and_what_is_there_is_noted_once() -> None:
    world = brought_up_by_others()
    assert changes(world) == {"db": "noop", "api": "noop"}
    assert world.run("api").exit_code == 0
    assert world.cluster.changes == []
    assert is_current(world)
    assert world.run("api").exit_code == 0
    assert world.cluster.called("write_note") == []


def test_what_is_there_is_noted_before_anything_is_changed() -> None:
    world = brought_up_by_others()
    change(world)
    world.cluster.script("db", well(400.0))
    assert world.run("db").exit_code == 6
    world.clock.pause(200.0)
    restarted_once_and_for_all(world)


def test_of_a_job_that_is_not_there_nothing_is_noted_before_it_is_registered() -> None:
    world = World(RESTART)
    assert step_of(world.plan("api"), "api").footing == Footing("memory", {"db": world.ref("db")})
    assert world.run("db").exit_code == 0
    world.cluster.has(world.job("api"))
    world.cluster.stop(world.ref("db"))
    footing = step_of(world.plan("api"), "api").footing
    assert footing is not None
    assert footing.unknown == {}


def test_a_job_without_on_update_has_nothing_to_note() -> None:
    world = World({"api": {"pre": "db"}})
    assert step_of(world.plan("api"), "api").footing is None
    assert world.run("api").exit_code == 0
    assert "stands_on" not in note(world)


def test_where_notes_may_not_be_read_a_run_goes_by_what_it_changes_itself() -> None:
    world = running()
    assert world.run("db", skip=("api",)).exit_code == 0
    denied = Denied("the token may not read Variables")
    world.cluster.refuse("notes", "memory", denied)
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_where_notes_may_not_be_written_a_restart_is_done_all_the_same_and_told() -> None:
    world = brought_up_by_others()
    change(world)
    denied = Denied("the token may not write Variables")
    world.cluster.refuse("change_note", "api", denied, denied)
    assert world.run("db").exit_code == 0
    assert world.cluster.changes == [("register", "db"), ("restart", "api")]
    assert [warned.problem for warned in world.of(RunWarned)] == [
        "what runs where is not noted in Nomad's Variables: the token may not write Variables"
    ]


def test_what_cannot_be_noted_after_the_last_portion_is_told() -> None:
    world = World({"api": {**RESTART["api"]}}, specs={"api": job_spec("api", count=2)})
    assert world.run("api").exit_code == 0
    change(world)
    world.cluster.renewals["api"] = Renewal(2.0)
    plan = world.plan("db")
    world.cluster.refuse("change_note", "api", Denied("the token may not write Variables"))
    assert world.carry_out(plan).exit_code == 0
    assert len(world.of(RunWarned)) == 1
    assert not is_current(world)


# -- rollback ----------------------------------------------------------------------------------------------------------


def test_a_dependency_that_is_returned_leaves_a_dependent_that_was_not_touched_as_it_is() -> None:
    world = running({**RESTART, "db": {"on_failure": "rollback"}})
    world.cluster.script("db", fails(), well())
    assert world.run("api").exit_code == 4
    assert is_current(world)
    change_back(world)
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_a_dependent_that_is_restarted_again_because_of_a_rollback_stands_on_what_was_returned() -> None:
    world = running({**RESTART, "late": {"pre": "api", "on_failure": "rollback"}}, "api")
    world.cluster.script("late", fails())
    assert world.run("late").exit_code == 4
    assert world.cluster.called("restart") == ["api", "api"]
    assert is_current(world)
    change_back(world)
    assert changes(world) == {"db": "noop", "api": "noop"}


def test_a_dependent_that_is_returned_before_what_it_needs_is_restarted_by_the_next_run() -> None:
    world = running({**RESTART, "api": {**RESTART["api"], "on_failure": "rollback"}})
    earlier = world.specs["api"]
    change(world, "api")
    world.cluster.script("api", fails(), well())
    assert world.run("api").exit_code == 4
    assert not is_current(world)
    world.specs["api"] = earlier
    change_back(world)
    restarted_once_and_for_all(world)


def test_of_a_job_that_a_rollback_stops_nothing_stays_noted() -> None:
    world = World({"api": {**RESTART["api"], "on_failure": "rollback"}}, {"api": fails()})
    assert world.run("api").exit_code == 4
    assert note(world) == {}


def test_a_failure_after_the_restart_leaves_nothing_due() -> None:
    world = running({**RESTART, "web": {"pre": "api"}}, "api")
    world.cluster.script("web", fails())
    assert world.run("web").exit_code == 3
    assert [ready.job for ready in world.of(StepReady)][-2:] == ["db", "api"]
    assert changes(world) == {"db": "noop", "api": "noop"}

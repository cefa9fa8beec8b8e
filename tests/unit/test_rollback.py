"""dtree.rollback and dtree.returns: runs that are rolled back, in made-up time on a cluster in memory."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest

from dtree import executor
from dtree.completion import job_digest
from dtree.errors import Denied, Unavailable, Unreachable
from dtree.events import (
    Event,
    RollbackContinued,
    RollbackFinished,
    RollbackPlanned,
    RollbackStarted,
    RunInterrupted,
    RunWarned,
    StepFailed,
    StepLost,
    StepNotReturned,
    StepReady,
    StepRegistered,
    StepReturned,
    StepReturning,
    StepStays,
)
from dtree.executor import Limits
from dtree.model import RenderedJob
from dtree.provenance import Source, note_path, noted, provenance_of, read_note, registered_as
from dtree.record import RunRecord, fold
from dtree.views.frame import final_lines, frame, run_outline
from dtree.views.lines import Lines
from dtree.views.style import PLAIN
from dtree.views.summary import summary_text
from tests.fakes.jobs import job_spec, rendered_from
from tests.fakes.scripts import canary, fails, falls_over, never, well
from tests.fakes.stored import Life
from tests.fakes.world import World

ROLLBACK = {"on_failure": "rollback"}


def earlier(world: World, name: str, **changes: Any) -> RenderedJob:
    """The job as it was before: with other metadata, unless something else is said to differ."""
    return world.job(name, **(changes or {"Meta": {"release": "1"}}))


def runs_before(world: World, *names: str) -> None:
    for name in names:
        world.cluster.has(earlier(world, name))


def is_(kind: type[Event], job: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and getattr(event, "job", "") == job


def no_signals(_subscriber: object) -> None:
    """No signals come."""


def half_fails(life: Life) -> None:
    life.do_well()
    life.lose_one()


def release(world: World, name: str) -> str:
    """What Nomad has of a job: `old`, `new`, `stopped`, or `` for nothing."""
    stored = world.cluster.jobs.get(world.ref(name))
    if stored is None:
        return ""
    return "stopped" if stored.state.stopped else "old" if stored.spec.get("Meta") else "new"


def became(record: RunRecord) -> dict[str, str]:
    return {name: back.state for name, back in record.returns.items()}


def lines_of(world: World, verbosity: Any = "normal") -> str:
    stream = io.StringIO()
    with Lines(stream, verbosity, zone=UTC) as view:
        for event in world.events:
            view(event)
    return stream.getvalue()


# -- what is returned --------------------------------------------------------------------------------------------------


def test_what_ran_before_runs_again_and_what_is_new_is_stopped_each_before_what_it_needs() -> None:
    world = World({"api": {"pre": ["db", "cache"], **ROLLBACK}, "web": {"pre": "api"}}, {"api": [well(), fails(), well(2.0)]})
    runs_before(world, "api", "db")
    record = world.run("web")
    assert record.exit_code == 4
    assert [release(world, name) for name in ("api", "db", "cache", "web")] == ["old", "old", "stopped", ""]
    assert became(record) == {"api": "returned", "db": "returned", "cache": "returned"}
    assert world.at_s(StepReturned, "api") == world.at_s(StepReturning, "db") == 3.0
    assert [event.because for event in world.of(StepLost)] == ["api"]
    assert world.of(RollbackStarted)[0].because == "api"
    assert world.of(RollbackFinished)[0].complete


def test_what_does_not_need_each_other_is_returned_side_by_side() -> None:
    world = World({"api": {"pre": ["db", "cache"], **ROLLBACK}}, {name: [well(), well(), well(3.0)] for name in ("db", "cache")})
    world.cluster.script("api", fails())
    runs_before(world, "db", "cache")
    assert world.run("api").exit_code == 4
    assert world.at_s(StepReturned, "db") == world.at_s(StepReturned, "cache") == 4.0


def test_a_job_is_returned_before_one_that_it_needs_through_others_that_are_unchanged() -> None:
    world = World({"api": {"pre": "mid"}, "mid": {"pre": "db"}, "late": {"pre": "api", **ROLLBACK}}, {"api": [well(), well(), well(2.0)]})
    world.cluster.script("late", fails())
    runs_before(world, "api", "db")
    world.cluster.has(world.job("mid"))
    assert world.run("late").exit_code == 4
    assert [event.job for event in world.of(StepReturned)] == ["late", "api", "db"]
    assert world.at_s(StepReturning, "db") == world.at_s(StepReturned, "api")


def test_what_was_stopped_before_is_stopped_again() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": fails()})
    runs_before(world, "db")
    world.cluster.stop(world.ref("db"))
    world.clock.pause(1.0)
    assert world.run("api").exit_code == 4
    assert (release(world, "db"), release(world, "api")) == ("stopped", "stopped")


def test_the_source_of_what_runs_again_is_the_one_that_it_was_registered_with() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), well()]})
    old = earlier(world, "api")
    source = Source("memory", "memory", "revision 1")
    world.cluster.register(old, enforce_index=0, provenance=provenance_of(old, source))
    world.clock.pause(5.0)
    assert world.run("api").exit_code == 4
    text, variables = world.cluster.submissions[world.ref("api"), 2]
    assert text == old.text
    assert variables == ""


def test_a_changed_count_is_returned_and_that_of_an_autoscaler_is_left_to_it() -> None:
    scaled = job_spec("api", groups=("main", "more"), count=2)
    scaled["TaskGroups"][1]["Scaling"] = {"Enabled": True}
    world = World({"late": {"pre": "api", **ROLLBACK}}, {"late": never}, specs={"api": scaled})
    before = job_spec("api", groups=("main", "more"))
    before["TaskGroups"][1]["Scaling"] = {"Enabled": True}
    world.cluster.has(rendered_from("api", before))
    world.when(is_(StepRegistered, "late"), lambda: world.cluster.somebody_scales(world.ref("api"), "more", 5))
    assert world.run("late").exit_code == 4
    counts = {group["Name"]: group["Count"] for group in world.cluster.jobs[world.ref("api")].spec["TaskGroups"]}
    assert counts == {"main": 1, "more": 5}


def test_a_batch_job_that_ran_is_begun_again_as_it_was_and_one_that_did_not_is_stopped() -> None:
    world = World(
        {"late": {"pre": ["worker", "import"], **ROLLBACK}, "worker": {"wait_cond": "started"}, "import": {"wait_cond": "started"}},
        {"worker": well(3600.0), "import": well(3600.0), "late": fails()},
        kinds={"worker": "batch", "import": "batch"},
    )
    runs_before(world, "worker")
    record = world.run("late")
    assert record.exit_code == 4
    assert (release(world, "worker"), release(world, "import")) == ("old", "stopped")


def test_a_parent_that_is_new_is_stopped_and_one_that_was_there_is_returned() -> None:
    periodic: dict[str, Any] = {"Periodic": {"Enabled": True, "Spec": "@daily"}}
    world = World(
        {"late": {"pre": ["old", "fresh"], **ROLLBACK}},
        {"late": fails()},
        specs={name: job_spec(name, "batch", **periodic) for name in ("old", "fresh")},
    )
    runs_before(world, "old")
    assert world.run("late").exit_code == 4
    assert (release(world, "old"), release(world, "fresh")) == ("old", "stopped")


def test_what_was_only_run_again_unchanged_is_left_as_it_is() -> None:
    world = World({"late": {"pre": "db", **ROLLBACK}}, {"late": fails()}, specs={"db": job_spec("db", count=2)})
    world.cluster.has(earlier(world, "db"))
    world.cluster.has(world.job("db"), half_fails)
    record = world.run("late")
    assert record.exit_code == 4
    assert became(record)["db"] == "returned"
    assert ("register", "db") in world.cluster.changes
    assert world.cluster.changes[-1] == ("stop", "late")


def test_what_was_restarted_because_of_a_change_is_restarted_again_once_that_is_returned() -> None:
    edge = {"job": "db", "on_update": "restart"}
    world = World({"app": {"pre": edge}, "late": {"pre": "app", **ROLLBACK}, "other": {"pre": edge}}, {"late": fails()})
    runs_before(world, "db")
    world.cluster.has(world.job("app"))
    world.cluster.has(world.job("other"))
    assert world.run("late").exit_code == 4
    assert world.cluster.called("restart") == ["app", "other", "app", "other"]
    last = [(one.what, one.job) for one in world.cluster.calls if one.what in ("register", "restart")]
    assert last[-3:] == [("register", "db"), ("restart", "app"), ("restart", "other")]


def test_what_was_restarted_stays_where_nothing_that_it_needs_is_returned() -> None:
    edge = {"job": "db", "on_update": "restart"}
    world = World({"db": {"irreversible": True}, "app": {"pre": edge}, "late": {"pre": "app", **ROLLBACK}}, {"late": fails()})
    runs_before(world, "db")
    world.cluster.has(world.job("app"))
    record = world.run("late")
    assert (record.exit_code, world.cluster.called("restart")) == (4, ["app"])
    assert became(record) == {"db": "stays", "app": "stays", "late": "returned"}
    assert "app: it was restarted, and nothing that it needs is returned" in summary_text(record)


def test_a_job_that_nomad_has_returned_by_itself_is_only_awaited() -> None:
    world = World({"api": ROLLBACK})
    runs_before(world, "api")

    def fails_and_is_reverted(life: Life) -> None:
        fails()(life)
        life.after(1.0, lambda: world.cluster.somebody_registers(earlier(world, "api"), well(2.0)))

    world.cluster.script("api", fails_and_is_reverted)
    record = world.run("api")
    assert (record.exit_code, world.cluster.called("register")) == (4, ["api"])
    assert record.returns["api"].planned.cause == "Nomad itself has returned it to version 0"
    assert record.returns["api"].version == 2


# -- what stays --------------------------------------------------------------------------------------------------------


def test_what_is_irreversible_and_what_has_completed_stays_and_the_plan_says_so() -> None:
    world = World(
        {"api": {"pre": ["migrate", "ledger"], **ROLLBACK}, "ledger": {"irreversible": True}}, {"api": fails()}, kinds={"migrate": "batch"}
    )
    plan = world.plan("api")
    told = "a rollback, which a failure of api brings, would not undo ledger (irreversible), migrate (once it has completed)"
    assert plan.warnings == (told,)
    record = world.carry_out(plan)
    assert record.exit_code == 4
    assert became(record) == {"ledger": "stays", "migrate": "stays", "api": "returned"}
    assert (release(world, "ledger"), release(world, "migrate")) == ("new", "new")


def test_a_plan_warns_of_nothing_where_no_rollback_can_come_or_nothing_would_stay() -> None:
    world = World({"api": {"pre": "migrate"}}, kinds={"migrate": "batch"})
    assert world.plan("api").warnings == ()
    assert World({"api": ROLLBACK}).plan("api").warnings == ()


def test_a_plan_names_no_more_than_three_jobs_that_bring_a_rollback() -> None:
    world = World({**dict.fromkeys("abcde", ROLLBACK), "import": {}}, kinds={"import": "batch"})
    world.cluster.has(world.job("a"))
    plan = world.plan("a", "b", "c", "d", "e", "import")
    assert plan.warnings == ("a rollback, which a failure of a, b, c and 2 more brings, would not undo import (once it has completed)",)


def test_what_was_dispatched_stays() -> None:
    spec = job_spec("mail", "batch", ParameterizedJob={"Payload": "optional"})
    dependencies = {"mail": {"dispatch": {}}, "late": {"pre": "mail", **ROLLBACK}}
    world = World(dependencies, {"late": fails()}, specs={"mail": spec})
    world.cluster.has(world.job("mail"))
    plan = world.plan("late")
    assert plan.warnings[0].endswith("would not undo mail (what it dispatches)")
    record = world.carry_out(plan)
    assert (record.exit_code, became(record)) == (4, {"mail": "stays", "late": "returned"})


def test_a_promotion_stays() -> None:
    spec = job_spec("api", Update={"MaxParallel": 1, "Canary": 1})
    world = World({"api": {"promote": "auto"}, "late": {"pre": "api", **ROLLBACK}}, {"late": fails()}, specs={"api": spec})
    world.cluster.has(world.job("api"), canary)
    plan = world.plan("late")
    assert plan.warnings[0].endswith("would not undo api (its promotion)")
    record = world.carry_out(plan)
    assert (record.exit_code, became(record)) == (4, {"api": "stays", "late": "returned"})
    assert record.returns["api"].reason == "its promotion cannot be undone"


def test_a_parent_is_returned_though_another_child_was_dispatched_after_the_first_failed() -> None:
    spec = job_spec("mail", "batch", ParameterizedJob={"Payload": "optional"})
    world = World({"mail": {"dispatch": {}, "retries": 1, **ROLLBACK}}, {"mail/": fails()}, specs={"mail": spec})
    record = world.run("mail")
    assert (record.exit_code, release(world, "mail")) == (4, "stopped")


# -- what brings it ----------------------------------------------------------------------------------------------------


def test_a_rollback_comes_only_after_the_last_attempt_and_each_attempt_says_why() -> None:
    world = World({"api": {"retries": 2, **ROLLBACK}}, {"api": [well(), fails(code=1), fails(code=2), fails(code=3), well()]})
    runs_before(world, "api")
    record = world.run("api")
    assert (record.exit_code, release(world, "api")) == (4, "old")
    (failed,) = world.of(StepFailed)
    assert len(failed.attempts) == 2
    assert record.steps["api"].attempts == failed.attempts
    assert "    attempt 2: " in summary_text(record)


def test_what_was_purged_for_another_attempt_is_returned_all_the_same() -> None:
    def fails_before_it_is_stable(life: Life) -> None:
        life.place()
        life.run()
        life.after(0.5, life.fail)

    world = World({"api": {"retries": 1, **ROLLBACK}}, {"api": [never, fails_before_it_is_stable, fails_before_it_is_stable, well()]})
    world.cluster.has(earlier(world, "api"))
    record = world.run("api")
    assert ("purge", "api") in world.cluster.changes
    assert (record.exit_code, release(world, "api")) == (4, "old")


def test_a_wait_that_takes_too_long_is_a_failure_too() -> None:
    world = World({"api": {"timeout": "20s", **ROLLBACK}}, {"api": [well(), never, well()]})
    runs_before(world, "api")
    assert world.run("api").exit_code == 4
    assert world.of(StepFailed)[0].kind == "timed-out"


def test_a_job_that_falls_over_before_the_end_is_a_failure_too() -> None:
    world = World({"api": ROLLBACK, "slow": {}}, {"api": [falls_over(1.0, 2.0)], "slow": well(10.0)})
    record = world.run("api", "slow")
    assert (record.exit_code, became(record)) == (4, {"api": "returned", "slow": "returned"})


def test_what_is_in_flight_is_awaited_first_and_nothing_new_is_begun() -> None:
    world = World(
        {"api": ROLLBACK, "migrate": {}, "after": {"pre": "migrate"}}, {"api": fails(), "migrate": well(8.0)}, kinds={"migrate": "batch"}
    )
    record = world.run("api", "after")
    assert became(record) == {"api": "returned", "migrate": "stays"}
    assert world.at_s(RollbackPlanned, "") == 8.0
    assert ("register", "after") not in world.cluster.changes


def test_what_is_in_flight_is_not_tried_again() -> None:
    world = World({"api": ROLLBACK, "slow": {"retries": 5}}, {"api": fails(), "slow": fails(2.0)})
    assert world.run("api", "slow").exit_code == 4
    assert world.cluster.called("register") == ["api", "slow"]


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_another_policy_returns_nothing(policy: str) -> None:
    world = World({"api": {"pre": "db", "on_failure": policy}}, {"api": fails()})
    record = world.run("api")
    assert (record.exit_code, became(record)) == (3 if policy == "stop" else 0, {})


def test_a_failure_that_is_tolerated_brings_none() -> None:
    world = World({"web": {"pre": {"job": "api", "required": False}}, "api": ROLLBACK}, {"api": fails()})
    assert world.run("web").exit_code == 0


def test_a_canary_that_waits_for_its_promotion_brings_none() -> None:
    world = World({"api": ROLLBACK}, {"api": canary})
    assert world.run("api").exit_code == 7


def test_a_run_that_changed_nothing_has_nothing_to_return() -> None:
    world = World({"api": ROLLBACK})
    world.cluster.refuse("register", "api", Denied("the token may not register"))
    record = world.run("api")
    assert (record.exit_code, became(record)) == (1, {})
    assert world.of(RollbackPlanned)[0].steps == ()
    assert "nothing to return: this run has changed nothing" in lines_of(world)


def test_a_failed_post_job_is_a_failure_of_its_owner() -> None:
    world = World({"db": {"post": "seed", **ROLLBACK}, "api": {"pre": "db"}}, {"seed": fails()}, kinds={"seed": "batch"})
    record = world.run("api")
    assert (record.exit_code, release(world, "db")) == (4, "stopped")
    assert world.of(RollbackStarted)[0].because == "seed"


def test_a_stop_returns_nothing() -> None:
    world = World({"api": ROLLBACK})
    world.cluster.has(world.job("api"))
    world.cluster.refuse("stop", "api", Denied("the token may not"))
    record = world.stop("api")
    assert (record.exit_code, world.of(RollbackStarted)) == (1, [])


def test_a_run_whose_earlier_jobs_nobody_read_says_that_it_cannot_return_them() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails()]})
    runs_before(world, "api")
    plan = world.plan("api")
    record = executor.carry_out(plan, world.cluster, world.clock, world.events.append, limits=Limits(), interrupts=no_signals)
    assert (record.exit_code, became(record)) == (5, {"api": "not returned"})
    assert record.returns["api"].reason == "what version 0 of it was is not known any more"


# -- what is not returned ----------------------------------------------------------------------------------------------


def test_a_job_that_somebody_else_changed_meanwhile_is_left_alone_and_the_rest_returned() -> None:
    world = World({"api": {"pre": ["db", "cache"], **ROLLBACK}}, {"api": fails()})
    runs_before(world, "db", "cache")
    world.when(is_(StepRegistered, "api"), lambda: world.cluster.somebody_registers(world.job("db", Priority=90)))
    record = world.run("api")
    assert record.exit_code == 5
    assert became(record) == {"api": "returned", "cache": "returned", "db": "not returned"}
    told = summary_text(record)
    assert "not returned  db: it is left alone: version 2 of it is not from this run, which registered version 1" in told
    assert "      hint: `nomad-dtree status db` shows what it is now" in told
    assert "by hand" not in told
    assert "Rollback incomplete: " in told


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda world: world.cluster.stop(world.ref("db")), "it is left alone: somebody stopped it meanwhile"),
        (lambda world: world.cluster.collect(world.ref("db")), "it is left alone: somebody removed it meanwhile"),
    ],
)
def test_a_job_that_somebody_took_away_is_left_alone(act: Callable[[World], object], told: str) -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": fails()})
    runs_before(world, "db")
    world.when(is_(StepRegistered, "api"), lambda: act(world))
    assert world.run("api").exit_code == 5
    assert [event.reason for event in world.of(StepNotReturned)] == [told]


@pytest.mark.parametrize("act", [lambda world: world.cluster.stop(world.ref("db")), lambda world: world.cluster.collect(world.ref("db"))])
def test_a_new_job_that_somebody_took_away_needs_no_stop(act: Callable[[World], object]) -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": fails()})
    world.when(is_(StepRegistered, "api"), lambda: act(world))
    record = world.run("api")
    assert (record.exit_code, became(record)["db"]) == (4, "returned")


def test_a_job_that_does_not_come_up_again_leaves_the_rest_to_be_returned() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": [well(), fails(), fails()]})
    runs_before(world, "api", "db")
    record = world.run("api")
    assert record.exit_code == 5
    assert became(record) == {"api": "not returned", "db": "returned"}
    assert not world.of(RollbackFinished)[0].complete
    assert "      by hand: nomad job revert api 0" in summary_text(record)


def test_a_job_that_was_returned_and_falls_over_at_once_is_not_returned() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": [well(), fails(), falls_over(1.0, 1.0)], "db": [well(), well(), well(5.0)]})
    runs_before(world, "api", "db")
    record = world.run("api")
    assert (record.exit_code, became(record)) == (5, {"api": "not returned", "db": "returned"})


def test_nothing_is_touched_where_nomad_cannot_be_asked_what_there_is() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": fails()})
    gone = Unreachable("no answer", hint="is it up?")
    world.when(lambda event: isinstance(event, RollbackStarted), lambda: world.cluster.refuse("snapshot", "api", gone))
    record = world.run("api")
    assert record.exit_code == 5
    assert set(became(record).values()) == {"not returned"}
    assert ("stop", "db") not in world.cluster.changes
    assert "by hand: nomad job stop db" in summary_text(record)


def test_what_cannot_be_watched_any_more_is_not_returned() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}, "db": {}}, {"api": [well(), fails(), well(5.0)]})
    runs_before(world, "api", "db")
    world.when(
        is_(StepReturning, "api"), lambda: world.clock.after(1.0, lambda: world.cluster.lose_contact(Denied("the token may not list")))
    )
    record = world.run("api")
    assert (record.exit_code, became(record)) == (5, {"api": "not returned", "db": "not returned"})
    assert record.returns["db"].reason == "not begun, because Nomad cannot be watched any more"


# -- what is left to be done by hand ------------------------------------------------------------------------------------


def fails_before_it_is_stable(life: Life) -> None:
    never(life)
    life.after(0.5, life.fail)


def note_earlier(world: World, name: str, **more: str) -> None:
    """Have it noted of what was registered earlier where it came from."""
    old = replace(earlier(world, name), version=more.pop("version", ""))
    state = world.cluster.jobs[world.ref(name)].state
    then = replace(provenance_of(old, Source("memory", "memory", "revision 1", **more)), registered=registered_as(state))
    world.cluster.change_note("memory", world.ref(name), lambda items: noted(items, then))


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ({}, "from revision revision 1 of memory"),
        ({"version": "1.4", "ref": "v1"}, "version 1.4, from v1 of memory"),
        (None, "Nomad has no version of it any more"),
    ],
)
def test_a_version_that_was_purged_is_not_named_for_its_number_means_another_one(note: dict[str, str] | None, told: str) -> None:
    failing = [never, *[fails_before_it_is_stable] * 3]
    world = World({"api": {"retries": 1, **ROLLBACK}}, {"api": failing})
    world.cluster.has(earlier(world, "api"))
    if note is not None:
        note_earlier(world, "api", **note)
    record = world.run("api")
    assert (record.exit_code, world.cluster.called("purge")) == (5, ["api"])
    back = record.returns["api"]
    assert (back.planned.by_hand, back.hint) == ("", f"register again what ran before: {told}")
    assert back.planned.cause == "to what was version 0 before it was purged"


def test_the_summary_does_not_count_on_from_a_version_that_was_purged() -> None:
    world = World({"api": {"retries": 1, **ROLLBACK}}, {"api": [never, fails_before_it_is_stable, fails_before_it_is_stable, well()]})
    world.cluster.has(earlier(world, "api"))
    record = world.run("api")
    assert record.exit_code == 4
    assert "returned      api: to what was version 0 before it was purged, as version 1" in summary_text(record)


def test_a_version_that_nomad_keeps_no_more_is_not_named() -> None:
    world = World({"api": {"retries": 3, **ROLLBACK}}, {"api": [well(), fails()]})
    runs_before(world, "api")
    record = world.run("api")
    assert (record.exit_code, record.returns["api"].planned.by_hand) == (5, "")


@pytest.mark.parametrize(("script", "command"), [(well(), "nomad job revert db 0"), (never, "")])
def test_where_nomad_cannot_be_asked_a_version_is_named_if_no_attempt_purged_it(script: Any, command: str) -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}, "db": {"retries": 1}}, {"api": fails()})
    world.cluster.script("db", script, fails_before_it_is_stable if command == "" else well(), well())
    world.cluster.has(earlier(world, "db"))
    gone = Unreachable("no answer")
    world.when(lambda event: isinstance(event, RollbackStarted), lambda: world.cluster.refuse("snapshot", "db", gone))
    record = world.run("api")
    assert (record.exit_code, record.returns["db"].planned.by_hand) == (5, command)


def test_somebody_elses_version_of_a_new_job_is_not_to_be_stopped_by_hand() -> None:
    world = World({"api": ROLLBACK}, {"api": never})
    world.when(is_(StepRegistered, "api"), lambda: world.clock.after(1.0, lambda: world.cluster.somebody_registers(earlier(world, "api"))))
    record = world.run("api")
    assert (record.exit_code, record.steps["api"].kind, record.returns["api"].planned.by_hand) == (5, "superseded", "")
    assert record.returns["api"].hint == "`nomad-dtree status api` shows what it is now"


def test_a_job_whose_answer_was_lost_and_that_cannot_be_read_is_named_as_it_was() -> None:
    world = World({"api": ROLLBACK, "slow": {}}, {"slow": well(2.0)})
    runs_before(world, "api")
    world.cluster.refuse("register", "api", Unavailable("no answer"))
    world.when(lambda event: isinstance(event, RollbackStarted), lambda: world.cluster.refuse("snapshot", "api", Unreachable("no answer")))
    record = world.run("api", "slow")
    assert (record.exit_code, record.returns["api"].planned.by_hand) == (5, "nomad job revert api 0")


# -- answers that were lost --------------------------------------------------------------------------------------------


def test_a_registration_whose_answer_was_lost_and_that_nomad_has_is_returned() -> None:
    world = World({"api": ROLLBACK, "slow": {}}, {"slow": well(2.0)})
    runs_before(world, "api")
    world.cluster.refuse("register", "api", Unavailable("no answer"))
    world.when(is_(StepFailed, "api"), lambda: world.cluster.somebody_registers(world.job("api")))
    record = world.run("api", "slow")
    assert (record.exit_code, release(world, "api")) == (4, "old")


def test_a_registration_whose_answer_was_lost_and_that_nomad_has_not_needs_no_return() -> None:
    world = World({"api": ROLLBACK, "slow": {}, "new": {}}, {"slow": well(2.0)})
    runs_before(world, "api")
    for name in ("api", "new"):
        world.cluster.refuse("register", name, Unavailable("no answer"))
    record = world.run("api", "new", "slow")
    assert (record.exit_code, became(record)) == (4, {"slow": "returned"})


def test_what_nobody_knows_whether_this_run_did_it_is_left_alone() -> None:
    world = World({"api": ROLLBACK, "slow": {}}, {"slow": well(2.0)})
    runs_before(world, "api")
    world.cluster.refuse("register", "api", Unavailable("no answer"))
    world.when(is_(StepFailed, "api"), lambda: world.cluster.somebody_registers(world.job("api", Priority=90)))
    record = world.run("api", "slow")
    assert (record.exit_code, became(record)) == (5, {"slow": "returned", "api": "not returned"})


def test_what_was_purged_to_be_run_again_and_then_not_registered_is_registered_as_it_was() -> None:
    world = World({"api": {"retries": 1, **ROLLBACK}}, {"api": [never, fails(0.5), well()]})
    world.cluster.has(earlier(world, "api"))
    world.when(
        lambda event: type(event).__name__ == "StepRetrying", lambda: world.cluster.refuse("register", "api", Unavailable("no answer"))
    )
    record = world.run("api")
    assert (record.exit_code, release(world, "api")) == (4, "old")


def test_a_second_attempt_that_is_known_counts_after_a_first_that_is_not() -> None:
    world = World({"api": {"retries": 1, **ROLLBACK}}, {"api": [well(), fails(), fails(), well()]})
    runs_before(world, "api")
    record = world.run("api")
    assert (record.exit_code, became(record)) == (4, {"api": "returned"})


# -- notes -------------------------------------------------------------------------------------------------------------


def note_of(world: World, name: str) -> Any:
    return read_note(world.cluster.variables.get(("default", note_path("memory", world.ref(name).id)), {}))


def test_the_note_is_again_that_of_what_runs_again() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), well()]})
    old = earlier(world, "api")
    state = world.cluster.has(old).state
    then = provenance_of(old, Source("memory", "memory", "revision 1"))
    note = noted({}, replace(then, registered=registered_as(state)))
    world.cluster.change_note("memory", world.ref("api"), lambda _: note)
    assert world.run("api").exit_code == 4
    found = note_of(world, "api")
    assert (found.revision, found.registered.version) == ("revision 1", 2)


def test_the_note_is_right_where_nomad_itself_has_returned_the_job() -> None:
    world = World({"api": ROLLBACK})
    old = earlier(world, "api")
    then = replace(provenance_of(old, Source("memory", "memory", "revision 1")), registered=registered_as(world.cluster.has(old).state))
    world.cluster.change_note("memory", world.ref("api"), lambda items: noted(items, then))

    def fails_and_is_reverted(life: Life) -> None:
        fails()(life)
        life.after(1.0, lambda: world.cluster.somebody_registers(old, well()))

    world.cluster.script("api", fails_and_is_reverted)
    assert world.run("api").exit_code == 4
    assert (note_of(world, "api").revision, note_of(world, "api").registered.version) == ("revision 1", 2)


def test_what_nobody_noted_before_is_noted_no_more() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), well()]})
    runs_before(world, "api")
    assert world.run("api").exit_code == 4
    assert note_of(world, "api") is None


def test_what_was_stopped_before_and_is_stopped_again_is_noted_as_before() -> None:
    world = World({"db": {}, "late": {"pre": "db", **ROLLBACK}}, {"late": fails()})
    runs_before(world, "db")
    note_earlier(world, "db", version="1.0")
    world.cluster.stop(world.ref("db"))
    before = world.status("db")["db"]
    assert world.run("late").exit_code == 4
    after = world.status("db")["db"]
    assert (after.provenance, after.changed_since, after.health) == (before.provenance, False, "Suspended")


@pytest.mark.parametrize("act", [lambda _: None, lambda world: world.cluster.stop(world.ref("db"))])
def test_what_was_not_there_before_is_noted_no_more(act: Callable[[World], object]) -> None:
    world = World({"db": {}, "late": {"pre": "db", **ROLLBACK}}, {"late": fails()})
    world.when(is_(StepRegistered, "late"), lambda: act(world))
    assert world.run("late").exit_code == 4
    assert world.cluster.variables == {}


def test_an_unchanged_job_that_was_only_noted_anew_is_noted_as_before() -> None:
    world = World({"db": {}, "kept": {"irreversible": True}, "late": {"pre": ["db", "kept"], **ROLLBACK}}, {"late": fails()})
    for name in ("db", "kept"):
        world.cluster.has(world.job(name))
        note_earlier(world, name, version="1.0")
    record = world.run("late")
    assert (record.exit_code, list(record.returns)) == (4, ["late"])
    assert [note_of(world, name).version for name in ("db", "kept")] == ["1.0", ""]


def test_what_cannot_be_noted_again_of_an_unchanged_job_is_told() -> None:
    world = World({"db": {}, "late": {"pre": "db", **ROLLBACK}}, {"late": fails()})
    world.cluster.has(world.job("db"))
    denied = Denied("the token may not write Variables")
    world.when(lambda event: isinstance(event, RollbackStarted), lambda: world.cluster.refuse("change_note", "db", denied))
    assert world.run("late").exit_code == 4
    assert [event.problem for event in world.of(RunWarned)] == [
        "what runs where is not noted in Nomad's Variables: the token may not write Variables"
    ]


def test_an_unchanged_job_that_was_run_again_is_noted_as_before() -> None:
    world = World({"late": {"pre": "db", **ROLLBACK}}, {"late": fails()}, specs={"db": job_spec("db", count=2)})
    world.cluster.has(earlier(world, "db"))
    world.cluster.has(world.job("db"), half_fails)
    note_earlier(world, "db", version="1.0")
    assert world.run("late").exit_code == 4
    assert note_of(world, "db").version == "1.0"


def test_what_has_completed_stays_remembered() -> None:
    world = World({"api": {"pre": "migrate", **ROLLBACK}}, {"api": fails()}, kinds={"migrate": "batch"})
    assert world.run("api").exit_code == 4
    items = world.cluster.variables["default", note_path("memory", "migrate")]
    assert items["succeeded"] == job_digest(world.job("migrate"))


# -- signals -----------------------------------------------------------------------------------------------------------


def test_a_signal_before_the_failure_breaks_the_run_off_and_nothing_is_returned() -> None:
    world = World({"api": ROLLBACK}, {"api": fails()})
    world.when(is_(StepRegistered, "api"), world.interrupt)
    record = world.run("api")
    assert (record.exit_code, world.codes, became(record)) == (130, [130], {})


def test_a_signal_during_the_rollback_says_that_it_goes_on_and_another_would_end_with_5() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}}, {"api": [well(), fails(), well(3.0)]})
    runs_before(world, "api", "db")
    world.when(is_(StepReturning, "api"), world.interrupt)
    record = world.run("api")
    assert (record.exit_code, set(world.codes), became(record)) == (4, {5}, {"api": "returned", "db": "returned"})
    assert (world.of(RunInterrupted), record.continued, record.interrupted) == ([], "SIGINT", "")
    assert "SIGINT: the rollback goes on; once more to leave at once" in lines_of(world, "quiet")


def test_a_signal_while_what_is_in_flight_is_awaited_is_one_during_the_rollback() -> None:
    world = World({"api": ROLLBACK, "slow": {}}, {"api": fails(), "slow": well(9.0)})
    world.when(lambda event: isinstance(event, RollbackStarted), world.interrupt)
    record = world.run("api", "slow")
    assert (record.exit_code, len(world.of(RollbackContinued))) == (4, 1)


# -- how it is told ----------------------------------------------------------------------------------------------------


def test_lines_and_summary_tell_a_rollback() -> None:
    world = World(
        {"api": {"pre": ["db", "migrate"], **ROLLBACK}, "web": {"pre": "api"}},
        {"api": [well(), fails(), well(1.0)]},
        kinds={"migrate": "batch"},
    )
    runs_before(world, "api", "db")
    record = world.run("web")
    told = lines_of(world)
    assert "rolling back: api failed; nothing more is begun, and what is in flight is awaited" in told
    assert "3 jobs that this run changed are returned" in told
    assert "api      returning: to version 0" in told
    assert "db       returned: version 2; 1 of 1 allocation healthy" in told
    assert "migrate  stays: it has completed, which cannot be undone" in told
    assert "rollback complete after 1.0 s" in told
    assert summary_text(record).splitlines()[-6:] == [
        "Rolled back, because api failed:",
        "  returned      api: to version 0, as version 2",
        "  stays         migrate: it has completed, which cannot be undone",
        "  returned      db: to version 0, as version 2",
        "",
        "Rolled back: 1 failed, 1 not started; 2 returned, 1 stays in 2.0 s",
    ]


def test_a_rollback_that_is_incomplete_is_told_as_that() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), fails()]})
    runs_before(world, "api")
    world.run("api")
    told = lines_of(world)
    assert "1 job that this run changed is returned" in told
    assert "api  not returned: deployment of version 2: " in told
    assert "rollback incomplete after 1.0 s" in told


def test_the_picture_shows_where_each_job_stands_in_a_rollback() -> None:
    world = World({"api": {"pre": "db", **ROLLBACK}, "db": {"irreversible": True}}, {"api": [well(), fails(), well(3.0)]})
    runs_before(world, "api", "db")
    world.run("api")
    start = world.events[0]
    tree = run_outline(start)  # type: ignore[arg-type]

    def drawn(until: Callable[[Event], bool]) -> str:
        upto = next(number for number, event in enumerate(world.events) if until(event))
        return frame(fold(world.events[: upto + 1]), tree, now_s=start.time_s + 2.0, width=120, height=20, look=PLAIN)

    begun = drawn(is_(StepReturning, "api"))
    assert "failed, returning" in begun
    assert "Rolling back, because api failed." in begun
    assert "failed, returned" in drawn(is_(StepReturned, "api"))
    assert "ready, stays" in drawn(is_(StepStays, "db"))
    end = final_lines(fold(world.events), tree, now_s=start.time_s, width=120, look=PLAIN)
    assert any("failed, returned" in line for line in end)


def test_the_picture_says_that_a_rollback_goes_on() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), well(3.0)]})
    runs_before(world, "api")
    world.when(is_(StepReturning, "api"), world.interrupt)
    world.run("api")
    start = world.events[0]
    picture = frame(fold(world.events), run_outline(start), now_s=start.time_s, width=160, height=20, look=PLAIN)  # type: ignore[arg-type]
    assert "SIGINT: the rollback goes on; once more to leave at once" in picture


def test_jobs_that_went_on_without_another_are_named() -> None:
    world = World({"api": {"pre": "metrics"}, "metrics": {"on_failure": "continue", "pre": "disk"}}, {"disk": fails(), "metrics": fails()})
    record = world.run("api")
    assert record.exit_code == 0
    assert "    warning: went on without it: api" in summary_text(record)


def test_what_could_not_be_noted_during_a_rollback_is_told_once() -> None:
    world = World({"api": ROLLBACK}, {"api": [well(), fails(), well()]})
    runs_before(world, "api")
    denied = Denied("the token may not write Variables")
    world.when(lambda event: isinstance(event, RollbackStarted), lambda: world.cluster.refuse("change_note", "api", denied))
    assert world.run("api").exit_code == 4
    assert [event.problem for event in world.of(RunWarned)] == [
        "what runs where is not noted in Nomad's Variables: the token may not write Variables"
    ]


def test_the_command_by_hand_names_region_and_namespace_and_quotes_what_a_shell_would_read() -> None:
    spec = {**job_spec("an api"), "Namespace": "shop"}
    world = World({"api": ROLLBACK}, {"an api": fails()}, specs={"api": spec})
    world.run("api")
    assert world.of(RollbackPlanned)[0].steps[0].by_hand == "nomad job stop -namespace=shop 'an api'"


def test_an_event_of_the_run_is_none_of_a_job_that_is_not_returned() -> None:
    world = World({"api": ROLLBACK, "db": {}}, {"api": fails()})
    world.cluster.has(world.job("db"))
    record = world.run("api", "db")
    assert record.steps["db"].back is None
    assert world.of(StepReady)[0].job == "db"

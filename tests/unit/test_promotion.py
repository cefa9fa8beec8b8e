"""dtree.canaries and dtree.promotion: who promotes canaries and when, in made-up time, on a cluster in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from dtree.canaries import stored_canaries, versions_beside
from dtree.declaration import Condition
from dtree.errors import DeclarationError, Denied, Fault, Invalid, Unavailable
from dtree.events import StepFailed, StepPromoted, StepReached, StepReady, StepStarted, StepWaiting
from dtree.model import DryRun, JobSnapshot
from dtree.plan import Noop, Step
from dtree.promotion import unpromotable
from dtree.views.summary import summary_text
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import canary, fails, never, well
from tests.fakes.snapshots import alloc, deployment, deployment_group, group, job, snapshot
from tests.fakes.stored import Life, Script
from tests.fakes.world import World

CANARY: dict[str, Any] = {"Update": {"MaxParallel": 1, "Canary": 1}}
ITSELF: dict[str, Any] = {"Update": {"MaxParallel": 1, "Canary": 1, "AutoPromote": True}}


def healthy(after_s: float = 0.0, then: Script | None = None) -> Script:
    """Have canaries that are healthy after so long."""
    return lambda life: life.want_promotion(after_s, then)


def world(entry: dict[str, Any], script: Script, *, update: dict[str, Any] = CANARY, **head: Any) -> World:
    """`db` runs, and its file has changed since; `api` needs it."""
    made = World({"api": {"pre": "db"}, "db": entry}, {"db": script}, specs={"db": job_spec("db", count=2, **update)}, **head)
    made.cluster.has(made.job("db", Meta={"release": "0"}), lambda life: life.do_well())
    return made


def step_of(made: World, name: str = "db", **intent: Any) -> Step:
    return next(step for step in made.plan(name, **intent).steps if step.name == name)


def reasons(made: World) -> list[str]:
    return [event.reason for event in made.of(StepWaiting) if event.job == "db"]


def refused(made: World, *names: str, **intent: Any) -> list[Fault]:
    with pytest.raises(DeclarationError) as caught:
        made.plan(*names, **intent)
    return list(caught.value.faults)


def changed(made: World) -> list[tuple[str, str]]:
    return [change for change in made.cluster.changes if change[0] in ("register", "promote")]


# -- who and when ------------------------------------------------------------------------------------------------------


def test_auto_promotes_as_soon_as_the_canaries_are_healthy() -> None:
    made = world({"promote": "auto"}, healthy(3.0, lambda life: life.take_over(2.0)))
    record = made.run("api")
    assert (record.exit_code, changed(made)) == (0, [("register", "db"), ("promote", "db"), ("register", "api")])
    assert (made.at_s(StepPromoted, "db"), made.at_s(StepStarted, "api")) == (3.0, 5.0)


def test_after_promotes_once_they_have_been_healthy_for_so_long_whatever_the_timeout() -> None:
    made = world({"promote": {"after": "5m"}, "timeout": "60s"}, healthy(3.0))
    record = made.run("api")
    assert (record.exit_code, made.at_s(StepPromoted, "db")) == (0, 303.0)
    assert "awaiting promotion: 1 healthy canary of version 1; promoted once healthy for 300 s" in reasons(made)


def test_a_canary_that_is_unhealthy_meanwhile_starts_the_time_anew() -> None:
    def falters(life: Life) -> None:
        life.want_promotion(1.0)
        life.after(100.0, lambda: life.judge_canaries(healthy=False))
        life.after(110.0, lambda: life.judge_canaries(healthy=True))

    made = world({"promote": {"after": "5m"}, "timeout": "60s"}, falters)
    assert made.run("db").exit_code == 0
    assert made.at_s(StepPromoted, "db") == 410.0


def test_what_has_a_timeout_goes_on_where_it_stood_once_canaries_are_promoted() -> None:
    made = world({"promote": {"after": "5m"}, "timeout": "60s"}, healthy(20.0, lambda life: life.take_over(1000.0)))
    record = made.run("db")
    assert (record.exit_code, record.elapsed_s) == (6, 360.0)
    assert record.steps["db"].reason.startswith("not ready within 60 s: ")


def test_a_part_of_a_condition_with_a_timeout_of_its_own_does_not_time_out_meanwhile() -> None:
    made = world({"promote": {"after": "5m"}, "wait_cond": {"all": [{"seconds": 0, "timeout": 30}, "healthy"]}}, healthy(1.0))
    assert made.run("db").exit_code == 0


def test_nobody_promotes_by_default_and_the_run_says_how() -> None:
    made = world({}, healthy(1.0))
    record = made.carry_out(made.plan("api"), promotion_timeout_s=90.0)
    step = record.steps["db"]
    assert (record.exit_code, step.kind, record.elapsed_s) == (7, "awaiting-promotion", 91.0)
    assert step.reason == "1 healthy canary of version 1, for 90 s"
    assert step.hint == "promote with `nomad-dtree promote db`, then run again for what needs it"
    assert reasons(made)[-1] == "awaiting promotion: 1 healthy canary of version 1; `nomad-dtree promote db`"
    assert changed(made) == [("register", "db")]


def test_a_run_that_does_not_wait_for_a_person_ends_at_once() -> None:
    made = world({"promote": "manual"}, healthy(1.0))
    record = made.carry_out(made.plan("db"), promotion_timeout_s=0.0)
    assert (record.exit_code, record.elapsed_s) == (7, 1.0)
    assert record.steps["db"].reason == "1 healthy canary of version 1"


def test_somebody_promotes_while_the_run_waits() -> None:
    made = world({}, healthy(1.0))
    made.when(lambda event: isinstance(event, StepWaiting) and "awaiting" in event.reason, lambda: somebody_promotes(made))
    record = made.run("api")
    assert (record.exit_code, made.of(StepPromoted)) == (0, [])


def somebody_promotes(made: World) -> None:
    found = stored_canaries(made.cluster.peek(made.ref("db")))
    if found is not None:
        made.cluster.jobs[made.ref("db")].promote(found.deployment)


def test_an_unchanged_job_that_awaits_promotion_is_not_ready_in_the_next_run() -> None:
    made = world({}, healthy())
    made.carry_out(made.plan("api"), promotion_timeout_s=0.0)
    step = step_of(made)
    assert (step.action, step.change, step.cause) == (Noop(1), "noop", "unchanged, but awaiting promotion: 1 healthy canary of version 1")
    record = made.carry_out(made.plan("api"), promotion_timeout_s=0.0)
    assert (record.exit_code, made.of(StepReady), changed(made)) == (7, [], [])


def test_an_unchanged_job_that_awaits_promotion_is_promoted_where_its_entry_says_so() -> None:
    made = world({"promote": {"after": 10}}, healthy())
    made.cluster.has(made.job("db"), healthy())
    step = step_of(made)
    assert (step.action, step.change) == (Noop(1), "promote")
    assert step.cause == "unchanged; awaiting promotion: 1 healthy canary of version 1; promoted once healthy for 10 s"
    assert made.plan("db").pending
    record = made.run("db")
    assert (record.exit_code, changed(made), record.steps["db"].registered) == (0, [("promote", "db")], True)


def test_a_promoted_version_that_fails_though_it_was_found_unchanged_is_a_failure_of_its_deployment() -> None:
    made = world({"promote": "auto"}, healthy(0.0, lambda life: life.break_deployment()))
    made.cluster.has(made.job("db"), healthy(0.0, lambda life: life.break_deployment()))
    record = made.run("db")
    assert (record.exit_code, record.steps["db"].kind) == (3, "failed")
    assert "Failed due to progress deadline" in record.steps["db"].reason


def test_a_job_that_is_ready_once_registered_goes_on_until_it_is_promoted_and_nobody_waits_for_that() -> None:
    made = world({"promote": {"after": 60}, "wait_cond": "registered"}, healthy(1.0))
    record = made.run("api")
    assert record.exit_code == 0
    assert made.at_s(StepReached, "db") == made.at_s(StepStarted, "api") == 0.0
    assert (made.at_s(StepPromoted, "db"), record.steps["db"].state) == (61.0, "ready")


def test_where_a_person_promotes_a_job_that_is_ready_once_registered_is_not_waited_for() -> None:
    made = world({"wait_cond": "registered"}, healthy(1.0))
    assert (made.run("db").exit_code, step_of(made).milestones) == (0, ())


@pytest.mark.parametrize(
    ("entry", "update", "says"),
    [
        ({}, CANARY, "canaries first, promoted by hand"),
        ({"promote": "auto"}, CANARY, "canaries first, promoted once healthy"),
        ({"promote": {"after": "90s"}}, CANARY, "canaries first, promoted once healthy for 90 s"),
        ({}, ITSELF, "canaries first, promoted by Nomad once healthy"),
    ],
)
def test_a_plan_says_that_canaries_come_first_and_who_promotes_them(entry: dict[str, Any], update: dict[str, Any], says: str) -> None:
    made = world(entry, healthy(), update=update)
    made.cluster.plans["db"] = DryRun("Edited", {"main": {"canary": 1}}, made.cluster.peek(made.ref("db")).job.modify_index, ("Meta",))  # type: ignore[union-attr]
    assert step_of(made).cause == f"changed: Meta; {says}"


# -- what cannot be kept -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "who"),
    [("manual", "nobody"), ({"after": "5m"}, "no time")],
)
def test_a_job_file_that_promotes_by_itself_beside_another_word_is_a_fault(asked: Any, who: str) -> None:
    made = world({"promote": asked}, healthy(), update=ITSELF)
    (fault,) = refused(made, "api")
    assert (fault.code, fault.place and fault.place.key) == ("promotes-itself", "dependencies.db.promote")
    assert fault.problem == (
        f"the job file of 'db' says auto_promote: Nomad promotes its canaries once they are healthy, and {who} is waited for"
    )


def test_the_fault_stands_where_the_defaults_say_it() -> None:
    made = world({}, healthy(), update=ITSELF, head={"defaults": {"promote": "manual"}})
    (fault,) = refused(made, "api")
    assert fault.place is not None
    assert fault.place.key == "defaults.promote"


@pytest.mark.parametrize("entry", [{}, {"promote": "auto"}])
def test_a_job_file_that_promotes_by_itself_needs_nobody(entry: dict[str, Any]) -> None:
    made = world(entry, lambda life: life.do_well(2.0), update=ITSELF)
    assert (made.run("db").exit_code, changed(made)) == (0, [("register", "db")])


@pytest.mark.parametrize(
    "spec",
    [
        job_spec("db", "batch", Update={"Canary": 1, "AutoPromote": True}),
        job_spec("db", Update={"AutoPromote": True}),
        {**job_spec("db", **ITSELF), "TaskGroups": [{**job_spec("db")["TaskGroups"][0], "Update": {"AutoPromote": False}}]},
        job_spec("db", "batch", ParameterizedJob={"Payload": ""}),
    ],
)
def test_what_has_no_canaries_or_does_not_promote_them_by_itself_is_no_fault(spec: dict[str, Any]) -> None:
    made = World({"db": {"promote": "manual"}}, specs={"db": spec})
    assert made.plan("db").steps[0].name == "db"


# -- the request -------------------------------------------------------------------------------------------------------


def test_a_promotion_that_is_denied_breaks_the_step() -> None:
    made = world({"promote": "auto"}, healthy())
    plan = made.plan("api")
    made.cluster.refuse("promote", "db", Denied("Nomad denies it: Permission denied", hint="submit-job"))
    record = made.carry_out(plan)
    step = record.steps["db"]
    assert (record.exit_code, step.kind, step.hint) == (3, "error", "submit-job")
    assert "api" not in made.cluster.called("register")


def test_a_promotion_whose_answer_is_lost_is_told_of_where_it_took_place() -> None:
    made = world({"promote": "auto"}, healthy())
    plan = made.plan("db")
    made.when(lambda event: isinstance(event, StepWaiting), lambda: None)
    original = made.cluster.promote

    def promote(*given: Any) -> None:
        original(*given)
        raise Unavailable("took too long")

    made.cluster.promote = promote  # type: ignore[method-assign,assignment]
    assert (made.carry_out(plan).exit_code, len(made.of(StepPromoted))) == (0, 1)


def test_a_promotion_that_somebody_else_was_faster_with_is_not_ours() -> None:
    made = world({"promote": "auto"}, healthy())
    plan = made.plan("db")

    def promote(*_: Any) -> None:
        somebody_promotes(made)
        raise Invalid("can't promote terminal deployment")

    made.cluster.promote = promote  # type: ignore[method-assign,assignment]
    assert (made.carry_out(plan).exit_code, made.of(StepPromoted)) == (0, [])


def test_a_promotion_after_which_nomad_cannot_be_asked_is_a_run_that_broke_off() -> None:
    made = world({"promote": "auto"}, healthy())
    plan = made.plan("db")
    original = made.cluster.promote

    def promote(*given: Any) -> None:
        original(*given)
        made.cluster.refuse("snapshot", "db", Unavailable("gone"))

    made.cluster.promote = promote  # type: ignore[method-assign,assignment]
    record = made.carry_out(plan)
    assert (record.exit_code, record.steps["db"].reason) == (3, "gone")


def test_a_report_from_before_the_promotion_starts_no_second_one() -> None:
    made = world({"promote": "auto"}, healthy(0.0, lambda life: life.take_over(5.0)))
    plan = made.plan("db")
    original = made.cluster.promote

    def promote(*given: Any) -> None:
        before = made.cluster.peek(made.ref("db"))
        original(*given)
        for watch in made.cluster._watches:
            made.clock.after(1.0, partial(watch.on_change, before))

    made.cluster.promote = promote  # type: ignore[method-assign,assignment]
    record = made.carry_out(plan)
    assert (record.exit_code, len(made.of(StepPromoted))) == (0, 1)


def test_an_external_job_that_awaits_promotion_is_left_to_whoever_runs_it() -> None:
    made = World({"api": {"pre": {"job": "db", "external": True}}}, {"db": healthy()})
    made.cluster.has(made.job("db"))
    record = made.carry_out(made.plan("api"), promotion_timeout_s=5.0)
    step = record.steps["db"]
    assert (record.exit_code, step.hint) == (7, "whoever runs it has to promote it")
    assert step.reason == "external, 1 healthy canary of version 0, for 5 s"
    assert reasons(made)[-1].endswith("; whoever runs it has to promote it")


@pytest.mark.parametrize("before", ["replaced", "unchanged"])
def test_a_run_that_does_not_wait_for_a_persons_promotion_says_that_one_is_due(before: str) -> None:
    made = world({"wait_cond": "registered"}, canary)
    if before == "replaced":
        made.cluster.plans["db"] = DryRun("Edited", {"main": {"canary": 1}}, made.cluster.jobs[made.ref("db")].state.modify_index)
    else:
        made.cluster.has(made.job("db"), canary)
    record = made.run("db")
    assert record.exit_code == 0
    assert [(one.problem, one.hint) for one in record.warnings] == [
        ("'db' is registered; its canaries wait until somebody promotes them", "once they are healthy: `nomad-dtree promote db`")
    ]


def test_where_something_waits_for_more_the_run_waits_for_the_promotion_and_says_no_more() -> None:
    edge = {"job": "db", "condition": "healthy"}
    made = World({"api": {"pre": edge}, "db": {"wait_cond": "registered"}}, specs={"db": job_spec("db", count=2, **CANARY)})
    made.cluster.has(made.job("db"), canary)
    made.when(lambda event: isinstance(event, StepWaiting) and "awaiting" in event.reason, lambda: somebody_promotes(made))
    record = made.run("api")
    assert (record.exit_code, record.warnings) == (0, ())


@pytest.mark.parametrize("entries", [{"db": {"on_failure": "continue"}}, {"api": {"pre": {"job": "db", "required": False}}}])
def test_who_could_do_without_a_job_waits_for_its_promotion_all_the_same(entries: dict[str, Any]) -> None:
    made = World(
        {"api": {"pre": "db"}, "web": {"pre": {"job": "api", "required": False}}, **entries},
        {"db": healthy(1.0)},
        specs={"db": job_spec("db", count=2, **CANARY)},
    )
    made.cluster.has(made.job("db", Meta={"release": "0"}), lambda life: life.do_well())
    record = made.run("web")
    assert (record.exit_code, [record.steps[name].state for name in ("db", "api", "web")]) == (7, ["failed", "lost", "lost"])
    told = summary_text(record)
    assert "db awaiting promotion after 5 m" in told
    assert "not started because of it: api, web" in told
    somebody_promotes(made)
    assert made.run("web").exit_code == 0


def test_where_nothing_is_begun_any_more_after_a_failure_nothing_is_after_canaries_that_could_be_done_without() -> None:
    made = World({"db": {"on_failure": "continue"}, "slow": {}, "api": {"pre": "slow"}}, {"db": healthy(), "slow": well(2.0)})
    made.cluster.has(made.job("db"), healthy())
    record = made.carry_out(made.plan("db", "api"), promotion_timeout_s=0.0, fail_fast=True)
    assert (record.exit_code, record.steps["api"].state) == (7, "lost")


def test_who_asks_for_less_than_a_promotion_goes_on_and_is_not_said_to_do_without() -> None:
    edge = {"job": "db", "condition": "registered", "required": False}
    made = World({"api": {"pre": edge}}, specs={"db": job_spec("db", count=2)})
    made.cluster.has(made.job("db"), healthy())
    record = made.run("api", "db")
    assert (record.exit_code, record.steps["api"].state) == (7, "ready")
    assert "went on without it" not in summary_text(record)


# -- where a run is rolled back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("promote", ["manual", {"after": "1h"}])
def test_canaries_are_not_promoted_any_more_once_a_run_is_rolled_back(promote: Any) -> None:
    specs = {"db": job_spec("db", count=2, **CANARY), "web": job_spec("web", Meta={"release": "2"})}
    made = World(
        {"db": {"promote": promote}, "web": {"on_failure": "rollback"}},
        {"db": [healthy(1.0), well()], "web": [fails(5.0), well()]},
        specs=specs,
    )
    for name in ("db", "web"):
        made.cluster.has(made.job(name, Meta={"release": "0"}), lambda life: life.do_well())
    record = made.run("db", "web")
    assert (record.exit_code, record.steps["db"].kind, made.cluster.called("promote")) == (4, "awaiting-promotion", [])
    assert record.elapsed_s < 60.0


def test_the_version_that_a_rollback_returns_to_was_promoted_once_and_is_again() -> None:
    made = world({"promote": "auto"}, canary, head={"defaults": {"on_failure": "rollback"}})
    made.cluster.script("api", fails(1.0))
    record = made.run("api")
    assert (record.exit_code, made.cluster.called("promote")) == (4, ["db", "db"])


def test_canaries_whose_deployment_nomad_has_forgotten_show_by_what_runs_beside_them() -> None:
    older, deploying = alloc("a", version=2), group(deploys=True)
    assert versions_beside(snapshot(job(deploying, version=3), older)) == frozenset({2})
    assert versions_beside(snapshot(job(deploying, version=3, stable=True), older)) is None
    assert versions_beside(snapshot(job(deploying, version=3), alloc("b", version=3))) is None


UNPROMOTED = {"release": "1"}


def unpromoted_before(entry: dict[str, Any], script: Script, *more: Script, **changes: Any) -> World:
    """`db` runs, with canaries of version 1 that nobody has promoted; its file is another one, and `late` fails."""
    specs = {"db": job_spec("db", count=2, **CANARY)}
    made = World({"db": entry, "late": {"on_failure": "rollback"}}, {"db": [script, *more], "late": fails(5.0)}, specs=specs, **changes)
    made.cluster.has(made.job("db", Meta={"release": "0"}), lambda life: life.do_well())
    made.cluster.has(made.job("db", Meta=UNPROMOTED), healthy())
    return made


def versions_running(made: World) -> dict[int, bool]:
    """Version -> whether its allocations are canaries, of those that run."""
    found = made.cluster.peek(made.ref("db")).allocations
    return {one.version: one.canary for one in found if one.desired == "run" and one.client == "running"}


@pytest.mark.parametrize("after", [canary, healthy(2.0)])
def test_canaries_that_nobody_had_promoted_are_there_again_and_nobody_promotes_them(after: Script) -> None:
    made = unpromoted_before({}, healthy(1.0), after)
    plan = made.plan("db", "late")
    assert plan.warnings == (
        "a rollback, which a failure of late brings, would not undo db (once its new version has taken over: version 1 had not)",
    )
    record = made.carry_out(plan)
    assert (record.exit_code, made.cluster.called("promote")) == (4, [])
    assert versions_running(made) == {0: False, 3: True}
    assert made.cluster.jobs[made.ref("db")].spec["Meta"] == UNPROMOTED
    assert record.returns["db"].reason == "awaiting promotion: 1 healthy canary of version 3"
    assert "returned      db: to the canaries of version 1, which nobody had promoted, as version 3" in summary_text(record)


def test_what_replaced_both_versions_is_left_alone_and_said_so() -> None:
    made = unpromoted_before({"promote": "auto"}, healthy())
    record = made.run("db", "late")
    assert (record.exit_code, record.returns["db"].state, made.cluster.called("promote")) == (5, "not returned", ["db"])
    back = record.returns["db"]
    assert back.reason == (
        "it is left alone: nobody had promoted the canaries of version 1, and what ran beside them, version 0, does so no more"
    )
    assert (back.planned.by_hand, versions_running(made)) == ("", {2: False})
    assert back.hint == "run the files of the version that is to be; `nomad-dtree status db` shows what runs"


def test_canaries_beside_nothing_are_not_had_again() -> None:
    made = unpromoted_before({}, healthy())
    stored = made.cluster.jobs[made.ref("db")]
    for one in stored.snapshot().allocations:
        if not one.canary:
            stored.put_allocation(replace(one, client="lost"))
    record = made.run("db", "late")
    assert (record.exit_code, made.cluster.called("promote")) == (5, [])
    assert "what ran beside them, nothing, does so no more" in record.returns["db"].reason


def test_canaries_that_do_not_come_up_again_are_not_returned() -> None:
    made = unpromoted_before({}, healthy(), never)
    record = made.run("db", "late")
    assert (record.exit_code, record.returns["db"].state, record.returns["db"].planned.by_hand) == (
        5,
        "not returned",
        "nomad job revert db 1",
    )


def test_a_summary_does_not_tell_how_to_promote_canaries_that_a_rollback_took_back() -> None:
    made = World(
        {"db": {}, "api": {"pre": "db"}, "late": {"on_failure": "rollback"}},
        {"db": [healthy(1.0), well()], "late": fails(60.0)},
        specs={"db": job_spec("db", count=2, **CANARY)},
    )
    made.cluster.has(made.job("db", Meta={"release": "0"}), lambda life: life.do_well())
    record = made.carry_out(made.plan("api", "late"), promotion_timeout_s=5.0)
    told = summary_text(record)
    assert record.exit_code == 4
    assert "db awaited promotion when the run was rolled back\n    not started because of it: api" in told
    assert "nomad-dtree promote" not in told
    assert "Rolled back: 1 failed, 1 not started; 2 returned" in told


def test_a_promotion_is_forewarned_of_as_no_rollback_undoes_it() -> None:
    made = world({"promote": "auto"}, healthy(), head={"defaults": {"on_failure": "rollback"}})
    made.cluster.has(made.job("db"), healthy())
    assert made.plan("api").warnings == ("a rollback, which a failure of db, api brings, would not undo db (its promotion)",)


# -- the command -------------------------------------------------------------------------------------------------------


def promotable(*names: str, entries: dict[str, Any] | None = None) -> World:
    """A chain of jobs, each needing the next, of which all await promotion."""
    chain = {name: {"pre": [after], **(entries or {})} for name, after in pairwise(names)}
    made = World({**chain, names[-1]: entries or {}}, specs={name: job_spec(name, count=2) for name in names})
    for name in names:
        made.cluster.has(made.job(name), healthy(then=lambda life: life.take_over(2.0)))
    return made


def test_the_command_promotes_what_awaits_it_and_waits_until_it_is_ready() -> None:
    made = promotable("web", "db")
    plan = made.plan("web", verb="promote")
    assert [(step.name, step.change, step.cause) for step in plan.steps] == [
        ("web", "promote", "awaiting promotion: 1 healthy canary of version 0")
    ]
    record = made.carry_out(plan)
    assert (record.exit_code, record.verb, made.cluster.changes) == (0, "promote", [("promote", "web")])
    assert made.at_s(StepReady, "web") == 2.0


def test_of_several_each_is_promoted_after_what_it_needs_also_through_others() -> None:
    made = promotable("web", "api", "db")
    record = made.carry_out(made.plan("web", "db", verb="promote"))
    assert (record.exit_code, made.cluster.changes) == (0, [("promote", "db"), ("promote", "web")])
    assert (made.at_s(StepPromoted, "db"), made.at_s(StepPromoted, "web")) == (0.0, 2.0)


def test_the_command_waits_for_health_also_where_a_run_is_content_with_less() -> None:
    made = promotable("db", entries={"wait_cond": "registered", "retries": 3})
    step = made.plan("db", verb="promote").steps[0]
    assert (step.retries, [milestone.condition for milestone in step.milestones]) == (0, [Condition("started")])


def test_of_all_jobs_those_that_have_nothing_to_promote_are_left_alone() -> None:
    made = promotable("web", "db")
    somebody_promotes(made)
    made.clock.pause(10.0)
    plan = made.plan("web", "db", verb="promote", everything=True)
    assert [step.name for step in plan.steps] == ["web"]


def test_where_none_of_all_jobs_awaits_promotion_that_is_said() -> None:
    made = World({"db": {}, "api": {"pre": {"job": "theirs", "external": True}}})
    (fault,) = refused(made, "db", "api", "theirs", verb="promote", everything=True)
    assert (fault.code, fault.problem) == ("nothing-to-promote", "none of the jobs awaits promotion")


def test_an_external_job_is_not_ours_to_promote() -> None:
    made = World({"api": {"pre": {"job": "theirs", "external": True}}})
    (fault,) = refused(made, "theirs", verb="promote")
    assert (fault.code, fault.problem) == ("nothing-to-promote", "'theirs' is external")


def test_a_job_in_a_namespace_that_is_not_there_is_told_as_that() -> None:
    made = World({"db": {"namespace": "nowhere"}}, specs={"db": job_spec("db")})
    (fault,) = refused(made, "db", verb="promote")
    assert fault.code == "no-namespace"


def test_a_job_whose_file_is_no_good_and_that_nothing_is_noted_of_is_told_as_that() -> None:
    made = World({"db": {}}, specs={"db": {"TaskGroups": []}})
    (fault,) = refused(made, "db", verb="promote")
    assert fault.code == "bad-job-file"


def test_of_all_jobs_those_are_promoted_that_are_ready_for_it_and_the_others_are_named() -> None:
    made = promotable("web", "db")
    made.cluster.has(made.job("db", Meta={"release": "2"}), healthy(3600.0), for_s=0.0)
    plan = made.plan("web", "db", verb="promote", everything=True)
    record = made.carry_out(plan)
    assert (record.exit_code, made.cluster.called("promote")) == (0, ["web"])
    assert [warning.problem for warning in record.warnings] == ["'db' cannot be promoted yet: 0 of 1 canary of version 1 healthy"]


def test_where_the_canaries_of_none_of_all_jobs_are_healthy_nothing_is_done() -> None:
    made = World({"db": {}}, {"db": healthy(3600.0)}, specs={"db": job_spec("db", count=2)})
    made.cluster.has(made.job("db"))
    (fault,) = refused(made, "db", verb="promote", everything=True)
    assert fault.code == "canaries-not-healthy"


def test_one_job_that_cannot_be_promoted_keeps_the_others_back() -> None:
    made = promotable("web", "db")
    made.cluster.has(made.job("db", Meta={"release": "2"}), never)
    faults = refused(made, "web", "db", verb="promote")
    assert ([fault.code for fault in faults], made.cluster.called("promote")) == (["nothing-to-promote"], [])


def test_another_version_than_was_seen_is_not_promoted() -> None:
    made = promotable("db")
    plan = made.plan("db", verb="promote")
    made.cluster.somebody_registers(made.job("db", Meta={"release": "2"}), canary)
    record = made.carry_out(plan)
    assert (record.exit_code, record.steps["db"].kind, made.cluster.called("promote")) == (1, "changed-meanwhile", [])


def test_other_canaries_than_were_seen_are_not_promoted() -> None:
    made = promotable("db")
    plan = made.plan("db", verb="promote")
    plan = replace(plan, steps=tuple(replace(step, deployment="the one before") for step in plan.steps))
    record = made.carry_out(plan)
    (failed,) = made.of(StepFailed)
    assert (record.exit_code, failed.kind, made.cluster.called("promote")) == (1, "changed-meanwhile", [])
    assert failed.reason == "the canaries that were to be promoted are gone: version 0 has others"


STORED = job()
WITH_CANARIES = {"g": deployment_group(canaries=1)}


@pytest.mark.parametrize(
    ("seen", "code", "problem"),
    [
        (snapshot(None), "nothing-to-promote", "'db' is not in Nomad"),
        (snapshot(job(stopped=True)), "nothing-to-promote", "'db' was stopped"),
        (snapshot(STORED), "nothing-to-promote", "'db' does not await promotion: it has no deployment"),
        (
            snapshot(STORED, deployments=[deployment()]),
            "nothing-to-promote",
            "'db' does not await promotion: the deployment of version 3 has no canaries",
        ),
        (
            snapshot(STORED, deployments=[deployment(groups={"g": deployment_group(canaries=1, promoted=True)})]),
            "nothing-to-promote",
            "'db' does not await promotion: the deployment of version 3 is promoted already",
        ),
        (
            snapshot(STORED, deployments=[deployment(status="failed", groups=WITH_CANARIES)]),
            "nothing-to-promote",
            "'db' does not await promotion: the deployment of version 3 is failed",
        ),
        (
            snapshot(STORED, alloc("a1", canary=True), deployments=[deployment(groups=WITH_CANARIES)]),
            "canaries-not-healthy",
            "'db' cannot be promoted yet: 0 of 1 canary of version 3 healthy",
        ),
        (
            snapshot(STORED, alloc("a1", canary=True, healthy=True), deployments=[deployment(groups={"g": deployment_group(canaries=2)})]),
            "canaries-not-healthy",
            "'db' cannot be promoted yet: 1 of 2 canaries of version 3 healthy",
        ),
    ],
)
def test_why_canaries_cannot_be_promoted_is_told(seen: JobSnapshot, code: str, problem: str) -> None:
    fault = unpromotable("db", seen)
    assert fault is not None
    assert (fault.code, fault.problem) == (code, problem)

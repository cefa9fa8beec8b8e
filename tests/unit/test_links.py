"""dtree.links: what the steps of a plan ask of each other, and how that runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dtree.declaration import Condition
from dtree.errors import DeclarationError
from dtree.events import RunWarned, StepFailed, StepPostponed, StepReached, StepReady, StepRegistered, StepStarted
from dtree.plan import Await, Milestone, Plan, Step
from dtree.record import RunRecord
from dtree.views.json_forms import plan_json
from dtree.views.plan_text import plan_text
from dtree.views.summary import summary_text
from tests.fakes.jobs import rendered
from tests.fakes.scripts import fails, falls_over, never, well
from tests.fakes.world import World


def step_of(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.name == name)


def states(record: RunRecord) -> dict[str, str]:
    return {name: step.state for name, step in record.steps.items()}


def outside(world: World, *names: str) -> World:
    """A world whose store has no file of some jobs."""
    for name in names:
        del world.specs[name]
    return world


def somebody_stops(world: World, name: str) -> None:
    world.cluster.stop(rendered(name).ref)


# -- conditions of an edge ---------------------------------------------------------------------------------------------


def test_an_edge_that_asks_for_the_needs_own_condition_is_a_plain_one() -> None:
    plan = World({"api": {"pre": {"job": "db", "condition": "healthy"}}, "db": {"wait_cond": "healthy"}}).plan("api")
    assert (step_of(plan, "api").edges, step_of(plan, "db").milestones) == ({}, ())


def test_a_need_knows_what_is_asked_of_it() -> None:
    dependencies = {"web": {"pre": {"job": "db", "condition": "started"}}, "api": {"pre": {"job": "db", "condition": 7}}}
    plan = World(dependencies).plan("web", "api")
    after_s = Condition("started", 7.0)
    assert step_of(plan, "web").edges == {"db": (Condition("started"),)}
    assert step_of(plan, "db").milestones == (Milestone(after_s, 307.0), Milestone(Condition("started"), 300.0))


@pytest.mark.parametrize(
    ("entry", "condition", "timeout_s"),
    [
        ({}, {"seconds": 5, "timeout": "20s"}, 20.0),
        ({"timeout": "90s"}, 5, 90.0),
        ({"wait_cond": {"seconds": 1, "timeout": "20s"}}, "started", 300.0),
    ],
)
def test_a_milestone_is_waited_for_as_long_as_it_says_itself_or_the_job_does(entry: Any, condition: Any, timeout_s: float) -> None:
    plan = World({"api": {"pre": {"job": "db", "condition": condition}}, "db": entry}).plan("api")
    assert [milestone.timeout_s for milestone in step_of(plan, "db").milestones] == [timeout_s]


def test_who_asks_for_a_condition_and_for_the_needs_own_waits_for_both() -> None:
    dependencies = {"api": {"pre": [{"job": "setup", "condition": "started"}, "db"]}, "db": {"post": "setup"}}
    world = World(dependencies, {"setup": well(5.0)})
    plan = world.plan("api")
    assert step_of(plan, "api").edges == {"setup": (Condition("started"), Condition("ready"))}
    assert step_of(plan, "setup").milestones == (Milestone(Condition("started"), 300.0),)
    world.carry_out(plan)
    assert world.at_s(StepRegistered, "api") == 5.0


def test_wait_ready_reads_the_number_of_an_edge_as_until_ready() -> None:
    plan = World({"api": {"pre": {"job": "db", "condition": 5}}}).plan("api", wait_ready=True)
    assert (step_of(plan, "api").edges, step_of(plan, "db").milestones) == ({}, ())


def test_the_plan_says_what_edges_ask_for() -> None:
    dependencies = {
        "api": {"pre": [{"job": "db", "condition": "started"}, "redis", {"job": "log", "required": False, "condition": "healthy"}]},
    }
    plan = World(dependencies).plan("api")
    assert "after db (started), log (healthy, optional), redis" in plan_text(plan)
    (api,) = [step for step in json.loads(plan_json(plan, address=""))["steps"] if step["job"] == "api"]
    assert (api["edges"], api["optional"]) == ({"db": ["started"], "log": ["healthy"]}, ["log"])


def test_a_condition_of_an_edge_that_its_job_never_meets_is_told_at_the_edge() -> None:
    world = World({"api": {"pre": ["redis", {"job": "db", "condition": "completed"}]}, "db": {"post": {"job": "setup", "condition": 3}}})
    with pytest.raises(DeclarationError) as caught:
        world.plan("api")
    assert [(fault.code, fault.place and fault.place.key) for fault in caught.value.faults] == [
        ("impossible-condition", "dependencies.api.pre[1].condition"),
    ]
    assert world.cluster.changes == []


def test_a_condition_of_a_post_edge_that_the_owner_never_meets_is_told_at_the_edge() -> None:
    with pytest.raises(DeclarationError) as caught:
        World({"db": {"post": {"job": "setup", "condition": "completed"}}}).plan("db")
    assert [fault.place and fault.place.key for fault in caught.value.faults] == ["dependencies.db.post.condition"]


def test_a_dependent_starts_at_started_while_another_waits_for_healthy_of_the_same_job() -> None:
    dependencies = {
        "web": {"pre": {"job": "db", "condition": "started"}},
        "api": {"pre": {"db": {"condition": "service_healthy"}}},
        "db": {"post": "setup"},
    }
    world = World(dependencies, {"db": well(5.0), "setup": well(2.0)}, kinds={"setup": "batch"})
    assert world.run("web", "api").exit_code == 0
    assert (world.at_s(StepStarted, "web"), world.at_s(StepStarted, "api")) == (0.0, 7.0)
    assert [(event.job, event.condition) for event in world.of(StepReached)] == [("db", "started")]


def test_a_post_job_starts_when_its_owner_has_reached_what_its_edge_says() -> None:
    dependencies = {"api": {"pre": "db"}, "db": {"post": {"job": "setup", "condition": "started"}}}
    world = World(dependencies, {"db": well(5.0), "setup": well(1.0)}, kinds={"setup": "batch"})
    assert world.run("api").exit_code == 0
    assert (world.at_s(StepRegistered, "setup"), world.at_s(StepRegistered, "api")) == (0.0, 5.0)


def test_a_job_goes_on_beyond_its_own_condition_where_an_edge_asks_for_more() -> None:
    dependencies = {"web": {"pre": "db"}, "api": {"pre": {"job": "db", "condition": "healthy"}}, "db": {"wait_cond": "started"}}
    world = World(dependencies, {"db": well(5.0)})
    assert world.run("web", "api").exit_code == 0
    assert (world.at_s(StepRegistered, "web"), world.at_s(StepRegistered, "api")) == (0.0, 5.0)


def test_what_fails_after_a_milestone_is_a_failure_and_loses_those_not_begun() -> None:
    dependencies = {"web": {"pre": {"job": "db", "condition": "started"}}, "api": {"pre": "db"}}
    world = World(dependencies, {"db": fails(5.0), "web": well(9.0)})
    record = world.run("web", "api")
    assert (states(record), record.exit_code) == ({"api": "lost", "db": "failed", "web": "ready"}, 3)
    assert record.steps["api"].because == "db"


def test_a_milestone_that_does_not_come_in_time_is_a_failure() -> None:
    dependencies = {"api": {"pre": {"job": "db", "condition": {"all": ["healthy"], "timeout": "3s"}}}, "db": {"wait_cond": "started"}}
    world = World(dependencies, {"db": never})
    record = world.run("api")
    assert (record.steps["db"].kind, record.exit_code) == ("timed-out", 6)
    assert record.steps["db"].reason.startswith("not all of (healthy) within 3 s: ")


def test_a_second_attempt_frees_nobody_again() -> None:
    dependencies = {"web": {"pre": {"job": "db", "condition": "started"}}, "api": {"pre": "db"}, "db": {"retries": 1}}
    world = World(dependencies, {"db": [fails(5.0), well(2.0)]}, kinds={"db": "batch"})
    assert world.run("web", "api").exit_code == 0
    assert world.cluster.called("register").count("web") == 1


def test_what_an_edge_asked_for_is_judged_again_before_a_dependent_starts() -> None:
    dependencies = {"api": {"pre": [{"job": "db", "condition": "healthy"}, "slow"]}, "db": {"wait_cond": "started"}}
    world = World(dependencies, {"db": falls_over(1.0, 2.0), "slow": well(9.0)})
    record = world.run("api")
    assert (states(record)["api"], record.exit_code) == ("lost", 3)
    assert "fell over" in record.steps["db"].reason


# -- what can be done without ------------------------------------------------------------------------------------------

SEARCH: dict[str, Any] = {"search": {"pre": [{"job": "elastic", "required": False}, "db"]}, "elastic": {"pre": "disk", "post": "index"}}


@pytest.mark.parametrize(("broken", "lost"), [("elastic", {"index"}), ("disk", {"elastic", "index"}), ("index", set())])
def test_the_failure_of_an_optional_job_or_of_what_only_that_needs_stops_nobody(broken: str, lost: set[str]) -> None:
    world = World(SEARCH, {broken: fails(5.0)}, kinds={"index": "batch"})
    record = world.run("search")
    assert record.exit_code == 0
    assert {name for name, state in states(record).items() if state == "lost"} == lost
    assert states(record)["search"] == "ready"
    assert world.at_s(StepStarted, "search") == 5.0
    assert f"{broken} failed (tolerated) after 5.0 s" in summary_text(record)
    assert "1 failed (tolerated)" in summary_text(record).splitlines()[-1]


def test_a_tolerated_failure_does_not_stop_a_run_that_fails_fast() -> None:
    world = World(SEARCH, {"elastic": fails(1.0), "db": well(5.0)}, kinds={"index": "batch"})
    record = world.carry_out(world.plan("search"), fail_fast=True)
    assert (states(record)["search"], record.exit_code) == ("ready", 0)


def test_an_optional_job_that_timed_out_or_fell_over_later_is_tolerated_too() -> None:
    dependencies = {"search": {"pre": [{"job": "a", "required": False}, {"job": "b", "required": False}]}, "a": {"timeout": 3}}
    world = World(dependencies, {"a": never, "b": falls_over(1.0, 5.0), "search": well(9.0)})
    record = world.run("search")
    assert ({name: step.kind for name, step in record.steps.items()}, record.exit_code) == (
        {"a": "timed-out", "b": "failed", "search": ""},
        0,
    )


def test_the_failure_of_an_optional_job_that_another_requires_is_a_failure() -> None:
    world = World({**SEARCH, "logs": {"pre": "elastic"}}, {"elastic": fails(1.0)}, kinds={"index": "batch"})
    record = world.run("search", "logs")
    assert (states(record)["search"], states(record)["logs"], record.exit_code) == ("ready", "lost", 3)


def test_an_optional_job_that_is_asked_for_itself_is_no_longer_optional() -> None:
    plan = World(SEARCH, kinds={"index": "batch"}).plan("search", "elastic")
    assert [step.name for step in plan.steps if step.is_tolerated] == []
    plan = World(SEARCH, kinds={"index": "batch"}).plan("search")
    assert [step.name for step in plan.steps if step.is_tolerated] == ["disk", "elastic", "index"]


def test_an_optional_post_job_fails_for_itself() -> None:
    dependencies = {"api": {"pre": "db"}, "db": {"post": {"job": "warm", "required": False}}}
    world = World(dependencies, {"warm": fails(1.0)}, kinds={"warm": "batch"})
    record = world.run("api")
    assert (states(record), record.exit_code) == ({"db": "ready", "warm": "failed", "api": "ready"}, 0)


def test_an_optional_job_without_a_file_is_left_out_with_a_warning() -> None:
    world = outside(World({"search": {"pre": [{"job": "elastic", "required": False}, "db"]}}), "elastic")
    plan = world.plan("search")
    assert [step.name for step in plan.steps] == ["db", "search"]
    assert plan.warnings == ("search: goes without 'elastic', which is optional and has no job file",)
    assert world.carry_out(plan).exit_code == 0


def test_what_only_optional_dependents_use_is_stopped() -> None:
    world = World({"search": {"pre": {"job": "elastic", "required": False}}})
    world.run("search")
    assert world.stop("elastic").exit_code == 0
    assert world.cluster.changes == [("stop", "elastic")]


# -- what belongs to others --------------------------------------------------------------------------------------------

VAULT: dict[str, Any] = {"search": {"pre": [{"job": "vault", "external": True}, "db"]}, "vault": {"timeout": 20}}


def test_an_external_job_is_waited_for_until_it_is_there_and_ready_and_never_touched() -> None:
    world = outside(World(VAULT), "vault")
    plan = world.plan("search")
    vault = step_of(plan, "vault")
    assert (vault.action, vault.change, vault.cause) == (Await(), "external", "external: only waited for; not there yet")
    world.clock.after(5.0, lambda: world.cluster.somebody_registers(rendered("vault"), well(3.0)))
    record = world.carry_out(plan)
    assert (record.exit_code, record.steps["vault"].registered) == (0, False)
    assert world.at_s(StepStarted, "search") == 8.0
    assert world.cluster.changes == [("register", "db"), ("register", "search")]
    assert world.cluster.variables.keys() == {("default", f"dtree/memory/{name}") for name in ("db", "search")}


def test_an_external_job_that_never_comes_times_out_and_is_named_as_external() -> None:
    world = outside(World(VAULT), "vault")
    record = world.run("search")
    assert (states(record), record.exit_code) == ({"db": "ready", "search": "lost", "vault": "failed"}, 6)
    step = record.steps["vault"]
    assert (step.kind, step.reason) == ("timed-out", "external, not ready within 20 s: Nomad has no such job")
    assert step.hint == "whoever runs it has to bring it up: nothing of it is changed from here"


def test_an_external_job_that_others_stopped_is_waited_for() -> None:
    world = outside(World(VAULT), "vault")
    world.cluster.has(rendered("vault"))
    world.cluster.stop(rendered("vault").ref)
    world.clock.pause(1.0)
    record = world.run("search")
    assert record.steps["vault"].reason == "external, not ready within 20 s: it is stopped"


def test_an_external_job_that_runs_is_ready_at_once_and_plan_says_nothing_is_missing() -> None:
    world = outside(World(VAULT), "vault")
    world.cluster.has(rendered("vault"))
    assert step_of(world.plan("search"), "vault").cause == "external: only waited for"
    assert world.run("search").exit_code == 0


def test_an_external_job_is_waited_for_at_the_version_found_first() -> None:
    world = outside(World(VAULT), "vault")
    world.cluster.has(rendered("vault"), never)
    world.clock.after(5.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70)))
    record = world.run("search")
    assert (record.steps["vault"].kind, record.exit_code) == ("superseded", 3)


def test_a_dependent_waits_for_an_external_job_that_its_owner_is_just_updating() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), well(8.0)))
    record = world.run("search")
    assert (record.exit_code, states(record)) == (0, {"db": "ready", "search": "ready", "vault": "ready"})
    (event,) = world.of(StepPostponed)
    assert (event.job, event.reason) == ("search", "vault waits again: 0 of 1 allocation healthy")
    assert world.at_s(StepRegistered, "search") == 15.0
    assert [told for told in world.told() if "search" in told] == ["start search", "start search", "registered search", "ready search"]


def test_two_dependents_of_an_external_job_that_is_being_updated_wait_for_it_once() -> None:
    needs = [{"job": "vault", "external": True}, "db"]
    world = outside(World({"a": {"pre": needs}, "b": {"pre": needs}, "vault": {"timeout": 20}}, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), well(8.0)))
    assert world.run("a", "b").exit_code == 0
    assert sorted(event.job for event in world.of(StepPostponed)) == ["a", "b"]
    assert world.told().count("ready vault") == 2


def test_an_external_job_that_does_not_come_up_again_in_time_is_a_failure() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), never))
    record = world.run("search")
    assert (states(record), record.exit_code) == ({"db": "ready", "search": "lost", "vault": "failed"}, 6)
    assert record.steps["vault"].reason == "external, not ready within 20 s: 0 of 1 allocation healthy"
    assert record.steps["search"].because == "vault"
    assert record.elapsed_s == 29.0


def test_an_external_job_that_broke_meanwhile_is_a_failure_at_once() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), fails(1.0)))
    record = world.run("search")
    assert (record.exit_code, states(record)["search"], record.elapsed_s) == (3, "lost", 9.0)
    assert record.steps["vault"].reason.startswith("was ready and fell over: ")


def test_an_external_job_that_is_updated_at_the_end_of_the_run_is_none_of_it() -> None:
    world = outside(World(VAULT, {"search": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), well(8.0)))
    assert world.run("search").exit_code == 0


def test_an_external_job_that_its_owner_stopped_is_waited_for_before_a_dependent_starts() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: somebody_stops(world, "vault"))
    world.clock.after(12.0, lambda: world.cluster.somebody_registers(rendered("vault"), well(3.0)))
    record = world.run("search")
    assert (record.exit_code, world.at_s(StepRegistered, "search")) == (0, 15.0)
    assert [event.reason for event in world.of(StepPostponed)] == ["vault waits again: it is stopped"]


def test_an_external_job_that_is_stopped_at_the_end_of_the_run_is_a_failure() -> None:
    world = outside(World(VAULT, {"search": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: somebody_stops(world, "vault"))
    record = world.run("search")
    assert (record.exit_code, record.steps["vault"].reason) == (3, "was ready and fell over: it is stopped")


def test_an_interrupt_tells_of_what_is_postponed_as_not_begun() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), never))
    world.clock.after(12.0, world.interrupt)
    record = world.run("search")
    assert (record.exit_code, states(record)) == (130, {"db": "ready", "search": "pending", "vault": "waiting"})


def test_what_turns_out_postponed_right_after_an_interrupt_is_told_as_not_begun() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(7.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70), never))
    world.clock.after(8.0, lambda: world.cluster.latency_s.update({"snapshot vault": 0.5}))
    world.clock.after(9.25, world.interrupt)
    record = world.run("search")
    assert (record.exit_code, record.elapsed_s, states(record)["search"]) == (130, 9.5, "pending")


def test_a_newer_version_of_an_external_job_that_was_ready_is_no_fall() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"))
    world.clock.after(3.0, lambda: world.cluster.somebody_registers(rendered("vault", Priority=70)))
    assert world.run("search").exit_code == 0


def test_an_external_job_that_falls_over_before_its_dependent_starts_is_told() -> None:
    world = outside(World(VAULT, {"db": well(9.0)}), "vault")
    world.cluster.has(rendered("vault"), falls_over(0.0, 63.0))
    record = world.run("search")
    assert ([event.job for event in world.of(StepFailed)], states(record)["search"], record.exit_code) == (["vault"], "lost", 3)


def test_an_external_batch_job_is_ready_when_it_has_completed() -> None:
    world = outside(World(VAULT), "vault")
    world.cluster.has(rendered("vault", "batch"))
    assert world.run("search").exit_code == 0


@pytest.mark.parametrize(("kind", "field"), [("periodic", {"Periodic": {"Spec": "@daily"}}), ("parameterized", {"ParameterizedJob": {}})])
def test_a_condition_that_an_external_parent_never_meets_is_told_where_it_is_there(kind: str, field: dict[str, Any]) -> None:
    world = outside(World({"search": {"pre": {"job": "vault", "external": True, "condition": "healthy"}}}), "vault")
    world.cluster.has(rendered("vault", "batch", **field))
    with pytest.raises(DeclarationError, match=f"a {kind} job runs only through its children"):
        world.plan("search")


def test_an_external_job_is_never_stopped_and_the_plan_says_so() -> None:
    world = outside(World(VAULT), "vault")
    world.cluster.has(rendered("vault"))
    world.run("search")
    plan = world.plan("search", "vault", verb="stop", deep=True)
    assert [step.name for step in plan.steps] == ["search", "db"]
    assert [(one.job, one.reason) for one in plan.out] == [("vault", "external: others run it")]
    world.carry_out(plan)
    assert world.cluster.changes == [("stop", "search"), ("stop", "db")]


def test_an_external_job_in_a_namespace_that_is_not_there_is_an_error_at_once() -> None:
    world = outside(World({**VAULT, "vault": {"namespace": "nowhere"}}), "vault")
    with pytest.raises(DeclarationError, match="there is no namespace 'nowhere'"):
        world.plan("search")


def test_an_external_job_is_in_the_namespace_of_its_entry() -> None:
    world = outside(World({**VAULT, "vault": {"namespace": "platform"}}), "vault")
    world.cluster.has(rendered("vault", namespace="platform"))
    assert world.run("search").exit_code == 0


# -- what nobody requires ----------------------------------------------------------------------------------------------


def optional(condition: Any, **more: Any) -> dict[str, Any]:
    return {"pre": {"job": "db", "condition": condition, "required": False}, **more}


def test_a_condition_that_only_optional_edges_ask_for_and_that_does_not_come_fails_nobody() -> None:
    world = World({"db": {}, "api": optional({"log": "never", "timeout": "7s"}), "web": {"pre": "db"}}, {"db": well(2.0)})
    record = world.run("api", "db", "web")
    assert (record.exit_code, {step.state for step in record.steps.values()}) == (0, {"ready"})
    (warning,) = record.warnings
    assert warning.problem.startswith("db: not a line of task work matching /never/ within 7 s: ")
    assert warning.problem.endswith("; api goes on without it")
    assert (world.at_s(StepStarted, "web"), world.at_s(StepStarted, "api")) == (2.0, 7.0)


def test_a_job_is_still_judged_by_its_own_condition_and_by_what_somebody_requires() -> None:
    asked = {"log": "never", "timeout": "4s"}
    world = World({"db": {}, "api": optional(asked)}, {"db": fails(2.0)})
    assert (world.run("api", "db").exit_code, world.of(RunWarned)) == (3, [])
    world = World({"db": {}, "api": optional(asked), "web": {"pre": {"job": "db", "condition": asked}}})
    record = world.run("api", "db", "web")
    assert (record.exit_code, record.steps["db"].kind, record.steps["web"].state) == (6, "timed-out", "lost")


def test_a_job_that_fails_after_it_was_ready_while_only_others_wait_for_more_has_failed() -> None:
    world = World({"db": {}, "api": optional({"log": "never", "timeout": "9s"})}, {"db": falls_over(1.0, 3.0)})
    record = world.run("api", "db")
    assert (record.exit_code, record.steps["db"].kind, record.steps["api"].state) == (3, "failed", "ready")


def test_what_is_optional_may_take_longer_than_the_job_itself_and_be_given_up_first() -> None:
    world = World({"db": {"timeout": 20}, "api": optional({"log": "never", "timeout": "2s"})}, {"db": well(6.0)})
    record = world.run("api", "db")
    assert (record.exit_code, world.at_s(StepStarted, "api"), world.at_s(StepReady, "db")) == (0, 2.0, 6.0)

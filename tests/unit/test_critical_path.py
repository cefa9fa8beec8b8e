"""dtree.critical_path: the chain that decides how long a plan takes, and the least time that this can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.critical_path import CriticalPath, critical_path, rollout_s
from dtree.declaration import Condition, Dispatch, Promotion
from dtree.model import DryRun, JobSnapshot, RenderedJob
from dtree.plan import Action, Child, Evaluate, Milestone, Noop, ObservedJob, Plan, Refuse, Register, Rerun, Step, Stop
from tests.fakes import snapshots
from tests.fakes.jobs import rendered

S = 10**9


def step(name: str, *needs: str, action: Action = Register(0), rollout_s: float = 0.0, condition: Any = "ready", **more: Any) -> Step:  # noqa: B008 - frozen
    asked = condition if isinstance(condition, Condition) else Condition(condition)
    return Step(rendered(name), action, "create", "", needs, asked, 300.0, rollout_s=rollout_s, **more)


def path_of(*steps: Step, verb: Any = "run") -> CriticalPath | None:
    return critical_path(Plan(verb, "shop", "memory", "1", (), steps))


def path(*jobs: str, least_s: float = 0.0) -> CriticalPath:
    return CriticalPath(jobs, least_s)


# -- the chain ---------------------------------------------------------------------------------------------------------


def test_times_along_a_chain_add_up() -> None:
    steps = (step("db", rollout_s=10.0), step("api", "db", rollout_s=5.0), step("web", "api", rollout_s=10.0))
    assert path_of(*steps) == path("db", "api", "web", least_s=25.0)


def test_the_longest_of_several_chains_decides() -> None:
    steps = (
        step("cache", rollout_s=30.0),
        step("db", rollout_s=10.0),
        step("api", "db", rollout_s=10.0),
        step("web", "api", "cache", rollout_s=1.0),
    )
    assert path_of(*steps) == path("cache", "web", least_s=31.0)


def test_where_no_time_is_known_the_longest_chain_of_steps_is_told() -> None:
    steps = (step("a"), step("b"), step("c", "b"), step("d", "a", "c"), step("e", "a"))
    assert path_of(*steps) == path("b", "c", "d")


def test_of_equals_the_first_by_name_is_told() -> None:
    steps = (step("a", rollout_s=1.0), step("b", rollout_s=1.0), step("c", "a", "b", rollout_s=1.0), step("d", "a", "b", rollout_s=1.0))
    assert path_of(*steps) == path("a", "c", least_s=2.0)


def test_a_chain_begins_and_ends_where_something_is_done() -> None:
    around = step("db", action=Noop(1), rollout_s=10.0), step("above", "api", action=Noop(1))
    steps = (around[0], step("api", "db", rollout_s=5.0), step("auth", "api", action=Noop(1)), step("web", "auth"), around[1])
    assert path_of(*steps) == path("api", "auth", "web", least_s=5.0)


@pytest.mark.parametrize("action", [Noop(1), Evaluate(1), Refuse("no", "")])
def test_where_nothing_is_done_there_is_no_chain(action: Action) -> None:
    assert path_of(step("db", action=action, rollout_s=10.0, condition=Condition("started", seconds=5))) is None
    assert path_of() is None


def test_a_stop_has_none() -> None:
    assert path_of(step("db", action=Stop(purge=False)), verb="stop") is None


def test_a_job_whose_children_are_dispatched_is_done_something() -> None:
    child = Child(Dispatch())
    assert path_of(step("fill", action=Noop(1), children=(child,))) == path("fill")
    assert path_of(step("fill", action=Noop(1), children=(Child(Dispatch(), "fill/dispatch-1"),))) is None


# -- conditions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "least_s"),
    [
        (Condition("ready"), 10.0),
        (Condition("healthy"), 10.0),
        (Condition("registered"), 0.0),
        (Condition("started"), 0.0),
        (Condition("completed"), 0.0),
        (Condition("log"), 0.0),
        (Condition("started", seconds=7.0), 7.0),
        (Condition("all", parts=(Condition("started", seconds=3.0), Condition("healthy"))), 10.0),
        (Condition("any", parts=(Condition("started", seconds=3.0), Condition("healthy"))), 3.0),
    ],
)
def test_a_condition_takes_what_it_says(condition: Condition, least_s: float) -> None:
    assert path_of(step("db", rollout_s=10.0, condition=condition)) == path("db", least_s=least_s)


def test_an_edge_with_a_condition_of_its_own_is_met_earlier_or_later() -> None:
    early = step("api", "db", rollout_s=1.0, edges={"db": (Condition("started"),)})
    assert path_of(step("db", rollout_s=10.0), early) == path("db", least_s=10.0)
    late = step("api", "db", rollout_s=1.0, edges={"db": (Condition("started"), Condition("healthy"))})
    db = step("db", rollout_s=10.0, condition="started", milestones=(Milestone(Condition("healthy"), 300.0),))
    assert path_of(db, late) == path("db", "api", least_s=11.0)


def test_a_step_is_ready_when_it_has_reached_all_that_others_ask_of_it() -> None:
    db = step("db", rollout_s=10.0, condition="started", milestones=(Milestone(Condition("healthy"), 300.0),))
    assert path_of(db) == path("db", least_s=10.0)


# -- one rollout -------------------------------------------------------------------------------------------------------


def rollout(numbers: Mapping[str, int], update: Mapping[str, Any] | None = None, type_: str = "service", **more: Any) -> float:
    return least_s(rendered("api", type_, Update=update, **more), {"main": numbers})


def least_s(job: RenderedJob, updates: Mapping[str, Mapping[str, int]], **more: Any) -> float:
    return rollout_s(replace(step("api"), job=job, **more), ObservedJob(JobSnapshot(job.ref, None), DryRun("Edited", updates, 0)))


def test_without_an_update_block_nomads_default_counts() -> None:
    assert rollout({"place": 1}) == 10.0


@pytest.mark.parametrize(
    ("numbers", "rounds"),
    [
        ({"place": 6}, 1),  # what comes new comes at once
        ({"in_place": 6}, 1),
        ({"migrate": 1}, 1),
        ({"destructive": 2, "ignore": 4}, 3),  # the dry run counts the first round, and ignores the rest
        ({"destructive": 2, "ignore": 3}, 3),
        ({"destructive": 1}, 1),
        ({"canary": 1, "ignore": 6}, 4),
        ({"canary": 6, "ignore": 6}, 1),
        ({"ignore": 6}, 0),
        ({"stop": 2}, 0),
        ({}, 0),
    ],
)
def test_a_service_takes_as_many_rounds_as_its_update_block_has_it(numbers: Mapping[str, int], rounds: int) -> None:
    assert rollout(numbers, {"MaxParallel": 2, "MinHealthyTime": 5 * S}, count=6) == 5.0 * rounds


@pytest.mark.parametrize(
    ("numbers", "rounds"),
    [({"place": 3}, 1), ({"place": 3, "ignore": 3}, 0), ({"place": 3, "in_place": 3}, 1), ({"destructive": 3}, 2), ({"canary": 1}, 1)],
)
def test_a_system_job_counts_nodes(numbers: Mapping[str, int], rounds: int) -> None:
    assert rollout(numbers, {"MaxParallel": 2, "MinHealthyTime": 5 * S}, "system") == 5.0 * rounds


@pytest.mark.parametrize("update", [{"MaxParallel": 0}, {"HealthCheck": "manual"}])
def test_without_a_deployment_or_with_a_person_no_time_is_known(update: Mapping[str, Any]) -> None:
    assert rollout({"place": 1}, update) == 0.0


@pytest.mark.parametrize("more", [{"type_": "batch"}, {"type_": "sysbatch"}, {"Periodic": {"Spec": "@daily"}}])
def test_what_makes_no_deployment_takes_no_time_that_is_known(more: Any) -> None:
    assert rollout({"place": 1}, **more) == 0.0


def test_a_groups_own_block_goes_over_that_of_the_job_key_by_key() -> None:
    job = rendered("api", groups=("main", "side"), Update={"MaxParallel": 1, "MinHealthyTime": 3 * S, "HealthCheck": None})
    side = {**job.spec["TaskGroups"][1], "Update": {"MinHealthyTime": 4 * S, "MaxParallel": None}}
    job = rendered("api", Update=job.spec["Update"], TaskGroups=[job.spec["TaskGroups"][0], side])
    assert least_s(job, {"main": {"place": 1}, "side": {"destructive": 1, "ignore": 1}}) == 8.0


def test_a_group_that_says_no_count_has_one() -> None:
    group: dict[str, Any] = {"Name": "main", "Count": None, "Tasks": []}
    assert rollout({"canary": 1}, TaskGroups=[group]) == 10.0


def test_where_nomad_was_not_asked_nothing_is_known() -> None:
    assert rollout_s(step("api"), ObservedJob(JobSnapshot(rendered("api").ref, None))) == 0.0


@pytest.mark.parametrize(("count", "expected"), [(3, 5.0), (0, 0.0)])
def test_what_is_run_again_comes_all_at_once_whatever_nomad_would_do_now(count: int, expected: float) -> None:
    job = rendered("api", Update={"MaxParallel": 1, "MinHealthyTime": 5 * S}, count=count)
    assert least_s(job, {"main": {"ignore": 3}}, action=Rerun("purge", 1), change="rerun") == expected


CANARIES: Any = {"MaxParallel": 2, "MinHealthyTime": 5 * S, "Canary": 1}


@pytest.mark.parametrize(
    ("numbers", "more", "expected"),
    [
        ({"canary": 1, "ignore": 3}, {"promotion": Promotion(after_s=4.0)}, 5.0 + 4.0 + 5.0),
        ({"canary": 1, "ignore": 3}, {"promotion": Promotion()}, 10.0),
        ({"place": 3}, {"promotion": Promotion(after_s=4.0)}, 5.0),
        ({"ignore": 3}, {"promotion": Promotion(after_s=4.0), "action": Noop(1), "change": "promote"}, 4.0 + 5.0),
        ({"ignore": 3}, {"promotion": Promotion(after_s=4.0), "action": Noop(1), "change": "noop"}, 0.0),
    ],
)
def test_canaries_wait_for_their_time_before_the_rest_follows(numbers: Mapping[str, int], more: Any, expected: float) -> None:
    assert least_s(rendered("api", Update=CANARIES, count=3), {"main": numbers}, **more) == expected


def test_only_groups_with_canaries_go_on_after_a_promotion() -> None:
    job = rendered("api", Update={"MaxParallel": 1, "MinHealthyTime": 5 * S}, count=3)
    assert least_s(job, {"main": {}}, action=Noop(1), change="promote", promotion=Promotion(after_s=0.0)) == 0.0


@pytest.mark.parametrize(("kind", "expected"), [("service", 6.0), ("batch", 0.0)])
def test_each_portion_that_is_renewed_has_to_be_healthy_before_the_next(kind: str, expected: float) -> None:
    stored = snapshots.job(replace(snapshots.group(count=3), max_parallel=2, min_healthy_s=3.0), type_=kind)
    found = snapshots.snapshot(stored, *(snapshots.alloc(str(number)) for number in range(3)))
    renewed = step("api", action=Noop(1), renewal="restart")
    assert rollout_s(renewed, ObservedJob(found)) == expected
    assert rollout_s(step("api", action=Noop(1)), ObservedJob(found)) == 0.0


def test_a_renewal_and_a_promotion_are_on_the_path_and_seconds_of_what_is_unchanged_are_not() -> None:
    db = step("db", rollout_s=1.0)
    api = step("api", "db", action=Noop(1), renewal="restart", rollout_s=2.0, condition=Condition("started", seconds=9))
    healthy = replace(api, milestones=(Milestone(Condition("healthy"), 300.0),))
    assert path_of(db, healthy) == path("db", "api", least_s=3.0)
    assert path_of(replace(healthy, needs=())) == path("api", least_s=2.0)
    promoted = replace(step("web", action=Noop(1), rollout_s=4.0), change="promote")
    assert path_of(promoted) == path("web", least_s=4.0)
    assert path_of(promoted, verb="promote") is None


# -- what holds for every plan -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 100), st.sets(st.integers(0, 7))), min_size=1, max_size=8))
def test_no_chain_of_the_plan_takes_longer(told: list[tuple[float, set[int]]]) -> None:
    steps = [
        step(f"j{number}", *(f"j{need}" for need in sorted(needs) if need < number), rollout_s=own_s)
        for number, (own_s, needs) in enumerate(told)
    ]
    ends_s: dict[str, float] = {}
    for one in steps:
        ends_s[one.name] = one.rollout_s + max((ends_s[need] for need in one.needs), default=0.0)
    found = path_of(*steps)
    assert found is not None
    by_name = {one.name: one for one in steps}
    assert found.least_s == max(ends_s.values())
    assert sum(by_name[job].rollout_s for job in found.jobs) == pytest.approx(found.least_s)
    assert all(first in by_name[second].needs for first, second in zip(found.jobs, found.jobs[1:], strict=False))

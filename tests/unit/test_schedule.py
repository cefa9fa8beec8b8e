"""dtree.schedule: what may start, and what is lost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dtree.declaration import Condition
from dtree.plan import Noop, Plan, Step
from dtree.schedule import Schedule
from tests.fakes.jobs import rendered

Needs = Mapping[str, Sequence[str]]


def plan_of(needs: Needs) -> Plan:
    """A plan whose steps stand in the order given, each after its needs."""
    steps = tuple(
        Step(rendered(name), Noop(0), "noop", "", tuple(sorted(others)), Condition(), timeout_s=1.0) for name, others in needs.items()
    )
    return Plan("run", "shop", "memory", "1", (), steps)


def take_all(schedule: Schedule) -> list[str]:
    taken = []
    while schedule.has_free:
        taken.append(schedule.start())
    return taken


@st.composite
def needs_of_steps(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 10)))]
    return {name: draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)}


def test_what_needs_nothing_is_free_in_plan_order() -> None:
    assert take_all(Schedule(plan_of({"b": [], "a": [], "c": ["a"]}))) == ["b", "a"]


def test_a_step_starts_the_moment_its_own_edges_are_met_and_not_with_a_wave() -> None:
    schedule = Schedule(plan_of({"fast": [], "slow": [], "above_fast": ["fast"], "above_both": ["fast", "slow"]}))
    assert take_all(schedule) == ["fast", "slow"]
    schedule.done("fast")
    assert take_all(schedule) == ["above_fast"]
    schedule.done("slow")
    assert take_all(schedule) == ["above_both"]


def test_a_lost_step_loses_everything_above_it_once_and_nothing_beside_it() -> None:
    schedule = Schedule(plan_of({"db": [], "cache": [], "api": ["db"], "auth": ["db"], "web": ["api", "auth"], "other": ["cache"]}))
    assert take_all(schedule) == ["db", "cache"]
    assert schedule.broke("db") == ("api", "auth", "web")
    schedule.done("cache")
    assert take_all(schedule) == ["other"]


def test_a_lost_step_is_lost_under_the_first_that_broke() -> None:
    schedule = Schedule(plan_of({"a": [], "b": [], "top": ["a", "b"]}))
    take_all(schedule)
    assert schedule.broke("a") == ("top",)
    assert schedule.broke("b") == ()


def test_a_lost_step_does_not_come_free_when_its_last_need_is_ready() -> None:
    schedule = Schedule(plan_of({"a": [], "b": [], "top": ["a", "b"]}))
    take_all(schedule)
    schedule.broke("a")
    schedule.done("b")
    assert not schedule.has_free


def test_a_step_that_breaks_after_it_was_ready_takes_free_dependents_along() -> None:
    schedule = Schedule(plan_of({"a": [], "b": ["a"], "c": ["a"], "top": ["b"]}))
    schedule.start()
    schedule.done("a")
    assert schedule.start() == "b"
    assert schedule.broke("a") == ("c",)
    assert not schedule.has_free
    assert schedule.broke("b") == ("top",)


def test_a_free_step_that_is_lost_behind_another_does_not_come_up_after_it() -> None:
    schedule = Schedule(plan_of({"a": [], "other": [], "above": ["a"]}))
    assert schedule.start() == "a"
    schedule.done("a")
    assert schedule.broke("a") == ("above",)
    assert take_all(schedule) == ["other"]


def test_a_lattice_of_two_hundred_layers_is_lost_at_once() -> None:
    layers = {f"{side}{layer}": [f"l{layer - 1}", f"r{layer - 1}"] if layer else [] for layer in range(200) for side in "lr"}
    schedule = Schedule(plan_of(layers))
    began_s = time.process_time()
    assert len(schedule.broke(schedule.start())) == 398
    assert time.process_time() - began_s < 1


def test_breaking_off_leaves_nothing_to_start() -> None:
    schedule = Schedule(plan_of({"a": [], "b": [], "c": ["a"]}))
    assert schedule.start() == "a"
    assert schedule.break_off() == ("b", "c")
    assert not schedule.has_free
    schedule.done("a")
    assert not schedule.has_free


@given(needs_of_steps(), st.data())
def test_every_step_starts_once_and_after_its_needs_whatever_ends_first(needs: dict[str, list[str]], data: st.DataObject) -> None:
    schedule = Schedule(plan_of(needs))
    in_flight: list[str] = []
    done: list[str] = []
    while schedule.has_free or in_flight:
        if schedule.has_free and (not in_flight or data.draw(st.booleans())):
            name = schedule.start()
            assert set(needs[name]) <= set(done)
            in_flight.append(name)
        else:
            name = data.draw(st.sampled_from(in_flight))
            in_flight.remove(name)
            done.append(name)
            schedule.done(name)
    assert sorted(done) == sorted(needs)


@given(needs_of_steps(), st.data())
def test_each_step_is_either_started_or_lost(needs: dict[str, list[str]], data: st.DataObject) -> None:
    schedule = Schedule(plan_of(needs))
    started: list[str] = []
    lost: list[str] = []
    broken: set[str] = set()
    while schedule.has_free:
        name = schedule.start()
        started.append(name)
        if data.draw(st.booleans()):
            broken.add(name)
            lost.extend(schedule.broke(name))
        else:
            schedule.done(name)
    assert sorted([*started, *lost]) == sorted(needs)
    assert all(not broken & set(needs[name]) for name in started)


def test_a_chain_of_ten_thousand_steps_is_lost_at_once() -> None:
    chain = {f"s{number}": [f"s{number - 1}"] if number else [] for number in range(10_000)}
    schedule = Schedule(plan_of(chain))
    began_s = time.process_time()
    assert len(schedule.broke(schedule.start())) == 9_999
    assert time.process_time() - began_s < 1


def test_ten_thousand_steps_side_by_side_cost_what_their_edges_cost() -> None:
    wide: dict[str, list[str]] = {f"s{number}": [] for number in range(9_999)} | {"top": [f"s{number}" for number in range(9_999)]}
    schedule = Schedule(plan_of(wide))
    began_s = time.process_time()
    for name in take_all(schedule):
        schedule.done(name)
    assert take_all(schedule) == ["top"]
    assert time.process_time() - began_s < 1


def test_ten_thousand_steps_that_break_one_by_one_are_quick() -> None:
    schedule = Schedule(plan_of({f"s{number}": [] for number in range(10_000)}))
    began_s = time.process_time()
    while schedule.has_free:
        schedule.broke(schedule.start())
    assert time.process_time() - began_s < 2


# -- edges that ask for less, more, or nothing -------------------------------------------------------------------------

STARTED, HEALTHY = Condition("started"), Condition("healthy")
Asks = Mapping[str, Mapping[str, Sequence[Condition]]]


def plan_with(asks: Asks, optional: Mapping[str, Sequence[str]] | None = None) -> Plan:
    """A plan whose steps need others as far as `asks` says: step -> need -> conditions, none for the need's own."""
    needs = {name: sorted(others) for name, others in asks.items()}
    steps = tuple(
        replace(
            step,
            edges={need: tuple(conditions) for need, conditions in asks[step.name].items() if conditions},
            optional=tuple((optional or {}).get(step.name, ())),
        )
        for step in plan_of(needs).steps
    )
    return replace(plan_of(needs), steps=steps)


def test_a_dependent_starts_at_its_milestone_while_another_waits_for_the_next() -> None:
    schedule = Schedule(plan_with({"db": {}, "early": {"db": [STARTED]}, "late": {"db": [HEALTHY]}, "last": {"db": []}}))
    assert take_all(schedule) == ["db"]
    schedule.reached("db", STARTED)
    assert take_all(schedule) == ["early"]
    schedule.reached("db", HEALTHY)
    assert take_all(schedule) == ["late"]
    schedule.done("db")
    assert take_all(schedule) == ["last"]


def test_a_milestone_that_is_reached_again_frees_nobody_twice() -> None:
    schedule = Schedule(plan_with({"db": {}, "cache": {}, "api": {"db": [STARTED], "cache": []}}))
    take_all(schedule)
    schedule.reached("db", STARTED)
    schedule.reached("db", STARTED)
    schedule.done("db")
    assert not schedule.has_free
    schedule.done("cache")
    assert take_all(schedule) == ["api"]


def test_who_asks_for_two_conditions_waits_for_both() -> None:
    schedule = Schedule(plan_with({"db": {}, "api": {"db": [STARTED, HEALTHY]}}))
    take_all(schedule)
    schedule.reached("db", HEALTHY)
    assert not schedule.has_free
    schedule.reached("db", STARTED)
    assert take_all(schedule) == ["api"]


def test_a_step_that_breaks_after_a_milestone_loses_those_not_begun() -> None:
    schedule = Schedule(
        plan_with({"db": {}, "early": {"db": [STARTED]}, "other": {"db": [STARTED]}, "late": {"db": []}, "top": {"early": []}})
    )
    assert schedule.start() == "db"
    schedule.reached("db", STARTED)
    assert schedule.start() == "early"
    assert schedule.broke("db") == ("other", "late")
    assert not schedule.has_free
    schedule.done("early")
    assert take_all(schedule) == ["top"]


def test_who_can_do_without_a_step_starts_when_it_broke() -> None:
    schedule = Schedule(plan_with({"elastic": {}, "db": {}, "search": {"elastic": [STARTED, HEALTHY], "db": []}}, {"search": ["elastic"]}))
    take_all(schedule)
    schedule.reached("elastic", STARTED)
    assert schedule.broke("elastic") == ()
    assert not schedule.has_free
    schedule.done("db")
    assert take_all(schedule) == ["search"]


def test_who_can_do_without_a_step_starts_when_that_was_lost() -> None:
    schedule = Schedule(plan_with({"disk": {}, "elastic": {"disk": []}, "search": {"elastic": []}}, {"search": ["elastic"]}))
    assert schedule.start() == "disk"
    assert schedule.broke("disk") == ("elastic",)
    assert take_all(schedule) == ["search"]


def test_who_can_do_without_one_need_is_lost_with_another() -> None:
    asks: Asks = {"disk": {}, "elastic": {"disk": []}, "search": {"disk": [], "elastic": []}}
    schedule = Schedule(plan_with(asks, {"search": ["elastic"]}))
    assert schedule.start() == "disk"
    assert schedule.broke("disk") == ("elastic", "search")
    assert not schedule.has_free


@st.composite
def asking_steps(draw: st.DrawFn) -> tuple[dict[str, dict[str, list[Condition]]], dict[str, list[str]]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 8)))]
    conditions = st.lists(st.sampled_from([STARTED, HEALTHY]), unique=True)
    asks = {name: draw(st.dictionaries(st.sampled_from(names[:at]), conditions)) if at else {} for at, name in enumerate(names)}
    return asks, {name: [need for need in sorted(asks[name]) if draw(st.booleans())] for name in names}


@given(asking_steps(), st.data())
def test_a_step_starts_when_all_that_it_asks_is_reached_or_done_without(
    steps: tuple[dict[str, dict[str, list[Condition]]], dict[str, list[str]]], data: st.DataObject
) -> None:
    asks, optional = steps
    schedule = Schedule(plan_with(asks, optional))
    reached: dict[str, set[Condition]] = {}
    started: list[str] = []
    done: set[str] = set()
    broken: set[str] = set()
    lost: set[str] = set()

    def is_met(name: str, need: str) -> bool:
        without = need in optional[name] and need in broken | lost
        return without or need in done or (bool(asks[name][need]) and set(asks[name][need]) <= reached.get(need, set()))

    while schedule.has_free or set(started) - done - broken:
        flying = sorted(set(started) - done - broken)
        if schedule.has_free and (not flying or data.draw(st.booleans())):
            name = schedule.start()
            assert name not in started
            assert all(is_met(name, need) for need in asks[name])
            started.append(name)
            continue
        name = data.draw(st.sampled_from(flying))
        match data.draw(st.sampled_from(["done", "broke", "started", "healthy"])):
            case "done":
                done.add(name)
                schedule.done(name)
            case "broke":
                broken.add(name)
                now_lost = schedule.broke(name)
                assert not set(now_lost) & (set(started) | lost)
                lost.update(now_lost)
            case word:
                condition = STARTED if word == "started" else HEALTHY
                reached.setdefault(name, set()).add(condition)
                schedule.reached(name, condition)
    assert sorted([*started, *lost]) == sorted(asks)
    assert all(any(need in broken | lost and need not in optional[name] for need in asks[name]) for name in lost)

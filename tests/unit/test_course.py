"""dtree.course: what a run has come to; the executor's tests show it in a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtree.course import Course
from dtree.errors import Denied
from dtree.events import Event, RollbackStarted, RunWarned, StepFailed, StepLost, StepReady, StepStarted
from dtree.flight import Flight
from dtree.outcomes import Acted, Fallen, JudgedAgain, Postponed
from dtree.plan import Nothing, Plan, Step
from tests.fakes.world import World, registered

SHOP = {"web": {"pre": "api"}, "api": {"pre": "db"}, "db": {}}


def course_of(plan: Plan, *, fail_fast: bool = False) -> tuple[Course, list[Event]]:
    """A course that was opened, and what it tells from then on."""
    events: list[Event] = []
    course = Course(plan, lambda: 1.0, events.append, fail_fast=fail_fast)
    course.open("http://nomad")
    events.clear()
    return course, events


def begun(course: Course) -> Step:
    step = course.next_step()
    assert step is not None
    course.started(Flight(step))
    return step


def ready_course(world: World) -> tuple[Course, list[Event]]:
    """A course of which `db` was begun and became ready."""
    step, awaited = registered(world)
    course, events = course_of(replace(world.plan("db"), steps=(step,)))
    course.ready(Flight(begun(course), awaited=awaited), "healthy", ())
    return course, events


def test_a_step_that_has_nothing_to_do_is_told_and_passed_over() -> None:
    plan = World(SHOP).plan("api")
    db, api = plan.steps
    course, events = course_of(replace(plan, steps=(replace(db, action=Nothing(), change="noop", cause="unchanged"), api)))
    assert begun(course).name == "api"
    assert events == [StepStarted(1.0, "db", 1), StepReady(1.0, "db", "unchanged", ()), StepStarted(1.0, "api", 1)]


def test_what_is_lost_is_told_under_the_step_that_broke() -> None:
    course, events = course_of(World(SHOP).plan("web"))
    course.failed(begun(course).name, "failed", "exit code 1")
    assert events[1:] == [StepFailed(1.0, "db", "failed", "exit code 1", (), ""), StepLost(1.0, "api", "db"), StepLost(1.0, "web", "db")]
    assert course.next_step() is None


def test_a_step_that_was_ready_falls_over_once() -> None:
    course, events = ready_course(World(SHOP))
    assert [one.step.name for one in course.standings] == ["db"]
    for _ in range(2):
        course.fell(Fallen("db", "failed", "exit code 1"))
    assert [event.reason for event in events if isinstance(event, StepFailed)] == ["was ready and fell over: exit code 1"]
    assert course.standings == ()


def test_a_failure_that_brings_a_rollback_begins_nothing_more() -> None:
    course, events = course_of(World({"db": {"on_failure": "rollback"}, "api": {}}).plan("api", "db"))
    steps = [begun(course), begun(course)]
    assert all(course.may_retry(step) for step in steps)
    course.failed("db", "failed", "exit code 1")
    assert RollbackStarted(1.0, "db") in events
    assert course.returns
    assert not any(course.may_retry(step) for step in steps)


def test_what_cannot_be_noted_is_told_once() -> None:
    course, events = course_of(World(SHOP).plan("web"))
    for name in SHOP:
        course.unnoted(Acted(name, None, (), unnoted=Denied("the token may not write", hint="allow it")))
        course.unnoted(Acted(name, None, (), unforgotten=Denied("the token may not destroy", hint="allow it")))
    stays = "what is noted of purged jobs in Nomad's Variables stays, so that the next run takes for completed what had completed"
    assert events == [
        RunWarned(1.0, "what runs where is not noted in Nomad's Variables: the token may not write", "allow it"),
        RunWarned(1.0, f"{stays}: the token may not destroy", "allow it"),
    ]


def test_what_cannot_be_judged_at_the_end_has_failed() -> None:
    course, events = ready_course(World(SHOP))
    course.judged_again(JudgedAgain(error=Denied("no", hint="allow it")))
    reason = "was ready, but could not be judged again at the end: no"
    assert events[2:] == [StepFailed(1.0, "db", "error", reason, (), "allow it")]


@pytest.mark.parametrize("ends", ["need", "run"])
def test_what_is_postponed_is_lost_where_its_need_broke_or_nothing_more_is_begun(ends: str) -> None:
    course, events = course_of(World({"api": {"pre": "db"}, "db": {}}).plan("api"))
    course.ready(Flight(begun(course)), "healthy", ())
    begun(course)
    if ends == "need":
        course.failed("db", "timed-out", "too long")
    else:
        course.broken_off()
    assert course.postponed(Postponed("api", {"db": "0 of 1 allocation healthy"})) == ()
    assert events[-1] == StepLost(1.0, "api", "db" if ends == "need" else "")
    assert course.next_step() is None


def test_what_is_postponed_after_a_failure_that_ends_the_run_is_lost_under_it() -> None:
    course, events = course_of(World({"api": {"pre": "db"}, "db": {}, "other": {}}).plan("api", "other"), fail_fast=True)
    course.ready(Flight(begun(course)), "healthy", ())
    assert [begun(course).name, begun(course).name] == ["api", "other"]
    course.failed("other", "failed", "exit code 1")
    assert course.postponed(Postponed("api", {"db": "0 of 1 allocation healthy"})) == ()
    assert events[-1] == StepLost(1.0, "api", "other")

"""dtree.record: a run is what its events say."""

from __future__ import annotations

import pytest

from dtree.events import (
    Event,
    PlannedStep,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepFailed,
    StepKept,
    StepLost,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.model import Address
from dtree.record import Recorder, StepRecord, begin, fold, step_after

API = PlannedStep("api", "api", "default", "create", "not in Nomad yet", ("db",), "ready")
DB = PlannedStep("db", "db", "default", "create", "not in Nomad yet", (), "ready")
OPENING = RunStarted(10.0, "run", "shop", "memory", "r1", ("api",), (DB, API))


def step_of(*events: Event) -> StepRecord:
    return fold([OPENING, *events]).steps["db"]


def test_a_run_opens_with_all_its_steps_pending() -> None:
    record = fold([OPENING])
    assert (record.verb, record.stack, record.store, record.revision, record.goals) == ("run", "shop", "memory", "r1", ("api",))
    assert record.started_s == 10.0
    assert list(record.steps) == ["db", "api"]
    assert {step.state for step in record.steps.values()} == {"pending"}
    assert record.exit_code is None
    assert record == begin(OPENING)


def test_a_step_acts_waits_and_becomes_ready() -> None:
    address = Address("http", "10.0.0.1", 80)
    started = StepStarted(11.0, "db", 1)
    registered = StepRegistered(12.0, "db", 3, changed=True, warnings="old block")
    waiting = StepWaiting(13.0, "db", "0 of 1 allocation healthy")
    ready = StepReady(14.0, "db", "1 of 1 allocation healthy", (address,))
    assert step_of(started) == StepRecord(DB, "acting", 1, started_s=11.0)
    assert step_of(started, registered).state == "waiting"
    assert step_of(started, registered, waiting).reason == "0 of 1 allocation healthy"
    assert step_of(started, registered, waiting, ready) == StepRecord(
        DB,
        "ready",
        1,
        started_s=11.0,
        ended_s=14.0,
        version=3,
        registered=True,
        reason="1 of 1 allocation healthy",
        addresses=(address,),
        warnings="old block",
    )


def test_a_failed_step_keeps_what_explains_it() -> None:
    step = step_of(StepStarted(11.0, "db", 1), StepFailed(12.0, "db", "timed-out", "not ready within 5 s", ("a line",), "wait longer"))
    assert (step.state, step.kind, step.reason, step.details, step.hint) == (
        "failed",
        "timed-out",
        "not ready within 5 s",
        ("a line",),
        "wait longer",
    )
    assert step.ended_s == 12.0


def test_the_reasons_of_earlier_attempts_are_kept_and_the_start_is_the_first() -> None:
    step = step_of(
        StepStarted(11.0, "db", 1),
        StepRegistered(11.5, "db", 0, changed=True, warnings="careful"),
        StepRetrying(12.0, "db", 1, 3, "exit code 1"),
        StepStarted(12.0, "db", 2),
        StepRegistered(12.5, "db", 2, changed=True, warnings=""),
        StepRetrying(13.0, "db", 2, 3, "exit code 2"),
        StepStarted(13.0, "db", 3),
    )
    assert (step.attempts, step.attempt, step.started_s, step.state) == (("exit code 1", "exit code 2"), 3, 11.0, "acting")
    assert step.warnings == "careful"


def test_a_change_stays_a_change_when_a_later_attempt_changes_nothing() -> None:
    step = step_of(StepRegistered(1.0, "db", 0, changed=True, warnings=""), StepRegistered(2.0, "db", 0, changed=False, warnings=""))
    assert step.registered


def test_a_lost_step_names_the_one_that_broke() -> None:
    step = step_of(StepLost(12.0, "db", "cache"))
    assert (step.state, step.because, step.ended_s) == ("lost", "cache", 12.0)


def test_a_kept_step_says_why() -> None:
    step = step_of(StepKept(12.0, "db", "still needed by api"))
    assert (step.state, step.reason, step.ended_s) == ("kept", "still needed by api", 12.0)


def test_an_event_that_is_not_about_a_step_leaves_it_as_it_is() -> None:
    step = StepRecord(DB)
    assert step_after(step, RunInterrupted(1.0, "SIGINT")) is step


def test_the_end_of_a_run_is_recorded() -> None:
    record = fold([OPENING, RunInterrupted(12.0, "SIGTERM"), RunFinished(13.0, 130, 3.0)])
    assert (record.interrupted, record.exit_code, record.elapsed_s) == ("SIGTERM", 130, 3.0)


def test_a_run_without_a_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="a run begins with RunStarted"):
        fold([])


def test_a_record_once_given_does_not_change() -> None:
    recorder = Recorder()
    recorder(OPENING)
    before = recorder.record()
    recorder(StepStarted(11.0, "db", 1))
    assert before.steps["db"].state == "pending"
    assert recorder.record().steps["db"].state == "acting"

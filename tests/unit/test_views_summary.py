"""The end of a run in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from textwrap import dedent

import pytest

from dtree.events import Event, PlannedStep, RunFinished, RunInterrupted, RunWarned, StepFailed, StepLost, StepRegistered, StepStarted
from dtree.record import fold
from dtree.views.style import Look
from dtree.views.summary import summary_text
from tests.unit.views_samples import BEGINNING, FAILURE, INTERRUPTED, NOOP, SHOP, STOP, SUCCESS, T


def text(golden: str) -> str:
    return dedent(golden).strip("\n")


def test_a_success_counts_what_changed_and_passes_on_warnings() -> None:
    expected = text("""
        warning: nginx: update block is ignored

        Done: 4 ready (3 changed, 1 unchanged) in 12.4 s
    """)
    assert expected == summary_text(fold(SUCCESS))


def test_a_failure_tells_why_and_what_was_lost_with_it() -> None:
    expected = text("""
        ✗ api timed out after 1 m 08 s: not ready within 60 s: 1 of 2 allocations healthy
            attempt 1: task web ended with exit code 1
            check 'alive' of web: critical
              HTTP GET /: 500\\x07
            last lines of web (stderr):
              [red]KeyError[/red]: DB
            hint: look at the check
            not started because of it: nginx

        Nothing is undone: 2 jobs were registered by this run, api among them

        Timed out: 1 timed out, 1 not started, 2 ready; 2 changed in 1 m 10 s
    """)
    assert expected == summary_text(fold(FAILURE))


def test_an_interrupt_tells_where_everything_stands_and_how_to_go_on() -> None:
    expected = text("""
        Interrupted by SIGINT; nothing was undone:
          was ready      postgres, postgres_setup
          not yet ready  api (version 7 registered: 1 of 2 allocations healthy)
          not started    nginx
        Run the same command again to go on; what is ready stays as it is.

        Interrupted: 1 not yet ready, 1 not started, 2 ready; 2 changed in 4.0 s
    """)
    assert expected == summary_text(fold(INTERRUPTED))


def test_an_interrupt_in_the_middle_of_a_request_says_that_its_end_is_unknown() -> None:
    events = (SHOP, StepStarted(T, "postgres", 1), RunInterrupted(T, "SIGTERM"), RunFinished(T, 130, 0.1))
    assert "  not yet ready  postgres (its request was under way: Nomad may or may not have accepted it)" in summary_text(fold(events))


def test_an_interrupted_stop_speaks_of_stopping() -> None:
    expected = text("""
        Interrupted by SIGINT; nothing was undone:
          not yet stopped  nginx (stop accepted: 1 allocation is ending)
          not stopped      api, postgres, redis
        Run the same command again to go on; what is stopped stays as it is.

        Interrupted: 1 not yet stopped, 3 not stopped in 1.0 s
    """)
    assert expected == summary_text(fold((*STOP[:4], RunInterrupted(T + 1, "SIGINT"), RunFinished(T + 1, 130, 1.0))))


def test_an_interrupted_stop_does_not_count_what_never_ran_among_the_stopped() -> None:
    summary = summary_text(fold((*STOP[:-1], RunInterrupted(T + 4, "SIGINT"), RunFinished(T + 4, 130, 4.0))))
    assert "  stopped          nginx, api" in summary.splitlines()


def test_a_reason_is_not_repeated_in_the_details_under_it() -> None:
    details = ("0 of 1 allocations healthy", "    node 1 has no room", "healthy")
    failed = StepFailed(T + 3, "api", "timed-out", "not ready within 1 s: 0 of 1 allocations healthy", details, "")
    shown = summary_text(fold((*BEGINNING, failed))).split("\n\n")[0].splitlines()
    assert shown[1:] == ["        node 1 has no room", "    healthy"]


def test_a_stop_names_what_was_kept() -> None:
    expected = text("""
        = postgres kept: still needed by search

        Done: 1 stopped, 1 purged, 1 not running, 1 kept in 3.0 s
    """)
    assert expected == summary_text(fold(STOP))


def test_a_run_without_changes_says_so() -> None:
    assert summary_text(fold(NOOP)) == "Done: 1 ready (1 unchanged) in 0.2 s"


def test_a_run_that_ended_without_its_last_event_is_broken_off() -> None:
    expected = "Broken off: 1 not yet ready, 1 not started, 2 ready; 2 changed"
    assert expected == summary_text(fold(BEGINNING)).splitlines()[-1]


def test_steps_given_up_for_no_jobs_sake_are_named() -> None:
    events = (*BEGINNING, StepLost(T + 3, "nginx", ""), RunFinished(T + 3, 3, 3.0))
    assert "Not started, because the run was broken off: nginx" in summary_text(fold(events)).splitlines()


@pytest.mark.parametrize(
    "events", [FAILURE, INTERRUPTED, BEGINNING, (*SUCCESS[:-1], RunFinished(T, 1, 1.0)), (*SUCCESS[:-1], RunFinished(T, 99, 1.0))]
)
def test_only_exit_code_0_is_called_done(events: Sequence[Event]) -> None:
    assert re.findall(r"\bdone\b", summary_text(fold(events)), re.IGNORECASE) == []


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "Done"), (1, "Incomplete"), (3, "Failed"), (6, "Timed out"), (7, "Awaiting promotion"), (130, "Interrupted")],
)
def test_the_last_line_begins_with_the_outcome(code: int, outcome: str) -> None:
    assert summary_text(fold((*SUCCESS[:-1], RunFinished(T, code, 1.0)))).splitlines()[-1].split(":")[0] == outcome


def test_a_log_line_as_long_as_a_document_is_cut() -> None:
    failed = StepFailed(T + 3, "api", "failed", "exit code 1", ("x" * 10_000,), "")
    assert max(map(len, summary_text(fold((*BEGINNING, failed))).splitlines())) == 504


def test_colour_marks_the_outcome_and_nothing_else_of_its_line() -> None:
    assert summary_text(fold(NOOP), Look(colour=True)) == "\x1b[32mDone:\x1b[0m 1 ready (1 unchanged) in 0.2 s"


def test_what_could_not_be_done_beside_the_jobs_stands_in_the_summary_and_fails_nothing() -> None:
    warned = RunWarned(T + 1, "what runs where is not noted", 'add namespace "default" {}')
    expected = text("""
        warning: nginx: update block is ignored
        warning: what runs where is not noted
            hint: add namespace "default" {}

        Done: 4 ready (3 changed, 1 unchanged) in 12.4 s
    """)
    assert expected == summary_text(fold((*SUCCESS[:-1], warned, SUCCESS[-1])))


def test_a_failed_post_job_is_told_with_its_owner() -> None:
    planned = PlannedStep("fill", "fill", "default", "create", "not in Nomad yet", ("db",), "ready", post_of=("db",))
    began = replace(SHOP, steps=(planned,))
    events = (began, StepStarted(T, "fill", 1), StepFailed(T, "fill", "failed", "exit code 1", (), ""), RunFinished(T, 3, 0.1))
    assert summary_text(fold(events)).splitlines()[1] == "    it is a post job of db"


def test_a_hook_that_a_stop_waited_for_in_vain_is_said_to_run_on() -> None:
    planned = PlannedStep("backup", "backup", "default", "create", "before db is stopped: not in Nomad yet", (), "ready")
    began = replace(SHOP, verb="stop", steps=(planned,))
    events: tuple[Event, ...] = (
        began,
        StepStarted(T, "backup", 1),
        StepRegistered(T, "backup", 0, changed=True, warnings=""),
        StepFailed(T, "backup", "timed-out", "0 of 1 allocation completed", (), ""),
        RunFinished(T, 6, 0.1),
    )
    assert "backup was started by this stop and may still run; `nomad-dtree stop backup` stops it" in summary_text(fold(events))

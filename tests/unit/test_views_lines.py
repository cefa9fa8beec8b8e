"""A run as plain lines, and the choice of a view."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC
from textwrap import dedent

import pytest

from dtree.events import Event, PlannedStep, RunFinished, RunWarned, StepFailed, StepStarted
from dtree.views.json_forms import JsonLines
from dtree.views.lines import Lines, Verbosity
from dtree.views.live import Live
from dtree.views.progress import View, progress
from dtree.views.style import Look, look_at
from tests.unit.views_samples import FAILURE, INTERRUPTED, NOOP, STOP, SUCCESS, T, Terminal, planned, started


def lines_of(events: Iterable[Event], verbosity: Verbosity = "normal", *, look: Look | None = None) -> str:
    stream = io.StringIO()
    with Lines(stream, verbosity, look=look or Look(), zone=UTC) as view:
        for event in events:
            view(event)
    return stream.getvalue()


def text(golden: str) -> str:
    return dedent(golden).lstrip("\n")


def test_a_success_has_one_line_per_event_and_the_summary() -> None:
    expected = text("""
        07:31:58 run nginx: 4 steps, stack shop, filesystem 9f3ac21be77d, http://nomad:4646, 2026-11-21 +0000
        07:31:58 postgres        ready, unchanged: 1 of 1 allocations healthy; db 10.0.0.7:5432
        07:31:58 postgres_setup  rerunning: changed: Image
        07:32:00 postgres_setup  ready in 1.5 s: completed
        07:32:00 api             updating: changed: Count
        07:32:00 api             waiting: 1 of 2 allocations healthy
        07:32:07 api             ready in 7.0 s: 2 of 2 allocations healthy; http 10.0.0.8:8080, 10.0.0.9:8080
        07:32:07 nginx           creating: not in Nomad yet
        07:32:10 nginx           ready in 3.0 s: 1 of 1 allocations healthy; http 10.0.0.1:80

        warning: nginx: update block is ignored

        Done: 4 ready (3 changed, 1 unchanged) in 12.4 s
    """)
    assert expected == lines_of(SUCCESS)


def test_verbose_adds_what_was_registered_and_what_is_unchanged() -> None:
    added = set(lines_of(SUCCESS, "verbose").splitlines()) - set(lines_of(SUCCESS).splitlines())
    assert added == {
        "07:31:58 postgres        checking: runs, unchanged",
        "07:31:58 postgres        unchanged: version 3",
        "07:31:58 postgres_setup  registered: version 4",
        "07:32:00 api             registered: version 7",
        "07:32:07 nginx           registered: version 0, warnings: update block is ignored",
    }


def test_quiet_shows_failures_and_the_summary() -> None:
    first, blank, *summary = lines_of(FAILURE, "quiet").splitlines()
    assert first == "07:33:08 api             timed out after 1 m 08 s: not ready within 60 s: 1 of 2 allocations healthy"
    assert blank == ""
    assert summary == lines_of(FAILURE).split("\n\n", 1)[1].splitlines()


def test_quiet_has_no_empty_line_before_a_summary_that_stands_alone() -> None:
    assert lines_of(NOOP, "quiet") == "Done: 1 ready (1 unchanged) in 0.2 s\n"


def test_an_id_that_differs_from_the_name_is_told() -> None:
    start = started(PlannedStep("app", "app-prod", "shop", "create", "not in Nomad yet", (), "ready"), goals=("app",))
    assert lines_of([start, StepStarted(T, "app", 1)]).splitlines()[1] == "07:31:58 app (app-prod in shop)  creating: not in Nomad yet"


def test_a_failure_and_what_it_costs_are_told_as_they_happen() -> None:
    assert lines_of(FAILURE).split("\n\n")[0].splitlines()[-4:] == [
        "07:32:03 api             attempt 1 of 2 failed: task web ended with exit code 1",
        "07:32:03 api             running again: attempt 2",
        "07:33:08 api             timed out after 1 m 08 s: not ready within 60 s: 1 of 2 allocations healthy",
        "07:33:08 nginx           not started: because of api",
    ]


def test_a_stop_speaks_of_stopping() -> None:
    expected = text("""
        07:31:58 stop nginx: 4 steps, stack shop, filesystem 9f3ac21be77d, http://nomad:4646, 2026-11-21 +0000
        07:31:58 nginx     purging: runs
        07:31:58 nginx     accepted
        07:31:58 nginx     purging: 1 allocation is ending
        07:32:00 nginx     purged in 2.0 s: all allocations have ended
        07:32:00 api       stopping: runs
        07:32:01 api       stopped in 1.0 s: all allocations have ended
        07:32:01 postgres  keeping: still needed by search
        07:32:01 postgres  kept: still needed by search
        07:32:01 redis     looking: not in Nomad
        07:32:01 redis     not running: not in Nomad

        = postgres kept: still needed by search

        Done: 1 stopped, 1 purged, 1 not running, 1 kept in 3.0 s
    """)
    assert expected == lines_of(STOP, "verbose")


def test_an_interrupt_has_its_line_even_in_quiet() -> None:
    assert "07:32:01 interrupted by SIGINT: nothing more is begun; once more to leave at once" in lines_of(INTERRUPTED, "quiet")


def test_a_run_that_breaks_off_leaves_its_summary() -> None:
    assert lines_of(SUCCESS[:-1]).splitlines()[-1] == "Broken off: 4 ready (3 changed, 1 unchanged)"


def test_nothing_from_outside_reaches_the_terminal_as_a_control_character() -> None:
    hostile = "\x1b]0;title\x07\x1b[2Japi\u202e\x9b31m"
    events: list[Event] = [
        started(planned(hostile)),
        StepFailed(T, hostile, "failed", hostile, (hostile,), hostile),
        RunFinished(T, 3, 0.0),
    ]
    assert [char for char in lines_of(events) if not char.isprintable() and char != "\n"] == []


def test_names_that_the_stream_cannot_encode_are_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with Lines(stream, zone=UTC) as view:
        view(started(planned("zürich"), goals=("zürich",)))
        view(StepFailed(T, "zürich", "failed", "broke", (), ""))
        view(RunFinished(T, 3, 0.0))
    assert b"z\\xfcrich  failed: broke" in raw.getvalue()


@pytest.mark.parametrize(("encoding", "look"), [("utf-8", Look()), ("ascii", Look(unicode=False)), ("iso-8859-1", Look(unicode=False))])
def test_marks_are_ascii_where_the_encoding_has_no_others(encoding: str, look: Look) -> None:
    assert look_at(io.TextIOWrapper(io.BytesIO(), encoding=encoding), {}) == look


def choose(stream: io.StringIO, *, quiet: bool = False, verbose: bool = False, json: bool = False, **environ: str) -> View:
    return progress(stream, quiet=quiet, verbose=verbose, json=json, environ=environ, now=lambda: T)


def test_a_terminal_gets_the_live_tree() -> None:
    assert isinstance(choose(Terminal(), TERM="xterm"), Live)


@pytest.mark.parametrize(
    "view",
    [
        choose(io.StringIO(), TERM="xterm"),
        choose(Terminal(), TERM="dumb"),
        choose(Terminal(), TERM="xterm", quiet=True),
        choose(Terminal(), TERM="xterm", verbose=True),
    ],
)
def test_everything_else_gets_lines(view: View) -> None:
    assert isinstance(view, Lines)


def test_json_wins_over_all_others() -> None:
    assert isinstance(choose(Terminal(), TERM="xterm", quiet=True, json=True), JsonLines)


def test_no_color_is_honoured() -> None:
    coloured, plain = Terminal(), Terminal()
    for view in (choose(coloured, quiet=True, TERM="xterm"), choose(plain, quiet=True, TERM="xterm", NO_COLOR="1")):
        for event in SUCCESS:
            view(event)
    assert "\x1b[32mDone:\x1b[0m" in coloured.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_a_warning_of_the_run_is_told_when_it_comes_but_not_where_only_failures_are() -> None:
    events = (*SUCCESS[:3], RunWarned(T, "what runs where is not noted", ""))
    assert "07:31:58 warning: what runs where is not noted\n" in lines_of(events)
    assert "07:31:58 warning" not in lines_of(events, "quiet")
    assert lines_of(events, "quiet").count("warning: what runs where is not noted") == 1

"""The picture of a run, and how it gets onto a terminal and off it again."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent

import pytest
from rich.console import Console

from dtree.events import Event, PlannedStep, RunFinished, RunStarted, StepFailed, StepReady, StepStarted, StepWaiting
from dtree.model import Address
from dtree.record import fold
from dtree.views.frame import frame, run_outline
from dtree.views.live import Live, _Calm
from dtree.views.style import Look
from tests.unit.views_samples import BEGINNING, FAILURE, INTERRUPTED, NGINX, STOP, SUCCESS, T, Terminal, planned, started


def picture(events: Iterable[Event], *, now_s: float = T + 5, width: int = 120, height: int = 40, unicode: bool = True) -> str:
    events = tuple(events)
    start = events[0]
    assert isinstance(start, RunStarted)
    return frame(fold(events), run_outline(start), now_s=now_s, width=width, height=height, look=Look(unicode=unicode))


def text(golden: str) -> str:
    return dedent(golden).strip("\n")


def test_the_tree_has_what_is_needed_below() -> None:
    expected = text("""
        Running nginx on http://nomad:4646 (stack shop, filesystem 9f3ac21be77d)
        ·  nginx                 create  pending            after api
        ▸  └─ api                update  waiting       3 s  1 of 2 allocations healthy
        ✓     └─ postgres_setup  rerun   ready       1.5 s  completed
        ✓        └─ postgres     noop    ready       0.5 s  db 10.0.0.7:5432
        2 ready, 1 waiting, 1 pending, 5 s
    """)
    assert expected == picture(BEGINNING)


def test_a_stop_has_the_same_shape() -> None:
    expected = text("""
        Stopping nginx on http://nomad:4646 (stack shop, filesystem 9f3ac21be77d)
        ▸  nginx           purge   purging       5 s  1 allocation is ending
        ·  └─ api          stop    pending            after nginx
        ·     ├─ postgres  keep    pending            after api
        ·     └─ redis     absent  pending            after api
        1 purging, 3 pending, 5 s
    """)
    assert expected == picture(STOP[:4])


def test_a_narrow_terminal_shows_marks_for_changes_and_cuts_the_reasons() -> None:
    expected = text("""
        Running nginx on http://nomad:4646 (stack shop, filesyst...
        .  nginx                 +  pending            after api
        >  `- api                ~  waiting       3 s  1 of 2 al...
        *     `- postgres_setup  !  ready       1.5 s  completed
        *        `- postgres     =  ready       0.5 s  db 10.0.0...
        2 ready, 1 waiting, 1 pending, 5 s
    """)
    assert expected == picture(BEGINNING, width=60, unicode=False)


def test_a_failed_attempt_is_told_while_the_next_one_goes_on() -> None:
    assert "attempt 2, after: task web ended with exit code 1" in picture(FAILURE[: len(BEGINNING) + 2])


def test_an_interrupt_shows_in_the_last_line() -> None:
    expected = "Interrupted by SIGINT, nothing more is begun; once more to leave at once. 2 ready, 1 waiting, 1 pending, 5 s"
    assert expected == picture(INTERRUPTED[:-1]).splitlines()[-1]


def test_a_job_needed_by_two_is_shown_once_in_full() -> None:
    start = started(planned("db"), planned("a", "db"), planned("b", "db"), planned("web", "a", "b"))
    rows = [line.split("  create")[0].rstrip() for line in picture([start]).splitlines()[1:-1]]
    assert rows == ["·  web", "·  ├─ a", "·  │  └─ db", "·  └─ b", "      └─ db (above)"]


def test_references_go_first_when_room_is_short() -> None:
    start = started(planned("db"), planned("a", "db"), planned("b", "db"), planned("web", "a", "b"))
    assert "(above)" not in picture([start], height=7)
    assert len(picture([start], height=7).splitlines()) == 6


def test_failed_and_waiting_steps_stay_when_there_is_no_room_for_all() -> None:
    names = [f"job-{number:02}" for number in range(50)]
    events: list[Event] = [started(*map(planned, names))]
    events += [StepStarted(T, name, 1) for name in names[:45]]
    events += [StepReady(T + 1, name, "healthy", ()) for name in names[:40] if name != "job-07"]
    events += [StepFailed(T + 1, "job-07", "failed", "exit code 1", (), ""), StepWaiting(T + 1, "job-44", "0 of 1 allocations healthy")]
    expected = text("""
        Running nginx on http://nomad:4646 (stack shop, filesystem 9f3ac21be77d)
        ✗  job-07  create  failed      1.0 s  exit code 1
        ▸  job-40  create  creating      5 s
        ▸  job-41  create  creating      5 s
        ▸  job-42  create  creating      5 s
        ▸  job-43  create  creating      5 s
        ▸  job-44  create  waiting       5 s  0 of 1 allocations healthy
        ·  job-45  create  pending
        … and 43 more
        39 ready, 1 failed, 1 waiting, 4 creating, 5 pending, 5 s
    """)
    assert expected == picture(events, height=11)


def test_ten_thousand_steps_fit_on_the_terminal() -> None:
    start = started(*(planned(f"job-{number}", *([f"job-{number - 1}"] if number else [])) for number in range(10_000)))
    assert len(picture([start], height=24).splitlines()) == 23


def test_no_line_is_wider_than_the_terminal() -> None:
    events: list[Event] = [
        started(planned("x" * 300, cause="y" * 300)),
        StepStarted(T, "x" * 300, 1),
        StepWaiting(T, "x" * 300, "世界" * 100),
    ]
    assert max(map(len, picture(events, width=40).splitlines())) < 40


def test_the_terminal_is_left_with_the_last_state_and_the_summary() -> None:
    stream = Terminal()
    environ = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100", "LINES": "30"}
    with Live(stream, now=lambda: T + 12, look=Look(), environ=environ) as view:
        for event in SUCCESS:
            view(event)
    expected = text("""
        ✓  nginx                 +  ready       3.0 s  http 10.0.0.1:80
        ✓  └─ api                ~  ready       7.0 s  http 10.0.0.8:8080, 10.0.0.9:8080
        ✓     └─ postgres_setup  !  ready       1.5 s  completed
        ✓        └─ postgres     =  ready       0.5 s  db 10.0.0.7:5432

        warning: nginx: update block is ignored

        Done: 4 ready (3 changed, 1 unchanged) in 12.4 s
    """)
    live, final = stream.getvalue().rsplit("\x1b[2K", 1)
    assert expected == final.strip()
    assert live.rindex("\x1b[?25h") > live.rindex("\x1b[?25l")  # the cursor is shown again


def final_text(events: Iterable[Event], **environ: str) -> list[str]:
    stream = Terminal()
    with Live(stream, now=lambda: T + 12, look=Look(), environ={"TERM": "xterm", "NO_COLOR": "1", **environ}) as view:
        for event in events:
            view(event)
    return stream.getvalue().rsplit("\x1b[2K", 1)[1].splitlines()


@pytest.mark.parametrize("verb", ["run", "stop"])
def test_every_job_is_left_on_a_terminal_that_is_too_low_for_all(verb: str) -> None:
    names = [f"job-{number:02}" for number in range(40)]
    events: list[Event] = [started(*map(planned, names), verb=verb), *(StepStarted(T, name, 1) for name in names)]
    events += [StepReady(T + 1, name, "1 of 1 allocations healthy", (NGINX,)) for name in names]
    lines = final_text([*events, RunFinished(T + 1, 0, 1.0)], LINES="24", COLUMNS="80")
    assert [line.split()[1] for line in lines if "10.0.0.1:80" in line] == names


def test_no_address_is_cut_off_in_the_end() -> None:
    addresses = tuple(Address("http", f"10.0.0.{number}", 80) for number in range(20))
    lines = final_text([started(planned("web")), StepReady(T, "web", "", addresses), RunFinished(T, 0, 0.0)], LINES="24", COLUMNS="80")
    assert [str(address) in "\n".join(lines) for address in addresses] == [True] * 20


def test_each_label_has_a_line_of_its_own_in_the_end() -> None:
    addresses = (NGINX, Address("admin", "10.0.0.1", 81))
    lines = final_text([started(planned("web")), StepReady(T, "web", "", addresses), RunFinished(T, 0, 0.0)], LINES="24", COLUMNS="80")
    assert [line.split("  ")[-1].strip() for line in lines[:2]] == ["http 10.0.0.1:80", "admin 10.0.0.1:81"]


def test_the_last_branch_is_drawn_as_such_where_references_are_left_out() -> None:
    start = started(planned("z"), planned("a"), planned("other", "z"), planned("web", "a", "z"))
    lines = final_text([start, RunFinished(T, 0, 0.0)], LINES="40", COLUMNS="80")
    assert [line.split("  +")[0].rstrip() for line in lines[:4]] == ["·  other", "·  └─ z", "·  web", "·  └─ a"]


def test_an_id_that_differs_from_the_name_is_shown() -> None:
    start = started(PlannedStep("app", "app-prod", "default", "create", "not in Nomad yet", (), "ready"))
    assert "app (app-prod)  create" in picture([start])


def break_off(view: Live) -> None:
    with view:
        for event in BEGINNING:
            view(event)
        raise KeyboardInterrupt


def test_a_run_that_breaks_off_gives_the_terminal_back() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt):
        break_off(Live(stream, now=lambda: T + 5, look=Look(), environ={"TERM": "xterm"}))
    assert stream.getvalue().endswith("Broken off: 1 not yet ready, 1 not started, 2 ready; 2 changed\n")
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_a_picture_is_drawn_when_it_differs_and_only_then() -> None:
    stream, pictures = Terminal(), ["first"]
    calm = _Calm(Console(file=stream, force_terminal=True, width=80, height=24), lambda _width, _height: pictures[-1])
    calm.start(refresh=True)
    drawn = stream.getvalue()
    calm.refresh()
    again = stream.getvalue()
    pictures.append("second")
    calm.refresh()
    changed = stream.getvalue()
    calm.stop()
    assert "first" in drawn
    assert again == drawn
    assert "second" in changed.removeprefix(drawn)

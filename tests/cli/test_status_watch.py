"""`status --watch`: what it shows as time goes by, on a Nomad in memory."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from dtree.cli.app import main
from dtree.errors import EXIT_INTERRUPTED, Unreachable
from dtree.model import JobRef
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def run_then_collect_nginx(program: Program, nomad: FakeCluster) -> None:
    """Run everything; nginx is gone 5 s later, and Ctrl-C comes after 20 s."""
    program("run", "nginx")
    nomad.clock.after(5.0, lambda: nomad.collect(JobRef("default", "nginx")))
    nomad.clock.after(20.0, press_ctrl_c)


def test_each_change_is_one_line_of_json(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    run_then_collect_nginx(program, nomad)
    ended = program("status", "nginx", "--watch", "--output", "json")
    states = [row["state"] for document in ended.json_lines() for row in document["jobs"] if row["job"] == "nginx"]
    assert (ended.code, states) == (EXIT_INTERRUPTED, ["running", ""])


def test_a_screen_is_written_over_and_not_cleared_again(
    program: Program, shop: Path, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.exists()
    run_then_collect_nginx(program, nomad)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    main(("status", "nginx", "--watch"), {"TERM": "xterm", "NO_COLOR": "1"})
    first, second = screen.getvalue().split("\x1b[HJOB")[1:]
    assert "4 jobs: 4 Healthy" in first
    assert "4 jobs: 3 Healthy, 1 Missing" in second
    assert screen.getvalue().count("\x1b[2J") == 1


def test_it_goes_on_while_nomad_is_away(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    run_then_collect_nginx(program, nomad)
    nomad.clock.after(3.0, lambda: nomad.refuse("snapshot", "nginx", *[Unreachable("nothing answers")] * 3))
    ended = program("status", "nginx", "--watch")
    assert ended.err.splitlines()[0] == "no contact with Nomad: nothing answers; trying again"
    assert ended.err.count("no contact") == 1
    assert [line for line in ended.out.splitlines() if line.startswith("4 jobs")] == ["4 jobs: 4 Healthy", "4 jobs: 3 Healthy, 1 Missing"]


def test_a_nomad_that_was_never_there_is_an_error(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    nomad.refuse("snapshot", "nginx", Unreachable("nothing answers"))
    ended = program("status", "nginx", "--watch")
    assert (ended.code, ended.out) == (1, "")

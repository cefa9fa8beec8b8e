"""`plan --watch`: what it shows as the store and Nomad change, on a Nomad in memory and in made-up time."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path

import pytest

from dtree import config
from dtree.cli.app import main
from dtree.cli.files import replace_file
from dtree.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_USAGE, Unreachable
from dtree.model import JobRef
from tests.cli.conftest import SHOP, Ended, Program
from tests.cli.test_status_watch import Terminal, press_ctrl_c
from tests.fakes.cluster import FakeCluster
from tests.fakes.store import Shelf

JOBS = ("nginx", "api", "postgres", "postgres_setup")


@pytest.fixture
def shelf(shop: Path, memory: dict[str, Shelf], nomad: FakeCluster) -> Shelf:
    """The shop in the store `memory`, which is the one in use."""
    (shop / config.FILE_NAME).write_text('store = "memory"\n[stores.memory]\nmemory-place = "shop"\n')
    files = {f"jobs/{path.name}": path.read_bytes() for path in (shop / "jobs").iterdir()}
    memory["shop"] = Shelf({"dependency.json": (shop / "dependency.json").read_bytes(), **files}, nomad.clock.pause)
    return memory["shop"]


def watch(program: Program, nomad: FakeCluster, *words: str) -> Ended:
    """Watch the plan of nginx for 20 s, then press Ctrl-C."""
    nomad.clock.after(20.0, press_ctrl_c)
    return program("plan", "nginx", "--watch", *words)


def watch_on_a_screen(monkeypatch: pytest.MonkeyPatch, nomad: FakeCluster, *, columns: int = 120, lines: int = 24) -> list[str]:
    """Do the same on a terminal; return the pictures."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    nomad.clock.after(20.0, press_ctrl_c)
    main(("plan", "nginx", "--watch", "-v"), {"TERM": "xterm", "NO_COLOR": "1"})
    cleared, *pictures = screen.getvalue().split("\x1b[H")[1:]
    assert cleared == "\x1b[2J\n"
    return pictures


def plain(picture: str) -> list[str]:
    """Return the lines of a picture without what clears the rest of each."""
    return picture.replace("\x1b[K", "").replace("\x1b[J", "").rstrip("\n").splitlines()


def write(shelf: Shelf, path: str, text: str | None) -> None:
    if text is None:
        shelf.files.pop(path)
    else:
        shelf.files[path] = text.encode()


def shop_without(name: str) -> str:
    return json.dumps({"dependencies": {job: entry for job, entry in SHOP.items() if job != name}})


def test_it_shows_the_plan_again_when_the_store_changes(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    nomad.clock.after(5.0, lambda: write(shelf, "dependency.json", shop_without("api")))
    ended = watch(program, nomad)
    first, second = ended.out.strip("\n").split("\n\nplan ")
    assert (ended.code, ended.err) == (EXIT_INTERRUPTED, "interrupted\n")
    assert first.splitlines()[0] == "plan nginx: 4 steps, stack memory, memory memory, http://nomad.example:4646"
    assert first.splitlines()[-1] == "Plan: 4 to create."
    assert second.splitlines()[-1] == "Plan: 2 to create."


def test_it_shows_the_plan_again_when_nomad_changes(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    assert shelf.files
    program("run", "nginx")
    nomad.clock.after(5.0, lambda: nomad.collect(JobRef("default", "nginx")))
    documents = watch(program, nomad, "--output", "json").json_lines()
    assert [document["counts"] for document in documents] == [{"noop": 4}, {"create": 1, "noop": 3}]


def test_a_change_that_changes_nothing_is_not_shown(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    nomad.clock.after(5.0, lambda: write(shelf, "unrelated", "x"))
    assert watch(program, nomad).out.count("Plan: ") == 1


def test_a_broken_file_is_told_and_watched_on(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    nomad.clock.after(3.0, lambda: write(shelf, "dependency.json", "{"))
    nomad.clock.after(7.0, lambda: write(shelf, "dependency.json", None))
    nomad.clock.after(11.0, lambda: write(shelf, "dependency.json", shop_without("api")))
    ended = watch(program, nomad, "--output", "json")
    lines = ended.json_lines()
    assert [line["counts"]["create"] for line in lines if "counts" in line] == [4, 2]
    assert [line["code"] for line in lines if "code" in line] == ["bad-syntax", "store-file-missing"]
    assert ended.err.count("error[") == 2


@pytest.mark.parametrize("way", ["piped", "screen"])
def test_it_begins_with_a_broken_file_too_because_that_is_there_to_be_mended(
    program: Program, shelf: Shelf, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    whole = shelf.files["dependency.json"].decode()
    write(shelf, "dependency.json", "{")
    nomad.clock.after(5.0, lambda: write(shelf, "dependency.json", whole))
    if way == "piped":
        ended = watch(program, nomad)
        assert (ended.err.count("error["), ended.out.count("Plan: 4 to create.")) == (1, 1)
        return
    broken, mended = watch_on_a_screen(monkeypatch, nomad)
    assert broken.startswith("error[bad-syntax]: ")
    assert "Plan: 4 to create." in mended


def test_a_job_that_there_never_was_is_an_error_at_once(program: Program, shelf: Shelf) -> None:
    assert shelf.files
    ended = program("plan", "ngnix", "--watch")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")


def test_a_screen_is_written_over(shelf: Shelf, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    nomad.clock.after(5.0, lambda: write(shelf, "dependency.json", shop_without("api")))
    first, second = watch_on_a_screen(monkeypatch, nomad)
    assert "Plan: 4 to create." in first
    assert "jobs/nginx.nomad" in first
    assert "Plan: 2 to create." in second


def test_on_a_narrow_screen_an_error_is_broken_and_not_cut(shelf: Shelf, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    write(shelf, "dependency.json", shop_without("postgres").replace('"postgres"', '"postgers"'))
    (shown,) = watch_on_a_screen(monkeypatch, nomad, columns=40)
    lines = plain(shown)
    assert max(map(len, lines)) < 40
    assert "'api' needs 'postgers', which has neither an entry nor a job file" in " ".join(" ".join(lines).split())
    assert "did you mean 'postgres'?" in shown


def test_on_a_low_screen_an_error_says_how_much_of_it_is_hidden(shelf: Shelf, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    write(shelf, "dependency.json", '{"dependencies": {"a": 1, "b": 1, "c": 1}}')
    (shown,) = watch_on_a_screen(monkeypatch, nomad, lines=5)
    assert len(plain(shown)) == 4
    assert re.fullmatch(r"… and \d+ lines more", plain(shown)[-1])


def test_why_the_plan_is_old_is_broken_too(shelf: Shelf, nomad: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shelf.files
    nomad.clock.after(3.0, lambda: nomad.refuse("dry_run", "nginx", *[Unreachable("nothing answers at all from over there")] * 3))
    shown = plain(watch_on_a_screen(monkeypatch, nomad, columns=40)[1])
    assert shown[-2:] == ["no contact with Nomad: nothing answers", "at all from over there; trying again"]


def test_the_last_plan_stays_while_nomad_is_away(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    assert shelf.files
    nomad.clock.after(3.0, lambda: nomad.refuse("dry_run", "nginx", *[Unreachable("nothing answers")] * 3))
    ended = watch(program, nomad)
    assert ended.err == "no contact with Nomad: nothing answers; trying again\ninterrupted\n"
    assert ended.out.count("Plan: ") == 1


def test_a_store_that_is_gone_half_way_is_told_once_and_watched_on(program: Program, shelf: Shelf, nomad: FakeCluster) -> None:
    nomad.clock.after(3.0, lambda: setattr(shelf, "gone", True))
    nomad.clock.after(5.0, lambda: write(shelf, "dependency.json", shop_without("api")))
    nomad.clock.after(11.0, lambda: setattr(shelf, "gone", False))
    ended = watch(program, nomad)
    assert ended.err.count("error[store-unreachable]: nothing is there") == 1
    assert [line for line in ended.out.splitlines() if line.startswith("Plan")] == ["Plan: 4 to create.", "Plan: 2 to create."]


def test_a_store_that_was_never_there_is_an_error_at_once(program: Program, shelf: Shelf) -> None:
    shelf.gone = True
    ended = program("plan", "nginx", "--watch")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")


def test_an_exit_code_of_a_watch_would_never_come(program: Program, shelf: Shelf) -> None:
    assert shelf.files
    ended = program("plan", "nginx", "--watch", "--detailed-exitcode")
    assert (ended.code, ended.err.splitlines()[0]) == (EXIT_USAGE, "error[usage]: --watch and --detailed-exitcode exclude each other")


def test_files_of_values_and_of_versions_are_read_again(program: Program, shelf: Shelf, shop: Path, nomad: FakeCluster) -> None:
    (shop / "mine.yaml").write_text("nginx: '1.1'\n")
    (shop / "values.yaml").write_text("color: red\n")
    write(shelf, "jobs/nginx.nomad", 'job "nginx" { type = "service" # [[ color ]]\n}')
    nomad.clock.after(5.0, partial(replace_file, shop / "mine.yaml", b"nginx: '1.2'\n"))
    nomad.clock.after(9.0, partial(replace_file, shop / "values.yaml", b"color: [\n"))
    ended = watch(program, nomad, "--versions-file", "mine.yaml", "--var-file", "values.yaml")
    assert [version in ended.out for version in ("1.1", "1.2")] == [True, True]
    assert "error[bad-syntax]" in ended.err

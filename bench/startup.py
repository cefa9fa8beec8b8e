"""Commands that do little, as whole processes, against bare Python and an empty typer program."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import jobs
from bench.figures import Figure, Section
from bench.processes import program, run

_ROUNDS = 20
_AIMED_BARE_MS = 12
_EMPTY = Path(__file__).with_name("empty.py")


def measure() -> Section:
    """Measure all in turn, so that a busy moment meets each alike. Effects: starts processes."""
    ours = program()
    commands: dict[str, Sequence[str]] = {
        "bare": [sys.executable, "-c", "pass"],
        "empty help": [sys.executable, str(_EMPTY), "--help"],
        "empty": [sys.executable, str(_EMPTY), "nothing"],
        "version": [*ours, "--version"],
        "help": [*ours, "--help"],
        "validate": [*ours, "validate"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name:
        folder = Path(name, "small")
        names = ("postgres", "api", "nginx")
        entries = {"postgres": {}, "api": {"pre": "postgres"}, "nginx": {"pre": "api", "wait_cond": 5}}
        jobs.write(folder, {job: jobs.service(job) for job in names}, entries)
        for _ in range(_ROUNDS + 1):
            for what, command in commands.items():
                took[what].append(run(command, folder=folder).wall_s * 1000)
    # The first round only warms the file system's cache and writes the bytecode.
    values = {what: tuple(times[1:]) for what, times in took.items()}
    bare = Figure("bare Python: `python -c pass`", "ms", values["bare"])
    figures = (
        bare,
        Figure("peer: an empty typer program, its command", "ms", values["empty"], bare),
        Figure("peer: an empty typer program, its `--help`", "ms", values["empty help"], bare),
        _aimed("`nomad-dtree --version`", values["version"], bare, 70),
        _aimed("`nomad-dtree --help`", values["help"], bare, 160),
        _aimed("`nomad-dtree validate` of three jobs", values["validate"], bare, 200),
    )
    note = f"Whole processes, in turn, {_ROUNDS} rounds. Each aim is what it is to bare Python's {_AIMED_BARE_MS} ms where it was set."
    return Section("Start-up", note, figures)


def _aimed(name: str, values: tuple[float, ...], bare: Figure, aim_ms: int) -> Figure:
    factor = aim_ms / _AIMED_BARE_MS
    return Figure(name, "ms", values, bare, bare.median * factor, f"{factor:.1f} times bare")

"""A dependency file of ten thousand jobs, without Nomad: `validate`, and planning all of it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import jobs
from bench.figures import Figure, Section
from bench.processes import program, run

_LAYERS = 100
_WIDTH = 100
_ROUNDS = 5
_ROOT = Path(__file__).parent.parent


def measure() -> Section:
    """Measure both. Effects: starts processes; writes ten thousand small files and removes them."""
    graph = jobs.layered(_LAYERS, _WIDTH)
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name:
        folder = Path(name, "large")
        jobs.write(folder, {job: jobs.service(job) for job in graph}, {job: _entry(needs) for job, needs in graph.items()})
        planning = [sys.executable, "-m", "bench.planning", str(folder / "dependency.json")]
        checked = [run([*program(), "validate"], folder=folder) for _ in range(_ROUNDS)]
        planned = [run(planning, folder=_ROOT) for _ in range(_ROUNDS)]
    figures = []
    for what, runs in (("`nomad-dtree validate`", checked), ("planning: parse, graph, select, order, steps", planned)):
        figures.append(Figure(f"{what}: time", "s", tuple(ran.wall_s for ran in runs), aim=1.0))
        figures.append(Figure(f"{what}: peak memory", "MB", tuple(ran.peak_mb for ran in runs), aim=200.0))
    note = (
        f"{_LAYERS * _WIDTH:,} jobs in {_LAYERS} layers, each needing three of the layer above; whole processes, start-up included; "
        f"{_ROUNDS} rounds. Planning takes every job for new."
    )
    return Section("10,000 jobs, without Nomad", note, tuple(figures))


def _entry(needs: object) -> dict[str, object]:
    return {"pre": needs, "timeout": "10m"} if needs else {"wait_cond": "healthy"}

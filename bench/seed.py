"""The seed's four jobs in a row on a real Nomad, against the same four one by one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import floor, jobs
from bench.figures import Figure, Section
from bench.processes import program, run
from dtree.demo.agent import Agent

_ROUNDS = 5
_ENTRIES = {"nginx": {"pre": {"job": "api"}}, "api": {"pre": {"job": "postgres"}}, "postgres": {"post": {"job": "postgres_setup"}}}
_IN_ORDER = ("postgres", "postgres_setup", "api", "nginx")


def measure(agent: Agent) -> Section:
    """Measure `run --job nginx`. Effects: changes Nomad; jobs are stopped again."""
    alone, whole = [], []
    for turn in range(_ROUNDS):
        texts = _texts(f"alone{turn}-")
        specs = floor.parse(agent.api, texts)
        alone.append(sum(floor.walk(agent.api, specs, {name: ()}, at_once=1) for name in _IN_ORDER))
        floor.clear(agent.api, [spec["ID"] for spec in specs.values()])
        whole.append(_run(agent, f"seed{turn}-"))
    path = Figure("critical path: each job alone, plain API, added up", "s", tuple(alone))
    total = Figure("`nomad-dtree run --job nginx`", "s", tuple(whole), path, path.median * 1.05 + 0.3, "5 % + 0.3 s")
    note = (
        f"Four mock jobs in the seed's shape (postgres, its post job postgres_setup, api, nginx), {_ROUNDS} rounds. What is added to the "
        f"critical path is {total.median - path.median:.2f} s in the median."
    )
    return Section("Seed graph", note, (path, total))


def _texts(prefix: str) -> dict[str, str]:
    return {
        "postgres": jobs.service(f"{prefix}postgres", start_ms=1000),
        "postgres_setup": jobs.batch(f"{prefix}postgres_setup", run_ms=500),
        "api": jobs.service(f"{prefix}api", start_ms=500),
        "nginx": jobs.service(f"{prefix}nginx", start_ms=200),
    }


def _run(agent: Agent, prefix: str) -> float:
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name:
        jobs.write(Path(name, "shop"), _texts(prefix), _ENTRIES)
        took = run([*program(), "run", "--job", "nginx"], folder=Path(name, "shop"), environ=agent.environment)
    floor.clear(agent.api, [prefix + job for job in _IN_ORDER])
    return took.wall_s

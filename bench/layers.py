"""Two hundred mock jobs in ten layers on a real Nomad, against the same graph walked through the plain API."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import floor, jobs
from bench.figures import Figure, Section
from bench.processes import Ran, program, run
from dtree.demo.agent import Agent

_LAYERS = 10
_WIDTH = 20
_ROUNDS = 2
_IN_FLIGHT = (10, 50)


def measure(agent: Agent) -> Section:
    """Measure `run --all` with two limits on what is in flight. Effects: changes Nomad; jobs are stopped again."""
    figures: list[Figure] = []
    counts = []
    for at_once in _IN_FLIGHT:
        least, whole = [], []
        for turn in range(_ROUNDS):
            least.append(_walk(agent, f"f{at_once}-{turn}-", at_once))
            before = floor.requests_so_far(agent)
            ran = _run(agent, f"r{at_once}-{turn}-", at_once)
            requests = floor.requests_so_far(agent) - before
            floor.clear(agent.api, [f"r{at_once}-{turn}-{name}" for name in _GRAPH])
            whole.append(ran.wall_s)
            counts.append(f"{requests} requests over {ran.connections} connections")
        base = Figure(f"floor: plain API, {at_once} in flight", "s", tuple(least))
        figures += [base, Figure(f"`nomad-dtree run --all --parallelism {at_once}`", "s", tuple(whole), base)]
    note = (
        f"{_LAYERS * _WIDTH} mock services in {_LAYERS} layers of {_WIDTH}, each needing three of the layer above; {_ROUNDS} rounds. "
        f"A run of nomad-dtree took {counts[_ROUNDS - 1]} at most with the default parallelism, {counts[-1]} with {_IN_FLIGHT[-1]}."
    )
    return Section("200 jobs in 10 layers", note, tuple(figures))


_GRAPH = jobs.layered(_LAYERS, _WIDTH)


def _walk(agent: Agent, prefix: str, at_once: int) -> float:
    specs = floor.parse(agent.api, _texts(prefix))
    took_s = floor.walk(agent.api, specs, _GRAPH, at_once=at_once)
    floor.clear(agent.api, [spec["ID"] for spec in specs.values()])
    return took_s


def _run(agent: Agent, prefix: str, at_once: int) -> Ran:
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name:
        folder = Path(name, "layers")
        jobs.write(folder, _texts(prefix), {job: {"pre": list(needs)} if needs else {} for job, needs in _GRAPH.items()})
        command = [*program(), "run", "--all", "--parallelism", str(at_once)]
        return run(command, folder=folder, environ=agent.environment, count_connections=True)


def _texts(prefix: str) -> dict[str, str]:
    return {name: jobs.service(prefix + name) for name in _GRAPH}

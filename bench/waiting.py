"""How soon a dependent follows once what it needs is ready, by Nomad's own stamps; and what waiting for many jobs costs meanwhile."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bench import floor, jobs
from bench.figures import Figure, Section
from bench.processes import program, run
from dtree.demo.agent import Agent
from dtree.demo.api import Api

_LINKS = 20
_ROUNDS = 3
_AIM_MS = 200.0

_JOBS = 300
_WAIT_S = 60
# A busy machine reads the last of them that much later than they ran.
_SETTLED_AFTER = timedelta(seconds=10)
_LOGGED = re.compile(rb"^ *(\S+) \[DEBUG\] http: request complete: method=\S+ path=\"?([^?\s]+)", re.MULTILINE)


def measure(agent: Agent) -> Section:
    """Measure chains, and a wait for many jobs. Effects: changes Nomad; jobs are stopped again."""
    services = _chains(agent, "services", jobs.service)
    batches = _chains(agent, "batches", lambda job_id: jobs.batch(job_id, run_ms=100))
    still = _wait_for_many(agent, "still-")
    figures = (
        Figure("from healthy to the registration of the dependent", "ms", services, aim=_AIM_MS),
        Figure("from complete to the registration of the dependent", "ms", batches, aim=_AIM_MS),
        Figure(f"{_JOBS} jobs waited for: requests a minute", "", (still.requests * 60 / still.took_s,)),
        Figure(f"{_JOBS} jobs waited for: standing queries", "", (len(still.paths),)),
    )
    note = (
        f"Chains of {_LINKS + 1} mock jobs, each needing the one before, {_ROUNDS} whole runs of each kind: {len(services)} times from "
        f"ModifyTime of the allocation that made a job ready to SubmitTime of the job that needs it; the slowest of all took "
        f"{max(services + batches):.0f} ms. Then {_JOBS} services at once, for the {still.took_s:.0f} s in which all of them ran and none "
        f"was healthy yet: {still.requests} requests, to {', '.join(sorted(still.paths))}."
    )
    return Section("Waiting", note, figures)


def _chains(agent: Agent, kind: str, text: Callable[[str], str]) -> tuple[float, ...]:
    """Return the milliseconds of every hand-over of all rounds."""
    return tuple(took_ms for turn in range(_ROUNDS) for took_ms in _chain(agent, f"{kind}{turn}-", text))


def _chain(agent: Agent, prefix: str, text: Callable[[str], str]) -> list[float]:
    names = [f"link{number:02}" for number in range(_LINKS + 1)]
    entries = {names[0]: {}, **{name: {"pre": before} for before, name in pairwise(names)}}
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as folder:
        jobs.write(Path(folder, "chain"), {name: text(prefix + name) for name in names}, entries)
        run([*program(), "run", "--all"], folder=Path(folder, "chain"), environ=agent.environment)
    took = [_handed_over_ms(agent.api, prefix + before, prefix + name) for before, name in pairwise(names)]
    floor.clear(agent.api, [prefix + name for name in names])
    return took


def _handed_over_ms(api: Api, needed: str, dependent: str) -> float:
    """Return the time between what two jobs' own records say: that the one was ready, and that the other was registered."""
    (allocation,) = api.get(f"/v1/job/{needed}/allocations")
    ready_ns = int(allocation["ModifyTime"])
    registered_ns = int(api.get(f"/v1/job/{dependent}")["SubmitTime"])
    return (registered_ns - ready_ns) / 1e6


@dataclass(frozen=True, slots=True)
class _Still:
    """A time in which all jobs were waited for and nothing happened, and the requests that Nomad answered in it."""

    took_s: float
    requests: int
    paths: frozenset[str]


def _wait_for_many(agent: Agent, prefix: str) -> _Still:
    names = [f"job{number:03}" for number in range(_JOBS)]
    texts = {name: jobs.service(prefix + name, healthy_after_s=_WAIT_S) for name in names}
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as folder:
        jobs.write(Path(folder, "many"), texts, {name: {} for name in names})
        command = [*program(), "run", "--all", "--parallelism", str(_JOBS)]
        run(command, folder=Path(folder, "many"), environ=agent.environment, timeout_s=300.0)
    rows = [row for row in agent.api.get("/v1/allocations") if row["JobID"].startswith(prefix)]
    began = max(_moment(row["TaskStates"]["main"]["StartedAt"]) for row in rows) + _SETTLED_AFTER
    ended = min(_moment(row["DeploymentStatus"]["Timestamp"]) for row in rows)
    logged = _LOGGED.findall((agent.folder / "agent.log").read_bytes())
    answered = [path.decode() for stamp, path in logged if began < _moment(stamp.decode()) < ended]
    floor.clear(agent.api, [prefix + name for name in names])
    return _Still((ended - began).total_seconds(), len(answered), frozenset(answered))


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)

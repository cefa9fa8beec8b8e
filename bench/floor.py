"""The same jobs without nomad-dtree: registered through Nomad's plain API, each the moment what it needs is ready.

Nothing is planned, checked or told: what remains is what Nomad itself takes. Ready is what the job's own allocation says, asked for all
the time: healthy for a service, complete for a batch job.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.jobs import Needs
from dtree.demo.agent import Agent
from dtree.demo.api import Api

_POLL_S = 0.01
_TIMEOUT_S = 120.0
_AT_ONCE = 8
_OVER = ("complete", "failed", "lost")
_REQUEST_LINE = b"http: request complete: method="


@contextmanager
def roomy_agent(nomad: Path) -> Iterator[Agent]:
    """Start a throw-away agent with room for all jobs that are measured; mock tasks use none of it."""
    with Agent(nomad, config={"log_level": "DEBUG", "client": {"cpu_total_compute": 400_000, "memory_total_mb": 400_000}}) as agent:
        yield agent


def parse(api: Api, texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Have Nomad parse job files, by name; before the clock runs."""
    return {name: api.put("/v1/jobs/parse", {"JobHCL": text, "Canonicalize": False}) for name, text in texts.items()}


def walk(api: Api, specs: Mapping[str, dict[str, Any]], needs: Needs, *, at_once: int) -> float:
    """Register all jobs, each once what it needs is ready, with at most so many in flight.

    Returns:
        Seconds from before the first was registered until the last was ready.

    Raises:
        RuntimeError: one failed, or it took too long.

    Effects: changes Nomad.
    """
    ids = {name: specs[name]["ID"] for name in needs}
    left = dict(needs)
    flying: set[str] = set()
    ready: set[str] = set()
    started_s = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while len(ready) < len(needs):
            free = [name for name, others in left.items() if ready.issuperset(others)][: at_once - len(flying)]
            list(pool.map(lambda name: api.put("/v1/jobs", {"Job": specs[name]}), free))
            for name in free:
                del left[name]
            flying.update(free)
            good = _good(api, [ids[name] for name in flying])
            found = {name for name in flying if ids[name] in good}
            ready |= found
            flying -= found
            if not found:
                time.sleep(_POLL_S)
            if time.perf_counter() - started_s > _TIMEOUT_S:
                raise RuntimeError(f"not ready: {sorted(flying)}")
    return time.perf_counter() - started_s


def clear(api: Api, ids: Collection[str]) -> None:
    """Stop jobs and wait until nothing of them is left to be done, then have Nomad forget them. Effects: changes Nomad."""
    for job_id in ids:
        api.delete(f"/v1/job/{job_id}")
    deadline_s = time.perf_counter() + _TIMEOUT_S
    while left := _left(api):
        if time.perf_counter() > deadline_s:
            raise RuntimeError(f"stopped, but not at rest: {left[:5]}")
        time.sleep(0.1)
    api.put("/v1/system/gc")


def requests_so_far(agent: Agent) -> int:
    """Count the HTTP requests that the agent has answered since it started, by its log."""
    return (agent.folder / "agent.log").read_bytes().count(_REQUEST_LINE)


def _left(api: Api) -> list[tuple[str, str]]:
    """Return what is still to be done, as (job, state)."""
    allocations = api.get("/v1/allocations", task_states="false")
    running = [(row["JobID"], row["ClientStatus"]) for row in allocations if row["ClientStatus"] not in _OVER]
    return running + [(row["JobID"], "evaluation pending") for row in api.get("/v1/evaluations") if row["Status"] == "pending"]


def _good(api: Api, ids: Collection[str]) -> set[str]:
    rows = api.get("/v1/allocations", task_states="false", filter=f"JobID matches `^({'|'.join(ids)})$`")
    failed = [row["JobID"] for row in rows if row["ClientStatus"] in ("failed", "lost")]
    if failed:
        raise RuntimeError(f"failed: {failed}")
    return {row["JobID"] for row in rows if row["ClientStatus"] == "complete" or (row["DeploymentStatus"] or {}).get("Healthy")}

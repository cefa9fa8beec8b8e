"""Waiting costs nothing: three standing queries serve a run of three hundred jobs, and nothing is asked about any of them meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import pytest

from tests.servers.eventually import eventually
from tests.servers.proxy import Proxy, Request
from tests.servers.scenario import Scenario

JOBS = 300
LISTS = {"/v1/allocations", "/v1/deployments", "/v1/evaluations"}
NEVER_HEALTHY = 'update {\n min_healthy_time = "20m"\n healthy_deadline = "30m"\n progress_deadline = "40m"\n}'


@pytest.fixture
def proxy(scenario: Scenario) -> Iterator[Proxy]:
    """Stands between program and agent, passes everything on and counts."""
    with Proxy(scenario.agent.address, fate=lambda _: "pass") as proxy:
        yield proxy


class Background:
    """The program under way, with its events in a file: a pipe that nobody empties would stop it."""

    def __init__(self, scenario: Scenario, *argv: str) -> None:
        self._out = scenario.folder / "events"
        words = [sys.executable, "-m", "dtree", *argv, "--output", "json"]
        with self._out.open("w") as out:
            self.process = subprocess.Popen(words, cwd=scenario.folder, env=scenario.environ(), stdin=subprocess.DEVNULL, stdout=out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        """What it has said so far."""
        return self._out.read_text()


def path(request: Request) -> str:
    return request.target.partition("?")[0]


def are_standing(held: list[Request]) -> bool:
    """Whether what waits for Nomad's answer is the three lists, each from the state it last had, and nothing else."""
    return len(held) == len(LISTS) and {path(one) for one in held} == LISTS and all(one.is_blocking for one in held)


def count_running(scenario: Scenario) -> int:
    rows = scenario.api.get("/v1/allocations", task_states="false")
    return sum(row["ClientStatus"] == "running" for row in rows if row["JobID"].startswith(scenario.prefix))


def test_three_hundred_jobs_are_waited_for_by_three_standing_queries(scenario: Scenario, proxy: Proxy, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    # Three seconds more: whoever asks for each job every second would be seen.
    scenario.shell("gate", f'while [ ! -e "{gate}" ]; do sleep 0.2; done; sleep 3', type="batch", memory_mb=10)
    for number in range(JOBS):
        scenario.mock(f"job{number:03}", update=NEVER_HEALTHY)
    words = ("run", "--all", "--parallelism", str(JOBS + 1), "--server-addr", proxy.address)
    with Background(scenario, *words) as run:
        eventually(lambda: count_running(scenario) == JOBS + 1, timeout_s=60.0, pause_s=0.5)
        eventually(lambda: are_standing(proxy.held()))
        assert all(f"{scenario.prefix}job{number:03}" in unquote(proxy.held()[0].target).replace("\\", "") for number in range(JOBS))
        asked = len(proxy.requests)
        gate.touch()
        eventually(lambda: "step-ready" in run.output(), timeout_s=20.0)
        eventually(lambda: are_standing(proxy.held()))
        since = proxy.requests[asked:]
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(30.0) == 130
    # What happened woke the lists, once or twice; of the others' jobs nothing was asked.
    asked_of = Counter(path(one) for one in since)
    assert {found: count for found, count in asked_of.items() if found not in LISTS and scenario.id("gate") not in found} == {}
    assert asked_of["/v1/allocations"] >= 1
    assert asked_of.total() <= 15
    # 32 of ours, and a few that the proxy has not seen to be closed yet.
    assert proxy.most_open <= 36

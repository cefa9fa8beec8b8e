"""The seed's four jobs as the real programs: PostgreSQL, a migration with psql, an API on its table, nginx in front."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dtree.demo.agent import Agent
from dtree.demo.api import Api
from tests.servers.conftest import purge_jobs

SHOP = Path(__file__).parents[2] / "examples/shop"
DEMO = Path(__file__).parents[2] / "dtree/demo/jobs"
JOBS = ("postgres", "postgres_setup", "api", "nginx")
JOB_FILES = sorted([*DEMO.glob("*.nomad"), *SHOP.glob("*/*.nomad")])


@pytest.fixture
def shop(agent: Agent) -> Iterator[Agent]:
    """The agent, without a trace of the four jobs afterwards."""
    yield agent
    for job in JOBS:
        purge_jobs(agent.api, job)


def dtree(agent: Agent, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would who stands in the folder of the example."""
    command = [sys.executable, "-m", "dtree", *words]
    done = subprocess.run(
        command, cwd=SHOP, env={**os.environ, **agent.environment}, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def articles_through_nginx(api: Api) -> Any:
    """Ask nginx where Nomad says it is."""
    (service,) = api.get("/v1/service/nginx")
    connection = HTTPConnection(service["Address"], service["Port"], timeout=10)
    try:
        connection.request("GET", "/articles")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def submitted_s(api: Api, job: str) -> float:
    """Unix time at which Nomad took the latest change of a job: its registration, later its stop."""
    return float(api.get(f"/v1/job/{job}")["SubmitTime"]) / 1e9


def allocation_of(api: Api, job: str) -> dict[str, Any]:
    (allocation,) = api.get(f"/v1/job/{job}/allocations")
    return dict(allocation)


def healthy_s(api: Api, job: str) -> float:
    status = allocation_of(api, job)["DeploymentStatus"]
    assert status["Healthy"] is True
    return datetime.fromisoformat(status["Timestamp"]).timestamp()


def ended_s(api: Api, job: str) -> float:
    allocation = allocation_of(api, job)
    assert allocation["ClientStatus"] == "complete"
    return max(datetime.fromisoformat(task["FinishedAt"]).timestamp() for task in allocation["TaskStates"].values())


@pytest.mark.parametrize("file", JOB_FILES, ids=[f"{file.parent.name}/{file.name}" for file in JOB_FILES])
def test_nomad_accepts_every_job_file_that_we_ship(file: Path, nomad_api: Api) -> None:
    job = nomad_api.put("/v1/jobs/parse", {"JobHCL": file.read_text(), "Canonicalize": True})
    verdict = nomad_api.put("/v1/validate/job", {"Job": job})

    assert (job["ID"], verdict["ValidationErrors"], verdict["Warnings"]) == (file.stem, None, "")


def test_a_request_through_nginx_gives_the_row_with_the_waits_of_the_seed(shop: Agent) -> None:
    dtree(shop, "run", "--job", "nginx", "--store", "filesystem")

    assert articles_through_nginx(shop.api) == [{"id": 1, "name": "a pair of red shoes"}]
    at = {job: submitted_s(shop.api, job) for job in JOBS}
    assert at["postgres_setup"] - at["postgres"] >= 5
    assert at["api"] - at["postgres_setup"] >= 3
    assert at["nginx"] - at["api"] >= 7


def test_without_waits_each_job_starts_when_what_it_needs_is_ready_and_they_stop_in_reverse(shop: Agent) -> None:
    api = shop.api
    options = ("--job", "nginx", "--store", "filesystem", "--fs-depfile-path", "dependency-ready.json", "--fs-jobs-path", "jobs")

    dtree(shop, "run", *options)

    assert articles_through_nginx(api) == [{"id": 1, "name": "a pair of red shoes"}]
    assert healthy_s(api, "postgres") <= submitted_s(api, "postgres_setup")
    assert ended_s(api, "postgres_setup") <= submitted_s(api, "api")
    assert healthy_s(api, "api") <= submitted_s(api, "nginx")
    assert healthy_s(api, "nginx") > 0

    dtree(shop, "stop", *options, "--deep")

    assert [api.get(f"/v1/job/{job}")["Stop"] for job in JOBS if job != "postgres_setup"] == [True, True, True]
    assert ended_s(api, "nginx") <= submitted_s(api, "api")
    assert ended_s(api, "api") <= submitted_s(api, "postgres")
    assert ended_s(api, "postgres") > 0

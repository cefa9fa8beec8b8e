"""Real Nomad agents: one of each kind per test session, a job-name prefix per test, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import trustme

from dtree.demo.agent import Agent
from dtree.demo.api import Api, Tls
from dtree.demo.binary import find_nomad, find_program
from dtree.provenance import NOTES, stack_path
from tests.servers.consul_agent import CONSUL, ConsulAgent
from tests.servers.eventually import eventually
from tests.servers.scenario import Scenario

# More than the machine has: mock tasks use none of it, and forty of them have to fit.
BIG_NODE = {"client": {"cpu_total_compute": 400_000, "memory_total_mb": 400_000}}
_EVALUATION_OVER = ("complete", "failed", "canceled")
_ALLOCATION_OVER = ("complete", "failed", "lost")


@pytest.fixture(scope="session")
def nomad_program() -> Path:
    """Path of a Nomad with the mock driver. Builds it where there is none; never skips."""
    return find_nomad()


@pytest.fixture(scope="session")
def agent(nomad_program: Path) -> Iterator[Agent]:
    """One agent for all tests: mock_driver, raw_exec, a node with much room."""
    with Agent(nomad_program, config=BIG_NODE) as agent:
        yield agent


@pytest.fixture(scope="session")
def nomad_api(agent: Agent) -> Api:
    """What Nomad itself records, asked without the project's own client."""
    return agent.api


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """An authority and one certificate of it, for server and clients."""
    folder = tmp_path_factory.mktemp("tls")
    files = Tls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(files.ca_file)
    certificate = authority.issue_cert("localhost", "127.0.0.1", "server.global.nomad")
    certificate.cert_chain_pems[0].write_to_path(files.cert_file)
    certificate.private_key_pem.write_to_path(files.key_file)
    return files


@pytest.fixture(scope="session")
def tls_agent(nomad_program: Path, tls: Tls) -> Iterator[Agent]:
    """An agent that speaks https only and wants a certificate from its clients."""
    with Agent(nomad_program, config=BIG_NODE, tls=tls) as agent:
        yield agent


@pytest.fixture(scope="session")
def acl_agent(nomad_program: Path) -> Iterator[Agent]:
    """An agent with ACLs on; `acl_agent.token` is a management token."""
    with Agent(nomad_program, config=BIG_NODE, acl=True) as agent:
        yield agent


@pytest.fixture(scope="session")
def consul_program() -> Path:
    """Path of a Consul. Builds it where there is none; never skips."""
    return find_program(CONSUL)


@pytest.fixture(scope="session")
def consul(consul_program: Path) -> Iterator[ConsulAgent]:
    """One Consul for all tests, which keep to prefixes of their own."""
    with ConsulAgent(consul_program) as consul:
        yield consul


@pytest.fixture(scope="session")
def acl_consul(consul_program: Path) -> Iterator[ConsulAgent]:
    """A Consul with ACLs on that denies what no rule allows; `acl_consul.token` is a management token."""
    with ConsulAgent(consul_program, acl=True) as consul:
        yield consul


@pytest.fixture(scope="session")
def tls_consul(consul_program: Path, tls: Tls) -> Iterator[ConsulAgent]:
    """A Consul that speaks https only and wants a certificate from its clients."""
    with ConsulAgent(consul_program, tls=tls) as consul:
        yield consul


@pytest.fixture
def prefix(agent: Agent) -> Iterator[str]:
    """Beginning of all job ids of this test; those jobs are gone from `agent` afterwards."""
    name = f"t{uuid4().hex[:8]}-"
    yield name
    purge_jobs(agent.api, name)


def purge_jobs(api: Api, prefix: str) -> None:
    """Stop all jobs whose id begins with `prefix`, wait until they are over, then purge them, and what is noted of them.

    Never at once: a purge within milliseconds of a registration crashes Nomad's leader.
    """
    jobs = _of_prefix(api, "jobs", "ID", prefix)
    for job in jobs:
        if not job["Stop"]:
            api.delete(f"/v1/job/{job['ID']}", namespace=job["Namespace"])
    # An evaluation that a scheduler did not finish is given to another one only after a minute.
    eventually(lambda: _AllOver(_unfinished(api, prefix)), timeout_s=180.0)
    for job in _of_prefix(api, "jobs", "ID", prefix):
        api.delete(f"/v1/job/{job['ID']}", namespace=job["Namespace"], purge="true")
    for row in api.get("/v1/vars", prefix=f"{NOTES}/", namespace="*"):
        if row["Path"].rpartition("/")[2].startswith(prefix):
            api.delete(f"/v1/var/{row['Path']}", namespace=row["Namespace"])


def forget_notes(api: Api, stack: str, *namespaces: str) -> None:
    """Remove what is noted of the jobs of a stack."""
    for namespace in namespaces or ("default",):
        for row in api.get("/v1/vars", prefix=f"{stack_path(stack)}/", namespace=namespace):
            api.delete(f"/v1/var/{row['Path']}", namespace=namespace)


@dataclass(frozen=True)
class _AllOver:
    """True when nothing is left; says what is left where a wait for it fails."""

    left: list[str]

    def __bool__(self) -> bool:
        return not self.left


def _unfinished(api: Api, prefix: str) -> list[str]:
    evaluations = _of_prefix(api, "evaluations", "JobID", prefix)
    allocations = _of_prefix(api, "allocations", "JobID", prefix)
    return [
        *(f"evaluation {one['ID']} {one['Status']}" for one in evaluations if _is_due(one)),
        *(f"allocation {one['ID']} {one['ClientStatus']}" for one in allocations if one["ClientStatus"] not in _ALLOCATION_OVER),
    ]


def _is_due(evaluation: dict[str, Any]) -> bool:
    """Whether Nomad still has to carry it out; a delayed reschedule stays pending until its time even when the job was stopped."""
    is_delayed = not (evaluation.get("WaitUntil") or "0001-").startswith("0001-")
    return evaluation["Status"] not in _EVALUATION_OVER and not is_delayed


def _of_prefix(api: Api, table: str, key: str, prefix: str) -> list[dict[str, Any]]:
    return [row for row in api.get(f"/v1/{table}", namespace="*") if row[key].startswith(prefix)]


@pytest.fixture
def scenario(agent: Agent, prefix: str, tmp_path: Path) -> Scenario:
    """An empty set of jobs on the session's agent."""
    return Scenario(agent, prefix, tmp_path)

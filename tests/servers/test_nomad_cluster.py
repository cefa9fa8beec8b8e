"""A real Nomad keeps the promises that the fake one is trusted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from uuid import uuid4

import pytest

from dtree.access.nomad import Connection
from dtree.clock import SystemClock
from dtree.cluster import NomadCluster
from dtree.demo.agent import Agent
from dtree.model import JobRef
from tests.contract.cluster_contract import ClusterContract
from tests.servers.conftest import forget_notes, purge_jobs
from tests.servers.eventually import eventually

T = TypeVar("T")


@pytest.fixture(scope="module")
def namespace(agent: Agent) -> Iterator[str]:
    """A second namespace, gone afterwards."""
    name = f"t{uuid4().hex[:8]}"
    agent.api.put(f"/v1/namespace/{name}", {"Name": name})
    yield name
    agent.api.delete(f"/v1/namespace/{name}")


@pytest.fixture(scope="module")
def lasting(agent: Agent) -> Iterator[str]:
    """Beginning of the IDs of jobs that these tests share; gone afterwards."""
    name = f"t{uuid4().hex[:8]}-"
    yield name
    purge_jobs(agent.api, name)


class TestNomadCluster(ClusterContract):
    @pytest.fixture(autouse=True)
    def _nomad(self, agent: Agent, namespace: str, lasting: str, prefix: str) -> None:
        self.api = agent.api
        self.prefix = prefix
        self.lasting = lasting
        self.elsewhere = namespace
        self.cluster = NomadCluster(Connection(address=agent.address), SystemClock())

    @pytest.fixture(autouse=True)
    def _no_notes_stay(self, agent: Agent, namespace: str, prefix: str) -> Iterator[None]:
        yield
        forget_notes(agent.api, f"{prefix}stack", "default", namespace)

    def eventually(self, check: Callable[[], T]) -> T:
        return eventually(check)

    def scale(self, ref: JobRef, count: int) -> None:
        self.api.put(f"/v1/job/{ref.id}/scale", {"Count": count, "Target": {"Group": "main"}})

    def put_variable(self, path: str, items: Mapping[str, str]) -> None:
        self.api.put(f"/v1/var/{path}", {"Path": path, "Items": dict(items)})

    def launch(self, parent: JobRef) -> JobRef:
        answer = self.api.put(f"/v1/job/{parent.id}/dispatch", {})
        return JobRef(parent.namespace, answer["DispatchedJobID"])

"""No field of a job is lost: every block of Nomad's job specification, sent through us and straight to a real Nomad."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from dtree.access.nomad import Connection
from dtree.clock import SystemClock
from dtree.cluster import NomadCluster
from dtree.declaration import Entry
from dtree.demo.agent import Agent
from dtree.demo.api import Api
from dtree.document import read
from dtree.errors import ClusterError
from dtree.job_text import JobText
from dtree.location import Locations
from dtree.model import JobRef, RenderedJob
from dtree.observe import parse_jobs
from dtree.ports import Registered
from tests.servers.eventually import eventually
from tests.servers.job_blocks import blocks_of, specification

FILES: Final = sorted((Path(__file__).parent / "corpus").iterdir())
OURS: Final = "corpus-dtree"
DIRECT: Final = "corpus-direct"

# What this agent cannot have: it is no Nomad Enterprise, knows one region, and has neither Consul nor Vault.
REFUSED: Final = {
    "consul-cluster.nomad.hcl": "non-default Consul cluster requires Nomad Enterprise",
    "gateway-ingress.nomad.hcl": '/v1/config": dial tcp',
    "gateway-terminating.nomad.hcl": '/v1/config": dial tcp',
    "multiregion.nomad.hcl": "No path to region",
    "numa.nomad.hcl": "numa scheduling requires Nomad Enterprise",
    "schedule.nomad.hcl": "task schedules requires Nomad Enterprise",
    "task-of-job.nomad.hcl": 'Vault "default" not enabled but used in the job',
    "vault.nomad.hcl": 'Vault "default" not enabled but used in the job',
}
ACCEPTED: Final = [path for path in FILES if path.name not in REFUSED]

# What tells two registrations of one job apart.
_BOOKKEEPING: Final = {"CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "Version", "Namespace", "Status", "StatusDescription"}
_POLICY_BOOKKEEPING: Final = {"ID", "Target", "CreateIndex", "ModifyIndex"}


class HastyClock(SystemClock):
    """Lets no time pass between two tries of a call."""

    def __init__(self) -> None:
        self._skipped_s = 0.0

    def now_s(self) -> float:
        """As if the pauses had been taken."""
        return super().now_s() + self._skipped_s

    def pause(self, span_s: float) -> None:
        """Take it as over."""
        self._skipped_s += span_s


class Recorder(ThreadingHTTPServer):
    """Stands in front of an agent and keeps the bodies of the jobs that are registered through it."""

    def __init__(self, agent: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.agent = agent
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Forward(BaseHTTPRequestHandler):
    server: Recorder

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.partition("?")[0] == "/v1/jobs" and body:
            self.server.bodies.append(body)
        status, answer = send(self.server.agent, self.command, self.path, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = _forward  # noqa: N815 - names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def send(address: str, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request as plainly as can be."""
    request = Request(address + target, method=method, data=body or None)
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


@dataclass(frozen=True)
class Case:
    """A file of the corpus, registered in two namespaces: through us, and with Nomad's own parse answer sent back byte by byte.

    Attributes:
        job: what we made of the file.
        expected: the job as Nomad parses it; the file's own content where that is the API's JSON.
        sent: the body that we registered it with.
        outcome: how Nomad took it from us.
        answer: Nomad's status and text for the direct registration.
    """

    api: Api
    cluster: NomadCluster
    path: Path
    job: RenderedJob
    expected: dict[str, Any]
    sent: dict[str, Any]
    outcome: Registered | ClusterError
    answer: tuple[int, str]

    def stored(self, namespace: str) -> dict[str, Any]:
        """The job as Nomad has it."""
        job: dict[str, Any] = self.api.get(f"/v1/job/{quote(self.job.ref.id, safe='')}", namespace=namespace)
        return job


@pytest.fixture(scope="module")
def api(agent: Agent) -> Iterator[Api]:
    """The agent, with two namespaces that go again."""
    for name in (OURS, DIRECT):
        agent.api.put("/v1/namespace", {"Name": name})
    yield agent.api
    for name in (OURS, DIRECT):
        agent.api.delete(f"/v1/namespace/{name}")


@pytest.fixture(scope="module")
def recorder(agent: Agent) -> Iterator[Recorder]:
    with Recorder(agent.address) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest, agent: Agent, api: Api, recorder: Recorder) -> Iterator[Case]:
    path: Path = request.param
    cluster = NomadCluster(Connection(recorder.address), HastyClock())
    text = JobText(f"jobs/{path.name}", path.read_text(), path.read_bytes())
    jobs, _ = parse_jobs({"it": text}, Locations({"it": Entry("it")}, read("dependency.json", b"{}"), OURS), cluster)
    job = jobs["it"]
    raw = api_json_of(path, agent.address)
    try:
        outcome: Registered | ClusterError = cluster.register(job, enforce_index=0)
    except ClusterError as error:
        outcome = error
    status, answer = send(agent.address, "POST", f"/v1/jobs?namespace={DIRECT}", b'{"Job": %s}' % raw)
    sent = json.loads(recorder.bodies.pop())
    recorder.bodies.clear()
    yield Case(api, cluster, path, job, json.loads(raw), sent, outcome, (status, answer.decode()))
    for namespace in (OURS, DIRECT):
        purge(api, job.ref.id, namespace)


def api_json_of(path: Path, address: str) -> bytes:
    """The job as JSON, without Python's JSON in between."""
    text = path.read_text()
    if path.name == "api-json.json":
        return text.partition('"Job":')[2].rstrip().removesuffix("}").encode()
    if path.name == "api-json-bare.json":
        return text.encode()
    status, answer = send(address, "POST", "/v1/jobs/parse", json.dumps({"JobHCL": text}).encode())
    assert status == 200, answer
    return answer


def purge(api: Api, job_id: str, namespace: str) -> None:
    """Stop the job, wait until Nomad is through with it, and remove it."""
    target = f"/v1/job/{quote(job_id, safe='')}"
    if not [row for row in api.get("/v1/jobs", namespace=namespace) if row["ID"] == job_id]:
        return
    api.delete(target, namespace=namespace)
    eventually(lambda: all(one["Status"] != "pending" for one in api.get(f"{target}/evaluations", namespace=namespace)))
    api.delete(target, namespace=namespace, purge="true")


def exactly(value: object) -> str:
    """JSON to compare as text, because to Python `True` is 1 and 1 is 1.0."""
    return json.dumps(value, indent=1, sort_keys=True)


def without_bookkeeping(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job without what is another at each registration."""
    kept = {key: value for key, value in job.items() if key not in _BOOKKEEPING}
    for block in [*kept["TaskGroups"], *(task for group in kept["TaskGroups"] for task in group["Tasks"])]:
        # A service in Nomad's own catalogue lives in the namespace of its job.
        for service in block.get("Services") or []:
            if service["Provider"] == "nomad":
                service.pop("Namespace")
        policies = [block["Scaling"]] if block.get("Scaling") else block.get("ScalingPolicies") or []
        for policy in policies:
            for key in _POLICY_BOOKKEEPING:
                policy.pop(key)
    return kept


def named(paths: list[Path]) -> pytest.MarkDecorator:
    """Run a test for each of these files."""
    return pytest.mark.parametrize("case", paths, indirect=True, ids=[path.name.partition(".")[0] for path in paths], scope="module")


def test_no_block_of_the_specification_is_missing_from_the_corpus() -> None:
    used = {block for path in FILES if path.suffix == ".hcl" for block in blocks_of(path.read_text())}

    assert sorted(specification() - used) == []
    assert len(FILES) >= 40


@named(FILES)
def test_the_job_sent_is_what_nomad_parsed_and_the_source_goes_with_it(case: Case) -> None:
    submission = {"Source": case.path.read_text(), "Format": case.job.format, "Variables": "", "VariableFlags": {}}

    assert exactly(case.job.spec) == exactly(case.expected)
    assert exactly(case.sent) == exactly({"Job": case.expected, "EnforceIndex": True, "JobModifyIndex": 0, "Submission": submission})
    assert case.job.format == ("json" if case.path.name.startswith("api-json") else "hcl2")


@named(ACCEPTED)
def test_the_job_read_back_is_the_one_that_a_direct_registration_gives(case: Case) -> None:
    assert isinstance(case.outcome, Registered), case.outcome
    assert case.answer[0] == 200, case.answer

    ours, direct = case.stored(OURS), case.stored(DIRECT)

    assert exactly(without_bookkeeping(ours)) == exactly(without_bookkeeping(direct))
    assert (ours["Version"], ours["Namespace"], direct["Namespace"]) == (0, OURS, DIRECT)


@named(ACCEPTED)
def test_nomad_keeps_the_source_of_a_job(case: Case) -> None:
    submission = case.api.get(f"/v1/job/{quote(case.job.ref.id, safe='')}/submission", namespace=OURS, version="0")

    assert (submission["Source"], submission["Format"]) == (case.path.read_text(), case.job.format)


@named(ACCEPTED)
def test_a_job_that_is_registered_differs_in_nothing_from_its_file(case: Case) -> None:
    dry_run = case.cluster.dry_run(case.job)

    assert (dry_run.diff, dry_run.job_modify_index) == ("None", case.stored(OURS)["JobModifyIndex"])


@named([path for path in FILES if path.name in REFUSED])
def test_a_job_that_this_nomad_cannot_have_is_refused_in_the_same_words(case: Case) -> None:
    assert case.answer[0] == 500
    assert REFUSED[case.path.name] in case.answer[1]
    assert isinstance(case.outcome, ClusterError)
    assert REFUSED[case.path.name] in str(case.outcome)


@named([path for path in FILES if path.name == "batch.nomad.hcl"])
def test_a_job_that_exists_is_registered_against_the_index_that_was_seen(case: Case, recorder: Recorder) -> None:
    seen = case.stored(OURS)["JobModifyIndex"]

    case.cluster.register(case.job, enforce_index=seen)

    assert json.loads(recorder.bodies.pop())["JobModifyIndex"] == seen
    assert case.job.ref == JobRef(OURS, "corpus-batch")

"""Conditions that others than Nomad's lists answer, on a real Nomad and a real Consul: each comes true, and each has its failure twin."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from dtree.access.consul import Connection, ConsulClient
from dtree.demo.agent import Agent
from dtree.errors import StoreError
from tests.docs.pages import ROOT, fences
from tests.servers.conftest import purge_jobs
from tests.servers.consul_agent import ConsulAgent
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

NO_SECOND_CHANCE = 'restart {\n attempts = 0\n mode = "fail"\n}\nreschedule {\n attempts = 0\n unlimited = false\n}\n'
PORT = 'network {\n port "http" {}\n}\n'
SERVER = """
import os
from http.server import *

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(%s)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

ThreadingHTTPServer((os.environ["NOMAD_IP_http"], int(os.environ["NOMAD_PORT_http"])), Handler).serve_forever()
"""


def service(provider: str = "nomad", check: str = "/") -> str:
    return f"""
service {{
  name     = "PREFIXweb"
  provider = "{provider}"
  port     = "http"
  check {{
    type     = "http"
    path     = "{check}"
    interval = "1s"
    timeout  = "1s"
  }}
}}
"""


def web(
    scenario: Scenario, wait_cond: Any, *, status: str = "200", listens: bool = True, group: str = "", count: int = 1, **more: Any
) -> None:
    """Write a job whose task answers http with `status`, an expression in which `self.path` is known."""
    body = SERVER % status if listens else "import time; time.sleep(3600)"
    config = f"command = {json.dumps(sys.executable)}\nargs = {json.dumps(['-c', body])}"
    more = {"driver": "raw_exec", "memory_mb": 64, **more}
    scenario.mock("web", config, count=count, group=NO_SECOND_CHANCE + PORT + group, wait_cond=wait_cond, **more)
    scenario.mock("user", pre=["web"])


def run(scenario: Scenario, *words: str, **env: str) -> Done:
    return scenario.dtree("run", "user", *words, "--output", "json", env=env)


def succeed(scenario: Scenario, *words: str) -> str:
    """Run, and return the reason for which `web` was ready."""
    done = run(scenario, *words)
    assert done.code == 0, done.stdout + done.stderr
    (event,) = [event for event in done.of("step-ready") if event["job"] == "web"]
    return str(event["reason"])


def fail(scenario: Scenario, code: int, *words: str) -> str:
    """Run, and return the reason for which `web` failed; `user` was left alone."""
    done = run(scenario, *words)
    assert done.code == code, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-lost")] == ["user"]
    assert "user" not in scenario.registered()
    (event,) = done.of("step-failed")
    return str(event["reason"])


def waiting(done: Done) -> list[str]:
    return [event["reason"] for event in done.of("step-waiting")]


# -- http and tcp ------------------------------------------------------------------------------------------------------


def test_every_allocation_answers_http_at_its_port(scenario: Scenario) -> None:
    web(scenario, {"http": {"port": "http", "path": "/ready", "status": 204}}, status="204 if self.path == '/ready' else 500", count=2)
    assert succeed(scenario) == "2 of 2 allocations: http 204 from port http /ready"


def test_a_redirect_is_an_answer_and_is_not_followed(scenario: Scenario) -> None:
    web(scenario, {"http": {"port": "http", "status": 302}}, status="302")
    assert succeed(scenario) == "1 of 1 allocation: http 302 from port http /"


def test_another_status_than_the_wanted_one_times_out_and_is_told(scenario: Scenario) -> None:
    web(scenario, {"http": {"port": "http", "path": "/ready"}, "timeout": 5}, status="503")
    reason = fail(scenario, 6)
    assert reason.startswith("not http 200 from port http /ready within 5 s: http GET http://127.0.0.1:")
    assert reason.endswith("/ready: 503")


def test_every_allocation_accepts_connections_at_its_port(scenario: Scenario) -> None:
    web(scenario, {"tcp": {"port": "http"}}, count=2)
    assert succeed(scenario) == "2 of 2 allocations: tcp connection to port http"


def test_a_port_where_nothing_listens_times_out_and_is_told(scenario: Scenario) -> None:
    web(scenario, {"tcp": {"port": "http"}, "timeout": 5}, listens=False)
    reason = fail(scenario, 6)
    assert reason.startswith("not tcp connection to port http within 5 s: tcp 127.0.0.1:")
    assert reason.endswith("nothing listens there")


def test_one_allocation_that_does_not_answer_is_one_too_many(scenario: Scenario) -> None:
    web(scenario, {"http": {"port": "http"}, "timeout": 6}, status="200 if os.environ['NOMAD_ALLOC_INDEX'] == '0' else 500", count=2)
    assert fail(scenario, 6).endswith("/: 500")


@pytest.fixture
def elsewhere() -> Iterator[ThreadingHTTPServer]:
    """A web server that is no job's; it keeps each connection, and what was asked."""

    class Answering(BaseHTTPRequestHandler):
        def setup(self) -> None:
            asked.append("connected")
            super().setup()

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            asked.append(format % args)

    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.asked = asked  # type: ignore[attr-defined] # for the tests
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_one_address_is_enough_where_it_is_named(scenario: Scenario, elsewhere: ThreadingHTTPServer, kind: str) -> None:
    place = f"127.0.0.1:{elsewhere.server_port}"
    web(scenario, {kind: f"http://{place}/up?token=s3cret" if kind == "http" else place}, listens=False)
    done = run(scenario)
    assert done.code == 0, done.stdout
    ready = [event for event in done.of("step-ready") if event["job"] == "web"]
    assert (len(ready), place in ready[0]["reason"]) == (1, True)
    once = ["connected", '"GET /up?token=s3cret HTTP/1.1" 200 -'] if kind == "http" else ["connected"]
    assert elsewhere.asked == once  # type: ignore[attr-defined] # as above
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_one_address_where_nobody_answers_times_out(scenario: Scenario, kind: str) -> None:
    web(scenario, {kind: "http://127.0.0.1:1/up" if kind == "http" else "127.0.0.1:1", "timeout": 3}, listens=False)
    assert fail(scenario, 6).endswith("127.0.0.1:1: nothing listens there" if kind == "tcp" else "/up: nothing listens there")


def test_one_address_is_not_asked_before_the_job_has_started(scenario: Scenario, elsewhere: ThreadingHTTPServer) -> None:
    wait_cond = {"http": f"http://127.0.0.1:{elsewhere.server_port}/", "timeout": 4}
    nowhere = 'constraint {\n attribute = "${attr.kernel.name}"\n value = "plan9"\n}'
    scenario.mock("web", group=nowhere, wait_cond=wait_cond)
    scenario.mock("user", pre=["web"])
    fail(scenario, 6)
    assert elsewhere.asked == []  # type: ignore[attr-defined] # as above


def test_a_job_that_fails_while_it_is_asked_is_a_failure(scenario: Scenario) -> None:
    scenario.shell("web", "sleep 2; exit 7", group=NO_SECOND_CHANCE + PORT, wait_cond={"http": {"port": "http"}})
    scenario.mock("user", pre=["web"])
    assert "7" in fail(scenario, 3)


# -- logs --------------------------------------------------------------------------------------------------------------


def log(scenario: Scenario, script: str, wait_cond: Any, **more: Any) -> None:
    scenario.shell("web", script, logged=True, wait_cond=wait_cond, **more)
    scenario.mock("user", pre=["web"])


def test_a_line_of_the_log_makes_it_ready(scenario: Scenario) -> None:
    log(scenario, "echo starting; sleep 1; printf 'listen'; sleep 1; echo 'ing on 80'; exec sleep 3600", {"log": "^listening on [0-9]+$"})
    done = run(scenario)
    assert done.code == 0, done.stdout
    assert "no line of task main matches /^listening on [0-9]+$/ yet" in waiting(done)
    # Of a job that runs unchanged it is met, and nothing is read.
    assert succeed(scenario) == "runs, unchanged"


def test_the_other_stream_is_read_where_it_is_meant(scenario: Scenario) -> None:
    log(scenario, "echo up >&2; exec sleep 3600", {"log": "^up$", "stream": "stderr", "task": "main"})
    assert succeed(scenario) == "a line of task main matches /^up$/"


def test_a_line_that_never_comes_times_out(scenario: Scenario) -> None:
    log(scenario, "echo up >&2; exec sleep 3600", {"log": "up", "timeout": 4})
    assert fail(scenario, 6) == "not a line of task main matching /up/ within 4 s: no line of task main matches /up/ yet"
    # That it runs by now does not mean that the line ever came.
    assert fail(scenario, 6).endswith("no line of task main matches /up/ in what there is of its log")


def test_a_log_of_many_megabytes_is_read_in_pieces_to_its_line(scenario: Scenario) -> None:
    script = f"i=0; while [ $i -lt 40000 ]; do echo $i {'a' * 64}; i=$((i+1)); done; echo done"
    log(scenario, f"{script}; exec sleep 3600", {"log": "^done$"})
    assert succeed(scenario) == "a line of task main matches /^done$/"


def test_a_line_after_much_that_was_rotated_away_is_found(scenario: Scenario) -> None:
    lines = "head -c 2500000 /dev/zero | tr '\\0' x | fold -w 99"
    script = f"{lines}; sleep 4; {lines}; echo; echo done; exec sleep 3600"
    text = f"""
job "PREFIXweb" {{
  group "main" {{
    task "main" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", {json.dumps(script)}]
      }}
      logs {{
        max_files     = 1
        max_file_size = 1
      }}
      resources {{
        cpu    = 10
        memory = 32
      }}
    }}
  }}
}}
"""
    scenario.job("web", text, wait_cond={"log": "^done$", "timeout": "60s"})
    scenario.mock("user", pre=["web"])
    assert succeed(scenario) == "a line of task main matches /^done$/"


def test_a_line_that_was_seen_and_rotated_away_since_counts_as_long_as_it_is_noted(scenario: Scenario, tmp_path: Path) -> None:
    more = "head -c 2500000 /dev/zero | tr '\\0' x | fold -w 99"
    script = f"echo done; while [ ! -e {tmp_path / 'go'} ]; do sleep 0.05; done; {more}; exec sleep 3600"
    log(scenario, script, {"log": "^done$", "timeout": 4}, task="")
    job = scenario.folder / "jobs" / "web.nomad"
    job.write_text(job.read_text().replace("disabled = false", "max_files = 1\nmax_file_size = 1"))
    assert succeed(scenario) == "a line of task main matches /^done$/"
    (tmp_path / "go").touch()
    eventually(lambda: not any(row["Name"].endswith("stdout.0") for row in log_files(scenario)), timeout_s=20)
    assert succeed(scenario) == "runs, unchanged"
    (path,) = [row["Path"] for row in scenario.api.get("/v1/vars", prefix="dtree/") if row["Path"].endswith(scenario.id("web"))]
    scenario.api.delete(f"/v1/var/{path}")
    assert fail_again(scenario).endswith("no line of task main matches /^done$/ in what there is of its log")


def log_files(scenario: Scenario) -> list[dict[str, Any]]:
    (allocation,) = scenario.allocations("web")
    found: list[dict[str, Any]] = scenario.api.get(f"/v1/client/fs/ls/{allocation['ID']}?path=alloc/logs")
    return found


def fail_again(scenario: Scenario) -> str:
    done = run(scenario)
    assert done.code == 6, done.stdout
    (event,) = done.of("step-failed")
    return str(event["reason"])


def test_a_batch_job_that_ends_without_the_line_has_failed(scenario: Scenario) -> None:
    log(scenario, "echo nothing to do", {"log": "^migrated"}, type="batch")
    assert fail(scenario, 3) == "it has completed, and no line of task main matches /^migrated/"


def test_the_log_of_an_old_version_meets_nothing(scenario: Scenario) -> None:
    log(scenario, "echo up; exec sleep 3600", {"log": "^up$", "timeout": 6})
    assert scenario.dtree("run", "web", "--output", "json").code == 0
    log(scenario, "echo down; exec sleep 3600", {"log": "^up$", "timeout": 6})
    assert fail(scenario, 6).endswith("no line of task main matches /^up$/ yet")


def test_a_pattern_that_takes_for_ever_fails_its_job_alone(scenario: Scenario) -> None:
    log(scenario, f"echo {'a' * 60}!; exec sleep 3600", {"log": "^(a+)+$"})
    assert "takes more than" in fail(scenario, 3)


# -- services ----------------------------------------------------------------------------------------------------------


def test_so_many_instances_of_a_service_pass_their_checks(scenario: Scenario) -> None:
    web(scenario, {"service": "PREFIXweb".replace("PREFIX", scenario.prefix), "passing": 2}, count=2, group=service())
    assert succeed(scenario) == f"2 instances of service {scenario.prefix}web passing"


def test_a_registered_service_whose_check_fails_does_not_pass(scenario: Scenario) -> None:
    name = f"{scenario.prefix}web"
    web(scenario, {"service": name, "timeout": 6}, status="500", group=service(), update="update {\n max_parallel = 0\n }")
    reason = fail(scenario, 6)
    assert reason.startswith(f"not 1 instance of service {name} passing within 6 s: 0 of 1 instance of service {name} passing; check '")
    assert reason.endswith("says failure")
    assert [one["ServiceName"] for one in scenario.api.get(f"/v1/service/{name}")] == [name]


def test_instances_of_another_job_do_not_count(scenario: Scenario) -> None:
    name = f"{scenario.prefix}web"
    web(scenario, "healthy", group=service())
    assert run(scenario).code == 0
    scenario.mock(
        "other",
        'run_for = "1h"',
        group=NO_SECOND_CHANCE + PORT + service(check="/never"),
        update="update {\n max_parallel = 0\n }",
        wait_cond={"service": name, "timeout": 5},
    )
    scenario.mock("later", pre="other")
    done = scenario.dtree("run", "later", "--output", "json")
    assert done.code == 6, done.stdout
    (event,) = done.of("step-failed")
    told = f"not 1 instance of service {name} passing within 5 s: 0 of 1 instance of service {name} passing; check '"
    assert (event["job"], event["reason"].startswith(told)) == ("other", True), event["reason"]
    assert ([lost["job"] for lost in done.of("step-lost")], "later" in scenario.registered()) == (["later"], False)
    assert len(scenario.api.get(f"/v1/service/{name}")) == 2


def test_a_service_that_the_job_does_not_offer_is_refused_before_anything_runs(scenario: Scenario) -> None:
    web(scenario, {"service": "wep"}, group=service())
    done = scenario.dtree("run", "user")
    assert done.code == 1
    assert "the job has no service 'wep'" in done.stderr
    assert scenario.registered() == {}


@pytest.fixture(scope="module")
def with_consul(nomad_program: Path, consul: ConsulAgent) -> Iterator[Agent]:
    """A Nomad that registers services in Consul."""
    with Agent(nomad_program, config={"consul": {"address": consul.address.removeprefix("http://")}}) as agent:
        yield agent


@pytest.fixture
def consul_scenario(with_consul: Agent, tmp_path: Path) -> Iterator[Scenario]:
    prefix = f"t{uuid4().hex[:8]}-"
    yield Scenario(with_consul, prefix, tmp_path)
    purge_jobs(with_consul.api, prefix)


def test_instances_in_consul_pass_their_checks(consul_scenario: Scenario, consul: ConsulAgent) -> None:
    name = f"{consul_scenario.prefix}web"
    web(consul_scenario, {"service": name, "passing": 2}, count=2, group=service("consul"))
    done = run(consul_scenario, CONSUL_HTTP_ADDR=consul.address)
    assert done.code == 0, done.stdout + done.stderr
    assert next(event["reason"] for event in done.of("step-ready")) == f"2 instances of service {name} passing"
    rows = eventually(lambda: consul.api.call("GET", f"/v1/health/service/{name}?passing"))
    assert len(rows) == 2


def test_instances_in_consul_whose_checks_fail_do_not_pass(consul_scenario: Scenario, consul: ConsulAgent) -> None:
    name = f"{consul_scenario.prefix}web"
    wait_cond = {"service": name, "provider": "consul", "timeout": 6}
    web(consul_scenario, wait_cond, status="500", group=service("consul"), update="update {\n max_parallel = 0\n }")
    done = run(consul_scenario, CONSUL_HTTP_ADDR=consul.address)
    assert done.code == 6, done.stdout + done.stderr
    (event,) = done.of("step-failed")
    told = f"not 1 instance of service {name} passing within 6 s: 0 of 1 instance of service {name} passing; check '"
    assert event["reason"].startswith(told), event["reason"]
    assert event["reason"].endswith("says critical")
    assert ([lost["job"] for lost in done.of("step-lost")], list(consul_scenario.names())) == (["user"], ["web"])
    assert len(consul.api.call("GET", f"/v1/catalog/service/{name}")) == 1


def test_a_consul_that_cannot_be_asked_is_told_while_it_is_waited_for(consul_scenario: Scenario) -> None:
    name = f"{consul_scenario.prefix}web"
    web(consul_scenario, {"service": name, "timeout": 6}, group=service("consul"))
    done = run(consul_scenario, CONSUL_HTTP_ADDR="http://127.0.0.1:1")
    assert done.code == 6, done.stdout + done.stderr
    (event,) = done.of("step-failed")
    assert "nothing listens at http://127.0.0.1:1 (is the agent up? " in event["reason"]
    assert "CONSUL_HTTP_ADDR" in event["reason"]


def test_the_documented_rules_let_a_token_see_instances_and_without_them_it_is_told(acl_consul: ConsulAgent) -> None:
    name = f"t{uuid4().hex[:8]}"
    acl_consul.api.call("PUT", "/v1/agent/service/register", json.dumps({"Name": name, "ID": name, "Port": 80}).encode())

    def instances(token: str) -> Sequence[Mapping[str, Any]]:
        client = ConsulClient(Connection(address=acl_consul.address, token=token))
        try:
            return client.instances(name)
        finally:
            client.close()

    (rules,) = [fence.body for fence in fences(ROOT / "docs/reference/acl.md") if fence.what == "consul-service"]
    allowed = acl_consul.api.token_for(rules.replace('"web"', f'"{name}"'))
    (found,) = eventually(lambda: instances(allowed))
    assert found["Service"]["ID"] == name
    for token in (acl_consul.api.token_for('key_prefix "" { policy = "read" }'), ""):
        with pytest.raises(StoreError) as caught:
            instances(token)
        assert caught.value.error_code == "consul-denied"
        assert f'service "{name}"' in caught.value.hint
    acl_consul.api.call("PUT", f"/v1/agent/service/deregister/{name}")


# -- composed ----------------------------------------------------------------------------------------------------------


def test_all_and_any_are_composed_of_the_others(scenario: Scenario) -> None:
    name = f"{scenario.prefix}web"
    wait_cond = {"all": ["healthy", {"http": {"port": "http"}}, {"any": [{"tcp": "127.0.0.1:1"}, {"service": name}]}]}
    web(scenario, wait_cond, group=service())
    reason = succeed(scenario)
    assert "healthy" in reason
    assert f"1 instance of service {name} passing" in reason


def test_all_breaks_by_the_timeout_of_one_part(scenario: Scenario) -> None:
    web(scenario, {"all": [{"http": {"port": "http"}}, {"tcp": "127.0.0.1:1", "timeout": 4}]})
    assert fail(scenario, 6) == "not tcp connection to 127.0.0.1:1 within 4 s: tcp 127.0.0.1:1: nothing listens there"


def test_any_breaks_once_none_of_its_parts_can_come(scenario: Scenario) -> None:
    web(scenario, {"any": [{"tcp": "127.0.0.1:1"}, {"http": "http://127.0.0.1:1/"}], "timeout": 4})
    assert fail(scenario, 6).startswith("not any of (tcp connection to 127.0.0.1:1, http 200 from http://127.0.0.1:1/) within 4 s: ")

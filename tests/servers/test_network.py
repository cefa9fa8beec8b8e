"""A network between the program and Nomad that misbehaves, and addresses that lead nowhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from tests.fakes.http_server import serving
from tests.servers.proxy import Decide, Fate, Proxy, Request, answer, only
from tests.servers.scenario import Done, Scenario

_SLOW = 'update {\n min_healthy_time = "30s"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n}'


@pytest.fixture
def proxy(scenario: Scenario) -> Iterator[Proxy]:
    """Stands between program and agent; passes everything on until it is told otherwise."""
    with Proxy(scenario.agent.address, fate=lambda _: "pass") as proxy:
        yield proxy


def tree(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("seed", 'run_for = "100ms"', type="batch", pre="db")
    scenario.mock("api", pre="seed")


def assert_all_came_up(scenario: Scenario, done: Done) -> None:
    """The tree is up, in order, and each job was registered once."""
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "seed", "api"]
    assert done.of("step-failed") == []
    for name in ("db", "seed", "api"):
        stored = scenario.stored(name)
        assert stored is not None
        assert stored["Version"] == 0


# -- trouble that passes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["reset", answer(504, "gateway timeout")], ids=["reset", "gateway timeout"])
def test_where_standing_queries_are_cut_polling_brings_the_run_home(scenario: Scenario, proxy: Proxy, fate: Fate) -> None:
    tree(scenario)
    proxy.fate = lambda request: fate if request.is_blocking else "pass"
    assert_all_came_up(scenario, scenario.dtree("run", "api", "--server-addr", proxy.address, "--output", "json"))
    # Each of the three lists is asked twice before polling takes over, for the next half minute.
    assert sum(request.is_blocking for request in proxy.requests) <= 6


@pytest.mark.parametrize(
    "fate",
    [
        answer(429, "too many connections"),
        answer(500, "No cluster leader"),
        answer(500, "rpc error: EOF"),
        answer(503, "service unavailable"),
        "reset",
    ],
    ids=["429", "no leader", "rpc error", "503", "reset"],
)
def test_trouble_in_mid_run_is_sat_out(scenario: Scenario, proxy: Proxy, fate: Fate) -> None:
    tree(scenario)
    proxy.fate = for_a_while(fate, after=("POST", "/v1/jobs"), count=4)
    assert_all_came_up(scenario, scenario.dtree("run", "api", "--server-addr", proxy.address, "--output", "json"))


@pytest.mark.parametrize("text", ["No cluster leader", "rpc error: EOF"])
def test_trouble_at_the_very_first_request_is_sat_out_too(scenario: Scenario, proxy: Proxy, text: str) -> None:
    tree(scenario)
    proxy.fate = for_a_while(answer(500, text), count=5)
    assert_all_came_up(scenario, scenario.dtree("run", "api", "--server-addr", proxy.address, "--output", "json"))


def test_connections_that_are_all_reset_in_mid_run_are_made_anew(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db", update='update {\n min_healthy_time = "3s"\n}')
    scenario.mock("api", pre="db")
    with scenario.running("run", "api", "--server-addr", proxy.address) as running:
        running.until("step-waiting", "db")
        proxy.reset_all()
        done = running.finish()
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "api"]


def test_lost_contact_is_shown_while_it_lasts(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db", update='update {\n min_healthy_time = "4s"\n}')
    with scenario.running("run", "db", "--server-addr", proxy.address) as running:
        running.until("step-waiting", "db")
        proxy.fate = lambda _: answer(500, "No cluster leader")
        proxy.reset_all()
        told = running.until("step-waiting", "db", "No cluster leader")
        proxy.fate = lambda _: "pass"
        done = running.finish()
    assert told["reason"].startswith("no contact with Nomad")
    assert done.code == 0, done.stdout + done.stderr


def test_a_registration_whose_answer_was_lost_is_neither_repeated_nor_a_conflict(scenario: Scenario, proxy: Proxy) -> None:
    tree(scenario)
    proxy.fate = only("lose-answer", "POST", "/v1/jobs", times=1)
    done = scenario.dtree("run", "api", "--server-addr", proxy.address, "--output", "json")
    assert_all_came_up(scenario, done)
    assert [event["changed"] for event in done.of("step-registered")] == [True, True, True]


def test_the_same_holds_for_a_changed_job(scenario: Scenario, proxy: Proxy) -> None:
    tree(scenario)
    assert scenario.dtree("run", "api").code == 0
    scenario.mock("db", 'run_for = "2h"')
    proxy.fate = only("lose-answer", "POST", "/v1/jobs", times=1)
    done = scenario.dtree("run", "api", "--server-addr", proxy.address, "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    stored = scenario.stored("db")
    assert stored is not None
    assert stored["Version"] == 1


def test_a_stop_whose_answer_was_lost_is_seen_through(scenario: Scenario, proxy: Proxy) -> None:
    tree(scenario)
    assert scenario.dtree("run", "api").code == 0
    proxy.fate = only("lose-answer", "DELETE", f"/v1/job/{scenario.id('api')}", times=1)
    done = scenario.dtree("stop", "api", "--deep", "--server-addr", proxy.address, "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["api", "seed", "db"]


# -- trouble that does not ---------------------------------------------------------------------------------------------


def test_an_agent_that_is_gone_for_good_ends_in_a_timeout_with_the_reason(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db", update=_SLOW, timeout="6s")
    scenario.mock("api", pre="db")
    with scenario.running("run", "api", "--server-addr", proxy.address) as running:
        running.until("step-waiting", "db")
        proxy.cut()
        started_s = time.monotonic()
        done = running.finish()
    assert done.code == 6, done.stdout + done.stderr
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("db", "timed-out")
    assert "no contact with Nomad: nothing listens at" in failed["reason"]
    assert [event["job"] for event in done.of("step-lost")] == ["api"]
    assert time.monotonic() - started_s < 10.0


def test_standing_queries_that_hang_cannot_outlast_the_timeout(scenario: Scenario, proxy: Proxy) -> None:
    scenario.mock("db", timeout="4s")
    proxy.fate = lambda request: "hang" if "filter=" in request.target else "pass"
    done = scenario.dtree("run", "db", "--server-addr", proxy.address, "--output", "json")
    assert done.code == 6, done.stdout + done.stderr
    assert [event["kind"] for event in done.of("step-failed")] == ["timed-out"]


def test_a_denial_is_told_at_once_and_not_tried_again(scenario: Scenario, proxy: Proxy) -> None:
    tree(scenario)
    proxy.fate = lambda request: answer(403, "Permission denied") if request.target.startswith("/v1/jobs/parse") else "pass"
    done = scenario.dtree("run", "db", "--server-addr", proxy.address)
    assert_refused(done, "error[nomad-denied]: Nomad denies it: Permission denied", "while parsing jobs/db.nomad")
    assert len(proxy.requests) == 1


# -- addresses that lead nowhere ---------------------------------------------------------------------------------------


def test_an_address_where_nothing_listens_is_told_at_once(scenario: Scenario) -> None:
    scenario.mock("db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    started_s = time.monotonic()
    for argv in (["run", "db"], ["run", "db", "--output", "json"], ["status"], ["stop", "db"], ["plan", "db"], ["validate", "--nomad"]):
        done = scenario.dtree(*argv, "--server-addr", f"http://127.0.0.1:{port}")
        assert_refused(done, f"error[nomad-unreachable]: nothing listens at http://127.0.0.1:{port}", "--server-addr or NOMAD_ADDR")
    assert time.monotonic() - started_s < 15.0


def test_a_host_that_is_not_known_is_told(scenario: Scenario) -> None:
    scenario.mock("db")
    done = scenario.dtree("run", "db", "--server-addr", "http://nomad.invalid:4646")
    assert_refused(done, "the host of http://nomad.invalid:4646 is not known", "--server-addr or NOMAD_ADDR")


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1:4646", "http://", "http://127.0.0.1:port", "http://[::1", "https://:4646", "http://a b:1"]
)
def test_an_address_that_is_none_is_told(scenario: Scenario, address: str) -> None:
    scenario.mock("db")
    done = scenario.dtree("run", "db", "--server-addr", address)
    assert_refused(done, f"error[bad-address]: '{address}' is not an address", "https://nomad.example:4646")


def test_an_address_needs_no_scheme_and_may_end_in_a_slash(scenario: Scenario) -> None:
    scenario.mock("db")
    bare = scenario.agent.address.removeprefix("http://")
    for address in (bare, f"http://{bare}/", f"http://localhost:{bare.rpartition(':')[2]}"):
        done = scenario.dtree("plan", "db", "--nomad-addr", address)
        assert done.code == 0, f"{address}: {done.stderr}"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>welcome</html>"), (404, "<html>no such page</html>"), (302, ""), (200, "[]"), (200, "")],
    ids=["page", "404 page", "redirect", "other JSON", "nothing"],
)
def test_what_is_not_nomad_is_told_so(scenario: Scenario, status: int, body: str) -> None:
    scenario.mock("db")
    with web_server(status, body) as address:
        for verb in ("run", "status"):
            done = scenario.dtree(verb, "db", "--server-addr", address)
            assert_refused(done, f"what answers at {address} is not Nomad", "check --server-addr or NOMAD_ADDR")


def test_what_does_not_speak_http_is_told_so(scenario: Scenario) -> None:
    scenario.mock("db")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, args=(server,), daemon=True).start()
        done = scenario.dtree("run", "db", "--server-addr", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert_refused(done, "error[nomad-unreachable]")


# -- how much is asked -------------------------------------------------------------------------------------------------


def test_sixty_jobs_are_watched_by_three_standing_queries(scenario: Scenario, proxy: Proxy) -> None:
    for number in range(60):
        scenario.mock(f"job{number:02}")
    done = scenario.dtree("run", "--all", "--parallelism", "60", "--server-addr", proxy.address, "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert len(done.of("step-ready")) == 60
    # 32 of ours, and a few that the proxy has not seen to be closed yet.
    assert proxy.most_open <= 36
    standing = [request for request in proxy.requests if "filter=" in request.target]
    assert {request.target.partition("?")[0] for request in standing} == {"/v1/allocations", "/v1/deployments", "/v1/evaluations"}
    assert len(proxy.requests) <= 60 * 20


def for_a_while(fate: Fate, *, count: int, after: tuple[str, str] | None = None) -> Decide:
    """Meet `count` requests with `fate`; with `after`, from the first of that method and path on."""
    lock = threading.Lock()
    left = count
    begun = after is None

    def decide(request: Request) -> Fate:
        nonlocal left, begun
        with lock:
            begun = begun or (after is not None and request.is_for(*after))
            if not begun or left <= 0:
                return "pass"
            left -= 1
            return fate

    return decide


@contextmanager
def web_server(status: int, body: str) -> Iterator[str]:
    """Something on loopback that speaks HTTP and is not Nomad."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with serving(Handler) as address:
        yield address


def greet(server: socket.socket) -> None:
    """Answer as a mail server does."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            client.sendall(b"220 mail.example ESMTP\r\n")


def assert_refused(done: Done, *words: str) -> None:
    """One calm error, nothing was changed."""
    assert done.code == 1, done.stdout + done.stderr
    assert done.stderr.count("error[") == 1, done.stderr
    assert "Traceback" not in done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, done.stderr

"""What the client makes of Nomad's answers, against an HTTP server on loopback; time is made up, so nothing waits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dtree.access.nomad import Connection, NomadClient
from dtree.errors import ClusterError, Conflict, Denied, Invalid, NotFound, Unavailable, Unreachable
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedServer, scripted

TOKEN = "3f6a1c55-0000-4000-8000-a-secret"


@pytest.fixture
def nomad() -> Iterator[ScriptedServer]:
    with scripted((200, "{}"), {"X-Nomad-Index": "7"}) as server:
        yield server


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


def client_of(nomad: ScriptedServer, time: FakeClock, **connection: Any) -> NomadClient:
    return NomadClient(Connection(**{"address": nomad.address, "token": TOKEN, **connection}), now_s=time.now_s, pause=time.pause)


def error_of(call: Callable[[], object]) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        call()
    shown = caught.value
    assert TOKEN not in f"{shown} {shown!r} {shown.notes} {shown.hint}"
    return shown


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_path_namespace_region_and_token_are_sent_as_they_should(nomad: ScriptedServer, time: FakeClock) -> None:
    client = client_of(nomad, time, namespace="mine", region="north")
    client.call("get", "job", "a b/c%2F", "allocations")
    client.call("get", "jobs", params={"namespace": "*"})
    first, second = (urlsplit(target) for _, target in nomad.asked)
    assert first.path == "/v1/job/a%20b%2Fc%252F/allocations"
    assert dict(parse_qsl(first.query)) == {"namespace": "mine", "region": "north"}
    assert dict(parse_qsl(second.query)) == {"namespace": "*", "region": "north"}
    assert nomad.headers[0]["X-Nomad-Token"] == TOKEN


def test_without_a_token_none_is_sent(nomad: ScriptedServer, time: FakeClock) -> None:
    client_of(nomad, time, token="").call("get", "jobs")
    assert "X-Nomad-Token" not in nomad.headers[0]


def test_an_agent_of_this_machine_is_not_asked_to_compress(nomad: ScriptedServer, time: FakeClock) -> None:
    client_of(nomad, time).call("get", "jobs")
    assert nomad.headers[0]["Accept-Encoding"] == "identity"


def test_parameters_of_the_caller_are_left_alone(nomad: ScriptedServer, time: FakeClock) -> None:
    params = {"prefix": "x"}
    client_of(nomad, time, namespace="mine").call("get", "jobs", params=params)
    assert params == {"prefix": "x"}


def test_a_standing_query_sends_its_index_and_returns_the_new_one(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((200, "[1]"))
    client = client_of(nomad, time)
    assert client.blocking("allocations", params={}, index=0, wait_s=30.0) == (7, [1])
    assert client.blocking("allocations", params={}, index=5, wait_s=30.0) == (7, [1])
    assert [dict(parse_qsl(urlsplit(target).query)) for _, target in nomad.asked] == [{}, {"index": "5", "wait": "30000ms"}]


def test_an_empty_answer_is_none(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((200, ""))
    assert client_of(nomad, time).call("get", "jobs") is None


# -- answers to errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "text", "kind", "words"),
    [
        (403, "Permission denied", Denied, "Nomad denies it: Permission denied"),
        (401, "", Denied, "Nomad denies it: permission denied"),
        (500, "ACL token not found", Denied, "Nomad denies it: ACL token not found"),
        (500, "acl token lookup failed: index error", Denied, "Nomad denies it: acl token lookup failed: index error"),
        (404, "job not found", NotFound, "Nomad does not know it: job not found"),
        (500, "Enforcing job modify index 5: job exists with conflicting job modify index: 7", Conflict, "the job was changed in between"),
        (500, "Job ID contains a space", Invalid, "Job ID contains a space"),
        (400, "Failed to parse job", Invalid, "Failed to parse job"),
        (400, "", Invalid, "Nomad answered 400"),
        (500, "No path to region", Invalid, "No path to region"),
    ],
)
def test_an_answer_that_another_try_would_not_change_is_told_at_once(
    nomad: ScriptedServer, time: FakeClock, status: int, text: str, kind: type[ClusterError], words: str
) -> None:
    nomad.says((status, text))
    error = error_of(lambda: client_of(nomad, time).call("get", "job", "x", doing="reading job 'x'"))
    assert type(error) is kind
    assert error.problem.startswith(words)
    assert error.notes[0] == "while reading job 'x'"
    assert len(nomad.asked) == 1
    assert time.pauses == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (429, "too many connections"),
        (500, "No cluster leader"),
        (500, "rpc error: EOF"),
        (500, "rpc error: failed to get conn: dial tcp 10.0.0.1:4647: connect: connection refused"),
        (502, "<html>bad gateway</html>"),
        (503, ""),
        (504, "gateway timeout"),
    ],
)
def test_what_passes_is_tried_again_for_half_a_minute(nomad: ScriptedServer, time: FakeClock, status: int, text: str) -> None:
    nomad.says((status, text), (status, text), (status, text), (200, "[1]"))
    client = client_of(nomad, time)
    assert client.call("get", "jobs") == [1]
    assert len(time.pauses) == 3
    nomad.says((status, text))
    error = error_of(lambda: client.call("get", "jobs"))
    assert type(error) is Unavailable
    assert 20.0 < sum(time.pauses[3:]) < 40.0
    assert max(time.pauses) <= 5.0 * 1.25


def test_a_connection_that_breaks_after_nomad_had_answered_is_tried_again(nomad: ScriptedServer, time: FakeClock) -> None:
    client = client_of(nomad, time)
    client.call("get", "jobs")
    nomad.says((0, ""), (0, ""), (200, "[1]"))
    assert client.call("get", "jobs") == [1]


def test_a_connection_that_breaks_at_the_very_first_try_is_told(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((0, ""))
    error = error_of(lambda: client_of(nomad, time).call("get", "jobs"))
    assert type(error) is Unreachable
    assert time.pauses == []


def test_a_region_that_was_reached_before_may_come_back(nomad: ScriptedServer, time: FakeClock) -> None:
    client = client_of(nomad, time)
    nomad.says((200, "{}"), (500, "No path to region"))
    client.call("get", "job", "x", params={"region": "eu"})
    error = error_of(lambda: client.blocking("allocations", params={"region": "eu"}, index=3, wait_s=30.0))
    assert (type(error), error.problem) == (Unavailable, "Nomad has no path to region 'eu' any more")
    other = error_of(lambda: client.call("get", "job", "x", params={"region": "us"}))
    assert (type(other), other.error_code, other.problem) == (Invalid, "no-region", "No path to region 'us'")


def test_that_a_job_file_can_be_parsed_says_nothing_of_its_region(nomad: ScriptedServer, time: FakeClock) -> None:
    client = client_of(nomad, time, region="eu")
    nomad.says((200, "{}"), (500, "No path to region"))
    client.call("post", "jobs", "parse")
    assert type(error_of(lambda: client.call("get", "job", "x"))) is Invalid


def test_trouble_in_another_region_names_it(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((500, "rpc error: EOF"))
    error = error_of(lambda: client_of(nomad, time).blocking("allocations", params={"region": "eu"}, index=3, wait_s=30.0))
    assert error.problem == "Nomad cannot do it now in region 'eu' (500): rpc error: EOF"
    nomad.says((403, "Permission denied"))
    denied = error_of(lambda: client_of(nomad, time).call("get", "job", "x", params={"region": "eu", "namespace": "shop"}))
    assert "read-job in namespace 'shop' of region 'eu'" in denied.hint


def test_a_standing_query_is_never_tried_again(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((500, "No cluster leader"))
    error = error_of(lambda: client_of(nomad, time).blocking("allocations", params={}, index=3, wait_s=30.0))
    assert type(error) is Unavailable
    assert len(nomad.asked) == 1


@pytest.mark.parametrize(
    ("method", "parts", "params", "capability"),
    [
        ("post", ("jobs", "parse"), {"namespace": "mine"}, "submit-job in namespace 'mine'"),
        ("post", ("job", "x", "plan"), {}, "submit-job in namespace 'default'"),
        ("post", ("jobs",), {}, "submit-job"),
        ("delete", ("job", "x"), {}, "submit-job"),
        ("post", ("job", "x", "evaluate"), {}, "read-job"),
        ("get", ("job", "x"), {}, "read-job"),
        ("get", ("allocations",), {"namespace": "*"}, "read-job in namespace '*'"),
        ("get", ("client", "fs", "logs", "a"), {}, "read-logs"),
        ("get", ("jobs",), {}, "list-jobs"),
    ],
)
def test_a_denial_names_the_capability(
    nomad: ScriptedServer, time: FakeClock, method: str, parts: Sequence[str], params: dict[str, str], capability: str
) -> None:
    nomad.says((403, "Permission denied"))
    error = error_of(lambda: client_of(nomad, time).call(method, *parts, params=params))
    assert f"the token has to exist and have the capability {capability}" in error.hint
    error = error_of(lambda: client_of(nomad, time, token="").call(method, *parts, params=params))
    assert error.hint.startswith("give a token (NOMAD_TOKEN, --token-file)")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, "<html>", "it did not answer with JSON"),
        (200, "", "it answered with something else"),
        (200, "[]", "it answered with something else"),
        (404, "<html>not found</html>", "it answers with a web page (404)"),
        (302, "", "it sends us elsewhere"),
    ],
)
def test_what_is_not_nomad_is_told_so(nomad: ScriptedServer, time: FakeClock, status: int, body: str, why: str) -> None:
    nomad.says((status, body))
    error = error_of(lambda: client_of(nomad, time).call("post", "jobs", "parse", kind=dict))
    assert error.problem == f"what answers at {nomad.address} is not Nomad: {why}"


def test_a_redirect_does_not_take_the_token_along(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((302, ""))
    error_of(lambda: client_of(nomad, time).call("get", "jobs"))
    assert [path for _, path in nomad.asked] == ["/v1/jobs"]


def test_escape_sequences_in_an_answer_are_taken_out(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((400, "bad \x1b[31mjob\x07"))
    assert "\x1b" not in error_of(lambda: client_of(nomad, time).call("get", "jobs")).problem


# -- connections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://nomad:4646/", "http://nomad:4646"),
        ("nomad:4646", "http://nomad:4646"),
        (" https://nomad ", "https://nomad"),
        ("http://[::1]:4646", "http://[::1]:4646"),
    ],
)
def test_an_address_is_mended(address: str, url: str) -> None:
    assert Connection(address=address).url == url


@pytest.mark.parametrize(
    "address", ["", "http://", "ftp://nomad", "http://nomad:port", "http://[::1", "http://a b", "https://:4646", "://x"]
)
def test_what_is_no_address_is_told_before_anything_is_sent(time: FakeClock, address: str) -> None:
    error = error_of(lambda: NomadClient(Connection(address=address), now_s=time.now_s, pause=time.pause))
    assert error.error_code == "bad-address"


def test_a_password_in_the_address_is_not_shown(time: FakeClock) -> None:
    client = NomadClient(Connection(address="http://me:hunter2@127.0.0.1:1"), now_s=time.now_s, pause=time.pause)
    error = error_of(lambda: client.call("get", "jobs"))
    assert error.problem == "nothing listens at http://127.0.0.1:1"
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("token", ["two\nlines", "a b", "schl\u00fcssel", "nul\x00"])
def test_a_token_that_no_header_can_carry_is_not_quoted(time: FakeClock, token: str) -> None:
    error = error_of(lambda: NomadClient(Connection(token=token), now_s=time.now_s, pause=time.pause))
    assert type(error) is Denied
    assert token not in str(error)


def test_a_connection_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Connection(token=TOKEN))


def test_one_client_serves_many_threads(nomad: ScriptedServer, time: FakeClock) -> None:
    nomad.says((200, json.dumps({"ok": True})))
    client = client_of(nomad, time)
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(client.call("get", "jobs"))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"ok": True}] * 40


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_no_proxy_stands_between_us_and_this_machine(
    nomad: ScriptedServer, time: FakeClock, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    nomad.says((200, "[]"))
    assert client_of(nomad, time).call("get", "jobs") == []


def test_a_proxy_that_does_not_answer_is_named_and_nomad_is_not_blamed(
    nomad: ScriptedServer, time: FakeClock, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://u:SECRET@127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(Unreachable) as caught:
        client_of(nomad, time, address="http://nomad.example:4646").call("get", "jobs")
    expected = f"the proxy http://127.0.0.1:{closed_port}, on the way to http://nomad.example:4646, does not answer"
    assert caught.value.problem == expected
    assert "SECRET" not in str(caught.value)

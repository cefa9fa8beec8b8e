"""What the client makes of Consul's answers and sends to it, against an HTTP server on loopback; time is made up, so nothing waits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dtree.access.consul import Connection, ConsulClient, Entry, Operation, rule
from dtree.errors import StoreChanged, StoreError, StoreUnreachable
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedServer, scripted

TOKEN = "3f6a1c55-0000-4000-8000-a-secret"
ROW = {"Key": "shop/a", "Value": base64.b64encode(b"\x00x").decode(), "ModifyIndex": 7, "Flags": 0}


@pytest.fixture
def consul() -> Iterator[ScriptedServer]:
    with scripted((200, json.dumps([ROW])), {"X-Consul-Index": "9", "X-Consul-Default-ACL-Policy": "allow"}) as server:
        yield server


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


Make = Callable[..., ConsulClient]


@pytest.fixture
def client_of(consul: ScriptedServer, time: FakeClock) -> Iterator[Make]:
    """Make a client with further settings; closed afterwards."""
    made: list[ConsulClient] = []

    def make(**connection: Any) -> ConsulClient:
        known = Connection(**{"address": consul.address, "token": TOKEN, **connection})
        made.append(ConsulClient(known, now_s=time.now_s, pause=time.pause))
        return made[-1]

    yield make
    for client in made:
        client.close()


def error_of(call: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        call()
    shown = caught.value
    assert shown.hint
    assert TOKEN not in f"{shown} {shown!r} {shown.notes} {shown.hint}"
    return shown


def query(target: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(target).query))


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_the_token_travels_in_a_header_of_every_request_and_nowhere_else(
    consul: ScriptedServer, client_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # py-consul would take this one instead, and send none with a transaction.
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "another")
    client = client_of(namespace="team", partition="part")
    client.get("shop/a")
    client.tree("shop/")
    client.transact([Operation("shop/a", b"x", 7)], below="shop/")
    consul.says((200, "true"))
    client.put(Operation("shop/a", b"x", 7), below="shop/")
    assert len(consul.headers) == 4
    for headers, (_, target) in zip(consul.headers, consul.asked, strict=True):
        assert (headers["X-Consul-Token"], headers["X-Consul-Namespace"], headers["X-Consul-Partition"]) == (TOKEN, "team", "part")
        assert TOKEN not in target


def test_without_a_token_none_is_sent_even_if_the_environment_has_one(
    consul: ScriptedServer, client_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "another")
    client_of(token="").get("shop/a")
    assert "X-Consul-Token" not in consul.headers[0]


@pytest.mark.parametrize("address", ["127.0.0.1", "http://127.0.0.1:1/", "unix:///run/consul.sock", "nonsense::"])
def test_pyconsuls_own_reading_of_the_environment_does_not_matter(client_of: Make, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", address)
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    assert client_of().get("shop/a") == Entry(b"\x00x", 7)


def test_the_datacenter_and_the_consistency_are_asked_for(consul: ScriptedServer, client_of: Make) -> None:
    client = client_of(datacenter="east", consistency="stale")
    client.tree("shop/")
    client.tree("shop/", consistency="consistent")
    client.transact([Operation("shop/a", None, 7)], below="shop/")
    first, second, third = (query(target) for _, target in consul.asked)
    assert first == {"recurse": "1", "dc": "east", "stale": "1"}
    assert second == {"recurse": "1", "dc": "east", "consistent": "1"}
    assert third == {"dc": "east"}


def test_keys_are_quoted(consul: ScriptedServer, client_of: Make) -> None:
    client_of().get("shop/caf\xe9 100%?#&")
    assert consul.asked[0][1] == "/v1/kv/shop/caf%C3%A9%20100%25%3F%23%26"


def test_a_standing_query_sends_its_index_and_how_long_it_waits(consul: ScriptedServer, client_of: Make) -> None:
    assert client_of().tree("shop/", index=5, wait_s=1.5).index == 9
    assert query(consul.asked[0][1]) == {"recurse": "1", "index": "5", "wait": "1500ms"}


def test_a_transaction_names_the_index_of_each_key(consul: ScriptedServer, client_of: Make) -> None:
    client_of().transact([Operation("shop/a", b"\xff", 7), Operation("shop/new", b"", 0), Operation("shop/old", None, 3)], below="shop/")
    assert consul.asked == [("PUT", "/v1/txn")]
    assert json.loads(consul.bodies[0]) == [
        {"KV": {"Verb": "cas", "Key": "shop/a", "Value": "/w==", "Index": 7}},
        {"KV": {"Verb": "cas", "Key": "shop/new", "Value": "", "Index": 0}},
        {"KV": {"Verb": "delete-cas", "Key": "shop/old", "Index": 3}},
    ]


def test_a_login_is_for_what_stands_before_consul(consul: ScriptedServer, client_of: Make) -> None:
    client_of(login="me:pass:word").get("shop/a")
    assert consul.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"me:pass:word").decode()


# -- what is answered --------------------------------------------------------------------------------------------------


def test_a_key_is_its_bytes_and_its_index(consul: ScriptedServer, client_of: Make) -> None:
    client = client_of()
    assert client.get("shop/a") == Entry(b"\x00x", 7)
    consul.says((200, json.dumps([{**ROW, "Value": None}])))
    assert client.get("shop/a") == Entry(b"", 7)
    consul.says((404, ""))
    assert client.get("shop/a") is None
    assert client.tree("shop/").entries == {}


def test_a_tree_tells_whether_it_is_whole(consul: ScriptedServer, client_of: Make) -> None:
    tree = client_of().tree("shop/")
    assert (tree.entries, tree.is_filtered, tree.denies) == ({"shop/a": Entry(b"\x00x", 7)}, False, False)
    consul.named |= {"X-Consul-Results-Filtered-By-ACLs": "true", "X-Consul-Default-ACL-Policy": "deny"}
    tree = client_of().tree("shop/")
    assert (tree.is_filtered, tree.denies) == (True, True)


@pytest.mark.parametrize(
    ("status", "text", "code", "words"),
    [
        (403, "Permission denied: token with AccessorID 'x' lacks permission 'key:read' on \"a\"", "consul-denied", 'policy = "read"'),
        (403, "Permission denied: token with AccessorID 'x' lacks permission 'key:list' on \"a\"", "consul-denied", 'policy = "list"'),
        (403, "ACL not found", "consul-denied", "does not know the token"),
        (500, "No path to datacenter", "consul-refused", "--consul-datacenter"),
        (
            400,
            'Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
            "consul-refused",
            "not Consul Enterprise",
        ),
        (413, "Request body(9 bytes) too large, max size: 8 bytes", "consul-refused", "kv_max_value_size"),
        (400, "Client sent an HTTP request to an HTTPS server.\n", "consul-tls", "use https://"),
        (404, "<html>not here</html>", "store-unreachable", "--consul-addr"),
        (418, "<html>a teapot</html>", "store-unreachable", "--consul-addr"),
        (302, "", "store-unreachable", "--consul-addr"),
        (200, "<html>welcome</html>", "store-unreachable", "--consul-addr"),
        (200, '{"a": 1}', "store-unreachable", "--consul-addr"),
        (200, "[1]", "store-unreachable", "--consul-addr"),
        (200, '[{"Value": "x"}]', "store-unreachable", "--consul-addr"),
    ],
)
def test_a_refusal_is_told_by_its_status_and_its_text_and_not_tried_again(
    consul: ScriptedServer, client_of: Make, time: FakeClock, status: int, text: str, code: str, words: str
) -> None:
    if "html" in text:
        consul.named.clear()
    consul.says((status, text))
    error = error_of(lambda: client_of().tree("shop/"))
    assert error.error_code == code
    assert words in error.hint
    assert error.notes[0] == "while reading the keys below 'shop/'"
    assert (len(consul.asked), time.pauses) == (1, [])


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (429, "Your IP is issuing too many concurrent connections", "consul-unavailable"),
        (500, "No cluster leader", "consul-no-leader"),
        (500, "rpc error making call: EOF", "consul-unavailable"),
        (503, "service unavailable", "consul-unavailable"),
    ],
)
def test_trouble_that_passes_is_tried_again_for_a_while(
    consul: ScriptedServer, client_of: Make, time: FakeClock, status: int, text: str, code: str
) -> None:
    consul.says((status, text), (status, text), (200, json.dumps([ROW])))
    assert client_of().get("shop/a") == Entry(b"\x00x", 7)
    assert len(time.pauses) == 2
    consul.says((status, text))
    error = error_of(lambda: client_of().get("shop/a"))
    assert (type(error), error.error_code) == (StoreUnreachable, code)
    assert 15 < sum(time.pauses) < 25


def test_a_standing_query_is_not_tried_for_longer_than_it_would_have_waited(
    consul: ScriptedServer, client_of: Make, time: FakeClock
) -> None:
    consul.says((500, "No cluster leader"))
    error_of(lambda: client_of().tree("shop/", index=5, wait_s=1.0))
    assert sum(time.pauses) <= 1.0


def test_a_broken_connection_is_tried_again_only_once_consul_had_answered(consul: ScriptedServer, client_of: Make, time: FakeClock) -> None:
    consul.says((0, ""))
    assert error_of(lambda: client_of().get("shop/a")).error_code == "store-unreachable"
    assert time.pauses == []
    consul.says((200, json.dumps([ROW])), (0, ""), (0, ""), (200, json.dumps([ROW])))
    client = client_of()
    client.get("shop/a")
    assert client.get("shop/a") == Entry(b"\x00x", 7)
    assert len(time.pauses) in (1, 2)  # the first of a kept connection is tried again by urllib3 or us


@pytest.mark.parametrize(
    ("errors", "kind", "words"),
    [
        ([{"OpIndex": 1, "What": 'failed to set key "shop/b", index is stale'}], StoreChanged, "'shop/b'"),
        ([{"OpIndex": 0, "What": "Permission denied: lacks permission 'key:write' on \"shop/a\""}], StoreError, "denies"),
        ([{"OpIndex": 0, "What": "something else"}], StoreError, "something else"),
        ("nothing of the kind", StoreError, "nothing of the kind"),
    ],
)
def test_a_transaction_that_fails_says_why(
    consul: ScriptedServer, client_of: Make, errors: object, kind: type[StoreError], words: str
) -> None:
    consul.says((409, json.dumps({"Results": None, "Errors": errors})))
    error = error_of(lambda: client_of().transact([Operation("shop/a", b"", 0)], below="shop/"))
    assert type(error) is kind
    assert words in error.problem
    if "denies" in error.problem:
        assert error.hint == f"the token needs the rule {rule('shop/', 'write')}"


def test_a_key_that_was_changed_is_no_success(consul: ScriptedServer, client_of: Make) -> None:
    consul.says((200, "false"))
    assert isinstance(error_of(lambda: client_of().put(Operation("shop/a", b"", 1), below="shop/")), StoreChanged)


# -- the connection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "ssl", "url"),
    [
        ("127.0.0.1:8500", False, "http://127.0.0.1:8500"),
        ("consul.example", False, "http://consul.example:8500"),
        ("consul.example", True, "https://consul.example:8500"),
        ("consul.example:8501", True, "https://consul.example:8501"),
        ("http://consul.example/", True, "https://consul.example"),
        ("https://consul.example/under/path/", False, "https://consul.example/under/path"),
        (" [::1]:8500 ", False, "http://[::1]:8500"),
        ("unix:///run/consul.sock", True, "unix:///run/consul.sock"),
    ],
)
def test_an_address_becomes_a_url(address: str, ssl: bool, url: str) -> None:  # noqa: FBT001 - a parameter of the test
    assert Connection(address=address, ssl=ssl).url == url


@pytest.mark.parametrize(
    "address", ["", "ftp://x:1", "http://", "127.0.0.1:port", "[::1", "a b:1", "127.0.0.1:99999", "unix://run/x", "http://a:0"]
)
def test_an_address_that_is_none_is_told(address: str) -> None:
    assert error_of(lambda: ConsulClient(Connection(address=address))).error_code == "consul-bad-setting"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"consistency": "fast"}, "--consul-consistency is 'fast'"),
        ({"login": "justme"}, "CONSUL_HTTP_AUTH has no colon"),
        ({"token": f"{TOKEN} {TOKEN}"}, "characters that no token has"),
        ({"token": f"{TOKEN}\n"}, "characters that no token has"),
        ({"namespace": "a\r\nX-Evil: 1"}, "no name of a namespace"),
        ({"partition": "\xe9"}, "no name of a partition"),
        ({"datacenter": "a b"}, "no name of a datacenter"),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_anything_is_sent(given: dict[str, str], words: str) -> None:
    error = error_of(lambda: ConsulClient(Connection(**given)))  # type: ignore[arg-type] # all of these are texts
    assert error.error_code == "consul-bad-setting"
    assert words in error.problem


def test_secrets_in_an_address_are_not_shown(client_of: Make) -> None:
    error = error_of(lambda: client_of(address=f"http://me:{TOKEN}@127.0.0.1:1").get("a"))
    assert "nothing listens at http://127.0.0.1:1" in error.problem
    assert TOKEN not in repr(Connection(token=TOKEN, login=f"me:{TOKEN}"))


def test_a_socket_that_is_not_there_is_told(client_of: Make) -> None:
    assert (
        "nothing listens at unix:///nowhere/consul.sock"
        in error_of(lambda: client_of(address="unix:///nowhere/consul.sock").get("a")).problem
    )


def test_a_rule_is_written_as_a_policy_has_it() -> None:
    assert rule('a"b/', "read") == 'key_prefix "a\\"b/" { policy = "read" }'

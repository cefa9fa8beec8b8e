"""What is asked of others than Nomad's lists, against servers on loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from dtree.access import tcp
from dtree.access.consul import Connection as ConsulConnection
from dtree.access.consul import ConsulClient
from dtree.access.nomad import Connection, NomadClient
from dtree.access.web import Web
from dtree.cluster.decode import consul_instances
from dtree.errors import Denied, NotAnswered, StoreError, Unreachable
from dtree.model import CheckResult
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import ScriptedServer, scripted

ALLOC = "0a6d9b5e-3f0c-4b7e-9c1d-2f8a7b6c5d4e"
INSTANCE = {
    "Service": {"ID": f"_nomad-task-{ALLOC}-group-main-web-http", "Service": "web"},
    "Checks": [
        {"Name": "Serf Health Status", "Status": "passing", "Output": "Agent alive and reachable"},
        {"Name": "alive", "Status": "critical", "Output": None},
    ],
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted((200, "body"), {"X-Consul-Index": "9"}) as server:
        yield server


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def web(timeout_s: float = 5.0) -> Web:
    time = FakeClock()
    return Web(now_s=time.now_s, pause=time.pause, until_s=timeout_s)


def nomad(server: ScriptedServer) -> NomadClient:
    time = FakeClock()
    return NomadClient(Connection(address=server.address), now_s=time.now_s, pause=time.pause)


# -- http --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500, 503])
def test_any_status_is_an_answer_and_a_redirect_is_not_followed(server: ScriptedServer, status: int) -> None:
    server.says((status, "x" * (0 if status == 204 else 2000)))
    assert web().status(f"{server.address}/up?token=t") == status
    assert server.asked == [("GET", "/up?token=t")]


def test_a_server_that_hangs_up_has_not_answered(server: ScriptedServer) -> None:
    server.says((0, ""))
    with pytest.raises(NotAnswered, match="broke"):
        web().status(server.address)


def test_a_server_that_says_nothing_is_not_waited_for_long(listener: socket.socket) -> None:
    with pytest.raises(NotAnswered, match="did not answer in time"):
        web(timeout_s=0.2).status(f"http://127.0.0.1:{listener.getsockname()[1]}/")


def test_an_address_where_nothing_listens_does_not_answer(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(NotAnswered, match="nothing listens there"):
        web().status(f"https://127.0.0.1:{port}/")


# -- tcp ---------------------------------------------------------------------------------------------------------------


def test_a_connection_is_accepted_or_not(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    tcp.connect("127.0.0.1", port, timeout_s=5)
    listener.close()
    with pytest.raises(NotAnswered, match="nothing listens there"):
        tcp.connect("127.0.0.1", port, timeout_s=5)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70])
def test_a_host_that_nobody_knows_is_told(host: str) -> None:
    with pytest.raises(NotAnswered, match="is not known"):
        tcp.connect(host, 80, timeout_s=5)


def test_an_address_that_cannot_be_reached_is_told() -> None:
    with pytest.raises(NotAnswered, match=r"cannot be reached|did not answer"):
        tcp.connect("255.255.255.255", 80, timeout_s=0.2)


# -- pieces of Nomad's answers -----------------------------------------------------------------------------------------


def test_of_a_long_log_only_a_piece_is_read(server: ScriptedServer) -> None:
    server.says((200, "x" * 5000))
    assert nomad(server).piece("client", "fs", "logs", ALLOC, params={"offset": "7"}, most_bytes=1000) == b"x" * 1000


def test_a_log_that_comes_in_chunks_is_one_piece(listener: socket.socket) -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head + b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    thread = Thread(target=answer)
    thread.start()
    time = FakeClock()
    client = NomadClient(Connection(address=f"http://127.0.0.1:{listener.getsockname()[1]}"), now_s=time.now_s, pause=time.pause)
    assert client.piece("client", "fs", "logs", ALLOC, params={}, most_bytes=8) == b"onetwoth"
    thread.join()


def test_the_end_of_a_log_is_an_empty_piece(server: ScriptedServer) -> None:
    server.says((200, ""))
    assert nomad(server).piece("client", "fs", "logs", ALLOC, params={}, most_bytes=1000) == b""


def test_a_log_that_may_not_be_read_or_cannot_is_told(server: ScriptedServer) -> None:
    server.says((403, "Permission denied"))
    with pytest.raises(Denied) as caught:
        nomad(server).piece("client", "fs", "logs", ALLOC, params={}, most_bytes=1000)
    assert "read-logs" in caught.value.hint
    server.says((0, ""))
    with pytest.raises(Unreachable):
        nomad(server).piece("client", "fs", "logs", ALLOC, params={}, most_bytes=1000)


# -- Consul's catalogue ------------------------------------------------------------------------------------------------


def test_instances_in_consul_are_those_of_allocations_with_all_their_checks() -> None:
    by_hand: dict[str, Any] = {"Service": {"ID": "web-1", "Service": "web"}, "Checks": []}
    assert consul_instances([by_hand, INSTANCE]) == {
        ALLOC: (
            CheckResult("Serf Health Status", "success", "Agent alive and reachable", service="web"),
            CheckResult("alive", "critical", "", service="web"),
        )
    }


def test_two_ports_of_an_allocation_are_one_instance_with_the_checks_of_both() -> None:
    assert len(consul_instances([INSTANCE, INSTANCE])[ALLOC]) == 4


def test_consul_is_asked_for_all_instances_by_a_quoted_name(server: ScriptedServer) -> None:
    server.says((200, json.dumps([INSTANCE])))
    client = ConsulClient(ConsulConnection(address=server.address))
    try:
        assert client.instances("a?b c") == [INSTANCE]
    finally:
        client.close()
    assert server.asked[0][1].startswith("/v1/health/service/a%3Fb%20c")


def test_what_consul_leaves_out_for_the_token_is_told() -> None:
    with scripted((200, "[]"), {"X-Consul-Index": "9", "X-Consul-Results-Filtered-By-ACLs": "true"}) as server:
        client = ConsulClient(ConsulConnection(address=server.address))
        with pytest.raises(StoreError) as caught:
            client.instances("web")
        client.close()
    assert caught.value.error_code == "consul-denied"
    assert 'service "web" { policy = "read" }' in caught.value.hint

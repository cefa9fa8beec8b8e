"""A loopback proxy that stands between the program and an agent and misbehaves on demand."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import parse_qs, urlsplit

_PIECE: Final = 65536
_REQUEST: Final = re.compile(rb"^(GET|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)

Fate = Literal["pass", "reset", "lose-answer", "hang"] | bytes
"""What becomes of a request: bytes are sent back as the answer instead of Nomad's."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the program asked for."""

    method: str
    target: str

    @property
    def is_blocking(self) -> bool:
        """A standing query: Nomad holds its answer until something changes."""
        return "&index=" in self.target or "?index=" in self.target

    @property
    def list(self) -> str:
        """The path, and the region where one is named."""
        region = "".join(parse_qs(urlsplit(self.target).query).get("region", ()))
        return self.target.partition("?")[0] + (f" in {region}" if region else "")

    def is_for(self, method: str, path: str) -> bool:
        """Whether it is of that method and path."""
        return (self.method, self.target.partition("?")[0]) == (method, path)


Decide = Callable[[Request], Fate]


@dataclass
class Proxy:
    """Forwards connections to `address`, and asks `fate` about each request.

    Without a `fate` it passes on bytes, whatever they are, TLS too.

    Attributes:
        fate: decides about a request; may be replaced at any time.
        requests: all so far, in order.
        open: connections now; `most_open`: at most so far.
        most_standing: by list, how many standing queries for it were open at once, at most so far.
    """

    target: str
    host: str = "127.0.0.1"
    fate: Decide | None = None
    requests: list[Request] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    accepted: int = 0
    most_standing: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._held: dict[socket.socket, Request] = {}
        self._closed = threading.Event()
        self._listener = socket.create_server((self.host, 0))
        self._spawn(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()

    @property
    def address(self) -> str:
        """What the program is told to talk to."""
        return f"{urlsplit(self.target).scheme}://{self.host}:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Be gone for good: nothing listens any more, all connections are reset."""
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset_all()

    def reset_all(self) -> None:
        """Reset every open connection."""
        with self._lock:
            for one in self._sockets:
                _reset(one)

    def seen(self, method: str, path: str) -> int:
        """Count the requests so far of that method and path."""
        return sum(one.is_for(method, path) for one in self.requests)

    def held(self) -> list[Request]:
        """Return the requests that Nomad has not answered yet."""
        with self._lock:
            return list(self._held.values())

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(lambda client=client: self._serve(client))  # type: ignore[misc]

    def _serve(self, client: socket.socket) -> None:
        parts = urlsplit(self.target)
        try:
            server = socket.create_connection((parts.hostname or "", parts.port or 0))
        except OSError:
            _reset(client)
            return
        with self._lock:
            self._sockets |= {client, server}
            self.accepted += 1
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            if self.fate is None:
                self._spawn(lambda: _pump(server, client))
                _pump(client, server)
            else:
                self._talk(client, server)
        finally:
            with self._lock:
                self._sockets -= {client, server}
                self.open -= 1
            for one in (client, server):
                one.close()

    def _talk(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on one request and its answer after the other: the program pipelines nothing."""
        with suppress(OSError):
            while (message := _read_request(client)) is not None:
                request = _request(message)
                with self._lock:
                    self.requests.append(request)
                fate = self.fate(request) if self.fate is not None else "pass"
                if isinstance(fate, bytes):
                    client.sendall(fate)
                elif fate == "reset":
                    _reset(client)
                    return
                elif fate == "hang":
                    self._closed.wait()
                    return
                else:
                    answer = self._ask(server, client, request, message)
                    if fate == "lose-answer":
                        _reset(client)
                        return
                    client.sendall(answer)

    def _ask(self, server: socket.socket, client: socket.socket, request: Request, message: bytes) -> bytes:
        with self._lock:
            self._held[client] = request
            if request.is_blocking:
                standing = sum(one.is_blocking and one.list == request.list for one in self._held.values())
                self.most_standing[request.list] = max(self.most_standing[request.list], standing)
        try:
            server.sendall(message)
            return _read_answer(server, client)
        finally:
            with self._lock:
                del self._held[client]

    def _spawn(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()


def only(fate: Fate, method: str, path: str, *, times: int | None = None) -> Decide:
    """Meet the requests of that method and path with `fate`; None for all of them."""
    lock = threading.Lock()
    met = 0

    def decide(request: Request) -> Fate:
        nonlocal met
        with lock:
            if not request.is_for(method, path) or met == times:
                return "pass"
            met += 1
            return fate

    return decide


def answer(status: int, text: str) -> bytes:
    """Write an HTTP answer of plain text."""
    body = text.encode()
    return b"HTTP/1.1 %d X\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def _request(message: bytes) -> Request:
    line = _REQUEST.match(message)
    assert line is not None, message[:200]
    return Request(line[1].decode(), line[2].decode())


def _read_request(client: socket.socket) -> bytes | None:
    message = _read_head(client)
    return None if message is None else _read_body(client, message)


def _read_answer(server: socket.socket, client: socket.socket) -> bytes:
    """Read Nomad's whole answer; give up when the program hangs up meanwhile, as it does at the end of a run."""
    server.settimeout(0.2)
    message = b""
    while b"\r\n\r\n" not in message:
        try:
            piece = server.recv(_PIECE)
        except TimeoutError:
            if _has_hung_up(client):
                raise ConnectionError from None
            continue
        if not piece:
            raise ConnectionError
        message += piece
    server.settimeout(30.0)
    if b"transfer-encoding: chunked" in message.lower():
        while not message.endswith(b"0\r\n\r\n"):
            message += _some(server)
        return message
    return _read_body(server, message)


def _read_head(source: socket.socket) -> bytes | None:
    message = b""
    while b"\r\n\r\n" not in message:
        piece = source.recv(_PIECE)
        if not piece:
            return None
        message += piece
    return message


def _read_body(source: socket.socket, message: bytes) -> bytes:
    head, _, body = message.partition(b"\r\n\r\n")
    found = _LENGTH.search(head + b"\r\n")
    while len(body) < (int(found[1]) if found else 0):
        body += _some(source)
    return head + b"\r\n\r\n" + body


def _some(source: socket.socket) -> bytes:
    piece = source.recv(_PIECE)
    if not piece:
        raise ConnectionError
    return piece


def _has_hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _reset(one: socket.socket) -> None:
    """End a connection with RST instead of FIN."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)
        one.close()

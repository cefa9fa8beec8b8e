"""HTTP on loopback for the length of a `with` block, and a server that answers what a test tells it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Have `handler` answer, each request in a thread of its own; yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class ScriptedServer:
    """Answers each request with the next of `answers`, the last one for ever; remembers what it was asked.

    Args:
        answer: the first answer: status and body. Status 0 hangs up without a word, 302 leads elsewhere on this server.
        named: header fields of every answer.

    Attributes:
        asked: method and target of every request.
        headers, bodies: what came with it.
    """

    def __init__(self, answer: tuple[int, str], named: Mapping[str, str]) -> None:
        self.address = ""
        self.answers = [answer]
        self.named = dict(named)
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    def says(self, *answers: tuple[int, str]) -> None:
        self.answers[:] = answers

    def next(self) -> tuple[int, str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted(answer: tuple[int, str], named: Mapping[str, str]) -> Iterator[ScriptedServer]:
    """Run a `ScriptedServer`."""
    script = ScriptedServer(answer, named)
    with serving(partial(_Scripted, script)) as script.address:
        yield script


class _Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, script: ScriptedServer, *connection: object) -> None:
        self._script = script
        super().__init__(*connection)  # type: ignore[arg-type] # what the server hands over; the base class answers at once

    def _answer(self) -> None:
        script = self._script
        script.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        script.asked.append((self.command, self.path))
        script.headers.append(dict(self.headers))
        status, body = script.next()
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in script.named.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        if status == 302:
            self.send_header("Location", f"{script.address}/elsewhere")
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        pass

"""Git repositories behind git's own HTTP backend, on this machine."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from tests.fakes.repositories import NOBODYS, commit_files, git, make_repository


@dataclass
class GitServer:
    """A server of all repositories below a folder.

    Attributes:
        address: as `127.0.0.1:40123`.
        login: `name:password` that it wants; "" for none.
        status: what it answers to everything in place of serving; 0 to serve.
        plain: it serves files, and does not know git.
        requests: method and path of each request, in order.
    """

    root: Path
    address: str = ""
    login: str = ""
    status: int = 0
    plain: bool = False
    requests: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        """Address of a repository."""
        return f"http://{self.address}/{name}"


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """Serve the repositories below a folder until the block ends."""
    served = GitServer(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, served)

        do_POST = do_GET  # noqa: N815 - as http.server wants it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.address = f"127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def served_repository(server: GitServer, files: Mapping[str, bytes], *options: str) -> Path:
    """Make a repository that gives parts of itself, as those of the known hosters do."""
    folder = make_repository(server.root / "shop.git", "--bare", *options)
    git(folder, "config", "uploadpack.allowFilter", "true")
    commit_files(folder, files)
    return folder


def _answer(request: BaseHTTPRequestHandler, served: GitServer) -> None:
    served.requests.append(f"{request.command} {request.path}")
    body = _body(request)
    wanted = "Basic " + base64.b64encode(served.login.encode()).decode()
    if served.login and request.headers.get("Authorization") != wanted:
        request.send_response(401)
        request.send_header("WWW-Authenticate", 'Basic realm="git"')
        request.end_headers()
        return
    if served.status:
        request.send_response(served.status)
        request.end_headers()
        return
    head, _, content = _backend(request, served, body).partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
    request.send_response(int(fields.pop("Status", "200").split()[0]))
    for name, value in fields.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(content)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    chunks = []
    while size := int(request.rfile.readline(), 16):
        chunks.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(chunks)


def _backend(request: BaseHTTPRequestHandler, served: GitServer, body: bytes) -> bytes:
    address = urlsplit(request.path)
    environ = {
        **os.environ,
        **NOBODYS,
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(served.root),
        "REQUEST_METHOD": request.command,
        "PATH_INFO": address.path,
        "QUERY_STRING": "" if served.plain else address.query,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    return subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=False, timeout=60).stdout

"""Servers of artifacts on loopback: one of files with habits of their own, one of images as the distribution API has them."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http_server import serving

INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Page:
    """What a path of a server of files answers.

    Attributes:
        get, head: the status of each; `head` None for that of `get`, 0 to hang up without a word.
        location: where it leads.
        wants: header fields without which it answers 401.
        wants_query: the query without which it answers 403, as a signed address does.
    """

    get: int = 200
    head: int | None = None
    location: str = ""
    wants: Mapping[str, str] = field(default_factory=dict)
    wants_query: str = ""


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    target: str
    headers: dict[str, str]


class FileServer:
    """Answers by `pages`; 404 for all others. Remembers what it was asked."""

    def __init__(self) -> None:
        self.address = ""
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []

    def methods(self, path: str) -> list[str]:
        return [one.method for one in self.asked if urlsplit(one.target).path == path]

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(asked)
        parts = urlsplit(asked.target)
        page = self.pages.get(parts.path, Page(get=404))
        if any(asked.headers.get(name) != value for name, value in page.wants.items()):
            return 401, {}, b""
        if page.wants_query and parts.query != page.wants_query:
            return 403, {}, b""
        status = page.head if asked.method == "HEAD" and page.head is not None else page.get
        return status, {"Location": page.location} if page.location else {}, b"the file" if status == 200 else b""


class Registry:
    """Images by repository and tag, each a manifest; repositories of `locked` are given to nobody without a login.

    Attributes:
        tokens: whether it sends to its own `/token` for one first, as public registries do.
        digests: whether it names a manifest's digest in a header.
    """

    def __init__(self, *, tokens: bool = True, digests: bool = True) -> None:
        self.address = ""
        self.tokens = tokens
        self.digests = digests
        self.images: dict[tuple[str, str], bytes] = {}
        self.locked: set[str] = set()
        self.asked: list[Asked] = []

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    def push(self, repository: str, tag: str) -> str:
        """Add an image; return its digest."""
        manifest = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "annotations": {"of": f"{repository}:{tag}"}}).encode()
        digest = _digest(manifest)
        self.images[repository, tag] = self.images[repository, digest] = manifest
        return digest

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(asked)
        parts = urlsplit(asked.target)
        if parts.path == "/token":
            return self._token(parse_qs(parts.query)["scope"][0])
        found = re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", parts.path)
        if found is None:
            return 404, {}, b"page not found"
        repository, reference = found.groups()
        if self.tokens and asked.headers.get("Authorization") != f"Bearer pull-{repository}":
            offer = f'Bearer realm="{self.address}/token",service="fake",scope="repository:{repository}:pull"'
            return 401, {"WWW-Authenticate": offer}, _error("UNAUTHORIZED")
        if not any(known == repository for known, _ in self.images):
            return 404, {}, _error("NAME_UNKNOWN")
        manifest = self.images.get((repository, reference))
        if manifest is None or INDEX not in asked.headers.get("Accept", ""):
            return 404, {}, _error("MANIFEST_UNKNOWN")
        return 200, {"Content-Type": INDEX, **({"Docker-Content-Digest": _digest(manifest)} if self.digests else {})}, manifest

    def _token(self, scope: str) -> tuple[int, dict[str, str], bytes]:
        repository = scope.split(":")[1]
        if repository in self.locked:
            return 403, {}, _error("DENIED")
        return 200, {}, json.dumps({"token": f"pull-{repository}"}).encode()


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run a `FileServer`."""
    server = FileServer()
    with serving(partial(_Handler, server)) as server.address:
        yield server


@contextmanager
def file_server_with_tls(cert_file: Path, key_file: Path) -> Iterator[FileServer]:
    """Run a `FileServer` that speaks https, with the certificate in these files."""
    server = FileServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, server)) as listener:
        # The handshake is the thread's of that connection, so that one that nobody ends keeps nobody waiting.
        listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=partial(listener.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            server.address = f"https://localhost:{listener.server_port}"
            yield server
        finally:
            listener.shutdown()
            thread.join()


@contextmanager
def registry(*, tokens: bool = True, digests: bool = True) -> Iterator[Registry]:
    """Run a `Registry`."""
    server = Registry(tokens=tokens, digests=digests)
    with serving(partial(_Handler, server)) as server.address:
        yield server


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, server: FileServer | Registry, *connection: object) -> None:
        self._of = server
        super().__init__(*connection)  # type: ignore[arg-type] # what the server hands over; the base class answers at once

    def handle(self) -> None:
        try:
            super().handle()
        except ssl.SSLError:
            self.close_connection = True  # who does not trust the certificate hangs up

    def _answer(self) -> None:
        status, headers, body = self._of.answer(Asked(self.command, self.path, dict(self.headers)))
        if status == 0:
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = _answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        pass


def _digest(manifest: bytes) -> str:
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code}]}).encode()

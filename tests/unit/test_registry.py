"""Names of images, and what registries say of them: against a registry on loopback."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from dtree.access.registry import Image, digest_of, find_digests, parse_image
from dtree.errors import NotAnswered
from tests.fakes.artifact_server import file_server, registry
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import serving

_DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis", "https://registry-1.docker.io/v2/library/redis/manifests/latest"),
        ("redis:7-alpine", "https://registry-1.docker.io/v2/library/redis/manifests/7-alpine"),
        ("grafana/grafana:11.2.0", "https://registry-1.docker.io/v2/grafana/grafana/manifests/11.2.0"),
        ("docker.io/redis:7", "https://registry-1.docker.io/v2/library/redis/manifests/7"),
        ("index.docker.io/grafana/grafana", "https://registry-1.docker.io/v2/grafana/grafana/manifests/latest"),
        ("ghcr.io/org/team/app:v1", "https://ghcr.io/v2/org/team/app/manifests/v1"),
        ("https://ghcr.io/org/app:v1", "https://ghcr.io/v2/org/app/manifests/v1"),
        ("registry.example:5000/app", "https://registry.example:5000/v2/app/manifests/latest"),
        ("localhost:5000/app:1", "http://localhost:5000/v2/app/manifests/1"),
        ("localhost/app", "http://localhost/v2/app/manifests/latest"),
        ("127.0.0.1:5000/app", "http://127.0.0.1:5000/v2/app/manifests/latest"),
        ("[::1]:5000/app", "http://[::1]:5000/v2/app/manifests/latest"),
        (f"redis@{_DIGEST}", f"https://registry-1.docker.io/v2/library/redis/manifests/{_DIGEST}"),
        (f"ghcr.io/org/app:v1@{_DIGEST}", f"https://ghcr.io/v2/org/app/manifests/{_DIGEST}"),
    ],
)
def test_a_name_of_an_image_says_where_its_manifest_is(text: str, url: str) -> None:
    image = parse_image(text)
    assert isinstance(image, Image)
    assert image.manifest_url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Redis",
        "redis:",
        "redis:a b",
        "me:secret@host/app",
        "../app",
        "host.example/../app",
        "a//b",
        "app@sha256:12",
        "ho st/app",
        "-x/y",
    ],
)
def test_what_is_no_name_of_an_image_is_none(text: str) -> None:
    assert parse_image(text) is None


def test_only_a_name_with_a_host_says_which_registry_is_meant() -> None:
    found = {text: image.is_short for text in ("redis", "org/app", "docker.io/org/app", "localhost/app") if (image := parse_image(text))}
    assert found == {"redis": True, "org/app": True, "docker.io/org/app": False, "localhost/app": False}


def _digest_of(image: str) -> str | None:
    clock = FakeClock()
    return digest_of(image, now_s=clock.now_s, pause=clock.pause)


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("digests", [True, False])
def test_a_tag_is_resolved_to_the_digest_of_what_it_stands_for(*, tokens: bool, digests: bool) -> None:
    with registry(tokens=tokens, digests=digests) as server:
        digest = server.push("team/app", "1.4.2")
        assert _digest_of(f"{server.host}/team/app:1.4.2") == digest
        assert _digest_of(f"{server.host}/team/app@{digest}") == digest


def test_a_digest_that_a_header_names_is_not_fetched() -> None:
    with registry() as server:
        server.push("app", "1")
        _digest_of(f"{server.host}/app:1")
        assert [one.method for one in server.asked if "/manifests/" in one.target] == ["HEAD", "HEAD"]


def test_neither_an_unknown_tag_nor_an_unknown_repository_has_a_digest() -> None:
    with registry() as server:
        server.push("app", "1")
        assert _digest_of(f"{server.host}/app:2") is None
        assert _digest_of(f"{server.host}/other:1") is None
        assert _digest_of(f"{server.host}/app@{_DIGEST}") is None


def test_what_is_only_for_who_has_logged_in_is_not_answered() -> None:
    with registry() as server:
        server.push("app", "1")
        server.locked.add("app")
        with pytest.raises(NotAnswered, match=rf"registry of '{server.host}/app:1' does not tell its digest: it wants a login.*403"):
            _digest_of(f"{server.host}/app:1")


def test_a_registry_that_is_not_there_is_not_answered() -> None:
    with registry() as server:
        host = server.host
    with pytest.raises(NotAnswered, match="nothing listens there"):
        _digest_of(f"{host}/app:1")


def test_what_is_no_name_of_an_image_is_not_asked() -> None:
    with pytest.raises(NotAnswered, match="'NO' is no name of an image"):
        _digest_of("NO")


def test_a_token_goes_to_nobody_that_the_registry_leads_to() -> None:
    with registry() as server, file_server() as elsewhere:
        server.push("app", "1")
        plain = server.answer
        location = f"{elsewhere.address}/manifest"
        server.answer = lambda asked: (307, {"Location": location}, b"") if "Authorization" in asked.headers else plain(asked)  # type: ignore[method-assign]
        with pytest.raises(NotAnswered, match="another host that it leads to, and that was given no token, answered 404"):
            _digest_of(f"{server.host}/app:1")
        assert [one.headers.get("Authorization") for one in elsewhere.asked] == [None, None]


def test_names_are_resolved_together_and_who_drips_keeps_nobody_waiting() -> None:
    over = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
            while not over.wait(0.02):
                self.wfile.write(b".")

        do_GET = do_HEAD = _answer  # noqa: N815 - the base class's names

    with registry() as server, serving(Dripping) as address:
        digest = server.push("app", "1")
        good, bad, slow = f"{server.host}/app:1", f"{server.host}/app:2", f"{address.removeprefix('http://')}/app:1"
        found, missing = find_digests([slow, good, bad], now_s=time.monotonic, pause=time.sleep, limit_s=2.0)
        over.set()
    late = "no answer within the 2 s that all the asking may take"
    assert (found, missing) == ({good: digest}, {slow: late, bad: "the registry has no such image"})

"""Image registries: is there such an image, and what is its digest? By the distribution API, as anybody may ask.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from dtree.access.addresses import is_http, is_loopback
from dtree.access.at_once import do_in_time
from dtree.access.web import Question, Reply, Web
from dtree.errors import NotAnswered

__all__ = ["LIMIT_S", "Image", "digest_of", "find_digests", "manifest_digest", "parse_image"]

_HUB: Final = "registry-1.docker.io"
_HUB_NAMES: Final = ("docker.io", "index.docker.io", _HUB)
_LIMIT_S: Final = 30.0
LIMIT_S: Final = 60.0
"""How long all images together may take."""
_AT_ONCE: Final = 8
_MOST_BYTES: Final = 4 * 1024 * 1024
"""Registries take no larger manifests."""
_MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""The media types of what a name may stand for: an index of platforms, or one image."""
_REFERENCE: Final = re.compile(
    r"(?P<name>[^@\s]+?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,}))?", re.ASCII
)
_PATH: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?")
_DIGEST: Final = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}")
_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_GONE: Final = (404, 410)


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its full name.

    Attributes:
        host: of the registry, with its port.
        path: of the repository there.
        reference: tag or digest.
        is_short: the name does not say which registry; the host is Docker's own then.
    """

    host: str
    path: str
    reference: str
    is_short: bool = False

    @property
    def manifest_url(self) -> str:
        """Where its manifest is; registries of this machine itself are asked without TLS, as Docker does."""
        scheme = "http" if is_loopback(f"//{self.host}") else "https"
        return f"{scheme}://{self.host}/v2/{self.path}/manifests/{self.reference}"


def parse_image(text: str) -> Image | None:
    """Read an image's name as Docker does; None where it is none.

    >>> parse_image("redis:7")
    Image(host='registry-1.docker.io', path='library/redis', reference='7', is_short=True)
    """
    parts = _REFERENCE.fullmatch(text.removeprefix("https://"))
    if parts is None:
        return None
    first, _, rest = parts["name"].partition("/")
    is_short = not rest or not ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host, path = (_HUB, parts["name"]) if is_short else (first, rest)
    if host in _HUB_NAMES:
        host, path = _HUB, path if "/" in path else f"library/{path}"
    if not (_PATH.fullmatch(path) and _HOST.fullmatch(host) and is_http(f"https://{host}")):
        return None
    return Image(host, path, parts["digest"] or parts["tag"] or "latest", is_short=is_short)


def digest_of(image: str, *, now_s: Callable[[], float], pause: Callable[[float], None], limit_s: float = _LIMIT_S) -> str | None:
    """Resolve the name of an image, such as `redis:7`, to the digest of what it stands for now.

    Args:
        now_s: monotonic seconds, as of the clock.
        limit_s: after that nothing more is asked; who cannot wait for an answer that drips asks by `find_digests`.

    Returns:
        `sha256:...`; None where the registry says that there is no such image.

    Raises:
        NotAnswered: the registry does not say: it cannot be reached, wants a login, or the name is none.

    Effects: reads from the registry.
    """
    known = parse_image(image)
    if known is None:
        raise NotAnswered(f"'{image}' is no name of an image")
    try:
        return manifest_digest(known, Web(now_s=now_s, pause=pause, until_s=now_s() + limit_s))
    except NotAnswered as error:
        raise NotAnswered(f"the registry of '{image}' does not tell its digest: {error.problem}", code=error.error_code) from error


def find_digests(
    images: Sequence[str], *, now_s: Callable[[], float], pause: Callable[[float], None], limit_s: float = LIMIT_S
) -> tuple[dict[str, str], dict[str, str]]:
    """Resolve names of images, some at once, and wait no longer than that for all of them, whatever a registry does.

    Args:
        now_s: monotonic seconds, as of the clock.
        limit_s: for how long it is waited at most.

    Returns:
        (the digests, why the others have none), both by image.

    Effects: reads from the registries.
    """

    def ask(image: str) -> tuple[str, str]:
        try:
            return digest_of(image, now_s=now_s, pause=pause) or "", "the registry has no such image"
        except NotAnswered as error:
            return "", error.problem

    late = "", f"no answer within the {limit_s:g} s that all the asking may take"
    told = do_in_time(ask, images, at_once=_AT_ONCE, limit_s=limit_s, now_s=now_s, otherwise=late)
    answers = dict(zip(images, told, strict=True))
    found = {image: digest for image, (digest, _) in answers.items() if digest}
    return found, {image: why for image, (digest, why) in answers.items() if not digest}


def manifest_digest(image: Image, web: Web) -> str | None:
    """Return the digest of an image's manifest, or of its index of platforms; None where there is none.

    HEAD is asked first: it does not count against the limits that registries set on pulls.

    Raises:
        NotAnswered: the registry does not say.

    Effects: reads from the registry.
    """
    headers = {"Accept": ", ".join(_MANIFESTS)}
    reply, secrets = _authorized(Question("HEAD", image.manifest_url, headers), image, web)
    if reply.status == _OK and (digest := _told_digest(reply)):
        return digest
    # Only now the body counts: it says why not, or the digest is worked out from it.
    reply, _ = _authorized(Question("GET", image.manifest_url, headers, secrets, most_bytes=_MOST_BYTES), image, web)
    if reply.status == _OK:
        return _told_digest(reply) or f"sha256:{hashlib.sha256(reply.body).hexdigest()}"
    if reply.status in _GONE and not reply.withheld:
        return None
    raise NotAnswered(_why(reply))


def _authorized(question: Question, image: Image, web: Web) -> tuple[Reply, Mapping[str, str]]:
    """Ask, and once more with a token where the registry says who hands one out to anybody; return the answer and what was sent."""
    reply = web.ask(question)
    realm = _token_url(reply, image) if reply.status == _UNAUTHORIZED and not question.secrets else ""
    if not realm:
        return reply, question.secrets
    if question.url.startswith("https:") and not realm.startswith("https:"):
        raise NotAnswered("it sends us for a token from https to http, which is not followed")
    given = web.ask(Question("GET", realm, most_bytes=_MOST_BYTES))
    if given.status != _OK:
        raise NotAnswered(f"it wants a login: no token without one ({given.status})")
    secrets = {"Authorization": f"Bearer {_token(given.body)}"}
    answered = web.ask(
        Question(question.method, question.url, question.headers, secrets, skip_verify=question.skip_verify, most_bytes=question.most_bytes)
    )
    return answered, secrets


def _token_url(reply: Reply, image: Image) -> str:
    """Return who hands out tokens, with what has to be asked; "" where the registry does not say."""
    scheme, _, rest = reply.headers.get("WWW-Authenticate", "").partition(" ")
    named = dict(_PARAMETER.findall(rest))
    realm = named.get("realm", "")
    if scheme.lower() != "bearer" or not is_http(realm):
        return ""
    asked = {"service": named.get("service", ""), "scope": named.get("scope") or f"repository:{image.path}:pull"}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{realm}{'&' if urlsplit(realm).query else '?'}{query}"


def _token(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    found = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found.isascii() or not found.isprintable():
        raise NotAnswered("what should hand out a token does not")
    return found


def _told_digest(reply: Reply) -> str:
    """Return what the registry says the digest is, "" where it says nothing that can be one."""
    told = reply.headers.get("Docker-Content-Digest", "")
    return told if _DIGEST.fullmatch(told) else ""


def _why(reply: Reply) -> str:
    if reply.status in (_UNAUTHORIZED, 403):
        return f"it wants a login ({reply.status})"
    if reply.withheld:
        return f"another host that it leads to, and that was given no token, answered {reply.status}"
    return f"it answered {reply.status}"

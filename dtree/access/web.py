"""Asking web servers that nobody set us up for, such as those of artifacts: redirects with care, and secrets stay with their host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit

from dtree.access import http
from dtree.access.addresses import is_http, without_secrets
from dtree.access.answers import clean
from dtree.access.retries import ask_again
from dtree.access.tls import tls_trouble
from dtree.errors import NotAnswered

__all__ = ["Passing", "Question", "Reply", "Web"]

_READ_S: Final = 10.0
_ASK_AGAIN_FOR_S: Final = 3.0
_MOST_REDIRECTS: Final = 10
_PASSING: Final = (429, 500, 502, 503, 504)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_FIRST_BYTE: Final = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
_PIECE_BYTES: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a server.

    Attributes:
        url: http or https; a user and password in it are sent.
        headers: that everybody may see; they go along wherever a redirect leads.
        secrets: those that only this host may see.
        skip_verify: the certificate is not checked.
        most_bytes: how much of the answer's body is read.
    """

    method: Literal["HEAD", "GET"]
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    skip_verify: bool = False
    most_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said.

    Attributes:
        headers: the answer's, whatever their case.
        body: as much of it as was asked for.
        withheld: it comes from another host, which was not given the secrets.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    withheld: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether it is a yes."""
        return self.status // 100 == 2  # noqa: PLR2004 - HTTP


class _Response(Protocol):
    """What of a response of requests is looked at; that library has one importing module, and this is not it."""

    status_code: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, whatever their case."""

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        """Read the body piece by piece."""


class Passing(NotAnswered):
    """One that may be gone the next time."""


class Web:
    """Asks, and again where that helps, until its time is over.

    Args:
        now_s: monotonic seconds.
        until_s: when it is over, by that clock.
    """

    def __init__(self, *, now_s: Callable[[], float], pause: Callable[[float], None], until_s: float) -> None:
        self._now_s = now_s
        self._pause = pause
        self._until_s = until_s

    def ask(self, question: Question) -> Reply:
        """Return the answer, whatever its status; redirects are followed, though never from https to http.

        Raises:
            NotAnswered: there is none, and what passes by itself did not.

        Effects: requests to the server, and to those that it names.
        """
        return ask_again(
            lambda: self.ask_once(question),
            passes=lambda error: isinstance(error, Passing),
            patience_s=min(_ASK_AGAIN_FOR_S, self._left_s()),
            now_s=self._now_s,
            pause=self._pause,
        )

    def ask_once(self, question: Question) -> Reply:
        """Do the same without a second try.

        Raises:
            Passing: there is none now.
            NotAnswered: there is none.

        Effects: as `ask`.
        """
        url, secrets = question.url, dict(question.secrets)
        withheld = False
        for _ in range(_MOST_REDIRECTS + 1):
            reply = self._send(question, url, secrets)
            target = reply.headers.get("Location") if reply.status in _REDIRECTS else None
            if target is None:
                return Reply(reply.status, reply.headers, reply.body, withheld=withheld)
            last, url = url, _followed(url, target)
            if not _same_host(urlsplit(last), urlsplit(url)):
                withheld = withheld or bool(secrets) or "@" in urlsplit(last).netloc
                secrets = {}
        raise NotAnswered(f"it leads elsewhere more than {_MOST_REDIRECTS} times")

    def status(self, url: str) -> int:
        """Return the status of the answer to a GET, whatever it is: a redirect is an answer, and no body is read.

        Raises:
            NotAnswered: there is none.

        Effects: one request.
        """
        left_s = max(self._left_s(), 0.1)
        try:
            with http.open_session(url, gives_redirects=True) as session:
                trusted = http.trusted(ca_file="", ca_path="", skip_verify=False)
                headers = {"User-Agent": "nomad-dtree"}
                return session.request("GET", url, headers=headers, stream=True, timeout=(left_s, left_s), verify=trusted).status_code
        except (OSError, ValueError) as error:  # as in _send
            raise _not_answered(error, url) from error

    def look_for(self, url: str, secrets: Mapping[str, str], *, skip_verify: bool = False) -> Reply:
        """Ask for a file, without fetching it.

        HEAD is only believed when it says yes: servers that do not know it answer anything, a signed address holds for GET alone. So every
        other answer is asked for again the way the file will be fetched, by GET, of which the first byte is enough.

        Args:
            secrets: header fields for this host only.

        Raises:
            NotAnswered: as `ask`.

        Effects: as `ask`.
        """
        try:
            reply = self.ask_once(Question("HEAD", url, secrets=secrets, skip_verify=skip_verify))
            if reply.is_ok:
                return reply
        except Passing:
            pass  # it may pass before GET is answered
        return self.ask(Question("GET", url, _FIRST_BYTE, secrets, skip_verify=skip_verify))

    def _send(self, question: Question, url: str, secrets: Mapping[str, str]) -> Reply:
        left_s = self._left_s()
        if left_s <= 0:
            raise NotAnswered("no time was left to ask")
        timeout_s = (min(http.CONNECT_S, left_s), min(_READ_S, left_s))
        try:
            with http.open_session(url, skip_verify=question.skip_verify, gives_redirects=True) as session:
                response = session.request(
                    question.method,
                    url,
                    headers={**question.headers, **secrets},
                    stream=True,
                    timeout=timeout_s,
                    verify=http.trusted(ca_file="", ca_path="", skip_verify=question.skip_verify),
                )
                return self._read(response, question.most_bytes)
        except (OSError, ValueError) as error:  # every exception of requests is the one; what cannot be sent at all is the other
            raise _not_answered(error, url) from error

    def _read(self, response: _Response, most_bytes: int) -> Reply:
        if response.status_code in _PASSING:
            raise Passing(f"it answered {response.status_code}")
        body = b""
        for piece in response.iter_content(_PIECE_BYTES) if most_bytes else ():
            body += piece
            if len(body) > most_bytes:
                raise NotAnswered("it answers with more than it should")
            if self._left_s() <= 0:
                raise NotAnswered("it did not answer in time")
        return Reply(response.status_code, response.headers, body)

    def _left_s(self) -> float:
        return self._until_s - self._now_s()


def _followed(url: str, target: str) -> str:
    """Return where a redirect leads. Raises NotAnswered where nobody should go."""
    try:
        followed = urljoin(url, target)
    except ValueError as error:
        raise NotAnswered("it leads to what is no address") from error
    if not is_http(followed):
        raise NotAnswered("it leads to what is no address of a web server")
    if url.startswith("https:") and followed.startswith("http:"):
        raise NotAnswered(f"it leads from https to {without_secrets(followed)}, which is not followed")
    return followed


def _same_host(one: SplitResult, other: SplitResult) -> bool:
    """Tell whether it is the same server, or the same host that now wants https."""
    ports = one.port or _PORTS[one.scheme], other.port or _PORTS[other.scheme]
    is_upgrade = (one.scheme, other.scheme) == ("http", "https") and ports == (_PORTS["http"], _PORTS["https"])
    return one.hostname == other.hostname and ((one.scheme == other.scheme and ports[0] == ports[1]) or is_upgrade)


def _not_answered(error: Exception, url: str) -> NotAnswered:
    if not isinstance(error, OSError) or "Invalid" in type(error).__name__:
        return NotAnswered("it cannot be asked: its address or a header of it is not as HTTP has them")
    shown = without_secrets(url)
    match http.trouble_of(error, url, answered=False):
        case "tls":
            return NotAnswered(f"no trust: {tls_trouble(clean(str(error)), url=shown, has_certificate=False)[0]}")
        case "proxy":
            return NotAnswered("the proxy on the way does not answer")
        case "unknown-host":
            return NotAnswered(f"its host {urlsplit(shown).hostname} is not known")
        case "refused":
            return NotAnswered("nothing listens there")
        case "no-contact" | "slow":
            return NotAnswered("it did not answer in time")
        case "not-http":
            return NotAnswered("what listens there does not speak plain HTTP")
        case _:
            return Passing("the connection broke")

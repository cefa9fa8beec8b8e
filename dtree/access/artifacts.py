"""Asks whether artifacts are there: files on web servers, and images in registries. What an answer means is decided here too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from dtree.access.registry import Image, manifest_digest
from dtree.access.web import Passing, Question, Reply, Web
from dtree.errors import NotAnswered

__all__ = ["Answer", "State", "ask_file", "ask_image", "judge"]

State = Literal["there", "missing", "not checked"]

_GONE: Final = (404, 410)
_DENIED: Final = (401, 403)
_NO_SUCH_RANGE: Final = 416
_FIRST_BYTE: Final = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something is there, and how that is known.

    Attributes:
        why: what the server said; of what is there "".
    """

    state: State
    why: str = ""


def ask_file(url: str, secrets: Mapping[str, str], web: Web, *, skip_verify: bool = False) -> Answer:
    """Ask for a file, without fetching it.

    HEAD is only believed when it says yes: servers that do not know it answer anything, a signed address holds for GET alone. So every
    other answer is asked for again the way the file will be fetched, by GET, of which the first byte is enough.

    Args:
        secrets: header fields for this host only.

    Effects: requests to the server, and to those that it names.
    """
    try:
        if _says_yes(Question("HEAD", url, secrets=secrets, skip_verify=skip_verify), web):
            return Answer("there")
        return judge(web.ask(Question("GET", url, _FIRST_BYTE, secrets, skip_verify=skip_verify)))
    except NotAnswered as error:
        return Answer("not checked", error.problem)


def ask_image(image: Image, web: Web) -> Answer:
    """Ask a registry for an image. Effects: requests to it, and to who hands out its tokens."""
    try:
        found = manifest_digest(image, web)
    except NotAnswered as error:
        return Answer("not checked", error.problem)
    return Answer("there") if found else Answer("missing", "the registry does not know it: 404")


def judge(reply: Reply) -> Answer:
    """Say what the answer to a GET means: only 404 and 410 of the host that was asked are a no. Pure."""
    if _is_ok(reply) or reply.status == _NO_SUCH_RANGE:  # an empty file has no first byte
        return Answer("there")
    if reply.withheld:
        return Answer("not checked", f"another host that it leads to, and that was given no header of the job, answered {reply.status}")
    if reply.status in _GONE:
        return Answer("missing", str(reply.status))
    return Answer("not checked", f"it wants a login ({reply.status})" if reply.status in _DENIED else f"it answered {reply.status}")


def _says_yes(question: Question, web: Web) -> bool:
    try:
        return _is_ok(web.ask_once(question))
    except Passing:
        return False


def _is_ok(reply: Reply) -> bool:
    return reply.status // 100 == 2  # noqa: PLR2004 - HTTP

"""What Nomad's answers mean: JSON, the right error for a refusal, or that no Nomad is speaking. Reads responses, sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from dtree.access.refusals import reasons
from dtree.errors import LOOK_FIRST, ClusterError, Conflict, Denied, Invalid, NotFound, Unavailable, Unreachable

__all__ = ["NO_REGION", "Response", "capability", "clean", "decode_json", "is_page", "not_nomad", "refusal_of", "with_doing"]


NO_REGION: Final = "no-region"
"""Code of the error that there is no way to a region."""


class Response(Protocol):
    """What of a response of requests is looked at; that library has one importing module, and this is not it."""

    status_code: int
    url: str

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, whatever their case."""

    @property
    def content(self) -> bytes:
        """The body."""

    @property
    def text(self) -> str:
        """The body, decoded."""

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        """Read the body piece by piece."""

    def close(self) -> None:
        """Leave the rest of the body unread."""

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body as JSON; ValueError where it is none."""


_TRANSIENT: Final = re.compile(
    r"rpc error: (EOF|failed to get conn|lead thread)|No cluster leader|connection (refused|reset)|i/o timeout|not ready to serve"
    r"|leadership lost|Timeout enqueuing|server is shutting down|EOF$",
    re.IGNORECASE,
)
"""Texts of answers with status 500 that another try may cure; Nomad uses 500 for users' errors as well."""

_UNKNOWN_JOB: Final = re.compile(r'(?:parameterized )?job( "[^"]*"( in namespace "[^"]*" at version \d+)?)? not found')
"""What an evaluation, a dispatch or a return to an older version meets where there is no such job: also with status 500."""

_ELSEWHERE: Final = re.compile(r'(?:Get|Put|Post|Delete) "(https?://[^/"]+)[^"]*": ')
"""Nomad's own request to another server broke."""


def decode_json(response: Response, doing: str, shown: str, kind: type) -> Any:  # noqa: ANN401 - JSON
    """Return the answer's JSON, None for an empty one. Raises Unreachable where it is no JSON of that kind: that is no Nomad."""
    try:
        answer = response.json() if response.content else None
    except ValueError as error:
        raise with_doing(not_nomad(shown, "it did not answer with JSON"), doing) from error
    if not isinstance(answer, kind):
        raise with_doing(not_nomad(shown, "it answered with something else"), doing)
    return answer


def not_nomad(shown: str, why: str) -> Unreachable:
    """Say that something else than Nomad answers."""
    return Unreachable(f"what answers at {shown} is not Nomad: {why}", hint="check --server-addr or NOMAD_ADDR")


def is_page(response: Response) -> bool:
    """Whether a browser was meant to read the answer, which Nomad's API never means."""
    return "html" in response.headers.get("Content-Type", "") or response.text.lstrip().startswith("<")


def refusal_of(response: Response) -> ClusterError:
    """Turn an answer that is no success into an error, by its status and, as Nomad says 500 for much, by its text."""
    status, text = response.status_code, clean(response.text)
    region = "".join(parse_qs(urlsplit(response.url).query).get("region", ()))
    if status in (401, 403) or text.lower().startswith("acl token"):  # not found, expired, no token at all though ACLs are off
        return Denied(f"Nomad denies it: {text or 'permission denied'}")
    if status == 404 or _UNKNOWN_JOB.fullmatch(text):  # noqa: PLR2004 - HTTP
        return NotFound(f"Nomad does not know it: {text}")
    if status == 429:  # noqa: PLR2004 - HTTP
        return Unavailable(
            "Nomad turns requests away: too many connections from this address (429)", hint="lower --parallelism, or raise Nomad's limits"
        )
    if status == 409 or "Enforcing job modify index" in text or "; enforcing version " in text:  # noqa: PLR2004 - HTTP
        return _conflict(status, text)
    if "No path to region" in text:
        known = "`nomad server members -detailed` lists those there are; check the job file and --region"
        return Invalid(f"No path to region '{region}'" if region else text, hint=known, code=NO_REGION)
    if elsewhere := _ELSEWHERE.search(text):
        hint = "is that server (Consul or Vault) up, and named right in the configuration of Nomad's servers?"
        return Unavailable(f"Nomad itself cannot reach {elsewhere[1]}: {text}", hint=hint)
    if status >= 500 and (status != 500 or _TRANSIENT.search(text)):  # noqa: PLR2004 - HTTP
        where = f" in region '{region}'" if region else ""
        return Unavailable(f"Nomad cannot do it now{where} ({status}): {text}", hint="has the cluster a leader? `nomad server members`")
    return Invalid(";\n".join(reasons(text or f"Nomad answered {status}")))


def _conflict(status: int, text: str) -> Conflict:
    if status == 409:  # noqa: PLR2004 - HTTP; only a Variable that is written on a condition is refused like this
        return Conflict("the variable was changed in between by somebody else", hint="do it again", code="store-changed")
    return Conflict("the job was changed in between by somebody else", notes=[text], hint=LOOK_FIRST)


def capability(method: str, parts: tuple[str, ...]) -> str:
    """Name what Nomad wants of a token for a request. Source: docs/reference/acl.md."""
    match method, *parts:
        case "get", "jobs":
            return "list-jobs"
        case _, "client", "fs", *_:
            return "read-logs"
        case ("get", *_) | (_, "job", _, "evaluate"):
            return "read-job"
        case _, "job", _, "dispatch":
            return "dispatch-job"
        case (_, "client", "allocation", _, "restart") | (_, "allocation", _, "stop"):
            return "alloc-lifecycle"
        case _:
            return "submit-job"


def with_doing(error: ClusterError, doing: str) -> ClusterError:
    """Return the error with what was being done as its first note."""
    if not doing:
        return error
    return type(error)(error.problem, place=error.place, notes=[f"while {doing}", *error.notes], hint=error.hint, code=error.error_code)


def clean(text: str) -> str:
    """Take control characters out of what a server wrote, and cut it."""
    return "".join(character for character in text.strip() if character.isprintable() or character == "\n")[:2000]

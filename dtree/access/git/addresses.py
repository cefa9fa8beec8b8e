"""Addresses of Git repositories: which are taken, and how their secrets stay out of sight."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from dtree.access.addresses import without_secrets
from dtree.errors import StoreError

__all__ = ["RemoteAddress", "parse_address"]

_SCHEMES: Final = ("https", "http", "ssh", "git")
_ALIASES: Final = {"git+ssh": "ssh", "ssh+git": "ssh"}
_HELPER: Final = re.compile(r"[A-Za-z0-9+.-]*::")
_PASSWORD: Final = re.compile(r"[^/:@]+:[^/@]*@")
_SCP: Final = re.compile(r"(?P<host>[^/:\[]+|[^/:]*\[[^]/]+\]):(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """A repository on another machine.

    Attributes:
        url: as git is told it, without name and password where they are sent by themselves.
        shown: as it may be shown.
        scheme: one of https, http, ssh, git.
        authorization: value of the header that carries name and password; "" for none.
    """

    url: str
    shown: str
    scheme: str
    authorization: str = field(default="", repr=False)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Over which git may fetch: a setting of the user's may say ssh for https and the reverse."""
        return tuple(dict.fromkeys(("https", "ssh", self.scheme)))

    @property
    def settings(self) -> dict[str, str]:
        """Settings that make it the remote `origin`."""
        known = {"remote.origin.url": self.url}
        if self.authorization:
            parts = urlsplit(self.url)
            known[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: {self.authorization}"
        return known

    @property
    def name(self) -> str:
        """The last part of the path, which people call the repository by."""
        return self.shown.rstrip("/").removesuffix("/.git").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")


def parse_address(given: str, cwd: Path) -> Path | RemoteAddress:
    """Return the folder of a local repository, or the address of another.

    Args:
        given: URL, `user@host:path`, or a path from `cwd`.

    Raises:
        StoreError: it is of a kind that is not taken, or no address at all.
    """
    if not given.strip() or given != given.strip() or not given.isprintable():
        raise _bad(given, "holds characters that no address has")
    if given.startswith("-"):
        raise _bad(given, "begins with a dash")
    if _HELPER.match(given):
        raise _bad(given, "would have git run another program")
    if "://" in given:
        return _of_url(given)
    if _PASSWORD.match(given):
        raise _bad(given, "has a password, which ssh does not take from there")
    scp = _SCP.fullmatch(given)
    if scp:
        _refuse_dash(given, scp["host"].rpartition("@")[2], scp["path"])
        return RemoteAddress(given, given, "ssh")
    return _local(given, cwd)


def _of_url(given: str) -> Path | RemoteAddress:
    try:
        parts = urlsplit(given)
        host, user, password = parts.hostname or "", parts.username or "", parts.password or ""
        port = parts.port
    except ValueError as error:
        raise _bad(given, "is no URL") from error
    scheme = _ALIASES.get(parts.scheme, parts.scheme)
    if scheme == "file":
        if host not in ("", "localhost"):
            raise _bad(given, "names a file on another machine")
        return _local(unquote(parts.path), Path("/"))
    if scheme not in _SCHEMES:
        raise _bad(given, f"is of the kind '{parts.scheme}', which is not taken")
    if not host or not parts.path.strip("/"):
        raise _bad(given, "names no repository")
    _refuse_dash(given, host, user, parts.path)
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    if scheme == "ssh" and user:
        place = f"{user}@{place}"
    url = urlunsplit(SplitResult(scheme, place, parts.path, parts.query, ""))
    authorization = _basic(unquote(user), unquote(password)) if user and scheme in ("https", "http") else ""
    return RemoteAddress(url, without_secrets(url), scheme, authorization)


def _local(given: str, cwd: Path) -> Path:
    return Path(os.path.abspath(cwd / Path(given).expanduser()))  # noqa: PTH100 - `..` goes by the text, as in a shell


def _refuse_dash(given: str, *parts: str) -> None:
    """Refuse what ssh or the server's git would take for an option; git has its own eyes on it too."""
    if any(part.startswith(("-", "/-")) for part in parts):
        raise _bad(given, "has a part that begins with a dash")


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _bad(given: str, why: str) -> StoreError:
    shown = "".join(char if char.isprintable() else "?" for char in without_secrets(given))
    return StoreError(
        f"the address '{shown}' of a Git repository {why}",
        hint="give --git-url an https or ssh URL, `user@host:path`, or a folder",
        code="git-bad-address",
    )

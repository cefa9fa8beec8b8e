"""Addresses as they may be shown: a user's name and password, and a query with a token in it, are secrets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

__all__ = ["is_http", "is_loopback", "masked", "secret_parts", "without_secrets"]

# Up to the last @: a password may hold any of `/`, `?` and `@`.
_USER: Final = re.compile(r"//[^\s'\"]*@")
_QUERY: Final = re.compile(r"(//[^\s'\"?]*)\?[^\s'\"]*")
_WITHOUT_SCHEME: Final = re.compile(r"^(?:.*?=)?(?!\S*//)([^\s:/@]*:\S+)@")
_HIDDEN: Final = "HIDDEN"


def without_secrets(address: str) -> str:
    """Return one address without user, password and query; one without a scheme too.

    >>> without_secrets("https://me:pass@nomad.example:4646/?token=t")
    'https://nomad.example:4646/'
    """
    plain = _QUERY.sub(r"\1", _USER.sub("//", address))
    return plain if "//" in plain else plain.rpartition("@")[2].partition("?")[0]


def masked(text: str) -> str:
    """Return a text of any kind, with the secrets in all its addresses hidden.

    >>> masked("GET http://me:pass@host/v1/jobs?token=t failed")
    'GET http://HIDDEN@host/v1/jobs?HIDDEN failed'
    """
    return _QUERY.sub(rf"\1?{_HIDDEN}", _USER.sub(f"//{_HIDDEN}@", text))


def secret_parts(word: str) -> Iterator[str]:
    """Yield what of a word of the command line, or of a variable's value, has to be hidden wherever else it stands."""
    for user in _USER.findall(word):
        yield user.removeprefix("//").removesuffix("@")
        yield user.removesuffix("@").rpartition(":")[2].removeprefix("//")
    bare = _WITHOUT_SCHEME.match(word)
    if bare:
        yield bare[1]
        yield bare[1].partition(":")[2]
    if "//" in word and "?" in word:
        for pair in word.partition("?")[2].split("&"):
            yield pair.partition("=")[2]


def is_http(url: str) -> bool:
    """Tell whether it can be the address of a web server: http or https, with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def is_loopback(url: str) -> bool:
    """Tell whether the address is of this machine itself: `localhost`, 127.0.0.0/8 or ::1."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

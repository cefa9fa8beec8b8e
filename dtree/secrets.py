"""Values that no output may show: kept as they are met, and hidden in whatever is told. Pure.

A value is hidden in each form that a job file, a message or a log is likely to have it in. What stands in a job's ID or namespace is no
secret, wherever it came from: everybody who may list jobs sees it, and hiding it would make every message unreadable.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar
from urllib.parse import quote

HIDDEN: Final = "(secret)"

_SHORTEST: Final = 4
"""Shorter ones are found in every other word."""

_TELLING: Final = ("token", "secret", "password", "passwd", "credential", "apikey", "api_key", "private_key", "access_key")
"""What the names of variables that hold secrets have in them."""

_TELLING_PARTS: Final = frozenset(("pw", "pwd", "pass", "key", "auth", "cred", "creds", "pin"))
"""The same where it stands by itself."""

_ORDINARY: Final = re.compile(r"[A-Za-z]{1,10}|[\d.]{1,12}")

_SHORTEST_LINE: Final = 8
_NO_SECRET: Final = re.compile(r"true|false|null|none|\d{1,5}", re.IGNORECASE)

T = TypeVar("T")


def sounds_secret(name: str) -> bool:
    """Whether the name of a variable says that it holds a secret."""
    lower = name.lower()
    return any(word in lower for word in _TELLING)


def is_ordinary(name: str, value: object) -> bool:
    """Whether a value from the environment is hardly a secret: a plain word or a number under a name that does not say that it is one.

    `stage=production` and `driver=exec` would else be hidden in every text that has these words for another reason.
    """
    tells = sounds_secret(name) or not _TELLING_PARTS.isdisjoint(re.split(r"[^a-z]+", name.lower()))
    return not tells and isinstance(value, str) and _ORDINARY.fullmatch(value) is not None


class Secrets:
    """The secrets of one call of the program; empty at first."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._known_pattern: re.Pattern[str] | None = None

    def keep(self, value: object) -> None:
        """Take a value for a secret; of a list or a map all texts within it."""
        found = {text for text in _texts(value) if len(text) >= _SHORTEST and not _NO_SECRET.fullmatch(text)}
        if not found <= self._values:
            self._values |= found
            self._known_pattern = None

    def publish(self, names: Iterable[str]) -> None:
        """Take out what stands in one of the names that everybody sees."""
        seen = "\n".join(names)
        self._values = {value for value in self._values if value not in seen}
        self._known_pattern = None

    def hide(self, text: str) -> str:
        """Return the text with every secret in it replaced by `(secret)`."""
        return self._pattern.sub(HIDDEN, text) if self._values else text

    def hide_in(self, value: T) -> T:
        """Return a value of ours (an event, a row, with all that it holds) with the secrets in its texts hidden."""
        return self._hide_any(value) if self._values else value

    @property
    def _pattern(self) -> re.Pattern[str]:
        """Any form of any of them, longest first; made when it is first needed, as secrets come one by one."""
        if self._known_pattern is None:
            forms = sorted({form for value in self._values for form in _forms(value)}, key=lambda form: (-len(form), form))
            self._known_pattern = re.compile("|".join(map(re.escape, forms)))
        return self._known_pattern

    def _hide_any(self, value: Any) -> Any:  # noqa: ANN401 - whatever our values hold
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return tuple(map(self._hide_any, value))
        if isinstance(value, list):
            return list(map(self._hide_any, value))
        if isinstance(value, Mapping):
            return {self._hide_any(key): self._hide_any(part) for key, part in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            changed = {
                field.name: hidden
                for field in fields(value)
                if field.init and (hidden := self._hide_any(part := getattr(value, field.name))) != part
            }
            return replace(value, **changed) if changed else value
        return value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif value is not None:
        yield str(value)


def _forms(value: str) -> Iterator[str]:
    """Yield a secret as it is, escaped as JSON and HCL have it, in base64, in a URL, and line by line."""
    import json  # here, for most calls of the program meet no secret

    yield value
    yield value.strip()
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    yield escaped
    yield json.dumps(value)[1:-1]
    yield re.sub(r"([$%])\{", r"\1\1{", escaped)
    data = value.encode(errors="surrogatepass")
    yield quote(data, safe="")
    yield quote(data)
    yield from (part for offset in range(3) if len(part := _base64_within(data, offset)) >= _SHORTEST_LINE)
    yield _base64(data)
    yield from (line for line in value.splitlines() if len(line) >= _SHORTEST_LINE)


def _base64_within(data: bytes, offset: int) -> str:
    """Return what is the same of the base64 of any text in which `data` stands after so many bytes, counted in threes."""
    return _base64(bytes(offset) + data)[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()

"""TOML, and where its keys and values stand, which the standard library does not tell. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from dtree.errors import ConfigError, DeclarationError, Fault, Place

Key = tuple[str, ...]
"""Keys that lead to a value."""


class Written(NamedTuple):
    """A key as it is written.

    Attributes:
        key: with those of the table that it stands in.
        offset: where its line begins, behind white space.
        value: from where to where its value stands; None for the head of a table.
    """

    key: Key
    offset: int
    value: tuple[int, int] | None = None


def parse(file: str, text: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ConfigError: it is none; with the place.
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message, _, tail = str(error).partition(" (at ")
        numbers = [int(number) for number in re.findall(r"\d+", tail)][:2]
        line, column = numbers if len(numbers) == len(("line", "column")) else (None, None)
        raise ConfigError(f"not valid TOML: {message[:1].lower()}{message[1:]}", place=Place(file, line, column)) from error


def read(file: str, data: bytes, *, hint: str = "") -> tuple[dict[str, Any], Callable[..., Place]]:
    """Read a file in TOML.

    Args:
        hint: what to do where it is none.

    Returns:
        (its values, what says where the value at a path of keys stands).

    Raises:
        DeclarationError: it is none, or no text.
    """
    try:
        text = data.decode("utf-8-sig")
        values = parse(file, text)
    except UnicodeDecodeError as error:
        place = Place(file, data.count(b"\n", 0, error.start) + 1, 1)
        raise DeclarationError([Fault("not-utf-8", "the file is not UTF-8", place, "save it as UTF-8")]) from error
    except ConfigError as error:
        raise DeclarationError([Fault("bad-syntax", error.problem, error.place, hint)]) from error
    return values, lambda *path: Place(file, *position(text, path), ".".join(path))


def position(text: str, key: Key) -> tuple[int | None, int | None]:
    """Find line and column of a key, or of the first one below it; (None, None) for one within a value, as in `a = {key = 1}`."""
    return _positions(text).get(key, (None, None))


def written(text: str) -> Iterator[Written]:
    """Yield the keys of a text that is TOML, in its order."""
    table: Key = ()
    blank, head_of, key_of = re.compile(_BLANK), re.compile(_HEAD), re.compile(_KEY)
    at = _skip(blank, text, 0)
    while at < len(text):
        head = head_of.match(text, at)
        named = head or key_of.match(text, at)
        if named is None:  # no TOML after all
            return
        key, end = _parts(named[1]), named.end()
        if head:
            table = key
            yield Written(key, at)
        else:
            end = _end_of_value(text, named.end())
            yield Written((*table, *key), at, (named.end(), named.end() + len(text[named.end() : end].rstrip())))
        at = _skip(blank, text, end)


def why_not_json(value: object, key: Key) -> str:
    """Return why a value is none that JSON can hold, "" where it is one: TOML has dates and times, and numbers without end."""
    if isinstance(value, dict):
        return next(filter(None, (why_not_json(part, (*key, name)) for name, part in value.items())), "")
    if isinstance(value, list):
        return next(filter(None, (why_not_json(part, key) for part in value)), "")
    if isinstance(value, float) and value - value != 0:
        return f"`{'.'.join(key)}` is not a finite number"
    if not isinstance(value, str | int | float | bool):
        return f"`{'.'.join(key)}` is a date or a time, which no variable can be"
    return ""


_PART: Final = r"""(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED: Final = rf"({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*"
_HEAD: Final = rf"\[\[?[ \t]*{_DOTTED}\]\]?"
_KEY: Final = rf"{_DOTTED}=[ \t]*"
_BLANK: Final = r"(?:\s|#[^\n]*)*"
_OF_VALUE: Final = (
    r'(?s)"""(?:[^\\]|\\.)*?"""(?!")' r"|'''.*?'''(?!')" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'" r"|#[^\n]*|[\[\]{}\n]|[^\"'#\[\]{}\n]+"
)
"""A text, a comment, a bracket, the end of a line, or whatever else. Compiled where they are used: most calls need none of them."""


def _skip(blank: re.Pattern[str], text: str, at: int) -> int:
    """Return where white space and comments end."""
    found = blank.match(text, at)
    return found.end() if found else at


@lru_cache(maxsize=4)
def _positions(text: str) -> Mapping[Key, tuple[int, int]]:
    found: dict[Key, tuple[int, int]] = {}
    line, counted = 1, 0
    for key, offset, _ in written(text):
        line, counted = line + text.count("\n", counted, offset), offset
        place = line, offset - text.rfind("\n", 0, offset)
        for length in range(1, len(key) + 1):
            found.setdefault(key[:length], place)
    return found


def _end_of_value(text: str, at: int) -> int:
    """Return where a value ends: with its line, unless a bracket is open or a text goes on."""
    depth = 0
    for part in re.compile(_OF_VALUE).finditer(text, at):
        if part[0] in "[{":
            depth += 1
        elif part[0] in "]}":
            depth -= 1
        elif depth <= 0 and part[0][0] in "\n#":
            return part.start()
    return len(text)


def _parts(dotted: str) -> Key:
    return tuple(_plain(part) for part in re.findall(_PART, dotted))


def _plain(part: str) -> str:
    if part[0] == '"':
        plain: str = parse("", f"key = {part}")["key"]
        return plain
    return part.strip("'")

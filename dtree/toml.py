"""TOML, and where its keys stand, which the standard library does not tell. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from dtree.errors import ConfigError, Place

Key = tuple[str, ...]
"""Keys that lead to a value."""


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


def position(text: str, key: Key) -> tuple[int | None, int | None]:
    """Find line and column of a key; (None, None) where it is written in a way that this simple look misses."""
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = _parts(header[1])
        written = _KEY.match(line)
        here = (*table, *_parts(written[1])) if written else table if header else ()
        if here[: len(key)] == key:
            return number, len(line) - len(line.lstrip()) + 1
    return None, None


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


_HEADER: Final = re.compile(r"\s*\[\[?([^\]]+)\]")
_KEY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def _parts(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))

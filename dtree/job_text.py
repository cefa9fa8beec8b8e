"""A job file as text, and what can be told of it without Nomad: that there is some, and that it is safe to parse. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dtree.errors import DeclarationError, Fault, Place
from dtree.store import Text

if TYPE_CHECKING:
    from dtree.values import Layer

__all__ = ["JobText", "Unrendered", "check_depth", "decode_job"]

_BRACKETS: Final = re.compile(r"[][{}()]")
_MAX_DEPTH: Final = 500
"""Brackets within brackets. Some ten thousand more are too many for the stack of Nomad's parser, and it takes the agent down with it."""


@dataclass(frozen=True, slots=True)
class JobText:
    """A job file as it goes to Nomad's parser.

    Attributes:
        file: name of the file, as the store calls it.
        source: the rendered text.
        template: the text in the store.
        reads: names that the template reads anywhere, some of which may be its own, and those of the HCL2 variables that it declares.
        own: those of `reads` that are sure to be its own.
        values: of the variables that the template reads, by name.
        asked: what the template asked for beyond them, as (kind, argument, …).
        given: of the HCL2 variables that it declares and that are given a value, by name.
        variables: the same as the text of a variables file.
        version: the artifact version that is declared for the job; "" for none.
        shown: the rendered text as it may be shown, with secrets hidden; "" where it holds none.
    """

    file: str
    source: str = field(repr=False)
    template: bytes = field(repr=False)
    values: Layer = field(default_factory=dict)
    asked: tuple[tuple[str, ...], ...] = ()
    given: Layer = field(default_factory=dict)
    variables: str = field(default="", repr=False)
    version: str = ""
    shown: str = field(default="", repr=False)
    reads: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unrendered(Fault):
    """What keeps a job file from being rendered.

    Attributes:
        known: what can be told of the file all the same, as it stands in the store; None for nothing.
    """

    known: JobText | None = field(default=None, compare=False, repr=False)


def decode_job(name: str, text: Text) -> str:
    """Return the job file of `name` as text, without a byte order mark.

    Raises:
        DeclarationError: it is not UTF-8, or is empty.
    """
    try:
        source = text.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(text.path, text.data.count(b"\n", 0, error.start) + 1, 1)
        raise DeclarationError([Fault("not-utf-8", f"the job file of '{name}' is not UTF-8", place, "save it as UTF-8")]) from error
    if not source.strip():
        raise DeclarationError([Fault("bad-job-file", f"the job file of '{name}' is empty", Place(text.path), "write the job into it")])
    return source


def check_depth(name: str, file: str, source: str) -> None:
    """See that Nomad's parser survives a job file, as it is sent.

    Raises:
        DeclarationError: it nests too deep.
    """
    depth = 0
    for bracket in _BRACKETS.finditer(source):
        depth = depth + 1 if bracket[0] in "[{(" else max(depth - 1, 0)
        if depth > _MAX_DEPTH:
            line = source.count("\n", 0, bracket.start()) + 1
            place = Place(file, line, bracket.start() - source.rfind("\n", 0, bracket.start()))
            problem = f"in the job file of '{name}' more than {_MAX_DEPTH} brackets stand within each other here"
            raise DeclarationError([Fault("too-deep", problem, place, "close what was opened before")])

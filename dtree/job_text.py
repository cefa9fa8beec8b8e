"""What can be told of a job file without Nomad: that it is text, that there is some, and that it is safe to parse. Pure."""

from __future__ import annotations

import re
from typing import Final

from dtree.errors import DeclarationError, Fault, Place
from dtree.store import Text

_BRACKETS: Final = re.compile(r"[][{}()]")
_MAX_DEPTH: Final = 500
"""Brackets within brackets. Some ten thousand more are too many for the stack of Nomad's parser, and it takes the agent down with it."""


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

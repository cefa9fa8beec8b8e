"""Matching lines with a regular expression that somebody wrote: some take for ever on some lines, and nothing can interrupt Python's.

A pattern that may go back and try again is matched in a process of its own, which is ended when it takes too long.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from dtree.errors import DtreeError

__all__ = ["any_matches"]

_TAKES_TURNS: Final = frozenset("*+?{|[")
"""Without one of these a pattern has one way to match, so that a line costs its length times the pattern's. Python warns of some sets."""

_PROGRAM: Final = """
import json, re, sys, warnings
warnings.simplefilter("ignore")
pattern, lines = json.load(sys.stdin)
search = re.compile(pattern).search
print(int(any(search(line) for line in lines)))
"""


def any_matches(pattern: str, lines: Sequence[str], *, timeout_s: float) -> bool:
    """Whether the pattern is found in one of the lines.

    Raises:
        TimeoutError: that cannot be told in time.

    Effects: starts a process, where the pattern needs one, and ends it.
    """
    if not lines:
        return False
    if not _TAKES_TURNS & set(pattern):
        search = re.compile(pattern).search
        return any(search(line) for line in lines)
    if not sys.executable:
        raise DtreeError("logs cannot be searched: Python does not know its own program", hint="run nomad-dtree by its own path")
    try:
        done = subprocess.run(  # noqa: S603 - Python itself, with a program of ours
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            input=json.dumps([pattern, list(lines)]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
            env={},
            cwd="/",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return done.stdout.strip() == "1"

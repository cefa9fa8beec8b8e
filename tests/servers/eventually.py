"""The one place where a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, timeout_s: float = 30.0, pause_s: float = 0.05) -> T:
    """Ask `check` until its answer is true, and return that answer; fail with the last one after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := check()):
        if time.monotonic() > deadline_s:
            message = f"not so within {timeout_s:g} s; the last answer was {answer!r}"
            raise AssertionError(message)
        time.sleep(pause_s)
    return answer

"""Ctrl-C, SIGTERM and SIGHUP: the first asks, the second leaves at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")
_SHOW_CURSOR: Final = b"\x1b[?25h"


class Signals:
    """Listens for the signals that end a program, while it is entered.

    Before somebody subscribes nothing has been changed yet, and a signal is a KeyboardInterrupt like any Ctrl-C. With a subscriber, the
    first is told to it, and the second ends the process where it stands, with the exit code that it gave and the cursor visible again.

    A signal that was being ignored when the program started (nohup) stays so.
    """

    def __init__(self) -> None:
        self._subscriber: Callable[[str], int] | None = None
        self._code: int | None = None
        self._before: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}

    def subscribe(self, callback: Callable[[str], int]) -> None:
        """Have `callback` called with the name of the first signal; from a signal handler, so it may only leave a note.

        It returns the exit code for a second signal.
        """
        self._subscriber = callback

    def __enter__(self) -> Self:
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._subscriber is None:
            raise KeyboardInterrupt
        if self._code is not None:
            # No clean-up and no buffered output: whoever presses twice wants out, and the first press may hang in just that.
            _leave(self._code)
        self._code = self._subscriber(signal.Signals(number).name)


def _leave(code: int) -> None:
    try:
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    finally:
        os._exit(code)

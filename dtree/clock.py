"""The only place that asks for the time or starts a thread for the run."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any


class SystemInbox:
    """A queue that may also be fed from a signal handler."""

    def __init__(self) -> None:
        # SimpleQueue.put is reentrant, so a signal handler may call it while the main thread sits in get.
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, item: Any) -> None:  # noqa: ANN401 - whatever the loop understands
        """Leave an item."""
        self._items.put(item)

    def get(self, timeout_s: float | None) -> Any | None:  # noqa: ANN401 - as above
        """Take the next item; None after `timeout_s` seconds without one."""
        try:
            return self._items.get(timeout=timeout_s)
        except queue.Empty:
            return None


class SystemClock:
    """The machine's clock and threads."""

    def now_s(self) -> float:
        """Seconds since some start, never backwards."""
        return time.monotonic()

    def unix_s(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def pause(self, duration_s: float) -> None:
        """Do nothing for a while: the back-off between two tries of a request."""
        time.sleep(duration_s)

    def inbox(self) -> SystemInbox:
        """Return a new, empty inbox."""
        return SystemInbox()

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread that never keeps the program from ending."""
        threading.Thread(target=work, daemon=True).start()

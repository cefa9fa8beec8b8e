"""The only place that asks for the time or starts a thread for the run."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def do_all(work: Callable[[Item], Result], items: Sequence[Item], *, at_once: int) -> list[Result]:
    """Do `work` for all items, some at once.

    Ctrl-C gets through whatever is waited for: unlike those of a ThreadPoolExecutor, the threads never keep the program from ending.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: what the work of the first item that failed, in that order, raised.
    """
    todo = deque(enumerate(items))
    answers: queue.SimpleQueue[tuple[int, Result | None, Exception | None]] = queue.SimpleQueue()

    def labour() -> None:
        while True:
            try:
                position, item = todo.popleft()
            except IndexError:
                return
            try:
                answers.put((position, work(item), None))
            except Exception as error:  # noqa: BLE001 - raised below, where somebody sees it
                todo.clear()
                answers.put((position, None, error))

    for _ in range(min(at_once, len(items))):
        threading.Thread(target=labour, daemon=True).start()
    known: dict[int, tuple[Any, Exception | None]] = {}
    results: list[Result] = []
    while len(results) < len(items):
        position, answer, failure = answers.get()
        known[position] = answer, failure
        while len(results) in known:
            result, error = known.pop(len(results))
            if error is not None:
                raise error
            results.append(result)
    return results

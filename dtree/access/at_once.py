"""Several requests at a time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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

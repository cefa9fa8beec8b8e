"""Several requests at a time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

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
    answers = _begin(work, items, at_once)
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


def do_in_time(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    at_once: int,
    limit_s: float,
    now_s: Callable[[], float],
    otherwise: Result,
) -> list[Result]:
    """Do `work` for all items, some at once, and wait no longer than that for it.

    Args:
        limit_s: how long it may take in all, in seconds.
        now_s: monotonic seconds.
        otherwise: the result of what took longer; its thread is left to itself.

    Returns:
        The results, in the order of the items.

    Raises:
        Exception: what the work that failed first raised.
    """
    results = [otherwise] * len(items)
    answers = _begin(work, items, at_once)
    until_s = now_s() + limit_s
    for _ in items:
        try:
            position, answer, error = answers.get(timeout=max(until_s - now_s(), 0))
        except queue.Empty:
            break
        if error is not None:
            raise error
        results[position] = cast("Result", answer)
    return results


def _begin(
    work: Callable[[Item], Result], items: Sequence[Item], at_once: int
) -> queue.SimpleQueue[tuple[int, Result | None, Exception | None]]:
    """Begin the work in threads; what comes out is position, result and what it raised. One that raises keeps the rest from being begun."""
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
            except Exception as error:  # noqa: BLE001 - raised by who takes it out, where somebody sees it
                todo.clear()
                answers.put((position, None, error))

    for _ in range(min(at_once, len(items))):
        threading.Thread(target=labour, daemon=True).start()
    return answers

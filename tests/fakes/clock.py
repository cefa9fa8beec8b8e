"""A clock that jumps: an hour's wait costs nothing, and every run of a test happens in the same order."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

_BUSY_AFTER = 1000
_WALL_LIMIT_S = 30.0


class FakeClock:
    """`ports.Clock` in made-up time.

    Things are scheduled; time stands still until the program waits (`inbox().get`, `pause`), and then jumps to the next of them. Workers
    are threads, but only one of them or the main thread ever runs: each goes on until it pauses or is done.
    """

    def __init__(self, *, unix_s: float = 1_000_000.0) -> None:
        self._now_s = 0.0
        self._unix_s = unix_s
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._current: _Worker | None = None
        self.most_workers = 0
        self.pauses: list[float] = []
        self._workers = 0

    def now_s(self) -> float:
        return self._now_s

    def unix_s(self) -> float:
        return self._unix_s + self._now_s

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Do `action` when that time has come; what is due at one time comes in the order in which it was asked for."""
        self._number += 1
        heapq.heappush(self._agenda, (max(time_s, self._now_s), self._number, action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.at(self._now_s + delay_s, action)

    def inbox(self) -> FakeInbox:
        return FakeInbox(self)

    def start(self, work: Callable[[], None]) -> None:
        self.after(0.0, lambda: self._resume(_Worker(work)))

    def pause(self, duration_s: float) -> None:
        """Let time pass for the caller: everybody else goes on meanwhile."""
        self.pauses.append(duration_s)
        worker = self._current
        if worker is not None:
            self.after(duration_s, lambda: self._resume(worker))
            worker.hand_back()
            return
        until_s = self._now_s + duration_s
        while self.step(until_s):
            pass
        self._now_s = until_s

    def step(self, until_s: float) -> bool:
        """Jump to the next scheduled thing, unless it comes after `until_s`, and do it."""
        if not self._agenda or self._agenda[0][0] > until_s:
            return False
        self._now_s, _, action = heapq.heappop(self._agenda)
        action()
        return True

    def sleep_until(self, time_s: float) -> None:
        """Nothing happens before that time."""
        self._now_s = max(self._now_s, time_s)

    def _resume(self, worker: _Worker) -> None:
        before, self._current = self._current, worker
        self._workers += not worker.begun
        self.most_workers = max(self.most_workers, self._workers)
        worker.run_a_while()
        self._workers -= worker.done
        self._current = before
        if worker.error is not None:
            raise worker.error


class FakeInbox:
    """A queue whose reader waits in made-up time."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._items: deque[Any] = deque()
        self._idle_looks = 0

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, timeout_s: float | None) -> Any | None:
        before_s = self._clock.now_s()
        until_s = float("inf") if timeout_s is None else before_s + timeout_s
        while not self._items:
            if self._clock.step(until_s):
                continue
            assert timeout_s is not None, "the loop waits for something that never comes"
            self._clock.sleep_until(until_s)
            self._idle_looks = 0 if until_s > before_s else self._idle_looks + 1
            assert self._idle_looks < _BUSY_AFTER, "the loop is busy: it waits for no time, again and again"
            return None
        self._idle_looks = 0
        return self._items.popleft()


class _Worker:
    """A thread that runs only while somebody waits for it."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.begun = False
        self.done = False
        self.error: BaseException | None = None

    def run_a_while(self) -> None:
        """Let it run until it pauses or is done."""
        if self.begun:
            self._go.release()
        else:
            self.begun = True
            self._thread.start()
        assert self._back.acquire(timeout=_WALL_LIMIT_S), "a worker never came back"

    def hand_back(self) -> None:
        """Called by the worker itself: wait for the next turn."""
        self._back.release()
        self._go.acquire()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self.error = error
        self.done = True
        self._back.release()

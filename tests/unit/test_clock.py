"""dtree.clock, and the FakeClock that the other tests trust."""

from __future__ import annotations

import threading
from itertools import islice

import pytest

from dtree.clock import SystemClock
from tests.fakes.clock import FakeClock


def test_the_time_never_goes_backwards() -> None:
    clock = SystemClock()
    times = [clock.now_s() for _ in range(100)]
    assert times == sorted(times)


def test_the_unix_time_is_this_century() -> None:
    assert SystemClock().unix_s() > 1_700_000_000


def test_a_pause_takes_its_time() -> None:
    clock = SystemClock()
    began_s = clock.now_s()
    clock.pause(0.01)
    assert clock.now_s() - began_s >= 0.01


def test_an_inbox_gives_what_was_left_in_order() -> None:
    inbox = SystemClock().inbox()
    inbox.put("first")
    inbox.put("second")
    assert [inbox.get(None), inbox.get(1.0)] == ["first", "second"]


def test_an_inbox_gives_none_when_the_time_is_up() -> None:
    assert SystemClock().inbox().get(0.0) is None


def test_work_is_done_beside_the_caller_and_never_keeps_the_program_from_ending() -> None:
    clock = SystemClock()
    inbox = clock.inbox()
    clock.start(lambda: inbox.put(threading.current_thread()))
    thread = inbox.get(10.0)
    assert isinstance(thread, threading.Thread)
    assert thread is not threading.current_thread()
    assert thread.daemon


def test_the_fake_clock_jumps_to_what_comes_next() -> None:
    clock = FakeClock(unix_s=500.0)
    inbox = clock.inbox()
    clock.after(3600.0, lambda: inbox.put("an hour later"))
    assert inbox.get(None) == "an hour later"
    assert (clock.now_s(), clock.unix_s()) == (3600.0, 4100.0)


def test_the_fake_clock_gives_none_when_the_time_is_up() -> None:
    clock = FakeClock()
    inbox = clock.inbox()
    clock.after(5.0, lambda: inbox.put("late"))
    assert inbox.get(2.0) is None
    assert clock.now_s() == 2.0


def test_the_fake_clock_lets_workers_pause_side_by_side() -> None:
    clock = FakeClock()
    inbox = clock.inbox()

    def work(name: str, pause_s: float) -> None:
        clock.pause(pause_s)
        inbox.put((name, clock.now_s()))

    clock.start(lambda: work("slow", 30.0))
    clock.start(lambda: work("fast", 10.0))
    assert [inbox.get(None), inbox.get(None)] == [("fast", 10.0), ("slow", 30.0)]
    assert clock.most_workers == 2


def test_the_fake_clock_passes_time_for_the_main_thread_too() -> None:
    clock = FakeClock()
    seen: list[float] = []
    clock.after(1.0, lambda: seen.append(clock.now_s()))
    clock.pause(4.0)
    assert (seen, clock.now_s()) == ([1.0], 4.0)


def test_the_fake_clock_raises_what_a_worker_raises() -> None:
    clock = FakeClock()

    def work() -> None:
        raise ValueError("broken")

    clock.start(work)
    with pytest.raises(ValueError, match="broken"):
        clock.inbox().get(1.0)


def test_the_fake_clock_tells_a_wait_for_nothing() -> None:
    with pytest.raises(AssertionError, match="never comes"):
        FakeClock().inbox().get(None)


def test_the_fake_clock_tells_a_busy_loop() -> None:
    inbox = FakeClock().inbox()
    looks = iter(lambda: inbox.get(0.0), "an item that never comes")
    with pytest.raises(AssertionError, match="busy"):
        list(islice(looks, 10_000))

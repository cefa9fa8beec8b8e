"""dtree.access.at_once: several things done at a time."""

from __future__ import annotations

import threading
import time

import pytest

from dtree.access.at_once import do_all, do_in_time


def test_work_done_some_at_once_keeps_the_order_of_its_items() -> None:
    first = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            first.wait()
        else:
            first.set()
        return number * number

    assert do_all(work, range(20), at_once=4) == [number * number for number in range(20)]


def test_of_several_failures_the_first_in_order_is_raised() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            second.wait()
            raise ValueError(number)
        if number == 2:
            second.set()
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match=r"^1$"):
        do_all(work, range(9), at_once=3)


def test_no_items_are_no_work() -> None:
    assert do_all(lambda item: item, [], at_once=4) == []


def test_what_takes_too_long_is_not_waited_for() -> None:
    over = threading.Event()

    def work(number: int) -> int:
        if number % 2:
            over.wait()
        return number * number

    try:
        found = do_in_time(work, range(3), at_once=2, limit_s=0.2, now_s=time.monotonic, otherwise=-1)
    finally:
        over.set()
    assert found == [0, -1, 4]


def test_what_ends_in_time_keeps_the_order_of_its_items() -> None:
    assert do_in_time(lambda number: number * number, range(20), at_once=4, limit_s=30.0, now_s=time.monotonic, otherwise=-1) == [
        number * number for number in range(20)
    ]


def test_a_failure_within_the_time_is_raised() -> None:
    def work(number: int) -> int:
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"^0$"):
        do_in_time(work, [0], at_once=4, limit_s=30.0, now_s=time.monotonic, otherwise=-1)

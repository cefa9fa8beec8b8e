"""dtree.access.at_once: several things done at a time."""

from __future__ import annotations

import threading

import pytest

from dtree.access.at_once import do_all


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

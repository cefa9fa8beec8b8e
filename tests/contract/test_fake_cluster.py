"""The cluster that other tests run on keeps the promises of a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import TypeVar

import pytest

from dtree.model import JobRef
from tests.contract.cluster_contract import ClusterContract
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.scripts import well

T = TypeVar("T")

_LIMIT_S = 60.0
_PAUSE_S = 0.05


class TestFakeCluster(ClusterContract):
    prefix = ""
    lasting = ""
    elsewhere = "elsewhere"

    @pytest.fixture(autouse=True)
    def _nomad(self) -> None:
        self.clock = FakeClock()
        self.fake = self.cluster = FakeCluster(self.clock)
        self.numbers = count()

    def eventually(self, check: Callable[[], T]) -> T:
        give_up_s = self.clock.now_s() + _LIMIT_S
        while not (answer := check()):
            assert self.clock.now_s() < give_up_s, f"not so within {_LIMIT_S:g} s; the last answer was {answer!r}"
            self.clock.pause(_PAUSE_S)
        return answer

    def scale(self, ref: JobRef, count: int) -> None:
        self.fake.somebody_scales(ref, "main", count)

    def put_variable(self, path: str, items: Mapping[str, str]) -> None:
        self.fake.variables["default", path] = dict(items)

    def launch(self, parent: JobRef) -> JobRef:
        return self.fake.launch_child(parent, f"dispatch-{next(self.numbers)}", well(after_s=3600.0))

"""Several stores as one keep the promises of a store: with all files in one of them, and with files of each."""

from __future__ import annotations

from collections.abc import Mapping

from dtree.clock import SystemClock
from dtree.layered import open_layers
from dtree.store import Snapshot, Store
from dtree.testing import StoreContract
from tests.fakes.store import MemoryStore


class LayeredStore(Store):
    """Two stores in memory: half of the jobs are in the base, all else is in the one above."""

    store_api = 1
    summary = "Jobs in two memories"

    def fill(self, files: Mapping[str, bytes]) -> None:
        settings = {"memory_depfile": "dependency.json", "memory_place": None, "memory_key": None, "memory_loud": False}
        if not hasattr(self, "base"):
            self.base, self.above = (MemoryStore(settings, self.context) for _ in range(2))
        names = sorted({path.partition(".")[0] for path in files if path.startswith("jobs/")})
        below = set(names[::2])
        self.base.files = {path: data for path, data in files.items() if path.partition(".")[0] in below}
        self.above.files = {path: data for path, data in files.items() if path.partition(".")[0] not in below}

    def snapshot(self) -> Snapshot:
        return open_layers([("base", self.base.snapshot), ("above", self.above.snapshot)], SystemClock())


class TestLayeredStore(StoreContract):
    def store(self, files: Mapping[str, bytes]) -> Store:
        store = LayeredStore({}, self.context())
        store.fill(files)
        return store

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert isinstance(store, LayeredStore)
        store.fill(files)

"""The store that other tests run on keeps the promises of a real one."""

from __future__ import annotations

from collections.abc import Mapping

from dtree.store import Store
from dtree.testing import WritableStoreContract
from tests.fakes.store import MemoryStore


class TestMemoryStore(WritableStoreContract):
    def store(self, files: Mapping[str, bytes]) -> Store:
        store = MemoryStore(
            {"memory_depfile": "dependency.json", "memory_place": None, "memory_key": None, "memory_loud": False}, self.context()
        )
        self.change(store, files)
        return store

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert isinstance(store, MemoryStore)
        store.files = dict(files)

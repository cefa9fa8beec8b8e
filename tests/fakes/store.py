"""A store in memory: a dependency file and job files as a test writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dtree.errors import StoreError
from dtree.store import Option, Revision, Snapshot, Store, StoreContext, Text


class MemorySnapshot(Snapshot):
    """What a test put in.

    Args:
        depfile: the dependency file: text, bytes, or a value to write as JSON; None: there is none.
        jobs: job files by path below `jobs/`: text, bytes, or a value to write as JSON.
        files: any other files by path.
    """

    def __init__(
        self, depfile: Any, jobs: Mapping[str, Any] | None = None, *, files: Mapping[str, Any] | None = None, name: str = "dependency.json"
    ) -> None:
        self._depfile = None if depfile is None else Text(name, _data(depfile))
        self._jobs = {path: Text(f"jobs/{path}", _data(value)) for path, value in sorted((jobs or {}).items())}
        self._files = {path: Text(path, _data(value)) for path, value in sorted((files or {}).items())}
        self.reads: list[str] = []
        self.closed = False

    def depfile(self) -> Text:
        if self._depfile is None:
            raise StoreError("the store has no dependency file")
        self.reads.append(self._depfile.path)
        return self._depfile

    def list_jobs(self) -> Sequence[str]:
        return list(self._jobs)

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        self.reads.extend(self._jobs[path].path for path in paths)
        return {path: self._jobs[path] for path in paths}

    def read(self, path: str) -> Text:
        if path not in self._files:
            raise StoreError(f"the store has no file '{path}'")
        self.reads.append(path)
        return self._files[path]

    @property
    def revision(self) -> Revision:
        texts = [self._depfile] if self._depfile is not None else []
        digest = hashlib.sha256()
        for text in (*texts, *self._jobs.values(), *self._files.values()):
            digest.update(text.path.encode() + b"\0" + text.data + b"\0")
        return Revision(f"sha256:{digest.hexdigest()}", "memory")

    @property
    def title(self) -> str:
        return "memory"

    def close(self) -> None:
        self.closed = True


class MemoryStore(Store):
    """A kind of store that holds what is put into `contents`."""

    store_api = 1
    summary = "Jobs in memory"
    options = (Option("memory-name", help="which of the contents", default="main"),)
    contents: Mapping[str, MemorySnapshot] = {}

    def __init__(self, settings: Mapping[str, Any], context: StoreContext) -> None:
        super().__init__(settings, context)

    def snapshot(self) -> Snapshot:
        name = self.settings["memory_name"]
        if name not in self.contents:
            raise StoreError(f"nothing is held under '{name}'")
        return self.contents[name]


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()

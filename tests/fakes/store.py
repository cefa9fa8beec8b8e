"""A store in memory: a dependency file and job files as a test writes them."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from dtree.store import Option, Revision, Snapshot, Store, StoreContext, StoreFileMissing, Text


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
        texts = [*self._jobs.values(), *([self._depfile] if self._depfile else [])]
        self._files = {text.path: text for text in texts} | {path: Text(path, _data(value)) for path, value in (files or {}).items()}
        self.reads: list[str] = []
        self.closed = False

    def depfile(self) -> Text:
        if self._depfile is None:
            raise StoreFileMissing("the store has no dependency file", hint="put one in")
        self.reads.append(self._depfile.path)
        return self._depfile

    def list_jobs(self) -> Sequence[str]:
        return list(self._jobs)

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        for path in paths:
            self._find(self._jobs, path)
        self.reads.extend(self._jobs[path].path for path in paths)
        return {path: self._jobs[path] for path in paths}

    def read(self, path: str) -> Text:
        found = self._find(self._files, posixpath.normpath(path))
        self.reads.append(path)
        return found

    @property
    def revision(self) -> Revision:
        digest = hashlib.sha256()
        for path, text in sorted(self._files.items()):
            digest.update(path.encode() + b"\0" + text.data + b"\0")
        return Revision(f"sha256:{digest.hexdigest()}", "memory")

    @property
    def title(self) -> str:
        return "memory"

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _find(texts: Mapping[str, Text], path: str) -> Text:
        if path not in texts:
            raise StoreFileMissing(f"the store has no file '{path}'", hint="put one in")
        return texts[path]


class MemoryStore(Store):
    """A store that holds what is put into `files`, by path from its root; jobs stand below `jobs/`."""

    store_api = 1
    summary = "Jobs in memory"
    options = (Option("memory-depfile", help="name of the dependency file", default="dependency.json"),)

    def __init__(self, settings: Mapping[str, Any], context: StoreContext) -> None:
        super().__init__(settings, context)
        self.files: Mapping[str, bytes] = {}

    def snapshot(self) -> Snapshot:
        name = self.settings["memory_depfile"]
        jobs = {path.removeprefix("jobs/"): data for path, data in self.files.items() if path.startswith("jobs/")}
        others = {path: data for path, data in self.files.items() if not path.startswith("jobs/") and path != name}
        return MemorySnapshot(self.files.get(name), jobs, files=others, name=name)


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()

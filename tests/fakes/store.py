"""A store in memory: a dependency file and job files as a test writes them."""

from __future__ import annotations

import hashlib
import json
import posixpath
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dtree.store import (
    Changes,
    Option,
    Revision,
    Snapshot,
    Store,
    StoreChanged,
    StoreContext,
    StoreError,
    StoreFileMissing,
    StoreUnreachable,
    Text,
)

_LOOK_S = 0.05


@dataclass
class Shelf:
    """Where a store keeps its files, by path from its root.

    Attributes:
        pause: how its snapshots pass the time while they wait for a change.
        gone: nobody can ask it now.
        limit_bytes: no file may be larger.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep
    gone: bool = False
    limit_bytes: int = sys.maxsize

    def refuse(self) -> None:
        """Raise where it is gone."""
        if self.gone:
            raise StoreUnreachable("nothing is there", hint="go elsewhere")


class MemorySnapshot(Snapshot):
    """What a test put in.

    Args:
        depfile: the dependency file: text, bytes, or a value to write as JSON; None: there is none.
        jobs: job files by path below `jobs/`: text, bytes, or a value to write as JSON.
        files: any other files by path.
        shelf: what it is a view of, to be written to and to change.
    """

    def __init__(
        self,
        depfile: Any,
        jobs: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, Any] | None = None,
        name: str = "dependency.json",
        shelf: Shelf | None = None,
    ) -> None:
        self._depfile = None if depfile is None else Text(name, _data(depfile))
        self._jobs = {path: Text(f"jobs/{path}", _data(value)) for path, value in sorted((jobs or {}).items())}
        texts = [*self._jobs.values(), *([self._depfile] if self._depfile else [])]
        self._files = {text.path: text for text in texts} | {path: Text(path, _data(value)) for path, value in (files or {}).items()}
        self.reads: list[str] = []
        self.closed = False
        self._name = name
        self._seen = {path: text.data for path, text in self._files.items()}
        self._shelf = shelf or Shelf(dict(self._seen))

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

    def check_changes(self, changes: Changes) -> None:
        for path, data in {**changes.jobs, **changes.files, self._name: changes.depfile}.items():
            if len(data or b"") > self._shelf.limit_bytes:
                raise StoreError(f"{path} is too large", hint="make it smaller", code="store-unwritable")

    def write(self, changes: Changes) -> str:
        self.check_changes(changes)
        wanted: dict[str, bytes | None] = {_below("jobs", path): data for path, data in changes.jobs.items()}
        wanted |= {_below("", path): data for path, data in changes.files.items()}
        wanted |= {} if changes.depfile is None else {self._name: changes.depfile}
        for path in wanted:
            if self._shelf.files.get(path) != self._seen.get(path):
                raise StoreChanged(f"somebody changed {path} meanwhile", hint="look at the difference, then do it again")
        for path, data in wanted.items():
            if data is None:
                self._shelf.files.pop(path, None)
            else:
                self._shelf.files[path] = data
        return "in one go"

    def wait_for_change(self, timeout_s: float) -> bool:
        waited_s = 0.0
        while self._shelf.files == self._seen:
            self._shelf.refuse()
            if waited_s >= timeout_s:
                return False
            self._shelf.pause(_LOOK_S)
            waited_s += _LOOK_S
        return True

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _find(texts: Mapping[str, Text], path: str) -> Text:
        if path not in texts:
            raise StoreFileMissing(f"the store has no file '{path}'", hint="put one in")
        return texts[path]


class MemoryStore(Store):
    """A store that holds what is put into `files`, by path from its root; jobs stand below `jobs/`.

    With `memory-place` the stores of one place share a shelf, from one command to the next.
    """

    store_api = 1
    summary = "Jobs in memory"
    options: ClassVar[tuple[Option, ...]] = (
        Option("memory-depfile", help="Name of the dependency file.", default="dependency.json"),
        Option("memory-place", help="Name of the place that holds the files."),
        Option("memory-key", help="A key to it.", secret=True),
        Option("memory-loud", help="Say so.", type="bool", default=False),
    )
    writable = True
    places: ClassVar[dict[str, Shelf]] = {}

    def __init__(self, settings: Mapping[str, Any], context: StoreContext) -> None:
        super().__init__(settings, context)
        place = settings.get("memory_place")
        self._shelf = self.places.setdefault(place, Shelf()) if place else Shelf()

    @property
    def files(self) -> Mapping[str, bytes]:
        return self._shelf.files

    @files.setter
    def files(self, files: Mapping[str, bytes]) -> None:
        self._shelf.files = dict(files)

    def snapshot(self) -> Snapshot:
        self._shelf.refuse()
        name = self.settings["memory_depfile"]
        jobs = {path.removeprefix("jobs/"): data for path, data in self.files.items() if path.startswith("jobs/")}
        others = {path: data for path, data in self.files.items() if not path.startswith("jobs/") and path != name}
        return MemorySnapshot(self.files.get(name), jobs, files=others, name=name, shelf=self._shelf)


class AskingStore(MemoryStore):
    """The same, for those who say where."""

    options = (Option("asking-place", help="Name of the place that holds the files.", required=True),)


def _below(folder: str, path: str) -> str:
    if not path or path.startswith("/") or posixpath.normpath(path).split("/")[0] == "..":
        raise StoreError(f"{path!r} is no path of the store", hint="write it from the root")
    return posixpath.join(folder, path)


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()

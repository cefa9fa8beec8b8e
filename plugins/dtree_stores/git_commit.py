"""The work tree of Git that a folder stands in: its commit, and whether that holds exactly the files that were read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final

from dtree.access.git.questions import ask, describe, head_of, is_dirty, newest_tag
from dtree.store import Commit

_HASHES: Final = {40: hashlib.sha1, 64: hashlib.sha256}

Files = Mapping[str, bytes]
"""What was read, by real path. More may be read later; what was read once stays as it is."""


class WorkTree:
    """What git says of a folder, each thing asked once, and compared with what was read.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._compared: tuple[int, _Comparison | None] = 0, None  # of how many files

    def commit(self, files: Files) -> Commit | None:
        """Return HEAD; None where there is no git, no repository or no commit. Effects: runs git.

        It is dirty where git says so, where something below the folder is untracked, and where it does not hold just these files.
        """
        head = self._head
        if head is None or head.is_dirty or not files:
            return head
        compared = self._compare(files)
        return replace(head, is_dirty=compared is None or compared.commit != head.id or bool(compared.others))

    def held_by(self, files: Files) -> str:
        """Return the id of HEAD if it holds all of the files with just these bytes, and there are some; else "". Effects: runs git."""
        compared = self._compare(files)
        return compared.commit if compared is not None and files and not compared.others else ""

    def not_held(self, files: Files) -> tuple[str, ...]:
        """Return the files that HEAD does not hold with just these bytes, sorted. Effects: runs git."""
        compared = self._compare(files)
        return compared.others if compared is not None else ()

    def tag(self) -> str:
        """Return the tag of HEAD of the highest version; "" for none. Effects: runs git."""
        return newest_tag(partial(ask, self._root), self._head.id) if self._head else ""

    def describe(self) -> str:
        """Return how git describes HEAD; "" where there is none. Effects: runs git.

        Raises:
            StoreError: the clone has a part of the history only.
        """
        return describe(partial(ask, self._root), self._head.id, where=str(self._root)) if self._head else ""

    @cached_property
    def _head(self) -> Commit | None:
        head = head_of(self._root)
        return None if head is None else Commit(head.id, head.date, is_dirty=is_dirty(self._root, untracked_below=self._root))

    def _compare(self, files: Files) -> _Comparison | None:
        number, compared = self._compared
        if number != len(files):
            compared = _compare(files, self._root)
            self._compared = len(files), compared
        return compared


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Files beside a commit.

    Attributes:
        commit: full hash of HEAD.
        others: real paths of the files that it does not hold with just these bytes, sorted.
    """

    commit: str
    others: tuple[str, ...]


def _compare(files: Files, folder: Path) -> _Comparison | None:
    """Compare files with HEAD's commit; None where there is no git, no repository or no commit.

    The bytes are compared with the commit itself, not the work tree with the index as `git status` does: what was read counts, even when a
    file changes while we look, and edits elsewhere in the repository do not matter.

    Effects: runs git twice, which changes nothing.
    """
    answer = ask(folder, "rev-parse", "--show-toplevel", "HEAD")
    lines = answer.decode(errors="surrogateescape").splitlines() if answer else []
    if len(lines) != len(("top", "commit")):
        return None
    top, commit = Path(lines[0]).resolve(), lines[1]
    above = os.path.join(top, "")  # noqa: PTH118 - with `/` at the end; a thousand Paths would take longer than git
    within = {path: path.removeprefix(above) for path in files if path.startswith(above)}
    # Only the folders in question are listed: a repository may hold half a million files elsewhere.
    folders = sorted({path.partition("/")[0] for path in within.values()})
    listing = ask(top, "ls-tree", "-r", "-z", commit, "--", *folders) if folders else None
    blobs = {name: fields.split()[2] for fields, _, name in (line.partition(b"\t") for line in (listing or b"").split(b"\0") if line)}
    held = {path for path, name in within.items() if blobs.get(os.fsencode(name)) == _blob_id(files[path], len(commit))}
    return _Comparison(commit, tuple(sorted(files.keys() - held)))


def _blob_id(data: bytes, length: int) -> bytes:
    hashed = _HASHES.get(length, hashlib.sha1)(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return hashed.hexdigest().encode()

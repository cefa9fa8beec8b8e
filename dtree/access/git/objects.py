"""Reads what a commit holds from an object database, many files in one go."""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtree.access.git.program import Answer, GitFailed, Program

__all__ = ["FILE_LIMIT_BYTES", "TOTAL_LIMIT_BYTES", "Entry", "Found", "Objects", "clean_git_dir"]

FILE_LIMIT_BYTES: Final = 16 << 20
"""Size above which a file is no file of ours: the limit of a dependency file."""

TOTAL_LIMIT_BYTES: Final = 256 << 20
"""Size of all files that are read in one go."""

_PATHS_AT_ONCE: Final = 1000
_LINKS: Final = 40
_LONGEST_LINK_BYTES: Final = 4096
_PROBLEMS: Final = (b"dangling", b"loop", b"notdir", b"symlink")


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a path, with all links on the way followed.

    Attributes:
        kind: `blob`, `tree`, `commit` or `tag`; else why there is nothing: `missing`, `dangling` (a link to nothing), `loop` (of links),
            `notdir` (a file where a folder is wanted), `symlink` (a link out of the tree).
        oid: id of the object; "" for nothing.
        size_bytes: its size.
        target: where a `symlink` leads.
    """

    kind: str
    oid: str = ""
    size_bytes: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a folder's listing.

    Attributes:
        path: below the folder that was listed.
        kind: `file`, `link`, `folder` or `submodule`.
        oid: id of the object.
        size_bytes: of a file or link, by `list_tree`; None where the database lacks it.
    """

    path: str
    kind: str
    oid: str
    size_bytes: int | None = None


_KINDS: Final = {"120000": "link", "160000": "submodule", "040000": "folder"}


class Objects:
    """An object database. Its methods read; none looks at a work tree, an index or a ref."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def find(self, names: Sequence[str], *, file_limit_bytes: int | None = None) -> list[Found]:
        """Find objects by name.

        Args:
            names: ids, or `TREE:PATH`, without line breaks. No link leads out of that tree.
            file_limit_bytes: what git may write to a file, where this fetches.

        Returns:
            One for each name, in their order.

        Effects: runs git.
        """
        found = self._ask(names, file_limit_bytes)
        # Git gives up at a link with a `.` in its path.
        return [self._follow(name, file_limit_bytes) if one.kind == "dangling" else one for name, one in zip(names, found, strict=True)]

    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of objects, whose size the caller knows to be bearable, by id.

        Effects: runs git.
        """
        wanted = sorted(set(oids))
        if not wanted:
            return {}
        lines = "".join(f"{oid}\n" for oid in wanted).encode()
        answer = self._program.ask("cat-file", "--batch", "--buffer", doing="read files", stdin=lines)
        contents = dict(_contents(answer))
        if len(contents) < len(wanted):
            gone = next(oid for oid in wanted if oid not in contents)
            raise GitFailed("read files", Answer(0, b"", f"object {gone} is missing"))
        return contents

    def list_tree(self, tree: str) -> list[Entry]:
        """Return all that a folder holds, at any depth, without following links. Effects: runs git."""
        return list(_entries(self._program.ask("ls-tree", "-r", "-t", "-l", "-z", tree, doing="list a folder")))

    def look_up(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Return what stands at `paths` and on the way to them, without following links, whether the database has it or not.

        Effects: runs git.
        """
        ways = sorted({way for path in paths for way in _ways(path)})
        found: dict[str, Entry] = {}
        for start in range(0, len(ways), _PATHS_AT_ONCE):
            some = dict.fromkeys(ways[start : start + _PATHS_AT_ONCE])
            answer = self._program.ask("ls-tree", "-t", "-z", tree, "--", *some, doing="list a folder")
            found.update((entry.path, entry) for entry in _entries(answer) if entry.path in some)
        return found

    def _ask(self, names: Sequence[str], file_limit_bytes: int | None) -> list[Found]:
        if not names:
            return []
        asked = [os.fsencode(name) for name in names]
        lines = b"".join(name + b"\n" for name in asked)
        arguments = ("cat-file", "--batch-check", "--buffer", "--follow-symlinks")
        answer = self._program.ask(*arguments, doing="look up files", stdin=lines, file_limit_bytes=file_limit_bytes)
        return list(_found(answer, asked))

    def _follow(self, name: str, file_limit_bytes: int | None) -> Found:
        tree, _, path = name.partition(":")
        for _ in range(_LINKS):
            entries = self.look_up(tree, [path])
            link = next((way for way in _ways(path) if way in entries and entries[way].kind == "link"), None)
            if link is None:
                return Found("dangling")
            held = self._ask([entries[link].oid], file_limit_bytes)[0]
            if held.kind == "missing" or held.size_bytes > _LONGEST_LINK_BYTES:
                return Found("missing" if held.kind == "missing" else "dangling")
            target = os.fsdecode(self.read([entries[link].oid])[entries[link].oid])
            path = posixpath.normpath(posixpath.join(posixpath.dirname(link), target) + path.removeprefix(link))
            if path.startswith(("/", "../")) or path == "..":
                return Found("symlink", target=target)
            path = "" if path == "." else path
            found = self._ask([f"{tree}:{path}"], file_limit_bytes)[0] if "\n" not in path else Found("missing")
            if found.kind != "dangling":
                return found
        return Found("loop")


def clean_git_dir(owner: object, *, digits: int) -> Path:
    """Make an empty repository that goes when `owner` does.

    Git started in it, and told of the objects of another, reads these without that one's settings, and says of an object that a partial
    clone lacks that it is missing, in place of fetching it.

    Args:
        digits: of an object id: 40 for SHA-1, 64 for SHA-256.

    Effects: makes a temporary folder with a few small files.
    """
    folder = Path(tempfile.mkdtemp(prefix="nomad-dtree-git-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    (folder / "refs").mkdir()
    (folder / "objects").mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    is_sha256 = digits == 64  # noqa: PLR2004 - see Args
    extension = "[extensions]\n\tobjectformat = sha256\n" if is_sha256 else ""
    (folder / "config").write_text(f"[core]\n\trepositoryformatversion = {int(is_sha256)}\n\tbare = true\n{extension}")
    return folder


def _found(answer: bytes, names: Sequence[bytes]) -> Iterator[Found]:
    """Read what `cat-file --batch-check` says of each name."""
    start = 0
    for name in names:
        end = answer.index(b"\n", start)
        line = answer[start:end]
        start = end + 1
        first, _, rest = line.partition(b" ")
        if first in _PROBLEMS and rest.isdigit():
            text = answer[start : start + int(rest)]
            start += int(rest) + 1
            yield Found(first.decode(), target=os.fsdecode(text) if first == b"symlink" else "")
        elif line.startswith(name + b" ") and not rest.rpartition(b" ")[2].isdigit():
            yield Found("missing")
        else:
            kind, _, size = rest.partition(b" ")
            yield Found(kind.decode(), first.decode(), int(size))


def _contents(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Read what `cat-file --batch` wrote: a line of id, kind and size, then the content and a line break."""
    start = 0
    while start < len(answer):
        end = answer.index(b"\n", start)
        oid, *rest = answer[start:end].split(b" ")
        start = end + 1
        if rest != [b"missing"]:
            content = answer[start : start + int(rest[-1])]
            start += len(content) + 1
            yield oid.decode(), content


def _entries(answer: bytes) -> Iterator[Entry]:
    for line in os.fsdecode(answer).split("\0"):
        if line:
            fields, _, path = line.partition("\t")
            mode, _, oid, *size = fields.split()
            size_bytes = int(size[0]) if size and size[0].isdigit() else None
            yield Entry(path, _KINDS.get(mode, "file"), oid, size_bytes)


def _ways(path: str) -> Iterator[str]:
    """Yield `a`, `a/b` and `a/b/c` of `a/b/c`."""
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        yield "/".join(parts[:number])

"""Reading a folder without leaving it: files by their path, and the list of all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dtree.store import StoreError, StoreFileMissing
from dtree_stores.paths import is_hidden

# No link: where one leads is looked up, and judged, before it is opened. Without waiting: a pipe would have us wait for a writer.
_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_PART_BYTES: Final = 64 * 1024


def read_file(path: str, limit: Path, shown: str, folders: dict[str, str]) -> tuple[str, bytes]:
    """Read a file that is a regular one, through links unless they lead out.

    Args:
        limit: what they may not lead out of; without links itself.
        shown: the path as the user would write it.
        folders: folders without links by their path, remembered here: a thousand files of one folder need that looked up once.

    Returns:
        (the path without links, its bytes).

    Raises:
        StoreFileMissing: there is no such file.
        StoreError: links lead out, or go round in a circle; it is no regular file, or the system will not read it.

    Effects: looks at the folders on the way; reads the file.
    """
    # Not with Path: a thousand of those take longer than reading a thousand files.
    above, slash, name = path.rpartition("/")
    try:
        if above not in folders:
            folders[above] = os.path.realpath(above + slash, strict=True).rstrip("/")
        real = f"{folders[above]}/{name}"
        descriptor = _open_unless_link(real) if _lies_in(real, limit) else None
        if descriptor is None:
            real = os.path.realpath(real, strict=True)
            refuse_escape(real, limit, shown)
            descriptor = os.open(real, _READING)
        return real, _read(descriptor, shown)
    except FileNotFoundError:
        raise StoreFileMissing(f"there is no file {shown}", hint="check the path, and links on the way") from None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket cannot even be opened
            raise _irregular(shown) from error
        raise unreadable(error, shown) from error


def refuse_escape(real: str, limit: Path, shown: str) -> None:
    """Raise where a path without links lies outside of `limit`."""
    if real != str(limit) and not _lies_in(real, limit):
        raise StoreError(
            f"{shown} leads out of the store, to {real}",
            hint=f"copy it below {limit}, or choose a --fs-root that holds both",
            code="store-outside",
        )


def unreadable(error: Exception, shown: str) -> StoreError:
    """Say that the system will not read something, in its words."""
    why = getattr(error, "strerror", None) or str(error)
    return StoreError(f"{shown} cannot be read: {why}", hint="check its permissions and links", code="store-unreadable")


def scan(folder: Path, limit: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """Walk all folders below one, through linked folders too unless they lead out of `limit` or back up.

    Returns:
        (the folder, its path from the first one with `/` at the end, the files in it that are no hidden ones), the first folder first.

    Effects: reads the folders.
    """
    return _scan(folder, "", limit, ())


def _lies_in(real: str, limit: Path) -> bool:
    return real.startswith(f"{str(limit).rstrip('/')}/")


def _open_unless_link(real: str) -> int | None:
    try:
        return os.open(real, _READING)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _read(descriptor: int, shown: str) -> bytes:
    """Read an open file and close it."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise StoreError(f"{shown} is a folder, not a file", hint="name a file in it", code="store-not-a-file")
        if not stat.S_ISREG(mode):
            raise _irregular(shown)
        parts = []
        while part := os.read(descriptor, _PART_BYTES):
            parts.append(part)
    finally:
        os.close(descriptor)
    return b"".join(parts)


def _irregular(shown: str) -> StoreError:
    return StoreError(f"{shown} is no regular file", hint="write it to a file first", code="store-not-a-file")


def _scan(folder: Path, prefix: str, limit: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str, list[str]]]:
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise unreadable(error, str(folder)) from error
    here = (*above, folder.resolve())
    files: list[str] = []
    folders: list[os.DirEntry[str]] = []
    for entry in found:
        is_link = entry.is_symlink()
        # On a loop of links entry.is_dir raises, this does not.
        is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()  # noqa: PTH112 - see above
        if not is_folder:
            # A dangling link is listed: a job file that cannot be read is told, a missing one only guessed at.
            files.append(entry.name)
        elif not is_link or _leads_down(Path(entry.path).resolve(), limit, here):
            folders.append(entry)
    yield folder, prefix, files
    for entry in folders:
        yield from _scan(Path(entry.path), f"{prefix}{entry.name}/", limit, here)


def _leads_down(real: Path, limit: Path, above: tuple[Path, ...]) -> bool:
    return real.is_relative_to(limit) and not any(folder.is_relative_to(real) for folder in above)

"""Reading a folder without leaving it: files by their path, and the list of all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dtree.store import StoreError, StoreFileMissing
from dtree_stores.paths import is_hidden


def resolve(path: str, limit: Path, shown: str, folders: dict[str, str]) -> str:
    """Follow all links of a path to a file.

    Args:
        limit: what they may not lead out of; without links itself.
        shown: the path as the user would write it.
        folders: folders without links by their path, remembered here: a thousand files of one folder need that looked up once.

    Raises:
        StoreFileMissing: there is no such file.
        StoreError: they lead out, or go round in a circle.

    Effects: looks at the folders on the way.
    """
    above, name = os.path.split(path)
    try:
        if above not in folders:
            folders[above] = os.path.realpath(above, strict=True)
        text = os.path.join(folders[above], name)  # noqa: PTH118 - a thousand Paths take longer than reading
        real = os.path.realpath(text, strict=True) if os.path.islink(text) else text  # noqa: PTH114 - as above
    except FileNotFoundError:
        raise StoreFileMissing(f"there is no file {shown}", hint="check the path, and links on the way") from None
    except OSError as error:
        raise unreadable(error, shown) from error
    refuse_escape(real, limit, shown)
    return real


def refuse_escape(real: str, limit: Path, shown: str) -> None:
    """Raise where a path without links lies outside of `limit`."""
    if real != str(limit) and not real.startswith(os.path.join(limit, "")):  # noqa: PTH118 - with `/` at the end
        raise StoreError(
            f"{shown} leads out of the store, to {real}",
            hint=f"copy it below {limit}, or choose a --fs-root that holds both",
            code="store-outside",
        )


def read_bytes(real: str, shown: str) -> bytes:
    """Read a file that is a regular one. Effects: reads it."""
    try:
        kind = os.stat(real).st_mode  # noqa: PTH116 - as in resolve
        if stat.S_ISDIR(kind):
            raise StoreError(f"{shown} is a folder, not a file", hint="name a file in it", code="store-not-a-file")
        if not stat.S_ISREG(kind):  # reading a pipe would wait for ever
            raise StoreError(f"{shown} is no regular file", hint="write it to a file first", code="store-not-a-file")
        with open(real, "rb", buffering=0) as file:  # noqa: PTH123 - as in resolve
            return file.read()
    except FileNotFoundError:  # it went between two looks
        raise StoreFileMissing(f"there is no file {shown}", hint="check the path, and links on the way") from None
    except OSError as error:
        raise unreadable(error, shown) from error


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

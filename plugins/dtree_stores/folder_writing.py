"""Writing files into a folder without leaving it, each of them at once: a reader sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dtree.store import StoreError
from dtree_stores.folder import refuse_escape, unreadable

_NAMED: Final = 10
"""How many of the files that were written before a failure are named."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file to write or remove.

    Attributes:
        path: where; links on the way are followed, one at its end is written through, but removed itself.
        limit: what nothing may lead out of; without links itself.
        shown: the path as the user would write it.
        data: None removes it.
    """

    path: Path
    limit: Path
    shown: str
    data: bytes | None


def write_files(stages: Sequence[Sequence[Target]]) -> None:
    """Write and remove files, one stage after the other, each safely on the disk before the next begins.

    Raises:
        StoreError: nothing was written, because one leads out of its limit or is no file; or the system refused one, which says what was
            written before.

    Effects: writes files, makes folders for them; a temporary file beside each for a moment, whose name is hidden.
    """
    placed = [[(place_of(target), target) for target in stage] for stage in stages]
    done: list[str] = []
    for stage in placed:
        for real, target in stage:
            try:
                _remove(real) if target.data is None else _replace(real, target.data)
            except OSError as error:
                raise _unwritable(error, target.shown, done) from error
            done.append(target.shown)
        for folder in sorted({real.parent for real, _ in stage}):
            _sync(folder)


def place_of(target: Target) -> Path:
    """Find where a file really is, refusing what is no place for one. Raises StoreError. Effects: follows links."""
    path, shown = target.path, target.shown
    try:
        real = path.parent.resolve() / path.name if target.data is None else path.resolve()
        refuse_escape(str(real), target.limit, shown)
        if real.is_dir():
            raise StoreError(f"{shown} is a folder, not a file", hint="remove it, or choose another path", code="store-not-a-file")
        above = next(folder for folder in real.parents if folder.exists())
        if not above.is_dir():
            raise StoreError(f"{shown} lies below {above}, which is a file", hint="remove that file", code="store-not-a-folder")
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        raise unreadable(error, shown) from error
    return real


def _replace(real: Path, data: bytes) -> None:
    real.parent.mkdir(parents=True, exist_ok=True)
    temporary = real.with_name(f".dtree-{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            _keep_rights(file.fileno(), real)
            os.fsync(file.fileno())
        temporary.replace(real)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            temporary.unlink()
        raise


def _keep_rights(new: int, old: Path) -> None:
    """Give the new file the owner, where we may, and the permissions of the one that it replaces."""
    try:
        before = old.stat()
    except FileNotFoundError:
        return
    with suppress(PermissionError):
        os.fchown(new, before.st_uid, before.st_gid)
    os.fchmod(new, stat.S_IMODE(before.st_mode) & 0o777)


def _remove(real: Path) -> None:
    with suppress(FileNotFoundError):
        real.unlink()


def _sync(folder: Path) -> None:
    """Have the folder's names on the disk; some file systems cannot, and lose nothing but time after a crash."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(error: OSError, shown: str, done: Sequence[str]) -> StoreError:
    return StoreError(
        f"{shown} cannot be written: {error.strerror}",
        notes=list(_before(done)),
        hint="make room, or mend the permissions of its folder, then do it again",
        code="store-unwritable",
    )


def _before(done: Sequence[str]) -> Iterator[str]:
    if not done:
        yield "nothing was written before that"
        return
    more = f" and {len(done) - _NAMED} more" if len(done) > _NAMED else ""
    yield f"written or removed before that: {', '.join(done[:_NAMED])}{more}"

"""Files of this machine: how they are called, and how they are written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["replace_file", "shown"]


def shown(file: Path, cwd: Path) -> str:
    """Return a path as the user would write it from the working folder."""
    return os.path.relpath(file, cwd) if file.is_relative_to(cwd) else str(file)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file at once: beside its place, and moved there, so that nobody ever sees a half of it, nor is a link followed.

    It has the permissions of the file that it replaces.

    Raises:
        OSError: it cannot be written; what was there is as it was.

    Effects: that.
    """
    beside = path.with_name(f".nomad-dtree-{os.urandom(8).hex()}")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            if path.is_file() and not path.is_symlink():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise

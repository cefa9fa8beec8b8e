"""Paths within a store, alike for every store that comes along: which are refused, which are no job files, where a dependency file lies."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Final

from dtree.store import StoreError, StoreFileMissing

DEPFILES: Final = ("dependency.json", "dependency.yaml", "dependency.yml")
"""How a dependency file may be called where no option names it."""

_BACKUPS: Final = ("~", ".bak", ".orig", ".swp", ".tmp")


def parts_of(path: str, root: object) -> tuple[str, ...]:
    """Split a path that a user or a dependency file gave.

    Args:
        root: what it is relative to, for the error.

    Returns:
        at least one part; none is `..`.

    Raises:
        StoreError: it names a place elsewhere, whatever links may be on the way.
    """
    # Not with PurePosixPath: a thousand of those take longer than reading a thousand files.
    parts = tuple([part for part in path.split("/") if part not in ("", ".")])
    if path.startswith("/") or ".." in parts or "\0" in path or not parts:
        raise StoreError(
            f"{path!r} is no path below {root}", hint="write it from the root of the store, without `..`", code="store-outside"
        )
    return parts


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is no job file: hidden, or an editor's backup."""
    return name.startswith((".", "#")) or name.endswith(_BACKUPS)


def digest_of(files: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the SHA-256 of files, each a name and its content, in the order given, as hex."""
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(b"%d:%s%d:" % (len(name), name, len(data)))
        digest.update(data)
    return digest.hexdigest()


def find_depfile(root: object, present: Collection[str], *, hint: str, choose: str) -> str:
    """Return the one name of a dependency file that is present.

    Args:
        root: where, for the error.
        hint: what to do where there is none.
        choose: the option that chooses where there are several.

    Raises:
        StoreFileMissing: none is.
        StoreError: more than one is.
    """
    found = [name for name in DEPFILES if name in present]
    if not found:
        raise no_depfile(root, hint=hint)
    if len(found) > 1:
        raise StoreError(
            f"{root} has more than one dependency file: {', '.join(found)}",
            hint=f"keep one, or choose with {choose}",
            code="depfile-ambiguous",
        )
    return found[0]


def no_depfile(root: object, *, hint: str) -> StoreFileMissing:
    """Say that there is no dependency file, and how it may be called."""
    looked_for = f"looked for {', '.join(DEPFILES)}"
    return StoreFileMissing(f"{root} has no dependency file", notes=[looked_for], hint=hint, code="depfile-missing")


def new_depfile(data: bytes) -> str:
    """Return how a new dependency file is called: after what it is, JSON or YAML."""
    import json

    try:
        json.loads(data)
    except ValueError:
        return DEPFILES[1]
    return DEPFILES[0]

"""Which commit holds exactly the files that were read, asked of the git program."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dtree.access.git.questions import ask

_HASHES: Final = {40: hashlib.sha1, 64: hashlib.sha256}


def commit_of(files: Mapping[str, bytes], folder: Path) -> str | None:
    """Return HEAD's commit if it holds every file with just these bytes.

    The bytes are compared with the commit itself, not the work tree with the index as `git status` does: what was read counts, even when a
    file changes while we look, and edits elsewhere in the repository do not matter.

    Args:
        files: real paths and what was read from them.
        folder: where to look for the repository.

    Returns:
        The full hash; None where it does not, or where there is no git, no repository or no commit.

    Effects: runs git twice, which changes nothing.
    """
    answer = ask(folder, "rev-parse", "--show-toplevel", "HEAD")
    lines = answer.decode(errors="surrogateescape").splitlines() if answer else []
    if not files or len(lines) != len(("top", "commit")):
        return None
    top, commit = Path(lines[0]).resolve(), lines[1]
    above = os.path.join(top, "")  # noqa: PTH118 - with `/` at the end; a thousand Paths would take longer than git
    if not all(path.startswith(above) for path in files):
        return None
    held = {path.removeprefix(above): data for path, data in files.items()}
    # Only the folders in question are listed: a repository may hold half a million files elsewhere.
    listing = ask(top, "ls-tree", "-r", "-z", commit, "--", *sorted({path.partition("/")[0] for path in held}))
    blobs = {name: fields.split()[2] for fields, _, name in (line.partition(b"\t") for line in (listing or b"").split(b"\0") if line)}
    is_whole = all(blobs.get(os.fsencode(path)) == _blob_id(data, len(commit)) for path, data in held.items())
    return commit if is_whole else None


def _blob_id(data: bytes, length: int) -> bytes:
    hashed = _HASHES.get(length, hashlib.sha1)(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return hashed.hexdigest().encode()

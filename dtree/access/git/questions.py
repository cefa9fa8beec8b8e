"""Small questions to a repository on this machine, asked of the git program without importing GitPython.

That takes longer to import than git to answer. Git runs as hardened as in `program`; where a work tree is compared with its commit, as
`git status` does that, filters that the repository's own settings name are run: they are part of what makes its files.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dtree.access.git.environment import SETTINGS, environment, local_variables
from dtree.access.git.refs import version_key
from dtree.errors import StoreError

__all__ = ["DIGITS", "Head", "Run", "ask", "commit_date", "describe", "head_of", "is_dirty", "newest_tag"]

Run = Callable[..., bytes | None]
"""Runs git with its arguments in one repository, and returns what it prints; None where it fails."""

DIGITS: Final = 7
"""Digits of a commit's id within what `describe` says."""

_TIMEOUT_S: Final = 10.0
_LONG_S: Final = 60.0
"""For what looks at every file of a work tree."""
_COMMITTED: Final = re.compile(rb"^committer .* (\d{1,12}) [+-]\d{4}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Head:
    """The commit that a work tree, or a repository, stands at.

    Attributes:
        id: full.
        date: when it was committed, as `2026-03-01T12:00:00Z`; "" where it does not say.
    """

    id: str
    date: str


def head_of(folder: Path) -> Head | None:
    """Return HEAD of the repository that a folder is in; None where there is no git, no repository or no commit. Effects: runs git."""
    answer = ask(folder, "cat-file", "--batch", stdin=b"HEAD^{commit}\n")
    first, _, rest = (answer or b"").partition(b"\n")
    words = first.decode(errors="replace").split()
    return Head(words[0], commit_date(rest)) if words[1:2] == ["commit"] else None


def is_dirty(folder: Path, *, untracked_below: Path | None = None) -> bool:
    """Whether a work tree holds something else than its commit: a tracked file anywhere, as for `git describe --dirty`.

    Args:
        folder: within it.
        untracked_below: also a file below this folder that git neither tracks nor ignores.

    Effects: runs git once or twice; refreshes nothing.
    """
    changed = ask(folder, "status", "--porcelain", "-z", "--untracked-files=no", timeout_s=_LONG_S)
    if changed is None:
        # A bare repository has nothing that could differ; of a work tree that git cannot look through nobody knows.
        return (ask(folder, "rev-parse", "--is-inside-work-tree") or b"").strip() == b"true"
    if changed or untracked_below is None:
        return bool(changed)
    untracked = ask(untracked_below, "ls-files", "-z", "--others", "--exclude-standard", "--directory", timeout_s=_LONG_S)
    return untracked is None or bool(untracked)


def newest_tag(run: Run, commit: str) -> str:
    """Return the tag of the highest version at a commit; "" for none. Effects: runs git."""
    answer = run("for-each-ref", f"--points-at={commit}", "--format=%(refname:strip=2)", "refs/tags/")
    return max(os.fsdecode(answer or b"").splitlines(), key=version_key, default="")


def describe(run: Run, commit: str, *, where: str) -> str:
    """Return what `git describe --tags --always` says of a commit.

    Raises:
        StoreError: it would be wrong, because the clone has a part of the history only.

    Effects: runs git.
    """
    exact = run("describe", "--tags", "--exact-match", commit)
    if not exact and (run("rev-parse", "--is-shallow-repository") or b"").strip() == b"true":
        raise StoreError(
            f"the clone {where} has a part of the history only, so nobody can say which tag comes before {commit[:DIGITS]}",
            hint="fetch the rest: `git fetch --unshallow --tags`",
            code="git-shallow",
        )
    return os.fsdecode(exact or run("describe", "--tags", "--always", f"--abbrev={DIGITS}", commit) or b"").strip()


def commit_date(commit: bytes) -> str:
    """Return when a commit was made, of its text: `2026-03-01T12:00:00Z`; "" where it does not say."""
    found = _COMMITTED.search(commit.partition(b"\n\n")[0])
    return datetime.fromtimestamp(int(found[1]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if found else ""


def ask(folder: Path, *arguments: str, stdin: bytes = b"", timeout_s: float = _TIMEOUT_S) -> bytes | None:
    """Return what a git command prints; None where it fails, takes too long, or there is no git. Effects: runs git."""
    local = local_variables(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in local} | environment()
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and paths, no shell
            ["git", "--literal-pathspecs", *SETTINGS, "-C", str(folder), *arguments],  # noqa: S607 - the user's git
            env=environ,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout if done.returncode == 0 else None

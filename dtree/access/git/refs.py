"""Names of tags, branches and commits: which are taken, which one of several is meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from shlex import quote
from typing import Final

from dtree.errors import StoreError

__all__ = ["FORMS", "SHORT", "check_ref", "full_names", "is_commit", "is_pattern", "may_be_commit", "newest", "short_name", "version_key"]

SHORT: Final = 12
"""Digits of a commit id that people are shown."""

FORMS: Final = "a tag, a branch, a commit, HEAD, or a pattern of tags as `v1.*`"
"""What is understood."""

_LONGEST: Final = 250
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f~^:\\]|\.\.|@\{|//|/$|^/|\.lock(?:/|$)|\.$")
_COUNTED: Final = re.compile(r"[~^]|@\{")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BEGINNING: Final = re.compile(r"[0-9a-f]{4,64}")
_PATTERN: Final = re.compile(r"[*?\[]")
_BEFORE_RELEASE: Final = re.compile(r"(?<=\d)[-._~]?(?:alpha|beta|preview|snapshot|dev|pre|rc|a|b)(?=[-._\d]|$)", re.IGNORECASE)


def check_ref(ref: str) -> None:
    """Refuse what is no name of a tag, a branch or a commit, nor a pattern of tags.

    Raises:
        StoreError: says so.
    """
    if ref and len(ref) <= _LONGEST and ref.isprintable() and not ref.startswith("-") and not _FORBIDDEN.search(ref):
        return
    shown = "".join(char if char.isprintable() else "?" for char in ref[:_LONGEST])
    if _COUNTED.search(ref) and not ref.startswith("-"):
        # How far the history has to be fetched for it, a server does not tell.
        problem = f"'{shown}' is counted from another commit, which --ref does not do"
        raise StoreError(problem, hint=f"give the commit itself: `git rev-parse {quote(shown)}` prints it", code="git-bad-ref")
    raise StoreError(f"'{shown}' cannot be the name of a tag, a branch or a commit", hint=f"give --ref {FORMS}", code="git-bad-ref")


def is_pattern(ref: str) -> bool:
    """Whether it stands for the newest of several tags."""
    return bool(_PATTERN.search(ref))


def is_commit(ref: str) -> bool:
    """Whether it is the full id of a commit, which never means anything else."""
    return bool(_COMMIT.fullmatch(ref))


def may_be_commit(ref: str) -> bool:
    """Whether it may be a commit's id or the beginning of one."""
    return bool(_BEGINNING.fullmatch(ref))


def full_names(ref: str) -> tuple[str, ...]:
    """Return the full names that a short one may stand for, in git's own order: a tag before a branch of the same name.

    >>> full_names("v1")
    ('refs/v1', 'refs/tags/v1', 'refs/heads/v1')
    """
    if ref == "HEAD" or ref.startswith("refs/"):
        return (ref,)
    return (f"refs/{ref}", f"refs/tags/{ref}", f"refs/heads/{ref}")


def short_name(full: str) -> str:
    """Return a ref's name as people write it: `refs/tags/v1` -> `v1`."""
    return re.sub(r"^refs/(?:tags|heads|remotes)/", "", full)


def newest(tags: Iterable[str], pattern: str) -> str | None:
    """Return the tag of the highest version that the pattern fits, None for none.

    What comes before a release (`v1.3-rc1`) counts only where no release fits, or the pattern itself names such.

    >>> newest(["v1.9", "v1.10", "v1.11-rc1", "v2.0"], "v1.*")
    'v1.10'
    """
    fitting = [tag for tag in tags if fnmatchcase(tag, pattern)]
    releases = [tag for tag in fitting if not _BEFORE_RELEASE.search(tag)]
    chosen = fitting if _BEFORE_RELEASE.search(pattern.replace("*", "0")) or not releases else releases
    return max(chosen, key=version_key, default=None)


def version_key(tag: str) -> tuple[object, ...]:
    """Return what tags are sorted by: numbers by value, and what comes before a release below it.

    >>> sorted(["v1.10", "v1.9", "v1.10-rc2"], key=version_key)
    ['v1.9', 'v1.10-rc2', 'v1.10']
    """
    early = _BEFORE_RELEASE.search(tag)
    core, rest = (tag[: early.start()], tag[early.start() :]) if early else (tag, "")
    return (_numbered(core), not early, _numbered(rest.lower()), tag)


def _numbered(text: str) -> tuple[tuple[int, str], ...]:
    """Split into texts and numbers: `v1.10` -> ((-1, 'v'), (1, ''), (-1, '.'), (10, ''))."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", text))

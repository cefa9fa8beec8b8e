"""An artifact version as people write it: a literal, or a source that it is read from. Pure.

1.4.2                  a literal; so is text with any other prefix, such as `sha256:…`
git:short              of the commit that the store was read at: its first seven digits; also `full`, `tag` and `describe`
git:short:../api       the same of HEAD in a repository on this machine
env:RELEASE            an environment variable
consul:shop/version    a key of Consul
file:VERSION           a file of the store, without white space at its ends
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from dtree.errors import did_you_mean

__all__ = ["GIT_FORMS", "MAX_LENGTH", "SHORT", "BadVersion", "VersionText", "parse_version", "pattern_of", "read_literal"]

GIT_FORMS: Final = ("short", "describe", "tag", "full")
SHORT: Final = 7
"""Digits of `git:short`: a fixed number, for what git itself takes as short differs from clone to clone."""
MAX_LENGTH: Final = 255

Kind = Literal["literal", "git", "env", "consul", "file"]

_UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_SEEN: Final = rf"(?! )[^{_UNSEEN}]*[^ {_UNSEEN}]"
_FORMS: Final = "|".join(GIT_FORMS)
_PARTS: Final[dict[str, str]] = {
    "git": rf"(?:{_FORMS})(?::{_SEEN})?",
    "env": r"[A-Za-z_][A-Za-z0-9_]*",
    "consul": _SEEN,
    "file": _SEEN,
}
_LITERAL: Final = rf"(?!(?:{'|'.join(_PARTS)}):){_SEEN}"


class BadVersion(ValueError):
    """Text that is no version: why, and what to write instead."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class VersionText(NamedTuple):
    """A version, taken apart.

    Attributes:
        kind: what it is, or where it is read from.
        what: the literal; one of GIT_FORMS; the name, key or path.
        repository: path of a repository, as it was written; "" for the store's own. Of git only.
    """

    kind: Kind
    what: str
    repository: str = ""


def parse_version(text: str) -> VersionText:
    """Take a version apart.

    >>> parse_version("git:short:../api")
    VersionText(kind='git', what='short', repository='../api')

    Raises:
        BadVersion: it is empty, cannot be shown on one line, or a source that cannot be.
    """
    kind, colon, what = text.partition(":")
    if not colon or kind not in _PARTS:
        return VersionText("literal", _check_literal(text))
    if len(text) > MAX_LENGTH or not re.fullmatch(_PARTS[kind], what):
        raise _bad_source(kind, what)
    match kind:
        case "git":
            form, _, repository = what.partition(":")
            return VersionText("git", form, repository)
        case "env":
            return VersionText("env", what)
        case "consul":
            return VersionText("consul", what)
        case _:
            return VersionText("file", what)


def read_literal(text: str) -> str:
    """Return a version that a source says. Raises BadVersion where it is none, or a source itself."""
    if text.partition(":")[0] in _PARTS and ":" in text:
        raise BadVersion("what is said there is a source itself, and no version", "write the version there")
    return _check_literal(text)


def pattern_of(kind: Kind) -> str:
    """Return what stands behind the prefix of a source, or all of a literal, as a regular expression."""
    return _PARTS.get(kind, _LITERAL)


def _check_literal(text: str) -> str:
    if not text:
        raise BadVersion("a version is empty", "write one, such as 1.4.2")
    if len(text) > MAX_LENGTH:
        raise BadVersion(f"a version is longer than {MAX_LENGTH} characters", "shorten it")
    if not re.fullmatch(_SEEN, text):
        raise BadVersion("a version holds a character that cannot be seen, or a space at an end", "remove it")
    return text


def _bad_source(kind: str, what: str) -> BadVersion:
    if kind == "git":
        form = what.partition(":")[0]
        if form in GIT_FORMS:
            return BadVersion(f"what stands after 'git:{form}:' is no path of a repository", f"write git:{form} for the store's own commit")
        near = did_you_mean(form[:MAX_LENGTH], GIT_FORMS).replace("'", "'git:", 1)
        return BadVersion(
            f"'git:{form[:60]}' names no form of a commit", near or f"write one of {', '.join('git:' + one for one in GIT_FORMS)}"
        )
    nouns = {"env": "an environment variable", "consul": "a key of Consul", "file": "a file of the store"}
    return BadVersion(f"what stands after '{kind}:' is not the name of {nouns[kind]}", f"write {kind}:NAME")

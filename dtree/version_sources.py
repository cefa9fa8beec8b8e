"""What the source of a version says: a commit, an environment variable, a key of Consul, a file of the store."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dtree.errors import StoreError, StoreUnreachable
from dtree.provenance import DIRTY
from dtree.render import Unanswered
from dtree.store import Commit, Snapshot
from dtree.values import Declared
from dtree.version_text import SHORT, BadVersion, VersionText, parse_version, read_literal

if TYPE_CHECKING:
    from dtree.access.git.questions import Head

__all__ = ["VersionReader", "is_of_store", "repository_of"]

_WITH_COMMIT: Final = "the store git has one, and a folder within a Git work tree"


class VersionReader:
    """Reads versions from their sources.

    Attributes:
        told: the commit of the store as it was told last; None while nobody asked.

    Args:
        store: name of the store, for people.
        snapshot: of it.
        answer: as `Inputs.answer`.
    """

    def __init__(self, store: str, snapshot: Snapshot, answer: Callable[..., Any] | None) -> None:
        self._store = store
        self._snapshot = snapshot
        self._ask = answer
        self._commits: dict[Path, Commit] = {}
        self.told: Commit | None = None

    def read(self, declared: Declared) -> str:
        """Return a version as it is now. Effects: reads its source.

        Raises:
            Unanswered: it has none.
            StoreUnreachable: the store cannot be asked any more.
        """
        version = parse_version(declared.text)
        match version.kind:
            case "literal":
                return version.what
            case "git":
                text = self._of_git(version, declared)
            case "file":
                text = self._of_file(version.what)
            case "env":
                text = self._answer("version-env", version)
            case _:
                text = self._answer("consul", version)
        try:
            return read_literal(text)
        except BadVersion as error:
            raise Unanswered("bad-version", f"{declared.text}: {error.problem}", error.hint) from error

    def commit(self, problem: str) -> Commit:
        """Return the commit of the store. Effects: asks the store.

        Args:
            problem: what cannot be done without one.

        Raises:
            Unanswered: it has none.
        """
        commit: Commit | None = _told(lambda: self._snapshot.commit)
        if commit is None:
            raise Unanswered("no-commit", f"{problem}: the store '{self._store}' knows of no commit", _WITH_COMMIT)
        self.told = commit
        return commit

    def commit_in(self, folder: Path) -> Commit:
        """Return HEAD of a repository on this machine, as it was when it was asked for first. Effects: runs git.

        Raises:
            Unanswered: it has none.
        """
        if folder not in self._commits:
            from dtree.access.git.questions import is_dirty

            self._commits[folder] = Commit(_head(folder).id, is_dirty=is_dirty(folder))
        return self._commits[folder]

    def _of_file(self, path: str) -> str:
        try:
            return self._snapshot.read(path).data.decode("utf-8-sig").strip()
        except StoreUnreachable:
            raise
        except StoreError as error:
            raise Unanswered(error.error_code, error.problem, error.hint) from error
        except UnicodeDecodeError as error:
            raise Unanswered("not-utf-8", f"{path} is not UTF-8", "save it as UTF-8") from error

    def _answer(self, question: str, version: VersionText) -> str:
        if self._ask is None:
            raise Unanswered("undefined-version", f"{version.kind}:{version.what} has no value here", "write the version itself")
        return str(self._ask(question, version.what)).strip()

    def _of_git(self, version: VersionText, declared: Declared) -> str:
        if version.repository:
            from dtree.access.git.questions import ask, describe, newest_tag

            folder = repository_of(declared)
            if folder is None:
                raise Unanswered(
                    "version-outside",
                    f"{declared.text} names a repository beside the store, which is on no disk of this machine",
                    "give it with --version or --versions-file, whose paths are this machine's",
                )
            commit, run = self.commit_in(folder), partial(ask, folder)
            return _form(version.what, commit, partial(newest_tag, run, commit.id), partial(describe, run, commit.id, where=str(folder)))
        return _form(version.what, self.commit(f"{declared.text} cannot be read"), self._snapshot.tag, self._snapshot.describe)


def is_of_store(declared: Declared) -> bool:
    """Whether a version is read from the commit of the store."""
    version = parse_version(declared.text)
    return version.kind == "git" and not version.repository


def repository_of(declared: Declared) -> Path | None:
    """Return the repository on this machine that a version is read from; None where it is from none."""
    version = parse_version(declared.text)
    if not version.repository or declared.folder is None:
        return None
    path = os.path.expanduser(version.repository)  # noqa: PTH111 - the method raises for an unknown user
    return Path(os.path.abspath(declared.folder / path))  # noqa: PTH100 - `..` goes by the text, as in a shell


def _head(folder: Path) -> Head:
    from dtree.access.git.questions import head_of

    head = head_of(folder)
    if head is None:
        why = "is no folder" if not folder.is_dir() else "is in no Git repository with a commit that this user may read"
        hint = "check the path; in a file it starts from the folder of that file, in --version from the working folder"
        raise Unanswered("version-unreadable", f"{folder} {why}", hint)
    return head


def _form(form: str, commit: Commit, tag: Callable[[], str], described: Callable[[], str]) -> str:
    """Return a commit as `git:FORM` says."""
    match form:
        case "short":
            text = commit.id[:SHORT]
        case "full":
            text = commit.id
        case "tag":
            text = _told(tag)
        case _:
            text = _told(described) or commit.id[:SHORT]
    if not text:
        raise Unanswered("no-tag", f"the commit {commit.id[:SHORT]} has no tag", "tag it, or take git:describe")
    return f"{text}{DIRTY}" if commit.is_dirty else text


def _told(ask_for: Callable[[], Any]) -> Any:  # noqa: ANN401 - what is asked for
    """Ask a store or git; what cannot be found out is no answer."""
    try:
        return ask_for()
    except StoreUnreachable:
        raise
    except StoreError as error:
        raise Unanswered(error.error_code, error.problem, error.hint) from error

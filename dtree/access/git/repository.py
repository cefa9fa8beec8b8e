"""Repositories as a store needs them: what a ref means, and the objects of its commit."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from dtree.access.git.objects import Entry, Found, Objects, clean_git_dir
from dtree.access.git.program import Answer, GitFailed, Program
from dtree.access.git.questions import describe, newest_tag
from dtree.access.git.refs import FORMS, SHORT, check_ref, is_commit, is_pattern, may_be_commit, newest, short_name
from dtree.errors import StoreError, did_you_mean

__all__ = ["LocalRepository", "Repository", "Target", "empty_repository", "no_tag_fits", "unknown_ref"]

_HINT_MISSING: Final = "name another with --git-url, or stand in a folder of one"


@dataclass(frozen=True, slots=True)
class Target:
    """The commit that a ref means.

    Attributes:
        ref: as it was asked for.
        name: what it turned out to be: a tag for a pattern, the short id for a commit.
        oid: id of what the ref names: a tag that is an object of its own, else the commit.
        commit: id of the commit.
        fixed: it will never mean another one.
    """

    ref: str
    name: str
    oid: str
    commit: str
    fixed: bool


class Repository(ABC):
    """A repository that files are read from.

    Attributes:
        title: what people call it.
        place: folder in it that the user stands in, "" for its root.
        pause_s: how long to wait between two looks at whether a ref has moved.
        hint_missing: what to do about an object that it lacks.
        fetches: what is asked for comes from a server, and is kept.
    """

    title: str
    place: str = ""
    pause_s: float
    hint_missing: str
    fetches: bool = False

    @abstractmethod
    def resolve(self, ref: str) -> Target:
        """Find the commit that a ref means, and see that its folders can be read.

        Raises:
            StoreError: it means none.
            StoreUnreachable: the repository cannot be asked.
        """

    @abstractmethod
    def tip(self, ref: str) -> str | None:
        """Return the commit that a ref means now, reading nothing of it; None for none."""

    @abstractmethod
    def find(self, names: Sequence[str]) -> list[Found]:
        """Find objects as `Objects.find` does, and see to it that `read` can give their contents."""

    @abstractmethod
    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of what `find` found, by id."""

    @abstractmethod
    def list_tree(self, tree: str) -> list[Entry]:
        """Return all that a folder holds, at any depth."""

    @abstractmethod
    def look_up(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Return what stands at `paths` and on the way to them, though it cannot be read."""

    @abstractmethod
    def tag(self, target: Target) -> str:
        """Return the tag of a commit: the one that was asked for, else of several that of the highest version; "" for none."""

    @abstractmethod
    def describe(self, target: Target) -> str:
        """Return what `git describe --tags --always` says of a commit.

        Raises:
            StoreError: a part of the history is missing.
        """

    @abstractmethod
    def reader(self) -> Program:
        """Return git, set up to read the objects and no settings but the user's own."""


class LocalRepository(Repository):
    """A repository on this machine, read where it is. Its own settings are asked for nothing but where its refs and objects are."""

    pause_s = 0.5
    hint_missing = "this clone has only a part of the repository: fetch the rest, or read the whole one with --git-url"

    def __init__(self, folder: Path, *, exact: bool) -> None:
        """Find the repository.

        Args:
            exact: the folder is the repository itself; else it is one within it.

        Raises:
            StoreError: there is none, or it belongs to somebody else.

        Effects: runs git; makes a temporary folder.
        """
        if not os.path.isdir(folder):  # noqa: PTH112 - the method raises for a name that is too long
            raise StoreError(f"there is no folder {folder}", hint="check --git-url", code="git-not-a-repository")
        known = _discover(folder, exact=exact)
        self.place = known.place
        self.title = known.title
        self._repository = Program(git_dir=known.git_dir)
        self._reader = Program(git_dir=clean_git_dir(self, digits=known.digits), objects=known.objects)
        self._objects = Objects(self._reader)
        self._where = folder

    def resolve(self, ref: str) -> Target:
        """Find the commit that a ref means, as git does. Effects: runs git."""
        check_ref(ref)
        name = self._newest(ref) if is_pattern(ref) else ref
        full = f"refs/tags/{name}" if is_pattern(ref) else name
        commit = self._commit(full)
        if commit is None:
            raise self._unknown(ref)
        oid = self._id(full) or commit
        by_id = may_be_commit(name) and commit.startswith(name)
        return Target(ref, commit[:SHORT] if by_id else name, oid, commit, fixed=is_commit(ref))

    def tip(self, ref: str) -> str | None:
        """Return the commit that a ref means now. Effects: runs git."""
        if not is_pattern(ref):
            return self._commit(ref)
        tag = newest(self._tags(), ref)
        return self._commit(f"refs/tags/{tag}") if tag else None

    def find(self, names: Sequence[str]) -> list[Found]:
        """Find objects. Effects: runs git."""
        return self._objects.find(names)

    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return contents. Effects: runs git."""
        return self._objects.read(oids)

    def list_tree(self, tree: str) -> list[Entry]:
        """List a folder. Effects: runs git."""
        return self._objects.list_tree(tree)

    def look_up(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Look up paths. Effects: runs git."""
        return self._objects.look_up(tree, paths)

    def tag(self, target: Target) -> str:
        """Return the tag of a commit. Effects: runs git."""
        is_asked_for = self._commit(f"refs/tags/{target.name}") == target.commit
        return target.name if is_asked_for else newest_tag(self._answer, target.commit)

    def describe(self, target: Target) -> str:
        """Describe a commit. Effects: runs git."""
        return describe(self._answer, target.commit, where=str(self._where))

    def reader(self) -> Program:
        """Return git for the objects alone."""
        return self._reader

    def _answer(self, *arguments: str) -> bytes | None:
        answer = self._repository.run(*arguments)
        return answer.out if answer.code == 0 else None

    def _newest(self, pattern: str) -> str:
        tags = self._tags()
        tag = newest(tags, pattern)
        if tag is None:
            raise no_tag_fits(pattern, str(self._where), tags)
        return tag

    def _commit(self, ref: str) -> str | None:
        return self._id(f"{ref}^{{commit}}")

    def _id(self, name: str) -> str | None:
        answer = self._repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return answer.out.decode().strip() if answer.code == 0 else None

    def _tags(self) -> list[str]:
        return [name.removeprefix("refs/tags/") for name in self._refs() if name.startswith("refs/tags/")]

    def _refs(self) -> list[str]:
        return os.fsdecode(self._repository.ask("for-each-ref", "--format=%(refname)", doing="list the refs")).splitlines()

    def _unknown(self, ref: str) -> StoreError:
        refs = self._refs()
        if not refs:
            return empty_repository(str(self._where))
        notes = []
        told = self._repository.run("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").complaint
        if "ambiguous" in told:
            notes.append("more than one commit begins with it")
        elif self._repository.run("rev-parse", "--is-shallow-repository").out.strip() == b"true":
            notes.append("this clone is shallow: it has a part of the history only")
        return unknown_ref(ref, str(self._where), refs, notes)


@dataclass(frozen=True, slots=True)
class _Known:
    git_dir: Path
    objects: Path
    place: str
    title: str
    digits: int


def _discover(folder: Path, *, exact: bool) -> _Known:
    variables = {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)} if exact else {}
    questions = ("--absolute-git-dir", "--git-path", "objects", "--show-prefix", "--show-object-format")
    answer = Program(folder=folder, variables=variables).run("rev-parse", *questions)
    lines = os.fsdecode(answer.out).split("\n")
    if answer.code != 0 or len(lines) != len(questions):
        raise _no_repository(folder, answer)
    git_dir, objects, place, form, _ = lines
    place = place.rstrip("/")
    top = folder.resolve()
    for _ in place.split("/") if place else ():
        top = top.parent
    named = top.parent if top.name == ".git" else top
    return _Known(Path(git_dir), (folder / objects).resolve(), place, named.name.removesuffix(".git"), 64 if form == "sha256" else 40)


def _no_repository(folder: Path, answer: Answer) -> StoreError:
    if "dubious ownership" in answer.complaint:
        return StoreError(
            f"the Git repository at {folder} belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {folder}",
            code="git-not-yours",
        )
    if "not a git repository" in answer.complaint:
        return StoreError(f"{folder} is no Git repository, nor within one", hint=_HINT_MISSING, code="git-not-a-repository")
    return GitFailed(f"open the repository at {folder}", answer)


def unknown_ref(ref: str, where: str, refs: Iterable[str], notes: Sequence[str] = ()) -> StoreError:
    """Return the error for a ref that means nothing, with the nearest that means something."""
    near = did_you_mean(ref, sorted({short_name(full) for full in refs}))
    return StoreError(
        f"there is no tag, branch or commit '{ref}' in {where}",
        notes=notes,
        hint=near or f"give --ref {FORMS}; `git ls-remote {quote(where)}` lists its tags and branches",
        code="git-unknown-ref",
    )


def no_tag_fits(pattern: str, where: str, tags: Sequence[str]) -> StoreError:
    """Return the error for a pattern that fits no tag."""
    some = ", ".join(sorted(tags)[-5:])
    notes = [f"there are {len(tags)}, among them {some}"] if tags else ["it has no tags"]
    return StoreError(
        f"no tag in {where} fits '{pattern}'",
        notes=notes,
        hint=f"check the pattern, and that the tag was pushed: `git ls-remote --tags {quote(where)}` lists what there is",
        code="git-unknown-ref",
    )


def empty_repository(where: str) -> StoreError:
    """Return the error for a repository without a commit."""
    return StoreError(f"the Git repository {where} has no commit yet", hint="commit the jobs, and push them", code="git-empty")

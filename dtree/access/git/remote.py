"""A repository on another machine, read through its cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from dtree.access.git.addresses import RemoteAddress
from dtree.access.git.cache import Cache
from dtree.access.git.objects import TOTAL_LIMIT_BYTES, Entry, Found, Objects, clean_git_dir
from dtree.access.git.program import GitFailed, Program
from dtree.access.git.questions import describe
from dtree.access.git.refs import SHORT, check_ref, full_names, is_commit, is_pattern, may_be_commit, newest, version_key
from dtree.access.git.refusals import is_out_of_history
from dtree.access.git.repository import Repository, Target, empty_repository, no_tag_fits, unknown_ref
from dtree.errors import StoreUnreachable

__all__ = ["RemoteRepository"]

_SHA1_DIGITS: Final = 40


class RemoteRepository(Repository):
    """A repository on another machine.

    What a ref means is asked of the server each time, but for what never changes: a full commit, and a tag, which is taken for fixed once
    it was fetched. Files come when they are asked for.
    """

    pause_s = 10.0
    hint_missing = "the server did not give it: does it hold the whole repository?"
    fetches = True

    def __init__(self, address: RemoteAddress, cache: Path) -> None:
        """Say where it is; asks nobody yet.

        Args:
            cache: folder of all caches.
        """
        self.title = address.name
        self._shown = address.shown
        self._cache = Cache(address, cache)
        self._commit = ""
        self._clean_dirs: dict[int, Path] = {}

    def resolve(self, ref: str) -> Target:
        """Find the commit that a ref means, and fetch its folders where the cache has them not.

        Effects: runs git, asks the server.
        """
        check_ref(ref)
        target = self._cache.mended(lambda: self._known(ref) or self._fetched_or_kept(ref))
        self._commit = target.commit
        return target

    def tip(self, ref: str) -> str | None:
        """Return the commit that a ref means on the server now. Effects: asks the server."""
        if is_commit(ref):
            return ref
        refs = self._list(ref)
        full = _choose(ref, refs)
        return _peeled(full, refs) if full else None

    def find(self, names: Sequence[str]) -> list[Found]:
        """Find objects, and fetch the files among them that the cache lacks, all in one go. Effects: runs git, asks the server."""
        return self._cache.mended(lambda: self._find(names))

    def read(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Return contents. Effects: runs git."""
        wanted = sorted(set(oids))
        return self._cache.mended(lambda: self._read(wanted))

    def list_tree(self, tree: str) -> list[Entry]:
        """List a folder. Effects: runs git."""
        return self._cache.mended(lambda: self._restored().list_tree(tree))

    def look_up(self, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Look up paths. Effects: runs git."""
        return self._cache.mended(lambda: self._restored().look_up(tree, paths))

    def tag(self, target: Target) -> str:
        """Return the tag of a commit: of one that was asked for by its tag that, else what the server says. Effects: asks the server."""
        if self._rev_parse(f"refs/tags/{target.name}^{{commit}}") == target.commit:
            return target.name
        refs = self._cache.list_refs(self._clean, "--tags")
        tags = [_tag(full) for full in refs if not full.endswith("^{}") and _peeled(full, refs) == target.commit]
        return max(tags, key=version_key, default="")

    def describe(self, target: Target) -> str:
        """Describe a commit, after fetching the history with its tags. Effects: runs git, asks the server."""
        return self._cache.mended(lambda: self._described(target))

    def reader(self) -> Program:
        """Return git for the objects alone."""
        return Program(git_dir=self._clean, objects=self._cache.folder / "objects")

    # -- what a ref means ---------------------------------------------------------------------------------------------

    def _known(self, ref: str) -> Target | None:
        """Return what the cache has of a ref that never changes."""
        if self._cache.digits() is None or is_pattern(ref):
            return None
        names = [ref] if is_commit(ref) else [full for full in full_names(ref) if full.startswith("refs/tags/")]
        found = (self._target(ref, name) for name in names)
        return next((target for target in found if target is not None), None)

    def _fetched_or_kept(self, ref: str) -> Target:
        """Ask the server; of a short commit, which might be the name of a branch, what the cache has where there is no answer."""
        try:
            return self._fetched(ref)
        except StoreUnreachable:
            kept = self._target(ref, ref) if may_be_commit(ref) and self._cache.digits() else None
            if kept is None:
                raise
            return kept

    def _fetched(self, ref: str) -> Target:
        if is_commit(ref):
            self._cache.prepare(len(ref))
            self._fetch_commit(ref)
            return self._target(ref, ref) or self._refused(ref, {})
        refs = self._list(ref)
        if not refs and not self._list(""):
            raise empty_repository(self._shown)
        full = _choose(ref, refs)
        if full is None:
            return self._in_history(ref, refs)
        self._cache.prepare(len(refs[full]))
        target = self._target(ref, _kept_as(full))
        if target is None or refs[full] != target.oid:
            self._get(f"+{full}:{_kept_as(full)}")
            target = self._target(ref, _kept_as(full))
        return target or self._refused(ref, refs)

    def _in_history(self, ref: str, refs: dict[str, str]) -> Target:
        """Look for a short commit in the history, which is fetched for that."""
        if not may_be_commit(ref):
            return self._refused(ref, refs)
        self._cache.prepare(len(next(iter(refs.values()))))
        self._get_history()
        return self._target(ref, ref) or self._refused(ref, refs)

    def _refused(self, ref: str, refs: dict[str, str]) -> Target:
        if is_pattern(ref):
            raise no_tag_fits(ref, self._shown, [_tag(full) for full in refs if not full.endswith("^{}")])
        known = refs or self._list("")
        raise unknown_ref(ref, self._shown, [full for full in known if not full.endswith("^{}")])

    def _target(self, ref: str, name: str) -> Target | None:
        """Return what a name means in the cache, if that is a commit whose folders it has."""
        oid, commit = (self._rev_parse(f"{name}{peel}") for peel in ("", "^{commit}"))
        if not oid or not commit or self._objects.find([f"{commit}:"])[0].kind != "tree":
            return None
        is_tag = name.startswith("refs/tags/")
        by_id = may_be_commit(ref) and commit.startswith(ref)
        shown = commit[:SHORT] if by_id else _tag(name) if is_pattern(ref) else ref
        return Target(ref, shown, oid, commit, fixed=by_id or (is_tag and not is_pattern(ref)))

    def _rev_parse(self, name: str) -> str:
        answer = self._cache.offline.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return answer.out.decode().strip() if answer.code == 0 else ""

    def _list(self, ref: str) -> dict[str, str]:
        if is_pattern(ref):
            return self._cache.list_refs(self._clean, "--tags")
        if ref == "HEAD" or ref.startswith("refs/"):
            return self._cache.list_refs(self._clean, ref, f"{ref}^{{}}")
        return self._cache.list_refs(self._clean, "--heads", "--tags")

    # -- what is fetched ----------------------------------------------------------------------------------------------

    def _get(self, *specs: str, whole: bool = False) -> None:
        answer = self._cache.fetch(*specs, whole=whole)
        if answer.code != 0:
            raise GitFailed(f"fetch from {self._shown}", answer)

    def _fetch_commit(self, commit: str) -> None:
        """Fetch a commit by its id, or with the history where the server does not give it by itself."""
        answer = self._cache.fetch(f"+{commit}:refs/dtree/{commit}")
        if answer.code == 0:
            return
        if not is_out_of_history(answer):
            raise GitFailed(f"fetch from {self._shown}", answer)
        self._get_history()

    def _get_history(self) -> None:
        self._get("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", whole=True)

    def _described(self, target: Target) -> str:
        self._restored()
        self._get_history()
        return describe(self._answer, target.commit, where=self._shown)

    def _answer(self, *arguments: str) -> bytes | None:
        answer = self._cache.offline.run(*arguments)
        return answer.out if answer.code == 0 else None

    def _restored(self) -> Objects:
        """Return the objects, with the commit among them, though another run has begun the cache anew."""
        if self._cache.digits() is None or self._objects.find([f"{self._commit}:"])[0].kind != "tree":
            self._cache.prepare(len(self._commit))
            self._fetch_commit(self._commit)
        return self._objects

    def _read(self, oids: Sequence[str]) -> dict[str, bytes]:
        if self._cache.digits() is None:
            self._restored()
            self._fetch_blobs(oids)
        return self._objects.read(oids)

    def _find(self, names: Sequence[str]) -> list[Found]:
        # Where all is there, that is one question; a cache that is not is restored.
        found = self._objects.find(names) if self._cache.digits() else []
        if found and all(one.oid for one in found):
            return found
        objects = self._restored()
        entries = [entry for tree, paths in _by_tree(names).items() for entry in objects.look_up(tree, paths).values()]
        blobs = {entry.oid for entry in entries if entry.kind in ("file", "link")} | {name for name in names if ":" not in name}
        absent = [oid for oid, one in zip(sorted(blobs), objects.find(sorted(blobs)), strict=True) if not one.oid]
        if absent:
            self._fetch_blobs(absent)
        # Where links lead, git looks for itself, and fetches on the way.
        return Objects(self._cache.online).find(names, file_limit_bytes=TOTAL_LIMIT_BYTES)

    def _fetch_blobs(self, oids: Sequence[str]) -> None:
        try:
            self._cache.fetch_blobs(oids)
        except GitFailed as error:
            if not is_out_of_history(error.answer):
                raise
            # A server that leaves files out, but does not give them by themselves either.
            self._cache.begin_whole(len(self._commit))
            self._fetch_commit(self._commit)

    @property
    def _objects(self) -> Objects:
        return Objects(self.reader())

    @property
    def _clean(self) -> Path:
        digits = self._cache.digits() or _SHA1_DIGITS
        if digits not in self._clean_dirs:
            self._clean_dirs[digits] = clean_git_dir(self, digits=digits)
        return self._clean_dirs[digits]


def _choose(ref: str, refs: dict[str, str]) -> str | None:
    """Return the full name that a ref stands for among those of the server."""
    if is_pattern(ref):
        tag = newest([_tag(full) for full in refs if not full.endswith("^{}")], ref)
        return f"refs/tags/{tag}" if tag else None
    named = next((full for full in full_names(ref) if full in refs), None)
    if named is not None or not may_be_commit(ref):
        return named
    ids = {_peeled(full, refs): full for full in sorted(refs) if not full.endswith("^{}")}
    fitting = [full for oid, full in ids.items() if oid.startswith(ref)]
    return fitting[0] if len(fitting) == 1 else None


def _peeled(full: str, refs: dict[str, str]) -> str:
    return refs.get(f"{full}^{{}}", refs[full])


def _tag(full: str) -> str:
    return full.removeprefix("refs/tags/")


def _kept_as(full: str) -> str:
    """Return the cache's name of a ref: its own, so that a tag is found again, but for HEAD, which is git's there."""
    return full if full.startswith("refs/") else f"refs/dtree/{full}"


def _by_tree(names: Sequence[str]) -> dict[str, list[str]]:
    """Sort `TREE:PATH` by the tree."""
    found: dict[str, list[str]] = {}
    for name in names:
        tree, _, path = name.partition(":")
        if path:
            found.setdefault(tree, []).append(path)
    return found

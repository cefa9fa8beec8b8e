"""Where dependency file, jobs and root lie in the tree of a commit."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtree.access.git.objects import Found
from dtree.access.git.repository import Repository, Target
from dtree.store import StoreError
from dtree_stores.paths import DEPFILES, parts_of

__all__ = ["Places", "Spot", "find_places"]


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the tree, and what links from there may not lead out of.

    Attributes:
        tree: id of that limit.
        below: path from it; "" for itself.
        full: path from the root of the repository.
    """

    tree: str
    below: str
    full: str

    @property
    def name(self) -> str:
        """Git's name of it."""
        return f"{self.tree}:{self.below}"

    def at(self, path: str) -> Spot:
        """Return the place of a path below this one. Raises StoreError where it names one elsewhere."""
        parts = parts_of(_one_line(path), self.full or "the root of the repository")
        end = "/".join(parts)
        return Spot(self.tree, f"{self.below}/{end}" if self.below else end, f"{self.full}/{end}" if self.full else end)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are.

    Attributes:
        jobs_tree: id of the folder of the job files.
        depfile: as it was named; None where it was not.
        present: which of the usual names of a dependency file the root has, where none was named.
    """

    root: Spot
    jobs: Spot
    jobs_tree: str
    depfile: Spot | None
    present: tuple[str, ...]

    @property
    def depfiles(self) -> tuple[str, ...]:
        """What may be the dependency file, by path from the root of the repository."""
        return (self.depfile.full,) if self.depfile is not None else tuple(self.root.at(name).full for name in self.present)


def find_places(repository: Repository, target: Target, settings: Mapping[str, Any]) -> Places:
    """Find root, dependency file and jobs. Effects: runs git."""
    given = settings["git_root"]
    base = repository.place if given is None else _path(given, "", "--git-root")
    depfile, jobs = (
        None if settings[option] is None else _path(settings[option], base, f"--{option.replace('_', '-')}")
        for option in ("git_depfile_path", "git_jobs_path")
    )
    root = _root(repository, target, posixpath.dirname(depfile) if given is None and depfile is not None else base)
    if given is not None:
        for path, option in ((depfile, "--git-depfile-path"), (jobs, "--git-jobs-path")):
            _refuse_outside(path, root, option)
    limit = root if given is not None else Spot(target.commit, "", "")
    named = _within(limit, depfile) if depfile is not None else None
    usual = [] if named is not None else [root.at(name) for name in DEPFILES]
    wanted = root.at("jobs") if jobs is None else _within(limit, jobs)
    found, *others = repository.find([wanted.name, *(spot.name for spot in usual)])
    present = tuple(name for name, one in zip(DEPFILES, others, strict=False) if one.kind not in ("missing", "dangling"))
    if jobs is None and found.kind not in ("tree", "symlink"):
        wanted, found = root, repository.find([root.name])[0]
    if found.kind != "tree":
        raise _no_folder(wanted, target, found, "--git-jobs-path")
    # Links among the jobs may lead to anywhere in the root, or, where the jobs lie outside of it, to anywhere among the jobs.
    is_below = wanted.tree == root.tree or _is_below(wanted.full, root.full)
    held = _within(root, wanted.full) if is_below else Spot(found.oid, "", wanted.full)
    return Places(root, held, found.oid, named, present)


def _root(repository: Repository, target: Target, path: str) -> Spot:
    if not path:
        return Spot(target.commit, "", "")
    spot = Spot(target.commit, path, path)
    found = repository.find([spot.name])[0]
    if found.kind != "tree":
        raise _no_folder(spot, target, found, "--git-root (`/` is the root of the repository)")
    return Spot(found.oid, "", path)


def _within(spot: Spot, full: str) -> Spot:
    """Return the place of a path from the root of the repository, limited as `spot` is, above which it does not stand."""
    below = posixpath.relpath(full or ".", spot.full or ".")
    return spot if below == "." else spot.at(below)


def _is_below(full: str, folder: str) -> bool:
    return not folder or full == folder or full.startswith(f"{folder}/")


def _path(given: str, base: str, option: str) -> str:
    """Return a path from the root of the repository; "" for that root."""
    path = posixpath.normpath(posixpath.join("/", base, _one_line(given)).lstrip("/") or ".")
    if path == ".." or path.startswith("../"):
        raise StoreError(f"{given!r} leads out of the repository", hint=f"give {option} a path within it", code="store-outside")
    return "" if path == "." else path


def _one_line(path: str) -> str:
    """Refuse what git could not be asked for in a line."""
    if "\n" in path or "\0" in path:
        raise StoreError(f"{path!r} is no path: it has a line break or a zero byte", hint="rename it", code="git-bad-path")
    return path


def _refuse_outside(path: str | None, root: Spot, option: str) -> None:
    if path is not None and not _is_below(path, root.full):
        hint = f"name it with {option}, without --git-root, if that is meant"
        raise StoreError(f"{path} lies outside the root {root.full}", hint=hint, code="store-outside")


def _no_folder(spot: Spot, target: Target, found: Found, option: str) -> StoreError:
    shown = f"{target.name}:{spot.full}"
    match found.kind:
        case "symlink":
            return StoreError(f"{shown} leads out of the store, to {found.target!r}", hint=f"name it with {option}", code="store-outside")
        case "blob":
            return StoreError(f"{shown} is a file, not a folder", hint=f"give {option} a folder", code="store-not-a-folder")
        case _ if not spot.full:
            problem = f"the commit of {target.name} is there, its folders are not"
            return StoreError(problem, hint="fetch the whole commit: `git fetch --refetch`", code="git-object-missing")
        case _:
            return StoreError(f"there is no folder {shown}", hint=f"give {option} one that exists there", code="store-folder-missing")

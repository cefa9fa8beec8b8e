"""Jobs in a Git repository, at a tag, a branch or a commit, read without a checkout.

Three places, found like in the filesystem store, but in the tree of the commit:
- base: `--git-root`; else, without `--git-url`, the folder of the repository that the user stands in; else the repository's root.
- dependency file: `--git-depfile-path` from the base; else the one of dependency.json, .yaml, .yml in it.
- jobs: `--git-jobs-path` from the base; else the folder `jobs` in the root; else the root itself.

The root is `--git-root`; else the folder of `--git-depfile-path`; else the base. With `--git-root` nothing may lie outside of it. Without,
the two other options may name any place in the repository. A path that begins with `/` starts from the repository's root. In no case does
`..` or a symbolic link lead out of its root, and none leads out of the repository.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Final

from dtree.access.git.objects import FILE_LIMIT_BYTES, TOTAL_LIMIT_BYTES, Entry, Found
from dtree.access.git.questions import commit_date
from dtree.access.git.refs import SHORT, is_pattern
from dtree.access.git.repository import Repository, Target
from dtree.errors import Fault
from dtree.store import Commit, Option, Revision, Snapshot, Store, StoreError, StoreFileMissing, Text
from dtree_stores.git_places import Places, Spot, find_places
from dtree_stores.paths import find_depfile, is_hidden

_LFS: Final = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_LIMIT_BYTES: Final = 1024
_LINKED_FOLDERS: Final = 100
_SURELY_JOBS: Final = (".nomad", ".hcl", ".nomad.j2", ".json")
_MOST_KEPT: Final = 5000


class GitStore(Store):
    """Jobs in a Git repository."""

    store_api = 1
    summary = "Dependency file and job files in a Git repository, at a tag, branch or commit"
    options = (
        Option(
            "git-url",
            help="Repository: an https or ssh URL, user@host:path, or a folder. Default: the repository of the working folder.",
        ),
        Option("ref", help="Tag, branch, commit or HEAD; `v1.*` is the newest tag that fits.", default="HEAD"),
        Option("git-depfile-path", help="Dependency file. Default: dependency.json, .yaml or .yml in the root."),
        Option("git-jobs-path", help="Folder of the job files. Default: the folder jobs in the root if there is one, else the root."),
        Option("git-root", help="Folder of the repository that nothing may lie outside of. Default: the one that you stand in."),
        Option("verify-signature", help="Take only a tag or commit whose signature git finds good.", type="bool", default=False),
    )

    def snapshot(self) -> GitSnapshot:
        """Find the commit and open a view of it. Effects: runs git, asks the server of a remote repository.

        Raises:
            StoreUnreachable: the repository cannot be reached.
            StoreError: there is none, or no such ref, or its signature is not good, or a folder that was named does not exist.
        """
        from dtree.access.git.signatures import verify

        repository = self._repository()
        target = repository.resolve(self.settings["ref"])
        if self.settings["verify_signature"]:
            verify(repository, target)
        return GitSnapshot(repository, target, find_places(repository, target, self.settings))

    def _repository(self) -> Repository:
        from dtree.access.git.addresses import RemoteAddress, parse_address
        from dtree.access.git.remote import RemoteRepository
        from dtree.access.git.repository import LocalRepository

        given = self.settings["git_url"]
        if given is None:
            return LocalRepository(self.context.cwd, exact=False)
        address = parse_address(given, self.context.cwd)
        if isinstance(address, RemoteAddress):
            return RemoteRepository(address, self.context.cache)
        return LocalRepository(address, exact=True)


class GitSnapshot(Snapshot):
    """A view of one commit, which never changes."""

    def __init__(self, repository: Repository, target: Target, places: Places) -> None:
        self._repository = repository
        self._target = target
        self._places = places
        self._submodules: list[str] = []
        self._known: dict[str, Entry] = {}

    @property
    def title(self) -> str:
        """Name of the root folder, or of the repository."""
        return posixpath.basename(self._places.root.full) or self._repository.title or "jobs"

    def depfile(self) -> Text:
        """Return the dependency file. Effects: runs git."""
        places = self._places
        spot = places.depfile
        if spot is None:
            hint = "name it with --git-depfile-path, or its folder with --git-root"
            where = self._shown(places.root)
            spot = places.root.at(find_depfile(where, places.present, hint=hint, choose="--git-depfile-path"))
        return self._read([spot])[0]

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all job files below the jobs path. Effects: runs git, once."""
        return self._listed

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files by their path below the jobs path. Effects: runs git."""
        return dict(zip(paths, self._read([self._places.jobs.at(path) for path in paths]), strict=True))

    def read(self, path: str) -> Text:
        """Return any file below the root. Effects: runs git."""
        return self._read([self._places.root.at(path)])[0]

    def find_jobs(self, names: Iterable[str]) -> tuple[Mapping[str, str], tuple[Fault, ...]]:
        """Find the path of each job's file; of one in a submodule say just that. Effects: runs git."""
        wanted = sorted(set(names))
        if wanted:
            self.list_jobs()
        strange = {name: module for name in wanted for module in self._submodules if name.startswith(f"{module}/")}
        found, faults = super().find_jobs([name for name in wanted if name not in strange])
        return found, (*(_in_submodule(name, self._shown(self._places.jobs.at(module))) for name, module in strange.items()), *faults)

    @cached_property
    def revision(self) -> Revision:
        """The commit. Effects: runs git."""
        commit, date = self.commit.id, self.commit.date.partition("T")[0] or "no date"
        short = commit[:SHORT]
        name, ref = self._target.name, self._target.ref
        if name == short:
            return Revision(commit, f"{short} ({date})")
        return Revision(commit, f"{name}{f' of {ref}' if ref != name else ''} ({short}, {date})")

    @cached_property
    def commit(self) -> Commit:
        """The commit, by the ref that was asked for: of a pattern the tag that it turned out to be. Effects: runs git."""
        target = self._target
        small = self._repository.find([target.commit])[0].size_bytes <= FILE_LIMIT_BYTES
        text = self._repository.read([target.commit])[target.commit] if small else b""
        return Commit(target.commit, commit_date(text), target.name if is_pattern(target.ref) else target.ref)

    def tag(self) -> str:
        """Return the tag that was asked for, else the highest one of the commit. Effects: runs git, asks the server."""
        return self._repository.tag(self._target)

    def describe(self) -> str:
        """Describe the commit; of a remote repository the history is fetched for that. Effects: runs git, asks the server."""
        return self._repository.describe(self._target)

    def present(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return those of `paths` that are there, with one question. Effects: runs git."""
        found = self._repository.find([self._places.root.at(path).name for path in paths])
        return tuple(path for path, one in zip(paths, found, strict=True) if one.kind not in ("missing", "dangling", "notdir"))

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until the ref means another commit; a full commit, and a tag of a remote repository, never does.

        Effects: runs git, asks the server.
        """
        target, repository = self._target, self._repository
        until_s = time.monotonic() + timeout_s
        while target.fixed or repository.tip(target.ref) == target.commit:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(left_s if target.fixed else min(left_s, repository.pause_s))
        return True

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        listed = tuple(sorted(self._walk()))
        if self._target.fixed and self._repository.fetches:
            self._keep_jobs()
        return listed

    def _keep_jobs(self) -> None:
        """Have all job files of what never changes in the cache, so that it can be read again without the server."""
        oids = [entry.oid for path, entry in self._known.items() if path.endswith(_SURELY_JOBS)]
        if len(oids) <= _MOST_KEPT:
            with suppress(StoreError):  # whoever asks for one that does not come is told
                self._repository.find(oids)

    def _walk(self) -> Iterator[str]:
        """Yield the job files, through linked folders too unless they lead back up; remember the submodules among them."""
        jobs, depfiles = self._places.jobs, self._places.depfiles
        start = f"{jobs.full}/" if jobs.full else ""
        todo: list[tuple[str, str, tuple[str, ...]]] = [("", self._places.jobs_tree, (self._places.jobs_tree,))]
        for followed, (prefix, tree, above) in enumerate(todo):
            if followed > _LINKED_FOLDERS:
                shown = self._shown(jobs)
                raise StoreError(f"{shown} has more than {_LINKED_FOLDERS} links to folders", hint="take some out", code="git-too-large")
            entries = [entry for entry in self._repository.list_tree(tree) if not any(map(is_hidden, entry.path.split("/")))]
            folders = {entry.path: entry.oid for entry in entries if entry.kind == "folder"}
            links = [entry.path for entry in entries if entry.kind == "link" and "\n" not in entry.path]
            ends = dict(zip(links, self._repository.find([jobs.at(prefix + link).name for link in links]), strict=True))
            for entry in entries:
                path, end = prefix + entry.path, ends.get(entry.path)
                if entry.kind == "submodule":
                    self._submodules.append(path)
                elif end is not None and end.kind == "tree":
                    chain = (*above, *(oid for folder, oid in folders.items() if path.startswith(f"{prefix}{folder}/")))
                    todo.extend([(f"{path}/", end.oid, (*chain, end.oid))] if end.oid not in chain else [])
                elif entry.kind != "folder" and start + path not in depfiles:
                    if entry.kind == "file" and not prefix:
                        self._known[start + path] = entry
                    # A link to nothing is listed: a job file that cannot be read is told, a missing one only guessed at.
                    yield path

    def _read(self, spots: Sequence[Spot]) -> list[Text]:
        found = self._find(spots)
        for spot, one in zip(spots, found, strict=True):
            if one.kind != "blob" or one.size_bytes > FILE_LIMIT_BYTES:
                raise self._refusal(spot, one)
        if sum(one.size_bytes for one in found) > TOTAL_LIMIT_BYTES:
            limit = f"{TOTAL_LIMIT_BYTES >> 20} MiB"
            raise StoreError(f"the job files that are asked for are larger than {limit}", hint="ask for fewer", code="git-too-large")
        contents = self._repository.read(one.oid for one in found)
        for spot, one in zip(spots, found, strict=True):
            if one.size_bytes < _LFS_LIMIT_BYTES and contents[one.oid].startswith(_LFS):
                raise StoreError(
                    f"{self._shown(spot)} is kept in Git LFS: the repository has no more than a pointer to it",
                    hint="commit the file itself (`git lfs untrack`)",
                    code="git-lfs",
                )
        return [Text(self._shown(spot), contents[one.oid]) for spot, one in zip(spots, found, strict=True)]

    def _find(self, spots: Sequence[Spot]) -> list[Found]:
        """Find files; of those that were listed no more is asked than the listing left open."""
        listed = [self._known.get(spot.full) for spot in spots]
        known = [Found("blob", one.oid, one.size_bytes) if one and one.size_bytes is not None else None for one in listed]
        # Git finds a file by its id at once, by its path only by going through all folders again.
        names = [one.oid if one else spot.name for spot, one, found in zip(spots, listed, known, strict=True) if found is None]
        asked = iter(self._repository.find(names))
        return [found or next(asked) for found in known]

    def _refusal(self, spot: Spot, found: Found) -> StoreError:
        """Say why what stands at a place is no file to be read."""
        shown = self._shown(spot)
        match found.kind:
            case "blob":
                size, limit = f"{found.size_bytes / 2**20:.1f} MiB", f"{FILE_LIMIT_BYTES >> 20} MiB"
                return StoreError(f"{shown} is {size} large; {limit} is the limit", hint="job files are text", code="git-too-large")
            case "symlink":
                hint = "copy it to below the link's root, or choose a --git-root that holds both"
                return StoreError(f"{shown} leads out of the store, to {found.target!r}", hint=hint, code="store-outside")
            case "loop":
                return StoreError(f"{shown} is a link in a circle", hint="check the links on the way", code="store-unreadable")
            case "dangling" | "notdir" | "missing":
                return self._missing(spot)
            case _:
                return StoreError(f"{shown} is a folder, not a file", hint="name a file in it", code="store-not-a-file")

    def _missing(self, spot: Spot) -> StoreError:
        entries = self._repository.look_up(spot.tree, [spot.below])
        shown = self._shown(spot)
        module = next((entry for entry in entries.values() if entry.kind == "submodule"), None)
        if module is not None:
            problem = f"{shown} lies in the submodule '{module.path}', which is a repository of its own"
            return StoreError(problem, hint="read that one with --git-url, or copy the file", code="git-submodule")
        entry = entries.get(spot.below)
        if entry is not None and not self._repository.find([entry.oid])[0].oid:
            problem = f"{shown} is in the commit, but not in the repository {self._repository.title}"
            return StoreError(problem, hint=self._repository.hint_missing, code="git-object-missing")
        what = "is a link to nothing" if entry is not None else "does not exist"
        return StoreFileMissing(f"{shown} {what}", hint="check the path, links on the way, and that it was committed")

    def _shown(self, spot: Spot) -> str:
        """Return a place as git would be asked for it."""
        return f"{self._target.name}:{spot.full}" if spot.full else self._target.name


def _in_submodule(name: str, module: str) -> Fault:
    problem = f"the file of job '{name}' would lie in the submodule {module}, which is a repository of its own"
    return Fault("git-submodule", problem, hint="read that one with --git-url, or copy the file")

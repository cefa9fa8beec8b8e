"""Jobs in a folder: the dependency file beside, and the job files below it.

Three places, found like this:
- root: `--fs-root`; else the folder of `--fs-depfile-path`; else the working folder.
- dependency file: `--fs-depfile-path`; else the one of dependency.json, .yaml, .yml in the root. Two of them are a fault.
- jobs: `--fs-jobs-path`; else the folder `jobs` in the root; else the root itself.

With `--fs-root` nothing may lie outside the root. Without it the two other options may name any place, so that the dependency file and the
jobs need not be neighbours; then the jobs path is a root of its own for the job files, and the folder of the dependency file the root for
everything else. In no case does `..`, an absolute path or a symbolic link lead out of its root.

A root that does not exist, or has no dependency file, can be opened all the same, because it may be there to be filled. It says what is
missing when it is read; its jobs are then those in the folder `jobs`, so that no folder full of other files is taken for jobs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dtree.store import Changes, Commit, Option, Revision, Snapshot, Store, StoreChanged, StoreError, StoreFileMissing, Text
from dtree_stores.folder import read_file, scan, unreadable
from dtree_stores.paths import DEPFILES, digest_of, find_depfile, new_depfile, no_depfile, parts_of

if TYPE_CHECKING:
    from dtree_stores.folder_writing import Target
    from dtree_stores.git_commit import WorkTree

_Key = tuple[Literal["depfile", "job", "file"], str]
"""What was asked for: kind and path."""

_DEPFILE: _Key = ("depfile", "")


class FilesystemStore(Store):
    """Jobs in a folder."""

    store_api = 1
    summary = "Dependency file and job files in a folder"
    writable = True
    options = (
        Option("fs-depfile-path", help="Dependency file. Default: dependency.json, .yaml or .yml in the root.", type="path"),
        Option(
            "fs-jobs-path",
            help="Folder of the job files. Default: the folder jobs in the root if there is one, else the root.",
            type="path",
        ),
        Option(
            "fs-root",
            help="Folder that nothing may lie outside of. Default: the folder of the dependency file, else the working folder.",
            type="path",
        ),
    )

    def snapshot(self) -> FilesystemSnapshot:
        """Find the three places and open a view of them. Effects: reads the folder.

        Raises:
            StoreError: one cannot be looked at, is a file where a folder is wanted or the reverse, or lies outside the root; or there is a
                dependency file but no folder of jobs.
        """
        return FilesystemSnapshot(self._find())

    def _find(self) -> _Places:
        try:
            return self._places()
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
            raise unreadable(error, str(getattr(error, "filename", None) or "the store")) from error

    def _places(self) -> _Places:
        given: Path | None = self.settings["fs_depfile_path"]
        chosen: Path = self.settings["fs_root"] or (given.parent if given else self.context.cwd)
        root = _folder(chosen, "root", "--fs-root", may_be_missing=True)
        depfile = given or _find_depfile(root)
        is_new = depfile is None or not depfile.exists()
        jobs: Path | None = self.settings["fs_jobs_path"]
        if jobs is None:
            jobs = root / "jobs" if is_new or (root / "jobs").is_dir() else root
        jobs = _folder(jobs, "jobs path", "--fs-jobs-path", may_be_missing=is_new)
        for place, option in ((depfile, "fs_depfile_path"), (jobs, "fs_jobs_path")):
            if place is not None and (self.settings["fs_root"] is not None or self.settings[option] is None):
                _refuse_outside(place, root, f"--{option.replace('_', '-')}")
        limit = given.resolve().parent if given and self.settings["fs_root"] is None else root
        missing_root = None if root.is_dir() else chosen
        jobs_root = root if jobs.is_relative_to(root) else jobs
        return _Places(root, missing_root, depfile, limit, jobs, jobs_root, is_new=is_new, cwd=self.context.cwd, find_again=self._find)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where things are.

    Attributes:
        missing_root: the root as it was given, where it does not exist.
        depfile: None where there is none yet, and none is named.
        depfile_root, jobs_root: what the dependency file and the job files may not lead out of.
        is_new: there is no dependency file, so that folders may be missing as well.
        find_again: looks for all of it anew.
    """

    root: Path
    missing_root: Path | None
    depfile: Path | None
    depfile_root: Path
    jobs: Path
    jobs_root: Path
    is_new: bool
    cwd: Path
    find_again: Callable[[], _Places]

    def shown(self, path: str) -> str:
        """Return the path as the user would write it from the working folder."""
        return path.removeprefix(f"{str(self.cwd).rstrip('/')}/")

    def place(self, key: _Key) -> tuple[str, Path]:
        """Return where a file is, and what links on the way may not lead out of.

        Raises:
            StoreFileMissing: there is no dependency file, or no root.
            StoreError: a path that leads elsewhere.
        """
        kind, path = key
        if kind == "job":
            return "/".join((str(self.jobs), *parts_of(path, self.jobs))), self.jobs_root
        if kind == "file":
            return "/".join((str(self.root), *parts_of(path, self.root))), self.root
        if self.missing_root is not None:
            raise _folder_missing(self.missing_root, "root", "--fs-root")
        if self.depfile is None:
            raise no_depfile(self.root, hint="name it with --fs-depfile-path, or its folder with --fs-root")
        return str(self.depfile), self.depfile_root


class FilesystemSnapshot(Snapshot):
    """A view of a folder. A folder cannot be frozen, so each file is read once and remembered."""

    def __init__(self, places: _Places) -> None:
        self._places = places
        self._read: dict[_Key, tuple[str, Text]] = {}
        self._absent: set[_Key] = set()
        self._folders: dict[str, str] = {}
        self._listed: tuple[str, ...] | None = None

    @property
    def title(self) -> str:
        """Name of the root folder."""
        return self._places.root.name or "jobs"

    @property
    def place(self) -> str:
        """The root folder."""
        return str(self._places.root)

    def depfile(self) -> Text:
        """Return the dependency file. Effects: reads it."""
        return self._load(_DEPFILE)

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all job files below the jobs path. Effects: walks it, once."""
        if self._listed is None:
            places = self._places
            # Where the jobs lie in the root itself, the dependency file stands among them.
            depfile = os.path.relpath(places.depfile.resolve(), places.jobs) if places.depfile else ""
            try:
                scanned = () if places.is_new and not places.jobs.exists() else scan(places.jobs, places.jobs_root)
                self._listed = tuple(sorted(path for _, prefix, files in scanned for name in files if (path := prefix + name) != depfile))
            except OSError as error:
                raise unreadable(error, str(error.filename or places.jobs)) from error
        return self._listed

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files by their path below the jobs path. Effects: reads them."""
        return {path: self._load(("job", path)) for path in paths}

    def read(self, path: str) -> Text:
        """Return any file below the root. Effects: reads it."""
        return self._load(("file", path))

    @property
    def revision(self) -> Revision:
        """Digest of all that was read so far, and the commit that holds exactly that. Effects: runs git."""
        named = ((f"{kind}:{path or Path(text.path).name}", text.data) for (kind, path), (_, text) in sorted(self._read.items()))
        digest = digest_of((name.encode(errors="surrogateescape"), data) for name, data in named)
        held = self._work_tree.held_by(self._bytes)
        return Revision(f"sha256:{digest}", held[:12] or f"sha256:{digest[:12]}")

    @property
    def folder(self) -> Path:
        """The root folder."""
        return self._places.root

    @property
    def commit(self) -> Commit | None:
        """HEAD of the work tree that the root stands in.

        It is dirty for git's own reasons, for what is untracked below the root, and where it does not hold just what was read so far: a
        file that git ignores, one of another place, one that is changed while we read. Effects: runs git.
        """
        return self._work_tree.commit(self._bytes)

    def why_unclean(self) -> str:
        """Say which file that was read is not as its commit has it, or that others are not. Effects: runs git."""
        others = self._work_tree.not_held(self._bytes)
        if self.commit is None or not others:
            return super().why_unclean()
        return f"{self._places.shown(others[0])} is not as the commit has it"

    def tag(self) -> str:
        """Return the tag of HEAD of the highest version. Effects: runs git."""
        return self._work_tree.tag()

    def describe(self) -> str:
        """Return how git describes HEAD. Effects: runs git.

        Raises:
            StoreError: the clone has a part of the history only.
        """
        return self._work_tree.describe()

    def check_changes(self, changes: Changes) -> None:
        """Refuse a path that leads out of the root, or is no place for a file. Effects: follows links."""
        from dtree_stores.folder_writing import place_of

        for target in self._targets(changes).values():
            place_of(target)

    def write(self, changes: Changes) -> str:
        """Write file by file, each at once: jobs and other files, then the dependency file, then what is removed. Effects: writes files.

        Raises:
            StoreChanged: one of the files is not as this snapshot saw it. Nothing was written.
            StoreError: a path leads out of the root, and nothing was written; or the system refused one, which says what was before.
        """
        from dtree_stores.folder_writing import write_files

        wanted = self._targets(changes)
        there = self._refuse_changed(wanted)
        targets = {key: target for key, target in wanted.items() if there[key] != target.data}
        written = [target for key, target in targets.items() if key != _DEPFILE and target.data is not None]
        declared = [target for key, target in targets.items() if key == _DEPFILE]
        removed = [target for target in targets.values() if target.data is None]
        write_files([written, declared, removed])
        stages = {"jobs and other files": written, "the dependency file": declared, "what had to go": removed}
        return f"file by file: {', then '.join(name for name, stage in stages.items() if stage) or 'nothing differed'}"

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until something that was read or listed is different, at most `timeout_s` seconds.

        Effects: has the system tell of changes; reads everything again when it does.
        """
        from dtree_stores.notification import Notifications

        end_s = time.monotonic() + timeout_s
        while True:
            holding = set(self._holding())
            above = {folder for one in holding for folder in self._above(one)}
            with Notifications([folder for folder in above if folder.is_dir() and os.access(folder, os.R_OK)]) as told:
                # Listening has begun: what happens from here on is told, and what happened before is seen.
                if self._differs():
                    return True
                if not told.wait(end_s - time.monotonic(), inside=holding, paths=above):
                    return self._differs()  # a network's folder may have been silent

    @property
    def _bytes(self) -> Mapping[str, bytes]:
        """What was read so far, by real path."""
        return {path: text.data for path, text in self._read.values()}

    @cached_property
    def _work_tree(self) -> WorkTree:
        from dtree_stores.git_commit import WorkTree

        return WorkTree(self._places.root)

    def _load(self, key: _Key) -> Text:
        if key not in self._read:
            try:
                path, limit = self._places.place(key)
                shown = self._places.shown(path)
                real, data = read_file(path, limit, shown, self._folders)
                self._read[key] = (real, Text(shown, data))
            except StoreFileMissing:
                self._absent.add(key)
                raise
        return self._read[key][1]

    def _content(self, key: _Key) -> bytes | None:
        try:
            return self._load(key).data
        except StoreFileMissing:
            return None

    def _targets(self, changes: Changes) -> dict[_Key, Target]:
        """Return what is to be written where, the dependency file last."""
        wanted: dict[_Key, bytes | None] = {("job", path): data for path, data in changes.jobs.items()}
        wanted |= {("file", path): data for path, data in changes.files.items()}
        if changes.depfile is not None:
            wanted[_DEPFILE] = changes.depfile
        return {key: self._target(key, data) for key, data in wanted.items()}

    def _target(self, key: _Key, data: bytes | None) -> Target:
        """Return where a file is to be written; a new dependency file is named after what it is."""
        from dtree_stores.folder_writing import Target

        if key == _DEPFILE:
            path, limit = self._places.depfile or self._places.root / new_depfile(data or b""), self._places.depfile_root
        else:
            place, limit = self._places.place(key)
            path = Path(place)
        return Target(path, limit, self._places.shown(str(path)), data)

    def _refuse_changed(self, keys: Iterable[_Key]) -> Mapping[_Key, bytes | None]:
        """Return what there is now, None for no such file, if it is what this snapshot saw."""
        now = FilesystemSnapshot(self._places.find_again())
        there = {key: now._content(key) for key in keys}
        names = [] if now._places == self._places else [str(self._places.root)]
        names += sorted(key[1] or "the dependency file" for key, content in there.items() if self._saw_other(key, content))
        if names:
            raise StoreChanged(
                f"{names[0]} was changed since it was read, so nothing was written",
                notes=[f"so was {name}" for name in names[1:]],
                hint="look at the difference, then do it again",
            )
        return there

    def _saw_other(self, key: _Key, content: bytes | None) -> bool:
        """Whether this snapshot saw something else than `content`, None for no such file, where it looked at all."""
        kind, path = key
        if key in self._read:
            return self._read[key][1].data != content
        if key in self._absent:
            return content is not None
        return kind == "job" and self._listed is not None and (path in self._listed) != (content is not None)

    def _differs(self) -> bool:
        """Whether another look shows something else. Effects: reads everything again that was read."""
        try:
            now = FilesystemSnapshot(self._places.find_again())
            if now._places != self._places or any(self._saw_other(key, now._content(key)) for key in (*self._read, *self._absent)):
                return True
            return self._listed is not None and tuple(now.list_jobs()) != self._listed
        except StoreError:
            return True

    def _holding(self) -> Iterator[Path]:
        """Yield the folders that hold, or would hold, what was read or listed."""
        places = self._places
        yield places.root
        for real, _ in self._read.values():
            yield Path(real).parent
        for key in (*self._read, *self._absent):
            if key != _DEPFILE:
                yield Path(places.place(key)[0]).parent
        if places.depfile is not None:
            yield places.depfile.parent
        if self._listed is None:
            return
        yield places.jobs
        try:
            yield from (folder for folder, _, _ in scan(places.jobs, places.jobs_root))
        except StoreError:  # it is not there, or not whole, and the next look will tell
            return

    def _above(self, folder: Path) -> Iterator[Path]:
        """Yield the folder and those above it, up to one above the root: whoever replaces a folder does that in the one above."""
        top = self._places.root.parent if folder.is_relative_to(self._places.root) else folder.parent
        yield folder
        for one in folder.parents:
            yield one
            if one.is_dir() and top.is_relative_to(one):
                return


def _folder(path: Path, what: str, option: str, *, may_be_missing: bool) -> Path:
    if path.is_dir() or (may_be_missing and not path.exists()):
        return path.resolve()
    if path.exists():
        raise StoreError(f"the {what} {path} is a file, not a folder", hint=f"give {option} a folder", code="store-not-a-folder")
    raise _folder_missing(path, what, option)


def _folder_missing(path: Path, what: str, option: str) -> StoreFileMissing:
    return StoreFileMissing(f"the {what} {path} does not exist", hint=f"give {option} a folder that does", code="store-folder-missing")


def _find_depfile(root: Path) -> Path | None:
    present = [name for name in DEPFILES if (root / name).exists()]
    return root / find_depfile(root, present, hint="", choose="--fs-depfile-path") if present else None


def _refuse_outside(path: Path, root: Path, option: str) -> None:
    if not path.resolve().is_relative_to(root):
        raise StoreError(
            f"{path} lies outside the root {root}, or leads out of it",
            hint=f"name it with {option}, without --fs-root, if that is meant",
            code="store-outside",
        )

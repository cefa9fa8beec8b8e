"""Jobs in a folder: the dependency file beside, and the job files below it.

Three places, found like this:
- root: `--fs-root`; else the folder of `--fs-depfile-path`; else the working folder.
- dependency file: `--fs-depfile-path`; else the one of dependency.json, .yaml, .yml in the root. Two of them are a fault.
- jobs: `--fs-jobs-path`; else the folder `jobs` in the root; else the root itself.

With `--fs-root` nothing may lie outside the root. Without it the two other options may name any place, so that the dependency file and the
jobs need not be neighbours; then the jobs path is a root of its own for the job files, and the folder of the dependency file the root for
everything else. In no case does `..`, an absolute path or a symbolic link lead out of its root.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dtree.store import Option, Revision, Snapshot, Store, StoreError, StoreFileMissing, Text
from dtree_stores.git_commit import commit_of

DEPFILES = ("dependency.json", "dependency.yaml", "dependency.yml")

_BACKUPS = ("~", ".bak", ".orig", ".swp", ".tmp")


class FilesystemStore(Store):
    """Jobs in a folder."""

    store_api = 1
    summary = "Dependency file and job files in a folder"
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
            StoreError: one is missing, cannot be looked at, is a file where a folder is wanted or the reverse, or lies outside the root.
        """
        try:
            return self._open()
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
            raise _unreadable(error, str(getattr(error, "filename", None) or "the store")) from error

    def _open(self) -> FilesystemSnapshot:
        given: Path | None = self.settings["fs_depfile_path"]
        root = self.settings["fs_root"] or (given.parent if given else self.context.cwd)
        root = _folder(root, "root", "--fs-root")
        depfile = given or _find_depfile(root)
        jobs: Path | None = self.settings["fs_jobs_path"]
        if jobs is None:
            jobs = root / "jobs" if (root / "jobs").is_dir() else root
        jobs = _folder(jobs, "jobs path", "--fs-jobs-path")
        for place, option in ((depfile, "fs_depfile_path"), (jobs, "fs_jobs_path")):
            if self.settings["fs_root"] is not None or self.settings[option] is None:
                _refuse_outside(place, root, f"--{option.replace('_', '-')}")
        limit = given.resolve().parent if given and self.settings["fs_root"] is None else root
        return FilesystemSnapshot(_Places(root, depfile, limit, jobs, self.context.cwd))


@dataclass(frozen=True, slots=True)
class _Places:
    root: Path
    depfile: Path
    depfile_root: Path
    jobs: Path
    cwd: Path

    @property
    def jobs_root(self) -> Path:
        """What job files may not lead out of."""
        return self.root if self.jobs.is_relative_to(self.root) else self.jobs

    def shown(self, path: Path) -> str:
        """Return the path as the user would write it from the working folder."""
        return str(path.relative_to(self.cwd)) if path.is_relative_to(self.cwd) else str(path)


class FilesystemSnapshot(Snapshot):
    """A view of a folder. A folder cannot be frozen, so each file is read once and remembered."""

    def __init__(self, places: _Places) -> None:
        self._places = places
        self._read: dict[str, tuple[Path, Text]] = {}
        self._listed: tuple[str, ...] | None = None

    @property
    def title(self) -> str:
        """Name of the root folder."""
        return self._places.root.name or "jobs"

    def depfile(self) -> Text:
        """Return the dependency file. Effects: reads it."""
        places = self._places
        return self._load(f"depfile:{places.depfile.name}", places.depfile, places.depfile_root)

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all job files below the jobs path. Effects: walks it, once."""
        if self._listed is None:
            places = self._places
            # Where the jobs lie in the root itself, the dependency file stands among them.
            depfile = os.path.relpath(places.depfile.resolve(), places.jobs)
            try:
                self._listed = tuple(sorted(path for path in _walk(places.jobs, "", places.jobs_root, ()) if path != depfile))
            except OSError as error:
                raise _unreadable(error, str(error.filename or places.jobs)) from error
        return self._listed

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files by their path below the jobs path. Effects: reads them."""
        places = self._places
        return {path: self._load(f"job:{path}", _below(places.jobs, path), places.jobs_root) for path in paths}

    def read(self, path: str) -> Text:
        """Return any file below the root. Effects: reads it."""
        return self._load(f"file:{path}", _below(self._places.root, path), self._places.root)

    @property
    def revision(self) -> Revision:
        """Digest of all that was read so far, and the commit that holds exactly that. Effects: runs git."""
        digest = hashlib.sha256()
        for name, (_, text) in sorted(self._read.items()):
            framed = name.encode(errors="surrogateescape")
            digest.update(b"%d:%s%d:" % (len(framed), framed, len(text.data)))
            digest.update(text.data)
        files = {path: text.data for path, text in self._read.values()}
        commit = commit_of(files, self._places.root)
        label = commit[:12] if commit else f"sha256:{digest.hexdigest()[:12]}"
        return Revision(f"sha256:{digest.hexdigest()}", label)

    def _load(self, name: str, path: Path, limit: Path) -> Text:
        if name not in self._read:
            shown = self._places.shown(path)
            real = _real(path, limit, shown)
            self._read[name] = (real, Text(shown, _bytes(real, shown)))
        return self._read[name][1]


def _folder(path: Path, what: str, option: str) -> Path:
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise StoreError(f"the {what} {path} is a file, not a folder", hint=f"give {option} a folder", code="store-not-a-folder")
    raise StoreError(f"the {what} {path} does not exist", hint=f"give {option} a folder that does", code="store-folder-missing")


def _find_depfile(root: Path) -> Path:
    found = [root / name for name in DEPFILES if (root / name).exists()]
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(
            f"{root} has more than one dependency file: {', '.join(path.name for path in found)}",
            hint="keep one, or choose with --fs-depfile-path",
            code="depfile-ambiguous",
        )
    raise StoreFileMissing(
        f"{root} has no dependency file",
        notes=[f"looked for {', '.join(DEPFILES)}"],
        hint="name it with --fs-depfile-path, or its folder with --fs-root",
        code="depfile-missing",
    )


def _refuse_outside(path: Path, root: Path, option: str) -> None:
    if not path.resolve().is_relative_to(root):
        raise StoreError(
            f"{path} lies outside the root {root}, or leads out of it",
            hint=f"name it with {option}, without --fs-root, if that is meant",
            code="store-outside",
        )


def _below(folder: Path, path: str) -> Path:
    """Join, refusing what names a place elsewhere even before links are looked at."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or not pure.parts:
        raise StoreError(
            f"{path!r} is no path below {folder}", hint="write it from the root of the store, without `..`", code="store-outside"
        )
    return folder.joinpath(*pure.parts)


def _real(path: Path, limit: Path, shown: str) -> Path:
    try:
        real = path.resolve(strict=True)
    except FileNotFoundError:
        raise StoreFileMissing(f"there is no file {shown}", hint="check the path, and links on the way") from None
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        raise _unreadable(error, shown) from error
    if not real.is_relative_to(limit):
        raise StoreError(
            f"{shown} leads out of the store, to {real}",
            hint=f"copy it below {limit}, or choose a --fs-root that holds both",
            code="store-outside",
        )
    return real


def _bytes(real: Path, shown: str) -> bytes:
    try:
        kind = real.stat().st_mode
        if stat.S_ISDIR(kind):
            raise StoreError(f"{shown} is a folder, not a file", hint="name a file in it", code="store-not-a-file")
        if not stat.S_ISREG(kind):  # reading a pipe would wait for ever
            raise StoreError(f"{shown} is no regular file", hint="write it to a file first", code="store-not-a-file")
        return real.read_bytes()
    except OSError as error:
        raise _unreadable(error, shown) from error


def _unreadable(error: Exception, shown: str) -> StoreError:
    why = getattr(error, "strerror", None) or str(error)
    return StoreError(f"{shown} cannot be read: {why}", hint="check its permissions and links", code="store-unreadable")


def _walk(folder: Path, prefix: str, limit: Path, above: tuple[Path, ...]) -> Iterator[str]:
    """Yield the files below `folder` after `prefix`, through linked folders too unless they lead out of `limit` or back up."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise _unreadable(error, str(folder)) from error
    here = (*above, folder.resolve())
    for entry in found:
        is_link = entry.is_symlink()
        # On a loop of links entry.is_dir raises, this does not.
        is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()  # noqa: PTH112 - see above
        if not is_folder:
            # A dangling link is listed: a job file that cannot be read is told, a missing one only guessed at.
            yield prefix + entry.name
        elif not is_link or _leads_down(Path(entry.path).resolve(), limit, here):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", limit, here)


def _leads_down(real: Path, limit: Path, above: tuple[Path, ...]) -> bool:
    return real.is_relative_to(limit) and not any(folder.is_relative_to(real) for folder in above)


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "#")) or name.endswith(_BACKUPS)

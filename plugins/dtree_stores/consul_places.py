"""Where in Consul's KV store things are: the root, the dependency file, the jobs, and which prefixes have to be read for them.

Keys have no folders; a folder is what stands before a slash. The three places are found like this:
- root: `--consul-root`; else the folder that holds both places given, the dependency file's alone, or the one above the jobs;
  `nomad-dtree` where neither is given.
- dependency file: `--consul-depfile-path`; else the one of dependency.json, .yaml, .yml in the root. Two of them are a fault.
- jobs: `--consul-jobs-path`; else `jobs` in the root.

All keys below the root are read at once, so that a snapshot is one state. Where no folder holds both places, and no root is given, only the
two are read: the whole of somebody's Consul is read only on request (`--consul-root /`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from dtree.store import StoreError, StoreFileMissing
from dtree_stores.paths import DEPFILES, find_depfile, is_hidden, new_depfile, parts_of

__all__ = ["Places", "below", "find_places", "is_file"]

_DEFAULT_ROOT: Final = "nomad-dtree"
# An empty part, `.` or `..`; NUL; half a surrogate pair (a file name that is no Unicode), for which Consul would write something else.
_NO_FILE: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\0\ud800-\udfff]")
_HINT: Final = "name it with --consul-depfile-path, or its folder with --consul-root"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are.

    Attributes:
        root, jobs: prefixes that end with a slash; "" for the top.
        depfile: key; "" where it is looked for.
        prefixes: what has to be read.
    """

    root: str
    jobs: str
    depfile: str
    prefixes: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The prefixes, for a message."""
        return " and ".join(f"'{prefix}'" for prefix in self.prefixes)

    def is_below(self, key: str) -> bool:
        """Whether the key is one that is read."""
        return key.startswith(self.prefixes)

    def find_depfile(self, keys: Collection[str]) -> str:
        """Return the key of the dependency file.

        Raises:
            StoreFileMissing: there is none.
            StoreError: there are several, and none was chosen.
        """
        if not self.depfile:
            present = {key.removeprefix(self.root) for key in keys if key.startswith(self.root)}
            return self.root + find_depfile(f"Consul, below '{self.root}',", present, hint=_HINT, choose="--consul-depfile-path")
        if self.depfile not in keys:
            raise StoreFileMissing(f"Consul has no key '{self.depfile}', the dependency file's", hint=_HINT, code="depfile-missing")
        return self.depfile

    def new_depfile(self, data: bytes) -> str:
        """Return the key that a dependency file gets where there is none yet."""
        return self.depfile or self.root + new_depfile(data)

    def is_job(self, key: str) -> bool:
        """Whether a file's key is a job file's: below the jobs path, not the dependency file, not hidden and no editor's backup."""
        if not key.startswith(self.jobs):
            return False
        chosen = key == self.depfile if self.depfile else key.startswith(self.root) and key.removeprefix(self.root) in DEPFILES
        return not chosen and not any(is_hidden(part) for part in key.removeprefix(self.jobs).split("/"))


def find_places(root: str | None, depfile: str | None, jobs: str | None) -> Places:
    """Find the places from what was given; None for what was not.

    Raises:
        StoreError: one cannot be, or lies outside the root.
    """
    depfile = _normal(depfile, "--consul-depfile-path") if depfile is not None else None
    jobs = _normal(jobs, "--consul-jobs-path") if jobs is not None else None
    if depfile == "":
        raise _bad("--consul-depfile-path names no key", "name the key, for example shop/dependency.json")
    if root is not None:
        top = _folder(_normal(root, "--consul-root"))
    elif depfile is not None and jobs is not None:
        top = _common(_parent(depfile), _folder(jobs))
    elif depfile is not None or jobs is not None:
        top = _parent(depfile if depfile is not None else jobs or "")
    else:
        top = _folder(_DEFAULT_ROOT)
    below_jobs = _folder(jobs) if jobs is not None else f"{top}jobs/"
    for place, option in ((depfile, "--consul-depfile-path"), (below_jobs, "--consul-jobs-path")):
        if place is not None and not place.startswith(top):
            raise StoreError(
                f"'{place}' lies outside the root '{top}'",
                hint=f"name a key below it with {option}, or leave --consul-root out",
                code="store-outside",
            )
    prefixes = (top,) if top or root is not None else (depfile or "dependency.", below_jobs)
    return Places(top, below_jobs, depfile or "", prefixes)


def below(folder: str, path: str) -> str:
    """Return the key of a path below a folder.

    Raises:
        StoreError: it names a place elsewhere, or cannot be a key.
    """
    if is_file(path):
        return folder + path
    key = folder + "/".join(parts_of(path, f"'{folder}' in Consul"))
    if not is_file(key):
        raise StoreError(f"{path!r} can be no key of Consul", hint="give the file a name in Unicode", code="store-outside")
    return key


def is_file(path: str) -> bool:
    """Whether a path, as a key or part of one, can be a file's: a key that ends with a slash is what Consul's web page has for a folder."""
    return not _NO_FILE.search(path)


def _normal(path: str, option: str) -> str:
    """Take the slashes off its ends, which keys do not have, and refuse what cannot be a key."""
    plain = path.strip("/")
    if plain and not (is_file(plain) and plain.isprintable()):
        raise _bad(f"{option} is {path!r}, which is no path of keys", "write it like shop/jobs: no `..`, no empty part")
    return plain


def _bad(problem: str, hint: str) -> StoreError:
    return StoreError(problem, hint=hint, code="consul-bad-setting")


def _folder(path: str) -> str:
    return f"{path}/" if path else ""


def _parent(path: str) -> str:
    head, slash, _ = path.rpartition("/")
    return head + slash


def _common(one: str, other: str) -> str:
    """Return the deepest folder that holds both."""
    pairs = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)  # as far as the shorter one goes
    return "".join(f"{part}/" for part, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

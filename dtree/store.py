"""PUBLIC: what a store plugin subclasses.

A store keeps a dependency file and job files somewhere: a folder, Consul KV, a Git repository. A plugin is a distribution with one class
and one entry point in the group `dtree.stores`:

    [project.entry-points."dtree.stores"]
    ram = "dtree_ram:RamStore"

    class RamStore(Store):
        store_api = 1
        summary = "Jobs from a dict"
        options = (Option("ram-greeting", help="said at start", default="hello"),)

        def snapshot(self) -> Snapshot:
            return RamSnapshot(self.settings["ram_greeting"])

`nomad-dtree run --store ram --ram-greeting hi` then works, and so do `NOMAD_DTREE_RAM_GREETING=hi` and, in nomad-dtree.toml,
`[stores.ram]` with `ram-greeting = "hi"`. The order is: option, environment variable, file, default. `nomad-dtree stores show ram`
prints them. `dtree.testing.StoreContract` is a test class for plugin authors: subclass it, and every promise made here is checked.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from dtree.errors import DeclarationError, Fault, StoreChanged, StoreError, StoreFileMissing, StoreUnreachable, did_you_mean

if TYPE_CHECKING:
    from dtree.access.nomad import Connection

__all__ = [
    "JOB_SUFFIXES",
    "STORE_API",
    "Changes",
    "Commit",
    "Option",
    "Revision",
    "Snapshot",
    "Store",
    "StoreChanged",
    "StoreContext",
    "StoreError",
    "StoreFileMissing",
    "StoreUnreachable",
    "Text",
]

STORE_API: Final = 1
"""Version of this interface; a plugin states the one it was written for in `Store.store_api`."""

JOB_SUFFIXES: Final = ("", ".nomad", ".nomad.hcl", ".hcl", ".json", ".nomad.j2")
"""How the file of job `api` may be called: `api`, `api.nomad`, ... Two that exist are a fault."""

_LONGEST_FIRST: Final = tuple(sorted(filter(None, JOB_SUFFIXES), key=len, reverse=True))

OptionType = Literal["str", "int", "float", "bool", "path"]

_KEBAB_CASE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DEFAULT_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "path": (str,),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a store, declared once.

    Attributes:
        name: kebab-case and unique among all options, so begin it with a short name of the store: `fs-root` becomes the option
            `--fs-root`, the variable `NOMAD_DTREE_FS_ROOT` and the key `fs-root` in `[stores.filesystem]`.
        help: one sentence, shown by `--help`.
        type: what its text is read as. A `path` reaches the store as an absolute `pathlib.Path`: relative ones start from the working
            folder, those in nomad-dtree.toml from the folder of that file; `~` is the user's home.
        default: used where nothing is given; None with `required=False` hands None to the store.
        env: further environment variables, asked in this order after the one made from the name.
        required: an error that names all three ways to give it, where nothing gives it.
        secret: its value is shown nowhere, and may not stand in nomad-dtree.toml.

    Raises:
        ValueError: the declaration itself is wrong, so that a plugin's author sees it at import.
    """

    name: str
    help: str
    type: OptionType = "str"
    default: str | int | float | bool | None = None
    env: tuple[str, ...] = ()
    required: bool = False
    secret: bool = False

    def __post_init__(self) -> None:
        if not _KEBAB_CASE.fullmatch(self.name):
            raise ValueError(f"option name {self.name!r} is not kebab-case")
        if not self.help:
            raise ValueError(f"option {self.name!r} has no help")
        if self.default is not None and type(self.default) not in _DEFAULT_TYPES[self.type]:
            raise ValueError(f"option {self.name!r} is of type {self.type}, its default {self.default!r} is not")
        if self.required and self.default is not None:
            raise ValueError(f"option {self.name!r} is required and has a default")

    @property
    def variable(self) -> str:
        """The environment variable made from the name: `fs-root` -> `NOMAD_DTREE_FS_ROOT`."""
        return "NOMAD_DTREE_" + self.name.replace("-", "_").upper()

    @property
    def key(self) -> str:
        """The name as a Python identifier, the key of `Store.settings`: `fs-root` -> `fs_root`."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class StoreContext:
    """What a store may use beside its own options.

    Attributes:
        cwd: the folder that relative paths start from.
        cache: a folder of the store's own under the user's cache, which may not exist yet.
        nomad: called by a store that lives in Nomad: returns address, token and so on, which `dtree.access.nomad` opens. A store that
            does not call it is handed no token.
    """

    cwd: Path
    cache: Path
    nomad: Callable[[], Connection]


@dataclass(frozen=True, slots=True)
class Text:
    """A file of a store.

    Attributes:
        path: as a user of the store would name it in an error, for example `jobs/api.nomad` or `kv:shop/jobs/api`.
        data: its bytes.
    """

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Revision:
    """Which state of the store was read.

    Attributes:
        id: exact: a commit, an index, a digest.
        label: what a person calls it, for example `v1.2` or `9fceb02 (clean)`; "" for the id.
    """

    id: str
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.id


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit of a version control system that a snapshot shows.

    Attributes:
        id: full.
        date: when it was committed, as `2026-03-01T12:00:00Z`; "" where that is not known.
        ref: what it was asked for by: a tag, a branch, `HEAD`.
        is_dirty: what is read may be something else than the commit holds, because files were changed since.
    """

    id: str
    date: str = ""
    ref: str = "HEAD"
    is_dirty: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What to write to a store; what is not named stays as it is.

    Attributes:
        depfile: new content of the dependency file; None leaves it.
        jobs: new content by path below the jobs path; None removes the file.
        files: the same for any other file, by path from the root.
    """

    depfile: bytes | None = None
    jobs: Mapping[str, bytes | None] = field(default_factory=dict)
    files: Mapping[str, bytes | None] = field(default_factory=dict)


class Snapshot(ABC):
    """One consistent view of a store: every call answers from the same state, however long a run takes.

    A plugin writes four methods and one property; one that can be written to also `write`, and `check_changes` where it has limits; one
    that can tell when it changes `wait_for_change`; one under version control `commit`, `tag` and `describe`. Names, suffixes and ambiguous
    files are handled here, once for all stores. Paths are relative to the root of the store, with `/`. What is opened is closed:
    `with store.snapshot() as snapshot: ...`.
    """

    @abstractmethod
    def depfile(self) -> Text:
        """Return the dependency file.

        >>> snapshot.depfile()
        Text(path='dependency.json', data=b'{"dependencies": ...')

        Raises:
            StoreFileMissing: there is none; says where it was looked for.
        """

    @abstractmethod
    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all files below the jobs path, relative to it, sorted.

        The dependency file, hidden files and editors' backups are no job files and are left out.

        >>> snapshot.list_jobs()
        ['api.nomad', 'batch/nightly.nomad.hcl', 'nginx.nomad']
        """

    @abstractmethod
    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return many files below the jobs path in one go, by the path that was asked for.

        >>> snapshot.read_jobs(['api.nomad'])
        {'api.nomad': Text(path='jobs/api.nomad', data=b'job "api" ...')}

        Raises:
            StoreFileMissing: one does not exist; names it.
            StoreError: one cannot be read, or lies outside the jobs path; names it.
        """

    @abstractmethod
    def read(self, path: str) -> Text:
        """Return any other file of the store by its path from the root.

        >>> snapshot.read('config/nginx.conf')
        Text(path='config/nginx.conf', data=b'server { ...')

        Raises:
            StoreFileMissing: it does not exist.
            StoreError: it cannot be read, or lies outside the root.
        """

    @property
    @abstractmethod
    def revision(self) -> Revision:
        """Which state this is: the same content gives the same id. Where only reading tells, ask for it after reading."""

    @property
    def title(self) -> str:
        """Name of this set of jobs where the dependency file gives none: name of the folder, prefix or repository."""
        return "jobs"

    @property
    def place(self) -> str:
        """Where this is, for whoever is asked whether to write to it: a folder, or an address and a prefix; "" where that is not known.

        >>> snapshot.place
        'http://127.0.0.1:8500, shop/'
        """
        return ""

    @property
    def folder(self) -> Path | None:
        """Folder of this machine that paths in the store's files start from, where they lead out of it; None where they may not.

        >>> snapshot.folder
        PosixPath('/home/me/shop')
        """
        return None

    @property
    def commit(self) -> Commit | None:
        """The commit that this shows, for `[[ commit ]]` and versions such as `git:short`; None where a store knows of none.

        >>> snapshot.commit
        Commit(id='9fceb02d0ae598e95dc970b74767f19372d61af8', date='2026-03-01T12:00:00Z', ref='v1.2', is_dirty=False)

        Raises:
            StoreError: it cannot be found out.
        """
        return None

    def tag(self) -> str:
        """Return the name of the commit's tag: the one that was asked for, else of several that of the highest version; "" for none.

        >>> snapshot.tag()
        'v1.2'

        Raises:
            StoreError: it cannot be found out.
        """
        return ""

    def describe(self) -> str:
        """Name the commit after the last tag before it, as `git describe --tags --always` does; "" where a store cannot.

        >>> snapshot.describe()
        'v1.2-3-g9fceb02'

        Raises:
            StoreError: it cannot be found out, for example because a part of the history is missing.
        """
        return ""

    def why_unclean(self) -> str:
        """Say why what was read is not what a commit holds, for `--require-clean`; "" where it is, and for a store that never has commits.

        >>> snapshot.why_unclean()
        '/home/me/shop holds changes that are not committed'

        Raises:
            StoreError: it cannot be found out.
        """
        commit = self.commit
        if commit is not None:
            return f"{self.place or 'the store'} holds changes that are not committed" if commit.is_dirty else ""
        return f"{self.folder} is in no Git work tree with a commit" if self.folder is not None else ""

    def check_changes(self, changes: Changes) -> None:  # noqa: B027 - most stores have no limits
        """Refuse what `write` would refuse whatever happens meanwhile: a file that is too large, a path that leads out. Writes nothing.

        It is asked before anybody is asked whether to write, and where nothing is to be written at all.

        >>> snapshot.check_changes(Changes(jobs={'api.nomad': bytes(1_000_000)}))
        StoreError: 'shop/jobs/api.nomad' would have 1,000,000 bytes, of which Consul takes 524,288; nothing was written

        Raises:
            StoreError: as `write` would raise.
        """

    def write(self, changes: Changes) -> str:  # noqa: ARG002 - for those that can
        """Write to the store, if it still holds what this snapshot shows.

        All at once where the store can do that. Where it cannot: jobs and other files first, then the dependency file, then what is
        removed, so that whoever reads meanwhile finds every job that the dependency file names.

        >>> snapshot.write(Changes(depfile=b'{"dependencies": {}}', jobs={'api.nomad': b'job "api" {}', 'old.nomad': None}))
        'in one transaction'

        Returns:
            How it was written, to stand after "written "; what is no single step says so.

        Raises:
            StoreChanged: somebody changed a file meanwhile that this would have changed. Nothing was written.
            StoreError: it cannot be written; says what was written before that.
        """
        raise StoreError(
            f"a store of this kind ({type(self).__module__}) cannot be written to",
            hint="`nomad-dtree stores list` shows which can",
            code="store-read-only",
        )

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until the store holds something else than this snapshot shows, or may do so.

        A store that cannot tell waits the whole time and says True: whoever asked takes a new snapshot and compares.

        Args:
            timeout_s: longest wait in seconds.

        Returns:
            False where nothing has changed in all that time.

        Raises:
            StoreUnreachable: it cannot be asked any more.
        """
        time.sleep(timeout_s)
        return True

    def present(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return those of `paths` that are files of the store, in their order. A store may know that faster than by reading them.

        >>> snapshot.present(['versions.yaml', 'versions.json'])
        ('versions.yaml',)

        Args:
            paths: from the root.
        """
        found = []
        for path in paths:
            try:
                self.read(path)
            except StoreFileMissing:
                continue
            found.append(path)
        return tuple(found)

    def job_names(self) -> tuple[str, ...]:
        """Return the names of all jobs that have a file, sorted: paths without the suffix.

        >>> snapshot.job_names()
        ('api', 'batch/nightly', 'nginx')
        """
        return tuple(sorted({job_name(path) for path in self.list_jobs()}))

    def jobs(self, names: Iterable[str], files: Mapping[str, str] | None = None) -> Mapping[str, Text]:
        """Return the job files of `names`, read in bulk.

        >>> snapshot.jobs(['api'])
        {'api': Text(path='jobs/api.nomad', data=b'job "api" ...')}

        Args:
            names: job names, as in the dependency file.
            files: for some of the names the path from the root of the store that their entry gives in `file`.

        Raises:
            DeclarationError: jobs without a file or with two, all of them at once.
            StoreError: a file that cannot be read.
        """
        given = files or {}
        wanted = sorted(set(names))
        found, faults = self.find_jobs([name for name in wanted if name not in given])
        if faults:
            raise DeclarationError(faults)
        texts = self.read_jobs(list(found.values())) if found else {}
        return {name: self.read(given[name]) if name in given else texts[found[name]] for name in wanted}

    def find_jobs(self, names: Iterable[str]) -> tuple[Mapping[str, str], tuple[Fault, ...]]:
        """Find the path of each job's file, reading none.

        >>> snapshot.find_jobs(['api', 'apy'])
        ({'api': 'api.nomad'}, (Fault('job-file-missing', "job 'apy' has no job file in the store", ...),))

        Returns:
            The paths below the jobs path, by name, sorted; and a fault for each name that has no file, or more than one.
        """
        wanted = sorted(set(names))
        listed = self.list_jobs() if wanted else ()
        present = set(listed)
        found: dict[str, str] = {}
        faults: list[Fault] = []
        for name in wanted:
            paths = [name + suffix for suffix in JOB_SUFFIXES if name + suffix in present]
            if len(paths) == 1:
                found[name] = paths[0]
            else:
                faults.append(_ambiguous(name, paths) if paths else _missing(name, listed))
        return found, tuple(faults)

    def close(self) -> None:  # noqa: B027 - most stores hold nothing
        """Let go of what the snapshot holds: a connection, a checkout. It is not asked again afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Store(ABC):
    """A kind of store, as a plugin provides it.

    Attributes:
        store_api: version of this interface that the plugin was written for, as a number: it has no default, so that a plugin is not
            taken for newer than it is.
        summary: one line for `nomad-dtree stores list`.
        options: its settings.
        writable: its snapshots can `write`.
        settings: their values, by `Option.key`: `self.settings["fs_root"]`; every declared option is there.
    """

    store_api: ClassVar[int]
    summary: ClassVar[str] = ""
    options: ClassVar[tuple[Option, ...]] = ()
    writable: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Any], context: StoreContext) -> None:
        self.settings = settings
        self.context = context

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """Open one consistent view.

        >>> store.snapshot().revision
        Revision(id='sha256:5f2c…', label='9fceb02')

        Raises:
            StoreUnreachable: the store cannot be reached.
        StoreError: it cannot be read.
        """


def _missing(name: str, listed: Sequence[str]) -> Fault:
    near = did_you_mean(name, sorted({job_name(path) for path in listed}))
    looked_for = ", ".join(name + suffix for suffix in JOB_SUFFIXES)
    return Fault(
        "job-file-missing",
        f"job '{name}' has no job file in the store (looked for {looked_for})",
        hint=near or "write one, or name it with `file` in the job's entry",
    )


def _ambiguous(name: str, paths: Sequence[str]) -> Fault:
    return Fault(
        "job-file-ambiguous",
        f"job '{name}' has more than one job file: {', '.join(paths)}",
        hint="keep one, or name it with `file` in the job's entry",
    )


def job_name(path: str) -> str:
    """Return the name of the job that a job file is of: its path without the suffix.

    >>> job_name('batch/nightly.nomad.hcl')
    'batch/nightly'
    """
    file = path.rpartition("/")[2]
    for suffix in _LONGEST_FIRST:
        if file.endswith(suffix) and file != suffix:
            return path.removesuffix(suffix)
    return path

"""Jobs in Nomad's own Variables: a store that needs no server but Nomad.

A snapshot is read whole when it is opened: the index, then all shards, several at once. Whoever replaces the store removes shards of an
older index; a reader who misses one therefore looks at the index again, and only where that is still the same is the store damaged.

Writing puts the new shards beside the old ones, which shows nobody anything, and then swaps the index by compare-and-set. Last come the
shards that no index names any more: the old index's, and what a broken-off write left behind an hour ago or longer. Each is removed only
if nobody has written it since it was seen, so that a write that is under way keeps what it has put there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from dtree.access.at_once import do_all
from dtree.errors import Conflict
from dtree.store import Changes, Option, Revision, Snapshot, Store, StoreChanged, StoreError, StoreFileMissing, StoreUnreachable, Text
from dtree_stores import variables_layout as layout
from dtree_stores.paths import DEPFILES, find_depfile, is_hidden, new_depfile, parts_of
from dtree_stores.variables_client import StoreVariables, Variable

_PREFIX: Final = re.compile(r"[A-Za-z0-9_~/-]+")
_LONGEST_PREFIX: Final = 128 - len("/files/") - 32
_READ_TRIES: Final = 5
_AT_ONCE: Final = 8
_ABANDONED_NS: Final = 3600 * 10**9


class NomadVariablesStore(Store):
    """Jobs in Nomad's own Variables."""

    store_api = 1
    summary = "Dependency file and job files in Nomad's own Variables"
    writable = True
    options = (
        Option("vars-prefix", help="Path that the store's variables stand below.", default="dtree-store"),
        Option("vars-namespace", help="Nomad namespace of the variables. Default: the one of --namespace."),
        Option("vars-depfile-path", help="Dependency file in the store. Default: dependency.json, .yaml or .yml."),
        Option("vars-jobs-path", help="Folder of the job files in the store.", default="jobs"),
    )

    def snapshot(self) -> VariablesSnapshot:
        """Read the whole store. Effects: reads Nomad: one variable for the index, and one for about 50 KiB of files, several at once.

        Raises:
            StoreUnreachable: Nomad cannot be reached, or not all of the way.
            StoreError: the token may not, or what is there is no store, or damaged.
        """
        prefix = _checked(self.settings["vars_prefix"].strip("/"))
        depfile: str | None = self.settings["vars_depfile_path"]
        places = _Places(
            prefix, "/".join(parts_of(depfile, prefix)) if depfile else None, "/".join(parts_of(self.settings["vars_jobs_path"], prefix))
        )
        variables = StoreVariables(self.context.nomad(), namespace=self.settings["vars_namespace"] or "", prefix=prefix)
        return VariablesSnapshot(variables, places, _read(variables))


@dataclass(frozen=True, slots=True)
class _Places:
    root: str
    given_depfile: str | None
    jobs: str

    def job(self, path: str) -> str:
        return "/".join((self.jobs, *parts_of(path, f"{self.root}/{self.jobs}")))

    def file(self, path: str) -> str:
        return "/".join(parts_of(path, self.root))


@dataclass(frozen=True, slots=True)
class _State:
    """What was read.

    Attributes:
        index: that of the index variable; 0 where there is none.
        items: of the index variable.
        shards: index of each shard's variable, by the shard's name.
        files: by path from the root.
    """

    index: int
    items: layout.Items
    shards: Mapping[str, int]
    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """Of all files: the one in the index, which they were found to have when they were read."""
        return layout.digest_in(self.items) or layout.digest_of(self.files)


class VariablesSnapshot(Snapshot):
    """The store as it was when it was read."""

    def __init__(self, variables: StoreVariables, places: _Places, state: _State) -> None:
        self._variables = variables
        self._places = places
        self._state = state

    @property
    def title(self) -> str:
        """The prefix."""
        return self._places.root

    @property
    def place(self) -> str:
        """Address, prefix and namespace."""
        return f"{self._variables.address}, {_shown(self._variables)}"

    def depfile(self) -> Text:
        """Return the dependency file."""
        return self._text(self._depfile())

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all job files below the jobs path."""
        return self._listed

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files by their path below the jobs path."""
        return {path: self._text(self._places.job(path)) for path in paths}

    def read(self, path: str) -> Text:
        """Return any file by its path from the prefix."""
        return self._text(self._places.file(path))

    @property
    def revision(self) -> Revision:
        """Digest of all files."""
        digest = self._state.digest
        return Revision(f"sha256:{digest}", f"sha256:{digest[:12]}")

    def check_changes(self, changes: Changes) -> None:
        """Refuse what Variables have no room for."""
        self._packed(changes)

    def write(self, changes: Changes) -> str:
        """Write, if nobody else has written anything since. Effects: changes Nomad's Variables.

        Raises:
            StoreChanged: somebody has. No reader sees anything of what this would have written.
            StoreError: it cannot be written; readers see the state before. Only where contact is lost over the very last step it cannot be
                told, and the error says so.
        """
        packed = self._packed(changes)
        if (index := self._variables.read(self._index)) and index.index != self._state.index:
            raise self._was_changed()  # told before anything of this lies about
        new = [name for name in packed.shards if name not in self._state.shards]
        do_all(lambda name: self._variables.write(self._shard(name), packed.shards[name]), new, at_once=_AT_ONCE)
        self._swap(packed)
        left = self._sweep(packed)
        return f"all at once, by compare-and-set of variable {self._index}{left}"

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until the index is another, at most `timeout_s` seconds. Effects: reads Nomad, in a standing query."""
        return self._variables.changed_from(self._index, self._state.index, timeout_s=timeout_s)

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        below, depfile = f"{self._places.jobs}/", self._places.given_depfile
        paths = [path.removeprefix(below) for path in self._state.files if path.startswith(below) and path != depfile]
        return tuple(sorted(path for path in paths if not any(map(is_hidden, path.split("/")))))

    @property
    def _index(self) -> str:
        return _index(self._places.root)

    def _shard(self, name: str) -> str:
        return _shard(self._places.root, name)

    def _depfile(self) -> str:
        if self._places.given_depfile is not None:
            return self._places.given_depfile
        where = f"the store {_shown(self._variables)}"
        hint = "fill it (`nomad-dtree push --to nomad-variables`), or check --vars-prefix and --vars-namespace"
        return find_depfile(where, self._state.files, hint=hint, choose="--vars-depfile-path")

    def _text(self, path: str) -> Text:
        shown = f"var:{self._places.root}/{path}"
        if path not in self._state.files:
            raise StoreFileMissing(f"there is no file {shown}", hint="check the path, --vars-prefix and --vars-namespace")
        return Text(shown, self._state.files[path])

    def _changed(self, changes: Changes) -> Mapping[str, bytes]:
        """Return all files as they shall be. Nothing is written before every path has been looked at."""
        places = self._places
        wanted = {places.file(path): data for path, data in changes.files.items()}
        wanted |= {places.job(path): data for path, data in changes.jobs.items()}
        if changes.depfile is not None:
            known = places.given_depfile or any(name in self._state.files for name in DEPFILES)
            wanted[self._depfile() if known else new_depfile(changes.depfile)] = changes.depfile
        return {path: data for path, data in {**self._state.files, **wanted}.items() if data is not None}

    def _packed(self, changes: Changes) -> layout.Packed:
        try:
            return layout.pack(self._changed(changes))
        except layout.DoesNotFit as error:
            raise StoreError(
                f"it cannot be written to Nomad's Variables: {error}", hint="keep it in another store", code="store-unwritable"
            ) from error

    def _swap(self, packed: layout.Packed) -> None:
        try:
            self._variables.write(self._index, packed.index, expected_index=self._state.index)
        except Conflict as error:
            # An answer that was lost may have been carried out: the next try then meets our own write.
            now = self._variables.read(self._index)
            if now is None or now.items != packed.index:
                raise self._was_changed() from error
        except StoreUnreachable as error:
            note = f"whether {self._index} was still written cannot be told; if it was, all files were"
            raise StoreUnreachable(error.problem, notes=[*error.notes, note], hint=error.hint, code=error.error_code) from error

    def _was_changed(self) -> StoreChanged:
        return StoreChanged(
            f"the store {_shown(self._variables)} was changed since it was read, so nothing was written",
            hint="look at the difference, then do it again",
        )

    def _sweep(self, packed: layout.Packed) -> str:
        """Remove shards that nobody needs any more; what is in the way of that is only told."""
        replaced = {self._shard(name): index for name, index in self._state.shards.items() if name not in packed.shards}
        try:
            listed = self._variables.list(self._shard(""))
            newest_ns = max((one.written_ns for one in listed), default=0)
            needed = {*map(self._shard, packed.shards), *replaced}
            abandoned = {one.path: one.index for one in listed if one.path not in needed and newest_ns - one.written_ns > _ABANDONED_NS}
            doomed = {**replaced, **{path: index for path, index in abandoned.items() if layout.SHARD.fullmatch(path.rpartition("/")[2])}}
            do_all(lambda path: self._variables.remove(path, expected_index=doomed[path]), sorted(doomed), at_once=_AT_ONCE)
        except StoreError as error:
            return f"; what it replaced could not all be removed: {error.problem} ({error.hint})"
        return ""


def _checked(prefix: str) -> str:
    problem = ""
    if not _PREFIX.fullmatch(prefix) or "//" in prefix:
        problem = "has characters that Nomad takes in no path"
    elif (prefix + "/").startswith("nomad/"):
        problem = "lies below nomad/, which Nomad keeps for itself"
    elif len(prefix) > _LONGEST_PREFIX:
        problem = f"is longer than {_LONGEST_PREFIX} characters"
    if problem:
        raise StoreError(
            f"the prefix {prefix!r} {problem}",
            hint="give --vars-prefix letters, digits, `-`, `_`, `~` and `/`, as in dtree-store",
            code="bad-variables-prefix",
        )
    return prefix


def _index(prefix: str) -> str:
    return f"{prefix}/index"


def _shard(prefix: str, name: str) -> str:
    return f"{prefix}/files/{name}"


def _shown(variables: StoreVariables) -> str:
    return f"{variables.prefix} in namespace {variables.namespace}"


def _read(variables: StoreVariables) -> _State:
    """Read index and shards until they belong together."""
    missed = ""
    seen = None
    for _ in range(_READ_TRIES):
        index = variables.read(_index(variables.prefix))
        if index is None:
            variables.refuse_unknown_namespace()
            return _State(0, {}, {}, {})
        if seen == index.index:
            raise _damaged(_shard(variables.prefix, missed), "it is not there, though the index names it")
        seen = index.index
        names = _names(index, variables.prefix)
        read = do_all(lambda name: variables.read(_shard(variables.prefix, name)), names, at_once=_AT_ONCE)
        shards = dict(zip(names, read, strict=True))
        missed = next((name for name, shard in shards.items() if shard is None), "")
        if not missed:
            return _state(index, {name: shard for name, shard in shards.items() if shard}, variables.prefix)
    raise StoreChanged(
        f"the store {_shown(variables)} was changed {_READ_TRIES} times while it was read", hint="try again when that has ended"
    )


def _names(index: Variable, prefix: str) -> tuple[str, ...]:
    try:
        return layout.shard_names(index.items)
    except layout.Damaged as error:
        raise _damaged(_index(prefix), str(error)) from error


def _state(index: Variable, shards: Mapping[str, Variable], prefix: str) -> _State:
    for name, shard in shards.items():
        if layout.name_of(shard.items) != name:
            raise _damaged(_shard(prefix, name), "it does not hold what its name, a digest, says")
    try:
        files = layout.unpack(index.items, [shard.items for shard in shards.values()])
    except layout.Damaged as error:
        raise _damaged(_index(prefix), str(error)) from error
    return _State(index.index, index.items, {name: shard.index for name, shard in shards.items()}, files)


def _damaged(path: str, why: str) -> StoreError:
    return StoreError(
        f"variable {path} is damaged: {why}",
        hint="write the store anew: `nomad var purge` its index, then `nomad-dtree push`",
        code="store-damaged",
    )

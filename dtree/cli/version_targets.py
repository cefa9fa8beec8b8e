"""Where versions are written to: a file of this machine, or the store's own file of versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtree import config
from dtree.cli.files import replace_file, shown
from dtree.cli.invocation import Invocation
from dtree.cli.version_inputs import read_file
from dtree.errors import DtreeError, StoreError, StoreFileMissing

if TYPE_CHECKING:
    from dtree.store import Snapshot
    from dtree.views.versions_text import VersionChange

__all__ = ["Target", "find_target", "name_in", "tell_written"]


@dataclass(frozen=True, slots=True)
class Target:
    """A file of versions that can be written, as it was when it was looked for.

    Attributes:
        name: of the file; its suffix says how it is written.
        shown: as people call it.
        data: what it holds; none where it is yet to be made.
        path: on this machine; None for a file of the store.
    """

    name: str
    shown: str
    data: bytes = field(repr=False)
    path: Path | None
    snapshot: Snapshot | None = field(repr=False)

    @property
    def identity(self) -> tuple[str, str]:
        """What two targets that are one have in common."""
        if self.path is not None:
            return "file", str(self.path.resolve())
        folder = self.snapshot.folder if self.snapshot else None
        if folder is not None:
            return "file", str((folder / self.name).resolve())
        return self.snapshot.place if self.snapshot else "", self.name

    @property
    def versions(self) -> Mapping[str, Any]:
        """What it holds, by job. Raises DeclarationError where it has faults."""
        from dtree.versions_file import read_map

        return read_map(self.name, self.data)[0]

    def edited(self, versions: Mapping[str, str]) -> bytes:
        """Return what it is to hold for these versions to be set in it, with all else as it is.

        Raises:
            DtreeError: it cannot be edited.
        """
        from dtree.versions_file import edit_versions

        before = self.versions
        is_same = all(before.get(job) == version for job, version in versions.items())
        return self.data if is_same else edit_versions(self.name, self.data, versions)

    def write(self, data: bytes) -> str:
        """Write all of it. Effects: writes it, at once. Raises DtreeError where it cannot.

        Returns:
            How it was written, to stand after "written "; "" where it holds that already.
        """
        if data == self.data:
            return ""
        if self.path is not None:
            _replace(self.path, self.data, data)
            return "at once"
        from dtree.store import Changes

        return self.snapshot.write(Changes(files={self.name: data})) if self.snapshot else ""


def find_target(invocation: Invocation, snapshot: Snapshot, *, lock: bool = False) -> Target:
    """Find the file that holds the versions of a command: `--versions-file`, else that of the store.

    Args:
        snapshot: of the store.
        lock: its lock instead.

    Raises:
        DtreeError: it cannot be read, or a store cannot be written to.

    Effects: reads it.
    """
    file: Path | None = invocation.setting("versions_file")
    if file is not None:
        from dtree.versions_lock import lock_beside

        file = file.with_name(lock_beside(file.name)) if lock else file
        data = read_file(file) if file.exists() else b""
        return Target(file.name, shown(file, invocation.surroundings.cwd), data, file, None)
    _refuse_read_only(invocation)
    from dtree.versions_lock import LOCK

    name = LOCK if lock else name_in(snapshot)
    try:
        text = snapshot.read(name)
    except StoreFileMissing:
        return Target(name, f"{name} of the store {invocation.store_name}", b"", None, snapshot)
    return Target(name, text.path, text.data, None, snapshot)


def tell_written(
    invocation: Invocation, changes: Sequence[VersionChange], target: Target, written: str, *, json: bool, beside: Invocation
) -> None:
    """Say what came of setting versions. Effects: writes to both streams.

    Args:
        beside: the call whose settings say whether a lock counts where it was written.
    """
    from dtree.views.json_forms import version_changes_json

    if json:
        invocation.print(version_changes_json(changes, target.shown, written=written))
    elif written:
        invocation.print(f"Written {written}.")
    if written:
        _warn_of_lock(beside, target)


def name_in(snapshot: Snapshot) -> str:
    """Return the name of a store's own file of versions, which may be yet to be made. Effects: asks the store.

    Raises:
        DeclarationError: it has two.
    """
    from dtree.versions_file import NAMES, find_versions_file

    return find_versions_file(snapshot.present(NAMES)) or NAMES[0]


def _warn_of_lock(invocation: Invocation, target: Target) -> None:
    """Warn of versions that were set and do nothing yet, where the lock alone counts. Effects: writes to standard error."""
    if not invocation.setting_beside(config.LOCKED):
        return
    around = invocation.surroundings
    command = f"nomad-dtree versions lock --env {around.environment}" if around.environment else "nomad-dtree versions lock"
    if target.path != invocation.setting_beside(config.VERSIONS_FILE):
        command += f" --versions-file {target.shown}"
    invocation.warn(f"here versions are taken from the lock, so this has no effect before you lock again: `{command}`")


def _refuse_read_only(invocation: Invocation) -> None:
    store, *_ = invocation.surroundings.stores[config.STORE.identifier]
    hint = "name a file of this machine with --versions-file"
    if invocation.has_layers:
        raise StoreError(f"of the stores {invocation.store_name} none is named to write to", hint=hint, code="store-read-only")
    if not store.plugin.writable:
        raise StoreError(f"the store '{store.name}' cannot be written to", hint=hint, code="store-read-only")


def _replace(path: Path, before: bytes, data: bytes) -> None:
    """Write a file at once, if it still holds what was read. Effects: that."""
    try:
        there = path.read_bytes() if path.exists() else b""
        if there != before:
            raise DtreeError(f"{path} was changed since it was read, so nothing was written", hint="do it again", code="store-changed")
        replace_file(path.resolve(), data)
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror}"
        raise DtreeError(problem, hint="check its folder and permissions", code="store-unwritable") from error

"""Versions that a command line and its file of versions declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dtree.cli.files import shown
from dtree.errors import ConfigError, UsageError
from dtree.values import Declared, Lock, Origin

__all__ = ["find_lock", "find_versions", "read_file"]


def find_versions(options: Sequence[str], file: Path | None, cwd: Path) -> dict[str, Declared]:
    """Return the versions by job: of the file, and over them those of the options.

    Args:
        options: of --version, as `JOB=VERSION`; of two for one job the last one counts.
        file: of --versions-file; None for none.
        cwd: the working folder, which paths in options start from.

    Raises:
        UsageError: an option is no JOB=VERSION.
        ConfigError: the file cannot be read.
        DeclarationError: it has faults.

    Effects: reads the file.
    """
    of_file: Mapping[str, Declared] = {}
    if file is not None:
        from dtree.versions_file import read_versions

        of_file = read_versions(shown(file, cwd), read_file(file), layer=shown(file, cwd), folder=file.parent)
    return {**of_file, **_of_options(options, cwd)}


def find_lock(file: Path | None, cwd: Path) -> Lock | None:
    """Return the lock beside a file of versions; None without such a file, for then it is the store's. Effects: reads it.

    Raises:
        DtreeError: there is none, or it has faults.
    """
    if file is None:
        return None
    from dtree.versions import no_lock
    from dtree.versions_lock import lock_beside, read_lock

    lock = file.with_name(lock_beside(file.name))
    if not lock.exists():
        raise no_lock(f"there is no lock {shown(lock, cwd)}")
    return read_lock(shown(lock, cwd), read_file(lock))


def read_file(file: Path) -> bytes:
    """Return the bytes of a file of versions, or of a lock. Effects: reads it. Raises ConfigError where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        hint = "check --versions-file; `nomad-dtree versions set` makes a new one"
        raise ConfigError(f"the file of versions {file} cannot be read: {error.strerror}", hint=hint) from error


def _of_options(options: Iterable[str], cwd: Path) -> dict[str, Declared]:
    from dtree.version_text import BadVersion, parse_version
    from dtree.versions import OPTION

    found: dict[str, Declared] = {}
    for option in options:
        job, equals, text = option.partition("=")
        if not job or not equals:
            raise UsageError(f"{OPTION}: '{option}' is not JOB=VERSION", hint=f"write it as {OPTION} api=1.4.2")
        try:
            parse_version(text)
        except BadVersion as error:
            raise UsageError(f"{OPTION}: {error.problem}", hint=error.hint) from error
        found[job] = Declared(text, Origin(OPTION), cwd)
    return found

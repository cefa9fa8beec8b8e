"""Names of jobs, stores and environments for the shell's completion."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from dtree.declaration import Entry

VARIABLE: Final = "_NOMAD_DTREE_COMPLETE"
"""Set by the shell's completion script, which calls the program without arguments."""


def words_to_complete(environ: Mapping[str, str]) -> list[str]:
    """Return the command line that is being typed, without the program, as far as it can be split."""
    typed = environ.get("_TYPER_COMPLETE_ARGS") or environ.get("COMP_WORDS") or ""
    try:
        return shlex.split(typed)[1:]
    except ValueError:  # a quotation that is still open
        return typed.split()[1:]


def complete_jobs(context: typer.Context, incomplete: str) -> list[str]:
    """Return the jobs of the store's dependency file that begin with `incomplete`; none where anything is wrong.

    Effects: reads the store.
    """
    try:
        return [name for name in sorted(_entries(context)) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a prompt is no place for errors; the command itself will tell
        return []


def complete_selectors(context: typer.Context, incomplete: str) -> list[str]:
    """Return the selectors by the tags of the store's dependency file that begin with `incomplete`; none where anything is wrong.

    Effects: reads the store.
    """
    try:
        found = {f"tag={tag}" for entry in _entries(context).values() for tag in entry.tags}
        return sorted(selector for selector in found if selector.startswith(incomplete))
    except Exception:  # noqa: BLE001 - as above
        return []


def complete_stores(context: typer.Context, incomplete: str) -> list[str]:
    """Return the stores that begin with `incomplete`: those installed, and those that nomad-dtree.toml names.

    Effects: reads the metadata of installed packages.
    """
    from dtree.store_loader import list_stores

    around: Surroundings = context.find_root().obj
    names = {listed.name for listed in list_stores()} | set(config.named_stores(around.configuration))
    return sorted(name for name in names if name.startswith(incomplete))


def complete_environments(context: typer.Context, incomplete: str) -> list[str]:
    """Return the environments of nomad-dtree.toml that begin with `incomplete`."""
    around: Surroundings = context.find_root().obj
    return [name for name in around.configuration.environments if name.startswith(incomplete)]


def _entries(context: typer.Context) -> Mapping[str, Entry]:
    from dtree.sources import read

    around: Surroundings = context.find_root().obj
    given = {setting.identifier: context.params.get(setting.identifier) for setting in (*config.NOMAD, *around.store_settings)}
    invocation = Invocation(around, Signals(), config.NOMAD, given)
    with invocation.snapshot() as snapshot:
        return read(snapshot, store=invocation.store_name).graph.entries

"""Names of jobs for the shell's completion."""

from __future__ import annotations

import os

import typer

from dtree import config
from dtree.cli.surroundings import look_around


def complete_jobs(context: typer.Context, incomplete: str) -> list[str]:
    """Return the jobs of the store and of its dependency file that begin with `incomplete`; none where anything is wrong.

    Effects: reads the store.
    """
    try:
        return [name for name in _names(context) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a prompt is no place for errors; the command itself will tell
        return []


def _names(context: typer.Context) -> list[str]:
    from dtree import pipeline
    from dtree.store import StoreContext

    around = look_around(_words(context), os.environ, reserved=())
    if around.store is None:
        return []
    given = {setting.identifier: context.params.get(setting.identifier) for setting in around.store_settings}
    values = config.resolve(around.store_settings, given, around.environ, around.configuration, around.cwd)
    settings = {key: value.value for key, value in values.items()}
    with around.store(settings, around_context).snapshot() as snapshot:
        return sorted(pipeline.read(snapshot, store=around.store_name).graph.entries)


def _words(context: typer.Context) -> list[str]:
    return [word for name in ("store", "env") if context.params.get(name) for word in (f"--{name}", context.params[name])]

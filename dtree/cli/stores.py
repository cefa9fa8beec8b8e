"""Stores that are installed, and their options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import RESERVED, Command, Output

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the store, as `stores list` has it.")]


def list_stores(invocation: Invocation, *, output: Output = "text") -> int:
    """List the stores that are installed and the packages they come from. Imports none of them."""
    from dtree import store_loader

    listed = store_loader.list_stores()
    if output == "json":
        stores = [{"name": store.name, "distribution": store.distribution, "target": store.target} for store in listed]
        invocation.print(json.dumps({"schema": 1, "stores": stores}, indent=2))
    else:
        rows = [(store.name, store.distribution, store.target) for store in listed]
        invocation.print(_table(("STORE", "PACKAGE", "CLASS"), rows))
    return 0


def show_store(invocation: Invocation, *, name: Name, output: Output = "text") -> int:
    """Show what a store is, and its options: as option, environment variable and key of nomad-dtree.toml."""
    from dtree import store_loader

    store = store_loader.load(name, reserved=RESERVED)
    settings = store_loader.settings(name, store)
    if output == "json":
        form = {"schema": 1, "name": name, "summary": store.summary, "options": [_form(setting) for setting in settings]}
        invocation.print(json.dumps(form, indent=2))
    else:
        invocation.print("\n\n".join([f"{name}: {store.summary}", *(_text(setting) for setting in settings)]))
    return 0


def _text(setting: config.Setting) -> str:
    lines = (
        f"  --{setting.name} {setting.type.upper()}",
        f"      {setting.help}",
        f"      variable  {', '.join(setting.variables)}",
        f"      key       {_key(setting) or 'none: it is secret'}",
        f"      default   {'none, it is required' if setting.required else 'none' if setting.default is None else setting.default}",
    )
    return "\n".join(lines)


def _form(setting: config.Setting) -> Mapping[str, Any]:
    return {
        "option": f"--{setting.name}",
        "type": setting.type,
        "help": setting.help,
        "variables": list(setting.variables),
        "key": _key(setting),
        "default": setting.default,
        "required": setting.required,
        "secret": setting.secret,
    }


def _key(setting: config.Setting) -> str | None:
    *tables, last = setting.key
    return None if setting.secret else f"[{'.'.join(tables)}] {last}"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (titles, *rows))


COMMANDS: Final = {"list": Command(list_stores, {}), "show": Command(show_store, {})}

"""Stores: what there is, their options, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from dtree import config
from dtree.cli import store_check, store_diff, store_new
from dtree.cli.chosen import options_of_named
from dtree.cli.invocation import Invocation
from dtree.cli.options import RESERVED, Command, Output
from dtree.errors import StoreError

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the store, as `stores list` has it.")]


def list_stores(invocation: Invocation, *, output: Output = "text") -> int:
    """List the stores that are installed, with the packages they come from, and those that nomad-dtree.toml names."""
    from dtree import store_loader

    listed = store_loader.list_stores()
    writable = {name: _writable(name) for name in {store.name for store in listed}}
    configuration = _configuration(invocation)
    named = config.named_stores(configuration)
    if output == "json":
        stores = [
            {"name": store.name, "distribution": store.distribution, "target": store.target, "writable": writable[store.name]}
            for store in listed
        ]
        form = {"schema": 1, "stores": stores, "named": [{"name": name, "type": kind} for name, kind in named.items()]}
        invocation.print(json.dumps(form, indent=2))
        return 0
    rows = [(store.name, _WRITABLE[writable[store.name]], store.distribution, store.target) for store in listed]
    invocation.print(_table(("STORE", "WRITABLE", "PACKAGE", "CLASS"), rows))
    if named:
        names = [(name, _WRITABLE[writable.get(kind)], kind) for name, kind in named.items()]
        invocation.print(f"\n{_table(('NAMED', 'WRITABLE', 'STORE'), names)}\n\nnamed in {configuration.file}")
    return 0


def show_store(invocation: Invocation, *, name: Name, output: Output = "text") -> int:
    """Show what a store is, and its options: as option, environment variable and key of nomad-dtree.toml, and what they are set to."""
    from dtree import store_loader

    configuration = _configuration(invocation)
    named = config.named_stores(configuration)
    kind = named.get(name, name)
    store = store_loader.load(kind, reserved=RESERVED, named=named)
    settings = store_loader.settings(kind, store)
    if name in named:
        settings = options_of_named(name, settings)
    around = invocation.surroundings
    values = config.resolve([replace(setting, required=False) for setting in settings], {}, around.environ, configuration, around.cwd)
    known = [(setting, values[setting.identifier]) for setting in settings]
    if output == "json":
        form = {"schema": 1, "name": name, "summary": store.summary, "options": [_form(*one) for one in known]}
        invocation.print(json.dumps(form, indent=2))
    else:
        invocation.print("\n\n".join([f"{name}: {store.summary}", *(_text(*one) for one in known)]))
    return 0


_WRITABLE: Final = {True: "yes", False: "no", None: "?"}


def _writable(name: str) -> bool | None:
    """Tell whether a store can be written to; None where it is broken. Effects: imports it."""
    from dtree import store_loader

    try:
        return store_loader.load(name, reserved=RESERVED).writable
    except StoreError:
        return None


def _configuration(invocation: Invocation) -> config.Configuration:
    return config.load(invocation.surroundings.cwd, invocation.setting(config.ENVIRONMENT.identifier))


def _text(setting: config.Setting, value: config.Value) -> str:
    from dtree.views.text import clean

    lines = [
        f"  --{setting.name} {setting.type.upper()}",
        f"      {setting.help}",
        f"      variable  {', '.join(setting.variables)}",
        f"      key       {_key(setting) or 'none: it is secret'}",
        f"      default   {'none, it is required' if setting.required else 'none' if setting.default is None else setting.default}",
    ]
    if value.source != "default":
        shown = "not shown, it is secret" if setting.secret else clean(str(_shown(setting, value)))
        where = f"{value.origin} in {config.FILE_NAME}" if value.source == "file" else value.origin
        lines.append(f"      value     {shown} (from {where})")
    return "\n".join(lines)


def _form(setting: config.Setting, value: config.Value) -> Mapping[str, Any]:
    return {
        "option": f"--{setting.name}",
        "type": setting.type,
        "help": setting.help,
        "variables": list(setting.variables),
        "key": _key(setting),
        "default": setting.default,
        "required": setting.required,
        "secret": setting.secret,
        "value": _shown(setting, value),
        "source": value.source,
        "origin": value.origin,
    }


def _shown(setting: config.Setting, value: config.Value) -> Any:  # noqa: ANN401 - a value of JSON
    """Return a value without what is secret in it."""
    from dtree.access.addresses import masked
    from dtree.cli.failure import redact, secrets

    if setting.secret or value.value is None:
        return None
    text = str(value.value)
    return redact(masked(text), secrets((text,), {}, ())) if setting.type in ("str", "path") else value.value


def _key(setting: config.Setting) -> str | None:
    *tables, last = setting.key
    return None if setting.secret else f"[{'.'.join(tables)}] {last}"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (titles, *rows))


COMMANDS: Final = {
    "list": Command(list_stores, {"Store": (config.ENVIRONMENT,)}),
    "show": Command(show_store, {"Store": (config.ENVIRONMENT,)}),
    "diff": store_diff.COMMAND,
    "check": store_check.COMMAND,
    "new": store_new.COMMAND,
}

#!/usr/bin/env python3
"""Rewrites the generated parts of the documentation: what stands between `<!-- generated: NAME -->` and `<!-- end -->`.

Run by `make docs`; tests/docs checks that nothing of it is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from dtree import config, depfile, store_loader
from dtree.cli.app import COMMANDS, build
from dtree.cli.chosen import choose
from dtree.cli.options import RESERVED
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings
from dtree.config import Setting

ROOT: Final = Path(__file__).parents[1]
PART: Final = re.compile(r"(?<=<!-- generated: )(?P<name>[\w-]+)(?P<open> -->\n)(?P<body>.*?)(?=<!-- end -->)", re.DOTALL)

_STORE: Final = "filesystem"
_HELP: Final = re.compile(r"(?P<text>.*?)(?: \[dim\]\\\[(?P<more>.*)\]\[/dim\])?", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that have generated parts."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(page for page in found if PART.search(page.read_text()))


def written(text: str) -> str:
    """Return a page's text with its generated parts made anew."""
    return PART.sub(lambda part: f"{part['name']}{part['open']}\n{PARTS[part['name']]()}\n\n", text)


def cli() -> str:
    """Write every command with its arguments and options, from what its help is made of."""
    return "\n\n".join(_command(name, command) for name, command in _commands())


def settings() -> str:
    """Write every setting with its option, variables, key, type and default."""
    rows = [_setting(setting) for setting in config.BUILT_IN]
    return _table(("option", "variables", "key", "type", "default", "meaning"), rows)


def store_settings() -> str:
    """Write the options of the stores that come along."""
    found = store_loader.settings(_STORE, store_loader.load(_STORE, reserved=RESERVED))
    return _table(("option", "variables", "key", "type", "default", "meaning"), [_setting(setting) for setting in found])


def file_keys() -> str:
    """Write the keys at the top of a dependency file."""
    return _keys(depfile.schema())


def entry_keys() -> str:
    """Write the keys of a job's entry."""
    return _keys(_entry())


def edge_keys() -> str:
    """Write the keys of an edge of `pre`."""
    return _keys(_record(depfile.schema()["$defs"]["edges"], "job"))


def post_keys() -> str:
    """Write the keys that only an edge of `post` has."""
    shelf = depfile.schema()["$defs"]
    common = _record(shelf["edges"], "job")["properties"]
    own = {name: part for name, part in _record(shelf["post_edges"], "job")["properties"].items() if name not in common}
    return _keys({"properties": own})


def hook_keys() -> str:
    """Write the keys of an edge of `pre_stop` or `post_stop`."""
    return _keys(_record(depfile.schema()["$defs"]["hook_edges"], "job"))


def conditions() -> str:
    """Write the forms of a condition."""
    words, _, forms = depfile.schema()["$defs"]["wait_cond"]["anyOf"]
    names = ", ".join(f"`{word}`" for word in words["enum"])
    rows = [(f"`{key}`", _escaped(part["description"])) for form in forms["anyOf"] for key, part in list(form["properties"].items())[:1]]
    return f"Names: {names}.\n\nA map has one of these keys, and `timeout` where it wants one of its own:\n\n" + _table(
        ("key", "meaning"), rows
    )


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "cli": cli,
    "settings": settings,
    "store-settings": store_settings,
    "file-keys": file_keys,
    "entry-keys": entry_keys,
    "edge-keys": edge_keys,
    "post-keys": post_keys,
    "hook-keys": hook_keys,
    "conditions": conditions,
}


def main() -> int:
    """Rewrite what is out of date, and name it."""
    for page in pages():
        before = page.read_text()
        after = written(before)
        if after != before:
            page.write_text(after)
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")
    return 0


# -- commands ---------------------------------------------------------------------------------------------------------


def _commands() -> Iterator[tuple[str, Any]]:
    store = choose([_STORE], config.Configuration(), reserved=RESERVED)
    around = Surroundings((), {}, ROOT, stores={config.STORE.identifier: store})
    program: Any = get_command(build(around, Signals()))
    for name in COMMANDS:
        command = program.commands[name]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {word}", inner[word]) for word in inner)


def _command(name: str, command: Any) -> str:  # noqa: ANN401 - the parser's classes are not public
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(["nomad-dtree", name, "[OPTIONS]", *(str(argument.metavar) for argument in arguments)])
    blocks = [f"## {name}", f"`{usage}`", " ".join(command.help.split())]
    panels: dict[str, list[tuple[str, ...]]] = {}
    seconds = _second_spellings(command)
    for parameter in command.params:
        if parameter.hidden:
            continue
        panel = getattr(parameter, "rich_help_panel", None) or ""
        panels.setdefault(panel, []).append(_parameter(parameter, seconds.get(f"second_{parameter.name}", ())))
    for panel, rows in panels.items():
        blocks.extend(filter(None, [f"{panel}:" if panel else "", _table(("option", "meaning", "variable, default"), rows)]))
    return "\n\n".join(blocks)


def _second_spellings(command: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401 - as _command
    return {parameter.name: tuple(parameter.opts) for parameter in command.params if parameter.hidden}


def _parameter(parameter: Any, second: Sequence[str]) -> tuple[str, ...]:  # noqa: ANN401 - as _command
    found = _HELP.fullmatch(parameter.help or "")
    text, more = (found["text"], found["more"] or "") if found else ("", "")
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`", text, ""
    flags = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts, *second))
    choices = getattr(parameter.type, "choices", ())
    value = "" if parameter.is_flag else f" {parameter.metavar or '|'.join(map(str, choices)) or parameter.type.name.upper()}"
    cells = [f"`{part}`" if part.startswith(("NOMAD", "default")) else part for part in re.split(r"[,;] ", more) if part]
    cells.extend([f"`default: {parameter.default}`"] if choices and parameter.default else [])
    return f"{flags}{_escaped(value)}", _escaped(text.replace("\\[", "[")), ", ".join(cells)


# -- settings ---------------------------------------------------------------------------------------------------------


def _setting(setting: Setting) -> tuple[str, ...]:
    *tables, last = setting.key or ("",)
    key = f"`{'.'.join((*tables, last))}`" if setting.key and not setting.secret else "none"
    also = [f"`--{flag}`" for flag in setting.flags] + ([f"`--no-{setting.name}`"] if setting.type == "bool" else [])
    default = "" if setting.default is None else f"`{str(setting.default).lower() if setting.type == 'bool' else setting.default}`"
    return (
        ", ".join([f"`--{setting.name}`", *also]),
        ", ".join(f"`{variable}`" for variable in setting.variables),
        key,
        " or ".join(setting.choices) or setting.type,
        default,
        setting.help,
    )


# -- dependency file --------------------------------------------------------------------------------------------------


def _entry() -> dict[str, Any]:
    entry: dict[str, Any] = depfile.schema()["properties"]["dependencies"]["additionalProperties"]
    return entry


def _record(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Find the first record in a schema that has `key`."""
    todo: list[Mapping[str, Any]] = [schema]
    while todo:
        one = todo.pop(0)
        if key in one.get("properties", {}):
            return dict(one)
        todo.extend(one.get("anyOf", ()))
    raise KeyError(key)


def _keys(record: Mapping[str, Any]) -> str:
    rows = [(f"`{name}`", _type(part), _escaped(part["description"])) for name, part in record["properties"].items()]
    return _table(("key", "value", "meaning"), rows)


_REFERENCES: Final = {
    "duration": "duration",
    "edges": "edges",
    "post_edges": "edges of post",
    "hook_edges": "edges of hooks",
    "wait_cond": "condition",
    "name": "name",
}
_TYPES: Final = {
    "boolean": "true or false",
    "array": "list",
    "object": "map",
    "string": "text",
    "integer": "whole number",
    "number": "number",
}


def _type(part: Mapping[str, Any]) -> str:
    if "$ref" in part:
        return _REFERENCES[part["$ref"].rpartition("/")[2]]
    if "enum" in part:
        return ", ".join(f"`{word}`" for word in part["enum"])
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_type(one) for one in part["anyOf"]))
    if "type" not in part:
        return "any"
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    limits = f" from {part['minimum']} to {part['maximum']}" if "minimum" in part and "maximum" in part else ""
    return " or ".join(_TYPES[kind] for kind in kinds if kind != "null") + limits


# -- markdown ---------------------------------------------------------------------------------------------------------


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())

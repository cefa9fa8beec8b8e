"""`nomad-dtree stores new`: a package with a store in it that installs, passes its tests, and is there to be changed."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from dtree.cli.invocation import Invocation
from dtree.cli.options import RESERVED, Command
from dtree.errors import DtreeError, UsageError

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the store, as `--store` shall take it: lower case, as in my-kv.")]
Into = Annotated[Path | None, typer.Option("--into", metavar="FOLDER", help="Folder to write it into. Default: dtree-NAME.")]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 40
"""The name becomes one of a file, a module, a class, an option and a package."""


def new_store(invocation: Invocation, *, name: Name, into: Into = None) -> int:
    """Write a package with a store that works: its module, entry point, tests and an example. Overwrites nothing."""
    from dtree.store import STORE_API

    module = f"dtree_{name.replace('-', '_')}"
    _refuse_name(name, module)
    kind = "".join(part.capitalize() for part in name.split("-"))
    words = {"name": name, "module": module, "key": name.replace("-", "_"), "kind": kind, "api": str(STORE_API)}
    folder = into if into is not None else Path(f"dtree-{name}")
    files = _files(words)
    _write(folder, files)
    shown, example = shlex.quote(str(folder)), shlex.quote(str(folder / "example.json"))
    invocation.print(
        f"wrote {', '.join(files)} into {folder}\n"
        "next:\n"
        f"  python -m pip install -e {shown} pytest\n"
        f"  python -m pytest {shown}\n"
        f"  nomad-dtree stores check {name} --{name}-file {example}\n"
        f"  nomad-dtree graph --store {name} --{name}-file {example}"
    )
    return 0


def _refuse_name(name: str, module: str) -> None:
    from importlib.util import find_spec

    from dtree import store_loader

    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"'{name}' is no name for a store",
            hint=f"write up to {_LONGEST} lower-case letters and digits, with single dashes, as in my-kv",
        )
    taken = [listed for listed in store_loader.list_stores() if listed.name == name]
    if taken:
        raise UsageError(f"there is a store '{name}' already, of {taken[0].distribution}", hint="choose another name")
    if f"{name}-file" in RESERVED:
        raise UsageError(f"the option --{name}-file of a store '{name}' would be one of nomad-dtree's own", hint="choose another name")
    if find_spec(module) is not None:
        raise UsageError(f"there is a Python module {module} already", hint="choose another name, or uninstall what has it")


def _files(words: Mapping[str, str]) -> dict[str, str]:
    """Return the files of the package by their name."""
    from importlib.resources import files
    from string import Template

    module = words["module"]
    templates = {
        "pyproject.toml": "pyproject.toml",
        f"{module}.py": "store.py",
        f"test_{module}.py": "test_store.py",
        "example.json": "example.json",
        "README.md": "README.md",
    }
    shelf = files("dtree.cli") / "skeleton"
    return {name: Template((shelf / f"{source}.txt").read_text("utf-8")).substitute(words) for name, source in templates.items()}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write new files. Raises DtreeError where one exists, or the system will not have it."""
    there = [name for name in files if os.path.lexists(folder / name)]
    if there:
        raise DtreeError(
            f"{folder} has {', '.join(there)} already, and nothing is overwritten",
            hint="choose another folder with --into",
            code="file-exists",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise DtreeError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="choose another folder with --into",
            code="file-not-written",
        ) from error


COMMAND: Final = Command(new_store, {})

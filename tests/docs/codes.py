"""The codes of errors: of the classes, and those that the source gives to single errors and faults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from dtree.errors import DtreeError
from tests.docs.pages import ROOT

_BUG: Final = "bug"
_MAKERS: Final = ("Fault", "Finding", "TemplateFault", "Unanswered", "add", "flaw", "stop")
"""Functions whose first argument is a code; other methods of these names are not handed a literal."""


def all_codes() -> set[str]:
    """Return every code that the program and its stores can write."""
    files = [*(ROOT / "dtree").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    written = {code for file in files for code in _literals(ast.parse(file.read_text()))}
    return {*_of_classes(DtreeError), *written, _BUG}


def _of_classes(error: type[DtreeError]) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from _of_classes(kind)


def _literals(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
            case ast.AnnAssign(target=ast.Name(id="CODE"), value=ast.Constant(value=str(code))):
                yield code
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(value=str(code)), *_]) if name in _MAKERS:
                yield code
            case _:
                pass

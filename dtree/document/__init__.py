"""A dependency file as plain values that know their lines: JSON or YAML, every fault of the text with its place.

`read` never raises: what is wrong is in `Document.faults`. The meaning of the values is `dtree.depfile`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal

from dtree.document import json_syntax, yaml_syntax
from dtree.document.nodes import BROKEN, MAX_DEPTH, MAX_VALUES, Broken, Composer, Lines, Node, Path, ReadError, Value, quote
from dtree.document.yaml_syntax import dump as dump_yaml
from dtree.errors import Fault, Place

__all__ = [
    "BROKEN",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "ODD_NUMBER",
    "Broken",
    "Document",
    "Path",
    "Value",
    "dotted",
    "dump_yaml",
    "quote",
    "read",
]

MAX_BYTES: Final = 16 * 1024 * 1024

Syntax = Literal["json", "yaml"]


class Document:
    """A file's value and the places of its parts; a `model.Locator`.

    Attributes:
        file: its name, as the user would name it.
        value: the map at the top, in plain Python, with BROKEN where a part could not be read; None where nothing could.
        faults: what is wrong with the text, in file order.
    """

    def __init__(self, file: str, text: str, *, value: dict[str, Value] | None = None, faults: tuple[Fault, ...] = ()) -> None:
        self.file = file
        self.value = value
        self.faults = faults
        self._text = text
        self._lines = Lines(text)
        self._root: Node | None = None

    @classmethod
    def compose(cls, file: str, text: str, syntax: Syntax) -> Document:
        """Read the slow way, with all faults and all places."""
        document = cls(file, text)
        composer = document._scan(syntax)
        root = composer.root
        if root is not None and isinstance(root.value, dict):
            document.value = root.value
        elif not composer.flaws:
            _refuse_top(root, composer)
        places = [document._place_at(flaw.offset, flaw.path) for flaw in composer.flaws]
        document.faults = tuple(
            Fault(flaw.code, flaw.problem, place, flaw.hint) for flaw, place in zip(composer.flaws, places, strict=True)
        )
        return document

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Return where the value at `path` stands, or with `of_key` the key that leads to it.

        A path that leads nowhere is placed at the nearest value above it. In a JSON file the first call reads the file once more.
        """
        node = self._root or self._scan("json").root
        offset = node.offset if node else 0
        for part in path:
            child = node.children.get(part) if node else None
            if node is None or child is None:
                break
            offset = node.keys.get(str(part), child.offset) if of_key else child.offset
            node = child
        return self._place_at(offset, path)

    def odd_numbers(self, path: Path) -> Iterator[Path]:
        """Yield where, at `path` and below, numbers stand that would be written otherwise than the file has them.

        Who writes 1.10, 007 or 1e3 mostly means a text, and a job file would get 1.1, 7 and 1000.0.
        """
        node = self._root
        if node is None and _has_fraction(_part(self.value, path)):  # of JSON, where whole numbers are written in one way
            node = self._scan("json").root
        for part in path:
            node = node.children.get(part) if node else None
        pending = [(path, node)] if node else []
        while pending:
            at, node = pending.pop()
            if node.is_odd:
                yield at
            pending += [((*at, part), child) for part, child in reversed(list(node.children.items()))]

    def _scan(self, syntax: Syntax) -> Composer:
        composer = Composer(self._lines)
        scan = json_syntax.scan if syntax == "json" else yaml_syntax.scan
        with suppress(ReadError):
            scan(self._text, composer)
        self._root = composer.root
        return composer

    def _place_at(self, offset: int, path: Path) -> Place:
        line, column = self._lines.at(offset)
        return Place(self.file, line, column, dotted(path))


def read(file: str, data: bytes) -> Document:
    """Read a dependency file.

    Args:
        file: its name; the suffix `.json`, `.yaml` or `.yml` says what it is. Without one it is JSON if it parses as that, else YAML.
        data: its bytes: UTF-8, with or without a byte order mark, at most MAX_BYTES.
    """
    if len(data) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES // 1024**2} MiB"
        return Document(file, "", faults=(Fault("too-large", problem, Place(file), "split it into several dependency files"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Document(file, "", faults=(_refuse_encoding(file, error),))
    syntax = _syntax(file)
    value = json_syntax.load(text) if syntax != "yaml" else None
    if value is not None:
        return Document(file, text, value=value)
    return Document.compose(file, text, syntax) if syntax else _guess(file, text)


def dotted(path: Path) -> str:
    """Return a path as people write it: `dependencies.api.pre[0].job`; a key that is no plain word stands in quotes."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += ("." if shown else "") + (part if _WORD.fullmatch(part) else quote(part))
    return shown if len(shown) <= _MAX_DOTTED else shown[:_MAX_DOTTED] + "…"


def _part(value: Value, path: Path) -> Value:
    """Return what stands at `path`; None for nothing."""
    for part in path:
        value = value.get(str(part)) if isinstance(value, dict) else None
    return value


def _has_fraction(value: Value) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return type(value) is float or any(map(_has_fraction, parts))


ODD_NUMBER: Final = (
    "bad-number",
    "this number would not stand in a job file as it is written here, as 1.10 would be 1.1 there",
    'put it in quotes, as in "1.10"',
)
"""Code, problem and hint of the fault that an odd number is among values for job files; it may be a secret, so it is not shown."""

_MAX_DOTTED: Final = 160
_WORD: Final = re.compile(r"[A-Za-z0-9_$<-]{1,60}")


def _syntax(file: str) -> Syntax | None:
    name = file.lower()
    if name.endswith(".json"):
        return "json"
    return "yaml" if name.endswith((".yaml", ".yml")) else None


def _guess(file: str, text: str) -> Document:
    as_json = Document.compose(file, text, "json")
    if not _is_misread(as_json):
        return as_json
    as_yaml = Document.compose(file, text, "yaml")
    return as_json if _is_misread(as_yaml) and text.lstrip().startswith(("{", "[")) else as_yaml


def _is_misread(document: Document) -> bool:
    return any(fault.code == "bad-syntax" for fault in document.faults)


def _refuse_top(root: Node | None, composer: Composer) -> None:
    hint = "it needs at least the key `dependencies`"
    if root is None:
        composer.flaw("empty-file", "the file is empty", 0, hint=hint)
    else:
        composer.flaw("not-a-map", "the file must be a map at the top", root.offset, hint=hint)


def _refuse_encoding(file: str, error: UnicodeDecodeError) -> Fault:
    before = error.object[: error.start].decode()
    line, column = Lines(before).at(len(before))
    return Fault(
        "not-utf-8",
        f"the byte 0x{error.object[error.start]:02X} here is not UTF-8",
        Place(file, line, column),
        "save the file as UTF-8",
    )

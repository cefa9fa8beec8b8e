"""A tree of values that knows where each value and key stands, composed from the events of either syntax.

The readers call `Composer` once per event. Everything that JSON and YAML have in common is judged here: duplicate keys, depth, number of
values, text that is no text; and, for YAML, anchors, aliases and merge keys. Nothing here recurses, so no input can exhaust the stack.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, NoReturn, TypeAlias

Path = tuple[str | int, ...]
"""Keys and indexes that lead to a value."""

Value: TypeAlias = Any
"""What JSON can hold, in plain Python, and BROKEN."""

MAX_DEPTH: Final = 100
"""Containers within each other; a dependency file needs about eight."""

MAX_VALUES: Final = 1_000_000
"""Values in a document, those that aliases repeat included: what keeps a small file from becoming a large one."""

_BREAK: Final = re.compile(r"\r\n?|\n")
_NO_KEYS: Final[Mapping[str, int]] = MappingProxyType({})
_NO_CHILDREN: Final[Mapping[str | int, Any]] = MappingProxyType({})


class Broken:
    """Stands for a value that could not be read; its flaw is reported, so nothing else is said of it."""


BROKEN: Final = Broken()


class ReadError(Exception):
    """Reading cannot go on; the flaw is already noted."""


class Lines:
    """Turns a character offset into line and column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: array[int] | None = None

    def at(self, offset: int) -> tuple[int, int]:
        """Return line and column, both from 1, the column in characters."""
        if self._starts is None:
            self._starts = array("L", [0])
            self._starts.extend(found.end() for found in _BREAK.finditer(self._text))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


@dataclass(slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: plain Python: dict, list, str, int, float, bool, None or BROKEN.
        keys: offset of each key of a map.
        children: node of each key or index.
        size: values in it, itself included.
        height: containers within each other, itself included: 0 for a text, 1 for an empty list.
        is_odd: a number that would be written otherwise than the file has it, as 1.10 would be 1.1.
    """

    offset: int
    value: Value
    keys: Mapping[str, int] = field(default_factory=lambda: _NO_KEYS)
    children: Mapping[str | int, Node] = field(default_factory=lambda: _NO_CHILDREN)
    size: int = 1
    height: int = 0
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the text, at a character offset."""

    code: str
    problem: str
    offset: int
    path: Path
    hint: str


class Composer:
    """Builds the tree. `flaws` is what was wrong, `root` None while no value was complete."""

    def __init__(self, lines: Lines) -> None:
        self.flaws: list[Flaw] = []
        self.root: Node | None = None
        self._lines = lines
        self._open: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._count = 0

    @property
    def wants_key(self) -> bool:
        """The next event is a key of a map."""
        return bool(self._open) and self._open[-1].wants_key

    def open(self, container: dict[str, Value] | list[Value], offset: int, *, anchor: str | None = None) -> None:
        """Begin a map or a list."""
        self._admit(1, height=1, offset=offset)
        if anchor is not None:
            self._anchors[anchor] = None
        self._open.append(_Frame(offset, container, anchor=anchor))

    def close(self) -> None:
        """End the innermost map or list."""
        frame = self._open.pop()
        frame.merge()
        self._add(Node(frame.offset, frame.value, frame.keys, frame.children, frame.size, frame.height), frame.anchor)

    def key(self, text: str, offset: int, *, merges: bool = False) -> None:
        """Read a key; with `merges` it stands for the keys of its value."""
        frame = self._open[-1]
        first = frame.keys.get(text) if not merges else frame.merge_offset
        frame.key, frame.merges = text, merges
        self._check_text(text, offset)
        if first is not None:
            line, column = self._lines.at(first)
            problem = f"the key {quote(text)} stands here a second time; the first is at line {line}, column {column}"
            self.flaw("duplicate-key", problem, offset, hint="keep one of the two")
        if merges:
            frame.merge_offset = offset
        else:
            frame.keys[text] = offset

    def scalar(self, value: Value, offset: int, *, anchor: str | None = None, written: str = "") -> None:
        """Read a value without parts.

        Args:
            written: how the file writes it, where it may be a number.
        """
        self._admit(1, height=0, offset=offset)
        if isinstance(value, str) and not self._check_text(value, offset):
            value = BROKEN
        self._add(Node(offset, value, is_odd=type(value) in (int, float) and _is_odd(value, written)), anchor)

    def alias(self, anchor: str, offset: int) -> None:
        """Repeat the value that `anchor` names."""
        node = self._anchors.get(anchor)
        if node is None:
            known = anchor in self._anchors
            problem = f"the alias *{anchor} stands within what it names" if known else f"there is no anchor &{anchor} before this alias"
            self.flaw("bad-alias", problem, offset)
            node = Node(offset, BROKEN)
        self._admit(node.size, height=node.height, offset=offset)
        self._add(replace(node, offset=offset), None)

    def flaw(self, code: str, problem: str, offset: int, *, hint: str = "") -> None:
        """Note what is wrong and go on."""
        path = tuple(frame.place for frame in self._open if frame.place is not None)
        self.flaws.append(Flaw(code, problem, offset, path, hint))

    def stop(self, code: str, problem: str, offset: int, *, hint: str = "") -> NoReturn:
        """Note what is wrong and give up.

        Raises:
            ReadError: always.
        """
        self.flaw(code, problem, offset, hint=hint)
        raise ReadError

    def _admit(self, size: int, *, height: int, offset: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            problem = f"the file holds more than {MAX_VALUES:,} values, those that aliases repeat included"
            self.stop("too-large", problem, offset, hint="split it into several dependency files")
        if len(self._open) + height > MAX_DEPTH:
            self.stop("too-deep", f"more than {MAX_DEPTH} maps and lists stand within each other here", offset)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        if frame.merges:
            self._merge(frame, node)
        else:
            frame.add(node)

    def _merge(self, frame: _Frame, node: Node) -> None:
        sources = [node.children[index] for index in range(len(node.value))] if isinstance(node.value, list) else [node]
        maps = [source for source in sources if isinstance(source.value, dict)]
        if any(not isinstance(source.value, dict | Broken) for source in sources):
            self.flaw("bad-merge", "the merge key '<<' takes a map or a list of maps", node.offset, hint="write <<: *name_of_an_anchor")
        frame.sources, frame.key, frame.merges = maps, None, False

    def _check_text(self, text: str, offset: int) -> bool:
        if text.isascii() or _is_encodable(text):
            return True
        self.flaw("bad-text", "this text holds half of a surrogate pair, which is no character", offset, hint="write the character itself")
        return False


def quote(text: str) -> str:
    """Return a key or a value as it may be shown: in quotes, without control characters, at most 60 characters of it."""
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    shown = short if short.isprintable() else short.encode("unicode_escape").decode("ascii")
    return f'"{shown}"' if "'" in shown else f"'{shown}'"


_SHOWN: Final = 60


@dataclass(slots=True)
class _Frame:
    """A map or list that is still open. `key` is where its next value goes."""

    offset: int
    value: Value
    keys: dict[str, int] = field(default_factory=dict)
    children: dict[str | int, Node] = field(default_factory=dict)
    size: int = 1
    height: int = 1
    anchor: str | None = None
    key: str | None = None
    merges: bool = False
    merge_offset: int | None = None
    sources: list[Node] = field(default_factory=list)

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    @property
    def place(self) -> str | int | None:
        """Key or index of the value that is being read; None before a map's first key."""
        return self.key if isinstance(self.value, dict) else len(self.value)

    def add(self, node: Node) -> None:
        if isinstance(self.value, list):
            self.children[len(self.value)] = node
            self.value.append(node.value)
            self._grow(node)
        else:
            self._set(self.key or "", node)
            self.key = None

    def merge(self) -> None:
        """Take over what the merged maps have and this one does not; of several, the first that has a key gives it."""
        for source in self.sources:
            for key in [key for key in source.value if key not in self.value]:
                self.keys[key] = source.keys[key]
                self._set(key, source.children[key])

    def _set(self, key: str, node: Node) -> None:
        self.children[key] = node
        self.value[key] = node.value
        self._grow(node)

    def _grow(self, node: Node) -> None:
        self.size += node.size
        self.height = max(self.height, node.height + 1)


def _is_odd(number: float, written: str) -> bool:
    try:
        return repr(number) != written
    except ValueError:  # Python refuses to write an int of more than 4300 digits
        return True


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""How text looks: few colours, aligned columns, marks with an ASCII stand-in."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TextIO

from dtree.views.text import cells, fit

Role = Literal["", "good", "bad", "busy", "dim", "strong"]
Cell = tuple[str, Role]
"""Text that is clean already, and the part it plays."""

_SGR: Final[Mapping[Role, str]] = {"good": "32", "bad": "31", "busy": "36", "dim": "2", "strong": "1"}

_GAP: Final = 2

_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    # name: (Unicode, ASCII)
    "ready": ("✓", "*"),
    "failed": ("✗", "x"),
    "active": ("▸", ">"),
    "pending": ("·", "."),
    "lost": ("–", "-"),  # noqa: RUF001 - the dash is meant
    "kept": ("=", "="),
    "replace": ("±", "-+"),
    "branch": ("├─ ", "|- "),
    "last": ("└─ ", "`- "),
    "trunk": ("│  ", "|  "),
    "ellipsis": ("…", "..."),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a stream can show.

    Attributes:
        colour: SGR sequences may be written.
        unicode: the marks may be more than ASCII.
    """

    colour: bool = False
    unicode: bool = True

    def paint(self, text: str, role: Role) -> str:
        """Return the text in the colour of its role, or as it is where there is no colour."""
        return f"\x1b[{_SGR[role]}m{text}\x1b[0m" if self.colour and role and text else text

    def mark(self, name: str) -> str:
        """Return the mark of that name; a name that is none stands for itself."""
        fancy, plain = _MARKS.get(name, (name, name))
        return fancy if self.unicode else plain

    def fit(self, text: str, width: int) -> str:
        """Shorten the text to `width` columns, with this look's ellipsis."""
        return fit(text, width, ellipsis=self.mark("ellipsis"))


PLAIN: Final = Look()


def look_at(stream: TextIO, environ: Mapping[str, str]) -> Look:
    """Find out what a stream can show: colour only on a terminal that is not dumb, and not with NO_COLOR set to anything.

    Source: https://no-color.org
    """
    return Look(colour=is_terminal(stream, environ) and not environ.get("NO_COLOR"), unicode=_has_marks(stream))


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether the stream is a terminal that understands cursor movement."""
    return stream.isatty() and environ.get("TERM", "") not in ("dumb", "unknown")


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    """Return how many columns a stream has, COLUMNS before what the terminal says; None for one that is no terminal."""
    if not is_terminal(stream, environ):
        return None
    if environ.get("COLUMNS", "").isdecimal():
        return int(environ["COLUMNS"]) or None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # it only says that it is one
        return None


def columns(
    rows: Sequence[Sequence[Cell]],
    *,
    look: Look = PLAIN,
    right: Collection[int] = (),
    sizes: Mapping[int, tuple[int, int]] | None = None,
    width: int | None = None,
) -> list[str]:
    """Lay rows out in aligned columns; a column that is empty in every row takes no room.

    Args:
        rows: each of the same number of cells.
        right: numbers of the columns that are flush right.
        sizes: column -> the least and the most room that it claims; a longer cell pushes its own row's rest to the right.
        width: where lines are cut off; None: nowhere.

    Returns:
        One line per row, without blanks at its end.
    """
    if not rows:
        return []
    widths: dict[int, int] = {}
    for index in range(len(rows[0])):
        least, most = (sizes or {}).get(index, (0, sys.maxsize))
        widest = max([least, *(min(cells(row[index][0]), most) for row in rows)])
        widths |= {index: widest} if widest else {}
    return [_row([(row[index], size, index in right) for index, size in widths.items()], look, width) for row in rows]


def _row(parts: Sequence[tuple[Cell, int, bool]], look: Look, width: int | None) -> str:
    """Lay one row out; a part is a cell, its column's width and whether it is flush right."""
    while parts and not parts[-1][0][0]:
        parts = parts[:-1]
    line, column = "", 0
    for index, ((text, role), size, flush_right) in enumerate(parts):
        padding = max(size - cells(text), 0)
        lead = padding if flush_right else 0
        if width is not None:
            text = look.fit(text, width - column - lead)  # noqa: PLW2901 - the same cell, shorter
        line += " " * lead + look.paint(text, role)
        column += lead + cells(text)
        if index < len(parts) - 1:
            gap = padding - lead + _GAP
            line += " " * gap
            column += gap
        if width is not None and column >= width:
            break
    return line.rstrip()


def _has_marks(stream: TextIO) -> bool:
    """Tell whether the stream's encoding has all our marks; a stream without an encoding keeps text as it is."""
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        return True
    try:
        "".join(fancy for fancy, _ in _MARKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True

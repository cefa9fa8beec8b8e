"""Where the values of a job's variables come from, as text: for each the one that counts, and below it those that it beat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dtree.errors import Place
from dtree.views.style import PLAIN, Cell, Look, columns
from dtree.views.text import clean


@dataclass(frozen=True, slots=True)
class Source:
    """A value and where it came from.

    Attributes:
        value: as JSON or HCL; `(secret)` where it may not be shown.
        layer: who gave it, in the user's words.
        place: file, line and key, where there is one.
    """

    value: str
    layer: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A name that a job file reads.

    Attributes:
        readers: `template`, `HCL2 variable` or both.
        sources: those that gave it a value, the one that counts first; () where none did.
    """

    name: str
    readers: tuple[str, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that a job file reads.

    Attributes:
        names: sorted.
        asked: what it reads by functions, as the template writes it, with the value or "".
    """

    job: str
    file: str
    names: Sequence[Explained]
    asked: Sequence[tuple[str, str]] = ()


def explain_text(explanation: Explanation, look: Look = PLAIN) -> str:
    """Write an explanation as a table."""
    rows = [row for name in explanation.names for row in _rows(name)]
    rows += [[(clean(call), ""), (clean(value), "strong"), ("read by the template", "dim")] for call, value in explanation.asked]
    title = f"{clean(explanation.job)} ({clean(explanation.file)})"
    if not rows:
        return f"{title}: no variables"
    return "\n".join([look.paint(title, "strong"), *(f"  {line}" for line in columns(rows, look=look, sizes={0: (0, 30), 1: (0, 40)}))])


def _rows(name: Explained) -> Iterator[list[Cell]]:
    if not name.sources:
        yield [(clean(name.name), ""), ("no value", "bad"), (f"nothing gives one; read by {_readers(name)}", "dim")]
    for number, source in enumerate(name.sources):
        where = f"{source.layer} ({source.place})" if source.place is not None else source.layer
        if number == 0:
            yield [(clean(name.name), ""), (clean(source.value), "strong"), (clean(where), "")]
        else:
            yield [("", ""), ("", ""), (f"over {clean(source.value)}: {clean(where)}", "dim")]


def _readers(name: Explained) -> str:
    return " and ".join(name.readers)

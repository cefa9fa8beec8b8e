"""Versions of jobs as text: what is declared and what runs, and what becomes of a file of versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dtree.record import StatusRow
from dtree.values import Declared
from dtree.views.style import PLAIN, Cell, Look, columns
from dtree.views.text import clean, count
from dtree.views.which_text import remark_lines

_NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """What is known of a job's version.

    Attributes:
        declared: None where none is.
        version: what it comes to; "" where it has none, or none can be had.
        trouble: why none can be had.
        row: how it does on Nomad; None where nobody asked.
        pending: of a locked version the one that is declared now, "" for none; None where it is the same, or nothing is locked.
    """

    job: str
    declared: Declared | None
    version: str
    trouble: str
    row: StatusRow | None = None
    pending: str | None = None

    @property
    def runs(self) -> str | None:
        """The version that was noted when the job was registered; None where nothing is noted."""
        return self.row.provenance.version if self.row is not None and self.row.provenance is not None else None

    @property
    def source(self) -> str:
        """Where it is read from; "" for a literal."""
        return self.declared.text if self.declared is not None and self.declared.text != self.version else ""


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What becomes of one line of a file of versions; `old` is "" for a new line, `new` for one that goes."""

    job: str
    old: str
    new: str

    @property
    def differs(self) -> bool:
        """Whether there is a change."""
        return self.old != self.new


def versions_text(rows: Sequence[ListedVersion], look: Look = PLAIN, *, asked: bool) -> str:
    """Write one line for each job: the version that is declared, the one that runs, and where it is declared; then what is wrong.

    Args:
        rows: of the jobs.
        look: colours.
        asked: Nomad was asked what runs.
    """
    titles: list[Cell] = [(title, "dim") for title in ("JOB", "VERSION", "RUNS" if asked else "", "SOURCE", "DECLARED BY")]
    lines = columns([titles, *(_row(row, asked=asked) for row in rows)], look=look)
    troubles = [f"{look.paint('warning:', 'busy')} {clean(row.job)}: {clean(row.trouble)}" for row in rows if row.trouble]
    troubles += [f"{look.paint('warning:', 'busy')} {_told_pending(row)}" for row in rows if row.pending is not None]
    return "\n".join([*lines, *troubles, *remark_lines((row.row for row in rows if row.row is not None), look)])


def changes_text(changes: Sequence[VersionChange], where: str, look: Look = PLAIN) -> str:
    """Write what becomes of a file of versions: one line for each that changes, and how many."""
    pending = [change for change in changes if change.differs]
    rows = list(_changed(pending))
    last = f"{clean(where)}: {count(len(pending), 'change')}." if pending else f"{clean(where)}: nothing to change."
    return "\n".join([*(f"  {line}" for line in columns(rows, look=look)), last])


def _row(row: ListedVersion, *, asked: bool) -> list[Cell]:
    return [
        (clean(row.job), ""),
        (clean(row.version) if row.version else "?" if row.trouble else _NONE, "bad" if row.trouble else ""),
        _runs(row) if asked else ("", ""),
        (clean(row.source) or _NONE, "dim"),
        (clean(_declared_by(row.declared)) if row.declared else _NONE, "dim"),
    ]


def _runs(listed: ListedVersion) -> Cell:
    row, runs = listed.row, clean(listed.runs or "") or _NONE
    if row is None or row.health == "Unknown":
        return "not known", "bad"
    if listed.runs is None:
        return "not in Nomad" if row.version is None else "may not be read" if row.note_fault else "not noted", ""
    if row.changed_since:
        return f"was {runs}, changed since", "busy"
    stack = f" (stack {clean(row.other_stack)})" if row.other_stack else ""
    return runs + stack, "busy" if listed.version and listed.runs != listed.version else ""


def _told_pending(row: ListedVersion) -> str:
    now = f"{clean(row.pending)} is declared" if row.pending else "none is declared any more"
    return f"{clean(row.job)}: {clean(row.version)} is locked, and {now}; `nomad-dtree versions lock` locks again"


def _declared_by(declared: Declared) -> str:
    layer, place = declared.origin.layer, declared.origin.place
    if place is None:
        return layer
    where = f"{place.file}:{place.line}" if place.line is not None else place.file
    return where if layer in (place.file, "lock") else f"{where}, {layer}"


def _changed(changes: Sequence[VersionChange]) -> Iterator[list[Cell]]:
    for change in changes:
        mark: Cell = ("+", "good") if not change.old else ("-", "bad") if not change.new else ("~", "busy")
        arrow = "->" if change.old and change.new else ""
        yield [mark, (clean(change.job), ""), (clean(change.old), "dim"), (arrow, "dim"), (clean(change.new), "")]

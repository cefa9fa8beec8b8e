"""Where jobs stand in Nomad, as a table in the shape of their tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dtree.record import Health, StatusRow
from dtree.views.outline import OutlineRow, outline
from dtree.views.style import PLAIN, Cell, Look, Role, columns
from dtree.views.text import clean, count
from dtree.views.words import address_lines, identity

_TITLES: Final = ("JOB", "TYPE", "STATE", "HEALTH", "VERSION", "ALLOCS", "ADDRESSES")

_ROLES: Final[Mapping[Health, Role]] = {
    "Healthy": "good",
    "Progressing": "busy",
    "Degraded": "bad",
    "Missing": "bad",
    "Suspended": "dim",
    "Unknown": "dim",
}


def status_text(rows: Sequence[StatusRow], look: Look = PLAIN) -> str:
    """Write one line per job, what it needs below it; further lines for more port labels and for why it is not healthy.

    A job that two others need has its line where it is met first.
    """
    if not rows:
        return "No jobs."
    by_name = {row.job: row for row in rows}
    table: list[list[Cell]] = [[(title, "dim") for title in _TITLES]]
    for line in outline({row.job: row.needs for row in rows}):
        if not line.reference:
            table.extend(_lines(by_name[line.name], line, look))
    counts = Counter(row.health for row in rows)
    health = ", ".join(f"{counts[word]} {look.paint(word, role)}" for word, role in _ROLES.items() if counts[word])
    return "\n".join([*columns(table, look=look, right=(4, 5), sizes={0: (0, 60)}), "", f"{count(len(rows), 'job')}: {health}"])


def _lines(row: StatusRow, line: OutlineRow, look: Look) -> list[list[Cell]]:
    last: list[Cell] = [(text, "") for text in address_lines(row.addresses)]
    last.extend([(clean(row.reason), _ROLES[row.health])] if row.reason else [])
    first: list[Cell] = [
        (line.guide(look) + identity(row.job, row.id, row.namespace), ""),
        (clean(row.type), ""),
        (clean(row.state) or "-", "" if row.state else "dim"),
        (row.health, _ROLES[row.health]),
        ("-" if row.version is None else str(row.version), ""),
        (f"{row.running}/{row.desired}", ""),
        last[0] if last else ("", ""),
    ]
    empty: list[Cell] = [("", "")] * (len(first) - 1)
    return [first, *([*empty, cell] for cell in last[1:])]

"""Where jobs stand in Nomad, as a table in the shape of their tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dtree.record import Health, StatusRow
from dtree.views.outline import OutlineRow, outline, without_references
from dtree.views.style import PLAIN, Cell, Look, Role, columns
from dtree.views.text import cells, clean, count, wrap
from dtree.views.which_text import release, remark_lines
from dtree.views.words import address_lines, identity

_TITLES: Final = ("JOB", "TYPE", "STATE", "HEALTH", "VERSION", "ALLOCS", "RELEASE", "ADDRESSES")
_RELEASE: Final = _TITLES.index("RELEASE")

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
    table = _aligned([line for job in _jobs(rows, look) for line in job], look)
    return "\n".join([*table, *remark_lines(rows, look), "", _count_line(rows, look)])


def status_picture(rows: Sequence[StatusRow], width: int, height: int, look: Look, note: str = "") -> list[str]:
    """Write the same for a screen: lines that fit its size, the head and the count always among them.

    Args:
        rows: the jobs.
        width: columns; lines are cut off before the last one.
        height: lines; one stays free for the cursor.
        look: colours and marks.
        note: a last line, such as why the table is not up to date; "" for none.
    """
    last = [part for line in remark_lines(rows, Look(unicode=look.unicode)) for part in wrap(line, width - 1, indent="  ")]
    last += [look.paint(line, "bad") for line in wrap(clean(note), width - 1)] if note else []
    room = max(height - 3 - len(last), 1)  # head, count, cursor
    jobs = _jobs(rows, look)
    shown: list[list[Cell]] = []
    hidden = len(jobs)
    left_over = sum(map(len, jobs)) > room
    for job in jobs:
        if len(shown) + len(job) > room - left_over:
            break
        shown.extend(job)
        hidden -= 1
    more = [look.paint(f"{look.mark('ellipsis')} and {hidden} more", "dim")] if hidden else []
    counted = _count_line(rows, Look(unicode=look.unicode))
    counted = _count_line(rows, look) if cells(counted) < width else look.fit(counted, width - 1)
    return [*_aligned(shown, look, width=width - 1), *more, counted, *last]


def _jobs(rows: Sequence[StatusRow], look: Look) -> list[list[list[Cell]]]:
    """Return the lines of every job, in the order of the tree."""
    by_name = {row.job: row for row in rows}
    tree = without_references(tuple(outline({row.job: row.needs for row in rows})))
    return [_lines(by_name[line.name], line, look) for line in tree]


def _aligned(lines: Sequence[Sequence[Cell]], look: Look, *, width: int | None = None) -> list[str]:
    # Where nobody declares a version, and the files have no history, there is nothing to say: an empty column takes no room.
    unused = _RELEASE if not any(line[_RELEASE][0] for line in lines) else None
    head: list[Cell] = [(title if index != unused else "", "dim") for index, title in enumerate(_TITLES)]
    return columns([head, *lines], look=look, right=(4, 5), sizes={0: (0, 60), _RELEASE: (0, 40)}, width=width)


def _count_line(rows: Sequence[StatusRow], look: Look) -> str:
    counts = Counter(row.health for row in rows)
    health = ", ".join(f"{counts[word]} {look.paint(word, role)}" for word, role in _ROLES.items() if counts[word])
    return f"{count(len(rows), 'job')}: {health}" if rows else "No jobs."


def _lines(row: StatusRow, line: OutlineRow, look: Look) -> list[list[Cell]]:
    last: list[Cell] = [(text, "") for text in address_lines(row.addresses)]
    last.extend([(clean(row.reason), _ROLES[row.health])] if row.reason else [])
    if row.changed_since and row.provenance and row.provenance.registered:
        last.append((f"changed since it was registered as version {row.provenance.registered.version}", "busy"))
    last.extend([(f"runs {clean(row.hook)}", "dim")] if row.hook else [])
    last.extend([(f"noted by stack {clean(row.other_stack)}", "dim")] if row.other_stack else [])
    first: list[Cell] = [
        (line.guide(look) + identity(row.job, row.id, row.namespace, row.region), ""),
        (clean(row.type), ""),
        (clean(row.state) or "-", "" if row.state else "dim"),
        (row.health, _ROLES[row.health]),
        ("-" if row.version is None else str(row.version), ""),
        (f"{row.running}/{row.desired}", ""),
        (release(row), ""),
        last[0] if last else ("", ""),
    ]
    empty: list[Cell] = [("", "")] * (len(first) - 1)
    return [first, *([*empty, cell] for cell in last[1:])]

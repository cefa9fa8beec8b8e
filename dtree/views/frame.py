"""One picture of a run, as lines of text that fit a given size. Pure: `live` puts it on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from dtree.events import RunStarted
from dtree.record import RunRecord, State, StepRecord
from dtree.views.outline import OutlineRow, outline, without_references
from dtree.views.rollback_text import GOES_ON
from dtree.views.style import Cell, Look, Role, columns
from dtree.views.text import cells, clean, duration, join_names
from dtree.views.words import address_lines, change_words, identity, origin, state_role, state_word

_MARKS: Final[Mapping[State, str]] = {
    "ready": "ready",
    "failed": "failed",
    "acting": "active",
    "waiting": "active",
    "lost": "lost",
    "kept": "kept",
}

_PRIORITY: Final[Mapping[State, int]] = {"failed": 0, "waiting": 1, "acting": 1, "pending": 2, "kept": 3, "lost": 4, "ready": 5}
"""Which rows stay when there is no room for all."""

_ORDER: Final[Sequence[State]] = ("ready", "failed", "waiting", "acting", "pending", "kept", "lost")
"""How the states are counted off."""

_STATE_WIDTH: Final = 9
_TIME_WIDTH: Final = 6
"""Room kept for states and times that may come, so that the columns stand still."""

_LARGEST_TREE: Final = 500
"""Steps above which the tree is not worked out: no terminal is that high."""

_WIDE: Final = 100
"""Columns from which the change is written out; below, its mark stands for it and leaves the room to the reasons."""


def run_outline(start: RunStarted) -> tuple[OutlineRow, ...]:
    """Return the tree of a run, what is needed below; the same for a stop, although its steps wait the other way round."""
    if len(start.steps) > _LARGEST_TREE:
        return ()
    below: dict[str, list[str]] = {step.job: [] for step in start.steps}
    for step in start.steps:
        for need in step.needs:
            above, under = (need, step.job) if start.verb == "stop" else (step.job, need)
            if above in below:
                below[above].append(under)
    return tuple(outline(below))


def frame(record: RunRecord, tree: Sequence[OutlineRow], *, now_s: float, width: int, height: int, look: Look) -> str:
    """Draw the run as it stands: a head line, the steps, a line with counts and time.

    Args:
        record: the run so far.
        tree: from `run_outline`.
        now_s: Unix seconds.
        width: columns of the terminal; lines are cut off before the last one.
        height: lines of the terminal; one stays free for the cursor.
        look: colours and marks.
    """
    room = max(height - 3, 1)
    head = look.paint(look.fit(_head(record), width - 1), "strong")
    foot = look.paint(look.fit(_foot(record, now_s), width - 1), "dim")
    return "\n".join([head, *step_lines(record, tree, now_s=now_s, width=width - 1, room=room, look=look), foot])


def step_lines(record: RunRecord, tree: Sequence[OutlineRow], *, now_s: float, width: int, room: int, look: Look) -> list[str]:
    """Draw the steps in at most `room` lines: as a tree where it fits, else those that matter, in plan order, and how many more."""
    for rows in (tree, without_references(tree)):
        if rows and len(rows) <= room and _widest(record, rows, look) <= width // 2:
            return _aligned([_cells(record, row.name, row, now_s=now_s, wide=width >= _WIDE, look=look) for row in rows], width, look)
    shown, hidden = _choose(record.steps, room)
    lines = _aligned([_cells(record, name, None, now_s=now_s, wide=width >= _WIDE, look=look) for name in shown], width, look)
    if hidden:
        lines.append(look.paint(look.fit(f"{look.mark('ellipsis')} and {hidden} more", width), "dim"))
    return lines


def final_lines(record: RunRecord, tree: Sequence[OutlineRow], *, now_s: float, width: int, look: Look) -> list[str]:
    """Draw every step, for the scrollback: as many lines as it takes, and none is cut; the terminal wraps the long ones.

    Args:
        record: the run at its end.
        tree: from `run_outline`.
        now_s: Unix seconds.
        width: columns of the terminal: a tree that takes more than half of them gives way to the plan's order.
        look: colours and marks.
    """
    rows = without_references(tree)
    shown: Sequence[tuple[str, OutlineRow | None]] = [(row.name, row) for row in rows]
    if not rows or _widest(record, rows, look) > width // 2:
        shown = [(name, None) for name in record.steps]
    lines: list[list[Cell]] = []
    for name, row in shown:
        *most, note = _cells(record, name, row, now_s=now_s, wide=width >= _WIDE, look=look)
        step = record.steps[name]
        labels = address_lines(step.addresses) if step.state == "ready" else ()
        lines.append([*most, (labels[0], "") if labels else note])
        lines.extend([*[("", "")] * len(most), (label, "")] for label in labels[1:])  # type: ignore[list-item]
    return _aligned(lines, width, look, cut=False)


def _head(record: RunRecord) -> str:
    doing = {"stop": "Stopping", "promote": "Promoting"}.get(record.verb, "Running")
    return f"{doing} {join_names(record.goals, most=4)} on {clean(record.address)} ({origin(record)})"


def _foot(record: RunRecord, now_s: float) -> str:
    verb, signal = record.verb, clean(record.interrupted)
    states = Counter((_ORDER.index(step.state), state_word(step, verb)) for step in record.steps.values())
    counts = ", ".join(f"{number} {word}" for (_, word), number in sorted(states.items()))
    told = f"{counts}, {duration(now_s - record.started_s, whole=True)}"
    if record.continued:
        return f"{clean(record.continued)}: {GOES_ON}. {told}"
    if record.rolled_back_for:
        return f"Rolling back, because {clean(record.rolled_back_for)} failed. {told}"
    return f"Interrupted by {signal}, nothing more is begun; once more to leave at once. {told}" if signal else told


def _cells(record: RunRecord, name: str, row: OutlineRow | None, *, now_s: float, wide: bool, look: Look) -> list[Cell]:
    step = record.steps[name]
    words, role = change_words(step.planned.change), state_role(step)
    guide = row.guide(look) if row else ""
    if row and row.reference:
        return [("", ""), (f"{guide}{_named(step)} (above)", "dim"), *[("", "")] * 4]  # type: ignore[list-item]
    quiet: Role = "dim" if role == "dim" else ""
    return [
        (look.mark(_MARKS.get(step.state, "pending")), role),
        (guide + _named(step), quiet),
        (step.planned.change if wide else look.mark(words.mark), words.role),
        (state_word(step, record.verb), role),
        (_elapsed(step, now_s), "dim"),
        (_note(step, record.steps), "bad" if step.state == "failed" else quiet),
    ]


def _named(step: StepRecord) -> str:
    return identity(step.planned.job, step.planned.id, step.planned.namespace, step.planned.region)


def _elapsed(step: StepRecord, now_s: float) -> str:
    if step.started_s is None:
        return ""
    return duration(now_s - step.started_s, whole=True) if step.ended_s is None else duration(step.ended_s - step.started_s)


def _note(step: StepRecord, steps: Mapping[str, StepRecord]) -> str:
    """Say what a reader wants to know next: what it waits for, why it broke, or where it answers."""
    if step.back is not None and step.back.state != "pending":
        return clean(step.back.reason)
    match step.state:
        case "pending":
            missing = [need for need in step.planned.needs if need in steps and steps[need].state != "ready"]
            return f"after {join_names(missing, most=4)}" if missing else ""
        case "lost":
            return f"because of {clean(step.because)}" if step.because else ""
        case "ready":
            return ", ".join(address_lines(step.addresses)) or clean(step.reason)
        case "acting" | "waiting" if step.attempts and step.reason == step.attempts[-1]:
            return f"attempt {step.attempt}, after: {clean(step.reason)}"
        case _:
            return clean(step.reason)


def _choose(steps: Mapping[str, StepRecord], room: int) -> tuple[list[str], int]:
    """Choose which steps are shown, in plan order; returns them and the number of the others."""
    if len(steps) <= room:
        return list(steps), 0
    place = {name: number for number, name in enumerate(steps)}
    ranked = sorted(steps, key=lambda name: (_PRIORITY[steps[name].state], -(steps[name].ended_s or 0.0), place[name]))
    kept = ranked[: room - 1]
    return sorted(kept, key=place.__getitem__), len(ranked) - len(kept)


def _widest(record: RunRecord, rows: Sequence[OutlineRow], look: Look) -> int:
    return max(cells(row.guide(look)) + cells(_named(record.steps[row.name])) for row in rows)


def _aligned(rows: Sequence[Sequence[Cell]], width: int, look: Look, *, cut: bool = True) -> list[str]:
    sizes = {1: (0, width // 2), 3: (_STATE_WIDTH, width), 4: (_TIME_WIDTH, width)}
    return columns(rows, look=look, right=(4,), sizes=sizes, width=width if cut else None)

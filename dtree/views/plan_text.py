"""A plan as text: one line per step, then what it comes to."""

from __future__ import annotations

from collections import Counter
from typing import Final

from dtree.plan import Plan, Refuse, Step
from dtree.views.style import PLAIN, Cell, Look, columns
from dtree.views.text import clean, join_names
from dtree.views.words import CHANGES, change_words, identity

_SIZES: Final = {2: (0, 40), 4: (0, 40)}  # names and needs: one long line does not push all the others apart

_NO_CHANGES: Final = ("noop", "keep", "absent")


def plan_text(plan: Plan, look: Look = PLAIN) -> str:
    """Write a plan: number, mark, job, change, needs and cause of every step, in order; then its warnings and its count.

    A step that cannot be done is marked `x` and followed by the reason and a hint.
    """
    rows = [_row(number, step, look) for number, step in enumerate(plan.steps, start=1)]
    lines: list[str] = []
    for step, line in zip(plan.steps, columns(rows, look=look, right=(0,), sizes=_SIZES), strict=True):
        lines.append(f"  {line}")
        if isinstance(step.action, Refuse):
            lines.append(f"       {look.paint('cannot be done:', 'bad')} {clean(step.action.why)}")
            lines.extend([f"       hint: {clean(step.action.hint)}"] if step.action.hint else [])
    lines.extend([""] if lines else [])
    lines.extend(f"{look.paint('warning:', 'busy')} {clean(warning)}" for warning in plan.warnings)
    lines.append(_count_line(plan))
    return "\n".join(lines)


def _row(number: int, step: Step, look: Look) -> list[Cell]:
    words = change_words(step.change)
    refused = isinstance(step.action, Refuse)
    role = "bad" if refused else words.role
    return [
        (str(number), "dim"),
        (look.mark("failed" if refused else words.mark), role),
        (identity(step.name, step.ref.id, step.ref.namespace), ""),
        (step.change, role),
        (f"after {join_names(step.needs)}" if step.needs else "", "dim"),
        (clean(step.cause), ""),
    ]


def _count_line(plan: Plan) -> str:
    if not plan.steps:
        return "Nothing to do."
    counts = Counter[str](step.change for step in plan.steps if not isinstance(step.action, Refuse))
    parts = [f"{counts[change]} {words.planned}" for change, words in CHANGES.items() if counts[change]]
    refused = len(plan.steps) - counts.total()
    parts.extend([f"{refused} that cannot be done"] if refused else [])
    if all(step.change in _NO_CHANGES for step in plan.steps) and not refused:
        return f"Nothing to {'stop' if plan.verb == 'stop' else 'change'}: {', '.join(parts)}."
    return f"Plan: {', '.join(parts)}."

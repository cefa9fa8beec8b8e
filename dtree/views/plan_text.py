"""A plan as text: one line per step, then what it comes to."""

from __future__ import annotations

from collections import Counter
from typing import Final

from dtree.plan import Plan, Refuse, Step
from dtree.views.style import PLAIN, Cell, Look, columns
from dtree.views.text import clean, count, join_names, wrap
from dtree.views.words import CHANGES, change_words, head_line, identity

_SIZES: Final = {
    2: (0, 40),
    4: (0, 30),
    5: (0, 40),
    6: (0, 60),
}  # names, versions, needs, files: one long line does not push all the others apart


def plan_text(plan: Plan, look: Look = PLAIN, *, files: bool = False, address: str = "") -> str:
    """Write a plan: what it is of; number, mark, job, change, needs and cause of every step, in order; then its warnings and its count.

    A step that cannot be done is marked `x` and followed by the reason and a hint.

    Args:
        plan: the plan.
        look: colours and marks.
        files: also where each job's text came from.
        address: of the Nomad that it is for; "" leaves out the whole line that says what it is of.
    """
    head = [look.paint(head_line("plan", plan, address), "dim"), ""] if address else []
    lines = _step_lines(plan, look, files=files)
    return "\n".join([*head, *lines, *([""] if lines else []), *_reads(plan, look), *_warnings(plan, look), _count_line(plan)])


def plan_picture(plan: Plan, width: int, height: int, look: Look, note: str = "", *, address: str, files: bool = False) -> list[str]:
    """Write the same for a screen: lines that fit its size, what it is of and the count always among them.

    Args:
        plan: the plan.
        width: columns; lines are cut off before the last one.
        height: lines; one stays free for the cursor.
        look: colours and marks.
        note: a last line, such as why the plan is not up to date; "" for none.
        address: of the Nomad that it is for.
        files: as for `plan_text`.
    """
    last = [look.paint(line, "bad") for line in wrap(clean(note), width - 1)] if note else []
    room = max(height - len(("head", "count", "cursor")) - len(last), 1)
    lines = [*_step_lines(plan, look, files=files, width=width - 1), *_warnings(plan, Look(unicode=look.unicode), width=width - 1)]
    hidden = len(lines) - room + 1 if len(lines) > room else 0
    shown = lines[: len(lines) - hidden]
    more = [look.paint(f"{look.mark('ellipsis')} and {count(hidden, 'line')} more", "dim")] if hidden else []
    head = look.paint(look.fit(head_line("plan", plan, address), width - 1), "dim")
    return [head, *shown, *more, look.fit(_count_line(plan), width - 1), *last]


def _step_lines(plan: Plan, look: Look, *, files: bool, width: int | None = None) -> list[str]:
    indent = "  "
    rows = [_row(number, step, look, files=files) for number, step in enumerate(plan.steps, start=1)]
    room = None if width is None else width - len(indent)
    lines: list[str] = []
    for step, line in zip(plan.steps, columns(rows, look=look, right=(0,), sizes=_SIZES, width=room), strict=True):
        lines.append(f"{indent}{line}")
        if isinstance(step.action, Refuse):
            lines.extend(_refusal(step.action, look, width))
    return lines


def _refusal(action: Refuse, look: Look, width: int | None) -> list[str]:
    lead, why = "cannot be done:", clean(action.why)
    hint = [f"       hint: {clean(action.hint)}"] if action.hint else []
    if width is None:
        return [f"       {look.paint(lead, 'bad')} {why}", *hint]
    return [part for line in (f"       {lead} {why}", *hint) for part in wrap(line, width, indent=" " * 9)]


def _reads(plan: Plan, look: Look) -> list[str]:
    """Say what templates read that is neither in the store nor on the command line."""
    calls = sorted({call for step in plan.steps for call in step.job.reads if not call.startswith("file(")})
    return [look.paint(f"Templates read {clean(', '.join(calls))}.", "dim")] if calls else []


def _warnings(plan: Plan, look: Look, *, width: int | None = None) -> list[str]:
    lines = [f"{look.paint('warning:', 'busy')} {clean(warning)}" for warning in plan.warnings]
    return [part for line in lines for part in wrap(line, width, indent="  ")]


def _row(number: int, step: Step, look: Look, *, files: bool) -> list[Cell]:
    words = change_words(step.change)
    refused = isinstance(step.action, Refuse)
    role = "bad" if refused else words.role
    return [
        (str(number), "dim"),
        (look.mark("failed" if refused else words.mark), role),
        (identity(step.name, step.ref.id, step.ref.namespace), ""),
        (step.change, role),
        (clean(step.job.version), ""),
        (f"after {join_names(step.needs)}" if step.needs else "", "dim"),
        (clean(step.job.file) if files else "", "dim"),
        (clean(step.cause), ""),
    ]


def _count_line(plan: Plan) -> str:
    if not plan.steps:
        return "Nothing to do."
    counts = Counter[str](step.change for step in plan.steps if not isinstance(step.action, Refuse))
    parts = [f"{counts[change]} {words.planned}" for change, words in CHANGES.items() if counts[change]]
    refused = len(plan.steps) - counts.total()
    parts.extend([f"{refused} that cannot be done"] if refused else [])
    if not plan.pending:
        return f"Nothing to {'stop' if plan.verb == 'stop' else 'change'}: {', '.join(parts)}."
    return f"Plan: {', '.join(parts)}."

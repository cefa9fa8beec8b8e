"""A plan as text: one line per step, then what it comes to."""

from __future__ import annotations

from collections import Counter
from typing import Final

from dtree.critical_path import critical_path
from dtree.plan import Plan, Refuse, Step
from dtree.views.style import PLAIN, Cell, Look, columns
from dtree.views.text import clean, count, duration, join_names, wrap
from dtree.views.words import CHANGES, change_words, head_line, identity, need_words

_SIZES: Final = {
    2: (0, 40),
    4: (0, 30),
    5: (0, 40),
    6: (0, 60),
    7: (0, 40),
}  # names, versions, needs, files, reasons: one long line does not push all the others apart

_PATH_ENDS: Final = 4
"""Jobs shown at each end of a long critical path."""


def plan_text(plan: Plan, look: Look = PLAIN, *, files: bool = False, verbose: bool = False, address: str = "") -> str:
    """Write a plan: what it is of; number, mark, job, change, needs and cause of every step, in order; then its warnings and its count.

    A step that cannot be done is marked `x` and followed by the reason and a hint.

    Args:
        plan: the plan.
        look: colours and marks.
        files: also where each job's text came from.
        verbose: that too, and why each job is part of the plan; and after the steps why each of the others is not.
        address: of the Nomad that it is for; "" leaves out the whole line that says what it is of.
    """
    head = [look.paint(head_line(_verb(plan), plan, address), "dim"), ""] if address else []
    lines = _step_lines(plan, look, files=files or verbose, verbose=verbose)
    lines += _out_lines(plan, look) if verbose else []
    notes = [*_reads(plan, look), *_path(plan, look), *_warnings(plan, look)]
    return "\n".join([*head, *lines, *([""] if lines else []), *notes, _count_line(plan)])


def plan_picture(
    plan: Plan, width: int, height: int, look: Look, note: str = "", *, address: str, files: bool = False, verbose: bool = False
) -> list[str]:
    """Write the same for a screen: lines that fit its size, what it is of and the count always among them.

    Args:
        plan: the plan.
        width: columns; lines are cut off before the last one.
        height: lines; one stays free for the cursor.
        look: colours and marks.
        note: a last line, such as why the plan is not up to date; "" for none.
        address: of the Nomad that it is for.
        files, verbose: as for `plan_text`.
    """
    last = [look.paint(line, "bad") for line in wrap(clean(note), width - 1)] if note else []
    room = max(height - len(("head", "count", "cursor")) - len(last), 1)
    out = [look.fit(line, width - 1) for line in _out_lines(plan, Look(unicode=look.unicode))] if verbose else []
    steps = _step_lines(plan, look, files=files or verbose, verbose=verbose, width=width - 1)
    lines = [*steps, *out, *_warnings(plan, Look(unicode=look.unicode), width=width - 1)]
    hidden = len(lines) - room + 1 if len(lines) > room else 0
    shown = lines[: len(lines) - hidden]
    more = [look.paint(f"{look.mark('ellipsis')} and {count(hidden, 'line')} more", "dim")] if hidden else []
    head = look.paint(look.fit(head_line(_verb(plan), plan, address), width - 1), "dim")
    return [head, *shown, *more, look.fit(_count_line(plan), width - 1), *last]


def _verb(plan: Plan) -> str:
    return "plan" if plan.verb == "run" else plan.verb


def _step_lines(plan: Plan, look: Look, *, files: bool, verbose: bool, width: int | None = None) -> list[str]:
    indent = "  "
    rows = [_row(number, step, look, files=files, verbose=verbose) for number, step in enumerate(plan.steps, start=1)]
    room = None if width is None else width - len(indent)
    lines: list[str] = []
    for step, line in zip(plan.steps, columns(rows, look=look, right=(0,), sizes=_SIZES, width=room), strict=True):
        lines.append(f"{indent}{line}")
        if isinstance(step.action, Refuse):
            lines.extend(_refusal(step.action, look, width))
    return lines


def _out_lines(plan: Plan, look: Look) -> list[str]:
    """Say which jobs of the file are left out, and why."""
    if not plan.out:
        return []
    rows: list[list[Cell]] = [[(clean(one.job), "dim"), (clean(one.reason), "dim")] for one in plan.out]
    return ["", look.paint("Left out:", "dim"), *(f"  {line}" for line in columns(rows, look=look, right=(), sizes={0: (0, 40)}))]


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


def _path(plan: Plan, look: Look) -> list[str]:
    """Say which chain of jobs decides how long it takes; not where it is one job, and no time is known."""
    path = critical_path(plan)
    if path is None or (len(path.jobs) == 1 and not path.least_s):
        return []
    jobs = [clean(job) for job in path.jobs]
    if len(jobs) > _PATH_ENDS * 2 + 1:
        jobs[_PATH_ENDS:-_PATH_ENDS] = [f"({len(jobs) - _PATH_ENDS * 2} more)"]
    least = f", at least {duration(path.least_s, whole=path.least_s.is_integer())}" if path.least_s else ""
    return [look.paint(f"critical path: {' -> '.join(jobs)}{least}", "dim")]


def _warnings(plan: Plan, look: Look, *, width: int | None = None) -> list[str]:
    lines = [f"{look.paint('warning:', 'busy')} {clean(warning)}" for warning in plan.warnings]
    return [part for line in lines for part in wrap(line, width, indent="  ")]


def _row(number: int, step: Step, look: Look, *, files: bool, verbose: bool) -> list[Cell]:
    words = change_words(step.change)
    refused = isinstance(step.action, Refuse)
    role = "bad" if refused else words.role
    return [
        (str(number), "dim"),
        (look.mark("failed" if refused else words.mark), role),
        (identity(step.name, step.ref.id, step.ref.namespace, step.ref.region), ""),
        (step.change, role),
        (clean(step.job.version), ""),
        (f"after {join_names(need_words(step))}" if step.needs else "", "dim"),
        (clean(step.job.file) if files else "", "dim"),
        (clean(step.reason) if verbose else "", "dim"),
        (clean(_cause(step)), ""),
    ]


def _cause(step: Step) -> str:
    """Say why, and what others than Nomad's lists are asked before the step counts as ready."""
    condition = step.condition
    asks = condition.parts or condition.probe is not None
    return f"{step.cause}; waits for {condition}" if asks else step.cause


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

"""An error as a person reads it."""

from __future__ import annotations

from dtree.errors import DtreeError, Fault
from dtree.views.style import PLAIN, Look
from dtree.views.text import clean


def error_text(error: DtreeError, look: Look = PLAIN) -> str:
    """Write an error, or all faults of a file one after another: code, what is wrong, where, and the hint.

    In plain text this is `str(error)`, but safe to print whatever the file held.
    """
    return "\n".join(_fault_text(fault, error.notes, look) for fault in error.faults)


def _fault_text(fault: Fault, notes: tuple[str, ...], look: Look) -> str:
    lines = [f"{look.paint(f'error[{clean(fault.code)}]:', 'bad')} {look.paint(clean(fault.problem), 'strong')}"]
    if fault.place is not None:
        lines.append(f"  {look.paint('-->', 'dim')} {clean(str(fault.place))}")
    lines.extend(f"  {clean(line)}" for note in notes for line in note.splitlines() or [""])
    if fault.hint:
        lines.append(f"  {look.paint('hint:', 'busy')} {clean(fault.hint)}")
    return "\n".join(lines)

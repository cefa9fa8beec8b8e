"""An error as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from dtree.errors import DtreeError, Fault
from dtree.views.style import PLAIN, Look, Role
from dtree.views.text import clean, wrap


def error_text(error: DtreeError, look: Look = PLAIN, *, width: int | None = None, whole_words: bool = True) -> str:
    """Write an error, or all faults of a file one after another: code, what is wrong, where, and the hint.

    In plain text this is `str(error)`, but safe to print whatever the file held.

    Args:
        error: the error.
        look: colours.
        width: columns of the terminal, where lines are broken at blanks; None: nowhere.
        whole_words: as in `wrap`.
    """
    broken = partial(_broken, look=look, width=width, whole_words=whole_words)
    *others, last = error.faults
    parts = [part for fault in others for part in _parts(fault, ())] + list(_parts(last, error.notes))  # notes are of all of them, once
    return "\n".join(line for part in parts for line in broken(*part))


def warning_text(faults: Sequence[Fault], look: Look = PLAIN, *, width: int | None = None) -> str:
    """Write faults that are only warnings, in the form of errors; arguments as for `error_text`."""
    broken = partial(_broken, look=look, width=width, whole_words=True)
    return "\n".join(line for fault in faults for part in _parts(fault, (), "warning", "busy") for line in broken(*part))


def _parts(fault: Fault, notes: tuple[str, ...], word: str = "error", role: Role = "bad") -> Iterator[tuple[str, Role, str, Role]]:
    """Yield the lines of a fault: what each begins with, in which colour, and the rest."""
    yield f"{word}[{clean(fault.code)}]:", role, f" {clean(fault.problem)}", "strong"
    if fault.place is not None:
        yield "  -->", "dim", f" {clean(str(fault.place))}", ""
    for note in notes:
        yield from (("", "", f"  {clean(line)}", "") for line in note.splitlines() or [""])
    if fault.hint:
        yield "  hint:", "busy", f" {clean(fault.hint)}", ""


def _broken(lead: str, lead_role: Role, text: str, role: Role, *, look: Look, width: int | None, whole_words: bool) -> Iterator[str]:
    first, *others = wrap(lead + text, width, indent="    ", whole_words=whole_words)
    rest = first.removeprefix(lead)
    yield look.paint(lead, lead_role) + rest[:1] + look.paint(rest[1:], role) if rest != first else first
    yield from (f"    {look.paint(line[4:], role)}" for line in others)

"""What differs between two stores, as text: one line per file, and its lines where they were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Final

from dtree.store import Text
from dtree.transfer import Change, Difference, Kind
from dtree.views.style import PLAIN, Cell, Look, Role, columns
from dtree.views.text import clean, count

_CHANGES: Final[Mapping[Change, tuple[str, Role, str]]] = {
    # change: (mark, colour, in the count)
    "add": ("+", "good", "to add"),
    "change": ("~", "busy", "to change"),
    "remove": ("-", "bad", "to remove"),
    "keep": ("=", "dim", "kept"),
}
_KINDS: Final[Mapping[Kind, str]] = {"depfile": "dependency file", "job": "job file", "file": "file"}
_LINE_ROLES: Final[Mapping[str, Role]] = {"+": "good", "-": "bad", "@": "busy"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two stores that are compared.

    Attributes:
        store: its name.
        revision: which state of it was read.
    """

    store: str
    revision: str


def transfer_text(differences: Sequence[Difference], *, source: Side, target: Side, look: Look = PLAIN, lines: bool = False) -> str:
    """Write what would become of the files of `target`, and how many of each.

    Args:
        differences: from the target to the source.
        source: what is read.
        target: what is written to.
        look: colours and marks.
        lines: also the lines of each file that differ.
    """
    rows = [_row(one, one.change, one.cause or _why_kept(one, source), look) for one in differences]
    counts = Counter(one.change for one in differences)
    counted = ", ".join(f"{counts[change]} {words}" for change, (_, _, words) in _CHANGES.items() if counts[change])
    pending = any(one.change != "keep" for one in differences)
    last = f"{clean(target.store)}: {counted}." if pending else f"Nothing to write{f': {counted}' if counted else ''}."
    return _whole(differences, rows, last, old=target, new=source, look=look, lines=lines)


def difference_text(differences: Sequence[Difference], *, first: Side, second: Side, look: Look = PLAIN, lines: bool = False) -> str:
    """Write in what two stores differ.

    Args:
        differences: from the first to the second, pruned.
        first: one store.
        second: the other one.
        look: colours and marks.
        lines: also the lines of each file that differ.
    """
    words = {"add": f"only in {clean(second.store)}", "remove": f"only in {clean(first.store)}", "change": "differs"}
    rows = [_row(one, words[one.change], "", look) for one in differences]
    last = f"{count(len(differences), 'file')} of {clean(first.store)} and {clean(second.store)} differ."
    if not differences:
        last = f"No difference between {clean(first.store)} and {clean(second.store)}."
    elif len(differences) == 1:
        last = last.replace("differ.", "differs.")
    return _whole(differences, rows, last, old=first, new=second, look=look, lines=lines)


def diff_lines(difference: Difference, *, old: str, new: str) -> list[str]:
    """Return the lines of a file that differ, in the unified form; [] where it is no text.

    Args:
        difference: the file.
        old: name of the store on the old side.
        new: on the new side.
    """
    if is_binary(difference.old) or is_binary(difference.new):
        return []
    before, after = (f"{store}:{text.path}" if text else "/dev/null" for store, text in ((old, difference.old), (new, difference.new)))
    made = unified_diff(_lines(difference.old), _lines(difference.new), before, after)
    return [part for line in made for part in _printable(line)]


def body_lines(difference: Difference, *, old: str, new: str, look: Look = PLAIN) -> Iterator[str]:
    """Yield the lines of a file that differ, coloured; of what is no text how large it is. Arguments as for `diff_lines`."""
    found = diff_lines(difference, old=old, new=new)
    for number, line in enumerate(found):
        role: Role = "strong" if number < len(("---", "+++")) else _LINE_ROLES.get(line[:1], "")
        yield look.paint(clean(line), role)
    if not found:
        sizes = " and ".join(str(len(text.data)) for text in (difference.old, difference.new) if text)
        what = "empty" if sizes == "0" else f"binary, {sizes} bytes"
        yield f"{' '.join(filter(None, (_KINDS[difference.kind], clean(difference.path))))}: {what}"


def is_binary(text: Text | None) -> bool:
    """Tell whether a file is something else than text."""
    if text is None:
        return False
    try:
        return "\0" in text.data.decode()
    except UnicodeDecodeError:
        return True


def _whole(differences: Sequence[Difference], rows: list[list[Cell]], last: str, *, old: Side, new: Side, look: Look, lines: bool) -> str:
    shown = [f"  {line}" for line in columns(rows, look=look, sizes={3: (0, 60)})]
    for one in differences if lines else ():
        if one.change != "keep":
            shown.extend(["", *body_lines(one, old=old.store, new=new.store, look=look)])
    return "\n".join([*shown, *([""] if shown else []), last])


def _row(difference: Difference, word: str, cause: str, look: Look) -> list[Cell]:
    mark, role, _ = _CHANGES[difference.change]
    return [
        (look.mark(mark), role),
        (word, role),
        (_KINDS[difference.kind], "dim"),
        (clean(difference.path), ""),
        (clean(cause), "dim"),
    ]


def _why_kept(difference: Difference, source: Side) -> str:
    return f"not in {source.store}; --prune removes it" if difference.change == "keep" else ""


def _lines(text: Text | None) -> list[str]:
    """Split at line feeds only, keeping them."""
    whole = text.data.decode() if text else ""
    *full, last = whole.split("\n")
    return [f"{line}\n" for line in full] + ([last] if last else [])


def _printable(line: str) -> Iterator[str]:
    yield line.removesuffix("\n").replace("\r", "\\r")
    if not line.endswith("\n"):
        yield "\\ No newline at end of file"

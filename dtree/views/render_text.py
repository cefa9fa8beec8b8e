"""What differs between the rendered jobs of two refs, as a unified diff."""

from __future__ import annotations

from collections.abc import Mapping

from dtree.store import Text
from dtree.transfer import Change, Difference
from dtree.views.style import PLAIN, Look
from dtree.views.transfer_text import body_lines

Files = Mapping[str, tuple[str, str]]
"""File and rendered text of each job, by its name."""


def difference_text(old: Files, new: Files, *, refs: tuple[str, str], look: Look = PLAIN) -> str:
    """Write the lines that differ, job by job, those that only one side has as added or removed; "" where none differ.

    Args:
        refs: names of the two sides.
        look: colours.
    """
    parts = []
    for job in sorted({*old, *new}):
        before, after = (_text(side, job, ref) for side, ref in zip((old, new), refs, strict=True))
        if before is None or after is None or before.data != after.data:
            change: Change = "add" if before is None else "remove" if after is None else "change"
            lines = body_lines(Difference("job", job, change, before, after), old=refs[0], new=refs[1], look=look)
            words = {"add": f"only in {refs[1]}", "remove": f"only in {refs[0]}", "change": "differs"}
            parts.append("\n".join([f"job '{job}' {words[change]}", *lines]))
    return "\n\n".join(parts)


def _text(files: Files, job: str, ref: str) -> Text | None:
    if job not in files:
        return None
    file, text = files[job]
    return Text(file.removeprefix(f"{ref}:"), text.encode())  # a Git store says itself at which ref

"""What came of asking for artifacts, as text: one line for all, and one for each that could not be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from dtree.artifacts import Checked, why_unknown
from dtree.views.style import PLAIN, Look
from dtree.views.text import clean


def artifacts_text(checked: Sequence[Checked], look: Look = PLAIN) -> str:
    """Write how many artifacts are there, and each that was not checked with the reason. What is missing is an error of its own."""
    return "\n".join(_lines(checked, look))


def artifacts_picture(checked: Sequence[Checked], width: int, height: int, look: Look) -> list[str]:
    """Return the same for a screen: lines that fit its width, and no more than `height` of them, the count always among them."""
    first, *others = _lines(checked, Look(unicode=look.unicode))
    room = max(height - 1, 0)
    hidden = len(others) - max(room - 1, 0) if len(others) > room else 0
    more = [f"  {look.mark('ellipsis')} and {hidden} more not checked"] if hidden and room else []
    return [look.fit(line, width - 1) for line in (first, *others[: len(others) - hidden], *more)]


def _lines(checked: Sequence[Checked], look: Look) -> list[str]:
    if not checked:
        return ["Artifacts: nothing to ask for."]
    unknown = [one for one in checked if one.answer.state == "not checked"]
    there = sum(one.answer.state == "there" for one in checked)
    counted = f"{there} {'is' if there == 1 else 'are'} there" if there else ""
    parts = [counted, f"{len(unknown)} not checked" if unknown else ""]
    return [f"Artifacts: {', '.join(filter(None, parts))}.", *(_line(one, look) for one in unknown)]


def _line(one: Checked, look: Look) -> str:
    return f"  {look.paint('not checked:', 'busy')} {clean(why_unknown(one))}"

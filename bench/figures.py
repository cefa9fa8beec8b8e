"""A measured series and its line in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import fill
from typing import Literal

Unit = Literal["s", "ms", "MB", ""]
""""" is a plain number of things."""

_WIDTH = 138


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing, measured several times.

    Attributes:
        values: in the order measured.
        base: what it is compared with; None where it is itself a base.
        aim: the most that the median may be, in its own unit; None for none.
        aim_text: the aim as it was set, where it is no plain number.
    """

    name: str
    unit: Unit
    values: tuple[float, ...]
    base: Figure | None = None
    aim: float | None = None
    aim_text: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return median(self.values)

    @property
    def is_met(self) -> bool:
        """Whether the median keeps to the aim; true without one."""
        return self.aim is None or self.median <= self.aim


@dataclass(frozen=True, slots=True)
class Section:
    """One table: a title, a line about how it was made, and its figures."""

    title: str
    note: str
    figures: tuple[Figure, ...]


def markdown(sections: Sequence[Section], machine: str) -> str:
    """Return the tables as they stand in the document."""
    parts = [machine]
    for section in sections:
        head = "| | min | median | ratio of medians | aim | |\n|---|---:|---:|---:|---:|---|"
        lines = "\n".join(_line(figure) for figure in section.figures)
        parts.append(f"### {section.title}\n\n{fill(section.note, _WIDTH)}\n\n{head}\n{lines}")
    return "\n\n".join(parts)


def _line(figure: Figure) -> str:
    ratio = f"{figure.median / figure.base.median:.2f}" if figure.base is not None else ""
    aim = ""
    if figure.aim is not None:
        aim = _shown(figure.aim, figure.unit) + (f" ({figure.aim_text})" if figure.aim_text else "")
    verdict = "" if figure.aim is None else "met" if figure.is_met else "**missed**"
    low, middle = _shown(min(figure.values), figure.unit), _shown(figure.median, figure.unit)
    return f"| {figure.name} | {low} | {middle} | {ratio} | {aim} | {verdict} |"


def _shown(value: float, unit: Unit) -> str:
    text = f"{value:.2f}" if unit == "s" else f"{value:.0f}"
    return f"{text} {unit}".rstrip()

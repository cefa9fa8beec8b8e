"""Templates: from the text of a store and values to the text that goes to Nomad.

`process.render` is what the pipeline calls. It starts one child process for all templates of a call, which `engine` works in, and answers
what they ask for. What both sides know stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["DELIMITERS", "Rendered", "Template", "TemplateFault", "Unanswered", "has_template"]

DELIMITERS: Final = ("[[", "[%", "[#")


def has_template(source: str) -> bool:
    """Whether a text has anything for the template engine: without a delimiter it passes as it is."""
    return any(mark in source for mark in DELIMITERS)


@dataclass(frozen=True, slots=True)
class Template:
    """A job file to be rendered.

    Attributes:
        job: name of the job.
        file: name of the file, for errors.
        source: its text.
        values: of its variables, by name: what JSON can hold.
    """

    job: str
    file: str
    source: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One thing wrong in a template; `column` is 0 where it is not known."""

    code: str
    problem: str
    file: str
    line: int
    column: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of a template.

    Attributes:
        text: the job file for Nomad.
        used: names of the variables that it, or what it includes, reads anywhere.
        asked: what it asked for beyond its variables, as (kind, argument, …), in order.
    """

    text: str = field(repr=False)
    used: frozenset[str] = frozenset()
    asked: tuple[tuple[str, ...], ...] = ()


class Unanswered(Exception):
    """What a template asks for cannot be had: code, problem and hint of the fault that this makes of it."""

    def __init__(self, code: str, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.code, self.problem, self.hint = code, problem, hint

"""What goes into rendering, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Rendered", "Template", "TemplateFault"]


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
    """One thing wrong in a template; `column` is 0 where it is not known.

    Attributes:
        known: what can be told of the template all the same, with no text; None for nothing.
    """

    code: str
    problem: str
    file: str
    line: int
    column: int = 0
    hint: str = ""
    known: Rendered | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of a template.

    Attributes:
        text: the job file for Nomad.
        used: names of the variables that it, or what it includes, reads anywhere.
        asked: what it asked for beyond its variables, as (kind, argument, …), in order.
        own: those of `used` that are no variables, because it gives them a value itself, or Jinja does.
    """

    text: str = field(repr=False)
    used: frozenset[str] = frozenset()
    asked: tuple[tuple[str, ...], ...] = ()
    own: frozenset[str] = frozenset()

"""Templates: from the text of a store and values to the text that goes to Nomad.

`process.render` is what the pipeline calls. It starts one child process for all templates of a call, which `engine` works in, and answers
what they ask for. What a job file without any template needs to know stands here.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DELIMITERS", "Unanswered", "has_template"]

DELIMITERS: Final = ("[[", "[%", "[#")


def has_template(source: str) -> bool:
    """Whether a text has anything for the template engine: without a delimiter it passes as it is."""
    return any(mark in source for mark in DELIMITERS)


class Unanswered(Exception):
    """What a template asks for cannot be had: code, problem and hint of the fault that this makes of it."""

    def __init__(self, code: str, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.code, self.problem, self.hint = code, problem, hint

"""Names that mean something: Nomad's default namespace, what every template has, and what a variable can be called. Pure.

It stands apart from the values that have these names, because many a process needs no more than the names.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["BUILT_IN", "DEFAULT_NAMESPACE", "NAMESPACE", "NAMESPACE_WORDS", "VARIABLE_NAME", "why_no_name"]

DEFAULT_NAMESPACE: Final = "default"
"""Where Nomad puts what names no namespace."""

NAMESPACE: Final = "[A-Za-z0-9-]{1,128}"
"""Pattern of the names of namespaces. Source: Nomad 1.11.3, which refuses to make others."""

NAMESPACE_WORDS: Final = "made of letters, digits and dashes, at most 128"

BUILT_IN: Final = ("version", "versions", "ref", "commit", "commit_date")
"""Names that every template has, and that no variable can have."""

VARIABLE_NAME: Final = rf"(?!(?:{'|'.join(BUILT_IN)})$)[A-Za-z_][A-Za-z0-9_]*"
"""Pattern of the names of variables, in what Python and ECMAScript have in common."""
_LONGEST: Final = 60
"""Characters of a wrong name that are shown."""


def why_no_name(name: str) -> tuple[str, str] | None:
    """Return why nothing can be called so that templates read by its name, and what to do; None where it can."""
    if name in BUILT_IN:
        hint = "--version JOB=VERSION gives a job its version" if name == "version" else "choose another name"
        return f"no variable can be called '{name}': every template has that already", hint
    if not re.fullmatch(VARIABLE_NAME, name):
        return f"no variable can be called {name[:_LONGEST]!r}", "a name has letters, digits and underscores, and no digit first"
    return None

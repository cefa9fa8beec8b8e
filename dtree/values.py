"""Values that users give to templates, each with where it came from. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dtree.errors import Place

if TYPE_CHECKING:
    from dtree.declaration import Declaration

__all__ = [
    "Given",
    "Layer",
    "Origin",
    "call_of",
    "layers_of",
    "variables_of",
    "why_no_value",
]

_CALLS: Final = {"file": "file", "env": "env", "consul": "consul_key", "nomad": "nomad_var"}
"""Functions of templates, by the kind of question that they ask."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        layer: in the user's words: `vars of job 'api'`, `--var`, `staging.yaml`.
        place: file, line and key, where there is one.
    """

    layer: str
    place: Place | None = None

    def __str__(self) -> str:
        return f"{self.layer} ({self.place})" if self.place is not None else self.layer


@dataclass(frozen=True, slots=True)
class Given:
    """A value of a variable.

    Attributes:
        value: what JSON can hold.
        is_text: it was given as text, and is whatever type the HCL2 variable of its name has.
        secret: it is shown nowhere.
    """

    value: Any = field(repr=False)
    origin: Origin
    is_text: bool = False
    secret: bool = False


Layer = Mapping[str, Given]


@dataclass(frozen=True, slots=True)
class Declared:
    """An artifact version as somebody declared it for a job.

    Attributes:
        text: a literal, or a source such as `git:short`; `version_text.parse_version` takes it apart.
        folder: of this machine, that the path of a repository starts from; None where none may be named.
    """

    text: str
    origin: Origin
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """Versions and images that were fixed by `versions lock`.

    Attributes:
        versions: by job.
        images: digest by the image's name as a job file has it: `registry.example/api:1.4.2` -> `sha256:…`.
    """

    versions: Mapping[str, Declared] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


def variables_of(job: str, declaration: Declaration, entry_variables: Mapping[str, Any], layers: Sequence[Layer]) -> Layer:
    """Put the layers of a job's variables together: `defaults.vars`, its own `vars`, then `layers`; later ones win.

    Args:
        entry_variables: the `vars` of its own entry.
    """
    found: dict[str, Given] = {}
    for layer in layers_of(job, declaration, entry_variables, layers):
        found |= layer
    return found


def layers_of(job: str, declaration: Declaration, entry_variables: Mapping[str, Any], layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers of a job's variables, the lowest first; arguments as for `variables_of`."""
    place = declaration.locator.place
    defaults = {
        name: Given(value, Origin("defaults.vars", place(("defaults", "vars", name))))
        for name, value in declaration.defaults.variables.items()
    }
    own = {
        name: Given(value, Origin(f"vars of job '{job}'", place(("dependencies", job, "vars", name))))
        for name, value in entry_variables.items()
    }
    return (defaults, own, *layers)


def call_of(question: Sequence[str]) -> str:
    """Return a question as a template writes it, `nomad_var("app/db", "password")`; "" for one that is no function there."""
    kind, *arguments = question
    return f"{_CALLS[kind]}({', '.join(map(json.dumps, arguments))})" if kind in _CALLS else ""


def why_no_value(value: object) -> str:
    """Return why a value cannot stand in a job file, "" where it can: bytes that are no text, and numbers without end."""
    match value:
        case str():
            return "" if value.isascii() or value.encode(errors="ignore").decode() == value else "it is not UTF-8"
        case float():
            return "" if math.isfinite(value) else "it is not a finite number"
        case Mapping():
            return next(filter(None, map(why_no_value, (*value, *value.values()))), "")
        case list() | tuple():
            return next(filter(None, map(why_no_value, value)), "")
        case _:
            return ""

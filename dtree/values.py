"""Values that users give to templates, each with where it came from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dtree.errors import Place
from dtree.model import Declaration
from dtree.secrets import Secrets

__all__ = [
    "BUILT_IN",
    "VARIABLE_NAME",
    "Given",
    "Inputs",
    "JobText",
    "Layer",
    "Origin",
    "call_of",
    "layers_of",
    "variables_of",
    "why_no_name",
]

BUILT_IN: Final = ("version", "versions", "ref", "commit", "commit_date")
"""Names that every template has, and that no variable can have."""

VARIABLE_NAME: Final = rf"(?!(?:{'|'.join(BUILT_IN)})$)[A-Za-z_][A-Za-z0-9_]*"
"""Pattern of the names of variables, in what Python and ECMAScript have in common."""
_LONGEST: Final = 60
"""Characters of a wrong name that are shown."""

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


@dataclass(frozen=True, slots=True)
class Inputs:
    """What templates are given beside what the store holds.

    Attributes:
        layers: values of variables for all jobs; later ones win, and all of them over the dependency file.
        environment: name of the environment in use; "" for none.
        named: variables that the command line gives one by one: it is an error where nothing reads them.
        nomad_variables: values that only HCL2 variables get, below all others: those of Nomad's own NOMAD_VAR_x.
        versions: artifact versions by job, of the command line and its files; they go before what the store says.
        locked: versions are those of a lock and no others.
        lock: it, where it is not to be read from the store.
        require_clean: nothing is run from files that are not as they were committed.
        answer: answers what a template asks for, but for files, versions and what is known of the store: `answer(kind, *arguments)`.
        secrets: keeps what may be shown nowhere.
    """

    layers: Sequence[Layer] = ()
    environment: str = ""
    named: frozenset[str] = frozenset()
    nomad_variables: Layer = field(default_factory=dict)
    versions: Mapping[str, Declared] = field(default_factory=dict)
    locked: bool = False
    lock: Lock | None = None
    require_clean: bool = False
    answer: Callable[..., Any] | None = None
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(frozen=True, slots=True)
class JobText:
    """A job file as it goes to Nomad's parser.

    Attributes:
        file: name of the file, as the store calls it.
        source: the rendered text.
        template: the text in the store.
        reads: names that the template reads anywhere, some of which may be its own, and those of the HCL2 variables that it declares.
        values: of the variables that the template reads, by name.
        asked: what the template asked for beyond them, as (kind, argument, …).
        given: of the HCL2 variables that it declares and that are given a value, by name.
        variables: the same as the text of a variables file.
        version: the artifact version that is declared for the job; "" for none.
        shown: the rendered text as it may be shown, with secrets hidden; "" where it holds none.
    """

    file: str
    source: str = field(repr=False)
    template: bytes = field(repr=False)
    values: Layer = field(default_factory=dict)
    asked: tuple[tuple[str, ...], ...] = ()
    given: Layer = field(default_factory=dict)
    variables: str = field(default="", repr=False)
    version: str = ""
    shown: str = field(default="", repr=False)
    reads: frozenset[str] = frozenset()


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


def why_no_name(name: str) -> tuple[str, str] | None:
    """Return why nothing can be called so that templates read by its name, and what to do; None where it can."""
    if name in BUILT_IN:
        hint = "--version JOB=VERSION gives a job its version" if name == "version" else "choose another name"
        return f"no variable can be called '{name}': every template has that already", hint
    if not re.fullmatch(VARIABLE_NAME, name):
        return f"no variable can be called {name[:_LONGEST]!r}", "a name has letters, digits and underscores, and no digit first"
    return None

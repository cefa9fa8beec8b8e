"""Values that users give to templates, each with where it came from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtree.errors import Place
from dtree.model import Declaration

__all__ = ["Given", "Inputs", "JobText", "Layer", "Origin", "variables_of"]


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
class Inputs:
    """What templates are given beside what the store holds.

    Attributes:
        layers: values of variables for all jobs; later ones win, and all of them over the dependency file.
        environment: name of the environment in use; "" for none.
        versions: artifact versions by job, of the command line and its files; they go before what the store says.
        answer: answers what a template asks for, but for files, versions and what is known of the store: `answer(kind, *arguments)`.
    """

    layers: Sequence[Layer] = ()
    environment: str = ""
    versions: Layer = field(default_factory=dict)
    answer: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class JobText:
    """A job file as it goes to Nomad's parser.

    Attributes:
        file: name of the file, as the store calls it.
        source: the rendered text.
        template: the text in the store.
        values: of the variables that the template reads, by name.
        asked: what the template asked for beyond them, as (kind, argument, …).
        variables: values of the HCL2 variables that it declares, as the text of a variables file.
        version: the artifact version that is declared for the job; "" for none.
    """

    file: str
    source: str = field(repr=False)
    template: bytes = field(repr=False)
    values: Layer = field(default_factory=dict)
    asked: tuple[tuple[str, ...], ...] = ()
    variables: str = field(default="", repr=False)
    version: str = ""


def variables_of(job: str, declaration: Declaration, entry_variables: Mapping[str, Any], layers: Sequence[Layer]) -> Layer:
    """Put the layers of a job's variables together: `defaults.vars`, its own `vars`, then `layers`; later ones win.

    Args:
        entry_variables: the `vars` of its own entry.
    """
    place = declaration.locator.place
    found = {
        name: Given(value, Origin("defaults.vars", place(("defaults", "vars", name))))
        for name, value in declaration.defaults.variables.items()
    }
    found |= {
        name: Given(value, Origin(f"vars of job '{job}'", place(("dependencies", job, "vars", name))))
        for name, value in entry_variables.items()
    }
    for layer in layers:
        found |= layer
    return found

"""What templates are given beside what the store holds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dtree.secrets import Secrets

if TYPE_CHECKING:
    from dtree.values import Declared, Layer, Lock

__all__ = ["Inputs"]


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

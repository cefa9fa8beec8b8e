"""What a template reads that is no plain value: functions that ask, `env`, `versions`, and names without a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import jinja2
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.utils import missing

from dtree import names
from dtree.render import Unanswered

__all__ = ["BUILT_IN", "Ask", "Environ", "Function", "Missing", "NoEnvironment", "Undefined", "Versions", "unanswered"]

BUILT_IN: Final = (*names.BUILT_IN, "env")
"""Names that every template has, without anybody giving them a value."""

Ask = Callable[..., Any]
"""`ask(kind, *arguments)`: the answer; raises Unanswered."""


class Missing(jinja2.UndefinedError):
    """A name without a value.

    Attributes:
        known: where it is a part of something, the parts there are.
    """

    def __init__(self, name: str, owner: Any, told: str) -> None:  # noqa: ANN401 - a template's value
        exported = re.search(r"the template (.*) \(imported", told)
        self.name = name
        self.is_variable = owner is missing and exported is None
        self.known = (
            sorted(filter(_is_public, map(str, vars(owner) if isinstance(owner, TemplateModule) else owner))) if _has_parts(owner) else []
        )
        self.problem = f"'{name}' has no value" if self.is_variable else f"there is no '{name}' in this {_kind(owner)}"
        if exported is not None:
            self.problem = f"{exported[1]} has no '{name}' to import"
        self.hint = _HINT.format(name) if self.is_variable else ""
        super().__init__(self.problem)


class Undefined(jinja2.StrictUndefined):
    """A name without a value: an error as soon as it is used, unless a template asks first whether it is defined."""

    def __init__(self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = None) -> None:  # noqa: ANN401 - jinja2's
        raised = (
            exc if isinstance(exc, partial) else partial(_forbidden if exc is SecurityError else _missing, str(name or ""), obj, hint or "")
        )
        super().__init__(hint, obj, name, raised)  # type: ignore[arg-type] # it is called as a class is


class NoEnvironment(Undefined):
    """`env` where no environment is chosen: no text, but still the function."""

    unsafe_callable = alters_data = False
    jinja_pass_arg = None  # jinja2 asks for these three before it calls

    def __init__(self, ask: Ask) -> None:
        fault = Unanswered(
            "undefined-name", "'env' has no value: no environment is chosen", "choose one with --env or NOMAD_DTREE_ENV, or --var env=NAME"
        )
        super().__init__(name="env", exc=partial(_raised, fault))
        self.__dict__["_ask"] = ask

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        """Return a variable of the process."""
        return Function("env", 1, self.__dict__["_ask"])(*arguments)


class Environ(str):  # noqa: SLOT000 - text cannot have slots of its own
    """`[[ env ]]`, the name of the environment in use, and `[[ env("NAME") ]]`, a variable of the process."""

    def __new__(cls, chosen: str, ask: Ask) -> Environ:  # noqa: PYI034 - typing.Self says no more
        """Make the text, which can be called too."""
        made = super().__new__(cls, chosen)
        made.__dict__["_ask"] = ask
        return made

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        """Return a variable of the process."""
        return Function("env", 1, self.__dict__["_ask"])(*arguments)


class Function:
    """A function for templates, which asks; named, so that forgetting to call it can be told."""

    def __init__(self, name: str, count: int, ask: Ask, kind: str = "") -> None:
        self.name = name
        self._count, self._ask, self._kind = count, ask, kind or name

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - a template's values
        """Ask for what the arguments name. Raises Unanswered: there is none, or they are not those that it takes."""
        if len(arguments) != self._count or not all(isinstance(one, str) for one in arguments):
            wanted = "one text" if self._count == 1 else f"{self._count} texts"
            raise Unanswered("bad-template", f"{self.name}(…) takes {wanted} in its brackets", "see docs/reference/templates.md")
        answer = self._ask(self._kind, *map(str, arguments))
        return answer[1] if self._kind == "file" else answer


class Versions(Mapping[str, Any]):
    """`versions.api`: the version of any job, asked for when it is used."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, job: str) -> Any:  # noqa: ANN401 - a text, or what fails where it is used
        try:
            return str(self._ask("version", str(job)))
        except Unanswered as error:
            return unanswered(str(job), error)

    def __contains__(self, job: object) -> bool:
        return job in self._ask("versions")

    def __iter__(self) -> Iterator[str]:
        return iter(self._ask("versions"))

    def __len__(self) -> int:
        return len(self._ask("versions"))


def unanswered(name: str, error: Unanswered) -> Undefined:
    """Return a name that has no value because of `error`, which is raised where it is used."""
    return Undefined(name=name, exc=partial(_raised, error))


_HINT: Final = (
    "give it one: `vars` in the dependency file, --var-file, or --var {}=VALUE; "
    "where the brackets are the job's own, `template: false` in its entry passes the file as it is"
)


def _has_parts(owner: object) -> bool:
    return type(owner) is dict or isinstance(owner, TemplateModule)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _missing(name: str, owner: Any, told: str, message: str | None = None) -> Missing:  # noqa: ANN401, ARG001 - called with jinja2's words
    return Missing(name, owner, told)


def _forbidden(name: str, owner: Any, told: str, message: str | None = None) -> SecurityError:  # noqa: ANN401, ARG001 - as above
    return SecurityError(f"'{name}' of a {_kind(owner)} is nothing for a template")


def _raised(error: Unanswered, message: str | None = None) -> Unanswered:  # noqa: ARG001 - as above
    return error


def _kind(value: Any) -> str:  # noqa: ANN401 - a template's value
    return {
        "dict": "map",
        "list": "list",
        "str": "text",
        "int": "number",
        "float": "number",
        "bool": "boolean",
        "Versions": "list of versions",
    }.get(type(value).__name__, "value")

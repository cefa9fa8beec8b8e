"""Options that commands share, and settings as typer parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import typer

from dtree import config
from dtree.cli.chosen import refuse_unclear_options
from dtree.cli.complete import complete_environments, complete_jobs, complete_selectors, complete_stores
from dtree.cli.invocation import Invocation
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings, leading_arguments
from dtree.config import Setting
from dtree.errors import DtreeError, UsageError

Jobs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB]...", help="Jobs to begin from; what they need comes along.", autocompletion=complete_jobs),
]
JobsToStop = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB]...", help="Jobs to stop; with --deep what only they need too.", autocompletion=complete_jobs),
]
JobsToPromote = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Jobs whose canaries are promoted.", autocompletion=complete_jobs)
]
Job = Annotated[
    list[str] | None, typer.Option("--job", metavar="JOB", help="The same as an option; may be repeated.", autocompletion=complete_jobs)
]
All = Annotated[bool, typer.Option("--all", help="Every job of the dependency file.")]
Selector = Annotated[
    list[str] | None,
    typer.Option("--selector", metavar="tag=NAME", help="Also the jobs with this tag; may be repeated.", autocompletion=complete_selectors),
]
Skip = Annotated[
    list[str] | None,
    typer.Option(
        "--skip", metavar="JOB", help="Leave this job as it is, whatever needs it; may be repeated.", autocompletion=complete_jobs
    ),
]
SkipInStop = Annotated[
    list[str] | None,
    typer.Option(
        "--skip", metavar="JOB", help="Leave this job running, or do without this hook; may be repeated.", autocompletion=complete_jobs
    ),
]
Only = Annotated[bool, typer.Option("--only", help="Without what the jobs need: that has to be ready already.")]
WithDependents = Annotated[bool, typer.Option("--with-dependents", help="Also all that needs these jobs, directly or not.")]
Output = Annotated[Literal["text", "json"], typer.Option("--output", help="json: for programs, on standard output.", show_default=True)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only failures and the summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Every event.")]

NOMAD_PANEL: Final = "Nomad (for stores that live there)"
"""Panel of Nomad's options in the help of commands that need Nomad for nothing but a store."""

FLAGS: Final = frozenset(
    (
        *("job", "all", "output", "quiet", "verbose", "force", "deep", "purge", "detailed-exitcode", "nomad", "format", "watch", "keep"),
        *("from", "to", "yes", "dry-run", "prune", "diff", "into", "declared", "no-images"),
        *("out", "show-secrets"),
        *("selector", "skip", "only", "with-dependents", "strict"),
        *("help", "install-completion", "show-completion"),
    )
)
"""Names of options that commands declare themselves, without dashes; tests compare this with the commands."""

RESERVED: Final = frozenset(
    (*FLAGS, config.TYPE, *(name for setting in config.BUILT_IN for name in (setting.name, f"no-{setting.name}", *setting.flags)))
)
"""Names that no option of a store may have."""

_METAVARS: Final = {
    "str": "TEXT",
    "int": "N",
    "float": "N",
    "path": "PATH",
    "duration": "DURATION",
    "list": "NAME",
    "texts": "TEXT",
    "paths": "PATH",
}
_REPEATED: Final = ("list", "texts", "paths")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as its module declares it.

    Attributes:
        function: gets an Invocation first, then its own parameters by name; returns the exit code.
        settings: panel of the help -> settings that become options and are resolved for the invocation.
        uses_store: the class of the store in use is loaded, its options join in.
        roles: the same of stores that other settings name.
        store_arguments: the same of stores that the function's first arguments name.
        has_exit_codes: its help lists them.
    """

    function: Callable[..., int]
    settings: Mapping[str, tuple[Setting, ...]]
    uses_store: bool = False
    roles: tuple[Setting, ...] = ()
    store_arguments: tuple[str, ...] = ()
    has_exit_codes: bool = False

    @property
    def help(self) -> str:
        """The docstring of the function."""
        return inspect.getdoc(self.function) or ""

    @property
    def store_roles(self) -> tuple[Setting, ...]:
        """The settings that name the stores it works with."""
        return (config.STORE, *self.roles) if self.uses_store else self.roles

    def named_stores(self, argv: Iterable[str]) -> dict[str, str]:
        """Return the stores that its first arguments name, by argument, before the command line is parsed."""
        names = leading_arguments(list(argv), len(self.store_arguments), switches=_SWITCHES)
        return dict(zip(self.store_arguments, names, strict=False))


def bind(command: Command, surroundings: Surroundings, signals: Signals) -> Callable[..., int]:
    """Return the function that typer is given: the command's own parameters, then its settings, then the store's options."""
    settings = [setting for group in command.settings.values() for setting in group]
    panels = dict(command.settings)
    if command.store_roles or command.store_arguments:
        shared = (*command.store_roles, config.ENVIRONMENT)
        settings += shared
        panels["Store"] = (*shared, *panels.pop("Store", ()))
        panels |= {f"Store {store.kind}": store.settings for store in surroundings.chosen}
    own = inspect.signature(command.function, eval_str=True).parameters.values()
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in list(own)[1:]]

    def call(**values: Any) -> int:
        given = {setting.identifier: _given(setting, values) for group in panels.values() for setting in group}
        _refuse_misread(command, surroundings, values)
        refuse_unclear_options(surroundings.chosen, given)
        invocation = Invocation(surroundings, signals, settings, given)
        try:
            return command.function(invocation, **values)
        except DtreeError as error:
            error.reword_hints(invocation.reworded)
            raise
        except KeyboardInterrupt:
            raise typer.Abort from None  # typer would leave without a word

    call.__signature__ = inspect.Signature([*parameters, *_parameters(panels)])  # type: ignore[attr-defined]
    return call


def _refuse_misread(command: Command, surroundings: Surroundings, values: Mapping[str, Any]) -> None:
    """Refuse a command line whose stores were not seen as what they are before it was parsed: their options would be another's."""
    for argument in command.store_arguments:
        if [values[argument]] != [store.name for store in surroundings.stores.get(argument, ())]:
            raise UsageError("the stores do not stand out among the options", hint="name the stores first, then the options")


def _parameters(panels: Mapping[str, Iterable[Setting]]) -> Iterator[inspect.Parameter]:
    for panel, settings in panels.items():
        for setting in settings:
            yield _parameter(setting, setting.identifier, _option(setting, panel))
            # Hidden, because a second column of spellings leaves too little room for the help on 80 columns.
            for flag in _second_flags(setting):
                yield _parameter(setting, _second(setting), typer.Option(flag, hidden=True))


def _given(setting: Setting, values: dict[str, Any]) -> Any:  # noqa: ANN401 - as the setting's type
    """Take a setting's value out of `values`, whichever of its spellings it was given by."""
    value, second = values.pop(setting.identifier), values.pop(_second(setting), None)
    if setting.type == "bool":
        return False if second else value
    if setting.type in _REPEATED:
        return value or None
    return second if value is None else value


def _second(setting: Setting) -> str:
    return f"second_{setting.identifier}"


def _second_flags(setting: Setting) -> tuple[str, ...]:
    """Return the other spelling of an option; of a switch the negative, to turn off what a variable or the file turned on."""
    return (f"--no-{setting.name}",) if setting.type == "bool" else tuple(f"--{flag}" for flag in setting.flags)


def _parameter(setting: Setting, identifier: str, option: Any) -> inspect.Parameter:  # noqa: ANN401 - as _option
    kind: Any = list[str] | None if setting.type in _REPEATED else bool | None if setting.type == "bool" else str | None
    return inspect.Parameter(identifier, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option])


def _option(setting: Setting, panel: str) -> Any:  # noqa: ANN401 - typer does not name its type in public
    shown = "" if setting.default is None or setting.type == "bool" else f"default: {setting.default}"
    extra = "; ".join(text for text in (", ".join(setting.variables), shown) if text)
    return typer.Option(
        f"--{setting.name}",
        metavar=setting.metavar or "|".join(setting.choices) or _METAVARS.get(setting.type),
        help=_escape(setting.help) + (f" [dim]\\[{_escape(extra)}][/dim]" if extra else ""),
        show_default=False,
        rich_help_panel=panel,
        autocompletion=_COMPLETIONS.get(setting.name),
    )


_COMPLETIONS: Final[Mapping[str, Callable[..., list[str]]]] = {
    config.ENVIRONMENT.name: complete_environments,
    **{setting.name: complete_stores for setting in (config.STORE, config.FROM, config.TO)},
}

_SWITCHES: Final = frozenset(
    (
        *("help", "quiet", "verbose", "diff"),
        *(name for setting in config.BUILT_IN if setting.type == "bool" for name in (setting.name, f"no-{setting.name}")),
    )
)
"""Options without a value that a command may have whose stores are arguments; those of a store itself are not known that early."""


def _escape(text: str) -> str:
    return text.replace("[", "\\[")

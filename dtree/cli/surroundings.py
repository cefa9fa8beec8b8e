"""What is known before the command line is parsed: the working folder, nomad-dtree.toml, and the classes of the stores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dtree import config
from dtree.cli.chosen import ChosenStore, choose, refuse_clashes
from dtree.errors import DtreeError, StoreError, did_you_mean
from dtree.secrets import Secrets

VARIABLE_PREFIX: Final = "NOMAD_DTREE_VAR_"
"""What follows is the name of a variable of templates."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the program finds around itself.

    Attributes:
        argv: the command line, without the program.
        stores: by the setting or argument that names them (its identifier), in the order given.
        environment: name of the environment of nomad-dtree.toml that was chosen; "" for none.
        secrets: what no output may show; filled as it is met.
    """

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    configuration: config.Configuration = field(default_factory=config.Configuration)
    stores: Mapping[str, tuple[ChosenStore, ...]] = field(default_factory=dict)
    environment: str = ""
    secrets: Secrets = field(default_factory=Secrets, repr=False)

    @property
    def chosen(self) -> tuple[ChosenStore, ...]:
        """All of the stores, each once."""
        return tuple({store.name: store for group in self.stores.values() for store in group}.values())

    @property
    def store_settings(self) -> tuple[config.Setting, ...]:
        """The options of all of them, each once, by kind of store."""
        return tuple({setting.name: setting for store in self.chosen for setting in store.settings}.values())


def look_around(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    reserved: Collection[str],
    roles: Sequence[config.Setting] = (config.STORE,),
    arguments: Mapping[str, str] | None = None,
) -> Surroundings:
    """Read nomad-dtree.toml and load the classes of the stores that the command line, the environment or that file names.

    Args:
        reserved: names of options that a store may not have.
        roles: settings that name stores.
        arguments: stores that are named by arguments instead, by the name of the argument.

    Raises:
        DtreeError: the file or a store is wrong.

    Effects: reads files, imports the stores' plugins.
    """
    cwd = working_folder()
    given: dict[str, list[str] | str | None] = {
        setting.identifier: option_values(argv, setting.name) if setting.type == "list" else option_value(argv, setting.name)
        for setting in (config.ENVIRONMENT, *roles)
    }
    environment = config.resolve([config.ENVIRONMENT], given, environ, config.Configuration(), cwd)["env"].value
    configuration = config.load(cwd, environment)
    asked = {identifier: value.value for identifier, value in config.resolve(roles, given, environ, configuration, cwd).items()}
    stores = {
        identifier: choose((names,) if isinstance(names, str) else names, configuration, reserved=reserved)
        for identifier, names in {**asked, **(arguments or {})}.items()
    }
    around = Surroundings(tuple(argv), environ, cwd, configuration, stores, environment or "")
    _check_other_tables(configuration, {store.name for store in around.chosen}, reserved)
    refuse_clashes(around.chosen)
    return around


def unknown_variables(around: Surroundings) -> Iterator[str]:
    """Yield a warning for each variable that begins like ours and that nothing reads: a misspelt one is else passed over in silence.

    Effects: where there is one, imports the other stores' plugins, whose variables are no mistake.
    """
    known = {variable for setting in (*config.BUILT_IN, *around.store_settings) for variable in setting.variables}
    known.update(("NOMAD_DTREE_NOMAD", "NOMAD_DTREE_CONSUL", "NOMAD_DTREE_CACHE"))
    ours = {name for name in around.environ if name.startswith("NOMAD_DTREE_") and not name.startswith(VARIABLE_PREFIX)}
    if ours <= known:
        return
    from dtree import store_loader

    known.update(variable for _, settings in store_loader.options_of_all() for setting in settings for variable in setting.variables)
    for name in sorted(ours - known):
        near = did_you_mean(name.removeprefix("NOMAD_DTREE_"), sorted(one.removeprefix("NOMAD_DTREE_") for one in known))
        hint = near.replace("'", "'NOMAD_DTREE_", 1)
        yield f"nothing reads the environment variable {name}" + (f"; {hint}" if hint else "")


def _check_other_tables(configuration: config.Configuration, in_use: Collection[str], reserved: Collection[str]) -> None:
    """Refuse what is wrong in tables of stores, and of environments, that are not in use now: a secret there is in the file all the same.

    A table of a kind that is not installed here is left alone: it may be for another machine.
    """
    tables = {name for _, table in configuration.tables for name in table.get("stores", {})}
    _check_tables(configuration, tables - set(in_use), reserved)
    for environment, part in configuration.environments.items():
        _check_tables(configuration.of(environment), part.get("stores", {}), reserved)


def _check_tables(configuration: config.Configuration, names: Collection[str], reserved: Collection[str]) -> None:
    for name in sorted(names):
        try:
            choose((name,), configuration, reserved=reserved)
        except StoreError:
            if name in config.named_stores(configuration):
                raise


def working_folder() -> Path:
    """Return the working folder. Raises DtreeError where it has been deleted."""
    try:
        return Path.cwd()
    except OSError as error:
        raise DtreeError("the working folder is gone", hint="change to a folder that exists", code="no-working-folder") from error


def option_value(argv: Sequence[str], name: str) -> str | None:
    """Return the last value of an option before `--`, as the parser will; None where it has none."""
    values = option_values(argv, name)
    return values[-1] if values else None


def option_values(argv: Sequence[str], name: str) -> list[str] | None:
    """Return all values of an option before `--`, as the parser will: `--store x` or `--store=x`; None where it has none."""
    flag = f"--{name}"
    values: list[str] = []
    for position, word in enumerate(argv):
        if word == "--":
            break
        if word == flag and position + 1 < len(argv):
            values.append(argv[position + 1])
        elif word.startswith(f"{flag}="):
            values.append(word.removeprefix(f"{flag}="))
    return values or None


def leading_arguments(argv: Sequence[str], number: int, *, switches: Collection[str]) -> list[str]:
    """Return the first arguments that are no options, as far as that can be told before the command line is parsed.

    Args:
        number: how many at most.
        switches: options, without dashes, that take no value. Any other one is taken to be followed by its value.
    """
    found: list[str] = []
    is_value = False
    for word in argv:
        if is_value:
            is_value = False
        elif word.startswith("--"):
            is_value = "=" not in word and word.removeprefix("--") not in switches
        elif not word.startswith("-"):
            found.append(word)
    return found[:number]

"""What is known before the command line is parsed: the working folder, nomad-dtree.toml, and the class of the store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dtree import config
from dtree.errors import DtreeError, did_you_mean

if TYPE_CHECKING:
    from dtree.store import Store


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the program finds around itself.

    Attributes:
        argv: the command line, without the program.
        store_settings: the options of the chosen store, as settings.
    """

    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    configuration: config.Configuration = field(default_factory=config.Configuration)
    store_name: str = ""
    store: type[Store] | None = None
    store_settings: tuple[config.Setting, ...] = ()


def look_around(argv: Sequence[str], environ: Mapping[str, str], *, reserved: Collection[str]) -> Surroundings:
    """Read nomad-dtree.toml and load the class of the store that the command line, the environment or that file names.

    Args:
        reserved: names of options that a store may not have.

    Raises:
        DtreeError: the file or the store is wrong.

    Effects: reads files, imports the store's plugin.
    """
    from dtree import store_loader

    cwd = working_folder()
    given = {setting.identifier: option_value(argv, setting.name) for setting in (config.ENVIRONMENT, config.STORE)}
    environment = config.resolve([config.ENVIRONMENT], given, environ, config.Configuration(), cwd)["env"].value
    configuration = config.load(cwd, environment)
    name = str(config.resolve([config.STORE], given, environ, configuration, cwd)["store"].value)
    store = store_loader.load(name, reserved=reserved)
    settings = store_loader.settings(name, store)
    config.check_store_table(configuration, name, settings)
    return Surroundings(tuple(argv), environ, cwd, configuration, name, store, settings)


def unknown_variables(around: Surroundings) -> Iterator[str]:
    """Yield a warning for each variable that begins like ours and that nothing reads: a misspelt one is else passed over in silence.

    Effects: where there is one, imports the other stores' plugins, whose variables are no mistake.
    """
    known = {variable for setting in (*config.BUILT_IN, *around.store_settings) for variable in setting.variables}
    known.update(("NOMAD_DTREE_NOMAD", "NOMAD_DTREE_CACHE"))
    ours = {name for name in around.environ if name.startswith("NOMAD_DTREE_")}
    if ours <= known:
        return
    known.update(_variables_of_other_stores(around.store_name))
    for name in sorted(ours - known):
        near = did_you_mean(name.removeprefix("NOMAD_DTREE_"), sorted(one.removeprefix("NOMAD_DTREE_") for one in known))
        hint = near.replace("'", "'NOMAD_DTREE_", 1)
        yield f"nothing reads the environment variable {name}" + (f"; {hint}" if hint else "")


def _variables_of_other_stores(name: str) -> Iterator[str]:
    from dtree import store_loader

    for listed in store_loader.list_stores():
        if listed.name != name:
            with suppress(DtreeError):  # a broken store that nobody asked for is no news here
                settings = store_loader.settings(listed.name, store_loader.load(listed.name))
                yield from (variable for setting in settings for variable in setting.variables)


def working_folder() -> Path:
    """Return the working folder. Raises DtreeError where it has been deleted."""
    try:
        return Path.cwd()
    except OSError as error:
        raise DtreeError("the working folder is gone", hint="change to a folder that exists", code="no-working-folder") from error


def option_value(argv: Sequence[str], name: str) -> str | None:
    """Return the last value of an option before `--`, as the parser will: `--store x` or `--store=x`; None where it has none."""
    flag = f"--{name}"
    value: str | None = None
    for position, word in enumerate(argv):
        if word == "--":
            break
        if word == flag and position + 1 < len(argv):
            value = argv[position + 1]
        elif word.startswith(f"{flag}="):
            value = word.removeprefix(f"{flag}=")
    return value

"""nomad-dtree.toml: found upwards from a folder, read, and checked as a whole."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from dtree import toml
from dtree.config.settings import BUILT_IN, FILE_NAME, Key, Setting
from dtree.config.values import convert_toml
from dtree.errors import ConfigError, Place, did_you_mean

TYPE: Final = "type"
"""Key that makes a table of `[stores]` a named store: which kind of store it is."""

VARIABLES: Final = "vars"
"""Name of the table that holds values for templates."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """nomad-dtree.toml as read, or nothing where there is none.

    Attributes:
        file: where it was found.
        tables: what is asked, in this order: the named environment's part, then the top level; each with its own path of keys.
        environments: the parts of all that there are, by name.
    """

    file: Path | None = None
    text: str = field(default="", repr=False)
    tables: tuple[tuple[Key, Mapping[str, Any]], ...] = ()
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, environment: str) -> Configuration:
        """Return the same as it is for one of its environments."""
        top = self.tables[-1]
        return replace(self, tables=((("env", environment), self.environments[environment]), top))

    def find(self, key: Key) -> tuple[Key, Any] | None:
        """Return the full path of keys and the value of `key`, or None."""
        for prefix, table in self.tables:
            value: Any = table
            for part in key:
                value = value.get(part) if isinstance(value, Mapping) else None
            if key and value is not None:
                return (*prefix, *key), value
        return None

    def place(self, key: Key) -> Place:
        """Return where `key` stands."""
        line, column = toml.position(self.text, key)
        return Place(str(self.file), line, column, ".".join(key))

    def convert(self, setting: Setting, key: Key, value: object) -> Any:  # noqa: ANN401 - as the setting says
        """Read a value that stands at `key`. Raises ConfigError."""
        folder = self.file.parent if self.file else Path()
        return convert_toml(setting, value, folder, key, self.place(key))


def load(cwd: Path, environment: str | None = None) -> Configuration:
    """Find nomad-dtree.toml from `cwd` upwards, read it and check all of it.

    Args:
        environment: name of the `[env.NAME]` table that goes before the top level; None for none.

    Raises:
        ConfigError: the file cannot be read, is no TOML, has unknown keys or wrong types (all told at once), or has no such environment.

    Effects: reads files.
    """
    file = next((folder / FILE_NAME for folder in (cwd, *cwd.parents) if os.path.isfile(folder / FILE_NAME)), None)  # noqa: PTH113 - never raises
    if file is None:
        if environment is None:
            return Configuration()
        raise ConfigError(
            f"there is no environment '{environment}': no {FILE_NAME} in {cwd} or above",
            hint=f"write one with [env.{environment}], or leave --env and NOMAD_DTREE_ENV out",
        )
    text = _read(file)
    data = toml.parse(str(file), text)
    environments = data.pop("env", {})
    whole = Configuration(file, text, (((), data),), environments)
    errors = [*_table_errors(whole, (), data), *_environment_errors(whole, environments)]
    if errors:
        raise ConfigError.joined(sorted(errors, key=_line))
    if environment is None:
        return whole
    if environment not in environments:
        raise ConfigError(
            f"there is no environment '{environment}' in {file}",
            hint=did_you_mean(environment, list(environments)) or f"add [env.{environment}]",
        )
    return whole.of(environment)


def named_stores(configuration: Configuration) -> dict[str, str]:
    """Return the stores that the file names: name -> its kind, from the `type` in `[stores.NAME]`; sorted."""
    names = {name for _, table in configuration.tables for name in table.get("stores", {})}
    found = {name: configuration.find(("stores", name, TYPE)) for name in sorted(names)}
    return {name: str(kind[1]) for name, kind in found.items() if kind is not None}


def check_store_table(configuration: Configuration, store: str, settings: Sequence[Setting], *, named: bool = False) -> None:
    """Refuse keys in `[stores.NAME]` that the store does not have, and secrets.

    Args:
        named: the table is of a named store, and says its `type`.

    Raises:
        ConfigError: names the key, with its line.
    """
    known = {setting.name: setting for setting in settings}
    for prefix, table in configuration.tables:
        here = (*prefix, "stores", store)
        for key in table.get("stores", {}).get(store, {}):
            if named and key == TYPE:
                continue
            _refuse_unknown(configuration, (*here, key), known)
            if known[key].secret:
                hint = f"set {' or '.join(known[key].variables)}"
                raise ConfigError(f"`{key}` is secret and may not stand in a file", place=configuration.place((*here, key)), hint=hint)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError("the file is not UTF-8", place=Place(str(file))) from error
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", place=Place(str(file))) from error


def _environment_errors(configuration: Configuration, environments: object) -> Iterator[ConfigError]:
    if not isinstance(environments, dict):
        yield ConfigError("`env` must be a table", place=configuration.place(("env",)), hint="write [env.staging]")
        return
    for name, table in environments.items():
        yield from _table_errors(configuration, ("env", name), table)


def _table_errors(configuration: Configuration, prefix: Key, table: object) -> Iterator[ConfigError]:
    """Check a top level or an environment: known keys, right types. Tables of stores are checked once their store is known."""
    if not isinstance(table, dict):
        yield ConfigError(f"`{'.'.join(prefix)}` must be a table", place=configuration.place(prefix))
        return
    for name, value in table.items():
        key = (*prefix, name)
        if name == "stores":
            yield from _stores_errors(configuration, key, value)
        elif name == VARIABLES:
            yield from _variables_errors(configuration, key, value)
        elif name == "nomad" and isinstance(value, dict):
            for inner in value:
                yield from _errors_of(partial(_check_key, configuration, (*prefix, name), inner, value[inner]))
        else:
            yield from _errors_of(partial(_check_key, configuration, prefix, name, value))


def _errors_of(check: Callable[[], None]) -> Iterator[ConfigError]:
    try:
        check()
    except ConfigError as error:
        yield error


def _check_key(configuration: Configuration, table: Key, name: str, value: object) -> None:
    """Check one key of `table`, which is the top level, an environment or the table `nomad` of one of these."""
    below = table[2:] if table[:1] == ("env",) else table
    place = configuration.place((*table, name))
    setting = _SETTINGS.get((*below, name))
    if below and name == "token":
        hint = "set NOMAD_TOKEN, or name a file of its own with `token-file`"
        raise ConfigError("a token may not stand in a file that is shared", place=place, hint=hint)
    if setting is not None:
        configuration.convert(setting, (*table, name), value)
        return
    known = [key[-1] for key in _SETTINGS if key[:-1] == below]
    if not below:
        known += ["nomad", "stores", VARIABLES, *(() if table else ("env",))]
    _refuse_unknown(configuration, (*table, name), known, _elsewhere(name, below))
    raise ConfigError(f"`{'.'.join((*table, name))}` must be a table", place=place)


def _elsewhere(name: str, table: Key) -> str:
    """Name the key of a setting that is known by this name as an option, or in another table."""
    for key, setting in _SETTINGS.items():
        if name in (setting.name, *setting.flags, key[-1]):
            return f"did you mean '{key[-1]}'" + ("?" if key[:-1] == table else f" in [{key[0]}]?" if key[:-1] else " at the top level?")
    return ""


def _stores_errors(configuration: Configuration, prefix: Key, tables: object) -> Iterator[ConfigError]:
    tables_by_name = tables if isinstance(tables, dict) else {"": tables}
    for name, table in tables_by_name.items():
        if not isinstance(table, dict):
            key = (*prefix, name) if name else prefix
            yield ConfigError(f"`{'.'.join(key)}` must be a table", place=configuration.place(key), hint="write [stores.filesystem]")
        elif not isinstance(table.get(TYPE, ""), str):
            key = (*prefix, name, TYPE)
            hint = 'name a store, as type = "filesystem"'
            yield ConfigError(f"`{'.'.join(key)}` must be a string", place=configuration.place(key), hint=hint)


def _variables_errors(configuration: Configuration, prefix: Key, table: object) -> Iterator[ConfigError]:
    from dtree.names import why_no_name

    if not isinstance(table, dict):
        yield ConfigError(f"`{'.'.join(prefix)}` must be a table", place=configuration.place(prefix), hint=f"write [{'.'.join(prefix)}]")
        return
    for name, value in table.items():
        key = (*prefix, name)
        wrong = why_no_name(name)
        if wrong is not None:
            yield ConfigError(wrong[0], place=configuration.place(key), hint=wrong[1])
        elif problem := toml.why_not_json(value, key):
            yield ConfigError(problem, place=configuration.place(key), hint="put it in quotes")


def _refuse_unknown(configuration: Configuration, key: Key, known: Iterable[str], elsewhere: str = "") -> None:
    names = sorted(set(known))
    if key[-1] not in names:
        hint = elsewhere or did_you_mean(key[-1], names) or f"known here: {', '.join(names)}"
        raise ConfigError(f"unknown key `{key[-1]}`", place=configuration.place(key), hint=hint)


def _line(error: ConfigError) -> int:
    return (error.place.line or 0) if error.place else 0


_SETTINGS: Final[Mapping[Key, Setting]] = {setting.key: setting for setting in BUILT_IN if setting.key}

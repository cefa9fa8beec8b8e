"""The one function that finds the value of a setting: option, environment variable, file, default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from dtree.config.file import Configuration
from dtree.config.settings import FILE_NAME, Key, Setting
from dtree.config.values import convert
from dtree.errors import ConfigError, UsageError

Source = Literal["default", "file", "variable", "option"]

RANK: Final[Mapping[Source, int]] = {"default": 0, "file": 1, "variable": 2, "option": 3}
"""Which source beats which."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it came from.

    Attributes:
        origin: the option, the name of the variable, or the path of keys in the file; "" for the default.
    """

    value: Any = field(repr=False)
    source: Source
    origin: str = ""


def resolve(
    settings: Iterable[Setting],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    configuration: Configuration,
    cwd: Path,
) -> dict[str, Value]:
    """Find the value of each setting.

    Args:
        given: what stands on the command line, by `Setting.identifier`; None where it does not.
        cwd: the folder that relative paths of options and variables start from.

    Returns:
        By `Setting.identifier`, in the order of `settings`; every one of them is there.

    Raises:
        UsageError: an option's value cannot be read, or a required setting is given nowhere.
        ConfigError: the same of a variable or a key.
    """
    return {setting.identifier: _resolve_one(setting, given, environ, configuration, cwd) for setting in settings}


def _resolve_one(setting: Setting, given: Mapping[str, Any], environ: Mapping[str, str], configuration: Configuration, cwd: Path) -> Value:
    value = given.get(setting.identifier)
    if value is not None:
        return Value(convert(setting, value, cwd, UsageError(f"--{setting.name}")), "option", f"--{setting.name}")
    found = configuration.find(setting.key)
    if found is not None and setting.file_first:
        return _of_file(setting, configuration, *found)
    for variable in setting.variables:
        if environ.get(variable):
            return Value(convert(setting, environ[variable], cwd, ConfigError(f"environment variable {variable}")), "variable", variable)
    if found is not None:
        return _of_file(setting, configuration, *found)
    if setting.required and setting.file_first and not setting.secret:
        *table, key = setting.key
        raise UsageError(f"--{setting.name} is needed", hint=f"write `{key}` into [{'.'.join(table)}] of {FILE_NAME}")
    if setting.required:
        ways = [
            f"--{setting.name}",
            *setting.variables,
            *([f"`{'.'.join(setting.key)}` in {FILE_NAME}"] if setting.key and not setting.secret else []),
        ]
        raise UsageError(f"--{setting.name} is needed", hint=f"give {' or '.join(ways)}")
    default = setting.default
    return Value(None if default is None else convert(setting, default, cwd, UsageError(f"default of --{setting.name}")), "default")


def _of_file(setting: Setting, configuration: Configuration, key: Key, value: object) -> Value:
    return Value(configuration.convert(setting, key, value), "file", ".".join(key))

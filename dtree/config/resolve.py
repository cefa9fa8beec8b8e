"""The one function that finds the value of a setting: option, environment variable, file, default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from dtree.config.file import Configuration
from dtree.config.settings import FILE_NAME, Setting
from dtree.config.values import convert
from dtree.errors import ConfigError, UsageError

Source = Literal["default", "file", "variable", "option"]

RANK: Final[Mapping[Source, int]] = {"default": 0, "file": 1, "variable": 2, "option": 3}
"""Which source beats which."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it came from."""

    value: Any = field(repr=False)
    source: Source


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
        return Value(convert(setting, value, cwd, UsageError(f"--{setting.name}")), "option")
    found = configuration.find(setting.key)
    if found is not None and setting.file_first:
        return Value(configuration.convert(setting, *found), "file")
    for variable in setting.variables:
        if environ.get(variable):
            return Value(convert(setting, environ[variable], cwd, ConfigError(f"environment variable {variable}")), "variable")
    if found is not None:
        return Value(configuration.convert(setting, *found), "file")
    if setting.required:
        ways = [f"--{setting.name}", *setting.variables, *([f"`{'.'.join(setting.key)}` in {FILE_NAME}"] if setting.key else [])]
        raise UsageError(f"--{setting.name} is needed", hint=f"give {' or '.join(ways)}")
    default = setting.default
    return Value(None if default is None else convert(setting, default, cwd, UsageError(f"default of --{setting.name}")), "default")

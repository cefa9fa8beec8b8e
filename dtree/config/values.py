"""Text or TOML value -> the type of its setting, with an error that says where the wrong value stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dtree.config.settings import Key, Setting, SettingType
from dtree.errors import ConfigError, DtreeError, Place, did_you_mean


def convert(setting: Setting, value: Any, folder: Path, blame: DtreeError) -> Any:  # noqa: ANN401 - text or already typed
    """Read a value as the setting's type and check it.

    Args:
        folder: where relative paths start from.
        blame: an error of the right class whose problem and place say where the value stands.

    Raises:
        DtreeError: of the class of `blame`.
    """
    shown = "its value" if setting.secret else repr(str(value[0] if isinstance(value, list) and len(value) == 1 else value))
    wrong = type(blame)
    try:
        result = _as_type(setting.type, value, folder)
    except (ValueError, OverflowError, RuntimeError) as error:
        raise wrong(f"{blame.problem}: {shown} is not {_words(setting)}", place=blame.place) from error
    if setting.choices and result not in setting.choices:
        hint = did_you_mean(str(value), setting.choices)
        raise wrong(f"{blame.problem}: {shown} is not {_words(setting)}", place=blame.place, hint=hint)
    if setting.pattern and result and not re.fullmatch(setting.pattern, result):
        raise wrong(f"{blame.problem}: {shown} is not {setting.pattern_words}", place=blame.place)
    if setting.at_least is not None and result < setting.at_least:
        raise wrong(f"{blame.problem}: {shown} is less than {setting.at_least:g}", place=blame.place)
    if setting.above is not None and result <= setting.above:
        raise wrong(f"{blame.problem}: {shown} is not more than {setting.above:g}", place=blame.place)
    return result


def convert_toml(setting: Setting, value: object, folder: Path, key: Key, place: Place) -> Any:  # noqa: ANN401 - as typed
    """Read a TOML value, whose own type must be right first.

    Raises:
        ConfigError: it is not, or the value is not allowed.
    """
    types, words = _TOML_TYPES[setting.type]
    if not isinstance(value, types) or (isinstance(value, bool) and setting.type != "bool"):
        raise ConfigError(f"`{'.'.join(key)}` must be {words}", place=place)
    return convert(setting, value, folder, ConfigError(f"`{'.'.join(key)}`", place=place))


_YES: Final = ("1", "true", "t", "yes", "y", "on")
_NO: Final = ("0", "false", "f", "no", "n", "off")
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_TOML_TYPES: Final[Mapping[SettingType, tuple[tuple[type, ...], str]]] = {
    "str": ((str,), "a string"),
    "path": ((str,), "a path, as a string"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "duration": ((int, float, str), 'a duration, as "90s"'),
    "list": ((str, list), "a name, or a list of names"),
    "texts": ((list,), "a list of texts"),
    "paths": ((list,), "a list of paths"),
}


def _words(setting: Setting) -> str:
    return f"one of {', '.join(setting.choices)}" if setting.choices else _TOML_TYPES[setting.type][1]


def _as_type(kind: SettingType, value: Any, folder: Path) -> Any:  # noqa: ANN401 - see convert
    match kind:
        case "int":
            return int(value)
        case "float":
            return float(value)
        case "bool":
            return value if isinstance(value, bool) else _boolean(str(value))
        case "path":
            return folder / Path(value).expanduser()
        case "duration":
            return _seconds(str(value))
        case "list":
            return _names(value)
        case "texts" | "paths":
            return tuple(_as_type("str" if kind == "texts" else "path", one, folder) for one in value)
        case "str":
            return str(value)


def _names(value: object) -> tuple[str, ...]:
    """Take names apart: one text with commas, or a list of such."""
    parts = value if isinstance(value, list | tuple) else [value]
    names = tuple(name.strip() for part in parts for name in (part if isinstance(part, str) else "").split(","))
    if not names or "" in names:
        raise ValueError(value)
    return names


def _boolean(text: str) -> bool:
    if text.strip().lower() not in _YES + _NO:
        raise ValueError(text)
    return text.strip().lower() in _YES


def _seconds(text: str) -> float:
    parts = _DURATION.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        number = float(text)
        if not 0 <= number < float("inf"):
            raise ValueError(text)
        return number
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + seconds

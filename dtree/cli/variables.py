"""The layers of variables that a command line, its surroundings and nomad-dtree.toml give to templates and HCL2 variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dtree import config
from dtree.cli.files import shown
from dtree.cli.surroundings import VARIABLE_PREFIX, Surroundings
from dtree.errors import ConfigError, UsageError
from dtree.names import why_no_name

if TYPE_CHECKING:
    from dtree.errors import Place
    from dtree.values import Given, Layer

__all__ = ["find_layers", "nomad_variables"]


def find_layers(around: Surroundings, files: Sequence[Path], texts: Sequence[str], jsons: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers, the lowest first: files, `[vars]`, `[env.NAME.vars]`, the environment's variables, the command line.

    Args:
        files: of --var-file, in order.
        texts: of --var, in order.
        jsons: of --var-json, in order.

    Returns:
        that of the command line is the last one, and always there.

    Raises:
        UsageError: an option is no NAME=VALUE, a name can be none, or a file cannot be read.
        DeclarationError: a file has faults.
        ConfigError: a variable of the environment has a wrong name.

    Effects: reads the files.
    """
    return (
        *(_of_file(path, around.cwd) for path in files),
        *_of_configuration(around.configuration),
        _of_environ(around.environ),
        dict(_of_options(around.argv, texts, jsons)),
    )


def nomad_variables(environ: Mapping[str, str]) -> Layer:
    """Return the values of NOMAD_VAR_x, which Nomad's own client gives to HCL2 variables. Source: Nomad's jobspec2."""
    found = {name: value for name, value in sorted(environ.items()) if name.startswith(_NOMADS) and name != _NOMADS}
    return {name.removeprefix(_NOMADS): _of_variable(name, value) for name, value in found.items()}


_NOMADS: Final = "NOMAD_VAR_"


def _of_file(path: Path, cwd: Path) -> Layer:
    from dtree.var_files import read_values

    return read_values(path, shown=shown(path, cwd))


def _of_configuration(configuration: config.Configuration) -> Iterator[Layer]:
    for prefix, table in reversed(configuration.tables):
        here = (*prefix, config.VARIABLES)
        layer = f"[{'.'.join(here)}]"
        yield {name: _given(value, layer, configuration.place((*here, name))) for name, value in table.get(config.VARIABLES, {}).items()}


def _of_environ(environ: Mapping[str, str]) -> Layer:
    found: dict[str, Given] = {}
    for variable in sorted(environ):
        if variable.startswith(VARIABLE_PREFIX):
            name = variable.removeprefix(VARIABLE_PREFIX)
            wrong = why_no_name(name)
            if wrong is not None:
                raise ConfigError(f"environment variable {variable}: {wrong[0]}", hint=wrong[1])
            found[name] = _of_variable(variable, environ[variable])
    return found


def _of_variable(variable: str, value: str) -> Given:
    from dtree.secrets import is_ordinary
    from dtree.values import why_no_value

    if wrong := why_no_value(value):
        raise ConfigError(f"environment variable {variable}: {wrong}", hint="values of variables are text")
    return _given(value, variable, is_text=True, secret=not is_ordinary(variable, value))


def _given(value: Any, layer: str, place: Place | None = None, *, is_text: bool = False, secret: bool = False) -> Given:  # noqa: ANN401 - JSON
    # Imported here: most calls of the program are given no variable.
    from dtree.values import Given, Origin

    return Given(value, Origin(layer, place), is_text, secret)


def _of_options(argv: Sequence[str], texts: Sequence[str], jsons: Sequence[str]) -> Iterator[tuple[str, Given]]:
    """Yield what --var and --var-json give, in the order of the command line: of one name the last one counts."""
    # The parser says what the values are; the words of the command line only in which order they stand there.
    left = {"--var": list(texts), "--var-json": list(jsons)}
    asked = [flag for word in argv if (flag := word.partition("=")[0]) in left]
    in_order = [(flag, left[flag].pop(0)) for flag in asked if left[flag]]
    in_order += [(flag, value) for flag, values in left.items() for value in values]
    for flag, given in in_order:
        name, equals, value = given.partition("=")
        if not equals:
            raise UsageError(f"{flag}: there is no `=` in {given!r}", hint=f"write {flag} NAME=VALUE")
        wrong = why_no_name(name)
        if wrong is not None:
            raise UsageError(f"{flag}: {wrong[0]}", hint=wrong[1])
        read = _json(name, value) if flag == "--var-json" else value
        from dtree.values import why_no_value

        if unfit := why_no_value(read):
            raise UsageError(f"{flag}: the value of '{name}' cannot be used: {unfit}")
        yield name, _given(read, flag, is_text=flag == "--var")


def _json(name: str, text: str) -> Any:  # noqa: ANN401 - what JSON can hold
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        hint = f"""put text in quotes, as in --var-json '{name}="text"', or give it with --var"""
        raise UsageError(f"--var-json: the value of '{name}' is not JSON", hint=hint) from error


def _refuse(_constant: str) -> NoReturn:
    raise ValueError

"""Errors as text and exit codes; a bug as a report to paste."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TextIO

from dtree import __version__
from dtree.access.addresses import masked, secret_parts
from dtree.cli.surroundings import option_value
from dtree.config import Setting
from dtree.errors import EXIT_BUG, DtreeError, UsageError, did_you_mean
from dtree.secrets import Secrets, sounds_secret
from dtree.views.error_text import error_text
from dtree.views.style import look_at, width_of
from dtree.views.text import write

ISSUES: Final = "the project's issue tracker"

_HIDDEN: Final = "HIDDEN"
_SHORTEST_SECRET: Final = 4


def report(error: DtreeError, environ: Mapping[str, str], *, json: bool, hidden: Secrets) -> int:
    """Tell the user of an error: on stderr for people, and with `--output json` on stdout for programs too.

    Args:
        hidden: what may not be shown.

    Where both are one terminal, it is told there once, as it was asked for.

    Returns:
        The exit code.

    Effects: writes to stderr, and to stdout.
    """
    hide_in_error(error, hidden)
    if not (json and sys.stdout.isatty() and sys.stderr.isatty()):
        write(sys.stderr, error_text(error, look_at(sys.stderr, environ), width=width_of(sys.stderr, environ)) + "\n")
    if json:
        from dtree.views.json_forms import error_json

        write(sys.stdout, error_json(error) + "\n")
    return error.exit_code


def hide_in_error(error: DtreeError, hidden: Secrets) -> None:
    """Take secrets out of all that an error says."""
    for name, value in vars(error).items():
        vars(error)[name] = hidden.hide_in(value)


def usage_error(message: str, *, command: str, option: str = "", options: Iterable[str] = ()) -> UsageError:
    """Put what the parser says about a command line into our own words.

    Args:
        message: the parser's sentence.
        command: the command it happened in, for the hint.
        option: an option that does not exist, "" where that is not what is wrong.
        options: those that do.
    """
    see = f"`{command} --help` lists what there is"
    if option:
        return UsageError(f"there is no option {option}", hint=did_you_mean(option, sorted(options)) or see)
    text = " ".join(message.split()).rstrip(".")
    return UsageError(text[:1].lower() + text[1:], hint=see)


def report_bug(
    error: BaseException, argv: Sequence[str], environ: Mapping[str, str], settings: Collection[Setting], hidden: Secrets
) -> int:
    """Tell the user that this is our fault, with all that is needed to find it and no secret.

    Args:
        settings: those whose values may be on the command line or in the environment.
        hidden: further values that may not be shown.

    Effects: writes to stderr.
    """
    trace = "".join(traceback.format_exception(error))
    lines = (
        f"error[bug]: nomad-dtree met something it was not made for: {type(error).__name__}: {error}",
        f"  hint: report it with the lines below to {ISSUES}; read them first, secrets that we know of are hidden",
        "",
        f"nomad-dtree {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        f"command: nomad-dtree {shlex.join(_masked(argv, settings))}",
        trace,
    )
    write(sys.stderr, hidden.hide(redact(masked("\n".join(lines)), secrets(argv, environ, settings))))
    return EXIT_BUG


def secrets(argv: Sequence[str], environ: Mapping[str, str], settings: Iterable[Setting]) -> tuple[str, ...]:
    """Return the values that no text may show: of secret options, of their variables, and of variables whose name tells, in addresses."""
    found: set[str] = set()
    for setting in settings:
        if setting.secret:
            found.add(option_value(argv, setting.name) or "")
            found.update(environ.get(variable, "") for variable in setting.variables)
    found.update(value for name, value in environ.items() if sounds_secret(name))
    for word in (*argv, *environ.values()):
        found.update(secret_parts(word))
    return tuple(sorted(found - {""}, key=lambda value: (-len(value), value)))


def redact(text: str, values: Iterable[str]) -> str:
    """Replace each of the values, longest first; ones too short to be secrets would only make the text unreadable."""
    for value in values:
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, _HIDDEN)
    return text


def _masked(argv: Sequence[str], settings: Iterable[Setting]) -> list[str]:
    """Hide the values of secret options by their position, however short they are."""
    flags = {f"--{setting.name}" for setting in settings if setting.secret}
    masked: list[str] = []
    for before, word in zip(["", *argv], argv, strict=False):
        flag, equals, _ = word.partition("=")
        masked.append(_HIDDEN if before in flags else f"{flag}={_HIDDEN}" if equals and flag in flags else word)
    return masked


def silence_output() -> None:
    """Silence standard output."""
    silence(sys.stdout)


def silence(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's last flush of it cannot fail. Effects: that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

"""Builds the program for one command line, runs it, and turns what comes out into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from dtree import __version__, config
from dtree.cli import (
    demo,
    explain,
    failure,
    graph,
    plan,
    promote,
    pull,
    push,
    render,
    run,
    schema,
    status,
    stop,
    stores,
    validate,
    version,
    versions,
    which,
)
from dtree.cli.complete import VARIABLE, words_to_complete
from dtree.cli.options import RESERVED, Command, bind
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings, look_around, option_value, unknown_variables, working_folder
from dtree.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, DtreeError, StoreError, UsageError, did_you_mean
from dtree.secrets import Secrets
from dtree.views.text import write

PROGRAM: Final = "nomad-dtree"

COMMANDS: Final[Mapping[str, Command | Mapping[str, Command]]] = {
    "run": run.COMMAND,
    "stop": stop.COMMAND,
    "promote": promote.COMMAND,
    "plan": plan.COMMAND,
    "validate": validate.COMMAND,
    "graph": graph.COMMAND,
    "render": render.COMMAND,
    "explain": explain.COMMAND,
    "status": status.COMMAND,
    "which": which.COMMAND,
    "push": push.COMMAND,
    "pull": pull.COMMAND,
    "versions": versions.COMMANDS,
    "stores": stores.COMMANDS,
    "schema": schema.COMMAND,
    "demo": demo.COMMAND,
    "version": version.COMMAND,
}

_GROUPS: Final = {"stores": stores.__doc__, "versions": versions.__doc__}
_HELP: Final = ("--help", "-h")

_EXIT_CODES: Final = """[bold]Exit codes[/bold]
0 fine · 1 error, nothing was changed · 2 changes pending (plan --detailed-exitcode, stores diff, render --diff) · 3 a job failed · \
4 one failed, and the run was rolled back · 5 the rollback is incomplete · 6 a wait timed out · 7 a canary awaits promotion · 64 usage · \
70 a bug · 130 interrupted"""

_ENVIRONMENT: Final = f"""[bold]Environment[/bold]
NOMAD_ADDR, NOMAD_TOKEN, NOMAD_NAMESPACE, NOMAD_REGION, NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY, \
NOMAD_TLS_SERVER_NAME, NOMAD_SKIP_VERIFY as for Nomad itself; NOMAD_DTREE_STORE, NOMAD_DTREE_ENV and NOMAD_DTREE_<OPTION> for ours; \
NO_COLOR.
An option beats its variable, a variable the file {config.FILE_NAME} (found upwards from here), the file the default."""


def main(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run one command line.

    Args:
        argv: the arguments, without the program.

    Returns:
        The exit code.

    Effects: everything that the command does; listens for signals meanwhile.
    """
    words = list(argv) or (words_to_complete(environ) if VARIABLE in environ else []) or ["--help"]
    json = option_value(words, "output") == "json" or option_value(words, "format") == "json"
    around: Surroundings | None = None
    try:
        _prepare_streams()
        with Signals() as signals:
            around = _surroundings(words, environ)
            _warn(around)
            return _call(around, signals)
    except DtreeError as error:
        return _report(error, environ, json=json, hidden=around.secrets if around else Secrets())
    except BrokenPipeError:
        failure.silence_output()
        return EXIT_ERROR
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug, told as one
        if theirs := _bug_of_a_store(error, around):
            return _report(theirs, environ, json=json, hidden=around.secrets if around else Secrets())
        settings = (*config.BUILT_IN, *(around.store_settings if around else ()))
        return failure.report_bug(error, words, environ, settings, around.secrets if around else Secrets())


def _bug_of_a_store(error: Exception, around: Surroundings | None) -> StoreError | None:
    """Return the error as one of a store that somebody else wrote, if it was raised in that; None where it is ours."""
    from traceback import walk_tb

    passed = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    innermost = {package: position for position, package in enumerate(passed)}
    for store in around.chosen if around else ():
        package = store.plugin.__module__.partition(".")[0]
        if innermost.get(package, -1) > innermost["dtree"] and package != "dtree_stores":
            from dtree.store_loader import origin

            return StoreError(
                f"the store '{store.name}' failed: {type(error).__name__}: {error}",
                notes=[f"it is {origin(store.kind)}"],
                hint="that is a bug of the store: tell whoever wrote it, with what `nomad-dtree stores check` says",
                code="store-broken",
            )
    return None


def build(around: Surroundings, signals: Signals, names: Sequence[str] = tuple(COMMANDS), *, only_listed: bool = False) -> typer.Typer:
    """Build the program.

    Args:
        names: its commands: for one call, its own command is enough.
        only_listed: none of them will be called, or asked for its help: they get no parameters, of which there are some two hundred.
    """
    app = typer.Typer(
        name=PROGRAM,
        help="Run and stop Nomad jobs in the order of their dependencies, each as soon as what it needs is truly ready.",
        epilog=f"{_EXIT_CODES}\n\n{_ENVIRONMENT}",
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(_HELP)},
    )
    app.callback()(_program)
    for name in names:
        command = COMMANDS[name]
        if isinstance(command, Command):
            _add(app, name, command, _list if only_listed else bind(command, around, signals))
        else:
            group = typer.Typer(help=_GROUPS[name], rich_markup_mode="rich")
            for inner, its_command in command.items():
                _add(group, inner, its_command, _list if only_listed else bind(its_command, around, signals))
            app.add_typer(group, name=name)
    return app


def _add(app: typer.Typer, name: str, command: Command, function: Callable[..., object]) -> None:
    epilog = _EXIT_CODES if command.has_exit_codes else None
    app.command(name, help=command.help, epilog=epilog)(function)


def _list() -> None:
    """Stand for a command that is only listed."""


def _print_version(*, asked: bool) -> None:
    if asked:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        raise typer.Exit(EXIT_OK)


_Version = Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)]


def _program(*, version: _Version = False) -> None:
    """Take the options that stand before a command: `--version`, which has done its work by now."""


def _surroundings(words: Sequence[str], environ: Mapping[str, str]) -> Surroundings:
    """Look around where the command needs it; help and completion are given whatever is wrong there."""
    command = COMMANDS.get(words[0])
    rest = words[1:]
    if isinstance(command, Mapping):
        command, rest = command.get(words[1]) if words[1:] else None, words[2:]
    if command is not None and (command.store_roles or command.store_arguments):
        try:
            return look_around(words, environ, reserved=RESERVED, roles=command.store_roles, arguments=command.named_stores(rest))
        except DtreeError:
            if VARIABLE not in environ and not any(word in _HELP for word in words):
                raise
    configuration = config.Configuration()
    if VARIABLE in environ:
        with suppress(DtreeError):  # half a name of a store or an environment is no name yet
            configuration = config.load(working_folder())
    return Surroundings(tuple(words), environ, working_folder(), configuration)


def _warn(around: Surroundings) -> None:
    if around.chosen and VARIABLE not in around.environ:
        for warning in unknown_variables(around):
            write(sys.stderr, f"warning: {warning}\n")


def _call(around: Surroundings, signals: Signals) -> int:
    name = around.argv[0]
    if VARIABLE in around.environ:
        get_command(build(around, signals)).main(args=[], prog_name=PROGRAM, obj=around)  # completes and exits
    if name not in COMMANDS and not name.startswith("-"):
        raise UsageError(
            f"there is no command '{name}'", hint=did_you_mean(name, list(COMMANDS)) or f"`{PROGRAM} --help` lists what there is"
        )
    chosen = [around.argv[0]] if around.argv[0] in COMMANDS else list(COMMANDS)
    program = get_command(build(around, signals, chosen, only_listed=name in _HELP))
    try:
        code = program.main(args=list(around.argv), prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        raise _usage_error(error, f"{PROGRAM} {chosen[0]}" if len(chosen) == 1 else PROGRAM) from error
    return code if isinstance(code, int) else EXIT_OK


def _usage_error(error: typer.TyperException, command: str) -> UsageError:
    # The parser's own classes are not public; what is asked of them here is looked for, not relied on.
    context: Any = getattr(error, "ctx", None)
    option = getattr(error, "option_name", "") if type(error).__name__ == "NoSuchOption" else ""
    flags = [flag for parameter in context.command.params for flag in parameter.opts] if context else []
    owner = _store_with(option) if option and "--store" in flags else ""
    if owner:
        return UsageError(f"{option} is an option of the store '{owner}', which is not in use", hint=f"add --store {owner}")
    return failure.usage_error(error.format_message(), command=context.command_path if context else command, option=option, options=flags)


def _store_with(option: str) -> str:
    """Return the name of an installed store that has this option, "" for none. Effects: imports all stores."""
    from dtree import store_loader

    known = store_loader.options_of_all()
    return next((store for store, settings in known if option in (f"--{setting.name}" for setting in settings)), "")


def _prepare_streams() -> None:
    """Make sure that text can be written: there is a stream, and a character it lacks becomes an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for the rest of the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _report(error: DtreeError, environ: Mapping[str, str], *, json: bool, hidden: Secrets) -> int:
    try:
        return failure.report(error, environ, json=json, hidden=hidden)
    except OSError:  # there is nobody left to tell
        failure.silence_output()
        return EXIT_ERROR

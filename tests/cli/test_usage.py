"""Command lines that cannot be, help, version and completion."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from dtree import __version__, config
from dtree.cli.app import COMMANDS, build
from dtree.cli.options import FLAGS, RESERVED, Command
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings, option_value
from dtree.errors import EXIT_USAGE
from tests.cli.conftest import Program

EVERY_COMMAND = [
    words
    for name, command in COMMANDS.items()
    for words in ([(name,)] if isinstance(command, Command) else [(name,), *((name, inner) for inner in command)])
]
WITH_STORE = [name for name, command in COMMANDS.items() if isinstance(command, Command) and command.uses_store]


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_help(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    ended = program(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"nomad-dtree {' '.join(words)}" in ended.out


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_programs_help_lists_commands_exit_codes_and_environment(program: Program, words: tuple[str, ...]) -> None:
    ended = program(*words)
    assert (ended.code, ended.err) == (0, "")
    for word in (*COMMANDS, "Exit codes", "64 usage", "NOMAD_ADDR", "nomad-dtree.toml"):
        assert word in ended.out


@pytest.mark.parametrize("command", WITH_STORE)
def test_the_options_of_the_store_are_options_of_every_command_that_uses_it(program: Program, command: str) -> None:
    ended = program(command, "--help")
    for option in ("--fs-depfile-path", "--fs-jobs-path", "--fs-root", "--store", "--env", "--server-addr"):
        assert option in ended.out


def test_help_is_given_whatever_is_wrong_around(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / config.FILE_NAME).write_text("no toml")
    ended = program("run", "--store", "nowhere", "--help")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("words", [("--version",), ("version",)])
def test_the_version_is_printed(program: Program, words: tuple[str, ...]) -> None:
    ended = program(*words)
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"nomad-dtree {__version__}")


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (("rnu",), "there is no command 'rnu'", "did you mean 'run'?"),
        (("xyz",), "there is no command 'xyz'", "`nomad-dtree --help` lists what there is"),
        (("--jb",), "there is no option --jb", "`nomad-dtree --help` lists what there is"),
        (("run", "--jb", "nginx"), "there is no option --jb", "did you mean '--job'?"),
        (("run", "nginx", "--fs-rot", "x"), "there is no option --fs-rot", "did you mean '--fs-root'?"),
        (("graph", "--ref", "v1.2"), "--ref is an option of the store 'git', which is not in use", "add --store git"),
        (("graph", "--store", ""), "--store: '' is not a name, or a list of names", ""),
        (("run", "--job"), "option '--job' requires an argument", "`nomad-dtree run --help` lists what there is"),
        (("stores",), "missing command", "`nomad-dtree stores --help` lists what there is"),
        (("stores", "show"), "missing argument 'NAME'", "`nomad-dtree stores show --help` lists what there is"),
        (("version", "x"), "got unexpected extra argument(s) (x)", "`nomad-dtree version --help` lists what there is"),
        (
            ("plan", "nginx", "--output", "xml"),
            "invalid value for '--output': 'xml' is not one of 'text', 'json'",
            "`nomad-dtree plan --help` lists what there is",
        ),
        (("run", "nginx", "--all"), "--all and the names of jobs exclude each other", "leave one of them out"),
        (("plan", "--all", "--selector", "tag=x"), "--all and --selector exclude each other", "leave one of them out"),
        (
            ("run", "--all", "--only"),
            "--all leaves nothing outside, so --only cannot leave it alone",
            "name jobs, or leave out some with --skip",
        ),
        (
            ("stop", "--all", "--with-dependents"),
            "--all is every job already, so --with-dependents adds none",
            "leave one of them out",
        ),
        (("run", "api", "--skip", "api"), "'api' is asked for and skipped", "leave one of the two out"),
        (
            ("run", "--selector", "batch"),
            "'batch' selects nothing: jobs are selected by their tags",
            "write --selector tag=batch",
        ),
        (
            ("run", "--selector", "name=api"),
            "'name=api' selects nothing: jobs are selected by their tags",
            "write it as in --selector tag=batch",
        ),
        (
            ("run", "--selector", "tag="),
            "'tag=' selects nothing: jobs are selected by their tags",
            "write it as in --selector tag=batch",
        ),
        (("run", "nginx", "--parallelism", "many"), "--parallelism: 'many' is not a whole number", ""),
        (("run", "nginx", "--wait", "redy"), "--wait: 'redy' is not one of declared, ready", "did you mean 'ready'?"),
    ],
)
def test_a_command_line_that_cannot_be_is_told_in_our_form(
    program: Program, shop: Path, words: tuple[str, ...], problem: str, hint: str
) -> None:
    assert shop.exists()
    ended = program(*words)
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert ended.err == f"error[usage]: {problem}\n" + (f"  hint: {hint}\n" if hint else "")


@pytest.mark.parametrize("command", ["run", "stop", "plan"])
def test_no_job_is_never_every_job(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(tmp_path)  # there is no dependency file: the command line is looked at first
    ended = program(command)
    assert ended.code == EXIT_USAGE
    assert f"nomad-dtree {command} --job NAME" in ended.err


def test_a_usage_error_is_json_on_stdout_for_programs_that_asked_for_it(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("run", "--output", "json")
    assert ended.code == EXIT_USAGE
    assert (ended.json()["event"], ended.json()["code"]) == ("error", "usage")
    assert ended.err.startswith("error[usage]: ")


# -- the names of options -------------------------------------------------------------------------------------------------------


def options_of(program: typer.Typer) -> set[str]:
    """Return every option that a program's commands declare."""
    inner = [option for group in program.registered_groups if group.typer_instance for option in options_of(group.typer_instance)]
    parameters = (p for info in program.registered_commands if info.callback for p in inspect.signature(info.callback).parameters.values())
    infos = (extra for parameter in parameters for extra in getattr(parameter.annotation, "__metadata__", ()))
    mine = (word for info in infos for word in (getattr(info, "default", None), *(getattr(info, "param_decls", None) or ())))
    return {word.removeprefix("--") for word in mine if isinstance(word, str) and word.startswith("--")} | set(inner)


def test_every_option_of_our_own_is_one_that_no_store_may_have() -> None:
    around = Surroundings((), {}, Path.cwd())
    declared = options_of(build(around, Signals()))
    assert declared - RESERVED == set()
    assert FLAGS - declared == {"help", "install-completion", "show-completion"}


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["run", "--store", "x"], "x"),
        (["run", "--store=x=y"], "x=y"),
        (["--store", "x", "--store", "y"], "y"),
        (["run", "--", "--store", "x"], None),
        (["run", "--store"], None),
        (["run", "--stores", "x"], None),
    ],
)
def test_the_store_is_found_on_a_command_line_before_it_is_parsed(words: list[str], value: str | None) -> None:
    assert option_value(words, "store") == value


# -- completion -------------------------------------------------------------------------------------------------------------------


def complete(program: Program, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """Complete the last word of a command line as bash would have it done."""
    environ: dict[str, Any] = {"_NOMAD_DTREE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        program(environ=environ)
    assert left.value.code == 0
    return []


def test_completion_prints_a_script(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from dtree.cli.app import main

    monkeypatch.setenv("_NOMAD_DTREE_COMPLETE", "source_bash")
    with pytest.raises(SystemExit):
        main((), {"_NOMAD_DTREE_COMPLETE": "source_bash"})
    assert "complete -o default -F _nomad_dtree_completion nomad-dtree" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nomad-dtree run --job post", ["postgres", "postgres_setup"]),
        ("nomad-dtree stop n", ["nginx"]),
        ("nomad-dtree run --fs-", ["--fs-depfile-path", "--fs-jobs-path", "--fs-root"]),
        ("nomad-dtree run --fs-root /nowhere n", []),
        ("nomad-dtree run --store nowhere n", []),
        ("nomad-dtree val", ["validate"]),
        ("nomad-dtree run --store git", ["git"]),
        ("nomad-dtree run --store co", ["consul"]),
        ("nomad-dtree run --env st", ["staging"]),
        ("nomad-dtree run --skip a", ["api"]),
        ("nomad-dtree run --selector ta", ["tag=batch", "tag=web"]),
        ("nomad-dtree plan --selector tag=w", ["tag=web"]),
        ("nomad-dtree stop --fs-root /nowhere --selector tag=", []),
    ],
)
def test_jobs_and_options_of_the_store_are_completed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Program, shop: Path, line: str, expected: list[str]
) -> None:
    (shop / "nomad-dtree.toml").write_text("[env.staging]\n[env.production]\n")
    declared = json.loads((shop / "dependency.json").read_text())
    declared["dependencies"]["api"]["tags"] = ["web", "batch"]
    (shop / "dependency.json").write_text(json.dumps(declared))
    complete(program, monkeypatch, line)
    assert [word for word in capsys.readouterr().out.splitlines() if word] == expected

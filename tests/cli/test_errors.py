"""What goes wrong around the program: each is one clear error with the right exit code, and no secret shows anywhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dtree import config
from dtree.cli import failure
from dtree.cli.invocation import Invocation
from dtree.cli.signals import Signals
from dtree.config import Setting
from dtree.errors import EXIT_BUG, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from dtree.secrets import Secrets
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.store import MemoryStore, Shelf

TOKEN = "3f0dc6d1-4a1c-11ef-9c3d-hunter2"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on loopback that nothing listens at, held so that nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def process(*words: str, cwd: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "VIRTUAL_ENV", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "dtree", *words]
    return subprocess.run(command, cwd=cwd, env={**kept, **(environ or {})}, capture_output=True, text=True, timeout=60, check=False)


# -- Nomad --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "plan", "status", "stop"])
def test_an_address_where_nothing_listens_is_one_error_at_once(program: Program, shop: Path, closed_port: int, command: str) -> None:
    assert shop.exists()
    ended = program(command, "nginx", "--nomad-addr", f"http://127.0.0.1:{closed_port}")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert ended.err.startswith("error[nomad-unreachable]: ")
    assert ended.err.count("error[") == 1
    assert str(closed_port) in ended.err


def test_the_address_comes_from_option_variable_file_in_this_order(program: Program, shop: Path, closed_port: int) -> None:
    def asked(*words: str, environ: Mapping[str, str] | None = None) -> str:
        (line,) = (line for line in program("plan", "nginx", *words, environ=environ).err.splitlines() if "unreachable" in line)
        return line

    (shop / config.FILE_NAME).write_text(
        f'nomad.address = "http://127.0.0.1:{closed_port}/file"\n[env.staging]\nnomad.address = "http://127.0.0.1:{closed_port}/staging"\n'
    )
    variable = {"NOMAD_ADDR": f"http://127.0.0.1:{closed_port}/variable"}
    assert "/file" in asked()
    assert "/staging" in asked("--env", "staging")
    assert "/staging" in asked(environ={"NOMAD_DTREE_ENV": "staging"})
    assert "/variable" in asked("--env=staging", environ=variable)
    assert "/option" in asked("--server-addr", f"http://127.0.0.1:{closed_port}/option", environ=variable)


# -- files and variables ---------------------------------------------------------------------------------------------------------


def test_a_bad_variable_is_an_error_that_names_it(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("run", "nginx", environ={"NOMAD_SKIP_VERIFY": "maybe"})
    assert ended.code == EXIT_ERROR
    assert ended.err == "error[bad-config]: environment variable NOMAD_SKIP_VERIFY: 'maybe' is not true or false\n"


def test_a_variable_that_nothing_reads_is_a_warning(program: Program, shop: Path) -> None:
    assert shop.exists()
    environ = {"NOMAD_DTREE_PARALELISM": "2", "NOMAD_DTREE_NOMAD": "x", "NOMAD_DTREE_CACHE": "x", "NOMAD_DTREE_FS_ROOT": str(shop)}
    ended = program("validate", environ=environ)
    warning = "nothing reads the environment variable NOMAD_DTREE_PARALELISM; did you mean 'NOMAD_DTREE_PARALLELISM'?"
    assert (ended.code, ended.err) == (EXIT_OK, f"warning: {warning}\n")


def test_a_bad_configuration_file_is_told_with_its_line(program: Program, shop: Path) -> None:
    (shop / config.FILE_NAME).write_text("\n[nomad]\nadress = 'x'\n")
    ended = program("validate")
    assert ended.code == EXIT_ERROR
    assert ended.err == (
        f"error[bad-config]: unknown key `adress`\n  --> {shop / config.FILE_NAME}:3:1, nomad.adress\n  hint: did you mean 'address'?\n"
    )


def test_the_store_and_its_options_come_from_the_file_too(program: Program, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "below").mkdir()
    (shop / config.FILE_NAME).write_text('[stores.filesystem]\nfs-root = "."\n')
    monkeypatch.chdir(shop / "below")
    assert program("validate").code == EXIT_OK
    assert program("validate", environ={"NOMAD_DTREE_FS_ROOT": "."}).code == EXIT_ERROR
    assert program("validate", "--fs-root", "..", environ={"NOMAD_DTREE_FS_ROOT": "."}).code == EXIT_OK


def test_a_folder_without_a_dependency_file_is_told(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = program("graph")
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith(f"error[depfile-missing]: {tmp_path} has no dependency file\n")


def test_a_working_folder_that_is_gone_is_told(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = program("graph")
    assert (ended.code, ended.err.splitlines()[0]) == (EXIT_ERROR, "error[no-working-folder]: the working folder is gone")


# -- secrets ---------------------------------------------------------------------------------------------------------------------


def test_the_token_comes_from_where_it_was_said_most_plainly(
    program: Program, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def look(invocation: Invocation) -> FakeCluster:
        seen.append(invocation.connection().token)
        raise KeyboardInterrupt

    monkeypatch.setattr(Invocation, "cluster", property(look))
    for name in ("file", "option", "variable"):
        (tmp_path / name).write_text(f"of-{name}\n")
    (shop / config.FILE_NAME).write_text(f'nomad.token-file = "{tmp_path / "file"}"\n')
    variable = {"NOMAD_TOKEN": "variable"}
    assert program("plan", "nginx").code == EXIT_INTERRUPTED
    program("plan", "nginx", environ=variable)
    program("plan", "nginx", "--token-file", str(tmp_path / "option"), environ=variable)
    program("plan", "nginx", "--token", "option", "--token-file", str(tmp_path / "option"), environ=variable)
    program("plan", "nginx", environ={"NOMAD_DTREE_TOKEN_FILE": str(tmp_path / "variable")})
    assert seen == ["of-file", "variable", "of-option", "option", "of-variable"]


def test_a_token_file_that_cannot_be_read_is_told(program: Program, shop: Path) -> None:
    ended = program("plan", "nginx", "--token-file", "nowhere")
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith(f"error[bad-config]: the token file {shop / 'nowhere'} cannot be read: No such file or directory\n")


@pytest.mark.parametrize("words", [("plan", "nginx"), ("plan", "nginx", "--output", "json"), ("run", "nginx", "-v"), ("status", "nginx")])
def test_the_token_appears_nowhere(program: Program, shop: Path, closed_port: int, words: tuple[str, ...]) -> None:
    assert shop.exists()
    ended = program(*words, "--token", TOKEN, "--server-addr", f"http://127.0.0.1:{closed_port}")
    assert ended.code == EXIT_ERROR
    assert TOKEN not in ended.out + ended.err


def test_an_empty_token_file_is_told(program: Program, shop: Path) -> None:
    (shop / "token").write_text("\n")
    ended = program("plan", "nginx", "--token-file", "token")
    assert (ended.code, ended.err.splitlines()[0]) == (EXIT_ERROR, f"error[bad-config]: the token file {shop / 'token'} is empty")


@pytest.mark.parametrize(
    "address", ["http://u:SECRET@127.0.0.1:{port}", "http://127.0.0.1:{port}/?token=SECRET", "ftp://u:SECRET@h?token=SECRET"]
)
def test_an_error_shows_no_secret_of_an_address(program: Program, shop: Path, closed_port: int, address: str) -> None:
    assert shop.exists()
    ended = program("plan", "nginx", "--server-addr", address.format(port=closed_port))
    assert ended.code == EXIT_ERROR
    assert "127.0.0.1" in ended.err or "ftp://h" in ended.err
    assert "SECRET" not in ended.err


@pytest.mark.parametrize(
    "words", [("--server-addr", "http://u:SECRET@h"), ("--nomad-addr=http://u:SECRET@h?token=SECRET",), ("--nomad-addr=u:SECRET@h",)]
)
def test_a_bug_report_shows_no_secret_of_an_address(
    program: Program, shop: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def break_down(_self: Invocation) -> FakeCluster:
        raise ValueError("cannot read 'SECRET@h' of http://u:SECRET@h?token=SECRET")

    assert shop.exists()
    monkeypatch.setattr(Invocation, "cluster", property(break_down))
    ended = program("plan", "nginx", *words)
    assert ended.code == EXIT_BUG
    assert "SECRET" not in ended.err


# -- bugs ------------------------------------------------------------------------------------------------------------------------


def test_a_bug_is_a_report_to_paste_without_secrets(program: Program, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_self: Invocation) -> FakeCluster:
        raise KeyError(f"token {TOKEN} and key sesame-open")

    assert shop.exists()
    monkeypatch.setattr(Invocation, "cluster", property(break_down))
    ended = program("plan", "nginx", "--token", TOKEN, environ={"MY_API_SECRET": "sesame-open"})
    assert (ended.code, ended.out) == (EXIT_BUG, "")
    lines = ended.err.splitlines()
    assert lines[0] == """error[bug]: nomad-dtree met something it was not made for: KeyError: 'token HIDDEN and key HIDDEN'"""
    assert "command: nomad-dtree plan nginx --token HIDDEN" in lines
    assert "Traceback (most recent call last):" in lines
    assert TOKEN not in ended.err
    assert "sesame-open" not in ended.err


def test_a_short_secret_is_hidden_by_its_place_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = (Setting("kv-pin", "x", secret=True), Setting("kv-name", "x"))
    failure.report_bug(ValueError("x"), ["run", "--kv-pin", "1", "--kv-pin=12", "--kv-name", "n"], {}, settings, Secrets())
    assert "command: nomad-dtree run --kv-pin HIDDEN --kv-pin=HIDDEN --kv-name n\n" in capsys.readouterr().err


# -- streams ---------------------------------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_noise(shop: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([sys.executable, "-m", "dtree", "graph"], cwd=shop, stdout=write, stderr=subprocess.PIPE) as child:
        os.close(write)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (EXIT_ERROR, b"")


def test_a_full_disk_under_the_output_is_an_error(shop: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "dtree", "graph"]
        ended = subprocess.run(command, cwd=shop, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_ERROR
    assert ended.stderr == "error[output-failed]: standard output cannot be written: No space left on device\n"


def test_names_that_the_terminal_cannot_show_are_escaped(shop: Path) -> None:
    (shop / "dependency.json").write_text('{"dependencies": {"caf\u00e9": {}}}', encoding="utf-8")
    (shop / "jobs" / "caf\u00e9.nomad").write_text("")
    ended = process("graph", cwd=shop, environ={"PYTHONIOENCODING": "ascii"})
    assert (ended.returncode, ended.stdout, ended.stderr) == (EXIT_OK, "caf\\xe9\n", "")


def test_the_program_runs_with_its_output_closed(shop: Path) -> None:
    command = f"exec {sys.executable} -m dtree validate >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=shop, timeout=60, check=False).returncode == EXIT_OK


# -- start and signals -----------------------------------------------------------------------------------------------------------


def test_the_version_is_printed_before_typer_is_imported(tmp_path: Path) -> None:
    script = "import sys; sys.argv[1:] = ['--version']; from dtree.__main__ import main; main(); sys.exit('typer' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.startswith("nomad-dtree ")) == (0, True)


_NOT_AT_START = (
    *("dtree.values", "dtree.hcl_variables", "dtree.render.messages", "dtree.render.filters", "dtree.render.process", "jinja2"),
    *("dtree.version_sources", "dtree.versions_lock", "dtree.cli.version_inputs", "dtree.cli.lookups", "dtree.var_files", "dtree.hcl_file"),
    *("dtree.model", "dtree.access.git.questions", "dtree_stores.git_commit", "dtree.access.nomad"),
    *("git", "consul", "nomad", "requests", "watchfiles", "hcl2", "lark"),
)
"""What templates, versions and connections need, and files of jobs without them do not."""


@pytest.mark.parametrize("command", ["--help", "validate", "graph"])
def test_what_a_command_does_not_need_is_not_imported(shop: Path, command: str) -> None:
    script = f"import sys; from dtree.cli.app import main; code = main([{command!r}]); print(*sys.modules); sys.exit(code)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=shop, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_OK, ended.stderr
    assert sorted(set(_NOT_AT_START).intersection(ended.stdout.splitlines()[-1].split())) == []


def test_a_connection_to_nomad_imports_nothing_of_what_jobs_are() -> None:
    script = "import sys, dtree.access.nomad, dtree.access.variables; sys.exit('dtree.model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == EXIT_OK


def test_a_usage_error_is_exit_code_64_of_the_process(shop: Path) -> None:
    ended = process("stop", cwd=shop)
    assert (ended.returncode, ended.stdout) == (EXIT_USAGE, "")
    assert ended.stderr.startswith("error[usage]: ")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_anything_was_changed_just_ends_the_program(name: str) -> None:
    with pytest.raises(KeyboardInterrupt), Signals():
        signal.raise_signal(signal.Signals[name])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_is_told_to_the_subscriber(name: str) -> None:
    told: list[str] = []

    def hear(signal_name: str) -> int:
        told.append(signal_name)
        return EXIT_INTERRUPTED

    with Signals() as signals:
        signals.subscribe(hear)
        signal.raise_signal(signal.Signals[name])
    assert told == [name]


def test_the_second_signal_leaves_at_once_with_the_exit_code_that_the_first_was_answered_with(tmp_path: Path) -> None:
    script = (
        "import signal, sys\n"
        "from dtree.cli.signals import Signals\n"
        "with Signals() as signals:\n"
        "    signals.subscribe(lambda name: print(name, flush=True) or 130)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (EXIT_INTERRUPTED, "SIGINT\n", "")


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signals.subscribe(pytest.fail)
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Signals():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


# -- Terminals ----------------------------------------------------------------------------------------------------------------


def sit_at_terminals(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have these streams say that they are terminals."""
    for name in names:
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)


def test_on_a_terminal_an_error_is_broken_at_blanks(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sit_at_terminals(monkeypatch, "stderr")
    narrow = program("graph", environ={"NO_COLOR": "1", "COLUMNS": "30"})
    wide = program("graph", environ={"NO_COLOR": "1", "COLUMNS": "1000"})
    assert " ".join(narrow.err.split()) == " ".join(wide.err.split())
    assert all(len(line) <= 30 or str(tmp_path) in line for line in narrow.err.splitlines())
    assert max(map(len, wide.err.splitlines())) > 30


def test_elsewhere_an_error_is_not_broken(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert program("graph", environ={"COLUMNS": "30"}).err.count("\n") == program("graph").err.count("\n")


@pytest.mark.parametrize(("terminals", "times"), [(("stdout", "stderr"), 0), (("stdout",), 1), (("stderr",), 1), ((), 1)])
def test_with_json_an_error_is_told_once_on_a_terminal(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminals: tuple[str, ...], times: int
) -> None:
    monkeypatch.chdir(tmp_path)
    sit_at_terminals(monkeypatch, *terminals)
    ended = program("validate", "--output", "json", environ={"NO_COLOR": "1"})
    assert (ended.err.count("error[depfile-missing]"), len(ended.json_lines())) == (times, 1)


def test_a_store_of_somebody_elses_that_fails_in_its_own_way_is_no_bug_of_ours(
    program: Program, memory: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object) -> None:
        raise ValueError("boom")

    assert memory == {}
    monkeypatch.setattr(MemoryStore, "snapshot", fail)
    ended = program("graph", "--store", "memory")
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith("error[store-broken]: the store 'memory' failed: ValueError: boom\n  it is ")
    assert "nomad-dtree stores check" in ended.err

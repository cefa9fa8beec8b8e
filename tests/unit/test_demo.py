"""Finding and building Nomad, what its agents leave behind, and the files of the demo."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dtree.demo import binary
from dtree.demo.agent import Agent
from dtree.demo.binary import NOMAD_VERSION, cache_folder, find_nomad
from dtree.demo.leftovers import end_processes, mounts_below, processes_of
from dtree.errors import DemoError

DEMO = Path(binary.__file__).parent
SHOP = Path(__file__).parents[2] / "examples/shop"

# Does what `go build ... -o FILE MODULE` does as far as anybody can see, without building anything.
FAKE_GO = """#!/bin/sh
PATH=/usr/bin:/bin
grep -q "^tool github.com/hashicorp/nomad$" go.mod && [ -s go.sum ] && [ "$GOWORK" = off ] || exit 9
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n' > "$2"
chmod +x "$2"
"""
BROKEN_GO = """#!/bin/sh
echo "verifying module: checksum mismatch"
exit 1
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own: an empty cache, no Go, no Nomad and nothing else on the PATH but the folder `bin`."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("NOMAD_DTREE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NOMAD_DTREE_NOMAD", raising=False)
    monkeypatch.setattr(binary, "_GO_FOLDER", str(tmp_path / "none"))
    return tmp_path


def install(machine: Path, name: str, text: str) -> Path:
    """Put a program on the machine's PATH."""
    program = machine / "bin" / name
    program.write_text(text)
    program.chmod(0o755)
    return program


# -- finding and building ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"NOMAD_DTREE_CACHE": "/own", "XDG_CACHE_HOME": "/shared"}, Path("/own")),
        ({"XDG_CACHE_HOME": "/shared"}, Path("/shared/nomad-dtree")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/nomad-dtree"),
    ],
)
def test_the_cache_lies_where_the_environment_says(environ: dict[str, str], expected: Path) -> None:
    assert cache_folder(environ) == expected


def test_a_nomad_that_was_named_beats_every_other(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = install(machine, "named", FAKE_GO)
    install(machine, "nomad", FAKE_GO)
    monkeypatch.setenv("NOMAD_DTREE_NOMAD", str(named))

    assert find_nomad(on_path=True) == named


def test_only_the_demo_takes_a_nomad_from_the_path(machine: Path) -> None:
    on_path = install(machine, "nomad", FAKE_GO)
    install(machine, "go", FAKE_GO)

    assert find_nomad(on_path=True) == on_path
    assert find_nomad(stream=io.StringIO()) == machine / f"cache/servers/nomad-{NOMAD_VERSION}"


def test_a_nomad_is_built_once_and_then_found(machine: Path) -> None:
    go = install(machine, "go", FAKE_GO)
    first, second = io.StringIO(), io.StringIO()

    built = find_nomad(stream=first)
    go.unlink()

    assert find_nomad(stream=second) == built
    assert first.getvalue() == f"building Nomad {NOMAD_VERSION} with Go, once; takes about 4 minutes …\n"
    assert second.getvalue() == ""


def test_a_failed_build_shows_what_go_said_and_leaves_no_program(machine: Path) -> None:
    install(machine, "go", BROKEN_GO)

    with pytest.raises(DemoError) as caught:
        find_nomad(stream=io.StringIO())

    assert caught.value.error_code == "build-failed"
    assert caught.value.notes == ("verifying module: checksum mismatch",)
    assert [path.name for path in (machine / "cache/servers").iterdir()] == [f".nomad-{NOMAD_VERSION}.lock"]


def test_without_nomad_and_go_the_error_says_what_to_install(machine: Path) -> None:
    with pytest.raises(DemoError) as caught:
        find_nomad()

    assert caught.value.error_code == "go-missing"
    assert "https://go.dev/dl/" in caught.value.hint
    assert not (machine / "cache").exists()


def test_a_named_nomad_that_does_not_exist_is_an_error_and_no_reason_to_build(machine: Path) -> None:
    install(machine, "go", FAKE_GO)

    with pytest.raises(DemoError) as caught:
        find_nomad(str(machine / "nowhere"))

    assert caught.value.error_code == "program-missing"
    assert not (machine / "cache").exists()


def test_the_version_in_the_name_is_the_pinned_one() -> None:
    pins = (DEMO / "servers/go.mod").read_text()

    assert re.findall(r"^\s*github\.com/hashicorp/nomad v(\S+)", pins, re.MULTILINE) == [NOMAD_VERSION]


def test_on_a_terminal_the_progress_is_one_line_that_moves() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with binary._progress(binary.NOMAD, stream) as tick:
        tick()

    text = f"building Nomad {NOMAD_VERSION} with Go, once; takes about 4 minutes …"
    assert stream.getvalue() == f"\r\x1b[K{text}\r\x1b[K{text} 0 s\n"


# -- starting and ending ----------------------------------------------------------------------------------------------


def test_a_program_that_is_no_nomad_is_quoted_and_cleared_away(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(machine, "nomad", "#!/bin/sh\necho 'I am no Nomad'\nexit 4\n")
    monkeypatch.setattr("tempfile.tempdir", str(machine))

    with pytest.raises(DemoError) as caught:
        Agent(program).start()

    assert caught.value.problem == "the Nomad agent ended while it started (exit code 4)"
    assert caught.value.notes == ("I am no Nomad",)
    assert list(machine.glob("dtree-nomad-*")) == []


def test_a_program_of_another_machine_is_an_error_and_no_bug(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(machine, "nomad", "\x7fELF of some other machine")
    monkeypatch.setattr("tempfile.tempdir", str(machine))

    with pytest.raises(DemoError) as caught:
        Agent(program).start()

    assert caught.value.problem == f"{program} cannot be started: Exec format error"
    assert list(machine.glob("dtree-nomad-*")) == []


def test_ports_that_were_taken_in_between_are_no_reason_to_give_up_at_once(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = machine / "starts"
    program = install(machine, "nomad", f"#!/bin/sh\necho start >> {starts}\necho 'bind: address already in use'\nexit 1\n")
    monkeypatch.setattr("tempfile.tempdir", str(machine))

    with pytest.raises(DemoError) as caught:
        Agent(program).start()

    assert starts.read_text() == "start\n" * 3
    assert caught.value.notes == ("bind: address already in use",)
    assert list(machine.glob("dtree-nomad-*")) == []


def test_an_agent_that_never_gets_ready_is_given_up_after_its_time(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = install(machine, "nomad", "#!/bin/sh\nexec /bin/sleep 1000\n")
    monkeypatch.setattr("tempfile.tempdir", str(machine))

    with pytest.raises(DemoError) as caught:
        Agent(program, ready_timeout_s=0.2).start()

    assert caught.value.error_code == "agent-not-ready"
    assert processes_of(machine) == []


def test_settings_and_tokens_of_the_user_do_not_reach_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOMAD_TOKEN", "secret")

    environment = Agent(Path("nomad"), path=(Path("/first"),))._agent_environment()

    assert [name for name in environment if name.startswith("NOMAD_")] == []
    assert environment["PATH"] == f"/first:{os.environ['PATH']}"


def test_a_process_is_found_by_its_tmpdir_and_by_its_working_folder(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "ours-not"
    ours.mkdir()
    others.mkdir()
    with (
        _waiting(env={"TMPDIR": str(ours / "tmp")}, cwd=tmp_path) as by_tmpdir,
        _waiting(env={}, cwd=ours) as by_folder,
        _waiting(env={"TMPDIR": str(others)}, cwd=others) as neighbour,
    ):
        found = processes_of(ours)
        end_processes(ours)

        assert found == sorted([by_tmpdir.pid, by_folder.pid])
        assert (by_tmpdir.wait(), by_folder.wait(), neighbour.poll()) == (-signal.SIGTERM, -signal.SIGTERM, None)


def test_a_folder_without_mounts_has_none_below_it(tmp_path: Path) -> None:
    assert mounts_below(tmp_path) == []


# -- the files --------------------------------------------------------------------------------------------------------


def test_demo_and_shop_have_the_same_dependency_file() -> None:
    assert (SHOP / "dependency.json").read_text() == (DEMO / "jobs/dependency.json").read_text()
    assert json.loads((SHOP / "dependency.json").read_text()) == {
        "dependencies": {
            "nginx": {"wait_cond": 5, "pre": {"job": "api"}},
            "api": {"wait_cond": 7, "pre": {"job": "postgres"}},
            "postgres": {"post": {"job": "postgres_setup", "wait_cond": 3}, "wait_cond": 5},
        }
    }


def test_the_second_dependency_file_of_the_shop_differs_in_the_waiting_only() -> None:
    text = json.loads((SHOP / "dependency.json").read_text(), object_pairs_hook=_without_wait_cond)

    assert json.loads((SHOP / "dependency-ready.json").read_text()) == text


def _without_wait_cond(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {key: value for key, value in pairs if key != "wait_cond"}


def _waiting(*, env: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
    """Start a process that ends when its input does; returns once it has its environment and folder."""
    program = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    process = subprocess.Popen(program, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_a_cache_folder_that_is_no_folder_is_told(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "bin/go").write_text("#!/bin/sh\n")
    (machine / "bin/go").chmod(0o755)
    (machine / "file").write_text("")
    monkeypatch.setenv("NOMAD_DTREE_CACHE", str(machine / "file/cache"))
    with pytest.raises(DemoError) as caught:
        find_nomad(stream=io.StringIO())
    assert caught.value.error_code == "cache-unusable"
    assert str(machine / "file/cache/servers") in caught.value.problem

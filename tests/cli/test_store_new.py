"""`nomad-dtree stores new`: what it writes works as it is, and nothing of anybody's is overwritten."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program
from tests.cli.installed import Site

FILES = ["README.md", "dtree_my_kv.py", "example.json", "pyproject.toml", "test_dtree_my_kv.py"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_what_it_writes_installs_passes_its_tests_and_is_used_by_the_commands_it_names(program: Program, here: Path) -> None:
    said = program("stores", "new", "my-kv")
    assert (said.code, said.err) == (EXIT_OK, "")
    package, site = here / "dtree-my-kv", Site(here / "site")
    assert sorted(path.name for path in package.iterdir()) == FILES
    install, tests, check, graph = (shlex.split(line) for line in said.out.splitlines()[-4:])
    assert install == ["python", "-m", "pip", "install", "-e", "dtree-my-kv", "pytest"]
    assert tests == ["python", "-m", "pytest", "dtree-my-kv"]
    site.install(package)
    assert " passed" in site.tests(package)
    checked = site.run("-m", "dtree", *check[1:], cwd=here)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "my-kv: all 14 checks passed")
    assert site.run("-m", "dtree", *graph[1:], cwd=here).stdout == "web\n└─ db\n"
    valid = site.run("-m", "dtree", "validate", "--output", "json", cwd=here, environ=by_variables("example.json", package))
    assert json.loads(valid.stdout)["jobs"] == 2


def by_variables(file: str, package: Path) -> dict[str, str]:
    return {"NOMAD_DTREE_STORE": "my-kv", "NOMAD_DTREE_MY_KV_FILE": str(package / file)}


def test_a_store_whose_file_is_no_json_is_an_error_and_no_traceback(program: Program, here: Path) -> None:
    program("stores", "new", "my-kv")
    package, site = here / "dtree-my-kv", Site(here / "site")
    site.install(package)
    ended = site.run("-m", "dtree", "graph", cwd=here, environ=by_variables("README.md", package))
    assert ended.returncode == EXIT_ERROR
    assert ended.stderr.startswith("error[store-error]: ")


def test_what_it_writes_is_well_formed_python(program: Program, here: Path) -> None:
    program("stores", "new", "my-kv")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "140", "--check", "."]
    assert subprocess.run(command, cwd=here, capture_output=True, text=True, check=False).stdout.endswith("already formatted\n")


def test_another_folder_may_be_given_and_may_exist(program: Program, here: Path) -> None:
    (here / "other").mkdir()
    (here / "other" / "notes.txt").write_text("mine")
    assert program("stores", "new", "my-kv", "--into", "other").code == EXIT_OK
    assert sorted(path.name for path in (here / "other").iterdir()) == sorted([*FILES, "notes.txt"])
    assert program("stores", "new", "my-kv", "--into", "deep/er").code == EXIT_OK
    assert sorted(path.name for path in (here / "deep" / "er").iterdir()) == FILES


def test_nothing_is_overwritten_and_then_nothing_is_written(program: Program, here: Path) -> None:
    package = here / "dtree-my-kv"
    package.mkdir()
    (package / "README.md").write_text("mine")
    (package / "example.json").symlink_to("nowhere")
    ended = program("stores", "new", "my-kv")
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith("error[file-exists]: dtree-my-kv has example.json, README.md already, and nothing is overwritten\n")
    assert sorted(path.name for path in package.iterdir()) == ["README.md", "example.json"]
    assert (package / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(program: Program, here: Path) -> None:
    (here / "file").write_text("")
    ended = program("stores", "new", "my-kv", "--into", "file/below")
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith("error[file-not-written]: file/below cannot be written: Not a directory\n")


@pytest.mark.parametrize("name", ["My-Kv", "my_kv", "1st", "a--b", "a-", "../up", "a/b", "", "kv ", "k" * 41])
def test_a_name_that_is_none_is_refused(program: Program, here: Path, name: str) -> None:
    ended = program("stores", "new", "--", name)
    assert (ended.code, list(here.iterdir())) == (EXIT_USAGE, [])
    assert f"'{name}' is no name for a store" in ended.err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("filesystem", "there is a store 'filesystem' already, of nomad-dtree "),
        ("token", "the option --token-file of a store 'token' would be one of nomad-dtree's own"),
        ("stores", "there is a Python module dtree_stores already"),
    ],
)
def test_a_name_that_would_clash_is_refused(program: Program, here: Path, name: str, says: str) -> None:
    ended = program("stores", "new", name)
    assert (ended.code, list(here.iterdir())) == (EXIT_USAGE, [])
    assert says in ended.err

"""`--check-artifacts`: what is missing keeps everything from being registered. On a Nomad in memory, with a server of files on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtree import config
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK
from tests.cli.conftest import Program
from tests.cli.test_status_watch import press_ctrl_c
from tests.fakes.artifact_server import FileServer, Page, file_server
from tests.fakes.cluster import FakeCluster
from tests.fakes.store import Shelf


@pytest.fixture
def files() -> Iterator[FileServer]:
    with file_server() as server:
        server.pages["/db.tgz"] = Page()
        server.pages["/api.tgz"] = Page()
        yield server


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: FileServer) -> Path:
    """Working folder with two jobs that fetch a file each: `api`, which needs `db`."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "dependency.json").write_text(json.dumps({"dependencies": {"api": {"pre": "db"}}}))
    for name in ("db", "api"):
        write_job(tmp_path, name, f"{files.address}/{name}.tgz?token=hush")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_job(folder: Path, name: str, *sources: str) -> None:
    task = {"Name": "work", "Driver": "exec", "Artifacts": [{"GetterSource": source} for source in sources]}
    job = {"ID": name, "Type": "service", "TaskGroups": [{"Name": "main", "Count": 1, "Tasks": [task]}]}
    (folder / "jobs" / f"{name}.json").write_text(json.dumps({"Job": job}))


def test_what_is_there_runs(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    assert pair.exists()
    ended = program("run", "api", "--check-artifacts")
    assert (ended.code, ended.out) == (EXIT_OK, "")
    assert ended.err.splitlines()[0] == "Artifacts: 2 are there."
    assert nomad.called("register") == ["db", "api"]
    assert [one.method for one in files.asked] == ["HEAD", "HEAD"]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_is_missing_is_told_at_once_and_nothing_is_registered(
    program: Program, pair: Path, nomad: FakeCluster, files: FileServer, command: str
) -> None:
    assert pair.exists()
    files.pages.clear()
    ended = program(command, "api", "--check-artifacts")
    assert (ended.code, ended.out, nomad.changes) == (EXIT_ERROR, "", [])
    assert ended.err.count("error[artifact-missing]") == 2
    assert f"job 'api', task main/work: {files.address}/api.tgz is not there (404)" in ended.err
    assert "hush" not in ended.err


def test_what_is_missing_is_told_as_json_by_one_line_each(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    assert pair.exists()
    files.pages["/api.tgz"] = Page(get=410)
    ended = program("run", "api", "--check-artifacts", "--output", "json")
    (line,) = ended.json_lines()
    assert (ended.code, line["code"], line["file"], nomad.changes) == (EXIT_ERROR, "artifact-missing", "jobs/api.json", [])
    assert "(410)" in line["problem"]


def test_without_the_option_nobody_is_asked(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    assert pair.exists()
    files.pages.clear()
    assert program("plan", "api", "--output", "json").json()["artifacts"] is None
    assert program("run", "api").code == EXIT_OK
    assert files.asked == []
    assert nomad.called("register") == ["db", "api"]


def test_a_key_turns_it_on_for_good_and_an_option_off(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    (pair / config.FILE_NAME).write_text("check-artifacts = true\n")
    files.pages.clear()
    assert program("plan", "api").code == EXIT_ERROR
    assert program("run", "api").code == EXIT_ERROR
    assert nomad.changes == []
    assert program("run", "api", "--no-check-artifacts").code == EXIT_OK


def test_what_is_not_checked_does_not_fail_and_is_told(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    write_job(pair, "db", f"{files.address}/locked.tgz", "git::https://me:hush@git.example/db.git")
    files.pages["/locked.tgz"] = Page(get=401)
    planned = program("plan", "api", "--check-artifacts")
    document = program("plan", "api", "--check-artifacts", "--output", "json").json()
    ran = program("run", "api", "--check-artifacts", "--output", "json")
    assert (planned.code, ran.code, nomad.called("register")) == (EXIT_OK, EXIT_OK, ["db", "api"])
    assert planned.out.splitlines()[-3:] == [
        "Artifacts: 1 is there, 2 not checked.",
        f"  not checked: {files.address}/locked.tgz (db): it wants a login (401)",
        "  not checked: git::https://git.example/db.git (db): git:: is not asked",
    ]
    assert [one["state"] for one in document["artifacts"]] == ["not checked", "not checked", "there"]
    assert document["artifacts"][2] == {
        "kind": "file",
        "address": f"{files.address}/api.tgz",
        "state": "there",
        "why": "",
        "tasks": [{"job": "api", "task": "main/work", "file": "jobs/api.json"}],
    }
    first, second = ran.json_lines()[:2]
    assert (first["event"], first["artifacts"], second["event"]) == ("artifacts-checked", document["artifacts"], "run-started")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_is_not_checked_is_told_also_where_something_is_missing(
    program: Program, pair: Path, nomad: FakeCluster, files: FileServer, command: str
) -> None:
    write_job(pair, "db", f"{files.address}/locked.tgz?token=hush", f"{files.address}/${{NOMAD_ALLOC_ID}}.tgz", f"{files.address}/gone.tgz")
    del files.pages["/api.tgz"]
    files.pages["/locked.tgz"] = Page(get=403)
    notes = [
        f"not checked: {files.address}/locked.tgz (db): it wants a login (403)",
        f"not checked: {files.address}/${{NOMAD_ALLOC_ID}}.tgz (db): it is known only where the task runs: it holds `${{...}}`",
    ]
    ended = program(command, "api", "--check-artifacts")
    assert (ended.code, nomad.changes, ended.err.count("error[artifact-missing]")) == (EXIT_ERROR, [], 2)
    assert [line.strip() for line in ended.err.splitlines() if "not checked" in line] == notes
    lines = program(command, "api", "--check-artifacts", "--output", "json").json_lines()
    assert [(line["code"], line["notes"]) for line in lines] == [("artifact-missing", notes)] * 2


def test_what_runs_unchanged_is_not_asked_about(program: Program, pair: Path, nomad: FakeCluster, files: FileServer) -> None:
    assert pair.exists()
    program("run", "api")
    files.pages.clear()
    ended = program("run", "api", "--check-artifacts")
    assert (ended.code, files.asked, nomad.called("register")) == (EXIT_OK, [], ["db", "api"])
    assert ended.err.splitlines()[0] == "Artifacts: nothing to ask for."


def test_quiet_leaves_the_line_out(program: Program, pair: Path, nomad: FakeCluster) -> None:
    assert pair.exists()
    assert "Artifacts" not in program("run", "api", "--check-artifacts", "--quiet").err
    assert nomad.called("register") == ["db", "api"]


def test_the_exit_code_still_tells_changes(program: Program, pair: Path, nomad: FakeCluster) -> None:
    assert pair.exists()
    assert program("plan", "api", "--check-artifacts", "--detailed-exitcode").code == EXIT_CHANGES_PENDING
    assert nomad.changes == []


def test_a_watched_plan_asks_again_only_for_what_is_missing(
    program: Program, pair: Path, nomad: FakeCluster, files: FileServer, memory: dict[str, Shelf]
) -> None:
    memory["pair"] = Shelf(
        {str(path.relative_to(pair)): path.read_bytes() for path in pair.rglob("*.json") if path.is_file()}, nomad.clock.pause
    )
    del files.pages["/api.tgz"]
    nomad.clock.after(9.0, lambda: files.pages.update({"/api.tgz": Page()}))
    nomad.clock.after(20.0, press_ctrl_c)
    ended = program("plan", "api", "--check-artifacts", "--watch", "--store", "memory", "--memory-place", "pair")
    assert ended.code == EXIT_INTERRUPTED
    assert ended.err.count("error[artifact-missing]") == 1
    assert ended.out.splitlines()[-1] == "Artifacts: 2 are there."
    assert len(files.methods("/db.tgz")) == 1

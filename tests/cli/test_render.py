"""`nomad-dtree render`: to standard output, into files, as JSON, and the difference of two refs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.repositories import commit_files, git, make_repository

API = 'job "api" {\n  # [[ image ]]\n}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    (work / "jobs" / "team").mkdir(parents=True)
    entries = {"api": {"vars": {"image": "api:1"}}, "team/web": {"pre": "api"}}
    (work / "dependency.json").write_text(json.dumps({"dependencies": entries}))
    (work / "jobs" / "api.nomad").write_text(API)
    (work / "jobs" / "team" / "web.nomad").write_text('job "web" {\n  type = "service"\n}')
    monkeypatch.chdir(work)
    return work


def test_one_job_is_printed_as_it_is(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program("render", "api")
    assert (done.code, done.out, done.err) == (EXIT_OK, 'job "api" {\n  # api:1\n}\n', "")
    assert program("render", "--job", "team/web").out == 'job "web" {\n  type = "service"\n}\n'


def test_several_are_told_apart_by_a_line_each(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    assert program("render").out == (
        "# job 'api', jobs/api.nomad\njob \"api\" {\n  # api:1\n}\n"
        '\n# job \'team/web\', jobs/team/web.nomad\njob "web" {\n  type = "service"\n}\n'
    )


def test_a_job_that_there_is_not_is_told(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program("render", "apy")
    assert done.code == EXIT_ERROR
    assert "error[unknown-job]" in done.err
    assert "did you mean 'api'?" in done.err


def test_faults_of_all_jobs_are_told_at_once(program: Program, folder: Path) -> None:
    (folder / "jobs" / "api.nomad").write_text("[[ gone ]]")
    (folder / "jobs" / "team" / "web.nomad").write_text("[% if %]")
    done = program("render")
    assert done.code == EXIT_ERROR
    assert "error[undefined-name]" in done.err
    assert "error[bad-template]" in done.err


def test_files_are_written_each_under_a_name_that_is_safe(program: Program, folder: Path) -> None:
    done = program("render", "--out", "out")
    assert done.code == EXIT_OK
    assert done.out == "out/api.nomad.hcl\nout/team%2Fweb.nomad.hcl\n"
    assert {file.name: file.read_text() for file in (folder / "out").iterdir()} == {
        "api.nomad.hcl": 'job "api" {\n  # api:1\n}\n',
        "team%2Fweb.nomad.hcl": 'job "web" {\n  type = "service"\n}',
    }
    assert program("render", "--out", "out").code == EXIT_OK


def test_a_job_that_is_json_is_written_as_that(program: Program, folder: Path) -> None:
    text = '\n{"Job": {"ID": "api", "TaskGroups": []}}\n'
    (folder / "jobs" / "api.nomad").write_text(text)
    assert program("render", "api", "--out", "out").out == "out/api.nomad.json\n"
    assert (folder / "out" / "api.nomad.json").read_text() == text


@pytest.mark.parametrize(
    ("job", "file"),
    [("../up", "%2E.%2Fup"), (".hidden", "%2Ehidden"), ("a b", "a%20b"), ("ü%", "%C3%BC%25"), ("..", "%2E."), ("/etc/x", "%2Fetc%2Fx")],
)
def test_no_name_of_a_job_leads_out_of_the_folder(program: Program, folder: Path, job: str, file: str) -> None:
    (folder / "dependency.json").write_text(json.dumps({"dependencies": {job: {"file": "jobs/api.nomad", "vars": {"image": 1}}}}))
    before = sorted(folder.parent.rglob("*"))
    done = program("render", "--out", "out")
    assert done.code == EXIT_OK, done.err
    new = {path.relative_to(folder) for path in folder.parent.rglob("*")} - {path.relative_to(folder) for path in before}
    assert new == {Path("out"), Path(f"out/{file}.nomad.hcl")}


def test_a_file_that_holds_something_else_is_kept_unless_forced_and_then_none_is_written(program: Program, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "team%2Fweb.nomad.hcl").write_text("mine")
    done = program("render", "--out", "out")
    assert done.code == EXIT_ERROR
    assert "error[file-exists]" in done.err
    assert "team%2Fweb.nomad.hcl" in done.err
    assert [file.name for file in (folder / "out").iterdir()] == ["team%2Fweb.nomad.hcl"]
    assert program("render", "--out", "out", "--force").code == EXIT_OK
    assert (folder / "out" / "team%2Fweb.nomad.hcl").read_text().startswith("job")


def test_a_link_in_the_folder_is_replaced_and_not_followed(program: Program, folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "precious").write_text("precious")
    (folder / "out" / "api.nomad.hcl").symlink_to(folder / "precious")
    assert program("render", "api", "--out", "out").code == EXIT_ERROR
    assert program("render", "api", "--out", "out", "--force").code == EXIT_OK
    assert (folder / "precious").read_text() == "precious"
    assert not (folder / "out" / "api.nomad.hcl").is_symlink()


def test_a_folder_that_cannot_be_written_is_told(program: Program, folder: Path) -> None:
    (folder / "out").write_text("a file")
    done = program("render", "--out", "out")
    assert done.code == EXIT_ERROR
    assert "error[file-not-written]" in done.err
    (folder / "there").mkdir()
    (folder / "there" / "api.nomad.hcl").mkdir()
    done = program("render", "api", "--out", "there", "--force")
    assert done.code == EXIT_ERROR
    assert "error[file-not-written]" in done.err
    assert [file.name for file in (folder / "there").iterdir()] == ["api.nomad.hcl"]


def test_json_is_the_job_as_nomad_parses_it(program: Program, folder: Path, nomad: FakeCluster) -> None:
    done = program("render", "api", "--format", "json")
    assert done.json()["Job"]["ID"] == "api"
    assert program("render", "--format", "json", "--out", "out").code == EXIT_OK
    assert json.loads((folder / "out" / "team%2Fweb.nomad.json").read_text())["Job"]["Type"] == "service"
    assert {call.what for call in nomad.calls} <= {"parse"}


def test_secrets_are_only_shown_where_that_is_asked_for(program: Program, folder: Path, nomad: FakeCluster) -> None:
    assert nomad.calls == []
    (folder / "jobs" / "api.nomad").write_text('job "api" {\n  # [[ image ]] [[ password | b64 ]]\n}\n')
    environ = {"NOMAD_DTREE_VAR_password": "hunter2-hunter2"}
    done = program("render", "api", environ=environ)
    assert done.out == 'job "api" {\n  # api:1 (secret)\n}\n'
    assert "aHVudGVyMi1odW50ZXIy" in program("render", "api", "--show-secrets", environ=environ).out
    assert program("render", "api", "--out", "out", environ=environ).code == EXIT_OK
    assert (folder / "out" / "api.nomad.hcl").read_text() == done.out
    (folder / "jobs" / "api.nomad").write_text('job "[[ image ]]" {\n  type = "[[ password | replace("-", "") ]]"\n}\n')
    assert "hunter2" not in program("explain", "api", environ=environ).out


@pytest.mark.parametrize(
    "words", [("--diff", "a", "b", "--out", "x"), ("--diff", "a", "b", "--format", "json"), ("--force",), ("--diff", "a", "b")]
)
def test_options_that_do_not_go_together_are_refused(program: Program, folder: Path, words: tuple[str, ...]) -> None:
    assert folder.is_dir()
    assert program("render", *words).code == EXIT_USAGE


# -- two refs ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose tags v1 and v2 differ in one job, and have one job each that the other has not."""
    folder = make_repository(tmp_path / "repository")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for tag, image, other in (("v1", "one", "old"), ("v2", "two", "new")):
        depfile = {"dependencies": {"api": {"vars": {"image": image}}, "same": {}, other: {}}}
        files = {
            "dependency.json": json.dumps(depfile).encode(),
            "jobs/api.nomad": API.encode(),
            "jobs/same.nomad": b'job "same" { }\n',
            f"jobs/{other}.nomad": f'job "{other}" {{ }} # [[ {other}_label | default("x") ]]\n'.encode(),
        }
        commit_files(folder, files)
        git(folder, "tag", tag)
    return folder


def test_two_refs_are_compared_job_by_job_as_rendered(program: Program, repository: Path) -> None:
    assert repository.is_dir()
    done = program("render", "--store", "git", "--diff", "v1", "v2")
    assert done.code == EXIT_CHANGES_PENDING, done.err
    assert done.out.splitlines() == [
        "job 'api' differs",
        "--- v1:jobs/api.nomad",
        "+++ v2:jobs/api.nomad",
        "@@ -1,3 +1,3 @@",
        ' job "api" {',
        "-  # one",
        "+  # two",
        " }",
        "",
        "job 'new' only in v2",
        "--- /dev/null",
        "+++ v2:jobs/new.nomad",
        "@@ -0,0 +1 @@",
        '+job "new" { } # x',
        "",
        "job 'old' only in v1",
        "--- v1:jobs/old.nomad",
        "+++ /dev/null",
        "@@ -1 +0,0 @@",
        '-job "old" { } # x',
    ]


def test_two_refs_that_render_alike_do_not_differ(program: Program, repository: Path) -> None:
    assert repository.is_dir()
    assert program("render", "same", "--store", "git", "--diff", "v1", "v2").code == EXIT_OK
    done = program("render", "api", "--store", "git", "--diff", "v1", "v2", "--var", "image=three")
    assert (done.code, done.out) == (EXIT_OK, "No difference between v1 and v2.\n")


def test_a_job_and_a_variable_of_one_ref_only_are_no_mistake(program: Program, repository: Path) -> None:
    assert repository.is_dir()
    words = ("render", "--store", "git", "--diff", "v1", "v2")
    done = program(*words, "new", "--var", "new_label=y")
    assert done.code == EXIT_CHANGES_PENDING, done.err
    assert '+job "new" { } # y' in done.out
    assert "error[unknown-job]" in program(*words, "newer").err
    assert program(*words, "--var", "neither=y").code == EXIT_USAGE


def test_refs_are_given_once_and_to_one_store(program: Program, repository: Path) -> None:
    assert repository.is_dir()
    done = program("render", "--store", "git", "--ref", "v1", "--diff", "v1", "v2")
    assert done.code == EXIT_USAGE
    assert "leave --ref out" in done.err
    done = program("render", "--diff", "v1", "v2")
    assert done.code == EXIT_USAGE
    assert "give --store git" in done.err
    assert program("render", "--store", "git", "--diff", "v1", "v3").code == EXIT_ERROR

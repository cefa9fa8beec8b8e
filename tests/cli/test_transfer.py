"""`push`, `pull` and `stores diff`: what they show, ask, write and leave alone."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dtree import config
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program
from tests.fakes.store import Shelf

DEPFILE = b'{"dependencies": {"web": {"pre": "db"}, "db": {}, "odd": {"file": "more/odd.hcl"}}}'
FILES = {
    "dependency.json": DEPFILE,
    "jobs/web.nomad": b'job "web" {}\n',
    "jobs/db.nomad": b'job "db" {\n  type = "service"\n}\n',
    "more/odd.hcl": b'job "odd" {}\n',
}
NAMED = """
[stores.here]
type = "memory"
memory-place = "here"

[stores.there]
type = "memory"
memory-place = "there"
"""
ACROSS = ("--from", "here", "--to", "there")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: dict[str, Shelf]) -> dict[str, Shelf]:
    """Two places, `here` with files and `there` without."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / config.FILE_NAME).write_text(NAMED)
    memory |= {"here": Shelf(dict(FILES)), "there": Shelf()}
    return memory


def sit_at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Have somebody there who types this when asked."""
    typed = io.StringIO(answer)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def change_there(places: dict[str, Shelf], files: Mapping[str, bytes | None]) -> None:
    """Put all that is here there too, and then change some files; None removes one."""
    places["there"].files = {path: data for path, data in {**FILES, **files}.items() if data is not None}


# -- push -----------------------------------------------------------------------------------------------------------------------


def test_an_empty_store_gets_the_dependency_file_all_jobs_and_what_entries_name(program: Program, places: dict[str, Shelf]) -> None:
    places["here"].files["more/unnamed"] = b"stays here"
    ended = program("push", *ACROSS, "--yes")
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert places["there"].files == FILES
    assert ended.out == (
        "  +  add  dependency file\n"
        "  +  add  job file         db.nomad\n"
        "  +  add  job file         web.nomad\n"
        "  +  add  file             more/odd.hcl\n"
        "\n"
        "there: 4 to add.\n"
        "Written in one go.\n"
    )


def test_where_nothing_differs_nothing_is_written(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {})
    ended = program("push", *ACROSS, "--yes")
    assert (ended.code, ended.out, ended.err) == (EXIT_OK, "Nothing to write.\n", "")


def test_what_only_the_target_has_is_listed_and_kept_unless_it_is_to_be_pruned(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/old.nomad": b"old", "jobs/web.nomad": b"other"})
    assert program("push", *ACROSS, "--dry-run", "--diff").out.count("--- ") == 1
    kept = program("push", *ACROSS, "--yes")
    assert kept.out.splitlines()[:4] == [
        "  =  keep    job file  old.nomad  not in here; --prune removes it",
        "  ~  change  job file  web.nomad",
        "",
        "there: 1 to change, 1 kept.",
    ]
    assert places["there"].files == {**FILES, "jobs/old.nomad": b"old"}
    pruned = program("push", *ACROSS, "--yes", "--prune")
    assert pruned.out.splitlines() == ["  -  remove  job file  old.nomad", "", "there: 1 to remove.", "Written in one go."]
    assert places["there"].files == FILES


def test_only_kept_files_are_nothing_to_write(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/old.nomad": b"old"})
    assert program("push", *ACROSS, "--yes").out.splitlines()[-1] == "Nothing to write: 1 kept."


def test_a_job_file_of_another_suffix_is_replaced_because_two_would_be_ambiguous(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/web.nomad": None, "jobs/web.hcl": b"other suffix"})
    ended = program("push", *ACROSS, "--yes")
    assert "  -  remove  job file  web.hcl    web.nomad takes its place" in ended.out.splitlines()
    assert places["there"].files == FILES
    assert program("validate", "--store", "there").code == EXIT_OK


def test_files_that_entries_named_before_are_kept_or_pruned_like_jobs(program: Program, places: dict[str, Shelf]) -> None:
    places["here"].files = {**FILES, "dependency.json": b'{"dependencies": {"web": {"pre": "db"}, "db": {}}}'}
    places["here"].files.pop("more/odd.hcl")
    change_there(places, {})
    assert "  =  keep    file             more/odd.hcl     not in here; --prune removes it\n" in program("push", *ACROSS, "--yes").out
    change_there(places, {})
    program("push", *ACROSS, "--yes", "--prune")
    assert "more/odd.hcl" not in places["there"].files


def test_a_dry_run_shows_and_writes_nothing(program: Program, places: dict[str, Shelf]) -> None:
    ended = program("push", *ACROSS, "--dry-run")
    assert (ended.code, ended.out.splitlines()[-1], ended.err) == (EXIT_OK, "there: 4 to add.", "")
    assert places["there"].files == {}


@pytest.mark.parametrize("words", [["--dry-run"], ["--dry-run", "--output", "json"], []])
def test_what_the_other_store_would_not_take_is_told_before_anybody_is_asked(
    program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    sit_at_a_terminal(monkeypatch, "y\n")
    places["there"].limit_bytes = 20
    ended = program("push", *ACROSS, *words, environ={"NO_COLOR": "1"})
    assert (ended.code, ended.err.splitlines()[0]) == (EXIT_ERROR, "error[store-unwritable]: db.nomad is too large")
    assert "add" not in ended.out
    assert "[y/N]" not in ended.err
    assert places["there"].files == {}


@pytest.mark.parametrize("flag", ["--diff", "-v", "--verbose"])
def test_the_lines_that_differ_are_shown_where_asked_for(program: Program, places: dict[str, Shelf], flag: str) -> None:
    change_there(places, {"jobs/db.nomad": b'job "db" {\n  type = "batch"\r\n}', "jobs/web.nomad": None, "more/odd.hcl": b"\0\1"})
    ended = program("push", *ACROSS, "--dry-run", flag)
    assert ended.out.split("\n\n")[1:4] == [
        (
            "--- there:jobs/db.nomad\n+++ here:jobs/db.nomad\n@@ -1,3 +1,3 @@\n"
            ' job "db" {\n-  type = "batch"\\r\n-}\n\\ No newline at end of file\n+  type = "service"\n+}'
        ),
        '--- /dev/null\n+++ here:jobs/web.nomad\n@@ -0,0 +1 @@\n+job "web" {}',
        "file more/odd.hcl: binary, 2 and 13 bytes",
    ]


def test_as_json_it_is_one_document(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/db.nomad": b'job "db" {}\n', "jobs/old.nomad": b"\0"})
    ended = program("push", *ACROSS, "--yes", "--diff", "--output", "json")
    document = ended.json()
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert list(document) == ["schema", "to", "from", "counts", "files", "written"]
    assert (document["from"]["store"], document["to"]["store"], document["written"]) == ("here", "there", "in one go")
    assert document["counts"] == {"change": 1, "keep": 1}
    changed, kept = document["files"]
    assert changed == {
        "kind": "job",
        "path": "db.nomad",
        "change": "change",
        "cause": "",
        "old_file": "jobs/db.nomad",
        "new_file": "jobs/db.nomad",
        "binary": False,
        "diff": [
            "--- there:jobs/db.nomad",
            "+++ here:jobs/db.nomad",
            "@@ -1 +1,3 @@",
            '-job "db" {}',
            '+job "db" {',
            '+  type = "service"',
            "+}",
        ],
    }
    assert (kept["path"], kept["change"], kept["binary"], kept["diff"]) == ("old.nomad", "keep", True, [])


# -- the question ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["y\n", "Yes\n", "y"])
def test_on_a_terminal_it_asks_and_a_yes_writes(
    program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    sit_at_a_terminal(monkeypatch, answer)
    ended = program("push", *ACROSS)
    assert (ended.code, ended.err.splitlines()) == (EXIT_OK, ["Write 4 files to there? [y/N] "])
    assert places["there"].files == FILES


@pytest.mark.parametrize("answer", ["\n", "n\n", "", "nonsense\n"])
def test_anything_else_writes_nothing(program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    sit_at_a_terminal(monkeypatch, answer)
    ended = program("push", *ACROSS)
    assert (ended.code, ended.err.endswith("nothing was written\n")) == (EXIT_ERROR, True)
    assert places["there"].files == {}


def test_ctrl_c_at_the_question_writes_nothing(program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    def press_ctrl_c() -> str:
        raise KeyboardInterrupt

    sit_at_a_terminal(monkeypatch, "")
    monkeypatch.setattr(sys.stdin, "readline", press_ctrl_c)
    ended = program("push", *ACROSS)
    assert ended.code == EXIT_INTERRUPTED
    assert ended.err.splitlines()[-3:] == ["Write 4 files to there? [y/N] ", "nothing was written", "interrupted"]
    assert places["there"].files == {}


def test_where_nothing_differs_it_does_not_ask(program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    change_there(places, {})
    sit_at_a_terminal(monkeypatch, "")
    assert program("push", *ACROSS).err == ""


@pytest.mark.parametrize(
    ("words", "problem"), [((), "there is no terminal to ask on"), (("--output", "json"), "with --output json nobody is asked")]
)
def test_without_anybody_to_ask_it_wants_to_be_told(
    program: Program, places: dict[str, Shelf], words: tuple[str, ...], problem: str
) -> None:
    change_there(places, {})  # even where nothing would be written: a script shall not find out later
    ended = program("push", *ACROSS, *words)
    assert ended.code == EXIT_USAGE
    assert ended.err == f"error[usage]: {problem}\n  hint: give --yes, or --dry-run to write nothing\n"


# -- what cannot be ----------------------------------------------------------------------------------------------------------


def test_a_set_with_faults_is_not_pushed(program: Program, places: dict[str, Shelf]) -> None:
    places["here"].files.pop("jobs/db.nomad")
    places["here"].files["jobs/web.nomad"] = b""
    ended = program("push", *ACROSS, "--yes")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert ["error[job-file-missing]" in ended.err, "error[bad-job-file]" in ended.err] == [True, True]
    assert places["there"].files == {}


def test_somebodys_change_in_between_is_told_and_kept(program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> str:
        places["there"].files["jobs/db.nomad"] = b"theirs"
        return "y\n"

    sit_at_a_terminal(monkeypatch, "")
    monkeypatch.setattr(sys.stdin, "readline", answer)
    ended = program("push", *ACROSS)
    assert ended.code == EXIT_ERROR
    assert "somebody changed jobs/db.nomad meanwhile" in ended.err
    assert places["there"].files == {"jobs/db.nomad": b"theirs"}


def test_a_store_is_not_written_to_itself(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    ended = program("push", "--from", "here", "--to", "here", "--yes")
    assert (ended.code, ended.err.splitlines()[0]) == (
        EXIT_USAGE,
        "error[usage]: 'here' is both the store to read and the one to write to",
    )


def test_a_store_that_cannot_be_written_to_is_told_before_anything_is_read(
    program: Program, places: dict[str, Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.fakes.store import MemoryStore

    monkeypatch.setattr(MemoryStore, "writable", False)
    places["here"].files.clear()
    ended = program("push", *ACROSS, "--yes")
    assert (ended.code, ended.err.splitlines()[0]) == (
        EXIT_ERROR,
        "error[store-read-only]: the store 'there' cannot be written to",
    )


def test_a_dependency_file_of_another_syntax_is_written_in_that_of_the_name_it_gets(program: Program, places: dict[str, Shelf]) -> None:
    (Path.cwd() / config.FILE_NAME).write_text(NAMED.replace('memory-place = "here"', 'memory-place = "here"\nmemory-depfile = "d.yaml"'))
    places["here"].files = {**FILES, "d.yaml": b"dependencies:\n  web:\n"}
    change_there(places, {})
    ended = program("push", *ACROSS, "--yes")
    assert ended.code == EXIT_OK, ended.err
    assert "d.yaml as JSON, without its comments" in ended.out
    assert json.loads(places["there"].files["dependency.json"]) == {"dependencies": {"web": None}}
    assert program("stores", "diff", "here", "there").code == EXIT_OK


def test_what_was_written_is_read_back(program: Program, places: dict[str, Shelf]) -> None:
    (Path.cwd() / config.FILE_NAME).write_text(NAMED.replace('memory-place = "here"', 'memory-place = "here"\nmemory-depfile = "d.yaml"'))
    places["here"].files = {**FILES, "d.yaml": b"dependencies:\n  web:\n"}
    ended = program("push", *ACROSS, "--yes")
    assert ended.code == EXIT_ERROR
    assert "error[store-inconsistent]: all was written to 'there', but as that store is set up, its files do not go together" in ended.err
    assert "dependency.json:1:1" in ended.err


def test_where_to_push_to_has_to_be_said(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert program("push", "--yes").err == "error[usage]: --to is needed\n  hint: give --to\n"
    assert program("pull", "--yes").err == "error[usage]: --from is needed\n  hint: give --from\n"


def test_push_begins_at_a_folder_and_a_layered_source_is_one_set(program: Program, places: dict[str, Shelf]) -> None:
    folder = Path.cwd()
    (folder / "jobs").mkdir()
    (folder / "jobs" / "solo.nomad").write_text('job "solo" {}')
    (folder / "dependency.json").write_text('{"dependencies": {"solo": {}}}')
    assert program("push", "--to", "there", "--yes").code == EXIT_OK
    assert sorted(places["there"].files) == ["dependency.json", "jobs/solo.nomad"]
    places["there"].files = {}
    ended = program("push", "--from", "filesystem", "--from", "here", "--to", "there", "--yes", "--output", "json")
    assert ended.json()["from"]["store"] == "filesystem + here"
    assert sorted(places["there"].files) == sorted([*FILES, "jobs/solo.nomad"])


def test_options_of_both_stores_are_taken(program: Program, places: dict[str, Shelf], tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "solo.nomad").write_text('job "solo" {}')
    (folder / "dependency.json").write_text('{"dependencies": {"solo": {}}}')
    ended = program("push", "--fs-root", str(folder), "--to", "memory", "--memory-place", "fourth", "--yes")
    assert (ended.code, sorted(places["fourth"].files)) == (EXIT_OK, ["dependency.json", "jobs/solo.nomad"])


# -- pull ---------------------------------------------------------------------------------------------------------------------


def test_pull_writes_a_folder_where_nothing_else_is_said(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    ended = program("pull", "--from", "here", "--yes")
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert {path: (Path.cwd() / path).read_bytes() for path in FILES} == FILES
    assert program("pull", "--from", "here", "--yes").out == "Nothing to write.\n"


def test_pull_takes_any_two_stores_as_push_does(program: Program, places: dict[str, Shelf]) -> None:
    assert program("pull", *ACROSS, "--yes").code == EXIT_OK
    assert places["there"].files == FILES


# -- diff ---------------------------------------------------------------------------------------------------------------------


def test_stores_that_do_not_differ_are_exit_code_0(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {})
    ended = program("stores", "diff", "here", "there")
    assert (ended.code, ended.out, ended.err) == (EXIT_OK, "No difference between here and there.\n", "")


def test_stores_that_differ_are_exit_code_2_with_what_makes_the_first_into_the_second(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/web.nomad": None, "jobs/new.nomad": b"new", "jobs/db.nomad": b"other"})
    ended = program("stores", "diff", "here", "there")
    assert (ended.code, ended.err) == (EXIT_CHANGES_PENDING, "")
    assert ended.out == (
        "  ~  differs        job file  db.nomad\n"
        "  +  only in there  job file  new.nomad\n"
        "  -  only in here   job file  web.nomad\n"
        "\n"
        "3 files of here and there differ.\n"
    )
    lines = program("stores", "diff", "here", "there", "--diff").out.splitlines()
    assert lines[lines.index("--- here:jobs/db.nomad") + 1] == "+++ there:jobs/db.nomad"
    document = program("stores", "diff", "--output", "json", "here", "there").json()
    assert list(document) == ["schema", "first", "second", "counts", "files"]
    assert [(file["path"], file["change"]) for file in document["files"]] == [
        ("db.nomad", "change"),
        ("new.nomad", "add"),
        ("web.nomad", "remove"),
    ]


@pytest.mark.parametrize(("name", "kind"), [("here", "memory"), ("filesystem", "filesystem")])
def test_a_store_is_not_compared_with_itself(program: Program, places: dict[str, Shelf], name: str, kind: str) -> None:
    assert places
    ended = program("stores", "diff", name, name)
    assert (ended.code, ended.out) == (EXIT_USAGE, "")
    assert ended.err.splitlines() == [
        f"error[usage]: '{name}' is both of the stores to compare",
        f'  hint: give a second one of its kind a name of its own: [stores.NAME] with type = "{kind}" in nomad-dtree.toml',
    ]


@pytest.mark.parametrize(("command", "example"), [("push", "push --to consul --help"), ("pull", "pull --from consul --help")])
def test_the_help_says_how_each_store_gets_its_options(program: Program, command: str, example: str) -> None:
    told = " ".join(program(command, "--help").out.split())
    assert f"`{example}` lists them" in told
    assert "--consul-addr" not in told
    assert "--consul-addr" in program(*example.split()).out


def test_one_file_differs_in_the_singular(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"dependency.json": b'{"dependencies": {}}'})
    assert program("stores", "diff", "here", "there").out.splitlines()[0] == "  ~  differs  dependency file  dependency.json"
    change_there(places, {"jobs/db.nomad": b"other"})
    assert program("stores", "diff", "here", "there").out.splitlines()[-1] == "1 file of here and there differs."


def test_faulty_sets_are_compared_as_far_as_they_can_be_read(program: Program, places: dict[str, Shelf]) -> None:
    places["here"].files = {"dependency.json": b"{", "jobs/a.hcl": b""}
    places["there"].files = {"jobs/a.hcl": b"a"}
    ended = program("stores", "diff", "here", "there")
    assert ended.code == EXIT_CHANGES_PENDING
    assert ended.out.splitlines()[:2] == [
        "  -  only in here  dependency file  dependency.json",
        "  ~  differs       job file         a.hcl",
    ]


def test_bytes_that_are_no_text_are_only_said_to_differ(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/db.nomad": b"\xff\xfe"})
    assert "job file db.nomad: binary, 32 and 2 bytes" in program("stores", "diff", "here", "there", "-v").out
    (file,) = program("stores", "diff", "here", "there", "-v", "--output", "json").json()["files"]
    assert (file["binary"], file["diff"]) == (True, [])


def test_an_empty_file_says_so_instead_of_its_lines(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/empty.nomad": b""})
    assert "job file empty.nomad: empty" in program("stores", "diff", "here", "there", "-v").out


@pytest.mark.parametrize("words", [("here", "there"), ("--memory-depfile", "dependency.json", "memory", "there"), ("-v", "here", "there")])
def test_stores_are_found_among_the_options(program: Program, places: dict[str, Shelf], words: tuple[str, ...]) -> None:
    change_there(places, {})
    assert program("stores", "diff", *words).code in (EXIT_OK, EXIT_CHANGES_PENDING)


def test_stores_that_do_not_stand_out_are_a_usage_error(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    ended = program("stores", "diff", "--memory-loud", "here", "there")
    assert ended.code == EXIT_USAGE
    assert ended.err == "error[usage]: the stores do not stand out among the options\n  hint: name the stores first, then the options\n"
    assert "error[usage]: --memory-loud does not say" in program("stores", "diff", "here", "there", "--memory-loud").err
    assert program("stores", "diff", "here").code == EXIT_USAGE
    assert program("stores", "diff", "here", "thre").err.splitlines()[0] == "error[store-unknown]: there is no store 'thre'"


def test_the_change_of_a_document_is_stable(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"jobs/db.nomad": b"other"})
    first, second = (program("stores", "diff", "here", "there", "--output", "json").out for _ in range(2))
    assert json.loads(first) == json.loads(second)
    assert first == second


def test_a_named_file_that_the_target_has_under_another_dependency_file_is_no_addition(program: Program, places: dict[str, Shelf]) -> None:
    change_there(places, {"dependency.json": b'{"dependencies": {}}'})
    assert [file["path"] for file in program("push", *ACROSS, "--yes", "--output", "json").json()["files"]] == ["dependency.json"]


def test_a_job_file_that_an_entry_names_is_carried_over_once(program: Program, places: dict[str, Shelf]) -> None:
    places["here"].files = {"dependency.json": b'{"dependencies": {"a": {"file": "jobs/b.hcl"}}}', "jobs/b.hcl": b'job "b" {}'}
    document = program("push", *ACROSS, "--yes", "--output", "json").json()
    assert [(file["kind"], file["path"]) for file in document["files"]] == [("depfile", ""), ("job", "b.hcl")]
    assert places["there"].files == places["here"].files

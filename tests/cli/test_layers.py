"""Several stores as one, in the commands: which text wins, and where each is said to come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree import config
from dtree.errors import EXIT_ERROR, EXIT_OK
from dtree.model import JobRef
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.store import Shelf

NAMED = """
[stores.over]
type = "memory"
memory-place = "over"

[stores.gone]
type = "memory"
memory-place = "nowhere"
"""
BOTH = ("--store", "filesystem", "--store", "over")


@pytest.fixture
def over(shop: Path, memory: dict[str, Shelf]) -> Shelf:
    """A store above the shop's folder, with another text of one job, under another suffix."""
    (shop / config.FILE_NAME).write_text(NAMED)
    memory["nowhere"] = Shelf(gone=True)
    memory["over"] = Shelf({"jobs/api.nomad.hcl": b'job "api" { type = "service" } # over'})
    return memory["over"]


def files_of(program: Program, *words: str) -> dict[str, str]:
    return {step["job"]: step["file"] for step in program("plan", "nginx", *words, "--output", "json").json()["steps"]}


def test_a_later_store_replaces_a_job_whatever_its_suffix(program: Program, over: Shelf, nomad: FakeCluster) -> None:
    assert over.files
    assert nomad.calls == []
    assert files_of(program, *BOTH) == {
        "postgres": "filesystem:jobs/postgres.nomad",
        "postgres_setup": "filesystem:jobs/postgres_setup.nomad",
        "api": "over:jobs/api.nomad.hcl",
        "nginx": "filesystem:jobs/nginx.nomad",
    }
    assert files_of(program)["api"] == "jobs/api.nomad"


@pytest.mark.parametrize("way", ["option", "one option", "variable", "file"])
def test_all_ways_to_name_several_stores_are_one(program: Program, over: Shelf, nomad: FakeCluster, way: str) -> None:
    assert over.files
    assert nomad.calls == []
    words = {"option": BOTH, "one option": ("--store", "filesystem, over")}.get(way, ())
    environ = {"NOMAD_DTREE_STORE": "filesystem,over"} if way == "variable" else {}
    if way == "file":
        Path(config.FILE_NAME).write_text(f'store = ["filesystem", "over"]\n{NAMED}')
    document = program("plan", "nginx", *words, "--output", "json", environ=environ).json()
    assert document["store"] == "filesystem + over"
    assert document["revision"].endswith(" + memory")
    assert [step["file"] for step in document["steps"] if step["job"] == "api"] == ["over:jobs/api.nomad.hcl"]


def test_the_last_dependency_file_counts(program: Program, over: Shelf) -> None:
    assert program("validate", *BOTH).out == "filesystem:dependency.json: 4 jobs, no fault\n"
    over.files["dependency.json"] = b'{"dependencies": {"api": {}}}'
    assert program("validate", *BOTH).out == "over:dependency.json: 1 job, no fault\n"


def test_a_plan_shows_files_where_there_are_several_stores_or_where_asked_for(program: Program, over: Shelf, nomad: FakeCluster) -> None:
    assert over.files
    assert nomad.calls == []
    shown = program("plan", "nginx", *BOTH).out.splitlines()
    assert [next(word for word in line.split() if ".nomad" in word) for line in shown[2:6]] == list(files_of(program, *BOTH).values())
    assert "jobs/" not in program("plan", "nginx").out
    assert "jobs/" in program("plan", "nginx", "-v").out


def test_events_name_the_file_of_each_step(program: Program, over: Shelf, nomad: FakeCluster) -> None:
    assert over.files
    assert nomad.calls == []
    first = program("run", "nginx", *BOTH, "--output", "json").json_lines()[0]
    assert {step["job"]: step["file"] for step in first["steps"]}["api"] == "over:jobs/api.nomad.hcl"
    assert first["store"] == "filesystem + over"


def test_errors_name_the_store_that_is_at_fault(program: Program, over: Shelf) -> None:
    over.files["jobs/api.nomad.hcl"] = b""
    over.files["jobs/nginx.hcl"] = over.files["jobs/nginx.nomad"] = b"x"
    over.files["dependency.json"] = json.dumps({"dependencies": {"nginx": {"pre": "api"}, "api": {"pre": "ngin"}}}).encode()
    told = program("validate", *BOTH).err
    assert "--> over:dependency.json:1:" in told
    over.files["dependency.json"] = b'{"dependencies": {"nginx": {"pre": "api"}}}'
    told = program("validate", *BOTH).err
    assert "--> over:jobs/api.nomad.hcl" in told
    assert "job 'nginx' has more than one job file: nginx.nomad, nginx.hcl, in the store 'over'" in told


@pytest.mark.parametrize("words", [("--store", "filesystem", "--store", "gone"), ("--store", "gone", "--store", "filesystem")])
def test_a_store_that_cannot_be_asked_is_never_passed_over(program: Program, over: Shelf, words: tuple[str, ...]) -> None:
    assert over.files
    ended = program("graph", *words)
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert ended.err == "error[store-unreachable]: nothing is there\n  in the store 'gone'\n  hint: go elsewhere\n"


def test_without_any_dependency_file_the_bases_words_count(program: Program, over: Shelf, shop: Path) -> None:
    assert over.files
    (shop / "dependency.json").unlink()
    ended = program("graph", *BOTH)
    assert ended.code == EXIT_ERROR
    assert ended.err.startswith("error[depfile-missing]: ")
    assert "in the store 'filesystem'\n  nor is it in over\n" in ended.err


def test_what_is_run_is_the_text_of_the_last_store(program: Program, over: Shelf, nomad: FakeCluster) -> None:
    over.files["jobs/api.nomad.hcl"] = b'job "api" { type = "batch" }'
    assert program("run", "nginx", *BOTH).code == EXIT_OK
    assert nomad.jobs[JobRef("default", "api")].spec["Type"] == "batch"


def test_render_says_which_layer_a_job_is_from_and_prints_nothing_but_the_job(
    program: Program, over: Shelf, nomad: FakeCluster, tmp_path: Path
) -> None:
    assert nomad.calls == []
    text = over.files["jobs/api.nomad.hcl"].decode()
    told = "# job 'api', over:jobs/api.nomad.hcl\n"
    alone = program("render", "api", *BOTH)
    assert (alone.out, alone.err) == (f"{text}\n", told)
    as_json = program("render", "api", *BOTH, "--format", "json")
    assert (as_json.json()["Job"]["ID"], as_json.err) == ("api", told)
    assert program("render", "api", *BOTH, "--out", str(tmp_path / "out")).err == told
    assert (tmp_path / "out" / "api.nomad.hcl").read_text() == text
    two = program("render", "api", "nginx", *BOTH)
    assert (told in two.out, two.err) == (True, "")
    assert program("render", "api").err == ""
    assert program("render", "api", "-v").err == "# job 'api', jobs/api.nomad\n"


def test_a_mistyped_folder_is_an_error_and_not_an_empty_store(program: Program, over: Shelf, shop: Path) -> None:
    over.files["dependency.json"] = (shop / "dependency.json").read_bytes()
    done = program("plan", "nginx", "--store", "over", "--store", "filesystem", "--fs-root", "nowhere")
    assert done.code == EXIT_ERROR
    assert "error[store-folder-missing]" in done.err
    assert "in the store 'filesystem'" in done.err

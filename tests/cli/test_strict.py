"""`validate --strict`: services that are looked up without an edge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_spec

API = """job "api" {
  group "main" {
    task "work" {
      template {
        data = "{{ range service \\"users\\" }}{{ end }}"
      }
    }
  }
}
"""
USERS = 'job "users" { group "main" { service { name = "users" } } }'


@pytest.fixture
def looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "dependency.json").write_text(json.dumps({"dependencies": {"api": {}, "users": {}}}))
    (tmp_path / "jobs" / "api.nomad").write_text(API)
    (tmp_path / "jobs" / "users.nomad").write_text(USERS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_missing_edge_is_a_warning_that_names_the_line_and_exit_code_1(program: Program, looking: Path) -> None:
    assert looking.exists()
    ended = program("validate", "--strict")
    assert (ended.code, ended.out) == (EXIT_ERROR, "dependency.json: 2 jobs, no fault, but 1 missing edge\n")
    assert ended.err == (
        "warning[missing-edge]: 'api' looks up 'users' in a template, which 'users' offers, and does not wait for it\n"
        "  --> jobs/api.nomad:5:36\n"
        "  hint: add 'users' to 'pre' of 'api'\n"
    )


def test_with_the_edge_all_is_well(program: Program, looking: Path) -> None:
    (looking / "dependency.json").write_text(json.dumps({"dependencies": {"api": {"pre": "users"}, "users": {}}}))
    ended = program("validate", "--strict")
    assert (ended.code, ended.out, ended.err) == (EXIT_OK, "dependency.json: 2 jobs, no fault\n", "")


def test_without_strict_nobody_looks(program: Program, looking: Path) -> None:
    assert looking.exists()
    assert program("validate").code == EXIT_OK
    assert program("validate", "--output", "json").json()["missing_edges"] is None


def test_a_missing_edge_as_json_has_its_place_and_hint(program: Program, looking: Path) -> None:
    assert looking.exists()
    ended = program("validate", "--strict", "--output", "json")
    assert (ended.code, ended.err) == (EXIT_ERROR, "")
    (edge,) = ended.json()["missing_edges"]
    assert (ended.json()["valid"], edge["code"]) == (False, "missing-edge")
    assert (edge["file"], edge["line"], edge["hint"]) == ("jobs/api.nomad", 5, "add 'users' to 'pre' of 'api'")


def test_with_nomad_what_it_makes_of_the_job_files_counts(program: Program, looking: Path, nomad: FakeCluster) -> None:
    (looking / "jobs" / "users.nomad").write_text('job "users" { group "main" { service { name = local.name } } }')
    assert program("validate", "--strict").code == EXIT_OK  # the name is known to Nomad's parser only
    for name, file in (("api", "jobs/api.nomad"), ("users", "jobs/users.nomad")):
        nomad.parsed[file] = job_spec(name)
    nomad.parsed["jobs/users.nomad"]["TaskGroups"][0]["Services"] = [{"Name": "users"}]
    nomad.parsed["jobs/api.nomad"]["TaskGroups"][0]["Tasks"][0]["Templates"] = [{"EmbeddedTmpl": '{{ range service "users" }}'}]
    ended = program("validate", "--strict", "--nomad")
    assert ended.code == EXIT_ERROR
    assert "  --> jobs/api.nomad:5:36\n" in ended.err


def test_the_lines_are_those_of_the_template(program: Program, looking: Path) -> None:
    (looking / "jobs" / "api.nomad").write_text("[# a comment\nof two lines #]" + API)
    assert "  --> jobs/api.nomad:6:36\n" in program("validate", "--strict").err

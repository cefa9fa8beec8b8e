"""`nomad-dtree explain`: which layer, file and line gave a value, and what it beat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program

JOB = """variable "count" {
  type    = number
  default = 1
}
variable "ports" {
  type = list(number)
}
variable "zone" {}
job "api" {
  # [[ image ]] [[ password ]] [[ version ]] [[ versions.db ]] [[ file("motd") | trim ]] [[ env ]]
  # [[ maybe | default("x") ]] [% set own = 1 %][[ own ]] [[ env("RELEASE") ]]
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "api.nomad").write_text(JOB)
    (tmp_path / "jobs" / "db.nomad").write_text('job "db" { }\n')
    (tmp_path / "motd").write_text("hello\n")
    (tmp_path / "staging.yaml").write_text("ports: [80]\nimage: api:2\n")
    entries = {"api": {"version": "1.4.2", "vars": {"image": "api:1"}}, "db": {"version": "15"}}
    (tmp_path / "dependency.json").write_text(json.dumps({"defaults": {"vars": {"image": "none"}}, "dependencies": entries}, indent=1))
    (tmp_path / "nomad-dtree.toml").write_text('allow-env = ["RELEASE"]\n[env.staging.vars]\nimage = "api:3"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ("explain", "api", "--env", "staging", "--var-file", "staging.yaml")
ENVIRON = {"NOMAD_DTREE_VAR_password": "hunter2-hunter2", "NOMAD_VAR_count": "33333333", "RELEASE": "r17-secret"}


def test_each_value_is_told_with_what_gave_it_and_what_it_beat(program: Program, folder: Path) -> None:
    done = program(*WORDS, environ=ENVIRON)
    assert done.code == EXIT_OK, done.err
    assert [" ".join(line.split()) for line in done.out.replace(str(folder), "WORK").splitlines()] == [
        "api (jobs/api.nomad)",
        'count "33333333" NOMAD_VAR_count',
        "over 1: default in the job file (jobs/api.nomad:1:1)",
        'env "staging" environment in use',
        'image "api:3" [env.staging.vars] (WORK/nomad-dtree.toml:3:1, env.staging.vars.image)',
        'over "api:2": --var-file (staging.yaml:2:1, image)',
        "over \"api:1\": vars of job 'api' (dependency.json:11:14, dependencies.api.vars.image)",
        'over "none": defaults.vars (dependency.json:4:13, defaults.vars.image)',
        "maybe no value nothing gives one; read by template",
        "password (secret) NOMAD_DTREE_VAR_password",
        "ports [80] --var-file (staging.yaml:1:1, ports)",
        "version \"1.4.2\" version of job 'api' (dependency.json:9:15, dependencies.api.version)",
        "zone no value nothing gives one; read by HCL2 variable",
        'versions.db "15" read by the template',
        'file("motd") read by the template',
        'env("RELEASE") (secret) read by the template',
    ]


def test_one_name_can_be_asked_for(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program(*WORDS, "ports", environ=ENVIRON)
    assert len(done.out.splitlines()) == 2
    done = program(*WORDS, "maybe", environ=ENVIRON)
    assert "no value" in done.out
    done = program(*WORDS, "prots", environ=ENVIRON)
    assert done.code == EXIT_USAGE
    assert "did you mean 'ports'?" in done.err


def test_json_has_the_same(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    document = program(*WORDS, "--output", "json", environ=ENVIRON).json()
    found = {one["name"]: one for one in document["variables"]}
    assert (document["schema"], document["job"], document["file"]) == (1, "api", "jobs/api.nomad")
    assert found["ports"] == {
        "name": "ports",
        "readers": ["HCL2 variable"],
        "sources": [
            {"value": "[80]", "layer": "--var-file", "place": {"file": "staging.yaml", "line": 1, "column": 1, "key": "ports"}},
        ],
    }
    assert found["zone"]["sources"] == []
    assert found["password"]["sources"][0]["value"] == "(secret)"
    assert {"call": 'file("motd")', "value": None} in document["asked"]


def test_a_job_without_variables_says_so(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    assert program("explain", "db").out == "db (jobs/db.nomad): no variables\n"


def test_a_name_without_a_value_is_told_unless_it_is_the_templates_own(program: Program, folder: Path) -> None:
    source = """[% macro one(part) %][[ part ]][[ caller and varargs ]][% endmacro %][% from "motd" import x as y %][[ y ]]
    [% for a, b in pairs | default([]) %][[ a ]][[ loop.index ]][% endfor %][% with c = 1 %][[ c ]][% endwith %]
    [[ range(2) | length ]] [[ other | default(1) ]] [[ ref | default("none") ]] [[ env | default("dev") ]]\njob "db" {}"""
    (folder / "jobs" / "db.nomad").write_text(source)
    (folder / "motd").write_text("[% set x = 1 %]")
    done = program("explain", "db")
    told = [line.split()[0] for line in done.out.splitlines()[1:]]
    assert (done.code, told) == (EXIT_OK, ["env", "other", "pairs", "ref", 'file("motd")'])


def test_what_is_known_of_a_file_with_a_fault_is_told_and_then_the_fault(program: Program, folder: Path) -> None:
    (folder / "jobs" / "db.nomad").write_text('variable "size" {}\njob "db" {\n  # [[ image ]] [[ gone ]]\n}\n')
    done = program("explain", "db", "--var", "size=1")
    assert done.code == EXIT_ERROR
    assert [line.split()[:3] for line in done.out.splitlines()[1:]] == [
        ["gone", "no", "value"],
        ["image", '"none"', "defaults.vars"],
        ["size", '"1"', "--var"],
    ]
    assert done.err.startswith("error[undefined-name]: in the template of 'db': 'gone' has no value\n  --> jobs/db.nomad:3:")
    done = program("explain", "db", "image")
    assert ("image" in done.out, "error[undefined-name]" in done.err) == (True, True)


def test_a_job_at_fault_and_one_that_there_is_not_are_told(program: Program, folder: Path) -> None:
    (folder / "jobs" / "db.nomad").write_text("[[ gone ]]")
    assert program("explain", "db").code == EXIT_ERROR
    assert "error[unknown-job]" in program("explain", "nobody").err


def test_an_external_job_has_no_values_because_it_has_no_job_file(program: Program, folder: Path) -> None:
    entries = {"api": {"pre": {"job": "vault", "external": True}}, "db": {}}
    (folder / "dependency.json").write_text(json.dumps({"dependencies": entries}))
    told = "error[usage]: 'vault' is external: it is only waited for, and has no job file here\n  hint: `nomad job inspect vault` shows"
    for words in (("explain", "vault"), ("explain", "vault", "image"), ("render", "vault"), ("render", "db", "vault")):
        done = program(*words)
        assert (done.code, done.out) == (EXIT_USAGE, "")
        assert told in done.err
    assert program("render", "db").code == EXIT_OK

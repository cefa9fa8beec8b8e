"""Values for templates and HCL2 variables on the command line, in the environment and in nomad-dtree.toml."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program

JOB = 'job "api" {\n  # [[ image ]] [[ tier | default("none") ]]\n}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with two jobs, of which only the first reads `image`, and only the second `color`."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "api.nomad").write_text(JOB)
    (tmp_path / "jobs" / "web.nomad").write_text('variable "color" {}\njob "web" {\n  # [[ label | default(env("HOME")) ]]\n}\n')
    write_depfile(tmp_path, {"api": {"vars": {"image": "entry"}}, "web": {}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_depfile(folder: Path, entries: dict[str, Any], **top: Any) -> None:
    (folder / "dependency.json").write_text(json.dumps({"dependencies": entries, **top}, indent=1))


def shown(program: Program, *words: str, environ: dict[str, str] | None = None) -> str:
    """What the template of `api` makes of its variables."""
    done = program("render", "api", "--show-secrets", *words, environ=environ)
    assert done.code == EXIT_OK, done.err
    return done.out.splitlines()[1].strip(" #")


def test_every_layer_beats_the_ones_before(program: Program, folder: Path) -> None:
    write_depfile(folder, {"api": {}, "web": {}}, defaults={"vars": {"image": "defaults"}})
    assert shown(program) == "defaults none"
    write_depfile(folder, {"api": {"vars": {"image": "entry"}}, "web": {}}, defaults={"vars": {"image": "defaults"}})
    assert shown(program) == "entry none"
    (folder / "a.yaml").write_text("image: a\ntier: a\n")
    (folder / "b.tfvars").write_text('image = "b"\n')
    assert shown(program, "--var-file", "a.yaml", "--var-file", "b.tfvars") == "b a"
    assert shown(program, "--var-file", "b.tfvars", "--var-file", "a.yaml") == "a a"
    (folder / "nomad-dtree.toml").write_text('[vars]\nimage = "toml"\n[env.staging.vars]\nimage = "staging"\n')
    assert shown(program, "--var-file", "a.yaml") == "toml a"
    assert shown(program, "--env", "staging") == "staging none"
    environ = {"NOMAD_DTREE_VAR_image": "variable", "NOMAD_VAR_tier": "of Nomad's own"}
    assert shown(program, "--env", "staging", environ=environ) == "variable none"
    assert shown(program, "--var", "image=option", environ=environ) == "option none"


@pytest.mark.parametrize(
    ("words", "image"),
    [
        (("--var", "image=1", "--var-json", "image=2"), "2"),
        (("--var-json=image=2", "--var", "image=1"), "1"),
        (("--var", "image=1", "--var=image=2"), "2"),
        (("--var", "image=a=b, c"), "a=b, c"),
        (("--var", "image=x", "--var", "image="), ""),
        (("--var-json", 'image={"a": [true, null]}'), '{"a": [true, null]}'),
    ],
)
def test_of_one_name_the_last_option_counts(program: Program, folder: Path, words: tuple[str, ...], image: str) -> None:
    assert folder.is_dir()
    assert shown(program, *words) == f"{image} none".strip()


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (("--var", "image"), "--var: there is no `=` in 'image'", "write --var NAME=VALUE"),
        (("--var", "my-image=x"), "--var: no variable can be called 'my-image'", "letters, digits and underscores"),
        (("--var", "version=1"), "--var: no variable can be called 'version'", "--version JOB=VERSION"),
        (("--var-json", "commit=1"), "--var-json: no variable can be called 'commit'", "choose another name"),
        (("--var-json", "image=api"), "--var-json: the value of 'image' is not JSON", "put text in quotes"),
        (("--var-json", "image=NaN"), "--var-json: the value of 'image' is not JSON", "put text in quotes"),
        (("--var-file", "no.yaml"), "--var-file: no.yaml cannot be read", "check the path"),
    ],
)
def test_an_option_that_is_wrong_is_a_usage_error(program: Program, folder: Path, words: tuple[str, ...], says: str, hint: str) -> None:
    assert folder.is_dir()
    done = program("render", "api", *words)
    assert done.code == EXIT_USAGE
    assert says in " ".join(done.err.split())
    assert hint in " ".join(done.err.split())


def test_a_variable_of_the_environment_with_a_wrong_name_is_refused(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program("render", "api", environ={"NOMAD_DTREE_VAR_ref": "x"})
    assert done.code == EXIT_ERROR
    assert "environment variable NOMAD_DTREE_VAR_ref: no variable can be called 'ref'" in " ".join(done.err.split())


def test_variables_of_the_environment_are_not_called_unknown(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program("validate", environ={"NOMAD_DTREE_VAR_anything": "x", "NOMAD_DTREE_VARIABLE": "x"})
    assert "NOMAD_DTREE_VAR_" not in done.err
    assert "nothing reads the environment variable NOMAD_DTREE_VARIABLE" in done.err


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("vars = 3\n", "`vars` must be a table", "nomad-dtree.toml:1:1, vars"),
        ('[vars]\n\nversions = "x"\n', "no variable can be called 'versions'", "nomad-dtree.toml:3:1, vars.versions"),
        ("[vars]\na = 2026-01-01\n", "`vars.a` is a date or a time", "nomad-dtree.toml:2:1, vars.a"),
        ("[env.x.vars]\na = {b = [nan]}\n", "`env.x.vars.a.b` is not a finite number", "nomad-dtree.toml:2:1, env.x.vars.a"),
        ('[env.x.vars]\n"a-b" = 1\n', "no variable can be called 'a-b'", "nomad-dtree.toml:2:1, env.x.vars.a-b"),
        ("[var]\na = 1\n", "unknown key `var`", "nomad-dtree.toml:1:1, var"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(program: Program, folder: Path, text: str, says: str, place: str) -> None:
    (folder / "nomad-dtree.toml").write_text(text)
    done = program("validate")
    assert done.code == EXIT_ERROR
    assert says in done.err
    assert place in done.err


def test_a_variable_that_no_job_reads_is_a_usage_error(program: Program, folder: Path) -> None:
    assert folder.is_dir()
    done = program("render", "api", "--var", "imgae=x")
    assert done.code == EXIT_USAGE
    assert "no job reads what is given by --var imgae" in done.err
    assert "did you mean 'image'?" in done.err
    both = program("validate", "--var", "colour=x", "--var-json", "zzz=1")
    assert both.code == EXIT_USAGE
    assert "--var colour, --var-json zzz" in both.err


def test_a_variable_that_only_another_job_reads_is_none(program: Program, folder: Path) -> None:
    assert program("render", "api", "--var", "color=red").code == EXIT_OK
    assert program("render", "api", "--var", "label=x").code == EXIT_OK
    (folder / "part.j2").write_text("[[ deep ]]")
    (folder / "jobs" / "web.nomad").write_text('job "web" {\n[% include "part.j2" %]\n}\n')
    assert program("render", "api", "--var", "deep=x").code == EXIT_OK


def test_without_a_file_of_values_nothing_that_reads_one_is_loaded(program: Program, folder: Path) -> None:
    sys.modules.pop("dtree.var_files", None)
    assert program("render", "api", "--var", "image=x").code == EXIT_OK
    assert "dtree.var_files" not in sys.modules
    (folder / "a.tfvars").write_text('image = "y"\n')
    assert shown(program, "--var-file", "a.tfvars") == "y none"
    assert "dtree.var_files" in sys.modules


def test_other_layers_may_hold_what_nobody_reads(program: Program, folder: Path) -> None:
    (folder / "a.yaml").write_text("unread: 1\n")
    (folder / "nomad-dtree.toml").write_text("[vars]\nunread = 1\n")
    assert program("render", "api", "--var-file", "a.yaml", environ={"NOMAD_DTREE_VAR_unread": "1"}).code == EXIT_OK


def test_a_template_at_fault_is_told_and_not_that_its_variables_are_unread(program: Program, folder: Path) -> None:
    (folder / "jobs" / "api.nomad").write_text('job "api" { # [[ image ]] [% if %]\n}\n')
    done = program("render", "api", "--var", "image=x")
    assert done.code == EXIT_ERROR
    assert "error[bad-template]" in done.err


def test_an_unread_variable_is_told_before_the_name_that_it_was_meant_for(program: Program, folder: Path) -> None:
    write_depfile(folder, {"api": {}})
    done = program("render", "api", "--var", "imgae=x")
    assert done.code == EXIT_USAGE
    assert "did you mean 'image'?" in done.err


def test_wrong_names_in_the_dependency_file_are_told_with_their_place(program: Program, folder: Path) -> None:
    write_depfile(folder, {"api": {"vars": {"ref": 1, "image": 2}}}, defaults={"vars": {"a b": 1}})
    done = program("validate")
    assert done.code == EXIT_ERROR
    assert done.err.count("error[bad-name]") == 2
    assert "dependency.json:5:5, dependencies.api.vars.ref" in done.err


def test_hcl2_variables_may_have_the_names_that_templates_have_built_in(program: Program, folder: Path) -> None:
    (folder / "jobs" / "api.nomad").write_text('variable "version" {}\nvariable "env" {}\njob "api" { }\n')
    (folder / "nomad-dtree.toml").write_text("[env.staging]\n")
    write_depfile(folder, {"api": {"version": "1.4.2"}})
    done = program("explain", "api", "--env", "staging", "--output", "json")
    found = {one["name"]: one["sources"][0]["value"] for one in done.json()["variables"]}
    assert found == {"env": '"staging"', "version": '"1.4.2"'}


def test_a_secret_is_in_no_fault_of_the_template_that_it_was_given_to(program: Program, folder: Path) -> None:
    (folder / "jobs" / "api.nomad").write_text("[[ {}[password] ]]")
    done = program("validate", "--output", "json", environ={"NOMAD_DTREE_VAR_password": "hunter2-hunter2"})
    assert done.code == EXIT_ERROR
    assert "there is no '(secret)' in this map" in done.err
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    ("words", "environ", "says"),
    [
        (("--var", "t=\udcff"), {}, "--var: the value of 't' cannot be used: it is not UTF-8"),
        (("--var-json", 't="\\ud800"'), {}, "--var-json: the value of 't' cannot be used: it is not UTF-8"),
        (("--var-json", 't=[1, {"a": 1e999}]'), {}, "--var-json: the value of 't' cannot be used: it is not a finite number"),
        ((), {"NOMAD_DTREE_VAR_t": "\udcff"}, "environment variable NOMAD_DTREE_VAR_t: it is not UTF-8"),
        ((), {"NOMAD_VAR_t": "\udcff"}, "environment variable NOMAD_VAR_t: it is not UTF-8"),
    ],
)
def test_what_no_job_file_can_hold_is_refused_where_it_is_given(
    program: Program, shop: Path, words: tuple[str, ...], environ: dict[str, str], says: str
) -> None:
    assert shop.is_dir()
    ended = program("render", *words, environ=environ)
    assert (ended.code in (EXIT_ERROR, EXIT_USAGE), says in ended.err) == (True, True)

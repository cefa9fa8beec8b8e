"""`nomad-dtree which`, and what `status` tells of releases, on a Nomad in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, Denied
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_spec, rendered


@pytest.fixture
def released(shop: Path) -> Path:
    """The shop, with a version of `api`."""
    declared = json.loads((shop / "dependency.json").read_text())
    declared["stack"] = "shop"
    declared["dependencies"]["api"]["version"] = "1.4.2"
    (shop / "dependency.json").write_text(json.dumps(declared))
    return shop


def test_it_tells_in_one_line_which_version_runs(program: Program, released: Path, nomad: FakeCluster) -> None:
    assert released.exists()
    assert program("run", "api").code == EXIT_OK
    ended = program("which", "api")
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert ended.out.startswith("api 1.4.2 (revision ")
    assert ended.out.endswith(", registered as version 0 by stack shop from filesystem; runs 1/1)\n")
    assert nomad.variables["default", "dtree/shop/api"]["version"] == "1.4.2"


def test_as_json_it_is_one_document_with_the_fields_of_the_status(program: Program, released: Path, nomad: FakeCluster) -> None:
    assert released.exists()
    program("run", "api")
    (row,) = [row for row in program("status", "api", "--output", "json").json()["jobs"] if row["job"] == "api"]
    assert program("which", "api", "--output", "json").json() == {"schema": 1, **row}
    assert row["provenance"]["registered"]["version"] == 0
    assert row["changed_since"] is False
    assert nomad.called("register") == ["postgres", "postgres_setup", "api"]


def test_it_answers_from_nomad_and_not_from_the_files(program: Program, released: Path, nomad: FakeCluster) -> None:
    program("run", "api")
    declared = (released / "dependency.json").read_text()
    (released / "dependency.json").write_text(declared.replace("1.4.2", "9.9.9"))
    assert program("which", "api").out.startswith("api 1.4.2 ")
    nomad.somebody_registers(rendered("api", Priority=70))
    assert "but was changed since (version 1 in Nomad" in program("which", "api").out


def test_what_is_not_in_nomad_is_exit_code_1(program: Program, released: Path, nomad: FakeCluster) -> None:
    assert released.exists()
    ended = program("which", "api")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert "error[job-not-in-nomad]: job 'api' is not in Nomad" in ended.err
    assert nomad.changes == []


def test_what_may_not_be_read_is_not_told_as_not_noted(program: Program, released: Path, nomad: FakeCluster) -> None:
    assert released.exists()
    program("run", "api")
    denied = Denied("Nomad denies it", hint="add a rule")
    nomad.refuse("submission", "api", denied)
    nomad.refuse("notes", "shop", *[denied] * 5)
    ended = program("which", "api")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert "error[nomad-denied]: Nomad denies it\n  hint: add a rule" in ended.err
    # What the job was registered with says the same.
    told, *remarks = program("which", "api").out.splitlines()
    assert told.startswith("api 1.4.2 (revision ")
    warning = ["warning: what is noted of jobs in Nomad's Variables may not be read: Nomad denies it", "  hint: add a rule"]
    assert remarks == warning
    # The status and the list have more to tell.
    rows = program("status", "api", "--output", "json").json()["jobs"]
    assert {row["note_fault"]["hint"] for row in rows} == {"add a rule"}
    nomad.submissions.clear()
    assert [line for line in program("status", "api").out.splitlines() if line in warning] == warning
    listed = program("versions", "list").out.splitlines()
    assert next(line for line in listed if line.startswith("api ")).split()[1:6] == ["1.4.2", "may", "not", "be", "read"]
    assert listed[-2:] == warning


TEMPLATE = 'job "shown-api" {\n  meta { release = "[[ version ]]" }\n}\n'


@pytest.fixture
def unversioned(program: Program, released: Path, nomad: FakeCluster) -> Path:
    """The shop, with `api` running in a version that only the run was given."""
    declared = (released / "dependency.json").read_text()
    (released / "dependency.json").write_text(declared.replace(', "version": "1.4.2"', ""))
    (released / "jobs" / "api.nomad").write_text(TEMPLATE)
    assert program("run", "api", "--version", "api=1.2.3").code == EXIT_OK
    assert ("register", "shown-api") in nomad.changes
    return released


def test_a_job_whose_file_cannot_be_rendered_is_known_by_its_note(program: Program, unversioned: Path, nomad: FakeCluster) -> None:
    assert unversioned.exists()
    says = "warning: api: known by its note, as its job file is no good: in the template of 'api': "
    told, remark = program("which", "api").out.splitlines()
    assert (told.startswith("api (shown-api) 1.2.3 ("), remark.startswith(says)) == (True, True)
    shown = program("status", "api").out
    assert ("Unknown" in shown, says in shown) == (False, True)
    listed = program("versions", "list")
    assert ("1.2.3" in listed.out, "not in Nomad" in listed.out.split("nginx")[0], says in listed.out) == (True, False, True)
    ended = program("versions", "list", "--output", "json")
    assert ended.code == EXIT_OK, ended.err
    (row,) = [row for row in ended.json()["jobs"] if row["job"] == "api"]
    assert (row["runs"], row["in_nomad"], row["file_fault"]["code"]) == ("1.2.3", True, "undefined-version")
    stopped = program("stop", "api", "--output", "json")
    assert (stopped.code, nomad.changes[-1]) == (EXIT_OK, ("stop", "shown-api"))
    assert "known by its note" in stopped.json_lines()[0]["steps"][0]["cause"]


def test_a_job_outside_of_a_run_that_is_known_by_its_note_is_looked_at_and_restarted(
    program: Program, unversioned: Path, nomad: FakeCluster
) -> None:
    assert program("run", "nginx", "--only").code == EXIT_OK
    declared = json.loads((unversioned / "dependency.json").read_text())
    declared["dependencies"]["api"]["pre"] = {"job": "postgres", "on_update": "restart"}
    (unversioned / "dependency.json").write_text(json.dumps(declared))
    nomad.parsed["jobs/postgres.nomad"] = {**job_spec("postgres"), "Priority": 70}
    plan = program("plan", "postgres", "--output", "json").json()
    (cause,) = [step["cause"] for step in plan["steps"] if (step["job"], step["change"]) == ("api", "restart")]
    assert cause.startswith("restarted, because postgres is changed; known by its note, as its job file is no good: in the template of")


def test_a_job_whose_file_cannot_be_rendered_and_of_which_nothing_is_noted_is_not_guessed(
    program: Program, unversioned: Path, nomad: FakeCluster
) -> None:
    assert unversioned.exists()
    del nomad.variables["default", "dtree/shop/shown-api"]
    assert "error[undefined-version]" in program("which", "api").err
    (line,) = [line for line in program("versions", "list").out.splitlines() if line.startswith("api ")]
    assert line.split()[1:4] == ["-", "not", "known"]
    assert "its ID is not known" in program("stop", "api").err
    assert ("stop", "shown-api") not in nomad.changes


def test_a_note_of_another_job_of_that_id_is_no_proof(program: Program, unversioned: Path, nomad: FakeCluster) -> None:
    place = ("default", "dtree/shop/shown-api")
    nomad.variables[place] = {**nomad.variables[place], "job": "somebody"}
    assert unversioned.exists()
    assert "its ID is not known" in program("stop", "api").err
    assert ("stop", "shown-api") not in nomad.changes


def test_the_list_says_that_somebody_else_changed_the_job(program: Program, released: Path, nomad: FakeCluster) -> None:
    assert released.exists()
    program("run", "api")
    nomad.somebody_registers(rendered("api", Priority=70))
    (line,) = [line for line in program("versions", "list").out.splitlines() if line.startswith("api ")]
    assert "was 1.4.2, changed since" in line
    rows = {row["job"]: row["changed_since"] for row in program("versions", "list", "--output", "json").json()["jobs"]}
    assert rows == {"api": True, "nginx": False, "postgres": False, "postgres_setup": False}


def test_what_another_checkout_noted_is_found_and_its_stack_named(program: Program, released: Path, nomad: FakeCluster) -> None:
    program("run", "api")
    assert nomad.called("register")[-1] == "api"
    declared = (released / "dependency.json").read_text()
    (released / "dependency.json").write_text(declared.replace('"stack": "shop"', '"stack": "clone"'))
    assert "api 1.4.2 (" in program("which", "api").out
    assert ", registered as version 0 by stack shop from filesystem; " in program("which", "api").out
    assert "noted by stack shop" in program("status", "api").out
    assert "1.4.2 (stack shop)" in program("versions", "list").out
    assert program("which", "api", "--output", "json").json()["other_stack"] == "shop"


def test_a_job_file_that_is_no_good_is_told_as_that(program: Program, released: Path, nomad: FakeCluster) -> None:
    (released / "jobs" / "api.nomad").write_text("nothing")
    ended = program("which", "api")
    assert ended.code == EXIT_ERROR
    assert "error[bad-job-file]" in ended.err
    assert nomad.changes == []


@pytest.mark.parametrize(("words", "code"), [(["apy"], EXIT_ERROR), ([], EXIT_USAGE), (["api", "nginx"], EXIT_USAGE)])
def test_it_is_about_one_job_that_there_is(program: Program, released: Path, nomad: FakeCluster, words: list[str], code: int) -> None:
    assert released.exists()
    ended = program("which", *words)
    assert (ended.code, ended.out) == (code, "")
    assert nomad.calls == []

"""`nomad-dtree which`, and what `status` tells of releases, on a Nomad in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, Denied
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import rendered


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
    nomad.refuse("notes", "shop", Denied("Nomad denies it", hint="add a rule"), Denied("Nomad denies it", hint="add a rule"))
    ended = program("which", "api")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert "error[nomad-denied]: Nomad denies it\n  hint: add a rule" in ended.err
    # The status has more to tell.
    assert program("status", "api", "--output", "json").json()["jobs"][0]["provenance"] is None


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

"""Choosing a part of the dependency file on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtree.errors import EXIT_ERROR, EXIT_OK
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster


@pytest.fixture
def tagged(shop: Path) -> Path:
    """The shop, with a job beside it, and tags."""
    file = shop / "dependency.json"
    declared = json.loads(file.read_text())
    declared["dependencies"]["report"] = {"pre": "api", "tags": ["batch"]}
    declared["dependencies"]["postgres"]["tags"] = ["data"]
    file.write_text(json.dumps(declared))
    (shop / "jobs" / "report.nomad").write_text('job "report" { type = "batch" }')
    return shop


def test_a_tag_is_as_good_as_a_name(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    ended = program("run", "--selector", "tag=data")
    assert ended.code == EXIT_OK
    assert nomad.called("register") == ["postgres", "postgres_setup"]


def test_only_registers_nothing_where_something_outside_is_not_ready(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    ended = program("run", "nginx", "--only")
    assert (ended.code, ended.out, nomad.changes) == (EXIT_ERROR, "", [])
    assert ended.err == (
        "error[dependency-not-ready]: 'api' is left out of this run, 'nginx' needs it, and it is not in Nomad\n"
        "  --> dependency.json:1:52, dependencies.nginx.pre\n"
        "  hint: bring it up first: `nomad-dtree run api`\n"
    )


def test_a_plan_with_only_says_the_same(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert (tagged.exists(), nomad.changes) == (True, [])
    ended = program("plan", "nginx", "--only")
    assert ended.code == EXIT_ERROR
    assert "error[dependency-not-ready]" in ended.err


def test_only_leaves_alone_what_is_ready(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    program("run", "api")
    (tagged / "jobs" / "postgres.nomad").write_text('job "postgres" { type = "system" }')  # a change that is not asked for
    ended = program("run", "nginx", "--only")
    assert ended.code == EXIT_OK
    assert nomad.called("register") == ["postgres", "postgres_setup", "api", "nginx"]


def test_dependents_come_along_and_what_is_skipped_does_not(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    ended = program("run", "api", "--with-dependents", "--skip", "report")
    assert ended.code == EXIT_OK
    assert nomad.called("register") == ["postgres", "postgres_setup", "api", "nginx"]


def test_a_plan_as_json_says_for_every_job_why_it_is_in_or_out(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert (tagged.exists(), nomad.changes) == (True, [])
    told = program("plan", "api", "--output", "json").json()
    assert {step["job"]: step["reason"] for step in told["steps"]} == {
        "postgres": "needed by api",
        "postgres_setup": "post job of postgres",
        "api": "goal",
    }
    assert told["out"] == [
        {"job": "nginx", "reason": "needs api, left out without --with-dependents"},
        {"job": "report", "reason": "needs api, left out without --with-dependents"},
    ]


def test_a_plan_as_text_says_it_with_verbose(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert (tagged.exists(), nomad.changes) == (True, [])
    assert "Left out" not in program("plan", "--selector", "tag=batch").out
    told = program("plan", "--selector", "tag=batch", "--verbose").out
    assert "tag batch" in told
    assert "Left out:\n  nginx  not asked for, and nothing that is needs it\n" in told


def test_a_stop_takes_dependents_along_and_keeps_what_a_skipped_one_needs(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    program("run", "--all")
    ended = program("stop", "postgres", "--with-dependents", "--skip", "nginx")
    assert ended.code == EXIT_ERROR
    assert "kept: still needed by nginx" in ended.err
    assert "api" not in nomad.called("stop")
    assert program("stop", "postgres", "--with-dependents").code == EXIT_OK
    assert nomad.called("stop")[-1] == "postgres"


def test_an_unknown_tag_is_told_with_the_nearest(program: Program, tagged: Path, nomad: FakeCluster) -> None:
    assert tagged.exists()
    ended = program("run", "--selector", "tag=bach")
    assert (ended.code, nomad.changes) == (EXIT_ERROR, [])
    assert ended.err == "error[unknown-tag]: no job of dependency.json has the tag 'bach'\n  hint: did you mean 'batch'?\n"

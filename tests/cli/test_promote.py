"""`nomad-dtree promote`, and what `run`, `plan` and `status` say of canaries."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtree.errors import EXIT_AWAITING_PROMOTION, EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import Program
from tests.fakes.cluster import FakeCluster
from tests.fakes.scripts import canary, well


@pytest.fixture
def waiting(shop: Path, nomad: FakeCluster, program: Program) -> Path:
    """The shop, of whose `api` a healthy canary awaits promotion."""
    nomad.script("api", well(), canary)
    assert program("run", "api").code == EXIT_OK
    (shop / "jobs" / "api.nomad").write_text('job "api" { type = "system" }')  # any change
    assert program("run", "api", "--promotion-timeout", "0").code == EXIT_AWAITING_PROMOTION
    nomad.calls.clear()
    return shop


def test_a_run_that_awaits_promotion_says_what_to_do(program: Program, waiting: Path) -> None:
    assert waiting.exists()
    ended = program("run", "nginx", "--promotion-timeout", "0", "--quiet")
    assert ended.code == EXIT_AWAITING_PROMOTION
    assert "api awaiting promotion after" in ended.err
    assert ": 1 healthy canary of version 1\n" in ended.err
    assert "hint: promote with `nomad-dtree promote api`, then run again for what needs it" in ended.err
    assert "not started because of it: nginx" in ended.err
    assert "Awaiting promotion: 1 awaiting promotion, 1 not started, 2 ready" in ended.err


@pytest.mark.parametrize("way", ["variable", "file"])
def test_how_long_a_person_is_waited_for_can_be_set_for_good(program: Program, waiting: Path, way: str) -> None:
    environ = {"NOMAD_DTREE_PROMOTION_TIMEOUT": "7s"} if way == "variable" else {}
    (waiting / "nomad-dtree.toml").write_text('promotion-timeout = "7s"\n' if way == "file" else "")
    ended = program("run", "api", "--output", "json", environ=environ)
    (failed,) = [line for line in ended.json_lines() if line["event"] == "step-failed"]
    assert (ended.code, failed["reason"]) == (EXIT_AWAITING_PROMOTION, "1 healthy canary of version 1, for 7 s")


def test_by_default_a_person_is_waited_for_five_minutes(program: Program, waiting: Path) -> None:
    assert waiting.exists()
    (failed,) = [line for line in program("run", "api", "--output", "json").json_lines() if line["event"] == "step-failed"]
    assert failed["reason"].endswith(", for 300 s")


def test_plan_and_status_say_that_promotion_is_awaited(program: Program, waiting: Path) -> None:
    assert waiting.exists()
    assert "unchanged, but awaiting promotion: 1 healthy canary of version 1" in program("plan", "api").out
    assert program("plan", "api", "--detailed-exitcode").code == EXIT_OK
    assert "awaiting promotion: 1 healthy canary of version 1" in program("status", "api").out


def test_the_command_promotes_and_waits(program: Program, waiting: Path, nomad: FakeCluster) -> None:
    assert waiting.exists()
    ended = program("promote", "api")
    assert (ended.code, ended.out, nomad.changes) == (EXIT_OK, "", [("promote", "api")])
    lines = [line[9:] for line in ended.err.splitlines()]
    assert lines[0].startswith("promote api: 1 step, stack shop, ")
    assert lines[1] == "api  promoting: awaiting promotion: 1 healthy canary of version 1"
    assert "api  promoted: version 1" in lines
    assert ended.err.splitlines()[-1].startswith("Done: 1 ready (1 changed) in ")
    assert program("run", "nginx").code == EXIT_OK


def test_the_command_tells_programs_the_same_events(program: Program, waiting: Path) -> None:
    assert waiting.exists()
    told = program("promote", "--all", "--output", "json").json_lines()
    assert [line["event"] for line in told if line["event"] != "step-waiting"] == [
        "run-started",
        "step-started",
        "step-registered",
        "step-promoted",
        "step-ready",
        "run-finished",
    ]
    assert (told[0]["verb"], told[0]["goals"]) == ("promote", ["api", "nginx", "postgres", "postgres_setup"])


def test_what_awaits_no_promotion_is_refused_with_the_reason(program: Program, waiting: Path, nomad: FakeCluster) -> None:
    assert waiting.exists()
    ended = program("promote", "api", "nginx")
    assert (ended.code, ended.out, nomad.changes) == (EXIT_ERROR, "", [])
    assert ended.err == ("error[nothing-to-promote]: 'nginx' is not in Nomad\n  hint: `nomad-dtree run nginx` brings it there\n")


def test_a_second_promotion_has_nothing_to_do(program: Program, waiting: Path) -> None:
    assert waiting.exists()
    program("promote", "api")
    ended = program("promote", "--all")
    assert (ended.code, ended.err) == (
        EXIT_ERROR,
        "error[nothing-to-promote]: none of the jobs awaits promotion\n  hint: `nomad-dtree status` shows how they do\n",
    )


def test_which_jobs_are_meant_has_to_be_said(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("promote")
    assert ended.code == EXIT_USAGE
    assert "which jobs to promote is not said" in ended.err


def test_a_promote_that_the_job_file_overrides_is_refused_by_plan_and_run_before_anything_changes(
    program: Program, shop: Path, nomad: FakeCluster
) -> None:
    (shop / "dependency.json").write_text('{"dependencies": {"api": {"promote": "manual"}}}')
    update = {"MaxParallel": 1, "Canary": 1, "AutoPromote": True}
    spec = {"ID": "api", "TaskGroups": [{"Name": "main", "Count": 1, "Update": update, "Tasks": []}]}
    nomad.parsed["jobs/api.nomad"] = spec
    for words in (["run", "api"], ["plan", "api"], ["validate", "--nomad"]):
        ended = program(*words)
        assert (ended.code, nomad.changes) == (EXIT_ERROR, [])
        assert ended.err.startswith("error[promotes-itself]: the job file of 'api' says auto_promote: ")
        assert "  --> dependency.json:1:38, dependencies.api.promote\n" in ended.err

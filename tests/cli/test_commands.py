"""What each command prints and exits with, on a Nomad in memory or with none."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from dtree.cli.app import main
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_ERROR, EXIT_INTERRUPTED, EXIT_JOB_FAILED, EXIT_OK, EXIT_USAGE
from dtree.model import JobRef
from tests.cli.conftest import Program
from tests.fakes import scripts
from tests.fakes.cluster import FakeCluster
from tests.fakes.stored import Life

IN_ORDER = ["postgres", "postgres_setup", "api", "nginx"]


def test_the_seeds_command_runs_the_seeds_jobs_in_order_from_any_folder(
    program: Program, shop: Path, nomad: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = ("--fs-depfile-path", "shop/dependency.json", "--fs-jobs-path", str(shop / "jobs"))
    ended = program("run", "--job", "nginx", "--server-addr", "http://127.0.0.1:4646", "--store", "filesystem", *places)
    assert (ended.code, ended.out) == (EXIT_OK, "")
    assert nomad.called("register") == IN_ORDER
    assert "nginx" in ended.err


def test_a_run_as_json_is_one_event_per_line_on_stdout(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    ended = program("run", "nginx", "--output", "json")
    events = ended.json_lines()
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert (events[0]["event"], events[-1]["event"], events[-1]["exit_code"]) == ("run-started", "run-finished", 0)
    assert [step["job"] for step in events[0]["steps"]] == IN_ORDER
    assert nomad.called("register") == IN_ORDER


def test_a_failed_job_is_exit_code_3_and_nothing_above_it_is_registered(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    nomad.script("postgres_setup", scripts.fails())
    ended = program("run", "nginx", "--quiet")
    assert ended.code == EXIT_JOB_FAILED
    assert nomad.called("register") == ["postgres", "postgres_setup"]
    assert "postgres_setup" in ended.err


def test_stop_takes_all_down_in_reverse_with_deep(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    program("run", "nginx")
    ended = program("stop", "nginx", "--deep")
    assert (ended.code, ended.out) == (EXIT_OK, "")
    assert nomad.called("stop")[0] == "nginx"
    assert nomad.called("stop")[-1] == "postgres"


def test_a_goal_that_something_else_needs_is_kept_and_that_is_exit_code_1(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    program("run", "nginx")
    assert program("stop", "postgres").code == EXIT_ERROR
    assert nomad.called("stop") == []
    assert program("stop", "postgres", "--force").code == EXIT_OK
    assert "postgres" in nomad.called("stop")


def test_purge_removes_a_stopped_job(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    program("run", "nginx")
    assert program("stop", "nginx", "--purge").code == EXIT_OK
    assert JobRef("default", "nginx") not in nomad.jobs
    assert JobRef("default", "api") in nomad.jobs


def test_plan_prints_steps_on_stdout_and_changes_nothing(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    text = program("plan", "nginx")
    document = program("plan", "--all", "--output", "json")
    assert (text.code, text.err, document.code, document.err) == (EXIT_OK, "", EXIT_OK, "")
    assert [step["job"] for step in document.json()["steps"]] == IN_ORDER
    assert [line.split()[2] for line in text.out.splitlines()[2:6]] == IN_ORDER
    assert "\ncritical path: postgres -> postgres_setup -> api -> nginx, at least 20 s\n" in text.out
    assert nomad.changes == []


def test_plan_says_in_the_words_of_run_what_it_is_of(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    planned = program("plan", "nginx").out.splitlines()
    document = program("plan", "nginx", "--output", "json").json()
    ran = program("run", "nginx").err.splitlines()[0]
    assert re.fullmatch(rf"plan nginx: 4 steps, stack shop, filesystem [0-9a-f]{{12}}, {nomad.address}", planned[0])
    assert planned[1] == ""
    assert planned[0].removeprefix("plan ") in ran
    assert document["address"] == nomad.address


def test_plan_tells_changes_by_its_exit_code_only_where_asked_to(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    assert program("plan", "nginx", "--detailed-exitcode").code == EXIT_CHANGES_PENDING
    program("run", "nginx")
    assert program("plan", "nginx", "--detailed-exitcode").code == EXIT_OK
    assert nomad.called("stop") == []


def test_an_unknown_job_is_told_with_the_nearest(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    ended = program("run", "ngnix")
    assert ended.code == EXIT_ERROR
    assert "error[unknown-job]" in ended.err
    assert "did you mean 'nginx'?" in ended.err
    assert nomad.calls == []


# -- without Nomad ----------------------------------------------------------------------------------------------------------------


def test_validate_needs_no_nomad(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("validate")
    assert (ended.code, ended.out, ended.err) == (EXIT_OK, "dependency.json: 4 jobs, no fault\n", "")
    told = {"schema": 1, "valid": True, "jobs": 4, "warnings": [], "missing_edges": None}
    assert program("validate", "--output", "json").json() == told


def test_validate_tells_all_faults_at_once(program: Program, shop: Path) -> None:
    (shop / "jobs" / "api.nomad").unlink()
    (shop / "jobs" / "nginx.hcl").write_text("")
    ended = program("validate", "--output", "json")
    assert ended.code == EXIT_ERROR
    assert sorted(fault["code"] for fault in ended.json_lines()) == ["job-file-ambiguous", "job-file-missing"]
    assert ended.err.count("error[") == 2


def test_validate_tells_a_cycle_with_its_path(program: Program, shop: Path) -> None:
    (shop / "dependency.json").write_text(json.dumps({"dependencies": {"api": {"pre": "nginx"}, "nginx": {"pre": "api"}}}))
    ended = program("validate")
    assert ended.code == EXIT_ERROR
    assert "api -> nginx -> api" in ended.err


def test_validate_asks_nomad_where_told_to_and_shows_its_warnings(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    nomad.warnings["api"] = "group main is odd"
    ended = program("validate", "--nomad")
    assert ended.code == EXIT_OK
    assert ended.err == "warning: api: group main is odd\n"
    assert sorted(nomad.called("validate")) == sorted(IN_ORDER)
    assert nomad.changes == []


def test_graph_draws_the_whole_file_or_a_goals_tree(program: Program, shop: Path) -> None:
    assert shop.exists()
    everything = program("graph")
    assert (everything.code, everything.err) == (EXIT_OK, "")
    tree = "nginx\n└─ api (7 s after start)\n   └─ postgres_setup (3 s after start)\n      └─ postgres (5 s after start)\n"
    assert everything.out == tree
    assert program("graph", "postgres").out == "postgres_setup\n└─ postgres (5 s after start)\n"


@pytest.mark.parametrize(("form", "start"), [("dot", "digraph"), ("mermaid", "flowchart")])
def test_graph_draws_for_other_programs(program: Program, shop: Path, form: str, start: str) -> None:
    assert shop.exists()
    assert program("graph", "--format", form).out.startswith(start)


def test_graph_as_json_is_a_document(program: Program, shop: Path) -> None:
    assert shop.exists()
    document = program("graph", "nginx", "--format", "json").json()
    assert document["goals"] == ["nginx"]
    assert {job["job"] for job in document["jobs"]} == set(IN_ORDER)


def test_status_shows_the_tree_with_its_health(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert shop.exists()
    program("run", "nginx")
    rows = program("status", "nginx", "--output", "json").json()["jobs"]
    assert {row["job"]: row["health"] for row in rows} == dict.fromkeys(IN_ORDER, "Healthy")
    assert program("status").out.startswith("JOB")
    assert nomad.called("stop") == []


def test_schema_is_a_json_schema(program: Program) -> None:
    ended = program("schema")
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert "dependencies" in ended.json()["properties"]


def test_stores_are_listed_with_their_package(program: Program) -> None:
    assert "filesystem" in program("stores", "list").out
    (store,) = (store for store in program("stores", "list", "--output", "json").json()["stores"] if store["name"] == "filesystem")
    assert store["target"] == "dtree_stores.filesystem:FilesystemStore"


def test_a_store_is_shown_with_all_ways_to_give_its_options(program: Program) -> None:
    assert program("stores", "show", "filesystem").code == EXIT_OK
    options = {option["option"]: option for option in program("stores", "show", "filesystem", "--output", "json").json()["options"]}
    assert set(options) == {"--fs-depfile-path", "--fs-jobs-path", "--fs-root"}
    assert options["--fs-root"]["variables"] == ["NOMAD_DTREE_FS_ROOT"]
    assert options["--fs-root"]["key"] == "[stores.filesystem] fs-root"


def test_an_unknown_store_is_told(program: Program) -> None:
    for words in (("stores", "show", "filesytem"), ("validate", "--store", "filesytem")):
        ended = program(*words)
        assert ended.code == EXIT_ERROR
        assert "did you mean 'filesystem'?" in ended.err


def test_a_missing_name_is_a_usage_error(program: Program) -> None:
    assert program("stores", "show").code == EXIT_USAGE


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_a_run_registers_nothing_more_and_is_exit_code_130(
    program: Program, shop: Path, nomad: FakeCluster, name: str
) -> None:
    def signal_comes(life: Life) -> None:
        scripts.never(life)
        signal.raise_signal(signal.Signals[name])

    assert shop.exists()
    nomad.script("postgres_setup", signal_comes)
    ended = program("run", "nginx", "--output", "json")
    assert ended.code == EXIT_INTERRUPTED
    assert [event["signal"] for event in ended.json_lines() if event["event"] == "run-interrupted"] == [name]
    assert nomad.called("register") == ["postgres", "postgres_setup"]


def test_a_job_that_only_has_a_job_file_runs_by_its_name(program: Program, shop: Path, nomad: FakeCluster) -> None:
    (shop / "jobs" / "v.nomad").write_text('job "v" { type = "service" }')
    assert program("plan", "v").code == EXIT_OK
    assert program("run", "v").code == EXIT_OK
    assert nomad.called("register") == ["v"]


@pytest.mark.parametrize(("words", "stream", "told"), [(("--output", "json"), "stdout", True), ((), "stderr", False)])
def test_a_run_whose_output_is_lost_goes_on_and_is_not_told_as_fine(
    shop: Path,
    nomad: FakeCluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    stream: str,
    told: bool,  # noqa: FBT001 - a table
) -> None:
    assert shop.exists()
    with Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, stream, full)
        code = main(["run", "nginx", *words], {})
        monkeypatch.undo()
    assert (code, nomad.called("register")) == (EXIT_JOB_FAILED, IN_ORDER)
    assert capsys.readouterr().err.startswith("error[output-failed]: standard output cannot be written: No space left") is told

"""What is left of the keys of the dependency file, on a real Nomad: each does what it says, and each has its failure twin.

Most keys have a file of tests of their own; which test shows which key stands in rows.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.servers.scenario import HEALTHY_LATER, Done, Scenario

NO_SECOND_CHANCE = 'restart {\n attempts = 0\n mode = "fail"\n}\nreschedule {\n attempts = 0\n unlimited = false\n}\n'
FAILS = 'run_for = "20ms"\nexit_code = 3'
RUNS = 'run_for = "1h"'
NEVER_RUNS = """
task "before" {
  driver = "mock_driver"
  lifecycle {
    hook = "prestart"
  }
  config {
    run_for = "1h"
  }
  logs {
    disabled = true
  }
}
"""
HEALTHY_LAST = HEALTHY_LATER.replace('"1s"', '"3s"')


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def failed(done: Done) -> dict[str, Any]:
    (event,) = done.of("step-failed")
    return event


def jobs_of(done: Done, kind: str) -> list[str]:
    return [event["job"] for event in done.of(kind)]


def refused(scenario: Scenario, *words: str) -> str:
    """What is told of a run that ends before anything was registered."""
    done = scenario.dtree("run", *words)
    assert (done.code, scenario.registered()) == (1, {}), done.stderr
    return done.stderr


# -- depends_on --------------------------------------------------------------------------------------------------------


def test_depends_on_of_a_compose_file_is_obeyed_as_it_stands(scenario: Scenario) -> None:
    # By their own entries each of the three would free `api` at another moment than its edge says.
    scenario.mock("cache", update=HEALTHY_LAST)
    scenario.mock("db", update=HEALTHY_LATER, wait_cond="started")
    scenario.mock("migrate", 'run_for = "1500ms"', type="batch", wait_cond="started")
    needs = {"cache": "service_started", "db": "service_healthy", "migrate": "service_completed_successfully"}
    scenario.mock("api", depends_on={name: {"condition": condition} for name, condition in needs.items()})
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    (cache,), (db,), (migration,) = (scenario.allocations(name) for name in needs)
    api = scenario.registered()["api"]
    assert (migration["ClientStatus"], migration["ModifyIndex"] < api) == ("complete", True)
    assert cache["CreateIndex"] < api < cache["DeploymentStatus"]["ModifyIndex"]
    assert db["DeploymentStatus"]["ModifyIndex"] < api


@pytest.mark.parametrize(
    ("condition", "config", "group", "code", "reason"),
    [
        ("service_started", RUNS, NEVER_RUNS, 6, "not started within 3 s: "),
        ("service_healthy", FAILS, NO_SECOND_CHANCE, 3, "task main: exit code 3"),
    ],
    ids=["service_started", "service_healthy"],
)
def test_depends_on_that_breaks_frees_nobody(scenario: Scenario, condition: str, config: str, group: str, code: int, reason: str) -> None:
    scenario.mock("db", config, group=group, update=HEALTHY_LATER, timeout="3s")
    scenario.mock("api", depends_on={"db": {"condition": condition}})
    done = run(scenario, "api")
    assert done.code == code, done.stdout + done.stderr
    assert reason in failed(done)["reason"]
    assert (jobs_of(done, "step-lost"), list(scenario.names())) == (["api"], ["db"])


def test_depends_on_a_migration_that_fails_frees_nobody(scenario: Scenario) -> None:
    scenario.mock("migrate", FAILS, type="batch")
    scenario.mock("api", depends_on={"migrate": {"condition": "service_completed_successfully"}})
    done = run(scenario, "api")
    assert done.code == 3, done.stdout + done.stderr
    assert "exit code 3" in failed(done)["reason"]
    assert (jobs_of(done, "step-lost"), list(scenario.names())) == (["api"], ["migrate"])


# -- conditions --------------------------------------------------------------------------------------------------------


def test_seconds_in_a_map_are_waited_for(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond={"seconds": 1})
    scenario.mock("api", pre="db")
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    accepted, api = scenario.stored("db"), scenario.stored("api")
    assert accepted is not None
    assert api is not None
    assert api["SubmitTime"] - accepted["SubmitTime"] >= 1e9


def test_conditions_that_never_come_true_are_exit_6_and_free_nobody(scenario: Scenario) -> None:
    conditions = {"runs": "started", "waits": {"seconds": 1}, "passes": "healthy", "ends": "completed"}
    for name, condition in conditions.items():
        scenario.mock(name, type="batch" if name == "ends" else "service", group=NEVER_RUNS, wait_cond=condition, timeout="2s")
        scenario.mock(f"after_{name}", pre=name)
    done = run(scenario, "--all")
    assert done.code == 6, done.stdout + done.stderr
    reasons = {event["job"]: event["reason"].partition(" within 2 s: ")[0] for event in done.of("step-failed")}
    assert reasons == {"runs": "not started", "waits": "not 1 s after start", "passes": "not healthy", "ends": "not completed"}
    assert {event["job"]: event["because"] for event in done.of("step-lost")} == {f"after_{name}": name for name in conditions}
    assert scenario.names() == sorted(conditions)


def test_a_job_that_nomad_does_not_accept_is_never_registered(scenario: Scenario) -> None:
    scenario.mock("db", wait_cond="registered", job="priority = 1000")
    scenario.mock("api", pre="db")
    told = refused(scenario, "api")
    assert "error[job-invalid]" in told
    assert "priority" in told.lower()


def test_a_timeout_of_an_entry_lets_a_slow_job_come_up(scenario: Scenario) -> None:
    scenario.mock("db", 'run_for = "1h"\nstart_block_for = "2s"', timeout="30s")
    scenario.depfile(scenario.entries, defaults={"timeout": "1s"})
    assert run(scenario, "db").code == 0


def test_a_timeout_of_the_defaults_holds_for_who_says_nothing(scenario: Scenario) -> None:
    scenario.mock("db", group=NEVER_RUNS)
    scenario.mock("api", pre="db")
    scenario.depfile(scenario.entries, defaults={"timeout": "1s"})
    done = run(scenario, "api")
    assert done.code == 6, done.stdout + done.stderr
    assert failed(done)["reason"].startswith("not ready within 1 s: ")
    assert list(scenario.names()) == ["db"]


# -- where a job comes from --------------------------------------------------------------------------------------------


def test_a_job_file_may_lie_elsewhere(scenario: Scenario) -> None:
    scenario.mock("db")
    (scenario.folder / "shared").mkdir()
    (scenario.folder / "jobs/db.nomad").rename(scenario.folder / "shared/postgres.hcl")
    scenario.depfile({"db": {"file": "shared/postgres.hcl"}})
    assert run(scenario, "db").code == 0
    assert list(scenario.names()) == ["db"]


def test_a_job_file_that_is_not_where_its_entry_says_is_told_before_the_first_registration(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.depfile({"db": {"file": "shared/postgres.hcl"}})
    told = refused(scenario, "db")
    assert told.splitlines()[:2] == [
        "error[store-file-missing]: there is no file shared/postgres.hcl",
        "  --> dependency.json:4:15, dependencies.db.file",
    ]


def test_a_job_file_that_is_no_template_is_passed_as_it_is(scenario: Scenario) -> None:
    scenario.shell("seed", "[[ 1 == 1 ]] || true; exit 0", type="batch", template=False)
    assert run(scenario, "seed").code == 0
    stored = scenario.stored("seed")
    assert stored is not None
    assert "[[ 1 == 1 ]]" in stored["TaskGroups"][0]["Tasks"][0]["Config"]["args"][1]


def test_a_job_file_that_should_be_no_template_is_told_with_the_key(scenario: Scenario) -> None:
    scenario.shell("seed", "[[ -e here ]] || true; exit 0", type="batch")
    scenario.mock("api", pre="seed")
    assert "template: false" in refused(scenario, "api")


def test_a_version_and_values_reach_the_job(scenario: Scenario) -> None:
    scenario.shell("seed", "test '[[ version ]] [[ table ]]' = '1.10 users'", type="batch", version="1.10", vars={"table": "users"})
    assert run(scenario, "seed").code == 0


def test_a_version_that_is_a_number_is_told_before_the_first_registration(scenario: Scenario) -> None:
    scenario.mock("seed", type="batch", version=1.1)
    told = refused(scenario, "seed")
    assert told == (
        "error[wrong-type]: 'version' must be text, or a map such as {git: short}, not a number\n"
        "  --> dependency.json:4:18, dependencies.seed.version\n"
        '  hint: put it in quotes: version: "1.10"\n'
    )


def test_a_value_that_nobody_gave_is_told_before_the_first_registration(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.shell("seed", "echo [[ tabel ]]", type="batch", vars={"table": "users"}, pre="db")
    told = refused(scenario, "seed")
    assert "'tabel'" in told
    assert "did you mean 'table'?" in told


def test_a_tag_that_no_job_has_selects_nothing_and_registers_nothing(scenario: Scenario) -> None:
    scenario.mock("db", tags=["data"])
    done = scenario.dtree("run", "--selector", "tag=date")
    assert (done.code, done.stdout, scenario.registered()) == (1, "", {})
    assert done.stderr == "error[unknown-tag]: no job of dependency.json has the tag 'date'\n  hint: did you mean 'data'?\n"

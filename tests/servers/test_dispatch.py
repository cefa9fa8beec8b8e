"""Children that the dependency file asks for, on a real Nomad."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.conftest import forget_notes
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

PARAMETERIZED = """
  parameterized {
    payload       = "optional"
    meta_required = ["table"]
    meta_optional = ["limit"]
  }
"""
NIGHTLY = """
  periodic {
    crons            = ["0 3 1 1 *"]
    prohibit_overlap = true
  }
"""
NO_SECOND_CHANCE = """
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
"""


@pytest.fixture
def shop(scenario: Scenario) -> Iterator[Scenario]:
    """A set of jobs of a stack of the test's own; what is noted of it is gone afterwards."""
    yield scenario
    forget_notes(scenario.api, stack(scenario))


def stack(scenario: Scenario) -> str:
    return f"{scenario.prefix}shop"


def load(scenario: Scenario, script: str, dispatch: Any, job: str = PARAMETERIZED, **entry: Any) -> None:
    """Write the job whose children run a script, and the service that needs them."""
    scenario.shell("load", script, type="batch", job=job, group=NO_SECOND_CHANCE, logged=True, dispatch=dispatch, **entry)
    scenario.mock("api", pre="load")
    scenario.depfile(scenario.entries, stack=stack(scenario))


def run(scenario: Scenario, *words: str, code: int = 0) -> Done:
    done = scenario.dtree("run", "api", "--output", "json", *words)
    assert done.code == code, done.stdout + done.stderr
    return done


def children(scenario: Scenario) -> list[dict[str, Any]]:
    """The children of `load`, oldest first."""
    rows = scenario.api.get("/v1/jobs", prefix=f"{scenario.id('load')}/")
    return sorted((scenario.api.get(f"/v1/job/{row['ID'].replace('/', '%2F')}") for row in rows), key=lambda row: row["CreateIndex"])


def step(done: Done, name: str = "load") -> tuple[str, str]:
    (found,) = [one for one in done.of("run-started")[0]["steps"] if one["job"] == name]
    return found["change"], found["cause"]


def test_children_get_their_meta_and_payload_and_are_awaited_before_anything_that_needs_them(shop: Scenario) -> None:
    (shop.folder / "rows.csv").write_bytes(b"1,2\n\xff\n")
    load(shop, "exit 0", [{"meta": {"table": "users", "limit": "5"}, "payload": {"file": "rows.csv"}}, {"meta": {"table": "orders"}}])
    done = run(shop)
    first, second = children(shop)
    assert (first["Meta"], base64.b64decode(first["Payload"])) == ({"table": "users", "limit": "5"}, b"1,2\n\xff\n")
    assert (second["Meta"], second["Payload"]) == ({"table": "orders"}, None)
    (event,) = [one for one in done.of("step-registered") if one["job"] == "load"]
    assert event["children"] == [first["ID"], second["ID"]]
    assert all(row["Status"] == "dead" and row["ModifyIndex"] < shop.registered()["api"] for row in (first, second))


def test_a_child_that_fails_is_a_failure_with_its_id_task_exit_code_and_logs(shop: Scenario) -> None:
    script = '[ "$NOMAD_META_table" = users ] || { echo no such table >&2; exit 42; }'
    load(shop, script, [{"meta": {"table": "users"}}, {"meta": {"table": "orders"}}])
    done = run(shop, code=3)
    (failed,) = done.of("step-failed")
    broken = children(shop)[1]["ID"]
    assert failed["reason"].startswith(f"{broken}: ")
    assert "task main: exit code 42" in failed["reason"]
    assert [(one["job"], one["task"], one["exit_code"]) for one in failed["exits"]] == [(broken, "main", 42)]
    assert any("no such table" in line for line in failed["details"])
    assert ([event["job"] for event in done.of("step-lost")], shop.stored("api")) == (["api"], None)


def test_the_next_run_dispatches_only_what_failed(shop: Scenario) -> None:
    fixed = shop.folder / "fixed"
    script = f'[ "$NOMAD_META_table" = users ] || [ -e {fixed} ]'
    load(shop, script, [{"meta": {"table": "users"}}, {"meta": {"table": "orders"}}])
    run(shop, code=3)
    eventually(lambda: all(row["Status"] == "dead" for row in children(shop)))
    fixed.touch()
    assert step(run(shop)) == ("dispatch", "registered, unchanged; 1 of 2 children are dispatched")
    assert [row["Meta"]["table"] for row in children(shop)] == ["users", "orders", "orders"]


def test_a_retry_dispatches_again_what_failed(shop: Scenario) -> None:
    tried = shop.folder / "tried"
    load(shop, f"[ -e {tried} ] || {{ touch {tried}; exit 1; }}", {"meta": {"table": "users"}}, retries=1)
    done = run(shop)
    assert (len(done.of("step-retrying")), len(children(shop))) == (1, 2)


def test_what_was_dispatched_and_completed_is_done_until_the_dispatch_changes(shop: Scenario) -> None:
    load(shop, "exit 0", {"meta": {"table": "users"}})
    run(shop)
    assert step(run(shop)) == ("noop", "registered, unchanged; its children completed before")
    load(shop, "exit 0", {"meta": {"table": "orders"}})
    assert step(run(shop)) == ("dispatch", "registered, unchanged; a child is dispatched")
    assert [row["Meta"]["table"] for row in children(shop)] == ["users", "orders"]


def test_children_are_awaited_at_the_version_of_their_parent_which_was_changed_or_stopped_before(shop: Scenario) -> None:
    load(shop, "exit 0", {"meta": {"table": "users"}})
    run(shop)
    load(shop, "true; exit 0", {"meta": {"table": "users"}})
    assert step(run(shop))[0] == "update"
    assert shop.dtree("stop", "api", "load").code == 0
    run(shop, "--force")
    assert [row["Version"] for row in children(shop)] == [0, 1, 3]


def collect_children(scenario: Scenario) -> None:
    """Have Nomad forget the children."""

    def are_gone() -> bool:
        scenario.api.put("/v1/system/gc", {})
        return children(scenario) == []

    eventually(are_gone)


def test_what_completed_beside_a_child_that_failed_is_not_dispatched_again_although_nomad_has_forgotten_it(shop: Scenario) -> None:
    fixed, first = shop.folder / "fixed", shop.folder / "first"
    orders = f"while [ ! -e {first} ]; do sleep 0.1; done; sleep 1; [ -e {fixed} ]"
    script = f'if [ "$NOMAD_META_table" = users ]; then echo once >> {first}; else {orders}; fi'
    load(shop, script, [{"meta": {"table": "users"}}, {"meta": {"table": "orders"}}], run="once")
    run(shop, code=3)
    collect_children(shop)
    status = shop.dtree("status", "load")
    assert "Degraded" in status.stdout
    assert "it failed, and Nomad has forgotten it since" in status.stdout
    fixed.touch()
    assert step(run(shop)) == ("dispatch", "registered, unchanged; 1 of 2 children are dispatched")
    assert len(first.read_text().splitlines()) == 1
    assert step(run(shop))[0] == "noop"


def test_what_is_always_dispatched_is_dispatched_in_each_run(shop: Scenario) -> None:
    load(shop, "exit 0", {"meta": {"table": "users"}}, run="always")
    run(shop)
    run(shop)
    assert len(children(shop)) == 2


def test_a_periodic_job_is_run_out_of_its_turn(shop: Scenario) -> None:
    load(shop, "exit 0", {"force": True}, NIGHTLY)
    run(shop)
    (child,) = children(shop)
    assert (child["ParentID"], child["Status"]) == (shop.id("load"), "dead")
    assert step(run(shop))[0] == "noop"


def test_a_periodic_job_that_was_changed_is_run_out_of_its_turn_again(shop: Scenario) -> None:
    load(shop, "exit 0", {"force": True}, NIGHTLY, run="always")
    run(shop)
    load(shop, "true; exit 0", {"force": True}, NIGHTLY, run="always")
    eventually(lambda: all(row["Status"] == "dead" for row in children(shop)))
    run(shop)
    assert [row["Version"] for row in children(shop)] == [0, 1]


def test_a_periodic_job_whose_forced_run_fails_fails_the_run(shop: Scenario) -> None:
    load(shop, "exit 9", {"force": True}, NIGHTLY)
    done = run(shop, code=3)
    (failed,), (child,) = done.of("step-failed"), children(shop)
    assert failed["reason"].startswith(f"{child['ID']}: ")
    assert "task main: exit code 9" in failed["reason"]
    assert [(one["job"], one["exit_code"]) for one in failed["exits"]] == [(child["ID"], 9)]
    assert ([event["job"] for event in done.of("step-lost")], shop.stored("api")) == (["api"], None)
    nightly = shop.stored("load")
    assert nightly is not None
    assert (nightly["Status"], nightly["Stop"]) == ("running", False)


def test_what_nomad_would_not_take_is_told_before_anything_is_registered(shop: Scenario) -> None:
    load(shop, "exit 0", [{"meta": {"tabel": "users"}}, {"meta": {"table": "users"}, "payload": "x" * (16 * 1024 + 1)}])
    done = shop.dtree("run", "api")
    assert (done.code, list(shop.names())) == (1, [])
    assert "the payload has 16385 bytes" in done.stderr
    assert "lacks the meta key 'table'" in done.stderr


def test_a_payload_as_large_as_nomad_takes_is_dispatched(shop: Scenario) -> None:
    load(shop, "exit 0", {"meta": {"table": "users"}, "payload": "x" * (16 * 1024)})
    run(shop)
    assert len(children(shop)) == 1


def test_stop_stops_the_children_too(shop: Scenario) -> None:
    load(shop, "exec sleep 3600", {"meta": {"table": "users"}}, wait_cond="started")
    run(shop)
    assert shop.dtree("stop", "api", "load").code == 0
    assert [(row["Stop"], row["Status"]) for row in children(shop)] == [(True, "dead")]

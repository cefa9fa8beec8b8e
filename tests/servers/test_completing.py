"""Jobs that complete, on a real Nomad: when they are run again, and what the cluster remembers of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtree.provenance import note_path
from tests.servers.conftest import forget_notes
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

RESCHEDULED_ONCE = """
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts       = 1
      interval       = "1h"
      delay          = "5s"
      delay_function = "constant"
      unlimited      = false
    }
"""
RESCHEDULED_NEVER = RESCHEDULED_ONCE.replace("attempts       = 1", "attempts       = 0")


@pytest.fixture
def shop(scenario: Scenario) -> Iterator[Scenario]:
    """A set of jobs of a stack of the test's own; what is noted of it is gone afterwards."""
    yield scenario
    forget_notes(scenario.api, stack(scenario))


def stack(scenario: Scenario) -> str:
    return f"{scenario.prefix}shop"


def counting(scenario: Scenario, count: Path, then: str = "exit 0", **entry: object) -> None:
    """Write the migration, which counts its runs, and the service that needs it."""
    scenario.shell("migrate", f"echo once >> {count}; {then}", type="batch", **entry)  # type: ignore[arg-type]
    scenario.mock("api", pre="migrate")
    scenario.depfile(scenario.entries, stack=stack(scenario))


def run(scenario: Scenario, *words: str, code: int = 0) -> Done:
    done = scenario.dtree("run", "api", "--output", "json", *words)
    assert done.code == code, done.stdout + done.stderr
    return done


def change(done: Done) -> tuple[str, str]:
    (step,) = [step for step in done.of("run-started")[0]["steps"] if step["job"] == "migrate"]
    return step["change"], step["cause"]


def runs(count: Path) -> int:
    return len(count.read_text().splitlines())


def note(scenario: Scenario) -> dict[str, str]:
    items: dict[str, str] = scenario.api.get(f"/v1/var/{note_path(stack(scenario), scenario.id('migrate'))}")["Items"]
    return items


def await_end(scenario: Scenario) -> None:
    """Wait until the migration has ended, whoever waited for it before."""
    eventually(lambda: [row["ClientStatus"] for row in scenario.allocations("migrate")] == ["complete"])


def collect(scenario: Scenario) -> None:
    """Have Nomad forget the migration."""

    def is_gone() -> bool:
        scenario.api.put("/v1/system/gc", {})
        return "migrate" not in scenario.names()

    eventually(is_gone)


def test_what_nomad_has_collected_is_not_run_twice_and_a_changed_one_is(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count")
    run(shop)
    collect(shop)
    done = run(shop)
    assert change(done) == ("noop", "completed before, unchanged; Nomad has forgotten it since")
    assert (runs(tmp_path / "count"), shop.stored("migrate")) == (1, None)
    assert [event["job"] for event in done.of("step-ready")] == ["migrate", "api"]
    counting(shop, tmp_path / "count", then="true; exit 0")
    assert change(run(shop))[0] == "create"
    assert runs(tmp_path / "count") == 2


def test_a_migration_that_failed_is_remembered_as_no_success(shop: Scenario, tmp_path: Path) -> None:
    counting(
        shop, tmp_path / "count", then=f"[ -e {tmp_path / 'fixed'} ] || {{ echo no such table >&2; exit 42; }}", group=RESCHEDULED_NEVER
    )
    done = run(shop, code=3)
    (failed,) = done.of("step-failed")
    assert "task main: exit code 42" in failed["reason"]
    assert [(one["job"], one["task"], one["exit_code"]) for one in failed["exits"]] == [(shop.id("migrate"), "main", 42)]
    assert [event["job"] for event in done.of("step-lost")] == ["api"]
    assert ("succeeded" in note(shop), shop.stored("api")) == (False, None)
    collect(shop)
    (tmp_path / "fixed").touch()
    assert change(run(shop))[0] == "create"
    assert runs(tmp_path / "count") == 2
    assert "succeeded" in note(shop)


def test_a_reschedule_is_awaited(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", then=f"[ $(wc -l < {tmp_path / 'count'}) -gt 1 ] || exit 7", group=RESCHEDULED_ONCE)
    done = run(shop)
    assert any("will be rescheduled" in event["reason"] for event in done.of("step-waiting"))
    assert runs(tmp_path / "count") == 2


def test_what_is_run_once_is_never_run_again_until_a_purge_forgets_it(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", run="once")
    run(shop)
    counting(shop, tmp_path / "count", then="true; exit 0", run="once")
    assert change(run(shop, "--force")) == ("noop", "completed before, and is run only once")
    collect(shop)
    assert change(run(shop)) == ("noop", "completed before, and is run only once")
    assert runs(tmp_path / "count") == 1
    assert shop.dtree("stop", "migrate", "--purge", "--force").code == 0
    run(shop)
    assert runs(tmp_path / "count") == 2


def test_what_is_run_once_and_completed_unseen_is_refused_until_somebody_says_how_it_ended(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", then="sleep 1", run="once", wait_cond="started")
    run(shop)
    await_end(shop)
    collect(shop)
    done = shop.dtree("run", "api")
    assert (done.code, runs(tmp_path / "count")) == (1, 1)
    assert "error[forgotten-run]: 'migrate' is to be run once; it was begun at 20" in done.stderr
    assert "and Nomad has forgotten what became of it" in shop.dtree("status", "migrate").stdout
    path = note_path(stack(shop), shop.id("migrate"))
    assert f"nomad var put -force {path} nomad-dtree=1 succeeded=by-hand" in done.stderr
    shop.api.put(f"/v1/var/{path}", {"Items": {"nomad-dtree": "1", "succeeded": "by-hand"}})
    assert change(run(shop)) == ("noop", "completed before, and is run only once")
    assert "Healthy" in shop.dtree("status", "migrate").stdout
    assert "`nomad-dtree stop migrate --purge` forgets that" in shop.dtree("which", "migrate").stderr
    assert shop.dtree("stop", "migrate", "--purge", "--force").code == 0
    run(shop)
    assert runs(tmp_path / "count") == 2


def test_what_is_run_once_and_completed_after_an_interrupt_is_not_run_again(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", then=f"while [ ! -e {tmp_path / 'go'} ]; do sleep 0.1; done", run="once")
    with shop.running("run", "api") as going:
        going.until("step-waiting", "migrate")
        going.process.send_signal(signal.SIGINT)
        assert going.finish().code == 130
    (tmp_path / "go").touch()
    await_end(shop)
    collect(shop)
    done = shop.dtree("run", "api", "--force")
    assert (done.code, runs(tmp_path / "count")) == (1, 1)
    assert "forgotten-run" in done.stderr


def test_what_is_run_once_and_failed_is_run_again(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", then=f"[ -e {tmp_path / 'fixed'} ]", group=RESCHEDULED_NEVER, run="once")
    run(shop, code=3)
    (tmp_path / "fixed").touch()
    run(shop)
    run(shop)
    assert runs(tmp_path / "count") == 2


def test_what_is_always_run_is_run_each_time_although_nomad_sees_no_change(shop: Scenario, tmp_path: Path) -> None:
    counting(shop, tmp_path / "count", run="always")
    for expected in ("create", "rerun", "rerun"):
        assert change(run(shop))[0] == expected
    assert runs(tmp_path / "count") == 3


def test_what_is_always_run_and_fails_the_second_time_fails_the_run(shop: Scenario, tmp_path: Path) -> None:
    then = f"[ $(wc -l < {tmp_path / 'count'}) -lt 2 ]"
    counting(shop, tmp_path / "count", then=then, group=RESCHEDULED_NEVER, run="always")
    run(shop)
    before = shop.modified()["api"]
    done = run(shop, code=3)
    (failed,) = done.of("step-failed")
    assert "task main: exit code 1" in failed["reason"]
    assert [(one["job"], one["exit_code"]) for one in failed["exits"]] == [(shop.id("migrate"), 1)]
    # What runs of the one that needs it goes on as it was.
    assert ([event["job"] for event in done.of("step-lost")], shop.modified()["api"]) == (["api"], before)
    assert [row["ClientStatus"] for row in shop.allocations("api")] == ["running"]

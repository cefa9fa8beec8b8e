"""Jobs of one tree in two federated regions, on real Nomads: every call reaches the region of its job."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dtree.demo.api import ApiError
from tests.servers.conftest import BIG_NODE, purge_jobs
from tests.servers.federation import REGION, Federation, federated
from tests.servers.proxy import Fate, Proxy, Request, answer
from tests.servers.scenario import Done, Scenario

_LATER = 'update {\n min_healthy_time = "2s"\n healthy_deadline = "30s"\n progress_deadline = "1m"\n}'
_NEVER = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n}'
_PORT = 'network {\n port "http" {}\n}\nservice {\n name = "PREFIXweb"\n provider = "nomad"\n port = "http"\n'
_CHECKED = _PORT + 'check {\n type = "http"\n path = "/"\n interval = "1s"\n timeout = "1s"\n}\n}'


@pytest.fixture(scope="module")
def federation(nomad_program: Path) -> Iterator[Federation]:
    with federated(nomad_program, BIG_NODE) as both:
        yield both


@pytest.fixture
def home(federation: Federation, tmp_path: Path) -> Iterator[Scenario]:
    """A set of jobs on the agent of region `global`."""
    prefix = f"t{uuid4().hex[:8]}-"
    yield Scenario(federation.home, prefix, tmp_path)
    for agent in (federation.home, federation.abroad):
        purge_jobs(agent.api, prefix)


@pytest.fixture
def proxy(home: Scenario) -> Iterator[Proxy]:
    with Proxy(home.agent.address, fate=lambda _: "pass") as proxy:
        yield proxy


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def there(federation: Federation, scenario: Scenario) -> list[str]:
    """Jobs of this test in region `eu`, by short name."""
    rows = federation.abroad.api.get("/v1/jobs", namespace="*", prefix=scenario.prefix)
    return sorted(row["ID"].removeprefix(scenario.prefix) for row in rows if not row["Stop"])


def is_abroad(request: Request) -> bool:
    return f"region={REGION}" in request.target


# -- a tree across regions ---------------------------------------------------------------------------------------------


def test_a_tree_across_two_regions_is_run_looked_at_and_stopped(home: Scenario, federation: Federation) -> None:
    home.mock("db", update=_LATER, region=REGION)
    home.mock("seed", 'run_for = "100ms"', type="batch", job=f'region = "{REGION}"', pre="db")
    home.mock("api", pre="seed")
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "seed", "api"]
    assert [(step["job"], step["region"]) for step in done.of("run-started")[0]["steps"]] == [("db", REGION), ("seed", REGION), ("api", "")]
    assert there(federation, home) == ["db", "seed"]
    assert list(home.names()) == ["api"]
    again = run(home, "api")
    assert [event["changed"] for event in again.of("step-registered")] == [False] * 3, again.stdout + again.stderr
    rows = json.loads(home.dtree("status", "--output", "json").stdout)["jobs"]
    assert {row["job"]: (row["region"], row["health"]) for row in rows} == {
        "api": ("", "Healthy"),
        "seed": (REGION, "Healthy"),
        "db": (REGION, "Healthy"),
    }
    assert f"{home.id('db')} in region {REGION})" in home.dtree("which", "db").stdout
    stopped = home.dtree("stop", "api", "--deep", "--purge", "--output", "json")
    assert stopped.code == 0, stopped.stdout + stopped.stderr
    assert there(federation, home) == list(home.names()) == []
    assert federation.abroad.api.get("/v1/vars", prefix="dtree/") == []


def test_conditions_of_every_kind_are_asked_in_the_region_of_the_job(home: Scenario) -> None:
    script = "echo ready to go; exec python3 -m http.server $NOMAD_PORT_http --bind 127.0.0.1"
    conditions: list[Any] = [{"http": {"port": "http"}}, {"tcp": {"port": "http"}}, {"log": "^ready to go$"}, {"service": home.id("web")}]
    home.shell("web", script, region=REGION, group=_CHECKED, logged=True, memory_mb=64, wait_cond={"all": [*conditions, "healthy"]})
    home.mock("api", pre="web")
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    (ready,) = [event for event in done.of("step-ready") if event["job"] == "web"]
    assert [one["label"] for one in ready["addresses"]] == ["http"]


def test_a_failure_in_another_region_is_explained_by_its_log(home: Scenario, federation: Federation) -> None:
    home.shell("load", "echo no such table >&2; exit 3", type="batch", region=REGION, logged=True)
    home.mock("api", pre="load")
    done = run(home, "api")
    assert done.code == 3, done.stdout + done.stderr
    (failed,) = done.of("step-failed")
    assert any("no such table" in line for line in failed["details"]), failed
    assert [one["exit_code"] for one in failed["exits"]] == [3]
    assert [event["job"] for event in done.of("step-lost")] == ["api"]
    assert list(home.names()) == []
    assert there(federation, home) == ["load"]


def test_children_are_dispatched_and_forced_in_the_region_of_their_parent(home: Scenario) -> None:
    quick = 'run_for = "100ms"'
    home.mock("load", quick, type="batch", job="parameterized {}", region=REGION, dispatch={})
    home.mock("tidy", quick, type="batch", job='periodic {\n crons = ["0 3 1 1 *"]\n}', region=REGION, dispatch={"force": True}, pre="load")
    home.mock("api", pre="tidy")
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["load", "tidy", "api"]
    again = run(home, "api")
    assert [event["children"] for event in again.of("step-registered") if event["children"]] == [], again.stdout


def test_canaries_in_another_region_are_promoted_there(home: Scenario, federation: Federation) -> None:
    canaries = 'update {\n canary = 1\n min_healthy_time = "0s"\n healthy_deadline = "20s"\n progress_deadline = "30s"\n}'
    home.mock("web", update=canaries, region=REGION, promote="auto")
    home.mock("api", pre="web")
    assert run(home, "web").code == 0
    home.mock("web", 'run_for = "2h"', update=canaries, region=REGION, promote="auto")
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    found = federation.abroad.api.get(f"/v1/job/{home.id('web')}/deployments")
    assert {one["JobVersion"]: one["TaskGroups"]["main"]["Promoted"] for one in found}[1] is True


def test_what_a_failed_run_changed_is_returned_in_each_region(home: Scenario, federation: Federation) -> None:
    home.mock("db", region=REGION)
    assert run(home, "db").code == 0
    home.mock("db", 'run_for = "2h"', region=REGION)
    home.mock("api", 'run_for = "100ms"\nexit_code = 3', type="batch", region=REGION, pre="db", on_failure="rollback")
    done = run(home, "api")
    assert done.code == 4, done.stdout + done.stderr
    assert sorted(event["job"] for event in done.of("step-returned")) == ["api", "db"]
    stored = federation.abroad.api.get(f"/v1/job/{home.id('db')}")
    assert stored["TaskGroups"][0]["Tasks"][0]["Config"]["run_for"] == "1h"
    assert there(federation, home) == ["db"]


def test_a_hook_of_one_region_runs_around_the_stop_of_a_job_of_another(home: Scenario, federation: Federation) -> None:
    home.mock("backup", 'run_for = "100ms"', type="batch")
    home.mock("db", region=REGION, pre_stop="backup")
    assert run(home, "db").code == 0
    done = home.dtree("stop", "db", "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["backup", "db"]
    assert there(federation, home) == []


def test_a_dependent_in_another_region_is_restarted_there(home: Scenario, federation: Federation) -> None:
    home.mock("db")
    home.mock("api", region=REGION, pre={"job": "db", "on_update": "restart"})
    assert run(home, "api").code == 0
    home.mock("db", 'run_for = "2h"')
    done = run(home, "db")
    assert done.code == 0, done.stdout + done.stderr
    (allocation,) = federation.abroad.api.get(f"/v1/job/{home.id('api')}/allocations")
    assert allocation["TaskStates"]["main"]["Restarts"] == 1


def test_one_id_in_two_regions_is_two_jobs_of_one_file(home: Scenario, federation: Federation) -> None:
    home.mock("api")
    home.entries["api-eu"] = {"file": "jobs/api.nomad", "region": REGION, "pre": "api"}
    home.depfile(home.entries)
    done = run(home, "api-eu")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["api", "api-eu"]
    assert list(home.names()) == there(federation, home) == ["api"]


def test_the_own_region_by_its_name_is_the_same_region(home: Scenario) -> None:
    home.mock("api", job='region = "global"')
    home.entries["twin"] = {"file": "jobs/api.nomad"}
    home.depfile(home.entries)
    assert "one job to Nomad" in home.dtree("plan", "--all").stderr
    home.entries.pop("twin")
    home.depfile(home.entries)
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert done.of("run-started")[0]["steps"][0]["region"] == ""


def test_the_region_of_the_connection_is_that_of_jobs_that_name_none(home: Scenario, federation: Federation) -> None:
    home.mock("db", region="global")
    home.mock("api", pre="db")
    done = run(home, "api", "--region", REGION)
    assert done.code == 0, done.stdout + done.stderr
    assert there(federation, home) == ["api"]
    assert list(home.names()) == ["db"]


def test_three_standing_queries_serve_each_region(home: Scenario, proxy: Proxy) -> None:
    for number in range(12):
        home.mock(f"job{number:02}", region=REGION if number % 2 else "global")
    done = run(home, "--all", "--parallelism", "12", "--server-addr", proxy.address)
    assert done.code == 0, done.stdout + done.stderr
    lists = [f"/v1/{table}" for table in ("allocations", "deployments", "evaluations")]
    assert proxy.most_standing == {**dict.fromkeys(lists, 1), **{f"{one} in {REGION}": 1 for one in lists}}
    assert all("namespace=%2A" in one.target for one in proxy.requests if "filter=" in one.target)


# -- other people's jobs -----------------------------------------------------------------------------------------------


def test_an_external_job_is_waited_for_in_the_region_of_its_entry(home: Scenario, federation: Federation) -> None:
    vault = home.id("vault")
    home.mock("vault", region=REGION, update=_LATER)
    assert run(home, "vault").code == 0
    home.entries.pop("vault")
    (home.folder / "jobs" / "vault.nomad").unlink()
    home.mock("api", pre={"job": vault, "external": True})
    home.depfile({**home.entries, vault: {"timeout": "1s"}})
    missing = run(home, "api")
    assert missing.code == 6, missing.stdout + missing.stderr  # nobody runs it in this region
    home.depfile({**home.entries, vault: {"region": REGION}})
    done = run(home, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert there(federation, home) == ["vault"]


# -- what is not there -------------------------------------------------------------------------------------------------


def test_a_region_that_does_not_exist_is_told_before_anything_is_changed(home: Scenario) -> None:
    home.mock("db")
    home.mock("api", pre="db", region="atlantis")
    home.mock("web", job='region = "utopia"', pre="db")
    done = home.dtree("run", "--all")
    assert done.code == 1, done.stderr
    assert "error[no-region]: job 'api' would be in region 'atlantis': No path to region 'atlantis'" in done.stderr
    assert "--> dependency.json:" in done.stderr
    assert "dependencies.api.region" in done.stderr
    assert "error[no-region]: job 'web' would be in region 'utopia': No path to region 'utopia'" in done.stderr
    assert "--> jobs/web.nomad:" in done.stderr
    assert done.stderr.count("hint: the regions there are: eu, global\n") == 2
    assert list(home.names()) == []


def test_a_region_of_the_connection_that_does_not_exist_is_one_error(home: Scenario) -> None:
    home.mock("db")
    home.mock("api", pre="db")
    done = home.dtree("run", "api", "--region", "atlantis")
    assert done.code == 1, done.stderr
    assert done.stderr.count("error[") == 1, done.stderr
    assert "error[no-region]: No path to region 'atlantis'" in done.stderr
    assert "hint: the regions there are: eu, global; check --region and NOMAD_REGION" in done.stderr


def test_region_global_is_refused_by_an_agent_of_another_region(home: Scenario, federation: Federation) -> None:
    home.mock("api", region="global")
    for words in (["plan", "api"], ["plan", "api", "--region", "global"]):
        done = home.dtree(*words, "--server-addr", federation.abroad.address)
        assert done.code == 1, done.stderr
        assert "would put a job of region 'global' into its own region" in done.stderr


def test_a_namespace_is_looked_for_in_the_region_of_the_job(home: Scenario, federation: Federation) -> None:
    federation.home.api.put("/v1/namespace/only-here", {"Name": "only-here"})
    home.mock("api", namespace="only-here", region=REGION)
    done = home.dtree("run", "api")
    federation.home.api.delete("/v1/namespace/only-here")
    assert done.code == 1, done.stderr
    assert f"there is no namespace 'only-here' in region '{REGION}', where job 'api' would be" in done.stderr
    assert f"`nomad namespace apply -region={REGION} only-here`" in done.stderr


def test_a_healthy_namesake_in_another_region_does_not_satisfy_an_edge(home: Scenario, federation: Federation) -> None:
    home.mock("db")
    assert run(home, "db").code == 0
    home.mock("db", update=_NEVER, region=REGION, timeout="2s")
    home.mock("api", pre="db")
    done = run(home, "api")
    assert done.code == 6, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-lost")] == ["api"]
    with pytest.raises(ApiError):
        federation.home.api.get(f"/v1/job/{home.id('api')}")


# -- a region that goes ------------------------------------------------------------------------------------------------


def test_a_region_that_is_gone_for_a_while_is_sat_out_and_told_of_its_jobs_alone(home: Scenario, proxy: Proxy) -> None:
    home.mock("db", update=_LATER.replace('"2s"', '"4s"'), region=REGION)
    home.mock("near", update=_LATER.replace('"2s"', '"4s"'))
    home.mock("api", pre=["db", "near"])
    with home.running("run", "api", "--server-addr", proxy.address) as running:
        running.until("step-waiting", "db")
        gone = answer(500, "No path to region")

        def fate(request: Request) -> Fate:
            return gone if is_abroad(request) else "pass"

        proxy.fate = fate
        proxy.reset_all()
        told = running.until("step-waiting", "db", f"no contact with region '{REGION}'")
        proxy.fate = lambda _: "pass"
        done = running.finish()
    assert told["reason"].startswith(f"no contact with region '{REGION}'; last seen: ")
    assert done.code == 0, done.stdout + done.stderr
    assert not [event for event in done.of("step-waiting") if event["job"] == "near" and f"'{REGION}'" in event["reason"]]


def test_a_stop_leaves_the_jobs_of_a_region_that_is_gone_and_says_so(home: Scenario, federation: Federation, proxy: Proxy) -> None:
    home.mock("db", region=REGION)
    home.mock("near")
    assert run(home, "--all").code == 0
    proxy.fate = lambda request: answer(500, "No path to region") if is_abroad(request) else "pass"
    done = home.dtree("stop", "--all", "--server-addr", proxy.address, "--output", "json")
    assert (done.code, [event["job"] for event in done.of("step-ready")]) == (3, ["near"])
    (failed,) = done.of("step-failed")
    assert failed["job"] == "db"
    assert failed["reason"].startswith(f"it cannot be reached: job 'db' would be in region '{REGION}': No path to region '{REGION}' (")
    assert there(federation, home) == ["db"]


def test_a_region_that_is_gone_for_good_ends_in_a_timeout_with_the_reason(nomad_program: Path, tmp_path: Path) -> None:
    with federated(nomad_program, BIG_NODE) as federation:
        home = Scenario(federation.home, "t-", tmp_path)
        home.mock("near")
        home.mock("db", update=_NEVER, region=REGION, timeout="5s")
        home.mock("api", pre=["db", "near"])
        with home.running("run", "api") as running:
            running.until("step-waiting", "db")
            running.until("step-ready", "near")
            os.kill(federation.abroad.pid, signal.SIGKILL)
            done = running.finish()
        assert done.code == 6, done.stdout + done.stderr
        (failed,) = done.of("step-failed")
        assert (failed["job"], failed["kind"]) == ("db", "timed-out")
        assert f"no contact with region '{REGION}': " in failed["reason"]
        # What servers say to each other meanwhile is another thing every second, and is not passed on.
        away = [event["reason"] for event in done.of("step-waiting") if event["job"] == "db" and "no contact" in event["reason"]]
        assert len(away) == 1, away
        assert [event["job"] for event in done.of("step-lost")] == ["api"]
        assert list(home.names()) == ["near"]

"""Jobs of one tree in several namespaces, on a real Nomad: one name in two of them is two jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dtree.demo.agent import Agent
from tests.servers.conftest import purge_jobs
from tests.servers.proxy import Proxy
from tests.servers.scenario import Done, Scenario

_BLUE, _GREEN = "blue", "green"
_NEVER = 'update {\n min_healthy_time = "1m"\n healthy_deadline = "2m"\n progress_deadline = "3m"\n}'
_VERSIONED = 'meta {\n version = "[[ version ]]"\n colour = "[[ colour ]]"\n}'


@pytest.fixture(scope="module", autouse=True)
def namespaces(agent: Agent) -> Iterator[None]:
    """Two more namespaces, which have to be empty in the end."""
    for name in (_BLUE, _GREEN):
        agent.api.put(f"/v1/namespace/{name}", {"Name": name})
    yield
    for name in (_BLUE, _GREEN):
        agent.api.delete(f"/v1/namespace/{name}")


def run(scenario: Scenario, *words: str) -> Done:
    return scenario.dtree("run", *words, "--output", "json")


def jobs_in(scenario: Scenario, namespace: str) -> list[str]:
    """Jobs of this test that are not stopped, by short name."""
    rows = scenario.api.get("/v1/jobs", namespace=namespace, prefix=scenario.prefix)
    return sorted(row["ID"].removeprefix(scenario.prefix) for row in rows if not row["Stop"])


def pair(scenario: Scenario) -> None:
    """`api-blue` and `api-green`: one file, one ID, two namespaces, two versions."""
    scenario.mock("api", job=_VERSIONED)
    shared = {"file": "jobs/api.nomad"}
    blue = {**shared, "namespace": _BLUE, "version": "1.1", "vars": {"colour": "sky"}}
    green = {**shared, "namespace": _GREEN, "version": "1.2", "vars": {"colour": "grass"}, "pre": "api-blue"}
    scenario.entries = {"api-blue": blue, "api-green": green}
    scenario.depfile(scenario.entries)


# -- one name in two namespaces ----------------------------------------------------------------------------------------


def test_one_file_in_two_namespaces_is_two_jobs_to_every_command(scenario: Scenario) -> None:
    pair(scenario)
    name = scenario.id("api")
    planned = scenario.dtree("plan", "--all").stdout
    assert f"api-blue ({name} in {_BLUE})" in planned
    assert f"api-green ({name} in {_GREEN})" in planned
    done = run(scenario, "--all")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["api-blue", "api-green"]
    assert [jobs_in(scenario, one) for one in (_BLUE, _GREEN, "default")] == [["api"], ["api"], []]
    rows = json.loads(scenario.dtree("status", "--output", "json").stdout)["jobs"]
    assert {row["job"]: (row["namespace"], row["health"], row["provenance"]["version"]) for row in rows} == {
        "api-blue": (_BLUE, "Healthy", "1.1"),
        "api-green": (_GREEN, "Healthy", "1.2"),
    }
    for colour, version, said in ((_BLUE, "1.1", "sky"), (_GREEN, "1.2", "grass")):
        which = scenario.dtree("which", f"api-{colour}").stdout
        assert f"in {colour})" in which
        assert version in which
        assert f'colour = "{said}"' in scenario.dtree("render", f"api-{colour}").stdout
        assert said in scenario.dtree("explain", f"api-{colour}").stdout
    assert "api-green" in scenario.dtree("graph", "api-green").stdout
    listed = json.loads(scenario.dtree("versions", "list", "--output", "json").stdout)["jobs"]
    assert {row["job"]: (row["version"], row["runs"]) for row in listed} == {"api-blue": ("1.1", "1.1"), "api-green": ("1.2", "1.2")}
    stopped = scenario.dtree("stop", "api-green", "--purge")
    assert stopped.code == 0, stopped.stderr
    assert [jobs_in(scenario, one) for one in (_BLUE, _GREEN)] == [["api"], []]


def test_one_file_twice_in_one_namespace_is_a_fault(scenario: Scenario) -> None:
    pair(scenario)
    scenario.entries["api-green"]["namespace"] = _BLUE
    scenario.depfile(scenario.entries)
    done = scenario.dtree("run", "--all")
    assert done.code == 1, done.stderr
    assert f"'api-blue' and 'api-green' are one job to Nomad: '{scenario.id('api')} (namespace {_BLUE})'" in done.stderr
    assert "leave `namespace` out of the files and give each entry another one" in done.stderr
    assert jobs_in(scenario, "*") == []


def test_the_job_file_beats_the_entry_and_the_entry_the_connection(scenario: Scenario) -> None:
    scenario.mock("filed", job=f'namespace = "{_BLUE}"', namespace=_GREEN)
    scenario.mock("entered", namespace=_GREEN)
    scenario.mock("neither")
    done = run(scenario, "--all", "--namespace", "default")
    assert done.code == 0, done.stdout + done.stderr
    assert [jobs_in(scenario, one) for one in (_BLUE, _GREEN, "default")] == [["filed"], ["entered"], ["neither"]]


def test_a_healthy_namesake_in_another_namespace_does_not_satisfy_an_edge(scenario: Scenario) -> None:
    scenario.mock("db")
    assert run(scenario, "db").code == 0
    scenario.mock("db", update=_NEVER, namespace=_BLUE, timeout="2s")
    scenario.mock("api", pre="db", namespace=_GREEN)
    done = run(scenario, "api")
    assert done.code == 6, done.stdout + done.stderr
    (failed,) = done.of("step-failed")
    assert (failed["job"], failed["kind"]) == ("db", "timed-out")
    assert [event["job"] for event in done.of("step-lost")] == ["api"]
    assert [jobs_in(scenario, one) for one in (_BLUE, _GREEN, "default")] == [["db"], [], ["db"]]


def test_children_restarts_and_logs_are_those_of_the_namespace(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("load", 'run_for = "100ms"', type="batch", job="parameterized {}", namespace=_BLUE, dispatch={}, pre="db")
    scenario.mock("api", namespace=_GREEN, pre=[{"job": "db", "on_update": "restart"}, "load"])
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db", "load", "api"]
    scenario.mock("db", 'run_for = "2h"')
    again = run(scenario, "api")
    assert again.code == 0, again.stdout + again.stderr
    (allocation,) = scenario.api.get(f"/v1/job/{scenario.id('api')}/allocations", namespace=_GREEN)
    assert allocation["TaskStates"]["main"]["Restarts"] == 1
    scenario.shell("seed", "echo no such table >&2; exit 3", type="batch", namespace=_GREEN, logged=True)
    failed = run(scenario, "seed")
    assert failed.code == 3, failed.stdout + failed.stderr
    assert any("no such table" in line for line in failed.of("step-failed")[0]["details"])


def test_an_external_job_is_waited_for_in_the_namespace_of_its_entry(scenario: Scenario) -> None:
    vault = scenario.id("vault")
    scenario.mock("vault", namespace=_BLUE)
    assert run(scenario, "vault").code == 0
    scenario.entries.pop("vault")
    (scenario.folder / "jobs" / "vault.nomad").unlink()
    scenario.mock("api", pre={"job": vault, "external": True})
    scenario.depfile({**scenario.entries, vault: {"namespace": _GREEN, "timeout": "1s"}})
    missing = run(scenario, "api")
    assert missing.code == 6, missing.stdout + missing.stderr  # the healthy one of the other namespace is another job
    scenario.depfile({**scenario.entries, vault: {"namespace": _BLUE}})
    done = run(scenario, "api")
    assert done.code == 0, done.stdout + done.stderr
    assert jobs_in(scenario, _BLUE) == ["vault"]


def test_three_standing_queries_serve_all_namespaces(scenario: Scenario) -> None:
    with Proxy(scenario.agent.address, fate=lambda _: "pass") as proxy:
        for number in range(12):
            scenario.mock(f"job{number:02}", namespace=("default", _BLUE, _GREEN)[number % 3])
        done = run(scenario, "--all", "--parallelism", "12", "--server-addr", proxy.address)
    assert done.code == 0, done.stdout + done.stderr
    assert proxy.most_standing == {"/v1/allocations": 1, "/v1/deployments": 1, "/v1/evaluations": 1}
    assert all("namespace=%2A" in one.target for one in proxy.requests if "filter=" in one.target)


# -- namespaces that are not there, or that the token may not ------------------------------------------------------------


def test_a_namespace_that_does_not_exist_is_told_before_anything_is_changed(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.mock("api", pre="db", namespace="nowhere")
    scenario.mock("web", pre="db", job='namespace = "nirvana"')
    done = scenario.dtree("run", "--all")
    assert done.code == 1, done.stderr
    assert "error[no-namespace]: there is no namespace 'nowhere' in this Nomad, where job 'api' would be" in done.stderr
    assert "dependencies.api.namespace" in done.stderr
    assert "error[no-namespace]: there is no namespace 'nirvana' in this Nomad, where job 'web' would be" in done.stderr
    assert "--> jobs/web.nomad:" in done.stderr
    assert "`nomad namespace apply nirvana` makes it" in done.stderr
    assert jobs_in(scenario, "*") == []
    assert scenario.dtree("validate", "--nomad").stderr.count("error[no-namespace]") == 2
    by_option = scenario.dtree("plan", "db", "--namespace", "nowhere")
    assert "check --namespace and NOMAD_NAMESPACE" in by_option.stderr


def test_the_place_of_a_namespace_of_the_defaults_is_told(scenario: Scenario) -> None:
    scenario.mock("db")
    scenario.depfile({"db": {}}, defaults={"namespace": "nowhere"})
    assert "defaults.namespace" in scenario.dtree("plan", "db").stderr


@pytest.fixture
def token_for(acl_agent: Agent) -> Callable[..., str]:
    """Make a token that may do everything in some namespaces."""

    def make(*names: str) -> str:
        name = f"policy-{uuid4().hex[:8]}"
        rules = "\n".join(
            f'namespace "{one}" {{ policy = "write" variables {{ path "*" {{ capabilities = ["write", "read", "destroy"] }} }} }}'
            for one in names
        )
        acl_agent.api.put(f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
        return str(acl_agent.api.put("/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})["SecretID"])

    return make


@pytest.fixture
def guarded(acl_agent: Agent, tmp_path: Path) -> Iterator[Scenario]:
    """`api` in one namespace that needs `db` in another, on the agent with ACLs."""
    acl_agent.api.put(f"/v1/namespace/{_BLUE}", {"Name": _BLUE})
    scenario = Scenario(acl_agent, f"t{uuid4().hex[:8]}-", tmp_path)
    scenario.mock("db")
    scenario.mock("api", pre="db", namespace=_BLUE)
    yield scenario
    purge_jobs(acl_agent.api, scenario.prefix)
    acl_agent.api.delete(f"/v1/namespace/{_BLUE}")


def test_a_token_that_may_in_both_namespaces_runs_the_tree(guarded: Scenario, token_for: Callable[..., str]) -> None:
    done = guarded.dtree("run", "api", "--output", "json", env={"NOMAD_TOKEN": token_for("default", _BLUE)})
    assert done.code == 0, done.stdout + done.stderr
    assert jobs_in(guarded, _BLUE) == ["api"]


@pytest.mark.parametrize("words", [["run", "api"], ["stop", "api"], ["status", "api"]], ids=lambda words: words[0])
def test_a_token_that_may_not_in_one_of_the_namespaces_is_told_which(
    guarded: Scenario, token_for: Callable[..., str], words: list[str]
) -> None:
    done = guarded.dtree(*words, env={"NOMAD_TOKEN": token_for("default")})
    assert done.code == 1, done.stdout + done.stderr
    assert "error[nomad-denied]" in done.stderr
    assert f"in namespace '{_BLUE}'" in done.stderr
    assert jobs_in(guarded, "*") == []

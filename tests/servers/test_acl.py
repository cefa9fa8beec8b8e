"""Nomad with ACLs on: which token will do, what is said where it will not, and that its value is shown nowhere; and namespaces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from dtree.demo.agent import Agent
from tests.servers.conftest import purge_jobs
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario

_DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "acl.md"
_ELSEWHERE = "elsewhere"


@pytest.fixture(scope="module")
def elsewhere(acl_agent: Agent) -> str:
    """A second namespace on the agent with ACLs."""
    acl_agent.api.put(f"/v1/namespace/{_ELSEWHERE}", {"Name": _ELSEWHERE})
    return _ELSEWHERE


@pytest.fixture
def guarded(acl_agent: Agent, tmp_path: Path) -> Iterator[Scenario]:
    """`api` that needs `db`, on the agent with ACLs; no token is given unless a test does."""
    prefix = f"t{uuid4().hex[:8]}-"
    scenario = Scenario(acl_agent, prefix, tmp_path)
    scenario.mock("db")
    scenario.mock("api", pre="db")
    yield scenario
    purge_jobs(acl_agent.api, prefix)


@pytest.fixture
def token_with(acl_agent: Agent) -> Callable[[str], str]:
    """Make a token from the text of a policy."""

    def make(rules: str) -> str:
        name = f"policy-{uuid4().hex[:8]}"
        acl_agent.api.put(f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
        token = acl_agent.api.put("/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})
        return str(token["SecretID"])

    return make


TokenWith = Callable[[str], str]


def policy(*capabilities: str, namespace: str = "default") -> str:
    return f'namespace "{namespace}" {{\n  capabilities = {json.dumps(capabilities)}\n}}'


def documented_policy() -> str:
    """The policy that users are told to write."""
    (text,) = re.findall(r"```hcl\n(.*?)```", _DOCUMENT.read_text(), flags=re.DOTALL)
    return str(text)


def run_with(scenario: Scenario, token: str, *argv: str) -> Done:
    """Run a command with a token in the environment; its value must not come back."""
    done = scenario.dtree(*argv, env={"NOMAD_TOKEN": token})
    assert token == "" or token not in done.stdout + done.stderr
    return done


# -- the least policy --------------------------------------------------------------------------------------------------


def test_the_documented_policy_is_enough_for_every_command(guarded: Scenario, token_with: TokenWith) -> None:
    token = token_with(documented_policy())
    guarded.mock("nightly", type="batch", job='periodic {\n crons = ["0 3 * * *"]\n}')
    for argv in (
        ["validate", "--nomad"],
        ["plan", "--all"],
        ["run", "--all", "-v"],
        ["run", "--all", "--force"],
        ["status", "--all"],
        ["which", "api"],
        ["stop", "--all", "--purge"],
    ):
        done = run_with(guarded, token, *argv)
        assert done.code == 0, f"{argv}: {done.stderr}"
        assert "warning" not in done.stderr, done.stderr


def test_the_documented_policy_shows_the_log_of_a_task_that_failed(guarded: Scenario, token_with: TokenWith) -> None:
    guarded.shell("db", "echo no such table >&2; exit 1", type="batch", logged=True)
    done = run_with(guarded, token_with(documented_policy()), "run", "api")
    assert done.code == 3, done.stderr
    assert "stderr | no such table" in done.stderr
    again = run_with(guarded, token_with(documented_policy()), "run", "api")
    assert again.code == 3, again.stderr
    assert [row["ClientStatus"] for row in guarded.allocations("db")] == ["failed", "failed"]


@pytest.mark.parametrize(
    ("missing", "doing"),
    [("submit-job", "while parsing jobs/api.nomad"), ("read-job", "while reading job 'PREFIXapi'")],
)
def test_a_missing_capability_is_named_and_nothing_is_registered(
    guarded: Scenario, token_with: TokenWith, missing: str, doing: str
) -> None:
    done = run_with(guarded, token_with(documented_policy().replace(f'"{missing}", ', "")), "run", "api")
    assert_denied(done, doing.replace("PREFIX", guarded.prefix), f"have the capability {missing} in namespace 'default'")
    assert guarded.names() == []


def test_a_token_that_may_only_parse_and_read_is_denied_the_plan(guarded: Scenario, token_with: TokenWith) -> None:
    done = run_with(guarded, token_with(policy("parse-job", "read-job")), "run", "api")
    assert_denied(done, "while asking Nomad for its plan of job 'api'", "capability submit-job")
    assert run_with(guarded, token_with(policy("parse-job", "read-job")), "status", "api").code == 0


def test_without_the_right_to_logs_the_failure_is_told_all_the_same(guarded: Scenario, token_with: TokenWith) -> None:
    guarded.shell("db", "echo no such table >&2; exit 1", type="batch", logged=True)
    token = token_with(documented_policy().replace(', "read-logs"', ""))
    done = run_with(guarded, token, "run", "api")
    assert done.code == 3, done.stderr
    assert "task main: exit code 1" in done.stderr
    assert "its logs cannot be read: Nomad denies it: Permission denied" in done.stderr
    assert "have the capability read-logs in namespace 'default'" in done.stderr


def test_without_the_right_to_list_only_the_stop_of_a_parent_is_denied(guarded: Scenario, token_with: TokenWith) -> None:
    guarded.mock("nightly", type="batch", job='periodic {\n crons = ["0 3 * * *"]\n}')
    token = token_with(documented_policy().replace(', "list-jobs"', ""))
    assert run_with(guarded, token, "run", "--all").code == 0
    assert run_with(guarded, token, "stop", "api", "--deep").code == 0
    done = run_with(guarded, token, "stop", "nightly")
    assert "capability list-jobs in namespace 'default'" in done.stderr
    assert done.code in (1, 3), done.stderr


def test_without_the_rule_for_notes_the_run_warns_once_and_the_rule_that_it_names_is_enough(
    guarded: Scenario, token_with: TokenWith
) -> None:
    bare = policy("submit-job", "read-job", "read-logs", "list-jobs")
    done = run_with(guarded, token_with(bare), "run", "api", "--output", "json")
    assert (done.code, done.stderr) == (0, "")
    (warning,) = done.of("run-warned")
    assert warning["problem"].startswith("what runs where is not noted in Nomad's Variables: Nomad denies it: ")
    summary = run_with(guarded, token_with(bare), "run", "api").stderr
    assert summary.count("what runs where is not noted") == 2, "once when it happens, and once in the summary"
    # Whether nothing is noted, or may not be read, is not the same.
    for argv in (["which", "api"], ["status", "api"], ["versions", "list"]):
        told = run_with(guarded, token_with(bare), *argv)
        assert (told.code, told.stdout.count("may not be read: Nomad denies it"), told.stdout.count("hint: ")) == (0, 1, 1), told.stdout
    assert "registered as version 0 by stack" in run_with(guarded, token_with(bare), "which", "api").stdout, "as the Submission says"
    guarded.api.put("/v1/jobs", {"Job": {**(guarded.stored("api") or {}), "Priority": 70}})
    assert_denied(run_with(guarded, token_with(bare), "which", "api"), "have namespace")
    assert run_with(guarded, token_with(bare), "run", "api").code == 0
    (rule,) = re.findall(r'namespace "default" \{.*\}', warning["hint"])
    good = token_with(f"{bare}\n{rule}")
    assert run_with(guarded, good, "run", "api", "--output", "json").of("run-warned") == []
    assert "registered as version 2" in run_with(guarded, good, "which", "api").stdout
    assert run_with(guarded, good, "stop", "api", "--deep", "--purge", "--output", "json").of("run-warned") == []


def test_without_the_rule_for_notes_what_is_run_once_is_refused_before_anything_is_registered(
    guarded: Scenario, token_with: TokenWith
) -> None:
    guarded.mock("migrate", 'run_for = "20ms"', type="batch", pre="db", run="once")
    bare = policy("submit-job", "read-job", "read-logs", "list-jobs")
    denied = run_with(guarded, token_with(bare), "run", "migrate")
    assert denied.code == 1
    assert "error[nomad-denied]: job 'migrate' is to be run once, and whether it was cannot be read" in denied.stderr
    may_read = documented_policy().replace('["read", "write", "destroy"]', '["read"]')
    assert run_with(guarded, token_with(may_read), "plan", "migrate").code == 0
    denied = run_with(guarded, token_with(may_read), "run", "migrate")
    assert denied.code == 1
    assert "error[nomad-denied]: job 'migrate' is to be run once, and that it was cannot be noted" in denied.stderr
    assert "have namespace" in denied.stderr
    assert guarded.names() == []
    assert run_with(guarded, token_with(documented_policy()), "run", "migrate").code == 0


def test_without_notes_nomads_own_view_says_whether_a_job_completed(guarded: Scenario, token_with: TokenWith) -> None:
    guarded.mock("migrate", 'run_for = "20ms"', type="batch")
    bare = token_with(policy("submit-job", "read-job", "read-logs", "list-jobs"))
    done = run_with(guarded, bare, "run", "migrate", "--output", "json")
    assert [warning["problem"].partition(":")[0] for warning in done.of("run-warned")] == [
        "what runs where is not noted in Nomad's Variables",
        "what has completed is not noted in Nomad's Variables, so that it is run again once Nomad has forgotten it",
    ]
    plan = run_with(guarded, bare, "plan", "migrate")
    assert plan.code == 0
    assert "completed, unchanged" in plan.stdout
    assert "what has completed is known only as long as Nomad keeps it" in plan.stdout


def test_without_the_right_to_dispatch_only_that_is_denied(guarded: Scenario, token_with: TokenWith) -> None:
    guarded.mock("load", 'run_for = "20ms"', type="batch", job="parameterized {}", dispatch={})
    done = run_with(guarded, token_with(documented_policy()), "run", "load", "--output", "json")
    (failed,) = done.of("step-failed")
    assert (done.code, "dispatch-job" in failed["hint"]) == (3, True)
    more = documented_policy().replace('"submit-job"', '"submit-job", "dispatch-job"')
    assert run_with(guarded, token_with(more), "run", "load").code == 0


@pytest.mark.parametrize("way", ["restart", "redeploy"])
def test_without_the_right_to_restart_only_that_is_denied(guarded: Scenario, token_with: TokenWith, way: str) -> None:
    guarded.mock("web", pre={"job": "db", "on_update": way})
    assert run_with(guarded, token_with(documented_policy()), "run", "web").code == 0
    guarded.mock("db", 'run_for = "2h"')
    done = run_with(guarded, token_with(documented_policy()), "run", "db", "--output", "json")
    (failed,) = done.of("step-failed")
    assert (done.code, failed["job"], "alloc-lifecycle" in failed["hint"]) == (3, "web", True)
    guarded.mock("db", 'run_for = "3h"')
    more = documented_policy().replace('"submit-job"', '"submit-job", "alloc-lifecycle"')
    assert run_with(guarded, token_with(more), "run", "db").code == 0


def test_a_template_is_told_which_variable_it_may_not_read_and_the_rule_that_is_named_is_enough(
    guarded: Scenario, token_with: TokenWith
) -> None:
    path = f"{guarded.prefix}app/db"
    guarded.api.put(f"/v1/var/{path}", {"Path": path, "Items": {"user": "web"}})
    guarded.job("api", f"""job "PREFIXapi" {{ # [[ nomad_var("{path}", "user") ]]\n}}\n""")
    refused = run_with(guarded, token_with(documented_policy()), "render", "api", "--show-secrets")
    assert refused.code == 1
    assert f"Nomad's variable '{path}' cannot be read: Nomad denies it" in refused.stderr
    (rule,) = re.findall(r'namespace "default" \{.*\}', refused.stderr)
    good = run_with(guarded, token_with(f"{documented_policy()}\n{rule}"), "render", "api", "--show-secrets")
    assert (good.code, "# web" in good.stdout) == (0, True), good.stderr


def test_without_the_right_to_forget_a_purge_warns_once(guarded: Scenario, token_with: TokenWith) -> None:
    token = token_with(documented_policy().replace(', "destroy"', ""))
    assert run_with(guarded, token, "run", "api", "--output", "json").of("run-warned") == []
    done = run_with(guarded, token, "stop", "api", "--deep", "--purge", "--output", "json")
    assert done.code == 0, done.stderr
    (warned,) = done.of("run-warned")
    assert "stays, so that the next run takes for completed what had completed" in warned["problem"]
    assert "destroy" in warned["hint"]
    assert guarded.names() == []


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_without_a_token_one_is_asked_for(guarded: Scenario) -> None:
    done = guarded.dtree("run", "api")
    assert_denied(done, "give a token (NOMAD_TOKEN, --token-file)", "capability submit-job")
    assert guarded.names() == []


@pytest.mark.parametrize("token", ["5d0b7f4e-7a55-4c6e-9d3f-0f3a2f1f6c11", "not-even-a-uuid"])
def test_an_unknown_token_is_denied(guarded: Scenario, token: str) -> None:
    done = run_with(guarded, token, "run", "api")
    assert_denied(done, "the token has to exist")


def test_a_token_is_taken_from_the_option_the_file_and_the_variable(guarded: Scenario, token_with: TokenWith) -> None:
    good, bad = token_with(documented_policy()), "5d0b7f4e-7a55-4c6e-9d3f-0f3a2f1f6c11"
    (guarded.folder / "token").write_text(f"{good}\n")
    for argv, env in (
        (["--token", good], {}),
        (["--token", good], {"NOMAD_TOKEN": bad}),
        (["--token-file", "token"], {}),
        (["--token-file", "token"], {"NOMAD_TOKEN": bad}),
        ([], {"NOMAD_DTREE_TOKEN_FILE": "token"}),
        ([], {"NOMAD_TOKEN": good}),
    ):
        done = guarded.dtree("plan", "api", *argv, env=env)
        assert done.code == 0, f"{argv} {env}: {done.stderr}"


def test_a_missing_token_file_is_named(guarded: Scenario) -> None:
    done = guarded.dtree("plan", "api", "--token-file", "gone")
    assert done.code == 1
    assert "gone cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(guarded: Scenario) -> None:
    for token in ("two\nlines-of-secret", "sch\u00fcssel-secret"):
        done = guarded.dtree("plan", "api", env={"NOMAD_TOKEN": token})
        assert done.code == 1, done.stderr
        assert "error[" in done.stderr
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "api", "-v"],
        ["run", "api", "--output", "json"],
        ["run", "api", "--server-addr", "http://127.0.0.1:1"],
        ["run", "api", "--server-addr", "not an address"],
        ["run", "nothing"],
        ["run", "api", "--tokem", "x"],
        ["plan", "api", "--output", "json"],
        ["status", "api", "--output", "json"],
        ["which", "api"],
        ["stop", "api", "--deep", "-v"],
        ["validate", "--nomad", "--output", "json"],
        ["version"],
    ],
    ids=" ".join,
)
def test_no_command_shows_the_token(guarded: Scenario, acl_agent: Agent, argv: Sequence[str]) -> None:
    for where, env in (([], {"NOMAD_TOKEN": acl_agent.token}), (["--token", acl_agent.token], {})):
        done = guarded.dtree(*argv, *(where if argv != ["version"] else []), env=env)
        assert acl_agent.token not in done.stdout + done.stderr
        assert done.code != 70, done.stderr


def test_a_token_taken_away_in_mid_run_ends_the_run_with_the_reason(guarded: Scenario, acl_agent: Agent, token_with: TokenWith) -> None:
    guarded.mock("db", update='update {\n min_healthy_time = "20s"\n healthy_deadline = "1m"\n progress_deadline = "2m"\n}')
    token = token_with(documented_policy())
    accessor = next(row["AccessorID"] for row in acl_agent.api.get("/v1/acl/tokens") if is_token(acl_agent, row["AccessorID"], token))
    with guarded.running("run", "api", "--token", token) as running:
        running.until("step-waiting", "db")
        acl_agent.api.delete(f"/v1/acl/token/{accessor}")
        # A standing query is judged when it is asked; a change makes the next one be asked.
        acl_agent.api.put(f"/v1/job/{guarded.id('db')}/evaluate", {"JobID": guarded.id("db")})
        done = running.finish()
    assert done.code == 3, done.stdout + done.stderr
    (failed,) = done.of("step-failed")
    assert failed["job"] == "db"
    assert failed["kind"] == "error"
    assert "Nomad denies it" in failed["reason"]
    assert token not in done.stdout + done.stderr


def is_token(agent: Agent, accessor: str, secret: str) -> bool:
    return bool(agent.api.get(f"/v1/acl/token/{accessor}")["SecretID"] == secret)


# -- namespaces --------------------------------------------------------------------------------------------------------


def test_a_token_for_one_namespace_runs_jobs_there_only(guarded: Scenario, token_with: TokenWith, elsewhere: str) -> None:
    rules = documented_policy().replace("default", elsewhere)
    token = token_with(rules)
    assert_denied(run_with(guarded, token, "run", "api"), "capability submit-job in namespace 'default'")
    done = run_with(guarded, token, "run", "api", "--namespace", elsewhere, "--output", "json")
    assert done.code == 0, done.stderr
    assert namespaces(guarded) == {"db": elsewhere, "api": elsewhere}
    assert run_with(guarded, token, "stop", "api", "--deep", "--namespace", elsewhere).code == 0


def test_file_beats_entry_beats_option(guarded: Scenario, acl_agent: Agent, elsewhere: str) -> None:
    acl_agent.api.put("/v1/namespace/third", {"Name": "third"})
    guarded.mock("by_file", job=f'namespace = "{elsewhere}"', namespace="default", pre=["by_entry", "by_option"])
    guarded.mock("by_entry", namespace="third")
    guarded.mock("by_option")
    done = run_with(guarded, acl_agent.token, "run", "by_file", "--namespace", "default", "--output", "json")
    assert done.code == 0, done.stderr
    assert namespaces(guarded) == {"by_file": elsewhere, "by_entry": "third", "by_option": "default"}
    assert {step["job"]: step["namespace"] for step in done.of("run-started")[0]["steps"]} == namespaces(guarded)
    assert run_with(guarded, acl_agent.token, "run", "by_file").code == 0
    assert run_with(guarded, acl_agent.token, "stop", "by_file", "--deep", "--purge").code == 0
    assert eventually(lambda: namespaces(guarded) == {})


def test_a_failure_in_another_namespace_shows_its_log(guarded: Scenario, acl_agent: Agent, elsewhere: str) -> None:
    guarded.shell("db", "echo no such table >&2; exit 1", type="batch", logged=True, namespace=elsewhere)
    done = run_with(guarded, acl_agent.token, "run", "api")
    assert done.code == 3, done.stderr
    assert "stderr | no such table" in done.stderr


def test_a_namespace_that_does_not_exist_is_named(guarded: Scenario, acl_agent: Agent) -> None:
    done = run_with(guarded, acl_agent.token, "run", "api", "--namespace", "nowhere")
    assert done.code == 1, done.stderr
    assert "nowhere" in done.stderr
    assert guarded.names() == []


def namespaces(scenario: Scenario) -> dict[str, str]:
    rows = scenario.api.get("/v1/jobs", namespace="*", prefix=scenario.prefix)
    return {row["ID"].removeprefix(scenario.prefix): row["Namespace"] for row in rows}


def assert_denied(done: Done, *words: str) -> None:
    """One calm error before anything was changed."""
    assert done.code == 1, done.stdout + done.stderr
    assert done.stderr.count("error[nomad-denied]: Nomad denies it: ") == 1, done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, done.stderr

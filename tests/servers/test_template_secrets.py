"""What a template reads from Nomad's Variables, Consul and the environment, on real servers; and that no output shows a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.consul_agent import ConsulAgent
from tests.servers.scenario import Done, Scenario

PASSWORD = 'pa55 "word" ${of} %{nobody}'
FROM_ENVIRONMENT = "t0ken-of-the-pipeline"
FROM_VARIABLE = "key-given-as-variable"
HIDDEN = "(secret)"


@pytest.fixture
def path(scenario: Scenario) -> Iterator[str]:
    """A variable that holds a password; gone afterwards."""
    path = f"{scenario.prefix}app/db"
    scenario.api.put(f"/v1/var/{path}", {"Path": path, "Items": {"password": PASSWORD, "user": "shop-user"}})
    yield path
    scenario.api.delete(f"/v1/var/{path}")


@pytest.fixture
def environment() -> dict[str, str]:
    return {"CI_TOKEN": FROM_ENVIRONMENT, "NOMAD_DTREE_VAR_api_key": FROM_VARIABLE, "NOMAD_DTREE_VAR_stage": "PREFIXED"}


def _secrets_in(text: str) -> list[str]:
    """Return which of the secrets a text shows, in whatever way JSON or HCL write them."""
    words = ("pa55", "nobody", "shop-user", FROM_ENVIRONMENT, FROM_VARIABLE)
    return [word for word in words if word in text]


def _env_block(path: str) -> str:
    return f"""
      env {{
        PASSWORD = [[ nomad_var("{path}", "password") | hcl ]]
        TOKEN    = "[[ env("CI_TOKEN") ]]"
        KEY      = "[[ api_key ]]"
      }}
"""


def _leaky(scenario: Scenario, path: str) -> None:
    """A job that fails and writes its secrets into its log."""
    scenario.shell("leaky", 'echo "$PASSWORD / $TOKEN / $KEY" >&2; exit 3', type="batch", logged=True, task=_env_block(path))


def _stored_env(scenario: Scenario, name: str) -> dict[str, Any]:
    stored = scenario.stored(name)
    assert stored is not None
    env: dict[str, Any] = stored["TaskGroups"][0]["Tasks"][0]["Env"]
    return env


def test_the_job_has_the_secrets_and_no_output_shows_one(scenario: Scenario, path: str, environment: dict[str, str]) -> None:
    (scenario.folder / "nomad-dtree.toml").write_text('allow-env = ["CI_*"]\n')
    scenario.mock("api", task=_env_block(path))
    commands = [
        ("validate",),
        ("validate", "--nomad"),
        ("plan", "--all"),
        ("plan", "--all", "--output", "json"),
        ("run", "--all", "--output", "json"),
        ("run", "--all", "--verbose", "--force"),
        ("status", "--all"),
        ("status", "--all", "--output", "json"),
        ("render", "api"),
        ("render", "api", "--format", "json"),
        ("explain", "api"),
        ("explain", "api", "--output", "json"),
        ("which", "api"),
        ("versions", "list"),
        ("stop", "--all", "--output", "json"),
    ]
    outputs = {}
    for command in commands:
        done = scenario.dtree(*command, env=environment)
        assert done.code == 0, (command, done.stdout, done.stderr)
        outputs[command] = done.stdout + done.stderr
        if command[0] == "run":
            assert _stored_env(scenario, "api") == {"PASSWORD": PASSWORD, "TOKEN": FROM_ENVIRONMENT, "KEY": FROM_VARIABLE}
    assert {command: found for command, output in outputs.items() if (found := _secrets_in(output))} == {}
    assert HIDDEN in outputs["render", "api"]


def test_nomads_own_records_of_us_hold_no_secret(scenario: Scenario, path: str, environment: dict[str, str]) -> None:
    scenario.mock("api", task=_env_block(path))
    done = scenario.dtree("run", "--all", "--allow-env", "CI_TOKEN", env=environment)
    assert done.code == 0, done.stderr
    submission = scenario.api.get(f"/v1/job/{scenario.id('api')}/submission", version="0")
    assert HIDDEN in submission["Source"]
    assert _secrets_in(json.dumps(submission)) == []
    ours = [one["Path"] for one in scenario.api.get("/v1/vars", prefix="dtree/")]
    assert _secrets_in("".join(json.dumps(scenario.api.get(f"/v1/var/{one}")) for one in ours)) == []


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_log_that_explains_a_failure_shows_no_secret(scenario: Scenario, path: str, environment: dict[str, str], output: str) -> None:
    _leaky(scenario, path)
    done = scenario.dtree("run", "--all", "--allow-env", "CI_TOKEN", "--output", output, env=environment)
    assert done.code == 3, done.stdout + done.stderr
    told = done.stdout + done.stderr
    assert _secrets_in(told) == []
    assert HIDDEN in told


def test_what_nomad_says_of_a_rendered_line_shows_no_secret(scenario: Scenario, path: str, environment: dict[str, str]) -> None:
    scenario.job("api", 'job "PREFIXapi" {\n  [[ nomad_var("' + path + '", "password") ]] = [[ api_key ]]\n}\n')
    for command in (("plan", "--all"), ("validate", "--nomad"), ("run", "--all", "--output", "json")):
        done = scenario.dtree(*command, env=environment)
        assert done.code == 1
        assert _secrets_in(done.stdout + done.stderr) == []


def test_what_stands_in_a_jobs_id_is_shown_wherever_it_came_from(scenario: Scenario, environment: dict[str, str]) -> None:
    scenario.mock("api")
    file = scenario.folder / "jobs" / "api.nomad"
    file.write_text(file.read_text().replace(f'job "{scenario.prefix}api"', f'job "{scenario.prefix}api-[[ stage ]]"'))
    done = scenario.dtree("plan", "--all", "--output", "json", env=environment)
    assert f"{scenario.prefix}api-PREFIXED" in done.stdout, done.stderr


def _told(done: Done) -> str:
    assert done.code == 1, done.stdout + done.stderr
    return done.stderr


def test_what_cannot_be_read_says_why_and_what_to_do(scenario: Scenario, path: str) -> None:
    for source, words in {
        'env("CI_TOKEN")': ("error[env-not-allowed]", 'allow-env = ["CI_TOKEN"]'),
        f'nomad_var("{path}", "pasword")': ("has no item 'pasword'", "it has password, user"),
        f'nomad_var("{path}x", "password")': (f"Nomad has no variable '{path}x'", f"nomad var put {path}x"),
        'env("OF_NOBODY")': ("error[env-not-allowed]", "OF_NOBODY"),
    }.items():
        scenario.mock("api", job=f"meta {{ x = [[ {source} | hcl ]] }}")
        told = _told(scenario.dtree("plan", "--all", env={"CI_TOKEN": FROM_ENVIRONMENT}))
        assert all(word in told for word in words), told
        assert "api.nomad:" in told
    told = _told(scenario.dtree("plan", "--all", "--allow-env", "OF_*"))
    assert "the environment variable OF_NOBODY is not set" in told


def test_a_key_of_consul_is_read_with_consuls_own_settings(scenario: Scenario, consul: ConsulAgent) -> None:
    consul.api.put(f"{scenario.prefix}url", "http://db.example/ü".encode())
    scenario.mock("api", job=f'meta {{ url = [[ consul_key("{scenario.prefix}url") | hcl ]] }}')
    done = scenario.dtree("plan", "--all", "--output", "json", env={"CONSUL_HTTP_ADDR": consul.address})
    assert done.code == 0, done.stderr
    (scenario.folder / "nomad-dtree.toml").write_text(f'[stores.consul]\nconsul-addr = "{consul.address}"\n')
    done = scenario.dtree("render", "api")
    assert 'url = "http://db.example/ü"' in done.stdout, done.stderr
    scenario.mock("api", job='meta { url = [[ consul_key("of/nobody") | hcl ]] }')
    told = _told(scenario.dtree("render", "api"))
    assert "Consul has no key 'of/nobody'" in told
    told = _told(scenario.dtree("render", "api", env={"CONSUL_HTTP_ADDR": "http://127.0.0.1:1"}))
    assert "error[store-unreachable]" in told

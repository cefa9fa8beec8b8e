"""Values that users give, in the jobs that Nomad has: of templates, and of HCL2's own variables as Nomad's own client gives them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.scenario import Scenario

DECLARED = """
variable "as_text" { type = string }
variable "as_number" { type = number }
variable "as_bool" { type = bool }
variable "as_list" { type = list(string) }
variable "as_map" { type = map(number) }
variable "as_object" {
  type = object({ name = string, ports = list(number) })
}
variable "untyped" {}
variable "from_text" { default = "x" }
variable "from_flag" { default = false }
variable "unset" { default = ["kept"] }
variables {
  old_text = "x"
  old_list = ["x"]
}
"""
GIVEN = {
    "as_text": 'a "quoted" ${thing} %{if} \\ é\n 2',
    "as_number": "8080",
    "as_bool": "true",
    "as_list": '["a", "b"] # a remark',
    "as_map": "{ a = 1,\n b = 2 }",
    "as_object": '{ name = "n", ports = [1, 2] }',
    "untyped": '["text"]',
    "from_text": "true",
    "from_flag": "true",
    "old_text": "007",
    "old_list": '["a"]',
}
JOB = (
    DECLARED
    + """
job "PREFIXapi" {
  type = "batch"
  meta {
    seen = jsonencode([var.as_text, var.as_number, var.as_bool, var.as_list, var.as_map, var.as_object, var.untyped,
      var.from_text, var.from_flag, var.unset, var.old_text, var.old_list])
  }
  group "main" {
    task "main" {
      driver = "mock_driver"
      config { run_for = "1s" }
      resources { memory = 10 }
    }
  }
}
"""
)
SIMPLE = """
variable "image" {
  type    = string
  default = "from the file"
}
job "PREFIXapi" {
  type = "batch"
  meta {
    image    = var.image
    template = "[[ tier | default('none') ]]"
  }
  group "main" {
    task "main" {
      driver = "mock_driver"
      config { run_for = "1s" }
      resources { memory = 10 }
    }
  }
}
"""


def meta(scenario: Scenario, *words: str, env: dict[str, str] | None = None) -> dict[str, Any]:
    """The meta of the job as Nomad parses it."""
    done = scenario.dtree("render", "api", "--format", "json", *words, env=env)
    assert done.code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["Job"]["Meta"]
    return found


def submission(scenario: Scenario, version: int) -> dict[str, Any]:
    found: dict[str, Any] = scenario.api.get(f"/v1/job/{scenario.id('api')}/submission", version=str(version))
    return found


def nomads_own(program: Path, scenario: Scenario, words: list[str], env: dict[str, str]) -> dict[str, Any]:
    """What Nomad's own client makes of the same file."""
    done = subprocess.run(
        [str(program), "job", "run", "-output", *words, "jobs/api.nomad"],
        cwd=scenario.folder,
        env={"PATH": "", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)["Job"]["Meta"]
    return found


@pytest.mark.parametrize("way", ["option", "variable"])
def test_text_is_read_as_nomads_own_client_reads_it(scenario: Scenario, nomad_program: Path, way: str) -> None:
    scenario.job("api", JOB, template=False)
    ours = [word for name, value in GIVEN.items() for word in ("--var", f"{name}={value}")] if way == "option" else []
    theirs = [word for name, value in GIVEN.items() for word in ("-var", f"{name}={value}")] if way == "option" else []
    env = {f"NOMAD_VAR_{name}": value for name, value in GIVEN.items()} if way == "variable" else {}
    seen = nomads_own(nomad_program, scenario, theirs, env)
    shown = meta(scenario, *ours, "--show-secrets", env=env)
    assert shown == seen
    assert json.loads(shown["seen"])[:4] == [GIVEN["as_text"], 8080, True, ["a", "b"]]


def test_a_file_for_nomads_own_client_gives_the_same(scenario: Scenario, nomad_program: Path) -> None:
    scenario.job("api", JOB, template=False)
    text = """
# of this environment
as_text   = "a \\"quoted\\" $${thing} \\u00e9"
as_number = -1.5
as_bool   = true
as_list   = ["a", "b",]
as_map    = { a = 1, "b" : 2 }
as_object = {
  name  = "n"
  ports = [1, 2]
}
untyped   = { a = [true, null] }
old_text  = <<EOT
line
EOT
"""
    (scenario.folder / "staging.vars").write_text(text)
    assert meta(scenario, "--var-file", "staging.vars") == nomads_own(nomad_program, scenario, ["-var-file", "staging.vars"], {})


def test_each_layer_wins_over_the_ones_below(scenario: Scenario) -> None:
    scenario.job("api", SIMPLE)
    assert meta(scenario) == {"image": "from the file", "template": "none"}
    env = {"NOMAD_VAR_image": "by NOMAD_VAR", "NOMAD_VAR_tier": "for HCL2 only"}
    assert meta(scenario, "--show-secrets", env=env) == {"image": "by NOMAD_VAR", "template": "none"}
    scenario.depfile({"api": {}}, defaults={"vars": {"image": "defaults", "tier": "gold"}})
    assert meta(scenario, env=env) == {"image": "defaults", "template": "gold"}
    scenario.depfile({"api": {"vars": {"image": "entry"}}}, defaults={"vars": {"image": "defaults", "tier": "gold"}})
    assert meta(scenario, env=env) == {"image": "entry", "template": "gold"}
    (scenario.folder / "a.json").write_text('{"image": "a.json", "tier": "a.json"}')
    (scenario.folder / "b.yaml").write_text("image: b.yaml\n")
    assert meta(scenario, "--var-file", "a.json", "--var-file", "b.yaml") == {"image": "b.yaml", "template": "a.json"}
    (scenario.folder / "nomad-dtree.toml").write_text('[vars]\nimage = "toml"\n[env.staging.vars]\nimage = "staging"\n')
    assert meta(scenario, "--var-file", "a.json")["image"] == "toml"
    assert meta(scenario, "--var-file", "a.json", "--env", "staging")["image"] == "staging"
    env["NOMAD_DTREE_VAR_image"] = "by our variable"
    assert meta(scenario, "--env", "staging", "--show-secrets", env=env)["image"] == "by our variable"
    assert meta(scenario, "--env", "staging")["image"] == "staging"
    assert meta(scenario, "--var", "image=first", "--var-json", 'image="last"', env=env)["image"] == "last"
    assert meta(scenario, "--var-json", 'image="first"', "--var", "image=last", env=env)["image"] == "last"


def test_what_was_given_is_submitted_with_the_job_but_no_secret(scenario: Scenario) -> None:
    scenario.job("api", SIMPLE)
    done = scenario.dtree("run", "api", "--var", 'image=a"b')
    assert done.code == 0, done.stderr
    stored = scenario.stored("api")
    assert stored is not None
    assert stored["Meta"]["image"] == 'a"b'
    assert 'image = "a\\"b"' in submission(scenario, stored["Version"])["Variables"].splitlines()
    done = scenario.dtree("run", "api", env={"NOMAD_DTREE_VAR_image": "hunter2-hunter2"})
    assert done.code == 0, done.stderr
    stored = scenario.stored("api")
    assert stored is not None
    assert stored["Meta"]["image"] == "hunter2-hunter2"
    variables = submission(scenario, stored["Version"])["Variables"]
    assert "# image is secret and not shown" in variables.splitlines()
    assert "hunter2" not in json.dumps(submission(scenario, stored["Version"]))
    assert "hunter2" not in done.stdout + done.stderr


def test_a_changed_value_is_a_change_of_the_job_and_the_same_one_is_none(scenario: Scenario) -> None:
    scenario.job("api", SIMPLE)
    assert scenario.dtree("run", "api", "--var", "image=one").code == 0
    assert scenario.dtree("plan", "api", "--var", "image=one", "--detailed-exitcode").code == 0
    assert scenario.dtree("plan", "api", "--var", "image=two", "--detailed-exitcode").code == 2
    assert scenario.dtree("stop", "api", "--var", "image=two").code == 0


def test_a_value_that_nomad_does_not_take_is_told_where_it_was_given(scenario: Scenario) -> None:
    declared = 'variable "count" { type = number }\nvariable "ports" { type = list(number) }\n'
    scenario.job("api", declared + 'job "PREFIXapi" {\n  priority = var.count\n}\n')
    done = scenario.dtree("render", "api", "--format", "json")
    assert done.code == 1
    assert 'Unset variable "count"' in done.stderr
    assert "--var-file or --var" in done.stderr
    (scenario.folder / "values.yaml").write_text("count: many\nports: [1]\n")
    done = scenario.dtree("plan", "api", "--var-file", "values.yaml")
    assert done.code == 1
    assert "error[bad-variable-value]" in done.stderr
    assert "'count'" in done.stderr
    assert "--> values.yaml:1:1, count" in done.stderr
    assert "a number is required" in done.stderr
    done = scenario.dtree("validate", "--nomad", "--var", "count=1", "--var", "ports=[1,")
    assert done.code == 1
    assert "error[bad-variable-value]" in done.stderr
    assert "'ports'" in done.stderr
    assert "given by --var" in " ".join(done.stderr.split())


@pytest.mark.parametrize("value", ["abc", "[max(1, 2)]"])
def test_a_name_or_a_call_in_a_value_is_told_with_what_gave_it(scenario: Scenario, value: str) -> None:
    scenario.job("api", 'variable "ports" { type = list(number) }\njob "PREFIXapi" {\n  meta { first = var.ports[0] }\n}\n')
    done = scenario.dtree("validate", "--nomad", "--var", f"ports={value}")
    assert done.code == 1
    assert "error[bad-variable-value]" in done.stderr
    assert "value of variable 'ports' of job 'api', given by --var" in " ".join(done.stderr.split())
    assert "mend the job file" not in done.stderr


def test_a_rule_of_the_job_file_is_told_with_the_value_that_breaks_it(scenario: Scenario) -> None:
    rule = 'validation {\n    condition = var.tier == "gold"\n    error_message = "Only gold is good."\n  }'
    scenario.job(
        "api", f'variable "other" {{ default = 1 }}\nvariable "tier" {{\n  {rule}\n}}\njob "PREFIXapi" {{ }}', vars={"tier": "iron"}
    )
    done = scenario.dtree("validate", "--nomad")
    assert done.code == 1
    assert "error[bad-variable-value]" in done.stderr
    assert "Only gold is good" in " ".join(done.stderr.split())
    assert "dependencies.api.vars.tier" in done.stderr

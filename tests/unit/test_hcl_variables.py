"""Which HCL2 variables a job file declares, and the text that gives them values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.hcl_variables import HclVariable, assignments, blamed, declared_in
from dtree.values import Given, Origin


def text(value: str, *, secret: bool = False) -> Given:
    return Given(value, Origin("--var"), is_text=True, secret=secret)


def typed(value: object) -> Given:
    return Given(value, Origin("--var-json"))


def test_blocks_at_the_top_are_found_in_their_order() -> None:
    source = """
# values
variable "image" {
  type    = string # of a container
  default = "a${lower("B}")}"
}
variable count { default = 1 }
variable "ports" {
  type = list(object({
    label = string
  }))
  validation {
    condition     = length(var.ports) > 0
    error_message = "At least one."
  }
}
variable "any" {}
job "api" { }
"""
    assert list(declared_in(source).values()) == [
        HclVariable("image", is_text=True, default='"a${lower("B}")}"', line=3),
        HclVariable("count", is_text=True, default="1", line=7),
        HclVariable("ports", is_text=False, line=8),
        HclVariable("any", is_text=True, line=17),
    ]


def test_what_only_looks_like_a_block_at_the_top_is_none() -> None:
    source = """
# variable "a" {}
// variable "b" {}
/* variable "c" {}
variable "d" {} */
job "api" {
  variable "e" {}
  meta {
    text = "} variable \\"f\\" {"
    more = <<-EOT
      }
variable "g" {
      EOT
    inner = "${ "}" } variable"
  }
}
locals {
  variable = "h"
}
"""
    assert declared_in(source) == {}


def test_an_older_block_of_variables_declares_each_of_its_attributes() -> None:
    source = 'variables {\n  a = "x"\n  b = { c = [1,\n 2] }\n  d = <<EOT\ntext\nEOT\n  e = -1.5\n}\n'
    assert {name: (one.is_text, one.default) for name, one in declared_in(source).items()} == {
        "a": (True, '"x"'),
        "b": (False, "{ c = [1,\n 2] }"),
        "d": (True, "<<EOT\ntext\nEOT"),
        "e": (True, "-1.5"),
    }


@pytest.mark.parametrize(
    ("body", "is_text"),
    [
        ("type = string", True),
        ("type = number", True),
        ("type = bool", False),
        ("type = any", False),
        ("type = map(string)", False),
        ('default = "x"', True),
        ("default = 3", True),
        ("default = true", False),
        ("default = []", False),
        ('type = list(string)\ndefault = "x"', False),
        ('description = "x"', True),
    ],
)
def test_text_is_a_value_or_an_expression_by_the_type_of_the_variable(body: str, is_text: bool) -> None:  # noqa: FBT001 - a parameter
    assert declared_in(f'variable "x" {{\n{body}\n}}')["x"].is_text is is_text


def test_a_job_in_hcls_own_json_declares_variables_too() -> None:
    body = {"variable": {"a": {"type": "list(string)"}, "b": [{"default": 1}]}, "job": {"api": {}}}
    assert {name: (one.is_text, one.default) for name, one in declared_in(json.dumps(body)).items()} == {
        "a": (False, None),
        "b": (True, "1"),
    }
    assert declared_in('{"variable": ') == {}
    assert declared_in('{"TaskGroups": [], "Name": "variable"}') == {}


@given(st.text(alphabet='variable "x"{}[]()<-EOT\n$%\\#/*=', max_size=80))
def test_no_text_is_too_much(source: str) -> None:
    assert isinstance(declared_in("variable" + source), dict)


@pytest.mark.parametrize("mark", ['"${', "{", "<<A\n", '"${"'])
def test_a_long_hostile_text_takes_no_time(mark: str) -> None:
    assert declared_in('variable "a" {}\n' + mark * 20_000)["a"].is_text


def test_values_are_written_as_hcl() -> None:
    declared = declared_in('variable "a" {}\nvariable "b" { type = list(string) }\nvariable "c" { type = string }')
    values = {"c": typed(["x", {"y z": None}]), "b": text('["a"] # last'), "a": text('one "two" ${three}\n')}
    assert assignments(values, declared, show_secrets=True) == (
        'a = "one \\"two\\" $${three}\\n"\nb = (["a"] # last\n)\nc = ["x", {"y z" = null}]\n'
    )


def test_a_secret_value_is_left_out_unless_it_is_asked_for() -> None:
    declared = declared_in('variable "a" {}\nvariable "b" {}')
    values = {"a": text("hunter2", secret=True), "b": text("x")}
    assert assignments(values, declared, show_secrets=False) == '# a is secret and not shown\nb = "x"\n'
    assert "hunter2" in assignments(values, declared, show_secrets=True)


def test_a_complaint_of_nomad_is_about_a_value_or_about_the_job_file() -> None:
    variables = 'a = "x"\nb = ([\n)\n'
    both = {"a": text("x"), "b": text("[")}
    wrong_type = "Invalid value for variable: The value for b is not compatible with the variable's type constraint: a number is required"
    assert blamed(wrong_type, wrong_type, 1, variables, both) == "b"
    assert blamed(wrong_type, wrong_type, 1, variables, {"a": text("x")}) == ""
    unreadable = "unable to parse var content: input.hcl:3,1-2: Invalid expression"
    assert blamed(unreadable, "Invalid expression", 3, variables, both) == "b"
    broken_rule = "Invalid value for varfile variable: Only gold"
    assert blamed(broken_rule, broken_rule, 1, variables, both) == "a"
    assert blamed("Missing job block", "Missing job block", 1, variables, both) == ""
    assert blamed(unreadable, "Invalid expression", None, variables, both) == ""


@pytest.mark.parametrize("problem", ["Variables not allowed: Variables may not be used here", "Functions may not be called here"])
def test_a_name_or_a_call_is_blamed_on_the_value_that_has_one(problem: str) -> None:
    variables = "a = (abc\n)\nb = ([1]\n)\n"
    given = {"a": text("abc"), "b": text("[1]"), "c": typed(["x"])}
    assert blamed(problem, problem, 1, variables, given) == "a"
    assert blamed(problem, problem, 3, variables, given) == ""  # so it is the job file's third line
    assert blamed(problem, problem, 1, 'c = ["x"]\n', given) == ""
    assert blamed(problem, problem, 1, "", {}) == ""

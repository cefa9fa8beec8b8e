"""Values of templates: which can be used, and how a question reads."""

from __future__ import annotations

import pytest

from dtree.names import why_no_name
from dtree.values import call_of, why_no_value


@pytest.mark.parametrize("value", ["", "text", "ü", 1, 1.5, True, None, [], ["a", {"b": "ü"}], {"a": [1.0]}])
def test_what_a_job_file_can_hold(value: object) -> None:
    assert why_no_value(value) == ""


@pytest.mark.parametrize("value", ["\ud800", "a\udcff", ["a", "\udcff"], {"\udcff": 1}, {"a": {"b": ("\udcff",)}}])
def test_bytes_that_are_no_text_are_none(value: object) -> None:
    assert why_no_value(value) == "it is not UTF-8"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), [1.0, float("-inf")], {"a": float("inf")}])
def test_numbers_without_an_end_are_none(value: object) -> None:
    assert why_no_value(value) == "it is not a finite number"


def test_a_question_reads_as_a_template_writes_it() -> None:
    assert call_of(("nomad", "app/db", 'pass"word')) == 'nomad_var("app/db", "pass\\"word")'
    assert call_of(("version", "api")) == ""


@pytest.mark.parametrize(("name", "is_one"), [("a", True), ("_a1", True), ("1a", False), ("a-b", False), ("version", False), ("", False)])
def test_names_of_variables(name: str, *, is_one: bool) -> None:
    assert (why_no_name(name) is None) is is_one

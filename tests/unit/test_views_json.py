"""The JSON forms, and that docs/reference/events.md describes them as they are."""

from __future__ import annotations

import io
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from dtree.errors import DeclarationError, DtreeError, Fault, Place
from dtree.events import Event, PlannedReturn, PlannedStep, RunFinished, RunInterrupted, StepFailed, StepKept, StepLost
from dtree.model import Address, FailureKind, TaskExit
from dtree.plan import Change, Refuse
from dtree.provenance import Provenance
from dtree.record import StatusRow
from dtree.views.json_forms import JsonLines, error_json, event_form, event_kind, plan_json, status_json
from tests.unit.views_samples import FAILURE, INTERRUPTED, SUCCESS, T, plan, step

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text(encoding="utf-8")

TYPES = {
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
    "FailureKind": "string",
    "Health": "string",
    "int | None": "integer or null",
    "Provenance | None": "object or null",
    "Fault | None": "object or null",
    "Registration | None": "object or null",
    "tuple[str, ...]": "list of strings",
    "tuple[PlannedStep, ...]": "list of planned steps",
    "tuple[PlannedReturn, ...]": "list of planned returns",
    "tuple[Address, ...]": "list of addresses",
    "tuple[TaskExit, ...]": "list of exits",
}


def table(heading: str) -> list[tuple[str, str]]:
    """Return name and second column of every row of the table under a heading."""
    section = re.split(r"^#+ ", PAGE.split(f"\n{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(\w[\w-]*)` \| ([^|]+) \|", section, flags=re.MULTILINE)


def shape(value_class: type) -> list[tuple[str, str]]:
    return [(field.name, TYPES[str(field.type)]) for field in fields(value_class) if field.name != "time_s"]


def kind_of(value: object) -> str:
    """Name the type of a JSON value as the page does, as far as the value tells."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "list"
        case _:
            return "object"


def check(form: dict[str, object], heading: str) -> None:
    documented = table(heading)
    assert [name for name, _ in documented] == list(form)
    for name, words in documented:
        assert kind_of(form[name]) in words.replace("number", "number integer")


@pytest.mark.parametrize("event_class", get_args(Event))
def test_every_field_of_every_event_is_documented(event_class: type) -> None:
    assert shape(event_class) == table(f"### {event_kind(event_class)}")


def test_every_documented_event_exists() -> None:
    page_kinds = set(re.findall(r"^### ((?:run|step|rollback)-[\w-]+)$", PAGE, flags=re.MULTILINE))
    assert page_kinds == {event_kind(event_class) for event_class in get_args(Event)}


@pytest.mark.parametrize(
    ("value_class", "heading"),
    [
        (PlannedStep, "#### A planned step"),
        (PlannedReturn, "#### A planned return"),
        (Address, "#### An address"),
        (TaskExit, "#### An exit"),
        (StatusRow, "## Status"),
        (Provenance, "### Where a job came from"),
    ],
)
def test_the_values_inside_are_documented(value_class: type, heading: str) -> None:
    assert shape(value_class) == table(heading)


def test_every_change_and_every_kind_of_failure_is_documented() -> None:
    assert [name for name, _ in table("## Changes")] == list(get_args(Change))
    assert [name for name, _ in table("## Kinds of failure")] == list(get_args(FailureKind))


@pytest.mark.parametrize("event", [*FAILURE, *INTERRUPTED[-2:], StepKept(T, "db", "needed"), StepLost(T, "db", "")])
def test_an_event_is_written_as_documented(event: Event) -> None:
    form = event_form(event)
    assert list(form) == [name for name, _ in table("## Events")] + [name for name, _ in table(f"### {event_kind(type(event))}")]


def test_an_event_is_one_line_with_fixed_keys() -> None:
    stream = io.StringIO()
    with JsonLines(stream) as view:
        for event in SUCCESS:
            view(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(SUCCESS)
    assert lines[3] == (
        '{"schema": 1, "event": "step-ready", "time": "2026-11-21T07:31:58.500Z", "job": "postgres", '
        '"reason": "1 of 1 allocations healthy", "addresses": [{"label": "db", "host": "10.0.0.7", "port": 5432}]}'
    )


def test_no_control_character_leaves_unescaped() -> None:
    hostile = "".join(map(chr, range(0xA0))) + "\u2028\u202e世\udc80"
    stream = io.StringIO()
    JsonLines(stream)(StepFailed(T, hostile, "failed", hostile, (hostile,), hostile))
    line = stream.getvalue()
    assert line.isascii()
    assert line.removesuffix("\n").isprintable()
    assert json.loads(line)["details"] == [hostile]


def test_a_plan_is_written_as_documented_and_without_the_job_itself() -> None:
    made = plan(step("db", change="noop", cause="runs"), step("api", "db", action=Refuse("no way back", "change it")))
    document = plan_json(made, address="http://nomad:4646")
    form = json.loads(document)
    check(form, "## Plan")
    for written in form["steps"]:
        check(written, "### A plan step")
    assert form["counts"] == {"create": 1, "noop": 1}
    assert [written["refused"] for written in form["steps"]] == [None, {"why": "no way back", "hint": "change it"}]
    assert "s3cr3t" not in document
    assert "job {}" not in document


def test_status_is_written_as_documented() -> None:
    row = StatusRow("db", "db", "default", "service", (), "", "Missing", None, 0, 0, (Address("db", "10.0.0.1", 5432),), "not in Nomad")
    form = json.loads(status_json([row]))
    assert list(form) == ["schema", "jobs"]
    check(form["jobs"][0], "## Status")
    assert form["jobs"][0]["addresses"] == [{"label": "db", "host": "10.0.0.1", "port": 5432}]


def test_status_on_one_line_is_the_same_document() -> None:
    row = StatusRow("db", "db", "default", "service", (), "", "Missing", None, 0, 0, (), "not in Nomad")
    line = status_json([row], line=True)
    assert "\n" not in line
    assert json.loads(line) == json.loads(status_json([row]))


def test_times_are_as_precise_as_a_reader_needs() -> None:
    assert event_form(RunFinished(T, 0, 12.400000000000091))["elapsed_s"] == 12.4


def test_an_error_is_a_line_per_fault() -> None:
    error = DeclarationError(
        [Fault("cycle", "a -> a", Place("d.yaml", 3, 5, "dependencies.a"), "take one out"), Fault("unknown-key", "no 'x'")]
    )
    forms = [json.loads(line) for line in error_json(error).splitlines()]
    for form in forms:
        check(form, "## Errors")
    assert [(form["code"], form["file"], form["line"], form["column"], form["key"]) for form in forms] == [
        ("cycle", "d.yaml", 3, 5, "dependencies.a"),
        ("unknown-key", None, None, None, ""),
    ]


def test_an_error_keeps_its_notes() -> None:
    assert json.loads(error_json(DtreeError("broke", notes=("while reading",))))["notes"] == ["while reading"]


def test_kinds_are_kebab_case() -> None:
    assert event_kind(RunInterrupted) == "run-interrupted"

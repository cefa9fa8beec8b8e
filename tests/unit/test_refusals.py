"""Nomad's lists of errors, taken apart."""

from __future__ import annotations

import pytest

from dtree.access.refusals import Diagnostic, diagnostics, reasons

UNSET = "A used variable must be set or have a default value; see https://developer.hashicorp.com/variables  for details."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("Job ID contains a space\n", ("Job ID contains a space",)),
        ("1 error occurred:\n\t* 1 error occurred:\n\t* bad cron\n\n\n\n", ("bad cron",)),
        ("rpc error: 2 errors occurred:\n\t* a\n\t* b\n\n", ("a", "b")),
        (
            "2 errors occurred:\n\t* Task group g validation failed: 2 errors occurred:\n\t* one\n\t* two\n\n\n\t* three\n\n",
            ("Task group g: one", "Task group g: two", "three"),
        ),
        (
            '1 warning:\n\n* Group "g" has warnings: 2 errors occurred:\n\t* Task "t" has warnings: 1 error occurred:\n\t* a\n\t* b\n',
            ('Group "g": Task "t": a', 'Group "g": b'),
        ),
        ("1 error occurred:\n\t* it goes on\n\tin a second line\n\n", ("it goes on in a second line",)),
        (
            "json: cannot unmarshal string into Go struct field TaskGroup.Job.TaskGroups.Count of type int",
            ("TaskGroups.Count is of the wrong type: string where Nomad takes int",),
        ),
        (
            "json: cannot unmarshal object into Go struct field Job.Job.TaskGroups of type []*api.TaskGroup",
            ("TaskGroups is of the wrong type: object where Nomad takes list",),
        ),
    ],
)
def test_nested_lists_become_one_sentence_for_each_reason(text: str, expected: tuple[str, ...]) -> None:
    assert reasons(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Job spec is empty", (Diagnostic("Job spec is empty"),)),
        (
            "Failed to parse job: input.hcl:4,28-5,1: Invalid string; Not over lines., and 4 other diagnostic(s)",
            (Diagnostic("Invalid string: Not over lines (and 4 more)", 4, 28),),
        ),
        (
            "Failed to parse job: input.hcl:2,3-9: Unsupported name; No.\ninput.hcl:4,14-20: Unsuitable value type; Unsuitable value: 4",
            (Diagnostic("Unsupported name: No", 2, 3), Diagnostic("Unsuitable value: 4", 4, 14)),
        ),
        (
            f'Failed to parse job: <nil>: Unset variable "b"; {UNSET}\n<nil>: Unset variable "a"; {UNSET}',
            (
                Diagnostic('Unset variable "a": A used variable must be set or have a default value'),
                Diagnostic('Unset variable "b": A used variable must be set or have a default value'),
            ),
        ),
        (
            "Failed to parse job: input.hcl:8,1-12: Duplicate job block; Previous definition was at input.hcl:1,1-10.",
            (Diagnostic("Duplicate job block: Previous definition was at jobs/a.nomad:1:1", 8, 1),),
        ),
    ],
)
def test_each_mistake_of_a_job_file_has_its_own_place(text: str, expected: tuple[Diagnostic, ...]) -> None:
    assert diagnostics(text, file="jobs/a.nomad") == expected


def test_what_only_follows_from_another_mistake_is_left_out() -> None:
    follows = "input.hcl:3,1-2: Unsuitable value type; Unsuitable value: value must be known"

    both = diagnostics(f"Failed to parse job: input.hcl:3,8-9: Call to unknown function; No uper.\n{follows}", file="a")
    alone = diagnostics(f"Failed to parse job: {follows}", file="a")

    assert both == (Diagnostic("Call to unknown function: No uper", 3, 8),)
    assert alone == (Diagnostic("Unsuitable value: value must be known", 3, 1),)

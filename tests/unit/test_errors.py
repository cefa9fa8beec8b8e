"""dtree.errors: how errors read, and what the program ends with."""

from __future__ import annotations

import re

import pytest

from dtree import errors
from dtree.errors import (
    ClusterError,
    Conflict,
    DeclarationError,
    Denied,
    DtreeError,
    Fault,
    GoalError,
    Invalid,
    NotFound,
    Place,
    StoreError,
    Unavailable,
    Unreachable,
    UsageError,
    did_you_mean,
)


def every_error(kind: type[DtreeError] = DtreeError) -> list[type[DtreeError]]:
    return [kind, *(found for child in kind.__subclasses__() if child.__module__ == errors.__name__ for found in every_error(child))]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("jobs/api.nomad"), "jobs/api.nomad"),
        (Place("dependency.json", 3, 7), "dependency.json:3:7"),
        (Place("dependency.json", 3, 7, "dependencies.api.pre"), "dependency.json:3:7, dependencies.api.pre"),
        (Place("dependency.json", key="stack"), "dependency.json, stack"),
    ],
)
def test_a_place_reads_as_an_editor_takes_it(place: Place, text: str) -> None:
    assert str(place) == text


def test_a_fault_says_what_where_and_one_hint() -> None:
    fault = Fault("unknown-key", "'pree' is not a key of an entry", Place("dependency.json", 3, 7), "did you mean 'pre'?")
    assert str(fault) == ("error[unknown-key]: 'pree' is not a key of an entry\n  --> dependency.json:3:7\n  hint: did you mean 'pre'?")


def test_a_fault_without_place_and_hint_is_one_line() -> None:
    assert str(Fault("cycle", "jobs wait for each other: a -> b -> a")) == "error[cycle]: jobs wait for each other: a -> b -> a"


def test_an_error_says_what_where_with_notes_and_hint() -> None:
    error = StoreError("the folder cannot be read", place=Place("jobs"), notes=["permission denied"], hint="look at its rights")
    assert str(error) == "error[store-error]: the folder cannot be read\n  --> jobs\n  permission denied\n  hint: look at its rights"


def test_an_error_of_one_line_is_one_line() -> None:
    assert str(UsageError("no job is named")) == "error[usage]: no job is named"


def test_an_error_may_have_a_code_of_its_own() -> None:
    error = DtreeError("it is so", code="so")
    assert (error.error_code, str(error)) == ("so", "error[so]: it is so")
    assert DtreeError.code == "error"


def test_an_error_is_also_one_fault() -> None:
    error = UsageError("no job is named", place=Place("x"), hint="name one")
    assert error.faults == (Fault("usage", "no job is named", Place("x"), "name one"),)


def test_all_faults_of_a_file_are_one_error() -> None:
    faults = [Fault("a", "first"), Fault("b", "second")]
    error = DeclarationError(faults)
    assert error.faults == tuple(faults)
    assert error.problem == "2 faults"
    assert str(error) == "error[a]: first\nerror[b]: second"
    assert DeclarationError(faults[:1]).problem == "1 fault"


def test_an_unknown_goal_without_a_near_name_says_how_to_list_them() -> None:
    error = GoalError("zzz", ["api", "db"], depfile="dependency.json")
    assert error.hint == "`nomad-dtree graph --all` lists the jobs there are"


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("postgers", ["postgres", "api"]) == "did you mean 'postgres'?"
    assert did_you_mean("zzz", ["postgres", "api"]) == ""


def test_every_error_has_a_kebab_case_code_and_a_fault_exit_code() -> None:
    kinds = every_error()
    assert len(kinds) == 19
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code) for kind in kinds)
    assert {kind.code: kind.exit_code for kind in kinds if kind.exit_code != 1} == {"usage": 64}


def test_every_error_of_the_cluster_is_a_cluster_error() -> None:
    assert every_error(ClusterError)[1:] == [Unreachable, Denied, NotFound, Conflict, Invalid, Unavailable]


def test_every_error_is_drawn_in_the_tree_of_the_module() -> None:
    drawn = set(re.findall(r"[A-Z][A-Za-z]+", (errors.__doc__ or "").split("An error is built")[0]))
    assert {kind.__name__ for kind in every_error()} <= drawn


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {name.removeprefix("EXIT_").lower(): value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes == {
        "ok": 0,
        "error": 1,
        "changes_pending": 2,
        "job_failed": 3,
        "rolled_back": 4,
        "rollback_incomplete": 5,
        "timed_out": 6,
        "awaiting_promotion": 7,
        "usage": 64,
        "bug": 70,
        "interrupted": 130,
    }


def test_faults_of_which_there_are_none_are_still_an_error() -> None:
    error = DeclarationError([])
    assert str(error) == "error[bad-dependency-file]: something is wrong, and nothing says what"
    assert [fault.code for fault in error.faults] == ["bad-dependency-file"]

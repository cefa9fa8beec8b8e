"""dtree.provenance: where a job came from, and how that is kept beside it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.model import JobRef, JobState, RenderedJob
from dtree.provenance import (
    MARK,
    Provenance,
    Registration,
    Source,
    note_path,
    noted,
    provenance_of,
    read_note,
    registered_as,
    still_runs,
    with_comments,
)
from tests.fakes import snapshots

JOB = RenderedJob("api", JobRef("default", "api-prod"), "jobs/api.nomad", "job {}", "hcl2", {}, template_digest="ab12", version="1.4.2")
SOURCE = Source("shop", "git", "9fceb02d", "v1.2", "9fceb02d")
WANTED = provenance_of(JOB, SOURCE)
REGISTERED = replace(WANTED, registered=Registration(7, 100, "round"))

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)


def test_it_says_where_a_job_came_from_and_not_yet_what_it_was_registered_as() -> None:
    digest = hashlib.sha256(b"job {}").hexdigest()
    assert Provenance("api", "shop", "git", "9fceb02d", "v1.2", "9fceb02d", "1.4.2", "ab12", digest, None) == WANTED


# -- paths -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stack", "job", "path"),
    [
        ("shop", "api", "dtree/shop/api"),
        ("shop", "web.v2", "dtree/shop/web~2Ev2"),
        ("shop", "mail/out", "dtree/shop/mail~2Fout"),
        ("shop", "a~b", "dtree/shop/a~7Eb"),
        ("der Laden", "ü", "dtree/der~20Laden/~C3~BC"),
        ("", "api", "dtree/~/api"),
    ],
)
def test_what_nomad_takes_in_no_path_is_written_so_that_it_can_be_read_back(stack: str, job: str, path: str) -> None:
    assert note_path(stack, job) == path


@given(_NAMES, _NAMES)
def test_nomad_takes_every_path(stack: str, job: str) -> None:
    assert re.fullmatch(r"dtree/[A-Za-z0-9_~-]+/[A-Za-z0-9_~-]+", note_path(stack, job))
    assert len(note_path(stack, job)) <= 128


@given(st.tuples(_NAMES, _NAMES), st.tuples(_NAMES, _NAMES))
def test_no_two_jobs_share_a_path(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (note_path(*one) == note_path(*other)) == (one == other)


def test_long_names_that_begin_alike_have_paths_of_their_own() -> None:
    long = "x" * 100
    assert note_path("shop", long + "a") != note_path("shop", long + "b")
    assert note_path("shop", long).startswith("dtree/shop/xxx")


# -- notes -------------------------------------------------------------------------------------------------------------


def test_what_is_noted_is_read_back() -> None:
    assert read_note(noted({}, REGISTERED)) == REGISTERED
    bare = replace(REGISTERED, ref="", commit="", version="")
    assert read_note(noted({}, bare)) == bare
    # Nomad would keep empty items; nobody needs them.
    assert "ref" not in noted({}, bare)


def test_what_others_noted_stays_and_what_is_ours_goes_where_it_no_longer_holds() -> None:
    before = {**noted({}, REGISTERED), "succeeded": "abc"}
    after = noted(before, replace(REGISTERED, ref="", revision="1"))
    assert after == {key: value for key, value in before.items() if key != "ref"} | {"revision": "1"}


def test_of_two_registrations_the_later_one_stays_whoever_writes_last() -> None:
    later = noted({}, replace(REGISTERED, registered=Registration(8, 120, "round")))
    assert noted(later, REGISTERED) is later
    assert read_note(noted(noted({}, REGISTERED), replace(WANTED, registered=Registration(8, 120, "x")))) != REGISTERED


def test_what_was_not_registered_is_not_noted() -> None:
    assert noted({"other": "1"}, WANTED) == {"other": "1"}


@pytest.mark.parametrize("items", [{}, {MARK: "1", "succeeded": "abc"}, {**noted({}, REGISTERED), "modify_index": "many"}])
def test_a_note_that_does_not_say_where_the_job_came_from_is_none(items: dict[str, str]) -> None:
    assert read_note(items) is None


def test_only_what_differs_in_more_than_counts_is_something_else() -> None:
    state = stored(modify_index=100, shape="round")
    assert still_runs(Registration(7, 100, "round"), state)
    assert still_runs(Registration(7, 90, "round"), state)
    # The same index is the same job, even where a newer Nomad tells more of it.
    assert still_runs(Registration(7, 100, "square"), state)
    assert not still_runs(Registration(7, 90, "square"), state)
    assert registered_as(state) == Registration(state.version, 100, "round")


def stored(*, modify_index: int, shape: str) -> JobState:
    return replace(snapshots.job(shape=shape), modify_index=modify_index)


# -- the Submission ----------------------------------------------------------------------------------------------------


def test_comments_come_before_the_values_of_variables_and_none_can_leave_its_line() -> None:
    hostile = replace(WANTED, revision='1"\nsecret = "\u2028x', commit="", ref="")
    lines = with_comments('region = "eu"\n', hostile).splitlines()
    assert lines[0] == '# nomad-dtree: job = "api"'
    assert lines[-1] == 'region = "eu"'
    assert all(line.startswith("# nomad-dtree: ") for line in lines[:-1])
    assert not any("ref" in line for line in lines)


def test_without_a_provenance_the_variables_stay_as_they_are() -> None:
    assert with_comments("a = 1\n", None) == "a = 1\n"

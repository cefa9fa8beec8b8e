"""What runs of a job, in one line, and the column of the status that tells it."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import Any

import pytest

from dtree.provenance import Provenance, Registration
from dtree.record import StatusRow
from dtree.views.status_text import status_text
from dtree.views.which_text import release, which_text

NOTED = Provenance("api", "shop", "git", "9fceb02d0ae5", "v1.2", "9fceb02d0ae598e9", "1.4.2", "ab", "cd", Registration(7, 100, "x"))
API = StatusRow("api", "api", "default", "service", (), "running", "Healthy", 7, 3, 3, provenance=NOTED)


def test_it_is_one_line_with_all_that_is_known() -> None:
    assert which_text(API) == "api 1.4.2 (ref v1.2, commit 9fceb02, registered as version 7 by stack shop from git; runs 3/3)"


def test_what_is_not_known_is_left_out_and_a_revision_stands_for_what_has_no_history() -> None:
    plain = replace(NOTED, ref="", commit="", version="", store="filesystem", revision="sha256:26ccbb0fcd1f99")
    row = replace(API, provenance=plain)
    assert which_text(row) == "api (revision 26ccbb0fcd1f, registered as version 7 by stack shop from filesystem; runs 3/3)"
    dirty = replace(NOTED, ref="HEAD", commit="9fceb02d0ae598e9-dirty")
    assert which_text(replace(API, provenance=dirty)).startswith("api 1.4.2 (ref HEAD, commit 9fceb02-dirty, ")


def test_what_was_changed_since_is_not_told_as_what_runs() -> None:
    row = replace(API, version=9, changed_since=True)
    assert which_text(row) == (
        "api was 1.4.2 (ref v1.2, commit 9fceb02, registered as version 7 by stack shop from git), "
        "but was changed since (version 9 in Nomad; runs 3/3)"
    )
    unversioned = replace(row, provenance=replace(NOTED, version=""))
    assert which_text(unversioned).startswith("api was registered (ref v1.2, ")


@pytest.mark.parametrize("provenance", [None, replace(NOTED, registered=None)])
def test_of_what_nobody_noted_it_says_so(provenance: Provenance | None) -> None:
    row = replace(API, job="api", id="api-prod", namespace="shop", provenance=provenance)
    assert which_text(row) == "api (api-prod in shop): where it came from is not noted (version 7 in Nomad; runs 3/3)"


@pytest.mark.parametrize(
    ("row", "end"),
    [
        (replace(API, running=1, health="Progressing", reason="1 of 3 allocations healthy"), "runs 1/3: 1 of 3 allocations healthy)"),
        (replace(API, running=0, desired=0, health="Suspended", reason="stopped"), "runs 0/0: stopped)"),
        (replace(API, type="batch", running=0, desired=1, state="dead"), "runs 0/1, has ended)"),
    ],
)
def test_it_says_how_much_of_it_runs_and_why_not_all(row: StatusRow, end: str) -> None:
    assert which_text(row).endswith(end)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1.4.2 (v1.2)"),
        ({"version": ""}, "v1.2"),
        ({"ref": "HEAD"}, "1.4.2 (9fceb02)"),
        ({"ref": "", "commit": ""}, "1.4.2"),
        ({"ref": "", "commit": "", "version": ""}, ""),
    ],
)
def test_a_release_is_the_version_and_where_it_is_from(changes: dict[str, Any], words: str) -> None:
    assert release(replace(API, provenance=replace(NOTED, **changes))) == words


def test_what_is_not_in_nomad_has_no_release() -> None:
    assert release(replace(API, version=None)) == ""
    assert release(replace(API, provenance=None)) == ""


def test_the_status_shows_releases_and_what_was_changed_since() -> None:
    web = replace(API, job="web", id="web", needs=("api",), version=9, changed_since=True)
    expected = """
        JOB     TYPE     STATE    HEALTH   VERSION  ALLOCS  RELEASE       ADDRESSES
        web     service  running  Healthy        9     3/3  1.4.2 (v1.2)  changed since it was registered as version 7
        └─ api  service  running  Healthy        7     3/3

        2 jobs: 2 Healthy
    """
    assert status_text((web, replace(API, provenance=None))) == dedent(expected).strip()

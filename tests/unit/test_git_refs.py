from __future__ import annotations

from shlex import quote

import pytest

from dtree.access.git.refs import check_ref, full_names, is_commit, is_pattern, may_be_commit, newest, short_name, version_key
from dtree.errors import StoreError


@pytest.mark.parametrize("ref", ["v1.2", "main", "feature/x", "HEAD", "refs/pull/12/head", "v1.*", "v[12].?", "9fceb02", "caf\xe9", "a@b"])
def test_names_of_tags_branches_and_commits_are_taken(ref: str) -> None:
    check_ref(ref)


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "-x",
        "--upload-pack=touch x",
        "a b",
        "a\nb",
        "a\x00b",
        "a\x1b[31m",
        "HEAD~1",
        "v1^{}",
        "a..b",
        "main@{1}",
        "a:b",
        "a\\b",
        "/a",
        "a/",
        "a//b",
        "a.lock",
        "a.",
        "x" * 251,
        "\u202egnp",
    ],
)
def test_what_is_no_name_is_refused_and_shown_without_control_characters(ref: str) -> None:
    with pytest.raises(StoreError) as caught:
        check_ref(ref)
    assert caught.value.error_code == "git-bad-ref"
    assert caught.value.problem.isprintable()


@pytest.mark.parametrize("ref", ["main~1", "HEAD^", "v1^{}", "main@{1}"])
def test_a_commit_that_is_counted_from_another_is_refused_with_the_way_to_its_id(ref: str) -> None:
    with pytest.raises(StoreError) as caught:
        check_ref(ref)
    assert caught.value.problem == f"'{ref}' is counted from another commit, which --ref does not do"
    assert caught.value.hint == f"give the commit itself: `git rev-parse {quote(ref)}` prints it"


def test_what_is_understood_is_said_where_it_is_something_else() -> None:
    with pytest.raises(StoreError) as caught:
        check_ref("a b")
    assert caught.value.hint == "give --ref a tag, a branch, a commit, HEAD, or a pattern of tags as `v1.*`"


def test_a_tag_comes_before_a_branch_of_its_name_as_in_git() -> None:
    assert full_names("v1") == ("refs/v1", "refs/tags/v1", "refs/heads/v1")
    assert full_names("HEAD") == ("HEAD",)
    assert full_names("refs/heads/v1") == ("refs/heads/v1",)


@pytest.mark.parametrize(
    ("tags", "pattern", "expected"),
    [
        (["v1.9", "v1.10", "v1.2"], "v1.*", "v1.10"),
        (["v1.9", "v2.0"], "v1.*", "v1.9"),
        (["v1.2", "v1.2.1"], "v*", "v1.2.1"),
        (["v1.2", "v1.3-rc1"], "v1.*", "v1.2"),
        (["v1.2-rc1", "v1.2-rc10", "v1.2-rc9"], "v1.*", "v1.2-rc10"),
        (["v1.2", "v1.3-rc1"], "v1.3-rc*", "v1.3-rc1"),
        (["v1.2", "v1.2-hotfix"], "v1.*", "v1.2-hotfix"),
        (["2026-01-31", "2026-02-01"], "2026-*", "2026-02-01"),
        (["shop/v1", "shop/v2", "web/v9"], "shop/v*", "shop/v2"),
        (["v1.0b1", "v1.0a3"], "v1.*", "v1.0b1"),
        (["build-a", "v1"], "v?", "v1"),
        (["v1"], "w*", None),
        ([], "*", None),
    ],
)
def test_the_newest_tag_is_that_of_the_highest_version(tags: list[str], pattern: str, expected: str | None) -> None:
    assert newest(tags, pattern) == expected
    assert newest(tags[::-1], pattern) == expected


def test_versions_are_sorted_by_their_numbers_and_releases_above_what_came_before() -> None:
    tags = ["v1.10", "v1.9", "v1.10-rc2", "v1.10-rc10", "v1.10-alpha", "v1", "v01.10"]
    assert sorted(tags, key=version_key) == ["v1", "v1.9", "v1.10-alpha", "v1.10-rc2", "v1.10-rc10", "v01.10", "v1.10"]


def test_what_a_ref_may_be_is_told_by_its_form() -> None:
    assert is_pattern("v1.*")
    assert not is_pattern("v1.2")
    assert is_commit("a" * 40)
    assert is_commit("a" * 64)
    assert not is_commit("a" * 12)
    assert may_be_commit("a" * 12)
    assert not may_be_commit("abc")
    assert not may_be_commit("main")


def test_refs_are_shown_by_their_short_names() -> None:
    assert [short_name(full) for full in ("refs/tags/v1", "refs/heads/a/b", "refs/pull/1/head")] == ["v1", "a/b", "refs/pull/1/head"]

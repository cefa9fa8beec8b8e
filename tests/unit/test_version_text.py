"""What a version may look like: literals and sources, the same for the parser and for the schema."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree import depfile
from dtree.errors import DeclarationError
from dtree.version_text import GIT_FORMS, BadVersion, VersionText, parse_version


@pytest.mark.parametrize("text", ["1.4.2", "v1", "sha256:9f86d0", "2026-03-01 nightly", "feature/x", "1:2:3", "gti:short", "é"])
def test_text_with_any_other_prefix_is_a_literal(text: str) -> None:
    assert parse_version(text) == VersionText("literal", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((f"git:{form}", VersionText("git", form)) for form in GIT_FORMS),
        ("git:short:../api", VersionText("git", "short", "../api")),
        ("git:tag:/srv/git/a:b", VersionText("git", "tag", "/srv/git/a:b")),
        ("env:RELEASE_2", VersionText("env", "RELEASE_2")),
        ("consul:shop/api/version", VersionText("consul", "shop/api/version")),
        ("file:VERSION", VersionText("file", "VERSION")),
    ],
)
def test_a_source_is_taken_apart(text: str, expected: VersionText) -> None:
    assert parse_version(text) == expected


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        ("", "a version is empty", "write one, such as 1.4.2"),
        ("x" * 256, "a version is longer than 255 characters", "shorten it"),
        ("1.4\n", "a version holds a character that cannot be seen, or a space at an end", "remove it"),
        (" 1.4", "a version holds a character that cannot be seen, or a space at an end", "remove it"),
        ("git:shrt", "'git:shrt' names no form of a commit", "did you mean 'git:short'?"),
        ("git:short:", "what stands after 'git:short:' is no path of a repository", "write git:short for the store's own commit"),
        ("git:", "'git:' names no form of a commit", "write one of git:short, git:describe, git:tag, git:full"),
        ("env:1X", "what stands after 'env:' is not the name of an environment variable", "write env:NAME"),
        ("consul:", "what stands after 'consul:' is not the name of a key of Consul", "write consul:NAME"),
        ("file: x", "what stands after 'file:' is not the name of a file of the store", "write file:NAME"),
    ],
)
def test_what_is_no_version_says_why_and_what_to_write(text: str, problem: str, hint: str) -> None:
    with pytest.raises(BadVersion) as caught:
        parse_version(text)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


def _schema() -> re.Pattern[str]:
    entry = depfile.schema()["properties"]["dependencies"]["additionalProperties"]["properties"]
    return re.compile(entry["version"]["anyOf"][0]["pattern"])


@given(
    st.one_of(st.text(max_size=20), st.builds("{}:{}".format, st.sampled_from(["git", "env", "consul", "file", "x"]), st.text(max_size=12)))
)
def test_the_schema_takes_what_the_parser_takes(text: str) -> None:
    try:
        parse_version(text)
        is_taken = True
    except BadVersion:
        is_taken = False
    assert bool(_schema().search(text)) is is_taken


def _version(entry: str) -> str | None:
    return depfile.parse("d.yaml", f"dependencies:\n  api: {entry}\n".encode(), title="shop").entries["api"].version


def test_the_map_of_a_source_is_the_same_as_its_text() -> None:
    assert _version("{version: {git: short}}") == _version('{version: "git:short"}') == "git:short"
    assert _version('{version: {git: "tag:../api"}}') == "git:tag:../api"
    assert _version("{version: {env: RELEASE}}") == "env:RELEASE"


@pytest.mark.parametrize(
    ("entry", "problem", "hint"),
    [
        ("{version: {git: shrt}}", "'git': 'git:shrt' names no form of a commit", "did you mean 'git:short'?"),
        ("{version: {gti: short}}", "'version' is a map, but not a source of a version", "did you mean 'git'?"),
        ("{version: {git: short, env: X}}", "'version' has git and env at once", "keep one of them"),
        ("{version: 1.10}", "'version' must be text, or a map such as {git: short}, not a number", 'put it in quotes: version: "1.10"'),
        ('{version: "git:nope"}', "'version': 'git:nope' names no form of a commit", None),
    ],
)
def test_a_wrong_version_in_the_dependency_file_is_told_with_its_place(entry: str, problem: str, hint: str | None) -> None:
    with pytest.raises(DeclarationError) as caught:
        _version(entry)
    (fault,) = caught.value.faults
    assert fault.problem == problem
    assert hint in (None, fault.hint)
    assert fault.place is not None
    assert fault.place.line == 2

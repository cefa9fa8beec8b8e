"""Files of versions: read with all faults, edited without touching what else stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.errors import DeclarationError, DtreeError
from dtree.versions_file import edit_versions, find_versions_file, read_map, read_versions


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("versions.yaml", b'# all of them\napi: "1.10"\nweb: git:short\n'),
        ("versions.json", b'{"api": "1.10", "web": "git:short"}'),
        ("versions.toml", b'api = "1.10"\nweb = "git:short"\n'),
    ],
)
def test_a_file_of_versions_is_a_map_of_texts_in_three_syntaxes(file: str, data: bytes) -> None:
    found = read_versions(file, data, layer=file)
    assert {job: one.text for job, one in found.items()} == {"api": "1.10", "web": "git:short"}
    place = found["web"].origin.place
    assert place is not None
    assert (place.file, place.line) == (
        file,
        1 if file.endswith("json") else data.decode().splitlines().index(data.decode().splitlines()[-1]) + 1,
    )


@pytest.mark.parametrize("data", [b"", b"# nothing yet\n", b"{}"])
def test_an_empty_file_declares_nothing(data: bytes) -> None:
    assert read_versions("versions.yaml", data, layer="x") == {}


def test_all_faults_are_told_at_once_each_with_its_line() -> None:
    with pytest.raises(DeclarationError) as caught:
        read_versions("versions.yaml", b"api: 1.10\nweb: git:shrt\ndb: [1]\nok: v1\ncache: ''\n", layer="x")
    assert [(fault.code, fault.place.line if fault.place else None, fault.hint) for fault in caught.value.faults] == [
        ("bad-version", 1, 'put it in quotes, as in api: "1.10"'),
        ("bad-version", 2, "did you mean 'git:short'?"),
        ("bad-version", 3, 'put it in quotes, as in api: "1.10"'),
        ("bad-version", 5, "write one, such as 1.4.2"),
    ]


@pytest.mark.parametrize(
    ("file", "data", "code"),
    [
        ("versions.yaml", b"- api\n", "not-a-map"),
        ("versions.yaml", b"api: [\n", "bad-syntax"),
        ("versions.json", b'{"api": "1"', "bad-syntax"),
        ("versions.toml", b"api = \n", "bad-syntax"),
        ("versions.toml", b"\xff", "not-utf-8"),
        ("versions.toml", b"[api]\nx = 1\n", "bad-version"),
        ("versions.toml", b"api = 2026-01-01\n", "bad-version"),
        ("versions.yaml", b"api: null\n", "bad-version"),
        ("versions.yaml", b"api: true\n", "bad-version"),
    ],
)
def test_what_is_no_such_map_is_a_fault(file: str, data: bytes, code: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_versions(file, data, layer="x")
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.faults[0].hint


def test_two_files_of_versions_in_a_store_are_a_fault() -> None:
    assert find_versions_file(()) == ""
    assert find_versions_file(("versions.json",)) == "versions.json"
    with pytest.raises(DeclarationError, match=r"more than one file of versions: versions\.yaml, versions\.toml"):
        find_versions_file(("versions.yaml", "versions.toml"))


YAML = b"# since May\napi: '1.4.1'   # keep this\n\n# a group\nweb: git:short\n\"batch/nightly\": 1.10.0\nold: 2.5\n"
YAML_AFTER = b'# since May\napi: "1.4.2"   # keep this\n\n# a group\nweb: git:short\n"batch/nightly": "1.11"\nold: "2.5"\nnew: "1"\n'
JSON = b'{\n\t"web": "git:short",\n\t"api": "1.4.1"\n}\n'
JSON_AFTER = b'{\n\t"web": "git:short",\n\t"api": "1.4.2",\n\t"new": "1"\n}\n'
TOML = b'# since May\napi = \'1.4.1\' # keep this\n"batch/nightly" = "1"\nweb = "git:short"'
TOML_AFTER = b'# since May\napi = "1.4.2" # keep this\n"batch/nightly" = "1.11"\nweb = "git:short"\nnew = "1"\n"a/b" = "2"\n'


@pytest.mark.parametrize(
    ("file", "before", "versions", "after"),
    [
        ("versions.yaml", YAML, {"api": "1.4.2", "batch/nightly": "1.11", "old": "2.5", "new": "1"}, YAML_AFTER),
        ("versions.json", JSON, {"api": "1.4.2", "new": "1"}, JSON_AFTER),
        ("versions.toml", TOML, {"api": "1.4.2", "batch/nightly": "1.11", "new": "1", "a/b": "2"}, TOML_AFTER),
        ("versions.yaml", b"", {"api": "1"}, b'api: "1"\n'),
        ("versions.yaml", b"# none yet\n", {"api": "1"}, b'# none yet\napi: "1"\n'),
        ("versions.yaml", b"{}\n", {"api": "1", "true": "2"}, b'api: "1"\n"true": "2"\n'),
        ("versions.yaml", b"{api: 1x, web: '2'}", {"api": "1", "db": "3"}, b'{api: "1", web: \'2\', db: "3"}\n'),
        ("versions.yaml", b"api: 1x", {"web": "2"}, b'api: 1x\nweb: "2"\n'),
        ("versions.json", b"", {"api": "1"}, b'{\n  "api": "1"\n}\n'),
        ("versions.json", b'{"api": "1"}', {"web": "2"}, b'{"api": "1", "web": "2"}'),
        ("versions.toml", b"", {"api": "1"}, b'api = "1"\n'),
        ("versions.yaml", b"api: '1'\n", {"api": "1"}, b"api: '1'\n"),
        ("versions.toml", b'api = """\n1""" # one\n', {"api": "2", "web": "1"}, b'api = "2" # one\nweb = "1"\n'),
    ],
)
def test_an_edit_changes_the_value_and_nothing_else(file: str, before: bytes, versions: dict[str, str], after: bytes) -> None:
    assert edit_versions(file, before, versions) == after


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.text("abc123.'\"#:{}\\ é", min_size=1, max_size=8), max_size=5),
    st.sampled_from(["yaml", "json", "toml"]),
)
def test_what_is_written_is_read_back(versions: dict[str, str], suffix: str) -> None:
    file = f"versions.{suffix}"
    written = {job: version for job, version in versions.items() if job.isprintable()}
    assert read_map(file, edit_versions(file, b"", written))[0] == written
    assert read_map(file, edit_versions(file, edit_versions(file, b"", written), {"api": "9"}))[0] == {**written, "api": "9"}


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("versions.yaml", b"api: &a 1x\nweb: *a\n"),
        ("versions.yaml", b"api:\n- 1\n"),
        ("versions.toml", b'[x]\ny = "1"\n'),
        ("versions.yaml", b"---\nweb: x\n...\n"),
    ],
)
def test_what_cannot_be_edited_line_by_line_is_left_alone(file: str, data: bytes) -> None:
    with pytest.raises(DtreeError) as caught:
        edit_versions(file, data, {"web" if b"web: *" in data else "api": "2"})
    assert caught.value.error_code == "versions-not-editable"
    assert caught.value.hint

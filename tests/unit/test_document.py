"""Reading a dependency file's text: JSON and YAML, every value with its line and column."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dtree.document import BROKEN, MAX_BYTES, MAX_DEPTH, Document, dotted, json_syntax, nodes, quote, read

JSON_TEXT = b"""{
  "dependencies": {
    "nginx": {"pre": ["api", {"job": "db"}]},
    "\xc3\xa4pi": {}
  }
}
"""
YAML_TEXT = b"""# jobs
dependencies:
  nginx:
    pre: [api, {job: db}]
  \xc3\xa4pi: {}
"""


@pytest.fixture(params=["libyaml", "pure Python"])
def _each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param == "libyaml")


def _read_yaml(text: str) -> Any:
    document = read("d.yaml", text.encode())
    assert document.faults == ()
    return document.value


def _codes(document: Document) -> list[str]:
    return [fault.code for fault in document.faults]


def _positions(document: Document) -> list[tuple[int | None, int | None]]:
    return [(fault.place.line, fault.place.column) for fault in document.faults if fault.place]


def _json_within(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


# -- values -----------------------------------------------------------------------------------------------------------


def test_json_and_yaml_give_the_same_values() -> None:
    expected = {"dependencies": {"nginx": {"pre": ["api", {"job": "db"}]}, "äpi": {}}}
    assert expected == read("d.json", JSON_TEXT).value == read("d.yaml", YAML_TEXT).value == read("d.YML", YAML_TEXT).value


def test_a_file_without_a_suffix_is_json_if_it_parses_as_that_else_yaml() -> None:
    assert read("kv:shop/dependency", JSON_TEXT).value == read("kv:shop/dependency", YAML_TEXT).value


def test_a_file_without_a_suffix_that_is_json_with_faults_is_judged_as_json() -> None:
    assert _codes(read("d", b'{"a": 1, "a": 2}')) == ["duplicate-key"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [(b'{"a": 1', "close what is open with }"), (b'[1, "a', 'close it with a double quote: "'), (b"a: @b", "put it in quotes")],
)
def test_a_file_without_a_suffix_that_is_neither_is_explained_as_what_it_looks_like(text: bytes, hint: str) -> None:
    assert [fault.hint for fault in read("d", text).faults] == [hint]


def test_a_byte_order_mark_is_allowed_and_shifts_no_column() -> None:
    document = read("d.json", b"\xef\xbb\xbf" + b'{"a": 1}')
    assert document.value == {"a": 1}
    assert document.place(("a",)).column == 7


@pytest.mark.usefixtures("_each_parser")
def test_yaml_scalars_follow_the_core_rules_of_yaml_1_2() -> None:
    assert _read_yaml("{a: on, b: yes, c: No, d: 1:30, e: 2024-01-01, f: 1_000, g: 0b1, h: '5', i: =, j: <<}") == {
        "a": "on", "b": "yes", "c": "No", "d": "1:30", "e": "2024-01-01", "f": "1_000", "g": "0b1", "h": "5", "i": "=", "j": "<<",
    }  # fmt: skip
    assert _read_yaml("[]: 1".replace("[]", "x") + "\na: [true, False, null, ~, '', 10, -010, 0o17, 0x1F, 1.5, .5, 1e3, +2.]\nb:\n") == {
        "x": 1,
        "a": [True, False, None, None, "", 10, -10, 15, 31, 1.5, 0.5, 1000.0, 2.0],
        "b": None,
    }


@pytest.mark.usefixtures("_each_parser")
def test_yaml_keys_are_always_text() -> None:
    assert _read_yaml("{5: a, true: b, null: c, 1.10: d, ~: e, '<<': f}") == {
        "5": "a", "true": "b", "null": "c", "1.10": "d", "~": "e", "<<": "f",
    }  # fmt: skip


@pytest.mark.usefixtures("_each_parser")
def test_an_alias_repeats_its_anchor() -> None:
    assert _read_yaml("a: &x {b: [1]}\nc: *x\nd: &y text\ne: *y") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": "text", "e": "text"}


@pytest.mark.usefixtures("_each_parser")
def test_merge_keys_fill_in_what_a_map_lacks_and_the_first_map_wins() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 3}\nd: {<<: *b}\n"
    value = _read_yaml(text)
    assert value["c"] == {"x": 3, "y": 1, "z": 2}
    assert value["d"] == {"y": 2, "z": 2}
    assert value["b"] == {"y": 2, "z": 2}


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c), max_leaves=10
        ),
    )
)
def test_the_slow_json_reader_agrees_with_the_fast_one(value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1)
    assert Document.compose("d.json", text, "json").value == read("d.json", text.encode()).value == value


@given(st.binary() | st.text(alphabet="{}[]\":,\\ue\n -0.5tfnx#&*!<?|>%@'").map(str.encode), st.sampled_from(["d.json", "d.yaml", "d"]))
def test_reading_never_raises_and_gives_a_value_or_faults(data: bytes, file: str) -> None:
    document = read(file, data)
    assert document.value is not None or document.faults
    document.place(("a", 0))


# -- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), "d.json:1:1"),
        (("dependencies",), "d.json:2:19, dependencies"),
        (("dependencies", "nginx", "pre"), "d.json:3:22, dependencies.nginx.pre"),
        (("dependencies", "nginx", "pre", 0), "d.json:3:23, dependencies.nginx.pre[0]"),
        (("dependencies", "nginx", "pre", 1, "job"), "d.json:3:38, dependencies.nginx.pre[1].job"),
        (("dependencies", "äpi"), "d.json:4:12, dependencies.'äpi'"),
        (("dependencies", "none", "pre"), "d.json:2:19, dependencies.none.pre"),
    ],
)
def test_a_value_of_json_has_its_place(path: tuple[str | int, ...], expected: str) -> None:
    assert str(read("d.json", JSON_TEXT).place(path)) == expected


@pytest.mark.usefixtures("_each_parser")
def test_a_value_of_yaml_has_its_place() -> None:
    document = read("d.yaml", YAML_TEXT)
    assert str(document.place(("dependencies", "nginx", "pre", 1, "job"))) == "d.yaml:4:22, dependencies.nginx.pre[1].job"
    assert str(document.place(("dependencies", "äpi"))) == "d.yaml:5:8, dependencies.'äpi'"


def test_a_key_has_its_place_in_json_and_yaml() -> None:
    path = ("dependencies", "nginx", "pre")
    assert str(read("d.json", JSON_TEXT).place(path, of_key=True)) == "d.json:3:15, dependencies.nginx.pre"
    assert str(read("d.yaml", YAML_TEXT).place(path, of_key=True)) == "d.yaml:4:5, dependencies.nginx.pre"


def test_a_merged_value_stands_where_it_was_written_and_an_alias_where_it_is_used() -> None:
    document = read("d.yaml", b"a: &a {x: 1}\nb:\n  <<: *a\nc: *a\n")
    assert str(document.place(("b", "x"))) == "d.yaml:1:11, b.x"
    assert str(document.place(("b", "x"), of_key=True)) == "d.yaml:1:8, b.x"
    assert str(document.place(("c",))) == "d.yaml:4:4, c"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_counts_as_one(end: str) -> None:
    for file in ("d.json", "d.yaml"):
        text = end.join(["{", '"\U0001f600": {', '"a": "\U0001f600", "b": 1', "}}"])
        assert str(read(file, text.encode()).place(("\U0001f600", "b"))) == f"{file}:3:16, '\U0001f600'.b"


def test_a_document_that_could_not_be_read_still_answers() -> None:
    assert str(read("d.json", b"\xff").place(("a",))) == "d.json:1:1, a"


def test_an_unusual_key_is_shown_in_quotes_and_a_long_path_cut() -> None:
    assert dotted(("a", "b c", 0, "it's", "x\n")) == "a.'b c'[0].\"it's\".'x\\n'"
    assert quote("x" * 100) == "'" + "x" * 60 + "…'"
    assert len(dotted(("abc",) * 100)) == 161


# -- faults -----------------------------------------------------------------------------------------------------------


def test_bytes_that_are_not_utf_8_are_placed() -> None:
    document = read("d.json", "{\n 'ä': ".encode() + b"\xe4}")
    assert [str(fault) for fault in document.faults] == [
        "error[not-utf-8]: the byte 0xE4 here is not UTF-8\n  --> d.json:2:7\n  hint: save the file as UTF-8"
    ]


def test_utf_16_is_not_utf_8() -> None:
    assert _codes(read("d.json", '{"a": 1}'.encode("utf-16"))) == ["not-utf-8"]


def test_a_file_above_the_limit_is_refused_and_one_at_the_limit_read() -> None:
    assert read("d.json", b'{"a": 1}'.ljust(MAX_BYTES)).value == {"a": 1}
    document = read("d.json", b'{"a": 1}'.ljust(MAX_BYTES + 1))
    assert [str(fault) for fault in document.faults] == [
        "error[too-large]: the file is larger than 16 MiB\n  --> d.json\n  hint: split it into several dependency files"
    ]


@pytest.mark.parametrize("file", ["d.json", "d.yaml"])
def test_nesting_is_read_up_to_the_limit_and_refused_beyond(file: str) -> None:
    assert _codes(read(file, _json_within(MAX_DEPTH))) == []
    document = read(file, _json_within(MAX_DEPTH + 1))
    assert _codes(document) == ["too-deep"]
    assert _positions(document) == [(1, 5 * MAX_DEPTH + 1)]


@pytest.mark.parametrize("file", ["d.json", "d.yaml", "d"])
@pytest.mark.parametrize("start", [b"[", b'{"a":'])
def test_nesting_without_end_exhausts_nothing(file: str, start: bytes) -> None:
    assert _codes(read(file, start * 100_000)) == ["too-deep"]


def test_nesting_through_aliases_counts_too() -> None:
    nested = "a: &a " + "[" * 60 + "]" * 60 + "\n"
    assert _codes(read("d.yaml", (nested + "b: " + "[" * 39 + "*a" + "]" * 39).encode())) == []
    assert _codes(read("d.yaml", (nested + "b: " + "[" * 40 + "*a" + "]" * 40).encode())) == ["too-deep"]


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    document = read("d.yaml", "\n".join(levels).encode())
    assert _codes(document) == ["too-large"]
    assert document.value is None


def test_values_are_read_up_to_the_limit_and_refused_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (nodes, json_syntax):
        monkeypatch.setattr(module, "MAX_VALUES", 1000)
    for file in ("d.json", "d.yaml"):
        assert _codes(read(file, b'{"a": [' + b"0, " * 997 + b"0]}")) == []
        assert _codes(read(file, b'{"a": [' + b"0, " * 998 + b"0]}")) == ["too-large"]


def test_duplicate_keys_name_the_first_place_and_the_last_value_stays() -> None:
    for file in ("d.json", "d.yaml"):
        document = read(file, b'{"a": {"b": 1},\n "c": 2, "a": {"b": 3, "b": 4}}')
        assert [fault.problem for fault in document.faults] == [
            "the key 'a' stands here a second time; the first is at line 1, column 2",
            "the key 'b' stands here a second time; the first is at line 2, column 16",
        ]
        assert _positions(document) == [(2, 10), (2, 24)]
        assert document.value == {"a": {"b": 4}, "c": 2}


def test_two_merge_keys_in_a_map_are_duplicates() -> None:
    assert _codes(read("d.yaml", b"a: &a {x: 1}\nb: {<<: *a, <<: *a}")) == ["duplicate-key"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000])
def test_numbers_that_are_none_are_broken_and_the_rest_is_read_on(number: str) -> None:
    document = read("d.json", f'{{"a": [1, {number}, 2]}}'.encode())
    assert _codes(document) == ["bad-number"]
    assert document.value == {"a": [1, BROKEN, 2]}


@pytest.mark.parametrize("number", [".inf", "-.Inf", ".nan", "1e999", "1" * 5000, "0x" + "f" * 5000])
def test_numbers_of_yaml_that_are_none_are_broken_unless_quoted(number: str) -> None:
    finite = number.startswith("0x")  # a hexadecimal number has no such limit
    assert _codes(read("d.yaml", f"a: {number}".encode())) == ([] if finite else ["bad-number"])
    assert _codes(read("d.yaml", f"a: '{number}'".encode())) == []


@pytest.mark.usefixtures("_each_parser")
def test_half_a_surrogate_pair_is_a_fault_and_a_whole_one_is_text() -> None:
    assert read("d.json", b'{"a": "\\ud83d\\ude00"}').value == {"a": "\U0001f600"}
    assert _codes(read("d.json", b'{"a": "\\ud83d", "\\ude00": 1}')) == ["bad-text", "bad-text"]
    assert _codes(read("d.yaml", b'a: "\\ud83d"')) in (["bad-text"], ["bad-syntax"])


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize("text", ["a: !!str 5", "a: !x {b: 1}", "a: !<tag:x> [1]", "a: ! b", "!k a: 1"])
def test_every_tag_is_a_fault(text: str) -> None:
    assert _codes(read("d.yaml", text.encode())) == ["yaml-tag"]


@pytest.mark.usefixtures("_each_parser")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: *b", "bad-alias"),
        ("a: &a [*a]", "bad-alias"),
        ("a: {<<: 5}", "bad-merge"),
        ("a: {<<: [{b: 1}, c]}", "bad-merge"),
        ("a: {<<: *none}", "bad-alias"),
        ("a: &a b\n*a : c", "bad-syntax"),
        ("[a]: b", "bad-syntax"),
        ("? {a: b}\n: c", "bad-syntax"),
        ("a: 1\n--- {}\n", "several-documents"),
        ("a: b: c", "bad-syntax"),
        ("a: 'b", "bad-syntax"),
        ("a: [b", "bad-syntax"),
        ("a:\n\t- b", "bad-syntax"),
        ("a: b\n c: d\n  e", "bad-syntax"),
        ("a: `b`", "bad-syntax"),
        ("a: \x07", "bad-syntax"),
        ("a: [b\n---\nc", "bad-syntax"),
        ("a: b\n]", "bad-syntax"),
        ("", "empty-file"),
        ("# nothing", "empty-file"),
        ("---", "not-a-map"),
        ("- a", "not-a-map"),
    ],
)
def test_what_yaml_must_not_hold_is_one_fault(text: str, code: str) -> None:
    assert _codes(read("d.yaml", text.encode())) == [code]


def test_a_later_yaml_document_leaves_the_first_readable() -> None:
    assert read("d.yaml", b"a: 1\n---\nb: 2").value == {"a": 1}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b'{"a": "\x01"}', (1, 8)),
        (b'{"a": "b\\x"}', (1, 9)),
        (b'{"a": "b\n"}', (1, 7)),
        (b'{"a": "b', (1, 7)),
        (b'{"a": 1 "b"}', (1, 9)),
        (b'{"a" 1}', (1, 6)),
        (b"{a: 1}", (1, 2)),
        (b'{"a": 01}', (1, 8)),
        (b'{"a": -}', (1, 7)),
        (b'{"a": tru}', (1, 7)),
        (b'{"a": True}', (1, 7)),
        (b'{"a": +1}', (1, 7)),
        (b'{"a": .5}', (1, 7)),
        (b'{"a": [1,]}', (1, 10)),
        (b'{"a": 1,}', (1, 9)),
        (b'{"a": [1}', (1, 9)),
        (b'{"a": 1}}', (1, 9)),
        (b'{"a": 1} # b', (1, 10)),
        (b'{"a": 1, // b\n}', (1, 10)),
        (b"{'a': 1}", (1, 2)),
        (b'{"a": }', (1, 7)),
        (b"\x00", (1, 1)),
    ],
)
def test_bad_json_is_one_fault_at_the_character_that_is_wrong(text: bytes, position: tuple[int, int]) -> None:
    document = read("d.json", text)
    assert _codes(document) == ["bad-syntax"]
    assert _positions(document) == [position]
    assert document.faults[0].hint


@pytest.mark.parametrize("text", [b"", b" \n"])
def test_an_empty_json_file_is_a_fault(text: bytes) -> None:
    assert _codes(read("d.json", text)) == ["empty-file"]


@pytest.mark.parametrize("text", [b"[]", b'"a"', b"5", b"null"])
def test_json_without_a_map_at_the_top_is_a_fault(text: bytes) -> None:
    assert _codes(read("d.json", text)) == ["not-a-map"]


def test_numbers_that_would_be_written_otherwise_are_found_below_a_path() -> None:
    text = b"a: &a {x: 1.10, y: [1.5, 007, '007', 10, -1, +1]}\nb: *a\nc: {<<: *a, z: [0x1F, 1e3, .5]}\nd: 1.20\n"
    document = read("d.yaml", text)
    shared = [("x",), ("y", 1), ("y", 5)]
    assert list(document.odd_numbers(("a",))) == [("a", *path) for path in shared]
    assert list(document.odd_numbers(("b",))) == [("b", *path) for path in shared]
    assert set(document.odd_numbers(("c",))) == {*(("c", *path) for path in shared), *(("c", "z", index) for index in range(3))}
    assert list(document.odd_numbers(("nowhere", "z"))) == []
    assert list(read("d.json", b'{"a": 1, "b": {"c": [1.0, 1.00]}}').odd_numbers(())) == [("b", "c", 1)]
    assert list(read("d.json", b'{"a": 1, "b": -7}').odd_numbers(())) == []
    json = read("d.json", b'{"a": {"b": 1.10}, "c": 1.50}')
    assert [list(json.odd_numbers(path)) for path in (("a",), ("c",), ("c", "x"), ("nowhere", "x"))] == [[("a", "b")], [("c",)], [], []]


@pytest.mark.parametrize("text", [b'{"a": [1,, 2]}', b'{"a": [, 1]}', b'{, "a": 1}'])
def test_a_comma_too_many_in_json_is_told_as_that(text: bytes) -> None:
    (fault,) = read("f.json", text).faults
    assert (fault.code, fault.hint) == ("bad-syntax", "remove the comma")

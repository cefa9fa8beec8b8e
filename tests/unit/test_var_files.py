"""Files of values: four languages, one meaning; every fault with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dtree.errors import DeclarationError, DtreeError, Place, UsageError
from dtree.values import Given
from dtree.var_files import SUFFIXES, read_values


def layer(folder: Path, name: str, text: str | bytes) -> dict[str, Given]:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return dict(read_values(file, shown=name))


def values(folder: Path, name: str, text: str | bytes) -> dict[str, Any]:
    return {key: one.value for key, one in layer(folder, name, text).items()}


def faults(folder: Path, name: str, text: str | bytes) -> list[tuple[str, str]]:
    with pytest.raises(DeclarationError) as caught:
        layer(folder, name, text)
    return [(fault.code, str(fault.place)) for fault in caught.value.faults]


SAME = {"image": "api:1.2", "count": 3, "rate": -1.5, "on": True, "ports": [80, {"label": "x y"}], "empty": {}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"image": "api:1.2", "count": 3, "rate": -1.5, "on": true, "ports": [80, {"label": "x y"}], "empty": {}}'),
        ("a.yaml", "image: api:1.2\ncount: 3\nrate: -1.5\non: true\nports: [80, {label: x y}]\nempty: {}\n"),
        ("a.yml", "image: api:1.2\ncount: 3\nrate: -1.5\non: true\nports:\n- 80\n- label: x y\nempty: {}\n"),
        ("a.toml", 'image = "api:1.2"\ncount = 3\nrate = -1.5\non = true\nports = [80, {label = "x y"}]\n[empty]\n'),
        ("a.hcl", 'image = "api:1.2"\ncount = 3\nrate = -1.5\non = true\nports = [80, {\n label = "x y" }]\nempty = {}\n'),
        ("a.tfvars", '# c\nimage = "api:1.2" # c\ncount = (3)\nrate = -1.5\non = true\nports = [80, {"label" : "x y"},]\nempty = {}'),
        ("a.tfvars.json", '{"image": "api:1.2", "count": 3, "rate": -1.5, "on": true, "ports": [80, {"label": "x y"}], "empty": {}}'),
        ("A.VARS", 'image = "api:1.2"\r\ncount = 3\r\nrate = -1.5\r\non = true\r\nports = [80, {label = "x y"}]\r\nempty = {}\r\n'),
    ],
)
def test_all_languages_say_the_same(tmp_path: Path, name: str, text: str) -> None:
    assert values(tmp_path, name, text) == SAME
    assert values(tmp_path, name, b"\xef\xbb\xbf" + text.encode()) == SAME


def test_each_value_knows_file_and_line(tmp_path: Path) -> None:
    shown = {
        name: str(layer(tmp_path, name, text)["b"].origin)
        for name, text in {
            "a.json": '{"a": 1,\n "b": 2}',
            "a.yaml": "a: 1\nb: 2\n",
            "a.toml": "a = 1\nb = 2\n",
            "a.hcl": "a = 1\nb = 2\n",
        }.items()
    }
    assert shown == {
        "a.json": "--var-file (a.json:2:2, b)",
        "a.yaml": "--var-file (a.yaml:2:1, b)",
        "a.toml": "--var-file (a.toml:2:1, b)",
        "a.hcl": "--var-file (a.hcl:2:1, b)",
    }


def test_text_in_hcl_is_read_with_its_escapes(tmp_path: Path) -> None:
    text = 'a = "\\"q\\" \\\\ \\t \\u00e9 \\U0001F600 $${x} %%{y} $5"\n'
    text += "b = <<EOT\nx $${y}\n z\nEOT\nc = <<-EOT\n    x\n      y\n    EOT\nd = null\n"
    assert values(tmp_path, "a.hcl", text) == {"a": '"q" \\ \t é 😀 ${x} %{y} $5', "b": "x ${y}\n z\n", "c": "x\n  y\n", "d": None}


def test_the_keys_of_maps_in_hcl_are_those_that_nomad_makes_of_them(tmp_path: Path) -> None:
    text = 'm = { true = 1, null = 2, (false) = 3, 1 = 4, 1.50 = 5, 1e3 = 6, 1e-7 = 7, -1 = 8, "a b" = 9, c = 10 }\n'
    keys = ["true", "null", "false", "1", "1.5", "1000", "0.0000001", "-1", "a b", "c"]
    assert list(values(tmp_path, "a.hcl", text)["m"]) == keys


@pytest.mark.parametrize("key", ["[1]", "{}", "(null)"])
def test_what_is_no_text_is_no_key_in_hcl(tmp_path: Path, key: str) -> None:
    assert faults(tmp_path, "a.hcl", f"m = {{\n  {key} = 1\n}}\n") == [("no-plain-value", "a.hcl:2:3")]


@pytest.mark.parametrize("name", ["a.yaml", "a.toml", "a.hcl"])
def test_an_empty_file_gives_nothing(tmp_path: Path, name: str) -> None:
    assert values(tmp_path, name, "# nothing yet\n") == {}


@pytest.mark.parametrize(
    "expression", ["1 + 2", 'upper("x")', "var.x", '"${x}"', "x ? 1 : 2", "[for x in [1] : x]", "!true", '-"x"', "{(a) = 1}"]
)
def test_an_expression_is_no_value(tmp_path: Path, expression: str) -> None:
    assert [code for code, _ in faults(tmp_path, "a.hcl", f"a = 1\nb = {expression}\n")] == ["no-plain-value"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.hcl", "a = 1\nb {\n  c = 1\n}\nd = var.x\n", [("no-plain-value", "a.hcl:2:1"), ("no-plain-value", "a.hcl:5:5")]),
        ("a.hcl", "a = 1\na = 2\n", [("duplicate-key", "a.hcl:2:1, a")]),
        ("a.hcl", "a = 1 b = 2\n", [("bad-syntax", "a.hcl:1:7, b")]),
        ("a.hcl", "a = 1\nb = \n", [("bad-syntax", "a.hcl:2:5")]),
        ("a.hcl", 'a = "x\n', [("bad-syntax", "a.hcl:1:6")]),
        ("a.hcl", 'a = "\\q"\n', [("no-plain-value", "a.hcl:1:6")]),
        ("a.hcl", 'a = "\\ud800"\n', [("no-plain-value", "a.hcl:1:6")]),
        ("a.hcl", "a = 1e999\n", [("no-plain-value", "a.hcl:1:5")]),
        ("a.hcl", "a = " + "[" * 5000 + "]" * 5000, [("too-deep", "a.hcl")]),
        ("a.hcl", b"a = 1\nb = \xff", [("not-utf-8", "a.hcl:2:1")]),
        ("a.toml", "a = 1\nb = [2026-01-01]\n", [("no-plain-value", "a.toml:2:1, b")]),
        ("a.toml", "a = 1\nb = inf\n", [("no-plain-value", "a.toml:2:1, b")]),
        ("a.toml", "a = 1\nb = !\n", [("bad-syntax", "a.toml:2:5")]),
        ("a.json", "[1]", [("not-a-map", "a.json:1:1")]),
        ("a.json", "", [("empty-file", "a.json:1:1")]),
        ("a.yaml", "a: 1\na: 2\n", [("duplicate-key", "a.yaml:2:1, a")]),
        ("a.yaml", "a: 1\nversion: 2\nb-c: 3\n", [("bad-name", "a.yaml:2:1, version"), ("bad-name", "a.yaml:3:1, b-c")]),
        ("a.yaml", "a: 1.10\nb: [007, 1.5]\n", [("bad-number", "a.yaml:1:4, a"), ("bad-number", "a.yaml:2:5, b[0]")]),
        ("a.json", '{"a": 1.5, "b": 1.0, "c": [1.10]}', [("bad-number", "a.json:1:28, c[0]")]),
        ("a.toml", "commit_date = 1\n", [("bad-name", "a.toml:1:1, commit_date")]),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, name: str, text: str | bytes, expected: list[tuple[str, str]]) -> None:
    assert faults(tmp_path, name, text) == expected


@pytest.mark.parametrize("name", ["a.hcl", "a.yaml", "a.json", "a.toml"])
def test_what_a_value_says_is_in_no_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(DtreeError) as caught:
        layer(tmp_path, name, 'a = "hunter2hunter2\nb: hunter2hunter2 "x" = hunter2hunter2\n')
    assert "hunter2" not in str(caught.value)


def test_the_hint_of_a_file_at_fault_speaks_of_values(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        layer(tmp_path, "a.json", "[]")
    (fault,) = caught.value.faults
    assert (fault.place, fault.hint) == (Place("a.json", 1, 1), "write NAME: VALUE, a line for each")


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.yaml cannot be read: No such file"):
        read_values(tmp_path / "no.yaml", shown="no.yaml")
    with pytest.raises(UsageError, match=r"what a\.txt holds is not clear") as caught:
        read_values(tmp_path / "a.txt", shown="a.txt")
    assert all(suffix in caught.value.hint for suffix in SUFFIXES)

"""dtree.hcl_tokens: strings and heredocs of a job file, with the blocks around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.hcl_tokens import block_texts, end_of_block


def found(source: str) -> list[tuple[tuple[tuple[str, ...], ...], str, str]]:
    return [(one.blocks, one.key, one.text) for one in block_texts(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('a = "x"', [((), "a", "x")]),
        ('job "api" {\n  a = "x"\n}', [((("job", "api"),), "a", "x")]),
        ('job "api" { group "g" { a = "x" } b = "y" }', [((("job", "api"), ("group", "g")), "a", "x"), ((("job", "api"),), "b", "y")]),
        ('a = ["x", { b = "y" }, f("z")]\nc = "w"', [((), "a", "x"), ((), "a", "y"), ((), "a", "z"), ((), "c", "w")]),
        ('a = [\n  "x", # "no"\n  "y",\n]', [((), "a", "x"), ((), "a", "y")]),
        ('a = <<EOT\nline "quoted" }\nEOT\nb = "x"', [((), "a", '<<EOT\nline "quoted" }\nEOT'), ((), "b", "x")]),
        ('a = "x ${f("}")} y"', [((), "a", 'x ${f("}")} y')]),
        ('a = "x\nb = "y"\nc = "z"', [((), "a", "x"), ((), "a", "y"), ((), "c", "z")]),  # a quote that is missing
        (r'a = "x \" y"', [((), "a", r"x \" y")]),
        ('a = "x ', [((), "a", "x")]),  # the text ends before it
        ('= "y"\n"a" "b"', []),
        ("/* a = 'x' */ // b\n", []),
        ('} a = "x"', [((), "a", "x")]),
    ],
)
def test_texts_are_found_with_their_blocks_and_keys(source: str, expected: object) -> None:
    got = [(blocks, key, text.rstrip("\n")) for blocks, key, text in found(source)]
    assert got == expected


def test_a_text_says_where_it_begins() -> None:
    source = 'job "api" {\n  a = "x"\n}'
    assert [source[one.start :] for one in block_texts(source)] == ['x"\n}']


def test_a_block_without_an_end_goes_to_the_end_of_the_text() -> None:
    assert end_of_block("{ a }", 1) == 4
    assert end_of_block("{ a { }", 1) == 7
    assert end_of_block("{ a", 1) == 3


@given(st.text(alphabet='ab{}[]()"\n=<E#/*\\$ ', max_size=60))
def test_any_text_is_read_to_its_end(source: str) -> None:
    assert all(0 <= one.start <= len(source) for one in block_texts(source))

"""Where keys and values stand in TOML."""

from __future__ import annotations

import pytest

from dtree import toml
from dtree.errors import DeclarationError

TRIPLE = '"""'
TEXT = f"""\
# a = 1
"a.b" = "1"   # the job a.b
'c d' = '''
web = "no key"
[neither]
'''
deep.er = {{x = 1, y = [
  2, # ] no end
  "]",
]}}
  web = {TRIPLE}a{TRIPLE}"" # two quotes more

[table.'x.y']
key = 1979-05-27 07:32:00  # a date
[[many]]
[ spaced . name ]
"""


@pytest.mark.parametrize(
    ("key", "place"),
    [
        (("a.b",), (2, 1)),
        (("a",), (None, None)),
        (("c d",), (3, 1)),
        (("neither",), (None, None)),
        (("deep",), (7, 1)),
        (("deep", "er"), (7, 1)),
        (("deep", "er", "x"), (None, None)),
        (("web",), (11, 3)),
        (("table",), (13, 1)),
        (("table", "x.y", "key"), (14, 1)),
        (("many",), (15, 1)),
        (("spaced", "name"), (16, 1)),
    ],
)
def test_a_key_is_found_where_it_is_written(key: tuple[str, ...], place: tuple[int | None, int | None]) -> None:
    toml.parse("x", TEXT)
    assert toml.position(TEXT, key) == place


def test_a_value_goes_from_its_first_character_to_its_last() -> None:
    assert {one.key: TEXT[slice(*one.value)] for one in toml.written(TEXT) if one.value} == {
        ("a.b",): '"1"',
        ("c d",): "'''\nweb = \"no key\"\n[neither]\n'''",
        ("deep", "er"): '{x = 1, y = [\n  2, # ] no end\n  "]",\n]}',
        ("web",): f'{TRIPLE}a{TRIPLE}""',
        ("table", "x.y", "key"): "1979-05-27 07:32:00",
    }


def test_what_is_no_toml_has_a_place_and_what_is_no_text_too() -> None:
    for data, code, line in ((b"a = 1\nb = \n", "bad-syntax", 2), (b"a = 1\n\xff", "not-utf-8", 2)):
        with pytest.raises(DeclarationError) as caught:
            toml.read("x.toml", data, hint="mend it")
        (fault,) = caught.value.faults
        assert (fault.code, fault.place.line if fault.place else None, bool(fault.hint)) == (code, line, True)

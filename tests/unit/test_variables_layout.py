"""How files lie in Nomad's Variables: nothing is lost, nothing is too large, a small change changes little, and damage shows."""

from __future__ import annotations

import pytest
from dtree_stores import variables_layout as layout
from hypothesis import given
from hypothesis import strategies as st

PATHS = st.lists(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1), min_size=1).map("/".join)
BIG = 3 * layout.LIMIT_BYTES


def sizes(packed: layout.Packed) -> list[int]:
    variables = [packed.index, *packed.shards.values()]
    return [sum(len(key.encode()) + len(value.encode()) for key, value in items.items()) for items in variables]


def unpacked(packed: layout.Packed) -> dict[str, bytes]:
    return layout.unpack(packed.index, [packed.shards[name] for name in layout.shard_names(packed.index)])


@given(st.dictionaries(PATHS, st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)))
def test_files_of_any_name_and_content_come_back_as_they_were(files: dict[str, bytes]) -> None:
    packed = layout.pack(files)
    assert unpacked(packed) == files
    assert {layout.name_of(shard) for shard in packed.shards.values()} == set(packed.shards)


@pytest.mark.parametrize("data", [b"x" * BIG, "\u00e9".encode() * BIG, "\U0001f600a".encode() * BIG, bytes(range(256)) * 1000])
def test_a_file_larger_than_a_variable_is_cut_between_characters(data: bytes) -> None:
    packed = layout.pack({"big": data, "small": b"s"})
    assert unpacked(packed) == {"big": data, "small": b"s"}
    assert max(sizes(packed)) <= layout.LIMIT_BYTES


@pytest.mark.parametrize("size", [layout.LIMIT_BYTES - 8, layout.LIMIT_BYTES - 7, layout.LIMIT_BYTES - 6, layout.LIMIT_BYTES])
def test_no_variable_is_larger_than_nomad_takes_at_the_edge(size: int) -> None:
    packed = layout.pack({"a": b"x" * size, "b": b"y"})
    assert unpacked(packed) == {"a": b"x" * size, "b": b"y"}
    assert max(sizes(packed)) <= layout.LIMIT_BYTES


def test_text_stays_readable_and_only_other_bytes_are_coded() -> None:
    (shard,) = layout.pack({"jobs/api.nomad": b'job "api" {}', "logo.png": b"\xff"}).shards.values()
    assert shard == {"jobs/api.nomad": 'job "api" {}', "logo.png//base64": "/w=="}


def test_the_index_leads_to_the_shard_of_a_path() -> None:
    packed = layout.pack({f"jobs/{number:04}.nomad": b"x" * 1000 for number in range(500)})
    first = max(key for key in packed.index if key <= "jobs/0321.nomad")
    assert "jobs/0321.nomad" in packed.shards[packed.index[first]]


def test_the_same_files_are_the_same_variables_in_whatever_order_they_come() -> None:
    files = {f"jobs/{number:04}.nomad": b"x" * number for number in range(500)}
    assert layout.pack(files) == layout.pack(dict(reversed(files.items())))


def test_two_thousand_jobs_are_few_variables() -> None:
    packed = layout.pack({f"jobs/{number:04}.nomad": b"x" * 2000 for number in range(2000)})
    assert len(packed.shards) < 120


def test_one_more_file_among_thousands_changes_few_shards() -> None:
    files = {f"jobs/{number:04}.nomad": b"x" * 2000 for number in range(2000)}
    before = layout.pack(files).shards
    for name in ("jobs/0000a.nomad", "jobs/0777a.nomad", "zzz"):
        after = layout.pack({**files, name: b"x" * 2000}).shards
        assert len(set(after) - set(before)) <= 5


@pytest.mark.parametrize(
    ("path", "why"), [("jobs/\udcff.nomad", "is no text"), ("x" * 5000, "is longer than 4096 bytes")], ids=["no text", "too long"]
)
def test_a_path_that_no_item_can_have_is_refused(path: str, why: str) -> None:
    with pytest.raises(layout.DoesNotFit, match=why):
        layout.pack({path: b""})


def test_more_than_an_index_can_name_is_refused() -> None:
    with pytest.raises(layout.DoesNotFit, match="2000 files of 120 MB together are more"):
        layout.pack({f"jobs/{number}": b"x" * 60_000 for number in range(2000)})


FILES = {"a": b"a", "b": b"\xff", "c": b"c" * BIG}


def test_a_lost_or_changed_shard_shows() -> None:
    packed = layout.pack(FILES)
    shards = [packed.shards[name] for name in layout.shard_names(packed.index)]
    broken = [shards[1:], shards[:-1], [*shards, {"d": "more"}], [{**shards[0], "a": "b"}, *shards[1:]], []]
    for some in broken:
        with pytest.raises(layout.Damaged, match="digest"):
            layout.unpack(packed.index, some)


@pytest.mark.parametrize("items", [{"a//base64": "no base 64!"}, {"a//base64": "\u00e9"}, {"a//b": ""}, {"//x": ""}, {"": ""}])
def test_an_item_that_was_not_written_by_a_store_shows(items: dict[str, str]) -> None:
    with pytest.raises(layout.Damaged):
        layout.unpack({}, [items])


@pytest.mark.parametrize(
    ("index", "why"),
    [
        ({}, "//format is None, where this version knows '1'"),
        ({"//format": "2"}, "//format is '2'"),
        ({"//format": "1", "a": "../../secret"}, "'../../secret', which is no shard"),
    ],
)
def test_what_is_no_index_shows(index: dict[str, str], why: str) -> None:
    with pytest.raises(layout.Damaged, match=why):
        layout.shard_names(index)

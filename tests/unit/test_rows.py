"""Every key and condition of the dependency file has its tests on a real Nomad, one that shows it and one that shows its failure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dtree import depfile
from tests.servers import rows

SERVERS = Path(__file__).parents[1] / "servers"
EDGES = ("edges", "post_edges", "hook_edges")


def named() -> Iterator[str]:
    for table in (rows.ENTRY, rows.EDGE, rows.CONDITION):
        for row in table.values():
            yield from (*row.shown, *row.fails)
    for tests in rows.PROMISES.values():
        yield from tests


def records(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The records of a schema, at any depth, but not what it refers to."""
    if "properties" in schema:
        yield schema
    parts = [*schema.get("anyOf", ()), schema.get("items", {}), schema.get("additionalProperties", {})]
    for part in parts:
        if part and isinstance(part, dict):
            yield from records(part)


def properties(schema: Mapping[str, Any]) -> set[str]:
    return {name for record in records(schema) for name in record["properties"]}


def words(schema: Mapping[str, Any]) -> set[str]:
    return {word for part in (schema, *schema.get("anyOf", ())) for word in part.get("enum", ())}


def test_each_test_that_a_row_names_is_there() -> None:
    there = {
        f"{file.stem.removeprefix('test_')}::{name}"
        for file in SERVERS.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert sorted(set(named()) - there) == []


def test_each_key_of_an_entry_has_its_row() -> None:
    entry = depfile.schema()["properties"]["dependencies"]["additionalProperties"]
    assert set(rows.ENTRY) == set(entry["properties"])


def test_each_key_of_an_edge_has_its_row() -> None:
    found = {name for kind in EDGES for name in properties(depfile.schema()["$defs"][kind])}
    assert set(rows.EDGE) == found


def test_each_condition_has_its_row() -> None:
    schema = depfile.schema()["$defs"]["wait_cond"]
    forms = {f"{{{record['required'][0]}}}" for part in schema["anyOf"] for record in part.get("anyOf", ())}
    assert set(rows.CONDITION) == {"a number", *words(schema), *forms}


def test_no_test_is_its_own_failure_twin() -> None:
    tables = (rows.ENTRY, rows.EDGE, rows.CONDITION)
    assert [(name, sorted(both)) for table in tables for name, row in table.items() if (both := set(row.shown) & set(row.fails))] == []


def test_each_row_has_its_failure_twin() -> None:
    tables = (rows.ENTRY, rows.EDGE, rows.CONDITION)
    assert [name for table in tables for name, row in table.items() if not row.shown or not row.fails] == []

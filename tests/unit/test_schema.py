"""The JSON Schema of the dependency file: it takes and refuses what the parser does, because both come from one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dtree import depfile
from dtree.document import Document, read
from dtree.errors import DeclarationError

CORPUS = Path(__file__).parent / "bad_depfiles"
BEYOND_SCHEMA = {"self-edge", "duplicate-edge", "same-post-twice", "same-hook-twice", "external-job", "bad-number", "wait-too-short"}
"""Codes of files that the schema may take, because no schema can see them; of duplicate edges it sees those written alike.

How a number is written is gone once it is read.
"""

BY_EXAMPLE = """
stack: shop
defaults: {timeout: 5m}
dependencies:
  postgres:
    post: {job: postgres_setup, wait_cond: completed}
  redis: {}
  api:
    pre: [postgres, {job: redis, condition: started}]
    timeout: 2m
  search: {pre: [{job: elastic, required: false}, {job: vault, external: true}]}
  nginx:
    pre: {job: api}
    wait_cond: {service: nginx, passing: 2}
"""
SEED = """
{"dependencies": {
  "nginx": {"wait_cond": 5, "pre": {"job": "api"}},
  "api": {"wait_cond": 7, "pre": {"job": "postgres"}},
  "postgres": {"post": {"job": "postgres_setup", "wait_cond": 3}, "wait_cond": 5}
}}
"""
VALIDATOR = jsonschema.Draft202012Validator(depfile.schema(), format_checker=jsonschema.FormatChecker(["regex"]))


def _codes(file: str, data: bytes) -> set[str]:
    try:
        depfile.parse(file, data, title="t")
    except DeclarationError as error:
        return {fault.code for fault in error.faults}
    return set()


def _agree(value: Any, codes: set[str]) -> bool:
    """Tell whether the schema takes what the parser takes, and refuses the rest but for what it cannot see."""
    return codes <= BEYOND_SCHEMA if VALIDATOR.is_valid(value) else bool(codes)


def _objects(schema: Any) -> list[dict[str, Any]]:
    parts = list(schema.values()) if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    own = [schema] if isinstance(schema, dict) and isinstance(schema.get("properties"), dict) else []
    return own + [found for part in parts for found in _objects(part)]


def test_the_schema_is_a_valid_schema_and_the_same_every_time() -> None:
    jsonschema.Draft202012Validator.check_schema(depfile.schema())
    assert json.dumps(depfile.schema()) == json.dumps(depfile.schema())


def test_every_key_is_described_in_a_sentence() -> None:
    keys = [(name, key) for part in _objects(depfile.schema()) for name, key in part["properties"].items()]
    assert len({name for name, _ in keys}) > 40
    assert [name for name, key in keys if not key.get("description", "").endswith(".")] == []


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = depfile.schema()
    text = json.dumps(schema)
    assert sorted(schema["$defs"]) == ["duration", "edges", "hook_edges", "name", "post_edges", "wait_cond"]
    assert all(f'"#/$defs/{name}"' in text for name in schema["$defs"])


def test_the_first_dependency_file_ever_written_is_valid() -> None:
    VALIDATOR.validate(json.loads(SEED))


@pytest.mark.parametrize(
    ("edges", "is_valid"),
    [(["db", "cache"], True), (["db", "db"], False), ([{"job": "db"}, {"job": "db"}], False), (["db", {"job": "db"}], True)],
)
def test_an_edge_that_is_written_twice_alike_is_refused(edges: list[object], is_valid: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert VALIDATOR.is_valid({"dependencies": {"api": {"pre": edges}, "db": {}, "cache": {}}}) == is_valid


def test_parser_and_schema_take_the_examples() -> None:
    assert _codes("d.yaml", BY_EXAMPLE.encode()) == set()
    VALIDATOR.validate(yaml.safe_load(BY_EXAMPLE))
    assert _codes("d.json", SEED.encode()) == set()


def _readable() -> list[Document]:
    documents = [read(path.name, path.read_bytes()) for path in sorted(CORPUS.iterdir()) if path.suffix != ".txt"]
    return [document for document in documents if document.value is not None and not document.faults]


@pytest.mark.parametrize("document", _readable(), ids=lambda document: document.file)
def test_schema_and_parser_agree_on_every_bad_file(document: Document) -> None:
    codes = _codes(document.file, (CORPUS / document.file).read_bytes())
    assert _agree(document.value, codes)


# -- documents near the border: each key with good and bad values ------------------------------------------------------

GOOD_NAMES = st.sampled_from(["api", "db", "batch/nightly", "ä", "x" * 255])
NAMES = GOOD_NAMES | GOOD_NAMES | st.sampled_from(["", " a", "a ", "a\n", "a\u200b", "x" * 256]) | st.text(max_size=3)
NUMBERS = st.sampled_from([0, 1, -1, 1.0, 1.5, 100, 599, 600, 1000, 1001, 99_999_999, 100_000_000, 1e300, True])
DURATIONS = (
    NUMBERS | st.sampled_from(["90s", "1h30m", "0s", "5", "s", "", "5m\n", "1.5h", "99999h"]) | st.from_regex("([0-9.]{1,3}[hms]){1,3}")
)
FLAGS = st.booleans() | st.sampled_from(["true", 0, None])
JUNK: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=1) | st.just({}) | st.just({"a": {}})
)


def _words(*words: str) -> st.SearchStrategy[Any]:
    return st.sampled_from([*words, words[0].upper(), "", 5])


def _record(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any of the keys; the first one mostly."""
    first = dict([next(iter(keys.items()))])
    known = st.fixed_dictionaries(first, optional=dict(list(keys.items())[1:]))
    return known | known | st.fixed_dictionaries({}, optional={**keys, "stray": JUNK})


def _several(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(item, max_size=2)


URLS = st.sampled_from(
    ["http://h", "https://h:443/a?b#c", "http://[::1]:80/", "ftp://h", "http://h:0", "http://u@h", "http://h/\n", "http://h:65536"]
)
HOSTS = st.sampled_from(["h:1", "h:65535", "h:65536", "[::1]:80", "h", ":1", "h:1\n", "h:01"])
CONDITIONS = st.recursive(
    _words("ready", "healthy", "service_started") | NUMBERS | JUNK,
    lambda part: (
        _record(seconds=NUMBERS | DURATIONS, timeout=DURATIONS)
        | _record(service=NAMES, passing=NUMBERS, provider=_words("nomad", "consul"), timeout=DURATIONS)
        | _record(http=URLS | _record(port=NAMES, path=st.sampled_from(["/", "/a b", "a", "/a\n"]), status=NUMBERS))
        | _record(tcp=HOSTS | _record(port=NAMES), seconds=NUMBERS)
        | _record(log=st.sampled_from(["ready", "(", "a{1", "*", 5]), task=NAMES, stream=_words("stdout", "stderr"))
        | _record(all=_several(part), timeout=DURATIONS)
        | _record(any=_several(part))
    ),
    max_leaves=3,
)
EDGE_KEYS = {"condition": CONDITIONS, "required": FLAGS, "external": FLAGS, "on_update": _words("none", "restart"), "wait_cond": CONDITIONS}
EDGE = NAMES | _record(job=NAMES, **EDGE_KEYS)
COMPOSE = st.dictionaries(NAMES, _record(condition=CONDITIONS, required=FLAGS, restart=FLAGS) | JUNK, max_size=2)
EDGES = EDGE | _several(EDGE | JUNK) | COMPOSE | JUNK
ENTRY_KEYS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("pre", "depends_on", "post", "pre_stop", "post_stop"), EDGES),
    "wait_cond": CONDITIONS,
    "timeout": DURATIONS | JUNK,
    "retries": NUMBERS | JUNK,
    "on_failure": _words("stop", "continue", "rollback"),
    "run": _words("on_change", "always", "once"),
    "file": NAMES,
    "template": FLAGS,
    "version": st.sampled_from(["1.10", 1.1, {}, {"from": "consul"}, []]),
    "vars": JUNK,
    "namespace": st.sampled_from(["web", "", "a b", "*", "x" * 128, "x" * 129, "web\n", 5]),
    "region": NAMES,
    "dispatch": _record(meta=st.dictionaries(NAMES, JUNK, max_size=1), payload=JUNK) | _several(_record(payload=JUNK)) | JUNK,
    "promote": _words("auto", "manual") | _record(after=DURATIONS),
    "irreversible": FLAGS,
    "tags": _several(NAMES) | JUNK,
}


def _one_or_two_of(keys: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    chosen = st.lists(st.sampled_from(sorted(keys)), min_size=0, max_size=2, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keys[name] for name in names}))


FILES = st.fixed_dictionaries(
    {"dependencies": st.dictionaries(GOOD_NAMES, _one_or_two_of(ENTRY_KEYS), min_size=1, max_size=1)},
    optional={"stack": NAMES, "defaults": _one_or_two_of(ENTRY_KEYS)},
)


@settings(max_examples=300)
@given(FILES | FILES | JUNK | st.dictionaries(st.sampled_from(["dependencies", "stack", "defaults", "$schema", "jobs"]), JUNK))
def test_schema_and_parser_agree_on_documents_near_the_border(value: Any) -> None:
    codes = _codes("d.json", json.dumps(value).encode())
    assert _agree(value, codes), codes

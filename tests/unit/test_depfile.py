"""The dependency file: what a valid one means, and how each fault of a bad one reads.

Each file in bad_depfiles/ has beside it, in NAME.txt, the exact text of its faults. After a change of messages
`UPDATE_GOLDENS=1 pytest tests/unit/test_depfile.py` writes those anew; read the difference as a user would.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dtree import depfile
from dtree.declaration import Condition, Declaration, Dispatch, Edge, Entry, HttpProbe, LogProbe, ServiceProbe, TcpProbe
from dtree.depfile.kinds import MAX_FINDINGS, Findings, Name, Text, check
from dtree.depfile.shapes import MapOf
from dtree.errors import DeclarationError
from dtree.graph import build

CORPUS = Path(__file__).parent / "bad_depfiles"
BAD_FILES = sorted(path for path in CORPUS.iterdir() if path.suffix != ".txt")

SEED = b"""{
"dependencies": {
"nginx": {
"wait_cond": 5,
"pre": {
"job": "api"
}
},
"api": {
"wait_cond": 7,
"pre": {
"job": "postgres"
}
},
"postgres": {
"post": {
"job": "postgres_setup",
"wait_cond": 3
},
"wait_cond": 5
}
}
}
"""


def _parse(text: str | bytes, file: str = "d.yaml") -> Declaration:
    return depfile.parse(file, text.encode() if isinstance(text, str) else text, title="folder")


def _faults(text: str | bytes, file: str = "d.yaml") -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        _parse(text, file)
    return [fault.code for fault in caught.value.faults]


def _entry(keys: str) -> Entry:
    return _parse(f"dependencies:\n  api: {keys}\n").entries["api"]


def _after(seconds: float) -> Condition:
    return Condition("started", seconds=seconds)


# -- what a valid file means ------------------------------------------------------------------------------------------


def test_the_first_dependency_file_ever_written_is_read_as_it_stands() -> None:
    declaration = _parse(SEED, "dependency.json")
    root = "dependencies"
    assert declaration.stack == "folder"
    assert declaration.file == "dependency.json"
    assert list(declaration.entries.values()) == [
        Entry("nginx", pre=(Edge("api", (root, "nginx", "pre")),), wait_cond=_after(5)),
        Entry("api", pre=(Edge("postgres", (root, "api", "pre")),), wait_cond=_after(7)),
        Entry("postgres", post=(Edge("postgres_setup", (root, "postgres", "post"), _after(3)),), wait_cond=_after(5)),
    ]


def test_edges_are_a_name_a_map_or_a_list_of_both() -> None:
    entry = _entry("{pre: db, post: [setup, {job: seed, wait_cond: completed}]}")
    assert entry.pre == (Edge("db", ("dependencies", "api", "pre")),)
    assert entry.post == (
        Edge("setup", ("dependencies", "api", "post", 0)),
        Edge("seed", ("dependencies", "api", "post", 1), Condition("completed")),
    )
    assert _entry("{pre: [], post: []}") == Entry("api")


def test_an_edge_says_what_it_waits_for_and_what_it_can_do_without() -> None:
    entry = _entry("{pre: [{job: db, condition: service_started, required: false}, {job: vault, external: true, condition: 3}]}")
    assert entry.pre == (
        Edge("db", ("dependencies", "api", "pre", 0), condition=Condition("started"), required=False),
        Edge("vault", ("dependencies", "api", "pre", 1), condition=_after(3), external=True),
    )
    assert [edge.on_update for edge in _entry("{pre: [{job: a, on_update: redeploy}, {job: b, on_update: none}, c]}").pre] == [
        "redeploy",
        "none",
        "none",
    ]
    assert [edge.on_update for edge in _entry("{pre: {a: {restart: true}, b: {restart: false}}}").pre] == ["restart", "none"]
    entry = _entry("{post: {job: setup, condition: registered, wait_cond: completed}}")
    assert entry.post == (Edge("setup", ("dependencies", "api", "post"), Condition("completed"), condition=Condition("registered")),)


def test_depends_on_is_another_name_of_pre() -> None:
    assert _entry("{depends_on: [db]}").pre == (Edge("db", ("dependencies", "api", "depends_on", 0)),)
    assert _entry("{depends_on: db}").pre == (Edge("db", ("dependencies", "api", "depends_on")),)


def test_the_map_form_of_compose_is_a_list_of_edges() -> None:
    text = "dependencies:\n  api:\n    depends_on:\n      db: {condition: service_healthy}\n      cache: {required: false}\n      job: {}\n"
    declaration = _parse(text)
    at = ("dependencies", "api", "depends_on")
    assert declaration.entries["api"].pre == (
        Edge("db", (*at, "db"), condition=Condition("healthy")),
        Edge("cache", (*at, "cache"), required=False),
        Edge("job", (*at, "job")),
    )
    assert str(declaration.locator.place((*at, "cache"))) == "d.yaml:5:14, dependencies.api.depends_on.cache"


def test_the_path_of_an_edge_leads_to_its_line() -> None:
    declaration = _parse("dependencies:\n  api:\n    pre:\n      - db\n      - job: cache\n")
    assert [str(declaration.locator.place(edge.path)) for edge in declaration.entries["api"].pre] == [
        "d.yaml:4:9, dependencies.api.pre[0]",
        "d.yaml:5:9, dependencies.api.pre[1]",
    ]


def test_an_entry_of_null_is_an_entry_without_keys() -> None:
    assert _parse("dependencies:\n  redis:\n  db: ~\n").entries == {"redis": Entry("redis"), "db": Entry("db")}


def test_a_file_without_jobs_is_valid() -> None:
    assert _parse("dependencies: {}").entries == {}


def test_the_stack_is_named_by_the_file_or_else_by_its_folder() -> None:
    assert _parse("{stack: shop, dependencies: {}}").stack == "shop"
    assert _parse("{dependencies: {}}").stack == "folder"


def test_an_editors_schema_address_is_allowed() -> None:
    assert _parse('{"$schema": "./schema.json", "dependencies": {}}', "d.json").entries == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ready", Condition("ready")),
        ("registered", Condition("registered")),
        ("started", Condition("started")),
        ("healthy", Condition("healthy")),
        ("completed", Condition("completed")),
        ("service_started", Condition("started")),
        ("service_healthy", Condition("healthy")),
        ("service_completed_successfully", Condition("completed")),
        ("5", _after(5)),
        ("0", _after(0)),
        ("0.5", _after(0.5)),
        ("{seconds: 3}", _after(3)),
        ("{seconds: 3, timeout: 1m}", Condition("started", seconds=3, timeout_s=60)),
    ],
)
def test_a_condition_is_a_name_or_a_number_of_seconds(value: str, expected: Condition) -> None:
    assert _entry(f"{{wait_cond: {value}}}").wait_cond == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{service: web}", Condition("service", probe=ServiceProbe("web"))),
        ("{service: web, passing: 2, provider: nomad}", Condition("service", probe=ServiceProbe("web", 2, "nomad"))),
        ("{http: {port: web}}", Condition("http", probe=HttpProbe("web", "/"))),
        (
            "{http: {port: web, path: /up, status: 204}, timeout: 2m}",
            Condition("http", timeout_s=120, probe=HttpProbe("web", "/up", 204)),
        ),
        ("{http: 'https://example.com:8443/up'}", Condition("http", probe=HttpProbe(url="https://example.com:8443/up"))),
        ("{tcp: {port: db}}", Condition("tcp", probe=TcpProbe("db"))),
        ("{tcp: '[::1]:5432'}", Condition("tcp", probe=TcpProbe(target="[::1]:5432"))),
        ("{log: up$}", Condition("log", probe=LogProbe("up$"))),
        ("{log: up, task: main, stream: stderr}", Condition("log", probe=LogProbe("up", "main", "stderr"))),
        (
            "{all: [healthy, {seconds: 5}, {any: [{tcp: 'h:1'}, completed], timeout: 9}]}",
            Condition(
                "all",
                parts=(
                    Condition("healthy"),
                    _after(5),
                    Condition("any", timeout_s=9, parts=(Condition("tcp", probe=TcpProbe(target="h:1")), Condition("completed"))),
                ),
            ),
        ),
    ],
)
def test_a_condition_may_ask_others_or_be_made_of_others(value: str, expected: Condition) -> None:
    assert _entry(f"{{wait_cond: {value}}}").wait_cond == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661), ("1.5h", 5400), ("0h1s", 1), ("0.5s", 0.5), ("45", 45), ("0.25", 0.25)],
)
def test_a_duration_is_a_text_with_units_or_a_number_of_seconds(value: str, expected: float) -> None:
    assert _entry(f"{{timeout: {value}}}").timeout_s == expected


@pytest.mark.parametrize("value", ["5", "'5'", "1m1h", "5 m", "5M", "-5m", "0m", "1e3s", "m", "''", "99999h", "1h\\n", "٣s"])
def test_what_is_no_duration_is_a_fault(value: str) -> None:
    text = f'dependencies: {{api: {{timeout: "{value}"}}}}'
    assert _faults(text.replace("\"'5'\"", "'5'")) == ["bad-duration"]


def test_the_remaining_keys_are_carried_over() -> None:
    entry = _entry("{retries: 2.0, file: jobs/api-v2.nomad, namespace: web, region: eu}")
    assert entry == Entry("api", retries=2, file="jobs/api-v2.nomad", namespace="web", region="eu")
    assert isinstance(entry.retries, int)


def test_what_is_dispatched_is_carried_over_with_its_place() -> None:
    at = ("dependencies", "api", "dispatch")
    assert _entry("{dispatch: {meta: {table: users}, payload: {file: rows.csv}}}").dispatches == (
        Dispatch({"table": "users"}, file="rows.csv", path=at),
    )
    assert _entry("{dispatch: [{payload: 'é'}, {force: true}, {}]}").dispatches == (
        Dispatch(payload="é".encode(), path=(*at, 0)),
        Dispatch(force=True, path=(*at, 1)),
        Dispatch(path=(*at, 2)),
    )


@pytest.mark.parametrize(("own", "expected"), [("{}", "once"), ("{run: always}", "always")])
def test_when_to_run_may_stand_in_the_defaults(own: str, expected: str) -> None:
    declaration = _parse(f"defaults: {{run: once}}\ndependencies: {{api: {own}}}")
    assert build(declaration, ()).entries["api"].run == expected


def test_defaults_fill_in_what_an_entry_does_not_say() -> None:
    declaration = _parse(
        "defaults: {timeout: 5m, retries: 2, wait_cond: healthy, namespace: web}\n"
        "dependencies:\n  api: {timeout: 1m, retries: 0}\n  db: {wait_cond: 3, namespace: data}\n"
    )
    assert declaration.entries == {
        "api": Entry("api", wait_cond=Condition("healthy"), timeout_s=60, retries=0, namespace="web"),
        "db": Entry("db", wait_cond=_after(3), timeout_s=300, retries=2, namespace="data"),
    }
    assert declaration.defaults == Entry("", wait_cond=Condition("healthy"), timeout_s=300, retries=2, namespace="web")


def test_one_post_job_of_two_owners_is_fine_with_equal_settings() -> None:
    text = "dependencies:\n  a: {post: {job: setup, wait_cond: 5}}\n  b: {post: [{job: setup, wait_cond: {seconds: 5.0}}]}\n"
    assert [entry.post[0].job for entry in _parse(text).entries.values()] == ["setup", "setup"]


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BAD_FILES, ids=lambda path: path.name)
def test_a_bad_file_is_explained_word_for_word(path: Path) -> None:
    with pytest.raises(DeclarationError) as caught:
        depfile.parse(path.name, path.read_bytes(), title="folder")
    golden = path.with_name(path.name + ".txt")
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(f"{caught.value}\n", encoding="utf-8")
    assert f"{caught.value}\n" == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [path for path in BAD_FILES if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_both_yaml_parsers_find_the_same_faults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    with pytest.raises(DeclarationError) as caught:
        depfile.parse(path.name, path.read_bytes(), title="folder")
    assert f"{caught.value}\n" == path.with_name(path.name + ".txt").read_text(encoding="utf-8")


def test_the_corpus_is_large_and_every_golden_has_its_file() -> None:
    assert len(BAD_FILES) >= 60
    goldens = {path.name.removesuffix(".txt") for path in CORPUS.glob("*.txt")}
    assert goldens == {path.name for path in BAD_FILES}


def _deep(depth: int) -> bytes:
    return b'{"dependencies": {"a": {"wait_cond": ' + b'{"all": [' * depth + b"5" + b"]}" * depth + b"}}}"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"dependencies": {"caf\xe9": {}}}', "not-utf-8"),
        (b'{"dependencies": {"a": "\x00"}}', "bad-syntax"),
        (b" " * (16 * 1024 * 1024 + 1), "too-large"),
        (_deep(50), "too-deep"),
    ],
    ids=["not-utf-8", "nul", "too-large", "too-deep"],
)
def test_a_file_that_an_editor_would_mangle_is_one_fault(data: bytes, code: str) -> None:
    assert _faults(data, "d.json") == [code]


def test_what_is_deep_but_not_too_deep_is_read() -> None:
    condition = _parse(_deep(40), "d.json").entries["a"].wait_cond
    for _ in range(40):
        assert condition is not None
        (condition,) = condition.parts
    assert condition == _after(5)


def test_faults_of_the_text_and_of_the_meaning_come_together_and_in_order() -> None:
    text = b'{"dependencies": {\n "a": {"timeout": NaN, "retrys": 1},\n "a": {"wait_cond": "up", "run": 5}}, "x": 1}'
    assert _faults(text, "d.json") == ["bad-number", "duplicate-key", "unknown-condition", "wrong-type", "unknown-key"]


def test_a_name_of_many_characters_is_cut_in_its_fault() -> None:
    with pytest.raises(DeclarationError) as caught:
        _parse(json.dumps({"dependencies": {"x" * 256: {}}}), "d.json")
    assert [(fault.code, len(fault.problem)) for fault in caught.value.faults] == [("bad-name", 93)]
    assert _parse(json.dumps({"dependencies": {"x" * 255: {}}}), "d.json").entries


@pytest.mark.parametrize("regex", ["(" * 5000 + ")" * 5000, "a{99999999999999}", "("])
def test_a_regular_expression_that_is_none_or_too_large_is_a_fault(regex: str) -> None:
    text = json.dumps({"dependencies": {"a": {"wait_cond": {"log": regex}}}})
    assert _faults(text, "d.json") == ["bad-regex"]


def test_a_regular_expression_that_python_warns_of_is_read_calmly() -> None:
    assert _entry("{wait_cond: {log: '[[a]&&b'}}").wait_cond == Condition("log", probe=LogProbe("[[a]&&b"))


def test_faults_without_end_are_cut_off() -> None:
    text = json.dumps({"dependencies": {f"j{n:05}": {"timeot": 1} for n in range(2 * MAX_FINDINGS)}})
    assert _faults(text, "d.json") == ["unknown-key"] * MAX_FINDINGS + ["too-many-faults"]


def test_no_message_shows_a_value_that_may_be_secret() -> None:
    text = """dependencies:
      a: {vars: hunter2, dispatch: hunter2, wait_cond: {http: 'http://u:hunter2@h'}, namespace: 'hunter2!', version: [hunter2]}"""
    with pytest.raises(DeclarationError) as caught:
        _parse(text)
    assert len(caught.value.faults) == 5
    assert "hunter2" not in str(caught.value)


# -- for any input ----------------------------------------------------------------------------------------------------


def _keys_of(schema: Any) -> set[str]:
    parts = list(schema.values()) if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    own = set(schema.get("properties", ())) if isinstance(schema, dict) else set()
    return own.union(*(_keys_of(part) for part in parts))


WORDS = st.sampled_from([*sorted(_keys_of(depfile.schema())), "ready", "healthy", "5m", "stop", "once", "auto"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(WORDS | st.text(), parts),
    max_leaves=30,
)


def _parse_or_refuse(file: str, data: bytes) -> None:
    try:
        depfile.parse(file, data, title="t")
    except DeclarationError as error:
        shown = str(error).encode().decode()
    else:
        shown = "error"
    assert shown.startswith("error")


@given(st.binary(), st.sampled_from(["d.json", "d.yaml", "d"]))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes, file: str) -> None:
    _parse_or_refuse(file, data)


@given(
    VALUES
    | st.fixed_dictionaries({"dependencies": st.dictionaries(st.text(), st.dictionaries(WORDS, VALUES))}, optional={"defaults": VALUES})
)
def test_values_of_any_kind_are_read_or_refused(value: Any) -> None:
    _parse_or_refuse("d.json", json.dumps(value).encode())


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
CONDITIONS = (
    st.sampled_from(["ready", "started", "service_healthy"])
    | st.integers(0, 1000)
    | st.builds(lambda n: {"seconds": n, "timeout": "1h2m3s"}, st.floats(0, 9))
)
KEYS: Mapping[str, st.SearchStrategy[Any]] = {
    "wait_cond": CONDITIONS,
    "timeout": st.sampled_from(["1000s", "1h30m", 1000, 1000.5]),
    "retries": st.integers(0, 9),
    "namespace": st.from_regex("[a-z-]{1,9}", fullmatch=True),
}
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        **KEYS,
        "file": NAMES,
        "pre": st.lists(NAMES, unique=True).map(lambda names: ["pre " + name for name in names]),
        "post": st.fixed_dictionaries({"job": NAMES.map("post {}".format)}),
    },
)
FILES = st.fixed_dictionaries(
    {"dependencies": st.dictionaries(NAMES, ENTRIES)},
    optional={"stack": NAMES, "defaults": st.fixed_dictionaries({}, optional=dict(KEYS))},
)


class _QuotingDumper(yaml.SafeDumper):
    """Puts every text in quotes: PyYAML leaves some bare that are numbers by YAML 1.2, such as 1e3."""


_QuotingDumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(FILES)
def test_a_valid_file_means_the_same_as_json_and_as_yaml(value: dict[str, Any]) -> None:
    as_json = json.dumps(value, ensure_ascii=False)
    as_yaml = yaml.dump(value, Dumper=_QuotingDumper, allow_unicode=True, sort_keys=False)
    declaration = _parse(as_json, "d.json")
    assert list(declaration.entries) == list(value["dependencies"])
    for text, file in ((json.dumps(value, indent=2), "d.json"), (as_json, "d"), (as_json, "d.yaml"), (as_yaml, "d.yaml")):
        other = depfile.parse(file, text.encode(), title="folder")
        assert (other.entries, other.stack, other.defaults) == (declaration.entries, declaration.stack, declaration.defaults)


def test_a_map_that_must_hold_something_is_told_where_it_is_empty() -> None:
    findings = Findings()
    assert check(MapOf(Text(), names=Name(), minimum=1), {}, ("vars",), findings) == {}
    assert [(one.code, one.problem, one.hint) for one in findings.items] == [("bad-value", "'vars' is an empty map", "it takes at least 1")]

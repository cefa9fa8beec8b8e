"""From the texts of a store to the job files that Nomad parses."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from dtree import sources
from dtree.errors import DeclarationError, Fault, Place, StoreUnreachable
from dtree.inputs import Inputs
from dtree.job_text import JobText
from dtree.render import Unanswered
from dtree.rendering import check, render_jobs
from dtree.values import Given, Origin
from tests.fakes.store import MemorySnapshot


def snapshot(entries: Mapping[str, Any], jobs: Mapping[str, str | bytes], **more: Any) -> MemorySnapshot:
    return MemorySnapshot({"dependencies": entries, **more.pop("top", {})}, jobs, **more)


def rendered(of: MemorySnapshot, inputs: Inputs = Inputs()) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:  # noqa: B008 - frozen
    read = sources.read(of, store="memory")
    texts, missing = sources.job_texts(read, read.graph.entries)
    assert not missing
    return render_jobs(read, texts, inputs)


def layer(**values: Any) -> dict[str, Given]:
    return {name: Given(value, Origin("--var")) for name, value in values.items()}


def test_a_file_without_a_delimiter_passes_as_it_is_and_no_template_engine_is_loaded() -> None:
    sys.modules.pop("dtree.render.process", None)
    text = 'job "api" {\n\t# ${x} {{ y }} [ 1 ]\r\n}'
    jobs, faults = rendered(snapshot({"api": {}}, {"api": text}))
    assert (jobs["api"].source, jobs["api"].template, faults) == (text, text.encode(), {})
    assert "dtree.render.process" not in sys.modules


def test_template_false_passes_any_file() -> None:
    text = "if [[ -z $x ]]; then [% %]\n"
    jobs, faults = rendered(snapshot({"api": {"template": False}}, {"api": text}))
    assert (jobs["api"].source, faults) == (text, {})


def test_the_hint_of_brackets_that_are_none_of_ours_names_template_false() -> None:
    _, faults = rendered(snapshot({"api": {}}, {"api": "one\nif [[ -z $x ]]; then\n"}))
    (fault,) = faults["api"]
    assert fault.place == Place("jobs/api", 2, 1)
    assert "`template: false`" in fault.hint


def test_later_layers_win() -> None:
    top = {"defaults": {"vars": {"a": "defaults", "b": "defaults", "c": "defaults"}}}
    of = snapshot(
        {"api": {"vars": {"b": "own", "c": "own"}}, "web": {}}, {"api": "[[ a ]] [[ b ]] [[ c ]]", "web": "[[ a ]] [[ b ]]"}, top=top
    )
    jobs, _ = rendered(of, Inputs(layers=(layer(c="first"), layer(c="last"))))
    assert {name: job.source for name, job in jobs.items()} == {"api": "defaults own last", "web": "defaults defaults"}


def test_each_value_that_a_template_reads_says_where_it_came_from() -> None:
    of = snapshot({"api": {"vars": {"b": 2, "unread": 3}}}, {"api": "[[ a ]] [[ b ]] [[ c ]]"}, top={"defaults": {"vars": {"a": 1}}})
    jobs, _ = rendered(of, Inputs(layers=(layer(c=3),)))
    origins = {name: str(one.origin).partition(" (")[0] for name, one in jobs["api"].values.items()}
    assert origins == {"a": "defaults.vars", "b": "vars of job 'api'", "c": "--var"}
    place = jobs["api"].values["b"].origin.place
    assert place is not None
    assert (place.file, place.key) == ("dependency.json", "dependencies.api.vars.b")


def test_a_job_that_only_an_edge_names_has_the_defaults() -> None:
    of = snapshot({"web": {"pre": "api"}}, {"api": "[[ a ]]", "web": "x"}, top={"defaults": {"vars": {"a": 1}}})
    jobs, _ = rendered(of)
    assert jobs["api"].source == "1"
    assert jobs["api"].values["a"].origin.layer == "defaults.vars"


def test_the_environment_has_a_name() -> None:
    jobs, _ = rendered(snapshot({"api": {}}, {"api": "[[ env ]]"}), Inputs(environment="staging"))
    assert jobs["api"].source == "staging"


def test_includes_come_from_the_same_store_and_their_faults_name_them() -> None:
    files = {"a": "[% include 'parts/x' %]", "b": "1\n[% include 'parts/y' %]"}
    of = snapshot({"a": {}, "b": {}}, files, files={"parts/x": "X", "parts/y": "ok\n[[ nowhere ]]"})
    jobs, faults = rendered(of)
    assert jobs["a"].source == "X"
    assert jobs["a"].asked == (("file", "parts/x"),)
    assert [(fault.code, fault.place) for fault in faults["b"]] == [("undefined-name", Place("parts/y", 2, 4))]


def test_an_included_file_that_is_no_text_is_a_fault() -> None:
    _, faults = rendered(snapshot({"a": {}}, {"a": "[[ file('x') ]]"}, files={"x": b"\xff"}))
    assert [fault.code for fault in faults["a"]] == ["not-utf-8"]


def test_a_file_that_is_missing_is_a_fault_with_the_stores_code() -> None:
    _, faults = rendered(snapshot({"a": {}}, {"a": "[[ file('x') ]]"}))
    assert [fault.code for fault in faults["a"]] == ["store-file-missing"]


def test_a_store_that_is_gone_half_way_is_told_as_that() -> None:
    class Gone(MemorySnapshot):
        def read(self, path: str) -> Any:
            raise StoreUnreachable(f"{path}: nothing is there", hint="go elsewhere")

    with pytest.raises(StoreUnreachable):
        rendered(Gone({"dependencies": {"a": {}}}, {"a": "[[ file('x') ]]"}))


def test_faults_of_all_files_come_together() -> None:
    _, faults = rendered(snapshot({"a": {}, "b": {}, "c": {}}, {"a": "[[ x ]]", "b": b"caf\xe9", "c": "fine"}))
    assert {name: [fault.code for fault in wrong] for name, wrong in faults.items()} == {"a": ["undefined-name"], "b": ["not-utf-8"]}


def test_brackets_that_a_template_makes_are_counted_too_because_nomads_parser_does_not_survive_them() -> None:
    _, faults = rendered(snapshot({"a": {}}, {"a": "[% for i in range(600) %]{[% endfor %]"}))
    assert [fault.code for fault in faults["a"]] == ["too-deep"]


def test_checking_a_store_tells_everything_at_once() -> None:
    of = snapshot({"a": {}, "b": {}, "c": {}}, {"a": "[[ x ]]", "c": "fine"})
    with pytest.raises(DeclarationError) as caught:
        check(of, store="memory", inputs=Inputs())
    assert [fault.code for fault in caught.value.faults] == ["undefined-name", "job-file-missing"]


def test_a_byte_order_mark_goes_and_nothing_else() -> None:
    jobs, _ = rendered(snapshot({"a": {}, "b": {}}, {"a": "\ufeffjob", "b": "\ufeff[[ 1 ]]"}))
    assert {name: job.source for name, job in jobs.items()} == {"a": "job", "b": "1"}


def test_brackets_of_a_file_that_is_no_template_are_counted() -> None:
    _, faults = rendered(snapshot({"a": {}}, {"a": "{" * 501}))
    assert [fault.code for fault in faults["a"]] == ["too-deep"]


@pytest.mark.parametrize(
    "source",
    [
        'job "api-[[ stage ]]" {\n  x = "[[ stage ]] [[ key ]]"\n}',
        '{"ID": "api-[[ stage ]]", "TaskGroups": [], "Meta": {"ID": "[[ key ]]", "x": "[[ stage ]] [[ key ]]"}}',
        '{"job": {"api-[[ stage ]]": {"x": "[[ stage ]] [[ key ]]"}}}',
        'job "api" {\n  namespace = "[[ stage ]]"\n  env {\n      ID = "[[ key ]]"\n      namespace = "[[ key ]]"\n  }\n}',
    ],
)
def test_a_secret_is_hidden_but_where_it_names_the_job(source: str) -> None:
    given = {
        name: Given(value, Origin("NOMAD_DTREE_VAR_x"), secret=True) for name, value in {"stage": "staging", "key": "hunter22"}.items()
    }
    inputs = Inputs(layers=(given,))
    jobs, _ = rendered(snapshot({"api": {}}, {"api": source}), inputs)
    assert "hunter22" in jobs["api"].source
    assert "hunter22" not in jobs["api"].shown
    assert "staging" in jobs["api"].shown
    assert inputs.secrets.hide("staging hunter22") == "staging (secret)"


@pytest.mark.parametrize(
    "source", ["{[[ 1 ]]", '{"Job": [[ 1 ]], "x": 2}', '{"job": [[ 1 ]]}', '{"job": [[ [1] ]]}', '{"ID": [[ 1 ]], "job": null}']
)
def test_json_that_is_no_job_names_nothing(source: str) -> None:
    jobs, faults = rendered(snapshot({"api": {}}, {"api": source}))
    assert (list(jobs), faults) == (["api"], {})


def test_what_may_be_shown_of_a_job_does_not_depend_on_what_other_jobs_read() -> None:
    def answer(*question: str) -> str:
        if question == ("nomad", "db", "none"):
            raise Unanswered("undefined-name", "it has none")
        return "postgres"

    files = {"a": 'job "a" { image = "postgres:16" }[[ 1 ]]', "b": 'job "b" { user = "[[ nomad_var("db", "user") ]]" }'}
    inputs = Inputs(answer=answer)
    jobs, _ = rendered(snapshot({"a": {}, "b": {}}, files), inputs)
    assert jobs["a"].shown == ""
    assert jobs["b"].shown == 'job "b" { user = "(secret)" }'
    jobs, faults = rendered(snapshot({"a": {}}, {"a": "[[ nomad_var('db', 'none') ]]"}), inputs)
    assert [fault.problem for fault in faults["a"]] == ["in the template of 'a': it has none"]

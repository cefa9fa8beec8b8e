"""Templates in a process of their own: nothing that one does keeps the others, or us, from going on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from dtree.errors import DtreeError
from dtree.render import Unanswered
from dtree.render.messages import Template, TemplateFault
from dtree.render.process import render

ENDLESS = "[% for i in range(100000) %][% for i in range(100000) %][% endfor %][% endfor %]"
LARGE = "[% set ns = namespace(x='0123456789') %][% for i in range(60) %][% set ns.x = ns.x ~ ns.x %][% endfor %]"


def nothing(*question: str) -> Any:
    raise Unanswered("none", f"nothing is known of {question}")


def both(templates: Mapping[str, str], answer: Callable[..., Any] = nothing, *, seconds: float = 10.0) -> dict[str, str]:
    """Render; text and codes of faults by job."""
    asked = [Template(job, f"jobs/{job}", source, {"own": job}) for job, source in templates.items()]
    rendered, faults = render(asked, {"shared": "all", "own": "nobody's"}, answer, seconds=seconds)
    assert set(rendered) | set(faults) == set(templates)
    return {job: one.text for job, one in rendered.items()} | {job: one.code for job, one in faults.items()}


def test_a_templates_own_values_go_before_those_of_all() -> None:
    assert both({"a": "[[ own ]] [[ shared ]]", "b": "[[ own ]]"}) == {"a": "a all", "b": "b"}


def test_each_thing_is_asked_for_once_and_told_for_every_template_that_asks() -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*question: str) -> str:
        asked.append(question)
        return "x" * len(asked)

    templates = [Template(job, job, "[[ env('A') ]][[ env('A') ]][[ env('B') ]]", {}) for job in ("a", "b")]
    rendered, _ = render(templates, {"env": "prod"}, answer)
    assert asked == [("env", "A"), ("env", "B")]
    assert [rendered[job].text for job in ("a", "b")] == ["xxxx", "xxxx"]
    assert rendered["a"].asked == rendered["b"].asked == (("env", "A"), ("env", "B"))


def test_a_template_without_an_end_is_a_fault_of_its_own_and_the_others_are_rendered() -> None:
    found = both({"a": "[[ own ]]", "b": ENDLESS, "c": "[[ own ]]"}, seconds=2.0)
    assert found == {"a": "a", "b": "template-too-large", "c": "c"}


def test_a_template_that_takes_all_memory_is_a_fault_of_its_own() -> None:
    assert both({"a": LARGE, "b": "[[ own ]]"}) == {"a": "template-too-large", "b": "b"}


def test_after_three_that_take_too_much_nothing_more_is_begun() -> None:
    asked = [Template(job, job, ENDLESS if job != "d" else "fine", {}) for job in "abcd"]
    rendered, faults = render(asked, {}, nothing, seconds=1.0)
    assert rendered == {}
    assert faults["d"] == TemplateFault(
        "template-too-large", "it was not begun, after 3 others took too much", "d", 1, 0, "mend the others first"
    )


@pytest.mark.parametrize(
    "source",
    [
        "[[ ''.__class__.__mro__[1].__subclasses__() ]]",
        "[[ cycler.__init__.__globals__.os.popen('id').read() ]]",
        "[[ env.__self__ ]]",
        "[% for x in ().__class__.__base__.__subclasses__() %][% endfor %]",
        "[[ joiner.__init__.__globals__ ]]",
        "[[ self.__init__.__globals__.__builtins__ ]]",
        "[[ range.__class__ ]]",
        "[[ file.__call__.__globals__ ]]",
        "[[ file._ask ]]",
        "[[ versions._ask ]]",
        "[[ versions.__init__ ]]",
        "[[ [].append.__self__ ]]",
        "[[ '%s' | format(own.__class__) ]]",
        "[[ own | map(attribute='__class__') | list ]]",
    ],
)
def test_a_template_reaches_nothing_of_python(source: str) -> None:
    assert both({"a": source})["a"] in ("template-forbidden", "undefined-name", "bad-template", "none")


def test_nothing_of_the_surroundings_reaches_the_process() -> None:
    os.environ["DTREE_TEST_SECRET"] = "s3cret"
    try:
        seen: list[dict[str, str]] = []

        def answer(*question: str) -> str:
            (child,) = psutil.Process().children()
            seen.append(child.environ())
            assert question == ("consul", "x")
            return "y"

        assert both({"a": "[[ consul_key('x') ]]"}, answer) == {"a": "y"}
        assert "DTREE_TEST_SECRET" not in seen[0]
    finally:
        del os.environ["DTREE_TEST_SECRET"]


def test_the_process_is_gone_afterwards_also_when_an_answer_breaks() -> None:
    def broken(*question: str) -> str:
        raise ZeroDivisionError(question)

    with pytest.raises(ZeroDivisionError):
        both({"a": "[[ consul_key('x') ]]"}, broken)
    assert psutil.Process().children() == []


def test_a_template_that_asks_without_an_end_is_stopped() -> None:
    assert both({"a": "[% for i in range(5000) %][[ consul_key('x' ~ i) ]][% endfor %]"}, lambda *_: "")["a"] == "template-too-large"


def test_what_jinja_loads_late_works_where_no_file_can_be_opened() -> None:
    source = "[[ ['x'] | pprint ]][[ '<b>y</b>' | striptags ]][[ 'z' | wordwrap(5) ]][[ 'a b' | urlencode ]]"
    assert both({"a": source}) == {"a": "['x']yza%20b"}


def test_what_would_have_to_be_loaded_from_a_file_is_refused_without_a_path_of_this_machine() -> None:
    _, faults = render([Template("a", "a", "[[ 'x'.encode('cp1252') ]]", {})], {}, nothing)
    assert (faults["a"].code, faults["a"].problem) == ("template-forbidden", "it uses something that would have to be loaded from a file")


def test_an_included_file_is_named_for_every_job_that_takes_it_in() -> None:
    def answer(*question: str) -> Any:
        return question[1], "x"

    rendered, _ = render([Template(job, job, "[% include 'p' %]", {}) for job in "ab"], {}, answer)
    assert [rendered[job].asked for job in "ab"] == [(("file", "p"),)] * 2


def test_answers_that_are_foreseen_go_along() -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*question: str) -> str:
        asked.append(question)
        if question[1] == "b":
            raise Unanswered("none", "it has none")
        return "1"

    templates = [Template(job, job, "[[ version | default('none') ]]", {}) for job in "ab"]
    rendered, _ = render(templates, {}, answer, foreseen=[("version", "a"), ("version", "b")])
    assert [rendered[job].text for job in "ab"] == ["1", "none"]
    assert asked == [("version", "a"), ("version", "b")]


@pytest.mark.parametrize(
    ("script", "says"),
    [("exit 3", "it ended without a word"), ("echo 'no module named x' >&2; exit 1", "no module named x")],
)
def test_a_process_that_does_not_start_is_no_fault_of_a_template(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, says: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(DtreeError, match=says) as caught:
        both({"a": "[[ own ]]"})
    assert caught.value.error_code == "template-process"
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(DtreeError, match="does not know its own program"):
        both({"a": "[[ own ]]"})


def test_the_time_of_a_template_goes_on_over_its_questions() -> None:
    loop = "[% for k in range(99999) %][% for q in range(9) %][% endfor %][% endfor %]"
    source = f"[% for i in range(2000) %]{loop}[[ consul_key('x' ~ i) ]][% endfor %]"
    _, faults = render([Template("a", "a", source, {})], {}, lambda *_: "", seconds=2.0)
    assert faults["a"].problem == "it is not rendered within 2 s"


@pytest.mark.parametrize("source", ["[[ versions['x' * 90000000] ]]", "[[ file('x' * 90000000) ]]", "[[ consul_key('x' * 1001) ]]"])
def test_a_name_without_an_end_reaches_nobody(source: str) -> None:
    asked: list[object] = []
    _, faults = render([Template("a", "a", source, {})], {}, lambda *question: asked.append(question))
    assert faults["a"].problem == "it asks for something whose name has more than 1000 characters"
    assert asked == []


def test_what_is_told_of_a_fault_has_an_end() -> None:
    _, faults = render([Template("a", "a", "[[ {}['x' * 9000000] ]]", {})], {}, nothing)
    assert len(faults["a"].problem) <= 400

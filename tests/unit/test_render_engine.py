"""Templates: what they give, and what each fault of one says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtree.render import Unanswered
from dtree.render.engine import Engine, TemplateError
from dtree.render.messages import TemplateFault

FILES = {
    "macros.j2": "[% macro name(x) %]<[[ x ]]@[[ version ]]@[[ region ]]>[% endmacro %]",
    "part.hcl": "count = [[ count ]]\n",
    "broken.j2": "line one\n[% if %]\n",
    "missing-name.j2": "one\ntwo [[ nowhere ]]\n",
    "myself.j2": "[% include 'myself.j2' %]",
    "plain.txt": "as it is: ${x} {{ y }} [[ z ]]\n",
}
ANSWERS: Mapping[tuple[str, ...], Any] = {
    ("version", "api"): "1.4.2",
    ("version", "db"): "16",
    ("version", "items"): "3",
    ("versions",): ["api", "db", "items"],
    ("built-in", "ref"): "v1.2",
    ("env", "CI_BUILD"): "77",
    ("consul", "app/url"): "http://x",
    ("nomad", "app/db", "password"): "s3cret",
}
VALUES: Mapping[str, Any] = {
    "region": "eu",
    "count": 3,
    "flag": True,
    "nothing": None,
    "names": ["a", 'b"c'],
    "limits": {"cpu": 100, "a key": "${x}"},
    "text": 'say "hi" to ${you} %{if}\n',
}


def answer(*question: str) -> Any:
    if question[0] == "file":
        if question[1] == "binary":
            raise Unanswered("not-utf-8", "binary is not UTF-8", "save it as UTF-8")
        if question[1] == "late":
            raise OSError(24, "Too many open files", "/somewhere/codec.py")
        if question[1] not in FILES:
            raise Unanswered("store-file-missing", f"the store has no file {question[1]}", "write one")
        return question[1], FILES[question[1]]
    if question not in ANSWERS:
        raise Unanswered("undefined-version", f"'{question[-1]}' has no version", "give it one")
    return ANSWERS[question]


def render(source: str, values: Mapping[str, Any] = VALUES) -> str:
    return Engine(answer).render("api", "jobs/api.nomad", source, values)


def fault_of(source: str) -> TemplateFault:
    with pytest.raises(TemplateError) as caught:
        render(source)
    return caught.value.fault


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[[ region ]]", "eu"),
        ("[[ count ]] [[ count + 1 ]] [[ 1.5 ]]", "3 4 1.5"),
        ("[[ flag ]] [[ nothing ]]", "true null"),
        ("[[ names ]] [[ limits ]]", '["a", "b\\"c"] {"cpu": 100, "a key": "${x}"}'),
        ("[[ names | hcl ]]", '["a", "b\\"c"]'),
        ("[[ limits | hcl ]]", '{"cpu" = 100, "a key" = "$${x}"}'),
        ("[[ text | hcl ]]", '"say \\"hi\\" to $${you} %%{if}\\n"'),
        ("[[ text | json ]]", '"say \\"hi\\" to ${you} %{if}\\n"'),
        ("[[ {'a': [1, 'x: y']} | yaml ]]", "a:\n- 1\n- 'x: y'"),
        ("[[ 'é' | b64 ]] [[ 'w6k=' | b64decode ]]", "w6k= é"),
        ("[[ 'x' | sha256 ]]", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("a [[ 'x\ny' | indent(2) ]]", "a x\n  y"),
        ("[[ version ]] [[ versions.db ]] [[ versions['items'] ]] [[ versions.items ]]", "1.4.2 16 3 3"),
        ("[% for job, v in versions | dictsort %][[ job ]]=[[ v ]] [% endfor %]", "api=1.4.2 db=16 items=3 "),
        ("[[ ref ]] [[ commit | default('none') ]]", "v1.2 none"),
        ("[% if commit is defined %]yes[% else %]no[% endif %]", "no"),
        ("[[ env('CI_BUILD') ]]", "77"),
        ("[[ consul_key('app/url') ]] [[ nomad_var('app/db', 'password') ]]", "http://x s3cret"),
        ("[[ file('plain.txt') ]]", "as it is: ${x} {{ y }} [[ z ]]\n"),
        ("[% include 'part.hcl' %]", "count = 3\n"),
        ("[% import 'macros.j2' as m %][[ m.name('x') ]]", "<x@1.4.2@eu>"),
        ("[% from 'macros.j2' import name %][[ name('y') ]]", "<y@1.4.2@eu>"),
        ("a\n  [% if flag %]\n  b\n  [% endif %]\nc\n", "a\n  b\nc\n"),
        ("a[# nobody reads this #]b", "ab"),
        ("a[% include 'none.j2' ignore missing %]b", "ab"),
        ("[% include ['none.j2', 'part.hcl'] %]", "count = 3\n"),
        ("[[ names | map('upper') | list ]] [[ range(3) | list ]]", '["A", "B\\"C"] [0, 1, 2]'),
        ("[[ versions ]] [[ versions | json ]]", '{"api": "1.4.2", "db": "16", "items": "3"} {"api": "1.4.2", "db": "16", "items": "3"}'),
        ("[[ 'web' in versions ]] [[ versions | length ]] [[ versions.web | default('x') ]]", "false 3 x"),
        ("[[ {'for': none, 'b': true, 'c': 1.5} | hcl ]]", '{"for" = null, "b" = true, "c" = 1.5}'),
        ("[[ 'a\x01' | hcl ]]", '"a\\u0001"'),
        ("a\r\n[[ region ]]\r\n", "a\r\neu\r\n"),
        ("a\r\n[[ region ]]\nb\rc\n", "a\r\neu\nb\rc\n"),
        ("a\r\n[% if flag %]\r\nb\r\n[% endif %]\r\nc", "a\r\nb\r\nc"),
        ("[# x\r\n y #]\r\n[[ [1,\r\n 2] | join ]]\r\n", "12\r\n"),
        ("[[ '[[' ]] ${NOMAD_PORT_http} {{ key \"x\" }}\n", '[[ ${NOMAD_PORT_http} {{ key "x" }}\n'),
    ],
)
def test_a_template_gives(source: str, text: str) -> None:
    assert render(source) == text


def test_env_is_the_environments_name_and_the_function() -> None:
    assert render("[[ env ]] [[ env == 'prod' ]] [[ env('CI_BUILD') ]]", {"env": "prod"}) == "prod true 77"


def test_env_of_an_environment_gives_nothing_away_and_is_plain_text() -> None:
    with pytest.raises(TemplateError) as caught:
        render("[[ env._ask('env', 'HOME') ]]", {"env": "prod"})
    assert caught.value.fault.code == "template-forbidden"
    assert render("[[ [env] | yaml ]] [[ env | json ]]", {"env": "prod"}) == '- prod "prod"'


def test_a_value_that_is_called_like_a_built_in_one_goes_first() -> None:
    assert render("[[ ref ]]", {"ref": "mine"}) == "mine"


def test_what_is_loaded_late_is_loaded_by_warming_up() -> None:
    engine = Engine(answer)
    engine.warm_up()
    assert engine.render("api", "api", "[[ region ]]", VALUES) == "eu"


def test_the_files_that_a_template_takes_in_are_known_for_each_job() -> None:
    engine = Engine(answer)
    for job in ("api", "db"):
        engine.render(job, job, "[% include 'part.hcl' %][% import 'macros.j2' as m %]", VALUES)
        assert engine.files() == ("macros.j2", "part.hcl")


def test_the_names_that_a_template_reads_are_known_in_branches_that_are_not_taken_and_in_what_it_includes() -> None:
    engine = Engine(answer)
    engine.render("web", "web", "[% if false %][[ a ]][% for x in [] %][[ b ]][% endfor %][% endif %][% include 'part.hcl' %]", VALUES)
    assert {"a", "b", "count"} <= engine.used()
    engine.render("api", "api", "[[ region ]]", VALUES)
    assert engine.used() == {"region"}


def test_one_engine_renders_each_job_with_its_own_version() -> None:
    engine = Engine(answer)
    source = "[% import 'macros.j2' as m %][[ m.name('x') ]]"
    assert [engine.render(job, job, source, VALUES) for job in ("api", "db")] == ["<x@1.4.2@eu>", "<x@16@eu>"]


BAD: Mapping[str, str] = {
    "undefined": "a\n  b [[ regoin ]]",
    "undefined-no-neighbour": "[[ zzz ]]",
    "undefined-in-filter": "[[ zzz | hcl ]]",
    "undefined-in-comparison": "[% if zzz == 1 %]x[% endif %]",
    "undefined-in-loop": "[% for x in zzz %]x[% endfor %]",
    "undefined-in-arithmetic": "[[ zzz + 1 ]]",
    "undefined-within-a-list": "[[ [1, zzz] ]]",
    "undefined-within-a-map": "[[ {'a': [zzz]} | hcl ]]",
    "undefined-part-within-a-list": "[[ [{'a': 1}] | map(attribute='b') | list ]]",
    "undefined-within-yaml": "[[ {'a': zzz} | yaml ]]",
    "undefined-macro-of-a-module": "[% import 'macros.j2' as m %][[ m.nam('x') ]]",
    "undefined-of-a-thousand-letters": "[[ " + "regio" * 200 + " ]]",
    "undefined-called": "[[ zzz() ]]",
    "undefined-part": "[[ limits.cpus ]]",
    "undefined-part-of-text": "[[ region.name ]]",
    "undefined-part-of-list": "[[ names[7] ]]",
    "undefined-part-of-undefined": "[[ zzz.part ]]",
    "undefined-after-lines": "1\n2\n3\n[% if flag %]\n  [[ zzz ]]\n[% endif %]",
    "undefined-in-include": "x\n[% include 'missing-name.j2' %]",
    "undefined-in-macro": "[% macro m() %]\n[[ zzz ]][% endmacro %]\n\n[[ m() ]]",
    "undefined-loop-variable-after-loop": "[% for x in names %][% endfor %][[ x ]]",
    "no-environment": "[[ env ]]",
    "no-environment-compared": "[% if env == 'prod' %]x[% endif %]",
    "no-version": "[[ versions.web ]]",
    "no-commit": "line\n[[ commit ]]",
    "no-commit-in-filter": "[[ commit | hcl ]]",
    "no-such-file": "[[ file('none.txt') ]]",
    "no-such-include": "[% include 'none.j2' %]",
    "no-such-import": "[% import 'none.j2' as x %]",
    "no-such-macro": "[% from 'macros.j2' import other %][[ other(1) ]]",
    "include-broken": "[% include 'broken.j2' %]",
    "include-itself": "[% include 'myself.j2' %]",
    "extends-itself": "[% extends 'myself.j2' %]",
    "gos-dot": "a\nb [[ .count ]]",
    "unclosed-if": "a\n[% if flag %]\nb",
    "unclosed-for": "[% for x in names %]",
    "unclosed-expression": "a [[ region",
    "unclosed-comment": "a [# region",
    "unclosed-block": "a [% if flag",
    "unclosed-text": "[[ 'abc ]]",
    "stray-endif": "[% endif %]",
    "wrong-nesting": "[% if flag %][% for x in names %][% endif %][% endfor %]",
    "unknown-tag": "[% wrong %]",
    "unknown-filter": "[[ region | hlc ]]",
    "unknown-test": "[% if region is blue %]x[% endif %]",
    "empty-expression": "[[ ]]",
    "shell-test": 'if [[ -z "$x" ]]; then',
    "shell-test-of-words": "if [[ $x == y ]]; then",
    "hcl-list-of-lists": "x = [[1, 2], [3]]",
    "toml-table": "[[servers.name]]",
    "function-not-called": "[[ file ]]",
    "too-many-arguments": "[[ env('A', 'B') ]]",
    "division-by-zero": "[[ 1 / 0 ]]",
    "wrong-types": "[[ region + 1 ]]",
    "not-base64": "[[ '!' | b64decode ]]",
    "forbidden-class": "[[ ''.__class__ ]]",
    "forbidden-globals": "[[ env.__globals__ ]]",
    "forbidden-attr-filter": "[[ '' | attr('__class__') ]]",
    "forbidden-format": "[[ '{0.__class__}'.format(region) ]]",
    "forbidden-internals": "[[ self._TemplateReference__context ]]",
    "forbidden-change": "[[ names.append('x') ]]",
    "chance": "[[ names | random ]]",
    "generator": "[[ names | map('upper') ]]",
    "generator-within": "[[ [names | map('upper')] ]]",
    "cycler": "[[ cycler('a') ]]",
    "infinite": "[[ 1e308 * 10 ]]",
    "hcl-of-a-function": "[[ file | hcl ]]",
    "no-such-of-several": "[% include ['none.j2', 'other.j2'] %]",
    "forbidden-ask": "[[ env.ask('env', 'HOME') ]]",
    "forbidden-ask-of-function": "[[ file._ask ]]",
    "include-of-no-text": "[% include 'binary' %]",
    "needs-a-file": "[[ file('late') ]]",
    "too-much-memory": "[[ 'x' * 10 ** 15 ]]",
    "endless-range": "[% for x in range(10000000) %]x[% endfor %]",
}


def test_there_are_fifty_faults() -> None:
    assert len(BAD) >= 50


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_told_word_for_word(name: str) -> None:
    fault = fault_of(BAD[name])
    told = f"{fault.code} {fault.file}:{fault.line}:{fault.column}\n{fault.problem}\n{fault.hint}\n"
    golden = Path(__file__).with_name("bad_templates") / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(told, encoding="utf-8")
    assert told == golden.read_text(encoding="utf-8")


def test_what_a_template_gives_has_an_end() -> None:
    doubled = "[% set ns = namespace(x='0123456789' * 1000) %][% for i in range(12) %][% set ns.x = ns.x ~ ns.x %][% endfor %][[ ns.x ]]"
    assert fault_of(doubled).code == "template-too-large"


PIECES = st.sampled_from(
    [
        *(
            "[[",
            "]]",
            "[%",
            "%]",
            "[#",
            "#]",
            "region",
            "names",
            "limits",
            "version",
            "env",
            "versions",
            " ",
            "\n",
            ".",
            "|",
            "(",
            ")",
            "'",
        ),
        *(
            "if",
            "for x in",
            "endif",
            "endfor",
            "set",
            "include",
            "import",
            "macro",
            "block",
            "x",
            "[",
            "]",
            "{",
            "}",
            "==",
            "~",
            "hcl",
            "1",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text_is_rendered_or_told_as_a_fault(source: str) -> None:
    with suppress(TemplateError):
        render(source)


def test_names_that_a_template_gives_a_value_itself_are_told_apart() -> None:
    engine = Engine(answer)
    source = "[% set a = 1 %][% for b in names %][[ a ]][[ b ]][[ loop.index ]][% endfor %][% include 'part.hcl' %][[ range(1) | list ]]"
    engine.render("api", "api", source, VALUES)
    assert {"a", "b", "loop", "range", "names", "count"} <= engine.used()
    assert {"a", "b", "loop", "range"} <= engine.own()
    assert not {"names", "count"} & engine.own()

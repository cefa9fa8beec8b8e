"""Plans, graphs, status and errors as text, and the cleaning of text from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree import depfile
from dtree.errors import DeclarationError, DtreeError, Fault, Place
from dtree.graph import build
from dtree.model import Address, JobRef
from dtree.plan import Evaluate, LeftOut, Nothing, Refuse, Rerun, Stop
from dtree.record import StatusRow
from dtree.views.error_text import error_text
from dtree.views.graph_text import graph_text
from dtree.views.outline import reduce_edges
from dtree.views.plan_text import plan_picture, plan_text
from dtree.views.status_text import status_picture, status_text
from dtree.views.style import Look
from dtree.views.text import cells, clean, duration, fit, join_names, short_revision, wrap
from tests.unit.views_samples import graph, plan, step

ASCII = Look(unicode=False)
COLOUR = Look(colour=True)
ADDRESS = "http://nomad:4646"


def text(golden: str) -> str:
    return dedent(golden).strip("\n")


def indented(golden: str) -> str:
    return dedent(golden).strip("\n").replace("\n|", "\n").removeprefix("|")


def test_a_plan_has_a_line_per_step_and_a_count() -> None:
    shown = plan_text(
        plan(
            step("postgres", change="noop", cause="runs, unchanged"),
            step("postgres_setup", "postgres"),
            step("api", "postgres", "postgres_setup", change="replace", cause="changed: Image", ref=JobRef("shop", "api-prod")),
            step("cron", change="update", cause="changed: Count", ref=JobRef("shop", "cron")),
            step("nginx", "api", change="rerun", cause="unchanged, but version 3 failed", action=Rerun("stop", 3)),
            step("search", change="evaluate", cause="unchanged", action=Evaluate(1)),
            warnings=("cron: group is ignored",),
        )
    )
    expected = indented("""
        |  1  =  postgres                noop                                      runs, unchanged
        |  2  +  postgres_setup          create    after postgres                  not in Nomad yet
        |  3  ±  api (api-prod in shop)  replace   after postgres, postgres_setup  changed: Image
        |  4  ~  cron (in shop)          update                                    changed: Count
        |  5  !  nginx                   rerun     after api                       unchanged, but version 3 failed
        |  6  ?  search                  evaluate                                  unchanged
        |
        |critical path: postgres_setup -> api -> nginx
        |warning: cron: group is ignored
        |Plan: 1 to create, 1 to update, 1 to replace, 1 to run again, 1 to evaluate, 1 unchanged.
    """)
    assert expected == shown


@pytest.mark.parametrize(
    ("revision", "short"),
    [
        ("sha256:9f3ac21be77d0011", "9f3ac21be77d"),
        ("9fceb02d0ae598e95dc970b74767f19372d61af8", "9fceb02d0ae5"),
        ("v1.2 (9fceb02, 2026-01-02)", "v1.2 (9fceb02, 2026-01-02)"),
        ("v1.2 + sha256:9f3ac21be77d0011", "v1.2 + 9f3ac21be77d"),
        ("index 1234", "index 1234"),
        ("\x1b[31mred", "red"),
    ],
)
def test_digests_and_commits_are_shortened_and_other_names_of_a_state_are_not(revision: str, short: str) -> None:
    assert short_revision(revision) == short


def test_a_plan_shows_files_and_what_it_is_of_where_asked_for() -> None:
    shown = plan_text(plan(step("db"), step("api", "db", cause="changed: Image")), verbose=True, address=ADDRESS)
    expected = indented("""
        |plan nginx: 2 steps, stack shop, filesystem 9f3ac21be77d, http://nomad:4646
        |
        |  1  +  db   create            db.nomad   not in Nomad yet
        |  2  +  api  create  after db  api.nomad  changed: Image
        |
        |critical path: db -> api
        |Plan: 2 to create.
    """)
    assert expected == shown


def test_a_picture_of_a_plan_fits_the_screen() -> None:
    steps = [step("refused", action=Refuse("there is no way", "go home")), *(step(f"job-{number}") for number in range(20))]
    whole = plan_picture(plan(*steps, warnings=("x" * 200,)), 60, 40, COLOUR, "no contact", address=ADDRESS)
    assert whole[0] == "\x1b[2mplan nginx: 21 steps, stack shop, filesystem 9f3ac21be77d,…\x1b[0m"
    assert whole[2].strip() == "cannot be done: there is no way"
    assert whole[-1] == "\x1b[31mno contact\x1b[0m"
    assert all(cells(clean(line)) < 60 for line in whole)
    cut = plan_picture(plan(*steps), 60, 8, ASCII, address=ADDRESS)
    assert len(cut) < 8
    assert cut[-2:] == ["... and 19 lines more", "Plan: 20 to create, 1 that cannot be done."]
    assert plan_picture(plan(), 60, 8, ASCII, address=ADDRESS)[1:] == ["Nothing to do."]


def test_a_plan_without_changes_says_so() -> None:
    shown = plan_text(plan(step("db", change="noop", cause="runs, unchanged"), step("api", "db", change="noop", cause="runs, unchanged")))
    assert shown.splitlines()[-1] == "Nothing to change: 2 unchanged."


def test_a_plan_to_stop_counts_what_is_kept_and_what_is_not_there() -> None:
    shown = plan_text(
        plan(
            step("nginx", change="stop", cause="runs", action=Stop(purge=False)),
            step("api", "nginx", change="purge", cause="runs", action=Stop(purge=True)),
            step("db", "api", change="keep", cause="still needed by search", action=Nothing()),
            step("redis", change="absent", cause="not in Nomad", action=Nothing()),
            verb="stop",
        )
    )
    expected = indented("""
        |  1  -  nginx  stop                 runs
        |  2  x  api    purge   after nginx  runs
        |  3  =  db     keep    after api    still needed by search
        |  4  .  redis  absent               not in Nomad
        |
        |Plan: 1 to stop, 1 to purge, 1 kept, 1 not running.
    """)
    assert expected == shown


def test_a_plan_with_nothing_to_stop_says_so() -> None:
    shown = plan_text(plan(step("redis", change="absent", cause="not in Nomad", action=Nothing()), verb="stop"))
    assert shown.splitlines()[-1] == "Nothing to stop: 1 not running."


def test_an_empty_plan_says_so() -> None:
    assert plan_text(plan()) == "Nothing to do."


def test_a_step_that_cannot_be_done_says_why() -> None:
    refused = step("api", change="rerun", cause="failed", action=Refuse("nothing to go back to", "change the job"))
    expected = indented("""
        |  1  ✗  api  rerun  failed
        |       cannot be done: nothing to go back to
        |       hint: change the job
        |
        |Plan: 1 that cannot be done.
    """)
    assert expected == plan_text(plan(refused))


def test_a_plan_in_ascii_is_ascii() -> None:
    assert plan_text(plan(step("api", change="replace", cause="changed")), ASCII).isascii()


def test_one_long_list_of_needs_leaves_the_other_lines_alone() -> None:
    needs = [f"service-{number}" for number in range(20)]
    lines = plan_text(plan(*map(step, needs), step("a", *needs, cause="one"), step("b", "a", cause="two"))).splitlines()
    assert "service-7 and 12 more  one" in lines[20]
    assert lines[21].index("two") < 75


def test_the_critical_path_is_told_with_the_least_time_and_a_long_one_by_its_ends() -> None:
    chain = [step("j0", rollout_s=2.5), *(step(f"j{number}", f"j{number - 1}") for number in range(1, 11))]
    assert "\ncritical path: j0 -> j1, at least 2.5 s\n" in plan_text(plan(*chain[:2]))
    assert "critical path: j0 -> j1 -> j2 -> j3 -> (3 more) -> j7 -> j8 -> j9 -> j10, at least 2.5 s" in plan_text(plan(*chain))
    assert "critical path: j0, at least 1 m 05 s" in plan_text(plan(step("j0", rollout_s=65.0)))
    assert "critical path" not in plan_text(plan(step("j1")))


def test_why_jobs_are_in_and_out_is_told_where_asked_for() -> None:
    value = replace(plan(step("db", reason="needed by api"), step("api", "db", reason="goal")), out=(LeftOut("web", "skipped"),))
    shown = plan_text(value, verbose=True).splitlines()
    assert shown[0].endswith("db.nomad   needed by api  not in Nomad yet")
    assert shown[3:5] == ["Left out:", "  web  skipped"]
    assert "skipped" not in plan_text(value)
    drawn = plan_picture(value, 60, 20, ASCII, address=ADDRESS, verbose=True)
    assert [line for line in drawn if "web" in line] == ["  web  skipped"]
    assert not any("web" in line for line in plan_picture(value, 60, 20, ASCII, address=ADDRESS))


def test_colour_does_not_change_what_a_plan_says() -> None:
    value = plan(step("db", change="noop", cause="x"), step("api", "db"))
    assert clean_lines(plan_text(value, COLOUR)) == plan_text(value).splitlines()


def clean_lines(coloured: str) -> list[str]:
    return [clean(line) for line in coloured.splitlines()]


SEED = graph(
    {"api": ("postgres", "postgres_setup"), "nginx": ("api",), "postgres": (), "postgres_setup": ("postgres",)},
    {"api": (("postgres", "pre"),), "nginx": (("api", "pre"),), "postgres": (("postgres_setup", "post"),), "postgres_setup": ()},
)


def test_a_tree_has_what_is_needed_below() -> None:
    expected = text("""
        nginx
        └─ api
           └─ postgres_setup
              └─ postgres
    """)
    assert expected == graph_text(SEED, SEED.needs, "tree")


def test_a_tree_draws_only_the_chosen_jobs() -> None:
    assert graph_text(SEED, {"postgres", "postgres_setup"}, "tree", look=ASCII) == "postgres_setup\n`- postgres"


def test_a_job_needed_by_two_is_a_reference_the_second_time() -> None:
    diamond = graph({"a": ("db",), "b": ("db",), "db": (), "web": ("a", "b")}, {})
    expected = text("""
        web
        ├─ a
        │  └─ db
        └─ b
           └─ db (above)
    """)
    assert expected == graph_text(diamond, diamond.needs, "tree")


def test_a_graph_without_jobs_says_so() -> None:
    assert graph_text(SEED, (), "tree") == "No jobs."


def test_dot_tells_the_kinds_of_edges_apart() -> None:
    expected = text("""
        digraph dependencies {
          node [shape=box];
          "api";
          "nginx";
          "postgres";
          "postgres_setup";
          "api" -> "postgres";
          "api" -> "postgres_setup" [style=dotted];
          "nginx" -> "api";
          "postgres_setup" -> "postgres" [style=dashed, label="post"];
        }
    """)
    assert expected == graph_text(SEED, SEED.needs, "dot")


def test_mermaid_tells_the_kinds_of_edges_apart() -> None:
    expected = text("""
        flowchart TD
          j0["api"]
          j1["nginx"]
          j2["postgres"]
          j3["postgres_setup"]
          j0 --> j2
          j0 -.-> j3
          j1 --> j0
          j3 -.->|"post"| j2
    """)
    assert expected == graph_text(SEED, SEED.needs, "mermaid")


def test_names_cannot_break_out_of_dot_or_mermaid() -> None:
    hostile = graph({'a"]; x\\N': ()}, {})
    assert '  "a\\"]; x\\\\N";' in graph_text(hostile, hostile.needs, "dot").splitlines()
    assert '  j0["a#34;#93;#59; x#92;N"]' in graph_text(hostile, hostile.needs, "mermaid").splitlines()


MARKED = build(
    depfile.parse(
        "dependency.json",
        json.dumps(
            {
                "dependencies": {
                    "api": {"pre": [{"job": "db", "condition": "started"}, {"job": "vault", "external": True}]},
                    "db": {"post": {"job": "fill", "wait_cond": "completed", "required": False}, "wait_cond": "healthy"},
                    "web": {
                        "pre": [{"job": "api", "required": False, "on_update": "restart"}, "plain", {"job": "db", "condition": "healthy"}]
                    },
                    "api2": {"wait_cond": 5, "pre": "plain"},
                    "top": {"pre": ["api2", "web"]},
                    "plain": {"wait_cond": "ready"},
                }
            }
        ).encode(),
        title="shop",
    ),
    ("fill", "api"),
)


def test_a_tree_marks_what_is_waited_for_and_what_is_optional_or_external() -> None:
    expected = text("""
        top
        ├─ api2 (5 s after start)
        │  └─ plain
        └─ web
           ├─ api (optional, restart on update)
           │  ├─ db (started)
           │  └─ vault (external)
           ├─ db (healthy, above)
           ├─ fill (completed, optional)
           │  └─ db (healthy, above)
           └─ plain (above)
    """)
    assert expected == graph_text(MARKED, MARKED.needs, "tree")


@pytest.mark.parametrize(
    ("own", "longer", "first", "is_drawn"),
    [
        ({}, {}, {}, False),
        ({"condition": {"log": "up"}}, {"condition": "registered"}, {}, True),
        ({"condition": "registered"}, {"condition": {"log": "up"}}, {}, False),
        ({"condition": "started"}, {"condition": "healthy"}, {}, False),
        ({"condition": "healthy"}, {"condition": "started"}, {}, True),
        ({"condition": "started"}, {"condition": {"all": [{"log": "up"}, {"tcp": {"port": "p"}}]}}, {}, False),
        ({"condition": "started"}, {"condition": {"any": ["healthy", {"tcp": {"port": "p"}}]}}, {}, False),
        ({"condition": "started"}, {"condition": {"any": ["healthy", "registered"]}}, {}, True),
        ({"condition": "started"}, {"condition": 5}, {}, False),
        ({}, {"required": False}, {}, True),
        ({}, {}, {"required": False}, True),
        ({"required": False}, {"required": False}, {"required": False}, False),
        ({"required": False}, {}, {}, False),
        ({"on_update": "restart"}, {"on_update": "restart"}, {}, True),
        ({}, {"on_update": "restart"}, {"on_update": "restart"}, False),
        ({"external": True}, {"external": True}, {}, False),
    ],
)
def test_a_tree_leaves_out_an_edge_only_where_a_longer_way_says_as_much(own: Any, longer: Any, first: Any, *, is_drawn: bool) -> None:
    jobs = {
        "a": {"pre": [{"job": "b", **first}, {"job": "c", **own}]},
        "b": {"pre": [{"job": "c", **longer}]},
    }
    parsed = depfile.parse("dependency.json", json.dumps({"dependencies": jobs}).encode(), title="shop")
    rows = graph_text(build(parsed, ("b", "c")), ("a", "b", "c"), "tree").splitlines()
    assert len(rows) == (4 if is_drawn else 3)


def test_dot_and_mermaid_label_the_edges_with_the_same() -> None:
    dot = graph_text(MARKED, MARKED.needs, "dot")
    assert '  "api" -> "db" [label="started"];' in dot
    assert '  "fill" -> "db" [style=dashed, label="post, healthy"];' in dot
    assert '  "web" -> "fill" [style=dotted, label="completed, optional"];' in dot
    assert '  "web" -> "api" [label="optional, restart on update"];' in dot
    mermaid = graph_text(MARKED, MARKED.needs, "mermaid").splitlines()
    assert '  j0 -->|"started"| j2' in mermaid
    assert '  j3 -.->|"post#44; healthy"| j2' in mermaid
    assert '  j7 -.->|"completed#44; optional"| j3' in mermaid


def drawn(job: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"job": job, "kind": kind, "conditions": [], "required": True, "external": False, "on_update": "none", **more}


def test_a_graph_as_json_marks_edges_with_fields() -> None:
    jobs = {one["job"]: one["needs"] for one in json.loads(graph_text(MARKED, MARKED.needs, "json"))["jobs"]}
    assert jobs["api"] == [drawn("db", "pre", conditions=["started"]), drawn("vault", "pre", external=True)]
    assert drawn("api", "pre", required=False, on_update="restart") in jobs["web"]


def test_a_graph_as_json_has_every_edge() -> None:
    assert json.loads(graph_text(SEED, SEED.needs, "json", goals=("nginx",))) == {
        "schema": 1,
        "goals": ["nginx"],
        "jobs": [
            {"job": "api", "needs": [drawn("postgres", "pre"), drawn("postgres_setup", "barrier")], "hook": None},
            {"job": "nginx", "needs": [drawn("api", "pre")], "hook": None},
            {"job": "postgres", "needs": [], "hook": None},
            {"job": "postgres_setup", "needs": [drawn("postgres", "post")], "hook": None},
        ],
    }


def closure(edges: dict[str, tuple[str, ...]], name: str) -> set[str]:
    return {name}.union(*(closure(edges, child) for child in edges[name]))


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=25))
def test_leaving_out_implied_edges_loses_no_dependency(pairs: list[tuple[int, int]]) -> None:
    full = {str(high): tuple(sorted({str(low) for top, low in pairs if top == high and low < high})) for high in range(8)}
    reduced = reduce_edges(full)
    assert {name: closure(full, name) for name in full} == {name: closure(reduced, name) for name in full}
    # And none could be left out further.
    for children in reduced.values():
        for child in children:
            assert all(child not in closure(reduced, other) for other in children if other != child)


STATUS = (
    StatusRow(
        "nginx",
        "nginx-prod",
        "default",
        "service",
        ("api",),
        "running",
        "Degraded",
        3,
        1,
        2,
        (Address("http", "10.0.0.1", 80), Address("http", "10.0.0.2", 80), Address("admin", "::1", 81)),
        "1 of 2 allocations healthy",
    ),
    StatusRow("api", "api", "default", "service", ("db",), "running", "Healthy", 0, 2, 2, (Address("http", "10.0.0.1", 8080),)),
    StatusRow("db", "db", "default", "service", (), "", "Missing", None, 0, 0, (), "not in Nomad"),
)


def test_status_is_a_table_in_the_shape_of_the_tree() -> None:
    expected = text("""
        JOB                 TYPE     STATE    HEALTH    VERSION  ALLOCS  ADDRESSES
        nginx (nginx-prod)  service  running  Degraded        3     1/2  http 10.0.0.1:80, 10.0.0.2:80
                                                                         admin [::1]:81
                                                                         1 of 2 allocations healthy
        └─ api              service  running  Healthy         0     2/2  http 10.0.0.1:8080
           └─ db            service  -        Missing         -     0/0  not in Nomad

        3 jobs: 1 Healthy, 1 Degraded, 1 Missing
    """)
    assert expected == status_text(STATUS)


def test_status_leaves_no_branch_without_an_end() -> None:
    shared, first, second = (
        StatusRow(name, name, "default", "service", needs, "running", "Healthy", 0, 1, 1)
        for name, needs in (("z", ()), ("first", ("z",)), ("second", ("a", "z")))
    )
    alone = replace(shared, job="a", id="a")
    names = [line.split("  service")[0].rstrip() for line in status_text((first, second, alone, shared)).splitlines()[1:5]]
    assert names == ["first", "└─ z", "second", "└─ a"]


def test_a_status_picture_keeps_its_head_and_counts_what_has_no_room() -> None:
    rows = [replace(STATUS[1], job=f"job-{number:02}", id=f"job-{number:02}", needs=()) for number in range(40)]
    lines = status_picture(rows, width=50, height=8, look=Look(), note="no contact")
    assert [line.split("  ")[0] for line in lines] == [
        "JOB",
        "job-00",
        "job-01",
        "job-02",
        "… and 37 more",
        "40 jobs: 40 Healthy",
        "no contact",
    ]
    assert max(map(len, lines)) < 50


def test_a_status_picture_with_room_for_all_shows_all() -> None:
    lines = status_picture(STATUS, width=120, height=8, look=Look())
    assert lines == [line for line in status_text(STATUS).splitlines() if line]


def test_status_of_nothing_says_so() -> None:
    assert status_text(()) == "No jobs."


def test_an_error_in_plain_text_is_what_it_says_of_itself() -> None:
    error = DtreeError(
        "the store is gone", place=Place("dependency.json", 3, 5, "dependencies.api"), notes=("while reading it",), hint="mount it"
    )
    assert str(error) == error_text(error)


def test_all_faults_of_a_file_are_written() -> None:
    error = DeclarationError(
        [Fault("unknown-key", "there is no key 'prre'", Place("d.yaml", 1, 2), "did you mean 'pre'?"), Fault("cycle", "a -> a")]
    )
    assert str(error) == error_text(error)
    assert clean_lines(error_text(error, COLOUR)) == str(error).splitlines()


def test_an_error_is_broken_at_blanks_and_a_path_stays_whole() -> None:
    error = DtreeError("the store is gone", place=Place("a/path/of/many/folders/dependency.json"), notes=("x " * 12,), hint="mount it")
    assert error_text(error, width=24) == indented("""
        |error[error]: the store
        |    is gone
        |  --> a/path/of/many/folders/dependency.json
        |  x x x x x x x x x x x
        |    x
        |  hint: mount it
    """)
    assert clean_lines(error_text(error, COLOUR, width=24)) == error_text(error, width=24).splitlines()
    assert max(map(cells, error_text(error, width=24, whole_words=False).splitlines())) <= 24


@given(st.text("ab \u4e16", max_size=40), st.integers(2, 20), st.sampled_from(["", "    "]))
def test_a_text_that_is_broken_loses_nothing_and_no_word_where_they_are_to_stay_whole(written: str, width: int, indent: str) -> None:
    whole = wrap(written, width, indent=indent, whole_words=True)
    assert " ".join(whole).split() == written.split()
    assert all(cells(line) <= width or len(line.split()) == 1 or cells(line.split()[-1]) > width - len(indent) for line in whole)
    cut = wrap(written, width, indent=indent)
    assert "".join(cut).replace(" ", "") == written.replace(" ", "")
    assert max(map(cells, cut)) <= width


def test_an_error_keeps_control_characters_from_the_terminal() -> None:
    assert error_text(DtreeError("no job '\x1b[2J\x07'", notes=("a\x00b",))) == "error[error]: no job '\\x07'\n  a\\x00b"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain ünïcode 世界", "plain ünïcode 世界"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGk=\x07clip", "clip"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("a\tb", "a   b"),
        ("two\nlines\r\n", "two lines"),
        ("bell\x07 null\x00", "bell\\x07 null\\x00"),
        ("\u202egpj", "\\u202egpj"),
        ("\udc80", "\\udc80"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_text_from_outside_is_made_safe(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text())
def test_clean_text_prints(raw: str) -> None:
    assert clean(raw).isprintable()


@given(st.text(alphabet="ab世\u0301é"), st.integers(1, 20))
def test_fitted_text_fits(raw: str, width: int) -> None:
    assert cells(fit(raw, width)) <= width


@pytest.mark.parametrize(
    ("span_s", "shown"), [(-1, "0.0 s"), (0.44, "0.4 s"), (12.36, "12.4 s"), (59.96, "1 m 00 s"), (65, "1 m 05 s"), (3725, "1 h 02 m")]
)
def test_durations_read_well(span_s: float, shown: str) -> None:
    assert duration(span_s) == shown


def test_long_lists_of_names_are_counted() -> None:
    assert join_names(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


def test_a_plan_says_what_templates_read_elsewhere_and_no_value() -> None:
    read = step("api")
    read = replace(read, job=replace(read.job, reads=('nomad_var("app/db", "password")', 'file("x.j2")', 'env("CI")')))
    assert 'Templates read env("CI"), nomad_var("app/db", "password").\n' in plan_text(plan(read))

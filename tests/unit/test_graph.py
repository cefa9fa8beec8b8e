"""dtree.graph: edges, barriers, cycles, closures and orders."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree import depfile
from dtree.declaration import Condition
from dtree.errors import DeclarationError, Fault, GoalError
from dtree.graph import DependencyGraph, Terms, build, order, select

SEED = {
    "nginx": {"wait_cond": 5, "pre": {"job": "api"}},
    "api": {"wait_cond": 7, "pre": {"job": "postgres"}},
    "postgres": {"post": {"job": "postgres_setup", "wait_cond": 3}, "wait_cond": 5},
}


def graph_of(dependencies: Mapping[str, Any], files: Collection[str] = (), **head: Any) -> DependencyGraph:
    data = json.dumps({**head, "dependencies": dependencies}).encode()
    return build(depfile.parse("dependency.json", data, title="shop"), files)


def faults_of(text: str, files: Collection[str] = ()) -> tuple[Fault, ...]:
    with pytest.raises(DeclarationError) as caught:
        build(depfile.parse("dependency.json", text.encode(), title="shop"), files)
    return caught.value.faults


def names_of(count: int) -> list[str]:
    return [f"j{number:02}" for number in range(count)]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, dict[str, list[str]]]:
    """Dependencies in which each job needs only jobs before it, in a shuffled file, with names that do not follow the order."""
    names = draw(st.permutations(names_of(draw(st.integers(1, 9)))))
    entries: dict[str, dict[str, list[str]]] = {name: {"pre": []} for name in names}
    for position, name in enumerate(names):
        entries[name]["pre"] = draw(st.lists(st.sampled_from(names[:position]), unique=True)) if position else []
    return {name: entries[name] for name in draw(st.permutations(names))}


# -- edges -------------------------------------------------------------------------------------------------------------


def test_the_seed_gives_postgres_then_its_setup_then_api_then_nginx() -> None:
    graph = graph_of(SEED, files=("postgres_setup",))
    assert order(graph, select(graph, ["nginx"])) == ("postgres", "postgres_setup", "api", "nginx")


def test_a_post_job_is_a_barrier_for_whoever_needs_its_owner() -> None:
    graph = graph_of({"api": {"pre": "db"}, "db": {"post": "setup"}, "setup": {}})
    assert graph.needs == {"api": ("db", "setup"), "db": (), "setup": ("db",)}


def test_the_barrier_goes_on_through_post_jobs_of_post_jobs() -> None:
    graph = graph_of({"api": {"pre": "db"}, "db": {"post": "setup"}, "setup": {"post": "seed"}, "seed": {}})
    assert graph.needs["api"] == ("db", "seed", "setup")
    assert graph.needs["seed"] == ("setup",)


def test_sibling_post_jobs_run_side_by_side() -> None:
    graph = graph_of({"db": {"post": ["fill", "index"]}, "fill": {}, "index": {}})
    assert graph.needs["fill"] == ("db",)
    assert graph.needs["index"] == ("db",)


def test_a_sibling_post_job_waits_where_it_names_the_other() -> None:
    graph = graph_of({"db": {"post": ["fill", "index"]}, "fill": {}, "index": {"pre": "fill"}})
    assert graph.needs["index"] == ("db", "fill")


def test_a_post_job_that_names_its_owner_in_pre_is_no_cycle() -> None:
    graph = graph_of({"db": {"post": ["setup", "warm"]}, "setup": {"pre": "db"}, "warm": {}})
    assert graph.needs["setup"] == ("db",)


def test_a_post_job_of_a_post_job_may_name_the_first_owner() -> None:
    graph = graph_of({"db": {"post": "setup"}, "setup": {"post": "seed"}, "seed": {"pre": "db"}})
    assert graph.needs["seed"] == ("db", "setup")


def test_a_post_job_that_two_post_jobs_share_is_in_the_barrier_once() -> None:
    graph = graph_of(
        {"api": {"pre": "db"}, "db": {"post": ["fill", "index"]}, "fill": {"post": "check"}, "index": {"post": "check"}, "check": {}}
    )
    assert graph.needs["api"] == ("check", "db", "fill", "index")


def test_a_post_job_of_two_owners_waits_for_both() -> None:
    graph = graph_of({"a": {"post": "check"}, "b": {"post": "check"}, "check": {}})
    assert graph.needs["check"] == ("a", "b")


def test_dependents_are_the_needs_turned_round() -> None:
    graph = graph_of(SEED, files=("postgres_setup",))
    assert graph.dependents == {
        "api": ("nginx",),
        "nginx": (),
        "postgres": ("api", "postgres_setup"),
        "postgres_setup": ("api",),
    }


def test_the_declared_edges_are_kept_as_written() -> None:
    graph = graph_of({"api": {"pre": ["db"], "post": ["warm"]}, "db": {"post": "setup"}, "setup": {}, "warm": {}})
    assert graph.declared["api"] == (("db", "pre"), ("warm", "post"))
    assert graph.posts("api") == ("warm",)
    assert graph.posts("db") == ("setup",)


def test_the_owner_gives_its_post_job_a_condition() -> None:
    graph = graph_of(SEED, files=("postgres_setup",))
    assert graph.post_conditions == {"postgres_setup": Condition("started", 3.0)}


def test_a_job_that_only_an_edge_names_takes_the_defaults() -> None:
    graph = graph_of({"api": {"pre": "db"}}, files=("db",), defaults={"timeout": "9s", "retries": 2})
    assert (graph.entries["db"].name, graph.entries["db"].timeout_s, graph.entries["db"].retries) == ("db", 9.0, 2)


def test_a_job_named_nowhere_is_a_fault_at_its_edge() -> None:
    text = '{"dependencies": {\n  "api": {"pre": ["dbb"]}, "db": {}}}'
    assert [str(fault) for fault in faults_of(text)] == [
        (
            "error[job-named-nowhere]: 'api' needs 'dbb', which has neither an entry nor a job file\n"
            "  --> dependency.json:2:19, dependencies.api.pre[0]\n"
            "  hint: did you mean 'db'?"
        )
    ]


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    text = '{"dependencies": {"x": {"pre": "y"}, "y": {"pre": "x"}, "b": {"pre": "nothing"}, "a": {"post": "nowhere"}}}'
    assert [(fault.code, fault.problem.split(",")[0]) for fault in faults_of(text)] == [
        ("cycle", "jobs wait for each other: x -> y -> x"),
        ("job-named-nowhere", "'b' needs 'nothing'"),
        ("job-named-nowhere", "'a' needs 'nowhere'"),
    ]


# -- what an edge asks for ---------------------------------------------------------------------------------------------


def test_an_edge_that_says_nothing_asks_for_the_needs_own_condition() -> None:
    graph = graph_of({"api": {"pre": "db"}, "db": {}})
    assert graph.terms == {}
    assert graph.terms_of("api", "db") == Terms((None,), required=True)


@pytest.mark.parametrize(
    ("condition", "needs"),
    [
        ("registered", ("db",)),
        ("started", ("db",)),
        ("service_started", ("db",)),
        ("healthy", ("db", "setup")),
        ("ready", ("db", "setup")),
        (5, ("db", "setup")),
    ],
)
def test_only_an_edge_at_registered_or_started_does_not_wait_for_post_jobs(condition: str | int, needs: tuple[str, ...]) -> None:
    graph = graph_of({"api": {"pre": {"job": "db", "condition": condition}}, "db": {"post": "setup"}, "setup": {}})
    assert graph.needs["api"] == needs
    assert graph.terms_of("api", "setup") == Terms()


def test_a_post_edge_says_what_the_owner_must_have_reached() -> None:
    graph = graph_of({"db": {"post": {"job": "setup", "condition": "started"}}, "setup": {}})
    assert graph.terms_of("setup", "db") == Terms((Condition("started"),))


def test_a_job_that_needs_another_by_two_edges_waits_for_both() -> None:
    dependencies = {
        "api": {"pre": [{"job": "setup", "condition": "started", "required": False}, "db"]},
        "db": {"post": "setup"},
        "setup": {},
    }
    assert graph_of(dependencies).terms_of("api", "setup") == Terms((Condition("started"), None), required=True)


def test_an_edge_at_started_makes_no_cycle_through_a_post_job() -> None:
    dependencies = {"db": {"post": "setup"}, "setup": {"pre": "api"}, "api": {"pre": {"job": "db", "condition": "started"}}}
    assert graph_of(dependencies).needs == {"api": ("db",), "db": (), "setup": ("api", "db")}


def test_a_cycle_is_shown_at_the_edge_that_waits_for_the_post_job() -> None:
    dependencies = {
        "db": {"post": "setup"},
        "other": {"post": "setup"},
        "setup": {"pre": "api"},
        "api": {"pre": [{"job": "db", "condition": "started"}, "other"]},
    }
    (fault,) = faults_of(json.dumps({"dependencies": dependencies}))
    assert fault.problem == "jobs wait for each other: api -> setup -> api"
    assert fault.place is not None
    assert fault.place.key == "dependencies.api.pre[1]"


def test_post_jobs_of_what_is_optional_are_optional_too() -> None:
    dependencies = {"search": {"pre": {"job": "elastic", "required": False}}, "elastic": {"post": "index"}, "index": {}}
    graph = graph_of(dependencies, files=("elastic",))
    assert [graph.terms_of("search", need).required for need in graph.needs["search"]] == [False, False]
    assert graph.terms_of("index", "elastic").required


def test_an_optional_post_job_does_not_stop_those_who_need_its_owner() -> None:
    dependencies = {"api": {"pre": "db"}, "db": {"post": {"job": "warm", "required": False}}, "warm": {"post": "after"}, "after": {}}
    graph = graph_of(dependencies, files=("warm",))
    assert {need: graph.terms_of("api", need).required for need in graph.needs["api"]} == {"after": False, "db": True, "warm": False}


def test_an_optional_job_without_a_file_is_left_out_and_named() -> None:
    dependencies = {"search": {"pre": [{"job": "elastic", "required": False}, "db"]}, "db": {}, "elastic": {"pre": "disk"}}
    graph = graph_of(dependencies, files=("search", "db"))
    assert (graph.needs, graph.absent) == ({"db": (), "search": ("db",)}, ("elastic",))


def test_an_optional_job_with_a_file_is_deployed() -> None:
    graph = graph_of({"search": {"pre": {"job": "elastic", "required": False}}}, files=("search", "elastic"))
    assert (graph.needs["search"], graph.absent) == (("elastic",), ())


def test_an_optional_job_whose_entry_names_a_file_is_deployed() -> None:
    graph = graph_of({"search": {"pre": {"job": "elastic", "required": False}}, "elastic": {"file": "e.nomad"}}, files=("search",))
    assert (graph.needs["search"], graph.absent) == (("elastic",), ())


def test_a_job_that_one_can_do_without_and_another_cannot_is_missed() -> None:
    text = '{"dependencies": {"logs": {"pre": "elastic"}, "search": {"pre": {"job": "elastic", "required": false}}}}'
    assert [(fault.code, fault.place and fault.place.key) for fault in faults_of(text)] == [
        ("job-named-nowhere", "dependencies.logs.pre"),
    ]


def test_an_external_job_needs_neither_an_entry_nor_a_file() -> None:
    graph = graph_of({"api": {"pre": {"job": "vault", "external": True}}}, defaults={"timeout": "9s"})
    assert (graph.needs["api"], graph.externals, graph.entries["vault"].timeout_s) == (("vault",), frozenset({"vault"}), 9.0)


# -- cycles ------------------------------------------------------------------------------------------------------------


def test_a_cycle_is_drawn_from_the_smallest_name_with_its_whole_path_and_place() -> None:
    text = '{"dependencies": {\n "web": {"pre": "api"},\n "api": {"pre": "db"},\n "db": {"pre": "web"}}}'
    assert [str(fault) for fault in faults_of(text)] == [
        (
            "error[cycle]: jobs wait for each other: api -> db -> web -> api\n"
            "  --> dependency.json:3:17, dependencies.api.pre\n"
            "  hint: take one of these edges out"
        )
    ]


def test_a_job_that_needs_itself_is_a_cycle() -> None:
    text = '{"dependencies": {"api": {"pre": "api"}}}'
    (fault,) = faults_of(text)
    assert "api" in fault.problem


def test_a_post_job_that_needs_something_which_needs_its_owner_is_a_cycle() -> None:
    text = '{"dependencies": {"db": {"post": "setup"}, "setup": {"pre": "api"}, "api": {"pre": "db"}}}'
    assert [(fault.problem, fault.hint) for fault in faults_of(text)] == [
        ("jobs wait for each other: api -> setup -> api", "take one of these edges out"),
    ]


def test_a_job_that_needs_its_own_post_job_is_a_cycle_and_the_hint_names_the_owner() -> None:
    text = '{"dependencies": {"db": {"post": "setup", "pre": "setup"}, "setup": {}}}'
    assert [(fault.problem, fault.hint) for fault in faults_of(text)] == [
        (
            "jobs wait for each other: db -> setup -> db",
            "take one of these edges out ('setup' is a post job of 'db'; 'setup' is a post job of 'db')",
        ),
    ]


def test_two_post_jobs_that_own_each_other_are_a_cycle() -> None:
    text = '{"dependencies": {"a": {"post": "b"}, "b": {"post": "a"}}}'
    (fault,) = faults_of(text)
    assert fault.problem == "jobs wait for each other: a -> b -> a"


def test_a_cycle_draws_a_shortest_way_back() -> None:
    text = '{"dependencies": {"a": {"pre": ["b", "c"]}, "b": {"pre": "d"}, "d": {"pre": "a"}, "c": {"pre": "a"}}}'
    assert [fault.problem for fault in faults_of(text)] == ["jobs wait for each other: a -> c -> a"]


def test_two_separate_cycles_are_two_faults() -> None:
    text = '{"dependencies": {"a": {"pre": "b"}, "b": {"pre": "a"}, "y": {"pre": "z"}, "z": {"pre": "y"}}}'
    assert [fault.problem for fault in faults_of(text)] == [
        "jobs wait for each other: a -> b -> a",
        "jobs wait for each other: y -> z -> y",
    ]


def test_a_job_that_only_needs_a_cycle_is_not_drawn_into_it() -> None:
    text = '{"dependencies": {"a": {"pre": "y"}, "y": {"pre": "z"}, "z": {"pre": "y"}}}'
    assert [fault.problem for fault in faults_of(text)] == ["jobs wait for each other: y -> z -> y"]


@given(acyclic(), st.data())
def test_every_graph_with_one_edge_back_is_told_as_a_cycle_that_exists(
    dependencies: dict[str, dict[str, list[str]]], data: st.DataObject
) -> None:
    graph = graph_of(dependencies)
    low = data.draw(st.sampled_from(sorted(dependencies)))
    high = data.draw(st.sampled_from(sorted(name for name in dependencies if low in select(graph, [name]))))
    changed = {**dependencies, low: {"pre": [*dependencies[low]["pre"], high]}}
    drawn = [
        fault.problem.removeprefix("jobs wait for each other: ").split(" -> ") for fault in faults_of(json.dumps({"dependencies": changed}))
    ]
    for path in drawn:
        assert path[0] == path[-1]
        assert all(other in changed[name]["pre"] for name, other in pairwise(path))
    assert len(drawn) == 1


# -- select ------------------------------------------------------------------------------------------------------------


def test_a_post_job_as_goal_brings_its_owner() -> None:
    graph = graph_of(SEED, files=("postgres_setup",))
    assert select(graph, ["postgres_setup"]) == {"postgres", "postgres_setup"}


def test_a_goal_brings_its_own_post_jobs_and_what_they_need() -> None:
    graph = graph_of({"db": {"post": "setup"}, "setup": {"pre": "files"}, "files": {}, "other": {}})
    assert select(graph, ["db"]) == {"db", "setup", "files"}


def test_a_diamond_has_its_top_once() -> None:
    graph = graph_of({"web": {"pre": ["api", "auth"]}, "api": {"pre": "db"}, "auth": {"pre": "db"}, "db": {}})
    assert order(graph, select(graph, ["web"])) == ("db", "api", "auth", "web")


def test_an_unknown_goal_is_told_with_the_nearest_name() -> None:
    with pytest.raises(GoalError) as caught:
        select(graph_of(SEED, files=("postgres_setup",)), ["nginx", "apii"])
    assert (caught.value.problem, caught.value.hint) == (
        "there is no job 'apii' in dependency.json, and the store has no job file of that name",
        "did you mean 'api'?",
    )


@given(acyclic(), st.data())
def test_a_closure_is_minimal_and_complete(dependencies: dict[str, dict[str, list[str]]], data: st.DataObject) -> None:
    graph = graph_of(dependencies)
    goals = data.draw(st.lists(st.sampled_from(sorted(dependencies)), min_size=1, unique=True))
    chosen = select(graph, goals)
    assert all(set(graph.needs[name]) <= chosen for name in chosen)
    assert all(name in goals or any(name in graph.needs[other] for other in chosen) for name in chosen)


# -- order -------------------------------------------------------------------------------------------------------------


@given(acyclic())
def test_every_job_comes_after_its_needs(dependencies: dict[str, dict[str, list[str]]]) -> None:
    graph = graph_of(dependencies)
    ordered = order(graph, sorted(dependencies))
    position = {name: number for number, name in enumerate(ordered)}
    assert sorted(ordered) == sorted(dependencies)
    assert all(position[need] < position[name] for name in ordered for need in graph.needs[name])


@given(acyclic(), st.data())
def test_the_order_of_the_file_changes_nothing(dependencies: dict[str, dict[str, list[str]]], data: st.DataObject) -> None:
    shuffled = {
        name: {"pre": data.draw(st.permutations(dependencies[name]["pre"]))} for name in data.draw(st.permutations(sorted(dependencies)))
    }
    first, second = graph_of(dependencies), graph_of(shuffled)
    assert list(first.needs.items()) == list(second.needs.items())
    assert order(first, set(dependencies)) == order(second, set(dependencies))


def test_names_decide_wherever_order_is_free() -> None:
    graph = graph_of({"c": {}, "a": {"pre": "z"}, "b": {}, "z": {}})
    assert order(graph, {"c", "b", "a", "z"}) == ("b", "c", "z", "a")


def test_only_the_chosen_are_ordered() -> None:
    graph = graph_of(SEED, files=("postgres_setup",))
    assert order(graph, {"nginx", "api"}) == ("api", "nginx")


# -- size --------------------------------------------------------------------------------------------------------------


def test_a_chain_of_ten_thousand_jobs_needs_no_recursion_and_is_quick() -> None:
    chain: dict[str, Any] = {f"j{number:05}": {"pre": f"j{number - 1:05}"} for number in range(1, 10_000)}
    began_s = time.process_time()
    graph = graph_of({**chain, "j00000": {}})
    assert order(graph, select(graph, ["j09999"])) == tuple(f"j{number:05}" for number in range(10_000))
    assert time.process_time() - began_s < 5


def test_a_cycle_of_ten_thousand_jobs_is_drawn_without_recursion() -> None:
    ring = {f"j{number:05}": {"pre": f"j{(number + 1) % 10_000:05}"} for number in range(10_000)}
    (fault,) = faults_of(json.dumps({"dependencies": ring}))
    assert fault.problem.startswith("jobs wait for each other: j00000 -> j00001 -> j00002")
    assert fault.problem.endswith("j09999 -> j00000")


def test_ten_thousand_post_jobs_of_post_jobs_need_no_recursion() -> None:
    owners: dict[str, Any] = {f"j{number:05}": {"post": f"j{number + 1:05}"} for number in range(9_999)}
    graph = graph_of({**owners, "j09999": {}, "z": {"pre": "j00000"}})
    assert len(graph.needs["z"]) == 10_000


def test_one_job_with_ten_thousand_needs_is_quick() -> None:
    wide: dict[str, Any] = {f"j{number:05}": {} for number in range(9_999)}
    began_s = time.process_time()
    graph = graph_of({**wide, "top": {"pre": sorted(wide)}})
    assert order(graph, select(graph, ["top"]))[-1] == "top"
    assert time.process_time() - began_s < 5


def test_a_goal_that_has_an_entry_and_no_file_is_told_so() -> None:
    file = b'{"dependencies": {"web": {"pre": {"job": "cache", "required": false}}, "cache": {"timeout": 3}}}'
    built = build(depfile.parse("d.json", file, title="shop"), ("web",))
    told = r"^error\[unknown-job\]: 'cache' has no job file, and whoever names it in d.json can do without it"
    with pytest.raises(GoalError, match=told):
        select(built, ["cache"])

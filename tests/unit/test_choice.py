"""dtree.choice: which jobs a run or a stop is about, and why; what plans come of it is in tests/plans/choice-*."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree import depfile
from dtree.choice import Choice, choose
from dtree.errors import GoalError
from dtree.graph import DependencyGraph, build, order, restrict, select
from dtree.plan import Intent

SHOP = {
    "web": {"pre": "api"},
    "api": {"pre": "db", "tags": ["shop"]},
    "db": {"pre": "disk", "post": "setup", "tags": ["data", "shop"]},
    "lonely": {},
}
FILES = ("setup", "disk")


def graph_of(dependencies: Any, files: tuple[str, ...] = (), **head: Any) -> DependencyGraph:
    data = json.dumps({**head, "dependencies": dependencies}).encode()
    return build(depfile.parse("dependency.json", data, title="shop"), files)


def chosen(*goals: str, verb: Any = "run", **more: Any) -> Choice:
    return choose(graph_of(SHOP, FILES), Intent(verb, tuple(sorted(goals)), **more))


def out(choice: Choice) -> dict[str, str]:
    return {one.job: one.reason for one in choice.out}


# -- a run -------------------------------------------------------------------------------------------------------------


def test_a_goal_brings_what_it_needs_and_the_post_jobs_of_that() -> None:
    assert chosen("api").reasons == {"api": "goal", "db": "needed by api", "setup": "post job of db", "disk": "needed by db"}


def test_every_other_job_is_out_for_a_reason() -> None:
    assert out(chosen("api")) == {
        "lonely": "not asked for, and nothing that is needs it",
        "web": "needs api, left out without --with-dependents",
    }


def test_a_post_job_that_somebody_needs_in_the_file_is_needed_by_that_one() -> None:
    graph = graph_of({"api": {"pre": ["db", "setup"]}, "db": {"post": "setup"}}, FILES)
    assert choose(graph, Intent("run", ("api",))).reasons["setup"] == "needed by api"


def test_a_post_job_as_goal_needs_its_owner() -> None:
    assert chosen("setup").reasons == {"setup": "goal", "db": "needed by setup", "disk": "needed by db"}


def test_a_goal_by_its_tag_says_which() -> None:
    choice = chosen("api", "db", "web", tags=("shop", "data"))
    assert {goal: choice.reasons[goal] for goal in ("api", "db", "web")} == {"api": "tag shop", "db": "tag data", "web": "goal"}


def test_only_takes_no_needs_but_post_jobs() -> None:
    assert chosen("db", only=True).reasons == {"db": "goal", "setup": "post job of db"}
    choice = chosen("api", only=True)
    assert choice.reasons == {"api": "goal"}
    assert choice.outside == {"db": ("api",), "setup": ("api",)}
    assert out(choice) == {
        "db": "needed by api, left out by --only",
        "disk": "needed by db, which is left out",
        "lonely": "not asked for, and nothing that is needs it",
        "setup": "post job of db, left out by --only",
        "web": "needs api, left out without --with-dependents",
    }


def test_dependents_come_along_with_all_that_they_need() -> None:
    choice = chosen("disk", with_dependents=True)
    assert choice.reasons == {
        "disk": "goal",
        "db": "needs disk (--with-dependents)",
        "api": "needs db (--with-dependents)",
        "setup": "post job of db",
        "web": "needs api (--with-dependents)",
    }
    assert out(choice) == {"lonely": "not asked for, and nothing that is needs it"}


def test_a_dependent_by_two_ways_comes_along_once() -> None:
    graph = graph_of({"web": {"pre": ["api", "auth"]}, "api": {"pre": "db"}, "auth": {"pre": "db"}, "db": {}})
    reasons = choose(graph, Intent("run", ("db",), with_dependents=True)).reasons
    assert reasons["web"] == "needs api (--with-dependents)"


def test_what_is_skipped_is_out_with_all_that_only_it_needs() -> None:
    choice = chosen("web", skip=("db",))
    assert choice.reasons == {"web": "goal", "api": "needed by web", "setup": "post job of db"}
    assert choice.outside == {"db": ("api", "setup")}
    assert out(choice)["db"] == "skipped"
    assert out(choice)["disk"] == "needed by db, which is skipped"


def test_a_dependent_by_way_of_a_skipped_job_still_comes_along() -> None:
    choice = chosen("db", with_dependents=True, skip=("api",))
    assert choice.reasons["web"] == "needs api (--with-dependents)"
    assert choice.outside == {"api": ("web",)}


@pytest.mark.parametrize("more", [{}, {"skip": ("nowhere",)}])
def test_an_unknown_job_is_told(more: dict[str, Any]) -> None:
    with pytest.raises(GoalError):
        chosen("api" if more else "apy", **more)


# -- a stop ------------------------------------------------------------------------------------------------------------


def test_a_stop_takes_post_jobs_and_with_deep_what_is_needed() -> None:
    assert chosen("db", verb="stop").reasons == {"db": "goal", "setup": "post job of db"}
    assert chosen("db", verb="stop", deep=True).reasons == {"db": "goal", "setup": "post job of db", "disk": "needed by db"}


def test_a_stop_says_what_it_leaves() -> None:
    assert out(chosen("db", verb="stop"))["disk"] == "needed by db, left as it is without --deep"


def test_a_stop_takes_dependents_along() -> None:
    assert set(chosen("db", verb="stop", with_dependents=True, skip=("web",)).reasons) == {"db", "setup", "api"}


def test_what_belongs_to_others_is_never_stopped() -> None:
    graph = graph_of({"api": {"pre": [{"job": "vault", "external": True}]}})
    choice = choose(graph, Intent("stop", ("api",), deep=True))
    assert (set(choice.reasons), out(choice)) == ({"api"}, {"vault": "external: others run it"})


def test_what_has_no_file_and_nobody_requires_is_out() -> None:
    graph = graph_of({"api": {"pre": [{"job": "cache", "required": False}]}})
    assert out(choose(graph, Intent("run", ("api",)))) == {"cache": "has no job file, and whoever names it can do without"}


def test_an_order_that_holds_through_what_is_left_out_is_required_where_all_on_the_way_is() -> None:
    def edge(job: str, *, required: bool) -> dict[str, Any]:
        return {"job": job, "required": required}

    dependencies = {
        "web": {"pre": [edge("api", required=False), "auth"]},
        "api": {"pre": "db"},
        "auth": {"pre": [edge("db", required=False), edge("disk", required=False)]},
        "db": {"pre": "disk"},
        "disk": {},
    }
    part = restrict(graph_of(dependencies, FILES), {"web", "db", "disk"})
    assert {need: part.terms_of("web", need).required for need in part.needs["web"]} == {"db": False, "disk": False}
    other = restrict(graph_of({**dependencies, "web": {"pre": ["api", "auth"]}}, FILES), {"web", "db"})
    assert other.terms_of("web", "db").required


# -- what holds for every choice -----------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> DependencyGraph:
    names = [f"j{number}" for number in range(draw(st.integers(1, 8)))]
    dependencies = {
        name: {"pre": draw(st.lists(st.sampled_from(names[:position]), unique=True)) if position else []}
        for position, name in enumerate(names)
    }
    return graph_of(dependencies)


@given(graphs(), st.data())
def test_every_job_is_in_or_out_and_without_options_in_is_what_the_goals_need(graph: DependencyGraph, data: st.DataObject) -> None:
    goals = tuple(sorted(data.draw(st.sets(st.sampled_from(sorted(graph.entries)), min_size=1))))
    choice = choose(graph, Intent("run", goals))
    assert set(choice.reasons) == select(graph, goals)
    assert choice.outside == {}
    assert sorted([*choice.reasons, *(one.job for one in choice.out)]) == sorted(graph.entries)


@given(graphs(), st.data())
def test_the_order_between_chosen_jobs_holds_whatever_is_left_out_between_them(graph: DependencyGraph, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(graph.entries)), min_size=1))
    part = restrict(graph, names)
    position = {name: number for number, name in enumerate(order(part, names))}
    assert set(position) == names
    for name in names:
        below = select(graph, [name]) & names - {name}
        assert all(position[other] < position[name] for other in below)
        assert set(part.needs[name]) <= names
        assert select(part, [name]) & names - {name} == below
        assert all(name in part.dependents[need] for need in part.needs[name])

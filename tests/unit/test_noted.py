"""dtree.noted: where jobs came from, and which job of Nomad it is whose file cannot be rendered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dtree.errors import ClusterError, Denied, Unavailable
from dtree.model import JobRef, RenderedJob
from dtree.noted import Noted, find_origins, read_notes, ref_said_by
from dtree.observe import read_stored
from dtree.provenance import MARK, Source, note_path, noted, provenance_of, registered_as
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import rendered


def cluster() -> FakeCluster:
    return FakeCluster(FakeClock())


def register(nomad: FakeCluster, job: RenderedJob, stack: str) -> None:
    """Register a job as a run does; its note is written too."""
    state = nomad.job(job.ref)
    came = provenance_of(job, Source(stack, "filesystem", "1"))
    nomad.register(job, enforce_index=state.modify_index if state else 0, provenance=came)
    state = nomad.job(job.ref)
    assert state is not None
    nomad.change_note(stack, job.ref, lambda items: noted(items, replace(came, registered=registered_as(state))))


def origin(nomad: FakeCluster, job: RenderedJob) -> Noted:
    return find_origins({job.ref: nomad.job(job.ref)}, nomad, stack="shop")[job.ref]


def stack_of(told: Noted) -> str:
    assert told.provenance is not None
    return told.provenance.stack


# -- notes -------------------------------------------------------------------------------------------------------------


def test_notes_are_read_by_namespace_and_a_denial_is_told_of_the_jobs_that_it_is_about() -> None:
    nomad = cluster()
    here, there = rendered("api"), rendered("api", namespace="elsewhere")
    for job in (here, there):
        nomad.change_note("shop", job.ref, lambda _: {MARK: "1"})
    stored = read_stored({"here": here, "there": there}, nomad, children=False)
    found = read_notes(stored, nomad, stack="shop")
    assert {name: (seen.note, seen.unread) for name, seen in found.items()} == {"here": ({MARK: "1"}, None), "there": ({MARK: "1"}, None)}
    error = Denied("Nomad denies it")
    nomad.refuse("notes", "shop", error)
    found = read_notes(stored, nomad, stack="shop")
    assert {name: (seen.note, seen.unread) for name, seen in found.items()} == {"here": ({}, error), "there": ({MARK: "1"}, None)}
    nomad.refuse("notes", "shop", Unavailable("no leader"))
    with pytest.raises(Unavailable):
        read_notes(stored, nomad, stack="shop")


def test_where_there_are_no_jobs_no_notes_are_asked_for() -> None:
    nomad = cluster()
    assert read_notes({}, nomad, stack="shop") == {}
    assert find_origins({}, nomad, stack="shop") == {}
    assert nomad.calls == []


def test_what_another_stack_noted_counts_where_ours_has_nothing_and_of_several_the_latest() -> None:
    nomad, job = cluster(), rendered("api")
    for priority, stack in ((50, "clone"), (60, "another")):
        register(nomad, rendered("api", Priority=priority), stack)
    assert stack_of(origin(nomad, job)) == "another"
    register(nomad, rendered("api", Priority=70), "shop")
    register(nomad, rendered("api", Priority=80), "clone")
    assert stack_of(origin(nomad, job)) == "shop"


def test_only_jobs_that_nomad_has_are_looked_for_under_other_stacks() -> None:
    nomad, job = cluster(), rendered("api")
    nomad.variables["default", note_path("clone", "api")] = {MARK: "1", "registered_version": "0", "modify_index": "1", "shape": "x"}
    assert origin(nomad, job) == Noted()
    assert nomad.called("notes_of_others") == []


def test_where_notes_may_not_be_read_the_submission_of_the_stored_version_tells() -> None:
    nomad, job = cluster(), rendered("api")
    register(nomad, job, "shop")
    error = Denied("Nomad denies it", hint="add a rule")
    nomad.refuse("notes", "shop", error)
    told = origin(nomad, job)
    assert (stack_of(told), told.denied) == ("shop", error)
    nomad.somebody_registers(rendered("api", Priority=90))
    nomad.refuse("notes", "shop", error)
    assert origin(nomad, job) == Noted(None, error)


@pytest.mark.parametrize("error", [Denied("no"), ClusterError("no such thing")])
def test_a_submission_that_may_not_be_read_either_tells_nothing(error: ClusterError) -> None:
    nomad, job = cluster(), rendered("api")
    register(nomad, job, "shop")
    nomad.refuse("notes", "shop", error)
    nomad.refuse("submission", "api", error)
    assert origin(nomad, job) == Noted(None, error)


# -- what a file says before it is rendered ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "ref"),
    [
        ('job "api" {\n  image = "[[ version ]]"\n}', JobRef("default", "api")),
        ('# job "old" {\njob "api" {\n  namespace = "team" # ours\n  region = "eu"\n}', JobRef("team", "api", "eu")),
        ('job "[[ env ]]-api" {\n  namespace = "[[ space ]]"\n}', JobRef("team", "test-api")),
        ('job "api" {\n  id = "web"\n}', JobRef("default", "web")),
        ('[% set x = 1 %]\njob "api" {\n  group "g" {\n[% if x %]\n  }\n}', JobRef("default", "api")),
        ('job "api" {\n  group "g" {\n      namespace = "of consul"\n  }\n}', JobRef("default", "api")),
    ],
)
def test_the_identity_of_a_job_is_read_from_its_template(source: str, ref: JobRef) -> None:
    assert ref_said_by(source, {"env": "test", "space": "team"}, namespace="default") == ref


@pytest.mark.parametrize(
    "source",
    [
        'job "api-[[ version ]]" {}',
        'job "api-[[version]]" {}',
        'job "[[ env | upper ]]-api" {}',
        '[% if prod %]\njob "api" {\n[% endif %]\n}',
        'job "api" {\n  [% include "head" %]\n  group "g" {}\n}',
        'job "api" {\n  namespace = var.space\n}',
        'job "api" {\n  namespace = "a"\n  namespace = "b"\n}',
        'job "api" {}\njob "web" {}',
        "no job",
    ],
)
def test_an_identity_that_depends_on_more_is_not_guessed(source: str) -> None:
    assert ref_said_by(source, {"env": "test"}, namespace="default") is None

"""Golden plans: each folder here is a case, and its plan.txt is what `nomad-dtree plan` shows.

dependency.json   the dependency file
jobs/NAME.json    job files, short: type, count and any field of Nomad's
override/NAME.json  such job files in a second store above the first; the plan then shows where each is from
state.json        by job, in the words of `STATES`, what Nomad has; nothing for a job that it does not know
intent.json       verb, goals and options; with verbose the plan shows why each job is in or out
plan.txt          the plan; written anew by `DTREE_WRITE_GOLDEN=1 pytest tests/plans`, then read by people
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtree import pipeline
from dtree.completion import job_digest, succeeded
from dtree.layered import open_layers
from dtree.plan import Intent
from dtree.provenance import Source, noted, provenance_of, registered_as
from dtree.views.plan_text import plan_text
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_spec, rendered_from
from tests.fakes.scripts import fails, well
from tests.fakes.store import MemorySnapshot
from tests.fakes.stored import Life

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/intent.json"))


def one_fails(life: Life) -> None:
    life.do_well()
    life.after(5.0, life.lose_one)


def one_is_lost(life: Life) -> None:
    life.do_well()
    life.after(5.0, lambda: life.lose_one("lost"))


def stop(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    job = rendered_from("", spec)
    cluster.has(job)
    cluster.stop(job.ref)
    cluster.clock.pause(1.0)


def launch(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    job = rendered_from("", spec)
    cluster.has(job)
    cluster.launch_child(job.ref, "periodic-1", well(3600.0))


def outlive(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    launch(cluster, spec)
    cluster.stop(rendered_from("", spec).ref)


def fail_after_stable(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    cluster.has(rendered_from("", {**spec, "Meta": {"release": "1"}}))
    cluster.has(rendered_from("", spec), fails())


def note(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    job = rendered_from("", spec)
    state = cluster.has(job).state
    noted_then = replace(provenance_of(job, Source("memory", "memory", "an older one")), registered=registered_as(state))
    cluster.change_note("memory", job.ref, lambda items: noted(items, noted_then))


def forget(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    note(cluster, spec)
    cluster.collect(rendered_from("", spec).ref)


def succeed(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    note(cluster, spec)
    job = rendered_from("", spec)
    cluster.change_note("memory", job.ref, lambda items: succeeded(items, job_digest(job), at="an hour ago"))


def succeed_and_forget(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    succeed(cluster, spec)
    cluster.collect(rendered_from("", spec).ref)


def succeed_otherwise(cluster: FakeCluster, spec: Mapping[str, Any]) -> None:
    succeed_and_forget(cluster, {**spec, "Meta": {"release": "1"}})


STATES: Mapping[str, Callable[[FakeCluster, Mapping[str, Any]], object]] = {
    "runs": lambda cluster, spec: cluster.has(rendered_from("", spec)),
    "completed": lambda cluster, spec: cluster.has(rendered_from("", spec)),
    "failed": lambda cluster, spec: cluster.has(rendered_from("", spec), fails()),
    "failed after a stable version": fail_after_stable,
    "one failed, one runs": lambda cluster, spec: cluster.has(rendered_from("", spec), one_fails),
    "lost an allocation": lambda cluster, spec: cluster.has(rendered_from("", spec), one_is_lost),
    "stopped": stop,
    "runs with another task": lambda cluster, spec: cluster.has(rendered_from("", {**spec, "Meta": {"release": "1"}})),
    "runs with another priority": lambda cluster, spec: cluster.has(rendered_from("", {**spec, "Priority": 20})),
    "runs with a child": launch,
    "stopped, but a child runs": outlive,
    "runs, noted from another revision": note,
    "forgotten, but noted": forget,
    "completed and noted": succeed,
    "completed, noted and forgotten": succeed_and_forget,
    "completed as another, noted and forgotten": succeed_otherwise,
}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def spec_of(path: Path) -> dict[str, Any]:
    short = read(path)
    return job_spec(short.pop("ID", path.stem), short.pop("type"), count=short.pop("count", 1), **short)


def intent_of(given: Mapping[str, Any]) -> Intent:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return Intent(**fields)


def plan_of(case: Path) -> str:
    specs = {path.stem: spec_of(path) for path in sorted((case / "jobs").iterdir())}
    cluster = FakeCluster(FakeClock())
    for name, state in read(case / "state.json").items():
        STATES[state](cluster, specs[name])
    above = {path.name: spec_of(path) for path in sorted(case.glob("override/*"))}
    base = MemorySnapshot((case / "dependency.json").read_text(), {f"{name}.json": spec for name, spec in specs.items()})
    layers = [("base", lambda: base), ("override", lambda: MemorySnapshot(None, above))]
    sources = pipeline.read(open_layers(layers, cluster.clock) if above else base, store="memory")
    intent = read(case / "intent.json")
    verbose = intent.pop("verbose", bool(above))
    before = list(cluster.changes)
    plan = pipeline.prepare(sources, cluster, intent_of(intent), namespace="")
    assert cluster.changes == before, "planning changed something"
    return plan_text(plan, verbose=verbose) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_the_plan_reads_as_agreed(case: str) -> None:
    text = plan_of(HERE / case)
    if os.environ.get("DTREE_WRITE_GOLDEN"):
        (HERE / case / "plan.txt").write_text(text)
    assert text == (HERE / case / "plan.txt").read_text()


@pytest.mark.parametrize("case", CASES)
def test_the_same_state_gives_the_same_plan(case: str) -> None:
    assert plan_of(HERE / case) == plan_of(HERE / case)


def test_every_state_is_used() -> None:
    assert {state for case in CASES for state in read(HERE / case / "state.json").values()} == set(STATES)

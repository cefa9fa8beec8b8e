"""A whole program in memory: a store, a cluster and a clock, from a dependency file to the record of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from dtree import acting, pipeline
from dtree.acting import Halt
from dtree.events import Event, StepFailed, StepLost, StepReady, StepRegistered, StepRetrying, StepStarted, StepWaiting
from dtree.evidence import Awaited
from dtree.model import JobRef, RenderedJob
from dtree.outcomes import Acted
from dtree.pipeline import Limits
from dtree.plan import Intent, Plan, Step, Verb
from dtree.record import RunRecord, StatusRow
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_spec, rendered_from
from tests.fakes.store import MemorySnapshot
from tests.fakes.stored import Script

T = TypeVar("T")


class World:
    """What a test of a run needs.

    Args:
        dependencies: the `dependencies` of the dependency file.
        scripts: see `FakeCluster`.
        kinds: type of each job that is no service; a name here needs no mention in `dependencies`.
        specs: whole job files, for those that need more than a type.
        head: further top-level keys of the dependency file.
    """

    def __init__(
        self,
        dependencies: Mapping[str, Any],
        scripts: Mapping[str, Script | Sequence[Script]] | None = None,
        *,
        kinds: Mapping[str, str] | None = None,
        specs: Mapping[str, Mapping[str, Any]] | None = None,
        head: Mapping[str, Any] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock, scripts)
        names = sorted({*dependencies, *_named(dependencies), *(kinds or {}), *(specs or {})})
        found = {name: job_spec(name, (kinds or {}).get(name, "service")) for name in names}
        self.specs: dict[str, dict[str, Any]] = {**found, **{name: dict(spec) for name, spec in (specs or {}).items()}}
        self._depfile = json.dumps({**(head or {}), "dependencies": dependencies})
        self.events: list[Event] = []
        self._when: list[tuple[Callable[[Event], bool], Callable[[], object]]] = []
        self._interrupt: Callable[[str], int] = len
        self.codes: list[int] = []

    def job(self, name: str, **changes: Any) -> RenderedJob:
        """One of the jobs as it would be sent, with some fields changed."""
        return rendered_from(name, {**self.specs[name], **changes})

    def ref(self, name: str) -> JobRef:
        return self.job(name).ref

    def snapshot(self) -> MemorySnapshot:
        return MemorySnapshot(self._depfile, {f"{name}.json": spec for name, spec in self.specs.items()})

    def plan(self, *goals: str, verb: str = "run", **intent: Any) -> Plan:
        sources = pipeline.read(self.snapshot(), store="memory")
        asked = Intent(cast("Verb", verb), tuple(sorted(goals)), **intent)
        return pipeline.prepare(sources, self.cluster, asked, namespace="")

    def run(self, *goals: str, **intent: Any) -> RunRecord:
        return self.carry_out(self.plan(*goals, **intent))

    def stop(self, *goals: str, **intent: Any) -> RunRecord:
        return self.carry_out(self.plan(*goals, verb="stop", **intent))

    def carry_out(self, plan: Plan, **limits: Any) -> RunRecord:
        self.cluster.calls.clear()
        return pipeline.carry_out(
            plan, self.cluster, self.clock, self._emit, limits=replace(Limits(), **limits), interrupts=self._subscribe
        )

    def status(self, *names: str) -> dict[str, StatusRow]:
        rows = pipeline.status(pipeline.read(self.snapshot(), store="memory"), self.cluster, names, namespace="")
        return {row.job: row for row in rows}

    def when(self, matches: Callable[[Event], bool], action: Callable[[], object]) -> None:
        """Do something as soon as an event comes."""
        self._when.append((matches, action))

    def interrupt(self, signal: str = "SIGINT") -> None:
        """Send a signal; `codes` gets the exit code for whoever sends another one."""
        self.codes.append(self._interrupt(signal))

    def of(self, kind: type[T]) -> list[T]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def told(self) -> list[str]:
        """What happened, a word and a job each, in order."""
        return [f"{_WORDS[type(event)]} {event.job}" for event in self.events if isinstance(event, _STEP_EVENTS)]

    def at_s(self, kind: type[Event], job: str) -> float:
        """When a job's first event of a kind came, on the clock of the run."""
        begin_s = self.events[0].time_s
        return next(event.time_s - begin_s for event in self.events if isinstance(event, kind) and getattr(event, "job", "") == job)

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        for matches, action in self._when:
            if matches(event):
                action()

    def _subscribe(self, interrupt: Callable[[str], int]) -> None:
        self._interrupt = interrupt


def step_of(world: World, name: str = "db", verb: str = "run", **intent: Any) -> Step:
    plan = world.plan(name, verb=verb, **intent)
    return next(step for step in plan.steps if step.name == name)


def registered(world: World, name: str = "db") -> tuple[Step, Awaited]:
    """A step that was just carried out."""
    step = step_of(world, name)
    outcome = acting.act(step, [], world.cluster, Halt())
    assert isinstance(outcome, Acted)
    assert outcome.awaited is not None
    return step, outcome.awaited


def _named(dependencies: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for entry in dependencies.values():
        for side in ("pre", "post", "pre_stop", "post_stop"):
            edges = entry.get(side, [])
            for edge in edges if isinstance(edges, list) else [edges]:
                found.update({edge} if isinstance(edge, str) else {edge["job"]} if isinstance(edge.get("job"), str) else edge)
    return found


_WORDS: Mapping[type, str] = {
    StepStarted: "start",
    StepRegistered: "registered",
    StepWaiting: "waiting",
    StepReady: "ready",
    StepRetrying: "retrying",
    StepFailed: "failed",
    StepLost: "lost",
}
_STEP_EVENTS = (StepStarted, StepRegistered, StepWaiting, StepReady, StepRetrying, StepFailed, StepLost)

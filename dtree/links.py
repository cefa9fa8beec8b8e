"""What the steps of a plan ask of each other: the conditions of their edges, and whom a run can do without. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree.conditions import longest_s, without_seconds
from dtree.declaration import Condition, Entry, OnFailure
from dtree.feasibility import as_meant
from dtree.graph import DependencyGraph
from dtree.model import RenderedJob, Spec
from dtree.plan import Intent, Milestone, Step, Stop

_DEFAULT_TIMEOUT_S: Final = 300.0
_DEFAULT_POLICY: Final[OnFailure] = "stop"
_BY_WEIGHT: Final[tuple[OnFailure, ...]] = ("continue", "stop", "rollback")


def link(graph: DependencyGraph, steps: Sequence[Step], intent: Intent) -> tuple[Step, ...]:
    """Say of each step what it asks of those it needs, what those who need it ask of it, and whether the run can do without it."""
    by_name = {step.name: step for step in steps}
    edges = {step.name: _edges(graph, step, by_name, intent) for step in steps}
    asked: dict[str, dict[Condition, bool]] = {}
    for name, told in edges.items():
        for need, conditions in told.items():
            known = asked.setdefault(need, {})
            known |= {one: known.get(one, False) or graph.terms_of(name, need).required for one in conditions}
    policies = _policies(graph, steps)
    owners = _owners(graph, steps)
    spared = {name for name, policy in policies.items() if policy == "continue"}
    required = _required(graph, by_name, intent.goals, spared)
    tolerated = {name for name in by_name if name in spared or name not in required}
    return tuple(
        replace(
            step,
            edges=edges[step.name],
            milestones=(*step.milestones, *_milestones(graph, step, asked.get(step.name, {}))),
            optional=tuple(need for need in step.needs if need in spared or not graph.terms_of(step.name, need).required),
            post_of=() if isinstance(step.action, Stop) else tuple(owners.get(step.name, ())),
            is_tolerated=step.name in tolerated,
            on_failure="stop" if step.name in tolerated and policies[step.name] == "rollback" else policies[step.name],
        )
        for step in steps
    )


def as_asked(condition: Condition, intent: Intent, job: RenderedJob) -> Condition:
    """Return a condition of a job as it is meant: what it leaves out from the job file, and numbers of seconds as the intent reads them."""
    return as_meant(without_seconds(condition) if intent.wait_ready else condition, job)


def longest_wait_s(condition: Condition, entry: Entry, job: RenderedJob) -> float:
    """Return how long a condition of a job is waited for: what it says itself, else the entry, else five minutes or the job's deadline.

    A part of it that says more makes the whole wait as long.
    """
    own_s = condition.timeout_s or entry.timeout_s
    return own_s or max(patience_s(job.spec) + (condition.seconds or 0.0), longest_s(condition) or 0.0)


def patience_s(spec: Spec) -> float:
    """Return five minutes, or longer where the job's own progress deadline says so."""
    blocks = [spec.get("Update")] + [group.get("Update") for group in spec.get("TaskGroups") or ()]
    deadlines = [(block.get("ProgressDeadline") or 0) / 1e9 for block in blocks if block]
    return max([_DEFAULT_TIMEOUT_S, *deadlines])


def _milestones(graph: DependencyGraph, step: Step, asked: Mapping[Condition, bool]) -> Iterator[Milestone]:
    """Yield what others wait for; `asked` says of each condition whether somebody requires it."""
    known = {milestone.condition for milestone in step.awaited}
    for condition in sorted(asked, key=str):
        if condition not in known:
            yield Milestone(condition, longest_wait_s(condition, graph.entries[step.name], step.job), is_optional=not asked[condition])


def _edges(graph: DependencyGraph, step: Step, steps: Mapping[str, Step], intent: Intent) -> dict[str, tuple[Condition, ...]]:
    found = {}
    for need in step.needs:
        own = steps[need].condition
        asked = (own if one is None else as_asked(one, intent, steps[need].job) for one in graph.terms_of(step.name, need).conditions)
        conditions = tuple(dict.fromkeys(asked))
        if conditions != (own,):
            found[need] = conditions
    return found


def _policies(graph: DependencyGraph, steps: Sequence[Step]) -> dict[str, OnFailure]:
    """Return what the failure of each step means.

    A post job that says nothing takes what its owner says, for its failure is one of the owner; of several that which takes it most
    seriously. A stop that fails leaves alone what comes after it, whatever the entry says: that is meant of the job.
    """
    owners = _owners(graph, steps)
    found: dict[str, OnFailure] = {}

    def policy(name: str) -> OnFailure:
        if name not in found:
            inherited = max(map(policy, owners.get(name, ())), key=_BY_WEIGHT.index, default=_DEFAULT_POLICY)
            found[name] = graph.entries[name].on_failure or inherited
        return found[name]

    return {step.name: "stop" if isinstance(step.action, Stop) else policy(step.name) for step in steps}


def _owners(graph: DependencyGraph, steps: Sequence[Step]) -> dict[str, list[str]]:
    """Return the steps whose post job each job is, sorted."""
    owners: dict[str, list[str]] = {}
    for name in sorted(step.name for step in steps):
        for edge in graph.entries[name].post:
            owners.setdefault(edge.job, []).append(name)
    return owners


def _required(graph: DependencyGraph, names: Collection[str], goals: Collection[str], spared: Collection[str]) -> set[str]:
    """Return what was asked for, or is in the plan for no other's sake, and all that this requires.

    Args:
        spared: jobs without which all others go on; they are required where they were asked for.
    """
    brought = {other for name in names for other in (*graph.needs[name], *graph.posts(name))}
    required: set[str] = set()
    asked = frozenset(goals)
    todo = [name for name in names if name in asked or name not in brought]
    while todo:
        name = todo.pop()
        if name not in required and name in names:
            required.add(name)
            todo.extend(need for need in graph.needs[name] if graph.terms_of(name, need).required and need not in spared)
            todo.extend(edge.job for edge in graph.entries[name].post if edge.required and edge.job not in spared)
    return required

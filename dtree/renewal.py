"""Which running jobs are restarted or redeployed because something they need is changed, and in which portions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from dtree.declaration import Condition
from dtree.evidence import Awaited, as_found, current_allocations
from dtree.footing import Footing, has_moved, read_footing, stored_as
from dtree.graph import DependencyGraph
from dtree.model import JobRef, JobSnapshot
from dtree.plan import Change, Milestone, ObservedJob, Step

CHANGES: Final[tuple[Change, ...]] = ("create", "update", "replace", "rerun", "promote")
"""What counts as changed for those who need it."""

Portions = tuple[tuple[str, ...], ...]
"""IDs of allocations, those together that are renewed at a time."""

_WAYS: Final = {"restart": "restarted", "redeploy": "redeployed"}


def candidates(graph: DependencyGraph, names: Collection[str]) -> frozenset[str]:
    """Return the jobs outside of `names` that ask to be renewed when one of those is changed."""
    return frozenset(
        user for name in names for user in graph.dependents[name] if user not in names and graph.terms_of(user, name).on_update != "none"
    )


def renew(graph: DependencyGraph, steps: Sequence[Step], observed: Mapping[str, ObservedJob], outside: Collection[str]) -> tuple[Step, ...]:
    """Say of each step whether it is renewed; leave out those of `outside` that are not.

    What a job needs is changed by this run, or was by another one or by somebody since the job last started, as its note remembers. A job
    that gets new allocations anyway, or of which nothing runs, needs no renewal. A restart is no change of a job, so it restarts nobody
    else.
    """
    changed = {step.name for step in steps if step.change in CHANGES and step.name not in outside}
    made = (_renewed(graph, step, observed, changed) for step in steps)
    kept = [step for step in made if step.name not in outside or step.renewal != "none"]
    names = {step.name for step in kept}
    return tuple(
        step if names.issuperset(step.needs) else replace(step, needs=tuple(need for need in step.needs if need in names)) for step in kept
    )


def founded(
    graph: DependencyGraph, steps: Sequence[Step], observed: Mapping[str, ObservedJob], refs: Mapping[str, JobRef], *, stack: str
) -> tuple[Step, ...]:
    """Say of each step what its job stands on, so that this is noted: all needs whose change renews it, also those outside of the plan.

    Args:
        graph: with all edges, whatever the plan is about.
        observed: for each of the steps; of needs what is known.
        refs: Nomad's identities of jobs, by name; a need that has none is forgotten.
    """
    footings = ((step, _footing(graph, step, observed, refs, stack)) for step in steps)
    return tuple(step if footing is None else replace(step, footing=footing) for step, footing in footings)


def portions(snapshot: JobSnapshot, awaited: Awaited) -> Portions:
    """Return the IDs of a job's running allocations, as many together as each group lets be changed at a time."""
    found: list[tuple[str, ...]] = []
    running = [one for one in current_allocations(snapshot, awaited) if one.client == "running"]
    for group in sorted(snapshot.job.groups if snapshot.job is not None else (), key=lambda group: group.name):
        own = [one.id for one in running if one.group == group.name]
        found.extend(tuple(own[at : at + group.max_parallel]) for at in range(0, len(own), group.max_parallel))
    return tuple(found)


def _renewed(graph: DependencyGraph, step: Step, observed: Mapping[str, ObservedJob], changed: Collection[str]) -> Step:
    seen = observed[step.name]
    state, known = seen.snapshot.job, read_footing(seen.note)
    asked = {need: one for need in step.needs if (one := graph.terms_of(step.name, need).on_update) != "none"}
    now = [need for need in asked if need in changed]
    since = [need for need in asked if need not in changed and has_moved(known, need, observed[need].snapshot.job)]
    if not (now or since) or state is None or not _runs_on(step, seen.snapshot):
        return step
    way: Literal["restart", "redeploy"] = "redeploy" if "redeploy" in {asked[need] for need in (*now, *since)} else "restart"
    cause = f"{_WAYS[way]}, because {' and '.join((*_changed(now), *_changed(since, since=True)))}"
    healthy = Milestone(Condition("started" if state.is_batch else "healthy"), step.timeout_s)
    return replace(
        step,
        renewal=way,
        change=step.change if step.change == "update" else way,
        cause=cause if step.change == "noop" else f"{step.cause}; {cause}",
        milestones=step.milestones if healthy in step.awaited else (healthy, *step.milestones),
    )


def _runs_on(step: Step, snapshot: JobSnapshot) -> bool:
    """Whether something of the job runs that the step does not make way for others."""
    state = snapshot.job
    if step.change not in ("noop", "evaluate", "update") or state is None or state.stopped:
        return False
    return bool(portions(snapshot, as_found(state, Condition())))


def _changed(needs: Sequence[str], *, since: bool = False) -> tuple[str, ...]:
    """Say in words that needs are changed, or were since the job last started; () for none."""
    if not needs:
        return ()
    verb = ("was", "were") if since else ("is", "are")
    return (f"{', '.join(needs)} {verb[len(needs) > 1]} changed{' since it last started' if since else ''}",)


def _footing(
    graph: DependencyGraph, step: Step, observed: Mapping[str, ObservedJob], refs: Mapping[str, JobRef], stack: str
) -> Footing | None:
    needs = {need: refs[need] for need in graph.needs[step.name] if need in refs and graph.terms_of(step.name, need).on_update != "none"}
    if not needs:
        return None
    seen = observed[step.name]
    known = read_footing(seen.note)
    is_open = seen.unread is None and (step.renewal != "none" or _runs_on(step, seen.snapshot))
    unknown = {need: stored_as(observed[need].snapshot.job) for need in needs if is_open and need in observed and need not in known}
    return Footing(stack, needs, {need: one for need, one in unknown.items() if one is not None})

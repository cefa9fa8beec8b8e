"""Which running jobs are restarted or redeployed because something they need is changed, and in which portions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from dtree.declaration import Condition
from dtree.evidence import Awaited, as_found, current_allocations
from dtree.graph import DependencyGraph
from dtree.model import JobSnapshot
from dtree.plan import Change, Milestone, ObservedJob, Step

CHANGES: Final[tuple[Change, ...]] = ("create", "update", "replace", "rerun", "promote")
"""What counts as changed for those who need it."""

_WAYS: Final = {"restart": "restarted", "redeploy": "redeployed"}


def candidates(graph: DependencyGraph, names: Collection[str]) -> frozenset[str]:
    """Return the jobs outside of `names` that ask to be renewed when one of those is changed."""
    return frozenset(
        user for name in names for user in graph.dependents[name] if user not in names and graph.terms_of(user, name).on_update != "none"
    )


def renew(graph: DependencyGraph, steps: Sequence[Step], observed: Mapping[str, ObservedJob], outside: Collection[str]) -> tuple[Step, ...]:
    """Say of each step whether it is renewed; leave out those of `outside` that are not.

    A job that gets new allocations anyway, or of which nothing runs, needs no renewal. A restart is no change of a job, so it restarts
    nobody else.
    """
    changed = {step.name for step in steps if step.change in CHANGES and step.name not in outside}
    made = (_renewed(graph, step, observed[step.name].snapshot, changed) for step in steps)
    kept = [step for step in made if step.name not in outside or step.renewal != "none"]
    names = {step.name for step in kept}
    return tuple(replace(step, needs=tuple(need for need in step.needs if need in names)) for step in kept)


def portions(snapshot: JobSnapshot, awaited: Awaited) -> tuple[tuple[str, ...], ...]:
    """Return the IDs of a job's running allocations, as many together as each group lets be changed at a time."""
    found: list[tuple[str, ...]] = []
    running = [one for one in current_allocations(snapshot, awaited) if one.client == "running"]
    for group in sorted(snapshot.job.groups if snapshot.job is not None else (), key=lambda group: group.name):
        own = [one.id for one in running if one.group == group.name]
        found.extend(tuple(own[at : at + group.max_parallel]) for at in range(0, len(own), group.max_parallel))
    return tuple(found)


def _renewed(graph: DependencyGraph, step: Step, snapshot: JobSnapshot, changed: Collection[str]) -> Step:
    asked = {need: graph.terms_of(step.name, need).on_update for need in step.needs if need in changed}
    way: Literal["restart", "redeploy"] = "redeploy" if "redeploy" in asked.values() else "restart"
    state = snapshot.job
    if not set(asked.values()) - {"none"} or step.change not in ("noop", "evaluate", "update") or state is None or state.stopped:
        return step
    if not portions(snapshot, as_found(state, Condition())):
        return step
    because = [need for need in sorted(asked) if asked[need] != "none"]
    cause = f"{_WAYS[way]}, because {', '.join(because)} {'is' if len(because) == 1 else 'are'} changed"
    healthy = Milestone(Condition("started" if state.is_batch else "healthy"), step.timeout_s)
    return replace(
        step,
        renewal=way,
        change=step.change if step.change == "update" else way,
        cause=cause if step.change == "noop" else f"{step.cause}; {cause}",
        milestones=step.milestones if healthy in step.awaited else (healthy, *step.milestones),
        # Running an unchanged job again takes more than another try of this.
        retries=step.retries if step.change == "update" else 0,
    )

"""Which job waits for which: from the dependency file to edges, the jobs a goal needs, and an order. Pure.

A post job runs after its owner and before everybody else who needs the owner, so an edge to a job is an edge to its post jobs as well
(a barrier), except for the post jobs themselves. Wherever order is free, names decide.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from dtree.declaration import Condition, Declaration, Edge, Entry
from dtree.errors import DeclarationError, Fault, GoalError, did_you_mean

EdgeKind = Literal["pre", "post"]


@dataclass(frozen=True, slots=True)
class DependencyGraph:
    """All jobs that the dependency file names, and who waits for whom.

    Attributes:
        file: the dependency file.
        entries: every job named in it, by name, sorted; a job without an entry of its own has an empty one.
        declared: the edges as written: job -> ((other, kind), ...), sorted.
        needs: job -> all jobs whose steps come before its own, sorted: what it needs, their post jobs, its owners.
        dependents: the same edges turned round.
        post_conditions: post job -> the condition that its owner gives it.
    """

    file: str
    entries: Mapping[str, Entry]
    declared: Mapping[str, tuple[tuple[str, EdgeKind], ...]]
    needs: Mapping[str, tuple[str, ...]]
    dependents: Mapping[str, tuple[str, ...]] = field(repr=False)
    post_conditions: Mapping[str, Condition] = field(repr=False)

    def posts(self, name: str) -> tuple[str, ...]:
        """Post jobs of a job, sorted."""
        return tuple(other for other, kind in self.declared[name] if kind == "post")


def build(declaration: Declaration, job_names: Collection[str]) -> DependencyGraph:
    """Build the graph.

    Args:
        job_names: jobs that have a file; an edge may name one of them without an entry.

    Raises:
        DeclarationError: edges to jobs named nowhere, and cycles with their whole path; all of them at once.
    """
    entries, faults = _all_entries(declaration, frozenset(job_names))
    owners: dict[str, list[str]] = {}
    conditions: dict[str, Condition] = {}
    for entry in entries.values():
        for edge in entry.post:
            owners.setdefault(edge.job, []).append(entry.name)
            if edge.wait_cond is not None:
                conditions[edge.job] = edge.wait_cond
    needs = _needs(entries, owners)
    faults += _cycles(declaration, entries, needs)
    if faults:
        raise DeclarationError(sorted(faults, key=by_place))
    dependents: dict[str, list[str]] = {name: [] for name in entries}
    for name in sorted(needs):
        for other in needs[name]:
            dependents[other].append(name)
    declared = {
        name: tuple(sorted([(edge.job, _PRE) for edge in entry.pre] + [(edge.job, _POST) for edge in entry.post]))
        for name, entry in entries.items()
    }
    return DependencyGraph(
        file=declaration.file,
        entries=entries,
        declared=declared,
        needs=needs,
        dependents={name: tuple(others) for name, others in dependents.items()},
        post_conditions=conditions,
    )


def select(graph: DependencyGraph, goals: Iterable[str]) -> frozenset[str]:
    """Return the goals, all that they need, and the post jobs of all of these.

    Raises:
        GoalError: a goal that the graph does not know.
    """
    chosen: set[str] = set()
    todo = list(goals)
    for goal in todo:
        if goal not in graph.entries:
            raise GoalError(goal, sorted(graph.entries), depfile=graph.file)
    while todo:
        name = todo.pop()
        if name not in chosen:
            chosen.add(name)
            todo.extend(graph.needs[name])
            todo.extend(graph.posts(name))
    return frozenset(chosen)


def order(graph: DependencyGraph, names: Collection[str]) -> tuple[str, ...]:
    """Put `names` in an order in which each comes after what it needs; alphabetical wherever that leaves a choice."""
    missing = {name: sum(other in names for other in graph.needs[name]) for name in names}
    free = [name for name, count in missing.items() if count == 0]
    heapq.heapify(free)
    ordered: list[str] = []
    while free:
        name = heapq.heappop(free)
        ordered.append(name)
        for other in graph.dependents[name]:
            if other in missing:
                missing[other] -= 1
                if missing[other] == 0:
                    heapq.heappush(free, other)
    return tuple(ordered)


def by_place(fault: Fault) -> tuple[int, int, str]:
    """Sort key that puts faults in the order of the file."""
    place = fault.place
    return (place.line or 0, place.column or 0, fault.problem) if place else (0, 0, fault.problem)


_PRE: EdgeKind = "pre"
_POST: EdgeKind = "post"


def _all_entries(declaration: Declaration, job_names: Collection[str]) -> tuple[dict[str, Entry], list[Fault]]:
    entries = dict(declaration.entries)
    faults: list[Fault] = []
    for entry in declaration.entries.values():
        for edge in (*entry.pre, *entry.post):
            if edge.job in entries:
                continue
            if edge.job in job_names:
                entries[edge.job] = replace(declaration.defaults, name=edge.job, variables={}, version=None)
                continue
            faults.append(
                Fault(
                    "job-named-nowhere",
                    f"'{entry.name}' needs '{edge.job}', which has neither an entry nor a job file",
                    declaration.locator.place(edge.path),
                    did_you_mean(edge.job, sorted({*entries, *job_names})) or f"add an entry or a job file for '{edge.job}'",
                )
            )
            entries[edge.job] = Entry(edge.job)
    return {name: entries[name] for name in sorted(entries)}, faults


def _needs(entries: Mapping[str, Entry], owners: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    barriers = {other: _barrier(other, entries) for other in {edge.job for entry in entries.values() for edge in entry.pre}}
    needs: dict[str, tuple[str, ...]] = {}
    for name, entry in entries.items():
        found = set(owners.get(name, ()))
        for edge in entry.pre:
            # A post job's own edge to its owner is met by the owner's own readiness.
            found |= {edge.job} if name in barriers[edge.job] else barriers[edge.job]
        needs[name] = tuple(sorted(found))
    return needs


def _barrier(name: str, entries: Mapping[str, Entry]) -> frozenset[str]:
    """A job with its post jobs, with theirs, and so on."""
    found: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo.extend(edge.job for edge in entries[current].post)
    return frozenset(found)


def _cycles(declaration: Declaration, entries: Mapping[str, Entry], needs: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    """Find a shortest cycle through the smallest name of each knot of jobs that wait for each other."""
    left = _knotted(needs)
    faults: list[Fault] = []
    while left:
        start = min(left)
        path = _way_back(start, needs, left)
        if path is None:
            left.discard(start)
            continue
        faults.append(_cycle_fault(declaration, entries, path))
        left -= _reachable(start, needs, left) & _reaching(start, needs, left)
    return faults


def _knotted(needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Peel off every job that waits for nobody left, and say which remain."""
    dependents: dict[str, list[str]] = {}
    missing = {name: len(others) for name, others in needs.items()}
    for name, others in needs.items():
        for other in others:
            dependents.setdefault(other, []).append(name)
    free = [name for name, count in missing.items() if count == 0]
    while free:
        name = free.pop()
        del missing[name]
        for other in dependents.get(name, ()):
            missing[other] -= 1
            if missing[other] == 0:
                free.append(other)
    return set(missing)


def _way_back(start: str, needs: Mapping[str, tuple[str, ...]], within: Collection[str]) -> list[str] | None:
    """A shortest path of needs from `start` to itself; alphabetical among equals."""
    came_from: dict[str, str] = {}
    layer = [start]
    while layer:
        following: list[str] = []
        for name in layer:
            for other in needs[name]:
                if other == start:
                    back = [name]
                    while back[-1] != start:
                        back.append(came_from[back[-1]])
                    return [*reversed(back), start]
                if other in within and other not in came_from:
                    came_from[other] = name
                    following.append(other)
        layer = following
    return None


def _reachable(start: str, needs: Mapping[str, tuple[str, ...]], within: Collection[str]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in within and name not in found:
            found.add(name)
            todo.extend(needs[name])
    return found


def _reaching(start: str, needs: Mapping[str, tuple[str, ...]], within: Collection[str]) -> set[str]:
    turned: dict[str, list[str]] = {}
    for name in within:
        for other in needs[name]:
            turned.setdefault(other, []).append(name)
    return _reachable(start, {name: tuple(turned.get(name, ())) for name in within}, within)


def _cycle_fault(declaration: Declaration, entries: Mapping[str, Entry], path: list[str]) -> Fault:
    edge = _written_edge(entries, path[0], path[1])
    drawn = " -> ".join(path)
    hints = []
    for name, other in pairwise(path):
        if other in {post.job for post in entries[name].post} or name in {post.job for post in entries[other].post}:
            owner, post = (other, name) if name in {one.job for one in entries[other].post} else (name, other)
            hints.append(f"'{post}' is a post job of '{owner}'")
    hint = "take one of these edges out" + (f" ({'; '.join(hints)})" if hints else "")
    return Fault("cycle", f"jobs wait for each other: {drawn}", declaration.locator.place(edge.path), hint)


def _written_edge(entries: Mapping[str, Entry], name: str, other: str) -> Edge:
    """Find the line of the file that makes `name` wait for `other`."""
    for edge in entries[name].pre:
        if edge.job == other or other in _barrier(edge.job, entries):
            return edge
    return next(edge for edge in entries[other].post if edge.job == name)

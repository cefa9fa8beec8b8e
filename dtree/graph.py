"""Which job waits for which: from the dependency file to edges, the jobs a goal needs, and an order. Pure.

A post job runs after its owner and before everybody else who needs the owner, so an edge to a job is an edge to its post jobs as well
(a barrier), except for the post jobs themselves. Wherever order is free, names decide.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Final, Literal

from dtree.declaration import Condition, Declaration, Edge, Entry, OnUpdate, RunPolicy
from dtree.errors import DeclarationError, Fault, GoalError, did_you_mean
from dtree.hooks import Hook, cycle_fault, find_hooks, set_aside, stop_order

EdgeKind = Literal["pre", "post"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job asks of one that it needs.

    Attributes:
        conditions: all that it must have reached, in the order of the file; None for its own condition.
        required: False: it goes on where that one fails.
        on_update: what becomes of the job when that one was changed.
    """

    conditions: tuple[Condition | None, ...] = (None,)
    required: bool = True
    on_update: OnUpdate = "none"

    def joined(self, other: Terms) -> Terms:
        """Ask for both: where a job needs another by several edges."""
        return Terms(
            tuple(dict.fromkeys((*self.conditions, *other.conditions))),
            self.required or other.required,
            max(self.on_update, other.on_update, key=_BY_WEIGHT.index),
        )


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
        terms: job -> need -> what is asked of it, where that is more or less than its own condition.
        externals: jobs that are waited for and never touched.
        absent: jobs without a file that all who name them can do without; they are in no other field.
        hooks: jobs that run around the stop of others, sorted; the other fields know nothing of that.
        aside: hooks and their post jobs that are nothing else: no run has them unless they are asked for.
    """

    file: str
    entries: Mapping[str, Entry]
    declared: Mapping[str, tuple[tuple[str, EdgeKind], ...]]
    needs: Mapping[str, tuple[str, ...]]
    dependents: Mapping[str, tuple[str, ...]] = field(repr=False)
    post_conditions: Mapping[str, Condition] = field(repr=False)
    terms: Mapping[str, Mapping[str, Terms]] = field(default_factory=dict, repr=False)
    externals: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    aside: frozenset[str] = frozenset()

    def terms_of(self, name: str, need: str) -> Terms:
        """What a job asks of one of its needs."""
        return self.terms.get(name, {}).get(need, _PLAIN)

    def posts(self, name: str) -> tuple[str, ...]:
        """Post jobs of a job, sorted."""
        return tuple(other for other, kind in self.declared[name] if kind == "post")

    def barrier(self, name: str) -> Mapping[str, bool]:
        """A job with its post jobs, with theirs, and so on; each with whether it is required all the way."""
        return _barrier(name, self.entries)

    def moment(self, name: str) -> str:
        """When a job runs that is a hook, or a post job of nothing else: `before db is stopped`; "" for all others."""
        if name in self.hooks:
            return str(self.hooks[name])
        owners = sorted(owner for owner in self.aside if name in self.posts(owner)) if name in self.aside else []
        return f"with {', '.join(owners)}" if owners else ""


def build(declaration: Declaration, job_names: Collection[str]) -> DependencyGraph:
    """Build the graph.

    Args:
        job_names: jobs that have a file; an edge may name one of them without an entry.

    Raises:
        DeclarationError: edges to jobs named nowhere, and cycles with their whole path; all of them at once.
    """
    entries, faults, absent = _all_entries(declaration, frozenset(job_names))
    owners: dict[str, list[tuple[str, Edge]]] = {}
    conditions: dict[str, Condition] = {}
    for entry in entries.values():
        for edge in entry.post:
            owners.setdefault(edge.job, []).append((entry.name, edge))
            if edge.wait_cond is not None:
                conditions[edge.job] = edge.wait_cond
    hooks = find_hooks(entries)
    runs = {name: _run_policy(name, declaration, hooks) for name in entries}
    entries = {name: entry if entry.run == runs[name] else replace(entry, run=runs[name]) for name, entry in entries.items()}
    terms = _terms(entries, owners)
    needs = {name: tuple(sorted(asked)) for name, asked in terms.items()}
    faults += [_cycle_fault(declaration, entries, path) for path in _cycles(needs)]
    if faults:
        raise DeclarationError(sorted(faults, key=by_place))
    dependents: dict[str, list[str]] = {name: [] for name in entries}
    for name in sorted(needs):
        for other in needs[name]:
            dependents[other].append(name)
    barrier = partial(_barrier, entries=entries)
    aside = set_aside(entries, hooks, barrier)
    turns = _cycles(stop_order(entries, hooks, aside, needs, dependents, barrier))
    if turns:
        raise DeclarationError(sorted((cycle_fault(declaration, hooks, path) for path in turns), key=by_place))
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
        terms=_unlike_plain(terms),
        externals=frozenset(edge.job for entry in entries.values() for edge in (*entry.pre, *entry.post) if edge.external),
        absent=absent,
        hooks=hooks,
        aside=aside,
    )


def select(graph: DependencyGraph, goals: Iterable[str], *, required: bool = False) -> frozenset[str]:
    """Return the goals, all that they need, and the post jobs of all of these.

    Args:
        required: leave out what they can do without.

    Raises:
        GoalError: a goal that the graph does not know.
    """
    chosen: set[str] = set()
    todo = list(goals)
    refuse_unknown(graph, todo)
    while todo:
        name = todo.pop()
        if name not in chosen:
            chosen.add(name)
            todo.extend(need for need in graph.needs[name] if not required or graph.terms_of(name, need).required)
            todo.extend(edge.job for edge in graph.entries[name].post if not required or edge.required)
    return frozenset(chosen)


def refuse_unknown(graph: DependencyGraph, names: Iterable[str]) -> None:
    """Raise GoalError for the first of `names` that the graph does not know."""
    for name in names:
        if name not in graph.entries:
            raise GoalError(name, sorted(graph.entries), depfile=graph.file, is_absent=name in graph.absent)


def restrict(graph: DependencyGraph, names: Collection[str]) -> DependencyGraph:
    """Return the graph with edges among `names` only: what one needs through jobs that are left out, it then needs itself.

    So the order holds between jobs that are asked for, whatever of what lies between them is not.
    """
    if all(need in names for name in names for need in graph.needs[name]):
        return graph
    near: dict[str, dict[str, Terms]] = {}
    for name in order(graph, graph.entries):
        near[name] = {}
        for need in graph.needs[name]:
            own = graph.terms_of(name, need)
            through = {far: Terms(required=own.required and one.required) for far, one in near[need].items()}
            found = {need: own} if need in names else through
            near[name] |= {far: near[name][far].joined(one) if far in near[name] else one for far, one in found.items()}
    dependents: dict[str, list[str]] = {name: [] for name in graph.entries}
    for name in sorted(names):
        for need in near[name]:
            dependents[need].append(name)
    return replace(
        graph,
        needs={name: tuple(sorted(asked)) for name, asked in near.items()},
        dependents={name: tuple(others) for name, others in dependents.items()},
        terms=_unlike_plain(near),
    )


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


def written_edge(entries: Mapping[str, Entry], name: str, other: str) -> Edge:
    """Find the line of the file that makes `name` wait for `other`."""
    for edge in entries[name].pre:
        if edge.job == other or (waits_for_posts(edge.condition) and other in _barrier(edge.job, entries)):
            return edge
    return next(edge for edge in entries[other].post if edge.job == name)


def by_place(fault: Fault) -> tuple[int, int, str]:
    """Sort key that puts faults in the order of the file."""
    place = fault.place
    return (place.line or 0, place.column or 0, fault.problem) if place else (0, 0, fault.problem)


def waits_for_posts(condition: Condition | None) -> bool:
    """Whether an edge with this condition waits for the post jobs too: whoever asks for so little that they cannot have run does not."""
    return condition is None or condition.seconds is not None or condition.name not in ("registered", "started")


_PLAIN: Final = Terms()
_BY_WEIGHT: Final[tuple[OnUpdate, ...]] = ("none", "restart", "redeploy")
_PRE: EdgeKind = "pre"
_POST: EdgeKind = "post"


def _all_entries(declaration: Declaration, job_names: Collection[str]) -> tuple[dict[str, Entry], list[Fault], tuple[str, ...]]:
    """Return an entry for every job, what is wrong with edges to jobs named nowhere, and the jobs that are left out."""
    absent = _absent(declaration, job_names)
    entries = {name: entry for name, entry in declaration.entries.items() if name not in absent}
    faults: list[Fault] = []
    for entry in tuple(entries.values()):
        for edge in entry.edges:
            if edge.job in entries or edge.job in absent:
                continue
            if edge.job in job_names or edge.external:
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
    if absent:
        entries = {name: entry.without(absent) for name, entry in entries.items()}
    return {name: entries[name] for name in sorted(entries)}, faults, tuple(sorted(absent))


def _unlike_plain(terms: Mapping[str, Mapping[str, Terms]]) -> dict[str, dict[str, Terms]]:
    return {name: told for name, asked in terms.items() if (told := {need: one for need, one in asked.items() if one != _PLAIN})}


def _absent(declaration: Declaration, job_names: Collection[str]) -> frozenset[str]:
    """Jobs that every edge to them can do without, and that have no file."""
    optional: set[str] = set()
    others: set[str] = set()
    for entry in declaration.entries.values():
        for edge in entry.edges:
            (others if edge.required or edge.external else optional).add(edge.job)
    files = {name for name, entry in declaration.entries.items() if entry.file is not None}
    return frozenset(optional - others - files - frozenset(job_names))


def _run_policy(name: str, declaration: Declaration, hooks: Collection[str]) -> RunPolicy | None:
    """Return when a job is run again. A hook has run in an earlier stop, as a rule: only its own entry says that this is enough."""
    own = declaration.entries.get(name)
    if own is not None and own.run is not None:
        return own.run
    return "always" if name in hooks else declaration.defaults.run


def _terms(entries: Mapping[str, Entry], owners: Mapping[str, list[tuple[str, Edge]]]) -> dict[str, dict[str, Terms]]:
    """Return what each job asks of whom; a job stands for all that its edges, and the post jobs behind them, come to."""
    barriers = {other: _barrier(other, entries) for other in {edge.job for entry in entries.values() for edge in entry.pre}}
    terms: dict[str, dict[str, Terms]] = {}
    for name, entry in entries.items():
        found: dict[str, Terms] = {}
        for owner, edge in owners.get(name, ()):
            _ask(found, owner, Terms((edge.condition,), on_update=edge.on_update))
        for edge in entry.pre:
            _ask(found, edge.job, Terms((edge.condition,), edge.required, edge.on_update))
            # A post job's own edge to its owner is met by the owner's own readiness.
            if name in barriers[edge.job] or not waits_for_posts(edge.condition):
                continue
            for post, required in barriers[edge.job].items():
                if post != edge.job:
                    _ask(found, post, Terms(required=edge.required and required))
        terms[name] = found
    return terms


def _ask(found: dict[str, Terms], name: str, terms: Terms) -> None:
    found[name] = found[name].joined(terms) if name in found else terms


def _barrier(name: str, entries: Mapping[str, Entry]) -> dict[str, bool]:
    """A job with its post jobs, with theirs, and so on; each with whether it is required all the way."""
    required = _posts_below(name, entries, required=True)
    return {post: post in required for post in _posts_below(name, entries, required=False)}


def _posts_below(name: str, entries: Mapping[str, Entry], *, required: bool) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in found:
            found.add(current)
            todo.extend(edge.job for edge in entries[current].post if edge.required or not required)
    return found


def _cycles(needs: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Find a shortest cycle through the smallest name of each knot of jobs that wait for each other."""
    left = _knotted(needs)
    found: list[list[str]] = []
    while left:
        start = min(left)
        path = _way_back(start, needs, left)
        if path is None:
            left.discard(start)
            continue
        found.append(path)
        left -= _reachable(start, needs, left) & _reaching(start, needs, left)
    return found


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
    edge = written_edge(entries, path[0], path[1])
    drawn = " -> ".join(path)
    hints = []
    for name, other in pairwise(path):
        if other in {post.job for post in entries[name].post} or name in {post.job for post in entries[other].post}:
            owner, post = (other, name) if name in {one.job for one in entries[other].post} else (name, other)
            hints.append(f"'{post}' is a post job of '{owner}'")
    hint = "take one of these edges out" + (f" ({'; '.join(hints)})" if hints else "")
    return Fault("cycle", f"jobs wait for each other: {drawn}", declaration.locator.place(edge.path), hint)

"""What becomes of the steps of a stop where hooks are due: steps that run them, and who waits for whom then. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from dtree.declaration import Declaration, Edge, OnFailure
from dtree.errors import DeclarationError, Fault, Place
from dtree.evidence import living
from dtree.graph import DependencyGraph, Terms, restrict, waits_for_posts
from dtree.health import has_failed, is_finished
from dtree.hooks import HookKind, follows, hook_edges, moment
from dtree.links import link
from dtree.model import JobSnapshot
from dtree.plan import Intent, ObservedJob, Step, Stop


@dataclass(frozen=True, slots=True)
class Due:
    """A hook that is due, with the jobs whose stop it is due for, in the order of their steps, and the edge of each of them."""

    kind: HookKind
    edges: Mapping[str, Edge]


def find_due(graph: DependencyGraph, steps: Sequence[Step], observed: Mapping[str, ObservedJob], skip: Collection[str]) -> dict[str, Due]:
    """Return the hooks of what is stopped, by name: of what runs; where it was asked to stop before, it is too late for `pre_stop`."""
    found: dict[str, tuple[HookKind, dict[str, Edge]]] = {}
    for step in steps:
        if not isinstance(step.action, Stop) or not _runs(observed[step.name]):
            continue
        for kind, edge in hook_edges(graph.entries[step.name]):
            if edge.job not in skip and not (kind == "pre_stop" and step.action.asked):
                found.setdefault(edge.job, (kind, {}))[1][step.name] = edge
    return {name: Due(kind, edges) for name, (kind, edges) in sorted(found.items())}


def find_open(
    graph: DependencyGraph, steps: Sequence[Step], observed: Mapping[str, ObservedJob], skip: Collection[str]
) -> dict[str, dict[str, Edge]]:
    """Return the `post_stop` jobs of those that are stopped already -> the edge of each of these: they may have failed, or be under way."""
    found: dict[str, dict[str, Edge]] = {}
    for step in steps:
        seen = observed.get(step.name)
        if step.change == "keep" or seen is None or _runs(seen) or not _is_stopped(seen):
            continue
        for edge in graph.entries[step.name].post_stop:
            if edge.job not in skip:
                found.setdefault(edge.job, {})[step.name] = edge
    return dict(sorted(found.items()))


def take_up(due: Mapping[str, Due], open_: Mapping[str, Mapping[str, Edge]], hooks: Mapping[str, ObservedJob]) -> dict[str, Due]:
    """Add the hooks of an earlier stop that have failed since, or that still run.

    Args:
        open_: as `find_open` returns them.
        hooks: what Nomad has of those.
    """
    again = {name: Due("post_stop", edges) for name, edges in open_.items() if name in hooks and _is_unfinished(hooks[name].snapshot)}
    return dict(sorted({**again, **due}.items()))


def find_unknown(
    graph: DependencyGraph, open_: Mapping[str, Mapping[str, Edge]], hooks: Mapping[str, ObservedJob], observed: Mapping[str, ObservedJob]
) -> dict[str, tuple[str, ...]]:
    """Return those hooks of an earlier stop that Nomad has seen nothing of since -> their owners.

    Of a service, a parent, and a job that does not run each time nobody can tell by what is stored.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(set(open_).intersection(hooks)):
        state = hooks[name].snapshot.job
        if graph.entries[name].run != "always" or (state is not None and (state.is_parent or not state.is_batch)):
            continue
        began = state.modify_index if state is not None else 0
        stops = {owner: stored.modify_index for owner in open_[name] if (stored := observed[owner].snapshot.job) is not None}
        if owners := tuple(sorted(owner for owner, index in stops.items() if index > began)):
            found[name] = owners
    return found


def to_run(graph: DependencyGraph, due: Collection[str], skip: Collection[str]) -> frozenset[str]:
    """Return the hooks that are due, with their post jobs."""
    return frozenset(job for hook in due for job in graph.barrier(hook)).difference(skip)


def needed_outside(graph: DependencyGraph, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return what hooks cannot do without, and what no stop starts for them -> the hooks that need it; all sorted."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        for need in graph.needs[name]:
            if need not in names and graph.terms_of(name, need).required:
                found.setdefault(need, []).append(name)
    return {need: tuple(users) for need, users in sorted(found.items())}


def refuse_stopped(
    graph: DependencyGraph, declaration: Declaration, steps: Sequence[Step], due: Mapping[str, Due], observed: Mapping[str, ObservedJob]
) -> None:
    """Refuse hooks that run just now and are to be stopped as well: one job cannot be both in one go.

    Raises:
        DeclarationError: every one of them.
    """
    stopped = {step.name for step in steps if isinstance(step.action, Stop) and _runs(observed[step.name])}
    clashes = {name: one for hook, one in due.items() for name in stopped.intersection(graph.barrier(hook))}
    faults = []
    for name, one in sorted(clashes.items()):
        at = declaration.locator.place(next(iter(one.edges.values())).path)
        problem = f"'{name}' is to be stopped, as it runs, and to run {moment(one.kind, one.edges)}"
        faults.append(Fault("hook-is-stopped", problem, at, f"stop it first: `nomad-dtree stop {name}`; or leave it out: `--skip {name}`"))
    if faults:
        raise DeclarationError(faults)


def refuse_same(steps: Sequence[Step], runs: Sequence[Step]) -> None:
    """Refuse hooks that are one job to Nomad with another one: running it would put it in the place of that.

    Raises:
        DeclarationError: every one of them.
    """
    stopped = {step.ref: step.name for step in steps}
    same = [(stopped[step.ref], step) for step in runs if stopped.get(step.ref, step.name) != step.name]
    if same:
        hint = "give each job file an ID of its own"
        problems = ((f"'{name}' and '{step.name}' are one job to Nomad: '{step.ref}'", Place(step.job.file)) for name, step in same)
        raise DeclarationError([Fault("same-job-id", problem, place, hint) for problem, place in problems])


def weave(
    graph: DependencyGraph, stops: Sequence[Step], runs: Sequence[Step], due: Mapping[str, Due], intent: Intent
) -> tuple[tuple[Step, ...], dict[str, str]]:
    """Put the steps that run hooks between those that stop jobs.

    A hook that is to be stopped as well, but of which nothing runs, is only run.

    Returns:
        (all steps, each after what it waits for; why each hook, and each of its post jobs, is part of the plan).
    """
    names = {step.name for step in runs}
    stopped = {step.name: step for step in stops if step.name not in names}
    near = restrict(graph, {*stopped, *names})
    needs = {name: set(step.needs) - names for name, step in stopped.items()}
    for name in names:
        needs[name] = {need for need in near.needs[name] if need in names and follows(graph.entries, graph.aside, name, need)}
    terms: dict[str, dict[str, Terms]] = {name: dict(near.terms.get(name, {})) if name in names else {} for name in needs}
    required = _required(graph, due)
    users = {name: frozenset(one for one in step.needs if one in stopped) for name, step in stopped.items()}
    _await_hooks(graph, due, names, users, needs, terms)
    for name in sorted(names):
        # What it needs stays up until it is done; its owner may ask for less.
        for need in set(near.needs[name]).intersection(stopped):
            if name not in needs[need]:
                _ask(need, {name: Terms(required=name in required)}, needs, terms)
    woven = replace(graph, needs={name: tuple(sorted(found)) for name, found in needs.items()}, terms=terms)
    steps = [replace(step, needs=woven.needs[step.name]) for step in (*stopped.values(), *runs)]
    reasons = _reasons(graph, due, names)
    steps = list(link(woven, steps, replace(intent, goals=tuple(sorted(stopped)))))
    steps = [_told(step, due, required) if step.name in names else _plain(step) for step in steps]
    return _in_order(graph, steps, stops, due), reasons


def _runs(seen: ObservedJob) -> bool:
    """Whether there is something to stop: an allocation or a child that has not ended, or a parent that could still launch one."""
    state = seen.snapshot.job
    return bool(seen.children) or bool(living(seen.snapshot)) or (state is not None and state.is_parent and not state.stopped)


def _is_stopped(seen: ObservedJob) -> bool:
    """Whether somebody stopped it, so that it did not just come to its end; of one that is purged nobody can tell."""
    return seen.snapshot.job is None or seen.snapshot.job.stopped


def _is_unfinished(hook: JobSnapshot) -> bool:
    """Whether its last run has failed, or that of one that is to come to an end is still under way."""
    state = hook.job
    if state is None or state.is_parent or state.stopped:
        return False
    return has_failed(hook) or (state.is_batch and bool(living(hook)) and not is_finished(hook))


def _await_hooks(
    graph: DependencyGraph,
    due: Mapping[str, Due],
    names: Collection[str],
    users: Mapping[str, Collection[str]],
    needs: Mapping[str, set[str]],
    terms: Mapping[str, dict[str, Terms]],
) -> None:
    """Say when each hook runs, and who waits for it; what runs after those who need a job is also before its own `pre_stop`."""
    after: dict[str, set[str]] = {name: set() for name in users}
    for hook, one in sorted(due.items(), key=lambda item: item[1].kind):  # post_stop first
        for owner, edge in one.edges.items():
            asked = _asked(graph, edge, names)
            if one.kind == "pre_stop":
                needs[hook] |= {*users[owner], *after[owner]}
                _ask(owner, asked, needs, terms)
                continue
            needs[hook].add(owner)
            for name in users:
                if owner in users[name]:
                    after[name] |= set(asked)
                    _ask(name, asked, needs, terms)


def _ask(name: str, asked: Mapping[str, Terms], needs: Mapping[str, set[str]], terms: Mapping[str, dict[str, Terms]]) -> None:
    needs[name] |= set(asked)
    for job, more in asked.items():
        known = terms[name].get(job)
        terms[name][job] = more if known is None else known.joined(more)


def _asked(graph: DependencyGraph, edge: Edge, names: Collection[str]) -> dict[str, Terms]:
    """Return what an edge to a hook asks of it and of its post jobs."""
    found = {edge.job: Terms((edge.condition,), edge.required)}
    if waits_for_posts(edge.condition):
        below = ((post, required) for post, required in graph.barrier(edge.job).items() if post != edge.job and post in names)
        found |= {post: Terms(required=edge.required and required) for post, required in below}
    return found


def _required(graph: DependencyGraph, due: Mapping[str, Due]) -> set[str]:
    """Return the hooks whose failure is one of the stop, and the post jobs likewise."""
    edges = [edge for one in due.values() for edge in one.edges.values() if edge.required]
    return {post for edge in edges for post, required in graph.barrier(edge.job).items() if required}


def _reasons(graph: DependencyGraph, due: Mapping[str, Due], names: Collection[str]) -> dict[str, str]:
    posts = {post: f"post job of {owner}" for owner in sorted(names) for post in graph.posts(owner)}
    return posts | {hook: f"{one.kind} job of {', '.join(sorted(one.edges))}" for hook, one in due.items()}


def _told(step: Step, due: Mapping[str, Due], required: Collection[str]) -> Step:
    """Say when a hook runs, and what its failure means: nothing is ever returned because of it."""
    policy: OnFailure = "continue" if step.on_failure == "continue" else "stop"
    step = replace(step, is_tolerated=step.is_tolerated or step.name not in required, on_failure=policy)
    one = due.get(step.name)
    return step if one is None else replace(step, cause=f"{moment(one.kind, one.edges)}: {step.cause}")


def _plain(step: Step) -> Step:
    """Take back what is only said of runs: a job that is not stopped is never put up with."""
    return replace(step, is_tolerated=False, on_failure="stop")


def _in_order(graph: DependencyGraph, steps: Sequence[Step], stops: Sequence[Step], due: Mapping[str, Due]) -> tuple[Step, ...]:
    """Put each step after what it waits for; where that leaves a choice, hooks next to their owners."""
    places = {step.name: 2 * place for place, step in enumerate(stops)}
    for hook, one in due.items():
        owners = [places[owner] for owner in one.edges]
        place = min(owners) - 1 if one.kind == "pre_stop" else max(owners) + 1
        places |= dict.fromkeys(graph.barrier(hook), place)
    by_name = {step.name: step for step in steps}
    sorter = TopologicalSorter({step.name: step.needs for step in steps})
    sorter.prepare()
    free: list[tuple[int, str]] = []
    ordered: list[Step] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(free, (places[name], name))
        _, name = heapq.heappop(free)
        sorter.done(name)
        ordered.append(by_name[name])
    return tuple(ordered)

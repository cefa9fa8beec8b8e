"""Jobs that run around the stop of others: which they are, and what waits for what in a stop that has them. Pure.

A hook runs once in a stop, however many jobs name it: before the first of these is stopped, or after the last. What it needs stays up
until it is done; nothing of that is started for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dtree.declaration import Declaration, Edge, Entry
from dtree.errors import Fault

__all__ = ["Hook", "HookKind", "cycle_fault", "find_hooks", "follows", "hook_edges", "moment", "set_aside", "stop_order"]

HookKind = Literal["pre_stop", "post_stop"]


@dataclass(frozen=True, slots=True)
class Hook:
    """What a job is a hook of.

    Attributes:
        owners: the jobs that name it, sorted.
    """

    kind: HookKind
    owners: tuple[str, ...]

    def __str__(self) -> str:
        return moment(self.kind, self.owners)


def find_hooks(entries: Mapping[str, Entry]) -> dict[str, Hook]:
    """Return the hooks by name, sorted. A job that is named as both kinds, which is a fault of the file, counts as one."""
    owners: dict[str, set[str]] = {}
    kinds: dict[str, HookKind] = {}
    for entry in entries.values():
        for kind, edge in hook_edges(entry):
            owners.setdefault(edge.job, set()).add(entry.name)
            kinds.setdefault(edge.job, kind)
    return {name: Hook(kinds[name], tuple(sorted(owners[name]))) for name in sorted(kinds)}


def set_aside(entries: Mapping[str, Entry], hooks: Collection[str], barrier: Callable[[str], Collection[str]]) -> frozenset[str]:
    """Return the hooks, and their post jobs, that are nothing else: no job but one of these needs them, or has them as post jobs.

    Args:
        barrier: a job with its post jobs, and theirs.
    """
    aside = {job for hook in hooks for job in barrier(hook)}
    while aside and (
        wanted := {edge.job for name, entry in entries.items() if name not in aside for edge in (*entry.pre, *entry.post)} & aside
    ):
        aside -= wanted
    return frozenset(aside)


def hook_edges(entry: Entry) -> tuple[tuple[HookKind, Edge], ...]:
    """Return the edges of a job to its hooks, with their kind."""
    return (*((_PRE, edge) for edge in entry.pre_stop), *((_POST, edge) for edge in entry.post_stop))


def moment(kind: HookKind, owners: Collection[str]) -> str:
    """Say when a hook runs: `before api and web are stopped`."""
    *most, last = sorted(owners)
    named = f"{', '.join(most)} and {last}" if most else last
    return f"{'before' if kind == _PRE else 'after'} {named} {'are' if most else 'is'} stopped"


def follows(entries: Mapping[str, Entry], aside: Collection[str], name: str, need: str) -> bool:
    """Whether of two jobs that run in a stop the one waits for the other: the file says so of the two.

    Who needs a job waits for its post jobs too. But that is of a start: one of these that is a hook as well need not run again first.
    """
    return need in aside or any(edge.job == need for edge in entries[name].pre) or any(edge.job == name for edge in entries[need].post)


def stop_order(
    entries: Mapping[str, Entry],
    hooks: Collection[str],
    aside: Collection[str],
    needs: Mapping[str, Collection[str]],
    dependents: Mapping[str, Collection[str]],
    barrier: Callable[[str], Collection[str]],
) -> dict[str, tuple[str, ...]]:
    """Return what waits for what when everything is stopped and every hook runs: `stop db` for `run backup`.

    No stop of a part asks for an order that this does not. Where it has no cycle, no stop has one.

    Args:
        needs, dependents: of each job, as in a run.
        barrier: a job with its post jobs, and theirs.
    """
    if not hooks:
        return {}
    order = {f"stop {name}": {f"stop {user}" for user in dependents[name]} for name in entries}
    runs = {job for hook in hooks for job in barrier(hook)}
    for name in runs:
        order[f"run {name}"] = {f"run {need}" for need in needs[name] if need in runs and follows(entries, aside, name, need)}
        for need in needs[name]:
            order[f"stop {need}"].add(f"run {name}")
    after: dict[str, set[str]] = {name: set() for name in entries}
    for name, entry in entries.items():
        for edge in entry.post_stop:
            order[f"run {edge.job}"].add(f"stop {name}")
            for need in needs[name]:
                after[need] |= {f"run {job}" for job in barrier(edge.job)}
    for name, entry in entries.items():
        own = {job for _, edge in hook_edges(entry) for job in barrier(edge.job)}
        order[f"stop {name}"] |= after[name]
        for edge in entry.pre_stop:
            order[f"run {edge.job}"] |= {f"stop {user}" for user in dependents[name] if user not in own} | after[name]
            order[f"stop {name}"] |= {f"run {job}" for job in barrier(edge.job)}
    return {name: tuple(sorted(others)) for name, others in order.items()}


def cycle_fault(declaration: Declaration, hooks: Mapping[str, Hook], path: Sequence[str]) -> Fault:
    """Say what is wrong with a hook that no stop could run at its time.

    Args:
        path: a cycle in what `stop_order` gives.
    """
    blamed = next(job for verb, _, job in (step.partition(" ") for step in path) if verb == "run" and job in hooks)
    edges = (edge for entry in declaration.entries.values() for _, edge in hook_edges(entry) if edge.job == blamed)
    return Fault(
        "hook-cycle",
        f"'{blamed}' is to run {hooks[blamed]}, and no stop can do that, as one waits for the other: {' -> '.join(path)}",
        declaration.locator.place(next(edges).path),
        "what a hook needs has to be up when it runs, and of two jobs with one hook neither may need the other: take one of the edges out",
    )


_PRE: HookKind = "pre_stop"
_POST: HookKind = "post_stop"

"""What a store holds: the dependency file, its graph, and where job texts come from. Needs no Nomad.

The first stage of `dtree.pipeline`, with a module of its own so that commands that end here do not import what comes after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dtree import depfile, graph
from dtree.errors import DeclarationError, StoreError, UsageError
from dtree.graph import DependencyGraph
from dtree.model import Declaration
from dtree.store import Snapshot

__all__ = ["Sources", "check", "goals", "read"]


@dataclass(frozen=True, slots=True)
class Sources:
    """What a store holds.

    Attributes:
        store: name of the store, for people.
    """

    store: str
    snapshot: Snapshot
    declaration: Declaration
    graph: DependencyGraph

    def files(self, names: Collection[str]) -> dict[str, str]:
        """Return the path of the job file by job name, for those of `names` whose entry gives one."""
        return {name: entry.file for name in names if (entry := self.graph.entries[name]).file is not None}


def read(snapshot: Snapshot, *, store: str) -> Sources:
    """Read the dependency file and build the graph.

    Raises:
        DeclarationError: all its faults at once.
        StoreError: the store cannot be read.

    Effects: reads the store; no job file yet.
    """
    text = snapshot.depfile()
    declaration = depfile.parse(text.path, text.data, title=snapshot.title)
    return Sources(store, snapshot, declaration, graph.build(declaration, snapshot.job_names()))


def goals(sources: Sources, names: Sequence[str], *, everything: bool) -> tuple[str, ...]:
    """Return what is asked for, sorted, each once.

    Raises:
        UsageError: neither a job nor `--all`, or both.
        GoalError: a name that is no job.
    """
    if everything and names:
        raise UsageError("--all is every job of the file: it goes with no job name", hint="leave one of them out")
    if everything:
        return tuple(sorted(sources.graph.entries))
    if not names:
        raise UsageError("no job is named", hint="name one (`--job nginx`), or take every job of the file with --all")
    graph.select(sources.graph, names)
    return tuple(sorted(set(names)))


def check(snapshot: Snapshot, *, store: str) -> Sources:
    """Read the dependency file and see that every job has one job file, without asking Nomad.

    Raises:
        DeclarationError: everything that is wrong, at once.

    Effects: reads the store; of the job files only those that an entry names with `file`.
    """
    sources = read(snapshot, store=store)
    files = sources.files(sources.graph.entries)
    _, faults = snapshot.find_jobs(name for name in sources.graph.entries if name not in files)
    for path in files.values():
        try:
            snapshot.read(path)
        except StoreError as error:
            faults += error.faults
    if faults:
        raise DeclarationError(faults)
    return sources

"""What a store holds: the dependency file, its graph, and where job texts come from. Needs no Nomad.

The first stage of `dtree.pipeline`, with a module of its own so that commands that end here do not import what comes after it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dtree import depfile, graph
from dtree.declaration import Declaration
from dtree.errors import DeclarationError, Fault, StoreError, StoreUnreachable, TagError, UsageError, refuse
from dtree.graph import DependencyGraph
from dtree.job_text import check_depth, decode_job
from dtree.store import Snapshot, Text

__all__ = ["Sources", "check", "goals", "job_texts", "read", "refuse_externals"]


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


def read(snapshot: Snapshot, *, store: str, asked: Collection[str] = ()) -> Sources:
    """Read the dependency file and build the graph.

    Args:
        asked: jobs that are asked for by name: one that the dependency file does not name, but that has a job file, joins the graph
            without needs, as a job does that only an edge names.

    Raises:
        DeclarationError: all its faults at once.
        StoreError: the store cannot be read.

    Effects: reads the store; no job file yet.
    """
    text = snapshot.depfile()
    declaration = _parse(text, snapshot)
    names = snapshot.job_names()
    built = graph.build(declaration, names)
    strangers = [name for name in asked if name not in built.entries and name in names]
    alone = {name: replace(declaration.defaults, name=name, variables={}, version=None) for name in strangers}
    if alone:
        declaration = replace(declaration, entries={**declaration.entries, **alone})
        built = graph.build(declaration, names)
    return Sources(store, snapshot, declaration, built)


def goals(
    sources: Sources,
    names: Sequence[str],
    *,
    everything: bool,
    tags: Collection[str] = (),
    skip: Collection[str] = (),
    with_hooks: bool = True,
) -> tuple[str, ...]:
    """Return what is asked for, sorted, each once.

    Args:
        tags: jobs that have one of them are asked for as well. What is nothing but a hook has none of the defaults.
        skip: jobs that are not, whatever else says so.
        with_hooks: everything is also what is nothing but a hook, and so none of a run's business.

    Raises:
        UsageError: neither a job nor a tag nor `--all`, or both; several tags in one; or all that is asked for is skipped.
        GoalError: a name that is no job.
        TagError: a tag that no job has.
    """
    if everything and names:
        raise UsageError("--all is every job of the file: it goes with no job name", hint="leave one of them out")
    if not (everything or names or tags):
        raise UsageError("no job is named", hint="name one (`--job nginx`), or take every job of the file with --all")
    entries = sources.graph.entries
    graph.refuse_unknown(sources.graph, (*names, *skip))
    known = {tag for entry in entries.values() for tag in entry.tags}
    for tag in sorted(set(tags) - known):
        if "," in tag:  # which a name may have
            several = " ".join(f"--selector tag={one.strip().removeprefix('tag=')}" for one in tag.split(","))
            raise UsageError(f"'{tag}' is no tag, and --selector takes one", hint=f"repeat the option: `{several}`")
        raise TagError(tag, sorted(known), depfile=sources.declaration.file)
    hooks = sources.graph.aside
    tagged = (name for name, one in entries.items() if set(one.tags) & set(tags) and not (one.inherits_tags and name in hooks))
    aside = () if with_hooks else hooks
    found = {*(set(entries).difference(aside) if everything else names), *tagged}.difference(skip)
    if found or not skip:
        return tuple(sorted(found))
    raise UsageError("all that is asked for is skipped", hint="leave a --skip out")


def refuse_externals(sources: Sources, names: Sequence[str]) -> None:
    """Refuse to show the job files of jobs that have none here.

    Raises:
        UsageError: one of the names is that of an external job.
    """
    theirs = next((name for name in names if name in sources.graph.externals), None)
    if theirs is not None:
        hint = f"`nomad job inspect {theirs}` shows what runs of it, in the namespace and region that its entry gives"
        raise UsageError(f"'{theirs}' is external: it is only waited for, and has no job file here", hint=hint)


def check(snapshot: Snapshot, *, store: str) -> Sources:
    """Read the dependency file and see that every job has one job file that is text, without asking Nomad.

    Raises:
        DeclarationError: everything that is wrong, at once.

    Effects: reads the store, with all job files.
    """
    from dtree.dispatching import read_payloads

    sources = read(snapshot, store=store)
    texts, faults = job_texts(sources, sources.graph.entries)
    for name, text in texts.items():
        try:
            check_depth(name, text.path, decode_job(name, text))
        except DeclarationError as error:
            faults[name] = error.faults
    _, wrong = read_payloads(snapshot, sources.graph.entries.values(), sources.declaration.locator)
    faults.update({name: (*faults.get(name, ()), *told) for name, told in wrong.items()})
    refuse(faults)
    return sources


def job_texts(sources: Sources, names: Collection[str]) -> tuple[dict[str, Text], dict[str, tuple[Fault, ...]]]:
    """Read the job files of `names`, all that can be read; external jobs have none.

    Returns:
        (the files, what is wrong where there is none, or more than one, or one that cannot be read), both by job name.

    Raises:
        StoreUnreachable: the store cannot be asked.

    Effects: reads the store.
    """
    names = [name for name in names if name not in sources.graph.externals]
    snapshot, files = sources.snapshot, sources.files(names)
    wanted = sorted(name for name in names if name not in files)
    found, missing = snapshot.find_jobs(wanted)
    unfound = [name for name in wanted if name not in found]
    faults: dict[str, tuple[Fault, ...]] = {name: (fault,) for name, fault in zip(unfound, missing, strict=True)}
    below = _read_together(snapshot, list(found.values()))
    texts: dict[str, Text] = {}
    for name in sorted({*found, *files}):
        try:
            texts[name] = snapshot.read(files[name]) if name in files else _read_one(snapshot, found[name], below)
        except StoreUnreachable:
            raise
        except StoreError as error:
            place = sources.declaration.locator.place(("dependencies", name, "file")) if name in files else None
            faults[name] = tuple(replace(fault, place=fault.place or place) for fault in error.faults)
    return texts, faults


def _read_together(snapshot: Snapshot, paths: Sequence[str]) -> Mapping[str, Text]:
    """Read job files in one go; none where one cannot be read, which is told of that one only."""
    try:
        return snapshot.read_jobs(paths) if paths else {}
    except StoreUnreachable:
        raise
    except StoreError:
        return {}


def _read_one(snapshot: Snapshot, path: str, known: Mapping[str, Text]) -> Text:
    return known[path] if path in known else snapshot.read_jobs([path])[path]


def _parse(text: Text, snapshot: Snapshot) -> Declaration:
    """Parse the dependency file; where it has faults, add those that only its graph shows, if the job files can be listed."""
    try:
        return depfile.parse(text.path, text.data, title=snapshot.title)
    except DeclarationError as error:
        if not isinstance(error.partial, Declaration):
            raise
        try:
            graph.build(error.partial, snapshot.job_names())
        except StoreError:
            raise error from None
        except DeclarationError as more:
            raise DeclarationError(sorted((*error.faults, *more.faults), key=graph.by_place)) from error
        raise

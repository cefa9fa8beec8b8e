"""Whether what completes can be remembered on the cluster: asked before anything is registered, because `run: once` promises it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from dtree.completion import begun
from dtree.declaration import Declaration, Entry
from dtree.errors import DeclarationError, Denied, Fault
from dtree.model import RenderedJob
from dtree.plan import ObservedJob, Plan
from dtree.ports import Cluster

__all__ = ["begin_once", "refuse_forgetful", "refuse_pointless", "stamp", "warn_forgetful"]


def refuse_forgetful(jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob], entries: Mapping[str, Entry]) -> None:
    """Refuse jobs that are to be run once, where it cannot be known whether they were.

    Raises:
        Denied: the note of such a job may not be read.
    """
    for name, job in sorted(jobs.items()):
        unread = observed[name].unread
        if unread is not None and job.completes and entries[name].run == "once":
            raise Denied(
                f"job '{name}' is to be run once, and whether it was cannot be read: {unread.problem}", notes=unread.notes, hint=unread.hint
            )


def refuse_pointless(jobs: Mapping[str, RenderedJob], declaration: Declaration) -> None:
    """Refuse `run` in the entry of a job that never completes; in the defaults it is meant for those that do.

    Raises:
        DeclarationError: every such entry.
    """
    faults = []
    for name, job in sorted(jobs.items()):
        entry = declaration.entries.get(name)
        if entry is None or entry.run in (None, declaration.defaults.run) or job.completes:
            continue
        is_what = "runs only through its children, and none is dispatched" if job.is_parent else f"is a {job.type} job, which runs on"
        hint = "give it a `dispatch`, or remove `run`" if job.is_parent else "remove `run`, or make it a batch job"
        place = declaration.locator.place(("dependencies", name, "run"))
        faults.append(Fault("impossible-run", f"'{name}' {is_what}: `run` is for jobs that complete", place, hint))
    if faults:
        raise DeclarationError(faults)


def warn_forgetful(jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob]) -> tuple[str, ...]:
    """Say of jobs that complete that only Nomad tells whether they have, because their notes may not be read; a line for each reason."""
    names: dict[str, list[str]] = {}
    for name, job in sorted(jobs.items()):
        unread = observed[name].unread
        if unread is not None and job.completes:
            names.setdefault(f"{unread.problem} ({unread.hint})", []).append(name)
    lead = "what has completed is known only as long as Nomad keeps it, because it is not noted"
    return tuple(f"{', '.join(those)}: {lead}: {why}" for why, those in names.items())


def begin_once(plan: Plan, cluster: Cluster, *, at: str) -> None:
    """Note of each job that is to be run once that a run of it begins, which shows that its success can be noted too.

    Args:
        at: when, as text.

    Raises:
        Denied: a note may not be written. Nothing was registered.

    Effects: writes notes.
    """
    for step in plan.steps:
        if step.is_once:
            try:
                cluster.change_note(plan.stack, step.ref, lambda items: begun(items, at=at))
            except Denied as error:
                problem = f"job '{step.name}' is to be run once, and that it was cannot be noted: {error.problem}"
                raise Denied(problem, notes=error.notes, hint=error.hint) from error


def stamp(time_s: float) -> str:
    """Write a Unix time as notes have it: UTC, to the millisecond."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

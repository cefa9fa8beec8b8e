"""What completes is remembered on the cluster; whether it can be is asked before anything is registered, for `run: once` promises it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from dtree.completion import begun, forgotten_run, intended, succeeded, with_ended
from dtree.declaration import Declaration, Entry
from dtree.errors import ClusterError, DeclarationError, Denied, Fault
from dtree.evidence import Awaited
from dtree.health import has_failed, is_finished
from dtree.model import JobRef, JobSnapshot, RenderedJob
from dtree.names import DEFAULT_NAMESPACE
from dtree.plan import Await, ChildState, ObservedJob, Plan, Step
from dtree.ports import Cluster
from dtree.provenance import FORM, MARK, Items, note_path
from dtree.sightings import sighted

__all__ = [
    "begin_once",
    "refuse_forgetful",
    "refuse_forgotten",
    "remember",
    "remember_break",
    "remember_sightings",
    "stamp",
    "warn_forgetful",
]

_AS_LONG: Final = "what has completed is known only as long as Nomad keeps it, because it is not noted"
_EACH_RUN: Final = "what is dispatched is dispatched again by each run, because it is not noted"


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


def refuse_forgotten(jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob], declaration: Declaration) -> None:
    """Refuse jobs that are to be run once, and were begun, and Nomad has forgotten how that ended: they may have completed.

    Raises:
        DeclarationError: every such job.
    """
    faults = []
    for name, job in sorted(jobs.items()):
        entry = declaration.entries.get(name)
        at = forgotten_run(job, observed[name]) if entry is not None and entry.run == "once" and job.completes else ""
        if at:
            problem = f"'{name}' is to be run once; it was begun at {at}, and Nomad has forgotten what became of it"
            path = note_path(declaration.stack, job.ref.id)
            says = f"`nomad var put{_flags(job.ref)} -force {path} {MARK}={FORM} succeeded=by-hand` says so"
            hint = f"`nomad-dtree stop {name} --purge` forgets it, and the next run runs it; or, if it has succeeded, {says}"
            faults.append(Fault("forgotten-run", problem, declaration.locator.place(("dependencies", name, "run")), hint))
    if faults:
        raise DeclarationError(faults)


def warn_forgetful(jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob]) -> tuple[str, ...]:
    """Say of jobs that complete that only Nomad tells whether they have, because their notes may not be read; a line for each reason."""
    names: dict[str, list[str]] = {}
    for name, job in sorted(jobs.items()):
        unread = observed[name].unread
        if unread is not None and job.completes:
            lead = _EACH_RUN if job.dispatches else _AS_LONG
            names.setdefault(f"{lead}: {unread.problem} ({unread.hint})", []).append(name)
    return tuple(f"{', '.join(those)}: {why}" for why, those in names.items())


def begin_once(plan: Plan, cluster: Cluster, *, at: str) -> None:
    """Note of each job that is to be run once that it is to be run, which shows that its success can be noted too.

    Args:
        at: when, as text.

    Raises:
        Denied: a note may not be written. Nothing was registered.

    Effects: writes notes.
    """
    for step in plan.steps:
        if step.is_once:
            try:
                cluster.change_note(plan.stack, step.ref, lambda items: intended(items, at=at))
            except Denied as error:
                problem = f"job '{step.name}' is to be run once, and that it was cannot be noted: {error.problem}"
                raise Denied(problem, notes=error.notes, hint=error.hint) from error


def remember(
    step: Step,
    snapshots: Iterable[JobSnapshot],
    children: Mapping[JobRef, Awaited],
    cluster: Cluster,
    *,
    stack: str,
    at: str,
) -> ClusterError | None:
    """Note what became of a job that completes, or of each of its children, as far as it has ended; whatever its step waited for.

    Args:
        snapshots: of the job, or of its children.
        children: those that are waited for in place of the job.
        at: when, as text.

    Returns:
        Why it cannot be noted; None where it can, or where there is nothing to note.

    Effects: changes Nomad.
    """
    ended: dict[str, ChildState] = {ref.id: "completed" for ref, awaited in children.items() if awaited.completed}
    for one in snapshots:
        if is_finished(one):
            ended[one.ref.id] = "completed"
        elif has_failed(one):
            ended.setdefault(one.ref.id, "failed")
    if not ended or not (step.digest or step.children):
        return None
    completed = sum(state == "completed" for state in ended.values())

    def change(items: Items) -> Items:
        items = with_ended(items, ended) if step.children else items
        if completed == max(len(step.children), 1):
            return succeeded(items, step.digest, at=at) if step.digest else items
        return begun(items, at="") if step.is_once and not step.children else items

    try:
        cluster.change_note(stack, step.ref, change)
    except ClusterError as error:
        return error
    return None


def remember_break(
    step: Step,
    refs: Iterable[JobRef],
    children: Mapping[JobRef, Awaited],
    cluster: Cluster,
    *,
    stack: str,
    at: str,
) -> None:
    """Note how far a step came that broke, as far as that can be: which of its children completed, or that it was not run after all.

    Effects: reads and changes Nomad.
    """
    if not (step.children or step.is_once):
        return
    try:
        snapshots = cluster.snapshots(sorted(refs))
    except ClusterError:
        return
    remember(step, snapshots.values(), children, cluster, stack=stack, at=at)


def remember_sightings(step: Step, awaited: Awaited, signs: Collection[str], cluster: Cluster, *, stack: str) -> ClusterError | None:
    """Note what was seen in the logs of a job that became ready: the next run may not find it there any more.

    Of a job of others' nothing is noted.

    Returns:
        Why it cannot be noted; None where it can, or where nothing is new.

    Effects: changes Nomad.
    """
    if isinstance(step.action, Await) or set(signs) <= step.sighted:
        return None
    try:
        cluster.change_note(stack, step.ref, lambda items: sighted(items, awaited, signs))
    except ClusterError as error:
        return error
    return None


def stamp(time_s: float) -> str:
    """Write a Unix time as notes have it: UTC, to the millisecond."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _flags(ref: JobRef) -> str:
    """Write where a job's note is as `nomad` takes it."""
    namespace = f" -namespace {ref.namespace}" if ref.namespace != DEFAULT_NAMESPACE else ""
    return namespace + (f" -region {ref.region}" if ref.region else "")

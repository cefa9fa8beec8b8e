"""How the jobs of a store do right now, whoever brought them there. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from dtree import graph
from dtree.canaries import Canaries
from dtree.completion import beginning, children_ended, job_digest, last_children, last_success, success_time
from dtree.declaration import Condition, Entry
from dtree.errors import Fault
from dtree.evidence import Awaited, as_found, current_allocations, living
from dtree.graph import DependencyGraph
from dtree.health import Broken, Ready, Waiting, judge
from dtree.model import CheckResult, JobRef, JobSnapshot, JobState, RenderedJob
from dtree.noted import Noted, find_origins
from dtree.observe import read_addresses, read_checks, read_stored
from dtree.parsing import Parsing
from dtree.plan import ObservedJob
from dtree.ports import Cluster
from dtree.provenance import Items, Provenance, still_runs
from dtree.record import Health, StatusRow
from dtree.verdicts import Verdict, of_children

__all__ = ["status_rows"]


def status_rows(parsing: Parsing, names: Collection[str]) -> tuple[StatusRow, ...]:
    """Say how jobs do, each before what it needs. Effects: reads the store and Nomad."""
    sources, cluster = parsing.sources, parsing.cluster
    jobs, unread, found = parsing.parse_known(names)
    observed, stack = read_stored(jobs, cluster, children=False), sources.declaration.stack
    origins = find_origins({seen.snapshot.ref: seen.snapshot.job for seen in observed.values()}, cluster, stack=stack)
    homeless = parsing.homeless(jobs, observed)

    def row(name: str) -> StatusRow:
        needs = sources.graph.needs[name]
        if name in unread:
            return _unread_row(name, needs, unread[name])
        noted = origins[jobs[name].ref]
        shown = _status_row(needs, jobs[name], observed[name], noted, cluster)
        shown = _as_noted(shown, jobs[name], sources.graph.entries[name], noted.items, cluster)
        stranger = noted.provenance.stack if noted.provenance and noted.provenance.stack != stack else ""
        denied = noted.denied.faults[0] if noted.denied else None
        shown = replace(shown, other_stack=stranger, note_fault=denied, file_fault=found.get(name))
        shown = _as_hook(shown, sources.graph)
        return replace(shown, reason=homeless[name].problem) if name in homeless else shown

    return tuple(row(name) for name in reversed(graph.order(sources.graph, names)))


def _status_row(needs: tuple[str, ...], job: RenderedJob, seen: ObservedJob, noted: Noted, cluster: Cluster) -> StatusRow:
    row = StatusRow(job.name, job.ref.id, job.ref.namespace, job.type, needs, "", "Missing", None, 0, 0, region=job.ref.region)
    snapshot, state, provenance = seen.snapshot, seen.snapshot.job, noted.provenance
    if state is None:
        return replace(row, provenance=provenance)
    awaited = as_found(state, Condition())
    standing = living(snapshot) if state.stopped else current_allocations(snapshot, awaited)
    current = [one for one in standing if one.client == "running"]
    health, reason = _health_of(snapshot, awaited, read_checks(snapshot, awaited, cluster))
    return replace(
        row,
        state=state.status,
        health=health,
        version=state.version,
        running=len(current),
        desired=0 if state.stopped or state.is_parent else sum(group.count for group in state.groups),
        addresses=read_addresses(job.ref, current, cluster),
        reason=reason,
        provenance=provenance,
        changed_since=_is_another(provenance, state),
    )


def _is_another(provenance: Provenance | None, state: JobState) -> bool:
    """Whether what runs is not what is noted of the job; of what is stopped, nothing runs."""
    registered = provenance.registered if provenance is not None else None
    return registered is not None and not state.stopped and not still_runs(registered, state)


def _health_of(snapshot: JobSnapshot, awaited: Awaited, checks: Mapping[str, Sequence[CheckResult]]) -> tuple[Health, str]:
    """Say in one of the field's words how a job does that nobody is bringing up right now, and why."""
    if snapshot.job is not None and snapshot.job.stopped:
        ending = len(living(snapshot))
        return "Suspended", f"stopped; {ending} allocation{'' if ending == 1 else 's'} still to end" if ending else "stopped"
    return _in_a_word(judge(snapshot, awaited, waited_s=0.0, unplaceable_s=0.0, placement_timeout_s=0.0, checks=checks))


def _in_a_word(verdict: Verdict) -> tuple[Health, str]:
    match verdict:
        case Ready():
            return "Healthy", ""
        case Waiting(canaries=Canaries(), reason=reason):
            return "Suspended", reason
        case Waiting(reason=reason):
            return "Progressing", reason
        case Broken(reason=reason):
            return "Degraded", reason


def _as_noted(row: StatusRow, job: RenderedJob, entry: Entry, items: Items, cluster: Cluster) -> StatusRow:
    """Say of a job that completed and that Nomad has forgotten what is noted of it, and of one that is dispatched how its children do."""
    if row.version is None:
        health, reason = _forgotten(job, entry, items) if job.completes else (row.health, row.reason)
        return replace(row, health=health, reason=reason)
    if not entry.dispatches or row.health != "Healthy":
        return row
    health, reason = _health_of_children(job, items, cluster)
    return replace(row, health=health, reason=reason)


def _forgotten(job: RenderedJob, entry: Entry, items: Items) -> tuple[Health, str]:
    noted = last_success(items)
    if not noted:
        at = beginning(items)
        return "Missing", f"was begun at {at}, and Nomad has forgotten what became of it" if at else ""
    told = f"completed{f' at {at}' if (at := success_time(items)) else ''}; Nomad has forgotten it since"
    if entry.run != "once" and (entry.run == "always" or noted != job_digest(job)):
        return "Missing", f"{told}, and {'each run runs it' if entry.run == 'always' else 'it was changed since'}"
    return "Healthy", told


def _health_of_children(job: RenderedJob, items: Items, cluster: Cluster) -> tuple[Health, str]:
    """Judge the children that were dispatched last, as far as they are known."""
    ended = children_ended(items)
    snapshots = cluster.snapshots([replace(job.ref, id=one) for one in last_children(items) if one])
    verdicts: dict[JobRef, Verdict] = {}
    for ref, snapshot in snapshots.items():
        if snapshot.job is not None:
            verdicts[ref] = judge(snapshot, as_found(snapshot.job, Condition()), waited_s=0.0, unplaceable_s=0.0, placement_timeout_s=0.0)
        elif ref.id in ended:
            failed = Broken("failed", "it failed, and Nomad has forgotten it since")
            verdicts[ref] = failed if ended[ref.id] == "failed" else Ready("completed")
    return _in_a_word(of_children(verdicts, "completed")) if verdicts else ("Healthy", "")


def _as_hook(row: StatusRow, whole: DependencyGraph) -> StatusRow:
    """Say when a hook runs; until then Nomad need not have it."""
    is_due = row.health == "Missing" and row.job in whole.aside
    return replace(row, hook=whole.moment(row.job), health="Suspended" if is_due else row.health)


def _unread_row(name: str, needs: tuple[str, ...], fault: Fault) -> StatusRow:
    """A job whose ID is not known, because it stands in a job file that cannot be read."""
    return StatusRow(name, "", "", "", needs, "", "Unknown", None, 0, 0, reason=fault.sentence)

"""The whole program on one page. Each stage is one call; each arrow is one frozen type.

    store snapshot --read--> Sources        the dependency file, its graph, and where job texts come from     (reads the store)
    Sources --goals, select--> names        the jobs that this is about                                      (pure)
    names --render_jobs--> JobText          each job file, its template filled in                            (reads the store)
    JobText --parse_jobs--> RenderedJob     the same as Nomad parses it                                      (reads Nomad)
    RenderedJob --observe_jobs--> Observed  what Nomad has of it, and what registering it would do           (reads Nomad)
    Observed --decide.make_*--> Plan        every decision; `nomad-dtree plan` ends here                     (pure)
    Plan --carry_out--> RunRecord           the only stage that changes Nomad; news leave it as events

The first three stages need no Nomad; they are `dtree.sources` and `dtree.rendering`. `plan` and `run` share everything but the last call,
so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree import decide, diagnose, graph
from dtree.declaration import Condition
from dtree.errors import ClusterError, DeclarationError, Fault, Invalid, StoreError, refuse
from dtree.evidence import Awaited, as_found, current_allocations, living
from dtree.executor import Interrupts, Limits, carry_out
from dtree.health import Broken, Ready, Waiting, impossible, judge
from dtree.inputs import Inputs
from dtree.job_text import JobText
from dtree.model import CheckResult, JobSnapshot, RenderedJob
from dtree.noted import Noted, find_jobs, find_origins, read_notes
from dtree.observe import missing_namespaces, observe_jobs, parse_jobs, read_stored, refusals
from dtree.plan import Intent, ObservedJob, Plan, Step
from dtree.ports import Cluster
from dtree.provenance import DIRTY, Source, still_runs
from dtree.record import Health, StatusRow
from dtree.rendering import Checked, render_jobs
from dtree.sources import Sources, goals, job_texts, read
from dtree.versions import Versions
from dtree.versions_lock import pin_images

__all__ = ["Interrupts", "Limits", "Sources", "carry_out", "goals", "parse", "prepare", "read", "status", "validate", "which"]

_NONE: Final = Inputs()


def prepare(sources: Sources, cluster: Cluster, intent: Intent, *, namespace: str, inputs: Inputs = _NONE) -> Plan:
    """Decide what the intent takes.

    Args:
        namespace: for jobs where neither the file nor the entry says; "" for Nomad's default.
        inputs: what templates are given.

    Raises:
        DtreeError: anything wrong in the files, or Nomad that cannot be asked. Nothing was changed.

    Effects: reads the store and Nomad.
    """
    versions = Versions(sources, inputs)
    if intent.verb == "run":
        names: Collection[str] = graph.select(sources.graph, intent.goals)
        jobs, observed = observe_jobs(_parsed(names, cluster, namespace, versions), cluster)
        registered = {name: seen for name, seen in observed.items() if seen.snapshot.job is not None}
        observed |= read_notes(registered, cluster, stack=sources.declaration.stack)[0]
        steps = decide.make_run(sources.graph, names, jobs, observed, intent, source=_source(sources))
        _check_conditions(sources, steps)
    else:
        names = decide.stop_set(sources.graph, intent)
        users = {user for name in names for user in sources.graph.dependents[name]}
        jobs, unread, found = _parsed_or_not({*names, *users}, cluster, namespace, versions)
        observed = read_stored(jobs, cluster, children=True)
        if faults := missing_namespaces(jobs, observed, cluster):
            raise DeclarationError(list(faults.values()))
        if intent.purge:
            observed = read_notes(observed, cluster, stack=sources.declaration.stack)[0]
        steps = _with_remarks(decide.make_stop(sources.graph, names, jobs, observed, intent, unread=unread), found)
    return Plan(
        verb=intent.verb,
        stack=sources.declaration.stack,
        store=sources.store,
        revision=str(sources.snapshot.revision),
        goals=intent.goals,
        steps=steps,
        warnings=tuple(
            inputs.secrets.hide(f"{name}: {run.warnings}")
            for name, seen in sorted(observed.items())
            if (run := seen.dry_run) and run.warnings
        ),
    )


def validate(checked: Checked, cluster: Cluster, *, namespace: str) -> tuple[str, ...]:
    """Have Nomad parse and validate every job; return its warnings.

    Raises:
        DeclarationError: every job that Nomad refuses.

    Effects: reads Nomad.
    """
    jobs, refused = _parse(checked.jobs, cluster, namespace, checked.versions, needs_versions=True)
    refuse(refused)
    faults: list[Fault] = []
    warnings: list[str] = []
    for name, job in jobs.items():
        try:
            warning = cluster.validate(job)
        except Invalid as error:
            faults += refusals(job, error)
            continue
        if warning:
            warnings.append(checked.versions.inputs.secrets.hide(f"{name}: {warning}"))
    if faults:
        raise DeclarationError(faults)
    return tuple(warnings)


def parse(names: Collection[str], cluster: Cluster, versions: Versions, *, namespace: str) -> dict[str, RenderedJob]:
    """Return jobs as Nomad parses their rendered files, by name.

    Args:
        versions: of the jobs, with the sources and inputs that they are rendered from.

    Raises:
        DeclarationError: every job whose file is no good.

    Effects: reads the store and Nomad.
    """
    return _parsed(names, cluster, namespace, versions)


def status(
    sources: Sources, cluster: Cluster, names: Sequence[str], *, namespace: str, inputs: Inputs = _NONE, versions: Versions | None = None
) -> tuple[StatusRow, ...]:
    """Say how the jobs of the tree below `names` do, each before what it needs.

    Args:
        versions: those of these sources and inputs, where somebody has them already.

    Effects: reads the store and Nomad.
    """
    return _status(cluster, graph.select(sources.graph, names), namespace, versions or Versions(sources, inputs))


def which(sources: Sources, cluster: Cluster, name: str, *, namespace: str, inputs: Inputs = _NONE) -> StatusRow:
    """Say how one job does and where it came from.

    Raises:
        DeclarationError: its job file is no good, so that its ID is not known.
        ClusterError: what is noted of it may not be read, and nothing else tells it.

    Effects: reads the store and Nomad.
    """
    versions = Versions(sources, inputs)
    (row,) = _status(cluster, {name}, namespace, versions)
    if row.health == "Unknown":
        _parsed([name], cluster, namespace, versions)  # raises
    fault = row.note_fault
    if row.version is not None and row.provenance is None and fault is not None:
        raise ClusterError(fault.problem, hint=fault.hint, code=fault.code)
    return row


def _status(cluster: Cluster, chosen: Collection[str], namespace: str, versions: Versions) -> tuple[StatusRow, ...]:
    sources = versions.sources
    jobs, unread, found = _parsed_or_not(chosen, cluster, namespace, versions)
    observed, stack = read_stored(jobs, cluster, children=False), sources.declaration.stack
    origins = find_origins({seen.snapshot.ref: seen.snapshot.job for seen in observed.values()}, cluster, stack=stack)
    homeless = missing_namespaces(jobs, observed, cluster)
    ordered = reversed(graph.order(sources.graph, chosen))

    def row(name: str) -> StatusRow:
        needs = sources.graph.needs[name]
        if name in unread:
            return _unread_row(name, needs, unread[name])
        noted = origins[jobs[name].ref]
        shown = _status_row(needs, jobs[name], observed[name], noted, cluster)
        stranger = noted.provenance.stack if noted.provenance and noted.provenance.stack != stack else ""
        denied = noted.denied.faults[0] if noted.denied else None
        shown = replace(shown, other_stack=stranger, note_fault=denied, file_fault=found.get(name))
        return replace(shown, reason=homeless[name].problem) if name in homeless else shown

    return tuple(map(row, ordered))


def _with_remarks(steps: Sequence[Step], found: Mapping[str, Fault]) -> tuple[Step, ...]:
    """Say of which jobs to stop the ID is known by a note."""
    said = {name: f"known by its note, as its job file is no good: {fault.sentence}" for name, fault in found.items()}
    return tuple(replace(step, cause=f"{step.cause}; {said[step.name]}") if step.name in said else step for step in steps)


def _check_conditions(sources: Sources, steps: Sequence[Step]) -> None:
    """Refuse what would only turn out after registering: a condition that a job of its type never meets."""
    faults = []
    for step in steps:
        parent = "periodic" if step.job.spec.get("Periodic") else "parameterized" if step.job.is_parent else ""
        why = impossible(step.condition.name, step.job.type, parent=parent)
        if why is not None:
            place = sources.declaration.locator.place(_says_condition(sources, step.name))
            faults.append(Fault("impossible-condition", f"'{step.name}': {why[0]}", place, why[1]))
    if faults:
        raise DeclarationError(faults)


def _says_condition(sources: Sources, name: str) -> tuple[str | int, ...]:
    """Return the path of the `wait_cond` that holds for a job: its owner's, or its own."""
    entries = sources.declaration.entries
    edges = (edge for entry in entries.values() for edge in entry.post if edge.job == name and edge.wait_cond is not None)
    return next(((*edge.path, "wait_cond") for edge in edges), ("dependencies", name, "wait_cond"))


def _status_row(needs: tuple[str, ...], job: RenderedJob, seen: ObservedJob, noted: Noted, cluster: Cluster) -> StatusRow:
    row = StatusRow(job.name, job.ref.id, job.ref.namespace, job.type, needs, "", "Missing", None, 0, 0)
    snapshot, state, provenance = seen.snapshot, seen.snapshot.job, noted.provenance
    if state is None:
        return replace(row, provenance=provenance)
    awaited = as_found(state, Condition())
    standing = living(snapshot) if state.stopped else current_allocations(snapshot, awaited)
    current = [one for one in standing if one.client == "running"]
    checks = {allocation: cluster.checks(allocation) for allocation in diagnose.check_questions(snapshot, awaited)}
    health, reason = _health_of(snapshot, awaited, checks)
    found = {address for one in current for address in cluster.addresses(one.id)}
    return replace(
        row,
        state=state.status,
        health=health,
        version=state.version,
        running=len(current),
        desired=0 if state.stopped or state.is_parent else sum(group.count for group in state.groups),
        addresses=tuple(sorted(found, key=lambda address: (address.label, address.host, address.port))),
        reason=reason,
        provenance=provenance,
        changed_since=provenance is not None and provenance.registered is not None and not still_runs(provenance.registered, state),
    )


def _source(sources: Sources) -> Source:
    """Say which state of the store this is."""
    revision = sources.snapshot.revision.id
    try:
        commit = sources.snapshot.commit
    except StoreError:  # it is told where it is asked for, and no reason not to run
        commit = None
    if commit is None:
        return Source(sources.declaration.stack, sources.store, revision)
    dirty = DIRTY if commit.is_dirty else ""
    return Source(sources.declaration.stack, sources.store, revision, commit.ref, commit.id + dirty)


def _health_of(snapshot: JobSnapshot, awaited: Awaited, checks: Mapping[str, Sequence[CheckResult]]) -> tuple[Health, str]:
    """Say in one of the field's words how a job does that nobody is bringing up right now, and why."""
    if snapshot.job is not None and snapshot.job.stopped:
        ending = len(living(snapshot))
        return "Suspended", f"stopped; {ending} allocation{'' if ending == 1 else 's'} still to end" if ending else "stopped"
    verdict = judge(snapshot, awaited, waited_s=0.0, unplaceable_s=0.0, placement_timeout_s=0.0, checks=checks)
    match verdict:
        case Ready():
            return "Healthy", ""
        case Waiting(reason=reason):
            return "Progressing", reason
        case Broken(kind="awaiting-promotion", reason=reason):
            return "Suspended", reason
        case Broken(reason=reason):
            return "Degraded", reason


def _unread_row(name: str, needs: tuple[str, ...], fault: Fault) -> StatusRow:
    """A job whose ID is not known, because it stands in a job file that cannot be read."""
    return StatusRow(name, "", "", "", needs, "", "Unknown", None, 0, 0, reason=fault.sentence)


def _parsed(names: Collection[str], cluster: Cluster, namespace: str, versions: Versions) -> dict[str, RenderedJob]:
    jobs, faults = _parse_all(names, cluster, namespace, versions, needs_versions=True)
    refuse(faults)
    return jobs


def _parsed_or_not(
    names: Collection[str], cluster: Cluster, namespace: str, versions: Versions
) -> tuple[dict[str, RenderedJob], dict[str, Fault], dict[str, Fault]]:
    """Parse what can be parsed: a broken file may not stand in the way of a stop or a look.

    Returns:
        (the jobs; the first fault of the file of those that are not known; that of those jobs that are known by what is noted of them).
    """
    jobs, faults = _parse_all(names, cluster, namespace, versions, needs_versions=False)
    wrong = {name: found[0] for name, found in faults.items()}
    if not wrong:
        return jobs, {}, {}
    texts, _ = job_texts(versions.sources, [name for name, fault in wrong.items() if fault.code != "same-job-id"])
    known = find_jobs(versions.sources, texts, cluster, namespace=namespace, inputs=versions.inputs)
    known = {name: job for name, job in known.items() if job.ref not in {other.ref for other in jobs.values()}}
    unread = {name: fault for name, fault in wrong.items() if name not in known}
    return jobs | known, unread, {name: wrong[name] for name in known}


def _parse_all(
    names: Collection[str], cluster: Cluster, namespace: str, versions: Versions, *, needs_versions: bool
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    sources = versions.sources
    files, missing = job_texts(sources, names)
    texts, wrong = render_jobs(sources, files, versions.inputs, versions=versions, needs_versions=needs_versions)
    if needs_versions and versions.inputs.require_clean:
        versions.refuse_dirty(texts)  # only now all is read that is to be run
    jobs, refused = _parse(texts, cluster, namespace, versions, needs_versions=needs_versions)
    return jobs, {**missing, **wrong, **refused}


def _parse(
    texts: Mapping[str, JobText], cluster: Cluster, namespace: str, versions: Versions, *, needs_versions: bool
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    jobs, refused = parse_jobs(texts, versions.sources.graph.entries, cluster, namespace=namespace)
    if needs_versions and versions.inputs.locked:
        jobs = {name: pin_images(job, versions.images) for name, job in jobs.items()}
    return jobs, refused

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

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree import decide, diagnose, executor, graph
from dtree.canaries import Canaries
from dtree.choice import choose
from dtree.conditions import leaves, misfit
from dtree.critical_path import rollout_s
from dtree.declaration import Condition
from dtree.dispatching import Payloads, read_payloads, with_dispatches
from dtree.errors import ClusterError, DeclarationError, Fault, Invalid, StoreError, refuse
from dtree.events import Event
from dtree.evidence import Awaited, as_found, current_allocations, living
from dtree.executor import Interrupts, Limits
from dtree.graph import DependencyGraph
from dtree.health import Broken, Ready, Waiting, impossible, judge
from dtree.inputs import Inputs
from dtree.job_text import JobText
from dtree.location import Locations, absent_namespaces, missing_namespaces
from dtree.memory import begin_once, refuse_forgetful, refuse_pointless, stamp, warn_forgetful
from dtree.model import CheckResult, JobSnapshot, RenderedJob
from dtree.noted import Noted, find_jobs, find_origins, read_notes
from dtree.observe import find_externals, observe_jobs, parse_jobs, read_dispatched, read_stored, refusals
from dtree.outside import refuse_unready
from dtree.plan import Intent, ObservedJob, Plan, Step
from dtree.ports import Clock, Cluster
from dtree.promotion import nothing_to_promote, refuse_clashes, unpromotable
from dtree.provenance import DIRTY, Source, still_runs
from dtree.record import Health, RunRecord, StatusRow
from dtree.rendering import Checked, render_jobs
from dtree.renewal import candidates
from dtree.returning import keep_earlier
from dtree.rollback import forewarn
from dtree.sources import Sources, goals, job_texts, read
from dtree.versions import Versions
from dtree.versions_lock import pin_images
from dtree.weaving import find_due, needed_outside, refuse_same, refuse_stopped, to_run, weave

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
    if intent.verb == "promote":
        return _promotion(sources, cluster, intent, namespace, Versions(sources, inputs))
    choice = choose(sources.graph, intent)
    forgetful: tuple[str, ...] = ()
    names = choice.reasons
    versions = Versions(sources, inputs)
    if intent.verb == "run":
        jobs, observed = observe_jobs(_parsed(names, cluster, namespace, versions), _locations(sources, namespace), cluster)
        external = _externals(sources, names, cluster, namespace)
        there = read_stored(external, cluster, children=False)
        if faults := missing_namespaces(external, there, _locations(sources, namespace), cluster):
            raise DeclarationError(list(faults.values()))
        if choice.outside:
            outside, unread, _ = _parsed_or_not(choice.outside, cluster, namespace, versions)
            refuse_unready(sources, intent, choice.outside, outside, unread, cluster)
        observed, forgetful = _remembered(sources, jobs, observed, cluster)
        others, found = _to_renew(set(names) | set(intent.skip), names, cluster, namespace, versions)
        observed |= there | read_stored(others, cluster, children=False)
        restricted = graph.restrict(sources.graph, {*names, *others})
        everything = {**jobs, **external, **others}
        steps = decide.make_run(restricted, names, everything, observed, intent, source=_source(sources), outside=others)
        steps = _with_remarks([replace(step, rollout_s=rollout_s(step.job, observed[step.name])) for step in steps], found)
        _check_conditions(sources, steps)
        _refuse_at_odds(sources, jobs)
    else:
        users = {user for name in names for user in sources.graph.dependents[name]} - sources.graph.externals
        jobs, unread, found = _parsed_or_not({*names, *users}, cluster, namespace, versions)
        observed = read_stored(jobs, cluster, children=True)
        if faults := missing_namespaces(jobs, observed, _locations(sources, namespace), cluster):
            raise DeclarationError(list(faults.values()))
        if intent.purge:
            observed = read_notes(observed, cluster, stack=sources.declaration.stack)
        steps = _with_remarks(decide.make_stop(sources.graph, names, jobs, observed, intent, unread=unread), found)
        steps, reasons, hooks, forgetful = _with_hooks(steps, observed, intent, cluster, namespace, versions)
        names, observed = {**names, **reasons}, {**observed, **hooks}
    return Plan(
        verb=intent.verb,
        stack=sources.declaration.stack,
        store=sources.store,
        revision=str(sources.snapshot.revision),
        goals=intent.goals,
        steps=tuple(replace(step, reason=names.get(step.name, "outside of what was asked for")) for step in steps),
        out=tuple(one for one in choice.out if one.job not in {step.name for step in steps}),
        warnings=tuple(
            inputs.secrets.hide(f"{name}: {run.warnings}")
            for name, seen in sorted(observed.items())
            if (run := seen.dry_run) and run.warnings
        )
        + forgetful
        + (forewarn(steps) if intent.verb == "run" else ())
        + tuple(_goes_without(sources, names, intent.verb)),
    )


def carry_out(
    plan: Plan, cluster: Cluster, clock: Clock, emit: Callable[[Event], None], *, limits: Limits, interrupts: Interrupts
) -> RunRecord:
    """Carry out a plan; as `executor.carry_out`.

    Raises:
        ClusterError: a job is to be run once, and that cannot be noted; or what a rollback would return to cannot be read. Nothing was
            registered.

    Effects: changes Nomad.
    """
    plan = keep_earlier(plan, cluster)
    begin_once(plan, cluster, at=stamp(clock.unix_s()))
    return executor.carry_out(plan, cluster, clock, emit, limits=limits, interrupts=interrupts)


def validate(checked: Checked, cluster: Cluster, *, namespace: str) -> tuple[dict[str, RenderedJob], tuple[str, ...]]:
    """Have Nomad parse and validate every job.

    Returns:
        (the jobs by name, Nomad's warnings).

    Raises:
        DeclarationError: every job that Nomad refuses.

    Effects: reads Nomad, and from the store what is to be dispatched.
    """
    jobs, refused = _parse(checked.jobs, cluster, namespace, checked.versions, _payloads(checked.sources, checked.jobs))
    refuse(refused)
    faults = list(absent_namespaces(jobs, _locations(checked.sources, namespace), cluster).values())
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
    refuse_clashes(jobs, checked.sources.declaration)
    return jobs, tuple(warnings)


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


def _promotion(sources: Sources, cluster: Cluster, intent: Intent, namespace: str, versions: Versions) -> Plan:
    """Decide what promoting canaries takes: of the jobs that are named, or of those of the file that have some."""
    own = [name for name in intent.goals if not (intent.everything and name in sources.graph.externals)]
    if theirs := sorted(set(own) & sources.graph.externals):
        raise DeclarationError([nothing_to_promote(f"'{name}' is external", "whoever runs it has to promote it") for name in theirs])
    jobs, unread, _ = _parsed_or_not(own, cluster, namespace, versions)
    refuse({name: (fault,) for name, fault in unread.items()})
    observed = read_stored(jobs, cluster, children=False)
    if homeless := missing_namespaces(jobs, observed, _locations(sources, namespace), cluster):
        raise DeclarationError(list(homeless.values()))
    found = {name: unpromotable(name, seen.snapshot) for name, seen in observed.items()}
    names = [name for name, fault in found.items() if fault is None]
    faults = [fault for fault in found.values() if fault is not None and not (intent.everything and fault.code == "nothing-to-promote")]
    if not names and not faults:
        faults = [nothing_to_promote("none of the jobs awaits promotion", "`nomad-dtree status` shows how they do")]
    if faults:
        raise DeclarationError(faults)
    steps = decide.make_promotion(graph.restrict(sources.graph, names), names, jobs, observed, intent)
    revision = str(sources.snapshot.revision)
    return Plan(intent.verb, sources.declaration.stack, sources.store, revision, intent.goals, steps)


def _status(cluster: Cluster, chosen: Collection[str], namespace: str, versions: Versions) -> tuple[StatusRow, ...]:
    sources = versions.sources
    jobs, unread, found = _parsed_or_not(chosen, cluster, namespace, versions)
    observed, stack = read_stored(jobs, cluster, children=False), sources.declaration.stack
    origins = find_origins({seen.snapshot.ref: seen.snapshot.job for seen in observed.values()}, cluster, stack=stack)
    homeless = missing_namespaces(jobs, observed, _locations(sources, namespace), cluster)
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
        shown = _as_hook(shown, sources.graph)
        return replace(shown, reason=homeless[name].problem) if name in homeless else shown

    return tuple(map(row, ordered))


def _with_hooks(
    steps: tuple[Step, ...], observed: Mapping[str, ObservedJob], intent: Intent, cluster: Cluster, namespace: str, versions: Versions
) -> tuple[tuple[Step, ...], Mapping[str, str], Mapping[str, ObservedJob], tuple[str, ...]]:
    """Add the hooks of what is stopped, decided upon as a run of them would be.

    Returns:
        (all steps; of the hooks: why each is part of the plan, what was seen of it, and warnings).

    Raises:
        DeclarationError: a hook's file is no good, or what it needs is not ready: nothing is started for it.
    """
    sources = versions.sources
    due = find_due(sources.graph, steps, observed, intent.skip)
    names = to_run(sources.graph, due, intent.skip)
    if not names:
        return steps, {}, {}, ()
    refuse_stopped(sources.graph, sources.declaration, steps, due, observed)
    locations = _locations(sources, namespace)
    jobs, seen = observe_jobs(_parsed(names, cluster, namespace, versions), locations, cluster)
    asked = replace(intent, verb="run", goals=tuple(sorted(names)), force=False)
    if outside := needed_outside(sources.graph, names):
        known, unread, _ = _parsed_or_not(outside, cluster, namespace, versions)
        refuse_unready(sources, asked, outside, known, unread, cluster, of_stop=True)
    seen, forgetful = _remembered(sources, jobs, seen, cluster)
    runs = decide.make_run(graph.restrict(sources.graph, names), names, jobs, seen, asked, source=_source(sources))
    refuse_same(steps, runs)
    woven, reasons = weave(sources.graph, steps, runs, due, intent)
    _check_conditions(sources, woven)
    _refuse_at_odds(sources, jobs)
    return woven, reasons, seen, forgetful


def _remembered(
    sources: Sources, jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob], cluster: Cluster
) -> tuple[dict[str, ObservedJob], tuple[str, ...]]:
    """Add what is noted of jobs that are to be run; returns warnings of what cannot be read, too."""
    noted = {name: seen for name, seen in observed.items() if seen.snapshot.job is not None or jobs[name].completes}
    known = {**observed, **read_notes(noted, cluster, stack=sources.declaration.stack)}
    refuse_forgetful(jobs, known, sources.graph.entries)
    return {**known, **read_dispatched(jobs, known, cluster)}, warn_forgetful(jobs, known)


def _refuse_at_odds(sources: Sources, jobs: Mapping[str, RenderedJob]) -> None:
    """Refuse what an entry says and its job file does not bear out."""
    refuse_pointless(jobs, sources.declaration)
    refuse_clashes(jobs, sources.declaration)


def _with_remarks(steps: Sequence[Step], found: Mapping[str, Fault]) -> tuple[Step, ...]:
    """Say of which jobs to stop or to restart the ID is known by a note."""
    said = {name: f"known by its note, as its job file is no good: {fault.sentence}" for name, fault in found.items()}
    return tuple(replace(step, cause=f"{step.cause}; {said[step.name]}") if step.name in said else step for step in steps)


def _check_conditions(sources: Sources, steps: Sequence[Step]) -> None:
    """Refuse what would only turn out after registering: a condition that a job of its type, or with such a job file, never meets."""
    faults = []
    for step in steps:
        for asked in (step.condition, *(milestone.condition for milestone in step.milestones)):
            found = (
                impossible(one.name, step.job.type, parent=_parent_word(step.job, one.name)) or misfit(one, step.job)
                for one in leaves(asked)
            )
            why = next(filter(None, found), None)
            if why is not None:
                path = _says_condition(sources, step.name) if asked is step.condition else _says_edge(sources, step.name, asked)
                faults.append(Fault("impossible-condition", f"'{step.name}': {why[0]}", sources.declaration.locator.place(path), why[1]))
    if faults:
        raise DeclarationError(faults)


def _parent_word(job: RenderedJob, goal: str) -> str:
    """Say what kind of parent a job is; "" for none, and where its dispatched children meet the condition."""
    if not job.is_parent or (goal == "completed" and job.dispatches):
        return ""
    return "periodic" if job.spec.get("Periodic") else "parameterized"


def _says_edge(sources: Sources, name: str, asked: Condition) -> tuple[str | int, ...]:
    """Return the path of the first edge that asks a condition of this kind of a job."""
    edges = (edge for entry in sources.declaration.entries.values() for edge in entry.edges)
    found = (edge for edge in edges if edge.condition is not None and edge.condition.name == asked.name and name in (edge.job, *edge.path))
    return next(((*edge.path, "condition") for edge in found), ("dependencies", name))


def _says_condition(sources: Sources, name: str) -> tuple[str | int, ...]:
    """Return the path of the `wait_cond` that holds for a job: its owner's, or its own."""
    entries = sources.declaration.entries
    edges = (edge for entry in entries.values() for edge in entry.post if edge.job == name and edge.wait_cond is not None)
    return next(((*edge.path, "wait_cond") for edge in edges), ("dependencies", name, "wait_cond"))


def _status_row(needs: tuple[str, ...], job: RenderedJob, seen: ObservedJob, noted: Noted, cluster: Cluster) -> StatusRow:
    row = StatusRow(job.name, job.ref.id, job.ref.namespace, job.type, needs, "", "Missing", None, 0, 0, region=job.ref.region)
    snapshot, state, provenance = seen.snapshot, seen.snapshot.job, noted.provenance
    if state is None:
        return replace(row, provenance=provenance)
    awaited = as_found(state, Condition())
    standing = living(snapshot) if state.stopped else current_allocations(snapshot, awaited)
    current = [one for one in standing if one.client == "running"]
    checks = {allocation: cluster.checks(job.ref, allocation) for allocation in diagnose.check_questions(snapshot, awaited)}
    health, reason = _health_of(snapshot, awaited, checks)
    found = {address for one in current for address in cluster.addresses(job.ref, one.id)}
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
        case Waiting(canaries=Canaries(), reason=reason):
            return "Suspended", reason
        case Waiting(reason=reason):
            return "Progressing", reason
        case Broken(reason=reason):
            return "Degraded", reason


def _as_hook(row: StatusRow, whole: DependencyGraph) -> StatusRow:
    """Say when a hook runs; until then Nomad need not have it."""
    is_due = row.health == "Missing" and row.job in whole.aside
    return replace(row, hook=whole.moment(row.job), health="Suspended" if is_due else row.health)


def _unread_row(name: str, needs: tuple[str, ...], fault: Fault) -> StatusRow:
    """A job whose ID is not known, because it stands in a job file that cannot be read."""
    return StatusRow(name, "", "", "", needs, "", "Unknown", None, 0, 0, reason=fault.sentence)


def _parsed(names: Collection[str], cluster: Cluster, namespace: str, versions: Versions) -> dict[str, RenderedJob]:
    jobs, faults = _parse_all(names, cluster, namespace, versions, needs_versions=True)
    refuse(faults)
    return jobs


def _to_renew(
    without: Collection[str], names: Collection[str], cluster: Cluster, namespace: str, versions: Versions
) -> tuple[dict[str, RenderedJob], dict[str, Fault]]:
    """Return the jobs outside of a run that may have to be restarted because of it; of their files only the ID counts.

    Returns:
        (the jobs; the fault of the file of those that are known by what is noted of them), both by name.
    """
    jobs, unread, found = _parsed_or_not(candidates(versions.sources.graph, names) - set(without), cluster, namespace, versions)
    if unread:
        raise DeclarationError(list(unread.values()))
    return jobs, found


def _goes_without(sources: Sources, names: Collection[str], verb: str) -> Iterator[str]:
    """Yield a warning for each optional job that has no file: it may be meant so, or be a slip in its name."""
    entries = sources.declaration.entries
    for name in sorted(set(names) & set(entries)):
        entry = entries[name]
        for edge in (*entry.pre_stop, *entry.post_stop) if verb == "stop" else (*entry.pre, *entry.post):
            if edge.job in sources.graph.absent:
                yield f"{name}: goes without '{edge.job}', which is optional and has no job file"


def _externals(sources: Sources, names: Collection[str], cluster: Cluster, namespace: str) -> dict[str, RenderedJob]:
    wanted = [name for name in names if name in sources.graph.externals]
    return find_externals(wanted, _locations(sources, namespace), cluster)


def _locations(sources: Sources, namespace: str) -> Locations:
    return Locations(sources.graph.entries, sources.declaration.locator, namespace)


def _parsed_or_not(
    names: Collection[str], cluster: Cluster, namespace: str, versions: Versions
) -> tuple[dict[str, RenderedJob], dict[str, Fault], dict[str, Fault]]:
    """Parse what can be parsed: a broken file may not stand in the way of a stop or a look.

    Returns:
        (the jobs; the first fault of the file of those that are not known; that of those jobs that are known by what is noted of them).
    """
    jobs, faults = _parse_all(names, cluster, namespace, versions, needs_versions=False)
    jobs |= _externals(versions.sources, names, cluster, namespace)
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
    payloads = _payloads(sources, files) if needs_versions else None  # versions tell of all that is read to be run
    texts, wrong = render_jobs(sources, files, versions.inputs, versions=versions, needs_versions=needs_versions)
    if needs_versions and versions.inputs.require_clean:
        versions.refuse_dirty(texts)  # only now all is read that is to be run
    jobs, refused = _parse(texts, cluster, namespace, versions, payloads)
    return jobs, {**missing, **wrong, **refused}


def _payloads(sources: Sources, names: Collection[str]) -> Payloads:
    entries = [sources.graph.entries[name] for name in sorted(names)]
    return read_payloads(sources.snapshot, entries, sources.declaration.locator)


def _parse(
    texts: Mapping[str, JobText], cluster: Cluster, namespace: str, versions: Versions, payloads: Payloads | None
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    """Have Nomad parse job files; with payloads as they are to be run, without them as far as their ID goes."""
    sources = versions.sources
    jobs, refused = parse_jobs(texts, _locations(sources, namespace), cluster)
    if payloads is None:
        return jobs, refused
    jobs, wrong = with_dispatches(jobs, payloads, sources.declaration.locator)
    if versions.inputs.locked:
        jobs = {name: pin_images(job, versions.images) for name, job in jobs.items()}
    return jobs, {**refused, **wrong}

"""The whole program on one page. Each stage is one call; each arrow is one frozen type.

    store snapshot --read--> Sources        the dependency file, its graph, and where job texts come from     (reads the store)
    Sources --goals, select--> names        the jobs that this is about                                      (pure)
    names --render_jobs--> JobText          each job file, its template filled in                            (reads the store)
    JobText --parse_jobs--> RenderedJob     the same as Nomad parses it                                      (reads Nomad)
    RenderedJob --observe_jobs--> Observed  what Nomad has of it, and what registering it would do           (reads Nomad)
    Observed --decide.make_*--> Plan        every decision; `nomad-dtree plan` ends here                     (pure)
    Plan --carry_out--> RunRecord           the only stage that changes Nomad; news leave it as events

The first three stages need no Nomad; they are `dtree.sources` and `dtree.rendering`; `dtree.parsing` goes on to the parsed
jobs. `plan` and `run` share everything but the last call, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dtree import decide, executor, graph
from dtree.choice import Choice, choose
from dtree.critical_path import rollout_s
from dtree.declaration import Declaration
from dtree.errors import ClusterError, DeclarationError, Fault, Invalid, refuse
from dtree.events import Event
from dtree.executor import Interrupts, Limits
from dtree.founding import begin_footings
from dtree.inputs import Inputs
from dtree.location import absent_namespaces
from dtree.memory import begin_once, refuse_forgetful, refuse_forgotten, stamp, warn_forgetful
from dtree.model import RenderedJob
from dtree.noted import read_notes, source_of
from dtree.objections import impossible_conditions, pointless_runs, refuse_impossible, refuse_pointless, refuse_unrenewable
from dtree.observe import observe_jobs, read_dispatched, read_stored, refusals
from dtree.outside import refuse_unready
from dtree.parsing import Parsing
from dtree.plan import Intent, ObservedJob, Plan, Step
from dtree.ports import Clock, Cluster
from dtree.promotion import nothing_to_promote, refuse_clashes, unpromotable
from dtree.record import RunRecord, StatusRow
from dtree.rendering import Checked
from dtree.renewal import candidates, founded
from dtree.returning import keep_earlier
from dtree.rollback import forewarn
from dtree.sources import Sources, goals, read
from dtree.status import status_rows
from dtree.unfinished import with_unfinished
from dtree.versions import Versions
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
    parsing = Parsing(cluster, Versions(sources, inputs), namespace)
    if intent.verb == "promote":
        steps, waiting = _decide_promotion(parsing, intent)
        return replace(_plan(sources, intent, steps), warnings=waiting)
    choice = choose(sources.graph, intent)
    made = _decide_run(parsing, choice, intent) if intent.verb == "run" else _decide_stop(parsing, choice, intent)
    steps = tuple(replace(step, reason=made.reasons.get(step.name, "outside of what was asked for")) for step in made.steps)
    warnings = (
        *(_nomads_warnings(made.observed, inputs) if intent.verb == "run" else _left_alone(sources.graph, intent)),
        *made.warnings,
        *(forewarn(steps) if intent.verb == "run" else ()),
        *_goes_without(sources, made.reasons, intent.verb),
    )
    out = tuple(one for one in choice.out if one.job not in {step.name for step in steps})
    return replace(_plan(sources, intent, steps), out=out, warnings=warnings)


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
    begin_footings(plan, cluster)
    return executor.carry_out(plan, cluster, clock, emit, limits=limits, interrupts=interrupts)


def validate(checked: Checked, cluster: Cluster, *, namespace: str) -> tuple[dict[str, RenderedJob], tuple[str, ...]]:
    """Have Nomad parse and validate every job.

    Returns:
        (the jobs by name, Nomad's warnings).

    Raises:
        DeclarationError: every job that Nomad refuses, and what the dependency file asks of jobs that can never come.

    Effects: reads Nomad, and from the store what is to be dispatched.
    """
    parsing = Parsing(cluster, checked.versions, namespace)
    jobs = parsing.parse_texts(checked.jobs)
    faults = list(absent_namespaces(jobs, parsing.locations, cluster).values())
    warnings: list[str] = []
    for name, job in jobs.items():
        try:
            warning = cluster.validate(job)
        except Invalid as error:
            faults += refusals(job, error)
            continue
        if warning:
            warnings.append(checked.versions.inputs.secrets.hide(f"{name}: {warning}"))
    declaration = checked.sources.declaration
    faults += [*impossible_conditions(jobs, declaration), *pointless_runs(jobs, declaration)]
    if faults:
        raise DeclarationError(faults)
    refuse_clashes(jobs, declaration)
    return jobs, tuple(warnings)


def parse(names: Collection[str], cluster: Cluster, versions: Versions, *, namespace: str) -> dict[str, RenderedJob]:
    """Return jobs as Nomad parses their rendered files, by name.

    Args:
        versions: of the jobs, with the sources and inputs that they are rendered from.

    Raises:
        DeclarationError: every job whose file is no good.

    Effects: reads the store and Nomad.
    """
    return Parsing(cluster, versions, namespace).parse(names)


def status(
    sources: Sources, cluster: Cluster, names: Sequence[str], *, namespace: str, inputs: Inputs = _NONE, versions: Versions | None = None
) -> tuple[StatusRow, ...]:
    """Say how the jobs of the tree below `names` do, each before what it needs.

    Args:
        versions: those of these sources and inputs, where somebody has them already.

    Effects: reads the store and Nomad.
    """
    parsing = Parsing(cluster, versions or Versions(sources, inputs), namespace)
    return status_rows(parsing, graph.select(sources.graph, names))


def which(sources: Sources, cluster: Cluster, name: str, *, namespace: str, inputs: Inputs = _NONE) -> StatusRow:
    """Say how one job does and where it came from.

    Raises:
        DeclarationError: its job file is no good, so that its ID is not known.
        ClusterError: what is noted of it may not be read, and nothing else tells it.

    Effects: reads the store and Nomad.
    """
    parsing = Parsing(cluster, Versions(sources, inputs), namespace)
    (row,) = status_rows(parsing, [name])
    if row.health == "Unknown":
        parsing.parse([name])  # raises
    fault = row.note_fault
    if row.version is not None and row.provenance is None and fault is not None:
        raise ClusterError(fault.problem, hint=fault.hint, code=fault.code)
    return row


@dataclass(frozen=True, slots=True)
class _Decided:
    """The steps of a plan, and what there is to say of them.

    Attributes:
        reasons: job -> why it is part of the plan.
        warnings: of what cannot be known.
    """

    steps: tuple[Step, ...]
    reasons: Mapping[str, str]
    observed: Mapping[str, ObservedJob]
    warnings: tuple[str, ...] = ()


def _plan(sources: Sources, intent: Intent, steps: tuple[Step, ...]) -> Plan:
    revision = str(sources.snapshot.revision)
    return Plan(intent.verb, sources.declaration.stack, sources.store, revision, intent.goals, steps)


def _decide_run(parsing: Parsing, choice: Choice, intent: Intent) -> _Decided:
    sources, cluster, names = parsing.sources, parsing.cluster, choice.reasons
    jobs, observed = observe_jobs(parsing.parse(names), parsing.locations, cluster)
    external = parsing.externals(names)
    there = read_stored(external, cluster, children=False)
    parsing.refuse_homeless(external, there)
    outside: Mapping[str, RenderedJob] = {}
    if choice.outside:
        outside, unread, _ = parsing.parse_known(choice.outside)
        refuse_unready(sources, intent, choice.outside, outside, unread, cluster)
    observed, forgetful = _remembered(parsing, jobs, observed)
    renewed, remarks = _to_renew(parsing, names, intent)
    observed |= there | read_notes(read_stored(renewed, cluster, children=False), cluster, stack=sources.declaration.stack)
    restricted = graph.restrict(sources.graph, {*names, *renewed})
    everything = {**jobs, **external, **renewed}
    steps = decide.make_run(restricted, names, everything, observed, intent, source=source_of(sources), outside=renewed)
    steps = _founded(sources, steps, observed, {**outside, **everything})
    steps = _with_remarks([replace(step, rollout_s=rollout_s(step, observed[step.name])) for step in steps], remarks)
    _refuse_at_odds(steps, jobs, sources.declaration)
    return _Decided(steps, names, observed, forgetful)


def _decide_stop(parsing: Parsing, choice: Choice, intent: Intent) -> _Decided:
    sources, cluster, names = parsing.sources, parsing.cluster, choice.reasons
    users = {user for name in names for user in sources.graph.dependents[name]} - sources.graph.externals
    jobs, unread, remarks = parsing.parse_known({*names, *users})
    observed = read_stored(jobs, cluster, children=True)
    parsing.refuse_homeless(jobs, observed)
    if intent.purge:
        observed = read_notes(observed, cluster, stack=sources.declaration.stack)
    steps = decide.make_stop(sources.graph, names, jobs, observed, intent, unread=unread)
    return _with_hooks(parsing, _Decided(_with_remarks(steps, remarks), names, observed), intent)


def _with_hooks(parsing: Parsing, stop: _Decided, intent: Intent) -> _Decided:
    """Add the hooks of what is stopped, decided upon as a run of them would be.

    Raises:
        DeclarationError: a hook's file is no good, or what it needs is not ready: nothing is started for it.
    """
    sources, cluster = parsing.sources, parsing.cluster
    due = find_due(sources.graph, stop.steps, stop.observed, intent.skip)
    due, unknown = with_unfinished(parsing, stop.steps, stop.observed, due, intent.skip)
    stop = replace(stop, warnings=(*stop.warnings, *unknown))
    names = to_run(sources.graph, due, intent.skip)
    if not names:
        return stop
    refuse_stopped(sources.graph, sources.declaration, stop.steps, due, stop.observed)
    jobs, seen = observe_jobs(parsing.parse(names), parsing.locations, cluster)
    asked = replace(intent, verb="run", goals=tuple(sorted(names)), force=False)
    if outside := needed_outside(sources.graph, names):
        known, unread, _ = parsing.parse_known(outside)
        refuse_unready(sources, asked, outside, known, unread, cluster, of_stop=True)
    seen, forgetful = _remembered(parsing, jobs, seen)
    runs = decide.make_run(graph.restrict(sources.graph, names), names, jobs, seen, asked, source=source_of(sources))
    runs = _founded(sources, runs, seen, jobs)
    refuse_same(stop.steps, runs)
    woven, reasons = weave(sources.graph, stop.steps, runs, due, intent)
    _refuse_at_odds(woven, jobs, sources.declaration)
    return _Decided(woven, {**stop.reasons, **reasons}, {**stop.observed, **seen}, (*stop.warnings, *forgetful))


def _decide_promotion(parsing: Parsing, intent: Intent) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """Decide what promoting canaries takes: of the jobs that are named, all or none; or of those of the file where it is time.

    Returns:
        (the steps; of which of all jobs the canaries are not healthy yet).
    """
    sources = parsing.sources
    own = [name for name in intent.goals if not (intent.everything and name in sources.graph.externals)]
    if theirs := sorted(set(own) & sources.graph.externals):
        raise DeclarationError([nothing_to_promote(f"'{name}' is external", "whoever runs it has to promote it") for name in theirs])
    jobs, unread, _ = parsing.parse_known(own)
    refuse({name: (fault,) for name, fault in unread.items()})
    observed = read_stored(jobs, parsing.cluster, children=False)
    parsing.refuse_homeless(jobs, observed)
    found = {name: unpromotable(name, seen.snapshot) for name, seen in observed.items()}
    names = [name for name, fault in found.items() if fault is None]
    faults = [fault for fault in found.values() if fault is not None and not (intent.everything and fault.code == "nothing-to-promote")]
    if not names and not faults:
        faults = [nothing_to_promote("none of the jobs awaits promotion", "`nomad-dtree status` shows how they do")]
    if faults and not (intent.everything and names):
        raise DeclarationError(faults)
    steps = decide.make_promotion(graph.restrict(sources.graph, names), names, jobs, observed, intent)
    return steps, tuple(fault.problem for fault in faults)


def _to_renew(parsing: Parsing, names: Collection[str], intent: Intent) -> tuple[dict[str, RenderedJob], dict[str, Fault]]:
    """Return the jobs outside of a run that may have to be restarted because of it; of their files only the ID counts.

    Returns:
        (the jobs; the fault of the file of those that are known by what is noted of them), both by name.
    """
    jobs, unread, found = parsing.parse_known(candidates(parsing.sources.graph, names) - {*names, *intent.skip})
    if unread:
        raise DeclarationError(list(unread.values()))
    return jobs, found


def _founded(
    sources: Sources, steps: tuple[Step, ...], observed: Mapping[str, ObservedJob], jobs: Mapping[str, RenderedJob]
) -> tuple[Step, ...]:
    """Say of steps what their jobs stand on; `jobs` are all whose identity is known."""
    refs = {name: job.ref for name, job in jobs.items()}
    return founded(sources.graph, steps, observed, refs, stack=sources.declaration.stack)


def _remembered(
    parsing: Parsing, jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob]
) -> tuple[dict[str, ObservedJob], tuple[str, ...]]:
    """Add what is noted of jobs that are to be run; returns warnings of what cannot be read, too."""
    sources, cluster = parsing.sources, parsing.cluster
    noted = {name: seen for name, seen in observed.items() if seen.snapshot.job is not None or jobs[name].completes}
    known = {**observed, **read_notes(noted, cluster, stack=sources.declaration.stack)}
    refuse_forgetful(jobs, known, sources.graph.entries)
    known |= read_dispatched(jobs, known, cluster)
    refuse_forgotten(jobs, known, sources.declaration)
    return known, warn_forgetful(jobs, known)


def _refuse_at_odds(steps: Sequence[Step], jobs: Mapping[str, RenderedJob], declaration: Declaration) -> None:
    """Refuse what an entry says and its job file does not bear out."""
    refuse_impossible(steps, declaration)
    refuse_unrenewable(steps, declaration)
    refuse_pointless(jobs, declaration)
    refuse_clashes(jobs, declaration)


def _with_remarks(steps: Sequence[Step], found: Mapping[str, Fault]) -> tuple[Step, ...]:
    """Say of which jobs to stop or to restart the ID is known by a note."""
    said = {name: f"known by its note, as its job file is no good: {fault.sentence}" for name, fault in found.items()}
    return tuple(replace(step, cause=f"{step.cause}; {said[step.name]}") if step.name in said else step for step in steps)


def _left_alone(known: graph.DependencyGraph, intent: Intent) -> Iterator[str]:
    """Yield a warning for each job of others that is asked to be stopped by its name or tag, not only with all of the file."""
    if set(known.entries) - known.aside <= {*intent.goals, *intent.skip}:
        return
    for name in sorted(known.externals.intersection(intent.goals)):
        yield f"{name}: external, so it is left alone; whoever runs it stops it"


def _nomads_warnings(observed: Mapping[str, ObservedJob], inputs: Inputs) -> Iterator[str]:
    for name, seen in sorted(observed.items()):
        if seen.dry_run is not None and seen.dry_run.warnings:
            yield inputs.secrets.hide(f"{name}: {seen.dry_run.warnings}")


def _goes_without(sources: Sources, names: Collection[str], verb: str) -> Iterator[str]:
    """Yield a warning for each optional job that has no file: it may be meant so, or be a slip in its name."""
    entries = sources.declaration.entries
    for name in sorted(set(names) & set(entries)):
        entry = entries[name]
        for edge in (*entry.pre_stop, *entry.post_stop) if verb == "stop" else (*entry.pre, *entry.post):
            if edge.job in sources.graph.absent:
                yield f"{name}: goes without '{edge.job}', which is optional and has no job file"

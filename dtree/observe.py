"""Read Nomad once, before planning: what each job file parses to, and what the cluster has of each job. Changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from dtree import diagnose
from dtree.access.at_once import do_all
from dtree.access.refusals import diagnostics
from dtree.completion import children_ended, last_children, scales
from dtree.decide import is_alive
from dtree.errors import DeclarationError, Fault, Invalid, Place, refuse
from dtree.evidence import Awaited
from dtree.health import has_failed, is_finished
from dtree.job_text import JobText
from dtree.location import Locations, absent_namespaces, settle_regions
from dtree.model import Address, AllocationState, CheckResult, GroupState, JobRef, JobSnapshot, JobState, RenderedJob, Spec
from dtree.plan import ChildState, ObservedJob
from dtree.ports import Cluster

_AT_ONCE: Final = 8
_HINT: Final = "mend the job file"
_HINTS: Final = (
    ("filesystem function disabled", "Nomad's API reads no files: put the text into the job file, or fetch it with an artifact block"),
    ("Unset variable", "give it a value (`vars` in the dependency file, --var-file or --var), or the variable a `default` in the job file"),
    ("nonexistent namespace", "`nomad namespace list` shows those there are"),
    ("nonexistent node pool", "`nomad node pool list` shows those there are"),
    ("not enabled but used", "set it up on Nomad's servers, or take its block out of the job file"),
    ("requires Nomad Enterprise", "take it out of the job file; this Nomad is the community edition"),
)
"""By words in what Nomad says."""

Result = TypeVar("Result")


def parse_jobs(
    texts: Mapping[str, JobText], locations: Locations, cluster: Cluster
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    """Have Nomad parse all job files.

    Args:
        texts: by job name.

    Returns:
        (the jobs, what is wrong with those that Nomad refuses, that have no region or that share one ID), both by name, sorted.

    Raises:
        Invalid: there is no way to the region of the connection.

    Effects: reads Nomad.
    """
    jobs, faults = _all_of(sorted(texts), lambda name: _parse(name, texts[name], locations, cluster))
    jobs, lost = settle_regions(jobs, locations, cluster)
    same = _same_ids(jobs.values())
    return {name: job for name, job in jobs.items() if name not in same}, dict(sorted({**faults, **lost, **same}.items()))


def observe_jobs(
    jobs: Mapping[str, RenderedJob], locations: Locations, cluster: Cluster
) -> tuple[dict[str, RenderedJob], dict[str, ObservedJob]]:
    """Ask Nomad what registering each job would do, and read what it has of those that exist.

    Returns:
        (the jobs, with the counts that an autoscaler owns as they are now; what was seen), both by name.

    Raises:
        DeclarationError: every job that Nomad refuses, or whose namespace does not exist.

    Effects: reads Nomad.
    """
    found, faults = _all_of(sorted(jobs), lambda name: _observe(jobs[name], cluster))
    homeless = absent_namespaces({name: jobs[name] for name in faults}, locations, cluster)
    refuse({**faults, **{name: (fault,) for name, fault in homeless.items()}})
    return {name: pair[0] for name, pair in found.items()}, {name: pair[1] for name, pair in found.items()}


def find_externals(names: Iterable[str], locations: Locations, cluster: Cluster) -> dict[str, RenderedJob]:
    """Return jobs of others', by name, which is Nomad's ID of them; their type is known where they are there.

    Raises:
        DeclarationError: there is no way to the region of some.

    Effects: reads Nomad.
    """
    unseen = {name: RenderedJob(name, locations.ref(name, name), "", "", "json", {}) for name in sorted(names)}
    jobs, lost = settle_regions(unseen, locations, cluster) if unseen else ({}, {})
    refuse(lost)
    return {name: replace(job, spec=_outline(name, cluster.job(job.ref))) for name, job in jobs.items()}


def look_again(job: RenderedJob, cluster: Cluster) -> ObservedJob:
    """Read what Nomad has now of one job that broke. Effects: reads Nomad."""
    return _observe(job, cluster, broken=True)[1]


def read_stored(jobs: Mapping[str, RenderedJob], cluster: Cluster, *, children: bool) -> dict[str, ObservedJob]:
    """Read what Nomad has of each job, and of its `children` if asked, but not what registering it would do. Effects: reads Nomad."""
    snapshots = cluster.snapshots(sorted({job.ref for job in jobs.values()}))
    parents = {job.ref: cluster.children(job.ref) for job in jobs.values() if children and job.is_parent}
    return {name: ObservedJob(snapshots[job.ref], children=parents.get(job.ref, ())) for name, job in sorted(jobs.items())}


def read_checks(snapshot: JobSnapshot, awaited: Awaited, cluster: Cluster) -> dict[str, tuple[CheckResult, ...]]:
    """Return what the health checks of a job say where they decide or explain, by allocation ID. Effects: reads Nomad."""
    asked = diagnose.check_questions(snapshot, awaited)
    return {allocation: cluster.checks(snapshot.ref, allocation) for allocation in asked}


def read_addresses(ref: JobRef, allocations: Iterable[AllocationState], cluster: Cluster) -> tuple[Address, ...]:
    """Return the addresses of allocations of a job, each once, sorted by label. Effects: reads Nomad."""
    found = {address for one in allocations for address in cluster.addresses(ref, one.id)}
    return tuple(sorted(found, key=lambda address: (address.label, address.host, address.port)))


def read_dispatched(jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob], cluster: Cluster) -> dict[str, ObservedJob]:
    """Read how the children do that were last dispatched of jobs; returns what was seen of these, with that in it. Effects: reads Nomad.

    Of a child that Nomad has forgotten, what is noted of its end is told.
    """
    notes = {name: observed[name].note for name, job in sorted(jobs.items()) if job.dispatches}
    refs = {name: [replace(jobs[name].ref, id=one) for one in last_children(note) if one] for name, note in notes.items()}
    asked = sorted({ref for some in refs.values() for ref in some})
    snapshots = cluster.snapshots(asked) if asked else {}
    known = {ref: _child_state(snapshot) for ref, snapshot in snapshots.items() if snapshot.job is not None}
    return {
        name: replace(observed[name], dispatched=children_ended(note) | {ref.id: known[ref] for ref in refs[name] if ref in known})
        for name, note in notes.items()
    }


def refusals(job: RenderedJob, error: Invalid) -> list[Fault]:
    """Return each of the reasons why Nomad refuses a job as a fault of its file."""
    reasons = error.problem.split(";\n")
    return [Fault("job-invalid", f"Nomad refuses job '{job.name}': {one}", Place(job.file), _hint(one, error.hint)) for one in reasons]


def _child_state(snapshot: JobSnapshot) -> ChildState:
    if is_finished(snapshot):
        return "completed"
    return "runs" if is_alive(snapshot) and not has_failed(snapshot) else "failed"


def _parse(name: str, text: JobText, locations: Locations, cluster: Cluster) -> RenderedJob:
    source = text.source
    spec = _api_json(source)
    is_json = spec is not None
    if spec is None:
        try:
            spec = cluster.parse(source, file=text.file, namespace=locations.namespace_of(name), variables=text.variables)
        except Invalid as error:
            raise DeclarationError(_parse_faults(name, text, error)) from error
    _check_names(name, text.file, spec)
    return RenderedJob(
        name=name,
        ref=locations.ref(name, spec["ID"], namespace=spec.get("Namespace") or "", region=spec.get("Region") or ""),
        file=text.file,
        text=text.shown or source,
        format="json" if is_json else "hcl2",
        spec=spec,
        template_digest=hashlib.sha256(text.template).hexdigest(),
        variables=_shown_variables(text) if text.given else "",
        version=text.version,
        reads=_calls(text) if text.asked else (),
    )


def _shown_variables(text: JobText) -> str:
    from dtree.hcl_variables import assignments, declared_in

    return assignments(text.given, declared_in(text.source), show_secrets=False)


def _calls(text: JobText) -> tuple[str, ...]:
    from dtree.values import call_of

    return tuple(call for question in text.asked if (call := call_of(question)))


def _outline(name: str, state: JobState | None) -> Spec:
    if state is None:
        return {"ID": name}
    periodic = {"Enabled": True} if state.periodic else None
    parameterized = {"Payload": ""} if state.parameterized else None
    groups = [{"Name": group.name, "Tasks": _task_outlines(group)} for group in state.groups]
    return {"ID": name, "Type": state.type, "Periodic": periodic, "ParameterizedJob": parameterized, "TaskGroups": groups}


def _task_outlines(group: GroupState) -> list[Spec]:
    return [{"Name": task, "Lifecycle": None if moment == "main" else {"Hook": moment}} for task, moment in group.lifecycle.items()]


def _api_json(source: str) -> Spec | None:
    """A job in the API's own JSON needs no parsing; HCL's JSON does."""
    if not source.lstrip().startswith("{"):
        return None
    try:
        data: Any = json.loads(source)
    except ValueError:
        return None
    job = data.get("Job", data) if isinstance(data, dict) else None
    return job if isinstance(job, dict) and "TaskGroups" in job else None


def _check_names(name: str, file: str, spec: Spec) -> None:
    """What we look up and quote ourselves has to be text; JSON may say anything."""
    if not spec.get("ID"):
        raise DeclarationError([Fault("bad-job-file", f"the job file of '{name}' has no job ID", Place(file), "give the job an ID")])
    for key in ("ID", "Namespace", "Region"):
        if not isinstance(spec.get(key) or "", str):
            problem = f"in the job file of '{name}' {key} is not a string"
            raise DeclarationError([Fault("bad-job-file", problem, Place(file, key=key), "put it in quotes")])
    groups = spec.get("TaskGroups") or []
    if not isinstance(groups, list) or not all(isinstance(group, dict) and isinstance(group.get("Name"), str) for group in groups):
        problem = f"in the job file of '{name}' TaskGroups is not a list of groups with a Name each"
        hint = "`nomad job run -output` writes a job as Nomad's API takes it"
        raise DeclarationError([Fault("bad-job-file", problem, Place(file, key="TaskGroups"), hint)])


def _parse_faults(name: str, text: JobText, error: Invalid) -> list[Fault]:
    from dtree.hcl_variables import blamed

    is_as_stored = text.source.encode() == text.template
    rendered = "" if is_as_stored else f", as it is rendered (`nomad-dtree render {name}` shows the line)"
    return [
        _value_fault(name, text, variable, one.text)
        if (variable := blamed(error.problem, one.text, one.line, text.variables, text.given))
        else Fault(
            "bad-job-file",
            f"Nomad cannot parse the job file of '{name}'{rendered}: {one.text}",
            Place(text.file, one.line, one.column),
            _hint(one.text),
        )
        for one in diagnostics(error.problem, file=text.file)
    ]


def _value_fault(name: str, text: JobText, variable: str, reason: str) -> Fault:
    """What Nomad has against a value is told where the value was given, not where it stands in the text that Nomad got."""
    origin = text.given[variable].origin
    problem = f"Nomad cannot take the value of variable '{variable}' of job '{name}', given by {origin.layer}: {reason}"
    return Fault(
        "bad-variable-value",
        problem,
        origin.place or Place(text.file),
        f"`type` in the variable's block in {text.file} says which it takes",
    )


def _hint(reason: str, otherwise: str = "") -> str:
    return next((hint for words, hint in _HINTS if words in reason), otherwise or _HINT)


def _same_ids(jobs: Iterable[RenderedJob]) -> dict[str, tuple[Fault, ...]]:
    """Return, by name, what is wrong with jobs that share one ID: told with the second of them."""
    by_ref: dict[JobRef, list[RenderedJob]] = {}
    for job in jobs:
        by_ref.setdefault(job.ref, []).append(job)
    faults: dict[str, tuple[Fault, ...]] = {}
    for ref, same in sorted(by_ref.items()):
        if len(same) > 1:
            problem = f"{' and '.join(repr(job.name) for job in same)} are one job to Nomad: '{ref}'"
            hint = "give each job file an ID of its own, or leave `namespace` out of the files and give each entry another one"
            fault = Fault("same-job-id", problem, Place(same[1].file), hint)
            faults.update((job.name, (fault,)) for job in same)
    return faults


def _observe(job: RenderedJob, cluster: Cluster, *, broken: bool = False) -> tuple[RenderedJob, ObservedJob]:
    try:
        # Reading comes first: a token that may register but not read is told before anything is changed.
        stored = cluster.job(job.ref)
        if stored is None:
            return job, ObservedJob(JobSnapshot(job.ref, None), cluster.dry_run(job))
        job = _keep_counts(job, {group.name: group.count for group in stored.groups})
        snapshot = cluster.snapshot(job.ref)
        dry_run = cluster.dry_run(job)
    except Invalid as error:
        raise DeclarationError(refusals(job, error)) from error
    stable = None
    if dry_run.diff == "None" and (broken or has_failed(snapshot)):
        stable = cluster.stable_version(job.ref, below=stored.version)
    return job, ObservedJob(snapshot, dry_run, stable)


def _keep_counts(job: RenderedJob, counts: Mapping[str, int]) -> RenderedJob:
    """Leave the count of a group with a scaling policy as it is: it belongs to the autoscaler, and is no drift."""
    groups = job.spec.get("TaskGroups") or ()
    kept = [{**group, "Count": counts[group["Name"]]} if group["Name"] in counts and scales(group) else group for group in groups]
    if list(groups) == kept:
        return job
    return replace(job, spec={**job.spec, "TaskGroups": kept})


def _all_of(names: list[str], read: Callable[[str], Result]) -> tuple[dict[str, Result], dict[str, tuple[Fault, ...]]]:
    """Do `read` for all names, some at once; collect the faults of all instead of stopping at the first. Both by name."""

    def attempt(name: str) -> tuple[list[Result], tuple[Fault, ...]]:
        try:
            return [read(name)], ()
        except DeclarationError as error:
            return [], error.faults

    results: dict[str, Result] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for name, (found, wrong) in zip(names, do_all(attempt, names, at_once=_AT_ONCE), strict=True):
        results.update((name, result) for result in found)
        faults.update({name: wrong} if wrong else {})
    return results, faults

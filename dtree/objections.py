"""What an entry asks of a job and the job can never do: refused before anything is registered. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from dtree.conditions import without_seconds
from dtree.declaration import Condition, Declaration, Edge, Entry
from dtree.errors import DeclarationError, Fault
from dtree.feasibility import as_meant, never_met
from dtree.graph import by_place
from dtree.model import RenderedJob
from dtree.plan import Step

__all__ = ["impossible_conditions", "pointless_runs", "refuse_impossible", "refuse_pointless", "refuse_unrenewable"]


def refuse_impossible(steps: Sequence[Step], declaration: Declaration) -> None:
    """Refuse what would only turn out after registering: a condition that a job of its type, or with such a job file, never meets.

    Raises:
        DeclarationError: every such condition.
    """
    faults = []
    for step in steps:
        for asked in (step.condition, *(milestone.condition for milestone in step.milestones)):
            if why := never_met(asked, step.job):
                place = declaration.locator.place(_place_of(declaration, step, asked))
                faults.append(Fault("impossible-condition", f"'{step.name}': {why[0]}", place, why[1]))
    if faults:
        raise DeclarationError(faults)


def impossible_conditions(jobs: Mapping[str, RenderedJob], declaration: Declaration) -> list[Fault]:
    """Return the same of whatever a run or a stop of the jobs could wait for, in the order of the file."""
    faults = []
    for path, name, asked in _all_asked(jobs, declaration):
        if why := never_met(as_meant(asked, jobs[name]), jobs[name]):
            faults.append(Fault("impossible-condition", f"'{name}': {why[0]}", declaration.locator.place(path), why[1]))
    return sorted(faults, key=by_place)


def refuse_pointless(jobs: Mapping[str, RenderedJob], declaration: Declaration) -> None:
    """Refuse `run` in the entry of a job that never completes; in the defaults it is meant for those that do.

    Raises:
        DeclarationError: every such entry.
    """
    if faults := pointless_runs(jobs, declaration):
        raise DeclarationError(faults)


def pointless_runs(jobs: Mapping[str, RenderedJob], declaration: Declaration) -> list[Fault]:
    """Return what `refuse_pointless` refuses."""
    faults = []
    for name, job in sorted(jobs.items()):
        entry = declaration.entries.get(name)
        if entry is None or entry.run in (None, declaration.defaults.run) or job.completes:
            continue
        is_what = "runs only through its children, and none is dispatched" if job.is_parent else f"is a {job.type} job, which runs on"
        hint = "give it a `dispatch`, or remove `run`" if job.is_parent else "remove `run`, or make it a batch job"
        place = declaration.locator.place(("dependencies", name, "run"))
        faults.append(Fault("impossible-run", f"'{name}' {is_what}: `run` is for jobs that complete", place, hint))
    return faults


def _all_asked(jobs: Collection[str], declaration: Declaration) -> Iterator[tuple[tuple[str | int, ...], str, Condition]]:
    """Yield where each condition of one of the jobs stands, the job, and the condition."""
    given = {edge.job for entry in declaration.entries.values() for edge in entry.post if edge.wait_cond is not None}
    for name in sorted(jobs):
        own = declaration.entries.get(name, declaration.defaults)
        if own.wait_cond is not None and name not in given:
            is_default = own.wait_cond == declaration.defaults.wait_cond
            yield ("defaults", "wait_cond") if is_default else ("dependencies", name, "wait_cond"), name, own.wait_cond
    for entry in declaration.entries.values():
        for edge in entry.edges:
            for key, job, condition in (("condition", _reaches(entry, edge), edge.condition), ("wait_cond", edge.job, edge.wait_cond)):
                if condition is not None and job in jobs:
                    yield (*edge.path, key), job, condition


def _reaches(entry: Entry, edge: Edge) -> str:
    """Return whose condition an edge names: in `post` that of the owner, else that of the other job."""
    return entry.name if edge in entry.post else edge.job


def refuse_unrenewable(steps: Sequence[Step], declaration: Declaration) -> None:
    """Refuse to give a sysbatch job new allocations: Nomad runs nothing of it again on a node where it was stopped.

    Raises:
        DeclarationError: every edge that asks for it.

    Source: seen with Nomad 1.11.3: after `alloc stop` an evaluation of a sysbatch job places nothing.
    """
    never = {step.name for step in steps if step.job.type == "sysbatch" and not step.job.is_parent}
    faults = []
    for entry in declaration.entries.values():
        for edge in (*entry.pre, *entry.post):
            user = edge.job if edge in entry.post else entry.name
            if edge.on_update != "redeploy" or user not in never:
                continue
            problem = f"'{user}' is a sysbatch job, which Nomad does not run again where it was stopped: it cannot be redeployed"
            place = declaration.locator.place((*edge.path, "on_update"))
            faults.append(Fault("impossible-redeploy", problem, place, "use `on_update: restart`, or none"))
    if faults:
        raise DeclarationError(faults)


def _place_of(declaration: Declaration, step: Step, asked: Condition) -> tuple[str | int, ...]:
    """Return the path of the first place that asks this condition of a step's job."""
    places = (path for path, _, written in _all_asked([step.name], declaration) if asked in _meanings(written, step.job))
    return next(places, ("dependencies", step.name))


def _meanings(written: Condition, job: RenderedJob) -> tuple[Condition, Condition]:
    """Return what a written condition may be meant as: with its seconds, or without."""
    return as_meant(written, job), as_meant(without_seconds(written), job)

"""Is what lies outside of a run ready? Looked at once, before anything is registered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from dtree.completion import last_success
from dtree.conditions import leaves
from dtree.declaration import Condition, LogProbe
from dtree.errors import DeclarationError, Fault
from dtree.evidence import as_found
from dtree.graph import written_edge
from dtree.health import Ready, Waiting, judge
from dtree.links import as_asked
from dtree.location import Locations, missing_namespaces
from dtree.model import RenderedJob
from dtree.noted import read_notes
from dtree.observe import read_checks, read_stored
from dtree.plan import Intent, ObservedJob
from dtree.ports import Cluster
from dtree.probing import answers_to
from dtree.sightings import recalled
from dtree.sources import Sources

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class _Lack:
    """Why a job is not ready, `it WHY`, and what mends that."""

    why: str
    hint: str


def refuse_unready(
    sources: Sources,
    intent: Intent,
    outside: Mapping[str, Sequence[str]],
    jobs: Mapping[str, RenderedJob],
    unread: Mapping[str, Fault],
    cluster: Cluster,
    *,
    of_stop: bool = False,
) -> None:
    """Refuse a run whose jobs need some that it leaves out and that are not ready, at the version that Nomad has.

    Args:
        outside: what is left out -> the jobs that need it.
        jobs: of those outside, by name; but for those that are
        unread: whose ID is not known, with the fault of their job file.
        of_stop: it is the hooks of a stop that need them.

    Raises:
        DeclarationError: every one that is not ready, each with why.

    Effects: reads Nomad; asks what the conditions ask.
    """
    observed = read_stored(jobs, cluster, children=False)
    homeless = missing_namespaces(jobs, observed, Locations(sources.graph.entries, sources.declaration.locator), cluster)
    observed = _with_notes(sources, observed, _read_logs_of(sources, outside, jobs, intent), cluster)
    faults = []
    for name, users in outside.items():
        wrong = unread.get(name) or homeless.get(name)
        if wrong is not None:
            lacking = {_Lack(f"cannot be looked at: {wrong.sentence}", wrong.hint): list(users)}
        else:
            lacking = _lacking(sources, users, jobs[name], observed[name], intent, cluster)
        faults += [_fault(sources, name, found, lack, of_stop=of_stop) for lack, found in lacking.items()]
    if faults:
        raise DeclarationError(faults)


def _lacking(
    sources: Sources, users: Sequence[str], job: RenderedJob, seen: ObservedJob, intent: Intent, cluster: Cluster
) -> dict[_Lack, list[str]]:
    """Return why a job is not ready -> for whom of those who need it: they may ask different things of it."""
    looked: dict[Condition, _Lack | None] = {}
    lacking: dict[_Lack, list[str]] = {}
    for user in users:
        asked = _asked(sources, user, job, intent)
        looked |= {one: _why_unready(sources, job, seen, one, cluster) for one in asked if one not in looked}
        lack = next(filter(None, (looked[one] for one in asked)), None)
        if lack is not None:
            lacking.setdefault(lack, []).append(user)
    return lacking


def _read_logs_of(sources: Sources, outside: Mapping[str, Sequence[str]], jobs: Mapping[str, RenderedJob], intent: Intent) -> set[str]:
    """Return the jobs of whose logs somebody asks something."""
    return {
        name
        for name in sorted({*outside} & {*jobs})
        for user in outside[name]
        for asked in _asked(sources, user, jobs[name], intent)
        if any(isinstance(leaf.probe, LogProbe) for leaf in leaves(asked))
    }


def _with_notes(sources: Sources, observed: Mapping[str, ObservedJob], logged: Collection[str], cluster: Cluster) -> dict[str, ObservedJob]:
    """Add what is noted of jobs that Nomad may have forgotten, whose children it knows no more, or whose logs were rotated away."""
    entries = sources.graph.entries
    asked = {name: seen for name, seen in observed.items() if seen.snapshot.job is None or entries[name].dispatches or name in logged}
    return {**observed, **read_notes(asked, cluster, stack=sources.declaration.stack)}


def _asked(sources: Sources, user: str, job: RenderedJob, intent: Intent) -> list[Condition]:
    """Return what somebody asks of a job that lies outside."""
    graph = sources.graph
    own = graph.post_conditions.get(job.name) or graph.entries[job.name].wait_cond or Condition()
    return [as_asked(own if one is None else one, intent, job) for one in graph.terms_of(user, job.name).conditions]


def _why_unready(sources: Sources, job: RenderedJob, seen: ObservedJob, condition: Condition, cluster: Cluster) -> _Lack | None:
    """Return why a job as it is stored has not reached a condition; None where it has."""
    of_children = bool(sources.graph.entries[job.name].dispatches)
    snapshot, state = seen.snapshot, seen.snapshot.job
    if state is None:
        is_done = last_success(seen.note) and not of_children and job.completes
        return None if is_done else _Lack("is not in Nomad", _way(sources, job.name))
    if of_children and condition.name in ("ready", "completed"):
        told = "is not ready: nothing that was dispatched of it has completed"
        return None if last_success(seen.note) else _Lack(told, _way(sources, job.name))
    awaited = replace(as_found(state, condition), sighted=recalled(seen.note, snapshot))
    checks = read_checks(snapshot, awaited, cluster)
    verdict = judge(snapshot, awaited, waited_s=0.0, unplaceable_s=0.0, placement_timeout_s=0.0, checks=checks)
    if isinstance(verdict, Waiting) and verdict.asks:
        answers = answers_to(verdict.asks, snapshot.ref, cluster)
        verdict = judge(snapshot, awaited, waited_s=0.0, unplaceable_s=0.0, placement_timeout_s=0.0, checks=checks, answers=answers)
    if isinstance(verdict, Ready):
        return None
    awaits_promotion = isinstance(verdict, Waiting) and verdict.canaries is not None
    return _Lack(f"is not ready: {verdict.reason}", _way(sources, job.name, "promote" if awaits_promotion else "run"))


def _way(sources: Sources, name: str, verb: Literal["run", "promote"] = "run") -> str:
    """Say what makes a job ready."""
    first = "promote it first" if verb == "promote" else "bring it up first"
    return f"whoever runs it has to {first}" if name in sources.graph.externals else f"{first}: `nomad-dtree {verb} {name}`"


def _fault(sources: Sources, name: str, users: Sequence[str], lack: _Lack, *, of_stop: bool) -> Fault:
    shown = ", ".join(f"'{user}'" for user in users[:_SHOWN])
    more = f" and {len(users) - _SHOWN} more" if len(users) > _SHOWN else ""
    edge = written_edge(sources.graph.entries, users[0], name)
    without = f"; or stop without the hook: `--skip {users[0]}`" if of_stop else ""
    left = "is not started by a stop" if of_stop else "is left out of this run"
    return Fault(
        "dependency-not-ready",
        f"'{name}' {left}, {shown}{more} need{'s' if len(users) == 1 else ''} it, and it {lack.why}",
        sources.declaration.locator.place(edge.path),
        lack.hint + without,
    )

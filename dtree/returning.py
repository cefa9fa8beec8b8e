"""What a rollback has to ask Nomad: what runs before anything is changed, what is there once something failed; and notes it puts back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dtree.access.at_once import do_all
from dtree.errors import ClusterError
from dtree.footing import without_footing
from dtree.ledger import Changed, Seen
from dtree.plan import ObservedJob, Plan, Step
from dtree.ports import Cluster
from dtree.provenance import restored
from dtree.rollback import needs_spec

__all__ = ["keep_earlier", "look", "note_again"]

_AT_ONCE: Final = 8


def keep_earlier(plan: Plan, cluster: Cluster) -> Plan:
    """Keep what runs of the jobs that a run will change, where its failure would have them returned.

    Nomad keeps the last six versions of a job, and a second attempt makes two more of them, or none at all after a purge: what is to be
    returned to may be gone by then.

    Raises:
        ClusterError: it cannot be read. Nothing was changed.

    Effects: reads Nomad, two requests a job.
    """
    if all(step.on_failure != "rollback" for step in plan.steps):
        return plan
    return replace(plan, steps=tuple(do_all(lambda step: _keep(step, cluster), plan.steps, at_once=_AT_ONCE)))


def look(changes: Sequence[Changed], cluster: Cluster) -> Seen:
    """Read what Nomad has now of the jobs that a run changed. Effects: reads Nomad."""
    try:
        snapshots = cluster.snapshots(sorted({change.step.ref for change in changes}))
        doubted = {change.step.name: cluster.dry_run(change.step.job) for change in changes if change.registered is None}
        return {change.step.name: ObservedJob(snapshots[change.step.ref], doubted.get(change.step.name)) for change in changes}
    except ClusterError as error:
        return error


def note_again(steps: Sequence[Step], cluster: Cluster, *, stack: str) -> ClusterError | None:
    """Note of jobs where they came from as before the run; returns why that could not be done. Effects: changes Nomad."""
    errors = do_all(lambda step: _note_again(step, cluster, stack), steps, at_once=_AT_ONCE)
    return next(filter(None, errors), None)


def _keep(step: Step, cluster: Cluster) -> Step:
    state = step.before.state
    if not needs_spec(step) or state is None:
        return step
    spec, source = cluster.stored(step.ref), cluster.submission(step.ref, version=state.version)
    return replace(step, before=replace(step.before, spec=spec, source=source))


def _note_again(step: Step, cluster: Cluster, stack: str) -> ClusterError | None:
    try:
        cluster.change_note(stack, step.ref, lambda items: restored(without_footing(items, step.before.note), step.before.note))
    except ClusterError as error:
        return error
    return None

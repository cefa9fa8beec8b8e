"""What jobs stand on, as Nomad has it and as it is noted there: read before a job is started anew, noted once it is."""

from __future__ import annotations

from typing import Final

from dtree.access.at_once import do_all
from dtree.errors import ClusterError
from dtree.footing import Footing, Known, stored_as, with_footing
from dtree.model import JobRef
from dtree.plan import Change, Plan, Step
from dtree.ports import Cluster

__all__ = ["begin_footings", "note_footing", "read_needs"]

_AT_ONCE: Final = 8
_STARTS: Final[tuple[Change, ...]] = ("create", "replace", "rerun")
"""Changes that bring a job new allocations."""


def begin_footings(plan: Plan, cluster: Cluster) -> None:
    """Note what the jobs of a plan stand on before it is carried out, where nothing is noted yet.

    Otherwise a run that breaks off would leave no trace of what they were started with. Where that may not be noted, the run is as good as
    without it.

    Effects: writes notes.
    """
    new = [(step.ref, step.footing) for step in plan.steps if step.footing is not None and step.footing.unknown]
    do_all(lambda one: note_footing(one[0], one[1].unknown, one[1], cluster), new, at_once=_AT_ONCE)


def read_needs(step: Step, cluster: Cluster) -> Known:
    """Read what a job is about to be started with; {} where it is not, or where no change of a need renews it. Effects: reads Nomad."""
    if step.footing is None or (step.renewal == "none" and step.change not in _STARTS):
        return {}
    found = {need: stored_as(cluster.job(ref)) for need, ref in step.footing.needs.items()}
    return {need: one for need, one in found.items() if one is not None}


def note_footing(ref: JobRef, known: Known, footing: Footing, cluster: Cluster) -> ClusterError | None:
    """Note what a job was started with; returns why that could not be done. Effects: writes a note."""
    try:
        cluster.change_note(footing.stack, ref, lambda items: with_footing(items, known, footing))
    except ClusterError as error:
        return error
    return None

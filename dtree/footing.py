"""What a job stands on: the needs whose change renews it, as they were when it last started. Pure.

A run that changes a need may not get as far as its dependents. So the note of each dependent remembers what it was last started with, and
a later run sees the difference. What an autoscaler changes is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dtree.model import JobRef, JobState
from dtree.provenance import FORM, MARK, Items, Registration, registered_as, still_runs

__all__ = ["Footing", "Known", "has_moved", "read_footing", "stored_as", "with_footing", "without_footing"]

Known = Mapping[str, Registration]
"""By its name, what a need was."""

_ITEM: Final = "stands_on"


@dataclass(frozen=True, slots=True)
class Footing:
    """What a job stands on.

    Attributes:
        stack: whose note of the job remembers it.
        needs: Nomad's identities of the needs whose change renews it, by name.
        unknown: of which of them nothing is noted yet, with what they are before the run.
    """

    stack: str
    needs: Mapping[str, JobRef]
    unknown: Known = field(default_factory=dict)


def stored_as(state: JobState | None) -> Registration | None:
    """Return what identifies a need that is meant to run; None for another."""
    return registered_as(state) if state is not None and not state.stopped else None


def has_moved(known: Known, need: str, state: JobState | None) -> bool:
    """Whether a need is another one than it was; not where nothing is known of it."""
    return need in known and state is not None and not state.stopped and not still_runs(known[need], state)


def read_footing(items: Items) -> Known:
    """Read what a note says; {} where that is nothing that can be understood."""
    try:
        found = json.loads(items.get(_ITEM, "{}"))
        return {need: Registration(int(version), int(index), str(shape)) for need, (version, index, shape) in found.items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def with_footing(items: Items, known: Known, footing: Footing) -> Items:
    """Return a note's items with what a job stands on: `known`, else what was noted before of the same needs."""
    said = {**read_footing(items), **known}
    said = {need: one for need, one in said.items() if need in footing.needs}
    if said == read_footing(items):
        return items
    told = {need: [one.version, one.modify_index, one.shape] for need, one in sorted(said.items())}
    return {**items, MARK: FORM, _ITEM: json.dumps(told, separators=(",", ":"))}


def without_footing(items: Items, before: Items) -> Items:
    """Return a note's items without what a job stands on, where the earlier note did not say it either."""
    return items if _ITEM in before else {name: value for name, value in items.items() if name != _ITEM}

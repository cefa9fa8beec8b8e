"""What was seen in the logs of a job, as its note keeps it: by the next run the line may have been rotated away. Pure.

It is noted of one registration of the job: whoever registers it again, even as it was, has to see the line again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final

from dtree.declaration import Condition, LogProbe
from dtree.evidence import Awaited, as_found, current_allocations
from dtree.model import JobSnapshot
from dtree.provenance import FORM, MARK, Items, Registration, read_note, still_runs

__all__ = ["recalled", "sighted", "sign"]

_SEEN: Final = "seen_in_logs"
_DIGITS: Final = 16


def sign(probe: LogProbe) -> str:
    """Return what a probe is noted by; another expression, task or stream is another one."""
    return hashlib.sha256(repr((probe.pattern, probe.task, probe.stream)).encode()).hexdigest()[:_DIGITS]


def recalled(items: Items, snapshot: JobSnapshot) -> frozenset[str]:
    """Return the signs of the probes that an earlier run saw met by the stored job.

    It has to be what was registered then; or a newer version that differs in counts alone, as long as an allocation is older than that
    version. Where none is, others have stopped or changed the job in between.
    """
    registered, state = _registered(items), snapshot.job
    if registered is None or state is None or state.create_index > registered.modify_index or not still_runs(registered, state):
        return frozenset()
    current = current_allocations(snapshot, as_found(state, Condition()))
    if state.modify_index != registered.modify_index and all(one.create_index > state.modify_index for one in current):
        return frozenset()
    return frozenset(_signs(items, registered))


def sighted(items: Items, awaited: Awaited, signs: Collection[str]) -> Items:
    """Return a note's items with what was seen in them; unchanged where the note is of a job that was registered since."""
    registered = _registered(items)
    if registered is None or registered.shape != awaited.shape or registered.version > awaited.version:
        return items
    return {**items, MARK: FORM, _SEEN: " ".join([str(registered.modify_index), *sorted({*_signs(items, registered), *signs})])}


def _registered(items: Items) -> Registration | None:
    noted = read_note(items)
    return noted.registered if noted is not None else None


def _signs(items: Items, registered: Registration) -> list[str]:
    modify_index, *signs = items.get(_SEEN, "").split(" ")
    return signs if modify_index == str(registered.modify_index) else []

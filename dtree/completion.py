"""What has completed before, and whether it is to run again: the digest of a job, and what its note remembers of it. Pure.

Nomad forgets a job that ended after a while. So the success of a job that completes is kept in its note, beside where the job came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dtree.declaration import RunPolicy
from dtree.health import is_finished
from dtree.model import BOOKKEEPING, RenderedJob
from dtree.plan import Child, ChildState, ObservedJob
from dtree.provenance import FORM, MARK, Items, read_note

__all__ = [
    "beginning",
    "begun",
    "children_due",
    "children_ended",
    "children_noted",
    "dispatched",
    "done_before",
    "forgotten_cause",
    "forgotten_run",
    "intended",
    "job_digest",
    "last_children",
    "last_success",
    "scales",
    "succeeded",
    "success_time",
    "with_ended",
]

_SUCCESS: Final = "succeeded"
_SUCCESS_TIME: Final = "succeeded_at"
_BEGINNING: Final = "begun_at"
_INTENTION: Final = "intended_at"
_CHILDREN: Final = "dispatched"
_ENDED: Final[Mapping[ChildState, str]] = {"completed": "completed", "failed": "failed"}
_NONE: Final = "-"


def job_digest(job: RenderedJob) -> str:
    """Return what tells this job, and what is dispatched of it, from another: SHA-256 as hex.

    It is of the parsed file, without what Nomad fills in by itself: not of comments and layout, and not of counts that an autoscaler owns.
    A key that is null counts as absent, because each version of Nomad knows more of them.
    """
    spec = {key: value for key, value in job.spec.items() if key not in BOOKKEEPING}
    spec["TaskGroups"] = [_without_count(group) if scales(group) else group for group in spec.get("TaskGroups") or ()]
    said: dict[str, Any] = {"job": _without_null(spec)}
    if job.dispatches:
        said["dispatches"] = [[one.force, dict(one.meta), _digest(one.payload)] for one in job.dispatches]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def scales(group: Mapping[str, Any]) -> bool:
    """Whether the count of a group belongs to an autoscaler."""
    policy = group.get("Scaling") or {}
    return bool(policy) and policy.get("Enabled") is not False


def done_before(policy: RunPolicy, seen: ObservedJob, digest: str, *, force: bool) -> str:
    """Say why nothing of a batch or sysbatch job is to be run, by what is noted of it; "" where Nomad is to be asked.

    Where Nomad still has this very job, Nomad knows better: it may run just now, or have failed since.

    Args:
        force: run again what has completed; `once` withstands that.
    """
    noted, state = last_success(seen.note), seen.snapshot.job
    is_known = state is not None and seen.dry_run is not None and seen.dry_run.diff == "None"
    if not noted or policy == "always":
        return ""
    if policy == "once":
        return "" if is_known and is_finished(seen.snapshot) else "completed before, and is run only once"
    if force or is_known or noted != digest:
        return ""
    return "completed before, unchanged" + ("; Nomad has forgotten it since" if state is None else "")


def children_due(job: RenderedJob, policy: RunPolicy, seen: ObservedJob, digest: str, *, force: bool) -> tuple[Child, ...]:
    """Return the children to wait for; () where they completed before and are not to be dispatched again.

    Those of an earlier run of the same that still run, or have completed where others have not, are not dispatched twice.

    Args:
        force: as for `done_before`.
    """
    noted = last_success(seen.note)
    if noted and (policy == "once" or (policy == "on_change" and noted == digest and not force)):
        return ()
    earlier = children_noted(seen.note, digest)
    if policy == "once" and not earlier and _have_completed(seen):
        return ()
    anew = ("runs",) if policy == "always" or force else ("runs", "completed")
    kept = [(one, seen.dispatched[one]) for one in earlier if seen.dispatched.get(one) in anew]
    states = dict(kept)
    ids = [one if one in states else "" for one in earlier] + [""] * len(job.dispatches)
    return tuple(Child(one, known, states.get(known) == "completed") for one, known in zip(job.dispatches, ids, strict=False))


def forgotten_cause(items: Items, digest: str) -> str:
    """Say why a job that completes, and that Nomad does not have, is to be run; "" where it never was, as far as we know."""
    noted = last_success(items)
    if noted:
        return f"{'completed before' if noted == digest else 'changed since it completed'}; Nomad has forgotten it since"
    found = read_note(items)
    return "Nomad has forgotten it, and whether it completed" if found is not None and found.registered is not None else ""


def forgotten_run(job: RenderedJob, seen: ObservedJob) -> str:
    """Say when a run of a job to be run once was begun of which nobody knows how it ended; "" where there is none."""
    if last_success(seen.note):
        return ""
    unknown = [one for one in last_children(seen.note) if one and one not in seen.dispatched]
    is_lost = bool(unknown) if job.dispatches else seen.snapshot.job is None
    return beginning(seen.note) if is_lost else ""


def last_success(items: Items) -> str:
    """Return the digest of the job as it last completed; "" where it never did, as far as we know."""
    return items.get(_SUCCESS, "")


def success_time(items: Items) -> str:
    """Return when the job was seen completed, as text; "" where that is not noted."""
    return items.get(_SUCCESS_TIME, "")


def succeeded(items: Items, digest: str, *, at: str) -> Items:
    """Return a note's items with a success in them.

    Args:
        at: when, as text.
    """
    return items if last_success(items) == digest else {**items, MARK: FORM, _SUCCESS: digest, _SUCCESS_TIME: at}


def intended(items: Items, *, at: str) -> Items:
    """Return a note's items saying that the job is to be run: written to see whether that can be done."""
    return {**items, MARK: FORM, _INTENTION: at}


def beginning(items: Items) -> str:
    """Return when a run of the job was begun whose end is not noted, as text; "" for none."""
    return items.get(_BEGINNING, "")


def begun(items: Items, *, at: str) -> Items:
    """Return a note's items saying that a run of the job begins; with `at` "" that none is under way."""
    left = {key: value for key, value in items.items() if key != _BEGINNING}
    return {**left, MARK: FORM, _BEGINNING: at} if at else left


def children_noted(items: Items, digest: str) -> tuple[str, ...]:
    """Return the IDs of the children that were last dispatched of the job as it is, "" where there is none in its place.

    () where the job was another, or nothing was dispatched.
    """
    return last_children(items) if items.get(_CHILDREN, "").partition(" ")[0] == digest else ()


def last_children(items: Items) -> tuple[str, ...]:
    """Return the IDs of the children that were last dispatched, whatever the job was then; as `children_noted`."""
    return tuple("" if one == _NONE else one for one in items.get(_CHILDREN, "").split(" ")[1:])


def children_ended(items: Items) -> dict[str, ChildState]:
    """Return how children ended, as far as that is noted, by ID."""
    states: tuple[ChildState, ...] = ("completed", "failed")
    return {one: state for state in states for one in items.get(_ENDED[state], "").split()}


def dispatched(items: Items, digest: str, ids: Sequence[str]) -> Items:
    """Return a note's items with the children that were dispatched, in the order of the dependency file, "" where one is missing."""
    return with_ended({**items, MARK: FORM, _CHILDREN: " ".join([digest, *[one or _NONE for one in ids]])}, {})


def with_ended(items: Items, ended: Mapping[str, ChildState]) -> Items:
    """Return a note's items with how children ended, of those that are noted as dispatched last."""
    known = {**children_ended(items), **ended}
    lists = {key: [one for one in last_children(items) if known.get(one) == state] for state, key in _ENDED.items()}
    left = {key: value for key, value in items.items() if key not in lists}
    return {**left, **{key: " ".join(ids) for key, ids in lists.items() if ids}}


def _have_completed(seen: ObservedJob) -> bool:
    """Whether all that was dispatched last has completed, whatever the job was then."""
    ids = last_children(seen.note)
    return bool(ids) and all(seen.dispatched.get(one) == "completed" for one in ids)


def _without_count(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "Count"}


def _without_null(value: object) -> object:
    match value:
        case dict():
            return {key: _without_null(part) for key, part in value.items() if part is not None}
        case list():
            return [_without_null(part) for part in value]
        case _:
            return value


def _digest(data: bytes | None) -> str | None:
    return hashlib.sha256(data).hexdigest() if data is not None else None

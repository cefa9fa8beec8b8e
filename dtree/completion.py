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
from dtree.plan import Child, ObservedJob
from dtree.provenance import FORM, MARK, Items

__all__ = ["begun", "children_due", "children_noted", "dispatched", "done_before", "job_digest", "last_success", "scales", "succeeded"]

_SUCCESS: Final = "succeeded"
_SUCCESS_TIME: Final = "succeeded_at"
_BEGINNING: Final = "begun_at"
_CHILDREN: Final = "dispatched"


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
    anew = policy == "always" or force
    earlier = [(one, seen.dispatched.get(one)) for one in children_noted(seen.note, digest)]
    kept = [one if completed is not None and not (completed and anew) else "" for one, completed in earlier]
    kept += [""] * len(job.dispatches)
    return tuple(Child(one, known) for one, known in zip(job.dispatches, kept, strict=False))


def last_success(items: Items) -> str:
    """Return the digest of the job as it last completed; "" where it never did, as far as we know."""
    return items.get(_SUCCESS, "")


def succeeded(items: Items, digest: str, *, at: str) -> Items:
    """Return a note's items with a success in them.

    Args:
        at: when, as text.
    """
    return items if last_success(items) == digest else {**items, MARK: FORM, _SUCCESS: digest, _SUCCESS_TIME: at}


def begun(items: Items, *, at: str) -> Items:
    """Return a note's items saying that a run of the job begins."""
    return {**items, MARK: FORM, _BEGINNING: at}


def children_noted(items: Items, digest: str) -> tuple[str, ...]:
    """Return the IDs of the children that were last dispatched of the job as it is; () where it was another, or none was."""
    noted, *ids = items.get(_CHILDREN, "").split(" ")
    return tuple(ids) if noted == digest else ()


def dispatched(items: Items, digest: str, ids: Sequence[str]) -> Items:
    """Return a note's items with the children that were dispatched, in the order of the dependency file."""
    return {**items, MARK: FORM, _CHILDREN: " ".join([digest, *ids])}


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

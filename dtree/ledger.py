"""What a run changes, and whether it is still as the run left it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dtree.errors import ClusterError
from dtree.evidence import Awaited, is_adopted
from dtree.model import JobState
from dtree.plan import Before, Evaluate, Noop, ObservedJob, Rerun, Step

__all__ = ["Changed", "Ledger", "Seen", "is_as_before", "is_same_life", "is_untouched", "stranger"]

Seen = Mapping[str, ObservedJob] | ClusterError
"""What Nomad has of the jobs that a run changed, by name; the error where it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a run changed of one job.

    Attributes:
        step: as it was last begun; `step.before` is what Nomad had before the run.
        registered: what Nomad stored when it accepted it, `changed` for all attempts together; None where nobody knows whether it did.
        purged: an attempt may have purged it, so that Nomad counts its versions anew.
    """

    step: Step
    registered: Awaited | None
    purged: bool = False


class Ledger:
    """What a run changes, in the order in which it first does so.

    Attributes:
        noted: unchanged jobs of which something else is noted than before.
    """

    def __init__(self) -> None:
        self._changes: dict[str, Changed] = {}
        self.noted: tuple[Step, ...] = ()

    @property
    def changes(self) -> tuple[Changed, ...]:
        """All of it so far."""
        return tuple(self._changes.values())

    def note(self, step: Step, registered: Awaited | None) -> None:
        """Note that a step changed something in Nomad, or may have."""
        earlier = self._changes.get(step.name)
        if registered is not None and earlier is not None:
            registered = replace(registered, changed=registered.changed or earlier.registered is None or earlier.registered.changed)
        purged = isinstance(step.action, Rerun) and step.action.way == "purge"
        self._changes[step.name] = Changed(step, registered, purged=purged or (earlier is not None and earlier.purged))

    def accept(self, step: Step, registered: Awaited, *, changed: bool) -> None:
        """Note what Nomad accepted; of an unchanged job that something else is noted of it."""
        if changed:
            self.note(step, registered)
        if isinstance(step.action, Noop | Evaluate) and step.provenance is not None and not step.is_noted:
            self.noted = (*self.noted, step)


def stranger(change: Changed, seen: ObservedJob) -> str:
    """Say what others have done to a job since the run changed it; "" for nothing."""
    state, before, registered = seen.snapshot.job, change.step.before, change.registered
    if registered is None:
        # Running a job again begins with stopping or purging it, so that may be all that was done.
        ours = state is None or (seen.dry_run is not None and seen.dry_run.diff == "None") or state.stopped
        return "" if ours else "nobody knows whether this run changed it, and it is not what this run was to make of it"
    if state is None:
        return "somebody removed it meanwhile" if before.runs else ""
    if state.stopped:
        return "somebody stopped it meanwhile" if before.runs else ""
    if is_adopted(state, registered) or (before.state is not None and is_as_before(before.state, state)):
        return ""
    return f"version {state.version} of it is not from this run, which registered version {registered.version}"


def is_untouched(before: Before, state: JobState | None) -> bool:
    """Whether nothing registered or stopped a job since the plan was made."""
    if before.state is None or state is None:
        return before.state is state
    return before.state.modify_index == state.modify_index


def is_as_before(before: JobState, state: JobState) -> bool:
    """Whether a job is specified as it was, and wanted as often."""
    counts, found = ({group.name: group.count for group in one.groups} for one in (before, state))
    return state.shape == before.shape and counts == found and not state.stopped


def is_same_life(before: JobState, state: JobState | None) -> bool:
    """Whether a version number means what it meant before: a purge begins to count anew."""
    return state is not None and state.create_index == before.create_index

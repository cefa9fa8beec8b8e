"""What somebody can do by hand about a job that a rollback did not return: a command, or a hint where none would be right. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Final

from dtree.errors import ClusterError
from dtree.ledger import Changed, Seen, is_same_life, stranger
from dtree.names import DEFAULT_NAMESPACE
from dtree.plan import Before, Noop, Nothing, Plan, Refuse, Step, Stop
from dtree.provenance import read_note

__all__ = ["ByHand", "all_by_hand"]

_KEPT_VERSIONS: Final = 6
"""Nomad's `job_tracked_versions`, as it is unless a server says otherwise."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """What is left to do by hand.

    Attributes:
        command: of Nomad's own program; "" where there is nothing to do, or none that does it.
        hint: what to do where there is no command.
    """

    command: str = ""
    hint: str = ""


def all_by_hand(plan: Plan, changes: Sequence[Changed], seen: Seen) -> Mapping[str, ByHand]:
    """Return for each job of a rollback what would be done by hand, should it not be returned."""
    found = {change.step.name: change for change in changes}
    return {step.name: _by_hand(step, found[step.name], seen) for step in plan.steps}


def _by_hand(step: Step, change: Changed, seen: Seen) -> ByHand:
    before = step.before
    if isinstance(step.action, Nothing | Noop) or (isinstance(step.action, Stop) and step.action.asked):
        return ByHand()
    if isinstance(step.action, Refuse) and (before.beside is not None or _is_strangers(change, seen)):
        return ByHand()  # what is there is not this run's to undo, or nothing brings back what was: its own hint says so
    flags = "".join((_flag("namespace", step.ref.namespace, DEFAULT_NAMESPACE), _flag("region", step.ref.region, "")))
    if not before.runs or before.state is None:
        return ByHand(f"nomad job stop{flags} {quote(step.ref.id)}")
    if _is_kept(change, before.state.version, seen):
        return ByHand(f"nomad job revert{flags} {quote(step.ref.id)} {before.state.version}")
    return ByHand(hint=f"register again what ran before: {_named(before)}")


def _is_strangers(change: Changed, seen: Seen) -> bool:
    return not isinstance(seen, ClusterError) and bool(stranger(change, seen[change.step.name]))


def _is_kept(change: Changed, version: int, seen: Seen) -> bool:
    """Whether Nomad still has the version that ran before, under its number: also once the rollback has made one more."""
    if isinstance(seen, ClusterError):
        newest = change.registered.version if change.registered is not None else version
        return not change.purged and newest + 1 - version < _KEPT_VERSIONS
    before, state = change.step.before.state, seen[change.step.name].snapshot.job
    if before is None or state is None or not is_same_life(before, state):
        return False
    return state.version + 1 - version < _KEPT_VERSIONS


def _named(before: Before) -> str:
    noted = read_note(before.note)
    if noted is None:
        return "Nomad has no version of it any more"
    return f"{f'version {noted.version}, ' if noted.version else ''}from {noted.ref or f'revision {noted.revision}'} of {noted.store}"


def _flag(name: str, value: str, usual: str) -> str:
    return f" -{name}={value}" if value != usual else ""

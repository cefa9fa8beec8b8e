"""Which conditions a job can ever meet, and how one is meant of it. Pure."""

from __future__ import annotations

from dataclasses import replace

from dtree.conditions import fit, leaves, misfit
from dtree.declaration import Condition, LogProbe
from dtree.health import impossible
from dtree.model import RenderedJob

__all__ = ["as_meant", "never_met"]


def as_meant(condition: Condition, job: RenderedJob) -> Condition:
    """Return a condition of a job with what it leaves out, from the job file, and without the parts of `any` that it never meets.

    Where it meets none of these they stay, for `never_met` to tell of.
    """
    return _without_impossible(fit(condition, job), job)


def never_met(condition: Condition, job: RenderedJob) -> tuple[str, str] | None:
    """Say why a job never meets a condition: it meets a part of `all` never, or none of those of `any`; or nobody knows what is meant.

    Args:
        condition: as `as_meant` returns it.

    Returns:
        (the reason, a hint), of the first such part; None where it may be met.
    """
    if not condition.parts:
        return impossible(condition.name, job.type, parent=_parent_word(job, condition.name)) or misfit(condition, job)
    unclear = next((one for one in leaves(condition) if _is_unclear(one)), None)
    if unclear is not None:
        return misfit(unclear, job)
    found = [never_met(part, job) for part in condition.parts]
    return None if condition.name == "any" and None in found else next(filter(None, found), None)


def _without_impossible(condition: Condition, job: RenderedJob) -> Condition:
    if not condition.parts:
        return condition
    parts = tuple(_without_impossible(part, job) for part in condition.parts)
    if condition.name == "any":
        parts = tuple(part for part in parts if _is_unclear(part) or never_met(part, job) is None) or parts
    return replace(condition, parts=parts)


def _is_unclear(condition: Condition) -> bool:
    """Whether it is a log, nobody knows whose: a slip of the file, and not what some jobs have and others have not."""
    return isinstance(condition.probe, LogProbe) and not condition.probe.task


def _parent_word(job: RenderedJob, goal: str) -> str:
    """Say what kind of parent a job is; "" for none, and where its dispatched children meet the condition."""
    if not job.is_parent or (goal == "completed" and job.dispatches):
        return ""
    return "periodic" if job.spec.get("Periodic") else "parameterized"

"""How far a job is on its way to a condition, and what holds it up: the text of a wait without a verdict. Pure."""

from __future__ import annotations

from typing import Final

from dtree import diagnose
from dtree.evidence import restarts_of
from dtree.model import AllocationState
from dtree.tally import Case, Tally, is_good

WORDS: Final = {"registered": "registered", "started": "running", "healthy": "healthy", "completed": "completed"}
"""Goal -> what an allocation is that meets it."""

_NOTES: Final = 3


def describe(case: Case) -> str:
    """Write "1 of 3 allocations healthy; task web restarted 3 times, last exit code 1": groups by name, then at most three notes."""
    if not case.allocations and case.is_evaluating:
        return "Nomad is still evaluating"
    parts = [_so_far(case, tally) for tally in case.lacking]
    if not parts:
        parts.append("Nomad is still evaluating" if case.is_evaluating else "allocations of an older version still run")
    if case.deployment is not None and case.deployment.status == "paused":
        parts.append("its deployment is paused")
    return diagnose.cut("; ".join(parts + _notes(case)))


def _so_far(case: Case, tally: Tally) -> str:
    prefix = f"group {tally.group.name}: " if len(case.job.groups) > 1 else ""
    return f"{prefix}{tally.good} of {tally.want} allocation{'' if tally.want == 1 else 's'} {WORDS[case.goal]}"


def _notes(case: Case) -> list[str]:
    """Say what keeps the allocations of lacking groups, newest first, each thing once."""
    lacking = [alloc for tally in case.lacking for alloc in tally.allocations if not is_good(case, tally.group, alloc)]
    lacking.sort(key=lambda alloc: (-alloc.create_index, alloc.id))
    return list(dict.fromkeys(text for alloc in lacking if (text := _note(case, alloc))))[:_NOTES]


def _note(case: Case, alloc: AllocationState) -> str:
    if alloc.client == "unknown":
        return "its node is disconnected"
    if alloc.client == "lost":
        return "its node is lost"
    if alloc.client == "failed":
        return f"an allocation failed{' and will be rescheduled' if alloc.followup_eval else ''}; {diagnose.failure(alloc)}"
    is_ours = _is_restarted_by_us(case, alloc)
    restarted = diagnose.restarts(alloc)
    if restarted and not is_ours:
        return restarted
    results = case.checks.get(alloc.id, ())
    bad = next((check for check in results if check.status != "success"), None)
    if bad is not None:
        return f"check '{diagnose.clean(bad.name)}' says {diagnose.clean(bad.status)}"
    if (
        case.goal == "healthy"
        and not results
        and not case.is_deploying
        and alloc.id in diagnose.check_questions(case.snapshot, case.awaited)
    ):
        return "its checks have not answered yet"
    return f"restarted by this run, and not {WORDS[case.goal]} again yet" if is_ours else diagnose.waits_for(alloc)


def _is_restarted_by_us(case: Case, alloc: AllocationState) -> bool:
    """Whether its tasks were restarted no more often than this run has done it, once each."""
    before = case.awaited.renewed.get(alloc.id)
    return before is not None and restarts_of(alloc) <= before + len(alloc.tasks)

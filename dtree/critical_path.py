"""The chain of steps that decides how long a plan takes, and the least time that this can be. Pure.

What has a time of its own: a number of seconds as a condition; the update blocks of job files, where each round of a rollout or of a
renewal takes `min_healthy_time`; and how long canaries have to be healthy before the run promotes them. Everything else, from fetching an
image to what a batch job does, counts as no time, so nothing is ever faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from dtree.declaration import Condition
from dtree.evidence import as_found
from dtree.model import RenderedJob
from dtree.plan import ObservedJob, Plan, Register, Rerun, Step
from dtree.renewal import portions

_DEFAULT_UPDATE: Final[Mapping[str, Any]] = {"MaxParallel": 1, "MinHealthyTime": 10 * 10**9, "HealthCheck": "checks"}
"""What Nomad fills in where an update block, or all of it, is left out."""

_ROLLS: Final = ("service", "system")
_AT_ONCE: Final = ("place", "in_place", "migrate")


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """A chain of jobs, each of which is waited for by the next.

    Attributes:
        jobs: in order, from the first to the last at which something is done.
        least_s: the least time until the last of them is ready.
    """

    jobs: tuple[str, ...]
    least_s: float


def critical_path(plan: Plan) -> CriticalPath | None:
    """Find the chain that takes longest: by time, among equals by the steps that do something, among those by name.

    Returns:
        None where no step of the plan does anything that is waited for.
    """
    steps = {step.name: step for step in plan.steps}
    before: dict[str, str | None] = {}
    begun: dict[str, tuple[float, int]] = {}
    ended: dict[str, tuple[float, int]] = {}
    for name, step in steps.items():
        begun[name], before[name] = (0.0, 0), None
        for need in step.needs:
            met_s = begun[need][0] + max(_reached_s(steps[need], one) for one in step.edges.get(need, (steps[need].condition,)))
            arrived = (met_s, ended[need][1])
            if arrived > begun[name] or before[name] is None:
                begun[name], before[name] = arrived, need
        own_s = max(_reached_s(step, one.condition) for one in step.awaited)
        ended[name] = (begun[name][0] + own_s, begun[name][1] + _acts(step))
    longest = max(ended.values(), default=(0.0, 0))
    if plan.verb != "run" or not longest[1]:
        return None
    jobs: list[str] = []
    last: str | None = min(name for name, end in ended.items() if end == longest and _acts(steps[name]))
    while last is not None and ended[last][1]:
        jobs.append(last)
        last = before[last]
    return CriticalPath(tuple(reversed(jobs)), longest[0])


def rollout_s(step: Step, seen: ObservedJob) -> float:
    """Return the least time from acting on a job until all its groups are healthy, and what of it is renewed is so again.

    Args:
        seen: of it; what Nomad says it would do with each group decides how many rounds the group takes.
    """
    job = step.job
    if job.type not in _ROLLS or job.is_parent or seen.dry_run is None:
        return _renewal_s(step, seen)
    updates = seen.dry_run.updates
    groups = job.spec.get("TaskGroups") or ()
    rounds_s = max((_group_s(step, group, updates.get(group["Name"], {})) for group in groups), default=0.0)
    comes = isinstance(step.action, Register | Rerun) and any(numbers.get("canary") for numbers in updates.values())
    promoted_s = (step.promotion.after_s or 0.0) if comes or step.change == "promote" else 0.0
    return rounds_s + promoted_s + _renewal_s(step, seen)


def _renewal_s(step: Step, seen: ObservedJob) -> float:
    """Return the least time that renewing takes: each portion of what runs has to be healthy before the next."""
    state = seen.snapshot.job
    if step.renewal == "none" or state is None or state.is_batch:
        return 0.0
    # The groups' portions come one after another, and each waits as long as the most patient group wants.
    return len(portions(seen.snapshot, as_found(state, Condition()))) * max((group.min_healthy_s for group in state.groups), default=0.0)


def _group_s(step: Step, group: Mapping[str, Any], numbers: Mapping[str, int]) -> float:
    told = (_DEFAULT_UPDATE, step.job.spec.get("Update") or {}, group.get("Update") or {})
    update = {key: value for block in told for key, value in block.items() if value is not None}
    if update["MaxParallel"] <= 0 or update["HealthCheck"] == "manual":
        return 0.0  # no deployment is made, or a person may say at once that it is healthy
    if isinstance(step.action, Rerun):
        rounds = int(_count(group) > 0)  # what Nomad would do without the stop, revert or purge before says nothing
    elif step.change == "promote":
        rounds = _rounds(step.job, group, {"canary": canaries}, update["MaxParallel"]) - 1 if (canaries := update.get("Canary")) else 0
    else:
        rounds = _rounds(step.job, group, numbers, update["MaxParallel"])
    return rounds * float(update["MinHealthyTime"]) / 1e9


def _count(group: Mapping[str, Any]) -> int:
    return 1 if group.get("Count") is None else int(group["Count"])


def _rounds(job: RenderedJob, group: Mapping[str, Any], numbers: Mapping[str, int], at_once: int) -> int:
    """Count how often allocations have to become healthy before others of the group make way.

    Source: seen with Nomad 1.11.3 and read in its scheduler: what comes new or changes in place does so at once; of those to be replaced
    the dry run counts the first round as destructive and the others as ignored; those of a system job it counts whole. `stagger` is read
    nowhere.
    """
    is_service = job.type == "service"
    replaced, canaries = numbers.get("destructive", 0), numbers.get("canary", 0)
    if canaries:
        rest = max(_count(group) - canaries, 0) if is_service else 0
        return 1 + ceil(rest / at_once)
    if replaced:
        return ceil((replaced + (numbers.get("ignore", 0) if is_service else 0)) / at_once)
    there = 0 if is_service else sum(numbers.get(act, 0) for act in ("ignore", "in_place"))
    come = {**numbers, "place": numbers.get("place", 0) - there}
    return int(any(come.get(act, 0) > 0 for act in _AT_ONCE))


def _acts(step: Step) -> bool:
    if isinstance(step.action, Register | Rerun) or step.renewal != "none" or step.change == "promote":
        return True
    return any(not child.id for child in step.children)


def _reached_s(step: Step, condition: Condition) -> float:
    """Return the least time from the start of a step until it has reached a condition."""
    is_changed = isinstance(step.action, Register | Rerun)
    if not is_changed and step.renewal == "none" and step.change != "promote":
        return 0.0
    if condition.parts:
        parts = [_reached_s(step, part) for part in condition.parts]
        return min(parts) if condition.name == "any" else max(parts)
    if condition.seconds is not None:
        return condition.seconds if is_changed else 0.0
    return step.rollout_s if condition.name in ("ready", "healthy") else 0.0

"""What becomes of healthy canaries: who promotes them and when, and what is told of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from dtree.canaries import Canaries, stored_canaries
from dtree.conditions import leaves
from dtree.declaration import Condition, Declaration, Entry, Promotion
from dtree.errors import DeclarationError, Fault
from dtree.model import JobSnapshot, RenderedJob
from dtree.plan import Await, Milestone, Noop, ObservedJob, Register, Rerun, Step

_BY_HAND: Final = Promotion()
_AT_ONCE: Final = Promotion(after_s=0.0)


def refuse_clashes(jobs: Mapping[str, RenderedJob], declaration: Declaration) -> None:
    """Refuse a `promote` that cannot be kept, because Nomad itself promotes the canaries of the job file as soon as they are healthy.

    Raises:
        DeclarationError: every such job. A gate that does not hold is worse than none, so this is no warning.
    """
    faults = []
    for name, job in sorted(jobs.items()):
        asked = declaration.entries.get(name, declaration.defaults).promotion
        if asked is None or asked.after_s == 0 or not _promotes_itself(job):
            continue
        gate = "nobody" if asked.after_s is None else "no time"
        problem = f"the job file of '{name}' says auto_promote: Nomad promotes its canaries once they are healthy, and {gate} is waited for"
        at = ("defaults",) if asked == declaration.defaults.promotion else ("dependencies", name)
        hint = "take auto_promote out of the job file, or say `promote: auto`"
        faults.append(Fault("promotes-itself", problem, declaration.locator.place((*at, "promote")), hint))
    if faults:
        raise DeclarationError(faults)


def with_promotion(step: Step, entry: Entry, seen: ObservedJob) -> Step:
    """Say of a step of a run who promotes its canaries, and tell of it where it has some."""
    promotion = entry.promotion or _BY_HAND
    step = step if promotion == step.promotion else replace(step, promotion=promotion)
    if promotion.after_s is not None and _has_canaries(step.job):
        step = _awaited_at_all(step)
    canaries = stored_canaries(seen.snapshot)
    if isinstance(step.action, Noop) and canaries is not None and not canaries.promote_themselves and promotion.after_s is None:
        return replace(step, left_to_a_person=True)
    if isinstance(step.action, Noop) and canaries is not None and not canaries.promote_themselves and promotion.after_s is not None:
        return replace(step, change="promote", cause=f"unchanged; {canaries}; promoted {_when(promotion)}")
    comes = seen.dry_run is not None and any(numbers.get("canary") for numbers in seen.dry_run.updates.values())
    if isinstance(step.action, Register | Rerun) and comes:
        itself = _promotes_itself(step.job)
        who = "by Nomad once healthy" if itself else _when(promotion)
        cause = f"{step.cause}; canaries first, promoted {who}"
        return replace(step, cause=cause, left_to_a_person=promotion.after_s is None and not itself)
    return step


def left_waiting(step: Step) -> tuple[str, str] | None:
    """Say that a step that is ready did not wait until its canaries are promoted.

    Returns:
        (what is so, a hint); None where it did, or where there is nothing for a person to promote.
    """
    if not step.left_to_a_person or not all(_is_early(milestone.condition) for milestone in step.awaited):
        return None
    return f"'{step.name}' is registered; its canaries wait until somebody promotes them", f"once they are healthy: {_command(step)}"


def promoting(step: Step, canaries: Canaries) -> Step:
    """Make of the step of an unchanged job one that promotes the canaries that were seen, and no others. It is tried once.

    Running a job again takes its job file, which a promotion is not about.
    """
    step = replace(step, promotion=_AT_ONCE, deployment=canaries.deployment, change="promote", cause=str(canaries), retries=0)
    return _awaited_at_all(step)


def unpromotable(name: str, snapshot: JobSnapshot) -> Fault | None:
    """Say why a job's canaries cannot be promoted; None where they can."""
    canaries, state = stored_canaries(snapshot), snapshot.job
    if canaries is not None and canaries.are_ready:
        return None
    look = f"`nomad-dtree status {name}` shows how it does"
    if canaries is not None:
        return Fault("canaries-not-healthy", f"'{name}' cannot be promoted yet: {canaries}", hint=look)
    if state is None:
        return nothing_to_promote(f"'{name}' is not in Nomad", f"`nomad-dtree run {name}` brings it there")
    if state.stopped:
        return nothing_to_promote(f"'{name}' was stopped", f"`nomad-dtree run {name}` starts it")
    return nothing_to_promote(f"'{name}' does not await promotion: {_history(snapshot)}", look)


def nothing_to_promote(problem: str, hint: str) -> Fault:
    """Say that no canaries await promotion, whatever they did before."""
    return Fault("nothing-to-promote", problem, hint=hint)


def telling(step: Step, canaries: Canaries) -> str:
    """Say what is waited for while healthy canaries are not promoted."""
    if step.promotion.after_s is None:
        return f"{canaries}; {_command(step)}"
    return f"{canaries}; promoted {_when(step.promotion)}"


def too_late(step: Step, canaries: Canaries, *, waited_s: float) -> tuple[str, str]:
    """Say that nobody promoted healthy canaries in time.

    Returns:
        (the reason, beside the kind of failure; a hint).
    """
    waited = f", for {waited_s:g} s" if waited_s else ""
    if isinstance(step.action, Await):
        return f"external, {canaries.told}{waited}", _command(step)
    return f"{canaries.told}{waited}", f"promote with {_command(step)}, then run again for what needs it"


def _command(step: Step) -> str:
    if isinstance(step.action, Await):
        return "whoever runs it has to promote it"
    return f"`nomad-dtree promote {step.name}`"


def _when(promotion: Promotion) -> str:
    if promotion.after_s is None:
        return "by hand"
    return "once healthy" if promotion.after_s == 0 else f"once healthy for {promotion.after_s:g} s"


def _awaited_at_all(step: Step) -> Step:
    """Have a step that is ready before its canaries are (`registered`) go on until they are promoted; nobody else waits for that."""
    started = Milestone(Condition("started"), step.timeout_s)
    return replace(step, milestones=(started, *step.milestones)) if _is_early(step.condition) and started not in step.awaited else step


def _is_early(condition: Condition) -> bool:
    """Whether it is reached, or may be, before canaries are promoted."""
    return any(one.name == "registered" for one in leaves(condition))


def _history(snapshot: JobSnapshot) -> str:
    """Say what became of the newest deployment."""
    newest = snapshot.deployments[-1] if snapshot.deployments else None
    if newest is None:
        return "it has no deployment"
    groups = [numbers for numbers in newest.groups.values() if numbers.desired_canaries]
    told = "has no canaries" if not groups else "is promoted already" if all(one.promoted for one in groups) else f"is {newest.status}"
    return f"the deployment of version {newest.version} {told}"


def _promotes_itself(job: RenderedJob) -> bool:
    return _has_canaries(job) and all(update.get("AutoPromote") for update in _updates(job) if update.get("Canary"))


def _has_canaries(job: RenderedJob) -> bool:
    return any(update.get("Canary") for update in _updates(job))


def _updates(job: RenderedJob) -> Iterator[dict[str, Any]]:
    """Yield the update block of each group, with what it leaves out from the job's own."""
    if job.type not in ("service", "system") or job.is_parent:
        return
    for group in job.spec.get("TaskGroups") or ():
        told = (job.spec.get("Update") or {}, group.get("Update") or {})
        yield {key: value for block in told for key, value in block.items() if value is not None}

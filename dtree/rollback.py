"""What a rollback takes: from what a run changed, and what Nomad has now, to a plan like any other. Pure.

The plan has a step for each job that the run changed, the last one changed first: a job is returned before those that it needs, by whatever
way they are connected. What cannot or must not be returned has a step as well, which says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dtree.canaries import runs_on
from dtree.completion import scales
from dtree.declaration import Condition, Promotion
from dtree.errors import ClusterError
from dtree.health import is_finished
from dtree.ledger import Changed, Seen, is_as_before, is_same_life, is_untouched, stranger
from dtree.links import patience_s
from dtree.model import JobState, RenderedJob, Spec
from dtree.plan import (
    UNCHANGED,
    Action,
    Before,
    Change,
    Noop,
    Nothing,
    ObservedJob,
    Plan,
    Refuse,
    Register,
    Step,
    Stop,
)
from dtree.provenance import Provenance, read_note, registered_as, still_runs, without_comments

__all__ = ["forewarn", "make", "needs_spec", "to_note_again"]

_STOP_SPARE_S: Final = 10.0
_SHOWN_NAMES: Final = 3

Decided = tuple[Action, Change, str]


def forewarn(steps: Sequence[Step]) -> tuple[str, ...]:
    """Say before a run which of its changes a rollback would not undo; () where no rollback can come."""
    causes = [step.name for step in steps if step.on_failure == "rollback"]
    lasting = [f"{step.name} ({why})" for step in steps if step.change not in UNCHANGED and (why := _why_lasting(step))]
    if not causes or not lasting:
        return ()
    shown = ", ".join(causes[:_SHOWN_NAMES]) + (f" and {len(causes) - _SHOWN_NAMES} more" if len(causes) > _SHOWN_NAMES else "")
    return (f"a rollback, which a failure of {shown} brings, would not undo {', '.join(lasting)}",)


def to_note_again(plan: Plan, noted: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps of unchanged jobs of which only the note is to be what it was before the run.

    Args:
        plan: of the rollback.
        noted: as in `Ledger`.
    """
    as_they_were = (step for step in plan.steps if isinstance(step.action, Nothing) and step.change == "noop")
    return (*(step for step in noted if not step.irreversible), *as_they_were)


def needs_spec(step: Step) -> bool:
    """Whether a rollback would register again what runs before the step."""
    return step.before.runs and step.change not in UNCHANGED and not step.irreversible


def make(plan: Plan, changes: Sequence[Changed], seen: Seen) -> Plan:
    """Decide what returning takes.

    Args:
        plan: of the run.
        changes: in the order of the run.
        seen: by name, what Nomad has now of the job; with its own plan of registering it again where nobody knows whether it accepted it.
            The error where it cannot be asked: then nothing is touched.

    Returns:
        A plan without a goal. None of its steps requires another, so what can be returned is, whatever becomes of the rest.
    """
    steps = {}
    place = {step.name: at for at, step in enumerate(plan.steps)}
    # Of jobs side by side Nomad answers now the one first and now the other.
    for change in sorted(changes, key=lambda change: place[change.step.name], reverse=True):
        step = _unseen(change, seen) if isinstance(seen, ClusterError) else _renewal(change) or _return(change, seen[change.step.name])
        if step is not None:
            steps[step.name] = step
    renewed = _still_due(plan, steps)
    steps = {name: step if step.renewal == "none" or name in renewed else _kept(step) for name, step in steps.items()}
    return replace(plan, verb="run", goals=(), warnings=(), out=(), steps=_in_order(plan, steps, renewed))


def _why_lasting(step: Step) -> str:
    if step.irreversible:
        return "irreversible"
    if step.change == "promote":
        return "its promotion"
    if step.children:
        return "what it dispatches"
    if step.before.beside is not None and step.before.state is not None:
        return f"once its new version has taken over: version {step.before.state.version} had not"
    return "once it has completed" if step.job.completes else ""


# -- one job -----------------------------------------------------------------------------------------------------------


def _unseen(change: Changed, error: ClusterError) -> Step:
    why = f"what Nomad has of it cannot be read: {error.problem}"
    step = change.step
    return Step(step.job, Refuse(why, error.hint), "keep", why, (), Condition(), step.timeout_s, before=step.before)


def _return(change: Changed, seen: ObservedJob) -> Step | None:
    """Return the step that returns a job; None where the run did not change it after all."""
    step, state = change.step, seen.snapshot.job
    decided = _decide(change, seen)
    if decided is None:
        return None
    action, word, cause = decided
    stop_s = max([group.stop_timeout_s for group in state.groups] if state is not None else [], default=0.0)
    was_promoted = step.before.beside is None
    returned = Step(
        job=step.job,
        action=action,
        change=word,
        cause=cause,
        needs=(),
        condition=Condition(),
        timeout_s=patience_s(step.job.spec) + stop_s + _STOP_SPARE_S,
        before=step.before,
        provenance=step.provenance,
        forgets=True,
        promotion=Promotion(after_s=0.0) if was_promoted else Promotion(),
        ends_at_canaries=not was_promoted,
    )
    if not isinstance(action, Register | Noop) or step.before.spec is None:
        return returned
    job = _earlier_job(step, step.before.spec, state)
    known = _known(step.before)
    if known is not None and isinstance(action, Noop) and state is not None:
        known = replace(known, registered=registered_as(state))
    return replace(
        returned,
        job=job,
        condition=Condition("started") if job.type in ("batch", "sysbatch") and not job.is_parent else Condition(),
        timeout_s=max(step.timeout_s, patience_s(job.spec)),
        provenance=known or step.provenance,
        forgets=known is None,
    )


def _decide(change: Changed, seen: ObservedJob) -> Decided | None:
    if change.registered is None and is_untouched(change.step.before, seen.snapshot.job):
        return None
    why = _why_kept(change, seen)
    if why:
        return Nothing(), "keep", why
    others = stranger(change, seen)
    if others:
        return Refuse(f"it is left alone: {others}", f"`nomad-dtree status {change.step.name}` shows what it is now"), "keep", others
    return _decide_return(change, seen)


def _why_kept(change: Changed, seen: ObservedJob) -> str:
    """Say why a job stays as the run left it; "" where it does not."""
    if change.step.irreversible:
        return "it is irreversible"
    if change.registered is not None and not change.registered.changed:
        return f"{'its promotion' if change.step.change == 'promote' else 'what was dispatched of it'} cannot be undone"
    return "it has completed, which cannot be undone" if is_finished(seen.snapshot) else ""


def _decide_return(change: Changed, seen: ObservedJob) -> Decided:
    before, state = change.step.before, seen.snapshot.job
    if not before.runs or before.state is None:
        if state is None or state.stopped:
            return Stop(purge=False, asked=True), "absent", "is stopped already" if state is not None else "not in Nomad any more"
        return Stop(purge=False), "stop", "was not in Nomad before" if before.state is None else "did not run before"
    version = before.state.version
    if before.beside is not None and not (is_same_life(before.state, state) and runs_on(before.beside, seen.snapshot)):
        return _unreturnable(change.step, before.beside, version)
    if state is not None and is_as_before(before.state, state):
        if change.registered is not None and change.registered.shape == state.shape:
            return Nothing(), "noop", "its specification is what it was"
        return Noop(state.version, state.shape), "noop", f"Nomad itself has returned it to version {version}"
    if before.spec is None:
        return Refuse(f"what version {version} of it was is not known any more", ""), "keep", "what it was is not known any more"
    if before.beside is not None:
        cause = f"to the canaries of version {version}, which nobody had promoted"
    elif is_same_life(before.state, state):
        cause = f"to version {version}"
    else:
        cause = f"to what was version {version} before it was purged"
    return Register(state.modify_index if state is not None else 0), "return", cause


def _unreturnable(step: Step, beside: Collection[int], version: int) -> Decided:
    """Leave a job alone that had canaries only, where what stood beside them makes way: Nomad would let them take over at once.

    Source: Nomad 1.11.3 places canaries beside what runs, whatever version that is; nobody has promoted these.
    """
    others = f"version {', '.join(map(str, sorted(beside)))}" if beside else "nothing"
    why = f"nobody had promoted the canaries of version {version}, and what ran beside them, {others}, does so no more"
    hint = f"run the files of the version that is to be; `nomad-dtree status {step.name}` shows what runs"
    return Refuse(f"it is left alone: {why}", hint), "keep", why


def _earlier_job(step: Step, spec: Spec, state: JobState | None) -> RenderedJob:
    """Return the job as it was stored before the run; counts that an autoscaler owns stay as they are now."""
    text, variables = step.before.source
    counts = {group.name: group.count for group in state.groups} if state is not None and not state.stopped else {}
    groups: list[Mapping[str, Any]] = [
        {**group, "Count": counts[group["Name"]]} if scales(group) and group["Name"] in counts else group
        for group in spec.get("TaskGroups") or ()
    ]
    is_json = text.lstrip().startswith("{")
    return RenderedJob(
        name=step.name,
        ref=step.ref,
        file=step.job.file,
        text=text,
        format="json" if is_json else "hcl2",
        spec={**spec, "TaskGroups": groups},
        variables=without_comments(variables),
    )


def _known(before: Before) -> Provenance | None:
    """Return where the job came from that ran before; None where nothing is noted of that very one."""
    noted = read_note(before.note)
    is_of_it = (
        noted is not None and noted.registered is not None and before.state is not None and still_runs(noted.registered, before.state)
    )
    return noted if is_of_it else None


# -- jobs that were restarted because others changed ------------------------------------------------------------------


def _renewal(change: Changed) -> Step | None:
    """Return the step that renews once more what the run renewed and did not change otherwise; None for all else."""
    step, registered = change.step, change.registered
    if step.renewal == "none" or registered is None or registered.changed:
        return None
    up = Condition("started" if step.job.type in ("batch", "sysbatch") else "healthy")
    again = replace(step, action=Noop(registered.version, registered.shape), needs=(), edges={}, optional=(), milestones=(), retries=0)
    return replace(again, condition=up, is_noted=True, on_failure="stop")


def _still_due(plan: Plan, steps: Mapping[str, Step]) -> tuple[str, ...]:
    """Return the jobs that have to be renewed again, in the order of the run: something that they need is returned."""
    returned = {name for name, step in steps.items() if isinstance(step.action, Register | Stop | Noop) and step.renewal == "none"}
    due = (step for step in plan.steps if step.name in steps and steps[step.name].renewal != "none")
    return tuple(step.name for step in due if returned & set(step.needs))


def _kept(step: Step) -> Step:
    cause = "it was restarted, and nothing that it needs is returned"
    return replace(step, action=Nothing(), change="keep", cause=cause, renewal="none", milestones=())


# -- order -------------------------------------------------------------------------------------------------------------


def _in_order(plan: Plan, steps: Mapping[str, Step], renewed: Sequence[str]) -> tuple[Step, ...]:
    """Say who waits for whom: each job for those that need it, and what is renewed comes last, as it came up."""
    first = [name for name in steps if name not in renewed]
    near = _nearest(plan, first)
    users: dict[str, set[str]] = {name: set() for name in first}
    for name in first:
        for need in near[name]:
            users[need].add(name)
    below = _nearest(plan, steps)
    waits = {name: users[name] if name in users else below[name] for name in (*first, *renewed)}
    return tuple(_waiting(steps[name], tuple(sorted(waits[name]))) for name in (*first, *renewed))


def _waiting(step: Step, needs: tuple[str, ...]) -> Step:
    return replace(step, needs=needs, optional=needs)


def _nearest(plan: Plan, names: Collection[str]) -> dict[str, set[str]]:
    """Return for each step which of the names it needs, itself or through others that are not among them."""
    chosen = frozenset(names)
    near: dict[str, set[str]] = {}
    for step in plan.steps:
        near[step.name] = set().union(*({need} if need in chosen else near[need] for need in step.needs))
    return near

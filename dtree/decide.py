"""Every decision: from the graph, the rendered jobs, what Nomad has and what was asked for, to the steps of a plan. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree.canaries import stored_canaries, versions_beside
from dtree.completion import children_due, children_noted, done_before, forgotten_cause, job_digest, last_success
from dtree.declaration import Condition, RunPolicy
from dtree.errors import Fault
from dtree.evidence import as_found, current_allocations, living
from dtree.graph import DependencyGraph, order
from dtree.health import has_failed, is_finished
from dtree.links import as_asked, link, longest_wait_s
from dtree.model import DryRun, JobRef, JobSnapshot, JobState, RenderedJob
from dtree.plan import Action, Await, Before, Change, Evaluate, Intent, Noop, Nothing, ObservedJob, Refuse, Register, Rerun, Step, Stop
from dtree.promotion import promoting, with_promotion
from dtree.provenance import Source, provenance_of, read_note, registered_as, still_runs, taken_over
from dtree.renewal import renew
from dtree.sightings import recalled

_DEFAULT_TIMEOUT_S: Final = 300.0
_STOP_SPARE_S: Final = 10.0
_SHOWN_FIELDS: Final = 3
_NO_REGION: Final = "no-region"
"""Code of the fault of a job whose file is good, and whose region there is no way to."""


def make_run(
    graph: DependencyGraph,
    names: Collection[str],
    jobs: Mapping[str, RenderedJob],
    observed: Mapping[str, ObservedJob],
    intent: Intent,
    *,
    source: Source,
    outside: Collection[str] = (),
) -> tuple[Step, ...]:
    """Decide what bringing up `names` takes.

    Args:
        names: the jobs that the run is about, as `choice.choose` gives them.
        jobs, observed: for each of the names.
        source: which state of which store they are of.
        outside: jobs beside the names that need some of them, and have a step if that means a restart; the graph, `jobs` and `observed`
            have them too.

    Returns:
        One step a job, each after its needs; the same state gives the same steps.
    """
    steps = []
    for name in order(graph, {*names, *outside}):
        job, seen = jobs[name], observed[name]
        if name in outside:
            steps.extend([_step(graph, name, job, intent, found)] if (found := _as_it_is(seen)) else [])
        elif name in graph.externals:
            steps.append(_await_step(graph, name, job, seen, intent))
        else:
            steps.append(_own_step(graph, name, job, seen, intent, source))
    return link(graph, renew(graph, steps, observed, outside), intent)


def make_stop(
    graph: DependencyGraph,
    names: Collection[str],
    jobs: Mapping[str, RenderedJob],
    observed: Mapping[str, ObservedJob],
    intent: Intent,
    *,
    unread: Mapping[str, Fault],
) -> tuple[Step, ...]:
    """Decide what stopping `names` takes: dependents before what they need.

    Args:
        names: the jobs to stop, as `choice.choose` gives them.
        jobs, observed: for each of the names and for all their dependents, but for those that are
        unread: whose ID is not known, with the fault of their job file. They may be running.

    Returns:
        One step a job. What something outside still needs is kept, with all that it needs in turn, unless `intent.force`.
    """
    kept: dict[str, str] = {}
    steps: list[Step] = []
    for name in reversed(order(graph, names)):
        if name in unread:
            steps.append(_unread_step(name, unread[name]))
            continue
        dependents = tuple(user for user in graph.dependents[name] if user not in graph.externals)
        users = [
            user
            for user in dependents
            if graph.terms_of(user, name).required
            and (user in unread or ((user not in names or user in kept) and is_alive(observed[user].snapshot)))
        ]
        if users and not intent.force and is_alive(observed[name].snapshot):
            kept[name] = _needed_by(users, unread)
        needs = tuple(sorted(user for user in dependents if user in names and user not in unread))
        steps.append(_stop_step(graph, name, jobs[name], observed[name], intent, needs=needs, kept=kept.get(name)))
    return tuple(steps)


def make_promotion(
    graph: DependencyGraph,
    names: Collection[str],
    jobs: Mapping[str, RenderedJob],
    observed: Mapping[str, ObservedJob],
    intent: Intent,
) -> tuple[Step, ...]:
    """Decide what promoting the canaries of `names` takes: of those that have some.

    Args:
        graph: with edges among the names only.

    Returns:
        One step a job, each after those of the others that it needs.
    """
    seen = {name: observed[name].snapshot for name in names}
    found = {
        name: (state, have) for name, one in seen.items() if (state := one.job) is not None and (have := stored_canaries(one)) is not None
    }
    steps = []
    for name in order(graph, found):
        state, canaries = found[name]
        step = _step(graph, name, jobs[name], intent, (Noop(state.version, state.shape), "promote", ""))
        steps.append(promoting(step, canaries))
    return link(graph, steps, intent)


def run_again(job: RenderedJob, seen: ObservedJob) -> tuple[Action, str]:
    """Decide how to run an unchanged job again that has failed, or a batch job that has completed.

    Nomad's own plan says None for it, and registering it, evaluating it with ForceReschedule or stopping and registering it (a service)
    changes nothing, so the stored job has to become another one first.

    Returns:
        (the action, why it is that one).

    Source: docs/explanation/nomad.md.
    """
    state = seen.snapshot.job
    if state is None:
        return Register(0), "gone from Nomad"
    if seen.dry_run is not None and seen.dry_run.diff != "None":
        return Register(state.modify_index), "another version is there now, as after an auto-revert"
    if state.type == "sysbatch":
        return Rerun("purge", state.version), "purged first, so that Nomad runs it again"
    if state.is_batch:
        return Rerun("stop", state.version), "stopped first, so that Nomad runs it again"
    if seen.stable_version is not None:
        return Rerun("revert", state.version, seen.stable_version), f"returned to stable version {seen.stable_version} first"
    running = sum(allocation.client in ("running", "pending", "unknown") for allocation in seen.snapshot.allocations)
    if running == 0:
        return Rerun("purge", state.version), "purged first: no earlier version was stable and nothing of it runs"
    return (
        Refuse(
            f"'{job.name}' cannot be run again: Nomad does not do that with an unchanged job, no earlier version was stable, and "
            f"{running} allocation{'s' if running > 1 else ''} of it still run{'s' if running == 1 else ''}",
            f"look at it; then change the job file, or `nomad-dtree stop {job.name} --purge` and run again",
        ),
        "it cannot be run again as long as something of it runs",
    )


def is_alive(snapshot: JobSnapshot) -> bool:
    """Whether anything of the job runs, or will."""
    if snapshot.job is None:
        return False
    return snapshot.job.status != "dead" or any(not allocation.is_over for allocation in snapshot.allocations)


def _as_it_is(seen: ObservedJob) -> tuple[Action, Change, str] | None:
    """Leave a job as it is stored, whatever its file says by now; None where there is none."""
    state = seen.snapshot.job
    return None if state is None or state.stopped else (Noop(state.version, state.shape), "noop", "unchanged")


def _await_step(graph: DependencyGraph, name: str, job: RenderedJob, seen: ObservedJob, intent: Intent) -> Step:
    """Wait for a job of others'."""
    step = _step(graph, name, job, intent, (Await(), "external", "external: only waited for"))
    there = seen.snapshot.job is not None and not seen.snapshot.job.stopped
    return step if there else replace(step, cause=f"{step.cause}; not there yet")


def _own_step(graph: DependencyGraph, name: str, job: RenderedJob, seen: ObservedJob, intent: Intent, source: Source) -> Step:
    step = with_promotion(_run_step(graph, name, job, seen, intent), graph.entries[name], seen)
    step = _noting(_completing(step, graph, seen, intent), seen, source)
    state = seen.snapshot.job
    before = Before(
        state,
        runs=state is not None and not state.stopped and is_alive(seen.snapshot),
        note=seen.note,
        beside=versions_beside(seen.snapshot),
    )
    return replace(step, irreversible=graph.entries[name].irreversible, before=before)


def _run_step(graph: DependencyGraph, name: str, job: RenderedJob, seen: ObservedJob, intent: Intent) -> Step:
    return _step(graph, name, job, intent, _decide_by_policy(job, seen, graph.entries[name].run or "on_change", force=intent.force))


def _step(graph: DependencyGraph, name: str, job: RenderedJob, intent: Intent, decided: tuple[Action, Change, str]) -> Step:
    entry = graph.entries[name]
    action, change, cause = decided
    condition = graph.post_conditions.get(name) or entry.wait_cond or Condition()
    condition = as_asked(condition, intent, job)
    return Step(
        job=job,
        action=action,
        change=change,
        cause=cause,
        needs=graph.needs[name],
        condition=condition,
        timeout_s=longest_wait_s(condition, entry, job),
        retries=entry.retries,
    )


def _completing(step: Step, graph: DependencyGraph, seen: ObservedJob, intent: Intent) -> Step:
    """Say what is to be dispatched, and what to note once a job that completes has done so."""
    if not step.job.completes or isinstance(step.action, Nothing | Refuse):
        return step
    policy, noted, digest = graph.entries[step.name].run or "on_change", last_success(seen.note), job_digest(step.job)
    is_new = not noted if policy == "once" else noted != digest
    step = replace(step, digest=digest if is_new else "", is_once=policy == "once" and is_new)
    if not step.job.dispatches:
        return step
    children = children_due(step.job, policy, seen, digest, force=intent.force)
    if not children:
        return replace(step, digest="", is_once=False, cause=f"{step.cause}; its children completed before")
    count, new = len(children), sum(not child.id for child in children)
    some = str(new) if new == count else f"{new} of {count}"
    words = f"{some} children are dispatched" if count > 1 else "a child is dispatched"
    lost = [one for one in children_noted(seen.note, digest) if one and one not in seen.dispatched]
    lead = "Nomad has forgotten what became of those before, so " if lost else ""
    cause = f"{step.cause}; {lead + words if new else 'what was dispatched before is waited for'}"
    return replace(step, children=children, cause=cause, change="dispatch" if new and step.change == "noop" else step.change)


def _noting(step: Step, seen: ObservedJob, source: Source) -> Step:
    """Say what is to be noted of a job. That something else is to be noted is no change of the job."""
    wanted = provenance_of(step.job, source)
    state = seen.snapshot.job
    if state is None or not isinstance(step.action, Noop | Evaluate):
        return replace(step, provenance=wanted)
    if seen.dry_run is not None and seen.dry_run.diff != "None":
        return replace(step, provenance=wanted, is_noted=True)
    noted = read_note(seen.note)
    before = noted.registered if noted is not None else None
    if before is None or not still_runs(before, state):
        before = registered_as(state)
    wanted = replace(wanted, registered=before)
    return replace(step, provenance=wanted, is_noted=wanted == noted, sighted=recalled(seen.note, seen.snapshot))


def _decide_by_policy(job: RenderedJob, seen: ObservedJob, policy: RunPolicy, *, force: bool) -> tuple[Action, Change, str]:
    """Ask what is noted of a job that completes, then what Nomad has of it. Of a parent the policy speaks of its children alone."""
    if job.is_parent or not job.completes:
        return _decide(job, seen, force=force)
    digest, state = job_digest(job), seen.snapshot.job
    if done := done_before(policy, seen, digest, force=force):
        return Nothing(), "noop", done
    is_known = seen.dry_run is not None and seen.dry_run.diff == "None"
    if policy == "once" and state is not None and not is_known and is_finished(seen.snapshot):
        # It is waited for as it is, whatever its file says by now, so that its success is noted.
        return Noop(state.version, state.shape), "noop", "completed, and is run only once"
    action, change, cause = _decide(job, seen, force=force and policy != "once", always=policy == "always")
    return action, change, (state is None and forgotten_cause(seen.note, digest)) or cause


def _decide(job: RenderedJob, seen: ObservedJob, *, force: bool, always: bool = False) -> tuple[Action, Change, str]:
    state, dry_run = seen.snapshot.job, seen.dry_run
    if state is None or dry_run is None:
        return Register(0), "create", "not in Nomad yet"
    if dry_run.diff == "None":
        return _decide_unchanged(job, seen, state, force=force, always=always)
    cause = _was_stopped(seen.snapshot) if state.stopped else _difference(seen, dry_run)
    if _ignores_dead(seen, job):
        return Rerun("purge", state.version), "rerun", f"{cause}; purged first, because Nomad would not run again what has ended"
    if state.stopped:
        return Register(state.modify_index), "create", cause
    return Register(state.modify_index), "replace" if _replaces(job, state, dry_run) else "update", cause


def _was_stopped(snapshot: JobSnapshot) -> str:
    ending = len(living(snapshot))
    if not ending:
        return "was stopped"
    return f"was stopped; {ending} allocation{' of it is' if ending == 1 else 's of it are'} still ending"


def _replaces(job: RenderedJob, state: JobState, dry_run: DryRun) -> bool:
    """Whether allocations make way for others: of a group that stays, or of a group that comes, goes or has another name."""
    old = {group.name for group in state.groups}
    new = {group["Name"] for group in job.spec.get("TaskGroups") or ()}
    return any(
        numbers.get("destructive")
        or numbers.get("canary")
        or (name not in old and numbers.get("place"))
        or (name not in new and numbers.get("stop"))
        for name, numbers in dry_run.updates.items()
    )


def _decide_unchanged(job: RenderedJob, seen: ObservedJob, state: JobState, *, force: bool, always: bool) -> tuple[Action, Change, str]:
    if has_failed(seen.snapshot):
        action, how = run_again(job, seen)
        return action, "rerun", f"unchanged, but version {state.version} failed: {how}"
    if state.is_parent:
        return Noop(state.version, state.shape), "noop", "registered, unchanged"
    if is_finished(seen.snapshot):
        if force or always:
            why = "--force" if force else "`run: always`"
            return run_again(job, seen)[0], "rerun", f"completed and unchanged; run again because of {why}"
        return Noop(state.version, state.shape), "noop", "completed, unchanged"
    cause = _asks_for_evaluation(job, seen, state)
    if cause or force:
        why = cause or "unchanged and not failed, so --force only has Nomad evaluate it"
        return Evaluate(state.version, state.shape), "evaluate", why
    canaries = stored_canaries(seen.snapshot)
    if canaries is not None and canaries.await_promotion:
        return Noop(state.version, state.shape), "noop", f"unchanged, but {canaries}"
    # Nomad calls a system job without a node running too.
    runs = any(one.client == "running" for one in seen.snapshot.allocations)
    return Noop(state.version, state.shape), "noop", "runs, unchanged" if runs else "unchanged"


def _asks_for_evaluation(job: RenderedJob, seen: ObservedJob, state: JobState) -> str:
    """Say what an evaluation would bring to an unchanged job; "" for nothing."""
    missing = sum(_missing(job, numbers) for numbers in (seen.dry_run.updates.values() if seen.dry_run else ()))
    if missing:
        return f"unchanged, but {missing} allocation{'s are' if missing > 1 else ' is'} missing"
    current = current_allocations(seen.snapshot, as_found(state, Condition()))
    late = sum(one.client == "failed" and bool(one.followup_eval) for one in current)
    if late:
        what = "a failed allocation waits" if late == 1 else f"{late} failed allocations wait"
        return f"unchanged, but {what} to be rescheduled: that is done at once"
    return ""


def _ignores_dead(seen: ObservedJob, job: RenderedJob) -> bool:
    """Nomad leaves a failed allocation whose rescheduling is off in its place, also under an in-place change or after a stop.

    So it does with whatever has ended of a sysbatch job.
    """
    if job.type == "batch" or job.is_parent or seen.dry_run is None:
        return False
    if any(not allocation.is_over for allocation in seen.snapshot.allocations):
        return False
    if job.type == "sysbatch":
        return any("in_place" in numbers and not {"place", "destructive"} & set(numbers) for numbers in seen.dry_run.updates.values())
    failed = {allocation.group for allocation in seen.snapshot.allocations if allocation.client == "failed" and allocation.desired == "run"}
    acts = ("place", "destructive", "in_place", "canary", "migrate", "reschedule_now", "reschedule_later")
    stuck = [group for group, numbers in seen.dry_run.updates.items() if group in failed and not any(numbers.get(act) for act in acts)]
    return bool(stuck) and len(stuck) == len(seen.dry_run.updates)


def _missing(job: RenderedJob, numbers: Mapping[str, int]) -> int:
    """Count the allocations of a group that Nomad would add to an unchanged job.

    Source: Nomad 1.11.3's system scheduler: `place` of a system job counts every eligible node, those where it runs already too.
    """
    there = sum(numbers.get(act, 0) for act in ("ignore", "in_place", "destructive")) if job.type == "system" else 0
    return max(numbers.get("place", 0) - there, 0)


def _difference(seen: ObservedJob, dry_run: DryRun) -> str:
    """Say what is changed; and whose work is undone by that, where the job is not what was registered last."""
    others = taken_over(seen.note, seen.snapshot)
    more = len(dry_run.changed) - _SHOWN_FIELDS
    named = ", ".join(dry_run.changed[:_SHOWN_FIELDS]) + (f" and {more} more" if more > 0 else "")
    return "changed" + (f": {named}" if named else "") + (f"; {others}" if others else "")


def _stop_step(
    graph: DependencyGraph, name: str, job: RenderedJob, seen: ObservedJob, intent: Intent, *, needs: tuple[str, ...], kept: str | None
) -> Step:
    action, change, cause = _decide_stop(seen, purge=intent.purge)
    if kept is not None:
        action, change, cause = Nothing(), "keep", kept
    stop_s = max([group.stop_timeout_s for group in seen.snapshot.job.groups] if seen.snapshot.job else [], default=0.0)
    own_s = graph.entries[name].timeout_s
    return Step(
        job=job,
        action=action,
        change=change,
        cause=cause,
        needs=needs,
        condition=Condition(),
        # An entry's timeout is meant for its start; its tasks get the time to end that the job gives them.
        timeout_s=max(own_s, stop_s + _STOP_SPARE_S) if own_s else _DEFAULT_TIMEOUT_S + stop_s,
    )


def _needed_by(users: Sequence[str], unread: Mapping[str, Fault]) -> str:
    running = [user for user in users if user not in unread]
    if running:
        return f"still needed by {', '.join(running)}"
    is_away = all(unread[user].code == _NO_REGION for user in users)
    return f"may still be needed by {', '.join(users)}, whose {'region cannot be reached' if is_away else 'job file is no good'}"


def _unread_step(name: str, fault: Fault) -> Step:
    """A job that cannot be stopped: its region is away, or its ID stands in a file that is no good: guessing might stop somebody else's."""
    is_away = fault.code == _NO_REGION
    why = "it cannot be reached" if is_away else "its ID is not known"
    by_hand = "" if is_away else "; or find its ID with `nomad job status` and `nomad job stop` it"
    return Step(
        job=RenderedJob(name, JobRef("", ""), fault.place.file if fault.place else "", "", "hcl2", {}),
        action=Refuse(f"{why}: {fault.sentence}", f"{fault.hint or 'mend the job file'}{by_hand}"),
        change="keep",
        cause="its region cannot be reached" if is_away else "its job file is no good",
        needs=(),
        condition=Condition(),
        timeout_s=_DEFAULT_TIMEOUT_S,
    )


def _decide_stop(seen: ObservedJob, *, purge: bool) -> tuple[Action, Change, str]:
    state = seen.snapshot.job
    if state is None:
        # Nomad forgets what is dead after a while; what is noted of it stays until somebody asks for a purge.
        forget = purge and seen.note
        return (Stop(purge=True, asked=True), "purge", "not in Nomad, but noted") if forget else (Nothing(), "absent", "not in Nomad")
    change: Change = "purge" if purge else "stop"
    stop = Stop(purge=purge, asked=state.stopped)
    if state.status != "dead" and not state.stopped:
        return stop, change, "runs" if state.status == "running" else state.status
    if seen.children:
        # Children outlive their parent: Nomad stops none of them with it.
        return stop, change, "its children still run"
    if is_alive(seen.snapshot):
        return stop, change, "its allocations are still ending"
    over = "stopped already" if state.stopped else "has ended"
    return (stop, change, over) if purge else (Nothing(), "absent", over)

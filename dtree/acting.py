"""What the executor's workers do: each function acts on Nomad, and returns what came of it. It keeps no state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from dtree.canaries import Canaries, stored_canaries
from dtree.completion import beginning, begun, dispatched, job_digest
from dtree.errors import LOOK_FIRST, ClusterError, Conflict, Unavailable, Unreachable
from dtree.evidence import UNSEEN, Awaited, as_seen, current_allocations, restarts_of
from dtree.footing import Known
from dtree.founding import note_footing, read_needs
from dtree.inspection import details_of_stored, fallen
from dtree.model import Address, FailureKind, JobRef, JobSnapshot
from dtree.observe import read_addresses
from dtree.outcomes import Acted, Fallen, Outcome, Postponed, Promoted, Refused, Renewed, Standing
from dtree.plan import Await, Child, Evaluate, Noop, Refuse, Register, Rerun, Step, Stop
from dtree.ports import Cluster
from dtree.provenance import Registration, noted
from dtree.renewal import Portions, portions
from dtree.returning import note_again

_ADDRESSED_ALLOCATIONS: Final = 10


class Halt(threading.Event):
    """Set when nothing more may be registered; true when set."""

    def __bool__(self) -> bool:
        return self.is_set()


def act(step: Step, needs: Sequence[Standing], cluster: Cluster, halt: Halt, *, token: str = "", at: str = "") -> Outcome:
    """Do a step's action, if all that it needs is still ready. Effects: changes Nomad.

    Args:
        token: of this attempt of this run, so that a child is not dispatched twice where an answer was lost.
        at: when, as text.
    """
    try:
        if found := fallen(needs, cluster):
            return _not_begun(step, found)
        if halt:
            return Refused(step.name, "error", "the run was broken off before this job was touched", untouched=True)
        known = read_needs(step, cluster)
    except ClusterError as error:
        return Refused(step.name, "error", error.problem, error.notes, error.hint)
    if step.is_once and (unnoted := _note_beginning(step, cluster, at)):
        return _refused(step, unnoted, touched=False)
    try:
        outcome = _note_needs(step, _begin_renewal(step, _do(step, cluster), cluster), known, cluster)
        outcome = _dispatch(step, outcome, cluster, halt, token=token)
    except ClusterError as error:
        lost = _is_lost(error) and not (isinstance(step.action, Noop) and step.renewal == "none")
        outcome = _refused(step, error, touched=lost)
    if step.is_once and isinstance(outcome, Refused) and not outcome.touched:
        _note_beginning(step, cluster, beginning(step.before.note))
    return outcome


def renew(step: Step, awaited: Awaited, left: Portions, cluster: Cluster, *, known: Known) -> Outcome:
    """Restart or replace the next portion of what runs of a job; after the last one note what it was started with. Effects: changes it."""
    try:
        awaited, left = _renew_next(step, awaited, left, cluster)
    except ClusterError as error:
        return _refused(step, error, touched=True)
    unnoted = note_footing(step.ref, known, step.footing, cluster) if step.footing is not None and not left else None
    return Renewed(step.name, awaited, left, unnoted)


def promote(step: Step, canaries: Canaries, cluster: Cluster) -> Outcome:
    """Promote the canaries that were seen. Effects: changes Nomad.

    They are named by their deployment, which stands for one version: Nomad itself refuses those of a version that is no more the job's, and
    those that are not healthy. What became of them instead is left to who judges.
    """
    if step.deployment not in ("", canaries.deployment):
        problem = f"the canaries that were to be promoted are gone: version {canaries.version} has others"
        return Refused(step.name, "changed-meanwhile", problem, hint="look at these, then promote again")
    refusal = _attempt(lambda: cluster.promote(step.ref, canaries.deployment))
    lost = _is_lost(refusal)
    try:
        snapshot = cluster.snapshot(step.ref)
    except ClusterError as error:
        return _refused(step, refusal or error, touched=refusal is None or lost)
    if refusal is not None and stored_canaries(snapshot) == canaries:
        return _refused(step, refusal, touched=lost)
    return Promoted(step.name, canaries, snapshot, is_ours=refusal is None or lost)


def finish(
    step: Step, awaited: Awaited | None, refs: Sequence[JobRef], snapshot: JobSnapshot | None, reason: str, cluster: Cluster, *, stack: str
) -> Outcome:
    """Do what is left once a step has reached its condition: purge after a stop, look up addresses after a start."""
    try:
        if awaited is None:
            unnoted = note_again((step,), cluster, stack=stack) if step.forgets else None
            if isinstance(step.action, Stop) and step.action.purge:
                for ref in sorted(refs, key=lambda ref: (ref == step.ref, ref)):
                    cluster.purge(ref)
                unforgotten = _attempt(lambda: cluster.forget(stack, step.ref))
                told = f"{reason}, purged" + ("; what is noted of it stays" if unforgotten else "")
                return Acted(step.name, None, (), ready=told, unforgotten=unforgotten)
            return Acted(step.name, None, (), ready=reason, unnoted=unnoted)
        addresses: tuple[Address, ...] = ()
        if snapshot is not None and not step.job.is_parent and _has_ports(step):
            current = [one for one in current_allocations(snapshot, awaited) if one.client == "running"]
            addresses = read_addresses(step.ref, current[:_ADDRESSED_ALLOCATIONS], cluster)
    except ClusterError as error:
        return Refused(step.name, "error", error.problem, error.notes, error.hint)
    return Acted(step.name, awaited, (), ready=reason, addresses=addresses)


def miss_parent(done: Acted, step: Step, cluster: Cluster) -> Outcome:
    """Say that others took a job away while its children ran, which go on without it. Effects: reads Nomad."""
    try:
        state = cluster.job(step.ref)
    except ClusterError as error:
        return Refused(step.name, "error", error.problem, error.notes, error.hint)
    if state is not None and not state.stopped:
        return done
    why = "somebody stopped the job" if state is not None else "the job is gone: somebody purged it"
    return Refused(step.name, "superseded", f"{why}; {done.ready}", hint="run again to have it there")


def _note_needs(step: Step, outcome: Outcome, known: Known, cluster: Cluster) -> Outcome:
    """Note what a job was started with; of a renewed one only when all of it is, so that a run that breaks off leaves it due."""
    if not isinstance(outcome, Acted) or step.footing is None or not known:
        return outcome
    if step.renewal != "none" and outcome.left != ():
        return replace(outcome, known=known)
    return replace(outcome, unnoted=outcome.unnoted or note_footing(step.ref, known, step.footing, cluster))


def _dispatch(step: Step, outcome: Outcome, cluster: Cluster, halt: Halt, *, token: str) -> Outcome:
    """Begin the children of a job that was just registered, or found unchanged, and note which they are.

    Once the run is broken off none is begun any more; the next run does the rest.
    """
    if not isinstance(outcome, Acted) or outcome.awaited is None or not step.job.dispatches:
        return outcome
    if not step.children:
        return replace(outcome, ready="its children completed before")
    children: dict[JobRef, Awaited] = {}
    ids = [child.id for child in step.children]
    dispatched_now, broken = 0, None
    try:
        for number, child in enumerate(step.children, start=1):
            if halt:
                break
            ref, eval_id = _begin_child(step, child, cluster, token=f"{token}-{number}")
            children[ref] = Awaited(UNSEEN, step.condition, changed=not child.id, eval_id=eval_id, completed=child.is_completed)
            ids[number - 1] = ref.id
            dispatched_now += not child.id
    except ClusterError as error:
        broken = error
    if broken is not None:
        outcome = _refused(step, broken, touched=_is_lost(broken) or outcome.awaited.changed or dispatched_now > 0)
    else:
        # Nomad may have forgotten what has completed; where nothing else is left, it is looked at all the same.
        refs = tuple(ref for ref, awaited in children.items() if not awaited.completed) or tuple(children)
        outcome = replace(outcome, refs=refs, children=children, dispatched=dispatched_now)
    unnoted = _note_children(step, ids, cluster) if dispatched_now else None
    return replace(outcome, unnoted=outcome.unnoted or unnoted) if isinstance(outcome, Acted) else outcome


def _note_beginning(step: Step, cluster: Cluster, at: str) -> ClusterError | None:
    """Note that a run of a job begins that is to be run once: until its end is noted, nobody knows whether it was."""
    if step.provenance is None:
        return None
    stack = step.provenance.stack
    return _attempt(lambda: cluster.change_note(stack, step.ref, lambda items: begun(items, at=at)))


def _begin_child(step: Step, child: Child, cluster: Cluster, *, token: str) -> tuple[JobRef, str]:
    if child.id:
        return replace(step.ref, id=child.id), ""
    asked = child.dispatch
    if asked.force:
        begun = cluster.force(step.ref)
        return begun.ref, begun.eval_id
    begun = cluster.dispatch(step.ref, meta=asked.meta, payload=asked.payload or b"", token=token)
    return begun.ref, begun.eval_id


def _note_children(step: Step, ids: Sequence[str], cluster: Cluster) -> ClusterError | None:
    if step.provenance is None:
        return None
    stack, digest = step.provenance.stack, job_digest(step.job)
    return _attempt(lambda: cluster.change_note(stack, step.ref, lambda items: dispatched(items, digest, ids)))


def _do(step: Step, cluster: Cluster) -> Outcome:
    match step.action:
        case Register(enforce_index=index):
            return _register(step, index, cluster)
        case Noop(version=version, shape=shape):
            return _unchanged(step, version, shape, cluster)
        case Await():
            return Acted(step.name, as_seen(cluster.snapshot(step.ref), step.condition), (step.ref,))
        case Evaluate(version=version, shape=shape):
            cluster.evaluate(step.ref)
            return _unchanged(step, version, shape, cluster)
        case Rerun():
            return _run_again(step, step.action, cluster)
        case Stop(asked=asked):
            children = cluster.children(step.ref) if step.job.is_parent else ()
            if not asked:
                cluster.stop(step.ref)
            # A parent may have launched one more child in the moment before it was stopped.
            children = tuple(sorted({*children, *(cluster.children(step.ref) if step.job.is_parent else ())}))
            for child in children:
                cluster.stop(child)
            return Acted(step.name, None, (step.ref, *children))
        case Refuse(why=why, hint=hint):
            return Refused(step.name, "failed", why, details_of_stored(step, cluster), hint)
        case _:
            return Acted(step.name, None, (), ready=step.cause)


def _begin_renewal(step: Step, outcome: Outcome, cluster: Cluster) -> Outcome:
    """Renew an unchanged job at once, healthy or not; one that was just changed first has to be up again."""
    if step.renewal == "none" or not isinstance(outcome, Acted) or outcome.awaited is None or outcome.awaited.changed:
        return outcome
    left = portions(cluster.snapshot(step.ref), outcome.awaited)
    if not left:
        return outcome
    awaited, left = _renew_next(step, outcome.awaited, left, cluster)
    return replace(outcome, awaited=awaited, left=left)


def _renew_next(step: Step, awaited: Awaited, left: Portions, cluster: Cluster) -> tuple[Awaited, Portions]:
    there = {one.id: one for one in current_allocations(cluster.snapshot(step.ref), awaited) if one.client == "running"}
    renewed = dict(awaited.renewed)
    for one in (there[identity] for identity in left[0] if identity in there):
        if step.renewal == "restart":
            renewed[one.id] = restarts_of(one)
            cluster.restart(step.ref, one.id)
        else:
            renewed[one.id] = None
            cluster.replace(step.ref, one.id)
    if step.renewal == "redeploy" and step.job.type == "system":
        _fill_up(step.ref, cluster)
    return replace(awaited, renewed=renewed), left[1:]


def _fill_up(ref: JobRef, cluster: Cluster) -> None:
    """Have Nomad place what it has stopped of a system job: it places no other by itself.

    It has to have stopped that first: of two evaluations that wait it keeps only the newer one, which would then do no more than that.

    Source: seen with Nomad 1.11.3: after `alloc stop` a system job runs nowhere until something else evaluates it.
    """
    cluster.settle(ref, ended=False)
    cluster.evaluate(ref)


def _run_again(step: Step, action: Rerun, cluster: Cluster) -> Outcome:
    """Make the stored job another one, let Nomad see that, then register ours. Source: docs/explanation/nomad.md.

    What is stopped has ended before it runs again: two runs of one migration at a time are worse than a slow start.
    """
    found = cluster.snapshot(step.ref).job
    if found is not None and found.version != action.version:
        raise Conflict(f"job '{step.name}' was changed since the plan was made", hint=LOOK_FIRST)
    ours = action.version + 1
    if action.way == "revert" and action.stable_version is not None:
        ours = cluster.revert(step.ref, version=action.stable_version, enforce_version=action.version).version
    else:
        cluster.stop(step.ref)
    try:
        settled = cluster.settle(step.ref, ended=action.way != "revert")
        if settled.job is not None and settled.job.version > ours:
            raise Conflict(f"job '{step.name}' was changed by somebody else while it was being run again", hint=LOOK_FIRST)
        if action.way == "purge":
            cluster.purge(step.ref)
            settled = cluster.settle(step.ref, ended=False)
        index = settled.job.modify_index if settled.job is not None else 0
        return _register(step, index, cluster)
    except ClusterError as error:
        return _refused(step, error, touched=True)


def _not_begun(step: Step, found: Sequence[Fallen]) -> Outcome:
    """Say under which need a step is lost; or, where all that fell comes again by itself, what it is postponed for."""
    for one in found:
        if not one.waits:
            return Refused(step.name, one.kind, one.reason, one.details, one.hint, fallen=one.job)
    return Postponed(step.name, {one.job: one.reason for one in found})


def _is_lost(error: ClusterError | None) -> bool:
    """Whether a request was not answered, so that it may have been carried out."""
    return isinstance(error, Unavailable | Unreachable)


def _refused(step: Step, error: ClusterError, *, touched: bool) -> Refused:
    kind: FailureKind = "changed-meanwhile" if isinstance(error, Conflict) else "error"
    return Refused(step.name, kind, error.problem, error.notes, error.hint, touched=touched)


def _register(step: Step, enforce_index: int, cluster: Cluster) -> Acted:
    provenance = None if step.forgets else step.provenance
    registered = cluster.register(step.job, enforce_index=enforce_index, provenance=provenance)
    unnoted = _note(step, Registration(registered.version, registered.modify_index, registered.shape), cluster)
    awaited = Awaited(registered.version, step.condition, changed=True, eval_id=registered.eval_id, shape=registered.shape)
    return Acted(step.name, awaited, (step.ref,), registered.warnings, unnoted=unnoted)


def _unchanged(step: Step, version: int, shape: str, cluster: Cluster) -> Outcome:
    state = cluster.snapshot(step.ref).job
    if state is None or state.version < version:
        return Refused(step.name, "changed-meanwhile", f"job '{step.name}' was removed since the plan was made", hint="run again")
    if state.version > version and state.shape != shape:
        return Refused(step.name, "changed-meanwhile", f"job '{step.name}' was changed since the plan was made", hint=LOOK_FIRST)
    unnoted = _note(step, step.provenance.registered, cluster) if step.provenance is not None and not step.is_noted else None
    awaited = Awaited(state.version, step.condition, changed=False, shape=state.shape, sighted=step.sighted)
    return Acted(step.name, awaited, (step.ref,), unnoted=unnoted)


def _note(step: Step, registered: Registration | None, cluster: Cluster) -> ClusterError | None:
    if step.provenance is None:
        return None
    provenance = replace(step.provenance, registered=registered)
    if step.forgets:
        return note_again((step,), cluster, stack=provenance.stack)
    return _attempt(lambda: cluster.change_note(provenance.stack, step.ref, lambda items: noted(items, provenance)))


def _attempt(write: Callable[[], None]) -> ClusterError | None:
    """Write a note. The job is what matters: that nothing can be noted of it does not make it fail."""
    try:
        write()
    except ClusterError as error:
        return error
    return None


def _has_ports(step: Step) -> bool:
    groups = step.job.spec.get("TaskGroups") or ()
    tasks = [task for group in groups for task in group.get("Tasks") or ()]
    return any(group.get("Networks") for group in groups) or any((task.get("Resources") or {}).get("Networks") for task in tasks)

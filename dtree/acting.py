"""What the executor's workers do: each function acts on Nomad or asks it, and returns what came of it. It keeps no state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dtree import diagnose
from dtree.canaries import Canaries, stored_canaries
from dtree.completion import dispatched, job_digest, succeeded
from dtree.conditions import Answer, leaves, what_lasts
from dtree.decide import is_alive, run_again
from dtree.declaration import Probe
from dtree.errors import ClusterError, Conflict, DtreeError, Unavailable, Unreachable
from dtree.evidence import Awaited, as_found, as_seen, current_allocations, restarts_of
from dtree.health import Broken, Waiting, is_confirmed, is_finished, judge
from dtree.model import Address, CheckResult, FailureKind, JobRef, JobSnapshot, TaskExit
from dtree.observe import look_again
from dtree.plan import Await, Child, Evaluate, Noop, Refuse, Register, Rerun, Step, Stop
from dtree.ports import Cluster
from dtree.provenance import Registration, noted
from dtree.renewal import portions

_LOG_LINES: Final = 20
_ADDRESSED_ALLOCATIONS: Final = 10
_PREFIXES: Final = ("group ", "deployment ")
"""Beginnings of the details whose rest a reason may repeat word for word."""


Portions = tuple[tuple[str, ...], ...]
"""IDs of allocations, those together that are renewed at a time."""


class Halt(threading.Event):
    """Set when nothing more may be registered; true when set."""

    def __bool__(self) -> bool:
        return self.is_set()


@dataclass(frozen=True, slots=True)
class Standing:
    """A step that became ready, and how many allocations of it stood then."""

    step: Step
    awaited: Awaited
    good: int

    @property
    def lasts(self) -> bool:
        """Whether it may fall over: it is meant to run on, or was ready as soon as it ran."""
        if self.step.job.is_parent:
            return False
        return not self.is_batch or any(one.name == "started" for one in leaves(what_lasts(self.awaited.condition)))

    @property
    def is_batch(self) -> bool:
        """Whether it is meant to end."""
        return self.step.job.type in ("batch", "sysbatch")


@dataclass(frozen=True, slots=True)
class Acted:
    """Nomad accepted it.

    Attributes:
        awaited: what the run now waits for; None for a stop.
        refs: jobs to watch: the job itself, for a stop its children too.
        ready: set when nothing is left to wait for.
        unnoted: why what runs could not be noted, or not be forgotten; None where it could.
        forgotten: why it could not be noted that the job has completed; None where it could, or where it has not.
        children: children of the job that are waited for, in place of it, in the order of the dependency file.
        dispatched: how many of these were begun just now.
        left: of what is renewed, the portions that are still to come; None where nothing is.
    """

    job: str
    awaited: Awaited | None
    refs: tuple[JobRef, ...]
    warnings: str = ""
    ready: str | None = None
    addresses: tuple[Address, ...] = ()
    unnoted: ClusterError | None = None
    forgotten: ClusterError | None = None
    children: Mapping[JobRef, Awaited] = field(default_factory=dict)
    dispatched: int = 0
    left: Portions | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not done.

    Attributes:
        fallen: the job that it needs and that is no longer ready.
        untouched: the run was broken off before anything was asked of Nomad.
        touched: Nomad may have done a part of it: the answer was lost, or a later request of the same step was refused.
    """

    job: str
    kind: FailureKind
    reason: str
    details: tuple[str, ...] = ()
    hint: str = ""
    fallen: str = ""
    untouched: bool = False
    touched: bool = False


@dataclass(frozen=True, slots=True)
class Renewed:
    """A portion of a job's allocations is being restarted or replaced; `left` are those still to come."""

    job: str
    awaited: Awaited
    left: Portions


@dataclass(frozen=True, slots=True)
class Promoted:
    """Canaries were to be promoted, and are so, or are no more what they were; `snapshot` was read after that.

    Attributes:
        is_ours: it was this request that promoted them, as far as anybody can tell.
    """

    job: str
    canaries: Canaries
    snapshot: JobSnapshot
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """What the health checks of some allocations say."""

    job: str
    checks: Mapping[str, Sequence[CheckResult]]


@dataclass(frozen=True, slots=True)
class Doubted:
    """A second look, `snapshot`, does not uphold the failure that `first` showed."""

    job: str
    first: JobSnapshot | None
    snapshot: JobSnapshot


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a step broke, and the step of the next attempt, None for none; `upheld` where a second look says it better."""

    job: str
    details: tuple[str, ...]
    again: Step | None
    upheld: Broken | None = None
    exits: tuple[TaskExit, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedAgain:
    """What the last look at the services of a run found: (name, why, details) of those that fell over, or why nobody can tell."""

    fallen: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    error: ClusterError | None = None


Outcome = Acted | Renewed | Promoted | Refused | Checked | Doubted | Explained


def act(step: Step, needs: Sequence[Standing], cluster: Cluster, halt: Halt, *, token: str = "") -> Outcome:
    """Do a step's action, if all that it needs is still ready. Effects: changes Nomad.

    Args:
        token: of this attempt of this run, so that a child is not dispatched twice where an answer was lost.
    """
    try:
        for name, reason, details in fallen(needs, cluster):
            return Refused(step.name, "failed", reason, details, fallen=name)
        if halt:
            return Refused(step.name, "error", "the run was broken off before this job was touched", untouched=True)
    except ClusterError as error:
        return Refused(step.name, "error", error.problem, error.notes, error.hint)
    try:
        return _dispatch(step, _begin_renewal(step, _do(step, cluster), cluster), cluster, halt, token=token)
    except ClusterError as error:
        # A request without an answer may have been carried out.
        lost = isinstance(error, Unavailable | Unreachable) and not (isinstance(step.action, Noop) and step.renewal == "none")
        return _refused(step, error, touched=lost)


def renew(step: Step, awaited: Awaited, left: Portions, cluster: Cluster) -> Outcome:
    """Restart or replace the next portion of what runs of a job. Effects: changes Nomad."""
    try:
        return Renewed(step.name, *_renew_next(step, awaited, left, cluster))
    except ClusterError as error:
        return _refused(step, error, touched=True)


def promote(step: Step, canaries: Canaries, cluster: Cluster) -> Outcome:
    """Promote the canaries that were seen. Effects: changes Nomad.

    They are named by their deployment, which stands for one version: Nomad itself refuses those of a version that is no more the job's, and
    those that are not healthy. What became of them instead is left to who judges.
    """
    if step.deployment not in ("", canaries.deployment):
        problem = f"the canaries that were to be promoted are gone: version {canaries.version} has others"
        return Refused(step.name, "changed-meanwhile", problem, hint="look at these, then promote again")
    refusal = _attempt(lambda: cluster.promote(step.ref, canaries.deployment))
    is_lost = isinstance(refusal, Unavailable | Unreachable)
    try:
        snapshot = cluster.snapshot(step.ref)
    except ClusterError as error:
        return _refused(step, refusal or error, touched=refusal is None or is_lost)
    if refusal is not None and stored_canaries(snapshot) == canaries:
        return _refused(step, refusal, touched=is_lost)
    return Promoted(step.name, canaries, snapshot, is_ours=refusal is None or is_lost)


def fallen(stands: Sequence[Standing], cluster: Cluster) -> list[tuple[str, str, tuple[str, ...]]]:
    """Judge steps that were ready once more.

    A batch job that completed cannot fall over (Nomad may even have forgotten it), one that was ready once it ran can. A service that waits
    again, but with as many good allocations as then, grew; it did not fall.

    Returns:
        (name, why, details) of those that fell, sorted by name.

    Effects: reads Nomad.
    """
    lasting = [one for one in stands if one.lasts]
    snapshots = cluster.snapshots(sorted({one.step.ref for one in lasting})) if lasting else {}
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for one in sorted(lasting, key=lambda one: one.step.name):
        if found and found[-1][0] == one.step.name:
            continue
        snapshot = snapshots[one.step.ref]
        if one.is_batch and snapshot.job is None:
            continue
        condition = what_lasts(one.awaited.condition)
        # Of a job of others' a newer version is theirs to make.
        awaited = as_seen(snapshot, condition) if isinstance(one.step.action, Await) else replace(one.awaited, condition=condition)
        verdict = judge(snapshot, awaited, waited_s=one.step.timeout_s, unplaceable_s=0.0, placement_timeout_s=float("inf"))
        fell = isinstance(verdict, Broken) or (isinstance(verdict, Waiting) and standing(snapshot, one.awaited) < one.good)
        if fell:
            found.append((one.step.name, verdict.reason, _beyond(verdict.reason, _details(snapshot, one.awaited, cluster))))
    return found


def standing(snapshot: JobSnapshot, awaited: Awaited) -> int:
    """Count the allocations that stand: running, and not found unhealthy."""
    return sum(one.client == "running" and one.healthy is not False for one in current_allocations(snapshot, awaited))


def judge_again(stands: Sequence[Standing], cluster: Cluster) -> JudgedAgain:
    """Judge all steps that were ready once more, at the end of a run. Effects: reads Nomad."""
    try:
        return JudgedAgain(tuple(fallen(stands, cluster)))
    except ClusterError as error:
        return JudgedAgain(error=error)


def finish(
    step: Step, awaited: Awaited | None, refs: Sequence[JobRef], snapshot: JobSnapshot | None, reason: str, cluster: Cluster, *, stack: str
) -> Outcome:
    """Do what is left once a step has reached its condition: purge after a stop, look up addresses after a start."""
    try:
        if awaited is None:
            if isinstance(step.action, Stop) and step.action.purge:
                for ref in sorted(refs, key=lambda ref: (ref == step.ref, ref)):
                    cluster.purge(ref)
                unnoted = _attempt(lambda: cluster.forget(stack, step.ref))
                return Acted(step.name, None, (), ready=f"{reason}, purged", unnoted=unnoted)
            return Acted(step.name, None, (), ready=reason)
        found: set[Address] = set()
        if snapshot is not None and not step.job.is_parent and _has_ports(step):
            current = [one for one in current_allocations(snapshot, awaited) if one.client == "running"]
            for allocation in current[:_ADDRESSED_ALLOCATIONS]:
                found.update(cluster.addresses(step.ref, allocation.id))
    except ClusterError as error:
        return Refused(step.name, "error", error.problem, error.notes, error.hint)
    addresses = tuple(sorted(found, key=lambda address: (address.label, address.host, address.port)))
    return Acted(step.name, awaited, (), ready=reason, addresses=addresses)


def remember(outcome: Outcome, step: Step, snapshots: Sequence[JobSnapshot], cluster: Cluster, *, stack: str, at: str) -> Outcome:
    """Note that a job has completed, where it has; whatever its step waited for. Effects: changes Nomad.

    Args:
        snapshots: of the job, or of its children.
        at: when, as text.
    """
    if not isinstance(outcome, Acted) or not step.digest or not all(is_finished(one) for one in snapshots):
        return outcome
    forgotten = _attempt(lambda: cluster.change_note(stack, step.ref, lambda items: succeeded(items, step.digest, at=at)))
    return replace(outcome, forgotten=forgotten)


def read_checks(name: str, ref: JobRef, allocations: Sequence[str], cluster: Cluster) -> Outcome:
    """Ask what the health checks of allocations say; nothing where they cannot be asked. Effects: reads Nomad."""
    try:
        return Checked(name, {allocation: cluster.checks(ref, allocation) for allocation in allocations})
    except ClusterError:
        return Checked(name, {})


def explain(
    step: Step,
    awaited: Awaited | None,
    broken: Broken,
    snapshot: JobSnapshot | None,
    cluster: Cluster,
    *,
    again: bool,
    answers: Mapping[Probe, Answer] | None = None,
    children: Sequence[JobRef] = (),
) -> Outcome:
    """Look once more whether a step broke, find out why, and if asked how to try again. Effects: reads Nomad.

    Args:
        awaited, snapshot: of the job, or of that of its children which broke.
        children: all of these.
        answers: what others than Nomad's lists have answered; they are not asked again.

    The lists behind a first verdict are read at slightly different moments: a failed allocation may be seen before its successor.
    """
    details: tuple[str, ...] = ()
    exits: tuple[TaskExit, ...] = ()
    upheld = None
    try:
        if awaited is not None and broken.kind not in ("timed-out", "awaiting-promotion"):
            first, snapshot = snapshot, cluster.snapshot(broken.child or step.ref)
            long_s = float("inf")
            second = judge(snapshot, awaited, waited_s=long_s, unplaceable_s=long_s, placement_timeout_s=0.0, answers=answers)
            if not is_confirmed(broken, second):
                return Doubted(step.name, first, snapshot)
            # Who stopped or replaced a job shows in some of Nomad's lists earlier than in others.
            upheld = second if isinstance(second, Broken) and second.kind == "superseded" else None
        if awaited is not None and snapshot is not None:
            details = _beyond((upheld or broken).reason, _details(snapshot, awaited, cluster))
            exits = diagnose.exits(snapshot, awaited)
        if not again or step.children:
            return Explained(step.name, details, _dispatch_again(step, children, cluster) if again else None, upheld, exits)
        action, cause = run_again(step.job, look_again(step.job, cluster))
    except DtreeError as error:
        return Explained(step.name, (*details, f"Nomad could not be asked for more: {error.problem}"), None, exits=exits)
    if isinstance(action, Refuse):
        return Explained(step.name, (*details, f"it is not tried again: {action.why}"), None, exits=exits)
    return Explained(step.name, details, replace(step, action=action, change="rerun", cause=cause))


def _dispatch(step: Step, outcome: Outcome, cluster: Cluster, halt: Halt, *, token: str) -> Outcome:
    """Begin the children of a job that was just registered, or found unchanged, and note which they are.

    Once the run is broken off none is begun any more; the next run does the rest.
    """
    if not isinstance(outcome, Acted) or outcome.awaited is None or not step.job.dispatches:
        return outcome
    if not step.children:
        return replace(outcome, ready="its children completed before")
    children: dict[JobRef, Awaited] = {}
    begun, broken = 0, None
    try:
        for number, child in enumerate(step.children, start=1):
            if halt:
                break
            ref, eval_id = _begin_child(step, child, cluster, token=f"{token}-{number}")
            children[ref] = Awaited(0, step.condition, changed=not child.id, eval_id=eval_id)
            begun += not child.id
    except ClusterError as error:
        broken = error
    if broken is not None:
        lost = isinstance(broken, Unavailable | Unreachable)
        outcome = _refused(step, broken, touched=lost or outcome.awaited.changed or begun > 0)
    else:
        outcome = replace(outcome, refs=tuple(children), children=children, dispatched=begun)
    unnoted = _note_children(step, [ref.id for ref in children], cluster) if begun else None
    return replace(outcome, unnoted=outcome.unnoted or unnoted) if isinstance(outcome, Acted) else outcome


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


def _dispatch_again(step: Step, refs: Sequence[JobRef], cluster: Cluster) -> Step | None:
    """Return the step that dispatches again what has failed, and waits for the other children as before; None where the job is gone."""
    state = cluster.job(step.ref)
    if state is None:
        return None
    snapshots = cluster.snapshots(refs)
    kept = [is_alive(snapshots[ref]) or is_finished(snapshots[ref]) for ref in refs]
    children = tuple(replace(child, id=ref.id if keeps else "") for child, ref, keeps in zip(step.children, refs, kept, strict=True))
    return replace(step, action=Noop(state.version, state.shape), change="dispatch", cause="a child failed", children=children)


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
            return Refused(step.name, "failed", why, _details_of_stored(step, cluster), hint)
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
    return replace(awaited, renewed=renewed), left[1:]


def _details_of_stored(step: Step, cluster: Cluster) -> tuple[str, ...]:
    snapshot = cluster.snapshot(step.ref) if step.ref.id else None
    if snapshot is None or snapshot.job is None:
        return ()
    return _details(snapshot, as_found(snapshot.job, step.condition), cluster)


def _run_again(step: Step, action: Rerun, cluster: Cluster) -> Outcome:
    """Make the stored job another one, let Nomad see that, then register ours. Source: docs/explanation/nomad.md.

    What is stopped has ended before it runs again: two runs of one migration at a time are worse than a slow start.
    """
    found = cluster.snapshot(step.ref).job
    if found is not None and found.version != action.version:
        raise Conflict(f"job '{step.name}' was changed since the plan was made", hint="run again")
    ours = action.version + 1
    if action.way == "revert" and action.stable_version is not None:
        ours = cluster.revert(step.ref, version=action.stable_version, enforce_version=action.version).version
    else:
        cluster.stop(step.ref)
    try:
        settled = cluster.settle(step.ref, ended=action.way != "revert")
        if settled.job is not None and settled.job.version > ours:
            raise Conflict(f"job '{step.name}' was changed by somebody else while it was being run again", hint="run again")
        if action.way == "purge":
            cluster.purge(step.ref)
            settled = cluster.settle(step.ref, ended=False)
        index = settled.job.modify_index if settled.job is not None else 0
        return _register(step, index, cluster)
    except ClusterError as error:
        return _refused(step, error, touched=True)


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
        return Refused(step.name, "changed-meanwhile", f"job '{step.name}' was changed since the plan was made", hint="run again")
    unnoted = _note(step, step.provenance.registered, cluster) if step.provenance is not None and not step.is_noted else None
    awaited = Awaited(state.version, step.condition, changed=False, shape=state.shape)
    return Acted(step.name, awaited, (step.ref,), unnoted=unnoted)


def _note(step: Step, registered: Registration | None, cluster: Cluster) -> ClusterError | None:
    if step.provenance is None:
        return None
    provenance = replace(step.provenance, registered=registered)
    if step.forgets:
        return _attempt(lambda: cluster.forget(provenance.stack, step.ref))
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


def _beyond(reason: str, details: Sequence[str]) -> tuple[str, ...]:
    """Leave out of the details what the reason says already; a line about an allocation stays, for it says which and where."""
    return tuple(line for line in details if reason not in line and not (line.startswith(_PREFIXES) and line.partition(": ")[2] in reason))


def _details(snapshot: JobSnapshot, awaited: Awaited, cluster: Cluster) -> tuple[str, ...]:
    """Read the logs and checks that explain a failure; what cannot be read is left out."""
    logs = {}
    checks = {}
    try:
        for question in diagnose.questions(snapshot, awaited):
            logs[question] = cluster.logs(snapshot.ref, question.allocation, question.task, stream=question.stream, lines=_LOG_LINES)
        for allocation in diagnose.check_questions(snapshot, awaited):
            checks[allocation] = cluster.checks(snapshot.ref, allocation)
    except ClusterError as error:
        return (*diagnose.explain(snapshot, awaited, logs=logs, checks=checks), f"its logs cannot be read: {error.problem}; {error.hint}")
    return diagnose.explain(snapshot, awaited, logs=logs, checks=checks)

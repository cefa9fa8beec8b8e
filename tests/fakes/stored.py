"""One job of the FakeCluster: what Nomad keeps of it, and the life of each of its registrations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from dtree.cluster import decode
from dtree.errors import Invalid
from dtree.evidence import restarts_of
from dtree.model import (
    AllocationState,
    DeploymentGroup,
    DeploymentState,
    DryRun,
    EvaluationState,
    JobRef,
    JobSnapshot,
    JobState,
    Placement,
    TaskEvent,
    TaskState,
)
from tests.fakes.clock import FakeClock
from tests.fakes.specs import differences, is_in_place

_SUCCESSFUL_AFTER_S = 1.25
"""So much later than all allocations does a deployment call itself successful."""


class Nomad(Protocol):
    """What a stored job needs of its cluster."""

    clock: FakeClock

    def next_index(self) -> int: ...

    def tell(self, ref: JobRef) -> None: ...


@dataclass(frozen=True, slots=True)
class Renewal:
    """What becomes of an allocation that is restarted or replaced."""

    after_s: float = 0.0
    fails: bool = False


class Life:
    """One registration: what a script tells to happen, unless the job was registered anew, stopped or purged meanwhile."""

    def __init__(self, stored: StoredJob, eval_id: str) -> None:
        self._stored = stored
        self.eval_id = eval_id

    @property
    def is_over(self) -> bool:
        return self._stored.gone or self._stored.life is not self or self._stored.state.stopped

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Let something happen later."""
        self._stored.nomad.clock.after(delay_s, lambda: None if self.is_over else action())

    def do_well(self, after_s: float = 0.0) -> None:
        """Place, run and be healthy; a batch job runs and completes."""
        state = self._stored.state
        if state.is_parent:
            return
        self.place()
        self.run()
        self.after(after_s, self.complete if state.is_batch else self.become_healthy)

    def place(self) -> None:
        """Create the allocations of this version, which replace those of the one before."""
        self._stored.place()

    def run(self) -> None:
        self._stored.change_current(lambda one: replace(one, client="running", tasks={"work": _task("running")}))

    def become_healthy(self) -> None:
        """Be healthy as a whole; the deployment ends a little later, as Nomad's do."""
        self._stored.change_current(lambda one: replace(one, healthy=True) if self._stored.deploys(one.group) else one)
        self._stored.change_deployment(lambda numbers: replace(numbers, healthy=numbers.placed))
        self.after(_SUCCESSFUL_AFTER_S, lambda: self._stored.end_deployment("successful"))

    def complete(self) -> None:
        """End all allocations with exit code 0."""
        self._stored.change_current(
            lambda one: replace(one, client="complete", tasks={"work": replace(_task("dead", 0), restarts=restarts_of(one))})
        )

    def fail(self, code: int = 1, *, rescheduled_by: str = "") -> None:
        """End all allocations with an exit code; without `rescheduled_by`, an evaluation, nothing replaces them."""
        self._stored.change_current(
            lambda one: replace(one, client="failed", followup_eval=rescheduled_by, tasks={"work": _task("dead", code)})
        )
        self._stored.end_deployment("failed", "Failed due to unhealthy allocations")

    def lose_one(self, client: str = "failed") -> None:
        """End the first allocation, and let Nomad place none for it."""
        first = self._stored.current()[0]
        self._stored.put_allocation(replace(first, client=client, tasks={"work": _task("dead", 1)}))

    def replace_failed(self) -> None:
        """Place new allocations for the failed ones; nobody is told of it, as if the lists had been read a moment too early."""
        self._stored.replace_over("failed")

    def break_deployment(self) -> None:
        """Let Nomad give up on the deployment."""
        self._stored.end_deployment("failed", "Failed due to progress deadline")

    def find_no_place(self, why: Placement) -> None:
        """Have the evaluation place nothing."""
        self._stored.leave_unplaced(self.eval_id, why)

    def want_promotion(self, after_s: float = 0.0, then: Script | None = None) -> None:
        """Place one canary a group, which is healthy after so long and waits for somebody; `then` is what becomes of it after that."""
        self._stored.after_promotion = then or Life.take_over
        self._stored.place(canaries=True)
        self.run()
        self.after(after_s, lambda: self.judge_canaries(healthy=True))

    def judge_canaries(self, *, healthy: bool) -> None:
        """Have Nomad find the canaries healthy, or not."""
        self._stored.change_current(lambda one: replace(one, healthy=healthy) if one.canary else one)
        self._stored.change_deployment(lambda numbers: replace(numbers, healthy=int(healthy)))

    def take_over(self, after_s: float = 0.0) -> None:
        """Roll the promoted version out, and be healthy as a whole."""
        self._stored.finish_rollout()
        self.run()
        self.after(after_s, self.become_healthy)


Script = Callable[[Life], None]
"""What becomes of one registration."""


class StoredJob:
    """All that Nomad keeps of one job.

    Args:
        remains: evaluations of a life before, which ended with a purge.
        first_version: of a child that of its parent.
    """

    def __init__(self, nomad: Nomad, ref: JobRef, remains: Iterable[EvaluationState] = (), *, first_version: int = 0) -> None:
        self.nomad = nomad
        self.ref = ref
        self.gone = False
        self.spec: dict[str, Any] = {}
        self.versions: dict[int, dict[str, Any]] = {}
        self.stable: set[int] = set()
        self.stops: set[int] = set()
        self.life = Life(self, "")
        self.state: JobState
        self._allocations: dict[str, AllocationState] = {}
        self._deployments: dict[str, DeploymentState] = {}
        self._evaluations: dict[str, EvaluationState] = {one.id: one for one in remains}
        self._created = 0
        self._first_version = first_version
        self._keeps = False
        self._unfilled: list[tuple[AllocationState, Renewal]] = []
        self.after_promotion: Script = lambda life: life.take_over()

    def register(self, spec: dict[str, Any], index: int, script: Script) -> None:
        """Store a spec; an equal one makes an evaluation and nothing else."""
        if self.is_unchanged(spec):
            self.life.eval_id = self._evaluated("job-register", index)
            self.nomad.tell(self.ref)
            return
        self._keeps = bool(self.versions) and not self.state.stopped and is_in_place(differences(self.spec, spec))
        self._created = self._created or index
        self._set(spec, index)
        self.life = Life(self, self._evaluated("job-register", index))
        script(self.life)
        self.nomad.tell(self.ref)

    def is_unchanged(self, spec: dict[str, Any]) -> bool:
        """Whether registering the spec would make no new version."""
        return bool(self.versions) and spec == self.spec and not self.state.stopped

    def stop(self, index: int, after_s: float) -> str:
        """Make a version that is to run nowhere, also of one that is stopped already."""
        was_stable = self.state.version in self.stable
        self._set(self.spec, index, stopped=True, stable=was_stable)
        eval_id = self._evaluated("job-deregister", index)
        for one in list(self._allocations.values()):
            self._allocations[one.id] = replace(one, desired="stop") if not one.is_over else one
        self.nomad.clock.after(after_s, self._end_all)
        self.nomad.tell(self.ref)
        return eval_id

    def purge(self, index: int) -> tuple[EvaluationState, ...]:
        """End this life of the job; return what Nomad keeps of it."""
        self._evaluated("job-deregister", index)
        self.gone = True
        return tuple(self._evaluations.values())

    def restart(self, alloc_id: str, renewal: Renewal) -> None:
        """Restart the tasks of an allocation, which after a while run again, or end for good."""
        life = self.life
        life.after(renewal.after_s, lambda: self._end_renewal(self._allocations[alloc_id], renewal))

    def replace(self, alloc_id: str, renewal: Renewal) -> None:
        """Stop an allocation and place another one, of a system job with the next evaluation."""
        old = self._allocations[alloc_id]
        if self.state.type == "system":
            self._allocations[old.id] = replace(_ended(old), desired="stop")
            self._unfilled.append((old, renewal))
            self.nomad.tell(self.ref)
        else:
            self._replace(old, renewal)

    def _replace(self, old: AllocationState, renewal: Renewal) -> None:
        """Place an allocation for another one; its tasks after a while run, or end for good."""
        fresh = self._allocation(old.group, 0, canary=False)
        self._allocations[old.id] = replace(_ended(old), desired="stop", next_allocation=fresh.id)
        self._allocations[fresh.id] = replace(fresh, name=old.name)
        self.nomad.tell(self.ref)
        self.life.after(renewal.after_s, lambda: self._end_renewal(self._allocations[fresh.id], renewal))

    def promote(self, deployment_id: str) -> None:
        """Let canaries take over: the other allocations make way, and all of this version are healthy a little later."""
        mine = self._deployments.get(deployment_id)
        if mine is None or mine.status != "running":
            raise Invalid("can't promote terminal deployment")
        healthy = [one.group for one in self.current() if one.canary and one.healthy]
        for name, numbers in mine.groups.items():
            if numbers.desired_canaries and not numbers.promoted and healthy.count(name) < numbers.desired_canaries:
                raise Invalid(f'Task group "{name}" has {healthy.count(name)}/{numbers.desired_canaries} healthy allocations')
        promoted = {name: replace(numbers, promoted=numbers.desired_canaries > 0) for name, numbers in mine.groups.items()}
        self._deployments[deployment_id] = replace(mine, groups=promoted)
        for one in self.current():
            self._allocations[one.id] = replace(one, canary=False)
        self.after_promotion(self.life)
        self.nomad.tell(self.ref)

    def finish_rollout(self) -> None:
        """End the older allocations, and place those of this version that are still missing."""
        there = {one.name: one for one in self.current()}
        for one in list(self._allocations.values()):
            if one.version != self.state.version and not one.is_over:
                self._allocations[one.id] = replace(_ended(one), desired="stop")
        for group in self.state.groups:
            for number in range(group.count):
                if self._name(group.name, number) not in there:
                    fresh = self._allocation(group.name, number, canary=False)
                    self._allocations[fresh.id] = fresh
        self.nomad.tell(self.ref)

    def evaluate(self) -> str:
        """Look again: what was lost is placed anew, what failed for good is not."""
        eval_id = self._evaluated("job-register", self.nomad.next_index())
        self.replace_over("lost")
        unfilled, self._unfilled = self._unfilled, []
        for old, renewal in unfilled:
            self._replace(old, renewal)
        self.nomad.tell(self.ref)
        return eval_id

    def replace_over(self, client: str) -> None:
        """Replace what is lost, or has failed, by allocations that run."""
        for one in self.current():
            if one.client == client:
                fresh = self._allocation(one.group, 0, canary=False)
                healthy = True if self.deploys(one.group) else None
                self._allocations[one.id] = replace(one, next_allocation=fresh.id)
                self._allocations[fresh.id] = replace(fresh, client="running", healthy=healthy, tasks={"work": _task("running")})

    def scale(self, group: str, count: int, index: int, *, after_s: float) -> None:
        """Set a group's count, as an autoscaler does: the running allocations become those of the new version, further ones come up."""
        groups = [{**one, "Count": count} if one["Name"] == group else one for one in self.spec["TaskGroups"]]
        self._set({**self.spec, "TaskGroups": groups}, index, stable=self.state.version in self.stable)
        self._evaluated("job-scaling", index)
        for one in list(self._allocations.values()):
            if one.desired == "run":
                self._allocations[one.id] = replace(one, version=self.state.version)
        life = self.life
        fresh = [self._allocation(group, number, canary=False) for number in range(len(self.current()), count)]
        for one in fresh:
            self._allocations[one.id] = one
        self._deploy()
        life.after(after_s, life.run)
        life.after(after_s, life.become_healthy)
        self.nomad.tell(self.ref)

    def dry_run(self, wanted: dict[str, Any]) -> DryRun:
        """Say what registering another spec would do."""
        counts = {group["Name"]: group["Count"] for group in wanted["TaskGroups"]}
        if self.is_unchanged(wanted):
            return DryRun("None", {name: self._updates_unchanged(name, count) for name, count in counts.items()}, self.state.modify_index)
        changed = differences(self.spec, wanted)
        if self.state.stopped:
            updates = {name: {"place": count} for name, count in counts.items()}
        elif is_in_place(changed):
            updates = {name: self._updates_in_place(name, count) for name, count in counts.items()}
        else:
            updates = {name: {"destructive": count} for name, count in counts.items()}
        return DryRun("Edited", updates, self.state.modify_index, ("Stop", *changed) if self.state.stopped else changed)

    def stable_version(self, below: int) -> int | None:
        return max((one for one in self.stable - self.stops if one < below), default=None)

    def snapshot(self) -> JobSnapshot:
        return JobSnapshot(
            self.ref,
            replace(self.state, status=self._status(), stable=self.state.version in self.stable),
            tuple(self._allocations.values()),
            tuple(self._deployments.values()),
            tuple(self._evaluations.values()),
        )

    def deploys(self, group: str) -> bool:
        return not self.state.is_batch and any(one.name == group and one.deploys for one in self.state.groups)

    def current(self) -> list[AllocationState]:
        """Allocations of this version that count."""
        own = [one for one in self._allocations.values() if one.version == self.state.version]
        return [one for one in own if one.desired == "run" and not one.next_allocation]

    def place(self, *, canaries: bool = False) -> None:
        if any(one.failed_groups for one in self._evaluations.values() if one.create_index >= self._created):
            self._evaluated("queued-allocs", self.nomad.next_index())
        alive = {one.name: one for one in self._allocations.values() if not one.is_over and not one.canary}
        kept = alive if self._keeps and not canaries else {}
        self._keeps = False
        fresh: dict[str, AllocationState] = {}
        for group in self.state.groups:
            for number in range(1 if canaries else group.count):
                name = self._name(group.name, number)
                if name in kept:
                    self._allocations[kept[name].id] = replace(kept[name], version=self.state.version, healthy=None)
                else:
                    fresh[name] = self._allocation(group.name, number, canary=canaries)
        if not canaries:
            for name in [name for name in alive if self._allocations[alive[name].id].version != self.state.version or name in fresh]:
                next_id = fresh[name].id if name in fresh else ""
                self._allocations[alive[name].id] = replace(_ended(alive[name]), desired="stop", next_allocation=next_id)
        for one in [one for one in self._allocations.values() if one.canary and not one.is_over]:
            self._allocations[one.id] = replace(_ended(one), desired="stop")
        self._allocations.update({one.id: one for one in fresh.values()})
        self._deploy(canaries=canaries)
        self.nomad.tell(self.ref)

    def put_allocation(self, one: AllocationState) -> None:
        self._allocations[one.id] = replace(one, modified_s=self.nomad.clock.unix_s())
        self.nomad.tell(self.ref)

    def change_current(self, change: Callable[[AllocationState], AllocationState]) -> None:
        now_s = self.nomad.clock.unix_s()
        for one in self.current():
            self._allocations[one.id] = replace(change(one), modified_s=now_s)
        self.nomad.tell(self.ref)

    def change_deployment(self, change: Callable[[DeploymentGroup], DeploymentGroup]) -> None:
        for one in self._own_deployments():
            groups = {name: change(numbers) for name, numbers in one.groups.items()}
            self._deployments[one.id] = replace(one, groups=groups)
        self.nomad.tell(self.ref)

    def end_deployment(self, status: str, description: str = "") -> None:
        for one in self._own_deployments():
            if one.status == "running":
                self._deployments[one.id] = replace(one, status=status, description=description)
                if status == "successful":
                    self.stable.add(self.state.version)
        self.nomad.tell(self.ref)

    def leave_unplaced(self, eval_id: str, why: Placement) -> None:
        failed = {group.name: why for group in self.state.groups if group.count}
        if eval_id != list(self._evaluations)[-1]:
            eval_id = self._evaluated("alloc-failure", self.nomad.next_index())
        self._evaluations[eval_id] = replace(self._evaluations[eval_id], failed_groups=failed)
        self._deploy()
        self.nomad.tell(self.ref)

    # -- behind it ----------------------------------------------------------------------------------------------------

    def _set(self, spec: dict[str, Any], index: int, *, stopped: bool = False, stable: bool = False) -> None:
        """Make a new version, which ends the deployment of the one before."""
        version = max(self.versions, default=self._first_version - 1) + 1
        self.spec = self.versions[version] = spec
        if stopped:
            self.stops.add(version)
        if stable:
            self.stable.add(version)
        raw = {**spec, "Version": version, "JobModifyIndex": index, "CreateIndex": self._created, "Status": "pending", "Stop": stopped}
        self.state = decode.job(raw)
        why = "Cancelled because job is stopped" if stopped else "Cancelled due to newer version of job"
        for one in list(self._deployments.values()):
            if one.status == "running":
                self._deployments[one.id] = replace(one, status="cancelled", description=why)

    def _evaluated(self, why: str, index: int) -> str:
        """Make an evaluation, which is complete at once; parents have none."""
        if self.state.is_parent:
            return ""
        deployment_id = next((one.id for one in self._own_deployments()), "")
        one = EvaluationState(f"{index:08x}-eval", "complete", why, "", index, self.nomad.next_index(), {}, deployment_id=deployment_id)
        self._evaluations[one.id] = one
        return one.id

    def _deploy(self, *, canaries: bool = False) -> None:
        groups = {
            group.name: _numbers(group.count, canaries=canaries) for group in self.state.groups if self.deploys(group.name) and group.count
        }
        open_already = any(one.status == "running" for one in self._own_deployments())
        if groups and not open_already:
            index = self.nomad.next_index()
            one = DeploymentState(f"{index:08x}-deployment", self.state.version, "running", "Deployment is running", index, groups)
            self._deployments[one.id] = one
            newest = list(self._evaluations.values())[-1]
            self._evaluations[newest.id] = replace(newest, deployment_id=one.id)

    def _own_deployments(self) -> Iterator[DeploymentState]:
        yield from [one for one in self._deployments.values() if one.version == self.state.version]

    def _updates_unchanged(self, group: str, count: int) -> dict[str, int]:
        if self.state.is_parent:
            # As if it were to run itself.
            return {"place": count}
        lost = sum(one.client == "lost" and one.group == group for one in self.current())
        return {"place": lost} if lost else {"ignore": count}

    def _updates_in_place(self, group: str, count: int) -> dict[str, int]:
        alive = sum(one.group == group and not one.is_over for one in self.current())
        found = {"in_place": min(alive, count), "place": count - alive, "stop": alive - count}
        return {way: number for way, number in found.items() if number > 0}

    def _name(self, group: str, number: int) -> str:
        return f"{self.ref.id}.{group}[{number}]"

    def _allocation(self, group: str, number: int, *, canary: bool) -> AllocationState:
        index = self.nomad.next_index()
        return AllocationState(
            id=f"{index:08x}:{self.ref.id}",
            name=self._name(group, number),
            group=group,
            node="node-1",
            version=self.state.version,
            desired="run",
            client="pending",
            healthy=None,
            canary=canary,
            next_allocation="",
            followup_eval="",
            create_index=index,
            modified_s=self.nomad.clock.unix_s(),
            client_description="",
            tasks={},
        )

    def _end_renewal(self, one: AllocationState, renewal: Renewal) -> None:
        restarts = restarts_of(one) + 1
        started = (TaskEvent("Started", "Task started by client", self.nomad.clock.unix_s()),)
        task = replace(_task("dead", 1) if renewal.fails else replace(_task("running"), events=started), restarts=restarts)
        self.put_allocation(replace(one, client="failed" if renewal.fails else "running", tasks={"work": task}))

    def _end_all(self) -> None:
        ending = [one for one in self._allocations.values() if one.desired == "stop" and not one.is_over]
        for one in ending:
            self._allocations[one.id] = _ended(one)
        if ending and not self.gone:
            self.nomad.tell(self.ref)

    def _status(self) -> str:
        if self.state.stopped:
            return "dead"
        if self.state.is_parent:
            return "running"
        current = self.current()
        if any(one.client in ("running", "unknown") for one in current):
            return "running"
        if current and all(one.is_over for one in current) and not any(one.followup_eval for one in current):
            return "dead"
        return "dead" if not any(group.count for group in self.state.groups) else "pending"


def _ended(one: AllocationState) -> AllocationState:
    return replace(one, client="complete", tasks={"work": _task("dead", 0)} if one.tasks else {})


def _numbers(count: int, *, canaries: bool) -> DeploymentGroup:
    wanted = 1 if canaries else 0
    return DeploymentGroup(
        desired_total=count,
        desired_canaries=wanted,
        placed=count if not canaries else 1,
        placed_canaries=wanted,
        healthy=0,
        unhealthy=0,
        promoted=False,
        auto_promote=False,
        auto_revert=False,
    )


def _task(state: str, code: int | None = None) -> TaskState:
    events = () if code is None else (TaskEvent("Terminated", f"Exit Code: {code}", 0.0, {"exit_code": str(code)}),)
    return TaskState("work", state, code not in (None, 0), 0, code, None, oom_killed=False, events=events)

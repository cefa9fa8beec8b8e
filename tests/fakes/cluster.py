"""A Nomad cluster in memory, with behaviour: jobs come up, fail and end as their scripts say, in the time of a FakeClock.

It keeps what Nomad keeps (versions, allocations, deployments, evaluations, indexes) and refuses what Nomad refuses; what would crash
Nomad's leader, a purge while an evaluation is pending or an allocation lives, ends the test. Scripts are in `tests/fakes/scripts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from dtree.decide import is_alive
from dtree.errors import ClusterError, Conflict, Invalid, NotFound, Unavailable
from dtree.model import Address, CheckResult, DryRun, JobRef, JobSnapshot, JobState, RenderedJob, Spec
from dtree.ports import Dispatched, OnChange, OnTrouble, Registered
from dtree.provenance import MARK, Items, Provenance, is_path_of, note_path, read_note, with_comments
from tests.fakes.clock import FakeClock
from tests.fakes.specs import canonical
from tests.fakes.stored import Renewal, Script, StoredJob
from tests.fakes.surroundings import Surroundings

_SETTLE_S = 60.0
_SETTLE_PAUSE_S = 0.1
_CHANGES = ("register", "dispatch", "force", "evaluate", "revert", "promote", "restart", "replace", "stop", "purge")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as Nomad saw it."""

    time_s: float
    what: str
    job: str


class FakeCluster:
    """`ports.Cluster` in memory.

    Args:
        scripts: by job ID what becomes of each registration, one after another; the last stays. Without one a job does well at once.
            Those of the children of `load` stand under `load/`.
        latency_s: how long every request takes.
    """

    address = "http://nomad.example:4646"

    def __init__(self, clock: FakeClock, scripts: Mapping[str, Script | Sequence[Script]] | None = None, *, latency_s: float = 0.0) -> None:
        self.clock = clock
        self.calls: list[Call] = []
        self.jobs: dict[JobRef, StoredJob] = {}
        self.purged: dict[JobRef, JobSnapshot] = {}
        self.latency_s: dict[str, float] = {}
        self.log_lines: dict[str, tuple[str, ...]] = {}
        self.check_results: dict[str, tuple[CheckResult, ...]] = {}
        self.warnings: dict[str, str] = {}
        self.plans: dict[str, DryRun] = {}
        self.parsed: dict[str, Spec] = {}
        self.stop_s: dict[str, float] = {}
        self.renewals: dict[str, Renewal] = {}
        self.bodies: list[Spec] = []
        self.variables: dict[tuple[str, str], Items] = {}
        self.submitted: dict[JobRef, str] = {}
        self.submissions: dict[tuple[JobRef, int], tuple[str, str]] = {}
        self._scripts = {name: [one] if callable(one) else list(one) for name, one in (scripts or {}).items()}
        self._default_latency_s = latency_s
        self._refusals: dict[tuple[str, str], list[ClusterError]] = {}
        self._watches: list[FakeWatch] = []
        self._tokens: dict[tuple[JobRef, str], JobRef] = {}
        self._index = 10
        self.around = Surroundings(clock)
        self.contact = True
        self._lost: str | None = None
        self.no_namespaces = {"nowhere"}
        self.no_regions = {"atlantis"}

    # -- what a test arranges -----------------------------------------------------------------------------------------

    def script(self, job_id: str, *scripts: Script) -> None:
        """Say what becomes of the next registrations of a job."""
        self._scripts[job_id] = list(scripts)

    def refuse(self, what: str, job_id: str, *errors: ClusterError) -> None:
        """Let the next requests of a kind for a job fail, one error each."""
        self._refusals.setdefault((what, job_id), []).extend(errors)

    def has(self, job: RenderedJob, script: Script | None = None, *, for_s: float = 60.0) -> StoredJob:
        """Let a job have been registered by somebody, some time ago."""
        stored = self._store(job, script)
        self.clock.pause(for_s)
        return stored

    def somebody_registers(self, job: RenderedJob, script: Script | None = None) -> None:
        """Let somebody else register another version meanwhile."""
        self._store(job, script)

    def somebody_scales(self, ref: JobRef, group: str, count: int, *, after_s: float = 0.0) -> None:
        """Let an autoscaler set a count, or during a deployment a person: a new version that differs in nothing else."""
        self.jobs[ref].scale(group, count, self.next_index(), after_s=after_s)

    def launch_child(self, parent: JobRef, name: str, script: Script | None = None) -> JobRef:
        """Let a periodic or parameterized job launch a child."""
        return self._begin_child(parent, name, {}, script)

    def collect(self, ref: JobRef) -> None:
        """Let Nomad's garbage collection take a job and all that is known of it."""
        self.jobs.pop(ref).gone = True
        self.purged.pop(ref, None)
        self.tell(ref)

    def lose_contact(self, error: ClusterError, *, region: str | None = None) -> None:
        """Cut the standing queries off, all or those of a region; requests still get through."""
        self.contact = region is not None
        self._lost = region
        for watch in self._watches:
            watch.trouble(region, error)

    def find_contact(self) -> None:
        """Let the standing queries get through again: they report the state as it now is."""
        region, self._lost = self._lost, None
        self.contact = True
        for watch in self._watches:
            watch.trouble(region, None)
            for ref in sorted(watch.followed):
                self.tell(ref)

    # -- what a test asks for afterwards ------------------------------------------------------------------------------

    def called(self, *what: str) -> list[str]:
        """IDs of the jobs for which requests of these kinds came, in order."""
        return [call.job for call in self.calls if call.what in what]

    def called_s(self, what: str, job_id: str) -> float:
        """When the first request of a kind for a job came."""
        return next(call.time_s for call in self.calls if call.what == what and call.job == job_id)

    @property
    def changes(self) -> list[tuple[str, str]]:
        """(what, job ID) of every request that changes Nomad, in order."""
        return [(call.what, call.job) for call in self.calls if call.what in _CHANGES]

    # -- ports.Cluster ------------------------------------------------------------------------------------------------

    def parse(self, text: str, *, file: str, namespace: str, variables: str = "") -> Spec:  # noqa: ARG002 - as the port has it
        self._answer("parse", file)
        if file in self.parsed:
            return self.parsed[file]
        match = re.search(r'job "([^"]*)"', text)
        if match is None:
            raise Invalid("input.hcl:1,1-4: Missing job block; the file has none.")
        kind = re.search(r'type *= *"(\w+)"', text)
        spec = {
            "ID": match[1],
            "Type": kind[1] if kind else None,
            "TaskGroups": [{"Name": "main", "Count": 1, "Tasks": [{"Name": "work"}]}],
        }
        found = {key: re.search(rf'{key.lower()} *= *"(\w+)"', text) for key in ("Namespace", "Region")}
        return {**spec, **{key: where[1] for key, where in found.items() if where}}

    def validate(self, job: RenderedJob) -> str:
        self._answer("validate", job.ref.id)
        return self.warnings.get(job.ref.id, "")

    def dry_run(self, job: RenderedJob) -> DryRun:
        self._answer("dry_run", job.ref.id)
        if job.ref.id in self.plans:
            return self.plans[job.ref.id]
        stored = self.jobs.get(job.ref)
        warnings = self.warnings.get(job.ref.id, "")
        wanted = canonical(job.spec)
        counts = {group["Name"]: group["Count"] for group in wanted["TaskGroups"]}
        if stored is None:
            return DryRun("Added", {name: {"place": count} for name, count in counts.items()}, 0, warnings=warnings)
        return replace(stored.dry_run(wanted), warnings=warnings)

    def snapshot(self, ref: JobRef) -> JobSnapshot:
        # Read when the request came; a slow answer is an old one.
        found = self.peek(ref)
        self._answer("snapshot", ref.id)
        return found

    def snapshots(self, refs: Sequence[JobRef]) -> Mapping[JobRef, JobSnapshot]:
        return {ref: self.snapshot(ref) for ref in refs}

    def job(self, ref: JobRef) -> JobState | None:
        self._answer("job", ref.id)
        return self.peek(ref).job

    def stored(self, ref: JobRef) -> Spec | None:
        self._answer("stored", ref.id)
        return self.jobs[ref].spec if ref in self.jobs else None

    def stable_version(self, ref: JobRef, *, below: int) -> int | None:
        self._answer("stable_version", ref.id)
        return self.jobs[ref].stable_version(below) if ref in self.jobs else None

    def register(self, job: RenderedJob, *, enforce_index: int, provenance: Provenance | None = None) -> Registered:
        self._answer("register", job.ref.id)
        self.submitted[job.ref] = with_comments(job.variables, provenance)
        stored = self.jobs.get(job.ref)
        found = stored.state.modify_index if stored is not None else 0
        if found != enforce_index:
            if stored is None or not stored.is_unchanged(canonical(job.spec)):
                raise Conflict(f"job '{job.name}' was changed by somebody else", hint="run again")
            return Registered(stored.state.version, stored.state.shape, stored.state.modify_index, "")
        self.bodies.append(job.spec)
        now = self._store(job, None)
        self.submissions[job.ref, now.state.version] = (job.text, self.submitted[job.ref])
        return Registered(now.state.version, now.state.shape, now.state.modify_index, now.life.eval_id, self.warnings.get(job.ref.id, ""))

    def evaluate(self, ref: JobRef) -> str:
        self._answer("evaluate", ref.id)
        stored = self._known(ref)
        if stored.state.is_parent:
            raise Invalid("can't evaluate periodic/parameterized job")
        return stored.evaluate()

    def revert(self, ref: JobRef, *, version: int, enforce_version: int) -> Registered:
        self._answer("revert", ref.id)
        stored = self._known(ref)
        if version == stored.state.version:
            raise Invalid("can't revert to current version")
        if stored.state.version != enforce_version:
            raise Conflict(f"job '{ref}' was changed by somebody else", hint="run again")
        if version not in stored.versions:
            raise NotFound(f"job '{ref}' at version {version} not found")
        stored.register(stored.versions[version], self.next_index(), lambda life: life.do_well())
        return Registered(stored.state.version, stored.state.shape, stored.state.modify_index, stored.life.eval_id)

    def promote(self, ref: JobRef, deployment_id: str) -> None:
        self._answer("promote", ref.id)
        self._known(ref).promote(deployment_id)

    def restart(self, ref: JobRef, alloc_id: str) -> None:
        self._answer("restart", ref.id)
        self._known(ref).restart(alloc_id, self.renewals.get(ref.id, Renewal()))

    def replace(self, ref: JobRef, alloc_id: str) -> None:
        self._answer("replace", ref.id)
        self._known(ref).replace(alloc_id, self.renewals.get(ref.id, Renewal()))

    def stop(self, ref: JobRef) -> str:
        self._answer("stop", ref.id)
        if ref not in self.jobs:
            return ""
        return self.jobs[ref].stop(self.next_index(), self.stop_s.get(ref.id, 0.0))

    def purge(self, ref: JobRef) -> None:
        self._answer("purge", ref.id)
        snapshot = self.peek(ref)
        assert all(one.status != "pending" for one in snapshot.evaluations), f"'{ref}' is purged while an evaluation is pending"
        assert all(one.is_over for one in snapshot.allocations), f"'{ref}' is purged while it still runs"
        if ref in self.jobs:
            self.purged[ref] = JobSnapshot(ref, None, evaluations=self.jobs.pop(ref).purge(self.next_index()))
            self.tell(ref)

    def settle(self, ref: JobRef, *, ended: bool) -> JobSnapshot:
        give_up_s = self.clock.now_s() + _SETTLE_S
        while True:
            snapshot = self.peek(ref)
            pending = any(one.status == "pending" for one in snapshot.evaluations)
            if not pending and not (ended and any(not one.is_over for one in snapshot.allocations)):
                return snapshot
            if self.clock.now_s() > give_up_s:
                raise Unavailable(f"job '{ref}' did not come to rest within {_SETTLE_S:.0f} s")
            self.clock.pause(_SETTLE_PAUSE_S)

    def has_namespace(self, name: str, *, region: str) -> bool:
        self._answer("has_namespace", name)
        return name not in self.no_namespaces and f"{name}@{region}" not in self.no_namespaces

    def find_region(self, name: str) -> str:
        if name:
            self._answer("find_region", name)
        if name in self.no_regions:
            raise Invalid(f"No path to region '{name}'", hint="the regions there are: eu, global", code="no-region")
        return "" if name == "global" else name

    def children(self, ref: JobRef) -> tuple[JobRef, ...]:
        self._answer("children", ref.id)
        mine = (other for other, stored in self.jobs.items() if replace(other, id=stored.spec.get("ParentID") or "") == ref)
        return tuple(sorted(other for other in mine if is_alive(self.peek(other))))

    def dispatch(self, ref: JobRef, *, meta: Mapping[str, str], payload: bytes, token: str) -> Dispatched:
        self._answer("dispatch", ref.id)
        known = self._tokens.get((ref, token))
        if known is not None:
            return Dispatched(known, "")
        child = self._begin_child(ref, f"dispatch-{self.next_index()}", {"Meta": dict(meta), "Payload": payload.decode()})
        self._tokens[ref, token] = child
        return Dispatched(child, self.jobs[child].life.eval_id)

    def force(self, ref: JobRef) -> Dispatched:
        self._answer("force", ref.id)
        child = self._begin_child(ref, f"periodic-{self.next_index()}", {})
        return Dispatched(child, self.jobs[child].life.eval_id)

    def notes(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        self._answer("notes", stack)
        found = {ref: self.variables.get((_space(ref), note_path(stack, ref.id))) for ref in refs}
        return {ref: items for ref, items in found.items() if items is not None}

    def notes_of_others(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        self._answer("notes_of_others", stack)
        found: dict[JobRef, Items] = {}
        for ref in refs:
            own = note_path(stack, ref.id)
            others = [
                (noted.registered.modify_index, path, items)
                for (namespace, path), items in self.variables.items()
                if namespace == _space(ref) and path != own and is_path_of(path, ref.id) and MARK in items
                if (noted := read_note(items)) and noted.registered
            ]
            found.update({ref: max(others)[2]} if others else {})
        return found

    def submission(self, ref: JobRef, *, version: int) -> tuple[str, str]:
        self._answer("submission", ref.id)
        state = self.peek(ref).job
        known = range(version, -1, -1) if state is not None and version <= state.version else ()
        return next((self.submissions[ref, one] for one in known if (ref, one) in self.submissions), ("", ""))

    def change_note(self, stack: str, ref: JobRef, change: Callable[[Items], Items]) -> None:
        self._answer("change_note", ref.id)
        place = (_space(ref), note_path(stack, ref.id))
        while True:
            items = self.variables.get(place, {})
            self._refuse_others(items)
            wanted = change(items)
            if items == self.variables.get(place, {}):
                break
        if wanted != items:
            self.calls.append(Call(self.clock.now_s(), "write_note", ref.id))
            self.variables[place] = dict(wanted)
            if not wanted:
                del self.variables[place]

    def forget(self, stack: str, ref: JobRef) -> None:
        self._answer("forget", ref.id)
        place = (_space(ref), note_path(stack, ref.id))
        self._refuse_others(self.variables.get(place, {}))
        self.variables.pop(place, None)

    def logs(self, ref: JobRef, alloc_id: str, task: str, *, stream: Literal["stdout", "stderr"], lines: int) -> Sequence[str]:  # noqa: ARG002 - one task
        self._answer("logs", _owner(alloc_id))
        return self.log_lines.get(self._owner_in(ref, alloc_id), ())[-lines:] if stream == "stderr" else ()

    def checks(self, ref: JobRef, alloc_id: str) -> tuple[CheckResult, ...]:
        self._answer("checks", _owner(alloc_id))
        return self.check_results.get(self._owner_in(ref, alloc_id), ())

    def registered(self, ref: JobRef, service: str, provider: str, allocations: Sequence[str]) -> Mapping[str, tuple[CheckResult, ...]]:
        self._answer("registered", ref.id)
        found = {alloc_id: self.around.registered((alloc_id, _owner(alloc_id)), service, provider) for alloc_id in allocations}
        return {alloc_id: checks for alloc_id, checks in found.items() if checks is not None}

    def log_from(self, ref: JobRef, alloc_id: str, task: str, *, stream: str, offset: int) -> bytes:
        self._answer("log_from", _owner(alloc_id))
        return self.around.log(self._owner_in(ref, alloc_id), task, stream, offset)

    def http_status(self, url: str) -> int:
        self._answer("http_status", url)
        return self.around.status(url)

    def connect(self, host: str, port: int) -> None:
        self._answer("connect", f"{host}:{port}")
        self.around.status(f"{host}:{port}")

    def addresses(self, ref: JobRef, alloc_id: str) -> tuple[Address, ...]:
        self._answer("addresses", _owner(alloc_id))
        return (Address("http", "10.0.0.1", 20_000 + int(alloc_id[:8], 16)),) if self._owner_in(ref, alloc_id) else ()

    def watch(self, on_change: OnChange, on_trouble: OnTrouble) -> FakeWatch:
        watch = FakeWatch(self, on_change, on_trouble)
        self._watches.append(watch)
        return watch

    # -- behind it ----------------------------------------------------------------------------------------------------

    def next_index(self) -> int:
        self._index += 1
        return self._index

    def peek(self, ref: JobRef) -> JobSnapshot:
        """Look at a job without a request."""
        stored = self.jobs.get(ref)
        return stored.snapshot() if stored is not None else self.purged.get(ref, JobSnapshot(ref, None))

    def tell(self, ref: JobRef) -> None:
        """Report a job to whoever follows it."""
        for watch in self._watches:
            if self.contact and ref.region != self._lost and ref in watch.followed:
                watch.on_change(self.peek(ref))

    def _store(self, job: RenderedJob, script: Script | None) -> StoredJob:
        stored = self.jobs.get(job.ref)
        if stored is None:
            stored = self.jobs[job.ref] = StoredJob(self, job.ref, self.peek(job.ref).evaluations)
        stored.register(canonical(job.spec), self.next_index(), script or self._next_script(job.ref.id))
        return stored

    def _begin_child(self, parent: JobRef, name: str, more: Mapping[str, Any], script: Script | None = None) -> JobRef:
        """Store a child; what becomes of it, its parent's scripts say."""
        own = {"ID": f"{parent.id}/{name}", "ParentID": parent.id, "Periodic": None, "ParameterizedJob": None}
        spec = {**self._known(parent).spec, **own, **more}
        ref = replace(parent, id=spec["ID"])
        self.jobs[ref] = StoredJob(self, ref, first_version=self.jobs[parent].state.version)
        self._store(RenderedJob(spec["ID"], ref, "", "", "json", spec), script or self._next_script(f"{parent.id}/"))
        return ref

    def _next_script(self, job_id: str) -> Script:
        scripts = self._scripts.get(job_id)
        if not scripts:
            return lambda life: life.do_well()
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    @staticmethod
    def _refuse_others(items: Items) -> None:
        if items and MARK not in items:
            raise Conflict("the variable holds something else than a note of nomad-dtree", hint="move it")

    def _owner_in(self, ref: JobRef, alloc_id: str) -> str:
        """ID of the job that an allocation belongs to; "" where that is in another region than `ref`, which knows nothing of it."""
        owner = _owner(alloc_id)
        regions = {one.region for one in (*self.jobs, *self.purged) if one.id == owner}
        return owner if ref.region in (regions or {ref.region}) else ""

    def _known(self, ref: JobRef) -> StoredJob:
        if ref not in self.jobs:
            raise NotFound(f"job '{ref}' not found")
        return self.jobs[ref]

    def _answer(self, what: str, job_id: str) -> None:
        self.calls.append(Call(self.clock.now_s(), what, job_id))
        latency_s = self.latency_s.get(f"{what} {job_id}", self._default_latency_s)
        if latency_s:
            self.clock.pause(latency_s)
        errors = self._refusals.get((what, job_id))
        if errors:
            raise errors.pop(0)


class FakeWatch:
    """`ports.Watch`: a first report at once, then one with every change."""

    def __init__(self, cluster: FakeCluster, on_change: OnChange, on_trouble: OnTrouble) -> None:
        self._cluster = cluster
        self.on_change = on_change
        self.on_trouble = on_trouble
        self.followed: set[JobRef] = set()

    def follow(self, ref: JobRef) -> None:
        if ref in self.followed:
            return
        self.followed.add(ref)
        self._cluster.clock.after(0.0, lambda: self._cluster.tell(ref))

    def drop(self, ref: JobRef) -> None:
        self.followed.discard(ref)

    def trouble(self, region: str | None, error: ClusterError | None) -> None:
        """Say of one region, or of each that a followed job is in, that contact is lost or back."""
        for one in sorted({"", *(ref.region for ref in self.followed)} if region is None else {region}):
            self.on_trouble(one, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.followed.clear()


def _space(ref: JobRef) -> str:
    """Where the Variables of a job's namespace are: `shop`, or `shop@eu` in another region."""
    return f"{ref.namespace}@{ref.region}" if ref.region else ref.namespace


def _owner(alloc_id: str) -> str:
    """ID of the job that an allocation belongs to; "" where there is none."""
    return alloc_id.partition(":")[2]

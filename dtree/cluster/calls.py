"""`ports.Cluster` on a real Nomad: one method per question or action."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dtree.access import tcp
from dtree.access.nomad import Connection, NomadClient
from dtree.access.refusals import reasons
from dtree.access.web import Web
from dtree.clock import SystemClock
from dtree.cluster import decode
from dtree.cluster.notes import Notes
from dtree.cluster.regions import Regions
from dtree.cluster.watch import NomadWatch, by_ref, job_filter
from dtree.errors import LOOK_FIRST, Conflict, Denied, Invalid, NotFound, StoreError, Unavailable
from dtree.model import (
    BOOKKEEPING,
    Address,
    CheckResult,
    DryRun,
    JobRef,
    JobSnapshot,
    JobState,
    RenderedJob,
    Spec,
)
from dtree.ports import Dispatched, OnChange, OnTrouble, Registered
from dtree.provenance import Items, Provenance, with_comments

if TYPE_CHECKING:
    from dtree.access.consul import ConsulClient

_LOG_LINE_BYTES = 400
_LOG_PIECE_BYTES = 1 << 20
_ANSWER_S = 3.0
_FEW = 8
_SETTLE_S = 60.0
_SETTLE_PAUSE_S = 0.1


class NomadCluster:
    """A Nomad cluster behind one address.

    Args:
        clock: for back-off between tries and for the threads of the watch.
        consul: opens Consul, for services that are registered there.
    """

    def __init__(self, connection: Connection, clock: SystemClock, consul: Callable[[], ConsulClient] | None = None) -> None:
        self._client = NomadClient(connection, now_s=clock.now_s, pause=clock.pause)
        self._clock = clock
        self._notes = Notes(self._client)
        self._regions = Regions(self._client)
        self._open_consul = consul

    @property
    def address(self) -> str:
        """Its URL, as it may be shown."""
        return self._client.connection.shown

    def parse(self, text: str, *, file: str, namespace: str, variables: str) -> Spec:
        """Parse HCL2 or JSON. Effects: reads Nomad.

        Args:
            variables: values of the HCL2 variables that it declares, as the text of a variables file.

        Raises:
            Invalid: the text is no job; the message keeps Nomad's line and column.
        """
        body = {"JobHCL": text, "Variables": variables}
        spec: Spec = self._client.call("post", "jobs", "parse", params=_named("", namespace), body=body, doing=f"parsing {file}", kind=dict)
        return spec

    def validate(self, job: RenderedJob) -> str:
        """Ask Nomad to validate the job. Effects: reads Nomad.

        Returns:
            Its warnings, "" for none.

        Raises:
            Invalid: with all its errors.
        """
        answer = self._client.call(
            "post", "validate", "job", params=_where(job.ref), body={"Job": job.spec}, doing=f"validating job '{job.name}'"
        )
        if answer.get("ValidationErrors"):
            found = (reason for text in answer["ValidationErrors"] for reason in reasons(text))
            raise Invalid(";\n".join(found), notes=[f"while validating job '{job.name}'"], hint=f"mend {job.file}")
        return decode.warnings(answer)

    def dry_run(self, job: RenderedJob) -> DryRun:
        """Ask Nomad what registering the job would do. Effects: reads Nomad."""
        body = {"Job": job.spec, "Diff": True}
        try:
            answer = self._client.call(
                "post", "job", job.ref.id, "plan", params=_where(job.ref), body=body, doing=f"asking Nomad for its plan of job '{job.name}'"
            )
        except Invalid as error:
            raise Invalid(error.problem, notes=error.notes, hint=error.hint or f"mend {job.file}") from error
        return decode.dry_run(answer)

    def snapshot(self, ref: JobRef) -> JobSnapshot:
        """Read one job and all about it afresh. Effects: reads Nomad, four requests."""
        doing = f"reading job '{ref.id}'"
        state = self.job(ref)
        # Allocations last: whatever an evaluation or a deployment speaks of is then there to be seen.
        tables = {
            table: self._client.call("get", "job", ref.id, table, params=_where(ref), doing=doing) or [] for table in decode.TABLES[::-1]
        }
        return _snapshot(ref, state, tables)

    def snapshots(self, refs: Sequence[JobRef]) -> Mapping[JobRef, JobSnapshot]:
        """Read many jobs afresh. Effects: reads Nomad: three lists and one request a job, or four a job where there are few."""
        if len(refs) <= _FEW:
            return {ref: self.snapshot(ref) for ref in refs}
        found: dict[JobRef, JobSnapshot] = {}
        for region in sorted({ref.region for ref in refs}):
            here = [ref for ref in refs if ref.region == region]
            lists = {table: self._list(table, here, region) for table in decode.TABLES}
            for ref in here:
                found[ref] = _snapshot(ref, self.job(ref), {table: lists[table].get(ref, []) for table in decode.TABLES})
        return found

    def job(self, ref: JobRef) -> JobState | None:
        """Read the stored job; None where there is none. Effects: reads Nomad."""
        try:
            return decode.job(self._client.call("get", "job", ref.id, params=_where(ref), doing=f"reading job '{ref.id}'", kind=dict))
        except NotFound:
            return None

    def stored(self, ref: JobRef) -> Spec | None:
        """Read the stored job as it could be registered again; None where there is none. Effects: reads Nomad."""
        try:
            raw = self._client.call("get", "job", ref.id, params=_where(ref), doing=f"reading job '{ref.id}'", kind=dict)
        except NotFound:
            return None
        return {key: value for key, value in raw.items() if key not in BOOKKEEPING}

    def stable_version(self, ref: JobRef, *, below: int) -> int | None:
        """Newest version under `below` that was stable and no stop. Effects: reads Nomad."""
        try:
            answer = self._client.call("get", "job", ref.id, "versions", params=_where(ref), doing=f"reading versions of job '{ref.id}'")
        except NotFound:
            return None
        stable = [
            raw["Version"] for raw in answer.get("Versions") or () if raw.get("Stable") and not raw.get("Stop") and raw["Version"] < below
        ]
        return max(stable, default=None)

    def register(self, job: RenderedJob, *, enforce_index: int, provenance: Provenance | None = None) -> Registered:
        """Register the job with its source, if nobody changed it since. Effects: changes Nomad.

        An answer that was lost may have been carried out; the next try then meets our own change as a conflict, which is none.
        """
        body = {
            "Job": job.spec,
            "EnforceIndex": True,
            "JobModifyIndex": enforce_index,
            "Submission": {
                "Source": job.text,
                "Format": job.format,
                "Variables": with_comments(job.variables, provenance),
                "VariableFlags": {},
            },
        }
        doing = f"registering job '{job.name}'"
        try:
            answer = self._client.call("post", "jobs", params=_where(job.ref), body=body, doing=doing)
        except Conflict:
            if self.dry_run(job).diff != "None":
                raise
            answer = {}
        return self._registered(job.ref, answer)

    def evaluate(self, ref: JobRef) -> str:
        """Have the job evaluated again, failed allocations rescheduled. Effects: changes Nomad."""
        body = {"JobID": ref.id, "EvalOptions": {"ForceReschedule": True}}
        answer = self._client.call("post", "job", ref.id, "evaluate", params=_where(ref), body=body, doing=f"evaluating job '{ref.id}'")
        return str(answer.get("EvalID") or "")

    def revert(self, ref: JobRef, *, version: int, enforce_version: int) -> Registered:
        """Return to an older version. Effects: changes Nomad."""
        body = {"JobID": ref.id, "JobVersion": version, "EnforcePriorVersion": enforce_version}
        doing = f"returning job '{ref.id}' to version {version}"
        answer = self._client.call("post", "job", ref.id, "revert", params=_where(ref), body=body, doing=doing)
        return self._registered(ref, answer)

    def promote(self, ref: JobRef, deployment_id: str) -> None:
        """Promote the canaries of all groups of a deployment. Effects: changes Nomad.

        A second time it does nothing; Nomad refuses it where canaries are not healthy, and where the deployment is over.
        """
        body = {"DeploymentID": deployment_id, "All": True}
        doing = f"promoting the canaries of job '{ref.id}'"
        self._client.call("post", "deployment", "promote", deployment_id, params=_where(ref), body=body, doing=doing)

    def restart(self, ref: JobRef, alloc_id: str) -> None:
        """Restart all tasks of an allocation in place; returns before they run again. Effects: changes Nomad."""
        doing = f"restarting an allocation of job '{ref.id}'"
        self._client.call("put", "client", "allocation", alloc_id, "restart", params=_where(ref), body={"AllTasks": True}, doing=doing)

    def replace(self, ref: JobRef, alloc_id: str) -> None:
        """Stop an allocation, so that Nomad places another one. Effects: changes Nomad. Source: docs/explanation/nomad.md."""
        doing = f"replacing an allocation of job '{ref.id}'"
        self._client.call("put", "allocation", alloc_id, "stop", params=_where(ref), body={}, doing=doing)

    def stop(self, ref: JobRef) -> str:
        """Stop the job; it stays known to Nomad. Effects: changes Nomad."""
        try:
            answer = self._client.call("delete", "job", ref.id, params=_where(ref), doing=f"stopping job '{ref.id}'")
        except NotFound:
            return ""
        return str(answer.get("EvalID") or "")

    def purge(self, ref: JobRef) -> None:
        """Remove the job. Effects: changes Nomad. Source: docs/explanation/nomad.md (a purge too early crashes Nomad's leader)."""
        try:
            self._client.call("delete", "job", ref.id, params={**_where(ref), "purge": "true"}, doing=f"purging job '{ref.id}'")
        except NotFound:
            return

    def settle(self, ref: JobRef, *, ended: bool) -> JobSnapshot:
        """Wait until Nomad has seen the last change through. Effects: reads Nomad.

        Raises:
            Unavailable: it took more than a minute, or with `ended` a minute more than the job's own time to stop.
        """
        snapshot = self.snapshot(ref)
        stop_s = max([group.stop_timeout_s for group in snapshot.job.groups] if snapshot.job and ended else [], default=0.0)
        give_up_s = self._clock.now_s() + _SETTLE_S + stop_s
        while not _is_settled(snapshot, ended=ended):
            if self._clock.now_s() > give_up_s:
                raise Unavailable(f"job '{ref}' did not come to rest in {_SETTLE_S + stop_s:.0f} s", hint="look at its evaluations")
            self._clock.pause(_SETTLE_PAUSE_S)
            snapshot = self.snapshot(ref)
        return snapshot

    def has_namespace(self, name: str, *, region: str) -> bool:
        """Whether there is such a namespace in a region; True where the token may not know. Effects: reads Nomad."""
        return self._client.has_namespace(name, region=region)

    def find_region(self, name: str) -> str:
        """Return the name of a region in a JobRef; Invalid where there is no way to it. Effects: reads Nomad, once for each name."""
        return self._regions.find(name)

    def children(self, ref: JobRef) -> tuple[JobRef, ...]:
        """Children of a periodic or parameterized job that still run, or whose allocations do. Effects: reads Nomad."""
        params = {**_where(ref), "prefix": f"{ref.id}/"}
        answer = self._client.call("get", "jobs", params=params, doing=f"listing children of job '{ref.id}'") or ()
        return tuple(sorted(replace(ref, id=raw["ID"]) for raw in answer if raw.get("ParentID") == ref.id and _is_alive(raw)))

    def dispatch(self, ref: JobRef, *, meta: Mapping[str, str], payload: bytes, token: str) -> Dispatched:
        """Dispatch a child of a parameterized job. Effects: changes Nomad.

        A request whose answer was lost is sent again with the same token, so that it has one child: Nomad then names that one, but no
        evaluation.
        """
        body = {"Meta": dict(meta), "Payload": b64encode(payload).decode()}
        params = {**_where(ref), "idempotency_token": token}
        doing = f"dispatching job '{ref.id}'"
        answer = self._client.call("post", "job", ref.id, "dispatch", params=params, body=body, doing=doing, kind=dict)
        return Dispatched(replace(ref, id=answer["DispatchedJobID"]), answer.get("EvalID") or "")

    def force(self, ref: JobRef) -> Dispatched:
        """Run a periodic job now, out of its turn. Effects: changes Nomad.

        Nomad names only the evaluation of the child, which tells whose it is.
        """
        doing = f"forcing a run of job '{ref.id}'"
        answer = self._client.call("post", "job", ref.id, "periodic", "force", params=_where(ref), doing=doing, kind=dict)
        evaluation = self._client.call("get", "evaluation", answer["EvalID"], params=_where(ref), doing=doing, kind=dict)
        return Dispatched(replace(ref, id=evaluation["JobID"]), evaluation["ID"])

    def notes(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        """What is noted of jobs of a stack, all of one namespace; Denied where the token may not read it. Effects: reads Nomad."""
        return self._notes.read(stack, refs)

    def notes_of_others(self, stack: str, refs: Sequence[JobRef]) -> Mapping[JobRef, Items]:
        """What other stacks have noted of jobs, all of one namespace; of several the latest registration. Effects: reads Nomad."""
        return self._notes.read_others(stack, refs)

    def submission(self, ref: JobRef, *, version: int) -> tuple[str, str]:
        """Source and variables that a version of a job was registered with; both "" where there are none. Effects: reads Nomad."""
        params = {**_where(ref), "version": str(version)}
        doing = f"reading what job '{ref.id}' was registered with"
        try:
            answer = self._client.call("get", "job", ref.id, "submission", params=params, doing=doing, kind=dict)
        except NotFound:
            return "", ""
        return answer.get("Source") or "", answer.get("Variables") or ""

    def change_note(self, stack: str, ref: JobRef, change: Callable[[Items], Items]) -> None:
        """Change a job's note; `change` is asked again where somebody else wrote it meanwhile. Effects: changes Nomad."""
        self._notes.change(stack, ref, change)

    def forget(self, stack: str, ref: JobRef) -> None:
        """Remove a job's note, if there is one. Effects: changes Nomad."""
        self._notes.forget(stack, ref)

    def logs(self, ref: JobRef, alloc_id: str, task: str, *, stream: Literal["stdout", "stderr"], lines: int) -> Sequence[str]:
        """Last lines of a task's log; empty where they cannot be had. Effects: reads Nomad."""
        params = {**_where(ref), "task": task, "type": stream, "plain": "true", "origin": "end", "offset": str(lines * _LOG_LINE_BYTES)}
        try:
            text = self._client.text("client", "fs", "logs", alloc_id, params=params)
        except (NotFound, Invalid):
            return ()
        return text.splitlines()[-lines:]

    def checks(self, ref: JobRef, alloc_id: str) -> tuple[CheckResult, ...]:
        """Nomad-provider checks of an allocation; empty where they cannot be had. Effects: reads Nomad."""
        try:
            return decode.checks(self._client.call("get", "client", "allocation", alloc_id, "checks", params=_where(ref)))
        except (NotFound, Invalid):
            return ()

    def registered(
        self, ref: JobRef, service: str, provider: Literal["nomad", "consul"], allocations: Sequence[str]
    ) -> dict[str, tuple[CheckResult, ...]]:
        """Of some allocations of a job those that registered a service, each with all its checks. Effects: reads Nomad, or Consul.

        Nomad's registrations carry no health, so it is asked for the checks of each; Consul's answer holds all of it.
        """
        if provider == "consul":
            return {one: checks for one, checks in self._in_consul(service).items() if one in allocations}
        raws = self._client.call("get", "service", service, params=_where(ref), doing=f"looking for service '{service}'", kind=list)
        known = {raw["AllocID"] for raw in raws}
        return {one: self.checks(ref, one) for one in allocations if one in known}

    def log_from(self, ref: JobRef, alloc_id: str, task: str, *, stream: Literal["stdout", "stderr"], offset: int) -> bytes:
        """Read a piece of a task's log; b"" where there is no more, or none (any more). Effects: reads Nomad."""
        params = {**_where(ref), "task": task, "type": stream, "plain": "true", "origin": "start", "offset": str(offset)}
        try:
            return self._client.piece("client", "fs", "logs", alloc_id, params=params, most_bytes=_LOG_PIECE_BYTES)
        except (NotFound, Invalid):
            return b""

    def http_status(self, url: str) -> int:
        """Status of the answer to a GET, wherever it leads; NotAnswered where there is none soon. Effects: one request."""
        until_s = self._clock.now_s() + _ANSWER_S
        return Web(now_s=self._clock.now_s, pause=self._clock.pause, until_s=until_s).status(url)

    def connect(self, host: str, port: int) -> None:
        """Have a TCP connection accepted; NotAnswered where it soon is not. Effects: one connection."""
        tcp.connect(host, port, timeout_s=_ANSWER_S)

    def addresses(self, ref: JobRef, alloc_id: str) -> tuple[Address, ...]:
        """Where the ports of an allocation answer. Effects: reads Nomad."""
        try:
            return decode.addresses(self._client.call("get", "allocation", alloc_id, params=_where(ref)))
        except NotFound:
            return ()

    def watch(self, on_change: OnChange, on_trouble: OnTrouble) -> NomadWatch:
        """Begin standing queries. Effects: reads Nomad from threads of its own until closed."""
        return NomadWatch(self._client, self._clock, read=self.snapshot, read_job=self.job, on_change=on_change, on_trouble=on_trouble)

    @cached_property
    def _consul(self) -> ConsulClient:
        if self._open_consul is None:
            raise Unavailable("Consul is not set up here", hint="ask where its settings are known")
        return self._open_consul()

    def _in_consul(self, service: str) -> dict[str, tuple[CheckResult, ...]]:
        try:
            return decode.consul_instances(self._consul.instances(service))
        except StoreError as error:
            kind = Denied if error.error_code == "consul-denied" else Unavailable
            raise kind(error.problem, notes=error.notes, hint=error.hint, code=error.error_code) from error

    def _registered(self, ref: JobRef, answer: Mapping[str, Any]) -> Registered:
        # The answer has no version, and of an unchanged job its JobModifyIndex is another one than the stored job's.
        state = self.job(ref)
        if state is None:
            raise Conflict(f"job '{ref}' was removed by somebody else right after we registered it", hint="run again")
        accepted = answer.get("JobModifyIndex") or state.modify_index
        if state.modify_index > accepted:
            raise Conflict(f"job '{ref}' was changed by somebody else right after we registered it", hint=LOOK_FIRST)
        return Registered(state.version, state.shape, state.modify_index, answer.get("EvalID") or "", decode.warnings(answer))

    def _list(self, table: str, refs: Sequence[JobRef], region: str) -> dict[JobRef, list[Mapping[str, Any]]]:
        params = {**_named(region, "*"), "filter": job_filter(refs)}
        return by_ref(self._client.call("get", table, params=params, doing=f"listing {table}") or (), refs)


def _named(region: str, namespace: str) -> dict[str, str]:
    return {key: value for key, value in (("region", region), ("namespace", namespace)) if value}


def _where(ref: JobRef) -> dict[str, str]:
    return _named(ref.region, ref.namespace)


def _is_settled(snapshot: JobSnapshot, *, ended: bool) -> bool:
    """Nothing of the job is still to be decided; a delayed reschedule, which waits for its time, is no decision."""
    if any(one.status == "pending" and one.wait_until_s is None for one in snapshot.evaluations):
        return False
    return not ended or all(one.is_over for one in snapshot.allocations)


def _is_alive(raw: Mapping[str, Any]) -> bool:
    groups = ((raw.get("JobSummary") or {}).get("Summary") or {}).values()
    return raw["Status"] != "dead" or any(group.get("Running") or group.get("Starting") for group in groups)


def _snapshot(ref: JobRef, state: JobState | None, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> JobSnapshot:
    return JobSnapshot(ref=ref, job=state, **{table: decode.rows(table, raws) for table, raws in tables.items()})

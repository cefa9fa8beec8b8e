"""Children that the dependency file asks for: their payloads, and whether the job file takes them. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from dtree.declaration import Dispatch, Entry, Locator
from dtree.errors import Fault, StoreError, StoreUnreachable
from dtree.model import RenderedJob
from dtree.store import Snapshot

__all__ = ["PAYLOAD_BYTES", "Payloads", "dispatch_faults", "read_payloads", "with_dispatches"]

PAYLOAD_BYTES: Final = 16 * 1024
"""Largest payload that Nomad takes. Source: DispatchPayloadSizeLimit of Nomad 1.11.3."""

CODE: Final = "bad-dispatch"

Payloads = tuple[Mapping[str, tuple[Dispatch, ...]], Mapping[str, tuple[Fault, ...]]]
"""What is dispatched of each job, with its payload; what is wrong with payloads: both by job name."""


def with_dispatches(
    jobs: Mapping[str, RenderedJob], payloads: Payloads, locator: Locator
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    """Return the jobs with what is to be dispatched of them, and what is wrong with that, both by name. Pure.

    Args:
        payloads: what came of `read_payloads`, of these jobs at least.
    """
    found, unread = payloads
    whole = {name: replace(job, dispatches=found.get(name, ())) for name, job in jobs.items()}
    faults: dict[str, tuple[Fault, ...]] = {}
    for name, job in whole.items():
        wrong = (*unread.get(name, ()), *dispatch_faults(job, locator))
        faults.update({name: wrong} if wrong else {})
    return {name: job for name, job in whole.items() if name not in faults}, faults


def read_payloads(snapshot: Snapshot, entries: Iterable[Entry], locator: Locator) -> Payloads:
    """Read the files that payloads are in.

    Raises:
        StoreUnreachable: the store cannot be asked.

    Effects: reads the store.
    """
    found: dict[str, tuple[Dispatch, ...]] = {}
    faults: dict[str, tuple[Fault, ...]] = {}
    for entry in entries:
        pairs = [_read(one, snapshot, locator) for one in entry.dispatches]
        found.update({entry.name: tuple(one for one, _ in pairs)} if pairs else {})
        wrong = tuple(fault for _, told in pairs for fault in told)
        faults.update({entry.name: wrong} if wrong else {})
    return found, faults


def dispatch_faults(job: RenderedJob, locator: Locator) -> list[Fault]:
    """Say what keeps Nomad from taking what is to be dispatched of a job, before the job is registered."""
    return [fault for one in job.dispatches for fault in _faults_of(one, job, locator)]


def _read(one: Dispatch, snapshot: Snapshot, locator: Locator) -> tuple[Dispatch, tuple[Fault, ...]]:
    place = locator.place((*one.path, "payload"))
    if one.file:
        try:
            one = replace(one, payload=snapshot.read(one.file).data)
        except StoreUnreachable:
            raise
        except StoreError as error:
            problem = f"the payload cannot be read: {error.problem}"
            return one, (Fault(CODE, problem, place, error.hint or "name a file of the store by its path from the root"),)
    size = len(one.payload or b"")
    if size > PAYLOAD_BYTES:
        problem = f"the payload has {size} bytes, and Nomad takes at most {PAYLOAD_BYTES}"
        return one, (Fault(CODE, problem, place, "have the task fetch it with an artifact block, and dispatch its address as meta"),)
    return one, ()


def _faults_of(one: Dispatch, job: RenderedJob, locator: Locator) -> list[Fault]:
    place = locator.place(one.path)
    if one.force:
        problem, hint = _against_force(one, job)
        return [Fault(CODE, problem, place, hint)] if problem else []
    takes = job.spec.get("ParameterizedJob")
    if not takes:
        hint = "give it a `parameterized` block, or write `force: true`" if job.spec.get("Periodic") else "give it a `parameterized` block"
        return [Fault(CODE, f"job '{job.name}' is not parameterized, so nothing of it can be dispatched", place, hint)]
    return [
        Fault(CODE, problem, place, hint)
        for problem, hint in (*_against_meta(one, job.name, takes), *_against_payload(one, job.name, takes))
    ]


def _against_force(one: Dispatch, job: RenderedJob) -> tuple[str, str]:
    if not job.spec.get("Periodic"):
        return f"job '{job.name}' is not periodic, so it has no turn that it could be run out of", "remove `force`"
    if not one.is_alone:
        return f"job '{job.name}' is periodic: a run of it takes neither meta nor a payload", "keep `force: true` alone"
    return "", ""


def _against_meta(one: Dispatch, name: str, takes: Mapping[str, object]) -> list[tuple[str, str]]:
    required, optional = _names(takes.get("MetaRequired")), _names(takes.get("MetaOptional"))
    missing = [key for key in required if key not in one.meta]
    unknown = sorted(set(one.meta) - {*required, *optional})
    known = f"it takes {', '.join(dict.fromkeys([*required, *optional]))}" if required or optional else "it takes none"
    return [
        *[(f"a dispatch of job '{name}' lacks the meta key '{key}'", "its `meta_required` names it: give it a value") for key in missing],
        *[(f"job '{name}' takes no meta key '{key}'", f"{known}: `meta_required` and `meta_optional` name them") for key in unknown],
    ]


def _against_payload(one: Dispatch, name: str, takes: Mapping[str, object]) -> list[tuple[str, str]]:
    rule = takes.get("Payload") or "optional"
    is_unread = bool(one.file) and one.payload is None
    if rule == "required" and not one.payload and not is_unread:
        return [(f"a dispatch of job '{name}' lacks its payload", 'the job file says `payload = "required"`: give it one')]
    if rule == "forbidden" and one.payload:
        return [(f"job '{name}' takes no payload", 'the job file says `payload = "forbidden"`: remove it')]
    return []


def _names(given: object) -> list[str]:
    return [str(one) for one in given] if isinstance(given, list) else []

"""Standing queries: three blocking lists (allocations, deployments, evaluations) serve a whole run, or each region of it.

Each list is filtered to the followed jobs and asked again from the index it last had. Nothing can be lost: whatever was missed is in the
next answer. Where blocking queries do not get through (a proxy that cuts them, a limit on connections) the same lists are polled.

Source: docs/adr/0004-blocking-lists.md.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from dtree.access.nomad import NomadClient
from dtree.clock import SystemClock
from dtree.cluster import decode
from dtree.errors import ClusterError, Denied
from dtree.model import JobRef, JobSnapshot, JobState
from dtree.ports import OnChange, OnTrouble

_WAIT_S: Final = 30.0
_GATHER_S: Final = 0.05
_POLL_S: Final = 1.0
_POLLS_BEFORE_BLOCKING: Final = 30
_CUTS_BEFORE_POLLING: Final = 2

Rows = tuple[Any, ...]


class NomadWatch:
    """Follow a changing set of jobs and report each change; a context manager that ends its threads' work when left.

    Args:
        read: reads a job afresh; used once when a job is first followed.
        read_job: reads the stored job; used when its evaluations changed, as every change of a job makes one.
        on_change, on_trouble: see `ports.Cluster.watch`.
    """

    def __init__(
        self,
        client: NomadClient,
        clock: SystemClock,
        *,
        read: Callable[[JobRef], JobSnapshot],
        read_job: Callable[[JobRef], JobState | None],
        on_change: OnChange,
        on_trouble: OnTrouble,
    ) -> None:
        self._client = client
        self._clock = clock
        self._read = read
        self._read_job = read_job
        self._on_change = on_change
        self._on_trouble = on_trouble
        self._changed = threading.Condition()
        self._followed: dict[JobRef, JobSnapshot] = {}
        self._fresh: set[tuple[JobRef, str]] = set()
        self._whole: set[JobRef] = set()
        self._generation = 0
        self._regions: set[str] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def follow(self, ref: JobRef) -> None:
        """Report `ref` from now on; the first report comes at once. Effects: reads Nomad from another thread."""
        with self._changed:
            if ref in self._followed:
                return
            self._followed[ref] = JobSnapshot(ref=ref, job=None)
            self._generation += 1
            new_region = ref.region not in self._regions
            self._regions.add(ref.region)
            self._changed.notify_all()
        if new_region:
            for table in decode.TABLES:
                self._clock.start(_Loop(self, self._client, self._clock, table, ref.region).run)
        self._clock.start(lambda: self._first_report(ref))

    def drop(self, ref: JobRef) -> None:
        """Report it no longer."""
        with self._changed:
            self._followed.pop(ref, None)
            self._whole.discard(ref)
            self._fresh -= {(ref, table) for table in decode.TABLES}
            self._generation += 1

    def trouble(self, region: str, error: ClusterError | None) -> None:
        """Pass on that contact with a region was lost, or is back."""
        self._on_trouble(region, error)

    def wanted(self, region: str) -> tuple[int, list[JobRef]] | None:
        """Wait until some job of the region is followed; None when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(ref.region == region for ref in self._followed))
            if self._closed:
                return None
            return self._generation, sorted(ref for ref in self._followed if ref.region == region)

    def take(self, table: str, asked: Sequence[JobRef], raws: Iterable[Mapping[str, Any]]) -> None:
        """Take a list's answer for the jobs it was asked for, and report those that changed."""
        found = by_ref(raws, asked)
        for ref in asked:
            decoded = decode.rows(table, found.get(ref, ()))
            with self._changed:
                before = self._followed.get(ref)
                known = (ref, table) in self._fresh
            if before is None or (known and getattr(before, table) == decoded):
                continue
            # Every change of a job makes an evaluation, so this is when the stored job may have changed.
            state = self._read_job(ref) if table == "evaluations" else None
            with self._changed:
                if ref not in self._followed:
                    continue
                snapshot = _with(self._followed[ref], {table: decoded})
                if table == "evaluations":
                    snapshot = replace(snapshot, job=state)
                self._followed[ref] = snapshot
                # Only now: a list that counts as read before its job is, lets another one report a job that seems to be gone.
                self._fresh.add((ref, table))
                # A job without its allocations looks as if it had ended: nothing half-read is reported.
                whole = ref in self._whole or all((ref, one) in self._fresh for one in decode.TABLES)
                if whole:
                    self._whole.add(ref)
            if whole:
                self._on_change(snapshot)

    def _first_report(self, ref: JobRef) -> None:
        try:
            first = self._read(ref)
        except ClusterError as error:
            self._on_trouble(ref.region, error)
            return
        with self._changed:
            if ref not in self._followed:
                return
            # A list that answered in between is at least as fresh: every later change of it will be reported.
            newer = {table: getattr(self._followed[ref], table) for table in decode.TABLES if (ref, table) in self._fresh}
            if "evaluations" in newer:
                newer["job"] = self._followed[ref].job
            snapshot = self._followed[ref] = _with(first, newer)
            self._whole.add(ref)
        self._on_change(snapshot)


class _Loop:
    """One standing query: asks, takes the answer, asks again from the index it gave."""

    def __init__(self, watch: NomadWatch, client: NomadClient, clock: SystemClock, table: str, region: str) -> None:
        self._watch = watch
        self._client = client
        self._clock = clock
        self._table = table
        self._region = region
        self._index = 0
        self._generation = -1
        self._cuts = 0
        self._polls_left = 0
        self._trouble = False
        self._pause_s = _POLL_S / 2

    def run(self) -> None:
        """Ask until the watch is closed."""
        while (wanted := self._watch.wanted(self._region)) is not None:
            generation, refs = wanted
            pause_s = self._ask(generation, refs)
            if pause_s is None:
                return
            self._clock.pause(pause_s)

    def _ask(self, generation: int, refs: Sequence[JobRef]) -> float | None:
        """Ask once; return how long to pause before the next, None to give up."""
        # An answer for other jobs, or a poll, wants the state as it is and not the next change.
        at_once = generation != self._generation or self._polls_left > 0
        index = 0 if at_once else self._index
        params = {"namespace": "*", "filter": job_filter(refs), **({"region": self._region} if self._region else {})}
        started_s = self._clock.now_s()
        try:
            new_index, raws = self._client.blocking(self._table, params=params, index=index, wait_s=_WAIT_S)
            self._watch.take(self._table, refs, raws or ())
        except ClusterError as error:
            return self._failed(error, was_blocking=index > 0)
        if self._trouble:
            self._trouble = False
            self._watch.trouble(self._region, None)
        self._pause_s = _POLL_S / 2
        self._generation = generation
        unheld = index > 0 and new_index == index and self._clock.now_s() - started_s < _WAIT_S / 2
        self._index = new_index if new_index >= self._index else 0
        if self._polls_left:
            self._polls_left -= 1
            return _POLL_S
        if index > 0:
            self._cuts = 0
        # Nomad, or something before it, that answers at once without news would make this a busy loop.
        return _POLL_S if unheld else _GATHER_S

    def _failed(self, error: ClusterError, *, was_blocking: bool) -> float | None:
        if isinstance(error, Denied):
            self._watch.trouble(self._region, error)
            return None
        self._generation = -1
        if was_blocking:
            self._cuts += 1
            if self._cuts >= _CUTS_BEFORE_POLLING:
                self._polls_left = _POLLS_BEFORE_BLOCKING
            return _GATHER_S
        self._trouble = True
        self._watch.trouble(self._region, error)
        self._pause_s = min(self._pause_s * 2, 5 * _POLL_S)
        return self._pause_s


def _with(snapshot: JobSnapshot, tables: Mapping[str, Rows]) -> JobSnapshot:
    fields: dict[str, Any] = dict(tables)
    return replace(snapshot, **fields)


def job_filter(refs: Iterable[JobRef]) -> str:
    """Write the filter expression that keeps the followed jobs.

    One regular expression: 64 names cost Nomad 5 ms over 1,000 allocations, 64 terms joined by `or` 90 ms.
    """
    names = "|".join(sorted({re.escape(ref.id).replace("`", r"\x60") for ref in refs}))
    return f"JobID matches `^({names})$`"


def by_ref(raws: Iterable[Mapping[str, Any]], refs: Iterable[JobRef]) -> dict[JobRef, list[Mapping[str, Any]]]:
    """Sort list items to the jobs they belong to: a list of all namespaces also holds namesakes."""
    wanted = {(ref.namespace, ref.id): ref for ref in refs}
    found: dict[JobRef, list[Mapping[str, Any]]] = {}
    for raw in raws:
        ref = wanted.get((raw["Namespace"], raw["JobID"]))
        if ref is not None:
            found.setdefault(ref, []).append(raw)
    return found

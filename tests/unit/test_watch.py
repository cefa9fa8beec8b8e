"""How the lists of a job become one snapshot, whatever order they come in; no server, no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dtree.access.nomad import Connection, NomadClient
from dtree.clock import SystemClock
from dtree.cluster import decode
from dtree.cluster.watch import NomadWatch
from dtree.model import JobRef, JobSnapshot, JobState

REF = JobRef("default", "web", "")

JOB: Mapping[str, Any] = {
    "ID": "web",
    "Version": 0,
    "JobModifyIndex": 5,
    "CreateIndex": 5,
    "Status": "pending",
    "Stop": False,
    "Type": "service",
    "TaskGroups": [],
}


class IdleClock(SystemClock):
    """Starts nothing: the test itself does what the threads would do."""

    def __init__(self) -> None:
        self.works: list[Callable[[], None]] = []

    def start(self, work: Callable[[], None]) -> None:
        self.works.append(work)


class World:
    """A watch that follows one job, and what it reported."""

    def __init__(self) -> None:
        self.reports: list[JobSnapshot] = []
        self.state = decode.job(JOB)
        self.while_the_job_is_read: Callable[[], None] = lambda: None
        self.clock = IdleClock()
        client = NomadClient(Connection(), now_s=self.clock.now_s, pause=self.clock.pause)
        self.watch = NomadWatch(
            client,
            self.clock,
            read=self.read,
            read_job=self.read_job,
            on_change=self.reports.append,
            on_trouble=lambda _region, _error: None,
        )
        self.watch.follow(REF)

    def read(self, ref: JobRef) -> JobSnapshot:
        return JobSnapshot(ref=ref, job=self.state)

    def read_job(self, ref: JobRef) -> JobState | None:
        assert ref == REF
        self.while_the_job_is_read()
        return self.state

    def first_report(self) -> None:
        self.clock.works[-1]()


def test_nothing_is_reported_before_all_three_lists_are_known() -> None:
    world = World()
    world.watch.take("allocations", [REF], ())
    world.watch.take("deployments", [REF], ())
    assert world.reports == []
    world.watch.take("evaluations", [REF], ())
    assert [report.job for report in world.reports] == [world.state]


def test_a_job_is_never_reported_as_gone_because_it_is_just_being_read() -> None:
    world = World()
    world.watch.take("deployments", [REF], ())
    # The third list comes in while the second waits for the job itself.
    world.while_the_job_is_read = lambda: world.watch.take("allocations", [REF], ())
    world.watch.take("evaluations", [REF], ())
    assert world.reports
    assert [report.job for report in world.reports] == [world.state] * len(world.reports)


def test_the_first_report_does_not_overwrite_a_newer_job() -> None:
    world = World()
    older = world.state
    newer = decode.job({**JOB, "Version": 1, "JobModifyIndex": 9})

    def read_slowly(ref: JobRef) -> JobSnapshot:
        world.state = newer
        world.watch.take("evaluations", [REF], ())
        return JobSnapshot(ref=ref, job=older)

    world.watch._read = read_slowly
    world.first_report()
    assert world.reports[-1].job == newer


def test_a_dropped_job_is_reported_no_longer() -> None:
    world = World()
    world.watch.drop(REF)
    for table in decode.TABLES:
        world.watch.take(table, [REF], ())
    world.first_report()
    assert world.reports == []

"""dtree.sources: what a store holds, without Nomad."""

from __future__ import annotations

import pytest

from dtree.errors import DeclarationError, GoalError, StoreError, UsageError
from dtree.sources import Sources, check, goals, read
from tests.fakes.jobs import job_file
from tests.fakes.store import MemorySnapshot

SHOP = {"web": {"pre": "api"}, "api": {"pre": "db"}, "db": {"post": "setup"}}


def shop() -> MemorySnapshot:
    return MemorySnapshot({"dependencies": SHOP}, {f"{name}.json": job_file(name) for name in ("web", "api", "db", "setup")})


def sources_of(snapshot: MemorySnapshot) -> Sources:
    return read(snapshot, store="memory")


def test_reading_takes_the_dependency_file_and_no_job_file() -> None:
    snapshot = shop()
    sources = sources_of(snapshot)
    assert snapshot.reads == ["dependency.json"]
    assert (sources.store, sources.declaration.stack, sorted(sources.graph.entries)) == ("memory", "memory", ["api", "db", "setup", "web"])


def test_a_store_without_a_dependency_file_is_told() -> None:
    with pytest.raises(StoreError):
        sources_of(MemorySnapshot(None))


def test_goals_are_sorted_and_each_once() -> None:
    assert goals(sources_of(shop()), ["web", "api", "web"], everything=False) == ("api", "web")


def test_everything_is_every_job_of_the_file() -> None:
    assert goals(sources_of(shop()), [], everything=True) == ("api", "db", "setup", "web")


def test_no_goal_is_a_usage_error_and_never_everything() -> None:
    with pytest.raises(UsageError, match="no job is named"):
        goals(sources_of(shop()), [], everything=False)


def test_everything_goes_with_no_job_name() -> None:
    with pytest.raises(UsageError, match="--all"):
        goals(sources_of(shop()), ["web"], everything=True)


def test_an_unknown_goal_is_told() -> None:
    with pytest.raises(GoalError):
        goals(sources_of(shop()), ["wbe"], everything=False)


def test_a_check_finds_everything_without_nomad() -> None:
    snapshot = MemorySnapshot(
        {"dependencies": {"api": {}, "db": {}, "web": {"file": "nowhere.json"}, "good": {"file": "good.json"}}},
        {"db.json": job_file("db"), "db.nomad": job_file("db")},
        files={"good.json": job_file("good")},
    )
    with pytest.raises(DeclarationError) as caught:
        check(snapshot, store="memory")
    assert [fault.code for fault in caught.value.faults] == ["job-file-missing", "job-file-ambiguous", "store-error"]


def test_a_check_without_a_fault_gives_the_sources() -> None:
    assert sorted(check(shop(), store="memory").graph.entries) == ["api", "db", "setup", "web"]

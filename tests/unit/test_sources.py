"""dtree.sources: what a store holds, without Nomad."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dtree_stores.filesystem import FilesystemStore

from dtree.access.nomad import Connection
from dtree.errors import DeclarationError, GoalError, StoreError, UsageError
from dtree.sources import Sources, check, goals, read
from dtree.store import StoreContext
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


def test_a_check_reads_every_job_file_and_tells_all_that_are_no_text() -> None:
    snapshot = MemorySnapshot(
        {"dependencies": {"a": {}, "b": {}, "c": {"file": "c.txt"}, "d": {}}},
        {"a.json": b"", "b.json": b"job {\n\xff", "d.json": job_file("d")},
        files={"c.txt": b" \n"},
    )
    with pytest.raises(DeclarationError) as caught:
        check(snapshot, store="memory")
    assert [(fault.code, fault.problem) for fault in caught.value.faults] == [
        ("bad-job-file", "the job file of 'a' is empty"),
        ("not-utf-8", "the job file of 'b' is not UTF-8"),
        ("bad-job-file", "the job file of 'c' is empty"),
    ]


def test_a_check_of_a_folder_tells_every_job_file_that_cannot_be_read(tmp_path: Path) -> None:
    root = tmp_path / "shop"
    (root / "jobs").mkdir(parents=True)
    (root / "dependency.json").write_text('{"dependencies": {"outside": {}, "pipe": {}, "good": {}}}')
    (tmp_path / "elsewhere").write_text("job {}")
    (root / "jobs/outside").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "jobs/pipe")
    (root / "jobs/good").write_text("job {}")
    settings = {"fs_root": root, "fs_depfile_path": None, "fs_jobs_path": None}
    store = FilesystemStore(settings, StoreContext(cwd=tmp_path, cache=tmp_path, nomad=Connection))
    with pytest.raises(DeclarationError) as caught:
        check(store.snapshot(), store="filesystem")
    assert [fault.code for fault in caught.value.faults] == ["store-outside", "store-not-a-file"]


def test_a_job_that_only_has_a_job_file_is_a_goal_with_the_defaults_of_the_file() -> None:
    snapshot = MemorySnapshot({"defaults": {"timeout": 7}, "dependencies": {"a": {}}}, {"a.json": job_file("a"), "v.json": job_file("v")})
    sources = read(snapshot, store="memory", asked=["v"])
    assert goals(sources, ["v"], everything=False) == ("v",)
    assert (sources.graph.needs["v"], sources.graph.entries["v"].timeout_s) == ((), sources.graph.entries["a"].timeout_s)


def test_a_goal_without_a_job_file_stays_unknown() -> None:
    sources = read(shop(), store="memory", asked=["wbe"])
    with pytest.raises(GoalError):
        goals(sources, ["wbe"], everything=False)

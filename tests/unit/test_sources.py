"""dtree.sources: what a store holds, without Nomad."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.filesystem import FilesystemStore
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from dtree.access.nomad import Connection
from dtree.errors import DeclarationError, GoalError, StoreError, TagError, UsageError
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


TAGGED = {
    "defaults": {"tags": ["shop"]},
    "dependencies": {"web": {}, "api": {"tags": ["data"]}, "db": {"tags": ["data", "disk"], "post": "setup"}},
}


def tagged(*names: str, tags: Sequence[str] = (), skip: Sequence[str] = (), everything: bool = False) -> tuple[str, ...]:
    files = {f"{name}.json": job_file(name) for name in ("web", "api", "db", "setup")}
    return goals(sources_of(MemorySnapshot(TAGGED, files)), names, everything=everything, tags=tags, skip=skip)


def test_tags_are_an_entrys_own_or_those_of_the_defaults() -> None:
    assert tagged(tags=["data"]) == ("api", "db")
    assert tagged(tags=["shop"]) == ("setup", "web")


def test_what_is_nothing_but_a_hook_has_the_tags_of_its_own_entry_only() -> None:
    db = {"pre_stop": ["backup", "report"], "post_stop": "wipe"}
    jobs: dict[str, Any] = {"db": db, "backup": {}, "report": {"tags": ["all"]}, "web": {"pre": "report"}}
    file = {"defaults": {"tags": ["all"]}, "dependencies": jobs}
    sources = sources_of(MemorySnapshot(file, {f"{name}.json": job_file(name) for name in (*jobs, "wipe")}))
    assert goals(sources, [], everything=False, tags=["all"]) == ("db", "report", "web")
    jobs["wipe"] = {"tags": ["all"]}
    sources = sources_of(MemorySnapshot(file, {f"{name}.json": job_file(name) for name in jobs}))
    assert "wipe" in goals(sources, [], everything=False, tags=["all"])


def test_several_tags_in_one_are_a_usage_error_that_says_how_to_give_them() -> None:
    with pytest.raises(UsageError, match="'data,tag=disk' is no tag, and --selector takes one") as caught:
        tagged(tags=["data,tag=disk"])
    assert caught.value.hint == "repeat the option: `--selector tag=data --selector tag=disk`"


def test_tags_and_names_add_up() -> None:
    assert tagged("web", tags=["disk", "disk"]) == ("db", "web")
    assert tagged(tags=["disk", "shop"]) == ("db", "setup", "web")


def test_what_is_skipped_is_no_goal() -> None:
    assert tagged(everything=True, skip=["db"]) == ("api", "setup", "web")
    assert tagged(tags=["data"], skip=["db"]) == ("api",)


def test_skipping_all_that_is_asked_for_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="all that is asked for is skipped"):
        tagged(tags=["disk"], skip=["db"])


def test_an_unknown_tag_or_job_to_skip_is_told_with_the_nearest() -> None:
    with pytest.raises(TagError, match=r"no job of dependency\.json has the tag 'dta'") as caught:
        tagged(tags=["dta"])
    assert caught.value.hint == "did you mean 'data'?"
    with pytest.raises(TagError) as caught:
        tagged(tags=["xyz"])
    assert caught.value.hint == "the tags there are: data, disk, shop"
    with pytest.raises(GoalError):
        tagged("web", skip=["wbe"])


def test_where_no_job_has_a_tag_the_hint_says_how_to_give_one() -> None:
    with pytest.raises(TagError) as caught:
        goals(sources_of(shop()), [], everything=False, tags=["x"])
    assert caught.value.hint == "give jobs `tags: [NAME]` in their entries"


def test_a_file_without_jobs_has_no_goals_and_that_is_no_error() -> None:
    assert goals(sources_of(MemorySnapshot({"dependencies": {}})), [], everything=True) == ()


def test_a_check_finds_everything_without_nomad() -> None:
    snapshot = MemorySnapshot(
        {"dependencies": {"api": {}, "db": {}, "web": {"file": "nowhere.json"}, "good": {"file": "good.json"}}},
        {"db.json": job_file("db"), "db.nomad": job_file("db")},
        files={"good.json": job_file("good")},
    )
    with pytest.raises(DeclarationError) as caught:
        check(snapshot, store="memory")
    assert [fault.code for fault in caught.value.faults] == ["job-file-missing", "job-file-ambiguous", "store-file-missing"]
    place = caught.value.faults[-1].place
    assert place is not None
    assert place.key == "dependencies.web.file"


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


def test_faults_of_the_graph_come_with_those_of_the_file() -> None:
    entries = {"a": {"pre": "b", "timout": 3}, "b": {"pre": ["a", "zzz"]}}
    with pytest.raises(DeclarationError) as caught:
        sources_of(MemorySnapshot({"dependencies": entries}, {name: job_file(name) for name in ("a", "b")}))
    assert [fault.code for fault in caught.value.faults] == ["cycle", "unknown-key", "job-named-nowhere"]


def test_a_fault_is_not_told_a_second_time_by_the_graph() -> None:
    entries = {"a": {"pre": ["a", "b"]}, "b": {"retries": "x"}}
    with pytest.raises(DeclarationError) as caught:
        sources_of(MemorySnapshot({"dependencies": entries}, {name: job_file(name) for name in ("a", "b")}))
    assert [fault.code for fault in caught.value.faults] == ["self-edge", "wrong-type"]


# -- faults of the file and of its graph ----------------------------------------------------------------------------------


def codes_of(depfile: object, files: Sequence[str] = (), *, name: str = "dependency.json") -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        sources_of(MemorySnapshot(depfile, {f"{job}.json": job_file(job) for job in files}, name=name))
    return [fault.code for fault in caught.value.faults]


def test_faults_of_the_keys_and_of_the_graph_come_at_once_in_the_order_of_the_file() -> None:
    depfile = {"dependencies": {"a": {"pre": "b", "timout": 3}, "b": {"pre": ["a", "zzz"]}}}
    assert codes_of(depfile) == ["cycle", "unknown-key", "job-named-nowhere"]


def test_a_self_edge_is_told_once_and_hides_no_cycle() -> None:
    depfile = {"dependencies": {"a": {"pre": ["a", "b"]}, "b": {"pre": "a", "post": "b"}}}
    assert codes_of(depfile) == ["self-edge", "cycle", "self-edge"]


def test_a_post_edge_that_could_not_be_read_makes_no_cycle_of_those_beside_it() -> None:
    whole = {"db": {"post": ["setup", "warm"]}, "setup": {"pre": "db"}, "warm": {"pre": "setup"}}
    sources_of(MemorySnapshot({"dependencies": whole}))
    assert codes_of({"dependencies": {**whole, "db": {"post": [{"jb": "setup"}, "warm"]}}}) == ["missing-key", "unknown-key"]


NAMES = "abcde"
ENTRIES = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries(
            {
                "pre": st.lists(st.sampled_from(NAMES[:place]), unique=True, max_size=1) if place else st.just([]),
                "post": st.lists(st.sampled_from(NAMES[place + 1 :]), unique=True, max_size=2) if NAMES[place + 1 :] else st.just([]),
            }
        )
        for place, name in enumerate(NAMES)
    }
)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(ENTRIES, st.data())
def test_an_edge_that_could_not_be_read_adds_no_fault_to_its_own(entries: dict[str, dict[str, list[str]]], data: st.DataObject) -> None:
    try:
        sources_of(MemorySnapshot({"dependencies": entries}))
    except DeclarationError:
        reject()
    name, side = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(["pre", "post"]))
    broken = [{"jb": job} if data.draw(st.booleans()) else job for job in entries[name][side]] + [{"jb": "f"}]
    changed = {**entries, name: {**entries[name], side: broken}}
    assert set(codes_of({"dependencies": changed})) == {"missing-key", "unknown-key"}


@pytest.mark.parametrize(
    ("depfile", "codes"),
    [
        ({"dependencies": {"api": {"pre": "db"}}, "db": {}}, ["unknown-key"]),
        ({"dependencies": {"api": {"pre": "db"}, "db ": {}}}, ["bad-name"]),
        ({"dependencies": {"api": {"pre": "db"}, "db": 5}}, ["wrong-type"]),
        ({"dependencies": {"api": {"pre": "db"}}, "extra": 1}, ["job-named-nowhere", "unknown-key"]),
    ],
)
def test_a_job_whose_entry_could_not_be_read_is_not_told_as_named_nowhere(depfile: object, codes: list[str]) -> None:
    assert codes_of(depfile) == codes


def test_a_fault_of_the_text_hides_no_cycle_and_makes_no_job_unknown() -> None:
    depfile = "dependencies:\n  a: {pre: [b, c]}\n  b: {pre: a}\n  <<: *gone\n"
    assert codes_of(depfile, name="dependency.yaml") == ["cycle", "bad-alias"]


def test_faults_that_were_cut_off_are_not_followed_by_others() -> None:
    depfile = {"dependencies": {f"j{number}": {"timeot": 1, "pre": "zzz"} for number in range(600)}}
    assert set(codes_of(depfile)) == {"unknown-key", "too-many-faults"}

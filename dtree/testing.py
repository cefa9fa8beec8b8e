"""PUBLIC: tests that every store passes. For authors of store plugins; needs pytest.

import pytest
pytest.register_assert_rewrite("dtree.testing")
from dtree.testing import StoreContract

class TestRamStore(StoreContract):
    def store(self, files):
        return RamStore({"ram_greeting": "hi"}, self.context(), files)

    def change(self, store, files):
        store.files = dict(files)

For a store that can be written to, subclass WritableStoreContract instead.
"""

# ruff: noqa: D102, S101 - a contract is made of tests: assertions, under names that are sentences

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from dtree.errors import DeclarationError
from dtree.store import Changes, Snapshot, Store, StoreChanged, StoreContext, StoreError, StoreFileMissing
from dtree.store_checks import (
    OUTSIDE,
    can_be_closed,
    declares_its_options,
    gives_its_depfile,
    has_revisions,
    is_declared,
    knows_whether_it_is_writable,
    lists_its_jobs,
    reads_its_jobs,
    refuses,
    stays_as_it_is,
    tells_what_is_missing,
    waits_in_time,
)

if TYPE_CHECKING:
    from dtree.access.nomad import Connection

DEPFILE: Final = b'{"dependencies": {"nginx": {"pre": "api"}, "api": {}}}'

FILES: Final[Mapping[str, bytes]] = {
    "dependency.json": DEPFILE,
    "config/nginx.conf": b"server {}\n",
    "jobs/api.nomad": b'job "api" {}\n',
    "jobs/batch/nightly report.nomad.hcl": b'job "nightly" {}\n',
    "jobs/nginx.hcl": b'job "nginx" {}\n',
    "jobs/r\xe9sum\xe9.nomad": b'job "resume" {}\n',
}
"""By path from the root of the store; jobs stand below `jobs/`."""


class StoreContract(ABC):
    """What a store promises. Subclass it as `Test...` and say how a store with given files is made."""

    @abstractmethod
    def store(self, files: Mapping[str, bytes]) -> Store:
        """Return a store that holds just `files`, by path from its root; jobs stand below `jobs/`."""

    @abstractmethod
    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        """Replace what the store holds by `files`."""

    def context(self, cwd: Path | None = None) -> StoreContext:
        """Return a context for the store: a working folder, a cache that does not exist yet, and no Nomad."""
        folder = cwd or Path.cwd()
        return StoreContext(cwd=folder, cache=folder / ".cache-of-the-store", nomad=_no_nomad)

    def test_it_is_written_for_this_interface(self) -> None:
        self._see(is_declared)

    def test_every_declared_option_has_a_setting(self) -> None:
        self._see(declares_its_options)

    def test_the_dependency_file_is_given_byte_for_byte(self) -> None:
        text = self._snapshot(FILES).depfile()
        assert text.data == DEPFILE
        assert text.path.endswith("dependency.json")

    def test_a_store_without_a_dependency_file_says_so(self) -> None:
        files = {path: data for path, data in FILES.items() if path != "dependency.json"}
        with pytest.raises(StoreFileMissing) as caught:
            self._snapshot(files).depfile()
        assert caught.value.hint

    def test_what_is_read_is_bytes_and_a_path_to_show(self) -> None:
        self._see(gives_its_depfile)

    def test_job_files_are_listed_by_path_and_sorted(self) -> None:
        self._see(lists_its_jobs)
        expected = sorted(path.removeprefix("jobs/") for path in FILES if path.startswith("jobs/"))
        assert list(self._snapshot(FILES).list_jobs()) == expected

    def test_jobs_are_named_by_their_path_without_the_suffix(self) -> None:
        assert self._snapshot(FILES).job_names() == ("api", "batch/nightly report", "nginx", "r\xe9sum\xe9")

    def test_many_job_files_are_read_by_the_paths_that_were_asked_for(self) -> None:
        texts = self._snapshot(FILES).read_jobs(["nginx.hcl", "batch/nightly report.nomad.hcl"])
        assert {path: text.data for path, text in texts.items()} == {
            "nginx.hcl": FILES["jobs/nginx.hcl"],
            "batch/nightly report.nomad.hcl": FILES["jobs/batch/nightly report.nomad.hcl"],
        }

    def test_a_job_file_is_the_same_read_alone_or_with_all(self) -> None:
        self._see(reads_its_jobs)

    def test_it_says_which_of_some_files_it_has(self) -> None:
        asked = ["versions.yaml", "config/nginx.conf", "no-such-folder/versions.yaml", "dependency.json"]
        assert list(self._snapshot(FILES).present(asked)) == ["config/nginx.conf", "dependency.json"]

    def test_what_it_says_of_its_commit_goes_together(self) -> None:
        snapshot = self._snapshot(FILES)
        assert snapshot.commit is None or (snapshot.commit.id and snapshot.commit.ref)
        assert snapshot.commit is not None or not (snapshot.tag() or snapshot.describe())

    def test_jobs_are_found_by_name_whatever_their_suffix(self) -> None:
        texts = self._snapshot(FILES).jobs(["nginx", "api", "batch/nightly report", "r\xe9sum\xe9"])
        assert [text.data for text in texts.values()] == [FILES[f"jobs/{file}"] for file in sorted(_job_files(), key=_stem)]

    def test_a_job_file_may_be_named_by_its_path_from_the_root(self) -> None:
        texts = self._snapshot(FILES).jobs(["web"], {"web": "config/nginx.conf"})
        assert texts["web"].data == FILES["config/nginx.conf"]

    def test_all_missing_and_ambiguous_jobs_are_told_at_once(self) -> None:
        snapshot = self._snapshot({**FILES, "jobs/api.hcl": b""})
        with pytest.raises(DeclarationError) as caught:
            snapshot.jobs(["api", "ngin", "nginx"])
        assert [fault.code for fault in caught.value.faults] == ["job-file-ambiguous", "job-file-missing"]
        assert caught.value.faults[1].hint == "did you mean 'nginx'?"

    def test_reading_no_job_is_no_error(self) -> None:
        assert self._snapshot({"dependency.json": DEPFILE}).jobs([]) == {}

    def test_a_store_without_jobs_lists_none(self) -> None:
        assert list(self._snapshot({"dependency.json": DEPFILE}).list_jobs()) == []

    def test_a_job_file_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(StoreFileMissing, match=r"vault\.nomad"):
            self._snapshot(FILES).read_jobs(["vault.nomad"])

    def test_any_file_is_read_by_its_path_from_the_root(self) -> None:
        assert self._snapshot(FILES).read("config/nginx.conf").data == FILES["config/nginx.conf"]

    def test_a_file_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(StoreFileMissing, match=r"apache\.conf"):
            self._snapshot(FILES).read("config/apache.conf")

    def test_a_file_that_does_not_exist_is_told_with_a_hint(self) -> None:
        self._see(tells_what_is_missing)

    @pytest.mark.parametrize("path", OUTSIDE)
    def test_no_path_leads_out_of_the_root(self, path: str) -> None:
        refuses(self._snapshot(FILES), path)

    def test_bytes_that_are_no_text_pass_unchanged(self) -> None:
        data = bytes(range(256))
        assert self._snapshot({**FILES, "jobs/api.nomad": data}).jobs(["api"])["api"].data == data

    def test_an_empty_file_is_a_file(self) -> None:
        assert self._snapshot({**FILES, "jobs/api.nomad": b""}).jobs(["api"])["api"].data == b""

    def test_names_of_many_kinds_are_kept(self) -> None:
        names = [
            "a b",
            "a/b/c/d",
            "batch/nightly report",
            "caf\xe9",
            "\u65e5\u672c\u8a9e",
            "with'quote",
            "x+y@z=1,2",
            "100%",
            "a:b",
            "UPPER",
        ]
        files = {"dependency.json": DEPFILE, **{f"jobs/{name}.nomad": name.encode() for name in names}}
        snapshot = self._snapshot(files)
        assert snapshot.job_names() == tuple(sorted(names))
        assert {name: text.data.decode() for name, text in snapshot.jobs(names).items()} == {name: name for name in names}

    def test_two_thousand_jobs_are_read_in_one_go(self) -> None:
        files = {f"jobs/{number:04}.nomad": b"job %d" % number for number in range(2000)}
        snapshot = self._snapshot({"dependency.json": DEPFILE, **files})
        texts = snapshot.jobs(f"{number:04}" for number in range(2000))
        assert [text.data for text in texts.values()] == list(files.values())

    def test_a_change_is_noticed(self) -> None:
        store = self.store(FILES)
        snapshot = _read(store.snapshot())
        self.change(store, {**FILES, "jobs/api.nomad": b"changed"})
        assert snapshot.wait_for_change(10.0 if _can_tell(snapshot) else 0.1)

    def test_no_change_is_none(self) -> None:
        snapshot = _read(self.store(FILES).snapshot())
        assert snapshot.wait_for_change(0.3) is not _can_tell(snapshot)

    def test_waiting_ends_in_time(self) -> None:
        self._see(waits_in_time)

    def test_a_snapshot_answers_the_same_when_it_is_asked_again(self) -> None:
        self._see(stays_as_it_is)

    def test_what_was_read_stays_when_the_store_changes(self) -> None:
        store = self.store(FILES)
        snapshot = store.snapshot()
        before = (snapshot.depfile(), snapshot.list_jobs(), snapshot.jobs(["api"]), snapshot.revision)
        self.change(store, {**FILES, "dependency.json": b"{}", "jobs/api.nomad": b"new", "jobs/new.nomad": b""})
        assert (snapshot.depfile(), snapshot.list_jobs(), snapshot.jobs(["api"]), snapshot.revision) == before

    def test_the_same_content_has_the_same_revision(self) -> None:
        self._see(has_revisions)

    def test_another_job_text_is_another_revision(self) -> None:
        store = self.store(FILES)
        before = _read(store.snapshot()).revision
        self.change(store, {**FILES, "jobs/api.nomad": b"changed"})
        assert _read(store.snapshot()).revision.id != before.id

    def test_another_dependency_file_is_another_revision(self) -> None:
        store = self.store(FILES)
        before = _read(store.snapshot()).revision
        self.change(store, {**FILES, "dependency.json": b"{}"})
        assert _read(store.snapshot()).revision.id != before.id

    def test_a_snapshot_has_a_title_and_can_be_closed(self) -> None:
        self._see(can_be_closed)

    def test_it_says_whether_it_can_be_written(self) -> None:
        self._see(knows_whether_it_is_writable)

    def _see(self, check: Callable[[Store, Snapshot], None]) -> None:
        store = self.store(FILES)
        with store.snapshot() as snapshot:
            check(store, snapshot)

    def _snapshot(self, files: Mapping[str, bytes]) -> Snapshot:
        # A store may find out only here, or only on reading, that something is missing; both are within the contract.
        return self.store(files).snapshot()


class WritableStoreContract(StoreContract):
    """What a store that can be written to promises as well."""

    def test_what_is_written_is_there_for_the_next_snapshot(self) -> None:
        store = self.store(FILES)
        new = {"api.nomad": b"\x00new\xff", "deep/er/n\xe4w one.hcl": b"", "nginx.hcl": None}
        assert store.snapshot().write(Changes(b'{"dependencies": {}}', new, {"config/nginx.conf": b"other", "more/x.txt": b"x"}))
        after = store.snapshot()
        assert after.depfile().data == b'{"dependencies": {}}'
        paths = sorted((set(_job_files()) - {"nginx.hcl"}) | {"deep/er/n\xe4w one.hcl"})
        assert list(after.list_jobs()) == paths
        assert [text.data for text in after.read_jobs(["api.nomad", "deep/er/n\xe4w one.hcl"]).values()] == [b"\x00new\xff", b""]
        assert after.read("config/nginx.conf").data == b"other"
        assert after.read("more/x.txt").data == b"x"

    def test_changes_that_are_looked_at_are_not_made(self) -> None:
        store = self.store(FILES)
        store.snapshot().check_changes(Changes(b"{}", {"new.nomad": b"", "api.nomad": None}, {"config/nginx.conf": b"other"}))
        assert store.snapshot().depfile().data == DEPFILE
        assert list(store.snapshot().list_jobs()) == sorted(_job_files())

    def test_an_empty_store_can_be_filled(self) -> None:
        store = self.store({})
        snapshot = store.snapshot()
        assert list(snapshot.list_jobs()) == []
        snapshot.write(Changes(DEPFILE, {"api.nomad": b"api", "nginx.hcl": b"nginx"}))
        assert _read(store.snapshot()).depfile().data == DEPFILE

    def test_nobodys_change_is_overwritten(self) -> None:
        store = self.store(FILES)
        snapshot = _read(store.snapshot())
        theirs = {**FILES, "jobs/api.nomad": b"theirs"}
        self.change(store, theirs)
        with pytest.raises(StoreChanged):
            snapshot.write(Changes(b"{}", {"api.nomad": b"ours", "new.nomad": b"ours"}))
        after = store.snapshot()
        assert after.depfile().data == DEPFILE
        assert after.jobs(["api"])["api"].data == b"theirs"
        assert "new" not in after.job_names()

    def test_much_is_written_as_well(self) -> None:
        store = self.store({"dependency.json": DEPFILE})
        jobs = {f"{number:04}.nomad": b"%d" % number * 1000 for number in range(300)}
        store.snapshot().write(Changes(b"{}", jobs))
        after = store.snapshot()
        assert {path: text.data for path, text in after.read_jobs(list(jobs)).items()} == jobs
        assert after.depfile().data == b"{}"

    @pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/outside", ""])
    def test_nothing_is_written_outside_the_root(self, path: str) -> None:
        store = self.store(FILES)
        snapshot = store.snapshot()
        for changes in (Changes(jobs={"api.nomad": b"ours", path: b"x"}), Changes(jobs={"api.nomad": b"ours"}, files={path: b"x"})):
            with pytest.raises(StoreError):
                snapshot.write(changes)
        assert store.snapshot().jobs(["api"])["api"].data == FILES["jobs/api.nomad"]


def _no_nomad() -> Connection:
    raise StoreError("this test has no Nomad")


def _can_tell(snapshot: Snapshot) -> bool:
    """Tell whether the snapshot notices changes; one that does not waits the whole time."""
    return type(snapshot).wait_for_change is not Snapshot.wait_for_change


def _read(snapshot: Snapshot) -> Snapshot:
    """Read what the revision must tell apart, and return the snapshot."""
    snapshot.depfile()
    snapshot.jobs(["api", "nginx"])
    return snapshot


def _job_files() -> list[str]:
    return [path.removeprefix("jobs/") for path in FILES if path.startswith("jobs/")]


def _stem(file: str) -> str:
    return file.partition(".")[0]

"""Each check passes a good store, and finds the store that breaks just its promise."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dtree import store_checks
from dtree.errors import StoreError, StoreFileMissing
from dtree.store import Changes, Option, Revision, Snapshot, Store, StoreContext, Text
from dtree.store_checks import CHECKS, Check, PromiseBroken
from dtree.testing import FILES, StoreContract, WritableStoreContract


class Good(Snapshot):
    """A snapshot with nothing wrong; a broken one changes one thing."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def depfile(self) -> Text:
        return self.read("dependency.json")

    def list_jobs(self) -> Sequence[str]:
        return sorted(path.removeprefix("jobs/") for path in self.files if path.startswith("jobs/"))

    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return {path: self.read(f"jobs/{path}") for path in paths}

    def read(self, path: str) -> Text:
        if path not in self.files:
            raise StoreFileMissing(f"there is no {path}", hint="put it there")
        return Text(path, self.files[path])

    @property
    def revision(self) -> Revision:
        return Revision(repr(sorted(self.files.items())))

    def wait_for_change(self, timeout_s: float) -> bool:
        return timeout_s < 0


class Shop(Store):
    store_api = 1
    summary = "Jobs in memory"
    options = (Option("shop-size", help="How many.", type="int", default=1),)
    kind: type[Good] = Good
    files: Mapping[str, bytes] = FILES

    def snapshot(self) -> Snapshot:
        return self.kind(self.files)


def store_of(kind: type[Good] = Good, files: Mapping[str, bytes] = FILES, **attributes: Any) -> Store:
    shop: type[Shop] = type("Shop", (Shop,), {"kind": kind, "files": files, **attributes})
    return shop({"shop_size": 1}, StoreContext(Path(), Path(), no_nomad))


def no_nomad() -> Any:
    pytest.fail("a check has no need of Nomad")


def broken(store: Store) -> dict[str, str]:
    """Return what each check that fails says, by name of the check."""
    found: dict[str, str] = {}
    for check in CHECKS:
        try:
            with store.snapshot() as snapshot:
                check.test(store, snapshot)
        except (PromiseBroken, StoreError) as error:
            found[check.name] = str(error)
    return found


def test_a_good_store_passes_every_check() -> None:
    assert broken(store_of()) == {}


def test_an_empty_store_with_a_dependency_file_passes_every_check() -> None:
    assert broken(store_of(files={"dependency.json": b"{}"})) == {}


def test_a_store_that_only_overrides_jobs_lacks_nothing_but_its_dependency_file() -> None:
    assert list(broken(store_of(files={"jobs/api.nomad": b""}))) == ["dependency-file"]


class Unsorted(Good):
    def list_jobs(self) -> Sequence[str]:
        return sorted(super().list_jobs(), reverse=True)


class Twice(Good):
    def list_jobs(self) -> Sequence[str]:
        return sorted((*super().list_jobs(), "api.nomad"))


class Rooted(Good):
    def list_jobs(self) -> Sequence[str]:
        return ["/api.nomad"]

    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return {path: Text(path, b"") for path in paths} if "/api.nomad" in paths else super().read_jobs(paths)


class Nameless(Good):
    def list_jobs(self) -> Sequence[str]:
        numbers: list[Any] = [1]
        return numbers

    def read_jobs(self, paths: Sequence[Any]) -> dict[str, Text]:
        return {path: Text("1", b"") for path in paths} if 1 in paths else super().read_jobs(paths)


class Forgetful(Good):
    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return super().read_jobs(paths[:1])


class Generous(Good):
    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return super().read_jobs(sorted({*paths, "api.nomad"}) if len(paths) == 1 else paths)


class Otherwise(Good):
    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return {path: replace(text, path=str(len(paths))) for path, text in super().read_jobs(paths).items()}


class Textual(Good):
    def depfile(self) -> Text:
        data: Any = "no bytes"
        return Text("dependency.json", data)


class Pathless(Good):
    def depfile(self) -> Text:
        return Text("", b"{}")


class Bare(Good):
    def depfile(self) -> Any:
        return b"{}"


class Vague(Good):
    def read(self, path: str) -> Text:
        if path in self.files:
            return super().read(path)
        raise StoreFileMissing("something is not there", hint="look")


class Hintless(Good):
    def read(self, path: str) -> Text:
        if path in self.files:
            return super().read(path)
        raise StoreFileMissing(f"there is no {path}")


class Roomy(Good):
    def read(self, path: str) -> Text:
        return Text(path, b"") if path.startswith("no-such") else super().read(path)


class Open(Good):
    def read(self, path: str) -> Text:
        return Text(path, b"root") if path == "../outside" else super().read(path)


class OpenBelowJobs(Good):
    def read_jobs(self, paths: Sequence[str]) -> dict[str, Text]:
        return {path: Text(path, b"root") for path in paths} if list(paths) == [".."] else super().read_jobs(paths)


class Drifting(Good):
    numbers = count()

    def depfile(self) -> Text:
        return Text("dependency.json", b"%d" % next(self.numbers))

    @property
    def revision(self) -> Revision:
        return Revision(str(next(self.numbers)))


class Dated(Good):
    numbers = count()

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(files)
        self._number = next(self.numbers)

    @property
    def revision(self) -> Revision:
        return Revision(str(self._number))


class Restless(Good):
    numbers = count()

    @property
    def revision(self) -> Revision:
        return Revision(str(next(self.numbers)))


class Blind(Dated):
    """Other content each time, under one revision."""

    def depfile(self) -> Text:
        return Text("dependency.json", b"%d" % self._number)

    @property
    def revision(self) -> Revision:
        return Revision("1")


class Unnumbered(Good):
    @property
    def revision(self) -> Revision:
        return Revision("")


class Silent(Good):
    def wait_for_change(self, timeout_s: float) -> Any:
        return None if timeout_s else True


class Untitled(Good):
    @property
    def title(self) -> str:
        return ""


class Stuck(Good):
    def close(self) -> None:
        raise StoreError("it cannot be closed")


class Secretly(Good):
    def write(self, changes: Changes) -> str:
        return str(changes)


@pytest.mark.parametrize(
    ("snapshot", "check", "says"),
    [
        (Textual, "dependency-file", "depfile() gives a text whose data is str, not bytes"),
        (Pathless, "dependency-file", "depfile() gives a text with a path that is ''"),
        (Bare, "dependency-file", "depfile() gives bytes, not dtree.store.Text"),
        (Unsorted, "job-list", "list_jobs() is not sorted"),
        (Twice, "job-list", "list_jobs() gives a path twice"),
        (Rooted, "job-list", "list_jobs() gives '/api.nomad', which is no path relative to the jobs path"),
        (Nameless, "job-list", "list_jobs() gives a path that is 1"),
        (Forgetful, "job-files", "read_jobs() does not give just the paths that it was asked for"),
        (Generous, "job-files", "read_jobs(['batch/nightly report.nomad.hcl']) gives ['api.nomad', 'batch/nightly report.nomad.hcl']"),
        (Otherwise, "job-files", "read_jobs() gives 'api.nomad' otherwise alone than with all"),
        (Vague, "missing-file", "does not name the file that is missing: something is not there"),
        (Hintless, "missing-file", "read('no-such-folder/no-such-file.nomad') gives no hint"),
        (Roomy, "missing-file", "read('no-such-folder/no-such-file.nomad') gives a file that cannot be there"),
        (Open, "outside", "read('../outside') is not refused"),
        (OpenBelowJobs, "outside", "read_jobs(['..']) is not refused"),
        (Unnumbered, "revision", "its revision has an id that is ''"),
        (Dated, "revision", "one content has two revisions"),
        (Blind, "revision", "two contents have one revision, 1"),
        (Silent, "waiting", "wait_for_change() returns None, not whether there may be a change"),
        (Untitled, "closing", "a snapshot has a title that is ''"),
        (Secretly, "writable", "it says writable = False, and its snapshots have a write()"),
    ],
)
def test_a_broken_promise_is_found_by_its_check_and_by_no_other(snapshot: type[Good], check: str, says: str) -> None:
    found = broken(store_of(snapshot))
    assert list(found) == [check]
    assert says in found[check]


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        (Drifting, {"stability": "another content when it is asked again", "revision": "it changes faster than it can be read"}),
        (Restless, {"stability": "another revision when it is asked again", "revision": "one content has two revisions"}),
    ],
)
def test_what_changes_under_a_snapshot_is_neither_stable_nor_has_a_revision(snapshot: type[Good], says: dict[str, str]) -> None:
    found = broken(store_of(snapshot))
    assert set(found) == set(says)
    assert all(text in found[check] for check, text in says.items())


def test_a_snapshot_that_cannot_be_closed_is_found() -> None:
    check = next(check for check in CHECKS if check.name == "closing")
    store = store_of(Stuck)
    with pytest.raises(StoreError, match="cannot be closed"):
        check.test(store, store.snapshot())


def test_a_store_that_waits_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 100.0 + store_checks._WAIT_S + store_checks._GRACE_S + 1.0])
    monkeypatch.setattr("dtree.store_checks.time.monotonic", lambda: next(times))
    store = store_of()
    with pytest.raises(PromiseBroken, match=r"wait_for_change\(0\.5\) takes 11\.5 s"):
        store_checks.waits_in_time(store, store.snapshot())


@pytest.mark.parametrize(
    ("attributes", "check", "says"),
    [
        ({"store_api": 7}, "declaration", "its store_api is 7, not 1"),
        ({"summary": " "}, "declaration", "it has no summary"),
        ({"options": ("shop-size",)}, "options", "its options are not all of dtree.store.Option"),
        ({"options": (Option("shop-size", help="x"),) * 2}, "options", "it declares an option twice: shop-size"),
        ({"options": (Option("shop-colour", help="x"),)}, "options", "its settings lack shop-colour"),
        ({"writable": True}, "writable", "it says writable = True, and its snapshots lack a write()"),
    ],
)
def test_a_declaration_that_is_not_so_is_found(attributes: dict[str, Any], check: str, says: str) -> None:
    found = broken(store_of(**attributes))
    assert list(found) == [check]
    assert says in found[check]


@pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])
def test_the_contract_for_authors_makes_every_check(check: Check) -> None:
    used = check.test.__code__.co_name
    assert used in inspect.getsource(StoreContract) or used == "refuses_what_lies_outside"


def test_the_contract_and_the_check_refuse_the_same_paths() -> None:
    (mark,) = StoreContract.test_no_path_leads_out_of_the_root.pytestmark  # type: ignore[attr-defined]
    assert mark.args[1] is store_checks.OUTSIDE


def test_a_writable_store_keeps_every_promise_of_any_store() -> None:
    assert issubclass(WritableStoreContract, StoreContract)


class Broken(Good):
    def depfile(self) -> Text:
        raise ZeroDivisionError


def test_a_check_lets_through_what_the_store_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        broken(store_of(Broken))

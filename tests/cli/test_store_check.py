"""`nomad-dtree stores check`: what it says of a good store and of any kind of bad one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dtree.cli.store_check import Outcome, run_checks
from dtree.clock import SystemClock
from dtree.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from dtree.store import Revision, Snapshot, Store, StoreContext, StoreError, StoreFileMissing, Text
from dtree.store_checks import CHECKS
from tests.cli.conftest import Program

NAMES = ["opening", *(check.name for check in CHECKS), "contents"]


class Lone(Snapshot):
    """A dependency file and no job."""

    def depfile(self) -> Text:
        return Text("dependency.json", b'{"dependencies": {}}')

    def list_jobs(self) -> list[str]:
        return []

    def read_jobs(self, paths: Any) -> Mapping[str, Text]:
        return {path: self.read(path) for path in paths}

    def read(self, path: str) -> Text:
        raise StoreFileMissing(f"there is no {path}", hint="put it there")

    @property
    def revision(self) -> Revision:
        return Revision("1")

    def wait_for_change(self, timeout_s: float) -> bool:
        return timeout_s < 0


class Lonely(Store):
    store_api = 1
    summary = "One file"

    def snapshot(self) -> Snapshot:
        return Lone()


def outcomes(snapshot: Callable[[], Snapshot], patience_s: float = 20.0) -> dict[str, Outcome]:
    store = type("Given", (Lonely,), {"snapshot": lambda _: snapshot()})
    found = list(run_checks(lambda: store({}, StoreContext(Path(), Path(), no_nomad)), SystemClock(), patience_s=patience_s))
    assert [outcome.check for outcome in found] == NAMES
    return {outcome.check: outcome for outcome in found}


def no_nomad() -> Any:
    pytest.fail("a check has no need of Nomad")


def test_a_good_store_passes() -> None:
    assert {outcome.result for outcome in outcomes(Lone).values()} == {"ok"}


def test_without_a_snapshot_nothing_else_is_looked_at() -> None:
    def refuse() -> Snapshot:
        raise StoreError("the shop is closed", notes=["since noon"], hint="come tomorrow", code="shop-closed")

    found = outcomes(refuse)
    assert (found["opening"].result, found["opening"].hint) == ("failed", "come tomorrow")
    assert found["opening"].reason == "shop-closed: the shop is closed; since noon"
    assert {found[name].result for name in NAMES[1:]} == {"not run"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ZeroDivisionError("by what?\nsecond line"), "it raises ZeroDivisionError, which is no StoreError: by what?"),
        (SystemExit(3), "it raises SystemExit, which is no StoreError: 3"),
        (KeyboardInterrupt(), "it raises KeyboardInterrupt, which is no StoreError: "),
    ],
)
def test_whatever_a_store_raises_is_told_by_its_type_and_the_rest_is_checked(error: BaseException, says: str) -> None:
    class Raising(Lone):
        def depfile(self) -> Text:
            raise error

    found = outcomes(Raising)
    assert (found["dependency-file"].result, found["dependency-file"].reason) == ("failed", says)
    assert found["job-list"].result == "ok"


def test_what_a_store_prints_is_caught_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    class Loud(Lone):
        def list_jobs(self) -> list[str]:
            sys.stderr.write("found\nnone\n")
            return []

    found = outcomes(Loud)
    assert found["job-list"].reason == "it prints, which only nomad-dtree does: found"
    assert found["dependency-file"].result == "ok"
    assert capsys.readouterr() == ("", "")


def test_a_store_that_hangs_is_told_and_nothing_after_it_is_tried() -> None:
    end = threading.Event()

    class Hanging(Lone):
        def list_jobs(self) -> list[str]:
            end.wait()
            return []

    found = outcomes(Hanging, patience_s=0.1)
    end.set()
    assert found["job-list"].reason == "it has not ended after 0.1 s"
    later = NAMES[NAMES.index("job-list") + 1 :]
    assert {(found[name].result, found[name].reason) for name in later} == {("not run", "one before it hangs")}


# -- the command ------------------------------------------------------------------------------------------------------------------


def test_each_check_is_one_line_and_the_last_line_sums_up(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("stores", "check", "filesystem")
    *lines, last = ended.out.splitlines()
    assert (ended.code, ended.err, last) == (EXIT_OK, "", f"filesystem: all {len(NAMES)} checks passed")
    assert len(lines) == len(NAMES)
    assert all(line.startswith("ok ") for line in lines)


def test_a_check_changes_nothing(program: Program, shop: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shop.rglob("*")}
    program("stores", "check", "filesystem")
    assert {path: path.stat().st_mtime_ns for path in shop.rglob("*")} == before


def test_a_failure_is_told_with_its_reason_and_hint_and_exit_code_1(program: Program, shop: Path) -> None:
    (shop / "dependency.json").unlink()
    ended = program("stores", "check", "filesystem", "--fs-depfile-path", "deps.json")
    assert (ended.code, ended.err) == (EXIT_ERROR, "")
    lines = ended.out.splitlines()
    at = lines.index("failed   its dependency file can be read")
    assert lines[at + 1 : at + 3] == [
        "         store-file-missing: there is no file deps.json",
        "         hint: check the path, and links on the way",
    ]
    assert lines[-1] == f"filesystem: {len(NAMES) - 2} of {len(NAMES)} checks passed"


FAULTY = '{"dependencies": {"web": {"pre": "db", "postt": 1}, "db": {}}}'


def test_faults_in_the_files_are_told_one_a_line(program: Program, shop: Path) -> None:
    (shop / "dependency.json").write_text(FAULTY)
    ended = program("stores", "check", "filesystem")
    lines = ended.out.splitlines()
    at = lines.index("failed   its dependency file is without fault, and every job has one job file")
    *faults, hint, last = lines[at + 1 :]
    assert (ended.code, ended.err) == (EXIT_ERROR, "")
    assert [line.split(":")[0].strip() for line in faults] == ["1 fault", "unknown-key"]
    assert "dependency.json:1:" in faults[1]
    assert hint.strip() == "hint: `nomad-dtree validate` with this store tells how to mend each"
    assert last == f"filesystem: {len(NAMES) - 1} of {len(NAMES)} checks passed"


def test_job_files_that_are_not_there_are_told_too(program: Program, shop: Path) -> None:
    for name in ("api", "nginx"):
        (shop / "jobs" / f"{name}.nomad").unlink()
    checks = {check["check"]: check for check in program("stores", "check", "filesystem", "--output", "json").json()["checks"]}
    assert [fault.split(":")[0] for fault in checks["contents"]["faults"]] == ["job-file-missing", "job-file-missing"]
    assert {check["result"] for name, check in checks.items() if name != "contents"} == {"ok"}


def test_the_stores_options_come_from_everywhere_that_they_may_come_from(program: Program, shop: Path, tmp_path: Path) -> None:
    assert shop.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert program("stores", "check", "filesystem", "--fs-root", str(empty)).code == EXIT_ERROR
    assert program("stores", "check", "filesystem", environ={"NOMAD_DTREE_FS_ROOT": str(empty)}).code == EXIT_ERROR
    (shop / "nomad-dtree.toml").write_text(f'[stores.filesystem]\nfs-root = "{empty}"\n')
    assert program("stores", "check", "filesystem").code == EXIT_ERROR
    assert program("stores", "check", "filesystem", "--fs-root", ".").code == EXIT_OK


def test_a_store_that_the_file_names_is_checked_by_that_name(program: Program, shop: Path) -> None:
    (shop / "nomad-dtree.toml").write_text('[stores.mine]\ntype = "filesystem"\nfs-root = "."\n')
    assert program("stores", "check", "mine").out.endswith(f"mine: all {len(NAMES)} checks passed\n")


def test_as_json_it_is_one_document(program: Program, shop: Path) -> None:
    assert shop.exists()
    good = program("stores", "check", "filesystem", "--output", "json").json()
    assert (good["schema"], good["store"], good["passed"]) == (1, "filesystem", True)
    assert [check["check"] for check in good["checks"]] == NAMES
    bad = program("stores", "check", "filesystem", "--fs-depfile-path", "nowhere", "--output", "json")
    (failed,) = (check for check in bad.json()["checks"] if check["result"] == "failed")
    assert (bad.code, bad.json()["passed"], failed["check"]) == (EXIT_ERROR, False, "dependency-file")
    assert failed["reason"] == "store-file-missing: there is no file nowhere"


def test_a_store_that_is_none_is_told_as_everywhere(program: Program) -> None:
    ended = program("stores", "check", "filesytem")
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert "did you mean 'filesystem'?" in ended.err


def test_a_missing_name_is_a_usage_error(program: Program) -> None:
    assert program("stores", "check").code == EXIT_USAGE


def test_no_secret_of_the_environment_is_shown(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("stores", "check", "filesystem", "--fs-root", "at-s3cret-place", environ={"NOMAD_TOKEN": "s3cret"})
    assert "HIDDEN" in ended.out
    assert "s3cret" not in ended.out


def test_ctrl_c_ends_a_check_that_hangs(program: Program, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dtree_stores.filesystem import FilesystemStore

    end = threading.Event()

    def hang(_: Store) -> Snapshot:
        os.kill(os.getpid(), signal.SIGINT)
        end.wait()
        return Lone()

    assert shop.exists()
    monkeypatch.setattr(FilesystemStore, "snapshot", hang)
    ended = program("stores", "check", "filesystem")
    end.set()
    assert (ended.code, ended.out, ended.err) == (EXIT_INTERRUPTED, "", "interrupted\n")

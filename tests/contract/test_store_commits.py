"""What stores under version control tell of their commit: for `[[ ref ]]`, `[[ commit ]]` and versions such as `git:short`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.filesystem import FilesystemStore
from dtree_stores.git_repo import GitStore

from dtree.access.git import questions
from dtree.clock import SystemClock
from dtree.layered import open_layers
from dtree.store import Commit, Snapshot, StoreContext, StoreError
from dtree.testing import FILES
from tests.fakes.repositories import be_nobody, commit_files, git, make_repository
from tests.fakes.store import MemorySnapshot

DATE = "2026-03-01T12:00:00Z"


def no_nomad() -> Any:
    pytest.fail("there is no need of Nomad")


def folder_store(root: Path, *, jobs: Path | None = None) -> Snapshot:
    settings = {"fs_depfile_path": root / "dependency.json" if jobs else None, "fs_jobs_path": jobs, "fs_root": None if jobs else root}
    return FilesystemStore(settings, StoreContext(cwd=root, cache=root / "no-cache", nomad=no_nomad)).snapshot()


def git_store(root: Path, ref: str = "HEAD") -> Snapshot:
    known = {option.key: option.default for option in GitStore.options} | {"ref": ref}
    return GitStore(known, StoreContext(cwd=root, cache=root / "no-cache", nomad=no_nomad)).snapshot()


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    be_nobody(monkeypatch)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A work tree: the shop in the folder `deploy`, something else beside it; tag v1, and a commit after it."""
    root = make_repository(tmp_path / "shop")
    commit_files(root, {f"deploy/{path}": data for path, data in FILES.items()})
    git(root, "tag", "v1")
    commit_files(root, {**{f"deploy/{path}": data for path, data in FILES.items()}, "src/main.c": b"int main;", ".gitignore": b"*.log\n"})
    git(root, "reset", "--quiet", "--hard")
    return root


def test_a_folder_in_a_work_tree_is_at_head(shop: Path) -> None:
    head = git(shop, "rev-parse", "HEAD")
    snapshot = folder_store(shop / "deploy")
    assert snapshot.commit == Commit(head, DATE, "HEAD", is_dirty=False)
    assert (snapshot.tag(), snapshot.describe()) == ("", f"v1-1-g{head[:7]}")
    assert snapshot.folder == shop / "deploy"
    git(shop, "tag", "v1.9")
    git(shop, "tag", "v1.10")
    assert folder_store(shop / "deploy").tag() == "v1.10"
    assert folder_store(shop / "deploy").describe() in ("v1.9", "v1.10")


@pytest.mark.parametrize(
    ("change", "is_dirty"),
    [
        (lambda root: (root / "src/main.c").write_text("int other;"), True),
        (lambda root: (root / "src/main.c").unlink(), True),
        (lambda root: git(root, "rm", "--quiet", "--cached", "src/main.c"), True),
        (lambda root: (root / "deploy/jobs/new.nomad").write_text("job"), True),
        (lambda root: (root / "deploy/debug.log").write_text("ignored"), False),
        (lambda root: (root / "src/new.c").write_text("beside the store"), False),
        (lambda root: os.utime(root / "src/main.c"), False),
    ],
)
def test_a_changed_file_anywhere_and_a_new_one_in_the_store_make_it_dirty(
    shop: Path, change: Callable[[Path], object], *, is_dirty: bool
) -> None:
    change(shop)
    commit = folder_store(shop / "deploy").commit
    assert commit is not None
    assert commit.is_dirty is is_dirty


def test_a_work_tree_that_git_cannot_look_through_counts_as_dirty(shop: Path) -> None:
    (shop / ".git" / "index").write_bytes(b"damaged")
    assert questions.is_dirty(shop)
    bare = make_repository(shop.parent / "bare.git", "--bare")
    assert not questions.is_dirty(bare)


def test_looking_changes_nothing_in_the_repository(shop: Path) -> None:
    os.utime(shop / "src/main.c")
    before = {file: file.stat().st_mtime_ns for file in (shop / ".git").rglob("*")}
    snapshot = folder_store(shop / "deploy")
    assert (snapshot.commit is not None, snapshot.tag(), snapshot.describe()[:2]) == (True, "", "v1")
    assert {file: file.stat().st_mtime_ns for file in (shop / ".git").rglob("*")} == before


def test_a_folder_outside_of_any_repository_and_one_without_a_commit_have_none(tmp_path: Path) -> None:
    for folder in (tmp_path / "plain", make_repository(tmp_path / "empty")):
        folder.mkdir(exist_ok=True)
        snapshot = folder_store(folder)
        assert (snapshot.commit, snapshot.tag(), snapshot.describe()) == (None, "", "")


def test_the_git_store_is_at_the_commit_of_its_ref_whatever_the_work_tree_holds(shop: Path) -> None:
    (shop / "src/main.c").write_text("changed")
    first, head = git(shop, "rev-parse", "v1"), git(shop, "rev-parse", "HEAD")
    at_tag = git_store(shop / "deploy", "v1")
    assert at_tag.commit == Commit(first, DATE, "v1")
    assert (at_tag.tag(), at_tag.describe(), at_tag.folder) == ("v1", "v1", None)
    at_head = git_store(shop / "deploy")
    assert at_head.commit == Commit(head, DATE, "HEAD")
    assert (at_head.tag(), at_head.describe()) == ("", f"v1-1-g{head[:7]}")
    by_pattern = git_store(shop / "deploy", "v*").commit
    assert by_pattern is not None
    assert by_pattern.ref == "v1"


def test_of_several_tags_the_one_that_was_asked_for_counts(shop: Path) -> None:
    for tag in ("v2.9", "v2.10", "production"):
        git(shop, "tag", tag)
    assert [git_store(shop / "deploy", ref).tag() for ref in ("HEAD", "production", "v2.9", "main")] == [
        "v2.10",
        "production",
        "v2.9",
        "v2.10",
    ]


def test_a_clone_with_a_part_of_the_history_does_not_guess_how_far_a_tag_is(shop: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", shop.as_uri(), "part")
    for snapshot in (folder_store(tmp_path / "part/deploy"), git_store(tmp_path / "part/deploy")):
        with pytest.raises(StoreError) as caught:
            snapshot.describe()
        assert (caught.value.error_code, caught.value.hint) == ("git-shallow", "fetch the rest: `git fetch --unshallow --tags`")
    git(tmp_path / "part", "tag", "v9")
    assert folder_store(tmp_path / "part/deploy").describe() == git_store(tmp_path / "part/deploy").describe() == "v9"


def test_a_repository_that_runs_programs_of_its_own_has_none_run_but_those_that_make_its_files(shop: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    script = tmp_path / "hook"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external"):
        git(shop, "config", key, str(script))
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        (shop / ".git/hooks").mkdir(exist_ok=True)
        (shop / ".git/hooks" / hook).symlink_to(script)
    snapshot = folder_store(shop / "deploy")
    assert (snapshot.commit is not None, snapshot.tag()) == (True, "")
    assert snapshot.describe().startswith("v1-1-g")
    assert not mark.exists()


def test_files_are_found_without_being_read(shop: Path) -> None:
    asked = ["versions.yaml", "config/nginx.conf", "jobs", "versions.json"]
    assert git_store(shop / "deploy").present(asked[:2]) == ("config/nginx.conf",)
    assert folder_store(shop / "deploy").present([asked[0], asked[1]]) == ("config/nginx.conf",)


def test_of_several_stores_the_first_with_a_commit_tells_of_it(shop: Path) -> None:
    over = MemorySnapshot(None, files={"versions.json": {}})
    layered = open_layers([("over", lambda: over), ("base", lambda: git_store(shop / "deploy", "v1"))], SystemClock())
    with layered:
        assert layered.commit == Commit(git(shop, "rev-parse", "v1"), DATE, "v1", is_dirty=True)
        assert (layered.tag(), layered.describe(), layered.folder) == ("v1", "v1", None)
        assert layered.present(["versions.yaml", "versions.json", "config/nginx.conf"]) == ("versions.json", "config/nginx.conf")
    alone = open_layers([("over", lambda: MemorySnapshot(None)), ("other", lambda: MemorySnapshot(None))], SystemClock())
    with alone:
        assert (alone.commit, alone.tag(), alone.describe()) == (None, "", "")


def test_what_was_read_counts_and_not_what_git_is_told_to_overlook(shop: Path, tmp_path: Path) -> None:
    (shop / ".git/info/exclude").write_text("ignored.nomad\n")
    (shop / "deploy/jobs/ignored.nomad").write_text("job")
    snapshot = folder_store(shop / "deploy")
    assert _facts(snapshot, []) == (False, "")
    assert _facts(snapshot, ["ignored.nomad"]) == (True, "jobs/ignored.nomad is not as the commit has it")
    assert _facts(folder_store(shop / "deploy"), [path for path in snapshot.list_jobs() if path != "ignored.nomad"]) == (False, "")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/api.nomad").write_text("job")
    outside = folder_store(shop / "deploy", jobs=tmp_path / "elsewhere")
    assert _facts(outside, ["api.nomad"]) == (True, f"{tmp_path / 'elsewhere/api.nomad'} is not as the commit has it")


def test_a_file_that_is_changed_between_the_look_at_git_and_its_reading_is_seen(shop: Path) -> None:
    snapshot = folder_store(shop / "deploy")
    assert _facts(snapshot, []) == (False, "")
    name = snapshot.list_jobs()[0]
    (shop / "deploy/jobs" / name).write_text("changed")
    assert _facts(snapshot, [name]) == (True, f"jobs/{name} is not as the commit has it")


def test_several_stores_are_clean_where_each_is(shop: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    commit_files(other, {"jobs/api.nomad": b"job"})
    git(other, "reset", "--quiet", "--hard")
    plain = tmp_path / "plain"
    (plain / "jobs").mkdir(parents=True)
    nothing = f"{plain} is in no Git work tree with a commit"
    assert _of_several(shop / "deploy", other) == (False, "")
    (other / "jobs/api.nomad").write_text("changed")
    assert _of_several(shop / "deploy", other) == (True, f"{other} holds changes that are not committed, in the store 'over'")
    assert _of_several(shop / "deploy", plain) == (True, f"{nothing}, in the store 'over'")
    assert _of_several(plain, plain) == (None, f"{nothing}, in the store 'base'")
    with open_layers([("base", lambda: folder_store(shop / "deploy")), ("over", lambda: MemorySnapshot(None))], SystemClock()) as layered:
        assert _facts(layered, []) == (True, "the store 'over' knows of no commit")


def _of_several(base: Path, over: Path) -> tuple[bool | None, str]:
    with open_layers([("base", lambda: folder_store(base)), ("over", lambda: folder_store(over))], SystemClock()) as layered:
        return _facts(layered, [])


def _facts(snapshot: Snapshot, jobs: list[str]) -> tuple[bool | None, str]:
    """Read job files; say whether the commit is dirty, None for no commit, and why what was read is not clean."""
    snapshot.read_jobs(jobs)
    commit = snapshot.commit
    return commit.is_dirty if commit else None, snapshot.why_unclean()

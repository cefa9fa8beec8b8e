from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.filesystem import FilesystemSnapshot, FilesystemStore

from dtree.store import Store, StoreContext, StoreError
from dtree.testing import FILES, StoreContract


def write(root: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def no_nomad() -> Any:
    pytest.fail("the filesystem store has no need of Nomad")


def store_at(cwd: Path, depfile: Path | None = None, jobs: Path | None = None, root: Path | None = None) -> FilesystemStore:
    settings = {"fs_depfile_path": depfile, "fs_jobs_path": jobs, "fs_root": root}
    return FilesystemStore(settings, StoreContext(cwd=cwd, cache=cwd / "cache", nomad=no_nomad))


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    return caught.value


class TestFilesystemStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _root(self, tmp_path: Path) -> None:
        self.root = tmp_path / "shop"
        self.root.mkdir()

    def store(self, files: Mapping[str, bytes]) -> Store:
        write(self.root, files)
        (self.root / "jobs").mkdir(exist_ok=True)
        return store_at(self.root)

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert store.context.cwd == self.root
        shutil.rmtree(self.root)
        write(self.root, files)


# -- where the three places are ---------------------------------------------------------------------------------------


def test_the_working_folder_is_the_root_where_nothing_is_given(tmp_path: Path) -> None:
    write(tmp_path / "shop", FILES)
    snapshot = store_at(tmp_path / "shop").snapshot()
    assert snapshot.depfile().path == "dependency.json"
    assert snapshot.jobs(["api"])["api"].path == "jobs/api.nomad"
    assert snapshot.title == "shop"


def test_jobs_beside_the_dependency_file_are_found_and_it_is_none_of_them(tmp_path: Path) -> None:
    write(tmp_path, {"dependency.json": b"{}", "api.nomad": b"", "nginx.nomad": b""})
    assert store_at(tmp_path).snapshot().job_names() == ("api", "nginx")


@pytest.mark.parametrize("name", ["dependency.json", "dependency.yaml", "dependency.yml"])
def test_each_usual_name_of_a_dependency_file_is_found(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: b"x"})
    assert store_at(tmp_path).snapshot().depfile().data == b"x"


def test_two_dependency_files_are_a_fault_that_names_both(tmp_path: Path) -> None:
    write(tmp_path, {"dependency.json": b"", "dependency.yml": b""})
    error = refusal(store_at(tmp_path).snapshot)
    assert error.error_code == "depfile-ambiguous"
    assert "dependency.json, dependency.yml" in error.problem


def test_no_dependency_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    error = refusal(store_at(tmp_path).snapshot)
    assert error.error_code == "depfile-missing"
    assert str(tmp_path) in error.problem
    assert error.notes == ("looked for dependency.json, dependency.yaml, dependency.yml",)


def test_dependency_file_and_jobs_may_be_given_from_any_folder(tmp_path: Path) -> None:
    write(tmp_path, {"a/deps.json": b"deps", "b/jobs/api.nomad": b"api", "a/extra.hcl": b"extra"})
    (tmp_path / "elsewhere").mkdir()
    snapshot = store_at(tmp_path / "elsewhere", tmp_path / "a" / "deps.json", tmp_path / "b" / "jobs").snapshot()
    assert snapshot.depfile().data == b"deps"
    assert snapshot.jobs(["api"])["api"].data == b"api"
    assert snapshot.read("extra.hcl").data == b"extra"
    assert snapshot.depfile().path == str(tmp_path / "a" / "deps.json")


def test_the_folder_of_a_given_dependency_file_is_the_root(tmp_path: Path) -> None:
    write(tmp_path, {"a/deps.json": b"", "a/jobs/api.nomad": b"api"})
    snapshot = store_at(tmp_path, tmp_path / "a" / "deps.json").snapshot()
    assert snapshot.title == "a"
    assert snapshot.list_jobs() == ("api.nomad",)


def test_with_a_root_nothing_may_lie_outside_of_it(tmp_path: Path) -> None:
    write(tmp_path, {"root/dependency.json": b"", "other/deps.json": b"", "other/jobs/api.nomad": b""})
    root = tmp_path / "root"
    depfile = refusal(store_at(tmp_path, tmp_path / "other" / "deps.json", root=root).snapshot)
    jobs = refusal(store_at(tmp_path, jobs=tmp_path / "other" / "jobs", root=root).snapshot)
    assert (depfile.error_code, jobs.error_code) == ("store-outside", "store-outside")
    assert "--fs-depfile-path" in depfile.hint
    assert "--fs-jobs-path" in jobs.hint


@pytest.mark.parametrize("option", ["root", "jobs"])
def test_a_folder_that_does_not_exist_is_named_with_its_option(tmp_path: Path, option: str) -> None:
    write(tmp_path, {"dependency.json": b""})
    given = {option: tmp_path / "nowhere"}
    error = refusal(store_at(tmp_path, **given).snapshot)
    assert error.error_code == "store-folder-missing"
    assert str(tmp_path / "nowhere") in error.problem
    assert f"--fs-{option}" in error.hint


def test_a_file_where_a_folder_is_wanted_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"dependency.json": b""})
    error = refusal(store_at(tmp_path, jobs=tmp_path / "dependency.json").snapshot)
    assert error.error_code == "store-not-a-folder"


def test_a_folder_where_the_dependency_file_is_wanted_is_told(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    error = refusal(lambda: store_at(tmp_path, tmp_path / "jobs").snapshot().depfile())
    assert error.error_code == "store-not-a-file"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    os.mkfifo(tmp_path / "jobs" / "pipe.nomad")
    error = refusal(lambda: store_at(tmp_path).snapshot().jobs(["pipe"]))
    assert error.error_code == "store-not-a-file"


def test_a_file_that_the_system_will_not_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    error = refusal(lambda: store_at(tmp_path).snapshot().read("a" * 300))
    assert error.error_code == "store-unreadable"
    assert error.problem == f"{'a' * 300} cannot be read: File name too long"


# -- links and other people's files -------------------------------------------------------------------------------------


def test_a_link_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"secret": b"s"})
    write(tmp_path / "shop", FILES)
    (tmp_path / "shop" / "jobs" / "leak.nomad").symlink_to(tmp_path / "secret")
    (tmp_path / "shop" / "config" / "leak").symlink_to(tmp_path / "secret")
    snapshot = store_at(tmp_path / "shop").snapshot()
    assert refusal(lambda: snapshot.jobs(["leak"])).error_code == "store-outside"
    assert refusal(lambda: snapshot.read("config/leak")).error_code == "store-outside"


def test_a_dependency_file_that_is_a_link_out_of_the_found_root_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"secret": b"s"})
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "dependency.json").symlink_to(tmp_path / "secret")
    assert refusal(store_at(tmp_path / "shop").snapshot).error_code == "store-outside"


def test_a_jobs_folder_that_is_a_link_out_of_the_root_is_only_taken_where_it_is_given(tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/api.nomad": b"api", "shop/dependency.json": b""})
    link = tmp_path / "shop" / "jobs"
    link.symlink_to(tmp_path / "elsewhere")
    assert refusal(store_at(tmp_path / "shop").snapshot).error_code == "store-outside"
    assert store_at(tmp_path / "shop", jobs=link).snapshot().jobs(["api"])["api"].data == b"api"


def test_a_given_dependency_file_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, {"real/deps.json": b"deps"})
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "deps.json").symlink_to(tmp_path / "real" / "deps.json")
    assert store_at(tmp_path, tmp_path / "shop" / "deps.json").snapshot().depfile().data == b"deps"


def test_links_within_the_root_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "shared/redis.nomad": b"redis"})
    (tmp_path / "jobs" / "shared").symlink_to(tmp_path / "shared")
    (tmp_path / "jobs" / "batch" / "up").symlink_to(tmp_path / "jobs")
    (tmp_path / "shared" / "self").symlink_to(tmp_path / "shared")
    snapshot = store_at(tmp_path).snapshot()
    assert snapshot.job_names() == ("api", "batch/nightly report", "nginx", "r\xe9sum\xe9", "shared/redis")
    assert snapshot.jobs(["shared/redis"])["shared/redis"].data == b"redis"


def test_a_loop_of_links_is_an_error_and_no_crash(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "jobs" / "a.nomad").symlink_to(tmp_path / "jobs" / "b.nomad")
    (tmp_path / "jobs" / "b.nomad").symlink_to(tmp_path / "jobs" / "a.nomad")
    assert refusal(lambda: store_at(tmp_path).snapshot().jobs(["a"])).error_code == "store-unreadable"


def test_hidden_files_and_editors_backups_are_no_jobs(tmp_path: Path) -> None:
    strays = ["jobs/.api.nomad.swp", "jobs/api.nomad~", "jobs/#api.nomad#", "jobs/nginx.nomad.bak", "jobs/.git/x.nomad", "jobs/a.orig"]
    write(tmp_path, {**FILES, **dict.fromkeys(strays, b"")})
    assert store_at(tmp_path).snapshot().list_jobs() == tuple(sorted(p.removeprefix("jobs/") for p in FILES if p.startswith("jobs/")))


# -- revision ---------------------------------------------------------------------------------------------------------------


def revision_of(snapshot: FilesystemSnapshot) -> tuple[str, str]:
    snapshot.depfile()
    snapshot.jobs(["api"])
    return snapshot.revision.id, snapshot.revision.label


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repo" / "shop"
    write(root, FILES)
    git(root.parent if root.parent.exists() else tmp_path, "init", "-q")
    git(root.parent, "add", ".")
    git(root.parent, "commit", "-q", "-m", "x")
    return root


def test_the_revision_does_not_depend_on_where_the_folder_stands(tmp_path: Path) -> None:
    write(tmp_path / "a", FILES)
    write(tmp_path / "b", FILES)
    first, second = (revision_of(store_at(tmp_path, root=tmp_path / name).snapshot()) for name in ("a", "b"))
    assert first == second


def test_without_git_the_label_is_a_short_digest(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    full, label = revision_of(store_at(tmp_path).snapshot())
    assert full.startswith(label)
    assert len(label) == len("sha256:") + 12


def test_files_as_committed_are_labelled_with_the_commit(repository: Path) -> None:
    assert revision_of(store_at(repository).snapshot())[1] == git(repository, "rev-parse", "HEAD")[:12]


def test_edits_of_files_that_were_not_read_do_not_matter(repository: Path) -> None:
    write(repository, {"jobs/nginx.hcl": b"edited", "untracked": b""})
    assert revision_of(store_at(repository).snapshot())[1] == git(repository, "rev-parse", "HEAD")[:12]


@pytest.mark.parametrize("path", ["jobs/api.nomad", "dependency.json"])
def test_an_edited_file_is_no_commit(repository: Path, path: str) -> None:
    write(repository, {path: b"edited"})
    assert revision_of(store_at(repository).snapshot())[1].startswith("sha256:")


def test_an_untracked_or_ignored_file_is_no_commit(repository: Path) -> None:
    git(repository, "rm", "-q", "--cached", "jobs/api.nomad")
    write(repository, {".gitignore": b"api.nomad\n"})
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "y")
    assert revision_of(store_at(repository).snapshot())[1].startswith("sha256:")


def test_a_repository_named_by_the_environment_is_not_asked(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "plain", FILES)
    monkeypatch.setenv("GIT_DIR", str(repository.parent / ".git"))
    assert revision_of(store_at(tmp_path / "plain").snapshot())[1].startswith("sha256:")


def test_without_the_git_program_the_digest_is_enough(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision_of(store_at(repository).snapshot())[1].startswith("sha256:")


def test_names_and_contents_cannot_be_shifted_into_each_other(tmp_path: Path) -> None:
    write(tmp_path / "a", {"dependency.json": b"", "jobs/a": b"b"})
    write(tmp_path / "b", {"dependency.json": b"", "jobs/ab": b""})
    one, two = store_at(tmp_path, root=tmp_path / "a").snapshot(), store_at(tmp_path, root=tmp_path / "b").snapshot()
    one.jobs(["a"])
    two.jobs(["ab"])
    assert one.revision.id != two.revision.id


@pytest.mark.parametrize("settings", [{"root": Path("n" * 300)}, {"depfile": Path("n" * 300)}, {"jobs": Path("n" * 300)}])
def test_a_place_that_cannot_be_looked_at_is_told_and_never_a_traceback(tmp_path: Path, settings: dict[str, Path]) -> None:
    write(tmp_path, FILES)
    places = {what: tmp_path / path for what, path in settings.items()}
    error = refusal(lambda: store_at(tmp_path, **places).snapshot().depfile())
    assert error.error_code == "store-unreadable"
    assert "too long" in error.problem


def test_a_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    write(tmp_path / "shop", FILES)
    (tmp_path / "shop").chmod(0)
    with as_nobody():
        error = refusal(lambda: store_at(tmp_path, root=tmp_path / "shop").snapshot())
    (tmp_path / "shop").chmod(0o755)
    assert error.error_code == "store-unreadable"
    assert "shop" in error.problem


@contextmanager
def as_nobody() -> Iterator[None]:
    """Go without the powers of root, to whom no folder is closed."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)

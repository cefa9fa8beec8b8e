from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from dtree_stores.filesystem import FilesystemSnapshot, FilesystemStore
from dtree_stores.notification import Notifications

from dtree.store import Changes, Store, StoreChanged, StoreContext, StoreError, StoreFileMissing
from dtree.testing import DEPFILE, FILES, WritableStoreContract


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


class TestFilesystemStore(WritableStoreContract):
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
    error = refusal(store_at(tmp_path).snapshot().depfile)
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
    error = refusal(lambda: store_at(tmp_path, **given).snapshot().depfile())
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


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES)
    monkeypatch.chdir(tmp_path / "jobs")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.nomad")  # by its name alone, as a socket's path may not be long
        error = refusal(lambda: store_at(tmp_path).snapshot().jobs(["socket"]))
    assert (error.error_code, error.problem) == ("store-not-a-file", "jobs/socket.nomad is no regular file")


def test_a_file_larger_than_one_read_takes_is_read_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    write(tmp_path, {**FILES, "jobs/large.nomad": content})
    assert store_at(tmp_path).snapshot().jobs(["large"])["large"].data == content


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


# -- writing ----------------------------------------------------------------------------------------------------------------


def files_of(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def test_a_folder_that_does_not_exist_is_made_when_it_is_filled(tmp_path: Path) -> None:
    root = tmp_path / "new" / "shop"
    snapshot = store_at(tmp_path, root=root).snapshot()
    assert isinstance(refusal(snapshot.depfile), StoreFileMissing)
    assert (snapshot.list_jobs(), snapshot.title) == ((), "shop")
    assert not root.exists()
    snapshot.write(Changes(DEPFILE, {"api.nomad": b"api"}, {"config/x": b"x"}))
    assert files_of(root) == {"dependency.json": DEPFILE, "jobs/api.nomad": b"api", "config/x": b"x"}


def test_all_three_places_may_be_new(tmp_path: Path) -> None:
    store = store_at(tmp_path, depfile=tmp_path / "a" / "deps.yml", jobs=tmp_path / "b" / "jobs")
    assert store.snapshot().list_jobs() == ()
    store.snapshot().write(Changes(b"dependencies: {}", {"api.nomad": b"api"}))
    assert files_of(tmp_path) == {"a/deps.yml": b"dependencies: {}", "b/jobs/api.nomad": b"api"}
    assert store.snapshot().list_jobs() == ("api.nomad",)


def test_other_peoples_files_in_a_folder_that_is_to_be_filled_are_no_jobs(tmp_path: Path) -> None:
    write(tmp_path, {"letter.txt": b"", "photos/cat.jpg": b""})
    snapshot = store_at(tmp_path).snapshot()
    assert snapshot.list_jobs() == ()
    snapshot.write(Changes(DEPFILE, {"api.nomad": b"api"}))
    assert files_of(tmp_path).keys() == {"letter.txt", "photos/cat.jpg", "dependency.json", "jobs/api.nomad"}


@pytest.mark.parametrize(("data", "name"), [(b'{"dependencies": {}}', "dependency.json"), (b"dependencies: {}\n", "dependency.yaml")])
def test_a_new_dependency_file_is_named_after_what_it_is(tmp_path: Path, data: bytes, name: str) -> None:
    store_at(tmp_path).snapshot().write(Changes(data))
    assert files_of(tmp_path) == {name: data}


def test_a_dependency_file_that_is_there_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"dependency.yml": b"old"})
    store_at(tmp_path).snapshot().write(Changes(b'{"dependencies": {}}'))
    assert files_of(tmp_path) == {"dependency.yml": b'{"dependencies": {}}'}


def test_jobs_beside_the_dependency_file_are_written_there(tmp_path: Path) -> None:
    write(tmp_path, {"dependency.json": b"{}", "api.nomad": b"old"})
    store_at(tmp_path).snapshot().write(Changes(jobs={"api.nomad": b"new", "db.nomad": b"db"}))
    assert files_of(tmp_path) == {"dependency.json": b"{}", "api.nomad": b"new", "db.nomad": b"db"}


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / "jobs" / "api.nomad").chmod(0o640)
    before = os.umask(0o027)
    try:
        store_at(tmp_path).snapshot().write(Changes(jobs={"api.nomad": b"x", "new.nomad": b"x"}))
    finally:
        os.umask(before)
    assert [(tmp_path / "jobs" / name).stat().st_mode & 0o777 for name in ("api.nomad", "new.nomad")] == [0o640, 0o640]
    assert (tmp_path / "jobs" / "nginx.hcl").read_bytes() == FILES["jobs/nginx.hcl"]


def test_what_is_as_it_shall_be_is_not_touched(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    before = (tmp_path / "jobs" / "api.nomad").stat()
    store_at(tmp_path).snapshot().write(Changes(DEPFILE, {"api.nomad": FILES["jobs/api.nomad"], "gone.nomad": None}))
    after = (tmp_path / "jobs" / "api.nomad").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ({"jobs/api.nomad": b"theirs"}, "api.nomad"),
        ({"dependency.json": b"theirs"}, "the dependency file"),
        ({"jobs/new.nomad": b"theirs"}, "new.nomad"),
        ({"config/nginx.conf": b"theirs"}, "config/nginx.conf"),
    ],
)
def test_what_differs_from_what_was_seen_is_named_and_nothing_written(tmp_path: Path, edit: dict[str, bytes], named: str) -> None:
    write(tmp_path, FILES)
    snapshot = store_at(tmp_path).snapshot()
    snapshot.depfile()
    snapshot.read("config/nginx.conf")
    snapshot.read_jobs(snapshot.list_jobs())
    write(tmp_path, edit)
    before = files_of(tmp_path)
    ours = Changes(b"ours", {"api.nomad": b"ours", "new.nomad": b"ours", "nginx.hcl": None}, {"config/nginx.conf": b"ours"})
    error = refusal(lambda: snapshot.write(ours))
    assert isinstance(error, StoreChanged)
    assert error.problem == f"{named} was changed since it was read, so nothing was written"
    assert files_of(tmp_path) == before


def test_a_listed_file_that_is_gone_and_a_missing_one_that_came_are_changes(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    snapshot = store_at(tmp_path).snapshot()
    snapshot.list_jobs()
    refusal(lambda: snapshot.read("config/extra"))
    (tmp_path / "jobs" / "api.nomad").unlink()
    write(tmp_path, {"config/extra": b"theirs"})
    with pytest.raises(StoreChanged) as caught:
        snapshot.write(Changes(jobs={"api.nomad": b"ours"}, files={"config/extra": b"ours"}))
    assert (caught.value.problem.partition(" ")[0], caught.value.notes) == ("api.nomad", ("so was config/extra",))


def test_a_dependency_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    snapshot = store_at(tmp_path).snapshot()
    write(tmp_path, {"dependency.yaml": b"theirs"})
    with pytest.raises(StoreChanged):
        snapshot.write(Changes(b"ours", {"api.nomad": b"ours"}))
    assert files_of(tmp_path) == {"dependency.yaml": b"theirs"}


def test_changes_elsewhere_do_not_matter(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    snapshot = store_at(tmp_path).snapshot()
    snapshot.read_jobs(snapshot.list_jobs())
    write(tmp_path, {"jobs/nginx.hcl": b"theirs"})
    snapshot.write(Changes(jobs={"api.nomad": b"ours"}))
    assert store_at(tmp_path).snapshot().jobs(["nginx"])["nginx"].data == b"theirs"


@pytest.mark.parametrize("path", ["leak.nomad", "leaks/x.nomad", "dangling.nomad"])
def test_no_link_leads_a_write_out_of_the_root(tmp_path: Path, path: str) -> None:
    write(tmp_path, {"outside/secret": b"s"})
    write(tmp_path / "shop", FILES)
    (tmp_path / "shop" / "jobs" / "leak.nomad").symlink_to(tmp_path / "outside" / "secret")
    (tmp_path / "shop" / "jobs" / "leaks").symlink_to(tmp_path / "outside")
    (tmp_path / "shop" / "jobs" / "dangling.nomad").symlink_to(tmp_path / "outside" / "new")
    before = files_of(tmp_path)
    error = refusal(lambda: store_at(tmp_path / "shop").snapshot().write(Changes(jobs={"api.nomad": b"ours", path: b"ours"})))
    assert error.error_code == "store-outside"
    assert files_of(tmp_path) == before


def test_a_link_within_the_root_is_written_through_and_removed_itself(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "shared/db": b"old", "shared/old": b"kept"})
    (tmp_path / "jobs" / "db.nomad").symlink_to("../shared/db")
    (tmp_path / "jobs" / "old.nomad").symlink_to("../shared/old")
    store_at(tmp_path).snapshot().write(Changes(jobs={"db.nomad": b"new", "old.nomad": None}))
    assert ((tmp_path / "shared" / "db").read_bytes(), (tmp_path / "shared" / "old").read_bytes()) == (b"new", b"kept")
    assert (tmp_path / "jobs" / "db.nomad").is_symlink()
    assert not (tmp_path / "jobs" / "old.nomad").is_symlink()


@pytest.mark.parametrize(("path", "code"), [("batch", "store-not-a-file"), ("api.nomad/x.nomad", "store-not-a-folder")])
def test_a_folder_and_a_file_in_the_way_are_told_before_anything_is_written(tmp_path: Path, path: str, code: str) -> None:
    write(tmp_path, FILES)
    snapshot = store_at(tmp_path).snapshot()
    changes = Changes(jobs={"a.nomad": b"ours", path: b"ours"})
    error = refusal(lambda: snapshot.write(changes))
    assert error.error_code in (code, "store-unreadable")
    assert refusal(lambda: snapshot.check_changes(changes)).error_code in (code, "store-unreadable")
    assert files_of(tmp_path) == dict(sorted(FILES.items()))


def test_a_file_that_does_not_fit_on_the_disk_says_what_was_written_before(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    snapshot = store_at(tmp_path).snapshot()
    with largest_file(100_000):
        error = refusal(lambda: snapshot.write(Changes(b"{}", {"a.nomad": b"a", "big.nomad": b"x" * 200_000, "nginx.hcl": None})))
    assert (error.error_code, error.problem) == ("store-unwritable", "jobs/big.nomad cannot be written: File too large")
    assert error.notes == ("written or removed before that: jobs/a.nomad",)
    assert files_of(tmp_path) == dict(sorted({**FILES, "jobs/a.nomad": b"a"}.items()))


def test_a_folder_that_may_not_be_written_to_is_told() -> None:
    with TemporaryDirectory() as folder:  # the way to tmp_path is closed to others
        root = Path(folder)
        write(root, FILES)
        root.chmod(0o755)
        (root / "jobs").chmod(0o555)
        with as_nobody():
            error = refusal(lambda: store_at(root).snapshot().write(Changes(jobs={"a.nomad": b"a"})))
    assert error.error_code == "store-unwritable"
    assert (error.problem, error.notes) == ("jobs/a.nomad cannot be written: Permission denied", ("nothing was written before that",))


def test_a_reader_never_sees_a_part_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    whole = {b"a" * 1_000_000, b"b" * 1_000_000}
    store_at(tmp_path).snapshot().write(Changes(jobs={"api.nomad": b"a" * 1_000_000}))
    seen: set[bytes] = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [store_at(tmp_path).snapshot().write(Changes(jobs={"api.nomad": data})) for data in [*whole] * 5])
        while not writing.done():
            snapshot = store_at(tmp_path).snapshot()
            seen.add(snapshot.jobs(["api"])["api"].data)
            assert snapshot.job_names() == ("api", "batch/nightly report", "nginx", "r\xe9sum\xe9")
        writing.result()
    assert seen <= whole
    assert files_of(tmp_path).keys() == FILES.keys()


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Have the system refuse larger files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- watching ---------------------------------------------------------------------------------------------------------------


def seen(root: Path) -> FilesystemSnapshot:
    """A snapshot that has listed the jobs and read all but `nginx.hcl`."""
    snapshot = store_at(root).snapshot()
    snapshot.depfile()
    snapshot.jobs(["api"])
    return snapshot


def edit_later(act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.3, act)
    timer.start()
    return timer


def rename(root: Path, old: str, new: str) -> None:
    (root / old).rename(root / new)


def replace(root: Path, files: Mapping[str, bytes]) -> None:
    write(root.parent / "next", files)
    rename(root, ".", "../last")
    rename(root.parent, "next", root.name)


CHANGES: Mapping[str, Callable[[Path], object]] = {
    "a file that was read": lambda root: write(root, {"jobs/api.nomad": b"edited"}),
    "the dependency file": lambda root: write(root, {"dependency.json": b"{}"}),
    "a new job": lambda root: write(root, {"jobs/new.nomad": b""}),
    "a new job in a new folder": lambda root: write(root, {"jobs/a/b/new.nomad": b""}),
    "a job removed": lambda root: (root / "jobs" / "nginx.hcl").unlink(),
    "a second dependency file": lambda root: write(root, {"dependency.yaml": b""}),
    "a file renamed over another": lambda root: rename(root, "config/nginx.conf", "jobs/api.nomad"),
    "the jobs moved away": lambda root: rename(root, "jobs", "../away"),
    "the root removed": shutil.rmtree,
    "the root replaced": lambda root: replace(root, {**FILES, "jobs/api.nomad": b"next"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed_before_and_during_the_wait(tmp_path: Path, change: Callable[[Path], object]) -> None:
    write(tmp_path / "during", FILES)
    snapshot = seen(tmp_path / "during")
    timer = edit_later(lambda: change(tmp_path / "during"))
    began_s = time.monotonic()
    assert snapshot.wait_for_change(60.0)
    assert time.monotonic() - began_s < 30
    timer.join()
    assert snapshot.wait_for_change(60.0), "it came before this call, and after the read"


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: write(root, {"README.md": b"x", "config/nginx.conf": b"edited"}),
        lambda root: write(root, {"jobs/.api.nomad.swp": b"x", "jobs/api.nomad~": b"x"}),
        lambda root: write(root, {"jobs/nginx.hcl": b"was listed, not read"}),
        lambda root: write(root, {"jobs/api.nomad": FILES["jobs/api.nomad"]}),
        lambda root: (root / "jobs" / "empty").mkdir(),
        lambda root: write(root.parent, {"neighbour": b"x"}),
    ],
    ids=["unrelated files", "an editor's files", "a job that was not read", "written as it was", "an empty folder", "a neighbour"],
)
def test_what_changes_nothing_that_was_seen_is_no_change(tmp_path: Path, edit: Callable[[Path], object]) -> None:
    write(tmp_path / "shop", FILES)
    snapshot = seen(tmp_path / "shop")
    timer = edit_later(lambda: edit(tmp_path / "shop"))
    began_s = time.monotonic()
    assert not snapshot.wait_for_change(1.0)
    assert 0.9 <= time.monotonic() - began_s <= 20
    timer.join()


def test_a_file_in_a_folder_made_while_waiting_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    snapshot = seen(tmp_path)
    made = edit_later((tmp_path / "jobs" / "later").mkdir)
    filled = threading.Timer(1.5, lambda: write(tmp_path, {"jobs/later/new.nomad": b""}))
    filled.start()
    assert snapshot.wait_for_change(60.0)
    made.join()
    filled.join()


def test_a_root_that_comes_into_being_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"
    snapshot = store_at(tmp_path, root=root).snapshot()
    refusal(snapshot.depfile)
    assert not snapshot.wait_for_change(0.3)
    timer = edit_later(lambda: write(root, FILES))
    assert snapshot.wait_for_change(60.0)
    timer.join()


def test_what_a_link_leads_to_is_watched(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "deep/er/db": b"old"})
    (tmp_path / "jobs" / "db.nomad").symlink_to("../deep/er/db")
    snapshot = store_at(tmp_path).snapshot()
    snapshot.jobs(["db"])
    timer = edit_later(lambda: write(tmp_path, {"deep/er/db": b"new"}))
    assert snapshot.wait_for_change(60.0)
    timer.join()


def test_where_the_system_cannot_listen_it_is_looked_at_now_and_then(tmp_path: Path) -> None:
    with Notifications([tmp_path / "gone"]) as told:
        assert told.wait(30.0, inside=[], paths=[]), "there may be something"
        assert not told.wait(0.1, inside=[], paths=[])


# -- places that cannot be looked at ----------------------------------------------------------------------------------------


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

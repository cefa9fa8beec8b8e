from __future__ import annotations

import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.git_repo import GitStore

from dtree.store import Store, StoreContext, StoreError, StoreFileMissing
from dtree.testing import FILES, StoreContract
from tests.fakes.repositories import add_entries, add_links, be_nobody, commit_files, git, make_repository


def no_nomad() -> Any:
    pytest.fail("the Git store has no need of Nomad")


def store_at(cwd: Path, **settings: object) -> GitStore:
    known = {option.key: option.default for option in GitStore.options} | settings
    return GitStore(known, StoreContext(cwd=cwd, cache=cwd / "no-cache", nomad=no_nomad))


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.hint
    return caught.value


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    be_nobody(monkeypatch)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with the files of the contract, and no work tree to speak of."""
    root = make_repository(tmp_path / "shop")
    commit_files(root, FILES)
    return root


class TestGitStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _root(self, tmp_path: Path) -> None:
        self.root = tmp_path / "shop"

    def store(self, files: Mapping[str, bytes]) -> Store:
        make_repository(self.root)
        commit_files(self.root, files)
        return store_at(self.root)

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert store.context.cwd == self.root
        commit_files(self.root, files)


# -- which commit -----------------------------------------------------------------------------------------------------------


def api_at(cwd: Path, **settings: object) -> bytes:
    return store_at(cwd, **settings).snapshot().jobs(["api"])["api"].data


@pytest.fixture
def history(shop: Path) -> dict[str, str]:
    """Commits by what their `api` says; `old` is tagged v1.2, `middle` v1.10 with an object of its own, `new` is on main."""
    commits = {}
    for name in ("old", "middle", "new"):
        commits[name] = commit_files(shop, {**FILES, "jobs/api.nomad": name.encode()})
        git(shop, *{"old": ("tag", "v1.2"), "middle": ("tag", "-a", "-m", "x", "v1.10"), "new": ("branch", "feature/x")}[name])
    return commits


def test_a_tag_a_branch_a_commit_and_a_pattern_each_mean_their_commit(shop: Path, history: dict[str, str]) -> None:
    asked = {
        "v1.2": b"old",
        "v1.10": b"middle",
        "refs/tags/v1.10": b"middle",
        "feature/x": b"new",
        "HEAD": b"new",
        "v1.*": b"middle",
        history["old"]: b"old",
        history["old"][:7]: b"old",
    }
    assert {ref: api_at(shop, ref=ref) for ref in asked} == asked


def test_the_revision_is_the_commit_with_its_date_and_the_ref_that_was_asked_for(shop: Path, history: dict[str, str]) -> None:
    short = {name: commit[:12] for name, commit in history.items()}
    labels = {
        "v1.2": f"v1.2 ({short['old']}, 2026-03-01)",
        "v1.*": f"v1.10 of v1.* ({short['middle']}, 2026-03-01)",
        "HEAD": f"HEAD ({short['new']}, 2026-03-01)",
        history["old"]: f"{short['old']} (2026-03-01)",
        history["old"][:7]: f"{short['old']} (2026-03-01)",
    }
    revisions = {ref: store_at(shop, ref=ref).snapshot().revision for ref in labels}
    assert {ref: revision.label for ref, revision in revisions.items()} == labels
    assert revisions["v1.*"].id == history["middle"]


def test_a_tag_comes_before_a_branch_of_its_name_as_in_git(shop: Path, history: dict[str, str]) -> None:
    git(shop, "branch", "v1.2", history["new"])
    assert api_at(shop, ref="v1.2") == b"old"
    assert api_at(shop, ref="refs/heads/v1.2") == b"new"


def test_a_detached_head_is_a_head(shop: Path, history: dict[str, str]) -> None:
    (shop / ".git" / "HEAD").write_text(history["old"] + "\n")
    assert api_at(shop) == b"old"


def test_an_unknown_ref_is_told_with_the_nearest(shop: Path) -> None:
    git(shop, "tag", "v1.2.3")
    error = refusal(store_at(shop, ref="v1.2.4").snapshot)
    assert (error.error_code, error.hint) == ("git-unknown-ref", "did you mean 'v1.2.3'?")


def test_an_unknown_ref_that_is_like_none_is_told_with_what_is_understood_and_where_to_look(shop: Path) -> None:
    hint = f"give --ref a tag, a branch, a commit, HEAD, or a pattern of tags as `v1.*`; `git ls-remote {shop}` lists its tags and branches"
    assert refusal(store_at(shop, ref="elsewhere").snapshot).hint == hint


def test_a_pattern_that_fits_no_tag_says_which_tags_there_are(shop: Path) -> None:
    assert refusal(store_at(shop, ref="v2.*").snapshot).notes == ("it has no tags",)
    git(shop, "tag", "v1.2")
    assert refusal(store_at(shop, ref="v2.*").snapshot).notes == ("there are 1, among them v1.2",)


def test_a_short_commit_that_begins_several_is_told(shop: Path) -> None:
    git(shop, "fast-import", "--quiet", stdin=_many_commits(600))
    commits = git(shop, "for-each-ref", "--sort=objectname", "--format=%(objectname)").split()
    twice = next(a[:4] for a, b in pairwise(commits) if a[:4] == b[:4])
    assert refusal(store_at(shop, ref=twice).snapshot).notes == ("more than one commit begins with it",)


def _many_commits(count: int) -> bytes:
    lines = "commit refs/heads/n{0}\nmark :{0}\ncommitter t <t@example.org> {0} +0000\ndata 0\n"
    return "".join(lines.format(number) for number in range(1, count + 1)).encode()


def test_a_tag_of_something_else_than_a_commit_is_no_commit(shop: Path) -> None:
    git(shop, "tag", "tree-only", git(shop, "rev-parse", "HEAD^{tree}"))
    assert refusal(store_at(shop, ref="tree-only").snapshot).error_code == "git-unknown-ref"


def test_an_empty_repository_says_so(tmp_path: Path) -> None:
    make_repository(tmp_path / "shop")
    assert refusal(store_at(tmp_path / "shop").snapshot).error_code == "git-empty"


# -- which repository -------------------------------------------------------------------------------------------------------


def test_bare_shallow_and_sha256_repositories_and_worktrees_are_read_like_any(shop: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(shop), "bare.git")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{shop}", "shallow")
    git(shop, "worktree", "add", "--quiet", "--detach", str(tmp_path / "worktree"))
    commit_files(make_repository(tmp_path / "sha256", "--object-format=sha256"), FILES)
    for name in ("bare.git", "shallow", "worktree", "sha256", "shop/.git"):
        for given in (str(tmp_path / name), name, f"file://{tmp_path}/{name}"):
            snapshot = store_at(tmp_path, git_url=given).snapshot()
            assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]
            assert snapshot.title == name.removesuffix("/.git").removesuffix(".git")
        assert api_at(tmp_path / name) == FILES["jobs/api.nomad"]


def test_a_commit_that_a_shallow_clone_lacks_is_told_with_the_reason(shop: Path, tmp_path: Path, history: dict[str, str]) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{shop}", "shallow")
    error = refusal(store_at(tmp_path / "shallow", ref=history["old"]).snapshot)
    assert error.notes == ("this clone is shallow: it has a part of the history only",)


def test_a_file_that_a_partial_clone_lacks_is_told_and_nothing_is_fetched_for_it(shop: Path, tmp_path: Path) -> None:
    git(shop, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{shop}", "partial")
    witness = tmp_path / "witness"
    git(tmp_path / "partial", "config", "remote.origin.uploadpack", f"touch {witness}; git-upload-pack")
    snapshot = store_at(tmp_path / "partial").snapshot()
    error = refusal(lambda: snapshot.jobs(["api"]))
    assert error.error_code == "git-object-missing"
    assert "HEAD:jobs/api.nomad" in error.problem
    assert not witness.exists()
    git(tmp_path / "partial", "cat-file", "-p", "HEAD:jobs/api.nomad")
    assert witness.exists(), "git as it is would have fetched it"


@pytest.mark.parametrize("given", ["nowhere", "plain", "shop/jobs", "n" * 300])
def test_what_is_no_repository_is_told(shop: Path, tmp_path: Path, given: str) -> None:
    (tmp_path / "plain").mkdir()
    (shop / "jobs").mkdir()
    error = refusal(store_at(tmp_path, git_url=given).snapshot)
    assert error.error_code == "git-not-a-repository"
    assert given in error.problem


def test_outside_of_any_repository_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert refusal(store_at(tmp_path).snapshot).error_code == "git-not-a-repository"


def test_a_repository_of_another_user_is_told_with_the_way_to_trust_it(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    error = refusal(store_at(shop).snapshot)
    assert error.error_code == "git-not-yours"
    assert "safe.directory" in error.hint


def test_a_repository_named_by_the_environment_is_not_asked(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_files(make_repository(tmp_path / "other"), {"dependency.json": b"other"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "other" / ".git" / "objects"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert store_at(shop).snapshot().depfile().data == FILES["dependency.json"]


def test_without_the_git_program_the_error_says_so(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_at(shop).snapshot()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(store_at(shop).snapshot).error_code == "git-missing"


def test_a_repository_that_goes_half_way_is_told(shop: Path) -> None:
    snapshot = store_at(shop).snapshot()
    snapshot.depfile()
    shutil.rmtree(shop / ".git")
    assert refusal(lambda: snapshot.jobs(["api"])).error_code == "store-unreadable"


def test_a_damaged_repository_is_told(shop: Path) -> None:
    snapshot = store_at(shop).snapshot()
    for file in (shop / ".git" / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"damaged" * 100)
    assert refusal(lambda: snapshot.jobs(["api"])).error_code == "store-unreadable"


# -- where the three places are ---------------------------------------------------------------------------------------------

NESTED = {f"apps/shop/{path}": data for path, data in FILES.items()} | {"other/jobs/api.nomad": b"other", "other/x": b"x"}


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A repository whose set of jobs stands in a folder of it."""
    root = make_repository(tmp_path / "all")
    commit_files(root, NESTED)
    (root / "apps" / "shop").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("cwd", "settings"),
    [
        ("apps/shop", {}),
        (".", {"git_root": "apps/shop"}),
        (".", {"git_root": "/apps/shop/"}),
        (".", {"git_depfile_path": "apps/shop/dependency.json"}),
        ("apps", {"git_depfile_path": "shop/dependency.json"}),
        ("apps/shop", {"git_depfile_path": "/apps/shop/dependency.json", "git_jobs_path": "../shop/jobs"}),
        (".", {"git_root": "apps/shop", "git_jobs_path": "jobs"}),
        ("apps", {"git_root": "/", "git_depfile_path": "apps/shop/dependency.json", "git_jobs_path": "apps/shop/jobs"}),
    ],
)
def test_the_places_are_found_from_the_folder_one_stands_in_and_by_options(nested: Path, cwd: str, settings: dict[str, str]) -> None:
    snapshot = store_at(nested / cwd, **settings).snapshot()
    assert snapshot.depfile().path == "HEAD:apps/shop/dependency.json"
    assert snapshot.jobs(["api"])["api"].path == "HEAD:apps/shop/jobs/api.nomad"
    assert snapshot.job_names() == ("api", "batch/nightly report", "nginx", "r\xe9sum\xe9")


def test_dependency_file_and_jobs_need_not_be_neighbours(nested: Path) -> None:
    snapshot = store_at(nested, git_depfile_path="apps/shop/dependency.json", git_jobs_path="other/jobs").snapshot()
    assert snapshot.jobs(["api"])["api"].data == b"other"
    assert snapshot.read("config/nginx.conf").data == FILES["config/nginx.conf"]
    assert snapshot.title == "shop"


def test_with_a_root_nothing_may_lie_outside_of_it(nested: Path) -> None:
    for option, path in (("git_depfile_path", "/other/x"), ("git_jobs_path", "../../other/jobs")):
        error = refusal(store_at(nested, git_root="apps/shop", **{option: path}).snapshot)
        assert error.error_code == "store-outside"
        assert f"--{option.replace('_', '-')}" in error.hint
    for path in ("../../x", "../../../etc"):
        assert refusal(store_at(nested, git_root=path).snapshot).error_code == "store-outside"


def test_a_folder_that_does_not_exist_at_that_commit_is_named_with_its_option(nested: Path) -> None:
    (nested / "new").mkdir()
    for cwd, settings, option in (
        (nested, {"git_root": "nowhere"}, "--git-root"),
        (nested / "new", {}, "--git-root"),
        (nested, {"git_jobs_path": "nowhere"}, "--git-jobs-path"),
    ):
        error = refusal(store_at(cwd, **settings).snapshot)
        assert error.error_code == "store-folder-missing"
        assert option in error.hint
    assert refusal(store_at(nested, git_jobs_path="other/x").snapshot).error_code == "store-not-a-folder"


def test_two_dependency_files_are_a_fault_that_names_both(shop: Path) -> None:
    commit_files(shop, {**FILES, "dependency.yml": b""})
    error = refusal(store_at(shop).snapshot().depfile)
    assert error.error_code == "depfile-ambiguous"
    assert store_at(shop, git_depfile_path="dependency.yml").snapshot().depfile().data == b""


def test_jobs_beside_the_dependency_file_are_found_and_it_is_none_of_them(shop: Path) -> None:
    commit_files(shop, {"dependency.yaml": b"{}", "api.nomad": b"", "nginx.nomad": b"", ".hidden/x.nomad": b"", "a.nomad~": b""})
    assert store_at(shop).snapshot().job_names() == ("api", "nginx")


# -- links, submodules, LFS, sizes ------------------------------------------------------------------------------------------


def test_links_within_the_root_are_followed(shop: Path) -> None:
    commit_files(shop, {**FILES, "shared/redis.nomad": b"redis", "shared/deep/kafka.nomad": b"kafka"})
    add_links(shop, {"jobs/web.nomad": "../shared/redis.nomad", "jobs/more": "../shared", "jobs/batch/up": "..", "shared/self": "."})
    add_links(shop, {"jobs/same.nomad": "./api.nomad"})
    snapshot = store_at(shop).snapshot()
    names = {"more/deep/kafka", "more/redis", "web"}
    assert set(snapshot.job_names()) == {"api", "batch/nightly report", "nginx", "r\xe9sum\xe9", "same"} | names
    assert snapshot.jobs(["same"])["same"].data == FILES["jobs/api.nomad"]
    assert {name: text.data for name, text in snapshot.jobs(names).items()} == {
        "more/deep/kafka": b"kafka",
        "more/redis": b"redis",
        "web": b"redis",
    }


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../../etc/hostname", "../outside.nomad"])
def test_a_link_that_leads_out_of_the_root_is_refused(nested: Path, target: str) -> None:
    add_links(nested, {"apps/shop/jobs/leak.nomad": f"../../{target}" if target.startswith("../o") else target})
    snapshot = store_at(nested / "apps" / "shop", git_root="apps/shop").snapshot()
    assert "leak" in snapshot.job_names()
    error = refusal(lambda: snapshot.jobs(["leak"]))
    assert error.error_code == "store-outside"


def test_a_jobs_folder_that_is_a_link_out_of_the_repository_is_refused(shop: Path) -> None:
    commit_files(shop, {"dependency.json": b"{}"})
    add_links(shop, {"jobs": "/etc"})
    assert refusal(store_at(shop).snapshot).error_code == "store-outside"


def test_links_to_nothing_and_in_circles_are_told(shop: Path) -> None:
    add_links(shop, {"jobs/a.nomad": "b.nomad", "jobs/b.nomad": "a.nomad", "jobs/c.nomad": "nothing", "jobs/d.nomad": "api.nomad/x"})
    snapshot = store_at(shop).snapshot()
    assert refusal(lambda: snapshot.jobs(["a"])).error_code == "store-unreadable"
    for job in ("c", "d"):
        assert isinstance(refusal(lambda job=job: snapshot.jobs([job])), StoreFileMissing)  # type: ignore[misc]


def test_a_bomb_of_linked_folders_is_an_error(shop: Path) -> None:
    folders = {f"f/{number}/x.nomad": b"%d" % number for number in range(12)}
    commit_files(shop, {**FILES, **folders})
    add_links(shop, {f"f/{number}/{name}": f"../{number + 1}" for number in range(11) for name in "ab"} | {"jobs/f": "../f/0"})
    assert refusal(lambda: store_at(shop).snapshot().list_jobs()).error_code == "git-too-large"


def test_a_file_in_a_submodule_is_told_as_such(shop: Path) -> None:
    commit = git(shop, "rev-parse", "HEAD")
    add_entries(shop, {"jobs/vendor": ("160000", commit), "lib": ("160000", commit)})
    snapshot = store_at(shop).snapshot()
    assert snapshot.job_names() == ("api", "batch/nightly report", "nginx", "r\xe9sum\xe9")
    found, faults = snapshot.find_jobs(["api", "vendor/redis"])
    assert list(found) == ["api"]
    assert [fault.code for fault in faults] == ["git-submodule"]
    assert "jobs/vendor" in faults[0].problem
    error = refusal(lambda: snapshot.read("lib/x.conf"))
    assert error.error_code == "git-submodule"
    assert "'lib'" in error.problem


def test_a_file_in_lfs_is_told_and_the_others_are_read(shop: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
    commit_files(shop, {**FILES, "jobs/big.nomad": pointer})
    snapshot = store_at(shop).snapshot()
    error = refusal(lambda: snapshot.jobs(["api", "big"]))
    assert error.error_code == "git-lfs"
    assert "HEAD:jobs/big.nomad" in error.problem
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]


def test_a_blob_of_two_gigabytes_is_refused_by_its_size_unread(shop: Path) -> None:
    # Its header says how large it is; the content breaks off, so whoever reads on fails with another error.
    oid = "b" * 40
    file = shop / ".git" / "objects" / oid[:2] / oid[2:]
    file.parent.mkdir()
    file.write_bytes(zlib.compress(b"blob 2147483648\0" + bytes(4096)))
    add_entries(shop, {"jobs/big.nomad": ("100644", oid)})
    error = refusal(lambda: store_at(shop).snapshot().jobs(["big"]))
    assert error.error_code == "git-too-large"
    assert "2048.0 MiB" in error.problem


def test_a_name_with_a_line_break_is_listed_and_cannot_be_read(shop: Path) -> None:
    commit_files(shop, {**FILES, "jobs/a\nb.nomad": b""})
    add_links(shop, {"jobs/c\nd": "x"})
    snapshot = store_at(shop).snapshot()
    assert "a\nb" in snapshot.job_names()
    assert refusal(lambda: snapshot.read_jobs(["a\nb.nomad"])).error_code == "git-bad-path"


def test_folders_and_files_are_not_taken_for_each_other(shop: Path) -> None:
    snapshot = store_at(shop).snapshot()
    assert refusal(lambda: snapshot.read("config")).error_code == "store-not-a-file"
    assert isinstance(refusal(lambda: snapshot.read("dependency.json/x")), StoreFileMissing)


# -- nothing is run, nothing is touched -------------------------------------------------------------------------------------


def _state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    files = {path: path.lstat() for path in sorted(root.rglob("*"))}
    return {
        str(path): (known.st_mtime_ns, known.st_mode, path.read_bytes() if stat.S_ISREG(known.st_mode) else b"")
        for path, known in files.items()
    }


def test_work_tree_index_and_everything_else_stay_as_they_are(shop: Path) -> None:
    git(shop, "reset", "--quiet", "--hard")
    (shop / "jobs" / "api.nomad").write_bytes(b"edited")
    (shop / "untracked").write_bytes(b"x")
    git(shop, "add", "jobs/nginx.hcl")
    before = _state(shop)
    snapshot = store_at(shop).snapshot()
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]
    snapshot.depfile()
    assert snapshot.revision.id == git(shop, "rev-parse", "HEAD")
    assert not snapshot.wait_for_change(0.1)
    assert _state(shop) == before


def test_a_hostile_repository_has_nothing_run(shop: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    command = f"touch {witness}; false"
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    settings = {
        "core.fsmonitor": str(program),
        "core.sshCommand": command,
        "core.pager": command,
        "core.editor": command,
        "core.askPass": str(program),
        "core.gitProxy": str(program),
        "core.hooksPath": str(tmp_path),
        "credential.helper": f"!{command}",
        "gpg.program": str(program),
        "gpg.ssh.program": str(program),
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{program}",
        "core.repositoryFormatVersion": "1",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "alias.cat-file": f"!{command}",
        "filter.x.smudge": command,
        "diff.x.textconv": command,
    }
    commit_files(shop, {**FILES, ".gitattributes": b"* filter=x diff=x\n"})
    add_entries(shop, {"jobs/gone.nomad": ("100644", "c" * 40)})
    for key, value in settings.items():
        git(shop, "config", key, value)
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        shutil.copy(program, shop / ".git" / "hooks" / hook)
    snapshot = store_at(shop).snapshot()
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]
    assert refusal(lambda: snapshot.jobs(["gone"])).error_code == "git-object-missing"
    assert refusal(store_at(shop, verify_signature=True).snapshot).error_code == "git-unsigned"
    assert not witness.exists()
    subprocess.run(["git", "-C", str(shop), "cat-file", "-p", "c" * 40], capture_output=True, check=False)
    assert witness.exists(), "git as it is would have run it"


@pytest.mark.parametrize("ref", ["--help", "-x", "--upload-pack=touch witness", "a\nb", "HEAD; touch witness", "$(touch witness)", "`x`"])
def test_a_hostile_ref_does_nothing_but_an_error(shop: Path, monkeypatch: pytest.MonkeyPatch, ref: str) -> None:
    monkeypatch.chdir(shop)
    assert refusal(store_at(shop, ref=ref).snapshot).error_code in ("git-bad-ref", "git-unknown-ref")
    assert not (shop / "witness").exists()


# -- waiting ----------------------------------------------------------------------------------------------------------------


def test_a_full_commit_never_changes_a_branch_may(shop: Path) -> None:
    commit = git(shop, "rev-parse", "HEAD")
    fixed, moving = store_at(shop, ref=commit).snapshot(), store_at(shop, ref="main").snapshot()
    commit_files(shop, {**FILES, "new": b""})
    assert not fixed.wait_for_change(0.05)
    assert moving.wait_for_change(5)


def test_a_new_tag_that_fits_the_pattern_better_is_a_change(shop: Path) -> None:
    git(shop, "tag", "v1.1")
    snapshot = store_at(shop, ref="v1.*").snapshot()
    assert not snapshot.wait_for_change(0.05)
    commit_files(shop, {**FILES, "new": b""})
    git(shop, "tag", "v1.2")
    assert snapshot.wait_for_change(5)


def test_a_branch_that_is_gone_is_a_change(shop: Path) -> None:
    git(shop, "branch", "x")
    snapshot = store_at(shop, ref="x").snapshot()
    git(shop, "branch", "-D", "x")
    assert snapshot.wait_for_change(5)

"""The Git store on a repository behind git's HTTP backend."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.git_repo import GitStore

from dtree.access.git import cache
from dtree.store import Store, StoreContext, StoreError, StoreUnreachable
from dtree.testing import FILES, StoreContract
from tests.fakes.repositories import add_entries, add_links, be_nobody, commit_files, git, make_repository
from tests.servers.eventually import eventually
from tests.servers.git_server import GitServer, served_repository, serving


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    be_nobody(monkeypatch)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serving(tmp_path / "served") as server:
        yield server


@pytest.fixture
def shop(server: GitServer) -> Path:
    """A bare repository on the server with the files of the contract."""
    return served_repository(server, FILES)


def no_nomad() -> Any:
    pytest.fail("the Git store has no need of Nomad")


def store_of(url: str, tmp_path: Path, **settings: object) -> GitStore:
    known = {option.key: option.default for option in GitStore.options} | {"git_url": url, **settings}
    return GitStore(known, StoreContext(cwd=tmp_path, cache=tmp_path / "cache", nomad=no_nomad))


def api_of(store: Store) -> bytes:
    return store.snapshot().jobs(["api"])["api"].data


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.hint
    return caught.value


def cache_of(tmp_path: Path) -> Path:
    (folder,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    return folder


class TestRemoteGitStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _server(self, server: GitServer, tmp_path: Path) -> None:
        self.server, self.tmp_path = server, tmp_path

    def store(self, files: Mapping[str, bytes]) -> Store:
        served_repository(self.server, files)
        return store_of(self.server.url("shop.git"), self.tmp_path)

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert store.settings["git_url"] == self.server.url("shop.git")
        commit_files(self.server.root / "shop.git", files)


# -- which commit -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(shop: Path) -> dict[str, str]:
    """Commits by what their `api` says; `old` is tagged v1.2, `middle` v1.10 with an object of its own, `new` is on main."""
    commits = {}
    for name in ("old", "inner", "middle", "new"):
        commits[name] = commit_files(shop, {**FILES, "jobs/api.nomad": name.encode()})
        named = {"old": ["tag", "v1.2"], "middle": ["tag", "-a", "-m", "x", "v1.10"], "new": ["branch", "feature/x"]}
        git(shop, *named.get(name, ["rev-parse", "HEAD"]))
    return commits


@pytest.mark.parametrize("protocol", ["0", "2"])
def test_a_tag_a_branch_a_commit_and_a_pattern_each_mean_their_commit(
    server: GitServer, tmp_path: Path, history: dict[str, str], monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    # By protocol 0 a server gives no commit by its id but those that refs name: the history is looked through then.
    for name, value in {"COUNT": "1", "KEY_0": "protocol.version", "VALUE_0": protocol}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    asked = {
        "v1.2": b"old",
        "v1.10": b"middle",
        "refs/tags/v1.10": b"middle",
        "refs/heads/feature/x": b"new",
        "feature/x": b"new",
        "HEAD": b"new",
        "v1.*": b"middle",
        history["old"][:8]: b"old",
        history["inner"]: b"inner",
        history["inner"][:8]: b"inner",
    }
    for ref, expected in asked.items():
        store = store_of(server.url("shop.git"), tmp_path / ref.replace("/", "_").replace("*", "x"), ref=ref)
        snapshot = store.snapshot()
        assert (ref, snapshot.jobs(["api"])["api"].data) == (ref, expected)
        assert snapshot.revision.id == history[expected.decode()]
        assert snapshot.title == "shop"


def test_no_more_is_fetched_than_was_asked_for(server: GitServer, tmp_path: Path, shop: Path, history: dict[str, str]) -> None:
    commit_files(shop, {**FILES, "large": os.urandom(1 << 20)})
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    snapshot.depfile()
    snapshot.jobs(["api", "nginx"])
    folder = cache_of(tmp_path)
    assert git(folder, "rev-list", "--all").count("\n") == 0
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 100_000
    assert history["old"] not in git(folder, "for-each-ref")


def test_files_come_in_one_request_however_many(server: GitServer, tmp_path: Path, shop: Path) -> None:
    commit_files(shop, {"dependency.json": b"{}", **{f"jobs/{number}.nomad": b"%d" % number for number in range(50)}})
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    before = len(server.requests)
    snapshot.jobs(snapshot.job_names())
    assert len(server.requests) - before <= 3


def test_a_tag_and_a_full_commit_that_are_there_need_no_network(server: GitServer, tmp_path: Path, history: dict[str, str]) -> None:
    url = server.url("shop.git")
    for ref in ("v1.10", history["inner"]):
        _read(store_of(url, tmp_path, ref=ref))
    server.requests.clear()
    for ref, expected in (("v1.10", b"middle"), (history["inner"], b"inner"), (history["middle"], b"middle")):
        assert _read(store_of(url, tmp_path, ref=ref)) == expected
    assert server.requests == []


def test_with_the_server_ended_a_tag_is_read_and_a_branch_is_a_clear_error(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        git(served_repository(server, FILES), "tag", "v1.2")
        url = server.url("shop.git")
        _read(store_of(url, tmp_path, ref="v1.2"))
        _read(store_of(url, tmp_path, ref="main"))
    assert _read(store_of(url, tmp_path, ref="v1.2")) == FILES["jobs/api.nomad"]
    for ref in ("main", "HEAD", "v1.*"):
        error = refusal(store_of(url, tmp_path, ref=ref).snapshot)
        assert isinstance(error, StoreUnreachable)
        assert error.error_code == "store-unreachable"
        assert url in error.problem
        assert "tag" in error.hint
    error = refusal(lambda: store_of(url, tmp_path, ref="v1.2").snapshot().read("config/nginx.conf"))
    assert error.error_code == "store-unreachable"


@pytest.mark.parametrize("ref", ["v1.2", "commit", "short"])
def test_what_never_changes_is_read_again_without_the_server_though_only_its_list_was_read_before(tmp_path: Path, ref: str) -> None:
    with serving(tmp_path / "served") as server:
        repository = served_repository(server, FILES)
        git(repository, "tag", "v1.2")
        commit = git(repository, "rev-parse", "main")
        ref = {"commit": commit, "short": commit[:7]}.get(ref, ref)
        url = server.url("shop.git")
        snapshot = store_of(url, tmp_path, ref=ref).snapshot()
        snapshot.depfile()
        snapshot.job_names()
    assert _read(store_of(url, tmp_path, ref=ref)) == FILES["jobs/api.nomad"]


def test_a_short_commit_that_nobody_has_is_a_clear_error_without_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        served_repository(server, FILES)
        url = server.url("shop.git")
        _read(store_of(url, tmp_path, ref="main"))
    assert isinstance(refusal(store_of(url, tmp_path, ref="abcdef0").snapshot), StoreUnreachable)


def _read(store: Store) -> bytes:
    snapshot = store.snapshot()
    snapshot.depfile()
    assert snapshot.revision.label
    return snapshot.jobs(["api"])["api"].data


def test_a_branch_is_asked_for_each_time_and_fetched_only_when_it_moved(server: GitServer, tmp_path: Path, shop: Path) -> None:
    url = server.url("shop.git")
    assert _read(store_of(url, tmp_path, ref="main")) == FILES["jobs/api.nomad"]
    server.requests.clear()
    assert _read(store_of(url, tmp_path, ref="main")) == FILES["jobs/api.nomad"]
    assert not [line for line in server.requests if line.startswith("POST") and "ls-refs" in line]
    assert len(server.requests) == 2
    commit_files(shop, {**FILES, "jobs/api.nomad": b"moved"})
    assert _read(store_of(url, tmp_path, ref="main")) == b"moved"


def test_a_branch_that_is_another_kind_of_name_now_is_no_trouble(server: GitServer, tmp_path: Path, shop: Path) -> None:
    url = server.url("shop.git")
    git(shop, "branch", "a")
    _read(store_of(url, tmp_path, ref="a"))
    git(shop, "branch", "-D", "a")
    git(shop, "branch", "a/b")
    assert _read(store_of(url, tmp_path, ref="a/b")) == FILES["jobs/api.nomad"]


def test_unknown_refs_and_empty_repositories_are_told(server: GitServer, tmp_path: Path, shop: Path) -> None:
    url = server.url("shop.git")
    git(shop, "tag", "v1.2.3")
    error = refusal(store_of(url, tmp_path, ref="v1.2.4").snapshot)
    assert (error.error_code, error.hint) == ("git-unknown-ref", "did you mean 'v1.2.3'?")
    for ref in ("0123456789abcdef", "0" * 40, "refs/pull/1/head"):
        error = refusal(store_of(url, tmp_path, ref=ref).snapshot)
        assert (error.error_code, f"`git ls-remote {url}` lists" in error.hint) == ("git-unknown-ref", True)
    assert refusal(store_of(url, tmp_path, ref="v2.*").snapshot).notes == ("there are 1, among them v1.2.3",)
    make_repository(server.root / "empty.git", "--bare")
    for ref in ("HEAD", "main", "v1.*"):
        assert refusal(store_of(server.url("empty.git"), tmp_path, ref=ref).snapshot).error_code == "git-empty"


def test_a_head_that_names_no_branch_is_told_and_branches_are_read(server: GitServer, tmp_path: Path, shop: Path) -> None:
    git(shop, "symbolic-ref", "HEAD", "refs/heads/trunk")
    assert refusal(store_of(server.url("shop.git"), tmp_path).snapshot).error_code == "git-unknown-ref"
    assert _read(store_of(server.url("shop.git"), tmp_path, ref="main")) == FILES["jobs/api.nomad"]


# -- servers of many kinds --------------------------------------------------------------------------------------------------


def test_a_server_that_leaves_nothing_out_gives_more_and_is_read_as_well(server: GitServer, tmp_path: Path, shop: Path) -> None:
    git(shop, "config", "uploadpack.allowFilter", "false")
    assert _read(store_of(server.url("shop.git"), tmp_path)) == FILES["jobs/api.nomad"]


def test_a_server_of_plain_files_is_read_as_well(server: GitServer, tmp_path: Path, history: dict[str, str]) -> None:
    server.plain = True
    git(server.root / "shop.git", "update-server-info")
    for ref, expected in (("HEAD", b"new"), ("v1.10", b"middle"), (history["inner"], b"inner")):
        assert _read(store_of(server.url("shop.git"), tmp_path, ref=ref)) == expected


def test_a_repository_behind_ssh_is_read_and_ssh_asks_nothing(
    server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.address
    # In place of ssh, a program that writes down its options and runs on this machine what the other one would.
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/options\nfor command; do :; done\nexec sh -c "$command"\n')
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    for url in (f"ssh://git@git.example{shop}", f"git@git.example:{shop}"):
        assert _read(store_of(url, tmp_path)) == FILES["jobs/api.nomad"]
    options = (tmp_path / "options").read_text().splitlines()
    assert [line for line in options if "-oBatchMode=yes" not in line or "git@git.example" not in line] == []


def test_a_sha256_repository_is_read_as_well(server: GitServer, tmp_path: Path) -> None:
    git(served_repository(server, FILES, "--object-format=sha256"), "tag", "v1")
    for _ in range(2):
        assert _read(store_of(server.url("shop.git"), tmp_path, ref="v1")) == FILES["jobs/api.nomad"]


def test_links_are_followed_over_the_network(server: GitServer, tmp_path: Path, shop: Path) -> None:
    commit_files(shop, {**FILES, "shared/redis.nomad": b"redis"})
    add_links(
        shop, {"jobs/web.nomad": "../shared/redis.nomad", "jobs/more": "../shared", "jobs/same.nomad": "./api.nomad", "out": "/etc/x"}
    )
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    texts = snapshot.jobs(["web", "more/redis", "same"])
    assert [text.data for text in texts.values()] == [b"redis", FILES["jobs/api.nomad"], b"redis"]
    assert refusal(lambda: snapshot.read("out")).error_code == "store-outside"


def test_name_and_password_are_taken_from_the_address_and_appear_nowhere(
    server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.exists()
    server.login = "me:s3cr3t"
    seen = _record_commands(tmp_path, monkeypatch)
    store = store_of(f"http://me:s3cr3t@{server.address}/shop.git", tmp_path)
    assert _read(store) == FILES["jobs/api.nomad"]
    assert "fetch" in seen.read_text()
    assert "s3cr3t" not in seen.read_text()
    kept = [
        file
        for file in (tmp_path / "cache").rglob("*")
        if b"s3cr3t" in os.fsencode(file) or (file.is_file() and b"s3cr3t" in file.read_bytes())
    ]
    assert kept == []
    for url in (f"http://me:s3cr3tx@{server.address}/shop.git", f"http://s3cr3t@{server.address}/shop.git", server.url("shop.git")):
        error = refusal(store_of(url, tmp_path).snapshot)
        assert error.error_code == "git-denied"
        assert "s3cr3t" not in f"{error} {error!r} {error.__cause__}"


def _record_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a git on the PATH that writes down its arguments, and those of the programs that it starts, and hands on to the real one."""
    seen, real = tmp_path / "commands", shutil.which("git")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{seen}\nGIT_TRACE={seen} exec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return seen


@pytest.mark.parametrize(("status", "code"), [(401, "git-denied"), (403, "git-denied"), (404, "git-not-found"), (503, "store-unreachable")])
def test_what_a_server_refuses_is_told_apart(server: GitServer, tmp_path: Path, shop: Path, status: int, code: str) -> None:
    assert shop.exists()
    server.status = status
    error = refusal(store_of(server.url("shop.git"), tmp_path).snapshot)
    assert (error.error_code, isinstance(error, StoreUnreachable)) == (code, True)


def test_a_repository_that_is_not_there_and_a_port_that_nobody_listens_on_are_told(server: GitServer, tmp_path: Path) -> None:
    assert refusal(store_of(server.url("other.git"), tmp_path).snapshot).error_code == "git-not-found"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/x.git", f"git://127.0.0.1:{port}/x.git", "https://nowhere.invalid/x.git"):
        assert refusal(store_of(url, tmp_path).snapshot).error_code == "store-unreachable"


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIST_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"
        error = refusal(store_of(url, tmp_path).snapshot)
    assert (error.error_code, isinstance(error, StoreUnreachable)) == ("git-timeout", True)


def test_a_server_that_goes_half_way_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        served_repository(server, FILES)
        snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
        snapshot.depfile()
    with pytest.raises(StoreUnreachable):
        snapshot.jobs(["api"])


def test_what_is_too_large_is_not_even_fetched(server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TOTAL_LIMIT_BYTES", 1 << 20)
    commit_files(shop, {**FILES, "jobs/big.nomad": os.urandom(2 << 20)})
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    assert refusal(lambda: snapshot.jobs(["big"])).error_code == "git-too-large"
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]


def test_one_file_is_not_fetched_further_than_one_file_may_be_large(
    server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "FILE_LIMIT_BYTES", 1 << 20)
    commit_files(shop, {**FILES, "jobs/big.nomad": os.urandom(3 << 20)})
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    assert refusal(lambda: snapshot.jobs(["big"])).error_code == "git-too-large"
    assert sum(file.stat().st_size for file in tmp_path.rglob("pack/*")) < 1 << 20


def test_a_server_that_leaves_nothing_out_is_not_let_fill_the_disk(
    server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(shop, "config", "uploadpack.allowFilter", "false")
    monkeypatch.setattr(cache, "FETCH_LIMIT_BYTES", 1 << 20)
    commit_files(shop, {**FILES, "big.iso": os.urandom(3 << 20)})
    assert refusal(store_of(server.url("shop.git"), tmp_path).snapshot).error_code == "git-too-large"
    assert sum(file.stat().st_size for file in tmp_path.rglob("pack/*")) < 1 << 20


def test_a_file_that_the_server_lacks_is_told(server: GitServer, tmp_path: Path, shop: Path) -> None:
    add_entries(shop, {"jobs/gone.nomad": ("100644", "c" * 40)})
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    refusal(lambda: snapshot.jobs(["gone"]))
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]


# -- the cache --------------------------------------------------------------------------------------------------------------


def _truncate_packs(folder: Path) -> None:
    for file in (folder / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(file.read_bytes()[:10])


def _leave_locks(folder: Path) -> None:
    for name in ("shallow.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock", "refs/tags/v1.lock"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    "harm",
    [
        _truncate_packs,
        _leave_locks,
        lambda folder: shutil.rmtree(folder / "objects"),
        lambda folder: (folder / "HEAD").unlink(),
        lambda folder: (folder / "config").write_bytes(b""),
        lambda folder: (folder / "config").write_bytes(b"[core\nbroken"),
        lambda folder: (folder / "refs" / "tags" / "v1").write_bytes(b"\0\0\0"),
        lambda folder: [path.unlink() for path in (folder / "objects").rglob("*.idx")],
    ],
    ids=["packs cut off", "locks left", "no objects", "no HEAD", "empty config", "broken config", "broken tag", "no index"],
)
def test_a_damaged_cache_mends_itself(server: GitServer, tmp_path: Path, shop: Path, harm: Callable[[Path], object]) -> None:
    git(shop, "tag", "v1")
    url = server.url("shop.git")
    for ref in ("v1", "main"):
        _read(store_of(url, tmp_path, ref=ref))
    harm(cache_of(tmp_path))
    commit_files(shop, {**FILES, "jobs/api.nomad": b"new"})
    for ref, expected in (("v1", FILES["jobs/api.nomad"]), ("main", b"new")):
        assert _read(store_of(url, tmp_path, ref=ref)) == expected
    assert [path.suffix for path in (tmp_path / "cache").iterdir() if path.suffix not in ("", ".lock")] == []


def test_a_cache_that_is_damaged_between_two_reads_mends_itself(server: GitServer, tmp_path: Path, shop: Path) -> None:
    assert shop.exists()
    snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    snapshot.depfile()
    shutil.rmtree(cache_of(tmp_path))
    assert snapshot.jobs(["api"])["api"].data == FILES["jobs/api.nomad"]


def test_an_unwilling_server_does_not_cost_the_cache_that_was_there(server: GitServer, tmp_path: Path, shop: Path) -> None:
    git(shop, "tag", "v1")
    url = server.url("shop.git")
    _read(store_of(url, tmp_path, ref="v1"))
    (shop / "refs" / "heads" / "bad").write_text("d" * 40 + "\n")
    (shop / "refs" / "heads" / "bad").write_text(
        git(shop, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=b"tree x") + "\n"
    )
    refusal(store_of(url, tmp_path, ref="bad").snapshot)
    server.requests.clear()
    assert _read(store_of(url, tmp_path, ref="v1")) == FILES["jobs/api.nomad"]
    assert server.requests == []


def test_two_runs_take_turns(server: GitServer, tmp_path: Path, shop: Path) -> None:
    assert shop.exists()
    store = store_of(server.url("shop.git"), tmp_path)
    read: list[bytes] = []
    threads = [threading.Thread(target=lambda: read.append(_read(store))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read == [FILES["jobs/api.nomad"]] * 4


def test_a_run_that_waits_for_another_says_so_and_does_not_wait_for_ever(
    server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert shop.exists()
    url = server.url("shop.git")
    _read(store_of(url, tmp_path))
    monkeypatch.setattr(cache, "_LOCK_WAIT_S", 0.3)
    monkeypatch.setattr(cache, "_TELL_AFTER_S", 0.1)
    with cache_of(tmp_path).with_suffix(".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        error = refusal(store_of(url, tmp_path).snapshot)
    assert error.error_code == "git-cache-locked"
    assert [record.getMessage() for record in caplog.records] == [f"waiting for another run that is reading {url}"]


def test_a_cache_that_cannot_be_made_is_told(server: GitServer, tmp_path: Path, shop: Path) -> None:
    assert shop.exists()
    (tmp_path / "cache").write_bytes(b"a file")
    assert refusal(store_of(server.url("shop.git"), tmp_path).snapshot).error_code == "git-cache-unusable"


# -- waiting ----------------------------------------------------------------------------------------------------------------


def test_a_change_is_noticed_while_one_waits(server: GitServer, tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dtree.access.git.remote import RemoteRepository

    monkeypatch.setattr(RemoteRepository, "pause_s", 0.1)
    snapshot = store_of(server.url("shop.git"), tmp_path, ref="main").snapshot()
    noticed: list[bool] = []
    waiting = threading.Thread(target=lambda: noticed.append(snapshot.wait_for_change(30)))
    server.requests.clear()
    waiting.start()
    eventually(lambda: len(server.requests) > 3)
    commit_files(shop, {**FILES, "jobs/api.nomad": b"new"})
    waiting.join(30)
    assert noticed == [True]


def test_a_fixed_commit_is_waited_for_without_asking_anybody(server: GitServer, tmp_path: Path, history: dict[str, str]) -> None:
    url = server.url("shop.git")
    snapshots = [store_of(url, tmp_path, ref=ref).snapshot() for ref in ("v1.2", history["inner"])]
    server.requests.clear()
    assert [snapshot.wait_for_change(0.05) for snapshot in snapshots] == [False, False]
    assert server.requests == []


def test_a_server_that_ends_while_one_waits_is_told(tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        served_repository(server, FILES)
        snapshot = store_of(server.url("shop.git"), tmp_path).snapshot()
    with pytest.raises(StoreUnreachable):
        snapshot.wait_for_change(5)

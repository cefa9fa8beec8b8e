"""Signed tags and commits, made and verified by git with keys of OpenSSH."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dtree_stores.git_repo import GitStore

from dtree.store import StoreContext, StoreError
from dtree.testing import FILES
from tests.fakes.repositories import NOBODYS, commit_files, git, make_repository
from tests.servers.git_server import serving


class Signers:
    """Two people with keys; the user trusts the first."""

    def __init__(self, folder: Path) -> None:
        for name in ("alice", "mallory"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        self.folder = folder
        self.allowed = folder / "allowed"
        self.allowed.write_text(f"t@example.org {(folder / 'alice.pub').read_text()}")

    def options(self, name: str) -> list[str]:
        """Options of git that sign as somebody."""
        return ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.folder / name}.pub"]


@pytest.fixture
def signers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signers:
    (tmp_path / "keys").mkdir()
    signers = Signers(tmp_path / "keys")
    settings = tmp_path / "settings"
    settings.write_text(f'[gpg "ssh"]\n\tallowedSignersFile = {signers.allowed}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", NOBODYS["GIT_CONFIG_NOSYSTEM"])
    return signers


@pytest.fixture
def shop(tmp_path: Path, signers: Signers) -> Path:
    """Tags and commits of many kinds, each on the commit that its name tells."""
    folder = make_repository(tmp_path / "served" / "shop.git", "--bare")
    git(folder, "config", "uploadpack.allowFilter", "true")
    commit_files(folder, FILES)
    git(folder, "tag", "light")
    git(folder, "tag", "-a", "-m", "x", "unsigned")
    for name, tag in (("alice", "good"), ("mallory", "strange")):
        git(folder, *signers.options(name), "tag", "-s", "-m", "x", tag)
        commit = git(folder, *signers.options(name), "commit-tree", "-S", "-p", "main", "-m", "x", "main^{tree}")
        git(folder, "branch", f"{tag}-branch", commit)
        git(folder, "tag", "-a", "-m", "x", f"{tag}-commit", commit)
    _forge(folder, "forged")
    git(folder, "update-ref", "refs/tags/renamed", "refs/tags/good")
    return folder


def _forge(folder: Path, name: str) -> None:
    """Put another text under a good signature."""
    text = git(folder, "cat-file", "tag", "good").replace("tag good", f"tag {name}", 1)
    oid = git(folder, "hash-object", "-t", "tag", "-w", "--stdin", stdin=f"{text}\n".encode())
    git(folder, "update-ref", f"refs/tags/{name}", oid)


def no_nomad() -> Any:
    pytest.fail("the Git store has no need of Nomad")


def store_of(url: str, tmp_path: Path, ref: str) -> GitStore:
    settings = {option.key: option.default for option in GitStore.options} | {"git_url": url, "ref": ref, "verify_signature": True}
    return GitStore(settings, StoreContext(cwd=tmp_path, cache=tmp_path / "cache", nomad=no_nomad))


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("where", ["local", "remote"])
def test_what_is_signed_by_somebody_trusted_is_taken_and_nothing_else(shop: Path, tmp_path: Path, where: str) -> None:
    expected = {
        "good": "",
        "good-branch": "",
        "good-commit": "",
        "light": "git-unsigned",
        "unsigned": "git-unsigned",
        "main": "git-unsigned",
        "strange": "git-bad-signature",
        "strange-branch": "git-bad-signature",
        "strange-commit": "git-bad-signature",
        "forged": "git-bad-signature",
        "renamed": "git-bad-signature",
    }
    with serving(tmp_path / "served") as server:
        url = str(shop) if where == "local" else server.url("shop.git")
        found = {ref: _code(store_of(url, tmp_path, ref)) for ref in expected}
    assert found == expected


def _code(store: GitStore) -> str:
    try:
        store.snapshot().depfile()
    except StoreError as error:
        return error.error_code if error.hint else "no hint"
    return ""


def test_an_error_names_what_is_not_signed_and_what_git_says(shop: Path, tmp_path: Path) -> None:
    commit = git(shop, "rev-parse", "main")[:12]
    problems = {ref: refusal(store_of(str(shop), tmp_path, ref).snapshot).problem for ref in ("main", "unsigned", "strange", "renamed")}
    assert problems == {
        "main": f"the commit {commit} carries no signature",
        "unsigned": f"neither the tag 'unsigned' nor the commit {commit} carries a signature",
        "strange": "git does not find the signature of the tag 'strange' good",
        "renamed": "the tag 'renamed' was signed as 'good'",
    }
    assert any("No principal matched" in note for note in refusal(store_of(str(shop), tmp_path, "strange").snapshot).notes)


def test_the_repository_does_not_say_who_is_trusted_or_which_program_verifies(
    shop: Path, tmp_path: Path, signers: Signers, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "witness"
    program = tmp_path / "yes"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    everybody = tmp_path / "everybody"
    everybody.write_text("".join(f"t@example.org {(signers.folder / f'{name}.pub').read_text()}" for name in ("alice", "mallory")))
    git(shop, "config", "gpg.ssh.allowedSignersFile", str(everybody))
    git(shop, "config", "gpg.ssh.program", str(program))
    git(shop, "config", "gpg.program", str(program))
    assert refusal(store_of(str(shop), tmp_path, "strange").snapshot).error_code == "git-bad-signature"
    assert store_of(str(shop), tmp_path, "good").snapshot().depfile().data == FILES["dependency.json"]
    assert not witness.exists()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    error = refusal(store_of(str(shop), tmp_path, "good").snapshot)
    assert "allowedSignersFile" in error.hint

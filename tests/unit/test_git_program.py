from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dtree.access.git.program import Answer, GitFailed, Program
from dtree.access.git.refusals import contact_trouble
from dtree.access.git.ssh import ssh_variables
from dtree.errors import StoreUnreachable


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that stands in for git, once GitPython has found the real one; empty at first."""
    Program().run("version")
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return script


def says(script: Path, text: str) -> None:
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(pretend: Path, tmp_path: Path) -> None:
    says(pretend, f"sleep 60 & echo $! >{tmp_path}/child; wait")
    started_s = time.monotonic()
    with pytest.raises(StoreUnreachable) as caught:
        Program().run("fetch", timeout_s=2.0)
    assert caught.value.error_code == "git-timeout"
    assert "`git fetch`" in caught.value.problem
    assert time.monotonic() - started_s < 30
    child = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_what_git_says_is_shown_without_secrets_and_control_characters(pretend: Path) -> None:
    says(pretend, "printf 'warning: x\\nfatal: no \\033[31mway to https://me:s3cr3t@host/x?token=s3cr3t\\n' >&2; exit 128")
    with pytest.raises(GitFailed) as caught:
        Program().ask("fetch", doing="fetch")
    assert caught.value.problem == "git cannot fetch: no [31mway to https://HIDDEN@host/x?HIDDEN"


def test_settings_are_handed_over_out_of_sight_and_after_those_of_the_user(pretend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(pretend, 'echo "$@"; env | grep ^GIT_CONFIG_ | sort')
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    arguments, *variables = Program(settings={"a.b": "s3cr3t"}).run("fetch").out.decode().splitlines()
    assert "s3cr3t" not in arguments
    assert variables == [
        "GIT_CONFIG_COUNT=2",
        "GIT_CONFIG_KEY_0=safe.directory",
        "GIT_CONFIG_KEY_1=a.b",
        "GIT_CONFIG_VALUE_0=*",
        "GIT_CONFIG_VALUE_1=s3cr3t",
    ]


def test_git_has_no_terminal_to_ask_and_may_fetch_only_where_it_is_told(pretend: Path) -> None:
    says(pretend, 'env; (: </dev/tty) 2>/dev/null && echo "a terminal"')
    alone = Program().run("x").out.decode().splitlines()
    assert {"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=", "GIT_NO_LAZY_FETCH=1", "GIT_ASKPASS="} <= set(alone)
    assert "a terminal" not in alone
    assert "GIT_ALLOW_PROTOCOL=https:ssh" in Program(protocols=("https", "ssh")).run("x").out.decode().splitlines()


def test_a_secret_setting_is_not_in_the_repr() -> None:
    assert "s3cr3t" not in repr(Program(settings={"a": "s3cr3t"}, variables={"B": "s3cr3t"}))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "ssh -oBatchMode=yes -oConnectTimeout=15"),
        ({"GIT_SSH_COMMAND": "/usr/bin/ssh -i 'a key'"}, "/usr/bin/ssh -i 'a key' -oBatchMode=yes -oConnectTimeout=15"),
        ({"GIT_SSH_COMMAND": "plink"}, None),
        ({"GIT_SSH_COMMAND": "ssh 'broken"}, None),
        ({"GIT_SSH": "/usr/bin/plink"}, None),
    ],
)
def test_ssh_is_called_as_the_user_set_it_up_but_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for name in ("GIT_SSH", "GIT_SSH_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ssh_variables().get("GIT_SSH_COMMAND") == expected


def test_ssh_of_the_users_own_settings_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("[core]\n\tsshCommand = ssh -i key\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    for name in ("GIT_SSH", "GIT_SSH_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    assert ssh_variables()["GIT_SSH_COMMAND"].startswith("ssh -i key ")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "store-unreachable"),
        ("fatal: unable to access 'https://h/': SSL certificate problem: self-signed certificate", "store-unreachable"),
        ("ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.", "store-unreachable"),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", "store-unreachable"),
        ("fatal: transport 'http' not allowed", "store-unreachable"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "git-denied"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "git-denied"),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "git-denied"),
        ("fatal: Authentication failed for 'https://h/'", "git-denied"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "git-not-found"),
        ("fatal: repository 'https://h/' not found", "git-not-found"),
        ("fatal: remote error: access denied or repository not exported: /x", "git-denied"),
        ("error: packfile x.pack is far too short", None),
        ("fatal: Unable to create '/c/shallow.lock': File exists.", None),
    ],
)
def test_what_a_server_or_the_way_to_it_says_is_told_from_trouble_of_our_own(said: str, code: str | None) -> None:
    error = contact_trouble(Answer(128, b"", said), "https://h/x")
    assert (error.error_code if error else None) == code

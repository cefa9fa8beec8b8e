"""Git repositories for tests: real ones, made without the developer's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

NOBODYS = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_AUTHOR_DATE": "2026-03-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-03-01T12:00:00Z",
}


def be_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run git without the developer's settings, and without what a hook or another git around this one says."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, NOBODYS[name])


def git(folder: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run git in a folder; return what it prints."""
    environ = {**os.environ, **NOBODYS, **(env or {})}
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return os.fsdecode(done.stdout).strip()


def make_repository(folder: Path, *options: str) -> Path:
    """Make an empty repository with the branch `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main", *options)
    return folder


def commit_files(folder: Path, files: Mapping[str, bytes], *, message: str = "x", env: Mapping[str, str] | None = None) -> str:
    """Commit just `files` and nothing else on top of HEAD, without touching the work tree; return the commit's id."""
    stream = [f"commit refs/heads/main\ncommitter t <t@example.org> 1772366400 +0000\ndata {len(message)}\n{message}\n".encode()]
    if has_commit(folder):
        stream.append(b"from refs/heads/main^0\n")
    stream.append(b"deleteall\n")
    for path, data in files.items():
        quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        stream.append(b'M 100644 inline "%s"\ndata %d\n%s\n' % (os.fsencode(quoted), len(data), data))
    git(folder, "fast-import", "--quiet", "--force", stdin=b"".join(stream), env=env)
    return git(folder, "rev-parse", "main")


def add_entries(folder: Path, entries: Mapping[str, tuple[str, str]]) -> str:
    """Commit HEAD's files with others of any mode: `(mode, id of the object)` by path; return the commit's id."""
    index = {"GIT_INDEX_FILE": str(folder / "index-of-a-test")}
    git(folder, "read-tree", "HEAD", env=index)
    for path, (mode, oid) in entries.items():
        git(folder, "update-index", "--add", "--cacheinfo", f"{mode},{oid},{path}", env=index)
    tree = git(folder, "write-tree", "--missing-ok", env=index)
    commit = git(folder, "commit-tree", "-p", "HEAD", "-m", "more", tree)
    git(folder, "update-ref", "refs/heads/main", commit)
    return commit


def add_links(folder: Path, links: Mapping[str, str]) -> str:
    """Commit HEAD's files with symbolic links: where each leads by path; return the commit's id."""
    blobs = {path: git(folder, "hash-object", "-w", "--stdin", stdin=target.encode()) for path, target in links.items()}
    return add_entries(folder, {path: ("120000", oid) for path, oid in blobs.items()})


def has_commit(folder: Path) -> bool:
    """Whether there is a commit on `main`."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "refs/heads/main"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0

"""The program in this process: its exit code, stdout and stderr, and a Nomad in memory."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stevedore.extension import ExtensionManager

from dtree.cli.app import main
from dtree.cli.invocation import Invocation
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.store import MemoryStore, Shelf

SHOP = {
    "nginx": {"wait_cond": 5, "pre": {"job": "api"}},
    "api": {"wait_cond": 7, "pre": {"job": "postgres"}},
    "postgres": {"post": {"job": "postgres_setup", "wait_cond": 3}, "wait_cond": 5},
}


@dataclass(frozen=True)
class Ended:
    """What a call of the program came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Program = Callable[..., Ended]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    """Run the program with these words and this environment, in this process."""

    def run(*words: str, environ: Mapping[str, str] | None = None) -> Ended:
        capsys.readouterr()
        code = main(words, environ or {})
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with the dependency file that everything began with, and its four jobs."""
    folder = tmp_path / "shop"
    (folder / "jobs").mkdir(parents=True)
    (folder / "dependency.json").write_text(json.dumps({"dependencies": SHOP}))
    for name in ("nginx", "api", "postgres"):
        (folder / "jobs" / f"{name}.nomad").write_text(f'job "{name}" {{ type = "service" }}')
    (folder / "jobs" / "postgres_setup.nomad").write_text('job "postgres_setup" { type = "batch" }')
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def nomad(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """A Nomad in memory, which every command of this test talks to."""
    clock = FakeClock()
    cluster = FakeCluster(clock)
    monkeypatch.setattr(Invocation, "clock", clock)
    monkeypatch.setattr(Invocation, "cluster", cluster)
    return cluster


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Shelf]]:
    """Install the store `memory`; returns what its places hold, from one command to the next."""
    info = tmp_path / "site" / "dtree_memory-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dtree-memory\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dtree.stores]\nmemory = tests.fakes.store:MemoryStore\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.setattr(MemoryStore, "places", {})
    _forget_plugins()
    yield MemoryStore.places
    _forget_plugins()


def _forget_plugins() -> None:
    """Have stevedore look at the disk again: a process normally sees one set of packages."""
    ExtensionManager.ENTRY_POINT_CACHE.clear()
    importlib.invalidate_caches()

"""A thousand jobs read from each kind of store, against the plainest way to read the same; and a large repository against a small one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import jobs
from bench.figures import Figure, Section
from bench.processes import program, run
from dtree.demo.agent import Agent
from dtree.demo.binary import find_program
from tests.fakes.repositories import git, make_repository
from tests.servers.consul_agent import CONSUL, ConsulAgent

_JOBS: Final = 1000
_ROUNDS: Final = 5
_TIMES_THE_FLOOR: Final = 1.3
_ROOT: Final = Path(__file__).parent.parent

_FILES: Final = 100_000
_COMMITS: Final = 5000
_FEW: Final = 20
_NO_DIFFERENCE: Final = 1.1


@dataclass(frozen=True)
class _Kept:
    """A set of jobs in some store.

    Attributes:
        environ: where it is, for the store.
        told: what the floor is, for the table.
        floor: what reads the same files in the plainest way.
    """

    store: str
    told: str
    floor: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


def measure(agent: Agent) -> Section:
    """Measure all stores. Effects: starts a Consul and many processes; writes to both servers and removes that from Nomad again."""
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name, ConsulAgent(find_program(CONSUL)) as consul:
        folder = Path(name)
        many = _keep_everywhere(folder / "many", _JOBS, agent, consul)
        one = _keep_everywhere(folder / "one", 1, agent, consul)
        figures = [figure for large, small in zip(many, one, strict=True) for figure in _against_the_floor(large, small, folder)]
        figures += _large_repository(folder)
    note = (
        f"{_JOBS:,} jobs, each read to its last byte by a whole process, against what reads the same without us; {_ROUNDS} rounds. "
        f"The aim is {_TIMES_THE_FLOOR} times the floor and what the same takes with a single job (start-up, imports, the connection). "
        f"The large repository has {_FILES:,} files and {_COMMITS:,} commits, the small one just the {_FEW} jobs."
    )
    return Section(f"{_JOBS:,} jobs from each store", note, tuple(figures))


def _keep_everywhere(folder: Path, count: int, agent: Agent, consul: ConsulAgent) -> list[_Kept]:
    """Write a set of jobs, and push it to the stores."""
    names = [f"job-{number:04}" for number in range(count)]
    jobs.write(folder, {name: jobs.service(name) for name in names}, {name: {} for name in names})
    prefix = f"bench-{count}"
    in_consul = {"CONSUL_HTTP_ADDR": consul.address, "NOMAD_DTREE_CONSUL_DEPFILE_PATH": f"{prefix}/dependency.json"}
    in_consul["NOMAD_DTREE_CONSUL_JOBS_PATH"] = f"{prefix}/jobs"
    in_nomad = {"NOMAD_ADDR": agent.address, "NOMAD_DTREE_VARS_PREFIX": prefix}
    for store, environ in (("consul", in_consul), ("nomad-variables", in_nomad)):
        run([*program(), "push", "--to", store, "--yes"], folder=folder, environ=environ)
    _commit(folder)
    shards = [f"{agent.address}/v1/var/{row['Path']}" for row in agent.api.get("/v1/vars", prefix=prefix)]
    return [
        _Kept("filesystem", "`cat`", ["sh", "-c", "cat dependency.json jobs/*"]),
        _Kept("git", "`git cat-file --batch`", ["sh", "-c", "git ls-tree -r HEAD --format='%(objectname)' | git cat-file --batch"]),
        _Kept("consul", "one recursive read by `curl`", ["curl", "-sSf", f"{consul.address}/v1/kv/{prefix}/?recurse"], in_consul),
        _Kept("nomad-variables", "each variable by one `curl`", ["curl", "-sSf", *shards], in_nomad),
    ]


def _against_the_floor(many: _Kept, one: _Kept, folder: Path) -> Iterator[Figure]:
    def read(kept: _Kept, place: str) -> float:
        command = [sys.executable, "-m", "bench.reading", kept.store]
        return run(command, folder=folder / place, environ={**kept.environ, "PYTHONPATH": str(_ROOT)}).wall_s * 1000

    rounds = [(run(many.floor, folder=folder / "many").wall_s * 1000, read(one, "one"), read(many, "many")) for _ in range(_ROUNDS + 1)][
        1:
    ]  # the first fills caches
    floors, starts, reads = (tuple(values) for values in zip(*rounds, strict=True))
    floor = Figure(f"{many.store}: floor, {many.told}", "ms", floors)
    start = Figure(f"{many.store}: one job", "ms", starts)
    aim = _TIMES_THE_FLOOR * floor.median + start.median
    yield floor
    yield start
    yield Figure(f"{many.store}: {_JOBS:,} jobs", "ms", reads, floor, aim, f"{_TIMES_THE_FLOOR} times the floor and start-up")


def _large_repository(folder: Path) -> Iterator[Figure]:
    names = [f"job-{number:02}" for number in range(_FEW)]
    for place in ("small", "large"):
        jobs.write(folder / place, {name: jobs.service(name) for name in names}, {name: {} for name in names})
    _commit(folder / "small")
    _commit(folder / "large")
    _fast_import(folder / "large")
    command = [sys.executable, "-m", "bench.reading", "git"]
    environ = {"PYTHONPATH": str(_ROOT), "NOMAD_DTREE_REF": "v1"}
    rounds = [
        [run(command, folder=folder / place, environ=environ).wall_s * 1000 for place in ("small", "large")] for _ in range(_ROUNDS + 1)
    ][1:]
    smalls, larges = (tuple(values) for values in zip(*rounds, strict=True))
    small = Figure(f"git: {_FEW} jobs at a tag of a small repository", "ms", smalls)
    yield small
    yield Figure(f"git: {_FEW} jobs at a tag of a large one", "ms", larges, small, _NO_DIFFERENCE * small.median, "no difference")


def _commit(folder: Path) -> None:
    make_repository(folder)
    for arguments in (["add", "-A"], ["commit", "-qm", "jobs"], ["tag", "v1"]):
        git(folder, *arguments)


def _fast_import(folder: Path) -> None:
    """Put many files and commits on top, and a tag `v1` on the last."""
    git(folder, "tag", "-d", "v1")
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        importer.stdin.writelines(_history())
        importer.stdin.close()
    if importer.returncode:
        raise RuntimeError(f"git fast-import ended with {importer.returncode}")
    git(folder, "tag", "v1", "refs/heads/large")


def _history() -> Iterator[bytes]:
    yield from _head(0)
    yield b"from HEAD^0\n"
    yield from (_file(f"other/{number // 1000}/{number % 1000}.txt", f"file {number}\n") for number in range(_FILES))
    for commit in range(1, _COMMITS):
        yield from _head(commit)
        yield _file(f"other/0/{commit % 1000}.txt", f"commit {commit}\n")


def _head(commit: int) -> Iterator[bytes]:
    yield f"commit refs/heads/large\ncommitter bench <bench@example.com> {1_700_000_000 + commit} +0000\n".encode()
    yield _data(f"commit {commit}\n")


def _file(path: str, text: str) -> bytes:
    return f"M 100644 inline {path}\n".encode() + _data(text)


def _data(text: str) -> bytes:
    return f"data {len(text)}\n{text}\n".encode()

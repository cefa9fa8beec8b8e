"""One run of a program, measured from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread, Timer

import psutil

# Without a shell's, a CI's or a user's settings for the program itself.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME")


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run took.

    Attributes:
        wall_s: from just before the process was made until it was gone.
        peak_mb: the most memory that was resident (10^6 bytes).
        connections: the most TCP connections that were seen open at one time; 0 where they were not counted.
    """

    wall_s: float
    peak_mb: float
    connections: int = 0


def program() -> list[str]:
    """Return the program as a user starts it: the console script beside this Python."""
    script = Path(sys.executable).with_name("nomad-dtree")
    return [str(script)] if script.exists() else [sys.executable, "-m", "dtree"]


def run(
    command: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 120.0,
    count_connections: bool = False,
) -> Ran:
    """Run a program to its end.

    Raises:
        RuntimeError: it failed, or took longer than `timeout_s` and was killed.

    Effects: starts a process.
    """
    inherited = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryFile() as errors:
        started_s = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**inherited, **(environ or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        watchdog = Timer(timeout_s, process.kill)
        watchdog.start()
        try:
            with _connections(process.pid, wanted=count_connections) as seen:
                _, status, usage = os.wait4(process.pid, 0)
                wall_s = time.perf_counter() - started_s
        finally:
            watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{errors.read().decode(errors='replace')}")
    return Ran(wall_s, usage.ru_maxrss * 1024 / 1e6, max(seen))


@contextmanager
def _connections(pid: int, *, wanted: bool) -> Iterator[list[int]]:
    """Look ten times a second how many connections a process has open."""
    seen, over = [0], Event()

    def sample() -> None:
        while not over.wait(0.1):
            try:
                seen.append(sum(one.status == psutil.CONN_ESTABLISHED for one in psutil.Process(pid).net_connections("tcp")))
            except psutil.Error:
                return

    sampler = Thread(target=sample)
    if wanted:
        sampler.start()
    try:
        yield seen
    finally:
        over.set()
        if wanted:
            sampler.join()

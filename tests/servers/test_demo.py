"""The demo as a newcomer meets it: one command, and nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dtree.demo.api import Api
from dtree.demo.leftovers import mounts_below, processes_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: below one of pytest's, Nomad's sockets would have none that is valid."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name).resolve()


@contextmanager
def demo(program: Path, folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with everything that it writes below `folder`; whatever happens, it is ended."""
    command = [sys.executable, "-m", "dtree", "demo", "--nomad", str(program), *words]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def remains_of(folder: Path) -> tuple[list[int], list[Path], list[Path]]:
    """Processes, mounts and files."""
    return processes_of(folder), mounts_below(folder), list(folder.glob("dtree-nomad-*"))


def test_the_demo_runs_four_jobs_shows_them_stops_them_and_leaves_nothing(nomad_program: Path, folder: Path) -> None:
    with demo(nomad_program, folder) as process:
        output, errors = process.communicate(timeout=180)

    assert process.returncode == 0, output + errors
    assert re.findall(r"^\$ nomad-dtree (\w+)", output, re.MULTILINE) == ["run", "status", "stop"]
    assert "Hello from a row in postgres\n" in output
    assert remains_of(folder) == ([], [], [])


def test_the_demo_that_was_asked_to_keep_stays_until_ctrl_c(nomad_program: Path, folder: Path) -> None:
    with demo(nomad_program, folder, "--keep") as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "export NOMAD_ADDR=" in line)
        running = {job["ID"] for job in Api(line.split("=")[1].strip()).get("/v1/jobs") if job["Status"] == "running"}
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert running == {"postgres", "api", "nginx"}
    assert process.returncode == 0
    assert remains_of(folder) == ([], [], [])

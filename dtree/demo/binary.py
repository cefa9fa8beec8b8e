"""Find the program of a server, or build it with Go from pinned modules into the project's own cache.

A released Nomad lacks the mock driver that the tests need, and most machines have no package of it; Go's module proxy has the source of
every version. A `go.mod` pins the version and the `go.sum` beside it holds the checksums, so that each machine builds the same. Nomad's are
in `servers` beside this file; the tests have further programs, with pins of their own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from dtree.errors import EXIT_INTERRUPTED, DemoError

__all__ = ["NOMAD", "NOMAD_VERSION", "Program", "build_programs", "cache_folder", "find_nomad", "find_program"]

NOMAD_VERSION = "1.11.3"
"""The version in servers/go.mod; part of the name in the cache."""

# Where Go's own instructions put it, for shells that were not told.
_GO_FOLDER = "/usr/local/go/bin"
_QUIET_INTERVAL_S = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """A server's program, as Go builds it.

    Attributes:
        name: as people write it; in lower case the name of the program.
        version: as in the pins; part of the name in the cache.
        module: what is built.
        pins: folder of go.mod and go.sum.
        minutes: how long a build takes on two cores.
    """

    name: str
    version: str
    module: str
    pins: Path
    minutes: int

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def variable(self) -> str:
        """The environment variable that names a program to be taken instead."""
        return f"NOMAD_DTREE_{self.name.upper()}"

    @property
    def other_ways(self) -> str:
        """What to do where it cannot be built, to end a hint with."""
        return f"or set {self.variable} to the path of a {self.name} program"


NOMAD = Program("Nomad", NOMAD_VERSION, "github.com/hashicorp/nomad", Path(__file__).parent / "servers", minutes=4)


def find_nomad(given: str | None = None, *, on_path: bool = False, stream: TextIO = sys.stderr) -> Path:
    """Return the path of a Nomad program; as `find_program`, which takes a `nomad` on the PATH where `on_path` allows it.

    The tests do not allow it, because a released Nomad has no mock driver.
    """
    return find_program(NOMAD, given, on_path=on_path, stream=stream)


def find_program(program: Program, given: str | None = None, *, on_path: bool = False, stream: TextIO = sys.stderr) -> Path:
    """Return the path of a server's program, built now if there is none yet.

    Asked in this order: `given`, the environment variable, with `on_path` the PATH, the cache, the Go compiler.

    Args:
        given: path that the user named.
        on_path: one on the PATH will do.
        stream: where progress goes while it builds: one line that moves on a terminal, else a line every 20 s.

    Raises:
        DemoError: the path named is no program, Go is missing, the cache folder cannot be used, or the build failed.

    Effects: reads the environment; may download modules and write to the cache.
    """
    if path := given or os.environ.get(program.variable):
        return _checked(program, path)
    if on_path and (found := shutil.which(program.name.lower())):
        return Path(found)
    target = cache_folder(os.environ) / "servers" / f"{program.name.lower()}-{program.version}"
    if _is_program(target):
        return target
    go = _find_go(program)
    _make_folder(program, target.parent)
    with _one_builder(program, target, stream):
        if not _is_program(target):
            _build(program, go, target, stream)
    return target


def build_programs(programs: Sequence[Program]) -> None:
    """Find or build programs, one after the other, and print their paths.

    For the Makefile, which does so beside the first checks and ends it where they fail.

    Effects: as `find_program`; may end the process.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for program in programs:
            sys.stdout.write(f"{find_program(program)}\n")
    except DemoError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the project's own cache: `$NOMAD_DTREE_CACHE`, `$XDG_CACHE_HOME/nomad-dtree` or `~/.cache/nomad-dtree`."""
    if own := environ.get("NOMAD_DTREE_CACHE"):
        return Path(own)
    shared = environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "nomad-dtree"


def _checked(program: Program, path: str) -> Path:
    if not _is_program(Path(path)):
        raise DemoError(
            f"'{path}' is not a program that can be run",
            hint=f"name the path of a {program.name} program, or none ({program.variable} counts too) to have it found or built",
            code="program-missing",
        )
    return Path(path).resolve()


def _is_program(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113 - never raises


def _make_folder(program: Program, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        why = "it may not be written to"
    except OSError as error:
        writable, why = False, error.strerror or str(error)
    if not writable:
        raise DemoError(
            f"the cache folder {folder} cannot be used: {why}",
            hint=f"set NOMAD_DTREE_CACHE to a folder that can be written to, {program.other_ways}",
            code="cache-unusable",
        )


def _find_go(program: Program) -> str:
    go = shutil.which("go") or shutil.which("go", path=_GO_FOLDER)
    if go is None:
        raise DemoError(
            f"there is no {program.name} yet and no Go compiler to build {program.title} with",
            hint=f"install Go 1.26 or newer (https://go.dev/dl/), {program.other_ways}",
            code="go-missing",
        )
    return go


@contextmanager
def _one_builder(program: Program, target: Path, stream: TextIO) -> Iterator[None]:
    """Hold the build lock of `target`: two builds at once would take twice as long. The system frees it with the process."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.write(f"another process is building {program.title}; waiting for it\n")
            stream.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(program: Program, go: str, target: Path, stream: TextIO) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        for name in ("go.mod", "go.sum"):
            (Path(folder) / name).write_bytes((program.pins / name).read_bytes())
        built = Path(folder) / "program"
        log = Path(folder) / "build.log"
        code = _compile(program, go, built, log, stream)
        if code != 0:
            raise DemoError(
                f"building {program.title} with Go failed (exit code {code})",
                notes=log.read_text(errors="replace").splitlines()[-15:],
                hint=f"Go needs the module proxy (GOPROXY), about 5 GB of disk and Go 1.26 or newer; {program.other_ways}",
                code="build-failed",
            )
        # Within one folder a rename is atomic: whoever looks finds no program or a whole one.
        built.rename(target)


def _compile(program: Program, go: str, built: Path, log: Path, stream: TextIO) -> int:
    command = [go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(built), program.module]
    with log.open("wb") as output, _progress(program, stream) as tick:
        process = subprocess.Popen(
            command,
            cwd=built.parent,
            env={**os.environ, "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=1.0)
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            # Compilers are children of go: after Ctrl-C the whole session has to go, not go alone.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def _progress(program: Program, stream: TextIO) -> Iterator[_Progress]:
    progress = _Progress(program, stream)
    try:
        yield progress
    finally:
        progress.close()


class _Progress:
    """How long the build has taken: a line that is rewritten on a terminal, else a plain line now and then."""

    def __init__(self, program: Program, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._started_s = time.monotonic()
        self._said_s = self._started_s
        self._text = f"building {program.title} with Go, once; takes about {program.minutes} minutes"
        self._write(f"{self._text} …")

    def __call__(self) -> None:
        now_s = time.monotonic()
        if self._moves or now_s - self._said_s >= _QUIET_INTERVAL_S:
            self._said_s = now_s
            self._write(f"{self._text} … {now_s - self._started_s:.0f} s")

    def close(self) -> None:
        if self._moves:
            self._stream.write("\n")
            self._stream.flush()

    def _write(self, line: str) -> None:
        self._stream.write(f"\r\x1b[K{line}" if self._moves else f"{line}\n")
        self._stream.flush()

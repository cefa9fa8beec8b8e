"""Find a Nomad program, or build one with Go from pinned modules into the project's own cache.

A released Nomad lacks the mock driver that the tests need, and most machines have no package of it; Go's module proxy has the source of
every version. `servers/go.mod` beside this file pins it and `servers/go.sum` holds the checksums, so that each machine builds the same.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dtree.errors import EXIT_INTERRUPTED, DemoError

__all__ = ["NOMAD_VERSION", "cache_folder", "find_nomad"]

NOMAD_VERSION = "1.11.3"
"""The version in servers/go.mod; part of the name in the cache."""

_PINS = Path(__file__).parent / "servers"
_MODULE = "github.com/hashicorp/nomad"
# Where Go's own instructions put it, for shells that were not told.
_GO_FOLDER = "/usr/local/go/bin"
_OTHER_WAYS = "or set NOMAD_DTREE_NOMAD to the path of a Nomad program"
_QUIET_INTERVAL_S = 20.0


def find_nomad(given: str | None = None, *, on_path: bool = False, stream: TextIO = sys.stderr) -> Path:
    """Return the path of a Nomad program, built now if there is none yet.

    Asked in this order: `given`, the variable NOMAD_DTREE_NOMAD, with `on_path` the PATH, the cache, the Go compiler.

    Args:
        given: path that the user named.
        on_path: a `nomad` on the PATH will do. The tests say no, because a released one has no mock driver.
        stream: where progress goes while it builds: one line that moves on a terminal, else a line every 20 s.

    Raises:
        DemoError: the path named is no program, Go is missing, the cache folder cannot be used, or the build failed.

    Effects: reads the environment; may download modules and write to the cache.
    """
    if path := given or os.environ.get("NOMAD_DTREE_NOMAD"):
        return _checked(path)
    if on_path and (found := shutil.which("nomad")):
        return Path(found)
    target = cache_folder(os.environ) / "servers" / f"nomad-{NOMAD_VERSION}"
    if _is_program(target):
        return target
    go = _find_go()
    _make_folder(target.parent)
    with _one_builder(target, stream):
        if not _is_program(target):
            _build(go, target, stream)
    return target


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the project's own cache: `$NOMAD_DTREE_CACHE`, `$XDG_CACHE_HOME/nomad-dtree` or `~/.cache/nomad-dtree`."""
    if own := environ.get("NOMAD_DTREE_CACHE"):
        return Path(own)
    shared = environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "nomad-dtree"


def _checked(path: str) -> Path:
    program = Path(path)
    if not _is_program(program):
        raise DemoError(
            f"'{path}' is not a program that can be run",
            hint="name the path of a Nomad program, or none (NOMAD_DTREE_NOMAD counts too) to have it found or built",
            code="nomad-missing",
        )
    return program.resolve()


def _is_program(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113 - never raises


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        why = "it may not be written to"
    except OSError as error:
        writable, why = False, error.strerror or str(error)
    if not writable:
        raise DemoError(
            f"the cache folder {folder} cannot be used: {why}",
            hint=f"set NOMAD_DTREE_CACHE to a folder that can be written to, {_OTHER_WAYS}",
            code="cache-unusable",
        )


def _find_go() -> str:
    go = shutil.which("go") or shutil.which("go", path=_GO_FOLDER)
    if go is None:
        raise DemoError(
            f"there is no Nomad yet and no Go compiler to build Nomad {NOMAD_VERSION} with",
            hint=f"install Go 1.26 or newer (https://go.dev/dl/), {_OTHER_WAYS}",
            code="go-missing",
        )
    return go


@contextmanager
def _one_builder(target: Path, stream: TextIO) -> Iterator[None]:
    """Hold the build lock of `target`: two builds at once would take twice as long. The system frees it with the process."""
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.write(f"another process is building Nomad {NOMAD_VERSION}; waiting for it\n")
            stream.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(go: str, target: Path, stream: TextIO) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        for name in ("go.mod", "go.sum"):
            (Path(folder) / name).write_bytes((_PINS / name).read_bytes())
        built = Path(folder) / "nomad"
        log = Path(folder) / "build.log"
        code = _compile(go, Path(folder), built, log, stream)
        if code != 0:
            raise DemoError(
                f"building Nomad {NOMAD_VERSION} with Go failed (exit code {code})",
                notes=log.read_text(errors="replace").splitlines()[-15:],
                hint=f"Go needs the module proxy (GOPROXY), about 5 GB of disk and Go 1.26 or newer; {_OTHER_WAYS}",
                code="nomad-build-failed",
            )
        # Within one folder a rename is atomic: whoever looks finds no program or a whole one.
        built.rename(target)


def _compile(go: str, folder: Path, built: Path, log: Path, stream: TextIO) -> int:
    command = [go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(built), _MODULE]
    with log.open("wb") as output, _progress(stream) as tick:
        process = subprocess.Popen(
            command,
            cwd=folder,
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
def _progress(stream: TextIO) -> Iterator[_Progress]:
    progress = _Progress(stream)
    try:
        yield progress
    finally:
        progress.close()


class _Progress:
    """How long the build has taken: a line that is rewritten on a terminal, else a plain line now and then."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._started_s = time.monotonic()
        self._said_s = self._started_s
        self._text = f"building Nomad {NOMAD_VERSION} with Go, once; takes about 4 minutes"
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


if __name__ == "__main__":
    # For the Makefile, which builds it while the first checks run, and ends it where they fail.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.stdout.write(f"{find_nomad()}\n")
    except DemoError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)

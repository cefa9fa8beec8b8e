"""What an agent leaves when it ends: processes of its tasks, and mounts in their folders.

Tasks and Nomad's executors outlive their agent. They carry its TMPDIR in their environment, and where a program has written its title
over that (nginx and PostgreSQL do), they still work in the folder of their allocation. Without /proc (macOS) nothing is looked for:
there Nomad makes no mounts, and the tasks are ended through its API.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

__all__ = ["end_processes", "mounts_below", "processes_of", "unmount_below"]

_PROC = Path("/proc")


def processes_of(folder: Path) -> list[int]:
    """Return the ids of processes whose TMPDIR or working folder is `folder` or below it, sorted; never this one."""
    ids = sorted(int(entry.name) for entry in _PROC.glob("[0-9]*"))
    return [pid for pid in ids if pid != os.getpid() and _belongs(pid, folder)]


def end_processes(folder: Path, *, grace_s: float = 3.0) -> None:
    """End the processes of `folder`: first asked to, after `grace_s` seconds by force.

    Effects: sends signals, waits for at most about twice `grace_s`.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline_s = time.monotonic() + grace_s
        asked: set[int] = set()
        while (left := processes_of(folder)) and time.monotonic() < deadline_s:
            for pid in left:
                # Each is asked once, but one that was started meanwhile is found as well.
                if pid not in asked:
                    asked.add(pid)
                    _send(pid, number)
            time.sleep(0.05)
        if not left:
            return


def mounts_below(folder: Path) -> list[Path]:
    """Return the mount points below `folder`, the deepest first."""
    try:
        table = (_PROC / "self/mounts").read_text()
    except OSError:
        return []
    points = [Path(_unescape(line.split(" ")[1])) for line in table.splitlines()]
    return sorted((point for point in points if folder in point.parents), key=lambda point: len(point.parts), reverse=True)


def unmount_below(folder: Path) -> None:
    """Unmount all mounts below `folder`. Lazily: one that is still busy for a moment must not stay."""
    for point in mounts_below(folder):
        subprocess.run(["umount", "--lazy", str(point)], check=False, capture_output=True)


def _belongs(pid: int, folder: Path) -> bool:
    # A process that ends in between, or is somebody else's, cannot be read: not ours then.
    try:
        environ = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        places = [Path(os.fsdecode(entry[7:])) for entry in environ if entry.startswith(b"TMPDIR=")]
        places.append((_PROC / str(pid) / "cwd").readlink())
    except OSError:
        return False
    return any(place == folder or folder in place.parents for place in places)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _unescape(path: str) -> str:
    """Undo the octal escapes of /proc/mounts, where a space is 040 behind a backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)

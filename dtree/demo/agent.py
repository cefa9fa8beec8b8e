"""A throw-away Nomad agent: starts on free ports, leaves no process, mount or file behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from dtree.demo.api import Api, ApiError, Tls
from dtree.demo.leftovers import end_processes, unmount_below
from dtree.errors import DemoError

__all__ = ["Agent", "free_ports"]

_PORT_TRIES = 3
_LOG_LINES = 15
_DENIED_FINGERPRINTS = "env_aws,env_gce,env_azure,env_digitalocean"
_OVER = ("complete", "failed", "lost")
_SOCKET = "/tmp/plugin4294967295"  # noqa: S108 - below our own folder
_SOCKET_BYTES = 107


class Agent:
    """A Nomad dev agent for the length of a `with` block, on loopback only.

    Everything it writes lies in one temporary folder, which is also the TMPDIR of the agent and so of all its tasks. Whatever way the
    block ends, its jobs are stopped, then the agent, then what still runs or is mounted below that folder; then the folder goes.

    Args:
        nomad: the program, as from `find_nomad`.
        config: further agent configuration, merged over ours by Nomad itself.
        tls: https with these files, asked of clients too.
        acl: ACLs on; `token` is then a management token.
        path: folders to put before the PATH of the agent and its tasks.
        ready_timeout_s: longest wait until it has a leader and its node is ready.
        drain_timeout_s: longest wait for its allocations to end, when it is stopped.

    Attributes:
        address: `http://127.0.0.1:PORT`.
        token: "" without ACLs.
        api: a client for it.
        folder: where everything of it is.
        pid: its process.
    """

    def __init__(
        self,
        nomad: Path,
        *,
        config: Mapping[str, Any] | None = None,
        tls: Tls | None = None,
        acl: bool = False,
        path: tuple[Path, ...] = (),
        ready_timeout_s: float = 60.0,
        drain_timeout_s: float = 20.0,
    ) -> None:
        self._nomad = nomad
        self._config = dict(config or {})
        self._tls = tls
        self._acl = acl
        self._path = path
        self._ready_timeout_s = ready_timeout_s
        self._drain_timeout_s = drain_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._undo = ExitStack()
        self.folder = Path()
        self.address = ""
        self.token = ""
        self.api = Api("http://127.0.0.1:0")

    @property
    def pid(self) -> int:
        """Process id of the agent; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def environment(self) -> dict[str, str]:
        """Nomad's environment variables that lead a client to this agent."""
        named = {"NOMAD_ADDR": self.address, "NOMAD_TOKEN": self.token}
        if self._tls is not None:
            named |= {
                "NOMAD_CACERT": str(self._tls.ca_file),
                "NOMAD_CLIENT_CERT": str(self._tls.cert_file),
                "NOMAD_CLIENT_KEY": str(self._tls.key_file),
            }
        return {name: value for name, value in named.items() if value}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the agent and wait until it can place a job.

        Raises:
            DemoError: it ended or was not ready in time; quotes its last log lines.

        Effects: starts a process, writes to a temporary folder.
        """
        try:
            for tries_left in reversed(range(_PORT_TRIES)):
                process = self._launch()
                if self._await_ready(process, may_try_again=tries_left > 0):
                    return
                self.stop()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the agent and everything of it. Does nothing where nothing is left, so it may be called again.

        Effects: stops all jobs, sends signals, unmounts and removes its folder; takes at most about half a minute, and Ctrl-C does not
        cut it short, because that would leave the tasks behind.
        """
        with _uninterrupted():
            self._undo.close()
            self._process = None

    def wait(self) -> None:
        """Wait until the agent ends by itself; whoever calls this expects Ctrl-C first."""
        if self._process is not None:
            self._process.wait()

    def log_lines(self, count: int = _LOG_LINES) -> list[str]:
        """Return the last lines that the agent logged."""
        with suppress(OSError):
            return (self.folder / "agent.log").read_text(errors="replace").splitlines()[-count:]
        return []

    def _launch(self) -> subprocess.Popen[bytes]:
        self.folder = _new_folder()
        self._undo.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._undo.callback(unmount_below, self.folder)
        self._undo.callback(end_processes, self.folder)
        # Tasks may run as another user, who has to pass through.
        self.folder.chmod(0o711)
        for name in ("tmp", "allocs", "state"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o711)
        ports = free_ports(3)
        self.address = f"{'https' if self._tls is not None else 'http'}://127.0.0.1:{ports[0]}"
        self.token = ""
        self.api = Api(self.address, tls=self._tls)
        (self.folder / "ours.json").write_text(json.dumps(self._own_config(ports), indent=1))
        (self.folder / "theirs.json").write_text(json.dumps(self._config, indent=1))
        process = self._process = self._begin()
        self._undo.callback(self._end, process)
        self._undo.callback(self._stop_jobs, process)
        return process

    def _begin(self) -> subprocess.Popen[bytes]:
        configs = [f"-config={self.folder / name}" for name in ("ours.json", "theirs.json")]
        with (self.folder / "agent.log").open("wb") as log:
            try:
                return subprocess.Popen(
                    [self._nomad, "agent", "-dev", "-bind=127.0.0.1", *configs],
                    env=self._agent_environment(),
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # A Ctrl-C on the terminal is ours to handle: the jobs have to be stopped before the agent is.
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoError(
                    f"{self._nomad} cannot be started: {error.strerror}",
                    hint="it has to be a Nomad program for this machine",
                    code="agent-ended",
                ) from error

    def _own_config(self, ports: list[int]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "ports": dict(zip(("http", "rpc", "serf"), ports, strict=True)),
            "disable_update_check": True,
            "limits": {"http_max_conns_per_client": 0},
            "telemetry": {"collection_interval": "1m"},
            # Gateways would be written to whatever Consul this machine has; at this port there is none.
            "consul": {"address": "127.0.0.1:9", "auto_advertise": False, "client_auto_join": False, "server_auto_join": False},
            "client": {
                # In a dev agent both would lie in folders that only its own user may enter.
                "alloc_dir": str(self.folder / "allocs"),
                "state_dir": str(self.folder / "state"),
                # It asks the clouds' metadata services, and refuses to start where AWS_CA_BUNDLE is set.
                "options": {"fingerprint.denylist": _DENIED_FINGERPRINTS},
            },
            "plugin": {"raw_exec": {"config": {"enabled": True}}},
        }
        if self._tls is not None:
            config["tls"] = {
                "http": True,
                "verify_https_client": True,
                "ca_file": str(self._tls.ca_file),
                "cert_file": str(self._tls.cert_file),
                "key_file": str(self._tls.key_file),
            }
        if self._acl:
            config["acl"] = {"enabled": True}
        return config

    def _agent_environment(self) -> dict[str, str]:
        # Settings for clients would reach the tasks, a token among them.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
        path = os.pathsep.join([*map(str, self._path), inherited.get("PATH", os.defpath)])
        return {**inherited, "PATH": path, "TMPDIR": str(self.folder / "tmp")}

    def _await_ready(self, process: subprocess.Popen[bytes], *, may_try_again: bool) -> bool:
        """Wait until it is ready; False where its ports were taken in between and it may be tried with others."""
        deadline_s = time.monotonic() + self._ready_timeout_s
        while not self._is_ready():
            if process.poll() is not None:
                lines = self.log_lines()
                if may_try_again and any("address already in use" in line for line in lines):
                    return False
                raise DemoError(
                    f"the Nomad agent ended while it started (exit code {process.returncode})",
                    notes=lines,
                    hint=f"its program is {self._nomad}; the lines above are its own",
                    code="agent-ended",
                )
            if time.monotonic() > deadline_s:
                raise DemoError(
                    f"the Nomad agent was not ready within {self._ready_timeout_s:g} s",
                    notes=self.log_lines(),
                    hint="the lines above are its own; a very busy machine may need more time",
                    code="agent-not-ready",
                )
            time.sleep(0.1)
        return True

    def _is_ready(self) -> bool:
        try:
            if not self.api.get("/v1/status/leader"):
                return False
            if self._acl and not self.token:
                self.token = self.api.token = str(self.api.put("/v1/acl/bootstrap")["SecretID"])
            nodes = self.api.get("/v1/nodes")
        except (OSError, ApiError):
            return False
        return any(node["Status"] == "ready" and node["Drivers"].get("raw_exec", {}).get("Healthy") for node in nodes)

    def _stop_jobs(self, process: subprocess.Popen[bytes]) -> None:
        """Stop all jobs and wait for their allocations. Where Nomad cannot any more, what comes next ends the rest."""
        with suppress(OSError, ApiError):
            if process.poll() is None and self.api.get("/v1/status/leader"):
                for job in self.api.get("/v1/jobs", namespace="*"):
                    self.api.delete(f"/v1/job/{quote(job['ID'], safe='')}", namespace=job["Namespace"])
                deadline_s = time.monotonic() + self._drain_timeout_s
                while self._runs_something() and time.monotonic() < deadline_s:
                    time.sleep(0.1)

    def _runs_something(self) -> bool:
        allocations = self.api.get("/v1/allocations", namespace="*", task_states="false")
        return any(allocation["ClientStatus"] not in _OVER for allocation in allocations)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5.0)
        if process.poll() is None:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Return free ports. All are held until the last is found, so that no two are the same."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in sockets]


def _new_folder() -> Path:
    """Make a temporary folder; in /tmp where TMPDIR is so long that Nomad could name no socket below it, and would start no task."""
    folder = Path(tempfile.mkdtemp(prefix="dtree-nomad-")).resolve()
    if len(os.fsencode(folder)) + len(_SOCKET) <= _SOCKET_BYTES:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="dtree-nomad-", dir="/tmp")).resolve()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Leave Ctrl-C, SIGTERM and SIGHUP aside for a while. Only the main thread has signal handlers to change."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

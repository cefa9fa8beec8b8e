"""A throw-away Consul server: on free ports, with a folder of its own, ended by its process id; and the program that it is."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

from dtree.demo.agent import free_ports
from dtree.demo.api import Tls
from dtree.demo.binary import Program

CONSUL: Final = Program("Consul", "1.19.2", "github.com/hashicorp/consul", Path(__file__).parent / "consul", minutes=4)
"""Later versions lack checksums of their own submodules, so that Go's module proxy cannot serve them."""

_PORT_TRIES: Final = 3


class ConsulApi:
    """One server's HTTP API through the standard library alone, so that it shares no code with the client that it judges."""

    def __init__(self, address: str, *, token: str = "", tls: Tls | None = None) -> None:
        self.token = token
        self._netloc = urlsplit(address).netloc
        self._context: ssl.SSLContext | None = None
        if tls is not None:
            self._context = ssl.create_default_context(cafile=tls.ca_file)
            self._context.load_cert_chain(tls.cert_file, tls.key_file)

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Send a request; return its JSON, None where there is none. Raises OSError where it is no success."""
        host = self._netloc
        connection = HTTPConnection(host, timeout=15) if self._context is None else HTTPSConnection(host, timeout=15, context=self._context)
        try:
            connection.request(method, path, body, {"X-Consul-Token": self.token} if self.token else {})
            answer = connection.getresponse()
            data = answer.read()
        except HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if answer.status not in (200, 404):
            raise OSError(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
        return json.loads(data) if data and answer.status == 200 else None

    def put(self, key: str, value: bytes) -> None:
        """Write a key."""
        assert self.call("PUT", f"/v1/kv/{quote(key)}", value) is True

    def fill(self, prefix: str, files: Mapping[str, bytes]) -> None:
        """Make `files` all that is below a prefix: what is as it should be is left alone."""
        there = set(self.keys(prefix))
        for path, value in files.items():
            self.put(prefix + path, value)
        for key in there - {prefix + path for path in files}:
            self.call("DELETE", f"/v1/kv/{quote(key)}")

    def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin with a prefix."""
        found: list[str] = self.call("GET", f"/v1/kv/{quote(prefix)}?keys") or []
        return found

    def drop(self, prefix: str) -> None:
        """Remove all keys that begin with a prefix."""
        self.call("DELETE", f"/v1/kv/{quote(prefix)}?recurse")

    def token_for(self, rules: str) -> str:
        """Return a new token that may do just what `rules` say."""
        name = f"test-{uuid4().hex}"
        self.call("PUT", "/v1/acl/policy", json.dumps({"Name": name, "Rules": rules}).encode())
        token = self.call("PUT", "/v1/acl/token", json.dumps({"Policies": [{"Name": name}]}).encode())
        return str(token["SecretID"])


class ConsulAgent:
    """A Consul server for the length of a `with` block, on loopback only.

    Args:
        program: as from `find_program(CONSUL)`.
        acl: ACLs on, everything denied that no rule allows; `token` is then a management token.
        tls: https with these files, asked of clients too.
        lonely: one of two servers, the other of which never comes: it answers, but has no leader.
        config: further configuration, merged over ours by Consul itself.

    Attributes:
        address: `http://127.0.0.1:PORT`.
        socket: path of its socket, for `unix://`.
        api: a client for it.
    """

    def __init__(
        self, program: Path, *, acl: bool = False, tls: Tls | None = None, lonely: bool = False, config: Mapping[str, Any] | None = None
    ) -> None:
        self._program = program
        self._tls = tls
        self._lonely = lonely
        self._config = config or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.token = str(uuid4()) if acl else ""
        self.folder = Path()
        self.address = ""
        self.api = ConsulApi("http://127.0.0.1:0")

    @property
    def socket(self) -> Path:
        """Where it listens besides its port."""
        return self.folder / "http.sock"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="dtree-consul-"))
        try:
            for tries_left in reversed(range(_PORT_TRIES)):
                self._configure()
                if self.begin(may_try_again=tries_left > 0):
                    return self
        except BaseException:
            self.__exit__(None, None, None)
            raise
        raise AssertionError("no free ports")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self, *, may_try_again: bool = False) -> bool:
        """Start the process on the ports it has, and wait until it answers; False where they were taken meanwhile."""
        with (self.folder / "consul.log").open("ab") as log:
            configs = [f"-config-file={self.folder / name}" for name in ("ours.json", "theirs.json")]
            command = [str(self._program), "agent", *configs]
            self._process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        deadline_s = time.monotonic() + 60.0
        while not self._is_ready():
            text = (self.folder / "consul.log").read_text(errors="replace")[-3000:]
            if self._process.poll() is not None and may_try_again and "address already in use" in text:
                return False
            assert self._process.poll() is None, text
            assert time.monotonic() < deadline_s, text
            time.sleep(0.05)
        return True

    def end(self) -> None:
        """End the process; the data stays until the block ends."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5.0)
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Remove the data of a server that has ended."""
        shutil.rmtree(self.folder / "data")

    def _configure(self) -> None:
        http, serf, server = free_ports(3)
        self.address = f"{'http' if self._tls is None else 'https'}://127.0.0.1:{http}"
        self.api = ConsulApi(self.address, token=self.token, tls=self._tls)
        closed = dict.fromkeys(("http", "https", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
        config: dict[str, Any] = {
            "server": True,
            "bootstrap_expect": 2 if self._lonely else 1,
            "data_dir": str(self.folder / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "disable_update_check": True,
            "log_level": "warn",
            # Elections as quick as they can be: the default is for busy machines.
            "performance": {"raft_multiplier": 1},
            "ports": {**closed, "serf_lan": serf, "server": server, "https" if self._tls is not None else "http": http},
        }
        if self._tls is None:
            config["addresses"] = {"http": f"127.0.0.1 unix://{self.socket}"}
        else:
            files = {name: str(getattr(self._tls, name)) for name in ("ca_file", "cert_file", "key_file")}
            config["tls"] = {"https": {**files, "verify_incoming": True}}
        if self.token:
            config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": {"initial_management": self.token}}
        (self.folder / "ours.json").write_text(json.dumps(config))
        (self.folder / "theirs.json").write_text(json.dumps(self._config))

    def _is_ready(self) -> bool:
        try:
            leader = self.api.call("GET", "/v1/status/leader")
            if self._lonely:
                return True
            # The leader is known a moment before it takes a key.
            return bool(leader) and self.api.call("PUT", "/v1/kv/ready", b"") is True
        except OSError:
            return False

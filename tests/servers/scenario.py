"""A set of jobs in a folder, and the program run on it as a user does: the ground of every test on a real Nomad."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from dtree.demo.agent import Agent
from dtree.demo.api import Api

_QUICK_UPDATE = """
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "10s"
    progress_deadline = "20s"
  }
"""
HEALTHY_LATER = _QUICK_UPDATE.replace('min_healthy_time  = "0s"', 'min_healthy_time  = "1s"')
"""For a service that fails at once: Nomad would call it healthy before it does."""

_NO_SECOND_CHANCE = """
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What `--output json` wrote, one event a line."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind, in order."""
        return [event for event in self.events if event["event"] == kind]


@dataclass
class Running:
    """A run under way."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def until(self, kind: str, job: str = "", says: str = "") -> dict[str, Any]:
        """Read on until an event of this kind, of this job, whose reason holds `says`; fail where the run ends without it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            event: dict[str, Any] = json.loads(line)
            if event["event"] == kind and job in ("", event.get("job")) and says in event.get("reason", ""):
                return event
        raise AssertionError("".join([f"no {kind} of {job} that says {says!r}\n", *self.lines]))

    def finish(self) -> Done:
        """Wait for the end."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Not communicate(): it would lose what `until` has buffered.
        self.lines.extend(self.process.stdout)
        stderr = self.process.stderr.read()
        return Done(self.process.wait(), "".join(self.lines), stderr)


@dataclass
class Scenario:
    """A folder with a dependency file and mock jobs whose IDs carry the test's prefix.

    Names of jobs are short (`api`); their IDs in Nomad are `<prefix>api`.
    """

    agent: Agent
    prefix: str
    folder: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        """Nomad's own records."""
        return self.agent.api

    def id(self, name: str) -> str:
        """Nomad's ID of a job."""
        return self.prefix + name

    def job(self, name: str, text: str, **entry: Any) -> None:
        """Write a job file (`PREFIX` in it becomes the test's prefix) and its entry."""
        (self.folder / "jobs").mkdir(exist_ok=True)
        (self.folder / "jobs" / f"{name}.nomad").write_text(text.replace("PREFIX", self.prefix))
        self.entries[name] = entry
        self.depfile(self.entries)

    def mock(
        self,
        name: str,
        config: str = 'run_for = "1h"',
        *,
        type: str = "service",  # noqa: A002 - Nomad's word
        count: int = 1,
        job: str = "",
        group: str = _NO_SECOND_CHANCE,
        task: str = "",
        update: str | None = None,
        driver: str = "mock_driver",
        memory_mb: int = 10,
        logged: bool = False,
        **entry: Any,
    ) -> None:
        """Write a job of one mock task and its entry; `job`, `group` and `task` are more lines for these blocks."""
        update = update if update is not None else (_QUICK_UPDATE if type in ("service", "system") else "")
        counted = f"count = {count}" if type in ("service", "batch") else ""
        text = f"""
job "PREFIX{name}" {{
  type = "{type}"
  {update}
  {job}
  group "main" {{
    {counted}
    {group if type != "system" else group.split("reschedule", maxsplit=1)[0]}
    task "main" {{
      driver = "{driver}"
      config {{
        {config}
      }}
      logs {{
        disabled = {str(not logged).lower()}
      }}
      resources {{
        cpu    = 10
        memory = {memory_mb}
      }}
      {task}
    }}
  }}
}}
"""
        self.job(name, text, **entry)

    def shell(self, name: str, script: str, *, memory_mb: int = 32, **more: Any) -> None:
        """Write a job whose one task is a shell script, for what the test itself has to bring about; the rest is as for `mock`."""
        config = f'command = "/bin/sh"\nargs = ["-c", {json.dumps(script)}]'
        self.mock(name, config, driver="raw_exec", memory_mb=memory_mb, **more)

    def depfile(self, entries: Mapping[str, Any], **top: Any) -> None:
        """Write the dependency file."""
        (self.folder / "dependency.json").write_text(json.dumps({**top, "dependencies": entries}, indent=2))

    def dtree(self, *argv: str, env: Mapping[str, str] | None = None, timeout_s: float = 120.0) -> Done:
        """Run `nomad-dtree` in the folder, against the agent."""
        done = subprocess.run(
            [sys.executable, "-m", "dtree", *argv],
            cwd=self.folder,
            env=self.environ(env),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start `nomad-dtree` without waiting for it; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "dtree", *argv],
            cwd=self.folder,
            env=self.environ(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    @contextmanager
    def running(self, *argv: str, timeout_s: float = 90.0) -> Iterator[Running]:
        """Run `nomad-dtree ... --output json` and read its events as they come, so that something can happen meanwhile."""
        with self.start(*argv, "--output", "json") as process:
            watchdog = Timer(timeout_s, process.kill)
            watchdog.start()
            try:
                yield Running(process)
            finally:
                watchdog.cancel()
                process.kill()

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the program."""
        return {**os.environ, "NOMAD_ADDR": self.agent.address, **(more or {})}

    # -- Nomad's own records ------------------------------------------------------------------------------------------

    def stored(self, name: str) -> dict[str, Any] | None:
        """The job as Nomad has it; None for none."""
        found = [row for row in self.api.get("/v1/jobs", namespace="*", prefix=self.id(name)) if row["ID"] == self.id(name)]
        return self.api.get(f"/v1/job/{self.id(name)}", namespace=found[0]["Namespace"]) if found else None

    def registered(self) -> dict[str, int]:
        """Raft index at which each job of the test was first registered, by short name."""
        rows = self.api.get("/v1/jobs", namespace="*", prefix=self.prefix)
        return {row["ID"].removeprefix(self.prefix): row["CreateIndex"] for row in rows}

    def modified(self) -> dict[str, int]:
        """Raft index at which somebody last changed each job of the test: what Nomad itself changes of a job does not count."""
        rows = self.api.get("/v1/jobs", namespace="*", prefix=self.prefix)
        return {row["ID"].removeprefix(self.prefix): row["JobModifyIndex"] for row in rows}

    def allocations(self, name: str) -> list[dict[str, Any]]:
        """The job's allocations, oldest first."""
        return sorted(self.api.get(f"/v1/job/{self.id(name)}/allocations"), key=lambda row: row["CreateIndex"])

    def names(self) -> Iterable[str]:
        """Short names of all jobs that Nomad has of this test."""
        return sorted(self.registered())

"""Runs and plans that the tests of the views share."""

from __future__ import annotations

import io
from collections.abc import Mapping

from dtree.declaration import Condition, Entry
from dtree.events import (
    Event,
    PlannedStep,
    RunFinished,
    RunInterrupted,
    RunStarted,
    StepFailed,
    StepKept,
    StepLost,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.graph import DependencyGraph, EdgeKind
from dtree.model import Address, JobRef, RenderedJob
from dtree.plan import Action, Change, Noop, Plan, Register, Step

T = 1_795_246_318.0  # 2026-11-21 07:31:58 UTC

NGINX = Address("http", "10.0.0.1", 80)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def planned(job: str, *needs: str, change: str = "create", cause: str = "not in Nomad yet") -> PlannedStep:
    return PlannedStep(job, job, "default", change, cause, needs, "ready")


def started(*steps: PlannedStep, verb: str = "run", goals: tuple[str, ...] = ("nginx",)) -> RunStarted:
    return RunStarted(T, verb, "shop", "filesystem", "9f3ac21be77d0011", goals, steps, "http://nomad:4646")


SHOP = started(
    planned("postgres", change="noop", cause="runs, unchanged"),
    planned("postgres_setup", "postgres", change="rerun", cause="changed: Image"),
    planned("api", "postgres", "postgres_setup", change="update", cause="changed: Count"),
    planned("nginx", "api"),
)

BEGINNING: tuple[Event, ...] = (
    SHOP,
    StepStarted(T, "postgres", 1),
    StepRegistered(T, "postgres", 3, changed=False, warnings=""),
    StepReady(T + 0.5, "postgres", "1 of 1 allocations healthy", (Address("db", "10.0.0.7", 5432),)),
    StepStarted(T + 0.5, "postgres_setup", 1),
    StepRegistered(T + 0.6, "postgres_setup", 4, changed=True, warnings=""),
    StepReady(T + 2, "postgres_setup", "completed", ()),
    StepStarted(T + 2, "api", 1),
    StepRegistered(T + 2.1, "api", 7, changed=True, warnings=""),
    StepWaiting(T + 2.2, "api", "1 of 2 allocations healthy"),
)

SUCCESS: tuple[Event, ...] = (
    *BEGINNING,
    StepReady(T + 9, "api", "2 of 2 allocations healthy", (Address("http", "10.0.0.8", 8080), Address("http", "10.0.0.9", 8080))),
    StepStarted(T + 9, "nginx", 1),
    StepRegistered(T + 9.1, "nginx", 0, changed=True, warnings="update block is ignored"),
    StepReady(T + 12, "nginx", "1 of 1 allocations healthy", (NGINX,)),
    RunFinished(T + 12.4, 0, 12.4),
)

FAILURE: tuple[Event, ...] = (
    *BEGINNING,
    StepRetrying(T + 5, "api", 1, 2, "task web ended with exit code 1"),
    StepStarted(T + 5, "api", 2),
    StepRegistered(T + 5.1, "api", 8, changed=True, warnings=""),
    StepFailed(
        T + 70,
        "api",
        "timed-out",
        "not ready within 60 s: 1 of 2 allocations healthy",
        (
            "check 'alive' of web: \x1b[31mcritical\x1b[0m",
            "  HTTP GET /: 500\x07",
            "last lines of web (stderr):",
            "  [red]KeyError[/red]: DB",
        ),
        "look at the check",
    ),
    StepLost(T + 70, "nginx", "api"),
    RunFinished(T + 70.1, 6, 70.1),
)

INTERRUPTED: tuple[Event, ...] = (*BEGINNING, RunInterrupted(T + 3, "SIGINT"), RunFinished(T + 4, 130, 4.0))

STOP: tuple[Event, ...] = (
    started(
        planned("nginx", change="purge", cause="runs"),
        planned("api", "nginx", change="stop", cause="runs"),
        planned("postgres", "api", change="keep", cause="still needed by search"),
        planned("redis", "api", change="absent", cause="not in Nomad"),
        verb="stop",
    ),
    StepStarted(T, "nginx", 1),
    StepRegistered(T + 0.1, "nginx", None, changed=True, warnings=""),
    StepWaiting(T + 0.2, "nginx", "1 allocation is ending"),
    StepReady(T + 2, "nginx", "all allocations have ended", ()),
    StepStarted(T + 2, "api", 1),
    StepReady(T + 3, "api", "all allocations have ended", ()),
    StepStarted(T + 3, "postgres", 1),
    StepKept(T + 3, "postgres", "still needed by search"),
    StepStarted(T + 3, "redis", 1),
    StepReady(T + 3, "redis", "not in Nomad", ()),
    RunFinished(T + 3, 0, 3.0),
)

NOOP: tuple[Event, ...] = (
    started(planned("db", change="noop", cause="runs, unchanged"), goals=("db",)),
    StepStarted(T, "db", 1),
    StepRegistered(T, "db", 3, changed=False, warnings=""),
    StepReady(T + 0.2, "db", "1 of 1 allocations healthy", ()),
    RunFinished(T + 0.2, 0, 0.2),
)


def step(
    name: str,
    *needs: str,
    change: Change = "create",
    cause: str = "not in Nomad yet",
    action: Action | None = None,
    ref: JobRef | None = None,
    condition: Condition | None = None,
    rollout_s: float = 0.0,
    reason: str = "",
) -> Step:
    job = RenderedJob(name, ref or JobRef("default", name), f"{name}.nomad", "job {}", "hcl2", {"Type": "service", "Secret": "s3cr3t"})
    action = action or (Noop(1) if change == "noop" else Register(0))
    return Step(job, action, change, cause, needs, condition or Condition(), 300.0, rollout_s=rollout_s, reason=reason)


def plan(*steps: Step, verb: str = "run", warnings: tuple[str, ...] = ()) -> Plan:
    return Plan("stop" if verb == "stop" else "run", "shop", "filesystem", "9f3ac21be77d0011", ("nginx",), steps, warnings)


def graph(needs: Mapping[str, tuple[str, ...]], declared: Mapping[str, tuple[tuple[str, EdgeKind], ...]]) -> DependencyGraph:
    return DependencyGraph("dependency.json", {name: Entry(name) for name in needs}, declared, needs, {}, {})

"""What a condition is about: its parts, what of it a job file settles or rules out, and what is asked and answered for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from dtree.declaration import Condition, HttpProbe, LogProbe, Probe, ServiceProbe, TcpProbe
from dtree.model import Address, RenderedJob, Spec

__all__ = ["EVERYBODY", "Answer", "Question", "Reading", "fit", "leaves", "longest_s", "misfit", "what_lasts", "without_seconds"]

EVERYBODY: Final = ""
"""In `Answer.good`, beside the allocations that it was asked for: one address answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a worker is to ask.

    Attributes:
        allocations: IDs of those that it is about, oldest first.
        over: those of them that have ended: of their logs nothing more will come.
        checked: those of them that have health checks of Nomad's own.
    """

    probe: Probe
    allocations: tuple[str, ...]
    over: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a log was read: so many bytes, which end with `tail`, and of which the last, `rest`, are no whole line yet."""

    offset: int = 0
    rest: bytes = b""
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking, and what the next asking needs of it.

    Attributes:
        good: IDs of allocations that meet the probe; `EVERYBODY` with them where one address answered for all.
        said: why the first of the others does not; "" for nothing to say.
        over: IDs of allocations whose log was read to its end after they had ended.
        places: where an allocation answers, by ID.
        readings: how far the log of an allocation was read, by ID.
    """

    good: frozenset[str] = frozenset()
    said: str = ""
    over: frozenset[str] = frozenset()
    places: Mapping[str, Address] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)


def leaves(condition: Condition) -> Iterator[Condition]:
    """Yield a condition, or instead of `all` and `any` their parts, in the order of the file."""
    if not condition.parts:
        yield condition
    for part in condition.parts:
        yield from leaves(part)


def longest_s(condition: Condition) -> float | None:
    """Return the longest wait that a condition names, or one of its parts; None for none."""
    if condition.timeout_s is not None:
        return condition.timeout_s
    named = [wait_s for part in condition.parts if (wait_s := longest_s(part)) is not None]
    return max(named, default=None)


def without_seconds(condition: Condition) -> Condition:
    """Read every number of seconds as "until ready"."""
    if condition.seconds is not None:
        return replace(condition, name="ready", seconds=None)
    return replace(condition, parts=tuple(map(without_seconds, condition.parts)))


def what_lasts(condition: Condition) -> Condition:
    """Return what of a condition has to stay true once it was met: what was asked of others counts as `started`, and no time is left."""
    if condition.probe is not None:
        return Condition("started")
    return replace(condition, timeout_s=None, parts=tuple(map(what_lasts, condition.parts)))


def fit(condition: Condition, job: RenderedJob) -> Condition:
    """Take from the job file what the condition leaves out: the provider of a service, the task of a log."""
    match condition.probe:
        case ServiceProbe(provider=None) as service:
            return replace(condition, probe=replace(service, provider=_provider(job.spec, service.service)))
        case LogProbe(task="") as log:
            mains = _main_tasks(job.spec)
            return replace(condition, probe=replace(log, task=mains[0])) if len(mains) == 1 else condition
        case _:
            return replace(condition, parts=tuple(fit(part, job) for part in condition.parts))


def misfit(condition: Condition, job: RenderedJob) -> tuple[str, str] | None:
    """Say what a condition without parts asks for that the job file does not have.

    Returns:
        (the reason, a hint); None where it is there, or where only a node can tell, or Nomad: of an external job we have no file.
    """
    match condition.probe:
        case LogProbe(task=""):
            one_of = f", one of {', '.join(_tasks(job.spec))}" if _groups(job.spec) else ""
            return "whose log is meant is not said, and it is not the only task", f"add 'task'{one_of}"
        case _ if not _groups(job.spec):
            return None
        case ServiceProbe(service=name):
            return _lacks("service", name, [_name(service, job.spec) for service in _services(job.spec)])
        case HttpProbe(port=label) | TcpProbe(port=label) if label:
            return _lacks("port", label, _labels(job.spec))
        case LogProbe(task=task):
            return _lacks("task", task, _tasks(job.spec))
        case _:
            return None


_MOST_SHOWN: Final = 10


def _lacks(what: str, name: str, known: list[str]) -> tuple[str, str] | None:
    """Say that a job has no such thing. A name with a variable in it becomes a name only on the node."""
    if name in known or any("${" in one for one in known):
        return None
    there = ", ".join(sorted(set(known))[:_MOST_SHOWN])
    return f"the job has no {what} '{name}'", f"it has {there}" if known else f"it has no {what}s at all: add one to the job file"


def _groups(spec: Spec) -> list[Mapping[str, Any]]:
    return list(spec.get("TaskGroups") or ())


def _tasks(spec: Spec) -> list[str]:
    return [task["Name"] for group in _groups(spec) for task in group.get("Tasks") or ()]


def _main_tasks(spec: Spec) -> list[str]:
    """Names of the tasks that are no prestart, poststart or poststop, each once."""
    tasks = [task for group in _groups(spec) for task in group.get("Tasks") or ()]
    return list(dict.fromkeys(task["Name"] for task in tasks if not task.get("Lifecycle")))


def _services(spec: Spec) -> list[Mapping[str, Any]]:
    holders = [holder for group in _groups(spec) for holder in (group, *(group.get("Tasks") or ()))]
    return [service for holder in holders for service in holder.get("Services") or ()]


def _name(service: Mapping[str, Any], spec: Spec) -> str:
    """Return a service's name; Nomad writes those of the job into it, the parser leaves that to the node."""
    return str(service.get("Name") or "${NAME}").replace("${JOB}", str(spec.get("Name") or spec.get("ID")))


def _provider(spec: Spec, name: str) -> Literal["nomad", "consul"]:
    """Return the provider of a service. Source: Nomad's job specification: `consul` where a service names none."""
    services = _services(spec)
    named = [service for service in services if _name(service, spec) == name] or services
    return "nomad" if any(service.get("Provider") == "nomad" for service in named) else "consul"


def _labels(spec: Spec) -> list[str]:
    tasks = [task for group in _groups(spec) for task in group.get("Tasks") or ()]
    networks = [network for group in _groups(spec) for network in group.get("Networks") or ()]
    networks += [network for task in tasks for network in (task.get("Resources") or {}).get("Networks") or ()]
    ports = [port for network in networks for kind in ("DynamicPorts", "ReservedPorts") for port in network.get(kind) or ()]
    return [port["Label"] for port in ports]

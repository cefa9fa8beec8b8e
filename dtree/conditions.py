"""What a condition is about: its parts, what of it a job file settles or rules out, and what is asked and answered for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
            return replace(condition, parts=tuple(fit(part, job) for part in condition.parts)) if condition.parts else condition


def misfit(condition: Condition, job: RenderedJob) -> tuple[str, str] | None:
    """Say what a condition without parts asks for that the job file does not have.

    Returns:
        (the reason, a hint); None where it is there, or where only a node can tell, or Nomad: of an external job we have no file.
    """
    match condition.probe:
        case LogProbe(task=""):
            if not _groups(job.spec):
                return "whose log is meant is not said, and the job is not there to tell its tasks", "add 'task'"
            return "whose log is meant is not said, and it is not the only task", f"add 'task', one of {', '.join(_tasks(job.spec))}"
        case _ if not _groups(job.spec) or not job.file:
            return None
        case ServiceProbe() as probe:
            return _service_misfit(probe, job)
        case HttpProbe(port=label) | TcpProbe(port=label) if label:
            return _port_misfit(label, job.spec)
        case LogProbe() as probe:
            return _log_misfit(probe, job.spec)
        case _:
            return None


_MOST_SHOWN: Final = 10


def _service_misfit(probe: ServiceProbe, job: RenderedJob) -> tuple[str, str] | None:
    name, spec = probe.service, job.spec
    services = _services(spec)
    known = [_name(service, spec) for service in services]
    if (lack := _lacks("service", name, known)) or name not in known:
        return lack
    if any("${" in one for one in known):
        return None
    providers = {_named_provider(service) for service in services if _name(service, spec) == name}
    if probe.provider is not None and probe.provider not in providers:
        there = " and ".join(sorted(providers))
        return f"service '{name}' is one of {there}, not of {probe.provider}", "leave 'provider' out: the job file says which"
    counts = _counts([group for group in _groups(spec) if any(_name(one, spec) == name for one in _services_of(group))])
    if counts == 0:
        return _nothing(probe)
    if counts is None or job.type in _PER_NODE or probe.passing <= counts:
        return None
    return f"{probe.passing} instances of service '{name}' are asked for, and the job has {counts}", "raise its count, or ask for fewer"


def _port_misfit(label: str, spec: Spec) -> tuple[str, str] | None:
    groups = _groups(spec)
    if lack := _lacks("port", label, [one for group in groups for one in _labels(group)]):
        return lack
    without = [str(group.get("Name")) for group in groups if label not in _labels(group) and _counts([group]) != 0]
    if not without:
        return None
    several = len(without) > 1
    named = " and ".join(f"'{name}'" for name in without[:_MOST_SHOWN])
    reason = f"every allocation is asked at port '{label}', and group{'s' if several else ''} {named} ha{'ve' if several else 's'} none"
    return reason, "add the port there, or wait for a service of the group that has it"


def _log_misfit(probe: LogProbe, spec: Spec) -> tuple[str, str] | None:
    if lack := _lacks("task", probe.task, _tasks(spec)):
        return lack
    groups = [group for group in _groups(spec) if any(task["Name"] == probe.task for task in group.get("Tasks") or ())]
    if _counts(groups) == 0:
        return _nothing(probe)
    tasks = (task for group in groups for task in group.get("Tasks") or () if task["Name"] == probe.task)
    if all((task.get("LogConfig") or {}).get("Disabled") for task in tasks):
        return f"task '{probe.task}' has its logs disabled", "take `disabled` out of its `logs` block, or wait for something else"
    return None


def _nothing(probe: Probe) -> tuple[str, str]:
    return f"its count is 0, so that there is nothing to meet: {probe}", "raise its count, or wait for 'started'"


_PER_NODE: Final = ("system", "sysbatch")


def _counts(groups: Sequence[Mapping[str, Any]]) -> int | None:
    """Add up the counts of groups; None where an autoscaler owns one."""
    if any((scaling := group.get("Scaling")) and scaling.get("Enabled") is not False for group in groups):
        return None
    return sum(1 if group.get("Count") is None else group["Count"] for group in groups)


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
    return [service for group in _groups(spec) for service in _services_of(group)]


def _services_of(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [service for holder in (group, *(group.get("Tasks") or ())) for service in holder.get("Services") or ()]


def _name(service: Mapping[str, Any], spec: Spec) -> str:
    """Return a service's name; Nomad writes those of the job into it, the parser leaves that to the node."""
    return str(service.get("Name") or "${NAME}").replace("${JOB}", str(spec.get("Name") or spec.get("ID")))


def _provider(spec: Spec, name: str) -> Literal["nomad", "consul"]:
    """Return the provider of a service. Source: Nomad's job specification: `consul` where a service names none."""
    services = _services(spec)
    named = [service for service in services if _name(service, spec) == name] or services
    return "nomad" if any(_named_provider(service) == "nomad" for service in named) else "consul"


def _named_provider(service: Mapping[str, Any]) -> str:
    return service.get("Provider") or "consul"


def _labels(group: Mapping[str, Any]) -> list[str]:
    tasks = group.get("Tasks") or ()
    networks = list(group.get("Networks") or ())
    networks += [network for task in tasks for network in (task.get("Resources") or {}).get("Networks") or ()]
    ports = [port for network in networks for kind in ("DynamicPorts", "ReservedPorts") for port in network.get(kind) or ()]
    return [port["Label"] for port in ports]

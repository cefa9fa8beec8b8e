"""Which services job files offer and look up, and where no edge says that the one who looks waits for the one who offers. Pure.

A job file is read as text, or as Nomad parses it. Names that are known only on a node, or only to Nomad's parser, are left out of the first
and those of the node out of both: nothing is told that may not be so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dtree.errors import Fault, Place
from dtree.graph import DependencyGraph
from dtree.hcl_tokens import block_texts

if TYPE_CHECKING:
    from dtree.model import Spec

__all__ = ["Lookup", "MissingEdge", "Services", "fault_of", "missing_edges", "services_in_spec", "services_in_text"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A service that a job looks up.

    Attributes:
        name: as it is written, with what may stand around it: `tag.name@dc`.
        way: in words, to stand within a sentence.
        start: where it stands in the text; None where that is not known.
    """

    name: str
    way: str
    start: int | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the service that it may mean: what stands before the first dot may be a tag."""
        name = re.split(r"[@~|]", self.name, maxsplit=1)[0]
        return (name, name.partition(".")[2]) if "." in name else (name,)


@dataclass(frozen=True, slots=True)
class Services:
    """What a job has to do with services."""

    offered: frozenset[str] = frozenset()
    looked_up: tuple[Lookup, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingEdge:
    """A job looks up what another offers, and does not wait for it.

    Attributes:
        job, offerer: names of the two.
    """

    job: str
    offerer: str
    lookup: Lookup


def missing_edges(graph: DependencyGraph, services: Mapping[str, Services]) -> tuple[MissingEdge, ...]:
    """Find the jobs that look up a service of another without waiting for it, directly or not.

    Where several jobs offer it, one that is waited for is enough. Where an edge would close a circle none is missing: that the other way
    round holds was decided by the file.

    Args:
        services: by job.

    Returns:
        One for each pair of jobs, by name.
    """
    offerers: dict[str, list[str]] = {}
    for name in sorted(services):
        for service in services[name].offered:
            offerers.setdefault(service, []).append(name)
    found: dict[tuple[str, str], MissingEdge] = {}
    for name in sorted(services):
        below = _below(graph, name) if services[name].looked_up else frozenset()
        for lookup in services[name].looked_up:
            offered_by = next((offerers[service] for service in lookup.services if service in offerers), [])
            if any(other == name or other in below for other in offered_by):
                continue
            possible = [other for other in offered_by if name not in _below(graph, other)]
            if possible:
                found.setdefault((name, possible[0]), MissingEdge(name, possible[0], lookup))
    return tuple(found[pair] for pair in sorted(found))


def fault_of(missing: MissingEdge, file: str, source: str, template: str) -> Fault:
    """Say that an edge is missing.

    Args:
        file: the job file, as the store calls it.
        source: its text as rendered, where the lookup stands.
        template: its text in the store, whose lines people know.
    """
    lookup = missing.lookup
    line, column = _place(lookup, source, template)
    return Fault(
        "missing-edge",
        f"'{missing.job}' looks up '{lookup.name}' {lookup.way}, which '{missing.offerer}' offers, and does not wait for it",
        Place(file, line, column),
        f"add '{missing.offerer}' to 'pre' of '{missing.job}'",
    )


def services_in_text(source: str) -> Services:
    """Read a job file that nobody has parsed: HCL, or the JSON of Nomad's API."""
    if source.lstrip().startswith("{"):
        return _in_json(source)
    offered: set[str] = set()
    looked_up: list[Lookup] = []
    for one in block_texts(source):
        kinds = [block[0] if block else "" for block in one.blocks]
        names = {block[0]: block[1] for block in one.blocks if len(block) > 1}
        text = one.text.replace('\\"', ' "')  # as long as before
        if kinds[-1:] == ["service"] and one.key == "name" and kinds[-2:-1] in (["group"], ["task"]):
            offered.add(_resolved(one.text, names.get("job", ""), names.get("group", ""), names.get("task", "")))
        elif kinds[-1:] == ["upstreams"] and one.key == "destination_name":
            looked_up.append(Lookup(one.text, _AS_UPSTREAM, one.start))
        elif kinds[-1:] == ["template"] and one.key == "data":
            looked_up += _in_template(text, one.start)
        looked_up += _in_dns(one.text, one.start)
    return _known(offered, looked_up)


def services_in_spec(spec: Spec) -> Services:
    """Read a job as Nomad parses it."""
    job = str(spec.get("Name") or spec.get("ID") or "")
    offered: set[str] = set()
    looked_up: list[Lookup] = []
    for group in spec.get("TaskGroups") or ():
        for part in (group, *(group.get("Tasks") or ())):
            task = "" if part is group else part["Name"]
            default = "-".join(filter(None, (job, group["Name"], task)))
            for service in part.get("Services") or ():
                offered.add(_resolved(service.get("Name") or default, job, group["Name"], task))
                looked_up += [Lookup(one.get("DestinationName") or "", _AS_UPSTREAM) for one in _upstreams(service)]
            for template in part.get("Templates") or ():
                looked_up += _in_template(template.get("EmbeddedTmpl") or "")
        looked_up += [lookup for text in _strings(group) for lookup in _in_dns(text)]
    return _known(offered, looked_up)


_IN_A_TEMPLATE: Final = "in a template"
_AS_UPSTREAM: Final = "as an upstream"
_BY_DNS: Final = "by Consul's DNS"

_ACTION: Final = re.compile(r"\{\{-?(?!-?\s*/\*)(.*?)\}\}", re.DOTALL)
_FUNCTION: Final = re.compile(r"""(?<![\w.$"])(?:service|nomadService|connect)\s+(?:\d+\s+\S+\s+)?["`]([^"`\n]+)["`]""")
"""Functions of templates that take a service's name. Source: consul-template; `nomadService` may begin with a number and a key."""
_DNS: Final = re.compile(
    r"(?<![\w.-])(?:_([\w-]+)\._)?((?:[\w-]+\.){1,2})(?:service|connect|virtual|ingress)(?:\.[\w-]+)?\.consul(?![\w-])"
)

_OF_JOB: Final = re.compile(r"\$\{(?:(JOB|NOMAD_JOB_NAME)|(GROUP|TASKGROUP|NOMAD_GROUP_NAME)|(TASK|NOMAD_TASK_NAME)|(BASE))\}")


def _in_json(source: str) -> Services:
    try:
        data: Any = json.loads(source)
    except (ValueError, RecursionError):
        return Services()
    job = data.get("Job", data)
    if not isinstance(job, dict) or "TaskGroups" not in job:
        return Services()  # HCL's own JSON, which only Nomad reads
    found = services_in_spec(job)
    return Services(found.offered, tuple(Lookup(one.name, one.way, _first(source, one.name)) for one in found.looked_up))


def _in_template(text: str, start: int | None = None) -> Iterator[Lookup]:
    for action in _ACTION.finditer(text):
        for found in _FUNCTION.finditer(text, *action.span(1)):
            yield Lookup(found[1].strip(), _IN_A_TEMPLATE, None if start is None else start + found.start(1))


def _in_dns(text: str, start: int | None = None) -> Iterator[Lookup]:
    """Yield what is looked up by names such as `tag.api.service.consul` or `_api._tcp.service.consul`."""
    for found in _DNS.finditer(text) if ".consul" in text else ():
        name = found[1] or found[2].rstrip(".").rpartition(".")[2]
        yield Lookup(name, _BY_DNS, None if start is None else start + found.start())


def _upstreams(service: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the upstreams of a sidecar, but for those of another cluster."""
    sidecar = (service.get("Connect") or {}).get("SidecarService") or {}
    return [one for one in (sidecar.get("Proxy") or {}).get("Upstreams") or () if not one.get("DestinationPeer")]


def _strings(value: object) -> Iterator[str]:
    todo = [value]
    while todo:
        match todo.pop():
            case str(text):
                yield text
            case dict(parts):
                todo.extend(reversed(parts.values()))
            case list(parts):
                todo.extend(reversed(parts))
            case _:
                pass


def _resolved(name: str, job: str, group: str, task: str) -> str:
    """Return a service's name with what Nomad fills in."""
    base = f"{job}-{group}-{task}"
    return _OF_JOB.sub(lambda found: (job, group, task, base)[(found.lastindex or 1) - 1], name)


def _known(offered: set[str], looked_up: list[Lookup]) -> Services:
    """Leave out names that hold what only a node or a parser knows."""
    return Services(frozenset(name for name in offered if "${" not in name), tuple(one for one in looked_up if "${" not in one.name))


def _place(lookup: Lookup, source: str, template: str) -> tuple[int | None, int | None]:
    """Return line and column of a lookup in the file that people know; None where it cannot be told."""
    start = lookup.start if lookup.start is not None else _first(source, lookup.name)
    if start is None:
        return None, None
    begin = source.rfind("\n", 0, start) + 1
    column = start - begin + 1
    if source == template:
        return source.count("\n", 0, start) + 1, column
    line = source[begin:].partition("\n")[0]
    same = [number for number, one in enumerate(template.split("\n"), start=1) if one == line]
    return (same[0], column) if len(same) == 1 else (None, None)


def _first(source: str, name: str) -> int | None:
    """Return where a name first stands as a whole in a text."""
    found = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", source)
    return found.start() if found else None


def _below(graph: DependencyGraph, name: str) -> frozenset[str]:
    """Return all that a job needs, directly or not."""
    found: set[str] = set()
    todo = [name]
    while todo:
        fresh = [need for need in graph.needs[todo.pop()] if need not in found]
        found.update(fresh)
        todo.extend(fresh)
    return frozenset(found)

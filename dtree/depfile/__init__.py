"""The dependency file: from bytes to a `Declaration`, with all its faults at once; and its JSON Schema.

The table of keys is `depfile.keys`; here is what the table cannot say, because it needs two places of the file to see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from dtree.declaration import (
    Condition,
    ConditionName,
    Declaration,
    Dispatch,
    Edge,
    Entry,
    HttpProbe,
    LogProbe,
    OnUpdate,
    Probe,
    Promotion,
    ServiceProbe,
    TcpProbe,
)
from dtree.depfile.keys import DEPENDENCIES, FILE
from dtree.depfile.kinds import MAX_FINDINGS, Findings, check
from dtree.depfile.waits import check_waits
from dtree.document import ODD_NUMBER, Document, Path, Value, quote, read
from dtree.errors import DeclarationError, Fault, Place
from dtree.hooks import hook_edges

__all__ = ["parse", "schema"]

_SIDES: Final = ("pre", "post", "pre_stop", "post_stop")
_COMPOSED: Final[tuple[ConditionName, ...]] = ("all", "any")

Fields = Mapping[str, Value]
"""A record as `check` gives it: keys in our form, None for what was wrong."""


def parse(file: str, data: bytes, *, title: str) -> Declaration:
    """Read and check a dependency file.

    Args:
        file: its name; the suffix says whether it is JSON or YAML.
        data: its bytes.
        title: name of the stack where the file gives none.

    Raises:
        DeclarationError: the file has faults; holds all of them, by line and column. Cycles, and jobs named nowhere, are not seen here;
            `graph.build` tells those of its `partial`.
    """
    document = read(file, data)
    findings = Findings()
    fields: Fields = {} if document.value is None else check(FILE, document.value, (), findings)
    defaults: Fields = fields.get("defaults") or {}
    entries = {name: _make_entry(name, given or {}, defaults) for name, given in (fields.get("dependencies") or {}).items()}
    _check_numbers(fields, findings, document)
    _check_edges(entries, findings)
    _check_shared_posts(entries, findings, document)
    _check_hooks(entries, findings, document)
    _check_externals(entries, fields.get(DEPENDENCIES) or {}, findings, document)
    check_waits(entries, _make_entry("", defaults, {}), fields.get(DEPENDENCIES) or {}, findings)
    declaration = Declaration(
        file=file,
        stack=fields.get("stack") or title,
        entries=entries,
        locator=document,
        defaults=replace(_make_entry("", defaults, {}), inherits_tags=True),
    )
    if document.faults or findings.items:
        partial = _make_partial(declaration, fields.get(DEPENDENCIES) or {}, document, findings)
        raise DeclarationError(_sort_faults(document, findings), partial=partial)
    return declaration


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the dependency file; the same on every call."""
    shelf: dict[str, dict[str, Any]] = {}
    described = FILE.schema(shelf)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nomad-dtree dependency file",
        "description": "Nomad jobs and the order in which they depend on each other.",
        **described,
        "$defs": dict(sorted(shelf.items())),
    }


def _make_partial(declaration: Declaration, given: Mapping[str, Value], document: Document, findings: Findings) -> Declaration | None:
    """Keep what could be read, so that its graph shows no fault that the whole file has not; None where the faults were cut off.

    A self-edge is told already. Who waits for a job waits for its post jobs too, so where one of them is lost none is kept. Where the name
    of a job may be lost, every job that an edge names counts as known.

    Args:
        given: the entries as `check` gives them, by name.
    """
    if len(findings.items) > MAX_FINDINGS:
        return None
    entries = {name: entry.without({name}) for name, entry in declaration.entries.items()}
    if document.faults or any(_lacks_post(part) for part in given.values()):
        entries = {name: replace(entry, post=()) for name, entry in entries.items()}
    if document.faults or any(one.of_key and _may_name_job(one.at, document) for one in findings.items):
        named = {edge.job for entry in entries.values() for edge in entry.edges}
        entries = {name: Entry(name) for name in sorted(named)} | entries
    return replace(declaration, entries=entries)


def _lacks_post(entry: Value) -> bool:
    """Tell whether an edge of 'post' could not be read, or the entry itself."""
    if entry is None or "post" not in entry:
        return entry is None
    edges = entry["post"]
    return len(_make_edges(edges, ())) < (len(edges) if isinstance(edges, list | tuple) else 1)


def _may_name_job(refused: Path, document: Document) -> bool:
    """Tell whether a refused key stands where jobs do: right below 'dependencies', or at the top, where it holds a map."""
    if len(refused) == 1:
        return isinstance((document.value or {}).get(str(refused[0])), dict)
    return refused[:-1] == (DEPENDENCIES,)


def _make_entry(name: str, own: Fields, defaults: Fields) -> Entry:
    """Make an entry, also from a faulty one: what was wrong is left out, so that the rest can be checked further."""
    given = {**defaults, **own}
    pre = "depends_on" if "depends_on" in own and "pre" not in own else "pre"
    return Entry(
        name=name,
        pre=_make_edges(own.get(pre), (DEPENDENCIES, name, pre)),
        post=_make_edges(own.get("post"), (DEPENDENCIES, name, "post")),
        pre_stop=_make_edges(own.get("pre_stop"), (DEPENDENCIES, name, "pre_stop")),
        post_stop=_make_edges(own.get("post_stop"), (DEPENDENCIES, name, "post_stop")),
        wait_cond=_make_condition(given.get("wait_cond")),
        timeout_s=given.get("timeout"),
        retries=given.get("retries") or 0,
        file=given.get("file"),
        namespace=given.get("namespace"),
        region=given.get("region"),
        template=given.get("template") is not False,
        version=_make_version(own.get("version")),
        variables=own.get("vars") or {},
        run=own.get("run"),
        dispatches=_make_dispatches(own.get("dispatch"), (DEPENDENCIES, name, "dispatch")),
        on_failure=given.get("on_failure"),
        irreversible=given.get("irreversible") is True,
        tags=tuple(filter(None, given.get("tags") or ())),
        inherits_tags="tags" not in own,
        promotion=_make_promotion(given.get("promote")),
    )


def _make_edges(given: Value, at: Path) -> tuple[Edge, ...]:
    edges = []
    for path, part in _edge_parts(given, at):
        fields = {"job": part} if isinstance(part, str) else part or {}
        if fields.get("job"):
            edges.append(
                Edge(
                    fields["job"],
                    path,
                    _make_condition(fields.get("wait_cond")),
                    condition=_make_condition(fields.get("condition")),
                    required=fields.get("required") is not False,
                    external=fields.get("external") is True,
                    on_update=cast("OnUpdate", fields.get("on_update") or ("restart" if fields.get("restart") else "none")),
                )
            )
    return tuple(edges)


def _edge_parts(given: Value, at: Path) -> list[tuple[Path, Value]]:
    """Return each edge with its path: of a list, of the map form (pairs, as `check` gives it), or the one that stands alone."""
    match given:
        case list():
            return [((*at, index), part) for index, part in enumerate(given)]
        case tuple():
            return [((*at, name), None if fields is None else {**fields, "job": name}) for name, fields in given]
        case _:
            return [(at, given)]


def _make_dispatches(given: Value, at: Path) -> tuple[Dispatch, ...]:
    parts = [((*at, index), part) for index, part in enumerate(given)] if isinstance(given, list) else [(at, given)]
    return tuple(_make_dispatch(part, path) for path, part in parts if part is not None)


def _make_dispatch(given: Fields, at: Path) -> Dispatch:
    payload = given.get("payload")
    return Dispatch(
        meta=given.get("meta") or {},
        payload=payload.encode() if isinstance(payload, str) else None,
        file=(payload.get("file") or "") if isinstance(payload, dict) else "",
        force=given.get("force") is True,
        is_alone=not {"meta", "payload"} & given.keys(),
        path=at,
    )


def _make_promotion(given: Value) -> Promotion | None:
    """Return what becomes of canaries; None for what was wrong."""
    if isinstance(given, dict):
        return Promotion(given["after"]) if given.get("after") is not None else None
    return {"auto": Promotion(after_s=0.0), "manual": Promotion()}.get(given or "")


def _make_version(given: Value) -> str | None:
    """Return a version as text: the map {git: short} is the source `git:short`."""
    if isinstance(given, dict):
        return next((f"{kind}:{what}" for kind, what in given.items()), None)
    return given if isinstance(given, str) else None


def _make_condition(given: Value) -> Condition | None:
    """Make a condition; None for what was wrong, and for a list without a part that is right."""
    if isinstance(given, str):
        return Condition(cast("ConditionName", given))
    if isinstance(given, float):
        return Condition("started", seconds=given)
    if not given:
        return None
    timeout_s = given.get("timeout")
    for name in _COMPOSED:
        if name in given:
            parts = tuple(part for part in map(_make_condition, given[name] or ()) if part is not None)
            return Condition(name, timeout_s=timeout_s, parts=parts) if parts else None
    if "seconds" in given:
        return Condition("started", seconds=given["seconds"], timeout_s=timeout_s)
    probe = _make_probe(given)
    return Condition(probe[0], timeout_s=timeout_s, probe=probe[1]) if probe is not None else None


def _make_probe(given: Fields) -> tuple[ConditionName, Probe] | None:
    match given:
        case {"service": str(service)}:
            return "service", ServiceProbe(service, given.get("passing") or 1, given.get("provider"))
        case {"http": str(url)}:
            return "http", HttpProbe(url=url)
        case {"http": {"port": str(port)} as http}:
            return "http", HttpProbe(port, http.get("path") or "/", http.get("status") or 200)
        case {"tcp": str(target)}:
            return "tcp", TcpProbe(target=target)
        case {"tcp": {"port": str(port)}}:
            return "tcp", TcpProbe(port)
        case {"log": str(pattern)}:
            return "log", LogProbe(pattern, given.get("task") or "", given.get("stream") or "stdout")
        case _:
            return None


def _check_numbers(fields: Fields, findings: Findings, document: Document) -> None:
    """Refuse numbers in `vars` that would not stand in a job file as they stand here."""
    given: list[tuple[Path, Value]] = [(("defaults",), fields.get("defaults"))]
    given += [((DEPENDENCIES, name), own) for name, own in (fields.get(DEPENDENCIES) or {}).items()]
    for path, own in given:
        for at in document.odd_numbers((*path, "vars")) if own and own.get("vars") else ():
            code, problem, hint = ODD_NUMBER
            findings.add(code, at, problem, hint)


def _check_edges(entries: Mapping[str, Entry], findings: Findings) -> None:
    for entry in entries.values():
        for side in _SIDES:
            seen = set()
            for edge in getattr(entry, side):
                if edge.job == entry.name:
                    problem = f"{quote(edge.job)} names itself in '{side}'"
                    findings.add("self-edge", edge.path, problem, "remove it, or name another job")
                elif edge.job in seen:
                    findings.add(
                        "duplicate-edge",
                        edge.path,
                        f"{quote(edge.job)} stands twice in '{side}' of {quote(entry.name)}",
                        "keep one of the two",
                    )
                seen.add(edge.job)


def _check_shared_posts(entries: Mapping[str, Entry], findings: Findings, document: Document) -> None:
    first: dict[str, tuple[str, Edge]] = {}
    for entry in entries.values():
        for edge in entry.post:
            owner, other = first.setdefault(edge.job, (entry.name, edge))
            if owner != entry.name and other.wait_cond != edge.wait_cond:
                line = document.place(other.path).line
                problem = (
                    f"{quote(edge.job)} is a post job of {quote(owner)} (line {line}) and of {quote(entry.name)}, with different settings"
                )
                findings.add("same-post-twice", edge.path, problem, f"give it one 'wait_cond', in an entry of {quote(edge.job)} itself")


def _check_hooks(entries: Mapping[str, Entry], findings: Findings, document: Document) -> None:
    """A job runs once in a stop, so it is either to run before or after others are stopped; and it is ours to run."""
    first: dict[str, tuple[str, str, Edge]] = {}
    external = {edge.job: (entry.name, edge) for entry in entries.values() for edge in (*entry.pre, *entry.post) if edge.external}
    for entry in entries.values():
        for kind, edge in hook_edges(entry):
            owner, other, at = first.setdefault(edge.job, (entry.name, kind, edge))
            if other != kind:
                line = document.place(at.path).line
                problem = f"{quote(edge.job)} is a {other} job of {quote(owner)} (line {line}) and a {kind} job of {quote(entry.name)}"
                findings.add("same-hook-twice", edge.path, problem, "it runs once in a stop: make it two jobs, each with its own job file")
            if edge.job in external:
                user, where = external[edge.job]
                line = document.place(where.path).line
                problem = f"{quote(edge.job)} is external to {quote(user)} (line {line}), so it cannot be run here"
                findings.add("external-job", edge.path, problem, "take one of the two edges out")


_OF_EXTERNALS: Final = frozenset({"namespace", "region", "timeout", "wait_cond", "tags"})


def _check_externals(entries: Mapping[str, Entry], given: Mapping[str, Value], findings: Findings, document: Document) -> None:
    """A job is external to all who name it or to none; and of what is never touched here, only the waiting can be told."""
    edges = [(entry.name, edge) for entry in entries.values() for edge in (*entry.pre, *entry.post)]
    externals = {edge.job: (name, edge) for name, edge in reversed(edges) if edge.external}
    for name, edge in edges:
        if edge.job in externals and not edge.external:
            other, first = externals[edge.job]
            line = document.place(first.path).line
            problem = f"{quote(edge.job)} is external to {quote(other)} (line {line}), but not to {quote(name)}"
            findings.add("external-job", edge.path, problem, "say external: true in both edges, or in none")
        elif edge.external and edge.on_update != "none":
            problem = f"{quote(edge.job)} is external, so no run of this file ever changes it, and 'on_update' means nothing"
            findings.add("external-job", (*edge.path, "on_update"), problem, "remove one of the two")
    for name in externals:
        for key in sorted(set(given.get(name) or {}) - _OF_EXTERNALS):
            problem = f"{quote(name)} is external and never touched, so '{key}' of its entry means nothing"
            hint = f"an external job's entry takes {', '.join(sorted(_OF_EXTERNALS))}"
            findings.add("external-job", (DEPENDENCIES, name, key), problem, hint, of_key=True)


def _sort_faults(document: Document, findings: Findings) -> list[Fault]:
    """Sort by line and column; of faults with one code and one place (a YAML alias repeats them), keep one."""
    found = [Fault(one.code, one.problem, document.place(one.at, of_key=one.of_key), one.hint) for one in findings.items]
    unique: dict[tuple[int, int, str], Fault] = {}
    for fault in (*document.faults, *found):
        place = fault.place or Place(document.file)
        unique.setdefault((place.line or 0, place.column or 0, fault.code), fault)
    return [unique[key] for key in sorted(unique)]

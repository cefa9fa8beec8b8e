"""Every JSON document that nomad-dtree writes, described field by field in docs/reference/events.md.

A field may be added within a version of the schema, none changes its meaning or goes. Keys come in a fixed order, times are UTC, and
the text is ASCII: whatever a job file or a log line holds, no control character leaves here unescaped.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from dtree.errors import DtreeError, Fault
from dtree.events import EVENT_SCHEMA, Event
from dtree.hooks import Hook
from dtree.plan import Plan, Refuse, Step
from dtree.record import StatusRow
from dtree.transfer import Difference
from dtree.views.explain_text import Explanation
from dtree.views.transfer_text import Side, diff_lines, is_binary
from dtree.views.versions_text import ListedVersion, VersionChange

if TYPE_CHECKING:
    from dtree.artifacts import Checked  # brings the clients of servers along, which most commands have no use for
    from dtree.critical_path import CriticalPath
    from dtree.views.graph_text import DrawnEdge, DrawnHook, Edges


class JsonLines:
    """Write each event as one line of JSON.

    Effects: writes to the stream and flushes after every line, so that a reader at the other end of a pipe sees it at once.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass  # the last line was complete when it was written

    def __call__(self, event: Event) -> None:
        """Write the event."""
        self._stream.write(_line(event_form(event)) + "\n")
        self._stream.flush()


def event_kind(event_class: type) -> str:
    """Return the kind of an event: `StepReady` -> `step-ready`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", event_class.__name__).lower()


def event_form(event: Event) -> dict[str, Any]:
    """Return an event as JSON values: schema, kind, time, then its fields in the order of its class."""
    body = _plain(event)
    if "elapsed_s" in body:
        body["elapsed_s"] = round(body["elapsed_s"], 3)  # as precise as the times
    return {"schema": EVENT_SCHEMA, "event": event_kind(type(event)), "time": utc(body.pop("time_s")), **body}


def plan_json(plan: Plan, *, address: str, checked: Sequence[Checked] | None = None, line: bool = False) -> str:
    """Write a plan as one document; without job specs and without the text of job files, which may hold secrets.

    Args:
        plan: the plan.
        address: of the Nomad that it is for.
        checked: what came of asking for artifacts; None where nobody asked.
        line: on one line, where more will follow.
    """
    from dtree.critical_path import critical_path

    form = {
        "schema": EVENT_SCHEMA,
        "verb": plan.verb,
        "stack": plan.stack,
        "store": plan.store,
        "revision": plan.revision,
        "address": address,
        "goals": list(plan.goals),
        "counts": dict(sorted(Counter(step.change for step in plan.steps).items())),
        "steps": [_step_form(step) for step in plan.steps],
        "critical_path": _path_form(critical_path(plan)),
        "out": [{"job": one.job, "reason": one.reason} for one in plan.out],
        "warnings": list(plan.warnings),
        "artifacts": None if checked is None else [_artifact_form(one) for one in checked],
    }
    return _line(form) if line else _document(form)


def artifacts_json(checked: Sequence[Checked], *, time_s: float) -> str:
    """Write what came of asking for artifacts as an event: one line, before the run's first."""
    form = {
        "schema": EVENT_SCHEMA,
        "event": "artifacts-checked",
        "time": utc(time_s),
        "artifacts": [_artifact_form(one) for one in checked],
    }
    return _line(form)


def status_json(rows: Iterable[StatusRow], *, line: bool = False) -> str:
    """Write where the jobs stand as one document; on one line where more will follow, so that a reader can tell them apart."""
    form = {"schema": EVENT_SCHEMA, "jobs": [_plain(row) for row in rows]}
    return _line(form) if line else _document(form)


def which_json(row: StatusRow) -> str:
    """Write where one job stands as one document."""
    return _document({"schema": EVENT_SCHEMA, **_plain(row)})


def transfer_json(differences: Sequence[Difference], *, sides: Mapping[str, Side], lines: bool, **more: Any) -> str:
    """Write in what two stores differ as one document.

    Args:
        differences: from the old side to the new one.
        sides: by the key that they have in the document; the old side first.
        lines: with the lines of each file that differ.
        more: further fields.
    """
    old, new = (side.store for side in sides.values())
    return _document(
        {
            "schema": EVENT_SCHEMA,
            **{key: {"store": side.store, "revision": side.revision} for key, side in sides.items()},
            "counts": dict(sorted(Counter(one.change for one in differences).items())),
            "files": [_difference_form(one, diff_lines(one, old=old, new=new) if lines else []) for one in differences],
            **more,
        }
    )


def explain_json(explanation: Explanation) -> str:
    """Write where the values of a job's variables come from, as one document; secret ones as `(secret)`."""
    names = [
        {
            "name": one.name,
            "readers": list(one.readers),
            "sources": [
                {"value": source.value, "layer": source.layer, "place": _plain(source.place) if source.place is not None else None}
                for source in one.sources
            ],
        }
        for one in explanation.names
    ]
    asked = [{"call": call, "value": value or None} for call, value in explanation.asked]
    return _document({"schema": EVENT_SCHEMA, "job": explanation.job, "file": explanation.file, "variables": names, "asked": asked})


def versions_json(rows: Sequence[ListedVersion]) -> str:
    """Write the versions of jobs as one document."""
    return _document({"schema": EVENT_SCHEMA, "jobs": [_version_form(row) for row in rows]})


def version_changes_json(changes: Sequence[VersionChange], file: str, **more: Any) -> str:
    """Write what becomes of a file of versions as one document.

    Args:
        changes: also of what stays as it is.
        file: as people call it.
        more: further fields.
    """
    lines = [{"name": one.job, "old": one.old, "new": one.new} for one in changes if one.differs]
    return _document({"schema": EVENT_SCHEMA, "file": file, "changes": lines, **more})


def error_json(error: DtreeError) -> str:
    """Write an error as JSON lines of the kind `error`, one for each fault."""
    return "\n".join(
        _line({"schema": EVENT_SCHEMA, "event": "error", **_fault_form(fault), "notes": list(error.notes), "hint": fault.hint})
        for fault in error.faults
    )


def validate_json(jobs: int, warnings: Sequence[str], missing_edges: Sequence[Fault] | None) -> str:
    """Write what came of validating as one document.

    Args:
        jobs: how many there are.
        warnings: Nomad's.
        missing_edges: what `--strict` found; None where nobody asked.
    """
    edges = None if missing_edges is None else [{**_fault_form(fault), "hint": fault.hint} for fault in missing_edges]
    form = {"schema": EVENT_SCHEMA, "valid": not missing_edges, "jobs": jobs, "warnings": list(warnings), "missing_edges": edges}
    return _line(form)


def graph_json(goals: Sequence[str], edges: Edges, hooks: Mapping[str, Hook], hook_edges: Sequence[DrawnHook]) -> str:
    """Write a graph as one document.

    Args:
        goals: what was asked for.
        edges: of each job.
        hooks: what those that run around stops are hooks of.
        hook_edges: what each of their owners asks of them.
    """
    asked = {name: [_hook_form(edge) for edge in hook_edges if edge.hook == name] for name in hooks}
    around = {name: {"kind": hook.kind, "owners": list(hook.owners), "edges": asked[name]} for name, hook in hooks.items()}
    jobs = [{"job": job, "needs": [_need_form(need) for need in needs], "hook": around.get(job)} for job, needs in edges.items()]
    return _document({"schema": EVENT_SCHEMA, "goals": list(goals), "jobs": jobs})


def utc(time_s: float) -> str:
    """Write Unix seconds as `2026-11-21T07:31:58.123Z`."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _step_form(step: Step) -> dict[str, Any]:
    refused = step.action if isinstance(step.action, Refuse) else None
    return {
        "job": step.name,
        "id": step.ref.id,
        "namespace": step.ref.namespace,
        "region": step.ref.region,
        "type": step.job.type,
        "file": step.job.file,
        "version": step.job.version,
        "reads": list(step.job.reads),
        "change": step.change,
        "cause": step.cause,
        "refused": {"why": refused.why, "hint": refused.hint} if refused else None,
        "needs": list(step.needs),
        "edges": {need: [str(condition) for condition in conditions] for need, conditions in step.edges.items()},
        "optional": list(step.optional),
        "tolerated": step.is_tolerated,
        "reason": step.reason,
        "rollout_s": step.rollout_s,
        "condition": str(step.condition),
        "timeout_s": step.timeout_s,
        "retries": step.retries,
        "on_failure": step.on_failure,
        "irreversible": step.irreversible,
    }


def _fault_form(fault: Fault) -> dict[str, Any]:
    return {
        "code": fault.code,
        "problem": fault.problem,
        "file": fault.place.file if fault.place else None,
        "line": fault.place.line if fault.place else None,
        "column": fault.place.column if fault.place else None,
        "key": fault.place.key if fault.place else "",
    }


def _path_form(path: CriticalPath | None) -> dict[str, Any] | None:
    return {"jobs": list(path.jobs), "least_s": path.least_s} if path is not None else None


def _need_form(edge: DrawnEdge) -> dict[str, Any]:
    form = _plain(edge)
    return {"job": form.pop("need"), **form}


def _hook_form(edge: DrawnHook) -> dict[str, Any]:
    return {"owner": edge.owner, "condition": edge.condition, "required": edge.required}


def _artifact_form(one: Checked) -> dict[str, Any]:
    return {
        "kind": one.source.kind,
        "address": one.source.shown,
        "state": one.answer.state,
        "why": one.answer.why,
        "tasks": [{"job": use.job, "task": use.task, "file": use.file} for use in one.uses],
    }


def _version_form(row: ListedVersion) -> dict[str, Any]:
    place = row.declared.origin.place if row.declared else None
    return {
        "job": row.job,
        "version": row.version,
        "declared": row.declared.text if row.declared else "",
        "layer": row.declared.origin.layer if row.declared else "",
        "file": place.file if place else None,
        "line": place.line if place else None,
        "problem": row.trouble,
        "pending": row.pending,
        "runs": row.runs,
        "in_nomad": row.row is not None and row.row.version is not None,
        "changed_since": row.row is not None and row.row.changed_since,
        "other_stack": row.row.other_stack if row.row else "",
        "note_fault": _plain(row.row.note_fault) if row.row else None,
        "file_fault": _plain(row.row.file_fault) if row.row else None,
    }


def _difference_form(one: Difference, lines: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "path": one.path,
        "change": one.change,
        "cause": one.cause,
        "old_file": one.old.path if one.old else "",
        "new_file": one.new.path if one.new else "",
        "binary": is_binary(one.old) or is_binary(one.new),
        "diff": list(lines),
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of our values, to any JSON value
    """Turn our frozen values into what JSON knows, fields in the order of their class."""
    if isinstance(value, Fault):
        place = value.place
        shown = None if place is None else {"file": place.file, "line": place.line, "column": place.column, "key": place.key}
        return {"code": value.code, "problem": value.problem, "place": shown, "hint": value.hint}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _line(form: Mapping[str, Any]) -> str:
    return _ascii(json.dumps(form, allow_nan=False))


def _document(form: Mapping[str, Any]) -> str:
    return _ascii(json.dumps(form, allow_nan=False, indent=2))


def _ascii(text: str) -> str:
    # The one control character that JSON itself lets through; outside of strings it never occurs.
    return text.replace("\x7f", "\\u007f")

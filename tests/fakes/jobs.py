"""Job files and rendered jobs as small as a test can have them, in the JSON of Nomad's API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dtree.model import JobRef, RenderedJob


def job_spec(job_id: str, type_: str = "service", /, *, count: int = 1, groups: tuple[str, ...] = ("main",), **more: Any) -> dict[str, Any]:
    """Write a job: one group with one task, unless more is asked for; `more` are further top-level fields."""
    return {
        "ID": job_id,
        "Name": job_id,
        "Type": type_,
        "Datacenters": ["dc1"],
        "TaskGroups": [
            {"Name": group, "Count": count, "Tasks": [{"Name": "work", "Driver": "mock_driver", "Config": {"run_for": "1h"}}]}
            for group in groups
        ],
        **more,
    }


def job_file(job_id: str, type_: str = "service", /, **more: Any) -> str:
    return json.dumps(job_spec(job_id, type_, **more))


def rendered(name: str, type_: str = "service", /, *, job_id: str = "", namespace: str = "default", **more: Any) -> RenderedJob:
    """Render a job as `observe.parse_jobs` would."""
    return rendered_from(name, job_spec(job_id or name, type_, **more), namespace=namespace)


def rendered_from(name: str, spec: Mapping[str, Any], *, namespace: str = "default") -> RenderedJob:
    ref = JobRef(spec.get("Namespace") or namespace, spec["ID"], spec.get("Region") or "")
    return RenderedJob(name=name, ref=ref, file=f"jobs/{name}.json", text=json.dumps(spec), format="json", spec=spec)

"""Job specs as the FakeCluster compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def canonical(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what Nomad fills in when it stores a job."""
    kind = spec.get("Type") or "service"
    update = {"MaxParallel": 1, "ProgressDeadline": 600 * 10**9} if kind in ("service", "system") else None
    groups = [{"Count": 1, "Update": spec.get("Update") or update, **group} for group in spec.get("TaskGroups") or ()]
    return {"Periodic": None, "ParameterizedJob": None, **spec, "Type": kind, "TaskGroups": groups}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what differs, in Nomad's words where it is only counts."""
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if "TaskGroups" not in keys:
        return tuple(keys)
    before, after = ({group["Name"]: group["Count"] for group in spec["TaskGroups"]} for spec in (old, new))
    recounted = [{**group, "Count": before.get(group["Name"])} for group in new["TaskGroups"]]
    if recounted != old["TaskGroups"]:
        return tuple(keys)
    return (*(key for key in keys if key != "TaskGroups"), *(f"group {name}.Count" for name in after if after[name] != before[name]))


def is_in_place(changed: Iterable[str]) -> bool:
    """Whether allocations outlive such a change."""
    return all(one == "Priority" or one.endswith(".Count") for one in changed)

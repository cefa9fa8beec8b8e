"""Numbers of seconds that can never be waited for, because the wait for them is over before."""

from __future__ import annotations

from collections.abc import Mapping

from dtree.declaration import Condition, Entry
from dtree.depfile.kinds import Findings
from dtree.document import Path, Value


def check_waits(entries: Mapping[str, Entry], defaults: Entry, given: Mapping[str, Value], findings: Findings) -> None:
    """Find numbers of seconds that are longer than the timeout that holds for them: their own, that around them, or the job's.

    Args:
        given: the entries as `check` gives them, by name: what of an entry is not of the defaults.
    """
    for name, entry in entries.items():
        if entry.wait_cond is not None:
            _check(entry.wait_cond, entry.timeout_s, _own_place(name, given.get(name) or {}), findings)
        for edge in entry.edges:
            in_post = edge in entry.post
            reaches = entry if in_post else entries.get(edge.job, defaults)
            if edge.condition is not None:
                _check(edge.condition, reaches.timeout_s, (*edge.path, "condition"), findings)
            if edge.wait_cond is not None:
                _check(edge.wait_cond, entries.get(edge.job, defaults).timeout_s, (*edge.path, "wait_cond"), findings)


def _own_place(name: str, given: Mapping[str, Value]) -> Path:
    """Return the path of the condition of an entry, or of the timeout that does not go with that of the defaults."""
    own = next((key for key in ("wait_cond", "timeout") if key in given), None)
    return ("defaults", "wait_cond") if own is None else ("dependencies", name, own)


def _check(condition: Condition, job_timeout_s: float | None, at: Path, findings: Findings) -> None:
    limit_s = condition.timeout_s or job_timeout_s
    for seconds, over_s in _too_long(condition, limit_s)[:1]:
        problem = f"{seconds:g} seconds after start never come, because the wait for them ends after {over_s:g}"
        findings.add("wait-too-short", at, problem, "make the 'timeout' longer than the seconds")


def _too_long(condition: Condition, limit_s: float | None) -> list[tuple[float, float]]:
    """Return the numbers of seconds without which the condition cannot be met, each with the shorter limit that holds for it."""
    if condition.seconds is not None and limit_s is not None and condition.seconds > limit_s:
        return [(condition.seconds, limit_s)]
    parts = [_too_long(part, min(filter(None, (limit_s, part.timeout_s)), default=None)) for part in condition.parts]
    return [] if condition.name == "any" and not all(parts) else [one for part in parts for one in part]

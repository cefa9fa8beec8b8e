"""What runs of a job, in one line, and in a word or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from dtree.provenance import DIRTY, Provenance
from dtree.record import StatusRow
from dtree.views.style import PLAIN, Look
from dtree.views.text import clean, short_revision
from dtree.views.words import identity

_SHORT: Final = 7


def which_text(row: StatusRow) -> str:
    """Answer which version of a job runs: what was noted of it when it was registered, if that is what Nomad still has."""
    name = identity(row.job, row.id, row.namespace, row.region)
    noted = row.provenance
    if noted is None or noted.registered is None:
        return f"{name}: where it came from is not noted (version {row.version} in Nomad; {_runs(row)})"
    release = f" {clean(noted.version)}" if noted.version else ""
    facts = ", ".join(_facts(noted, noted.registered.version))
    if row.changed_since:
        return f"{name} was{release or ' registered'} ({facts}), but was changed since (version {row.version} in Nomad; {_runs(row)})"
    return f"{name}{release} ({facts}; {_runs(row)})"


def remark_lines(rows: Iterable[StatusRow], look: Look = PLAIN) -> list[str]:
    """Write of which jobs the file cannot be rendered, though they are known, and once that notes cannot be read."""
    rows = tuple(rows)
    warning = look.paint("warning:", "busy")
    lines = [
        f"{warning} {clean(row.job)}: known by its note, as its job file is no good: {clean(row.file_fault.sentence)}"
        for row in sorted(rows, key=lambda row: row.job)
        if row.file_fault is not None
    ]
    for fault in dict.fromkeys(row.note_fault for row in rows if row.note_fault is not None):
        lines.append(f"{warning} what is noted of jobs in Nomad's Variables may not be read: {clean(fault.problem)}")
        lines.extend([f"  hint: {clean(fault.hint)}"] if fault.hint else [])
    return lines


def release(row: StatusRow) -> str:
    """Return the version and the ref or commit of what runs, as `1.4.2 (v1.2)`; "" where none is known."""
    noted = row.provenance
    if noted is None or row.version is None:
        return ""
    origin = clean(noted.ref) if noted.ref not in ("", "HEAD") else _short(noted.commit)
    return f"{clean(noted.version)} ({origin})" if noted.version and origin else clean(noted.version) or origin


def _facts(noted: Provenance, version: int) -> Iterator[str]:
    if noted.ref:
        yield f"ref {clean(noted.ref)}"
    if noted.commit:
        yield f"commit {_short(noted.commit)}"
    if not noted.ref and not noted.commit:
        yield f"revision {short_revision(noted.revision)}"
    yield f"registered as version {version} by stack {clean(noted.stack)} from {clean(noted.store)}"


def _runs(row: StatusRow) -> str:
    if row.reason:
        return f"runs {row.running}/{row.desired}: {clean(row.reason)}"
    ended = ", has ended" if row.state == "dead" else ""
    return f"runs {row.running}/{row.desired}{ended}"


def _short(commit: str) -> str:
    dirty = DIRTY if commit.endswith(DIRTY) else ""
    return clean(commit.removesuffix(DIRTY))[:_SHORT] + dirty

"""What runs: where a registered job came from, as a value, and how that is kept beside the job. Pure.

It never stands in the job itself: a job's `meta` is part of its specification, and another one replaces its allocations. It is kept in the
job's note, a Nomad Variable of its namespace, and as comments in the variables of its Submission.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from dtree.model import JobSnapshot, JobState, RenderedJob

Items = Mapping[str, str]
"""What a Nomad Variable holds."""

NOTES: Final = "dtree"
"""First part of the path of every note."""

MARK: Final = "nomad-dtree"
"""The item that every note of ours has; its value is the version of this form."""

DIRTY: Final = "-dirty"
"""What follows the id of a commit whose files were changed."""

FORM: Final = "1"
"""The version of this form."""

_COMMENT: Final = re.compile(rf'^# {MARK}: (\w+) = ("(?:[^"\\\n]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{{4}})*")$', re.MULTILINE)
_OWN_LINE: Final = re.compile(_COMMENT.pattern + r"\n?", re.MULTILINE)
_PLAIN: Final = re.compile(rb"[A-Za-z0-9_-]")
_LONGEST_STACK: Final = 40
_LONGEST_JOB: Final = 80
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Source:
    """Which state of which store a set of jobs is of.

    Attributes:
        revision: exact, as the store identifies it.
        ref: what was asked for, as `v1.2`; "" where the store has no such thing.
        commit: full id, with `-dirty` where files differ from it; "" for none.
    """

    stack: str
    store: str
    revision: str
    ref: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """The job as Nomad stored it when it accepted ours.

    Attributes:
        version: Nomad's job version.
        modify_index: Nomad's JobModifyIndex, which grows with every change of any job.
        shape: its `JobState.shape`.
    """

    version: int
    modify_index: int
    shape: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a job came from.

    Attributes:
        job: its name in the dependency file.
        stack, store, revision, ref, commit: as in `Source`.
        version: the artifact version that was declared for it; "" for none.
        template_digest, text_digest: SHA-256 of the file in the store and of what was rendered from it, as hex.
        registered: None as long as Nomad has not accepted it.
    """

    job: str
    stack: str
    store: str
    revision: str
    ref: str
    commit: str
    version: str
    template_digest: str
    text_digest: str
    registered: Registration | None = None


def provenance_of(job: RenderedJob, source: Source) -> Provenance:
    """Say where a rendered job comes from; it is not registered yet."""
    return Provenance(
        job=job.name,
        stack=source.stack,
        store=source.store,
        revision=source.revision,
        ref=source.ref,
        commit=source.commit,
        version=job.version,
        template_digest=job.template_digest,
        text_digest=hashlib.sha256(job.text.encode()).hexdigest(),
    )


def still_runs(registered: Registration, state: JobState) -> bool:
    """Whether the stored job still is what was registered.

    Only its counts may be others: those are an autoscaler's. What is stored anew by a revert, or by somebody who registers the same
    specification, is the same too.
    """
    return state.modify_index == registered.modify_index or state.shape == registered.shape


def taken_over(items: Items, snapshot: JobSnapshot) -> str:
    """Say by whom a stored job is no longer what was registered, by its note; "" where it still is, or nothing is noted.

    Source: seen with Nomad 1.11.3: an automatic revert is the next version, and the failed deployment says so.
    """
    noted, state = read_note(items), snapshot.job
    before = noted.registered if noted is not None else None
    if before is None or state is None or still_runs(before, state):
        return ""
    failed = [one for one in snapshot.deployments if one.version == before.version and one.status == "failed"]
    if state.version == before.version + 1 and any("rolling back to job version" in one.description for one in failed):
        return f"Nomad itself went back from version {before.version}, which failed"
    return f"somebody else registered version {state.version} since"


def registered_as(state: JobState) -> Registration:
    """Return what identifies the stored job."""
    return Registration(state.version, state.modify_index, state.shape)


def note_path(stack: str, job_id: str) -> str:
    """Return the path of a job's note: `dtree/<stack>/<job>`, by its ID and not by our name for it.

    The ID is what Nomad knows the job by: an entry that is renamed keeps its note, and jobs whose ID depends on the environment have one
    each. Bytes that Nomad takes in no path are written as `~2E`; a part that is too long is cut, and ends in `~~` and a digest of the
    whole. No two jobs share a path.

    >>> note_path('shop', 'mail/out.v2')
    'dtree/shop/mail~2Fout~2Ev2'
    """
    return f"{stack_path(stack)}/{_encoded(job_id, _LONGEST_JOB)}"


def stack_path(stack: str) -> str:
    """Return the path that all notes of a stack stand below."""
    return f"{NOTES}/{_encoded(stack, _LONGEST_STACK)}"


def is_path_of(path: str, job_id: str) -> bool:
    """Whether that is where some stack would keep the job's note."""
    first, *_, last = parts = path.split("/")
    return len(parts) == len((NOTES, "stack", "job")) and (first, last) == (NOTES, _encoded(job_id, _LONGEST_JOB))


def read_note(items: Items) -> Provenance | None:
    """Read what a note says; None where it does not say where the job came from."""
    try:
        registered = Registration(int(items["registered_version"]), int(items["modify_index"]), items["shape"])
    except (KeyError, ValueError):
        return None
    return Provenance(**{name: items.get(name, "") for name in _FIELDS}, registered=registered)


def noted(items: Items, provenance: Provenance) -> Items:
    """Return a note's items with this provenance in them; items of others stay.

    Of two registrations the later one wins, whoever writes last: Nomad's index tells which that is.
    """
    new = provenance.registered
    if new is None:
        return items
    before = read_note(items)
    if before is not None and before.registered is not None and before.registered.modify_index > new.modify_index:
        return items
    ours = {
        MARK: FORM,
        **{name: str(getattr(provenance, name)) for name in _FIELDS},
        "registered_version": str(new.version),
        "modify_index": str(new.modify_index),
        "shape": new.shape,
    }
    others = {name: value for name, value in items.items() if name not in ours}
    return {**others, **{name: value for name, value in ours.items() if value}}


def restored(items: Items, before: Items) -> Items:
    """Return a note's items with what an earlier one says of where the job came from, or with nothing of that; items of others stay.

    Returns:
        {} where nothing is left to be noted.
    """
    ours = {MARK, *_FIELDS, "registered_version", "modify_index", "shape"}
    kept = {name: value for name, value in items.items() if name not in ours}
    kept |= {name: value for name, value in before.items() if name in ours and name != MARK}
    return {MARK: FORM, **kept} if kept else {}


def with_comments(variables: str, provenance: Provenance | None) -> str:
    """Put what a job is of before the values of its HCL2 variables, as comments.

    Values are written as JSON strings, so that none of them can end its line.
    """
    if provenance is None:
        return variables
    said = {name: getattr(provenance, name) for name in _FIELDS}
    lines = [f"# {MARK}: {name} = {json.dumps(value)}\n" for name, value in said.items() if value]
    return "".join(lines) + variables


def without_comments(variables: str) -> str:
    """Return the values of HCL2 variables without what `with_comments` put before them."""
    return _OWN_LINE.sub("", variables)


def read_comments(source: str, variables: str) -> Provenance | None:
    """Read what the comments before the values of a Submission's variables say; it is not registered yet.

    Whoever edits a job in Nomad's web interface sends them along with another source: then they are not of it, and say nothing.
    """
    said = {name: str(json.loads(value)) for name, value in _COMMENT.findall(variables) if name in _FIELDS}
    if not said or said.get("text_digest") != hashlib.sha256(source.encode()).hexdigest():
        return None
    return Provenance(**{name: said.get(name, "") for name in _FIELDS}, registered=None)


_FIELDS: Final = tuple(field.name for field in fields(Provenance) if field.name != "registered")


def _encoded(name: str, longest: int) -> str:
    data = name.encode(errors="surrogatepass")
    text = "".join(chr(byte) if _PLAIN.fullmatch(bytes([byte])) else f"~{byte:02X}" for byte in data) or "~"
    if len(text) <= longest:
        return text
    ending = f"~~{hashlib.sha256(data).hexdigest()[:_DIGITS]}"
    return text[: longest - len(ending)] + ending

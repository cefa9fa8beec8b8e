"""What has to be written to a store, so that it holds what another does. Pure, but for reading the two."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from dtree import depfile
from dtree.declaration import Declaration
from dtree.document import read
from dtree.errors import DeclarationError, StoreFileMissing
from dtree.store import Changes, Snapshot, Text, job_name
from dtree.versions_file import NAMES
from dtree.versions_lock import LOCK

_SURELY_JOBS: Final = (".nomad", ".hcl", ".nomad.j2")
"""What else a job file may be called, `api.json` or just `api`, other files are called too."""

VERSION_FILES: Final = (*NAMES, LOCK)
"""Files of versions in the root of a store."""

_NAMED: Final = re.compile(r"""\[%[-+]?\s*(?:include|import|from|extends)\s+["']([^"'\n]+)["']|\bfile\(\s*["']([^"'\n]+)["']\s*\)""")

Kind = Literal["depfile", "job", "file"]
Change = Literal["add", "change", "remove", "keep"]


@dataclass(frozen=True, slots=True)
class Contents:
    """A set of jobs as files.

    Attributes:
        depfile: the dependency file; None where there is none.
        jobs: all job files, by path below the jobs path.
        files: other files that the dependency file or a template names, and the file of versions, by path from the root.
    """

    depfile: Text | None = None
    jobs: Mapping[str, Text] = field(default_factory=dict)
    files: Mapping[str, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that two stores do not have in common.

    Attributes:
        kind: what kind of file it is.
        path: for a job below the jobs path, for a file from the root; for the dependency file as the old side calls it, "" if it has none.
        change: what becomes of it; keep: only the old side has it, and there it stays.
        old: what there is; None for a file to add.
        new: what there will be; None for one to remove or to keep.
        cause: why, where the change does not say it all.
    """

    kind: Kind
    path: str
    change: Change
    old: Text | None
    new: Text | None
    cause: str = ""


def read_contents(*snapshots: Snapshot) -> tuple[Contents, ...]:
    """Read all files of sets of jobs that are to be compared.

    These are dependency files, job files, versions, what the entries of any name with `file` or as a payload, and what templates name in
    words.

    Where the jobs lie in the root of a project, so does much else: a file is taken for a job's if its name says so, or if one of
    the dependency files has a job of that name. Nothing else is copied, and nothing else is ever removed.

    Effects: reads the stores.
    """
    depfiles = [_read_depfile(snapshot) for snapshot in snapshots]
    declared = [found for text in depfiles if text and (found := _declaration(text))]
    known_jobs = {name for declaration in declared for name in _job_names(declaration)}
    jobs = [snapshot.read_jobs([path for path in snapshot.list_jobs() if _is_job_file(path, known_jobs)]) for snapshot in snapshots]
    entries = [entry for declaration in declared for entry in declaration.entries.values()]
    payloads = {one.file for entry in entries for one in entry.dispatches if one.file}
    named = sorted(payloads | {entry.file for entry in entries if entry.file is not None})
    files = [_read_named(snapshot, named, its) for snapshot, its in zip(snapshots, jobs, strict=True)]
    further = sorted({path for its in files for path in its} - set(named))
    files = [{**its, **_read_files(snapshot, further)} for snapshot, its in zip(snapshots, files, strict=True)]
    twice = {path for its, known in zip(files, jobs, strict=True) for path in _job_files_among(its, known)}
    return tuple(
        Contents(depfile, known, {path: text for path, text in its.items() if path not in twice})
        for depfile, known, its in zip(depfiles, jobs, files, strict=True)
    )


def compare(old: Contents, new: Contents, *, prune: bool) -> tuple[Difference, ...]:
    """Say what makes the old contents into the new ones.

    A file that only the old side has is kept, unless it is to be pruned or would be a second file of a job that the new side has.

    Returns:
        The files that differ: the dependency file, job files by path, other files by path.
    """
    name = old.depfile.path if old.depfile else ""
    ours = {name: old.depfile} if old.depfile else {}
    theirs, cause = _in_syntax_of(old.depfile, new.depfile)
    return (
        *(replace(one, cause=cause) for one in _compare("depfile", ours, {name: theirs} if theirs else {}, prune=prune)),
        *_compare("job", old.jobs, new.jobs, prune=prune),
        *_compare("file", old.files, new.files, prune=prune),
    )


def make_changes(differences: Sequence[Difference]) -> Changes:
    """Return what to write."""
    written = [one for one in differences if one.change != "keep"]
    data = {(one.kind, one.path): one.new.data if one.new else None for one in written}
    return Changes(
        depfile=next((content for (kind, _), content in data.items() if kind == "depfile"), None),
        jobs={path: content for (kind, path), content in data.items() if kind == "job"},
        files={path: content for (kind, path), content in data.items() if kind == "file"},
    )


def _in_syntax_of(old: Text | None, new: Text | None) -> tuple[Text | None, str]:
    """Return a dependency file as it can be read under the name of the one that it replaces, and what was done for that.

    JSON and YAML that say the same are one.
    """
    if old is None or new is None or _is_json(old) == _is_json(new):
        return new, ""
    was, value = (read(text.path, text.data) for text in (old, new))
    if value.value is not None and was.value == value.value:
        return old, ""
    if not _is_json(old) or value.value is None or not read(old.path, new.data).faults:
        return new, ""  # JSON is YAML too
    written = json.dumps(value.value, indent=2, ensure_ascii=False) + "\n"
    return Text(new.path, written.encode()), f"{posixpath.basename(new.path)} as JSON, without its comments"


def _is_json(text: Text) -> bool:
    return text.path.lower().endswith(".json")


def _read_depfile(snapshot: Snapshot) -> Text | None:
    try:
        return snapshot.depfile()
    except StoreFileMissing:
        return None


def _declaration(text: Text) -> Declaration | None:
    """Return what a dependency file says; of a faulty one what can be read."""
    try:
        return depfile.parse(text.path, text.data, title="")
    except DeclarationError as error:
        return error.partial if isinstance(error.partial, Declaration) else None


def _job_names(declaration: Declaration) -> Iterator[str]:
    for name, entry in declaration.entries.items():
        yield name
        yield from (edge.job for edge in (*entry.pre, *entry.post))


def _is_job_file(path: str, known_jobs: Collection[str]) -> bool:
    return path.endswith(_SURELY_JOBS) or job_name(path) in known_jobs


def _read_named(snapshot: Snapshot, paths: Sequence[str], jobs: Mapping[str, Text]) -> dict[str, Text]:
    """Read the files of versions, those that the dependency file names, and what they and the job files name in their templates."""
    found = _read_files(snapshot, [*VERSION_FILES, *paths])
    known = {*VERSION_FILES, *paths}
    todo = [*jobs.values(), *found.values()]
    while todo:
        named = sorted({path for text in todo for path in _named_in(text.data)} - known)
        known.update(named)
        new = _read_files(snapshot, named)
        found |= new
        todo = list(new.values())
    return found


def _read_files(snapshot: Snapshot, paths: Iterable[str]) -> dict[str, Text]:
    found = {}
    for path in paths:
        with suppress(StoreFileMissing):  # whoever needs it is told when the jobs are checked
            found[path] = snapshot.read(path)
    return found


def _named_in(data: bytes) -> Iterator[str]:
    """Yield the files that a template names, as far as it does so in words and not by a value."""
    for found in _NAMED.finditer(data.decode(errors="replace")):
        path = found[1] or found[2]
        if not path.startswith("/") and ".." not in path.split("/"):  # else no store reads it, as whoever renders it is told
            yield path


def _job_files_among(files: Mapping[str, Text], jobs: Mapping[str, Text]) -> Iterator[str]:
    """Yield the paths from the root that lead to a file below the jobs path, which is carried over as that."""
    known = {text.path for text in jobs.values()}
    yield from (path for path, text in files.items() if text.path in known)


def _compare(kind: Kind, old: Mapping[str, Text], new: Mapping[str, Text], *, prune: bool) -> Iterator[Difference]:
    successors = {job_name(path): path for path in sorted(new)} if kind == "job" else {}
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        successor = successors.get(job_name(path))
        if after is not None and before is None:
            yield Difference(kind, path, "add", None, after)
        elif after is not None and before is not None:
            if after.data != before.data:
                yield Difference(kind, path, "change", before, after)
        elif successor is not None:
            yield Difference(kind, path, "remove", before, None, f"{successor} takes its place")
        else:
            yield Difference(kind, path, "remove" if prune else "keep", before, None)

"""Artifact versions of jobs: what is declared, what runs, and how to change it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli import versions_lock, versions_promote
from dtree.cli.complete import complete_jobs
from dtree.cli.invocation import Invocation
from dtree.cli.options import NOMAD_PANEL, Command, Output
from dtree.errors import EXIT_OK, GoalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dtree.record import StatusRow
    from dtree.versions import Versions
    from dtree.views.versions_text import ListedVersion

Declared = Annotated[bool, typer.Option("--declared", help="Only what is declared, without asking Nomad what runs.")]
OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Job of the dependency file.", autocompletion=complete_jobs)]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="As it stands, or a source such as git:short.")]


def list_versions(invocation: Invocation, *, declared: Declared = False, output: Output = "text") -> int:
    """List for each job the version that is declared, where, and the one that runs."""
    from dtree.sources import read
    from dtree.versions import Versions
    from dtree.views.json_forms import versions_json
    from dtree.views.versions_text import versions_text

    with invocation.snapshot() as snapshot:
        sources = read(snapshot, store=invocation.store_name)
        versions = Versions(sources, invocation.inputs)
        running = {} if declared else _running(invocation, versions)
        rows = tuple(_rows(versions, running))
    invocation.print(versions_json(rows) if output == "json" else versions_text(rows, invocation.look(), asked=not declared))
    return EXIT_OK


def set_version(invocation: Invocation, *, job: OneJob, version: Version, output: Output = "text") -> int:
    """Set the version of a job in the file of versions: --versions-file, or that of the store, which is made where there is none.

    All else in the file stays as it is, comments too.
    """
    from dtree.cli.version_targets import find_target, tell_written
    from dtree.sources import read
    from dtree.version_text import BadVersion, parse_version
    from dtree.views.versions_text import VersionChange, changes_text

    try:
        parse_version(version)
    except BadVersion as error:
        raise UsageError(f"VERSION: {error.problem}", hint=error.hint) from error
    with invocation.snapshot() as snapshot:
        sources = read(snapshot, store=invocation.store_name, asked=(job,))
        if job not in sources.graph.entries:
            raise GoalError(job, sorted(sources.graph.entries), depfile=sources.declaration.file)
        target = find_target(invocation, snapshot)
        changes = (VersionChange(job, str(target.versions.get(job, "")), version),)
        data = target.edited({job: version})
        if output == "text":
            invocation.print(changes_text(changes, target.shown, invocation.look()))
        written = target.write(data)
    tell_written(invocation, changes, target, written, json=output == "json", beside=invocation)
    return EXIT_OK


def _running(invocation: Invocation, versions: Versions) -> dict[str, StatusRow]:
    from dtree import pipeline

    sources, inputs = versions.sources, versions.inputs
    names = tuple(sources.graph.entries)
    rows = pipeline.status(sources, invocation.cluster, names, namespace=invocation.namespace, inputs=inputs, versions=versions)
    return {row.job: row for row in rows}


def _rows(versions: Versions, running: dict[str, StatusRow]) -> Iterator[ListedVersion]:
    from dtree.render import Unanswered
    from dtree.versions import Versions
    from dtree.views.versions_text import ListedVersion

    unlocked = Versions(versions.sources, replace(versions.inputs, locked=False)) if versions.inputs.locked else None
    for one in filter(None, (versions, unlocked)):
        one.read_files(one.declared)
    for job in sorted(versions.sources.graph.entries):
        declared, row = versions.declared.get(job), running.get(job)
        version, trouble = "", ""
        if versions.has(job):
            try:
                version = versions.of(job)
            except Unanswered as error:
                trouble = error.problem
        pending = _pending(unlocked, job, version) if unlocked and not trouble else None
        yield ListedVersion(job, declared, version, trouble, row, pending=pending)


def _pending(unlocked: Versions, job: str, locked: str) -> str | None:
    """Return the version that a job would have if it were locked now, "" for none; None where that is the one that is locked."""
    from dtree.render import Unanswered

    try:
        now = unlocked.of(job) if unlocked.has(job) else ""
    except Unanswered:  # `versions lock` tells why
        return None
    return now if now != locked else None


COMMANDS: Final = {
    "list": Command(list_versions, {"Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True),
    "set": Command(set_version, {"Versions": (config.VERSIONS_FILE,), NOMAD_PANEL: config.NOMAD}, uses_store=True),
    "lock": versions_lock.COMMAND,
    "promote": versions_promote.COMMAND,
}

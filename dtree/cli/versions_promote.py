"""`nomad-dtree versions promote`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.complete import complete_environments
from dtree.cli.invocation import Invocation
from dtree.cli.options import RESERVED, Command, Output
from dtree.cli.push import Yes
from dtree.cli.surroundings import look_around
from dtree.errors import EXIT_ERROR, EXIT_OK, UsageError, did_you_mean

if TYPE_CHECKING:
    from dtree.cli.version_targets import Target
    from dtree.sources import Sources
    from dtree.store import Snapshot

Only = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Jobs whose versions are carried over. Default: all.")]
From = Annotated[
    str,
    typer.Option("--from", metavar="ENV", help=f"Environment of {config.FILE_NAME} to read from.", autocompletion=complete_environments),
]
To = Annotated[str, typer.Option("--to", metavar="ENV", help="Environment to write to.", autocompletion=complete_environments)]

_SETTINGS: Final = (config.STORE, config.ENVIRONMENT, *config.TEMPLATES, config.REQUIRE_CLEAN, *config.NOMAD)


def promote(
    invocation: Invocation,
    *,
    jobs: Only = None,
    source: From,
    target: To,
    yes: Yes = False,
    output: Output = "text",
) -> int:
    """Carry the versions of one environment over to another: what is declared there, resolved, into the other one's file of versions.

    Shows what would change, and asks. Jobs that only the other environment has keep their versions.
    """
    from dtree.cli.version_targets import find_target, tell_written
    from dtree.views.versions_text import VersionChange, changes_text

    _refuse_unasked(yes=yes, json=output == "json")
    with _opened(invocation, source) as (reading, snapshot), _opened(invocation, target) as (writing, other):
        versions = _versions(reading, snapshot, jobs or ())
        there = find_target(writing, other)
        _refuse_same(reading, snapshot, there, source, target)
        before = there.versions
        changes = tuple(VersionChange(job, str(before.get(job, "")), version) for job, version in versions.items())
        pending = [change for change in changes if change.differs]
        data = there.edited({change.job: change.new for change in pending})
        if output == "text":
            invocation.print(changes_text(changes, there.shown, invocation.look()))
        if pending and not yes and not _agreed(len(pending), there.shown):
            sys.stderr.write("nothing was written\n")
            return EXIT_ERROR
        written = there.write(data)
    tell_written(invocation, changes, there, written, json=output == "json", beside=writing)
    return EXIT_OK


def _refuse_unasked(*, yes: bool, json: bool) -> None:
    if yes:
        return
    if json:
        raise UsageError("with --output json nobody is asked", hint="give --yes")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask on", hint="give --yes")


@contextmanager
def _opened(invocation: Invocation, environment: str) -> Iterator[tuple[Invocation, Snapshot]]:
    """Open the store of an environment. Effects: reads nomad-dtree.toml and the store."""
    around = look_around(("--env", environment), invocation.environ, reserved=RESERVED)
    around = replace(around, secrets=invocation.surroundings.secrets)
    inner = Invocation(around, invocation.signals, _SETTINGS, {})
    with inner.snapshot() as snapshot:
        yield inner, snapshot


def _versions(invocation: Invocation, snapshot: Snapshot, jobs: Collection[str]) -> dict[str, str]:
    """Return the versions of an environment, resolved. Effects: reads its store, and what the versions are read from."""
    from dtree.sources import read
    from dtree.versions import Versions

    sources = read(snapshot, store=invocation.store_name)
    versions = Versions(sources, invocation.inputs)
    chosen = _chosen(sources, jobs, versions.declared)
    resolved = versions.resolved(chosen)
    if versions.inputs.require_clean:
        versions.refuse_dirty(chosen)
    return resolved


def _chosen(sources: Sources, jobs: Collection[str], declared: Collection[str]) -> list[str]:
    for job in jobs:
        if job not in declared:
            why = "has no version" if job in sources.graph.entries else "is no job"
            raise UsageError(f"'{job}' {why} in the environment to read from", hint=did_you_mean(job, sorted(declared)))
    return sorted(jobs or declared)


def _refuse_same(reading: Invocation, snapshot: Snapshot, there: Target, source: str, target: str) -> None:
    """Refuse environments that keep their versions in one file."""
    from dtree.cli.version_targets import Target, name_in

    file = reading.setting("versions_file")
    here = Target("", "", b"", file, None) if file is not None else Target(name_in(snapshot), "", b"", None, snapshot)
    if source == target or here.identity == there.identity:
        raise UsageError(
            f"the environments '{source}' and '{target}' keep their versions in one place: {there.shown}",
            hint=f"give each a file of its own: `versions-file` in [env.{source}] and [env.{target}] of {config.FILE_NAME}",
        )


def _agreed(number: int, where: str) -> bool:
    """Ask on the terminal. Effects: that."""
    from dtree.views.text import clean, count, write

    write(sys.stderr, f"Write {count(number, 'version')} to {clean(where)}? [y/N] ")
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("y", "yes")


COMMAND: Final = Command(promote, {})

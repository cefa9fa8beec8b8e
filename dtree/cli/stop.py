"""`nomad-dtree stop`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.execution import Showing, execute, preview
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, JobsToStop, Output, Quiet, Selector, SkipInStop, Verbose, WithDependents
from dtree.cli.part import part_of

Deep = Annotated[bool, typer.Option("--deep", help="Also all that these jobs need, unless something else that runs needs it.")]
Purge = Annotated[bool, typer.Option("--purge", help="Remove the jobs from Nomad once their allocations have ended.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, in order, and why; change nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Also jobs that something else that runs depends on.")]


def stop(  # noqa: PLR0913 - one per option
    invocation: Invocation,
    *,
    jobs: JobsToStop = None,
    job: Job = None,
    everything: All = False,
    selector: Selector = None,
    with_dependents: WithDependents = False,
    skip: SkipInStop = None,
    deep: Deep = False,
    purge: Purge = False,
    force: Force = False,
    dry_run: DryRun = False,
    output: Output = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Stop jobs and their post jobs, in reverse order, waiting until each has ended before what it needs is stopped; run their hooks."""
    from dtree.pipeline import Limits
    from dtree.plan import Intent

    part = part_of(
        jobs,
        job,
        verb="stop",
        everything=everything,
        selectors=selector,
        skip=skip,
        with_dependents=with_dependents,
    )

    def intent(goals: tuple[str, ...]) -> Intent:
        return Intent("stop", goals, deep=deep, purge=purge, force=force, **part.options)

    showing = Showing(json=output == "json", quiet=quiet, verbose=verbose)
    if dry_run:
        return preview(invocation, part, intent, showing)
    limits = Limits(
        parallelism=invocation.setting("parallelism"),
        placement_timeout_s=invocation.setting("placement_timeout"),
        fail_fast=invocation.setting("fail_fast"),
    )
    return execute(invocation, part, intent, limits, showing)


COMMAND: Final = Command(
    stop, {"Stop": config.STOP, "Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True, has_exit_codes=True
)

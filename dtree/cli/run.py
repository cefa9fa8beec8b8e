"""`nomad-dtree run`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.execution import Showing, execute
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs, Only, Output, Quiet, Selector, Skip, Verbose, WithDependents
from dtree.cli.part import part_of

Force = Annotated[bool, typer.Option("--force", help="Also what is unchanged: run failed or completed jobs again, evaluate the others.")]


def run(  # noqa: PLR0913 - one per option
    invocation: Invocation,
    *,
    jobs: Jobs = None,
    job: Job = None,
    everything: All = False,
    selector: Selector = None,
    only: Only = False,
    with_dependents: WithDependents = False,
    skip: Skip = None,
    force: Force = False,
    output: Output = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Run jobs and all that they need, in order, each as soon as what it needs is ready."""
    from dtree.pipeline import Limits
    from dtree.plan import Intent

    part = part_of(
        jobs,
        job,
        verb="run",
        everything=everything,
        selectors=selector,
        skip=skip,
        only=only,
        with_dependents=with_dependents,
    )
    wait_ready = invocation.setting("wait") == "ready"

    def intent(goals: tuple[str, ...]) -> Intent:
        return Intent("run", goals, wait_ready=wait_ready, force=force, **part.options)

    limits = Limits(
        parallelism=invocation.setting("parallelism"),
        placement_timeout_s=invocation.setting("placement_timeout"),
        promotion_timeout_s=invocation.setting("promotion_timeout"),
        fail_fast=invocation.setting("fail_fast"),
    )
    showing = Showing(json=output == "json", quiet=quiet, verbose=verbose)
    return execute(invocation, part, intent, limits, showing, check_artifacts=invocation.setting("check_artifacts"))


COMMAND: Final = Command(
    run, {"Run": config.RUN, "Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True, has_exit_codes=True
)

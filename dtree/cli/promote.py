"""`nomad-dtree promote`."""

from __future__ import annotations

from typing import Final

from dtree import config
from dtree.cli.execution import Showing, execute
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, JobsToPromote, Output, Quiet, Verbose
from dtree.cli.part import part_of


def promote(
    invocation: Invocation,
    *,
    jobs: JobsToPromote = None,
    job: Job = None,
    everything: All = False,
    output: Output = "text",
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Promote the healthy canaries of jobs, and wait until their new versions are ready as a whole; with --all, of all that have some."""
    from dtree.pipeline import Limits
    from dtree.plan import Intent

    part = part_of(jobs, job, verb="promote", everything=everything)

    def intent(goals: tuple[str, ...]) -> Intent:
        return Intent("promote", goals, wait_ready=True, everything=everything)

    limits = Limits(
        parallelism=invocation.setting("parallelism"),
        placement_timeout_s=invocation.setting("placement_timeout"),
        fail_fast=invocation.setting("fail_fast"),
    )
    return execute(invocation, part, intent, limits, Showing(json=output == "json", quiet=quiet, verbose=verbose))


COMMAND: Final = Command(
    promote, {"Promote": config.PROMOTE, "Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True, has_exit_codes=True
)

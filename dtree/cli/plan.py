"""`nomad-dtree plan`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation, asked_for
from dtree.cli.options import All, Command, Job, Jobs, Output
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_OK

Force = Annotated[bool, typer.Option("--force", help="Plan `run --force`.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 where a run would change something.")]

_UNCHANGED: Final = ("noop", "keep", "absent")


def plan(
    invocation: Invocation,
    *,
    jobs: Jobs = None,
    job: Job = None,
    everything: All = False,
    force: Force = False,
    output: Output = "text",
    detailed_exitcode: Detailed = False,
) -> int:
    """Show what a run would do, in order, and why. Changes nothing."""
    from dtree import pipeline
    from dtree.plan import Intent
    from dtree.views.json_forms import plan_json
    from dtree.views.plan_text import plan_text

    asked = asked_for(jobs, job, everything=everything, verb="plan")
    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name, asked=asked)
        goals = pipeline.goals(sources, asked, everything=everything)
        intent = Intent("run", goals, wait_ready=invocation.setting("wait") == "ready", force=force)
        made = pipeline.prepare(sources, invocation.cluster, intent, namespace=invocation.namespace)
    invocation.print(plan_json(made) if output == "json" else plan_text(made, invocation.look()))
    pending = any(step.change not in _UNCHANGED for step in made.steps)
    return EXIT_CHANGES_PENDING if detailed_exitcode and pending else EXIT_OK


COMMAND: Final = Command(plan, {"Run": (config.WAIT,), "Nomad": config.NOMAD}, uses_store=True, has_exit_codes=True)

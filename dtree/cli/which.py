"""`nomad-dtree which`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.complete import complete_jobs
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output
from dtree.errors import EXIT_OK, NotFound

OneJob = Annotated[str, typer.Argument(metavar="JOB", help="Job of the dependency file.", autocompletion=complete_jobs)]


def which(invocation: Invocation, *, job: OneJob, output: Output = "text") -> int:
    """Say in one line which version of a job runs, and where it came from."""
    from dtree import pipeline
    from dtree.views.json_forms import which_json
    from dtree.views.which_text import remark_lines, which_text

    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name, asked=(job,))
        (name,) = pipeline.goals(sources, (job,), everything=False)
        row = pipeline.which(sources, invocation.cluster, name, namespace=invocation.namespace, inputs=invocation.inputs)
    if row.version is None:
        again = _how_to_run_again(name, sources.graph.entries[name].run) if row.reason else ""
        hint = again or f"`nomad-dtree run --job {name}` runs it; check --namespace"
        raise NotFound(f"job '{name}' is not in Nomad: {row.reason or 'no version of it runs'}", hint=hint, code="job-not-in-nomad")
    invocation.print(which_json(row) if output == "json" else "\n".join([which_text(row), *remark_lines([row], invocation.look())]))
    return EXIT_OK


def _how_to_run_again(name: str, policy: str | None) -> str:
    if policy == "once":
        return f"it is run only once: `nomad-dtree stop {name} --purge` forgets that, and the next run runs it again"
    return f"`nomad-dtree run {name} --force` runs it again"


COMMAND: Final = Command(which, {"Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True)

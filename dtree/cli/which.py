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
        hint = f"`nomad-dtree run --job {name}` runs it; check --namespace"
        raise NotFound(f"job '{name}' is not in Nomad: no version of it runs", hint=hint, code="job-not-in-nomad")
    invocation.print(which_json(row) if output == "json" else "\n".join([which_text(row), *remark_lines([row], invocation.look())]))
    return EXIT_OK


COMMAND: Final = Command(which, {"Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True)

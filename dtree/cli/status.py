"""`nomad-dtree status`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs, Output

if TYPE_CHECKING:
    from dtree.record import StatusRow

Watch = Annotated[bool, typer.Option("--watch", help="Show it again whenever it changes, until Ctrl-C.")]


def status(
    invocation: Invocation,
    *,
    jobs: Jobs = None,
    job: Job = None,
    everything: All = False,
    watch: Watch = False,
    output: Output = "text",
) -> int:
    """Show how jobs and all that they need do on Nomad, with their addresses; without names, all jobs."""
    from dtree import pipeline
    from dtree.cli.watching import Watched
    from dtree.cli.watching import watch as watch_on
    from dtree.views.json_forms import status_json
    from dtree.views.status_text import status_picture, status_text

    cluster = invocation.cluster
    names = (*(jobs or ()), *(job or ()))
    json = output == "json"
    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name, asked=names)
        goals = pipeline.goals(sources, names, everything=everything or not names)

        def look() -> tuple[StatusRow, ...]:
            inputs = replace(invocation.inputs, answer=invocation.answerer())  # which keep what was refused, too
            rows = pipeline.status(sources, cluster, goals, namespace=invocation.namespace, inputs=inputs)
            return invocation.surroundings.secrets.hide_in(rows)

        rows = look()
        if watch:
            watched = Watched(look, invocation.clock.pause, status_text, lambda seen: status_json(seen, line=True), status_picture)
            watch_on(invocation, rows, watched, json=json)
        invocation.print(status_json(rows) if json else status_text(rows, invocation.look()))
    return 0


COMMAND: Final = Command(status, {"Templates": config.TEMPLATES, "Nomad": config.NOMAD}, uses_store=True)

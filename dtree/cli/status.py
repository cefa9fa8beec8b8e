"""`nomad-dtree status`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs, Output

if TYPE_CHECKING:
    from dtree.record import StatusRow

Watch = Annotated[bool, typer.Option("--watch", help="Show it again whenever it changes, until Ctrl-C.")]

_BETWEEN_LOOKS_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


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

    cluster = invocation.cluster
    names = (*(jobs or ()), *(job or ()))
    before: tuple[StatusRow, ...] | None = None
    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name)
        goals = pipeline.goals(sources, names, everything=everything or not names)
        while True:
            rows = pipeline.status(sources, cluster, goals, namespace=invocation.namespace)
            if rows != before:
                _show(invocation, rows, json=output == "json", again=watch)
            if not watch:
                return 0
            before = rows
            invocation.clock.pause(_BETWEEN_LOOKS_S)


def _show(invocation: Invocation, rows: tuple[StatusRow, ...], *, json: bool, again: bool) -> None:
    from dtree.views.json_forms import status_json
    from dtree.views.status_text import status_text
    from dtree.views.style import is_terminal

    if json:
        invocation.print(status_json(rows))
        return
    clear = _CLEAR if again and is_terminal(sys.stdout, invocation.environ) else ""
    invocation.print(clear + status_text(rows, invocation.look()))


COMMAND: Final = Command(status, {"Nomad": config.NOMAD}, uses_store=True)

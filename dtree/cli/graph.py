"""`nomad-dtree graph`."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs

Format = Annotated[Literal["tree", "dot", "mermaid", "json"], typer.Option("--format", help="How to draw it.")]


def graph(invocation: Invocation, *, jobs: Jobs = None, job: Job = None, everything: All = False, form: Format = "tree") -> int:
    """Draw which job waits for which; without names, of all jobs. Needs no Nomad."""
    from dtree import sources
    from dtree.graph import select
    from dtree.views.graph_text import graph_text

    names = (*(jobs or ()), *(job or ()))
    with invocation.snapshot() as snapshot:
        held = sources.read(snapshot, store=invocation.store_name, asked=names)
    goals = sources.goals(held, names, everything=everything or not names)
    invocation.print(graph_text(held.graph, select(held.graph, goals), form, goals=goals, look=invocation.look()))
    return 0


COMMAND: Final = Command(graph, {"Nomad (for stores that live there)": config.NOMAD}, uses_store=True)

"""`nomad-dtree demo`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree.cli.invocation import Invocation
from dtree.cli.options import Command

Keep = Annotated[bool, typer.Option("--keep", help="Leave the agent up and print its address, until Ctrl-C.")]
NomadProgram = Annotated[str | None, typer.Option("--nomad", metavar="PATH", help="Nomad program to use; else one is found or built.")]


def demo(_invocation: Invocation, *, keep: Keep = False, nomad: NomadProgram = None) -> int:
    """Run four jobs in order on a throw-away Nomad of its own, show them, stop them, and leave nothing behind."""
    from dtree.demo.demo import run_demo

    return run_demo(keep=keep, nomad=nomad)


COMMAND: Final = Command(demo, {})

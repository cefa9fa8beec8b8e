"""`nomad-dtree status`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs, Output
from dtree.errors import Unavailable, Unreachable
from dtree.views.text import write

if TYPE_CHECKING:
    from dtree.record import StatusRow

Watch = Annotated[bool, typer.Option("--watch", help="Show it again whenever it changes, until Ctrl-C.")]

_BETWEEN_LOOKS_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"


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
    json = output == "json"
    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name, asked=names)
        goals = pipeline.goals(sources, names, everything=everything or not names)

        def look() -> tuple[StatusRow, ...]:
            return pipeline.status(sources, cluster, goals, namespace=invocation.namespace)

        rows = look()
        if watch:
            _watch(invocation, rows, look, json=json)
        else:
            _print(invocation, rows, json=json)
    return 0


def _watch(invocation: Invocation, rows: tuple[StatusRow, ...], look: Callable[[], tuple[StatusRow, ...]], *, json: bool) -> None:
    """Show the rows, and again whenever they change; while Nomad is away the last ones stay. Only Ctrl-C ends it."""
    from dtree.views.style import is_terminal

    screen = is_terminal(sys.stdout, invocation.environ) and not json
    if screen:
        invocation.print(_CLEAR)
    before: object = None
    shown: tuple[StatusRow, ...] | None = None
    told = trouble = ""
    while True:
        now = (rows, trouble, shutil.get_terminal_size())
        if screen and now != before:
            _draw(invocation, rows, trouble)
        elif not screen and rows != shown:
            _print(invocation, rows, json=json, again=True)
        if not screen and trouble not in ("", told):
            write(sys.stderr, trouble + "\n")
        before, shown, told = now, rows, trouble
        invocation.clock.pause(_BETWEEN_LOOKS_S)
        try:
            rows, trouble = look(), ""
        except (Unreachable, Unavailable) as error:
            trouble = f"no contact with Nomad: {error.problem}; trying again"


def _draw(invocation: Invocation, rows: tuple[StatusRow, ...], note: str) -> None:
    """Write over what the screen shows, line by line: clearing it first would push every picture into the scrollback."""
    from dtree.views.status_text import status_picture

    size = shutil.get_terminal_size()
    lines = status_picture(rows, width=size.columns, height=size.lines, look=invocation.look(), note=note)
    invocation.print(_HOME + f"{_REST_OF_LINE}\n".join(lines) + _REST_OF_SCREEN)


def _print(invocation: Invocation, rows: tuple[StatusRow, ...], *, json: bool, again: bool = False) -> None:
    from dtree.views.json_forms import status_json
    from dtree.views.status_text import status_text

    invocation.print(status_json(rows, line=again) if json else status_text(rows, invocation.look()))


COMMAND: Final = Command(status, {"Nomad": config.NOMAD}, uses_store=True)

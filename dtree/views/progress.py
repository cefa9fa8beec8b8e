"""Chooses how a run is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self, TextIO

from dtree.events import Event
from dtree.views.json_forms import JsonLines
from dtree.views.lines import Lines
from dtree.views.style import is_terminal, look_at


class View(Protocol):
    """Shows a run: called with each event, within its own context, which leaves the terminal as it was."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End, also where the run broke off without its last event."""

    def __call__(self, event: Event) -> None:
        """Show the event."""


def progress(
    stream: TextIO,
    *,
    quiet: bool,
    verbose: bool,
    json: bool,
    environ: Mapping[str, str],
    now: Callable[[], float],
) -> View:
    """Return the view that suits the stream: JSON lines if asked for, the live tree on a terminal, else plain lines.

    On a terminal that cannot move its cursor (TERM=dumb), and with `quiet` or `verbose`, which ask for another amount of text than the
    tree shows, it is lines too.

    Args:
        stream: where the view writes, from then on its own.
        quiet: only failures and the summary.
        verbose: every event.
        json: one JSON object per line.
        environ: TERM, NO_COLOR, LINES, COLUMNS are read from it.
        now: Unix seconds, for the elapsed times of the live tree.
    """
    if json:
        return JsonLines(stream)
    look = look_at(stream, environ)
    if is_terminal(stream, environ) and not quiet and not verbose:
        from dtree.views.live import Live  # imports rich, which a pipe has no use for

        return Live(stream, now=now, look=look, environ=environ)
    return Lines(stream, "quiet" if quiet else "verbose" if verbose else "normal", look=look)

"""What `run` and `stop` share: from the goals to the exit code, with the events shown on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dtree.cli.invocation import Invocation

if TYPE_CHECKING:
    from dtree.events import Event
    from dtree.pipeline import Limits
    from dtree.plan import Intent


@dataclass(frozen=True, slots=True)
class Showing:
    """How a run is shown."""

    json: bool
    quiet: bool
    verbose: bool


def execute(
    invocation: Invocation, asked: tuple[str, ...], intent: Callable[[tuple[str, ...]], Intent], limits: Limits, showing: Showing
) -> int:
    """Plan and carry out.

    Args:
        asked: names of jobs, () for all of the file.
        intent: makes the intent once the goals are known.

    Returns:
        The exit code.

    Effects: changes Nomad; writes events to stdout (JSON) or stderr.
    """
    from dtree import pipeline
    from dtree.views.progress import progress

    clock = invocation.clock
    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name)
        goals = pipeline.goals(sources, asked, everything=not asked)
        cluster = invocation.cluster
        plan = pipeline.prepare(sources, cluster, intent(goals), namespace=invocation.namespace)
    stream = sys.stdout if showing.json else sys.stderr
    view = progress(stream, quiet=showing.quiet, verbose=showing.verbose, json=showing.json, environ=invocation.environ, now=clock.unix_s)
    with view:
        record = pipeline.carry_out(plan, cluster, clock, _unbroken(view), limits=limits, interrupts=invocation.signals.subscribe)
    return record.exit_code or 0


def _unbroken(emit: Callable[[Event], None]) -> Callable[[Event], None]:
    """Go on without output once its reader has gone: a closed pipe must not break a run off half-way."""
    gone = False

    def emit_if_read(event: Event) -> None:
        nonlocal gone
        if gone:
            return
        try:
            emit(event)
        except OSError:
            gone = True

    return emit_if_read

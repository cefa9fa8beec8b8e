"""What `run` and `stop` share: from the goals to the exit code, with the events shown on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TextIO

from dtree.cli import failure
from dtree.cli.invocation import Invocation
from dtree.cli.part import Part
from dtree.errors import EXIT_JOB_FAILED, EXIT_OK

if TYPE_CHECKING:
    from dtree.events import Event
    from dtree.pipeline import Limits
    from dtree.plan import Intent, Plan


class Showing(NamedTuple):
    """How a run is shown."""

    json: bool
    quiet: bool
    verbose: bool


def execute(
    invocation: Invocation,
    part: Part,
    intent: Callable[[tuple[str, ...]], Intent],
    limits: Limits,
    showing: Showing,
    *,
    check_artifacts: bool = False,
) -> int:
    """Plan and carry out.

    Args:
        part: what is asked for.
        intent: makes the intent once the goals are known.
        check_artifacts: begin nothing where something is missing that the jobs will fetch.

    Returns:
        The exit code.

    Effects: changes Nomad; writes events to stdout (JSON) or stderr.
    """
    from dtree import pipeline
    from dtree.views.progress import progress

    clock, cluster = invocation.clock, invocation.cluster
    plan = _prepare(invocation, part, intent)
    if check_artifacts:
        _check_artifacts(invocation, plan, showing)
    stream = sys.stdout if showing.json else sys.stderr
    view = progress(stream, quiet=showing.quiet, verbose=showing.verbose, json=showing.json, environ=invocation.environ, now=clock.unix_s)
    secrets = invocation.surroundings.secrets
    listener = _Listener(lambda event: view(secrets.hide_in(event)))
    record = None
    try:
        with view:
            record = pipeline.carry_out(plan, cluster, clock, listener, limits=limits, interrupts=invocation.signals.subscribe)
    except OSError as error:  # the view's own last words
        if record is None:
            raise
        listener.trouble = error
    return (record.exit_code or 0) if listener.trouble is None else _tell_lost(listener.trouble, stream, record.exit_code or 0)


def preview(invocation: Invocation, part: Part, intent: Callable[[tuple[str, ...]], Intent], showing: Showing) -> int:
    """Plan, and show the plan instead of carrying it out. Effects: writes to stdout."""
    from dtree.views.json_forms import plan_json
    from dtree.views.plan_text import plan_text

    plan, address = _prepare(invocation, part, intent), invocation.cluster.address
    if showing.json:
        invocation.print(plan_json(plan, address=address))
    else:
        files = showing.verbose or invocation.has_layers
        invocation.print(plan_text(plan, invocation.look(), files=files, verbose=showing.verbose, address=address))
    return EXIT_OK


def _prepare(invocation: Invocation, part: Part, intent: Callable[[tuple[str, ...]], Intent]) -> Plan:
    """Plan what an intent takes. Effects: reads the store, files and Nomad."""
    from dtree import pipeline

    with invocation.snapshot() as snapshot:
        sources = pipeline.read(snapshot, store=invocation.store_name, asked=part.names)
        goals, cluster = part.goals(sources), invocation.cluster
        return pipeline.prepare(sources, cluster, intent(goals), namespace=invocation.namespace, inputs=invocation.inputs)


def _check_artifacts(invocation: Invocation, plan: Plan, showing: Showing) -> None:
    """Ask for what the jobs will fetch, and tell. Raises DeclarationError where something is missing."""
    from dtree import artifacts
    from dtree.views.artifacts_text import artifacts_text
    from dtree.views.json_forms import artifacts_json
    from dtree.views.style import look_at
    from dtree.views.text import write

    clock = invocation.clock
    checked = artifacts.check(plan, now_s=clock.now_s, pause=clock.pause)
    artifacts.refuse_missing(checked)
    if showing.json:
        invocation.print(artifacts_json(checked, time_s=clock.unix_s()))
    elif not showing.quiet:
        text = artifacts_text(checked, look_at(sys.stderr, invocation.environ))
        write(sys.stderr, invocation.surroundings.secrets.hide(text) + "\n")


class _Listener:
    """Passes events on until its reader has gone or its disk is full: that must not break a run off half-way.

    Attributes:
        trouble: why events were lost; None while none were.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self.trouble: OSError | None = None

    def __call__(self, event: Event) -> None:
        if self.trouble is not None:
            return
        try:
            self._emit(event)
        except OSError as error:
            self.trouble = error


def _tell_lost(trouble: OSError, stream: TextIO, code: int) -> int:
    """Say, where somebody still hears it, that the run went on unheard; a run that was fine is not told as fine."""
    failure.silence(stream)
    if stream is not sys.stderr:
        sys.stderr.write(f"error[output-failed]: standard output cannot be written: {trouble.strerror}; the run went on without it\n")
    return code or EXIT_JOB_FAILED

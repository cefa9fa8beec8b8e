"""`nomad-dtree plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation, asked_for
from dtree.cli.options import All, Command, Job, Jobs, Output
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_OK, DeclarationError, DtreeError, StoreError, UsageError

if TYPE_CHECKING:
    from dtree.plan import Plan
    from dtree.store import Snapshot

Force = Annotated[bool, typer.Option("--force", help="Plan `run --force`.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 where a run would change something.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again whenever the store or the plan changes, until Ctrl-C.")]
Files = Annotated[bool, typer.Option("--verbose", "-v", help="Show the file of each step.")]


def plan(  # noqa: PLR0913 - each is an option
    invocation: Invocation,
    *,
    jobs: Jobs = None,
    job: Job = None,
    everything: All = False,
    force: Force = False,
    watch: Watch = False,
    verbose: Files = False,
    output: Output = "text",
    detailed_exitcode: Detailed = False,
) -> int:
    """Show what a run would do, in order, and why. Changes nothing."""
    from dtree.views.json_forms import plan_json
    from dtree.views.plan_text import plan_text

    planner = _Planner(invocation, asked_for(jobs, job, everything=everything, verb="plan"), everything=everything, force=force)
    if watch and detailed_exitcode:
        raise UsageError("--watch and --detailed-exitcode exclude each other", hint="leave one of them out: a watch only ends by Ctrl-C")
    try:
        if watch:
            _watch(planner, files=verbose, json=output == "json")
        made = planner.look()
    finally:
        planner.close()
    invocation.print(plan_json(made) if output == "json" else plan_text(made, invocation.look(), files=verbose))
    return EXIT_CHANGES_PENDING if detailed_exitcode and made.pending else EXIT_OK


class _Planner:
    """Makes the plan, again and again: of the same view of the store until that has changed."""

    def __init__(self, invocation: Invocation, asked: tuple[str, ...], *, everything: bool, force: bool) -> None:
        self.invocation = invocation
        self._asked = asked
        self._everything = everything
        self._force = force
        self._snapshot: Snapshot | None = None
        self._failed = False

    def look(self) -> Plan:
        """Read the store, unless that is known, and plan. Effects: reads the store and Nomad."""
        from dtree import pipeline
        from dtree.plan import Intent

        invocation = self.invocation
        self._failed = True
        if self._snapshot is None:
            self._snapshot = invocation.snapshot()
        sources = pipeline.read(self._snapshot, store=invocation.store_name, asked=self._asked)
        goals = pipeline.goals(sources, self._asked, everything=self._everything)
        intent = Intent("run", goals, wait_ready=invocation.setting("wait") == "ready", force=self._force)
        made = pipeline.prepare(sources, invocation.cluster, intent, namespace=invocation.namespace, inputs=invocation.inputs)
        self._failed = False
        return made

    def wait(self, timeout_s: float) -> None:
        """Wait until the store has changed, but no longer than that; the next look then takes a new view of it."""
        try:
            if self._snapshot is None:
                self.invocation.clock.pause(timeout_s)
            # What could not be read may be well again without a change that the store can see.
            elif self._snapshot.wait_for_change(timeout_s) or self._failed:
                self.close()
        except StoreError:
            self.close()  # the next look tells
            self.invocation.clock.pause(timeout_s)

    def close(self) -> None:
        """Let go of the view."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None


def _watch(planner: _Planner, *, files: bool, json: bool) -> None:
    """Show the plan until Ctrl-C. Faults in the files do not keep it from starting: they are there to be mended."""
    from functools import partial

    from dtree.cli.watching import Watched, watch
    from dtree.views.json_forms import plan_json
    from dtree.views.plan_text import plan_picture, plan_text

    watched = Watched(
        planner.look,
        planner.wait,
        text=partial(plan_text, files=files, origin=True),
        json=partial(plan_json, line=True),
        picture=partial(plan_picture, files=files),
        shown_errors=(DtreeError,),
    )
    first: Plan | DtreeError
    try:
        first = planner.look()
    except DeclarationError as error:
        first = error
    watch(planner.invocation, first, watched, json=json)


COMMAND: Final = Command(plan, {"Run": (config.WAIT,), "Nomad": config.NOMAD}, uses_store=True, has_exit_codes=True)

"""`nomad-dtree plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import All, Command, Job, Jobs, Only, Output, Selector, Skip, WithDependents
from dtree.cli.part import Part, part_of
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_OK, DeclarationError, DtreeError, StoreError, UsageError

if TYPE_CHECKING:
    from dtree.artifacts import Answer, Checked, Source
    from dtree.plan import Plan
    from dtree.store import Snapshot
    from dtree.views.style import Look

Force = Annotated[bool, typer.Option("--force", help="Plan `run --force`.")]
Detailed = Annotated[bool, typer.Option("--detailed-exitcode", help="Exit with 2 where a run would change something.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again whenever the store or the plan changes, until Ctrl-C.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the file of each step, as with several stores, and why each job is in or out.")
]


def plan(  # noqa: PLR0913 - each is an option
    invocation: Invocation,
    *,
    jobs: Jobs = None,
    job: Job = None,
    everything: All = False,
    selector: Selector = None,
    only: Only = False,
    with_dependents: WithDependents = False,
    skip: Skip = None,
    force: Force = False,
    watch: Watch = False,
    verbose: Verbose = False,
    output: Output = "text",
    detailed_exitcode: Detailed = False,
) -> int:
    """Show what a run would do, in order, and why. Changes nothing."""
    part = part_of(
        jobs,
        job,
        verb="plan",
        everything=everything,
        selectors=selector,
        skip=skip,
        only=only,
        with_dependents=with_dependents,
    )
    planner = _Planner(invocation, part, force=force)
    if watch and detailed_exitcode:
        raise UsageError("--watch and --detailed-exitcode exclude each other", hint="leave one of them out: a watch only ends by Ctrl-C")
    shown = _Shown(invocation.cluster.address, files=verbose or invocation.has_layers, verbose=verbose)
    try:
        if watch:
            _watch(planner, shown, json=output == "json")
        made = planner.look()
    finally:
        planner.close()
    invocation.print(shown.json(made) if output == "json" else shown.text(made, invocation.look()))
    return EXIT_CHANGES_PENDING if detailed_exitcode and made.plan.pending else EXIT_OK


class _Made(NamedTuple):
    """A plan, and what came of asking for the artifacts of its jobs; None where nobody asked."""

    plan: Plan
    checked: tuple[Checked, ...] | None


class _Planner:
    """Makes the plan, again and again: of the same view of the store until that has changed."""

    def __init__(self, invocation: Invocation, part: Part, *, force: bool) -> None:
        self.invocation = invocation
        self._part = part
        self._force = force
        self._snapshot: Snapshot | None = None
        self._failed = False
        self._answers: tuple[str, dict[Source, Answer]] = "", {}  # those that hold, of which revision

    def look(self) -> _Made:
        """Read the store, unless that is known, and what templates are given, and plan.

        Effects: reads the store, files and Nomad, and asks for artifacts.
        """
        from dtree import pipeline
        from dtree.plan import Intent

        invocation = self.invocation
        self._failed = True
        if self._snapshot is None:
            self._snapshot = invocation.snapshot()
        sources = pipeline.read(self._snapshot, store=invocation.store_name, asked=self._part.names)
        wait_ready = invocation.setting("wait") == "ready"
        intent = Intent("run", self._part.goals(sources), wait_ready=wait_ready, force=self._force, **self._part.options)
        made = pipeline.prepare(sources, invocation.cluster, intent, namespace=invocation.namespace, inputs=invocation.read_inputs())
        checked = self._check(made) if invocation.setting("check_artifacts") else None
        self._failed = False
        return _Made(made, checked)

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

    def _check(self, made: Plan) -> tuple[Checked, ...]:
        from dtree import artifacts

        clock = self.invocation.clock
        revision, answers = self._answers
        known = answers if revision == made.revision else {}
        checked = artifacts.check(made, now_s=clock.now_s, pause=clock.pause, known=known)
        self._answers = made.revision, artifacts.settled(checked)
        artifacts.refuse_missing(checked)
        return checked


class _Shown(NamedTuple):
    """How it is shown: for people, for programs, on a screen.

    Attributes:
        address: of the Nomad that it is for.
        files: with the file of each step.
        verbose: with why each job is in or out.
    """

    address: str
    files: bool
    verbose: bool

    def text(self, made: _Made, look: Look) -> str:
        from dtree.views.artifacts_text import artifacts_text
        from dtree.views.plan_text import plan_text

        planned = plan_text(made.plan, look, files=self.files, verbose=self.verbose, address=self.address)
        return planned if made.checked is None else f"{planned}\n{artifacts_text(made.checked, look)}"

    def json(self, made: _Made, *, line: bool = False) -> str:
        from dtree.views.json_forms import plan_json

        return plan_json(made.plan, address=self.address, checked=made.checked, line=line)

    def picture(self, made: _Made, width: int, height: int, look: Look, note: str = "") -> list[str]:
        from dtree.views.artifacts_text import artifacts_picture
        from dtree.views.plan_text import plan_picture

        checked = artifacts_picture(made.checked or (), width, height // 3, look) if made.checked is not None else []
        return [
            *plan_picture(
                made.plan, width, height - len(checked), look, note, files=self.files, verbose=self.verbose, address=self.address
            ),
            *checked,
        ]


def _watch(planner: _Planner, shown: _Shown, *, json: bool) -> None:
    """Show the plan until Ctrl-C. Faults in the files do not keep it from starting: they are there to be mended."""
    from functools import partial

    from dtree.cli.watching import Watched, watch

    watched = Watched(
        planner.look,
        planner.wait,
        text=shown.text,
        json=partial(shown.json, line=True),
        picture=shown.picture,
        shown_errors=(DtreeError,),
    )
    first: _Made | DtreeError
    try:
        first = planner.look()
    except DeclarationError as error:
        first = error
    watch(planner.invocation, first, watched, json=json)


COMMAND: Final = Command(
    plan,
    {"Run": (config.WAIT, config.CHECK_ARTIFACTS, config.REQUIRE_CLEAN), "Templates": config.TEMPLATES, "Nomad": config.NOMAD},
    uses_store=True,
    has_exit_codes=True,
)

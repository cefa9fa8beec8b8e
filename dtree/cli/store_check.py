"""`nomad-dtree stores check`: a configured store against what every store promises. It only reads."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import NOMAD_PANEL, Command, Output
from dtree.errors import EXIT_ERROR, EXIT_OK, DeclarationError, DtreeError

if TYPE_CHECKING:
    from dtree.clock import SystemClock
    from dtree.store import Snapshot, Store
    from dtree.views.style import Look

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the store, as `stores list` or nomad-dtree.toml has it.")]

_PATIENCE_S: Final = 120.0
"""How long one check may take, with whatever a store holds, before it counts as hanging."""
_TURN_S: Final = 0.5
_STATE_WIDTH: Final = len("not run")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check.

    Attributes:
        check: its name.
        promise: what was checked, as a sentence.
        result: `not run` where one before it left nothing to check.
        reason: why it failed, or was not run.
        hint: one action, where the store names one.
        faults: what is wrong in its files, one line each.
    """

    check: str
    promise: str
    result: Literal["ok", "failed", "not run"] = "ok"
    reason: str = ""
    hint: str = ""
    faults: tuple[str, ...] = ()


def check_store(invocation: Invocation, *, name: Name, output: Output = "text") -> int:
    """Check that a store, with its options as they are set, keeps what every store promises, and that its files are without fault.

    Only reads; exits with 1 where one of it is not so.

    Its options are given as to every command: on the command line, as variables, in nomad-dtree.toml.
    """
    (chosen,) = invocation.surroundings.stores["name"]
    look = invocation.look()
    outcomes: list[Outcome] = []
    for outcome in run_checks(lambda: invocation.store(chosen), invocation.clock):
        outcomes.append(_without_secrets(outcome, invocation))
        if output == "text":
            invocation.print(_line(outcomes[-1], look))
    failed = sum(outcome.result != "ok" for outcome in outcomes)
    if output == "json":
        form = {"schema": 1, "store": name, "passed": not failed, "checks": [asdict(outcome) for outcome in outcomes]}
        invocation.print(json.dumps(form, indent=2))
    else:
        total = len(outcomes)
        invocation.print(f"{name}: {f'{total - failed} of {total} checks passed' if failed else f'all {total} checks passed'}")
    return EXIT_ERROR if failed else EXIT_OK


def run_checks(make: Callable[[], Store], clock: SystemClock, *, patience_s: float = _PATIENCE_S) -> Iterator[Outcome]:
    """Yield what came of each check, as it comes; those after one that hangs, or without a snapshot, are not run.

    Args:
        make: returns the store.
        patience_s: how long one check may take, in seconds.

    Effects: reads the store, in a thread of its own; what it prints is caught.
    """
    from dtree.store_checks import CHECKS

    opened: list[tuple[Store, Snapshot]] = []

    def open_one() -> None:
        store = make()
        opened.append((store, store.snapshot()))

    worker = _Worker(clock, patience_s)
    outcome = worker.do(Outcome("opening", "a snapshot of it can be opened"), open_one)
    yield outcome
    why = "" if opened else "there is no snapshot to check"
    readable = True
    for each in CHECKS:
        why = "one before it hangs" if worker.hangs else why
        expected = Outcome(each.name, each.promise)
        found = replace(expected, result="not run", reason=why) if why else worker.do(expected, partial(each.test, *opened[0]))
        readable = readable and (found.result == "ok" or each.name not in _READING)
        yield found
    why = "one before it hangs" if worker.hangs else why or ("" if readable else "its files cannot be read")
    yield replace(_CONTENTS, result="not run", reason=why) if why else worker.do(_CONTENTS, partial(_check_contents, opened[0][0]))
    if opened and not worker.hangs:
        worker.do(outcome, opened[0][1].close)


_CONTENTS: Final = Outcome("contents", "its dependency file is without fault, and every job has one job file")
_READING: Final = ("dependency-file", "job-list", "job-files")


def _check_contents(store: Store) -> None:
    from dtree.sources import check

    with store.snapshot() as snapshot:
        check(snapshot, store="")


class _Worker:
    """One thread that does what it is told to: a store that hangs shall not take the program with it."""

    def __init__(self, clock: SystemClock, patience_s: float) -> None:
        self._patience_s = patience_s
        self._todo, self._done = clock.inbox(), clock.inbox()
        self.hangs = False
        clock.start(self._labour)

    def do(self, expected: Outcome, act: Callable[[], None]) -> Outcome:
        """Have `act` done; return `expected`, or how it failed."""
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            self._todo.put(act)
            ended = self._answer()
        if ended is None:
            self.hangs = True
            return replace(expected, result="failed", reason=f"it has not ended after {self._patience_s:g} s")
        (error,) = ended
        if error is not None:
            return _failed(expected, error)
        if printed.getvalue():
            return replace(expected, result="failed", reason=f"it prints, which only nomad-dtree does: {_first_line(printed.getvalue())}")
        return expected

    def _answer(self) -> tuple[BaseException | None] | None:
        """Wait, in short turns: a signal that comes in the moment before one begins is heard only after it."""
        turn_s = min(_TURN_S, self._patience_s)
        for _ in range(round(self._patience_s / turn_s)):
            answer: tuple[BaseException | None] | None = self._done.get(turn_s)
            if answer is not None:
                return answer
        return None

    def _labour(self) -> None:
        while True:
            act: Any = self._todo.get(None)
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - whatever a store raises is what is looked for
                self._done.put((error,))
            else:
                self._done.put((None,))


def _failed(expected: Outcome, error: BaseException) -> Outcome:
    from dtree.store_checks import PromiseBroken

    if isinstance(error, PromiseBroken):
        return replace(expected, result="failed", reason=str(error))
    if isinstance(error, DeclarationError):
        faults = tuple(f"{fault.code}: {fault.sentence}" for fault in error.faults)
        return replace(
            expected,
            result="failed",
            reason=error.problem,
            hint="`nomad-dtree validate` with this store tells how to mend each",
            faults=faults,
        )
    if isinstance(error, DtreeError):
        said = "; ".join((error.problem, *error.notes))
        return replace(expected, result="failed", reason=f"{error.error_code}: {said}", hint=error.hint)
    return replace(expected, result="failed", reason=f"it raises {type(error).__name__}, which is no StoreError: {_first_line(str(error))}")


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")


def _without_secrets(outcome: Outcome, invocation: Invocation) -> Outcome:
    from dtree.access.addresses import masked
    from dtree.cli.failure import redact, secrets

    around = invocation.surroundings
    hidden = secrets(around.argv, around.environ, (*config.BUILT_IN, *around.store_settings))

    def safe(text: str) -> str:
        return redact(masked(text), hidden)

    hint = safe(invocation.reworded(outcome.hint))
    return replace(outcome, reason=safe(outcome.reason), hint=hint, faults=tuple(map(safe, outcome.faults)))


def _line(outcome: Outcome, look: Look) -> str:
    from dtree.views.text import clean

    role: Any = {"ok": "good", "failed": "bad"}.get(outcome.result, "dim")
    state = look.paint(outcome.result.ljust(_STATE_WIDTH), role)
    more = [clean(outcome.reason)] if outcome.result == "failed" else []  # why others were not run stands above them
    more += map(clean, outcome.faults)
    more += [f"hint: {clean(outcome.hint)}"] if outcome.hint else []
    return "\n".join([f"{state}  {outcome.promise}", *(f"{' ' * _STATE_WIDTH}  {line}" for line in more)])


COMMAND: Final = Command(check_store, {NOMAD_PANEL: config.NOMAD}, store_arguments=("name",))

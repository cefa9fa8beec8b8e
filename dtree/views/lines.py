"""A run as plain lines, one per event with the time of day: for logs, pipes, CI and terminals that cannot do more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from types import TracebackType
from typing import Literal, Self, TextIO

from dtree.events import (
    Event,
    PlannedStep,
    RollbackContinued,
    RollbackFinished,
    RollbackPlanned,
    RollbackStarted,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepNotReturned,
    StepPostponed,
    StepPromoted,
    StepReached,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.plan import UNCHANGED
from dtree.record import Recorder, StepRecord
from dtree.returns import ReturnEvent
from dtree.views.rollback_text import run_line, tell
from dtree.views.style import PLAIN, Look, Role
from dtree.views.summary import summary_text
from dtree.views.text import cells, clean, duration, write
from dtree.views.words import address_lines, head_line, identity, state_role, state_word

Verbosity = Literal["quiet", "normal", "verbose"]


class Lines:
    """Write a run as lines, and its summary at the end.

    Quiet shows failures and the summary; verbose adds what was registered and the steps that change nothing.

    Args:
        stream: where to write.
        verbosity: how much.
        look: colours and marks.
        zone: time zone of the time stamps; None: the machine's.

    Effects: writes to the stream and flushes after every line.
    """

    def __init__(self, stream: TextIO, verbosity: Verbosity = "normal", *, look: Look = PLAIN, zone: tzinfo | None = None) -> None:
        self._stream = stream
        self._verbosity = verbosity
        self._look = look
        self._zone = zone
        self._recorder: Recorder | None = None
        self._verb = ""
        self._name_width = 0
        self._written = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._recorder is not None:
            self._summarize(self._recorder)  # the run ended without its last event: what is known is said all the same

    def __call__(self, event: Event) -> None:
        """Write the event's line, if this verbosity shows it."""
        if isinstance(event, RunStarted):
            self._recorder, self._verb = Recorder(), event.verb
            self._name_width = max((cells(_named(step)) for step in event.steps), default=0)
        if self._recorder is None:
            return
        self._recorder(event)
        if isinstance(event, RunFinished):
            self._summarize(self._recorder)
        elif self._shows(event, self._recorder.steps):
            self._written = True
            write(self._stream, self._line(event, self._recorder.steps) + "\n")

    def _shows(self, event: Event, steps: Mapping[str, StepRecord]) -> bool:
        match self._verbosity, event:
            case "verbose", _:
                return True
            case "quiet", StepFailed() | RunInterrupted() | RollbackStarted() | RollbackContinued() | StepNotReturned():
                return True
            case "quiet", _:
                return False
            case _, StepRegistered():
                return False
            case _, StepStarted(job=job):
                return steps[job].planned.change not in UNCHANGED
            case _:
                return True

    def _line(self, event: Event, steps: Mapping[str, StepRecord]) -> str:
        stamp = self._look.paint(f"{datetime.fromtimestamp(event.time_s, self._zone or _local(event.time_s)):%H:%M:%S}", "dim")
        match event:
            case RunStarted():
                return f"{stamp} {self._head(event)}"
            case RunInterrupted(signal=signal):
                told = "nothing more is begun; once more to leave at once"
                return f"{stamp} {self._look.paint(f'interrupted by {clean(signal)}:', 'bad')} {told}"
            case RunWarned(problem=problem):
                return f"{stamp} {self._look.paint('warning:', 'busy')} {clean(problem)}"
            case RunFinished():
                return stamp
            case RollbackStarted() | RollbackPlanned() | RollbackContinued() | RollbackFinished():
                return f"{stamp} {run_line(event, self._look)}"
            case _:
                step = steps[event.job]
                word, role, told = tell(event) if isinstance(event, ReturnEvent) else _tell(event, step, self._verb)
                name = _named(step.planned)
                padding = " " * max(self._name_width - cells(name), 0)
                return f"{stamp} {name}{padding}  {self._look.paint(word, role)}" + (f": {told}" if told else "")

    def _head(self, event: RunStarted) -> str:
        day = datetime.fromtimestamp(event.time_s, self._zone or _local(event.time_s))
        return f"{head_line(event.verb, event, event.address)}, {day:%Y-%m-%d %z}"

    def _summarize(self, recorder: Recorder) -> None:
        self._recorder = None
        gap = "\n" if self._written else ""
        write(self._stream, f"{gap}{summary_text(recorder.record(), self._look)}\n")


def _tell(event: Event, step: StepRecord, verb: str) -> tuple[str, Role, str]:
    """Say what happened to a step: the word, its colour and the explanation."""
    word, role, told = state_word(step, verb), state_role(step), ""
    match event:
        case StepStarted(attempt=attempt):
            told = clean(step.planned.cause) if attempt == 1 else f"attempt {attempt}"
        case StepRegistered(version=version, changed=changed, warnings=warnings, children=children):
            word, role = ("registered" if changed else "unchanged") if version is not None else "accepted", ""
            parts = (
                f"version {version}" if version is not None else "",
                f"children {', '.join(map(clean, children))}" if children else "",
                f"warnings: {clean(warnings)}" if warnings else "",
            )
            told = ", ".join(filter(None, parts))
        case StepReady(reason=reason, addresses=addresses):
            word, told = word + _achieved(step), "; ".join(filter(None, (clean(reason), *address_lines(addresses))))
        case StepReached(condition=condition, reason=reason):
            told = clean(reason) if reason != condition else ""
            word, role = f"reached {clean(condition)}", "good"
        case StepPromoted(version=version):
            word, role, told = "promoted", "good", f"version {version}"
        case StepRetrying(attempt=attempt, attempts=attempts, reason=reason):
            word, role, told = f"attempt {attempt} of {attempts} failed", "bad", clean(reason)
        case StepFailed(reason=reason):
            word, told = word + _time(" after", step), clean(reason)
        case StepLost(because=because):
            told = f"because of {clean(because)}" if because else "the run was broken off"
        case StepWaiting(reason=reason) | StepPostponed(reason=reason) | StepKept(reason=reason):
            told = clean(reason)
        case _:
            pass  # the run's own events have lines of their own
    return word, role, told


def _named(step: PlannedStep) -> str:
    return identity(step.job, step.id, step.namespace, step.region)


def _achieved(step: StepRecord) -> str:
    """Say how long it took; where there was nothing to do, that it did not take anything."""
    if step.registered or step.planned.change not in ("noop", "absent"):
        return _time(" in", step)
    return ", unchanged" if step.planned.change == "noop" else ""


def _time(word: str, step: StepRecord) -> str:
    """Say how long the step took, where it was begun at all."""
    return f"{word} {duration(step.ended_s - step.started_s)}" if step.started_s is not None and step.ended_s is not None else ""


def _local(time_s: float) -> tzinfo | None:
    """Return the machine's time zone as it is at that time, summer time included."""
    return datetime.fromtimestamp(time_s, UTC).astimezone().tzinfo

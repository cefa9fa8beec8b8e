"""A rollback in words: its lines as it goes on, and at the end what was returned, what stays, and what is left to be done by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dtree.events import (
    RollbackContinued,
    RollbackFinished,
    RollbackPlanned,
    RollbackStarted,
    StepNotReturned,
    StepReturned,
    StepReturning,
)
from dtree.record import RunRecord
from dtree.returns import Return, ReturnEvent
from dtree.views.style import Look, Role
from dtree.views.text import clean, count, duration
from dtree.views.words import identity

RunEvent = RollbackStarted | RollbackPlanned | RollbackContinued | RollbackFinished

GOES_ON = "the rollback goes on; once more to leave at once, and what is not returned stays as it is"


def run_line(event: RunEvent, look: Look) -> str:
    """Tell an event of a rollback as a whole."""
    match event:
        case RollbackStarted(because=because):
            return f"{look.paint('rolling back:', 'bad')} {clean(because)} failed; nothing more is begun, and what is in flight is awaited"
        case RollbackPlanned(steps=()):
            return "nothing to return: this run has changed nothing"
        case RollbackPlanned(steps=steps):
            return f"{count(len(steps), 'job')} that this run changed {'is' if len(steps) == 1 else 'are'} returned"
        case RollbackContinued(signal=signal):
            return f"{look.paint(f'{clean(signal)}:', 'bad')} {GOES_ON}"
        case _:
            complete, elapsed_s = event.complete, event.elapsed_s
            word: tuple[str, Role] = ("complete", "good") if complete else ("incomplete", "bad")
            return f"rollback {look.paint(*word)} after {duration(elapsed_s)}"


def tell(event: ReturnEvent) -> tuple[str, Role, str]:
    """Say what became of a job in a rollback: the word, its colour and the explanation."""
    match event:
        case StepReturning():
            return "returning", "busy", clean(event.reason)
        case StepReturned():
            version = f"version {event.version}" if event.version is not None else ""
            return "returned", "good", "; ".join(filter(None, (version, clean(event.reason))))
        case StepNotReturned():
            return "not returned", "bad", clean(event.reason)
        case _:
            return "stays", "", clean(event.reason)


def returns_text(record: RunRecord, look: Look) -> Iterator[str]:
    """Yield what became of a rollback as one block; nothing where there was none, or nothing to return."""
    returns = record.returns
    if not returns:
        return
    lines = [look.paint(f"Rolled back, because {clean(record.rolled_back_for)} failed:", "strong")]
    for back in returns.values():
        planned, word = back.planned, _word(back)
        role: Role = "bad" if word == "not returned" else ""
        name = identity(planned.job, planned.id, planned.namespace, planned.region)
        lines.append(f"  {look.paint(f'{word:12}', role)}  {name}: {_what(back)}")
        lines.extend(f"      {clean(line)}" for detail in back.details for line in detail.splitlines() if line.strip())
        lines.extend([f"      {look.paint('hint:', 'busy')} {clean(back.hint)}"] if back.hint else [])
        by_hand = planned.by_hand if word == "not returned" else ""
        lines.extend([f"      by hand: {clean(by_hand)}"] if by_hand else [])
    yield "\n".join(lines)


def return_counts(record: RunRecord) -> Iterator[str]:
    """Count what the run changed by what became of it: `2 returned, 1 stays`."""
    words = Counter(_word(back) for back in record.returns.values())
    yield from (f"{words[word]} {word}" for word in ("not returned", "returned", "stays") if words[word])


def _word(back: Return) -> str:
    return back.state if back.state in ("returned", "stays") else "not returned"


def _what(back: Return) -> str:
    """Say what was done about a job, or why nothing was."""
    if back.state == "returned" and back.version is not None:
        return f"{clean(back.planned.cause)}, as version {back.version}"
    return clean(back.reason or back.planned.cause)

"""The end of a run in words: what broke and why, what it cost, what was kept, where an interrupted run stands, and the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from dtree.errors import (
    EXIT_AWAITING_PROMOTION,
    EXIT_INTERRUPTED,
    EXIT_JOB_FAILED,
    EXIT_OK,
    EXIT_ROLLBACK_INCOMPLETE,
    EXIT_ROLLED_BACK,
    EXIT_TIMED_OUT,
)
from dtree.record import RunRecord, StepRecord
from dtree.views.rollback_text import return_counts, returns_text
from dtree.views.style import PLAIN, Look, Role
from dtree.views.text import clean, duration, join_names
from dtree.views.words import FAILURES, TOLERATED, failure_word, identity, not_begun, state_word, verb_of

_OUTCOMES: Final[Mapping[int | None, tuple[str, Role]]] = {
    EXIT_OK: ("Done", "good"),
    EXIT_JOB_FAILED: ("Failed", "bad"),
    EXIT_TIMED_OUT: ("Timed out", "bad"),
    EXIT_AWAITING_PROMOTION: ("Awaiting promotion", "busy"),
    EXIT_INTERRUPTED: ("Interrupted", "bad"),
    EXIT_ROLLED_BACK: ("Rolled back", "bad"),
    EXIT_ROLLBACK_INCOMPLETE: ("Rollback incomplete", "bad"),
    None: ("Broken off", "bad"),
}

_LONGEST_DETAIL: Final = 500  # columns; a log line can be a whole document

_UNDER_WAY: Final = ("acting", "waiting")

_BEGUN: Final = {True: "not yet stopped", False: "not yet ready"}
"""By whether it is a stop."""


def summary_text(record: RunRecord, look: Look = PLAIN) -> str:
    """Write the end of a run; its last line says the outcome, and says "Done" only where the exit code is 0."""
    blocks = [*_failures(record, look), *returns_text(record, look), *_kept(record, look), *_notices(record, look)]
    return "\n\n".join([*blocks, _outcome(record, look)])


def _failures(record: RunRecord, look: Look) -> Iterator[str]:
    for name, step in record.steps.items():
        if step.state != "failed":
            continue
        if _is_taken_back(step):
            yield from _taken_back(record, name, look)
            continue
        told = failure_word(step)
        title = f"{look.mark('failed')} {identity(name, step.planned.id, step.planned.namespace, step.planned.region)} {told}"
        lines = [f"{look.paint(title, 'bad')}{_after(step)}: {clean(step.reason)}"]
        lines.extend([f"    it is a post job of {join_names(step.planned.post_of)}"] if step.planned.post_of else [])
        lines.extend(f"    attempt {number}: {clean(reason)}" for number, reason in enumerate(step.attempts, start=1))
        lines.extend(f"    {look.fit(clean(line), _LONGEST_DETAIL)}" for line in _details(step))
        lines.extend([f"    {look.paint('hint:', 'busy')} {clean(step.hint)}"] if step.hint else [])
        lines.extend(_lost_line(record, name))
        lines.extend(_spared_line(record, name))
        yield "\n".join(line.rstrip() for line in lines)


def _is_taken_back(step: StepRecord) -> bool:
    """Whether it awaited a promotion, and its canaries are gone with a rollback."""
    return step.kind == "awaiting-promotion" and step.back is not None and step.back.state == "returned"


def _taken_back(record: RunRecord, name: str, look: Look) -> Iterator[str]:
    """Say what was not begun because of canaries that nobody can promote any more; nothing where that cost nothing."""
    lost = list(_lost_line(record, name))
    if lost:
        yield "\n".join([f"{clean(name)} {look.paint('awaited promotion', 'busy')} when the run was rolled back", *lost])


def _details(step: StepRecord) -> Iterator[str]:
    """Yield the lines that support a failure, without those that the reason above them ends in."""
    for detail in step.details:
        for line in detail.splitlines() or [""]:
            if not line.strip() or not f": {step.reason}".endswith(f": {line.strip()}"):
                yield line


def _kept(record: RunRecord, look: Look) -> Iterator[str]:
    lines: list[str] = []
    for name, step in record.steps.items():
        if step.state == "kept":
            title = f"{look.mark('kept')} {identity(name, step.planned.id, step.planned.namespace, step.planned.region)} kept"
            lines.append(f"{look.paint(title, 'strong')}: {clean(step.reason)}")
            lines.extend(_lost_line(record, name))
    if lines:
        yield "\n".join(lines)


def _notices(record: RunRecord, look: Look) -> Iterator[str]:
    """Warnings, steps that were given up for no job's sake, and where an interrupted run stands."""
    warned = [
        f"{look.paint('warning:', 'busy')} {clean(name)}: {clean(line)}"
        for name, step in record.steps.items()
        for line in step.warnings.splitlines()
        if line.strip()
    ]
    for warning in record.warnings:
        warned.append(f"{look.paint('warning:', 'busy')} {clean(warning.problem)}")
        warned.extend([f"    {look.paint('hint:', 'busy')} {clean(warning.hint)}"] if warning.hint else [])
    if warned:
        yield "\n".join(warned)
    if record.interrupted:
        yield _standing(record, look)
        return
    stay = [name for name, step in record.steps.items() if step.registered and step.state == "failed"]
    if stay and record.verb == "run" and not record.returns:
        registered = sum(step.registered for step in record.steps.values())
        told = f"1 job was registered by this run: {join_names(stay)}"
        if registered > 1:
            told = f"{registered} jobs were registered by this run, {join_names(stay)} among them"
        yield f"Nothing is undone: {told}"
    if record.verb == "stop":
        yield from _runs_on(record)
    given_up = [name for name, step in record.steps.items() if step.state == "lost" and not step.because]
    if given_up:
        for told, names in _not_begun(record, given_up).items():
            yield f"{told.capitalize()}, because the run was broken off: {join_names(names)}"


def _runs_on(record: RunRecord) -> Iterator[str]:
    """Say of hooks that were waited for in vain that nobody stops them."""
    names = [name for name, step in record.steps.items() if step.kind == "timed-out" and step.registered and verb_of(step, "stop") == "run"]
    for name in names:
        yield f"{clean(name)} was started by this stop and may still run; `nomad-dtree stop {clean(name)}` stops it"


def _lost_line(record: RunRecord, name: str) -> Iterator[str]:
    lost = [other for other, step in record.steps.items() if step.state == "lost" and step.because == name]
    for told, names in _not_begun(record, lost).items():
        yield f"    {told} because of it: {join_names(names)}"


def _not_begun(record: RunRecord, names: Sequence[str]) -> dict[str, list[str]]:
    """Return what became of steps that were never begun, in words -> their names."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(not_begun(verb_of(record.steps[name], record.verb)), []).append(name)
    return found


def _spared_line(record: RunRecord, name: str) -> Iterator[str]:
    """Name those that went on without a job that failed, or without those that were lost because of it."""
    if record.steps[name].kind == "awaiting-promotion":
        return  # who began before that asks for less of it
    missing = {name, *(other for other, step in record.steps.items() if step.state == "lost" and step.because == name)}
    spared = [other for other, step in record.steps.items() if step.started_s is not None and missing & set(step.planned.optional)]
    if spared:
        yield f"    warning: went on without it: {join_names(spared)}"


def _standing(record: RunRecord, look: Look) -> str:
    """Say where everything stands after an interrupt, and how to go on."""
    verbs = {verb_of(step, record.verb) for step in record.steps.values()}
    titles = ("stopped", "not yet stopped", "not stopped") if record.verb == "stop" else ("was ready", "not yet ready", "not started")
    titles = titles if len(verbs) < 2 else ("done", "not yet done", "not begun")  # noqa: PLR2004 - a stop with hooks
    ready = [name for name, step in record.steps.items() if step.state == "ready" and step.planned.change != "absent"]
    begun = [(name, step) for name, step in record.steps.items() if step.state in _UNDER_WAY]
    rest = [name for name, step in record.steps.items() if step.state == "pending" or (step.state == "lost" and not step.because)]
    parts = [
        (titles[0], [join_names(ready)] if ready else []),
        (titles[1], [f"{clean(name)} ({_under_way(step)})" for name, step in begun]),
        (titles[2], [join_names(rest)] if rest else []),
    ]
    width = max(len(title) for title in titles)
    lines = [look.paint(f"Interrupted by {clean(record.interrupted)}; nothing was undone:", "strong")]
    for title, texts in parts:
        lines.extend(f"  {title if not index else '':{width}}  {text}" for index, text in enumerate(texts))
    if record.verb == "promote":
        lines.append("What is promoted stays so; `nomad-dtree status` shows how it goes on.")
    else:
        lines.append(f"Run the same command again to go on; what is {titles[0].removeprefix('was ')} stays as it is.")
    return "\n".join(lines)


def _under_way(step: StepRecord) -> str:
    """Say how far a step had come when the run was interrupted."""
    if step.state == "acting":
        return "its request was under way: Nomad may or may not have accepted it"
    done = "registered" if step.registered else "unchanged"
    told = "stop accepted" if step.version is None else f"version {step.version} {done}"
    return told + (f": {clean(step.reason)}" if step.reason else "")


def _outcome(record: RunRecord, look: Look) -> str:
    word, role = _OUTCOMES.get(record.exit_code, ("Incomplete", "bad"))
    time = f" in {duration(record.elapsed_s)}" if record.exit_code is not None else ""
    changed = "" if record.verb == "stop" else _changed_elsewhere(record)
    return f"{look.paint(f'{word}:', role)} {', '.join(_counts(record)) or 'no jobs'}{changed}{time}"


def _counts(record: RunRecord) -> Iterator[str]:
    """Count the steps by what became of them, the worst first where the run was no success."""
    words: Counter[str] = Counter()
    ready: Counter[str] = Counter()
    shown = (step for step in record.steps.values() if step.back is None or not (step.state == "ready" or _is_taken_back(step)))
    for step in (replace(step, back=None) for step in shown):
        if step.state == "ready":
            ready[state_word(step, record.verb)] += 1
        elif step.state in _UNDER_WAY:
            words[_begun(step, record.verb)] += 1
        else:
            words[not_begun(verb_of(step, record.verb)) if step.state == "pending" else state_word(step, record.verb)] += 1
    failures = (*FAILURES.values(), *(word + TOLERATED for word in FAILURES.values()))
    order = dict.fromkeys([*failures, *_BEGUN.values(), *map(not_begun, (record.verb, "run")), "kept"])
    bad = [f"{words[word]} {word}" for word in order if words[word]]
    changed = {"ready": _changed(record)} if record.verb != "stop" else {}
    good = [f"{number} {word}{changed.get(word, '')}" for word, number in sorted(ready.items(), reverse=True)]
    yield from (*good, *bad) if record.exit_code == EXIT_OK else (*bad, *good)


def _begun(step: StepRecord, verb: str) -> str:
    return _BEGUN[verb_of(step, verb) == "stop"]


def _changed_elsewhere(record: RunRecord) -> str:
    """Count all that were changed, where not only ready ones were; after a rollback by what became of them."""
    if record.returns:
        return f"; {', '.join(return_counts(record))}"
    changed = [step.state for step in record.steps.values() if step.registered]
    return f"; {len(changed)} changed" if any(state != "ready" for state in changed) else ""


def _changed(record: RunRecord) -> str:
    """Count the ready ones by whether they were changed; nothing where others were changed too, `_changed_elsewhere` counts them all."""
    if _changed_elsewhere(record):
        return ""
    ready = [step.registered for step in record.steps.values() if step.state == "ready"]
    changed = sum(ready)
    parts = [f"{number} {word}" for number, word in ((changed, "changed"), (len(ready) - changed, "unchanged")) if number]
    return f" ({', '.join(parts)})"


def _after(step: StepRecord) -> str:
    if step.started_s is None or step.ended_s is None:
        return ""
    return f" after {duration(step.ended_s - step.started_s)}"

"""How far a probe is met: whom it is asked of, what the answers come to, and what is missing. Pure.

A probe counts the allocations that stand for the awaited version, like everything else: whatever an older version answers is not asked for,
and an answer about an allocation that has been replaced since counts no more.
"""

from __future__ import annotations

from typing import Final

from dtree.conditions import EVERYBODY, Answer, Question
from dtree.declaration import HttpProbe, LogProbe, Probe, ServiceProbe, TcpProbe
from dtree.diagnose import clean
from dtree.evidence import group_of
from dtree.sightings import sign
from dtree.tally import Case

_NO_ANSWER: Final = Answer()


def question(case: Case, probe: Probe) -> Question | None:
    """Say what is to be asked now; None where nothing runs yet that could answer.

    One address is asked only once the job has started: before that, somebody else answers there.
    """
    if _is_one_address(probe):
        return Question(probe, tuple(one.id for one in case.allocations)) if case.is_met else None
    # Of a log there is something to read also once its task has ended.
    states = ("running", "complete", "failed") if isinstance(probe, LogProbe) else ("running",)
    asked = [one for one in case.allocations if one.client in states]
    over = frozenset(one.id for one in asked if one.is_over)
    checked = frozenset(one.id for one in asked if (group := group_of(case.snapshot, one)) is not None and group.checked)
    return Question(probe, tuple(one.id for one in asked), over, checked) if asked else None


def met(case: Case, probe: Probe) -> str | None:
    """Say by what the probe is met; None while it is not."""
    if case.is_met and not case.awaited.changed and _was_met(case, probe):
        return "completed, unchanged" if _has_ended(case) else "runs, unchanged"
    good = _answer(case, probe).good
    current = {one.id for one in case.allocations}
    match probe:
        case ServiceProbe(service=service, passing=passing):
            count = len(good & {one.id for one in case.allocations if one.client == "running"})
            return f"{count} {_many(count, 'instance')} of service {service} passing" if count >= passing else None
        case LogProbe():
            return f"a line of task {probe.task} matches {clean(probe.shown)}" if good & current else None
        case _:
            return _met_by_all(case, probe, good)


def hopeless(case: Case, probe: Probe) -> tuple[str, str] | None:
    """Say why the probe can be met no more, as long as the job stays as it is.

    Returns:
        (the reason, a hint); None while it can.
    """
    if _is_one_address(probe) or not case.is_met:
        return None
    if not case.allocations and not _is_wanted(case):
        return f"its count is 0, so that there is nothing to meet: {probe}", "raise its count, or wait for 'started'"
    read = _answer(case, probe).over
    if not _has_ended(case) or (isinstance(probe, LogProbe) and any(one.id not in read for one in case.allocations)):
        return None
    return f"it has completed, and {missing(case, probe, is_over=True)}", "wait for 'completed', or look at what it wrote"


def missing(case: Case, probe: Probe, *, is_over: bool = False) -> str:
    """Say what is missing: "2 of 3 instances of service web passing", or why the first that lacks does."""
    answer = _answer(case, probe)
    said = clean(answer.said)
    match probe:
        case ServiceProbe(service=service, passing=passing):
            count = len(answer.good & {one.id for one in case.allocations})
            so_far = f"{count} of {passing} {_many(passing, 'instance')} of service {service} passing"
            return f"{so_far}; {said}" if said else so_far
        case LogProbe(task=task):
            where = "" if is_over else " yet" if case.awaited.changed else " in what there is of its log"
            return said or f"no line of task {task} matches {clean(probe.shown)}{where}"
        case _:
            return said or f"no answer yet to: {probe}"


def _was_met(case: Case, probe: Probe) -> bool:
    """Whether an unchanged job need not be asked again for what it met when it came up.

    A line may be long gone, so one that was seen then counts; one that was not is looked for, because it may never have come.
    """
    if isinstance(probe, LogProbe):
        return bool(case.allocations) and not case.awaited.renewed and sign(probe) in case.awaited.sighted
    return _has_ended(case) and not _is_one_address(probe)


def _met_by_all(case: Case, probe: HttpProbe | TcpProbe, good: frozenset[str]) -> str | None:
    if not case.is_met:
        return None
    if _is_one_address(probe):
        return str(probe) if {EVERYBODY, *(one.id for one in case.allocations)} <= good else None
    wanted = {one.id for one in case.allocations if one.client == "running"}
    if not wanted:
        return None if _is_wanted(case) else "nothing to run: count is 0"
    return f"{len(wanted)} of {len(wanted)} {_many(len(wanted), 'allocation')}: {probe}" if wanted <= good else None


def _answer(case: Case, probe: Probe) -> Answer:
    return case.answers.get(probe, _NO_ANSWER)


def _is_one_address(probe: Probe) -> bool:
    return bool((isinstance(probe, HttpProbe) and probe.url) or (isinstance(probe, TcpProbe) and probe.target))


def _has_ended(case: Case) -> bool:
    """Whether a batch job has run to its end: nothing of it will answer or write any more."""
    return case.job.is_batch and bool(case.allocations) and all(one.client == "complete" for one in case.allocations)


def _is_wanted(case: Case) -> bool:
    return any(group.count for group in case.job.groups)


def _many(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"

"""Walk a plan: start what may start, wait for one thing to happen, fold it in, repeat. Decides nothing itself.

One loop on the calling thread owns all state. Workers act on Nomad and leave what came of it in the inbox; the watch leaves snapshots
there; `health.judge` says what a snapshot means, `schedule` what may start, `decide.run_again` how to try again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

from dtree import acting, diagnose, probing, promotion, returning, rollback
from dtree.acting import Acted, Checked, Doubted, Explained, JudgedAgain, Outcome, Refused
from dtree.canaries import Canaries
from dtree.conditions import Answer, Question
from dtree.declaration import Probe
from dtree.errors import EXIT_INTERRUPTED, EXIT_ROLLBACK_INCOMPLETE, ClusterError, Denied
from dtree.events import (
    Event,
    PlannedStep,
    RollbackContinued,
    RollbackStarted,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepPromoted,
    StepReached,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.evidence import UNSEEN, Awaited, as_seen
from dtree.health import CHECK_AGAIN_S, Broken, Ready, Verdict, Waiting, is_finished, judge, stopped
from dtree.memory import stamp
from dtree.model import Address, CheckResult, FailureKind, JobRef, JobSnapshot, TaskExit
from dtree.plan import Await, Milestone, Nothing, Plan, Step, Stop
from dtree.ports import Clock, Cluster, Watch
from dtree.probing import Probed
from dtree.record import Recorder, RunRecord, exit_code
from dtree.renewal import portions
from dtree.returns import Returns
from dtree.schedule import Schedule
from dtree.verdicts import all_of, of_child

_LAST_ANSWERS_S: Final = 1.0

Result = TypeVar("Result")

Hear = Callable[[str], int]
"""Told the name of a signal; returns the exit code for the one who does not wait for what comes of it."""

Interrupts = Callable[[Hear], None]
"""Subscribe to signals."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run behaves.

    Attributes:
        parallelism: steps in flight at a time, from the first request until they are ready.
        placement_timeout_s: how long a job may have no eligible node before that is a failure.
        promotion_timeout_s: how long healthy canaries may wait for a person who promotes them.
        fail_fast: start nothing more once a step failed.
    """

    parallelism: int = 10
    placement_timeout_s: float = 15.0
    promotion_timeout_s: float = 300.0
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class _Changed:
    snapshot: JobSnapshot


@dataclass(frozen=True, slots=True)
class _Trouble:
    region: str
    error: ClusterError | None


@dataclass(frozen=True, slots=True)
class _Interrupted:
    signal: str


@dataclass(frozen=True, slots=True)
class _Looked:
    """What Nomad has of the jobs that are to be returned."""

    seen: rollback.Seen


@dataclass(frozen=True, slots=True)
class _Crashed:
    """A bug in a worker, for the loop to raise: a thread that just died would leave it waiting for ever."""

    error: Exception


@dataclass(slots=True)
class _Flight:
    """A step that has started and is neither ready nor broken.

    Attributes:
        ahead: what it has not reached yet, its own condition last.
        left: portions of what runs of it that are still to be renewed; None where that has not begun.
        is_renewing: the next of them is on its way; it is not judged meanwhile.
        children: jobs that are waited for in place of its own: those that were dispatched of it.
        promotable_s: since when its canaries are healthy and wait to be promoted, while nothing else is waited for; None where they do not.
        is_promoting: they are being promoted; it is not judged meanwhile.
        promoted: ID of the deployment that was.
    """

    step: Step
    attempt: int = 1
    awaited: Awaited | None = None
    ahead: tuple[Milestone, ...] = ()
    left: acting.Portions | None = None
    is_renewing: bool = False
    children: Mapping[JobRef, Awaited] = field(default_factory=dict)
    refs: tuple[JobRef, ...] = ()
    snapshots: dict[JobRef, JobSnapshot] = field(default_factory=dict)
    stopped: set[JobRef] = field(default_factory=set)
    since_s: float = 0.0
    unplaceable_s: float | None = None
    next_look_s: float = 0.0
    reason: str = ""
    told: str = ""
    checks: Mapping[str, Sequence[CheckResult]] = field(default_factory=dict)
    checks_due_s: float = 0.0
    answers: dict[Probe, Answer] = field(default_factory=dict)
    asking: set[Probe] = field(default_factory=set)
    asked_s: dict[Probe, float] = field(default_factory=dict)
    promotable_s: float | None = None
    is_promoting: bool = False
    promoted: str = ""
    broken: Broken | None = None
    exits: tuple[TaskExit, ...] = ()

    @property
    def is_judged(self) -> bool:
        """Whether it is waited for, and nothing else is done about it."""
        return bool(self.refs) and self.broken is None and not self.is_renewing and not self.is_promoting

    def waited_s(self, now_s: float) -> float:
        """Return how long it has been waited for, without the time in which canaries wait to be promoted."""
        return (now_s if self.promotable_s is None else self.promotable_s) - self.since_s


def carry_out(
    plan: Plan, cluster: Cluster, clock: Clock, emit: Callable[[Event], None], *, limits: Limits, interrupts: Interrupts
) -> RunRecord:
    """Carry out a plan.

    Args:
        emit: handed every event, on the calling thread.
        interrupts: see `Interrupts`; the first signal breaks the run off, unless it is being rolled back.

    Returns:
        The record of the run, with its exit code.

    Effects: changes Nomad.
    """
    return _Run(plan, cluster, clock, emit, limits).run(interrupts)


class _Run:
    """A run as it unfolds.

    Args:
        is_rollback: it returns what another one changed: no signal breaks it off.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        clock: Clock,
        emit: Callable[[Event], None],
        limits: Limits,
        *,
        is_rollback: bool = False,
    ) -> None:
        self._plan = plan
        self._steps: Mapping[str, Step] = {step.name: step for step in plan.steps}
        self._cluster = cluster
        self._clock = clock
        self._emit_to = emit
        self._limits = limits
        self._inbox = clock.inbox()
        self._token = uuid4().hex
        self._schedule = Schedule(plan)
        self._recorder = Recorder()
        self._flights: dict[str, _Flight] = {}
        self._by_ref: dict[JobRef, str] = {}
        self._ready: dict[str, tuple[acting.Standing, ...]] = {}
        self._halted = acting.Halt()
        self._denied: Denied | None = None
        self._touched = False
        self._warned: set[tuple[str, str]] = set()
        self._trouble: dict[str, ClusterError] = {}
        self._ledger = rollback.Ledger()
        self._is_rollback = is_rollback
        self._returns = False
        self._hear_next: Hear | None = None

    def run(self, interrupts: Interrupts) -> RunRecord:
        started_s = self._clock.now_s()
        interrupts(self._hear)
        self._emit(_opening(self._plan, self._cluster.address, self._clock.unix_s()))
        on_change = lambda snapshot: self._inbox.put(_Changed(snapshot))  # noqa: E731 - two names for two callbacks
        on_trouble = lambda region, error: self._inbox.put(_Trouble(region, error))  # noqa: E731 - as above
        with self._cluster.watch(on_change, on_trouble) as watch:
            self._loop(watch)
            if not self._returns:
                self._judge_at_the_end(watch)
            seen = self._look_back(watch) if self._returns else None
        if seen is not None:
            self._roll_back(seen)
        code = exit_code(self._recorder.record(), touched=self._touched)
        self._emit(RunFinished(self._clock.unix_s(), code, self._clock.now_s() - started_s))
        return self._recorder.record()

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _loop(self, watch: Watch) -> None:
        while not self._halted:
            self._start_what_may()
            if not self._flights:
                return
            item = self._inbox.get(self._until_next_look_s())
            self._handle(item, watch)
            self._look_at_the_clock(watch)
        self._take_last_answers()

    def _start_what_may(self) -> None:
        while self._schedule.has_free and len(self._flights) < self._limits.parallelism:
            step = self._steps[self._schedule.start()]
            if isinstance(step.action, Nothing):
                self._do_nothing(step)
                continue
            self._begin(_Flight(step))

    def _begin(self, flight: _Flight) -> None:
        step = flight.step
        self._flights[step.name] = flight
        self._emit(StepStarted(self._clock.unix_s(), step.name, flight.attempt))
        # What is still on its way to another condition is judged all the time.
        needs = [stand for need in step.needs if need not in step.optional for stand in self._ready.get(need, ())]
        token = f"{self._token}-{flight.attempt}"
        self._work(lambda: acting.act(step, needs, self._cluster, self._halted, token=token))

    def _handle(self, item: object, watch: Watch) -> None:
        match item:
            case _Changed(snapshot=snapshot):
                self._trouble.pop(snapshot.ref.region, None)
                name = self._by_ref.get(snapshot.ref)
                if name is not None and name in self._flights:
                    self._flights[name].snapshots[snapshot.ref] = snapshot
                    self._judge(self._flights[name], watch)
            case Acted() | acting.Renewed() | acting.Promoted() | Refused() | Checked() | Probed() | Doubted() | Explained():
                self._take(item, watch)
            case _Trouble(region=region, error=trouble):
                self._meet_trouble(region, trouble, watch)
            case _Interrupted(signal=signal) if self._returns or self._is_rollback:
                self._emit(RollbackContinued(self._clock.unix_s(), signal))
            case _Interrupted(signal=signal):
                self._halted.set()
                self._emit(RunInterrupted(self._clock.unix_s(), signal))
            case _Crashed(error=error):
                raise error
            case _:
                pass

    def _take(self, item: Outcome | Probed, watch: Watch) -> None:
        flight = self._flights.get(item.job)
        if flight is None:
            return
        match item:
            case Acted():
                self._go_on(flight, item, watch)
            case Refused():
                self._take_refusal(flight, item, watch)
            case acting.Renewed() | acting.Promoted():
                self._take_change(flight, item)
                self._judge(flight, watch)
            case Checked(checks=checks):
                flight.checks = checks
                self._judge(flight, watch)
            case Probed():
                self._take_answer(flight, item, watch)
            case Doubted(first=first, snapshot=snapshot):
                flight.broken = None
                # What the watch reported since then may be newer than the second look, and is not reported again.
                if flight.snapshots.get(snapshot.ref) is first:
                    flight.snapshots[snapshot.ref] = snapshot
                self._judge(flight, watch)
            case Explained(details=details, again=again, upheld=upheld, exits=exits):
                flight.exits = exits
                flight.broken = upheld or flight.broken
                self._settle(flight, details, again, watch)

    def _take_refusal(self, flight: _Flight, refused: Refused, watch: Watch) -> None:
        self._touched = self._touched or refused.touched
        if refused.touched:
            self._ledger.note(flight.step, None)
        if not refused.fallen:
            self._fail(flight, refused.kind, refused.reason, refused.details, refused.hint, watch)
            return
        self._fall(refused.fallen, refused.reason, refused.details)
        self._end(flight, watch)
        self._emit(StepLost(self._clock.unix_s(), flight.step.name, refused.fallen))
        self._lose(flight.step.name, under=refused.fallen)

    def _go_on(self, flight: _Flight, acted: Acted, watch: Watch) -> None:
        self._warn_unnoted(acted)
        if flight.awaited is None and acted.awaited is not None and _changes(acted):
            self._ledger.note(flight.step, acted.awaited)
        if acted.ready is not None:
            if flight.awaited is None and acted.awaited is not None:
                flight.awaited = acted.awaited
                self._emit(_accepted(acted, self._clock.unix_s()))
            self._become_ready(flight, acted.ready, acted.addresses, watch)
        else:
            self._begin_waiting(flight, acted, watch)

    def _begin_waiting(self, flight: _Flight, acted: Acted, watch: Watch) -> None:
        flight.awaited = acted.awaited
        flight.ahead = flight.step.awaited
        flight.left = acted.left
        flight.refs = acted.refs
        flight.children = acted.children
        flight.since_s = self._clock.now_s()
        flight.snapshots.clear()
        if isinstance(flight.step.action, Stop) and flight.step.action.asked:
            flight.stopped.add(flight.step.ref)
        self._emit(_accepted(acted, self._clock.unix_s()))
        if self._denied is not None:
            self._fail(flight, "error", self._denied.problem, self._denied.notes, self._denied.hint, watch)
            return
        for ref in flight.refs:
            self._by_ref[ref] = flight.step.name
            watch.follow(ref)
        flight.next_look_s = _deadline_s(flight)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, flight: _Flight, watch: Watch) -> None:
        if not flight.is_judged or len(flight.snapshots) < len(flight.refs):
            return
        if flight.awaited is not None and flight.awaited.version == UNSEEN:
            flight.awaited = as_seen(flight.snapshots[flight.step.ref], flight.awaited.condition)
        now_s = self._clock.now_s()
        verdicts = [(milestone, self._verdict(flight, milestone, now_s)) for milestone in flight.ahead]
        broken = next(((milestone, verdict) for milestone, verdict in verdicts if isinstance(verdict, Broken)), None)
        if broken is not None:
            self._break(flight, broken[1], broken[0])
            return
        waiting = [(milestone, verdict) for milestone, verdict in verdicts if isinstance(verdict, Waiting)]
        if not waiting and self._renew_next(flight):
            return
        if not waiting:
            self._unfollow(flight, watch)
            self._finish(flight, verdicts[-1][1].reason)
            return
        for milestone, verdict in verdicts:
            if isinstance(verdict, Ready) and (flight.step.renewal == "none" or flight.left == ()):
                self._reach(flight, milestone, verdict.reason)
        self._wait_on(flight, waiting, now_s)

    def _renew_next(self, flight: _Flight) -> bool:
        """Restart or replace the next portion of what runs, if there is one left; all before it are up again."""
        if flight.step.renewal == "none" or flight.awaited is None:
            return False
        awaited = flight.awaited
        left = portions(flight.snapshots[flight.step.ref], awaited) if flight.left is None else flight.left
        if left:
            flight.is_renewing = True
            self._work(lambda: acting.renew(flight.step, awaited, left, self._cluster))
        return bool(left)

    def _take_change(self, flight: _Flight, done: acting.Renewed | acting.Promoted) -> None:
        """Go on from what was changed of a step after its job was registered."""
        if isinstance(done, acting.Renewed):
            flight.awaited, flight.left, flight.is_renewing = done.awaited, done.left, False
            flight.checks, flight.checks_due_s = {}, 0.0
            flight.since_s = self._clock.now_s()
            return
        flight.is_promoting = False
        flight.snapshots[flight.step.ref] = done.snapshot
        self._forget_canaries(flight, self._clock.now_s())
        flight.next_look_s = _deadline_s(flight)
        if done.is_ours:
            self._ledger.note(flight.step, flight.awaited and replace(flight.awaited, changed=False))
            flight.promoted = done.canaries.deployment
            self._emit(StepPromoted(self._clock.unix_s(), flight.step.name, done.canaries.version))

    def _wait_on(self, flight: _Flight, waiting: Sequence[tuple[Milestone, Waiting]], now_s: float) -> None:
        """Say why, and until when: the last of them is the step's own condition, or the one that it waits for longest."""
        last = waiting[-1][1]
        if last.canaries is not None:
            self._await_promotion(flight, last.canaries, waiting[-1][0], now_s)
            return
        self._forget_canaries(flight, now_s)
        since_s = now_s if flight.unplaceable_s is None else flight.unplaceable_s
        flight.unplaceable_s = since_s if any(verdict.unplaceable for _, verdict in waiting) else None
        again_s = [now_s + max(verdict.again_in_s, 0.01) for _, verdict in waiting if verdict.again_in_s is not None]
        flight.next_look_s = min([_deadline_s(flight), *again_s])
        self._say_why(flight, last.reason)
        self._ask_checks(flight, now_s)
        self._ask_others(flight, dict.fromkeys(question for _, verdict in waiting for question in verdict.asks), now_s)
        for milestone, verdict in waiting:
            if flight.waited_s(now_s) >= milestone.timeout_s:
                goal = milestone.condition if flight.awaited is not None else "ended"
                why = f"not {goal} within {milestone.timeout_s:g} s: {self._as_of(flight, verdict.reason)}"
                self._break(flight, _too_late(flight.step, why), milestone)
                return

    def _await_promotion(self, flight: _Flight, canaries: Canaries, milestone: Milestone, now_s: float) -> None:
        """Promote healthy canaries once they are due, or wait so long for a person who does."""
        if canaries.deployment == flight.promoted:  # reported before that was seen
            flight.next_look_s = now_s + CHECK_AGAIN_S
            return
        if flight.promotable_s is None:
            flight.promotable_s = now_s
            # Its deployment is under way, also where this run found it so: what becomes of that is no history.
            flight.awaited = flight.awaited and replace(flight.awaited, changed=True)
        after_s = None if self._returns else flight.step.promotion.after_s
        patience_s = 0.0 if self._returns else self._limits.promotion_timeout_s if after_s is None else after_s
        flight.next_look_s = flight.promotable_s + patience_s
        if now_s < flight.next_look_s:
            self._say_why(flight, promotion.telling(flight.step, canaries))
        elif after_s is None:
            why, hint = promotion.too_late(flight.step, canaries, waited_s=patience_s)
            self._break(flight, Broken("awaiting-promotion", self._as_of(flight, why), hint=hint), milestone)
        else:
            flight.is_promoting = True
            self._work(partial(acting.promote, flight.step, canaries, self._cluster))

    @staticmethod
    def _forget_canaries(flight: _Flight, now_s: float) -> None:
        """Go on counting the time from where it stood: canaries are promoted, or not healthy any more."""
        if flight.promotable_s is not None:
            flight.since_s += now_s - flight.promotable_s
            flight.promotable_s = None

    def _reach(self, flight: _Flight, milestone: Milestone, reason: str) -> None:
        """Free those who wait for no more than this, while the step goes on."""
        flight.ahead = tuple(other for other in flight.ahead if other != milestone)
        self._emit(StepReached(self._clock.unix_s(), flight.step.name, str(milestone.condition), reason))
        self._schedule.reached(flight.step.name, milestone.condition)

    def _verdict(self, flight: _Flight, milestone: Milestone, now_s: float) -> Verdict:
        if flight.awaited is None:
            return _stopped_all(flight)
        if not flight.children:
            return self._verdict_on(flight, flight.step.ref, flight.awaited, milestone, now_s)
        each = {ref: self._verdict_on(flight, ref, awaited, milestone, now_s) for ref, awaited in flight.children.items()}
        return all_of([of_child(ref, verdict) for ref, verdict in each.items()])

    def _verdict_on(self, flight: _Flight, ref: JobRef, awaited: Awaited, milestone: Milestone, now_s: float) -> Verdict:
        unplaceable_s = now_s - flight.unplaceable_s if flight.unplaceable_s is not None else 0.0
        return judge(
            flight.snapshots[ref],
            replace(awaited, condition=milestone.condition),
            waited_s=flight.waited_s(now_s),
            unplaceable_s=unplaceable_s,
            placement_timeout_s=self._limits.placement_timeout_s,
            checks=flight.checks,
            answers=flight.answers,
        )

    def _ask_checks(self, flight: _Flight, now_s: float) -> None:
        """Ask for health checks where they decide or explain; Nomad's lists do not tell of them."""
        if flight.awaited is None or flight.children or now_s < flight.checks_due_s:
            return
        asked = diagnose.check_questions(flight.snapshots[flight.step.ref], flight.awaited)
        if asked:
            flight.checks_due_s = now_s + CHECK_AGAIN_S
            self._work(lambda: acting.read_checks(flight.step.name, flight.step.ref, asked, self._cluster))

    def _ask_others(self, flight: _Flight, asks: Iterable[Question], now_s: float) -> None:
        """Ask what Nomad's lists do not tell, each question again once it is answered and due: soon at first, then more rarely."""
        pause_s = probing.pause_s(now_s - flight.since_s)
        name, ref = flight.step.name, flight.step.ref
        for question in asks:
            probe = question.probe
            due_s = flight.asked_s.get(probe, float("-inf")) + pause_s
            if probe in flight.asking:
                continue
            if now_s < due_s:
                flight.next_look_s = min(flight.next_look_s, due_s)
                continue
            flight.asking.add(probe)
            flight.asked_s[probe] = now_s
            self._work(partial(probing.ask, name, ref, question, flight.answers.get(probe, Answer()), self._cluster))

    def _take_answer(self, flight: _Flight, probed: Probed, watch: Watch) -> None:
        flight.asking.discard(probed.probe)
        flight.answers[probed.probe] = probed.answer
        error = probed.error
        if error is None:
            self._judge(flight, watch)
        elif flight.refs and flight.broken is None:
            self._fail(flight, "error", error.problem, error.notes, error.hint, watch)

    def _look_at_the_clock(self, watch: Watch) -> None:
        now_s = self._clock.now_s()
        for flight in list(self._flights.values()):
            if flight.is_judged and now_s >= flight.next_look_s:
                if len(flight.snapshots) == len(flight.refs):
                    self._judge(flight, watch)
                else:
                    first = min(flight.ahead, key=lambda milestone: milestone.timeout_s)
                    why = f"Nomad could not be asked for {first.timeout_s:g} s: {self._as_of(flight, flight.reason) or 'no answer'}"
                    self._break(flight, Broken("timed-out", why), first)

    def _until_next_look_s(self) -> float | None:
        looks = [flight.next_look_s for flight in self._flights.values() if flight.is_judged]
        return max(min(looks) - self._clock.now_s(), 0.0) if looks else None

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def _finish(self, flight: _Flight, reason: str) -> None:
        """Ask for the addresses, or purge, before the step counts as ready."""
        flight.broken = None
        flight.next_look_s = float("inf")
        flight.refs, refs = (), flight.refs
        snapshot = flight.snapshots.get(flight.step.ref)
        stack = self._plan.stack
        snapshots, at = tuple(flight.snapshots.values()), stamp(self._clock.unix_s())

        def finish() -> Outcome:
            done = acting.finish(flight.step, flight.awaited, refs, snapshot, reason, self._cluster, stack=stack)
            return acting.remember(done, flight.step, snapshots, self._cluster, stack=stack, at=at)

        self._work(finish)

    def _become_ready(self, flight: _Flight, reason: str, addresses: tuple[Address, ...], watch: Watch) -> None:
        name = flight.step.name
        if flight.awaited is not None:
            snapshot = flight.snapshots.get(flight.step.ref)
            good = acting.standing(snapshot, flight.awaited) if snapshot else 0
            stands = (replace(flight.awaited, condition=milestone.condition) for milestone in flight.step.awaited)
            self._ready[name] = tuple(acting.Standing(flight.step, awaited, good) for awaited in stands)
        self._end(flight, watch)
        self._emit(StepReady(self._clock.unix_s(), name, reason, addresses))
        self._schedule.done(name)

    def _break(self, flight: _Flight, broken: Broken, milestone: Milestone) -> None:
        """Ask why, and how to try again, before the step counts as failed."""
        flight.broken = broken
        blamed = broken.child or _slowest(flight) or flight.step.ref
        awaited = flight.children.get(blamed, flight.awaited)
        awaited = awaited and replace(awaited, condition=milestone.condition)
        children = tuple(flight.children)
        again = flight.attempt <= flight.step.retries and broken.kind in ("failed", "timed-out") and flight.awaited is not None
        snapshot = flight.snapshots.get(blamed)
        answers = dict(flight.answers)
        ask = partial(acting.explain, flight.step, awaited, broken, snapshot, self._cluster)
        self._work(partial(ask, again=again, answers=answers, children=children))

    def _settle(self, flight: _Flight, details: tuple[str, ...], again: Step | None, watch: Watch) -> None:
        broken = flight.broken
        if broken is None:
            return
        if again is None or not self._may_retry(flight.step):
            self._fail(flight, broken.kind, broken.reason, details, broken.hint, watch)
            return
        self._unfollow(flight, watch)
        name, attempt = flight.step.name, flight.attempt
        self._emit(StepRetrying(self._clock.unix_s(), name, attempt, flight.step.retries + 1, broken.reason))
        self._begin(_Flight(again, attempt + 1))

    def _may_retry(self, step: Step) -> bool:
        """Not without the watch, not on top of something that fell over meanwhile, and not where all is about to be returned."""
        required = [need for need in step.needs if need not in step.optional]
        return self._denied is None and not self._returns and all(self._recorder.steps[need].state != "failed" for need in required)

    def _fail(self, flight: _Flight, kind: FailureKind, reason: str, details: tuple[str, ...], hint: str, watch: Watch) -> None:
        # The failure is recorded before anything else may start.
        name = flight.step.name
        self._end(flight, watch)
        attempts = self._recorder.steps[name].attempts
        self._emit(StepFailed(self._clock.unix_s(), name, kind, reason, details, hint, flight.exits, attempts))
        self._consider_rollback(name, kind)
        self._lose(name, under=name)

    def _fall(self, name: str, reason: str, details: tuple[str, ...]) -> None:
        """A step that was ready is so no longer."""
        if self._ready.pop(name, None) is not None:
            attempts = self._recorder.steps[name].attempts
            failure = f"was ready and fell over: {reason}"
            self._emit(StepFailed(self._clock.unix_s(), name, "failed", failure, details, "", attempts=attempts))
            self._consider_rollback(name, "failed")
            self._lose(name, under=name)

    def _lose(self, name: str, *, under: str) -> None:
        ends = (self._limits.fail_fast or self._returns) and not self._steps[name].is_tolerated
        lost = self._schedule.break_off() if ends else self._schedule.broke(name)
        for other in lost:
            self._emit(StepLost(self._clock.unix_s(), other, under))

    def _do_nothing(self, step: Step) -> None:
        self._emit(StepStarted(self._clock.unix_s(), step.name, 1))
        if step.change == "keep":
            self._emit(StepKept(self._clock.unix_s(), step.name, step.cause))
        else:
            self._emit(StepReady(self._clock.unix_s(), step.name, step.cause, ()))
        self._schedule.done(step.name)

    def _judge_at_the_end(self, watch: Watch) -> None:
        """Every service of the run once more: what fell over in between is a failure, and so is what cannot be asked any more."""
        stands = [stand for name in self._ready for stand in self._ready[name]]
        self._clock.start(lambda: self._inbox.put(_outcome(lambda: acting.judge_again(stands, self._cluster))))
        while not self._halted:
            item = self._inbox.get(None)
            if isinstance(item, JudgedAgain):
                self._take_last_look(item)
                return
            self._handle(item, watch)

    def _take_last_look(self, look: JudgedAgain) -> None:
        for name, reason, details in look.fallen:
            self._fall(name, reason, details)
        if look.error is None:
            return
        reason = f"was ready, but could not be judged again at the end: {look.error.problem}"
        for name in sorted(name for name, stands in self._ready.items() if any(one.lasts for one in stands)):
            self._emit(StepFailed(self._clock.unix_s(), name, "error", reason, look.error.notes, look.error.hint))

    # -- rollback -----------------------------------------------------------------------------------------------------

    def _consider_rollback(self, name: str, kind: FailureKind) -> None:
        """Begin nothing more; what is in flight is awaited, so that no migration is cut off half-way and it is known what there is."""
        if self._plan.verb != "run" or self._returns or kind == "awaiting-promotion" or self._steps[name].on_failure != "rollback":
            return
        self._returns = True
        self._emit(RollbackStarted(self._clock.unix_s(), name))
        for flight in self._flights.values():
            if flight.promotable_s is not None:  # nobody is to promote them any more
                flight.next_look_s = self._clock.now_s()

    def _look_back(self, watch: Watch) -> rollback.Seen:
        changes = self._ledger.changes
        self._clock.start(lambda: self._inbox.put(_outcome(lambda: _Looked(returning.look(changes, self._cluster)))))
        while not isinstance(item := self._inbox.get(None), _Looked):
            self._handle(item, watch)
        return item.seen

    def _roll_back(self, seen: rollback.Seen) -> None:
        """Return what this run changed, by another run."""
        plan = rollback.make(self._plan, self._ledger.changes, seen)
        limits = replace(self._limits, fail_fast=False)
        _Run(plan, self._cluster, self._clock, Returns(plan, self._emit), limits, is_rollback=True).run(self._hand_over)

    def _hand_over(self, hear: Hear) -> None:
        self._hear_next = hear

    def _hear(self, signal: str) -> int:
        """Leave a note; called from a signal handler."""
        if self._hear_next is not None:
            return self._hear_next(signal)
        self._inbox.put(_Interrupted(signal))
        return EXIT_ROLLBACK_INCOMPLETE if self._returns or self._is_rollback else EXIT_INTERRUPTED

    # -- trouble ------------------------------------------------------------------------------------------------------

    def _meet_trouble(self, region: str, error: ClusterError | None, watch: Watch) -> None:
        self._trouble.pop(region, None)
        if error is not None:
            self._trouble[region] = error
        for flight in list(self._flights.values()):
            if not flight.is_judged or flight.step.ref.region != region:
                continue
            if isinstance(error, Denied):
                self._fail(flight, "error", error.problem, error.notes, error.hint, watch)
            elif error is not None:
                self._say_why(flight, flight.reason)
            else:
                self._judge(flight, watch)
        if isinstance(error, Denied):
            # Nothing can be waited for any more, so nothing more is started.
            self._denied = error
            for name in self._schedule.break_off():
                self._emit(StepLost(self._clock.unix_s(), name, ""))

    def _take_last_answers(self) -> None:
        """After an interrupt: requests already sent are told, if they are answered at once; jobs are not waited for."""
        until_s = self._clock.now_s() + _LAST_ANSWERS_S
        while any(not flight.refs and flight.awaited is None for flight in self._flights.values()):
            item = self._inbox.get(max(until_s - self._clock.now_s(), 0.0))
            if item is None:
                return
            if isinstance(item, Acted):
                self._warn_unnoted(item)
            if isinstance(item, Acted | Refused) and self._flights.pop(item.job, None) is not None:
                self._emit(_last_word(item, self._clock.unix_s()))

    # -- small things -------------------------------------------------------------------------------------------------

    def _work(self, job: Callable[[], Outcome | Probed]) -> None:
        self._clock.start(lambda: self._inbox.put(_outcome(job)))

    def _say_why(self, flight: _Flight, reason: str) -> None:
        flight.reason = reason
        told = self._as_of(flight, reason)
        if told != flight.told:
            flight.told = told
            self._emit(StepWaiting(self._clock.unix_s(), flight.step.name, told))

    def _warn_unnoted(self, acted: Acted) -> None:
        """Say once, and not for every job, what could not be noted."""
        if acted.unnoted is not None:
            self._warn("what runs where is not noted in Nomad's Variables", acted.unnoted)
        if acted.forgotten is not None:
            lead = "what has completed is not noted in Nomad's Variables, so that it is run again once Nomad has forgotten it"
            self._warn(lead, acted.forgotten)

    def _warn(self, lead: str, error: ClusterError) -> None:
        problem = f"{lead}: {error.problem}"
        if (problem, error.hint) not in self._warned:
            self._warned.add((problem, error.hint))
            self._emit(RunWarned(self._clock.unix_s(), problem, error.hint))

    def _as_of(self, flight: _Flight, reason: str) -> str:
        """Say that a reason is not today's: there is no contact with Nomad, or with the job's region."""
        region = flight.step.ref.region
        if region not in self._trouble:
            return reason
        whom = f"region '{region}'" if region else "Nomad"
        return f"no contact with {whom}: {self._trouble[region].problem}" + (f"; last seen: {reason}" if reason else "")

    def _unfollow(self, flight: _Flight, watch: Watch) -> None:
        for ref in flight.refs:
            self._by_ref.pop(ref, None)
            watch.drop(ref)

    def _end(self, flight: _Flight, watch: Watch) -> None:
        self._unfollow(flight, watch)
        self._flights.pop(flight.step.name, None)

    def _emit(self, event: Event) -> None:
        self._recorder(event)
        self._emit_to(event)


def _too_late(step: Step, why: str) -> Broken:
    if not isinstance(step.action, Await):
        return Broken("timed-out", why)
    return Broken("timed-out", f"external, {why}", hint="whoever runs it has to bring it up: nothing of it is changed from here")


def _deadline_s(flight: _Flight) -> float:
    """When the first of what a step has ahead is too late."""
    return flight.since_s + min(milestone.timeout_s for milestone in flight.ahead)


def _slowest(flight: _Flight) -> JobRef | None:
    """Return the first of the children that has not completed; None where there is none."""
    return next((ref for ref in flight.children if ref in flight.snapshots and not is_finished(flight.snapshots[ref])), None)


def _outcome(job: Callable[[], Result]) -> Result | _Crashed:
    try:
        return job()
    except Exception as error:  # noqa: BLE001 - the loop raises it where somebody sees it
        return _Crashed(error)


def _last_word(item: Acted | Refused, time_s: float) -> Event:
    match item:
        case Acted(ready=reason) if reason is not None:
            return StepReady(time_s, item.job, reason, item.addresses)
        case Acted():
            return _accepted(item, time_s)
        case Refused(untouched=untouched, fallen=fallen) if untouched or fallen:
            return StepLost(time_s, item.job, fallen)
        case Refused():
            return StepFailed(time_s, item.job, item.kind, item.reason, item.details, item.hint)


def _stopped_all(flight: _Flight) -> Verdict:
    """Judge a stop: the job and its children, each with all allocations ended. Notes which of them were seen stopped."""
    verdicts = [stopped(snapshot, was_stopped=ref in flight.stopped) for ref, snapshot in flight.snapshots.items()]
    flight.stopped.update(ref for ref, snapshot in flight.snapshots.items() if snapshot.job is None or snapshot.job.stopped)
    open_ = [verdict for verdict in verdicts if not isinstance(verdict, Ready)]
    return min(open_, key=lambda verdict: isinstance(verdict, Waiting), default=Ready("all allocations have ended"))


def _changes(acted: Acted) -> bool:
    """Whether something was changed in Nomad beside what is noted there."""
    return acted.awaited is None or acted.awaited.changed or acted.dispatched > 0 or acted.left is not None


def _accepted(acted: Acted, time_s: float) -> StepRegistered:
    if acted.awaited is None:
        return StepRegistered(time_s, acted.job, version=None, changed=True, warnings=acted.warnings)
    changed = _changes(acted)
    children = tuple(ref.id for ref in acted.children)
    version = acted.awaited.version if acted.awaited.version != UNSEEN else None
    return StepRegistered(time_s, acted.job, version, changed, acted.warnings, children)


def _opening(plan: Plan, address: str, time_s: float) -> RunStarted:
    steps = tuple(
        PlannedStep(
            job=step.name,
            id=step.ref.id,
            namespace=step.ref.namespace,
            change=step.change,
            cause=step.cause,
            needs=step.needs,
            condition=str(step.condition),
            file=step.job.file,
            tolerated=step.is_tolerated,
            region=step.ref.region,
            optional=step.optional,
        )
        for step in plan.steps
    )
    return RunStarted(time_s, plan.verb, plan.stack, plan.store, plan.revision, plan.goals, steps, address)

"""Walk a plan: start what may start, wait for one thing to happen, fold it in, repeat. Decides nothing itself.

One loop on the calling thread owns all state. Workers act on Nomad and leave what came of it in the inbox; the watch leaves snapshots
there; `health.judge` says what a snapshot means, `schedule` what may start, `decide.run_again` how to try again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dtree import acting, diagnose
from dtree.acting import Acted, Checked, Doubted, Explained, JudgedAgain, Outcome, Refused
from dtree.errors import ClusterError, Denied
from dtree.events import (
    Event,
    PlannedStep,
    RunFinished,
    RunInterrupted,
    RunStarted,
    RunWarned,
    StepFailed,
    StepKept,
    StepLost,
    StepReady,
    StepRegistered,
    StepRetrying,
    StepStarted,
    StepWaiting,
)
from dtree.evidence import Awaited
from dtree.health import CHECK_AGAIN_S, Broken, Ready, Verdict, Waiting, judge, stopped
from dtree.model import Address, CheckResult, FailureKind, JobRef, JobSnapshot
from dtree.plan import Nothing, Plan, Step, Stop
from dtree.ports import Clock, Cluster, Watch
from dtree.record import Recorder, RunRecord, exit_code
from dtree.schedule import Schedule

_LAST_ANSWERS_S: Final = 1.0

Result = TypeVar("Result")

Interrupts = Callable[[Callable[[str], None]], None]
"""Subscribe to signals: the function handed over is called with a signal's name."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run behaves.

    Attributes:
        parallelism: steps in flight at a time, from the first request until they are ready.
        placement_timeout_s: how long a job may have no eligible node before that is a failure.
        fail_fast: start nothing more once a step failed.
    """

    parallelism: int = 10
    placement_timeout_s: float = 15.0
    fail_fast: bool = False


@dataclass(frozen=True, slots=True)
class _Changed:
    snapshot: JobSnapshot


@dataclass(frozen=True, slots=True)
class _Trouble:
    error: ClusterError | None


@dataclass(frozen=True, slots=True)
class _Interrupted:
    signal: str


@dataclass(frozen=True, slots=True)
class _Crashed:
    """A bug in a worker, for the loop to raise: a thread that just died would leave it waiting for ever."""

    error: Exception


@dataclass(slots=True)
class _Flight:
    """A step that has started and is neither ready nor broken."""

    step: Step
    attempt: int = 1
    awaited: Awaited | None = None
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
    broken: Broken | None = None


def carry_out(
    plan: Plan, cluster: Cluster, clock: Clock, emit: Callable[[Event], None], *, limits: Limits, interrupts: Interrupts
) -> RunRecord:
    """Carry out a plan.

    Args:
        emit: handed every event, on the calling thread.
        interrupts: see `Interrupts`; the first signal breaks the run off.

    Returns:
        The record of the run, with its exit code.

    Effects: changes Nomad.
    """
    return _Run(plan, cluster, clock, emit, limits).run(interrupts)


class _Run:
    def __init__(self, plan: Plan, cluster: Cluster, clock: Clock, emit: Callable[[Event], None], limits: Limits) -> None:
        self._plan = plan
        self._steps: Mapping[str, Step] = {step.name: step for step in plan.steps}
        self._cluster = cluster
        self._clock = clock
        self._emit_to = emit
        self._limits = limits
        self._inbox = clock.inbox()
        self._schedule = Schedule(plan)
        self._recorder = Recorder()
        self._flights: dict[str, _Flight] = {}
        self._by_ref: dict[JobRef, str] = {}
        self._ready: dict[str, acting.Standing] = {}
        self._halted = acting.Halt()
        self._denied: Denied | None = None
        self._touched = False
        self._warned: set[tuple[str, str]] = set()
        self._trouble: ClusterError | None = None

    def run(self, interrupts: Interrupts) -> RunRecord:
        started_s = self._clock.now_s()
        interrupts(lambda signal: self._inbox.put(_Interrupted(signal)))
        self._emit(_opening(self._plan, self._cluster.address, self._clock.unix_s()))
        on_change = lambda snapshot: self._inbox.put(_Changed(snapshot))  # noqa: E731 - two names for two callbacks
        on_trouble = lambda error: self._inbox.put(_Trouble(error))  # noqa: E731 - as above
        with self._cluster.watch(on_change, on_trouble) as watch:
            self._loop(watch)
            self._judge_at_the_end(watch)
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
        needs = [self._ready[need] for need in step.needs if need in self._ready]
        self._work(lambda: acting.act(step, needs, self._cluster, self._halted))

    def _handle(self, item: object, watch: Watch) -> None:
        match item:
            case _Changed(snapshot=snapshot):
                self._trouble = None
                name = self._by_ref.get(snapshot.ref)
                if name is not None and name in self._flights:
                    self._flights[name].snapshots[snapshot.ref] = snapshot
                    self._judge(self._flights[name], watch)
            case Acted() | Refused() | Checked() | Doubted() | Explained():
                self._take(item, watch)
            case _Trouble(error=trouble):
                self._meet_trouble(trouble, watch)
            case _Interrupted(signal=signal):
                self._halted.set()
                self._emit(RunInterrupted(self._clock.unix_s(), signal))
            case _Crashed(error=error):
                raise error
            case _:
                pass

    def _take(self, item: Outcome, watch: Watch) -> None:
        flight = self._flights.get(item.job)
        if flight is None:
            return
        match item:
            case Acted():
                self._go_on(flight, item, watch)
            case Refused(fallen=fallen, kind=kind, reason=reason, details=details, hint=hint, touched=touched):
                self._touched = self._touched or touched
                if fallen:
                    self._fall(fallen, reason, details)
                    self._end(flight, watch)
                    self._emit(StepLost(self._clock.unix_s(), flight.step.name, fallen))
                    self._lose(flight.step.name, under=fallen)
                else:
                    self._fail(flight, kind, reason, details, hint, watch)
            case Checked(checks=checks):
                flight.checks = checks
                self._judge(flight, watch)
            case Doubted(first=first, snapshot=snapshot):
                flight.broken = None
                # What the watch reported since then may be newer than the second look, and is not reported again.
                if flight.snapshots.get(snapshot.ref) is first:
                    flight.snapshots[snapshot.ref] = snapshot
                self._judge(flight, watch)
            case Explained(details=details, again=again, upheld=upheld):
                flight.broken = upheld or flight.broken
                self._settle(flight, details, again, watch)

    def _go_on(self, flight: _Flight, acted: Acted, watch: Watch) -> None:
        if acted.unnoted is not None:
            self._warn(acted.unnoted)
        if acted.ready is not None:
            self._become_ready(flight, acted.ready, acted.addresses, watch)
        else:
            self._begin_waiting(flight, acted, watch)

    def _begin_waiting(self, flight: _Flight, acted: Acted, watch: Watch) -> None:
        flight.awaited = acted.awaited
        flight.refs = acted.refs
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
        flight.next_look_s = flight.since_s + flight.step.timeout_s

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, flight: _Flight, watch: Watch) -> None:
        if not flight.refs or flight.broken is not None or len(flight.snapshots) < len(flight.refs):
            return
        now_s = self._clock.now_s()
        waited_s = now_s - flight.since_s
        verdict = self._verdict(flight, waited_s, now_s)
        match verdict:
            case Ready(reason=reason):
                self._unfollow(flight, watch)
                self._finish(flight, reason)
            case Broken():
                self._break(flight, verdict)
            case Waiting(reason=reason, unplaceable=unplaceable, again_in_s=again_in_s):
                since_s = now_s if flight.unplaceable_s is None else flight.unplaceable_s
                flight.unplaceable_s = since_s if unplaceable else None
                flight.next_look_s = flight.since_s + flight.step.timeout_s
                if again_in_s is not None:
                    flight.next_look_s = min(flight.next_look_s, now_s + max(again_in_s, 0.01))
                self._say_why(flight, reason)
                self._ask_checks(flight, now_s)
                if now_s >= flight.since_s + flight.step.timeout_s:
                    goal = flight.step.condition if flight.awaited is not None else "ended"
                    why = f"not {goal} within {flight.step.timeout_s:g} s: {self._as_of(reason)}"
                    self._break(flight, Broken("timed-out", why))

    def _verdict(self, flight: _Flight, waited_s: float, now_s: float) -> Verdict:
        if flight.awaited is None:
            return _stopped_all(flight)
        unplaceable_s = now_s - flight.unplaceable_s if flight.unplaceable_s is not None else 0.0
        return judge(
            flight.snapshots[flight.step.ref],
            flight.awaited,
            waited_s=waited_s,
            unplaceable_s=unplaceable_s,
            placement_timeout_s=self._limits.placement_timeout_s,
            checks=flight.checks,
        )

    def _ask_checks(self, flight: _Flight, now_s: float) -> None:
        """Ask for health checks where they decide or explain; Nomad's lists do not tell of them."""
        if flight.awaited is None or now_s < flight.checks_due_s:
            return
        asked = diagnose.check_questions(flight.snapshots[flight.step.ref], flight.awaited)
        if asked:
            flight.checks_due_s = now_s + CHECK_AGAIN_S
            self._work(lambda: acting.read_checks(flight.step.name, asked, self._cluster))

    def _look_at_the_clock(self, watch: Watch) -> None:
        now_s = self._clock.now_s()
        for flight in list(self._flights.values()):
            if flight.refs and flight.broken is None and now_s >= flight.next_look_s:
                if len(flight.snapshots) == len(flight.refs):
                    self._judge(flight, watch)
                else:
                    why = f"Nomad could not be asked for {flight.step.timeout_s:g} s: {self._as_of(flight.reason) or 'no answer'}"
                    self._break(flight, Broken("timed-out", why))

    def _until_next_look_s(self) -> float | None:
        looks = [flight.next_look_s for flight in self._flights.values() if flight.refs and flight.broken is None]
        return max(min(looks) - self._clock.now_s(), 0.0) if looks else None

    # -- what comes of it ---------------------------------------------------------------------------------------------

    def _finish(self, flight: _Flight, reason: str) -> None:
        """Ask for the addresses, or purge, before the step counts as ready."""
        flight.broken = None
        flight.next_look_s = float("inf")
        flight.refs, refs = (), flight.refs
        snapshot = flight.snapshots.get(flight.step.ref)
        stack = self._plan.stack
        self._work(lambda: acting.finish(flight.step, flight.awaited, refs, snapshot, reason, self._cluster, stack=stack))

    def _become_ready(self, flight: _Flight, reason: str, addresses: tuple[Address, ...], watch: Watch) -> None:
        name = flight.step.name
        if flight.awaited is not None:
            snapshot = flight.snapshots.get(flight.step.ref)
            self._ready[name] = acting.Standing(flight.step, flight.awaited, acting.standing(snapshot, flight.awaited) if snapshot else 0)
        self._end(flight, watch)
        self._emit(StepReady(self._clock.unix_s(), name, reason, addresses))
        self._schedule.done(name)

    def _break(self, flight: _Flight, broken: Broken) -> None:
        """Ask why, and how to try again, before the step counts as failed."""
        flight.broken = broken
        again = flight.attempt <= flight.step.retries and broken.kind in ("failed", "timed-out") and flight.awaited is not None
        snapshot = flight.snapshots.get(flight.step.ref)
        self._work(lambda: acting.explain(flight.step, flight.awaited, broken, snapshot, self._cluster, again=again))

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
        """Not without the watch, and not on top of something that fell over meanwhile."""
        return self._denied is None and all(self._recorder.steps[need].state != "failed" for need in step.needs)

    def _fail(self, flight: _Flight, kind: FailureKind, reason: str, details: tuple[str, ...], hint: str, watch: Watch) -> None:
        # The failure is recorded before anything else may start.
        name = flight.step.name
        self._end(flight, watch)
        self._emit(StepFailed(self._clock.unix_s(), name, kind, reason, details, hint))
        self._lose(name, under=name)

    def _fall(self, name: str, reason: str, details: tuple[str, ...]) -> None:
        """A step that was ready is so no longer."""
        if self._ready.pop(name, None) is not None:
            self._emit(StepFailed(self._clock.unix_s(), name, "failed", f"was ready and fell over: {reason}", details, ""))
            self._lose(name, under=name)

    def _lose(self, name: str, *, under: str) -> None:
        lost = self._schedule.break_off() if self._limits.fail_fast else self._schedule.broke(name)
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
        stands = list(self._ready.values())
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
        for name in sorted(one.step.name for one in self._ready.values() if one.lasts):
            self._emit(StepFailed(self._clock.unix_s(), name, "error", reason, look.error.notes, look.error.hint))

    # -- trouble ------------------------------------------------------------------------------------------------------

    def _meet_trouble(self, error: ClusterError | None, watch: Watch) -> None:
        self._trouble = error
        for flight in list(self._flights.values()):
            if not flight.refs or flight.broken is not None:
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
            if isinstance(item, Acted) and item.unnoted is not None:
                self._warn(item.unnoted)
            if isinstance(item, Acted | Refused) and self._flights.pop(item.job, None) is not None:
                self._emit(_last_word(item, self._clock.unix_s()))

    # -- small things -------------------------------------------------------------------------------------------------

    def _work(self, job: Callable[[], Outcome]) -> None:
        self._clock.start(lambda: self._inbox.put(_outcome(job)))

    def _say_why(self, flight: _Flight, reason: str) -> None:
        flight.reason = reason
        told = self._as_of(reason)
        if told != flight.told:
            flight.told = told
            self._emit(StepWaiting(self._clock.unix_s(), flight.step.name, told))

    def _warn(self, error: ClusterError) -> None:
        """Say once, and not for every job, that what runs is not noted."""
        problem = f"what runs where is not noted in Nomad's Variables: {error.problem}"
        if (problem, error.hint) not in self._warned:
            self._warned.add((problem, error.hint))
            self._emit(RunWarned(self._clock.unix_s(), problem, error.hint))

    def _as_of(self, reason: str) -> str:
        """Say that a reason is not today's: there is no contact with Nomad."""
        if self._trouble is None:
            return reason
        return f"no contact with Nomad: {self._trouble.problem}" + (f"; last seen: {reason}" if reason else "")

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


def _accepted(acted: Acted, time_s: float) -> StepRegistered:
    if acted.awaited is None:
        return StepRegistered(time_s, acted.job, version=None, changed=True, warnings=acted.warnings)
    return StepRegistered(time_s, acted.job, acted.awaited.version, acted.awaited.changed, acted.warnings)


def _opening(plan: Plan, address: str, time_s: float) -> RunStarted:
    steps = tuple(
        PlannedStep(step.name, step.ref.id, step.ref.namespace, step.change, step.cause, step.needs, str(step.condition), step.job.file)
        for step in plan.steps
    )
    return RunStarted(time_s, plan.verb, plan.stack, plan.store, plan.revision, plan.goals, steps, address)

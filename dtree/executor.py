"""Walk a plan: start what may start, wait for one thing to happen, fold it in, repeat. Decides nothing itself.

One loop on the calling thread owns all state. Workers act on Nomad and leave what came of it in the inbox; the watch leaves snapshots
there; `moves` says what is to be done about a step in flight, `course` what may start and what is lost, `decide.run_again` how to try
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

from dtree import acting, inspection, moves, probing, returning, rollback
from dtree.by_hand import ByHand, all_by_hand
from dtree.course import Course
from dtree.errors import EXIT_INTERRUPTED, EXIT_ROLLBACK_INCOMPLETE, ClusterError, Denied, DtreeError
from dtree.events import Event
from dtree.evidence import UNSEEN, Awaited
from dtree.flight import Flight, Limits, Moment
from dtree.health import Broken
from dtree.memory import remember, remember_break, remember_sightings, stamp
from dtree.model import JobRef, JobSnapshot
from dtree.moves import Ask, Break, Finish, Move, Promote, Reach, ReadChecks, Renew, Tell
from dtree.outcomes import Acted, Checked, Doubted, Explained, Fallen, JudgedAgain, Outcome, Postponed, Promoted, Refused, Renewed
from dtree.plan import Milestone, Plan, Step
from dtree.ports import Clock, Cluster, Watch
from dtree.probing import Probed
from dtree.record import RunRecord
from dtree.returns import Returns

__all__ = ["Hear", "Interrupts", "Limits", "carry_out"]

_LAST_ANSWERS_S: Final = 1.0

Result = TypeVar("Result")

Hear = Callable[[str], int]
"""Told the name of a signal; returns the exit code for the one who does not wait for what comes of it."""

Interrupts = Callable[[Hear], None]
"""Subscribe to signals."""


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
    """What returning takes, and why it could not be noted again of unchanged jobs where they came from."""

    plan: Plan
    by_hand: Mapping[str, ByHand]
    unnoted: ClusterError | None


@dataclass(frozen=True, slots=True)
class _Noted:
    """What became of the children of a job was noted, as far as that can be."""


@dataclass(frozen=True, slots=True)
class _Crashed:
    """A bug in a worker, for the loop to raise: a thread that just died would leave it waiting for ever."""

    error: Exception


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
        self._cluster = cluster
        self._clock = clock
        self._limits = limits
        self._inbox = clock.inbox()
        self._token = uuid4().hex
        self._course = Course(plan, clock.unix_s, emit, fail_fast=limits.fail_fast)
        self._flights: dict[str, Flight] = {}
        self._by_ref: dict[JobRef, str] = {}
        self._halted = acting.Halt()
        self._denied: Denied | None = None
        self._trouble: dict[str, ClusterError] = {}
        self._is_rollback = is_rollback
        self._hear_next: Hear | None = None

    def run(self, interrupts: Interrupts) -> RunRecord:
        started_s = self._clock.now_s()
        interrupts(self._hear)
        self._course.open(self._cluster.address)
        on_change = lambda snapshot: self._inbox.put(_Changed(snapshot))  # noqa: E731 - two names for two callbacks
        on_trouble = lambda region, error: self._inbox.put(_Trouble(region, error))  # noqa: E731 - as above
        with self._cluster.watch(on_change, on_trouble) as watch:
            self._loop(watch)
            if not self._course.returns:
                self._judge_at_the_end(watch)
            looked = self._look_back(watch) if self._course.returns else None
        if looked is not None:
            self._roll_back(looked)
        return self._course.close(self._clock.now_s() - started_s)

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
        while len(self._flights) < self._limits.parallelism and (step := self._course.next_step()) is not None:
            self._begin(Flight(step))

    def _begin(self, flight: Flight) -> None:
        step = flight.step
        self._flights[step.name] = flight
        self._course.started(flight)
        needs = self._course.needed_by(step)
        token = f"{self._token}-{flight.attempt}"
        at = stamp(self._clock.unix_s())
        self._work(lambda: acting.act(step, needs, self._cluster, self._halted, token=token, at=at))

    def _handle(self, item: object, watch: Watch) -> None:
        match item:
            case _Changed(snapshot=snapshot):
                self._trouble.pop(snapshot.ref.region, None)
                flight = self._flights.get(self._by_ref.get(snapshot.ref, ""))
                if flight is not None:
                    flight.snapshots[snapshot.ref] = snapshot
                    self._judge(flight, watch)
            case Acted() | Renewed() | Promoted() | Refused() | Postponed() | Checked() | Probed() | Doubted() | Explained():
                flight = self._flights.get(item.job)
                if flight is not None:
                    self._take(flight, item, watch)
            case _Trouble(region=region, error=trouble):
                self._meet_trouble(region, trouble, watch)
            case _Interrupted(signal=signal) if self._course.returns or self._is_rollback:
                self._course.continued(signal)
            case _Interrupted(signal=signal):
                self._halted.set()
                self._course.interrupted(signal)
            case _Crashed(error=error):
                raise error
            case _:
                pass

    def _look_at_the_clock(self, watch: Watch) -> None:
        now_s = self._clock.now_s()
        for flight in list(self._flights.values()):
            # Where all is about to be returned, nobody is to promote canaries any more.
            if now_s >= flight.next_look_s or (self._course.returns and flight.promotable_s is not None):
                self._judge(flight, watch)

    def _until_next_look_s(self) -> float | None:
        looks = [flight.next_look_s for flight in self._flights.values() if flight.is_judged]
        return max(min(looks) - self._clock.now_s(), 0.0) if looks else None

    # -- what came of a step ------------------------------------------------------------------------------------------

    def _take(self, flight: Flight, item: Outcome | Probed, watch: Watch) -> None:
        match item:
            case Acted():
                self._go_on(flight, item, watch)
            case Refused() | Postponed():
                self._take_refusal(flight, item, watch)
            case Renewed():
                self._course.unnoted_again(item.unnoted)
                flight.go_on_renewed(item, self._clock.now_s())
                self._judge(flight, watch)
            case Promoted():
                self._take_promotion(flight, item)
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

    def _go_on(self, flight: Flight, acted: Acted, watch: Watch) -> None:
        self._course.unnoted(acted)
        if flight.awaited is None and acted.awaited is not None:
            self._course.ledger.accept(flight.step, acted.awaited, changed=acted.changed)
        if acted.ready is None:
            self._begin_waiting(flight, acted, watch)
            return
        if flight.awaited is None and acted.awaited is not None:
            flight.awaited = acted.awaited
            self._course.accepted(acted)
        self._end(flight, watch)
        self._course.ready(flight, acted.ready, acted.addresses)

    def _begin_waiting(self, flight: Flight, acted: Acted, watch: Watch) -> None:
        flight.await_what(acted, self._clock.now_s())
        self._course.accepted(acted)
        if self._denied is not None:
            self._fail(flight, self._denied, watch)
            return
        for ref in flight.refs:
            self._by_ref[ref] = flight.step.name
            watch.follow(ref)

    def _take_refusal(self, flight: Flight, refused: Refused | Postponed, watch: Watch) -> None:
        if isinstance(refused, Postponed):
            self._postpone(flight, refused, watch)
            return
        name = flight.step.name
        if refused.touched:
            self._course.doubted(flight.step)
        self._end(flight, watch)
        if refused.fallen:
            self._course.fell(Fallen(refused.fallen, refused.kind, refused.reason, refused.details, refused.hint))
            self._course.lost(name, under=refused.fallen)
        else:
            self._course.failed(name, refused.kind, refused.reason, refused.details, refused.hint, flight.exits)

    def _postpone(self, flight: Flight, late: Postponed, watch: Watch) -> None:
        """Wait once more for jobs of others' that are on their way, before the step is begun again."""
        self._end(flight, watch)
        for step in self._course.postponed(late):
            if step.name not in self._flights:
                again = self._flights[step.name] = Flight(step)
                self._begin_waiting(again, Acted(step.name, Awaited(UNSEEN, step.condition, changed=False), (step.ref,)), watch)

    def _take_promotion(self, flight: Flight, done: Promoted) -> None:
        flight.go_on_promoted(done.snapshot, self._clock.now_s())
        if done.is_ours:
            self._course.ledger.note(flight.step, flight.awaited and replace(flight.awaited, changed=False))
            flight.promoted = done.canaries.deployment
            self._course.promoted(flight.step.name, done)

    def _take_answer(self, flight: Flight, probed: Probed, watch: Watch) -> None:
        flight.asking.discard(probed.probe)
        flight.answers[probed.probe] = probed.answer
        if probed.error is None:
            self._judge(flight, watch)
        elif flight.refs and flight.broken is None:
            self._fail(flight, probed.error, watch)

    def _settle(self, flight: Flight, details: tuple[str, ...], again: Step | None, watch: Watch) -> None:
        """Try again, or not; without the watch nothing is."""
        broken = flight.broken
        if broken is None:
            return
        if again is None or self._denied is not None or not self._course.may_retry(flight.step):
            self._end(flight, watch)
            self._course.failed(flight.step.name, broken.kind, broken.reason, details, broken.hint, flight.exits)
            return
        self._unfollow(flight, watch)
        self._course.retried(flight, broken.reason)
        self._begin(Flight(again, flight.attempt + 1))

    # -- what is to be done about a step ------------------------------------------------------------------------------

    def _judge(self, flight: Flight, watch: Watch) -> None:
        self._do(flight, moves.next_moves(flight, self._moment()), watch)

    def _moment(self) -> Moment:
        return Moment(self._clock.now_s(), self._limits, self._trouble, returns=self._course.returns)

    def _do(self, flight: Flight, what: Iterable[Move], watch: Watch) -> None:
        step = flight.step
        for move in what:
            match move:
                case Finish(reason=reason):
                    self._unfollow(flight, watch)
                    self._finish(flight, reason)
                case Reach(milestone=milestone, reason=reason, is_met=is_met):
                    (self._course.reached if is_met else self._course.went_without)(step.name, milestone, reason)
                case Renew(awaited=awaited, left=left):
                    self._work(partial(acting.renew, step, awaited, left, self._cluster, known=flight.known))
                case Promote(canaries=canaries):
                    self._work(partial(acting.promote, step, canaries, self._cluster))
                case Tell(reason=reason):
                    self._course.waits(step.name, reason)
                case ReadChecks(allocations=allocations):
                    self._work(partial(inspection.read_checks, step.name, step.ref, allocations, self._cluster))
                case Ask(question=question, before=before):
                    self._work(partial(probing.ask, step.name, step.ref, question, before, self._cluster))
                case Break(broken=broken, milestone=milestone):
                    self._break(flight, broken, milestone)

    def _finish(self, flight: Flight, reason: str) -> None:
        """Ask for the addresses, or purge, before the step counts as ready."""
        flight.next_look_s = float("inf")
        flight.refs, refs = (), flight.refs
        snapshot = flight.snapshots.get(flight.step.ref)
        stack = self._plan.stack
        snapshots, children, at = tuple(flight.snapshots.values()), flight.children, stamp(self._clock.unix_s())
        awaited, signs = flight.awaited, flight.signs

        def finish() -> Outcome:
            done = acting.finish(flight.step, flight.awaited, refs, snapshot, reason, self._cluster, stack=stack)
            if not isinstance(done, Acted):
                return done
            unseen = remember_sightings(flight.step, awaited, signs, self._cluster, stack=stack) if awaited is not None else None
            forgotten = remember(flight.step, snapshots, children, self._cluster, stack=stack, at=at)
            done = replace(done, forgotten=forgotten, unseen=unseen, children=children)
            return acting.miss_parent(done, flight.step, self._cluster) if children else done

        self._work(finish)

    def _break(self, flight: Flight, broken: Broken, milestone: Milestone) -> None:
        """Ask why, and how to try again, before the step counts as failed."""
        flight.broken = broken
        blamed, awaited = flight.blame(broken, milestone)
        again = flight.attempt <= flight.step.retries and broken.kind in ("failed", "timed-out") and flight.awaited is not None
        ask = partial(inspection.explain, flight.step, awaited, broken, flight.snapshots.get(blamed), self._cluster)
        ask = partial(ask, again=again, answers=dict(flight.answers), children=tuple(flight.children))
        note = partial(remember_break, flight.step, flight.refs, flight.children, self._cluster)
        note = partial(note, stack=self._plan.stack, at=stamp(self._clock.unix_s()))

        def explain() -> Outcome:
            found = ask()
            if isinstance(found, Explained):
                note()
            return found

        self._work(explain)

    # -- trouble ------------------------------------------------------------------------------------------------------

    def _meet_trouble(self, region: str, error: ClusterError | None, watch: Watch) -> None:
        if error is None:
            self._trouble.pop(region, None)
        else:
            self._trouble.setdefault(region, error)  # each of the lists tells of it in words of its own: the first ones stay
        for flight in list(self._flights.values()):
            if not flight.is_judged or flight.step.ref.region != region:
                continue
            if isinstance(error, Denied):
                self._fail(flight, error, watch)
            elif error is not None:
                self._do(flight, moves.telling(flight, flight.reason, self._moment()), watch)
            else:
                self._judge(flight, watch)
        if isinstance(error, Denied):
            self._denied = error
            self._course.broken_off()

    def _fail(self, flight: Flight, error: DtreeError, watch: Watch) -> None:
        """Give up a step that cannot be waited for."""
        self._end(flight, watch)
        self._course.failed(flight.step.name, "error", error.problem, error.notes, error.hint, flight.exits)

    def _hear(self, signal: str) -> int:
        """Leave a note; called from a signal handler."""
        if self._hear_next is not None:
            return self._hear_next(signal)
        self._inbox.put(_Interrupted(signal))
        return EXIT_ROLLBACK_INCOMPLETE if self._course.returns or self._is_rollback else EXIT_INTERRUPTED

    # -- the end ------------------------------------------------------------------------------------------------------

    def _take_last_answers(self) -> None:
        """After an interrupt: requests already sent are told, if they are answered at once; jobs are not waited for."""
        until_s = self._clock.now_s() + _LAST_ANSWERS_S
        noting = self._note_children()
        while noting or any(not flight.refs and flight.awaited is None for flight in self._flights.values()):
            item = self._inbox.get(max(until_s - self._clock.now_s(), 0.0))
            if item is None:
                return
            noting -= isinstance(item, _Noted)
            if isinstance(item, Acted):
                self._course.unnoted(item)
            if isinstance(item, Postponed):
                self._flights.pop(item.job, None)
                self._course.postponed(item)
            if isinstance(item, Acted | Refused) and self._flights.pop(item.job, None) is not None:
                self._course.answered_late(item)

    def _note_children(self) -> int:
        """Have noted which children have ended by now, so that none is dispatched again; return of how many jobs."""
        flights = [flight for flight in self._flights.values() if flight.children]
        at = stamp(self._clock.unix_s())

        def note(flight: Flight) -> _Noted:
            remember(flight.step, tuple(flight.snapshots.values()), flight.children, self._cluster, stack=self._plan.stack, at=at)
            return _Noted()

        for flight in flights:
            self._work(partial(note, flight))
        return len(flights)

    def _judge_at_the_end(self, watch: Watch) -> None:
        """Every service of the run once more, before it is called well."""
        stands = self._course.standings
        look = self._do_last(lambda: inspection.judge_again(stands, self._cluster), JudgedAgain, watch)
        if look is not None:
            self._course.judged_again(look)

    def _look_back(self, watch: Watch) -> _Looked | None:
        changes, noted = self._course.ledger.changes, self._course.ledger.noted

        def look() -> _Looked:
            seen = returning.look(changes, self._cluster)
            plan = rollback.make(self._plan, changes, seen)
            unnoted = returning.note_again(rollback.to_note_again(plan, noted), self._cluster, stack=plan.stack)
            return _Looked(plan, all_by_hand(plan, changes, seen), unnoted)

        return self._do_last(look, _Looked, watch)

    def _do_last(self, job: Callable[[], Result], kind: type[Result], watch: Watch) -> Result | None:
        """Have the last thing of a run done, and hand back what came of it; None where the run is broken off."""
        self._work(job)
        while not self._halted:
            item = self._inbox.get(None)
            if isinstance(item, kind):
                return item
            self._handle(item, watch)
        return None

    def _roll_back(self, looked: _Looked) -> None:
        """Return what this run changed, by another run."""
        self._course.unnoted_again(looked.unnoted)
        plan, limits = looked.plan, replace(self._limits, fail_fast=False)
        emit = Returns(plan, looked.by_hand, self._course.emit)
        _Run(plan, self._cluster, self._clock, emit, limits, is_rollback=True).run(self._hand_over)

    def _hand_over(self, hear: Hear) -> None:
        self._hear_next = hear

    # -- small things -------------------------------------------------------------------------------------------------

    def _work(self, job: Callable[[], object]) -> None:
        self._clock.start(lambda: self._inbox.put(_outcome(job)))

    def _unfollow(self, flight: Flight, watch: Watch) -> None:
        for ref in flight.refs:
            self._by_ref.pop(ref, None)
            watch.drop(ref)

    def _end(self, flight: Flight, watch: Watch) -> None:
        self._unfollow(flight, watch)
        self._flights.pop(flight.step.name, None)


def _outcome(job: Callable[[], Result]) -> Result | _Crashed:
    try:
        return job()
    except Exception as error:  # noqa: BLE001 - the loop raises it where somebody sees it
        return _Crashed(error)

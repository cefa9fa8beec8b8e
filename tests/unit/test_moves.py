"""dtree.moves: what is to be done next about a step in flight; the executor's tests show it in a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dtree import acting
from dtree.acting import Halt
from dtree.errors import Unreachable
from dtree.flight import Flight, Limits, Moment
from dtree.moves import Ask, Break, Finish, Promote, Tell, next_moves
from dtree.outcomes import Acted
from tests.fakes.scripts import canary, never
from tests.fakes.world import World, step_of


def moment(now_s: float, **more: Any) -> Moment:
    return Moment(now_s, Limits(), more.pop("trouble", {}), **more)


def flying(world: World) -> Flight:
    """`db`, registered and waited for since 0 s; nothing of it is seen yet."""
    flight = Flight(step_of(world))
    acted = acting.act(flight.step, [], world.cluster, Halt())
    assert isinstance(acted, Acted)
    flight.await_what(acted, 0.0)
    return flight


def seen(world: World, *, after_s: float = 5.0) -> Flight:
    """The same, as it looks after some time."""
    flight = flying(world)
    world.clock.pause(after_s)
    flight.snapshots[flight.step.ref] = world.cluster.peek(flight.step.ref)
    return flight


def test_nothing_is_done_about_a_step_that_is_not_waited_for_yet() -> None:
    assert next_moves(Flight(step_of(World({"db": {}}))), moment(0.0)) == ()


def test_a_step_is_not_judged_before_it_is_seen_but_that_does_not_take_for_ever() -> None:
    flight = flying(World({"db": {"timeout": 60}}))
    assert next_moves(flight, moment(59.0)) == ()
    (move,) = next_moves(flight, moment(60.0, trouble={"": Unreachable("connection refused")}))
    assert isinstance(move, Break)
    assert move.broken.reason == "Nomad could not be asked for 60 s: no contact with Nomad: connection refused"


def test_what_has_reached_all_is_finished() -> None:
    (move,) = next_moves(seen(World({"db": {}})), moment(5.0))
    assert isinstance(move, Finish)


def test_the_same_reason_is_told_once() -> None:
    flight = seen(World({"db": {}}, {"db": never}))
    assert [type(move) for move in next_moves(flight, moment(5.0))] == [Tell]
    assert next_moves(flight, moment(6.0)) == ()


def test_a_question_is_asked_again_once_it_is_answered_and_due() -> None:
    flight = seen(World({"db": {"wait_cond": {"http": "http://db.example/ready"}}}))
    questions = [move for move in next_moves(flight, moment(5.0)) if isinstance(move, Ask)]
    assert len(questions) == 1
    assert next_moves(flight, moment(9.0)) == ()  # it is not answered yet
    flight.asking.clear()
    flight.asked_s = dict.fromkeys(flight.asked_s, 9.0)
    assert next_moves(flight, moment(9.5)) == ()
    assert flight.next_look_s == 9.0 + 0.95  # a tenth of what was waited so far
    assert next_moves(flight, moment(10.0)) == tuple(questions)


def test_canaries_of_a_run_that_is_returned_are_waited_for_no_longer() -> None:
    flight = seen(World({"db": {"promote": {"after": 60}}}, {"db": canary}))
    assert [type(move) for move in next_moves(flight, moment(5.0))] == [Tell]
    assert [type(move) for move in next_moves(replace(flight), moment(65.0))] == [Promote]
    (move,) = next_moves(flight, moment(6.0, returns=True))
    assert isinstance(move, Break)
    assert move.broken.kind == "awaiting-promotion"

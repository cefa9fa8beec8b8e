"""Lines of logs that an earlier run has seen: what is noted of them, and what a rerun makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dtree.declaration import LogProbe
from dtree.errors import DeclarationError, Denied
from dtree.events import RunWarned, StepFailed, StepReady
from dtree.evidence import Awaited
from dtree.health import judge
from dtree.model import RenderedJob
from dtree.plan import Noop
from dtree.provenance import Items, Source, noted, provenance_of, registered_as
from dtree.sightings import recalled, sighted, sign
from tests.fakes.jobs import job_spec
from tests.fakes.world import World, registered

UP = {"log": "^up$"}


def world(wait_cond: Any = UP, **more: Any) -> World:
    return World({"web": {"wait_cond": wait_cond, "timeout": 30}, "user": {"pre": ["web"]}}, **more)


def seen_up(known: World) -> World:
    """A world in which a run has seen the line, which was rotated away since."""
    known.cluster.around.write("web", "up\n")
    assert known.run("user").exit_code == 0
    known.cluster.around.kept_bytes = 3
    known.cluster.around.write("web", "still here\n")
    known.events.clear()
    return known


def failure(known: World) -> StepFailed:
    (event,) = known.of(StepFailed)
    return event


def ready(known: World) -> str:
    return next(event.reason for event in known.of(StepReady) if event.job == "web")


def test_a_line_that_never_came_is_waited_for_in_the_next_run_too() -> None:
    known = world()
    known.cluster.around.write("web", "starting\n")
    for _ in range(2):
        known.events.clear()
        record = known.run("user")
        assert (record.exit_code, failure(known).kind, record.steps["user"].state) == (6, "timed-out", "lost")
    assert "no line of task work matches /^up$/ in what there is of its log" in failure(known).reason
    assert known.cluster.called("register") == []


def test_a_line_that_an_earlier_run_has_seen_counts_though_it_is_gone_and_is_not_looked_for() -> None:
    known = seen_up(world())
    assert known.run("user").exit_code == 0
    assert ready(known) == "runs, unchanged"
    assert known.cluster.called("log_from") == []
    assert known.cluster.called("change_note") == []


def test_a_line_that_came_after_the_run_that_waited_for_it_is_found_in_the_log() -> None:
    known = world()
    assert known.run("user").exit_code == 6
    known.cluster.around.write("web", "starting\nup\n")
    known.events.clear()
    assert known.run("user").exit_code == 0
    assert ready(known) == "a line of task work matches /^up$/"


@pytest.mark.parametrize("wait_cond", [{"all": ["healthy", UP]}, {"any": [UP, {"log": "^never$"}]}])
def test_parts_of_a_condition_are_remembered_each_by_itself(wait_cond: Any) -> None:
    known = seen_up(world(wait_cond))
    assert known.run("user").exit_code == 0
    assert "^never$" not in ready(known)


def test_what_any_was_not_met_by_is_not_remembered() -> None:
    known = world({"any": ["healthy", UP]})
    assert known.run("user").exit_code == 0
    assert "seen_in_logs" not in known.cluster.notes("", [known.ref("web")]).get(known.ref("web"), {})


def test_another_expression_is_looked_for_although_the_job_is_unchanged() -> None:
    known = seen_up(world())
    other = world({"log": "^serving$"})
    other.cluster, other.clock = known.cluster, known.clock
    assert other.run("user").exit_code == 6


def test_the_line_of_an_edge_is_remembered_too() -> None:
    known = seen_up(World({"web": {}, "user": {"pre": {"web": {"condition": UP}}}}))
    assert known.run("user").exit_code == 0
    assert known.cluster.called("log_from") == []


def test_who_runs_the_same_job_again_has_to_see_the_line_again() -> None:
    known = seen_up(world())
    known.cluster.jobs[known.ref("web")].life.fail()
    known.clock.pause(60.0)
    for change in ("rerun", "noop"):
        known.events.clear()
        (step, _) = known.plan("user").steps
        assert step.change == change
        assert known.run("user").exit_code == 6


def test_a_job_that_an_autoscaler_scaled_since_was_seen_all_the_same() -> None:
    spec = job_spec("web", count=1)
    spec["TaskGroups"][0]["Scaling"] = {"Enabled": True, "Min": 1, "Max": 5}
    known = seen_up(world(specs={"web": spec}))
    known.cluster.somebody_scales(known.ref("web"), "main", 3)
    known.clock.pause(60.0)
    assert known.run("user").exit_code == 0
    assert ready(known) == "runs, unchanged"


def test_where_others_stopped_and_started_it_since_the_line_is_looked_for() -> None:
    known = seen_up(world())
    known.cluster.stop(known.ref("web"))
    known.clock.pause(60.0)
    known.cluster.somebody_registers(known.job("web"))
    known.clock.pause(60.0)
    assert known.run("user").exit_code == 6


def test_of_a_job_of_which_nothing_runs_nothing_was_seen() -> None:
    known = world()
    step, awaited = registered(known, "web")
    snapshot = replace(known.cluster.peek(step.ref), allocations=())
    assert snapshot.job is not None
    none = replace(snapshot, job=replace(snapshot.job, groups=tuple(replace(group, count=0) for group in snapshot.job.groups)))
    unchanged = replace(awaited, changed=False, eval_id="", sighted=frozenset({sign(LogProbe("^up$", "work"))}))
    verdict = judge(none, unchanged, waited_s=10.0, unplaceable_s=0.0, placement_timeout_s=1.0)
    assert verdict.reason == "its count is 0, so that there is nothing to meet: a line of task work matching /^up$/"


def test_a_batch_job_that_completed_without_the_line_fails_in_each_run() -> None:
    known = World({"web": {"wait_cond": UP}}, kinds={"web": "batch"})
    known.cluster.around.write("web", "nothing to do\n")
    for _ in range(2):
        known.events.clear()
        assert known.run("web").exit_code == 3
        assert failure(known).reason == "it has completed, and no line of task work matches /^up$/"


def test_a_note_that_cannot_be_written_is_a_warning_and_the_log_alone_counts() -> None:
    known = world()
    known.cluster.around.write("web", "up\n")
    known.run("web")
    known.cluster.stop(known.ref("web"))
    known.clock.pause(60.0)
    denied = Denied("the token may not write", hint="allow it")
    known.cluster.refuse("change_note", "web", *[denied] * 5)
    known.events.clear()
    assert known.run("web").exit_code == 0
    assert any("what logs said is not noted" in event.problem for event in known.of(RunWarned))
    known.events.clear()
    assert known.run("web").exit_code == 0
    assert ready(known) == "a line of task work matches /^up$/"


def test_of_a_job_of_others_only_its_log_counts_and_nothing_is_noted() -> None:
    known = World({"user": {"pre": [{"job": "web", "external": True, "condition": {**UP, "task": "work", "timeout": "20s"}}]}})
    known.cluster.has(known.job("web"))
    assert known.run("user").exit_code == 6
    known.cluster.around.write("web", "up\n")
    assert known.run("user").exit_code == 0
    assert known.cluster.called("change_note") == ["user"]


def test_what_a_run_leaves_out_has_to_have_the_line_or_to_have_had_it() -> None:
    known = world()
    known.cluster.has(known.job("web"))
    with pytest.raises(DeclarationError, match=r"in what there is of its log"):
        known.run("user", only=True)
    assert seen_up(known).run("user", only=True).exit_code == 0
    assert known.cluster.called("log_from") == []


def test_a_long_log_of_what_a_run_leaves_out_is_read_to_its_end() -> None:
    known = world()
    known.cluster.has(known.job("web"))
    known.cluster.around.piece_bytes = 300
    known.cluster.around.write("web", "one\ntwo\n" * 100 + "up\n")
    assert known.run("user", only=True).exit_code == 0


# -- the note ----------------------------------------------------------------------------------------------------------


def note_of(known: World) -> tuple[RenderedJob, Awaited, Items]:
    step, awaited = registered(known, "web")
    state = known.cluster.peek(step.ref).job
    assert state is not None
    provenance = replace(provenance_of(step.job, Source("shop", "memory", "1")), registered=registered_as(state))
    return step.job, awaited, noted({}, provenance)


def test_a_sighting_is_one_of_a_registration() -> None:
    known = world()
    job, awaited, items = note_of(known)
    snapshot = known.cluster.peek(job.ref)
    state = snapshot.job
    assert state is not None
    one, two = sign(LogProbe("a", "work")), sign(LogProbe("a", "work", "stderr"))
    told = sighted(sighted(items, awaited, {one}), awaited, {two})
    assert recalled(told, snapshot) == {one, two}
    assert recalled(items, snapshot) == frozenset()
    assert recalled(told, replace(snapshot, job=None)) == frozenset()
    for other in (replace(state, create_index=state.modify_index + 5), replace(state, shape="other", modify_index=state.modify_index + 5)):
        assert recalled(told, replace(snapshot, job=other)) == frozenset()
    assert sighted({}, awaited, {one}) == {}
    assert sighted(items, replace(awaited, shape="other"), {one}) == items
    assert sighted(items, replace(awaited, version=-1), {one}) == items


def test_what_is_recalled_is_part_of_an_unchanged_step() -> None:
    known = seen_up(world())
    (step, _) = known.plan("user").steps
    assert isinstance(step.action, Noop)
    assert step.sighted == {sign(LogProbe("^up$", "work"))}

"""Children that the dependency file asks for, from the file to the record of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dtree import pipeline
from dtree.declaration import Condition, Dispatch
from dtree.dispatching import PAYLOAD_BYTES
from dtree.errors import DeclarationError, Denied, StoreUnreachable, Unavailable, Unreachable
from dtree.events import StepRegistered, StepRetrying, StepWaiting
from dtree.model import JobRef
from dtree.plan import Child, Intent, Noop, Step
from dtree.provenance import note_path
from dtree.sources import check
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import fails, never, well
from tests.fakes.store import MemorySnapshot
from tests.fakes.world import World

HOUR_S = 3600.0
TAKES = {"Payload": "", "MetaRequired": ["table"], "MetaOptional": ["limit"]}
USERS = {"meta": {"table": "users"}}
ORDERS = {"meta": {"table": "orders", "limit": "5"}, "payload": "rows"}


def world_of(dispatch: Any, scripts: Mapping[str, Any] | None = None, **entry: Any) -> World:
    spec = job_spec("load", "batch", ParameterizedJob=TAKES)
    return World({"load": {"dispatch": dispatch, **entry}, "api": {"pre": "load"}}, scripts, specs={"load": spec})


def interrupt_once(world: World) -> None:
    """Let the next run be interrupted as soon as its first job is registered."""
    left = [1]

    def interrupt() -> None:
        left.clear()
        world.interrupt()

    world.when(lambda event: isinstance(event, StepRegistered) and bool(left), interrupt)


def nightly(**entry: Any) -> World:
    spec = job_spec("load", "batch", Periodic={"Spec": "@daily"})
    return World({"load": {"dispatch": {"force": True}, **entry}}, specs={"load": spec})


def children(world: World) -> list[JobRef]:
    return sorted(ref for ref in world.cluster.jobs if ref.id.startswith("load/"))


def step_of(world: World, **intent: Any) -> Step:
    return next(step for step in world.plan("load", **intent).steps if step.name == "load")


def noted(world: World) -> Mapping[str, str]:
    return world.cluster.variables.get(("default", note_path("memory", "load")), {})


# -- what comes of it --------------------------------------------------------------------------------------------------


def test_a_job_is_registered_its_children_are_dispatched_and_awaited_and_then_its_dependents_start() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(5.0), well(9.0)]})
    record = world.run("api")
    assert record.exit_code == 0
    assert world.cluster.changes == [("register", "load"), ("dispatch", "load"), ("dispatch", "load"), ("register", "api")]
    assert world.at_s(StepRegistered, "api") == 9.0
    first, second = (world.cluster.jobs[ref].spec for ref in children(world))
    assert (first["Meta"], first["Payload"]) == ({"table": "users"}, "")
    assert (second["Meta"], second["Payload"]) == ({"table": "orders", "limit": "5"}, "rows")
    (event,) = [event for event in world.of(StepRegistered) if event.job == "load"]
    assert (event.changed, event.children) == (True, tuple(ref.id for ref in children(world)))
    assert record.steps["load"].reason == "2 children completed"


def test_a_child_that_fails_is_a_failure_of_the_step_with_its_task_exit_code_and_logs() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), fails(2.0, code=42)]})
    world.cluster.log_lines["load/dispatch-18"] = ("no such table",)
    record = world.run("api")
    failed = record.steps["load"]
    broken = children(world)[1].id
    assert (record.exit_code, record.steps["api"].state, failed.kind) == (3, "lost", "failed")
    assert failed.reason == f"{broken}: 1 allocation failed and will not be run again; task work: exit code 42"
    assert [(one.job, one.task, one.exit_code) for one in failed.exits] == [(broken, "work", 42)]
    assert any("exit code 42" in line for line in failed.details)
    assert ("logs", broken) in {(call.what, call.job) for call in world.cluster.calls}


def test_a_child_that_takes_too_long_is_told_by_its_id() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), never]}, timeout="10s")
    record = world.run("load")
    assert record.exit_code == 6
    assert record.steps["load"].reason == (
        f"not ready within 10 s: 1 of 2 children completed; {children(world)[1].id}: 0 of 1 allocation completed"
    )


def test_a_retry_dispatches_again_only_what_failed() -> None:
    world = world_of([USERS, ORDERS], {"load/": [fails(1.0), well(30.0), well(2.0)]}, retries=1)
    assert world.run("load").exit_code == 0
    assert len(world.of(StepRetrying)) == 1
    tables = [world.cluster.jobs[ref].spec["Meta"]["table"] for ref in children(world)]
    assert tables == ["users", "orders", "users"]


def test_a_retry_of_a_job_that_is_gone_is_none() -> None:
    world = world_of(USERS, {"load/": fails(1.0)}, retries=1)
    world.when(lambda event: isinstance(event, StepRegistered), lambda: world.cluster.collect(world.ref("load")))
    assert world.run("load").exit_code == 3
    assert world.of(StepRetrying) == []


def test_dependents_may_wait_for_less_than_the_end() -> None:
    world = world_of(USERS, {"load/": well(HOUR_S)}, wait_cond="started")
    assert world.run("api").exit_code == 0
    assert "succeeded" not in noted(world)


def test_a_periodic_job_is_run_out_of_its_turn_and_awaited() -> None:
    world = nightly()
    assert world.run("load").exit_code == 0
    assert world.cluster.changes == [("register", "load"), ("force", "load")]
    assert world.run("load").exit_code == 0
    assert world.cluster.changes == []


def test_an_answer_that_was_lost_begins_no_second_child() -> None:
    cluster = FakeCluster(FakeClock())
    load = world_of(USERS).job("load")
    cluster.has(load)
    first = cluster.dispatch(load.ref, meta={}, payload=b"", token="one")
    again = cluster.dispatch(load.ref, meta={}, payload=b"", token="one")
    other = cluster.dispatch(load.ref, meta={}, payload=b"", token="two")
    assert (first.ref == again.ref, again.eval_id, first.ref == other.ref) == (True, "", False)


# -- when it is done again ---------------------------------------------------------------------------------------------


def test_what_was_dispatched_and_completed_is_done_until_job_or_dispatch_change() -> None:
    world = world_of(USERS)
    world.run("load")
    step = step_of(world)
    assert (step.change, step.cause, step.children) == ("noop", "registered, unchanged; its children completed before", ())
    assert world.run("load").exit_code == 0
    assert (world.cluster.changes, world.of(StepRegistered)[-1].changed) == ([], False)
    other = world_of(ORDERS)
    other.cluster = world.cluster
    assert (step_of(other).change, step_of(other).cause) == ("dispatch", "registered, unchanged; a child is dispatched")
    world.specs["load"]["Priority"] = 70
    assert step_of(world).children == (Child(Dispatch({"table": "users"}, path=("dependencies", "load", "dispatch"))),)


def test_what_is_dispatched_once_is_not_dispatched_again_however_it_changes() -> None:
    world = world_of(USERS, run="once")
    world.run("load")
    world.specs["load"]["Priority"] = 70
    assert step_of(world, force=True).children == ()


def test_what_is_always_dispatched_is_dispatched_in_each_run() -> None:
    world = world_of(USERS, run="always")
    for _ in range(3):
        assert world.run("load").exit_code == 0
    assert len(children(world)) == 3


def test_with_force_it_is_dispatched_again() -> None:
    world = world_of(USERS)
    world.run("load")
    world.run("load", force=True)
    assert len(children(world)) == 2


def test_a_run_after_an_interrupted_one_waits_for_the_children_that_run() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), well(60.0)]})
    interrupt_once(world)
    assert world.run("load").exit_code == 130
    world.clock.pause(5.0)
    step = step_of(world)
    assert [child.id for child in step.children] == [ref.id for ref in children(world)]
    assert (step.change, step.cause) == ("noop", "registered, unchanged; what was dispatched before is waited for")
    assert world.run("load").exit_code == 0
    assert (len(children(world)), "succeeded" in noted(world)) == (2, True)


def test_a_run_after_a_failed_one_dispatches_only_what_failed() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), fails(5.0), well(1.0)]})
    assert world.run("load").exit_code == 3
    assert step_of(world).cause == "registered, unchanged; 1 of 2 children are dispatched"
    assert world.run("load").exit_code == 0
    assert len(children(world)) == 3


def test_an_interrupt_between_two_children_begins_no_more_and_the_next_run_does_the_rest() -> None:
    world = world_of([USERS, ORDERS], {"load/": well(60.0)})
    world.cluster.latency_s["dispatch load"] = 0.3
    world.clock.after(0.1, world.interrupt)
    assert world.run("load").exit_code == 130
    assert world.cluster.changes == [("register", "load"), ("dispatch", "load")]
    assert [bool(child.id) for child in step_of(world).children] == [True, False]


def test_always_waits_for_what_runs_and_does_again_what_completed() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), well(60.0)]}, run="always")
    interrupt_once(world)
    world.run("load")
    world.clock.pause(5.0)
    assert [bool(child.id) for child in step_of(world).children] == [False, True]


def test_stop_stops_the_children_too() -> None:
    world = world_of(USERS, {"load/": well(HOUR_S)}, wait_cond="started")
    world.run("load")
    assert world.stop("load").exit_code == 0
    assert world.cluster.called("stop") == ["load", children(world)[0].id]


def test_children_are_awaited_at_whatever_version_their_parent_has() -> None:
    world = world_of(USERS)
    world.run("load")
    world.specs["load"]["Priority"] = 70
    assert world.run("load").exit_code == 0
    world.stop("load")
    assert world.run("load", force=True).exit_code == 0
    assert [world.cluster.jobs[ref].state.version for ref in children(world)] == [0, 1, 3]


def test_a_periodic_job_that_was_changed_is_run_out_of_its_turn_again() -> None:
    world = nightly(run="always")
    world.run("load")
    world.specs["load"]["Priority"] = 70
    assert world.run("load").exit_code == 0
    assert [world.cluster.jobs[ref].state.version for ref in children(world)] == [0, 1]


def test_a_child_that_is_gone_before_it_was_seen_is_told() -> None:
    world = world_of(USERS, {"load/": never})
    world.when(lambda event: isinstance(event, StepRegistered) and event.job == "load", lambda: world.cluster.collect(children(world)[0]))
    record = world.run("load")
    assert (record.exit_code, record.steps["load"].reason.startswith("load/dispatch-")) == (3, True)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda world: world.cluster.collect(world.ref("load")), "the job is gone: somebody purged it; load/dispatch-"),
        (lambda world: world.cluster.stop(world.ref("load")), "somebody stopped the job; load/dispatch-"),
    ],
)
def test_a_job_that_others_take_away_while_its_children_run_is_superseded_and_these_are_remembered(
    act: Callable[[World], object], told: str
) -> None:
    world = world_of(USERS, {"load/": well(5.0)})
    world.when(lambda event: isinstance(event, StepRegistered) and event.job == "load", lambda: act(world))
    record = world.run("load")
    assert (record.exit_code, record.steps["load"].kind) == (3, "superseded")
    assert record.steps["load"].reason.startswith(told)
    world.run("load")
    assert world.cluster.called("dispatch") == []


def test_where_it_cannot_be_seen_whether_the_job_of_children_is_still_there_that_is_told() -> None:
    world = world_of(USERS, {"load/": well(5.0)})
    world.when(
        lambda event: isinstance(event, StepRegistered) and event.job == "load",
        lambda: world.cluster.refuse("job", "load", Unreachable("no answer")),
    )
    record = world.run("load")
    assert (record.exit_code, record.steps["load"].reason) == (3, "no answer")


def collect_children(world: World) -> None:
    for ref in children(world):
        world.cluster.collect(ref)


@pytest.mark.parametrize("policy", ["on_change", "once"])
def test_what_completed_beside_a_child_that_failed_is_not_dispatched_again_even_where_nomad_has_forgotten_it(policy: str) -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), fails(5.0), well(1.0)]}, run=policy)
    assert world.run("load").exit_code == 3
    collect_children(world)
    step = step_of(world)
    assert [child.is_completed for child in step.children] == [True, False]
    assert step.cause == "registered, unchanged; 1 of 2 children are dispatched"
    assert world.run("load").exit_code == 0
    assert world.cluster.called("dispatch") == ["load"]
    assert "succeeded" in noted(world)


def test_what_completed_before_a_timeout_an_interrupt_or_the_end_of_the_wait_is_not_dispatched_again() -> None:
    late = world_of([USERS, ORDERS], {"load/": [well(1.0), never, well()]}, timeout="10s")
    assert late.run("load").exit_code == 6
    broken_off = world_of([USERS, ORDERS], {"load/": [well(1.0), never, well()]})
    broken_off.clock.after(5.0, broken_off.interrupt)
    assert broken_off.run("load").exit_code == 130
    started = world_of([USERS, ORDERS], {"load/": [well(0.0), never, well()]}, wait_cond="started")
    assert started.run("load").exit_code == 0
    for world in (late, broken_off, started):
        collect_children(world)
        step = step_of(world)
        assert [(bool(child.id), child.is_completed) for child in step.children] == [(True, True), (False, False)]
        assert "Nomad has forgotten what became of those before, so 1 of 2 children are dispatched" in step.cause


def test_a_retry_goes_on_without_the_children_that_nomad_has_forgotten_meanwhile() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), fails(2.0), well(9.0)]}, retries=1)
    world.when(lambda event: isinstance(event, StepRetrying), lambda: world.cluster.collect(children(world)[0]))
    assert world.run("load").exit_code == 0
    assert len(world.of(StepRetrying)) == 1


def test_a_child_that_nomad_forgets_while_others_run_has_completed() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), well(60.0)]})
    world.clock.after(5.0, lambda: world.cluster.collect(children(world)[0]))
    assert world.run("load").exit_code == 0


def test_once_refuses_to_dispatch_again_a_child_of_which_nobody_knows_how_it_ended() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), well(60.0)]}, run="once")
    interrupt_once(world)
    world.run("load")
    collect_children(world)
    with pytest.raises(DeclarationError) as caught:
        world.plan("load")
    assert [fault.code for fault in caught.value.faults] == ["forgotten-run"]
    assert world.stop("load", purge=True).exit_code == 0
    assert world.run("load").exit_code == 0


def test_once_is_done_where_all_that_was_dispatched_has_completed_however_the_job_changed_since() -> None:
    world = world_of([USERS, ORDERS], {"load/": [well(1.0), well(60.0)]}, run="once")
    interrupt_once(world)
    world.run("load")
    world.clock.pause(120.0)
    world.specs["load"]["Priority"] = 70
    assert step_of(world).children == ()


def test_what_all_has_completed_and_was_forgotten_before_its_success_was_noted_is_not_dispatched_again() -> None:
    world = world_of([USERS, ORDERS])
    world.run("load")
    path = ("default", note_path("memory", "load"))
    world.cluster.variables[path] = {key: text for key, text in noted(world).items() if key != "succeeded"}
    collect_children(world)
    assert [child.is_completed for child in step_of(world).children] == [True, True]
    assert world.run("load").exit_code == 0
    assert (world.cluster.changes, "succeeded" in noted(world)) == ([], True)


def test_of_many_children_it_is_told_how_many_have_completed_and_what_the_first_other_waits_for() -> None:
    world = world_of([USERS] * 12, {"load/": [*[well(1.0)] * 7, *[well(9.0)] * 5]})
    assert world.run("load").exit_code == 0
    reasons = [event.reason for event in world.of(StepWaiting)]
    assert f"7 of 12 children completed; {children(world)[7].id}: 0 of 1 allocation completed" in reasons
    assert max(map(len, reasons)) < 100


# -- what is refused ---------------------------------------------------------------------------------------------------


def faults(
    dispatch: Any, spec: dict[str, Any] | None = None, files: Mapping[str, bytes] | None = None
) -> list[tuple[str, str, str | None]]:
    spec = spec or job_spec("load", "batch", ParameterizedJob=TAKES)
    snapshot = MemorySnapshot({"dependencies": {"load": {"dispatch": dispatch}}}, {"load.json": spec}, files=dict(files or {}))
    cluster = FakeCluster(FakeClock())
    with pytest.raises(DeclarationError) as caught:
        pipeline.prepare(pipeline.read(snapshot, store="memory"), cluster, Intent("run", ("load",)), namespace="")
    assert cluster.changes == []
    return [(fault.code, fault.problem, fault.place.key if fault.place else None) for fault in caught.value.faults]


def test_meta_keys_are_those_of_the_job_file() -> None:
    assert faults([{"meta": {"tabel": "x"}}, USERS]) == [
        ("bad-dispatch", "a dispatch of job 'load' lacks the meta key 'table'", "dependencies.load.dispatch[0]"),
        ("bad-dispatch", "job 'load' takes no meta key 'tabel'", "dependencies.load.dispatch[0]"),
    ]
    none = job_spec("load", "batch", ParameterizedJob={"Payload": "optional", "MetaRequired": None, "MetaOptional": None})
    assert faults(USERS, none) == [("bad-dispatch", "job 'load' takes no meta key 'table'", "dependencies.load.dispatch")]


@pytest.mark.parametrize(
    ("rule", "dispatch", "problem"),
    [
        ("required", {}, "a dispatch of job 'load' lacks its payload"),
        ("forbidden", {"payload": "rows"}, "job 'load' takes no payload"),
    ],
)
def test_a_payload_is_what_the_job_file_makes_of_it(rule: str, dispatch: dict[str, Any], problem: str) -> None:
    spec = job_spec("load", "batch", ParameterizedJob={"Payload": rule})
    assert faults(dispatch, spec) == [("bad-dispatch", problem, "dependencies.load.dispatch")]


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_payload_that_nomad_would_not_take_is_told_before(*, in_file: bool, extra: int) -> None:
    payload = "x" * (PAYLOAD_BYTES + extra)
    spec = job_spec("load", "batch", ParameterizedJob={"Payload": ""})
    snapshot = MemorySnapshot(
        {"dependencies": {"load": {"dispatch": {"payload": {"file": "rows.csv"} if in_file else payload}}}},
        {"load.json": spec},
        files={"rows.csv": payload.encode()},
    )
    cluster = FakeCluster(FakeClock())

    def prepare() -> Any:
        return pipeline.prepare(pipeline.read(snapshot, store="memory"), cluster, Intent("run", ("load",)), namespace="")

    if not extra:
        (step,) = prepare().steps
        assert step.children[0].dispatch.payload == payload.encode()
        return
    with pytest.raises(DeclarationError) as caught:
        prepare()
    (fault,) = caught.value.faults
    assert (fault.problem, fault.place and fault.place.key) == (
        "the payload has 16385 bytes, and Nomad takes at most 16384",
        "dependencies.load.dispatch.payload",
    )


def test_a_payload_that_is_not_there_is_a_fault_and_a_store_that_is_gone_is_an_error() -> None:
    ((code, problem, key),) = faults({**USERS, "payload": {"file": "rows.csv"}})
    assert (code, key) == ("bad-dispatch", "dependencies.load.dispatch.payload")
    assert "rows.csv" in problem
    world = world_of({"meta": {"table": "users"}, "payload": {"file": "rows.csv"}})
    snapshot = world.snapshot()

    class Gone(MemorySnapshot):
        def read(self, path: str) -> Any:
            if path != "rows.csv":
                return super().read(path)
            raise StoreUnreachable("nobody answers")

    snapshot.__class__ = Gone
    with pytest.raises(StoreUnreachable):
        pipeline.prepare(pipeline.read(snapshot, store="memory"), world.cluster, Intent("run", ("load",)), namespace="")


def test_a_payload_is_looked_for_without_a_nomad() -> None:
    entries = {"load": {"dispatch": {"payload": {"file": "rows.csv"}}}}
    with pytest.raises(DeclarationError) as caught:
        check(MemorySnapshot({"dependencies": entries}, {"load.json": job_spec("load", "batch")}), store="memory")
    assert [fault.code for fault in caught.value.faults] == ["bad-dispatch"]


def test_all_that_is_wrong_with_a_dispatch_is_told_at_once() -> None:
    spec = job_spec("load", "batch", ParameterizedJob={**TAKES, "Payload": "required"})
    found = faults([{"meta": {"limit": "5"}, "payload": {"file": "rows.csv"}}, {"meta": {"table": "users"}}], spec)
    assert [key for _, _, key in found] == [
        "dependencies.load.dispatch[0].payload",
        "dependencies.load.dispatch[0]",
        "dependencies.load.dispatch[1]",
    ]


def test_a_payload_that_is_not_there_keeps_nothing_from_being_stopped() -> None:
    world = world_of({"payload": {"file": "rows.csv"}})
    world.cluster.has(world.job("load"))
    assert world.stop("load").exit_code == 0


@pytest.mark.parametrize(
    ("more", "dispatch", "problem"),
    [
        ({}, {}, "job 'load' is not parameterized, so nothing of it can be dispatched"),
        ({"Periodic": {"Spec": "@daily"}}, {}, "job 'load' is not parameterized, so nothing of it can be dispatched"),
        ({"ParameterizedJob": {}}, {"force": True}, "job 'load' is not periodic, so it has no turn that it could be run out of"),
        (
            {"Periodic": {"Spec": "@daily"}},
            {"force": True, "payload": "x"},
            "job 'load' is periodic: a run of it takes neither meta nor a payload",
        ),
        (
            {"Periodic": {"Spec": "@daily"}},
            {"force": True, "meta": {}},
            "job 'load' is periodic: a run of it takes neither meta nor a payload",
        ),
    ],
)
def test_only_what_has_children_is_dispatched(more: dict[str, Any], dispatch: dict[str, Any], problem: str) -> None:
    assert faults(dispatch, job_spec("load", "batch", **more)) == [("bad-dispatch", problem, "dependencies.load.dispatch")]


def test_completed_may_be_waited_for_where_something_is_dispatched() -> None:
    world = world_of(USERS, wait_cond="completed")
    assert step_of(world).condition == Condition("completed")
    assert world.run("load").exit_code == 0
    assert world.run("load").exit_code == 0


# -- what goes wrong on the way ----------------------------------------------------------------------------------------


def test_a_dispatch_that_is_denied_is_an_error_and_what_was_dispatched_before_is_waited_for_the_next_time() -> None:
    world = world_of([USERS, ORDERS], {"load/": well(60.0)})
    world.cluster.has(world.job("load"))
    world.cluster.refuse("dispatch", "load", Denied("Nomad denies it"))
    assert world.run("load").exit_code == 1
    plan = world.plan("load")
    world.cluster.latency_s["dispatch load"] = 1.0
    world.clock.after(1.5, lambda: world.cluster.refuse("dispatch", "load", Unavailable("no leader")))
    assert world.carry_out(plan).exit_code == 3
    assert [bool(child.id) for child in step_of(world).children] == [True, False]


def test_a_run_without_notes_dispatches_again() -> None:
    world = world_of(USERS)
    world.cluster.refuse("change_note", "load", *[Denied("Nomad denies it")] * 9)
    record = world.run("load")
    assert record.exit_code == 0
    assert [warning.problem.partition(":")[0] for warning in record.warnings] == [
        "what was dispatched is not noted in Nomad's Variables, so that the next run dispatches it again",
    ]
    assert step_of(world).children[0].id == ""


def test_where_notes_may_not_be_read_the_plan_says_that_each_run_dispatches_again() -> None:
    world = world_of(USERS)
    world.cluster.refuse("notes", "memory", Denied("Nomad denies it", hint="write the rule"))
    lead = "load: what is dispatched is dispatched again by each run, because it is not noted"
    assert world.plan("load").warnings == (f"{lead}: Nomad denies it (write the rule)",)


def test_a_dispatch_is_registered_against_what_the_plan_saw() -> None:
    world = world_of(USERS)
    world.cluster.has(world.job("load"))
    assert step_of(world).action == Noop(0)

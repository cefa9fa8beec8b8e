"""dtree.feasibility: conditions that a job can never meet, where they are parts of others, and where the file says so."""

from __future__ import annotations

from typing import Any

import pytest

from dtree.declaration import Condition, LogProbe, TcpProbe
from dtree.errors import DeclarationError
from dtree.feasibility import as_meant, never_met
from tests.fakes.jobs import rendered
from tests.fakes.world import World, step_of

HEALTHY, COMPLETED = Condition("healthy"), Condition("completed")


def of(name: Any, *parts: Condition) -> Condition:
    return Condition(name, parts=parts)


def test_what_a_job_never_meets_is_no_part_of_any() -> None:
    port = Condition("tcp", probe=TcpProbe("http"))
    assert as_meant(of("any", HEALTHY, COMPLETED, port), rendered("db")) == of("any", HEALTHY)
    assert as_meant(of("all", HEALTHY, of("any", of("all", COMPLETED, HEALTHY), HEALTHY)), rendered("db")) == of(
        "all", HEALTHY, of("any", HEALTHY)
    )
    assert as_meant(of("any", HEALTHY, COMPLETED), rendered("load", "batch")) == of("any", HEALTHY, COMPLETED)


def test_only_where_no_part_of_any_is_ever_met_it_is_a_fault() -> None:
    db = rendered("db")
    never = "a service job is meant to run on, so 'completed' cannot be waited for"
    for condition in (of("any", COMPLETED, COMPLETED), of("all", HEALTHY, COMPLETED), of("all", HEALTHY, of("any", COMPLETED))):
        assert (never_met(as_meant(condition, db), db) or ("",))[0] == never
    assert never_met(as_meant(of("any", COMPLETED, HEALTHY), db), db) is None
    assert never_met(HEALTHY, db) is None


def test_a_log_of_nobody_knows_which_task_is_a_slip_wherever_it_stands() -> None:
    tasks = [{"Name": name} for name in ("web", "side")]
    job = rendered("db", TaskGroups=[{"Name": "main", "Count": 1, "Tasks": tasks}])
    condition = as_meant(of("any", HEALTHY, Condition("log", probe=LogProbe("up"))), job)
    assert never_met(condition, job) == ("whose log is meant is not said, and it is not the only task", "add 'task', one of web, side")


def test_a_run_waits_for_what_may_come_of_any() -> None:
    world = World({"db": {"wait_cond": {"any": ["healthy", "completed"]}}})
    assert world.run("db").exit_code == 0


@pytest.mark.parametrize(
    ("dependencies", "head", "key"),
    [
        ({"db": {}}, {"defaults": {"wait_cond": "completed"}}, "defaults.wait_cond"),
        ({"db": {"wait_cond": "completed"}}, {}, "dependencies.db.wait_cond"),
        (
            {
                "api": {"pre": {"job": "db", "condition": {"any": ["healthy", "completed"]}}},
                "web": {"pre": {"job": "db", "condition": {"any": ["completed"]}}},
                "db": {},
            },
            {},
            "dependencies.web.pre.condition",
        ),
        ({"db": {"post": {"job": "api", "condition": "completed"}}}, {}, "dependencies.db.post.condition"),
        ({"db": {"post": {"job": "api", "wait_cond": "completed"}}}, {}, "dependencies.db.post.wait_cond"),
    ],
)
def test_what_never_comes_is_told_where_it_is_asked(dependencies: Any, head: Any, key: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        World(dependencies, head=head).plan(*dependencies)
    (fault,) = caught.value.faults
    assert (fault.code, fault.place and fault.place.key) == ("impossible-condition", key)


def test_the_log_of_an_external_job_is_that_of_its_only_main_task() -> None:
    dependencies = {"api": {"pre": {"job": "vault", "external": True, "condition": {"log": "unsealed", "timeout": "9s"}}}}
    world = World(dependencies, specs={"vault": {"ID": "vault"}})
    with pytest.raises(DeclarationError, match="the job is not there to tell its tasks"):
        world.plan("api")
    tasks = [{"Name": "prepare", "Lifecycle": {"Hook": "prestart"}}, {"Name": "server"}]
    world.cluster.has(rendered("vault", TaskGroups=[{"Name": "main", "Count": 1, "Tasks": tasks}]))
    (milestone,) = step_of(world, "api").edges.values()
    assert [str(one) for one in milestone] == ["a line of task server matching /unsealed/"]

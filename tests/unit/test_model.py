"""dtree.model, dtree.declaration: values that read themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dtree import declaration, model
from dtree.declaration import Condition, Declaration
from dtree.model import Address, AllocationState, GroupState, JobRef, JobState, RenderedJob
from tests.fakes.jobs import job_spec, rendered, rendered_from


def job_state(type_: str = "service", **changes: Any) -> JobState:
    values: dict[str, Any] = {"stopped": False, "periodic": False, "parameterized": False, "stable": False}
    values |= {
        "version": 0,
        "modify_index": 1,
        "status": "running",
        "type": type_,
        "shape": "s",
        "groups": (GroupState("main", 1, deploys=True),),
    }
    return JobState(**{**values, **changes})


def allocation(client: str) -> AllocationState:
    return AllocationState(
        id="a1",
        name="api.main[0]",
        group="main",
        node="n1",
        version=0,
        desired="run",
        client=client,
        healthy=None,
        canary=False,
        next_allocation="",
        followup_eval="",
        create_index=1,
        modified_s=0.0,
        client_description="",
        tasks={},
    )


def test_every_value_is_frozen() -> None:
    kinds = [kind for module in (model, declaration) for kind in vars(module).values() if dataclasses.is_dataclass(kind)]
    assert {RenderedJob, Declaration} < set(kinds)
    assert all(getattr(kind, "__dataclass_params__").frozen for kind in kinds)  # noqa: B009 - mypy does not know the attribute


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Condition(), "ready"),
        (Condition("completed"), "completed"),
        (Condition("started", 5.0), "5 s after start"),
        (Condition("started", 0.5), "0.5 s after start"),
    ],
)
def test_a_condition_reads_as_words(condition: Condition, text: str) -> None:
    assert str(condition) == text


def test_a_job_is_named_with_its_namespace_only_where_that_tells_something() -> None:
    assert str(JobRef("default", "api")) == "api"
    assert str(JobRef("shop", "api")) == "api (namespace shop)"
    assert str(JobRef("default", "api", "eu")) == "api (region eu)"
    assert str(JobRef("shop", "api", "eu")) == "api (namespace shop, region eu)"


def test_jobs_sort_by_namespace_and_id() -> None:
    assert sorted([JobRef("b", "a"), JobRef("a", "z"), JobRef("a", "b")]) == [JobRef("a", "b"), JobRef("a", "z"), JobRef("b", "a")]


@pytest.mark.parametrize(("given", "read"), [("batch", "batch"), (None, "service"), ("", "service")])
def test_a_job_file_without_a_type_is_a_service(given: str | None, read: str) -> None:
    assert rendered_from("api", {**job_spec("api"), "Type": given}).type == read


@pytest.mark.parametrize(
    ("more", "is_parent"),
    [
        ({}, False),
        ({"Periodic": {"Spec": "@daily"}}, True),
        ({"ParameterizedJob": {"Payload": "optional"}}, True),
        ({"Periodic": None}, False),
    ],
)
def test_periodic_and_parameterized_job_files_are_parents(more: dict[str, Any], *, is_parent: bool) -> None:
    assert rendered("nightly", "batch", **more).is_parent is is_parent


@pytest.mark.parametrize(("changes", "is_parent"), [({}, False), ({"periodic": True}, True), ({"parameterized": True}, True)])
def test_periodic_and_parameterized_stored_jobs_are_parents(changes: dict[str, bool], *, is_parent: bool) -> None:
    assert job_state("batch", **changes).is_parent is is_parent


@pytest.mark.parametrize(("type_", "is_batch"), [("service", False), ("system", False), ("batch", True), ("sysbatch", True)])
def test_batch_and_sysbatch_jobs_end(type_: str, *, is_batch: bool) -> None:
    assert job_state(type_).is_batch is is_batch


@pytest.mark.parametrize(
    ("client", "is_over"),
    [("pending", False), ("running", False), ("unknown", False), ("complete", True), ("failed", True), ("lost", True)],
)
def test_an_allocation_is_over_when_nothing_of_it_runs(client: str, *, is_over: bool) -> None:
    assert allocation(client).is_over is is_over


def test_an_address_reads_as_it_is_typed() -> None:
    assert str(Address("http", "10.0.0.1", 80)) == "10.0.0.1:80"
    assert str(Address("http", "fe80::1", 80)) == "[fe80::1]:80"


def test_no_text_of_a_job_is_in_its_repr() -> None:
    job = rendered_from("api", {**job_spec("api"), "Meta": {"password": "s3cret"}})
    assert "s3cret" not in repr(job)


def test_two_declarations_are_equal_wherever_they_stood() -> None:
    class Nowhere:
        def place(self, path: tuple[str | int, ...]) -> Any:
            raise NotImplementedError(path)

    assert Declaration("f", "s", {}, Nowhere()) == Declaration("f", "s", {}, Nowhere())

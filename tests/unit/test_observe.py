"""dtree.observe: job files as Nomad parses them, and what the cluster has of each job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dtree.declaration import Entry
from dtree.document import read
from dtree.errors import DeclarationError, Invalid, Place
from dtree.job_text import JobText
from dtree.location import Locations
from dtree.model import JobRef, RenderedJob
from dtree.observe import look_again, observe_jobs, parse_jobs, read_stored
from dtree.values import Given, Origin
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import job_file, job_spec, rendered, rendered_from
from tests.fakes.scripts import fails, well


def cluster() -> FakeCluster:
    return FakeCluster(FakeClock())


def texts(files: Mapping[str, str]) -> dict[str, JobText]:
    return {name: JobText(f"jobs/{name}.nomad", data, data.encode()) for name, data in files.items()}


def entries(files: Mapping[str, Any], **more: Entry) -> dict[str, Entry]:
    return {name: Entry(name) for name in files} | more


def located(entries: Mapping[str, Entry], namespace: str = "") -> Locations:
    return Locations(entries, read("dependency.yaml", b"dependencies: {}"), namespace)


def parsed(texts: Mapping[str, JobText], entries: Mapping[str, Entry], cluster: FakeCluster, *, namespace: str) -> dict[str, RenderedJob]:
    jobs, faults = parse_jobs(texts, located(entries, namespace), cluster)
    if faults:
        raise DeclarationError([fault for wrong in faults.values() for fault in wrong])
    return jobs


def faults_of(files: Mapping[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(DeclarationError) as caught:
        parsed(texts(files), entries(files), cluster(), namespace="")
    return [(fault.code, fault.problem) for fault in caught.value.faults]


# -- job files ---------------------------------------------------------------------------------------------------------


def test_an_hcl_job_file_is_what_nomad_parses_it_to() -> None:
    files = {"api": 'job "api-prod" {\n  type = "batch"\n}'}
    nomad = cluster()
    job = parsed(texts(files), entries(files), nomad, namespace="")["api"]
    assert (job.name, job.ref, job.file, job.format, job.type) == ("api", JobRef("default", "api-prod"), "jobs/api.nomad", "hcl2", "batch")
    assert job.text == files["api"]
    assert nomad.called("parse") == ["jobs/api.nomad"]


def test_a_job_file_in_the_apis_own_json_needs_no_parsing_and_loses_no_field() -> None:
    spec = job_spec("api", Meta={"a": "b"}, SomethingNew={"x": [1, None]})
    for text in (json.dumps(spec), json.dumps({"Job": spec})):
        nomad = cluster()
        job = parsed(texts({"api": text}), entries({"api": ""}), nomad, namespace="")["api"]
        assert (job.spec, job.format) == (spec, "json")
        assert nomad.calls == []


@pytest.mark.parametrize("text", ['{"job": {"api": {"type": "batch"}}}', '{ job "api" ', '["TaskGroups"]'])
def test_what_is_not_the_apis_own_json_is_left_to_nomad(text: str) -> None:
    nomad = cluster()
    nomad.parsed["jobs/api.nomad"] = job_spec("api", "batch")
    job = parsed(texts({"api": text}), entries({"api": ""}), nomad, namespace="")["api"]
    assert (job.spec, job.format, job.text) == (job_spec("api", "batch"), "hcl2", text)
    assert nomad.called("parse") == ["jobs/api.nomad"]


def test_the_namespace_is_the_files_or_the_entrys_or_the_one_asked_for_or_nomads_default() -> None:
    files = {"a": 'job "a" { namespace = "mine" }', "b": 'job "b" {}', "c": 'job "c" {}'}
    known = entries(files, a=Entry("a", namespace="entry"), b=Entry("b", namespace="entry"))
    asked = parsed(texts(files), known, cluster(), namespace="asked")
    assert [asked[name].ref.namespace for name in "abc"] == ["mine", "entry", "asked"]
    assert parsed(texts(files), known, cluster(), namespace="")["c"].ref.namespace == "default"


def test_the_region_is_the_files() -> None:
    files = {"api": job_file("api", Region="eu")}
    assert parsed(texts(files), entries(files), cluster(), namespace="")["api"].ref == JobRef("default", "api", "eu")


def test_all_job_files_faults_come_at_once_by_name() -> None:
    found = faults_of({"d": "nor here", "a": "nothing here", "c": job_file(""), "b": job_file("fine")})
    assert [code for code, _ in found] == ["bad-job-file"] * 3
    assert [problem.split("'")[1] for _, problem in found] == ["a", "c", "d"]


def test_what_nomad_cannot_parse_is_told_with_line_and_column() -> None:
    with pytest.raises(DeclarationError) as caught:
        parsed(texts({"api": "nothing"}), entries({"api": ""}), cluster(), namespace="")
    (fault,) = caught.value.faults
    assert fault.place == Place("jobs/api.nomad", 1, 1)
    assert "Missing job block" in fault.problem


def test_two_names_with_one_id_are_a_fault_of_both() -> None:
    files = {"api": job_file("shared"), "web": job_file("shared"), "db": job_file("db")}
    jobs, faults = parse_jobs(texts(files), located(entries(files)), cluster())
    assert list(jobs) == ["db"]
    problem = "'api' and 'web' are one job to Nomad: 'shared'"
    told = [(name, fault.code, fault.problem) for name, wrong in faults.items() for fault in wrong]
    assert told == [("api", "same-job-id", problem), ("web", "same-job-id", problem)]


def test_the_jobs_that_can_be_parsed_come_beside_what_is_wrong_with_the_others() -> None:
    files = {"web": "nothing here", "api": job_file("api"), "db": job_file("")}
    jobs, faults = parse_jobs(texts(files), located(entries(files)), cluster())
    assert list(jobs) == ["api"]
    assert {name: [fault.code for fault in wrong] for name, wrong in faults.items()} == {"db": ["bad-job-file"], "web": ["bad-job-file"]}


def test_one_id_in_two_namespaces_is_two_jobs() -> None:
    files = {"a": job_file("api", Namespace="one"), "b": job_file("api", Namespace="two")}
    assert sorted(job.ref for job in parsed(texts(files), entries(files), cluster(), namespace="").values()) == [
        JobRef("one", "api"),
        JobRef("two", "api"),
    ]


def test_the_jobs_come_sorted_by_name() -> None:
    files = {name: job_file(name) for name in ("web", "api", "db")}
    assert list(parsed(texts(files), entries(files), cluster(), namespace="")) == ["api", "db", "web"]


@pytest.mark.parametrize(
    "changes", [{"ID": 5}, {"Namespace": ["a"]}, {"Region": {}, "ID": 7}, {"TaskGroups": "none"}, {"TaskGroups": [{"Count": 1}]}]
)
def test_json_of_the_wrong_kind_is_a_fault_and_no_crash(changes: dict[str, Any]) -> None:
    ((code, _),) = faults_of({"api": json.dumps({**job_spec("api"), **changes})})
    assert code == "bad-job-file"


# -- what nomad has ----------------------------------------------------------------------------------------------------


def test_a_job_that_nomad_does_not_know_is_seen_as_new() -> None:
    _, seen = observe_jobs({"api": rendered("api")}, located({}), cluster())
    assert seen["api"].snapshot.job is None
    assert seen["api"].dry_run is not None
    assert (seen["api"].dry_run.diff, seen["api"].stable_version) == ("Added", None)


def test_the_stable_version_is_asked_for_only_where_an_unchanged_job_failed() -> None:
    nomad = cluster()
    for name, script in (("good", well()), ("bad", fails())):
        nomad.has(rendered(name, Meta={"release": "1"}))
        nomad.has(rendered(name), script)
    _, seen = observe_jobs({name: rendered(name) for name in ("good", "bad", "new")}, located({}), nomad)
    assert nomad.called("stable_version") == ["bad"]
    assert (seen["bad"].stable_version, seen["good"].stable_version) == (0, None)


def test_every_job_that_nomad_refuses_is_told_at_once() -> None:
    nomad = cluster()
    nomad.refuse("dry_run", "a", Invalid("group has no task"))
    nomad.refuse("dry_run", "c", Invalid("job datacenters must be set"))
    with pytest.raises(DeclarationError) as caught:
        observe_jobs({name: rendered(name) for name in ("a", "b", "c")}, located({}), nomad)
    assert [(fault.code, fault.problem) for fault in caught.value.faults] == [
        ("job-invalid", "Nomad refuses job 'a': group has no task"),
        ("job-invalid", "Nomad refuses job 'c': job datacenters must be set"),
    ]


def scaled(policy: Any, count: int) -> dict[str, Any]:
    spec = job_spec("api", count=count, groups=("scaled", "fixed"))
    spec["TaskGroups"][0]["Scaling"] = policy
    return spec


@pytest.mark.parametrize(
    ("policy", "count"), [({"Min": 1, "Max": 9}, 5), ({"Enabled": True}, 5), ({"Enabled": False}, 2), (None, 2), ({}, 2)]
)
def test_a_count_that_an_autoscaler_owns_is_kept_as_it_is_and_is_no_drift(policy: Any, count: int) -> None:
    nomad = cluster()
    nomad.has(rendered_from("api", scaled(policy, 2)))
    nomad.somebody_scales(JobRef("default", "api"), "scaled", 5)
    jobs, seen = observe_jobs({"api": rendered_from("api", scaled(policy, 2))}, located({}), nomad)
    assert [group["Count"] for group in jobs["api"].spec["TaskGroups"]] == [count, 2]
    assert seen["api"].dry_run is not None
    assert seen["api"].dry_run.diff == ("None" if count == 5 else "Edited")


def test_a_group_that_is_new_to_the_job_keeps_its_own_count() -> None:
    nomad = cluster()
    nomad.has(rendered("api"))
    spec = job_spec("api", count=3, groups=("fresh",))
    spec["TaskGroups"][0]["Scaling"] = {"Max": 9}
    jobs, _ = observe_jobs({"api": rendered_from("api", spec)}, located({}), nomad)
    assert jobs["api"].spec["TaskGroups"][0]["Count"] == 3


def test_a_job_whose_counts_stay_is_sent_as_it_was_parsed() -> None:
    nomad = cluster()
    nomad.has(rendered("api"))
    job = rendered("api")
    assert observe_jobs({"api": job}, located({}), nomad)[0]["api"] is job


def test_looking_again_sees_what_is_there_now() -> None:
    nomad = cluster()
    job = rendered("api")
    assert look_again(job, nomad).snapshot.job is None
    nomad.has(job)
    assert look_again(job, nomad).snapshot.job is not None


def test_reading_what_is_stored_asks_for_no_plan_and_for_children_only_when_told() -> None:
    nomad = cluster()
    parent = rendered("nightly", "batch", Periodic={"Spec": "@daily"})
    nomad.has(parent)
    nomad.has(rendered("api"))
    child = nomad.launch_child(parent.ref, "periodic-1", well(3600.0))
    jobs = {"nightly": parent, "api": rendered("api")}
    with_children = read_stored(jobs, nomad, children=True)
    assert (with_children["nightly"].children, with_children["api"].children) == ((child,), ())
    assert read_stored(jobs, nomad, children=False)["nightly"].children == ()
    assert nomad.called("dry_run") == []
    assert nomad.called("children") == ["nightly"]


def test_what_nomad_says_of_a_rendered_file_is_told_as_that_because_its_lines_are_not_those_of_the_template() -> None:
    cluster = FakeCluster(FakeClock())
    cluster.refuse("parse", "jobs/api.nomad", Invalid("input.hcl:2,11-14: Invalid expression; Expected the start of an expression."))
    rendered = JobText("jobs/api.nomad", 'job "api" {\n  count = \n}', b'job "api" {\n  count = [[ count ]]\n}')
    with pytest.raises(DeclarationError) as caught:
        parsed({"api": rendered}, {"api": Entry("api")}, cluster, namespace="")
    assert "as it is rendered (`nomad-dtree render api` shows the line)" in caught.value.faults[0].problem


def test_a_value_that_nomad_does_not_take_is_told_where_it_was_given_and_its_secrets_are_not_submitted() -> None:
    source = 'variable "count" { type = number }\njob "api" { }'
    origin = Origin("--var-file", Place("staging.yaml", 3, 1, "count"))
    given = {"count": Given("many", origin, is_text=True, secret=True)}
    text = JobText("jobs/api.nomad", source, source.encode(), given=given, variables='count = "many"\n')
    job = parsed({"api": text}, {"api": Entry("api")}, cluster(), namespace="")["api"]
    assert job.variables == "# count is secret and not shown\n"
    wrong = (
        "input.hcl:1,9-15: Invalid value for variable; The value for count is not compatible with the variable's type constraint: a number."
    )
    nomad = cluster()
    nomad.refuse("parse", "jobs/api.nomad", Invalid(wrong))
    with pytest.raises(DeclarationError) as caught:
        parsed({"api": text}, {"api": Entry("api")}, nomad, namespace="")
    (fault,) = caught.value.faults
    assert (fault.code, fault.place) == ("bad-variable-value", origin.place)
    assert "variable 'count' of job 'api', given by --var-file" in fault.problem

"""Where jobs live: what file, entry and connection say of it, and what is told where there is no such place."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from dtree import depfile, graph
from dtree.errors import DeclarationError, Fault
from dtree.location import Locations, settle_regions
from dtree.model import JobRef, RenderedJob
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster
from tests.fakes.jobs import rendered
from tests.fakes.world import World

FILE = """
defaults:
  namespace: shop
  region: eu
dependencies:
  api: {}
  db:
    namespace: data
    region: us
  web:
"""


def locations(text: str = FILE, namespace: str = "") -> Locations:
    declaration = depfile.parse("dependency.yaml", text.encode(), title="it")
    return Locations(graph.build(declaration, ()).entries, declaration.locator, namespace)


def job(name: str, text: str = "", **spec: Any) -> RenderedJob:
    """A job as it is parsed from a file in the store."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return RenderedJob(name, JobRef("default", name), f"{name}.nomad", text, "hcl2", spec, template_digest=digest)


def faults_of(world: World, *goals: str, **intent: Any) -> list[Fault]:
    with pytest.raises(DeclarationError) as caught:
        world.plan(*goals, **intent)
    return list(caught.value.faults)


def test_the_file_beats_the_entry_and_the_entry_the_defaults() -> None:
    known = locations(namespace="asked")
    assert known.ref("db", "db-1", namespace="mine", region="north") == JobRef("mine", "db-1", "north")
    assert known.ref("db", "db-1") == JobRef("data", "db-1", "us")
    assert known.ref("api", "api") == JobRef("shop", "api", "eu")
    assert locations("dependencies: {api: {}}", "asked").ref("api", "api") == JobRef("asked", "api")
    assert locations("dependencies: {api: {}}").ref("api", "api") == JobRef("default", "api")


@pytest.mark.parametrize(
    ("name", "key", "shown"),
    [
        ("db", "namespace", "dependency.yaml:8:16, dependencies.db.namespace"),
        ("db", "region", "dependency.yaml:9:13, dependencies.db.region"),
        ("api", "namespace", "dependency.yaml:3:14, defaults.namespace"),
        ("web", "region", "dependency.yaml:4:11, defaults.region"),
    ],
)
def test_the_place_of_a_key_is_that_of_the_entry_or_of_the_defaults(name: str, key: str, shown: str) -> None:
    assert str(locations().place(job(name), key)) == shown


def test_what_nobody_says_has_no_place() -> None:
    assert locations("dependencies: {api: {}}").place(job("api"), "namespace") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('job "db" {\n  namespace = "mine"\n}', "db.nomad:2:3, namespace"),
        ('{"Job": {\n  "Namespace": "mine"}}', "db.nomad:2:3, namespace"),
        ('job "db" {\n  namespace = var.mine\n}', "db.nomad, namespace"),
    ],
)
def test_the_place_in_a_job_file_is_its_line(text: str, shown: str) -> None:
    assert str(locations().place(job("db", text, Namespace="mine"), "namespace")) == shown


def test_a_line_of_a_rendered_file_is_no_line_of_the_store() -> None:
    rendered_job = RenderedJob(
        "db", JobRef("mine", "db"), "db.nomad", 'namespace = "mine"', "hcl2", {"Namespace": "mine"}, template_digest="other"
    )
    assert str(locations().place(rendered_job, "namespace")) == "db.nomad, namespace"


# -- regions -----------------------------------------------------------------------------------------------------------


def test_each_region_is_looked_for_once_and_the_own_one_has_one_name() -> None:
    cluster = FakeCluster(FakeClock())
    jobs = {name: rendered(name, Region=region) for name, region in (("a", "global"), ("b", "eu"), ("c", "eu"), ("d", ""))}
    found, faults = settle_regions(jobs, locations(), cluster)
    assert faults == {}
    assert {name: one.ref.region for name, one in found.items()} == {"a": "", "b": "eu", "c": "eu", "d": ""}
    assert cluster.called("find_region") == ["eu", "global"]


def test_a_region_that_does_not_exist_is_told_of_each_job_with_its_place() -> None:
    world = World({"api": {"pre": "db", "region": "atlantis"}, "db": {"region": "atlantis"}})
    faults = faults_of(world, "api")
    assert [(one.code, one.problem) for one in faults] == [
        ("no-region", "job 'api' would be in region 'atlantis': No path to region 'atlantis'"),
        ("no-region", "job 'db' would be in region 'atlantis': No path to region 'atlantis'"),
    ]
    assert [one.place.key for one in faults if one.place] == ["dependencies.api.region", "dependencies.db.region"]
    assert {one.hint for one in faults} == {"the regions there are: eu, global"}
    assert world.cluster.changes == []


def test_an_external_job_in_a_region_that_does_not_exist_is_a_fault() -> None:
    world = World({"api": {"pre": {"job": "vault", "external": True}}, "vault": {"region": "atlantis"}})
    (fault,) = faults_of(world, "api")
    assert (fault.code, fault.place and fault.place.key) == ("no-region", "dependencies.vault.region")


def test_one_job_written_in_two_ways_is_one_job() -> None:
    world = World({"api": {"region": "global"}, "twin": {"file": "jobs/api.json"}})
    assert [fault.code for fault in faults_of(world, "api", "twin")] == ["same-job-id"]


def test_one_job_in_two_regions_is_two() -> None:
    world = World({"api": {"region": "global"}, "twin": {"file": "jobs/api.json", "region": "eu", "pre": "api"}})
    record = world.run("twin")
    assert record.exit_code == 0
    assert sorted(world.cluster.jobs) == [JobRef("default", "api"), JobRef("default", "api", "eu")]
    assert {space for space, _ in world.cluster.variables} == {"default", "default@eu"}


# -- namespaces --------------------------------------------------------------------------------------------------------


def test_a_namespace_is_looked_for_in_the_region_of_the_job() -> None:
    world = World({"api": {"namespace": "shop", "region": "eu"}, "db": {"namespace": "shop"}})
    world.cluster.no_namespaces.add("shop@eu")
    world.cluster.has(rendered("db", namespace="shop"))
    (fault,) = faults_of(world, "api", "db", verb="stop")
    assert fault.problem == "there is no namespace 'shop' in region 'eu', where job 'api' would be"
    assert fault.place is not None
    assert fault.place.key == "dependencies.api.namespace"
    assert fault.hint == "`nomad namespace list -region=eu` shows those there are, `nomad namespace apply -region=eu shop` makes it"

"""dtree.services: which services job files offer and look up, and the edges that are missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dtree import depfile
from dtree.errors import Fault, Place
from dtree.graph import DependencyGraph, build
from dtree.services import Lookup, MissingEdge, Services, fault_of, missing_edges, services_in_spec, services_in_text
from tests.fakes.jobs import job_spec

JOB = """
job "api" {
  group "main" {
    service {
      name = "api-${NOMAD_GROUP_NAME}"
      connect {
        sidecar_service {
          proxy {
            upstreams {
              destination_name = "auth"
            }
          }
        }
      }
    }
    service { name = "plain" }
    task "work" {
      service {
        name = "${BASE}"
        # name = "comment"
      }
      template {
        data = <<EOT
{{ range service "primary.db@dc1" }}{{ .Address }}{{ end }}
{{- with nomadService 1 $id "cache" }}{{ end }}
{{/* service "commented" */}} service "prose"
EOT
        destination = "local/config"
      }
      template { data = "{{ range nomadService \\"quoted\\" }}" }
      config {
        args = ["-db", "postgres.service.consul:5432", "v1.search.service.dc2.consul"]
      }
      env { BACKEND = "_worker._tcp.service.consul" } # old.service.consul
    }
  }
}
"""


def graph_of(dependencies: Any) -> DependencyGraph:
    return build(depfile.parse("dependency.json", json.dumps({"dependencies": dependencies}).encode(), title="shop"), ())


def names(services: Services) -> list[tuple[str, str]]:
    return [(one.name, one.way) for one in services.looked_up]


def offers(*offered: str) -> Services:
    return Services(frozenset(offered))


def looks(*names: str) -> Services:
    return Services(looked_up=tuple(Lookup(name, "in a template") for name in names))


def pairs(dependencies: Any, **services: Services) -> list[tuple[str, str]]:
    return [(one.job, one.offerer) for one in missing_edges(graph_of(dependencies), services)]


# -- job files ---------------------------------------------------------------------------------------------------------


def test_a_text_offers_the_services_of_its_groups_and_tasks() -> None:
    assert services_in_text(JOB).offered == {"api-main", "plain", "api-main-work"}


def test_a_text_looks_services_up_in_templates_as_upstreams_and_by_dns() -> None:
    assert names(services_in_text(JOB)) == [
        ("auth", "as an upstream"),
        ("primary.db@dc1", "in a template"),
        ("cache", "in a template"),
        ("quoted", "in a template"),
        ("postgres", "by Consul's DNS"),
        ("search", "by Consul's DNS"),
        ("worker", "by Consul's DNS"),
    ]


def test_a_lookup_knows_where_it_stands() -> None:
    found = {one.name: one.start for one in services_in_text(JOB).looked_up}
    for name, start in found.items():
        assert start is not None
        assert JOB[start:].startswith((name, f"v1.{name}", f"_{name}", f" {name}"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("db", ("db",)),
        ("primary.db", ("primary.db", "db")),
        ("db@dc1", ("db",)),
        ("primary.db@dc1~_agent", ("primary.db", "db")),
        ("db|any", ("db",)),
    ],
)
def test_a_name_may_have_a_tag_a_place_and_a_filter_around_it(written: str, meant: tuple[str, ...]) -> None:
    assert Lookup(written, "").services == meant


@pytest.mark.parametrize(
    "text",
    [
        'job "a" { group "g" { service { name = "${var.name}" } } }',
        'job "a" { group "g" { service { name = "${attr.unique.hostname}-x" } } }',
        'job "a" { group "g" { service { port = "http" } } }',
        'job "a" { group "g" { service { check { name = "alive" } } } }',
        'variable "name" { default = "x" }',
        'name = "db"',
        '"name" = ',
        "}}} ]",
        '{ "quoted" { x = "1" } }',
        'job "a" { meta = { name = "x", other = ["y", { z = "w" }] } }',
        "",
    ],
)
def test_what_only_nomad_can_tell_is_left_out(text: str) -> None:
    assert services_in_text(text) == Services()


def test_an_ingress_offers_nothing_by_naming_a_service() -> None:
    text = 'job "a" { group "g" { service { connect { gateway { ingress { listener { service { name = "web" } } } } } } } }'
    assert services_in_text(text) == Services()


def spec(**service: Any) -> dict[str, Any]:
    job = job_spec("api")
    job["TaskGroups"][0]["Services"] = [service]
    return job


def test_a_parsed_job_says_the_same() -> None:
    proxy = {"Upstreams": [{"DestinationName": "auth"}, {"DestinationName": "far", "DestinationPeer": "other"}]}
    job = spec(Name="${JOB}-web", Connect={"SidecarService": {"Proxy": proxy}})
    task = job["TaskGroups"][0]["Tasks"][0]
    task["Services"] = [{"Name": "", "Connect": None}, {"Name": "${attr.x}"}]
    task["Templates"] = [{"EmbeddedTmpl": '{{ range service "db" }}'}, {"EmbeddedTmpl": None}]
    task["Env"] = {"A": "cache.service.consul", "B": None}
    task["Config"] = {"args": ["x", "mail.service.consul"]}
    found = services_in_spec(job)
    assert found.offered == {"api-web", "api-main-work"}
    assert sorted(names(found)) == [
        ("auth", "as an upstream"),
        ("cache", "by Consul's DNS"),
        ("db", "in a template"),
        ("mail", "by Consul's DNS"),
    ]


def test_a_group_service_without_a_name_has_that_of_job_and_group() -> None:
    assert services_in_spec(spec(Connect={"SidecarService": None})).offered == {"api-main"}
    assert services_in_spec({}) == Services()


def test_the_json_of_nomads_api_is_read_without_nomad() -> None:
    job = spec(Name="web", Connect={"SidecarService": {"Proxy": {"Upstreams": [{"DestinationName": "auth"}]}}})
    text = json.dumps({"Job": job})
    (found,) = services_in_text(text).looked_up
    assert (found.name, text[found.start : (found.start or 0) + 4]) == ("auth", "auth")


@pytest.mark.parametrize("text", ['{"job": {"api": {}}}', '{"Job": []}', "{ no json"])
def test_json_that_is_no_job_of_the_api_is_left_to_nomad(text: str) -> None:
    assert services_in_text(text) == Services()


# -- edges -------------------------------------------------------------------------------------------------------------


def test_looking_up_what_nobody_waits_for_is_a_missing_edge() -> None:
    assert pairs({"api": {}, "db": {}}, api=looks("db"), db=offers("db")) == [("api", "db")]


def test_an_edge_that_is_there_directly_or_not_is_not_missing() -> None:
    assert pairs({"api": {"pre": "db"}, "db": {}}, api=looks("db"), db=offers("db")) == []
    assert pairs({"api": {"pre": "mid"}, "mid": {"pre": "db"}, "db": {}}, api=looks("db"), mid=Services(), db=offers("db")) == []


def test_what_a_job_offers_itself_and_what_nobody_offers_needs_no_edge() -> None:
    own = Services(frozenset({"api"}), (Lookup("api", ""), Lookup("elsewhere", "")))
    assert pairs({"api": {}, "db": {}}, api=own, db=offers("db", "api")) == []


def test_of_several_that_offer_it_one_is_enough() -> None:
    services = {"api": looks("db"), "blue": offers("db"), "green": offers("db")}
    assert pairs({"api": {"pre": "green"}, "blue": {}, "green": {}}, **services) == []
    assert pairs({"api": {}, "blue": {}, "green": {}}, **services) == [("api", "blue")]


def test_an_edge_that_would_close_a_circle_is_not_missing() -> None:
    assert pairs({"api": {"pre": "db"}, "db": {}}, api=offers("api"), db=looks("api")) == []
    services = {"api": offers("api"), "db": looks("api"), "other": offers("api")}
    assert pairs({"api": {"pre": "db"}, "db": {}, "other": {}}, **services) == [("db", "other")]


def test_a_pair_of_jobs_is_told_once() -> None:
    assert pairs({"api": {}, "db": {}}, api=looks("db", "replica.db", "db2"), db=offers("db", "db2")) == [("api", "db")]


# -- telling -----------------------------------------------------------------------------------------------------------


def told(source: str, template: str, *, start: bool = True) -> Fault:
    at = source.index("db") if start else None
    return fault_of(MissingEdge("api", "pg", Lookup("db", "in a template", at)), "jobs/api.nomad", source, template)


def test_a_missing_edge_names_the_place_and_the_edge() -> None:
    fault = told("a\n  service db\n", "a\n  service db\n")
    assert fault == Fault(
        "missing-edge",
        "'api' looks up 'db' in a template, which 'pg' offers, and does not wait for it",
        Place("jobs/api.nomad", 2, 11),
        "add 'pg' to 'pre' of 'api'",
    )


def test_of_a_rendered_file_the_line_of_the_template_is_told_where_it_is_sure() -> None:
    assert told("a\nb\nservice db\n", "[% x %]\nservice db\n").place == Place("jobs/api.nomad", 2, 9)
    assert told("service db\n", "service [[ x ]]\n").place == Place("jobs/api.nomad")
    assert told("service db\n", "service db\nservice db\n").place == Place("jobs/api.nomad")


def test_what_nomad_parsed_is_looked_for_in_the_text() -> None:
    assert told("dbx\nservice db\n", "dbx\nservice db\n", start=False).place == Place("jobs/api.nomad", 2, 9)
    assert told("x\n", "x\n", start=False).place == Place("jobs/api.nomad")

from __future__ import annotations

from typing import Any

import pytest

from dtree.conditions import fit, leaves, longest_s, misfit, what_lasts, without_seconds
from dtree.declaration import Condition, HttpProbe, LogProbe, Probe, ServiceProbe, TcpProbe
from dtree.model import RenderedJob
from tests.fakes.jobs import rendered_from

URL = HttpProbe(url="http://db.example:8080/up?token=s3cret")
MAIN = {"Name": "main", "Services": [{"Name": "${JOB}-admin"}], "Resources": {"Networks": [{"ReservedPorts": [{"Label": "admin"}]}]}}
SIDE = {"Name": "side", "Lifecycle": {"Hook": "prestart", "Sidecar": True}}


def job(*tasks: dict[str, Any], services: tuple[dict[str, Any], ...] = (), networks: tuple[dict[str, Any], ...] = ()) -> RenderedJob:
    groups = [{"Name": "g", "Tasks": list(tasks), "Services": list(services), "Networks": list(networks)}]
    return rendered_from("shop", {"ID": "shop", "Name": "shop", "TaskGroups": groups})


def asks(probe: Probe) -> Condition:
    name: Any = {ServiceProbe: "service", HttpProbe: "http", TcpProbe: "tcp", LogProbe: "log"}[type(probe)]
    return Condition(name, probe=probe)


def of(name: Any, *parts: Condition, timeout_s: float | None = None) -> Condition:
    return Condition(name, timeout_s=timeout_s, parts=parts)


TREE = of("all", Condition("healthy"), of("any", asks(URL), Condition("started", seconds=3, timeout_s=90)), asks(LogProbe("up", "main")))


# -- in words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (asks(ServiceProbe("web")), "1 instance of service web passing"),
        (asks(ServiceProbe("web", 3)), "3 instances of service web passing"),
        (asks(HttpProbe("http", "/up", 204)), "http 204 from port http /up"),
        (asks(URL), "http 200 from http://db.example:8080/up"),
        (asks(TcpProbe("db")), "tcp connection to port db"),
        (asks(TcpProbe(target="[::1]:5432")), "tcp connection to [::1]:5432"),
        (asks(LogProbe("up$")), "a line matching /up$/"),
        (asks(LogProbe("a" * 100)), f"a line matching /{'a' * 59}…/"),
        (asks(LogProbe("up$", "main")), "a line of task main matching /up$/"),
        (
            TREE,
            "all of (healthy, any of (http 200 from http://db.example:8080/up, 3 s after start), a line of task main matching /up/)",
        ),
    ],
)
def test_a_condition_is_shown_in_words_and_without_what_may_be_secret(condition: Condition, words: str) -> None:
    assert str(condition) == words
    assert "s3cret" not in repr(condition)


# -- its parts ---------------------------------------------------------------------------------------------------------


def test_the_leaves_of_a_condition_are_its_parts_all_the_way_down() -> None:
    assert [leaf.name for leaf in leaves(TREE)] == ["healthy", "http", "started", "log"]
    assert list(leaves(Condition())) == [Condition()]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [(Condition(), None), (TREE, 90), (of("any", TREE, timeout_s=5), 5), (of("all", Condition(), Condition()), None)],
)
def test_the_longest_wait_is_the_conditions_own_or_that_of_its_longest_part(condition: Condition, expected: float | None) -> None:
    assert longest_s(condition) == expected


def test_seconds_are_read_as_until_ready_wherever_they_stand() -> None:
    assert [leaf.name for leaf in leaves(without_seconds(TREE))] == ["healthy", "http", "ready", "log"]


def test_what_others_answered_has_to_stay_started_and_no_part_has_a_limit_left() -> None:
    lasts = what_lasts(TREE)
    assert [leaf.name for leaf in leaves(lasts)] == ["healthy", "started", "started", "started"]
    assert longest_s(lasts) is None


# -- what the job file settles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        (({"Name": "web", "Provider": "nomad"}, {"Name": "other", "Provider": "consul"}), "nomad"),
        (({"Name": "web", "Provider": "consul"}, {"Name": "other", "Provider": "nomad"}), "consul"),
        (({"Name": "web"},), "consul"),
        (({"Name": "web-${NOMAD_ALLOC_INDEX}", "Provider": "nomad"},), "nomad"),
        ((), "consul"),
    ],
)
def test_the_provider_of_a_service_is_the_one_that_the_job_file_names(services: tuple[dict[str, Any], ...], expected: str) -> None:
    probe = fit(asks(ServiceProbe("web")), job(services=services)).probe
    assert isinstance(probe, ServiceProbe)
    assert probe.provider == expected


def test_what_the_condition_says_itself_stays() -> None:
    said = of("all", asks(ServiceProbe("web", provider="nomad")), asks(LogProbe("up", "side")), asks(URL), Condition())
    assert fit(said, job(MAIN, SIDE, services=({"Name": "web"},))) == said


def test_the_only_main_task_is_the_one_whose_log_is_meant() -> None:
    assert fit(of("any", asks(LogProbe("up"))), job(SIDE, MAIN)) == of("any", asks(LogProbe("up", "main")))


@pytest.mark.parametrize("tasks", [(), (MAIN, {"Name": "other"})])
def test_of_several_tasks_or_none_no_log_is_meant(tasks: tuple[dict[str, Any], ...]) -> None:
    assert fit(asks(LogProbe("up")), job(*tasks)) == asks(LogProbe("up"))


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (ServiceProbe("web"), None),
        (ServiceProbe("shop-admin"), None),
        (ServiceProbe("wep"), ("the job has no service 'wep'", "it has shop-admin, web")),
        (HttpProbe("http", "/"), None),
        (TcpProbe("admin"), None),
        (TcpProbe("db"), ("the job has no port 'db'", "it has admin, http")),
        (HttpProbe("db", "/"), ("the job has no port 'db'", "it has admin, http")),
        (URL, None),
        (TcpProbe(target="h:1"), None),
        (LogProbe("up", "side"), None),
        (LogProbe("up", "it"), ("the job has no task 'it'", "it has main, side")),
        (LogProbe("up"), ("whose log is meant is not said, and it is not the only task", "add 'task', one of main, side")),
    ],
)
def test_what_the_job_file_does_not_have_cannot_be_asked_for(probe: Probe, expected: tuple[str, str] | None) -> None:
    shop = job(MAIN, SIDE, services=({"Name": "web"},), networks=({"DynamicPorts": [{"Label": "http"}]},))
    assert misfit(asks(probe), shop) == expected


def test_a_job_without_any_is_told_to_add_one() -> None:
    assert misfit(asks(TcpProbe("db")), job()) == ("the job has no port 'db'", "it has no ports at all: add one to the job file")


@pytest.mark.parametrize("service", [{"Name": "web-${NOMAD_ALLOC_INDEX}"}, {}])
def test_a_service_whose_name_only_the_node_knows_may_be_the_one(service: dict[str, Any]) -> None:
    assert misfit(asks(ServiceProbe("web-0")), job(services=(service,))) is None


def test_of_a_job_without_a_file_of_ours_only_the_task_has_to_be_said() -> None:
    external = rendered_from("vault", {"ID": "vault", "Type": "service"})
    assert misfit(asks(ServiceProbe("vault")), external) is None
    assert misfit(asks(LogProbe("up", "main")), external) is None
    assert misfit(asks(LogProbe("up")), external) == ("whose log is meant is not said, and it is not the only task", "add 'task'")


def test_a_named_condition_fits_every_job() -> None:
    assert misfit(Condition("healthy"), job()) is None

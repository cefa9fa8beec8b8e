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


def group(name: str, *, count: int | None = 1, **more: Any) -> dict[str, Any]:
    """A group with one task that offers a service and, unless it says otherwise, has the port `http`."""
    task = {"Name": f"{name}-task", "Services": [{"Name": "web", "Provider": "nomad"}]}
    return {"Name": name, "Count": count, "Tasks": [task], "Networks": [{"DynamicPorts": [{"Label": "http"}]}], **more}


def of_groups(*groups: dict[str, Any], type_: str = "service") -> RenderedJob:
    return rendered_from("shop", {"ID": "shop", "Name": "shop", "Type": type_, "TaskGroups": list(groups)})


SCALED: Any = {"Scaling": {"Min": 0, "Max": 5}}
SILENT: Any = {"Tasks": [{"Name": "a-task", "LogConfig": {"Disabled": True}}]}


@pytest.mark.parametrize(
    ("probe", "shop", "reason"),
    [
        (
            TcpProbe("http"),
            of_groups(group("a"), group("b", Networks=[])),
            "every allocation is asked at port 'http', and group 'b' has none",
        ),
        (
            HttpProbe("http", "/"),
            of_groups(group("a"), group("b", Networks=[]), group("c", Networks=[], **SCALED)),
            "every allocation is asked at port 'http', and groups 'b' and 'c' have none",
        ),
        (TcpProbe("http"), of_groups(group("a", count=None), group("b", count=0, Networks=[])), None),
        (TcpProbe("http"), of_groups(group("a", count=0)), None),
        (ServiceProbe("web"), of_groups(group("a", count=0, **SCALED)), None),
        (TcpProbe(target="h:1"), of_groups(group("a", count=0)), None),
        (ServiceProbe("web", provider="nomad"), of_groups(group("a")), None),
        (ServiceProbe("web", provider="consul"), of_groups(group("a")), "service 'web' is one of nomad, not of consul"),
        (ServiceProbe("web", 2), of_groups(group("a"), group("b")), None),
        (
            ServiceProbe("web", 2),
            of_groups(group("a"), group("b", Tasks=[])),
            "2 instances of service 'web' are asked for, and the job has 1",
        ),
        (ServiceProbe("web", 9), of_groups(group("a"), group("b", **SCALED)), None),
        (
            ServiceProbe("web", 2),
            of_groups(group("a", Scaling={"Enabled": False})),
            "2 instances of service 'web' are asked for, and the job has 1",
        ),
        (ServiceProbe("web", 9), of_groups(group("a"), type_="system"), None),
        (
            ServiceProbe("web"),
            of_groups(group("a", count=0), group("b", Tasks=[])),
            "its count is 0, so that there is nothing to meet: 1 instance of service web passing",
        ),
        (LogProbe("up", "a-task"), of_groups(group("a")), None),
        (LogProbe("up", "a-task"), of_groups(group("a", **SILENT)), "task 'a-task' has its logs disabled"),
        (LogProbe("up", "a-task"), of_groups(group("a", **SILENT), group("a")), None),
        (
            LogProbe("up", "a-task"),
            of_groups(group("a", count=0), group("b")),
            "its count is 0, so that there is nothing to meet: a line of task a-task matching /up/",
        ),
    ],
)
def test_what_a_job_has_but_not_so_or_not_enough_of_cannot_be_asked_for(probe: Probe, shop: RenderedJob, reason: str | None) -> None:
    found = misfit(asks(probe), shop)
    assert (found and found[0]) == reason


def test_of_services_whose_names_only_the_node_knows_nothing_is_counted() -> None:
    services = [{"Name": "web", "Provider": "nomad"}, {"Name": "web-${NOMAD_ALLOC_INDEX}"}]
    assert misfit(asks(ServiceProbe("web", 3, provider="consul")), of_groups(group("a", Services=services))) is None


def test_a_job_without_any_is_told_to_add_one() -> None:
    assert misfit(asks(TcpProbe("db")), job()) == ("the job has no port 'db'", "it has no ports at all: add one to the job file")


@pytest.mark.parametrize("service", [{"Name": "web-${NOMAD_ALLOC_INDEX}"}, {}])
def test_a_service_whose_name_only_the_node_knows_may_be_the_one(service: dict[str, Any]) -> None:
    assert misfit(asks(ServiceProbe("web-0")), job(services=(service,))) is None


def test_of_a_job_without_a_file_of_ours_only_the_task_has_to_be_said() -> None:
    external = rendered_from("vault", {"ID": "vault", "Type": "service"})
    assert misfit(asks(ServiceProbe("vault")), external) is None
    assert misfit(asks(LogProbe("up", "main")), external) is None
    assert misfit(asks(LogProbe("up")), external) == (
        "whose log is meant is not said, and the job is not there to tell its tasks",
        "add 'task'",
    )


def test_a_named_condition_fits_every_job() -> None:
    assert misfit(Condition("healthy"), job()) is None

"""Which names mean the agent's own region, against an HTTP server on loopback that knows the leader of each."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

import pytest

from dtree.access.nomad import Connection, NomadClient
from dtree.cluster.regions import Regions
from dtree.errors import Invalid
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import serving

HOME, ABROAD = '"10.0.0.1:4647"', '"10.0.1.1:4647"'


class Leaders(BaseHTTPRequestHandler):
    """Answers with the leader of the region that is asked for."""

    known: dict[str, str]
    listed = '["global", "eu"]'
    asked: list[str]

    def do_GET(self) -> None:
        path, region = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query)).get("region", "")
        self.asked.append(path.removeprefix("/v1/status/leader") or region)
        body = self.known.get(region, "No path to region") if path == "/v1/status/leader" else self.listed
        self.send_response(200 if region in self.known else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def leaders() -> Iterator[tuple[str, type[Leaders]]]:
    handler = type("Handler", (Leaders,), {"known": {"": HOME, "global": HOME, "eu": ABROAD}, "asked": []})
    with serving(handler) as address:
        yield address, handler


Served = tuple[str, type[Leaders]]


def regions(leaders: Served, own: str = "") -> Regions:
    time = FakeClock()
    return Regions(NomadClient(Connection(address=leaders[0], region=own), now_s=time.now_s, pause=time.pause))


def test_where_nobody_names_a_region_nobody_is_asked(leaders: Served) -> None:
    assert regions(leaders).find("") == ""
    assert leaders[1].asked == []


@pytest.mark.parametrize(
    ("own", "name", "found"),
    [
        ("", "global", ""),
        ("", "eu", "eu"),
        ("global", "", ""),
        ("global", "global", ""),
        ("global", "eu", "eu"),
        ("eu", "", ""),
        ("eu", "eu", ""),
        ("eu", "global", "global"),
    ],
)
def test_a_region_has_one_name(leaders: Served, own: str, name: str, found: str) -> None:
    assert regions(leaders, own).find(name) == found


def test_a_region_is_asked_for_once(leaders: Served) -> None:
    known = regions(leaders)
    assert (known.find("eu"), known.find("eu")) == ("eu", "eu")
    assert leaders[1].asked == ["eu", ""]


def test_the_agents_region_may_have_any_name(leaders: Served) -> None:
    leaders[1].known = {"": HOME, "us": HOME}
    assert regions(leaders).find("us") == ""


def test_regions_without_a_leader_are_not_taken_for_one(leaders: Served) -> None:
    leaders[1].known = {"": '""', "us": '""'}
    assert regions(leaders).find("us") == "us"


@pytest.mark.parametrize(("own", "name"), [("", "nowhere"), ("nowhere", "")])
def test_a_region_that_there_is_no_way_to_is_refused(leaders: Served, own: str, name: str) -> None:
    with pytest.raises(Invalid, match="No path to region 'nowhere'") as caught:
        regions(leaders, own).find(name)
    assert caught.value.error_code == "no-region"
    hint = "the regions there are: eu, global"
    assert caught.value.hint == (f"{hint}; check --region and NOMAD_REGION" if own else hint)


def test_a_region_that_is_nearly_there_is_suggested(leaders: Served) -> None:
    leaders[1].listed = '["global", "europe-north"]'
    with pytest.raises(Invalid) as caught:
        regions(leaders).find("europe-nord")
    assert caught.value.hint == "did you mean 'europe-north'? the regions there are: europe-north, global"


def test_where_the_regions_cannot_be_listed_the_command_for_it_is_told(leaders: Served) -> None:
    leaders[1].listed = "<html>"
    with pytest.raises(Invalid, match="No path to region 'nowhere'") as caught:
        regions(leaders).find("nowhere")
    assert caught.value.hint == "`nomad server members -detailed` lists the regions there are"


def test_global_is_the_agents_region_where_there_is_none_of_that_name(leaders: Served) -> None:
    leaders[1].known = {"": HOME, "us": HOME}
    assert regions(leaders).find("global") == ""
    with pytest.raises(Invalid, match="No path to region 'global'"):
        regions(leaders, "us").find("global")


@pytest.mark.parametrize(("own", "name"), [("", "global"), ("global", ""), ("us", "global")])
def test_global_is_refused_where_it_is_another_region_than_the_agents(leaders: Served, own: str, name: str) -> None:
    leaders[1].known = {"": HOME, "us": HOME, "global": ABROAD}
    with pytest.raises(Invalid, match="would put a job of region 'global' into its own region") as caught:
        regions(leaders, own).find(name)
    assert "--server-addr" in caught.value.hint

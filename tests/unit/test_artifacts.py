"""Which artifacts a plan asks for, by which addresses, and what the answers come to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from dtree.access.web import Web
from dtree.artifacts import Answer, Checked, Source, check, refuse_missing, settled, sources_of
from dtree.declaration import Condition
from dtree.errors import DeclarationError, NotAnswered
from dtree.model import JobRef, RenderedJob
from dtree.plan import Action, Change, Evaluate, Noop, Plan, Refuse, Register, Rerun, Step
from dtree.views.artifacts_text import artifacts_picture, artifacts_text
from dtree.views.style import PLAIN
from tests.fakes.artifact_server import FileServer, Page, file_server, file_server_with_tls, registry
from tests.fakes.clock import FakeClock
from tests.fakes.http_server import serving


def task(*artifacts: Mapping[str, Any], name: str = "work", driver: str = "raw_exec", **config: Any) -> dict[str, Any]:
    return {"Name": name, "Driver": driver, "Config": config, "Artifacts": [*artifacts]}


def artifact(source: str, **more: Any) -> dict[str, Any]:
    return {"GetterSource": source, "GetterOptions": None, "GetterHeaders": None, "GetterMode": "any", **more}


def step(name: str, *tasks: Mapping[str, Any], action: Action | None = None, change: Change = "create") -> Step:
    spec = {"ID": name, "TaskGroups": [{"Name": "main", "Tasks": [*tasks]}]}
    job = RenderedJob(name=name, ref=JobRef("default", name), file=f"jobs/{name}.nomad", text="", format="hcl2", spec=spec)
    return Step(job, action or Register(0), change, "", (), Condition(), 60.0)


def plan(*steps: Step) -> Plan:
    return Plan("run", "shop", "filesystem", "1", (), steps)


def only(*tasks: Mapping[str, Any]) -> Source:
    """The one source of a job with these tasks."""
    (source,) = sources_of(plan(step("api", *tasks)))
    return source


def ask(*tasks: Mapping[str, Any], known: Mapping[Source, Answer] | None = None) -> tuple[Checked, ...]:
    clock = FakeClock()
    return check(plan(step("api", *tasks)), now_s=clock.now_s, pause=clock.pause, known=known)


def answer(*tasks: Mapping[str, Any]) -> Answer:
    (checked,) = ask(*tasks)
    return checked.answer


@pytest.fixture
def files() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


# -- what is asked for --------------------------------------------------------------------------------------------------------------


def test_only_jobs_that_will_be_registered_are_asked_about() -> None:
    actions: dict[str, tuple[Action, Change]] = {
        "new": (Register(0), "create"),
        "changed": (Register(7), "update"),
        "replaced": (Register(7), "replace"),
        "again": (Rerun("purge", 1), "rerun"),
        "same": (Noop(1), "noop"),
        "looked-at": (Evaluate(1), "evaluate"),
        "impossible": (Refuse("no", "no"), "rerun"),
    }
    steps = [step(name, task(artifact(f"http://h/{name}")), action=action, change=change) for name, (action, change) in actions.items()]
    assert [source.address for source in sources_of(plan(*steps))] == [
        f"http://h/{name}" for name in ("new", "changed", "replaced", "again")
    ]


def test_a_source_that_many_tasks_fetch_is_one() -> None:
    both = task(artifact("http://h/x"), name="one"), task(artifact("http://h/x"), artifact("http://h/y"), name="two")
    found = sources_of(plan(step("a", *both), step("b", task(artifact("http://h/x")))))
    assert {source.address: [(use.job, use.task) for use in uses] for source, uses in found.items()} == {
        "http://h/x": [("a", "main/one"), ("a", "main/two"), ("b", "main/work")],
        "http://h/y": [("a", "main/two")],
    }


@pytest.mark.parametrize(
    ("source", "options", "url"),
    [
        ("https://h.example/app.tgz", {}, "https://h.example/app.tgz"),
        ("http::https://h.example/app", {}, "https://h.example/app"),
        ("https::https://h.example/app", {}, "https://h.example/app"),
        ("https://h.example/app.zip?archive=false&checksum=md5:1&filename=x&v=2", {}, "https://h.example/app.zip?v=2"),
        ("https://h.example/app", {"checksum": "sha256:1", "token": "t"}, "https://h.example/app?token=t"),
        ("https://h.example/app?v=1", {"v": "2"}, "https://h.example/app?v=2"),
        ("https://h.example/a?v=1&v=2&sig=a%2Fb%3D", {}, "https://h.example/a?sig=a%2Fb%3D&v=1&v=2"),
        ("https://h.example/app.tgz//bin", {}, "https://h.example/app.tgz"),
        ("https://h.example/app.tgz//bin/x?v=1", {}, "https://h.example/app.tgz?v=1"),
        ("https://h.example/app?to=http://other//x", {}, "https://h.example/app?to=http%3A%2F%2Fother%2F%2Fx"),
        ("https://me:pw@h.example/app", {}, "https://me:pw@h.example/app"),
        ("https://h.example/a.zip/", {"archive": "zip"}, "https://h.example/a.zip/"),
    ],
)
def test_what_is_the_getters_own_is_taken_out_of_an_address(source: str, options: dict[str, str], url: str) -> None:
    found = only(task(artifact(source, GetterOptions=options)))
    assert (found.address, found.unasked) == (url, "")


@pytest.mark.parametrize(
    ("source", "more", "why"),
    [
        ("https://h/${NOMAD_META_version}.tgz", {}, "known only where the task runs"),
        ("https://h/x", {"GetterHeaders": {"X-Token": "${TOKEN}"}}, "known only where the task runs"),
        ("https://h/x", {"GetterOptions": {"v": "${NOMAD_META_v}"}}, "known only where the task runs"),
        ("git::https://h/x.git", {}, "git:: is not asked"),
        ("s3::https://s3.amazonaws.com/b/k", {}, "s3:: is not asked"),
        ("gcs::https://www.googleapis.com/storage/v1/b/k", {}, "gcs:: is not asked"),
        ("hg::http://h/x", {}, "hg:: is not asked"),
        ("file:///etc/hosts", {}, "file: is not asked"),
        ("github.com/hashicorp/nomad", {}, "it has no scheme"),
        ("git@github.com:hashicorp/nomad.git", {}, "it has no scheme"),
        ("", {}, "it has no scheme"),
        ("https://", {}, "no address of a web server"),
        ("https://h:99999/x", {}, "no address of a web server"),
        ("https://[::1/x", {}, "no address of a web server"),
        ("https://h/folder/", {}, "a folder is found by a page"),
        ("https://h/folder", {"GetterMode": "dir"}, "a folder is found by a page"),
    ],
)
def test_what_cannot_be_asked_for_is_told_with_the_reason(source: str, more: dict[str, Any], why: str) -> None:
    found = answer(task(artifact(source, **more)))
    assert found.state == "not checked"
    assert why in found.why


def test_an_archive_is_no_folder_whatever_the_mode() -> None:
    assert only(task(artifact("https://h/app.tar.gz", GetterMode="dir"))).unasked == ""
    assert only(task(artifact("https://h/app", GetterMode="dir", GetterOptions={"archive": "zip"}))).unasked == ""
    assert only(task(artifact("https://h/app.zip", GetterMode="dir", GetterOptions={"archive": "false"}))).unasked


@pytest.mark.parametrize(
    ("driver", "config", "why"),
    [
        ("docker", {"image": "app:${NOMAD_META_version}"}, "known only where the task runs"),
        ("docker", {"image": "app:1", "load": "app.tar"}, "loaded from a file of the task"),
        ("podman", {"image": "redis:7"}, "does not say which registry"),
        ("podman", {"image": "oci-archive:/local/x.tar"}, "oci-archive: is not asked"),
        ("docker", {"image": "NO"}, "no name of an image"),
    ],
)
def test_an_image_that_cannot_be_asked_for_is_told_with_the_reason(driver: str, config: dict[str, Any], why: str) -> None:
    found = answer(task(driver=driver, **config))
    assert found.state == "not checked"
    assert why in found.why


def test_an_image_is_that_of_drivers_that_run_containers() -> None:
    assert (
        sources_of(plan(step("api", task(driver="raw_exec", image="redis:7"), task(driver="docker"), task(driver="docker", image=7)))) == {}
    )
    assert only(task(driver="podman", image="docker://docker.io/library/redis:7")).address == "docker.io/library/redis:7"
    assert only(task(driver="docker", image="redis:7")).shown == "redis:7"


# -- what the answers come to -------------------------------------------------------------------------------------------------------


def test_a_file_that_is_there_is_not_fetched(files: FileServer) -> None:
    files.pages["/app"] = Page()
    assert answer(task(artifact(f"{files.address}/app"))) == Answer("there")
    assert files.methods("/app") == ["HEAD"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there_is_missing(files: FileServer, status: int) -> None:
    files.pages["/app"] = Page(get=status)
    assert answer(task(artifact(f"{files.address}/app"))) == Answer("missing", str(status))


@pytest.mark.parametrize("head", [403, 404, 405, 501, 0])
def test_a_server_that_knows_no_head_is_asked_for_the_first_byte(files: FileServer, head: int) -> None:
    files.pages["/app"] = Page(head=head)
    assert answer(task(artifact(f"{files.address}/app"))) == Answer("there")
    assert files.methods("/app")[-1] == "GET"
    assert files.asked[-1].headers["Range"] == "bytes=0-0"


def test_an_empty_file_is_there(files: FileServer) -> None:
    files.pages["/app"] = Page(get=416, head=405)
    assert answer(task(artifact(f"{files.address}/app"))) == Answer("there")


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "it wants a login (401)"), (403, "it wants a login (403)"), (400, "it answered 400"), (503, "it answered 503")],
)
def test_any_other_answer_is_neither_yes_nor_no(files: FileServer, status: int, why: str) -> None:
    files.pages["/app"] = Page(get=status)
    assert answer(task(artifact(f"{files.address}/app"))) == Answer("not checked", why)


def test_what_passes_is_asked_again(files: FileServer) -> None:
    files.pages["/app"] = Page(get=503)
    answer(task(artifact(f"{files.address}/app")))
    assert len(files.methods("/app")) > 2


def test_a_server_that_is_not_there_is_not_checked() -> None:
    with file_server() as gone:
        address = gone.address
    assert answer(task(artifact(f"{address}/app"))) == Answer("not checked", "nothing listens there")


def test_headers_users_and_signed_queries_are_sent_and_shown_nowhere(files: FileServer) -> None:
    files.pages["/app"] = Page(wants={"X-Token": "hush", "Authorization": "Basic bWU6c2VjcmV0"}, wants_query="sig=signed", get=404)
    address = files.address.replace("http://", "http://me:secret@")
    found = ask(task(artifact(f"{address}/app?sig=signed&archive=false", GetterHeaders={"X-Token": "hush"})))
    assert [one.answer for one in found] == [Answer("missing", "404")]
    with pytest.raises(DeclarationError) as refused:
        refuse_missing(found)
    told = f"{found!r} {refused.value} {artifacts_text(found)}"
    assert f"{files.address}/app is not there (404)" in told
    assert [word for word in ("hush", "secret", "me:", "signed", "bWU6") if word in told] == []


def test_an_at_sign_in_a_path_is_shown() -> None:
    assert only(task(artifact("https://me:pw@npm.example/@scope/app.tgz"))).shown == "https://npm.example/@scope/app.tgz"
    assert only(task(artifact("git::me:pw@h.example:x//y"))).shown == "h.example:x//y"


def test_a_redirect_is_followed_and_takes_the_headers_along_on_the_same_host(files: FileServer) -> None:
    files.pages["/old"] = Page(get=302, location="/new")
    files.pages["/new"] = Page(wants={"X-Token": "hush"})
    assert answer(task(artifact(f"{files.address}/old", GetterHeaders={"X-Token": "hush"}))) == Answer("there")


def test_another_host_gets_no_headers_and_its_no_is_none(files: FileServer) -> None:
    with file_server() as other:
        other.pages["/there"] = Page()
        for name in ("there", "gone"):
            files.pages[f"/{name}"] = Page(get=307, location=f"{other.address}/{name}")
        headers = {"X-Token": "hush", "Authorization": "Bearer hush"}
        address = files.address.replace("http://", "http://me:secret@")
        there = answer(task(artifact(f"{address}/there", GetterHeaders=headers)))
        gone = answer(task(artifact(f"{address}/gone", GetterHeaders=headers)))
        plainly_gone = answer(task(artifact(f"{files.address}/gone")))
        assert [name for one in other.asked for name in one.headers if name in headers] == []
    assert there == Answer("there")
    assert gone == Answer("not checked", "another host that it leads to, and that was given no header of the job, answered 404")
    assert plainly_gone == Answer("missing", "404")


@pytest.mark.parametrize("target", ["/app", "ftp://h/x", "http://[::1", "mailto:x"])
def test_a_redirect_that_leads_nowhere_is_not_checked(files: FileServer, target: str) -> None:
    files.pages["/app"] = Page(get=302, location=target)
    assert answer(task(artifact(f"{files.address}/app"))).state == "not checked"
    assert len(files.asked) <= 2 * 11


def test_an_answer_is_not_awaited_longer_than_there_is_time() -> None:
    ended = threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            ended.wait()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Silent) as address:
        web = Web(now_s=time.monotonic, pause=time.sleep, until_s=time.monotonic() + 0.2)
        try:
            with pytest.raises(NotAnswered, match="it did not answer in time"):
                web.look_for(f"{address}/app", {})
        finally:
            ended.set()


def test_without_time_left_nobody_is_asked(files: FileServer) -> None:
    with pytest.raises(NotAnswered, match="no time was left to ask"):
        Web(now_s=lambda: 5.0, pause=time.sleep, until_s=5.0).look_for(f"{files.address}/app", {})
    assert files.asked == []


def test_a_header_that_cannot_be_sent_is_told_without_it(files: FileServer) -> None:
    found = answer(task(artifact(f"{files.address}/app", GetterHeaders={"X-Token": "hush\nhush"})))
    assert found.state == "not checked"
    assert "hush" not in found.why
    assert answer(task(artifact(f"{files.address}/app", GetterHeaders={"X-Token": "ключ"}))).state == "not checked"


def test_a_certificate_that_nobody_trusts_is_not_checked_unless_the_job_does_not_care(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("localhost")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    with file_server_with_tls(*files) as server, file_server() as plain:
        server.pages["/app"] = Page()
        server.pages["/down"] = Page(get=302, location=f"{plain.address}/app")
        plain.pages["/app"] = Page()
        checked = answer(task(artifact(f"{server.address}/app")))
        trusting = answer(task(artifact(f"{server.address}/app", GetterInsecure=True)))
        downwards = answer(task(artifact(f"{server.address}/down", GetterInsecure=True)))
        assert plain.asked == []
    assert checked == Answer("not checked", "no trust: its certificate is not signed by a known authority")
    assert trusting == Answer("there")
    assert downwards.state == "not checked"
    assert "leads from https to http" in downwards.why


def test_images_are_asked_for_in_their_registry() -> None:
    with registry() as server:
        server.push("team/app", "1")
        server.push("locked", "1")
        server.locked.add("locked")
        names = ("team/app:1", "team/app:2", "other:1", "locked:1")
        found = ask(*(task(driver="docker", image=f"{server.host}/{name}") for name in names))
        states = {one.source.shown.removeprefix(f"{server.host}/"): one.answer.state for one in found}
    assert states == {"team/app:1": "there", "team/app:2": "missing", "other:1": "missing", "locked:1": "not checked"}


def test_each_source_is_asked_once_and_what_is_known_not_at_all(files: FileServer) -> None:
    files.pages["/app"] = Page()
    both = task(artifact(f"{files.address}/app"), name="one"), task(artifact(f"{files.address}/app"), name="two")
    found = ask(*both)
    assert ask(*both, known=settled(found)) == found
    assert files.methods("/app") == ["HEAD"]


def test_what_is_missing_is_never_settled() -> None:
    source = Source("file", "http://h/x", "http://h/x")
    assert settled([Checked(source, (), Answer("missing", "404"))]) == {}


# -- how it is told -------------------------------------------------------------------------------------------------------------------


def _checked(*answers: Answer) -> list[Checked]:
    steps = [step("api", task(*(artifact(f"http://h/{number}") for number in range(len(answers)))))]
    return [Checked(source, uses, told) for (source, uses), told in zip(sources_of(plan(*steps)).items(), answers, strict=True)]


def test_all_that_is_missing_is_told_at_once_by_job_task_address_and_status() -> None:
    with pytest.raises(DeclarationError) as refused:
        refuse_missing(_checked(Answer("missing", "404"), Answer("there"), Answer("missing", "410")))
    assert [fault.sentence for fault in refused.value.faults] == [
        "job 'api', task main/work: http://h/0 is not there (404) (jobs/api.nomad)",
        "job 'api', task main/work: http://h/2 is not there (410) (jobs/api.nomad)",
    ]


def test_a_line_says_how_many_are_there_and_one_each_what_was_not_checked() -> None:
    assert artifacts_text([]) == "Artifacts: nothing to ask for."
    assert artifacts_text(_checked(Answer("there"))) == "Artifacts: 1 is there."
    assert artifacts_text(_checked(Answer("there"), Answer("not checked", "it wants a login (401)"), Answer("there"))).splitlines() == [
        "Artifacts: 2 are there, 1 not checked.",
        "  not checked: http://h/1 (api): it wants a login (401)",
    ]


def test_on_a_screen_no_more_lines_are_shown_than_there_is_room_for() -> None:
    many = _checked(*[Answer("not checked", "nothing listens there")] * 9)
    lines = artifacts_picture(many, 40, 4, PLAIN)
    assert len(lines) == 4
    assert lines[0] == "Artifacts: 9 not checked."
    assert "and 7 more" in lines[-1]
    assert max(map(len, lines)) < 40

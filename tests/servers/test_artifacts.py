"""`--check-artifacts` on a real Nomad: what is missing keeps all from being registered, what is there is what Nomad then fetches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.artifact_server import FileServer, Page, file_server, registry
from tests.servers.scenario import Scenario


@pytest.fixture
def files() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


def artifact(source: str, **more: str) -> str:
    lines = "".join(f"  {name} {value}\n" for name, value in more.items())
    return f'artifact {{\n  source = "{source}"\n{lines}}}'


def test_a_missing_artifact_keeps_everything_from_being_registered(scenario: Scenario, files: FileServer) -> None:
    scenario.mock("db")
    scenario.mock("api", task=artifact(f"{files.address}/app-1.4.2.tgz?token=hush"), pre="db")
    for command in ("plan", "run"):
        done = scenario.dtree(command, "api", "--check-artifacts")
        assert done.code == 1
        assert f"job 'api', task main/main: {files.address}/app-1.4.2.tgz is not there (404)" in done.stderr
        assert "hush" not in done.stdout + done.stderr
    assert scenario.registered() == {}


def test_what_was_asked_for_is_what_nomad_fetches(scenario: Scenario, files: FileServer) -> None:
    files.pages["/app"] = Page(wants={"X-Token": "hush"}, wants_query="build=7&v=1")
    source = f"{files.address}/app?v=1&archive=false"
    block = artifact(
        source, options='{\n build = "7"\n checksum = "md5:9144da26b6b58c823799dd4a8a884f26"\n}', headers='{\n X-Token = "hush"\n}'
    )
    scenario.shell("job", 'test "$(cat local/app)" = "the file"', type="batch", task=block, wait_cond="completed")
    done = scenario.dtree("run", "job", "--check-artifacts", "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert [one["state"] for event in done.of("artifacts-checked") for one in event["artifacts"]] == ["there"]
    ours, *nomads = files.asked
    assert ours.method == "HEAD"
    assert {one.target for one in nomads} == {ours.target}
    assert "GET" in {one.method for one in nomads}


def test_a_source_is_read_as_nomad_parses_the_job(scenario: Scenario, files: FileServer) -> None:
    sources = (
        "git::https://git.example/app.git",
        f"{files.address}/${{NOMAD_META_version}}.tgz",
        "s3::https://s3.amazonaws.com/b/k",
        "file:///x",
    )
    scenario.mock("api", task="\n".join(map(artifact, sources)))
    done = scenario.dtree("plan", "api", "--check-artifacts")
    assert done.code == 0, done.stderr
    assert done.stdout.count("not checked: ") == len(sources)
    assert "it is known only where the task runs" in done.stdout
    assert files.asked == []


def test_an_image_that_no_registry_has_keeps_everything_from_being_registered(scenario: Scenario) -> None:
    with registry() as server:
        server.push("team/app", "1")
        scenario.mock("there", f'image = "{server.host}/team/app:1"', driver="docker")
        scenario.mock("missing", f'image = "{server.host}/team/app:2"', driver="docker")
        done = scenario.dtree("run", "there", "missing", "--check-artifacts")
    assert done.code == 1
    assert done.stderr.count("error[") == 1
    assert f"job 'missing', task main/main: {server.host}/team/app:2 is not there" in done.stderr
    assert scenario.registered() == {}

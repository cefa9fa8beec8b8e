"""Which version each job has: who goes before whom, what sources say, and what a lock makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dtree.errors import DeclarationError, DtreeError, StoreError, StoreUnreachable, UsageError
from dtree.inputs import Inputs
from dtree.model import JobRef, RenderedJob
from dtree.render import Unanswered
from dtree.rendering import check, render_jobs
from dtree.sources import job_texts, read
from dtree.store import Commit
from dtree.values import Declared, Origin
from dtree.versions import OPTION, Versions
from dtree.versions_lock import images_of, lock_beside, pin_images, read_lock, write_lock
from tests.fakes.repositories import commit_files, git, make_repository
from tests.fakes.store import MemorySnapshot

ID = "9fceb02d0ae598e95dc970b74767f19372d61af8"
JOBS = {name: f'job "{name}" {{}}' for name in ("api", "web", "db")}


class Versioned(MemorySnapshot):
    """A store whose files are of a commit."""

    dirty = False
    asked = 0

    @property
    def commit(self) -> Commit:
        self.asked += 1
        return Commit(ID, "2026-03-01T12:00:00Z", "v1.2", is_dirty=self.dirty)

    def tag(self) -> str:
        return "v1.2"

    def describe(self) -> str:
        return "v1.2-3-g9fceb02"


def versions(
    depfile: Mapping[str, Any],
    *,
    inputs: Inputs | None = None,
    files: Mapping[str, Any] | None = None,
    jobs: Mapping[str, Any] = JOBS,
    store: type[MemorySnapshot] = Versioned,
    dirty: bool = False,
) -> Versions:
    snapshot = store({"dependencies": {}, **depfile}, jobs, files=files)
    if isinstance(snapshot, Versioned):
        snapshot.dirty = dirty
    asked = [name.partition(".")[0] for name in jobs]
    return Versions(read(snapshot, store="memory", asked=asked), inputs or Inputs())


def given(layer: str, folder: Path | None = None, **texts: str) -> dict[str, Declared]:
    return {job: Declared(text, Origin(layer), folder) for job, text in texts.items()}


def test_the_command_line_goes_before_the_store_and_the_store_before_its_dependency_file() -> None:
    depfile = {"defaults": {"version": "0"}, "dependencies": {"api": {"version": "1"}, "web": {"version": "1"}, "db": {"version": "1"}}}
    found = versions(depfile, files={"versions.json": {"web": "2", "db": "2", "nobody": "2"}}, inputs=Inputs(versions=given("f", db="3")))
    assert {job: (one.text, one.origin.layer) for job, one in found.declared.items()} == {
        "api": ("1", "version of job 'api'"),
        "db": ("3", "f"),
        "web": ("2", "versions.json"),
    }


def test_what_holds_for_all_jobs_holds_for_those_without_an_entry_too_and_says_where_it_stands() -> None:
    found = versions({"defaults": {"version": "0"}, "dependencies": {"web": {"pre": "api"}}})
    assert {job: one.text for job, one in found.declared.items()} == {"api": "0", "db": "0", "web": "0"}
    assert str(found.declared["api"].origin).startswith("defaults.version (dependency.json:1:")


@pytest.mark.parametrize(
    ("text", "clean", "dirty"),
    [
        ("git:short", "9fceb02", "9fceb02-dirty"),
        ("git:full", ID, f"{ID}-dirty"),
        ("git:tag", "v1.2", "v1.2-dirty"),
        ("git:describe", "v1.2-3-g9fceb02", "v1.2-3-g9fceb02-dirty"),
        ("file:VERSION", "3.1", "3.1"),
        ("1.4.2", "1.4.2", "1.4.2"),
    ],
)
def test_a_source_is_read_and_a_changed_work_tree_shows(text: str, clean: str, dirty: str) -> None:
    for is_dirty, expected in ((False, clean), (True, dirty)):
        assert versions({"dependencies": {"api": {"version": text}}}, files={"VERSION": " 3.1\n"}, dirty=is_dirty).of("api") == expected


def test_the_environment_and_consul_are_asked_by_their_own_questions() -> None:
    asked = []

    def answer(*question: str) -> str:
        asked.append(question)
        return f" {question[-1]}-1 \n"

    depfile = {"dependencies": {"api": {"version": "env:RELEASE"}, "web": {"version": "consul:shop/web"}, "db": {"version": "env:RELEASE"}}}
    found = versions(depfile, inputs=Inputs(answer=answer))
    assert found.resolved(["api", "web", "db"]) == {"api": "RELEASE-1", "db": "RELEASE-1", "web": "shop/web-1"}
    assert asked == [("version-env", "RELEASE"), ("consul", "shop/web")]


def test_each_source_is_read_once() -> None:
    found = versions({"defaults": {"version": "file:VERSION"}}, files={"VERSION": "1"})
    assert found.resolved(JOBS) == {"api": "1", "db": "1", "web": "1"}
    snapshot = found.sources.snapshot
    assert isinstance(snapshot, MemorySnapshot)
    assert snapshot.reads.count("VERSION") == 1


class Untagged(Versioned):
    def tag(self) -> str:
        return ""

    def describe(self) -> str:
        raise StoreError("the clone has a part of the history only", hint="fetch the rest", code="git-shallow")


class Silent(Versioned):
    @property
    def commit(self) -> Commit:
        raise StoreUnreachable("nothing is there", hint="go elsewhere")


@pytest.mark.parametrize(
    ("text", "store", "code", "words"),
    [
        ("git:short", MemorySnapshot, "no-commit", "the store 'memory' knows of no commit"),
        ("git:tag", Untagged, "no-tag", "has no tag"),
        ("git:describe", Untagged, "git-shallow", "a part of the history only"),
        ("git:short:../api", Versioned, "version-outside", "on no disk of this machine"),
        ("file:NOWHERE", Versioned, "store-file-missing", "NOWHERE"),
        ("file:BINARY", Versioned, "not-utf-8", "BINARY is not UTF-8"),
        ("file:EMPTY", Versioned, "bad-version", "a version is empty"),
        ("file:LINES", Versioned, "bad-version", "cannot be seen"),
        ("file:SOURCE", Versioned, "bad-version", "is a source itself"),
        ("env:RELEASE", Versioned, "undefined-version", "env:RELEASE has no value here"),
    ],
)
def test_a_source_without_a_version_says_why(text: str, store: type[MemorySnapshot], code: str, words: str) -> None:
    files = {"BINARY": b"\xff", "EMPTY": " \n", "LINES": "a\nb", "SOURCE": "git:short"}
    found = versions({"dependencies": {"api": {"version": text}}}, store=store, files=files)
    with pytest.raises(Unanswered) as caught:
        found.of("api")
    assert caught.value.code == code
    assert words in caught.value.problem
    assert caught.value.hint
    with pytest.raises(Unanswered, match=r"says version of job 'api' \(dependency\.json:1:\d+, dependencies\.api\.version\)"):
        found.told("api")
    with pytest.raises(DeclarationError) as faults:
        found.resolved(["api"])
    assert [fault.place.key for fault in faults.value.faults if fault.place] == ["dependencies.api.version"]


def test_a_store_that_cannot_be_asked_any_more_is_no_fault_of_a_job() -> None:
    with pytest.raises(StoreUnreachable):
        versions({"dependencies": {"api": {"version": "git:short"}}}, store=Silent).of("api")


def test_a_job_without_a_version_says_how_to_give_it_one_and_a_misspelt_job_which_is_meant() -> None:
    found = versions({})
    with pytest.raises(Unanswered) as caught:
        found.of("api")
    assert (caught.value.code, "--version api=VERSION" in caught.value.hint) == ("undefined-version", True)
    with pytest.raises(Unanswered) as caught:
        found.of("apy")
    assert caught.value.hint == "did you mean 'api'?"
    with pytest.raises(Unanswered, match="says"):
        versions({"dependencies": {"api": {"version": "env:X"}}}).told("api")


def test_an_option_for_a_job_that_there_is_not_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        versions({}, inputs=Inputs(versions=given(OPTION, apy="1"))).check()
    assert (caught.value.problem, caught.value.hint) == ("--version: there is no job 'apy'", "did you mean 'api'?")


def test_repositories_on_this_machine_are_read_from_the_folder_of_what_names_them(tmp_path: Path) -> None:
    api = make_repository(tmp_path / "api")
    commit = commit_files(api, {"a": b"1"})
    git(api, "tag", "v3")
    git(api, "reset", "--quiet", "--hard")
    names = {"api": "git:tag:../api", "web": "git:full:../api", "db": "git:describe:../api"}
    inputs = Inputs(versions=given("f", tmp_path / "deploy", **names))
    assert versions({}, inputs=inputs).resolved(JOBS) == {"api": "v3", "db": "v3", "web": commit}
    (api / "untracked").write_text("is not what git describe --dirty sees")
    assert versions({}, inputs=inputs).of("api") == "v3"
    (api / "a").write_text("2")
    assert versions({}, inputs=inputs).of("api") == "v3-dirty"
    versions({}, inputs=Inputs()).refuse_dirty(["api"])
    with pytest.raises(DtreeError, match="which the version of 'api' is read from, holds changes that are not committed") as caught:
        versions({}, inputs=inputs).refuse_dirty(["api"])
    assert caught.value.error_code == "not-clean"
    nowhere = Inputs(versions=given("f", tmp_path, api="git:short:nowhere", web="git:short:."))
    for job, words in (("api", "is no folder"), ("web", "is in no Git repository with a commit")):
        with pytest.raises(Unanswered, match=words):
            versions({}, inputs=nowhere).of(job)


def test_nothing_is_run_from_a_changed_work_tree_where_that_is_refused(tmp_path: Path) -> None:
    class Folder(MemorySnapshot):
        @property
        def folder(self) -> Path:
            return tmp_path

    with pytest.raises(DtreeError, match="holds changes that are not committed"):
        versions({}, dirty=True).refuse_dirty([])
    with pytest.raises(DtreeError, match="is in no Git work tree with a commit"):
        versions({}, store=Folder).refuse_dirty([])
    versions({}, store=MemorySnapshot).refuse_dirty([])


def test_what_the_store_is_known_by_is_there_for_templates() -> None:
    found = versions({})
    assert [found.built_in(name) for name in ("ref", "commit", "commit_date")] == ["v1.2", ID, "2026-03-01T12:00:00Z"]
    with pytest.raises(Unanswered) as caught:
        versions({}, store=MemorySnapshot).built_in("ref")
    assert (caught.value.code, "the store git" in caught.value.hint) == ("no-commit", True)


TEMPLATE = 'job "api" { # [[ version ]] [[ versions.web ]] [[ ref ]] [[ versions | join(",") ]]\n}'


def _rendered(found: Versions, *, needs_versions: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    texts, missing = job_texts(found.sources, JOBS)
    assert not missing
    return render_jobs(found.sources, texts, found.inputs, needs_versions=needs_versions)


def test_templates_read_the_version_of_their_job_and_of_any() -> None:
    jobs, faults = _rendered(versions({}, jobs={**JOBS, "api": TEMPLATE}, files={"versions.yaml": "api: '1'\nweb: '2'\n"}))
    assert faults == {}
    assert jobs["api"].source.startswith('job "api" { # 1 2 v1.2 api,web')
    assert {name: job.version for name, job in jobs.items()} == {"api": "1", "web": "2", "db": ""}


def test_a_version_that_cannot_be_had_is_a_fault_of_its_job_but_not_where_versions_do_not_matter() -> None:
    depfile = {"dependencies": {"web": {"version": "env:X"}}}
    jobs, faults = _rendered(versions(depfile, files={"versions.yaml": "api: '1'\n"}))
    assert set(jobs) == {"api", "db"}
    assert faults["web"][0].problem == "the version of 'web': env:X has no value here"
    jobs, faults = _rendered(versions(depfile, files={"versions.yaml": "api: '1'\n"}), needs_versions=False)
    assert (set(jobs), faults, jobs["web"].version) == (set(JOBS), {}, "")
    bad = versions({}, files={"versions.yaml": "api: 1\n"})
    with pytest.raises(DeclarationError):
        _rendered(bad)
    assert set(_rendered(versions({}, files={"versions.yaml": "api: 1\n"}), needs_versions=False)[0]) == set(JOBS)


def test_a_template_that_reads_a_version_that_is_not_there_says_where_one_could_come_from() -> None:
    _, faults = _rendered(
        versions({}, jobs={**JOBS, "api": 'job "api" { # [[ version ]]\n}', "web": 'job "web" { # [[ versions.apy ]]\n}'})
    )
    assert {name: (fault[0].code, fault[0].place.line if fault[0].place else 0) for name, fault in faults.items()} == {
        "api": ("undefined-version", 1),
        "web": ("undefined-version", 1),
    }
    assert "nomad-dtree versions set api VERSION" in faults["api"][0].hint
    assert faults["web"][0].hint == "did you mean 'api'?"


LOCK = write_lock({"api": "1.4.2", "web": 'a"b'}, {"registry.example/api:1.4.2": "sha256:" + "a" * 64})


def test_a_lock_is_written_sorted_and_read_back() -> None:
    lock = read_lock("versions.lock.yaml", LOCK)
    assert {job: one.text for job, one in lock.versions.items()} == {"api": "1.4.2", "web": 'a"b'}
    assert lock.images == {"registry.example/api:1.4.2": "sha256:" + "a" * 64}
    assert read_lock("versions.lock.yaml", write_lock({}, {})).versions == {}
    assert str(lock.versions["api"].origin) == "lock (versions.lock.yaml:3:10, versions.api)"
    assert (lock_beside("versions.yaml"), lock_beside("staging.toml")) == ("versions.lock.yaml", "staging.lock.yaml")


@pytest.mark.parametrize(
    "data", [b"versions: 1\n", b"api: '1'\n", b"versions:\n  api: 1\n", b"versions:\n  api: ''\n", b"versions:\n  api: git:short\n"]
)
def test_what_is_no_lock_is_a_fault(data: bytes) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_lock("versions.lock.yaml", data)
    assert [fault.code for fault in caught.value.faults] == ["bad-lock"]


def test_with_a_lock_nothing_else_counts_and_what_it_lacks_is_an_error_that_says_how_to_lock() -> None:
    depfile = {"dependencies": {"api": {"version": "env:X"}, "db": {"version": "9"}}}
    found = versions(depfile, inputs=Inputs(locked=True), files={"versions.lock.yaml": LOCK})
    assert found.of("api") == "1.4.2"
    assert set(found.declared) == {"api", "web"}
    jobs, faults = _rendered(found)
    assert set(jobs) == {"api", "web"}
    assert [(fault.code, fault.hint) for fault in faults["db"]] == [("version-not-locked", "add it: `nomad-dtree versions lock`")]
    with pytest.raises(DtreeError) as caught:
        versions(depfile, inputs=Inputs(locked=True)).check()
    assert (caught.value.error_code, caught.value.hint) == ("version-not-locked", "write one: `nomad-dtree versions lock`")


def _docker(*images: str) -> RenderedJob:
    tasks = [{"Name": f"t{number}", "Driver": "docker", "Config": {"image": image}} for number, image in enumerate(images)]
    other = {"Name": "raw", "Driver": "raw_exec", "Config": {"image": images[0]}}
    groups = [{"Name": "g", "Tasks": [*tasks, other]}, {"Name": "empty", "Tasks": None}]
    return RenderedJob("api", JobRef("default", "api"), "api.nomad", "", "hcl2", {"ID": "api", "TaskGroups": groups})


def test_images_of_docker_tasks_run_by_the_digest_of_the_lock() -> None:
    job = _docker("a:1", "b:1", "c@sha256:1", "${meta.image}:1", "host:5000/d", "host:5000/d:1", "e")
    assert images_of(job.spec) == ("a:1", "b:1", "e", "host:5000/d", "host:5000/d:1")
    assert pin_images(job, {"z:1": "sha256:9"}) is job
    pinned = pin_images(job, {"a:1": "sha256:9", "host:5000/d": "sha256:8", "host:5000/d:1": "sha256:7", "e": "sha256:6"})
    assert [task["Config"]["image"] for task in pinned.spec["TaskGroups"][0]["Tasks"]] == [
        *("a@sha256:9", "b:1", "c@sha256:1", "${meta.image}:1", "host:5000/d@sha256:8", "host:5000/d@sha256:7", "e@sha256:6", "a:1"),
    ]
    assert job.spec["TaskGroups"][0]["Tasks"][0]["Config"]["image"] == "a:1"


def test_a_template_may_do_without_a_version() -> None:
    text = 'job "api" { # [[ version | default("x") ]] [[ versions.web | default("y") ]] [[ "web" in versions ]] [[ "db" in versions ]]\n}'
    jobs, faults = _rendered(versions({}, jobs={**JOBS, "api": text}, files={"versions.yaml": "db: '1'\n"}))
    assert faults == {}
    assert jobs["api"].source.startswith('job "api" { # x y false true')


class Growing(Versioned):
    """A store that is dirty once its file `part` was read."""

    @property
    def commit(self) -> Commit:
        return Commit(ID, is_dirty="part" in self.reads)


def test_versions_agree_with_a_file_that_only_a_template_reads() -> None:
    jobs = {**JOBS, "api": 'job "api" { # [[ version ]]\n}', "web": "[% include 'part' %]"}
    found = versions({"defaults": {"version": "git:short"}}, jobs=jobs, files={"part": 'job "web" {}'}, store=Growing)
    rendered, faults = render_jobs(found.sources, job_texts(found.sources, JOBS)[0], found.inputs, versions=found)
    assert faults == {}
    assert rendered["api"].source.startswith('job "api" { # 9fceb02-dirty')
    assert {job.version for job in rendered.values()} == {"9fceb02-dirty"}
    assert found.of("db") == "9fceb02-dirty"


def test_who_lists_versions_reads_the_job_files_that_make_them_dirty() -> None:
    class Ignored(Versioned):
        @property
        def commit(self) -> Commit:
            return Commit(ID, is_dirty="jobs/web" in self.reads)

    found = versions({"dependencies": {"api": {"version": "git:short"}}}, store=Ignored)
    assert found.resolved(["api"]) == {"api": "9fceb02-dirty"}


def test_stopping_asks_for_no_version_that_nothing_reads() -> None:
    asked = []

    def answer(*question: str) -> str:
        asked.append(question)
        return "1"

    depfile = {"defaults": {"version": "env:RELEASE"}}
    jobs = {**JOBS, "api": 'job "api" { # [[ "version" ]]\n}', "web": 'job "web" { # [[ version ]]\n}'}
    _, faults = _rendered(versions(depfile, jobs=jobs, inputs=Inputs(answer=answer)), needs_versions=False)
    assert (faults, asked) == ({}, [("version-env", "RELEASE")])
    asked.clear()
    del jobs["web"]
    found = versions(depfile, jobs=jobs, inputs=Inputs(answer=answer))
    render_jobs(found.sources, job_texts(found.sources, jobs)[0], found.inputs, needs_versions=False)
    assert asked == []


def test_a_store_that_is_lost_while_an_hcl_variable_asks_for_the_version_is_told() -> None:
    jobs = {**JOBS, "api": 'variable "version" {}\njob "api" {}'}
    with pytest.raises(StoreUnreachable):
        _rendered(versions({"dependencies": {"api": {"version": "git:short"}}}, jobs=jobs, store=Silent), needs_versions=False)


def test_a_check_tells_the_faults_of_versions_with_all_others() -> None:
    jobs = {"api": "[[ version ]] [[ gone ]]", "web": "[[ versions.db ]]"}
    depfile: dict[str, Any] = {"dependencies": {name: {} for name in ("api", "web", "db")}}
    snapshot = MemorySnapshot(depfile, jobs, files={"versions.yaml": "api: 1\nweb: ''\n"})
    with pytest.raises(DeclarationError) as caught:
        check(snapshot, store="memory", inputs=Inputs())
    assert [fault.code for fault in caught.value.faults] == ["bad-version", "bad-version", "undefined-name", "job-file-missing"]


def test_a_repository_is_as_it_was_when_its_version_was_read(tmp_path: Path) -> None:
    api = make_repository(tmp_path / "api")
    commit = commit_files(api, {"a": b"1"})
    git(api, "reset", "--quiet", "--hard")
    (api / "a").write_text("2")
    found = versions({}, inputs=Inputs(versions=given("f", tmp_path, api="git:short:api", web="git:full:api")))
    assert found.of("api") == f"{commit[:7]}-dirty"
    (api / "a").write_text("1")
    assert found.of("web") == f"{commit}-dirty"
    with pytest.raises(DtreeError, match="holds changes that are not committed"):
        found.refuse_dirty(["api"])

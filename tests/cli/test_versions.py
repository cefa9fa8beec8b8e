"""Versions of artifacts from the command line to what is registered: on a Nomad in memory."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtree import __version__
from dtree.cli.app import main
from dtree.cli.version_targets import Target
from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, DtreeError
from dtree.model import JobRef
from tests.cli.conftest import Program
from tests.fakes.artifact_server import Registry, registry
from tests.fakes.cluster import FakeCluster
from tests.fakes.http_server import scripted
from tests.fakes.repositories import be_nobody, git, make_repository
from tests.fakes.store import Shelf

DEPFILE = """\
dependencies:
  web: {pre: api, version: git:short}
  api: {version: "1.4.1"}
  db: {}
"""
TEMPLATE = 'job "{name}" {{ # [[ version ]] [[ ref ]] [[ commit ]] [[ commit_date ]]\n}}\n'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder: a work tree with a commit, tagged v1.2, of three jobs; `db` has no version."""
    be_nobody(monkeypatch)
    folder = make_repository(tmp_path / "shop")
    (folder / "jobs").mkdir()
    (folder / "dependency.yaml").write_text(DEPFILE)
    (folder / "jobs/db.nomad").write_text('job "db" {}')
    for name in ("web", "api"):
        (folder / f"jobs/{name}.nomad").write_text(TEMPLATE.format(name=name))
    commit(folder)
    git(folder, "tag", "v1.2")
    monkeypatch.chdir(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


def versions_of(program: Program, *words: str) -> dict[str, str]:
    ended = program("plan", "--all", "--output", "json", *words)
    assert ended.code == EXIT_OK, ended.err
    return {step["job"]: step["version"] for step in ended.json()["steps"]}


def test_the_plan_shows_the_version_of_each_step_that_has_one(program: Program, shop: Path, nomad: FakeCluster) -> None:
    head = git(shop, "rev-parse", "HEAD")
    assert versions_of(program) == {"api": "1.4.1", "db": "", "web": head[:7]}
    lines = program("plan", "web").out.splitlines()
    assert [line.split()[:6] for line in lines if " create " in line] == [
        ["1", "+", "api", "create", "1.4.1", "not"],
        ["2", "+", "web", "create", head[:7], "after"],
    ]
    assert nomad.changes == []


def test_the_option_goes_before_its_file_and_that_before_the_store(program: Program, shop: Path, nomad: FakeCluster) -> None:
    (shop / "versions.toml").write_text('api = "2"\ndb = "2"\nweb = "2"\nnobody = "2"\n')
    (shop / "mine.json").write_text('{"db": "3", "web": "3"}')
    mine = ("--versions-file", "mine.json", "--version", "web=4")
    assert versions_of(program, *mine) == {"api": "2", "db": "3", "web": "4"}
    assert versions_of(program, *mine, "--version", "web=v1=x,y") == {"api": "2", "db": "3", "web": "v1=x,y"}
    assert nomad.changes == []


def test_the_programs_own_version_stands_before_the_command(program: Program, shop: Path) -> None:
    assert shop.exists()
    assert program("--version").out == f"nomad-dtree {__version__}\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--version", "apy=1"), "--version: there is no job 'apy'\n  hint: did you mean 'api'?"),
        (("--version", "1.4.2"), "--version: '1.4.2' is not JOB=VERSION\n  hint: write it as --version api=1.4.2"),
        (("--version", "api=git:shrt"), "--version: 'git:shrt' names no form of a commit\n  hint: did you mean 'git:short'?"),
        (("--version", "api=git:short:"), "--version: what stands after 'git:short:' is no path of a repository\n"),
        (("--version", "api=1", "--locked"), "--locked takes versions from the lock alone"),
    ],
)
def test_a_wrong_option_is_a_usage_error(program: Program, shop: Path, nomad: FakeCluster, words: tuple[str, ...], says: str) -> None:
    assert shop.exists()
    for command in ("run", "plan", "stop"):
        ended = program(command, "--all", *words)
        assert (ended.code, says in ended.err) == (EXIT_USAGE, True)
    assert nomad.changes == []


def test_where_the_path_of_a_repository_starts_is_told_for_options_too(program: Program, shop: Path) -> None:
    ended = program("versions", "list", "--declared", "--version", "web=git:short:../nope")
    assert f"warning: web: {shop.parent / 'nope'} is no folder" in ended.out
    ended = program("render", "web", "--version", "web=git:short:../nope")
    assert "error[version-unreadable]" in ended.err
    assert "in --version from the working folder" in ended.err


def test_templates_know_the_commit_and_a_changed_work_tree_shows_or_is_refused(program: Program, shop: Path, nomad: FakeCluster) -> None:
    head = git(shop, "rev-parse", "HEAD")
    assert program("run", "web", "--require-clean").code == EXIT_OK
    assert f"# {head[:7]} HEAD {head} 20" in nomad_text(program, "web")
    (shop / "jobs/web.nomad").write_text(TEMPLATE.format(name="web") + "# changed\n")
    assert versions_of(program)["web"] == f"{head[:7]}-dirty"
    for command in ("run", "plan"):
        ended = program(command, "web", "--require-clean")
        assert (ended.code, "error[not-clean]" in ended.err) == (EXIT_ERROR, True)
    (shop / "nomad-dtree.toml").write_text("require-clean = true\n")
    assert program("run", "web").code == EXIT_ERROR
    commit(shop)
    assert program("run", "web").code == EXIT_OK
    assert nomad.called("register") == ["api", "web"]


def nomad_text(program: Program, job: str) -> str:
    ended = program("render", job)
    assert ended.code == EXIT_OK, ended.err
    return ended.out


def test_a_job_whose_version_cannot_be_had_can_still_be_stopped_and_looked_at(program: Program, shop: Path, nomad: FakeCluster) -> None:
    assert program("run", "db").code == EXIT_OK
    (shop / "versions.yaml").write_text("db: env:NOWHERE\n")
    ended = program("run", "db")
    says = "error[undefined-name]: the version of 'db': the environment variable NOWHERE is not set\n  --> versions.yaml:1:5, db"
    assert (ended.code, ended.err.startswith(says)) == (EXIT_ERROR, True)
    assert "Healthy" in program("status", "db").out
    (shop / "versions.yaml").write_text("db: 1.10\n")
    says = "error[bad-version]: the version of 'db' must be text, not the number 1.1\n  --> versions.yaml:1:5, db"
    assert program("run", "db").err.startswith(says)
    assert program("stop", "db").code == EXIT_OK
    assert nomad.changes[-1] == ("stop", "db")


def test_a_variable_whose_name_says_that_it_holds_a_secret_is_no_version_unless_it_is_allowed(program: Program, shop: Path) -> None:
    (shop / "versions.yaml").write_text("db: env:DB_TOKEN\n")
    environ = {"DB_TOKEN": "1.7"}
    ended = program("versions", "list", "--declared", environ=environ)
    assert "warning: db: the environment variable DB_TOKEN may not be read" in ended.out
    allowed = program("versions", "list", "--declared", "--allow-env", "DB_*", environ=environ)
    assert "1.7" in allowed.out


def test_list_says_what_is_declared_where_and_what_runs(program: Program, shop: Path, nomad: FakeCluster) -> None:
    head = git(shop, "rev-parse", "HEAD")
    program("run", "web", "--version", "api=1.4.0")
    assert nomad.called("register") == ["api", "web"]
    ended = program("versions", "list", "--version", "db=file:nowhere")
    table = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in ended.out.splitlines()]
    assert table == [
        ["JOB", "VERSION", "RUNS", "SOURCE", "DECLARED BY"],
        ["api", "1.4.1", "1.4.0", "-", "dependency.yaml:3, version of job 'api'"],
        ["db", "?", "not in Nomad", "file:nowhere", "--version"],
        ["web", head[:7], head[:7], "git:short", "dependency.yaml:2, version of job 'web'"],
        ["warning: db: there is no file nowhere"],
    ]
    rows = {row["job"]: row for row in program("versions", "list", "--output", "json").json()["jobs"]}
    assert rows["api"] == {
        "job": "api",
        "version": "1.4.1",
        "declared": "1.4.1",
        "layer": "version of job 'api'",
        "file": "dependency.yaml",
        "line": 3,
        "problem": "",
        "pending": None,
        "runs": "1.4.0",
        "in_nomad": True,
        "changed_since": False,
        "other_stack": "",
        "note_fault": None,
        "file_fault": None,
    }
    assert (rows["db"]["version"], rows["db"]["file"], rows["db"]["runs"]) == ("", None, None)


def test_what_is_declared_is_listed_without_nomad(program: Program, shop: Path) -> None:
    assert shop.exists()
    ended = program("versions", "list", "--declared", environ={"NOMAD_ADDR": "http://127.0.0.1:1"})
    assert (ended.code, ended.out.splitlines()[1].split()[:2]) == (EXIT_OK, ["api", "1.4.1"])
    assert program("versions", "list", environ={"NOMAD_ADDR": "http://127.0.0.1:1"}).code == EXIT_ERROR


def test_set_writes_the_file_of_the_store_and_keeps_what_else_stands_in_it(program: Program, shop: Path) -> None:
    ended = program("versions", "set", "api", "1.4.2")
    assert (ended.code, ended.out.splitlines()) == (
        EXIT_OK,
        ["  +  api  1.4.2", "versions.yaml of the store filesystem: 1 change.", "Written file by file: jobs and other files."],
    )
    assert (shop / "versions.yaml").read_text() == 'api: "1.4.2"\n'
    (shop / "versions.yaml").write_text("# ours\napi: 1.4.2 # pinned\nweb: git:tag\n")
    assert program("versions", "set", "api", "1.5").out.startswith("  ~  api  1.4.2  ->  1.5\n")
    assert (shop / "versions.yaml").read_text() == '# ours\napi: "1.5" # pinned\nweb: git:tag\n'
    again = program("versions", "set", "api", "1.5", "--output", "json")
    assert again.json() == {"schema": 1, "file": "versions.yaml", "changes": [], "written": ""}
    assert program("versions", "set", "apy", "1").err.endswith("hint: did you mean 'api'?\n")
    assert program("versions", "set", "api", "git:x").code == EXIT_USAGE


def test_set_writes_to_a_file_of_this_machine_where_one_is_named(program: Program, shop: Path, tmp_path: Path) -> None:
    (shop / "nomad-dtree.toml").write_text('[env.staging]\nversions-file = "staging.json"\n')
    assert program("versions", "set", "api", "2", "--env", "staging").code == EXIT_OK
    assert json.loads((shop / "staging.json").read_text()) == {"api": "2"}
    (tmp_path / "real.toml").write_text("# mine\n")
    (shop / "mine.toml").symlink_to(tmp_path / "real.toml")
    assert program("versions", "set", "api", "3", "--versions-file", "mine.toml").out.endswith("Written at once.\n")
    assert ((tmp_path / "real.toml").read_text(), (shop / "mine.toml").is_symlink()) == ('# mine\napi = "3"\n', True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["real.toml", "shop"]
    missing = program("versions", "set", "api", "3", "--versions-file", "nowhere/mine.toml")
    assert (missing.code, "nowhere/mine.toml cannot be written" in missing.err) == (EXIT_ERROR, True)


def test_set_writes_to_any_store_that_can_be_written_to(program: Program, shop: Path, memory: dict[str, Shelf]) -> None:
    assert shop.exists()
    memory["x"] = Shelf({"dependency.json": b'{"dependencies": {"api": {}}}', "jobs/api.nomad": b'job "api" {}'})
    ended = program("versions", "set", "api", "7", "--store", "memory", "--memory-place", "x")
    assert (ended.code, memory["x"].files["versions.yaml"]) == (EXIT_OK, b'api: "7"\n')
    read_only = program("versions", "set", "api", "7", "--store", "git")
    assert (read_only.code, read_only.err.splitlines()) == (
        EXIT_ERROR,
        [
            "error[store-read-only]: the store 'git' cannot be written to",
            "  hint: name a file of this machine with --versions-file",
        ],
    )
    layered = program("versions", "set", "api", "7", "--store", "filesystem", "--store", "memory", "--memory-place", "x")
    assert "error[store-read-only]" in layered.err


@pytest.fixture
def images() -> Iterator[Registry]:
    with registry() as server:
        yield server


def test_locked_runs_take_versions_and_images_from_the_lock_alone(
    program: Program, shop: Path, nomad: FakeCluster, images: Registry
) -> None:
    head = git(shop, "rev-parse", "HEAD")
    digest = images.push("shop/db", "16")
    tasks = [
        {"Name": "db", "Driver": "docker", "Config": {"image": f"{images.host}/shop/db:16"}},
        {"Name": "other", "Driver": "docker", "Config": {"image": f"{images.host}/shop/nowhere:1"}},
    ]
    group = {"Name": "main", "Count": 1, "Tasks": tasks}
    (shop / "jobs/db.nomad").write_text(json.dumps({"Job": {"ID": "db", "Type": "service", "TaskGroups": [group]}}))
    assert "error[version-not-locked]" in program("run", "db", "--locked").err
    ended = program("versions", "lock")
    assert (ended.code, ended.err) == (
        EXIT_OK,
        f"warning: the image {images.host}/shop/nowhere:1 is not locked: the registry has no such image\n",
    )
    lock = (shop / "versions.lock.yaml").read_text()
    assert f'  "web": "{head[:7]}-dirty"' in lock
    assert f'  "{images.host}/shop/db:16": "{digest}"' in lock
    (shop / "versions.yaml").write_text('api: "9"\n')
    assert versions_of(program, "--locked") == {"api": "1.4.1", "db": "", "web": f"{head[:7]}-dirty"}
    assert program("run", "db", environ={"NOMAD_DTREE_LOCKED": "1"}).code == EXIT_OK
    stored = nomad.jobs[JobRef("default", "db")].spec["TaskGroups"][0]["Tasks"]
    assert [task["Config"]["image"] for task in stored] == [f"{images.host}/shop/db@{digest}", f"{images.host}/shop/nowhere:1"]
    (shop / "versions.yaml").write_text('db: "1"\n')
    refused = program("run", "db", "--locked")
    assert "error[version-not-locked]: the version of 'db': there is no version of 'db' in the lock" in refused.err
    assert "hint: add it: `nomad-dtree versions lock`" in refused.err
    assert program("versions", "lock", "--no-images").out.splitlines()[-2] == "versions.lock.yaml: 2 changes."
    assert program("versions", "lock", "--no-images", "--output", "json").json()["versions"]["db"] == "1"


def test_what_is_rendered_locked_has_or_names_the_digests_that_are_registered(
    program: Program, shop: Path, nomad: FakeCluster, images: Registry
) -> None:
    digest = images.push("shop/db", "16")
    image = f"{images.host}/shop/db:16"
    tasks = [{"Name": "db", "Driver": "docker", "Config": {"image": image}}]
    text = json.dumps({"Job": {"ID": "db", "Type": "service", "TaskGroups": [{"Name": "main", "Count": 1, "Tasks": tasks}]}})
    (shop / "jobs/db.nomad").write_text(text)
    assert program("versions", "lock").code == EXIT_OK
    remark = f"# locked image {image}: `run` registers {digest}\n"
    alone = program("render", "db", "--locked")
    assert (alone.out, alone.err) == (f"{text}\n", remark)
    assert remark in program("render", "db", "api", "--locked").out
    pinned = program("render", "db", "--locked", "--format", "json")
    assert program("run", "db", "--locked").code == EXIT_OK
    registered = nomad.jobs[JobRef("default", "db")].spec["TaskGroups"][0]["Tasks"][0]["Config"]["image"]
    shown = pinned.json()["Job"]["TaskGroups"][0]["Tasks"][0]["Config"]["image"]
    assert (shown, pinned.err) == (registered, "")
    assert digest in shown
    assert "locked image" not in program("render", "db").err


def test_a_lock_stands_beside_its_file_of_versions(program: Program, shop: Path, nomad: FakeCluster) -> None:
    (shop / "nomad-dtree.toml").write_text('[env.production]\nversions-file = "production.yaml"\nlocked = true\n')
    (shop / "production.yaml").write_text('api: "3"\n')
    assert "there is no lock production.lock.yaml" in program("plan", "api", "--env", "production").err
    assert program("versions", "lock", "--no-images", "--env", "production").code == EXIT_OK
    (shop / "production.yaml").write_text('api: "4"\n')
    assert versions_of(program, "--env", "production")["api"] == "3"
    assert versions_of(program, "--env", "production", "--no-locked")["api"] == "4"
    assert nomad.changes == []


ENVIRONMENTS = """\
[env.staging]
versions-file = "staging.yaml"

[env.production]
versions-file = "production.yaml"

[env.here]
[env.there]
"""


@pytest.fixture
def environments(shop: Path) -> Path:
    (shop / "nomad-dtree.toml").write_text(ENVIRONMENTS)
    (shop / "staging.yaml").write_text("api: file:VERSION\ndb: '16'\n")
    (shop / "VERSION").write_text("2.0\n")
    (shop / "production.yaml").write_text("# careful\napi: '1.9' # since May\nold: '1'\n")
    commit(shop)
    return shop


def test_promote_carries_resolved_versions_over_and_leaves_the_rest(program: Program, environments: Path) -> None:
    head = git(environments, "rev-parse", "HEAD")
    ended = program("versions", "promote", "--from", "staging", "--to", "production", "--yes")
    assert (ended.code, ended.out.splitlines()) == (
        EXIT_OK,
        [
            "  ~  api  1.9  ->  2.0",
            "  +  db            16",
            f"  +  web           {head[:7]}",
            "production.yaml: 3 changes.",
            "Written at once.",
        ],
    )
    expected = f'# careful\napi: "2.0" # since May\nold: \'1\'\ndb: "16"\nweb: "{head[:7]}"\n'
    assert (environments / "production.yaml").read_text() == expected
    again = program("versions", "promote", "db", "--from", "staging", "--to", "production", "--yes")
    assert again.out == "production.yaml: nothing to change.\n"


def test_promote_writes_to_the_store_of_an_environment_without_a_file(program: Program, environments: Path) -> None:
    ended = program("versions", "promote", "api", "--from", "staging", "--to", "here", "--yes", "--output", "json")
    assert ended.json()["changes"] == [{"name": "api", "old": "", "new": "2.0"}]
    assert (environments / "versions.yaml").read_text() == 'api: "2.0"\n'


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "staging", "--to", "staging", "--yes"), "keep their versions in one place: staging.yaml"),
        (("--from", "here", "--to", "there", "--yes"), "keep their versions in one place"),
        (("--from", "staging", "--to", "production"), "there is no terminal to ask on"),
        (("--from", "staging", "--to", "production", "--output", "json"), "with --output json nobody is asked"),
        (
            ("apy", "--from", "staging", "--to", "production", "--yes"),
            "'apy' is no job in the environment to read from\n  hint: did you mean 'api'?",
        ),
        (("--to", "production", "--yes"), "--from"),
    ],
)
def test_promote_refuses_what_cannot_be_and_writes_nothing(program: Program, environments: Path, words: tuple[str, ...], says: str) -> None:
    before = (environments / "production.yaml").read_text()
    ended = program("versions", "promote", *words)
    assert (ended.code, says in ended.err) == (EXIT_USAGE, True), ended.err
    assert (environments / "production.yaml").read_text() == before
    assert "staging" in program("versions", "promote", "--from", "stagin", "--to", "production", "--yes").err


@pytest.mark.parametrize(("answer", "is_written"), [("y\n", True), ("n\n", False), ("", False)])
def test_promote_asks_first(
    environments: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, *, is_written: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code = main(["versions", "promote", "--from", "staging", "--to", "production"], {})
    assert code == (EXIT_OK if is_written else EXIT_ERROR)
    assert "Write 3 versions to production.yaml? [y/N]" in capsys.readouterr().err
    assert ('"2.0"' in (environments / "production.yaml").read_text()) is is_written


def test_environments_that_do_not_share_a_file_are_no_one_place(program: Program, environments: Path) -> None:
    (environments / "versions.yaml").write_text("api: '1.8'\n")
    ended = program("versions", "promote", "api", "--from", "here", "--to", "production", "--yes")
    assert (ended.code, ended.out.splitlines()[0]) == (EXIT_OK, "  ~  api  1.9  ->  1.8")
    assert (environments / "versions.yaml").read_text() == "api: '1.8'\n"
    (environments / "nomad-dtree.toml").write_text(f'{ENVIRONMENTS}[env.same]\nversions-file = "versions.yaml"\n')
    ended = program("versions", "promote", "--from", "here", "--to", "same", "--yes")
    assert "keep their versions in one place: versions.yaml" in ended.err


def test_a_version_that_does_nothing_before_the_next_lock_is_told(program: Program, environments: Path) -> None:
    (environments / "nomad-dtree.toml").write_text(ENVIRONMENTS.replace('"production.yaml"', '"production.yaml"\nlocked = true'))
    assert program("versions", "lock", "--no-images", "--env", "production").code == EXIT_OK
    ended = program("versions", "promote", "api", "db", "--from", "staging", "--to", "production", "--yes")
    command = "`nomad-dtree versions lock --env production`"
    assert ended.err == f"warning: here versions are taken from the lock, so this has no effect before you lock again: {command}\n"
    listed = program("versions", "list", "--declared", "--env", "production")
    assert [line.split()[:2] for line in listed.out.splitlines() if line.startswith("api")] == [["api", "1.9"]]
    assert "warning: api: 1.9 is locked, and 2.0 is declared; `nomad-dtree versions lock` locks again" in listed.out
    rows = {row["job"]: row for row in program("versions", "list", "--declared", "--env", "production", "--output", "json").json()["jobs"]}
    assert {job: (row["version"], row["pending"]) for job, row in rows.items() if job != "web"} == {"api": ("1.9", "2.0"), "db": ("", None)}
    assert program("versions", "lock", "--no-images", "--env", "production").code == EXIT_OK
    assert "is locked" not in program("versions", "list", "--declared", "--env", "production").out
    (environments / "production.yaml").write_text("api: '2.0'\n")
    assert "db: 16 is locked, and none is declared any more" in program("versions", "list", "--declared", "--env", "production").out


@pytest.mark.parametrize("words", [(), ("--output", "json"), ("--versions-file", "mine.yaml")])
def test_set_warns_where_the_lock_alone_counts(program: Program, shop: Path, words: tuple[str, ...]) -> None:
    assert shop.exists()
    locked = program("versions", "set", "api", "3", *words, environ={"NOMAD_DTREE_LOCKED": "1"})
    file = " --versions-file mine.yaml" if "mine.yaml" in words else ""
    assert (locked.code, locked.err.endswith(f"before you lock again: `nomad-dtree versions lock{file}`\n")) == (EXIT_OK, True)
    assert program("versions", "set", "api", "4", *words).err == ""
    assert program("versions", "set", "api", "4", *words, environ={"NOMAD_DTREE_LOCKED": "1"}).err == ""


@pytest.mark.parametrize("environ", [{"NOMAD_DTREE_REQUIRE_CLEAN": "1"}, {}])
def test_what_is_not_committed_is_not_locked_nor_promoted_where_that_is_refused(
    program: Program, environments: Path, environ: dict[str, str]
) -> None:
    option = () if environ else ("--require-clean",)
    assert program("versions", "lock", "--no-images", *option, environ=environ).code == EXIT_OK
    commit(environments)
    (environments / "jobs/web.nomad").write_text("job")
    ended = program("versions", "lock", "--no-images", *option, environ=environ)
    assert (ended.code, ended.out, "error[not-clean]" in ended.err) == (EXIT_ERROR, "", True)
    assert "-dirty" not in (environments / "versions.lock.yaml").read_text()
    if environ:
        ended = program("versions", "promote", "--from", "staging", "--to", "production", "--yes", environ=environ)
        assert (ended.code, "error[not-clean]" in ended.err) == (EXIT_ERROR, True)


@pytest.mark.parametrize(
    "words",
    [("set", "api", "3", "--versions-file", "production.yaml"), ("promote", "api", "--from", "staging", "--to", "production", "--yes")],
)
def test_a_file_that_cannot_be_edited_is_told_before_what_would_change(
    program: Program, environments: Path, words: tuple[str, ...]
) -> None:
    (environments / "production.yaml").write_text("api: &one '1'\nother: *one\n")
    ended = program("versions", *words)
    assert (ended.code, ended.out) == (EXIT_ERROR, "")
    assert "error[versions-not-editable]" in ended.err


def test_promote_goes_from_the_store_of_one_environment_to_that_of_another(program: Program, environments: Path) -> None:
    for name in ("a", "b"):
        (environments / name / "jobs").mkdir(parents=True)
        (environments / name / "dependency.yaml").write_text("dependencies:\n  api: {}\n")
        (environments / name / "jobs/api.nomad").write_text('job "api" {}')
    (environments / "a/versions.toml").write_text('api = "7"\n')
    (environments / "nomad-dtree.toml").write_text("".join(f'[env.{name}.stores.filesystem]\nfs-root = "{name}"\n' for name in ("a", "b")))
    ended = program("versions", "promote", "--from", "a", "--to", "b", "--yes")
    assert (ended.code, (environments / "b/versions.yaml").read_text()) == (EXIT_OK, 'api: "7"\n')


def test_a_file_of_versions_that_somebody_else_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("api: '1'\n")
    target = Target(file.name, "mine.yaml", b"", file, None)
    with pytest.raises(DtreeError) as caught:
        target.write(target.edited({"api": "2"}))
    assert (caught.value.error_code, file.read_text()) == ("store-changed", "api: '1'\n")


def test_a_job_file_that_git_ignores_is_no_clean_one_and_every_command_says_so(program: Program, shop: Path, nomad: FakeCluster) -> None:
    git(shop, "rm", "--quiet", "--cached", "jobs/db.nomad")
    (shop / ".gitignore").write_text("jobs/db.nomad\n")
    commit(shop)
    head = git(shop, "rev-parse", "HEAD")
    assert versions_of(program)["web"] == f"{head[:7]}-dirty"
    assert f"{head[:7]}-dirty" in program("versions", "list", "--declared").out
    (shop / "lock.yaml").write_text("web: git:short\n")
    commit(shop)
    head = git(shop, "rev-parse", "HEAD")
    assert f"web  {head[:7]}-dirty" in program("versions", "lock", "--no-images", "--versions-file", "lock.yaml").out
    (shop / "lock.lock.yaml").unlink()
    refused = program("run", "db", "--require-clean")
    assert "error[not-clean]: jobs/db.nomad is not as the commit has it" in refused.err
    assert nomad.changes == []
    assert program("run", "web", "--require-clean").code == EXIT_OK


def test_a_payload_that_git_ignores_is_not_clean_either(program: Program, shop: Path, nomad: FakeCluster) -> None:
    (shop / "dependency.yaml").write_text("dependencies:\n  db: {version: git:short, dispatch: {payload: {file: rows.csv}}}\n")
    spec = {"ID": "db", "Type": "batch", "ParameterizedJob": {"Payload": "required"}, "TaskGroups": [{"Name": "main", "Tasks": []}]}
    (shop / "jobs/db.nomad").write_text(json.dumps({"Job": spec, "Of": "[[ version ]]"}))
    (shop / ".gitignore").write_text("rows.csv\n")
    (shop / "rows.csv").write_text("1\n")
    head = commit(shop)
    assert versions_of(program) == {"db": f"{head[:7]}-dirty"}
    refused = program("run", "db", "--require-clean")
    assert "error[not-clean]: rows.csv is not as the commit has it" in refused.err
    assert nomad.changes == []


def test_what_is_not_locked_is_told_without_the_secrets_in_it(program: Program, shop: Path, nomad: FakeCluster) -> None:
    task = {"Name": "db", "Driver": "docker", "Config": {"image": "127.0.0.1:1/[[ env('TEAM') ]]:1"}}
    (shop / "jobs/db.nomad").write_text(json.dumps({"Job": {"ID": "db", "TaskGroups": [{"Name": "main", "Tasks": [task]}]}}))
    ended = program("versions", "lock", "--allow-env", "TEAM", environ={"TEAM": "hush-hush"})
    assert ended.err.startswith("warning: the image 127.0.0.1:1/(secret):1 is not locked: the registry of '127.0.0.1:1/(secret):1' does")
    assert "hush" not in ended.out + ended.err
    assert nomad.changes == []


def test_a_source_is_asked_once_by_whatever_command(program: Program, shop: Path, nomad: FakeCluster) -> None:
    entry = json.dumps([{"Key": "v", "Value": "Nw==", "ModifyIndex": 1, "CreateIndex": 1, "LockIndex": 0, "Flags": 0}])
    for words in (("versions", "lock"), ("explain", "api"), ("versions", "list"), ("run", "api"), ("validate", "--nomad")):
        with scripted((200, entry), {"Content-Type": "application/json", "X-Consul-Index": "1"}) as consul:
            (shop / "versions.yaml").write_text("api: consul:v\n")
            ended = program(*words, environ={"CONSUL_HTTP_ADDR": consul.address})
            assert (ended.code, len(consul.asked)) == (EXIT_OK, 1), (words, ended.err)
    assert nomad.called("register") == ["api"]


def test_a_file_that_is_written_anew_keeps_its_permissions(program: Program, shop: Path) -> None:
    file = shop / "mine.yaml"
    file.write_text("api: '1'\n")
    file.chmod(0o600)
    assert program("versions", "set", "api", "2", "--versions-file", "mine.yaml").code == EXIT_OK
    assert (file.read_text(), file.stat().st_mode & 0o777) == ('api: "2"\n', 0o600)

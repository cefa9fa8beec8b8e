"""What runs says where it came from, on a real Nomad: without a restart, with and without the right to note it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtree.provenance import note_path, stack_path
from tests.fakes.repositories import commit_files, git, make_repository
from tests.servers.conftest import forget_notes
from tests.servers.eventually import eventually
from tests.servers.scenario import Done, Scenario


@pytest.fixture
def shop(scenario: Scenario) -> Iterator[Scenario]:
    """`api` that needs `db`, of a stack of the test's own; what is noted of it is gone afterwards."""
    scenario.mock("db")
    scenario.mock("api", pre="db", version="1.4.2")
    scenario.depfile(scenario.entries, stack=stack(scenario))
    yield scenario
    forget_notes(scenario.api, stack(scenario))


def stack(scenario: Scenario) -> str:
    return f"{scenario.prefix}shop"


def note(scenario: Scenario, name: str) -> dict[str, str]:
    """What Nomad has in the job's Variable."""
    items: dict[str, str] = scenario.api.get(f"/v1/var/{note_path(stack(scenario), scenario.id(name))}")["Items"]
    return items


def noted(scenario: Scenario) -> list[str]:
    """Short names of the jobs of which something is noted."""
    paths = [row["Path"] for row in scenario.api.get("/v1/vars", prefix=f"{stack_path(stack(scenario))}/")]
    return sorted(path.rpartition("/")[2].removeprefix(scenario.prefix) for path in paths)


def run(scenario: Scenario, *words: str) -> Done:
    done = scenario.dtree("run", "api", "--output", "json", *words)
    assert done.code == 0, done.stdout + done.stderr
    return done


def changes(done: Done) -> dict[str, str]:
    return {step["job"]: step["change"] for step in done.of("run-started")[0]["steps"]}


def which(scenario: Scenario, *words: str) -> str:
    done = scenario.dtree("which", "api", *words)
    assert done.code == 0, done.stderr
    return done.stdout.strip()


def in_git(scenario: Scenario, folder: Path, *tags: str) -> list[str]:
    """Commit the folder's files once for each tag, each time with another line in the dependency file; return the options."""
    repository = make_repository(folder, "--bare")
    for tag in tags:
        paths = [scenario.folder / "dependency.json", *sorted((scenario.folder / "jobs").iterdir())]
        files = {str(path.relative_to(scenario.folder)): path.read_bytes() for path in paths}
        commit_files(repository, {**files, "CHANGES": tag.encode()})
        git(repository, "tag", tag)
    return ["--store", "git", "--git-url", str(repository)]


def test_another_ref_of_the_same_job_is_noted_without_touching_it(shop: Scenario, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = in_git(shop, tmp_path_factory.mktemp("git") / "shop.git", "v1.1", "v1.2")
    run(shop, *store, "--ref", "v1.1")
    before, modified = note(shop, "api"), shop.modified()
    ids = {name: [row["ID"] for row in shop.allocations(name)] for name in ("db", "api")}
    again = run(shop, *store, "--ref", "v1.2")
    after = note(shop, "api")
    assert changes(again) == {"db": "noop", "api": "noop"}
    assert shop.modified() == modified
    assert {name: [row["ID"] for row in shop.allocations(name)] for name in ("db", "api")} == ids
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert differing == {"revision", "ref", "commit"}
    assert (before["ref"], after["ref"]) == ("v1.1", "v1.2")
    short, owner = after["commit"][:7], stack(shop)
    told = f"ref v1.2, commit {short}, registered as version 0 by stack {owner} from git; runs 1/1"
    assert which(shop, *store, "--ref", "v1.2") == f"api ({shop.id('api')}) 1.4.2 ({told})"


def test_the_note_and_the_submission_say_what_was_registered(shop: Scenario) -> None:
    run(shop)
    stored = shop.stored("api")
    assert stored is not None
    found = note(shop, "api")
    assert (found["job"], found["stack"], found["store"], found["version"]) == ("api", stack(shop), "filesystem", "1.4.2")
    assert (found["registered_version"], found["modify_index"]) == ("0", str(stored["JobModifyIndex"]))
    submission = shop.api.get(f"/v1/job/{shop.id('api')}/submission", version="0")
    assert submission["Source"] == (shop.folder / "jobs" / "api.nomad").read_text()
    assert '# nomad-dtree: version = "1.4.2"\n' in submission["Variables"]
    assert all(line.startswith("# nomad-dtree: ") for line in submission["Variables"].splitlines())
    # Nomad's own interface sends both back to be parsed when a job is edited there.
    parsed = shop.api.put("/v1/jobs/parse", {"JobHCL": submission["Source"], "Variables": submission["Variables"]})
    assert parsed["ID"] == shop.id("api")
    assert stored["Meta"] is None


def test_what_others_keep_in_a_note_stays_and_an_equal_note_is_not_written_again(shop: Scenario) -> None:
    run(shop)
    path = note_path(stack(shop), shop.id("api"))
    shop.api.put(f"/v1/var/{path}", {"Path": path, "Items": {**note(shop, "api"), "succeeded": "abc"}})
    written = shop.api.get(f"/v1/var/{path}")["ModifyIndex"]
    run(shop)
    assert shop.api.get(f"/v1/var/{path}")["ModifyIndex"] == written
    shop.mock("api", 'run_for = "2h"', pre="db", version="1.4.3")
    shop.depfile(shop.entries, stack=stack(shop))
    run(shop)
    assert (note(shop, "api")["succeeded"], note(shop, "api")["version"]) == ("abc", "1.4.3")
    assert note(shop, "api")["registered_version"] == "1"


def test_only_a_purge_forgets(shop: Scenario) -> None:
    run(shop)
    assert shop.dtree("stop", "api", "--deep").code == 0
    assert noted(shop) == ["api", "db"]
    assert shop.dtree("stop", "api", "--purge").code == 0
    assert noted(shop) == ["db"]
    shop.api.delete(f"/v1/job/{shop.id('db')}", purge="true")
    eventually(lambda: shop.stored("db") is None)
    done = shop.dtree("stop", "db", "--purge")
    assert done.code == 0, done.stderr
    assert noted(shop) == []


def test_a_job_that_somebody_else_changed_is_shown_as_changed_since_and_one_that_was_scaled_is_not(shop: Scenario) -> None:
    run(shop)
    eventually(lambda: all(row["Status"] == "successful" for row in shop.api.get(f"/v1/job/{shop.id('api')}/deployments")))
    shop.api.put(f"/v1/job/{shop.id('api')}/scale", {"Count": 2, "Target": {"Group": "main"}})
    assert statuses(shop) == {"db": False, "api": False}
    stored = shop.stored("api")
    assert stored is not None
    shop.api.put("/v1/jobs", {"Job": {**stored, "Priority": 70}})
    assert statuses(shop) == {"db": False, "api": True}
    assert "but was changed since (version 2 in Nomad; runs 2/2" in eventually(lambda: settled(which(shop)))
    assert "changed since it was registered as version 0" in shop.dtree("status", "api").stdout
    run(shop)
    assert statuses(shop) == {"db": False, "api": False}


def settled(line: str) -> str:
    return line if "runs 2/2" in line else ""


def statuses(scenario: Scenario) -> dict[str, bool]:
    done = scenario.dtree("status", "api", "--output", "json")
    assert done.code == 0, done.stderr
    return {row["job"]: row["changed_since"] for row in json.loads(done.stdout)["jobs"]}


def test_which_is_honest_about_what_does_not_run_and_what_nobody_noted(shop: Scenario) -> None:
    gone = shop.dtree("which", "api")
    assert (gone.code, gone.stdout) == (1, "")
    assert "job 'api' is not in Nomad" in gone.stderr
    run(shop)
    shop.api.delete(f"/v1/var/{note_path(stack(shop), shop.id('api'))}")
    assert which(shop) == f"api ({shop.id('api')}): where it came from is not noted (version 0 in Nomad; runs 1/1)"
    run(shop)
    assert json.loads(which(shop, "--output", "json"))["provenance"]["version"] == "1.4.2"
    assert shop.dtree("stop", "api").code == 0
    assert which(shop).endswith("runs 0/0: stopped)")


def test_a_job_whose_file_cannot_be_rendered_is_looked_at_and_stopped_by_its_note(shop: Scenario) -> None:
    line = 'meta { secret = "[[ env("DB_PASSWORD") ]]" }'
    shop.mock("api", job=line, pre="db", version="1.4.2")
    shop.depfile(shop.entries, stack=stack(shop))
    done = shop.dtree("run", "api", "--allow-env", "DB_PASSWORD", env={"DB_PASSWORD": "correct-horse"})
    assert done.code == 0, done.stderr
    says = "warning: api: known by its note, as its job file is no good: "
    told, remark = which(shop).splitlines()
    assert (told.startswith(f"api ({shop.id('api')}) 1.4.2 ("), remark.startswith(says)) == (True, True)
    assert says in shop.dtree("status", "api").stdout
    assert "not in Nomad" not in shop.dtree("versions", "list").stdout
    stopped = shop.dtree("stop", "api", "--purge")
    assert stopped.code == 0, stopped.stderr
    assert "known by its note" in stopped.stderr
    assert (shop.names(), noted(shop)) == (["db"], ["db"])


def test_a_clone_of_another_name_finds_what_runs_and_names_the_stack(shop: Scenario) -> None:
    run(shop)
    shop.depfile(shop.entries, stack=f"{shop.prefix}clone")
    assert " 1.4.2 (revision " in which(shop)
    assert f"by stack {stack(shop)} from filesystem" in which(shop)
    assert json.loads(which(shop, "--output", "json"))["other_stack"] == stack(shop)


def test_a_store_of_variables_where_a_note_would_be_is_left_alone(shop: Scenario) -> None:
    path = note_path(stack(shop), shop.id("api"))
    shop.api.put(f"/v1/var/{path}", {"Path": path, "Items": {"index": "of somebody's store"}})
    (warning,) = run(shop).of("run-warned")
    assert "holds something else than a note" in warning["problem"]
    assert note(shop, "api") == {"index": "of somebody's store"}
    assert len(shop.dtree("stop", "api", "--purge", "--output", "json").of("run-warned")) == 1
    assert note(shop, "api") == {"index": "of somebody's store"}

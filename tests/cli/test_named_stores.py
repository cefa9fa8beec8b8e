"""Stores by a name that nomad-dtree.toml gives them: how they are chosen, where their options come from, how wrong ones are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stevedore.extension import ExtensionManager

from dtree import config
from dtree.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE
from tests.cli.conftest import SHOP, Program
from tests.fakes.store import Shelf

NAMED = """
[stores.prod]
type = "memory"
memory-place = "prod"

[stores.staging]
type = "memory"
memory-place = "staging"

[stores.memory]
memory-place = "plain"

[env.holidays.stores.prod]
memory-place = "beach"
"""


def shelf(*names: str) -> Shelf:
    """Return a place with a dependency file and these jobs."""
    jobs = {f"jobs/{name}.nomad": f'job "{name}" {{ type = "service" }}'.encode() for name in names}
    return Shelf({"dependency.json": json.dumps({"dependencies": {name: {} for name in names}}).encode(), **jobs})


@pytest.fixture
def places(shop: Path, memory: dict[str, Shelf]) -> dict[str, Shelf]:
    (shop / config.FILE_NAME).write_text(NAMED)
    memory |= {name: shelf(f"{name}-job") for name in ("prod", "staging", "plain", "beach", "elsewhere")}
    return memory


def jobs_of(program: Program, *words: str, environ: dict[str, str] | None = None) -> str:
    ended = program("graph", *words, environ=environ)
    assert (ended.code, ended.err) == (EXIT_OK, "")
    return ended.out.strip()


def test_a_named_store_has_its_own_options(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert jobs_of(program, "--store", "prod") == "prod-job"
    assert jobs_of(program, "--store", "staging") == "staging-job"
    assert jobs_of(program, "--store", "memory") == "plain-job"


def test_its_table_beats_the_variable_and_an_option_beats_both(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    variable = {"NOMAD_DTREE_MEMORY_PLACE": "elsewhere"}
    assert jobs_of(program, "--store", "prod", environ=variable) == "prod-job"
    assert jobs_of(program, "--store", "prod", "--memory-place", "elsewhere") == "elsewhere-job"
    assert jobs_of(program, "--store", "memory", environ=variable) == "elsewhere-job"


def test_what_its_table_does_not_say_comes_from_the_variable(program: Program, places: dict[str, Shelf]) -> None:
    places["prod"].files["other.json"] = places["prod"].files.pop("dependency.json")
    assert jobs_of(program, "--store", "prod", environ={"NOMAD_DTREE_MEMORY_DEPFILE": "other.json"}) == "prod-job"


def test_an_environment_changes_a_named_store_key_by_key(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert jobs_of(program, "--store", "prod", "--env", "holidays") == "beach-job"


def test_the_store_in_use_may_be_a_named_one(program: Program, places: dict[str, Shelf], shop: Path) -> None:
    assert places
    assert jobs_of(program, environ={"NOMAD_DTREE_STORE": "prod"}) == "prod-job"
    (shop / config.FILE_NAME).write_text(f'store = "staging"\n{NAMED}')
    assert jobs_of(program) == "staging-job"


@pytest.mark.parametrize(("name", "near"), [("prodd", "prod"), ("memroy", "memory"), ("filesytem", "filesystem")])
def test_an_unknown_name_is_told_with_the_nearest_of_kinds_and_names(
    program: Program, places: dict[str, Shelf], name: str, near: str
) -> None:
    assert places
    ended = program("graph", "--store", name)
    assert ended.code == EXIT_ERROR
    assert f"error[store-unknown]: there is no store '{name}'" in ended.err
    assert "named in nomad-dtree.toml: prod, staging" in ended.err
    assert f"did you mean '{near}'?" in ended.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[stores.prod]\ntype = "memroy"', ["error[store-unknown]: there is no store 'memroy'", ":2:1, stores.prod.type", "'memory'?"]),
        ("[stores.prod]\ntype = 1", ["`stores.prod.type` must be a string", ":2:1, stores.prod.type", 'type = "filesystem"']),
        ('[stores.prod]\ntype = "memory"\nmemory-plac = "x"', ["unknown key `memory-plac`", "did you mean 'memory-place'?"]),
        ('[stores.prod]\ntype = "memory"\nmemory-key = "hunter2"', ["`memory-key` is secret and may not stand in a file"]),
        ('[stores.memory]\ntype = "filesystem"', ["'memory' is a kind of store itself, so its table takes no `type`"]),
        ('[stores.memory]\ntype = "memory"', ["'memory' is a kind of store itself, so its table takes no `type`"]),
    ],
)
def test_a_table_that_cannot_be_is_told(program: Program, memory: dict[str, Shelf], shop: Path, text: str, says: list[str]) -> None:
    assert memory == {}
    (shop / config.FILE_NAME).write_text(text)
    ended = program("graph", "--store", "memory" if "memory]" in text else "prod")
    assert ended.code == EXIT_ERROR
    assert [words for words in says if words not in ended.err] == []
    assert "hunter2" not in ended.err


DEPLOY = """
[stores.deploy]
type = "filesystem"
fs-root = "nowhere"
"""


@pytest.mark.parametrize("command", [("graph",), ("stores", "check", "deploy"), ("graph", "--format", "json")])
def test_a_hint_names_the_key_of_its_table(program: Program, shop: Path, command: tuple[str, ...]) -> None:
    (shop / config.FILE_NAME).write_text(DEPLOY)
    words = command if "check" in command else (*command, "--store", "deploy")
    ended = program(*words, environ={"NOMAD_DTREE_FS_ROOT": "elsewhere"})
    told = ended.out + ended.err
    assert ended.code == EXIT_ERROR
    assert "give `fs-root` in [stores.deploy] a folder that does" in told
    assert "--fs-root" not in told


def test_a_hint_names_the_option_where_that_is_what_counts(program: Program, shop: Path) -> None:
    (shop / config.FILE_NAME).write_text(DEPLOY)
    told = program("graph", "--store", "deploy", "--fs-root", "neither").err
    assert "hint: give --fs-root a folder that does" in told


def test_the_hint_of_each_of_two_stores_names_its_own_table(program: Program, shop: Path) -> None:
    (shop / config.FILE_NAME).write_text(f'{DEPLOY}\n[stores.file]\ntype = "filesystem"\nfs-jobs-path = "dependency.json"\n')
    told = program("push", "--from", "deploy", "--to", "file", "--dry-run").err
    assert "give `fs-jobs-path` in [stores.file] a folder" in told
    assert "[stores.deploy]" not in told


def test_a_fault_in_a_job_file_has_such_a_hint_too(program: Program, shop: Path) -> None:
    (shop / config.FILE_NAME).write_text(DEPLOY.replace("nowhere", "."))
    (shop / "jobs" / "api.nomad").unlink()
    (shop / "jobs" / "api.nomad").symlink_to(shop.parent / "api")
    (shop.parent / "api").write_text("")
    told = program("validate", "--store", "deploy").err
    assert "or choose a `fs-root` in [stores.deploy] that holds both" in told


def test_what_its_table_lacks_is_asked_for_there(program: Program, shop: Path, tmp_path: Path, memory: dict[str, Shelf]) -> None:
    assert memory == {}
    (tmp_path / "site" / "dtree_memory-1.0.dist-info" / "entry_points.txt").write_text(
        "[dtree.stores]\nasking = tests.fakes.store:AskingStore\n"
    )
    ExtensionManager.ENTRY_POINT_CACHE.clear()
    (shop / config.FILE_NAME).write_text('[stores.prod]\ntype = "asking"')
    ended = program("graph", "--store", "prod")
    assert (ended.code, ended.err) == (
        EXIT_USAGE,
        "error[usage]: --asking-place is needed\n  hint: write `asking-place` into [stores.prod] of nomad-dtree.toml\n",
    )


def test_a_secret_of_a_named_store_comes_from_the_variable(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert jobs_of(program, "--store", "prod", environ={"NOMAD_DTREE_MEMORY_KEY": "hunter2"}) == "prod-job"


def test_one_store_twice_is_a_usage_error_that_names_the_way_out(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    ended = program("graph", "--store", "memory", "--store", "memory")
    assert ended.code == EXIT_USAGE
    assert ended.err == (
        "error[usage]: store 'memory' is named more than once\n"
        '  hint: give a second one of its kind a name of its own: [stores.NAME] with type = "memory" in nomad-dtree.toml\n'
    )


def test_a_named_store_twice_is_told_with_its_kind(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert '[stores.NAME] with type = "memory"' in program("graph", "--store", "prod", "--store", "prod").err


def test_an_option_that_two_named_stores_could_take_is_refused(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    ended = program("graph", "--store", "prod", "--store", "staging", "--memory-place", "x")
    assert ended.code == EXIT_USAGE
    assert ended.err.startswith("error[usage]: --memory-place does not say which store it is for: prod or staging\n")


def test_beside_a_named_store_an_option_is_of_the_one_that_goes_by_its_kind(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert jobs_of(program, "--store", "memory", "--store", "prod", "--memory-place", "elsewhere") == "prod-job"
    places["prod"].files.pop("dependency.json")
    assert jobs_of(program, "--store", "memory", "--store", "prod", "--memory-place", "elsewhere") == "elsewhere-job"


def test_named_stores_are_listed_and_shown(program: Program, places: dict[str, Shelf], shop: Path) -> None:
    assert places
    listed = program("stores", "list")
    assert (listed.code, listed.err) == (EXIT_OK, "")
    assert listed.out.split("\n\n")[1:] == [
        "NAMED    WRITABLE  STORE\nprod     yes       memory\nstaging  yes       memory",
        f"named in {shop / config.FILE_NAME}\n",
    ]
    document = program("stores", "list", "--output", "json").json()
    assert document["named"] == [{"name": "prod", "type": "memory"}, {"name": "staging", "type": "memory"}]
    assert [store["writable"] for store in document["stores"] if store["name"] == "memory"] == [True]
    options = program("stores", "show", "prod", "--output", "json").json()["options"]
    keys = ["[stores.prod] memory-depfile", "[stores.prod] memory-place", None, "[stores.prod] memory-loud"]
    assert [option["key"] for option in options] == keys


def test_what_the_options_of_a_named_store_are_set_to_is_shown_and_where_that_is_said(
    program: Program, places: dict[str, Shelf], shop: Path
) -> None:
    assert places
    addresses = """
        [stores.url]
        type = "git"
        git-url = "https://me:s3cret@git.example/shop"
        [stores.bare]
        type = "consul"
        consul-addr = "me:s3cret@consul:8500"
    """
    (shop / config.FILE_NAME).write_text(NAMED + addresses)
    environ = {"NOMAD_DTREE_MEMORY_KEY": "s3cret", "NOMAD_DTREE_MEMORY_PLACE": "elsewhere", "NOMAD_DTREE_MEMORY_LOUD": "yes"}
    ended = program("stores", "show", "prod", environ=environ)
    assert (ended.code, ended.err) == (EXIT_OK, "")
    assert [line.strip() for line in ended.out.splitlines() if line.startswith("      value ")] == [
        "value     prod (from stores.prod.memory-place in nomad-dtree.toml)",
        "value     not shown, it is secret (from NOMAD_DTREE_MEMORY_KEY)",
        "value     True (from NOMAD_DTREE_MEMORY_LOUD)",
    ]
    document = program("stores", "show", "prod", "--env", "holidays", "--output", "json", environ=environ)
    assert [(option["value"], option["source"], option["origin"]) for option in document.json()["options"]] == [
        ("dependency.json", "default", ""),
        ("beach", "file", "env.holidays.stores.prod.memory-place"),
        (None, "variable", "NOMAD_DTREE_MEMORY_KEY"),
        (True, "variable", "NOMAD_DTREE_MEMORY_LOUD"),
    ]
    plain = program("stores", "show", "memory", environ=environ).out
    assert "value     elsewhere (from NOMAD_DTREE_MEMORY_PLACE)" in plain
    for shown in (ended.out, document.out, plain, *(program("stores", "show", name).out for name in ("url", "bare"))):
        assert "s3cret" not in shown


def test_a_store_that_is_broken_is_listed_all_the_same(program: Program, places: dict[str, Shelf], tmp_path: Path) -> None:
    assert places
    (tmp_path / "site" / "dtree_memory-1.0.dist-info" / "entry_points.txt").write_text("[dtree.stores]\nmemory = nowhere:Store\n")
    ExtensionManager.ENTRY_POINT_CACHE.clear()
    ended = program("stores", "list", "--output", "json")
    assert ended.code == EXIT_OK
    assert [store["writable"] for store in ended.json()["stores"] if store["name"] == "memory"] == [None]


def test_a_table_without_a_type_names_no_store(program: Program, places: dict[str, Shelf], shop: Path) -> None:
    assert places
    (shop / config.FILE_NAME).write_text('[stores.prod]\nmemory-place = "prod"')
    ended = program("graph", "--store", "prod")
    assert (ended.code, ended.err.splitlines()[0]) == (EXIT_ERROR, "error[store-unknown]: there is no store 'prod'")
    assert 'a `type` makes it one: type = "..." in [stores.prod]' in ended.err


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('[stores.prod]\ntype = "memory"\nmemory-key = "sesame"', "`memory-key` is secret and may not stand in a file"),
        ('[stores.prod]\ntype = "memory"\nmemory-plaec = "x"', "unknown key `memory-plaec`"),
        ('[stores.prod]\ntype = "memroy"', "there is no store 'memroy'"),
        ('[stores.consul]\nconsul-token = "sesame"', "`consul-token` is secret and may not stand in a file"),
        ('[env.x.stores.memory]\nmemory-key = "sesame"', "`memory-key` is secret and may not stand in a file"),
        ('[env.x.stores.filesystem]\nfs-rooot = "x"', "unknown key `fs-rooot`"),
        ('[env.x.stores.mine]\ntype = "memory"\nmemory-plaec = "x"', "unknown key `memory-plaec`"),
        ('[stores.mine]\ntype = "memory"\n[env.x.stores.mine]\nmemory-plaec = "x"', "unknown key `memory-plaec`"),
        ('[env.x.stores.mine]\ntype = "memroy"', "there is no store 'memroy'"),
    ],
)
def test_tables_of_stores_that_are_not_in_use_are_checked_as_well(
    program: Program, places: dict[str, Shelf], shop: Path, table: str, problem: str
) -> None:
    assert places
    (shop / config.FILE_NAME).write_text(table)
    ended = program("graph")
    assert (ended.code, problem in ended.err, "sesame" in ended.err) == (EXIT_ERROR, True, False)


def test_a_table_for_a_store_of_another_machine_is_left_alone(program: Program, places: dict[str, Shelf], shop: Path) -> None:
    assert places
    (shop / config.FILE_NAME).write_text('[stores.s3]\nbucket = "x"\n[env.x.stores.s4]\nbucket = "x"')
    assert program("graph").code == EXIT_OK


def test_the_shop_is_unchanged_by_all_this(program: Program, places: dict[str, Shelf]) -> None:
    assert places
    assert set(jobs_of(program).split()) >= set(SHOP)

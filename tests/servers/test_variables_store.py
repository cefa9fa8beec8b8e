"""Jobs in Nomad's own Variables: every promise of a store that can be written to, on a real Nomad, and what goes wrong there."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from urllib.parse import quote
from uuid import uuid4

import pytest
from dtree_stores.nomad_variables import NomadVariablesStore

from dtree.access.nomad import Connection
from dtree.demo.agent import Agent
from dtree.demo.api import Api
from dtree.store import Changes, Store, StoreChanged, StoreContext, StoreError, StoreFileMissing, StoreUnreachable
from dtree.testing import DEPFILE, FILES, WritableStoreContract
from tests.servers.proxy import Fate, Proxy, Request, answer
from tests.servers.scenario import Scenario

ACL_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "acl.md"
DEMO_JOBS = Path(__file__).parents[2] / "dtree" / "demo" / "jobs"
SEED = Path(__file__).parents[2] / "examples" / "shop" / "dependency-ready.json"


def store_at(address: str, prefix: str, *, token: str = "", namespace: str | None = None, **settings: str) -> NomadVariablesStore:
    given = {"vars_prefix": prefix, "vars_namespace": namespace, "vars_depfile_path": None, "vars_jobs_path": "jobs", **settings}
    return NomadVariablesStore(
        given, StoreContext(cwd=Path.cwd(), cache=Path.cwd() / "cache", nomad=lambda: Connection(address=address, token=token))
    )


def fill(store: Store, files: Mapping[str, bytes]) -> None:
    """Make `files` all that the store holds."""
    jobs = {path.removeprefix("jobs/"): data for path, data in files.items() if path.startswith("jobs/")}
    others = {path: data for path, data in files.items() if not path.startswith("jobs/")}
    snapshot = store.snapshot()
    gone: dict[str, bytes | None] = dict.fromkeys(snapshot.list_jobs())
    snapshot.write(Changes(jobs={**gone, **jobs}, files={"config/nginx.conf": None, "dependency.json": None, **others}))


def paths(api: Api, prefix: str, **query: str) -> list[str]:
    return [row["Path"] for row in api.get("/v1/vars", prefix=f"{prefix}/", **query)]


def remove(api: Api, path: str) -> None:
    api.delete(f"/v1/var/{quote(path, safe='')}")


def put(api: Api, path: str, items: Mapping[str, str]) -> None:
    api.put(f"/v1/var/{quote(path, safe='')}", {"Path": path, "Items": dict(items)})


def items_of(api: Api, path: str) -> dict[str, str]:
    return dict(api.get(f"/v1/var/{quote(path, safe='')}")["Items"])


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    return caught.value


@pytest.fixture
def place(agent: Agent) -> Iterator[str]:
    """A prefix for variables of this test; they are gone afterwards."""
    prefix = f"dtree/t{uuid4().hex[:8]}"
    yield prefix
    for path in paths(agent.api, prefix):
        remove(agent.api, path)


class TestNomadVariablesStore(WritableStoreContract):
    @pytest.fixture(autouse=True)
    def _place(self, agent: Agent, place: str) -> None:
        self.address, self.prefix = agent.address, place

    def store(self, files: Mapping[str, bytes]) -> Store:
        store = store_at(self.address, self.prefix)
        fill(store, files)
        return store

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        fill(store, files)


# -- what is read and written --------------------------------------------------------------------------------------------


def test_two_thousand_jobs_take_few_requests_to_read(agent: Agent, place: str) -> None:
    jobs = {f"{number:04}.nomad": b"x" * 1500 for number in range(2000)}
    store_at(agent.address, place).snapshot().write(Changes(DEPFILE, jobs))
    with Proxy(agent.address, fate=lambda _: "pass") as proxy:
        snapshot = store_at(proxy.address, place).snapshot()
        assert len(snapshot.jobs(name.removesuffix(".nomad") for name in jobs)) == 2000
        assert len(proxy.requests) <= 100
        assert proxy.most_open <= 8


def test_files_larger_than_a_variable_come_back_whole(agent: Agent, place: str) -> None:
    big = {"text.nomad": "\u00e9\u65e5\n".encode() * 60_000, "bytes.nomad": bytes(range(256)) * 1000, "edge.nomad": b"x" * (64 * 1024 - 15)}
    store = store_at(agent.address, place)
    store.snapshot().write(Changes(DEPFILE, big))
    assert {path: text.data for path, text in store.snapshot().read_jobs(list(big)).items()} == big


def test_a_small_change_rewrites_little_and_leaves_nothing_behind(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    store.snapshot().write(Changes(DEPFILE, {f"{number:04}.nomad": b"x" * 2000 for number in range(500)}))
    before = paths(agent.api, place)
    with Proxy(agent.address, fate=lambda _: "pass") as proxy:
        store_at(proxy.address, place).snapshot().write(Changes(jobs={"0250.nomad": b"changed"}))
        assert sum(request.method == "PUT" for request in proxy.requests) <= 5
    assert abs(len(paths(agent.api, place)) - len(before)) <= 2
    names = set(items_of(agent.api, f"{place}/index").values())
    assert {path for path in paths(agent.api, place) if path.rpartition("/")[2] not in names} == {f"{place}/index"}


def test_a_person_finds_a_file_with_nomads_own_program(agent: Agent, place: str, nomad_program: Path) -> None:
    fill(store_at(agent.address, place), FILES)

    def var_get(path: str, item: str) -> bytes:
        command = [str(nomad_program), "var", "get", f"-item={item}", path]
        return subprocess.run(command, env=agent.environment, capture_output=True, check=True, timeout=30).stdout

    shard = var_get(f"{place}/index", "config/nginx.conf").decode()
    assert var_get(f"{place}/files/{shard}", "jobs/api.nomad") == FILES["jobs/api.nomad"]


@pytest.mark.parametrize(("data", "name"), [(b'{"dependencies": {}}', "dependency.json"), (b"dependencies: {}\n", "dependency.yaml")])
def test_a_new_dependency_file_is_named_after_what_it_is(agent: Agent, place: str, data: bytes, name: str) -> None:
    store = store_at(agent.address, place)
    store.snapshot().write(Changes(data))
    assert store.snapshot().depfile().path == f"var:{place}/{name}"
    store.snapshot().write(Changes(b"{}"))
    assert store.snapshot().depfile().path == f"var:{place}/{name}"


def test_dependency_file_and_jobs_may_lie_where_one_says(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place, vars_depfile_path="shop/deps.json", vars_jobs_path="shop")
    store.snapshot().write(Changes(b"{}", {"api.nomad": b"api", ".hidden": b"", "old.nomad.bak": b""}))
    snapshot = store.snapshot()
    assert snapshot.depfile().path == f"var:{place}/shop/deps.json"
    assert snapshot.list_jobs() == ("api.nomad",)
    assert snapshot.read("shop/api.nomad").data == b"api"


def test_two_dependency_files_are_a_fault_that_names_both(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    store.snapshot().write(Changes(files={"dependency.json": b"{}", "dependency.yml": b"{}"}))
    error = refusal(store.snapshot().depfile)
    assert error.error_code == "depfile-ambiguous"
    assert "dependency.json, dependency.yml" in error.problem
    assert refusal(lambda: store.snapshot().write(Changes(b"{}"))).error_code == "depfile-ambiguous"


def test_a_store_that_was_never_filled_says_how(agent: Agent, place: str) -> None:
    error = refusal(store_at(agent.address, place).snapshot().depfile)
    assert isinstance(error, StoreFileMissing)
    assert error.error_code == "depfile-missing"
    assert f"{place} in namespace default" in error.problem
    assert "push --to nomad-variables" in error.hint


# -- two at once ---------------------------------------------------------------------------------------------------------


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(agent: Agent, place: str) -> None:
    fill(store_at(agent.address, place), FILES)
    start = Barrier(2)

    def write(text: bytes) -> str:
        snapshot = store_at(agent.address, place).snapshot()
        start.wait(timeout=30)
        try:
            snapshot.write(Changes(b'{"dependencies": {}}', {f"{number:03}.nomad": text * 500 for number in range(200)}))
        except StoreChanged:
            return "lost"
        return "won"

    with ThreadPoolExecutor(2) as pool:
        outcome = dict(zip((b"one", b"two"), pool.map(write, (b"one", b"two")), strict=True))
    assert sorted(outcome.values()) == ["lost", "won"]
    (winner,) = [text for text, how in outcome.items() if how == "won"]
    after = store_at(agent.address, place).snapshot()
    assert {text.data for text in after.jobs(f"{number:03}" for number in range(200)).values()} == {winner * 500}


def test_a_writer_keeps_the_shard_that_another_is_about_to_remove(agent: Agent, place: str) -> None:
    """The second returns to what the first replaces, between its swap and its cleaning up."""
    fill(store_at(agent.address, place), FILES)
    old = store_at(agent.address, place).snapshot()
    entered = False

    def return_in_between(request: Request) -> Fate:
        nonlocal entered
        if request.method == "GET" and request.target.startswith("/v1/vars") and not entered:
            entered = True
            store_at(agent.address, place).snapshot().write(Changes(jobs={"api.nomad": FILES["jobs/api.nomad"]}))
        return "pass"

    with Proxy(agent.address, fate=return_in_between) as proxy:
        store_at(proxy.address, place).snapshot().write(Changes(jobs={"api.nomad": b"new"}))
    assert entered
    assert store_at(agent.address, place).snapshot().revision.id == old.revision.id


def test_a_reader_overtaken_by_a_writer_reads_the_new_state(agent: Agent, place: str) -> None:
    fill(store_at(agent.address, place), FILES)
    overtaken = False

    def overtake(request: Request) -> Fate:
        nonlocal overtaken
        if "%2Ffiles%2F" in request.target and not overtaken:
            overtaken = True
            store_at(agent.address, place).snapshot().write(Changes(jobs={"api.nomad": b"new"}))
        return "pass"

    with Proxy(agent.address, fate=overtake) as proxy:
        assert store_at(proxy.address, place).snapshot().jobs(["api"])["api"].data == b"new"


def test_what_a_write_that_broke_off_left_is_removed_once_it_is_old(agent: Agent, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_at(agent.address, place)
    fill(store, FILES)
    left, other = f"{place}/files/{'a' * 32}", f"{place}/files/notes"
    put(agent.api, left, {"half": "written"})
    put(agent.api, other, {"not": "ours"})
    store.snapshot().write(Changes(jobs={"api.nomad": b"1"}))
    assert left in paths(agent.api, place)
    monkeypatch.setattr("dtree_stores.nomad_variables._ABANDONED_NS", 0)
    store.snapshot().write(Changes(jobs={"api.nomad": b"2"}))
    assert left not in paths(agent.api, place)
    assert other in paths(agent.api, place)


# -- watching ------------------------------------------------------------------------------------------------------------


def test_a_change_ends_the_wait_at_once_and_an_unrelated_one_does_not(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    fill(store, FILES)
    snapshot = store.snapshot()
    with ThreadPoolExecutor(1) as pool:
        began_s = time.monotonic()
        waiting = pool.submit(snapshot.wait_for_change, 60.0)
        put(agent.api, f"{place}/index-of-something-else", {"a": "b"})
        assert not waiting.done()
        fill(store, {**FILES, "jobs/api.nomad": b"new"})
        assert waiting.result(timeout=30) is True
        assert time.monotonic() - began_s < 20


def test_the_first_filling_of_a_store_is_a_change(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    snapshot = store.snapshot()
    assert not snapshot.wait_for_change(0.2)
    fill(store, FILES)
    assert snapshot.wait_for_change(0.0)


@pytest.mark.parametrize("timeout_s", [0.3, 2.0])
def test_a_wait_is_bounded_by_its_timeout(agent: Agent, place: str, timeout_s: float) -> None:
    fill(store_at(agent.address, place), FILES)
    snapshot = store_at(agent.address, place).snapshot()
    began_s = time.monotonic()
    assert not snapshot.wait_for_change(timeout_s)
    assert timeout_s * 0.8 <= time.monotonic() - began_s <= timeout_s + 20


# -- what goes wrong -----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time goes by a hundred times as fast for the client that tries again for half a minute."""
    monkeypatch.setattr("dtree_stores.variables_client.time", _Quick)


class _Quick:
    @staticmethod
    def monotonic() -> float:
        return time.monotonic() * 100

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds / 100)


@pytest.mark.usefixtures("quick")
def test_a_nomad_that_goes_away_half_way_through_reading_is_told(agent: Agent, place: str) -> None:
    store_at(agent.address, place).snapshot().write(Changes(DEPFILE, {f"{number:04}.nomad": b"x" * 2000 for number in range(1000)}))
    with Proxy(agent.address, fate=lambda _: "pass" if len(proxy.requests) < 10 else "reset") as proxy:
        error = refusal(store_at(proxy.address, place).snapshot)
    assert isinstance(error, StoreUnreachable)
    assert error.notes[0].startswith(f"while reading variable {place}/files/")


@pytest.mark.usefixtures("quick")
def test_a_nomad_that_goes_away_half_way_through_writing_leaves_the_old_state(agent: Agent, place: str) -> None:
    fill(store_at(agent.address, place), FILES)
    before = store_at(agent.address, place).snapshot().revision
    writes = 0

    def third_write_breaks(request: Request) -> Fate:
        nonlocal writes
        writes += request.method == "PUT"
        return "reset" if writes > 3 else "pass"

    with Proxy(agent.address, fate=third_write_breaks) as proxy:
        snapshot = store_at(proxy.address, place).snapshot()
        error = refusal(lambda: snapshot.write(Changes(b"{}", {f"{number:04}.nomad": b"y" * 2000 for number in range(300)})))
    assert isinstance(error, StoreUnreachable)
    assert store_at(agent.address, place).snapshot().revision == before


@pytest.mark.usefixtures("quick")
def test_contact_lost_over_the_last_step_says_that_it_cannot_be_told(agent: Agent, place: str) -> None:
    fill(store_at(agent.address, place), FILES)

    def index_breaks(request: Request) -> Fate:
        return "reset" if request.method == "PUT" and "index" in request.target else "pass"

    with Proxy(agent.address, fate=index_breaks) as proxy:
        snapshot = store_at(proxy.address, place).snapshot()
        error = refusal(lambda: snapshot.write(Changes(b"{}")))
    assert isinstance(error, StoreUnreachable)
    assert f"whether {place}/index was still written cannot be told; if it was, all files were" in error.notes


@pytest.mark.usefixtures("quick")
def test_an_answer_that_was_lost_is_no_change_by_somebody_else(agent: Agent, place: str) -> None:
    fill(store_at(agent.address, place), FILES)
    lost = 0

    def lose_one(request: Request) -> Fate:
        nonlocal lost
        lost += request.method == "PUT" and "index" in request.target
        return "lose-answer" if lost == 1 and request.method == "PUT" and "index" in request.target else "pass"

    with Proxy(agent.address, fate=lose_one) as proxy:
        store_at(proxy.address, place).snapshot().write(Changes(b"new"))
    assert lost == 2
    assert store_at(agent.address, place).snapshot().depfile().data == b"new"


def test_nothing_that_listens_is_an_unreachable_store() -> None:
    error = refusal(store_at("http://127.0.0.1:1", "dtree-store").snapshot)
    assert isinstance(error, StoreUnreachable)
    assert error.error_code == "nomad-unreachable"


def test_a_nomad_without_a_leader_is_told_apart(agent: Agent, place: str, quick: None) -> None:  # noqa: ARG001 - time goes faster
    with Proxy(agent.address, fate=lambda _: answer(500, "No cluster leader")) as proxy:
        error = refusal(store_at(proxy.address, place).snapshot)
    assert isinstance(error, StoreUnreachable)
    assert error.error_code == "nomad-unavailable"


def test_a_nomad_older_than_variables_is_told(agent: Agent, place: str) -> None:
    with Proxy(agent.address, fate=lambda _: answer(404, "404 page not found")) as proxy:
        error = refusal(store_at(proxy.address, place).snapshot)
    assert error.problem == "this Nomad has no Variables"


def test_a_namespace_that_does_not_exist_is_named(agent: Agent, place: str) -> None:
    error = refusal(store_at(agent.address, place, namespace="nowhere").snapshot)
    assert error.error_code == "store-namespace-missing"
    assert "'nowhere'" in error.problem


def test_a_shard_that_is_gone_is_named(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    fill(store, FILES)
    (shard,) = [path for path in paths(agent.api, place) if "/files/" in path]
    remove(agent.api, shard)
    error = refusal(store.snapshot)
    assert error.error_code == "store-damaged"
    assert f"variable {shard} is damaged: it is not there" in error.problem


def test_a_shard_that_was_edited_is_named(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    fill(store, FILES)
    (shard,) = [path for path in paths(agent.api, place) if "/files/" in path]
    put(agent.api, shard, {**items_of(agent.api, shard), "jobs/api.nomad": "edited"})
    error = refusal(store.snapshot)
    assert (error.error_code, shard in error.problem) == ("store-damaged", True)


@pytest.mark.parametrize("items", [{"note": "hello"}, {"//format": "9"}, {"//format": "1"}])
def test_an_index_that_is_none_is_named(agent: Agent, place: str, items: dict[str, str]) -> None:
    put(agent.api, f"{place}/index", items)
    error = refusal(store_at(agent.address, place).snapshot)
    assert (error.error_code, f"{place}/index" in error.problem) == ("store-damaged", True)


@pytest.mark.parametrize("prefix", ["nomad", "nomad/jobs", "a.b", "a//b", "x" * 90, "", "sp ace", "../x"])
def test_a_prefix_that_nomad_does_not_take_is_refused_before_anything_is_asked(prefix: str) -> None:
    assert refusal(store_at("http://127.0.0.1:1", prefix).snapshot).error_code == "bad-variables-prefix"


def test_a_name_that_no_variable_can_hold_is_refused_and_nothing_written(agent: Agent, place: str) -> None:
    store = store_at(agent.address, place)
    snapshot = store.snapshot()
    changes = Changes(DEPFILE, {"bad\udcff.nomad": b""})
    error = refusal(lambda: snapshot.write(changes))
    assert error.error_code == "store-unwritable"
    assert str(refusal(lambda: snapshot.check_changes(changes))) == str(error)
    assert paths(agent.api, place) == []


# -- rights --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded_place(acl_agent: Agent) -> Iterator[str]:
    """As `place`, on the agent with ACLs, filled."""
    prefix = f"dtree/t{uuid4().hex[:8]}"
    fill(store_at(acl_agent.address, prefix, token=acl_agent.token), FILES)
    yield prefix
    for path in paths(acl_agent.api, prefix):
        remove(acl_agent.api, path)


def token_with(agent: Agent, rules: str) -> str:
    name = f"policy-{uuid4().hex[:8]}"
    agent.api.put(f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules})
    return str(agent.api.put("/v1/acl/token", {"Name": name, "Type": "client", "Policies": [name]})["SecretID"])


def documented_rules(place: str, *, without: str = "") -> str:
    """The policy that users of this store are told to write, for another prefix, perhaps less one capability."""
    (text,) = re.findall(r"```hcl file=variables-policy.hcl\n(.*?)```", ACL_PAGE.read_text(), flags=re.DOTALL)
    assert isinstance(text, str)
    assert '"dtree-store/*"' in text
    less = re.sub(rf'"{without}"(, )?', "", text) if without else text
    assert (less == text) is not bool(without)
    return less.replace("dtree-store", place)


def test_the_documented_policy_is_enough_to_read_write_and_watch(acl_agent: Agent, guarded_place: str) -> None:
    token = token_with(acl_agent, documented_rules(guarded_place))
    store = store_at(acl_agent.address, guarded_place, token=token)
    how = store.snapshot().write(Changes(b"{}", {"new.nomad": b"new"}))
    assert how == f"all at once, by compare-and-set of variable {guarded_place}/index"
    snapshot = store.snapshot()
    assert snapshot.jobs(["new"])["new"].data == b"new"
    assert not snapshot.wait_for_change(0.2)
    assert len(paths(acl_agent.api, guarded_place)) == 2


def test_a_token_for_reading_only_reads(acl_agent: Agent, guarded_place: str) -> None:
    token = token_with(acl_agent, documented_rules(guarded_place).replace('"read", "write", "destroy"', '"read"'))
    snapshot = store_at(acl_agent.address, guarded_place, token=token).snapshot()
    assert snapshot.depfile().data == DEPFILE
    assert not snapshot.wait_for_change(0.2)


@pytest.mark.parametrize("missing", ["read", "write"])
def test_with_one_capability_less_the_error_names_the_rule(acl_agent: Agent, guarded_place: str, missing: str) -> None:
    token = token_with(acl_agent, documented_rules(guarded_place, without=missing))
    error = refusal(lambda: store_at(acl_agent.address, guarded_place, token=token).snapshot().write(Changes(b"{}")))
    assert error.error_code == "nomad-denied"
    rule = f'namespace "default" {{ variables {{ path "{guarded_place}/*" {{ capabilities = ["{missing}"] }} }} }}'
    assert rule in error.hint
    assert token not in str(error)


def test_without_the_right_to_remove_it_is_written_and_what_lies_about_is_told(acl_agent: Agent, guarded_place: str) -> None:
    token = token_with(acl_agent, documented_rules(guarded_place, without="destroy"))
    store = store_at(acl_agent.address, guarded_place, token=token)
    how = store.snapshot().write(Changes(b"{}"))
    assert "what it replaced could not all be removed" in how
    assert f'path "{guarded_place}/*" {{ capabilities = ["destroy"] }}' in how
    assert store.snapshot().depfile().data == b"{}"


def test_without_a_token_one_is_asked_for(acl_agent: Agent, guarded_place: str) -> None:
    error = refusal(store_at(acl_agent.address, guarded_place).snapshot)
    assert error.error_code == "nomad-denied"
    assert error.hint.startswith("give a token (NOMAD_TOKEN, --token-file) whose policy has namespace")


# -- by the command line -------------------------------------------------------------------------------------------------


def test_the_four_jobs_of_the_demo_run_from_it(agent: Agent, place: str, scenario: Scenario, tmp_path: Path) -> None:
    """The folder that the program stands in is empty: there is nothing but what Nomad holds."""
    jobs = {
        file.name: re.sub(rb'^job "', b'job "' + scenario.prefix.encode(), file.read_bytes(), flags=re.MULTILINE) for file in demo_jobs()
    }
    store_at(agent.address, place).snapshot().write(Changes(SEED.read_bytes(), jobs))
    shutil.rmtree(tmp_path / "jobs", ignore_errors=True)
    done = scenario.dtree("run", "--all", "--store", "nomad-variables", "--vars-prefix", place)
    assert done.code == 0, done.stdout + done.stderr
    assert sorted(scenario.names()) == sorted(file.stem for file in demo_jobs())
    again = scenario.dtree(
        "run", "--all", "--output", "json", env={"NOMAD_DTREE_STORE": "nomad-variables", "NOMAD_DTREE_VARS_PREFIX": place}
    )
    assert again.code == 0, again.stdout + again.stderr


def demo_jobs() -> list[Path]:
    found = sorted(DEMO_JOBS.glob("*.nomad"))
    assert len(found) == 4
    return found


def test_a_store_that_is_not_there_is_one_calm_error(place: str, scenario: Scenario) -> None:
    done = scenario.dtree("run", "--all", "--store", "nomad-variables", "--vars-prefix", place)
    assert done.code == 1
    assert done.stderr.startswith("error[depfile-missing]: ")
    assert "Traceback" not in done.stderr

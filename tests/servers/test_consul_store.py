"""The Consul store on a real Consul."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dtree_stores.consul_kv import ConsulStore

from dtree.access.consul import Connection, ConsulClient
from dtree.demo.api import Tls
from dtree.errors import StoreError
from dtree.store import Changes, Store, StoreChanged, StoreContext, StoreFileMissing, StoreUnreachable
from dtree.testing import WritableStoreContract
from tests.docs.pages import ROOT, fences
from tests.servers.consul_agent import ConsulAgent
from tests.servers.proxy import Fate, Proxy, Request, answer, only
from tests.servers.scenario import Done, Scenario


def no_nomad() -> Any:
    pytest.fail("the Consul store has no need of Nomad")


def store_of(consul: ConsulAgent, **given: Any) -> ConsulStore:
    """Return a store with these settings, the others as they are by default."""
    defaults = {option.key: option.default for option in ConsulStore.options}
    settings = {**defaults, "consul_addr": consul.address, **given}
    return ConsulStore(settings, StoreContext(cwd=Path("/"), cache=Path("/none"), nomad=no_nomad))


@pytest.fixture
def root(consul: ConsulAgent) -> Iterator[str]:
    """A folder of this test's own."""
    name = f"t{uuid4().hex[:8]}"
    yield name
    consul.api.drop(f"{name}/")


class TestConsulStore(WritableStoreContract):
    @pytest.fixture(autouse=True)
    def _consul(self, consul: ConsulAgent, root: str) -> None:
        self.consul = consul
        self.root = root

    def store(self, files: Mapping[str, bytes]) -> Store:
        self.consul.api.fill(f"{self.root}/", files)
        return store_of(self.consul, consul_root=self.root)

    def change(self, store: Store, files: Mapping[str, bytes]) -> None:
        assert store.settings["consul_root"] == self.root
        self.consul.api.fill(f"{self.root}/", files)


SHOP: Mapping[str, bytes] = {
    "dependency.json": b'{"dependencies": {"web": {"pre": "db"}}}',
    "jobs/db.nomad": b'job "db" {}\n',
    "jobs/web.nomad": b'job "web" {}\n',
}


@pytest.fixture
def shop(consul: ConsulAgent, root: str) -> str:
    """A folder with two jobs."""
    consul.api.fill(f"{root}/", SHOP)
    return root


def refusal(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.hint
    return caught.value


def free_port() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def validate(scenario: Scenario, *argv: str, env: Mapping[str, str] | None = None) -> Done:
    return scenario.dtree("validate", "--store", "consul", *argv, env=env)


# -- where it is, and how it is reached --------------------------------------------------------------------------------


def test_an_address_may_be_a_url_a_host_and_port_or_a_socket(consul: ConsulAgent, shop: str) -> None:
    bare = consul.address.removeprefix("http://")
    for address in (consul.address, f"{consul.address}/", bare, bare.replace("127.0.0.1", "localhost"), f"unix://{consul.socket}"):
        with store_of(consul, consul_root=shop, consul_addr=address).snapshot() as snapshot:
            assert snapshot.job_names() == ("db", "web"), address


def test_the_variables_of_consul_and_of_the_first_nomad_dtree_are_read(scenario: Scenario, consul: ConsulAgent, shop: str) -> None:
    paths = ["--consul-depfile-path", f"{shop}/dependency.json", "--consul-jobs-path", f"{shop}/jobs"]
    for variable in ("CONSUL_HTTP_ADDR", "CONSUL_ADDRESS"):
        done = validate(scenario, *paths, env={variable: consul.address.removeprefix("http://")})
        assert done.code == 0, done.stderr


def test_the_jobs_may_lie_beside_the_dependency_file_and_it_is_none_of_them(consul: ConsulAgent, root: str) -> None:
    consul.api.fill(
        f"{root}/", {"dependency.yaml": b"dependencies: {}", "api.nomad": b"", ".hidden.nomad": b"", "api.nomad~": b"", "sub/": b""}
    )
    snapshot = store_of(consul, consul_jobs_path=root, consul_root=root).snapshot()
    assert snapshot.list_jobs() == ("api.nomad",)
    assert snapshot.depfile().path == f"kv:{root}/dependency.yaml"
    assert snapshot.title == root


def test_two_dependency_files_are_a_fault_and_one_may_be_chosen(consul: ConsulAgent, shop: str) -> None:
    consul.api.put(f"{shop}/dependency.yml", b"dependencies: {}")
    error = refusal(store_of(consul, consul_root=shop).snapshot().depfile)
    assert error.error_code == "depfile-ambiguous"
    chosen = store_of(consul, consul_depfile_path=f"/{shop}/dependency.yml").snapshot()
    assert chosen.depfile().data == b"dependencies: {}"
    assert chosen.job_names() == ("db", "web")


def test_places_without_a_folder_in_common_are_read_as_they_were_at_one_moment(consul: ConsulAgent) -> None:
    one, other = (f"t{uuid4().hex[:8]}" for _ in range(2))
    consul.api.put(f"{one}/deps.json", b"{}")
    consul.api.fill(f"{other}/jobs/", {"api.nomad": b"api"})
    store = store_of(consul, consul_depfile_path=f"{one}/deps.json", consul_jobs_path=f"{other}/jobs")
    with store.snapshot() as snapshot:
        assert snapshot.depfile().data == b"{}"
        assert snapshot.jobs(["api"])["api"].data == b"api"
        assert "only keys below" in refusal(lambda: snapshot.read("ready")).problem
        assert not snapshot.wait_for_change(0.2)
        assert snapshot.write(Changes(b"{} ", {"api.nomad": None, "new.nomad": b"new"})) == "in one transaction"
        assert snapshot.wait_for_change(10.0)
        assert refusal(lambda: snapshot.write(Changes(files={"elsewhere": b""}))).error_code == "store-outside"
    assert store.snapshot().job_names() == ("new",)
    consul.api.drop(f"{one}/")
    consul.api.drop(f"{other}/")


def test_the_whole_store_is_read_only_on_request(consul: ConsulAgent) -> None:
    names = f"t{uuid4().hex[:8]}.json", f"t{uuid4().hex[:8]}"
    consul.api.fill("", {**dict.fromkeys(consul.api.keys(""), b""), names[0]: b"{}", f"{names[1]}/api.nomad": b"api"})
    places = {"consul_depfile_path": names[0], "consul_jobs_path": names[1]}
    assert refusal(lambda: store_of(consul, **places).snapshot().read("ready")).error_code == "store-file-missing"
    whole = store_of(consul, consul_root="/", **places).snapshot()
    assert (whole.depfile().data, whole.job_names(), whole.read("ready").data, whole.title) == (b"{}", ("api",), b"", "jobs")
    consul.api.drop(names[0])
    consul.api.drop(f"{names[1]}/")


def test_each_consistency_reads_the_same(consul: ConsulAgent, shop: str) -> None:
    read = [store_of(consul, consul_root=shop, consul_consistency=how).snapshot().revision for how in ("default", "consistent", "stale")]
    assert read[0] == read[1] == read[2]
    assert re.fullmatch(r"index \d+, sha256:[0-9a-f]{12}", str(read[0]))


def test_the_revision_does_not_depend_on_where_the_folder_stands(consul: ConsulAgent, shop: str) -> None:
    consul.api.fill(f"{shop}-copy/", SHOP)
    copy = store_of(consul, consul_root=f"{shop}-copy").snapshot().revision
    assert copy.id == store_of(consul, consul_root=shop).snapshot().revision.id
    consul.api.drop(f"{shop}-copy/")


# -- what it costs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 2000])
def test_it_is_one_request_however_many_jobs_there_are(scenario: Scenario, consul: ConsulAgent, root: str, count: int) -> None:
    names = [f"job{number:04}" for number in range(count)]
    depfile = json.dumps({"dependencies": {name: {} for name in names}}).encode()
    consul.api.fill(f"{root}/", {"dependency.json": depfile, **{f"jobs/{name}.nomad": f'job "{name}" {{}}'.encode() for name in names}})
    with Proxy(consul.address, fate=lambda _: "pass") as proxy:
        done = validate(scenario, "--consul-root", root, "--consul-addr", proxy.address)
    assert done.code == 0, done.stderr
    assert [request.target for request in proxy.requests] == [f"/v1/kv/{root}/?recurse=1"]


# -- errors --------------------------------------------------------------------------------------------------------------------


def test_missing_denied_leaderless_and_unreachable_are_four_errors(
    consul: ConsulAgent, acl_consul: ConsulAgent, consul_program: Path, root: str
) -> None:
    missing = refusal(store_of(consul, consul_root=root).snapshot().depfile)
    denied = refusal(store_of(acl_consul, consul_root=root, consul_token=acl_consul.api.token_for("")).snapshot)
    with ConsulAgent(consul_program, lonely=True) as lonely:
        client = ConsulClient(Connection(address=lonely.address), patience_s=0.0)
        leaderless = refusal(lambda: client.tree(f"{root}/"))
        client.close()
    unreachable = refusal(store_of(consul, consul_root=root, consul_addr=f"127.0.0.1:{free_port()}").snapshot)
    found = [(type(error), error.error_code) for error in (missing, denied, leaderless, unreachable)]
    assert found == [
        (StoreFileMissing, "depfile-missing"),
        (StoreError, "consul-denied"),
        (StoreUnreachable, "consul-no-leader"),
        (StoreUnreachable, "store-unreachable"),
    ]
    assert f"'{root}/'" in missing.problem
    assert "raft list-peers" in leaderless.hint


def test_a_namespace_is_refused_where_consul_has_none(consul: ConsulAgent, shop: str) -> None:
    for given in ({"consul_namespace": "team"}, {"consul_partition": "team"}):
        error = refusal(store_of(consul, consul_root=shop, **given).snapshot)
        assert error.error_code == "consul-refused"
        assert "this is not Consul Enterprise" in error.hint


def test_an_unknown_datacenter_is_named_in_reading_and_writing(consul: ConsulAgent, shop: str) -> None:
    for given in ("nowhere", "dc1"):
        store = store_of(consul, consul_root=shop, consul_datacenter=given)
        if given == "dc1":
            assert store.snapshot().write(Changes(b"{}")) == "in one transaction"
        else:
            assert "--consul-datacenter" in refusal(store.snapshot).hint


# -- tokens ----------------------------------------------------------------------------------------------------------------


def documented(file: str) -> str:
    """A policy that users are told to write."""
    (fence,) = [fence for fence in fences(ROOT / "docs/reference/acl.md") if fence.language == "hcl" and fence.what == file]
    return fence.body


@pytest.fixture
def guarded(acl_consul: ConsulAgent) -> Iterator[ConsulAgent]:
    """The Consul with ACLs, two jobs below `shop/` in it, and a key beside them that is nobody's business."""
    acl_consul.api.fill("shop/", SHOP)
    acl_consul.api.put("shopkeeper", b"secret")
    yield acl_consul
    acl_consul.api.drop("shop")


def test_the_documented_policies_are_enough(guarded: ConsulAgent) -> None:
    reader = store_of(guarded, consul_root="shop", consul_token=guarded.api.token_for(documented("consul-read")))
    snapshot = reader.snapshot()
    assert snapshot.jobs(["db", "web"])["db"].data == SHOP["jobs/db.nomad"]
    assert not snapshot.wait_for_change(0.1)
    error = refusal(lambda: snapshot.write(Changes(b"{}")))
    assert error.error_code == "consul-denied"
    assert error.hint == 'the token needs the rule key_prefix "shop/" { policy = "write" }'
    writer = store_of(guarded, consul_root="shop", consul_token=guarded.api.token_for(documented("consul-write")))
    many = {f"{number}.nomad": b"x" for number in range(200)}
    assert writer.snapshot().write(Changes(b"{}", {**many, "db.nomad": None})).startswith("in 2 steps")
    assert len(reader.snapshot().list_jobs()) == 201


def test_large_values_need_no_other_rule(guarded: ConsulAgent) -> None:
    reader = store_of(guarded, consul_root="shop", consul_token=guarded.api.token_for(documented("consul-read")))
    error = refusal(lambda: reader.snapshot().write(Changes(jobs={"big.nomad": b"x" * 500_000})))
    assert error.hint == 'the token needs the rule key_prefix "shop/" { policy = "write" }'
    writer = store_of(guarded, consul_root="shop", consul_token=guarded.api.token_for(documented("consul-write")))
    assert writer.snapshot().write(Changes(jobs={"big.nomad": b"x" * 500_000})) == "in one transaction"


@pytest.mark.parametrize(
    "rules",
    [
        "",
        'key_prefix "other/" { policy = "write" }',
        'key "shop/dependency.json" { policy = "read" }',
        'key_prefix "shop/jobs/" { policy = "read" }',
        'key_prefix "shop/" { policy = "read" } key "shop/jobs/db.nomad" { policy = "deny" }',
    ],
)
def test_with_less_the_error_names_the_rule(guarded: ConsulAgent, scenario: Scenario, rules: str) -> None:
    token = guarded.api.token_for(rules)
    done = validate(scenario, "--consul-root", "shop", "--consul-addr", guarded.address, env={"CONSUL_HTTP_TOKEN": token})
    assert done.code == 1
    assert "error[consul-denied]: Consul hides keys below 'shop/': the token may not read all of them" in done.stderr
    assert 'needs the rule key_prefix "shop/" { policy = "read" }' in done.stderr
    assert token not in done.stdout + done.stderr


def test_an_empty_folder_that_may_not_be_read_is_denied_and_not_empty(guarded: ConsulAgent) -> None:
    guarded.api.drop("shop/")
    for token in ("", guarded.api.token_for('key_prefix "other/" { policy = "read" }')):
        denied = refusal(store_of(guarded, consul_root="shop", consul_token=token).snapshot)
        assert denied.error_code == "consul-denied", token
    allowed = store_of(guarded, consul_root="shop", consul_token=guarded.api.token_for(documented("consul-read")))
    assert refusal(allowed.snapshot().depfile).error_code == "depfile-missing"


def test_where_listing_needs_a_rule_of_its_own_the_error_names_that(consul_program: Path) -> None:
    with ConsulAgent(consul_program, acl=True, config={"acl": {"enable_key_list_policy": True}}) as strict:
        strict.api.fill("shop/", SHOP)
        reader = strict.api.token_for(documented("consul-read"))
        error = refusal(store_of(strict, consul_root="shop", consul_token=reader).snapshot)
        assert error.hint == 'the token needs the rule key_prefix "shop/" { policy = "list" }'
        lister = strict.api.token_for(documented("consul-read").replace("read", "list"))
        assert store_of(strict, consul_root="shop", consul_token=lister).snapshot().job_names() == ("db", "web")


def test_without_a_token_the_error_says_how_to_give_one(guarded: ConsulAgent) -> None:
    error = refusal(store_of(guarded, consul_root="shop").snapshot)
    assert "without a token" in error.problem
    assert error.hint == 'give one (CONSUL_HTTP_TOKEN, --consul-token-file); it needs the rule key_prefix "shop/" { policy = "read" }'


def test_a_token_that_consul_does_not_know_is_told(guarded: ConsulAgent) -> None:
    error = refusal(store_of(guarded, consul_root="shop", consul_token=str(uuid4())).snapshot)
    assert error.error_code == "consul-denied"
    assert error.hint.startswith("Consul does not know the token")


def test_a_token_file_beats_the_token(guarded: ConsulAgent, scenario: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{guarded.api.token_for(documented('consul-read'))}\n")
    at = ["--consul-root", "shop", "--consul-addr", guarded.address]
    done = validate(scenario, *at, "--consul-token-file", str(file), env={"CONSUL_HTTP_TOKEN": "of-nobody"})
    assert done.code == 0, done.stderr
    assert validate(scenario, *at, env={"CONSUL_HTTP_TOKEN_FILE": str(file)}).code == 0
    for text, words in (("", "is empty"), (None, "cannot be read"), ("two words", "holds characters that no token has")):
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        done = validate(scenario, *at, "--consul-token-file", str(file))
        assert "error[consul-bad-setting]" in done.stderr, done.stderr
        assert words in done.stderr
        assert "two words" not in done.stderr


def test_a_token_is_shown_nowhere(guarded: ConsulAgent, scenario: Scenario, consul: ConsulAgent) -> None:
    token = guarded.token
    scenario.mock("db")
    at = ["--consul-root", "shop", "--consul-token", token]
    with Proxy(guarded.address, fate=lambda _: "pass") as proxy:
        for argv in (
            ["validate", *at, "--consul-addr", proxy.address],
            ["validate", *at, "--consul-addr", proxy.address, "--output", "json"],
            ["plan", "--all", *at, "--consul-addr", proxy.address],
            ["graph", *at, "--consul-addr", proxy.address],
            ["validate", *at, "--consul-addr", f"http://me:{token}@127.0.0.1:{free_port()}"],
            ["validate", *at, "--consul-addr", f"127.0.0.1:{free_port()}", "--output", "json"],
            ["validate", *at, "--consul-addr", "ftp://nowhere"],
            ["validate", *at, "--consul-addr", consul.address.replace("http", "https")],
            ["stores", "show", "consul"],
        ):
            done = scenario.dtree(*argv, *([] if "show" in argv else ["--store", "consul"]), env={"CONSUL_HTTP_TOKEN": token})
            assert token not in done.stdout + done.stderr, argv
            assert "Traceback" not in done.stderr, argv
        assert proxy.requests
        assert all(token not in request.target for request in proxy.requests)
    assert token not in repr(Connection(token=token, login=f"me:{token}"))


# -- TLS -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificates(tls: Tls) -> dict[str, Path]:
    return {"consul_ca_file": tls.ca_file, "consul_client_cert": tls.cert_file, "consul_client_key": tls.key_file}


def test_certificates_are_checked_both_ways(tls_consul: ConsulAgent, certificates: dict[str, Path], root: str) -> None:
    store = store_of(tls_consul, consul_root=root, **certificates)
    assert store.snapshot().write(Changes(b"{}")) == "in one transaction"
    assert store.snapshot().depfile().data == b"{}"
    bare = store_of(tls_consul, consul_root=root, consul_addr=tls_consul.address.removeprefix("https://"), consul_ssl=True, **certificates)
    assert bare.snapshot().depfile().data == b"{}"
    tls_consul.api.drop(f"{root}/")


@pytest.mark.parametrize(
    ("given", "problem", "hint"),
    [
        ({"consul_ca_file": None}, "its certificate is not signed by a known authority", "--consul-ca-file (CONSUL_CACERT)"),
        ({"consul_client_cert": None, "consul_client_key": None}, "wants a client certificate", "--consul-client-cert"),
        ({"consul_client_key": None}, "needs both --consul-client-cert and --consul-client-key", "give both"),
        ({"consul_tls_server_name": "consul.example"}, "its certificate is for another name", "CONSUL_TLS_SERVER_NAME"),
        ({"consul_ca_file": Path("/nowhere.pem")}, "--consul-ca-file (CONSUL_CACERT) names '/nowhere.pem'", "check the path"),
        ({"http": True}, "wants https", "https://127.0.0.1"),
    ],
)
def test_what_is_wrong_with_certificates_is_told(
    tls_consul: ConsulAgent, certificates: dict[str, Path], given: dict[str, Any], problem: str, hint: str
) -> None:
    address = tls_consul.address.replace("https", "http") if given.get("http") else tls_consul.address
    error = refusal(store_of(tls_consul, **{**certificates, "consul_addr": address, **given}).snapshot)
    assert error.error_code == "consul-tls"
    assert problem in error.problem
    assert hint in error.hint


def test_the_check_can_be_turned_off_and_no_warning_follows(tls_consul: ConsulAgent, scenario: Scenario, tls: Tls) -> None:
    env = {"CONSUL_HTTP_ADDR": tls_consul.address, "CONSUL_CLIENT_CERT": str(tls.cert_file), "CONSUL_CLIENT_KEY": str(tls.key_file)}
    tls_consul.api.fill("nomad-dtree/", SHOP)
    done = validate(scenario, env={**env, "CONSUL_HTTP_SSL_VERIFY": "false"})
    assert (done.code, done.stderr) == (0, "")
    assert validate(scenario, env={**env, "CONSUL_CACERT": str(tls.ca_file)}).code == 0
    assert "consul-tls" in validate(scenario, env=env).stderr
    tls_consul.api.drop("nomad-dtree/")


# -- while it changes, and when it goes away -----------------------------------------------------------------------------------


def test_keys_that_change_while_they_are_read_are_read_as_they_were_at_one_moment(consul: ConsulAgent, root: str) -> None:
    consul.api.fill(f"{root}/", {"dependency.json": b"0", "jobs/a.nomad": b"0", "jobs/b.nomad": b"0"})
    store = store_of(consul, consul_root=root)
    over = threading.Event()

    def write() -> None:
        for number in count(1):
            if over.is_set():
                return
            data = b"%d" % number
            store.snapshot().write(Changes(data, {"a.nomad": data, "b.nomad": data}))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen: set[bytes] = set()
        while len(seen) < 20:
            snapshot = store.snapshot()
            values = {snapshot.depfile().data, *(text.data for text in snapshot.jobs(["a", "b"]).values())}
            assert len(values) == 1
            seen |= values
    finally:
        over.set()
        writer.join()


@pytest.mark.parametrize("changes", [1, 100])
def test_two_folders_are_read_until_nothing_changes_between_them(consul: ConsulAgent, root: str, changes: int) -> None:
    depfile, jobs = f"{root}-a/d.json", f"{root}-b/jobs"
    consul.api.put(depfile, b"0")
    consul.api.put(f"{jobs}/api.nomad", b"0")
    numbers = iter(range(1, changes + 1))

    def fate(request: Request) -> Fate:
        # The dependency file has been read, the jobs are about to be: now somebody changes both.
        if request.is_for("GET", f"/v1/kv/{jobs}/") and (number := next(numbers, None)) is not None:
            consul.api.put(depfile, b"%d" % number)
            consul.api.put(f"{jobs}/api.nomad", b"%d" % number)
        return "pass"

    with Proxy(consul.address, fate=fate) as proxy:
        store = store_of(consul, consul_addr=proxy.address, consul_depfile_path=depfile, consul_jobs_path=jobs)
        if changes == 1:
            snapshot = store.snapshot()
            assert (snapshot.depfile().data, snapshot.jobs(["api"])["api"].data) == (b"1", b"1")
        else:
            assert "changed each of the 5 times" in refusal(store.snapshot).problem
    consul.api.drop(root)


def test_a_change_elsewhere_and_the_same_value_again_are_no_change(consul: ConsulAgent, shop: str) -> None:
    snapshot = store_of(consul, consul_root=shop).snapshot()

    def write() -> None:
        consul.api.put(f"{shop}-not", b"x")
        consul.api.put(f"{shop}/jobs/db.nomad", SHOP["jobs/db.nomad"])
        # Both are changes for Consul, but of no file.
        consul.api.put(f"{shop}/jobs/folder/", b"")
        consul.api.call("PUT", f"/v1/kv/{shop}/jobs/web.nomad?flags=1", SHOP["jobs/web.nomad"])

    timer = threading.Timer(0.2, write)
    timer.start()
    assert not snapshot.wait_for_change(1.0)
    timer.join()
    consul.api.drop(f"{shop}-not")


def test_a_change_is_noticed_at_once(consul: ConsulAgent, shop: str) -> None:
    snapshot = store_of(consul, consul_root=shop).snapshot()
    timer = threading.Timer(0.3, lambda: consul.api.drop(f"{shop}/jobs/db.nomad"))
    started_s = time.monotonic()
    timer.start()
    assert snapshot.wait_for_change(30.0)
    assert time.monotonic() - started_s < 15.0
    timer.join()


def test_a_server_that_goes_away_half_way_leaves_what_was_read_and_is_told(consul_program: Path) -> None:
    with ConsulAgent(consul_program) as gone:
        gone.api.fill("shop/", SHOP)
        store = store_of(gone, consul_root="shop")
        snapshot = store.snapshot()
        gone.end()
        assert snapshot.depfile().data == SHOP["dependency.json"]
        assert set(snapshot.jobs(["db", "web"])) == {"db", "web"}
        started_s = time.monotonic()
        waited = refusal(lambda: snapshot.wait_for_change(1.0))
        assert time.monotonic() - started_s < 20.0
        again = refusal(store.snapshot)
        assert {(type(error), error.error_code) for error in (waited, again)} == {(StoreUnreachable, "store-unreachable")}
        assert gone.address in again.problem


def test_a_server_that_comes_back_with_less_is_watched_on(consul_program: Path) -> None:
    with ConsulAgent(consul_program) as consul:
        for number in range(50):
            consul.api.put("shop/dependency.json", b"%d" % number)
        consul.api.fill("shop/", SHOP)
        snapshot = store_of(consul, consul_root="shop").snapshot()
        consul.end()
        consul.forget()
        consul.begin()
        consul.api.fill("shop/", SHOP)
        timer = threading.Timer(1.0, lambda: consul.api.put("shop/jobs/db.nomad", b"new"))
        timer.start()
        started_s = time.monotonic()
        # The old cluster's index is above all of the new one's, so that Consul holds its answer for the whole time.
        assert snapshot.wait_for_change(2.0)
        assert time.monotonic() - started_s < 20.0
        timer.join()


@pytest.mark.parametrize(
    "fate",
    [answer(429, "too many requests"), answer(500, "No cluster leader"), answer(500, "rpc error: EOF"), answer(503, "no"), "reset"],
    ids=["429", "no leader", "rpc error", "503", "reset"],
)
def test_trouble_that_passes_is_sat_out(consul: ConsulAgent, shop: str, fate: Fate) -> None:
    met = iter([fate, fate])
    with Proxy(consul.address, fate=lambda _: "pass") as proxy:
        store = store_of(consul, consul_root=shop, consul_addr=proxy.address)
        snapshot = store.snapshot()
        proxy.fate = lambda _: next(met, "pass")
        assert snapshot.write(Changes(b"{}")) == "in one transaction"
        assert len(proxy.requests) == 4
    assert store_of(consul, consul_root=shop).snapshot().depfile().data == b"{}"


# -- writing -----------------------------------------------------------------------------------------------------------------------


def test_128_keys_are_one_transaction_and_one_more_is_two_steps(consul: ConsulAgent, root: str) -> None:
    with Proxy(consul.address, fate=lambda _: "pass") as proxy:
        store = store_of(consul, consul_root=root, consul_addr=proxy.address)
        jobs = {f"{number:03}.nomad": b"" for number in range(127)}
        assert store.snapshot().write(Changes(b"{}", jobs)) == "in one transaction"
        assert proxy.seen("PUT", "/v1/txn") == 1
        said = store.snapshot().write(Changes(b"{} ", {**dict.fromkeys(jobs, b"x"), "127.nomad": b""}))
        assert said == "in 2 steps, the dependency file after the jobs and removals last, because a transaction takes 128 keys and 512 KiB"
        assert proxy.seen("PUT", "/v1/txn") == 3
    assert len(store_of(consul, consul_root=root).snapshot().list_jobs()) == 128


def test_much_data_is_cut_and_large_values_go_alone(consul: ConsulAgent, root: str) -> None:
    store = store_of(consul, consul_root=root)
    jobs = {"a.nomad": b"a" * 300_000, "b.nomad": b"b" * 300_000, "c.nomad": b"c" * 500_000, "d.nomad": b"d" * 524_288}
    assert store.snapshot().write(Changes(b"{}", jobs)).startswith("in 5 steps")
    assert {path: text.data for path, text in store.snapshot().read_jobs(list(jobs)).items()} == jobs
    assert store.snapshot().write(Changes(jobs=dict.fromkeys(jobs))) == "in one transaction"
    assert consul.api.keys(f"{root}/") == [f"{root}/dependency.json"]


def test_a_value_too_large_is_told_before_anything_is_written(consul: ConsulAgent, root: str) -> None:
    store = store_of(consul, consul_root=root)
    snapshot = store.snapshot()
    changes = Changes(b"{}", {"a.nomad": b"", "b.nomad": b"x" * 524_289})
    error = refusal(lambda: snapshot.write(changes))
    assert error.error_code == "consul-too-large"
    assert f"'{root}/jobs/b.nomad' would have 524,289 bytes" in error.problem
    assert str(refusal(lambda: snapshot.check_changes(changes))) == str(error)
    assert consul.api.keys(f"{root}/") == []


def test_an_answer_that_was_lost_is_no_change_of_somebody_else(consul: ConsulAgent, root: str) -> None:
    jobs = {"a.nomad": b"a", "old.nomad": None, "big.nomad": b"x" * 500_000}
    consul.api.fill(f"{root}/", {"jobs/old.nomad": b"", "dependency.json": b""})
    for changes in (Changes(b"{}", {"a.nomad": b"a", "old.nomad": None}), Changes(jobs={"big.nomad": jobs["big.nomad"]})):
        path = "/v1/txn" if changes.depfile else f"/v1/kv/{root}/jobs/big.nomad"
        with Proxy(consul.address, fate=only("lose-answer", "PUT", path, times=1)) as proxy:
            assert store_of(consul, consul_root=root, consul_addr=proxy.address).snapshot().write(changes) == "in one transaction"
            assert proxy.seen("PUT", path) == 2
    assert consul.api.keys(f"{root}/") == [f"{root}/dependency.json", f"{root}/jobs/a.nomad", f"{root}/jobs/big.nomad"]


def test_a_new_key_of_somebody_else_is_not_overwritten(consul: ConsulAgent, root: str) -> None:
    snapshot = store_of(consul, consul_root=root).snapshot()
    consul.api.put(f"{root}/jobs/a.nomad", b"theirs")
    for jobs in ({"a.nomad": b"ours"}, {"a.nomad": b"x" * 500_000}, {"a.nomad": b"ours", **{str(number): b"" for number in range(200)}}):
        error = refusal(lambda jobs=jobs: snapshot.write(Changes(b"{}" if len(jobs) > 1 else None, jobs)))  # type: ignore[misc]
        assert isinstance(error, StoreChanged)
        assert f"'{root}/jobs/a.nomad'" in error.problem
    assert consul.api.keys(f"{root}/") == [f"{root}/jobs/a.nomad"]


def test_a_change_between_two_steps_stops_it_and_says_what_was_written(consul: ConsulAgent, root: str) -> None:
    def fate(request: Request) -> Fate:
        if request.is_for("PUT", "/v1/txn") and proxy.seen("PUT", "/v1/txn") == 2:
            consul.api.put(f"{root}/dependency.json", b"theirs")
        return "pass"

    with Proxy(consul.address, fate=lambda _: "pass") as proxy:
        consul.api.put(f"{root}/jobs/old", b"")
        snapshot = store_of(consul, consul_root=root, consul_addr=proxy.address).snapshot()
        proxy.fate = fate
        new = {f"{number:03}": b"" for number in range(130)}
        error = refusal(lambda: snapshot.write(Changes(b"{}", {"old": None, **new})))
    assert error.error_code == "consul-half-written"
    assert error.problem == f"only 1 of 2 steps were written: somebody changed '{root}/dependency.json' in Consul since it was read"
    assert error.notes[-1] == f"written: '{root}/jobs/000' to '{root}/jobs/127', 128 keys"
    # Jobs come first, what is removed last: nothing that the old dependency file names is missing.
    assert consul.api.keys(f"{root}/") == [
        f"{root}/dependency.json",
        *(f"{root}/jobs/{number:03}" for number in range(128)),
        f"{root}/jobs/old",
    ]


# -- the seed's four jobs --------------------------------------------------------------------------------------------------------


def test_the_four_jobs_of_the_seed_run_from_it_as_from_a_folder(scenario: Scenario, consul: ConsulAgent, root: str) -> None:
    folder = ROOT / "dtree/demo/jobs"
    jobs = {file.stem: file.read_text() for file in folder.glob("*.nomad")}
    for name, text in jobs.items():
        # Services are found by name: each test has its own.
        renamed = re.sub(rf'"({"|".join(jobs)})"', rf'"{scenario.prefix}\1"', text)
        scenario.job(name, renamed.replace(f'task "{scenario.prefix}', 'task "').replace(f'command = "{scenario.prefix}', 'command = "'))
    (scenario.folder / "dependency.json").write_bytes((folder / "dependency.json").read_bytes())
    paths = [*scenario.folder.glob("jobs/*"), scenario.folder / "dependency.json"]
    consul.api.fill(f"{root}/", {str(path.relative_to(scenario.folder)): path.read_bytes() for path in paths})
    at = ["--store", "consul", "--consul-addr", consul.address, "--consul-root", root]
    done = scenario.dtree("run", "--job", "nginx", *at, "--output", "json")
    assert done.code == 0, done.stdout + done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["postgres", "postgres_setup", "api", "nginx"]
    # What Nomad was sent is what the folder has, byte for byte.
    sent = {name: scenario.api.get(f"/v1/job/{scenario.id(name)}/submission", version="0")["Source"] for name in jobs}
    assert sent == {name: (scenario.folder / "jobs" / f"{name}.nomad").read_text() for name in jobs}
    same = scenario.dtree("plan", "--job", "nginx", "--detailed-exitcode")
    assert same.code == 0, same.stdout
    stopped = scenario.dtree("stop", "--job", "nginx", "--deep", *at)
    assert stopped.code == 0, stopped.stderr

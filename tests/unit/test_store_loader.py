from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stevedore.extension import ExtensionManager

from dtree import store_loader
from dtree.errors import StoreError

GOOD = """
from dtree.store import Option, Store
class Good(Store):
    store_api = 1
    summary = "Jobs from nowhere"
    options = (Option("ram-greeting", help="Said at start.", env=("GREETING",), secret=True),)
    def snapshot(self): ...
    def __bool__(self): return False
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one module and one entry point, as pip would leave it on disk."""
    modules: list[str] = []

    def install_one(distribution: str, module: str, source: str, *, store: str, attribute: str = "Good") -> None:
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dtree.stores]\n{store} = {module}:{attribute}\n")
        (site / f"{module}.py").write_text(source)
        modules.append(module)
        monkeypatch.syspath_prepend(str(site))
        forget()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()
    yield install_one
    forget()
    for module in modules:
        sys.modules.pop(module, None)


def forget() -> None:
    """Have stevedore look at the disk again: a process normally sees one set of packages."""
    ExtensionManager.ENTRY_POINT_CACHE.clear()
    importlib.invalidate_caches()


def refusal(name: str, reserved: tuple[str, ...] = ()) -> StoreError:
    with pytest.raises(StoreError) as caught:
        store_loader.load(name, reserved=reserved)
    return caught.value


def test_the_built_in_store_comes_through_the_same_door() -> None:
    assert store_loader.load("filesystem").__name__ == "FilesystemStore"


def test_a_store_of_another_package_is_loaded_even_where_it_is_falsy(install: Install) -> None:
    install("acme-ram", "acme_ram", GOOD, store="ram")
    store = store_loader.load("ram")
    assert (store.__module__, store.__name__) == ("acme_ram", "Good")


def test_only_the_chosen_store_is_imported(install: Install) -> None:
    install("acme-ram", "acme_ram", GOOD, store="ram")
    install("acme-bomb", "acme_bomb", "raise SystemExit('imported')", store="bomb")
    store_loader.load("ram")
    assert "acme_bomb" not in sys.modules


def test_listing_imports_no_store(install: Install) -> None:
    install("acme-bomb", "acme_bomb", "raise SystemExit('imported')", store="bomb")
    listed = {store.name: store for store in store_loader.list_stores()}
    assert listed["bomb"] == store_loader.Listed("bomb", "acme_bomb:Good", "acme-bomb 1.0")
    assert listed["filesystem"].distribution.startswith("nomad-dtree ")
    assert "acme_bomb" not in sys.modules


def test_an_unknown_store_is_told_with_what_exists_and_the_nearest() -> None:
    error = refusal("filesytem")
    assert error.error_code == "store-unknown"
    assert error.notes == (f"installed: {', '.join(sorted({listed.name for listed in store_loader.list_stores()}))}",)
    assert error.hint == "did you mean 'filesystem'?"


def test_an_unknown_store_may_be_near_to_one_that_the_file_names() -> None:
    with pytest.raises(StoreError) as caught:
        store_loader.load("prodution", named=["staging", "production"])
    assert (caught.value.notes[1], caught.value.hint) == ("named in nomad-dtree.toml: production, staging", "did you mean 'production'?")


def test_two_packages_with_one_name_are_both_told_and_neither_is_imported(install: Install) -> None:
    install("evil", "evil_fs", GOOD, store="filesystem")
    error = refusal("filesystem")
    assert error.error_code == "store-duplicate"
    assert len(error.notes) == 2
    assert error.notes[0] == "evil 1.0 offers evil_fs:Good"
    assert error.notes[1].startswith("nomad-dtree ")
    assert "evil_fs" not in sys.modules


def test_a_store_that_lacks_a_library_is_told_with_the_library_and_the_package(install: Install) -> None:
    install("acme-kv", "acme_kv", "import a_library_nobody_has", store="kv")
    error = refusal("kv")
    assert error.problem == "store 'kv' cannot be imported: ModuleNotFoundError: No module named 'a_library_nobody_has'"
    assert error.notes == ("it is acme_kv:Good of acme-kv 1.0",)
    assert error.hint == "install the package that has the module 'a_library_nobody_has' beside nomad-dtree"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise AssertionError('no')", "AssertionError: no"),
        ("x =", "SyntaxError"),
        ("Other = 1", "AttributeError"),
        ("from dtree.store import Option\nOption('Bad', help='x')", "ValueError: option name 'Bad' is not kebab-case"),
    ],
)
def test_whatever_breaks_an_import_is_quoted(install: Install, source: str, says: str) -> None:
    install("acme-kv", "acme_kv", source, store="kv")
    error = refusal("kv")
    assert error.error_code == "store-broken"
    assert says in error.problem


@pytest.mark.parametrize("source", ["Good = 1", "class Good: pass", "def Good(): pass"])
def test_something_that_is_no_store_is_refused(install: Install, source: str) -> None:
    install("acme-kv", "acme_kv", source, store="kv")
    assert refusal("kv").problem == "store 'kv' is no subclass of dtree.store.Store"


@pytest.mark.parametrize(
    ("api", "says", "hint"),
    [
        ("store_api = 2", "says 2", "upgrade nomad-dtree"),
        ("store_api = 0", "says 0", "upgrade that package, or write `store_api` in its class"),
        ("", "does not say", "upgrade that package, or write `store_api` in its class"),
    ],
)
def test_a_store_for_another_version_of_the_interface_is_refused(install: Install, api: str, says: str, hint: str) -> None:
    install("acme-kv", "acme_kv", GOOD.replace("store_api = 1", api or "pass"), store="kv")
    error = refusal("kv")
    assert (error.error_code, error.hint) == ("store-api", hint)
    assert error.problem.endswith(says)


def test_a_store_that_leaves_a_method_out_is_refused(install: Install) -> None:
    install("acme-kv", "acme_kv", GOOD.replace("def snapshot", "def snap"), store="kv")
    assert refusal("kv").problem == "store 'kv' lacks snapshot"


def test_an_option_that_is_one_of_our_own_is_refused(install: Install) -> None:
    install("acme-kv", "acme_kv", GOOD.replace("ram-greeting", "token"), store="kv")
    error = refusal("kv", reserved=("token",))
    assert error.problem == "store 'kv' does not fit: its option --token is one of nomad-dtree's own"


def test_an_option_that_is_declared_twice_is_refused(install: Install) -> None:
    install("acme-kv", "acme_kv", GOOD.replace("secret=True),)", "secret=True),) * 2"), store="kv")
    assert "declares option --ram-greeting twice" in refusal("kv").problem


def test_options_that_are_none_are_refused(install: Install) -> None:
    install("acme-kv", "acme_kv", GOOD + "    options = ('ram-greeting',)\n", store="kv")
    assert "'ram-greeting', which is no dtree.store.Option" in refusal("kv").problem


def test_a_stores_options_become_settings_like_any(install: Install) -> None:
    install("acme-ram", "acme_ram", GOOD, store="ram")
    (setting,) = store_loader.settings("ram", store_loader.load("ram"))
    assert (setting.name, setting.variables) == ("ram-greeting", ("NOMAD_DTREE_RAM_GREETING", "GREETING"))
    assert (setting.key, setting.secret) == (("stores", "ram", "ram-greeting"), True)

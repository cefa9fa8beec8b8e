"""Which stores can be used together, and whose the options on the command line are."""

from __future__ import annotations

import pytest

from dtree.cli.chosen import ChosenStore, in_words_of_the_file, options_of_named, refuse_clashes, refuse_unclear_options, takes_options
from dtree.config import Setting
from dtree.errors import StoreError, UsageError
from tests.fakes.store import MemoryStore

ROOT = Setting("root", "x", key=("stores", "kv", "root"))


def chosen(name: str, kind: str = "kv", setting: Setting = ROOT) -> ChosenStore:
    settings = (setting,) if name == kind else options_of_named(name, [setting])
    return ChosenStore(name, kind, MemoryStore, settings)


def test_two_kinds_with_one_option_cannot_be_told_apart() -> None:
    with pytest.raises(StoreError) as caught:
        refuse_clashes([chosen("kv"), chosen("git", "git")])
    assert caught.value.problem == "stores 'kv' and 'git' both have an option --root, so they cannot be used in one command"
    refuse_clashes([chosen("kv"), chosen("prod"), chosen("git", "git", Setting("ref", "x"))])


@pytest.mark.parametrize(
    ("names", "takers"),
    [(["kv"], ["kv"]), (["prod"], ["prod"]), (["prod", "staging"], []), (["kv", "prod"], ["kv"]), (["kv", "prod", "staging"], ["kv"])],
)
def test_options_are_of_the_store_that_goes_by_its_kind_or_of_the_only_one(names: list[str], takers: list[str]) -> None:
    stores = [chosen(name) for name in names]
    assert [store.name for store in stores if takes_options(store, stores)] == takers


def test_an_option_that_nobody_takes_is_refused_and_no_option_is_none() -> None:
    stores = [chosen("prod"), chosen("staging")]
    refuse_unclear_options(stores, {"root": None})
    refuse_unclear_options([*stores, chosen("kv")], {"root": "x"})
    with pytest.raises(UsageError) as caught:
        refuse_unclear_options(stores, {"root": "x"})
    assert caught.value.hint == "write it as `root` into [stores.prod] or [stores.staging] of nomad-dtree.toml"


ADDRESS = Setting("kv-addr", "x", variables=("NOMAD_DTREE_KV_ADDR", "KV_ADDR"), key=("stores", "kv", "kv-addr"))
TOKEN = Setting("kv-token", "x", variables=("KV_TOKEN",), secret=True)


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("check --kv-addr", "check `kv-addr` in [stores.prod]"),
        ("check --kv-addr or KV_ADDR, and the firewall", "check `kv-addr` in [stores.prod], and the firewall"),
        ("KV_ADDR, NOMAD_DTREE_KV_ADDR, or --kv-addr", "`kv-addr` in [stores.prod]"),
        ("leave --kv-addr (KV_ADDR) out", "leave `kv-addr` in [stores.prod] out"),
        ("--kv-address, MY_KV_ADDR, KV_ADDRESS", "--kv-address, MY_KV_ADDR, KV_ADDRESS"),
        ("check KV_TOKEN or --kv-token", "check KV_TOKEN or --kv-token"),
    ],
)
def test_a_hint_names_the_key_of_a_named_store_instead_of_what_the_key_beats(hint: str, told: str) -> None:
    prod, staging = (ChosenStore(name, "kv", MemoryStore, options_of_named(name, [ADDRESS, TOKEN])) for name in ("prod", "staging"))
    plain = ChosenStore("kv", "kv", MemoryStore, (ADDRESS, TOKEN))
    assert in_words_of_the_file(hint, [prod], given=()) == told
    assert in_words_of_the_file(told, [prod], given=()) == told
    assert in_words_of_the_file(hint, [prod], given=["kv_addr"]) == hint
    assert in_words_of_the_file(hint, [plain], given=()) == hint
    assert in_words_of_the_file(hint, [prod, plain], given=()) == hint
    assert in_words_of_the_file(hint, [prod, staging], given=()) == told.replace("[stores.prod]", "[stores.prod] or [stores.staging]")


def test_the_options_of_a_named_store_stand_in_its_own_table_which_goes_first() -> None:
    (setting,) = chosen("prod").settings
    assert (setting.key, setting.file_first) == (("stores", "prod", "root"), True)

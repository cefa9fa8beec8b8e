"""The stores that a command works with: by kind, or by a name that nomad-dtree.toml gives one with all its options."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dtree import config
from dtree.errors import ConfigError, StoreError, UsageError

if TYPE_CHECKING:
    from dtree.store import Store


@dataclass(frozen=True, slots=True)
class ChosenStore:
    """A store as the command line, a variable or the file names it.

    Attributes:
        name: as it was said: a kind of store, or a name from nomad-dtree.toml.
        kind: as in its entry point.
        plugin: the class.
        settings: its options.
    """

    name: str
    kind: str
    plugin: type[Store]
    settings: tuple[config.Setting, ...]

    @property
    def is_named(self) -> bool:
        """Whether nomad-dtree.toml names it; a name is never that of a kind."""
        return self.name != self.kind


def choose(names: Sequence[str], configuration: config.Configuration, *, reserved: Collection[str]) -> tuple[ChosenStore, ...]:
    """Load the classes of stores that are to be used together in one place.

    Args:
        names: kinds of stores, or names from nomad-dtree.toml.
        reserved: names of options that a store may not have.

    Raises:
        DtreeError: a name that is none, a store that cannot be loaded, a table with keys that its store does not have.

    Effects: imports the stores' plugins.
    """
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise UsageError(
            f"store '{twice[0]}' is named more than once",
            hint=way_to_a_second(config.named_stores(configuration).get(twice[0], twice[0])),
        )
    return tuple(_choose_one(name, configuration, reserved) for name in names)


def way_to_a_second(kind: str) -> str:
    """Return the hint for whoever took one store for two of its kind."""
    return f'give a second one of its kind a name of its own: [stores.NAME] with type = "{kind}" in {config.FILE_NAME}'


def refuse_clashes(stores: Iterable[ChosenStore]) -> None:
    """Refuse stores of different kinds that have an option in common, which could not be told apart.

    Raises:
        StoreError: names both.
    """
    owners: dict[str, str] = {}
    for store in stores:
        for setting in store.settings:
            owner = owners.setdefault(setting.name, store.kind)
            if owner != store.kind:
                raise StoreError(
                    f"stores '{owner}' and '{store.kind}' both have an option --{setting.name}, so they cannot be used in one command",
                    hint="ask the author of one of them to give it another name",
                    code="store-broken",
                )


def takes_options(store: ChosenStore, stores: Collection[ChosenStore]) -> bool:
    """Tell whether the options on the command line are this store's: one that is named takes them where no other of its kind is in use."""
    return not store.is_named or sum(other.kind == store.kind for other in stores) == 1


def refuse_unclear_options(stores: Collection[ChosenStore], given: Mapping[str, Any]) -> None:
    """Refuse an option that two stores of its kind could take, and none of them does.

    Args:
        given: what stands on the command line, by `Setting.identifier`.

    Raises:
        UsageError: names the option and the stores.
    """
    taken = {store.kind for store in stores if takes_options(store, stores)}
    for store in stores:
        for setting in store.settings:
            if store.kind not in taken and given.get(setting.identifier) is not None:
                names = [other.name for other in stores if other.kind == store.kind]
                raise UsageError(
                    f"--{setting.name} does not say which store it is for: {' or '.join(names)}",
                    hint=f"write it as `{setting.name}` into [stores.{names[0]}] or [stores.{names[1]}] of {config.FILE_NAME}",
                )


def options_of_named(name: str, settings: Iterable[config.Setting]) -> tuple[config.Setting, ...]:
    """Return the options of a kind of store as those of a named one: they stand in its own table, which goes before the variables."""
    return tuple(replace(setting, key=("stores", name, setting.name), file_first=True) for setting in settings)


def in_words_of_the_file(text: str, stores: Collection[ChosenStore], *, given: Collection[str]) -> str:
    """Name the keys of named stores where a text names options and variables, because their tables go before those.

    Where a store that goes by its kind is in use too, the text may be about that one, and stays.

    Args:
        text: a hint.
        given: what stands on the command line, by `Setting.identifier`; that goes before the tables.
    """
    for kind in sorted({store.kind for store in stores}):
        alike = [store for store in stores if store.kind == kind]
        tables = " or ".join(f"[stores.{store.name}]" for store in alike)
        for setting in alike[0].settings if all(store.is_named for store in alike) else ():
            if not setting.secret and setting.identifier not in given:
                text = f"`{setting.name}` in {tables}".join(_ways_to_give(setting).split(text))
    return text


def _ways_to_give(setting: config.Setting) -> re.Pattern[str]:
    """Match the option, its variables, and both in a row: `--consul-addr or CONSUL_HTTP_ADDR`, `--consul-ca-file (CONSUL_CACERT)`."""
    words = "|".join(map(re.escape, (f"--{setting.name}", *setting.variables)))
    way = rf"(?<![\w-])(?:{words})(?![\w-])"
    return re.compile(rf"{way}(?:(?:,| or|, or) {way}| \({way}\))*")


def _choose_one(name: str, configuration: config.Configuration, reserved: Collection[str]) -> ChosenStore:
    from dtree import store_loader

    named = config.named_stores(configuration)
    if name not in named:
        plugin = _load_kind(name, configuration, reserved)
        settings = store_loader.settings(name, plugin)
        config.check_store_table(configuration, name, settings)
        return ChosenStore(name, name, plugin, settings)
    place = configuration.place(_type_key(configuration, name))
    if any(listed.name == name for listed in store_loader.list_stores()):
        hint = "remove `type`, or give this one another name"
        raise ConfigError(f"'{name}' is a kind of store itself, so its table takes no `type`", place=place, hint=hint)
    try:
        plugin = store_loader.load(named[name], reserved=reserved)
    except StoreError as error:
        error.place = error.place or place
        raise
    settings = options_of_named(name, store_loader.settings(named[name], plugin))
    config.check_store_table(configuration, name, settings, named=True)
    return ChosenStore(name, named[name], plugin, settings)


def _load_kind(name: str, configuration: config.Configuration, reserved: Collection[str]) -> type[Store]:
    from dtree import store_loader

    try:
        return store_loader.load(name, reserved=reserved, named=config.named_stores(configuration))
    except StoreError as error:
        table = configuration.find(("stores", name))
        if table is not None and error.error_code == "store-unknown":
            error.place = configuration.place(table[0])
            error.hint = f'if this is a name of yours, a `type` makes it one: type = "..." in [stores.{name}]'
        raise


def _type_key(configuration: config.Configuration, name: str) -> tuple[str, ...]:
    found = configuration.find(("stores", name, config.TYPE))
    return found[0] if found else ("stores", name)

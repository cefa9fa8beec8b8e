"""Finds store plugins by their entry points. The only importer of stevedore.

Only the store that is asked for is imported. Two distributions that offer the same name are an error before either is imported, so that a
package that somebody happens to have installed cannot take the place of a built-in store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dtree.config import Setting
from dtree.errors import StoreError, did_you_mean
from dtree.store import STORE_API, Option, Store

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "dtree.stores"


@dataclass(frozen=True, slots=True)
class Listed:
    """A store that could be loaded.

    Attributes:
        target: module and class, as `dtree_stores.filesystem:FilesystemStore`.
        distribution: the package that offers it, with its version.
    """

    name: str
    target: str
    distribution: str


def list_stores() -> tuple[Listed, ...]:
    """Return all stores that are installed, by name, then distribution; imports none of them.

    Effects: reads the metadata of installed packages.
    """
    # stevedore keeps entry points in a cache that forgets their distribution, so it is read from the metadata here.
    from importlib.metadata import entry_points

    found = {Listed(point.name, point.value, _distribution(point)) for point in entry_points(group=GROUP)}
    return tuple(sorted(found, key=lambda listed: (listed.name, listed.distribution, listed.target)))


def load(name: str, *, reserved: Collection[str] = (), named: Collection[str] = ()) -> type[Store]:
    """Import the store `name` and check that it keeps to the interface.

    Args:
        name: as in its entry point.
        reserved: names of options that a store's own may not have, without dashes.
        named: further names that could have been meant, of stores that nomad-dtree.toml names.

    Raises:
        StoreError: no such store, more than one, or one that cannot be imported or does not fit.

    Effects: imports the plugin.
    """
    from stevedore.driver import DriverManager
    from stevedore.named import NamedExtensionManager

    points: Sequence[EntryPoint] = NamedExtensionManager(GROUP, names=[]).list_entry_points()
    _refuse_missing(name, points, named)
    _refuse_duplicates(name, points)
    try:
        # `.driver` would be the class only by luck; with one extension, this always is.
        loaded: Any = DriverManager(GROUP, name).extensions[0].plugin
    except (Exception, SystemExit) as error:
        raise StoreError(
            f"store '{name}' cannot be imported: {type(error).__name__}: {error}",
            notes=[f"it is {origin(name)}"],
            hint=_hint_for(error),
            code="store-broken",
        ) from error
    _check(name, loaded, reserved)
    store: type[Store] = loaded
    return store


def origin(name: str) -> str:
    """Return module, class and package of a store, for people. Effects: reads the metadata of installed packages."""
    return " and ".join(f"{listed.target} of {listed.distribution}" for listed in list_stores() if listed.name == name) or "unknown"


def settings(name: str, store: type[Store]) -> tuple[Setting, ...]:
    """Return a store's options as settings, to be resolved like the built-in ones."""
    return tuple(_setting(name, option) for option in store.options)


def options_of_all() -> Iterator[tuple[str, tuple[Setting, ...]]]:
    """Yield every installed store, by name, with its options; one that cannot be loaded is left out.

    Effects: imports all plugins.
    """
    for listed in list_stores():
        with suppress(StoreError):
            yield listed.name, settings(listed.name, load(listed.name))


def _setting(store: str, option: Option) -> Setting:
    return Setting(
        option.name,
        option.help,
        type=option.type,
        default=option.default,
        variables=(option.variable, *option.env),
        key=("stores", store, option.name),
        required=option.required,
        secret=option.secret,
    )


def _refuse_missing(name: str, points: Sequence[EntryPoint], named: Collection[str]) -> None:
    names = sorted({point.name for point in points})
    if name in names:
        return
    if not names:
        raise StoreError(
            "no store is installed, not even the built-in ones",
            hint="install nomad-dtree as a package (pip install .): its stores are found through the package's metadata",
            code="store-unknown",
        )
    raise StoreError(
        f"there is no store '{name}'",
        notes=[f"installed: {', '.join(names)}", *([f"named in nomad-dtree.toml: {', '.join(sorted(named))}"] if named else [])],
        hint=did_you_mean(name, [*names, *sorted(named)])
        or "`nomad-dtree stores list` shows where each comes from; install the package that has yours",
        code="store-unknown",
    )


def _refuse_duplicates(name: str, points: Sequence[EntryPoint]) -> None:
    if len({point.value for point in points if point.name == name}) == 1:
        return
    offers = [f"{listed.distribution} offers {listed.target}" for listed in list_stores() if listed.name == name]
    raise StoreError(
        f"store '{name}' is offered more than once, so that it is not clear which is meant",
        notes=offers,
        hint="uninstall all of these packages but one",
        code="store-duplicate",
    )


def _check(name: str, loaded: object, reserved: Collection[str]) -> None:
    whose = origin(name)
    if not (isinstance(loaded, type) and issubclass(loaded, Store)):
        raise StoreError(
            f"store '{name}' is no subclass of dtree.store.Store",
            notes=[f"it is {whose}"],
            hint="point its entry point at the class",
            code="store-broken",
        )
    api = getattr(loaded, "store_api", None)
    if api != STORE_API:
        says = "does not say" if api is None else f"says {api!r}"
        newer = isinstance(api, int) and api > STORE_API
        raise StoreError(
            f"store '{name}' was not written for version {STORE_API} of the store interface: its `store_api` {says}",
            notes=[f"it is {whose}"],
            hint="upgrade nomad-dtree" if newer else "upgrade that package, or write `store_api` in its class",
            code="store-api",
        )
    missing = sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        raise StoreError(f"store '{name}' lacks {', '.join(missing)}", notes=[f"it is {whose}"], code="store-broken")
    _check_options(name, loaded, reserved)


def _check_options(name: str, store: type[Store], reserved: Collection[str]) -> None:
    seen: set[str] = set()
    declared: Iterable[object] = store.options
    for option in declared:
        if not isinstance(option, Option):
            problem = f"its `options` hold {option!r}, which is no dtree.store.Option"
        elif option.name in reserved:
            problem = f"its option --{option.name} is one of nomad-dtree's own"
        elif option.name in seen:
            problem = f"it declares option --{option.name} twice"
        else:
            seen.add(option.name)
            continue
        raise StoreError(
            f"store '{name}' does not fit: {problem}",
            notes=[f"it is {origin(name)}"],
            hint="begin the names of a store's options with a short name of the store",
            code="store-broken",
        )


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


def _hint_for(error: BaseException) -> str:
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    package = missing.partition(".")[0] if missing else ""
    return f"install the package that has the module '{package}' beside nomad-dtree" if package else "upgrade or uninstall that package"

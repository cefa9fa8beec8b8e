"""What a command works with: its settings, the store, the cluster, and where its output goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtree import config
from dtree.cli.chosen import ChosenStore, in_words_of_the_file, takes_options
from dtree.cli.signals import Signals
from dtree.cli.surroundings import Surroundings
from dtree.errors import ConfigError, DtreeError, StoreError, UsageError

if TYPE_CHECKING:
    from dtree.access.consul import ConsulClient
    from dtree.access.nomad import Connection
    from dtree.access.variables import Variables
    from dtree.cli.lookups import Lookups
    from dtree.clock import SystemClock
    from dtree.cluster import NomadCluster
    from dtree.inputs import Inputs
    from dtree.store import Snapshot, Store
    from dtree.views.style import Look


class Invocation:
    """One call of a command.

    Args:
        settings: the command's; those of its stores come with them.
        given: values on the command line, by identifier.

    Raises:
        DtreeError: a value cannot be read, or is missing.
    """

    def __init__(self, surroundings: Surroundings, signals: Signals, settings: Sequence[config.Setting], given: Mapping[str, Any]) -> None:
        self.surroundings = surroundings
        self.signals = signals
        self.environ = surroundings.environ
        self._values = self._resolve(settings, given)
        stores = surroundings.chosen
        self._store_values = {store.name: self._resolve(store.settings, given if takes_options(store, stores) else {}) for store in stores}

    def setting(self, identifier: str) -> Any:  # noqa: ANN401 - as declared
        """Return the value of a setting."""
        return self._values[identifier].value

    def setting_beside(self, setting: config.Setting) -> Any:  # noqa: ANN401 - as declared
        """Return the value of a setting that is no option of this command, from its variables and the file."""
        return self._resolve((setting,), {})[setting.identifier].value

    @property
    def store_name(self) -> str:
        """The store in use; of several all, the first one below the others."""
        return self.names(config.STORE.identifier)

    @property
    def has_layers(self) -> bool:
        """Whether it reads several stores as one, so that which one a file is from is worth telling."""
        return len(self.surroundings.stores[config.STORE.identifier]) > 1

    def names(self, role: str) -> str:
        """Return the names of the stores that play a role, joined: `git + consul`."""
        return " + ".join(store.name for store in self.surroundings.stores[role])

    @property
    def namespace(self) -> str:
        """Namespace of jobs that name none."""
        from dtree.names import DEFAULT_NAMESPACE

        return self.setting("namespace") or DEFAULT_NAMESPACE

    def snapshot(self, role: str = config.STORE.identifier) -> Snapshot:
        """Open a view of the stores that play a role: of several one view of all, later ones over earlier ones. Effects: reads them."""
        stores = self.surroundings.stores.get(role, ())
        if not stores:
            raise DtreeError("this command has no store")
        if len(stores) == 1:
            try:
                return self._open(stores[0])
            except StoreError as error:
                if stores[0].is_named:
                    error.notes = (*error.notes, f"in the store '{stores[0].name}'")
                raise
        from dtree.layered import open_layers

        return open_layers([(store.name, partial(self._open, store)) for store in stores], self.clock)

    def store(self, chosen: ChosenStore) -> Store:
        """Return a store with its settings. Effects: none yet."""
        from dtree.store import StoreContext

        settings = {identifier: value.value for identifier, value in self._store_values[chosen.name].items()}
        context = StoreContext(cwd=self.surroundings.cwd, cache=_cache(self.environ) / chosen.kind, nomad=self.connection)
        return chosen.plugin(settings, context)

    def reworded(self, hint: str, stores: Collection[ChosenStore] = ()) -> str:
        """Return a hint as it holds for the stores in use, or for those of them that it is about: by what their options are set."""
        return in_words_of_the_file(hint, stores or self.surroundings.chosen, given=self._given)

    def connection(self) -> Connection:
        """Return how to reach Nomad. Effects: reads the file with the token, where one is named."""
        from dtree.access.nomad import Connection

        return Connection(
            address=self.setting("server_addr"),
            token=self._token(),
            namespace=self.setting("namespace") or "",
            region=self.setting("region") or "",
            ca_cert=str(self.setting("root_ca_file") or ""),
            ca_path=str(self.setting("root_ca_path") or ""),
            client_cert=str(self.setting("cert_file") or ""),
            client_key=str(self.setting("key_file") or ""),
            tls_server_name=self.setting("tls_server_name") or "",
            skip_verify=bool(self.setting("tls_skip_verify")),
        )

    @cached_property
    def inputs(self) -> Inputs:
        """What templates are given beside what the store holds, read once."""
        return self.read_inputs()

    def read_inputs(self) -> Inputs:
        """Read what templates are given, anew: for who looks again and again. Effects: reads the files that are named."""
        from dtree.cli.variables import find_layers, nomad_variables
        from dtree.inputs import Inputs

        around = self.surroundings
        layers = find_layers(around, *(self.setting(identifier) or () for identifier in ("var_file", "var", "var_json")))
        return Inputs(
            layers=layers,
            environment=around.environment,
            named=frozenset(layers[-1]),
            nomad_variables=nomad_variables(around.environ),
            **self._versions(),
            answer=self.answerer(),
            secrets=around.secrets,
        )

    @cached_property
    def clock(self) -> SystemClock:
        """The machine's clock."""
        from dtree.clock import SystemClock

        return SystemClock()

    @cached_property
    def cluster(self) -> NomadCluster:
        """The Nomad cluster; nothing is sent to it by asking for this."""
        from dtree.cluster import NomadCluster

        return NomadCluster(self.connection(), self.clock, self._consul)

    def look(self) -> Look:
        """Return what standard output can show."""
        from dtree.views.style import look_at

        return look_at(sys.stdout, self.environ)

    def at_ref(self, ref: str, *, by: str) -> Invocation:
        """Return the same call with its store at another ref.

        Args:
            by: the option that says so.

        Raises:
            UsageError: the store has no refs, or `--ref` is given too.
        """
        with_refs = [name for name, values in self._store_values.items() if "ref" in values]
        if len(with_refs) != 1:
            what = "no store with refs is in use" if not with_refs else f"more than one store has refs: {', '.join(with_refs)}"
            raise UsageError(f"{by}: {what}", hint="give --store git" if not with_refs else "name one of them with --store")
        (name,) = with_refs
        given = self._store_values[name]["ref"]
        if given.source == "option":
            raise UsageError(f"{by} says itself at which refs, so --ref does not go with it", hint="leave --ref out")
        other = copy(self)
        at_ref = {**self._store_values[name], "ref": replace(given, value=ref)}
        other._store_values = {**self._store_values, name: at_ref}  # noqa: SLF001 - of our own class
        return other

    def print(self, text: str, *, show_secrets: bool = False) -> None:
        """Write a result to standard output, with the secrets in it hidden unless `show_secrets`.

        Raises:
            DtreeError: it cannot be written, for example because the disk is full.
        """
        from dtree.views.text import write

        try:
            text = text if show_secrets else self.surroundings.secrets.hide(text)
            write(sys.stdout, text if text.endswith("\n") else text + "\n")
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DtreeError(f"standard output cannot be written: {error.strerror}", code="output-failed") from error

    def warn(self, problem: str) -> None:
        """Write a warning to standard error, with the secrets in it hidden. Effects: that."""
        from dtree.views.text import clean, write

        write(sys.stderr, f"warning: {clean(self.surroundings.secrets.hide(problem))}\n")

    def answerer(self) -> Callable[..., str]:
        """Return what answers templates, and keeps its answers. Effects: none before it is asked."""

        @cache
        def lookups() -> Lookups:
            from dtree.cli.lookups import Lookups

            return Lookups(self.environ, self.setting("allow_env") or (), self._variables, self._consul, self.surroundings.secrets)

        def answer(kind: str, *arguments: str) -> str:
            return lookups()(kind, *arguments)

        return answer

    def _variables(self) -> Variables:
        from dtree.access.nomad import NomadClient
        from dtree.access.variables import Variables

        client = NomadClient(self.connection(), now_s=self.clock.now_s, pause=self.clock.pause)
        return Variables(client, namespace="", prefix="")

    def _consul(self) -> ConsulClient:
        """Open Consul as the store of that kind would: by its options, variables and table."""
        from dtree.access.consul import ConsulClient, connection_of
        from dtree.cli.chosen import choose

        chosen = next((one for one in self.surroundings.chosen if one.kind == "consul"), None)
        if chosen is None:
            (chosen,) = choose(("consul",), self.surroundings.configuration, reserved=())
        values = self._store_values.get(chosen.name) or self._resolve(chosen.settings, {})
        return ConsulClient(connection_of({identifier: value.value for identifier, value in values.items()}))

    def _versions(self) -> dict[str, Any]:
        """Return what of the inputs is about versions. Effects: reads the file of versions, or its lock."""
        cwd, file = self.surroundings.cwd, self.setting("versions_file")
        given = self.setting("version") or ()
        locked, clean = (name in self._values and bool(self.setting(name)) for name in ("locked", "require_clean"))
        if given and locked:
            raise UsageError("--locked takes versions from the lock alone, so --version cannot change one", hint="leave one of them out")
        if given or file is not None:
            from dtree.cli.version_inputs import find_lock, find_versions

            lock = find_lock(file, cwd) if locked else None
            return {"versions": find_versions(given, file, cwd), "locked": locked, "lock": lock, "require_clean": clean}
        return {"locked": locked, "require_clean": clean}

    def _open(self, chosen: ChosenStore) -> Snapshot:
        try:
            return self.store(chosen).snapshot()
        except StoreError as error:
            error.reword_hints(lambda hint: self.reworded(hint, (chosen,)))
            raise

    @property
    def _given(self) -> set[str]:
        """The stores' options that stand on the command line, by `Setting.identifier`."""
        return {identifier for values in self._store_values.values() for identifier, value in values.items() if value.source == "option"}

    def _resolve(self, settings: Sequence[config.Setting], given: Mapping[str, Any]) -> dict[str, config.Value]:
        around = self.surroundings
        return config.resolve(settings, given, around.environ, around.configuration, around.cwd)

    def _token(self) -> str:
        token, file = self._values["token"], self._values["token_file"]
        # Whichever was said more plainly: --token-file beats NOMAD_TOKEN, and that a token file named in nomad-dtree.toml.
        if file.value is not None and (token.value is None or config.RANK[file.source] > config.RANK[token.source]):
            return _read_token(file.value)
        return str(token.value or "").strip()


def _read_token(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"the token file {file} cannot be read: {why}", hint="check --token-file, or give NOMAD_TOKEN") from error
    if not token:
        raise ConfigError(f"the token file {file} is empty", hint="write the token into it, or leave --token-file out")
    return token


def _cache(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118 - never raises
    return Path(base) / "nomad-dtree" / "stores"

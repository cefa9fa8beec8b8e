"""Several stores as one: a base, and overrides above it that win file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from dtree.errors import Fault, StoreError, StoreFileMissing
from dtree.ports import Clock, Inbox
from dtree.store import Commit, Revision, Snapshot, Text, job_name

_GRACE_S: Final = 2.0
"""A store that cannot tell answers when all its time is over: its answer must still be heard."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A store of several, under the name that it was asked for by."""

    name: str
    snapshot: Snapshot

    def named(self, text: Text) -> Text:
        """Say in the path of a text which store it is from."""
        return replace(text, path=f"{self.name}:{text.path}")


def open_layers(stores: Sequence[tuple[str, Callable[[], Snapshot]]], clock: Clock) -> Snapshot:
    """Open several stores and return one view of all.

    Args:
        stores: names, and what opens a view of each; the base first.
        clock: for waiting for a change of any.

    Raises:
        StoreError: one cannot be opened; those that were open already are closed.

    Effects: reads the stores.
    """
    layers: list[Layer] = []
    held = ExitStack()
    try:
        for name, opener in stores:
            with _blamed(name):
                layers.append(Layer(name, held.enter_context(opener())))
    except BaseException:
        held.close()
        raise
    return LayeredSnapshot(layers, held, clock)


class LayeredSnapshot(Snapshot):
    """One view of several stores.

    A file is that of the last store that has it. For job files this goes by the name of the job: `api.nomad.hcl` of a later store replaces
    `api.nomad` of an earlier one. Only what is missing is looked for further below: a store that cannot be asked is an error.

    Args:
        layers: the base first.
        held: closes all of them.
        clock: for waiting.
    """

    def __init__(self, layers: Sequence[Layer], held: ExitStack, clock: Clock) -> None:
        self._layers = layers
        self._held = held
        self._clock = clock
        self._listed: dict[str, Layer] | None = None

    @property
    def title(self) -> str:
        """That of the base."""
        return self._layers[0].snapshot.title

    @property
    def revision(self) -> Revision:
        """Of all layers, the base first."""
        revisions = [layer.snapshot.revision for layer in self._layers]
        return Revision(" + ".join(revision.id for revision in revisions), " + ".join(map(str, revisions)))

    @property
    def commit(self) -> Commit | None:
        """That of the first store that has one, the base first; dirty where any store is, or is of no commit at all."""
        commits = self._commits()
        first = next(filter(None, commits), None)
        return replace(first, is_dirty=any(one is None or one.is_dirty for one in commits)) if first else None

    def tag(self) -> str:
        """Return the tag of that commit."""
        owner = self._versioned
        return owner.snapshot.tag() if owner else ""

    def describe(self) -> str:
        """Describe that commit."""
        owner = self._versioned
        return owner.snapshot.describe() if owner else ""

    def why_unclean(self) -> str:
        """Say why what one of the stores was read for is not what a commit holds; of a store without commits, where another has some."""
        for layer in self._layers:
            with _blamed(layer.name):
                why = layer.snapshot.why_unclean()
            if why:
                return f"{why}, in the store '{layer.name}'"
        without = [layer.name for layer, commit in zip(self._layers, self._commits(), strict=True) if commit is None]
        return f"the store '{without[0]}' knows of no commit" if 0 < len(without) < len(self._layers) else ""

    def depfile(self) -> Text:
        """Return the dependency file of the last store that has one."""
        return self._last(lambda snapshot: snapshot.depfile())

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of the job files that count."""
        return sorted(self._owners())

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files, with one question for each layer."""
        owners = self._owners()
        texts = {path: self._read_job(path) for path in paths if path not in owners}
        for layer in self._layers:
            wanted = [path for path in paths if owners.get(path) is layer]
            if wanted:
                with _blamed(layer.name):
                    texts |= {path: layer.named(text) for path, text in layer.snapshot.read_jobs(wanted).items()}
        return {path: texts[path] for path in paths}

    def read(self, path: str) -> Text:
        """Return any other file, of the last store that has it."""
        return self._last(lambda snapshot: snapshot.read(path))

    def present(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return those of `paths` that one of the stores has."""
        there = {path for layer in self._layers for path in layer.snapshot.present(paths)}
        return tuple(path for path in paths if path in there)

    def find_jobs(self, names: Iterable[str]) -> tuple[Mapping[str, str], tuple[Fault, ...]]:
        """Find the path of each job's file; of a job with more than one, say in which store."""
        wanted = sorted(set(names))
        found, faults = super().find_jobs(wanted)
        owners = {job_name(path): layer.name for path, layer in self._owners().items()} if faults else {}
        names_of_faults = [name for name in wanted if name not in found]
        return found, tuple(
            replace(fault, problem=f"{fault.problem}, in the store '{owners[name]}'") if name in owners else fault
            for name, fault in zip(names_of_faults, faults, strict=True)
        )

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until one of the stores has changed, or may have.

        Effects: a thread for each store, which ends when its time is over.
        """
        inbox = self._clock.inbox()
        for layer in self._layers:
            self._clock.start(_waiter(layer, timeout_s, inbox))
        end_s = self._clock.now_s() + timeout_s + _GRACE_S
        for _ in self._layers:
            answer = inbox.get(max(end_s - self._clock.now_s(), 0.0))
            if isinstance(answer, Exception):
                raise answer
            if answer:
                return True
        return False

    def close(self) -> None:
        """Close all layers, the last one first."""
        self._held.close()

    @cached_property
    def _versioned(self) -> Layer | None:
        return next((layer for layer in self._layers if layer.snapshot.commit is not None), None)

    def _commits(self) -> list[Commit | None]:
        """Return the commit of each layer, or None."""
        commits = []
        for layer in self._layers:
            with _blamed(layer.name):
                commits.append(layer.snapshot.commit)
        return commits

    def _owners(self) -> dict[str, Layer]:
        """Return which layer each job file that counts is from, by path."""
        if self._listed is None:
            by_name: dict[str, tuple[Layer, list[str]]] = {}
            for layer in self._layers:
                with _blamed(layer.name):
                    paths = layer.snapshot.list_jobs()
                mine: dict[str, list[str]] = {}
                for path in paths:
                    mine.setdefault(job_name(path), []).append(path)
                by_name |= {name: (layer, its) for name, its in mine.items()}
            self._listed = {path: layer for layer, its in by_name.values() for path in its}
        return self._listed

    def _read_job(self, path: str) -> Text:
        """Read a job file that is not listed."""
        return self._last(lambda snapshot: snapshot.read_jobs([path])[path])

    def _last(self, ask: Callable[[Snapshot], Text]) -> Text:
        """Return the answer of the last layer that has one.

        Raises:
            StoreFileMissing: none has; what the base says.
        """
        missing: list[StoreFileMissing] = []
        for layer in reversed(self._layers):
            try:
                with _blamed(layer.name):
                    return layer.named(ask(layer.snapshot))
            except StoreFileMissing as error:
                if error.error_code == "store-folder-missing":
                    raise  # a mistyped folder is no store without files: passed over, it would be a run without its overrides
                missing.append(error)
        above = ", ".join(layer.name for layer in self._layers[1:])
        missing[-1].notes = (*missing[-1].notes, f"nor is it in {above}")
        raise missing[-1]


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Have what a store raises say which one of several it was."""
    try:
        yield
    except StoreError as error:
        error.notes = (*error.notes, f"in the store '{name}'")
        raise


def _waiter(layer: Layer, timeout_s: float, inbox: Inbox) -> Callable[[], None]:
    def wait() -> None:
        try:
            with _blamed(layer.name):
                inbox.put(layer.snapshot.wait_for_change(timeout_s))
        except Exception as error:  # noqa: BLE001 - raised by whoever waits
            inbox.put(error)

    return wait

"""What a store promises whatever it holds: checks that only read, for `nomad-dtree stores check` and `dtree.testing`.

A check gets a store and an open snapshot of it. It returns where the promise is kept, raises `PromiseBroken` where it is not, and lets
through what the store itself raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dtree.errors import StoreError, StoreFileMissing
from dtree.store import STORE_API, Option, Snapshot, Store, Text

OUTSIDE: Final = ("../outside", "config/../../outside", "/etc/hostname", "", "..")
"""Paths that lie outside any root, or name no file."""

_MISSING: Final = "no-such-folder/no-such-file.nomad"
_WAIT_S: Final = 0.5
_GRACE_S: Final = 10.0
"""How much longer than it was told to a store may wait: it asks over a network."""
_LOOKS: Final = 3
"""How often a store that changes meanwhile is looked at before no more is expected of it."""


class PromiseBroken(AssertionError):
    """A store does not do what the interface promises; says what it does."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise.

    Attributes:
        name: kebab-case, stable.
        promise: a sentence whose subject is the store.
        test: see the module.
    """

    name: str
    promise: str
    test: Callable[[Store, Snapshot], None]


def is_declared(store: Store, _: Snapshot) -> None:
    """See that the store says what it is, for which version of the interface."""
    _see(store.store_api == STORE_API, f"its store_api is {store.store_api!r}, not {STORE_API}")
    _see(bool(store.summary.strip()), "it has no summary")


def declares_its_options(store: Store, _: Snapshot) -> None:
    """See that options are declared once each, and that the store has a value for every one."""
    _see(all(isinstance(option, Option) for option in store.options), "its options are not all of dtree.store.Option")
    names = [option.name for option in store.options]
    _see(len(set(names)) == len(names), f"it declares an option twice: {', '.join(names)}")
    without = [option.name for option in store.options if option.key not in store.settings]
    _see(not without, f"its settings lack {', '.join(without)}")


def gives_its_depfile(_: Store, snapshot: Snapshot) -> None:
    """See that the dependency file can be read."""
    _see_text("depfile()", snapshot.depfile())


def lists_its_jobs(_: Store, snapshot: Snapshot) -> None:
    """See that job files are listed by clean relative paths, sorted and each once."""
    paths = list(snapshot.list_jobs())
    for path in paths:
        _see_word("list_jobs() gives a path", path)
        _see(not {"", ".", ".."} & set(path.split("/")), f"list_jobs() gives {path!r}, which is no path relative to the jobs path")
    _see(len(set(paths)) == len(paths), "list_jobs() gives a path twice")
    _see(paths == sorted(paths), "list_jobs() is not sorted")


def reads_its_jobs(_: Store, snapshot: Snapshot) -> None:
    """See that every job file that is listed can be read, in bulk and singly, with the same bytes."""
    paths = list(snapshot.list_jobs())
    texts = snapshot.read_jobs(paths)
    _see(set(texts) == set(paths), "read_jobs() does not give just the paths that it was asked for")
    for path in paths:
        _see_text(f"read_jobs() of {path!r}", texts[path])
        alone = snapshot.read_jobs([path])
        _see(list(alone) == [path], f"read_jobs([{path!r}]) gives {list(alone)}")
        _see(alone[path] == texts[path], f"read_jobs() gives {path!r} otherwise alone than with all")


def tells_what_is_missing(_: Store, snapshot: Snapshot) -> None:
    """See that a file that does not exist is told as that, by name and with a hint."""
    for call, act in _readings(snapshot, _MISSING).items():
        try:
            act()
        except StoreFileMissing as error:
            told = "\n".join((error.problem, *error.notes))
            _see("no-such-file.nomad" in told, f"{call} does not name the file that is missing: {error.problem}")
            _see(bool(error.hint), f"{call} gives no hint")
        else:
            raise PromiseBroken(f"{call} gives a file that cannot be there")


def refuses_what_lies_outside(_: Store, snapshot: Snapshot) -> None:
    """See that no path leads out of the root."""
    for path in OUTSIDE:
        refuses(snapshot, path)


def refuses(snapshot: Snapshot, path: str) -> None:
    """See that a path is refused by whatever reads a file."""
    for call, act in _readings(snapshot, path).items():
        try:
            act()
        except StoreError:
            continue
        raise PromiseBroken(f"{call} is not refused")


def stays_as_it_is(_: Store, snapshot: Snapshot) -> None:
    """See that a snapshot answers the same when it is asked again."""
    before, after = _content(snapshot), _content(snapshot)
    _see(before == after, "a snapshot gives another content when it is asked again")
    _see(snapshot.revision == snapshot.revision, "a snapshot gives another revision when it is asked again")


def has_revisions(store: Store, _: Snapshot) -> None:
    """See that two snapshots have the same revision just where they have the same content."""
    why = ""
    for _look in range(_LOOKS):  # again, because somebody may be changing the store, or what lies beside these files
        with store.snapshot() as first, store.snapshot() as second:
            is_same = _content(first) == _content(second)
            ids = first.revision.id, second.revision.id
        _see_word("its revision has an id", ids[0])
        if is_same and ids[0] == ids[1]:
            return
        _see(is_same or ids[0] != ids[1], f"two contents have one revision, {ids[0]}")
        why = f"one content has two revisions, {ids[0]} and {ids[1]}" if is_same else "it changes faster than it can be read"
    raise PromiseBroken(why)


def waits_in_time(_: Store, snapshot: Snapshot) -> None:
    """See that `wait_for_change` ends when it was told to, and answers yes or no."""
    began_s = time.monotonic()
    answer = snapshot.wait_for_change(_WAIT_S)
    took_s = time.monotonic() - began_s
    _see(isinstance(answer, bool), f"wait_for_change() returns {answer!r}, not whether there may be a change")
    _see(took_s <= _WAIT_S + _GRACE_S, f"wait_for_change({_WAIT_S}) takes {took_s:.1f} s")


def knows_whether_it_is_writable(store: Store, snapshot: Snapshot) -> None:
    """See that `writable` is what the snapshots are."""
    writes = type(snapshot).write is not Snapshot.write
    _see(store.writable is writes, f"it says writable = {store.writable!r}, and its snapshots {'have' if writes else 'lack'} a write()")


def can_be_closed(store: Store, _: Snapshot) -> None:
    """See that a snapshot has a title and can be closed."""
    with store.snapshot() as snapshot:
        title = snapshot.title
    _see_word("a snapshot has a title", title)


CHECKS: Final = (
    Check("declaration", "it says what it is, and for which version of the interface", is_declared),
    Check("options", "its options are declared, and every one has a value", declares_its_options),
    Check("dependency-file", "its dependency file can be read", gives_its_depfile),
    Check("job-list", "it lists its job files by path, sorted, each once", lists_its_jobs),
    Check("job-files", "each of them can be read, all in one go and one by one", reads_its_jobs),
    Check("missing-file", "a file that it lacks is told as that, with a hint", tells_what_is_missing),
    Check("outside", "no path leads out of it", refuses_what_lies_outside),
    Check("stability", "a snapshot answers the same when it is asked again", stays_as_it_is),
    Check("revision", "the same content has the same revision", has_revisions),
    Check("waiting", "waiting for a change ends in time", waits_in_time),
    Check("writable", "it knows whether it can be written to", knows_whether_it_is_writable),
    Check("closing", "a snapshot has a title and can be closed", can_be_closed),
)
"""Every promise that can be tested on whatever a store holds, in the order that a reader wants to hear of them."""


def _readings(snapshot: Snapshot, path: str) -> Mapping[str, Callable[[], object]]:
    return {f"read({path!r})": lambda: snapshot.read(path), f"read_jobs([{path!r}])": lambda: snapshot.read_jobs([path])}


def _content(snapshot: Snapshot) -> tuple[Text | None, Mapping[str, Text]]:
    """Return the dependency file, which a store that only overrides single jobs may lack, and all job files."""
    try:
        depfile = snapshot.depfile()
    except StoreFileMissing:
        depfile = None
    return depfile, dict(snapshot.read_jobs(list(snapshot.list_jobs())))


def _see_text(call: str, text: object) -> None:
    _see(isinstance(text, Text), f"{call} gives {type(text).__name__}, not dtree.store.Text")
    if isinstance(text, Text):
        _see(isinstance(text.data, bytes), f"{call} gives a text whose data is {type(text.data).__name__}, not bytes")
        _see_word(f"{call} gives a text with a path", text.path)


def _see_word(what: str, word: object) -> None:
    _see(isinstance(word, str) and bool(word), f"{what} that is {word!r}")


def _see(kept: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as `assert` does
    if not kept:
        raise PromiseBroken(otherwise)

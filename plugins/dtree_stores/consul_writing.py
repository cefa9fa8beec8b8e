"""Writing to Consul: in one transaction where it takes that much, else in several, in an order that harms nobody who reads meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from dtree.access.consul import MOST_OPERATIONS, MOST_REQUEST_BYTES, MOST_VALUE_BYTES, ConsulClient, Entry, Operation
from dtree.store import Changes, StoreChanged, StoreError
from dtree_stores.consul_places import Places, below
from dtree_stores.consul_reading import read_now

__all__ = ["operations_of", "write"]


def operations_of(changes: Changes, places: Places, entries: Mapping[str, Entry], *, depfile: str) -> list[Operation]:
    """Put changes in the order in which they have to be made: jobs and files, dependency file, removals.

    Args:
        entries: what the keys are now.
        depfile: key of the dependency file.

    Raises:
        StoreError: one is too large, or lies outside of what this store reads.
    """
    wanted = {below(places.jobs, path): data for path, data in sorted(changes.jobs.items())}
    wanted |= {below(places.root, path): data for path, data in sorted(changes.files.items())}
    if changes.depfile is not None:
        wanted.pop(depfile, None)
        wanted[depfile] = changes.depfile
    for key, data in wanted.items():
        _refuse(key, data or b"", places)
    present = [key for key, data in wanted.items() if data is not None]
    removed = [key for key, data in wanted.items() if data is None and key in entries]
    return [Operation(key, wanted[key], _index(entries, key)) for key in (*present, *removed)]


def write(client: ConsulClient, places: Places, operations: Sequence[Operation]) -> str:
    """Make the changes.

    Returns:
        how.

    Raises:
        StoreChanged: somebody changed one of the keys meanwhile; nothing was written.
        StoreError: says what was written before it.

    Effects: changes keys; one request to Consul, or one for each step and one before.
    """
    parts = list(_parts(operations))
    done = 0
    try:
        if len(parts) > 1:
            _refuse_changed(operations, read_now(client, places))
        for part in parts:
            _apply(client, places, part)
            done += 1
    except StoreError as error:
        if done:
            raise _half_written(parts, done, error) from error
        if isinstance(error, StoreChanged):
            raise StoreChanged(f"{error.problem}, so nothing was written", notes=error.notes, hint=error.hint) from error
        raise
    if len(parts) <= 1:
        return "in one transaction" if parts else "nothing, because nothing differs"
    limits = f"{MOST_OPERATIONS} keys and {MOST_REQUEST_BYTES // 1024} KiB"
    return f"in {len(parts)} steps, the dependency file after the jobs and removals last, because a transaction takes {limits}"


def _refuse(key: str, data: bytes, places: Places) -> None:
    if len(data) > MOST_VALUE_BYTES:
        raise StoreError(
            f"'{key}' would have {len(data):,} bytes, of which Consul takes {MOST_VALUE_BYTES:,}; nothing was written",
            hint="make the file smaller, or keep it in a store of another kind",
            code="consul-too-large",
        )
    if not places.is_below(key):
        problem = f"'{key}' would not be read by this store, which reads keys below {places.shown}"
        raise StoreError(problem, hint="choose a --consul-root that holds it", code="store-outside")


def _index(entries: Mapping[str, Entry], key: str) -> int:
    return entries[key].index if key in entries else 0


def _refuse_changed(operations: Sequence[Operation], now: Mapping[str, Entry]) -> None:
    """See before the first of several steps that none will fail for what somebody did since the snapshot."""
    changed = [one.key for one in operations if _index(now, one.key) != one.index]
    if changed:
        raise StoreChanged(
            f"somebody changed '{changed[0]}' in Consul since it was read",
            notes=[f"and {len(changed) - 1} more"] if len(changed) > 1 else (),
            hint="look at what is there now, then do it again",
        )


def _apply(client: ConsulClient, places: Places, part: Sequence[Operation]) -> None:
    try:
        if _size(part) > MOST_REQUEST_BYTES:
            client.put(part[0], below=places.root)
        else:
            client.transact(part, below=places.root)
    except StoreChanged:
        # Perhaps by ourselves: the answer to an earlier try may have been lost on its way.
        now = read_now(client, places)
        if any((now[one.key].value if one.key in now else None) != one.value for one in part):
            raise


def _size(part: Sequence[Operation]) -> int:
    """Bytes of the request that makes these changes, as py-consul writes it."""
    return len(json.dumps([one.form for one in part]))


def _parts(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Cut changes, in their order, into what one transaction takes; a value too large for any stands alone."""
    part: list[Operation] = []
    size = 0
    for one in operations:
        own = _size([one])
        if part and (len(part) == MOST_OPERATIONS or size + own > MOST_REQUEST_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += own  # with brackets of its own: never less than what it takes
    if part:
        yield part


def _half_written(parts: Sequence[Sequence[Operation]], number: int, error: StoreError) -> StoreError:
    done = [one.key for part in parts[:number] for one in part]
    return StoreError(
        f"only {number} of {len(parts)} steps were written: {error.problem}",
        notes=[*error.notes, f"written: '{done[0]}' to '{done[-1]}', {len(done)} keys"],
        hint="look at what is there now, then do it again: what is written already will not differ",
        code="consul-half-written",
    )

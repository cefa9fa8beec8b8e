"""How files lie in Nomad's Variables: plain items in shards, and an index of those. Pure.

A Variable is a map of text to text of 64 KiB at most. So files are packed, many into one shard; a shard is named by the digest of what it
holds and never changes; and the index names the shards that make up the store, so that one write of it swaps the whole store:

    <prefix>/index                   //format = 1, //sha256 = <digest of all files>, dependency.json = <shard>, jobs/m.nomad = <shard>
    <prefix>/files/<shard>           dependency.json = {...}, jobs/api.nomad = job "api" {...}, jobs/logo//base64 = iVBORw0K...

A shard stands in the index under the first of its items: whoever looks for a file by hand takes the last one that is not behind it. Paths
have no `//`, so what follows one in the name of an item is ours: `//base64` where the bytes are no UTF-8, `//0001` and so on for the
pieces of a file that is larger than a Variable.

Source: docs/adr/0015-files-packed-into-variables.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dtree_stores import paths

LIMIT_BYTES: Final = 64 * 1024
"""Names and values of a Variable's items together. Source: Nomad's Variables, and what it answers to one byte more."""

SHARD: Final = re.compile(r"[0-9a-f]{32}")

_FORMAT: Final = "1"
_MARK: Final = "//"
_DIGEST: Final = "//sha256"
_LONGEST_PATH_BYTES: Final = 4096
_ITEM: Final = re.compile(r"(?P<path>(?:(?!//).)+?)(?P<base64>//base64)?(?://\d{4})?", re.DOTALL)

Items = Mapping[str, str]


class DoesNotFit(ValueError):
    """The files cannot lie in Variables: says which, or that they are too much."""


class Damaged(ValueError):
    """What was read is not what was written: says where it shows."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Files as Variables.

    Attributes:
        index: items of the index.
        shards: items by name of the shard.
    """

    index: Items
    shards: Mapping[str, Items]


def pack(files: Mapping[str, bytes]) -> Packed:
    """Lay out files: the same ones always alike, and few shards other than before where few files are.

    Args:
        files: by path from the root.

    Raises:
        DoesNotFit: a path that is no text or too long, or so much that the index has no room for it.
    """
    items = [item for path in sorted(files) for item in _items(path, files[path])]
    index = {"//format": _FORMAT, _DIGEST: digest_of(files)}
    shards: dict[str, Items] = {}
    for shard in _shards(items):
        name = name_of(shard)
        shards[name] = shard
        index[next(iter(shard))] = name
    if _size(index.items()) > LIMIT_BYTES:
        size_mb = sum(map(len, files.values())) / 1e6
        raise DoesNotFit(f"{len(files)} files of {size_mb:.0f} MB together are more than the index of a store in Variables can name")
    return Packed(index, shards)


def shard_names(index: Items) -> tuple[str, ...]:
    """Return the shards that an index names, each once, in order.

    Raises:
        Damaged: it is no index, or one of another layout.
    """
    if index.get("//format") != _FORMAT:
        raise Damaged(f"its item //format is {index.get('//format')!r}, where this version knows {_FORMAT!r}")
    names = dict.fromkeys(value for key, value in sorted(index.items()) if not key.startswith(_MARK))
    bad = [name for name in names if not SHARD.fullmatch(name)]
    if bad:
        raise Damaged(f"it names {bad[0][:80]!r}, which is no shard")
    return tuple(names)


def unpack(index: Items, shards: Iterable[Items]) -> dict[str, bytes]:
    """Return the files by path, sorted; the inverse of `pack`.

    Raises:
        Damaged: they are not those that the index was written for.
    """
    found: dict[tuple[str, bool], list[str]] = {}
    for key, value in sorted(item for shard in shards for item in shard.items()):
        found.setdefault(_file_of(key), []).append(value)
    try:
        files = {path: _bytes("".join(pieces), is_base64=coded) for (path, coded), pieces in sorted(found.items())}
    except ValueError as error:
        raise Damaged(f"an item cannot be decoded ({error})") from error
    if digest_of(files) != digest_in(index):
        raise Damaged("the files do not have the digest in its item //sha256")
    return files


def name_of(shard: Items) -> str:
    """Return the name of a shard: the first half of the SHA-256 of its items as JSON."""
    return hashlib.sha256(json.dumps(shard, sort_keys=True).encode()).hexdigest()[:32]


def digest_in(index: Items) -> str:
    """Return the digest of all files that an index holds; "" for none."""
    return index.get(_DIGEST, "")


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of all files, with their paths, as hex."""
    return paths.digest_of((path.encode(errors="surrogatepass"), data) for path, data in sorted(files.items()))


def _items(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """Yield a file as items, in as many pieces as it needs."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise DoesNotFit(f"the path {path!r} is no text") from error
    if length > _LONGEST_PATH_BYTES:
        raise DoesNotFit(f"the path {path[:80]}... is longer than {_LONGEST_PATH_BYTES} bytes")
    key = path
    try:
        data.decode()
    except UnicodeDecodeError:
        key, data = f"{path}//base64", base64.b64encode(data)
    pieces = [*_pieces(data, LIMIT_BYTES - len(f"{key}//0000".encode()))]
    for number, piece in enumerate(pieces, 1):
        yield (f"{key}//{number:04}" if len(pieces) > 1 else key), piece.decode()


def _file_of(key: str) -> tuple[str, bool]:
    """Return the path of the file that an item is of, and whether it is base64."""
    if key and _MARK not in key:  # as nearly all are
        return key, False
    match = _ITEM.fullmatch(key)
    if match is None:
        raise Damaged(f"there is an item {key[:80]!r}, which names no file")
    return match["path"], bool(match["base64"])


def _pieces(data: bytes, room_bytes: int) -> Iterator[bytes]:
    """Cut UTF-8 between characters."""
    start = 0
    while len(data) - start > room_bytes:
        end = start + room_bytes
        while data[end] & 0xC0 == 0x80:  # noqa: PLR2004 - 10xxxxxx goes on with a character
            end -= 1
        yield data[start:end]
        start = end
    yield data[start:]


def _shards(items: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Fill shards in order. One that is half full ends before an item that its name chooses, so that a change does not shift all others."""
    shard: dict[str, str] = {}
    size = 0
    for key, value in items:
        added = _size([(key, value)])
        if shard and (size + added > LIMIT_BYTES or (size > LIMIT_BYTES // 2 and zlib.crc32(key.encode()) % 8 == 0)):
            yield shard
            shard, size = {}, 0
        shard[key] = value
        size += added
    if shard:
        yield shard


def _size(items: Iterable[tuple[str, str]]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in items)


def _bytes(text: str, *, is_base64: bool) -> bytes:
    return base64.b64decode(text, validate=True) if is_base64 else text.encode()

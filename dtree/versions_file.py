"""Files of versions, a map from jobs to versions in YAML, JSON or TOML: read with places, and edited line by line. Pure.

# versions.yaml
api: "1.4.2"
web: git:short
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dtree import toml
from dtree.document import Document, quote, read
from dtree.document.yaml_syntax import spans as yaml_spans
from dtree.errors import DeclarationError, DtreeError, Fault, Place
from dtree.version_text import BadVersion, parse_version

if TYPE_CHECKING:
    from dtree.values import Declared

__all__ = ["NAMES", "edit_versions", "find_versions_file", "read_map", "read_versions"]

NAMES: Final = ("versions.yaml", "versions.yml", "versions.json", "versions.toml")
"""How a store's file of versions may be called; it stands in the root."""

_QUOTE: Final = 'put it in quotes, as in api: "1.10"'


def find_versions_file(present: tuple[str, ...]) -> str:
    """Return the name of a store's file of versions, among the NAMES that it has; "" for none.

    Raises:
        DeclarationError: it has two.
    """
    if len(present) > 1:
        problem = f"the store has more than one file of versions: {', '.join(present)}"
        raise DeclarationError([Fault("versions-ambiguous", problem, Place(present[0]), "keep one")])
    return present[0] if present else ""


def read_versions(file: str, data: bytes, *, layer: str, folder: Path | None = None) -> dict[str, Declared]:
    """Read a file of versions.

    Args:
        file: its name, for places; the suffix says what it is.
        layer: what people call it, for the origin of each version.
        folder: as in `Declared`.

    Returns:
        By job, in the order of the file. It may name jobs that nobody has.

    Raises:
        DeclarationError: its faults, all of them.
    """
    from dtree.values import Declared, Origin

    values, place = read_map(file, data)
    faults: list[Fault] = []
    found: dict[str, Declared] = {}
    for job, value in values.items():
        if not isinstance(value, str):
            faults.append(Fault("bad-version", f"the version of {quote(job)} must be text, not {_kind(value)}", place(job), _QUOTE))
            continue
        try:
            parse_version(value)
        except BadVersion as error:
            faults.append(Fault("bad-version", f"the version of {quote(job)}: {error.problem}", place(job), error.hint))
            continue
        found[job] = Declared(value, Origin(layer, place(job)), folder)
    if faults:
        raise DeclarationError(faults)
    return found


def edit_versions(file: str, data: bytes, versions: Mapping[str, str]) -> bytes:
    """Return a file of versions with some set to other values, and all else, comments too, as it stands.

    Args:
        file: its name; the suffix says what it is.
        data: its bytes; none for a new one.
        versions: by job; those that the file does not have yet come last.

    Raises:
        DeclarationError: the file has faults.
        DtreeError: it is written in a way that cannot be edited.
    """
    before, _ = read_map(file, data)
    text = data.decode("utf-8-sig")
    syntax = _SYNTAXES[_suffix(file)]
    for job, version in versions.items():
        if before.get(job) == version:
            continue
        spans = dict(syntax.spans(text))
        text = text[: spans[job][0]] + _quoted(version) + text[spans[job][1] :] if job in spans else syntax.append(text, job, version)
    edited = text.encode()
    try:
        after: Mapping[str, Any] | None = read_map(file, edited)[0]
    except DeclarationError:
        after = None
    if after != {**before, **versions}:
        raise DtreeError(
            f"{file} is written in a way that cannot be edited line by line",
            hint='write each job on a line of its own, as api: "1.4.2"',
            code="versions-not-editable",
        )
    return edited


def read_map(file: str, data: bytes) -> tuple[dict[str, Any], Callable[..., Place]]:
    """Read a map; an empty file is an empty one.

    Returns:
        (the map, what says where the value at a path of keys stands).

    Raises:
        DeclarationError: its faults.
    """
    if file.endswith(".toml"):
        return toml.read(file, data, hint='write api = "1.4.2"')
    document: Document = read(file, data)
    faults = [fault for fault in document.faults if fault.code != "empty-file"]
    if faults:
        hint = 'write one job in a line, as api: "1.4.2"'
        raise DeclarationError([Fault(one.code, one.problem, one.place, hint) if one.code == "not-a-map" else one for one in faults])
    return dict(document.value or {}), lambda *path: document.place(path)


class _Syntax:
    """How a syntax is edited.

    Attributes:
        spans: yields each key at the top with where its value begins and ends.
        append: puts a key and a value behind all others.
    """

    def __init__(self, spans: Callable[[str], Iterator[tuple[str, tuple[int, int]]]], append: Callable[[str, str, str], str]) -> None:
        self.spans = spans
        self.append = append


def _toml_spans(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for key, _, value in toml.written(text):
        if len(key) == 1 and value is not None:
            yield key[0], value


def _json_spans(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    decoder = json.JSONDecoder()
    at = _skip(text, text.find("{") + 1)
    while at < len(text) and text[at] == '"':
        key, at = decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, start)
        yield key, (start, end)
        at = _skip(text, _skip(text, end) + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _append_json(text: str, job: str, version: str) -> str:
    member = f"{_quoted(job)}: {_quoted(version)}"
    spans = list(_json_spans(text))
    if not spans:
        return f"{{\n  {member}\n}}\n"
    end = spans[-1][1][1]
    first = text[text.find("{") + 1 :]
    white = first[: len(first) - len(first.lstrip())]
    return f"{text[:end]},{white if chr(10) in white else ' '}{member}{text[end:]}"


def _append_yaml(text: str, job: str, version: str) -> str:
    key = job if re.fullmatch(_PLAIN_KEY, job) and job.lower() not in _YAML_WORDS else _quoted(job)
    stripped = text.strip()
    if stripped.endswith("}") and not list(yaml_spans(text)):
        return text[: text.rindex("{")] + f"{key}: {_quoted(version)}\n"
    if stripped.endswith("}"):
        return f"{text[: text.rindex('}')].rstrip()}, {key}: {_quoted(version)}}}\n"
    return f"{_ended(text)}{key}: {_quoted(version)}\n"


def _append_toml(text: str, job: str, version: str) -> str:
    key = job if re.fullmatch(r"[A-Za-z0-9_-]+", job) else _quoted(job)
    return f"{_ended(text)}{key} = {_quoted(version)}\n"


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _quoted(text: str) -> str:
    # A text without control characters is written alike in all three.
    return json.dumps(text, ensure_ascii=False)


_PLAIN_KEY: Final = r"[A-Za-z_][A-Za-z0-9_./-]*"
_YAML_WORDS: Final = ("null", "true", "false")
_SYNTAXES: Final[Mapping[str, _Syntax]] = {
    ".json": _Syntax(_json_spans, _append_json),
    ".toml": _Syntax(_toml_spans, _append_toml),
    ".yaml": _Syntax(yaml_spans, _append_yaml),
}


def _suffix(file: str) -> str:
    suffix = Path(file).suffix
    return suffix if suffix in _SYNTAXES else ".yaml"


def _kind(value: Any) -> str:  # noqa: ANN401 - what a file holds
    kinds = {dict: "a map", list: "a list", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), f"the number {value}" if isinstance(value, int | float) else "a date")

"""Files of values for templates and HCL2 variables: JSON, YAML, TOML, and HCL as Nomad's and Terraform's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from dtree import hcl_file, toml
from dtree.document import MAX_BYTES, ODD_NUMBER
from dtree.document import read as read_document
from dtree.errors import DeclarationError, Fault, Place, UsageError
from dtree.names import why_no_name
from dtree.values import Given, Layer, Origin

__all__ = ["SUFFIXES", "read_values"]

Values = tuple[Mapping[str, Any], Callable[[str], Place]]
"""Values by name, and where each of them stands."""


def read_values(path: Path, *, shown: str) -> Layer:
    """Read the values in a file, whose suffix says what it is.

    Args:
        shown: the path as the user would write it.

    Raises:
        UsageError: there is no such file, or its suffix says nothing.
        DeclarationError: it has faults; all that can be told at once.

    Effects: reads the file.
    """
    read = next((reader for suffix, reader in _READERS.items() if shown.lower().endswith(suffix)), None)
    if read is None:
        raise UsageError(f"--var-file: what {shown} holds is not clear", hint=f"let its name end in one of {', '.join(SUFFIXES)}")
    values, place = read(shown, _bytes(path, shown))
    faults = [*_bad_names(values, place)]
    if faults:
        raise DeclarationError(faults)
    return {name: Given(value, Origin("--var-file", place(name))) for name, value in values.items()}


def _bytes(path: Path, shown: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--var-file: {shown} cannot be read: {error.strerror}", hint="check the path") from error
    if len(data) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES // 1024**2} MiB"
        raise DeclarationError([Fault("too-large", problem, Place(shown), "split it into several files")])
    return data


def _bad_names(values: Mapping[str, Any], place: Callable[[str], Place]) -> Iterator[Fault]:
    for name in values:
        wrong = why_no_name(name)
        if wrong is not None:
            yield Fault("bad-name", wrong[0], place(name), wrong[1])


def _read_document(file: str, data: bytes) -> Values:
    document = read_document(file, data)
    if [fault.code for fault in document.faults] == ["empty-file"] and not file.lower().endswith(".json"):
        return {}, lambda _: Place(file)
    if document.faults:
        top = "write NAME: VALUE, a line for each"
        raise DeclarationError([replace(one, hint=top) if one.code in _AT_THE_TOP else one for one in document.faults])
    code, problem, hint = ODD_NUMBER
    odd = [document.place(at) for at in document.odd_numbers(())]
    if odd:
        raise DeclarationError([Fault(code, problem, place, hint) for place in odd])
    return document.value or {}, lambda name: document.place((name,), of_key=True)


def _read_toml(file: str, data: bytes) -> Values:
    values, place = toml.read(file, data)
    wrong = {name: problem for name, value in values.items() if (problem := toml.why_not_json(value, (name,)))}
    if wrong:
        raise DeclarationError([Fault("no-plain-value", problem, place(name), "put it in quotes") for name, problem in wrong.items()])
    return values, place


def _read_hcl(file: str, data: bytes) -> Values:
    values, places = hcl_file.read(file, _text(file, data))
    return values, places.__getitem__


def _text(file: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(file, data.count(b"\n", 0, error.start) + 1, 1)
        raise DeclarationError([Fault("not-utf-8", "the file is not UTF-8", place, "save it as UTF-8")]) from error


_AT_THE_TOP: Final = ("empty-file", "not-a-map")
_READERS: Final[Mapping[str, Callable[[str, bytes], Values]]] = {
    **dict.fromkeys((".json", ".yaml", ".yml"), _read_document),
    ".toml": _read_toml,
    **dict.fromkeys((".hcl", ".tfvars", ".vars"), _read_hcl),
}
SUFFIXES: Final = tuple(_READERS)
"""Of files that can be read, each with its dot."""

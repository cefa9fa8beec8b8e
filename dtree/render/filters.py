"""What templates can do with a value beside Jinja's own filters: write it as HCL, JSON or YAML, encode it, digest it. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

_HCL_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_hcl(value: Any) -> str:  # noqa: ANN401 - whatever a template has
    """Write a value as HCL: text in quotes, with `${` and `%{` kept from being read by Nomad; lists and maps as HCL's.

    >>> to_hcl({'a': ['b', 1]})
    '{"a" = ["b", 1]}'

    Raises:
        TypeError: the value is none that HCL has.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return json.dumps(value, allow_nan=False)
        case str():
            text = "".join(_HCL_ESCAPES.get(char) or (char if char >= " " else f"\\u{ord(char):04x}") for char in value)
            return '"' + text.replace("${", "$${").replace("%{", "%%{") + '"'
        case Mapping():
            return "{" + ", ".join(f"{to_hcl(str(key))} = {to_hcl(part)}" for key, part in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(to_hcl, value)) + "]"
        case _:
            _demand(value)
            raise TypeError(f"{'a function' if callable(value) else 'this'} cannot be written as HCL")


def to_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - as to_hcl
    """Write a value as JSON, on one line unless `indent` says otherwise."""
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False, default=_refuse)


def to_base64(value: Any) -> str:  # noqa: ANN401 - as to_hcl
    """Encode text as base64."""
    return base64.b64encode(_text(value).encode()).decode()


def from_base64(value: str) -> str:
    """Decode base64 to text.

    Raises:
        ValueError: it is no base64, or no text.
    """
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("what b64decode was given is not base64 of text") from error


def to_sha256(value: Any) -> str:  # noqa: ANN401 - as to_hcl
    """Return the SHA-256 of text, as hex."""
    return hashlib.sha256(_text(value).encode()).hexdigest()


def to_yaml(value: Any) -> str:  # noqa: ANN401 - as to_hcl
    """Write a value as YAML in block style, without a newline at the end."""
    from dtree.document import dump_yaml

    return dump_yaml(json.loads(to_json(value))).rstrip("\n")


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "hcl": to_hcl,
    "json": to_json,
    "yaml": to_yaml,
    "b64": to_base64,
    "b64decode": from_base64,
    "sha256": to_sha256,
}
"""Those that are added to Jinja's own, by name."""


def show(value: Any) -> str | int | float:  # noqa: ANN401 - as to_hcl
    """Return what `[[ value ]]` writes: text as it is, true and false as Nomad has them, lists and maps as JSON.

    Raises:
        TypeError: the value is a function, which somebody forgot to call, or something that only Python knows how to write.
        ValueError: the number is not finite.
    """
    match value:
        case str():
            return value
        case None | bool() | list() | tuple():
            return to_json(value)
        case int() | float():
            if not math.isfinite(value):
                raise ValueError("the number is not finite")
            return value
        case Mapping():
            return to_json(dict(value))
        case _ if callable(value):
            raise TypeError(f"{getattr(value, 'name', 'this')} is a function: it wants (…) behind it")
        case _:
            raise TypeError("this is no plain value: the filter `list` makes one of it")


def _text(value: Any) -> str:  # noqa: ANN401 - as to_hcl
    return str(show(value))


def _refuse(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    _demand(value)
    raise TypeError("a part of this is no plain value: the filter `list` makes one of it")


def _demand(value: object) -> None:
    """Raise what a name without a value raises where it is used: within a list nothing else would say which one it is."""
    if hasattr(type(value), "_fail_with_undefined_error"):
        str(value)

"""YAML by its 1.2 core rules, from the parser's events: no tags, no types beyond JSON's, so `on`, `1:30` and `2024-01-01` stay text.

PyYAML gives the events, from libyaml where it was built with it. Its constructors, which know YAML 1.1 and Python objects, are not used.
The words of its errors differ between its two parsers, so the messages are written here, from the place alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from dtree.document.nodes import BROKEN, Composer, Lines, Value, quote

if TYPE_CHECKING:
    import yaml


def scan(text: str, composer: Composer) -> None:
    """Read YAML into `composer`.

    Raises:
        ReadError: the text is not YAML from some place on; the composer has the flaw.
    """
    import yaml

    control = _CONTROL.search(text)
    if control:
        problem = f"YAML does not allow the control character U+{ord(control[0]):04X}"
        composer.stop("bad-syntax", problem, control.start(), hint="remove it")
    loader = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
    try:
        _feed(text, loader, composer)
    except yaml.MarkedYAMLError as error:
        _refuse(text, error, composer)


def dump(value: Any) -> str:  # noqa: ANN401 - what JSON can hold
    """Write a value as YAML in block style, keys in their order."""
    import yaml

    text: str = yaml.dump(value, Dumper=yaml.SafeDumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1 << 20)
    return text.removesuffix("...\n")


def spans(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the keys of the map at the top whose values are no maps or lists, each with where its value begins and ends.

    Args:
        text: YAML without a fault.
    """
    import yaml

    depth = 0
    key: str | None = None
    events: Any = yaml.parse(text, Loader=yaml.BaseLoader)
    for event in events:
        kind = type(event)
        depth -= issubclass(kind, yaml.CollectionEndEvent)
        if depth == 1 and kind is yaml.ScalarEvent:
            if key is not None:
                yield key, (event.start_mark.index, event.end_mark.index)
            key = event.value if key is None else None
        elif depth == 1 and issubclass(kind, yaml.NodeEvent | yaml.CollectionEndEvent):
            key = None
        depth += issubclass(kind, yaml.CollectionStartEvent)


def _feed(text: str, loader: Any, composer: Composer) -> None:  # noqa: ANN401 - one of PyYAML's two
    import yaml

    documents = 0
    events: Any = yaml.parse(text, Loader=loader)
    for event in events:
        offset = event.start_mark.index
        match event:
            case yaml.ScalarEvent():
                _feed_scalar(event, offset, composer)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                _refuse_complex_key(offset, composer)
                _refuse_tag(event.tag, offset, composer)
                composer.open({} if isinstance(event, yaml.MappingStartEvent) else [], offset, anchor=event.anchor)
            case yaml.CollectionEndEvent():
                composer.close()
            case yaml.AliasEvent(anchor=str(anchor)):
                _refuse_complex_key(offset, composer)
                composer.alias(anchor, offset)
            case yaml.DocumentStartEvent():
                documents += 1
                if documents > 1:
                    composer.stop("several-documents", "a second YAML document begins here", offset, hint="keep one; remove the line ---")
            case _:
                pass


def _feed_scalar(event: yaml.ScalarEvent, offset: int, composer: Composer) -> None:
    tagged = _refuse_tag(event.tag, offset, composer)
    plain = not event.style
    if composer.wants_key:
        composer.key(event.value, offset, merges=plain and event.value == "<<")
        return
    value = _resolve(event.value) if plain else event.value
    if value is BROKEN:
        composer.flaw(
            "bad-number",
            f"{quote(event.value)} is not a number that can be used",
            offset,
            hint="write a finite number, or put it in quotes",
        )
    composer.scalar(BROKEN if tagged else value, offset, anchor=event.anchor, written=event.value)


def _refuse_complex_key(offset: int, composer: Composer) -> None:
    if composer.wants_key:
        composer.stop("bad-syntax", "a key must be plain text", offset, hint="put it in quotes, if it is meant as text")


def _refuse_tag(tag: str | None, offset: int, composer: Composer) -> bool:
    if tag is None:
        return False
    shown = tag.replace("tag:yaml.org,2002:", "!!")
    composer.flaw("yaml-tag", f"the tag {quote(shown)} is not allowed", offset, hint="remove it; text stands in quotes")
    return True


def _resolve(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        value = _read_number(text)
    except ValueError:  # Python refuses to read an int of more than 4300 digits
        return BROKEN
    return value if isinstance(value, int) or math.isfinite(value) else BROKEN


def _read_number(text: str) -> int | float:
    prefix = text[:2]
    if prefix in ("0x", "0o"):
        return int(text[2:], 16 if prefix == "0x" else 8)
    if text.lstrip("+-").isdigit():
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _refuse(text: str, error: yaml.MarkedYAMLError, composer: Composer) -> None:
    mark = error.problem_mark or error.context_mark
    offset = mark.index if mark else 0
    if not text[offset:].strip():
        problem, hint = "the file ends too early", "close the quotes and brackets that are open"
    else:
        found = _WORD.findall(text, offset, offset + 60)
        problem = f"{quote(found[0])} cannot stand here" if found else "this is not YAML"
        problem, hint = _EXPLAINED.get(text[offset], (problem, "check the indentation and the quotes"))
    context = error.context_mark
    if context and context.index < offset:
        line, column = Lines(text).at(context.index)
        problem += f", within what begins at line {line}, column {column}"
    composer.stop("bad-syntax", problem, offset, hint=hint)


_EXPLAINED: Final = {
    "\t": ("a tab stands where YAML wants spaces", "indent with spaces"),
    "@": ("a value cannot begin with '@'", "put it in quotes"),
    "`": ("a value cannot begin with '`'", "put it in quotes"),
    "%": ("a value cannot begin with '%'", "put it in quotes"),
    ":": ("a second colon stands in one line", "put a text that holds a colon in quotes"),
}
_WORD: Final = re.compile(r"[^\s:,\[\]{}]+|\S")
_CONTROL: Final = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")
"""Named by what is in it: Python takes ten times as long to compile the same set named by what is not."""
_WORDS: Final[dict[str, Value]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER: Final = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)

"""Kinds of values: each checks a value, gives it in the form we use, and describes itself as JSON Schema.

Both come from the same fields, so what the parser takes and what the schema allows cannot drift apart. Patterns are written in what Python
and ECMAScript have in common.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from dtree.document import BROKEN, Path, Value, dotted, quote
from dtree.errors import did_you_mean
from dtree.names import VARIABLE_NAME, why_no_name

MAX_FINDINGS: Final = 500
"""Faults reported of one file; who has more has one mistake many times."""


Schema = dict[str, Any]
Shelf = dict[str, Schema]
"""Schemas of shared kinds by name: the `$defs`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a value, or with `of_key` with the key that leads to it."""

    code: str
    at: Path
    problem: str
    hint: str
    of_key: bool


class Findings:
    """What is wrong so far, in the order of the file."""

    def __init__(self) -> None:
        self.items: list[Finding] = []

    def add(self, code: str, at: Path, problem: str, hint: str = "", *, of_key: bool = False) -> None:
        """Note a finding; from MAX_FINDINGS on there is only one more, which says so."""
        if len(self.items) < MAX_FINDINGS:
            self.items.append(Finding(code, at, problem, hint, of_key))
        elif len(self.items) == MAX_FINDINGS:
            problem = f"the file has more than {MAX_FINDINGS} faults; the others are left out"
            self.items.append(Finding("too-many-faults", at, problem, "mend these first", of_key))


class Kind(Protocol):
    """What a value may be."""

    @property
    def noun(self) -> str:
        """It in words, after "must be"."""

    @property
    def hint(self) -> str:
        """What to write instead of a wrong one."""

    @property
    def takes(self) -> frozenset[type]:
        """Python types of the values that `read` is given."""

    def read(self, value: Value, at: Path, findings: Findings, /) -> Value:
        """Return the value in our form, after noting what is wrong with it."""

    def schema(self, shelf: Shelf, /) -> Schema:
        """Describe the kind as JSON Schema; shared kinds go on the shelf."""


def check(kind: Kind, value: Value, at: Path, findings: Findings) -> Value:
    """Return the value in our form; None where its type is wrong or it could not even be read."""
    if value is BROKEN:
        return None
    if type(value) not in kind.takes:
        given = str(value).lower() if isinstance(value, bool) else _TYPES[type(value)]
        findings.add("wrong-type", at, f"{label(at)} must be {kind.noun}, not {given}", kind.hint or _mend_type(kind, value))
        return None
    return kind.read(value, at, findings)


def label(at: Path) -> str:
    """Name a place in a sentence: `'timeout'`, `'pre[1]'`."""
    keys = [index for index, part in enumerate(at) if isinstance(part, str)]
    return "'" + dotted(at[keys[-1] :]).strip("'") + "'" if keys else "the file"


@dataclass(frozen=True)
class Anything:
    """Any value."""

    noun: str = "anything"
    hint: str = ""
    takes: frozenset[type] = field(default=frozenset({dict, list, str, int, float, bool, type(None)}), init=False)

    def read(self, value: Value, _at: Path, _findings: Findings) -> Value:
        """Return it as it is."""
        return value

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow everything."""
        return {}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    noun: str = "true or false"
    hint: str = ""
    takes: frozenset[type] = field(default=frozenset({bool}), init=False)

    def read(self, value: Value, _at: Path, _findings: Findings) -> Value:
        """Return it as it is."""
        return value

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow a boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Text:
    """Text, of a pattern where one is given. The text is in no message: it may be a secret."""

    noun: str = "text"
    hint: str = ""
    pattern: str = ""
    takes: frozenset[type] = field(default=frozenset({str}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return it, after matching the pattern."""
        if self.pattern and not re.fullmatch(self.pattern, value):
            findings.add("bad-value", at, f"{label(at)} is not {self.noun}", self.hint)
        return value

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow text of the pattern."""
        return {"type": "string", "pattern": whole(self.pattern)} if self.pattern else {"type": "string"}


@dataclass(frozen=True)
class Name:
    """A name that can be shown on one line: not empty, no control or invisible characters, no space at its ends, not endless."""

    noun: str = "a name"
    hint: str = ""
    takes: frozenset[type] = field(default=frozenset({str}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the name."""
        return value if self.read_key(value, at, findings, of_key=False) else None

    def read_key(self, value: str, at: Path, findings: Findings, *, of_key: bool) -> bool:
        """Tell whether `value` is a name, which may also be a key."""
        if not value:
            findings.add("empty-name", at, "a name is empty" if of_key else f"{label(at)} is empty", f"write {self.noun}", of_key=of_key)
        elif len(value) > MAX_NAME:
            problem = f"{quote(value)} is longer than {MAX_NAME} characters"
            findings.add("bad-name", at, problem, "shorten it", of_key=of_key)
        elif not _IS_NAME(value):
            problem = f"{quote(value)} holds a character that cannot be seen, or a space at an end"
            findings.add("bad-name", at, problem, "remove it", of_key=of_key)
        else:
            return True
        return False

    def schema(self, shelf: Shelf) -> Schema:
        """Allow such names."""
        shelf["name"] = {
            "description": "A name that can be shown on one line.",
            "type": "string",
            "pattern": whole(_NAME),
            "minLength": 1,
            "maxLength": MAX_NAME,
        }
        return {"$ref": "#/$defs/name"}


@dataclass(frozen=True)
class VariableName(Name):
    """A name that templates can read by."""

    noun: str = "a name of letters, digits and underscores"

    def read_key(self, value: str, at: Path, findings: Findings, *, of_key: bool) -> bool:
        """Tell whether templates can read by `value`."""
        wrong = why_no_name(value)
        if wrong is not None:
            findings.add("bad-name", at, wrong[0], wrong[1], of_key=of_key)
        return wrong is None

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow such names."""
        return {"type": "string", "pattern": whole(VARIABLE_NAME)}


@dataclass(frozen=True)
class Regex:
    """A regular expression of Python's."""

    noun: str = "a regular expression"
    hint: str = ""
    takes: frozenset[type] = field(default=frozenset({str}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return its text, after compiling it."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                re.compile(value)
        except (re.error, RecursionError, OverflowError) as error:
            reason = error.msg if isinstance(error, re.error) else "it is too large"
            findings.add(
                "bad-regex",
                at,
                f"{label(at)} is not a regular expression: {reason}",
                "a backslash before a special character means it literally",
            )
        return value

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow what an editor takes for a regular expression."""
        return {"type": "string", "format": "regex"}


@dataclass(frozen=True)
class Number:
    """A number within limits; with `is_whole` without a fraction, as an int."""

    noun: str
    minimum: int
    maximum: int
    hint: str = ""
    is_whole: bool = False
    takes: frozenset[type] = field(default=frozenset({int, float}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return it as a float, or as an int where it is to be whole."""
        if not self.minimum <= value <= self.maximum:
            findings.add("bad-value", at, f"{label(at)} must be from {self.minimum} to {self.maximum}", self.hint)
            return None
        if self.is_whole and value != int(value):
            findings.add("bad-value", at, f"{label(at)} must be {self.noun}, without a fraction", self.hint)
            return None
        return int(value) if self.is_whole else float(value)

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow a number within the limits."""
        return {"type": "integer" if self.is_whole else "number", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Duration:
    """A time span above zero, as `90s`, `5m`, `1h30m` or a number of seconds; in our form seconds."""

    noun: str = "a duration such as 90s, 5m or 1h30m, or a number of seconds"
    hint: str = "write 90s, 5m or 1h30m, or a number of seconds"
    takes: frozenset[type] = field(default=frozenset({int, float, str}), init=False)

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return it in seconds."""
        if isinstance(value, str):
            found = re.fullmatch(_DURATION, value)
            if found:
                return sum(float(part or 0) * unit_s for part, unit_s in zip(found.groups(), (3600, 60, 1), strict=True))
            findings.add("bad-duration", at, f"{label(at)} is not a duration above zero: {quote(value)}", self.hint)
            return None
        if 0 < value <= MAX_SECONDS:
            return float(value)
        problem = f"{label(at)} must be above zero" if value <= 0 else f"{label(at)} is longer than {MAX_SECONDS} seconds"
        findings.add("bad-duration", at, problem, self.hint)
        return None

    def schema(self, shelf: Shelf) -> Schema:
        """Allow both forms."""
        number = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SECONDS}
        shelf["duration"] = {
            "description": f"{self.noun[0].upper()}{self.noun[1:]}.",
            "anyOf": [number, {"type": "string", "pattern": whole(_DURATION)}],
        }
        return {"$ref": "#/$defs/duration"}


@dataclass(frozen=True)
class Choice:
    """One of a few words; `also` are further spellings of some of them."""

    noun: str
    words: Sequence[str]
    also: Mapping[str, str] = field(default_factory=dict)
    code: str = "bad-value"
    more: str = ""
    takes: frozenset[type] = field(default=frozenset({str}), init=False)

    @property
    def hint(self) -> str:
        """The words, and what may stand in place of them."""
        return f"one of {', '.join(self.words)}{self.more}"

    def read(self, value: Value, at: Path, findings: Findings) -> Value:
        """Return the word in its first spelling."""
        word = self.also.get(value, value)
        if word in self.words:
            return word
        hint = did_you_mean(value[:LONGEST_WORD], [*self.words, *self.also]) or self.hint
        findings.add(self.code, at, f"{label(at)} is {quote(value)}, which is not {self.noun}", hint)
        return None

    def schema(self, _shelf: Shelf) -> Schema:
        """Allow the words."""
        return {"enum": [*self.words, *self.also]}


MAX_NAME: Final = 255
MAX_SECONDS: Final = 99_999_999
"""Three years; what waits longer was a slip."""


def whole(pattern: str) -> str:
    """Anchor a pattern at both ends. Python's `$` alone would overlook a line break at the end."""
    return f"^(?:{pattern})$(?!\\n)"


LONGEST_WORD: Final = 60
"""Characters of an unknown word that are compared with the known ones: the comparison is quadratic."""

_UNSEEN: Final = r"\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_NAME: Final = rf"(?! )[^{_UNSEEN}]*[^ {_UNSEEN}]"
_IS_NAME: Final = re.compile(_NAME).fullmatch
_DURATION: Final = r"(?=.*[1-9])(?:([0-9]{1,4}(?:\.[0-9]{1,3})?)h)?(?:([0-9]{1,6}(?:\.[0-9]{1,3})?)m)?(?:([0-9]{1,8}(?:\.[0-9]{1,3})?)s)?"


def _mend_type(kind: Kind, value: Value) -> str:
    if isinstance(value, str):
        return "write it without quotes" if kind.takes & {bool, int} else ""
    return "put it in quotes" if kind.takes == {str} and isinstance(value, int | float) else ""


_TYPES: Final = {
    dict: "a map",
    list: "a list",
    str: "text",
    int: "a number",
    float: "a number",
    type(None): "null",
}

"""JSON, read twice if need be: once fast, and once slowly where something is odd or a place is asked for.

The fast way is the standard library's; it gives a value or nothing. The slow way feeds `Composer`, which knows where everything stands.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

from dtree.document.nodes import BROKEN, MAX_DEPTH, MAX_VALUES, Composer, Value, quote


def load(text: str) -> dict[str, Value] | None:
    """Read JSON fast.

    Returns:
        the map at the top, or None where anything at all is wrong with the text.
    """
    # A half of a surrogate pair can only come from an escape, because the text itself was decoded from UTF-8.
    if _SURROGATE.search(text):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_modest(value) else None


def scan(text: str, composer: Composer) -> None:
    """Read JSON slowly, into `composer`.

    Raises:
        ReadError: the text is not JSON from some place on; the composer has the flaw.
    """
    _Scanner(text, composer).run()


class _Scanner:
    """A JSON reader that keeps its own stack: `_closers`, one bracket for each container that is open."""

    def __init__(self, text: str, composer: Composer) -> None:
        self._text = text
        self._composer = composer
        self._at = 0
        self._closers: list[str] = []
        self._fresh = False

    def run(self) -> None:
        if not self._peek():
            return
        self._read_value()
        while self._closers:
            self._read_member()
        if self._peek():
            self._stop(f"the file goes on with {self._found()} after its end", "keep one map, from { to }")

    def _read_member(self) -> None:
        closer = self._closers[-1]
        if self._peek() == closer:
            self._close()
            return
        if not self._fresh:
            self._take(",", f"expected a comma or {closer}", "put a comma between two values")
            if self._peek() == closer:
                self._stop(f"a comma stands before {closer}", "remove the comma")
        self._fresh = False
        if closer == "}":
            self._read_key()
        self._read_value()

    def _close(self) -> None:
        self._closers.pop()
        self._composer.close()
        self._at += 1
        self._fresh = False

    def _read_key(self) -> None:
        if self._peek() != '"':
            self._stop(f"expected a key in double quotes, found {self._found()}", self._hint('put the key in quotes: "key"'))
        offset = self._at
        self._composer.key(self._read_text(), offset)
        self._take(":", "expected a colon after the key", 'write a key as "key": value')

    def _read_value(self) -> None:
        char, offset = self._peek(), self._at
        if char in ("{", "["):
            self._at += 1
            self._composer.open({} if char == "{" else [], offset)
            self._closers.append("}" if char == "{" else "]")
            self._fresh = True
        elif char == '"':
            self._composer.scalar(self._read_text(), offset)
        elif number := _NUMBER.match(self._text, offset):
            self._at = number.end()
            self._composer.scalar(self._number(number), offset, written=number[0])
        else:
            self._read_word(offset)

    def _read_word(self, offset: int) -> None:
        word = _WORD.match(self._text, offset)
        if word and word[0] in _WORDS:
            self._at = word.end()
            self._composer.scalar(_WORDS[word[0]], offset)
        elif word and word[0] in _NOT_NUMBERS:
            self._at = word.end()
            self._composer.flaw("bad-number", f"{word[0]} is not a number of JSON", offset, hint="write a finite number")
            self._composer.scalar(BROKEN, offset)
        else:
            hint = f"write {word[0].lower()}" if word and word[0].lower() in _WORDS else 'text stands in double quotes: "text"'
            self._stop(f"expected a value, found {self._found()}", self._hint(hint if word else "write a value here"))

    def _read_text(self) -> str:
        found = _TEXT.match(self._text, self._at)
        if found is None:
            self._refuse_text()
        self._at = found.end()
        text: str = json.loads(found[0])
        return text

    def _refuse_text(self) -> NoReturn:
        start = _TEXT_START.match(self._text, self._at)
        offset = start.end() if start else self._at
        char = self._text[offset : offset + 1]
        if char == "\\":
            self._at = offset
            escape = quote(self._text[offset : offset + 2])
            self._stop(f"{escape} is not an escape of JSON", "double the backslash, if it is meant as one")
        if char in ("", "\n", "\r"):
            self._stop("this text does not end on its line", 'close it with a double quote: "')
        self._at = offset
        self._stop(f"the control character {_code_point(char)} stands in a text", f"write it as \\u{ord(char):04x}, or remove it")

    def _number(self, number: re.Match[str]) -> Value:
        if number[0] in ("0", "-0") and self._text[self._at : self._at + 1].isdigit():
            self._stop("a number of JSON does not begin with 0", "remove the 0")
        try:
            value = float(number[0]) if number[1] or number[2] else int(number[0])
        except ValueError:  # Python refuses to read an int of more than 4300 digits
            value = math.inf
        if isinstance(value, float) and math.isinf(value):
            self._composer.flaw(
                "bad-number", f"the number {quote(number[0])[1:-1]} is too large", number.start(), hint="write a smaller one"
            )
            return BROKEN
        return value

    def _peek(self) -> str:
        """Skip blanks and return the character there, "" at the end."""
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, char: str, wanted: str, hint: str) -> None:
        if self._peek() != char:
            self._stop(f"{wanted}, found {self._found()}", self._hint(hint))
        self._at += 1

    def _found(self) -> str:
        char = self._text[self._at : self._at + 1]
        if not char:
            return "the end of the file"
        word = _WORD.match(self._text, self._at)
        return quote(word[0] if word else char)

    def _hint(self, otherwise: str) -> str:
        if self._text.startswith(("//", "/*", "#"), self._at):
            return "JSON has no comments; a file that ends in .yaml may have them, after #"
        if self._text.startswith("'", self._at):
            return "text and keys stand in double quotes"
        if self._text.startswith(",", self._at):
            return "remove the comma"
        if self._at >= len(self._text) and self._closers:
            return f"close what is open with {self._closers[-1]}"
        return otherwise

    def _stop(self, problem: str, hint: str) -> NoReturn:
        self._composer.stop("bad-syntax", problem, self._at, hint=hint)


_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD: Final = re.compile(r"-?[A-Za-z_][A-Za-z0-9_]*")
_TEXT_START: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_TEXT: Final = re.compile(_TEXT_START.pattern + '"')
_WORDS: Final = {"true": True, "false": False, "null": None}
_NOT_NUMBERS: Final = ("NaN", "Infinity", "-Infinity")


def _unique(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError
    return result


def _refuse(_constant: str) -> NoReturn:
    raise ValueError


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError
    return value


def _is_modest(value: dict[str, Value]) -> bool:
    """Tell whether the value keeps to the limits of `Composer`. Level by level, so that depth costs no stack."""
    level: list[Value] = [value]
    count = 1
    for _ in range(MAX_DEPTH):
        parts = [part for parent in level for part in (parent.values() if type(parent) is dict else parent)]
        level = [part for part in parts if type(part) is dict or type(part) is list]
        count += len(parts)
        if not level or count > MAX_VALUES:
            break
    return not level and count <= MAX_VALUES


def _code_point(char: str) -> str:
    return f"U+{ord(char):04X}"

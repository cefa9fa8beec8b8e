"""A file of values in HCL, such as Nomad and Terraform take with `-var-file`. Pure. The only importer of python-hcl2 and lark.

The library parses; what the tree means is said here, because only plain values may stand in such a file, and each has to know its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import MAX_PREC, Context, Decimal
from textwrap import dedent
from typing import Any, Final

from dtree.errors import DeclarationError, Fault, Place

__all__ = ["read"]


def read(file: str, text: str) -> tuple[dict[str, Any], dict[str, Place]]:
    """Read the attributes of an HCL file.

    Returns:
        (values, places), both by name.

    Raises:
        DeclarationError: it is no HCL, or holds something else than plain values; with all faults of the second kind.
    """
    import hcl2
    from lark.exceptions import LarkError

    try:
        tree: Any = hcl2.parses_to_tree(text)
        return _Reader(file).read(tree)
    except LarkError as error:
        raise DeclarationError([_syntax_fault(file, text, error)]) from error
    except RecursionError as error:
        raise DeclarationError([Fault("too-deep", "lists and maps stand too deep within each other", Place(file))]) from error


class _NoValue(Exception):
    """What stands somewhere is no plain value."""

    def __init__(self, problem: str, at: Any, hint: str = "") -> None:  # noqa: ANN401 - a tree or token of lark's, which has no types
        super().__init__(problem)
        self.problem, self.hint = problem, hint
        token = _first_token(at)
        self.line: int | None = getattr(token, "line", None)
        self.column: int | None = getattr(token, "column", None)


class _Reader:
    """Reads the tree of one file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._values: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self._faults: list[Fault] = []
        self._last_line = 0

    def read(self, tree: Any) -> tuple[dict[str, Any], dict[str, Place]]:  # noqa: ANN401 - as above
        for part in tree.children[0].children:
            if part.data not in ("attribute", "block"):
                continue
            try:
                self._read_part(part)
            except _NoValue as error:
                self._faults.append(Fault("no-plain-value", error.problem, Place(self._file, error.line, error.column), error.hint))
        if self._faults:
            raise DeclarationError(self._faults)
        return self._values, self._places

    def _read_part(self, part: Any) -> None:  # noqa: ANN401 - as above
        token = part.children[0].children[0]
        name = str(token)
        if part.data == "block":
            raise _NoValue(f"a block '{name}' stands in a file of values", token, f"write {name} = {{ … }}, or {name} = VALUE")
        place = Place(self._file, token.line, token.column, name)
        if name in self._places:
            problem = f"'{name}' stands here a second time; the first is at line {self._places[name].line}"
            self._faults.append(Fault("duplicate-key", problem, place, "keep one of the two"))
        elif token.line == self._last_line:
            self._faults.append(Fault("bad-syntax", f"'{name}' begins on the line where another value ends", place, "begin a new line"))
        self._places[name] = place
        last = list(part.scan_values(lambda _: True))[-1]
        self._last_line = last.line + str(last).rstrip().count("\n")
        self._values[name] = _value(part.children[-1])


def _value(node: Any) -> Any:  # noqa: ANN401 - as above; gives what JSON can hold
    """Return the plain value that an expression is. Raises _NoValue."""
    kind = str(getattr(node, "data", ""))
    read = _READERS.get(kind)
    if read is None:
        raise _NoValue("this is no plain value: a file of values is not computed", node, "text stands in double quotes")
    return read(node)


def _term(node: Any) -> Any:  # noqa: ANN401 - as above
    parts = [part for part in node.children if getattr(part, "data", "") not in ("", "new_line_or_comment")]
    return _value(parts[0])


def _number(node: Any) -> int | float:  # noqa: ANN401 - as above
    try:
        number = int(str(node.children[0])) if node.data == "int_lit" else float(str(node.children[0]))
    except ValueError:  # Python refuses to read an int of more than 4300 digits
        number = math.inf
    if math.isinf(number):
        raise _NoValue("this number is too large", node, "write a smaller one")
    return number


def _negative(node: Any) -> int | float:  # noqa: ANN401 - as above
    sign, operand = node.children[0], node.children[-1]
    number = _value(operand)
    if str(sign) != "-" or isinstance(number, bool) or not isinstance(number, int | float):
        raise _NoValue("this is no plain value: a file of values is not computed", sign)
    return -number


def _pair(node: Any) -> tuple[str, Any]:  # noqa: ANN401 - as above
    key = node.children[0].children[0]
    while getattr(key, "data", "") == "expr_term" and len(key.children) == 1:
        key = key.children[0]
    name = str(key.children[0]) if getattr(key, "data", "") == "identifier" else _key(key)
    return name, _value(node.children[-1])


def _key(node: Any) -> str:  # noqa: ANN401 - as above
    """Return the key of a map that is no bare name, in HCL's own words: `true`, `null`, `1000` for 1e3.

    Source: Nomad's `job run -output`, which shows the keys that it makes of a file of values.
    """
    if getattr(node, "data", "") == "literal_value":
        return str(node.children[0])
    match _value(node):
        case str() as text:
            return text
        case bool() as value:
            return "true" if value else "false"
        case int() | float() as number:
            return f"{Decimal(str(number)).normalize(_EXACT):f}"
        case _:
            raise _NoValue("this cannot be a key of a map", node, "text stands in double quotes")


def _text(part: Any) -> str:  # noqa: ANN401 - as above
    """Return one part of a string in quotes."""
    inner = part.children[0] if getattr(part, "data", "") == "string_part" else part
    if getattr(inner, "data", ""):
        raise _NoValue("`${` and `%{` are computed, and a file of values is not", inner, "write $${ or %%{ where it is meant as text")
    text = str(inner)

    def escape(found: re.Match[str]) -> str:
        if found[0] in _ESCAPES:
            return _ESCAPES[found[0]]
        if digits := found[1] or found[2]:
            code = int(digits, 16)
            if code <= _LAST_CHARACTER and code not in _SURROGATES:
                return chr(code)
        raise _NoValue(f"{found[0]} is not an escape of HCL", inner, "double the backslash, if it is meant as one")

    return _ESCAPE.sub(escape, text)


def _heredoc(node: Any) -> str:  # noqa: ANN401 - as above
    token = node.children[0]
    _, _, rest = str(token).partition("\n")
    body = rest[: rest.rstrip().rfind("\n") + 1]
    if _COMPUTED.search(body):
        raise _NoValue("`${` and `%{` are computed, and a file of values is not", token, "write $${ or %%{ where it is meant as text")
    text = body.replace("$${", "${").replace("%%{", "%{")
    return dedent(text) if node.data.endswith("trim") else text


def _first_token(at: Any) -> Any:  # noqa: ANN401 - as above
    return next(iter(at.scan_values(lambda _: True)), None) if hasattr(at, "scan_values") else at


def _syntax_fault(file: str, text: str, error: Exception) -> Fault:
    line, column = getattr(error, "line", None), getattr(error, "column", None)
    if not isinstance(line, int) or line < 1 or not isinstance(column, int):
        return Fault("bad-syntax", "this is not HCL", Place(file), _HINT)
    lines = text.splitlines()
    if line > len(lines):
        problem = "the file ends too early"
    else:
        problem = "what begins here cannot stand here" if lines[line - 1][column - 1 :].strip() else "a line ends too early"
    return Fault("bad-syntax", problem, Place(file, line, column), _HINT)


_WORDS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "expr_term": _term,
    "literal_value": lambda node: _WORDS[str(node.children[0])],
    "int_lit": _number,
    "float_lit": _number,
    "unary_op": _negative,
    "string": lambda node: "".join(map(_text, node.children[1:-1])),
    "heredoc_template": _heredoc,
    "heredoc_template_trim": _heredoc,
    "tuple": lambda node: [_value(part) for part in node.children if getattr(part, "data", "") not in ("", "new_line_or_comment")],
    "object": lambda node: dict(_pair(part) for part in node.children if getattr(part, "data", "") == "object_elem"),
}
"""By the name of the grammar's rule."""
_HINT: Final = "write NAME = VALUE on a line of its own, and text in double quotes"
_ESCAPES: Final[Mapping[str, str]] = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\", "$${": "${", "%%{": "%{"}
_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})|\\.|\$\$\{|%%\{", re.DOTALL)
_COMPUTED: Final = re.compile(r"(?<!\$)\$\{|(?<!%)%\{")
_EXACT: Final = Context(prec=MAX_PREC)
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)

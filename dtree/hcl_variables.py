"""HCL2's own variables: which of them a job file declares, and the text that gives them values. Pure.

Nomad parses the job file; here it is read only as far as `variable` blocks at its top have to be told from strings, heredocs and comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dtree.errors import DeclarationError
from dtree.hcl_tokens import Token, end_of_block, next_token
from dtree.render.filters import to_hcl
from dtree.values import Given, Layer

__all__ = ["HclVariable", "assignments", "blamed", "declared_in"]


@dataclass(frozen=True, slots=True)
class HclVariable:
    """An HCL2 variable that a job file declares.

    Attributes:
        is_text: text that is given for it is its value; False: such text is an expression, as of a list.
            Source: Nomad's jobspec2, which reads a value of `-var` and NOMAD_VAR_x so.
        default: as the file writes it; None where it has none.
        line: of the block, from 1; 0 where it is not known.
    """

    name: str
    is_text: bool
    default: str | None = None
    line: int = 0


def declared_in(source: str) -> dict[str, HclVariable]:
    """Return the variables that a job file declares in blocks at its top, by name, in the order of the file."""
    if source.lstrip().startswith("{"):
        return {} if '"variable"' not in source else {one.name: one for one in _declared_in_json(source)}
    return {one.name: one for one in _declared_in_hcl(source)} if re.search(_LOOKS_DECLARED, source) else {}


def assignments(given: Layer, declared: Mapping[str, HclVariable], *, show_secrets: bool) -> str:
    """Write values as a file of Nomad's variables, sorted; with a remark in place of a secret one unless `show_secrets`."""
    lines = [
        f"# {name} is secret and not shown" if one.secret and not show_secrets else f"{name} = {_expression(one, declared[name])}"
        for name, one in sorted(given.items())
    ]
    return "".join(f"{line}\n" for line in lines)


def blamed(answer: str, problem: str, line: int | None, variables: str, given: Layer) -> str:
    """Return the variable whose value Nomad complains of, "" where it is something else.

    Args:
        answer: all that Nomad says.
        problem: the one part of it that this is about.
        line: where it says that something is wrong; it calls the text of the values as it calls the job file.
        variables: the text that gave the values.
        given: the values in it, by name.
    """
    typed = re.search(_WRONG_TYPE, problem)
    if typed:
        return typed[1] if typed[1] in given else ""
    is_computed = re.search(_COMPUTED, problem) is not None
    if line is None or not (is_computed or _UNREADABLE in answer or _INVALID in problem):
        return ""
    names = [found[1] for text in variables.splitlines()[:line] if (found := re.match(_ASSIGNMENT, text)) and found[1] in given]
    name = names[-1] if names else ""
    return "" if is_computed and (not name or _is_constant(given[name])) else name


def _is_constant(given: Given) -> bool:
    """Whether a value is one as it stands: no name and no call in it, of which Nomad complains alike in the job file."""
    from dtree import hcl_file

    if not given.is_text:
        return True
    try:
        hcl_file.read("", f"x = {given.value}\n")
    except DeclarationError:
        return False
    return True


_WRONG_TYPE: Final = r"The value for (\w+) is not compatible with the variable's type"
_UNREADABLE: Final = "unable to parse var content"
_INVALID: Final = "Invalid value for varfile variable"
_COMPUTED: Final = r"(?:Variables may not be used|Functions may not be called) here"
_ASSIGNMENT: Final = r"(\w+) = "

# Patterns are compiled where they are used: of most job files nothing but the first is asked.
_LOOKS_DECLARED: Final = r"(?m)(?:^|\*/)[ \t]*variables?[\s\"{]"
_NUMBER: Final = r"-?\d[\d.eE+-]*"


def _declared_in_hcl(source: str) -> Iterator[HclVariable]:
    header: list[Token] = []
    at = 0
    while at < len(source):
        token = next_token(source, at)
        at = token.end
        if token.kind in ("word", "text"):
            header.append(token)
        elif token.kind == "newline":
            header = []
        elif token.kind == "open":
            end = end_of_block(source, at)
            yield from _declared_by(source, header, at, end)
            header, at = [], end + 1


def _declared_by(source: str, header: list[Token], start: int, end: int) -> Iterator[HclVariable]:
    """Yield what a block at the top declares: `variable "name" { }`, or `variables { }` with a default for each.

    Args:
        start: where its body begins.
        end: where that ends.
    """
    words = [source[token.start : token.end].strip('"') for token in header]
    match words:
        case ["variable", name]:
            parts = dict(_attributes(source, start, end))
            default = parts.get("default")
            is_text = parts["type"] in ("string", "number") if "type" in parts else default is None or _is_plain(default)
            yield HclVariable(name, is_text, default, _line(source, header[0].start))
        case ["variables"]:
            for name, default in _attributes(source, start, end):
                yield HclVariable(name, _is_plain(default), default, _line(source, header[0].start))
        case _:
            return


def _attributes(source: str, at: int, end: int) -> Iterator[tuple[str, str]]:
    """Yield name and value of each attribute of a block, as the file writes them."""
    name = ""
    begin, last = -1, -1
    while at < end:
        token = next_token(source, at)
        at = token.end
        if token.kind == "open":
            at = last = end_of_block(source, at) + 1
        elif token.kind in ("newline", "comment"):
            if begin >= 0:
                yield name, source[begin:last].strip()
            name, begin = "", -1
        elif token.kind == "equals" and name and begin < 0:
            begin = last = token.end
        else:
            last = token.end
            name = source[token.start : token.end] if token.kind == "word" and begin < 0 else name
    if begin >= 0:
        yield name, source[begin : min(last, end)].strip()


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _declared_in_json(source: str) -> Iterator[HclVariable]:
    """The same of HCL's JSON, where types are text."""
    try:
        data: Any = json.loads(source)
    except (ValueError, RecursionError):
        return
    blocks = data.get("variable") if isinstance(data, dict) else None
    for block in blocks if isinstance(blocks, list) else [blocks]:
        for name, parts in block.items() if isinstance(block, dict) else ():
            body = parts[0] if isinstance(parts, list) and parts else parts
            if isinstance(body, dict):
                default = json.dumps(body["default"]) if "default" in body else None
                is_text = body["type"] in ("string", "number") if "type" in body else default is None or _is_plain(default)
                yield HclVariable(name, is_text, default)


def _is_plain(default: str) -> bool:
    """Whether a default is a string or a number."""
    return default.startswith(('"', "<<")) or re.fullmatch(_NUMBER, default) is not None


def _expression(given: Given, declared: HclVariable) -> str:
    if not given.is_text or declared.is_text:
        return to_hcl(given.value)
    # Within brackets it may go on over lines, and the closing one stands behind whatever remark it ends with.
    return f"({given.value}\n)"

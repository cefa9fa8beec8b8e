"""HCL as tokens: as far as blocks and attributes have to be told from strings, heredocs and comments. Pure.

Nomad parses job files. This is for what has to be known of one without asking Nomad, and it takes any text: what is wrong in it is Nomad's
to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

__all__ = ["BlockText", "Token", "block_texts", "end_of_block", "next_token"]

# Patterns are compiled where they are used: of most job files nothing is asked.
_STRUCTURE: Final = r"""
    (?P<comment> \#[^\n]* | //[^\n]* | /\*.*?(?:\*/|\Z) )
    | <<-?(?P<heredoc> [^\W\d][\w-]* )[ \t]*\r?\n
    | (?P<quote> " )
    | (?P<open> [\[{(] )
    | (?P<close> [\]})] )
"""
_TOKEN: Final = rf"{_STRUCTURE} | (?P<newline> \n ) | (?P<equals> =(?!=) ) | (?P<word> [^\W\d][\w-]* ) | [^\S\n]+ | ."
_IN_TEXT: Final = r'\\.|\$\$\{|%%\{|[$%]\{|"|\n'
_IN_EXPRESSION: Final = r'["{}]'


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of HCL.

    Attributes:
        kind: `text` for a string or a heredoc; `word`, `equals`, `open`, `close`, `comment` or `newline`; "" for anything else.
        start, end: where it stands.
    """

    kind: str
    start: int
    end: int


def next_token(source: str, at: int, pattern: str = _TOKEN) -> Token:
    """Return the first token from `at` on that the pattern has; one at the end of the text where there is none."""
    found = _compiled(pattern).search(source, at)
    if found is None:
        return Token("", len(source), len(source))
    kind, end = found.lastgroup or "", found.end()
    if kind == "quote":
        return Token("text", found.start(), _end_of_text(source, end))
    if kind == "heredoc":
        mark = re.compile(rf"^[ \t]*{re.escape(found['heredoc'])}[ \t]*\r?$", re.MULTILINE).search(source, end)
        return Token("text", found.start(), mark.end() if mark else len(source))
    return Token(kind, found.start(), end)


def end_of_block(source: str, at: int) -> int:
    """Return where the block ends whose first bracket stands before `at`: its last bracket, or the end of the text."""
    depth = 1
    while at < len(source):
        token = next_token(source, at, _STRUCTURE)
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0:
            return token.start
        at = token.end
    return len(source)


@dataclass(frozen=True, slots=True)
class BlockText:
    """A string or heredoc in the value of an attribute.

    Attributes:
        blocks: those around it, from the outside in, each with its type and its labels: `("job", "api")`.
        key: name of the attribute.
        text: without its quotes; escapes are left as they are.
        start: where the text begins.
    """

    blocks: tuple[tuple[str, ...], ...]
    key: str
    text: str
    start: int


def block_texts(source: str) -> Iterator[BlockText]:
    """Yield the strings and heredocs in the values of attributes, in the order of the file."""
    blocks: list[tuple[str, ...]] = []
    header: list[str] = []
    key, depth, at = "", 0, 0
    while at < len(source):
        token = next_token(source, at)
        at = token.end
        text = source[token.start : token.end]
        match token.kind:
            case "text" if key:
                lead = 1 if text.startswith('"') else 0
                yield BlockText(tuple(blocks), key, text[lead : len(text) - lead], token.start + lead)
            case "text" | "word" if not key:
                header.append(text.strip('"'))
            case "equals" if not key and header:
                key, header = header[-1], []
            case "open" if key:
                depth += 1
            case "open":
                blocks.append(tuple(header))
                header = []
            case "close" if depth:
                depth -= 1
            case "close":
                blocks, key, header = blocks[:-1], "", []
            case "newline" if not depth:
                key, header = "", []
            case _:
                pass


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


def _end_of_text(source: str, at: int) -> int:
    """Return where a string ends whose first quote stands before `at`: within `${ }` there may be others."""
    closers = ['"']
    while closers:
        in_text = closers[-1] == '"'
        found = _compiled(_IN_TEXT if in_text else _IN_EXPRESSION).search(source, at)
        if found is None:
            return len(source)
        at = found.end()
        if found[0] == closers[-1]:
            closers.pop()
        elif in_text and found[0] in ("${", "%{"):
            closers.append("}")
        elif in_text and found[0] == "\n":
            return at
        elif not in_text:
            closers.append('"' if found[0] == '"' else "}")
    return at

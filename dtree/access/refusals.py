"""What Nomad says when it refuses a job or warns of it, taken apart: it sends several as one text, with lists in lists."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Diagnostic", "diagnostics", "reasons"]

_LIST: Final = re.compile(r"(?:(?P<what>.*?):? ?)??(?P<count>\d+) (?:errors?|warnings?)(?: occurred)?:")
_NOISE: Final = re.compile(r" validation failed$| has (?:warnings|errors)$|^rpc error$")
_PLACE: Final = re.compile(r"(?:^|\s)(?:<nil>|input\.hcl:(\d+),(\d+)(?:-\d+(?:,\d+)?)?): ")
_MENTION: Final = re.compile(r"input\.hcl:(\d+),(\d+)(?:-\d+(?:,\d+)?)?")
_MORE: Final = re.compile(r",? and (\d+) other diagnostic\(s\)$")
_SEE: Final = re.compile(r"; see https?://.*$")
_CONSEQUENCE: Final = "value must be known"
_GO_TYPE: Final = re.compile(r"json: cannot unmarshal (\w+) into Go struct field \w+\.(?:Job\.)?(\S+) of type (\S+)")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing wrong in a job file.

    Attributes:
        text: what, in Nomad's words, without a full stop.
        line, column: from 1; None where Nomad names no place.
    """

    text: str
    line: int | None = None
    column: int | None = None


def reasons(text: str) -> tuple[str, ...]:
    r"""Take a list of errors or warnings apart.

    Nomad nests lists without indenting them; only the counts tell how far each one goes.

    >>> reasons("2 errors occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Missing tasks\n\n\n\t* bad type\n\n")
    ('Task group g: Missing tasks', 'bad type')

    Returns:
        sentences, outermost name first; none for an empty text.
    """
    found: list[str] = []
    inside: list[tuple[str, int]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        item = line.removeprefix("* ")
        opens = _LIST.fullmatch(item)
        if not opens and item == line and found:
            found[-1] += f" {line}"
            continue
        while inside and inside[-1][1] == 0:
            inside.pop()
        if inside:
            inside[-1] = (inside[-1][0], inside[-1][1] - 1)
        if opens:
            inside.append((_NOISE.sub("", opens["what"] or ""), int(opens["count"])))
        else:
            found.append(": ".join([*(what for what, _ in inside if what), _in_words(item)]))
    return tuple(found)


def diagnostics(text: str, *, file: str) -> tuple[Diagnostic, ...]:
    """Take the parser's answer apart.

    Args:
        file: the name to put where Nomad names its own input.

    Returns:
        at least one, by place, because Nomad's own order is a map's; without those that only follow from another one.
    """
    text = text.removeprefix("Failed to parse job:").strip()
    marks = list(_PLACE.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    found = [
        Diagnostic(_sentence(text[mark.end() : end], file), *(int(part) if part else None for part in mark.groups()))
        for mark, end in zip(marks, ends, strict=False)  # without a mark there is an end all the same
    ] or [Diagnostic(_sentence(text, file))]
    found.sort(key=lambda one: (one.line or 0, one.column or 0, one.text))
    return tuple(one for one in found if not one.text.endswith(_CONSEQUENCE)) or tuple(found)


def _sentence(text: str, file: str) -> str:
    """`Summary; Detail.` -> `Summary: Detail`, or the detail alone where it says the same."""
    text = " ".join(text.split())
    more = _MORE.search(text)
    text = _SEE.sub("", _MORE.sub("", text)).rstrip(".")
    text = _MENTION.sub(lambda mention: f"{file}:{mention[1]}:{mention[2]}", text)
    summary, semicolon, detail = text.partition("; ")
    if semicolon:
        text = detail if detail.split(" ")[0] == summary.split(" ")[0] else f"{summary}: {detail}"
    return f"{text} (and {more[1]} more)" if more else text


def _in_words(text: str) -> str:
    """Say without Go's types what is wrong in a job that is JSON."""
    wrong = _GO_TYPE.search(text)
    if not wrong:
        return text
    got, key, wanted = wrong.groups()
    shape = "list" if wanted.startswith("[]") else "object" if "map[" in wanted or "." in wanted else wanted
    return f"{key} is of the wrong type: {got} where Nomad takes {shape}"

"""Text from outside made safe, measured and shortened."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, TextIO

_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: window title, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # the two-character ones
)
_BLANKS_AND_WORD: Final = re.compile(r" *[^ ]+")
_WIDEST: Final = 2
"""Columns of the widest character."""
_DIGEST: Final = re.compile(r"\b(?:sha256:)?([0-9a-f]{12})[0-9a-f]*\b")


def clean(text: str) -> str:
    """Make text from outside safe to print on one line.

    Escape sequences go, white space of any kind becomes a blank, and every other character that does not print (control characters,
    marks that change the direction of writing, half surrogate pairs) is shown as its code, so that nothing is hidden.
    """
    if text.isprintable():
        return text
    plain = _ESCAPES.sub("", text).rstrip().expandtabs(4)
    return "".join(map(_visible, plain))


def cells(text: str) -> int:
    """Count the columns that the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cell_count(char) for char in text)


def fit(text: str, width: int, *, ellipsis: str = "…") -> str:
    """Shorten the text to `width` columns, with an ellipsis where something was cut off."""
    if cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    return text[: _end_of(text, room)] + ellipsis if room > 0 else ellipsis[: max(width, 0)]


def wrap(text: str, width: int | None, *, indent: str = "", whole_words: bool = False) -> list[str]:
    """Break the text at blanks into lines of at most `width` columns.

    Args:
        text: one line.
        width: columns; None: no line is broken.
        indent: what the further lines begin with.
        whole_words: a word too long for a line overflows, so that a path can be copied; else it is broken too.
    """
    if width is None or cells(text) <= width:
        return [text]
    if width < len(indent) + _WIDEST:
        indent = ""
    lines, line = [], ""
    for word in _BLANKS_AND_WORD.findall(text):
        bare = word.lstrip(" ")
        if line.strip() and cells(line + word) > width >= cells(indent + bare):
            lines.append(line)
            line = indent + bare
        else:
            line += word  # one that is too long for any line begins where it stands
        while not whole_words and cells(line) > width:
            end = max(_end_of(line, width), 1)
            lines.append(line[:end])
            line = indent + line[end:]
    return [*lines, line]


def duration(span_s: float, *, whole: bool = False) -> str:
    """Say how long: `0.4 s`, `12.4 s`, `1 m 05 s`, `1 h 02 m`.

    Args:
        span_s: seconds; below 0 (two clocks that disagree) counts as 0.
        whole: no tenths, for a figure that is still counting.
    """
    tenths = round(max(span_s, 0.0), 1)
    if tenths < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{int(tenths)} s" if whole else f"{tenths:.1f} s"
    minutes, seconds = divmod(int(tenths), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {seconds:02} s"


def count(number: int, noun: str) -> str:
    """Say a number of things: `1 step`, `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def join_names(names: Sequence[str], *, most: int = 8) -> str:
    """Join names with commas; of more than `most`, the rest is only counted."""
    shown = [clean(name) for name in names[:most]]
    hidden = len(names) - len(shown)
    return ", ".join(shown) + (f" and {hidden} more" if hidden else "")


def short_revision(revision: str) -> str:
    """Shorten digests and commits to what people compare: twelve characters, a digest's without the name of its method.

    Of several stores each one's; whatever else a store calls its state stays as it is.
    """
    return _DIGEST.sub(r"\1", clean(revision))


def write(stream: TextIO, text: str) -> None:
    """Write the text, whatever the stream's encoding: what it has no code for is written as an escape.

    Effects: writes and flushes.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _end_of(text: str, width: int) -> int:
    """Return how many characters of the text fit `width` columns."""
    used = 0
    for position, char in enumerate(text):
        used += _cell_count(char)
        if used > width:
            return position
    return len(text)


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char.isspace():
        return " "
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - two hex digits


def _cell_count(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

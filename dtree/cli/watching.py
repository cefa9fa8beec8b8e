"""Showing something again whenever it changes, until Ctrl-C: in place on a terminal, one after another elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar

from dtree.cli.failure import hide_in_error, report
from dtree.cli.invocation import Invocation
from dtree.errors import DtreeError, Unavailable, Unreachable
from dtree.views.text import count, write

if TYPE_CHECKING:
    from dtree.views.style import Look

BETWEEN_LOOKS_S: Final = 2.0

_CLEAR: Final = "\x1b[H\x1b[2J"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Watched(Generic[Seen]):
    """Something that is looked at again and again.

    Attributes:
        look: looks at it.
        wait: waits the seconds that it is given at most, and not longer than nothing is new.
        text: writes it for people.
        json: writes it on one line.
        picture: (it, width, height, look, note) -> lines that fit a screen; the note, such as why it is not up to date, among them.
        shown_errors: what is shown in its place, and watched on; any other error ends the watch.
    """

    look: Callable[[], Seen]
    wait: Callable[[float], None]
    text: Callable[[Seen, Look], str]
    json: Callable[[Seen], str]
    picture: Callable[[Seen, int, int, Look, str], list[str]]
    shown_errors: tuple[type[DtreeError], ...] = ()


def watch(invocation: Invocation, first: Seen | DtreeError, watched: Watched[Seen], *, json: bool) -> NoReturn:
    """Show it, and again whenever it changes; while Nomad is away the last sight of it stays. Only Ctrl-C ends it.

    Args:
        first: what the first look gave.
        json: one document a line.

    Effects: writes to stdout, and what is wrong to stderr where stdout is no screen.
    """
    from dtree.views.style import is_terminal

    on_screen = is_terminal(sys.stdout, invocation.environ) and not json
    show = _Screen(invocation, watched) if on_screen else _Pages(invocation, watched, json=json)
    seen, trouble = first, ""
    while True:
        if isinstance(seen, DtreeError):
            seen.reword_hints(invocation.reworded)
        show(seen, trouble)
        watched.wait(BETWEEN_LOOKS_S)
        try:
            seen, trouble = watched.look(), ""
        except (Unreachable, Unavailable) as error:
            trouble = f"no contact with Nomad: {error.problem}; trying again"
        except watched.shown_errors as error:
            seen, trouble = error, ""


class _Screen(Generic[Seen]):
    """Writes over what the screen shows, line by line: clearing it first would push every picture into the scrollback."""

    def __init__(self, invocation: Invocation, watched: Watched[Seen]) -> None:
        self._invocation = invocation
        self._watched = watched
        self._shown: list[str] = []
        invocation.print(_CLEAR)

    def __call__(self, seen: Seen | DtreeError, trouble: str) -> None:
        size, look = shutil.get_terminal_size(), self._invocation.look()
        if isinstance(seen, DtreeError):
            hide_in_error(seen, self._invocation.surroundings.secrets)  # before it is laid out: a secret may go over two lines
            lines = _error_picture(seen, size.columns, size.lines, look)
        else:
            lines = self._watched.picture(seen, size.columns, size.lines, look, trouble)
        if lines != self._shown:
            self._invocation.print(_HOME + f"{_REST_OF_LINE}\n".join(lines) + _REST_OF_SCREEN)
            self._shown = lines


class _Pages(Generic[Seen]):
    """Writes one after another, each only where it differs from the one before."""

    def __init__(self, invocation: Invocation, watched: Watched[Seen], *, json: bool) -> None:
        self._invocation = invocation
        self._watched = watched
        self._json = json
        self._shown = self._told = ""

    def __call__(self, seen: Seen | DtreeError, trouble: str) -> None:
        if trouble not in ("", self._told):
            write(sys.stderr, trouble + "\n")
        text = self._text(seen)
        if text != self._shown and isinstance(seen, DtreeError):
            report(seen, self._invocation.environ, json=self._json, hidden=self._invocation.surroundings.secrets)
        elif text != self._shown:
            self._invocation.print(f"\n{text}" if self._shown and not self._json else text)
        self._shown, self._told = text, trouble

    def _text(self, seen: Seen | DtreeError) -> str:
        if isinstance(seen, DtreeError):
            return str(seen)
        return self._watched.json(seen) if self._json else self._watched.text(seen, self._invocation.look())


def _error_picture(error: DtreeError, width: int, height: int, look: Look) -> list[str]:
    from dtree.views.error_text import error_text

    lines = error_text(error, width=width - 1, whole_words=False).splitlines()
    hidden = len(lines) - height + 2 if len(lines) > height - 1 else 0
    more = [f"{look.mark('ellipsis')} and {count(hidden, 'line')} more"] if hidden else []
    return [*lines[: len(lines) - hidden], *more]

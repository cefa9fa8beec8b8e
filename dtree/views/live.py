"""The picture of a run on a terminal, redrawn while it changes. The only importer of rich."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self, TextIO

from rich.console import Console
from rich.live import Live as RichLive
from rich.text import Text

from dtree.events import Event, RunFinished, RunStarted
from dtree.record import Recorder
from dtree.views.frame import final_lines, frame, run_outline
from dtree.views.outline import OutlineRow
from dtree.views.style import Look
from dtree.views.summary import summary_text
from dtree.views.text import write

_REFRESH_HZ: Final = 8

Draw = Callable[[int, int], str]
"""(width, height) of the terminal -> what is to be seen."""


class Region:
    """Some lines at the bottom of the terminal that are replaced in place, and only when they differ.

    Args:
        stream: a terminal.
        look: colours and marks.
        environ: LINES and COLUMNS in it beat the terminal's own answer.
        draw: called from another thread, some times a second.

    Effects: writes to the stream from `start` to `stop`; a thread of rich's redraws.
    """

    def __init__(self, stream: TextIO, look: Look, environ: Mapping[str, str], draw: Draw) -> None:
        colours: Any = "standard" if look.colour else None  # rich types it as a literal of its own
        self._console = Console(
            file=stream,
            force_terminal=True,
            color_system=colours,
            no_color=not look.colour,
            markup=False,
            emoji=False,
            highlight=False,
            _environ=environ,
        )
        self._live: _Calm | None = None
        self._draw = draw

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the terminal."""
        return self._console.size.width, self._console.size.height

    def start(self) -> None:
        """Show it."""
        self._live = _Calm(self._console, self._draw)
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Take it away and give the cursor back; nothing of it stays on the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class Live:
    """Show a run as a tree that changes in place, then leave its last state and the summary behind.

    Args:
        stream: a terminal.
        now: Unix seconds, as in the events' `time_s`.
        look: colours and marks.
        environ: see `Region`.
    """

    def __init__(self, stream: TextIO, *, now: Callable[[], float], look: Look, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._now = now
        self._look = look
        self._region = Region(stream, look, environ, self._picture)
        self._lock = Lock()  # events come on one thread, pictures are drawn on another
        self._recorder: Recorder | None = None
        self._tree: tuple[OutlineRow, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def __call__(self, event: Event) -> None:
        """Take the event into account; the next picture shows it."""
        if isinstance(event, RunStarted):
            recorder = Recorder()
            recorder(event)
            self._recorder, self._tree = recorder, run_outline(event)
            self._region.start()
        elif self._recorder is not None:
            with self._lock:
                self._recorder(event)
        if isinstance(event, RunFinished):
            self._end()

    def _picture(self, width: int, height: int) -> str:
        if self._recorder is None:
            return ""
        with self._lock:
            record = self._recorder.record()
        return frame(record, self._tree, now_s=self._now(), width=width, height=height, look=self._look)

    def _end(self) -> None:
        """Replace the picture by the final text, once; also for a run that ended without its last event."""
        self._region.stop()
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        record = recorder.record()
        lines = final_lines(record, self._tree, now_s=self._now(), width=self._region.size[0] - 1, look=self._look)
        write(self._stream, "\n".join([*lines, "", summary_text(record, self._look), ""]))


class _Calm(RichLive):
    """rich's live display, but silent while there is nothing new to show."""

    def __init__(self, console: Console, draw: Draw) -> None:
        self._draw = draw
        self._shown: tuple[str, int, int] | None = None
        super().__init__(
            console=console,
            refresh_per_second=_REFRESH_HZ,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,  # a line that somebody logs goes above the picture instead of into it
            vertical_overflow="crop",
        )

    def refresh(self) -> None:
        size = self.console.size
        picture = (self._draw(size.width, size.height), size.width, size.height)
        if picture == self._shown:
            return
        self._shown = picture
        self.update(Text.from_ansi(picture[0], no_wrap=True, overflow="crop"))
        super().refresh()

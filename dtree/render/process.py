"""Renders templates in one child process, and answers what they ask for.

The child is limited in time, memory and output, and ended when it takes too long with one template; the others are rendered all the same.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from dtree.errors import DtreeError
from dtree.render import Unanswered
from dtree.render.messages import Rendered, Template, TemplateFault

_SECONDS_A_TEMPLATE: Final = 10.0
_MAX_DEATHS: Final = 3
"""Templates that may end the child in one call: each costs its time, and the fourth is told with the first three mended."""
_SECONDS_TO_START: Final = 60.0
_MAX_LINE: Final = 256 * 1024 * 1024
"""Bytes: MAX_OUTPUT characters in JSON's longest form are less."""
_KEPT: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME")
"""Environment variables without which some installations of Python do not start."""

Answer = Callable[..., Any]
"""`answer(kind, *arguments)`: what a template asked for; raises Unanswered."""


def render(
    templates: Sequence[Template],
    shared: Mapping[str, Any],
    answer: Answer,
    *,
    foreseen: Iterable[tuple[str, ...]] = (),
    seconds: float = _SECONDS_A_TEMPLATE,
) -> tuple[dict[str, Rendered], dict[str, TemplateFault]]:
    """Render all templates.

    Args:
        shared: values of variables that all of them have; a template's own go first.
        answer: answers what templates ask for: ("file", path) with (its name for people, its text), ("version", job), ("versions",) with
            the names of all jobs, ("built-in", name), ("env", name), ("consul", path), ("nomad", path, key). Each is asked once in a call.
        foreseen: what is known to be asked, so that the answers go along: each that does not saves the child a wait.
        seconds: longest time that one template may take.

    Returns:
        (what came of them, what is wrong with the others), both by job.

    Effects: starts a process, and ends it.
    """
    rendered: dict[str, Rendered] = {}
    faults: dict[str, TemplateFault] = {}
    todo = list(templates)
    answers: dict[tuple[str, ...], dict[str, Any]] = {}
    tell = _remembering(answer, answers)
    for question in foreseen:
        tell(question)
    deaths = 0
    while todo:
        with _child() as child:
            _render_some(child, todo, shared, answers, tell, seconds, rendered, faults)
        todo = [one for one in todo if one.job not in rendered and one.job not in faults]
        deaths += bool(todo)
        if deaths >= _MAX_DEATHS:
            faults |= {one.job: _not_begun(one) for one in todo}
            break
    return rendered, faults


def _render_some(
    child: subprocess.Popen[bytes],
    templates: Sequence[Template],
    shared: Mapping[str, Any],
    known: Mapping[tuple[str, ...], Any],
    answer: Callable[[tuple[str, ...]], dict[str, Any]],
    seconds: float,
    rendered: dict[str, Rendered],
    faults: dict[str, TemplateFault],
) -> None:
    """Have one child render until all is done, or until one template is the end of it, which is then a fault of that one."""
    lines = _Lines(child)
    jobs = [{"name": one.job, "file": one.file, "source": one.source, "values": dict(one.values)} for one in templates]
    seconds_in_all = int(seconds * (len(jobs) + 1))
    lines.write({"seconds": seconds_in_all, "values": dict(shared), "answers": list(known.items()), "jobs": jobs})
    _await_start(lines, child)
    for one in templates:
        left_s = seconds
        while True:
            asked_s = time.monotonic()
            try:
                message = lines.read(left_s)
                left_s = max(left_s - (time.monotonic() - asked_s), 0.0)
            except (TimeoutError, EOFError) as error:
                faults[one.job] = _end_of(error, one, seconds)
                return
            if "ask" in message:
                lines.write(answer(tuple(message["ask"])))
            elif "fault" in message:
                faults[one.job] = TemplateFault(**message["fault"], known=_rendered("", message))
                break
            else:
                rendered[one.job] = _rendered(message["text"], message)
                break


def _rendered(text: str, message: Mapping[str, Any]) -> Rendered:
    return Rendered(text, frozenset(message["used"]), tuple(map(tuple, message["asked"])), frozenset(message["own"]))


def _await_start(lines: _Lines, child: subprocess.Popen[bytes]) -> None:
    """Wait until the child has loaded all that it needs: what goes wrong before that is no template's fault."""
    try:
        lines.read(_SECONDS_TO_START)
    except (TimeoutError, EOFError) as error:
        child.kill()
        assert child.stderr is not None  # noqa: S101 - it was opened with a pipe
        words = child.stderr.read().decode(errors="replace").strip().splitlines()
        raise DtreeError(
            f"the process that renders templates does not start: {words[-1] if words else 'it ended without a word'}",
            notes=[f"it is {sys.executable}"],
            hint="is this Python as it was installed?",
            code="template-process",
        ) from error


def _end_of(error: Exception, template: Template, seconds: float) -> TemplateFault:
    if isinstance(error, TimeoutError):
        problem = f"it is not rendered within {seconds:g} s"
    else:
        problem = "it takes more memory or time than a template may"
    return TemplateFault("template-too-large", problem, template.file, 1, 0, "is there a loop without an end?")


def _not_begun(template: Template) -> TemplateFault:
    hint = "mend the others first"
    return TemplateFault("template-too-large", f"it was not begun, after {_MAX_DEATHS} others took too much", template.file, 1, 0, hint)


def _remembering(answer: Answer, known: dict[tuple[str, ...], dict[str, Any]]) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    def tell(question: tuple[str, ...]) -> dict[str, Any]:
        if question not in known:
            try:
                known[question] = {"value": answer(*question)}
            except Unanswered as error:
                known[question] = {"code": error.code, "problem": error.problem, "hint": error.hint}
        return known[question]

    return tell


class _Lines:
    """Lines of JSON to and from the child."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._rest = b""

    def write(self, message: Mapping[str, Any]) -> None:
        """Send a message; a child that has ended shows when it is read from."""
        assert self._child.stdin is not None  # noqa: S101 - it was opened with a pipe
        try:
            self._child.stdin.write(json.dumps(message).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            return

    def read(self, timeout_s: float) -> dict[str, Any]:
        """Return the next message.

        Raises:
            TimeoutError: nothing comes in that time.
            EOFError: the child has ended.
        """
        assert self._child.stdout is not None  # noqa: S101 - as above
        parts = [self._rest]
        size = len(self._rest)
        while b"\n" not in parts[-1]:
            if not select.select([self._child.stdout], [], [], timeout_s)[0]:
                raise TimeoutError
            part = os.read(self._child.stdout.fileno(), 1 << 20)
            size += len(part)
            if not part or size > _MAX_LINE:
                raise EOFError
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """Start the child with nothing of our surroundings, and end it in any case."""
    if not sys.executable:
        raise DtreeError("templates cannot be rendered: Python does not know its own program", hint="run nomad-dtree by its own path")
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    around = {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8"}
    child = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "dtree.render.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=around,
        close_fds=True,
        cwd="/",
    )
    try:
        yield child
    finally:
        child.kill()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        child.wait()

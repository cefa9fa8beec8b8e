"""The process that templates are rendered in: it reads what to do, asks its parent for what it lacks, and opens nothing.

Lines of JSON each way, so that nothing that comes out of here can be anything but text. In: one request, then an answer to each question.
Out: `{"ready": true}`, `{"ask": [kind, …]}`, and for each job in turn `{"text": …}` or `{"fault": {…}}`, either
with `"used": […], "own": […], "asked": […]`.
"""

from __future__ import annotations

import gc
import json
import resource
import signal
import sys
from dataclasses import asdict
from typing import Any, Final

from dtree.render import Unanswered
from dtree.render.engine import Engine, TemplateError

_MAX_MEMORY: Final = 1024**3
_MAX_QUESTIONS: Final = 2000
_LONGEST_WORD: Final = 1000
_LONGEST_TOLD: Final = 400


def main() -> None:
    """Render what standard input asks for. Effects: limits this process for good; ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C, and ends this process
    request = json.loads(sys.stdin.readline())
    parent = _Parent({tuple(question): answer for question, answer in request["answers"]})
    engine = Engine(parent.ask)
    engine.warm_up()
    _limit(request["seconds"])
    _say({"ready": True})
    gc.set_threshold(100_000, 10, 10)  # a template is some thousand small objects, most of them gone at once
    shared = request["values"]
    for job in request["jobs"]:
        parent.begin()
        try:
            text = engine.render(job["name"], job["file"], job["source"], {**shared, **job["values"]})
            _say({"text": text, **_known(engine, parent)})
        except TemplateError as error:
            fault = {key: value for key, value in asdict(error.fault).items() if key != "known"}
            told = {key: value[:_LONGEST_TOLD] if isinstance(value, str) else value for key, value in fault.items()}
            _say({"fault": told, **_known(engine, parent)})


def _known(engine: Engine, parent: _Parent) -> dict[str, Any]:
    """Return what else is told of the template at hand."""
    asked = dict.fromkeys([*parent.asked, *(("file", path) for path in engine.files())])
    return {"used": sorted(engine.used()), "own": sorted(engine.own()), "asked": list(asked)}


class _Parent:
    """Asks the parent process; each thing once, and nothing that came with the request.

    Attributes:
        asked: what the job at hand asked for, in order, each once.
    """

    def __init__(self, answers: dict[tuple[str, ...], dict[str, Any]]) -> None:
        self._answers = answers
        self.asked: dict[tuple[str, ...], None] = {}

    def begin(self) -> None:
        """Begin anew: the next job is rendered."""
        self.asked.clear()

    def ask(self, *question: str) -> Any:  # noqa: ANN401 - as answered
        """Ask for something.

        Raises:
            Unanswered: it cannot be had.
        """
        if any(len(word) > _LONGEST_WORD for word in question):
            raise Unanswered("bad-template", f"it asks for something whose name has more than {_LONGEST_WORD} characters")
        self.asked[question] = None
        if len(self.asked) > _MAX_QUESTIONS:
            raise Unanswered("template-too-large", f"it asks for more than {_MAX_QUESTIONS} things", "is there a loop without an end?")
        if question not in self._answers:
            _say({"ask": question})
            self._answers[question] = json.loads(sys.stdin.readline())
        answer = self._answers[question]
        if "problem" in answer:
            raise Unanswered(answer["code"], answer["problem"], answer["hint"])
        return answer["value"]


def _limit(seconds: int) -> None:
    """Take from this process what no template needs: files, processes, time and memory without an end."""
    for what, most in (
        (resource.RLIMIT_AS, _MAX_MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
    ):
        _, hard = resource.getrlimit(what)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (wanted, wanted))


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

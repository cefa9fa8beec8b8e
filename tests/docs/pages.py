"""The pages of the documentation as programs: their files are written, their commands run, their output compared.

A fence's first word is its language; what follows tells the tests what to do with it:

    ```json file=dependency.json     the file is written, in a folder of the page's own
    ```console                       each line with `$ ` is a command; what it prints must be what follows it
    ```console nomad                 the same, but it needs a Nomad, so only tests/servers/test_docs.py runs it
    ```console consul                as `nomad`, for one that needs a Consul too
    ```console install               `pip install FOLDER`, for which tests/docs/install.py stands in
    ```console not-run: REASON       is not run

All commands of a page run one after another in one shell. A command must succeed unless `$ echo $?` follows. In what it prints, times,
ports, IDs and revisions may differ, and a line `...` stands for any lines.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FENCE: Final = re.compile(r"^```(?P<language>\w+)?(?:[ ]+(?P<what>[^\n]+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = "=-=-= end of command "
_SHELL_TIMEOUT_S: Final = 180.0
_INSTALL: Final = Path(__file__).parent / "install.py"


@dataclass(frozen=True)
class Fence:
    """A block of a page.

    Attributes:
        line: of the page, from 1.
        what: what stands after the language.
    """

    page: Path
    line: int
    language: str
    what: str
    body: str

    @property
    def file(self) -> str:
        """Path of the file that the block is, "" for none."""
        return self.what.removeprefix("file=") if self.what.startswith("file=") else ""

    @property
    def runs(self) -> bool:
        """Whether it is a block of commands that is run, here or on a Nomad."""
        return self.language == "console" and not self.what.startswith("not-run:")

    @property
    def needs_nomad(self) -> bool:
        """Whether its commands talk to a Nomad."""
        return self.what in ("nomad", "consul")

    @property
    def needs_consul(self) -> bool:
        """Whether its commands talk to a Consul."""
        return self.what == "consul"


@dataclass(frozen=True)
class Command:
    """A command of a page and what the page says it prints."""

    line: int
    text: str
    expected: tuple[str, ...]


def all_pages() -> list[Path]:
    """Return every page of the project, sorted."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def name_of(page: Path) -> str:
    """Return a page's path within the project."""
    return str(page.relative_to(ROOT))


def fences(page: Path) -> list[Fence]:
    """Return the blocks of a page in their order."""
    text = page.read_text()
    return [
        Fence(page, text.count("\n", 0, found.start()) + 1, found["language"] or "", found["what"] or "", found["body"])
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return _FENCE.sub("", page.read_text())


def commands(fence: Fence) -> Iterator[Command]:
    """Take a block of commands apart; a line that ends in a backslash goes on with the next."""
    body = re.sub(r"\\\n[ ]*", "", fence.body)
    lines = body.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield Command(fence.line + 1 + start, lines[start].removeprefix("$ "), tuple(lines[start + 1 : end]))


def run_page(page: Path, folder: Path, *, nomad: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Write a page's files and run its commands.

    Args:
        folder: where; empty.
        nomad: its program, to run also the blocks that need a Nomad, whose address `environ` has.

    Returns:
        What differs from what the page says, one text for each; [] where all is as it says.

    Effects: starts a shell.
    """
    chosen = [fence for fence in fences(page) if fence.file or (fence.runs and (nomad is not None or not fence.needs_nomad))]
    asked: list[Command] = []
    script: list[str] = []
    for fence in chosen:
        if fence.file:
            script.append(_writing(fence))
            continue
        for command in commands(fence):
            asked.append(command)
            text = command.text.replace("pip install", "install-package") if fence.what == "install" else command.text
            # The next command sees the exit code in `$?`, as it would at a prompt.
            script.append(f"(exit ${{code:-0}})\n{text}\ncode=$?; echo; echo '{_MARK}'$code")
    answers = _shell("\n".join(script), folder, nomad, environ)
    return [*_differences(page, asked, answers)]


def _writing(fence: Fence) -> str:
    return f"mkdir -p \"$(dirname '{fence.file}')\"; cat >'{fence.file}' <<'END-OF-THE-FILE'\n{fence.body}END-OF-THE-FILE"


def _shell(script: str, folder: Path, nomad: Path | None, environ: Mapping[str, str]) -> list[tuple[int, list[str]]]:
    """Run a script; return the exit code and the lines of each of its commands."""
    programs = folder.parent / f"{folder.name}-bin"
    programs.mkdir()
    # The page's `python` is the one with nomad-dtree, wherever it is installed.
    words = {"nomad-dtree": '-m dtree "$@"', "python": '"$@"', "install-package": f'"{_INSTALL}" "$@" "{programs}"'}
    for name, rest in words.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}\n')
        (programs / name).chmod(0o755)
    if nomad is not None:
        (programs / "nomad").symlink_to(nomad)
    own = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    done = subprocess.run(
        ["bash"],
        input=script,
        cwd=folder,
        env={
            **own,
            "PATH": f"{programs}:{own['PATH']}",
            "PYTHONPATH": str(programs),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(programs),
            "TERM": "dumb",
            "NOMAD_CLI_SHOW_HINTS": "0",
            **environ,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SHELL_TIMEOUT_S,
        check=False,
    )
    *parts, rest = re.split(rf"\n{_MARK}(\d+)\n", done.stdout)
    assert not rest, f"the script did not end well:\n{done.stdout}"
    return [(int(code), text.splitlines()) for text, code in zip(parts[::2], parts[1::2], strict=True)]


def _differences(page: Path, asked: Sequence[Command], answers: Sequence[tuple[int, list[str]]]) -> Iterator[str]:
    assert len(asked) == len(answers)
    following = [*(command.text for command in asked[1:]), ""]
    for command, (code, lines), then in zip(asked, answers, following, strict=True):
        where = f"{name_of(page)}:{command.line}: {command.text}"
        printed = "\n".join(lines)
        if code and then != "echo $?":
            yield f"{where}\nends with {code}:\n{printed}"
        elif not _fits(command.expected, lines):
            yield f"{where}\nprints:\n{printed}"


def _fits(expected: Sequence[str], lines: Sequence[str]) -> bool:
    wanted = "".join(r"(?:.*\n)*" if line == "..." else re.escape(f"{_plain(line)}\n") for line in _trimmed(expected))
    return re.fullmatch(wanted, "".join(f"{_plain(line)}\n" for line in _trimmed(lines))) is not None


def _trimmed(lines: Sequence[str]) -> list[str]:
    found = [line.rstrip() for line in lines]
    while found and not found[-1]:
        found.pop()
    return found


_VARYING: Final = (
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:T[\d:.]+Z| \+0000)?"), "DATE"),
    (re.compile(r"\b(?:127\.0\.0\.1|localhost):\d+\b"), "ADDRESS"),
    (re.compile(r"\b(?:\d+ m )?\d+(?:\.\d+)? (?:s|ms)\b"), "DURATION"),
    (re.compile(r"(?<=\"elapsed_s\": )[\d.]+"), "DURATION"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?:filesystem |sha256:)[0-9a-f]{12}\b"), "REVISION"),
    (re.compile(r"\bcommit [0-9a-f]{7}\b"), "COMMIT"),
    (re.compile(r"\bindex \d+, sha256:[0-9a-f]{12}\b"), "REVISION"),
    (re.compile(r"\ballocation [0-9a-f]{8} on \S+"), "ALLOCATION"),
    (re.compile(r"\b[0-9a-f]{8}(?=/\w+ std(?:out|err) )"), "ID"),
    (re.compile(r"\b\d+ passed in [\d.]+s"), "PASSED"),
    (re.compile(r"\bPython \d+\.\d+\.\d+"), "PYTHON"),
    (re.compile(r"\bLinux \w+"), "SYSTEM"),
    (re.compile(r" {2,}"), "  "),
)


def _plain(line: str) -> str:
    """Put a word for all that differs from one machine, or one moment, to the next."""
    for pattern, word in _VARYING:
        line = pattern.sub(word, line)
    return line

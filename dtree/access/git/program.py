"""The git program, hardened: the only importer of GitPython.

Of GitPython this uses the command runner. Its objects are not used: they read one file at a time, nine times slower than
`git cat-file --batch`, and its methods for remotes accept options where a name is meant.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dtree.access.addresses import masked
from dtree.access.git.environment import SETTINGS, environment, local_variables
from dtree.errors import StoreError, StoreUnreachable

if TYPE_CHECKING:
    from git import Git

__all__ = ["Answer", "GitFailed", "Program", "version"]

_TIMEOUT_S: Final = 60.0
_PATIENCE_S: Final = 5.0
_LONGEST_LINE: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """How a git command ended.

    Attributes:
        code: its exit code.
        out: its output.
        complaint: what it said beside that, without secrets.
    """

    code: int
    out: bytes
    complaint: str

    @property
    def reason(self) -> str:
        """The line of the complaint that tells most."""
        lines = [line.strip() for line in self.complaint.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("fatal: ", "error: ", "ERROR: "))]
        chosen = (telling or lines or [f"exit code {self.code}"])[0]
        return re.sub(r"^(?:fatal|error|ERROR): ", "", chosen)[:_LONGEST_LINE]


class GitFailed(StoreError):
    """Git could not do what it was asked, for a reason that nobody has put into better words yet."""

    code = "store-unreadable"

    def __init__(self, doing: str, answer: Answer) -> None:
        super().__init__(
            f"git cannot {doing}: {answer.reason}", hint="`git fsck` in the repository says whether it is in order", code=self.code
        )
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Program:
    """Git, set up for one repository.

    Attributes:
        git_dir: the repository; None for the one that `folder` stands in.
        folder: where git starts.
        objects: an object database to read in place of the repository's own.
        protocols: over which it may fetch; none, and it fetches nothing.
        settings: settings that no list of processes shows, for they may hold a password.
        variables: further environment variables.
    """

    git_dir: Path | None = None
    folder: Path | None = None
    objects: Path | None = None
    protocols: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(
        self, *arguments: str, doing: str, stdin: bytes = b"", timeout_s: float = _TIMEOUT_S, file_limit_bytes: int | None = None
    ) -> bytes:
        """Run a command that is to succeed, as `run`, and return its output.

        Args:
            doing: what it is for, to stand after "git cannot".

        Raises:
            GitFailed: it does not.
        """
        answer = self.run(*arguments, stdin=stdin, timeout_s=timeout_s, file_limit_bytes=file_limit_bytes)
        if answer.code != 0:
            raise GitFailed(doing, answer)
        return answer.out

    def run(self, *arguments: str, stdin: bytes = b"", timeout_s: float = _TIMEOUT_S, file_limit_bytes: int | None = None) -> Answer:
        """Run `git ARGUMENTS`.

        Args:
            arguments: the caller puts `--` before what comes from outside.
            timeout_s: after which it is ended.
            file_limit_bytes: size above which it can write no file; None for any (and on systems other than Linux).

        Raises:
            StoreUnreachable: it took too long.
            StoreError: there is no git.

        Effects: runs git.
        """
        process = self._start(arguments)
        if file_limit_bytes is not None:
            _limit_files(process.pid, file_limit_bytes)
        try:
            out, complaint = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise StoreUnreachable(
                f"`git {arguments[0]}` did not end within {timeout_s:g} s",
                hint="check the connection to the Git server, and that the disk answers",
                code="git-timeout",
            ) from error
        finally:
            _end(process)
        return Answer(process.returncode, out, masked(_printable(complaint)))

    def _start(self, arguments: tuple[str, ...]) -> Any:  # noqa: ANN401 - GitPython's wrapper of a process, which passes all attributes on
        runner = _git_class()
        from git.exc import GitCommandNotFound

        where = [*(["-C", str(self.folder)] if self.folder else []), *([f"--git-dir={self.git_dir}"] if self.git_dir else [])]
        command = [str(runner.GIT_PYTHON_GIT_EXECUTABLE or "git"), "--no-pager", "--literal-pathspecs", *SETTINGS, *where, *arguments]
        environ = self._environment()
        # The runner adds variables, it takes none away.
        unset = [word for name in local_variables(os.environ) if name not in environ for word in ("-u", name)]
        try:
            return runner().execute(
                ["env", *unset, *command] if unset else command,
                istream=subprocess.PIPE,
                as_process=True,
                shell=False,
                # A group of its own, so that what git starts can be ended with it; without a terminal, so that nothing of it asks.
                start_new_session=True,
                env=environ,
            )
        except (GitCommandNotFound, OSError) as error:
            raise _no_git() from error

    def _environment(self) -> dict[str, str]:
        given = environment(self.protocols)
        if self.objects is not None:
            given["GIT_OBJECT_DIRECTORY"] = str(self.objects)
        given.update(self.variables)
        # The user may have some as well: ours are counted on from theirs.
        count = os.environ.get("GIT_CONFIG_COUNT", "")
        first = int(count) if count.isdecimal() else 0
        for number, (key, value) in enumerate(self.settings.items(), start=first):
            given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if self.settings:
            given["GIT_CONFIG_COUNT"] = str(first + len(self.settings))
        return given


def version() -> tuple[int, ...]:
    """Return the version of the git program. Effects: runs git."""
    return tuple(_git_class()().version_info)


def _git_class() -> type[Git]:
    try:
        from git import Git
    except ImportError as error:  # GitPython looks for the program when it is imported
        raise _no_git() from error
    return Git


def _no_git() -> StoreError:
    return StoreError("there is no git program on the PATH", hint="install git", code="git-missing")


def _limit_files(process_id: int, limit_bytes: int) -> None:
    """Limit the files that the process and its children write. They start children long after this."""
    if sys.platform == "linux":
        import resource

        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def _end(process: Any) -> None:  # noqa: ANN401 - as `_start`
    """End it, with all that it has started, where it has not ended by itself."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_PATIENCE_S)
            return


def _printable(text: bytes) -> str:
    """Decode what git or a server said; what could steer a terminal goes."""
    return "".join(char for char in text.decode(errors="replace") if char.isprintable() or char == "\n")

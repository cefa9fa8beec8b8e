"""Every error of nomad-dtree, and how it reads.

    DtreeError                     what a user can cause or meet; never a traceback
    ├── UsageError                 the command line asks for something that cannot be
    ├── ConfigError                nomad-dtree.toml or an environment variable is wrong
    ├── DeclarationError           faults in the dependency file, all of them at once
    ├── GoalError                  a goal that names no job
    ├── TagError                   a tag that no job has
    ├── StoreError                 a store is unknown, broken, duplicate or cannot be read
    │   ├── StoreUnreachable       it cannot be asked at all
    │   ├── StoreFileMissing       it has no such file
    │   └── StoreChanged           it was changed since it was read, so nothing was written
    ├── NotAnswered                a server of artifacts does not say whether it has one
    ├── DemoError                  a throw-away Nomad cannot be found, built or started
    └── ClusterError               Nomad cannot be reached or will not do it
        ├── Unreachable            no answer (refused, timed out, name unknown, TLS)
        ├── Denied                 403: the token may not
        ├── NotFound               404
        ├── Conflict               somebody else changed the job in between
        ├── Invalid                Nomad refuses the job as it is
        └── Unavailable            429, 5xx or no leader, after all retries

An error is built from values and writes its own text: a kebab-case code, what is wrong, where, and one `hint:`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import ClassVar, Final

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_CHANGES_PENDING = 2
EXIT_JOB_FAILED = 3
EXIT_ROLLED_BACK = 4
EXIT_ROLLBACK_INCOMPLETE = 5
EXIT_TIMED_OUT = 6
EXIT_AWAITING_PROMOTION = 7
EXIT_USAGE = 64
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file that a user can open.

    Attributes:
        file: path or store key, as the user would name it.
        line: from 1; None where only the file is known.
        column: from 1, in characters.
        key: dotted path of keys, as `dependencies.api.wait_cond`.
    """

    file: str
    line: int | None = None
    column: int | None = None
    key: str = ""

    def __str__(self) -> str:
        position = f":{self.line}:{self.column}" if self.line is not None else ""
        return f"{self.file}{position}" + (f", {self.key}" if self.key else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file: code, sentence, place and one action that mends it."""

    code: str
    problem: str
    place: Place | None = None
    hint: str = ""

    @property
    def sentence(self) -> str:
        """The problem and its place on one line, to stand within another message."""
        return f"{self.problem} ({self.place})" if self.place is not None else self.problem

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.problem}"]
        if self.place is not None:
            lines.append(f"  --> {self.place}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class DtreeError(Exception):
    """What a user can cause or meet.

    Attributes:
        code: kebab-case name, stable, documented in docs/reference/errors.md.
        problem: one sentence that names the thing.
        place: where, when it is in a file.
        notes: further lines of context, outermost first.
        hint: one action.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = EXIT_ERROR

    def __init__(
        self,
        problem: str,
        *,
        place: Place | None = None,
        notes: Sequence[str] = (),
        hint: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place
        self.notes = tuple(notes)
        self.hint = hint
        self.error_code = code or self.code

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The same error as faults: one, or as many as a file has."""
        return (Fault(self.error_code, self.problem, self.place, self.hint),)

    def reword_hints(self, reword: Callable[[str], str]) -> None:
        """Put its hint, or those of its faults, into other words."""
        self.hint = reword(self.hint)

    def __str__(self) -> str:
        lines = [f"error[{self.error_code}]: {self.problem}"]
        if self.place is not None:
            lines.append(f"  --> {self.place}")
        lines.extend(f"  {note}" for note in self.notes)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class UsageError(DtreeError):
    """The command line asks for something that cannot be."""

    code = "usage"
    exit_code = EXIT_USAGE


class ConfigError(DtreeError):
    """nomad-dtree.toml or an environment variable is wrong."""

    code = "bad-config"

    @classmethod
    def joined(cls, errors: Sequence[ConfigError]) -> ConfigError:
        """Return one error that has the faults of all."""
        if len(errors) == 1:
            return errors[0]
        whole = cls(f"{len(errors)} faults")
        whole._joined = tuple(fault for error in errors for fault in error.faults)
        return whole

    _joined: tuple[Fault, ...] = ()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Its own, or those of all it was joined from, in the order of the file."""
        return self._joined or super().faults

    def __str__(self) -> str:
        return "\n".join(map(str, self._joined)) if self._joined else super().__str__()


class DeclarationError(DtreeError):
    """Faults in the dependency file (or in job files), all of them at once.

    Attributes:
        partial: the `Declaration` without what was wrong, for whoever looks for further faults in it; None where too little could be read.
    """

    code = "bad-dependency-file"

    def __init__(self, faults: Sequence[Fault], *, partial: object = None) -> None:
        self._faults = tuple(faults)
        self.partial = partial
        count = len(self._faults)
        super().__init__(f"{count} fault{'s' if count != 1 else ''}" if count else "something is wrong, and nothing says what")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All of them, in the order of the file; never none."""
        return self._faults or super().faults

    def reword_hints(self, reword: Callable[[str], str]) -> None:
        """Put the hints of its faults into other words."""
        self._faults = tuple(replace(fault, hint=reword(fault.hint)) for fault in self._faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def refuse(faults: Mapping[str, Sequence[Fault]]) -> None:
    """Raise DeclarationError where jobs have faults: those of all, by the names of the jobs, each once."""
    if faults:
        raise DeclarationError(list(dict.fromkeys(fault for name in sorted(faults) for fault in faults[name])))


class GoalError(DtreeError):
    """A goal that names no job."""

    code = "unknown-job"

    def __init__(self, goal: str, known: Sequence[str], *, depfile: str, is_absent: bool = False) -> None:
        """Take the name and the jobs there are; with `is_absent` it is one that `depfile` names and can do without."""
        if is_absent:
            problem = f"'{goal}' has no job file, and whoever names it in {depfile} can do without it"
            super().__init__(problem, hint=f"write a job file for '{goal}', or name another job")
            return
        super().__init__(
            f"there is no job '{goal}' in {depfile}, and the store has no job file of that name",
            hint=did_you_mean(goal, known) or "`nomad-dtree graph --all` lists the jobs there are",
        )


class TagError(DtreeError):
    """A tag that no job has."""

    code = "unknown-tag"

    def __init__(self, tag: str, known: Sequence[str], *, depfile: str) -> None:
        listed = f"the tags there are: {', '.join(known)}" if known else "give jobs `tags: [NAME]` in their entries"
        super().__init__(f"no job of {depfile} has the tag '{tag}'", hint=did_you_mean(tag, known) or listed)


class StoreError(DtreeError):
    """A store is unknown, broken, duplicate or cannot be read."""

    code = "store-error"


class StoreUnreachable(StoreError):
    """A store cannot be asked at all: no contact, or contact was lost. Anything else a StoreError says of one file of it."""

    code = "store-unreachable"


class StoreFileMissing(StoreError):
    """A store has no such file, which another one that lies below it may have."""

    code = "store-file-missing"


class StoreChanged(StoreError):
    """What was to be written to a store was made from a state that it is not in any more."""

    code = "store-changed"


class NotAnswered(DtreeError):
    """A server of artifacts, or a registry of images, does not say whether it has one: it cannot be reached, or wants a login."""

    code = "artifact-not-answered"


class DemoError(DtreeError):
    """A throw-away Nomad cannot be found, built or started."""

    code = "demo-failed"


class ClusterError(DtreeError):
    """Nomad cannot be reached or will not do it."""

    code = "nomad-error"


class Unreachable(ClusterError):
    """No answer: refused, timed out, name unknown or TLS not agreed."""

    code = "nomad-unreachable"


class Denied(ClusterError):
    """The token may not do it."""

    code = "nomad-denied"


class NotFound(ClusterError):
    """Nomad does not know the thing."""

    code = "nomad-not-found"


LOOK_FIRST: Final = "look at what it would undo with `nomad-dtree plan`, then run again"
"""The hint where somebody else changed a job that is to be run."""


class Conflict(ClusterError):
    """Somebody else changed the job between our look and our write."""

    code = "job-changed-meanwhile"


class Invalid(ClusterError):
    """Nomad refuses the job as it is: one reason in a line of `problem`, a `;` between them."""

    code = "job-invalid"


class Unavailable(ClusterError):
    """Nomad answers, but with 429, 5xx or without a leader, and went on doing so through all retries."""

    code = "nomad-unavailable"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Suggest the nearest of `known`.

    Returns:
        "did you mean 'x'?" or "" where nothing is near.
    """
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""

"""Bare copies of remote repositories under the user's cache: no more of each than was asked for.

One folder for each address, and a lock beside it, which a run holds while it fetches or reads. A cache that git cannot work with is put
aside and made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from dtree.access.git.addresses import RemoteAddress
from dtree.access.git.objects import FILE_LIMIT_BYTES, TOTAL_LIMIT_BYTES
from dtree.access.git.program import Answer, GitFailed, Program, version
from dtree.access.git.refusals import contact_trouble, is_unable
from dtree.access.git.ssh import ssh_variables
from dtree.errors import StoreError, StoreUnreachable

__all__ = ["Cache"]

T = TypeVar("T")

LIST_TIMEOUT_S: Final = 60.0
FETCH_TIMEOUT_S: Final = 600.0

_OLDEST: Final = (2, 31)
_LOCK_WAIT_S: Final = 120.0
_LOCK_PAUSE_S: Final = 0.1
_TELL_AFTER_S: Final = 1.0
_WHOLE: Final = f"--depth={0x7FFFFFFF}"
_FETCH: Final = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
_SHA1_DIGITS: Final = 40
_NOTHING_LEFT_OUT: Final = "nothing-left-out"
FETCH_LIMIT_BYTES: Final = 1 << 30
"""Of one state of a repository, where its server leaves no files out."""

_TOO_LARGE: Final = ("signal 25", "File too large", "file too large")


class Cache:
    """The copy of one remote repository. All but `list_refs` and `locked` want the lock held."""

    def __init__(self, address: RemoteAddress, folder: Path) -> None:
        """Look at the address.

        Args:
            folder: of all caches; may not exist yet.

        Raises:
            StoreError: git is too old to be told of the address out of sight.
        """
        if version() < _OLDEST:
            raise StoreError(
                f"git {'.'.join(map(str, version()))} is too old to read a remote repository",
                hint=f"install git {'.'.join(map(str, _OLDEST))} or newer",
                code="git-too-old",
            )
        self.address = address
        self.folder = folder / hashlib.sha256(address.url.encode()).hexdigest()[:32]

    @property
    def offline(self) -> Program:
        """Git in the cache, fetching nothing."""
        return Program(git_dir=self.folder)

    @property
    def online(self) -> Program:
        """Git in the cache; what it lacks it fetches."""
        return self._networked(self.folder)

    def digits(self) -> int | None:
        """Return how long its object ids are; None where there is no cache yet, or half of one. Effects: reads a file."""
        try:
            text = (self.folder / "config").read_text()
        except (OSError, ValueError):
            return None
        return 64 if "objectformat = sha256" in text.lower() else 40

    def prepare(self, digits: int) -> None:
        """Make the cache where there is none for object ids of that length. Effects: makes the folder."""
        if self.digits() == digits:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        form = "sha256" if digits == 64 else "sha1"  # noqa: PLR2004 - what 64 digits are
        self._make_parent()
        made = Program().ask(
            "init", "--quiet", "--bare", "--template=", f"--object-format={form}", "--", str(self.folder), doing="make a cache"
        )
        (self.folder / "description").write_bytes(made or f"nomad-dtree's copy of a part of {self.address.shown}\n".encode())

    def begin_whole(self, digits: int) -> None:
        """Begin the cache anew, and leave no files out from now on. Effects: removes and makes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.prepare(digits)
        (self.folder / _NOTHING_LEFT_OUT).touch()

    def list_refs(self, clean: Path, *arguments: str) -> dict[str, str]:
        """Ask the server for its refs, by full name; `^{}` behind a name is the commit of an annotated tag.

        Args:
            clean: an empty repository to ask from.

        Raises:
            StoreUnreachable: no answer.

        Effects: asks the server.
        """
        options, patterns = [word for word in arguments if word.startswith("--")], [word for word in arguments if not word.startswith("--")]
        answer = self._networked(clean).run("ls-remote", *options, "--", "origin", *patterns, timeout_s=LIST_TIMEOUT_S)
        if answer.code != 0:
            raise contact_trouble(answer, self.address.shown) or GitFailed(f"list the refs of {self.address.shown}", answer)
        lines = [line.split("\t") for line in os.fsdecode(answer.out).splitlines()]
        return {name: oid for oid, name in lines}

    def fetch(self, *specs: str, whole: bool = False) -> Answer:
        """Fetch commits with their folders, without files where the server can leave them out.

        Args:
            specs: what, and the names that it gets.
            whole: with the history.

        Returns:
            The answer, of whatever kind.

        Effects: asks the server.
        """
        marked = self.folder / _NOTHING_LEFT_OUT
        part = [_WHOLE if whole else "--depth=1", *([] if marked.exists() else ["--filter=blob:none"])]
        answer = self._fetch(*part, "--", "origin", *specs)
        if answer.code != 0 and is_unable(answer):
            # Git has noted by now that the rest is to be had from there, and would ask for it within the asking, and so on.
            if not marked.exists():
                self.begin_whole(self.digits() or _SHA1_DIGITS)
            answer = self._fetch("--", "origin", *specs)
        return answer

    def _fetch(self, *arguments: str) -> Answer:
        answer = self.online.run(*_FETCH, *arguments, timeout_s=FETCH_TIMEOUT_S, file_limit_bytes=FETCH_LIMIT_BYTES)
        self._refuse_large(answer, FETCH_LIMIT_BYTES)
        return answer

    def _refuse_large(self, answer: Answer, limit_bytes: int) -> None:
        """Raise where git was not let write as much as the server sent, and remove what it left of that."""
        if not any(words in answer.complaint for words in _TOO_LARGE):
            return
        for half in (self.folder / "objects" / "pack").glob("tmp_*"):
            half.unlink(missing_ok=True)
        limit = f"{limit_bytes >> 20} MiB"
        raise StoreError(
            f"what is asked for of {self.address.shown} is larger than {limit}", hint="job files are text", code="git-too-large"
        )

    def fetch_blobs(self, oids: Iterable[str]) -> None:
        """Fetch files, all in one go.

        Raises:
            GitFailed: they do not come.
            StoreError: they are too large.

        Effects: asks the server.
        """
        wanted = list(oids)
        lines = "".join(f"{oid}\n" for oid in wanted).encode()
        limit_bytes = min(TOTAL_LIMIT_BYTES, len(wanted) * FILE_LIMIT_BYTES)
        arguments = (*_FETCH, "--filter=blob:none", "--stdin", "origin")
        # As git itself fetches what a partial clone lacks: no history is compared.
        program = self._networked(self.folder, {"fetch.negotiationAlgorithm": "noop"})
        answer = program.run(*arguments, stdin=lines, timeout_s=FETCH_TIMEOUT_S, file_limit_bytes=limit_bytes)
        self._refuse_large(answer, limit_bytes)
        if answer.code != 0:
            raise GitFailed(f"fetch files from {self.address.shown}", answer)

    def mended(self, act: Callable[[], T]) -> T:
        """Hold the lock and act; where git cannot work with the cache, do it once more with a new one.

        The old one comes back where the new one is no better: an unwilling server shall not cost what was there.

        Raises:
            StoreUnreachable: the server cannot be asked.

        Effects: those of `act`.
        """
        with self.locked():
            try:
                return act()
            except GitFailed as error:
                trouble = contact_trouble(error.answer, self.address.shown)
                if trouble is not None or not self.folder.exists():
                    raise trouble or error from error
            return self._anew(act)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock on the cache. Effects: makes its folder and a file; waits for others.

        Raises:
            StoreUnreachable: another run has it for too long.
        """
        self._make_parent()
        with self.folder.with_suffix(".lock").open("a") as file:
            self._wait_for(file)
            yield

    def _wait_for(self, file: IO[Any]) -> None:
        started_s = time.monotonic()
        told = False
        while not _try_lock(file):
            waited_s = time.monotonic() - started_s
            if waited_s > _LOCK_WAIT_S:
                raise StoreUnreachable(
                    f"another run has been reading {self.address.shown} for more than {_LOCK_WAIT_S:g} s",
                    notes=[f"it holds {file.name}"],
                    hint="let it end, or end it",
                    code="git-cache-locked",
                )
            if waited_s > _TELL_AFTER_S and not told:
                logging.getLogger(__name__).warning("waiting for another run that is reading %s", self.address.shown)
                told = True
            time.sleep(_LOCK_PAUSE_S)

    def _anew(self, act: Callable[[], T]) -> T:
        aside = self.folder.with_suffix(".aside")
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        try:
            done = act()
        except BaseException as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            aside.rename(self.folder)
            trouble = contact_trouble(error.answer, self.address.shown) if isinstance(error, GitFailed) else None
            raise trouble or error from error
        shutil.rmtree(aside, ignore_errors=True)
        return done

    def _networked(self, git_dir: Path, more: dict[str, str] | None = None) -> Program:
        address = self.address
        settings = {**address.settings, **(more or {})}
        return Program(git_dir=git_dir, protocols=address.protocols, settings=settings, variables=self._ssh)

    @cached_property
    def _ssh(self) -> dict[str, str]:
        # Over https too: a setting of the user's may turn that into ssh.
        return ssh_variables()

    def _make_parent(self) -> None:
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the cache folder {self.folder.parent} cannot be made: {error.strerror}",
                hint="set XDG_CACHE_HOME to a folder that can be written to",
                code="git-cache-unusable",
            ) from error


def _try_lock(file: IO[Any]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

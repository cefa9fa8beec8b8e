"""Which artifact version each job has: who declared it, and what its source says.

Of several that declare one for a job the first wins: `--version`, `--versions-file`, the store's own file of versions, `version` of the
job's entry, that of `defaults`. With a lock it is the lock alone. Each source is read when it is needed, and once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dtree.errors import DeclarationError, DtreeError, Fault, Place, UsageError, did_you_mean
from dtree.inputs import Inputs
from dtree.job_text import JobText
from dtree.render import Unanswered
from dtree.sources import Sources, job_texts
from dtree.store import StoreFileMissing
from dtree.versions_file import NAMES, find_versions_file, read_versions

if TYPE_CHECKING:
    from dtree.values import Declared, Lock
    from dtree.version_sources import VersionReader

__all__ = ["OPTION", "Versions", "no_lock"]

OPTION: Final = "--version"
"""Layer of what stands on the command line."""

_GIVE: Final = "give it one: `nomad-dtree versions set {job} VERSION`, --version {job}=VERSION, or `version` in its entry"


class Versions:
    """The versions of all jobs of a store, found out once: one is made for a command, and handed to all that ask.

    Attributes:
        sources: the store, with the jobs that there are.
        inputs: what goes before it.
    """

    def __init__(self, sources: Sources, inputs: Inputs) -> None:
        self.sources = sources
        self.inputs = inputs
        self._known: dict[tuple[str, Path | None], str | Unanswered] = {}

    @cached_property
    def declared(self) -> Mapping[str, Declared]:
        """By job, sorted: of each job that has one, the version that counts. Effects: reads the store.

        Raises:
            UsageError: an option names a job that there is not.
            DeclarationError: faults of the store's file, or of the lock.
        """
        if not self.inputs.locked:
            return self.unlocked
        return {job: self.lock.versions[job] for job in sorted(self._jobs) if job in self.lock.versions}

    @cached_property
    def unlocked(self) -> Mapping[str, Declared]:
        """The same without a look at the lock. Effects, and what is raised: as of `declared`."""
        self.refuse_strangers()
        layers = [_of_entries(self.sources), self._of_store(), self.inputs.versions]
        found: dict[str, Declared] = {}
        for layer in layers:
            found |= layer
        return {job: found[job] for job in sorted(self._jobs) if job in found}

    @cached_property
    def lock(self) -> Lock:
        """The lock that holds where one is asked for. Effects: reads the store.

        Raises:
            DeclarationError: it has faults.
            DtreeError: there is none.
        """
        if self.inputs.lock is not None:
            return self.inputs.lock
        from dtree.versions_lock import LOCK, read_lock

        try:
            text = self.sources.snapshot.read(LOCK)
        except StoreFileMissing as error:
            raise no_lock(f"the store has no {LOCK}") from error
        return read_lock(text.path, text.data)

    @property
    def images(self) -> Mapping[str, str]:
        """Digests of images by their names, where they are locked."""
        return self.lock.images if self.inputs.locked else {}

    def of(self, job: str) -> str:
        """Return the version of a job. Effects: reads its source, the first time.

        Raises:
            Unanswered: it has none, or its source has none now.
            StoreUnreachable: the store cannot be asked any more.
        """
        declared = self._declared_of(job)
        source = declared.text, declared.folder
        if source not in self._known:
            try:
                self._known[source] = self._reader.read(declared)
            except Unanswered as error:
                self._known[source] = error
        answer = self._known[source]
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    def resolved(self, jobs: Collection[str]) -> dict[str, str]:
        """Return the versions of jobs that have one, by job. Effects: as of `read_files`; reads their sources.

        Raises:
            DeclarationError: those that cannot be had, all of them.
        """
        self.read_files(jobs)
        found: dict[str, str] = {}
        faults = []
        for job in sorted(jobs):
            try:
                found[job] = self.of(job)
            except Unanswered as error:
                faults.append(self._fault(job, error))
        if faults:
            raise DeclarationError(faults)
        return found

    def told(self, job: str) -> str:
        """Return the same for a template: what it raises says where the version is declared."""
        try:
            return self.of(job)
        except Unanswered as error:
            if job not in self.declared:
                raise
            raise Unanswered(error.code, f"{error.problem}, says {self.declared[job].origin}", error.hint) from error

    def check(self) -> None:
        """See that what declares versions has no fault. Effects, and what is raised: as of `declared`."""
        len(self.declared)

    def refuse_strangers(self) -> None:
        """Raise UsageError where an option gives a version to a job that there is not."""
        for job, declared in self.inputs.versions.items():
            if declared.origin.layer == OPTION and job not in self._jobs:
                hint = did_you_mean(job, sorted(self._jobs)) or "`nomad-dtree graph --all` lists the jobs there are"
                raise UsageError(f"{OPTION}: there is no job '{job}'", hint=hint)

    def read_files(self, jobs: Collection[str]) -> None:
        """Read the job files of the store where one of these jobs has its version from the store's commit.

        That is `-dirty` where a file that was read is not of the commit: who lists or locks versions says the same as who runs them.

        Effects: reads the store.
        """
        from dtree.version_sources import is_of_store

        if any(job in self.declared and is_of_store(self.declared[job]) for job in jobs):
            job_texts(self.sources, self.sources.graph.entries)

    def have_become_dirty(self) -> bool:
        """Whether the store's commit was told as clean, and a file was read since that it does not hold; versions are then read anew.

        Effects: runs git.
        """
        told = self._reader.told if self._known else None
        if told is None or told.is_dirty:
            return False
        now = self.sources.snapshot.commit
        if now is not None and not now.is_dirty:
            return False
        self._known.clear()
        return True

    def give(self, jobs: Mapping[str, JobText]) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
        """Return job files with the versions that are declared for them, and what is wrong with those of the others, both by job.

        Raises:
            DtreeError: as `declared`.

        Effects: reads what the versions are read from.
        """
        found: dict[str, JobText] = {}
        faults: dict[str, tuple[Fault, ...]] = {}
        for job, text in jobs.items():
            try:
                found[job] = replace(text, version=self.of(job)) if self.has(job) else text
            except Unanswered as error:
                faults[job] = (self._fault(job, error),)
        return found, faults

    def has(self, job: str) -> bool:
        """Whether a job has a version, or should have one. Effects, and what is raised: as of `declared`."""
        return job in self.declared or (self.inputs.locked and job in self.unlocked)

    def built_in(self, name: str) -> str:
        """Return `ref`, `commit` or `commit_date` of the store. Effects: asks the store.

        Raises:
            Unanswered: it has no commit.
        """
        commit = self._reader.commit(f"'{name}' has no value")
        return {"ref": commit.ref, "commit": commit.id, "commit_date": commit.date}[name]

    def refuse_dirty(self, jobs: Collection[str]) -> None:
        """Refuse jobs that would run from files which nobody has committed: asked once all is read that is run.

        Args:
            jobs: whose versions count: of the repositories that they name too.

        Raises:
            DtreeError: says where.

        Effects: runs git.
        """
        from dtree.version_sources import repository_of

        why = self.sources.snapshot.why_unclean()
        if why:
            raise _not_clean(why)
        for job in sorted(jobs):
            declared = self.declared.get(job)
            folder = repository_of(declared) if declared else None
            if folder is not None and self._reader.commit_in(folder).is_dirty:
                raise _not_clean(f"{folder}, which the version of '{job}' is read from, holds changes that are not committed")

    @cached_property
    def _reader(self) -> VersionReader:
        from dtree.version_sources import VersionReader

        return VersionReader(self.sources.store, self.sources.snapshot, self.inputs.answer)

    def _fault(self, job: str, error: Unanswered) -> Fault:
        declared = self.declared.get(job)
        return Fault(error.code, f"the version of '{job}': {error.problem}", declared.origin.place if declared else None, error.hint)

    @property
    def _jobs(self) -> Collection[str]:
        return self.sources.graph.entries

    def _of_store(self) -> Mapping[str, Declared]:
        snapshot = self.sources.snapshot
        name = find_versions_file(snapshot.present(NAMES))
        if not name:
            return {}
        text = snapshot.read(name)
        return read_versions(text.path, text.data, layer=name, folder=snapshot.folder)

    def _declared_of(self, job: str) -> Declared:
        try:
            if job in self.declared:
                return self.declared[job]
            if job not in self._jobs:
                problem = f"there is no job '{job}', so it has no version"
                raise Unanswered("undefined-version", problem, did_you_mean(job, sorted(self._jobs)))
            if self.has(job):
                raise Unanswered("version-not-locked", f"there is no version of '{job}' in the lock", "add it: `nomad-dtree versions lock`")
        except DeclarationError as error:
            first = error.faults[0]
            raise Unanswered(first.code, first.sentence, first.hint) from error
        raise Unanswered("undefined-version", f"'{job}' has no version", _GIVE.format(job=job))


def no_lock(problem: str) -> DtreeError:
    """Return the error for a lock that is asked for and not there."""
    return DtreeError(problem, hint="write one: `nomad-dtree versions lock`", code="version-not-locked")


def _of_entries(sources: Sources) -> dict[str, Declared]:
    """Return what the dependency file declares, job by job."""
    declaration, folder = sources.declaration, sources.snapshot.folder
    place, common = declaration.locator.place, declaration.defaults.version
    found = {}
    for job, entry in sources.graph.entries.items():
        if entry.version is not None:
            found[job] = _declared(entry.version, f"version of job '{job}'", place(("dependencies", job, "version")), folder)
        elif common is not None:
            found[job] = _declared(common, "defaults.version", place(("defaults", "version")), folder)
    return found


def _declared(text: str, layer: str, place: Place, folder: Path | None) -> Declared:
    from dtree.values import Declared, Origin

    return Declared(text, Origin(layer, place), folder)


def _not_clean(problem: str) -> DtreeError:
    hint = "commit the files or take the changes back, or leave --require-clean out"
    return DtreeError(problem, hint=hint, code="not-clean")

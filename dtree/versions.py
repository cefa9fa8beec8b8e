"""Which artifact version each job has: who declared it, and what its source says.

Of several that declare one for a job the first wins: `--version`, `--versions-file`, the store's own file of versions, `version` of the
job's entry, that of `defaults`. With a lock it is the lock alone. Each source is read when it is needed, and once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from dtree.errors import DeclarationError, DtreeError, Fault, StoreUnreachable, UsageError, did_you_mean
from dtree.render import Unanswered
from dtree.sources import Sources
from dtree.store import StoreFileMissing
from dtree.values import Declared, Inputs, JobText, Lock, Origin
from dtree.version_sources import VersionReader, repository_of
from dtree.versions_file import NAMES, find_versions_file, read_versions
from dtree.versions_lock import LOCK, read_lock

__all__ = ["OPTION", "Versions", "no_lock"]

OPTION: Final = "--version"
"""Layer of what stands on the command line."""

_GIVE: Final = "give it one: `nomad-dtree versions set {job} VERSION`, --version {job}=VERSION, or `version` in its entry"


class Versions:
    """The versions of all jobs of a store.

    Args:
        sources: the store, with the jobs that there are.
        inputs: what goes before it.
    """

    def __init__(self, sources: Sources, inputs: Inputs) -> None:
        self._sources = sources
        self._inputs = inputs
        self._reader = VersionReader(sources.store, sources.snapshot, inputs.answer)
        self._known: dict[tuple[str, Path | None], str | Unanswered] = {}

    @cached_property
    def declared(self) -> Mapping[str, Declared]:
        """By job, sorted: of each job that has one, the version that counts. Effects: reads the store.

        Raises:
            UsageError: an option names a job that there is not.
            DeclarationError: faults of the store's file, or of the lock.
        """
        if not self._inputs.locked:
            return self.unlocked
        return {job: self.lock.versions[job] for job in sorted(self._jobs) if job in self.lock.versions}

    @cached_property
    def unlocked(self) -> Mapping[str, Declared]:
        """The same without a look at the lock. Effects, and what is raised: as of `declared`."""
        self._refuse_strangers()
        layers = [_of_entries(self._sources), self._of_store(), self._inputs.versions]
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
        if self._inputs.lock is not None:
            return self._inputs.lock
        try:
            text = self._sources.snapshot.read(LOCK)
        except StoreFileMissing as error:
            raise no_lock(f"the store has no {LOCK}") from error
        return read_lock(text.path, text.data)

    @property
    def images(self) -> Mapping[str, str]:
        """Digests of images by their names, where they are locked."""
        return self.lock.images if self._inputs.locked else {}

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
        """Return the versions of jobs that have one, by job. Effects: reads their sources.

        Raises:
            DeclarationError: those that cannot be had, all of them.
        """
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

    def give(self, jobs: Mapping[str, JobText], *, is_needed: bool) -> tuple[dict[str, JobText], dict[str, tuple[Fault, ...]]]:
        """Return job files with the versions that are declared for them, and what is wrong with those of the others, both by job.

        Args:
            is_needed: a version that cannot be had is a fault; else it is none.

        Raises:
            DtreeError: as `declared`, where versions are needed.

        Effects: reads what the versions are read from.
        """
        found: dict[str, JobText] = {}
        faults: dict[str, tuple[Fault, ...]] = {}
        for job, text in jobs.items():
            try:
                found[job] = replace(text, version=self.of(job)) if self.has(job) else text
            except Unanswered as error:
                if is_needed:
                    faults[job] = (self._fault(job, error),)
                else:
                    found[job] = text
            except (StoreUnreachable, UsageError):
                raise
            except DtreeError:
                if is_needed:
                    raise
                found[job] = text
        return found, faults

    def has(self, job: str) -> bool:
        """Whether a job has a version, or should have one. Effects, and what is raised: as of `declared`."""
        return job in self.declared or (self._inputs.locked and job in self.unlocked)

    def built_in(self, name: str) -> str:
        """Return `ref`, `commit` or `commit_date` of the store. Effects: asks the store.

        Raises:
            Unanswered: it has no commit.
        """
        commit = self._reader.commit(f"'{name}' has no value")
        return {"ref": commit.ref, "commit": commit.id, "commit_date": commit.date}[name]

    def refuse_dirty(self, jobs: Collection[str]) -> None:
        """Refuse jobs that would run from files which nobody has committed.

        Args:
            jobs: whose versions count: of the repositories that they name too.

        Raises:
            DtreeError: says where.

        Effects: runs git.
        """
        from dtree.access.git.questions import is_dirty

        snapshot = self._sources.snapshot
        commit = snapshot.commit
        if commit is None and snapshot.folder is not None:
            raise _not_clean(f"{snapshot.folder} is in no Git work tree with a commit", "commit the files, or leave --require-clean out")
        if commit is not None and commit.is_dirty:
            raise _not_clean(f"{snapshot.place or 'the store'} holds changes that are not committed")
        for job in sorted(jobs):
            declared = self.declared.get(job)
            folder = repository_of(declared) if declared else None
            if folder is not None and is_dirty(folder):
                raise _not_clean(f"{folder}, which the version of '{job}' is read from, holds changes that are not committed")

    def _fault(self, job: str, error: Unanswered) -> Fault:
        declared = self.declared.get(job)
        return Fault(error.code, f"the version of '{job}': {error.problem}", declared.origin.place if declared else None, error.hint)

    @property
    def _jobs(self) -> Collection[str]:
        return self._sources.graph.entries

    def _refuse_strangers(self) -> None:
        for job, declared in self._inputs.versions.items():
            if declared.origin.layer == OPTION and job not in self._jobs:
                hint = did_you_mean(job, sorted(self._jobs)) or "`nomad-dtree graph --all` lists the jobs there are"
                raise UsageError(f"{OPTION}: there is no job '{job}'", hint=hint)

    def _of_store(self) -> Mapping[str, Declared]:
        snapshot = self._sources.snapshot
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
            origin = Origin(f"version of job '{job}'", place(("dependencies", job, "version")))
            found[job] = Declared(entry.version, origin, folder)
        elif common is not None:
            found[job] = Declared(common, Origin("defaults.version", place(("defaults", "version"))), folder)
    return found


def _not_clean(problem: str, hint: str = "commit them or take them back, or leave --require-clean out") -> DtreeError:
    return DtreeError(problem, hint=hint, code="not-clean")

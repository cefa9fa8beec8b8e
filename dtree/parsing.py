"""From the names of jobs to the jobs as Nomad parses their files, which is where they get their ID. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dtree.dispatching import Payloads, read_payloads, with_dispatches
from dtree.errors import DeclarationError, Fault, refuse
from dtree.job_text import JobText
from dtree.location import Locations, missing_namespaces
from dtree.model import RenderedJob
from dtree.noted import find_jobs
from dtree.observe import find_externals, parse_jobs
from dtree.plan import ObservedJob
from dtree.ports import Cluster
from dtree.rendering import render_jobs
from dtree.sources import Sources, job_texts
from dtree.versions import Versions
from dtree.versions_lock import pin_images

__all__ = ["Parsing"]

Faults = Mapping[str, tuple[Fault, ...]]
"""What is wrong with job files, by the names of the jobs."""


@dataclass(frozen=True, slots=True)
class Parsing:
    """What the jobs of one command are parsed with. Its methods read the store and Nomad.

    Attributes:
        versions: of the jobs, with the sources and inputs that they are rendered from.
        namespace: for jobs where neither the file nor the entry says; "" for Nomad's default.
    """

    cluster: Cluster
    versions: Versions
    namespace: str

    @property
    def sources(self) -> Sources:
        """The store that the job files are in."""
        return self.versions.sources

    @property
    def locations(self) -> Locations:
        """Where its jobs live."""
        return Locations(self.sources.graph.entries, self.sources.declaration.locator, self.namespace)

    def parse(self, names: Collection[str]) -> dict[str, RenderedJob]:
        """Return jobs as they are to be run, by name.

        Raises:
            DeclarationError: every job whose file is no good.
        """
        jobs, faults = self._parse_all(names, needs_versions=True)
        refuse(faults)
        return jobs

    def parse_known(self, names: Collection[str]) -> tuple[dict[str, RenderedJob], dict[str, Fault], dict[str, Fault]]:
        """Parse what can be parsed, as far as its ID goes: a broken file may not stand in the way of a stop or a look.

        Returns:
            (the jobs; the first fault of the file of those that are not known; that of those jobs that are known by what is noted of them).
        """
        jobs, faults = self._parse_all(names, needs_versions=False)
        jobs |= self.externals(names)
        wrong = {name: found[0] for name, found in faults.items()}
        if not wrong:
            return jobs, {}, {}
        texts, _ = job_texts(self.sources, [name for name, fault in wrong.items() if fault.code != "same-job-id"])
        known = find_jobs(self.sources, texts, self.cluster, namespace=self.namespace, inputs=self.versions.inputs)
        known = {name: job for name, job in known.items() if job.ref not in {other.ref for other in jobs.values()}}
        unread = {name: fault for name, fault in wrong.items() if name not in known}
        return jobs | known, unread, {name: wrong[name] for name in known}

    def parse_texts(self, texts: Mapping[str, JobText]) -> dict[str, RenderedJob]:
        """As `parse`, of files that are rendered already."""
        jobs, faults = self._parse(texts, self._payloads(texts))
        refuse(faults)
        return jobs

    def externals(self, names: Collection[str]) -> dict[str, RenderedJob]:
        """Return those of the jobs that others run."""
        return find_externals([name for name in names if name in self.sources.graph.externals], self.locations, self.cluster)

    def refuse_homeless(self, jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob]) -> None:
        """Refuse jobs whose namespace does not exist.

        Raises:
            DeclarationError: every such job.
        """
        if faults := self.homeless(jobs, observed):
            raise DeclarationError(list(faults.values()))

    def homeless(self, jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob]) -> dict[str, Fault]:
        """Return, by name, what is wrong with jobs whose namespace does not exist."""
        return missing_namespaces(jobs, observed, self.locations, self.cluster)

    def _parse_all(self, names: Collection[str], *, needs_versions: bool) -> tuple[dict[str, RenderedJob], Faults]:
        versions = self.versions
        files, missing = job_texts(self.sources, names)
        payloads = self._payloads(files) if needs_versions else None  # versions tell of all that is read to be run
        texts, wrong = render_jobs(self.sources, files, versions.inputs, versions=versions, needs_versions=needs_versions)
        if needs_versions and versions.inputs.require_clean:
            versions.refuse_dirty(texts)  # only now all is read that is to be run
        jobs, refused = self._parse(texts, payloads)
        return jobs, {**missing, **wrong, **refused}

    def _payloads(self, names: Collection[str]) -> Payloads:
        entries = [self.sources.graph.entries[name] for name in sorted(names)]
        return read_payloads(self.sources.snapshot, entries, self.sources.declaration.locator)

    def _parse(self, texts: Mapping[str, JobText], payloads: Payloads | None) -> tuple[dict[str, RenderedJob], Faults]:
        """Have Nomad parse job files; with payloads as they are to be run, without them as far as their ID goes."""
        jobs, refused = parse_jobs(texts, self.locations, self.cluster)
        if payloads is None:
            return jobs, refused
        jobs, wrong = with_dispatches(jobs, payloads, self.sources.declaration.locator)
        if self.versions.inputs.locked:
            jobs = {name: pin_images(job, self.versions.images) for name, job in jobs.items()}
        return jobs, {**refused, **wrong}

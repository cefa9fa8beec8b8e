"""Where jobs live: the region and namespace of each, who says so, and whether they are there. Asks Nomad, changes nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dtree.declaration import Entry, Locator
from dtree.errors import Fault, Invalid, Place
from dtree.model import JobRef, RenderedJob
from dtree.names import DEFAULT_NAMESPACE, NAMESPACE, NAMESPACE_WORDS
from dtree.plan import ObservedJob
from dtree.ports import Cluster

_IN_SPEC: Final = {"namespace": "Namespace", "region": "Region"}


@dataclass(frozen=True, slots=True)
class Locations:
    """Where jobs live whose files do not say.

    Attributes:
        entries: by job name, defaults applied.
        locator: where each key stands in the dependency file.
        namespace: for jobs where neither file nor entry says; "" for Nomad's default. Their region is that of the connection.
    """

    entries: Mapping[str, Entry]
    locator: Locator
    namespace: str = ""

    def ref(self, name: str, job_id: str, *, namespace: str = "", region: str = "") -> JobRef:
        """Return the identity of a job. Pure.

        Args:
            name: of its entry.
            namespace, region: as its file says, which beats the entry; "" where it does not.

        Returns:
            Its region as it is written: `settle_regions` gives each its one name.
        """
        entry = self.entries[name]
        return JobRef(namespace or self.namespace_of(name), job_id, region or entry.region or "")

    def namespace_of(self, name: str) -> str:
        """Return the namespace of a job whose file says none."""
        return self.entries[name].namespace or self.namespace or DEFAULT_NAMESPACE

    def place(self, job: RenderedJob, key: str) -> Place | None:
        """Return where the namespace or region of a job was said; None where neither file nor entry does."""
        if job.file and job.spec.get(_IN_SPEC[key]):
            line, column = _position(job, key)
            return Place(job.file, line, column, key)
        entry = self.entries[job.name]
        if not (entry.namespace if key == "namespace" else entry.region):
            return None
        whole, own = (self.locator.place(path) for path in (("dependencies", job.name), ("dependencies", job.name, key)))
        return own if (own.line, own.column) != (whole.line, whole.column) else self.locator.place(("defaults", key))


def settle_regions(
    jobs: Mapping[str, RenderedJob], locations: Locations, cluster: Cluster
) -> tuple[dict[str, RenderedJob], dict[str, tuple[Fault, ...]]]:
    """Give the region of each job its one name, so that two ways to write it are no two jobs.

    Returns:
        (the jobs, what is wrong with those whose region there is no way to), both by name.

    Raises:
        Invalid: there is no way to the region of the connection.

    Effects: reads Nomad, one or two requests for each region that is named.
    """
    cluster.find_region("")
    settled: dict[str, str] = {}
    refused: dict[str, Invalid] = {}
    for region in sorted({job.ref.region for job in jobs.values()} - {""}):
        try:
            settled[region] = cluster.find_region(region)
        except Invalid as error:
            refused[region] = error
    found = {
        name: replace(job, ref=replace(job.ref, region=settled.get(job.ref.region, "")))
        for name, job in jobs.items()
        if job.ref.region not in refused
    }
    return found, {name: (_no_region(job, refused[job.ref.region], locations),) for name, job in jobs.items() if name not in found}


def missing_namespaces(
    jobs: Mapping[str, RenderedJob], observed: Mapping[str, ObservedJob], locations: Locations, cluster: Cluster
) -> dict[str, Fault]:
    """Return, by name, what is wrong with jobs whose namespace does not exist: Nomad's lists are just empty there. Effects: reads Nomad."""
    unseen = {name: job for name, job in jobs.items() if observed[name].snapshot.job is None}
    return absent_namespaces(unseen, locations, cluster)


def absent_namespaces(jobs: Mapping[str, RenderedJob], locations: Locations, cluster: Cluster) -> dict[str, Fault]:
    """As `missing_namespaces`, of jobs that Nomad does not have."""
    asked = sorted({(job.ref.region, job.ref.namespace) for job in jobs.values() if job.ref.namespace != DEFAULT_NAMESPACE})
    gone = [(region, namespace) for region, namespace in asked if not cluster.has_namespace(namespace, region=region)]
    return {name: _no_namespace(job, locations) for name, job in jobs.items() if (job.ref.region, job.ref.namespace) in gone}


def _no_region(job: RenderedJob, error: Invalid, locations: Locations) -> Fault:
    problem = f"job '{job.name}' would be in region '{job.ref.region}': {error.problem}"
    return Fault("no-region", problem, locations.place(job, "region") or Place(job.file), error.hint)


def _no_namespace(job: RenderedJob, locations: Locations) -> Fault:
    ref = job.ref
    where = f"in region '{ref.region}'" if ref.region else "in this Nomad"
    flag = f" -region={ref.region}" if ref.region else ""
    place = locations.place(job, "namespace")
    if not re.fullmatch(NAMESPACE, ref.namespace):
        hint = f"a namespace has a name {NAMESPACE_WORDS}"
    else:
        given = "" if place is not None else "check --namespace and NOMAD_NAMESPACE; "
        hint = f"{given}`nomad namespace list{flag}` shows those there are, `nomad namespace apply{flag} {ref.namespace}` makes it"
    return Fault(
        "no-namespace",
        f"there is no namespace '{ref.namespace}' {where}, where job '{job.name}' would be",
        place,
        hint,
    )


def _position(job: RenderedJob, key: str) -> tuple[int, int] | tuple[None, None]:
    """Return line and column of a key in a job file; None twice where they are not known, or are others in the store."""
    if hashlib.sha256(job.text.encode()).hexdigest() != job.template_digest:
        return None, None
    said = re.search(rf'^[ \t]*("?{key}"?)[ \t]*[=:][ \t]*"', job.text, re.MULTILINE | re.IGNORECASE)
    if said is None:
        return None, None
    return job.text.count("\n", 0, said.start(1)) + 1, said.start(1) - said.start() + 1

"""What is noted of jobs: where each came from, and which job of Nomad it is where its file cannot be rendered. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from dtree.access.at_once import do_all
from dtree.errors import ClusterError, DeclarationError, StoreError, Unavailable, Unreachable
from dtree.inputs import Inputs
from dtree.job_text import decode_job
from dtree.location import Locations, settle_regions
from dtree.model import JobRef, JobState, RenderedJob
from dtree.plan import ObservedJob
from dtree.ports import Cluster
from dtree.provenance import DIRTY, Items, Provenance, Source, read_comments, read_note, registered_as
from dtree.sources import Sources
from dtree.store import Text
from dtree.values import variables_of

_AT_ONCE: Final = 8
_COMMENT: Final = re.compile(r"\[#.*?#\]", re.DOTALL)
_SHOWN: Final = re.compile(r"\[\[[-+]?\s*([A-Za-z_]\w*)\s*[-+]?\]\]")
_DEPENDS: Final = re.compile(r"\[%(?![-+]?\s*(?:set|endset)\b)")
_GROUP: Final = re.compile(r'^\s*group\s+"', re.MULTILINE)
_JOB: Final = re.compile(r'^[ \t]*job[ \t]+"?([^"\s{]*)"?[ \t]*\{', re.MULTILINE)
_PLACE: Final = re.compile(r"^(?: {0,4}|\t)(id|namespace|region)[ \t]*=[ \t]*(.*?)[ \t]*(?:(?:#|//).*)?$", re.MULTILINE)
_TEXT: Final = re.compile(r'"([^"\\$%\[\]]*)"')


@dataclass(frozen=True, slots=True)
class Noted:
    """What is known of where a job came from.

    Attributes:
        provenance: None where nothing is noted.
        denied: why the notes of its namespace cannot be read; None where they can.
        items: all that our own stack has noted of it; {} for nothing, or where that may not be read.
    """

    provenance: Provenance | None = None
    denied: ClusterError | None = None
    items: Items = field(default_factory=dict, hash=False)


def read_notes(observed: Mapping[str, ObservedJob], cluster: Cluster, *, stack: str) -> dict[str, ObservedJob]:
    """Read what our stack has noted of jobs.

    Returns:
        What was seen of the jobs, by name, with that in it, or why it cannot be read.

    Raises:
        Unreachable, Unavailable: Nomad cannot be asked at all.

    Effects: reads Nomad.
    """
    notes: dict[JobRef, Items] = {}
    unread: dict[JobRef, ClusterError] = {}
    for refs in _by_place(seen.snapshot.ref for seen in observed.values()):
        try:
            notes |= cluster.notes(stack, refs)
        except (Unreachable, Unavailable):
            raise
        except ClusterError as error:
            unread |= dict.fromkeys(refs, error)
    return {
        name: replace(seen, note=notes.get(ref, {}), unread=unread.get(ref))
        for name, seen in observed.items()
        for ref in (seen.snapshot.ref,)
    }


def find_origins(states: Mapping[JobRef, JobState | None], cluster: Cluster, *, stack: str) -> dict[JobRef, Noted]:
    """Say where jobs came from: as our stack noted it, else as another stack did, else, where notes may not be read, by the Submission.

    Another checkout of the same files is another stack, as long as the dependency file gives it no name.

    Args:
        states: the jobs, with None for those that Nomad does not have.

    Effects: reads Nomad.
    """
    found: dict[JobRef, Noted] = {}
    for refs in _by_place(states):
        here = [ref for ref in refs if states[ref] is not None]
        try:
            own = cluster.notes(stack, refs)
            notes = dict(own)
            unknown = [ref for ref in here if read_note(notes.get(ref, {})) is None]
            notes |= cluster.notes_of_others(stack, unknown) if unknown else {}
        except (Unreachable, Unavailable):
            raise
        except ClusterError as error:
            told = do_all(lambda ref: _submitted(ref, states[ref], cluster), refs, at_once=_AT_ONCE)
            found |= {ref: Noted(provenance, error) for ref, provenance in zip(refs, told, strict=True)}
            continue
        found |= {ref: Noted(read_note(notes.get(ref, {})), items=own.get(ref, {})) for ref in refs}
    return found


def find_jobs(sources: Sources, texts: Mapping[str, Text], cluster: Cluster, *, namespace: str, inputs: Inputs) -> dict[str, RenderedJob]:
    """Find out which jobs of Nomad those are whose files cannot be rendered.

    The ID that a file says has to be confirmed by what was noted when a job of that name was registered: where the ID itself depends on
    something that is missing, it might be the job of another environment, and nothing is found.

    Args:
        texts: the files as they stand in the store, by job name.
        namespace: for jobs where neither file nor entry says.

    Returns:
        Those that were found, by name, with no more of their specification than their type.

    Effects: reads Nomad.
    """
    refs: dict[str, JobRef] = {}
    locations = Locations(sources.graph.entries, sources.declaration.locator, namespace)
    for name, text in texts.items():
        entry = sources.graph.entries[name]
        values = {"env": inputs.environment} if inputs.environment else {}
        values |= {key: str(one.value) for key, one in variables_of(name, sources.declaration, entry.variables, inputs.layers).items()}
        try:
            source = decode_job(name, text)
        except DeclarationError:
            continue
        said = locations.ref(name, "")
        ref = ref_said_by(source, values if entry.template else {}, namespace=said.namespace, region=said.region)
        refs |= {name: ref} if ref is not None else {}
    unseen = {name: _stand_in(name, ref, texts[name].path, None) for name, ref in refs.items()}
    refs = {name: job.ref for name, job in settle_regions(unseen, locations, cluster)[0].items()} if unseen else {}
    asked = sorted(set(refs.values()))
    states = dict(zip(asked, do_all(cluster.job, asked, at_once=_AT_ONCE), strict=True))
    origins = find_origins(states, cluster, stack=sources.declaration.stack)
    return {
        name: _stand_in(name, ref, texts[name].path, states[ref])
        for name, ref in sorted(refs.items())
        if (noted := origins[ref].provenance) is not None and noted.job == name
    }


def source_of(sources: Sources) -> Source:
    """Say which state of the store jobs come from, to note it of them. Effects: reads the store."""
    revision = sources.snapshot.revision.id
    try:
        commit = sources.snapshot.commit
    except StoreError:  # it is told where it is asked for, and no reason not to run
        commit = None
    if commit is None:
        return Source(sources.declaration.stack, sources.store, revision)
    dirty = DIRTY if commit.is_dirty else ""
    return Source(sources.declaration.stack, sources.store, revision, commit.ref, commit.id + dirty)


def ref_said_by(source: str, values: Mapping[str, str], *, namespace: str, region: str = "") -> JobRef | None:
    """Return the identity of a job as its file in HCL says it before it is rendered. Pure.

    >>> ref_said_by('job "[[ env ]]-api" { type = "[[ kind ]]" }', {"env": "test"}, namespace="default")
    JobRef(namespace='default', id='test-api', region='')

    Args:
        values: of the template's variables.
        namespace, region: for a file that says none.

    Returns:
        None where it may depend on anything else.
    """
    text = _SHOWN.sub(lambda found: values.get(found[1], found[0]), _COMMENT.sub("", source))
    group = _GROUP.search(text)
    jobs = _JOB.findall(text)
    if len(jobs) != 1 or _DEPENDS.search(text, 0, group.start() if group else len(text)):
        return None
    written = {key: {value for name, value in _PLACE.findall(text) if name == key} for key in ("namespace", "id", "region")}
    otherwise = {"namespace": f'"{namespace}"', "id": f'"{jobs[0]}"', "region": f'"{region}"'}
    found = [_TEXT.fullmatch(" or ".join(sorted(written[key])) or otherwise[key]) for key in written]
    names = [one[1] for one in found if one is not None]
    return JobRef(*names) if len(names) == len(found) and all(names[:2]) else None


def _by_place(refs: Iterable[JobRef]) -> Iterator[list[JobRef]]:
    """Yield the jobs of each region and namespace, sorted."""
    ordered = sorted(set(refs), key=lambda ref: (ref.region, ref.namespace, ref.id))
    for _, same in groupby(ordered, key=lambda ref: (ref.region, ref.namespace)):
        yield list(same)


def _submitted(ref: JobRef, state: JobState | None, cluster: Cluster) -> Provenance | None:
    """Return what the Submission of the stored version says; what it is of is what runs.

    Nomad hands a Submission on to a version that comes without one: that of the version before says nothing of this one.

    Source: seen with Nomad 1.11.3.
    """
    if state is None:
        return None
    try:
        found = cluster.submission(ref, version=state.version)
        said = read_comments(*found)
        if said is not None and state.version and cluster.submission(ref, version=state.version - 1) == found:
            return None
    except (Unreachable, Unavailable):
        raise
    except ClusterError:
        return None
    return replace(said, registered=registered_as(state)) if said is not None else None


def _stand_in(name: str, ref: JobRef, file: str, state: JobState | None) -> RenderedJob:
    if state is None:
        return RenderedJob(name, ref, file, "", "hcl2", {})
    spec = {"Type": state.type, "Periodic": {"Enabled": True} if state.periodic else None}
    return RenderedJob(name, ref, file, "", "hcl2", {**spec, "ParameterizedJob": {"Payload": ""} if state.parameterized else None})

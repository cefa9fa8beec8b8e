"""`nomad-dtree versions lock`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output
from dtree.errors import EXIT_OK, NotAnswered

if TYPE_CHECKING:
    from dtree.sources import Sources

NoImages = Annotated[bool, typer.Option("--no-images", help="Lock versions only: Nomad and registries are not asked.")]

_AT_ONCE: Final = 8


def lock_versions(invocation: Invocation, *, no_images: NoImages = False, output: Output = "text") -> int:
    """Write the versions of all jobs, resolved, and the digests of their docker images into the lock, for `--locked`.

    The lock stands beside the file of versions: versions.lock.yaml in the store, or STEM.lock.yaml beside --versions-file.
    """
    from dtree.cli.version_targets import find_target
    from dtree.sources import read
    from dtree.versions import Versions
    from dtree.versions_lock import read_lock, write_lock
    from dtree.views.json_forms import version_changes_json
    from dtree.views.versions_text import VersionChange, changes_text

    unlocked: dict[str, str] = {}
    with invocation.snapshot() as snapshot:
        sources = read(snapshot, store=invocation.store_name)
        known = Versions(sources, invocation.inputs)
        versions = known.resolved(known.declared)
        images = {} if no_images else _digests(invocation, _images(invocation, sources, versions), unlocked)
        target = find_target(invocation, snapshot, lock=True)
        before = read_lock(target.shown, target.data)
        data = write_lock(versions, images)
        old = {**{job: one.text for job, one in before.versions.items()}, **before.images}
        new = {**versions, **images}
        changes = tuple(VersionChange(name, old.get(name, ""), new.get(name, "")) for name in sorted({*old, *new}))
        if output == "text":
            invocation.print(changes_text(changes, target.shown, invocation.look()))
        written = target.write(data) if data != target.data else ""
    if output == "json":
        invocation.print(version_changes_json(changes, target.shown, versions=versions, images=images, unlocked=unlocked, written=written))
        return EXIT_OK
    for image, why in unlocked.items():
        sys.stderr.write(f"warning: the image {image} is not locked: {why}\n")
    if written:
        invocation.print(f"Written {written}.")
    return EXIT_OK


def _images(invocation: Invocation, sources: Sources, versions: Mapping[str, str]) -> list[str]:
    """Return the images of all jobs as Nomad parses them with just these versions. Effects: reads the store and Nomad."""
    from dtree import pipeline
    from dtree.values import Declared, Origin
    from dtree.versions_lock import images_of

    inputs = replace(invocation.inputs, versions={job: Declared(version, Origin("lock")) for job, version in versions.items()})
    names = tuple(sources.graph.entries)
    jobs = pipeline.parse(sources, names, invocation.cluster, namespace=invocation.namespace, inputs=inputs)
    return sorted({image for job in jobs.values() for image in images_of(job.spec)})


def _digests(invocation: Invocation, images: Iterable[str], unlocked: dict[str, str]) -> Mapping[str, str]:
    """Return the digest of each image that a registry tells; why not of the others goes into `unlocked`. Effects: asks registries."""
    from dtree.access.at_once import do_all
    from dtree.access.registry import digest_of

    clock = invocation.clock

    def ask(image: str) -> tuple[str, str | None, str]:
        try:
            return image, digest_of(image, now_s=clock.now_s, pause=clock.pause), "the registry has no such image"
        except NotAnswered as error:
            return image, None, error.problem

    found: dict[str, str] = {}
    for image, digest, why in do_all(ask, list(images), at_once=_AT_ONCE):
        if digest is None:
            unlocked[image] = why
        else:
            found[image] = digest
    return found


_LOCKED: Final = "locked"

COMMAND: Final = Command(
    lock_versions,
    {"Templates": tuple(one for one in config.TEMPLATES if one.name != _LOCKED), "Nomad": config.NOMAD},
    uses_store=True,
)

"""`nomad-dtree versions lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Output
from dtree.errors import EXIT_OK

if TYPE_CHECKING:
    from dtree.versions import Versions

NoImages = Annotated[bool, typer.Option("--no-images", help="Lock versions only: Nomad and registries are not asked.")]


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

    with invocation.snapshot() as snapshot:
        known = Versions(read(snapshot, store=invocation.store_name), invocation.inputs)
        images, unlocked = ({}, {}) if no_images else _digests(invocation, known)
        versions = known.resolved(known.declared)
        if known.inputs.require_clean:
            known.refuse_dirty(known.declared)
        target = find_target(invocation, snapshot, lock=True)
        before = read_lock(target.shown, target.data)
        data = write_lock(versions, images)
        old = {**{job: one.text for job, one in before.versions.items()}, **before.images}
        new = {**versions, **images}
        changes = tuple(VersionChange(name, old.get(name, ""), new.get(name, "")) for name in sorted({*old, *new}))
        if output == "text":
            invocation.print(changes_text(changes, target.shown, invocation.look()))
        written = target.write(data)
    if output == "json":
        invocation.print(version_changes_json(changes, target.shown, versions=versions, images=images, unlocked=unlocked, written=written))
        return EXIT_OK
    for image, why in unlocked.items():
        invocation.warn(f"the image {image} is not locked: {why}")
    if written:
        invocation.print(f"Written {written}.")
    return EXIT_OK


def _digests(invocation: Invocation, versions: Versions) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digest of each image of a job that a registry tells, and why not of the others.

    Effects: reads the store and Nomad, which parses the job files; asks registries.
    """
    from dtree import pipeline
    from dtree.access.registry import find_digests
    from dtree.versions_lock import images_of

    jobs = pipeline.parse(versions.sources.graph.entries, invocation.cluster, versions, namespace=invocation.namespace)
    images = sorted({image for job in jobs.values() for image in images_of(job.spec)})
    return find_digests(images, now_s=invocation.clock.now_s, pause=invocation.clock.pause)


COMMAND: Final = Command(
    lock_versions,
    {
        "Templates": tuple(one for one in config.TEMPLATES if one is not config.LOCKED),
        "Locking": (config.REQUIRE_CLEAN,),
        "Nomad": config.NOMAD,
    },
    uses_store=True,
)

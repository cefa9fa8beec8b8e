"""Lock files: versions that were resolved once, images that were looked up once, and what they make of a job. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from dtree.document import quote
from dtree.errors import DeclarationError, Fault
from dtree.model import RenderedJob, Spec
from dtree.values import Declared, Lock, Origin
from dtree.version_text import BadVersion, read_literal
from dtree.versions_file import read_map

__all__ = ["LOCK", "images_of", "lock_beside", "pin_images", "read_lock", "write_lock"]

LOCK: Final = "versions.lock.yaml"
"""Name of the lock in the root of a store."""

_HEAD: Final = "# Written by `nomad-dtree versions lock`; `--locked` takes versions and images from here alone.\n"
_AGAIN: Final = "write it anew with `nomad-dtree versions lock`"


def lock_beside(file: str) -> str:
    """Return the name of the lock of a file of versions: `staging.yaml` -> `staging.lock.yaml`."""
    return f"{PurePosixPath(file).stem}.lock.yaml"


def read_lock(file: str, data: bytes) -> Lock:
    """Read a lock.

    Raises:
        DeclarationError: it is none.
    """
    values, place = read_map(file, data)
    faults: list[Fault] = []
    sections: dict[str, dict[str, str]] = {"versions": {}, "images": {}}
    for section, held in values.items():
        if section not in sections or not isinstance(held, dict):
            faults.append(Fault("bad-lock", f"{quote(section)} is no part of a lock of versions", place(section), _AGAIN))
            continue
        for name, value in held.items():
            if _is_fixed(value):
                sections[section][name] = value
            else:
                faults.append(Fault("bad-lock", f"what is locked for {quote(name)} must be text", place(section, name), _AGAIN))
    if faults:
        raise DeclarationError(faults)
    versions = {job: Declared(text, Origin("lock", place("versions", job))) for job, text in sections["versions"].items()}
    return Lock(versions, sections["images"])


def write_lock(versions: Mapping[str, str], images: Mapping[str, str]) -> bytes:
    """Write a lock: sorted, so that the same is written alike."""
    lines = [_HEAD]
    for section, held in (("versions", versions), ("images", images)):
        lines.append(f"{section}:\n" if held else f"{section}: {{}}\n")
        lines.extend(f"  {_quoted(name)}: {_quoted(held[name])}\n" for name in sorted(held))
    return "".join(lines).encode()


def images_of(spec: Spec) -> tuple[str, ...]:
    """Return the images of a job's docker tasks that name no digest and stand fixed before it runs, sorted."""
    return tuple(sorted({image for task in _tasks(spec) if (image := _image(task)) and "@" not in image and "${" not in image}))


def pin_images(job: RenderedJob, images: Mapping[str, str]) -> RenderedJob:
    """Return a job whose docker tasks run the images of the lock, by `name@digest`; one that the lock does not know stays.

    The tag goes: where one stands before a digest, Nomad before 1.6 drops the digest.
    Source: https://github.com/hashicorp/nomad/issues/11821
    """
    if not any(image in images for image in images_of(job.spec)):
        return job
    groups = [
        {**group, "Tasks": [_pinned(task, images) for task in group.get("Tasks") or ()]} if group.get("Tasks") else group
        for group in job.spec.get("TaskGroups") or ()
    ]
    return replace(job, spec={**job.spec, "TaskGroups": groups})


def _pinned(task: Mapping[str, Any], images: Mapping[str, str]) -> Mapping[str, Any]:
    image = _image(task)
    if image not in images:
        return task
    return {**task, "Config": {**task["Config"], "image": f"{_untagged(image)}@{images[image]}"}}


def _tasks(spec: Spec) -> Iterator[Mapping[str, Any]]:
    for group in spec.get("TaskGroups") or ():
        yield from group.get("Tasks") or ()


def _image(task: Mapping[str, Any]) -> str:
    config = task.get("Config")
    image = config.get("image") if task.get("Driver") == "docker" and isinstance(config, Mapping) else None
    return image if isinstance(image, str) else ""


def _untagged(image: str) -> str:
    name, _, tag = image.rpartition(":")
    return image if not name or "/" in tag else name  # what stands behind the colon of a port has a path


def _is_fixed(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(read_literal(value))
    except BadVersion:
        return False


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

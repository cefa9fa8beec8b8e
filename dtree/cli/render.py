"""`nomad-dtree render`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import typer

from dtree import config
from dtree.cli.complete import complete_jobs
from dtree.cli.files import replace_file
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command, Job
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_OK, DtreeError, GoalError, UsageError, refuse

if TYPE_CHECKING:
    from dtree.inputs import Inputs
    from dtree.job_text import JobText
    from dtree.sources import Sources

JobsToRender = Annotated[
    list[str] | None, typer.Argument(metavar="[JOB]...", help="Jobs to render; none: all of the file.", autocompletion=complete_jobs)
]
Format = Annotated[Literal["hcl", "json"], typer.Option("--format", help="json: as Nomad parses it, which is asked for that.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write a file for each job into this folder.")]
Diff = Annotated[
    tuple[str, str] | None, typer.Option("--diff", metavar="REF1 REF2", help="Show what differs between two refs of a Git store.")
]
Force = Annotated[bool, typer.Option("--force", help="Also write over files that hold something else.")]
Files = Annotated[bool, typer.Option("--verbose", "-v", help="Also say on standard error which file each job is.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secret values, which else read (secret).")]


def render(  # noqa: PLR0913 - each is an option
    invocation: Invocation,
    *,
    jobs: JobsToRender = None,
    job: Job = None,
    form: Format = "hcl",
    out: Out = None,
    diff: Diff = None,
    force: Force = False,
    verbose: Files = False,
    show_secrets: ShowSecrets = False,
) -> int:
    """Show job files as they go to Nomad: templates rendered, without what the jobs need.

    Nomad is asked for --format json, for what a template reads from it with nomad_var(), and for a store that lives there. With --locked
    that JSON has the digests of images; in text the images stay as they are written, and remarks name the digests that `run` registers.
    With --diff it exits with 2 where the two differ.
    """
    names = tuple(dict.fromkeys((*(jobs or ()), *(job or ()))))
    if diff is not None:
        if out is not None or form != "hcl":
            raise UsageError("--diff goes with neither --out nor --format json", hint="leave one of them out")
        return _show_difference(invocation, names, diff, show_secrets=show_secrets)
    if force and out is None:
        raise UsageError("--force is for the files of --out", hint="leave it out, or give --out")
    found = _render(invocation, names)
    shown = _as_json(invocation, found, show_secrets=show_secrets) if form == "json" else found.texts(show_secrets=show_secrets)
    if out is None:
        _print(invocation, found, shown, form=form, show_secrets=show_secrets)
    else:
        _write(invocation, out, {f"{_safe(name)}.nomad.{_suffix(text)}": text for name, text in shown.items()}, force=force)
    if not _is_titled(shown, form=form, out=out):
        _remark(invocation, found, images=form == "hcl", files=verbose or invocation.has_layers)
    return EXIT_OK


class _Found(NamedTuple):
    """Job files of one state of a store, rendered.

    Attributes:
        images: digests by the names of images, where they are locked.
    """

    sources: Sources
    jobs: Mapping[str, JobText]
    images: Mapping[str, str]

    def texts(self, *, show_secrets: bool) -> dict[str, str]:
        """Return the text of each job."""
        return {name: job.source if show_secrets or not job.shown else job.shown for name, job in self.jobs.items()}

    def title(self, name: str) -> str:
        """Return a line that says which file a job is."""
        from dtree.views.text import clean

        return f"# job '{clean(name)}', {clean(self.jobs[name].file)}\n"

    def remarks(self, name: str) -> str:
        """Return a line for each image that stands in a job file, and is registered by its digest instead."""
        from dtree.views.text import clean

        source = self.jobs[name].source
        images = [(image, digest) for image, digest in sorted(self.images.items()) if f'"{image}"' in source]
        return "".join(f"# locked image {clean(image)}: `run` registers {clean(digest)}\n" for image, digest in images)


def _render(invocation: Invocation, names: Sequence[str], inputs: Inputs | None = None, *, known: Sequence[str] = ()) -> _Found:
    """Render the jobs of these names, or all.

    Args:
        inputs: what templates are given, if not the invocation's.
        known: names that there need not be here.

    Effects: reads the store.
    """
    from dtree import sources
    from dtree.rendering import render_jobs
    from dtree.versions import Versions

    with invocation.snapshot() as snapshot:
        held = sources.read(snapshot, store=invocation.store_name, asked=names)
        entries = held.graph.entries
        for name in names:
            if name not in entries and name not in known:
                raise GoalError(name, sorted(entries), depfile=held.declaration.file)
        sources.refuse_externals(held, names)
        chosen = sorted(name for name in names if name in entries) if names else sorted(entries)
        texts, missing = sources.job_texts(held, chosen)
        versions = Versions(held, inputs or invocation.inputs)
        rendered, wrong = render_jobs(held, texts, versions.inputs, versions=versions)
        refuse({**missing, **wrong})
        return _Found(held, dict(sorted(rendered.items())), versions.images)


def _as_json(invocation: Invocation, found: _Found, *, show_secrets: bool) -> dict[str, str]:
    """Return each job as Nomad parses it, as JSON that `nomad job run -json` takes. Effects: reads Nomad."""
    import json

    from dtree.location import Locations
    from dtree.observe import parse_jobs
    from dtree.versions_lock import pin_images

    locations = Locations(found.sources.graph.entries, found.sources.declaration.locator, invocation.namespace)
    parsed, faults = parse_jobs(found.jobs, locations, invocation.cluster)
    refuse(faults)
    secrets = invocation.surroundings.secrets
    pinned = {name: pin_images(job, found.images) for name, job in parsed.items()}
    specs = {name: job.spec if show_secrets else secrets.hide_in(job.spec) for name, job in pinned.items()}
    return {name: json.dumps({"Job": spec}, indent=2, ensure_ascii=False) + "\n" for name, spec in specs.items()}


def _print(invocation: Invocation, found: _Found, shown: Mapping[str, str], *, form: str, show_secrets: bool) -> None:
    parts = []
    is_titled = _is_titled(shown, form=form)
    for name, text in shown.items():
        title = found.title(name) + found.remarks(name) if is_titled else ""
        parts.append(title + (text if text.endswith("\n") else f"{text}\n"))
    invocation.print(("\n" if form == "hcl" else "").join(parts), show_secrets=show_secrets)


def _is_titled(shown: Mapping[str, str], *, form: str, out: Path | None = None) -> bool:
    """Whether each job has a title above it: one alone, JSON and files are to be nothing but the job."""
    return len(shown) > 1 and form == "hcl" and out is None


def _remark(invocation: Invocation, found: _Found, *, images: bool, files: bool) -> None:
    """Say of jobs without titles what else stands there. Effects: writes to standard error."""
    from dtree.views.text import write

    text = "".join((found.title(name) if files else "") + (found.remarks(name) if images else "") for name in found.jobs)
    write(sys.stderr, invocation.surroundings.secrets.hide(text))


def _suffix(text: str) -> str:
    """Return what a job file is by its text, as Nomad tells it: a job of the store may be JSON too."""
    return "json" if text.lstrip().startswith("{") else "hcl"


def _safe(name: str) -> str:
    """Return a job's name as one of a file in any folder: everything that is not plain as %XX."""
    plain = re.sub(_NOT_PLAIN, lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    return f"%2E{plain[1:]}" if plain.startswith(".") else plain


_NOT_PLAIN: Final = r"[^A-Za-z0-9._-]"


def _write(invocation: Invocation, folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Write files, all or, where one of them would be lost, none. Effects: that."""
    try:
        others = [name for name, text in files.items() if os.path.lexists(folder / name) and not _holds(folder / name, text)]
        if others and not force:
            raise DtreeError(
                f"{folder} has {', '.join(others)} already, with something else in {'it' if len(others) == 1 else 'them'}",
                hint="write over with --force, or choose another folder with --out",
                code="file-exists",
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            replace_file(folder / name, text.encode())
    except OSError as error:
        raise DtreeError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="choose another folder with --out",
            code="file-not-written",
        ) from error
    invocation.print("".join(f"{folder / name}\n" for name in files))


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == text.encode()


def _show_difference(invocation: Invocation, names: Sequence[str], refs: tuple[str, str], *, show_secrets: bool) -> int:
    """Print what differs between the jobs of two refs. Returns the exit code."""
    from dtree.views.render_text import difference_text

    old, new = _render_both(invocation, names, refs)
    before, after = (
        {name: (one.jobs[name].file, one.remarks(name) + text) for name, text in one.texts(show_secrets=show_secrets).items()}
        for one in (old, new)
    )
    text = difference_text(before, after, refs=refs, look=invocation.look())
    invocation.print(text or f"No difference between {refs[0]} and {refs[1]}.", show_secrets=show_secrets)
    return EXIT_CHANGES_PENDING if text else EXIT_OK


def _render_both(invocation: Invocation, names: Sequence[str], refs: tuple[str, str]) -> list[_Found]:
    """Render at two refs. A job that only one of them has, and a variable that only one of them reads, are no mistake."""
    from dtree import sources
    from dtree.rendering import UnreadVariable

    sides = [invocation.at_ref(ref, by="--diff") for ref in refs]
    held = []
    for side in sides:
        with side.snapshot() as snapshot:
            held.append(set(sources.read(snapshot, store=side.store_name, asked=names).graph.entries))
    unread = []
    found = []
    for side, others in zip(sides, reversed(held), strict=True):
        inputs = side.inputs
        try:
            found.append(_render(side, names, known=sorted(others)))
        except UnreadVariable as error:
            unread.append(error)
            found.append(_render(side, names, replace(inputs, named=frozenset()), known=sorted(others)))
    if len(unread) == len(sides):
        raise unread[0]
    return found


COMMAND: Final = Command(
    render, {"Templates": config.TEMPLATES, "Nomad (with --format json)": config.NOMAD}, uses_store=True, has_exit_codes=True
)

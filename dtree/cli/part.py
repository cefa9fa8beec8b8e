"""Which part of the dependency file a command line asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtree.errors import UsageError

if TYPE_CHECKING:
    from dtree.sources import Sources

_TAG = "tag="


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the file in the words of the command line.

    Attributes:
        names: of jobs, each once, in the order given.
        tags: those of `--selector`, likewise.
        everything: every job of the file.
        skip, only, with_dependents: as in `plan.Intent`.
    """

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    everything: bool = False
    skip: tuple[str, ...] = ()
    only: bool = False
    with_dependents: bool = False

    def goals(self, sources: Sources) -> tuple[str, ...]:
        """Return the jobs to begin from, sorted. Raises DtreeError where one of the names or tags is unknown, or none is left."""
        from dtree.sources import goals

        return goals(sources, self.names, everything=self.everything, tags=self.tags, skip=self.skip, with_hooks=False)

    @property
    def options(self) -> dict[str, Any]:
        """What an intent has to know of it beside the goals."""
        return {"tags": self.tags, "skip": self.skip, "only": self.only, "with_dependents": self.with_dependents}


def part_of(
    names: Sequence[str] | None,
    options: Sequence[str] | None,
    *,
    verb: str,
    everything: bool,
    selectors: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    only: bool = False,
    with_dependents: bool = False,
) -> Part:
    """Return the part that the words of a command line ask for.

    Args:
        names: the arguments.
        options: the same given by `--job`.

    Raises:
        UsageError: they ask for nothing, or contradict each other.
    """
    tags = tuple(dict.fromkeys(_tag_of(selector) for selector in selectors or ()))
    part = Part(_once(*(names or ()), *(options or ())), tags, everything, _once(*(skip or ())), only, with_dependents)
    if not (part.names or tags or everything):
        hint = f"name one, as in `nomad-dtree {verb} --job NAME`, or give --all for every job of the dependency file"
        raise UsageError(f"which jobs to {verb} is not said", hint=hint)
    if everything:
        _refuse_beside_all(part)
    both = [name for name in part.names if name in part.skip]
    if both:
        raise UsageError(f"'{both[0]}' is asked for and skipped", hint="leave one of the two out")
    return part


def _once(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _tag_of(selector: str) -> str:
    tag = selector.removeprefix(_TAG)
    if tag == selector or not tag:
        hint = f"write --selector {_TAG}{selector}" if selector and "=" not in selector else f"write it as in --selector {_TAG}batch"
        raise UsageError(f"'{selector}' selects nothing: jobs are selected by their tags", hint=hint)
    return tag


def _refuse_beside_all(part: Part) -> None:
    """Refuse what means nothing, or something else, beside `--all`."""
    if part.names:
        raise UsageError("--all and the names of jobs exclude each other", hint="leave one of them out")
    if part.tags:
        raise UsageError("--all and --selector exclude each other", hint="leave one of them out")
    if part.only:
        raise UsageError("--all leaves nothing outside, so --only cannot leave it alone", hint="name jobs, or leave out some with --skip")
    if part.with_dependents:
        raise UsageError("--all is every job already, so --with-dependents adds none", hint="leave one of them out")

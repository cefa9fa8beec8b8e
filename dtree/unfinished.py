"""Which hooks of an earlier stop are not done: read once, before the stop is planned."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from dtree.hooks import moment
from dtree.observe import read_stored
from dtree.parsing import Parsing
from dtree.plan import ObservedJob, Step
from dtree.weaving import Due, find_open, find_unknown, take_up

__all__ = ["with_unfinished"]


def with_unfinished(
    parsing: Parsing, steps: Sequence[Step], observed: Mapping[str, ObservedJob], due: Mapping[str, Due], skip: Collection[str]
) -> tuple[dict[str, Due], tuple[str, ...]]:
    """Add to the hooks that are due those of jobs that are stopped already which have failed since, or still run.

    Args:
        steps, observed: of the stop.
        due: the hooks of what it stops.
        skip: hooks that are left out.

    Returns:
        (all that are due; warnings of those of which nobody can tell, or that have not run since).

    Effects: reads the store and Nomad.
    """
    graph = parsing.sources.graph
    open_ = find_open(graph, steps, observed, skip)
    if not open_:
        return dict(due), ()
    jobs, unread, _ = parsing.parse_known(open_)
    hooks = read_stored(jobs, parsing.cluster, children=False)
    found = take_up(due, open_, hooks)
    warnings = [f"{name}: whether it is done is not known: {fault.sentence}" for name, fault in sorted(unread.items())]
    warnings += [
        f"{name}: runs {moment('post_stop', owners)}, and has not run since then; `nomad-dtree run {name}` makes up for it"
        for name, owners in find_unknown(graph, open_, hooks, observed).items()
        if name not in found
    ]
    return found, tuple(warnings)

"""A graph without cycles as an indented tree: each name once in full, later mentions as references."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter

from dtree.views.style import Look


@dataclass(frozen=True, slots=True)
class OutlineRow:
    """One line of the tree.

    Attributes:
        last: for each level from the top, whether this branch is the last one there; empty for a root.
        reference: the name stands further up in full.
    """

    name: str
    last: tuple[bool, ...]
    reference: bool

    def guide(self, look: Look) -> str:
        """Draw the lines in front of the name."""
        if not self.last:
            return ""
        trunks = ("   " if last else look.mark("trunk") for last in self.last[:-1])
        return "".join(trunks) + look.mark("last" if self.last[-1] else "branch")


def outline(below: Mapping[str, Collection[str]]) -> Iterator[OutlineRow]:
    """Walk the tree from the names that are below no other, names sorted, depth first.

    An edge that a longer way already implies is left out: with `api` needing `db` and `migrate`, and `migrate` needing `db`, `db` stands
    under `migrate` only.

    Args:
        below: name -> names that stand under it; a name without a key of its own is left out.
    """
    children = reduce_edges(below)
    reached = {child for names in children.values() for child in names}
    shown: set[str] = set()
    stack = [OutlineRow(name, (), reference=False) for name in sorted(set(children) - reached, reverse=True)]
    while stack:
        row = stack.pop()
        row = OutlineRow(row.name, row.last, reference=row.name in shown)
        yield row
        if row.reference:
            continue
        shown.add(row.name)
        names = children[row.name]
        stack.extend(OutlineRow(name, (*row.last, name == names[-1]), reference=False) for name in reversed(names))


def without_references(rows: Sequence[OutlineRow]) -> list[OutlineRow]:
    """Leave the references out, and draw the branches anew: what came before them may now be the last of its level."""
    kept: list[OutlineRow] = []
    followed: list[bool] = []  # for each level, whether a sibling comes further down
    for row in reversed(rows):
        if row.reference:
            continue
        depth = len(row.last)
        followed = [*followed[:depth], *[False] * (depth - len(followed))]
        kept.append(replace(row, last=tuple(not follows for follows in followed)))
        if depth:
            followed[-1] = True
    return kept[::-1]


def reduce_edges(below: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Leave out every edge that a longer way implies. O(edges), each on sets kept as bits of an integer.

    Returns:
        name -> sorted names, for every key.
    """
    known = {name: sorted(child for child in set(names) if child in below) for name, names in below.items()}
    bit = {name: 1 << index for index, name in enumerate(known)}
    deep: dict[str, int] = {}  # all that is below a name, at any distance
    reduced: dict[str, tuple[str, ...]] = dict.fromkeys(known, ())
    for name in TopologicalSorter(known).static_order():
        implied = 0
        for child in known[name]:
            implied |= deep[child]
        reduced[name] = tuple(child for child in known[name] if not bit[child] & implied)
        deep[name] = implied
        for child in known[name]:
            deep[name] |= bit[child]
    return reduced

"""A graph without cycles as an indented tree: each name once in full, later mentions as references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Final

from dtree.views.style import Look


@dataclass(frozen=True, slots=True)
class Tie:
    """What an edge says beyond that it is there.

    Attributes:
        told: an edge from further down says as much if it says all of these.
        required: whether it holds whatever becomes of the other end; a way holds if all its edges do.
    """

    told: frozenset[str] = frozenset()
    required: bool = True


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


def outline(below: Mapping[str, Collection[str]], ties: Mapping[tuple[str, str], Tie] | None = None) -> Iterator[OutlineRow]:
    """Walk the tree from the names that are below no other, names sorted, depth first.

    An edge that a longer way already implies is left out: with `api` needing `db` and `migrate`, and `migrate` needing `db`, `db` stands
    under `migrate` only.

    Args:
        below: name -> names that stand under it; a name without a key of its own is left out.
        ties: (name, one that stands under it) -> what the edge says, where that is more than that it is there.
    """
    children = reduce_edges(below, ties)
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


def reduce_edges(below: Mapping[str, Collection[str]], ties: Mapping[tuple[str, str], Tie] | None = None) -> dict[str, tuple[str, ...]]:
    """Leave out every edge that a longer way implies. O(edges), each on sets kept as bits of an integer.

    A way implies an edge if its last edge says all that the edge says, and, for one that is required, if all its edges are. What its
    other edges say does not matter: none of them can be there before what it needs is.

    Returns:
        name -> sorted names, for every key.
    """
    known = {name: sorted(child for child in set(names) if child in below) for name, names in below.items()}
    bit = {name: 1 << index for index, name in enumerate(known)}
    tie = {(name, child): (ties or {}).get((name, child), _PLAIN) for name, children in known.items() for child in children}
    above: dict[str, dict[Tie, int]] = {name: defaultdict(int) for name in known}  # who says what of it
    for (name, child), one in tie.items():
        above[child][one] |= bit[name]
    deep: dict[str, int] = {}  # all that is below a name, at any distance
    firm: dict[str, int] = {}  # all of that which is required all the way
    reduced: dict[str, tuple[str, ...]] = dict.fromkeys(known, ())
    for name in TopologicalSorter(known).static_order():
        deep[name], firm[name] = 0, 0
        for child in known[name]:
            deep[name] |= deep[child] | bit[child]
            firm[name] |= (firm[child] | bit[child]) if tie[name, child].required else 0
        reduced[name] = tuple(
            child
            for child in known[name]
            if not _is_implied(tie[name, child], above[child], firm[name] if tie[name, child].required else deep[name])
        )
    return reduced


_PLAIN: Final = Tie()


def _is_implied(tie: Tie, others: Mapping[Tie, int], ways: int) -> bool:
    """Whether one of those that a way leads to has an edge to the same end that says as much."""
    return any(tie.told <= one.told and tie.required <= one.required and bits & ways for one, bits in others.items())

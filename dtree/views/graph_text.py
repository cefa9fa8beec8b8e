"""A dependency graph as a tree, as dot, as mermaid or as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dtree.declaration import OnUpdate
from dtree.graph import DependencyGraph
from dtree.hooks import Hook, HookKind
from dtree.views.outline import outline
from dtree.views.style import PLAIN, Look
from dtree.views.text import clean

GraphFormat = Literal["tree", "dot", "mermaid", "json"]

EdgeKind = Literal["pre", "post", "barrier"]
"""pre: as written · post: a post job waits for its owner · barrier: waits for a post job of something it needs"""


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """A job waits for another.

    Attributes:
        need: the other one.
        conditions: what that must have reached, where the file says so: on the edge, or as its own `wait_cond`.
    """

    need: str
    kind: EdgeKind
    conditions: tuple[str, ...] = ()
    required: bool = True
    external: bool = False
    on_update: OnUpdate = "none"

    @property
    def marks(self) -> tuple[str, ...]:
        """What tells it from a plain edge, in words."""
        marks = (("optional", not self.required), ("external", self.external), (f"{self.on_update} on update", self.on_update != "none"))
        return (*self.conditions, *(word for word, holds in marks if holds))


Edges = Mapping[str, Sequence[DrawnEdge]]


def graph_text(graph: DependencyGraph, names: Collection[str], form: GraphFormat, *, goals: Sequence[str] = (), look: Look = PLAIN) -> str:
    """Draw the part of a graph that `names` span.

    Args:
        graph: the whole graph.
        names: the jobs to draw, such as a goal's closure.
        form: `tree` has what is needed below, without edges that a longer way implies; the others have every edge, pointing from a job
            to what it waits for. All mark what is waited for, and what is optional or external,
            and which jobs are hooks.
        goals: what was asked for; JSON tells it.
        look: marks of the tree.
    """
    edges = {name: [_edge(graph, name, need) for need in graph.needs[name] if need in names] for name in sorted(names)}
    hooks = {name: hook for name, hook in graph.hooks.items() if name in names}
    moments = {name: told for name in names if (told := graph.moment(name))}
    match form:
        case "tree":
            return _tree(edges, moments, look)
        case "dot":
            return _dot(edges, _around_stops(hooks, names))
        case "mermaid":
            return _mermaid(edges, _around_stops(hooks, names))
        case "json":
            from dtree.views.json_forms import graph_json

            return graph_json(goals, edges, hooks)


def _around_stops(hooks: Mapping[str, Hook], names: Collection[str]) -> list[tuple[str, str, HookKind]]:
    """Return (who waits, for whom, kind) for each owner of a hook that is drawn: its stop waits for the hook, or the hook for its stop."""
    pairs = [(hook, owner, one.kind) for hook, one in hooks.items() for owner in one.owners if owner in names]
    return sorted((owner, hook, kind) if kind == "pre_stop" else (hook, owner, kind) for hook, owner, kind in pairs)


def _tree(edges: Edges, moments: Mapping[str, str], look: Look) -> str:
    if not edges:
        return "No jobs."
    marks = {(name, edge.need): edge.marks for name, needs in edges.items() for edge in needs}
    lines: list[str] = []
    above: list[str] = []  # the way from the root down to the row
    for row in outline({name: [edge.need for edge in needs] for name, needs in edges.items()}):
        above = above[: len(row.last)]
        last = ("above",) if row.reference else (moments[row.name],) if row.name in moments else ()
        told = (*(marks[above[-1], row.name] if above else ()), *last)
        note = f" ({clean(', '.join(told))})" if told else ""
        lines.append(look.paint(row.guide(look), "dim") + clean(row.name) + look.paint(note, "dim"))
        above.append(row.name)
    return "\n".join(lines)


def _dot(edges: Edges, hooks: Sequence[tuple[str, str, HookKind]]) -> str:
    lines = ["digraph dependencies {", "  node [shape=box];"]
    lines.extend(f"  {_dot_id(name)};" for name in edges)
    lines.extend(f"  {_dot_id(name)} -> {_dot_id(edge.need)}{_dot_style(edge)};" for name, needs in edges.items() for edge in needs)
    lines.extend(f"  {_dot_id(name)} -> {_dot_id(other)} [style=dashed, label={_dot_id(kind)}];" for name, other, kind in hooks)
    return "\n".join([*lines, "}"])


def _dot_style(edge: DrawnEdge) -> str:
    style: dict[EdgeKind, list[str]] = {"pre": [], "post": ["style=dashed"], "barrier": ["style=dotted"]}
    label = _label(edge)
    parts = [*style[edge.kind], *([f"label={_dot_id(label)}"] if label else [])]
    return f" [{', '.join(parts)}]" if parts else ""


def _label(edge: DrawnEdge) -> str:
    return ", ".join((*(("post",) if edge.kind == "post" else ()), *edge.marks))


def _dot_id(name: str) -> str:
    r"""Quote a name. The backslash is doubled because a node's name is its label too, where `\N` and the like mean something."""
    escaped = clean(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mermaid(edges: Edges, hooks: Sequence[tuple[str, str, HookKind]]) -> str:
    number = {name: f"j{index}" for index, name in enumerate(edges)}
    lines = ["flowchart TD"]
    lines.extend(f'  {number[name]}["{_mermaid_label(name)}"]' for name in edges)
    lines.extend(f"  {number[name]} {_mermaid_arrow(edge)} {number[edge.need]}" for name, needs in edges.items() for edge in needs)
    lines.extend(f'  {number[name]} -.->|"{kind}"| {number[other]}' for name, other, kind in hooks)
    return "\n".join(lines)


def _mermaid_arrow(edge: DrawnEdge) -> str:
    arrows: dict[EdgeKind, str] = {"pre": "-->", "post": "-.->", "barrier": "-.->"}
    label = _mermaid_label(_label(edge))
    return arrows[edge.kind] + (f'|"{label}"|' if label else "")


def _mermaid_label(name: str) -> str:
    """Write what is neither letter nor digit as an entity code, but for what names are commonly made of."""
    return "".join(char if char.isalnum() or char in " _-./" else f"#{ord(char)};" for char in clean(name))


def _edge(graph: DependencyGraph, name: str, need: str) -> DrawnEdge:
    terms = graph.terms_of(name, need)
    own = graph.post_conditions.get(need) or graph.entries[need].wait_cond
    asked = (own if condition is None else condition for condition in terms.conditions)
    conditions = tuple(dict.fromkeys(str(condition) for condition in asked if condition is not None and condition.name != "ready"))
    return DrawnEdge(need, _kind(graph, name, need), conditions, terms.required, need in graph.externals, terms.on_update)


def _kind(graph: DependencyGraph, name: str, need: str) -> EdgeKind:
    if (need, "pre") in graph.declared.get(name, ()):
        return "pre"
    if (name, "post") in graph.declared.get(need, ()):
        return "post"
    return "barrier"

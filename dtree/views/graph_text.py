"""A dependency graph as a tree, as dot, as mermaid or as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from dtree.graph import DependencyGraph
from dtree.views.outline import outline
from dtree.views.style import PLAIN, Look
from dtree.views.text import clean

GraphFormat = Literal["tree", "dot", "mermaid", "json"]

EdgeKind = Literal["pre", "post", "barrier"]
"""pre: as written · post: a post job waits for its owner · barrier: waits for a post job of something it needs"""

Edges = Mapping[str, Sequence[tuple[str, EdgeKind]]]


def graph_text(graph: DependencyGraph, names: Collection[str], form: GraphFormat, *, goals: Sequence[str] = (), look: Look = PLAIN) -> str:
    """Draw the part of a graph that `names` span.

    Args:
        graph: the whole graph.
        names: the jobs to draw, such as a goal's closure.
        form: `tree` has what is needed below, without edges that a longer way implies; the others have every edge, pointing from a job
            to what it waits for.
        goals: what was asked for; JSON tells it.
        look: marks of the tree.
    """
    edges = {name: [(need, _kind(graph, name, need)) for need in graph.needs[name] if need in names] for name in sorted(names)}
    match form:
        case "tree":
            return _tree(edges, look)
        case "dot":
            return _dot(edges)
        case "mermaid":
            return _mermaid(edges)
        case "json":
            from dtree.views.json_forms import graph_json

            return graph_json(goals, edges)


def _tree(edges: Edges, look: Look) -> str:
    if not edges:
        return "No jobs."
    return "\n".join(
        look.paint(row.guide(look), "dim") + clean(row.name) + (look.paint(" (above)", "dim") if row.reference else "")
        for row in outline({name: [need for need, _ in needs] for name, needs in edges.items()})
    )


def _dot(edges: Edges) -> str:
    styles: dict[EdgeKind, str] = {"pre": "", "post": ' [style=dashed, label="post"]', "barrier": " [style=dotted]"}
    lines = ["digraph dependencies {", "  node [shape=box];"]
    lines.extend(f"  {_dot_id(name)};" for name in edges)
    lines.extend(f"  {_dot_id(name)} -> {_dot_id(need)}{styles[kind]};" for name, needs in edges.items() for need, kind in needs)
    return "\n".join([*lines, "}"])


def _dot_id(name: str) -> str:
    r"""Quote a name. The backslash is doubled because a node's name is its label too, where `\N` and the like mean something."""
    escaped = clean(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mermaid(edges: Edges) -> str:
    arrows: dict[EdgeKind, str] = {"pre": "-->", "post": "-. post .->", "barrier": "-.->"}
    number = {name: f"j{index}" for index, name in enumerate(edges)}
    lines = ["flowchart TD"]
    lines.extend(f'  {number[name]}["{_mermaid_label(name)}"]' for name in edges)
    lines.extend(f"  {number[name]} {arrows[kind]} {number[need]}" for name, needs in edges.items() for need, kind in needs)
    return "\n".join(lines)


def _mermaid_label(name: str) -> str:
    """Write what is neither letter nor digit as an entity code, but for what names are commonly made of."""
    return "".join(char if char.isalnum() or char in " _-./" else f"#{ord(char)};" for char in clean(name))


def _kind(graph: DependencyGraph, name: str, need: str) -> EdgeKind:
    if (need, "pre") in graph.declared.get(name, ()):
        return "pre"
    if (name, "post") in graph.declared.get(need, ()):
        return "post"
    return "barrier"

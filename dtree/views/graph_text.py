"""A dependency graph as a tree, as dot, as mermaid or as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dtree.declaration import Condition, Edge, OnUpdate
from dtree.graph import DependencyGraph
from dtree.hooks import HookKind, hook_edges
from dtree.views.outline import Tie, outline
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


@dataclass(frozen=True, slots=True)
class DrawnHook:
    """A job runs around the stop of another.

    Attributes:
        owner: the other one.
        condition: what the hook must have reached before the stop goes on, where the file says so; "" for nothing said.
    """

    hook: str
    owner: str
    kind: HookKind
    condition: str = ""
    required: bool = True

    @property
    def marks(self) -> tuple[str, ...]:
        """What tells it from a plain hook, in words."""
        return (*((self.condition,) if self.condition else ()), *(() if self.required else ("optional",)))

    @property
    def ends(self) -> tuple[str, str]:
        """Who waits for whom: the stop of the owner for the hook, or the hook for that."""
        return (self.owner, self.hook) if self.kind == "pre_stop" else (self.hook, self.owner)


def graph_text(graph: DependencyGraph, names: Collection[str], form: GraphFormat, *, goals: Sequence[str] = (), look: Look = PLAIN) -> str:
    """Draw the part of a graph that `names` span.

    Args:
        graph: the whole graph.
        names: the jobs to draw, such as a goal's closure.
        form: `tree` has what is needed below, without edges that say no more than a longer way does; the others have every edge, pointing
            from a job to what it waits for. All mark what is waited for, and what is optional or external,
            and which jobs are hooks.
        goals: what was asked for; JSON tells it.
        look: marks of the tree.
    """
    edges = {name: [_edge(graph, name, need) for need in graph.needs[name] if need in names] for name in sorted(names)}
    hooks = {name: hook for name, hook in graph.hooks.items() if name in names}
    around = _around_stops(graph, names)
    match form:
        case "tree":
            moments = {name: told for name in names if (told := _moment(graph, name, around))}
            ties = {(name, edge.need): _tie(graph, name, edge) for name, needs in edges.items() for edge in needs}
            return _tree(edges, ties, moments, look)
        case "dot":
            return _dot(edges, around)
        case "mermaid":
            return _mermaid(edges, around)
        case "json":
            from dtree.views.json_forms import graph_json

            return graph_json(goals, edges, hooks, [_drawn(graph, owner, kind, edge) for owner, kind, edge in _hook_edges(graph, hooks)])


def _hook_edges(graph: DependencyGraph, hooks: Collection[str]) -> list[tuple[str, HookKind, Edge]]:
    """Return each edge to one of the hooks, with its owner, by the owners' names."""
    return [(owner, kind, edge) for owner, entry in graph.entries.items() for kind, edge in hook_edges(entry) if edge.job in hooks]


def _around_stops(graph: DependencyGraph, names: Collection[str]) -> list[DrawnHook]:
    """Return the hooks that are drawn, once for each owner that is drawn too."""
    found = [_drawn(graph, owner, kind, edge) for owner, kind, edge in _hook_edges(graph, names) if owner in names]
    return sorted(found, key=lambda hook: hook.ends)


def _drawn(graph: DependencyGraph, owner: str, kind: HookKind, edge: Edge) -> DrawnHook:
    asked = edge.condition or graph.entries[edge.job].wait_cond
    condition = str(asked) if asked is not None and asked.name != "ready" else ""
    return DrawnHook(edge.job, owner, kind, condition, edge.required)


def _moment(graph: DependencyGraph, name: str, around: Sequence[DrawnHook]) -> str:
    """Say when a hook runs, and what its owners ask of it; where they differ, who asks."""
    own = [hook for hook in around if hook.hook == name]
    owners: dict[str, list[str]] = {}
    for hook in own:
        for mark in hook.marks:
            owners.setdefault(mark, []).append(hook.owner)
    marks = (mark if len(of) == len(own) else f"{mark} for {' and '.join(of)}" for mark, of in owners.items())
    return ", ".join(filter(None, (graph.moment(name), *marks)))


def _tie(graph: DependencyGraph, name: str, edge: DrawnEdge) -> Tie:
    """Say what else has to say so for the edge to go without saying. An update of the one renews nobody but who asks for it."""
    own = graph.post_conditions.get(edge.need) or graph.entries[edge.need].wait_cond or Condition()
    asked = [own if condition is None else condition for condition in graph.terms_of(name, edge.need).conditions]
    told = frozenset[str]().union(*map(_implied, asked))
    return Tie(told | ({f"{edge.on_update} {name}"} if edge.on_update != "none" else set()), edge.required)


def _implied(condition: Condition) -> frozenset[str]:
    """Return a condition, and those that a job has reached as well once it has reached that one."""
    parts = [_implied(part) for part in condition.parts]
    of_parts = frozenset[str]().union(*parts) if condition.name == "all" else frozenset.intersection(*parts) if parts else frozenset()
    started = {"started"} if condition.name in _AFTER_START else set()
    return of_parts | {str(condition), "registered"} | started


_AFTER_START: Final = ("ready", "started", "healthy", "completed", "http", "tcp")


def _tree(edges: Edges, ties: Mapping[tuple[str, str], Tie], moments: Mapping[str, str], look: Look) -> str:
    if not edges:
        return "No jobs."
    marks = {(name, edge.need): edge.marks for name, needs in edges.items() for edge in needs}
    lines: list[str] = []
    above: list[str] = []  # the way from the root down to the row
    for row in outline({name: [edge.need for edge in needs] for name, needs in edges.items()}, ties):
        above = above[: len(row.last)]
        last = ("above",) if row.reference else (moments[row.name],) if row.name in moments else ()
        told = (*(marks[above[-1], row.name] if above else ()), *last)
        note = f" ({clean(', '.join(told))})" if told else ""
        lines.append(look.paint(row.guide(look), "dim") + clean(row.name) + look.paint(note, "dim"))
        above.append(row.name)
    return "\n".join(lines)


def _dot(edges: Edges, hooks: Sequence[DrawnHook]) -> str:
    lines = ["digraph dependencies {", "  node [shape=box];"]
    lines.extend(f"  {_dot_id(name)};" for name in edges)
    lines.extend(f"  {_dot_id(name)} -> {_dot_id(edge.need)}{_dot_style(edge)};" for name, needs in edges.items() for edge in needs)
    for hook in hooks:
        name, other = hook.ends
        lines.append(f"  {_dot_id(name)} -> {_dot_id(other)} [style=dashed, label={_dot_id(_hook_label(hook))}];")
    return "\n".join([*lines, "}"])


def _dot_style(edge: DrawnEdge) -> str:
    style: dict[EdgeKind, list[str]] = {"pre": [], "post": ["style=dashed"], "barrier": ["style=dotted"]}
    label = _label(edge)
    parts = [*style[edge.kind], *([f"label={_dot_id(label)}"] if label else [])]
    return f" [{', '.join(parts)}]" if parts else ""


def _label(edge: DrawnEdge) -> str:
    return ", ".join((*(("post",) if edge.kind == "post" else ()), *edge.marks))


def _hook_label(hook: DrawnHook) -> str:
    return ", ".join((hook.kind, *hook.marks))


def _dot_id(name: str) -> str:
    r"""Quote a name. The backslash is doubled because a node's name is its label too, where `\N` and the like mean something."""
    escaped = clean(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _mermaid(edges: Edges, hooks: Sequence[DrawnHook]) -> str:
    number = {name: f"j{index}" for index, name in enumerate(edges)}
    lines = ["flowchart TD"]
    lines.extend(f'  {number[name]}["{_mermaid_label(name)}"]' for name in edges)
    lines.extend(f"  {number[name]} {_mermaid_arrow(edge)} {number[edge.need]}" for name, needs in edges.items() for edge in needs)
    for hook in hooks:
        name, other = hook.ends
        lines.append(f'  {number[name]} -.->|"{_mermaid_label(_hook_label(hook))}"| {number[other]}')
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

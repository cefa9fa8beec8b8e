"""Which jobs a run or a stop is about, and for each job of the file why it is in or out. Pure.

The goals, with `--with-dependents` all that needs them, then what these need (`--only`: nothing) and their post jobs. What is skipped is
left out wherever it comes up, and what is needed only through it with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dtree.graph import DependencyGraph, refuse_unknown
from dtree.plan import Intent, LeftOut


@dataclass(frozen=True, slots=True)
class Choice:
    """The part of a dependency file that was asked for.

    Attributes:
        reasons: the jobs of the part, each with why it is in: `goal`, `tag batch`, `needed by api`, `post job of db`, `needs db
            (--with-dependents)`.
        outside: jobs that the part needs, cannot do without and does not have -> the jobs of the part that need them, sorted.
        out: all other jobs of the file, sorted, each with why it is out.
    """

    reasons: Mapping[str, str]
    outside: Mapping[str, tuple[str, ...]]
    out: tuple[LeftOut, ...]


def choose(graph: DependencyGraph, intent: Intent) -> Choice:
    """Choose what an intent is about.

    Raises:
        GoalError: a goal, or a job to skip, that the graph does not know.
    """
    refuse_unknown(graph, (*intent.goals, *intent.skip))
    part = _Part(graph, intent)
    if intent.with_dependents:
        part.add_dependents()
    part.add_needs(follow=intent.deep if intent.verb == "stop" else not intent.only)
    if intent.verb == "stop":
        part.leave_externals()
    reasons = part.reasons
    outside: dict[str, list[str]] = {}
    for name in sorted(reasons):
        for need in graph.needs[name]:
            if need not in reasons and graph.terms_of(name, need).required:
                outside.setdefault(need, []).append(name)
    return Choice(
        reasons,
        outside={need: tuple(users) for need, users in sorted(outside.items())},
        out=tuple(LeftOut(name, why) for name, why in sorted(part.why_out().items())),
    )


class _Part:
    """A part of a graph that grows.

    Attributes:
        reasons: as in `Choice`, in the order in which the jobs came in.
    """

    def __init__(self, graph: DependencyGraph, intent: Intent) -> None:
        self._graph = graph
        self._intent = intent
        self._skipped = frozenset(intent.skip)
        self._posts = {name: graph.posts(name) for name in graph.entries}
        self._owner = {post: name for name in reversed(self._posts) for post in self._posts[name]}
        self.reasons = {goal: self._why_goal(goal) for goal in intent.goals}

    def add_dependents(self) -> None:
        """Add what needs the goals; also what needs them only through a job that is skipped."""
        seen = set(self.reasons)
        todo = deque(self.reasons)
        while todo:
            name = todo.popleft()
            for user in self._graph.dependents[name]:
                if user in seen:
                    continue
                seen.add(user)
                todo.append(user)
                if user not in self._skipped and user not in self._graph.aside:
                    self.reasons[user] = f"post job of {name}" if user in self._posts[name] else f"needs {name} (--with-dependents)"

    def add_needs(self, *, follow: bool) -> None:
        """Add the post jobs of all, and with `follow` what they need."""
        todo = deque(self.reasons)
        while todo:
            name = todo.popleft()
            for other, why in self._near(name, follow=follow):
                if other not in self.reasons and other not in self._skipped:
                    self.reasons[other] = why
                    todo.append(other)

    def leave_externals(self) -> None:
        """Leave out what belongs to others."""
        self.reasons = {name: why for name, why in self.reasons.items() if name not in self._graph.externals}

    def why_out(self) -> dict[str, str]:
        """Return why each of the other jobs is out."""
        found = {name: f"runs {self._graph.moment(name)}" for name in sorted(self._graph.aside.difference(self.reasons))}
        found |= dict.fromkeys(self._intent.skip, "skipped")
        if self._intent.verb == "stop":
            found |= dict.fromkeys(sorted(self._graph.externals), "external: others run it")
        self._say_needed(found)
        if not self._intent.with_dependents:
            self._say_dependent(found)
        found |= dict.fromkeys(self._graph.absent, "has no job file, and whoever names it can do without")
        rest = [name for name in self._graph.entries if name not in self.reasons and name not in found]
        return {**found, **dict.fromkeys(rest, "not asked for, and nothing that is needs it")}

    def _why_goal(self, goal: str) -> str:
        tag = next((tag for tag in self._graph.entries[goal].tags if tag in self._intent.tags), None)
        return "goal" if tag is None else f"tag {tag}"

    def _near(self, name: str, *, follow: bool) -> Iterator[tuple[str, str]]:
        """Yield the post jobs of a job and with `follow` its needs, each with what it is to the job."""
        for post in self._posts[name]:
            yield post, f"post job of {name}"
        written = {other for other, kind in self._graph.declared[name] if kind == "pre"} if follow else ()
        for need in self._graph.needs[name] if follow else ():
            # Whoever needs a job waits for its post jobs too, which is no need of its own in the file.
            is_written = need in written or need not in self._owner
            yield need, f"needed by {name}" if is_written else f"post job of {self._owner[need]}"

    def _say_needed(self, found: dict[str, str]) -> None:
        """Say of what the part needs, directly or not, for what it is needed and what leaves it out."""
        way = "left out by --only" if self._intent.verb == "run" else "left as it is without --deep"
        seen = set(self.reasons)
        todo = deque(self.reasons)
        while todo:
            name = todo.popleft()
            because = way if name in self.reasons else "which is skipped" if name in self._skipped else "which is left out"
            for need, why in self._near(name, follow=True):
                if need not in seen:
                    seen.add(need)
                    todo.append(need)
                    found.setdefault(need, f"{why}, {because}")

    def _say_dependent(self, found: dict[str, str]) -> None:
        """Say of what needs the goals, directly or not, that it might come along."""
        todo = deque(self._intent.goals)
        while todo:
            name = todo.popleft()
            for user in self._graph.dependents[name]:
                if user not in self.reasons and user not in found:
                    found[user] = f"needs {name}, left out without --with-dependents"
                    todo.append(user)

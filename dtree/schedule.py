"""What may start, and what is lost: a plan plus the results so far. Pure; each event costs as much as its step has edges."""

from __future__ import annotations

import heapq
from collections.abc import Collection

from dtree.declaration import Condition
from dtree.plan import Plan


class Schedule:
    """The order of a plan's steps as a run unfolds.

    A step is free once each of its needs has reached what the step asks of it, or broke where the step can do without; free steps come out
    in plan order. A step that broke takes all that (transitively) require it along, each once, reported under the one that broke.
    """

    def __init__(self, plan: Plan) -> None:
        self._position = {step.name: position for position, step in enumerate(plan.steps)}
        self._names = [step.name for step in plan.steps]
        self._missing = dict.fromkeys(self._names, 0)
        self._dependents: dict[str, list[str]] = {step.name: [] for step in plan.steps}
        self._waiting: dict[str, dict[Condition, list[str]]] = {step.name: {} for step in plan.steps}
        self._optional = {step.name: frozenset(step.optional) for step in plan.steps if step.optional}
        own = {step.name: (step.condition,) for step in plan.steps}
        self._asked = {(step.name, need): step.edges.get(need, own[need]) for step in plan.steps for need in step.needs}
        for step in plan.steps:
            for need in step.needs:
                self._dependents[need].append(step.name)
                for condition in self._asked[step.name, need]:
                    self._waiting[need].setdefault(condition, []).append(step.name)
                    self._missing[step.name] += 1
        self._free = [self._position[name] for name, count in self._missing.items() if count == 0]
        heapq.heapify(self._free)
        self._open = set(self._names)

    @property
    def has_free(self) -> bool:
        """Whether a step may start now."""
        return bool(self._free)

    def start(self) -> str:
        """Take the first free step."""
        name = self._names[heapq.heappop(self._free)]
        self._open.discard(name)
        self._uncover()
        return name

    def reached(self, name: str, condition: Condition) -> None:
        """Note that a started step has reached a condition, which may free others; a second time changes nothing."""
        for dependent in self._waiting[name].pop(condition, ()):
            self._meet(dependent)

    def done(self, name: str) -> None:
        """Note that a started step is ready, with all that it had to reach."""
        for condition in list(self._waiting[name]):
            self.reached(name, condition)

    def again(self, name: str, needs: Collection[str]) -> None:
        """Note that a started step starts once more when some of its needs, which were ready, are so again."""
        self._open.add(name)
        for need in needs:
            for condition in self._asked[name, need]:
                self._waiting[need].setdefault(condition, []).append(name)
                self._missing[name] += 1

    def broke(self, name: str, *, is_spared: bool = True) -> tuple[str, ...]:
        """Note that a step broke; return the steps lost with it that have not started, in plan order. Who can do without it may start.

        Args:
            is_spared: False: nobody can do without it, nor without what is lost with it.
        """
        lost: set[str] = set()
        spared: dict[str, set[str]] = {}
        todo = [name]
        while todo:
            broken = todo.pop()
            for dependent in self._dependents[broken]:
                if is_spared and broken in self._optional.get(dependent, ()):
                    spared.setdefault(broken, set()).add(dependent)
                elif dependent in self._open and dependent not in lost:
                    lost.add(dependent)
                    todo.append(dependent)
        self._give_up(lost)
        for broken, dependents in spared.items():
            self._do_without(broken, dependents)
        return tuple(sorted(lost, key=self._position.__getitem__))

    def break_off(self) -> tuple[str, ...]:
        """Start nothing more; return the steps that had not started, in plan order."""
        left = tuple(sorted(self._open, key=self._position.__getitem__))
        self._give_up(set(left))
        return left

    def _do_without(self, broken: str, dependents: set[str]) -> None:
        for condition, waiting in self._waiting[broken].items():
            self._waiting[broken][condition] = [one for one in waiting if one not in dependents]
            for dependent in waiting:
                if dependent in dependents:
                    self._meet(dependent)

    def _meet(self, dependent: str) -> None:
        self._missing[dependent] -= 1
        if self._missing[dependent] == 0 and dependent in self._open:
            heapq.heappush(self._free, self._position[dependent])

    def _give_up(self, names: set[str]) -> None:
        self._open -= names
        self._uncover()

    def _uncover(self) -> None:
        """Take what was given up off the top of the heap; what lies deeper waits until it gets there."""
        while self._free and self._names[self._free[0]] not in self._open:
            heapq.heappop(self._free)

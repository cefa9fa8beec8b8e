"""What answers beside Nomad's lists in a made-up world: services, addresses and logs, each from the moment that a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dtree.errors import NotAnswered
from dtree.model import CheckResult
from tests.fakes.clock import FakeClock


@dataclass
class Surroundings:
    """Nothing answers until a test lets it.

    Attributes:
        piece_bytes: how much of a log one reading gives.
        kept_bytes: how much of a log there is; what is older was rotated away.
    """

    clock: FakeClock
    piece_bytes: int = 1 << 20
    kept_bytes: int = 1 << 30
    _services: dict[tuple[str, str, str], list[tuple[float, Any]]] = field(default_factory=dict)
    _listening: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    _written: dict[tuple[str, str, str], list[tuple[float, Any]]] = field(default_factory=dict)

    def offer(self, job_id: str, service: str, *checks: CheckResult, provider: str = "nomad", after_s: float = 0.0) -> None:
        """Let the allocations of a job, or one of them by its ID, register a service, with these checks."""
        self._put(self._services, (job_id, service, provider), checks, after_s)

    def listen(self, target: str, status: int = 200, *, after_s: float = 0.0) -> None:
        """Let a URL answer with a status, or HOST:PORT accept connections."""
        self._put(self._listening, target, status, after_s)

    def write(self, job_id: str, text: str, *, task: str = "work", stream: str = "stdout", after_s: float = 0.0) -> None:
        """Let every allocation of a job have written more to its log."""
        self._put(self._written, (job_id, task, stream), text, after_s)

    def registered(self, ids: tuple[str, str], service: str, provider: str) -> tuple[CheckResult, ...] | None:
        found: list[tuple[CheckResult, ...]] = [one for known in ids for one in self._so_far(self._services, (known, service, provider))]
        return found[-1] if found else None

    def status(self, target: str) -> int:
        found: list[int] = self._so_far(self._listening, target)
        if not found:
            raise NotAnswered("nothing listens there")
        return found[-1]

    def log(self, job_id: str, task: str, stream: str, offset: int) -> bytes:
        text: str = "".join(self._so_far(self._written, (job_id, task, stream)))
        kept = text.encode()[-self.kept_bytes :]
        return kept[offset:][: self.piece_bytes]

    def _put(self, table: dict[Any, list[tuple[float, Any]]], key: object, value: object, after_s: float) -> None:
        table.setdefault(key, []).append((self.clock.now_s() + after_s, value))

    def _so_far(self, table: dict[Any, list[tuple[float, Any]]], key: object) -> list[Any]:
        return [value for since_s, value in table.get(key, ()) if since_s <= self.clock.now_s()]

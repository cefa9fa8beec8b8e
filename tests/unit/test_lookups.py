"""What templates ask for beside the store is asked once, whatever the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from dtree.cli.lookups import Lookups
from dtree.errors import NotAnswered
from dtree.render import Unanswered
from dtree.secrets import Secrets


@dataclass
class Answer:
    items: dict[str, str] = field(default_factory=dict)
    value: bytes = b""


class Servers:
    """Consul and Nomad's Variables, which are another each time that they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, path: str) -> Answer | None:
        self.asked.append(path)
        number = len(self.asked)
        return Answer({"user": f"u{number}", "password": f"secret-{number}"}) if path != "none" else None

    def get(self, path: str) -> Answer:
        self.asked.append(path)
        if path == "away":
            raise NotAnswered("nobody is there")
        return Answer(value=str(len(self.asked)).encode())


def lookups(servers: Any) -> Lookups:
    return Lookups({}, (), lambda: servers, lambda: servers, Secrets())


def test_what_was_answered_is_said_again() -> None:
    servers = Servers()
    ask = lookups(servers)
    assert [ask("consul", "key"), ask("consul", "key")] == ["1", "1"]
    assert servers.asked == ["key"]


def test_the_items_of_a_variable_are_of_one_state_of_it() -> None:
    servers = Servers()
    ask = lookups(servers)
    assert [ask("nomad", "db", "user"), ask("nomad", "db", "password")] == ["u1", "secret-1"]
    assert servers.asked == ["db"]


@pytest.mark.parametrize("question", [("consul", "away"), ("nomad", "none", "user")])
def test_what_was_refused_is_refused_again(question: tuple[str, ...]) -> None:
    servers = Servers()
    ask = lookups(servers)
    for _ in range(2):
        with pytest.raises(Unanswered):
            ask(*question)
    assert len(servers.asked) == 1

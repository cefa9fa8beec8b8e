"""Two Nomad agents on loopback that know of each other: regions `global` and `eu`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dtree.demo.agent import Agent
from tests.servers.eventually import eventually

REGION: Final = "eu"
_BOTH: Final = [REGION, "global"]


@dataclass(frozen=True)
class Federation:
    """`home` is in region `global`, `abroad` in region `eu`."""

    home: Agent
    abroad: Agent


@contextmanager
def federated(nomad_program: Path, config: dict[str, Any]) -> Iterator[Federation]:
    """Start an agent in each region and wait until each knows of the other."""
    with Agent(nomad_program, config=config) as home, Agent(nomad_program, config={**config, "region": REGION}) as abroad:
        ports = json.loads((abroad.folder / "ours.json").read_text())["ports"]
        home.api.put("/v1/agent/join", address=f"127.0.0.1:{ports['serf']}")
        eventually(lambda: [home.api.get("/v1/regions"), abroad.api.get("/v1/regions")] == [_BOTH, _BOTH])
        yield Federation(home, abroad)

"""Builds the servers that the tests need, those that are not there yet: `python -m tests.servers.programs`."""

from __future__ import annotations

from dtree.demo.binary import NOMAD, build_programs
from tests.servers.consul_agent import CONSUL

if __name__ == "__main__":
    build_programs([NOMAD, CONSUL])

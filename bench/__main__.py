"""Measure everything and write the tables into docs/benchmarks.md: `python -m bench`, or `python -m bench startup large` for a part."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import floor, large, layers, seed, startup, stores, templates, waiting
from bench.figures import Section, markdown
from dtree.demo.agent import Agent
from dtree.demo.binary import find_nomad

_PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BEGIN = "<!-- figures: written by `make bench` -->"
_END = "<!-- end of figures -->"

_OFFLINE: dict[str, Callable[[], Section]] = {"startup": startup.measure, "large": large.measure, "templates": templates.measure}
_ON_NOMAD: dict[str, Callable[[Agent], Section]] = {
    "stores": stores.measure,
    "seed": seed.measure,
    "waiting": waiting.measure,
    "layers": layers.measure,
}


def main(wanted: Sequence[str]) -> int:
    """Measure; print the tables, and where all was measured write them to the page.

    Effects: starts and ends a Nomad agent on loopback and many processes; writes docs/benchmarks.md.
    """
    names = wanted or (*_OFFLINE, *_ON_NOMAD)
    load = os.getloadavg()[0]
    started_s = time.monotonic()
    sections = [_told(name, measure) for name, measure in _OFFLINE.items() if name in names]
    version = "not asked"
    if any(name in names for name in _ON_NOMAD):
        with floor.roomy_agent(find_nomad()) as agent:
            version = str(agent.api.get("/v1/agent/self")["config"]["Version"]["Version"])
            sections += [_told(name, partial(measure, agent)) for name, measure in _ON_NOMAD.items() if name in names]
    machine = (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, Nomad {version}; "
        f"load average {load:.1f} before the first measurement; all of it took {time.monotonic() - started_s:.0f} s."
    )
    text = markdown(sections, machine)
    print(text)
    if not wanted:
        _write(text)
    return 0


def _told(name: str, measure: Callable[[], Section]) -> Section:
    print(f"measuring: {name}", file=sys.stderr, flush=True)
    return measure()


def _write(text: str) -> None:
    page = _PAGE.read_text()
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")
    print(f"written to {_PAGE}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Jobs to measure with. Mock tasks: they take no CPU, so what is measured is Nomad and whoever drives it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

Needs = Mapping[str, Sequence[str]]
"""Job -> the jobs that must be ready before it, each named before whoever needs it."""

_TEXT = """job "{id}" {{
  type = "{type}"
{update}  group "main" {{
    task "main" {{
      driver = "mock_driver"
      config {{
        start_block_for = "{start}"
        run_for         = "{run}"
      }}
      logs {{
        disabled = true
      }}
      resources {{
        cpu    = 10
        memory = 10
      }}
    }}
  }}
}}
"""
# Healthy as soon as it runs: any wait of Nomad's own would hide ours.
_UPDATE = """  update {{
    min_healthy_time = "{healthy_after_s}s"
    healthy_deadline = "120s"
  }}
"""


def service(job_id: str, *, start_ms: int = 0, healthy_after_s: int = 0) -> str:
    """Return the file of a service that takes so long to start, and is healthy so long after that."""
    update = _UPDATE.format(healthy_after_s=healthy_after_s)
    return _TEXT.format(id=job_id, type="service", update=update, start=f"{start_ms}ms", run="1h")


def batch(job_id: str, *, run_ms: int) -> str:
    """Return the file of a job that completes after so long."""
    return _TEXT.format(id=job_id, type="batch", update="", start="0ms", run=f"{run_ms}ms")


def write(folder: Path, texts: Mapping[str, str], entries: Mapping[str, object]) -> None:
    """Write a dependency file and its job files. Effects: writes below `folder`."""
    (folder / "jobs").mkdir(parents=True)
    for name, text in texts.items():
        (folder / "jobs" / f"{name}.nomad").write_text(text)
    (folder / "dependency.json").write_text(json.dumps({"dependencies": entries}, indent=1))


def layered(layers: int, width: int, *, needs: int = 3) -> Needs:
    """Return a graph of layers in which each job needs some of the layer above it, spread evenly."""
    names = [[f"l{layer:02}-{place:03}" for place in range(width)] for layer in range(layers)]
    graph: dict[str, Sequence[str]] = dict.fromkeys(names[0], ())
    for above, here in pairwise(names):
        for place, name in enumerate(here):
            graph[name] = sorted({above[(place * 7 + step * 5) % width] for step in range(needs)})
    return graph

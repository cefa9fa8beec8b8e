"""Plan all jobs of a dependency file as new ones, without Nomad: `python -m bench.planning FILE`. Its whole process is what is measured."""

from __future__ import annotations

import sys
from pathlib import Path

from dtree import decide, depfile, graph
from dtree.model import DryRun, JobRef, JobSnapshot, RenderedJob
from dtree.plan import Intent, ObservedJob
from dtree.provenance import Source


def main(path: Path) -> None:
    """Plan, and say how many steps came out. Effects: reads the file."""
    declaration = depfile.parse(path.name, path.read_bytes(), title="bench")
    known = graph.build(declaration, ())
    goals = tuple(sorted(known.entries))
    names = graph.select(known, goals)
    jobs = {name: RenderedJob(name, JobRef("default", name), f"{name}.nomad", "", "hcl2", {"ID": name}) for name in names}
    observed = {name: ObservedJob(JobSnapshot(job.ref, None), DryRun("Added", {"main": {"place": 1}}, 0)) for name, job in jobs.items()}
    steps = decide.make_run(known, names, jobs, observed, Intent("run", goals), source=Source("bench", "memory", "1"))
    print(f"{len(steps)} steps")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

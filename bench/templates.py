"""A thousand job files that are templates, rendered without Nomad, against the template engine alone on the same texts."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench import jobs
from bench.figures import Figure, Section
from bench.processes import program, run

_JOBS = 1000
_ROUNDS = 5
_ROOT = Path(__file__).parent.parent
_TEMPLATE = """job "%s-[[ stage ]]" {
  datacenters = ["dc1"]
  type        = "service"
  meta {
    release = "[[ version ]]"
  }
  group "main" {
    count = [[ replicas ]]
    network {
      port "http" {}
    }
    [%% if checked %%]
    service {
      name = "%s"
      port = "http"
    }
    [%% endif %%]
    task "main" {
      driver = "docker"
      config {
        image = "registry.example/app:[[ version ]]"
        ports = ["http"]
      }
      env {
        REGION = "[[ region ]]"
        LOG    = "[[ level | default("info") ]]"
      }
      template {
        data        = "{{ key \\"app/config\\" }}"
        destination = "local/config"
      }
      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
"""
VALUES = {"stage": "prod", "replicas": 3, "checked": True, "region": "eu"}
"""Of the variables; each job's version is 1.4.2."""


def measure() -> Section:
    """Measure both in turn. Effects: starts processes; writes a thousand small files and removes them."""
    names = [f"job-{number:04}" for number in range(_JOBS)]
    with tempfile.TemporaryDirectory(prefix="dtree-bench-") as name:
        folder = Path(name, "templates")
        entries = {job: {"version": "1.4.2", "vars": VALUES} for job in names}
        jobs.write(folder, {job: _TEMPLATE % (job, job) for job in names}, entries)
        alone = [sys.executable, "-m", "bench.jinja", str(folder / "jobs")]
        ours, floor = [], []
        for _ in range(_ROUNDS):
            ours.append(run([*program(), "render"], folder=folder).wall_s)
            floor.append(run(alone, folder=_ROOT).wall_s)
    base = Figure("floor: jinja2 alone, in one process, without a sandbox", "s", tuple(floor))
    figures = (base, Figure("`nomad-dtree render` of all", "s", tuple(ours), base, aim=1.0))
    note = (
        f"{_JOBS:,} templates of 45 lines, with six expressions and a condition each; whole processes, start-up included; {_ROUNDS} rounds."
    )
    return Section("1,000 templates, without Nomad", note, figures)

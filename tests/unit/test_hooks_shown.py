"""Hooks in every view: what the end of a stop says of them, its lines, the graph and the status."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC
from textwrap import dedent
from typing import Any

from dtree import depfile, pipeline
from dtree.events import Event, StepStarted
from dtree.graph import DependencyGraph, build
from dtree.record import RunRecord, fold
from dtree.views.graph_text import graph_text
from dtree.views.json_forms import plan_json
from dtree.views.lines import Lines
from dtree.views.plan_text import plan_text
from dtree.views.status_text import status_text
from dtree.views.summary import summary_text
from tests.fakes.scripts import fails, well
from tests.fakes.world import World

FILE = {
    "api": {"pre": "db"},
    "db": {"pre": "disk", "pre_stop": "backup", "post_stop": "wipe"},
    "disk": {},
    "backup": {"pre": "db", "post": "verify"},
}
KINDS = {"backup": "batch", "wipe": "batch", "verify": "batch"}


def text(golden: str) -> str:
    return dedent(golden).strip("\n")


def shop(scripts: Any = None) -> World:
    world = World(FILE, scripts, kinds=KINDS)
    for name in ("api", "db", "disk"):
        world.cluster.has(world.job(name))
    return world


def stopped(world: World) -> RunRecord:
    return world.stop("api", "db", "disk")


def graph() -> DependencyGraph:
    return build(depfile.parse("dependency.json", json.dumps({"dependencies": FILE}).encode(), title="shop"), tuple(KINDS))


def lines(events: Sequence[Event]) -> list[str]:
    stream = io.StringIO()
    with Lines(stream, zone=UTC) as view:
        for event in events:
            view(event)
    return [line[len("00:00:00 ") :] for line in stream.getvalue().splitlines()]


def test_the_end_of_a_stop_counts_hooks_apart() -> None:
    assert summary_text(stopped(shop())) == "Done: 3 stopped, 3 ready in 0.0 s"


def test_the_end_of_a_stop_says_what_was_left_alone_because_of_a_hook() -> None:
    told = summary_text(stopped(shop({"backup": fails(1.0, code=4)})))
    assert "    not started because of it: verify, wipe\n    not stopped because of it: db, disk\n" in told
    assert told.splitlines()[-1].startswith("Failed: 1 failed, 2 not stopped, 2 not started, 1 stopped in 1.")


def test_an_interrupted_stop_with_hooks_speaks_of_what_is_done() -> None:
    world = shop({"backup": well(60.0)})
    world.when(lambda event: isinstance(event, StepStarted) and event.job == "backup", lambda: world.clock.after(1.0, world.interrupt))
    told = summary_text(stopped(world))
    assert (
        text("""
        Interrupted by SIGINT; nothing was undone:
          done          api
          not yet done  backup (version 0 registered: 0 of 1 allocation completed)
          not begun     verify, db, wipe, disk
        Run the same command again to go on; what is done stays as it is.
    """)
        in told
    )
    assert told.splitlines()[-1] == "Interrupted: 1 not yet ready, 2 not stopped, 2 not started, 1 stopped in 1.0 s"


def test_the_lines_of_a_stop_say_what_becomes_of_a_hook_in_words_of_a_run() -> None:
    world = shop({"backup": well(2.0)})
    stopped(world)
    told = lines(world.events)
    assert "backup  creating: before db is stopped: not in Nomad yet" in told
    assert "backup  waiting: 0 of 1 allocation completed" in told
    assert any(line.startswith("backup  ready in 2.0 s") for line in told)
    assert any(line.startswith("db      stopped in ") for line in told)


def test_a_plan_of_a_stop_says_why_a_hook_is_in() -> None:
    plan = shop().plan("db", verb="stop", with_dependents=True)
    told = plan_text(plan, address="http://nomad").splitlines()
    assert told[0].startswith("stop db: 5 steps, ")
    assert told[3].split() == ["2", "+", "backup", "create", "after", "api", "before", "db", "is", "stopped:", "not", "in", "Nomad", "yet"]
    steps = {step["job"]: step for step in json.loads(plan_json(plan, address=""))["steps"]}
    assert {name: steps[name]["reason"] for name in ("backup", "verify", "wipe")} == {
        "backup": "pre_stop job of db",
        "verify": "post job of backup",
        "wipe": "post_stop job of db",
    }


def test_a_tree_marks_hooks() -> None:
    expected = text("""
        api
        └─ db
           └─ disk
        verify (with backup)
        └─ backup (before db is stopped)
           └─ db (above)
        wipe (after db is stopped)
    """)
    assert graph_text(graph(), FILE.keys() | KINDS, "tree") == expected


def test_dot_mermaid_and_json_mark_hooks() -> None:
    dot, mermaid = (graph_text(graph(), FILE.keys() | KINDS, form).splitlines() for form in ("dot", "mermaid"))
    assert dot[-3:-1] == [
        '  "db" -> "backup" [style=dashed, label="pre_stop"];',
        '  "wipe" -> "db" [style=dashed, label="post_stop"];',
    ]
    assert mermaid[-2:] == ['  j2 -.->|"pre_stop"| j1', '  j5 -.->|"post_stop"| j2']
    assert '"wipe" -> "db"' not in graph_text(graph(), {"wipe"}, "dot")
    jobs = {job["job"]: job["hook"] for job in json.loads(graph_text(graph(), FILE.keys() | KINDS, "json"))["jobs"]}
    edges = [{"owner": "db", "condition": "", "required": True}]
    assert (jobs["wipe"], jobs["verify"]) == ({"kind": "post_stop", "owners": ["db"], "edges": edges}, None)


def test_a_drawing_says_what_is_asked_of_a_hook_and_by_whom_where_they_differ() -> None:
    entries = {
        "db": {"pre_stop": [{"job": "backup", "condition": "completed", "required": False}, {"job": "drain", "required": False}]},
        "api": {"pre_stop": [{"job": "backup", "required": False}]},
        "slow": {"wait_cond": 5},
        "web": {"post_stop": ["slow"]},
    }
    parsed = depfile.parse("d.json", json.dumps({"dependencies": entries}).encode(), title="shop")
    found = build(parsed, ("backup", "drain", "slow"))
    rows = graph_text(found, found.needs, "tree").splitlines()
    assert rows[1] == "backup (before api and db are stopped, optional, completed for db)"
    assert rows[3:] == ["drain (before db is stopped, optional)", "slow (after web is stopped, 5 s after start)", "web"]
    assert '  "db" -> "backup" [style=dashed, label="pre_stop, completed, optional"];' in graph_text(found, found.needs, "dot")
    assert '-.->|"post_stop#44; 5 s after start"|' in graph_text(found, found.needs, "mermaid")
    (backup,) = (one["hook"] for one in json.loads(graph_text(found, found.needs, "json"))["jobs"] if one["job"] == "backup")
    assert backup["edges"] == [
        {"owner": "api", "condition": "", "required": False},
        {"owner": "db", "condition": "completed", "required": False},
    ]


def test_status_does_not_miss_a_hook_that_has_not_run_yet() -> None:
    world = shop()
    sources = pipeline.read(world.snapshot(), store="memory")
    rows = pipeline.status(sources, world.cluster, sorted(sources.graph.entries), namespace="")
    assert {row.job: (row.health, row.hook) for row in rows} == {
        "api": ("Healthy", ""),
        "db": ("Healthy", ""),
        "disk": ("Healthy", ""),
        "backup": ("Suspended", "before db is stopped"),
        "verify": ("Suspended", "with backup"),
        "wipe": ("Suspended", "after db is stopped"),
    }
    assert "runs before db is stopped" in status_text(rows)


def test_the_record_of_a_stop_with_hooks_is_what_its_events_say() -> None:
    world = shop()
    record = stopped(world)
    assert fold(world.events) == record

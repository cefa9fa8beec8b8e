"""Every broken job file gets its exact words, and nothing of its tree is registered.

A case is a folder below `bad_jobs`: job files, a dependency file where the usual one does not do, and `expected.txt`, the whole of what a
user reads. The job `bad` needs the job `good`, which is sound and would be registered first.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.servers.scenario import Scenario

FOLDER: Final = Path(__file__).parent / "bad_jobs"
CASES: Final = sorted(path.name for path in FOLDER.iterdir())

# What editors and Git would not leave alone.
MADE: Final = {
    "binary": {"bad.nomad": b"\x7fELF\x02\x01\x01\x00" + bytes(range(256))},
    "nested-blocks": {"bad.nomad": b'job "bad" ' + b"{\n a " * 5000},
    "nested-json": {"bad.json": b'{"ID": "bad", "TaskGroups": ' + b"[" * 100_000},
    "nested-lists": {"bad.nomad": b'job "bad" {\n  meta {\n    x = ' + b"[" * 100_000 + b"\n"},
    "not-utf-8": {"bad.nomad": 'job "bad" {\n  # Grüße\n}\n'.encode("latin-1")},
    "nul-characters": {"bad.nomad": b'job "bad" {\n\x00\x00\n}\n'},
    "utf-16": {"bad.nomad": 'job "bad" {\n}\n'.encode("utf-16")},
}


def lay_out(case: str, scenario: Scenario) -> None:
    """Write the case's files, and beside them the good job."""
    scenario.mock("good", 'run_for = "10ms"', type="batch")
    scenario.depfile({"bad": {"pre": "good"}})
    shutil.copytree(FOLDER / case, scenario.folder, dirs_exist_ok=True)
    for name, data in MADE.get(case, {}).items():
        (scenario.folder / "jobs" / name).write_bytes(data)


def jobs_of_nomad(scenario: Scenario) -> list[tuple[str, str, int]]:
    """All jobs that Nomad knows, and when each was last changed by somebody."""
    return sorted((row["Namespace"], row["ID"], row["JobModifyIndex"]) for row in scenario.api.get("/v1/jobs", namespace="*"))


@pytest.mark.parametrize("case", CASES)
def test_a_bad_job_file_is_told_in_these_words_and_nothing_is_registered(case: str, scenario: Scenario) -> None:
    lay_out(case, scenario)
    before = jobs_of_nomad(scenario)

    done = scenario.dtree("run", "bad", "--output", "text")

    assert done.stderr.replace(str(scenario.folder), "FOLDER") == (FOLDER / case / "expected.txt").read_text()
    assert (done.code, done.stdout) == (1, "")
    assert jobs_of_nomad(scenario) == before


def test_the_good_job_beside_the_bad_ones_can_be_registered(scenario: Scenario) -> None:
    lay_out("missing-file", scenario)

    done = scenario.dtree("run", "good")

    assert done.code == 0, done.stderr
    assert list(scenario.names()) == ["good"]


def test_every_made_file_has_its_expected_words() -> None:
    assert set(MADE) <= set(CASES)
    assert len(CASES) >= 15

"""The agent module keeps its word: ready when handed over, nothing left when it is through."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dtree.demo.agent import Agent
from dtree.demo.api import Api, ApiError, Tls
from dtree.demo.leftovers import mounts_below, processes_of
from dtree.errors import DemoError
from tests.servers.eventually import eventually

# The second sleep has lost its environment and with it the TMPDIR; only its working folder tells whose it is.
_STUBBORN = "trap '' INT TERM; env -i sleep 1000 & while true; do sleep 1000; done"


def register_stubborn_job(agent: Agent) -> None:
    """Run a raw_exec task that ignores signals, and wait until it runs."""
    task = {"Name": "main", "Driver": "raw_exec", "Config": {"command": "/bin/sh", "args": ["-c", _STUBBORN]}, "KillTimeout": 1_000_000_000}
    job: dict[str, Any] = {"ID": "stubborn", "Type": "service", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": [task]}]}
    agent.api.put("/v1/jobs", {"Job": job})
    eventually(lambda: [one for one in agent.api.get("/v1/allocations") if one["ClientStatus"] == "running"])


def remains_of(folder: Path) -> tuple[list[int], list[Path], bool]:
    """Processes, mounts and the folder itself."""
    return processes_of(folder), mounts_below(folder), folder.exists()


NOTHING: tuple[list[int], list[Path], bool] = ([], [], False)


def test_an_agent_that_is_handed_over_can_place_a_job(nomad_program: Path) -> None:
    with Agent(nomad_program) as agent:
        nodes = agent.api.get("/v1/nodes")

        assert [(node["Status"], node["Drivers"]["raw_exec"]["Healthy"]) for node in nodes] == [("ready", True)]
        assert agent.environment == {"NOMAD_ADDR": agent.address}


def test_tasks_start_where_the_folder_for_temporary_files_has_a_long_name(
    nomad_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Agent(nomad_program) as agent:
        folder = agent.folder
        register_stubborn_job(agent)
    assert remains_of(folder) == NOTHING
    assert list(long.iterdir()) == []


def test_nothing_stays_of_an_agent_whose_tasks_still_run(nomad_program: Path) -> None:
    with Agent(nomad_program) as agent:
        register_stubborn_job(agent)
        folder = agent.folder
        running = processes_of(folder)

    # The agent, Nomad's executor and log writer, and the task with a child: else the next line proves nothing.
    assert len(running) >= 4
    assert remains_of(folder) == NOTHING


def test_nothing_stays_when_the_body_crashes(nomad_program: Path) -> None:
    folders: list[Path] = []

    def crash_midway() -> None:
        with Agent(nomad_program) as agent:
            folders.append(agent.folder)
            register_stubborn_job(agent)
            message = "the body crashed"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the body crashed"):
        crash_midway()

    (folder,) = folders
    assert remains_of(folder) == NOTHING


def test_nothing_stays_of_an_agent_that_was_killed(nomad_program: Path) -> None:
    with Agent(nomad_program) as agent:
        register_stubborn_job(agent)
        folder = agent.folder
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait()
        outlived = processes_of(folder)

    assert outlived != []
    assert remains_of(folder) == NOTHING


def test_nothing_stays_after_ctrl_c(nomad_program: Path) -> None:
    program = f"""
        from pathlib import Path
        from dtree.demo.agent import Agent
        from tests.servers.test_agent import register_stubborn_job

        with Agent(Path({str(nomad_program)!r})) as agent:
            register_stubborn_job(agent)
            print(agent.folder, flush=True)
            agent.wait()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        process.send_signal(signal.SIGINT)
        # An impatient second one must not keep it from tidying up.
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert folder.name.startswith("dtree-nomad-")
    assert remains_of(folder) == NOTHING


def test_an_agent_that_cannot_start_says_why_in_its_own_words(nomad_program: Path) -> None:
    with pytest.raises(DemoError) as caught, Agent(nomad_program, config={"client": {"network_interface": "none-such"}}):
        pass

    assert caught.value.error_code == "agent-ended"
    assert "none-such" in str(caught.value)


def test_an_agent_that_was_stopped_can_be_stopped_again(nomad_program: Path) -> None:
    agent = Agent(nomad_program)
    agent.start()
    folder = agent.folder

    agent.stop()
    agent.stop()

    assert remains_of(folder) == NOTHING


def test_an_agent_with_tls_refuses_a_client_without_a_certificate(tls_agent: Agent, tls: Tls) -> None:
    nobody = Api(tls_agent.address)
    nobody._context = ssl.create_default_context(cafile=str(tls.ca_file))

    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
        nobody.get("/v1/status/leader")

    assert tls_agent.api.get("/v1/status/leader") != ""
    assert tls_agent.environment.keys() == {"NOMAD_ADDR", "NOMAD_CACERT", "NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY"}


def test_an_agent_with_acls_refuses_a_client_without_a_token(acl_agent: Agent) -> None:
    with pytest.raises(ApiError) as caught:
        Api(acl_agent.address).get("/v1/jobs")

    assert caught.value.status == 403
    assert acl_agent.api.get("/v1/jobs") == []
    assert acl_agent.environment == {"NOMAD_ADDR": acl_agent.address, "NOMAD_TOKEN": acl_agent.token}


def test_the_mock_driver_is_there_for_all_other_tests(agent: Agent, prefix: str) -> None:
    task = {"Name": "main", "Driver": "mock_driver", "Config": {"run_for": "1ms"}, "LogConfig": {"Disabled": True}}
    group = {"Name": "g", "Tasks": [task]}
    agent.api.put("/v1/jobs", {"Job": {"ID": f"{prefix}job", "Type": "batch", "Datacenters": ["*"], "TaskGroups": [group]}})

    allocations = eventually(
        lambda: [one for one in agent.api.get(f"/v1/job/{prefix}job/allocations") if one["ClientStatus"] == "complete"]
    )

    assert len(allocations) == 1

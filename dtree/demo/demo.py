"""The demo: four jobs come up in order on a throw-away Nomad, are shown, and go down in reverse.

It types the commands that a user would type, prints each before it runs, and adds nothing to what they print themselves.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import TextIO

from dtree.demo.agent import Agent
from dtree.demo.binary import find_nomad
from dtree.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK

__all__ = ["run_demo"]

# The numbers in the file are somebody's guesses of how long each job takes; waiting for the real thing is quicker and safer.
_RUN = ("run", "--job", "nginx", "--wait", "ready")
_STATUS = ("status", "--job", "nginx")
_STOP = ("stop", "--job", "nginx", "--deep")
_JOBS = Path(__file__).parent / "jobs"
_GRACE_S = 3.0


def run_demo(*, keep: bool, nomad: str | None = None, stream: TextIO = sys.stdout) -> int:
    """Run the demo and leave nothing behind.

    Args:
        keep: leave the agent and the jobs up after the run, until Ctrl-C.
        nomad: path of a Nomad program; else one is found or built.
        stream: where the demo's own lines go. The commands write to the process's own output.

    Returns:
        Exit code: 0, or that of the first command that failed. Ctrl-C while the agent is kept up is its normal end: 0.

    Raises:
        DemoError: no Nomad, or its agent does not start.
        KeyboardInterrupt: after cleaning up. The caller sees to it that SIGTERM and SIGHUP raise it too.

    Effects: starts and ends a Nomad agent on loopback, and the jobs on it.
    """
    program = find_nomad(nomad, on_path=True, stream=sys.stderr)
    stream.write(f"Starting a throw-away Nomad agent ({program}).\n")
    stream.flush()
    # The jobs run `python3`: let it be this one, which is known to be there.
    offered: list[str] = []
    try:
        with Agent(program, path=(Path(sys.executable).parent,)) as agent:
            return _show(agent, stream, offered, keep=keep)
    except KeyboardInterrupt:
        # Once the user was told that Ctrl-C ends the agent, that is the normal end, wherever in the cleaning up it arrives.
        if offered:
            return EXIT_OK
        raise


def _show(agent: Agent, stream: TextIO, offered: list[str], *, keep: bool) -> int:
    for command in (_RUN, _STATUS):
        if code := _type(command, agent, stream):
            return code
    _ask_nginx(agent, stream)
    if keep:
        offered.append(agent.address)
        return _leave_up(agent, stream)
    code = _type(_STOP, agent, stream)
    stream.write("\nThe agent ends now; nothing of it stays.\n")
    stream.flush()
    return code


def _type(command: tuple[str, ...], agent: Agent, stream: TextIO) -> int:
    """Run one of our own commands as a user would, in the folder of the jobs; returns its exit code."""
    stream.write(f"\n$ {shlex.join(('nomad-dtree', *command))}\n")
    stream.flush()
    process = subprocess.Popen([sys.executable, "-m", "dtree", *command], cwd=_JOBS, env=_environment(agent))
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Ctrl-C reached the command too, which now reports where everything stands. Other signals came only here.
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                process.wait(timeout=_GRACE_S)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        return EXIT_INTERRUPTED


def _environment(agent: Agent) -> Mapping[str, str]:
    # What the user has set for a real cluster or another store must not reach the demo.
    own = {name: value for name, value in os.environ.items() if not name.startswith("NOMAD_")}
    return {**own, **agent.environment}


def _ask_nginx(agent: Agent, stream: TextIO) -> None:
    """Show that the four work together: the row that postgres_setup wrote comes through nginx and api."""
    service = agent.api.get("/v1/service/nginx")[0]
    address = f"{service['Address']}:{service['Port']}"
    connection = HTTPConnection(address, timeout=10.0)
    try:
        connection.request("GET", "/greeting")
        body = connection.getresponse().read().decode()
    finally:
        connection.close()
    stream.write(f"\n$ curl http://{address}/greeting\n{body}")
    stream.flush()


def _leave_up(agent: Agent, stream: TextIO) -> int:
    said = (
        f"\nThe agent stays up at {agent.address} (its pages: {agent.address}/ui). In another terminal:\n\n"
        f"  export NOMAD_ADDR={agent.address}\n"
        f"  cd {shlex.quote(str(_JOBS))}\n"
        f"  nomad-dtree plan --job nginx\n"
        f"  nomad-dtree {shlex.join(_STATUS)}\n"
        f"  nomad-dtree {shlex.join(_STOP)}\n"
        f"  nomad-dtree {shlex.join(_RUN)}\n"
        "\nCtrl-C here ends the agent and everything on it.\n"
    )
    try:
        # Whoever reads this may answer with Ctrl-C before the write has returned.
        stream.write(said)
        stream.flush()
        agent.wait()
    except KeyboardInterrupt:
        stream.write("\nThe agent ends now; nothing of it stays.\n")
        return EXIT_OK
    stream.write("\nThe agent has ended by itself; nothing of it stays.\n")
    return EXIT_ERROR

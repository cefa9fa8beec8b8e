"""How git calls ssh: as the user set it up, and without a question to anybody."""

from __future__ import annotations

import os
import shlex
from pathlib import PurePath
from typing import Final

from dtree.access.git.program import Program

__all__ = ["ssh_variables"]

_UNATTENDED: Final = "-oBatchMode=yes -oConnectTimeout=15"


def ssh_variables() -> dict[str, str]:
    """Return variables that keep ssh from asking for a password or for trust in a host.

    A program that is no OpenSSH, by its name, is left as it is: it might not know the options.

    Effects: runs git, for the user's own settings.
    """
    environ = os.environ
    if "GIT_SSH" in environ and "GIT_SSH_COMMAND" not in environ:
        return {}
    configured = Program().run("config", "--global", "--get", "core.sshCommand").out.decode(errors="surrogateescape").strip()
    command = environ.get("GIT_SSH_COMMAND") or configured or "ssh"
    return {"GIT_SSH_COMMAND": f"{command} {_UNATTENDED}"} if _is_openssh(command) else {}


def _is_openssh(command: str) -> bool:
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that is not closed
        return False
    return bool(words) and PurePath(words[0]).name == "ssh"

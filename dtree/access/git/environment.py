"""What git is told before it runs for us: to ask nobody, to run nothing of a repository's, to look at no other repository.

Apart from `program`, so that who asks git a small question need not import GitPython.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["SETTINGS", "environment", "local_variables"]

SETTINGS: Final = (
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "protocol.ext.allow=never",
    # What git does for the health of a cache ends with the command, inside our lock.
    "-c",
    "gc.autoDetach=false",
    "-c",
    "maintenance.autoDetach=false",
    "-c",
    "http.lowSpeedLimit=1000",
    "-c",
    "http.lowSpeedTime=30",
)
"""Options of every git command, stronger than any file of settings."""

_LOCAL: Final = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def local_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return those variables of `environ` that would send git to another repository, as a hook of git's has them."""
    return tuple(name for name in _LOCAL if name in environ)


def environment(protocols: tuple[str, ...] = ()) -> dict[str, str]:
    """Return variables to set for git.

    Args:
        protocols: over which it may fetch; none keeps it from fetching what a partial clone lacks, which could run a program that the
            repository's settings name.
    """
    quiet = {
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GCM_INTERACTIVE": "never",
    }
    if not protocols:
        quiet["GIT_NO_LAZY_FETCH"] = "1"
    if "GIT_ASKPASS" not in os.environ:
        quiet["GIT_ASKPASS"] = ""
    return quiet

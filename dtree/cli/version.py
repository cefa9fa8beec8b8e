"""`nomad-dtree version`."""

from __future__ import annotations

import platform
from typing import Final

from dtree import __version__
from dtree.cli.invocation import Invocation
from dtree.cli.options import Command


def version(invocation: Invocation) -> int:
    """Print the versions of nomad-dtree, Python and the system."""
    invocation.print(f"nomad-dtree {__version__}\nPython {platform.python_version()}\n{platform.system()} {platform.machine()}")
    return 0


COMMAND: Final = Command(version, {})

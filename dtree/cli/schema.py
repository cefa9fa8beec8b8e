"""`nomad-dtree schema`."""

from __future__ import annotations

import json
from typing import Final

from dtree.cli.invocation import Invocation
from dtree.cli.options import Command


def schema(invocation: Invocation) -> int:
    """Print the JSON Schema of the dependency file, with which editors complete and check it."""
    from dtree import depfile

    invocation.print(json.dumps(depfile.schema(), indent=2))
    return 0


COMMAND: Final = Command(schema, {})

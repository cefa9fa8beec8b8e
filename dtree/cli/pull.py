"""`nomad-dtree pull`."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dtree import config
from dtree.cli.invocation import Invocation
from dtree.cli.options import NOMAD_PANEL, Command, Output
from dtree.cli.push import Diff, DryRun, Prune, Wish, Yes, carry_over


def pull(
    invocation: Invocation,
    *,
    prune: Prune = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    diff: Diff = False,
    output: Output = "text",
) -> int:
    """Copy the dependency file and its job files from one store to another: to a folder, where nothing else is said.

    Shows what would be added, changed and removed, and asks. What is copied has to be without fault.

    The options of both stores are options of this command: `pull --from consul --help` lists them. Two stores of one kind get names, and \
their options below these, in nomad-dtree.toml.
    """
    return carry_over(invocation, Wish(yes=yes, dry_run=dry_run, prune=prune, diff=diff, json=output == "json"))


COMMAND: Final = Command(
    pull,
    {NOMAD_PANEL: config.NOMAD},
    roles=(config.FROM, replace(config.TO, default="filesystem", required=False)),
)

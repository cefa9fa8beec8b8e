"""`nomad-dtree stores diff`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from dtree import config
from dtree.cli.chosen import way_to_a_second
from dtree.cli.invocation import Invocation
from dtree.cli.options import NOMAD_PANEL, Command, Output
from dtree.cli.push import Diff
from dtree.errors import EXIT_CHANGES_PENDING, EXIT_OK, UsageError

First = Annotated[str, typer.Argument(metavar="A", help="A store, by kind or by its name in nomad-dtree.toml.")]
Second = Annotated[str, typer.Argument(metavar="B", help="The store to compare it with.")]


def diff_stores(invocation: Invocation, *, first: First, second: Second, diff: Diff = False, output: Output = "text") -> int:
    """Show in which files two stores differ: what would make A into B. Exits with 2 where they do."""
    if first == second:
        (store,) = invocation.surroundings.stores["first"]
        raise UsageError(f"'{first}' is both of the stores to compare", hint=way_to_a_second(store.kind))
    from dtree.transfer import compare, read_contents
    from dtree.views.transfer_text import Side, difference_text

    with invocation.snapshot("first") as one, invocation.snapshot("second") as other:
        found = compare(*read_contents(one, other), prune=True)
        a, b = Side(first, str(one.revision)), Side(second, str(other.revision))
    if output == "json":
        from dtree.views.json_forms import transfer_json

        invocation.print(transfer_json(found, sides={"first": a, "second": b}, lines=diff))
    else:
        invocation.print(difference_text(found, first=a, second=b, look=invocation.look(), lines=diff))
    return EXIT_CHANGES_PENDING if found else EXIT_OK


COMMAND: Final = Command(diff_stores, {NOMAD_PANEL: config.NOMAD}, store_arguments=("first", "second"))

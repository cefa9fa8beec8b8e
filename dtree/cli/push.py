"""`nomad-dtree push`, and what `pull` shares with it: one store is made to hold what another does."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from dtree import config
from dtree.cli.chosen import way_to_a_second
from dtree.cli.invocation import Invocation
from dtree.cli.options import NOMAD_PANEL, Command, Output
from dtree.errors import EXIT_ERROR, EXIT_OK, DeclarationError, StoreError, UsageError

if TYPE_CHECKING:
    from dtree.store import Snapshot
    from dtree.transfer import Difference
    from dtree.views.transfer_text import Side

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove files that only the store to write to has.")]
Diff = Annotated[bool, typer.Option("--diff", "--verbose", "-v", help="Show the lines of each file that differ.")]

_FROM: Final = config.FROM.identifier
_TO: Final = config.TO.identifier


class Wish(NamedTuple):
    """How files are to be carried over."""

    yes: bool
    dry_run: bool
    prune: bool
    diff: bool
    json: bool


def push(
    invocation: Invocation,
    *,
    prune: Prune = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    diff: Diff = False,
    output: Output = "text",
) -> int:
    """Copy the dependency file and its job files from one store to another: from a folder, where nothing else is said.

    Shows what would be added, changed and removed, and asks. What is copied has to be without fault.

    The options of both stores are options of this command: `push --to consul --help` lists them. Two stores of one kind get names, and \
their options below these, in nomad-dtree.toml.
    """
    return carry_over(invocation, Wish(yes=yes, dry_run=dry_run, prune=prune, diff=diff, json=output == "json"))


def carry_over(invocation: Invocation, wish: Wish) -> int:
    """Compare two stores, ask, and write.

    Returns:
        The exit code.

    Effects: reads both stores, writes to one.
    """
    from dtree.sources import check
    from dtree.transfer import compare, make_changes, read_contents

    _refuse_what_cannot_be(invocation, wish)
    with invocation.snapshot(_FROM) as source, invocation.snapshot(_TO) as target:
        check(source, store=invocation.names(_FROM))
        new, old = read_contents(source, target)
        found = compare(old, new, prune=wish.prune)
        sides = {"to": _side(invocation, _TO, target), "from": _side(invocation, _FROM, source)}
        pending = [one for one in found if one.change != "keep"]
        changes = make_changes(found)
        target.check_changes(changes)
        if not wish.json:
            _show(invocation, found, sides, wish)
        written = ""
        if pending and not wish.dry_run:
            if not wish.yes and not _agreed(len(pending), sides["to"].store, target.place):
                sys.stderr.write("nothing was written\n")
                return EXIT_ERROR
            written = target.write(changes)
    if written:
        _check_whole(invocation)
    _tell(invocation, found, sides, wish, written)
    return EXIT_OK


def _refuse_what_cannot_be(invocation: Invocation, wish: Wish) -> None:
    """Refuse, before anything is read, what would only turn out at the end."""
    (target,) = invocation.surroundings.stores[_TO]
    if target in invocation.surroundings.stores[_FROM]:
        raise UsageError(
            f"'{target.name}' is both the store to read and the one to write to",
            hint=way_to_a_second(target.kind),
        )
    if not target.plugin.writable:
        raise StoreError(
            f"the store '{target.name}' cannot be written to", hint="`nomad-dtree stores list` shows which can", code="store-read-only"
        )
    if wish.yes or wish.dry_run:
        return
    if wish.json:
        raise UsageError("with --output json nobody is asked", hint="give --yes, or --dry-run to write nothing")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is no terminal to ask on", hint="give --yes, or --dry-run to write nothing")


def _side(invocation: Invocation, role: str, snapshot: Snapshot) -> Side:
    from dtree.views.transfer_text import Side

    return Side(invocation.names(role), str(snapshot.revision))


def _show(invocation: Invocation, found: tuple[Difference, ...], sides: dict[str, Side], wish: Wish) -> None:
    from dtree.views.transfer_text import transfer_text

    invocation.print(transfer_text(found, source=sides["from"], target=sides["to"], look=invocation.look(), lines=wish.diff))


def _agreed(number: int, store: str, place: str) -> bool:
    """Ask on the terminal. Effects: that."""
    from dtree.views.text import clean, count, write

    where = f"{clean(store)} ({clean(place)})" if place else clean(store)
    write(sys.stderr, f"Write {count(number, 'file')} to {where}? [y/N] ")
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\nnothing was written\n")
        raise
    if not answer.endswith("\n"):
        sys.stderr.write("\n")  # the end of the input leaves the cursor behind the question
    return answer.strip().lower() in ("y", "yes")


def _check_whole(invocation: Invocation) -> None:
    """Read back what was written: the other store may keep its files in places, and under names, that do not go together with these.

    Raises:
        StoreError: it holds something else than what it was given.
    """
    from dtree.sources import check

    name = invocation.names(_TO)
    try:
        with invocation.snapshot(_TO) as after:
            check(after, store=name)
    except DeclarationError as error:
        raise StoreError(
            f"all was written to '{name}', but as that store is set up, its files do not go together",
            notes=[fault.sentence for fault in error.faults],
            hint="see where its options say that the dependency file and the job files are, and push again",
            code="store-inconsistent",
        ) from error


def _tell(invocation: Invocation, found: tuple[Difference, ...], sides: dict[str, Side], wish: Wish, written: str) -> None:
    if wish.json:
        from dtree.views.json_forms import transfer_json

        invocation.print(transfer_json(found, sides=sides, lines=wish.diff, written=written))
    elif written:
        invocation.print(f"Written {written}.")


COMMAND: Final = Command(
    push,
    {NOMAD_PANEL: config.NOMAD},
    roles=(replace(config.FROM, default="filesystem", required=False), config.TO),
)

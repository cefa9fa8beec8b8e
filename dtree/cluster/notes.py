"""The notes of jobs in Nomad's Variables: one for each job of a stack, in the job's namespace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dtree.access.at_once import do_all
from dtree.access.nomad import NomadClient
from dtree.access.variables import Variable, Variables
from dtree.errors import Conflict
from dtree.model import JobRef
from dtree.provenance import MARK, NOTES, Items, is_path_of, note_path, read_note, stack_path

_AT_ONCE: Final = 8
_TRIES: Final = 5
_NEEDS: Final = ("read", "write", "destroy")


class Notes:
    """What is noted of jobs."""

    def __init__(self, client: NomadClient) -> None:
        self._client = client

    def read(self, stack: str, refs: Sequence[JobRef]) -> dict[JobRef, Items]:
        """Read the notes of those jobs that have one; the jobs are of one namespace.

        Raises:
            Denied: the token may not.

        Effects: reads Nomad: one list, and one request for each note, several at once.
        """
        if not refs:
            return {}
        variables = self._variables(stack, refs[0])
        listed = {one.path for one in variables.list(f"{stack_path(stack)}/")}
        there = [ref for ref in refs if note_path(stack, ref.id) in listed]
        # A list that may not be seen is just empty; whoever asks for one that is not in it is told.
        asked = [*there, *[ref for ref in refs if note_path(stack, ref.id) not in listed][:1]]
        read = do_all(lambda ref: variables.read(note_path(stack, ref.id)), asked, at_once=_AT_ONCE)
        return {ref: variable.items for ref, variable in zip(asked, read, strict=True) if variable is not None}

    def read_others(self, stack: str, refs: Sequence[JobRef]) -> dict[JobRef, Items]:
        """Read the notes that other stacks have of those jobs, all of one namespace; of several of one job that of its latest registration.

        Effects: reads Nomad: one list, of what the token may see, and one request for each note, several at once.
        """
        if not refs:
            return {}
        variables, own = self._variables(stack, refs[0]), f"{stack_path(stack)}/"
        by_path = {note_path(stack, ref.id).removeprefix(own): ref for ref in refs}
        listed = [one.path for one in variables.list(f"{NOTES}/") if not one.path.startswith(own)]
        paths = [path for path in listed if (ref := by_path.get(path.rpartition("/")[2])) and is_path_of(path, ref.id)]
        found: dict[JobRef, Items] = {}
        for path, variable in zip(paths, do_all(variables.read, paths, at_once=_AT_ONCE), strict=True):
            ref = by_path[path.rpartition("/")[2]]
            if variable is not None and _index(variable.items) > _index(found.get(ref, {})):
                found[ref] = variable.items
        return found

    def change(self, stack: str, ref: JobRef, change: Callable[[Items], Items]) -> None:
        """Change a job's note, write its first, or remove what is to hold nothing, by compare-and-set: what others write is not lost.

        Effects: reads and changes Nomad.
        """
        variables, path = self._variables(stack, ref), note_path(stack, ref.id)
        for _ in range(_TRIES):
            found = _own(variables, path)
            items = found.items if found is not None else {}
            wanted = change(items)
            if wanted == items:
                return
            if not wanted and found is not None:
                variables.remove(path, expected_index=found.index)
                continue  # and see whether somebody was faster
            try:
                variables.write(path, wanted, expected_index=found.index if found is not None else 0)
            except Conflict:  # or a first answer that was lost: then the next look finds nothing to change
                continue
            return
        raise Conflict(f"variable {path} was changed {_TRIES} times by others while it was being written", hint="run again")

    def forget(self, stack: str, ref: JobRef) -> None:
        """Remove a job's note, if there is one. Effects: reads and changes Nomad."""
        variables, path = self._variables(stack, ref), note_path(stack, ref.id)
        found = _own(variables, path)
        if found is not None:
            variables.remove(path, expected_index=found.index)

    def _variables(self, stack: str, ref: JobRef) -> Variables:
        return Variables(self._client, namespace=ref.namespace, prefix=stack_path(stack), region=ref.region, needs=_NEEDS)


def _index(items: Items) -> int:
    """Return Nomad's index of the registration that is noted; 0 for none."""
    noted = read_note(items) if MARK in items else None
    return noted.registered.modify_index if noted is not None and noted.registered is not None else 0


def _own(variables: Variables, path: str) -> Variable | None:
    """Read a note. Somebody may keep other things, such as a store, where it would be: those are left alone."""
    found = variables.read(path)
    if found is not None and MARK not in found.items:
        raise Conflict(
            f"variable {path} in namespace {variables.namespace} holds something else than a note of nomad-dtree",
            hint="give the stack another name with the key `stack` of the dependency file, or move that variable",
        )
    return found

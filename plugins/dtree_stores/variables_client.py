"""The few calls to Nomad's Variables that a store needs, with their errors as errors of a store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dtree.access.nomad import NomadClient
from dtree.errors import ClusterError, Conflict, Denied, NotFound, Unavailable, Unreachable
from dtree.model import DEFAULT_NAMESPACE
from dtree.store import StoreError, StoreUnreachable

if TYPE_CHECKING:
    from dtree.access.nomad import Connection

_LONGEST_WAIT_S: Final = 300.0
_JITTER: Final = 16 / 17
"""Nomad holds a query for up to a sixteenth longer than it was asked to."""
_SHORTEST_WAIT_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Variable:
    """A Variable as it was read.

    Attributes:
        index: Nomad's ModifyIndex, which every write raises, even of the same content.
    """

    items: Mapping[str, str]
    index: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A Variable as a list shows it, without what it holds."""

    path: str
    index: int
    written_ns: int


class Variables:
    """Nomad's Variables of one namespace, below one prefix.

    Args:
        namespace: "" for the connection's, and where that has none, Nomad's default.
        prefix: without a slash at the end.
    """

    def __init__(self, connection: Connection, *, namespace: str, prefix: str) -> None:
        self.prefix = prefix
        self.namespace = namespace or connection.namespace or DEFAULT_NAMESPACE
        self.address = connection.shown
        self._has_token = bool(connection.token)
        with self._as_store_errors("read"):
            self._client = NomadClient(connection, now_s=time.monotonic, pause=time.sleep)

    def read(self, path: str) -> Variable | None:
        """Read a Variable by its whole path; None where there is none. Effects: reads Nomad."""
        with self._as_store_errors("read"):
            try:
                raw = self._client.call("get", "var", path, params=self._where(), doing=f"reading variable {path}", kind=dict)
            except NotFound as error:
                if "variable not found" in error.problem:
                    return None
                raise StoreError("this Nomad has no Variables", notes=error.notes, hint="they came with Nomad 1.4") from error
        return Variable(raw.get("Items") or {}, int(raw["ModifyIndex"]))

    def write(self, path: str, items: Mapping[str, str], *, expected_index: int | None = None) -> int:
        """Write a Variable whole. Effects: changes Nomad.

        Args:
            expected_index: write only if its index is still this one, 0: if there is none; None: whatever is there.

        Returns:
            Its new index.

        Raises:
            Conflict: it is another.
        """
        params = self._where() | ({} if expected_index is None else {"cas": str(expected_index)})
        body = {"Path": path, "Items": dict(items)}
        with self._as_store_errors("write"):
            raw = self._client.call("put", "var", path, params=params, body=body, doing=f"writing variable {path}", kind=dict)
        return int(raw["ModifyIndex"])

    def remove(self, path: str, *, expected_index: int) -> None:
        """Remove a Variable, unless somebody wrote it since. Effects: changes Nomad."""
        with self._as_store_errors("destroy"):
            try:
                params = self._where() | {"cas": str(expected_index)}
                self._client.call("delete", "var", path, params=params, doing=f"removing variable {path}")
            except Conflict:
                return

    def list(self, prefix: str) -> list[Listed]:
        """List the Variables whose path begins with `prefix`, those that the token may see. Effects: reads Nomad."""
        with self._as_store_errors("list"):
            params = self._where() | {"prefix": prefix}
            rows = self._client.call("get", "vars", params=params, doing=f"listing variables {prefix}", kind=list)
        return [_listed(row) for row in rows]

    def changed_from(self, path: str, index: int, *, timeout_s: float) -> bool:
        """Wait until a Variable has another index than `index`; 0 stands for there being none.

        The list is asked and not the Variable itself, because it can be waited for a Variable to come into being too.

        Returns:
            False where it still has that after `timeout_s`.

        Effects: reads Nomad, one standing query after the other.
        """
        end_s = time.monotonic() + timeout_s
        seen = 0
        while True:
            wait_s = min(max((end_s - time.monotonic()) * _JITTER, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)
            with self._as_store_errors("list"):
                seen, rows = self._client.blocking(
                    "vars", params=self._where() | {"prefix": path}, index=seen, wait_s=wait_s, doing=f"watching variable {path}"
                )
            if next((row["ModifyIndex"] for row in rows or () if row["Path"] == path), 0) != index:
                return True
            if time.monotonic() + _SHORTEST_WAIT_S > end_s:
                return False

    def refuse_unknown_namespace(self) -> None:
        """Raise where the namespace does not exist: Nomad itself would take Variables for it all the same. Effects: reads Nomad.

        A token for Variables alone may not know; Nomad denies it everything in a namespace that does not exist.
        """
        with self._as_store_errors("read"):
            if not self._client.has_namespace(self.namespace):
                raise StoreError(
                    f"Nomad has no namespace '{self.namespace}'",
                    hint="check --vars-namespace and --namespace; `nomad namespace list` shows those there are",
                    code="store-namespace-missing",
                )

    def _where(self) -> dict[str, str]:
        return {"namespace": self.namespace}

    @contextmanager
    def _as_store_errors(self, capability: str) -> Iterator[None]:
        """Turn errors of Nomad into those of a store; they keep their codes."""
        try:
            yield
        except Conflict:
            raise
        except (Unreachable, Unavailable) as error:
            raise StoreUnreachable(error.problem, notes=error.notes, hint=error.hint, code=error.error_code) from error
        except Denied as error:
            raise StoreError(error.problem, notes=error.notes, hint=self._rule(capability), code=error.error_code) from error
        except ClusterError as error:
            raise StoreError(error.problem, notes=error.notes, hint=error.hint, code=error.error_code) from error

    def _rule(self, capability: str) -> str:
        given = "the token has to exist, and its policy" if self._has_token else "give a token (NOMAD_TOKEN, --token-file) whose policy has"
        rule = f'namespace "{self.namespace}" {{ variables {{ path "{self.prefix}/*" {{ capabilities = ["{capability}"] }} }} }}'
        return f"{given} {'to have ' if self._has_token else ''}{rule}"


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(row["Path"], int(row["ModifyIndex"]), int(row["ModifyTime"]))

"""Nomad's Variables as a store needs them: with errors of a store, and with waiting for a change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dtree.access.nomad import NomadClient
from dtree.access.variables import Listed, Variable, Variables
from dtree.errors import ClusterError, Conflict, Unavailable, Unreachable
from dtree.store import StoreError, StoreUnreachable

if TYPE_CHECKING:
    from dtree.access.nomad import Connection

__all__ = ["Listed", "StoreVariables", "Variable"]

_LONGEST_WAIT_S: Final = 300.0
_JITTER: Final = 16 / 17
"""Nomad holds a query for up to a sixteenth longer than it was asked to."""
_SHORTEST_WAIT_S: Final = 0.01


class StoreVariables(Variables):
    """Nomad's Variables of one namespace, below one prefix, whose errors are those of a store.

    Args:
        namespace, prefix: as for `Variables`.
    """

    def __init__(self, connection: Connection, *, namespace: str, prefix: str) -> None:
        with _as_store_errors():
            client = NomadClient(connection, now_s=time.monotonic, pause=time.sleep)
        super().__init__(client, namespace=namespace, prefix=prefix)

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
            with self._asking("list"):
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
        with self._asking("read"):
            if not self._client.has_namespace(self.namespace):
                raise StoreError(
                    f"Nomad has no namespace '{self.namespace}'",
                    hint="check --vars-namespace and --namespace; `nomad namespace list` shows those there are",
                    code="store-namespace-missing",
                )

    @contextmanager
    def _asking(self, capability: str, path: str = "") -> Iterator[None]:
        with _as_store_errors(), super()._asking(capability, path):
            yield


@contextmanager
def _as_store_errors() -> Iterator[None]:
    """Turn errors of Nomad into those of a store; they keep their codes."""
    try:
        yield
    except Conflict:
        raise
    except (Unreachable, Unavailable) as error:
        raise StoreUnreachable(error.problem, notes=error.notes, hint=error.hint, code=error.error_code) from error
    except ClusterError as error:
        raise StoreError(error.problem, notes=error.notes, hint=error.hint, code=error.error_code) from error

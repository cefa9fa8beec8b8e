"""Nomad's Variables of one namespace: the few calls that the stores and the notes of what runs need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dtree.access.nomad import NomadClient
from dtree.errors import ClusterError, Conflict, Denied, NotFound
from dtree.names import DEFAULT_NAMESPACE


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

    Every call raises `errors.ClusterError`; a denial's hint is the rule that the policy of the token lacks.

    Args:
        namespace: "" for the connection's, and where that has none, Nomad's default.
        prefix: without a slash at the end; "" for none: then the rule names the very Variable.
        region: "" for the connection's.
        needs: capabilities that the rule names; () for the one that was wanted just then.
    """

    def __init__(self, client: NomadClient, *, namespace: str, prefix: str, region: str = "", needs: tuple[str, ...] = ()) -> None:
        self.prefix = prefix
        self.namespace = namespace or client.connection.namespace or DEFAULT_NAMESPACE
        self.address = client.connection.shown
        self._client = client
        self._region = region
        self._needs = needs

    def read(self, path: str) -> Variable | None:
        """Read a Variable by its whole path; None where there is none. Effects: reads Nomad."""
        with self._asking("read", path):
            try:
                raw = self._client.call("get", "var", path, params=self._where(), doing=f"reading variable {path}", kind=dict)
            except NotFound as error:
                if "variable not found" in error.problem:
                    return None
                raise ClusterError("this Nomad has no Variables", notes=error.notes, hint="they came with Nomad 1.4") from error
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
        with self._asking("write", path):
            raw = self._client.call("put", "var", path, params=params, body=body, doing=f"writing variable {path}", kind=dict)
        return int(raw["ModifyIndex"])

    def remove(self, path: str, *, expected_index: int) -> None:
        """Remove a Variable, unless somebody wrote it since. Effects: changes Nomad."""
        with self._asking("destroy", path):
            try:
                params = self._where() | {"cas": str(expected_index)}
                self._client.call("delete", "var", path, params=params, doing=f"removing variable {path}")
            except Conflict:
                return

    def list(self, prefix: str) -> list[Listed]:
        """List the Variables whose path begins with `prefix`, those that the token may see. Effects: reads Nomad."""
        with self._asking("list", f"{prefix}*"):
            params = self._where() | {"prefix": prefix}
            rows = self._client.call("get", "vars", params=params, doing=f"listing variables {prefix}", kind=list)
        return [_listed(row) for row in rows]

    def _where(self) -> dict[str, str]:
        return {"namespace": self.namespace, **({"region": self._region} if self._region else {})}

    @contextmanager
    def _asking(self, capability: str, path: str = "") -> Iterator[None]:
        """Say which rule is missing where Nomad denies it."""
        try:
            yield
        except Denied as error:
            error.hint = self._rule(self._needs or (capability,), f"{self.prefix}/*" if self.prefix else path)
            raise

    def _rule(self, capabilities: tuple[str, ...], path: str) -> str:
        has_token = bool(self._client.connection.token)
        given = (
            "the token has to exist, and its policy to have" if has_token else "give a token (NOMAD_TOKEN, --token-file) whose policy has"
        )
        wanted = ", ".join(f'"{one}"' for one in capabilities)
        return f'{given} namespace "{self.namespace}" {{ variables {{ path "{path}" {{ capabilities = [{wanted}] }} }} }}'


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(row["Path"], int(row["ModifyIndex"]), int(row["ModifyTime"]))

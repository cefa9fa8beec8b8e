"""Calls to Consul's KV store through py-consul, over one session of ours. The only importer of py-consul.

What of py-consul is mended here, and why it is used at all, tells docs/adr/0013-py-consul-mended.md. All errors leave as
`dtree.errors.StoreError`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from dtree.access import http
from dtree.access.consul.answers import not_consul, refusal_of, rule, with_doing
from dtree.access.consul.connection import PARTY, PORT, Connection
from dtree.access.retries import ask_again
from dtree.errors import DtreeError, StoreChanged, StoreError, StoreUnreachable

__all__ = ["MOST_OPERATIONS", "MOST_REQUEST_BYTES", "MOST_VALUE_BYTES", "ConsulClient", "Entry", "Operation", "Tree"]

MOST_OPERATIONS: Final = 128
"""In one transaction. Source: seen with Consul 1.19, which refuses 129."""
MOST_REQUEST_BYTES: Final = 512 * 1024
"""Of a transaction, as JSON with its values in base64. Source: Consul's `txn_max_req_len`, unless a server sets another."""
MOST_VALUE_BYTES: Final = 512 * 1024
"""Of one key. Source: Consul's `kv_max_value_size`, unless a server sets another."""

_READ_S: Final = 20.0
_PATIENCE_S: Final = 20.0
_PASSING: Final = ("consul-no-leader", "consul-unavailable")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's value, and the index at which it was last changed."""

    value: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Tree:
    """All keys that begin with a prefix, as they were at one moment.

    Attributes:
        entries: by key, those that the token may read.
        index: for a query that waits until this changes.
        is_filtered: the token may not read all of them.
        denies: without a rule that allows it, reading is denied; then a request without a token is not told that it is filtered.
    """

    entries: Mapping[str, Entry]
    index: int
    is_filtered: bool
    denies: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of a transaction, which is made only where the key was last changed at `index`.

    Attributes:
        value: None removes the key.
        index: 0 where there must be no such key yet.
    """

    key: str
    value: bytes | None
    index: int

    @property
    def form(self) -> Mapping[str, Any]:
        """As Consul takes it."""
        named = {"Key": self.key, "Index": self.index}
        if self.value is None:
            return {"KV": {"Verb": "delete-cas", **named}}
        return {"KV": {"Verb": "cas", **named, "Value": base64.b64encode(self.value).decode()}}


class ConsulClient:
    """Calls to one Consul, with retries and with errors of our own.

    A call is tried again for up to `patience_s` on 429, on 5xx that pass, on resets and without a leader; a refused connection only once
    the server had answered before, so that a wrong address is told at once.

    Raises:
        StoreError: the connection is described wrongly.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        now_s: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self.connection = connection
        self.now_s = now_s
        self._pause = pause
        self._patience_s = patience_s
        self._answered = False
        connection.check()

    def get(self, key: str) -> Entry | None:
        """Return one key; None where there is none. Effects: one request to Consul, or several tries of it."""
        doing, needed = f"reading key '{key}'", rule(key, "read").replace("key_prefix", "key", 1)
        found = self._try(lambda: _tree(*self._consul.kv.get(key, recurse=False)), doing, needed, self._patience_s)
        entry: Entry | None = found.entries.get(key)
        return entry

    def tree(self, prefix: str, *, index: int = 0, wait_s: float = 0.0, consistency: str = "") -> Tree:
        """Return all keys that begin with `prefix`, in one request.

        Args:
            index: the last one seen: Consul answers once it is another, or after `wait_s` seconds and a little; 0 answers at once.
            consistency: another one than the connection's.

        Effects: as `get`; with an index it is tried again for `wait_s` seconds at most.
        """
        asked: dict[str, object] = {"recurse": True, "consistency": consistency or None}
        if index:
            asked |= {"index": index, "wait": f"{max(wait_s, 0.01) * 1000:.0f}ms"}
        patience_s = min(self._patience_s, wait_s) if index else self._patience_s
        doing = f"reading the keys below '{prefix}'"
        tree: Tree = self._try(lambda: _tree(*self._consul.kv.get(prefix, **asked)), doing, rule(prefix, "read"), patience_s)
        return tree

    def instances(self, service: str) -> Sequence[Mapping[str, Any]]:
        """Return all instances of a service with their checks, as Consul has them. Effects: as `get`.

        Raises:
            StoreError: as everywhere; also where the token may not see all of them, which Consul does not call an error.
        """
        needed = f'service "{service}" {{ policy = "read" }} node_prefix "" {{ policy = "read" }}'
        doing = f"looking for service '{service}'"
        headers, (_, rows) = self._try(lambda: self._consul.health.service(service), doing, needed, self._patience_s)
        # Whoever shows no token is not told that something was left out.
        is_denied = not rows and not self.connection.token and headers.get("X-Consul-Default-ACL-Policy") == "deny"
        if is_denied or headers.get("X-Consul-Results-Filtered-By-ACLs") == "true":
            problem = f"Consul does not show all instances of service '{service}' to this token"
            raise StoreError(problem, hint=f"the token needs the rules {needed}", code="consul-denied")
        found: Sequence[Mapping[str, Any]] = rows
        return found

    def transact(self, operations: Sequence[Operation], *, below: str) -> None:
        """Make all changes or none.

        Args:
            below: a prefix of all keys, for the rule that an error names.

        Raises:
            StoreChanged: a key was changed since, or this request was answered before, but the answer was lost.

        Effects: as `get`; changes keys.
        """
        forms = [operation.form for operation in operations]
        self._try(lambda: self._consul.txn.put(forms), f"writing {len(forms)} keys", rule(below, "write"), self._patience_s)

    def put(self, operation: Operation, *, below: str) -> None:
        """Write one value that is too large for a transaction; otherwise as `transact`."""
        key, value = operation.key, operation.value
        doing, needed = f"writing key '{key}'", rule(below, "write")
        _, is_done = self._try(lambda: self._consul.kv.put(key, value, cas=operation.index), doing, needed, self._patience_s)
        if not is_done:
            problem = f"somebody changed '{key}' in Consul since it was read"
            raise StoreChanged(problem, hint="look at what is there now, then do it again")

    def close(self) -> None:
        """Close its connections."""
        if "_consul" in vars(self):
            self._consul.http.session.close()

    def _try(self, ask: Callable[[], Any], doing: str, needed: str, patience_s: float) -> Any:  # noqa: ANN401 - JSON
        def passes(error: DtreeError) -> bool:
            is_lost = isinstance(error, StoreUnreachable) and self._answered and error.error_code == StoreUnreachable.code
            return is_lost or error.error_code in _PASSING

        try:
            return ask_again(lambda: self._once(ask), passes=passes, patience_s=patience_s, now_s=self.now_s, pause=self._pause)
        except StoreError as error:
            raise with_doing(error, doing, needed) from error

    def _once(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - JSON
        from consul import ConsulException

        try:
            answer = ask()
        except StoreError as error:
            self._answered = self._answered or not isinstance(error, StoreUnreachable) or error.error_code in _PASSING
            raise
        except OSError as error:  # every exception of requests is one
            raise self._no_answer(error) from error
        except (ConsulException, AttributeError, LookupError, TypeError, ValueError) as error:
            # What py-consul raises depends on where the answer differs from what it takes for granted.
            raise not_consul(self.connection.shown, "it answers with something else") from error
        self._answered = True
        return answer

    def _no_answer(self, error: OSError) -> StoreError:
        known, url = self.connection, self.connection.shown
        match http.trouble_of(error, known.url, answered=self._answered):
            case "sent-elsewhere":
                return not_consul(url, "it sends us elsewhere")
            case "slow":
                hint = "is the agent overloaded, or without a leader?"
                return StoreUnreachable(f"Consul at {url} took too long to answer", hint=hint, code="consul-unavailable")
            case "not-http" | "broken":
                hint = f"is that Consul's HTTP port ({PORT})? does it want https://?"
                return StoreUnreachable(f"the connection to Consul at {url} broke", notes=[http.innermost(error)], hint=hint)
            case trouble:
                return http.no_way_to(known.url, trouble, error, has_certificate=bool(known.client_cert), party=PARTY)

    @cached_property
    def _consul(self) -> Any:  # noqa: ANN401 - a class that can only be made once py-consul is imported
        from consul.std import Consul, HTTPClient

        known = self.connection
        session = http.open_session(known.url, server_name=known.tls_server_name, skip_verify=known.skip_verify)
        session.auth = tuple(known.login.split(":", 1)) if known.login else None  # type: ignore[assignment] # two: it has a colon
        named = {"X-Consul-Token": known.token, "X-Consul-Namespace": known.namespace, "X-Consul-Partition": known.partition}
        session.headers.update({name: value for name, value in named.items() if value})

        class MendedHttp(HTTPClient):  # type: ignore[misc] # py-consul's types have gaps
            def uri(self, path: str, params: Any = None) -> Any:  # noqa: ANN401 - py-consul's
                # A transaction is not told the datacenter, and would be made in the agent's own.
                where = [("dc", known.datacenter)] if path == "/v1/txn" and known.datacenter else []
                return super().uri(path, [*(params or ()), *where])

            def timeout(self, params: Any) -> Any:  # noqa: ANN401 - py-consul's
                return http.CONNECT_S, super().timeout(params)

            def get(self, callback: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - py-consul's
                return super().get(_judged(callback, known.shown), *args, **kwargs)

            def put(self, callback: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - py-consul's
                return super().put(_judged(callback, known.shown), *args, **kwargs)

        class MendedConsul(Consul):  # type: ignore[misc] # as above
            def http_connect(self, host: str, port: int, scheme: str, verify: Any = True, cert: Any = None) -> MendedHttp:  # noqa: ANN401, FBT002 - py-consul's
                mended = MendedHttp(host, port, scheme, verify, cert, connections_timeout=_READ_S)
                mended.session = session
                mended.base_uri = "http://localhost" if known.url.startswith("unix:") else known.url
                return mended

        consul = MendedConsul(
            "as base_uri says",
            PORT,
            scheme="http",
            consistency=known.consistency,
            dc=known.datacenter or None,
            verify=http.trusted(ca_file=known.ca_file, ca_path=known.ca_path, skip_verify=known.skip_verify),
            cert=(known.client_cert, known.client_key) if known.client_cert else None,
        )
        # py-consul prefers CONSUL_HTTP_TOKEN to what it was given, and sends no token with transactions: the session's headers have it.
        consul.token = None
        return consul


def _judged(callback: Callable[[Any], Any], shown: str) -> Callable[[Any], tuple[Mapping[str, str], Any]]:
    """Wrap what py-consul makes of an answer: it keeps neither the status nor the headers."""

    def judge(response: Any) -> tuple[Mapping[str, str], Any]:  # noqa: ANN401 - py-consul's
        refusal = refusal_of(response.code, response.body, shown)
        if refusal is not None:
            raise refusal
        return response.headers, callback(response)

    return judge


def _tree(headers: Mapping[str, str], answer: tuple[str, Any]) -> Tree:
    index, found = answer
    rows = [found] if isinstance(found, dict) else found or ()
    return Tree(
        entries={row["Key"]: Entry(row["Value"] or b"", row["ModifyIndex"]) for row in rows},
        index=int(index),
        is_filtered=headers.get("X-Consul-Results-Filtered-By-ACLs") == "true",
        denies=headers.get("X-Consul-Default-ACL-Policy") != "allow",
    )

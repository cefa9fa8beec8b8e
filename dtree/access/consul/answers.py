"""What Consul's answers mean: the right error for a refusal, or that no Consul is speaking. Sends nothing."""

from __future__ import annotations

import json
import re
from typing import Final

from dtree.access.answers import clean
from dtree.access.consul.connection import PARTY
from dtree.access.http import wants_https
from dtree.errors import StoreChanged, StoreError, StoreUnreachable

__all__ = ["not_consul", "refusal_of", "rule", "with_doing"]

_NO_LEADER: Final = re.compile(r"No cluster leader|leadership lost|node is not the leader|not ready to serve", re.IGNORECASE)
_TRANSIENT: Final = re.compile(
    r"rpc error|EOF$|connection (refused|reset)|i/o timeout|Timeout enqueuing|server is shutting down|raft is already shutdown",
    re.IGNORECASE,
)
"""Texts of answers with status 500 that another try may cure; Consul uses 500 for users' errors as well."""

_STALE: Final = re.compile(r'key "(.*)", index is stale')


def rule(prefix: str, access: str) -> str:
    """Write the rule of a policy that allows `access` to all keys that begin with `prefix`.

    >>> rule("shop/", "read")
    'key_prefix "shop/" { policy = "read" }'
    """
    return f'key_prefix {json.dumps(prefix, ensure_ascii=False)} {{ policy = "{access}" }}'


def refusal_of(status: int, body: str, shown: str) -> StoreError | None:
    """Turn an answer that is no success into an error; None for one that is, or that says that there is no such key.

    Args:
        shown: the address.
    """
    if status < 400 or status == 404:  # noqa: PLR2004 - HTTP
        return None
    text = clean(body)
    if status in (401, 403):
        return _denied(text)
    if status == 409:  # noqa: PLR2004 - HTTP
        return _of_transaction(body)
    if "HTTP request to an HTTPS server" in text:
        return wants_https(shown, PARTY)
    if _NO_LEADER.search(text):
        hint = "`consul operator raft list-peers` shows the servers; most of them have to be up"
        return StoreUnreachable(f"the Consul cluster at {shown} has no leader", hint=hint, code="consul-no-leader")
    if status == 429 or status > 500 or (status == 500 and _TRANSIENT.search(text)):  # noqa: PLR2004 - HTTP
        hint = "is it overloaded? `consul monitor` shows its log"
        return StoreUnreachable(f"Consul at {shown} cannot do it now ({status}): {text}", hint=hint, code="consul-unavailable")
    if text.startswith("<"):
        return not_consul(shown, f"it answers with a web page ({status})")
    return StoreError(f"Consul refuses it: {text or status}", hint=_hint_for(text), code="consul-refused")


def not_consul(shown: str, why: str) -> StoreUnreachable:
    """Say that something else than Consul answers."""
    return StoreUnreachable(f"what answers at {shown} is not Consul: {why}", hint=f"check {PARTY.address}")


def with_doing(error: StoreError, doing: str, needed: str) -> StoreError:
    """Return the error with what was being done as its first note, and, where Consul denies it, with the rule that allows it.

    Args:
        doing: as "reading the keys below 'shop/'".
        needed: the rule.
    """
    hint = error.hint
    if error.error_code == "consul-denied" and not hint:
        hint = f"the token needs the rule {needed.replace(_READ, _LIST) if _WANTS_LIST in error.problem else needed}"
    return type(error)(error.problem, notes=[f"while {doing}", *error.notes], hint=hint, code=error.error_code)


# With `enable_key_list_policy` reading below a prefix needs more than reading a key.
_WANTS_LIST: Final = "'key:list'"
_READ: Final = 'policy = "read"'
_LIST: Final = 'policy = "list"'


def _denied(text: str) -> StoreError:
    unknown = "ACL not found" in text
    hint = (
        "Consul does not know the token: was it deleted, or is it another cluster's? CONSUL_HTTP_TOKEN or --consul-token-file"
        if unknown
        else ""
    )
    return StoreError(f"Consul denies it: {text or 'permission denied'}", hint=hint, code="consul-denied")


def _of_transaction(body: str) -> StoreError:
    try:
        said = [str(error["What"]) for error in json.loads(body)["Errors"]]
    except (ValueError, LookupError, TypeError):
        said = [clean(body)]
    for text in map(clean, said):
        if text.startswith("Permission denied"):
            return _denied(text)
    keys = [found[1] for text in said if (found := _STALE.search(text))]
    if not keys:
        text = clean("; ".join(said))
        return StoreError(f"Consul refuses it: {text}", hint=_hint_for(text), code="consul-refused")
    names = ", ".join(f"'{clean(key)}'" for key in keys)
    return StoreChanged(f"somebody changed {names} in Consul since it was read", hint="look at what is there now, then do it again")


def _hint_for(text: str) -> str:
    if "Enterprise feature" in text:
        return "leave --consul-namespace (CONSUL_NAMESPACE) and --consul-partition (CONSUL_PARTITION) out: this is not Consul Enterprise"
    if "No path to datacenter" in text:
        return "check --consul-datacenter; `consul members -wan` lists those there are"
    if "too large" in text or "too many operations" in text:
        return "this server takes less than others do: raise `kv_max_value_size` and `txn_max_req_len` in its configuration"
    return "the message is Consul's own"

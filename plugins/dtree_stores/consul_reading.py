"""Reading Consul's keys as they were at one moment, and telling keys that may not be read from keys that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dtree.access.consul import ConsulClient, Entry, Tree, rule
from dtree.store import StoreError
from dtree_stores.consul_places import Places

__all__ = ["read_now", "read_trees"]

_LOOKS: Final = 5
"""How often several prefixes are read until nothing changes meanwhile."""


def read_trees(client: ConsulClient, places: Places) -> Mapping[str, Tree]:
    """Read all prefixes.

    Returns:
        by prefix, all of one moment.

    Raises:
        StoreUnreachable: no contact, or no leader.
        StoreError: the token may not read it all.

    Effects: one request to Consul for a single prefix, without a token one more; for two at least three.
    """
    for _ in range(_LOOKS):
        trees = {prefix: client.tree(prefix) for prefix in places.prefixes}
        # Whatever is as it was before the last one was read, was so while it was.
        if all(client.tree(prefix).entries == trees[prefix].entries for prefix in places.prefixes[:-1]):
            break
    else:
        raise StoreError(
            f"the keys below {places.shown} changed each of the {_LOOKS} times that they were read",
            hint="put both below one folder, which is read at once",
        )
    for prefix, tree in trees.items():
        _refuse_denied(client, prefix, tree, probe=prefix or places.depfile or "dependency.json")
    return trees


def read_now(client: ConsulClient, places: Places) -> Mapping[str, Entry]:
    """Read all keys as all servers have them now. Effects: requests to Consul."""
    trees = [client.tree(prefix, consistency="consistent") for prefix in places.prefixes]
    return {key: entry for tree in trees for key, entry in tree.entries.items()}


def _refuse_denied(client: ConsulClient, prefix: str, tree: Tree, *, probe: str) -> None:
    """Refuse a view from which Consul left out what the token may not read.

    It says so where there is a token. Where there is none, and where an old one says nothing, a key is asked for by name: that is
    denied, or answered even if there is no such key.
    """
    has_token = bool(client.connection.token)
    doubtful = tree.denies and not (has_token and tree.entries)
    if not tree.is_filtered and not (doubtful and _is_denied(client, probe)):
        return
    who = "the token" if has_token else "without a token, the anonymous one"
    needs = "it needs" if has_token else "give one (CONSUL_HTTP_TOKEN, --consul-token-file); it needs"
    raise StoreError(
        f"Consul hides keys below '{prefix}': {who} may not read all of them",
        hint=f"{needs} the rule {rule(prefix, 'read')}",
        code="consul-denied",
    )


def _is_denied(client: ConsulClient, key: str) -> bool:
    try:
        client.get(key)
    except StoreError as error:
        if error.error_code != "consul-denied":
            raise
        return True
    return False

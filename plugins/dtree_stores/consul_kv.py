"""Jobs in Consul's KV store: a key for the dependency file, and one for each job file. `consul_places` tells which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Final

from dtree.access.consul import DEFAULT_ADDRESS, ConsulClient, Entry, Operation, Tree, connection_of
from dtree.store import Changes, Option, Revision, Snapshot, Store, StoreFileMissing, Text
from dtree_stores.consul_places import Places, below, find_places, is_file
from dtree_stores.consul_reading import read_trees
from dtree_stores.consul_writing import operations_of, write
from dtree_stores.paths import digest_of

_QUERY_S: Final = 60.0
"""Longest blocking query: one with the index of a cluster that was restored meanwhile would not be answered before its end."""

_TURN_S: Final = 2.0
"""How long one of several prefixes is watched before the next one's turn."""


class ConsulStore(Store):
    """Jobs in Consul's KV store."""

    store_api = 1
    summary = "Dependency file and job files in Consul's KV store"
    writable = True
    options = (
        Option(
            "consul-addr",
            help="Address of a Consul agent: a URL, host:port, or unix:///path of its socket.",
            default=DEFAULT_ADDRESS,
            env=("CONSUL_HTTP_ADDR", "CONSUL_ADDRESS"),
        ),
        Option("consul-depfile-path", help="Key of the dependency file. Default: dependency.json, .yaml or .yml in the root."),
        Option("consul-jobs-path", help="Prefix of the job files' keys. Default: jobs in the root."),
        Option(
            "consul-root",
            help="Folder that is read and that nothing may lie outside of. Default: the one that holds the two others, else nomad-dtree.",
        ),
        Option(
            "consul-token",
            help="ACL token. Other users of this machine can see options: prefer the variable or the file.",
            env=("CONSUL_HTTP_TOKEN",),
            secret=True,
        ),
        Option("consul-token-file", help="File that holds the ACL token; beats the token.", type="path", env=("CONSUL_HTTP_TOKEN_FILE",)),
        Option("consul-auth", help="user:password for what stands before Consul.", env=("CONSUL_HTTP_AUTH",), secret=True),
        Option("consul-datacenter", help="Datacenter of the keys. Default: the agent's."),
        Option("consul-namespace", help="Namespace (Consul Enterprise). Default: the token's.", env=("CONSUL_NAMESPACE",)),
        Option("consul-partition", help="Admin partition (Consul Enterprise). Default: the agent's.", env=("CONSUL_PARTITION",)),
        Option(
            "consul-consistency",
            help="How it is read: default, consistent (asks all servers), stale (any server, perhaps a moment old).",
            default="default",
        ),
        Option("consul-ssl", help="Use https, whatever the address says.", type="bool", default=False, env=("CONSUL_HTTP_SSL",)),
        Option("consul-ssl-verify", help="Check the server's certificate.", type="bool", default=True, env=("CONSUL_HTTP_SSL_VERIFY",)),
        Option("consul-ca-file", help="File of the authority of the server's certificate.", type="path", env=("CONSUL_CACERT",)),
        Option("consul-ca-path", help="Folder of such files.", type="path", env=("CONSUL_CAPATH",)),
        Option("consul-client-cert", help="File of our own certificate.", type="path", env=("CONSUL_CLIENT_CERT",)),
        Option("consul-client-key", help="File of its key.", type="path", env=("CONSUL_CLIENT_KEY",)),
        Option(
            "consul-tls-server-name",
            help="Name in the server's certificate, where it is not the host of the address.",
            env=("CONSUL_TLS_SERVER_NAME",),
        ),
    )

    def snapshot(self) -> ConsulSnapshot:
        """Read everything below the root. Effects: one request to Consul; three or more where two places have no root in common.

        Raises:
            StoreUnreachable: no contact, or no leader.
            StoreError: a setting is wrong, or the token may not read it.
        """
        given = self.settings
        places = find_places(*(given[key] or None for key in ("consul_root", "consul_depfile_path", "consul_jobs_path")))
        client = ConsulClient(connection_of(given))
        try:
            return ConsulSnapshot(client, places, read_trees(client, places))
        except BaseException:
            client.close()
            raise


class ConsulSnapshot(Snapshot):
    """All keys below the root at one moment."""

    def __init__(self, client: ConsulClient, places: Places, trees: Mapping[str, Tree]) -> None:
        self._client = client
        self._places = places
        self._trees = trees
        self._entries = {key: entry for tree in trees.values() for key, entry in tree.entries.items()}
        self._keys = sorted(key for key in self._entries if is_file(key))
        self._jobs = tuple(key.removeprefix(places.jobs) for key in self._keys if places.is_job(key))

    @property
    def title(self) -> str:
        """Last part of the root."""
        return self._places.root.rstrip("/").rpartition("/")[2] or "jobs"

    @property
    def place(self) -> str:
        """Address and root."""
        return f"{self._client.connection.shown}, {self._places.root or 'all keys'}"

    def depfile(self) -> Text:
        """Return the dependency file."""
        return self._text(self._places.find_depfile(self._keys))

    def list_jobs(self) -> Sequence[str]:
        """Return the paths of all job files below the jobs path."""
        return self._jobs

    def read_jobs(self, paths: Sequence[str]) -> Mapping[str, Text]:
        """Return job files by their path below the jobs path."""
        return {path: self._text(below(self._places.jobs, path)) for path in paths}

    def read(self, path: str) -> Text:
        """Return any file below the root."""
        return self._text(below(self._places.root, path))

    @property
    def revision(self) -> Revision:
        """Digest of all files below the root, and the index at which one of them was last changed."""
        digest = digest_of((key.removeprefix(self._places.root).encode(), self._entries[key].value) for key in self._keys)
        index = max((entry.index for entry in self._entries.values()), default=0)
        return Revision(f"sha256:{digest}", f"index {index}, sha256:{digest[:12]}")

    def check_changes(self, changes: Changes) -> None:
        """Refuse a value that is too large for Consul, and a key that would not be read."""
        self._operations(changes)

    def write(self, changes: Changes) -> str:
        """Write to Consul: in one transaction where it takes that much. Effects: changes keys."""
        return write(self._client, self._places, self._operations(changes))

    def wait_for_change(self, timeout_s: float) -> bool:
        """Wait with Consul's blocking query. Effects: requests to Consul."""
        end_s = self._client.now_s() + timeout_s
        indexes = {prefix: tree.index for prefix, tree in self._trees.items()}
        turn_s = _QUERY_S if len(indexes) == 1 else _TURN_S
        turns = cycle(indexes)
        while (left_s := end_s - self._client.now_s()) > 0:
            prefix = next(turns)
            tree = self._client.tree(prefix, index=indexes[prefix], wait_s=min(left_s, turn_s))
            if _files(tree.entries) != _files(self._trees[prefix].entries):
                return True
            # An index that went back is of a restored or another cluster: 0 asks that anew.
            indexes[prefix] = tree.index if tree.index >= indexes[prefix] else 0
        return False

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _text(self, key: str) -> Text:
        entry = self._entries.get(key)
        if entry is None:
            unread = "" if self._places.is_below(key) else f"; only keys below {self._places.shown} are read"
            raise StoreFileMissing(
                f"Consul has no key '{key}'{unread}",
                hint="choose a --consul-root that holds it"
                if unread
                else f"check the path; `consul kv get -keys {self._places.root}` lists what there is",
            )
        return Text(f"kv:{key}", entry.value)

    def _operations(self, changes: Changes) -> list[Operation]:
        depfile = "" if changes.depfile is None else self._depfile_key(changes.depfile)
        return operations_of(changes, self._places, self._entries, depfile=depfile)

    def _depfile_key(self, data: bytes) -> str:
        try:
            return self._places.find_depfile(self._keys)
        except StoreFileMissing:
            return self._places.new_depfile(data)


def _files(entries: Mapping[str, Entry]) -> dict[str, bytes]:
    return {key: entry.value for key, entry in entries.items() if is_file(key)}

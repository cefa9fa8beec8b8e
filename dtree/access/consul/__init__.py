"""Consul's KV store: a connection, and a client that mends py-consul."""

from dtree.access.consul.answers import rule
from dtree.access.consul.client import MOST_OPERATIONS, MOST_REQUEST_BYTES, MOST_VALUE_BYTES, ConsulClient, Entry, Operation, Tree
from dtree.access.consul.connection import CONSISTENCIES, DEFAULT_ADDRESS, Connection, connection_of

__all__ = [
    "CONSISTENCIES",
    "DEFAULT_ADDRESS",
    "MOST_OPERATIONS",
    "MOST_REQUEST_BYTES",
    "MOST_VALUE_BYTES",
    "Connection",
    "ConsulClient",
    "Entry",
    "Operation",
    "Tree",
    "connection_of",
    "rule",
]

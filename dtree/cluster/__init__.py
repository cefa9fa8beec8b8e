"""The cluster that observe and the executor use, on a real Nomad."""

from dtree.cluster.calls import NomadCluster

__all__ = ["NomadCluster"]

"""Regions of a federation, as the agent sees them that is asked."""

from __future__ import annotations

from typing import Final

from dtree.access.answers import NO_REGION
from dtree.access.nomad import NomadClient
from dtree.errors import ClusterError, Invalid, did_you_mean

_GLOBAL: Final = "global"


class Regions:
    """Finds out which names mean the region where calls go that name none. Each is asked for once.

    A region is known by the address of its leader, which every token may read; the agent's own configuration only few may.
    """

    def __init__(self, client: NomadClient) -> None:
        self._client = client
        self._own = client.connection.region
        self._found: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the name of a region in a JobRef.

        Raises:
            Invalid: there is no way to it, or none to register a job there.

        Effects: reads Nomad, up to four requests.
        """
        if name not in self._found:
            self._found[name] = self._find_global(name) if (name or self._own) == _GLOBAL else self._find(name)
        return self._found[name]

    def _find(self, name: str) -> str:
        if not (name or self._own):
            return ""
        there = self._leader(name or self._own)
        return "" if name in ("", self._own) or self._is(there, self._own) else name

    def _find_global(self, name: str) -> str:
        """Find the region that each Nomad has where none is configured.

        Nomad takes a job of region `global` for one of the agent's region, but reads where it is told to.

        Source: command/agent/job_endpoint.go (regionForJob) of Nomad 1.11.3, and seen.
        """
        try:
            there = self._leader(_GLOBAL)
        except Invalid:
            if self._own:
                raise
            return ""
        if not self._is(there, ""):
            problem = "this agent would put a job of region 'global' into its own region, which is another one"
            raise Invalid(problem, hint="ask an agent of region 'global' (--server-addr), or name the agent's region", code=NO_REGION)
        return "" if self._own in ("", _GLOBAL) else name

    def _is(self, leader: str, region: str) -> bool:
        """Whether a leader is that of a region; two regions without one are not the same."""
        return bool(leader) and leader == self._leader(region)

    def _leader(self, region: str) -> str:
        try:
            return str(self._client.call("get", "status", "leader", params={"region": region}, doing=f"looking for region '{region}'"))
        except Invalid as error:
            if error.error_code == NO_REGION:
                error.hint = self._known(region)
            raise

    def _known(self, wanted: str) -> str:
        """Say which regions the agent knows of, which takes no right."""
        try:
            known = sorted(map(str, self._client.call("get", "regions", params={"region": ""}, kind=list)))
        except ClusterError:
            known = []
        there = f"the regions there are: {', '.join(known)}" if known else "`nomad server members -detailed` lists the regions there are"
        told = " ".join(filter(None, (did_you_mean(wanted, known), there)))
        return f"{told}; check --region and NOMAD_REGION" if wanted == self._own else told

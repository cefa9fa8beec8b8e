"""Nomad's HTTP API through python-nomad: its Requester, one session, its exceptions. The only importer of python-nomad.

python-nomad's own endpoint methods lose namespaces, quoting, filters and the index that blocking queries need, so `_Requester` mends the
base class and every call goes through `NomadClient.call` or `.blocking`. All errors leave as `dtree.errors.ClusterError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from dtree.access import http, tls
from dtree.access.addresses import is_http, without_secrets
from dtree.access.answers import NO_REGION, Response, capability, decode_json, is_page, not_nomad, refusal_of, with_doing
from dtree.access.retries import ask_again
from dtree.errors import ClusterError, Denied, NotFound, Unavailable, Unreachable
from dtree.names import DEFAULT_NAMESPACE

DEFAULT_ADDRESS: Final = "http://127.0.0.1:4646"

_PARSE: Final = ("jobs", "parse")
_READ_S: Final = 60.0
_PIECE_S: Final = 10.0
_RETRY_FOR_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a Nomad.

    Attributes:
        address: URL; a bare `host:port` is taken as http.
        token: ACL token; never shown.
        namespace, region: for calls that name none; "" for the server's default.
        ca_cert, ca_path: file or folder of certificates that the server is checked against; "" for the system's.
        client_cert, client_key: files of the client's own certificate; both or none.
        tls_server_name: the name that the server's certificate is checked for, where it is not the host of the address.
        skip_verify: do not check the server's certificate at all.
    """

    address: str = DEFAULT_ADDRESS
    token: str = field(default="", repr=False)
    namespace: str = ""
    region: str = ""
    ca_cert: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    skip_verify: bool = False

    @property
    def url(self) -> str:
        """The address with a scheme and without a slash at the end."""
        address = self.address.strip()
        return (address if "://" in address else f"http://{address}").rstrip("/")

    @property
    def shown(self) -> str:
        """The address as it may be shown: without a user's name and password, and without a query."""
        return without_secrets(self.url)


class NomadClient:
    """Calls to one Nomad, with retries and with errors of our own.

    One session serves all threads. A call is tried again for up to 30 s on 429, on 5xx that pass, on resets and without a leader; a refused
    connection only once the server had answered before, so that a wrong address is told at once.
    """

    def __init__(self, connection: Connection, *, now_s: Callable[[], float], pause: Callable[[float], None]) -> None:
        self.connection = connection
        self._now_s = now_s
        self._pause = pause
        self._answered = False
        self._reached: set[str] = set()
        _check(connection)

    def call(
        self,
        method: str,
        *parts: str,
        params: Mapping[str, str] | None = None,
        body: object = None,
        doing: str = "",
        kind: type = object,
    ) -> Any:  # noqa: ANN401 - JSON
        """Call an endpoint.

        Args:
            parts: path below /v1, unquoted.
            params: query parameters; the connection's namespace and region are added where absent.
            body: sent as JSON.
            doing: what this is for, for the error, as "reading job 'api'".
            kind: what the JSON has to be; where it is not, that is no Nomad.

        Returns:
            The decoded JSON; None for an empty body.

        Raises:
            ClusterError: the right subclass of it.

        Effects: one request to Nomad, or several tries of it.
        """
        response = self._try(method, parts, params, body, doing, (http.CONNECT_S, _READ_S))
        return decode_json(response, doing, self.connection.shown, kind)

    def has_namespace(self, name: str, *, region: str = "") -> bool:
        """Whether there is such a namespace in a region; True where the token may not know. Effects: as `call`."""
        params = {"region": region} if region else {}
        try:
            self.call("get", "namespace", name, params=params, doing=f"looking for namespace '{name}'")
        except NotFound:
            return False
        except Denied:
            return True
        return True

    def text(self, *parts: str, params: Mapping[str, str] | None = None, doing: str = "") -> str:
        """GET an endpoint that answers with plain text. Effects: as `call`."""
        return self._try("get", parts, params, None, doing, (http.CONNECT_S, _READ_S)).content.decode(errors="replace")

    def piece(self, *parts: str, params: Mapping[str, str], most_bytes: int) -> bytes:
        """GET the beginning of an answer, once: who reads on asks again. Effects: one request to Nomad."""
        try:
            response = self._once("get", parts, params, None, (http.CONNECT_S, _PIECE_S), stream=True)
            with closing(response):
                return _beginning(response, most_bytes)
        except OSError as error:  # the answer broke off
            raise self._unreachable(error) from error

    def blocking(self, *parts: str, params: Mapping[str, str], index: int, wait_s: float, doing: str = "") -> tuple[int, Any]:
        """Ask a blocking query once, without retries: who stands in a loop knows best.

        Args:
            index: the last one seen; 0 answers at once.
            wait_s: how long Nomad may hold the answer; it adds up to a sixteenth of its own. Nothing would mean five minutes to it.

        Returns:
            (the new index, the decoded JSON).
        """
        asked = {**params, "index": str(max(index, 1)), "wait": f"{max(wait_s * 1000, 1):.0f}ms"} if index else dict(params)
        response = self._once("get", parts, asked, None, (http.CONNECT_S, wait_s * 17 / 16 + 10))
        return int(response.headers.get("X-Nomad-Index") or 0), decode_json(response, doing, self.connection.shown, object)

    def _try(
        self,
        method: str,
        parts: tuple[str, ...],
        params: Mapping[str, str] | None,
        body: object,
        doing: str,
        timeout_s: tuple[float, float],
    ) -> Response:
        try:
            return ask_again(
                lambda: self._once(method, parts, params, body, timeout_s),
                passes=lambda error: isinstance(error, Unavailable) or (isinstance(error, Unreachable) and self._answered),
                patience_s=_RETRY_FOR_S,
                now_s=self._now_s,
                pause=self._pause,
            )
        except ClusterError as error:
            raise with_doing(error, doing) from error

    def _once(
        self,
        method: str,
        parts: tuple[str, ...],
        params: Mapping[str, str] | None,
        body: object,
        timeout_s: tuple[float, float],
        *,
        stream: bool = False,
    ) -> Response:
        import nomad.api.exceptions

        try:
            response: Response = self._requester.request(*parts, method=method, params=params, json=body, timeout=timeout_s, stream=stream)
        except nomad.api.exceptions.TimeoutNomadException as error:
            raise self._unreachable(error) from error
        except nomad.api.exceptions.BaseNomadException as error:
            if not isinstance(error.nomad_resp, Exception):
                refusal = self._refusal(error.nomad_resp, method, parts, params or {})
                self._answered = self._answered or not isinstance(refusal, Unreachable)
                raise refusal from error
            raise self._unreachable(error.nomad_resp) from error
        except OSError as error:  # every exception of requests is one
            raise self._unreachable(error) from error
        self._answered = True
        if parts != _PARSE:  # which the agent itself answers, whatever region is named
            self._reached.add(self._region(params))
        return response

    def _region(self, params: Mapping[str, str] | None) -> str:
        return (params or {}).get("region", self.connection.region)

    def _refusal(self, response: Response, method: str, parts: tuple[str, ...], params: Mapping[str, str]) -> ClusterError:
        if "HTTP request to an HTTPS server" in response.text:
            return http.wants_https(self.connection.shown, tls.NOMAD)
        if response.status_code < 500 and response.status_code != 429 and is_page(response):  # noqa: PLR2004 - HTTP
            return not_nomad(self.connection.shown, f"it answers with a web page ({response.status_code})")
        refusal = refusal_of(response)
        region = self._region(params)
        if isinstance(refusal, Denied):
            namespace = params.get("namespace") or self.connection.namespace or DEFAULT_NAMESPACE
            given = "the token has to exist and" if self.connection.token else "give a token (NOMAD_TOKEN, --token-file), which has to"
            refusal.hint = f"{given} have the capability {capability(method, parts)} in namespace '{namespace}'{_in_region(region)}"
        if refusal.error_code == NO_REGION and region in self._reached:
            hint = "are its servers up? `nomad server members` shows those that this region knows of"
            return Unavailable(f"Nomad has no path to region '{region}' any more", hint=hint)
        return refusal

    def _unreachable(self, error: object) -> ClusterError:
        known, url = self.connection, self.connection.shown
        match http.trouble_of(error, known.url, answered=self._answered):
            case "sent-elsewhere":
                return not_nomad(url, "it sends us elsewhere")
            case "slow":
                return Unavailable(f"Nomad at {url} took too long to answer", hint="is the agent overloaded, or without a leader?")
            case "not-http":
                hint = "does it want https://? is it Nomad's HTTP port (4646)?"
                return Unreachable(f"what listens at {url} does not speak plain HTTP", hint=hint)
            case "broken":
                is_nomad = self._answered or url.startswith("https")
                hint = "is the agent up and reachable?" if is_nomad else "is that Nomad? does it want https://?"
                return Unreachable(f"the connection to Nomad at {url} broke", notes=[http.innermost(error)], hint=hint)
            case trouble:
                return http.no_way_to(known.url, trouble, error, has_certificate=bool(known.client_cert), party=tls.NOMAD)

    @cached_property
    def _requester(self) -> Any:  # noqa: ANN401 - a class that can only be made once python-nomad is imported
        from nomad.api.base import Requester

        class MendedRequester(Requester):  # type: ignore[misc] # python-nomad has no types
            def _endpoint_builder(self, *args: str) -> str:
                return "/".join([self.version, *(quote(part, safe="") for part in args if part)])

            def _required_namespace(self, endpoint: str) -> bool:  # noqa: ARG002 - python-nomad's signature
                return True

            def _request(self, method: str, endpoint: str, **kwargs: Any) -> Response:
                # The base class writes the token into the headers, and defaults into the parameters, that it was handed.
                kwargs["headers"] = dict(kwargs.get("headers") or {})
                kwargs["params"] = dict(kwargs.get("params") or {})
                response: Response = super()._request(method=method, endpoint=endpoint, **kwargs)
                return response

        known = self.connection
        return MendedRequester(
            address=known.url,
            namespace=known.namespace or None,
            region=known.region or None,
            token=known.token or None,
            user_agent="nomad-dtree",
            verify=http.trusted(ca_file=known.ca_cert, ca_path=known.ca_path, skip_verify=known.skip_verify),
            cert=(known.client_cert, known.client_key) if known.client_cert else (),
            session=http.open_session(known.url, server_name=known.tls_server_name, skip_verify=known.skip_verify),
        )


def _in_region(region: str) -> str:
    return f" of region '{region}'" if region else ""


def _beginning(response: Response, most_bytes: int) -> bytes:
    """Read so much of a body; Nomad sends logs in pieces of its own."""
    parts: list[bytes] = []
    left = most_bytes
    for part in response.iter_content(most_bytes):
        parts.append(part[:left])
        left -= len(part)
        if left <= 0:
            break
    return b"".join(parts)


def _check(connection: Connection) -> None:
    if not is_http(connection.url):
        raise Unreachable(
            f"'{without_secrets(connection.address)}' is not an address of a Nomad server",
            hint="give a URL like https://nomad.example:4646",
            code="bad-address",
        )
    if not http.is_token(connection.token):
        raise Denied(
            "the ACL token holds characters that no token has", hint="check NOMAD_TOKEN, --token-file or --token: one token, nothing else"
        )
    tls.check_files(
        ca_file=connection.ca_cert, ca_path=connection.ca_path, cert_file=connection.client_cert, key_file=connection.client_key
    )

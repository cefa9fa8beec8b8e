"""Nomad's HTTP API through python-nomad: its Requester, one session, its exceptions. The only importer of python-nomad and requests.

python-nomad's own endpoint methods lose namespaces, quoting, filters and the index that blocking queries need, so `_Requester` mends the
base class and every call goes through `NomadClient.call` or `.blocking`. All errors leave as `dtree.errors.ClusterError`.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from dtree.access import tls
from dtree.access.addresses import is_loopback, masked, without_secrets
from dtree.access.answers import capability, clean, decode_json, is_page, not_nomad, refusal_of, with_doing
from dtree.errors import ClusterError, Denied, Unavailable, Unreachable

if TYPE_CHECKING:
    from requests import Response, Session

DEFAULT_ADDRESS: Final = "http://127.0.0.1:4646"

_CONNECT_S: Final = 5.0
_READ_S: Final = 60.0
_RETRY_FOR_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_CONNECTIONS: Final = 32


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
        response = self._try(method, parts, params, body, doing, (_CONNECT_S, _READ_S))
        return decode_json(response, doing, self.connection.shown, kind)

    def text(self, *parts: str, params: Mapping[str, str] | None = None, doing: str = "") -> str:
        """GET an endpoint that answers with plain text. Effects: as `call`."""
        return self._try("get", parts, params, None, doing, (_CONNECT_S, _READ_S)).content.decode(errors="replace")

    def blocking(self, *parts: str, params: Mapping[str, str], index: int, wait_s: float, doing: str = "") -> tuple[int, Any]:
        """Ask a blocking query once, without retries: who stands in a loop knows best.

        Args:
            index: the last one seen; 0 answers at once.
            wait_s: how long Nomad may hold the answer; it adds up to a sixteenth of its own.

        Returns:
            (the new index, the decoded JSON).
        """
        asked = {**params, "index": str(max(index, 1)), "wait": f"{wait_s:.0f}s"} if index else dict(params)
        response = self._once("get", parts, asked, None, (_CONNECT_S, wait_s * 17 / 16 + 10))
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
        give_up_s = self._now_s() + _RETRY_FOR_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, parts, params, body, timeout_s)
            except (Unavailable, Unreachable) as error:
                last_try = self._now_s() + pause_s > give_up_s
                if last_try or (isinstance(error, Unreachable) and not self._answered):
                    raise with_doing(error, doing) from error
            except ClusterError as error:
                raise with_doing(error, doing) from error
            self._pause(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _once(
        self, method: str, parts: tuple[str, ...], params: Mapping[str, str] | None, body: object, timeout_s: tuple[float, float]
    ) -> Response:
        import nomad.api.exceptions
        import requests

        try:
            response: Response = self._requester.request(*parts, method=method, params=params, json=body, timeout=timeout_s)
        except nomad.api.exceptions.TimeoutNomadException as error:
            raise self._unreachable(error) from error
        except nomad.api.exceptions.BaseNomadException as error:
            if isinstance(error.nomad_resp, requests.Response):
                refusal = self._refusal(error.nomad_resp, method, parts, params or {})
                self._answered = self._answered or not isinstance(refusal, Unreachable)
                raise refusal from error
            raise self._unreachable(error.nomad_resp) from error
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        self._answered = True
        return response

    def _refusal(self, response: Response, method: str, parts: tuple[str, ...], params: Mapping[str, str]) -> ClusterError:
        if "HTTP request to an HTTPS server" in response.text:
            secure = self.connection.shown.replace("http://", "https://", 1)
            return Unreachable(f"what listens at {self.connection.shown} wants https", hint=f"use {secure}", code=tls.CODE)
        if response.status_code < 500 and response.status_code != 429 and is_page(response):  # noqa: PLR2004 - HTTP
            return not_nomad(self.connection.shown, f"it answers with a web page ({response.status_code})")
        refusal = refusal_of(response)
        if isinstance(refusal, Denied):
            namespace = params.get("namespace") or self.connection.namespace or "default"
            given = "the token has to exist and" if self.connection.token else "give a token (NOMAD_TOKEN, --token-file), which has to"
            refusal.hint = f"{given} have the capability {capability(method, parts)} in namespace '{namespace}'"
        return refusal

    def _unreachable(self, error: object) -> ClusterError:
        return _proxy_trouble(self.connection, error) or self._no_answer(error)

    def _no_answer(self, error: object) -> ClusterError:
        import requests

        url = self.connection.shown
        text = str(error)
        silent = url.startswith("https://") and not self._answered and "Connection aborted" in text
        if isinstance(error, requests.exceptions.SSLError) or silent:
            why, hint = tls.tls_trouble(clean(text), url=url, has_certificate=bool(self.connection.client_cert))
            return Unreachable(f"no trust between us and {url}: {why}", hint=hint, code=tls.CODE)
        if isinstance(error, requests.exceptions.TooManyRedirects):
            return not_nomad(url, "it sends us elsewhere")
        if isinstance(error, requests.exceptions.ReadTimeout):
            return Unavailable(f"Nomad at {url} took too long to answer", hint="is the agent overloaded, or without a leader?")
        if "Name or service not known" in text or "name resolution" in text or "getaddrinfo" in text:
            return Unreachable(f"the host of {url} is not known", hint="check --server-addr or NOMAD_ADDR")
        if "refused" in text:
            return Unreachable(
                f"nothing listens at {url}", hint="is the agent up? --server-addr or NOMAD_ADDR says where (4646 is Nomad's port)"
            )
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return Unreachable(f"{url} did not answer within {_CONNECT_S:g} s", hint="check --server-addr or NOMAD_ADDR, and the firewall")
        if "BadStatusLine" in text or "illegal status line" in text:
            return Unreachable(
                f"what listens at {url} does not speak plain HTTP", hint="does it want https://? is it Nomad's HTTP port (4646)?"
            )
        hint = "is the agent up and reachable?" if self._answered or url.startswith("https") else "is that Nomad? does it want https://?"
        return Unreachable(f"the connection to Nomad at {url} broke", notes=[_innermost(error)], hint=hint)

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
            verify=_verify(known),
            cert=(known.client_cert, known.client_key) if known.client_cert else (),
            session=_session(known),
        )


def _check(connection: Connection) -> None:
    if not _is_address(connection.url):
        raise Unreachable(
            f"'{without_secrets(connection.address)}' is not an address of a Nomad server",
            hint="give a URL like https://nomad.example:4646",
            code="bad-address",
        )
    # It would not fit a header, and the library's error for that quotes it.
    if not connection.token.isascii() or any(char.isspace() or not char.isprintable() for char in connection.token):
        raise Denied(
            "the ACL token holds characters that no token has", hint="check NOMAD_TOKEN, --token-file or --token: one token, nothing else"
        )
    tls.check_files(
        ca_file=connection.ca_cert, ca_path=connection.ca_path, cert_file=connection.client_cert, key_file=connection.client_key
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


def _verify(connection: Connection) -> bool | str:
    if connection.skip_verify:
        return False
    return connection.ca_cert or connection.ca_path or os.environ.get("REQUESTS_CA_BUNDLE") or True


def _session(connection: Connection) -> Session:
    import requests
    import requests.adapters
    import urllib3

    session = requests.Session()
    name = connection.tls_server_name
    # Left to itself requests looks for proxies and a netrc at every call, and would let an environment variable replace `verify`.
    session.trust_env = False
    session.proxies = _proxies(connection)

    class NamedAdapter(requests.adapters.HTTPAdapter):
        """Asks for, and checks the certificate against, a name that is not the address's."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            named = {"server_hostname": name, "assert_hostname": name} if name else {}
            super().init_poolmanager(*args, **{**kwargs, **named})

    # A redirect would take the token along, to wherever it leads.
    session.max_redirects = 0
    # Nomad lets one address have 100 connections: further requests wait for one of ours.
    session.mount("https://", NamedAdapter(pool_maxsize=_CONNECTIONS, pool_block=True))
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS, pool_block=True))
    if connection.skip_verify:
        # The user said so; a warning at every request would bury the run.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return session


def _proxies(connection: Connection) -> dict[str, str]:
    """Return the environment's proxies for the address; like Nomad's own client, none to this machine itself."""
    import requests

    return {} if is_loopback(connection.url) else dict(requests.utils.get_environ_proxies(connection.url))


def _proxy_trouble(connection: Connection, error: object) -> Unreachable | None:
    import requests

    proxy = requests.utils.select_proxy(connection.url, _proxies(connection))
    if not proxy or not isinstance(error, requests.exceptions.ProxyError | requests.exceptions.ConnectTimeout):
        return None
    return Unreachable(
        f"the proxy {without_secrets(proxy)}, on the way to {connection.shown}, does not answer",
        notes=[_innermost(error)],
        hint="check HTTP_PROXY and HTTPS_PROXY; a host that NO_PROXY names is asked directly",
    )


def _innermost(error: object) -> str:
    while isinstance(error, BaseException) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    return masked(clean(str(error)))[:200]

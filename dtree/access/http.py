"""HTTP sessions as our clients want them, and why one got no answer. The only importer of requests and urllib3."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from dtree.access.addresses import is_loopback, masked, without_secrets
from dtree.access.answers import clean
from dtree.access.tls import Party, tls_trouble
from dtree.errors import DtreeError

if TYPE_CHECKING:
    from requests import Session

__all__ = ["CONNECT_S", "innermost", "is_token", "no_way_to", "open_session", "trouble_of", "trusted", "wants_https"]

CONNECT_S: Final = 5.0
"""Longest wait for a connection."""

Failure = TypeVar("Failure", bound=DtreeError)

_NoWay = Literal["proxy", "tls", "unknown-host", "refused", "no-contact"]
"""Why there is no connection."""
_Trouble = _NoWay | Literal["sent-elsewhere", "slow", "not-http", "broken"]
"""Why there was no answer; `broken` is what none of the others is."""

_CONNECTIONS: Final = 32


def open_session(url: str, *, server_name: str = "", skip_verify: bool = False, gives_redirects: bool = False) -> Session:
    """Return a session that sends what it was told to, where it was told to, and nothing to anybody else.

    Args:
        url: the server; `unix:///path` goes through that socket, whatever host a request names.
        server_name: the name to ask for and to check the certificate against, where it is not the host; "" for the host.
        skip_verify: the certificate is not checked.
        gives_redirects: a redirect is an answer like any other; else it is an error.
    """
    import requests
    import requests.adapters
    import urllib3

    class PlainSession(requests.Session):
        """Leaves a redirect to who asked; the base class would read all of its body, and prepare the next request."""

        def get_redirect_target(self, resp: requests.Response) -> str | None:
            return None if gives_redirects else super().get_redirect_target(resp)

    session = PlainSession()
    # Left to itself requests looks for proxies and a netrc at every call, and would let an environment variable replace `verify`.
    session.trust_env = False
    session.proxies = _proxies(url)
    if _is_here(url):
        # An agent of this machine would spend more time on compressing than the way takes.
        session.headers["Accept-Encoding"] = "identity"

    class NamedAdapter(requests.adapters.HTTPAdapter):
        """Asks for, and checks the certificate against, a name that is not the address's."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            named = {"server_hostname": server_name, "assert_hostname": server_name} if server_name else {}
            super().init_poolmanager(*args, **{**kwargs, **named})

    # A redirect would take the token along, to wherever it leads.
    session.max_redirects = 0
    # Nomad lets one address have 100 connections: further requests wait for one of ours.
    session.mount("https://", NamedAdapter(pool_maxsize=_CONNECTIONS, pool_block=True))
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS, pool_block=True))
    if url.startswith("unix://"):
        _mount_socket(session, unquote(url.removeprefix("unix://")))
    if skip_verify:
        # The user said so; a warning at every request would bury the run.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return session


def is_token(text: str) -> bool:
    """Tell whether it can be sent as a token; what does not fit a header is quoted by the library that refuses it."""
    return text.isascii() and not any(char.isspace() or not char.isprintable() for char in text)


def trusted(*, ca_file: str, ca_path: str, skip_verify: bool) -> bool | str:
    """Return what requests takes as `verify`: a file or folder of authorities, those of the system, or no check at all."""
    if skip_verify:
        return False
    return ca_file or ca_path or os.environ.get("REQUESTS_CA_BUNDLE") or True


def trouble_of(error: object, url: str, *, answered: bool) -> _Trouble:
    """Tell why there was no answer.

    Args:
        error: the exception of requests.
        answered: this server answered before.
    """
    from requests import exceptions

    text = str(error)
    if _proxy_of(url) and isinstance(error, exceptions.ProxyError | exceptions.ConnectTimeout):
        return "proxy"
    # A server that wants a client's certificate may hang up without a word.
    if isinstance(error, exceptions.SSLError) or (url.startswith("https://") and not answered and "Connection aborted" in text):
        return "tls"
    if isinstance(error, exceptions.TooManyRedirects):
        return "sent-elsewhere"
    if isinstance(error, exceptions.ReadTimeout):
        return "slow"
    if "Name or service not known" in text or "name resolution" in text or "getaddrinfo" in text:
        return "unknown-host"
    if "refused" in text or (url.startswith("unix://") and "No such file" in text):
        return "refused"
    if isinstance(error, exceptions.ConnectTimeout):
        return "no-contact"
    return "not-http" if "BadStatusLine" in text or "illegal status line" in text else "broken"


def no_way_to(url: str, trouble: _NoWay, error: object, *, has_certificate: bool, party: Party[Failure]) -> Failure:
    """Say why there is no connection to a server.

    Args:
        error: the exception of requests.
        has_certificate: we show a client certificate.
        party: whose server it is.
    """
    shown = without_secrets(url)
    match trouble:
        case "tls":
            why, hint = tls_trouble(clean(str(error)), url=shown, has_certificate=has_certificate, party=party)
            return party.error(f"no trust between us and {shown}: {why}", hint=hint, code=party.code)
        case "proxy":
            problem = f"the proxy {_proxy_of(url)}, on the way to {shown}, does not answer"
            hint = "check HTTP_PROXY and HTTPS_PROXY; a host that NO_PROXY names is asked directly"
            return party.error(problem, notes=[innermost(error)], hint=hint)
        case "unknown-host":
            return party.error(f"the host of {shown} is not known", hint=f"check {party.address}")
        case "refused":
            hint = f"is the agent up? {party.address} says where ({party.port} is {party.server}'s port)"
            return party.error(f"nothing listens at {shown}", hint=hint)
        case "no-contact":
            return party.error(f"{shown} did not answer within {CONNECT_S:g} s", hint=f"check {party.address}, and the firewall")


def wants_https(shown: str, party: Party[Failure]) -> Failure:
    """Say that a server was spoken to without TLS, which it wants."""
    secure = shown.replace("http://", "https://", 1)
    return party.error(f"what listens at {shown} wants https", hint=f"use {secure}", code=party.code)


def innermost(error: object) -> str:
    """Return the words of what an exception was caused by in the end, without secrets and cut."""
    while isinstance(error, BaseException) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    return masked(clean(str(error)))[:200]


def _proxy_of(url: str) -> str:
    """Return the proxy on the way to an address as it may be shown, "" for none."""
    import requests

    return without_secrets(requests.utils.select_proxy(url, _proxies(url)) or "")


def _proxies(url: str) -> dict[str, str]:
    """Return the environment's proxies for the address; like HashiCorp's own clients, none to this machine itself."""
    import requests

    return {} if _is_here(url) else dict(requests.utils.get_environ_proxies(url))


def _is_here(url: str) -> bool:
    return urlsplit(url).scheme == "unix" or is_loopback(url)


def _mount_socket(session: Session, path: str) -> None:
    import requests.adapters
    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.exceptions import NewConnectionError

    class SocketConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                opened.settimeout(self.timeout)
                opened.connect(path)
            except OSError as error:
                opened.close()
                raise NewConnectionError(self, str(error)) from error
            return opened

    class SocketPool(HTTPConnectionPool):
        ConnectionCls = SocketConnection

    class SocketAdapter(requests.adapters.HTTPAdapter):
        """Goes through one socket of this machine."""

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": SocketPool}

    session.mount("http://", SocketAdapter())

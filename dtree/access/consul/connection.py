"""How to reach a Consul, and whether that can be meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dtree.access import http, tls
from dtree.access.addresses import is_http, without_secrets
from dtree.errors import StoreError, StoreUnreachable

__all__ = ["CONSISTENCIES", "DEFAULT_ADDRESS", "PARTY", "PORT", "Connection", "connection_of"]

PORT: Final = 8500
DEFAULT_ADDRESS: Final = f"127.0.0.1:{PORT}"
CONSISTENCIES: Final = ("default", "consistent", "stale")

_NAME: Final = re.compile(r"[\w.-]*", re.ASCII)

PARTY: Final = tls.Party(
    server="Consul",
    address="--consul-addr or CONSUL_HTTP_ADDR",
    port=PORT,
    ca_file="--consul-ca-file (CONSUL_CACERT)",
    ca_path="--consul-ca-path (CONSUL_CAPATH)",
    cert_file="--consul-client-cert (CONSUL_CLIENT_CERT)",
    key_file="--consul-client-key (CONSUL_CLIENT_KEY)",
    server_name="--consul-tls-server-name (CONSUL_TLS_SERVER_NAME)",
    error=StoreUnreachable,
    code="consul-tls",
)


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a Consul.

    Attributes:
        address: URL, `unix:///path` of a socket, or a bare host, which is http (with `ssl` https) on port 8500 unless it names another.
        ssl: https, even where the address says http.
        token: ACL token; never shown.
        login: `user:password` for what stands before Consul; never shown.
        datacenter, namespace, partition: "" for those of the agent and the token.
        consistency: one of CONSISTENCIES.
        ca_file, ca_path: file or folder of certificates that the server is checked against; "" for the system's.
        client_cert, client_key: files of the client's own certificate; both or none.
        tls_server_name: the name that the server's certificate is checked for, where it is not the host of the address.
        skip_verify: do not check the server's certificate at all.
    """

    address: str = DEFAULT_ADDRESS
    ssl: bool = False
    token: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    datacenter: str = ""
    namespace: str = ""
    partition: str = ""
    consistency: str = "default"
    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    skip_verify: bool = False

    @property
    def url(self) -> str:
        """The address with a scheme and without a slash at the end."""
        scheme, separator, rest = self.address.strip().rstrip("/").rpartition("://")
        if not separator:
            has_port = re.search(r":\d+$", rest)
            return f"{'https' if self.ssl else 'http'}://{rest if has_port else f'{rest}:{PORT}'}"
        return f"{'https' if self.ssl and scheme == 'http' else scheme}://{rest}"

    @property
    def shown(self) -> str:
        """The address as it may be shown: without a user's name and password, and without a query."""
        return without_secrets(self.url)

    def check(self) -> None:
        """See that everything is what it should be, so that no library has to tell it.

        Raises:
            StoreError: names the option.

        Effects: reads the files of the certificates.
        """
        if not _is_address(self.url):
            raise StoreUnreachable(
                f"'{without_secrets(self.address)}' is not an address of a Consul agent",
                hint="give a URL like https://consul.example:8501, host:port, or unix:///path/of/the/socket",
                code="consul-bad-setting",
            )
        if self.consistency not in CONSISTENCIES:
            raise _bad(f"--consul-consistency is '{self.consistency}'", f"give one of {', '.join(CONSISTENCIES)}")
        if self.login and ":" not in self.login:
            raise _bad("CONSUL_HTTP_AUTH has no colon", "write it as user:password")
        if not http.is_token(self.token):
            hint = "check CONSUL_HTTP_TOKEN, --consul-token-file or --consul-token: one token, nothing else"
            raise _bad("Consul's ACL token holds characters that no token has", hint)
        for what, name in (("datacenter", self.datacenter), ("namespace", self.namespace), ("partition", self.partition)):
            if not _NAME.fullmatch(name):
                raise _bad(f"{name!r} is no name of a {what}", f"check --consul-{what}")
        tls.check_files(ca_file=self.ca_file, ca_path=self.ca_path, cert_file=self.client_cert, key_file=self.client_key, party=PARTY)


def connection_of(given: Mapping[str, Any]) -> Connection:
    """Return how to reach Consul as the options of the Consul store say, by `Option.key`.

    Raises:
        StoreError: the file with the token cannot be read.

    Effects: reads that file.
    """
    return Connection(
        address=given["consul_addr"],
        ssl=given["consul_ssl"],
        token=_token(given["consul_token_file"]) or given["consul_token"] or "",
        login=given["consul_auth"] or "",
        datacenter=given["consul_datacenter"] or "",
        namespace=given["consul_namespace"] or "",
        partition=given["consul_partition"] or "",
        consistency=given["consul_consistency"],
        ca_file=str(given["consul_ca_file"] or ""),
        ca_path=str(given["consul_ca_path"] or ""),
        client_cert=str(given["consul_client_cert"] or ""),
        client_key=str(given["consul_client_key"] or ""),
        tls_server_name=given["consul_tls_server_name"] or "",
        skip_verify=not given["consul_ssl_verify"],
    )


def _bad(problem: str, hint: str) -> StoreError:
    return StoreError(problem, hint=hint, code="consul-bad-setting")


def _is_address(url: str) -> bool:
    return is_http(url) or re.match("unix:///", url, re.IGNORECASE) is not None


def _token(file: Path | None) -> str:
    if file is None:
        return ""
    hint = "check --consul-token-file or CONSUL_HTTP_TOKEN_FILE"
    try:
        token = file.read_text().strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise StoreError(f"the token file {file} cannot be read: {why}", hint=hint, code="consul-bad-setting") from error
    if not token:
        raise StoreError(f"the token file {file} is empty", hint=hint, code="consul-bad-setting")
    return token

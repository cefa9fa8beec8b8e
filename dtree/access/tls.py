"""Certificates: the files that a user names, and what OpenSSL says when a connection cannot be trusted."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from dtree.errors import DtreeError, Unreachable

__all__ = ["NOMAD", "Party", "check_files", "tls_trouble"]

_Error_co = TypeVar("_Error_co", bound=DtreeError, covariant=True)


@dataclass(frozen=True, slots=True)
class Party(Generic[_Error_co]):
    """Whose server and whose certificates they are: the words and the error that messages about the way to it are made of.

    Attributes:
        server: its name.
        address: what says where it is: option and variable.
        port: where it listens unless somebody says otherwise.
        ca_file, ca_path, cert_file, key_file, server_name: the setting as a user would name it: option, variable in brackets.
        error: what is raised.
        code: of an error about its certificates.
    """

    server: str
    address: str
    port: int
    ca_file: str
    ca_path: str
    cert_file: str
    key_file: str
    server_name: str
    error: type[_Error_co]
    code: str

    @property
    def both(self) -> str:
        """The two options of a client's certificate."""
        return f"{self.cert_file.partition(' ')[0]} and {self.key_file.partition(' ')[0]}"


NOMAD: Final = Party(
    server="Nomad",
    address="--server-addr or NOMAD_ADDR",
    port=4646,
    ca_file="--root-ca-file (NOMAD_CACERT)",
    ca_path="--root-ca-path (NOMAD_CAPATH)",
    cert_file="--cert-file (NOMAD_CLIENT_CERT)",
    key_file="--key-file (NOMAD_CLIENT_KEY)",
    server_name="--tls-server-name (NOMAD_TLS_SERVER_NAME)",
    error=Unreachable,
    code="nomad-tls",
)

_VERIFY_REASON: Final = re.compile(r"certificate verify failed: ([^(]+?) \(_ssl")
_REFUSED_OURS: Final = re.compile(
    r"certificate.required|bad.certificate|unknown.ca\b|handshake.failure|certificate.unknown|EOF occurred|reset by peer|broken pipe",
    re.IGNORECASE,
)


def check_files(*, ca_file: str, ca_path: str, cert_file: str, key_file: str, party: Party[DtreeError] = NOMAD) -> None:
    """See that the files are there and hold what they should; "" for one that is not given.

    Left to requests, a wrong file is an error of OpenSSL that names no file.

    Raises:
        DtreeError: the party's own; names the option and the file.

    Effects: reads the files.
    """
    authorities, certificate = (party.ca_file, ca_file), (party.cert_file, cert_file)
    for option, path in (authorities, (party.ca_path, ca_path), certificate, (party.key_file, key_file)):
        if path and not os.access(path, os.R_OK):
            problem = f"{option} names '{path}', which cannot be read"
            raise party.error(problem, hint="check the path and its permissions", code=party.code)
    if bool(cert_file) != bool(key_file):
        raise party.error(f"a client certificate needs both {party.both}", hint="give both, or none", code=party.code)
    for option, path in (authorities, certificate):
        if path and not _holds_certificate(path):
            problem = f"{option} names '{path}', which holds no certificate"
            raise party.error(problem, hint="it has to be a file in PEM form", code=party.code)
    if cert_file and not _belong_together(cert_file, key_file):
        raise party.error(
            f"{party.key_file} names '{key_file}', which is not the key of '{cert_file}'",
            hint="it has to be that certificate's private key, in PEM form and without a passphrase",
            code=party.code,
        )


def tls_trouble(text: str, *, url: str, has_certificate: bool, party: Party[DtreeError] = NOMAD) -> tuple[str, str]:
    """Turn an error of OpenSSL into words.

    Args:
        text: of the exception.
        has_certificate: we show a client certificate.

    Returns:
        (why, hint).
    """
    if "WRONG_VERSION_NUMBER" in text or "UNKNOWN_PROTOCOL" in text or "record layer" in text:
        return "it does not speak TLS", f"use {url.replace('https://', 'http://')}"
    if "Hostname mismatch" in text or "IP address mismatch" in text or "doesn't match" in text:
        return "its certificate is for another name", f"name it with {party.server_name}"
    if reason := _VERIFY_REASON.search(text):
        if "expired" in reason[1] or "not yet valid" in reason[1]:
            return f"its {reason[1]}", "renew it, or check the clock of this machine"
        return "its certificate is not signed by a known authority", f"give the authority's file with {party.ca_file}"
    # With TLS 1.3 a server refuses only after the handshake, often without a word.
    if _REFUSED_OURS.search(text) and has_certificate:
        hint = f"check {party.both}: who signed them does {party.server} trust?"
        return "it does not accept the client's certificate", hint
    if _REFUSED_OURS.search(text):
        return "it hung up, as a server does that wants a client certificate", f"give {party.both}"
    return text[:200], f"check {party.ca_file.partition(' ')[0]}, {party.both}"


def _holds_certificate(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        return False
    return True


def _belong_together(cert_file: str, key_file: str) -> bool:
    try:
        # A passphrase, or OpenSSL would ask the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except (ssl.SSLError, OSError):
        return False
    return True

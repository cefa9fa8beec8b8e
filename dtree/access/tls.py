"""Certificates: the files that a user names, and what OpenSSL says when a connection cannot be trusted."""

from __future__ import annotations

import os
import re
import ssl
from typing import Final

from dtree.errors import Unreachable

__all__ = ["CODE", "check_files", "tls_trouble"]

CODE: Final = "nomad-tls"
"""Code of every error about certificates."""

_CA_FILE: Final = "--root-ca-file (NOMAD_CACERT)"
_CERT_FILE: Final = "--cert-file (NOMAD_CLIENT_CERT)"
_KEY_FILE: Final = "--key-file (NOMAD_CLIENT_KEY)"
_VERIFY_REASON: Final = re.compile(r"certificate verify failed: ([^(]+?) \(_ssl")
_REFUSED_OURS: Final = re.compile(
    r"certificate.required|bad.certificate|unknown.ca\b|handshake.failure|certificate.unknown|EOF occurred|reset by peer|broken pipe",
    re.IGNORECASE,
)


def check_files(*, ca_file: str, ca_path: str, cert_file: str, key_file: str) -> None:
    """See that the files are there and hold what they should; "" for one that is not given.

    Left to requests, a wrong file is an error of OpenSSL that names no file.

    Raises:
        Unreachable: names the option and the file.

    Effects: reads the files.
    """
    for option, path in ((_CA_FILE, ca_file), ("--root-ca-path (NOMAD_CAPATH)", ca_path), (_CERT_FILE, cert_file), (_KEY_FILE, key_file)):
        if path and not os.access(path, os.R_OK):
            raise Unreachable(f"{option} names '{path}', which cannot be read", hint="check the path and its permissions", code=CODE)
    if bool(cert_file) != bool(key_file):
        raise Unreachable("a client certificate needs both --cert-file and --key-file", hint="give both, or none", code=CODE)
    for option, path in ((_CA_FILE, ca_file), (_CERT_FILE, cert_file)):
        if path and not _holds_certificate(path):
            raise Unreachable(f"{option} names '{path}', which holds no certificate", hint="it has to be a file in PEM form", code=CODE)
    if cert_file and not _belong_together(cert_file, key_file):
        raise Unreachable(
            f"{_KEY_FILE} names '{key_file}', which is not the key of '{cert_file}'",
            hint="it has to be that certificate's private key, in PEM form and without a passphrase",
            code=CODE,
        )


def tls_trouble(text: str, *, url: str, has_certificate: bool) -> tuple[str, str]:
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
        return "its certificate is for another name", "name it with --tls-server-name (NOMAD_TLS_SERVER_NAME)"
    if reason := _VERIFY_REASON.search(text):
        if "expired" in reason[1] or "not yet valid" in reason[1]:
            return f"its {reason[1]}", "renew it, or check the clock of this machine"
        return "its certificate is not signed by a known authority", "give the authority's file with --root-ca-file (NOMAD_CACERT)"
    # With TLS 1.3 a server refuses only after the handshake, often without a word.
    if _REFUSED_OURS.search(text) and has_certificate:
        return "it does not accept the client's certificate", "check --cert-file and --key-file: who signed them does Nomad trust?"
    if _REFUSED_OURS.search(text):
        return "it hung up, as a server does that wants a client certificate", "give --cert-file and --key-file"
    return text[:200], "check --root-ca-file, --cert-file and --key-file"


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

"""Files of certificates are looked at before anything is sent, and OpenSSL's words are turned into a user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from dtree.access.tls import check_files, tls_trouble
from dtree.errors import Unreachable


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    return {name: str(tmp_path / f"{name.removesuffix('_file')}.pem") for name in ("ca_file", "cert_file", "key_file")}


def problem_with(files: dict[str, Any], **wrong: str) -> str:
    with pytest.raises(Unreachable) as caught:
        check_files(**{"ca_path": "", **files, **wrong})
    assert caught.value.error_code == "nomad-tls"
    assert caught.value.hint
    return caught.value.problem


def test_files_that_belong_together_pass(files: dict[str, Any], tmp_path: Path) -> None:
    check_files(ca_path=str(tmp_path), **files)
    check_files(ca_file="", ca_path="", cert_file="", key_file="")


@pytest.mark.parametrize(
    ("name", "option"),
    [("ca_file", "--root-ca-file"), ("ca_path", "--root-ca-path"), ("cert_file", "--cert-file"), ("key_file", "--key-file")],
)
def test_a_file_that_is_not_there_is_named_with_its_option(files: dict[str, Any], name: str, option: str) -> None:
    problem = problem_with(files, **{name: "/nowhere/x.pem"})
    assert problem.startswith(option)
    assert "'/nowhere/x.pem'" in problem


def test_a_certificate_where_the_key_should_be_is_told(files: dict[str, Any]) -> None:
    assert "which is not the key of" in problem_with(files, key_file=files["cert_file"])


def test_a_key_where_the_certificate_should_be_is_told(files: dict[str, Any]) -> None:
    assert "--cert-file (NOMAD_CLIENT_CERT) names" in problem_with(files, cert_file=files["key_file"])


def test_the_key_of_another_certificate_is_told(files: dict[str, Any], tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.pem")
    assert "other.pem', which is not the key of" in problem_with(files, key_file=str(tmp_path / "other.pem"))


def test_a_key_without_its_certificate_is_told(files: dict[str, Any]) -> None:
    assert "needs both" in problem_with(files, cert_file="")
    assert "needs both" in problem_with(files, key_file="")


@pytest.mark.parametrize(
    ("text", "has_certificate", "why"),
    [
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", False, "it does not speak TLS"),
        (
            "certificate verify failed: Hostname mismatch, certificate is not valid for 'x'. (_ssl.c:1)",
            False,
            "its certificate is for another name",
        ),
        (
            "certificate verify failed: IP address mismatch, certificate is not valid for '::1'. (_ssl.c:1)",
            False,
            "its certificate is for another name",
        ),
        ("certificate verify failed: certificate has expired (_ssl.c:1006)", False, "its certificate has expired"),
        ("certificate verify failed: self-signed certificate (_ssl.c:1)", False, "its certificate is not signed by a known authority"),
        ("tlsv13 alert certificate required", False, "it hung up, as a server does that wants a client certificate"),
        ("EOF occurred in violation of protocol", False, "it hung up, as a server does that wants a client certificate"),
        ("tlsv1 alert unknown ca", True, "it does not accept the client's certificate"),
        ("[Errno 104] Connection reset by peer", True, "it does not accept the client's certificate"),
        ("something new", False, "something new"),
    ],
)
def test_the_words_of_openssl_become_ours(text: str, *, has_certificate: bool, why: str) -> None:
    told, hint = tls_trouble(text, url="https://nomad:4646", has_certificate=has_certificate)
    assert told == why
    assert hint

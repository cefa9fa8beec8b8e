"""A Nomad that speaks https and wants certificates: trusted only when it may be, and what a user reads when it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import run
from uuid import uuid4

import pytest
import trustme

from dtree.demo.agent import Agent
from dtree.demo.api import Tls
from tests.servers.conftest import purge_jobs
from tests.servers.proxy import Proxy
from tests.servers.scenario import Done, Scenario


@pytest.fixture
def secure(tls_agent: Agent, tmp_path: Path) -> Iterator[Scenario]:
    """One mock job on the agent with TLS; its jobs are gone afterwards."""
    prefix = f"t{uuid4().hex[:8]}-"
    scenario = Scenario(tls_agent, prefix, tmp_path)
    scenario.mock("db")
    yield scenario
    purge_jobs(tls_agent.api, prefix)


def options(tls: Tls) -> list[str]:
    return ["--root-ca-file", str(tls.ca_file), "--cert-file", str(tls.cert_file), "--key-file", str(tls.key_file)]


def test_a_run_goes_through_with_the_options(secure: Scenario, tls: Tls) -> None:
    done = secure.dtree("run", "db", *options(tls), "--output", "json")
    assert done.code == 0, done.stderr
    assert [event["job"] for event in done.of("step-ready")] == ["db"]
    assert secure.dtree("stop", "db", *options(tls)).code == 0


def test_a_run_goes_through_with_nomads_own_variables(secure: Scenario) -> None:
    done = secure.dtree("run", "db", env=secure.agent.environment)
    assert done.code == 0, done.stderr
    assert "ready" in done.stderr


def test_a_certificate_of_an_unknown_authority_is_refused_by_default(secure: Scenario, tls: Tls) -> None:
    done = secure.dtree("plan", "db", "--cert-file", str(tls.cert_file), "--key-file", str(tls.key_file))
    assert_told(done, "its certificate is not signed by a known authority", "give the authority's file with --root-ca-file (NOMAD_CACERT)")
    assert secure.agent.address in done.stderr


def test_a_certificate_of_another_authority_is_refused(secure: Scenario, tls: Tls, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    done = secure.dtree("plan", "db", *options(tls), "--root-ca-file", str(other))
    assert_told(done, "its certificate is not signed by a known authority", "--root-ca-file")


def test_a_folder_of_authorities_will_do(secure: Scenario, tls: Tls, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    # OpenSSL looks for an authority by a digest of its name.
    digest = run(["openssl", "x509", "-hash", "-noout", "-in", str(tls.ca_file)], capture_output=True, text=True, check=True).stdout.strip()
    (folder / f"{digest}.0").write_bytes(tls.ca_file.read_bytes())
    env = {"NOMAD_CAPATH": str(folder), "NOMAD_CLIENT_CERT": str(tls.cert_file), "NOMAD_CLIENT_KEY": str(tls.key_file)}
    done = secure.dtree("plan", "db", env=env)
    assert done.code == 0, done.stderr


def test_verification_can_be_turned_off_and_no_warning_follows(secure: Scenario, tls: Tls) -> None:
    client = {"NOMAD_CLIENT_CERT": str(tls.cert_file), "NOMAD_CLIENT_KEY": str(tls.key_file)}
    for argv, env in ((["--tls-skip-verify"], client), ([], {**client, "NOMAD_SKIP_VERIFY": "true"})):
        done = secure.dtree("plan", "db", *argv, env=env)
        assert done.code == 0, done.stderr
        assert done.stderr == ""


def test_a_server_that_wants_a_client_certificate_is_told_apart(secure: Scenario, tls: Tls) -> None:
    done = secure.dtree("plan", "db", "--root-ca-file", str(tls.ca_file))
    assert_told(done, "wants a client certificate", "give --cert-file and --key-file")


def test_a_client_certificate_of_another_authority_is_told_apart(secure: Scenario, tls: Tls, tmp_path: Path) -> None:
    stranger = trustme.CA().issue_cert("localhost")
    stranger.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    stranger.private_key_pem.write_to_path(tmp_path / "key.pem")
    argv = ["--root-ca-file", str(tls.ca_file), "--cert-file", str(tmp_path / "cert.pem"), "--key-file", str(tmp_path / "key.pem")]
    done = secure.dtree("plan", "db", *argv)
    assert_told(done, "it does not accept the client's certificate", "--cert-file")


def test_the_name_of_the_certificate_can_be_given(secure: Scenario, tls: Tls) -> None:
    # The certificate holds 127.0.0.1 and server.global.nomad, not 127.0.0.2.
    with Proxy(secure.agent.address, host="127.0.0.2") as proxy:
        env = {"NOMAD_ADDR": proxy.address}
        done = secure.dtree("plan", "db", *options(tls), env=env)
        assert_told(done, "its certificate is for another name", "name it with --tls-server-name (NOMAD_TLS_SERVER_NAME)")
        for argv, more in ((["--tls-server-name", "server.global.nomad"], {}), ([], {"NOMAD_TLS_SERVER_NAME": "server.global.nomad"})):
            done = secure.dtree("plan", "db", *options(tls), *argv, env={**env, **more})
            assert done.code == 0, done.stderr


def test_a_wrong_name_is_refused_even_at_the_right_address(secure: Scenario, tls: Tls) -> None:
    done = secure.dtree("plan", "db", *options(tls), "--tls-server-name", "client.global.nomad")
    assert_told(done, "its certificate is for another name", "--tls-server-name")


@pytest.mark.parametrize("option", ["--root-ca-file", "--cert-file", "--key-file"])
def test_a_missing_file_is_named_before_anything_is_asked(secure: Scenario, tls: Tls, option: str) -> None:
    done = secure.dtree("plan", "db", *options(tls), option, "gone.pem", env={"NOMAD_ADDR": "https://127.0.0.1:1"})
    assert_told(done, option, "gone.pem", "cannot be read", "check the path and its permissions")


@pytest.mark.parametrize("option", ["--root-ca-file", "--cert-file", "--key-file"])
def test_a_file_that_is_no_certificate_is_named(secure: Scenario, tls: Tls, tmp_path: Path, option: str) -> None:
    (tmp_path / "text.pem").write_text("not a certificate\n")
    done = secure.dtree("plan", "db", *options(tls), option, str(tmp_path / "text.pem"))
    assert_told(done, option, "text.pem")


def test_a_key_without_its_certificate_is_told(secure: Scenario, tls: Tls) -> None:
    done = secure.dtree("plan", "db", "--root-ca-file", str(tls.ca_file), "--key-file", str(tls.key_file))
    assert_told(done, "a client certificate needs both --cert-file and --key-file")


def test_http_to_a_port_that_speaks_tls_is_told(secure: Scenario) -> None:
    done = secure.dtree("plan", "db", env={"NOMAD_ADDR": secure.agent.address.replace("https://", "http://")})
    # Its answer says so, but can be lost: the server hangs up on what it has not read.
    assert_told(done, "https://")


def test_https_to_a_plain_port_is_told(scenario: Scenario) -> None:
    scenario.mock("db")
    done = scenario.dtree("plan", "db", env={"NOMAD_ADDR": scenario.agent.address.replace("http://", "https://")})
    assert_told(done, "it does not speak TLS", f"use {scenario.agent.address}")


def assert_told(done: Done, *words: str) -> None:
    """One calm error on stderr, with its hint; nothing else."""
    assert done.code == 1, done.stdout + done.stderr
    assert done.stderr.count("error[") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "  hint: " in done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, done.stderr


def test_the_same_error_is_there_for_programs(secure: Scenario, tls: Tls) -> None:
    env: Mapping[str, str] = {"NOMAD_CLIENT_CERT": str(tls.cert_file), "NOMAD_CLIENT_KEY": str(tls.key_file)}
    done = secure.dtree("run", "db", "--output", "json", env=env)
    assert done.code == 1
    (error,) = done.of("error")
    assert error["code"] == "nomad-tls"
    assert "known authority" in error["problem"]

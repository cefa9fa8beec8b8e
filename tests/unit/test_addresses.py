"""dtree.access.addresses: no secret of an address is shown."""

from __future__ import annotations

import pytest

from dtree.access.addresses import is_loopback, masked, secret_parts, without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://nomad.example:4646", "https://nomad.example:4646"),
        ("http://u:SECRET@host:4646", "http://host:4646"),
        ("http://u:SE/CR@ET@host:4646", "http://host:4646"),
        ("http://host:4646/?token=SECRET", "http://host:4646/"),
        ("u:SECRET@host:4646", "host:4646"),
        ("host:4646?token=SECRET", "host:4646"),
    ],
)
def test_an_address_is_shown_without_user_password_and_query(address: str, shown: str) -> None:
    assert without_secrets(address) == shown


def test_a_text_keeps_everything_but_the_secrets_of_its_addresses() -> None:
    text = "GET 'http://u:SECRET@host/v1/jobs?token=SECRET' failed: is http://b/ up?"
    assert masked(text) == "GET 'http://HIDDEN@host/v1/jobs?HIDDEN' failed: is http://b/ up?"


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("--server-addr=http://u:SECRET@host", ["u:SECRET", "SECRET"]),
        ("--nomad-addr=u:SECRET@host:4646", ["u:SECRET", "SECRET"]),
        ("http://host/?token=SECRET&x=y", ["SECRET", "y"]),
        ("jobs/api.nomad", []),
        ("http://host:4646", []),
    ],
)
def test_the_secret_parts_of_a_word_are_found(word: str, parts: list[str]) -> None:
    assert list(secret_parts(word)) == parts


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:4646", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:4646", True),
        ("http://10.0.0.1", False),
        ("http://nomad.localhost.example", False),
    ],
)
def test_loopback_is_this_machine_itself(url: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_loopback(url) is expected

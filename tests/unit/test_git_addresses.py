from __future__ import annotations

import base64
from pathlib import Path

import pytest

from dtree.access.git.addresses import RemoteAddress, parse_address
from dtree.errors import StoreError

CWD = Path("/work")


def remote(given: str) -> RemoteAddress:
    address = parse_address(given, CWD)
    assert isinstance(address, RemoteAddress)
    return address


@pytest.mark.parametrize(
    ("given", "url", "name"),
    [
        ("https://git.example/a/shop.git", "https://git.example/a/shop.git", "shop"),
        ("https://git.example:8443/shop/", "https://git.example:8443/shop/", "shop"),
        ("http://[::1]:80/shop", "http://[::1]:80/shop", "shop"),
        ("ssh://git@git.example/a/shop.git", "ssh://git@git.example/a/shop.git", "shop"),
        ("git+ssh://git.example/shop", "ssh://git.example/shop", "shop"),
        ("git@git.example:a/shop.git", "git@git.example:a/shop.git", "shop"),
        ("git.example:shop.git", "git.example:shop.git", "shop"),
        ("git://git.example/shop", "git://git.example/shop", "shop"),
        ("https://git.example/a/shop/.git", "https://git.example/a/shop/.git", "shop"),
    ],
)
def test_an_address_of_each_kind_is_taken(given: str, url: str, name: str) -> None:
    address = remote(given)
    assert (address.url, address.name) == (url, name)


@pytest.mark.parametrize(
    ("given", "folder"),
    [("/srv/shop.git", "/srv/shop.git"), ("../shop", "/shop"), (".", "/work"), ("file:///srv/a%20b", "/srv/a b"), ("./a:b", "/work/a:b")],
)
def test_a_folder_is_read_where_it_is(given: str, folder: str) -> None:
    assert parse_address(given, CWD) == Path(folder)


@pytest.mark.parametrize(
    "given",
    [
        "ext::sh -c touch% x",
        "fd::17/foo",
        "a::b",
        "--upload-pack=touch x",
        "-x",
        "",
        "  ",
        " https://a/b",
        "https://a/b\n",
        "https://a/\x1b",
        "ftp://a/b",
        "javascript://a/b",
        "https://",
        "https:///a",
        "https://git.example",
        "https://a:x/b",
        "file://other/x",
        "https://[::1/x",
        "ssh://-oProxyCommand=touch/x",
        "-oProxyCommand=x:y",
        "host:-x",
        "ssh://host/-x",
        "ssh://-x@host/y",
        "me:secret@host:path",
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(given: str) -> None:
    with pytest.raises(StoreError) as caught:
        parse_address(given, CWD)
    assert caught.value.error_code == "git-bad-address"
    assert "secret" not in str(caught.value)
    assert caught.value.problem.isprintable()


def test_name_and_password_travel_in_a_header_and_nowhere_else() -> None:
    address = remote("https://me:p%40ss@git.example/shop.git?private_token=hidden")
    assert address.url == "https://git.example/shop.git?private_token=hidden"
    assert address.shown == "https://git.example/shop.git"
    assert "p@ss" not in repr(address)
    header = "Authorization: Basic " + base64.b64encode(b"me:p@ss").decode()
    assert address.settings["http.https://git.example/.extraHeader"] == header
    assert address.authorization not in repr(address)


def test_an_ssh_user_is_kept_and_a_password_that_ssh_would_not_take_is_not() -> None:
    assert remote("ssh://git:secret@git.example/shop").url == "ssh://git@git.example/shop"


def test_git_may_fetch_over_secure_ways_and_the_one_that_was_asked_for() -> None:
    assert remote("https://a/b").protocols == ("https", "ssh")
    assert remote("http://a/b").protocols == ("https", "ssh", "http")

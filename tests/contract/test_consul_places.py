"""Where in Consul's keys the store looks for what."""

from __future__ import annotations

import pytest
from dtree_stores.consul_places import Places, below, find_places, is_file

from dtree.store import StoreError


@pytest.mark.parametrize(
    ("root", "depfile", "jobs", "places"),
    [
        (None, None, None, Places("nomad-dtree/", "nomad-dtree/jobs/", "", ("nomad-dtree/",))),
        ("shop", None, None, Places("shop/", "shop/jobs/", "", ("shop/",))),
        ("/shop/", "shop/d.json", "/shop/j/", Places("shop/", "shop/j/", "shop/d.json", ("shop/",))),
        (None, "shop/d.json", None, Places("shop/", "shop/jobs/", "shop/d.json", ("shop/",))),
        (None, None, "shop/web/jobs", Places("shop/web/", "shop/web/jobs/", "", ("shop/web/",))),
        (None, "shop/d.json", "shop/jobs", Places("shop/", "shop/jobs/", "shop/d.json", ("shop/",))),
        (None, "a/x/d.json", "a/y/jobs", Places("a/", "a/y/jobs/", "a/x/d.json", ("a/",))),
        (None, "a/jobs/d.json", "a/jobs", Places("a/jobs/", "a/jobs/", "a/jobs/d.json", ("a/jobs/",))),
        (None, "ab/d.json", "ac/jobs", Places("", "ac/jobs/", "ab/d.json", ("ab/d.json", "ac/jobs/"))),
        (None, "d.json", "jobs", Places("", "jobs/", "d.json", ("d.json", "jobs/"))),
        (None, None, "jobs", Places("", "jobs/", "", ("dependency.", "jobs/"))),
        ("/", "d.json", "jobs", Places("", "jobs/", "d.json", ("",))),
    ],
)
def test_places_follow_from_what_is_given(root: str | None, depfile: str | None, jobs: str | None, places: Places) -> None:
    assert find_places(root, depfile, jobs) == places


@pytest.mark.parametrize(
    ("root", "depfile", "jobs", "code"),
    [
        ("shop", "other/d.json", None, "store-outside"),
        ("shop", None, "shopping/jobs", "store-outside"),
        ("a/../b", None, None, "consul-bad-setting"),
        (None, "a//d.json", None, "consul-bad-setting"),
        (None, "/", None, "consul-bad-setting"),
        (None, None, "a\x00b", "consul-bad-setting"),
    ],
)
def test_places_that_cannot_be_are_refused(root: str | None, depfile: str | None, jobs: str | None, code: str) -> None:
    with pytest.raises(StoreError) as caught:
        find_places(root, depfile, jobs)
    assert caught.value.error_code == code
    assert caught.value.hint


@pytest.mark.parametrize("path", ["", "/", "a/", "/a", "a//b", ".", "..", "a/./b", "a/..", "../a", "a\x00", "\udcff.nomad"])
def test_a_folder_or_a_way_round_is_no_file(path: str) -> None:
    assert not is_file(path)


@pytest.mark.parametrize("path", ["a", ".a", "a.", "...", "a/.b/..c", "a b", "\xe9/\u65e5"])
def test_any_other_name_is_a_file(path: str) -> None:
    assert is_file(path)
    assert below("shop/", path) == f"shop/{path}"


def test_a_path_is_put_right_where_that_leads_nowhere_else() -> None:
    assert below("shop/", "./a//b") == "shop/a/b"


@pytest.mark.parametrize("path", ["", "..", "/etc/hostname", "a/../../b", "\udcff.nomad", "a\x00"])
def test_no_path_leads_out_of_its_folder(path: str) -> None:
    with pytest.raises(StoreError) as caught:
        below("shop/", path)
    assert caught.value.error_code == "store-outside"

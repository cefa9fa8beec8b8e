"""Values that no output may show."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtree.events import StepFailed
from dtree.render.filters import to_hcl
from dtree.secrets import HIDDEN, Secrets, is_ordinary


def keeping(*values: object) -> Secrets:
    secrets = Secrets()
    for value in values:
        secrets.keep(value)
    return secrets


def test_a_secret_is_hidden_wherever_it_stands() -> None:
    assert keeping("hunter22").hide("a hunter22, hunter22!") == f"a {HIDDEN}, {HIDDEN}!"


def test_of_two_the_longer_one_goes_first_so_that_no_part_of_it_is_left() -> None:
    assert keeping("hunter", "hunter-two").hide("hunter-two hunter") == f"{HIDDEN} {HIDDEN}"


_PRINTED = st.characters(exclude_categories=("Cc", "Cs"), include_characters="\n\t\r")


@given(st.text(_PRINTED, min_size=6).filter(lambda text: text.strip() == text and not text.isdigit()))
def test_every_way_that_a_job_file_writes_it_is_hidden(secret: str) -> None:
    secrets = keeping(secret)
    for form in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), to_hcl(secret), base64.b64encode(secret.encode()).decode()):
        assert form.strip('"') not in secrets.hide(f"x = {form} # y").replace(HIDDEN, "")


def test_a_line_of_a_long_one_is_hidden_too_because_logs_have_lines() -> None:
    assert keeping("-----BEGIN KEY-----\nMIIEvQIBADANBg\nx\n").hide("read MIIEvQIBADANBg") == f"read {HIDDEN}"


@pytest.mark.parametrize("value", ["abc", "", "true", "False", "8080", None, 3, [], {}])
def test_what_is_in_every_other_word_is_no_secret(value: object) -> None:
    assert keeping(value).hide("abc true False 8080 3 None") == "abc true False 8080 3 None"


def test_the_texts_within_a_value_are_secrets() -> None:
    assert keeping({"a": ["first one", {"b": "second one"}]}).hide("first one, second one, a, b") == f"{HIDDEN}, {HIDDEN}, a, b"


def test_what_stands_in_a_jobs_id_is_no_secret() -> None:
    secrets = keeping("staging", "hunter22")
    secrets.publish(["api-staging", "db"])
    assert secrets.hide("staging hunter22") == f"staging {HIDDEN}"


def test_an_event_is_hidden_in_with_all_that_it_holds() -> None:
    event = StepFailed(1.0, "api", "failed", "exit hunter22", ("log: hunter22", "fine"), "see hunter22")
    hidden = keeping("hunter22").hide_in(event)
    assert (hidden.reason, hidden.details, hidden.hint) == (f"exit {HIDDEN}", (f"log: {HIDDEN}", "fine"), f"see {HIDDEN}")
    assert hidden.time_s == 1.0
    assert Secrets().hide_in(event) is event


def test_what_holds_no_secret_stays_the_same_object() -> None:
    event = StepFailed(1.0, "api", "failed", "exit 1", (), "")
    assert keeping("hunter22").hide_in(event) is event


def test_lists_maps_and_values_within_values_are_looked_into() -> None:
    @dataclass(frozen=True)
    class Inner:
        text: str

    @dataclass(frozen=True)
    class Outer:
        inner: Inner
        many: list[str]
        by_name: dict[str, str]

    hidden = keeping("hunter22").hide_in(Outer(Inner("hunter22"), ["hunter22"], {"a": "hunter22"}))
    assert hidden == Outer(Inner(HIDDEN), [HIDDEN], {"a": HIDDEN})


@pytest.mark.parametrize("before", ["", "u", "us", "use", "user:"])
@pytest.mark.parametrize("after", ["", "@", "@h", "@ho"])
def test_the_base64_of_a_text_that_holds_a_secret_does_not_give_it_away(before: str, after: str) -> None:
    secret = "correct-horse-battery"
    encoded = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    left = keeping(secret).hide(f"auth = {encoded}").removeprefix("auth = ")
    assert HIDDEN in left
    assert len(left.replace(HIDDEN, "")) <= len(encoded) - len(secret)


def test_a_secret_that_is_called_so_is_replaced_once() -> None:
    assert keeping("secret", "secret-two").hide("secret secret-two") == f"{HIDDEN} {HIDDEN}"


def test_keys_are_hidden_too() -> None:
    assert keeping("hunter22").hide_in({"hunter22": 1}) == {HIDDEN: 1}


def test_bytes_that_are_no_text_are_hidden_as_they_come() -> None:
    assert keeping("\udcff\udcfeabcdef").hide("x \udcff\udcfeabcdef") == f"x {HIDDEN}"


@pytest.mark.parametrize(
    ("name", "value", "is_one"),
    [
        ("NOMAD_DTREE_VAR_stage", "production", True),
        ("NOMAD_DTREE_VAR_release", "1.4.2", True),
        ("NOMAD_DTREE_VAR_db_password", "production", False),
        ("NOMAD_DTREE_VAR_db_pw", "swordfish", False),
        ("NOMAD_DTREE_VAR_KEY", "abc", False),
        ("NOMAD_DTREE_VAR_stage", "hunter2", False),
        ("NOMAD_DTREE_VAR_stage", "correcthorse", False),
        ("NOMAD_DTREE_VAR_stage", "eu-west-1", False),
        ("NOMAD_DTREE_VAR_stage", ["a"], False),
    ],
)
def test_a_plain_word_under_a_plain_name_is_hardly_a_secret(name: str, value: object, *, is_one: bool) -> None:
    assert is_ordinary(name, value) is is_one

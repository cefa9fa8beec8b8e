"""Questions that no run on the fake asks: of several allocations, of ports that are not there, and many at once."""

from __future__ import annotations

import pytest

from dtree.access.patterns import any_matches
from dtree.conditions import Answer, Question
from dtree.declaration import HttpProbe, LogProbe, ServiceProbe, TcpProbe
from dtree.errors import DtreeError, NotFound
from dtree.model import Address, CheckResult, JobRef
from dtree.probing import answers_to, ask
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import FakeCluster

REF = JobRef("default", "web")
ONE, TWO = "00000001:web", "00000002:web"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(FakeClock())


def test_a_service_with_checks_that_have_not_answered_does_not_pass(cluster: FakeCluster) -> None:
    cluster.around.offer("web", "web")
    probe = ServiceProbe("web", provider="nomad")
    answer = ask("web", REF, Question(probe, (ONE, TWO), checked=frozenset({TWO})), Answer(), cluster).answer
    assert answer == Answer(frozenset({ONE}), "the checks of allocation 00000002 have not answered yet")


def test_checks_of_another_service_of_the_allocation_do_not_count(cluster: FakeCluster) -> None:
    cluster.around.offer("web", "web", CheckResult("alive", "failure", "", service="admin"))
    question = Question(ServiceProbe("web", provider="nomad"), (ONE,), checked=frozenset({ONE}))
    assert ask("web", REF, question, Answer(), cluster).answer.good == {ONE}


def test_an_allocation_without_the_port_is_told(cluster: FakeCluster) -> None:
    answer = ask("web", REF, Question(TcpProbe("admin"), (ONE,)), Answer(), cluster).answer
    assert answer == Answer(said="allocation 00000001 has no port 'admin'")


def test_where_an_allocation_answers_is_asked_once(cluster: FakeCluster) -> None:
    cluster.around.listen("http://10.0.0.1:20001/", 200)
    question = Question(HttpProbe("http", "/"), (ONE, TWO))
    first = ask("web", REF, question, Answer(), cluster).answer
    second = ask("web", REF, question, first, cluster).answer
    assert first == second
    assert first.good == {ONE}
    assert first.said == "http GET http://10.0.0.1:20002/: nothing listens there"
    assert first.places == {ONE: Address("http", "10.0.0.1", 20001), TWO: Address("http", "10.0.0.1", 20002)}
    assert cluster.called("addresses") == ["web", "web"]


def test_a_log_that_matched_or_has_ended_is_not_read_again(cluster: FakeCluster) -> None:
    cluster.around.write(ONE.partition(":")[2], "up\n")
    question = Question(LogProbe("^up$", "work"), (ONE, TWO), over=frozenset({TWO}))
    first = ask("web", REF, question, Answer(), cluster).answer
    assert first.good == {ONE, TWO}
    assert ask("web", REF, question, first, cluster).answer == first
    silent = Question(LogProbe("^down$", "work"), (TWO,), over=frozenset({TWO}))
    second = ask("web", REF, silent, Answer(), cluster).answer
    third = ask("web", REF, silent, second, cluster).answer
    assert third.over == {TWO}
    assert ask("web", REF, silent, third, cluster).answer == third
    assert len(cluster.called("log_from")) == 4


def test_a_line_without_an_end_is_matched_in_pieces(cluster: FakeCluster) -> None:
    cluster.around.write("web", "a" * 70_000 + "up")
    assert ask("web", REF, Question(LogProbe("up", "work"), (ONE,)), Answer(), cluster).answer.good == {ONE}


def test_each_question_is_asked_once_and_what_cannot_be_asked_is_said(cluster: FakeCluster) -> None:
    cluster.refuse("registered", "web", NotFound("Nomad does not know it: no such namespace"))
    cluster.around.listen("db.example:5432")
    catalogue, address = Question(ServiceProbe("web", provider="nomad"), (ONE,)), Question(TcpProbe(target="db.example:5432"), (ONE,))
    answers = answers_to([catalogue, address], REF, cluster)
    assert answers[catalogue.probe].said == "Nomad does not know it: no such namespace"
    assert answers[address.probe].good == {"", ONE}


# -- patterns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["up$", "^up", r"\bup\b", "u[op]", "(?i)UP", "u+p", "down|up", "[[u]p"])
def test_a_pattern_is_found_anywhere_in_a_line(pattern: str) -> None:
    assert any_matches(pattern, ["is not", "is up"], timeout_s=30) is ("^" not in pattern)
    assert any_matches(pattern, ["up"], timeout_s=30)
    assert not any_matches(pattern, [], timeout_s=30)


def test_a_pattern_is_ended_when_it_takes_too_long() -> None:
    with pytest.raises(TimeoutError):
        any_matches("^(a|a)*$", ["a" * 60 + "!"], timeout_s=0.2)


def test_without_pythons_own_program_a_pattern_with_turns_cannot_be_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "")
    with pytest.raises(DtreeError, match="logs cannot be searched"):
        any_matches("u+p", ["up"], timeout_s=1)

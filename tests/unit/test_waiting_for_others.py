"""Conditions that others than Nomad's lists answer, waited for by a whole run in made-up time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dtree.errors import DeclarationError, Denied, Unavailable
from dtree.events import StepFailed, StepReady, StepWaiting
from dtree.model import CheckResult
from tests.fakes.jobs import job_spec
from tests.fakes.scripts import exhausted_until, fails, falls_over, well
from tests.fakes.world import World

SERVICE = {"Name": "web", "Provider": "nomad", "PortLabel": "http"}
SLOW = {"log": r"^(a+)+$"}


def web(**more: Any) -> dict[str, Any]:
    """A job with a port and a service."""
    spec = job_spec("web", **more)
    spec["TaskGroups"][0] |= {"Networks": [{"DynamicPorts": [{"Label": "http"}]}], "Services": [SERVICE]}
    return spec


def world(wait_cond: Any, script: Any = None, /, *, spec: dict[str, Any] | None = None, **entry: Any) -> World:
    scripts = {"web": script} if script else None
    return World({"web": {"wait_cond": wait_cond, **entry}, "user": {"pre": ["web"]}}, scripts, specs={"web": spec or web()})


def reasons(known: World) -> list[str]:
    return [event.reason for event in known.of(StepWaiting) if event.job == "web"]


def ready(known: World) -> str:
    return next(event.reason for event in known.of(StepReady) if event.job == "web")


def failure(known: World) -> StepFailed:
    (event,) = known.of(StepFailed)
    return event


def url(number: int, path: str = "/") -> str:
    """Where the `number`th allocation of the run answers, counted from the first index of the fake."""
    return f"http://10.0.0.1:{20_000 + number}{path}"


def place(known: World) -> str:
    """Where the allocation of `web` answers, once it is known: the requests tell."""
    return next(call.job for call in known.cluster.calls if call.what in ("http_status", "connect"))


# -- each of them, and what it says meanwhile --------------------------------------------------------------------------


def test_a_service_is_waited_for_until_so_many_instances_pass_their_checks() -> None:
    known = world({"service": "web", "passing": 2}, spec=web(count=2))
    known.cluster.around.offer("web", "web", CheckResult("alive", "failure", "", service="web"), after_s=5)
    known.cluster.around.offer("web", "web", CheckResult("alive", "success", "", service="web"), after_s=12)
    assert known.run("user").exit_code == 0
    assert reasons(known)[-2:] == [
        "0 of 2 instances of service web passing; allocation 0000000d has not registered it",
        "0 of 2 instances of service web passing; check 'alive' of allocation 0000000d says failure",
    ]
    assert ready(known) == "2 instances of service web passing"
    assert known.told()[-1] == "ready user"
    assert 12 <= known.at_s(StepReady, "web") <= 14


def test_a_log_is_read_on_until_a_line_matches() -> None:
    known = world({"log": "listening on [0-9]+"})
    known.cluster.around.write("web", "starting\nlisten")
    known.cluster.around.write("web", "ing on 80\n", after_s=8)
    assert known.run("user").exit_code == 0
    assert reasons(known)[-1] == "no line of task work matches /listening on [0-9]+/ yet"
    assert ready(known) == "a line of task work matches /listening on [0-9]+/"


def test_a_log_that_is_longer_than_one_reading_is_read_to_its_end() -> None:
    known = world({"log": "^done$"})
    known.cluster.around.piece_bytes = 300
    known.cluster.around.write("web", "one\ntwo\n" * 100 + "not done\ndone\n")
    assert known.run("user").exit_code == 0
    assert known.cluster.called("log_from").count("web") > 3


def test_a_line_after_many_that_were_rotated_away_is_found() -> None:
    known = world({"log": "^done$"})
    known.cluster.around.kept_bytes = 40
    known.cluster.around.write("web", "x" * 30 + "\n")
    known.cluster.around.write("web", "y" * 90 + "\nnot done\ndone\n", after_s=5)
    assert known.run("user").exit_code == 0
    assert known.at_s(StepReady, "web") < 8


@pytest.mark.parametrize(
    "wait_cond", [{"http": {"port": "http", "path": "/ready"}}, {"http": {"port": "http", "path": "/ready", "status": 204}}]
)
def test_every_allocation_is_asked_at_its_port_until_it_answers_with_that_status(wait_cond: dict[str, Any]) -> None:
    known = world(wait_cond, spec=web(count=2))
    wanted = wait_cond["http"].get("status", 200)
    for number in range(1, 40):
        known.cluster.around.listen(url(number, "/ready"), 503, after_s=2)
        known.cluster.around.listen(url(number, "/ready"), wanted, after_s=6)
    assert known.run("user").exit_code == 0
    asked = place(known)
    assert [f"http GET {asked}: nothing listens there", f"http GET {asked}: 503"] == reasons(known)[-2:]
    assert ready(known) == f"2 of 2 allocations: http {wanted} from port http /ready"


def test_a_port_label_is_connected_to() -> None:
    known = world({"tcp": {"port": "http"}})
    for number in range(1, 40):
        known.cluster.around.listen(f"10.0.0.1:{20_000 + number}", after_s=3)
    assert known.run("user").exit_code == 0
    assert reasons(known)[-1] == f"tcp {place(known)}: nothing listens there"


@pytest.mark.parametrize("wait_cond", [{"http": "http://db.example/up?token=s3cret"}, {"tcp": "db.example:5432"}])
def test_one_address_is_asked_only_once_the_job_has_started(wait_cond: dict[str, str]) -> None:
    known = world(wait_cond, exhausted_until(10))
    known.cluster.around.listen(next(iter(wait_cond.values())))
    assert known.run("user").exit_code == 0
    (asked_s,) = [call.time_s for call in known.cluster.calls if call.what in ("http_status", "connect")]
    assert asked_s >= 10
    assert "s3cret" not in str(known.events)


# -- composed ----------------------------------------------------------------------------------------------------------


def test_all_waits_for_each_of_its_parts_and_says_what_is_missing() -> None:
    known = world({"all": ["healthy", {"log": "listening"}, {"service": "web"}]})
    known.cluster.around.write("web", "listening\n", after_s=4)
    known.cluster.around.offer("web", "web", after_s=9)
    assert known.run("user").exit_code == 0
    assert any(
        "no line of task work matches /listening/ yet; 0 of 1 instance of service web passing" in reason for reason in reasons(known)
    )
    assert known.at_s(StepReady, "web") >= 9


def test_any_is_met_by_the_first_of_its_parts() -> None:
    known = world({"any": [{"log": "listening"}, {"service": "web"}]})
    known.cluster.around.offer("web", "web", after_s=3)
    assert known.run("user").exit_code == 0
    assert " or " in reasons(known)[-1]
    assert ready(known) == "1 instance of service web passing"


def test_a_part_has_a_timeout_of_its_own_that_ends_all() -> None:
    known = world({"all": ["started", {"log": "listening", "timeout": "7s"}]}, timeout="5m")
    assert known.run("user").exit_code == 6
    assert failure(known).kind == "timed-out"
    assert failure(known).reason.startswith("not a line of task work matching /listening/ within 7 s: no line of task work")
    assert known.at_s(StepFailed, "web") == pytest.approx(7, abs=0.1)


def test_where_no_part_of_any_comes_each_is_named() -> None:
    known = world({"any": [{"log": "up", "timeout": "2s"}, {"tcp": {"port": "http"}, "timeout": "3s"}]})
    assert known.run("user").exit_code == 6
    reason = failure(known).reason
    assert reason.startswith("not a line of task work matching /up/ within 2 s: ")
    assert "; not tcp connection to port http within 3 s: " in reason


def test_a_part_that_took_too_long_leaves_any_to_the_others() -> None:
    known = world({"any": [{"log": "listening", "timeout": "7s"}, {"service": "web"}]})
    known.cluster.around.offer("web", "web", after_s=20)
    assert known.run("user").exit_code == 0


# -- what breaks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait_cond", [{"service": "web"}, {"http": {"port": "http"}}, {"tcp": {"port": "http"}}, {"log": "x"}])
def test_a_condition_that_never_comes_true_times_out_and_what_needs_it_is_left_alone(wait_cond: dict[str, Any]) -> None:
    known = world({**wait_cond, "timeout": "30s"})
    record = known.run("user")
    assert (record.exit_code, failure(known).kind) == (6, "timed-out")
    assert " within 30 s: " in failure(known).reason
    assert known.told()[-1] == "lost user"
    assert known.cluster.called("register") == ["web"]


@pytest.mark.parametrize("wait_cond", [{"service": "web"}, {"http": {"port": "http"}}, {"tcp": {"port": "http"}}, {"log": "x"}])
def test_a_job_that_fails_meanwhile_is_a_failure(wait_cond: dict[str, Any]) -> None:
    known = world(wait_cond, fails(after_s=5))
    assert known.run("user").exit_code == 3
    assert failure(known).kind == "failed"
    assert known.at_s(StepFailed, "web") < 10


def test_a_job_that_falls_over_after_its_condition_was_met_is_a_failure() -> None:
    known = World(
        {"web": {"wait_cond": {"log": "listening"}}, "slow": {}, "user": {"pre": ["web", "slow"]}},
        {"web": falls_over(1, 10), "slow": well(after_s=30)},
        specs={"web": web()},
    )
    known.cluster.around.write("web", "listening\n")
    assert known.run("user").exit_code == 3
    assert failure(known).reason.startswith("was ready and fell over")


def test_a_batch_job_that_completes_without_the_line_has_failed() -> None:
    known = World({"web": {"wait_cond": {"log": "^migrated"}}}, kinds={"web": "batch"})
    known.cluster.around.write("web", "nothing to do\nmigrate")
    assert known.run("web").exit_code == 3
    assert failure(known).reason == "it has completed, and no line of task work matches /^migrated/"


def test_the_last_line_of_a_log_counts_without_its_end_once_the_task_has_ended() -> None:
    known = World({"web": {"wait_cond": {"log": "^migrated$"}}}, kinds={"web": "batch"})
    known.cluster.around.write("web", "begin\nmigrated")
    assert known.run("web").exit_code == 0


def test_a_pattern_that_takes_for_ever_fails_its_job_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dtree.probing._MATCH_S", 0.2)
    known = world(SLOW)
    known.cluster.around.write("web", "a" * 60 + "!\n")
    assert known.run("user").exit_code == 3
    assert failure(known).reason == "the pattern of the condition takes more than 0.2 s on lines of its log"


def test_what_may_not_be_asked_is_a_failure_at_once() -> None:
    known = world({"log": "x"})
    known.cluster.refuse("log_from", "web", Denied("Nomad denies it: Permission denied", hint="read-logs"))
    assert known.run("user").exit_code == 3
    assert (failure(known).kind, failure(known).hint) == ("error", "read-logs")


def test_what_cannot_be_asked_now_is_asked_again() -> None:
    known = world({"log": "x"})
    known.cluster.refuse("log_from", "web", Unavailable("its node does not answer"), Unavailable("its node does not answer"))
    known.cluster.around.write("web", "x\n")
    assert known.run("user").exit_code == 0
    assert reasons(known)[-1] == "its node does not answer"


@pytest.mark.parametrize(
    ("provider", "said"),
    [("consul", "there is no contact with Consul (check CONSUL_HTTP_ADDR)"), ("nomad", "there is no contact with Consul")],
)
def test_where_consul_cannot_be_asked_the_wait_says_how_to_tell_its_address(provider: str, said: str) -> None:
    spec = web()
    spec["TaskGroups"][0]["Services"] = [{**SERVICE, "Provider": provider}]
    known = world({"service": "web", "timeout": "2s"}, spec=spec)
    known.cluster.refuse("registered", "web", *[Unavailable("there is no contact with Consul", hint="check CONSUL_HTTP_ADDR")] * 9)
    assert known.run("user").exit_code == 6
    assert failure(known).reason.endswith(said)


@pytest.mark.parametrize("wait_cond", [{"service": "web"}, {"log": "up"}])
def test_a_service_or_a_log_of_a_count_of_0_is_refused(wait_cond: Any) -> None:
    with pytest.raises(DeclarationError, match="its count is 0, so that there is nothing to meet"):
        world(wait_cond, spec=web(count=0)).plan("user")


def test_a_count_of_0_meets_every_port() -> None:
    other = world({"http": {"port": "http"}}, spec=web(count=0))
    assert other.run("user").exit_code == 0
    assert ready(other) == "nothing to run: count is 0"


# -- this version ------------------------------------------------------------------------------------------------------


def test_an_old_version_that_answers_meets_nothing() -> None:
    known = world({"service": "web", "timeout": "20s"})
    known.cluster.has(known.job("web", Meta={"release": "old"}))
    old = known.cluster.peek(known.ref("web")).allocations[0].id
    known.cluster.around.offer(old, "web")
    assert known.run("user").exit_code == 6
    assert failure(known).reason.startswith("not 1 instance of service web passing within 20 s: 0 of 1 instance")


def test_a_log_condition_is_met_for_a_job_that_runs_unchanged() -> None:
    known = world({"log": "listening"})
    known.cluster.around.write("web", "listening\n")
    assert known.run("user").exit_code == 0
    known.events.clear()
    assert known.run("user").exit_code == 0
    assert ready(known) == "runs, unchanged"
    assert known.cluster.called("log_from") == []


def test_a_service_of_a_job_that_runs_unchanged_is_asked_for_again() -> None:
    known = world({"service": "web", "timeout": "9s"})
    known.cluster.has(known.job("web"))
    assert known.run("user").exit_code == 6


# -- pace --------------------------------------------------------------------------------------------------------------


def test_others_are_asked_at_a_bounded_pace_and_never_twice_at_a_time() -> None:
    known = world({"tcp": {"port": "http"}, "timeout": "100s"})
    known.cluster.latency_s["connect 10.0.0.1:20000"] = 3
    assert known.run("user").exit_code == 6
    times = [call.time_s for call in known.cluster.calls if call.what == "connect"]
    pauses = [after - before for before, after in pairwise(times)]
    assert 0.2 <= min(pauses) <= 0.5
    assert max(pauses) <= 2.1
    assert len(times) < 90
    assert known.clock.most_workers <= 2


# -- what a job file rules out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_cond", "problem", "hint"),
    [
        ({"service": "wep"}, "the job has no service 'wep'", "it has web"),
        ({"http": {"port": "admin"}}, "the job has no port 'admin'", "it has http"),
        ({"tcp": {"port": "admin"}}, "the job has no port 'admin'", "it has http"),
        ({"log": "x", "task": "sidecar"}, "the job has no task 'sidecar'", "it has work"),
        ({"all": ["started", {"any": [{"tcp": {"port": "admin"}}]}]}, "the job has no port 'admin'", "it has http"),
        ({"all": ["completed"]}, "a service job is meant to run on, so 'completed' cannot be waited for", "wait for 'healthy'"),
        ({"service": "web", "passing": 2}, "2 instances of service 'web' are asked for, and the job has 1", "raise its count"),
        ({"service": "web", "provider": "consul"}, "service 'web' is one of nomad, not of consul", "leave 'provider' out"),
    ],
)
def test_a_condition_that_the_job_file_cannot_meet_is_refused_before_anything_runs(wait_cond: Any, problem: str, hint: str) -> None:
    known = world(wait_cond)
    with pytest.raises(DeclarationError) as caught:
        known.plan("user")
    (fault,) = caught.value.faults
    assert fault.problem == f"'web': {problem}"
    assert fault.hint.startswith(hint)
    assert known.cluster.changes == []


def test_the_plan_shows_a_condition_in_words() -> None:
    known = world({"all": [{"service": "web", "passing": 2}, {"log": "up"}, {"seconds": 3}]}, spec=web(count=2))
    (step, _) = known.plan("user").steps
    words = "all of (2 instances of service web passing, a line of task work matching /up/, 3 s after start)"
    assert str(step.condition) == words
    assert str(known.plan("user", wait_ready=True).steps[0].condition) == words.replace("3 s after start", "ready")

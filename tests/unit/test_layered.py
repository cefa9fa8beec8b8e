"""Several stores as one: what wins, what is told, and that nothing stays open. The contract of stores is tested elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dtree.clock import SystemClock
from dtree.errors import DeclarationError, StoreError, StoreFileMissing, StoreUnreachable
from dtree.layered import open_layers
from dtree.store import Snapshot
from tests.fakes.clock import FakeClock
from tests.fakes.store import MemorySnapshot, Shelf


def layered(**stores: Snapshot) -> Snapshot:
    def opener(snapshot: Snapshot) -> Callable[[], Snapshot]:
        return lambda: snapshot

    return open_layers([(name, opener(snapshot)) for name, snapshot in stores.items()], SystemClock())


def memory(depfile: Any = None, jobs: Mapping[str, Any] | None = None, **more: Any) -> MemorySnapshot:
    return MemorySnapshot(depfile, jobs, **more)


class Gone(MemorySnapshot):
    """A store that was opened and then went away."""

    def list_jobs(self) -> list[str]:
        raise StoreUnreachable("no contact", hint="look at the cable")

    def read(self, path: str) -> Any:
        raise StoreUnreachable(f"no contact, for {path}", hint="look at the cable")

    def wait_for_change(self, timeout_s: float) -> bool:
        raise StoreUnreachable(f"no contact, in {timeout_s}", hint="look at the cable")


class Deaf(MemorySnapshot):
    """A store that never answers in time."""

    def wait_for_change(self, timeout_s: float) -> bool:
        return SystemClock().inbox().get(timeout_s + 60.0) is not None


def test_a_job_is_that_of_the_last_store_that_has_it_whatever_the_suffix() -> None:
    whole = layered(
        base=memory(None, {"api.nomad": "1", "db.nomad": "1", "web": "1"}),
        middle=memory(None, {"api.nomad.hcl": "2", "db.hcl": "2"}),
        top=memory(None, {"api.nomad": "3"}),
    )
    assert whole.list_jobs() == ["api.nomad", "db.hcl", "web"]
    assert {name: text.path for name, text in whole.jobs(["api", "db", "web"]).items()} == {
        "api": "top:jobs/api.nomad",
        "db": "middle:jobs/db.hcl",
        "web": "base:jobs/web",
    }


def test_each_layer_is_asked_once_for_all_of_its_jobs() -> None:
    base, top = memory(None, {f"{number}.nomad": "" for number in range(5)}), memory(None, {"1.hcl": "", "3.hcl": ""})
    layered(base=base, top=top).jobs([str(number) for number in range(5)])
    assert (base.reads, top.reads) == (["jobs/0.nomad", "jobs/2.nomad", "jobs/4.nomad"], ["jobs/1.hcl", "jobs/3.hcl"])


def test_two_files_of_one_job_in_one_store_are_ambiguous_and_the_store_is_named() -> None:
    whole = layered(base=memory(None, {"api.nomad": "", "db": ""}), top=memory(None, {"api.nomad": "", "api.hcl": ""}))
    with pytest.raises(DeclarationError) as caught:
        whole.jobs(["api", "db", "nothing"])
    problems = [fault.problem for fault in caught.value.faults]
    assert problems[0] == "job 'api' has more than one job file: api.nomad, api.hcl, in the store 'top'"
    assert problems[1].startswith("job 'nothing' has no job file in the store (looked for ")


def test_other_files_and_the_dependency_file_are_those_of_the_last_store_that_has_them() -> None:
    whole = layered(base=memory({"a": 1}, files={"x": "1", "y": "1"}), top=memory(None, files={"y": "2"}))
    assert whole.depfile().path == "base:dependency.json"
    assert (whole.read("x").path, whole.read("y").data) == ("base:x", b"2")


@pytest.mark.parametrize("ask", [lambda whole: whole.depfile(), lambda whole: whole.read("x"), lambda whole: whole.read_jobs(["x"])])
def test_what_no_store_has_is_missing_in_the_words_of_the_base(ask: Callable[[Snapshot], object]) -> None:
    with pytest.raises(StoreFileMissing) as caught:
        ask(layered(base=memory(), middle=memory(), top=memory()))
    assert caught.value.notes == ("in the store 'base'", "nor is it in middle, top")


@pytest.mark.parametrize("ask", [lambda whole: whole.read("x"), lambda whole: whole.list_jobs()])
def test_a_store_that_cannot_be_asked_is_never_passed_over(ask: Callable[[Snapshot], object]) -> None:
    with pytest.raises(StoreUnreachable) as caught:
        ask(layered(base=memory(files={"x": ""}), top=Gone(None)))
    assert caught.value.notes == ("in the store 'top'",)


def test_the_revision_is_of_all_and_the_title_of_the_base() -> None:
    base, top = memory({}), memory(None, {"a": ""})
    whole = layered(base=base, top=top)
    assert whole.revision.id == f"{base.revision.id} + {top.revision.id}"
    assert (str(whole.revision), whole.title) == ("memory + memory", "memory")


def test_closing_closes_all() -> None:
    base, top = memory(), memory()
    with layered(base=base, top=top):
        assert not base.closed
    assert (base.closed, top.closed) == (True, True)


def test_where_one_cannot_be_opened_the_others_are_closed() -> None:
    base = memory()

    def fail() -> Snapshot:
        raise StoreError("it is broken", hint="mend it")

    with pytest.raises(StoreError) as caught:
        open_layers([("base", lambda: base), ("top", fail)], SystemClock())
    assert (base.closed, caught.value.notes) == (True, ("in the store 'top'",))


@pytest.mark.parametrize("changed", [0, 1])
def test_a_change_of_any_is_noticed(changed: int) -> None:
    shelves = [Shelf({"x": b"1"}), Shelf({"x": b"1"})]
    base, top = (memory(None, files={"x": "1"}, shelf=shelf) for shelf in shelves)
    shelves[changed].files["x"] = b"2"
    assert layered(base=base, top=top).wait_for_change(30.0)


def test_without_a_change_the_wait_is_over_in_time() -> None:
    clock = FakeClock()
    layers = [("base", lambda: memory(shelf=Shelf(pause=clock.pause))), ("top", lambda: memory(shelf=Shelf(pause=clock.pause)))]
    assert not open_layers(layers, clock).wait_for_change(5.0)
    assert 5.0 <= clock.now_s() < 7.5


def test_a_store_that_is_gone_while_it_is_waited_for_is_told() -> None:
    with pytest.raises(StoreUnreachable) as caught:
        layered(base=memory(), top=Gone(None)).wait_for_change(1.0)
    assert caught.value.notes == ("in the store 'top'",)


def test_a_store_that_does_not_keep_to_the_time_does_not_hold_up_the_wait() -> None:
    clock = SystemClock()
    before_s = clock.now_s()
    assert not layered(base=memory(), top=Deaf(None)).wait_for_change(0.1)
    assert clock.now_s() - before_s < 30.0

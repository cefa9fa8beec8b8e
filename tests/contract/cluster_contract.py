"""What `ports.Cluster` promises, as tests that the fake and the real Nomad pass alike.

The rules of the program are tested on the fake; these tests are why that says something about a real one.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar

import pytest

from dtree.errors import ClusterError, Conflict, Invalid, NotFound
from dtree.model import AllocationState, JobRef, JobSnapshot, JobState, RenderedJob
from dtree.ports import Cluster, Registered, Watch
from dtree.provenance import MARK, Items, Source, note_path, provenance_of, read_comments

T = TypeVar("T")

_NO_ALLOCATION: Final = "00000000-0000-0000-0000-000000000000"
_S: Final = 10**9
_NO_DEPLOYMENT: Final = {"MaxParallel": 0}
_UPDATE: Final = {"MaxParallel": 1, "MinHealthyTime": 0, "HealthyDeadline": 10 * _S, "ProgressDeadline": 20 * _S}
_SLOW: Final = {**_UPDATE, "MinHealthyTime": 5 * _S}


class ClusterContract(ABC):
    """What a cluster promises. Subclass it as `Test...`, set the attributes in a fixture and say how the three things are done.

    Attributes:
        cluster: the one under test.
        prefix: beginning of the IDs of this test's jobs, where a cluster is shared; those are gone afterwards.
        lasting: the same for a job that all tests share; "" where each has a cluster of its own.
        elsewhere: a namespace that is not `default`.
    """

    cluster: Cluster
    prefix: str
    lasting: str
    elsewhere: str

    @abstractmethod
    def eventually(self, check: Callable[[], T]) -> T:
        """Let time pass until the answer of `check` is true, and return that answer."""

    @abstractmethod
    def scale(self, ref: JobRef, count: int) -> None:
        """Set the count of the group `main`, as an autoscaler does."""

    @abstractmethod
    def put_variable(self, path: str, items: Mapping[str, str]) -> None:
        """Let somebody write a Variable of the namespace `default`."""

    @abstractmethod
    def launch(self, parent: JobRef) -> JobRef:
        """Launch a child of a parameterized job that goes on running."""

    # -- parse, validate, dry run -------------------------------------------------------------------------------------

    def test_a_parsed_file_is_the_job_that_it_names(self) -> None:
        text = 'job "web" {\n type = "batch"\n group "main" {\n task "work" {\n driver = "mock_driver"\n }\n }\n}\n'
        spec = self.cluster.parse(text, file="web.nomad", namespace="", variables="")
        assert (spec["ID"], spec["Type"]) == ("web", "batch")
        assert [group["Name"] for group in spec["TaskGroups"]] == ["main"]

    def test_a_file_without_a_job_is_refused(self) -> None:
        with pytest.raises(Invalid):
            self.cluster.parse('group "main" {}\n', file="web.nomad", namespace="", variables="")

    def test_a_sound_job_is_valid(self) -> None:
        assert self.cluster.validate(self.service("web")) == ""

    def test_a_dry_run_of_a_new_job_places_all_and_expects_none_there(self) -> None:
        plan = self.cluster.dry_run(self.service("web", count=2))
        assert (plan.diff, plan.updates, plan.job_modify_index) == ("Added", {"main": {"place": 2}}, 0)

    def test_a_dry_run_of_an_unchanged_job_touches_nothing(self) -> None:
        job = self.steady()
        plan = self.cluster.dry_run(job)
        assert (plan.diff, plan.updates, plan.changed) == ("None", {"main": {"ignore": 1}}, ())
        assert plan.job_modify_index == self.state(job.ref).modify_index

    def test_a_dry_run_of_a_changed_job_tells_what_becomes_of_its_allocations(self) -> None:
        job = self.steady()
        plans = {
            "replaced": self.cluster.dry_run(changed(job)),
            "kept": self.cluster.dry_run(changed(job, Priority=70)),
            "more": self.cluster.dry_run(counted(job, 2)),
        }
        index = self.state(job.ref).modify_index
        assert {name: (plan.diff, plan.job_modify_index) for name, plan in plans.items()} == dict.fromkeys(plans, ("Edited", index))
        assert all(plan.changed for plan in plans.values())
        assert {name: dict(plan.updates["main"]) for name, plan in plans.items()} == {
            "replaced": {"destructive": 1},
            "kept": {"in_place": 1},
            "more": {"in_place": 1, "place": 1},
        }

    def test_a_dry_run_of_a_stopped_job_places_it_anew(self) -> None:
        job = self.service("web")
        self.register(job)
        self.cluster.stop(job.ref)
        self.cluster.settle(job.ref, ended=False)
        plan = self.cluster.dry_run(job)
        assert (plan.diff, plan.updates, "Stop" in plan.changed) == ("Edited", {"main": {"place": 1}}, True)

    # -- register -----------------------------------------------------------------------------------------------------

    def test_a_new_job_is_version_0_and_its_evaluation_is_known(self) -> None:
        job = self.parked("web")
        registered = self.cluster.register(job, enforce_index=0)
        snapshot = self.cluster.snapshot(job.ref)
        assert snapshot.job is not None
        assert (registered.version, registered.shape, registered.modify_index) == (0, snapshot.job.shape, snapshot.job.modify_index)
        assert [one.id for one in snapshot.evaluations] == [registered.eval_id]

    def test_a_job_that_exists_is_not_new(self) -> None:
        job = self.parked("web")
        self.register(job)
        with pytest.raises(Conflict):
            self.cluster.register(changed(job), enforce_index=0)
        assert self.state(job.ref).version == 0

    def test_a_job_that_does_not_exist_is_not_replaced(self) -> None:
        job = self.parked("web")
        with pytest.raises(Conflict):
            self.cluster.register(job, enforce_index=7)
        assert self.cluster.snapshot(job.ref).job is None

    def test_only_the_index_of_the_last_change_is_accepted(self) -> None:
        job = self.parked("web")
        self.register(job)
        before = self.state(job.ref)
        again = self.cluster.register(changed(job), enforce_index=before.modify_index)
        assert again.version == 1
        with pytest.raises(Conflict):
            self.cluster.register(changed(job, Priority=70), enforce_index=before.modify_index)
        assert self.state(job.ref).shape == again.shape

    def test_the_same_job_again_is_no_new_version(self) -> None:
        job = self.parked("web")
        first = self.register(job)
        before = self.state(job.ref)
        again = self.cluster.register(job, enforce_index=before.modify_index)
        assert (again.version, again.shape) == (first.version, first.shape)
        assert again.eval_id not in ("", first.eval_id)
        assert self.state(job.ref).modify_index == before.modify_index

    def test_a_conflict_with_the_same_job_is_none(self) -> None:
        job = self.parked("web")
        first = self.register(job)
        # As after a lost answer: the next try meets what the first one did.
        assert self.cluster.register(job, enforce_index=0) == replace(first, eval_id="")

    def test_a_change_has_another_shape_and_what_is_changed_back_the_old_one(self) -> None:
        job = self.parked("web")
        first = self.register(job)
        other = self.register(changed(job))
        assert (other.version, other.shape != first.shape) == (1, True)
        back = self.register(job)
        assert (back.version, back.shape) == (2, first.shape)

    def test_scaling_keeps_the_shape_and_what_runs(self) -> None:
        job = self.service("web", update=_NO_DEPLOYMENT)
        first = self.start(job)
        (kept,) = self.running(job.ref)
        self.scale(job.ref, 2)
        snapshot = self.cluster.settle(job.ref, ended=False)
        scaled = self.state(job.ref)
        assert (scaled.version, scaled.shape, scaled.groups[0].count) == (1, first.shape, 2)
        assert [(one.version, one.desired, one.id == kept.id) for one in snapshot.allocations] == [(1, "run", True), (1, "run", False)]

    def test_a_changed_job_replaces_its_allocations_and_ends_the_deployment_under_way(self) -> None:
        job = self.service("web", update=_SLOW)
        self.start(job)
        self.start(changed(job))
        snapshot = self.cluster.snapshot(job.ref)
        old, new = snapshot.allocations
        assert (old.version, old.desired, old.client, old.next_allocation) == (0, "stop", "complete", new.id)
        assert [task.state for task in old.tasks.values()] == ["dead"]
        assert (new.version, new.desired, new.client, new.next_allocation) == (1, "run", "running", "")
        assert [(one.version, one.status) for one in snapshot.deployments] == [(0, "cancelled"), (1, "running")]

    def test_a_change_in_place_keeps_the_allocation(self) -> None:
        job = self.service("web")
        self.start(job)
        before = self.running(job.ref)
        self.start(changed(job, Priority=70))
        after = self.running(job.ref)
        assert [(one.id, one.version) for one in after] == [(one.id, 1) for one in before]

    # -- snapshots ----------------------------------------------------------------------------------------------------

    def test_an_unknown_job_has_nothing(self) -> None:
        ref = self.ref("nobody")
        assert self.cluster.snapshot(ref) == JobSnapshot(ref, None)
        assert self.cluster.snapshots([ref]) == {ref: JobSnapshot(ref, None)}

    def test_a_snapshot_of_a_service_shows_how_its_version_came_up(self) -> None:
        job = self.steady()
        snapshot = self.cluster.snapshot(job.ref)
        state = self.state(job.ref)
        assert (snapshot.ref, state.type, state.version, state.status, state.stopped) == (job.ref, "service", 0, "running", False)
        (one,) = snapshot.allocations
        assert (one.version, one.group, one.desired, one.client, one.healthy) == (0, "main", "run", "running", True)
        assert one.name == f"{job.ref.id}.main[0]"
        assert [(task.name, task.state, task.exit_code) for task in one.tasks.values()] == [("work", "running", None)]
        (deployment,) = snapshot.deployments
        numbers = deployment.groups["main"]
        assert (deployment.version, deployment.status) == (0, "successful")
        assert (numbers.desired_total, numbers.placed, numbers.healthy, numbers.unhealthy) == (1, 1, 1, 0)
        first = snapshot.evaluations[0]
        assert (first.status, first.triggered_by, first.deployment_id) == ("complete", "job-register", deployment.id)
        assert dict(first.failed_groups) == {}

    def test_a_snapshot_of_a_batch_job_shows_how_it_ended(self) -> None:
        job = self.batch("setup")
        self.register(job)
        self.eventually(lambda: self.state(job.ref).status == "dead")
        snapshot = self.cluster.snapshot(job.ref)
        (one,) = snapshot.allocations
        assert (one.client, one.desired, one.healthy, one.is_over) == ("complete", "run", None, True)
        assert [(task.state, task.exit_code, task.failed) for task in one.tasks.values()] == [("dead", 0, False)]
        assert (snapshot.deployments, self.state(job.ref).stopped) == ((), False)

    def test_many_snapshots_are_the_same_as_each_of_them(self) -> None:
        web, twin = self.service("web", update=_NO_DEPLOYMENT), self.parked("web", namespace=self.elsewhere)
        steady, setup = self.steady(), self.batch("setup")
        for job in (web, twin, setup):
            self.register(job)
        self.eventually(lambda: self.running(web.ref) and self.state(setup.ref).status == "dead")
        few = [web.ref, twin.ref, steady.ref, setup.ref]
        many = [*few, *(self.ref(f"nobody{number}") for number in range(8))]
        each = {ref: self.cluster.snapshot(ref) for ref in many}
        assert self.cluster.snapshots(few) == {ref: each[ref] for ref in few}
        assert self.cluster.snapshots(many) == each
        assert [len(each[ref].allocations) for ref in few] == [1, 0, 1, 1]

    def test_a_namespace_is_there_or_not(self) -> None:
        assert self.cluster.has_namespace(self.elsewhere, region="")
        assert not self.cluster.has_namespace("nowhere", region="")

    def test_a_namesake_in_another_namespace_is_another_job(self) -> None:
        web, twin = self.parked("web"), self.parked("web", namespace=self.elsewhere)
        self.register(web)
        assert self.cluster.snapshot(twin.ref) == JobSnapshot(twin.ref, None)
        assert self.register(twin).version == 0
        self.cluster.stop(web.ref)
        assert [self.state(web.ref).stopped, self.state(twin.ref).stopped] == [True, False]

    # -- versions -----------------------------------------------------------------------------------------------------

    def test_the_newest_stable_version_below_another_is_found(self) -> None:
        job = self.service("web")
        self.register(job)
        assert self.cluster.stable_version(job.ref, below=9) is None
        self.eventually(lambda: self.state(job.ref).stable)
        self.scale(job.ref, 2)
        # As stable as the version that it comes from.
        assert (self.state(job.ref).version, self.state(job.ref).stable) == (1, True)
        self.cluster.stop(job.ref)
        found = [self.cluster.stable_version(job.ref, below=below) for below in range(4)]
        assert found == [None, 0, 1, 1]

    def test_returning_to_an_older_version_makes_a_new_one_like_it(self) -> None:
        job = self.parked("web")
        first = self.register(job)
        second = self.register(changed(job))
        third = self.cluster.revert(job.ref, version=0, enforce_version=second.version)
        assert (third.version, third.shape) == (2, first.shape)
        assert third.eval_id in [one.id for one in self.cluster.snapshot(job.ref).evaluations]
        assert self.state(job.ref).version == 2

    def test_no_version_is_returned_to_from_another_one_than_was_seen(self) -> None:
        job = self.parked("web")
        self.register(job)
        self.register(changed(job))
        with pytest.raises(Conflict):
            self.cluster.revert(job.ref, version=0, enforce_version=0)
        assert self.state(job.ref).version == 1

    def test_the_current_version_cannot_be_returned_to(self) -> None:
        job = self.parked("web")
        self.register(job)
        with pytest.raises(Invalid):
            self.cluster.revert(job.ref, version=0, enforce_version=0)

    def test_what_is_not_there_cannot_be_returned_to_or_evaluated(self) -> None:
        job = self.parked("web")
        self.register(job)
        with pytest.raises(NotFound):
            self.cluster.revert(job.ref, version=5, enforce_version=0)
        with pytest.raises(NotFound):
            self.cluster.revert(self.ref("nobody"), version=0, enforce_version=0)
        with pytest.raises(NotFound):
            self.cluster.evaluate(self.ref("nobody"))

    def test_an_evaluation_of_a_job_that_does_well_changes_nothing(self) -> None:
        job = self.steady()
        before = self.cluster.snapshot(job.ref)
        eval_id = self.cluster.evaluate(job.ref)
        after = self.cluster.settle(job.ref, ended=False)
        assert [(one.status, one.triggered_by) for one in after.evaluations if one.id == eval_id] == [("complete", "job-register")]
        assert (after.job, after.allocations, after.deployments) == (before.job, before.allocations, before.deployments)

    # -- stop, settle, purge ------------------------------------------------------------------------------------------

    def test_a_stopped_job_stays_known_and_its_allocations_end(self) -> None:
        job = self.service("web", update=_SLOW)
        started = self.start(job)
        before = self.cluster.settle(job.ref, ended=False)
        assert ([one.client for one in before.allocations], [one.status for one in before.deployments]) == (["running"], ["running"])
        eval_id = self.cluster.stop(job.ref)
        after = self.cluster.settle(job.ref, ended=True)
        state = self.state(job.ref)
        assert (state.stopped, state.status, state.version, state.shape) == (True, "dead", 1, started.shape)
        assert [(one.version, one.desired, one.client) for one in after.allocations] == [(0, "stop", "complete")]
        assert [one.status for one in after.evaluations if one.id == eval_id] == ["complete"]
        assert self.eventually(lambda: [one.status for one in self.cluster.snapshot(job.ref).deployments] == ["cancelled"])

    def test_a_stop_of_what_is_stopped_or_unknown_is_no_error(self) -> None:
        job = self.parked("web")
        self.register(job)
        assert self.cluster.stop(job.ref) != ""
        assert self.cluster.stop(job.ref) != ""
        # Each is a change of its own: a plan made in between is stale.
        assert self.state(job.ref).version == 2
        assert self.cluster.stop(self.ref("nobody")) == ""

    def test_an_unknown_job_is_at_rest(self) -> None:
        ref = self.ref("nobody")
        assert self.cluster.settle(ref, ended=True) == JobSnapshot(ref, None)
        self.cluster.purge(ref)

    def test_a_purged_job_is_gone_and_begins_anew(self) -> None:
        job = self.service("web")
        self.register(job)
        self.register(changed(job))
        self.end(job.ref)
        self.purge(job.ref)
        assert self.cluster.dry_run(job).job_modify_index == 0
        assert self.cluster.stable_version(job.ref, below=9) is None
        assert self.register(counted(job, 0)).version == 0
        snapshot = self.cluster.snapshot(job.ref)
        born = self.state(job.ref).create_index
        assert (snapshot.allocations, snapshot.deployments) == ((), ())
        # Nomad keeps the evaluations of the life before.
        assert {one.triggered_by for one in snapshot.evaluations if one.create_index < born} >= {"job-register", "job-deregister"}

    # -- children -----------------------------------------------------------------------------------------------------

    def test_a_parent_itself_is_never_evaluated(self) -> None:
        parent = self.parent("mail")
        assert self.register(parent).eval_id == ""
        snapshot = self.cluster.snapshot(parent.ref)
        assert (self.state(parent.ref).is_parent, self.state(parent.ref).status) == (True, "running")
        assert (snapshot.allocations, snapshot.deployments, snapshot.evaluations) == ((), (), ())
        plan = self.cluster.dry_run(parent)
        # Nomad speaks as if it would run.
        assert (plan.diff, plan.updates) == ("None", {"main": {"place": 1}})
        with pytest.raises(Invalid):
            self.cluster.evaluate(parent.ref)
        assert self.cluster.stop(parent.ref) == ""
        assert self.state(parent.ref).stopped

    def test_a_dispatch_is_a_child_with_its_meta_and_the_same_token_again_is_the_same_child(self) -> None:
        takes = {"Payload": "optional", "MetaOptional": ["table"]}
        parent = self._rendered("load", Type="batch", TaskGroups=[_group("1h")], ParameterizedJob=takes)
        self.register(parent)
        first = self.cluster.dispatch(parent.ref, meta={"table": "users"}, payload=b"1,2", token="one")
        again = self.cluster.dispatch(parent.ref, meta={"table": "users"}, payload=b"1,2", token="one")
        other = self.cluster.dispatch(parent.ref, meta={}, payload=b"", token="two")
        assert (again.ref, again.eval_id, other.ref != first.ref) == (first.ref, "", True)
        assert first.ref.id.startswith(f"{parent.ref.id}/dispatch-")
        assert any(one.id == first.eval_id for one in self.cluster.snapshot(first.ref).evaluations)
        assert (self.state(first.ref).version, self.state(first.ref).is_parent) == (0, False)

    def test_what_does_not_exist_cannot_be_dispatched(self) -> None:
        with pytest.raises(NotFound):
            self.cluster.dispatch(self.batch("load").ref, meta={}, payload=b"", token="one")

    def test_a_forced_run_of_a_periodic_job_is_a_child(self) -> None:
        turns = {"Spec": "0 3 1 1 *", "SpecType": "cron", "Enabled": True}
        parent = self._rendered("nightly", Type="batch", TaskGroups=[_group("1h")], Periodic=turns)
        self.register(parent)
        child = self.cluster.force(parent.ref)
        assert child.ref.id.startswith(f"{parent.ref.id}/periodic-")
        assert any(one.id == child.eval_id for one in self.cluster.snapshot(child.ref).evaluations)
        assert self.state(child.ref).is_parent is False

    def test_children_are_listed_while_they_run_even_if_their_parent_is_stopped(self) -> None:
        parent = self.parent("mail")
        self.register(parent)
        assert self.cluster.children(parent.ref) == ()
        children = sorted(self.launch(parent.ref) for _ in range(2))
        assert list(self.cluster.children(parent.ref)) == children
        self.cluster.stop(parent.ref)
        assert list(self.cluster.children(parent.ref)) == children
        self.end(children[0])
        assert self.eventually(lambda: list(self.cluster.children(parent.ref)) == children[1:])
        assert self.state(children[1]).is_parent is False

    def test_a_job_whose_name_begins_alike_is_no_child(self) -> None:
        parent = self.parent("mail")
        self.register(parent)
        self.register(self.parent("mail/other"))
        assert self.cluster.children(parent.ref) == ()

    # -- notes --------------------------------------------------------------------------------------------------------

    def test_a_note_is_kept_by_stack_namespace_and_job(self) -> None:
        web, twin, dotted = self.ref("web"), JobRef(self.elsewhere, self.prefix + "web"), self.ref("web/v2.1 ü")
        for ref, colour in ((web, "red"), (twin, "green"), (dotted, "blue")):
            self.put_note(ref, colour=colour)
        assert self.notes(web, twin, dotted, self.ref("nobody")) == {web: "red", twin: "green", dotted: "blue"}
        assert self.cluster.notes(self.prefix + "other stack", [web]) == {}
        assert self.cluster.notes(self.stack, []) == {}

    def test_notes_of_other_stacks_are_found_by_the_id_of_the_job_and_the_latest_registration_counts(self) -> None:
        web, other = self.ref("web/v2.1"), self.ref("other")
        registered = {MARK: "1", "registered_version": "0", "shape": "x"}
        for stack, index in (("one", "5"), ("two", "12"), ("three", "9")):
            self.put_variable(note_path(self.prefix + stack, web.id), {**registered, "modify_index": index, "stack": stack})
        self.put_variable(note_path(self.stack, web.id), {**registered, "modify_index": "99", "stack": "ours"})
        self.put_variable(note_path(self.prefix + "store", other.id), {"index": "of a store"})
        found = self.cluster.notes_of_others(self.stack, [web, other])
        assert {ref: items["stack"] for ref, items in found.items()} == {web: "two"}
        assert self.cluster.notes_of_others(self.stack, []) == {}

    def test_a_submission_is_that_of_the_version_asked_for(self) -> None:
        job = self.parked("submitted")
        provenance = provenance_of(job, Source(self.stack, "filesystem", "1"))
        version = self.cluster.register(job, enforce_index=0, provenance=provenance).version
        source, variables = self.cluster.submission(job.ref, version=version)
        assert source == job.text
        assert read_comments(source, variables) == provenance
        assert self.cluster.submission(job.ref, version=version + 1) == ("", "")
        assert self.cluster.submission(self.ref("nobody"), version=0) == ("", "")

    def test_a_change_of_a_note_is_handed_what_is_there_and_replaces_it(self) -> None:
        ref = self.ref("web")
        seen: list[Items] = []

        def change(items: Items) -> Items:
            seen.append(items)
            return {MARK: "1", "count": str(len(seen))}

        self.cluster.change_note(self.stack, ref, change)
        self.cluster.change_note(self.stack, ref, change)
        assert seen == [{}, {MARK: "1", "count": "1"}]
        assert self.cluster.notes(self.stack, [ref])[ref] == {MARK: "1", "count": "2"}

    def test_what_somebody_else_notes_meanwhile_is_not_lost(self) -> None:
        ref = self.ref("web")
        self.put_note(ref, colour="red")
        seen: list[Items] = []

        def change(items: Items) -> Items:
            if not seen:
                self.put_variable(note_path(self.stack, ref.id), {**items, "theirs": "1"})
            seen.append(items)
            return {**items, "ours": "1"}

        self.cluster.change_note(self.stack, ref, change)
        assert self.cluster.notes(self.stack, [ref])[ref] == {MARK: "1", "colour": "red", "theirs": "1", "ours": "1"}
        assert len(seen) == 2

    def test_a_note_is_forgotten_once_and_one_that_is_not_there_is_no_error(self) -> None:
        web, other = self.ref("web"), self.ref("other")
        for ref in (web, other):
            self.put_note(ref, colour="red")
        for _ in range(2):
            self.cluster.forget(self.stack, web)
        assert self.notes(web, other) == {other: "red"}

    def test_what_is_no_note_is_neither_changed_nor_forgotten(self) -> None:
        ref = self.ref("web")
        self.put_variable(note_path(self.stack, ref.id), {"index": "of a store"})
        with pytest.raises(Conflict):
            self.put_note(ref, colour="red")
        with pytest.raises(Conflict):
            self.cluster.forget(self.stack, ref)
        assert self.cluster.notes(self.stack, [ref])[ref] == {"index": "of a store"}

    # -- allocations --------------------------------------------------------------------------------------------------

    def test_an_unknown_allocation_has_no_logs_checks_or_addresses(self) -> None:
        nobody = JobRef("default", "nobody")
        assert list(self.cluster.logs(nobody, _NO_ALLOCATION, "work", stream="stderr", lines=5)) == []
        assert self.cluster.checks(nobody, _NO_ALLOCATION) == ()
        assert self.cluster.addresses(nobody, _NO_ALLOCATION) == ()
        assert self.cluster.log_from(nobody, _NO_ALLOCATION, "work", stream="stdout", offset=0) == b""

    def test_nobody_has_registered_an_unknown_service(self) -> None:
        assert self.cluster.registered(JobRef("default", self.prefix), f"{self.prefix}none", "nomad", [_NO_ALLOCATION]) == {}

    # -- watch --------------------------------------------------------------------------------------------------------

    def test_a_followed_job_is_reported_at_once_and_whole(self) -> None:
        job = self.steady()
        with self.watching() as (watch, reports):
            watch.follow(job.ref)
            self.eventually(lambda: reports)
            assert reports[0] == self.cluster.snapshot(job.ref)

    def test_an_unknown_job_is_reported_as_that_and_then_when_it_comes(self) -> None:
        job = self.service("web")
        with self.watching() as (watch, reports):
            watch.follow(job.ref)
            self.eventually(lambda: reports)
            assert reports[0].job is None
            self.register(job)
            self.eventually(lambda: reports[-1].job and [one.client for one in reports[-1].allocations] == ["running"])

    def test_each_later_change_is_reported(self) -> None:
        job = self.service("web")
        self.start(job)
        with self.watching() as (watch, reports):
            watch.follow(job.ref)
            self.register(changed(job))
            self.eventually(lambda: reports and _versions(reports[-1]) == (1, [0, 1]))
            self.cluster.stop(job.ref)
            self.eventually(lambda: _is_stopped(reports[-1]) and all(one.is_over for one in reports[-1].allocations))
            assert [one.ref for one in reports] == [job.ref] * len(reports)

    def test_jobs_are_followed_at_different_times_and_each_report_is_whole(self) -> None:
        steady = self.steady().ref
        web, twin = (self.service("web", namespace=name, update=_NO_DEPLOYMENT) for name in ("default", self.elsewhere))
        for job in (web, twin):
            self.register(job)
        with self.watching() as (watch, reports):
            watch.follow(steady)
            self.eventually(lambda: reports)
            watch.follow(web.ref)
            watch.follow(twin.ref)
            self.eventually(lambda: {one.ref for one in reports} == {steady, web.ref, twin.ref})
            self.cluster.stop(twin.ref)
            self.eventually(lambda: _is_stopped(_latest(reports, twin.ref)))
            # No report is half-read: none lacks its job, its allocation or its deployment. And none is its namesake's.
            numbers = {(one.ref, one.job is None, len(one.allocations), len(one.deployments)) for one in reports}
            assert numbers == {(steady, False, 1, 1), (web.ref, False, 1, 0), (twin.ref, False, 1, 0)}
            assert {one.ref for one in reports if _is_stopped(one)} == {twin.ref}

    def test_a_dropped_job_is_reported_no_longer_until_it_is_followed_again(self) -> None:
        quiet, other = self.parked("web"), self.parked("db")
        for job in (quiet, other):
            self.register(job)
        with self.watching() as (watch, reports):
            watch.follow(quiet.ref)
            watch.follow(other.ref)
            self.eventually(lambda: {one.ref for one in reports} == {quiet.ref, other.ref})
            watch.drop(quiet.ref)
            self.cluster.stop(quiet.ref)
            self.cluster.stop(other.ref)
            self.eventually(lambda: _is_stopped(_latest(reports, other.ref)))
            assert not _is_stopped(_latest(reports, quiet.ref))
            watch.follow(quiet.ref)
            self.eventually(lambda: _is_stopped(_latest(reports, quiet.ref)))

    def test_a_purged_job_is_reported_as_gone(self) -> None:
        job = self.parked("web")
        self.register(job)
        with self.watching() as (watch, reports):
            watch.follow(job.ref)
            self.eventually(lambda: reports)
            self.end(job.ref)
            self.purge(job.ref)
            self.eventually(lambda: reports[-1].job is None)

    # -- what the tests are made of -----------------------------------------------------------------------------------

    def ref(self, name: str) -> JobRef:
        return JobRef("default", self.prefix + name)

    @property
    def stack(self) -> str:
        return self.prefix + "stack"

    def put_note(self, ref: JobRef, **items: str) -> None:
        self.cluster.change_note(self.stack, ref, lambda before: {**before, MARK: "1", **items})

    def notes(self, *refs: JobRef) -> dict[JobRef, str]:
        return {ref: items["colour"] for one in refs for ref, items in self.cluster.notes(self.stack, [one]).items()}

    def steady(self) -> RenderedJob:
        """Return a stable service that many tests look at and none may change."""
        job = self._rendered("steady", prefix=self.lasting, Type="service", TaskGroups=[{**_group("1h"), "Update": _UPDATE}])
        if self.cluster.snapshot(job.ref).job is None:
            self.register(job)
            self.eventually(lambda: self.state(job.ref).stable)
        return job

    def service(self, name: str, *, count: int = 1, namespace: str = "default", update: Mapping[str, int] = _UPDATE) -> RenderedJob:
        """Return a job that goes on and on."""
        return self._rendered(name, namespace=namespace, Type="service", TaskGroups=[{**_group("1h", count=count), "Update": update}])

    def parked(self, name: str, *, namespace: str = "default") -> RenderedJob:
        """Return a job of no allocations, for what is told of the job alone."""
        return self.service(name, count=0, namespace=namespace)

    def batch(self, name: str) -> RenderedJob:
        """Return a job that completes at once."""
        return self._rendered(name, Type="batch", TaskGroups=[_group("1ms")])

    def parent(self, name: str) -> RenderedJob:
        """Return a parameterized job whose children go on and on."""
        return self._rendered(name, Type="batch", TaskGroups=[_group("1h")], ParameterizedJob={"Payload": "optional"})

    def state(self, ref: JobRef) -> JobState:
        state = self.cluster.snapshot(ref).job
        assert state is not None
        return state

    def running(self, ref: JobRef) -> list[AllocationState]:
        return [one for one in self.cluster.snapshot(ref).allocations if one.client == "running" and one.desired == "run"]

    def register(self, job: RenderedJob) -> Registered:
        """Register, whatever is there, and let Nomad see it through."""
        found = self.cluster.snapshot(job.ref).job
        registered = self.cluster.register(job, enforce_index=found.modify_index if found else 0)
        self.cluster.settle(job.ref, ended=False)
        return registered

    def start(self, job: RenderedJob) -> Registered:
        """Register, and wait until all of this version runs and nothing else does."""
        registered = self.register(job)
        count = sum(group["Count"] for group in job.spec["TaskGroups"])

        def runs() -> bool:
            alive = [one for one in self.cluster.snapshot(job.ref).allocations if not one.is_over]
            return [(one.client, one.version) for one in alive] == [("running", registered.version)] * count

        self.eventually(runs)
        return registered

    def end(self, ref: JobRef) -> None:
        self.cluster.stop(ref)
        self.cluster.settle(ref, ended=True)

    def purge(self, ref: JobRef) -> None:
        self.cluster.purge(ref)
        assert self.cluster.settle(ref, ended=False).job is None

    @contextmanager
    def watching(self) -> Iterator[tuple[Watch, list[JobSnapshot]]]:
        """Watch, and fail where contact was lost."""
        reports: list[JobSnapshot] = []
        troubles: list[ClusterError | None] = []
        with self.cluster.watch(reports.append, lambda _region, error: troubles.append(error)) as watch:
            yield watch, reports
        assert troubles == []

    def _rendered(self, name: str, *, prefix: str | None = None, namespace: str = "default", **fields: Any) -> RenderedJob:
        job_id = (self.prefix if prefix is None else prefix) + name
        spec = {"ID": job_id, "Name": job_id, "Namespace": namespace, "Datacenters": ["dc1"], "Priority": 50, **fields}
        return RenderedJob(name, JobRef(namespace, job_id), f"{name}.json", json.dumps(spec), "json", spec)


def changed(job: RenderedJob, **fields: Any) -> RenderedJob:
    """Return the job with other fields; without any, with a change that replaces its allocations."""
    spec = {**job.spec, **(fields or {"Meta": {"colour": "green"}})}
    return replace(job, spec=spec, text=json.dumps(spec))


def counted(job: RenderedJob, count: int) -> RenderedJob:
    """Return the job with another count in each group."""
    return changed(job, TaskGroups=[{**group, "Count": count} for group in job.spec["TaskGroups"]])


def _group(run_for: str, *, count: int = 1) -> dict[str, Any]:
    task = {
        "Name": "work",
        "Driver": "mock_driver",
        "Config": {"run_for": run_for},
        "LogConfig": {"Disabled": True},
        "Resources": {"CPU": 10, "MemoryMB": 10},
    }
    return {"Name": "main", "Count": count, "Tasks": [task]}


def _latest(reports: list[JobSnapshot], ref: JobRef) -> JobSnapshot:
    return next(one for one in reversed(reports) if one.ref == ref)


def _is_stopped(snapshot: JobSnapshot) -> bool:
    return snapshot.job is not None and snapshot.job.stopped


def _versions(snapshot: JobSnapshot) -> tuple[int | None, list[int]]:
    return snapshot.job.version if snapshot.job else None, [one.version for one in snapshot.allocations]

"""A deleted manifest: triggers, runs, the rest in reverse, files a day later; and putting it back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshplane.errors import Denied
from meshplane.model.resource import Owner
from meshplane.model.runs import Run
from tests.unit.flows.fakes import Plane, Spec, Thing, manifest

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
RESTING = ["iceberg_table:landed (rests)", "iceberg_table:orders (rests)"]


def a_run(run_id: str, status: str = "RUNNING") -> Run:
    return Run(run_id, "sales", "daily", status, "landed", "files", "2030-01-01T00:00:00Z", execution=f"arn:{run_id}")


def applied(policy: str = "") -> Plane:
    plane = Plane()
    plane.bucket.put("sales", manifest(policy=policy))
    plane.look()
    plane.bucket.drop("sales")
    return plane


def test_everything_goes_in_reverse_and_tables_rest() -> None:
    plane = applied()
    assert plane.look().result == "removed"
    assert plane.cloud.writes == ["delete landed", "delete load_orders", "update landed", "update orders", "delete role"]
    assert plane.cloud.labels() == RESTING
    record = plane.table.records["sales"]
    assert (record.phase, record.shares, record.pipelines) == ("removed", {}, {})
    assert plane.condition() == ("True", "Removed")


def test_the_second_look_is_silent() -> None:
    plane = applied()
    plane.look()
    statuses = len(plane.bucket.statuses)
    for _ in range(2):
        assert plane.look().result == "removed"
        assert plane.cloud.writes == []
    assert len(plane.bucket.statuses) == statuses


def test_what_is_not_ours_is_never_touched() -> None:
    plane = applied()
    key = next(key for key in plane.cloud.things if key.kind == "glue_job")
    theirs = Thing(Spec({}), Owner("retail", "dev", "finance"))
    plane.cloud.things[key] = theirs
    plane.look()
    assert plane.cloud.things[key] is theirs
    assert plane.condition() == ("True", "Removed")


def test_open_runs_are_waited_for_after_the_triggers_are_gone() -> None:
    plane = applied()
    plane.runs.runs = [a_run("r1")]
    assert plane.look().result == "draining"
    assert plane.cloud.writes == ["delete landed"]
    assert plane.table.records["sales"].pipelines["daily"]["paused"], "no run starts any more"
    assert plane.condition() == ("False", "Draining")
    assert plane.due_in() == MINUTE
    plane.runs.runs.clear()
    assert plane.look().result == "removed"


def test_or_stopped_by_policy() -> None:
    plane = applied("{ whileRunning: stop }")
    plane.runs.runs = [a_run("r1")]
    assert plane.look().result == "removed"
    assert plane.runs.stopped == ["r1"]


@pytest.mark.parametrize(("policy", "result"), [("", "draining"), ("{ whileRunning: stop }", "removed")])
def test_so_is_a_job_that_runs_without_a_pipeline(policy: str, result: str) -> None:
    plane = applied(policy)
    (job,) = (key.name for key in plane.table.records["sales"].inventory if key.kind == "glue_job")
    plane.runs.of_jobs[job] = a_run("by-hand")
    assert plane.look().result == result
    assert plane.runs.stopped == (["by-hand"] if policy else [])


def test_a_run_that_only_waits_never_begins() -> None:
    plane = applied()
    plane.runs.runs = [a_run("r1"), a_run("r2", "WAITING")]
    plane.look()
    assert plane.runs.stopped == ["r2"]
    assert plane.condition() == ("False", "Draining")


def test_a_denied_step_holds_up_what_lies_below_it() -> None:
    plane = applied()
    plane.cloud.faults["delete", "load_orders"] = [Denied("glue:DeleteJob")]
    plane.look()
    assert plane.cloud.writes == ["delete landed"]
    assert plane.condition() == ("False", "Denied")
    plane.look()
    assert plane.cloud.labels() == RESTING


def test_a_kind_that_cannot_be_listed_keeps_the_project_from_being_called_removed() -> None:
    plane = applied()
    plane.cloud.faults["observe", "role"] = [Denied("iam:GetAccountAuthorizationDetails")]
    plane.look()
    assert plane.condition() == ("False", "Denied")
    plane.look()
    assert plane.condition() == ("True", "Removed")


def test_files_leave_a_day_later_and_once() -> None:
    plane = applied()
    plane.look()
    plane.look(after=DAY - MINUTE)
    assert plane.bucket.forgotten == []
    plane.look(after=2 * MINUTE)
    assert plane.bucket.forgotten == ["sales"]
    plane.look(after=DAY)
    assert plane.bucket.forgotten == ["sales"]
    assert plane.condition() == ("True", "Removed")


def test_put_back_within_the_day_all_is_as_before() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    before = {key: thing.spec for key, thing in plane.cloud.things.items()}
    plane.bucket.drop("sales")
    plane.look()
    plane.bucket.put("sales", manifest())
    plane.look(after=DAY / 2)
    assert {key: thing.spec for key, thing in plane.cloud.things.items()} == before
    assert plane.condition() == ("True", "Applied")
    plane.look(after=2 * DAY)
    assert plane.bucket.forgotten == []


def test_put_back_while_draining_it_goes_on_living() -> None:
    plane = applied()
    plane.runs.runs = [a_run("r1")]
    plane.look()
    plane.bucket.put("sales", manifest())
    plane.look()
    assert plane.cloud.writes == ["create landed"]
    assert plane.table.records["sales"].pipelines["daily"]["paused"] == ""


def test_put_back_in_the_middle_of_a_removal_nothing_more_is_removed() -> None:
    plane = applied()
    plane.cloud.before_write = lambda call: plane.bucket.put("sales", manifest()) if call == "delete landed" else None
    assert plane.look().result == "overtaken"
    assert plane.cloud.writes == ["delete landed"]


@pytest.mark.parametrize("wiped", [False, True], ids=["with state", "state wiped"])
def test_a_removed_project_needs_no_state(wiped: bool) -> None:
    plane = applied()
    plane.look()
    if wiped:
        plane.table.records.clear()
        assert plane.sweep().queued == {"sales": "no state"}
    assert plane.look().result == "removed"
    assert plane.cloud.writes == []


def test_readers_are_woken() -> None:
    plane = Plane()
    plane.bucket.loose["sales"] = {"jobs/report.py": b"x"}
    plane.bucket.put("customers", manifest("customers", tables={"contacts": "{ id: long }"}, readers="sales"))
    plane.look("customers")
    plane.bucket.put("sales", manifest(jobs="  report: { script: jobs/report.py, reads: [customers.contacts], writes: orders }"))
    plane.look()
    plane.bucket.drop("customers")
    plane.look("customers")
    assert plane.queue.sent == ["sales"]


class TestStateThatWasWiped:
    """The manifest is deleted, the state is gone, a run is open."""

    @staticmethod
    def wiped(policy: str) -> Plane:
        plane = applied(policy)
        plane.table.records.clear()
        plane.runs.unrecorded = [a_run("r1")]
        return plane

    def test_the_open_run_is_seen_and_waited_for(self) -> None:
        plane = self.wiped("")
        assert plane.look().result == "draining"
        assert plane.cloud.writes == ["delete landed"]

    def test_the_policy_of_the_last_valid_manifest_still_holds(self) -> None:
        plane = self.wiped("{ whileRunning: stop }")
        plane.bucket.versions["sales"].insert(0, "not: a manifest")
        plane.look()
        assert plane.runs.stopped == ["r1"]

    def test_nothing_is_deleted_where_it_forbade_that(self) -> None:
        plane = self.wiped("{ manage: [observe, create, update] }")
        plane.runs.unrecorded = []
        plane.look()
        assert plane.cloud.writes == []

    def test_what_cannot_be_listed_changes_nothing_and_is_asked_for_again(self) -> None:
        plane = self.wiped("")
        plane.runs.fault = Denied("states:ListStateMachines")
        plane.look()
        assert plane.cloud.writes == []
        assert plane.sweep().queued == {"sales": "no state"}
        plane.runs.fault = None
        assert plane.look().result == "draining"

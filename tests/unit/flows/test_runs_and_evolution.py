"""A table that a run writes: what only adds goes on, what changes it otherwise waits for the run's end (DESIGN §6)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshplane.errors import Denied
from meshplane.model.runs import Run
from meshplane.plan.record import Record
from meshplane.ports import Begun
from tests.unit.flows.fakes import Plane, manifest

APPROVED = "{ approve: %s }"


def a_run(status: str = "RUNNING", project: str = "sales") -> Run:
    return Run("r1", project, "daily", status, "landed", "files", "2030-01-01T00:00:00Z", execution="arn:r1")


@pytest.fixture
def plane() -> Plane:
    """Sales, applied; then its table's description changes by another column in the manifest, and a run is open."""
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    plane.cloud["orders"].spec = type(plane.cloud["orders"].spec)({**plane.cloud["orders"].spec.fields, "doc": "somebody's words"})
    plane.cloud["orders"].version += 1
    plane.runs.runs = [a_run()]
    return plane


def test_a_change_that_is_no_addition_is_a_stated_wait_and_goes_on_after_the_run(plane: Plane) -> None:
    plane.look()
    assert plane.cloud.writes == []
    assert plane.condition() == ("False", "Waiting")
    (waiting,) = [text for text in plane.table.records["sales"].status["waiting"] if text.startswith("iceberg_table orders")]
    assert "r1" in waiting
    assert plane.due_in() == timedelta(minutes=5)
    plane.runs.runs.clear()
    plane.look()
    assert plane.cloud.writes == ["update orders"]
    assert plane.condition() == ("True", "Applied")


@pytest.mark.parametrize("run", [a_run("WAITING"), a_run(project="customers")], ids=["waits itself", "of another project"])
def test_a_run_that_writes_nothing_of_ours_is_not_waited_for(plane: Plane, run: Run) -> None:
    plane.runs.runs = [run]
    plane.look()
    assert plane.cloud.writes == ["update orders"]


def test_nothing_but_tables_waits(plane: Plane) -> None:
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
    plane.look()
    assert plane.cloud.writes == ["update role", "create refunds", "create load_refunds"]


def test_runs_are_asked_for_only_where_a_table_would_change() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    asked: list[str] = []
    plane.runs.open = lambda project, jobs=(): asked.append(project) or []  # type: ignore[method-assign,func-returns-value]
    plane.look()
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
    plane.look()
    assert asked == [], "a no-op and a new table cost no call more"


def test_a_plan_that_needs_approval_is_held_before_it_waits(plane: Plane) -> None:
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long, note: string }"}))
    plane.look()
    assert plane.condition() == ("False", "Held")
    plan = plane.table.records["sales"].status["plan"]
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long, note: string }"}, policy=APPROVED % plan))
    plane.look()
    assert plane.condition() == ("False", "Waiting")
    plane.runs.runs.clear()
    plane.look()
    assert "update orders" in plane.cloud.writes


def test_the_wait_is_noted_so_that_the_end_of_a_run_asks_for_a_look(plane: Plane) -> None:
    plane.look()
    assert plane.table.records["sales"].awaits_runs
    assert plane.queue.sent == []
    plane.runs.runs.clear()
    plane.look()
    assert not plane.table.records["sales"].awaits_runs


def test_a_run_that_ends_before_the_wait_is_noted_is_not_missed(plane: Plane) -> None:
    """record_run read the state item before the wait stood there."""
    finish = plane.table.finish

    def ended_just_before(begun: Begun, record: Record) -> bool:
        plane.runs.runs.clear()
        return finish(begun, record)

    plane.table.finish = ended_just_before  # type: ignore[method-assign]
    plane.look()
    assert plane.queue.sent == ["sales"]


class TestAJobThatIsNoLongerDeclared:
    """An open run still calls it by its name."""

    @staticmethod
    def taken_out() -> Plane:
        plane = Plane()
        plane.bucket.put("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}))
        plane.look()
        plane.runs.runs = [a_run()]
        plane.bucket.put("sales", manifest())
        return plane

    def test_it_stays_until_the_run_has_ended(self) -> None:
        plane = self.taken_out()
        plane.look()
        assert plane.cloud.writes == ["update role"], "neither the job nor its table"
        assert plane.condition() == ("False", "Waiting")
        assert plane.table.records["sales"].awaits_runs
        plane.runs.runs.clear()
        plane.look()
        assert plane.cloud.writes == ["delete load_refunds", "update refunds"]
        assert plane.condition() == ("True", "Applied")

    def test_it_stays_where_runs_cannot_be_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plane = self.taken_out()
        monkeypatch.setattr(plane.runs, "open", lambda project, jobs=(): (_ for _ in ()).throw(Denied("dynamodb:Query")))
        plane.look()
        assert plane.cloud.writes == ["update role"]
        assert plane.condition() == ("False", "Denied")

"""Whom the sweep queues, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshplane.errors import Denied
from meshplane.flows.sweep_projects import reason
from meshplane.model.windows import iso
from meshplane.ports import Due, Look
from tests.unit.flows.fakes import Plane, manifest

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SOON, PAST = iso(NOW + timedelta(minutes=1)), iso(NOW - timedelta(minutes=1))
SALES = Look("sales", "v1", False, "e1")
ROWS = [
    (SALES, Due("sales", observed="v1", due_at=SOON), "", "nothing changed, nothing due"),
    (SALES, None, "no state", "the event was lost, or the state"),
    (SALES, Due("sales", due_at=SOON), "no state", "its first look never ended"),
    (SALES, Due("sales", observed="v1", due_at=PAST), "due", "a retry, or the hour"),
    (SALES, Due("sales", observed="v1"), "due", "no time set"),
    (SALES, Due("sales", observed="v0", due_at=SOON), "changed", "the event was lost"),
    (Look("sales", "v2", True), Due("sales", observed="v1", due_at=SOON), "changed", "the delete event was lost"),
    (SALES, Due("sales", observed="v1", due_at=SOON, dirty=True), "asked for meanwhile", "the re-queue was lost"),
    (SALES, Due("sales", observed="v0", due_at=PAST, lease_until=SOON), "", "its holder is at work"),
    (SALES, Due("sales", observed="v1", due_at=SOON, lease_until=PAST), "unfinished", "its holder died"),
    (SALES, Due("sales", observed="v1", due_at=SOON, loose="e0"), "a file beside the manifest changed", "put by hand"),
    (SALES, Due("sales", observed="v1", due_at=SOON, loose="e1"), "", "put by hand, as it was"),
    (None, Due("sales", observed="v1", due_at=SOON), "", "state without a manifest changes nothing"),
]


@pytest.mark.parametrize(("look", "due", "why", "sentence"), ROWS, ids=[row[-1] for row in ROWS])
def test_the_ladder(look: Look | None, due: Due | None, why: str, sentence: str) -> None:
    assert reason(look, due, NOW) == why, sentence


def test_with_no_event_at_all_two_sweeps_bring_every_project_there() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.bucket.put("broken", "nonsense")
    assert plane.sweep().queued == {"sales": "no state", "broken": "no state"}
    for project in ("broken", "sales"):
        plane.look(project)
    assert plane.sweep().queued == {}
    assert plane.condition() == ("True", "Applied"), "a broken project blocks no other"
    plane.bucket.drop("sales")
    assert plane.sweep().queued == {"sales": "changed"}


def test_every_project_is_looked_at_hourly() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    plane.clock.at += timedelta(minutes=59)
    assert plane.sweep().queued == {}
    plane.clock.at += timedelta(minutes=1)
    assert plane.sweep().queued == {"sales": "due"}


def test_an_unreadable_bucket_queues_nothing_and_is_loud() -> None:
    plane = Plane()
    plane.bucket.fault = Denied("s3:ListObjectVersions")
    with pytest.raises(Denied):
        plane.sweep()
    assert plane.queue.sent == []


def test_state_without_a_manifest_is_named() -> None:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    plane.bucket.newest_of.clear()
    assert plane.sweep().orphans == ("sales",)

"""The whole table after merges, against plain Python: deletions hard, soft and close, versions, late rows, ties, reruns, windows in any
order. docs/transforms.md states what these hold."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.errors import DataError, SchemaMismatchError, TableRefusedError
from dp_foundation.io.writers import merge_iceberg
from tests.jobs.job_world import World
from tests.jobs.transform_model import Event, Newest, Row, Versions, history, told_at_once

pytestmark = pytest.mark.spark
PLAIN = "id bigint!, v string, at timestamp"
SOFT = f"{PLAIN}, is_deleted boolean"
VERSIONS = ", valid_from timestamp!, valid_to timestamp, is_current boolean!"
FORMS: dict[str, tuple[str, Callable[[], Newest | Versions], str]] = {
    "hard": (PLAIN, lambda: Newest(soft=False), ""),
    "soft": (SOFT, lambda: Newest(soft=True), ""),
    "close": (PLAIN + VERSIONS, lambda: Versions(soft=False), "rewrite"),
    "close, late ignored": (PLAIN + VERSIONS, lambda: Versions(soft=False, ignore=True), "ignore"),
    "versions of deletions": (SOFT + VERSIONS, lambda: Versions(soft=True), "rewrite"),
}


def _day(at: int | None) -> datetime | None:
    return None if at is None else datetime(2026, 1, at, tzinfo=UTC)


class Table:
    """One table of a form, and its model beside it."""

    def __init__(self, world: World, spark: Any, form: str) -> None:
        self.columns, model, self.late = FORMS[form]
        self.world, self.spark, self.model = world, spark, model()
        self.soft = "is_deleted" in self.columns
        self.name = world.iceberg("t", self.columns, key=["id"])
        world.start({"writes": [{"table": "t", "mode": "merge"}]}, run_id="")

    def merge(self, batch: Sequence[Event]) -> None:
        flag = "is_deleted" if self.soft else "gone"
        rows = [(e.key, e.value, _day(e.at), e.deleted) for e in batch]
        frame = self.spark.createDataFrame(rows, f"id bigint, v string, at timestamp, {flag} boolean")
        merge_iceberg(frame, "t", latest_by="at", deleted="" if self.soft else "gone", late=self.late)

    def both(self, batch: Sequence[Event]) -> None:
        self.model.merge(batch)
        self.merge(batch)
        assert self.rows() == self.model.table()

    def rows(self) -> list[Row]:
        found = self.world.rows(self.name)
        return sorted((tuple(v.day if isinstance(v, datetime) else v for v in row) for row in found), key=repr)


@pytest.mark.parametrize("form", FORMS)
def test_windows_in_any_order_and_again(world: World, spark: Any, form: str) -> None:
    table, windows = Table(world, spark, form), history(seed=1)
    random.Random(1).shuffle(windows)
    for window in windows:
        table.both(window)
    table.both(windows[-1])  # the same window again
    if form == "versions of deletions":
        assert table.rows() == told_at_once([event for window in windows for event in window])
    if form == "soft":
        ends = {e.key: e for e in sorted((e for w in windows for e in w), key=lambda e: e.at or 0)}
        assert table.rows() == sorted(((e.key, e.value, e.at, e.deleted) for e in ends.values()), key=repr)


@pytest.mark.parametrize("form", FORMS)
def test_late_tied_deleted_and_back_again(world: World, spark: Any, form: str) -> None:
    table = Table(world, spark, form)
    table.both([Event(1, 5, "a"), Event(2, 5, "a"), Event(3, 5, "a"), Event(4, 5, "a"), Event(4, 7, "two changes in one batch")])
    table.both([Event(1, 3, "late"), Event(2, 5, "tied: the newer arrival counts"), Event(3, 9, "", deleted=True)])
    table.both([Event(3, 12, "back again"), Event(4, 7, "", deleted=True), Event(9, 4, "", deleted=True)])
    table.both([Event(3, 10, "late, while it was deleted"), Event(9, 6, "new after its deletion")])
    if table.late:
        known: dict[int, list[tuple[object, ...]]] = {1: [(5, None)], 2: [(5, None)], 9: [(6, None)]}
        if table.late == "rewrite":
            known[1] = [(3, 5), (5, None)]
        if table.soft:
            known[9] = [(4, 6), (6, None)]
        lines = {key: sorted(row[-3:-1] for row in table.rows() if row[0] == key) for key in known}
        assert lines == known
    else:
        values = {row[0]: row[1] for row in table.rows()}
        assert [values[1], values[2], values[3], values[9]] == [
            "a",
            "tied: the newer arrival counts",
            "back again",
            "new after its deletion",
        ]


@pytest.mark.parametrize("form", ["hard", "close"])
def test_a_key_that_is_null_or_ambiguous_changes_nothing(world: World, spark: Any, form: str) -> None:
    table = Table(world, spark, form)
    table.both([Event(1, 5, "a")])
    with pytest.raises(DataError, match=r"null in the key \(id"):
        table.merge([Event(None, 6, "x"), Event(1, 6, "b")])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="different rows with the same key"):
        table.merge([Event(1, 6, "b"), Event(1, 6, "b", deleted=True)])
    assert table.rows() == table.model.table()
    table.both([Event(1, 6, "b"), Event(1, 6, "b")])  # one event told twice


def test_without_a_time_a_row_is_the_oldest_and_no_version(world: World, spark: Any) -> None:
    table = Table(world, spark, "hard")
    table.both([Event(1, None, "a"), Event(2, 5, "a")])
    table.both([Event(1, None, "b"), Event(2, None, "older than day 5"), Event(2, None, "", deleted=True)][:2])
    versions = Table(World(world.patch), spark, "close")
    with pytest.raises(DataError, match=r"null in the key \(id, valid_from\)"):
        versions.merge([Event(1, None, "a")])


def test_versions_begin_at_one_time_that_the_frame_has(world: World, spark: Any) -> None:
    Table(world, spark, "close")
    frame = spark.sql("select 1L id, timestamp'2026-01-01' at")
    with pytest.raises(TableRefusedError, match=r"versions in .* begin at one time; found latest_by: none"):
        merge_iceberg(frame, "t", late="rewrite")
    with pytest.raises(TableRefusedError, match="late 'often'; allowed: rewrite, ignore"):
        merge_iceberg(frame, "t", latest_by="at", late="often")
    with pytest.raises(SchemaMismatchError, match="no gone in the frame, which has id, at"):
        merge_iceberg(frame, "t", latest_by="at", deleted="gone", late="rewrite")


RAW = "id string, v string, at string, status string"


def _job(world: World, columns: str, files: Sequence[str], **given: Any) -> str:
    prefix, table = world.raw("t_raw", RAW), world.iceberg("t", columns, key=["id"])
    job = {"reads": [{"table": "t_raw"}], "writes": [{"table": "t", "mode": "merge"}], "use": "merge"}
    for at, text in enumerate(files):
        world.put(f"{prefix}{at}.csv", f"id,v,at,status\n{text}")
        world.start({**job, "with": {"map": {}, "latestBy": ["at"], **given}}, f"r{at}")
        merge.run()
    return table


FILES = (
    "1,a,2026-01-05,new\n2,a,2026-01-05,new\n",
    "1,,2026-01-06,deleted\n3,a,2026-01-06,\n",
    "1,b,2026-01-08,new\n2,late,2026-01-03,new\n",
)


def test_the_built_in_deletes_what_its_condition_says(world: World, spark: Any) -> None:
    deletes = {"when": "status = 'deleted'", "as": "hard"}
    table = _job(world, "id bigint!, v string!, at timestamp", FILES[:2], deletes=deletes)
    assert [row[:2] for row in world.rows(table)] == [(2, "a"), (3, "a")]  # a null status is no deletion, and one needs no `v`
    assert world.outbox("r1")["outputs"][0]["rows_total"] == 2


def test_the_built_in_marks_what_is_deleted(world: World, spark: Any) -> None:
    table = _job(world, SOFT, FILES, deletes={"when": "status = 'deleted'", "as": "soft"})
    assert [(row[0], row[1], row[3]) for row in world.rows(table)] == [(1, "b", False), (2, "a", False), (3, "a", False)]


def test_the_built_in_keeps_versions(world: World, spark: Any) -> None:
    given = {"deletes": {"when": "status = 'deleted'", "as": "close"}, "mode": "scd2", "late": "rewrite"}
    table = _job(world, PLAIN + VERSIONS, FILES, **given)
    told = [(row[0], row[1], row[3].day, row[4].day if row[4] else None, row[5]) for row in world.rows(table)]
    assert told == [
        (1, "a", 5, 6, False),
        (1, "b", 8, None, True),
        (2, "a", 5, None, True),
        (2, "late", 3, 5, False),
        (3, "a", 6, None, True),
    ]
    before = world.rows(table)
    world.start(
        {"reads": [{"table": "t_raw"}], "writes": [{"table": "t", "mode": "merge"}], "with": {"latestBy": ["at"], **given}}, "r2", 1
    )
    merge.run()  # a retry of the last run
    assert world.rows(table) == before

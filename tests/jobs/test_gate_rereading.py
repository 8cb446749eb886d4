"""A batch that may be read again: looked at in its files, never kept, and judged by what was counted before it was written."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.contracts.quarantine import COLUMNS
from dp_foundation.errors import DataError
from dp_foundation.io import keys, rereading
from dp_foundation.io.rereading import replayable
from dp_foundation.quality.rules import ROW
from dp_foundation.quality.rules import gate as read_gate
from dp_foundation.quality.tally import tally, tell
from dp_foundation.run.current import Current, begin
from meshplane.model.rules import Contract, Gate, Rule, implied
from tests.jobs.job_world import World, bucket

pytestmark = pytest.mark.spark
JOB = {"reads": [{"table": "raw"}], "writes": [{"table": "orders", "mode": "merge"}], "use": "merge", "with": {}}
FIELDS = "id bigint, amount double, currency string, note string, at timestamp"
RULES = (
    Rule("known", "in_set", ("currency",), {"values": ["EUR", "USD"]}),
    Rule("sane", "range", ("amount",), {"min": 0, "max": 100}, severity="warn"),
    Rule("noted", "not_null", ("note",), threshold_percent="60", filter="currency = 'EUR'"),
    Rule("short", "length", ("note",), {"max": 3}, severity="observe"),
    Rule("late", "freshness", ("at",), {"within": 864000000}),
)


@pytest.mark.parametrize(
    ("query", "key", "rows"),
    [
        ("select id - 50 id from range(100)", "id", 100),  # below zero too, where a bitmap's buckets begin anew
        ("select cast(id * 32768 as int) id from range(3) union all select 32767", "id", 4),
        ("select id from range(10) union all select 3", "id", 0),
        ("select id from range(10) union all select null", "id", 0),
        ("select id * 1000003 id from range(100)", "id", 100),
        ("select id * 1000003 id from range(100) union all select 1000003", "id", 0),
        ("select (9223372036854775807 - id) id from range(10) union all select -9223372036854775808", "id", 11),
        ("select string(id) id from range(10)", "id", 10),
        ("select string(id % 9) id from range(10)", "id", 0),
        ("select id % 5 a, string(id div 5) b from range(10)", "a b", 10),
        ("select id % 5 a, if(id < 9, string(id div 5), null) b from range(10)", "a b", 0),
        ("select id % 5 a, date'2026-01-01' b from range(10)", "a b", 0),
        ("select cast(id as decimal(12,2)) id from range(10)", "id", 10),
        ("select double(id) id from range(10)", "id", 0),  # minus zero is zero, and has other bits
        ("select array(id) id from range(10)", "id", 0),
        ("select id from range(0)", "id", 0),
    ],
)
def test_a_key_that_comes_once_is_told_exactly(spark: Any, query: str, key: str, rows: int) -> None:
    from pyspark.sql import functions as F

    frame, names = spark.sql(query), key.split()
    assert keys.once(frame, names) == rows
    seen = keys.asked(frame, names, F.lit(True))
    if seen:  # somebody looked already
        low, high, filled = frame.agg(*seen).first()
        tell(frame, None, None, keys.Span(names[0].upper(), low, high, frame.count(), filled))
        assert keys.once(frame, names, frame) == rows


def test_what_may_be_read_again(spark: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark import StorageLevel

    out = world.iceberg("out", "id bigint, v string")
    place = f"s3://f01-raw-390403879405-de-dev/{world.project}/seen"
    spark.sql("select id, 'a' v from range(3)").write.parquet(f"{place}/p")
    spark.sql("select 'a' v").write.csv(f"{place}/c")
    spark.sql("select 1 id, 'a' v").write.parquet(f"{place}/other")
    spark.sql(f"insert into {out} values (1, 'a')")
    files, newest = spark.read.parquet(f"{place}/p"), spark.table(out)
    taken = {f"{place.removeprefix('s3://')}/p"}
    monkeypatch.setattr(rereading, "_taken_again", lambda files: files <= taken)
    snapshot = world.catalog.load_table(out.removeprefix("glue_catalog.")).metadata.snapshots[-1].snapshot_id
    table = spark.read.option("snapshot-id", snapshot).table(out)
    narrow = files.selectExpr("id + 1 id", "try_cast(v as date) d", "_metadata.file_path f").where("id > 1")
    kept = spark.sql("select rand() r").persist()
    forgetful = spark.sql("select rand() s").persist(StorageLevel.MEMORY_ONLY)
    for frame in (files, narrow, files.union(table), table, table.where("id = 1"), kept.where("r > 0")):
        assert replayable(frame), frame._jdf.queryExecution().toString()
    for frame in (
        newest,
        forgetful,
        spark.read.csv(f"{place}/c"),
        spark.read.parquet(f"{place}/other"),  # the run did not take it: nobody would notice that it changes
        files.join(table, "id"),
        files.groupBy("id").count(),
        files.limit(2),
        files.selectExpr("rand() r"),
        files.selectExpr("current_timestamp() t"),
        files.selectExpr("(select max(id) from range(3)) m"),
    ):
        assert not replayable(frame), frame._jdf.queryExecution().toString()
    kept.unpersist()
    forgetful.unpersist()


class Orders:
    """A raw table of parquet files, a refined one with a contract, its quarantine."""

    def __init__(self, world: World, spark: Any) -> None:
        self.world, self.spark, self.runs = world, spark, 0
        self.prefix = world.raw("raw", FIELDS, form="parquet")
        self.table = world.iceberg("orders", FIELDS.replace("id bigint", "id bigint!"), key=["id"])
        made = implied(["id", "amount", "currency", "note", "at"], ["id"]) + RULES
        world.tables["orders"]["gate"] = Gate("orders", made, Contract()).to_json()
        place = f"glue_catalog.f01_de_refined.{world.project}_orders_quarantine"
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        spark.sql(f"CREATE TABLE {place} ({columns}) USING iceberg")
        self.quarantine = place

    def arrive(self, rows: str) -> None:
        """Rows of a query come in as one more file."""
        self.runs += 1
        made = self.spark.sql(
            f"SELECT cast(id AS bigint) id, cast(amount AS double) amount, currency, note, timestamp'2026-01-01' at FROM ({rows})"
        )
        made.coalesce(1).write.parquet(f"s3://f01-raw-390403879405-de-dev/{self.prefix}{self.runs}")

    def run(self, again: str = "") -> dict[str, Any]:
        """A run that is to be published: its verdict."""
        run_id = f"r{self.runs}{again}"
        self.world.start(JOB, run_id)
        self.world.patch.setattr(sys, "argv", [*sys.argv[:-1], "0_0", "--meshplane-gate", "audit"])
        merge.run()
        self.current.finish()
        [verdict] = self.world.outbox(run_id)["verdicts"]
        return dict(verdict)

    @property
    def current(self) -> Current:
        current = begin()
        assert current is not None
        return current


@pytest.fixture
def orders(world: World, spark: Any) -> Orders:
    return Orders(world, spark)


def test_a_batch_is_written_from_its_files_and_judged_by_what_was_counted(
    orders: Orders, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql import DataFrame

    good = "SELECT id, if(id = 7, double('NaN'), id * 2) amount, 'EUR' currency, if(id > 40, 'long', 'n') note FROM range(60)"
    bad = "SELECT 100 id, 1 amount, 'XXX' currency, null note UNION ALL SELECT null, 1, 'EUR', null"
    orders.arrive(f"{good} UNION ALL {bad} UNION ALL SELECT 101, 5, 'EUR', null")
    monkeypatch.setattr(DataFrame, "persist", lambda frame: pytest.fail("the batch was kept"))
    left = []
    once = keys.once
    monkeypatch.setattr(keys, "once", lambda frame, key, given: left.append(given.__dict__["_meshplane_span"]) or once(frame, key, given))
    verdict = orders.run()
    told = {r["rule"]: (r["violations"], r["rows"]) for r in verdict["results"]}
    # Landing kept two rows out: of those, the one that broke a rule of the gate counts against it.
    assert {name: told[name] for name in ("known", "sane", "noted", "short")} == {
        "known": (1, 62),
        "sane": (10, 61),
        "noted": (1, 61),
        "short": (19, 61),
    }
    assert (verdict["rows"], verdict["quarantined"]) == (61, 2)
    assert left == [keys.Span("id", 0, 101, 61, 61)], "of the rows that land, and from the pass that counted them"
    branch = spark.table(f"{orders.table}.branch_{verdict['branch']}")
    recounted = tally(branch, read_gate(orders.world.tables["orders"]["gate"]))
    turned_away = {"known": 1}
    assert (recounted.rows, branch.where("currency = 'XXX'").count()) == (61, 0)
    for result in verdict["results"]:
        if result["kind"] in ROW:
            away = turned_away.get(result["rule"], 0)
            assert (result["violations"] - away, result["rows"] - away) == (
                recounted.violations[result["rule"]],
                recounted.looked[result["rule"]],
            ), result
    spark.catalog.refreshTable(orders.quarantine)
    assert spark.table(orders.quarantine).count() == 2
    [unique] = [r for r in verdict["results"] if r["kind"] == "unique"]
    assert unique["detail"].startswith("proven")


def test_a_key_that_comes_twice_is_treated_as_ever(orders: Orders) -> None:
    orders.arrive("SELECT id % 5 id, 1 amount, 'EUR' currency, 'n' note FROM range(8)")
    verdict = orders.run()
    assert (verdict["rows"], verdict["passed"]) == (5, True)  # equal rows are one row
    orders.arrive("SELECT id % 5 id, id amount, 'EUR' currency, 'n' note FROM range(8)")
    with pytest.raises(DataError, match="different rows with the same key"):
        orders.run()


def test_a_batch_that_changes_while_it_is_read_fails_the_run(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    once = keys.once
    monkeypatch.setattr(keys, "once", lambda *given: once(*given) + 1)
    orders.arrive("SELECT id, 1 amount, 'EUR' currency, 'n' note FROM range(8)")
    with pytest.raises(DataError, match="9 rows were looked at and 8 written"):
        orders.run()
    assert orders.world.rows(orders.table) == []


@pytest.mark.parametrize("read_again", [True, False])
def test_a_file_that_is_overwritten_meanwhile_is_noticed(orders: Orders, monkeypatch: pytest.MonkeyPatch, read_again: bool) -> None:
    """Where it is read again. A batch that was kept is the one that was looked at: the new version is for the next run."""
    orders.arrive("SELECT id, 1 amount, 'EUR' currency, 'n' note FROM range(8)")
    once = keys.once

    def overwritten(*given: Any) -> int:
        """The batch was looked at; before it is merged, the same rows arrive again under the same name."""
        monkeypatch.setattr(keys, "once", once)
        found = once(*given)
        [file] = orders.current.files["raw"]
        orders.world.put(file.key, orders.world.s3.get_object(Bucket=bucket("raw"), Key=file.key)["Body"].read())
        return found

    monkeypatch.setattr(keys, "once", overwritten)
    if not read_again:
        monkeypatch.setattr(rereading, "_taken_again", lambda files: not files)  # what is kept is read from memory
        assert orders.run()["rows"] == 8
        assert keys.once is once, "the file was not overwritten"
        return
    with pytest.raises(DataError, match="changed while the run read it; nothing is published"):
        orders.run()
    orders.current.finish("DataError")
    assert orders.world.rows(orders.table) == []
    assert orders.run("again")["rows"] == 8

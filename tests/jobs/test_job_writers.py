"""`write_iceberg`: alignment at the moment of the write, modes, once per run, and a table that changes meanwhile."""

from __future__ import annotations

import logging
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyiceberg.transforms import DayTransform

from dp_foundation.errors import DataError, SchemaMismatchError, TableRefusedError
from dp_foundation.iceberg import catalog, maintenance
from dp_foundation.io import align, commits, writers
from dp_foundation.io.writers import merge_iceberg, write_iceberg
from dp_foundation.run.current import at_exit, begin
from tests.jobs.job_world import World, bucket
from tests.jobs.plane import adding, evolve

pytestmark = pytest.mark.spark


def _writes(world: World, mode: str = "append", *names: str, **run: Any) -> None:
    world.start({"writes": [{"table": name, "mode": mode} for name in names or ("out",)]}, **run)


def test_a_frame_is_fitted_to_its_table(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, amount decimal(12,2), note string, s struct<a:int,b:string>, l array<int>")
    _writes(world)
    frame = spark.sql("select array(1, 2) l, named_struct('B', 'x', 'a', 1) S, cast(3 as decimal(20,2)) AMOUNT, 7 id")
    write_iceberg(df=frame, table="out", mode="append")
    write_iceberg(df=spark.sql("select 8 id, cast(null as struct<a:int>) s"), table="out")
    assert world.rows(out) == [(7, Decimal("3.00"), None, {"a": 1, "b": "x"}, [1, 2]), (8, None, None, None, None)]
    assert [s["meshplane.write"] for s in world.summaries(out)] == ["1", "2"]


@pytest.mark.parametrize(
    ("select", "error", "told"),
    [
        ("select 1 id, 2 more", SchemaMismatchError, "more: the table has no such column"),
        ("select 'x' note", SchemaMismatchError, "id: the table requires it"),
        ("select 1 id, 1.5D amount", SchemaMismatchError, "amount: double does not go into decimal"),
        ("select cast(null as int) id", DataError, "id: null in a required column"),
        ("select 1 id, cast(12345678901 as decimal(20,2)) amount", DataError, r"amount: a value does not fit decimal\(12,2\)"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(world: World, spark: Any, select: str, error: type[Exception], told: str) -> None:
    out = world.iceberg("out", "id bigint!, amount decimal(12,2), note string")
    _writes(world)
    with pytest.raises(error, match=told):
        write_iceberg(df=spark.sql(select), table="out", mode="append")
    assert world.rows(out) == []


@pytest.mark.parametrize("mode", ["append", "merge", "overwrite"])
def test_the_plane_evolves_the_table_while_the_job_runs(world: World, spark: Any, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = world.iceberg("out", "id bigint!, n int", key=["id"])
    _writes(world, mode)
    frame = spark.sql("select 1L id, 5 n")
    write_iceberg(df=frame, table="out", mode=mode)
    _writes(world, mode, run_id="r2")
    frame = spark.sql("select 2L id, 6 n")
    spark.table(out).count()  # the session knows the table as it was

    evolve(out, adding("added", n="long"))  # while the job computes
    looked = align.columns
    names = iter(("late", "later"))

    def evolve_after_the_look(*args: Any) -> Any:
        for name in names:  # and again, between the writer's look and its write
            evolve(out, adding(name, "int"))
            spark.catalog.refreshTable(out)  # as when Iceberg's cache of the session has run out
            break
        return looked(*args)

    monkeypatch.setattr(align, "columns", evolve_after_the_look)
    write_iceberg(df=frame, table="out", mode=mode)
    both = [(1, 5, None, None, None), (2, 6, None, None, None)]
    assert world.rows(out) == (both[1:] if mode == "overwrite" else both)
    assert [s["run_id"] for s in world.summaries(out)] == ["r1", "r2"]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_commit_whose_answer_was_lost_is_found_and_not_repeated(
    world: World, spark: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = world.iceberg("out", "id bigint!", key=["id"])
    _writes(world, mode)
    plain = commits._with_summary

    def lose_the_answer(*args: Any) -> None:
        plain(*args)
        raise ConnectionError("the connection broke")

    monkeypatch.setattr(commits, "_with_summary", lose_the_answer)
    write_iceberg(df=spark.sql("select 1L id"), table="out", mode=mode)
    assert (world.rows(out), len(world.summaries(out))) == ([(1,)], 1)


def test_a_write_that_fails_is_recorded_and_raised(world: World, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = world.iceberg("out", "id bigint")
    _writes(world)

    def broken(*_: Any) -> None:
        raise ConnectionError("the connection broke")

    monkeypatch.setattr(commits, "_with_summary", broken)
    with pytest.raises(ConnectionError):
        write_iceberg(df=spark.sql("select 1L id"), table="out")
    assert (world.outbox()["state"], world.outbox()["error"]) == ("failed", "ConnectionError: the connection broke")
    assert world.rows(out) == []


def test_every_kind_of_commit_carries_the_run(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, at date", key=["id"], partition="at:identity")
    for run, mode in enumerate(("append", "merge", "overwrite_window", "overwrite"), 1):
        _writes(world, mode, run_id=f"r{run}", attempt=2)
        write_iceberg(df=spark.sql(f"select 1L id, date'2026-01-0{run}' at"), table="out", mode=mode)
        begin().finish()  # type: ignore[union-attr]
        assert world.outbox(f"r{run}")["state"] == "done"
    told = [
        {k: s.get(k) for k in ("run_id", "meshplane.project", "meshplane.job", "meshplane.step", "meshplane.attempt")}
        for s in world.summaries(out)
    ]
    assert told == [
        {"run_id": f"r{n}", "meshplane.project": world.project, "meshplane.job": "load", "meshplane.step": "load", "meshplane.attempt": "2"}
        for n in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("date", "(1L, date'2026-01-01'), (2L, date'2026-01-02')"),
        ("timestamp", "(1L, timestamp'2026-01-01 23:59:59Z'), (2L, timestamp'2026-01-02 12:00:00Z')"),
        ("timestamp_ntz", "(1L, timestamp_ntz'2026-01-01 23:59:59'), (2L, timestamp_ntz'2026-01-02 12:00:00')"),
    ],
)
def test_overwrite_window_replaces_the_windows_rows_and_no_others(world: World, spark: Any, kind: str, rows: str) -> None:
    out = world.iceberg("out", f"id bigint, at {kind}", partition="at:identity" if kind == "date" else "")
    if kind != "date":
        with world.catalog.load_table(out.removeprefix("glue_catalog.")).update_spec() as spec:
            spec.add_field("at", DayTransform())
    _writes(world, "overwrite_window")
    write_iceberg(df=spark.sql(f"select * from values {rows} as t(id, at)"), table="out", mode="append")
    window = {"window_start": "2026-01-02T00:00:00Z", "window_end": "2026-01-03T00:00:00Z"}
    for run in ("r2", "r3"):
        _writes(world, "overwrite_window", run_id=run, **window)
        write_iceberg(df=spark.sql(f"select 3L id, cast('2026-01-02' as {kind}) at"), table="out", mode="overwrite_window")
    assert [row[0] for row in world.rows(out)] == [1, 3]
    _writes(world, "overwrite_window", run_id="r4", **window)
    with pytest.raises(DataError, match="at: a row lies outside the run's window 2026-01-02"):
        write_iceberg(df=spark.sql(f"select 4L id, cast('2026-01-03' as {kind}) at"), table="out", mode="overwrite_window")


def test_without_a_window_the_partitions_that_the_frame_touches_are_replaced(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint, at date", partition="at:identity")
    _writes(world, "overwrite_window")
    for ids in ("(1L, date'2026-01-01'), (2L, date'2026-01-02')", "(3L, date'2026-01-02')"):
        write_iceberg(df=spark.sql(f"select * from values {ids} as t(id, at)"), table="out", mode="overwrite_window")
    assert world.rows(out) == [(1, date(2026, 1, 1)), (3, date(2026, 1, 2))]


def test_a_window_needs_a_time_partition(world: World, spark: Any) -> None:
    world.iceberg("out", "id bigint")
    _writes(world, "overwrite_window", window_start="2026-01-02T00:00:00Z", window_end="2026-01-03T00:00:00Z")
    with pytest.raises(TableRefusedError, match="needs one date or timestamp partition column; partition found: none"):
        write_iceberg(df=spark.sql("select 1L id"), table="out", mode="overwrite_window")


def test_path_of_a_declared_table_is_ignored_with_one_warning(
    world: World, spark: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = world.iceberg("out", "id bigint")
    monkeypatch.setattr(writers, "_warned", set())
    logger = logging.getLogger("dp_foundation.io.writers")
    _writes(world)
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    for _ in range(2):
        write_iceberg(df=spark.sql("select 1L id"), table="out", path="s3://elsewhere/iceberg/out", catalog_db="f01_de_refined")
    logger.removeHandler(handler)
    assert told == [f"{out} is declared in the manifest: path s3://elsewhere/iceberg/out is ignored"]
    assert world.rows(out) == [(1,), (1,)]


def test_only_declared_writes_of_the_own_project(world: World, spark: Any) -> None:
    world.iceberg("out", "id bigint")
    world.iceberg("seen", "id bigint")
    world.raw("landed", "id bigint")
    world.tables["customers.contacts"] = {**world.tables["seen"], "project": "customers", "name": "customers_contacts"}
    _writes(world, "append", "out", "landed")
    frame = spark.sql("select 1L id")
    for name, told in (
        ("seen", r"jobs\.load\.writes does not name seen"),
        ("customers.contacts", "belongs to project customers"),
        ("landed", "holds csv files"),
    ):
        with pytest.raises(TableRefusedError, match=told):
            write_iceberg(df=frame, table=name)
    with pytest.raises(TableRefusedError, match="mode 'upsert'; allowed: append, merge"):
        write_iceberg(df=frame, table="out", mode="upsert")
    with pytest.raises(TableRefusedError, match=r"needs keys; mend: tables\.out\.key"):
        merge_iceberg(frame, "out")


def test_an_undeclared_table_is_made_under_the_given_path(world: World, spark: Any) -> None:
    world.start({})
    name, path = f"{world.project}_extra", f"s3://{bucket('curated')}/{world.project}/iceberg/extra"
    with pytest.raises(TableRefusedError, match="is not in the catalog and not declared"):
        write_iceberg(df=spark.sql("select 1L id"), table=name, catalog_db="f01_de_curated")
    for number in (1, 2):
        write_iceberg(df=spark.sql(f"select {number}L id"), table=name, catalog_db="f01_de_curated", path=path, mode="append")
    table = world.catalog.load_table(f"f01_de_curated.{name}")
    assert (table.location(), world.rows(f"glue_catalog.f01_de_curated.{name}")) == (path, [(1,), (2,)])


def test_ddl_and_maintenance(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint")
    _writes(world)
    with pytest.raises(TableRefusedError, match=r"change tables\.out\.columns"):
        catalog.alter_schema(spark, "out", add={"x": "int"})
    name = f"f01_de_refined.{world.project}_own"
    catalog.create_table(spark, name, "id int, at date", path=f"s3://{bucket('refined')}/{world.project}/own/", partition_by=["months(at)"])
    catalog.alter_schema(spark, name, add={"note": "string"}, widen={"id": "bigint"}, rename={"at": "day"})
    assert spark.table(f"glue_catalog.{name}").dtypes == [("id", "bigint"), ("day", "date"), ("note", "string")]
    for _ in range(6):
        write_iceberg(df=spark.sql("select 1L id"), table="out")
    rows = world.rows(out)
    assert maintenance.compact(spark, "out")["rewritten_data_files_count"] == 6
    assert maintenance.expire_snapshots(spark, "out", days=0, keep=1)["deleted_data_files_count"] == 6
    assert maintenance.remove_orphan_files(spark, "out", dry_run=True) == []
    assert world.rows(out) == rows
    catalog.drop_table(spark, name)
    assert not catalog.table_exists(spark, name)


def test_a_process_that_left_out_a_write_after_consuming_files_is_not_done(world: World, spark: Any) -> None:
    from dp_foundation.io.readers import read_table

    prefix = world.raw("raw", "id bigint")
    world.iceberg("out", "id bigint")
    world.iceberg("second", "id bigint")
    world.put(f"{prefix}a.csv", "id\n1\n")
    world.start({"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "append"}, {"table": "second", "mode": "append"}]})
    write_iceberg(df=read_table(spark, "raw"), table="out")
    current = begin()
    assert current is not None
    at_exit(current)
    assert (world.outbox()["state"], world.outbox()["error"]) == ("failed", "ended without writing second")
    assert world.ledger()["r1"]["state"] == "intent"


def test_times_are_utc(world: World, spark: Any) -> None:
    assert spark.sql("select timestamp'2026-01-01 00:00:00' t").first()["t"] == datetime(2026, 1, 1)  # noqa: DTZ001
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"

"""Raw files as rows: by declared columns, by the ledger, and after a crash."""

from __future__ import annotations

import gzip
from datetime import date, datetime
from typing import Any

import pytest

from dp_foundation import storage
from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io.readers import read_iceberg, read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import begin
from tests.jobs.job_world import World, bucket

pytestmark = pytest.mark.spark


def _rows(frame: Any) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in frame.collect()), key=repr)


def _outside(world: World) -> None:
    world.start({}, run_id="")


def test_csv_reads_by_its_headers_names_in_any_order_and_dialect(world: World, spark: Any) -> None:
    prefix = world.raw(
        "raw",
        "id bigint, name string, born date, seen timestamp",
        partition=["dt"],
        delimiter="|",
        null_text="-",
        encoding="ISO-8859-1",
        date_format="dd.MM.yyyy",
        timestamp_format="dd.MM.yyyy HH:mm",
    )
    world.put(f"{prefix}dt=01/a {{1}} [x]*.csv", 'name|ID|born|seen|extra\n"Jörg|X"|1|02.01.2026|02.01.2026 03:04|?\n'.encode("latin-1"))
    world.put(f"{prefix}dt=02/b.csv", "id|name\n2|-\n")  # older: without two optional columns
    world.put(f"{prefix}c.csv", 'id|name\n3|""\n4|\n')  # beside the partitions
    world.put(f"{prefix}dt=02/empty.csv", "")
    world.put(f"{prefix}_tmp/d.csv", "id|name\n9|x\n")
    _outside(world)
    assert _rows(read_table(spark, "raw")) == [
        (1, "Jörg|X", date(2026, 1, 2), datetime(2026, 1, 2, 3, 4), "01"),  # noqa: DTZ001  Spark gives naive times
        (2, None, None, None, "02"),
        (3, "", None, None, None),
        (4, None, None, None, None),  # nothing between two delimiters is null to Spark, whatever the null text
    ]
    with_file = read_table(spark, "raw", columns=["id"], source_file="file").where("id = 2").first()
    assert with_file["file"].endswith("/dt=02/b.csv")


def test_csv_without_header_json_and_parquet(world: World, spark: Any) -> None:
    plain = world.raw("plain", "id int, v string", header=False)
    world.put(f"{plain}a.csv", "1,x\n")
    lines = world.raw("lines", "id int, v string, s struct<a:int,b:string>", form="json")
    world.put(f"{lines}a.json.gz", gzip.compress(b'{"v": "x", "id": 1, "s": {"a": 5}, "more": true}\n'))
    columnar = world.raw("columnar", "id int, v string", form="parquet", partition=["dt"])
    spark.sql("select 1 id, 'x' v").write.parquet(f"s3://{bucket('raw')}/{columnar}dt=7/")
    _outside(world)
    assert _rows(read_table(spark, "plain")) == [(1, "x")]
    assert _rows(read_table(spark, "lines").select("id", "v", "s.a", "s.b")) == [(1, "x", 5, None)]
    assert _rows(read_table(spark, "columnar")) == [(1, "x", "7")]


def test_a_value_that_does_not_parse_fails_the_job(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id int, v string")
    world.put(f"{prefix}a.csv", "id,v\nseven,x\n")
    _outside(world)
    with pytest.raises(Exception, match=r'raw\.id: {"id":"seven"} does not fit int; mend: declare it as string'):
        read_table(spark, "raw").collect()
    world.put(f"{prefix}a.csv", "id,v\n7,x,y\n")
    with pytest.raises(Exception, match="Malformed records are detected"):
        read_table(spark, "raw").collect()


@pytest.mark.parametrize(("header", "told"), [("v", "lacks the required id"), ("id,v,ID", "header has id twice")])
def test_headers_that_cannot_be(world: World, spark: Any, header: str, told: str) -> None:
    prefix = world.raw("raw", "id int!, v string")
    world.put(f"{prefix}a.csv", f"{header}\n1\n")
    _outside(world)
    with pytest.raises(SchemaMismatchError, match=told):
        read_table(spark, "raw")


def test_a_declared_read_gives_its_columns_only(world: World, spark: Any) -> None:
    world.iceberg("contacts", "id bigint, name string, country string")
    world.start({"reads": [{"table": "contacts", "columns": ["id", "country"]}]})
    assert read_iceberg(spark, catalog_db="f01_de_refined", table=f"{world.project}_contacts").columns == ["id", "country"]


def _job(world: World) -> tuple[str, str, dict[str, Any]]:
    prefix = world.raw("raw", "id bigint, v string")
    out = world.iceberg("out", "id bigint, v string")
    return prefix, out, {"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "append"}]}


def test_each_run_reads_what_is_not_consumed_yet(world: World, spark: Any) -> None:
    prefix, out, job = _job(world)
    for run, (name, text) in enumerate([("a", "1,x"), ("b", "2,y"), ("a", "3,z")], 1):
        world.put(f"{prefix}{name}.csv", f"id,v\n{text}\n")
        world.start(job, f"r{run}")
        write_iceberg(df=read_table(spark, "raw"), table="out", mode="append")
        _finish()
    assert world.rows(out) == [(1, "x"), (2, "y"), (3, "z")]
    world.start(job, "")
    assert _rows(read_table(spark, "raw")) == [(2, "y"), (3, "z")]  # outside of a run: all that is there


def test_files_read_after_the_first_commit_are_in_the_intent_too(world: World, spark: Any) -> None:
    prefix, _, job = _job(world)
    other = world.raw("other", "id bigint, v string")
    world.put(f"{prefix}a.csv", "id,v\n1,x\n")
    world.put(f"{other}b.csv", "id,v\n2,y\n")
    world.start(job, "r1")
    write_iceberg(df=read_table(spark, "raw"), table="out")
    write_iceberg(df=read_table(spark, "other"), table="out")
    assert sorted(world.ledger()["r1"]["objects"]) == ["other", "raw"]


@pytest.mark.parametrize("crash", ["before the commit", "after the commit"])
def test_a_crash_between_commit_and_ledger_neither_loses_nor_repeats_rows(world: World, spark: Any, crash: str) -> None:
    prefix, out, job = _job(world)
    world.put(f"{prefix}a.csv", "id,v\n1,x\n")
    world.start(job, "r1")
    frame = read_table(spark, "raw")
    if crash == "after the commit":
        write_iceberg(df=frame, table="out", mode="append")
    else:
        begin().intend()  # type: ignore[union-attr]
    assert world.ledger()["r1"]["state"] == "intent"
    world.put(f"{prefix}b.csv", "id,v\n2,y\n")
    world.start(job, "r2")  # the process of r1 is gone without a goodbye
    write_iceberg(df=read_table(spark, "raw"), table="out", mode="append")
    _finish()
    assert world.rows(out) == [(1, "x"), (2, "y")]
    assert world.ledger()["r1"]["state"] == ("done" if crash == "after the commit" else "intent")


def test_the_next_attempt_reads_the_same_files_and_finds_its_own_commit(world: World, spark: Any) -> None:
    prefix, out, job = _job(world)
    world.put(f"{prefix}a.csv", "id,v\n1,x\n")
    world.start(job, "r1", attempt=0)
    write_iceberg(df=read_table(spark, "raw"), table="out", mode="append")
    world.put(f"{prefix}b.csv", "id,v\n2,y\n")
    world.start(job, "r1", attempt=1)
    frame = read_table(spark, "raw")
    assert _rows(frame) == [(1, "x")]
    write_iceberg(df=frame, table="out", mode="append")
    _finish()
    assert world.rows(out) == [(1, "x")]
    record = world.outbox("r1")
    assert (record["attempt"], record["outputs"][0]["rows_added"], record["state"]) == (1, 1, "done")


def test_a_reset_makes_files_new_again(world: World, spark: Any) -> None:
    prefix, _, job = _job(world)
    world.put(f"{prefix}a.csv", "id,v\n1,x\n")
    world.start(job, "r1")
    write_iceberg(df=read_table(spark, "raw"), table="out", mode="append")
    _finish()
    reset = {"schema": 1, "state": "reset", "recorded": "9999-01-01T00:00:00.000000Z", "runs": ["r1"]}
    storage.write_json(bucket("refined"), f"{world.project}/_runs/_ledger/load/reset-1.json", reset)
    world.start(job, "r2")
    assert _rows(read_table(spark, "raw")) == [(1, "x")]


def _finish() -> None:
    current = begin()
    assert current is not None
    current.finish()

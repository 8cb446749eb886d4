"""`use: files`: a drop lands once, as files or as rows."""

from __future__ import annotations

from typing import Any

import pytest

from dp_foundation.builtin import files
from dp_foundation.builtin.files import landed_name, partition_of
from dp_foundation.config.arguments import Table
from dp_foundation.errors import ConfigError
from dp_foundation.io.readers import read_table
from dp_foundation.run.ledger import FileVersion
from tests.jobs.job_world import World, bucket

HIVE = Table("raw", "sales", "raw", "db", "sales_raw", "s3://b/sales/raw/", "csv", hive_partition=("dt",))


def test_a_file_keeps_its_place() -> None:
    file = FileVersion("sales/inbox/a.csv.gz", "1", 5, "2026-11-20")
    assert partition_of(file, "sales/inbox/", HIVE) == "dt=2026-11-20/"
    assert partition_of(FileVersion("sales/inbox/dt=7/a.csv", "1"), "sales/inbox/", HIVE) == "dt=7/"
    assert landed_name(file).startswith("a-")
    assert landed_name(file).endswith(".csv.gz")
    assert landed_name(file) != landed_name(FileVersion("sales/inbox/a.csv.gz", "2"))


def _hive(world: World, name: str) -> str:
    prefix = world.raw(name, "id bigint, v string", partition=["dt"])
    location = f"s3://{bucket('raw')}/{prefix}"
    storage = {"Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "v", "Type": "string"}], "Location": location}
    table = {"Name": f"{world.project}_{name}", "StorageDescriptor": storage, "PartitionKeys": [{"Name": "dt", "Type": "string"}]}
    world.glue.create_table(DatabaseName="f01_de_raw", TableInput=table)
    return prefix


def _landed(world: World, prefix: str) -> list[str]:
    found = world.s3.list_objects_v2(Bucket=bucket("raw"), Prefix=prefix).get("Contents", [])
    return [item["Key"][len(prefix) :] for item in found]


def test_files_land_once_in_their_partitions(world: World) -> None:
    prefix = _hive(world, "raw")
    drop = f"{world.project}/inbox/orders/"
    job = {
        "writes": [{"table": "raw", "mode": "append"}],
        "use": "files",
        "with": {"from": "inbox/orders/", "format": "csv", "pattern": "o*.csv"},
    }
    world.put(f"{drop}dt=1/o.csv", "id,v\n1,x\n")
    world.put(f"{drop}dt=2/o.csv", "id,v\n2,y\n")
    world.put(f"{drop}readme.txt", "not taken")
    world.start(job, "r1")
    files.run()
    first = _landed(world, prefix)
    assert [path.partition("/")[0] for path in first] == ["dt=1", "dt=2"]
    values = [p["Values"] for p in world.glue.get_partitions(DatabaseName="f01_de_raw", TableName=f"{world.project}_raw")["Partitions"]]
    assert values == [["1"], ["2"]]
    assert world.outbox("r1")["inputs"][0]["table"] == "inbox/orders/"
    world.start(job, "r2")
    files.run()
    assert (world.outbox("r2")["state"], _landed(world, prefix)) == ("nothing", first)
    versions = world.s3.list_object_versions(Bucket=bucket("raw"), Prefix=prefix)["Versions"]
    world.start(job, "r1", attempt=1)  # a repeated attempt writes nothing again
    files.run()
    assert world.s3.list_object_versions(Bucket=bucket("raw"), Prefix=prefix)["Versions"] == versions


@pytest.mark.spark
def test_rows_land_in_an_iceberg_table(world: World, spark: Any) -> None:
    out = world.iceberg("events", "id bigint, v string", layer="raw")
    job = {"writes": [{"table": "events", "mode": "append"}], "use": "files", "with": {"from": "inbox", "format": "json"}}
    for run, name in enumerate(("a", "b"), 1):
        world.put(f"{world.project}/inbox/{name}.json", f'{{"id": {run}, "v": "{name}"}}\n')
        world.start(job, f"r{run}")
        files.run()
    assert world.rows(out) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "found from ''"),
        ({"from": "x", "format": "xml"}, "allowed: a folder, and csv"),
        ({"from": "x", "format": "json"}, "cannot land in raw"),
        ({"to": 1}, "found to; allowed"),
    ],
)
def test_what_cannot_land_is_refused_and_recorded(world: World, given: dict[str, object], told: str) -> None:
    world.raw("raw", "id bigint")
    world.start({"writes": [{"table": "raw", "mode": "append"}], "use": "files", "with": given})
    with pytest.raises(ConfigError, match=told):
        files.run()
    assert world.outbox()["state"] == "failed"


@pytest.mark.spark
def test_what_landed_is_read_as_any_raw_table(world: World, spark: Any) -> None:
    _hive(world, "raw")
    world.put(f"{world.project}/inbox/dt=1/o.csv", "id,v\n1,x\n")
    world.start({"writes": [{"table": "raw", "mode": "append"}], "use": "files", "with": {"from": "inbox"}})
    files.run()
    world.start({"reads": [{"table": "raw"}]}, "r2")
    assert [tuple(row) for row in read_table(spark, "raw").collect()] == [(1, "x", "1")]

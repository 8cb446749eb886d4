"""Table optimizers really do what Glue's do, when they are due on the clock, and report it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.optimizers import Optimizers
from tests.local.glue_stack import ROLE, Stack, stack

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]

FILES = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sql("create table glue_catalog.db.t (id bigint, v string) using iceberg")
for n in range(6):
    spark.range(n * 10, n * 10 + 10).selectExpr("id", "'x' v").coalesce(1).writeTo("glue_catalog.db.t").append()
"""
COUNT = """
import json
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
one = lambda query: spark.sql(query).first()[0]
print(json.dumps({"rows": one("select count(*) from glue_catalog.db.t"), "files": one("select count(*) from glue_catalog.db.t.files"),
                  "snapshots": one("select count(*) from glue_catalog.db.t.snapshots")}))
"""
TABLE = {"DatabaseName": "db", "TableName": "t"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("state")) as found:
        found.job("files", FILES)
        found.job("count", COUNT)
        assert found.do("files")["JobRunState"] == "SUCCEEDED"
        yield found


@pytest.fixture
def optimizers(aws: Stack) -> Iterator[Optimizers]:
    found = aws.worker.optimizers
    assert found is not None
    yield found
    for kind in ("compaction", "retention", "orphan_file_deletion"):
        try:
            aws.glue.delete_table_optimizer(CatalogId="0", Type=kind, **TABLE)
        except aws.glue.exceptions.EntityNotFoundException:
            continue
    CLOCK.reset()


def create(aws: Stack, kind: str, settings: dict[str, Any], enabled: bool = True) -> None:
    name = {"compaction": "compaction", "retention": "retention", "orphan_file_deletion": "orphanFileDeletion"}[kind]
    configuration = {"roleArn": ROLE, "enabled": enabled, f"{name}Configuration": {"icebergConfiguration": settings}}
    aws.glue.create_table_optimizer(CatalogId="0", Type=kind, TableOptimizerConfiguration=configuration, **TABLE)


def runs(aws: Stack, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.glue.list_table_optimizer_runs(CatalogId="0", Type=kind, **TABLE)["TableOptimizerRuns"]
    return found


def advance(optimizers: Optimizers, by: timedelta) -> int:
    """As the timeline does: from one due moment to the next; how many there were."""
    last, target, moments = CLOCK.now(), CLOCK.now() + by, 0
    while (due := optimizers.next_after(last)) is not None and due <= target:
        CLOCK.move_to(due)
        optimizers.fire(due)
        last, moments = due, moments + 1
        until = time.monotonic() + 90
        while not optimizers.idle:
            assert time.monotonic() < until, "an optimizer does not end"
            time.sleep(0.05)
    CLOCK.move_to(target)
    return moments


def counted(aws: Stack) -> Any:
    return aws.said(aws.do("count")["Id"])


def test_compaction_rewrites_files_and_keeps_the_rows(aws: Stack, optimizers: Optimizers) -> None:
    assert counted(aws) == {"rows": 60, "files": 6, "snapshots": 6}
    create(aws, "compaction", {"strategy": "binpack", "minInputFiles": 5})
    assert runs(aws, "compaction") == []
    assert advance(optimizers, timedelta(hours=3)) >= 2
    (run,) = runs(aws, "compaction")  # looked at each hour, needed once
    assert (run["eventType"], run.get("error")) == ("completed", None)
    assert run["endTimestamp"] >= run["startTimestamp"]
    assert run["compactionMetrics"]["IcebergMetrics"]["NumberOfFilesCompacted"] == 6
    assert run["metrics"]["NumberOfFilesCompacted"] == "6"
    assert counted(aws) == {"rows": 60, "files": 1, "snapshots": 7}
    shown = aws.glue.get_table_optimizer(CatalogId="0", Type="compaction", **TABLE)["TableOptimizer"]
    assert shown["lastRun"]["eventType"] == "completed"


SORTED = """
import json, sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
name = "glue_catalog.db." + sys.argv[sys.argv.index("--table") + 1]
if not spark.catalog.tableExists(name):
    spark.sql(f"create table {name} (a bigint, b bigint) using iceberg")
    spark.sql(f"alter table {name} write ordered by a, b")
    for n in range(4):
        spark.range(4).selectExpr("id a", f"{n} b").coalesce(1).writeTo(name).append()
(files,) = spark.sql(f"select count(*), min(file_path) from {name}.files").collect()
print(json.dumps({"files": files[0], "rows": [(r.a, r.b) for r in spark.read.parquet(files[1]).collect()]}))
"""


@pytest.mark.parametrize("strategy", ["sort", "z-order"])
def test_compaction_orders_the_rows_as_the_strategy_says(aws: Stack, optimizers: Optimizers, strategy: str) -> None:
    name = strategy.replace("-", "")
    aws.job(name, SORTED, {"--table": name})
    assert aws.said(aws.do(name)["Id"])["files"] == 4
    table = {"DatabaseName": "db", "TableName": name}
    configuration = {
        "roleArn": ROLE,
        "enabled": True,
        "compactionConfiguration": {"icebergConfiguration": {"strategy": strategy, "minInputFiles": 2}},
    }
    aws.glue.create_table_optimizer(CatalogId="0", Type="compaction", TableOptimizerConfiguration=configuration, **table)
    advance(optimizers, timedelta(hours=3))
    (run,) = aws.glue.list_table_optimizer_runs(CatalogId="0", Type="compaction", **table)["TableOptimizerRuns"]
    aws.glue.delete_table_optimizer(CatalogId="0", Type="compaction", **table)
    assert (run["eventType"], run.get("error")) == ("completed", None)
    found = aws.said(aws.do(name)["Id"])
    plain = [[a, b] for a in range(4) for b in range(4)]
    curve = sorted(plain, key=lambda row: [row[place] >> bit & 1 for bit in (1, 0) for place in (0, 1)])  # bits interleaved
    assert found == {"files": 1, "rows": plain if strategy == "sort" else curve}


def test_too_few_files_are_left_alone_and_disabled_never_runs(aws: Stack, optimizers: Optimizers) -> None:
    create(aws, "compaction", {"minInputFiles": 100})
    create(aws, "retention", {"snapshotRetentionPeriodInDays": 1, "numberOfSnapshotsToRetain": 1}, enabled=False)
    advance(optimizers, timedelta(days=3))
    assert (runs(aws, "compaction"), runs(aws, "retention")) == ([], [])


def test_orphans_go_and_named_files_stay(aws: Stack, optimizers: Optimizers) -> None:
    location = aws.glue.get_table(DatabaseName="db", Name="t")["Table"]["StorageDescriptor"]["Location"]
    prefix = location.removeprefix("s3://data/")
    aws.s3.put_object(Bucket="data", Key=f"{prefix}/data/orphan.parquet", Body=b"left by a job that died")
    create(aws, "orphan_file_deletion", {"orphanFileRetentionPeriodInDays": 1})
    time.sleep(11)  # younger files may belong to a commit under way
    advance(optimizers, timedelta(days=2))
    newest = runs(aws, "orphan_file_deletion")
    assert [run["eventType"] for run in newest] == ["completed"] * len(newest)
    assert sum(run["orphanFileDeletionMetrics"]["IcebergMetrics"]["NumberOfOrphanFilesDeleted"] for run in newest) == 1
    keys = [row["Key"] for row in aws.s3.list_objects_v2(Bucket="data", Prefix=prefix)["Contents"]]
    assert f"{prefix}/data/orphan.parquet" not in keys
    assert counted(aws)["rows"] == 60


@pytest.mark.parametrize("clean", [False, True])
def test_retention_expires_snapshots(aws: Stack, optimizers: Optimizers, clean: bool) -> None:
    aws.job(f"more{clean}", FILES.replace("create table", "create table if not exists"))
    assert aws.do(f"more{clean}")["JobRunState"] == "SUCCEEDED"
    rows = counted(aws)["rows"]
    create(aws, "retention", {"snapshotRetentionPeriodInDays": 1, "numberOfSnapshotsToRetain": 2, "cleanExpiredFiles": clean})
    advance(optimizers, timedelta(days=2))
    oldest = runs(aws, "retention")[-1]
    assert (oldest["eventType"], oldest.get("error")) == ("completed", None)
    found = counted(aws)
    assert (found["rows"], found["snapshots"]) == (rows, 2)


def test_compaction_suspends_itself_after_four_failures(aws: Stack, optimizers: Optimizers, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshplane_cli.local import optimizers as module

    def broken(*_: Any) -> dict[str, Any]:
        raise module.OptimizerError("no such key")

    sound: Callable[..., dict[str, Any]] = module._metadata
    create(aws, "compaction", {"minInputFiles": 2})
    monkeypatch.setattr(module, "_metadata", broken)
    advance(optimizers, timedelta(hours=8))
    failed = runs(aws, "compaction")
    assert [run["eventType"] for run in failed] == ["failed"] * 4
    assert "suspended" in failed[0]["error"]
    assert "suspended" not in failed[1]["error"]
    monkeypatch.setattr(module, "_metadata", sound)
    advance(optimizers, timedelta(hours=2))
    assert len(runs(aws, "compaction")) == 4, "only an update enables it again"
    configuration = {"roleArn": ROLE, "enabled": True, "compactionConfiguration": {"icebergConfiguration": {"minInputFiles": 2}}}
    aws.glue.update_table_optimizer(CatalogId="0", Type="compaction", TableOptimizerConfiguration=configuration, **TABLE)
    advance(optimizers, timedelta(hours=2))
    assert runs(aws, "compaction")[0]["eventType"] == "completed"


def test_nothing_is_due_without_optimizers(optimizers: Optimizers) -> None:
    assert optimizers.next_after(CLOCK.now()) is None

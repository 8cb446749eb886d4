"""Runs in an optimizer's own process: one of Iceberg's maintenance actions on one table, its counts as JSON in `result.json`.

Called by `optimizers` as `optimize_table.py TASK`, TASK being JSON; imports only pyspark and the standard library.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

CATALOG = "glue_catalog"


def compaction(spark: SparkSession, task: dict[str, Any]) -> dict[str, int]:
    """Rewrite small files, and files with deletes, into files of the table's target size."""
    strategy, order = task["strategy"], ""
    if strategy == "z-order":
        fields = _table(spark, task).sortOrder().fields()
        names = [_table(spark, task).schema().findColumnName(field.sourceId()) for field in fields]
        strategy, order = "sort", f"sort_order => 'zorder({', '.join(names)})', "
    options = {"min-input-files": task["min_input_files"], "delete-file-threshold": task["delete_file_threshold"]}
    pairs = ", ".join(f"'{name}', '{value}'" for name, value in options.items())
    row = spark.sql(
        f"CALL {CATALOG}.system.rewrite_data_files(table => '{task['table']}', strategy => '{strategy}', {order}options => map({pairs}))"
    ).collect()[0]
    return {"files": row["rewritten_data_files_count"], "bytes": row["rewritten_bytes_count"]}


def retention(spark: SparkSession, task: dict[str, Any]) -> dict[str, int]:
    """Expire old snapshots; their files go only where the optimizer cleans them."""
    if task["clean"]:
        moment = f"TIMESTAMP '{datetime.fromtimestamp(task['older_than'] / 1000, UTC):%Y-%m-%d %H:%M:%S.%f}'"
        row = spark.sql(
            f"CALL {CATALOG}.system.expire_snapshots(table => '{task['table']}', older_than => {moment}, retain_last => {task['keep']})"
        ).collect()[0]
        return {
            "data_files": row["deleted_data_files_count"],
            "manifests": row["deleted_manifest_files_count"],
            "manifest_lists": row["deleted_manifest_lists_count"],
        }
    expiry = _table(spark, task).expireSnapshots().cleanExpiredFiles(False).expireOlderThan(task["older_than"])
    expiry.retainLast(task["keep"]).commit()
    return {"data_files": 0, "manifests": 0, "manifest_lists": 0}


def orphan_file_deletion(spark: SparkSession, task: dict[str, Any]) -> dict[str, int]:
    """Remove files that no snapshot names. The action, not the procedure: that one knows only the machine's clock."""
    actions = spark._jvm.org.apache.iceberg.spark.actions.SparkActions.get(spark._jsparkSession)
    action = actions.deleteOrphanFiles(_table(spark, task)).olderThan(task["older_than"])
    if task["location"]:
        action = action.location(task["location"])
    return {"files": sum(1 for _ in action.execute().orphanFileLocations())}


def _table(spark: SparkSession, task: dict[str, Any]) -> Any:
    return spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(spark._jsparkSession, f"{CATALOG}.{task['table']}")


ACTIONS: dict[str, Callable[[SparkSession, dict[str, Any]], dict[str, int]]] = {
    "compaction": compaction,
    "retention": retention,
    "orphan_file_deletion": orphan_file_deletion,
}

if __name__ == "__main__":
    asked: dict[str, Any] = json.loads(sys.argv[1])
    Path("result.json").write_text(json.dumps(ACTIONS[asked["type"]](SparkSession.builder.getOrCreate(), asked)), encoding="ascii")

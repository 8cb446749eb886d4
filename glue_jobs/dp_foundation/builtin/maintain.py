"""`use: maintain`: tends the tables that it writes by Iceberg's procedures, in the place of Glue's optimizers: on a laptop, where one is
switched off, or where its compaction shall sort (`optimizers.compaction.strategy`). No row changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dp_foundation.builtin.declared import job, options, recorded
from dp_foundation.iceberg import maintenance
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark


@recorded()
def run() -> None:
    """The whole job. `with:` has `tasks`, and of each table what its `optimizers` say (`tables`)."""
    given, declared = options("tasks", "tables"), job()
    spark = get_spark(app_name=f"maintain {declared.name}")
    for write in declared.writes:
        how = given["tables"][write.table]
        for task in given["tasks"]:
            get_logger(__name__).info("%s: %s: %s", write.table, task, _TASKS[task](spark, write.table, how))


def _compact(spark: Any, table: str, how: Mapping[str, Any]) -> object:
    order = maintenance.sort_order(how["strategy"], [(each["column"], each["descending"]) for each in how["sort"]])
    return maintenance.compact(spark, table, min_input_files=how["min_input_files"], sort_order=order)


def _expire(spark: Any, table: str, how: Mapping[str, Any]) -> object:
    return maintenance.expire_snapshots(spark, table, days=how["days"], keep=how["keep"])


def _orphans(spark: Any, table: str, how: Mapping[str, Any]) -> object:
    return {"deleted_files_count": len(maintenance.remove_orphan_files(spark, table, days=how["orphan_days"]))}


_TASKS = {"compaction": _compact, "retention": _expire, "orphans": _orphans}

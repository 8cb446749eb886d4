"""The quarantine of a table, `{project}_{table}_quarantine`: an Iceberg table of the plane's, which landing fills and `replay` empties.

A row stands there once, however often its file is read: it is told by its source object and its text.
"""

from __future__ import annotations

from typing import Any

from dp_foundation.config.arguments import Table
from dp_foundation.config.settings import get_config
from dp_foundation.iceberg import metadata
from dp_foundation.io.commits import aside
from dp_foundation.io.tables import Target

COLUMNS = {
    "reasons": "array<struct<entity:string,column:string,rule:string,mode:string>>",
    "rule_fingerprint": "string",
    "contract_version": "string",
    "source_object": "string",
    "source_position": "bigint",
    "run_id": "string",
    "row": "string",
    "replayed_by": "string",
}


def of(table: Table) -> Target | None:
    """The table's quarantine; None where the plane has made none."""
    name = get_config().names.of("quarantine_table", project=table.project, table=table.logical)
    return Target(table.database, name) if metadata.load(table.database, name) is not None else None


def put(rows: Any, place: Target) -> None:
    """Add the rows (columns as above) that do not stand there already, in one commit on `main`: nobody publishes a quarantine."""
    spark = rows.sparkSession
    rows.createOrReplaceTempView("__meshplane_quarantined")
    names = ", ".join(f"`{name}`" for name in COLUMNS)
    values = ", ".join(f"s.`{name}`" for name in COLUMNS)
    same = "q.row = s.row AND q.source_object <=> s.source_object AND q.source_position <=> s.source_position"
    insert = f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"  # noqa: S608  the names are ours
    statement = f"MERGE INTO {place.identifier} q USING __meshplane_quarantined s ON {same} {insert}"
    aside(spark, place, lambda: spark.sql(statement))

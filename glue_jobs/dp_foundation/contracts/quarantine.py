"""The quarantine of a table, `{project}_{table}_quarantine`: an Iceberg table of the plane's, which landing fills and `replay` empties.

A row stands there once, however often its file is read: it is told by its source object, its position there and its text. Who takes rows up
again (`builtin.replay`) claims them first, by run and step (`r1~load`; earlier releases wrote the run alone): a claim counts once the rows
of the step that made it are published, until then the next replay takes them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dp_foundation.config.arguments import Column, Table
from dp_foundation.config.settings import get_config
from dp_foundation.iceberg import metadata
from dp_foundation.io.commits import aside
from dp_foundation.io.tables import Target

ENDING = "_quarantine"
_OF = "~"  # between run and step, as in the names of the ledger's entries
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


def beside(tables: Mapping[str, Table], name: str) -> Table | None:
    """The quarantine that a run's record calls `orders_quarantine`, of one of these tables; None for any other name."""
    table = tables.get(name.removesuffix(ENDING)) if name.endswith(ENDING) else None
    if table is None:
        return None
    columns = tuple(Column(column, kind) for column, kind in COLUMNS.items())
    physical = get_config().names.of("quarantine_table", project=table.project, table=table.logical)
    return replace(table, logical=name, name=physical, columns=columns, key=(), gate=None)


def put(rows: Any, place: Target, again: bool = False) -> None:
    """Add the rows (columns as above) that do not stand there already, in one commit on `main`: nobody publishes a quarantine. `again`:
    they were taken up again and broke the contract once more, so those that stand there wait anew, with the reasons of today."""
    spark = rows.sparkSession
    rows.createOrReplaceTempView("__meshplane_quarantined")
    names = ", ".join(f"`{name}`" for name in COLUMNS)
    values = ", ".join(f"s.`{name}`" for name in COLUMNS)
    same = "q.row = s.row AND q.source_object <=> s.source_object AND q.source_position <=> s.source_position"
    renewed = ", ".join(f"`{name}` = s.`{name}`" for name in ("reasons", "rule_fingerprint", "contract_version", "replayed_by"))
    insert = f"WHEN MATCHED THEN UPDATE SET {renewed} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"  # noqa: S608  names of ours
    fresh = f"SELECT {values} FROM __meshplane_quarantined s LEFT ANTI JOIN {place.identifier} q ON {same}"  # noqa: S608  names of ours
    append = f"INSERT INTO {place.identifier} ({names}) {fresh}"
    merge = f"MERGE INTO {place.identifier} q USING __meshplane_quarantined s ON {same} {insert}"
    aside(spark, place, lambda: spark.sql(merge if again else append))


def claimed_as(run_id: str, step: str) -> str:
    """What `replayed_by` says of rows that this step of this run took up. No run id and no step has the sign between them."""
    return f"{run_id}{_OF}{step}"


def claimant(replayed_by: str) -> tuple[str, str]:
    """The run and the step that claimed a row; no step in a claim of an earlier release."""
    run_id, _, step = replayed_by.partition(_OF)
    return run_id, step


def claim(spark: Any, place: Target, condition: str, claimed: str) -> None:
    """Mark the rows that meet the condition as taken up, `claimed_as`."""
    statement = f"UPDATE {place.identifier} SET replayed_by = '{claimed}' WHERE {condition}"  # noqa: S608  `replay` builds the condition
    aside(spark, place, lambda: spark.sql(statement))

"""`read_table` and `read_iceberg`: rows of a declared or undeclared table.

Inside a run, a raw table reads as the files that this job has not consumed yet (`run.ledger`); outside of one, as all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dp_foundation.config.arguments import Table, invocation
from dp_foundation.iceberg import metadata
from dp_foundation.io import raw, texts
from dp_foundation.io.tables import Target, find
from dp_foundation.run import branches, gates
from dp_foundation.run.current import begin, files_of


def read_iceberg(spark: Any, catalog_db: str = "", table: str = "", columns: Sequence[str] = ()) -> Any:
    """A table's rows as a DataFrame; `table` is its logical or physical name, `catalog_db` a Glue database.

    A declared read that lists `columns` gives exactly those. Raises TableRefusedError for a name that nothing knows.
    """
    return read_table(spark, table, catalog_db=catalog_db, columns=columns)


def read_table(
    spark: Any,
    table: str,
    catalog_db: str = "",
    columns: Sequence[str] = (),
    source_file: str = "",
    malformed: str = "",
    undeclared: bool = False,
) -> Any:
    """As `read_iceberg`; `source_file` names a column to add that says which file (or Iceberg table) a row came from. Of a raw table of
    files, `raw.position(source_file)` stands beside it, and `malformed` is one that holds a line that does not parse, with what tells of
    values that do not fit their types (`io.texts`); without it such lines and values fail the job. `undeclared`: of files also the columns
    that nobody declared (`raw.undeclared`)."""
    target = find(table, catalog_db)
    chosen = tuple(columns) or _declared_columns(target.table)
    files = target.table if target.table is not None and not target.table.is_iceberg else None
    frame = _iceberg(spark, target) if files is None else _files(spark, files, source_file, malformed, undeclared)
    current = begin()
    if current is not None and target.table is not None and target.table.layer == "raw":
        gates.arrived(current, target.table, frame)
    if files is None:
        frame = frame.selectExpr("*", f"'{target.database}.{target.name}' AS `{source_file}`") if source_file else frame
        added: tuple[str, ...] = (source_file,) if source_file else ()
    else:
        added = (*((source_file, raw.position(source_file)) if source_file else ()), *((malformed,) if malformed else ()))
        added = (*added, *(name for name in (texts.TEXTS, texts.UNFIT) if name in frame.columns))
    chosen = (*chosen, *added) if chosen else chosen
    return frame.select(*chosen) if chosen else frame


def _files(spark: Any, table: Table, source_file: str, malformed: str, undeclared: bool) -> Any:
    arrived = files_of(table)
    more = raw.undeclared(spark, table, arrived) if undeclared else ()
    return raw.read(spark, replace(table, columns=(*table.columns, *more)), arrived, source_file, malformed)


def _iceberg(spark: Any, target: Target) -> Any:
    """The table as it stands. The snapshot that the run's record names is the one that the frame reads: Spark loads the table once, and
    where it stands at the same snapshot before and after, that is the one (a snapshot named to Spark would come with its own old schema).
    """
    current, target = begin(), branches.seen(target)
    recorded = current is not None and target.table is not None
    while True:
        before = _tip(target) if recorded else None
        spark.catalog.refreshTable(target.identifier)  # the session may remember how the table was
        frame = spark.table(target.ref)
        if current is None or target.table is None:
            return frame
        if _tip(target) == before:
            current.saw(target.table.logical, before)
            return frame


def _tip(target: Target) -> int | None:
    known = metadata.load(target.database, target.name)
    return known.tip(target.branch) if known else None


def _declared_columns(table: Table | None) -> tuple[str, ...]:
    job = invocation().job
    if table is None or job is None:
        return ()
    return next((read.columns for read in job.reads if read.table == table.logical), ())

"""`write_iceberg` and `merge_iceberg`. Each aligns its frame to the table as it is at the moment of the write (`align`) and commits once
per run (`commits`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dp_foundation.config.arguments import invocation
from dp_foundation.contracts.writing import judged
from dp_foundation.errors import TableRefusedError
from dp_foundation.io import align, undeclared, window
from dp_foundation.io.commits import commit
from dp_foundation.io.history import LATE
from dp_foundation.io.merge import How, merge
from dp_foundation.io.tables import Target, find, writable
from dp_foundation.logging.logger import get_logger
from dp_foundation.run import branches, gates
from dp_foundation.run.current import begin

MODES = ("append", "merge", "overwrite_window", "overwrite")


def write_iceberg(df: Any, table: str, mode: str = "append", path: str = "", catalog_db: str = "") -> None:
    """Write a frame to an Iceberg table in one commit.

    `mode`: `append`; `merge` (by the declared key); `overwrite_window` (replaces the rows of the run's window, or without a window the
    partitions that the frame touches); `overwrite` (replaces all rows). Rows that break a written contract of the table go to its
    quarantine as at landing. `path` is where an undeclared table is created when it is not
    there; for a declared one it is ignored, with a warning. Raises SchemaMismatchError, DataError, TableRefusedError.
    """
    if mode not in MODES:
        raise TableRefusedError(f"mode {mode!r}; allowed: {', '.join(MODES)}")
    target = writable(find(table, catalog_db))
    spark = df.sparkSession
    if target.table is None:
        undeclared.ensure(spark, target, df.schema, path)
    elif path:
        _path_ignored(target, path)
    if mode == "merge":
        merge_iceberg(df, table, catalog_db=catalog_db)
        return
    with judged(df, target) as (rows, _):
        _write(rows, branches.opened(spark, target), mode)


def _write(df: Any, target: Target, mode: str) -> None:
    spark = df.sparkSession
    rows = _window(target) if mode == "overwrite_window" else None

    def write() -> None:
        schema = spark.table(target.ref).schema
        frame = df.select(*align.columns(align.plan(df.schema, schema), df.schema))
        if mode == "append":
            _writer(frame, target).append()
        elif mode == "overwrite":
            from pyspark.sql import functions as F

            _writer(frame, target).overwrite(F.lit(True))
        else:
            _overwrite_window(frame, target, rows)

    snapshot, current = commit(spark, target, write), begin()
    if snapshot is not None and current is not None:
        gates.wrote(current, target, mode, snapshot, rows.condition() if rows else None)


def merge_iceberg(
    df: Any,
    table: str,
    keys: Sequence[str] = (),
    latest_by: Sequence[str] | str = (),
    catalog_db: str = "",
    deleted: str = "",
    late: str = "",
) -> None:
    """Upsert by `keys` (the declared key when none are given): matched rows are updated in the columns that the frame has, others inserted.

    `latest_by`: of several rows of one key the newest wins, in the frame and against the table. `deleted`: a boolean column of the frame
    that is true for rows to delete; it is no column of the table. `late`: `rewrite` or `ignore` makes the table one of versions
    (`valid_from`, `valid_to`, `is_current`, by the one column of `latest_by`) and says what becomes of rows older than the newest version.
    Raises DataError for null keys and for different rows of one key (identical ones are one row), SchemaMismatchError for a frame that
    does not fit.
    """
    target = writable(find(table, catalog_db))
    chosen = tuple(keys) or (target.table.key if target.table else ())
    if not chosen:
        field = f"tables.{target.table.logical}.key" if target.table else "keys="
        raise TableRefusedError(f"merge into {target.identifier} needs keys; mend: {field}")
    if late not in ("", *LATE):
        raise TableRefusedError(f"late {late!r}; allowed: {', '.join(LATE)}")
    latest = (latest_by,) if isinstance(latest_by, str) else tuple(latest_by)
    with judged(df, target, deleted) as (rows, mark):
        merge(rows, branches.opened(df.sparkSession, target), How(chosen, latest, mark, late))


def _writer(frame: Any, target: Target) -> Any:
    # Required columns are guarded by the alignment, which names them; Spark would refuse every frame that it cannot prove free of nulls.
    return frame.writeTo(target.ref).option("check-nullability", "false")


def _window(target: Target) -> window.WindowRows | None:
    run = invocation().run
    return window.of(target, run.window_start, run.window_end) if run is not None and run.window_start else None


def _overwrite_window(frame: Any, target: Target, rows: window.WindowRows | None) -> None:
    if rows is None:
        _writer(frame, target).overwritePartitions()
    else:
        _writer(window.guarded(frame, rows), target).overwrite(rows.condition())


def _path_ignored(target: Target, path: str) -> None:
    if target.identifier not in _warned:
        _warned.add(target.identifier)
        get_logger(__name__).warning("%s is declared in the manifest: path %s is ignored", target.identifier, path)


_warned: set[str] = set()

"""Maintenance from Spark, by Iceberg's procedures: for where Glue's table optimizers do not run, laptops included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dp_foundation.errors import TableRefusedError
from dp_foundation.io.tables import CATALOG, Target, find, writable

_MIN_ORPHAN_AGE = timedelta(hours=24)  # younger files may belong to a commit under way


def compact(spark: Any, table: str, catalog_db: str = "", min_input_files: int = 5, sort_order: str = "") -> dict[str, int]:
    """Rewrite small data files into larger ones, sorted when `sort_order` (Iceberg's text, see below) says how. Returns the procedure's
    counts (`rewritten_data_files_count`, …)."""
    target = writable(find(table, catalog_db))
    options = f"map('min-input-files', '{int(min_input_files)}', 'partial-progress.enabled', 'false')"
    how = f"strategy => 'sort', sort_order => '{sort_order}', " if sort_order else ""
    return _call(spark, "rewrite_data_files", f"table => '{_name(target)}', {how}options => {options}")


def sort_order(strategy: str, columns: Sequence[tuple[str, bool]]) -> str:
    """`binpack` sorts nothing; `sort` and `z-order` go by (column, descending), nulls where Iceberg has them by default."""
    if strategy == "binpack" or not columns:
        return ""
    if strategy == "z-order":
        return f"zorder({', '.join(name for name, _ in columns)})"
    return ", ".join(f"{name} {'DESC NULLS LAST' if descending else 'ASC NULLS FIRST'}" for name, descending in columns)


def expire_snapshots(spark: Any, table: str, catalog_db: str = "", days: int = 7, keep: int = 3) -> dict[str, int]:
    """Forget snapshots older than `days`, keeping at least `keep`, with the files that only they use. Returns the procedure's counts."""
    target = writable(find(table, catalog_db))
    before = _before(timedelta(days=days))
    return _call(spark, "expire_snapshots", f"table => '{_name(target)}', older_than => {before}, retain_last => {int(keep)}")


def remove_orphan_files(spark: Any, table: str, catalog_db: str = "", days: int = 3, dry_run: bool = False) -> list[str]:
    """Delete files under the table's location that no snapshot knows and that are older than `days` (at least one). Returns their paths."""
    if timedelta(days=days) < _MIN_ORPHAN_AGE:
        raise TableRefusedError(
            f"remove_orphan_files: days={days}; allowed: 1 or more, since younger files may belong to a commit under way"
        )
    target = writable(find(table, catalog_db))
    arguments = f"table => '{_name(target)}', older_than => {_before(timedelta(days=days))}, dry_run => {str(dry_run).lower()}"
    return [row[0] for row in spark.sql(f"CALL {CATALOG}.system.remove_orphan_files({arguments})").collect()]


def _call(spark: Any, procedure: str, arguments: str) -> dict[str, int]:
    row = spark.sql(f"CALL {CATALOG}.system.{procedure}({arguments})").first()
    return {} if row is None else {name: int(value) for name, value in row.asDict().items() if isinstance(value, int)}


def _name(target: Target) -> str:
    return f"{target.database}.{target.name}"


def _before(age: timedelta) -> str:
    return f"TIMESTAMP '{(datetime.now(UTC) - age).strftime('%Y-%m-%d %H:%M:%S.%f')} UTC'"

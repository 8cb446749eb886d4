"""DDL of tables that the manifest does not declare. A declared table is shaped by its manifest: for it each call is refused, naming the
manifest's field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dp_foundation.errors import TableRefusedError
from dp_foundation.io.tables import find, refuse_ddl


def table_exists(spark: Any, table: str, catalog_db: str = "") -> bool:
    """Whether the catalog has the table."""
    return bool(spark.catalog.tableExists(find(table, catalog_db).identifier))


def create_table(
    spark: Any,
    table: str,
    schema: Any,
    path: str = "",
    catalog_db: str = "",
    partition_by: Sequence[str] = (),
    properties: Mapping[str, str] | None = None,
) -> None:
    """Create an Iceberg table (format 2) unless it is there.

    `schema` is a pyspark StructType or DDL text; `path` its location (default: under the catalog's warehouse); `partition_by` Iceberg's
    transforms, `days(ordered_at)`. Raises TableRefusedError for a declared table.
    """
    target = find(table, catalog_db)
    refuse_ddl(target, "CREATE TABLE", "columns")
    columns = schema if isinstance(schema, str) else ", ".join(_column(field) for field in schema.fields)
    given = {"format-version": "2", **(properties or {})}
    parts = [f"CREATE TABLE IF NOT EXISTS {target.identifier} ({columns}) USING iceberg"]
    if partition_by:
        parts.append(f"PARTITIONED BY ({', '.join(partition_by)})")
    if path:
        parts.append(f"LOCATION {_text(path.rstrip('/'))}")
    parts.append(f"TBLPROPERTIES ({', '.join(f'{_text(k)} = {_text(v)}' for k, v in given.items())})")
    spark.sql(" ".join(parts))


def alter_schema(
    spark: Any,
    table: str,
    catalog_db: str = "",
    add: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    widen: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
) -> None:
    """Change columns: `add` and `widen` map a column to a Spark type, `rename` an old name to a new one.

    Each column is a commit of its own, as Spark's ALTER TABLE is. Raises TableRefusedError for a declared table.
    """
    target = find(table, catalog_db)
    refuse_ddl(target, "ALTER TABLE", "columns")
    head = f"ALTER TABLE {target.identifier}"
    changes = [f"RENAME COLUMN `{old}` TO `{new}`" for old, new in (rename or {}).items()]
    changes += [f"ADD COLUMN `{name}` {kind}" for name, kind in (add or {}).items()]
    changes += [f"ALTER COLUMN `{name}` TYPE {kind}" for name, kind in (widen or {}).items()]
    changes += [f"DROP COLUMN `{name}`" for name in drop]
    if not changes:
        raise TableRefusedError(f"ALTER TABLE {target.identifier}: nothing to change; allowed: add, rename, widen, drop")
    for change in changes:
        spark.sql(f"{head} {change}")


def drop_table(spark: Any, table: str, catalog_db: str = "") -> None:
    """Take the table out of the catalog; its data stays in S3. Raises TableRefusedError for a declared table."""
    target = find(table, catalog_db)
    refuse_ddl(target, "DROP TABLE", "onDelete")
    spark.sql(f"DROP TABLE IF EXISTS {target.identifier}")


def _column(field: Any) -> str:
    return f"`{field.name}` {field.dataType.simpleString()}" + ("" if field.nullable else " NOT NULL")


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

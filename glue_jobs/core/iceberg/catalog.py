"""`dp_foundation.iceberg.catalog` under its first name."""

from dp_foundation.iceberg.catalog import alter_schema, create_table, drop_table, table_exists

__all__ = [
    "alter_schema",
    "create_table",
    "drop_table",
    "table_exists",
]

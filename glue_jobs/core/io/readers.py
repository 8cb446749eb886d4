"""`dp_foundation.io.readers` under its first name."""

from dp_foundation.io.readers import read_iceberg, read_table

__all__ = [
    "read_iceberg",
    "read_table",
]

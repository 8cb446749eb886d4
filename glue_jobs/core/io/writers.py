"""`dp_foundation.io.writers` under its first name."""

from dp_foundation.io.writers import merge_iceberg, write_iceberg

__all__ = [
    "merge_iceberg",
    "write_iceberg",
]

"""`dp_foundation.iceberg.maintenance` under its first name."""

from dp_foundation.iceberg.maintenance import compact, expire_snapshots, remove_orphan_files

__all__ = [
    "compact",
    "expire_snapshots",
    "remove_orphan_files",
]

"""What a table lets arriving rows bring: `land` splits them into those that keep its contract and those that go to its quarantine."""

from __future__ import annotations

from typing import Any


def land(df: Any, table: str) -> Any:
    """The frame's rows that keep the contract of a declared table, cast to its columns; the others go to the table's quarantine.

    For jobs of their own; the built-in ones do it themselves. A column that the table does not have is refused (`columns: freeze`) or left
    out with a warning (`discard_value`). Raises SchemaMismatchError, and DataError for what the contract freezes.
    """
    from dp_foundation.contracts.landing import land_frame

    return land_frame(df, table)


__all__ = ["land"]

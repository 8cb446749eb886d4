"""The rows of a run's window: those whose partition time lies in it. `overwrite_window` replaces exactly them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dp_foundation.errors import TableRefusedError
from dp_foundation.iceberg import metadata
from dp_foundation.io.tables import Target

_TIMED = ("identity", "hour", "day", "month", "year")


@dataclass(frozen=True, slots=True)
class WindowRows:
    """`column` in [start, end); times are ISO 8601 in UTC."""

    column: str
    start: str
    end: str

    def condition(self) -> Any:
        """The condition as a Spark column; a date column compares by date."""
        from pyspark.sql import functions as F

        column = F.col(f"`{self.column}`")
        return (column >= F.lit(self.start)) & (column < F.lit(self.end))


def of(target: Target, start: str, end: str) -> WindowRows:
    """The window's rows in a table. Raises TableRefusedError when the table is not partitioned by one time."""
    table = metadata.load(target.database, target.name)
    times = sorted({column for column, transform in (table.partition if table else ()) if transform in _TIMED})
    if len(times) != 1:
        found = ", ".join(f"{transform}({column})" for column, transform in (table.partition if table else ())) or "none"
        raise TableRefusedError(
            f"overwrite_window of {target.identifier} needs one date or timestamp partition column; partition found: {found}; "
            "mend: partition the table by day(...) or the like"
        )
    return WindowRows(times[0], start, end)


def guarded(frame: Any, rows: WindowRows) -> Any:
    """The frame, failing on a row outside the window: written, it would stay when the window is written again."""
    from pyspark.sql import functions as F

    message = f"meshplane: {rows.column}: a row lies outside the run's window {rows.start} to {rows.end}"
    inside = F.when(rows.condition(), F.lit(True)).otherwise(F.raise_error(F.lit(message)).cast("boolean"))
    return frame.where(inside)

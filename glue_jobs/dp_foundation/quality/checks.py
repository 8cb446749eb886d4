"""Assertions that a job may call on a frame of its own: each raises DataError with a count and a sample, or gives the frame back (J1).

The rules of a table belong into the manifest, where its gate judges them before readers see anything; these are for what lies in between.
The rows are counted as the gate counts them: null breaks nothing but `assert_not_null`, NaN is in no range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dp_foundation.errors import DataError, SchemaMismatchError
from dp_foundation.quality.compiler import broken
from dp_foundation.quality.engine import duplicates
from dp_foundation.quality.rules import Rule

_SAMPLE = 3


def assert_columns(df: Any, columns: Sequence[str]) -> Any:
    """These columns are there, in any case and order. Raises SchemaMismatchError."""
    have = {name.lower() for name in df.columns}
    missing = [name for name in columns if name.lower() not in have]
    if missing:
        raise SchemaMismatchError(f"no column {', '.join(missing)}; there are {', '.join(df.columns)}")
    return df


def assert_not_empty(df: Any) -> Any:
    """There is a row. Raises DataError."""
    return assert_row_count(df, 1)


def assert_row_count(df: Any, minimum: int = 0, maximum: int | None = None) -> Any:
    """There are so many rows. Raises DataError."""
    rows = df.count()
    if rows < minimum or (maximum is not None and rows > maximum):
        raise DataError(f"{rows} rows; allowed: {minimum} to {'any number' if maximum is None else maximum}")
    return df


def assert_not_null(df: Any, columns: Sequence[str] | str) -> Any:
    """These columns are never null. Raises DataError."""
    return _holds(df, Rule("not_null", "not_null", _names(columns)))


def assert_unique(df: Any, columns: Sequence[str] | str) -> Any:
    """No two rows are equal in these columns; rows where all are null do not count. Raises DataError."""
    rule = Rule("unique", "unique", _names(columns))
    bad, rows = duplicates(rule, df)
    if bad:
        raise DataError(f"unique {', '.join(rule.columns)}: {bad} of {rows} rows repeat a key")
    return df


def assert_in_set(df: Any, column: str, values: Iterable[Any]) -> Any:
    """The column holds only these values, or null. Raises DataError."""
    return _holds(df, Rule("in_set", "in_set", (column,), {"values": list(values)}))


def assert_in_range(df: Any, column: str, minimum: Any = None, maximum: Any = None) -> Any:
    """The column lies between both, included, or is null. Raises DataError."""
    return _holds(df, Rule("range", "range", (column,), {"min": minimum, "max": maximum}))


def assert_matches(df: Any, column: str, pattern: str) -> Any:
    """The whole text matches a regular expression (Java's), or is null. Raises DataError."""
    return _holds(df, Rule("pattern", "pattern", (column,), {"pattern": pattern}))


def _names(columns: Sequence[str] | str) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _holds(df: Any, rule: Rule) -> Any:
    bad = df.where(broken(rule, df))
    count = bad.count()
    if count:
        shown = "; ".join(", ".join(f"{name}={row[name]!r}" for name in rule.columns) for row in bad.limit(_SAMPLE).collect())
        raise DataError(f"{rule.name} {', '.join(rule.columns)}: {count} rows break it; found: {shown}")
    return df

"""`dp_foundation.quality.checks` under its first name."""

from dp_foundation.quality.checks import (
    assert_columns,
    assert_in_range,
    assert_in_set,
    assert_matches,
    assert_not_empty,
    assert_not_null,
    assert_row_count,
    assert_unique,
)

__all__ = [
    "assert_columns",
    "assert_in_range",
    "assert_in_set",
    "assert_matches",
    "assert_not_empty",
    "assert_not_null",
    "assert_row_count",
    "assert_unique",
]

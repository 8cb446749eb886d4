"""Whether a batch holds each key once: asked of its key columns alone, before anything wide is moved or sorted. `io.merge` calls it.

The answer is exact. Whole numbers that lie close together, as numbers that a system gave out one after the other do, are marked in bitmaps,
one bit each; of all other keys the 64-bit hashes are counted: as many different hashes as rows are as many different keys. Two keys of one
hash look like one, and the batch is then treated as one that may hold a key twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_PLAIN = (*_WHOLE, "string", "date", "timestamp", "timestamp_ntz", "boolean", "binary")
_BITS = 64  # of a bitmap, per row: more, and counting hashes is cheaper


@dataclass(frozen=True, slots=True)
class Span:
    """What one look at a whole-number key column tells: its bounds (None without a value), the rows, and those that have a value."""

    column: str
    low: int | None
    high: int | None
    rows: int
    filled: int


def asked(frame: Any, key: Sequence[str], within: Any) -> list[Any]:
    """The aggregates of a `Span` over the rows `within`: least, greatest, number of values. Nothing where the key has none."""
    from pyspark.sql import functions as F

    kinds = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    if len(key) != 1 or kinds.get(key[0]) not in _WHOLE:
        return []
    column = F.when(within, F.col("`" + key[0].replace("`", "``") + "`"))
    return [F.min(column), F.max(column), F.count(column)]


def once(frame: Any, key: Sequence[str], given: Any = None) -> int:
    """The number of rows where no key is null and none comes twice, else 0. Keys of fractions or nested values are never sure: Spark
    compares them by more than their bits. `given`: the frame with which somebody may have left a `Span`."""
    kinds = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    if not all(kinds[name] in _PLAIN or kinds[name].startswith("decimal") for name in key):
        return 0
    columns = ["`" + name.replace("`", "``") + "`" for name in key]
    if len(columns) > 1 or kinds[key[0]] not in _WHOLE:
        return _hashes(frame, columns)
    span = None if given is None else given.__dict__.get("_meshplane_span")
    if span is None or span.column.lower() != key[0].lower():
        found = frame.selectExpr(f"min({columns[0]})", f"max({columns[0]})", "count(1)", f"count({columns[0]})").first()
        span = Span(key[0], *found)
    if span.rows != span.filled or span.low is None or span.high is None:
        return 0
    if span.high - span.low >= span.rows * _BITS:
        return _hashes(frame, columns)
    return int(span.rows) if _marked(frame, f"({columns[0]} - {span.low})") == span.rows else 0


def _marked(frame: Any, number: str) -> int:
    """How many different numbers there are, none of them below 0."""
    # A bitmap of 4 KB stands for 32,768 numbers that follow each other; nothing else moves between executors.
    number = f"CAST({number} AS bigint)"
    bits = f"bitmap_construct_agg(bitmap_bit_position({number}))"
    groups = frame.groupBy(_expression(f"bitmap_bucket_number({number})").alias("__bucket"))
    return int(groups.agg(_expression(f"bitmap_count({bits})").alias("__held")).selectExpr("sum(__held)").first()[0])


def _hashes(frame: Any, columns: Sequence[str]) -> int:
    """The number of rows where their hashes are all different and no key is null, else 0."""
    null = " OR ".join(f"{column} IS NULL" for column in columns)
    hashed = frame.selectExpr(f"CASE WHEN NOT ({null}) THEN xxhash64({', '.join(columns)}) END AS __hash")
    rows, different = hashed.repartition("__hash").selectExpr("count(1)", "count(DISTINCT __hash)").first()
    return int(rows) if rows == different else 0


def _expression(text: str) -> Any:
    from pyspark.sql import functions as F

    return F.expr(text)

"""Judging a gate: the row rules' counts (`quality.tally`) and, on the table as the run would leave it, all that needs more than a row.

`run.gates` says where state, history and other tables come from. A rule that raises is in error, and a blocking one then says no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from dp_foundation.quality.compiler import RuleError, column, looked_at
from dp_foundation.quality.rules import IMPLIED, ROW, Gate, Result, Rule, broke, counted, decided
from dp_foundation.quality.tally import Tally


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules look at beside the batch. `state`: the table's rows as the run would leave them; `other`: another table's, by its
    logical name; `history`: a measure of the rows that meet a condition ("" for all) in the newest `n` published states, newest first;
    `reference`: what freshness counts from; `name`, `tables`: this table's logical name, and all that a query may name; `declared`: column
    → Spark type; `proven`: sets of columns whose uniqueness the writes guarantee; `lacking`: of raw files, which of these columns not all
    of them bring, and where it is missing."""

    state: Callable[[], Any]
    other: Callable[[str], Any]
    history: Callable[[str, int, str], list[Any]]
    reference: datetime
    name: str = ""
    tables: tuple[str, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)
    proven: frozenset[frozenset[str]] = frozenset()
    lacking: Callable[[Sequence[str]], Mapping[str, str]] | None = None


def judge(gate: Gate, done: Tally, around: Surroundings) -> dict[str, Result]:
    """The result of every rule, by name; never raises for a rule."""
    results = {}
    for rule in gate.rules:
        try:
            results[rule.name] = done.result(rule) if rule.kind in ROW else _JUDGES[rule.kind](rule, done, around)
        except Exception as error:  # noqa: BLE001  the rule's own verdict is `error`
            results[rule.name] = broke(rule, error)
    return results


def _columns(rule: Rule, done: Tally, around: Surroundings) -> Result:
    from pyspark.sql import functions as F

    from dp_foundation.io.align import misfits

    _unfiltered(rule)
    frame = around.state()
    have = {field.name.lower(): field.dataType for field in frame.schema.fields}
    faults = [f"{name} is missing" for name in rule.columns if name.lower() not in have]
    declared = {name: kind for name, kind in around.declared.items() if name in rule.columns and name.lower() in have}
    wanted = frame.select(*(F.lit(None).cast(kind).alias(name) for name, kind in declared.items())).schema.fields if declared else ()
    for want in wanted:  # the plane may have widened the column since this job was told of it
        faults += misfits(want.dataType, have[want.name.lower()], want.name)
    # A column that no file brings is read as null, as the table declares it; only an author's own rule asks for more than that.
    if around.lacking is not None and not rule.name.startswith(IMPLIED):
        faults += [f"{name} is missing {where}" for name, where in around.lacking(rule.columns).items()]
    return decided(rule, not faults, done.rows, "; ".join(faults))


def _unfiltered(rule: Rule) -> None:
    """The manifest refuses such a filter; a contract in a file may bring one, and it is not to be passed over in silence."""
    if rule.filter:
        raise RuleError(f"{rule.kind} takes no filter")


def _row_count(rule: Rule, done: Tally, around: Surroundings) -> Result:
    kept = done.result(rule) if rule.filter else None
    if kept is not None and kept.outcome == "error":
        return kept
    rows, low, high = kept.rows if kept else done.rows, rule.params.get("min"), rule.params.get("max")
    holds = (low is None or rows >= int(low)) and (high is None or rows <= int(high))
    return decided(rule, holds, rows, f"{rows} rows; allowed: {'0' if low is None else low} to {'any number' if high is None else high}")


def _freshness(rule: Rule, done: Tally, around: Surroundings) -> Result:
    if rule.name in done.errors:
        return done.errors[rule.name]
    newest = done.newest.get(rule.name)
    if newest is None:
        return decided(rule, False, done.looked.get(rule.name, 0), f"no value of {rule.columns[0]} to judge")
    age = around.reference.timestamp() - newest / 1e6
    at = datetime.fromtimestamp(newest // 1_000_000, UTC)
    told = f"newest {rule.columns[0]} is {at.isoformat(timespec='seconds')}"
    result = decided(rule, age <= float(rule.params["within"]), done.looked[rule.name], told)
    return replace(result, newest=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def _unique(rule: Rule, done: Tally, around: Surroundings) -> Result:
    if not rule.filter and frozenset(name.lower() for name in rule.columns) in around.proven:
        return counted(rule, 0, done.rows, "proven: every row came by a merge on these columns")
    violations, rows = duplicates(rule, around.state())
    return counted(rule, violations, rows)


def duplicates(rule: Rule, frame: Any) -> tuple[int, int]:
    """(rows beyond the first of their key, rows looked at). Keys that are null throughout do not count; a null among values is a value."""
    from pyspark.sql import functions as F

    keys = [column(frame, name)[0] for name in rule.columns]
    if not keys:
        raise RuleError("unique names no column")
    seen = looked_at(rule, frame)
    rows = (frame if seen is None else frame.where(seen)).where(~reduce(lambda a, b: a & b, (k.isNull() for k in keys)))
    groups = rows.groupBy(*(k.alias(f"_{at}") for at, k in enumerate(keys))).agg(F.count(F.lit(1)).alias("_rows"))
    found = groups.agg(F.coalesce(F.sum(F.col("_rows") - 1), F.lit(0)), F.coalesce(F.sum("_rows"), F.lit(0))).first()
    return int(found[0]), int(found[1])


def _referential(rule: Rule, done: Tally, around: Surroundings) -> Result:
    from pyspark.sql import functions as F

    frame, other = around.state(), around.other(str(rule.params["table"]))
    theirs = tuple(rule.params.get("columns") or rule.columns)
    if len(theirs) != len(rule.columns):
        raise RuleError(f"{len(rule.columns)} columns refer to {len(theirs)}")
    keys = [column(frame, name)[0] for name in rule.columns]
    seen = looked_at(rule, frame)
    rows = frame if seen is None else frame.where(seen)
    # A null in any of the columns refers to nothing, as in SQL.
    own = rows.where(reduce(lambda a, b: a & b, (k.isNotNull() for k in keys))).select(*(k.alias(f"_{at}") for at, k in enumerate(keys)))
    found = (
        other.select(*(column(other, name)[0].alias(f"__{at}") for at, name in enumerate(theirs)))
        .distinct()
        .withColumn("__there", F.lit(1))
    )
    joined = own.join(found, [F.col(f"_{at}") == F.col(f"__{at}") for at in range(len(keys))], "left")
    counts = joined.agg(F.count(F.lit(1)), F.count(F.when(F.col("__there").isNull(), 1))).first()
    return counted(rule, int(counts[1]), int(counts[0]))


def measured(frame: Any, measure: str, condition: str = "") -> Decimal:
    """An aggregate over a frame; null (no rows) counts as 0. Raises RuleError for one that is no finite number."""
    from pyspark.sql import functions as F

    text = re.sub(r"^count_distinct\(", "count(DISTINCT ", measure)  # which Spark's SQL does not know by that name
    value = (frame.where(condition) if condition else frame).agg(F.expr(text)).first()[0]
    number = Decimal(0) if value is None else Decimal(str(value))
    if not number.is_finite():
        raise RuleError(f"{measure} is {number}")
    return number


def _reconciliation(rule: Rule, done: Tally, around: Surroundings) -> Result:
    theirs = str(rule.params.get("measure") or "count(*)")
    own = measured(around.state(), str(rule.params.get("own_measure") or theirs), rule.filter)
    other = measured(around.other(str(rule.params["table"])), theirs)
    holds = _near(own, Fraction(other), rule.params.get("tolerance_percent") or 0)
    return decided(rule, holds, done.rows, f"{own} here, {other} in {rule.params['table']}")


def _change(rule: Rule, done: Tally, around: Surroundings) -> Result:
    measure = str(rule.params.get("measure") or "count(*)")
    own = measured(around.state(), measure, rule.filter)
    before = [Fraction(str(value)) for value in around.history(measure, int(rule.params.get("against") or 1), rule.filter)]
    if not before:
        return decided(rule, True, done.rows, f"{own} now; nothing was published before that it could be compared with")
    mean = sum(before) / Fraction(len(before))
    holds = _near(own, mean, rule.params["max_percent"])
    return decided(rule, holds, done.rows, f"{own} now, {Decimal(mean.numerator) / mean.denominator} before")


def _near(own: Decimal, other: Fraction, percent: object) -> bool:
    """Whether the two are no further apart than a share of the other one; exactly, a mean of three has no end as a decimal."""
    return abs(Fraction(own) - other) * 100 <= Fraction(str(percent)) * abs(other)


def _sql(rule: Rule, done: Tally, around: Surroundings) -> Result:
    from pyspark.sql import functions as F

    from dp_foundation.builtin.sql import view_name, with_views

    _unfiltered(rule)
    frame, text = around.state(), str(rule.params["query"])
    named = [name for name in around.tables if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]
    for name in named:
        (frame if name == around.name else around.other(name)).createOrReplaceTempView(view_name(name))
    try:
        # As a subquery it can only be a query: a command would run at once.
        found = frame.sparkSession.sql(f"SELECT * FROM (\n{with_views(text, named)}\n) AS broken")  # noqa: S608  the author's own rule
        return counted(rule, int(found.agg(F.count(F.lit(1))).first()[0]), done.rows)
    finally:
        for name in named:
            frame.sparkSession.catalog.dropTempView(view_name(name))


_JUDGES: Mapping[str, Callable[[Rule, Tally, Surroundings], Result]] = {
    "columns": _columns,
    "row_count": _row_count,
    "freshness": _freshness,
    "unique": _unique,
    "referential": _referential,
    "reconciliation": _reconciliation,
    "change": _change,
    "sql": _sql,
}

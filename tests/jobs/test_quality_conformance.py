"""What the rules mean, held by vectors that the Spark engine and a plain Python reference both pass, whatever the session's time zone."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dp_foundation.quality.engine import Surroundings, judge
from dp_foundation.quality.rules import Gate, Rule, of_a_table
from dp_foundation.quality.tally import tally
from tests.jobs.quality_reference import Row, violations

NAN, INF = math.nan, math.inf
TYPES = {
    "i": "int",
    "l": "bigint",
    "s": "string",
    "x": "double",
    "d": "decimal(10,2)",
    "t": "timestamp",
    "n": "timestamp_ntz",
    "day": "date",
    "b": "boolean",
}
FIVE = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def _row(i: int | None, s: str | None, x: float | None, d: str | None, hours: int | None, b: bool | None) -> dict[str, Any]:
    at = FIVE + timedelta(hours=hours) if hours is not None else None
    return {
        "i": i,
        "l": i * 10**12 if i is not None else None,
        "s": s,
        "x": x,
        "d": Decimal(d) if d is not None else None,
        "t": at,
        "n": at.replace(tzinfo=None) if at else None,
        "day": at.date() if at else None,
        "b": b,
    }


ROWS = [
    _row(1, "a", 1.0, "0.10", 0, True),
    _row(2, None, NAN, None, 1, False),
    _row(None, "b", None, "0.11", None, None),
    _row(None, "a\n", 5.0, "0.10", -1, True),
    _row(2, "", INF, "-0.01", 24, False),
    _row(3, "é", -INF, "10.00", 0, True),
    _row(3, "😀😀", -0.0, "99999999.99", 0, True),
    _row(-1, "A", 0.0, "10.00", 2, None),
    _row(None, None, NAN, None, None, None),
]


@dataclass(frozen=True)
class Vector:
    says: str
    rule: Rule
    broken: int
    looked: int = len(ROWS)
    keep: Callable[[Row], bool] = field(default=lambda _: True)


def _v(
    says: str, kind: str, columns: str, broken: int, looked: int = len(ROWS), keep: Any = None, where: str = "", **params: Any
) -> Vector:
    return Vector(says, Rule("", kind, tuple(columns.split()), params, filter=where), broken, looked, keep or (lambda _: True))


VECTORS = [
    _v("null breaks not_null", "not_null", "s", 2),
    _v("NaN is a value", "not_null", "x", 1),
    _v("a null in any of several columns", "not_null", "i s", 4),
    _v("an empty text is a value", "not_null", "s", 0, 7, lambda r: r["s"] is not None, "s is not null"),
    _v("null is in every set", "in_set", "s", 5, values=["a", "b"]),
    _v("case counts", "in_set", "s", 6, values=["A"]),
    _v("numbers given as text", "in_set", "i", 1, values=["1", "2", 3]),
    _v("1.0 is 1 for a whole column", "in_set", "i", 5, values=["1.0"]),
    _v("a decimal by its value, not its digits", "in_set", "d", 5, values=["0.1"]),
    _v("0.10 as a float in the manifest", "in_set", "d", 3, values=[0.1, 10]),
    _v("NaN is in no set that does not name it", "in_set", "x", 6, values=[1.0, 5]),
    _v("NaN may be named", "in_set", "x", 3, values=["NaN", 0, 1]),
    _v("zero has no sign", "in_set", "x", 6, values=[0]),
    _v("truth", "in_set", "b", 2, values=[True]),
    _v("truth as text", "in_set", "b", 4, values=["false"]),
    _v("dates", "in_set", "day", 2, values=["2026-03-29"]),
    _v("a time in another zone", "in_set", "t", 4, values=["2026-03-29T02:30:00+02:00"]),
    _v("a time without zone is UTC", "in_set", "t", 4, values=["2026-03-29T00:30:00"]),
    _v("NaN fails a range", "range", "x", 4, min=0, max=10),
    _v("NaN fails a range without upper bound", "range", "x", 3, min=0),
    _v("NaN fails a range without lower bound", "range", "x", 3, max=1000),
    _v("minus zero is not below zero", "range", "x", 0, 2, lambda r: r["x"] == 0, "x = 0", min=0, max=0),
    _v("bounds are included", "range", "i", 1, min=1, max=3),
    _v("a fraction bounds a whole column", "range", "i", 4, min="1.5", max="2.5"),
    _v("a fraction finer than the column's scale", "range", "d", 2, min="0.005", max="10.001"),
    _v("exactly 0.1", "range", "d", 4, min=0.1, max=0.11),
    _v("more than an int holds", "range", "i", 6, 7, lambda r: r["i"] or not r["s"], "i is not null or s is null", min=2**40),
    _v("large whole numbers exactly", "range", "l", 2, max=2 * 10**12),
    _v("dates", "range", "day", 2, min="2026-03-29", max="2026-03-29"),
    _v("times at the hour that a zone leaves out", "range", "t", 2, min="2026-03-29T00:30:00Z", max="2026-03-29T03:30:00+01:00"),
    _v("the same without zone", "range", "n", 2, min="2026-03-29T00:30:00Z", max="2026-03-29T02:30:00"),
    _v("texts by code point", "range", "s", 3, min="A", max="b"),
    _v("anchored: a trailing newline does not slip through", "pattern", "s", 5, pattern="[ab]"),
    _v("anchored on both sides of an alternative", "pattern", "s", 5, pattern="a|b"),
    _v("anchored although the author did it", "pattern", "s", 5, pattern="^[ab]$"),
    _v("flags inside", "pattern", "s", 4, pattern="(?i:[ab])"),
    _v("a dot is one character, and no newline", "pattern", "s", 3, pattern="."),
    _v("characters, not bytes or UTF-16 units", "length", "s", 1, min=1, max=2),
    _v("the empty text has length 0", "length", "s", 6, max=0),
    _v("duplicates beyond the first; null keys do not count", "unique", "i", 2, 6),
    _v("a null among values is a value", "unique", "i b", 2, 7),
    _v("NaN equals NaN, and zero has no sign", "unique", "x", 2, 8),
    _v("texts differ by a newline", "unique", "s", 0, 7),
    _v("a filter decides who is looked at", "unique", "i", 1, 3, lambda r: r["b"] is True, "b"),
    _v("a filter that is null does not look", "not_null", "s", 0, 4, lambda r: r["b"] is True, "b"),
    _v("no row is looked at", "in_set", "i", 0, 0, lambda _: False, "false", values=[1]),
]  # fmt: skip


def _sql(kind: str, value: Any) -> str:
    if value is None:
        return f"cast(null as {kind})"
    if kind in ("timestamp", "timestamp_ntz"):
        return f"cast('{value.replace(tzinfo=None).isoformat()}{'Z' if kind == 'timestamp' else ''}' as {kind})"
    if kind == "string":
        text = "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in value)
        return f"'{text}'"
    return f"cast('{str(value).lower() if isinstance(value, bool) else value}' as {kind})"


def _frame(spark: Any, rows: Sequence[Row]) -> Any:
    values = ", ".join("(" + ", ".join(_sql(kind, row[name]) for name, kind in TYPES.items()) + ")" for row in rows)
    return spark.sql(f"select * from values {values} as t({', '.join(TYPES)})")


def _judged(frame: Any, rules: Sequence[Rule], proven: frozenset[frozenset[str]] = frozenset(), **around: Any) -> Mapping[str, Any]:
    gate = Gate("t", tuple(rules))
    given: dict[str, Any] = {"state": lambda: frame, "other": _nothing, "history": lambda *_: [], "reference": FIVE, **around}
    return judge(gate, tally(frame, gate), Surroundings(proven=proven, **given))


def _nothing(name: str) -> Any:
    raise LookupError(name)


@pytest.fixture(params=["UTC", "America/New_York", "Europe/Berlin"])
def zoned(request: Any, spark: Any) -> Iterator[Any]:
    spark.conf.set("spark.sql.session.timeZone", request.param)
    yield spark
    spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v.rule.kind}: {v.says}")
def test_the_reference_passes(vector: Vector) -> None:
    assert violations(vector.rule.kind, vector.rule.columns, vector.rule.params, ROWS, vector.keep) == (vector.broken, vector.looked)


@pytest.mark.spark
def test_the_engine_passes_in_every_zone(zoned: Any) -> None:
    rules = [_named(v.rule, f"v{at}") for at, v in enumerate(VECTORS)]
    results = _judged(_frame(zoned, ROWS).coalesce(1), rules)
    found = {f"{v.rule.kind}: {v.says}": (results[f"v{at}"].violations, results[f"v{at}"].rows) for at, v in enumerate(VECTORS)}
    assert not [r for r in results.values() if r.outcome == "error"]
    assert found == {f"{v.rule.kind}: {v.says}": (v.broken, v.looked) for v in VECTORS}


def _named(rule: Rule, name: str) -> Rule:
    return Rule(name, rule.kind, rule.columns, rule.params, rule.severity, rule.threshold_rows, rule.threshold_percent, rule.filter)


@pytest.mark.spark
def test_engine_and_reference_agree_on_random_rows_and_rules(spark: Any) -> None:
    random_ = random.Random(7)
    texts = [None, "", "a", "b", "ab", "a\n", "\n", "é", "😀", "A b"]
    floats = [None, NAN, INF, -INF, 0.0, -0.0, 0.5, 1.0, -3.25]
    rows = [
        _row(
            random_.choice([None, -2, 0, 1, 5]),
            random_.choice(texts),
            random_.choice(floats),
            random_.choice([None, "0.00", "-1.50", "2.25"]),
            random_.choice([None, 0, 5, 24, -30]),
            random_.choice([None, True, False]),
        )
        for _ in range(200)
    ]
    rules = []
    for at in range(80):
        kind = random_.choice(["not_null", "unique", "in_set", "range", "pattern", "length"])
        columns = random_.sample(list(TYPES), random_.choice([1, 2])) if kind in ("not_null", "unique") else [random_.choice("ixdlnt")]
        params: dict[str, Any] = {}
        if kind in ("pattern", "length"):
            columns = ["s"]
            params = (
                {"pattern": random_.choice(["a.?", "[^a]*", "", "(a|b)+"])}
                if kind == "pattern"
                else {"min": 1, "max": random_.choice([1, 2])}
            )
        elif kind in ("in_set", "range"):
            times = ["2026-03-29", "2026-03-29T05:30:00Z", "2026-03-30T02:30:00+02:00"]
            pool = times if columns[0] in "nt" else ["0", "1", "-1.5", "0.5", "5000000000000"]
            low, high = sorted(random_.sample(pool, 2), key=lambda v: v if columns[0] in "nt" else float(v))
            params = {"values": [low, high]} if kind == "in_set" else {"min": low, "max": high}
        rules.append(Rule(f"r{at}", kind, tuple(columns), params))
    results = _judged(_frame(spark, rows).coalesce(1).cache(), rules)
    found = {rule.name: (rule.kind, rule.columns, results[rule.name].violations, results[rule.name].rows) for rule in rules}
    expected = {rule.name: (rule.kind, rule.columns, *violations(rule.kind, rule.columns, rule.params, rows)) for rule in rules}
    assert found == expected
    assert sum(result.violations > 0 for result in results.values()) > 40


@pytest.mark.parametrize(
    ("rows", "percent", "broken", "of", "fails"),
    [
        (0, "", 0, 0, False),
        (0, "", 1, 10**9, True),
        (10, "", 10, 10, False),
        (10, "", 11, 10**9, True),
        (0, "0.1", 1, 1000, False),
        (0, "0.1", 1, 999, True),
        (0, "0.1", 2, 1000, True),
        (0, "0", 1, 1000, True),
        (0, "100", 1000, 1000, False),
        (0, "33.333333", 1, 3, True),
        (5, "1", 4, 10, False),
        (5, "1", 6, 10, True),
    ],
)
def test_thresholds_count_exactly(rows: int, percent: str, broken: int, of: int, fails: bool) -> None:
    assert Rule("r", "not_null", threshold_rows=rows, threshold_percent=percent).fails(broken, of) is fails


def test_what_bounds_a_batch_bounds_no_table_of_many() -> None:
    assert of_a_table(Rule("n", "row_count", (), {"min": 1, "max": 5})).params == {"min": 1}
    assert not of_a_table(Rule("n", "not_null", ("i",), threshold_rows=3)).fails(100, 100)
    assert not of_a_table(Rule("n", "not_null", ("i",), threshold_rows=3, threshold_percent="1")).fails(100, 100)
    for same in (
        Rule("n", "not_null", ("i",)),
        Rule("n", "in_set", ("i",), {"values": [1]}, threshold_percent="1"),
        Rule("n", "unique", ("i",), threshold_rows=3),
    ):
        assert of_a_table(same) == same


@pytest.mark.spark
def test_freshness_row_count_and_an_empty_frame(zoned: Any) -> None:
    day = 24 * 3600
    newest = FIVE + timedelta(hours=24)
    rules = [
        Rule("t", "freshness", ("t",), {"within": 60}),
        Rule("t_old", "freshness", ("t",), {"within": 59}),
        Rule("n", "freshness", ("n",), {"within": 60}),
        Rule("n_old", "freshness", ("n",), {"within": 59}),
        Rule("day", "freshness", ("day",), {"within": 31 * 60}),
        Rule("day_old", "freshness", ("day",), {"within": 31 * 60 - 1}),
        Rule("filtered", "freshness", ("t",), {"within": day}, filter="b"),
        Rule("no_time", "freshness", ("i",), {"within": day}),
        Rule("no_text", "freshness", ("s",), {"within": day}),
        Rule("enough", "row_count", (), {"min": 9, "max": 9}),
        Rule("few", "row_count", (), {"min": 10}),
        Rule("many", "row_count", (), {"max": 8}),
        Rule("key", "unique", ("s",)),
        Rule("in", "in_set", ("s",), {"values": ["a"]}),
    ]
    reference = newest + timedelta(seconds=60)
    outcomes = {name: r.outcome for name, r in _judged(_frame(zoned, ROWS), rules, reference=reference).items()}
    assert outcomes == {
        "t": "passed",
        "t_old": "failed",
        "n": "passed",
        "n_old": "failed",
        "day": "passed",
        "day_old": "failed",
        "filtered": "failed",
        "no_time": "error",
        "no_text": "failed",
        "enough": "passed",
        "few": "failed",
        "many": "failed",
        "key": "passed",
        "in": "failed",
    }
    empty = _judged(_frame(zoned, ROWS).where("false"), rules, reference=reference)
    assert {name for name, r in empty.items() if r.outcome == "failed"} == {
        "t",
        "t_old",
        "n",
        "n_old",
        "day",
        "day_old",
        "filtered",
        "no_text",
        "enough",
        "few",
    }


@pytest.mark.parametrize("bad", [
    ("in_set", "i", {"values": ["one"]}), ("in_set", "day", {"values": ["29.03.2026"]}), ("in_set", "b", {"values": ["maybe"]}),
    ("range", "i", {"min": "NaN"}), ("range", "x", {}), ("range", "t", {"max": "soon"}), ("pattern", "i", {"pattern": "1"}),
    ("length", "i", {"min": 1}), ("length", "s", {}), ("not_null", "gone", {}), ("not_null", "", {}), ("unique", "", {}),
    ("pattern", "s", {"pattern": "("}),
])  # fmt: skip
@pytest.mark.spark
def test_a_rule_that_does_not_fit_is_an_error(spark: Any, bad: tuple[str, str, dict[str, Any]]) -> None:
    kind, columns, params = bad
    rules = [Rule("bad", kind, tuple(columns.split()), params), Rule("good", "not_null", ("i",))]
    results = _judged(_frame(spark, ROWS[:2]), rules)
    assert (results["bad"].outcome, results["good"].outcome) == ("error", "passed")
    assert results["bad"].detail


def test_days_are_dates() -> None:
    assert ROWS[0]["day"] == date(2026, 3, 29)

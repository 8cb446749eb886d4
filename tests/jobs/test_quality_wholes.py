"""The kinds that judge more than a row: engine and plain Python agree on the same rows, as for the row rules, and both know the vectors."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from dp_foundation.quality.engine import measured
from dp_foundation.quality.rules import Rule
from tests.jobs.quality_reference import Beside, Row, dangling, judged
from tests.jobs.test_quality_conformance import FIVE, INF, NAN, ROWS, TYPES, _frame, _judged, _nothing, _row

FILTERS: Mapping[str, Callable[[Row], bool]] = {
    "": lambda row: True,
    "b": lambda row: row["b"] is True,
    "i > 0": lambda row: row["i"] is not None and row["i"] > 0,
    "x > 0.25": lambda row: row["x"] is not None and not row["x"] <= 0.25,  # NaN is above every number
    "s is null": lambda row: row["s"] is None,
    "false": lambda row: False,
}
MEASURES = ["count(*)", "count(x)", "count_distinct(x)", "count_distinct(s)", "sum(i)", "sum(l)", "sum(d)", "sum(x)", "avg(d)", "avg(i)"]
MEASURES += ["min(d)", "max(i)", "min(x)", "max(x)"]
TEXTS = [None, "", "a", "29.03.2026", "01:30:00", "2026-03-29", "2026-03-29T02:30:00", " 2026-03-29 02:30", "2026-03-29T03:30:00.5+02:00"]
TEXTS += ["2026-03-29T01:30:00Z", "2026-10-25 02:30:00"]


def _rows(random_: random.Random, count: int, hours: Sequence[int] = (0, 1, 2, 5, 24, -30)) -> list[dict[str, Any]]:
    return [
        _row(
            random_.choice([None, -2, 0, 1, 5]),
            random_.choice(TEXTS),
            random_.choice([None, 0.0, -0.0, 0.5, 1.0, -3.25, *([NAN, INF] if at % 9 == 0 else [])]),
            random_.choice([None, "0.00", "-1.50", "2.25", "0.01"]),
            random_.choice([None, *hours]),
            random_.choice([None, True, False]),
        )
        for at in range(count)
    ]


def _found(results: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    return {name: (result.outcome, result.rows) for name, result in results.items()}


@pytest.mark.spark
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin"])
def test_freshness_and_row_counts_agree_in_every_zone(spark: Any, zone: str) -> None:
    random_ = random.Random(11)
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        for count, later in ((0, 0), (3, 1800), (40, 5400)):
            rows = _rows(random_, count, (1, 2, -30))  # 02:30 is the newest, which Berlin's clocks leave out on that day
            rules = []
            for at in range(40):
                column, within = random_.choice(["t", "n", "day", "s"]), random_.choice([0, 1800, 5400, 86400])
                rules.append(Rule(f"f{at}", "freshness", (column,), {"within": within}, filter=random_.choice(list(FILTERS))))
            for at in range(20):
                low = random_.choice([0, 1, count // 3])
                bounds: list[dict[str, int]] = [{"min": low}, {"max": low}, {"min": low, "max": low + count // 2}]
                rules.append(Rule(f"c{at}", "row_count", (), random_.choice(bounds), filter=random_.choice(list(FILTERS))))
            reference = FIVE + timedelta(hours=2, seconds=later)
            frame = _frame(spark, rows or ROWS[:1]).where("true" if rows else "false").coalesce(1)
            found = _found(_judged(frame, rules, reference=reference))
            beside = Beside(reference=reference)
            expected = {r.name: judged(r.kind, r.columns, r.params, rows, FILTERS[r.filter], beside) for r in rules}
            assert found == expected, {r: v for r in rules if (v := (found[r.name], expected[r.name]))[0] != v[1]}
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.spark
def test_references_agree(spark: Any) -> None:
    random_ = random.Random(12)
    rows, others = _rows(random_, 120), _rows(random_, 12)
    rules = []
    for at in range(24):
        columns = tuple(random_.sample(list(TYPES), random_.choice([1, 1, 2])))
        rules.append(Rule(f"r{at}", "referential", columns, {"table": "other", "columns": columns}, filter=random_.choice(list(FILTERS))))
    rules.append(Rule("wider", "referential", ("i",), {"table": "other", "columns": ("l",)}))
    rules.append(Rule("nowhere", "referential", ("i",), {"table": "none", "columns": ("i",)}))
    frames = {"other": _frame(spark, others).coalesce(1).cache()}
    frames["none"] = frames["other"].where("false")
    results = _judged(_frame(spark, rows).coalesce(1).cache(), rules, other=frames.__getitem__)
    found = {rule.name: (rule, results[rule.name].violations, results[rule.name].rows) for rule in rules}
    expected = {
        r.name: (r, *dangling(r.columns, r.params["columns"], rows, FILTERS[r.filter], others if r.params["table"] == "other" else []))
        for r in rules
    }
    assert found == expected
    assert sum(result.violations > 0 for result in results.values()) > 10


@pytest.mark.spark
def test_reconciliation_and_change_agree(spark: Any) -> None:
    random_ = random.Random(13)
    rows, others = _rows(random_, 30), _rows(random_, 28)
    past = [_rows(random_, 27), _rows(random_, 1), _rows(random_, 31)]
    own = _frame(spark, rows).coalesce(1).cache()
    frames = {"other": _frame(spark, others).coalesce(1).cache(), "none": own.where("false")}
    states = [_frame(spark, state).coalesce(1).cache() for state in past]
    expected: dict[str, tuple[str, int]] = {}
    found: dict[str, tuple[str, int]] = {}
    for earlier in (0, 1, 3):  # states that were published: none at all is the first publication
        rules = []
        for at in range(24):
            measure, tolerance = random_.choice(MEASURES), random_.choice(["0", "5", "33.333333", "100", "250"])
            filter_ = random_.choice(list(FILTERS))
            params: dict[str, Any] = {"measure": measure, "max_percent": tolerance, "against": random_.choice([1, 2, 7])}
            if at % 2:
                params = {"table": random_.choice(["other", "other", "none"]), "measure": measure, "tolerance_percent": tolerance}
                params["own_measure"] = random_.choice([measure, random_.choice(MEASURES)])
            rules.append(Rule(f"{earlier}.{at}", "reconciliation" if at % 2 else "change", (), params, filter=filter_))

        def history(measure: str, count: int, condition: str, kept: int = earlier) -> list[Any]:
            return [measured(frame, measure, condition) for frame in states[:kept][:count]]

        results = _judged(own, rules, other=frames.__getitem__, history=history)
        found |= _found(results)
        for r in rules:
            beside = Beside(others if r.params.get("table") == "other" else [], past[:earlier])
            expected[r.name] = judged(r.kind, r.columns, r.params, rows, FILTERS[r.filter], beside)
        assert found == expected, {r: (found[r.name], expected[r.name]) for r in rules if found[r.name] != expected[r.name]}
    said = [outcome for outcome, _ in found.values()]
    assert min(said.count(outcome) for outcome in ("passed", "failed", "error")) > 3, said


def _state(*values: int | None) -> list[Row]:
    return [_row(i, None, None, None, None, None) for i in values]


def _change(
    says: str, own: Sequence[int | None], past: Sequence[Sequence[int | None]], percent: str, outcome: str, where: str = "", **more: Any
) -> Any:
    params = {"measure": "count(*)", "max_percent": percent, "against": 7, **more}
    return pytest.param(own, past, Rule("grown", "change", (), params, filter=where), outcome, id=says)


CHANGES = [
    _change("a first publication", [1] * 100, [], "0", "passed"),
    _change("a first publication without a row", [], [], "0", "passed", measure="sum(i)"),
    _change("the tolerance is included", [1] * 3, [[1] * 2], "50", "passed"),
    _change("and is one of what was", [1] * 4, [[1] * 2], "50", "failed"),
    _change("all rows gone", [], [[1] * 2], "99.999999", "failed"),
    _change("a third is a third", [1] * 2, [[1], [1], [1] * 2], "50", "passed"),  # of four thirds 2 is half away, exactly
    _change("and nothing less", [1] * 2, [[1], [1], [1] * 2], "49.999999", "failed"),
    _change("no further back than asked for", [1] * 9, [[1] * 9, [1]], "0", "passed", against=1),
    _change("below zero", [-3], [[-4]], "25", "passed", measure="sum(i)"),
    _change("a null is a row", [5, None, 7], [[5, 5, 5]], "0", "passed"),
    _change("a filter looks at the past, too", [5, None, 7], [[5, None, None]], "0", "passed", where="i = 5"),
    _change("and at no other rows of it", [5, None, 7], [[5, 5, 5]], "66", "failed", where="i = 5"),
]


def _fives(row: Row) -> bool:
    return bool(row["i"] == 5)


@pytest.mark.parametrize(("own", "past", "rule", "outcome"), CHANGES)
def test_the_reference_knows_a_change(own: Any, past: Any, rule: Rule, outcome: str) -> None:
    beside = Beside(past=[_state(*state) for state in past])
    assert judged("change", (), rule.params, _state(*own), _fives if rule.filter else FILTERS[""], beside)[0] == outcome


@pytest.mark.spark
def test_the_engine_knows_a_change(spark: Any) -> None:
    def frame(values: Sequence[int | None]) -> Any:
        return _frame(spark, _state(*values) or ROWS[:1]).where("true" if values else "false").coalesce(1)

    for case in CHANGES:
        own, past, rule, outcome = case.values

        def history(measure: str, count: int, condition: str, states: Any = past) -> list[Any]:
            return [measured(frame(state), measure, condition) for state in states[:count]]

        result = _judged(frame(own), [rule], history=history)["grown"]
        assert (case.id, result.outcome) == (case.id, outcome)
        assert ("nothing was published before" in result.detail) is not bool(past)


QUERIES: Mapping[str, tuple[str, int]] = {
    "no row": ("select 1 from orders where false", 0),
    "null is found as such": ("select * from orders where i is null;", 3),
    "null is neither": ("select i from orders where not (x > 4)", 4),
    "NaN is above every number": ("select i from orders where x > 4", 4),
    "a null is a group": ("with n as (select i, count(*) c from orders group by i) select * from n where c > 1", 3),
    "a name in any case, and in a text": ("select 'orders' from Orders where b -- of orders\n", 4),
    "a moment in the hour that a zone leaves out": ("select 1 from orders where t > timestamp'2026-03-29 01:00:00Z'", 3),
    "the same without zone": ("select 1 from orders where n >= timestamp_ntz'2026-03-29 02:30:00'", 2),
    "another table": ("select o.i from orders o left anti join other r on o.i = r.i where o.i is not null", 1),
    "one of another project": ("select r.i from finance.rates r join orders o on r.i = o.i", 2),
    "an aggregate of no row is a row": ("select max(i) from orders where false", 1),
    "two rows that are equal are two": ("select i from orders where i = 3", 2),
}


@pytest.mark.spark
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_query_breaks_by_the_rows_that_it_returns(spark: Any, zone: str) -> None:
    frames = {"other": _frame(spark, _state(1, 2, 3, 9)), "finance.rates": _frame(spark, _state(1, -1))}
    rules = [Rule(says, "sql", (), {"query": query}) for says, (query, _) in QUERIES.items()]
    rules += [
        Rule("a share of all rows", "sql", (), {"query": QUERIES["null is found as such"][0]}, threshold_percent="33.333334"),
        Rule("a command", "sql", (), {"query": "drop table orders"}),
        Rule("a table that nobody reads", "sql", (), {"query": "select 1 from elsewhere"}),
        Rule("a filter", "sql", (), {"query": "select 1 from orders"}, filter="b"),
    ]
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        own, tables = _frame(spark, ROWS).coalesce(1), ("orders", "other", "finance.rates")
        results = _judged(own, rules, name="orders", tables=tables, other=frames.__getitem__)
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert {says: results[says].violations for says in QUERIES} == {says: count for says, (_, count) in QUERIES.items()}
    assert {says: results[says].outcome for says in QUERIES} == {says: "failed" if n else "passed" for says, (_, n) in QUERIES.items()}
    assert [results[rule.name].outcome for rule in rules[len(QUERIES) :]] == ["passed", "error", "error", "error"]


@pytest.mark.spark
def test_what_cannot_be_judged_as_a_whole_is_an_error(spark: Any) -> None:
    rules = [
        Rule("no_table", "referential", ("i",), {"table": "other", "columns": ("i",)}),
        Rule("columns", "referential", ("i", "l"), {"table": "t", "columns": ("i",)}),
        Rule("filter_of_columns", "columns", ("i",), filter="b"),
        Rule("filter_of_none", "row_count", (), {"min": 1}, filter="gone > 1"),
        Rule("infinite", "change", (), {"measure": "max(x)", "max_percent": "1"}),
        Rule("good", "columns", ("i",)),
    ]
    results = _judged(_frame(spark, ROWS), rules, other=lambda name: _frame(spark, ROWS) if name == "t" else _nothing(name))
    assert {name: result.outcome for name, result in results.items()} == {
        **dict.fromkeys((rule.name for rule in rules), "error"),
        "good": "passed",
    }

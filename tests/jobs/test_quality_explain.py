"""What `explain` says a gate costs is what Spark does."""

from __future__ import annotations

from typing import Any

import pytest

from dp_foundation.quality.engine import Surroundings, judge
from dp_foundation.quality.explain import explain, text
from dp_foundation.quality.rules import Gate, Rule
from dp_foundation.quality.tally import tally
from tests.jobs.test_quality_conformance import FIVE

ROW_RULES = (
    Rule("there", "not_null", ("id",)),
    Rule("known", "in_set", ("v",), {"values": ["a"]}),
    Rule("sane", "range", ("id",), {"min": 0}, filter="v = 'a'"),
    Rule("enough", "row_count", (), {"min": 1}),
)


def _executions(spark: Any) -> Any:
    """Everything that was executed so far and is still known, oldest first."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    found = spark._jsparkSession.sharedState().statusStore().executionsList()
    return found.toIndexedSeq()


def _newest(spark: Any) -> int:
    found = _executions(spark)
    return int(found.apply(found.size() - 1).executionId()) if found.size() else -1


def _queries(spark: Any, since: int) -> list[str]:
    """The plans of all later queries that aggregate; commands (views) do not."""
    found, plans = _executions(spark), []
    for at in reversed(range(found.size())):
        if found.apply(at).executionId() <= since:
            break
        plans.append(found.apply(at).physicalPlanDescription())
    return [plan for plan in plans if "Aggregate" in plan]


@pytest.mark.spark
@pytest.mark.parametrize(
    ("rules", "proven"),
    [
        (ROW_RULES, frozenset()),
        ((*ROW_RULES, Rule("once", "unique", ("id",))), frozenset()),
        ((*ROW_RULES, Rule("once", "unique", ("ID",))), frozenset({frozenset({"id"})})),
        ((*ROW_RULES, Rule("refers", "referential", ("id",), {"table": "other"})), frozenset()),
        ((*ROW_RULES, Rule("same", "reconciliation", (), {"table": "other", "own_measure": "sum(id)", "measure": "sum(id)"})), frozenset()),
        ((*ROW_RULES, Rule("grown", "change", (), {"measure": "sum(id)", "max_percent": "10", "against": 2})), frozenset()),
        ((*ROW_RULES, Rule("own", "sql", (), {"query": "select * from t where id < 0"})), frozenset()),
        ((Rule("columns", "columns", ("id",)), *ROW_RULES), frozenset()),
    ],
    ids=lambda value: value[-1].kind if isinstance(value, tuple) else "proven" if value else "",
)
def test_spark_runs_as_many_queries_as_explain_says(spark: Any, rules: tuple[Rule, ...], proven: frozenset[frozenset[str]]) -> None:
    from dp_foundation.quality.engine import measured

    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")  # a table of this size would be broadcast
    frame = spark.sql("select id % 1000 as id, 'a' v from range(0, 100, 1, 2)")  # a bare range is known to be clustered
    gate = Gate("t", rules)
    costs = explain(gate, proven)
    before = _newest(spark)
    around = Surroundings(
        state=lambda: frame,
        other=lambda name: frame,
        history=lambda measure, count: [measured(frame, measure) for _ in range(count)],
        reference=FIVE,
        name="t",
        tables=("t",),
        proven=proven,
    )
    results = judge(gate, tally(frame, gate), around)
    ran = _queries(spark, before)
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    assert {result.outcome for result in results.values()} <= {"passed"}, results
    assert len(ran) == sum(cost.queries for cost in costs), text(costs)
    assert sum("hashpartitioning" in plan for plan in ran) == sum(cost.shuffles for cost in costs), text(costs)


def test_explain_says_it_in_words() -> None:
    told = text(explain(Gate("t", (Rule("columns", "columns", ("id",)), *ROW_RULES, Rule("once", "unique", ("id",))))))
    assert told.splitlines() == [
        "there, known, sane, enough: 1 query, 0 shuffled; one aggregate over the rows that the run brought",
        "columns: 0 queries, 0 shuffled; the schema alone",
        "once: 1 query, 1 shuffled; the whole table grouped by its key",
    ]

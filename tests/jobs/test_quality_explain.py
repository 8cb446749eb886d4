"""What `explain` says a gate costs is what Spark's event log says it did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    Rule("enough_of_these", "row_count", (), {"min": 1}, filter="v = 'a'"),
)


@contextmanager
def _event_log(spark: Any, folder: Path) -> Iterator[Path]:
    """The file that `spark.eventLog.enabled` has Spark write, by the same class, of what is run inside; whole when the context ends."""
    context, jvm = spark.sparkContext._jsc.sc(), spark._jvm
    nothing, where = jvm.scala.Option.empty(), jvm.java.net.URI(folder.as_uri())
    conf = context.getConf().set("spark.eventLog.compress", "false").set("spark.eventLog.rolling.enabled", "false")
    writer = jvm.org.apache.spark.scheduler.EventLoggingListener("gate", nothing, where, conf, context.hadoopConfiguration())
    context.listenerBus().waitUntilEmpty()
    writer.start()
    context.addSparkListener(writer)
    try:
        yield folder / "gate"
    finally:
        context.listenerBus().waitUntilEmpty()
        context.removeSparkListener(writer)
        writer.stop()


def _queries(log: Path) -> list[str]:
    """The plans, as they ran at last, of all queries that aggregate; commands (views) do not."""
    plans: dict[int, str] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["Event"].endswith(("SparkListenerSQLExecutionStart", "SparkListenerSQLAdaptiveExecutionUpdate")):
            plans[event["executionId"]] = event["physicalPlanDescription"]
    return [plan for plan in plans.values() if "Aggregate" in plan]


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
        ((*ROW_RULES, Rule("grown", "change", (), {"max_percent": "10", "against": 3}, filter="id > 5")), frozenset()),
        ((*ROW_RULES, Rule("own", "sql", (), {"query": "select * from t where id < 0"})), frozenset()),
        ((Rule("columns", "columns", ("id",)), *ROW_RULES), frozenset()),
    ],
    ids=lambda value: value[-1].kind if isinstance(value, tuple) else "proven" if value else "",
)
def test_sparks_event_log_has_the_queries_that_explain_says(
    spark: Any, tmp_path: Path, rules: tuple[Rule, ...], proven: frozenset[frozenset[str]]
) -> None:
    from dp_foundation.quality.engine import measured

    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")  # a table of this size would be broadcast
    frame = spark.sql("select id % 1000 as id, 'a' v from range(0, 100, 1, 2)")  # a bare range is known to be clustered
    gate = Gate("t", rules)
    costs = explain(gate, proven)
    around = Surroundings(
        state=lambda: frame,
        other=lambda name: frame,
        history=lambda measure, count, condition: [measured(frame, measure, condition) for _ in range(count)],
        reference=FIVE,
        name="t",
        tables=("t",),
        proven=proven,
    )
    with _event_log(spark, tmp_path) as log:
        results = judge(gate, tally(frame, gate), around)
    ran = _queries(log)
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")
    assert {result.outcome for result in results.values()} <= {"passed"}, results
    assert len(ran) == sum(cost.queries for cost in costs), text(costs)
    assert sum("hashpartitioning" in plan for plan in ran) == sum(cost.shuffles for cost in costs), text(costs)


def test_explain_says_it_in_words() -> None:
    told = text(
        explain(
            Gate(
                "t",
                (Rule("implied_columns", "columns", ("id",)), *ROW_RULES, Rule("own", "columns", ("id",)), Rule("once", "unique", ("id",))),
            )
        )
    )
    assert told.splitlines() == [
        "there, known, sane, enough, enough_of_these: 1 query, 0 shuffled; one aggregate over the rows that the run brought",
        "implied_columns: 0 queries, 0 shuffled; the schema alone",
        "own: 0 queries, 0 shuffled; the schema alone; of raw files each one's own, and of json the keys of every record",
        "once: 1 query, 1 shuffled; the whole table grouped by its key",
    ]

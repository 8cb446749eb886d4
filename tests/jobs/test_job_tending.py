"""`use: check` and `use: maintain`, on real Spark and Iceberg."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dp_foundation.builtin import check, maintain
from dp_foundation.errors import DataError
from dp_foundation.iceberg.maintenance import sort_order
from meshplane.model.snapshots import by_id, replaced
from tests.jobs.job_world import World

pytestmark = pytest.mark.spark
RULES = [
    {"name": "implied_columns", "kind": "columns", "columns": ["id", "v"]},
    {"name": "implied_key_unique", "kind": "unique", "columns": ["id"]},
    {"name": "known", "kind": "in_set", "columns": ["v"], "params": {"values": ["a", "b"]}},
    {"name": "many", "kind": "row_count", "params": {"min": 10}, "severity": "warn"},
    {"name": "steady", "kind": "change", "params": {"measure": "count(*)", "max_percent": "50"}},
]


def _table(world: World, *names: str) -> None:
    for name in names:
        world.iceberg(name, "id bigint!, v string", key=["id"])
        world.tables[name]["gate"] = {"table": name, "digest": f"d-{name}", "rules": RULES}


def test_check_judges_what_stands_and_writes_nothing(world: World, spark: Any) -> None:
    _table(world, "good", "bad")
    for name, values in (("good", "(1L,'a'), (2L,'b')"), ("bad", "(1L,'a'), (1L,'c'), (2L,null)")):
        spark.sql(f"insert into glue_catalog.f01_de_refined.{world.project}_{name} values {values}")
    world.start({"reads": [{"table": "good"}], "use": "check"}, "r1")
    check.run()
    record = world.outbox("r1")
    (told,) = record["verdicts"]
    assert (record["state"], record["outputs"], told["passed"], told["branch"], told["rules_digest"]) == (
        "nothing",
        [],
        True,
        "main",
        "d-good",
    )
    assert {r["rule"]: r["outcome"] for r in told["results"]} == {
        "implied_columns": "passed", "implied_key_unique": "passed", "known": "passed", "many": "failed", "steady": "passed"
    }  # fmt: skip
    world.start({"reads": [{"table": "good"}, {"table": "bad"}], "use": "check"}, "r2")
    with pytest.raises(DataError, match=r"(?s)do not keep their rules.*bad: implied_key_unique failed \(1 of 3\); known failed \(1 of 3\)"):
        check.run()
    assert [v["passed"] for v in world.outbox("r2")["verdicts"]] == [True, False]
    assert world.outbox("r2")["state"] == "failed"
    identifier = f"glue_catalog.f01_de_refined.{world.project}_bad"
    spark.sql(f"delete from {identifier} where v is null or v = 'c'")
    assert len(world.summaries(identifier)) == 2
    world.start({"reads": [{"table": "bad"}], "use": "check"}, "r3")
    with pytest.raises(DataError, match=r"steady failed \(1 of 1: 1 now, 3 before\)"):
        check.run()


def test_an_empty_table_is_no_pass(world: World, spark: Any) -> None:
    _table(world, "none")
    world.start({"reads": [{"table": "none"}], "use": "check"}, "r1")
    with pytest.raises(DataError, match="none: it holds no rows"):
        check.run()


def test_maintain_does_what_the_optimizers_would(world: World, spark: Any) -> None:
    name = world.iceberg("t", "id bigint!, v string", key=["id"])
    for at in range(4):
        spark.sql(f"insert into {name} values ({at}L, 'x')")
    before = world.rows(name)
    how = {
        "strategy": "z-order",
        "min_input_files": 2,
        "sort": [{"column": "id", "descending": False}, {"column": "v", "descending": True}],
    }
    given = {"tasks": ["compaction", "retention", "orphans"], "tables": {"t": {**how, "days": 7, "keep": 1, "orphan_days": 3}}}
    world.start({"writes": [{"table": "t", "mode": "append"}], "use": "maintain", "with": given}, "r1")
    maintain.run()
    assert world.rows(name) == before
    table = world.catalog.load_table(name.removeprefix("glue_catalog."))
    assert len(table.inspect.files()) == 1
    newest = table.current_snapshot()
    assert newest is not None
    assert newest.summary is not None
    assert newest.summary.operation.value == "replace"
    raw = json.loads(table.metadata.model_dump_json(by_alias=True))
    assert replaced(by_id(raw), newest.snapshot_id), "what Iceberg writes is told from rows that changed"
    assert world.outbox("r1")["state"] == "nothing"
    assert len(world.summaries(name)) == 5  # none is older than seven days


def test_the_order_of_a_compaction() -> None:
    columns = [("a", False), ("b", True)]
    assert sort_order("binpack", columns) == ""
    assert sort_order("z-order", columns) == "zorder(a, b)"
    assert sort_order("sort", columns) == "a ASC NULLS FIRST, b DESC NULLS LAST"

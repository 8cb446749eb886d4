"""Verdicts of runs and audit branches, on real Spark and Iceberg."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa
import pytest

from dp_foundation.builtin import check, merge
from dp_foundation.errors import DataError, FoundationError
from dp_foundation.iceberg import metadata
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import begin
from meshplane.model.rules import Gate, Rule, implied
from tests.jobs.job_world import World, bucket

pytestmark = pytest.mark.spark
SCHEMAS = Path(__file__).parents[2] / "schemas"


def _gate(world: World, table: str, *rules: Rule, key: Sequence[str] = (), allow_empty: bool = False) -> Gate:
    columns = [column["name"] for column in world.tables[table]["columns"]]
    made = Gate(table, implied(columns, key) + rules, allow_empty=allow_empty)
    world.tables[table]["gate"] = made.to_json()
    return made


def _start(world: World, job: Mapping[str, Any], run_id: str = "r-1", attempt: str = "0_0", audit: bool = True, **run: Any) -> None:
    world.start(job, run_id, **run)
    argv = [*sys.argv[:-1], attempt, *(["--meshplane-gate", "audit"] if audit else [])]
    world.patch.setattr(sys, "argv", argv)


def _end(world: World, run_id: str = "r-1") -> dict[str, Any]:
    begin().finish()  # type: ignore[union-attr]
    record = world.outbox(run_id)
    jsonschema.validate(record, json.loads((SCHEMAS / "outbox.schema.json").read_text()))
    return record


def _outcomes(verdict: Mapping[str, Any]) -> dict[str, str]:
    return {result["rule"]: result["outcome"] for result in verdict["results"]}


def _table(world: World, identifier: str) -> Any:
    return world.catalog.load_table(identifier.removeprefix("glue_catalog."))


def _publish(world: World, identifier: str, snapshot: int) -> None:
    with _table(world, identifier).manage_snapshots() as change:
        change.set_current_snapshot(snapshot)


OUT = {"writes": [{"table": "out", "mode": "append"}]}


def test_a_run_that_is_published_later_writes_its_branch_and_leaves_main(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    gate = _gate(world, "out", Rule("known", "in_set", ("v",), {"values": ["a", "b"]}), key=["id"])
    _start(world, OUT)
    write_iceberg(df=spark.sql("select 1L id, 'a' v"), table="out")
    write_iceberg(df=spark.sql("select 2L id, 'x' v"), table="out")
    assert read_table(spark, "out").count() == 2  # a step sees what it wrote
    record = _end(world)
    assert (world.rows(out), _table(world, out).current_snapshot()) == ([], None)
    [output], [verdict] = record["outputs"], record["verdicts"]
    branch = "audit_r_1_load_0_0"
    head = _table(world, out).snapshot_by_name(branch)
    told = {"branch": branch, "snapshot": head.snapshot_id, "parent": None}
    assert output == {"table": "out", "rows_added": 2, "rows_total": 2, **told}
    assert {**verdict, **told} == verdict
    assert (verdict["rules_digest"], verdict["schema_id"], verdict["rows"], verdict["passed"]) == (gate.digest, 0, 2, False)
    assert _outcomes(verdict) == {
        "implied_columns": "passed",
        "implied_key_not_null": "passed",
        "implied_key_unique": "passed",
        "known": "failed",
    }
    assert verdict["results"][-1]["violations"] == 1


def test_each_attempt_has_its_branch_from_main_and_a_run_commits_once(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint")
    _gate(world, "out")
    frame = spark.sql("select 1L id")
    for attempt in ("0_0", "0_0", "1_0"):  # the second is the same attempt again: its branch begins anew
        _start(world, OUT, attempt=attempt)
        write_iceberg(df=frame, table="out")
        record = _end(world)
        assert (record["outputs"][0]["rows_total"], record["verdicts"][0]["passed"]) == (1, True)
    assert len([s for s in world.summaries(out) if s.get("run_id")]) == 3
    _publish(world, out, record["outputs"][0]["snapshot"])
    _start(world, OUT, attempt="1_1")  # published, and only the answer was lost
    write_iceberg(df=frame, table="out")
    assert (_end(world)["outputs"][0]["branch"], world.rows(out)) == ("main", [(1,)])
    _start(world, OUT, "r-2")
    write_iceberg(df=frame, table="out")
    second = _end(world, "r-2")
    assert (second["outputs"][0]["parent"], second["outputs"][0]["rows_total"]) == (record["outputs"][0]["snapshot"], 2)


def test_files_count_as_consumed_once_their_run_is_published(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint")
    out = world.iceberg("out", "id bigint!", key=["id"])
    _gate(world, "out", key=["id"])
    job = {"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "merge"}], "use": "merge", "with": {}}
    world.put(f"{prefix}a.csv", "id\n1\n")
    for run_id in ("r1", "r2"):
        _start(world, job, run_id)
        merge.run()
        assert world.outbox(run_id)["inputs"][0]["objects"][0]["key"] == f"{prefix}a.csv"
        assert world.ledger()[run_id]["state"] == "intent"
    _publish(world, out, world.outbox("r2")["outputs"][0]["snapshot"])
    world.put(f"{prefix}b.csv", "id\n1\n")
    _start(world, job, "r3")
    merge.run()
    assert [o["key"] for o in world.outbox("r3")["inputs"][0]["objects"]] == [f"{prefix}b.csv"]
    assert world.ledger()["r2"]["state"] == "done"
    assert world.ledger()["r1"]["state"] == "intent"
    note = {"schema": 1, "state": "done", "tables": []}  # its snapshots have expired since
    world.s3.put_object(Bucket=bucket("refined"), Key=f"{world.project}/_runs/r1/publish-load.json", Body=json.dumps(note))
    _start(world, job, "r4")
    read_table(spark, "raw")
    assert world.ledger()["r1"]["state"] == "done"


def test_a_merge_proves_its_key_and_a_foreign_append_ends_the_proof(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    _gate(world, "out", Rule("fresh", "row_count", (), {"min": 1}), key=["id"])
    job = {"writes": [{"table": "out", "mode": "merge"}]}
    details = []
    for run in range(3):
        _start(world, job, f"r{run}", audit=run < 1)
        write_iceberg(df=spark.sql(f"select 1L id, 'v{run}' v union all select {run + 5}L, 'x'"), table="out", mode="merge")
        record = _end(world, f"r{run}")
        assert record["verdicts"][0]["passed"] is (run < 2)
        details.append(next(r["detail"] for r in record["verdicts"][0]["results"] if r["rule"] == "implied_key_unique"))
        if run == 0:
            _publish(world, out, record["outputs"][0]["snapshot"])
        if run == 1:
            spark.sql(f"insert into {out} values (1, 'again')")
    assert [bool(detail) for detail in details] == [True, True, False]


def test_a_duplicate_that_a_merge_did_not_see_fails_the_gate(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    _gate(world, "out", key=["id"])
    spark.sql(f"insert into {out} values (1, 'a'), (1, 'b')")
    _start(world, {"writes": [{"table": "out", "mode": "merge"}]})
    write_iceberg(df=spark.sql("select 2L id, 'x' v"), table="out", mode="merge")
    [verdict] = _end(world)["verdicts"]
    assert (verdict["passed"], verdict["rows"]) == (False, 1)
    assert _outcomes(verdict)["implied_key_unique"] == "failed"


@pytest.mark.parametrize(("select", "rows"), [("select 1L id where false", 0), ("select 1L id", 1)])
def test_an_empty_batch_is_a_verdict_of_its_own(world: World, spark: Any, select: str, rows: int) -> None:
    world.iceberg("out", "id bigint")
    for run, allowed in enumerate((False, True)):
        _gate(world, "out", allow_empty=allowed)
        _start(world, OUT, f"r{run}")
        write_iceberg(df=spark.sql(select), table="out")
        [verdict] = _end(world, f"r{run}")["verdicts"]
        assert (verdict["rows"], verdict["passed"]) == (rows, allowed or rows > 0)


def test_rules_on_the_whole(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint, at timestamp")
    world.iceberg("other", "ref bigint")
    spark.sql(f"insert into {out} values (9, timestamp'2026-01-01')")
    spark.sql(f"insert into glue_catalog.f01_de_refined.{world.project}_other values (1), (9)")
    rules = [
        Rule("refers", "referential", ("id",), {"table": "other", "columns": ["ref"]}),
        Rule(
            "same_count",
            "reconciliation",
            (),
            {"table": "other", "measure": "count(*)", "own_measure": "count(*)", "tolerance_percent": "0"},
        ),
        Rule(
            "near_count",
            "reconciliation",
            (),
            {"table": "other", "measure": "count(*)", "own_measure": "count(*)", "tolerance_percent": "50"},
        ),
        Rule("grown", "change", (), {"measure": "count(*)", "max_percent": "100", "against": 2}),
        Rule("grown_sum", "change", (), {"measure": "sum(id)", "max_percent": "300"}),
        Rule("own", "sql", (), {"query": "select o.* from out o left anti join other t on o.id = t.ref;"}, threshold_rows=1),
        Rule("no_command", "sql", (), {"query": f"drop table {out}"}),
        Rule("fresh", "freshness", ("at",), {"within": 3600}),
        Rule("old", "freshness", ("at",), {"within": 3599}),
    ]
    _gate(world, "out", *rules)
    _start(world, {"reads": [{"table": "other"}], **OUT}, window_start="2026-01-02T00:00:00Z", window_end="2026-01-03T00:00:00Z")
    write_iceberg(df=spark.sql("select id, timestamp'2026-01-02 23:00:00' at from values (1L), (2L) as t(id)"), table="out")
    [verdict] = _end(world)["verdicts"]
    expected = {"refers": "failed", "same_count": "failed", "near_count": "passed", "grown": "failed", "grown_sum": "passed"}
    expected |= {"own": "passed", "no_command": "error", "fresh": "passed", "old": "failed", "implied_columns": "passed"}
    assert _outcomes(verdict) == expected, verdict
    assert world.rows(out) == [(9, _time())]


def _time() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("raw", ["raw", "customers.raw"], ids=["own", "of another project"])
def test_a_raw_batch_is_judged_before_the_job_and_a_rejected_one_is_marked_and_stays(world: World, spark: Any, raw: str) -> None:
    prefix = world.raw("raw", "id bigint, v string")
    world.tables[raw] = {**world.tables.pop("raw"), **({"project": "customers"} if raw != "raw" else {})}
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    _gate(world, raw, Rule("enough", "row_count", (), {"min": 2}), Rule("once", "unique", ("id",)))
    job = {"reads": [{"table": raw}], "writes": [{"table": "out", "mode": "merge"}], "use": "merge", "with": {}}
    world.put(f"{prefix}a.csv", "id,v\n1,a\n1,b\n2,c\n")
    for attempt in ("0_0", "0_1"):
        _start(world, job, "r1", attempt)
        with pytest.raises(DataError, match=r"rejected: once failed \(1 of 3\)"):
            merge.run()
    record = world.outbox("r1")
    jsonschema.validate(record, json.loads((SCHEMAS / "outbox.schema.json").read_text()))
    assert (record["state"], record["verdicts"][0]["table"], record["verdicts"][0]["passed"]) == ("failed", raw, False)
    entry = world.ledger()["r1"]
    jsonschema.validate(entry, json.loads((SCHEMAS / "ledger.schema.json").read_text()))
    assert (entry["state"], "once failed" in entry["reason"]) == ("rejected", True)
    assert world.s3.head_object(Bucket=bucket("raw"), Key=f"{prefix}a.csv")["ContentLength"] == 17
    world.put(f"{prefix}b.csv", "id,v\n3,a\n4,b\n")
    _start(world, job, "r2", audit=False)
    merge.run()
    assert [row[0] for row in world.rows(out)] == [3, 4]
    assert [v["table"] for v in world.outbox("r2")["verdicts"]] == [raw]


@pytest.mark.parametrize("form", ["csv", "iceberg"])
def test_a_script_that_catches_a_rejection_gets_no_row_and_writes_none(world: World, spark: Any, form: str) -> None:
    """The record stays failed, so that nobody publishes what a script makes of it; past any gate it would be on `main` at once."""
    out = world.iceberg("out", "id bigint, v string")
    if form == "csv":
        world.put(f"{world.raw('raw', 'id bigint, v string')}a.csv", "id,v\n1,a\n1,b\n")
    else:
        spark.sql(f"insert into {world.iceberg('raw', 'id bigint, v string', layer='raw')} values (1, 'a'), (1, 'b')")
    _gate(world, "raw", Rule("once", "unique", ("id",)))
    _start(world, {"reads": [{"table": "raw"}], **OUT}, audit=False)
    for _ in ("caught", "asked again"):
        with pytest.raises(DataError, match=r"rejected: once failed \(1 of 2\)"):
            read_table(spark, "raw")
    with pytest.raises(FoundationError, match=r"has failed and writes no more; it failed by: raw: the .* is rejected"):
        write_iceberg(spark.sql("select 1L id, 'made up' v"), "out")
    world.ends()
    record = world.outbox("r-1")
    assert (record["state"], record["outputs"], len(record["verdicts"]), world.rows(out)) == ("failed", [], 1, [])


def test_a_raw_iceberg_table_is_judged_as_it_stands_before_a_job_reads_it(world: World, spark: Any) -> None:
    raw = world.iceberg("raw", "id bigint, v string", layer="raw")
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    _gate(world, "raw", Rule("enough", "row_count", (), {"min": 2}), Rule("once", "unique", ("id",)))
    job = {"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "merge"}], "use": "merge", "with": {}}
    _start(world, job, "r0", audit=False)
    merge.run()
    assert world.outbox("r0")["verdicts"] == [], "nothing has arrived"
    spark.sql(f"insert into {raw} values (1, 'a')")
    _start(world, job, "r1")
    with pytest.raises(DataError, match=r"the table at snapshot \d+ is rejected: enough failed"):
        merge.run()
    record = world.outbox("r1")
    jsonschema.validate(record, json.loads((SCHEMAS / "outbox.schema.json").read_text()))
    assert (record["state"], record["verdicts"][0]["table"], record["verdicts"][0]["passed"]) == ("failed", "raw", False)
    assert world.rows(out) == []
    spark.sql(f"insert into {raw} values (2, 'b')")
    _start(world, job, "r2", audit=False)
    merge.run()
    assert [row[0] for row in world.rows(out)] == [1, 2]
    assert [(told["table"], told["passed"]) for told in world.outbox("r2")["verdicts"]] == [("raw", True)]


def test_each_state_of_a_raw_iceberg_table_is_judged_that_a_job_reads(world: World, spark: Any) -> None:
    raw = world.iceberg("raw", "id bigint", layer="raw")
    world.iceberg("out", "id bigint")
    _gate(world, "raw", Rule("sane", "range", ("id",), {"min": 0}))
    spark.sql(f"insert into {raw} values (1)")
    _start(world, {"reads": [{"table": "raw"}], **OUT}, audit=False)
    first = [read_table(spark, "raw"), read_table(spark, "raw")]
    _table(world, raw).append(pa.table({"id": pa.array([-1], pa.int64())}))
    assert [frame.count() for frame in first] == [1, 1], "what somebody else commits is not in a frame that was judged"
    with pytest.raises(DataError, match=r"the table at snapshot \d+ is rejected: sane failed"):
        read_table(spark, "raw")
    record = world.outbox("r-1")
    ids = [row[0] for row in spark.sql(f"select snapshot_id from {raw}.snapshots order by committed_at").collect()]
    assert record["inputs"] == [{"table": "raw", "snapshot": snapshot} for snapshot in ids]
    assert [told["passed"] for told in record["verdicts"]] == [True, False]


def test_the_snapshot_that_is_named_is_the_one_that_was_read(world: World, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    out = world.iceberg("out", "id bigint")
    _start(world, {"reads": [{"table": "out"}], "writes": []}, audit=False)
    spark.sql(f"insert into {out} values (1)")
    looks: list[int | None] = []
    before = metadata.load

    def load(database: str, name: str) -> metadata.TableMetadata | None:
        known = before(database, name)
        looks.append(known.head if known else None)
        if len(looks) == 1:
            # Somebody commits between the look and the read.
            _table(world, out).append(pa.table({"id": pa.array([2], pa.int64())}))
        return known

    monkeypatch.setattr(metadata, "load", load)
    rows = read_table(spark, "out").count()
    assert rows == 2
    assert len(set(looks)) == 2
    assert _end(world)["inputs"] == [{"table": "out", "snapshot": looks[-1]}]


def test_a_filter_decides_which_rows_a_row_count_counts(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    rules = [Rule(name, "row_count", (), {"min": 2}, filter=f"v = '{name}'") for name in ("a", "b")]
    _gate(world, "out", *rules, Rule("all", "row_count", (), {"min": 3, "max": 3}), key=["id"])
    for run, mode in (("r1", "append"), ("r2", "merge")):
        _start(world, {"writes": [{"table": "out", "mode": mode}]}, run)
        write_iceberg(df=spark.sql("select id, v from values (1L, 'a'), (2L, 'a'), (3L, 'b') as t(id, v)"), table="out", mode=mode)
        [verdict] = _end(world, run)["verdicts"]
        outcomes = _outcomes(verdict)
        assert (outcomes["a"], outcomes["b"], outcomes["all"], verdict["rows"]) == ("passed", "failed", "passed", 3)
        assert verdict["results"][-2]["detail"] == "1 rows; allowed: 2 to any number"
    assert world.rows(out) == []


def test_a_table_that_many_batches_made_is_not_judged_as_one_of_them(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint, v string")
    rules = [
        Rule("batch", "row_count", (), {"min": 1, "max": 3}),
        Rule("few", "not_null", ("v",), threshold_rows=1),
        Rule("share", "not_null", ("v",), threshold_percent="50", filter="id > 0"),
        Rule("once", "unique", ("v",), threshold_rows=1, severity="warn"),
    ]
    gate = _gate(world, "out", *rules)
    for run in range(3):
        _start(world, OUT, f"r{run}")
        write_iceberg(df=spark.sql("select 1L id, 'a' v union all select 2L, null"), table="out")
        record = _end(world, f"r{run}")
        assert record["verdicts"][0]["passed"], record
        _publish(world, out, record["outputs"][0]["snapshot"])
    world.start({"reads": [{"table": "out"}], "use": "check"}, "watch")
    check.run()
    [verdict] = world.outbox("watch")["verdicts"]
    assert (verdict["passed"], verdict["rows"], verdict["rules_digest"]) == (True, 6, gate.digest)
    assert [(r["outcome"], r["violations"], r["rows"]) for r in verdict["results"][1:]] == [
        ("passed", 0, 6),
        ("passed", 3, 6),
        ("passed", 3, 6),
        ("failed", 2, 3),  # that one was judged on the whole table from the start
    ]
    spark.catalog.refreshTable(out)
    spark.sql(f"delete from {out} where id = 1")
    world.start({"reads": [{"table": "out"}], "use": "check"}, "again")
    with pytest.raises(DataError, match=r"out: share failed \(3 of 3\)"):
        check.run()


def test_without_the_argument_main_is_written_and_the_verdict_recorded(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint, v double", partition="id:identity")
    _gate(world, "out", Rule("sane", "range", ("v",), {"min": 0}))
    _start(world, {"writes": [{"table": "out", "mode": "overwrite_window"}]}, audit=False)
    write_iceberg(df=spark.sql("select 1L id, cast('NaN' as double) v"), table="out", mode="overwrite_window")
    [verdict] = _end(world)["verdicts"]
    assert (verdict["branch"], verdict["passed"], len(world.rows(out))) == ("main", False, 1)


def test_what_cannot_be_judged_is_an_error_and_no_other_rule_suffers(world: World, spark: Any) -> None:
    world.iceberg("out", "id bigint, v string")
    rules = [
        Rule("no_column", "not_null", ("gone",)),
        Rule("bad_filter", "not_null", ("id",), filter="nonsense("),
        Rule("bad_value", "in_set", ("id",), {"values": ["x"]}),
        Rule("bad_pattern", "pattern", ("v",), {"pattern": "("}, severity="warn"),
        Rule("no_table", "referential", ("id",), {"table": "nowhere"}, severity="warn"),
        Rule("good", "not_null", ("id",), filter="v = 'a'"),
    ]
    _gate(world, "out", *rules)
    _start(world, OUT)
    write_iceberg(df=spark.sql("select 1L id, 'a' v"), table="out")
    [verdict] = _end(world)["verdicts"]
    assert _outcomes(verdict) == {rule.name: "error" for rule in rules[:5]} | {"good": "passed", "implied_columns": "passed"}
    assert verdict["passed"] is False


def test_a_script_that_stopped_its_session_is_judged_all_the_same(world: World, spark: Any) -> None:
    world.iceberg("out", "id bigint")
    _gate(world, "out", Rule("there", "not_null", ("id",)))
    _start(world, OUT)
    write_iceberg(df=spark.sql("select 1L id"), table="out")
    spark.stop()
    [verdict] = _end(world)["verdicts"]
    assert (verdict["passed"], verdict["rows"]) == (True, 1)

"""Rows that break a contract at landing: where they go, what lands, what the gate says then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dp_foundation.builtin import files, merge, sql
from dp_foundation.contracts import land
from dp_foundation.errors import DataError, SchemaMismatchError
from dp_foundation.io.writers import merge_iceberg, write_iceberg
from dp_foundation.run.current import begin
from meshplane.model.quarantine import REPLAY
from meshplane.model.rules import Contract, Gate, Rule, implied
from tests.jobs.job_world import World, bucket
from tests.jobs.landing_world import JOB, kept, landing, made

pytestmark = pytest.mark.spark
ROWS = "id;amount;currency;at\n1;1.50;EUR;2026-01-01\n2;twelve;EUR;2026-01-01\n3;1.005;EUR;2026-01-01\n;4;EUR;\n5;5;XXX;\n6;6;;soon\n"


def _kept(spark: Any, quarantine: str) -> dict[str, Any]:
    """The row's amount → its reasons."""
    spark.catalog.refreshTable(quarantine)
    rows = spark.table(quarantine).collect()
    return {json.loads(r["row"])["amount"]: [(x["entity"], x["column"], x["rule"]) for x in r["reasons"]] for r in rows}


def test_bad_rows_are_kept_with_reasons_and_the_others_land(world: World, spark: Any) -> None:
    currencies = Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD"]}, threshold_percent="20")
    prefix, orders, quarantine = landing(world, currencies)
    world.put(f"{prefix}a.csv", ROWS)
    for run_id in ("r1", "r2"):  # the same file again, as after a run that was not published
        world.start(JOB, run_id)
        merge.run()
        if run_id == "r1":
            [verdict] = world.outbox("r1")["verdicts"]
            world.put(f"{prefix}a.csv", ROWS)
    assert [row[0] for row in world.rows(orders)] == [1]
    assert _kept(spark, quarantine) == {
        "twelve": [("types", "amount", "")],
        "1.005": [("precision", "amount", "")],
        "4": [("nullability", "id", "")],
        "5": [("enum", "currency", "currencies")],
        "6": [("types", "at", "")],
    }
    row = spark.table(quarantine).where("row like '%twelve%'").first()
    assert (row["run_id"], row["contract_version"], row["replayed_by"]) == ("r1", "1.2.0", "")
    assert (row["source_object"].endswith(f"{prefix}a.csv"), len(row["rule_fingerprint"])) == (True, 64)
    assert json.loads(row["row"]) == {"id": "2", "amount": "twelve", "currency": "EUR", "at": "2026-01-01"}
    assert (verdict["quarantined"], verdict["rows"]) == (5, 1)
    [result] = [r for r in verdict["results"] if r["rule"] == "currencies"]
    assert (result["violations"], result["rows"], result["outcome"], verdict["passed"]) == (1, 2, "failed", False)


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        ({"types": "freeze"}, "amount: 1 row.s. break types"),
        ({"precision": "freeze"}, "break precision"),
        ({"nullability": "freeze"}, "id: 1 row"),
    ],
)
def test_what_is_frozen_fails_the_job(world: World, spark: Any, modes: Mapping[str, Any], told: str) -> None:
    prefix, orders, quarantine = landing(world, **modes)
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    with pytest.raises(DataError, match=told):
        merge.run()
    assert (world.rows(orders), spark.table(quarantine).count()) == ([], 0)


def test_a_discarded_value_is_null_and_the_row_is_kept_beside(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(
        world,
        Rule("currencies", "in_set", ("currency",), {"values": ["EUR"]}, threshold_rows=1),
        types="discard_value",
        precision="discard_value",
        enum="discard_value",
        nullability="discard_value",
    )
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    merge.run()
    landed = {row[0]: row[1:3] for row in world.rows(orders)}
    assert set(landed) == {1, 2, 3, 5, 6}
    assert [landed[key] for key in (2, 3)] == [(None, "EUR")] * 2
    assert landed[5][1] is None
    assert len(_kept(spark, quarantine)) == 5
    [verdict] = world.outbox()["verdicts"]
    assert (verdict["passed"], verdict["quarantined"], verdict["rows"]) == (True, 1, 5)


def test_a_batch_without_a_good_row_fails_and_is_kept(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world)
    world.put(f"{prefix}a.csv", "id;amount;currency;at\n1;x;EUR;\n2;y;EUR;\n")
    world.start(JOB)
    with pytest.raises(DataError, match="each of 2 rows breaks the contract"):
        merge.run()
    assert (world.outbox()["state"], sorted(_kept(spark, quarantine)), world.rows(orders)) == ("failed", ["x", "y"], [])


def test_a_file_drop_and_a_frame_of_a_job_land_the_same_way(world: World, spark: Any) -> None:
    _, orders, quarantine = landing(world)
    world.put(f"{world.project}/inbox/a.json", '{"id": 1, "amount": 1.5}\n{"amount": 2}\n')
    drop = {"use": "files", "with": {"from": "inbox", "format": "json"}, "writes": [{"table": "orders", "mode": "append"}]}
    world.start(drop)
    files.run()
    world.start({"writes": [{"table": "orders", "mode": "append"}]}, "r2")
    write_iceberg(df=land(spark.sql("select '7' id, '1.1' amount union all select 'x', '3'"), "orders"), table="orders")
    assert [row[0] for row in world.rows(orders)] == [1, 7]
    assert {amount: [e for e, *_ in why] for amount, why in _kept(spark, quarantine).items()} == {
        2.0: ["nullability"],
        "3": ["types"],
    }
    with pytest.raises(SchemaMismatchError, match="has no column more"):
        land(spark.sql("select 1 id, 2 more"), "orders")


def test_what_a_job_writes_by_itself_is_held_against_the_contract(world: World, spark: Any) -> None:
    currencies = Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD"]}, threshold_percent="50")
    prefix, orders, quarantine = landing(world, currencies)
    world.put(f"{prefix}a.csv", ROWS)
    world.put("orders.sql", "select id, amount, currency from raw")
    path = f"s3://{bucket('raw')}/orders.sql"
    world.start({"reads": [{"table": "raw"}], "writes": [{"table": "orders", "mode": "append"}], "use": "sql", "sql": path})
    sql.run()
    assert [row[0] for row in world.rows(orders)] == [1, 6]
    assert sorted(_kept(spark, quarantine)) == ["1.005", "4", "5", "twelve"]
    [verdict] = world.outbox()["verdicts"]
    assert (verdict["quarantined"], verdict["rows"], verdict["passed"]) == (4, 2, True)

    world.start({"writes": [{"table": "orders", "mode": "merge"}]}, "r2")
    rows = spark.sql("select 1L id, 'USD' currency, false gone union all select 6, null, true union all select 9, 'XXX', false")
    merge_iceberg(rows, "orders", deleted="gone")
    # Columns that the frame does not have keep what they hold, and who asks for a deletion needs the key alone.
    assert [(row[0], str(row[1]), row[2]) for row in world.rows(orders)] == [(1, "1.50", "USD")]
    spark.catalog.refreshTable(quarantine)
    [apart] = [json.loads(row["row"]) for row in spark.table(quarantine).where("run_id = 'r2'").collect()]
    assert apart == {"id": 9, "currency": "XXX", "gone": False}


def test_a_frame_that_cannot_fit_is_refused_and_a_discarded_column_left_out(world: World, spark: Any) -> None:
    _, orders, quarantine = landing(world)
    world.start({"writes": [{"table": "orders", "mode": "append"}]})
    for bad in ("1.5D id", "1L id, 2 more", "1L id, 2L ID"):
        with pytest.raises(SchemaMismatchError):
            write_iceberg(df=spark.sql(f"select {bad}"), table="orders")
    current = begin()
    assert current is not None
    current.finish()
    assert (world.outbox("r1")["state"], world.rows(orders)) == ("failed", []), "also where somebody swallowed the error"
    write_iceberg(df=spark.sql("select 3L id"), table="orders")
    world.ends()
    assert world.outbox("r1")["state"] == "done", "a script may have another frame"
    world.tables["orders"]["gate"]["contract"]["columns"] = "discard_value"
    world.start({"writes": [{"table": "orders", "mode": "append"}]}, "r2")
    write_iceberg(df=spark.sql("select 1L id, 2 more"), table="orders")
    assert [row[0] for row in world.rows(orders)] == [1, 3]
    spark.catalog.refreshTable(quarantine)
    [beside] = spark.table(quarantine).collect()
    assert (json.loads(beside["row"]), beside["reasons"][0]["entity"]) == ({"id": 1, "more": 2}, "columns")


SOLD = {**JOB, "with": {"map": {"amount": "price * quantity"}}}
TYPED = "id bigint, price double, quantity int, currency string, at timestamp"
BATCH = (
    '{"id": 1, "price": 0.1, "quantity": 3, "at": "2026-01-01T00:00:00Z"}\n'
    '{"id": 2, "price": 12.345, "quantity": 1, "currency": "EUR"}\n'
    '{"id": 3, "price": 2.5, "quantity": 2, "at": "2026-01-01T12:30:00.123456Z"}\n'
    '{"id": 4}\n'
    '{"id": 5, "price": 1e11, "quantity": 1}\n'
)


@pytest.mark.parametrize("mode", ["quarantine_row", "discard_value", "evolve", "freeze"])
def test_no_mode_rounds_or_cuts_a_number_or_a_time(world: World, spark: Any, mode: str) -> None:
    """What a cast would change is in the quarantine as it came, and a replay lands it once the manifest says what is meant."""
    prefix, orders, quarantine = landing(world, form="json", raw=TYPED, precision=mode)
    world.put(f"{prefix}a.json", BATCH)
    world.start(SOLD)
    if mode == "freeze":
        with pytest.raises(DataError, match=r"amount: 1 row\(s\) break precision(.|\n)*at: 1 row\(s\) break precision"):
            merge.run()
        assert (world.rows(orders), kept(world, quarantine)) == ([], [])
        return
    merge.run()
    world.ends()
    landed = {row[0]: (str(row[1]), str(row[3])) for row in world.rows(orders)}
    whole = {1: ("0.30", "2026-01-01"), 4: ("None", "None")}
    grown = {5: ("100000000000.00", "None")} if mode == "evolve" else {}
    without = {2: ("None", "None"), 3: ("5.00", "None")} if mode == "discard_value" else {}
    assert landed == whole | grown | without
    aside = {row["row"]["id"]: row for row in kept(world, quarantine)}
    assert sorted(aside) == [2, 3, *([] if grown else [5])]
    stood = "discard_value" if mode == "discard_value" else "quarantine_row"
    for number, column in ((2, "amount"), (3, "at")):
        told = [aside[number][word] for word in ("reasons", "columns", "modes", "source_position")]
        assert told == [["precision"], [column], [stood], number]
    assert (aside[2]["row"]["price"], aside[3]["row"]["at"]) == (12.345, "2026-01-01T12:30:00.123456Z")

    meant = {"amount": "cast(round(price * quantity, 2) as decimal(18,2))", "at": "cast(at as date)"}
    world.start({**SOLD, "with": {"map": meant}}, "r2", params={REPLAY: json.dumps({"table": "orders", "reason": "precision"})})
    merge.run()
    world.ends()
    landed = {row[0]: (str(row[1]), str(row[3])) for row in world.rows(orders)}
    assert landed == whole | grown | {2: ("12.35", "None"), 3: ("5.00", "2026-01-01")}


def test_a_column_that_grew_takes_what_it_has_room_for_though_less_is_declared(world: World, spark: Any) -> None:
    columns = ["id", "n", "f", "amount"]
    prefix = world.raw("raw", ", ".join(f"{name} string" for name in columns), delimiter=";")
    orders = world.iceberg("orders", "id bigint!, n int, f float, amount decimal(12,2)", key=["id"])
    contract = Contract(version="1.2.0", types="evolve", precision="evolve")
    world.tables["orders"]["gate"] = Gate("orders", implied(columns, ["id"]), contract).to_json()
    quarantine = made(world)
    for number in (1, 2):
        world.put(f"{prefix}{number}.csv", f"id;n;f;amount\n{number};3000000000;0.123456789;12345678901234567890.50\n")
        world.start(JOB, f"r{number}")
        merge.run()
        world.ends()
    assert kept(world, quarantine) == []
    grown = (3_000_000_000, 0.123456789, "12345678901234567890.50")
    assert [(n, f, str(amount)) for _, n, f, amount in world.rows(orders)] == [grown] * 2

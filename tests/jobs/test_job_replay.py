"""Rows in quarantine: what of a batch is where, which record of its file a row was, and what a replay makes of it (J6)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dp_foundation.builtin import files, merge, replay
from dp_foundation.errors import ConfigError, DataError
from dp_foundation.run.current import begin
from meshplane.model.quarantine import REPLAY
from meshplane.model.rules import Rule
from tests.jobs.job_world import World, bucket
from tests.jobs.landing_world import JOB, judged, kept, landing

pytestmark = pytest.mark.spark
ROWS = "id;amount;currency;at\n1;1.50;EUR;2026-01-01\n2;twelve;EUR;2026-01-01\n3;1.005;EUR;2026-01-01\n;4;EUR;\n5;5;XXX;\n6;6;EUR;\n"
CURRENCIES = Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD"]}, threshold_percent="50")
WIDER = Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD", "XXX"]})
TWELVE = {"with": {"map": {"amount": "if(amount = 'twelve', '12', amount)"}}}


def _replayed(world: World, run_id: str, job: Any = JOB, step: str = "", audit: bool = False, attempt: int = 0, **wanted: str) -> None:
    world.start(job, run_id, attempt, params={REPLAY: json.dumps({"table": "orders", **wanted})})
    current = begin()
    assert current
    current.step, current.audit = step or current.step, audit
    (files if job["use"] == "files" else merge).run()
    world.ends()


ENTITIES = ("types", "precision", "nullability", "enum")
KEPT, LET_IN = "quarantine_row", "discard_value"
MIXES = [(KEPT,) * 4, (LET_IN,) * 4, (KEPT, LET_IN) * 2, (LET_IN, KEPT) * 2]


@pytest.mark.parametrize("modes", MIXES, ids=str)
def test_no_mode_loses_a_row_or_a_value(world: World, spark: Any, modes: tuple[str, ...]) -> None:
    """Rows in = rows landed + rows kept out; a row that landed without a value stands in the quarantine as it came."""
    prefix, orders, quarantine = landing(world, CURRENCIES, **dict(zip(ENTITIES, modes, strict=True)))
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    merge.run()
    world.ends()
    aside = kept(world, quarantine)
    landed = {str(row[0]): row for row in world.rows(orders)}
    out = {row["row"]["id"] or "" for row in aside if KEPT in row["modes"]}
    assert sorted([*landed, *out]) == ["", "1", "2", "3", "5", "6"]
    without = {name for name in ("2", "3", "5") if name in landed and None in landed[name][1:3]}
    assert without == {row["row"]["id"] for row in aside if KEPT not in row["modes"]}
    assert [verdict.get("quarantined") for verdict in world.outbox()["verdicts"]] == [len(out)]


@pytest.mark.parametrize("entity", ENTITIES[:3])
def test_what_is_frozen_fails_the_run_and_leaves_everything_where_it_is(world: World, spark: Any, entity: str) -> None:
    """A frozen set is not landing's: it stops the run at its gate (test_quality_conformance)."""
    prefix, orders, quarantine = landing(world, CURRENCIES, **{entity: "freeze"})
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    with pytest.raises(DataError, match=f"break {entity}"):
        merge.run()
    assert (world.rows(orders), kept(world, quarantine), world.outbox()["state"]) == ([], [], "failed")


@pytest.mark.parametrize("size", ["128m", "400"])
def test_a_position_is_the_record_of_the_file_however_it_is_cut(world: World, spark: Any, size: str) -> None:
    prefix, _, quarantine = landing(world)
    spark.conf.set("spark.sql.files.maxPartitionBytes", size)
    try:
        for name, shift in (("a.csv", 0), ("b.csv", 1)):
            rows = [f"{n};{'bad' if n % 10 == shift else n};EUR;" for n in range(1, 101)]
            world.put(f"{prefix}{name}", "id;amount;currency;at\n" + "\n".join(rows) + "\n")
        world.start(JOB)
        merge.run()
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    found = [(row["source_object"][-5:], row["source_position"]) for row in kept(world, quarantine)]
    assert found == [("a.csv", n) for n in range(10, 101, 10)] + [("b.csv", n) for n in range(1, 101, 10)]


def test_a_position_in_json_and_parquet(world: World, spark: Any) -> None:
    prefix, _, quarantine = landing(world, form="parquet", raw="id string, amount string")
    spark.sql("select cast(id as string) id, if(id = 7, 'bad', '1') amount from range(1, 11)").coalesce(1).write.parquet(
        f"s3://{bucket('raw')}/{prefix}", mode="append"
    )
    world.start(JOB)
    merge.run()
    world.tables["raw"]["format"] = "json"
    world.tables["raw"]["location"] += "j/"
    world.put(f"{prefix}j/a.json", '{"id": "20", "amount": "1"}\n{"id": "21", "amount": "x"}\n')
    world.start(JOB, "r2")
    merge.run()
    assert sorted(row["source_position"] for row in kept(world, quarantine)) == [2, 7]


def test_a_replay_lands_what_the_contract_of_today_keeps_and_marks_it(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, CURRENCIES)
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    merge.run()
    world.ends()
    assert [row[0] for row in world.rows(orders)] == [1, 6]
    world.put(f"{prefix}b.csv", "id;amount;currency;at\n9;9;EUR;\n")  # a replay leaves new files to the next run
    judged(world, WIDER)
    _replayed(world, "r2", JOB | TWELVE)
    assert [row[0] for row in world.rows(orders)] == [1, 2, 5, 6]
    marks = {row["source_position"]: (row["replayed_by"], row["reasons"]) for row in kept(world, quarantine)}
    assert marks == {2: ("r2~load", ["types"]), 3: ("", ["precision"]), 4: ("", ["nullability"]), 5: ("r2~load", ["enum"])}
    [source] = world.outbox("r2")["inputs"]
    read = world.catalog.load_table(quarantine.removeprefix("glue_catalog.")).snapshot_by_id(source["snapshot"])
    assert (source["table"], read is not None) == ("orders_quarantine", True)
    before, stood = world.rows(orders), world.rows(quarantine)
    with pytest.raises(DataError, match="each of 2 rows breaks the contract"):  # what still breaks, alone
        _replayed(world, "r3", JOB | TWELVE)
    assert (world.rows(orders), world.rows(quarantine)) == (before, stood)
    world.start(JOB | TWELVE, "r4")
    merge.run()
    world.ends()
    assert [row[0] for row in world.rows(orders)] == [1, 2, 5, 6, 9]


def test_a_replay_takes_what_was_asked_for(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, CURRENCIES)
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    merge.run()
    world.ends()
    judged(world, WIDER)
    _replayed(world, "r2", reason="currencies")
    assert {row["source_position"] for row in kept(world, quarantine) if row["replayed_by"]} == {5}
    _replayed(world, "r3", reason="currencies")
    assert world.outbox("r3")["state"] in ("done", "nothing")
    _replayed(world, "r4", run="nobody")
    assert [row[0] for row in world.rows(orders)] == [1, 5, 6]
    world.start(JOB, "r5", params={REPLAY: "orders"})
    with pytest.raises(ConfigError, match=REPLAY):
        merge.run()


def test_a_claim_of_a_run_that_was_never_published_is_void(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, CURRENCIES)
    world.put(f"{prefix}a.csv", ROWS)
    world.start(JOB)
    merge.run()
    world.ends()
    spark.sql(f"UPDATE {quarantine} SET replayed_by = 'killed' WHERE source_position = 5")
    judged(world, WIDER)
    _replayed(world, "r2", reason="enum")
    assert {row["source_position"]: row["replayed_by"] for row in kept(world, quarantine)}[5] == "r2~load"
    assert [row[0] for row in world.rows(orders)] == [1, 5, 6]


def test_rows_of_a_drop_are_appended_once(world: World, spark: Any) -> None:
    orders, quarantine = _one_waits(world, FILES)
    for run_id in ("r2", "r3"):
        _replayed(world, run_id, FILES)
        assert [row[0] for row in world.rows(orders)] == [1, 2]
    assert [(row["replayed_by"], row["source_position"]) for row in kept(world, quarantine)] == [("r2~load", 2)]


FILES = {"use": "files", "with": {"from": "inbox", "format": "json"}, "writes": [{"table": "orders", "mode": "append"}]}
ARRIVED = {"id": 1, "currency": "EUR"}, {"id": 2, "currency": "XXX"}


def _one_waits(world: World, job: Any) -> tuple[str, str]:
    """A row lands, one is kept out for its currency; then the rule is wider. The table, its quarantine."""
    prefix, orders, quarantine = landing(world, CURRENCIES, form="json")
    place = f"{world.project}/inbox/" if job["use"] == "files" else prefix
    world.put(f"{place}a.json", "".join(json.dumps(row) + "\n" for row in ARRIVED))
    world.start(job)
    (files if job["use"] == "files" else merge).run()
    world.ends()
    judged(world, WIDER)
    return orders, quarantine


@pytest.mark.parametrize("job", [FILES, JOB], ids=["append", "merge"])
def test_the_same_job_as_two_steps_of_a_run_replays_a_row_once(world: World, spark: Any, job: Any) -> None:
    orders, quarantine = _one_waits(world, job)
    for step in ("load", "load-2"):
        _replayed(world, "r2", job, step)
    assert [row[0] for row in world.rows(orders)] == [1, 2]
    assert [row["replayed_by"] for row in kept(world, quarantine)] == ["r2~load"]
    assert [sum(each["rows_added"] for each in world.outbox("r2", step)["outputs"]) for step in ("load", "load-2")] == [1, 0]


def test_a_step_whose_gate_is_to_come_keeps_its_rows_and_takes_them_again(world: World, spark: Any) -> None:
    _, quarantine = _one_waits(world, FILES)

    def added(step: str, attempt: int = 0) -> int:
        _replayed(world, "r2", FILES, step, audit=True, attempt=attempt)
        return sum(each["rows_added"] for each in world.outbox("r2", step)["outputs"])

    assert [added("load"), added("load-2"), added("load", 1)] == [1, 0, 1]
    assert [row["replayed_by"] for row in kept(world, quarantine)] == ["r2~load"]


SHOP = JOB | {"job": "load_shop"}
WEB = {**JOB, "job": "load_web", "reads": [{"table": "web"}], "with": {"map": {"id": "number", "amount": "price", "currency": "coin"}}}


def _two_sources(world: World) -> tuple[str, str]:
    """A row of each source lands, one of each is kept out for its currency; then the rule is wider. The table, its quarantine."""
    prefix, orders, quarantine = landing(world, CURRENCIES)
    web = world.raw("web", "number string, price string, coin string", delimiter=";")
    world.put(f"{prefix}a.csv", "id;amount;currency;at\n1;1;EUR;\n2;2;XXX;\n")
    world.put(f"{web}a.csv", "number;price;coin\n11;11;EUR\n12;12;XXX\n")
    for job in (SHOP, WEB):
        world.start(job)
        merge.run()
        world.ends()
    judged(world, WIDER)
    assert [row[0] for row in world.rows(orders)] == [1, 11]
    return orders, quarantine


def _marks(world: World, quarantine: str) -> dict[str, str]:
    return {row["source_object"].split("/")[-2]: row["replayed_by"] for row in kept(world, quarantine)}


def test_each_of_two_jobs_into_one_table_takes_the_rows_of_its_own_source(world: World, spark: Any) -> None:
    orders, quarantine = _two_sources(world)
    for job in (SHOP, WEB):
        _replayed(world, "r2", job)
    assert sorted((row[0], int(row[1])) for row in world.rows(orders)) == [(1, 1), (2, 2), (11, 11), (12, 12)]
    assert _marks(world, quarantine) == {"raw": "r2~load_shop", "web": "r2~load_web"}
    assert [world.outbox("r2", step)["outputs"][0]["rows_added"] for step in ("load_shop", "load_web")] == [1, 1]


def test_a_claim_of_a_job_that_was_killed_is_void_though_the_runs_other_job_is_on_main(world: World, spark: Any) -> None:
    orders, quarantine = _two_sources(world)
    _replayed(world, "r2", SHOP)
    world.start(WEB, "r2", params={REPLAY: json.dumps({"table": "orders"})})
    current = begin()
    assert current
    replay.rows(spark, current.job.tables["web"], current.job.tables["orders"], replay.Asked())
    world.end()
    assert _marks(world, quarantine) == {"raw": "r2~load_shop", "web": "r2~load_web"}
    assert world.outbox("r2", "load_web")["state"] == "intent", "who claims has left a record"
    for job in (SHOP, WEB):
        _replayed(world, "r3", job)
    assert sorted(row[0] for row in world.rows(orders)) == [1, 2, 11, 12]
    assert _marks(world, quarantine) == {"raw": "r2~load_shop", "web": "r3~load_web"}


def test_an_ordinary_run_and_another_tables_replay_read_files(world: World, spark: Any) -> None:
    prefix, orders, _ = landing(world)
    for run_id, params in (("r1", {}), ("r2", {REPLAY: '{"table": "others"}'})):
        world.put(f"{prefix}{run_id}.csv", f"id;amount;currency;at\n{run_id[1]};1;EUR;\n")
        world.start(JOB, run_id, params=params)
        merge.run()
        world.ends()
    assert [row[0] for row in world.rows(orders)] == [1, 2]
    assert replay.PARAMETER == REPLAY

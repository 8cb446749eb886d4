"""Columns that arriving data bring and nobody declared, by each mode of the contract's `columns` (J5)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from dp_foundation.builtin import files, merge
from dp_foundation.contracts import arriving, land
from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io.writers import write_iceberg
from meshplane.model import evolution, publishing
from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.quarantine import REPLAY
from meshplane.model.rules import Contract, Gate, implied
from tests.jobs.job_world import World
from tests.jobs.landing_world import JOB, kept, landing
from tests.jobs.plane import adding, evolve

pytestmark = pytest.mark.spark
PLAIN = "id;amount;currency;at\n1;1.50;EUR;2026-01-01\n"
MORE = "id;amount;channel;currency;at;Un fit\n2;2;web;EUR;2026-01-01;\n3;x;shop;EUR;2026-01-01;\n4;4;;EUR;2026-01-01;odd\n;5;web;EUR;;\n"
DROP = {"use": "files", "with": {"from": "inbox", "format": "json"}, "writes": [{"table": "orders", "mode": "append"}]}


def _run(world: World, run_id: str = "r1", job: Mapping[str, Any] = JOB, **params: Any) -> None:
    world.start(job, run_id, params=params)
    (files if job["use"] == "files" else merge).run()
    world.ends()


def _table(world: World, identifier: str) -> Any:
    return world.catalog.load_table(identifier.removeprefix("glue_catalog."))


def _columns(world: World, identifier: str) -> dict[str, tuple[str, str]]:
    return {field.name: (str(field.field_type), field.doc or "") for field in _table(world, identifier).schema().fields}


def _landed(world: World, identifier: str) -> list[dict[str, Any]]:
    return sorted(_table(world, identifier).scan().to_arrow().to_pylist(), key=lambda row: row["id"])


@pytest.mark.parametrize("mode", ["evolve", "quarantine_row", "discard_value"])
def test_no_mode_loses_a_row_or_a_value_of_a_new_column(world: World, spark: Any, mode: str) -> None:
    """Rows in = rows landed + rows kept out; a value of an unknown column stands in the table or, with its row, in the quarantine."""
    prefix, orders, quarantine = landing(world, columns=mode)
    world.put(f"{prefix}a.csv", PLAIN)
    world.put(f"{prefix}b.csv", MORE)
    _run(world)
    rows, aside = {str(row["id"]): row for row in _landed(world, orders)}, kept(world, quarantine)
    out = {row["row"]["id"] or "": row["row"] for row in aside if "quarantine_row" in row["modes"]}
    beside = {row["row"]["id"]: row["row"] for row in aside if "quarantine_row" not in row["modes"]}
    assert sorted([*rows, *out]) == ["", "1", "2", "3", "4"]
    for name, value in (("1", None), ("2", "web"), ("3", "shop"), ("", "web")):
        assert value in (rows.get(name, {}).get("channel"), out.get(name, {}).get("channel"), beside.get(name, {}).get("channel"))
    assert "odd" in (out.get("4", {}).get("Un fit"), beside.get("4", {}).get("Un fit"))
    assert {"evolve": {"1", "2"}, "quarantine_row": {"1"}, "discard_value": {"1", "2", "4"}}[mode] == set(rows)
    assert ("channel" in _columns(world, orders)) == (mode == "evolve")
    position = {row["row"]["id"]: (row["source_object"][-5:], row["source_position"]) for row in aside}
    assert position["3"] == ("b.csv", 2)


def test_an_unknown_column_becomes_one_of_the_table_and_is_told_as_such(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, columns="evolve")
    world.put(f"{prefix}b.csv", MORE)
    for run_id in ("r1", "r2"):  # the same once more, as after a run that was not published
        world.put(f"{prefix}b.csv", MORE)
        _run(world, run_id)
        schemas = len(_table(world, orders).metadata.schemas)
    assert (schemas, _columns(world, orders)["channel"]) == (2, ("string", evolution.BROUGHT))
    assert arriving.BROUGHT == evolution.BROUGHT
    world.put(f"{prefix}c.csv", PLAIN)
    _run(world, "r3")
    assert [(row["id"], row["channel"]) for row in _landed(world, orders)] == [(1, None), (2, "web")]
    assert [row["reasons"] for row in kept(world, quarantine)] == [["types"], ["columns"], ["nullability"]]


def test_the_plane_leaves_what_the_data_brought_and_takes_it_when_it_is_declared(world: World, spark: Any) -> None:
    prefix, orders, _ = landing(world, columns="evolve")
    world.put(f"{prefix}b.csv", MORE)
    _run(world)
    evolve(orders, adding("note"))  # a reconcile that adds another column keeps it
    assert list(_columns(world, orders))[-2:] == ["channel", "note"]
    evolve(orders, lambda spec: _declared(spec, doc="Where it was sold"))
    assert _columns(world, orders)["channel"] == ("string", "Where it was sold")


def _declared(spec: Any, doc: str) -> Any:
    from dataclasses import replace

    return replace(spec, columns=tuple(replace(one, doc=doc) if one.name == "channel" else one for one in spec.columns))


def test_a_run_on_its_branch_is_published_with_the_schema_that_it_wrote(world: World, spark: Any) -> None:
    """The column is on `main` before anybody judged; its rows are not, and the verdict is of the schema that the branch has."""
    prefix, orders, _ = landing(world, columns="evolve")
    world.put(f"{prefix}b.csv", MORE)
    world.start(JOB)
    world.patch.setattr(sys, "argv", [*sys.argv[:-1], "0_0", "--meshplane-gate", "audit"])
    merge.run()
    record, table = world.outbox(), _table(world, orders)
    assert _landed(world, orders) == []
    [verdict] = record["verdicts"]
    head = table.snapshot_by_name(verdict["branch"])
    assert (verdict["passed"], verdict["schema_id"], head.schema_id) == (True, table.schema().schema_id, table.schema().schema_id)
    evolve(orders, adding("later"))  # who adds a column now does not disturb it
    database, name = orders.split(".")[1:]
    gate = Gate("orders", implied(["id", "amount", "currency", "at"], ["id"]), Contract(version="1.2.0", columns="evolve"))
    gated = GatedTable("orders", database, name, gate.digest, tuple(GatedRule.of(rule) for rule in gate.rules))
    request = publishing.Request(world.project, "r1", "load", "0_0")
    [candidate] = publishing.candidates(request, record, {"orders": gated})
    assert publishing.check(candidate, request, json.loads(_table(world, orders).metadata.model_dump_json()))
    [row] = spark.read.option("branch", verdict["branch"]).table(orders).collect()
    assert (row["id"], row["channel"]) == (2, "web")


def test_types_come_from_the_data_and_what_a_column_cannot_hold_stays_out(world: World, spark: Any) -> None:
    _, orders, quarantine = landing(world, columns="evolve")
    world.put(f"{world.project}/inbox/a.json", '{"id":1,"score":1,"seen":{"at":"x"},"ok":true}\n{"id":2,"none":null,"rate":0.5}\n')
    _run(world, "r1", DROP)
    kinds = {name: kind for name, (kind, _) in _columns(world, orders).items()}
    assert kinds == {**kinds, "score": "long", "seen": "string", "ok": "boolean", "rate": "double"}
    assert "none" not in kinds
    world.put(f"{world.project}/inbox/b.json", '{"id":3,"score":1.5}\n{"id":4,"score":7,"rate":2}\n{"id":5,"seen":[1,2]}\n')
    _run(world, "r2", DROP)
    rows = {row["id"]: row for row in _landed(world, orders)}
    assert [(rows[n]["score"], rows[n]["seen"], rows[n]["rate"]) for n in (1, 2, 4, 5)] == [
        (1, '{"at":"x"}', None),
        (None, None, 0.5),
        (7, None, 2.0),
        (None, "[1,2]", None),
    ]
    assert [(row["row"]["id"], row["reasons"]) for row in kept(world, quarantine)] == [(3, ["types"])]


def test_a_replay_brings_the_columns_that_its_rows_had(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, columns="evolve")
    world.put(f"{prefix}b.csv", "id;amount;channel;currency;at\n3;x;shop;EUR;2026-01-01\n1;1;;EUR;\n")
    _run(world)
    assert ("channel" in _columns(world, orders), len(kept(world, quarantine))) == (False, 1)
    mended = {**JOB, "with": {"map": {"amount": "if(amount = 'x', '10', amount)"}}}
    _run(world, "r2", mended, **{REPLAY: json.dumps({"table": "orders"})})
    assert [(row["id"], row["channel"]) for row in _landed(world, orders)] == [(1, None), (3, "shop")]


def test_a_frame_of_a_job_brings_columns_too(world: World, spark: Any) -> None:
    _, orders, _ = landing(world, columns="evolve")
    world.start({"writes": [{"table": "orders", "mode": "append"}]})
    frame = spark.sql(
        "select 1 id, cast(2 as smallint) small, 1.25BD exact, timestamp '2026-01-01' seen, named_struct('a', 1) inner, null void"
    )
    write_iceberg(df=land(frame, "orders"), table="orders")
    kinds = {name: kind for name, (kind, _) in _columns(world, orders).items()}
    assert kinds == {**kinds, "small": "int", "exact": "decimal(3, 2)", "seen": "timestamptz", "inner": "string"}
    assert ("void" in kinds, [row["inner"] for row in _landed(world, orders)]) == (False, ['{"a":1}'])
    wide = spark.sql("select 1 id, " + ", ".join(f"{n} c{n}" for n in range(arriving.MOST + 1)))
    with pytest.raises(SchemaMismatchError, match="101 columns that nobody declared, among them c0"):
        land(wide, "orders")


def test_two_writers_bring_the_same_column_once(world: World, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one's commit comes between our look at the table and our own."""
    prefix, orders, _ = landing(world, columns="evolve")
    world.put(f"{prefix}b.csv", MORE)
    plain, others = arriving._add, []

    def late(session: Any, target: Any, new: Any) -> None:
        if not others:
            others.append(world.catalog.load_table(orders.removeprefix("glue_catalog.")))
            with others[0].update_schema() as update:
                update.add_column("channel", _table(world, orders).schema().find_type("currency"), doc=arriving.BROUGHT)
        plain(session, target, new)

    monkeypatch.setattr(arriving, "_add", late)
    _run(world)
    assert ([row["channel"] for row in _landed(world, orders)], list(_columns(world, orders)).count("channel")) == (["web"], 1)


def test_without_a_quarantine_and_with_freeze_nothing_becomes_a_column(world: World, spark: Any) -> None:
    prefix, orders, _ = landing(world, columns="freeze")
    world.put(f"{prefix}b.csv", MORE)
    _run(world)
    assert (sorted(_columns(world, orders)), len(_landed(world, orders))) == (["amount", "at", "currency", "id"], 2)
    world.start({"writes": [{"table": "orders", "mode": "append"}]}, "r2")
    with pytest.raises(SchemaMismatchError, match="has no column more"):
        land(spark.sql("select 1 id, 2 more"), "orders")

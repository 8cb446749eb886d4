"""Declared columns that arriving data change, where `types`, `precision`, `nullability` or `enum` is at `evolve` (J5)."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal as Exact
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.contracts import growing
from dp_foundation.io.writers import write_iceberg
from meshplane.aws.iceberg.metadata import spec
from meshplane.kinds.iceberg_table import KIND
from meshplane.model.project import Table
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Decimal, Field, Primitive
from tests.jobs.job_world import World
from tests.jobs.landing_world import JOB, kept, made

pytestmark = pytest.mark.spark
NAMES = ("id", "n", "f", "amount", "must", "currency")
COLUMNS = "id bigint!, n int, f float, amount decimal(12,2), must string!, currency string"
FIELDS = (
    Field("id", Primitive("long"), required=True),
    Field("n", Primitive("int")),
    Field("f", Primitive("float")),
    Field("amount", Decimal(12, 2)),
    Field("must", Primitive("string"), required=True),
    Field("currency", Primitive("string")),
)
CURRENCIES = Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD"]})
HEAD = ";".join(NAMES) + "\n"
FITS = "1;1;1.5;1.50;a;EUR\n"
ROWS = (
    f"{HEAD}{FITS}2;3000000000;1;1;a;EUR\n3;1;1e300;1;a;EUR\n4;1;1;123456789012345.67;a;EUR\n5;1;1;1;;EUR\n6;1;1;1;a;XXX\n"
    "7;x;1;1;a;EUR\n8;1;1;1.005;a;EUR\n;1;1;1;a;EUR\n"
)
EVOLVE = dict.fromkeys(("types", "precision", "nullability", "enum"), "evolve")


def _orders(world: World, **modes: Any) -> tuple[str, str, str]:
    prefix = world.raw("raw", ", ".join(f"{name} string" for name in NAMES), delimiter=";")
    orders = world.iceberg("orders", COLUMNS, key=["id"])
    table = Table("orders", "refined", "iceberg", FIELDS, key=("id",), rules=(CURRENCIES,), contract=Contract(version="1.2.0", **modes))
    world.tables["orders"]["gate"] = table.gate.to_json()
    return prefix, orders, made(world)


def _run(world: World, run_id: str = "r1") -> Any:
    world.start(JOB, run_id)
    merge.run()
    world.ends()
    return world.outbox(run_id)["verdicts"][0]


def _table(world: World, identifier: str) -> Any:
    return world.catalog.load_table(identifier.removeprefix("glue_catalog."))


def _kinds(world: World, identifier: str) -> list[str]:
    fields = _table(world, identifier).schema().fields
    return [f"{field.field_type}{'!' if field.required else ''}" for field in fields]


def _landed(world: World, identifier: str) -> dict[int, dict[str, Any]]:
    return {row["id"]: row for row in _table(world, identifier).scan().to_arrow().to_pylist()}


WAS = ["long!", "int", "float", "decimal(12, 2)", "string!", "string"]
IS = ["long!", "long", "double", "decimal(18, 2)", "string", "string"]


def test_what_a_column_can_become_lands_and_the_rest_is_kept(world: World, spark: Any) -> None:
    """Rows in = rows landed + rows kept out, each value as it came."""
    prefix, orders, quarantine = _orders(world, **EVOLVE)
    world.put(f"{prefix}a.csv", ROWS)
    verdict = _run(world)
    rows, aside = _landed(world, orders), kept(world, quarantine)
    assert sorted(rows) == [1, 2, 3, 4, 5, 6]
    assert [(row["row"]["id"], row["reasons"]) for row in aside] == [("7", ["types"]), ("8", ["precision"]), (None, ["nullability"])]
    assert (rows[2]["n"], rows[3]["f"], rows[4]["amount"], rows[5]["must"]) == (3_000_000_000, 1e300, Exact("123456789012345.67"), None)
    assert (rows[1]["n"], rows[1]["f"], rows[1]["amount"], rows[6]["currency"]) == (1, 1.5, Exact("1.50"), "XXX")
    assert (_kinds(world, orders), verdict["schema_id"]) == (IS, _table(world, orders).schema().schema_id)
    [told] = [result for result in verdict["results"] if result["rule"] == "currencies"]
    assert (verdict["passed"], verdict["quarantined"]) == (True, 3)
    assert (told["severity"], told["outcome"], told["violations"], told["rows"]) == ("warn", "failed", 1, 6)


def test_the_plane_leaves_it_so_and_says_it(world: World, spark: Any) -> None:
    prefix, orders, _ = _orders(world, **EVOLVE)
    world.put(f"{prefix}a.csv", f"{HEAD}{FITS}")
    _run(world)
    assert (_kinds(world, orders), len(_table(world, orders).metadata.schemas)) == (WAS, 1)  # a batch that fits changes nothing
    for run_id in ("r2", "r3"):
        world.put(f"{prefix}{run_id}.csv", ROWS)
        _run(world, run_id)
        schemas = len(_table(world, orders).metadata.schemas)
    assert (_kinds(world, orders), schemas) == (IS, 5)  # one commit a column, none the second time
    seen = spec(json.loads(_table(world, orders).metadata.model_dump_json()))
    wanted = replace(seen, columns=FIELDS, changed=("types", "precision", "nullability"))
    assert KIND.compare(wanted, seen) == ()
    assert KIND.brought(wanted, seen) == (
        "column n long, declared as int",
        "column f double, declared as float",
        "column amount decimal(18,2), declared as decimal(12,2)",
        "column must optional, declared as required",
    )
    refused = [one.refused for one in KIND.compare(replace(wanted, changed=()), seen)]
    assert refused[0] == "n is long and cannot be narrowed to int: declare long"
    assert (len(refused), all(refused)) == (4, True)


@pytest.mark.parametrize("entity", ["types", "precision", "nullability", "enum"])
def test_each_entity_evolves_alone(world: World, spark: Any, entity: str) -> None:
    prefix, orders, quarantine = _orders(world, **{entity: "evolve"})
    world.put(f"{prefix}a.csv", ROWS)
    _run(world)
    lands = {"types": {2, 3}, "precision": {4}, "nullability": {5}, "enum": {6}}
    rows, out = set(_landed(world, orders)), {row["row"]["id"] for row in kept(world, quarantine)}
    assert rows == {1} | lands[entity]
    assert out == {"2", "3", "4", "5", "6", "7", "8", None} - {str(one) for one in lands[entity]}
    grown = {"types": (1, 2), "precision": (3,), "nullability": (4,), "enum": ()}[entity]
    assert _kinds(world, orders) == [IS[at] if at in grown else kind for at, kind in enumerate(WAS)]


def test_a_frame_of_a_job_makes_a_column_wider_and_another_writer_may_have(
    world: World, spark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, orders, _ = _orders(world, **EVOLVE)
    plain, calls = growing._retype, []

    def late(*told: Any) -> None:
        if not calls:
            calls.append(told)
            spark.sql(f"ALTER TABLE {orders} ALTER COLUMN n TYPE bigint")
        plain(*told)

    monkeypatch.setattr(growing, "_retype", late)
    world.start({"writes": [{"table": "orders", "mode": "append"}]})
    write_iceberg(df=spark.sql("select 1L id, 3000000000L n, 'a' must, 0.5f f"), table="orders")
    [row] = _landed(world, orders).values()
    assert (row["n"], row["f"], len(calls)) == (3_000_000_000, 0.5, 1)
    assert _kinds(world, orders) == [*WAS[:1], "long", *WAS[2:]]

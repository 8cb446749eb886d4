"""A raw table, the table that it lands in, and that one's quarantine: what tests of landing and of replay begin with."""

from __future__ import annotations

import json
from typing import Any

from dp_foundation.contracts.quarantine import COLUMNS
from meshplane.model.rules import Contract, Gate, Rule, implied
from tests.jobs.job_world import World

JOB = {"reads": [{"table": "raw"}], "writes": [{"table": "orders", "mode": "merge"}], "use": "merge", "with": {}}
RAW = "id string, amount string, currency string, at string"


def landing(world: World, *rules: Rule, form: str = "csv", raw: str = RAW, **modes: Any) -> tuple[str, str, str]:
    """The raw table's prefix, the table, its quarantine."""
    prefix = world.raw("raw", raw, form, **({"delimiter": ";"} if form == "csv" else {}))
    orders = world.iceberg("orders", "id bigint!, amount decimal(12,2), currency string, at date", key=["id"])
    judged(world, *rules, **modes)
    return prefix, orders, made(world)


def judged(world: World, *rules: Rule, **modes: Any) -> None:
    """The table's rules and contract from now on."""
    all_rules = implied(["id", "amount", "currency", "at"], ["id"]) + rules
    world.tables["orders"]["gate"] = Gate("orders", all_rules, Contract(version="1.2.0", **modes)).to_json()


def made(world: World) -> str:
    """The quarantine of `orders`, made."""
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items() if name != "reasons")
    quarantine = world.iceberg("orders_quarantine", columns, declared=False)
    from dp_foundation.spark.session import get_spark

    get_spark().sql(f"ALTER TABLE {quarantine} ADD COLUMN reasons {COLUMNS['reasons']} FIRST")
    return quarantine


def kept(world: World, quarantine: str) -> list[dict[str, Any]]:
    """The rows of a quarantine by source and position, `row` parsed, reasons as entities, columns and modes."""
    table = world.catalog.load_table(quarantine.removeprefix("glue_catalog.")).scan().to_arrow()
    told = [
        {
            **row,
            "row": json.loads(row["row"]),
            "reasons": [reason["entity"] for reason in row["reasons"]],
            "columns": [reason["column"] for reason in row["reasons"]],
            "modes": [reason["mode"] for reason in row["reasons"]],
        }
        for row in table.to_pylist()
    ]
    return sorted(told, key=lambda row: (str(row["source_object"]), row["source_position"] or 0, str(row["row"])))

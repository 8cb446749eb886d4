"""The curated table in plain Python, from the csv files alone: what the pipeline's rows are compared with."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

Row = tuple[str, str, str, int, Decimal, Decimal]


def _rows(path: Path, delimiter: str) -> Iterable[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file, delimiter=delimiter)


def daily_revenue(files: Mapping[str, Path]) -> set[Row]:
    """day, country, currency, orders, revenue, revenue_eur; the newest state of each order counts, cancelled ones do not."""
    of = {name: [path for key, path in files.items() if f"/{name}/" in key] for name in ("contacts_raw", "fx_rates_raw", "orders_raw")}
    country = {row["customer_id"]: row["country"].upper() for path in of["contacts_raw"] for row in _rows(path, ";")}
    rate = {(row["day"], row["currency"]): Decimal(row["rate"]) for path in of["fx_rates_raw"] for row in _rows(path, ",")}
    newest: dict[str, dict[str, str]] = {}
    for path in of["orders_raw"]:
        for row in _rows(path, ";"):
            known = newest.get(row["order_id"])
            if known is None or row["updated_at"] >= known["updated_at"]:
                newest[row["order_id"]] = row
    totals: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
    for row in newest.values():
        if row["status"] == "cancelled" or row["customer_id"] not in country:
            continue
        key = (row["ordered_at"][:10], country[row["customer_id"]], row["currency"].strip().upper().replace("EURO", "EUR"))
        count, revenue = totals.get(key, (0, Decimal(0)))
        totals[key] = (count + 1, revenue + Decimal(row["amount"]))
    cent = Decimal("0.01")
    return {
        (day, land, currency, count, revenue, (revenue / rate[day, currency]).quantize(cent, ROUND_HALF_UP))
        for (day, land, currency), (count, revenue) in totals.items()
    }

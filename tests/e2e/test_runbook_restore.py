"""docs/runbooks/restore-refined-from-raw.md: a wrong mapping is published, the page's commands are run, whole tables are compared (O2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import recorded
from tests.e2e.plane import Plane, plane_in
from tests.e2e.runbook_pages import steps

pytestmark = [pytest.mark.spark, pytest.mark.local]
PAGE = "restore-refined-from-raw"
MANIFEST = """\
apiVersion: meshplane/v1
kind: Project
metadata: {{ name: shop }}
tables:
  orders_raw: {{ layer: raw, format: csv, columns: {{ id: string, shop: string, amount: string, at: string }} }}
  orders:
    layer: refined
    columns: {{ id: long, shop: string, amount: "decimal(12,2)", at: timestamptz }}
    key: id
  totals: {{ layer: curated, columns: {{ shop: string, amount: "decimal(22,2)" }}, key: shop }}
jobs:
  load_orders:
    {{ use: merge, reads: orders_raw, writes: orders, with: {{ map: {{ id: "{id}", amount: "{amount}" }}, latestBy: [at] }} }}
  sum_up: {{ sql: sql/totals.sql, reads: orders, writes: {{ table: totals, mode: merge }} }}
pipelines:
  daily: {{ steps: [load_orders, sum_up] }}
"""
TOTALS = "SELECT shop, sum(amount) AS amount FROM orders GROUP BY shop\n"
RIGHT = {"id": "id", "amount": "amount"}
WRONG = {"id": "id + 100", "amount": "amount * 100"}  # every new row under a key that is none, every amount in cents
FIRST = "id,shop,amount,at\n1,north,1.50,2026-01-01\n2,north,2.00,2026-01-01\n"
SECOND = "id,shop,amount,at\n2,north,20.00,2026-01-02\n3,south,3.00,2026-01-02\n"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with plane_in(tmp_path_factory.mktemp("person") / "checkout", warm=True) as found:
        yield found
        recorded.keep(found.stack)


def model(*files: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What orders and totals hold, in plain Python: the newest row of each id, and their sums."""
    orders: dict[int, tuple[Any, ...]] = {}
    for file in files:
        for line in file.splitlines()[1:]:
            number, shop, amount, at = line.split(",")
            orders[int(number)] = (int(number), shop, Decimal(amount), at)
    shops = sorted({row[1] for row in orders.values()})
    return sorted(orders.values()), [(shop, sum(row[2] for row in orders.values() if row[1] == shop)) for shop in shops]


def read(plane: Plane) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The same of what readers see, by pyiceberg."""
    name = plane.stack.naming.database
    orders = plane.catalog.load_table(f"{name('refined')}.shop_orders").scan().to_arrow().to_pylist()
    totals = plane.catalog.load_table(f"{name('curated')}.shop_totals").scan().to_arrow().to_pylist()
    told = [(row["id"], row["shop"], row["amount"], row["at"].strftime("%Y-%m-%d")) for row in orders]
    return sorted(told), sorted((row["shop"], row["amount"]) for row in totals)


def arrives(plane: Plane, folder: Path, name: str, text: str) -> str:
    """A file in raw, and the run that reads it. The run's id."""
    (folder / name).write_text(text, encoding="utf-8")
    plane.aws("s3", "cp", str(folder / name), f"s3://{plane.bucket('raw')}/shop/orders_raw/{name}")
    return run(plane)


def run(plane: Plane) -> str:
    done = plane.meshplane("run", "shop.daily", "--wait", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return str(json.loads(done.stdout)["run_id"])


def days(plane: Plane, name: str) -> dict[str, str]:
    """The day on which a file arrived, as S3 has it, and the next."""
    head = plane.client("s3").head_object(Bucket=plane.bucket("raw"), Key=f"shop/orders_raw/{name}")["LastModified"]
    return {"FROM": head.isoformat(), "UNTIL": (head + timedelta(days=1)).strftime("%Y-%m-%d")}


def test_the_page_leads_readers_back_and_makes_the_table_anew(plane: Plane, tmp_path: Path) -> None:
    page = steps(PAGE)
    assert list(page) == [1, 2, 3, 4, 5]
    plane.write("shop", MANIFEST.format(**RIGHT), {"sql/totals.sql": TOTALS})
    assert plane.meshplane("publish", "shop").returncode == 0
    arrives(plane, tmp_path, "a.csv", FIRST)
    assert read(plane) == model(FIRST)
    plane.write("shop", MANIFEST.format(**WRONG))
    assert plane.meshplane("publish", "shop").returncode == 0
    wrong = arrives(plane, tmp_path, "b.csv", SECOND)
    assert read(plane)[0][-1] == (103, "south", Decimal("300.00"), "2026-01-02"), "the fault is there, and was published"

    told = {"PROJECT": "shop", "TABLES": "shop.orders shop.totals", **days(plane, "b.csv")}
    assert wrong in page[1].run(plane, **told)
    back = page[2].run(plane, **told)
    assert read(plane) == model(FIRST)
    assert f"not in it: the rows of {wrong}" in back
    plane.look("shop")
    assert "UnjudgedCommit" not in plane.text("shop")
    run(plane)
    assert read(plane) == model(FIRST), "a run meanwhile builds on the good state, and does not take the files of the wrong one up"
    plane.write("shop", MANIFEST.format(**RIGHT))
    page[3].run(plane, **told)
    page[4].run(plane, **told)
    assert read(plane) == model(FIRST, SECOND)
    assert "readers see it" in page[5].run(plane, **told)
    healthy = next(one for one in plane.status("shop")["conditions"] if one["type"] == "Healthy")
    assert healthy["status"] == "True", plane.text("shop")
    run(plane)
    assert read(plane) == model(FIRST, SECOND)

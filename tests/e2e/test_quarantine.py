"""A batch with bad rows, on the embedded AWS: kept aside with what is to be known of them; a fix; a replay that publishes each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import recorded
from tests.e2e.plane import Plane, plane_in

pytestmark = [pytest.mark.spark, pytest.mark.local]

MANIFEST = """\
apiVersion: meshplane/v1
kind: Project
metadata: {{ name: shop }}
tables:
  orders_raw: {{ layer: raw, format: csv, columns: {{ id: string, amount: string, currency: string }} }}
  orders:
    layer: refined
    columns: {{ id: long, amount: "decimal(12,2)", currency: string }}
    key: id
    contract: {{ columns: freeze, types: quarantine_row }}
    rules:
      currencies: {{ in_set: currency, values: [{values}], threshold: 50% }}
jobs:
  load_orders: {{ use: merge, reads: orders_raw, writes: orders }}
pipelines:
  daily: {{ steps: [load_orders] }}
"""
ROWS = "id,amount,currency\n1,1.50,EUR\n2,2.00,CHF\n3,three,EUR\n4,4.00,EUR\n"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with plane_in(tmp_path_factory.mktemp("person") / "checkout", warm=True) as found:
        yield found
        recorded.keep(found.stack)


def _told(plane: Plane, *words: str) -> Any:
    done = plane.meshplane(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def _published(plane: Plane) -> list[tuple[Any, ...]]:
    table = plane.catalog.load_table(f"{plane.stack.naming.database('refined')}.shop_orders")
    assert {name for name in table.refs() if name.startswith("validated-")}, "published by no gate"
    return sorted((row["id"], str(row["amount"]), row["currency"]) for row in table.scan().to_arrow().to_pylist())


def test_bad_rows_wait_with_their_reasons_and_land_once_after_the_fix(plane: Plane, tmp_path: Path) -> None:
    plane.write("shop", MANIFEST.format(values="EUR"))
    plane.sync("shop")
    assert plane.synced("shop") == ("True", "Applied"), plane.text("shop")
    (tmp_path / "a.csv").write_text(ROWS, encoding="utf-8")
    plane.aws("s3", "cp", str(tmp_path / "a.csv"), f"s3://{plane.bucket('raw')}/shop/orders_raw/a.csv")
    first = _told(plane, "run", "shop.daily", "--wait")["run_id"]
    assert _published(plane) == [(1, "1.50", "EUR"), (4, "4.00", "EUR")]

    told = _told(plane, "quarantine", "show", "shop.orders")
    reasons = {(each["breaks"], each["column"], each["rule"], each["state"], each["rows"]) for each in told["reasons"]}
    assert reasons == {("enum", "currency", "currencies", "waiting", 1), ("types", "amount", "", "waiting", 1)}
    swiss, words = told["rows"]
    assert (swiss["source_position"], words["source_position"]) == (2, 3)
    for row in (swiss, words):
        assert row["source_object"].endswith(f"{plane.bucket('raw')}/shop/orders_raw/a.csv")
        assert (row["run_id"], row["replayed_by"], row["contract_version"], len(row["rule_fingerprint"])) == (first, "", "", 64)
    assert json.loads(words["row"]) == {"id": "3", "amount": "three", "currency": "EUR"}

    plane.write("shop", MANIFEST.format(values="EUR, CHF"))
    plane.sync("shop")
    replayed = _told(plane, "quarantine", "replay", "shop.orders", "--reason", "currencies", "--wait")["run_id"]
    wanted = [(1, "1.50", "EUR"), (2, "2.00", "CHF"), (4, "4.00", "EUR")]
    assert _published(plane) == wanted
    told = _told(plane, "quarantine", "show", "shop.orders")
    assert [(row["state"], row["replayed_by"]) for row in told["rows"]] == [("replayed", replayed), ("waiting", "")]
    _told(plane, "quarantine", "replay", "shop.orders", "--reason", "currencies", "--wait")
    assert _published(plane) == wanted
    again = _told(plane, "quarantine", "show", "shop.orders")["rows"]
    assert [row["replayed_by"] for row in again] == [replayed, ""]

"""The watchdog on the embedded AWS with real Spark: a published table is judged again by its own job, which writes nothing, by the deployed
machine and the deployed roles; its status and its recovery."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.plane import HEAD, Plane, eventually
from tests.e2e.watched import states

pytestmark = [pytest.mark.local, pytest.mark.spark]
FRESH = "      fresh: { freshness: at, within: 26h, severity: warn }\n"
MANIFEST = f"""{HEAD.format(name="sales")}
tables:
  orders_raw: {{ layer: raw, format: csv, partition: dt, columns: {{ id: string, at: string }} }}
  orders:
    layer: refined
    columns: {{ id: long, at: timestamptz }}
    key: [id]
    rules:
      known: {{ range: id, min: 1 }}
{FRESH}jobs:
  load_orders: {{ use: merge, reads: orders_raw, writes: orders, with: {{ latestBy: [at] }} }}
pipelines:
  daily: {{ steps: [load_orders] }}
"""


def remembered(plane: Plane) -> dict[str, Any]:
    item = plane.client("dynamodb").get_item(TableName="f01-meshplane-state-dev", Key=KEY, ConsistentRead=True)["Item"]
    return item.get("watched", {}).get("M", {}).get("orders", {}).get("M", {})  # type: ignore[no-any-return]


KEY = {"pk": {"S": "project#sales"}, "sk": {"S": "state"}}


def watch(plane: Plane) -> None:
    """One pass of the deployed machine."""
    machine, machines = plane.stack.naming.arn("states", "stateMachine:f01-meshplane-watchdog-dev"), plane.client("stepfunctions")
    arn = machines.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert eventually(lambda: (s := machines.describe_execution(executionArn=arn)["status"]) != "RUNNING" and s, 240, 0.5) == "SUCCEEDED"


def remember(plane: Plane, **told: str) -> None:
    """As another pass left it."""
    for name, value in told.items():
        plane.client("dynamodb").update_item(
            TableName="f01-meshplane-state-dev",
            Key=KEY,
            UpdateExpression=f"SET watched.orders.{name} = :it",
            ExpressionAttributeValues={":it": {"S": value}},
        )


def changed(plane: Plane, manifest: str) -> None:
    """The manifest is another, and applied: its gate is the one that counts."""
    digest = gate(plane)
    plane.put("sales", manifest)
    assert eventually(lambda: gate(plane) != digest, 60)


def gate(plane: Plane) -> str:
    item = plane.client("dynamodb").get_item(TableName="f01-meshplane-state-dev", Key=KEY, ConsistentRead=True)["Item"]
    return str(item["gates"]["M"]["orders"]["M"]["digest"]["S"])


def alarm(plane: Plane) -> str:
    return states(plane.client, "f01-meshplane-tables")["f01-meshplane-tables-unhealthy-dev"]


def test_a_published_table_is_judged_again_by_its_own_job_and_its_status_tells(plane: Plane) -> None:
    plane.put("sales", MANIFEST)
    body = b"id,at\n1,2020-01-01T00:00:00Z\n2,2020-01-02T00:00:00Z\n"
    plane.client("s3").put_object(Bucket=plane.bucket("raw"), Key="sales/orders_raw/dt=2020-01-02/a.csv", Body=body)
    assert plane.meshplane("run", "sales.daily", "--wait").returncode == 0
    before = plane.catalog.load_table("f01_de_refined.sales_orders").metadata_location

    watch(plane)
    assert remembered(plane)["stale"]["S"].startswith("fresh: the newest row is of 2020-01-02T00:00:00Z")
    eventually(lambda: "NotFresh" in json.dumps(plane.status("sales")["conditions"]))

    # A rule that what is published breaks; the last verdict was a day ago.
    changed(plane, MANIFEST.replace(FRESH, "").replace("min: 1", "min: 2"))
    remember(plane, judged="2020-01-03T00:00:00Z")
    watch(plane)
    told = remembered(plane)
    assert (told["broken"]["S"].startswith("known: 1 of 2"), told["unclear"]["S"], told["stale"]["S"]) == (True, "", "")
    eventually(lambda: "RulesBroken" in json.dumps(plane.status("sales")["conditions"]))
    plane.advance(minutes=1)
    assert alarm(plane) == "ALARM"

    # The rule is put right: what has changed since a bad verdict is judged at once.
    changed(plane, MANIFEST.replace(FRESH, ""))
    watch(plane)
    told = remembered(plane)
    assert (told["broken"]["S"], told["unclear"]["S"]) == ("", "")
    plane.advance(minutes=6)
    assert alarm(plane) == "OK"
    table = plane.catalog.load_table("f01_de_refined.sales_orders")
    head = table.current_snapshot()
    assert head is not None
    assert told["snapshot"]["N"] == str(head.snapshot_id)
    assert table.metadata_location == before, "it was judged, and nothing was written"
    records = [key for key in plane.keys("refined", "sales/_runs/") if key.endswith("/check-orders.json") and "_lineage" not in key]
    bodies = [plane.client("s3").get_object(Bucket=plane.bucket("refined"), Key=key)["Body"].read() for key in records]
    left = [(one["state"], one["outputs"], [(v["branch"], v["passed"]) for v in one["verdicts"]]) for one in map(json.loads, bodies)]
    assert sorted(left) == [("failed", [], [("main", False)]), ("nothing", [], [("main", True)])]

"""The watchdog on the embedded AWS with real Spark: a published table is judged again by its own job, which writes nothing, by the deployed
machine and the deployed roles; its status and its recovery."""

from __future__ import annotations

import json
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from tests.e2e.plane import HEAD, Plane, eventually

pytestmark = [pytest.mark.local, pytest.mark.spark]
MANIFEST = f"""{HEAD.format(name="sales")}
tables:
  orders_raw: {{ layer: raw, format: csv, partition: dt, columns: {{ id: string, at: string }} }}
  orders:
    layer: refined
    columns: {{ id: long, at: timestamptz }}
    key: [id]
    rules:
      known: {{ range: id, min: 1 }}
      fresh: {{ freshness: at, within: 26h, severity: warn }}
jobs:
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
    machine, states = plane.stack.naming.arn("states", "stateMachine:f01-meshplane-watchdog-dev"), plane.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert eventually(lambda: (s := states.describe_execution(executionArn=arn)["status"]) != "RUNNING" and s, 240, 0.5) == "SUCCEEDED"


def test_a_published_table_is_judged_again_by_its_own_job_and_its_status_tells(plane: Plane) -> None:
    plane.put("sales", MANIFEST)
    body = b"id,at\n1,2020-01-01T00:00:00Z\n2,2020-01-02T00:00:00Z\n"
    plane.client("s3").put_object(Bucket=plane.bucket("raw"), Key="sales/orders_raw/dt=2020-01-02/a.csv", Body=body)
    assert plane.meshplane("run", "sales.daily", "--wait").returncode == 0
    before = plane.catalog.load_table("f01_de_refined.sales_orders").metadata_location

    watch(plane)
    assert remembered(plane)["stale"]["S"].startswith("fresh: the newest row is of 2020-01-02T00:00:00Z")
    eventually(lambda: "NotFresh" in json.dumps(plane.status("sales")["conditions"]))

    # As a bad verdict of an earlier state left it: what has changed since is judged at once.
    plane.client("dynamodb").update_item(
        TableName="f01-meshplane-state-dev",
        Key=KEY,
        UpdateExpression="SET watched.orders.broken = :why",
        ExpressionAttributeValues={":why": TypeSerializer().serialize("known: 1 of 2 rows")},
    )
    watch(plane)
    told = remembered(plane)
    assert (told["broken"]["S"], told["unclear"]["S"]) == ("", "")
    table = plane.catalog.load_table("f01_de_refined.sales_orders")
    head = table.current_snapshot()
    assert head is not None
    assert told["snapshot"]["N"] == str(head.snapshot_id)
    assert table.metadata_location == before, "it was judged, and nothing was written"
    [record] = [key for key in plane.keys("refined", "sales/_runs/") if key.endswith("/check-orders.json") and "_lineage" not in key]
    judged = json.loads(plane.client("s3").get_object(Bucket=plane.bucket("refined"), Key=record)["Body"].read())
    assert (judged["state"], judged["outputs"], [v["branch"] for v in judged["verdicts"]]) == ("nothing", [], ["main"])

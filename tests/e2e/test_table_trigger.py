"""A project's pipeline starts when another project's table is published: the event, the real rule, queue, function and state machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.plane import HEAD, Plane, eventually

pytestmark = pytest.mark.local
CUSTOMERS = f"""{HEAD.format(name="customers")}
tables:
  contacts: {{ layer: refined, columns: {{ id: long }}, key: [id], readers: [READERS] }}
"""
SALES = f"""{HEAD.format(name="sales")}
pipelines:
  daily:
    triggers: {{ contacts_published: {{ table: customers.contacts }} }}
    asl: pipelines/nothing.asl.json
"""
ASL = json.dumps({"StartAt": "Nothing", "States": {"Nothing": {"Type": "Pass", "End": True}}})
DETAIL = {"schema": 1, "project": "customers", "table": "contacts", "run_id": "daily-1", "pipeline": "daily", "step": "load"}


def runs(plane: Plane) -> list[dict[str, Any]]:
    machine = plane.stack.naming.arn("states", f"stateMachine:{plane.stack.naming.state_machine('sales', 'daily')}")
    return list(plane.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"])


def published(plane: Plane, snapshot: str, table: str = "contacts") -> None:
    detail = {**DETAIL, "table": table, "snapshot": snapshot, "published": "2030-01-02T03:04:05Z", "window_start": "", "window_end": ""}
    entry = {"Source": "meshplane", "DetailType": "Table Published", "Detail": json.dumps(detail)}
    assert plane.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    plane.stack.settle()


def test_a_publication_starts_a_run_once_the_owner_grants_it_and_once_for_each_snapshot(plane: Plane) -> None:
    plane.put("customers", CUSTOMERS.replace("READERS", "finance"))
    plane.write("sales", SALES, {"pipelines/nothing.asl.json": ASL})
    plane.sync("sales")
    assert plane.synced("sales")[1] == "Waiting"
    assert "readers does not name 'sales'" in plane.text("sales")
    published(plane, "1")
    assert runs(plane) == [], "not granted, not told"
    plane.put("customers", CUSTOMERS.replace("READERS", "finance, sales"))
    eventually(lambda: plane.synced("sales")[1] == "Applied")
    for snapshot, table in (("7", "contacts"), ("7", "contacts"), ("7", "other"), ("8", "contacts")):
        published(plane, snapshot, table)
    eventually(lambda: len(runs(plane)) >= 2 and all(run["status"] == "SUCCEEDED" for run in runs(plane)))
    assert len({run["name"] for run in runs(plane)}) == len(runs(plane)) == 2
    assert "contacts_published" in plane.meshplane("runs", "sales.daily").stdout

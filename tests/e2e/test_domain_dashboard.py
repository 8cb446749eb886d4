"""The domain's dashboard and alarms on the embedded AWS: they name what was emitted, and each alarm goes off and comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.plane import HEAD, ROOT, Plane

pytestmark = pytest.mark.local

SEARCH = re.compile(r"""SEARCH\('\{([^}]+)\} MetricName="(\w+)"', '(?:Sum|Maximum)', \d+\)""")
QUEUES = {
    "reconcile": "f01-meshplane-reconcile-dlq-dev.fifo",
    "trigger": "f01-meshplane-trigger-dlq-dev",
    "target": "f01-meshplane-target-dlq-dev",
}


def named(body: dict[str, Any]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Namespace, metric and dimensions (`name` of a search, `name=value` of a row) of everything that the widgets name."""
    for row in (row for widget in body["widgets"] for row in widget["properties"]["metrics"]):
        if isinstance(row[0], dict):
            (scope, metric), *more = SEARCH.findall(row[0]["expression"])
            namespace, *dimensions = scope.split(",")
            assert not more
            yield namespace, metric, frozenset(dimensions)
        else:
            yield row[0], row[1], frozenset({f"{row[2]}={row[3]}"})


def emitted(plane: Plane) -> set[tuple[str, str, frozenset[str]]]:
    """What CloudWatch has, in both ways of naming."""
    found = set()
    for page in plane.client("cloudwatch").get_paginator("list_metrics").paginate():
        for one in page["Metrics"]:
            of = {row["Name"]: row["Value"] for row in one["Dimensions"]}
            found.add((one["Namespace"], one["MetricName"], frozenset(of)))
            found.add((one["Namespace"], one["MetricName"], frozenset(f"{name}={value}" for name, value in of.items())))
    return found


def state(plane: Plane, name: str) -> str:
    (alarm,) = plane.client("cloudwatch").describe_alarms(AlarmNames=[f"f01-meshplane-{name}-dev"])["MetricAlarms"]
    return str(alarm["StateValue"])


def refused_by_a_gate(plane: Plane) -> None:
    """The real function, asked to publish what no gate has judged."""
    event = (ROOT / "events/publish_tables.json").read_text(encoding="utf-8")
    answer = plane.client("lambda").invoke(FunctionName="f01-meshplane-publish-tables-dev", Payload=event)
    assert json.loads(answer["Payload"].read())["errorType"] == "GateFailed"


def test_every_widget_and_alarm_names_what_was_emitted(plane: Plane) -> None:
    refused_by_a_gate(plane)
    plane.put("quiet", HEAD.format(name="quiet"))
    plane.advance(minutes=6)
    body = json.loads(plane.client("cloudwatch").get_dashboard(DashboardName="f01-meshplane-dev")["DashboardBody"])
    alarms = plane.client("cloudwatch").describe_alarms(AlarmNamePrefix="f01-meshplane-")["MetricAlarms"]
    watched = {(one["Namespace"], one["MetricName"], frozenset(f"{d['Name']}={d['Value']}" for d in one["Dimensions"])) for one in alarms}
    assert len(watched) == 5
    wanted = {*named(body), *watched}
    assert len(wanted) == 13
    assert wanted - emitted(plane) == set()


@pytest.mark.parametrize("name", QUEUES)
def test_a_dead_letter_raises_its_alarm_until_it_is_gone(plane: Plane, name: str) -> None:
    sqs = plane.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUES[name])["QueueUrl"]
    fifo = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if url.endswith(".fifo") else {}
    sqs.send_message(QueueUrl=url, MessageBody="{}", **fifo)
    plane.advance(minutes=2)
    assert state(plane, f"{name}-dlq") == "ALARM"
    sqs.purge_queue(QueueUrl=url)
    plane.advance(minutes=3)
    assert state(plane, f"{name}-dlq") == "OK"


def test_a_gate_that_keeps_data_back_raises_its_alarm(plane: Plane) -> None:
    refused_by_a_gate(plane)
    plane.advance(minutes=2)
    assert state(plane, "gates-failed") == "ALARM"
    plane.advance(minutes=10)
    assert state(plane, "gates-failed") == "OK"


def test_a_stalled_project_raises_its_alarm_until_a_look_finds_it_well(plane: Plane) -> None:
    plane.put("stuck", HEAD.format(name="stuck"))
    table, state_table = plane.client("dynamodb"), "f01-meshplane-state-dev"
    (item,) = (row for row in table.scan(TableName=state_table)["Items"] if "due_pk" in row and "stuck" in row["pk"]["S"])
    table.update_item(  # as a reconcile leaves it that has given up on an action
        TableName=state_table,
        Key={key: item[key] for key in ("pk", "sk")},
        UpdateExpression="SET stalled = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    plane.advance(minutes=12)
    assert state(plane, "stalled") == "ALARM"
    plane.look("stuck")
    plane.advance(minutes=15)
    assert state(plane, "stalled") == "OK"

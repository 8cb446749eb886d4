"""The domain's dashboard and alarms on the embedded AWS: they name what was emitted, and each alarm goes off and comes back."""

from __future__ import annotations

import json

import pytest
from boto3.dynamodb.types import TypeSerializer

from tests.e2e.plane import HEAD, ROOT, Plane
from tests.e2e.watched import by_alarms, emitted, shown_alarms, watchdog_passes

pytestmark = pytest.mark.local

QUEUES = {
    "reconcile": "f01-meshplane-reconcile-dlq-dev.fifo",
    "trigger": "f01-meshplane-trigger-dlq-dev",
    "target": "f01-meshplane-target-dlq-dev",
}


def state(plane: Plane, name: str) -> str:
    (alarm,) = plane.client("cloudwatch").describe_alarms(AlarmNames=[f"f01-meshplane-{name}-dev"])["MetricAlarms"]
    return str(alarm["StateValue"])


def refused_by_a_gate(plane: Plane) -> None:
    """The real function, asked to publish what no gate has judged."""
    event = (ROOT / "events/publish_tables.json").read_text(encoding="utf-8")
    answer = plane.client("lambda").invoke(FunctionName="f01-meshplane-publish-tables-dev", Payload=event)
    assert json.loads(answer["Payload"].read())["errorType"] == "GateFailed"


def test_every_alarm_watches_what_was_emitted_and_stands_on_the_dashboard(plane: Plane) -> None:
    """That every widget shows what was emitted is held over real runs: test_demo.py."""
    refused_by_a_gate(plane)
    watchdog_passes(plane.stack)
    plane.put("quiet", HEAD.format(name="quiet"))
    plane.advance(minutes=6)
    cloudwatch = plane.client("cloudwatch")
    found = by_alarms(cloudwatch, "f01-meshplane-")
    assert len(found) == 6
    assert found - emitted(cloudwatch) == set()
    arns = {one["AlarmArn"] for one in cloudwatch.describe_alarms(AlarmNamePrefix="f01-meshplane-")["MetricAlarms"]}
    assert shown_alarms(cloudwatch, "f01-meshplane-dev") == arns


def test_each_reconcile_is_one_line_with_what_its_metrics_cannot_say(plane: Plane) -> None:
    plane.put("lines", HEAD.format(name="lines"))
    pages = plane.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/f01-meshplane-reconcile-project-dev")
    said = [json.loads(event["message"]) for page in pages for event in page["events"] if event["message"].startswith("{")]
    own = [line for line in said if line.get("project") == "lines"]
    lines, metrics = [line for line in own if "_aws" not in line], [line for line in own if "Reconciles" in line]
    assert len(lines) == len(metrics) > 0
    for line in lines:
        assert {"level", "message", "service", "result", "due_at"} <= line.keys()


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


def test_published_data_that_is_unhealthy_raises_its_alarm_until_a_pass_finds_it_well(plane: Plane) -> None:
    plane.put("aged", HEAD.format(name="aged"))
    table = plane.client("dynamodb")

    def remembered(broken: str) -> None:
        gate = {
            "table": "t",
            "database": "f01_de_refined",
            "name": "aged_t",
            "digest": "1",
            "rules": [],
            "allow_empty": False,
            "retention_days": 5,
        }
        told = {":gates": {"t": gate}, ":watched": {"t": {"broken": broken}}}
        table.update_item(
            TableName="f01-meshplane-state-dev",
            Key={"pk": {"S": "project#aged"}, "sk": {"S": "state"}},
            UpdateExpression="SET gates = :gates, watched = :watched",
            ExpressionAttributeValues={key: TypeSerializer().serialize(value) for key, value in told.items()},
        )

    remembered("key: 2 of 9 rows")
    watchdog_passes(plane.stack)
    plane.advance(minutes=2)
    assert state(plane, "tables-unhealthy") == "ALARM"
    plane.advance(minutes=10)
    assert state(plane, "tables-unhealthy") == "ALARM", "between two passes it stays"
    remembered("")
    plane.advance(minutes=6)  # what a pass by the clock may just have counted is older than the alarm's window
    watchdog_passes(plane.stack)
    plane.advance(minutes=2)
    assert state(plane, "tables-unhealthy") == "OK"

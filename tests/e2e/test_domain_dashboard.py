"""The domain's dashboard and alarms on the embedded AWS: they name what was emitted, and each alarm goes off and comes back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.plane import HEAD, Plane

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
            yield row[0], row[1], frozenset(f"{name}={value}" for name, value in zip(row[2::2], row[3::2], strict=True))


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


def test_every_widget_names_what_was_emitted(plane: Plane) -> None:
    plane.put("quiet", HEAD.format(name="quiet"))
    plane.advance(minutes=6)
    body = json.loads(plane.client("cloudwatch").get_dashboard(DashboardName="f01-meshplane-dev")["DashboardBody"])
    wanted = set(named(body))
    assert len(wanted) >= 12
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


@pytest.mark.parametrize(("alarm", "metric"), [("stalled", "StalledProjects"), ("gates-failed", "GatesFailed")])
def test_a_count_of_faults_raises_its_alarm_until_there_are_none(plane: Plane, alarm: str, metric: str) -> None:
    put: Callable[..., Any] = plane.client("cloudwatch").put_metric_data
    for _ in range(2):  # two periods of five minutes
        now = datetime.fromisoformat(plane.stack.ask("health")["now"])
        datum = {
            "MetricName": metric,
            "Value": 1,
            "Unit": "Count",
            "Timestamp": now,
            "Dimensions": [{"Name": "service", "Value": "meshplane"}],
        }
        put(Namespace="Meshplane", MetricData=[datum])
        plane.advance(minutes=4)
    assert state(plane, alarm) == "ALARM"
    plane.advance(minutes=15)
    assert state(plane, alarm) == "OK"

"""What dashboards and alarms watch, and what was emitted: both sides as namespace, metric and exact dimensions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from meshplane_cli.local.stack import Stack
from tests.e2e.plane import eventually

Watched = tuple[str, str, frozenset[str]]
SEARCH = re.compile(r"""SEARCH\('\{([^}]+)\} MetricName="(\w+)"', '(?:Sum|Maximum|Minimum)', \d+\)""")


def by_widgets(cloudwatch: Any, dashboard: str) -> set[Watched]:
    """Everything that a dashboard's widgets name; dimensions are `name` of a search and `name=value` of a row."""
    body = json.loads(cloudwatch.get_dashboard(DashboardName=dashboard)["DashboardBody"])
    return set(_named(body))


def _named(body: dict[str, Any]) -> Iterator[Watched]:
    for row in (row for widget in body["widgets"] for row in widget["properties"].get("metrics", ())):
        if isinstance(row[0], dict):
            [(scope, metric)] = SEARCH.findall(row[0]["expression"])
            namespace, *dimensions = scope.split(",")
            yield namespace, metric, frozenset(dimensions)
        else:
            namespace, metric, *pairs = (part for part in row if isinstance(part, str))
            yield namespace, metric, frozenset(f"{name}={value}" for name, value in zip(pairs[::2], pairs[1::2], strict=True))


def by_alarms(cloudwatch: Any, prefix: str) -> set[Watched]:
    """The metric of each alarm."""
    return {
        (one["Namespace"], one["MetricName"], frozenset(f"{each['Name']}={each['Value']}" for each in one["Dimensions"]))
        for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        for one in page["MetricAlarms"]
    }


def shown_alarms(cloudwatch: Any, dashboard: str) -> set[str]:
    """The ARNs that its alarm widgets name."""
    body = json.loads(cloudwatch.get_dashboard(DashboardName=dashboard)["DashboardBody"])
    return {arn for widget in body["widgets"] for arn in widget["properties"].get("alarms", ())}


def emitted(cloudwatch: Any) -> set[Watched]:
    """What CloudWatch has, in both ways of naming."""
    found: set[Watched] = set()
    for page in cloudwatch.get_paginator("list_metrics").paginate():
        for one in page["Metrics"]:
            of = {row["Name"]: row["Value"] for row in one["Dimensions"]}
            found.add((one["Namespace"], one["MetricName"], frozenset(of)))
            found.add((one["Namespace"], one["MetricName"], frozenset(f"{name}={value}" for name, value in of.items())))
    return found


def states(client: Callable[[str], Any], prefix: str) -> dict[str, str]:
    """Alarm → its state."""
    found = client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    return {one["AlarmName"]: one["StateValue"] for one in found}


def watchdog_passes(stack: Stack) -> None:
    """One pass of the real machine, from its first state to its last, after any that the clock has started."""
    machine = stack.naming.arn("states", "stateMachine:f01-meshplane-watchdog-dev")
    states = stack.client("stepfunctions")
    eventually(lambda: not states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"], 120, 0.5)
    arn = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert eventually(lambda: (s := states.describe_execution(executionArn=arn)["status"]) != "RUNNING" and s, 120, 0.5) == "SUCCEEDED"

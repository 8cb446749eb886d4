"""CloudWatch on the laptop: metric lines in logs become metrics, and alarms are evaluated on the embedded AWS's clock.

Metric lines are the CloudWatch embedded metric format (CloudWatch user guide), as Powertools prints them. moto stores metrics and
alarms but never compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from meshplane_cli.local.clock import CLOCK


@dataclass(frozen=True, slots=True)
class Value:
    """One value of one metric. `at` is the clock's present moment where nothing else is said."""

    namespace: str
    name: str
    value: float
    dimensions: Mapping[str, str]
    unit: str = "None"
    at: datetime | None = None


def record(account: str, region: str, value: Value) -> None:
    """Put one value."""
    from moto.cloudwatch.models import cloudwatch_backends

    datum = {
        "MetricName": value.name,
        "Value": value.value,
        "Unit": value.unit,
        "Timestamp": value.at or CLOCK.now(),
        "Dimensions": [{"Name": key, "Value": text} for key, text in value.dimensions.items()],
    }
    cloudwatch_backends[account][region].put_metric_data(value.namespace, [datum])


def from_line(account: str, region: str, line: str) -> int:
    """Store the metrics of one log line; how many there were. A line that is not in the format has none."""
    if '"_aws"' not in line:
        return 0
    try:
        body = json.loads(line)
    except ValueError:
        return 0
    count = 0
    for namespace, name, unit, dimensions in _declared(body):
        values = body.get(name)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int | float):
                record(account, region, Value(namespace, name, float(value), dimensions, unit))
                count += 1
    return count


def _declared(body: Any) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    if not isinstance(body, dict) or not isinstance(body.get("_aws"), dict):
        return
    for directive in body["_aws"].get("CloudWatchMetrics", []):
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(body[name]) for name in names if name in body}
            for metric in directive.get("Metrics", []):
                yield directive["Namespace"], metric["Name"], metric.get("Unit", "None"), dimensions

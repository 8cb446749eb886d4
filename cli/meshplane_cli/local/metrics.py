"""CloudWatch on the laptop: metric lines in logs become metrics, and alarms are evaluated on the embedded AWS's clock.

Metric lines are the CloudWatch embedded metric format (CloudWatch user guide), as Powertools prints them. moto stores metrics and
alarms but never compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from meshplane_cli.local.clock import CLOCK


def record(account: str, region: str, namespace: str, name: str, value: float, dimensions: Mapping[str, str], unit: str = "None") -> None:
    """Put one value."""
    from moto.cloudwatch.models import cloudwatch_backends

    datum = {
        "MetricName": name,
        "Value": value,
        "Unit": unit,
        "Timestamp": CLOCK.now(),
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions.items()],
    }
    cloudwatch_backends[account][region].put_metric_data(namespace, [datum])


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
                record(account, region, namespace, name, float(value), dimensions, unit)
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

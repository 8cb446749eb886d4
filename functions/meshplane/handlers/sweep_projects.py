"""Lambda `sweep_projects`: every five minutes, queue every project that is due, changed or unfinished, and mend what runs missed."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from meshplane import wiring

logger = Logger(service="meshplane")
metrics = Metrics(namespace="Meshplane", service="meshplane")


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A schedule's event, of which nothing is read."""
    swept = wiring.sweep(context)
    metrics.add_metric("Projects", MetricUnit.Count, swept.projects)
    metrics.add_metric("StalledProjects", MetricUnit.Count, swept.stalled)
    metrics.add_metric("Queued", MetricUnit.Count, len(swept.queued))
    metrics.add_metric("RunFaults", MetricUnit.Count, len(swept.run_faults))
    logger.info("swept", extra=swept.fields())
    return swept.fields()

"""Lambda `watch_tables`: invoked by the watchdog's state machine, once an hour: looks after what was published."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from meshplane import wiring
from meshplane.flows.watch_tables import count, look, watch_tables

logger = Logger(service="meshplane")
metrics = Metrics(namespace="Meshplane", service="meshplane")


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Request and answer: docs/contracts.md §13."""
    watcher, clock = wiring.watcher(context), wiring.SystemClock()
    match event.get("do"):
        case "look":
            seen = look(watcher, clock)
            logger.info("watched", extra={"looked": seen.looked, "due": seen.due, "removed": seen.removed, "faults": seen.faults})
            return {"tables": [{"project": project, "table": table} for project, table in seen.due]}
        case "count":
            bad = count(watcher)
            metrics.add_metric("TablesUnhealthy", MetricUnit.Count, sum(map(len, bad.values())))
            logger.info("counted", extra={"unhealthy": bad})
            return {"unhealthy": bad}
    answer = watch_tables(watcher, clock, event)
    logger.info("watching", extra={"request": event.get("do"), "table": f"{answer['project']}.{answer['table']}", "why": answer.get("why")})
    return answer

"""Lambda `record_run`: the end of an execution or of a Glue job run (EventBridge) closes the run's record and frees its place."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from meshplane import wiring
from meshplane.flows.record_run import record_run
from meshplane.flows.tell_run import tell_run

logger = Logger(service="meshplane")
metrics = Metrics(namespace="Meshplane", service="meshplane")


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """One EventBridge event. An error makes Lambda try again; the sweep finds what stays lost."""
    ports = wiring.run_ports(context)
    run_id = record_run(ports, wiring.reconcile_queue(context), event)
    told = tell_run(ports.executions, wiring.tellings(context), event)
    for dimension, of in told.dimensions.items():
        metrics.add_dimension(dimension, of)
    for name, value in told.metrics.items():
        metrics.add_metric(name, MetricUnit.Count, value)
    logger.info("run recorded" if run_id else "nothing to record", extra={"run_id": run_id, "events": told.events, "fault": told.fault})
    return {"run_id": run_id}

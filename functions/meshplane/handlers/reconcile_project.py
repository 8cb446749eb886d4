"""Lambda `reconcile_project`: one message of the reconcile queue, one look at one project, one log line, one set of metrics."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from meshplane import wiring
from meshplane.flows.reconcile_project import reconcile_message

logger = Logger(service="meshplane")
metrics = Metrics(namespace="Meshplane", service="meshplane")
processor = SqsFifoPartialProcessor()


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """SQS event with `ReportBatchItemFailures`; what raises is a fault of the plane and comes again, at last into the dead letters."""
    ports = wiring.reconcile(context)
    wiring.clients().take_sent()

    def one(record: SQSRecord) -> None:
        report = reconcile_message(ports, record.body, record.message_id)
        metrics.add_dimension("project", report.project or "none")
        metrics.add_metric("Reconciles", MetricUnit.Count, 1)
        metrics.add_metric("Calls", MetricUnit.Count, wiring.clients().take_sent())
        for name, value in report.metrics.items():
            metrics.add_metric(name, MetricUnit.NoUnit, value)
        logger.info(report.result, extra={"project": report.project, **report.fields})

    return process_partial_response(event, one, processor, context)

"""Lambda `start_run`: a batch of the trigger queue → runs. What could not be taken in is reported by message and comes again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.aws.metrics import emit_runs
from meshplane.flows.start_run import read_and_start

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """SQS event with `ReportBatchItemFailures`."""
    records = [(one["messageId"], one["body"], _sent(one)) for one in event["Records"]]
    ports = wiring.run_ports(context)
    refused = read_and_start(ports, records)
    emit_runs(ports.ended)  # what could not be started
    for refusal in refused:
        logger.warning("a trigger message goes back", extra=refusal.fields())
    return {"batchItemFailures": [{"itemIdentifier": refusal.id} for refusal in refused]}


def _sent(record: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)

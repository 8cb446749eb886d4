"""Lambda `ingest_api`: invoked by a project's state machine for a step `ingest:`; fetches a source's pages into its raw table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from meshplane import wiring
from meshplane.flows.ingest_api import ingest_api

logger = Logger(service="meshplane")
metrics = Metrics(namespace="Meshplane", service="meshplane")


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`{"project", "pipeline", "source", "run": {…}, "script": "", "reparse": false}`; answers what was done.

    Errors are known by their class's name: after `IngestUnfinished` the same call goes on where it stood, a reparse as well.
    """
    source, ports = wiring.ingest(context, event["project"], event["pipeline"], event["source"], event.get("script", ""))
    done = asdict(ingest_api(ports, source, event["run"], bool(event.get("reparse"))))
    metrics.add_metric("FilesIngested", MetricUnit.Count, done["files"])
    logger.info("ingested", extra={"run_id": event["run"]["run_id"], "project": event["project"], **done})
    return done

"""Lambda `record_run`: the end of an execution or of a Glue job run (EventBridge) closes the run's record and frees its place."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.flows.record_run import record_run

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """One EventBridge event. An error makes Lambda try again; the sweep finds what stays lost."""
    run_id = record_run(wiring.run_ports(context), wiring.reconcile_queue(context), event)
    logger.info("run recorded" if run_id else "nothing to record", extra={"run_id": run_id})
    return {"run_id": run_id}

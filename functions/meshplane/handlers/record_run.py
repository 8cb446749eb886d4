"""Lambda `record_run`: the end of an execution or of a Glue job run (EventBridge) closes the run's record and frees its place."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.aws.metrics import emit_job, emit_runs
from meshplane.flows.record_run import record_run
from meshplane.flows.tell_run import tell_run

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """One EventBridge event. An error makes Lambda try again; the sweep finds what stays lost."""
    ports = wiring.run_ports(context)
    run_id = record_run(ports, wiring.reconcile_queue(context), event)
    emit_runs(ports.ended)
    told = tell_run(ports.executions, wiring.tellings(context), event)
    emit_job(told.metrics, told.dimensions)
    logger.info("run recorded" if run_id else "nothing to record", extra={"run_id": run_id, "events": told.events, "fault": told.fault})
    return {"run_id": run_id}

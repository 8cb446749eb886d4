"""Lambda `publish_tables`: invoked by a project's state machine after a step that wrote gated tables; makes what was judged visible."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.aws.metrics import emit_published, emit_refused
from meshplane.errors import GateFailed
from meshplane.flows.publish_tables import publish_tables

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Request and answer: docs/contracts.md §9. What is raised is the error that the state machine sees, by the name of its class."""
    try:
        done = publish_tables(wiring.publisher(context), wiring.SystemClock(), event)
    except GateFailed as no:
        emit_refused(event)
        logger.warning("not published", extra={"cause": no.cause, "why": str(no), "request": event})
        raise
    emit_published(done.request.project, done.moved, done.latency)
    logger.info("published" if done.tables else "nothing to publish", extra={"run_id": done.request.run_id, **done.answer()})
    return done.answer()

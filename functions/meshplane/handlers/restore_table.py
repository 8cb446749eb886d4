"""Lambda `restore_table`: invoked by the state machines that roll a table back, or rebuild it from raw (`meshplane restore`)."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.errors import RestoreRefused
from meshplane.flows.restore_table import restore_table

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Request and answer: docs/contracts.md §12. What is raised is the error that the state machine sees, by the name of its class."""
    try:
        answer = restore_table(wiring.restorer(context), wiring.SystemClock(), event)
    except RestoreRefused as no:
        logger.warning("not restored", extra={"why": list(no.reasons), "request": event})
        raise
    logger.info("restoring", extra={"request": event, "answer": answer})
    return answer

"""Lambda `plan_project`: invoked with a manifest and a release index, answers with the plan. Writes nothing."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from meshplane import wiring
from meshplane.flows.plan_project import plan_project

logger = Logger(service="meshplane")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """See `flows.plan_project` for request and answer."""
    answer = plan_project(wiring.plan(context), event)
    logger.info("planned", extra={"project": answer["project"], "plan": answer.get("digest", ""), "held": answer.get("held", [])})
    return answer

"""`emit_metric` (J1): a number of a run as a line in CloudWatch's embedded metric format, which becomes a metric without a call."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import Any

from dp_foundation.config.arguments import invocation
from dp_foundation.lineage.events import generate_run_id
from dp_foundation.logging.logger import get_logger

NAMESPACE = "Meshplane/Jobs"


def emit_metric(name: str, value: float, run_id: str = "", unit: str = "Count") -> dict[str, Any]:
    """Print one metric line and give it back; dimensions are project and job, the run id is searchable. Never raises."""
    try:
        job = invocation().job
        dimensions = {"Project": job.project, "Job": job.name} if job else {}
        told = {
            "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": [{"Name": name, "Unit": unit}]}]
        }
        line = {
            "_aws": {"Timestamp": int(time.time() * 1000), **told},
            **dimensions,
            name: float(value),
            "run_id": run_id or generate_run_id(),
        }
        sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
        sys.stdout.flush()
    except Exception:  # noqa: BLE001  telemetry never fails a job
        with suppress(Exception):  # nor do the settings that a logger needs
            get_logger("dp_foundation.lineage").warning("no metric %s", name, exc_info=True)
        return {}
    return line

"""`generate_run_id` and `emit_lineage_event` (J1): which data came from which, as an OpenLineage run event in the log.

The events of a run's declared tables are made of its outbox record; these calls add what a job knows of itself.
"""

from __future__ import annotations

import json
import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from dp_foundation.config.arguments import invocation
from dp_foundation.config.settings import get_config
from dp_foundation.logging.logger import get_logger

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
PRODUCER = "https://github.com/meshplane/meshplane"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)


def generate_run_id() -> str:
    """The run id of this process; outside of a run a new one: time stamp and UUID, `20261120T080000Z-…`."""
    run = invocation().run
    return run.run_id if run else f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4()}"


def emit_lineage_event(source: str, target: str, run_id: str = "", state: str = "COMPLETE") -> dict[str, Any]:
    """Log one OpenLineage run event from `source` to `target` and give it back; `state` is START, COMPLETE or FAIL. Never raises."""
    try:
        event = run_event(source, target, run_id or generate_run_id(), state)
        get_logger("dp_foundation.lineage").info("lineage %s", json.dumps(event, separators=(",", ":"), sort_keys=True))
    except Exception:  # noqa: BLE001  telemetry never fails a job
        with suppress(Exception):  # nor do the settings that a logger needs
            get_logger("dp_foundation.lineage").warning("no lineage event from %s to %s", source, target, exc_info=True)
        return {}
    return event


def run_event(source: str, target: str, run_id: str, state: str) -> dict[str, Any]:
    """The event as the standard has it. Its run id is a UUID: one that is made of ours, and is the same for the same run."""
    found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", run_id)
    job = invocation().job
    namespace = f"meshplane://{get_config()['env']}"
    return {
        "eventType": state,
        "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "run": {"runId": found[0] if found else str(uuid.uuid5(_NAMESPACE, run_id))},
        "job": {"namespace": namespace, "name": f"{job.project}.{job.name}" if job else "job"},
        "inputs": [{"namespace": namespace, "name": source}],
        "outputs": [{"namespace": namespace, "name": target}],
        "producer": PRODUCER,
        "schemaURL": SPEC,
    }

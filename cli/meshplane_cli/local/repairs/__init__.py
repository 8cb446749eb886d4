"""What moto gets wrong, mended at start-up in this process: one module per service, no moto file edited.

`apply` is called by the embedded AWS before its server starts, and by tests before `mock_aws`. Each repair has a contract test
(tests/contract) that shows moto's own behaviour beside the mended one, so that an upgrade of moto tells which repair can go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Publish = Callable[[str, str, Mapping[str, Any]], None]
"""account, region, event: hands one event to the router."""


def apply(publish: Publish | None = None, to_targets: Callable[[Any, Mapping[str, Any]], None] | None = None) -> None:
    """Mend moto in this process; calling again only replaces who receives events.

    `publish` receives the events that services emit, `to_targets` (rule, event) those that match a rule in PutEvents; the server
    passes its router's. Without them nobody receives any.
    """
    from meshplane_cli.local.repairs import (
        access_logs,
        bucket_policies,
        dynamodb,
        events,
        functions,
        glue,
        glue_job_runs,
        hadoop_copies,
        identity,
        locks,
        log_groups,
        memory,
        monitoring,
        s3,
        scheduler,
        security_groups,
        speed,
        sqs,
        stepfunctions,
        tagging,
    )

    glue.apply()
    glue_job_runs.apply(publish)
    stepfunctions.apply(publish)
    s3.apply(publish)
    bucket_policies.apply()
    access_logs.apply()
    hadoop_copies.apply()
    dynamodb.apply()
    events.apply(to_targets)
    sqs.apply()
    functions.apply()
    scheduler.apply()
    identity.apply()
    tagging.apply()
    log_groups.apply()
    monitoring.apply()
    security_groups.apply()
    locks.apply()
    memory.apply()
    speed.apply()
